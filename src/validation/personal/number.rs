//! Whose card it was, for a reader in court: the number that the signer's certificate names, masked.
//!
//! Evidence never carries the number; the signed original does, in the certificate. It is read from there, and only where
//! the signature holds and its certificate is the one that the evidence speaks of.

use super::{Shape, digest_algorithm, shape};
use crate::cms::ContentDigest;
use crate::cms::qualified::qualification;
use crate::cms::signed;
use crate::domain::number::Tckn;
use crate::mime::{Structure, decode};

/// The masked TCKN, from the octets of the original.
pub fn masked_number(original: &[u8], certificate_sha256: [u8; 32]) -> Option<String> {
    let structure = Structure::of(original);
    let Shape::Detached { entity, signature } = shape(&structure) else {
        return None;
    };
    let encoded = signature.body.of(original)?;
    let cms_der = decode::transfer(signature.encoding.as_deref(), encoded);
    let algorithm = digest_algorithm(&cms_der).ok()?;
    let content = ContentDigest::of(algorithm, entity.of(original)?);
    let signer = signed::verify_personal(&cms_der, &content).ok()?.signer;
    if signer.fingerprint() != certificate_sha256 {
        return None;
    }
    let number: Tckn = qualification(&signer).person()?.expose().parse().ok()?;
    Some(number.masked())
}
