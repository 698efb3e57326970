//! What can be said of credit before the content of a submission comes: an account with nothing left stores nothing.
//!
//! Only what is certain is said here; for real it is decided by the commit (`service::credit`). Not at `RCPT`, although a size may
//! be declared there: until the header is read nobody knows whether the mail becomes a draft, which costs nothing, or is one
//! that was taken before and whose `250` was lost, which costs nothing again.

use super::Submission;
use super::filing::Filing;
use crate::domain::credit::reserved_for;
use crate::domain::org::Organisation;
use crate::domain::signature::SignatureDemand;
use crate::mime::summary::{HEADER_MAX_OCTETS, Summary};
use crate::service::account::Principal;
use crate::service::credit::{self, Wanted};
use crate::service::failure::Failure;
use crate::store::db::Batch;
use crate::store::tables::{credit as accounts, drafts, mails};

/// A submission of which the header is known.
pub(super) struct Begun<'a> {
    pub by: &'a Principal,
    pub seen: &'a Summary,
    pub recipients: usize,
    /// By the client (RFC 1870).
    pub declared_octets: Option<u64>,
}

impl Submission {
    /// Refuses what will certainly cost more than is left.
    pub(super) fn afford(&self, organisation: &Organisation, begun: &Begun<'_>) -> Result<(), Failure> {
        let tenant = &organisation.tenant;
        // It may release a job, whose credit is reserved already.
        if tenant.credit.is_none() || tenant.signature == SignatureDemand::Officer {
            return Ok(());
        }
        // It may be a mail that was taken before, or go on from one that was given back.
        if let Some(id) = &begun.seen.message_id {
            let (db, by) = (&*self.db, begun.by);
            let known = mails::known(db, by.tenant, by.user, id)?.is_some();
            if known || drafts::latest(db, by.tenant, by.user, id)?.is_some() {
                return Ok(());
            }
        }
        // Of the octets that are declared, header fields may be taken out.
        let least = begun
            .declared_octets
            .unwrap_or(0)
            .saturating_sub(HEADER_MAX_OCTETS as u64);
        let wanted = Wanted {
            organisation,
            by: begun.by.user,
            cost_units: credit::cost(&self.identity.tariff, tenant, least, begun.recipients),
            given_back: 0,
        };
        wanted.check(&*self.db)
    }
}

impl Filing {
    /// What the mail costs.
    pub(super) fn cost(&self, organisation: &Organisation) -> u64 {
        let tariff = &self.station.identity.tariff;
        credit::cost(
            tariff,
            &organisation.tenant,
            self.original.size_bytes,
            self.recipients.len(),
        )
    }

    /// Why a batch of this mail conflicted, if the account did not allow it.
    pub(super) fn lacks_credit(&self, organisation: &Organisation, conflict: &[u8]) -> Result<(), Failure> {
        if !accounts::is_account(self.by.tenant, conflict) {
            return Ok(());
        }
        let wanted = Wanted {
            organisation,
            by: self.by.user,
            cost_units: self.cost(organisation),
            given_back: self.given_back()?,
        };
        wanted.check(&*self.station.db)
    }

    /// What is reserved for the mail that was given back, in whose place this one comes.
    fn given_back(&self) -> Result<u64, Failure> {
        let (db, tenant) = (&*self.station.db, self.by.tenant);
        let known = mails::known(db, tenant, self.by.user, self.message_id())?;
        let Some(job) = self.returned(&mut Batch::new(), known.as_ref())? else {
            return Ok(0);
        };
        let mail = mails::mail(db, tenant, job.row.mail)?;
        Ok(mail.map_or(0, |mail| reserved_for(mail.row.state, mail.row.cost_units)))
    }
}
