//! What an administrator may read of a tenant's mail: its fate and its evidence, never its content.

use crate::clock::UtcTime;
use crate::domain::audit::{AuditRecord, Matter};
use crate::domain::item::Item;
use crate::domain::mail::{Consignment, Mail};
use crate::id::{EvidenceId, ItemId, MailId, TenantId};
use crate::service::failure::{Failure, Kind};
use crate::store::db::Db;
use crate::store::spool::{BlobId, Spool};
pub use crate::store::tables::audit::Place;
pub use crate::store::tables::evidence::EvidenceRow;
use crate::store::tables::mails;
use crate::store::tables::{audit, evidence, items, lasting};
use std::sync::Arc;
use std::time::Duration;

/// Audit records read at a time.
const AUDIT_STEP: usize = 500;
/// Audit records looked through by one request: some tenths of a second.
const AUDIT_LOOKED_AT_MAX: usize = 100_000;
/// How much later than it happened something may be written: counts of an hour come at its end.
const AUDIT_LATE_MAX: Duration = Duration::from_secs(2 * 3600);

/// Which audit records are wished for.
#[derive(Debug, Clone)]
pub struct AuditWish {
    pub tenant: TenantId,
    pub matter: Option<Matter>,
    /// From (inclusive) until (exclusive).
    pub since: Option<UtcTime>,
    pub until: Option<UtcTime>,
    /// By whom, as a login; case does not matter.
    pub actor: Option<String>,
    /// Older than this one.
    pub before: Option<Place>,
}

#[derive(Debug, Default)]
pub struct AuditFound {
    pub records: Vec<(Place, AuditRecord)>,
    /// There may be more behind this one, which were not looked at.
    pub stopped_at: Option<Place>,
}

impl AuditWish {
    fn holds(&self, record: &AuditRecord) -> bool {
        let actor = self.actor.as_ref();
        self.since.is_none_or(|since| record.at >= since)
            && self.until.is_none_or(|until| record.at < until)
            && actor.is_none_or(|actor| record.author.login.eq_ignore_ascii_case(actor))
    }
}

/// An evidence document as it is shown.
pub struct Document {
    pub xml: Vec<u8>,
    pub sha256: BlobId,
}

pub struct Records {
    pub db: Arc<dyn Db>,
    pub spool: Arc<Spool>,
}

impl Records {
    /// The mail a tenant has submitted, oldest first.
    pub fn mails(&self, tenant: TenantId) -> Result<Vec<Mail>, Failure> {
        let mut list: Vec<Mail> = mails::all(&*self.db, tenant)?
            .into_iter()
            .map(|m| m.row)
            .collect();
        list.sort_by_key(|mail| (mail.submitted_at, mail.id));
        Ok(list)
    }

    pub fn mail(&self, id: MailId) -> Result<Mail, Failure> {
        let none = || Failure::refused(Kind::NotFound, format!("there is no mail {id}"));
        let tenant = mails::tenant_of(&*self.db, id)?.ok_or_else(none)?;
        Ok(mails::mail(&*self.db, tenant, id)?.ok_or_else(none)?.row)
    }

    /// The attributes of an item: where it stands, who put it there.
    pub fn item(&self, tenant: TenantId, id: ItemId) -> Result<Option<Item>, Failure> {
        Ok(items::item(&*self.db, tenant, id)?.map(|item| item.row.clone()))
    }

    /// A mail that came in.
    pub fn consignment(&self, id: MailId) -> Result<Consignment, Failure> {
        let none = || Failure::refused(Kind::NotFound, format!("there is no mail {id}"));
        let tenant = mails::tenant_of(&*self.db, id)?.ok_or_else(none)?;
        Ok(mails::consignment(&*self.db, tenant, id)?.ok_or_else(none)?.row)
    }

    /// The evidence of a mail in order of event.
    pub fn evidence_of(&self, tenant: TenantId, mail: MailId) -> Result<Vec<EvidenceRow>, Failure> {
        let rows = evidence::of_mail(&*self.db, tenant, mail)?;
        Ok(rows.into_iter().map(|e| e.row).collect())
    }

    /// All evidence of a tenant, of mail sent and received.
    pub fn evidence_of_tenant(&self, tenant: TenantId) -> Result<Vec<EvidenceRow>, Failure> {
        let rows = evidence::of_tenant(&*self.db, tenant)?;
        Ok(rows.into_iter().map(|e| e.row).collect())
    }

    /// The mail an evidence belongs to.
    pub fn mail_of_evidence(&self, tenant: TenantId, id: EvidenceId) -> Result<Option<MailId>, Failure> {
        Ok(evidence::mail_of(&*self.db, tenant, id)?)
    }

    /// The sealed document itself, in its lasting form once there is one.
    pub async fn document(&self, row: &EvidenceRow) -> Result<Document, Failure> {
        let blob = lasting::document(&*self.db, &row.xml)?;
        Ok(Document {
            xml: self.spool.load(&blob).await?,
            sha256: blob.id,
        })
    }

    /// The records for which all that is wished holds, newest first. They are looked through in steps, and no more than so
    /// many in one go: then the answer says where it stopped.
    pub fn audit_search(&self, wish: &AuditWish, limit: usize) -> Result<AuditFound, Failure> {
        let mut found = AuditFound::default();
        let (mut before, mut looked_at) = (wish.before, 0);
        loop {
            let page = audit::back(&*self.db, wish.tenant, wish.matter, before, AUDIT_STEP)?;
            let is_last = page.len() < AUDIT_STEP;
            for (place, record) in page {
                if wish
                    .since
                    .is_some_and(|since| record.at < since.minus(AUDIT_LATE_MAX))
                {
                    return Ok(found);
                }
                before = Some(place);
                if wish.holds(&record) {
                    found.records.push((place, record));
                }
                if found.records.len() >= limit {
                    return Ok(found);
                }
            }
            looked_at += AUDIT_STEP;
            if is_last {
                return Ok(found);
            }
            if looked_at >= AUDIT_LOOKED_AT_MAX {
                found.stopped_at = before;
                return Ok(found);
            }
        }
    }

    /// The latest audit records of a tenant, or of one matter, newest first.
    pub fn audit(
        &self,
        tenant: TenantId,
        matter: Option<Matter>,
        limit: usize,
    ) -> Result<Vec<AuditRecord>, Failure> {
        let found = audit::back(&*self.db, tenant, matter, None, limit)?;
        Ok(found.into_iter().map(|(_, record)| record).collect())
    }
}
