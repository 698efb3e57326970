//! A document that is looked over and parsed once, for whoever asks several things of it.
//!
//! Line ends are line feeds before anything else is read (XML 1.0 2.11). The parser does so too, but not for a carriage return
//! that stands before a character reference: then one canonical form would have spellings that other readers read otherwise.

use super::{XmlError, guard, names};
use memchr::{memchr, memmem};
use roxmltree::Document;
use std::borrow::Cow;

/// The text of a document, or why it is refused before parsing.
#[derive(Debug)]
pub struct Source<'o> {
    octets: &'o [u8],
    text: Result<Cow<'o, str>, XmlError>,
}

/// A document as it is read, or why it is none.
#[derive(Debug)]
pub struct Tree<'s> {
    octets: &'s [u8],
    document: Result<Document<'s>, XmlError>,
}

impl<'o> Source<'o> {
    pub fn of(octets: &'o [u8]) -> Self {
        Self {
            octets,
            text: guard::check(octets).map(with_line_feeds),
        }
    }

    pub fn tree(&self) -> Tree<'_> {
        let document = match &self.text {
            Ok(text) => parse(text),
            Err(why) => Err(why.clone()),
        };
        Tree {
            octets: self.octets,
            document,
        }
    }
}

impl<'s> Tree<'s> {
    /// What it was read from, as it came.
    pub fn octets(&self) -> &'s [u8] {
        self.octets
    }

    pub fn document(&self) -> Result<&Document<'s>, XmlError> {
        self.document.as_ref().map_err(Clone::clone)
    }
}

fn parse(text: &str) -> Result<Document<'_>, XmlError> {
    names::check(text)?;
    check_references(text)?;
    Document::parse(text).map_err(|e| XmlError::Parse(e.to_string()))
}

/// XML 1.0 4.1: a reference must be to a character of XML. The parser takes U+FFFD for what is none, and so that character
/// would have spellings that are not well-formed. What looks like one in a CDATA section is refused as well.
fn check_references(text: &str) -> Result<(), XmlError> {
    for at in memmem::find_iter(text.as_bytes(), b"&#") {
        let number = text.get(at + 2..).and_then(|rest| rest.split_once(';'));
        let number = number.map_or("", |(number, _)| number);
        // The numbers of the language may have a sign.
        let number = if number.contains('+') { "" } else { number };
        let code = match number.strip_prefix('x') {
            Some(hex) => u32::from_str_radix(hex, 16),
            None => number.parse(),
        };
        let character = code.ok().and_then(char::from_u32);
        if !character.is_some_and(is_character) {
            return Err(XmlError::Parse("a reference to what is no character".to_owned()));
        }
    }
    Ok(())
}

/// XML 1.0 2.2.
fn is_character(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..='\u{10ffff}')
}

fn with_line_feeds(text: &str) -> Cow<'_, str> {
    match memchr(b'\r', text.as_bytes()) {
        None => Cow::Borrowed(text),
        Some(_) => Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_end_is_a_line_feed() {
        assert_eq!(with_line_feeds("<a>\r\n\r\r\n\n</a>\r"), "<a>\n\n\n\n</a>\n");
        assert!(matches!(with_line_feeds("<a>\n</a>"), Cow::Borrowed(_)));
    }

    #[test]
    fn a_reference_to_no_character_is_refused() {
        for bad in [
            "&#xD800;",
            "&#xFFFE;",
            "&#0;",
            "&#x1f;",
            "&#x110000;",
            "&#;",
            "&#x;",
            "&#x+41;",
            "&#65",
            "&#-1;",
        ] {
            let text = format!("<a>{bad}</a>");
            let source = Source::of(text.as_bytes());
            assert!(
                matches!(source.tree().document(), Err(XmlError::Parse(_))),
                "{bad}"
            );
        }
        let good = Source::of(b"<a>&#65;&#x41;&#9;&#xFFFD;&#x1F4E8;&amp;</a>");
        assert!(good.tree().document().is_ok());
    }

    #[test]
    fn a_namespace_declared_twice_is_refused() {
        for bad in [
            "<a xmlns='urn:1' xmlns='urn:2'/>",
            "<a xmlns='urn:1' xmlns='urn:1'/>",
            "<a><b xmlns:p='urn:1' xmlns:p='urn:1'/></a>",
        ] {
            let source = Source::of(bad.as_bytes());
            assert!(
                matches!(source.tree().document(), Err(XmlError::Parse(_))),
                "{bad}"
            );
        }
        let good = Source::of(b"<a xmlns='urn:1'><b xmlns='urn:2'/></a>");
        assert!(good.tree().document().is_ok());
    }
}
