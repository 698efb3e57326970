//! What is measured, the same for every server.

use super::client::{Client, connector};
use super::load::{self, BROUGHT_EACH, Busy, Step};
use super::mails::mail;
use super::servers::Server;
use super::turns::WORDS;
use std::future::Future;
use std::time::{Duration, Instant};
use tokio_rustls::TlsConnector;

const OCTETS: usize = 5 * 1024;
const CONNECTIONS: usize = 16;
const APPENDS_EACH: usize = 60;
const STORED_EACH: usize = 50;
/// Times that all are marked and unmarked: the processor's time is counted in hundredths of a second.
const STORE_ALL_ROUNDS: usize = 20;
const IDLE: usize = 200;
/// Memory stands still when it moved by less between two looks, a second apart.
const SETTLED_KB: u64 = 64;
const SETTLED_LOOKS_MAX: usize = 20;
const PUSHES: usize = 20;
/// The numbers of the first mails of many connections.
const APPENDED_FROM: usize = 10_000_000;
const MIXED_FROM: usize = 20_000_000;
/// The mixed load.
const MIXED_FOR: Duration = Duration::from_secs(8);

pub struct Plan {
    pub only: Vec<String>,
    pub mails: usize,
}

impl Plan {
    pub fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|o| o == name)
    }

    pub fn only_store(&self) -> Self {
        Self {
            only: vec!["store".into()],
            mails: self.mails,
        }
    }
}

pub struct Figure {
    pub order: usize,
    pub what: &'static str,
    pub unit: &'static str,
    pub value: f64,
    /// For each operation.
    pub cpu_us: Option<f64>,
}

/// One server under measure.
struct Bench<'s> {
    server: &'s dyn Server,
    connector: TlsConnector,
    figures: Vec<Figure>,
}

pub async fn run(server: &dyn Server, plan: &Plan) -> Vec<Figure> {
    let mut bench = Bench {
        server,
        connector: connector(),
        figures: Vec::new(),
    };
    if plan.wants("login") {
        bench.login().await;
    }
    if plan.wants("append") {
        bench.append().await;
    }
    bench.fill(plan.mails).await;
    if plan.wants("fetch") {
        bench.fetch(plan.mails).await;
    }
    if plan.wants("store") {
        bench.store(plan.mails).await;
    }
    if plan.wants("search") {
        bench.search().await;
    }
    if plan.wants("select") {
        bench.select().await;
    }
    // Behind what is measured alone: the index of the mails that are brought here is made in the background.
    if plan.wants("store") {
        bench.store_of_many().await;
    }
    if plan.wants("mixed") {
        bench.mixed(plan.mails).await;
    }
    if plan.wants("push") {
        bench.push().await;
    }
    if plan.wants("idle") {
        bench.idle().await;
    }
    bench.figures
}

impl Bench<'_> {
    async fn client(&self, n: usize) -> Client {
        let (login, password) = self.server.login(n);
        Client::log_in(&self.connector, self.server.port(), &login, &password).await
    }

    async fn opened(&self, n: usize) -> Client {
        let mut client = self.client(n).await;
        client.ok(&format!("SELECT {}", self.server.mailbox())).await;
        client
    }

    fn note(
        &mut self,
        order: usize,
        what: &'static str,
        unit: &'static str,
        value: f64,
        cpu_us: Option<f64>,
    ) {
        eprintln!("  {what}: {value:.1} {unit}, CPU {cpu_us:.1?} us");
        self.figures.push(Figure {
            order,
            what,
            unit,
            value,
            cpu_us,
        });
    }

    /// Rate and CPU of `count` operations.
    async fn rate(&mut self, order: usize, what: &'static str, count: usize, work: impl Future<Output = ()>) {
        let (cpu, began) = (self.server.cpu_us(), Instant::now());
        work.await;
        let took = began.elapsed().as_secs_f64();
        // What the server does behind the last answer belongs to it.
        tokio::time::sleep(Duration::from_millis(100)).await;
        let cpu = (self.server.cpu_us() - cpu) as f64 / count as f64;
        self.note(order, what, "/s", count as f64 / took, Some(cpu));
    }

    async fn login(&mut self) {
        let (connector, port, (login, password)) =
            (self.connector.clone(), self.server.port(), self.server.login(0));
        let work = async {
            for _ in 0..100 {
                let mut client = Client::log_in(&connector, port, &login, &password).await;
                client.ok("LOGOUT").await;
            }
        };
        self.rate(1, "TLS, LOGIN, LOGOUT", 100, work).await;
    }

    async fn append(&mut self) {
        let mut many = Vec::new();
        for n in 1..=CONNECTIONS {
            let client = self.client(n).await;
            let next = APPENDED_FROM + n * BROUGHT_EACH;
            many.push(Busy::new(next, client, self.server.mailbox(), 1));
        }
        let work = async {
            load::all(many, APPENDS_EACH, Step::Append).await;
        };
        let (what, count) = ("APPEND of 5 KB, 16 connections", CONNECTIONS * APPENDS_EACH);
        self.rate(2, what, count, work).await;
    }

    /// The mailbox the rest works on.
    async fn fill(&mut self, mails: usize) {
        let mut client = self.client(0).await;
        let mailbox = self.server.mailbox().to_owned();
        let work = async {
            for n in 0..mails {
                client
                    .append(&mailbox, &mail(n, OCTETS, "user1@hs01.kep.test"))
                    .await;
            }
        };
        self.rate(3, "APPEND of 5 KB, one connection", mails, work).await;
    }

    async fn fetch(&mut self, mails: usize) {
        let mut client = self.opened(0).await;
        let all = "FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE)";
        // Once unmeasured: caches of both are filled.
        client.ok(all).await;
        client.ok("FETCH 1:* BODY.PEEK[]").await;
        self.rate(10, "FETCH of all metadata, per mail", mails * 10, async {
            for _ in 0..10 {
                let seen = client.ok(all).await;
                assert!(seen.untagged >= mails);
            }
        })
        .await;
        self.rate(11, "FETCH of all flags, per mail", mails * 10, async {
            for _ in 0..10 {
                client.ok("FETCH 1:* (UID FLAGS)").await;
            }
        })
        .await;
        self.rate(12, "FETCH of all bodies, per mail", mails * 10, async {
            for _ in 0..10 {
                let seen = client.ok("FETCH 1:* BODY.PEEK[]").await;
                assert!(seen.octets > mails * 4000);
            }
        })
        .await;
        self.rate(13, "FETCH of bodies one by one", mails * 2, async {
            for _ in 0..2 {
                for n in 1..=mails {
                    client.ok(&format!("FETCH {n} BODY.PEEK[]")).await;
                }
            }
        })
        .await;
    }

    async fn store(&mut self, mails: usize) {
        let mut client = self.opened(0).await;
        self.rate(20, "STORE one by one", mails, async {
            for n in 1..=mails {
                client.ok(&format!("STORE {n} +FLAGS (\\Flagged)")).await;
            }
        })
        .await;
        self.rate(
            22,
            "STORE on all at once, per mail",
            mails * 2 * STORE_ALL_ROUNDS,
            async {
                for _ in 0..STORE_ALL_ROUNDS {
                    client.ok("STORE 1:* +FLAGS (\\Answered)").await;
                    client.ok("STORE 1:* -FLAGS (\\Answered)").await;
                }
            },
        )
        .await;
    }

    /// The same of many at once, each in an account of its own.
    async fn store_of_many(&mut self) {
        let mut many = Vec::new();
        for n in 1..=CONNECTIONS {
            many.push(self.busy(n, 5_000_000, STORED_EACH).await);
        }
        let work = async {
            for how in ['+', '-', '+', '-'] {
                many = load::all(many, STORED_EACH, Step::Store(how)).await;
            }
        };
        let count = CONNECTIONS * STORED_EACH * 4;
        self.rate(21, "STORE one by one, 16 connections", count, work)
            .await;
    }

    /// A connection in an account of its own, with so many mails from a number on.
    async fn busy(&self, n: usize, from: usize, mails: usize) -> Busy {
        let mut client = self.client(n).await;
        for m in 0..mails {
            let message = mail(from + n * mails + m, OCTETS, "user3@hs01.kep.test");
            client.append(self.server.mailbox(), &message).await;
        }
        client.ok(&format!("SELECT {}", self.server.mailbox())).await;
        let next = MIXED_FROM + n * BROUGHT_EACH;
        Busy::new(next, client, self.server.mailbox(), mails)
    }

    async fn search(&mut self) {
        let mut client = self.opened(0).await;
        client.ok("SEARCH CHARSET UTF-8 TEXT \"damgasız\"").await;
        self.rate(30, "SEARCH TEXT", WORDS.len() * 5, async {
            for _ in 0..5 {
                for word in WORDS {
                    client.ok(&format!("SEARCH CHARSET UTF-8 TEXT \"{word}\"")).await;
                }
            }
        })
        .await;
        self.rate(31, "SEARCH UNSEEN", 20, async {
            for _ in 0..20 {
                client.ok("SEARCH UNSEEN").await;
            }
        })
        .await;
    }

    async fn select(&mut self) {
        let mut client = self.client(0).await;
        let select = format!("SELECT {}", self.server.mailbox());
        self.rate(40, "SELECT", 50, async {
            for _ in 0..50 {
                client.ok(&select).await;
            }
        })
        .await;
        let status = format!("STATUS {} (MESSAGES UIDNEXT UNSEEN)", self.server.mailbox());
        client.ok("UNSELECT").await;
        self.rate(41, "STATUS", 50, async {
            for _ in 0..50 {
                client.ok(&status).await;
            }
        })
        .await;
    }

    async fn mixed(&mut self, mails: usize) {
        let mut tasks = tokio::task::JoinSet::new();
        let mut many = Vec::new();
        let own = 100.min(mails);
        for n in 1..=CONNECTIONS {
            many.push(self.busy(n, 2_000_000, own).await);
        }
        let (cpu, began) = (self.server.cpu_us(), Instant::now());
        for mut busy in many {
            tasks.spawn(async move {
                let mut done = 0;
                while began.elapsed() < MIXED_FOR {
                    busy.step(Step::Mixed, done).await;
                    done += 1;
                }
                done
            });
        }
        let done: usize = tasks.join_all().await.into_iter().sum();
        let took = began.elapsed().as_secs_f64();
        let cpu = (self.server.cpu_us() - cpu) as f64 / done as f64;
        let what = "mixed load, 16 connections";
        self.note(50, what, "/s", done as f64 / took, Some(cpu));
    }

    /// From the OK of an APPEND to the EXISTS that another connection hears.
    async fn push(&mut self) {
        let mut idler = self.opened(0).await;
        let tag = idler.next_tag();
        idler.send(format!("{tag} IDLE\r\n").as_bytes()).await;
        let _ = idler.line().await;
        let mut other = self.client(0).await;
        let mut times = Vec::new();
        for n in 0..PUSHES {
            // Each at another moment of whatever interval a server keeps.
            tokio::time::sleep(Duration::from_millis(300 + 37 * n as u64)).await;
            let message = mail(4_000_000 + n, OCTETS, "user5@hs01.kep.test");
            let began = Instant::now();
            let heard = async {
                idler.until("EXISTS").await;
                Instant::now()
            };
            let ((), heard) = tokio::join!(other.append(self.server.mailbox(), &message), heard);
            times.push(heard.duration_since(began).as_secs_f64() * 1000.0);
        }
        times.sort_by(f64::total_cmp);
        self.note(
            60,
            "push: APPEND sent to EXISTS heard, median",
            "ms",
            times[times.len() / 2],
            None,
        );
        self.note(61, "push: the same, largest", "ms", times[times.len() - 1], None);
    }

    /// Memory of connections that are logged in, of many users, have the mailbox selected and idle.
    async fn idle(&mut self) {
        let mut clients = Vec::new();
        // What the first logins took and gave back is used first.
        for _ in 0..2 * IDLE {
            clients.push(self.idler(clients.len()).await);
        }
        let before = self.settled_kb().await;
        for _ in 0..IDLE {
            clients.push(self.idler(clients.len()).await);
        }
        let each = self.settled_kb().await.saturating_sub(before) as f64 / IDLE as f64;
        self.note(70, "memory of an idle TLS connection", "KB", each, None);
    }

    /// Memory once it stands still: a server gives back later what it worked with before.
    async fn settled_kb(&self) -> u64 {
        let mut last = self.server.memory_kb();
        for _ in 0..SETTLED_LOOKS_MAX {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let now = self.server.memory_kb();
            if now.abs_diff(last) < SETTLED_KB {
                return now;
            }
            last = now;
        }
        last
    }

    async fn idler(&self, n: usize) -> Client {
        let mut client = self.opened(n % super::servers::ACCOUNTS).await;
        let tag = client.next_tag();
        client.send(format!("{tag} IDLE\r\n").as_bytes()).await;
        while !client.line().await.starts_with('+') {}
        client
    }
}
