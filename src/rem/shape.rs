//! Looks over the shape of an XML text before the parser sees it.
//!
//! The parser compares every attribute of an element with every other and hands namespaces down by copying, so a
//! megabyte of attributes would keep it busy for minutes. Documents of our kind are small in all three measures. What is
//! not well-formed is left for the parser to refuse.

/// Attributes of one element; no schema here has ten.
const ATTRIBUTES_MAX: usize = 32;
/// Namespace declarations in one document. Signing libraries repeat them on many elements.
const NAMESPACES_MAX: usize = 512;
/// Nesting of elements; a certificate in a signature with archive material stands at about fifteen.
const DEPTH_MAX: usize = 64;

pub(super) fn check(text: &str) -> Result<(), String> {
    let (mut rest, mut depth, mut namespaces) = (text, 0usize, 0usize);
    while let Some(at) = rest.find('<') {
        rest = &rest[at..];
        let skipped = [("<!--", "-->"), ("<![CDATA[", "]]>"), ("<?", "?>")]
            .iter()
            .find(|(open, _)| rest.starts_with(open));
        if let Some((open, close)) = skipped {
            let Some(end) = rest[open.len()..].find(close) else {
                return Err("the document breaks off".to_owned());
            };
            rest = &rest[open.len() + end + close.len()..];
            continue;
        }
        if rest.starts_with("<!") {
            return Err("the document has a DTD, which is not allowed".to_owned());
        }
        let (tag, attributes) = tag(rest).ok_or("the document breaks off")?;
        rest = &rest[tag.len()..];
        namespaces += tag.matches("xmlns").count();
        if tag.starts_with("</") {
            depth = depth.saturating_sub(1);
        } else if !tag.ends_with("/>") {
            depth += 1;
        }
        if attributes > ATTRIBUTES_MAX || namespaces > NAMESPACES_MAX || depth > DEPTH_MAX {
            return Err(
                "the document has more attributes, namespaces or levels than any evidence".to_owned(),
            );
        }
    }
    Ok(())
}

/// The tag at the head of `text`, up to its `>`, and how many attributes it can have.
fn tag(text: &str) -> Option<(&str, usize)> {
    let (mut quote, mut attributes) = (None, 0);
    for (at, b) in text.bytes().enumerate() {
        match (quote, b) {
            (Some(open), b) if b == open => quote = None,
            (Some(_), _) => {}
            (None, b'"' | b'\'') => quote = Some(b),
            (None, b'=') => attributes += 1,
            (None, b'>') => return Some((&text[..=at], attributes)),
            (None, _) => {}
        }
    }
    None
}
