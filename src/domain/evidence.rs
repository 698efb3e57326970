//! What can happen to a registered mail, in words: the one internal event model.
//!
//! Projected to TS 102 640-2 (root elements, event and reason URIs), to EN 319 522 (event names) and to the numbers of
//! the Turkish client interface. The literals have no `//` after `http:` because the published ones have none; readers
//! accept the other spellings. This file knows no XML and issues nothing.

mod facts;

pub use facts::{
    AuthMethod, EvidenceFacts, Extension, FactsError, Issuer, MessageFacts, Party, ReasonDetail,
    SenderAuthentication,
};

use serde::{Deserialize, Serialize};

/// Prefix of TS 102 640-2 annex B event codes, exactly as published.
pub const EVENT_PREFIX: &str = "http:uri.etsi.org/02640/Event#";
/// Prefix of TS 102 640-2 reason codes, exactly as published.
pub const REASON_PREFIX: &str = "http:uri.etsi.org/REM/EventReason#";
/// Prefix of authentication methods.
pub const AUTH_METHOD_PREFIX: &str = "http:uri.etsi.org/REM/AuthMethod#";
/// Prefix of EN 319 522 event names.
pub const ERDS_EVENT_PREFIX: &str = "http://uri.etsi.org/19522/Event/";

/// The nine evidence documents of TS 102 640-2, in the order of the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum EvidenceKind {
    SubmissionAcceptanceRejection,
    RelayREMMDAcceptanceRejection,
    RelayREMMDFailure,
    DeliveryNonDeliveryToRecipient,
    DownloadNonDownloadByRecipient,
    RetrievalNonRetrievalByRecipient,
    AcceptanceRejectionByRecipient,
    RelayToNonREMSystem,
    ReceivedFromNonREMSystem,
}

use EvidenceKind as K;

impl EvidenceKind {
    pub const ALL: [Self; 9] = [
        K::SubmissionAcceptanceRejection,
        K::RelayREMMDAcceptanceRejection,
        K::RelayREMMDFailure,
        K::DeliveryNonDeliveryToRecipient,
        K::DownloadNonDownloadByRecipient,
        K::RetrievalNonRetrievalByRecipient,
        K::AcceptanceRejectionByRecipient,
        K::RelayToNonREMSystem,
        K::ReceivedFromNonREMSystem,
    ];

    /// The name of the root element, which is also the value of `X-REM-Evidence-Type` and the stem of the file name.
    pub fn element_name(self) -> &'static str {
        match self {
            K::SubmissionAcceptanceRejection => "SubmissionAcceptanceRejection",
            K::RelayREMMDAcceptanceRejection => "RelayREMMDAcceptanceRejection",
            K::RelayREMMDFailure => "RelayREMMDFailure",
            K::DeliveryNonDeliveryToRecipient => "DeliveryNonDeliveryToRecipient",
            K::DownloadNonDownloadByRecipient => "DownloadNonDownloadByRecipient",
            K::RetrievalNonRetrievalByRecipient => "RetrievalNonRetrievalByRecipient",
            K::AcceptanceRejectionByRecipient => "AcceptanceRejectionByRecipient",
            K::RelayToNonREMSystem => "RelayToNonREMSystem",
            K::ReceivedFromNonREMSystem => "ReceivedFromNonREMSystem",
        }
    }

    /// Reads a root element name; case is ignored because header values in the wild vary.
    pub fn from_element_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.element_name().eq_ignore_ascii_case(name.trim()))
    }

    /// Whether each evidence of this kind speaks of one recipient (`EvidenceRefersToRecipient`).
    pub fn is_per_recipient(self) -> bool {
        !matches!(
            self,
            K::SubmissionAcceptanceRejection | K::ReceivedFromNonREMSystem
        )
    }
}

/// What an evidence attests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Event {
    Acceptance,
    Rejection,
    Delivery,
    NonDelivery,
    DeliveryExpiration,
    Download,
    DownloadExpiration,
    Retrieval,
    RetrievalExpiration,
}

use Event as E;

/// The legal pairs, with the EN 319 522 name and the type number of the PTT client interface where one is known.
/// Pairs of the download kind and of the two gateway kinds were not found in a source; they follow by analogy.
const LEGAL: &[(EvidenceKind, Event, Option<&str>, Option<u16>)] = &[
    (
        K::SubmissionAcceptanceRejection,
        E::Acceptance,
        Some("SubmissionAcceptance"),
        Some(10),
    ),
    (
        K::SubmissionAcceptanceRejection,
        E::Rejection,
        Some("SubmissionRejection"),
        Some(11),
    ),
    (
        K::RelayREMMDAcceptanceRejection,
        E::Acceptance,
        Some("RelayAcceptance"),
        Some(20),
    ),
    (
        K::RelayREMMDAcceptanceRejection,
        E::Rejection,
        Some("RelayRejection"),
        Some(21),
    ),
    (
        K::RelayREMMDFailure,
        E::DeliveryExpiration,
        Some("RelayFailure"),
        Some(31),
    ),
    (
        K::DeliveryNonDeliveryToRecipient,
        E::Delivery,
        Some("ContentConsignment"),
        Some(40),
    ),
    (
        K::DeliveryNonDeliveryToRecipient,
        E::NonDelivery,
        Some("ContentConsignmentFailure"),
        Some(41),
    ),
    (
        K::DeliveryNonDeliveryToRecipient,
        E::DeliveryExpiration,
        Some("ContentConsignmentFailure"),
        Some(41),
    ),
    (
        K::DownloadNonDownloadByRecipient,
        E::Download,
        Some("ContentHandover"),
        None,
    ),
    (
        K::DownloadNonDownloadByRecipient,
        E::DownloadExpiration,
        Some("ContentHandoverFailure"),
        None,
    ),
    (
        K::RetrievalNonRetrievalByRecipient,
        E::Retrieval,
        Some("ContentHandover"),
        Some(60),
    ),
    (
        K::RetrievalNonRetrievalByRecipient,
        E::RetrievalExpiration,
        Some("ContentHandoverFailure"),
        Some(61),
    ),
    (
        K::AcceptanceRejectionByRecipient,
        E::Acceptance,
        Some("ConsignmentAcceptance"),
        None,
    ),
    (
        K::AcceptanceRejectionByRecipient,
        E::Rejection,
        Some("ConsignmentRejection"),
        None,
    ),
    (
        K::RelayToNonREMSystem,
        E::Acceptance,
        Some("RelayToNonERDS"),
        None,
    ),
    (
        K::RelayToNonREMSystem,
        E::Rejection,
        Some("RelayToNonERDSFailure"),
        None,
    ),
    (
        K::ReceivedFromNonREMSystem,
        E::Acceptance,
        Some("ReceivedFromNonERDS"),
        None,
    ),
    (K::ReceivedFromNonREMSystem, E::Rejection, None, None),
];

/// Every legal (kind, event) pair, in the order of the table.
pub fn legal_pairs() -> impl Iterator<Item = (EvidenceKind, Event)> {
    LEGAL.iter().map(|row| (row.0, row.1))
}

/// Whether a document of this kind may attest this event.
pub fn is_legal(kind: EvidenceKind, event: Event) -> bool {
    row(kind, event).is_some()
}

/// The EN 319 522 event URI of a pair, if the pair has one.
pub fn erds_event_uri(kind: EvidenceKind, event: Event) -> Option<String> {
    row(kind, event)?
        .2
        .map(|name| format!("{ERDS_EVENT_PREFIX}{name}"))
}

/// The evidence type number of the PTT client interface, if the pair has one.
pub fn ptt_type_id(kind: EvidenceKind, event: Event) -> Option<u16> {
    row(kind, event)?.3
}

fn row(
    kind: EvidenceKind,
    event: Event,
) -> Option<&'static (EvidenceKind, Event, Option<&'static str>, Option<u16>)> {
    LEGAL.iter().find(|row| row.0 == kind && row.1 == event)
}

impl Event {
    pub const ALL: [Self; 9] = [
        E::Acceptance,
        E::Rejection,
        E::Delivery,
        E::NonDelivery,
        E::DeliveryExpiration,
        E::Download,
        E::DownloadExpiration,
        E::Retrieval,
        E::RetrievalExpiration,
    ];

    pub fn fragment(self) -> &'static str {
        match self {
            E::Acceptance => "Acceptance",
            E::Rejection => "Rejection",
            E::Delivery => "Delivery",
            E::NonDelivery => "NonDelivery",
            E::DeliveryExpiration => "DeliveryExpiration",
            E::Download => "Download",
            E::DownloadExpiration => "DownloadExpiration",
            E::Retrieval => "Retrieval",
            E::RetrievalExpiration => "RetrievalExpiration",
        }
    }

    /// The literal of TS 102 640-2 annex B.
    pub fn uri(self) -> String {
        format!("{EVENT_PREFIX}{}", self.fragment())
    }

    /// Reads an event code: the published literal, the `http://` spelling, and `/REM/Event#`.
    pub fn from_uri(uri: &str) -> Option<Self> {
        let fragment = etsi_fragment(uri, &["02640/Event#", "REM/Event#"])?;
        Self::ALL.into_iter().find(|event| event.fragment() == fragment)
    }

    /// Whether this is the good outcome of its kind.
    pub fn is_positive(self) -> bool {
        matches!(self, E::Acceptance | E::Delivery | E::Download | E::Retrieval)
    }
}

macro_rules! reasons {
    ($($code:literal $name:ident $fragment:literal;)*) => {
        /// Why an event happened (TS 102 640-2; the number is the discriminant).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Reason { $($name = $code,)* }

        impl Reason {
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The fragment as published, misspellings included.
            pub fn fragment(self) -> &'static str {
                match self { $(Self::$name => $fragment,)* }
            }
        }
    };
}

reasons! {
    1 InvalidMessageFormat "InvalidMessageFormat";
    2 MalwareFound "MalwareFound";
    3 InvalidUserSignature "InvalidUserSignature";
    4 UserCertExpiredOrRevoked "UserCertExpiredOrRevoked";
    5 PolicyViolation "PolicyViolation";
    6 PeerMalfunction "R_REMMD_Malfunction";
    7 PeerNotIdentified "R_REMMD_NotIdentified";
    8 PeerUnreachable "R_REMMD_Unreachable";
    9 NoDeliveryInfoFromPeer "S_REMMD_ReceivedNoDeliveryInfoFromR_REMMD";
    10 UnknownRecipient "UnknownRecipient";
    11 MailboxFull "MailboxFull";
    12 TechnicalMalfunction "TechnicalMalfunction";
    13 AttachmentFormatNotAccepted "AttachementFormatNotAccepted";
    14 RecipientRejection "RecipientRejection";
    15 RetentionPeriodExpired "RetentionPeriodExpired";
    16 RegularEmailUnreachable "RegularEmailUnreachable";
    17 RegularEmailNonOperational "RegularEmailNonOperational";
    18 RegularEmailRejection "RegularEmailRejection";
    19 PrintingSystemUnreachable "PrintingSystemUnreachable";
    20 PrintingSystemNonOperational "PrintingSystemNonOperational";
    21 PrintingBufferFull "PrintingBufferFull";
    22 Other "Other";
}

impl Reason {
    /// 1 to 22.
    pub fn code(self) -> u8 {
        self as u8
    }

    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| reason.code() == code)
    }

    pub fn uri(self) -> String {
        format!("{REASON_PREFIX}{}", self.fragment())
    }

    /// Reads a reason URI, a bare number, or a spelling met in the wild.
    pub fn from_uri(uri: &str) -> Option<Self> {
        if let Ok(code) = uri.trim().parse() {
            return Self::from_code(code);
        }
        match etsi_fragment(uri, &["REM/EventReason#", "02640/EventReason#"])? {
            "R_REMMD_NotIdenified" => Some(Self::PeerNotIdentified),
            "AttachmentFormatNotAccepted" => Some(Self::AttachmentFormatNotAccepted),
            fragment => Self::ALL
                .iter()
                .copied()
                .find(|reason| reason.fragment() == fragment),
        }
    }
}

/// The part behind one of `paths`, with either spelling of the scheme.
fn etsi_fragment<'a>(uri: &'a str, paths: &[&str]) -> Option<&'a str> {
    let uri = uri.trim();
    let rest = [
        "http://uri.etsi.org/",
        "http:uri.etsi.org/",
        "https://uri.etsi.org/",
    ]
    .iter()
    .find_map(|head| uri.strip_prefix(head))?;
    paths.iter().find_map(|path| rest.strip_prefix(path))
}

#[cfg(test)]
mod tests;
