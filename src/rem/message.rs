//! An evidence message (delil iletisi): the provider's signed envelope around evidence, without an original.
//!
//! The message is `outer_header ++ entity ++ signature_part(cms)`; the octets to be signed are exactly `entity`.

use super::headers::MsgType;
use super::layout::{self, EvidencePart, Outer};
use super::notice::Text;

/// The octets of an evidence message but for its signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageParts {
    pub outer_header: Vec<u8>,
    /// The signed entity.
    pub entity: Vec<u8>,
    boundary: String,
}

impl MessageParts {
    pub fn signature_part(&self, cms_der: &[u8]) -> Vec<u8> {
        layout::signature_part(&self.boundary, cms_der)
    }

    /// The whole message.
    pub fn assemble(&self, cms_der: &[u8]) -> Vec<u8> {
        [
            self.outer_header.as_slice(),
            &self.entity,
            &self.signature_part(cms_der),
        ]
        .concat()
    }
}

/// Builds an evidence message. `intro` is [`super::notice::evidence_intro`] of the evidence.
pub fn build(
    outer: &Outer<'_>,
    intro: &Text,
    evidence: &[EvidencePart<'_>],
    extensions: &[u8],
) -> MessageParts {
    let mut entity = layout::entity_start(outer, intro, evidence, extensions, false);
    entity.extend(layout::entity_end(&outer.mixed_boundary()));
    MessageParts {
        outer_header: outer.octets(MsgType::Message, false),
        entity,
        boundary: outer.outer_boundary(),
    }
}
