//! SCRAM-SHA-256-PLUS at the doors of a real daemon: bound to the TLS connection by its exporter (RFC 9266), refused on any
//! other, and not to be talked down. The exchanges are computed once more by an outside judge.

use super::certificate_login::{PASSWORD, Place};
use kepd::domain::audit_chain::hex;
use kepd::sasl::{ChannelBinding, ScramClient, Secret, decode_base64, encode_base64};
use rustls::SupportedProtocolVersion;
use rustls::version::{TLS12, TLS13};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use serde_json::{Value, json};
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

const LOGIN: &str = "ayse@ornekas";

/// A client that knows the value of its own connection, at the submission or the mailbox door.
struct Client {
    stream: BufReader<TlsStream<TcpStream>>,
    imap: bool,
    exporter: [u8; 32],
    offered: String,
}

impl Client {
    async fn open(place: &Place, imap: bool, version: &'static SupportedProtocolVersion) -> Self {
        let mut roots = rustls::RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_file(place.ca()).unwrap())
            .unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let port = &place.ports[if imap { "imap_tls" } else { "submission_tls" }];
        let address = ("127.0.0.1", u16::try_from(port.as_u64().unwrap()).unwrap());
        let stream = TcpStream::connect(address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let connector = TlsConnector::from(Arc::new(config));
        let stream = connector.connect(name, stream).await.unwrap();
        let exported = stream
            .get_ref()
            .1
            .export_keying_material([0; 32], b"EXPORTER-Channel-Binding", None);
        let mut client = Self {
            stream: BufReader::new(stream),
            imap,
            exporter: exported.unwrap(),
            offered: String::new(),
        };
        client.line().await;
        client.offered = match imap {
            true => client.ask("a CAPABILITY").await,
            false => client.ask("EHLO client").await,
        };
        client
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).await.unwrap();
        line.trim_end().to_owned()
    }

    async fn say(&mut self, line: &str) {
        let octets = format!("{line}\r\n");
        self.stream.get_mut().write_all(octets.as_bytes()).await.unwrap();
    }

    /// The whole answer, up to its last line.
    async fn ask(&mut self, line: &str) -> String {
        self.say(line).await;
        let mut all = String::new();
        loop {
            let line = self.line().await;
            all.push_str(&line);
            let more = match self.imap {
                true => line.starts_with("* "),
                false => line.as_bytes().get(3) == Some(&b'-'),
            };
            if !more {
                return all;
            }
            all.push('\n');
        }
    }

    async fn begin(&mut self, mechanism: &str, first: &[u8]) -> String {
        let verb = if self.imap { "a AUTHENTICATE" } else { "AUTH" };
        let line = format!("{verb} {mechanism} {}", encode_base64(first));
        self.ask(&line).await
    }

    /// Runs an exchange to its end: the messages, and the last word of the server.
    async fn run(&mut self, mechanism: &str, started: (ScramClient, Vec<u8>)) -> (Vec<String>, String) {
        let (mut client, first) = started;
        let text = |octets: &[u8]| String::from_utf8(octets.to_vec()).unwrap();
        let decoded = |line: &str| {
            let challenge = line.strip_prefix("334 ").or(line.strip_prefix("+ "))?;
            decode_base64(challenge.as_bytes())
        };
        let mut messages = vec![text(&first)];
        let said = self.begin(mechanism, &first).await;
        let Some(challenge) = decoded(&said) else {
            return (messages, said);
        };
        messages.push(text(&challenge));
        let last = client.answer(&challenge).unwrap();
        messages.push(text(&last));
        let said = self.ask(&encode_base64(&last)).await;
        let Some(proof) = decoded(&said) else {
            return (messages, said);
        };
        client.verify(&proof).unwrap();
        messages.push(text(&proof));
        let said = self.ask("").await;
        (messages, said)
    }
}

fn is_in(said: &str) -> bool {
    said.starts_with("235 ") || said.starts_with("a OK")
}

fn is_refused(said: &str) -> bool {
    said.starts_with("535 5.7.8 ") || said.starts_with("a NO [AUTHENTICATIONFAILED]")
}

fn judged(exchanges: &[Value]) -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/journey/scram_judge.py");
    let mut python = Command::new("python3")
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = python.stdin.take().unwrap();
    stdin.write_all(json!(exchanges).to_string().as_bytes()).unwrap();
    drop(stdin);
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bound_login_holds_on_its_own_connection_and_cannot_be_talked_down() {
    let place = Place::open(false);
    let secret = |text: &str| Secret::new(text.to_owned());
    let right = secret(PASSWORD);
    let bound = |to: [u8; 32], password: &Secret| {
        ScramClient::start_bound(LOGIN, password, [3; 18], &ChannelBinding::new(to))
    };
    const PLUS: &str = "SCRAM-SHA-256-PLUS";
    let mut exchanges = Vec::new();
    for imap in [false, true] {
        let mut client = Client::open(&place, imap, &TLS13).await;
        let first = if imap {
            "AUTH=SCRAM-SHA-256-PLUS AUTH=SCRAM-SHA-256 "
        } else {
            "AUTH SCRAM-SHA-256-PLUS SCRAM-SHA-256 "
        };
        assert!(client.offered.contains(first), "{}", client.offered);
        let own = client.exporter;
        let (messages, said) = client.run(PLUS, bound(own, &right)).await;
        assert!(is_in(&said), "{said}");
        exchanges.push(json!({ "password": PASSWORD, "exporter": hex(&own), "messages": messages }));
        // The plain one beside it, by a client that does not bind.
        let mut client = Client::open(&place, imap, &TLS13).await;
        let unbound = || ScramClient::start(LOGIN, &right, [3; 18]);
        let (messages, said) = client.run("SCRAM-SHA-256", unbound()).await;
        assert!(is_in(&said), "{said}");
        exchanges.push(json!({ "password": PASSWORD, "exporter": null, "messages": messages }));

        // The value of another connection: somebody in between passed the messages on.
        let mut client = Client::open(&place, imap, &TLS13).await;
        assert_ne!(client.exporter, own, "each connection has its own");
        let (_, said) = client.run(PLUS, bound(own, &right)).await;
        assert!(
            is_refused(&said) && said.contains("does not fit this connection"),
            "{said}"
        );
        // The right value does not make up for the password.
        let own = client.exporter;
        let (_, said) = client.run(PLUS, bound(own, &secret("yanlis bir parola"))).await;
        assert!(is_refused(&said) && !said.contains("binding"), "{said}");

        // "y": the offer of PLUS was taken out of what the client heard.
        let mut client = Client::open(&place, imap, &TLS13).await;
        let said = client.begin("SCRAM-SHA-256", b"y,,n=ayse@ornekas,r=abc").await;
        assert!(is_refused(&said) && said.contains("was offered"), "{said}");
        let said = client.begin(PLUS, b"n,,n=ayse@ornekas,r=abc").await;
        assert!(is_refused(&said) && said.contains("tls-exporter"), "{said}");

        // Under TLS 1.2 there is nothing to bind to, and so nothing was taken away.
        let mut client = Client::open(&place, imap, &TLS12).await;
        assert!(!client.offered.contains("PLUS"), "{}", client.offered);
        let own = client.exporter;
        let (_, said) = client.run(PLUS, bound(own, &right)).await;
        assert!(said.starts_with("504 ") || said.starts_with("a NO "), "{said}");
        let said = client.begin("SCRAM-SHA-256", b"y,,n=ayse@ornekas,r=abc").await;
        assert!(said.starts_with("334 ") || said.starts_with("+ "), "{said}");
    }
    assert_eq!(judged(&exchanges).trim(), "4 held");
}
