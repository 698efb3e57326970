//! A distinguished name for people, RFC 4514 like: `CN=..., O=..., C=TR`.
//!
//! Names are never compared by this text. Who issued what is told by their DER; only name constraints look deeper
//! ([`is_within`]), and [`same`] is for names that repeat what a digest has proved already.

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

/// Whether `name` lies in the subtree below `base` (RFC 5280 4.2.1.10): `base` is its beginning. Texts are compared as
/// RFC 5280 7.1 has it, as far as practice goes: whatever string type, ASCII letters folded, white space squeezed.
/// None when one of them is not a name.
pub(super) fn is_within(name: &[u8], base: &[u8]) -> Option<bool> {
    let (mut name, mut base) = (
        der::whole(name, der::SEQUENCE, "name").ok()?,
        der::whole(base, der::SEQUENCE, "name").ok()?,
    );
    while !base.is_empty() {
        if name.is_empty() {
            return Some(false);
        }
        let (theirs, ours) = (comparable(&mut name)?, comparable(&mut base)?);
        if theirs != ours {
            return Some(false);
        }
    }
    Some(true)
}

/// The values of one kind of attribute in a Name.
pub(super) fn attributes(name: &[u8], kind: &[u8]) -> Vec<String> {
    let mut out = Vec::new();
    if let Ok(mut rdns) = der::whole(name, der::SEQUENCE, "name") {
        while let Ok(mut rdn) = rdns.enter(der::SET, "rdn") {
            while let Ok(mut pair) = rdn.enter(der::SEQUENCE, "attribute") {
                if let (Ok(found), Ok(value)) = (pair.expect(der::OID, "type"), pair.any())
                    && found.value == kind
                {
                    out.push(text_of(&value));
                }
            }
        }
    }
    out
}

/// The next RDN as something that is equal when the names are: type and text, in order.
fn comparable(rdns: &mut der::Reader<'_>) -> Option<Vec<(Vec<u8>, String)>> {
    let mut rdn = rdns.enter(der::SET, "rdn").ok()?;
    let mut out = Vec::new();
    while !rdn.is_empty() {
        let mut pair = rdn.enter(der::SEQUENCE, "attribute").ok()?;
        let kind = pair.expect(der::OID, "type").ok()?.value.to_vec();
        let text = text_of(&pair.any().ok()?).to_ascii_lowercase();
        out.push((kind, text.split_whitespace().collect::<Vec<_>>().join(" ")));
    }
    out.sort();
    Some(out)
}

fn text_of(value: &Tlv<'_>) -> String {
    match value.tag {
        // T61String is read as Latin-1, as everybody does.
        0x14 => value.value.iter().map(|o| char::from(*o)).collect(),
        // UniversalString, as BMPString with four octets.
        0x1c => value
            .value
            .chunks_exact(4)
            .map(|c| char::from_u32(u32::from_be_bytes([c[0], c[1], c[2], c[3]])))
            .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect(),
        0x1e => {
            let units: Vec<u16> = value
                .value
                .chunks_exact(2)
                .map(|c| u16::from_be_bytes([c[0], c[1]]))
                .collect();
            String::from_utf16_lossy(&units)
        }
        _ => String::from_utf8_lossy(value.value).into_owned(),
    }
}

fn attribute_text(value: &Tlv<'_>) -> String {
    let text = text_of(value);
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
/// A sentence without the names it quotes. Errors of this room name certificates by their subject, which in a qualified
/// certificate holds a person's identity number: that is for the person, not for a log. From the first quotation mark to the
/// last, for a name may have some in it.
pub fn without_names(sentence: &str) -> String {
    match (sentence.find('\''), sentence.rfind('\'')) {
        (Some(from), Some(to)) if from < to => {
            let (head, tail) = (sentence.get(..=from), sentence.get(to..));
            format!("{}...{}", head.unwrap_or_default(), tail.unwrap_or_default())
        }
        _ => sentence.to_owned(),
    }
}
