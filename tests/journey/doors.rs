//! The submission door on real sockets: an independent mail client submits over TLS. Also the fixture that opens the
//! doors of two providers.

use crate::provider::Provider;
use crate::road::{Pair, message, pair};
use crate::transfers::spooled;
use kepd::domain::provider::{Fingerprint, Peer, SIZE_MAX_BYTES};
use kepd::id::MailId;
use kepd::net::listener::{Limits, Listener};
use kepd::net::relay_in::RelayDoor;
use kepd::net::submission::{Entry, SubmissionDoor};
use kepd::net::tls::{ServerTls, connect_pinned};
use kepd::sasl::{ScramClient, Secret, decode_base64, encode_base64};
use kepd::seal::pki::{DevPki, KeyAlgorithm, Plan};
use kepd::service::failure::Failure;
use kepd::store::db::Batch;
use kepd::store::spool::{BlobId, BlobRef};
use kepd::store::tables::work::{self, OwedEvidence};
use kepd::store::tables::{mails, peers};
use serde_json::{Value, json};
use std::io::Write as _;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::sync::watch;

const ALICI: &str = "alici@hs02.kep.test";
const ORNEKAS: &str = "ornekas@hs01.kep.test";

/// TLS certificates that hold by the real clock: the client looks at it.
pub fn tls_pki() -> &'static DevPki {
    static MADE: OnceLock<DevPki> = OnceLock::new();
    MADE.get_or_init(|| {
        DevPki::generate(&Plan {
            domain: "hs01.kep.test".parse().unwrap(),
            seal_address: "kep@hs01.kep.test".parse().unwrap(),
            dns_names: Vec::new(),
            not_before: kepd::clock::UtcTime::from_unix_s(1_700_000_000),
            not_after: kepd::clock::UtcTime::from_unix_s(2_500_000_000),
            seal_key: KeyAlgorithm::P256,
        })
        .unwrap()
    })
}

pub fn tls() -> Arc<ServerTls> {
    let made = &tls_pki().tls;
    ServerTls::from_pem(made.certificate_pem.as_bytes(), made.key_pem.as_bytes()).unwrap()
}

pub fn tls_pin() -> Fingerprint {
    Fingerprint(tls_pki().tls.certificate().unwrap().fingerprint())
}

pub fn anywhere() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

/// The doors of hs01 and hs02, until dropped.
pub struct Doors {
    pub pair: Pair,
    pub submission_tls: u16,
    submission: u16,
    /// hs02's.
    pub relay: u16,
    close: watch::Sender<bool>,
}

pub async fn doors() -> Doors {
    let pair = pair().await;
    let (close, closing) = watch::channel(false);
    let (p, q) = (&pair.hs01, &pair.hs02);
    let host = "hs01.kep.test".to_owned();
    let (accounts, submission) = (p.accounts.clone(), p.submission.clone());
    let door = SubmissionDoor::new(
        accounts,
        submission,
        p.answering.clone(),
        p.enquiries.clone(),
        tls(),
        host,
        [7; 32],
    );
    let door = Arc::new(door.with_login_failure_delay(Duration::ZERO));
    let bound = |entry| SubmissionDoor::bind(anywhere(), entry, Limits::default());
    let (with_tls, plain) = (
        bound(Entry::Tls).await.unwrap(),
        bound(Entry::StartTls).await.unwrap(),
    );
    let (submission_tls, submission) = (with_tls.address().port(), plain.address().port());
    tokio::spawn(door.clone().run(with_tls, Entry::Tls, closing.clone()));
    tokio::spawn(door.run(plain, Entry::StartTls, closing.clone()));
    let listener: Listener = RelayDoor::bind(anywhere(), Limits::default()).await.unwrap();
    let relay = listener.address().port();
    let door = Arc::new(RelayDoor::new(q.intake.clone(), tls(), "hs02.kep.test".into()));
    tokio::spawn(door.run(listener, closing));
    Doors {
        pair,
        submission_tls,
        submission,
        relay,
        close,
    }
}

impl Doors {
    /// Walks a plan with the independent client; each reply as `CODE words`.
    pub async fn client(&self, tls: bool, steps: Value) -> Vec<String> {
        let ca = self.pair.dir.path().join("tls-ca.pem");
        std::fs::write(&ca, &tls_pki().ca.certificate_pem).unwrap();
        let port = if tls { self.submission_tls } else { self.submission };
        let plan = json!({ "port": port, "ca": ca, "tls": tls, "steps": steps });
        let walk = move || {
            let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/journey/client.py");
            let mut python = Command::new("python3")
                .arg(script)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            python
                .stdin
                .take()
                .unwrap()
                .write_all(plan.to_string().as_bytes())
                .unwrap();
            python.wait_with_output().unwrap()
        };
        let output = tokio::task::spawn_blocking(walk).await.unwrap();
        assert!(output.status.success());
        let replies: Vec<(u16, String)> = serde_json::from_slice(&output.stdout).unwrap();
        replies
            .into_iter()
            .map(|(code, words)| format!("{code} {words}"))
            .collect()
    }

    pub fn hs02_as(&self, pins: Vec<Fingerprint>, port: u16) -> Peer {
        let stored = peers::peer(&*self.pair.hs01.db, &"hs02.kep.test".parse().unwrap())
            .unwrap()
            .unwrap()
            .row;
        Peer {
            tls_sha256: pins,
            port,
            ..stored
        }
    }
}

impl Drop for Doors {
    fn drop(&mut self) {
        let _ = self.close.send(true);
    }
}

/// The stored octets of a mail whose id a reply names.
async fn original(p: &Provider, reply: &str) -> (kepd::domain::mail::Mail, String) {
    let id: MailId = reply.rsplit(' ').next().unwrap().parse().unwrap();
    let mail = mails::mail(&*p.db, p.tenant("ornekas"), id).unwrap().unwrap().row;
    let blob = BlobRef {
        id: BlobId(mail.original_sha256),
        size_bytes: mail.original_size_bytes,
    };
    let octets = p.spool.load(&blob).await.unwrap();
    (mail, String::from_utf8(octets).unwrap())
}

fn rejections(p: &Provider) -> usize {
    work::all::<OwedEvidence>(&*p.db).unwrap().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_officer_submits_under_tls() {
    let doors = doors().await;
    let p = &doors.pair.hs01;
    p.add_person("veli").await;
    let text = format!("Bcc: veli@hs01.kep.test\r\n{}", message("Duyuru", ALICI));
    let steps = json!([
        ["login", "mudur@ornekas", "mudur-parola"],
        ["send", ORNEKAS, [ALICI, "veli@hs01.kep.test", ALICI], text],
        [
            "send",
            ORNEKAS,
            ["ornekas@hs01.kep.test"],
            message("Kendime", ORNEKAS)
        ],
    ]);
    let replies = doors.client(true, steps).await;
    assert!(replies[0].starts_with("235 2.7.0 "), "{replies:?}");
    assert!(replies[1].starts_with("250 2.0.0 accepted as "), "{replies:?}");
    assert!(replies[2].starts_with("250 2.0.0 accepted as "), "{replies:?}");
    let (mail, octets) = original(p, &replies[1]).await;
    let recipients: Vec<(String, bool)> = mail
        .recipients
        .iter()
        .map(|r| (r.address.to_string(), r.blind))
        .collect();
    assert_eq!(
        recipients,
        [(ALICI.to_owned(), false), ("veli@hs01.kep.test".to_owned(), true)]
    );
    assert!(!octets.contains("Bcc") && !octets.contains("veli@"));
    assert!(
        octets.contains("\r\nMessage-ID: <") || octets.starts_with("Message-ID: <"),
        "{octets}"
    );
    assert!(octets.contains("Date: "));
    assert!(octets.ends_with("JVBERi0xLjQK\r\n--b1--\r\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limited_users_mail_waits_for_approval() {
    let doors = doors().await;
    let steps = json!([
        ["login", "ayse@ornekas", "ayse-parola"],
        ["send", ORNEKAS, [ALICI], message("Fiyat TEKLİFİ", ALICI)],
        ["send", ORNEKAS, [ALICI], message("Duyuru", ALICI)],
        ["send", ORNEKAS, [ALICI], message("[taslak] Duyuru", ALICI)],
        ["send", ORNEKAS, [ALICI], message("[akis: Şirket] Duyuru", ALICI)],
    ]);
    let replies = doors.client(false, steps).await;
    assert!(replies[1].starts_with("250 2.0.0 job "), "{replies:?}");
    assert!(
        replies[1].ends_with(" waits for approval (rule Teklif)"),
        "{replies:?}"
    );
    assert_eq!(
        replies[2],
        "250 2.0.0 kept as a draft (no rule matched; see the notice in INBOX)"
    );
    assert_eq!(replies[3], "250 2.0.0 kept as a draft");
    assert_eq!(
        replies[4],
        "550 5.7.1 there is no rule \"Sirket\"; the rules are: Teklif"
    );
    assert_eq!(rejections(&doors.pair.hs01), 1);
    // Decided before the body comes: nothing of it is stored.
    let files = spooled(&doors.pair, "hs01");
    let refused = message("[akis: Yok] Duyuru", ALICI);
    let refused = doors.pair.hs01.submit("ayse@ornekas", &[ALICI], &refused).await;
    assert!(matches!(refused, Err(Failure::Refused(_))), "{refused:?}");
    assert_eq!(spooled(&doors.pair, "hs01"), files);
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_have_the_codes_of_the_contract() {
    let doors = doors().await;
    let p = &doors.pair.hs01;
    let big = format!(
        "{}{}",
        message("Büyük", ALICI),
        "0123456789abcdef\r\n".repeat(SIZE_MAX_BYTES as usize / 18)
    );
    let mail = format!("MAIL FROM:<{ORNEKAS}>");
    let rcpt = format!("RCPT TO:<{ALICI}>");
    let stranger = message("Duyuru", ALICI).replace("ornekas@", "baskasi@");
    let steps = json!([
        ["login", "mudur@ornekas", "mudur-parola"],
        ["say", "MAIL FROM:<alici@hs02.kep.test>"],
        ["say", format!("{mail} SIZE=99999999")],
        ["say", mail],
        ["say", "RCPT TO:<biri@example.com>"],
        ["say", "RCPT TO:<biri@hs09.kep.test>"],
        ["say", "RCPT TO:<kimse@hs01.kep.test>"],
        ["say", rcpt],
        ["content", message("Kaçak", ALICI).replace("Sayın", "\n.\nSayın")],
        ["say", mail],
        ["say", rcpt],
        ["content", stranger],
        ["say", mail],
        ["say", rcpt],
        [
            "content",
            format!("{}{}", message("Uzun", ALICI), "x".repeat(999))
        ],
        ["say", mail],
        ["say", rcpt],
        ["content", big],
        ["say", mail],
        ["say", rcpt],
        ["content", message("Duyuru", ALICI)],
    ]);
    let replies = doors.client(true, steps).await;
    let codes: Vec<&str> = replies.iter().filter_map(|r| r.get(..9)).collect();
    let wanted = [
        "235 2.7.0",
        "550 5.7.1",
        "552 5.3.4",
        "250 2.1.0",
        "550 5.1.3",
        "550 5.1.2",
        "550 5.1.1",
        "250 2.1.5",
        "554 5.6.0",
        "250 2.1.0",
        "250 2.1.5",
        "550 5.7.1",
        "250 2.1.0",
        "250 2.1.5",
        "554 5.6.0",
        "250 2.1.0",
        "250 2.1.5",
        "552 5.3.4",
        "250 2.1.0",
        "250 2.1.5",
        "250 2.0.0",
    ];
    assert_eq!(codes, wanted, "{replies:?}");
    // Four complete messages were refused; the fifth evidence is of the one that was accepted.
    assert_eq!(rejections(p), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peers_limit_holds_for_what_was_not_declared() {
    let doors = doors().await;
    let p = &doors.pair.hs01;
    let small = Peer {
        size_max_bytes: 128 * 1024,
        ..doors.hs02_as(vec![tls_pin()], doors.relay)
    };
    let mut batch = Batch::new();
    peers::put(&mut batch, &small).unwrap();
    p.db.commit(batch).await.unwrap();
    let text = |lines: usize| format!("{}{}", message("Ek", ALICI), "0123456789abcd\r\n".repeat(lines));
    let steps = json!([
        ["login", "mudur@ornekas", "mudur-parola"],
        ["send", ORNEKAS, [ALICI], text(4096)],
        ["send", ORNEKAS, [ALICI], text(1024)],
    ]);
    let replies = doors.client(true, steps).await;
    assert_eq!(
        replies[1],
        "552 5.3.4 hs02.kep.test takes at most 131072 octets, sealed"
    );
    assert!(replies[2].starts_with("250 2.0.0 accepted as "), "{replies:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_of_commands_and_content_in_chunks() {
    let doors = doors().await;
    let stream = connect_pinned(dial(doors.submission_tls).await, "127.0.0.1", &[tls_pin()])
        .await
        .unwrap();
    let mut lines = Lines(BufReader::new(stream));
    lines.reply().await;
    let text = message("Duyuru", ALICI);
    let (head, tail) = text.as_bytes().split_at(50);
    let plain = encode_base64(b"\0mudur@ornekas\0mudur-parola");
    lines.say("EHLO client").await;
    lines.say(&format!("AUTH PLAIN {plain}")).await;
    let mut group = format!(
        "MAIL FROM:<{ORNEKAS}>\r\nRCPT TO:<x@example.com>\r\nRCPT TO:<{ALICI}>\r\nBDAT {}\r\n",
        head.len()
    )
    .into_bytes();
    group.extend_from_slice(head);
    group.extend_from_slice(format!("BDAT {} LAST\r\n", tail.len()).as_bytes());
    group.extend_from_slice(tail);
    group.extend_from_slice(b"NOOP\r\n");
    lines.0.get_mut().write_all(&group).await.unwrap();
    for wanted in [
        "250 2.1.0",
        "550 5.1.3",
        "250 2.1.5",
        "250 2.0.0 Chunk",
        "250 2.0.0 accepted as",
        "250 2.0.0 OK",
    ] {
        let reply = lines.reply().await;
        assert!(reply.starts_with(wanted), "{reply}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_send_hears_why() {
    let doors = doors().await;
    let steps = json!([
        ["login", "onay1@ornekas", "onay1-parola"],
        ["say", format!("MAIL FROM:<{ORNEKAS}>")],
        ["say", format!("RCPT TO:<{ALICI}>")],
        ["say", "DATA"]
    ]);
    // He may answer status messages; for anything else he hears it with the first recipient.
    let replies = doors.client(true, steps).await;
    assert!(
        replies[2].starts_with("550 5.7.1 you have no permission to compose")
            && replies[3].starts_with("554"),
        "{replies:?}"
    );
    for (login, password) in [
        ("ayse@ornekas", "yanlis-parola"),
        ("kimse@ornekas", "ayse-parola"),
        ("?", "x"),
    ] {
        let replies = doors.client(true, json!([["login", login, password]])).await;
        assert_eq!(replies, ["535 5.7.8 Authentication credentials invalid"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_use_smtp_comes_in_by_no_mechanism() {
    let doors = doors().await;
    let p = &doors.pair.hs01;
    let login = json!([["login", "ayse@ornekas", "ayse-parola"]]);
    assert!(doors.client(true, login.clone()).await[0].starts_with("235"));
    let closed =
        p.organisations
            .by(crate::provider::admin())
            .set_user(p.tenant("ornekas"), "ayse", |_, user| {
                user.doors.smtp = false;
                Ok(())
            });
    closed.await.unwrap();
    let replies = doors.client(true, login).await;
    assert!(
        replies[0].starts_with("535 5.7.8 you may not use SMTP"),
        "{replies:?}"
    );
}

/// A client of our own, line by line.
pub struct Lines<S>(pub BufReader<S>);

impl<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin> Lines<S> {
    /// The last line of a reply.
    pub async fn reply(&mut self) -> String {
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).await.unwrap();
            if line.as_bytes().get(3) != Some(&b'-') {
                return line.trim_end().to_owned();
            }
        }
    }

    pub async fn say(&mut self, line: &str) -> String {
        self.0
            .get_mut()
            .write_all(format!("{line}\r\n").as_bytes())
            .await
            .unwrap();
        self.reply().await
    }
}

pub async fn dial(port: u16) -> TcpStream {
    TcpStream::connect(("127.0.0.1", port)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn scram_over_the_wire() {
    let doors = doors().await;
    for (login, password, good) in [
        ("ayse@ornekas", "ayse-parola", true),
        ("ayse@ornekas", "yanlis-parola", false),
        ("kimse@ornekas", "ayse-parola", false),
    ] {
        let stream = connect_pinned(dial(doors.submission_tls).await, "127.0.0.1", &[tls_pin()])
            .await
            .unwrap();
        let mut lines = Lines(BufReader::new(stream));
        assert!(lines.reply().await.starts_with("220 "));
        assert!(
            lines
                .say("EHLO client")
                .await
                .ends_with("AUTH SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN")
        );
        let (mut client, first) = ScramClient::start(login, &Secret::new(password.into()), [3; 18]);
        let challenge = lines
            .say(&format!("AUTH SCRAM-SHA-256 {}", encode_base64(&first)))
            .await;
        let decoded = |line: &str| decode_base64(line.strip_prefix("334 ").unwrap().as_bytes()).unwrap();
        let last = client.answer(&decoded(&challenge)).unwrap();
        let reply = lines.say(&encode_base64(&last)).await;
        if good {
            client.verify(&decoded(&reply)).unwrap();
            assert!(lines.say("").await.starts_with("235 "));
        } else {
            assert!(reply.starts_with("535 5.7.8 "), "{reply}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_said_in_the_clear() {
    let doors = doors().await;
    let mut lines = Lines(BufReader::new(dial(doors.submission).await));
    lines.reply().await;
    lines.say("EHLO client").await;
    assert!(lines.say("AUTH PLAIN AGEAYg==").await.starts_with("538 5.7.11 "));
    assert!(
        lines
            .say(&format!("MAIL FROM:<{ORNEKAS}>"))
            .await
            .starts_with("530 5.7.0 ")
    );

    let mut lines = Lines(BufReader::new(dial(doors.relay).await));
    lines.reply().await;
    lines.say("EHLO peer").await;
    assert!(
        lines
            .say("MAIL FROM:<kep@hs01.kep.test>")
            .await
            .starts_with("530 5.7.0 ")
    );
    doors.close.send(true).unwrap();
    assert!(lines.reply().await.starts_with("421 4.3.2 "));
    let mut rest = Vec::new();
    assert_eq!(lines.0.read_to_end(&mut rest).await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closing_door_finishes_the_mail_under_way() {
    let doors = doors().await;
    let stream = connect_pinned(dial(doors.submission_tls).await, "127.0.0.1", &[tls_pin()])
        .await
        .unwrap();
    let mut lines = Lines(BufReader::new(stream));
    lines.reply().await;
    lines.say("EHLO client").await;
    let plain = encode_base64(b"\0mudur@ornekas\0mudur-parola");
    assert!(
        lines
            .say(&format!("AUTH PLAIN {plain}"))
            .await
            .starts_with("235 ")
    );
    lines.say(&format!("MAIL FROM:<{ORNEKAS}>")).await;
    lines.say(&format!("RCPT TO:<{ALICI}>")).await;
    assert!(lines.say("DATA").await.starts_with("354 "));
    let text = message("Duyuru", ALICI);
    let (head, tail) = text.split_at(60);
    lines.0.get_mut().write_all(head.as_bytes()).await.unwrap();
    doors.close.send(true).unwrap();
    lines.0.get_mut().write_all(tail.as_bytes()).await.unwrap();
    assert!(lines.say(".").await.starts_with("250 2.0.0 accepted as "));
    assert!(lines.reply().await.starts_with("421 4.3.2 "));
}
