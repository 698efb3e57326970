//! Private keys kept in files: PKCS #8 PEM, ECDSA P-256 or P-384, or RSA 2048 to 4096 bits; and other secrets kept in files.
//!
//! A file that others may read is refused. Its text is wiped after reading; the key itself lives inside aws-lc, which
//! wipes it when it is dropped: as long as the daemon runs, the scalar is in its memory. A token keeps it out of there.

use super::{KeyError, KeyKind, RSA_OCTETS};
use crate::cms::{DigestAlgorithm, SignatureAlgorithm};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{self, EcdsaKeyPair, RsaKeyPair};
use base64::Engine as _;
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use zeroize::Zeroizing;

/// Largest secret file: an RSA key of 4096 bits is 3.3 KiB of PEM.
const SECRET_FILE_MAX_OCTETS: u64 = 16 * 1024;

/// A private key in this process.
pub(super) enum FileKey {
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

impl FileKey {
    /// Reads `-----BEGIN PRIVATE KEY-----`.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let body = text
            .split_once("-----BEGIN PRIVATE KEY-----")
            .and_then(|(_, rest)| rest.split_once("-----END PRIVATE KEY-----"))
            .ok_or(KeyError::Format)?
            .0;
        // Room for all of it at once: a vector that grows would leave copies of the key behind.
        let mut packed = Zeroizing::new(Vec::with_capacity(body.len()));
        packed.extend(body.bytes().filter(|b| !b.is_ascii_whitespace()));
        let mut decoded = Zeroizing::new(vec![0; body.len()]);
        let octets = base64::engine::general_purpose::STANDARD
            .decode_slice(&*packed, &mut decoded)
            .map_err(|_| KeyError::Format)?;
        Self::from_pkcs8_der(decoded.get(..octets).ok_or(KeyError::Format)?)
    }

    pub fn from_pkcs8_der(pkcs8: &[u8]) -> Result<Self, KeyError> {
        if let Ok(pair) = EcdsaKeyPair::from_pkcs8(&signature::ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8) {
            return Ok(Self::P256(pair));
        }
        if let Ok(pair) = EcdsaKeyPair::from_pkcs8(&signature::ECDSA_P384_SHA384_ASN1_SIGNING, pkcs8) {
            return Ok(Self::P384(pair));
        }
        let pair = RsaKeyPair::from_pkcs8(pkcs8).map_err(|_| KeyError::Kind)?;
        if !RSA_OCTETS.contains(&pair.public_modulus_len()) {
            return Err(KeyError::Kind);
        }
        Ok(Self::Rsa(pair))
    }

    pub fn kind(&self) -> KeyKind {
        match self {
            Self::P256(_) => KeyKind::P256,
            Self::P384(_) => KeyKind::P384,
            Self::Rsa(_) => KeyKind::Rsa,
        }
    }

    /// Signs by one of the algorithms of its kind; ECDSA in DER.
    pub fn sign(&self, algorithm: SignatureAlgorithm, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        use DigestAlgorithm::{Sha256, Sha384, Sha512};
        use SignatureAlgorithm as A;
        let rng = SystemRandom::new();
        let (pair, padding) = match (self, algorithm) {
            (Self::P256(pair), A::Ecdsa(Sha256)) | (Self::P384(pair), A::Ecdsa(Sha384)) => {
                let signature = pair.sign(&rng, message).map_err(|_| KeyError::Signing)?;
                return Ok(signature.as_ref().to_vec());
            }
            (Self::Rsa(pair), A::Rsa(Sha256)) => (pair, &signature::RSA_PKCS1_SHA256),
            (Self::Rsa(pair), A::Rsa(Sha384)) => (pair, &signature::RSA_PKCS1_SHA384),
            (Self::Rsa(pair), A::Rsa(Sha512)) => (pair, &signature::RSA_PKCS1_SHA512),
            // The salt is as long as the digest.
            (Self::Rsa(pair), A::RsaPss(Sha256)) => (pair, &signature::RSA_PSS_SHA256),
            (Self::Rsa(pair), A::RsaPss(Sha384)) => (pair, &signature::RSA_PSS_SHA384),
            (Self::Rsa(pair), A::RsaPss(Sha512)) => (pair, &signature::RSA_PSS_SHA512),
            // `Manner` gives no other pairs.
            _ => return Err(KeyError::Signing),
        };
        let mut out = vec![0; pair.public_modulus_len()];
        pair.sign(padding, &rng, message, &mut out)
            .map_err(|_| KeyError::Signing)?;
        Ok(out)
    }
}

/// Whether nobody but its owner reads a file. What root lends to a service (`LoadCredential=`, systemd.exec(5)) belongs
/// to root, with an access list for the service's user that shows as a right of the group.
fn is_private(mode: u32, owner: u32, me: u32) -> bool {
    let lent_by_root = owner == 0 && me != 0;
    mode & if lent_by_root { 0o037 } else { 0o077 } == 0
}

/// The octets of a file that nobody else may read; its mode is looked at on the open file.
pub(super) fn read_private(path: &Path) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let file = std::fs::File::open(path)?;
    let about = file.metadata()?;
    let mode = about.permissions().mode() & 0o777;
    if !is_private(mode, about.uid(), rustix::process::geteuid().as_raw()) {
        return Err(KeyError::Mode { mode });
    }
    // Room for all of it at once: a vector that grows would leave copies of the secret behind.
    let mut text = Zeroizing::new(Vec::with_capacity(SECRET_FILE_MAX_OCTETS as usize));
    file.take(SECRET_FILE_MAX_OCTETS).read_to_end(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::SealKey;

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
