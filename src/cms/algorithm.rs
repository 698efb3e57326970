//! Digest and signature algorithms that are allowed: SHA-256/384/512 with ECDSA (P-256, P-384) or RSA PKCS #1 v1.5.
//!
//! SHA-1 and MD5 signatures are refused (TS 119 312). RSA-PSS and P-521 are not read yet.

use super::der::{self, DerError, Reader};
use aws_lc_rs::digest;

/// A digest algorithm of the SHA-2 family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DigestAlgorithm {
    Sha256,
    Sha384,
    Sha512,
}

const OID_SHA256: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01];
const OID_SHA384: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02];
const OID_SHA512: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03];
const OID_RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const OID_RSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b];
const OID_RSA_SHA384: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0c];
const OID_RSA_SHA512: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0d];
const OID_ECDSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
const OID_ECDSA_SHA384: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03];
const OID_ECDSA_SHA512: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x04];

impl DigestAlgorithm {
    pub fn digest(self, octets: &[u8]) -> Vec<u8> {
        let algorithm = match self {
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        };
        digest::digest(algorithm, octets).as_ref().to_vec()
    }

    pub fn length(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    /// The name that people and the algorithm policy know.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "SHA-256",
            Self::Sha384 => "SHA-384",
            Self::Sha512 => "SHA-512",
        }
    }

    pub fn oid(self) -> &'static [u8] {
        match self {
            Self::Sha256 => OID_SHA256,
            Self::Sha384 => OID_SHA384,
            Self::Sha512 => OID_SHA512,
        }
    }

    /// The AlgorithmIdentifier without parameters (RFC 5754 2).
    pub fn identifier(self) -> Vec<u8> {
        der::sequence(&[&der::tlv(der::OID, &[self.oid()])])
    }

    pub fn from_oid(oid: &[u8]) -> Option<Self> {
        [Self::Sha256, Self::Sha384, Self::Sha512]
            .into_iter()
            .find(|a| a.oid() == oid)
    }

    /// Reads the content of an AlgorithmIdentifier; parameters absent or NULL.
    pub fn read(fields: Reader<'_>) -> Result<Self, DerError> {
        Self::from_oid(simple_oid(fields)?).ok_or(DerError("digest algorithm is not SHA-256, -384 or -512"))
    }
}

/// SHA-256 of octets.
pub fn sha256(octets: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest::digest(&digest::SHA256, octets).as_ref());
    out
}

/// The digest of a content that is not at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentDigest {
    Sha256([u8; 32]),
    Sha384([u8; 48]),
    Sha512([u8; 64]),
}

impl ContentDigest {
    /// Of a content that is at hand.
    pub fn of(algorithm: DigestAlgorithm, octets: &[u8]) -> Self {
        fn array<const N: usize>(algorithm: &'static digest::Algorithm, octets: &[u8]) -> [u8; N] {
            let mut out = [0; N];
            out.copy_from_slice(digest::digest(algorithm, octets).as_ref());
            out
        }
        match algorithm {
            DigestAlgorithm::Sha256 => Self::Sha256(array(&digest::SHA256, octets)),
            DigestAlgorithm::Sha384 => Self::Sha384(array(&digest::SHA384, octets)),
            DigestAlgorithm::Sha512 => Self::Sha512(array(&digest::SHA512, octets)),
        }
    }

    /// From its octets; None when there are not as many as the algorithm makes.
    pub fn from_octets(algorithm: DigestAlgorithm, octets: &[u8]) -> Option<Self> {
        Some(match algorithm {
            DigestAlgorithm::Sha256 => Self::Sha256(octets.try_into().ok()?),
            DigestAlgorithm::Sha384 => Self::Sha384(octets.try_into().ok()?),
            DigestAlgorithm::Sha512 => Self::Sha512(octets.try_into().ok()?),
        })
    }

    pub fn algorithm(&self) -> DigestAlgorithm {
        match self {
            Self::Sha256(_) => DigestAlgorithm::Sha256,
            Self::Sha384(_) => DigestAlgorithm::Sha384,
            Self::Sha512(_) => DigestAlgorithm::Sha512,
        }
    }

    pub fn octets(&self) -> &[u8] {
        match self {
            Self::Sha256(d) => d,
            Self::Sha384(d) => d,
            Self::Sha512(d) => d,
        }
    }
}

impl From<[u8; 32]> for ContentDigest {
    fn from(digest: [u8; 32]) -> Self {
        Self::Sha256(digest)
    }
}

/// How a signature was made, without the curve or key size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SignatureAlgorithm {
    Ecdsa(DigestAlgorithm),
    Rsa(DigestAlgorithm),
}

impl SignatureAlgorithm {
    pub fn digest_algorithm(self) -> DigestAlgorithm {
        match self {
            Self::Ecdsa(d) | Self::Rsa(d) => d,
        }
    }

    /// The family, as the algorithm policy names it.
    pub fn family(self) -> &'static str {
        match self {
            Self::Ecdsa(_) => "ECDSA",
            Self::Rsa(_) => "RSA",
        }
    }

    /// The AlgorithmIdentifier: ECDSA without parameters (RFC 5758 3.2), RSA with NULL (RFC 4055 5).
    pub fn identifier(self) -> Vec<u8> {
        use DigestAlgorithm::{Sha256, Sha384, Sha512};
        let oid = match self {
            Self::Ecdsa(Sha256) => OID_ECDSA_SHA256,
            Self::Ecdsa(Sha384) => OID_ECDSA_SHA384,
            Self::Ecdsa(Sha512) => OID_ECDSA_SHA512,
            Self::Rsa(Sha256) => OID_RSA_SHA256,
            Self::Rsa(Sha384) => OID_RSA_SHA384,
            Self::Rsa(Sha512) => OID_RSA_SHA512,
        };
        let null: &[u8] = if matches!(self, Self::Rsa(_)) {
            &[der::NULL, 0]
        } else {
            &[]
        };
        der::sequence(&[&der::tlv(der::OID, &[oid]), null])
    }

    /// Reads the content of an AlgorithmIdentifier. `rsaEncryption` alone, which many CMS writers put there (RFC 3370
    /// 3.2), takes its digest from `beside`.
    pub fn read(fields: Reader<'_>, beside: Option<DigestAlgorithm>) -> Result<Self, DerError> {
        use DigestAlgorithm::{Sha256, Sha384, Sha512};
        let oid = simple_oid(fields)?;
        Ok(match oid {
            OID_ECDSA_SHA256 => Self::Ecdsa(Sha256),
            OID_ECDSA_SHA384 => Self::Ecdsa(Sha384),
            OID_ECDSA_SHA512 => Self::Ecdsa(Sha512),
            OID_RSA_SHA256 => Self::Rsa(Sha256),
            OID_RSA_SHA384 => Self::Rsa(Sha384),
            OID_RSA_SHA512 => Self::Rsa(Sha512),
            OID_RSA => Self::Rsa(beside.ok_or(DerError("rsaEncryption is not a signature algorithm here"))?),
            _ => return Err(DerError("signature algorithm is not allowed")),
        })
    }
}

fn simple_oid(mut fields: Reader<'_>) -> Result<&[u8], DerError> {
    let oid = fields.expect(der::OID, "algorithm identifier")?.value;
    if let Some(null) = fields.optional(der::NULL)?
        && !null.value.is_empty()
    {
        return Err(DerError("algorithm parameters"));
    }
    fields.end("algorithm parameters")?;
    Ok(oid)
}
