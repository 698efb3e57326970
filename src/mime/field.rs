//! Header fields of a block, on exact octets (RFC 5322 2.2), and values with parameters (RFC 2045 5.1).
//!
//! Decodes no words: values stay as the message spells them. Lines without a field name are kept as nameless fields,
//! so that joining all `raw` gives the block back.

use serde::{Deserialize, Serialize};

/// Parameters kept of one field; more is an attack, not a mail.
pub const PARAMS_MAX: usize = 16;
/// Octets kept of one parameter or token.
pub const VALUE_MAX_OCTETS: usize = 1024;

/// One field: `raw` with its line ends and folded lines; `value` what stands behind the colon, folds included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<'a> {
    pub name: &'a [u8],
    pub value: &'a [u8],
    pub raw: &'a [u8],
}

impl Field<'_> {
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }

    /// The value on one line, without the space around it; octets that are not UTF-8 are replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&unfold(self.value)).trim().to_owned()
    }
}

/// Walks the fields of a header block; stops at the empty line or at the end.
pub fn fields(block: &[u8]) -> Fields<'_> {
    Fields { rest: block }
}

#[derive(Debug, Clone)]
pub struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// What was not walked yet; after the last field, the empty line and all behind it.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        if self.rest.is_empty() || self.rest.starts_with(b"\r\n") || self.rest.starts_with(b"\n") {
            return None;
        }
        let mut end = line_len(self.rest);
        // A line that starts with white space continues the field; an all-white line does so too (obsolete folding).
        while matches!(self.rest.get(end), Some(b' ' | b'\t')) {
            end += line_len(&self.rest[end..]);
        }
        let (raw, rest) = self.rest.split_at(end);
        self.rest = rest;
        let colon = raw
            .iter()
            .position(|b| *b == b':')
            .filter(|at| is_name(raw[..*at].trim_ascii_end()));
        let (name, value) = match colon {
            Some(at) => (raw[..at].trim_ascii_end(), &raw[at + 1..]),
            None => (&raw[..0], raw),
        };
        Some(Field { name, value, raw })
    }
}

/// The first field of that name, on one line.
pub fn first(block: &[u8], name: &str) -> Option<String> {
    fields(block)
        .find(|field| field.is(name))
        .map(|field| field.text())
}

fn is_name(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|b| (33..=126).contains(b) && *b != b':')
}

fn line_len(octets: &[u8]) -> usize {
    octets
        .iter()
        .position(|b| *b == b'\n')
        .map_or(octets.len(), |at| at + 1)
}

/// RFC 5322 2.2.3: takes the line ends out, leaves the white space in.
pub fn unfold(value: &[u8]) -> Vec<u8> {
    value
        .iter()
        .copied()
        .filter(|b| *b != b'\r' && *b != b'\n')
        .collect()
}

/// A value with parameters: `text/plain; charset=utf-8`. Values are unquoted but otherwise as in the message.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Parametrised {
    pub value: String,
    pub params: Vec<(String, String)>,
}

impl Parametrised {
    pub fn parse(value: &[u8]) -> Self {
        let line = unfold(value);
        let mut cursor = Cursor { octets: &line, at: 0 };
        let head = cursor.token(b";");
        let mut params = Vec::new();
        while params.len() < PARAMS_MAX && cursor.skip_to_param() {
            let name = cursor.token(b"=;");
            if cursor.peek() != Some(b'=') {
                continue;
            }
            cursor.at += 1;
            let value = cursor.token(b";");
            if !name.is_empty() {
                params.push((name, value));
            }
        }
        Self { value: head, params }
    }

    /// The parameter as the message spells it.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| v.as_str())
    }

    /// The parameter decoded: RFC 2231 continuations and charsets, else RFC 2047 words (against the standard, but what
    /// many clients write).
    pub fn decoded_param(&self, name: &str) -> Option<String> {
        if let Some(plain) = self.param(name) {
            return Some(super::decode::words(plain));
        }
        let mut octets = Vec::new();
        let mut charset = None;
        for n in 0..=PARAMS_MAX {
            // `name*` is the whole value, `name*0`, `name*0*` the first section.
            let section = if n == 0 {
                name.to_owned() + "*"
            } else {
                format!("{name}*{}", n - 1)
            };
            let starred = format!("{section}*");
            if let Some(value) = self
                .param(&starred)
                .or(if n == 0 { self.param(&section) } else { None })
            {
                let mut rest = value;
                if charset.is_none()
                    && let Some((cs, tail)) = value.split_once('\'')
                {
                    charset = Some(cs.to_owned());
                    rest = tail.split_once('\'').map_or(tail, |(_, text)| text);
                }
                percent_decode(rest, &mut octets);
            } else if let Some(value) = self.param(&section) {
                octets.extend_from_slice(value.as_bytes());
            } else if n > 0 {
                break;
            }
            if n == 0 && !octets.is_empty() {
                break;
            }
        }
        if octets.is_empty() {
            None
        } else {
            Some(super::decode::charset_text(charset.as_deref(), &octets))
        }
    }
}

fn percent_decode(text: &str, out: &mut Vec<u8>) {
    let octets = text.as_bytes();
    let mut at = 0;
    while at < octets.len() {
        let hex = octets
            .get(at + 1..at + 3)
            .and_then(|pair| std::str::from_utf8(pair).ok());
        match (octets[at], hex.and_then(|pair| u8::from_str_radix(pair, 16).ok())) {
            (b'%', Some(octet)) => {
                out.push(octet);
                at += 3;
            }
            (octet, _) => {
                out.push(octet);
                at += 1;
            }
        }
    }
}

struct Cursor<'a> {
    octets: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    fn peek(&self) -> Option<u8> {
        self.octets.get(self.at).copied()
    }

    /// Moves behind the next `;` and the space after it; false at the end.
    fn skip_to_param(&mut self) -> bool {
        while let Some(b) = self.peek() {
            if b != b';' && !b.is_ascii_whitespace() {
                break;
            }
            self.at += 1;
        }
        self.peek().is_some()
    }

    /// Reads up to one of `stops`, with quoted strings unquoted and comments left out.
    fn token(&mut self, stops: &[u8]) -> String {
        let mut out = Vec::new();
        while let Some(b) = self.peek() {
            if stops.contains(&b) {
                break;
            }
            self.at += 1;
            match b {
                b'"' => self.quoted(&mut out),
                b'(' => self.comment(),
                b if b.is_ascii_whitespace() && out.is_empty() => {}
                b => out.push(b),
            }
        }
        let text = out.trim_ascii_end();
        String::from_utf8_lossy(&text[..text.len().min(VALUE_MAX_OCTETS)]).into_owned()
    }

    fn quoted(&mut self, out: &mut Vec<u8>) {
        while let Some(b) = self.peek() {
            self.at += 1;
            match b {
                b'"' => return,
                b'\\' => {
                    out.extend(self.peek());
                    self.at += 1;
                }
                b => out.push(b),
            }
        }
    }

    fn comment(&mut self) {
        let mut depth = 1u32;
        while let Some(b) = self.peek() {
            self.at += 1;
            match b {
                b'(' => depth += 1,
                b')' => depth -= 1,
                b'\\' => self.at += 1,
                _ => {}
            }
            if depth == 0 {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joined_fields_are_the_block() {
        let block = b"A: 1\r\n  more\r\nbroken line\r\nB : 2\n\ttail\n\r\nbody";
        let mut walk = fields(block);
        let all: Vec<_> = walk.by_ref().collect();
        assert_eq!(all.len(), 3);
        assert_eq!(walk.rest(), b"\r\nbody");
        let joined: Vec<u8> = all.iter().flat_map(|f| f.raw.to_vec()).collect();
        assert_eq!([joined.as_slice(), walk.rest()].concat(), block);
        assert!(all[2].is("b"));
        assert_eq!(all[0].text(), "1  more");
    }

    #[test]
    fn parameters() {
        let p = Parametrised::parse(b" multipart/signed; (why) protocol=\"application/x\\\"y\";\r\n\tmicalg=sha-256; ; junk; boundary = \"a b\"");
        assert_eq!(p.value, "multipart/signed");
        assert_eq!(p.param("PROTOCOL"), Some("application/x\"y"));
        assert_eq!(p.param("boundary"), Some("a b"));
        assert_eq!(p.params.len(), 3);
    }

    #[test]
    fn file_names_in_three_spellings() {
        for spelled in [
            "attachment; filename*=UTF-8''%C3%B6rnek.xml",
            "attachment; filename*0*=utf-8''%C3%B6rn; filename*1=ek.xml",
            "attachment; filename=\"=?UTF-8?B?w7ZybmVrLnhtbA==?=\"",
        ] {
            let p = Parametrised::parse(spelled.as_bytes());
            assert_eq!(
                p.decoded_param("filename").as_deref(),
                Some("örnek.xml"),
                "{spelled}"
            );
        }
    }
}
