//! Writes XML of our own: no white space between elements, the same octets for the same values.
//!
//! Characters XML 1.0 does not allow are replaced by U+FFFD; [`XmlWriter::replaced`] says how many were. The carriage
//! return is written as a reference, because a parser would turn it into a line feed.

/// A document being written. Elements are closed in the order of a stack by the caller's nesting of closures.
#[derive(Debug, Default)]
pub struct XmlWriter {
    out: String,
    replaced: usize,
}

impl XmlWriter {
    /// Starts a document with the XML declaration.
    pub fn document() -> Self {
        Self {
            out: "<?xml version=\"1.0\" encoding=\"UTF-8\"?>".to_owned(),
            replaced: 0,
        }
    }

    /// How many characters had to be replaced.
    pub fn replaced(&self) -> usize {
        self.replaced
    }

    pub fn into_bytes(self) -> Vec<u8> {
        self.out.into_bytes()
    }

    /// An element with what `content` writes inside it.
    pub fn element(&mut self, name: &str, attributes: &[(&str, &str)], content: impl FnOnce(&mut Self)) {
        self.open(name, attributes);
        self.out.push('>');
        content(self);
        self.out.push_str("</");
        self.out.push_str(name);
        self.out.push('>');
    }

    /// An element that holds text only.
    pub fn text_element(&mut self, name: &str, attributes: &[(&str, &str)], text: &str) {
        self.element(name, attributes, |w| w.escape(text, false));
    }

    pub fn empty_element(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.open(name, attributes);
        self.out.push_str("/>");
    }

    fn open(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.out.push('<');
        self.out.push_str(name);
        for (name, value) in attributes {
            self.out.push(' ');
            self.out.push_str(name);
            self.out.push_str("=\"");
            self.escape(value, true);
            self.out.push('"');
        }
    }

    fn escape(&mut self, text: &str, attribute: bool) {
        for c in text.chars() {
            match c {
                '&' => self.out.push_str("&amp;"),
                '<' => self.out.push_str("&lt;"),
                '>' => self.out.push_str("&gt;"),
                '"' if attribute => self.out.push_str("&quot;"),
                '\r' => self.out.push_str("&#13;"),
                '\n' if attribute => self.out.push_str("&#10;"),
                '\t' if attribute => self.out.push_str("&#9;"),
                c if is_allowed(c) => self.out.push(c),
                _ => {
                    self.replaced += 1;
                    self.out.push('\u{fffd}');
                }
            }
        }
    }
}

/// XML 1.0 2.2, production Char (surrogates cannot occur in a `char`).
pub fn is_allowed(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_text_comes_back_but_for_what_xml_forbids(text in any::<String>()) {
            let mut w = XmlWriter::document();
            w.text_element("a", &[("b", &text)], &text);
            let replaced = w.replaced();
            let xml = String::from_utf8(w.into_bytes()).unwrap();
            let doc = roxmltree::Document::parse(&xml).unwrap();
            let want: String = text.chars().map(|c| if is_allowed(c) { c } else { '\u{fffd}' }).collect();
            prop_assert_eq!(doc.root_element().text().unwrap_or(""), want.as_str());
            prop_assert_eq!(doc.root_element().attribute("b"), Some(want.as_str()));
            prop_assert_eq!(replaced, 2 * text.chars().filter(|c| !is_allowed(*c)).count());
        }
    }
}
