//! Typed tables over `Db`: which rows exist and under which keys. They decide nothing.
//!
//! A tenant's keys start with `t` and the tenant's number, so that no scan of one tenant can wander into another's;
//! what the provider as a whole needs (names, addresses, work that is due) starts with `g`. `docs/storage.md` draws
//! the key space.

pub mod audit;
pub mod bin;
pub mod certificates;
pub mod credit;
pub mod drafts;
pub mod evidence;
pub mod flags;
pub mod fulltext;
pub mod items;
pub mod jobs;
pub mod lasting;
pub mod mails;
pub mod org;
pub mod own_seals;
pub mod peers;
pub mod preservation;
pub mod replies;
pub mod signatures;
mod stamped;
pub mod subscriptions;
pub mod tenants;
pub mod usage;
pub mod views;
pub mod words;
pub mod work;

use crate::id::TenantId;
use crate::store::db::{Batch, Db};
use crate::store::row::{self, Row, RowError};
use crate::store::{StoreError, prefix_end};

/// How many rows one step of a scan reads.
pub const SCAN_STEP_ROWS: usize = 512;

/// A row as it was read: its value, and the octets a later batch may require to be unchanged.
#[derive(Debug, Clone)]
pub struct Stored<R> {
    pub row: R,
    key: Vec<u8>,
    octets: Vec<u8>,
}

impl<R: Row> Stored<R> {
    /// The row as it was found under `key`.
    pub fn decode(key: Vec<u8>, octets: Vec<u8>) -> Result<Self, StoreError> {
        let row = row::decode::<R>(&octets).map_err(|e| unreadable(e, &key))?;
        Ok(Self { row, key, octets })
    }

    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// Adds to the batch: only if nobody changed the row meanwhile.
    pub fn require_unchanged(&self, batch: &mut Batch) {
        batch.require_equals(self.key.clone(), self.octets.clone());
    }

    /// Writes a new version of the row, only if nobody changed it meanwhile.
    pub fn replace(&self, batch: &mut Batch, new: &R) -> Result<(), RowError> {
        self.require_unchanged(batch);
        batch.put(self.key.clone(), row::encode(new)?);
        Ok(())
    }

    /// Deletes the row, only if it is still there unchanged.
    pub fn remove(&self, batch: &mut Batch) {
        self.require_unchanged(batch);
        batch.delete(self.key.clone());
    }
}

/// Reads one row.
pub fn read<R: Row>(db: &dyn Db, key: Vec<u8>) -> Result<Option<Stored<R>>, StoreError> {
    match db.get(&key)? {
        Some(octets) => Stored::decode(key, octets).map(Some),
        None => Ok(None),
    }
}

/// Reads all rows under a prefix, in key order.
pub fn read_all<R: Row>(db: &dyn Db, prefix: &[u8]) -> Result<Vec<Stored<R>>, StoreError> {
    let mut rows = Vec::new();
    for_each_raw(db, prefix, |key, octets| {
        rows.push(Stored::decode(key, octets)?);
        Ok(())
    })?;
    Ok(rows)
}

/// Walks all rows under a prefix, in key order, a step at a time.
pub fn for_each_raw(
    db: &dyn Db,
    prefix: &[u8],
    mut each: impl FnMut(Vec<u8>, Vec<u8>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let end = prefix_end(prefix);
    let mut from = prefix.to_vec();
    loop {
        let rows = db.range(&from, &end, SCAN_STEP_ROWS)?;
        let more = rows.len() == SCAN_STEP_ROWS;
        if let Some((last, _)) = rows.last() {
            from = last.clone();
            from.push(0);
        }
        for (key, octets) in rows {
            each(key, octets)?;
        }
        if !more {
            return Ok(());
        }
    }
}

/// Puts a row that must not exist yet.
pub fn insert<R: Row>(batch: &mut Batch, key: Vec<u8>, row: &R) -> Result<(), RowError> {
    batch.require_absent(key.clone());
    batch.put(key, row::encode(row)?);
    Ok(())
}

/// Puts a row whatever was there.
pub fn put<R: Row>(batch: &mut Batch, key: Vec<u8>, row: &R) -> Result<(), RowError> {
    batch.put(key, row::encode(row)?);
    Ok(())
}

fn unreadable(error: RowError, key: &[u8]) -> StoreError {
    StoreError::Unreadable {
        key: key.to_vec(),
        error,
    }
}

/// What most keys have room in: a table of a tenant, and three numbers.
const KEY_OCTETS: usize = 32;

/// A key under construction. Numbers are big-endian, so that keys sort as their numbers do.
#[derive(Debug, Clone)]
pub struct Key(Vec<u8>);

impl Key {
    /// A key of one tenant, in the table `table` (two letters).
    pub fn tenant(tenant: TenantId, table: &'static [u8; 2]) -> Self {
        Self::raw(b"t").number(tenant.0).octets(table)
    }

    /// A key of the provider as a whole.
    pub fn global(table: &'static [u8; 2]) -> Self {
        Self::raw(b"g").octets(table)
    }

    fn raw(start: &[u8]) -> Self {
        // Room for all that most keys hold: they are made for every row that is read.
        let mut key = Vec::with_capacity(KEY_OCTETS);
        key.extend_from_slice(start);
        Self(key)
    }

    pub fn number(mut self, n: u32) -> Self {
        self.0.extend_from_slice(&n.to_be_bytes());
        self
    }

    pub fn long(mut self, n: u64) -> Self {
        self.0.extend_from_slice(&n.to_be_bytes());
        self
    }

    pub fn octets(mut self, octets: &[u8]) -> Self {
        self.0.extend_from_slice(octets);
        self
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn done(self) -> Vec<u8> {
        self.0
    }
}

/// Rows of a type of the domain, in a table of their own name and version.
macro_rules! rows {
    ($($type:ty => $table:literal v $version:literal;)*) => {$(
        impl $crate::store::row::Row for $type {
            const TABLE: &'static str = $table;
            const VERSION: u8 = $version;
        }
    )*};
}
pub(crate) use rows;
