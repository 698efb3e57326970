//! Kills. A child process serves two providers and tells each acknowledgement; it ends at a named point around a
//! durable step, or at a random moment. The parent opens what is left, hands in again what was not acknowledged, works
//! to the end, and looks for what was lost, doubled or half done. One folder goes through many kills.
//!
//! `KEPD_CRASH_KILLS=n` makes n random kills besides the named points; `KEPD_CRASH_SEED` repeats a run's draws (the
//! moments themselves depend on the machine). A process that dies loses no page cache: power loss is not shown here.

#[path = "crash/check.rs"]
mod check;
#[path = "crash/credit.rs"]
mod credit;
#[path = "crash/rows.rs"]
mod rows;

use crate::provider::{Provider, START, Wires, shared_pki};
use crate::road::message;
use kepd::clock::{Clock, ManualClock, UtcTime};
use kepd::domain::item::ItemKind;
use kepd::domain::job::{Act, JobState, Route};
use kepd::domain::mail::Declared;
use kepd::id::JobId;
use kepd::service::approval::DecisionAsked;
use kepd::service::declaring::DeclarationAsked;
use kepd::service::failure::Failure;
use kepd::service::submission::Accepted;
use kepd::store::db::Batch;
use kepd::store::probe::{CRASH_POINTS, NoProbe, Probe};
use kepd::store::tables::{flags, items, jobs};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Receiver;
use std::time::Duration;

/// Carries the orders to a child.
const ORDERS: &str = "KEPD_CRASH_CHILD";
/// Kills that one folder goes through before a fresh one: the checks look at everything in it each time.
const CHAIN_KILLS: u64 = 8;
/// Messages of one child at most; every point is reached long before.
const MESSAGES_MAX: u64 = 400;
/// Random kills of a short run.
const SHORT_KILLS: u64 = 6;

const HS01: &str = "hs01.kep.test";
const HS02: &str = "hs02.kep.test";
const ALICI: &str = "alici@hs02.kep.test";
const GIZLI: &str = "gizli@hs02.kep.test";
const VELI: &str = "veli@hs01.kep.test";

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Orders {
    dir: PathBuf,
    /// The number of the first message, or batch.
    first: u64,
    clock_ms: i64,
    /// The point to die at, and at which reach of it; none to live until killed.
    point: Option<(String, u64)>,
    engine: kepd::store::db::EngineKind,
}

/// Ends the process when a point has been reached so often.
struct Trap {
    point: String,
    left: AtomicU64,
}

impl Probe for Trap {
    fn reached(&self, point: &'static str) {
        if point == self.point && self.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            std::process::abort();
        }
    }
}

impl Orders {
    fn probe(&self) -> Arc<dyn Probe> {
        match &self.point {
            Some((point, nth)) => Arc::new(Trap {
                point: point.clone(),
                left: AtomicU64::new(*nth),
            }),
            None => Arc::new(NoProbe),
        }
    }
}

/// Tells the parent, at once.
fn tell(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").unwrap();
    out.flush().unwrap();
}

/// A number generator that can be repeated (SplitMix64).
pub struct Draws(u64);

impl Draws {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
}

fn number_from_env(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().map_or(otherwise, |v| v.parse().unwrap())
}

/// Message number `n`: the same octets whenever it is made.
struct Letter {
    by: &'static str,
    to: Vec<&'static str>,
    in_flow: bool,
    text: String,
}

fn letter(n: u64) -> Letter {
    let in_flow = n % 4 == 3;
    let (to, head): (Vec<&str>, String) = match n % 4 {
        0 | 3 => (vec![ALICI], String::new()),
        1 => (vec![VELI], String::new()),
        _ => (vec![ALICI, VELI, GIZLI], format!("Bcc: {GIZLI}\r\n")),
    };
    let seen = to
        .iter()
        .filter(|t| **t != GIZLI)
        .copied()
        .collect::<Vec<_>>()
        .join(", ");
    let subject = if in_flow {
        format!("Teklif {n}")
    } else {
        format!("Duyuru {n}")
    };
    // The form of the delivery evidence: each on every way.
    let wish = ["", "X-KEP-Makbuz: kisa\r\n", "X-KEP-Makbuz: tam\r\n"][n as usize % 3];
    let mut text = format!(
        "Date: Mon, 23 Nov 2026 10:00:00 +0300\r\nMessage-ID: {}\r\n{wish}{head}{}",
        message_id(n),
        message(&subject, &seen)
    );
    if n % 7 == 6 {
        // Larger than a writer's buffer: takes the way through a file.
        text.push_str(&"Bu satır yalnız yer tutar.\r\n".repeat(4000));
    }
    Letter {
        by: if in_flow { "ayse@ornekas" } else { "mudur@ornekas" },
        to,
        in_flow,
        text,
    }
}

fn message_id(n: u64) -> String {
    format!("<{n}@ornek>")
}

/// Both providers as they stand in a folder.
struct Served {
    dir: PathBuf,
    hs01: Provider,
    hs02: Provider,
    wires: Wires,
    clock: Arc<ManualClock>,
}

impl Served {
    fn open(dir: &Path, at: UtcTime, probe: Arc<dyn Probe>) -> Self {
        for domain in [HS01, HS02] {
            shared_pki(domain, dir);
        }
        let (clock, wires) = (Arc::new(ManualClock::at(at)), Wires::default());
        let hs01 = Provider::open_probed(HS01, &dir.join("hs01"), &clock, &wires, probe.clone());
        let hs02 = Provider::open_probed(HS02, &dir.join("hs02"), &clock, &wires, probe);
        Self {
            dir: dir.to_owned(),
            hs01,
            hs02,
            wires,
            clock,
        }
    }

    /// Lets go of the stores: the wires hold the providers, and the providers the wires.
    fn close(self) {
        self.wires.cut(HS01);
        self.wires.cut(HS02);
    }

    async fn work(&self) {
        while self.hs01.work().await + self.hs02.work().await > 0 {}
    }

    /// Decides a job to its end; `told` hears of each decision.
    async fn finish_job(&self, job: JobId, mut told: impl FnMut(u64)) {
        loop {
            let stored = jobs::job(&*self.hs01.db, self.hs01.tenant("ornekas"), job).unwrap();
            let (login, act) = match stored.unwrap().row.standing.state {
                JobState::Waiting(0) => ("onay1@ornekas", Act::Approve),
                JobState::Waiting(_) => ("onay2@ornekas", Act::Approve),
                JobState::Ready => ("mudur@ornekas", Act::Release),
                _ => return,
            };
            let asked = DecisionAsked {
                job,
                act,
                route: Route::Kepctl,
                note: "",
                original_sha256: None,
            };
            let by = self.hs01.principal(login);
            let decided = self.hs01.approval.decide(&by, asked).await.unwrap();
            told(u64::from(decided.entries));
        }
    }

    async fn submit(&self, n: u64) -> Accepted {
        let letter = letter(n);
        self.hs01
            .submit(letter.by, &letter.to, &letter.text)
            .await
            .unwrap()
    }

    /// A user marks the newest item: flags have a change row of their own.
    async fn flag_newest(&self) {
        let db = &*self.hs01.db;
        let (tenant, user) = (
            self.hs01.tenant("ornekas"),
            self.hs01.principal("mudur@ornekas").user,
        );
        let item = items::last_item(db, tenant).unwrap();
        let old = flags::flags(db, tenant, user, item).unwrap();
        let mut flags = old.clone().unwrap_or_default();
        flags.seen = !flags.seen;
        let mut batch = Batch::new();
        flags::put_flags(&mut batch, tenant, user, item, old.as_ref(), &flags).unwrap();
        self.hs01.db.commit(batch).await.unwrap();
    }
}

/// The word of a recipient on what came in last, by turns accepted and refused; once for each mail.
async fn declare_newest(p: &Provider, name: &str, n: u64) {
    let mut items = p.items(name).into_iter();
    let Some(newest) = items.rfind(|i| i.kind == ItemKind::Incoming) else {
        return;
    };
    let asked = DeclarationAsked {
        mail: newest.mail.unwrap(),
        declared: Declared::ALL[(n % 2) as usize],
        route: Route::Kepctl,
        note: "Uygundur",
        original_sha256: None,
    };
    let by = p.principal(&format!("{name}@{name}"));
    match p.declaring.declare(&by, asked).await {
        // Declared before.
        Ok(_) | Err(Failure::Refused(_)) => {}
        Err(other) => panic!("{other}"),
    }
}

/// Not a test of its own: what the child process runs. Without orders it returns at once.
#[tokio::test]
async fn child() {
    let Ok(orders) = std::env::var(ORDERS) else { return };
    let orders: Orders = serde_json::from_str(&orders).unwrap();
    let served = Served::open(
        &orders.dir,
        UtcTime::from_unix_ms(orders.clock_ms),
        orders.probe(),
    );
    tell("\nready");
    for n in orders.first..orders.first + MESSAGES_MAX {
        let accepted = served.submit(n).await;
        tell(&format!("ack {n}"));
        if let Accepted::Job { job, .. } = accepted {
            served.finish_job(job, |k| tell(&format!("act {n} {k}"))).await;
        }
        served.flag_newest().await;
        if n % 3 == 2 {
            served.work().await;
            declare_newest(&served.hs01, "veli", n).await;
            declare_newest(&served.hs02, "alici", n).await;
        }
    }
}

enum How {
    Point(&'static str, u64),
    Random,
}

/// What a child told before it died.
#[derive(Default)]
struct Told {
    /// The last message that was acknowledged.
    last: Option<u64>,
    /// Decisions acknowledged, by message.
    acts: HashMap<u64, u64>,
}

impl Told {
    fn hear(&mut self, line: &str) {
        let mut words = line.split(' ');
        let word = words.next().unwrap_or_default();
        let mut number = || words.next().and_then(|w| w.parse().ok());
        match (word, number(), number()) {
            ("ack", Some(n), None) => self.last = Some(self.last.map_or(n, |l: u64| l.max(n))),
            ("act", Some(n), Some(k)) => drop(self.acts.insert(n, k)),
            _ => {}
        }
    }
}

/// Runs a child under orders until it dies. `each` hears every line that reached us.
fn run_to_death(test: &str, orders: &Orders, draws: &mut Draws, mut each: impl FnMut(&str)) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(ORDERS, serde_json::to_string(orders).unwrap())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = lines_of(child.stdout.take().unwrap());
    let errors = lines_of(child.stderr.take().unwrap());
    if orders.point.is_none() {
        // At a random moment after a random number of acknowledgements.
        let (mut acks, moment) = (draws.below(8), Duration::from_micros(draws.below(60_000)));
        while let Ok(line) = lines.recv() {
            each(&line);
            if line == "ready" || line.starts_with("ack") {
                if acks == 0 {
                    break;
                }
                acks -= 1;
            }
        }
        let end = std::time::Instant::now() + moment;
        while let Ok(line) = lines.recv_timeout(end.saturating_duration_since(std::time::Instant::now())) {
            each(&line);
        }
        child.kill().unwrap();
    }
    lines.iter().for_each(|line| each(&line));
    let status = child.wait().unwrap();
    let said: Vec<String> = errors.iter().collect();
    let signal = std::os::unix::process::ExitStatusExt::signal(&status);
    assert!(
        signal.is_some(),
        "the child was not killed: {status}\n{}",
        said.join("\n")
    );
}

fn lines_of(pipe: impl std::io::Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    lines
}

/// A folder in memory where there is room: what survives the death of a process is the same there, and syncs are free.
fn fresh_dir() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let roomy = rustix::fs::statvfs(memory).is_ok_and(|s| s.f_bavail.saturating_mul(s.f_frsize) > 1 << 30);
    let made = roomy.then(|| tempfile::tempdir_in(memory).ok()).flatten();
    made.unwrap_or_else(|| tempfile::tempdir().unwrap())
}

/// One folder on its way through many kills.
struct Chain {
    dir: tempfile::TempDir,
    clock: UtcTime,
    /// The first message that no child has been told to submit.
    next: u64,
    acts: HashMap<u64, u64>,
}

impl Chain {
    async fn begin() -> Self {
        let dir = fresh_dir();
        let served = Served::open(dir.path(), START, Arc::new(NoProbe));
        served.hs01.knows(HS02).await;
        served.hs02.knows(HS01).await;
        served.hs01.add_ornekas().await;
        credit::prepaid(&served.hs01).await;
        served.hs01.add_person("veli").await;
        served.hs02.add_person("alici").await;
        served.hs02.add_person("gizli").await;
        served.close();
        Self {
            dir,
            clock: START,
            next: 0,
            acts: HashMap::new(),
        }
    }

    async fn kill(&mut self, how: &How, draws: &mut Draws) {
        let orders = Orders {
            dir: self.dir.path().to_owned(),
            first: self.next,
            clock_ms: self.clock.unix_ms(),
            point: match how {
                How::Point(point, nth) => Some(((*point).to_owned(), *nth)),
                How::Random => None,
            },
            engine: Default::default(),
        };
        let mut told = Told::default();
        run_to_death("crash::child", &orders, draws, |line| told.hear(line));
        // The one after the last acknowledged may be there or not: its client tries again.
        let unsure = told.last.map_or(self.next, |n| n + 1);
        self.acts.extend(told.acts);
        self.recover(unsure).await;
        self.next = unsure + 1;
    }

    async fn recover(&mut self, unsure: u64) {
        let served = Served::open(self.dir.path(), self.clock, Arc::new(NoProbe));
        served.submit(unsure).await;
        served.submit(unsure).await;
        let tenant = served.hs01.tenant("ornekas");
        for job in jobs::all(&*served.hs01.db, tenant).unwrap() {
            let number = job.row.subject.strip_prefix("Teklif ").unwrap().parse().unwrap();
            let told: u64 = self.acts.get(&number).copied().unwrap_or(0);
            assert!(
                u64::from(job.row.entries) >= told,
                "a decision on {number} is lost"
            );
            served.finish_job(job.row.id, |_| {}).await;
        }
        served.work().await;
        served.clock.advance(Duration::from_secs(25 * 3600));
        served.work().await;
        self.clock = served.clock.now();
        check::all(&served, unsure).await;
        served.close();
    }
}

/// Every named point, and random moments between.
#[tokio::test]
async fn crash_at_any_moment_loses_and_doubles_nothing() {
    if std::env::var(ORDERS).is_ok() {
        return;
    }
    let seed = number_from_env("KEPD_CRASH_SEED", 1);
    let kills = number_from_env("KEPD_CRASH_KILLS", SHORT_KILLS);
    let mut draws = Draws(seed);
    let mut plan: Vec<How> = Vec::new();
    for _ in 0..(kills / 20).max(1) {
        plan.extend(CRASH_POINTS.map(|point| How::Point(point, 1 + draws.below(60))));
    }
    plan.extend((0..kills).map(|_| How::Random));
    let mut chain = Chain::begin().await;
    for (n, how) in plan.iter().enumerate() {
        let name = match how {
            How::Point(point, nth) => format!("\"{point}\", reach {nth}"),
            How::Random => "a random moment".to_owned(),
        };
        // Shown only when the test fails.
        println!("seed {seed}, kill {n} at {name}, from message {}", chain.next);
        if n as u64 % CHAIN_KILLS == CHAIN_KILLS - 1 {
            chain = Chain::begin().await;
        }
        chain.kill(how, &mut draws).await;
    }
}
