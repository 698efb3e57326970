//! A small IMAP client that costs as little as possible: what is measured is the server.

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Takes any certificate: both servers are ours.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        aws_lc_rs::default_provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}

pub fn connector() -> TlsConnector {
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody))
        .with_no_client_auth();
    // A resumed session would spare one server work that the other does.
    config.resumption = rustls::client::Resumption::disabled();
    TlsConnector::from(Arc::new(config))
}

pub struct Client {
    stream: TlsStream<TcpStream>,
    read: Vec<u8>,
    at: usize,
    tag: u32,
}

impl Client {
    pub async fn connect(connector: &TlsConnector, port: u16) -> Self {
        let plain = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        plain.set_nodelay(true).unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let stream = connector.connect(name, plain).await.unwrap();
        let mut client = Self {
            stream,
            read: Vec::with_capacity(1 << 16),
            at: 0,
            tag: 0,
        };
        client.line().await;
        client
    }

    pub async fn log_in(connector: &TlsConnector, port: u16, login: &str, password: &str) -> Self {
        let mut client = Self::connect(connector, port).await;
        client.ok(&format!("LOGIN \"{login}\" \"{password}\"")).await;
        client
    }

    async fn fill(&mut self) {
        if self.at == self.read.len() {
            self.read.clear();
            self.at = 0;
        }
        let got = self.stream.read_buf(&mut self.read).await.unwrap();
        assert!(got > 0, "the server hung up");
    }

    /// One line without CRLF.
    pub async fn line(&mut self) -> String {
        let mut from = self.at;
        loop {
            if let Some(end) = self.read[from..].iter().position(|&b| b == b'\n') {
                let end = from + end;
                let line = String::from_utf8_lossy(&self.read[self.at..end])
                    .trim_end()
                    .to_owned();
                self.at = end + 1;
                return line;
            }
            let seen = self.read.len() - self.at;
            self.fill().await;
            from = self.at + seen;
        }
    }

    async fn skip(&mut self, mut octets: usize) {
        loop {
            let take = octets.min(self.read.len() - self.at);
            self.at += take;
            octets -= take;
            if octets == 0 {
                return;
            }
            self.fill().await;
        }
    }

    pub async fn send(&mut self, octets: &[u8]) {
        self.stream.write_all(octets).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    pub fn next_tag(&mut self) -> String {
        self.tag += 1;
        format!("a{}", self.tag)
    }

    /// Sends a command and reads to its OK; untagged lines are counted, literals passed over.
    pub async fn ok(&mut self, command: &str) -> Seen {
        let tag = self.next_tag();
        self.send(format!("{tag} {command}\r\n").as_bytes()).await;
        self.until_ok(&tag, command).await
    }

    pub async fn until_ok(&mut self, tag: &str, command: &str) -> Seen {
        let mut seen = Seen::default();
        loop {
            let line = self.line().await;
            if let Some(size) = line
                .strip_suffix('}')
                .and_then(|l| l.rsplit_once('{'))
                .and_then(|(_, n)| n.parse().ok())
            {
                self.skip(size).await;
                seen.octets += size;
                continue;
            }
            if let Some(rest) = line.strip_prefix(tag).and_then(|r| r.strip_prefix(' ')) {
                assert!(rest.starts_with("OK"), "{command}: {line}");
                return seen;
            }
            if line.starts_with("* ") {
                seen.untagged += 1;
                if line.starts_with("* SEARCH") {
                    seen.found = line.split(' ').skip(2).filter(|w| !w.is_empty()).count();
                }
            }
        }
    }

    /// Reads until an untagged line that ends with `word`.
    pub async fn until(&mut self, word: &str) {
        while !self.line().await.ends_with(word) {}
    }

    pub async fn append(&mut self, mailbox: &str, message: &[u8]) {
        let tag = self.next_tag();
        let mut octets = format!("{tag} APPEND {mailbox} (\\Seen) {{{}+}}\r\n", message.len()).into_bytes();
        octets.extend_from_slice(message);
        octets.extend_from_slice(b"\r\n");
        self.send(&octets).await;
        self.until_ok(&tag, "APPEND").await;
    }
}

/// What an answer held.
#[derive(Debug, Default, Clone, Copy)]
pub struct Seen {
    pub untagged: usize,
    pub octets: usize,
    pub found: usize,
}
