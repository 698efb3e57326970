//! The octets common to dispatches and evidence messages: outer header, sections, signature part.
//!
//! ```text
//! multipart/signed
//! |-- multipart/mixed            the signed entity (RFC 1847 2.1: without the line end before the boundary)
//! |   |-- multipart/alternative  Introduction
//! |   |-- application/xml        Evidence, one or more
//! |   |-- application/xml        Extensions
//! |   `-- message/rfc822         Original Message, in a dispatch and in a full receipt
//! `-- application/pkcs7-signature
//! ```

use super::headers::{MsgType, event_words};
use super::notice::Text;
use super::{EXTENSIONS_FILE, SHA256_URI};
use crate::clock::UtcTime;
use crate::cms::DigestAlgorithm;
use crate::domain::evidence::{Event, EvidenceKind};
use crate::domain::mail::MESSAGE_ID_MAX_OCTETS;
use crate::mime::compose;
use crate::mime::mailbox::{Entry, Mailbox, mailboxes};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use uuid::Uuid;

/// `X-REM-Section-Type` of the original.
pub const ORIGINAL_SECTION: &str = "Original Message";

/// The outer header of an envelope.
#[derive(Debug, Clone)]
pub struct Outer<'a> {
    /// The provider's service address.
    pub from: &'a str,
    /// Display text of From.
    pub from_display: String,
    pub reply_to: Option<&'a str>,
    pub to: &'a [Entry],
    pub cc: &'a [Entry],
    pub subject: &'a str,
    pub date: UtcTime,
    /// Our own new Message-ID, with angle brackets.
    pub message_id: &'a str,
    /// Message-ID of the original, with angle brackets.
    pub original_message_id: Option<&'a str>,
    pub rem_message_id: &'a str,
    pub original_sha256: Option<&'a [u8; 32]>,
    /// The first evidence in the envelope, with its identifier.
    pub evidence: Option<(EvidenceKind, Event, String)>,
    /// An id given out once; the boundaries are made of it.
    pub boundary_id: Uuid,
    /// What its signature will need of it, for who reads it while it streams by.
    pub digest: DigestAlgorithm,
}

/// An evidence document, sealed, to be attached.
#[derive(Debug, Clone, Copy)]
pub struct EvidencePart<'a> {
    pub kind: EvidenceKind,
    pub xml: &'a [u8],
}

impl Outer<'_> {
    pub(super) fn outer_boundary(&self) -> String {
        compose::boundary("imza", self.boundary_id)
    }

    pub(super) fn mixed_boundary(&self) -> String {
        compose::boundary("kep", self.boundary_id)
    }

    /// The header block, the empty line, and the first boundary line. `is_8bit`: of anything inside.
    pub(super) fn octets(&self, msg_type: MsgType, is_8bit: bool) -> Vec<u8> {
        let mut lines: Vec<(&str, String)> = vec![
            ("From", compose::mailbox(Some(&self.from_display), self.from)),
            (
                "To",
                address_field(self.to).unwrap_or_else(|| "undisclosed-recipients:;".to_owned()),
            ),
        ];
        if let Some(cc) = address_field(self.cc) {
            lines.push(("Cc", cc));
        }
        if let Some(address) = self.reply_to {
            lines.push(("Reply-To", compose::mailbox(None, address)));
        }
        lines.push(("Subject", compose::unstructured(self.subject)));
        lines.push(("Date", self.date.rfc5322()));
        lines.push(("Message-ID", self.message_id.to_owned()));
        if let Some(id) = self.original_message_id.and_then(clean_message_id) {
            lines.push(("In-Reply-To", id.to_owned()));
            lines.push(("References", id.to_owned()));
        }
        lines.push(("X-REM-Msg-Type", msg_type.as_str().to_owned()));
        if let Some((kind, event, id)) = &self.evidence {
            lines.push(("X-REM-Evidence-Type", kind.element_name().to_owned()));
            lines.push(("X-REM-Event", event_words(*kind, *event).to_owned()));
            lines.push(("X-REM-Evidence-Identifier", compose::unstructured(id)));
        }
        lines.push((
            "X-REM-Message-Identifier",
            compose::unstructured(self.rem_message_id),
        ));
        if let Some(digest) = self.original_sha256 {
            lines.push(("X-REM-DigestMethod", SHA256_URI.to_owned()));
            lines.push(("X-REM-DigestValue", STANDARD.encode(digest)));
        }
        lines.push(("MIME-Version", "1.0".to_owned()));
        if is_8bit {
            lines.push((HOLDS_8BIT.0, HOLDS_8BIT.1.to_owned()));
        }
        let (boundary, micalg) = (self.outer_boundary(), self.digest.micalg());
        lines.push((
            "Content-Type",
            format!(
                "multipart/signed; protocol=\"application/pkcs7-signature\";\r\n micalg=\"{micalg}\"; boundary=\"{boundary}\""
            ),
        ));
        let mut out = String::new();
        for (name, value) in lines {
            out.push_str(&format!("{name}: {value}\r\n"));
        }
        out.push_str(&format!("\r\n--{boundary}\r\n"));
        out.into_bytes()
    }
}

/// RFC 2045 6.4: what holds something in 8bit is in 8bit itself, and says so; 7bit is what is meant by silence.
const HOLDS_8BIT: (&str, &str) = ("Content-Transfer-Encoding", "8bit");

/// The entity from its first octet to the last section before the original, if one follows. `is_8bit`: of anything inside.
pub(super) fn entity_start(
    outer: &Outer<'_>,
    intro: &Text,
    evidence: &[EvidencePart<'_>],
    extensions: &[u8],
    is_8bit: bool,
) -> Vec<u8> {
    let mixed = outer.mixed_boundary();
    let mut out = format!("Content-Type: multipart/mixed; boundary=\"{mixed}\"\r\n").into_bytes();
    if is_8bit {
        out.extend_from_slice(format!("{}: {}\r\n", HOLDS_8BIT.0, HOLDS_8BIT.1).as_bytes());
    }
    out.extend_from_slice(format!("\r\n--{mixed}\r\n").as_bytes());
    out.extend_from_slice(b"X-REM-Section-Type: Introduction\r\n");
    out.extend(compose::alternative(
        &intro.plain,
        &intro.html,
        &compose::boundary("metin", outer.boundary_id),
    ));
    for part in evidence {
        xml_part(
            &mut out,
            &mixed,
            "Evidence",
            &format!("{}.xml", part.kind.element_name()),
            part.xml,
        );
    }
    xml_part(&mut out, &mixed, "Extensions", EXTENSIONS_FILE, extensions);
    out
}

/// XML goes in base64: a server on the way must not touch its octets, or its own signature would break.
fn xml_part(out: &mut Vec<u8>, boundary: &str, section: &str, file: &str, xml: &[u8]) {
    out.extend_from_slice(
        format!(
            "\r\n--{boundary}\r\nContent-Type: application/xml; charset=UTF-8; name=\"{file}\"\r\n\
             Content-Disposition: attachment; filename=\"{file}\"\r\nContent-Transfer-Encoding: base64\r\n\
             X-REM-Section-Type: {section}\r\n\r\n"
        )
        .as_bytes(),
    );
    out.extend(compose::base64_lines(xml));
}

/// The head of a section that is a message, carried as it is: its octets follow, and end before the next boundary.
pub(super) fn message_head(boundary: &str, section: &str, file: &str, is_8bit: bool) -> Vec<u8> {
    let encoding = if is_8bit { "8bit" } else { "7bit" };
    let name = compose::param("name", file);
    let file = compose::param("filename", file);
    format!(
        "\r\n--{boundary}\r\nContent-Type: message/rfc822{name}\r\nContent-Disposition: attachment{file}\r\n\
         Content-Transfer-Encoding: {encoding}\r\nX-REM-Section-Type: {section}\r\n\r\n"
    )
    .into_bytes()
}

/// The line that ends the signed entity. Its first line end belongs to the boundary (RFC 2046 5.1.1): what stands before
/// ends with its own.
pub(super) fn entity_end(boundary: &str) -> Vec<u8> {
    format!("\r\n--{boundary}--\r\n").into_bytes()
}

/// What follows the signed entity: boundary, the detached signature, closing boundary.
pub(super) fn signature_part(boundary: &str, cms_der: &[u8]) -> Vec<u8> {
    let mut out = format!(
        "\r\n--{boundary}\r\nContent-Type: application/pkcs7-signature; name=\"smime.p7s\"; smime-type=signed-data\r\n\
         Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=\"smime.p7s\"\r\n\r\n"
    )
    .into_bytes();
    out.extend(compose::base64_lines(cms_der));
    out.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    out
}

fn address_field(list: &[Entry]) -> Option<String> {
    let lines: Vec<String> = mailboxes(list)
        .filter(|mailbox| is_clean(mailbox))
        .map(|mailbox| compose::mailbox(mailbox.display().as_deref(), &mailbox.address()))
        .collect();
    (!lines.is_empty()).then(|| compose::address_list(&lines))
}

/// Foreign text goes into our own header only when it cannot break out of its place.
fn is_clean(mailbox: &Mailbox) -> bool {
    let address = mailbox.address();
    !mailbox.local.is_empty()
        && !mailbox.domain.is_empty()
        && address.len() <= 320
        && address
            .bytes()
            .all(|b| b.is_ascii_graphic() && !b"<>(),;:\\\"[]".contains(&b))
}

/// A Message-ID that can be written into a header as it is; `None` for what would break one.
pub fn clean_message_id(id: &str) -> Option<&str> {
    let id = id.trim();
    ((1..=MESSAGE_ID_MAX_OCTETS).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic()))
        .then_some(id)
}
