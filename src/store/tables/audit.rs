//! The audit record of a tenant, in the order of commits; and which records are about what. Only ever added to.

use super::{Key, Stored, rows};
use crate::clock::UtcTime;
use crate::domain::audit::{AuditRecord, Matter};
use crate::id::TenantId;
use crate::store::db::{Batch, Db};
use crate::store::row::{self, RowError};
use crate::store::spool::BlobRef;
use crate::store::{StoreError, prefix_end};
use serde::{Deserialize, Serialize};

rows! {
    AuditRecord => "audit" v 1;
    AuditSegment => "audit segments" v 1;
    AuditMark => "audit mark" v 1;
}

/// A day's records of all tenants: chained, sealed, time-stamped. Append-only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditSegment {
    /// Counts up from 1.
    pub number: u64,
    pub made_at: UtcTime,
    /// It holds every record behind this commit,
    pub after_commit: u64,
    /// up to this one.
    pub to_commit: u64,
    /// `domain::audit_chain`.
    pub text: BlobRef,
    /// Detached CMS over the text.
    pub seal: BlobRef,
    /// The last hash of the chain.
    pub last: [u8; 32],
}

/// Written to learn the number of a commit: all before it are visible then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditMark {
    pub at: UtcTime,
}

fn segment_key(number: u64) -> Vec<u8> {
    Key::global(b"as").long(number).done()
}

/// Adds a segment; a conflict if its number is taken.
pub fn add_segment(batch: &mut Batch, segment: &AuditSegment) -> Result<(), RowError> {
    super::insert(batch, segment_key(segment.number), segment)
}

/// All segments, oldest first: some 7,300 in twenty years.
pub fn segments(db: &dyn Db) -> Result<Vec<Stored<AuditSegment>>, StoreError> {
    super::read_all(db, &Key::global(b"as").done())
}

/// The last segment.
pub fn last_segment(db: &dyn Db) -> Result<Option<AuditSegment>, StoreError> {
    let prefix = Key::global(b"as").done();
    let last = db.range_back(&prefix, &prefix_end(&prefix), 1)?.pop();
    last.map(|(key, octets)| Stored::decode(key, octets).map(|s| s.row))
        .transpose()
}

/// Writes the mark.
pub fn set_mark(batch: &mut Batch, mark: &AuditMark) -> Result<(), RowError> {
    super::put(batch, Key::global(b"ak").done(), mark)
}

/// The records of a tenant behind `after_commit`, up to `to_commit`, in order.
pub fn between(
    db: &dyn Db,
    tenant: TenantId,
    after_commit: u64,
    to_commit: u64,
) -> Result<Vec<(Place, AuditRecord)>, StoreError> {
    let start = prefix(tenant).done();
    let mut from = prefix(tenant).long(after_commit.saturating_add(1)).done();
    let to = prefix(tenant).long(to_commit.saturating_add(1)).done();
    let mut out = Vec::new();
    loop {
        let rows = db.range(&from, &to, super::SCAN_STEP_ROWS)?;
        let more = rows.len() == super::SCAN_STEP_ROWS;
        for (key, octets) in rows {
            from = [key.as_slice(), &[0]].concat();
            if let Some(place) = key.strip_prefix(start.as_slice()).and_then(place) {
                out.push((place, Stored::decode(key, octets)?.row));
            }
        }
        if !more {
            return Ok(out);
        }
    }
}

/// Where a record stands: the number of its commit, and its place among the records of that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub commit: u64,
    pub nth: u32,
}

fn prefix(tenant: TenantId) -> Key {
    Key::tenant(tenant, b"au")
}

fn key(tenant: TenantId, place: Place) -> Vec<u8> {
    prefix(tenant).long(place.commit).number(place.nth).done()
}

fn matter_prefix(tenant: TenantId, matter: Matter) -> Key {
    let (kind, id): (u8, u128) = match matter {
        Matter::Tenant => (0, 0),
        Matter::Unit(id) => (1, id.0.into()),
        Matter::Role(id) => (2, id.0.into()),
        Matter::User(id) => (3, id.0.into()),
        Matter::Label(id) => (4, id.0.into()),
        Matter::Rule(id) => (5, id.0.into()),
        Matter::Job(id) => (6, u128::from_be_bytes(id.octets())),
        Matter::Item(id) => (7, id.0.into()),
    };
    Key::tenant(tenant, b"am")
        .octets(&[kind])
        .octets(&id.to_be_bytes())
}

/// Adds a record to the batch, as the `nth` of it.
pub fn append(batch: &mut Batch, tenant: TenantId, nth: u32, record: &AuditRecord) -> Result<(), RowError> {
    let at = prefix(tenant).len();
    let here = Place { commit: 0, nth };
    batch.put_stamped(key(tenant, here), Some(at), row::encode(record)?, None);
    for matter in &record.about {
        let start = matter_prefix(tenant, *matter);
        let at = start.len();
        batch.put_stamped(start.long(0).number(nth).done(), Some(at), Vec::new(), None);
    }
    Ok(())
}

fn place(rest: &[u8]) -> Option<Place> {
    let (commit, rest) = rest.split_first_chunk::<8>()?;
    Some(Place {
        commit: u64::from_be_bytes(*commit),
        nth: u32::from_be_bytes(rest.try_into().ok()?),
    })
}

/// The latest records, newest first.
pub fn latest(db: &dyn Db, tenant: TenantId, limit: usize) -> Result<Vec<(Place, AuditRecord)>, StoreError> {
    let prefix = prefix(tenant).done();
    let rows = db.range_back(&prefix, &prefix_end(&prefix), limit)?;
    let mut records = Vec::with_capacity(rows.len());
    for (key, octets) in rows {
        if let Some(place) = key.strip_prefix(prefix.as_slice()).and_then(place) {
            records.push((place, Stored::decode(key, octets)?.row));
        }
    }
    Ok(records)
}

/// The latest records about a matter, newest first.
pub fn about(
    db: &dyn Db,
    tenant: TenantId,
    matter: Matter,
    limit: usize,
) -> Result<Vec<(Place, AuditRecord)>, StoreError> {
    let prefix = matter_prefix(tenant, matter).done();
    let mut records = Vec::new();
    for (found, _) in db.range_back(&prefix, &prefix_end(&prefix), limit)? {
        let Some(place) = found.strip_prefix(prefix.as_slice()).and_then(place) else {
            continue;
        };
        if let Some(stored) = super::read::<AuditRecord>(db, key(tenant, place))? {
            records.push((place, stored.row));
        }
    }
    Ok(records)
}
