//! Mailbox names: UTF-8 inside; modified UTF-7 (RFC 3501 5.1.3) or UTF-8 (RFC 6855, RFC 9051 5.1) on the wire;
//! and the wildcards of LIST. The hierarchy delimiter is `/`. Only INBOX is compared without case, in ASCII only.

use super::limits::{NAME_MAX, PATTERN_MAX};
use base64::Engine;
use base64::alphabet::Alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::engine::{DecodePaddingMode, general_purpose};
use std::fmt;

/// The hierarchy delimiter.
pub const DELIMITER: u8 = b'/';

/// How names are spelled for this client: until it enables UTF-8, modified UTF-7.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Spelling {
    #[default]
    Utf7,
    Utf8,
}

/// Why octets are not a mailbox name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error("the mailbox name is empty or too long")]
    Length,
    #[error("the mailbox name has a control character or an empty level")]
    Form,
    #[error("the mailbox name is neither modified UTF-7 nor UTF-8")]
    Encoding,
}

/// The name of a mailbox in UTF-8: no control characters, no empty level, no delimiter at either end.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MailboxName(String);

/// A LIST pattern in UTF-8: `*` matches anything, `%` anything but the delimiter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(String);

impl MailboxName {
    pub fn inbox() -> Self {
        Self("INBOX".to_owned())
    }

    /// One trailing delimiter is forgiven: CREATE uses it to say that levels below will follow (RFC 9051 6.3.4).
    pub fn new(text: &str) -> Result<Self, NameError> {
        let text = text.strip_suffix('/').unwrap_or(text);
        if text.is_empty() || text.len() > NAME_MAX {
            return Err(NameError::Length);
        }
        if text.chars().any(char::is_control) || text.split('/').any(str::is_empty) {
            return Err(NameError::Form);
        }
        Ok(Self(fold_inbox(text)))
    }

    /// Reads a name from the wire. Before UTF-8 is enabled, eight-bit names are still taken as UTF-8 when they are.
    pub fn from_wire(octets: &[u8], spelling: Spelling) -> Result<Self, NameError> {
        Self::new(&text_from_wire(octets, spelling)?)
    }

    /// The name as it is written to this client; quoting is the writer's business.
    pub fn to_wire(&self, spelling: Spelling) -> Vec<u8> {
        match spelling {
            Spelling::Utf8 => self.0.clone().into_bytes(),
            Spelling::Utf7 => utf7_encode(&self.0).into_bytes(),
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn is_inbox(&self) -> bool {
        self.0 == "INBOX"
    }

    /// Whether this mailbox is somewhere below `other`.
    pub fn is_below(&self, other: &MailboxName) -> bool {
        self.0
            .strip_prefix(other.as_str())
            .is_some_and(|rest| rest.starts_with('/'))
    }
}

impl Default for MailboxName {
    fn default() -> Self {
        Self::inbox()
    }
}

impl fmt::Display for MailboxName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Pattern {
    /// Joins reference and pattern as RFC 9051 6.3.9 leaves to the server: side by side.
    pub fn from_wire(reference: &[u8], pattern: &[u8], spelling: Spelling) -> Result<Self, NameError> {
        let mut text = text_from_wire(reference, spelling)?;
        text.push_str(&text_from_wire(pattern, spelling)?);
        if text.len() > PATTERN_MAX {
            return Err(NameError::Length);
        }
        Ok(Self(fold_inbox(&text)))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Costs at most pattern times name, whatever the stars.
    pub fn matches(&self, name: &str) -> bool {
        super::wildcard::matches(self.0.as_bytes(), name.as_bytes())
    }
}

/// INBOX in any case is INBOX; so is it as the first level.
fn fold_inbox(text: &str) -> String {
    match text.get(..5) {
        Some(head)
            if head.eq_ignore_ascii_case("INBOX")
                && matches!(text.as_bytes().get(5), None | Some(b'/' | b'*' | b'%')) =>
        {
            format!("INBOX{}", &text[5..])
        }
        _ => text.to_owned(),
    }
}

fn text_from_wire(octets: &[u8], spelling: Spelling) -> Result<String, NameError> {
    if octets.len() > NAME_MAX * 3 {
        return Err(NameError::Length);
    }
    let text = std::str::from_utf8(octets).map_err(|_| NameError::Encoding)?;
    if spelling == Spelling::Utf8 || !text.is_ascii() {
        return Ok(text.to_owned());
    }
    utf7_decode(text).ok_or(NameError::Encoding)
}

fn base64_of_names() -> Option<GeneralPurpose> {
    // RFC 3501 5.1.3: `,` in place of `/`, no padding.
    let alphabet = Alphabet::new("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,").ok()?;
    let config: GeneralPurposeConfig =
        general_purpose::NO_PAD.with_decode_padding_mode(DecodePaddingMode::RequireNone);
    Some(GeneralPurpose::new(&alphabet, config))
}

/// UTF-8 to modified UTF-7.
pub fn utf7_encode(text: &str) -> String {
    let Some(base64) = base64_of_names() else {
        return String::new();
    };
    let mut out = String::with_capacity(text.len());
    let mut shifted: Vec<u8> = Vec::new();
    let flush = |out: &mut String, shifted: &mut Vec<u8>| {
        if !shifted.is_empty() {
            out.push('&');
            out.push_str(&base64.encode(&*shifted));
            out.push('-');
            shifted.clear();
        }
    };
    for c in text.chars() {
        if matches!(c, ' '..='~') {
            flush(&mut out, &mut shifted);
            out.push(c);
            if c == '&' {
                out.push('-');
            }
        } else {
            let mut units = [0u16; 2];
            for unit in c.encode_utf16(&mut units) {
                shifted.extend_from_slice(&unit.to_be_bytes());
            }
        }
    }
    flush(&mut out, &mut shifted);
    out
}

/// Modified UTF-7 to UTF-8. Only the one form that [`utf7_encode`] writes is read, so no name has two spellings.
pub fn utf7_decode(text: &str) -> Option<String> {
    let base64 = base64_of_names()?;
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((plain, shifted)) = rest.split_once('&') {
        out.push_str(plain);
        let (code, after) = shifted.split_once('-')?;
        rest = after;
        if code.is_empty() {
            out.push('&');
            continue;
        }
        let octets = base64.decode(code).ok()?;
        if octets.len() % 2 != 0 {
            return None;
        }
        let units = octets
            .chunks_exact(2)
            .map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
        for c in char::decode_utf16(units) {
            out.push(c.ok()?);
        }
    }
    out.push_str(rest);
    (utf7_encode(&out) == text).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn turkish_names() {
        for (name, wire) in [
            ("Çöp Kutusu", "&AMcA9g-p Kutusu"),
            (
                "İşlerim/Başkasında Bekleyen",
                "&ATABXw-lerim/Ba&AV8-kas&ATE-nda Bekleyen",
            ),
            ("Gönderilmiş & Arşiv", "G&APY-nderilmi&AV8- &- Ar&AV8-iv"),
            ("台北/日本語", "&U,BTFw-/&ZeVnLIqe-"),
            ("📨", "&2D3c6A-"),
        ] {
            assert_eq!(utf7_encode(name), wire);
            assert_eq!(utf7_decode(wire).as_deref(), Some(name));
        }
    }

    #[test]
    fn a_name_has_one_spelling() {
        // Shifted ASCII, an end without "-", odd octets, a lone surrogate, two shifts side by side, "/" in base64.
        for bad in ["&AGE-", "&AMc", "&AM-", "&2D0-", "&AMc-&APY-", "&U/BTFw-", "a&b"] {
            assert_eq!(utf7_decode(bad), None, "{bad}");
        }
    }

    #[test]
    fn inbox_is_folded_in_ascii_only() {
        assert!(MailboxName::new("iNbOx").unwrap().is_inbox());
        assert_eq!(MailboxName::new("inbox/a").unwrap().as_str(), "INBOX/a");
        assert_eq!(MailboxName::new("inboxes").unwrap().as_str(), "inboxes");
        assert!(!MailboxName::new("ınbox").unwrap().is_inbox());
        assert_eq!(MailboxName::new("a//b"), Err(NameError::Form));
        assert_eq!(MailboxName::new("a\u{7}b"), Err(NameError::Form));
        assert_eq!(MailboxName::new("/"), Err(NameError::Length));
        assert_eq!(MailboxName::new("a/").unwrap().as_str(), "a");
    }

    #[test]
    fn wildcards() {
        let matches = |pattern: &str, name: &str| Pattern(fold_inbox(pattern)).matches(name);
        assert!(matches("*", "a/b") && matches("%", "a") && !matches("%", "a/b"));
        assert!(matches("a/%", "a/b") && !matches("a/%", "a/b/c") && matches("a/*", "a/b/c"));
        assert!(matches("inbox", "INBOX") && matches("inbo%", "inbox") && matches("%/%", "İşlerim/Çöp"));
        assert!(matches("*ş*", "İşlerim") && !matches("", "a") && !matches("a", "ab"));
        let hostile = "*a".repeat(400);
        assert!(!matches(&hostile, &"a".repeat(399)));
    }

    proptest! {
        #[test]
        fn utf7_is_an_inverse(name in "\\PC{0,40}") {
            let decoded = utf7_decode(&utf7_encode(&name));
            prop_assert_eq!(decoded.as_deref(), Some(name.as_str()));
        }

        #[test]
        fn utf7_never_panics_and_reads_one_form(wire in "[ -~]{0,40}") {
            if let Some(name) = utf7_decode(&wire) {
                prop_assert_eq!(utf7_encode(&name), wire);
            }
        }

        #[test]
        fn matching_agrees_with_a_naive_matcher(pattern in "[ab/*%]{0,8}", name in "[ab/]{0,8}") {
            fn naive(p: &[u8], n: &[u8]) -> bool {
                match p.split_first() {
                    None => n.is_empty(),
                    Some((b'*', rest)) => (0..=n.len()).any(|i| naive(rest, &n[i..])),
                    Some((b'%', rest)) => (0..=n.len())
                        .take_while(|&i| i == 0 || n[i - 1] != b'/')
                        .any(|i| naive(rest, &n[i..])),
                    Some((c, rest)) => n.first() == Some(c) && naive(rest, &n[1..]),
                }
            }
            prop_assert_eq!(Pattern(pattern.clone()).matches(&name), naive(pattern.as_bytes(), name.as_bytes()));
        }
    }
}
