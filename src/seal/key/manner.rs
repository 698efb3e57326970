//! How a key signs: what is chosen for it, and what it can do.
//!
//! Left to itself a key signs as it always did: ECDSA with the digest of its curve's length, RSA PKCS #1 v1.5 with SHA-256. An RSA key can be
//! told to pad by RSASSA-PSS and to digest with more; a curve goes with one digest (TS 119 312 6.2.2.3; what is longer is cut off
//! and what is shorter wastes the curve), so there is nothing to choose but to say it.

use super::KeyError;
use crate::cms::{DigestAlgorithm, SignatureAlgorithm};
use crate::xml::profile::{Family, Method, Sha2};

/// What a key is, as far as its signatures differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyKind {
    P256,
    P384,
    Rsa,
}

/// How RSA signatures are padded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RsaPadding {
    /// PKCS #1 v1.5 (RFC 8017 8.2).
    #[default]
    Pkcs1,
    /// RSASSA-PSS (RFC 8017 8.1) with MGF1 over the same digest and a salt of its length.
    Pss,
}

/// What is wished of a key; the default is left to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Manner {
    /// None: the key's own.
    pub digest: Option<DigestAlgorithm>,
    /// Of no concern to other keys than RSA.
    pub rsa_padding: RsaPadding,
}

impl Manner {
    /// The algorithm by which such a key signs; an error when it cannot sign so.
    pub(super) fn of(self, kind: KeyKind) -> Result<SignatureAlgorithm, KeyError> {
        use DigestAlgorithm::{Sha256, Sha384};
        let own = match kind {
            KeyKind::P256 | KeyKind::Rsa => Sha256,
            KeyKind::P384 => Sha384,
        };
        let digest = self.digest.unwrap_or(own);
        match (kind, self.rsa_padding) {
            (KeyKind::P256 | KeyKind::P384, _) if digest != own => Err(KeyError::Digest {
                curve: if kind == KeyKind::P256 { "P-256" } else { "P-384" },
                own: own.name(),
                wished: digest.name(),
            }),
            (KeyKind::P256 | KeyKind::P384, _) => Ok(SignatureAlgorithm::Ecdsa(digest)),
            (KeyKind::Rsa, RsaPadding::Pkcs1) => Ok(SignatureAlgorithm::Rsa(digest)),
            (KeyKind::Rsa, RsaPadding::Pss) => Ok(SignatureAlgorithm::RsaPss(digest)),
        }
    }
}

/// The same as XML Signature names it.
pub(super) fn xml_method(algorithm: SignatureAlgorithm) -> Method {
    let digest = match algorithm.digest_algorithm() {
        DigestAlgorithm::Sha256 => Sha2::Sha256,
        DigestAlgorithm::Sha384 => Sha2::Sha384,
        DigestAlgorithm::Sha512 => Sha2::Sha512,
    };
    let family = match algorithm {
        SignatureAlgorithm::Ecdsa(_) => Family::Ecdsa,
        SignatureAlgorithm::Rsa(_) => Family::Rsa,
        SignatureAlgorithm::RsaPss(_) => Family::RsaPss,
    };
    Method::of(family, digest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use DigestAlgorithm::{Sha256, Sha384, Sha512};

    #[test]
    fn a_key_signs_as_is_wished_where_it_can() {
        let manner = |digest, rsa_padding| Manner { digest, rsa_padding };
        let (plain, pss) = (RsaPadding::Pkcs1, RsaPadding::Pss);
        for (kind, wished, signs) in [
            (
                KeyKind::P256,
                Manner::default(),
                SignatureAlgorithm::Ecdsa(Sha256),
            ),
            (
                KeyKind::P384,
                Manner::default(),
                SignatureAlgorithm::Ecdsa(Sha384),
            ),
            (KeyKind::Rsa, Manner::default(), SignatureAlgorithm::Rsa(Sha256)),
            (
                KeyKind::P384,
                manner(Some(Sha384), pss),
                SignatureAlgorithm::Ecdsa(Sha384),
            ),
            (
                KeyKind::Rsa,
                manner(Some(Sha512), plain),
                SignatureAlgorithm::Rsa(Sha512),
            ),
            (
                KeyKind::Rsa,
                manner(None, pss),
                SignatureAlgorithm::RsaPss(Sha256),
            ),
            (
                KeyKind::Rsa,
                manner(Some(Sha384), pss),
                SignatureAlgorithm::RsaPss(Sha384),
            ),
        ] {
            assert_eq!(wished.of(kind).unwrap(), signs);
        }
        for (kind, digest) in [
            (KeyKind::P256, Sha512),
            (KeyKind::P384, Sha256),
            (KeyKind::P384, Sha512),
        ] {
            let refused = manner(Some(digest), plain).of(kind).unwrap_err();
            assert!(matches!(refused, KeyError::Digest { .. }), "{refused}");
        }
    }
}
