//! How much a tenant keeps here: messages and their octets, counted once and from then on only what is new.
//!
//! Item numbers only grow and what an item contains never changes, so a sum up to a number stays right. A number below it
//! may still be on its way to the disk, for numbers are given out before the commit: it is looked for again until it is
//! known never to come. The sum is noted in the store now and then, so that a restart does not count all again; that
//! row decides nothing.
//!
//! All messages count, earlier versions of drafts and the bin as well: nothing of it is ever taken away, and the
//! provider says in the contract how much it may be. Evidence does not.

use crate::domain::item::{Item, ItemKind};
use crate::domain::tenant::Tenant;
use crate::id::{ItemId, TenantId};
use crate::service::failure::{Failure, Kind};
use crate::store::db::{Batch, Db};
use crate::store::tables::items;
use crate::store::tables::usage::{self, Counted};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Items counted before the sum is noted: what a restart counts again.
const NOTED_EVERY: u64 = 1000;
/// Numbers looked for again. More than are under way at once; older ones were given up by who had them.
const MISSING_MAX: usize = 256;
/// Items read in one step.
const STEP: usize = 500;

/// What a tenant keeps, and may keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    pub messages: u64,
    pub storage_bytes: u64,
    /// `None`: as much as he likes.
    pub storage_max_bytes: Option<u64>,
}

/// The sums as far as they were counted.
#[derive(Debug, Default)]
pub struct Sums(Mutex<HashMap<TenantId, (Counted, u64)>>);

impl Sums {
    /// What the tenant keeps now.
    pub(super) async fn of(&self, db: &dyn Db, tenant: TenantId) -> Result<Counted, Failure> {
        let (mut counted, noted) = match self.kept(tenant) {
            Some(known) => known,
            None => {
                let mut stored = usage::counted(db, tenant)?.unwrap_or_default();
                let to = stored.to;
                count(db, tenant, &mut stored).await?;
                // What an earlier process gave out and is not there by now never comes.
                stored.missing.retain(|number| *number > to);
                (stored, to.0)
            }
        };
        count(db, tenant, &mut counted).await?;
        Ok(self.keep(tenant, counted, noted))
    }

    fn kept(&self, tenant: TenantId) -> Option<(Counted, u64)> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(&tenant).cloned()
    }

    /// Another may have counted further meanwhile.
    fn keep(&self, tenant: TenantId, counted: Counted, noted: u64) -> Counted {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match kept.get(&tenant) {
            Some((further, _)) if further.to > counted.to => further.clone(),
            _ => {
                kept.insert(tenant, (counted.clone(), noted));
                counted
            }
        }
    }

    /// What is to be noted now, if it is time.
    fn to_note(&self, tenant: TenantId) -> Option<Counted> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (counted, noted) = kept.get_mut(&tenant)?;
        if counted.to.0 < noted.saturating_add(NOTED_EVERY) {
            return None;
        }
        *noted = counted.to.0;
        Some(counted.clone())
    }

    /// Notes the sum where it has grown enough. That it cannot be noted does not matter.
    pub(super) async fn note(&self, db: &dyn Db, tenant: TenantId) {
        let Some(counted) = self.to_note(tenant) else {
            return;
        };
        let mut batch = Batch::new();
        if usage::note(&mut batch, tenant, &counted).is_ok()
            && let Err(error) = db.commit(batch).await
        {
            tracing::debug!(%error, "the usage of a tenant was not noted");
        }
    }
}

/// Adds what came since.
async fn count(db: &dyn Db, tenant: TenantId, counted: &mut Counted) -> Result<(), Failure> {
    let mut still = Vec::new();
    for number in std::mem::take(&mut counted.missing) {
        match items::item(db, tenant, number)? {
            Some(item) => add(db, tenant, &item.row, counted)?,
            None => still.push(number),
        }
    }
    counted.missing = still;
    loop {
        let next = ItemId(counted.to.0.saturating_add(1));
        let found = items::step(db, tenant, next, STEP)?;
        for item in &found {
            let skipped = counted.to.0.saturating_add(1)..item.id.0;
            // Of a long run only its end can be under way.
            let from = skipped.end.saturating_sub(MISSING_MAX as u64).max(skipped.start);
            counted.missing.extend((from..skipped.end).map(ItemId));
            add(db, tenant, item, counted)?;
            counted.to = item.id;
        }
        let over = counted.missing.len().saturating_sub(MISSING_MAX);
        counted.missing.drain(..over);
        if found.len() < STEP {
            return Ok(());
        }
        // The first count of a large tenant takes its time; others get their turn.
        tokio::task::yield_now().await;
    }
}

/// Evidence is kept by the provider, and is no part of what the tenant keeps (`docs/features.md` P10).
fn add(db: &dyn Db, tenant: TenantId, item: &Item, counted: &mut Counted) -> Result<(), Failure> {
    if item.kind != ItemKind::Evidence {
        let body = items::body(db, tenant, item.id)?;
        counted.add(body.map_or(0, |body| body.row.content.size_bytes()));
    }
    Ok(())
}

impl Usage {
    pub(super) fn new(counted: &Counted, tenant: &Tenant) -> Self {
        Self {
            messages: counted.messages,
            storage_bytes: counted.octets,
            storage_max_bytes: tenant.storage_max_bytes,
        }
    }

    /// Whether a user may bring so many octets more.
    pub fn room_for(&self, size_bytes: u64) -> Result<(), Failure> {
        let after = self.storage_bytes.saturating_add(size_bytes);
        if self.storage_max_bytes.is_none_or(|most| after <= most) {
            return Ok(());
        }
        let say = "the account's storage is full; what is kept stays, and what comes in is still taken. Ask your \
                   provider for more";
        Err(Failure::refused(Kind::OverQuota, say))
    }
}
