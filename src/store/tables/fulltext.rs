//! What of a tenant is in the full-text index: its segments, and the change of the item log they have caught up to. All of
//! it can be made anew from the items.

use super::{Key, Stored, insert, put, rows};
use crate::id::{ModSeq, TenantId};
use crate::store::StoreError;
use crate::store::db::{Batch, Db};
use crate::store::row::RowError;
use serde::{Deserialize, Serialize};

/// Segments of one tenant, so that the row fits: far more than are left when those of one size are joined.
pub const SEGMENTS_MAX: usize = 256;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Indexed {
    /// Of which form the files are, and by which rule texts were taken from the items.
    pub form: u32,
    pub caught_up: ModSeq,
    /// The number of the next segment.
    pub next: u64,
    pub segments: Vec<Segment>,
}

/// A run of documents in files of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Segment {
    pub number: u64,
    /// Sum of its head: files of another segment under its number are not taken for it.
    pub identity: u64,
    pub docs: u32,
    pub octets: u64,
}

rows! {
    Indexed => "fulltext" v 1;
}

fn key(tenant: TenantId) -> Vec<u8> {
    Key::tenant(tenant, b"fx").done()
}

pub fn read(db: &dyn Db, tenant: TenantId) -> Result<Option<Stored<Indexed>>, StoreError> {
    super::read(db, key(tenant))
}

/// The first row of a tenant.
pub fn add(batch: &mut Batch, tenant: TenantId, new: &Indexed) -> Result<(), RowError> {
    insert(batch, key(tenant), new)
}

/// Writes the row in the place of one that cannot be read.
pub fn put_anyway(batch: &mut Batch, tenant: TenantId, new: &Indexed) -> Result<(), RowError> {
    put(batch, key(tenant), new)
}
