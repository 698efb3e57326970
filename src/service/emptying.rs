//! The bin empties itself: a draft or a notice that has lain there for its time goes, as if its owner had expunged it.
//!
//! What is on the legal record stays there, and nothing destroys it, the clock neither (`Item::on_record`). A draft that
//! went keeps who threw it away and when, so that it is not at hand for longer by having lain in the bin
//! (`mailbox::versions`). The work is listed with the items (`store::tables::bin`): who takes something out in the last
//! moment keeps it.

use crate::clock::{Clock, UtcTime};
use crate::domain::audit::{AuditRecord, Author, Matter};
use crate::domain::item::{Item, ItemKind};
use crate::id::TenantId;
use crate::service::bell::Bells;
use crate::service::failure::Failure;
use crate::store::db::{Batch, CommitError, Db};
use crate::store::tables::bin::BinStay;
use crate::store::tables::{Stored, audit, items, work};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Items that go by one look. At most seven rows each, below what a batch may hold.
const STEP: usize = 500;
/// How often a batch is tried against owners who change what is about to go.
const ATTEMPTS: usize = 16;

pub struct Emptying {
    pub db: Arc<dyn Db>,
    pub clock: Arc<dyn Clock>,
    pub bells: Bells,
}

impl Emptying {
    /// Lets go what is due. Gives how much was looked at.
    pub async fn run_due(&self) -> Result<usize, Failure> {
        for _ in 0..ATTEMPTS {
            let now = self.clock.now();
            let mut due: BTreeMap<TenantId, Vec<Stored<BinStay>>> = BTreeMap::new();
            for stay in work::due::<BinStay>(&*self.db, now, STEP)? {
                due.entry(stay.row.tenant).or_default().push(stay);
            }
            let (mut done, mut again) = (0, false);
            for (tenant, stays) in due {
                let batch = self.batch(tenant, &stays, now)?;
                match self.db.commit(batch).await {
                    Ok(_) => {
                        done += stays.len();
                        self.bells.mailboxes.ring(tenant);
                    }
                    // Somebody took one of them out, or it went otherwise.
                    Err(CommitError::Conflict { .. }) => again = true,
                    Err(other) => return Err(other.into()),
                }
            }
            if !again {
                return Ok(done);
            }
        }
        Err(Failure::Unavailable(
            "what is about to leave the bin changes all the time".into(),
        ))
    }

    fn batch(&self, tenant: TenantId, stays: &[Stored<BinStay>], now: UtcTime) -> Result<Batch, Failure> {
        let (mut batch, mut notices) = (Batch::new(), 0);
        for stay in stays {
            let item = items::item(&*self.db, tenant, stay.row.item)?;
            let over = |item: &Item| item.leaves_bin_at().is_some_and(|at| at <= now);
            let Some(old) = item.filter(|item| over(&item.row)) else {
                stay.remove(&mut batch);
                continue;
            };
            let new = Item {
                gone: true,
                ..old.row.clone()
            };
            // With it the work goes.
            items::replace(&mut batch, tenant, &old, &new)?;
            // Drafts are their author's own papers, and leave no record.
            if old.row.kind != ItemKind::Draft {
                let record = AuditRecord {
                    at: now,
                    author: Author::clock(),
                    deed: "mail destroy".into(),
                    about: vec![Matter::Item(new.id)],
                    before: "{\"gone\":false}".into(),
                    after: "{\"gone\":true}".into(),
                };
                audit::append(&mut batch, tenant, notices, &record)?;
                notices += 1;
            }
        }
        Ok(batch)
    }
}
