//! A dispatch (KEP iletisi): the provider's signed envelope around an original that is never held in memory.
//!
//! The message on the wire is, octet for octet,
//! `outer_header ++ entity_head ++ ORIGINAL ++ entity_tail ++ signature_part(cms)`,
//! and the octets to be signed are exactly `entity_head ++ ORIGINAL ++ entity_tail`.

use super::headers::MsgType;
use super::layout::{self, EvidencePart, Outer};
use super::notice::Text;

/// What goes into a dispatch besides the original.
#[derive(Debug, Clone)]
pub struct Dispatch<'a> {
    pub outer: Outer<'a>,
    pub intro: Text,
    /// Sealed evidence documents.
    pub evidence: &'a [EvidencePart<'a>],
    /// `REMExtensions.xml`, see [`super::extensions`].
    pub extensions: &'a [u8],
    /// Whether the original holds octets above 127 (8BITMIME has to be offered by the peer).
    pub original_is_8bit: bool,
    /// File name of the original, for example `orijinal.eml`.
    pub original_file: &'a str,
}

/// The octets around the original.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DispatchParts {
    /// Header block, empty line and first boundary line of the envelope; not signed.
    pub outer_header: Vec<u8>,
    /// From the first octet of the signed entity to the octet before the original.
    pub entity_head: Vec<u8>,
    /// From the octet behind the original to the last octet of the signed entity.
    pub entity_tail: Vec<u8>,
    boundary: String,
}

impl DispatchParts {
    /// What follows the signed entity, for a detached CMS signature over it.
    pub fn signature_part(&self, cms_der: &[u8]) -> Vec<u8> {
        layout::signature_part(&self.boundary, cms_der)
    }

    /// Octets of the whole dispatch, for SIZE and credit, before it is assembled.
    pub fn octets(&self, original_octets: u64, cms_octets: usize) -> u64 {
        let signature = self.signature_part(&[]).len() + cms_octets.div_ceil(57) * 78;
        (self.outer_header.len() + self.entity_head.len() + self.entity_tail.len() + signature) as u64
            + original_octets
    }
}

/// Builds the octets around an original.
pub fn build(dispatch: &Dispatch<'_>) -> DispatchParts {
    let outer = &dispatch.outer;
    let mixed = outer.mixed_boundary();
    let is_8bit = dispatch.original_is_8bit;
    let (evidence, extensions) = (dispatch.evidence, dispatch.extensions);
    let mut entity_head = layout::entity_start(outer, &dispatch.intro, evidence, extensions, is_8bit);
    let file = dispatch.original_file;
    entity_head.extend(layout::message_head(
        &mixed,
        layout::ORIGINAL_SECTION,
        file,
        is_8bit,
    ));
    DispatchParts {
        outer_header: outer.octets(MsgType::Dispatch, is_8bit),
        entity_head,
        entity_tail: layout::entity_end(&mixed),
        boundary: outer.outer_boundary(),
    }
}

#[cfg(test)]
#[path = "dispatch_tests.rs"]
mod tests;
