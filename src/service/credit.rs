//! Prepaid credit on the roads: what a mail's new state means for its account, and what the provider adds.
//!
//! Whoever writes a mail's state says so here, in the same batch: that is the whole of reserving, charging and releasing
//! (`domain::credit` draws it, `docs/decisions/0040` says why). Whether the account allows it, the committer finds out when the batch's
//! turn comes; the refusal is put into words afterwards. What a mail costs is fixed when it is handed in and stands in its row.

use crate::clock::{Clock, UtcTime};
use crate::domain::audit::{AuditRecord, Author, Matter};
use crate::domain::credit::{
    CreditAccount, CreditEntry, CreditTerms, Movement, MovementKind, NAME_MAX_OCTETS, NOTE_MAX_OCTETS,
    Tariff, UNITS_MAX, movement,
};
use crate::domain::mail::{Mail, MailState};
use crate::domain::org::{Organisation, Permission};
use crate::domain::tenant::Tenant;
use crate::id::{TenantId, UserId};
use crate::rem::notice::credit::not_enough;
use crate::service::failure::{BETWEEN_LANGUAGES, Failure, Kind};
use crate::store::db::{Batch, CommitError, Db};
use crate::store::tables::audit;
use crate::store::tables::credit::{self, NamedAddition, Posting};
use std::sync::Arc;

/// What a mail of a tenant costs; nothing where it is not metered.
pub fn cost(tariff: &Tariff, tenant: &Tenant, octets: u64, recipients: usize) -> u64 {
    match tenant.credit {
        Some(_) => tariff.cost(octets, recipients),
        None => 0,
    }
}

/// Adds to the batch that writes a mail in its new state what that means for the account. `before`: the state it had, none when
/// it begins.
pub fn follow(
    batch: &mut Batch,
    tenant: &Tenant,
    before: Option<MailState>,
    mail: &Mail,
    by: &Author,
    at: UtcTime,
) {
    if let Some(movement) = movement(before, mail.state, mail.cost_units) {
        credit::post(batch, posting(movement, tenant.credit, mail, by, at));
    }
}

/// The same of a mail that begins in place of one whose credit was reserved, at the same cost, and is released in this batch: that
/// was promised, and is charged whatever is left by now.
pub fn follow_promised(batch: &mut Batch, mail: &Mail, by: &Author, at: UtcTime) {
    if let Some(movement) = movement(None, mail.state, mail.cost_units) {
        credit::post(batch, posting(movement, None, mail, by, at));
    }
}

fn posting(movement: Movement, terms: Option<CreditTerms>, mail: &Mail, by: &Author, at: UtcTime) -> Posting {
    Posting {
        tenant: mail.tenant,
        terms,
        movement,
        mail: Some(mail.id),
        by: by.clone(),
        at,
        note: String::new(),
    }
}

/// What is wanted of an account that may not have it, and who is told.
pub struct Wanted<'a> {
    pub organisation: &'a Organisation,
    pub by: UserId,
    pub cost_units: u64,
    /// Reserved for what the same batch ends.
    pub given_back: u64,
}

impl Wanted<'_> {
    /// Whether so much is left now. Asked when a batch conflicted because of the account: where credit was added meanwhile, the batch
    /// is worth another attempt.
    pub fn check(&self, db: &dyn Db) -> Result<(), Failure> {
        let Some(terms) = &self.organisation.tenant.credit else {
            return Ok(());
        };
        let account = credit::account(db, self.organisation.tenant.id)?.given_back(self.given_back);
        let left = account.left(terms);
        if self.cost_units <= left {
            return Ok(());
        }
        let said = not_enough(
            self.cost_units,
            left,
            self.sees_account().then_some(account.reserved),
        );
        let say = format!("{}{BETWEEN_LANGUAGES}{}", said.en, said.tr);
        Err(Failure::refused(Kind::NoCredit, say))
    }

    /// What is reserved tells of mail that others sent: not to everybody (`Mailboxes::credit`).
    fn sees_account(&self) -> bool {
        let user = self.organisation.users.get(&self.by);
        user.is_some_and(|user| self.organisation.may(user, Permission::Account))
    }
}

/// The accounts, for those who look at them and the provider who adds to them.
pub struct Credits {
    db: Arc<dyn Db>,
    clock: Arc<dyn Clock>,
    pub tariff: Tariff,
}

impl Credits {
    pub fn new(db: Arc<dyn Db>, clock: Arc<dyn Clock>, tariff: Tariff) -> Self {
        Self { db, clock, tariff }
    }

    pub fn of(&self, tenant: TenantId) -> Result<CreditAccount, Failure> {
        Ok(credit::account(&*self.db, tenant)?)
    }

    /// Movements, newest first: those before a number, or the latest.
    pub fn history(
        &self,
        tenant: TenantId,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<CreditEntry>, Failure> {
        Ok(credit::back(&*self.db, tenant, before, limit)?)
    }

    /// Adds units; a negative number takes some away, which needs a note. A correction may take the balance below zero: what was added
    /// wrongly may have been spent. Whose answer was lost may say the same again: under one name units are added once.
    pub async fn add(&self, tenant: &Tenant, by: &Author, addition: Addition<'_>) -> Result<Added, Failure> {
        let Addition { units, note, name } = addition.checked(tenant)?;
        if let Some(before) = self.added_before(tenant, units, name)? {
            return Ok(before);
        }
        let at = self.clock.now();
        let kind = match units > 0 {
            true => MovementKind::Added,
            false => MovementKind::Corrected,
        };
        let mut batch = Batch::new();
        let posting = Posting {
            tenant: tenant.id,
            terms: tenant.credit,
            movement: Movement {
                kind,
                units: units.unsigned_abs(),
            },
            mail: None,
            by: by.clone(),
            at,
            note: note.to_owned(),
        };
        credit::post(&mut batch, posting);
        let mut what = serde_json::json!({"units": units, "note": note});
        if let Some(name) = name {
            credit::name(&mut batch, tenant.id, name, &NamedAddition { units, at })?;
            what["once"] = name.into();
        }
        let record = AuditRecord::of_deed(at, by.clone(), "credit add", vec![Matter::Tenant], &what);
        audit::append(&mut batch, tenant.id, 0, &record)?;
        match self.db.commit(batch).await {
            Ok(_) => {
                tracing::info!(tenant = %tenant.name, units, by = %by.login, "credit added");
                Ok(Added::Now)
            }
            Err(CommitError::Conflict { .. }) => match self.added_before(tenant, units, name)? {
                // Somebody said the same at the same time.
                Some(before) => Ok(before),
                None => invalid("a balance is at most 1000000000000 units, in either direction"),
            },
            Err(other) => Err(other.into()),
        }
    }

    fn added_before(
        &self,
        tenant: &Tenant,
        units: i64,
        name: Option<&str>,
    ) -> Result<Option<Added>, Failure> {
        let Some(name) = name else { return Ok(None) };
        match credit::named(&*self.db, tenant.id, name)? {
            Some(before) if before.units == units => Ok(Some(Added::Before(before.at))),
            Some(NamedAddition { units, at }) => {
                let say =
                    format!("{units} units were added as {name:?} at {at}; name another addition otherwise");
                Err(Failure::refused(Kind::WrongState, say))
            }
            None => Ok(None),
        }
    }
}

fn invalid<T>(say: &str) -> Result<T, Failure> {
    Err(Failure::refused(Kind::Invalid, say))
}

/// What is to be added.
#[derive(Debug, Clone, Copy)]
pub struct Addition<'a> {
    pub units: i64,
    pub note: &'a str,
    /// Under one name units are added once.
    pub name: Option<&'a str>,
}

/// What became of an addition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Added {
    Now,
    /// It was made before, under the same name.
    Before(UtcTime),
}

impl Addition<'_> {
    fn checked(self, tenant: &Tenant) -> Result<Self, Failure> {
        let Self { units, note, name } = self;
        let (note, name) = (note.trim(), name.map(str::trim));
        if tenant.credit.is_none() {
            let say = format!(
                "the account {name} is not metered; say first `kepctl tenant set {name} --credit prepaid`",
                name = tenant.name
            );
            return Err(Failure::refused(Kind::WrongState, say));
        }
        if units == 0 || units.unsigned_abs() > UNITS_MAX {
            return invalid(
                "units are a number from 1 to 1000000000000; with a minus in front they are taken away",
            );
        }
        if units < 0 && note.is_empty() {
            return invalid("taking credit away needs a reason that stays on record: --note");
        }
        let printed = |text: &str, most| text.len() <= most && !text.chars().any(char::is_control);
        if !printed(note, NOTE_MAX_OCTETS) {
            return invalid("the note has at most 1000 octets, none of them a control character");
        }
        if name.is_some_and(|name| name.is_empty() || !printed(name, NAME_MAX_OCTETS)) {
            return invalid("the name of an addition has 1 to 200 octets, none of them a control character");
        }
        Ok(Self { units, note, name })
    }
}
