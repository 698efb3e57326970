//! Hostile clients at the mailbox door, before and after login: slow ones, busy ones, those who do not read, and those
//! who want everything at once. The runtime's clock is turned, so hours pass in no time; nothing here sleeps for real.

use super::imap_client::door;
use super::mailbox_house::{House, PASSWORD};
use kepd::domain::audit::Origin;
use kepd::domain::network::Trusted;
use kepd::imap::limits::COMMANDS_MAX_BEFORE_LOGIN;
use kepd::imap::name::{Pattern, Spelling};
use kepd::net::imap::{
    Begin, Ended, ImapDoor, LOGIN_WITHIN, MESSAGE_SILENCE_MAX, MESSAGE_WITHIN, SILENCE_MAX, WRITE_MAX,
    WRITE_MAX_BEFORE_LOGIN,
};
use kepd::service::account::Accounts;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

/// Longer than any of the door's own limits.
const ENDLESS: Duration = Duration::from_secs(24 * 3600);
/// Of the task of one connection, its stream and what is read aside: there are thousands of them.
const TASK_MAX_OCTETS: usize = 8 * 1024;
/// A client's turn of the clock.
const TEN: Duration = Duration::from_secs(10);

/// A client on a pipe.
struct Client {
    pipe: BufReader<DuplexStream>,
    serving: JoinHandle<Result<(), Ended>>,
    began: Instant,
}

impl Client {
    fn connect(door: &Arc<ImapDoor>, from: Origin, pipe_octets: usize) -> Self {
        let (client, server) = tokio::io::duplex(pipe_octets);
        let door = door.clone();
        let serving = tokio::spawn(async move {
            let (_keep, stopping) = watch::channel(false);
            door.serve(server, Begin::Tls, from, stopping).await
        });
        Self {
            pipe: BufReader::new(client),
            serving,
            began: Instant::now(),
        }
    }

    async fn logged_in(door: &Arc<ImapDoor>, pipe_octets: usize) -> Self {
        let mut client = Self::connect(door, Origin::Inside, pipe_octets);
        let answer = client.ask(&login("mudur", PASSWORD)).await;
        assert!(answer.contains("a OK"), "{answer}");
        client
    }

    async fn write(&mut self, octets: &[u8]) -> bool {
        self.pipe.get_mut().write_all(octets).await.is_ok()
    }

    /// Says a line, and hears up to its tag or the end.
    async fn ask(&mut self, line: &str) -> String {
        assert!(self.write(line.as_bytes()).await);
        let tag = format!("{} ", line.split(' ').next().unwrap());
        self.hear(&tag).await
    }

    async fn hear(&mut self, start: &str) -> String {
        let mut heard = String::new();
        loop {
            let mut line = String::new();
            if self.pipe.read_line(&mut line).await.unwrap() == 0 {
                return heard;
            }
            heard.push_str(&line);
            if line.starts_with(start) {
                return heard;
            }
        }
    }

    /// Everything up to the end, and after what time it came.
    async fn end(mut self) -> (String, Duration) {
        let mut heard = Vec::new();
        let all = timeout(ENDLESS, self.pipe.read_to_end(&mut heard)).await;
        all.expect("the door goes on for ever").unwrap();
        let _ = self.serving.await.expect("the door panicked");
        (String::from_utf8_lossy(&heard).into_owned(), self.began.elapsed())
    }
}

fn login(user: &str, password: &str) -> String {
    format!("a LOGIN {user}@ornekas \"{password}\"\r\n")
}

async fn house() -> (House, Arc<ImapDoor>) {
    let house = House::build().await.with_passwords().await;
    let door = door(&house, Duration::ZERO);
    (house, door)
}

fn far(address: &str) -> Origin {
    Origin::Network(address.parse().unwrap())
}

#[tokio::test(start_paused = true)]
async fn who_does_not_log_in_is_out_after_a_minute_however_slow_or_busy() {
    let (_house, door) = house().await;
    // One octet every ten seconds.
    let mut slow = Client::connect(&door, Origin::Inside, 4096);
    for octet in b"a CAPABILITY and so on".iter() {
        sleep(TEN).await;
        if !slow.write(&[*octet]).await {
            break;
        }
    }
    let (heard, took) = slow.end().await;
    assert!(heard.contains("* BYE [UNAVAILABLE]"), "{heard}");
    assert!(took >= LOGIN_WITHIN && took < LOGIN_WITHIN + TEN * 30, "{took:?}");
    // Data that is always there already.
    let mut busy = Client::connect(&door, Origin::Inside, 4 * 1024 * 1024);
    busy.hear("* OK").await;
    let said = 60;
    let long = format!("a ID (\"name\" \"{}\")\r\n", "x".repeat(1000));
    assert!(busy.write(long.repeat(said).as_bytes()).await);
    tokio::time::advance(LOGIN_WITHIN + TEN).await;
    let (heard, _) = busy.end().await;
    let answered = heard.matches("a OK").count();
    assert!(
        heard.contains("* BYE [UNAVAILABLE]") && answered < said,
        "{answered} answers"
    );
}

#[tokio::test(start_paused = true)]
async fn who_only_chatters_before_login_is_sent_away() {
    let (_house, door) = house().await;
    for chatter in ["a NOOP\r\n", "a NOOP\r\na nonsense\r\n"] {
        let mut busy = Client::connect(&door, Origin::Inside, 4 * 1024 * 1024);
        busy.hear("* OK").await;
        assert!(busy.write(chatter.repeat(50_000).as_bytes()).await);
        let (heard, took) = busy.end().await;
        let answered = heard.lines().filter(|line| line.starts_with("a ")).count();
        assert_eq!(answered as u32, COMMANDS_MAX_BEFORE_LOGIN, "{heard}");
        assert!(heard.contains("* BYE too many commands"), "{heard}");
        assert!(took < LOGIN_WITHIN, "{took:?}");
    }
    // The bound is for strangers.
    let mut user = Client::logged_in(&door, 64 * 1024).await;
    for _ in 0..2 * COMMANDS_MAX_BEFORE_LOGIN {
        assert!(user.ask("b NOOP\r\n").await.contains("b OK"));
    }
}

/// What a connection needs while a command is carried out, a search or a filing of thousands, is not held while it idles.
/// docs/benchmarks.md says what else it costs.
#[tokio::test]
async fn a_connection_that_waits_is_a_small_task() {
    let (_house, door) = house().await;
    let (_client, server) = tokio::io::duplex(16);
    let (_keep, stopping) = watch::channel(false);
    let serving = door.serve(server, Begin::Tls, Origin::Inside, stopping);
    let octets = std::mem::size_of_val(&serving);
    assert!(octets <= TASK_MAX_OCTETS, "{octets} octets");
}

#[tokio::test(start_paused = true)]
async fn who_does_not_read_is_not_read_and_then_let_go() {
    let (house, door) = house().await;
    // Before login: what is answered waits in the pipe, and the rest is not even read.
    let mut deaf = Client::connect(&door, Origin::Inside, 4 * 1024);
    let mut taken = 0;
    while let Ok(true) = timeout(Duration::from_secs(1), deaf.write(b"a CAPABILITY\r\n")).await {
        taken += 1;
    }
    assert!(taken * 14 < 200 * 1024, "{taken} commands were taken in");
    let ended = timeout(ENDLESS, deaf.serving).await.unwrap().unwrap();
    assert!(matches!(ended, Err(Ended::TooSlow)), "{ended:?}");
    assert!(deaf.began.elapsed() < LOGIN_WITHIN + WRITE_MAX_BEFORE_LOGIN);
    // After login: everything is asked for, and nothing taken.
    for n in 0..40 {
        let body = "0123456789abcdef\r\n".repeat(3000);
        let mail = format!("From: a@hs02.kep.test\r\nSubject: {n}\r\n\r\n{body}");
        house.deliver(mail.as_bytes()).await;
    }
    let mut deaf = Client::logged_in(&door, 8 * 1024).await;
    deaf.ask("b SELECT INBOX\r\n").await;
    let asked = Instant::now();
    assert!(deaf.write(b"c FETCH 1:* BODY.PEEK[]\r\n").await);
    // The store's threads do not wait for the clock, so only the door's own timer may stand.
    let ended = deaf.serving.await.unwrap();
    assert!(matches!(ended, Err(Ended::TooSlow)), "{ended:?}");
    let took = asked.elapsed();
    assert!(took >= WRITE_MAX && took < WRITE_MAX + TEN, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_commands_is_answered_in_order_while_it_is_read() {
    let (_house, door) = house().await;
    let client = Client::logged_in(&door, 16 * 1024).await;
    let said = 100_000;
    let (mut reader, mut writer) = tokio::io::split(client.pipe.into_inner());
    let writing = tokio::spawn(async move {
        for n in 0..said {
            writer
                .write_all(format!("f{n} NOOP\r\n").as_bytes())
                .await
                .unwrap();
        }
        writer.write_all(b"z LOGOUT\r\n").await.unwrap();
        writer
    });
    let mut heard = String::new();
    timeout(ENDLESS, reader.read_to_string(&mut heard))
        .await
        .unwrap()
        .unwrap();
    let tags = heard
        .lines()
        .filter_map(|l| l.strip_prefix('f')?.split(' ').next());
    assert!(tags.eq((0..said).map(|n| n.to_string())), "an answer is missing");
    drop(writing.await.unwrap());
    client.serving.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn idling_does_not_keep_a_dead_client_though_the_bell_rings() {
    let (house, door) = house().await;
    let mut client = Client::logged_in(&door, 64 * 1024).await;
    client.ask("b SELECT INBOX\r\n").await;
    client.write(b"c IDLE\r\n").await;
    client.hear("+ ").await;
    let mut told = 0;
    let last = loop {
        sleep(SILENCE_MAX / 6 + Duration::from_secs(1)).await;
        // The store has threads of its own, which do not wait for a clock that is turned.
        tokio::time::resume();
        house.put(b"Subject: x\r\n\r\nx\r\n", |_| {}).await;
        let heard = client.hear(&format!("* {} EXISTS", told + 1)).await;
        tokio::time::pause();
        if !heard.contains(" EXISTS") {
            break heard;
        }
        told += 1;
        assert!(told < 20, "it goes on for ever");
    };
    assert_eq!(told, 5);
    assert!(last.contains("* BYE [UNAVAILABLE] silent"), "{last}");
}

#[tokio::test(start_paused = true)]
async fn a_message_that_does_not_end_is_given_up() {
    let (house, door) = house().await;
    let spooled = || std::fs::read_dir(house.dir.path().join("spool")).unwrap().count();
    let before = spooled();
    let mut silent = Client::logged_in(&door, 4096).await;
    silent.ask("b SELECT Taslaklar\r\n").await;
    silent.write(b"c APPEND Taslaklar {1000}\r\n").await;
    assert!(silent.hear("+ ").await.starts_with('+'));
    let began = Instant::now();
    silent.write(b"From: a").await;
    let (heard, _) = silent.end().await;
    assert!(heard.contains("* BYE"), "{heard}");
    assert!(began.elapsed() >= MESSAGE_SILENCE_MAX && began.elapsed() < MESSAGE_SILENCE_MAX * 2);

    let mut drip = Client::logged_in(&door, 4096).await;
    drip.write(b"c APPEND Taslaklar {1000}\r\n").await;
    drip.hear("+ ").await;
    let began = Instant::now();
    while drip.write(b"x").await {
        sleep(MESSAGE_SILENCE_MAX - TEN).await;
    }
    let (heard, _) = drip.end().await;
    assert!(heard.contains("* BYE"), "{heard}");
    let took = began.elapsed();
    assert!(
        took >= MESSAGE_WITHIN && took < MESSAGE_WITHIN + MESSAGE_SILENCE_MAX * 2,
        "{took:?}"
    );
    // Nothing of them is left, and the mailbox is as it was.
    assert_eq!(spooled(), before);
    let mut next = Client::logged_in(&door, 4096).await;
    let answer = next.ask("b SELECT Taslaklar\r\n").await;
    assert!(
        answer.contains("* 0 EXISTS") && answer.contains("b OK"),
        "{answer}"
    );
}

#[tokio::test]
async fn absurd_wishes_are_refused_or_cost_nothing() {
    let (house, door) = house().await;
    house
        .deliver(b"From: a@hs02.kep.test\r\nSubject: tek\r\n\r\nMerhaba\r\n")
        .await;
    let mut client = Client::logged_in(&door, 1024 * 1024).await;
    client.ask("b SELECT INBOX\r\n").await;
    let wishes = [
        ("c FETCH 1:4294967295 UID\r\n".to_owned(), "c OK"),
        (format!("c FETCH {}1 UID\r\n", "1:*,".repeat(16_000)), "c OK"),
        (
            format!("c UID FETCH {}*:1 UID\r\n", "4294967295,".repeat(5_900)),
            "c OK",
        ),
        (
            "c FETCH 1 BODY.PEEK[]<4294967295.4294967295>\r\n".to_owned(),
            "c OK",
        ),
        (
            "c FETCH 1 BODY.PEEK[]<0.18446744073709551615>\r\n".to_owned(),
            "c ",
        ),
        (
            format!("c FETCH 1 ({}UID)\r\n", "FLAGS ".repeat(20_000)),
            "c BAD the line is too long",
        ),
        (format!("c FETCH 1 ({}UID)\r\n", "UID ".repeat(10_000)), "c BAD"),
        (
            format!("c FETCH 1 BODY.PEEK[{}1]\r\n", "1.".repeat(20_000)),
            "c BAD",
        ),
        (
            format!(
                "c FETCH 1 BODY.PEEK[HEADER.FIELDS ({})]\r\n",
                "X-A ".repeat(9_000).trim()
            ),
            "c BAD",
        ),
        (
            format!("c STORE 1 +FLAGS ({})\r\n", "k ".repeat(5_000).trim()),
            "c BAD",
        ),
        (
            format!("c SEARCH {}ALL\r\n", "NOT ".repeat(15_000)),
            "c BAD the search is nested too deeply",
        ),
        (
            format!("c SEARCH {}\r\n", "TEXT a ".repeat(9_000).trim()),
            "c BAD",
        ),
        (
            format!("c SEARCH {}\r\n", "TEXT {1+}\r\na ".repeat(1_000_000).trim()),
            "c BAD the literal is too large",
        ),
        (format!("c LIST \"\" {}\r\n", "*%".repeat(512)), "c OK"),
        (format!("c LIST \"\" {}\r\n", "*%".repeat(5_000)), "c BAD"),
        (
            "c APPEND INBOX {9223372036854775808}\r\n".to_owned(),
            "c NO [TOOBIG]",
        ),
        (
            "c APPEND INBOX {99999999999999999999999}\r\n".to_owned(),
            "c NO [TOOBIG]",
        ),
        (
            "c SEARCH TEXT {4294967295}\r\n".to_owned(),
            "c BAD the literal is too large",
        ),
    ];
    for (wish, want) in &wishes {
        let (head, _) = wish.split_at(wish.len().min(60));
        let mut answer = String::new();
        // What is written may be longer than the pipe; the answer is awaited meanwhile.
        {
            let (mut reader, mut writer) = tokio::io::split(&mut client.pipe);
            let write = async {
                writer.write_all(wish.as_bytes()).await.unwrap();
                writer.flush().await.unwrap();
            };
            let read = async {
                while !answer.lines().any(|line| line.starts_with("c ")) || !answer.ends_with('\n') {
                    let mut piece = vec![0; 4096];
                    let octets = reader.read(&mut piece).await.unwrap();
                    assert!(octets > 0, "{head}: {answer}");
                    answer.push_str(&String::from_utf8_lossy(&piece[..octets]));
                }
            };
            tokio::join!(write, read);
        }
        assert!(
            answer.lines().any(|line| line.starts_with(want)),
            "{head}: {answer}"
        );
        let still = client.ask("d NOOP\r\n").await;
        assert!(still.ends_with("d OK NOOP done\r\n"), "{head}: {still}");
    }
}

/// One thread for all: who is not let in by turns waits for the end.
#[tokio::test]
async fn one_client_cannot_starve_another() {
    let (house, door) = house().await;
    for n in 0..300 {
        let body = "Merhaba dünya, bu bir satır. ".repeat(30);
        house
            .put(
                format!("From: a@hs02.kep.test\r\nSubject: {n}\r\n\r\n{body}\r\n").as_bytes(),
                |_| {},
            )
            .await;
    }
    let mut other = Client::logged_in(&door, 64 * 1024).await;
    other.ask("b SELECT INBOX\r\n").await;
    for work in [
        "c FETCH 1:* (FLAGS ENVELOPE BODYSTRUCTURE)\r\n".to_owned(),
        "c SEARCH NOT BODY yok\r\n".to_owned(),
        format!(
            "{}c NOOP\r\n",
            "x STATUS INBOX (MESSAGES UNSEEN SIZE)\r\n".repeat(300)
        ),
    ] {
        let mut greedy = Client::logged_in(&door, 8 * 1024 * 1024).await;
        greedy.ask("b SELECT INBOX\r\n").await;
        let working = tokio::spawn(async move {
            assert!(greedy.write(work.as_bytes()).await);
            greedy.hear("c ").await
        });
        // It has begun when it lets others in; it must do so before it has ended.
        tokio::task::yield_now().await;
        let mut turns = 0;
        while !working.is_finished() {
            assert!(other.ask("d NOOP\r\n").await.contains("d OK"));
            turns += 1;
        }
        let answer = working.await.unwrap();
        assert!(answer.contains("c OK"), "{answer}");
        assert!(turns > 2, "{turns} turns");
    }
}

#[tokio::test]
async fn a_users_connections_are_counted() {
    let (house, _) = house().await;
    let accounts = Accounts::new(house.mailboxes.db.clone(), house.mailboxes.organisations.clone()).unwrap();
    let door = Arc::new(crate::mailbox_house::door(
        house.mailboxes.clone(),
        Arc::new(accounts.with_limits(Arc::default(), 2)),
    ));
    let first = Client::logged_in(&door, 4096).await;
    let _second = Client::logged_in(&door, 4096).await;
    let mut third = Client::connect(&door, Origin::Inside, 4096);
    let answer = third.ask(&login("mudur", PASSWORD)).await;
    assert!(
        answer.contains("a NO [LIMIT] you have 2 sessions open already"),
        "{answer}"
    );
    assert!(third.ask(&login("ayse", PASSWORD)).await.contains("a OK"));
    let mut fourth = Client::connect(&door, Origin::Inside, 4096);
    drop(first.pipe);
    first.serving.await.unwrap().unwrap();
    assert!(fourth.ask(&login("mudur", PASSWORD)).await.contains("a OK"));
}

#[test]
fn patterns_of_wildcards_cost_little_against_many_names() {
    let names: Vec<String> = (0..10_000)
        .map(|n| format!("Etiketler/{}{n}", "a".repeat(50)))
        .collect();
    let began = std::time::Instant::now();
    for pattern in [
        "*a".repeat(512),
        "*%".repeat(512),
        "%a".repeat(40),
        "*a%a*".repeat(20),
    ] {
        let pattern = Pattern::from_wire(b"", pattern.as_bytes(), Spelling::Utf8).unwrap();
        let fit = names.iter().filter(|name| pattern.matches(name)).count();
        assert!(fit == 0 || fit == names.len(), "{fit}");
    }
    // A second on a slow machine; a matcher that goes back for every wildcard does not end at all.
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

/// How long a login takes by the runtime's clock.
async fn logging_in(door: &Arc<ImapDoor>, from: Origin, user: &str, password: &str) -> (String, u64) {
    let mut client = Client::connect(door, from, 4096);
    let answer = client.ask(&login(user, password)).await;
    (answer, client.began.elapsed().as_secs())
}

#[tokio::test(start_paused = true)]
async fn whoever_guesses_waits_and_the_owner_does_not() {
    let (house, door) = house().await;
    let (guesser, home) = (far("203.0.113.1"), far("198.51.100.7"));
    assert_eq!(logging_in(&door, home, "ayse", PASSWORD).await.1, 0);
    let mut waits = Vec::new();
    for n in 0..9 {
        let (answer, waited) = logging_in(&door, guesser, "ayse", "yanlis parola").await;
        assert!(answer.contains("a NO [AUTHENTICATIONFAILED]"), "{n}: {answer}");
        waits.push(waited);
    }
    // The house's clock stands still, so the pauses of the address add up until one would wait too long.
    assert_eq!(waits, [0, 0, 0, 0, 1, 2, 4, 8, 16]);
    let mut turned_away = 0;
    for _ in 0..4 {
        let (answer, waited) = logging_in(&door, guesser, "mudur", "yanlis parola").await;
        if answer.contains("a NO [UNAVAILABLE] too many failed logins") {
            assert_eq!(waited, 0);
            turned_away += 1;
        }
    }
    assert_eq!(turned_away, 2);
    // Her own address, loopback, and a minute later anybody.
    let (answer, waited) = logging_in(&door, home, "ayse", PASSWORD).await;
    assert!(answer.contains("a OK") && waited == 0, "{waited} s: {answer}");
    let (answer, waited) = logging_in(&door, far("127.0.0.1"), "ayse", PASSWORD).await;
    assert!(answer.contains("a OK") && waited == 0, "{waited} s: {answer}");
    let (answer, waited) = logging_in(&door, far("192.0.2.5"), "ayse", PASSWORD).await;
    assert!(
        answer.contains("a OK") && (1..=30).contains(&waited),
        "{waited} s: {answer}"
    );
    house.clock.advance(Duration::from_secs(120));
    let (answer, waited) = logging_in(&door, guesser, "mudur", PASSWORD).await;
    assert!(answer.contains("a OK") && waited == 0, "{waited} s: {answer}");
    assert_eq!(house.accounts.pace.failures(), 11);
}

#[tokio::test(start_paused = true)]
async fn a_trusted_network_is_not_slowed() {
    let (house, _) = house().await;
    let accounts = Accounts::new(house.mailboxes.db.clone(), house.mailboxes.organisations.clone()).unwrap();
    let trusted = Trusted(vec!["203.0.113.0/24".parse().unwrap()]);
    let door = Arc::new(crate::mailbox_house::door(
        house.mailboxes.clone(),
        Arc::new(accounts.with_limits(Arc::new(trusted), 10)),
    ));
    for _ in 0..10 {
        let (_, waited) = logging_in(&door, far("203.0.113.1"), "ayse", "yanlis parola").await;
        assert_eq!(waited, 0);
    }
}
