//! Prepaid credit, as it is looked at and added to. The provider adds; who manages an account sees what it has.

use super::words::{ControlDoor, Outcome, list, one};
use crate::control::protocol::{CreditWord, LIST_MAX, PaymentWord, Record, TenantSet};
use crate::domain::credit::{CreditEntry, CreditTerms, MovementKind, UNITS_MAX};
use crate::domain::org::Permission;
use crate::domain::tenant::Tenant;
use crate::service::credit::{Added, Addition};
use crate::service::failure::{Failure, Kind};

impl ControlDoor {
    pub(super) async fn credit(&self, word: CreditWord) -> Outcome {
        match word {
            CreditWord::Show { tenant } => {
                self.demand(Permission::Account)?;
                one(self.credit_record(&self.organisation(&tenant)?.tenant)?)
            }
            CreditWord::Add {
                tenant,
                units,
                note,
                once,
            } => {
                self.demand_provider()?;
                let organisation = self.organisation(&tenant)?;
                let tenant = &organisation.tenant;
                let addition = Addition {
                    units,
                    note: &note,
                    name: once.as_deref(),
                };
                let added = self.credits.add(tenant, &self.by, addition).await?;
                let record = self.credit_record(tenant)?;
                one(match added {
                    Added::Now => record,
                    Added::Before(at) => record.text("added_before", at.to_string()),
                })
            }
            CreditWord::History {
                tenant,
                before,
                limit,
            } => {
                self.demand(Permission::Account)?;
                let tenant = self.organisation(&tenant)?.tenant.id;
                // It names mails, and who moved them.
                self.count_look(tenant, "credit history");
                let entries = self.credits.history(tenant, before, limit.min(LIST_MAX))?;
                list(entries.iter().map(entry_record))
            }
        }
    }

    fn credit_record(&self, tenant: &Tenant) -> Result<Record, Failure> {
        let account = self.credits.of(tenant.id)?;
        let terms = tenant.credit.as_ref();
        let tariff = &self.credits.tariff;
        Ok(Record::new()
            .text("tenant", &tenant.name)
            .text("credit", payment(terms))
            .with("balance", account.balance)
            .with("reserved", account.reserved)
            .with("left", terms.map(|terms| account.left(terms)))
            .with("overdraft", terms.map(|terms| terms.overdraft))
            .with("warn_below", terms.map(|terms| terms.warn_below))
            .with("low", terms.is_some_and(|terms| account.is_low(terms)))
            .with("unit_bytes", tariff.unit_bytes.get())
            .with("per_recipient", tariff.per_recipient))
    }

    /// What the summary of an account tells of it.
    pub(super) fn with_credit(&self, record: Record, tenant: &Tenant) -> Result<Record, Failure> {
        let Some(terms) = &tenant.credit else {
            return Ok(record.text("credit", payment(None)));
        };
        let account = self.credits.of(tenant.id)?;
        Ok(record
            .text("credit", payment(Some(terms)))
            .with("credit_left", account.left(terms))
            .with("credit_reserved", account.reserved)
            .with("credit_low", account.is_low(terms)))
    }
}

/// The terms in the record of an account, for who may know what it has (`tenant summary`, `credit show`).
pub(super) fn with_terms(record: Record, terms: Option<&CreditTerms>) -> Record {
    record
        .with("credit_overdraft", terms.map(|terms| terms.overdraft))
        .with("credit_warn_below", terms.map(|terms| terms.warn_below))
}

pub(super) fn payment(terms: Option<&CreditTerms>) -> &'static str {
    match terms {
        Some(_) => "prepaid",
        None => "none",
    }
}

/// The terms as they are wished for, given how they are.
pub(super) fn terms_wished(
    set: &TenantSet,
    now: Option<CreditTerms>,
) -> Result<Option<CreditTerms>, Failure> {
    let metered = match set.credit {
        Some(PaymentWord::Prepaid) => Some(now.unwrap_or_default()),
        Some(PaymentWord::None) => None,
        None => now,
    };
    let (overdraft, warn_below) = (set.credit_overdraft, set.credit_warn_below);
    if [overdraft, warn_below]
        .into_iter()
        .flatten()
        .any(|units| units > UNITS_MAX)
    {
        let say = format!("--credit-overdraft and --credit-warn-below are at most {UNITS_MAX}");
        return Err(Failure::refused(Kind::Invalid, say));
    }
    match metered {
        Some(terms) => Ok(Some(CreditTerms {
            overdraft: overdraft.unwrap_or(terms.overdraft),
            warn_below: warn_below.unwrap_or(terms.warn_below),
        })),
        None if overdraft.or(warn_below).is_some() => {
            let say = "this account is not metered, so it has no overdraft and no mark to be warned at; add --credit prepaid";
            Err(Failure::refused(Kind::WrongState, say))
        }
        None => Ok(None),
    }
}

fn entry_record(entry: &CreditEntry) -> Record {
    let units = i64::try_from(entry.movement.units).unwrap_or(i64::MAX);
    // As it changes what is left; what was reserved is charged without a change.
    let left = match entry.movement.kind {
        MovementKind::Added | MovementKind::Released => units,
        MovementKind::Corrected | MovementKind::Reserved | MovementKind::Charged => -units,
        MovementKind::Settled => 0,
    };
    Record::new()
        .with("number", entry.number)
        .text("at", entry.at)
        .text("what", entry.movement.kind.word())
        .with("units", entry.movement.units)
        .with("change", left)
        .with("balance", entry.balance)
        .with("reserved", entry.reserved)
        .with("mail", entry.mail.map(|mail| mail.to_string()))
        .text("who", &entry.by.login)
        .text("route", entry.by.route.word())
        .text("note", &entry.note)
}
