//! kepd's IMAP door against Dovecot's, on the same machine in the same run. `cargo bench --bench imap`.
//!
//! Both servers run as they would in production - TLS, passwords hashed with the same Argon2id parameters, what is
//! stored is synced - in folders under `target/`, and are driven by the same client over loopback. For each
//! operation the table has the rate and the server's CPU time, and the ratios of both (kepd divided by Dovecot: below 1
//! is better for CPU, above 1 for rates). kepd's process is `kepd demo`: it holds two providers, of which the second
//! waits. Dovecot is measured with all its processes, mail in its own `sdbox` format (`--format maildir` for the other).
//! Without Dovecot (Debian: dovecot-imapd) only kepd is measured.
//!
//! Needs `cargo build --release --bins` first. Options: `--only NAME,NAME`, `--mails N`, `--format F`, `--json`; and
//! `--turns N` for what lies near to each other: all servers side by side, a piece of work on each in turn (`turns`), with
//! `--beside FILE` another build of kepd among them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod client;
mod load;
mod mails;
mod measures;
mod servers;
mod turns;

use measures::{Figure, Plan};
use servers::{Dovecot, Kepd, Server, Syncs};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

struct Options {
    only: Vec<String>,
    mails: usize,
    format: String,
    json: bool,
    /// 0: one server after the other.
    turns: usize,
    /// Another build of the daemon, measured too when in turns.
    beside: Option<PathBuf>,
}

fn main() {
    let options = options();
    assert!(
        options.beside.is_none() || options.turns > 0,
        "--beside FILE wants --turns N"
    );
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("imap-bench");
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    let plan = Plan {
        only: options.only.clone(),
        mails: options.mails,
    };
    if options.turns > 0 {
        runtime.block_on(in_turns(&folder, &plan, &options));
        let _ = std::fs::remove_dir_all(&folder);
        return;
    }
    let mut all: Vec<(&'static str, Vec<Figure>)> = Vec::new();
    let mut synced = Vec::new();
    if let Some(dovecot) = Dovecot::start(&folder.join("dovecot"), &options.format, Syncs::ItsDefault) {
        all.push(("dovecot", runtime.block_on(measures::run(&dovecot, &plan))));
        dovecot.stop();
        // Its default answers a STORE before it is on the disk; kepd answers behind it. So both ways are shown.
        if plan.wants("store") {
            let folder = folder.join("dovecot-synced");
            if let Some(dovecot) = Dovecot::start(&folder, &options.format, Syncs::Always) {
                synced = runtime.block_on(measures::run(&dovecot, &plan.only_store()));
                dovecot.stop();
            }
        }
    } else {
        eprintln!("dovecot is not installed (Debian: dovecot-imapd); only kepd is measured");
    }
    let kepd = Kepd::start(&folder.join("kepd"), &Kepd::built());
    all.push(("kepd", runtime.block_on(measures::run(&kepd, &plan))));
    kepd.stop();
    beside_synced(&mut all, synced);
    print(&all, options.json);
    let _ = std::fs::remove_dir_all(&folder);
}

async fn in_turns(folder: &Path, plan: &Plan, options: &Options) {
    let (own, synced) = (folder.join("dovecot"), folder.join("dovecot-synced"));
    let dovecot = Dovecot::start(&own, &options.format, Syncs::ItsDefault);
    let always = Dovecot::start(&synced, &options.format, Syncs::Always);
    let beside = options.beside.as_deref();
    let beside = beside.map(|binary| Kepd::start(&folder.join("kepd-beside"), binary));
    let kepd = Kepd::start(&folder.join("kepd"), &Kepd::built());
    let mut servers: Vec<(&'static str, &dyn Server)> = Vec::new();
    for (name, server) in [("dovecot", &dovecot), ("dovecot, synced", &always)] {
        servers.extend(server.as_ref().map(|server| (name, server as &dyn Server)));
    }
    servers.extend(
        beside
            .as_ref()
            .map(|server| ("kepd, --beside", server as &dyn Server)),
    );
    servers.push(("kepd", &kepd));
    turns::run(&servers, plan, options.turns).await;
    dovecot.into_iter().chain(always).for_each(Dovecot::stop);
    beside.into_iter().chain([kepd]).for_each(Kepd::stop);
}

/// Rows of their own for Dovecot with `mail_fsync=always`, with kepd's same figures beside them.
fn beside_synced(all: &mut [(&'static str, Vec<Figure>)], synced: Vec<Figure>) {
    let rows = [
        (20, 25, "STORE one by one, Dovecot: mail_fsync=always"),
        (21, 26, "STORE, 16 connections, Dovecot: mail_fsync=always"),
        (22, 27, "STORE on all, Dovecot: mail_fsync=always"),
    ];
    for (server, figures) in all {
        for (order, own_order, what) in rows {
            let from = if *server == "dovecot" { &synced } else { &*figures };
            let found = from.iter().find(|figure| figure.order == order);
            let row = found.filter(|_| !synced.is_empty()).map(|figure| Figure {
                order: own_order,
                what,
                ..*figure
            });
            figures.extend(row);
        }
    }
}

fn options() -> Options {
    let mut options = Options {
        only: Vec::new(),
        mails: 1000,
        format: "sdbox".into(),
        json: false,
        turns: 0,
        beside: None,
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--only" => {
                options.only = words
                    .next()
                    .unwrap_or_default()
                    .split(',')
                    .map(str::to_owned)
                    .collect()
            }
            "--mails" => options.mails = words.next().and_then(|n| n.parse().ok()).expect("--mails N"),
            "--format" => options.format = words.next().expect("--format sdbox|maildir"),
            "--turns" => options.turns = words.next().and_then(|n| n.parse().ok()).expect("--turns N"),
            "--beside" => options.beside = Some(words.next().expect("--beside FILE").into()),
            "--json" => options.json = true,
            // What cargo itself hands on.
            "--bench" => {}
            other => panic!("unknown option {other}"),
        }
    }
    options
}

fn print(all: &[(&'static str, Vec<Figure>)], json: bool) {
    let mut rows: BTreeMap<usize, Vec<(&'static str, &Figure)>> = BTreeMap::new();
    for (server, figures) in all {
        for figure in figures {
            rows.entry(figure.order).or_default().push((server, figure));
        }
    }
    if !json {
        println!(
            "{:<46} {:>11} {:>11} {:>6} {:>12} {:>12} {:>6}",
            "what (unit)", "dovecot", "kepd", "ratio", "dovecot CPU", "kepd CPU", "ratio"
        );
    }
    for row in rows.values() {
        let of = |name: &str| {
            row.iter()
                .find(|(server, _)| *server == name)
                .map(|(_, figure)| *figure)
        };
        let (dovecot, kepd) = (of("dovecot"), of("kepd"));
        let Some(any) = kepd.or(dovecot) else { continue };
        let value = |f: Option<&Figure>| f.map(|f| f.value);
        let cpu = |f: Option<&Figure>| f.and_then(|f| f.cpu_us);
        let ratio = |a: Option<f64>, b: Option<f64>| Some(a? / b.filter(|b| *b > 0.0)?);
        let (rate, time) = (ratio(value(kepd), value(dovecot)), ratio(cpu(kepd), cpu(dovecot)));
        if json {
            let line = serde_json::json!({
                "what": any.what, "unit": any.unit, "dovecot": value(dovecot), "kepd": value(kepd), "ratio": rate,
                "dovecot_cpu_us": cpu(dovecot), "kepd_cpu_us": cpu(kepd), "cpu_ratio": time,
            });
            println!("{line}");
            continue;
        }
        let number = |n: Option<f64>| {
            n.map_or("-".to_owned(), |n| {
                if n < 10.0 {
                    format!("{n:.2}")
                } else {
                    format!("{n:.0}")
                }
            })
        };
        println!(
            "{:<46} {:>11} {:>11} {:>6} {:>12} {:>12} {:>6}",
            format!("{} ({})", any.what, any.unit),
            number(value(dovecot)),
            number(value(kepd)),
            number(rate),
            number(cpu(dovecot)),
            number(cpu(kepd)),
            number(time)
        );
    }
    if !json {
        println!("CPU is microseconds of the server for each operation.");
    }
}
