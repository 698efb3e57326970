//! Whose signature an evidence document carries: where XML signatures meet certificates.
//!
//! `xml` says what was signed and by which certificate, and leaves the value to who reads certificates. Whether the certificate
//! is trusted is asked elsewhere.

use crate::cms::algorithm::{DigestAlgorithm, SignatureAlgorithm};
use crate::cms::certificate::KeyKind;
use crate::cms::{Certificate, Known, der};
use crate::xml::profile::{Family, Method, Sha2};
use crate::xml::{self, SignatureValue, Source, Tree, Verified, XmlError};

/// TS 119 312 leaves nothing below 2048 bits.
const RSA_OCTETS_MIN: usize = 256;

/// Verifies the signature of a document under the house profile; gives what was signed, and the signer's certificate.
pub fn verify(octets: &[u8]) -> Result<(Verified, Certificate), XmlError> {
    let made = verify_tree(&Source::of(octets).tree(), Known::default());
    made.map(|(verified, made)| (verified, made.signer))
}

/// Who made a value, and how.
#[derive(Debug, Clone)]
pub struct Made {
    pub signer: Certificate,
    pub algorithm: SignatureAlgorithm,
}

/// The same of a document that is parsed already.
pub fn verify_tree(tree: &Tree<'_>, known: Known<'_>) -> Result<(Verified, Made), XmlError> {
    xml::verify(tree, |given| check_value(given, known))
}

/// Whether the certificate's key made the value.
fn check_value(given: &SignatureValue<'_>, known: Known<'_>) -> Result<Made, XmlError> {
    let failed = |why: &str| XmlError::Signature(why.to_owned());
    let signer = known
        .read(given.certificate_der)
        .map_err(|e| failed(&e.to_string()))?;
    let value = match signer.key_kind() {
        KeyKind::P256 => ecdsa_der(given.value, 32)?,
        KeyKind::P384 => ecdsa_der(given.value, 48)?,
        // It is as long as the modulus (RFC 8017 8.2.2), which is checked with it.
        KeyKind::Rsa if given.value.len() >= RSA_OCTETS_MIN => given.value.to_vec(),
        KeyKind::Unsupported if given.method.family == Family::Ecdsa => {
            return Err(XmlError::Profile(
                "the signer's key is neither ECDSA P-256, P-384 nor RSA",
            ));
        }
        KeyKind::Unsupported if given.value.len() >= RSA_OCTETS_MIN => {
            return Err(failed(
                "the signer's key is neither ECDSA P-256, P-384 nor RSA of 2048 to 8192 bits",
            ));
        }
        KeyKind::Rsa | KeyKind::Unsupported => {
            return Err(XmlError::Profile("an RSA signature of less than 2048 bits"));
        }
    };
    let algorithm = algorithm(given.method);
    if signer.verify(algorithm, given.signed, &value) {
        Ok(Made { signer, algorithm })
    } else {
        Err(failed("signature value verification failed"))
    }
}

/// XML Signature 1.1 6.4.3: r||s, each as long as the order; in another length one signature would have many spellings. As
/// certificates verify it: ECDSA-Sig-Value (RFC 3279 2.2.3).
fn ecdsa_der(value: &[u8], scalar_octets: usize) -> Result<Vec<u8>, XmlError> {
    let halves = value.split_at_checked(scalar_octets);
    let Some((r, s)) = halves.filter(|(_, s)| s.len() == scalar_octets) else {
        return Err(XmlError::Profile(
            "the signature value has not the length that its key gives",
        ));
    };
    Ok(der::sequence(&[&der::unsigned(r), &der::unsigned(s)]))
}

fn algorithm(method: Method) -> SignatureAlgorithm {
    let digest = match method.digest {
        Sha2::Sha256 => DigestAlgorithm::Sha256,
        Sha2::Sha384 => DigestAlgorithm::Sha384,
        Sha2::Sha512 => DigestAlgorithm::Sha512,
    };
    match method.family {
        Family::Ecdsa => SignatureAlgorithm::Ecdsa(digest),
        Family::Rsa => SignatureAlgorithm::Rsa(digest),
        Family::RsaPss => SignatureAlgorithm::RsaPss(digest),
    }
}
