//! Digest and signature algorithms that are allowed: SHA-256/384/512 with ECDSA (P-256, P-384), RSA PKCS #1 v1.5 or RSASSA-PSS.
//!
//! SHA-1 and MD5 signatures are refused (TS 119 312). P-521 is not read yet.

use super::der::{self, DerError, Reader};
use super::pss;
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
    fn implementation(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        }
    }

    pub fn digest(self, octets: &[u8]) -> Vec<u8> {
        digest::digest(self.implementation(), octets).as_ref().to_vec()
    }

    /// The name in the parameter `micalg` of a `multipart/signed` (RFC 8551 3.5.3.2).
    pub fn micalg(self) -> &'static str {
        match self {
            Self::Sha256 => "sha-256",
            Self::Sha384 => "sha-384",
            Self::Sha512 => "sha-512",
        }
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

/// A digest of what streams by.
pub struct Hasher {
    algorithm: DigestAlgorithm,
    context: digest::Context,
}

impl std::fmt::Debug for Hasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Hasher({})", self.algorithm.name())
    }
}

impl Hasher {
    pub fn new(algorithm: DigestAlgorithm) -> Self {
        Self {
            algorithm,
            context: digest::Context::new(algorithm.implementation()),
        }
    }

    pub fn update(&mut self, octets: &[u8]) {
        self.context.update(octets);
    }

    /// None never: a digest is as long as its algorithm says.
    pub fn finish(self) -> Option<ContentDigest> {
        ContentDigest::from_octets(self.algorithm, self.context.finish().as_ref())
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
    /// PKCS #1 v1.5.
    Rsa(DigestAlgorithm),
    /// With MGF1 over the same digest, and a salt of its length.
    RsaPss(DigestAlgorithm),
}

impl SignatureAlgorithm {
    pub fn digest_algorithm(self) -> DigestAlgorithm {
        match self {
            Self::Ecdsa(d) | Self::Rsa(d) | Self::RsaPss(d) => d,
        }
    }

    /// The family, as the algorithm policy names it.
    pub fn family(self) -> &'static str {
        match self {
            Self::Ecdsa(_) => "ECDSA",
            Self::Rsa(_) => "RSA",
            Self::RsaPss(_) => "RSA-PSS",
        }
    }

    /// The AlgorithmIdentifier: ECDSA without parameters (RFC 5758 3.2), RSA with NULL (RFC 4055 5), RSASSA-PSS with its own.
    pub fn identifier(self) -> Vec<u8> {
        use DigestAlgorithm::{Sha256, Sha384, Sha512};
        let oid = match self {
            Self::Ecdsa(Sha256) => OID_ECDSA_SHA256,
            Self::Ecdsa(Sha384) => OID_ECDSA_SHA384,
            Self::Ecdsa(Sha512) => OID_ECDSA_SHA512,
            Self::Rsa(Sha256) => OID_RSA_SHA256,
            Self::Rsa(Sha384) => OID_RSA_SHA384,
            Self::Rsa(Sha512) => OID_RSA_SHA512,
            Self::RsaPss(_) => pss::OID_RSA_PSS,
        };
        let parameters = match self {
            Self::Ecdsa(_) => Vec::new(),
            Self::Rsa(_) => vec![der::NULL, 0],
            Self::RsaPss(digest) => pss::parameters(digest),
        };
        der::sequence(&[&der::tlv(der::OID, &[oid]), &parameters])
    }

    /// Reads the content of an AlgorithmIdentifier. `rsaEncryption` alone, which many CMS writers put there (RFC 3370
    /// 3.2), takes its digest from `beside`.
    pub fn read(fields: Reader<'_>, beside: Option<DigestAlgorithm>) -> Result<Self, DerError> {
        use DigestAlgorithm::{Sha256, Sha384, Sha512};
        let mut parts = fields.clone();
        if parts.expect(der::OID, "algorithm identifier")?.value == pss::OID_RSA_PSS {
            return pss::read_signature(parts).map(Self::RsaPss);
        }
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
