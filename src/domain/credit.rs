//! Prepaid credit (kontör): what a mail costs, and what of an account's credit is reserved, charged and released.
//!
//! What is claimed of the account follows from the state of the mail alone (`docs/decisions/0040`):
//!
//! ```text
//! state of the mail   Held       Accepted   Dispatched   Concluded   Dropped
//! claim               reserved   charged    charged      charged     nothing
//!
//! claim before \ after   nothing    reserved   charged
//! nothing                -          Reserved   Charged
//! reserved               Released   -          Settled
//! charged                -          -          -
//! ```
//! So a mail is charged once: no state leads out of being charged. An account without terms is not metered: its mails cost
//! nothing, and what they had claimed before is still given back or charged. Who adds credit, and who is told that it is low, is not said here.

use crate::clock::UtcTime;
use crate::domain::audit::Author;
use crate::domain::mail::MailState;
use crate::id::MailId;
use serde::{Deserialize, Serialize};
use std::num::NonZeroU64;

/// A unit where the provider says nothing else: each started 5 MB is one, as providers in Türkiye count.
pub const UNIT_DEFAULT: NonZeroU64 = match NonZeroU64::new(5 * 1024 * 1024) {
    Some(unit) => unit,
    None => NonZeroU64::MIN,
};
/// Most units in one movement, and most that a balance may be in either direction: every figure is exact in JSON, and no sum of
/// two overflows.
pub const UNITS_MAX: u64 = 1_000_000_000_000;
/// Longest note of an addition, in octets.
pub const NOTE_MAX_OCTETS: usize = 1000;
/// Longest name of an addition, in octets.
pub const NAME_MAX_OCTETS: usize = 200;

/// What a mail costs at this provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tariff {
    /// Each started run of so many octets of the original costs a unit.
    pub unit_bytes: NonZeroU64,
    /// Whether that is paid for each recipient.
    pub per_recipient: bool,
}

impl Default for Tariff {
    fn default() -> Self {
        Self {
            unit_bytes: UNIT_DEFAULT,
            per_recipient: false,
        }
    }
}

impl Tariff {
    pub fn cost(&self, octets: u64, recipients: usize) -> u64 {
        let started = octets.div_ceil(self.unit_bytes.get()).max(1);
        let each = match self.per_recipient {
            true => u64::try_from(recipients).unwrap_or(UNITS_MAX).max(1),
            false => 1,
        };
        started.saturating_mul(each).min(UNITS_MAX)
    }
}

/// How a tenant's credit is dealt with (`docs/features.md` P28).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CreditTerms {
    /// How far below zero mail may still take it.
    pub overdraft: u64,
    /// When less than this is free, the account is told; 0: never.
    pub warn_below: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum MovementKind {
    /// By the provider.
    Added,
    /// Taken away by the provider.
    Corrected,
    /// For a mail that waits for its approvals.
    Reserved,
    /// For a mail that is sent at once.
    Charged,
    /// Charged from what was reserved for it.
    Settled,
    /// Reserved, and not needed.
    Released,
}

impl MovementKind {
    pub const ALL: [MovementKind; 6] = [
        MovementKind::Added,
        MovementKind::Corrected,
        MovementKind::Reserved,
        MovementKind::Charged,
        MovementKind::Settled,
        MovementKind::Released,
    ];

    /// As it is written in the history. How a charge came about is no matter of whoever pays it.
    pub fn word(self) -> &'static str {
        match self {
            MovementKind::Added => "added",
            MovementKind::Corrected => "corrected",
            MovementKind::Reserved => "reserved",
            MovementKind::Charged | MovementKind::Settled => "charged",
            MovementKind::Released => "released",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Movement {
    pub kind: MovementKind,
    pub units: u64,
}

/// What a mail claims of its account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Claim {
    Nothing,
    Reserved,
    Charged,
}

impl Claim {
    fn of(state: MailState) -> Self {
        match state {
            MailState::Held => Claim::Reserved,
            MailState::Accepted | MailState::Dispatched | MailState::Concluded => Claim::Charged,
            MailState::Dropped => Claim::Nothing,
        }
    }
}

/// The movement that belongs to a mail's change of state; `before`: none when the mail begins. The one place that says it.
pub fn movement(before: Option<MailState>, after: MailState, cost_units: u64) -> Option<Movement> {
    let before = before.map_or(Claim::Nothing, Claim::of);
    let kind = match (before, Claim::of(after)) {
        (Claim::Nothing, Claim::Reserved) => MovementKind::Reserved,
        (Claim::Nothing, Claim::Charged) => MovementKind::Charged,
        (Claim::Reserved, Claim::Nothing) => MovementKind::Released,
        (Claim::Reserved, Claim::Charged) => MovementKind::Settled,
        (Claim::Nothing, Claim::Nothing) | (Claim::Reserved, Claim::Reserved) | (Claim::Charged, _) => {
            return None;
        }
    };
    (cost_units > 0).then_some(Movement {
        kind,
        units: cost_units,
    })
}

/// What is reserved for a mail.
pub fn reserved_for(state: MailState, cost_units: u64) -> u64 {
    match Claim::of(state) {
        Claim::Reserved => cost_units,
        Claim::Nothing | Claim::Charged => 0,
    }
}

/// A tenant's credit as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CreditAccount {
    /// All that was added, less corrections and charges.
    pub balance: i64,
    /// Of the balance: for mails that wait.
    pub reserved: u64,
    /// Charged since credit was last added.
    pub spent: u64,
    /// The number of the last movement.
    pub movements: u64,
    /// The account is to be told, or has been, that its credit is low; not again until an addition takes it to the mark, or
    /// the mark is another.
    pub warned: bool,
}

/// Why a movement is not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CreditRefusal {
    #[error("not enough credit is left")]
    NotEnough,
    #[error("a balance is at most {UNITS_MAX} units, in either direction; one movement too")]
    TooMuch,
    /// Ours: more given back than was reserved.
    #[error("more is given back than was reserved")]
    NotReserved,
}

impl CreditAccount {
    /// What is neither charged nor reserved.
    pub fn free(&self) -> i64 {
        self.balance.saturating_sub(signed(self.reserved))
    }

    /// What may still be claimed.
    pub fn left(&self, terms: &CreditTerms) -> u64 {
        let left = self.free().saturating_add(signed(terms.overdraft));
        u64::try_from(left).unwrap_or(0)
    }

    /// The account after a movement. Without terms it is not metered: nothing is too much, and nobody is told.
    pub fn after(&self, movement: Movement, terms: Option<&CreditTerms>) -> Result<Self, CreditRefusal> {
        use MovementKind as K;
        let units = movement.units;
        if units > UNITS_MAX {
            return Err(CreditRefusal::TooMuch);
        }
        if matches!(movement.kind, K::Reserved | K::Charged) && terms.is_some_and(|t| units > self.left(t)) {
            return Err(CreditRefusal::NotEnough);
        }
        let mut after = *self;
        after.movements += 1;
        match movement.kind {
            K::Added => after.balance += signed(units),
            K::Corrected | K::Charged | K::Settled => after.balance -= signed(units),
            K::Reserved | K::Released => {}
        }
        match movement.kind {
            K::Reserved => after.reserved += units,
            K::Settled | K::Released => {
                after.reserved = self
                    .reserved
                    .checked_sub(units)
                    .ok_or(CreditRefusal::NotReserved)?;
            }
            K::Added | K::Corrected | K::Charged => {}
        }
        match movement.kind {
            K::Added => after.spent = 0,
            K::Charged | K::Settled => after.spent = self.spent.saturating_add(units),
            K::Corrected | K::Reserved | K::Released => {}
        }
        // What has been claimed is charged whatever the balance is: it is bounded by what was reserved before.
        let bounded = matches!(movement.kind, K::Added | K::Corrected | K::Reserved | K::Charged);
        if bounded && (after.balance.unsigned_abs() > UNITS_MAX || after.reserved > UNITS_MAX) {
            return Err(CreditRefusal::TooMuch);
        }
        after.warned = after.is_told(movement.kind, terms);
        Ok(after)
    }

    fn is_told(&self, kind: MovementKind, terms: Option<&CreditTerms>) -> bool {
        let is_low = terms.is_some_and(|t| self.is_low(t));
        match kind {
            MovementKind::Added => self.warned && is_low,
            MovementKind::Corrected | MovementKind::Reserved | MovementKind::Charged => self.warned || is_low,
            MovementKind::Settled | MovementKind::Released => self.warned,
        }
    }

    /// The account under other terms: whether it has to be told is found anew. Where nothing ever moved there is nothing to tell:
    /// whoever sets the mark is about to add the first units.
    pub fn judged(&self, terms: Option<&CreditTerms>) -> Self {
        Self {
            warned: self.movements > 0 && terms.is_some_and(|t| self.is_low(t)),
            ..*self
        }
    }

    /// The account when so much of what is reserved is given back.
    pub fn given_back(&self, units: u64) -> Self {
        Self {
            reserved: self.reserved.saturating_sub(units),
            ..*self
        }
    }

    pub fn is_low(&self, terms: &CreditTerms) -> bool {
        terms.warn_below > 0 && self.free() < signed(terms.warn_below)
    }

    /// Usage and limit, as one who shows a bar wants them: limit less usage is what may still be claimed, and the bar is empty
    /// when credit was just added.
    pub fn gauge(&self, terms: &CreditTerms) -> (u64, u64) {
        let usage = self.spent.saturating_add(self.reserved);
        (usage, usage.saturating_add(self.left(terms)))
    }
}

/// All figures are far below what a signed one holds.
fn signed(units: u64) -> i64 {
    i64::try_from(units).unwrap_or(i64::MAX)
}

/// One movement, as it stands in the history: written once, never changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreditEntry {
    /// Counts up from 1.
    pub number: u64,
    pub at: UtcTime,
    pub by: Author,
    pub movement: Movement,
    pub mail: Option<MailId>,
    pub note: String,
    /// As they are after it.
    pub balance: i64,
    pub reserved: u64,
}

#[cfg(test)]
mod tests;
