//! All typed ids of the house, in one list.
//!
//! Numbers given out by a tenant's own counters are small integers; things that travel (mails, evidence, jobs) carry
//! UUIDs (RFC 9562). Fresh UUIDs come from an [`IdSource`], so tests repeat exactly.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use uuid::Uuid;

macro_rules! number_id {
    ($($(#[$doc:meta])* $name:ident($int:ty);)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $int);
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { write!(f, "{}", self.0) }
        }
    )*};
}

macro_rules! uuid_id {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);
        impl $name {
            /// The sixteen octets used in store keys.
            pub fn octets(self) -> [u8; 16] { *self.0.as_bytes() }
            pub fn from_octets(octets: [u8; 16]) -> Self { Self(Uuid::from_bytes(octets)) }
            pub fn fresh(ids: &dyn IdSource) -> Self { Self(ids.uuid()) }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { write!(f, "{}", self.0) }
        }
        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, uuid::Error> { Uuid::parse_str(text).map(Self) }
        }
    )*};
}

number_id! {
    /// An account holder at this provider. Every key of a tenant's data begins with it.
    TenantId(u32);
    /// A user (officer or limited) of one tenant.
    UserId(u32);
    /// A unit in a tenant's tree.
    UnitId(u32);
    /// A role of a tenant.
    RoleId(u32);
    /// A label of a tenant.
    LabelId(u32);
    /// An approval rule of a tenant.
    RuleId(u32);
    /// An entry of a tenant's item log: what a mailbox shows (a mail, an evidence message, a notice).
    ItemId(u64);
    /// A mailbox view: a saved question with its own UIDs.
    ViewId(u32);
    /// Position of a change in a tenant's change log (the MODSEQ of RFC 7162).
    ModSeq(u64);
    /// Position of a recipient in its mail, from 0. Evidence counts from 1.
    RecipientIndex(u32);
}

uuid_id! {
    /// Our own key of a mail; never the RFC 5322 Message-ID.
    MailId;
    /// One evidence document; its `EvidenceIdentifier` is the text form.
    EvidenceId;
    /// One approval in flight.
    JobId;
    /// One entry of the durable queue to a peer.
    QueueId;
}

/// Where fresh ids come from.
pub trait IdSource: Send + Sync + 'static {
    /// A UUID never given out before.
    fn uuid(&self) -> Uuid;
}

/// UUIDs of version 4 (chance from the operating system's generator).
#[derive(Debug, Default)]
pub struct SystemIds;

impl IdSource for SystemIds {
    fn uuid(&self) -> Uuid {
        let mut octets = [0u8; 16];
        // The generator of aws-lc fails only when the operating system has no entropy source at all; a UUID of
        // zeros would then collide with the next one and be refused by the store's preconditions.
        let _ = aws_lc_rs::rand::fill(&mut octets);
        uuid::Builder::from_random_bytes(octets).into_uuid()
    }
}

/// Counted ids for tests.
#[derive(Debug, Default)]
pub struct CountedIds(AtomicU64);

impl IdSource for CountedIds {
    fn uuid(&self) -> Uuid {
        Uuid::from_u128(u128::from(self.0.fetch_add(1, Ordering::Relaxed) + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_octets_are_inverses() {
        let id = MailId::fresh(&SystemIds);
        assert_eq!(id.to_string().parse::<MailId>().unwrap(), id);
        assert_eq!(MailId::from_octets(id.octets()), id);
        assert_ne!(id, MailId::fresh(&SystemIds));
    }
}
