//! What may stand inside the one signature besides what it signs. Its unsigned parts are where an attacker has room.
//!
//! Two parsers and many readers look at these parts: whatever they could read differently (CDATA, attributes with a
//! namespace, strange elements) is refused, whether or not a trick with it is known.

use super::nodes::elements;
use super::{DSIG, XADES, XADES141, XmlError};
use memchr::memmem;
use roxmltree::Node;

/// XML Signature 1.1.
const DSIG11: &str = "http://www.w3.org/2009/xmldsig11#";

/// The spelling of the whole signature.
pub(super) fn check(signature: Node<'_, '_>) -> Result<(), XmlError> {
    let written = signature.document().input_text().get(signature.range());
    // Some readers join a text with a CDATA section behind it, others take the first of the two.
    if written.is_none_or(|w| memmem::find(w.as_bytes(), b"<![CDATA[").is_some()) {
        return Err(XmlError::Profile("a CDATA section in the signature"));
    }
    // Both our parsers, and xmlsec1 too, find attributes by local name: `x:URI` would pass for `URI`.
    let mut attributes = signature
        .descendants()
        .filter(|n| matches!(n.tag_name().namespace(), Some(DSIG | XADES | XADES141)))
        .flat_map(|n| n.attributes());
    if attributes.any(|a| a.namespace().is_some()) {
        return Err(XmlError::Profile(
            "an attribute with a namespace in the signature",
        ));
    }
    Ok(())
}

/// KeyInfo is not signed: keys and certificates, no pointers, nothing else.
pub(super) fn check_key_info(key_info: Node<'_, '_>) -> Result<(), XmlError> {
    for node in key_info.descendants().filter(Node::is_element) {
        let name = node.tag_name();
        if matches!(name.name(), "RetrievalMethod" | "KeyInfoReference") {
            return Err(XmlError::Profile("KeyInfo points elsewhere"));
        }
        if !matches!(name.namespace(), Some(DSIG | DSIG11)) {
            return Err(XmlError::Profile("KeyInfo holds more than keys"));
        }
    }
    Ok(())
}

/// EN 319 132-1 4.3.1: SignedProperties, then UnsignedProperties; each at most once.
pub(super) fn check_qualifying(qualifying: Node<'_, '_>) -> Result<(), XmlError> {
    let parts = elements(qualifying)?;
    let names = |n: &Node<'_, '_>, name| n.has_tag_name((XADES, name));
    let signed = parts.iter().filter(|n| names(n, "SignedProperties")).count();
    if signed != 1 {
        return Err(XmlError::Profile(
            "a part of the signature is missing or stands twice",
        ));
    }
    match parts.as_slice() {
        [first] if names(first, "SignedProperties") => Ok(()),
        [first, second] if names(first, "SignedProperties") && names(second, "UnsignedProperties") => Ok(()),
        _ => Err(XmlError::Profile(
            "QualifyingProperties hold other parts than are allowed",
        )),
    }
}
