//! What a received message is: a dispatch, an evidence message, or neither and why.
//!
//! Finds the pieces by kind and name, never by position, and gives exact ranges: the caller digests the signed entity
//! from the stored octets, checks the signature, and only then believes anything. The original is not read here.

use super::headers::{self, MsgType, RemHeaders};
use super::layout::ORIGINAL_SECTION;
use super::{EXTENSIONS_FILE, XML_MAX_OCTETS, evidence_read};
use crate::domain::evidence::EvidenceKind;
use crate::mime::decode;
use crate::mime::summary::Summary;
use crate::mime::{Part, PartKind, Span, Structure};

/// Octets of the signature part; a CMS with chain, revocation material and time-stamp is far below.
pub const SIGNATURE_MAX_OCTETS: u64 = 512 * 1024;
/// Octets of one XML part as it stands in the message (base64 makes four of three, and adds line ends).
pub const XML_PART_MAX_OCTETS: u64 = (XML_MAX_OCTETS as u64) * 3 / 2;
/// Evidence documents taken from one envelope.
pub const EVIDENCE_MAX: usize = 16;

/// The pieces every envelope has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The octets the signature covers: the first part, headers included, without the line end before the boundary.
    pub signed_entity: Span,
    pub signature_der: Vec<u8>,
    /// The evidence documents, decoded, in the order they stand.
    pub evidence: Vec<Vec<u8>>,
    /// `REMExtensions.xml`, if there is one.
    pub extensions: Option<Vec<u8>>,
    /// Whether sections of a receipt lie beside, which say what no evidence inside states.
    pub states_more: bool,
    /// Marks of the outer header. Not covered by the signature.
    pub headers: RemHeaders,
}

/// A recognised envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opened {
    /// With the exact octets of the original, its last line end included (EN 319 532-4 C.4.5.1).
    Dispatch { sealed: Sealed, original: Span },
    /// With the original, where a receipt carries it back and it is marked as such.
    Evidence { sealed: Sealed, original: Option<Span> },
}

/// Why a message is not an envelope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAnEnvelope {
    #[error("the message is not multipart/signed")]
    NotSigned,
    #[error("the signed message does not have exactly two parts")]
    NotTwoParts,
    #[error("the second part is not an S/MIME signature")]
    NoSignature,
    #[error("the signed part is not multipart/mixed")]
    NotMixed,
    #[error("the envelope holds no evidence")]
    NoEvidence,
    #[error("the envelope holds more evidence than {EVIDENCE_MAX}")]
    TooMuchEvidence,
    #[error("the {0} is too large")]
    TooLarge(&'static str),
    #[error("the envelope is called a dispatch but holds no original")]
    NoOriginal,
    #[error("the envelope holds more than one original")]
    TwoOriginals,
    #[error("the original is encoded, so its octets are not those that were sent")]
    EncodedOriginal,
    #[error("the envelope's own headers exceed a bound")]
    Bounds,
    #[error("the octets of the {0} could not be read")]
    Unreadable(&'static str),
}

impl Sealed {
    /// Whether the subject and the identifier in the outer header, which no signature covers, are those that the
    /// evidence states. The subject is compared on a dispatch; an evidence message has one of its own. What is not
    /// there, or is stated by no evidence, says nothing false.
    pub fn outer_is_stated(&self, header: &[u8], is_dispatch: bool) -> bool {
        let read = |xml: &Vec<u8>| evidence_read::read(xml).ok().map(|r| r.facts.message);
        let stated: Vec<_> = self.evidence.iter().filter_map(read).collect();
        if stated.is_empty() {
            return true;
        }
        let bare = |id: &str| id.trim().trim_matches(['<', '>']).to_owned();
        let identifier = self.headers.message_identifier.as_deref().map(bare);
        // Folding and encoding may move white space; nothing else.
        let inked = |text: &str| -> String {
            let blank = |c: &char| c.is_whitespace() || c.is_control();
            text.chars().filter(|c| !blank(c)).collect()
        };
        let subject = is_dispatch.then(|| inked(&Summary::of(header).subject));
        identifier.is_none_or(|id| stated.iter().any(|m| bare(&m.rem_message_id) == id))
            && subject.is_none_or(|subject| stated.iter().any(|m| inked(&m.subject) == subject))
    }
}

/// Opens a message that is in memory; with its header block.
pub fn open_octets(octets: &[u8]) -> (&[u8], Result<Opened, NotAnEnvelope>) {
    let structure = Structure::of(octets);
    let header = structure
        .root()
        .and_then(|root| root.header.of(octets))
        .unwrap_or_default();
    let opened = open(&structure, header, |span| span.of(octets).map(<[u8]>::to_vec));
    (header, opened)
}

/// Recognises a message by its map and its top header block. `read` gives the octets of small parts.
pub fn open(
    structure: &Structure,
    header: &[u8],
    mut read: impl FnMut(Span) -> Option<Vec<u8>>,
) -> Result<Opened, NotAnEnvelope> {
    let root = structure.root().ok_or(NotAnEnvelope::NotSigned)?;
    if !root.is_type("multipart/signed") {
        return Err(NotAnEnvelope::NotSigned);
    }
    let parts: Vec<&Part> = structure.children(root).collect();
    let [entity, signature] = parts[..] else {
        return Err(NotAnEnvelope::NotTwoParts);
    };
    if !is_signature(signature) {
        return Err(NotAnEnvelope::NoSignature);
    }
    if entity.kind != PartKind::Multipart {
        return Err(NotAnEnvelope::NotMixed);
    }
    let sections: Vec<&Part> = structure.children(entity).collect();
    if [root, entity, signature]
        .iter()
        .chain(&sections)
        .any(|part| part.cut)
    {
        return Err(NotAnEnvelope::Bounds);
    }
    let signature_der = load(signature, SIGNATURE_MAX_OCTETS, "signature", &mut read)?;
    let headers = headers::read(header);
    let (mut evidence, mut extensions) = (Vec::new(), None);
    for part in sections.iter().filter(|part| is_xml(part)) {
        if is_extensions(part) {
            extensions = Some(load(part, XML_PART_MAX_OCTETS, "extensions section", &mut read)?);
            continue;
        }
        if evidence.len() == EVIDENCE_MAX {
            return Err(NotAnEnvelope::TooMuchEvidence);
        }
        evidence.push(load(part, XML_PART_MAX_OCTETS, "evidence", &mut read)?);
    }
    if evidence.is_empty() {
        return Err(NotAnEnvelope::NoEvidence);
    }
    let msg_type = headers.msg_type;
    let signed_entity = Span {
        start: entity.header.start,
        end: entity.body.end,
    };
    let mut named = sections.iter().filter_map(|part| part.section_type.as_deref());
    let sealed = Sealed {
        states_more: named.any(super::receipt::is_own_section),
        signed_entity,
        signature_der,
        evidence,
        extensions,
        headers,
    };
    // A receipt may carry the original back, among other messages; it stays a receipt. No signature covers the header that
    // calls it so: what travels with the evidence of its own submission is a dispatch whatever that says.
    if msg_type == Some(MsgType::Message) && !of_submission(&sealed.evidence) {
        let marked: Vec<&Part> = sections.iter().copied().filter(|p| is_original(p)).collect();
        let original = original(&marked)?;
        return Ok(Opened::Evidence { sealed, original });
    }
    match (msg_type, original(&sections)?) {
        (Some(MsgType::Dispatch), None) => Err(NotAnEnvelope::NoOriginal),
        (_, Some(original)) => Ok(Opened::Dispatch { sealed, original }),
        (_, None) => Ok(Opened::Evidence {
            sealed,
            original: None,
        }),
    }
}

/// Whether one of the documents is about the submission of a mail, which is what a dispatch carries.
fn of_submission(evidence: &[Vec<u8>]) -> bool {
    let read = evidence.iter().filter_map(|xml| evidence_read::read(xml).ok());
    let mut kinds = read.map(|document| document.facts.kind);
    kinds.any(|kind| kind == EvidenceKind::SubmissionAcceptanceRejection)
}

/// Whether the part says that it is the original: `Original Message`, or `rem_message/original` of the later generation.
fn is_original(part: &Part) -> bool {
    let section = part.section_type.as_deref().unwrap_or_default().trim();
    section.eq_ignore_ascii_case(ORIGINAL_SECTION) || ends_with_ignoring_case(section, "/original")
}

fn original(sections: &[&Part]) -> Result<Option<Span>, NotAnEnvelope> {
    let mut found = sections
        .iter()
        .filter(|part| part.is_type("message/rfc822") || part.is_type("message/global"));
    let Some(part) = found.next() else { return Ok(None) };
    if found.next().is_some() {
        return Err(NotAnEnvelope::TwoOriginals);
    }
    if part.kind != PartKind::Message {
        return Err(NotAnEnvelope::EncodedOriginal);
    }
    Ok(Some(part.body))
}

fn load(
    part: &Part,
    max_octets: u64,
    what: &'static str,
    read: &mut impl FnMut(Span) -> Option<Vec<u8>>,
) -> Result<Vec<u8>, NotAnEnvelope> {
    if part.body.octets() > max_octets {
        return Err(NotAnEnvelope::TooLarge(what));
    }
    let octets = read(part.body).ok_or(NotAnEnvelope::Unreadable(what))?;
    Ok(decode::transfer(part.encoding.as_deref(), &octets))
}

/// Official clients write either spelling.
fn is_signature(part: &Part) -> bool {
    part.is_type("application/pkcs7-signature") || part.is_type("application/x-pkcs7-signature")
}

fn is_xml(part: &Part) -> bool {
    let by_type = part.is_type("application/xml") || part.is_type("text/xml");
    by_type
        || part.kind == PartKind::Leaf
            && ends_with_ignoring_case(&part.file_name().unwrap_or_default(), ".xml")
}

fn is_extensions(part: &Part) -> bool {
    if part
        .file_name()
        .is_some_and(|name| name.eq_ignore_ascii_case(EXTENSIONS_FILE))
    {
        return true;
    }
    // `Extensions`, or `rem_message/extensions` of the later generation.
    let section = part.section_type.as_deref().unwrap_or_default();
    ["Extensions", "Extension"]
        .iter()
        .any(|word| ends_with_ignoring_case(section.trim(), word))
}

fn ends_with_ignoring_case(text: &str, end: &str) -> bool {
    let (text, end) = (text.as_bytes(), end.as_bytes());
    text.len() >= end.len() && text[text.len() - end.len()..].eq_ignore_ascii_case(end)
}
