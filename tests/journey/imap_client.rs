//! A real IMAP client (Python's imaplib) against the mailbox door, over a real TLS socket.

use super::mailbox_house::{House, PASSWORD, start};
use kepd::domain::audit::Origin;
use kepd::domain::evidence::EvidenceKind;
use kepd::net::imap::{Begin, ImapDoor};
use kepd::seal::pki::{DevPki, KeyAlgorithm, Plan};
use kepd::store::tables::work::{self, OwedEvidence};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

const DAY: Duration = Duration::from_secs(24 * 3600);

pub fn pki() -> DevPki {
    let now = kepd::clock::Clock::now(&kepd::clock::SystemClock);
    DevPki::generate(&Plan {
        domain: "hs01.kep.test".parse().unwrap(),
        seal_address: "kep@hs01.kep.test".parse().unwrap(),
        dns_names: vec!["hs01.kep.test".into()],
        not_before: now.minus(DAY),
        not_after: now.plus(30 * DAY),
        seal_key: KeyAlgorithm::P256,
    })
    .unwrap()
}

pub fn acceptor(pki: &DevPki) -> TlsAcceptor {
    let chain = CertificateDer::pem_slice_iter(pki.tls.certificate_pem.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .unwrap();
    let key = PrivateKeyDer::from_pem_slice(pki.tls.key_pem.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

pub fn door(house: &House, login_failure_delay: Duration) -> Arc<ImapDoor> {
    Arc::new(ImapDoor {
        mailboxes: house.mailboxes.clone(),
        accounts: house.accounts.clone(),
        decoy_secret: b"a secret of the test".to_vec(),
        greeting: "hs01.kep.test".into(),
        login_failure_delay,
        recents: Default::default(),
        settings: Default::default(),
    })
}

/// Runs a mail client in Python that lies beside this file; it says itself that all held.
pub async fn run_client(script: &str, arguments: Vec<String>) {
    let script = format!("{}/tests/journey/{script}", env!("CARGO_MANIFEST_DIR"));
    let client = move || {
        Command::new("python3")
            .arg("-B")
            .arg(script)
            .args(arguments)
            .output()
    };
    let output = tokio::task::spawn_blocking(client).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let wrong = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && said.contains("all held"),
        "{said}\n{wrong}"
    );
}

/// Listens on a free port: TLS from the first octet on, or STARTTLS.
pub async fn listen(door: Arc<ImapDoor>, acceptor: TlsAcceptor, implicit: bool) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (_keep, stopping) = watch::channel(false);
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            let (door, acceptor, stopping) = (door.clone(), acceptor.clone(), stopping.clone());
            tokio::spawn(async move {
                let _ = if implicit {
                    let Ok(stream) = acceptor.accept(socket).await else {
                        return Ok(());
                    };
                    door.serve(stream, Begin::Tls, Origin::Inside, stopping).await
                } else {
                    door.serve(socket, Begin::Clear(Some(acceptor)), Origin::Inside, stopping)
                        .await
                };
                Ok::<(), ()>(())
            });
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_client_walks_the_mailboxes() {
    let house = House::build().await.with_passwords().await;
    for n in 0..3 {
        let mail = format!(
            "From: =?UTF-8?Q?Al=C4=B1c=C4=B1?= <alici@hs02.kep.test>\r\nTo: ornekas@hs01.kep.test\r\n\
             Subject: =?UTF-8?Q?=C4=B0hale_I=C5=9E=C4=B1k?= {n}\r\nMessage-ID: <in{n}@hs02.kep.test>\r\n\
             Date: Wed, 4 Nov 2026 10:00:0{n} +0300\r\nMIME-Version: 1.0\r\n\
             Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n\
             Merhaba DÜNYA {n}\r\n--b\r\nContent-Type: application/pdf; name=a.pdf\r\n\
             Content-Transfer-Encoding: base64\r\n\r\nJVBERi0=\r\n--b--\r\n"
        );
        house.deliver(mail.as_bytes()).await;
    }
    let big = [
        b"From: a@hs02.kep.test\r\nSubject: big\r\n\r\n".as_slice(),
        "0123456789abcdef\r\n".repeat(300_000).as_bytes(),
    ]
    .concat();
    house.deliver(&big).await;
    let pki = pki();
    let ca = house.dir.path().join("ca.pem");
    std::fs::write(&ca, &pki.ca.certificate_pem).unwrap();
    let tls = listen(door(&house, Duration::ZERO), acceptor(&pki), true).await;
    let clear = listen(door(&house, Duration::ZERO), acceptor(&pki), false).await;
    let arguments = [
        tls.to_string(),
        clear.to_string(),
        ca.display().to_string(),
        PASSWORD.to_owned(),
    ];
    run_client("imap_client.py", arguments.into()).await;
    // What the client read is owed as evidence, each once; what it only looked at is not.
    let owed = work::due::<OwedEvidence>(house.db(), start(), 100).unwrap();
    let read = owed
        .iter()
        .filter(|o| o.row.facts.kind == EvidenceKind::RetrievalNonRetrievalByRecipient);
    assert_eq!(read.count(), 2);
}

/// One line of a client, and the answer up to its tag, or to the end of the connection.
async fn said(client: &mut BufReader<tokio::io::DuplexStream>, ask: &str) -> String {
    client.get_mut().write_all(ask.as_bytes()).await.unwrap();
    let tag = ask.split(' ').next().unwrap();
    let mut answer = String::new();
    while client.read_line(&mut answer).await.unwrap() > 0 {
        let last = answer.trim_end().rsplit("\r\n").next().unwrap_or_default();
        if last.starts_with(&format!("{tag} ")) {
            break;
        }
    }
    answer
}

#[tokio::test]
async fn a_door_that_is_closed_lets_nobody_in_and_nobody_stay() {
    let house = House::build().await.with_passwords().await;
    let connect = |door: Arc<ImapDoor>| {
        let (client, server) = tokio::io::duplex(4096);
        tokio::spawn(async move {
            let (_keep, stopping) = watch::channel(false);
            door.serve(server, Begin::Tls, Origin::Inside, stopping).await
        });
        BufReader::new(client)
    };
    let login = format!("a LOGIN ayse@ornekas \"{PASSWORD}\"\r\n");
    let mut client = connect(door(&house, Duration::ZERO));
    assert!(said(&mut client, &login).await.contains("a OK"));
    assert!(said(&mut client, "b SELECT INBOX\r\n").await.contains("b OK"));
    let close = |open: bool| {
        let changes = house.mailboxes.organisations.by(crate::provider::admin());
        changes.set_user(house.tenant, "ayse", move |_, user| {
            user.doors.imap = open;
            Ok(())
        })
    };
    close(false).await.unwrap();
    let answer = said(&mut client, "c NOOP\r\n").await;
    assert!(answer.contains("c NO [NOPERM] you may not use IMAP"), "{answer}");
    let mut rest = String::new();
    client.read_to_string(&mut rest).await.unwrap();
    assert!(rest.starts_with("* BYE"), "{rest}");
    let mut another = connect(door(&house, Duration::ZERO));
    let answer = said(&mut another, &login).await;
    assert!(answer.contains("a NO [NOPERM] you may not use IMAP"), "{answer}");
    close(true).await.unwrap();
    assert!(said(&mut another, &login).await.contains("a OK"));
}

#[tokio::test]
async fn a_failed_login_waits_longer_each_time() {
    let house = House::build().await;
    let delay = Duration::from_millis(100);
    let door = door(&house, delay);
    let (client, server) = tokio::io::duplex(4096);
    let serving = tokio::spawn(async move {
        let (_keep, stopping) = watch::channel(false);
        door.serve(server, Begin::Tls, Origin::Inside, stopping).await
    });
    let mut client = BufReader::new(client);
    let mut line = String::new();
    client.read_line(&mut line).await.unwrap();
    // None of these is a login at all: no password is hashed, so nothing but the delay takes time.
    let asked = [
        "a LOGIN kimse x\r\n",
        "b LOGIN kimse x\r\n",
        "c AUTHENTICATE PLAIN eA==\r\n",
    ];
    for (ask, failures) in asked.into_iter().zip(1..) {
        let before = Instant::now();
        client.get_mut().write_all(ask.as_bytes()).await.unwrap();
        line.clear();
        client.read_line(&mut line).await.unwrap();
        assert!(line.contains(" NO [AUTHENTICATIONFAILED] "), "{line}");
        assert!(before.elapsed() >= delay * failures, "{line}");
    }
    drop(client);
    let _ = serving.await.unwrap();
}
