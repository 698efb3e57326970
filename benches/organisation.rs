//! What an institution costs: its rules, its approvals, its labels, a change of its tree. `cargo bench --bench organisation`.
//!
//! Approvals and labels go through the mailbox door on a pipe: from the octets of a command to those of its answer, without
//! TLS and sockets. Everything durable is synced as in production. A plain table, no statistics.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[allow(dead_code)]
#[path = "../tests/journey/mailbox_house.rs"]
mod mailbox_house;
#[path = "../tests/journey/provider.rs"]
mod provider;

use kepd::domain::audit::Origin;
use kepd::domain::item::{Item, ItemKind};
use kepd::domain::org::UserKind;
use kepd::domain::rule::{
    Combine, Comparison, Condition, DayKind, Direction, Field, Matchable, Rule, RuleBook,
};
use kepd::domain::selector::Mailbox;
use kepd::id::{RuleId, UnitId};
use kepd::net::imap::{Begin, ImapDoor};
use kepd::sasl::Secret;
use kepd::service::account::Principal;
use kepd::service::organisation::NewUser;
use kepd::service::outline::Outline;
use kepd::store::db::Batch;
use kepd::store::tables::items::{self, Content};
use kepd::store::tables::views::{self, Scope};
use mailbox_house::{House, PASSWORD, start};
use provider::admin;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream};
use tokio::sync::watch;

/// Ticks of the CPU clock in `/proc`, fixed at 100 for all programs.
const TICK: Duration = Duration::from_millis(10);
const RULES: u32 = 1000;
const JOBS: usize = 400;
const UNITS: usize = 20;
const IDLERS: usize = 50;
const LABELLED: usize = 10_000;
const MAILS: usize = 100_000;
/// To hear of all that concerns one: who has not by then never will.
const HEARD_WITHIN: Duration = Duration::from_secs(120);

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    println!("{:<74} {:>12} {:>12}", "what", "ms", "CPU ms");
    rules();
    runtime.block_on(async {
        approvals().await;
        labels().await;
        tree().await;
    });
}

/// CPU time of this process so far, all threads.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    TICK * (fields[11].parse::<u32>().unwrap() + fields[12].parse::<u32>().unwrap())
}

/// A stop-watch for wall and processor.
struct Watch(Instant, Duration);

impl Watch {
    fn start() -> Self {
        Self(Instant::now(), cpu())
    }

    /// Prints what each of `count` took.
    fn row(&self, what: &str, count: usize) {
        let each = |d: Duration| d.as_secs_f64() * 1000.0 / count as f64;
        println!(
            "{what:<74} {:>12.3} {:>12.3}",
            each(self.0.elapsed()),
            each(cpu() - self.1)
        );
    }
}

fn rules() {
    let condition = |field, text: String| Condition {
        field,
        comparison: Comparison::Contains,
        text,
    };
    let words = [
        "İhale ilanı",
        "Fiyat teklifi",
        "Şartname",
        "Sözleşme değişikliği",
        "Ödeme emri",
    ];
    let rules: Vec<Rule> = (1..=RULES)
        .map(|n| Rule {
            id: RuleId(n),
            name: format!("Kural {n}"),
            version: 1,
            enabled: true,
            position: 0,
            direction: Direction::Outgoing,
            combine: Combine::All,
            conditions: vec![
                condition(Field::Subject, format!("{} {n}", words[n as usize % words.len()])),
                condition(Field::To, format!("kurum{n}@hs02.kep.test")),
            ],
            subjects: BTreeSet::new(),
            steps: Vec::new(),
            days: DayKind::Calendar,
            total_limit_days: None,
            own_approval: false,
            labels: BTreeSet::new(),
            units: BTreeSet::new(),
        })
        .collect();
    let all: Vec<&Rule> = rules.iter().collect();
    let watch = Watch::start();
    let book = RuleBook::new(&all);
    watch.row(&format!("a book of {RULES} rules made ready"), 1);
    let recipients =
        (990..=995).flat_map(|n| [format!("kurum{n}@hs02.kep.test"), format!("İLÇE MÜDÜRLÜĞÜ {n}")]);
    let mail = Matchable {
        from: Vec::new(),
        to: recipients.collect(),
        subject: "ANKARA BÜYÜKŞEHİR BELEDİYESİ: İHALE İLANI 990 ve ŞARTNAME hakkında bilgi ve Sözleşme Değişikliği 17".into(),
    };
    const MAILS_ASKED: usize = 20_000;
    let watch = Watch::start();
    let mut caught = 0;
    for _ in 0..MAILS_ASKED {
        caught += book
            .catching(Direction::Outgoing, &std::hint::black_box(&mail).folded())
            .count();
    }
    assert_eq!(caught, MAILS_ASKED);
    watch.row(
        &format!("a mail of 6 recipients against {RULES} rules of 2 conditions"),
        MAILS_ASKED,
    );
    // What it costs to look for each text by itself, as it was done before.
    let fold = kepd::domain::folding::turkish_fold;
    let needles: Vec<(Field, String)> = rules
        .iter()
        .flat_map(|r| &r.conditions)
        .map(|c| (c.field, fold(&c.text)))
        .collect();
    let watch = Watch::start();
    let mut found = 0;
    for _ in 0..200 {
        let subject = [fold(&mail.subject)];
        let to: Vec<String> = mail.to.iter().map(|t| fold(t)).collect();
        let texts = |field| {
            if field == Field::To {
                to.as_slice()
            } else {
                subject.as_slice()
            }
        };
        found += needles
            .iter()
            .filter(|(f, n)| texts(*f).iter().any(|t| t.contains(n.as_str())))
            .count();
    }
    assert!(std::hint::black_box(found) > 0);
    watch.row("  the same, each text looked for by itself", 200);
}

fn door(house: &House) -> Arc<ImapDoor> {
    Arc::new(mailbox_house::door(
        house.mailboxes.clone(),
        house.accounts.clone(),
    ))
}

/// A client on a pipe that reads line by line.
struct Client {
    pipe: BufReader<DuplexStream>,
    _stopping: watch::Sender<bool>,
}

impl Client {
    async fn log_in(door: &Arc<ImapDoor>, login: &str) -> Self {
        let (pipe, server) = tokio::io::duplex(256 * 1024);
        let (keep, stopping) = watch::channel(false);
        let door = door.clone();
        tokio::spawn(async move { door.serve(server, Begin::Tls, Origin::Inside, stopping).await });
        let mut client = Self {
            pipe: BufReader::new(pipe),
            _stopping: keep,
        };
        client.say(&format!("LOGIN {login} \"{PASSWORD}\"")).await;
        client
    }

    async fn write(&mut self, line: &str) {
        self.pipe.get_mut().write_all(line.as_bytes()).await.unwrap();
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        assert!(
            self.pipe.read_line(&mut line).await.unwrap() > 0,
            "the door closed"
        );
        line
    }

    /// Says a command that goes well, and gives the lines before its end.
    async fn say(&mut self, command: &str) -> Vec<String> {
        self.write(&format!("a {command}\r\n")).await;
        let mut lines = Vec::new();
        loop {
            let line = self.line().await;
            if line.starts_with("a ") {
                assert!(line.starts_with("a OK"), "{command}: {line}");
                return lines;
            }
            lines.push(line);
        }
    }

    async fn idle(&mut self) {
        self.write("a IDLE\r\n").await;
        while !self.line().await.starts_with('+') {}
    }
}

async fn password(house: &House, by: &Principal) {
    let password = Secret::new(PASSWORD.to_owned());
    house
        .accounts
        .set_password(
            &kepd::domain::audit::Author::administrator(0),
            by.tenant,
            by.user,
            password,
        )
        .await
        .unwrap();
}

/// Hands in a mail and gives it its time.
async fn submit(house: &House, by: &Principal, subject: &str, n: usize) {
    let text = format!(
        "From: ornekas@hs01.kep.test\r\nTo: ornekas@hs01.kep.test\r\nSubject: {subject}\r\n\
         Message-ID: <{n}.{subject}@hs01.kep.test>\r\n\r\nKısa bir ileti.\r\n"
    );
    let to = vec!["ornekas@hs01.kep.test".parse().unwrap()];
    let mut receiving = house.mailboxes.submission.begin(by, to);
    receiving.write(text.as_bytes()).await.unwrap();
    receiving.finish().await.unwrap();
}

async fn approvals() {
    let house = House::build().await;
    let (author, approver) = (house.user("ayse"), house.user("onay1"));
    for n in 0..JOBS {
        submit(&house, &author, "Teklif", n).await;
    }
    password(&house, &approver).await;
    let door = door(&house);
    let mut client = Client::log_in(&door, "onay1@ornekas").await;
    client.say("SELECT \"İşlerim/Bekleyen\"").await;
    let watch = Watch::start();
    for uid in 1..=JOBS {
        client.say(&format!("UID MOVE {uid} \"İşlerim/Onayla\"")).await;
    }
    watch.row("a job approved: MOVE to İşlerim/Onayla, until OK", JOBS);
    let mailboxes = &house.mailboxes;
    let ready = mailboxes
        .open(&house.user("mudur"), Mailbox::JobsReady)
        .await
        .unwrap();
    assert_eq!(ready.members().count(), JOBS);
}

/// Units `Birim 0` to `Birim 19` under `Genel`, each with its users.
async fn institution(house: &House, users: usize) -> Vec<Principal> {
    let change = house.mailboxes.organisations.by(admin());
    change.add_unit(house.tenant, "Genel", None).await.unwrap();
    for n in 0..UNITS {
        change
            .add_unit(house.tenant, &format!("Birim {n}"), None)
            .await
            .unwrap();
    }
    let mut made = Vec::new();
    for n in 0..users {
        let new = NewUser {
            name: format!("u{n}"),
            display_name: String::new(),
            kind: UserKind::Limited,
            units: vec![format!("Birim {}", n % UNITS)],
            roles: vec!["Onay Rolü".into()],
        };
        change.add_user(house.tenant, &new).await.unwrap();
        let by = house.user(&new.name);
        password(house, &by).await;
        made.push(by);
    }
    made
}

/// Mail that has come in, routed to the units in turn.
async fn fill(house: &House, count: usize) {
    let mailboxes = &house.mailboxes;
    let org = mailboxes.organisations.of(house.tenant).unwrap();
    let units: Vec<UnitId> = (0..UNITS)
        .map(|n| org.unit_by_path(&format!("Birim {n}")).unwrap().id)
        .collect();
    let octets = b"From: a@hs02.kep.test\r\nSubject: Duyuru\r\n\r\nMerhaba\r\n";
    let blob = mailboxes.spool.store(octets).await.unwrap();
    let content = Content::whole(blob.id, blob.size_bytes);
    let outline = Outline::of(&mailboxes.spool, &content).await.unwrap();
    for first in (0..count).step_by(1000) {
        let mut batch = Batch::new();
        for n in first..(first + 1000).min(count) {
            let number = mailboxes.items.next(house.tenant).unwrap();
            let mut item = Item::new(number, ItemKind::Incoming, start());
            item.units.insert(units[n % UNITS]);
            items::add(&mut batch, house.tenant, &item, &outline.body(content.clone())).unwrap();
        }
        house.db().commit(batch).await.unwrap();
    }
}

/// The questions of the users' INBOX views, and that none of them asks everything anew now.
fn questions(house: &House, users: &[Principal]) -> Vec<[u8; 32]> {
    let view = |by: &Principal| {
        let view = views::view(house.db(), house.tenant, Mailbox::Inbox, Scope::User(by.user));
        let view = view.unwrap().unwrap().row;
        assert!(view.asking_from.is_none());
        view.question
    };
    users.iter().map(view).collect()
}

async fn labels() {
    let house = House::build().await;
    let users = institution(&house, IDLERS).await;
    let officer = house.user("mudur");
    password(&house, &officer).await;
    let change = house.mailboxes.organisations.by(admin());
    // The users of one unit see whatever has the label.
    change
        .label_unit(house.tenant, "Birim 0", &["Acil".into()], true)
        .await
        .unwrap();
    fill(&house, LABELLED).await;
    let door = door(&house);
    let mut idlers = Vec::new();
    for by in &users {
        let mut client = Client::log_in(&door, &by.login.to_string()).await;
        client.say("SELECT INBOX").await;
        client.idle().await;
        idlers.push(client);
    }
    let mut client = Client::log_in(&door, "mudur@ornekas").await;
    client.say("SELECT INBOX").await;
    let before = questions(&house, &users);
    let watch = Watch::start();
    let mut hearing = Vec::new();
    for (n, mut idler) in idlers.into_iter().enumerate() {
        hearing.push(tokio::spawn(async move {
            let own = LABELLED / UNITS;
            // Those of the labelled unit get what is new to them; all hear of the keyword on what they had.
            let wanted = if n % UNITS == 0 { LABELLED } else { own };
            let (mut there, mut marked) = (own, 0);
            while there < wanted || marked < own {
                let line = tokio::time::timeout(HEARD_WITHIN, idler.line()).await;
                let line = line
                    .unwrap_or_else(|_| panic!("idler {n} hears nothing at {there} mails, {marked} marked"));
                if let Some(exists) = line.strip_suffix(" EXISTS\r\n") {
                    there = exists.trim_start_matches("* ").parse().unwrap();
                } else if line.contains("FETCH") && line.contains("Acil") {
                    marked += 1;
                }
            }
            idler.write("DONE\r\n").await;
            loop {
                let line = idler.line().await;
                if line.starts_with("a ") {
                    return (there, marked);
                }
                assert!(!line.starts_with('*'), "more than what concerns him: {line}");
            }
        }));
    }
    let lines = client.say(&format!("STORE 1:{LABELLED} +FLAGS (Acil)")).await;
    watch.row(
        &format!("a label put on {LABELLED} mails in one STORE, until OK ({IDLERS} users idle)"),
        1,
    );
    assert!(lines.len() >= LABELLED, "{}", lines.len());
    for (n, heard) in hearing.into_iter().enumerate() {
        let own = LABELLED / UNITS;
        let wanted = if n % UNITS == 0 { LABELLED } else { own };
        assert_eq!(heard.await.unwrap(), (wanted, own), "idler {n}");
    }
    watch.row(
        &format!("  until all {IDLERS} have heard exactly what concerns them"),
        1,
    );
    assert_eq!(questions(&house, &users), before, "no view was asked anew");
}

/// The longest and the middle of some latencies, in milliseconds.
fn latencies(mut all: Vec<Duration>) -> String {
    all.sort();
    let ms = |d: Option<&Duration>| d.map_or(0.0, |d| d.as_secs_f64() * 1000.0);
    format!(
        "median {:.1} ms, longest {:.1} ms of {}",
        ms(all.get(all.len() / 2)),
        ms(all.last()),
        all.len()
    )
}

async fn tree() {
    let house = Arc::new(House::build().await);
    let users = institution(&house, UNITS).await;
    fill(&house, MAILS).await;
    let change = house.mailboxes.organisations.by(admin());
    // One user above all units but the last.
    for n in 0..UNITS - 1 {
        change
            .move_unit(house.tenant, &format!("Birim {n}"), Some("Genel"))
            .await
            .unwrap();
    }
    let genel = {
        let org = house.mailboxes.organisations.of(house.tenant).unwrap();
        org.unit_by_path("Genel").unwrap().id
    };
    change
        .set_user(house.tenant, "u0", |_, user| {
            user.units = BTreeSet::from([genel]);
            Ok(())
        })
        .await
        .unwrap();
    let door = door(&house);
    let mut above = Client::log_in(&door, "u0@ornekas").await;
    let watch = Watch::start();
    let lines = above.say("SELECT INBOX").await;
    watch.row(
        &format!(
            "first opening of an INBOX of {} mails",
            MAILS / UNITS * (UNITS - 1)
        ),
        1,
    );
    let there = MAILS / UNITS * (UNITS - 1);
    assert!(
        lines.iter().any(|l| l.contains(&format!("{there} EXISTS"))),
        "{lines:?}"
    );
    let mut beside = Client::log_in(&door, "u1@ornekas").await;
    beside.say("SELECT INBOX").await;
    let moving = Arc::new(AtomicBool::new(true));
    let commands = tokio::spawn({
        let moving = moving.clone();
        async move {
            let mut all = Vec::new();
            while moving.load(Ordering::Relaxed) {
                let began = Instant::now();
                beside.say("UID FETCH 1:20 (FLAGS ENVELOPE)").await;
                beside.say("NOOP").await;
                all.push(began.elapsed());
            }
            all
        }
    });
    let submissions = tokio::spawn({
        let (moving, house) = (moving.clone(), house.clone());
        async move {
            let (by, mut all) = (house.user("ayse"), Vec::new());
            while moving.load(Ordering::Relaxed) {
                let began = Instant::now();
                submit(&house, &by, "Teklif", all.len()).await;
                all.push(began.elapsed());
            }
            all
        }
    });
    let watch = Watch::start();
    change
        .move_unit(house.tenant, "Birim 19", Some("Genel"))
        .await
        .unwrap();
    watch.row(
        &format!(
            "a unit of {} mails moved, until the change is durable",
            MAILS / UNITS
        ),
        1,
    );
    let lines = above.say("NOOP").await;
    watch.row(
        &format!("  until the next look of one above shows it, {MAILS} mails in the tenant"),
        1,
    );
    assert!(
        lines.iter().any(|l| l.contains(&format!("{MAILS} EXISTS"))),
        "{lines:?}"
    );
    moving.store(false, Ordering::Relaxed);
    println!(
        "  meanwhile, FETCH of 20 and NOOP of another user: {}",
        latencies(commands.await.unwrap())
    );
    println!(
        "  meanwhile, submissions: {}",
        latencies(submissions.await.unwrap())
    );
    assert_eq!(users.len(), UNITS);
}
