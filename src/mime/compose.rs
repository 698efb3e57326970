//! Small composing: header values and the text parts of notices (RFC 2045, 2047, 2231; bodies by mail-builder).
//!
//! Deterministic: boundaries come from an id handed in. Signed entities are never passed through here.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mail_builder::mime::{BodyPart, MimePart};
use uuid::Uuid;

/// RFC 2047 2: longest encoded word.
const WORD_MAX_OCTETS: usize = 75;
/// RFC 5322 2.1.1: the length lines should keep to.
const LINE_MAX_OCTETS: usize = 76;
/// RFC 2045 6.8: longest line of base64.
const BASE64_LINE_OCTETS: usize = 76;

/// A boundary no text can hold by chance: `tag` and an id given out once.
pub fn boundary(tag: &str, id: Uuid) -> String {
    format!("=_{tag}_{}", id.simple())
}

/// An unstructured value: ASCII stays (folded at spaces), anything else becomes encoded words. No line break of the
/// text survives, so a value cannot start a new field.
pub fn unstructured(text: &str) -> String {
    let clean: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let plain = clean.is_ascii() && !clean.contains("=?") && clean.split(' ').all(|word| word.len() < 900);
    if plain {
        fold(clean.trim())
    } else {
        encoded_words(clean.trim())
    }
}

/// A display name: a quoted string, or encoded words.
pub fn phrase(text: &str) -> String {
    let clean: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if !clean.is_ascii() || clean.contains("=?") || clean.len() > LINE_MAX_OCTETS {
        return encoded_words(&clean);
    }
    let escaped = clean.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{escaped}\"")
}

/// `"name" <address>`. The address must be one already (it is written as it is).
pub fn mailbox(name: Option<&str>, address: &str) -> String {
    match name.filter(|name| !name.trim().is_empty()) {
        Some(name) => format!("{} <{address}>", phrase(name)),
        None => format!("<{address}>"),
    }
}

/// A list of ready mailboxes, one line each.
pub fn address_list(mailboxes: &[String]) -> String {
    mailboxes.join(",\r\n ")
}

/// `; name="value"`, or the extended form of RFC 2231 when the value is not printable ASCII.
pub fn param(name: &str, value: &str) -> String {
    if value.bytes().all(|b| (32..127).contains(&b)) {
        let escaped = value.replace('\\', "\\\\").replace('"', "\\\"");
        return format!("; {name}=\"{escaped}\"");
    }
    let mut out = format!("; {name}*=utf-8''");
    for b in value.bytes() {
        if b.is_ascii_alphanumeric() || b"-._".contains(&b) {
            out.push(char::from(b));
        } else {
            out.push_str(&format!("%{b:02X}"));
        }
    }
    out
}

/// Base64 in lines (RFC 2045 6.8), the last line ended too.
pub fn base64_lines(octets: &[u8]) -> Vec<u8> {
    let text = STANDARD.encode(octets);
    let mut out = Vec::with_capacity(text.len() / BASE64_LINE_OCTETS * 2 + text.len() + 2);
    for line in text.as_bytes().chunks(BASE64_LINE_OCTETS) {
        out.extend_from_slice(line);
        out.extend_from_slice(b"\r\n");
    }
    out
}

/// A `multipart/alternative` entity, headers included, of the same text as plain and as HTML; both go out in base64
/// or quoted-printable as mail-builder sees fit. Ends with a line end.
pub fn alternative(plain: &str, html: &str, boundary: &str) -> Vec<u8> {
    let mut out =
        format!("Content-Type: multipart/alternative; boundary=\"{boundary}\"\r\n\r\n").into_bytes();
    for (media_type, text) in [("text/plain", plain), ("text/html", html)] {
        out.extend_from_slice(format!("--{boundary}\r\n").as_bytes());
        let text = text.replace("\r\n", "\n").replace('\n', "\r\n");
        MimePart::new(media_type, BodyPart::Text(text.into())).write_part(&mut out);
        if !out.ends_with(b"\r\n") {
            out.extend_from_slice(b"\r\n");
        }
    }
    out.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    out
}

/// Text as the content of an HTML element or attribute.
pub fn html_text(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

fn fold(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    // The field name stands before the first line.
    let mut column = 24;
    for (n, word) in text.split(' ').enumerate() {
        if n > 0 {
            // Only before a word that is not empty: a folded line of white space alone is obsolete.
            if column + 1 + word.len() > LINE_MAX_OCTETS && !word.is_empty() {
                out.push_str("\r\n");
                column = 0;
            }
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += word.len();
    }
    out
}

fn encoded_words(text: &str) -> String {
    const HEAD: &str = "=?UTF-8?B?";
    // Octets of text that fit in one word: base64 makes 4 of 3.
    const CHUNK: usize = (WORD_MAX_OCTETS - HEAD.len() - 2) / 4 * 3;
    let mut words = Vec::new();
    let mut chunk = String::new();
    for c in text.chars() {
        // RFC 2047 5: a character is never divided between words.
        if chunk.len() + c.len_utf8() > CHUNK {
            words.push(format!("{HEAD}{}?=", STANDARD.encode(&chunk)));
            chunk.clear();
        }
        chunk.push(c);
    }
    if !chunk.is_empty() {
        words.push(format!("{HEAD}{}?=", STANDARD.encode(&chunk)));
    }
    words.join("\r\n ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mime::{Structure, decode};
    use proptest::prelude::*;

    #[test]
    fn no_value_starts_a_field() {
        assert_eq!(unstructured("a\r\nBcc: x"), "a  Bcc: x");
        assert!(!phrase("x\r\n\" <evil@x>").contains('\n'));
        assert_eq!(phrase("a \"b\""), "\"a \\\"b\\\"\"");
        assert_eq!(
            param("filename", "örnek 1.xml"),
            "; filename*=utf-8''%C3%B6rnek%201.xml"
        );
    }

    #[test]
    fn both_texts_come_back() {
        let entity = alternative("Sayın İlgili,\nşğ\n", "<p>Sayın İlgili</p>", "b1");
        let s = Structure::of(&entity);
        assert_eq!(s.parts.len(), 3);
        let read = |n: usize| {
            let p = &s.parts[n];
            decode::text(p, p.body.of(&entity).unwrap(), 10_000).unwrap()
        };
        assert_eq!(read(1).replace("\r\n", "\n").trim_end(), "Sayın İlgili,\nşğ");
        assert_eq!(read(2).trim(), "Sayın İlgili");
    }

    proptest! {
        #[test]
        fn subjects_come_back(text in "[ -~ışğİÖü€😀]{0,200}") {
            let value = unstructured(&text);
            prop_assert!(value.split("\r\n").all(|line| line.len() <= 900));
            let squeeze = |t: &str| t.split_whitespace().collect::<Vec<_>>().join(" ");
            prop_assert_eq!(squeeze(&decode::words(&value)), squeeze(&text));
        }
    }
}
