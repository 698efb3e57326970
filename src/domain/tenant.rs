//! The account holder: its institution record, kind and life.

use crate::address::KepAddress;
use crate::clock::UtcTime;
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
    pub created_at: UtcTime,
}
