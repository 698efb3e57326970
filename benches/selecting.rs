//! SELECT of a mailbox of a million messages, and the memory of sessions that have it open. `cargo bench --bench selecting`.
//!
//! Through the mailbox door on a pipe, without TLS and sockets. The members stand in the view without items behind them:
//! SELECT reads none. A plain table, no statistics.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[allow(dead_code)]
#[path = "../tests/journey/mailbox_house.rs"]
mod mailbox_house;
#[path = "../tests/journey/provider.rs"]
mod provider;

use kepd::domain::audit::Origin;
use kepd::domain::selector::Mailbox;
use kepd::id::ItemId;
use kepd::net::imap::{Begin, ImapDoor};
use kepd::store::db::Batch;
use kepd::store::tables::views::{self, Scope};
use mailbox_house::{House, PASSWORD};
use std::sync::Arc;
use std::time::Instant;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream};
use tokio::sync::watch;

const MEMBERS: u64 = 1_000_000;
/// Members entered by one batch.
const BATCH: u64 = 4_000;
const SELECTS: u32 = 50;
/// With the first one as many as a user may have open (`service::account`).
const SESSIONS: usize = 99;
/// Item numbers that no item has.
const FIRST: u64 = 1 << 40;
/// A page of memory.
const PAGE_KB: usize = 4;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(measure());
}

fn resident_kb() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * PAGE_KB
}

async fn fill(house: &House) {
    let by = house.user("mudur");
    house.mailboxes.open(&by, Mailbox::Inbox).await.unwrap();
    for first in (0..MEMBERS).step_by(BATCH as usize) {
        let stored = views::view(house.db(), house.tenant, Mailbox::Inbox, Scope::Officers);
        let stored = stored.unwrap().unwrap();
        let (mut batch, mut next) = (Batch::new(), stored.row.clone());
        for n in first..(first + BATCH).min(MEMBERS) {
            views::enter(&mut batch, house.tenant, &mut next, ItemId(FIRST + n), None);
        }
        stored.replace(&mut batch, &next).unwrap();
        house.db().commit(batch).await.unwrap();
    }
}

struct Client(BufReader<DuplexStream>, #[allow(dead_code)] watch::Sender<bool>);

impl Client {
    async fn log_in(door: &Arc<ImapDoor>, login: &str) -> Self {
        let (pipe, server) = tokio::io::duplex(4096);
        let (keep, stopping) = watch::channel(false);
        let door = door.clone();
        tokio::spawn(async move { door.serve(server, Begin::Tls, Origin::Inside, stopping).await });
        let mut client = Self(BufReader::with_capacity(512, pipe), keep);
        client.say(&format!("LOGIN {login} \"{PASSWORD}\"")).await;
        client
    }

    async fn say(&mut self, command: &str) {
        let line = format!("a {command}\r\n");
        self.0.get_mut().write_all(line.as_bytes()).await.unwrap();
        let mut line = String::new();
        loop {
            line.clear();
            assert!(self.0.read_line(&mut line).await.unwrap() > 0);
            if line.starts_with("a ") {
                assert!(line.starts_with("a OK"), "{line}");
                return;
            }
        }
    }
}

async fn measure() {
    let house = House::build().await.with_passwords().await;
    let before = Instant::now();
    fill(&house).await;
    println!("{MEMBERS} members entered in {:?}", before.elapsed());
    let house = house.restart();
    let door = Arc::new(mailbox_house::door(
        house.mailboxes.clone(),
        house.accounts.clone(),
    ));
    let mut client = Client::log_in(&door, "mudur@ornekas").await;
    let (before, memory) = (Instant::now(), resident_kb());
    client.say("SELECT INBOX").await;
    println!(
        "SELECT, the first after a start: {:?}; the roster takes {} KB",
        before.elapsed(),
        resident_kb().saturating_sub(memory)
    );
    let before = Instant::now();
    for _ in 0..SELECTS {
        client.say("SELECT INBOX").await;
    }
    println!("SELECT, seen before: {:?}", before.elapsed() / SELECTS);
    let before = Instant::now();
    for _ in 0..SELECTS {
        client.say("STATUS INBOX (MESSAGES UIDNEXT HIGHESTMODSEQ)").await;
    }
    println!("STATUS: {:?}", before.elapsed() / SELECTS);
    let mut sessions = Vec::new();
    for _ in 0..SESSIONS {
        sessions.push(Client::log_in(&door, "mudur@ornekas").await);
    }
    let memory = resident_kb();
    for session in &mut sessions {
        session.say("SELECT INBOX").await;
    }
    let each = resident_kb().saturating_sub(memory) as f64 / SESSIONS as f64;
    println!("a session that selects it: {each:.1} KB more ({SESSIONS} sessions)");
    // News are taken in by each, and the memory is one again.
    house.put(b"Subject: x\r\n\r\nx\r\n", |_| {}).await;
    let memory = resident_kb();
    let before = Instant::now();
    for session in &mut sessions {
        session.say("NOOP").await;
    }
    let each = resident_kb().saturating_sub(memory) as f64 / SESSIONS as f64;
    println!(
        "NOOP that tells of a new message: {:?}, {each:.1} KB more",
        before.elapsed() / SESSIONS as u32
    );
}
