//! The header fields that mark a registered mail: reading both generations, writing the first.
//!
//! `X-REM-*` is TS 102 640 as seen in live mail; `REM-*` is EN 319 532. Names are compared without case and without
//! hyphens. Nothing here is trusted before the signature of the envelope is checked: outer fields are not signed.

use crate::domain::evidence::{Event, EvidenceKind};
use crate::mime::field::{self, Field};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

/// What an envelope carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum MsgType {
    /// The original, with evidence.
    Dispatch,
    /// Evidence only.
    Message,
}

impl MsgType {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dispatch => "Dispatch",
            Self::Message => "Message",
        }
    }

    fn read(value: &str) -> Option<Self> {
        // EN 319 522 spells URIs that end in these words.
        let word = value.trim().rsplit('/').next().unwrap_or_default();
        if word.eq_ignore_ascii_case("dispatch") {
            Some(Self::Dispatch)
        } else if ["message", "receipt", "serviceInfo"]
            .iter()
            .any(|w| word.eq_ignore_ascii_case(w))
        {
            Some(Self::Message)
        } else {
            None
        }
    }
}

/// The marks of one envelope, as far as they are there.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RemHeaders {
    pub msg_type: Option<MsgType>,
    pub evidence_kind: Option<EvidenceKind>,
    /// Human text or an event URI, as written.
    pub event: Option<String>,
    pub evidence_identifier: Option<String>,
    pub message_identifier: Option<String>,
    pub ua_message_identifier: Option<String>,
    pub extension_code: Option<String>,
    pub digest_method: Option<String>,
    pub digest_value: Option<Vec<u8>>,
    /// `X-TR-REM-iletiTip` as written; unknown values must survive.
    pub ileti_tip: Option<String>,
    /// `X-TR-REM-iletiID` as written.
    pub ileti_id: Option<String>,
}

/// Reads a header block. The first of doubled fields counts; where both generations are present too.
pub fn read(block: &[u8]) -> RemHeaders {
    let mut headers = RemHeaders::default();
    for field in field::fields(block) {
        if let Some(name) = mark(&field) {
            take(&mut headers, &name, field.text());
        }
    }
    headers
}

/// The name of a mark without prefix and hyphens, in lower case ASCII.
fn mark(field: &Field<'_>) -> Option<String> {
    let name = std::str::from_utf8(field.name).ok()?.to_ascii_lowercase();
    let name = name.strip_prefix("x-").unwrap_or(&name).replace('-', "");
    name.strip_prefix("rem")
        .or(name.strip_prefix("trrem").map(|_| name.as_str()))
        .map(str::to_owned)
}

fn take(headers: &mut RemHeaders, name: &str, value: String) {
    let slot = match name {
        "msgtype" | "messagetype" => {
            headers.msg_type = headers.msg_type.or_else(|| MsgType::read(&value));
            return;
        }
        "evidencetype" => {
            headers.evidence_kind = headers
                .evidence_kind
                .or_else(|| EvidenceKind::from_element_name(&value));
            return;
        }
        "digestvalue" => {
            let packed: String = value.split_ascii_whitespace().collect();
            headers.digest_value = headers
                .digest_value
                .take()
                .or_else(|| STANDARD.decode(packed).ok());
            return;
        }
        "event" | "eventidentifier" => &mut headers.event,
        "evidenceidentifier" => &mut headers.evidence_identifier,
        "messageidentifier" => &mut headers.message_identifier,
        "uamessageidentifier" => &mut headers.ua_message_identifier,
        "extensioncode" => &mut headers.extension_code,
        "digestmethod" => &mut headers.digest_method,
        "trremiletitip" => &mut headers.ileti_tip,
        "trremiletiid" => &mut headers.ileti_id,
        _ => return,
    };
    slot.get_or_insert(value);
}

/// The human text of `X-REM-Event`, as live mail spells it where a sample was found.
pub fn event_words(kind: EvidenceKind, event: Event) -> &'static str {
    use EvidenceKind as K;
    match (kind, event) {
        (K::SubmissionAcceptanceRejection, Event::Acceptance) => "Submission acceptance",
        (K::SubmissionAcceptanceRejection, _) => "Submission non acceptance",
        (K::RelayREMMDAcceptanceRejection, Event::Acceptance) => "Relay acceptance",
        (K::RelayREMMDAcceptanceRejection, _) => "Relay non acceptance",
        (K::RelayREMMDFailure, _) => "Relay failure",
        (K::AcceptanceRejectionByRecipient, Event::Acceptance) => "Acceptance by recipient",
        (K::AcceptanceRejectionByRecipient, _) => "Rejection by recipient",
        (K::RelayToNonREMSystem, _) => "Relay to non REM system",
        (K::ReceivedFromNonREMSystem, _) => "Received from non REM system",
        (_, Event::Delivery) => "Delivery",
        (_, Event::DeliveryExpiration) => "Non delivery within a given retention period",
        (_, Event::Retrieval) => "Retrieval",
        (_, Event::RetrievalExpiration) => "Non retrieval within a given retention period",
        (_, Event::Download) => "Download",
        (_, Event::DownloadExpiration) => "Non download within a given retention period",
        (_, _) => "Non delivery",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_generations() {
        let old = read(b"x-rem-msg-type: dispatch\r\nX-REM-Evidence-Type: SubmissionAcceptanceRejection\r\nX-Rem-DigestValue: AAEC\r\n\r\nX-REM-Event: no");
        assert_eq!(old.msg_type, Some(MsgType::Dispatch));
        assert_eq!(
            old.evidence_kind,
            Some(EvidenceKind::SubmissionAcceptanceRejection)
        );
        assert_eq!(old.digest_value.as_deref(), Some(&[0, 1, 2][..]));
        assert_eq!(old.event, None);
        let new = read(b"REM-MessageType: http://uri.etsi.org/19522/v1#/ERDMessageType/receipt\r\nREM-EvidenceIdentifier: e\r\nREM-UAMessageIdentifier: <1@x>\r\nX-TR-REM-iletiTip: eYazisma\r\n");
        assert_eq!(new.msg_type, Some(MsgType::Message));
        assert_eq!(new.evidence_identifier.as_deref(), Some("e"));
        assert_eq!(new.ua_message_identifier.as_deref(), Some("<1@x>"));
        assert_eq!(new.ileti_tip.as_deref(), Some("eYazisma"));
        assert_eq!(read(b"Remark: x\r\nSubject: y\r\n"), RemHeaders::default());
    }
}
