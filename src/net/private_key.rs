//! The doors' private key from PEM, without leaving copies behind: what reads PEM in general keeps the text of the key in
//! memory that is given back unwiped, and rustls would do the same with its DER.
//!
//! PKCS #8 (RFC 5958) is decoded here, into memory that is wiped. The older forms (`BEGIN RSA PRIVATE KEY`, `BEGIN EC
//! PRIVATE KEY`) still go the general way.

use base64::Engine as _;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::sign::SigningKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use std::sync::Arc;
use zeroize::Zeroizing;

const BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const END: &str = "-----END PRIVATE KEY-----";

/// The key that signs handshakes; the error is a sentence without any of the key in it.
pub(super) fn signing_key(pem: &[u8]) -> Result<Arc<dyn SigningKey>, String> {
    let key = match pkcs8_der(pem) {
        Some(der) => any_supported_type(&PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(der.as_slice()))),
        None => any_supported_type(&PrivateKeyDer::from_pem_slice(pem).map_err(|e| e.to_string())?),
    };
    key.map_err(|e| e.to_string())
}

/// The first key of the text, if it is PKCS #8.
fn pkcs8_der(pem: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let text = std::str::from_utf8(pem).ok()?;
    let (_, rest) = text.split_once(BEGIN)?;
    let (body, _) = rest.split_once(END)?;
    // Room for all of it at once: a vector that grows would leave copies behind.
    let mut packed = Zeroizing::new(Vec::with_capacity(body.len()));
    packed.extend(body.bytes().filter(|o| !o.is_ascii_whitespace()));
    let mut der = Zeroizing::new(vec![0; body.len()]);
    let engine = base64::engine::general_purpose::STANDARD;
    let octets = engine.decode_slice(&*packed, &mut der).ok()?;
    der.truncate(octets);
    Some(der)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pkcs8_is_decoded_here_and_other_forms_go_the_general_way() {
        let pem = rcgen::KeyPair::generate().unwrap().serialize_pem();
        let der = pkcs8_der(pem.as_bytes()).unwrap();
        let general = PrivateKeyDer::from_pem_slice(pem.as_bytes()).unwrap();
        assert_eq!(&der[..], general.secret_der());
        assert!(signing_key(pem.as_bytes()).is_ok());
        for (text, why) in [
            ("", "no items found"),
            (
                "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
                "",
            ),
            (
                "-----BEGIN PRIVATE KEY-----\n!!!!\n-----END PRIVATE KEY-----\n",
                "",
            ),
        ] {
            let said = signing_key(text.as_bytes()).unwrap_err();
            assert!(said.contains(why) && !said.contains("AAAA"), "{said}");
        }
    }
}
