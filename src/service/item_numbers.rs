//! Numbers of items: counted up in memory, from the highest in use. The store refuses a number given out twice. Who
//! numbers them also knows how much they are (`usage`).

use crate::domain::tenant::Tenant;
use crate::id::{ItemId, TenantId};
use crate::service::failure::Failure;
use crate::service::usage::{Sums, Usage};
use crate::store::db::Db;
use crate::store::tables::items;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

pub struct ItemNumbers {
    db: Arc<dyn Db>,
    last: Mutex<HashMap<TenantId, u64>>,
    sums: Sums,
}

impl ItemNumbers {
    pub fn new(db: Arc<dyn Db>) -> Self {
        Self {
            db,
            last: Mutex::default(),
            sums: Sums::default(),
        }
    }

    pub fn next(&self, tenant: TenantId) -> Result<ItemId, Failure> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let counter = match last.entry(tenant) {
            std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::hash_map::Entry::Vacant(new) => {
                new.insert(items::last_item(&*self.db, tenant)?.0)
            }
        };
        *counter += 1;
        Ok(ItemId(*counter))
    }

    /// How much the tenant keeps, and may keep.
    pub async fn usage(&self, tenant: &Tenant) -> Result<Usage, Failure> {
        let counted = self.sums.of(&*self.db, tenant.id).await?;
        self.sums.note(&*self.db, tenant.id).await;
        Ok(Usage::new(&counted, tenant))
    }
}
