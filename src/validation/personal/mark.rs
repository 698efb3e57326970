//! What one signature is known by, so that it is recognised however it is packed.
//!
//! The CMS around it can be written anew by anybody: certificates and unsigned attributes are not covered. Nor is an ECDSA
//! value one: whoever has (r, s) has (r, n - s) too, and both verify. But r cannot be had anew without the key, and an RSA
//! value not at all.

use crate::cms::algorithm::{SignatureAlgorithm, sha256};
use crate::cms::der::{self, Reader};

/// SHA-256 of what nobody but the signer can make otherwise.
pub(super) fn mark(algorithm: SignatureAlgorithm, value: &[u8]) -> [u8; 32] {
    match algorithm {
        SignatureAlgorithm::Ecdsa(_) => sha256(first_number(value).unwrap_or(value)),
        SignatureAlgorithm::Rsa(_) | SignatureAlgorithm::RsaPss(_) => sha256(value),
    }
}

/// ECDSA-Sig-Value: SEQUENCE { r INTEGER, s INTEGER } (RFC 5480 annex A).
fn first_number(value: &[u8]) -> Option<&[u8]> {
    let pair = Reader::new(value).expect(der::SEQUENCE, "signature value").ok()?;
    let r = Reader::new(pair.value).expect(der::INTEGER, "r").ok()?;
    Some(r.value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cms::DigestAlgorithm::Sha256;

    #[test]
    fn the_other_half_of_a_curve_is_the_same_signature() {
        let value = |r: u8, s: u8| [0x30, 6, 2, 1, r, 2, 1, s];
        let ecdsa = |r, s| mark(SignatureAlgorithm::Ecdsa(Sha256), &value(r, s));
        assert_eq!(ecdsa(7, 9), ecdsa(7, 11));
        assert_ne!(ecdsa(7, 9), ecdsa(8, 9));
        let rsa = |r, s| mark(SignatureAlgorithm::Rsa(Sha256), &value(r, s));
        assert_ne!(rsa(7, 9), rsa(7, 11));
    }
}
