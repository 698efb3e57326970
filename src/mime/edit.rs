//! Edits of a header block at submission, on exact octets: every octet not named by the edit stays as it was.
//!
//! The body is not touched and need not be at hand: callers replace the header block at the head of the stream. Nothing
//! is edited after a digest was taken.

use super::compose;
use super::decode;
use super::field::{self, Fields};
use crate::clock::UtcTime;

/// Takes the named fields out, folded lines included.
pub fn remove_fields(block: &[u8], names: &[&str]) -> Vec<u8> {
    let mut walk = field::fields(block);
    let mut out = Vec::with_capacity(block.len());
    for field in walk.by_ref() {
        if !names.iter().any(|name| field.is(name)) {
            out.extend_from_slice(field.raw);
        }
    }
    out.extend_from_slice(walk.rest());
    out
}

/// A command that stood in brackets at the head of the subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubjectTag {
    /// `[gonder]`: send at once.
    Send,
    /// `[taslak]`: keep as a draft.
    Draft,
    /// `[akis: RULE]`: start the flow of that rule; the name as written.
    Flow(String),
}

impl SubjectTag {
    /// Reads the text between the brackets; Turkish and ASCII letters, either case.
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let is = |word: &str, spelled: &[&str]| {
            let ascii: String = word.chars().map(fold_letter).collect();
            spelled.iter().any(|s| ascii.eq_ignore_ascii_case(s))
        };
        match text.split_once(':') {
            Some((word, rule)) if is(word.trim(), &["akis"]) && !rule.trim().is_empty() => {
                Some(Self::Flow(rule.trim().to_owned()))
            }
            None if is(text, &["gonder"]) => Some(Self::Send),
            None if is(text, &["taslak"]) => Some(Self::Draft),
            _ => None,
        }
    }
}

/// The letters of the three command words only; text is never folded this way.
fn fold_letter(c: char) -> char {
    match c {
        'ö' | 'Ö' => 'o',
        'ı' | 'İ' => 'i',
        'ş' | 'Ş' => 's',
        c => c,
    }
}

/// Takes a command off the head of the first Subject. `None` when there is none: the block stays as it is. A subject
/// that is spelled in ASCII loses exactly the command; an encoded one is decoded, cut and encoded again.
pub fn strip_subject_tag(block: &[u8]) -> Option<(SubjectTag, Vec<u8>)> {
    let mut walk = field::fields(block);
    let subject = walk.by_ref().find(|field| field.is("Subject"))?;
    let value_at = subject.raw.len() - subject.value.len();
    let plain = subject.value.trim_ascii_start();
    let value = if is_spelled_out(plain) {
        let close = plain.iter().position(|b| *b == b']')?;
        let tag = SubjectTag::parse(std::str::from_utf8(plain.get(1..close)?).ok()?)?;
        let rest = plain[close + 1..].trim_ascii_start();
        // `trim_ascii_start` may have eaten the line end of an otherwise empty subject.
        let rest = if rest.is_empty() { line_end(plain) } else { rest };
        return Some((
            tag,
            splice(block, &walk, subject.raw, value_at, &[b" ", rest].concat()),
        ));
    } else {
        decode::words(&subject.text())
    };
    let (inside, rest) = value.strip_prefix('[')?.split_once(']')?;
    let tag = SubjectTag::parse(inside)?;
    let encoded = compose::unstructured(rest.trim());
    let value = [b" ", encoded.as_bytes(), line_end(subject.raw)].concat();
    Some((tag, splice(block, &walk, subject.raw, value_at, &value)))
}

/// Whether a bracketed command is spelled out on the first line, whatever follows.
fn is_spelled_out(plain: &[u8]) -> bool {
    let line = plain.split(|b| *b == b'\n').next().unwrap_or_default();
    plain.starts_with(b"[") && line.contains(&b']')
}

fn line_end(octets: &[u8]) -> &[u8] {
    if octets.ends_with(b"\r\n") {
        b"\r\n"
    } else if octets.ends_with(b"\n") {
        b"\n"
    } else {
        b""
    }
}

/// The block with the value of one field replaced. `walk` stands right behind that field.
fn splice(block: &[u8], walk: &Fields<'_>, raw: &[u8], value_at: usize, value: &[u8]) -> Vec<u8> {
    let after = walk.rest();
    let before = &block[..block.len() - after.len() - raw.len()];
    [before, &raw[..value_at], value, after].concat()
}

/// Adds Message-ID and Date where the client left them out (RFC 6409 8.3, 8.4), behind the last field.
pub fn add_missing(block: &[u8], message_id: &str, date: UtcTime) -> Vec<u8> {
    let mut walk = field::fields(block);
    let (mut has_id, mut has_date) = (false, false);
    for field in walk.by_ref() {
        has_id |= field.is("Message-ID") && !field.text().is_empty();
        has_date |= field.is("Date") && !field.text().is_empty();
    }
    let rest = walk.rest();
    let mut out = block[..block.len() - rest.len()].to_vec();
    if !out.is_empty() && !out.ends_with(b"\n") {
        out.extend_from_slice(b"\r\n");
    }
    if !has_date {
        out.extend_from_slice(format!("Date: {}\r\n", date.rfc5322()).as_bytes());
    }
    if !has_id {
        out.extend_from_slice(format!("Message-ID: {message_id}\r\n").as_bytes());
    }
    out.extend_from_slice(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn fields_leave_with_their_folds() {
        let block = b"A: 1\r\nBcc: x,\r\n y\r\n\tz\r\nBccX: stays\r\nbcc : w\r\n\r\nBcc: body";
        let out = remove_fields(block, &["Bcc", "X-KEP-Islem"]);
        assert_eq!(out, b"A: 1\r\nBccX: stays\r\n\r\nBcc: body");
    }

    fn strip(subject: &str) -> Option<(SubjectTag, String)> {
        let block = format!("A: 1\r\nSubject:{subject}\r\nB: 2\r\n\r\n");
        let (tag, out) = strip_subject_tag(block.as_bytes())?;
        let out = String::from_utf8(out).unwrap();
        let value = out
            .strip_prefix("A: 1\r\nSubject:")
            .unwrap()
            .strip_suffix("\r\nB: 2\r\n\r\n")
            .unwrap();
        Some((tag, value.to_owned()))
    }

    #[test]
    fn commands_leave_the_subject() {
        assert_eq!(
            strip(" [gonder] Teklif 5"),
            Some((SubjectTag::Send, " Teklif 5".into()))
        );
        assert_eq!(
            strip(" [TASLAK]x\r\n  y"),
            Some((SubjectTag::Draft, " x\r\n  y".into()))
        );
        assert_eq!(
            strip("[akis: Teklif]"),
            Some((SubjectTag::Flow("Teklif".into()), " ".into()))
        );
        assert_eq!(
            strip(" [akis: T] =?utf-8?Q?=C5=9E?="),
            Some((SubjectTag::Flow("T".into()), " =?utf-8?Q?=C5=9E?=".into()))
        );
        let (tag, rest) = strip(" =?utf-8?B?W2FrxLHFnzogxLDFn10gxZ4=?=").unwrap();
        assert_eq!(tag, SubjectTag::Flow("İş".into()));
        assert_eq!(decode::words(&rest), "Ş");
        for other in [" [x] y", " gonder", " [gonder", "", " [akis:]", " Re: [gonder] x"] {
            assert_eq!(strip(other), None, "{other}");
        }
    }

    #[test]
    fn missing_fields_are_added_behind_the_last() {
        let now = UtcTime::from_unix_s(0);
        let out = add_missing(b"From: a\r\n\r\nbody", "<1@x>", now);
        assert_eq!(
            out,
            b"From: a\r\nDate: Thu, 1 Jan 1970 00:00:00 +0000\r\nMessage-ID: <1@x>\r\n\r\nbody"
        );
        let whole = b"Date: x\r\nmessage-id: <9@x>\r\n\r\n";
        assert_eq!(add_missing(whole, "<1@x>", now), whole);
    }

    proptest! {
        #[test]
        fn nothing_named_nothing_changed(block in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert_eq!(remove_fields(&block, &["Bcc"]).len() <= block.len(), true);
            prop_assert_eq!(remove_fields(&block, &["no-such-field!"]), block);
        }
    }
}
