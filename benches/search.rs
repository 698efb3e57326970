//! What searching 100,000 mails of 10 KB costs, and what the index for it costs: `cargo bench --bench search`.
//!
//! The words follow Zipf's law over a vocabulary of 200,000, made of Turkish syllables; every mail also has words no other
//! has: identifiers, dates, amounts. Searches go through the mailbox door on a pipe: from the octets of UID SEARCH to the
//! end of its answer. Words to look for are drawn anew for each search. A plain table, no statistics.
//! `KEPD_BENCH_MAILS` sets another number of mails.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[allow(dead_code)]
#[path = "../tests/journey/mailbox_house.rs"]
mod mailbox_house;
#[path = "../tests/journey/provider.rs"]
mod provider;

use kepd::domain::audit::Origin;
use kepd::domain::item::{Item, ItemKind};
use kepd::mime::Structure;
use kepd::mime::summary::Summary;
use kepd::net::imap::Begin;
use kepd::service::mailbox::Mailboxes;
use kepd::service::outline::Outline;
use kepd::store::db::Batch;
use kepd::store::tables::items::{self, Content, Piece};
use mailbox_house::{House, PASSWORD, start};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream};
use tokio::sync::watch;

const TICK: Duration = Duration::from_millis(10);
const MAILS: usize = 100_000;
const BODY_OCTETS: usize = 10 * 1024;
const VOCABULARY: usize = 200_000;
/// Mails in one blob and one batch: filling the store is not what is measured.
const AT_ONCE: usize = 1000;
/// Searches of each kind.
const SEARCHES: usize = 40;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(run());
}

/// Numbers that are the same in every run.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() >> 11) as usize % n
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Words by rank, and how often each is used.
struct Words {
    words: Vec<String>,
    sums: Vec<f64>,
}

impl Words {
    fn new(dice: &mut Dice) -> Self {
        let first = [
            "b", "k", "s", "t", "y", "d", "m", "g", "h", "ş", "ç", "v", "", "p", "r", "n",
        ];
        let middle = ["a", "e", "i", "ı", "o", "ö", "u", "ü"];
        let last = ["", "", "", "r", "l", "n", "k", "m", "ş", "t"];
        let (mut seen, mut words) = (BTreeSet::new(), Vec::with_capacity(VOCABULARY));
        while words.len() < VOCABULARY {
            // What is used most is shortest.
            let syllables = 1 + (words.len() as f64 + 1.0).log(12.0) as usize + dice.below(2);
            let word: String = (0..syllables.min(6))
                .flat_map(|_| [first[dice.below(16)], middle[dice.below(8)], last[dice.below(10)]])
                .collect();
            if seen.insert(word.clone()) {
                words.push(word);
            }
        }
        let mut all = 0.0;
        let sums = (0..VOCABULARY)
            .map(|rank| {
                all += 1.0 / (rank as f64 + 2.7);
                all
            })
            .collect();
        Self { words, sums }
    }

    fn draw(&self, dice: &mut Dice) -> usize {
        let at = dice.unit() * self.sums.last().unwrap();
        self.sums.partition_point(|sum| *sum < at).min(VOCABULARY - 1)
    }

    /// Words of one sentence after the other, until there are so many octets.
    fn text(&self, dice: &mut Dice, octets: usize) -> String {
        let (mut text, mut line) = (String::with_capacity(octets + 80), 0);
        while text.len() < octets {
            let before = text.len();
            match dice.below(100) {
                0 => text.push_str(&format!(
                    "{:02}.{:02}.20{:02}",
                    1 + dice.below(28),
                    1 + dice.below(12),
                    dice.below(27)
                )),
                1 => text.push_str(&format!("{},{:02}", dice.below(1_000_000), dice.below(100))),
                _ => text.push_str(&self.words[self.draw(dice)]),
            }
            match dice.below(14) {
                0 => text.push('.'),
                1 => text.push(','),
                _ => {}
            }
            line += text.len() - before;
            if line > 72 {
                text.push_str("\r\n");
                line = 0;
            } else {
                text.push(' ');
            }
        }
        text
    }
}

fn message(words: &Words, dice: &mut Dice, n: usize) -> Vec<u8> {
    let subject = words.text(dice, 40).replace("\r\n", " ");
    let (a, b) = (dice.next(), dice.next());
    let mut message = format!(
        "Received: from hs02.kep.test (hs02.kep.test [192.0.2.7]) by hs01.kep.test with ESMTPS id {a:012x}; Mon, 23 Nov 2026 10:00:00 +0300\r\n\
         Message-ID: <{n}.{b:016x}@hs02.kep.test>\r\nDate: Mon, 23 Nov 2026 10:00:00 +0300\r\n\
         From: Kurum {} <kurum{}@hs02.kep.test>\r\nTo: ornekas@hs01.kep.test\r\nSubject: {subject}\r\nMIME-Version: 1.0\r\n\
         Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n",
        dice.below(500),
        dice.below(500)
    );
    message.push_str(&words.text(dice, BODY_OCTETS));
    message.into_bytes()
}

async fn fill(house: &House, words: &Words, dice: &mut Dice, count: usize) {
    let mailboxes = &house.mailboxes;
    for first in (0..count).step_by(AT_ONCE) {
        let mails: Vec<Vec<u8>> = (first..(first + AT_ONCE).min(count))
            .map(|n| message(words, dice, n))
            .collect();
        let blob = mailboxes.spool.store(&mails.concat()).await.unwrap();
        let (mut batch, mut from) = (Batch::new(), 0);
        for mail in &mails {
            let structure = Structure::of(mail);
            let header = structure.root().unwrap().header.of(mail).unwrap();
            let outline = Outline {
                summary: Summary::of(header),
                structure,
            };
            let content = Content {
                pieces: vec![Piece {
                    blob: blob.id,
                    from,
                    len: mail.len() as u64,
                }],
            };
            from += mail.len() as u64;
            let number = mailboxes.items.next(house.tenant).unwrap();
            let item = Item::new(number, ItemKind::Incoming, start());
            items::add(&mut batch, house.tenant, &item, &outline.body(content)).unwrap();
        }
        house.db().commit(batch).await.unwrap();
    }
}

fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    TICK * (fields[11].parse::<u32>().unwrap() + fields[12].parse::<u32>().unwrap())
}

/// Resident octets of this process, and the most there ever were, in MB.
fn memory() -> (u64, u64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = |name: &str| {
        let line = status.lines().find(|l| l.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
    };
    (line("VmRSS:"), line("VmHWM:"))
}

fn folder_octets(dir: &Path) -> u64 {
    let mut all = 0;
    for entry in std::fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let data = entry.metadata().unwrap();
        all += if data.is_dir() {
            folder_octets(&entry.path())
        } else {
            data.len()
        };
    }
    all
}

struct Client {
    pipe: BufReader<DuplexStream>,
    _stopping: watch::Sender<bool>,
}

impl Client {
    async fn log_in(house: &House, mailboxes: Arc<Mailboxes>) -> Self {
        let door = Arc::new(mailbox_house::door(mailboxes, house.accounts.clone()));
        let (pipe, server) = tokio::io::duplex(256 * 1024);
        let (keep, stopping) = watch::channel(false);
        tokio::spawn(async move { door.serve(server, Begin::Tls, Origin::Inside, stopping).await });
        let mut client = Self {
            pipe: BufReader::new(pipe),
            _stopping: keep,
        };
        client.say(&format!("LOGIN mudur@ornekas \"{PASSWORD}\"")).await;
        client.say("SELECT INBOX").await;
        client
    }

    async fn say(&mut self, command: &str) -> Vec<String> {
        let octets = format!("a {command}\r\n");
        self.pipe.get_mut().write_all(octets.as_bytes()).await.unwrap();
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            assert!(
                self.pipe.read_line(&mut line).await.unwrap() > 0,
                "the door closed"
            );
            if line.starts_with("a ") {
                assert!(line.starts_with("a OK"), "{command}: {line}");
                return lines;
            }
            lines.push(line);
        }
    }

    /// How many messages a text is found in.
    async fn search(&mut self, key: &str, text: &str) -> usize {
        let command = format!("UID SEARCH CHARSET UTF-8 {key} {{{}+}}\r\n{text}", text.len());
        let lines = self.say(&command).await;
        let found = lines.iter().find(|l| l.starts_with("* SEARCH"));
        found.map_or(0, |line| line.split_whitespace().count() - 2)
    }
}

fn share(sorted: &[Duration], part: f64) -> f64 {
    let at = ((sorted.len() as f64 * part).ceil() as usize).clamp(1, sorted.len()) - 1;
    sorted[at].as_secs_f64() * 1000.0
}

async fn run() {
    let count = std::env::var("KEPD_BENCH_MAILS").map_or(MAILS, |n| n.parse().unwrap());
    let mut dice = Dice(0x5eed_0fc0_ffee);
    let words = Words::new(&mut dice);
    let house = House::build().await.with_passwords().await;
    let began = Instant::now();
    fill(&house, &words, &mut dice, count).await;
    println!(
        "{count} mails of {} KB written in {:.0?}",
        BODY_OCTETS / 1024,
        began.elapsed()
    );
    let (before, _) = memory();
    let (began, busy) = (Instant::now(), cpu());
    let indexing = house.indexing();
    while indexing.run_all().await.unwrap() > 0 {}
    let (took, busy) = (began.elapsed(), cpu() - busy);
    let disk = folder_octets(&house.dir.path().join("fulltext"));
    println!(
        "indexed: {:.3} ms CPU and {:.3} ms wall for each mail; {:.0} octets on disk for each; memory {before} MB before, {} MB at most",
        busy.as_secs_f64() * 1000.0 / count as f64,
        took.as_secs_f64() * 1000.0 / count as f64,
        disk as f64 / count as f64,
        memory().1
    );
    let mut client = Client::log_in(&house, house.mailboxes.clone()).await;
    client.search("TEXT", "ısınma").await;
    let index = house.mailboxes.texts.index().unwrap().clone();
    println!("terms held in memory: {} MB", index.held_bytes() / 1024 / 1024);
    println!(
        "{:<46} {:>9} {:>9} {:>9} {:>9} {:>9}",
        "UID SEARCH", "found", "p50 ms", "p95 ms", "most ms", "CPU ms"
    );
    let mut all = Vec::new();
    for kind in KINDS {
        let mut times = Vec::new();
        let mut found = Vec::new();
        let busy = cpu();
        for _ in 0..SEARCHES {
            let (key, text) = (kind.1)(&words, &mut dice);
            let began = Instant::now();
            found.push(client.search(key, &text).await);
            times.push(began.elapsed());
        }
        all.extend(times.iter().copied());
        let busy = cpu() - busy;
        times.sort_unstable();
        found.sort_unstable();
        println!(
            "{:<46} {:>9} {:>9.1} {:>9.1} {:>9.1} {:>9.1}",
            kind.0,
            found[found.len() / 2],
            share(&times, 0.5),
            share(&times, 0.95),
            share(&times, 1.0),
            busy.as_secs_f64() * 1000.0 / SEARCHES as f64
        );
    }
    all.sort_unstable();
    println!(
        "{:<46} {:>9} {:>9.1} {:>9.1} {:>9.1}",
        "all of them",
        "",
        share(&all, 0.5),
        share(&all, 0.95),
        share(&all, 1.0)
    );
    println!("memory {} MB", memory().0);
    let mut reader = Client::log_in(&house, Arc::new(house.unindexed())).await;
    let (key, text) = (KINDS[4].1)(&words, &mut dice);
    let (began, busy) = (Instant::now(), cpu());
    let read = reader.search(key, &text).await;
    println!(
        "{:<46} {read:>9} {:>9.0} {:>29.0}",
        "without the index",
        began.elapsed().as_secs_f64() * 1000.0,
        (cpu() - busy).as_secs_f64() * 1000.0
    );
    assert_eq!(client.search(key, &text).await, read, "{text}");
}

type Draw = fn(&Words, &mut Dice) -> (&'static str, String);

const KINDS: [(&str, Draw); 11] = [
    ("TEXT, a rare word", |w, d| {
        ("TEXT", w.words[20_000 + d.below(150_000)].clone())
    }),
    ("TEXT, a word as it is used", |w, d| {
        ("TEXT", w.words[w.draw(d)].clone())
    }),
    ("TEXT, a common word", |w, d| {
        ("TEXT", w.words[d.below(50)].clone())
    }),
    ("TEXT, a part of a word, three letters", |w, d| {
        ("TEXT", part(&w.words[w.draw(d)], 3))
    }),
    ("TEXT, a part of a word, five letters", |w, d| {
        ("TEXT", part(&w.words[5000 + d.below(50_000)], 5))
    }),
    ("TEXT, in capitals, Turkish", |w, d| {
        ("TEXT", capitals(&w.words[500 + d.below(20_000)]))
    }),
    ("TEXT, two words beside one another", |w, d| {
        ("TEXT", format!("{} {}", w.words[w.draw(d)], w.words[w.draw(d)]))
    }),
    ("TEXT, two common words beside one another", |w, d| {
        (
            "TEXT",
            format!("{} {}", w.words[d.below(50)], w.words[d.below(50)]),
        )
    }),
    ("TEXT, three words", |w, d| {
        (
            "TEXT",
            format!(
                "{} {} {}",
                w.words[d.below(500)],
                w.words[d.below(500)],
                w.words[d.below(500)]
            ),
        )
    }),
    ("TEXT, what is nowhere", |_, d| {
        ("TEXT", format!("q{:x}x", d.next()))
    }),
    ("BODY, a date", |_, d| {
        (
            "BODY",
            format!("{:02}.{:02}.2026", 1 + d.below(28), 1 + d.below(12)),
        )
    }),
];

fn part(word: &str, letters: usize) -> String {
    let from = word.chars().count().saturating_sub(letters) / 2;
    word.chars().skip(from).take(letters).collect()
}

fn capitals(word: &str) -> String {
    let upper = |c: char| match c {
        'i' => "İ".to_owned(),
        'ı' => "I".to_owned(),
        c => c.to_uppercase().collect(),
    };
    word.chars().map(upper).collect()
}
