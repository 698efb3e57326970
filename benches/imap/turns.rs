//! The same small piece of work on each server in turn, many times over (`--turns N`).
//!
//! The clock of a shared machine moves within minutes, and with it whatever is measured one after the other. In turns of
//! some milliseconds all servers meet the same clock, so the ratio of each turn holds, and the median of all turns is
//! steady where two single rates are not. Processor time is read to the nanosecond, of all threads and processes that live;
//! what a server does behind its answers with mails that were brought is in it.

use super::client::{Client, connector};
use super::load::{self, BROUGHT_EACH, Busy, Step};
use super::mails::mail;
use super::measures::Plan;
use super::servers::Server;
use std::time::{Duration, Instant};

const OCTETS: usize = 5 * 1024;
const CONNECTIONS: usize = 16;
const MAILS_EACH: usize = 20;
/// A server is at rest when it takes less than this part of the processor.
const AT_REST: f64 = 0.02;

#[derive(Clone, Copy)]
enum Work {
    StoreOne,
    StoreMany,
    StoreAll,
    Flags,
    Metadata,
    Unseen,
    Text,
    Login,
    Bodies,
    BodiesOne,
    Mixed,
    AppendOne,
    AppendMany,
}

impl Work {
    /// Mails are brought: a server may go on with them behind its answer.
    fn brings(self) -> bool {
        matches!(self, Work::Mixed | Work::AppendOne | Work::AppendMany)
    }
}

/// With the word of `--only` that asks for it. What brings mails comes last: the others find what was there.
const ALL: [(Work, &str, &str); 13] = [
    (Work::StoreOne, "store", "STORE one by one"),
    (Work::StoreMany, "store", "STORE one by one, 16 connections"),
    (Work::StoreAll, "store", "STORE on all, per mail"),
    (Work::Flags, "fetch", "FETCH of all flags, per mail"),
    (Work::Metadata, "fetch", "FETCH of all metadata, per mail"),
    (Work::Unseen, "search", "SEARCH UNSEEN"),
    (Work::Text, "search", "SEARCH TEXT"),
    (Work::Login, "login", "TLS, LOGIN, LOGOUT"),
    (Work::Bodies, "fetch", "FETCH of all bodies, per mail"),
    (Work::BodiesOne, "fetch", "FETCH of bodies one by one"),
    (Work::Mixed, "mixed", "mixed load, 16 connections"),
    (Work::AppendOne, "append", "APPEND of 5 KB, one connection"),
    (Work::AppendMany, "append", "APPEND of 5 KB, 16 connections"),
];

/// What is searched for, one in each turn: words of many mails, of some, and of none.
pub const WORDS: [&str; 4] = ["olağanüstü", "sözleşme", "yoktur böyle", "damga"];

/// STOREs, bodies and mails one by one in one turn.
const STORED: usize = 50;
const FETCHED: usize = 200;
const APPENDED: usize = 20;
/// The numbers of the first that are brought by one, and by many.
const BROUGHT_FROM: usize = 9_000_000;
const BUSY_FROM: usize = 3_000_000;
/// What each of many connections does in one turn.
const MIXED_EACH: usize = 10;
const APPENDED_EACH: usize = 4;

/// A server with all connections that the work needs.
struct Side<'s> {
    name: &'static str,
    server: &'s dyn Server,
    one: Client,
    many: Vec<Busy>,
    mails: usize,
    /// Single STOREs so far, single bodies, and mails brought.
    stored: usize,
    fetched: usize,
    brought: usize,
    turns: usize,
    /// Microseconds of each turn for one operation: until all was answered, and of the processor.
    took: Vec<(f64, Option<f64>)>,
}

impl<'s> Side<'s> {
    async fn prepare(name: &'static str, server: &'s dyn Server, mails: usize) -> Self {
        let one = opened(server, 0, mails).await;
        let mut many = Vec::new();
        for n in 1..=CONNECTIONS {
            let client = opened(server, n, MAILS_EACH).await;
            many.push(Busy::new(
                BUSY_FROM + n * BROUGHT_EACH,
                client,
                server.mailbox(),
                MAILS_EACH,
            ));
        }
        assert!(
            server.cpu_now_us() > 0.0,
            "the kernel does not count the time of threads"
        );
        rest(server, Duration::from_secs(1)).await;
        Self {
            name,
            server,
            one,
            many,
            mails,
            stored: 0,
            fetched: 0,
            brought: 0,
            turns: 0,
            took: Vec::new(),
        }
    }

    async fn turn(&mut self, work: Work) {
        let (cpu, began) = (self.server.cpu_now_us(), Instant::now());
        let count = self.work(work).await as f64;
        let took = began.elapsed().as_secs_f64() * 1e6;
        if work.brings() {
            rest(self.server, Duration::from_millis(100)).await;
        }
        // A thread that ended within the turn took its count with it.
        let cpu = Some(self.server.cpu_now_us() - cpu).filter(|cpu| *cpu > 0.0);
        self.took.push((took / count, cpu.map(|cpu| cpu / count)));
        self.turns += 1;
    }

    /// How many operations it was.
    async fn work(&mut self, work: Work) -> usize {
        let how = if self.turns.is_multiple_of(2) { '+' } else { '-' };
        match work {
            Work::StoreOne => {
                for _ in 0..STORED {
                    let (round, n) = (self.stored / self.mails, self.stored % self.mails + 1);
                    let how = if round.is_multiple_of(2) { '+' } else { '-' };
                    self.one.ok(&format!("STORE {n} {how}FLAGS (\\Flagged)")).await;
                    self.stored += 1;
                }
                STORED
            }
            Work::StoreMany => self.each(MAILS_EACH, Step::Store(how)).await,
            Work::StoreAll => {
                for how in ['+', '-'] {
                    self.one.ok(&format!("STORE 1:* {how}FLAGS (\\Answered)")).await;
                }
                2 * self.mails
            }
            Work::Flags => {
                self.one.ok("FETCH 1:* (UID FLAGS)").await;
                self.mails
            }
            Work::Metadata => {
                let all = "FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE)";
                self.one.ok(all).await;
                self.mails
            }
            Work::Unseen => {
                self.one.ok("SEARCH UNSEEN").await;
                1
            }
            Work::Text => {
                let word = WORDS[self.turns % WORDS.len()];
                self.one
                    .ok(&format!("SEARCH CHARSET UTF-8 TEXT \"{word}\""))
                    .await;
                1
            }
            Work::Login => {
                let (login, password) = self.server.login(0);
                let mut client = Client::log_in(&connector(), self.server.port(), &login, &password).await;
                client.ok("LOGOUT").await;
                1
            }
            Work::Bodies => {
                self.one.ok("FETCH 1:* BODY.PEEK[]").await;
                self.mails
            }
            Work::BodiesOne => {
                for _ in 0..FETCHED {
                    let n = self.fetched % self.mails + 1;
                    self.one.ok(&format!("FETCH {n} BODY.PEEK[]")).await;
                    self.fetched += 1;
                }
                FETCHED
            }
            Work::Mixed => self.each(MIXED_EACH, Step::Mixed).await,
            Work::AppendOne => {
                for _ in 0..APPENDED {
                    let message = mail(BROUGHT_FROM + self.brought, OCTETS, "user1@hs01.kep.test");
                    self.one.append(self.server.mailbox(), &message).await;
                    self.brought += 1;
                }
                APPENDED
            }
            Work::AppendMany => self.each(APPENDED_EACH, Step::Append).await,
        }
    }

    /// All of the many do it so many times.
    async fn each(&mut self, rounds: usize, step: Step) -> usize {
        self.many = load::all(std::mem::take(&mut self.many), rounds, step).await;
        CONNECTIONS * rounds
    }
}

/// Waits until a server has done what it does behind its answers, such as an index of what was brought; looks every so often.
async fn rest(server: &dyn Server, every: Duration) {
    let mut last = server.cpu_now_us();
    loop {
        tokio::time::sleep(every).await;
        let now = server.cpu_now_us();
        if now - last < AT_REST * every.as_secs_f64() * 1e6 {
            return;
        }
        last = now;
    }
}

/// A mailbox with so many mails, selected.
async fn opened(server: &dyn Server, account: usize, mails: usize) -> Client {
    let (login, password) = server.login(account);
    let mut client = Client::log_in(&connector(), server.port(), &login, &password).await;
    for n in 0..mails {
        let message = mail(account * 100_000 + n, OCTETS, "user1@hs01.kep.test");
        client.append(server.mailbox(), &message).await;
    }
    client.ok(&format!("SELECT {}", server.mailbox())).await;
    client
}

/// Prints, for each work that is wanted, every server beside the last one: how many times as fast that is, and what it
/// takes of the processor to this one's.
pub async fn run(servers: &[(&'static str, &dyn Server)], plan: &Plan, turns: usize) {
    let mut sides = Vec::new();
    for (name, server) in servers {
        eprintln!("filling {name}");
        sides.push(Side::prepare(name, *server, plan.mails).await);
    }
    // The kernel has much of it to write yet, and who syncs meanwhile would wait for that, too.
    rustix::fs::sync();
    println!(
        "{:<34} {:<18} {:>11} {:>9} {:>22} {:>22}",
        "what", "server", "us", "CPU us", "rate: ours by it", "CPU: ours by it"
    );
    for (work, word, what) in ALL {
        if !plan.wants(word) {
            continue;
        }
        for side in &mut sides {
            side.took.clear();
            side.turns = 0;
            // Once unmeasured in each direction: caches are filled, and flags are as they were before.
            side.turn(work).await;
            side.turn(work).await;
            side.took.clear();
        }
        for turn in 0..turns {
            // Forth and back, so that nobody always comes behind the same one.
            let many = sides.len();
            for n in 0..many {
                let n = if turn % 2 == 0 { n } else { many - 1 - n };
                sides[(turn / 2 + n) % many].turn(work).await;
            }
        }
        print(what, &sides);
    }
}

fn print(what: &str, sides: &[Side<'_>]) {
    let Some((ours, others)) = sides.split_last() else {
        return;
    };
    let row = |side: &Side<'_>, rate: String, cpu: String| {
        let (wall, of_cpu) = (
            quartiles(side.took.iter().map(|t| t.0)),
            quartiles(side.took.iter().filter_map(|t| t.1)),
        );
        println!(
            "{what:<34} {:<18} {:>11.2} {:>9.2} {rate:>22} {cpu:>22}",
            side.name, wall[1], of_cpu[1]
        );
    };
    for other in others {
        let pairs = || other.took.iter().zip(&ours.took);
        let shown = |[low, middle, high]: [f64; 3]| format!("{middle:.2} ({low:.2} to {high:.2})");
        let rate = quartiles(pairs().map(|(his, own)| his.0 / own.0));
        let cpu = quartiles(pairs().filter_map(|(his, own)| Some(own.1? / his.1?)));
        row(other, shown(rate), shown(cpu));
    }
    row(ours, String::new(), String::new());
}

/// The first quarter, the median, and the last quarter.
fn quartiles(numbers: impl Iterator<Item = f64>) -> [f64; 3] {
    let mut numbers: Vec<f64> = numbers.collect();
    numbers.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| {
        let at = numbers.len() * quarter / 4;
        numbers.get(at).copied().unwrap_or(f64::NAN)
    })
}
