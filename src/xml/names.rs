//! Names and namespace declarations, which the parser takes laxly: what it would read, but other readers refuse or read
//! otherwise, is refused before.
//!
//! Namespaces in XML 1.0: a name has at most one colon, and something on each side of it (clause 4); no prefix is called
//! `xmlns`, and `xml` needs no declaration (clause 3); an attribute stands once (clause 6.3). A namespace is named by an
//! absolute URI: Canonical XML 1.0 (4.3) does not know relative ones, and libxml2 refuses what is no URI.
//!
//! One pass over a text that [`guard`](super::guard) let pass: it has no comments, instructions or document type.

use super::XmlError;
use memchr::{memchr, memmem};

/// Checks every tag.
pub(super) fn check(text: &str) -> Result<(), XmlError> {
    let octets = text.as_bytes();
    let mut at = 0;
    while let Some(start) = memchr(b'<', &octets[at..]).map(|found| at + found) {
        let markup = &octets[start..];
        let skipped = |end: &[u8]| memmem::find(markup, end).map(|found| found + end.len());
        let length = match markup {
            [b'<', b'!', ..] => skipped(b"]]>"),
            [b'<', b'?', ..] => skipped(b"?>"),
            _ => Some(Tag(&markup[1..]).check()?),
        };
        at = start + length.ok_or_else(not_well_formed)?;
    }
    Ok(())
}

fn not_well_formed() -> XmlError {
    XmlError::Parse("a tag is not as XML wants it".to_owned())
}

/// The octets of `list`, to be looked up.
const fn table(list: &[u8]) -> [bool; 256] {
    let mut table = [false; 256];
    let mut at = 0;
    while at < list.len() {
        table[list[at] as usize] = true;
        at += 1;
    }
    table
}

/// What ends a name.
const ENDS_NAME: [bool; 256] = table(b" \t\n\r=/>\"'<");
/// RFC 3986 2: what a URI may have behind its scheme.
const IN_URI: [bool; 256] =
    table(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~:/?#@!$()*+,;=%'");

/// What is left of a tag.
struct Tag<'t>(&'t [u8]);

impl<'t> Tag<'t> {
    /// The length of the tag, with its brackets.
    fn check(mut self) -> Result<usize, XmlError> {
        let whole = self.0.len();
        self.skip(b"/");
        check_name(self.name())?;
        let mut has_default = false;
        loop {
            let spaced = self.blank();
            if self.skip(b">") || self.skip(b"/>") {
                return Ok(whole - self.0.len() + 1);
            }
            let name = self.name();
            if !spaced || name.is_empty() {
                return Err(not_well_formed());
            }
            let value = self.value().ok_or_else(not_well_formed)?;
            let is_default = name == b"xmlns";
            if is_default && std::mem::replace(&mut has_default, true) {
                return Err(XmlError::Parse(
                    "a default namespace is declared twice".to_owned(),
                ));
            }
            if is_default {
                check_namespace(value, true)?;
            } else if name.starts_with(b"xmlns:") {
                check_namespace(value, false)?;
            }
            check_name(name)?;
            if name.ends_with(b":xmlns") || name == b"xmlns:xml" {
                return Err(name_refused());
            }
        }
    }

    fn skip(&mut self, what: &[u8]) -> bool {
        let rest = self.0.strip_prefix(what);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    /// White space (XML 1.0 2.3): whether there was any.
    fn blank(&mut self) -> bool {
        let is_blank = |o: &u8| matches!(o, b' ' | b'\t' | b'\n' | b'\r');
        let length = self.0.iter().take_while(|o| is_blank(o)).count();
        self.0 = &self.0[length..];
        length > 0
    }

    /// Up to what ends a name; which characters a name may have the parser knows.
    fn name(&mut self) -> &'t [u8] {
        let ends = self.0.iter().position(|o| ENDS_NAME[usize::from(*o)]);
        let length = ends.unwrap_or(self.0.len());
        let (name, rest) = self.0.split_at(length);
        self.0 = rest;
        name
    }

    fn value(&mut self) -> Option<&'t [u8]> {
        self.blank();
        if !self.skip(b"=") {
            return None;
        }
        self.blank();
        let (quote, rest) = self.0.split_first().filter(|(q, _)| matches!(q, b'"' | b'\''))?;
        let length = memchr(*quote, rest)?;
        self.0 = &rest[length + 1..];
        Some(&rest[..length])
    }
}

fn name_refused() -> XmlError {
    XmlError::Parse("a name that namespaces do not allow".to_owned())
}

/// Clause 4: `QName`.
fn check_name(name: &[u8]) -> Result<(), XmlError> {
    let fits = match name.iter().position(|o| *o == b':') {
        None => !name.is_empty(),
        Some(colon) => {
            let local = &name[colon + 1..];
            colon > 0 && !local.is_empty() && !local.contains(&b':')
        }
    };
    if fits { Ok(()) } else { Err(name_refused()) }
}

/// Only the default namespace is undone by an empty name (clause 6.2).
fn check_namespace(name: &[u8], is_default: bool) -> Result<(), XmlError> {
    if (is_default && name.is_empty()) || is_absolute_uri(name) {
        Ok(())
    } else {
        Err(XmlError::Parse(
            "a namespace whose name is no absolute URI".to_owned(),
        ))
    }
}

/// RFC 3986 4.3, with a fragment allowed. A character reference in it is refused: nobody needs one.
fn is_absolute_uri(name: &[u8]) -> bool {
    let Some(colon) = memchr(b':', name) else {
        return false;
    };
    let (scheme, rest) = (&name[..colon], &name[colon + 1..]);
    let in_scheme = |o: &u8| o.is_ascii_alphanumeric() || b"+-.".contains(o);
    let is_escape = |escape: &[u8]| escape.len() >= 2 && escape[..2].iter().all(u8::is_ascii_hexdigit);
    scheme.first().is_some_and(u8::is_ascii_alphabetic)
        && scheme.iter().all(in_scheme)
        && !rest.is_empty()
        && rest.iter().all(|o| IN_URI[usize::from(*o)])
        && rest.iter().filter(|o| **o == b'#').count() <= 1
        && (memchr(b'%', rest).is_none() || rest.split(|o| *o == b'%').skip(1).all(is_escape))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the parser would take, and libxml2 refuses or reads otherwise.
    #[test]
    fn names_that_readers_disagree_about_are_refused() {
        for bad in [
            "<a :version='2'/>",
            "<r:b xmlns:r='urn:r' r:xmlns='anything' n='1'/>",
            "<a zz:xmlns='anything'/>",
            "<a q:xmlns='urn:q'/>",
            "<a :xmlns='urn:q'/>",
            "<a></:a>",
            "<:a></:a>",
            "<a:/>",
            "<a:b:c xmlns:a='urn:a'/>",
            "<a xmlns:xmlns='urn:x'/>",
            "<a xmlns:xml='http://www.w3.org/XML/1998/namespace'/>",
            "<a xmlns='urn:1' xmlns='urn:2'/>",
            "<a xmlns='urn:1'><b xmlns='urn:1' xmlns='urn:1'/></a>",
            "<a\n:b='1'/>",
            "<a b='1':c='2'/>",
            "<a b='1'c='2'/>",
            "<a b/>",
            "<a b=1/>",
            "<a b='1",
        ] {
            assert!(matches!(check(bad), Err(XmlError::Parse(_))), "{bad}");
        }
    }

    #[test]
    fn a_namespace_is_named_by_an_absolute_uri() {
        let declared = |name: &str| [format!("<a xmlns:z='{name}'/>"), format!("<a xmlns='{name}'/>")];
        for bad in [
            "rel",
            "a/b:c",
            "//foo/",
            "#foo",
            "1:foo",
            "urn:",
            "urn:%zz",
            "urn:%4",
            "urn:a b",
            "urn:ü",
            "urn:a&#98;",
            "urn:a&amp;b",
            "urn:a#b#c",
            "urn:a\"",
            "urn:{a}",
            ":a",
        ] {
            for document in declared(bad) {
                assert!(check(&document).is_err(), "{document}");
            }
        }
        for good in [
            "urn:kepd:rem-extensions:1",
            "http://www.w3.org/2000/09/xmldsig#",
            "http://uri.etsi.org/01903/v1.3.2#",
            "http:///uri.etsi.org/02640/v2#",
            "tag:a.test,2026:b%20c",
        ] {
            for document in declared(good) {
                assert_eq!(check(&document), Ok(()), "{document}");
            }
        }
        assert!(check("<a xmlns=''/>").is_ok());
        assert!(check("<a xmlns:z=''/>").is_err());
    }

    #[test]
    fn ordinary_documents_pass() {
        for good in [
            "<?xml version='1.0' encoding='utf-8'?>\n<a b='>' c = \"'&lt;\"\n><c/></a >\n",
            "<a><![CDATA[<:x :y='1'>]]><b\td='1'/></a>",
            "<a:b xmlns:a='urn:a' a:c='1' xml:lang='tr'>:x = y</a:b>",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
    }
}
