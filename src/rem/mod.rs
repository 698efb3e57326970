//! ETSI TS 102 640: evidence documents, dispatches and evidence messages, their headers and their words.
//!
//! Bytes to values and back; keys, time-stamps and files are elsewhere. What is sealed is always assembled from exact
//! octets, and the original is never held here: a dispatch is the octets around it.

pub mod dispatch;
pub mod evidence;
pub mod evidence_read;
pub mod extensions;
pub mod headers;
pub mod layout;
pub mod message;
pub mod notice;
pub mod open;
mod parsed;
pub mod personal;
pub mod receipt;
pub mod schema;
mod shape;
pub mod writer;

pub use parsed::Parsed;

/// Namespace of TS 102 640-2 version 2.
pub const REM_NS: &str = "http://uri.etsi.org/02640/v2#";
/// XML signature.
pub const DS_NS: &str = "http://www.w3.org/2000/09/xmldsig#";
/// XAdES 1.3.2.
pub const XADES_NS: &str = "http://uri.etsi.org/01903/v1.3.2#";
/// TS 102 231, whose types the evidence borrows.
pub const TSL_NS: &str = "http://uri.etsi.org/02231/v2#";
/// SAML assertions.
pub const SAML_NS: &str = "urn:oasis:names:tc:SAML:2.0:assertion";
/// The namespace of XML's own attributes.
pub const XML_NS: &str = "http://www.w3.org/XML/1998/namespace";
/// Our own additions; a name, nothing lies behind it.
pub const KEPD_NS: &str = "urn:kepd:rem-extensions:1";
/// SHA-256 as XML signature names it.
pub const SHA256_URI: &str = "http://www.w3.org/2001/04/xmlenc#sha256";
/// File name of the extensions section.
pub const EXTENSIONS_FILE: &str = "REMExtensions.xml";
/// Octets of one XML document that are read. A signed evidence with archive material is far below.
pub const XML_MAX_OCTETS: usize = 1024 * 1024;
/// Elements of one XML document that are read.
pub const XML_MAX_NODES: u32 = 20_000;

/// Parses a document of a peer: bounded, and without a DOCTYPE, so that no entity can be defined.
pub(crate) fn parse(xml: &[u8]) -> Result<roxmltree::Document<'_>, String> {
    if xml.len() > XML_MAX_OCTETS {
        return Err(format!("the document has more than {XML_MAX_OCTETS} octets"));
    }
    let text = std::str::from_utf8(xml).map_err(|_| "the document is not UTF-8".to_owned())?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    shape::check(text)?;
    let options = roxmltree::ParsingOptions {
        allow_dtd: false,
        nodes_limit: XML_MAX_NODES,
        ..Default::default()
    };
    roxmltree::Document::parse_with_options(text, options)
        .map_err(|error| format!("the document is not XML: {error}"))
}

/// The value of an attribute that has no namespace. The parser's own look-up takes the first of that local name in any
/// namespace, and the order of attributes is not signed.
pub(crate) fn attribute<'a>(node: roxmltree::Node<'a, '_>, name: &str) -> Option<&'a str> {
    let mut all = node.attributes();
    all.find(|a| a.namespace().is_none() && a.name() == name)
        .map(|a| a.value())
}
