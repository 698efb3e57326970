//! How soon those who idle hear: 1,000 real TLS connections of one tenant, from the commit to the line at each of them.
//! `cargo bench --bench push`; `ulimit -n` must allow some 2,500 files.
//!
//! Half of them idle in INBOX, half where nothing happens. The clients run on a thread of their own in the same process
//! and share its cores: what is measured includes their reading and decrypting. A plain table, no statistics.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[allow(dead_code)]
#[path = "../tests/journey/mailbox_house.rs"]
mod mailbox_house;
#[path = "../tests/journey/provider.rs"]
mod provider;

use kepd::domain::audit::Origin;
use kepd::domain::item::{Item, ItemKind};
use kepd::id::ItemId;
use kepd::net::imap::Begin;
use kepd::seal::pki::{DevPki, KeyAlgorithm, Plan};
use kepd::service::account::Accounts;
use kepd::service::outline::Outline;
use kepd::store::db::Batch;
use kepd::store::tables::items::{self, Content};
use mailbox_house::{House, PASSWORD};
use rustls::pki_types::ServerName;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

const CONNECTIONS: usize = 1000;
const ROUNDS: usize = 30;
const DAY: Duration = Duration::from_secs(24 * 3600);
const MAIL: &[u8] = b"From: a@hs02.kep.test\r\nTo: ornekas@hs01.kep.test\r\nSubject: x\r\n\r\nbody\r\n";

type Line = BufReader<TlsStream<TcpStream>>;

fn main() {
    let server = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let clients = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let house = server.block_on(async { House::build().await.with_passwords().await });
    let now = kepd::clock::Clock::now(&kepd::clock::SystemClock);
    let pki = DevPki::generate(&Plan {
        domain: "hs01.kep.test".parse().unwrap(),
        seal_address: "kep@hs01.kep.test".parse().unwrap(),
        dns_names: vec!["hs01.kep.test".into()],
        not_before: now.minus(DAY),
        not_after: now.plus(30 * DAY),
        seal_key: KeyAlgorithm::P256,
    })
    .unwrap();
    let port = server.block_on(listen(&house, &pki));
    let (heard, mut hears) = mpsc::unbounded_channel();
    for n in 0..CONNECTIONS {
        let user = if n % 4 < 2 { "mudur" } else { "muavin" };
        let mailbox = if n % 2 == 0 { "INBOX" } else { "Deliller" };
        let line = clients.block_on(idle(port, &pki, user, mailbox));
        let heard = (n % 2 == 0).then(|| heard.clone());
        clients.spawn(listening(line, heard));
    }
    println!(
        "{:<60} {:>9} {:>9} {:>9}",
        "of 500 in INBOX, 500 elsewhere", "p50 ms", "p95 ms", "max ms"
    );
    server.block_on(async {
        let mut delays = Vec::new();
        for _ in 0..ROUNDS {
            let told = commit_mail(&house).await;
            gather(&mut hears, told, &mut delays).await;
        }
        row("a mail that is consigned", &mut delays);
        let finans = house.mailboxes.organisations.of(house.tenant).unwrap();
        let finans = finans.label_by_name("Finans").unwrap().id;
        for n in 0..ROUNDS {
            let told = commit_change(&house, ItemId(n as u64 + 1), |item| {
                item.labels.insert(finans);
            })
            .await;
            gather(&mut hears, told, &mut delays).await;
        }
        row("a label on a mail", &mut delays);
    });
}

fn row(what: &str, delays: &mut Vec<Duration>) {
    delays.sort_unstable();
    let ms = |at: usize| delays[at.min(delays.len() - 1)].as_secs_f64() * 1000.0;
    let (half, most) = (ms(delays.len() / 2), ms(delays.len() * 95 / 100));
    println!("{what:<60} {half:>9.1} {most:>9.1} {:>9.1}", ms(delays.len()));
    delays.clear();
}

async fn listen(house: &House, pki: &DevPki) -> u16 {
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
    let acceptor = TlsAcceptor::from(Arc::new(config));
    // Two users have all the connections: more than a user usually may.
    let organisations = house.mailboxes.organisations.clone();
    let accounts = Accounts::new(house.mailboxes.db.clone(), organisations).unwrap();
    let accounts = Arc::new(accounts.with_limits(Arc::default(), CONNECTIONS));
    let door = Arc::new(mailbox_house::door(house.mailboxes.clone(), accounts));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (_keep, stopping) = watch::channel(false);
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            let _ = socket.set_nodelay(true);
            let (door, acceptor, stopping) = (door.clone(), acceptor.clone(), stopping.clone());
            tokio::spawn(async move {
                let stream = acceptor.accept(socket).await.unwrap();
                door.serve(stream, Begin::Tls, Origin::Inside, stopping).await
            });
        }
    });
    port
}

/// Logged in, with a mailbox open, idling.
async fn idle(port: u16, pki: &DevPki, user: &str, mailbox: &str) -> Line {
    let mut roots = rustls::RootCertStore::empty();
    let ca = CertificateDer::from_pem_slice(pki.ca.certificate_pem.as_bytes()).unwrap();
    roots.add(ca).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let socket = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    socket.set_nodelay(true).unwrap();
    let name = ServerName::try_from("hs01.kep.test").unwrap();
    let stream = TlsConnector::from(Arc::new(config))
        .connect(name, socket)
        .await
        .unwrap();
    let mut line = BufReader::new(stream);
    say(
        &mut line,
        &format!("a LOGIN {user}@ornekas \"{PASSWORD}\"\r\n"),
        "a OK",
    )
    .await;
    say(&mut line, &format!("b SELECT {mailbox}\r\n"), "b OK").await;
    say(&mut line, "c IDLE\r\n", "+ ").await;
    line
}

async fn say(line: &mut Line, text: &str, end: &str) {
    line.get_mut().write_all(text.as_bytes()).await.unwrap();
    loop {
        let mut said = String::new();
        assert!(
            line.read_line(&mut said).await.unwrap() > 0,
            "{text}: the door closed"
        );
        if said.starts_with(end) {
            return;
        }
    }
}

/// Tells when each line came; who idles elsewhere must hear none.
async fn listening(mut line: Line, heard: Option<mpsc::UnboundedSender<Instant>>) {
    let mut said = String::new();
    while line.read_line(&mut said).await.unwrap_or(0) > 0 {
        let came = Instant::now();
        match &heard {
            Some(heard) => drop(heard.send(came)),
            None => panic!("heard elsewhere: {said}"),
        }
        said.clear();
    }
}

async fn gather(hears: &mut mpsc::UnboundedReceiver<Instant>, told: Instant, delays: &mut Vec<Duration>) {
    for _ in 0..CONNECTIONS / 2 {
        let came = tokio::time::timeout(Duration::from_secs(30), hears.recv()).await;
        delays.push(came.unwrap().unwrap().saturating_duration_since(told));
    }
}

/// Gives the moment at which the mail was durable.
async fn commit_mail(house: &House) -> Instant {
    let mailboxes = &house.mailboxes;
    let blob = mailboxes.spool.store(MAIL).await.unwrap();
    let content = Content::whole(blob.id, blob.size_bytes);
    let outline = Outline::of(&mailboxes.spool, &content).await.unwrap();
    let number = mailboxes.items.next(house.tenant).unwrap();
    let item = Item::new(number, ItemKind::Incoming, mailboxes.clock.now());
    let mut batch = Batch::new();
    items::add(&mut batch, house.tenant, &item, &outline.body(content)).unwrap();
    house.db().commit(batch).await.unwrap();
    let told = Instant::now();
    mailboxes.bells.mailboxes.ring(house.tenant);
    told
}

async fn commit_change(house: &House, id: ItemId, edit: impl FnOnce(&mut Item)) -> Instant {
    let old = items::item(house.db(), house.tenant, id).unwrap().unwrap();
    let mut item = old.row.clone();
    edit(&mut item);
    let mut batch = Batch::new();
    items::replace(&mut batch, house.tenant, &old, &item).unwrap();
    house.db().commit(batch).await.unwrap();
    let told = Instant::now();
    house.mailboxes.bells.mailboxes.ring(house.tenant);
    told
}
