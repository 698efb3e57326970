//! What the server answers from, and which room of it answers a word.

use crate::autoconfig::Settings;
use crate::control::protocol::{NotBuilt, Record, Reply, Request, VERSION, Word};
use crate::domain::audit::Author;
pub(super) use crate::domain::audit_chain::hex;
use crate::domain::provider::Peer;
use crate::domain::tenant::Language;
use crate::service::account::{Accounts, Principal};
use crate::service::approval::Approval;
use crate::service::archive::Archive;
use crate::service::auditing::AuditBook;
use crate::service::credit::Credits;
use crate::service::declaring::Declaring;
use crate::service::failure::{Failure, Kind};
use crate::service::identity::Published;
use crate::service::mailbox::Mailboxes;
use crate::service::organisation::Organisations;
use crate::service::peers::Peers;
use crate::service::queueing::Queueing;
use crate::service::records::Records;
use crate::service::rehearsal::Rehearsal;
use serde::Serialize;
use std::sync::Arc;

/// The services behind the door, and what it says of this provider.
#[derive(Clone)]
pub struct ControlDoor {
    pub organisations: Arc<Organisations>,
    pub accounts: Arc<Accounts>,
    pub approval: Arc<Approval>,
    pub declaring: Arc<Declaring>,
    pub records: Arc<Records>,
    pub credits: Arc<Credits>,
    pub rehearsal: Arc<Rehearsal>,
    pub peers: Arc<Peers>,
    pub queue: Arc<Queueing>,
    pub archive: Arc<Archive>,
    /// The audit record.
    pub book: Arc<AuditBook>,
    /// What a user sees, and what he does with it.
    pub mailboxes: Arc<Mailboxes>,
    /// This provider as its peers have to know it, but for what `published` says.
    pub profile: Peer,
    pub published: Arc<Published>,
    /// Language of new tenants.
    pub language: Language,
    pub ports: Ports,
    /// What mail clients are told of this provider.
    pub clients: Settings,
    /// For whom it stands open: the process at the other end, or in whose name that asks.
    pub by: Author,
    /// The user in whose name it is asked.
    pub acting: Option<Principal>,
}

/// The ports that are really open; what `ports.json` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ports {
    pub submission_tls: u16,
    pub submission: u16,
    pub relay: u16,
    pub imap_tls: u16,
    pub imap: u16,
    pub metrics: u16,
    /// Where mail clients ask for their settings; not there when that door is not open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub autoconfig: Option<u16>,
    /// The same over HTTPS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub autoconfig_tls: Option<u16>,
    /// Path of the control socket.
    pub control: String,
}

/// What a word comes to.
pub(super) type Outcome = Result<Answer, Failure>;

pub(super) enum Answer {
    List(Vec<Record>),
    One(Record),
}

impl ControlDoor {
    /// The door as it stands open to a process of that user.
    pub fn opened_to(&self, uid: u32) -> Self {
        Self {
            by: Author::administrator(uid),
            ..self.clone()
        }
    }

    /// Obeys one request. Never fails: a failure is an answer too.
    pub async fn obey(&self, request: Request) -> Reply {
        if request.version != VERSION {
            return Reply::Refused(format!(
                "kepctl speaks version {} of the protocol, the daemon {VERSION}; use the same release",
                request.version
            ));
        }
        let answer = match &request.by {
            None => self.answer(request.word).await,
            Some(login) => match self.opened_as(login) {
                Ok(door) => door.answer(request.word).await,
                Err(failure) => Err(failure),
            },
        };
        match answer {
            Ok(Answer::List(list)) => Reply::List(list),
            Ok(Answer::One(one)) => Reply::One(one),
            Err(Failure::Refused(refusal)) => Reply::Refused(refusal.text),
            Err(failure @ Failure::Unavailable(_)) => {
                tracing::warn!(%failure, "control");
                Reply::Unavailable(failure.to_string())
            }
            Err(failure @ Failure::Broken(_)) => {
                tracing::error!(%failure, "control");
                Reply::Unavailable(failure.to_string())
            }
        }
    }

    async fn answer(&self, word: Word) -> Outcome {
        use crate::domain::org::UserKind::{Limited, Officer};
        match word {
            Word::Tenant(word) => self.tenant(word).await,
            Word::Officer(word) => self.user(word, Officer).await,
            Word::User(word) => self.user(word, Limited).await,
            Word::Unit(word) => self.unit(word).await,
            Word::Role(word) => self.role(word).await,
            Word::Label(word) => self.label(word).await,
            Word::Rule(word) => self.rule(word).await,
            Word::Job(word) => self.job(word).await,
            Word::Mail(word) => self.mail(word).await,
            Word::Evidence(word) => self.evidence(word).await,
            Word::Peer(word) => self.peer(word).await,
            Word::Queue(word) => self.queue(word).await,
            Word::Directory(rest) => not_built("directory", &rest),
            Word::Contact(rest) => not_built("contact", &rest),
            Word::Notify(rest) => not_built("notify", &rest),
            Word::Credit(word) => self.credit(word).await,
            Word::Audit(word) => self.audit(word).await,
            Word::Backup(rest) => not_built("backup", &rest),
            Word::Restore(rest) => not_built("restore", &rest),
            Word::Store(rest) => not_built("store", &rest),
        }
    }
}

/// A promised word that is not there yet.
pub(super) fn not_built(words: &str, rest: &NotBuilt) -> Outcome {
    let verb = rest.rest.first().filter(|_| !words.contains(' '));
    let verb = verb.map(|v| format!(" {v}")).unwrap_or_default();
    Err(Failure::refused(
        Kind::WrongState,
        format!("{words}{verb} is not built yet"),
    ))
}

pub(super) fn one(record: Record) -> Outcome {
    Ok(Answer::One(record))
}

pub(super) fn list(records: impl IntoIterator<Item = Record>) -> Outcome {
    Ok(Answer::List(records.into_iter().collect()))
}
