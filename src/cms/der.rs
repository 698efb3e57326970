//! A strict DER reader and a small writer (X.690), over slices.
//!
//! Only what CMS and X.509 need: single-octet tags, definite minimal lengths. BER (indefinite lengths) is refused. The
//! reader never allocates and never recurses, so hostile nesting costs nothing.

use crate::clock::UtcTime;

pub const BOOLEAN: u8 = 0x01;
pub const INTEGER: u8 = 0x02;
pub const BIT_STRING: u8 = 0x03;
pub const OCTET_STRING: u8 = 0x04;
pub const NULL: u8 = 0x05;
pub const OID: u8 = 0x06;
pub const ENUMERATED: u8 = 0x0a;
pub const UTF8_STRING: u8 = 0x0c;
pub const UTC_TIME: u8 = 0x17;
pub const GENERALIZED_TIME: u8 = 0x18;
pub const SEQUENCE: u8 = 0x30;
pub const SET: u8 = 0x31;

/// The constructed context tag `[n]`.
pub const fn context(n: u8) -> u8 {
    0xa0 | n
}

/// The octets are not the DER that was expected; the text names the place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not the expected DER: {0}")]
pub struct DerError(pub &'static str);

/// One element: its tag, its content, and the whole of it as it came.
#[derive(Debug, Clone, Copy)]
pub struct Tlv<'a> {
    pub tag: u8,
    pub value: &'a [u8],
    pub raw: &'a [u8],
}

/// Reads elements one after another.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn new(octets: &'a [u8]) -> Self {
        Self { rest: octets }
    }

    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// The next element, whatever it is.
    pub fn any(&mut self) -> Result<Tlv<'a>, DerError> {
        let [tag, first, tail @ ..] = self.rest else {
            return Err(DerError("truncated"));
        };
        if tag & 0x1f == 0x1f {
            return Err(DerError("high tag number"));
        }
        let (length, tail) = length_of(*first, tail)?;
        if tail.len() < length {
            return Err(DerError("length beyond the end"));
        }
        let (value, rest) = tail.split_at(length);
        let raw = &self.rest[..self.rest.len() - rest.len()];
        self.rest = rest;
        Ok(Tlv {
            tag: *tag,
            value,
            raw,
        })
    }

    /// The next element, which must have `tag`.
    pub fn expect(&mut self, tag: u8, what: &'static str) -> Result<Tlv<'a>, DerError> {
        if self.peek() != Some(tag) {
            return Err(DerError(what));
        }
        self.any()
    }

    /// The next element if it has `tag`.
    pub fn optional(&mut self, tag: u8) -> Result<Option<Tlv<'a>>, DerError> {
        if self.peek() == Some(tag) {
            self.any().map(Some)
        } else {
            Ok(None)
        }
    }

    /// A reader of the content of the next element, which must have `tag`.
    pub fn enter(&mut self, tag: u8, what: &'static str) -> Result<Reader<'a>, DerError> {
        self.expect(tag, what).map(|t| Reader::new(t.value))
    }

    /// Nothing may be left.
    pub fn end(&self, what: &'static str) -> Result<(), DerError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(DerError(what))
        }
    }
}

/// A reader over the content of the one element that `octets` is.
pub fn whole<'a>(octets: &'a [u8], tag: u8, what: &'static str) -> Result<Reader<'a>, DerError> {
    let mut outer = Reader::new(octets);
    let inner = outer.enter(tag, what)?;
    outer.end(what)?;
    Ok(inner)
}

fn length_of(first: u8, tail: &[u8]) -> Result<(usize, &[u8]), DerError> {
    if first < 0x80 {
        return Ok((usize::from(first), tail));
    }
    let count = usize::from(first & 0x7f);
    // Four octets say 4 GiB: more than anything that is read here.
    if count == 0 || count > 4 || tail.len() < count {
        return Err(DerError("indefinite or oversized length"));
    }
    let (octets, rest) = tail.split_at(count);
    let length = octets.iter().fold(0usize, |sum, o| (sum << 8) | usize::from(*o));
    if octets[0] == 0 || length < 0x80 {
        return Err(DerError("length is not minimal"));
    }
    Ok((length, rest))
}

/// One element made of `parts` put one behind the other.
pub fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|p| p.len()).sum();
    let mut out = Vec::with_capacity(length + 6);
    out.push(tag);
    if length < 0x80 {
        out.push(length as u8);
    } else {
        let octets = length.to_be_bytes();
        let skip = octets.iter().take_while(|o| **o == 0).count();
        out.push(0x80 | (octets.len() - skip) as u8);
        out.extend_from_slice(&octets[skip..]);
    }
    for part in parts {
        out.extend_from_slice(part);
    }
    out
}

pub fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    tlv(SEQUENCE, parts)
}

/// A SET OF with its elements in DER order (X.690 11.6).
pub fn set_of(tag: u8, mut elements: Vec<Vec<u8>>) -> Vec<u8> {
    elements.sort();
    let parts: Vec<&[u8]> = elements.iter().map(Vec::as_slice).collect();
    tlv(tag, &parts)
}

/// A non-negative INTEGER from big-endian octets.
pub fn unsigned(octets: &[u8]) -> Vec<u8> {
    let start = octets.iter().position(|o| *o != 0).unwrap_or(octets.len());
    let digits = &octets[start..];
    match digits.first() {
        None => tlv(INTEGER, &[&[0]]),
        Some(first) if *first >= 0x80 => tlv(INTEGER, &[&[0], digits]),
        Some(_) => tlv(INTEGER, &[digits]),
    }
}

/// UTCTime up to 2049, GeneralizedTime after (RFC 5280 4.1.2.5, RFC 5652 11.3). Whole seconds.
pub fn time(moment: UtcTime) -> Vec<u8> {
    let (year, _, _) = moment.date();
    let digits = digits_of(moment);
    if (1950..2050).contains(&year) {
        tlv(UTC_TIME, &[&digits.as_bytes()[2..], b"Z"])
    } else {
        tlv(GENERALIZED_TIME, &[digits.as_bytes(), b"Z"])
    }
}

/// GeneralizedTime with milliseconds when there are any (RFC 3161 2.4.2: no trailing zeros).
pub fn generalized_time(moment: UtcTime) -> Vec<u8> {
    let mut text = digits_of(moment);
    let ms = moment.unix_ms().rem_euclid(1000);
    if ms != 0 {
        text.push_str(format!(".{ms:03}").trim_end_matches('0'));
    }
    text.push('Z');
    tlv(GENERALIZED_TIME, &[text.as_bytes()])
}

fn digits_of(moment: UtcTime) -> String {
    UtcTime::from_unix_s(moment.unix_s())
        .rfc3339()
        .chars()
        .filter(char::is_ascii_digit)
        .collect()
}

/// Reads UTCTime or GeneralizedTime; both must end in `Z` and have seconds.
pub fn read_time(t: &Tlv<'_>) -> Result<UtcTime, DerError> {
    const BAD: DerError = DerError("time");
    let text = std::str::from_utf8(t.value)
        .map_err(|_| BAD)?
        .strip_suffix('Z')
        .ok_or(BAD)?;
    let (century, digits) = match t.tag {
        UTC_TIME => {
            let year: u32 = text.get(..2).and_then(|y| y.parse().ok()).ok_or(BAD)?;
            (if year < 50 { "20" } else { "19" }, text)
        }
        GENERALIZED_TIME => ("", text),
        _ => return Err(BAD),
    };
    let (digits, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let digits = [century, digits].concat();
    if digits.len() != 14 || !digits.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit()) {
        return Err(BAD);
    }
    if fraction.len() > 9 || text.ends_with('.') || (t.tag == UTC_TIME && text.len() != 12) {
        return Err(BAD);
    }
    let mut rfc3339 = String::with_capacity(32);
    for (field, mark) in [
        (0..4, "-"),
        (4..6, "-"),
        (6..8, "T"),
        (8..10, ":"),
        (10..12, ":"),
        (12..14, ""),
    ] {
        rfc3339.push_str(digits.get(field).unwrap_or_default());
        rfc3339.push_str(mark);
    }
    if !fraction.is_empty() {
        rfc3339.push('.');
        rfc3339.push_str(fraction);
    }
    rfc3339.push('Z');
    UtcTime::parse_rfc3339(&rfc3339).ok_or(BAD)
}

/// `1.2.840...` from the content octets of an OBJECT IDENTIFIER.
pub fn dotted(oid: &[u8]) -> String {
    let mut out = String::new();
    let mut arc: u64 = 0;
    for octet in oid {
        arc = arc.wrapping_shl(7) | u64::from(octet & 0x7f);
        if octet & 0x80 != 0 {
            continue;
        }
        if out.is_empty() {
            let first = (arc / 40).min(2);
            out = format!("{first}.{}", arc - first * 40);
        } else {
            out.push('.');
            out.push_str(&arc.to_string());
        }
        arc = 0;
    }
    out
}

/// The content octets of an OBJECT IDENTIFIER from its dotted form.
pub fn oid_from_dotted(text: &str) -> Option<Vec<u8>> {
    let arcs: Vec<u64> = text.split('.').map(|a| a.parse().ok()).collect::<Option<_>>()?;
    let [first, second, rest @ ..] = arcs.as_slice() else {
        return None;
    };
    if *first > 2 || (*first < 2 && *second > 39) {
        return None;
    }
    let mut out = Vec::new();
    for arc in std::iter::once(first.checked_mul(40)?.checked_add(*second)?).chain(rest.iter().copied()) {
        let digits = (64 - arc.leading_zeros()).div_ceil(7).max(1);
        for i in (0..digits).rev() {
            let more = if i > 0 { 0x80 } else { 0 };
            out.push(((arc >> (7 * i)) & 0x7f) as u8 | more);
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_must_be_minimal_and_inside() {
        assert!(Reader::new(&[0x30, 0x81, 0x01, 0]).any().is_err());
        assert!(Reader::new(&[0x30, 0x80, 0, 0]).any().is_err());
        assert!(Reader::new(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]).any().is_err());
        let long = tlv(OCTET_STRING, &[&[7; 300]]);
        let mut reader = Reader::new(&long);
        assert_eq!(reader.any().unwrap().value.len(), 300);
        assert!(reader.is_empty());
    }

    #[test]
    fn oids_are_inverses() {
        for text in [
            "1.2.840.113549.1.9.16.1.4",
            "2.5.29.15",
            "2.16.792.1.2.1.1.5.7.3.1",
            "0.4.0.1733.2.4",
        ] {
            assert_eq!(dotted(&oid_from_dotted(text).unwrap()), text);
        }
        assert_eq!(oid_from_dotted("3.1"), None);
        assert_eq!(oid_from_dotted("1"), None);
    }

    #[test]
    fn times_are_inverses() {
        for ms in [1_795_466_705_120, 1_795_466_705_000, 0, 2_600_000_000_000] {
            let t = UtcTime::from_unix_ms(ms);
            let octets = generalized_time(t);
            assert_eq!(read_time(&Reader::new(&octets).any().unwrap()), Ok(t));
            let octets = time(t);
            let back = read_time(&Reader::new(&octets).any().unwrap()).unwrap();
            assert_eq!(back.unix_s(), t.unix_s());
        }
        let bad = tlv(UTC_TIME, &[b"261332256199Z"]);
        assert!(read_time(&Reader::new(&bad).any().unwrap()).is_err());
    }
}
