//! A distinguished name for people, RFC 4514 like: `CN=..., O=..., C=TR`.
//!
//! Names that lead to an issuer are never compared by this text, only by their DER. [`same`] is for names that repeat what
//! a digest has proved already.

use super::der::{self, Reader, Tlv, context};

/// The name in GeneralNames that hold one directoryName and nothing else (RFC 5280 4.2.1.6).
pub(super) fn directory_name(general_names: &[u8]) -> Option<&[u8]> {
    let mut list = Reader::new(general_names);
    let only = list.expect(context(4), "directoryName").ok()?;
    list.is_empty().then_some(only.value)
}

/// Whether two names say the same, in whatever string types and letter case (RFC 5280 7.1).
pub(super) fn same(one: &[u8], other: &[u8]) -> bool {
    one == other || display(one).eq_ignore_ascii_case(&display(other))
}

/// A Name for people, most specific part first.
pub(super) fn display(name: &[u8]) -> String {
    let mut parts = Vec::new();
    if let Ok(mut rdns) = der::whole(name, der::SEQUENCE, "name") {
        while let Ok(mut rdn) = rdns.enter(der::SET, "rdn") {
            while let Ok(mut pair) = rdn.enter(der::SEQUENCE, "attribute") {
                if let (Ok(kind), Ok(value)) = (pair.expect(der::OID, "type"), pair.any()) {
                    parts.push(format!(
                        "{}={}",
                        attribute_word(kind.value),
                        attribute_text(&value)
                    ));
                }
            }
        }
    }
    parts.reverse();
    parts.join(", ")
}

fn attribute_word(oid: &[u8]) -> String {
    let word = match oid {
        [0x55, 4, 3] => "CN",
        [0x55, 4, 5] => "serialNumber",
        [0x55, 4, 6] => "C",
        [0x55, 4, 7] => "L",
        [0x55, 4, 8] => "ST",
        [0x55, 4, 10] => "O",
        [0x55, 4, 11] => "OU",
        [0x55, 4, 97] => "organizationIdentifier",
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1] => "E",
        _ => return der::dotted(oid),
    };
    word.to_owned()
}

fn attribute_text(value: &Tlv<'_>) -> String {
    let text = match value.tag {
        // T61String is read as Latin-1, as everybody does.
        0x14 => value.value.iter().map(|o| char::from(*o)).collect(),
        0x1e => {
            let units: Vec<u16> = value
                .value
                .chunks_exact(2)
                .map(|c| u16::from_be_bytes([c[0], c[1]]))
                .collect();
            String::from_utf16_lossy(&units)
        }
        _ => String::from_utf8_lossy(value.value).into_owned(),
    };
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            ',' | '+' | '"' | '\\' | '<' | '>' | ';' | '=' => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_control() => out.push(char::REPLACEMENT_CHARACTER),
            c => out.push(c),
        }
    }
    out
}
