//! The administrator's door of a provider of these tests, and words said to it as they are typed.

use crate::provider::Provider;
use clap::Parser;
use kepd::address::LoginName;
use kepd::control::protocol::{Reply, Request, VERSION, Word};
use kepd::control::{ControlDoor, Ports};
use kepd::domain::audit::Author;
use kepd::domain::provider::Peer;
use kepd::domain::tenant::Language;
use kepd::service::credit::Credits;
use kepd::service::peers::Peers;
use kepd::service::queueing::Queueing;
use kepd::service::records::Records;
use kepd::service::rehearsal::Rehearsal;
use serde_json::Value;
use std::sync::Arc;

pub fn control(p: &Provider) -> ControlDoor {
    let peer = Peer {
        domain: p.identity.domain.clone(),
        host: "127.0.0.1".into(),
        port: 25,
        tls_sha256: Vec::new(),
        seal_sha256: Vec::new(),
        trust_pem: String::new(),
        service: p.identity.service.clone(),
        size_max_bytes: 1 << 20,
    };
    ControlDoor {
        organisations: p.organisations.clone(),
        accounts: p.accounts.clone(),
        approval: p.approval.clone(),
        records: Arc::new(Records {
            db: p.db.clone(),
            spool: p.spool.clone(),
        }),
        credits: Arc::new(Credits::new(p.db.clone(), p.clock.clone(), p.identity.tariff)),
        peers: Arc::new(Peers::new(p.db.clone(), p.identity.domain.clone())),
        queue: Arc::new(Queueing {
            db: p.db.clone(),
            clock: p.clock.clone(),
            relay: Default::default(),
        }),
        archive: p.archive.clone(),
        book: crate::auditing::auditing(p).book,
        declaring: p.declaring.clone(),
        mailboxes: p.mailboxes.clone(),
        rehearsal: Arc::new(Rehearsal {
            db: p.db.clone(),
            spool: p.spool.clone(),
            organisations: p.organisations.clone(),
        }),
        profile: peer,
        published: Default::default(),
        language: Language::Turkish,
        ports: Ports {
            submission_tls: 0,
            submission: 0,
            relay: 0,
            imap_tls: 0,
            imap: 0,
            metrics: 0,
            autoconfig: None,
            autoconfig_tls: None,
            control: String::new(),
        },
        clients: crate::autoconfig::told(),
        by: Author::administrator(0),
        acting: None,
    }
}

#[derive(Parser)]
pub struct Typed {
    #[arg(long = "as", global = true)]
    by: Option<LoginName>,
    #[command(subcommand)]
    word: Word,
}

/// Says words to the door; `None` when they are not words.
pub async fn say(door: &ControlDoor, words: &[String]) -> Option<Reply> {
    let words = words.iter().map(String::as_str);
    let typed = Typed::try_parse_from(std::iter::once("kepctl").chain(words)).ok()?;
    let request = Request {
        version: VERSION,
        by: typed.by,
        word: typed.word,
    };
    Some(door.obey(request).await)
}

/// What the door answers to a line, as `kepctl --json` shows it.
pub async fn told(door: &ControlDoor, line: &str) -> Value {
    let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
    let reply = say(door, &words)
        .await
        .unwrap_or_else(|| panic!("no words: {line}"));
    serde_json::to_value(&reply).unwrap()
}
