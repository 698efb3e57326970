//! Text out of encoded octets: for search, notices and names. Never for what is digested or signed.
//!
//! Uses the decoders of mail-parser for charsets, words and HTML. Input is cut to a bound before they see it, and a panic of theirs is contained.

use super::html;
use super::structure::Part;
use super::transfer::{Decoder, Encoding};
use mail_parser::decoders::charsets::map::charset_decoder;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Octets of one unstructured header value that are decoded.
pub const WORDS_MAX_OCTETS: usize = 16 * 1024;
/// Octets of a text part that are decoded for search; what a person wrote is shorter.
pub const TEXT_MAX_OCTETS: usize = 2 * 1024 * 1024;

/// Runs foreign parsing code; `None` if it panicked.
pub(super) fn contained<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok()
}

/// RFC 2047: a header value with its encoded words decoded.
pub fn words(value: &str) -> String {
    let mut end = value.len().min(WORDS_MAX_OCTETS);
    while !value.is_char_boundary(end) {
        end -= 1;
    }
    let value = &value[..end];
    if !value.contains("=?") {
        return value.trim().to_owned();
    }
    let line: Vec<u8> = value
        .bytes()
        .filter(|b| *b != b'\r' && *b != b'\n')
        .chain(*b"\n")
        .collect();
    let decoded = contained(|| {
        let mut stream = mail_parser::parsers::MessageStream::new(&line);
        stream
            .parse_unstructured()
            .into_text()
            .map(|text| text.into_owned())
    });
    decoded
        .flatten()
        .unwrap_or_else(|| value.to_owned())
        .trim()
        .to_owned()
}

/// Octets in a named charset as text; UTF-8 when none or an unknown one is named.
pub fn charset_text(charset: Option<&str>, octets: &[u8]) -> String {
    let utf8 = || String::from_utf8_lossy(octets).into_owned();
    match charset {
        None => utf8(),
        Some(name) if name.eq_ignore_ascii_case("utf-8") || name.eq_ignore_ascii_case("us-ascii") => utf8(),
        Some(name) => contained(|| charset_decoder(name.as_bytes()).map(|decode| decode(octets)))
            .flatten()
            .unwrap_or_else(utf8),
    }
}

/// The octets of a leaf with its transfer encoding undone (RFC 2045 6). Broken encodings give what can be read, unknown
/// ones leave the octets as they are.
pub fn transfer(encoding: Option<&str>, octets: &[u8]) -> Vec<u8> {
    let mut decoder = Decoder::new(Encoding::named(encoding).unwrap_or(Encoding::Identity));
    let mut out = Vec::new();
    decoder.push(octets, &mut out);
    decoder.finish(&mut out);
    out
}

/// The text of a text part, given the octets of its body; HTML is reduced to its text. At most `max_octets` of the
/// body are looked at. `None` when the part is not text.
pub fn text(part: &Part, body: &[u8], max_octets: usize) -> Option<String> {
    let (main, sub) = part.media_type();
    if !main.eq_ignore_ascii_case("text") {
        return None;
    }
    let cut = &body[..body.len().min(max_octets)];
    let octets = transfer(part.encoding.as_deref(), cut);
    let text = charset_text(part.content_type.param("charset"), &octets);
    if sub.eq_ignore_ascii_case("html") {
        return html::text(&text);
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mime::Structure;

    #[test]
    fn turkish_in_old_charsets() {
        assert_eq!(words("=?ISO-8859-9?Q?=DDstanbul_=FE=F0?= x"), "İstanbul şğ x");
        assert_eq!(words("=?windows-1254?B?3Q==?="), "İ");
        assert_eq!(words("plain Ş"), "plain Ş");
        assert_eq!(charset_text(Some("iso-8859-9"), b"\xdd"), "İ");
        assert_eq!(charset_text(Some("no-such"), "ş".as_bytes()), "ş");
    }

    #[test]
    fn text_of_a_part() {
        let m = b"Content-Type: text/html; charset=iso-8859-9\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n<p>=DD=\r\nyi</p>\r\n";
        let s = Structure::of(m);
        let body = s.parts[0].body.of(m).unwrap();
        assert_eq!(text(&s.parts[0], body, TEXT_MAX_OCTETS).unwrap().trim(), "İyi");
        assert_eq!(transfer(Some("BASE64"), b"aGV s\r\nbG8=\r\ntrailer"), b"hello");
    }
}
