//! What is kept so that evidence stays provable (RFC 4998): the hash tree of each night with its time-stamps, and where in it each
//! object lies. The octets of trees, time-stamps and lists are blobs; here is how they hang together.
//!
//! Objects are found by the SHA-256 of their octets, whatever digest algorithm a tree has. A hash-tree renewal makes a further
//! *generation* of a night over the same list, so that an object's place never changes.

use super::{Key, Stored, insert, put, read, read_all, rows};
use crate::clock::UtcTime;
use crate::store::db::{Batch, Db};
use crate::store::row::RowError;
use crate::store::spool::BlobRef;
use crate::store::tables::items::Content;
use crate::store::{StoreError, prefix_end};
use serde::{Deserialize, Serialize};

/// One hash tree over a night's objects, and the time-stamps over its root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generation {
    /// `cms::ers::Tree`.
    pub tree: BlobRef,
    /// `cms::ers::Batch`.
    pub stamps: BlobRef,
}

/// The objects that were taken in together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreservedNight {
    /// Counts up from 1.
    pub number: u64,
    pub made_at: UtcTime,
    /// A list of [`Listed`], in order of leaf.
    pub list: BlobRef,
    pub leaves: u32,
    /// How many of the objects have their [`PreservedPlace`]. Fewer than all: filing was interrupted.
    pub filed: u32,
    /// Oldest first; all but the last are closed.
    pub generations: Vec<Generation>,
}

/// An object of a night.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    pub sha256: [u8; 32],
    pub content: Content,
}

/// Where an object lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreservedPlace {
    pub night: u64,
    pub leaf: u32,
}

rows! {
    PreservedNight => "preserved nights" v 1;
    PreservedPlace => "places of preserved objects" v 1;
}

fn night_key(number: u64) -> Vec<u8> {
    Key::global(b"pn").long(number).done()
}

fn place_key(sha256: &[u8; 32]) -> Vec<u8> {
    Key::global(b"pp").octets(sha256).done()
}

/// Adds a night; a conflict if its number is taken.
pub fn add_night(batch: &mut Batch, night: &PreservedNight) -> Result<(), RowError> {
    insert(batch, night_key(night.number), night)
}

pub fn night(db: &dyn Db, number: u64) -> Result<Option<Stored<PreservedNight>>, StoreError> {
    read(db, night_key(number))
}

/// The last night: the only one whose filing can have been interrupted, for the next begins when it is filed.
pub fn last_night(db: &dyn Db) -> Result<Option<Stored<PreservedNight>>, StoreError> {
    let prefix = Key::global(b"pn").done();
    let last = db.range_back(&prefix, &prefix_end(&prefix), 1)?.pop();
    last.map(|(key, octets)| Stored::decode(key, octets)).transpose()
}

/// All nights, oldest first: some thousands in twenty years.
pub fn nights(db: &dyn Db) -> Result<Vec<Stored<PreservedNight>>, StoreError> {
    read_all(db, &Key::global(b"pn").done())
}

pub fn place(db: &dyn Db, sha256: &[u8; 32]) -> Result<Option<PreservedPlace>, StoreError> {
    let stored: Option<Stored<PreservedPlace>> = read(db, place_key(sha256))?;
    Ok(stored.map(|s| s.row))
}

/// Writing the same place twice does no harm.
pub fn set_place(batch: &mut Batch, sha256: &[u8; 32], place: PreservedPlace) -> Result<(), RowError> {
    put(batch, place_key(sha256), &place)
}
