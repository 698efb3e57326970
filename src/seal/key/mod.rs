//! Private keys: in a file, or in a token that signs for us and never gives its key away (PKCS #11).
//!
//! A key is named by a path or by a `pkcs11:` URI (RFC 7512), and signs in one [`Manner`]. Debug says nothing. What can be
//! mended by waiting ([`KeyError::Unavailable`]: a token that is away) is told apart from what cannot.

mod file;
mod manner;
mod pkcs11;
mod uri;

use crate::cms::der::{self, DerError};
use crate::cms::{Certificate, SignatureAlgorithm};
use crate::xml::profile::Method;
use file::FileKey;
use manner::KeyKind;
pub use manner::{Manner, RsaPadding};
use pkcs11::TokenKey;
use std::fmt;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;
pub use uri::{SCHEME, TokenUri, UriError};
use zeroize::Zeroizing;

/// A chain of a dozen certificates is far below.
const CHAIN_FILE_MAX_OCTETS: u64 = 256 * 1024;
/// Octets of r and of s: of P-256, of P-384.
const SCALAR_OCTETS: [usize; 2] = [32, 48];
/// RSA moduli allowed, in octets.
const RSA_OCTETS: std::ops::RangeInclusive<usize> = 256..=512;

/// Why a key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("reading a secret: {0}")]
    Io(#[from] std::io::Error),
    #[error("others may read the file of the secret (mode {mode:03o}); it must be 600 or stricter")]
    Mode { mode: u32 },
    #[error("the key file is not PKCS #8 PEM ('BEGIN PRIVATE KEY')")]
    Format,
    #[error("the key is neither ECDSA P-256, P-384 nor RSA of 2048 to 4096 bits")]
    Kind,
    #[error("a key on {curve} signs with {own}, not with {wished}")]
    Digest {
        curve: &'static str,
        own: &'static str,
        wished: &'static str,
    },
    #[error("the key does not belong to the certificate")]
    Mismatch,
    #[error("signing failed")]
    Signing,
    #[error("the name of the key: {0}")]
    Uri(#[from] UriError),
    /// Trying again could lock the token, so nobody does.
    #[error("the token's PIN was not taken ({0}); it is not tried again until the keys are read anew")]
    Pin(String),
    /// The token, its key or its module are not what was configured.
    #[error("the token: {0}")]
    Token(String),
    /// The token is away, or lost our session twice.
    #[error("the token cannot be used now: {0}")]
    Unavailable(String),
}

impl KeyError {
    /// Whether the same may work later, without anybody's doing.
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

/// A handle on a private key, and how it signs; cheap to clone.
#[derive(Clone)]
pub struct SealKey {
    holder: Arc<Holder>,
    algorithm: SignatureAlgorithm,
}

/// Who has the key.
enum Holder {
    File(FileKey),
    Token(TokenKey),
}

/// A certificate chain and its private key as PEM text, for TLS: `net` uses them, and only this room reads keys.
pub fn read_pair(chain: &Path, key: &Path) -> Result<(Vec<u8>, Zeroizing<Vec<u8>>), KeyError> {
    let mut certificates = Vec::new();
    std::fs::File::open(chain)?
        .take(CHAIN_FILE_MAX_OCTETS)
        .read_to_end(&mut certificates)?;
    Ok((certificates, file::read_private(key)?))
}

/// A password kept in a file that nobody else may read; a line's end behind it does not count.
pub fn read_password(path: &Path) -> Result<Zeroizing<String>, KeyError> {
    let octets = file::read_private(path)?;
    let text = std::str::from_utf8(&octets)
        .map_err(|_| KeyError::Io(std::io::Error::other("the password is not UTF-8")))?;
    Ok(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned()))
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealKey")
    }
}

impl SealKey {
    /// Opens the key that a path names: a file, whose mode is checked, or a `pkcs11:` URI, whose token is logged in to.
    /// Blocks.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        match path.to_str().filter(|text| text.starts_with(SCHEME)) {
            Some(uri) => Self::of(Holder::Token(TokenKey::open(uri.parse()?)?)),
            None => {
                let text = file::read_private(path)?;
                Self::from_pem(std::str::from_utf8(&text).map_err(|_| KeyError::Format)?)
            }
        }
    }

    /// Reads `-----BEGIN PRIVATE KEY-----`.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        Self::of(Holder::File(FileKey::from_pem(text)?))
    }

    pub fn from_pkcs8_der(pkcs8: &[u8]) -> Result<Self, KeyError> {
        Self::of(Holder::File(FileKey::from_pkcs8_der(pkcs8)?))
    }

    fn of(holder: Holder) -> Result<Self, KeyError> {
        Ok(Self {
            algorithm: Manner::default().of(holder.kind())?,
            holder: Arc::new(holder),
        })
    }

    /// The same key, signing in another manner.
    pub fn signing(self, manner: Manner) -> Result<Self, KeyError> {
        Ok(Self {
            algorithm: manner.of(self.holder.kind())?,
            holder: self.holder,
        })
    }

    pub fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }

    pub fn xml_method(&self) -> Method {
        manner::xml_method(self.algorithm)
    }

    /// Signs as CMS and X.509 want it: ECDSA in DER. Blocks; where others wait, use [`SealKey::sign_apart`].
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        match &*self.holder {
            Holder::File(key) => key.sign(self.algorithm, message),
            Holder::Token(key) => key.sign(self.algorithm, message),
        }
    }

    /// [`SealKey::sign`] without holding up the thread: P-256 in a file takes some 20 microseconds, P-384 some 150, and is done at once,
    /// RSA in a file takes a millisecond and goes to the blocking pool, a token has threads of its own.
    pub async fn sign_apart(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        match &*self.holder {
            Holder::File(FileKey::P256(_) | FileKey::P384(_)) => self.sign(message),
            Holder::File(FileKey::Rsa(_)) => {
                let (key, message) = (self.clone(), message.to_vec());
                let signing = tokio::task::spawn_blocking(move || key.sign(&message));
                signing.await.unwrap_or(Err(KeyError::Signing))
            }
            Holder::Token(key) => key.sign_apart(self.algorithm, message).await,
        }
    }

    /// A signature of it did not verify. A token's sessions are opened anew then.
    pub fn distrust(&self) {
        if let Holder::Token(key) = &*self.holder {
            key.distrust();
        }
    }

    /// A signature of [`SealKey::sign`] as XML Signature wants it: ECDSA as r||s.
    pub fn xml_value(&self, signature: &[u8]) -> Result<Vec<u8>, KeyError> {
        let scalar_octets = match self.holder.kind() {
            KeyKind::P256 => SCALAR_OCTETS[0],
            KeyKind::P384 => SCALAR_OCTETS[1],
            KeyKind::Rsa => return Ok(signature.to_vec()),
        };
        fixed_width(signature, scalar_octets).map_err(|_| KeyError::Signing)
    }

    /// The certificate must carry this key: shown by a signature that it verifies. Blocks.
    pub fn check_belongs_to(&self, certificate: &Certificate) -> Result<(), KeyError> {
        const PROBE: &[u8] = b"kepd: does this key belong to this certificate?";
        let fits = certificate.verify(self.algorithm, PROBE, &self.sign(PROBE)?);
        if fits { Ok(()) } else { Err(KeyError::Mismatch) }
    }
}

impl Holder {
    fn kind(&self) -> KeyKind {
        match self {
            Self::File(key) => key.kind(),
            Self::Token(key) => key.kind(),
        }
    }
}

/// r||s to ECDSA-Sig-Value (RFC 3279 2.2.3).
fn ecdsa_der(fixed: &[u8]) -> Option<Vec<u8>> {
    let scalar_octets = fixed.len() / 2;
    let (r, s) = fixed.split_at_checked(scalar_octets)?;
    let whole = SCALAR_OCTETS.contains(&scalar_octets) && s.len() == scalar_octets;
    whole.then(|| der::sequence(&[&der::unsigned(r), &der::unsigned(s)]))
}

/// ECDSA-Sig-Value (RFC 3279 2.2.3) to r||s.
fn fixed_width(signature: &[u8], scalar_octets: usize) -> Result<Vec<u8>, DerError> {
    let mut fields = der::whole(signature, der::SEQUENCE, "ECDSA signature")?;
    let mut out = vec![0; 2 * scalar_octets];
    for half in out.chunks_exact_mut(scalar_octets) {
        place(fields.expect(der::INTEGER, "ECDSA signature")?.value, half)?;
    }
    fields.end("ECDSA signature")?;
    Ok(out)
}

fn place(integer: &[u8], half: &mut [u8]) -> Result<(), DerError> {
    let digits = integer.strip_prefix(&[0]).unwrap_or(integer);
    let start = half
        .len()
        .checked_sub(digits.len())
        .ok_or(DerError("ECDSA signature"))?;
    half[start..].copy_from_slice(digits);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_in_der_becomes_r_and_s_and_back() {
        let der = der::sequence(&[&der::unsigned(&[0x80, 1]), &der::unsigned(&[7; 32])]);
        let fixed = fixed_width(&der, 32).unwrap();
        assert_eq!(fixed.len(), 64);
        assert_eq!(
            (&fixed[..30], &fixed[30..32], &fixed[32..]),
            (&[0; 30][..], &[0x80, 1][..], &[7; 32][..])
        );
        assert_eq!(ecdsa_der(&fixed), Some(der));
        assert_eq!(ecdsa_der(&fixed[1..]), None);
        let long = der::sequence(&[&der::unsigned(&[1; 33]), &der::unsigned(&[1])]);
        assert!(fixed_width(&long, 32).is_err());
        assert_eq!(fixed_width(&long, 48).unwrap().len(), 96);
    }
}
