//! Reads a TS 102 640-2 document, ours or a peer's, into [`EvidenceFacts`].
//!
//! Tolerant of the spellings met in the wild (kinds of URI, `tsl:ElectronicAddress`, ids that are no UUID); it does not
//! judge: `rem::schema` says whether the document is valid, and the verifier whether its signature holds.

use super::{KEPD_NS, REM_NS, SHA256_URI, TSL_NS, attribute};
use crate::clock::UtcTime;
use crate::domain::evidence::{
    AuthMethod, Event, EvidenceFacts, EvidenceKind, Extension, Issuer, MessageFacts, Party, Reason,
    ReasonDetail, SenderAuthentication,
};
use crate::id::EvidenceId;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use roxmltree::{Document, Node};
use uuid::Uuid;

/// What a document states, and what it states in words of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    pub facts: EvidenceFacts,
    /// `EvidenceIdentifier` as written; `facts.id` is made of it when it is not a UUID.
    pub identifier: String,
    /// Value of the root's `Id`.
    pub root_id: Option<String>,
    /// Whether the root's last child is a `ds:Signature`.
    pub signed: bool,
    /// Reason codes that are not in our table, as written.
    pub unknown_reasons: Vec<String>,
}

/// Reads a document. The error says in one line what is missing.
pub fn read(xml: &[u8]) -> Result<Read, String> {
    read_document(&super::parse(xml)?)
}

pub(super) fn read_document(doc: &Document<'_>) -> Result<Read, String> {
    let root = doc.root_element();
    if root.tag_name().namespace() != Some(REM_NS) {
        return Err("the root element is not of TS 102 640".to_owned());
    }
    let kind = EvidenceKind::ALL
        .into_iter()
        .find(|kind| kind.element_name() == root.tag_name().name());
    let kind = kind.ok_or("the root element is not an evidence")?;
    let event = text(root, "EventCode").ok_or("the evidence names no event")?;
    let event = Event::from_uri(&event).ok_or_else(|| format!("unknown event {event}"))?;
    let identifier = text(root, "EvidenceIdentifier").ok_or("the evidence has no identifier")?;
    let mut unknown_reasons = Vec::new();
    let facts = EvidenceFacts {
        id: identity(&identifier),
        kind,
        event,
        reasons: reasons(root, &mut unknown_reasons),
        policy_ids: child(root, "EvidenceIssuerPolicyID")
            .map(|n| texts(n, "PolicyID"))
            .unwrap_or_default(),
        issuer: child(root, "EvidenceIssuerDetails")
            .map(issuer)
            .unwrap_or_default(),
        event_time: time(root, "EventTime").ok_or("the evidence has no event time")?,
        submission_time: time(root, "SubmissionTime"),
        sender: child(root, "SenderDetails").map(party).unwrap_or_default(),
        recipients: child(root, "RecipientsDetails").map(parties).unwrap_or_default(),
        refers_to_recipient: text(root, "EvidenceRefersToRecipient").and_then(|t| t.trim().parse().ok()),
        message: child(root, "SenderMessageDetails")
            .map(message)
            .unwrap_or_default(),
        sender_authentication: child(root, "SenderAuthenticationDetails").and_then(authentication),
        transaction_log: child(root, "TransactionLogInformation")
            .map(|n| texts(n, "TransactionLog"))
            .unwrap_or_default(),
        extensions: child(root, "Extensions").map(extensions).unwrap_or_default(),
        reply_to: text(root, "ReplyTo").or_else(|| text(root, "ReplyToAddress")),
    };
    let last = root.children().rfind(Node::is_element);
    Ok(Read {
        facts,
        identifier,
        root_id: attribute(root, "Id").map(str::to_owned),
        signed: last.is_some_and(|n| n.has_tag_name((super::DS_NS, "Signature"))),
        unknown_reasons,
    })
}

/// A UUID is itself; any other text of a peer gives a stable id made of its digest.
fn identity(identifier: &str) -> EvidenceId {
    let text = identifier.trim();
    EvidenceId(Uuid::parse_str(text).unwrap_or_else(|_| {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
        let mut octets = [0u8; 16];
        octets.copy_from_slice(&digest.as_ref()[..16]);
        // RFC 9562 5.8: version 8, a layout of our own.
        uuid::Builder::from_custom_bytes(octets).into_uuid()
    }))
}

fn child<'a>(node: Node<'a, 'a>, name: &str) -> Option<Node<'a, 'a>> {
    node.children().find(|n| n.has_tag_name((REM_NS, name)))
}

/// All text below an element, as xs:string has it.
fn content(node: Node<'_, '_>) -> String {
    node.descendants()
        .filter(Node::is_text)
        .filter_map(|n| n.text())
        .collect()
}

fn text<'a>(node: Node<'a, 'a>, name: &str) -> Option<String> {
    child(node, name).map(content)
}

fn texts<'a>(node: Node<'a, 'a>, name: &str) -> Vec<String> {
    node.children()
        .filter(|n| n.has_tag_name((REM_NS, name)))
        .map(content)
        .collect()
}

fn time<'a>(node: Node<'a, 'a>, name: &str) -> Option<UtcTime> {
    UtcTime::parse_rfc3339(text(node, name)?.trim())
}

fn reasons<'a>(root: Node<'a, 'a>, unknown: &mut Vec<String>) -> Vec<ReasonDetail> {
    let list = child(root, "EventReasons").into_iter().flat_map(|n| n.children());
    let mut out = Vec::new();
    for node in list.filter(|n| n.has_tag_name((REM_NS, "EventReason"))) {
        let code = text(node, "Code").unwrap_or_default();
        match Reason::from_uri(&code) {
            Some(reason) => out.push(ReasonDetail {
                reason,
                details: text(node, "Details"),
            }),
            None => unknown.push(code),
        }
    }
    out
}

fn party<'a>(node: Node<'a, 'a>) -> Party {
    let attributed = child(node, "AttributedElectronicAddress");
    let listed = node
        .children()
        .find(|n| n.has_tag_name((TSL_NS, "ElectronicAddress")));
    let listed = listed.and_then(|n| n.children().find(|n| n.has_tag_name((TSL_NS, "URI"))));
    let address = attributed.or(listed).map(content).unwrap_or_default();
    let address = address.trim();
    let bare = address
        .split_at_checked(7)
        .filter(|(head, _)| head.eq_ignore_ascii_case("mailto:"))
        .map(|(_, tail)| tail);
    Party {
        address: super::evidence::unescape_address(bare.unwrap_or(address)),
        display: attributed
            .and_then(|n| attribute(n, "DisplayName"))
            .map(str::to_owned),
        organisation: name_and_postal(node)
            .and_then(|n| child(n, "EntityName"))
            .and_then(|n| text(n, "Name")),
    }
}

fn parties<'a>(node: Node<'a, 'a>) -> Vec<Party> {
    node.children()
        .filter(|n| n.has_tag_name((REM_NS, "EntityDetails")))
        .map(party)
        .collect()
}

fn name_and_postal<'a>(node: Node<'a, 'a>) -> Option<Node<'a, 'a>> {
    child(node, "NamesPostalAddresses").and_then(|n| child(n, "NamePostalAddress"))
}

fn issuer<'a>(node: Node<'a, 'a>) -> Issuer {
    let entity = party(node);
    let postal = name_and_postal(node).and_then(|n| child(n, "PostalAddress"));
    let part = |name| postal.and_then(|n| text(n, name)).unwrap_or_default();
    let certificate = child(node, "CertificateDetails").and_then(|n| text(n, "X509Certificate"));
    Issuer {
        name: entity.organisation.unwrap_or_default(),
        street: part("StreetAddress"),
        locality: part("Locality"),
        postal_code: part("PostalCode"),
        country: part("CountryName"),
        electronic_address: entity.address,
        certificate_der: certificate.and_then(|text| base64_of(&text)),
    }
}

fn base64_of(text: &str) -> Option<Vec<u8>> {
    let packed: String = text.split_ascii_whitespace().collect();
    STANDARD.decode(packed).ok()
}

fn message<'a>(node: Node<'a, 'a>) -> MessageFacts {
    let ds = |name| {
        node.children()
            .find(move |n: &Node<'_, '_>| n.has_tag_name((super::DS_NS, name)))
    };
    let method = ds("DigestMethod")
        .and_then(|n| attribute(n, "Algorithm"))
        .unwrap_or_default();
    // Bare names occur in the wild; the length of the value settles it.
    let sha256 = [SHA256_URI, "SHA-256", "SHA256"]
        .iter()
        .any(|name| method.eq_ignore_ascii_case(name));
    let digest = ds("DigestValue").map(content).and_then(|text| base64_of(&text));
    MessageFacts {
        subject: text(node, "MessageSubject").unwrap_or_default(),
        ua_message_id: text(node, "UAMessageIdentifier"),
        rem_message_id: text(node, "MessageIdentifierByREMMD").unwrap_or_default(),
        original_sha256: digest
            .filter(|_| sha256)
            .and_then(|octets| octets.try_into().ok()),
    }
}

fn authentication<'a>(node: Node<'a, 'a>) -> Option<SenderAuthentication> {
    let method = AuthMethod::from_uri(&text(node, "AuthenticationMethod")?)?;
    Some(SenderAuthentication {
        method,
        time: time(node, "AuthenticationTime")?,
        signature: child(node, "AdditionalDetails").and_then(super::personal::read),
    })
}

/// Extensions of our own namespace; those of others are left in the document.
fn extensions<'a>(node: Node<'a, 'a>) -> Vec<Extension> {
    let own = node
        .children()
        .filter(|n| n.has_tag_name((REM_NS, "Extension")))
        .flat_map(|n| n.children());
    own.filter_map(|n| {
        if n.has_tag_name((KEPD_NS, "DeemedRead")) {
            let at = UtcTime::parse_rfc3339(attribute(n, "at")?)?;
            Some(Extension::DeemedRead {
                at,
                after_s: attribute(n, "afterSeconds")?.parse().ok()?,
            })
        } else if n.has_tag_name((KEPD_NS, "Note")) {
            Some(Extension::Note {
                name: attribute(n, "name")?.to_owned(),
                text: content(n),
            })
        } else {
            None
        }
    })
    .collect()
}
