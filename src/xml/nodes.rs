//! Reading the parts of a signature strictly: the expected elements, and nothing between them.

use super::XmlError;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use roxmltree::Node;

/// The child elements; between them only white space may stand.
pub(super) fn elements<'a, 'input>(parent: Node<'a, 'input>) -> Result<Vec<Node<'a, 'input>>, XmlError> {
    let stray = |n: &Node<'_, '_>| n.is_text() && !n.text().is_some_and(is_blank);
    if parent.children().any(|n| stray(&n)) {
        return Err(XmlError::Profile("text between the elements of the signature"));
    }
    Ok(parent.children().filter(Node::is_element).collect())
}

/// The one child element of that name.
pub(super) fn child<'a, 'input>(
    parent: Node<'a, 'input>,
    namespace: &str,
    name: &str,
) -> Result<Node<'a, 'input>, XmlError> {
    let mut found = parent.children().filter(|n| n.has_tag_name((namespace, name)));
    match (found.next(), found.next()) {
        (Some(only), None) => Ok(only),
        _ => Err(XmlError::Profile(
            "a part of the signature is missing or stands twice",
        )),
    }
}

pub(super) fn expect(node: &Node<'_, '_>, namespace: &str, name: &'static str) -> Result<(), XmlError> {
    if node.has_tag_name((namespace, name)) {
        Ok(())
    } else {
        Err(XmlError::Profile(name))
    }
}

/// An element with just this algorithm and no parameters.
pub(super) fn expect_plain(node: Node<'_, '_>, algorithm: &str) -> Result<(), XmlError> {
    if node.attribute("Algorithm") == Some(algorithm) && !node.has_children() {
        Ok(())
    } else {
        Err(XmlError::Profile("an algorithm or parameter that is not allowed"))
    }
}

pub(super) fn is_blank(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_whitespace())
}

/// The text of an element that has nothing else.
pub(super) fn text_of<'a>(node: Node<'a, '_>) -> Result<&'a str, XmlError> {
    let mut children = node.children();
    match (children.next(), children.next()) {
        (Some(only), None) if only.is_text() => Ok(only.text().unwrap_or_default()),
        _ => Err(XmlError::Profile("an element that must hold one text")),
    }
}

pub(super) fn base64_of(node: Node<'_, '_>) -> Result<Vec<u8>, XmlError> {
    let text = text_of(node)?;
    let decoded = if text.bytes().any(|b| b.is_ascii_whitespace()) {
        STANDARD.decode(text.split_ascii_whitespace().collect::<String>())
    } else {
        STANDARD.decode(text)
    };
    decoded.map_err(|_| XmlError::Profile("base64"))
}

/// A name that a fragment can only mean literally: no XPointer, no escapes. ASCII, for nobody writes others.
pub(super) fn is_plain_name(text: &str) -> bool {
    let letter = |b: u8| b.is_ascii_alphabetic() || b == b'_';
    text.bytes().next().is_some_and(letter)
        && text
            .bytes()
            .all(|b| letter(b) || b.is_ascii_digit() || b == b'-' || b == b'.')
}
