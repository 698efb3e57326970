//! The prepaid credit of a tenant: the account as it stands, and its movements, only ever added to.
//!
//! Many sessions of one tenant submit at once. So the account is changed by a revision ([`Revision`]): the committer takes
//! each movement from the account as it is then, by the one function of `domain::credit`, and refuses the batch when it may not be.
//! Who submits something else at the same time is in nobody's way, and two never spend the same unit. The entry of the history, and
//! that the officers have to be told, are rows of the same revision.

use super::mails::digest;
use super::work::{self, LowCredit};
use super::{Key, Stored, insert, rows};
use crate::clock::UtcTime;
use crate::domain::audit::Author;
use crate::domain::credit::{CreditAccount, CreditEntry, CreditRefusal, CreditTerms, Movement, MovementKind};
use crate::id::{MailId, TenantId};
use crate::store::db::{Batch, CommitSeq, Db, Revised, Revision};
use crate::store::row::{self, Row as _, RowError};
use crate::store::{StoreError, prefix_end};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// An addition that has a name of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedAddition {
    pub units: i64,
    pub at: UtcTime,
}

rows! {
    CreditAccount => "credit" v 1;
    CreditEntry => "credit movements" v 1;
    NamedAddition => "named additions of credit" v 1;
}

fn account_key(tenant: TenantId) -> Vec<u8> {
    Key::tenant(tenant, b"ca").done()
}

fn entry_key(tenant: TenantId, number: u64) -> Vec<u8> {
    Key::tenant(tenant, b"ce").long(number).done()
}

fn named_key(tenant: TenantId, name: &str) -> Vec<u8> {
    Key::tenant(tenant, b"cd").octets(&digest(name.as_bytes())).done()
}

/// What was added under a name.
pub fn named(db: &dyn Db, tenant: TenantId, name: &str) -> Result<Option<NamedAddition>, StoreError> {
    let stored = super::read::<NamedAddition>(db, named_key(tenant, name))?;
    Ok(stored.map(|stored| stored.row))
}

/// Gives an addition its name, only if nothing was added under it.
pub fn name(
    batch: &mut Batch,
    tenant: TenantId,
    name: &str,
    addition: &NamedAddition,
) -> Result<(), RowError> {
    let key = named_key(tenant, name);
    batch.require_absent(key.clone());
    insert(batch, key, addition)
}

/// The account as it stands; one that never moved is empty.
pub fn account(db: &dyn Db, tenant: TenantId) -> Result<CreditAccount, StoreError> {
    let stored = super::read::<CreditAccount>(db, account_key(tenant))?;
    Ok(stored.map(|stored| stored.row).unwrap_or_default())
}

/// Whether a batch was refused because of this account.
pub fn is_account(tenant: TenantId, key: &[u8]) -> bool {
    key == account_key(tenant)
}

/// Movements, newest first: those before a number, or the latest.
pub fn back(
    db: &dyn Db,
    tenant: TenantId,
    before: Option<u64>,
    limit: usize,
) -> Result<Vec<CreditEntry>, StoreError> {
    let start = Key::tenant(tenant, b"ce").done();
    let end = before.map_or_else(|| prefix_end(&start), |number| entry_key(tenant, number));
    let rows = db.range_back(&start, &end, limit)?;
    let decoded = rows.into_iter().map(|(key, octets)| Stored::decode(key, octets));
    decoded.map(|stored| stored.map(|stored| stored.row)).collect()
}

/// A movement to be made.
#[derive(Debug)]
pub struct Posting {
    pub tenant: TenantId,
    /// By which it is allowed, and found to be low; `None`: the tenant is not metered.
    pub terms: Option<CreditTerms>,
    pub movement: Movement,
    pub mail: Option<MailId>,
    pub by: Author,
    pub at: UtcTime,
    pub note: String,
}

/// Makes the movement in the batch, after those that stand in it already. The batch is refused, with the account's key, if the
/// account does not allow it then. An account that is not what its mails claim of it is damaged, and said to be: to try again is no use.
pub fn post(batch: &mut Batch, posting: Posting) {
    batch.revise(account_key(posting.tenant), Arc::new(posting));
}

/// Finds anew whether an account is low, under these terms from now on.
pub fn judge(batch: &mut Batch, tenant: TenantId, terms: Option<CreditTerms>, at: UtcTime) {
    batch.revise(account_key(tenant), Arc::new(Judging { tenant, terms, at }));
}

/// Only if the account has not to be told that it is low.
pub fn require_not_warned(batch: &mut Batch, tenant: TenantId) {
    batch.revise(account_key(tenant), Arc::new(NotWarned));
}

/// That the officers have to be told, if they have to be from this change on.
fn owed(
    tenant: TenantId,
    before: &CreditAccount,
    after: &CreditAccount,
    at: UtcTime,
) -> Result<Revised, RowError> {
    if before.warned || !after.warned {
        return Ok(Revised::new());
    }
    let (key, octets) = work::row_of(at, &LowCredit { tenant })?;
    Ok(vec![(key, Some(octets))])
}

impl Posting {
    /// Whether the account is in order and does not allow it: too little is left, or the provider adds too much.
    fn is_no_fault(&self, refusal: CreditRefusal) -> bool {
        use MovementKind::{Added, Corrected};
        match refusal {
            CreditRefusal::NotEnough => true,
            CreditRefusal::TooMuch => matches!(self.movement.kind, Added | Corrected),
            CreditRefusal::NotReserved => false,
        }
    }

    fn entry(&self, after: &CreditAccount) -> CreditEntry {
        CreditEntry {
            number: after.movements,
            at: self.at,
            by: self.by.clone(),
            movement: self.movement,
            mail: self.mail,
            note: self.note.clone(),
            balance: after.balance,
            reserved: after.reserved,
        }
    }
}

impl Revision for Posting {
    fn rows_max(&self) -> usize {
        // The account, the entry, and that the officers have to be told.
        3
    }

    fn brought_bytes(&self) -> usize {
        self.note.len() + self.by.login.len()
    }

    fn revise(&self, now: Option<&[u8]>, _seq: CommitSeq) -> Result<Option<Revised>, StoreError> {
        let before: CreditAccount = now.map(row::decode).transpose()?.unwrap_or_default();
        let after = match before.after(self.movement, self.terms.as_ref()) {
            Ok(after) => after,
            Err(refusal) if self.is_no_fault(refusal) => return Ok(None),
            Err(refusal) => {
                return Err(RowError::unreadable(CreditAccount::TABLE, refusal.to_string()).into());
            }
        };
        let entry = self.entry(&after);
        let mut rows = vec![
            (account_key(self.tenant), Some(row::encode(&after)?)),
            (entry_key(self.tenant, entry.number), Some(row::encode(&entry)?)),
        ];
        rows.extend(owed(self.tenant, &before, &after, self.at)?);
        Ok(Some(rows))
    }
}

/// An account is judged by new terms.
#[derive(Debug)]
struct Judging {
    tenant: TenantId,
    terms: Option<CreditTerms>,
    at: UtcTime,
}

impl Revision for Judging {
    fn rows_max(&self) -> usize {
        // The account, and that the officers have to be told.
        2
    }

    fn revise(&self, now: Option<&[u8]>, _seq: CommitSeq) -> Result<Option<Revised>, StoreError> {
        let Some(now) = now else {
            return Ok(Some(Revised::new()));
        };
        let before: CreditAccount = row::decode(now)?;
        let after = before.judged(self.terms.as_ref());
        let mut rows = owed(self.tenant, &before, &after, self.at)?;
        if after != before {
            rows.push((account_key(self.tenant), Some(row::encode(&after)?)));
        }
        Ok(Some(rows))
    }
}

/// The officers have not to be told.
#[derive(Debug)]
struct NotWarned;

impl Revision for NotWarned {
    fn rows_max(&self) -> usize {
        0
    }

    fn revise(&self, now: Option<&[u8]>, _seq: CommitSeq) -> Result<Option<Revised>, StoreError> {
        let account: CreditAccount = now.map(row::decode).transpose()?.unwrap_or_default();
        Ok((!account.warned).then(Revised::new))
    }
}

#[cfg(test)]
#[path = "credit_tests.rs"]
mod tests;
