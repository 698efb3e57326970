//! Private keys kept in files: PKCS #8 PEM, ECDSA P-256 or RSA 2048 to 4096 bits.
//!
//! A key file that others may read is refused. The text of the file is wiped after reading; the key itself lives inside
//! aws-lc, which wipes it when it is dropped. Debug says nothing. PKCS #11 is not done yet; it would be a third variant.

use crate::cms::der::{self, DerError};
use crate::cms::{Certificate, DigestAlgorithm, SignatureAlgorithm};
use crate::xml::xades::SignatureMethod;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{self, EcdsaKeyPair, RsaKeyPair};
use base64::Engine as _;
use std::fmt;
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Largest key file: an RSA key of 4096 bits is 3.3 KiB of PEM.
const KEY_FILE_MAX_OCTETS: u64 = 16 * 1024;
/// A chain of a dozen certificates is far below.
const CHAIN_FILE_MAX_OCTETS: u64 = 256 * 1024;
/// Octets of r and of s for P-256.
const P256_SCALAR_OCTETS: usize = 32;
/// RSA moduli allowed, in octets.
const RSA_OCTETS: std::ops::RangeInclusive<usize> = 256..=512;

/// Why a key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("reading the key file: {0}")]
    Io(#[from] std::io::Error),
    #[error("others may read the key file (mode {mode:03o}); it must be 600 or stricter")]
    Mode { mode: u32 },
    #[error("the key file is not PKCS #8 PEM ('BEGIN PRIVATE KEY')")]
    Format,
    #[error("the key is neither ECDSA P-256 nor RSA of 2048 to 4096 bits")]
    Kind,
    #[error("the key does not belong to the certificate")]
    Mismatch,
    #[error("signing failed")]
    Signing,
}

/// A handle on a private key; cheap to clone.
#[derive(Clone)]
pub struct SealKey(Arc<Pair>);

enum Pair {
    P256(EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

/// A certificate chain and its private key as PEM text, for TLS: `net` uses them, and only this room reads keys.
pub fn read_pair(chain: &Path, key: &Path) -> Result<(Vec<u8>, Zeroizing<Vec<u8>>), KeyError> {
    let mut certificates = Vec::new();
    std::fs::File::open(chain)?
        .take(CHAIN_FILE_MAX_OCTETS)
        .read_to_end(&mut certificates)?;
    Ok((certificates, read_key_file(key)?))
}

/// Whether nobody but its owner reads a file. What root lends to a service (`LoadCredential=`, systemd.exec(5)) belongs
/// to root, with an access list for the service's user that shows as a right of the group.
fn is_private(mode: u32, owner: u32, me: u32) -> bool {
    let lent_by_root = owner == 0 && me != 0;
    mode & if lent_by_root { 0o037 } else { 0o077 } == 0
}

fn read_key_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let file = std::fs::File::open(path)?;
    let about = file.metadata()?;
    let mode = about.permissions().mode() & 0o777;
    if !is_private(mode, about.uid(), rustix::process::geteuid().as_raw()) {
        return Err(KeyError::Mode { mode });
    }
    // Room for all of it at once: a vector that grows would leave copies of the key behind.
    let mut text = Zeroizing::new(Vec::with_capacity(KEY_FILE_MAX_OCTETS as usize));
    file.take(KEY_FILE_MAX_OCTETS).read_to_end(&mut text)?;
    Ok(text)
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealKey")
    }
}

impl SealKey {
    /// Reads a key file after checking its mode on the open file.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        let text = read_key_file(path)?;
        Self::from_pem(std::str::from_utf8(&text).map_err(|_| KeyError::Format)?)
    }

    /// Reads `-----BEGIN PRIVATE KEY-----`.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let body = text
            .split_once("-----BEGIN PRIVATE KEY-----")
            .and_then(|(_, rest)| rest.split_once("-----END PRIVATE KEY-----"))
            .ok_or(KeyError::Format)?
            .0;
        let packed: Zeroizing<Vec<u8>> =
            Zeroizing::new(body.bytes().filter(|b| !b.is_ascii_whitespace()).collect());
        let decoded = base64::engine::general_purpose::STANDARD.decode(&*packed);
        Self::from_pkcs8_der(&Zeroizing::new(decoded.map_err(|_| KeyError::Format)?))
    }

    pub fn from_pkcs8_der(pkcs8: &[u8]) -> Result<Self, KeyError> {
        if let Ok(pair) = EcdsaKeyPair::from_pkcs8(&signature::ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8) {
            return Ok(Self(Arc::new(Pair::P256(pair))));
        }
        let pair = RsaKeyPair::from_pkcs8(pkcs8).map_err(|_| KeyError::Kind)?;
        if !RSA_OCTETS.contains(&pair.public_modulus_len()) {
            return Err(KeyError::Kind);
        }
        Ok(Self(Arc::new(Pair::Rsa(pair))))
    }

    /// RSA signing takes about a millisecond and belongs on a blocking thread; P-256 takes some 20 microseconds.
    pub fn is_slow(&self) -> bool {
        matches!(*self.0, Pair::Rsa(_))
    }

    pub fn algorithm(&self) -> SignatureAlgorithm {
        match *self.0 {
            Pair::P256(_) => SignatureAlgorithm::Ecdsa(DigestAlgorithm::Sha256),
            Pair::Rsa(_) => SignatureAlgorithm::Rsa(DigestAlgorithm::Sha256),
        }
    }

    pub fn xml_method(&self) -> SignatureMethod {
        match *self.0 {
            Pair::P256(_) => SignatureMethod::EcdsaSha256,
            Pair::Rsa(_) => SignatureMethod::RsaSha256,
        }
    }

    /// Signs with SHA-256 as CMS and X.509 want it: ECDSA in DER.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let rng = SystemRandom::new();
        match &*self.0 {
            Pair::P256(pair) => Ok(pair
                .sign(&rng, message)
                .map_err(|_| KeyError::Signing)?
                .as_ref()
                .to_vec()),
            Pair::Rsa(pair) => {
                let mut out = vec![0; pair.public_modulus_len()];
                pair.sign(&signature::RSA_PKCS1_SHA256, &rng, message, &mut out)
                    .map_err(|_| KeyError::Signing)?;
                Ok(out)
            }
        }
    }

    /// A signature of [`SealKey::sign`] as XML Signature wants it: ECDSA as r||s.
    pub fn xml_value(&self, signature: &[u8]) -> Result<Vec<u8>, KeyError> {
        match *self.0 {
            Pair::P256(_) => fixed_width(signature).map_err(|_| KeyError::Signing),
            Pair::Rsa(_) => Ok(signature.to_vec()),
        }
    }

    /// The certificate must carry this key: shown by a signature that it verifies.
    pub fn check_belongs_to(&self, certificate: &Certificate) -> Result<(), KeyError> {
        const PROBE: &[u8] = b"kepd: does this key belong to this certificate?";
        let fits = certificate.verify(self.algorithm(), PROBE, &self.sign(PROBE)?);
        if fits { Ok(()) } else { Err(KeyError::Mismatch) }
    }
}

/// ECDSA-Sig-Value (RFC 3279 2.2.3) to r||s of P-256.
fn fixed_width(signature: &[u8]) -> Result<Vec<u8>, DerError> {
    let mut fields = der::whole(signature, der::SEQUENCE, "ECDSA signature")?;
    let mut out = vec![0; 2 * P256_SCALAR_OCTETS];
    for half in out.chunks_exact_mut(P256_SCALAR_OCTETS) {
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
    fn a_signature_in_der_becomes_r_and_s() {
        let der = der::sequence(&[&der::unsigned(&[0x80, 1]), &der::unsigned(&[7; 32])]);
        let fixed = fixed_width(&der).unwrap();
        assert_eq!(fixed.len(), 64);
        assert_eq!(
            (&fixed[..30], &fixed[30..32], &fixed[32..]),
            (&[0; 30][..], &[0x80, 1][..], &[7; 32][..])
        );
        assert!(fixed_width(&der::sequence(&[&der::unsigned(&[1; 33]), &der::unsigned(&[1])])).is_err());
    }

    #[test]
    fn what_root_lends_may_be_read_by_its_group_and_nothing_else_may() {
        const ROOT: u32 = 0;
        const KEPD: u32 = 999;
        for (mode, owner, me, private) in [
            (0o600, KEPD, KEPD, true),
            (0o640, KEPD, KEPD, false),
            (0o440, ROOT, KEPD, true),
            (0o444, ROOT, KEPD, false),
            (0o460, ROOT, KEPD, false),
            (0o440, ROOT, ROOT, false),
            (0o440, 1000, KEPD, false),
        ] {
            assert_eq!(
                is_private(mode, owner, me),
                private,
                "{mode:o} of {owner} for {me}"
            );
        }
    }

    #[test]
    fn a_key_that_others_may_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("k.key");
        std::fs::write(&path, rcgen::KeyPair::generate().unwrap().serialize_pem()).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(
            SealKey::load(&path),
            Err(KeyError::Mode { mode: 0o640 })
        ));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let key = SealKey::load(&path).unwrap();
        assert_eq!(format!("{key:?}"), "SealKey");
        assert!(matches!(
            SealKey::from_pem("-----BEGIN PRIVATE KEY-----"),
            Err(KeyError::Format)
        ));
    }
}
