//! Hostile sessions by the million: `make fuzz`.
//!
//! `KEPD_FUZZ_COMMANDS` says how many commands (default 200,000), `KEPD_FUZZ_SEED` where to begin. Nine of ten go to the
//! engine with a door that answers by chance, the rest to the real door with a real store. Prints rates, the slowest
//! sessions and the memory ceiling; ends with an error when something panicked, hung, disagreed, or took too much memory.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../tests/fuzz/mod.rs"]
mod fuzz;
#[path = "../tests/journey/mailbox_house.rs"]
#[allow(dead_code)]
mod mailbox_house;
#[path = "../tests/journey/provider.rs"]
mod provider;

use fuzz::chance::Chance;
use fuzz::door::Ground;
use fuzz::grammar::Corpus;
use fuzz::{Named, engine, mails, smtp};
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Resident memory above what the process had when its first house stood: tables of the store grow to their bounds,
/// everything else must not grow.
const GROWTH_MAX_MIB: u64 = 96;
/// What glibc's allocator has to be told, lest it keeps for each thread of each house that is gone the 19 MiB of its
/// last password: then what is resident is what is in use.
const ALLOCATOR: [(&str, &str); 2] = [("MALLOC_ARENA_MAX", "2"), ("MALLOC_MMAP_THRESHOLD_", "1048576")];
/// The engines hold a session at a time.
const ENGINES_GROWTH_MAX_MIB: u64 = 64;
/// Rounds at the real door until a new house is built: the old one's store only grows.
const ROUNDS_PER_HOUSE: u64 = 60;
const SESSIONS_AT_ONCE: usize = 4;
/// Panics of foreign parsers that were contained.
static CONTAINED: AtomicU64 = AtomicU64::new(0);

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().expect("a number"))
}

/// Resident memory in MiB.
fn resident_mib() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096 / (1024 * 1024)
}

/// Begins anew with the allocator told, if it was not.
fn tell_allocator() {
    if std::env::var_os(ALLOCATOR[0].0).is_none() {
        let mut anew = Command::new(std::env::current_exe().unwrap());
        let failure = anew.args(std::env::args_os().skip(1)).envs(ALLOCATOR).exec();
        panic!("starting anew: {failure}");
    }
}

fn main() {
    tell_allocator();
    let commands = number("KEPD_FUZZ_COMMANDS", 200_000);
    let seed = number("KEPD_FUZZ_SEED", 1);
    let _named = Named("fuzz", seed);
    println!("seed {seed}, {commands} commands");
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let ours = panic
            .location()
            .is_none_or(|at| !at.file().contains("mail-parser"));
        if ours {
            usual(panic);
        } else if CONTAINED.fetch_add(1, Ordering::Relaxed) < 5 {
            eprintln!("contained: {panic}");
        }
    }));
    let mut chance = Chance::new(seed);
    engines(&mut chance, commands * 9 / 10);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(door(&mut chance, commands / 10));
    println!(
        "panics of foreign parsers, contained: {}",
        CONTAINED.load(Ordering::Relaxed)
    );
}

fn engines(chance: &mut Chance, commands: u64) {
    let (imap, lines) = (
        Corpus::load("imap", &["C: "]),
        Corpus::load("smtp", &["C: ", "C~ "]),
    );
    let (began, before) = (Instant::now(), resident_mib());
    let (mut said, mut answers, mut replies, mut sessions) = (0, 0, 0, 0u64);
    let (mut slowest, mut ceiling) = (Duration::ZERO, before);
    while said < commands {
        let session = Instant::now();
        let (more, answered) = engine::session(chance, &imap);
        said += more;
        answers += answered;
        slowest = slowest.max(session.elapsed());
        replies += smtp::session(chance, &lines);
        mails::read(&mails::mail(chance));
        sessions += 1;
        if sessions.is_multiple_of(1000) {
            ceiling = ceiling.max(resident_mib());
        }
    }
    let took = began.elapsed().as_secs_f64();
    println!(
        "engines: {sessions} sessions, {said} IMAP commands, {answers} lines of answers, {replies} SMTP replies and {sessions} mails \
         in {took:.0} s: {:.0} commands a second; the slowest session {slowest:?}; resident {before} to {ceiling} MiB",
        said as f64 / took
    );
    assert!(ceiling <= before + ENGINES_GROWTH_MAX_MIB, "the engines grow");
}

async fn door(chance: &mut Chance, commands: u64) {
    let corpus = Arc::new(Corpus::load("imap", &["C: "]));
    let mut ground = Ground::new().await;
    let (began, before) = (Instant::now(), resident_mib());
    let (mut said, mut rounds, mut ceiling, mut slowest) = (0, 0u64, before, Duration::ZERO);
    while said < commands {
        if rounds > 0 && rounds.is_multiple_of(ROUNDS_PER_HOUSE) {
            println!("door: {said} commands, {} MiB resident", resident_mib());
            ground = Ground::new().await;
        }
        let round = Instant::now();
        said += ground.round(chance, &corpus, SESSIONS_AT_ONCE).await;
        slowest = slowest.max(round.elapsed());
        rounds += 1;
        ceiling = ceiling.max(resident_mib());
        assert!(
            ceiling <= before + GROWTH_MAX_MIB,
            "{ceiling} MiB are resident, {before} at first"
        );
    }
    let took = began.elapsed().as_secs_f64();
    println!(
        "door: {} sessions, {said} commands in {took:.0} s: {:.0} a second; the slowest round {slowest:?}; resident {before} to {ceiling} MiB",
        rounds * SESSIONS_AT_ONCE as u64,
        said as f64 / took
    );
}
