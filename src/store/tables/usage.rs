//! How much a tenant keeps, as it was counted last. A note and nothing more: without it all is counted again.

use super::{Key, put, read, rows};
use crate::id::{ItemId, TenantId};
use crate::store::StoreError;
use crate::store::db::{Batch, Db};
use crate::store::row::RowError;
use serde::{Deserialize, Serialize};

/// All items up to a number, but for some that were not there.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counted {
    pub to: ItemId,
    pub messages: u64,
    pub octets: u64,
    /// Numbers below that may still come.
    pub missing: Vec<ItemId>,
}

rows! {
    Counted => "usage" v 1;
}

impl Counted {
    pub fn add(&mut self, octets: u64) {
        self.messages = self.messages.saturating_add(1);
        self.octets = self.octets.saturating_add(octets);
    }
}

fn key(tenant: TenantId) -> Vec<u8> {
    Key::tenant(tenant, b"sz").done()
}

pub fn counted(db: &dyn Db, tenant: TenantId) -> Result<Option<Counted>, StoreError> {
    Ok(read::<Counted>(db, key(tenant))?.map(|stored| stored.row))
}

pub fn note(batch: &mut Batch, tenant: TenantId, counted: &Counted) -> Result<(), RowError> {
    put(batch, key(tenant), counted)
}
