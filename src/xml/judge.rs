//! What the signature library makes of a document that we accept: another parser, another canonicaliser, another reading of
//! references and keys. In tests only.

use super::spelling::normalised;
use bergshamra::{DsigContext, KeysManager, VerifyResult};

/// Whether it accepts the one signature, too, by the key of this certificate.
pub fn library_accepts(octets: &[u8], signer_der: &[u8]) -> Result<(), String> {
    let text = std::str::from_utf8(octets).map_err(|e| e.to_string())?;
    let key = bergshamra::keys::loader::load_x509_cert_der(signer_der).map_err(|e| e.to_string())?;
    let mut keys = KeysManager::new();
    keys.add_key(key);
    // Only the key given here counts, not what KeyInfo carries. The strict mode would refuse the reference to SignedProperties.
    let context = DsigContext::new(keys)
        .with_strict_verification(false)
        .with_trusted_keys_only(true);
    match bergshamra::verify(&context, &normalised(text)).map_err(|e| e.to_string())? {
        VerifyResult::Invalid { reason } => Err(reason),
        VerifyResult::Valid { references, .. } => {
            let all = references.len() == 2 && references.iter().all(|r| r.digest_verified);
            all.then_some(()).ok_or_else(|| "other references".to_owned())
        }
    }
}
