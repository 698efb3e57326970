//! Other providers: how each is reached, what pins it, and what it takes.

use crate::address::{Domain, KepAddress};
use serde::{Deserialize, Serialize};

/// Largest message between providers, counted on the signed dispatch (`docs/standards.md`, "size").
pub const SIZE_MAX_BYTES: u64 = 25 * 1024 * 1024;
/// What sealing adds around an original at most: introduction, evidence, signature and their encodings.
pub const SEAL_OVERHEAD_MAX_BYTES: u64 = 64 * 1024;

/// Everything known of one peer. Nothing that is not in such a profile is let in or relayed to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// The provider's domain, `hs02.kep.tr`. Its accounts are at it and below it.
    pub domain: Domain,
    /// Name or address of its relay door.
    pub host: String,
    pub port: u16,
    /// SHA-256 of the DER of TLS certificates accepted from its relay door (current, next).
    pub tls_sha256: Vec<Fingerprint>,
    /// SHA-256 of the DER of the certificates that seal its dispatches (current, next).
    pub seal_sha256: Vec<Fingerprint>,
    /// PEM: anchors and intermediates of its seal and of its time-stamp authority.
    pub trust_pem: String,
    /// Where its users' evidence goes; also its envelope sender.
    pub service: KepAddress,
    /// Largest message it takes.
    pub size_max_bytes: u64,
}

/// SHA-256 of a certificate, written in hexadecimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Fingerprint(pub [u8; 32]);

impl std::fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl From<Fingerprint> for String {
    fn from(f: Fingerprint) -> String {
        f.to_string()
    }
}

impl TryFrom<String> for Fingerprint {
    type Error = &'static str;

    /// 64 hexadecimal digits; colons between octets, as openssl prints them, are taken too.
    fn try_from(text: String) -> Result<Self, Self::Error> {
        const SAY: &str = "a SHA-256 fingerprint is 64 hexadecimal digits";
        let digits: Vec<u8> = text.bytes().filter(|b| *b != b':').collect();
        let mut octets = [0u8; 32];
        if digits.len() != 64 {
            return Err(SAY);
        }
        for (octet, pair) in octets.iter_mut().zip(digits.chunks(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| SAY)?;
            *octet = u8::from_str_radix(pair, 16).map_err(|_| SAY)?;
        }
        Ok(Self(octets))
    }
}
