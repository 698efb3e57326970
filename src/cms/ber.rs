//! BER with indefinite lengths to definite ones, for the outer layers of a SignedData.
//!
//! Streaming writers (Java mail libraries among them) write the outer layers with indefinite lengths. Everything that is
//! hashed or signed (certificates, signed attributes) is definite DER inside and is copied octet by octet; if it were not,
//! the strict reader refuses it afterwards.

use super::der::{self, DerError, Reader};
use std::borrow::Cow;

/// Deepest nesting of indefinite lengths: ContentInfo, content, SignedData, encapContentInfo, eContent, its pieces.
const DEPTH_MAX: usize = 8;
const CONSTRUCTED_OCTETS: u8 = 0x24;

/// The octets with definite lengths; borrowed when the outermost length is definite already.
pub(super) fn definite(octets: &[u8]) -> Result<Cow<'_, [u8]>, DerError> {
    if octets.get(1) != Some(&0x80) {
        return Ok(Cow::Borrowed(octets));
    }
    let (out, rest) = element(octets, DEPTH_MAX)?;
    if rest.is_empty() {
        Ok(Cow::Owned(out))
    } else {
        Err(DerError("octets behind the end"))
    }
}

fn element(octets: &[u8], depth: usize) -> Result<(Vec<u8>, &[u8]), DerError> {
    let [tag, 0x80, tail @ ..] = octets else {
        let mut reader = Reader::new(octets);
        let raw = reader.any()?.raw;
        return Ok((raw.to_vec(), &octets[raw.len()..]));
    };
    if depth == 0 || tag & 0x20 == 0 {
        return Err(DerError("indefinite length"));
    }
    let (mut rest, mut content) = (tail, Vec::new());
    loop {
        if let [0, 0, behind @ ..] = rest {
            let flat = if *tag == CONSTRUCTED_OCTETS {
                der::OCTET_STRING
            } else {
                *tag
            };
            return Ok((der::tlv(flat, &[&content]), behind));
        }
        let (piece, behind) = element(rest, depth - 1)?;
        rest = behind;
        if *tag == CONSTRUCTED_OCTETS {
            // X.690 8.7.3: the pieces of a string that was cut.
            content.extend_from_slice(
                Reader::new(&piece)
                    .expect(der::OCTET_STRING, "string piece")?
                    .value,
            );
        } else {
            content.extend_from_slice(&piece);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indefinite_lengths_become_definite() {
        let ber = [
            0x30, 0x80, 0x02, 1, 5, 0xa0, 0x80, 0x24, 0x80, 4, 1, 7, 4, 2, 8, 9, 0, 0, 0, 0, 0, 0,
        ];
        let der = [0x30, 10, 0x02, 1, 5, 0xa0, 5, 4, 3, 7, 8, 9];
        assert_eq!(definite(&ber).unwrap(), &der[..]);
        assert!(matches!(definite(&der), Ok(Cow::Borrowed(_))));
    }

    #[test]
    fn hostile_lengths_are_refused() {
        assert!(definite(&[0x30, 0x80].repeat(1000)).is_err());
        assert!(definite(&[0x30, 0x80, 0x02, 1]).is_err());
        assert!(definite(&[0x04, 0x80, 0, 0]).is_err());
        assert!(definite(&[0x30, 0x80, 0, 0, 1]).is_err());
        assert!(definite(&[0x30, 0x80]).is_err());
    }
}
