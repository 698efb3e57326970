//! XML signatures as the house makes and accepts them: XAdES baseline B-T and B-LT (EN 319 132-1), enveloped, exclusive C14N.
//!
//! Making: [`xades::prepare`] gives the octets of SignedInfo, somebody else signs them, and the document is finished with
//! a time-stamp token. Accepting: [`profile::verify`] refuses before parsing what has no place in an evidence document,
//! checks the shape of the one signature allowed, and both its digests over the canonical form of the tree that everything is
//! read from; whose key made the value is for who reads certificates to say, for certificates and tokens are opaque octets
//! here. `bergshamra`, which no other room knows, says what it makes of a signature that is refused, and judges in the tests.

mod canonical;
pub mod embedded;
pub mod foreign;
mod guard;
mod inside;
#[cfg(test)]
pub mod judge;
mod names;
mod nodes;
pub mod profile;
#[cfg(test)]
mod spelling;
mod stamps;
mod tree;
pub mod xades;

pub use embedded::{Embedded, Level, ValueSet, embed_values, without_values};
pub use guard::{DOCUMENT_MAX_OCTETS, check as check_input};
pub use profile::{SignatureValue, Verified, verify};
pub use stamps::{SignatureRecord, SignatureTimeStamp};
pub use tree::{Source, Tree};

pub(crate) const DSIG: &str = "http://www.w3.org/2000/09/xmldsig#";
pub(crate) const XADES: &str = "http://uri.etsi.org/01903/v1.3.2#";
/// EN 319 132-1: properties that came later.
pub(crate) const XADES141: &str = "http://uri.etsi.org/01903/v1.4.1#";
/// Of the evidence record in an XMLTimeStamp, in base64: our own, for the standard leaves open what an XMLTimeStamp holds.
pub(crate) const SIGNATURE_RECORD: &str = "urn:kepd:signature-record:1";
pub(crate) const EXCLUSIVE: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
pub(crate) const ENVELOPED: &str = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";
pub(crate) const SIGNED_PROPERTIES: &str = "http://uri.etsi.org/01903#SignedProperties";
pub(crate) const SHA256: &str = "http://www.w3.org/2001/04/xmlenc#sha256";
pub(crate) const SHA384: &str = "http://www.w3.org/2001/04/xmldsig-more#sha384";
pub(crate) const SHA512: &str = "http://www.w3.org/2001/04/xmlenc#sha512";

/// Why a document is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum XmlError {
    #[error("the document is refused before parsing: {0}")]
    Guard(&'static str),
    #[error("the document is not well-formed XML: {0}")]
    Parse(String),
    #[error("the signature does not follow the profile: {0}")]
    Profile(&'static str),
    #[error("the signature does not verify: {0}")]
    Signature(String),
}

/// The exclusive canonical form of a document, without comments (what two documents must share to say the same).
pub fn canonical_form(octets: &[u8]) -> Result<Vec<u8>, XmlError> {
    let source = Source::of(octets);
    let tree = source.tree();
    canonical::octets(tree.document()?.root_element(), None)
}
