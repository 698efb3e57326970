//! White space as XML 1.0 has it: every line end is a line feed (2.11), and in a value of an attribute a literal tab or
//! line end is a space (3.3.3).
//!
//! The signature library's parser leaves attribute values and CDATA sections as they are, so as a judge it is given a text that
//! is normalised already.

use memchr::memchr2;
use std::borrow::Cow;
use std::ops::Range;

/// The text with its white space normalised; borrowed when there is nothing to change. The guard has let it pass: no
/// comments, no document type, and tags that end.
pub(super) fn normalised(text: &str) -> Cow<'_, str> {
    let octets = text.as_bytes();
    let mut writer = Writer {
        text,
        out: String::new(),
        copied: 0,
    };
    let (mut at, mut in_tag, mut quote) = (0, false, None);
    loop {
        if !in_tag {
            // Most of a document is the base64 of certificates.
            let Some(ahead) = octets.get(at..).and_then(|rest| memchr2(b'<', b'\r', rest)) else {
                break;
            };
            at += ahead;
        }
        let Some(octet) = octets.get(at) else { break };
        match (quote, *octet) {
            (None, b'<') if octets[at..].starts_with(b"<![CDATA[") => {
                let end = text[at..].find("]]>").map_or(octets.len(), |length| at + length);
                while at < end {
                    at = writer.line_end(at, "\n").unwrap_or(at) + 1;
                }
                continue;
            }
            (None, b'<') => in_tag = true,
            (None, b'>') => in_tag = false,
            (None, b'"' | b'\'') if in_tag => quote = Some(*octet),
            (None, _) => at = writer.line_end(at, "\n").unwrap_or(at),
            (Some(q), o) if q == o => quote = None,
            (Some(_), b'\t' | b'\n') => writer.replace(at..at + 1, " "),
            (Some(_), _) => at = writer.line_end(at, " ").unwrap_or(at),
        }
        at += 1;
    }
    writer.finish()
}

/// Copies only when something is replaced.
struct Writer<'a> {
    text: &'a str,
    out: String,
    /// How much of the text is in `out` already.
    copied: usize,
}

impl<'a> Writer<'a> {
    /// Replaces a CR, or a CR LF, at this place; gives the place of its last octet.
    fn line_end(&mut self, at: usize, by: &str) -> Option<usize> {
        let rest = self.text.as_bytes().get(at..)?;
        let last = match rest {
            [b'\r', b'\n', ..] => at + 1,
            [b'\r', ..] => at,
            _ => return None,
        };
        self.replace(at..last + 1, by);
        Some(last)
    }

    fn replace(&mut self, range: Range<usize>, by: &str) {
        self.out.push_str(&self.text[self.copied..range.start]);
        self.out.push_str(by);
        self.copied = range.end;
    }

    fn finish(mut self) -> Cow<'a, str> {
        if self.copied == 0 {
            return Cow::Borrowed(self.text);
        }
        self.out.push_str(&self.text[self.copied..]);
        Cow::Owned(self.out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_white_space_is_changed() {
        for (from, to) in [
            ("<a b='1\t2\r\n3\r4\n5'>\t\n</a>", "<a b='1 2 3 4 5'>\t\n</a>"),
            ("<a>'\r\n\r\r\n\"\t</a>\r", "<a>'\n\n\n\"\t</a>\n"),
            ("<a><![CDATA[\r\n'\r<\t]]>\r</a>", "<a><![CDATA[\n'\n<\t]]>\n</a>"),
            ("<a\n\tb=\"'\n\"/>", "<a\n\tb=\"' \"/>"),
            (
                "<a><![CDATA[<x y='\t'>]]><b c='\n'/></a>",
                "<a><![CDATA[<x y='\t'>]]><b c=' '/></a>",
            ),
            (
                "<?xml version='1.0'\nencoding='UTF-8'?>\n<a b='&#9;'/>",
                "<?xml version='1.0'\nencoding='UTF-8'?>\n<a b='&#9;'/>",
            ),
        ] {
            assert_eq!(normalised(from), to);
        }
        assert!(matches!(normalised("<a b='c'>\n</a>"), Cow::Borrowed(_)));
    }
}
