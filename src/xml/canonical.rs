//! Exclusive canonical XML 1.0 without comments (W3C xml-exc-c14n-20020718) of a part of the tree that is read.
//!
//! What is digested is made from the same tree that facts and keys are read from: nothing can stand in the one and not in the
//! other. The guard has refused comments, instructions and document types, so there are elements and texts only, and a tree of
//! bounded depth. No list of inclusive prefixes: the profile allows none. Line ends and values of attributes are as XML 1.0 has
//! them already ([`super::tree`]). Held against `xmllint`, `xmlsec1` and the signature library in the tests.

use super::XmlError;
use roxmltree::{Attribute, Node, NodeId};

/// The canonical octets of an element, with all that is below it but `left_out`.
pub(super) fn octets(element: Node<'_, '_>, left_out: Option<Node<'_, '_>>) -> Result<Vec<u8>, XmlError> {
    let written = element.range();
    let mut writer = Writer {
        text: element.document().input_text(),
        left_out: left_out.map(|n| n.id()),
        rendered: Vec::new(),
        out: Vec::with_capacity(written.end.saturating_sub(written.start)),
    };
    writer.element(element)?;
    Ok(writer.out)
}

struct Writer<'a> {
    /// What the tree was parsed from: it alone knows which prefix was written.
    text: &'a str,
    left_out: Option<NodeId>,
    /// Prefixes and namespaces that were declared further up, the nearest last.
    rendered: Vec<(&'a str, &'a str)>,
    out: Vec<u8>,
}

impl<'a> Writer<'a> {
    /// As deep as the guard allows.
    fn element(&mut self, element: Node<'a, '_>) -> Result<(), XmlError> {
        let (prefix, name) = self.written_name(element.range().start + 1);
        let above = self.rendered.len();
        self.out.push(b'<');
        self.out.extend_from_slice(name.as_bytes());
        self.declarations(element, prefix)?;
        self.attributes(element);
        self.out.push(b'>');
        for child in element.children() {
            if self.left_out == Some(child.id()) {
                continue;
            }
            if child.is_element() {
                self.element(child)?;
            } else if child.is_text() {
                escape(child.text().unwrap_or_default(), in_text, &mut self.out);
            } else {
                return Err(XmlError::Profile("a comment or an instruction in what is signed"));
            }
        }
        self.out.extend_from_slice(b"</");
        self.out.extend_from_slice(name.as_bytes());
        self.out.push(b'>');
        self.rendered.truncate(above);
        Ok(())
    }

    /// The prefix (empty without one) and the whole name that stands at a place of the text.
    fn written_name(&self, at: usize) -> (&'a str, &'a str) {
        let rest = self.text.get(at..).unwrap_or_default();
        let ends = |c: u8| matches!(c, b' ' | b'\t' | b'\n' | b'\r' | b'/' | b'>' | b'=');
        let end = rest.bytes().position(ends).unwrap_or(rest.len());
        let name = rest.get(..end).unwrap_or_default();
        (name.split_once(':').map_or("", |(prefix, _)| prefix), name)
    }

    /// 3 of the recommendation: a namespace is declared where its prefix is visibly used, unless the nearest element above that
    /// declared the prefix bound it to the same; sorted by prefix, the default namespace first.
    fn declarations(&mut self, element: Node<'a, '_>, prefix: &'a str) -> Result<(), XmlError> {
        let above = self.rendered.len();
        self.declare(element, prefix)?;
        for attribute in element.attributes().filter(|a| a.namespace().is_some()) {
            match self.written_name(attribute.range().start) {
                ("xml", _) => {}
                (prefix, _) => self.declare(element, prefix)?,
            }
        }
        let (_, new) = self.rendered.split_at_mut(above);
        new.sort_unstable();
        for (prefix, uri) in new {
            self.out.extend_from_slice(b" xmlns");
            if !prefix.is_empty() {
                self.out.push(b':');
                self.out.extend_from_slice(prefix.as_bytes());
            }
            self.out.extend_from_slice(b"=\"");
            escape(uri, in_value, &mut self.out);
            self.out.push(b'"');
        }
        Ok(())
    }

    fn declare(&mut self, element: Node<'a, '_>, prefix: &'a str) -> Result<(), XmlError> {
        let named = (!prefix.is_empty()).then_some(prefix);
        let uri = element.lookup_namespace_uri(named).unwrap_or_default();
        // Namespaces in XML 1.0 3: only the default namespace may be taken back.
        if uri.is_empty() && named.is_some() {
            return Err(XmlError::Profile("a prefix that stands for no namespace"));
        }
        let mut nearest = self.rendered.iter().rev();
        let known = nearest.find(|(known, _)| *known == prefix);
        if known.map_or("", |(_, uri)| uri) != uri {
            self.rendered.push((prefix, uri));
        }
        Ok(())
    }

    /// Sorted by namespace and then by local name; those without a namespace first.
    fn attributes(&mut self, element: Node<'a, '_>) {
        if element.attributes().len() == 0 {
            return;
        }
        let mut all: Vec<Attribute<'a, '_>> = element.attributes().collect();
        all.sort_unstable_by_key(|a| (a.namespace().unwrap_or_default(), a.name()));
        for attribute in all {
            let name = match attribute.namespace() {
                None => attribute.name(),
                Some(_) => self.written_name(attribute.range().start).1,
            };
            self.out.push(b' ');
            self.out.extend_from_slice(name.as_bytes());
            self.out.extend_from_slice(b"=\"");
            escape(attribute.value(), in_value, &mut self.out);
            self.out.push(b'"');
        }
    }
}

/// What is written otherwise in a text or in a value.
const SPECIAL: [bool; 256] = {
    let mut table = [false; 256];
    let special = *b"&<>\r\"\t\n";
    let mut at = 0;
    while at < special.len() {
        table[special[at] as usize] = true;
        at += 1;
    }
    table
};

/// Canonical XML 1.0 2.3: what stands for a character of a text.
fn in_text(octet: u8) -> Option<&'static str> {
    match octet {
        b'&' => Some("&amp;"),
        b'<' => Some("&lt;"),
        b'>' => Some("&gt;"),
        b'\r' => Some("&#xD;"),
        _ => None,
    }
}

/// The same in the value of an attribute.
fn in_value(octet: u8) -> Option<&'static str> {
    match octet {
        b'&' => Some("&amp;"),
        b'<' => Some("&lt;"),
        b'"' => Some("&quot;"),
        b'\t' => Some("&#x9;"),
        b'\n' => Some("&#xA;"),
        b'\r' => Some("&#xD;"),
        _ => None,
    }
}

fn escape(text: &str, instead: fn(u8) -> Option<&'static str>, out: &mut Vec<u8>) {
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|o| SPECIAL[usize::from(*o)]) {
        let (clean, special) = rest.split_at(at);
        out.extend_from_slice(clean);
        let (first, behind) = special.split_at(1);
        match first.iter().find_map(|o| instead(*o)) {
            Some(put) => out.extend_from_slice(put.as_bytes()),
            None => out.extend_from_slice(first),
        }
        rest = behind;
    }
    out.extend_from_slice(rest);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::canonical_form;

    fn canonical(text: &str) -> String {
        String::from_utf8(canonical_form(text.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn namespaces_are_declared_where_they_are_used() {
        for (from, to) in [
            // Nobody uses `b` here, so it is not there.
            (
                "<a xmlns='urn:a' xmlns:b='urn:b'><c/></a>",
                "<a xmlns=\"urn:a\"><c></c></a>",
            ),
            (
                "<a xmlns:b='urn:b'><b:c/><b:d b:e='1'/></a>",
                "<a><b:c xmlns:b=\"urn:b\"></b:c><b:d xmlns:b=\"urn:b\" b:e=\"1\"></b:d></a>",
            ),
            // Taken back, and given again.
            (
                "<a xmlns='urn:a'><b xmlns=''><c xmlns='urn:a'/></b></a>",
                "<a xmlns=\"urn:a\"><b xmlns=\"\"><c xmlns=\"urn:a\"></c></b></a>",
            ),
            ("<a xmlns=''><b/></a>", "<a><b></b></a>"),
            // One prefix for two namespaces, two prefixes for one.
            (
                "<p:a xmlns:p='urn:1'><p:b xmlns:p='urn:2'/><q:c xmlns:q='urn:1'/></p:a>",
                "<p:a xmlns:p=\"urn:1\"><p:b xmlns:p=\"urn:2\"></p:b><q:c xmlns:q=\"urn:1\"></q:c></p:a>",
            ),
            // Attributes are sorted by what their prefixes stand for, declarations by the prefixes.
            (
                "<a xmlns:x='urn:2' xmlns:y='urn:1' x:k='1' z='2' y:k='3' xml:lang='tr'/>",
                "<a xmlns:x=\"urn:2\" xmlns:y=\"urn:1\" z=\"2\" xml:lang=\"tr\" y:k=\"3\" x:k=\"1\"></a>",
            ),
        ] {
            assert_eq!(canonical(from), to);
        }
        assert!(canonical_form(b"<a xmlns:p=''><p:b/></a>").is_err());
    }

    #[test]
    fn a_part_is_written_with_what_is_in_scope_above_it() {
        let text = "<r xmlns='urn:r' xmlns:p='urn:p'><p:a><b/></p:a>\n<c/></r>";
        let document = roxmltree::Document::parse(text).unwrap();
        let part = document.root_element().first_child().unwrap();
        let octets = octets(part, None).unwrap();
        let wanted = "<p:a xmlns:p=\"urn:p\"><b xmlns=\"urn:r\"></b></p:a>";
        assert_eq!(String::from_utf8(octets).unwrap(), wanted);
        let without = super::octets(document.root_element(), Some(part)).unwrap();
        let wanted = "<r xmlns=\"urn:r\">\n<c></c></r>";
        assert_eq!(String::from_utf8(without).unwrap(), wanted);
    }

    #[test]
    fn characters_are_escaped_as_the_standard_has_it() {
        assert_eq!(
            canonical(
                "<a b='&lt;&gt;&quot;&apos;&amp;&#9;&#10;&#13;\t'>&lt;&gt;\"'&amp;&#9;&#13;<![CDATA[<&>]]></a>"
            ),
            "<a b=\"&lt;>&quot;'&amp;&#x9;&#xA;&#xD; \">&lt;&gt;\"'&amp;\t&#xD;&lt;&amp;&gt;</a>"
        );
        // XML 1.0 2.11: a line end is a line feed before anything else is looked at, also beside a reference.
        assert_eq!(canonical("<a>\r&#10;\r\n&#13;\r</a>"), "<a>\n\n\n&#xD;\n</a>");
        assert_eq!(canonical("<a b='\r&#10;\r\n'/>"), "<a b=\" &#xA; \"></a>");
    }
}
