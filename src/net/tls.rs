//! TLS (1.2 and 1.3, rustls over aws-lc-rs): the server's half with a certificate that can be exchanged while it runs,
//! and the client's half for relaying, which knows its peer by fingerprint and by nothing else. Doors where users log in
//! may ask them for a certificate (`asking`).
//!
//! Between providers there is no public authority to lean on: a peer's profile names the SHA-256 of the certificates
//! its relay door may show. A peer without one cannot be relayed to. Validity dates and names of a pinned certificate
//! are not looked at: the administrator who pinned it vouches for it, and rotation goes by pinning the next one.

use super::asking::Asking;
use super::private_key::signing_key;
use crate::domain::provider::Fingerprint;
use crate::seal::key::read_pair;
use crate::smtp::timeouts;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, ServerConfig, SignatureScheme};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};
use zeroize::Zeroizing;

/// Why there is no TLS. `Load` is the administrator's to mend; the others are of one connection.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("{what}: {why}")]
    Load { what: String, why: String },
    #[error("no certificate of this peer is pinned")]
    NoPins,
    #[error("the TLS handshake: {0}")]
    Handshake(std::io::Error),
    #[error("the TLS handshake took too long")]
    TooSlow,
    #[error("TLS cannot be set up: {0}")]
    Setup(String),
}

/// What a door shows of itself.
pub struct ServerTls {
    acceptor: TlsAcceptor,
    shown: Arc<Shown>,
}

/// The certificate shown to connections that begin now.
#[derive(Debug)]
struct Shown(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

impl ServerTls {
    /// From a chain (end entity first) and its private key, both PEM. The key must belong to the certificate.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Arc<Self>, TlsError> {
        let shown = Arc::new(Shown(RwLock::new(certified(chain, key)?)));
        Self::showing(shown, None)
    }

    /// The same server for other doors: it shows the same certificate, also after it was exchanged, and asks the client
    /// for one of these authorities (their names in DER). Who shows none comes in as well.
    pub fn asking(&self, authorities: Vec<Vec<u8>>) -> Result<Arc<Self>, TlsError> {
        let asking = Asking::for_certificates_of(authorities, &provider());
        Self::showing(self.shown.clone(), Some(asking))
    }

    fn showing(shown: Arc<Shown>, asking: Option<Asking>) -> Result<Arc<Self>, TlsError> {
        let builder = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(|e| TlsError::Setup(e.to_string()))?;
        let builder = match asking {
            Some(asking) => builder.with_client_cert_verifier(Arc::new(asking)),
            None => builder.with_no_client_auth(),
        };
        Ok(Arc::new(Self {
            acceptor: TlsAcceptor::from(Arc::new(builder.with_cert_resolver(shown.clone()))),
            shown,
        }))
    }

    /// From files. The key's file must be its owner's alone.
    pub fn load(chain: &Path, key: &Path) -> Result<Arc<Self>, TlsError> {
        let (chain, key) = read(chain, key)?;
        Self::from_pem(&chain, &key)
    }

    /// SHA-256 of the certificate shown now: what peers pin.
    pub fn fingerprint(&self) -> [u8; 32] {
        let shown = self.shown.0.read().unwrap_or_else(PoisonError::into_inner);
        shown
            .cert
            .first()
            .map_or([0; 32], |certificate| sha256(certificate))
    }

    /// For connections that begin in the clear.
    pub fn acceptor(&self) -> TlsAcceptor {
        self.acceptor.clone()
    }

    /// Shows another certificate from the next connection on (after SIGHUP). On an error everything stays as it was.
    pub fn replace(&self, chain: &[u8], key: &[u8]) -> Result<(), TlsError> {
        let next = certified(chain, key)?;
        *self.shown.0.write().unwrap_or_else(PoisonError::into_inner) = next;
        Ok(())
    }

    /// [`Self::replace`] from files.
    pub fn reload(&self, chain: &Path, key: &Path) -> Result<(), TlsError> {
        let (chain, key) = read(chain, key)?;
        self.replace(&chain, &key)
    }

    /// Shakes hands with a client, within [`timeouts::TLS_HANDSHAKE`].
    pub async fn accept<S>(&self, stream: S) -> Result<server::TlsStream<S>, TlsError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        in_time(self.acceptor.accept(stream)).await
    }
}

/// Shakes hands with a peer that must show one of the pinned certificates.
pub async fn connect_pinned<S>(
    stream: S,
    host: &str,
    pins: &[Fingerprint],
) -> Result<client::TlsStream<S>, TlsError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let config = pinned(pins)?;
    let name = ServerName::try_from(host.to_owned()).map_err(|e| TlsError::Setup(e.to_string()))?;
    in_time(TlsConnector::from(Arc::new(config)).connect(name, stream)).await
}

async fn in_time<T>(handshake: impl Future<Output = std::io::Result<T>>) -> Result<T, TlsError> {
    match timeout(timeouts::TLS_HANDSHAKE, handshake).await {
        Ok(done) => done.map_err(TlsError::Handshake),
        Err(_) => Err(TlsError::TooSlow),
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn pinned(pins: &[Fingerprint]) -> Result<ClientConfig, TlsError> {
    if pins.is_empty() {
        return Err(TlsError::NoPins);
    }
    let provider = provider();
    let verifier = PinnedPeer {
        pins: pins.to_vec(),
        provider: provider.clone(),
    };
    Ok(ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|e| TlsError::Setup(e.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth())
}

/// Takes exactly the pinned end-entity certificates. That the peer holds the key is proven by the handshake's
/// signature, which is verified as always.
#[derive(Debug)]
struct PinnedPeer {
    pins: Vec<Fingerprint>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for PinnedPeer {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let shown = Fingerprint(sha256(end_entity));
        if self.pins.contains(&shown) {
            return Ok(ServerCertVerified::assertion());
        }
        tracing::warn!(%shown, "the peer shows a certificate that is not pinned");
        Err(CertificateError::ApplicationVerificationFailure.into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

fn sha256(octets: &[u8]) -> [u8; 32] {
    let digest = ::aws_lc_rs::digest::digest(&::aws_lc_rs::digest::SHA256, octets);
    let mut fingerprint = [0; 32];
    fingerprint.copy_from_slice(digest.as_ref());
    fingerprint
}

fn certified(chain: &[u8], key: &[u8]) -> Result<Arc<CertifiedKey>, TlsError> {
    let unusable = |what: &str, why: String| TlsError::Load {
        what: what.to_owned(),
        why,
    };
    let chain = CertificateDer::pem_slice_iter(chain)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| unusable("the certificate chain", e.to_string()))?;
    if chain.is_empty() {
        return Err(unusable(
            "the certificate chain",
            "there is no certificate in it".into(),
        ));
    }
    let key = signing_key(key).map_err(|why| unusable("the private key", why))?;
    let certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        // Of some kinds of keys it cannot be known.
        Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {}
        Err(e) => return Err(unusable("certificate and key", e.to_string())),
    }
    Ok(Arc::new(certified))
}

fn read(chain: &Path, key: &Path) -> Result<(Vec<u8>, Zeroizing<Vec<u8>>), TlsError> {
    read_pair(chain, key).map_err(|e| TlsError::Load {
        what: format!("{} with {}", chain.display(), key.display()),
        why: e.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertifiedKey as Made, generate_simple_self_signed};

    fn made(name: &str) -> (Vec<u8>, Vec<u8>, Fingerprint) {
        let Made { cert, signing_key } = generate_simple_self_signed([name.to_owned()]).unwrap();
        let pin = Fingerprint(sha256(cert.der()));
        (
            cert.pem().into_bytes(),
            signing_key.serialize_pem().into_bytes(),
            pin,
        )
    }

    /// Both halves over a pipe; whether they came to terms.
    async fn shake(server: &ServerTls, pins: &[Fingerprint]) -> Result<(), TlsError> {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let (client, _server) =
            tokio::join!(connect_pinned(ours, "hs02.kep.test", pins), server.accept(theirs));
        client.map(|_| ())
    }

    #[tokio::test]
    async fn only_a_pinned_certificate_is_taken() {
        let (chain, key, pin) = made("hs02.kep.test");
        let (_, _, other) = made("hs02.kep.test");
        let server = ServerTls::from_pem(&chain, &key).unwrap();
        assert!(shake(&server, &[other, pin]).await.is_ok());
        assert!(matches!(
            shake(&server, &[other]).await,
            Err(TlsError::Handshake(_))
        ));
        assert!(matches!(shake(&server, &[]).await, Err(TlsError::NoPins)));
    }

    #[tokio::test]
    async fn a_certificate_is_exchanged_while_the_door_is_open() {
        let (chain, key, old) = made("a.test");
        let (next_chain, next_key, next) = made("b.test");
        let server = ServerTls::from_pem(&chain, &key).unwrap();
        assert!(
            server.replace(&next_chain, &key).is_err(),
            "the key of another certificate"
        );
        assert!(
            shake(&server, &[old]).await.is_ok(),
            "a failed exchange changes nothing"
        );
        server.replace(&next_chain, &next_key).unwrap();
        assert!(shake(&server, &[old]).await.is_err());
        assert!(shake(&server, &[next]).await.is_ok());
    }

    /// Each octet of a slow handshake buys no more time.
    #[tokio::test(start_paused = true)]
    async fn a_handshake_that_does_not_end_is_given_up() {
        use tokio::io::AsyncWriteExt as _;
        let (chain, key, _) = made("a.test");
        let server = ServerTls::from_pem(&chain, &key).unwrap();
        let (mut client, ours) = tokio::io::duplex(1024);
        let began = tokio::time::Instant::now();
        let drip = async {
            // A record of a handshake that announces 16 KiB.
            for octet in [0x16, 3, 1, 0x40, 0].into_iter().chain(std::iter::repeat(1)) {
                if client.write_all(&[octet]).await.is_err() {
                    return;
                }
                tokio::time::sleep(std::time::Duration::from_secs(5)).await;
            }
        };
        let ended = tokio::select! {
            ended = server.accept(ours) => ended,
            () = drip => panic!("the handshake goes on"),
        };
        assert!(matches!(ended, Err(TlsError::TooSlow)));
        assert_eq!(began.elapsed().as_secs(), timeouts::TLS_HANDSHAKE.as_secs());
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let (chain, key, pin) = made("a.test");
        let folder = tempfile::tempdir().unwrap();
        let (chain_path, key_path) = (folder.path().join("c.pem"), folder.path().join("k.key"));
        std::fs::write(&chain_path, chain).unwrap();
        std::fs::write(&key_path, key).unwrap();
        let set = |mode| std::fs::set_permissions(&key_path, std::fs::Permissions::from_mode(mode)).unwrap();
        set(0o640);
        assert!(matches!(
            ServerTls::load(&chain_path, &key_path),
            Err(TlsError::Load { .. })
        ));
        set(0o600);
        let server = ServerTls::load(&chain_path, &key_path).unwrap();
        assert_eq!(Fingerprint(server.fingerprint()), pin);
    }
}
