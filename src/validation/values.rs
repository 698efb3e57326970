//! Files with revocation values: lists (`.crl`, DER or PEM), OCSP responses (`.ors`, `.ocsp`, DER), and certificates of
//! responders that left them out of their answers (`.pem`). What else lies beside them is left alone.
//!
//! What a file says is believed only as far as its signature goes, which is asked when something is judged by it.

use crate::cms::{Certificate, RevocationShelf};
use base64::Engine as _;

const PEM_BEGIN: &str = "-----BEGIN X509 CRL-----";
const PEM_END: &str = "-----END X509 CRL-----";

/// Whether a file of this name holds revocation values.
pub fn is_one(name: &str) -> bool {
    kind(name).is_some()
}

/// Puts what a file holds on the shelf. The error is a sentence without the file's name.
pub fn put(shelf: &mut RevocationShelf, name: &str, octets: &[u8]) -> Result<(), String> {
    match kind(name) {
        None => Ok(()),
        Some(Kind::Answer) => shelf.add_answer(octets).map_err(|e| e.to_string()),
        Some(Kind::Certificates) => {
            let text = std::str::from_utf8(octets).map_err(|_| "it is not PEM")?;
            for certificate in Certificate::from_pem_text(text).map_err(|e| e.to_string())? {
                shelf.add_certificate(certificate);
            }
            Ok(())
        }
        Some(Kind::List) => {
            for list in lists(octets)? {
                shelf.add_list(&list).map_err(|e| e.to_string())?;
            }
            Ok(())
        }
    }
}

#[derive(Clone, Copy)]
enum Kind {
    List,
    Answer,
    Certificates,
}

fn kind(name: &str) -> Option<Kind> {
    let (_, ending) = name.rsplit_once('.')?;
    let is = |wanted: &str| ending.eq_ignore_ascii_case(wanted);
    match () {
        () if is("crl") => Some(Kind::List),
        () if is("ors") || is("ocsp") => Some(Kind::Answer),
        () if is("pem") => Some(Kind::Certificates),
        () => None,
    }
}

/// The lists of a file, in DER.
fn lists(octets: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    let Some(text) = std::str::from_utf8(octets).ok().filter(|t| t.contains(PEM_BEGIN)) else {
        return Ok(vec![octets.to_vec()]);
    };
    let mut out = Vec::new();
    for piece in text.split(PEM_BEGIN).skip(1) {
        let (packed, _) = piece.split_once(PEM_END).ok_or("a list in PEM does not end")?;
        let packed: String = packed.split_ascii_whitespace().collect();
        let list = base64::engine::general_purpose::STANDARD.decode(packed);
        out.push(list.map_err(|_| "a list in PEM is not base64")?);
    }
    Ok(out)
}
