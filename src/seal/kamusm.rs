//! The `identity` header of the state's time-stamp authority (Kamu SM): who pays for the stamp.
//!
//! Written after the public clients of that authority; there is no published text. Hex of the DER of
//! SEQUENCE { userid INTEGER, salt OCTET STRING (16), iterations INTEGER, iv OCTET STRING (equal to the salt),
//! the imprint's hash under AES-256-CBC with PKCS #7 padding, key by PBKDF2-HMAC-SHA256 }. The request itself is plain
//! RFC 3161. Sending it is the transport's business. Its refusals come as successful HTTP answers, with words inside.

use super::tsa::{Introduction, TransportError};
use crate::cms::der;
use crate::cms::tsp;
use aws_lc_rs::cipher::{AES_256, EncryptionContext, PaddedBlockEncryptingKey, UnboundCipherKey};
use aws_lc_rs::pbkdf2;
use std::num::NonZeroU32;
use zeroize::Zeroizing;

/// What the authority's clients use; the authority reads it from the header.
const ITERATIONS: NonZeroU32 = NonZeroU32::new(100).unwrap();
pub const SALT_OCTETS: usize = 16;
/// The header's name.
const HEADER: &str = "identity";

/// Why there is no header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    #[error("not a time-stamp request")]
    Request,
    #[error("encryption failed")]
    Encryption,
}

/// A subscriber of the authority.
pub struct Subscriber {
    pub user_id: u64,
    pub password: Zeroizing<String>,
}

impl Introduction for Subscriber {
    fn header(&self, request_der: &[u8]) -> Result<(&'static str, Zeroizing<String>), TransportError> {
        let failed = |error: IdentityError| TransportError(format!("introducing ourselves: {error}"));
        let mut salt = [0; SALT_OCTETS];
        aws_lc_rs::rand::fill(&mut salt).map_err(|_| failed(IdentityError::Encryption))?;
        let value = identity_header(request_der, self.user_id, &self.password, &salt).map_err(failed)?;
        Ok((HEADER, Zeroizing::new(value)))
    }
}

/// The value of the header for a TimeStampReq. `salt` is chance, fresh for every request.
pub fn identity_header(
    request_der: &[u8],
    user_id: u64,
    password: &Zeroizing<String>,
    salt: &[u8; SALT_OCTETS],
) -> Result<String, IdentityError> {
    let request = tsp::read_request(request_der).map_err(|_| IdentityError::Request)?;
    let mut key = Zeroizing::new([0u8; 32]);
    pbkdf2::derive(
        pbkdf2::PBKDF2_HMAC_SHA256,
        ITERATIONS,
        salt,
        password.as_bytes(),
        &mut *key,
    );
    let encrypted = encrypt(&*key, salt, request.imprint.octets()).map_err(|_| IdentityError::Encryption)?;
    let header = der::sequence(&[
        &der::unsigned(&user_id.to_be_bytes()),
        &der::tlv(der::OCTET_STRING, &[salt]),
        &der::unsigned(&ITERATIONS.get().to_be_bytes()),
        &der::tlv(der::OCTET_STRING, &[salt]),
        &der::tlv(der::OCTET_STRING, &[&encrypted]),
    ]);
    Ok(header.iter().map(|o| format!("{o:02x}")).collect())
}

fn encrypt(key: &[u8], iv: &[u8; 16], hash: &[u8]) -> Result<Vec<u8>, aws_lc_rs::error::Unspecified> {
    let key = PaddedBlockEncryptingKey::cbc_pkcs7(UnboundCipherKey::new(&AES_256, key)?)?;
    let mut octets = hash.to_vec();
    key.less_safe_encrypt(&mut octets, EncryptionContext::Iv128(iv.into()))?;
    Ok(octets)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cms::ContentDigest;
    use std::process::Command;

    fn openssl(folder: &std::path::Path, args: &[&str]) -> Vec<u8> {
        let out = Command::new("openssl")
            .current_dir(folder)
            .args(args)
            .output()
            .unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        out.stdout
    }

    #[test]
    fn openssl_opens_what_we_closed() {
        let request = tsp::request(&ContentDigest::Sha256([9; 32]), &[1; 16], None, true);
        let password = Zeroizing::new("gizli".to_owned());
        let header = identity_header(&request, 1234, &password, &[0xab; 16]).unwrap();
        // SEQUENCE, userid 1234, salt, 100, iv; then 48 octets: 32 and a block of padding.
        let salt = "ab".repeat(16);
        let head = format!("305d020204d20410{salt}0201640410{salt}0430");
        let encrypted = header.strip_prefix(&head).unwrap_or_else(|| panic!("{header}"));

        let folder = tempfile::tempdir().unwrap();
        let octets: Vec<u8> = (0..encrypted.len())
            .step_by(2)
            .map(|i| u8::from_str_radix(&encrypted[i..i + 2], 16).unwrap())
            .collect();
        std::fs::write(folder.path().join("e"), octets).unwrap();
        let key = openssl(
            folder.path(),
            &[
                "kdf",
                "-keylen",
                "32",
                "-kdfopt",
                "digest:SHA256",
                "-kdfopt",
                "pass:gizli",
                "-kdfopt",
                &format!("hexsalt:{salt}"),
                "-kdfopt",
                "iter:100",
                "PBKDF2",
            ],
        );
        let key: String = String::from_utf8(key).unwrap().trim().replace(':', "");
        let plain = openssl(
            folder.path(),
            &["enc", "-d", "-aes-256-cbc", "-K", &key, "-iv", &salt, "-in", "e"],
        );
        assert_eq!(plain, [9; 32]);
        assert_eq!(
            identity_header(b"x", 1, &password, &[0; 16]),
            Err(IdentityError::Request)
        );
    }
}
