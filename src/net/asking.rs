//! Asking a client for its certificate at the TLS handshake (RFC 8446 4.3.2, RFC 5246 7.4.4), and demanding none.
//!
//! Only one thing is decided here: that the client holds the key of the certificate it shows. A certificate that is no
//! good is no reason to end a connection on which the client may log in with its password; what it is worth is asked when
//! the client wants to log in with it (`service::account`, `seal::holder`). So this verifier believes every certificate,
//! and every signature that is right. rustls' own reader of certificates is not used: it ends the handshake for what it
//! does not know in a certificate.
//!
//! Where the key itself cannot be used (another kind, a certificate that cannot be read) no signature can be checked. The
//! connection stands, and [`can_prove`] says of the same certificate, by the same reader, that it proves nothing.

use crate::cms::Certificate;
use crate::cms::certificate::KeyKind;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, PeerMisbehaved, SignatureScheme,
};
use rustls_pki_types::{CertificateDer, SubjectPublicKeyInfoDer, UnixTime};
use std::sync::Arc;

/// Most authorities named to the client, so that it can choose. All qualified authorities of a country are a dozen, with
/// what lies below them some dozens; each name has some 100 octets in every handshake.
const NAMES_MAX: usize = 100;

/// Asks, and leaves the judgement to others.
#[derive(Debug)]
pub(super) struct Asking {
    names: Vec<DistinguishedName>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Asking {
    /// `authorities`: names in DER of those whose certificates are wanted. If there are too many, none is named, and the
    /// client chooses by itself (RFC 8446 4.2.4).
    pub fn for_certificates_of(authorities: Vec<Vec<u8>>, provider: &Arc<CryptoProvider>) -> Self {
        let named = authorities.len() <= NAMES_MAX;
        let names = authorities.into_iter().filter(|_| named);
        Self {
            names: names.map(DistinguishedName::from).collect(),
            algorithms: provider.signature_verification_algorithms,
        }
    }

    /// `Some` if the signature can be checked: whether it is right.
    fn checked(
        &self,
        certificate: &CertificateDer<'_>,
        check: impl FnOnce(&Certificate) -> Result<HandshakeSignatureValid, Error>,
    ) -> Result<HandshakeSignatureValid, Error> {
        match Certificate::from_der(certificate) {
            Ok(read) if can_prove(&read) => check(&read),
            _ => Ok(HandshakeSignatureValid::assertion()),
        }
    }
}

/// Whether the handshake has proved that the client holds the key of this certificate. `false`: it could not be asked.
pub(super) fn can_prove(certificate: &Certificate) -> bool {
    certificate.key_kind() != KeyKind::Unsupported
}

impl ClientCertVerifier for Asking {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.names
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.checked(certificate, |read| {
            let (kind, key) = read.public_key_parts();
            let known = self.algorithms.mapping.iter();
            let (_, algorithms) = known
                .clone()
                .find(|(scheme, _)| *scheme == signed.scheme)
                .ok_or(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme)?;
            // RFC 5246 4.7: below TLS 1.3 a scheme of ECDSA leaves the curve open.
            let fitting = algorithms
                .iter()
                .filter(|a| a.public_key_alg_id().as_ref() == kind);
            fitting
                .clone()
                .any(|a| a.verify_signature(key, message, signed.signature()).is_ok())
                .then(HandshakeSignatureValid::assertion)
                .ok_or(Error::InvalidCertificate(CertificateError::BadSignature))
        })
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.checked(certificate, |read| {
            let key = SubjectPublicKeyInfoDer::from(read.spki_der());
            verify_tls13_signature_with_raw_key(message, &key, signed, &self.algorithms)
        })
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::super::secured::Secured;
    use super::super::tls::ServerTls;
    use crate::service::account::Presented;
    use rcgen::{CertificateParams, KeyPair, SignatureAlgorithm, generate_simple_self_signed};
    use rustls::client::ResolvesClientCert;
    use rustls::crypto::aws_lc_rs::{default_provider, sign::any_supported_type};
    use rustls::sign::CertifiedKey;
    use rustls::version::{TLS12, TLS13};
    use rustls::{ClientConfig, RootCertStore, SignatureScheme, SupportedProtocolVersion};
    use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
    use std::sync::Arc;
    use tokio_rustls::TlsConnector;

    /// A client that shows what it is given, whether the key fits or not.
    #[derive(Debug)]
    struct Shows(Arc<CertifiedKey>);

    impl ResolvesClientCert for Shows {
        fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
            Some(self.0.clone())
        }
        fn has_certs(&self) -> bool {
            true
        }
    }

    /// A certificate of that kind of key, and the key.
    fn made(algorithm: &'static SignatureAlgorithm) -> (Vec<u8>, KeyPair) {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let certificate = CertificateParams::default().self_signed(&key).unwrap();
        (certificate.der().to_vec(), key)
    }

    fn shown(certificates: &[&[u8]], key: &KeyPair) -> Arc<Shows> {
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let chain = certificates.iter().map(|der| CertificateDer::from(der.to_vec()));
        let key = CertifiedKey::new(chain.collect(), any_supported_type(&key).unwrap());
        Arc::new(Shows(Arc::new(key)))
    }

    /// What the server knows after the handshake; `None`: there was none.
    async fn shake(version: &'static SupportedProtocolVersion, shows: Option<Arc<Shows>>) -> Option<Secured> {
        let server = generate_simple_self_signed(["a.test".to_owned()]).unwrap();
        let key = server.signing_key.serialize_pem();
        let tls = ServerTls::from_pem(server.cert.pem().as_bytes(), key.as_bytes()).unwrap();
        let tls = tls.asking(vec![vec![0x30, 0]]).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(server.cert.der().clone()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots);
        let config = match shows {
            Some(shows) => config.with_client_cert_resolver(shows),
            None => config.with_no_client_auth(),
        };
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let name = ServerName::try_from("a.test").unwrap();
        let connector = TlsConnector::from(Arc::new(config));
        let (_client, accepted) = tokio::join!(connector.connect(name, ours), tls.accept(theirs));
        accepted.ok().map(|stream| Secured::of(stream.get_ref().1))
    }

    #[tokio::test]
    async fn a_shown_certificate_is_taken_only_with_its_key() {
        for version in [&TLS12, &TLS13] {
            for algorithm in [
                &rcgen::PKCS_ECDSA_P256_SHA256,
                &rcgen::PKCS_ECDSA_P384_SHA384,
                &rcgen::PKCS_RSA_SHA256,
            ] {
                let (certificate, key) = made(algorithm);
                let secured = shake(version, Some(shown(&[&certificate, b"not one"], &key)))
                    .await
                    .unwrap();
                let Some(Presented::Proved { leaf, along }) = secured.presented() else {
                    panic!("{secured:?}")
                };
                assert!(leaf.der() == certificate && along.is_empty());
                // Somebody else's certificate is public; his key is not.
                let (_, stolen) = made(algorithm);
                let secured = shake(version, Some(shown(&[&certificate], &stolen))).await;
                assert!(secured.is_none(), "{algorithm:?}");
            }
        }
    }

    #[tokio::test]
    async fn what_proves_nothing_ends_no_connection() {
        for version in [&TLS12, &TLS13] {
            let secured = shake(version, None).await.unwrap();
            assert!(secured.presented().is_none());
            let plus = secured.mechanisms().iter().any(|m| m == "SCRAM-SHA-256-PLUS");
            assert_eq!(plus, version.version == rustls::ProtocolVersion::TLSv1_3);

            let (odd, key) = made(&rcgen::PKCS_ECDSA_P521_SHA512);
            for certificate in [&odd[..], b"not a certificate"] {
                let secured = shake(version, Some(shown(&[certificate], &key))).await.unwrap();
                assert!(matches!(secured.presented(), Some(Presented::Unusable)));
                assert!(secured.mechanisms().iter().any(|m| m == "EXTERNAL"));
            }
        }
    }
}
