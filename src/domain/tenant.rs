//! The account holder: its institution record, kind and life.

use crate::address::KepAddress;
use crate::clock::UtcTime;
use crate::domain::credit::CreditTerms;
use crate::domain::number::{is_detsis, is_mersis, is_tax_number};
use crate::domain::receipt::ReceiptForm;
use crate::domain::signature::SignatureDemand;
use crate::id::TenantId;
use serde::{Deserialize, Serialize};

/// Account kinds (`docs/features.md` S20).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TenantKind {
    /// Natural person (gerçek kişi).
    Gercek,
    /// Legal person (tüzel kişi).
    Tuzel,
    /// Public body (kamu).
    Kamu,
}

/// The life of an account. A closed address is never given to somebody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TenantLife {
    Active,
    /// Stopped by the provider; nothing is sent or received.
    Suspended,
    /// Closing was asked for: readable for three months, no sending.
    Closing {
        since: UtcTime,
    },
    Closed,
}

impl TenantLife {
    pub fn may_send(self) -> bool {
        self == TenantLife::Active
    }

    pub fn may_receive(self) -> bool {
        self == TenantLife::Active
    }

    /// Accepting and refusing what has come in: as long as it can be read, unless the account is stopped.
    pub fn may_declare(self) -> bool {
        matches!(self, TenantLife::Active | TenantLife::Closing { .. })
    }

    pub fn may_read(self) -> bool {
        self != TenantLife::Closed
    }
}

/// In which language the mailboxes of a tenant are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    #[default]
    Turkish,
    English,
}

/// What the account holder has to keep on record (`docs/features.md` S21). An empty text: not told.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Institution {
    pub tax_office: String,
    /// VKN, or the TCKN of a natural person.
    pub tax_number: String,
    /// Number in the trade register.
    pub mersis: String,
    /// Number of a public body.
    pub detsis: String,
    /// Field of activity.
    pub activity: String,
    pub postal_address: String,
}

/// Longest text of the record, in characters.
const TEXT_MAX_CHARS: usize = 400;

impl Institution {
    /// What is wrong with the record, if anything.
    pub fn fault(&self) -> Option<&'static str> {
        let told = |text: &String, is: fn(&str) -> bool| text.is_empty() || is(text);
        let texts = [&self.tax_office, &self.activity, &self.postal_address];
        let unfit = |t: &&String| t.chars().count() > TEXT_MAX_CHARS || t.chars().any(char::is_control);
        if !told(&self.tax_number, is_tax_number) {
            return Some("a tax number is a VKN of 10 digits or a TCKN of 11; one of these digits is wrong");
        }
        if !told(&self.mersis, is_mersis) {
            return Some(
                "a MERSİS number has 16 digits and holds the tax number; one of these digits is wrong",
            );
        }
        if !told(&self.detsis, is_detsis) {
            return Some("a DETSİS number has 8 digits");
        }
        texts.iter().any(unfit).then_some(
            "tax office, activity and address have at most 400 characters, none of them a control character",
        )
    }
}

/// An account holder at this provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tenant {
    pub id: TenantId,
    /// The realm of its logins (`ornekas` in `ayse@ornekas`).
    pub name: String,
    pub kind: TenantKind,
    pub address: KepAddress,
    /// The institution's or person's name as it stands in evidence.
    pub title: String,
    pub life: TenantLife,
    pub language: Language,
    /// Whether an officer's mail that matches a rule starts its flow instead of being sent.
    pub officers_follow_rules: bool,
    /// Whose signature mail has to carry.
    pub signature: SignatureDemand,
    /// The form of delivery evidence, where a mail does not ask for another.
    pub receipts: ReceiptForm,
    /// What users may bring until so much is kept; `None`: no limit. Mail that comes in is never turned away for it.
    pub storage_max_bytes: Option<u64>,
    /// How its prepaid credit is dealt with; `None`: it is not metered.
    pub credit: Option<CreditTerms>,
    pub institution: Institution,
    pub created_at: UtcTime,
}
