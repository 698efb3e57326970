//! What a summary says, as values. Texts of people and of other providers stand here as they came; they are made
//! harmless where they are drawn (`foreign`).

use crate::clock::UtcTime;
use crate::domain::evidence::{Event, EvidenceKind, ReasonDetail};
use crate::domain::job::Deed;
use crate::domain::signature::PersonSignature;

/// Most octets of all attachments together: what a mail program still sends on. Past it, documents stay beside the PDF.
pub const ATTACHED_MAX_OCTETS: usize = 8 * 1024 * 1024;

/// Everything that is printed, in the order of print.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// When it was put together; also the date of the file.
    pub prepared_at: UtcTime,
    /// Domain of the provider that put it together.
    pub provider: String,
    pub mail: MailFacts,
    /// Evidence documents in order of event.
    pub documents: Vec<Document>,
    /// Sealed copies of the mail, as they left or came.
    pub dispatches: Vec<SealedCopy>,
    /// Who decided on it before it left, or after it came; in order.
    pub approvals: Vec<Approval>,
    pub anchors: Vec<Anchor>,
    /// Files that ride in the PDF: all evidence documents, or none where they are more than [`ATTACHED_MAX_OCTETS`].
    pub attachments: Vec<Attachment>,
}

/// The mail, as its provider recorded it.
#[derive(Debug, Clone, PartialEq)]
pub struct MailFacts {
    pub id: String,
    pub side: Side,
    pub subject: String,
    pub sender: String,
    pub recipients: Vec<String>,
    /// RFC 5322 Message-ID of the original.
    pub message_id: String,
    /// `MessageIdentifierByREMMD`.
    pub rem_message_id: String,
    pub submitted_at: Option<UtcTime>,
    pub original_sha256: [u8; 32],
    pub original_size_bytes: u64,
}

/// From which end of the road the mail is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Sent,
    Received { delivered_at: UtcTime },
}

/// One evidence document.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// Path within the export.
    pub file: String,
    pub sha256: [u8; 32],
    pub kind: EvidenceKind,
    pub event: Event,
    pub event_time: UtcTime,
    pub stamp_time: Option<UtcTime>,
    /// `EvidenceIdentifier`.
    pub identifier: String,
    /// Domain of the provider that issued it, and the name it gives itself.
    pub issuer: String,
    pub issuer_name: String,
    /// Subject of the certificate whose signature holds.
    pub signer: Option<String>,
    /// Whom it is about; none for the mail as a whole.
    pub recipient: Option<String>,
    pub reasons: Vec<ReasonDetail>,
    /// Reason codes nobody knows, as written.
    pub other_reasons: Vec<String>,
    pub schema: Finding,
    pub signature: Finding,
    pub trust: Finding,
    pub timestamp: Finding,
    /// How much its seal carries, as it was judged (EN 319 132-1 6): such as `B-T`.
    pub level: Option<&'static str>,
    pub preserved: Preserved,
    /// The signature of the person who handed the mail in, of which it tells.
    pub person: Option<Person>,
    /// Whether it names the digest of this original; none when it names no SHA-256 at all.
    pub names_original: Option<bool>,
}

impl Document {
    /// All that was looked at holds.
    pub fn holds(&self) -> bool {
        let findings = [&self.schema, &self.signature, &self.trust, &self.timestamp];
        let preserved = !matches!(self.preserved, Preserved::Failed(_));
        findings.iter().all(|f| **f == Finding::Ok) && preserved && self.names_original == Some(true)
    }
}

/// What was found, and why when it was not good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    Ok,
    Failed(String),
    Unknown(String),
}

/// What the evidence record beside a document proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Preserved {
    /// No hash tree covers it yet.
    NotYet,
    /// It existed at `since`; the record's last time-stamp can be checked until then.
    Since {
        since: UtcTime,
        until: UtcTime,
    },
    Failed(String),
}

/// A person who signed the mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    pub signature: PersonSignature,
    /// Masked, of the certificate in the original; none where that names none.
    pub masked_number: Option<String>,
}

/// A sealed copy of the mail, and what was found on its seal (S/MIME).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedCopy {
    pub file: String,
    pub sha256: [u8; 32],
    pub issuer: String,
    pub stamp_time: Option<UtcTime>,
    pub preserved: Preserved,
    /// Subject of the certificate whose signature holds.
    pub signer: Option<String>,
    pub signature: Finding,
    pub trust: Finding,
    pub timestamp: Finding,
}

/// A decision of a person.
#[derive(Debug, Clone, PartialEq)]
pub struct Approval {
    pub at: UtcTime,
    pub actor: String,
    pub in_name_of: Option<String>,
    pub deed: Deed,
    /// To whom the step was handed.
    pub to: Option<String>,
    pub rule: String,
    pub step: Option<u16>,
    pub role: Option<String>,
    pub note: String,
    /// Whether it was taken on exactly this original.
    pub on_original: bool,
}

/// A certificate that trust begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchor {
    pub provider: String,
    pub subject: String,
    pub sha256: [u8; 32],
    pub not_before: UtcTime,
    pub not_after: UtcTime,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// A file name, without folders.
    pub name: String,
    /// Such as `application/xml`.
    pub media_type: &'static str,
    pub octets: Vec<u8>,
}
