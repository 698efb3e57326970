//! What one evidence document states, as values; how it is written is not known here.

use super::{AUTH_METHOD_PREFIX, Event, EvidenceKind, Reason, etsi_fragment, is_legal};
use crate::clock::UtcTime;
use crate::domain::signature::PersonSignature;
use crate::id::EvidenceId;
use serde::{Deserialize, Serialize};

/// How strongly the sender was authenticated when he submitted (REM test suite names).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AuthMethod {
    Basic,
    Enhanced,
    Strong,
    AdES,
    AdESPlus,
    QES,
}

impl AuthMethod {
    pub const ALL: [Self; 6] = [
        Self::Basic,
        Self::Enhanced,
        Self::Strong,
        Self::AdES,
        Self::AdESPlus,
        Self::QES,
    ];

    pub fn fragment(self) -> &'static str {
        match self {
            Self::Basic => "Basic",
            Self::Enhanced => "Enhanced",
            Self::Strong => "Strong",
            Self::AdES => "AdES",
            Self::AdESPlus => "AdES-Plus",
            Self::QES => "QES",
        }
    }

    pub fn uri(self) -> String {
        format!("{AUTH_METHOD_PREFIX}{}", self.fragment())
    }

    pub fn from_uri(uri: &str) -> Option<Self> {
        let fragment = etsi_fragment(uri, &["REM/AuthMethod#", "02640/AuthMethod#"])?;
        Self::ALL.into_iter().find(|method| method.fragment() == fragment)
    }
}

/// A reason with the free text that goes with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReasonDetail {
    pub reason: Reason,
    pub details: Option<String>,
}

/// The provider that issues an evidence. Postal parts are emitted only when all four compulsory ones are present.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Issuer {
    pub name: String,
    pub street: String,
    pub locality: String,
    pub postal_code: String,
    /// Two-letter country code or name.
    pub country: String,
    /// The provider's service address.
    pub electronic_address: String,
    /// DER of the sealing certificate.
    pub certificate_der: Option<Vec<u8>>,
}

/// A sender or recipient as an evidence names him.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Party {
    /// A bare mail address; a text, because foreign evidence may name addresses that are not ours to judge.
    pub address: String,
    pub display: Option<String>,
    pub organisation: Option<String>,
}

/// The mail an evidence speaks of.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct MessageFacts {
    pub subject: String,
    /// Message-ID set by the user's client, angle brackets included.
    pub ua_message_id: Option<String>,
    /// Id given by the provider.
    pub rem_message_id: String,
    /// Digest over the exact octets of the original, its last CRLF included. `None` only in foreign evidence.
    pub original_sha256: Option<[u8; 32]>,
}

/// The moment and the way of the sender's authentication.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SenderAuthentication {
    pub method: AuthMethod,
    pub time: UtcTime,
    /// What he signed the mail with, where the method is a signature.
    pub signature: Option<PersonSignature>,
}

/// A national addition to an evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Extension {
    /// Not read within the period; the law counts the mail as read at `at`.
    DeemedRead { at: UtcTime, after_s: u64 },
    /// A named text.
    Note { name: String, text: String },
}

/// Everything one evidence document states.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvidenceFacts {
    pub id: EvidenceId,
    pub kind: EvidenceKind,
    pub event: Event,
    pub reasons: Vec<ReasonDetail>,
    /// Policy URIs, for example `urn:oid:...`.
    pub policy_ids: Vec<String>,
    pub issuer: Issuer,
    pub event_time: UtcTime,
    pub submission_time: Option<UtcTime>,
    pub sender: Party,
    pub recipients: Vec<Party>,
    /// Which recipient is meant, counted from 1.
    pub refers_to_recipient: Option<u32>,
    pub message: MessageFacts,
    pub sender_authentication: Option<SenderAuthentication>,
    pub transaction_log: Vec<String>,
    pub extensions: Vec<Extension>,
    pub reply_to: Option<String>,
}

/// Why facts cannot become an evidence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FactsError {
    #[error("{} does not attest {}", .0.element_name(), .1.fragment())]
    IllegalPair(EvidenceKind, Event),
    #[error("the evidence names no recipient")]
    NoRecipient,
    #[error("the evidence refers to recipient {0}, which it does not name")]
    NoSuchRecipient(u32),
    #[error("an address, a name or an identifier is empty")]
    Empty,
}

impl EvidenceFacts {
    /// Checks what the types do not: the pair, the recipient's number, and non-empty addresses.
    pub fn check(&self) -> Result<(), FactsError> {
        if !is_legal(self.kind, self.event) {
            return Err(FactsError::IllegalPair(self.kind, self.event));
        }
        if self.recipients.is_empty() {
            return Err(FactsError::NoRecipient);
        }
        if let Some(n) = self.refers_to_recipient
            && (n == 0 || n as usize > self.recipients.len())
        {
            return Err(FactsError::NoSuchRecipient(n));
        }
        let parties = std::iter::once(&self.sender).chain(&self.recipients);
        if self.issuer.name.is_empty()
            || self.issuer.electronic_address.is_empty()
            || self.message.rem_message_id.is_empty()
            || parties.into_iter().any(|party| party.address.is_empty())
        {
            return Err(FactsError::Empty);
        }
        Ok(())
    }

    /// The recipient this evidence is about, if it is about one.
    pub fn recipient(&self) -> Option<&Party> {
        let index = self.refers_to_recipient?.checked_sub(1)?;
        self.recipients.get(index as usize)
    }
}
