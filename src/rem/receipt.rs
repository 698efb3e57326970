//! A receipt: an evidence message in the form that the sender of the mail wished for (`domain::receipt`).
//!
//! It is an evidence message of the sender's own provider, with more beside the evidence: of the original its header and a
//! table of its parts, or all of it; and of evidence that another provider issued, that provider's whole signed message.
//! What is carried is never held here: a receipt is the octets around it, as a dispatch is. The summary form is no receipt in
//! this sense; it is [`super::message`], or what the other provider sent.

use super::headers::MsgType;
use super::layout::{self, EvidencePart, Outer};
use super::notice::Text;
use crate::domain::audit_chain::hex;
use crate::mime::compose;
use serde::Serialize;

/// File name of the original in a full receipt; the same as in a dispatch.
pub const ORIGINAL_FILE: &str = "orijinal.eml";
/// File name of the message in which another provider sent its evidence.
pub const ATTESTATION_FILE: &str = "saglayici-delil-iletisi.eml";
/// File name of the table of parts.
pub const PARTS_FILE: &str = "parcalar.json";
/// File name of the header of the original.
pub const HEADER_FILE: &str = "baslik.txt";
/// `X-REM-Section-Type` of the other provider's message. Words of our own: no standard has a section for it.
const ATTESTATION_SECTION: &str = "Evidence Message";
/// The same of the table of parts, and of the header.
const PARTS_SECTION: &str = "Original Message Parts";
const HEADER_SECTION: &str = "Original Message Header";

/// Whether a section says something that no evidence inside speaks of: then no time-stamp of that evidence covers it.
pub(super) fn is_own_section(section: &str) -> bool {
    let own = [ATTESTATION_SECTION, PARTS_SECTION, HEADER_SECTION];
    own.iter().any(|name| name.eq_ignore_ascii_case(section.trim()))
}

/// One part of an original that holds something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PartDigest {
    /// Its section number (RFC 9051 6.4.5.1).
    pub part: String,
    #[serde(rename = "type")]
    pub media_type: String,
    pub file: Option<String>,
    /// Content-Transfer-Encoding as spelled.
    pub encoding: Option<String>,
    /// The octets as they stand in the original.
    pub octets: u64,
    pub sha256: String,
    /// The octets with the encoding undone; none when it cannot be, or its rules are not kept, so that one reader would undo
    /// it in another way than the next (RFC 2045 6.7, 6.8).
    pub decoded_octets: Option<u64>,
    pub decoded_sha256: Option<String>,
}

/// What `parcalar.json` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PartsTable {
    pub rem_message_id: String,
    pub evidence: String,
    pub original_octets: u64,
    pub original_sha256: String,
    /// Of `baslik.txt`: the header of the original with the empty line that ends it.
    pub header_octets: u64,
    pub header_sha256: String,
    pub parts: Vec<PartDigest>,
}

/// A digest as the table writes it.
pub fn digest_text(sha256: &[u8; 32]) -> String {
    hex(sha256)
}

/// What is said of the original.
#[derive(Debug, Clone)]
pub enum Enclosed<'a> {
    Parts {
        /// The table as JSON.
        table: &'a [u8],
        /// The header block of the original.
        header: &'a [u8],
    },
    Original {
        is_8bit: bool,
    },
}

/// What goes into a receipt besides what it carries.
#[derive(Debug, Clone)]
pub struct Receipt<'a> {
    pub outer: Outer<'a>,
    pub intro: Text,
    pub evidence: EvidencePart<'a>,
    pub extensions: &'a [u8],
    pub enclosed: Enclosed<'a>,
    /// Whether another provider's message is carried, and whether that holds octets above 127.
    pub attestation_is_8bit: Option<bool>,
}

/// A run of the signed entity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Run {
    Octets(Vec<u8>),
    /// The other provider's message, octet for octet.
    Attestation,
    /// The original, octet for octet.
    Original,
}

/// A receipt but for its signature. The signed octets are exactly those of `entity`, one run after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiptParts {
    /// Header block, empty line and first boundary line; not signed.
    pub outer_header: Vec<u8>,
    pub entity: Vec<Run>,
    boundary: String,
}

impl ReceiptParts {
    /// What follows the signed entity, for a detached CMS signature over it.
    pub fn signature_part(&self, cms_der: &[u8]) -> Vec<u8> {
        layout::signature_part(&self.boundary, cms_der)
    }
}

/// Builds the octets around what is carried.
pub fn build(receipt: &Receipt<'_>) -> ReceiptParts {
    let outer = &receipt.outer;
    let mixed = outer.mixed_boundary();
    let evidence = std::slice::from_ref(&receipt.evidence);
    let mut entity = Vec::new();
    let is_8bit = receipt.attestation_is_8bit == Some(true)
        || matches!(receipt.enclosed, Enclosed::Original { is_8bit: true });
    let mut head = layout::entity_start(outer, &receipt.intro, evidence, receipt.extensions, is_8bit);
    if let Enclosed::Parts { table, header } = &receipt.enclosed {
        head.extend(table_part(&mixed, table));
        head.extend(header_part(&mixed, header));
    }
    if let Some(is_8bit) = receipt.attestation_is_8bit {
        head.extend(layout::message_head(
            &mixed,
            ATTESTATION_SECTION,
            ATTESTATION_FILE,
            is_8bit,
        ));
        entity.extend([Run::Octets(std::mem::take(&mut head)), Run::Attestation]);
    }
    if let Enclosed::Original { is_8bit } = &receipt.enclosed {
        let section = layout::ORIGINAL_SECTION;
        head.extend(layout::message_head(&mixed, section, ORIGINAL_FILE, *is_8bit));
        entity.extend([Run::Octets(std::mem::take(&mut head)), Run::Original]);
    }
    head.extend(layout::entity_end(&mixed));
    entity.push(Run::Octets(head));
    ReceiptParts {
        outer_header: outer.octets(MsgType::Message, is_8bit),
        entity,
        boundary: outer.outer_boundary(),
    }
}

/// In base64, as the evidence is: no server on the way may touch its octets.
fn table_part(boundary: &str, table: &[u8]) -> Vec<u8> {
    let mut out = format!(
        "\r\n--{boundary}\r\nContent-Type: application/json; name=\"{PARTS_FILE}\"\r\n\
         Content-Disposition: attachment; filename=\"{PARTS_FILE}\"\r\nContent-Transfer-Encoding: base64\r\n\
         X-REM-Section-Type: {PARTS_SECTION}\r\n\r\n"
    )
    .into_bytes();
    out.extend(compose::base64_lines(table));
    out
}

/// RFC 6522 4: the header of a message alone.
fn header_part(boundary: &str, header: &[u8]) -> Vec<u8> {
    let mut out = format!(
        "\r\n--{boundary}\r\nContent-Type: text/rfc822-headers; name=\"{HEADER_FILE}\"\r\n\
         Content-Disposition: attachment; filename=\"{HEADER_FILE}\"\r\nContent-Transfer-Encoding: base64\r\n\
         X-REM-Section-Type: {HEADER_SECTION}\r\n\r\n"
    )
    .into_bytes();
    out.extend(compose::base64_lines(header));
    out
}

#[cfg(test)]
#[path = "receipt_tests.rs"]
mod tests;
