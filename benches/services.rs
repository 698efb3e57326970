//! What the services do in a second, in one process, without sockets: `cargo bench`.
//!
//! Everything durable is synced as in production, on the disk that holds the build folder. The time-stamp authority is
//! the built-in one in the same process, so its share of the CPU is in the figures and is also given by itself.
//! A plain table, no statistics: the machine decides more than the third digit.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../tests/journey/provider.rs"]
mod provider;

use kepd::clock::{Clock, ManualClock};
use kepd::store::db::{Batch, Db, EngineKind};
use kepd::store::probe::NoProbe;
use kepd::store::spool::Spool;
use kepd::store::tables::work::{self, OwedEvidence};
use provider::{Provider, START, Wires};
use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

const BODY_OCTETS: usize = 5 * 1024;
const DOMAIN: &str = "hs01.kep.test";
const TO: &str = "veli@hs01.kep.test";
/// Ticks of the CPU clock in `/proc`, fixed at 100 for all programs.
const TICK: Duration = Duration::from_millis(10);

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    println!(
        "{:<58} {:>9} {:>12} {:>12}",
        "what", "count", "per second", "CPU ms each"
    );
    runtime.block_on(async {
        for callers in [1, 16, 64] {
            spool(&dir.path().join(format!("spool{callers}")), callers).await;
        }
        for engine in [EngineKind::Fjall, EngineKind::Sled] {
            for callers in [1, 16, 64] {
                store(&dir.path().join(format!("{engine:?}{callers}")), engine, callers).await;
            }
        }
        let provider = provider(dir.path()).await;
        submissions(&provider, 1, 200).await;
        submissions(&provider, 16, 1000).await;
        sealing(&provider).await;
        stations(&provider).await;
    });
}

/// CPU time of this process so far, all threads.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    TICK * (fields[11].parse::<u32>().unwrap() + fields[12].parse::<u32>().unwrap())
}

/// Runs `work` and prints a row; `work` gives how many it did.
async fn row(what: &str, work: impl Future<Output = usize>) {
    let (began, cpu_began) = (Instant::now(), cpu());
    let count = work.await;
    let (took, busy) = (began.elapsed().as_secs_f64(), (cpu() - cpu_began).as_secs_f64());
    let n = count as f64;
    println!(
        "{what:<58} {count:>9} {:>12.0} {:>12.2}",
        n / took,
        busy * 1000.0 / n
    );
}

/// Shares `count` pieces of work among `callers`.
async fn among<F: Future<Output = ()> + Send + 'static>(
    callers: usize,
    count: usize,
    each: impl Fn(usize) -> F + Clone + Send + 'static,
) -> usize {
    let call = |first: usize| {
        let each = each.clone();
        let works: Vec<F> = (first..count).step_by(callers).map(each).collect();
        tokio::spawn(async move {
            for work in works {
                work.await;
            }
        })
    };
    for caller in (0..callers).map(call).collect::<Vec<_>>() {
        caller.await.unwrap();
    }
    count
}

async fn spool(dir: &Path, callers: usize) {
    let spool = Spool::open(dir, Arc::new(NoProbe)).unwrap();
    let write = move |n: usize| {
        let spool = spool.clone();
        async move {
            let octets = format!("{n:015}\n").repeat(BODY_OCTETS / 16).into_bytes();
            spool.store(&octets).await.unwrap();
        }
    };
    row(
        &format!("spool: blobs of 5 KB, {callers} writers"),
        among(callers, 100 + 12 * callers, write),
    )
    .await;
}

async fn store(dir: &Path, engine: EngineKind, callers: usize) {
    let db = kepd::store::db::open(engine, dir, Arc::new(NoProbe)).unwrap();
    let commit = move |n: usize| {
        let db: Arc<dyn Db> = db.clone();
        async move {
            let mut batch = Batch::new();
            for row in 0..5u8 {
                let key = [b"t".as_slice(), &n.to_be_bytes(), &[row]].concat();
                batch.require_absent(key.clone()).put(key, vec![row; 200]);
            }
            db.commit(batch).await.unwrap();
        }
    };
    let what = format!("store: commits of 5 rows, {engine:?}, {callers} callers");
    row(&what, among(callers, 200 + 40 * callers, commit)).await;
}

async fn provider(dir: &Path) -> Provider {
    let clock = Arc::new(ManualClock::at(START));
    let provider = Provider::open(DOMAIN, &dir.join("hs01"), &clock, &Wires::default());
    provider.add_ornekas().await;
    provider.add_person("veli").await;
    provider
}

fn message(session: &str, n: usize) -> String {
    format!(
        "Date: Mon, 23 Nov 2026 10:00:00 +0300\r\nMessage-ID: <{session}.{n}@ornek>\r\n\
         From: Ornek <ornekas@{DOMAIN}>\r\nTo: {TO}\r\nSubject: Duyuru {n}\r\nMIME-Version: 1.0\r\n\
         Content-Type: text/plain; charset=utf-8\r\n\r\n{}",
        "Bu iletinin kendisi kısa, ekleri uzundur.\r\n".repeat(BODY_OCTETS / 44)
    )
}

async fn submissions(provider: &Provider, sessions: usize, count: usize) {
    let name = format!("s{sessions}");
    let own = provider.clone();
    let submit = move |n: usize| {
        let (provider, text) = (own.clone(), message(&name, n));
        async move {
            provider.submit("mudur@ornekas", &[TO], &text).await.unwrap();
        }
    };
    let what = format!("submissions of 5 KB accepted, {sessions} sessions");
    row(&what, among(sessions, count, submit)).await;
}

/// Documents and signatures by themselves.
async fn sealing(provider: &Provider) {
    let owed = work::all::<OwedEvidence>(&*provider.db).unwrap();
    let facts = owed[0].1.row.facts.clone();
    let (sealer, now) = (provider.dispatch.sealer.clone(), provider.clock.now());
    let count = 500;
    row("evidence documents written", async {
        for _ in 0..count {
            std::hint::black_box(kepd::rem::evidence::write(&facts).unwrap());
        }
        count
    })
    .await;
    let document = kepd::rem::evidence::write(&facts).unwrap();
    row("evidence documents signed and time-stamped (XAdES)", async {
        for _ in 0..count {
            sealer.seal_evidence(&document.xml, now).await.unwrap();
        }
        count
    })
    .await;
    row("entities signed (CMS)", async {
        for _ in 0..count {
            sealer.sign_entity([7; 32], now).await.unwrap();
        }
        count
    })
    .await;
    row("entities signed and time-stamped (CAdES)", async {
        for _ in 0..count {
            sealer.seal_entity([7; 32], now).await.unwrap();
        }
        count
    })
    .await;
}

/// The accepted mails on their way: each station empties its table before the next begins.
async fn stations(provider: &Provider) {
    let (began, cpu_began) = (Instant::now(), cpu());
    row(
        "notary: submission evidence sealed and filed",
        drain(|| provider.notary.run_due()),
    )
    .await;
    row("dispatch: copies sealed", drain(|| provider.dispatch.run_due())).await;
    row(
        "delivery: dispatches consigned",
        drain(|| provider.delivery.run_due()),
    )
    .await;
    row(
        "notary: delivery evidence sealed and filed",
        drain(|| provider.notary.run_due()),
    )
    .await;
    let count = provider
        .items("veli")
        .iter()
        .filter(|i| i.kind == kepd::domain::item::ItemKind::Incoming)
        .count();
    let (took, busy) = (began.elapsed().as_secs_f64(), (cpu() - cpu_began).as_secs_f64());
    let n = count as f64;
    println!(
        "{:<58} {count:>9} {:>12.0} {:>12.2}",
        "sealed deliveries, all stations after acceptance",
        n / took,
        busy * 1000.0 / n
    );
}

async fn drain<F>(mut station: impl FnMut() -> F) -> usize
where
    F: Future<Output = Result<usize, kepd::service::failure::Failure>>,
{
    let mut count = 0;
    loop {
        match station().await.unwrap() {
            0 => return count,
            n => count += n,
        }
    }
}
