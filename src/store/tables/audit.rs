//! The audit record of a tenant, in the order of commits; the records of all tenants in that order; and which records are
//! about what. Only ever added to. The provider's own stand under a tenant's number that nobody has (`PROVIDER`).

use super::{Key, Stored, rows};
use crate::clock::UtcTime;
use crate::domain::audit::{AuditRecord, Matter};
use crate::domain::audit_chain::At;
use crate::id::TenantId;
use crate::store::db::{Batch, Db};
use crate::store::row::{self, RowError};
use crate::store::spool::BlobRef;
use crate::store::{StoreError, prefix_end};
use serde::{Deserialize, Serialize};

rows! {
    AuditRecord => "audit" v 2;
    AuditSegment => "audit segments" v 2;
    AuditHead => "audit head" v 1;
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
    /// The day had more records than one segment takes: the next one is due at once.
    pub more: bool,
}

/// Where the chain ends, written with each segment: a segment whose row is taken away is missed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditHead {
    /// How many segments were ever sealed.
    pub segments: u64,
    pub made_at: UtcTime,
    pub to_commit: u64,
    pub last: [u8; 32],
    pub more: bool,
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

/// Where the chain ends; before the first segment nowhere.
pub fn head(db: &dyn Db) -> Result<Option<Stored<AuditHead>>, StoreError> {
    super::read(db, Key::global(b"ah").done())
}

/// Writes where the chain ends, if it still ended at `old`.
pub fn set_head(
    batch: &mut Batch,
    old: Option<&Stored<AuditHead>>,
    head: &AuditHead,
) -> Result<(), RowError> {
    match old {
        Some(old) => old.replace(batch, head),
        None => super::insert(batch, Key::global(b"ah").done(), head),
    }
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

fn order_key(at: At) -> Vec<u8> {
    let key = Key::global(b"ao").long(at.commit);
    key.number(at.tenant.0).number(at.nth).done()
}

fn order_at(key: &[u8]) -> Option<At> {
    let rest = key.strip_prefix(Key::global(b"ao").done().as_slice())?;
    let (commit, rest) = rest.split_first_chunk::<8>()?;
    let (tenant, nth) = rest.split_first_chunk::<4>()?;
    Some(At {
        commit: u64::from_be_bytes(*commit),
        tenant: TenantId(u32::from_be_bytes(*tenant)),
        nth: u32::from_be_bytes(nth.try_into().ok()?),
    })
}

/// The next places of records of all tenants, in the order of commits: behind `after`, with commits up to `to_commit`.
pub fn in_order(db: &dyn Db, after: After, to_commit: u64, limit: usize) -> Result<Vec<At>, StoreError> {
    let from = match after {
        After::Commit(commit) => Key::global(b"ao").long(commit.saturating_add(1)).done(),
        After::Record(at) => [order_key(at).as_slice(), &[0]].concat(),
    };
    let to = match to_commit.checked_add(1) {
        Some(next) => Key::global(b"ao").long(next).done(),
        None => prefix_end(&Key::global(b"ao").done()),
    };
    if from >= to {
        return Ok(Vec::new());
    }
    let rows = db.range(&from, &to, limit)?;
    Ok(rows.iter().filter_map(|(key, _)| order_at(key)).collect())
}

/// How many records stand behind a commit, counted up to `most`.
pub fn count_after(db: &dyn Db, after_commit: u64, most: u64) -> Result<u64, StoreError> {
    let (mut after, mut count) = (After::Commit(after_commit), 0);
    while count < most {
        let places = in_order(db, after, u64::MAX, super::SCAN_STEP_ROWS)?;
        count += places.len() as u64;
        match places.last() {
            Some(last) if places.len() == super::SCAN_STEP_ROWS => after = After::Record(*last),
            _ => break,
        }
    }
    Ok(count)
}

/// Where a walk in order goes on.
#[derive(Debug, Clone, Copy)]
pub enum After {
    Commit(u64),
    Record(At),
}

/// Whether a record stands in the order of all: the order is what is sealed.
pub fn is_in_order(db: &dyn Db, at: At) -> Result<bool, StoreError> {
    Ok(db.get(&order_key(at))?.is_some())
}

/// One record.
pub fn record(db: &dyn Db, at: At) -> Result<Option<AuditRecord>, StoreError> {
    let place = Place {
        commit: at.commit,
        nth: at.nth,
    };
    let stored = super::read(db, key(at.tenant, place))?;
    Ok(stored.map(|stored| stored.row))
}

/// The places of a tenant's records behind `after`, in order.
pub fn places(
    db: &dyn Db,
    tenant: TenantId,
    after: Option<Place>,
    limit: usize,
) -> Result<Vec<At>, StoreError> {
    let start = prefix(tenant).done();
    let from = match after {
        Some(place) => [key(tenant, place).as_slice(), &[0]].concat(),
        None => start.clone(),
    };
    let rows = db.range(&from, &prefix_end(&start), limit)?;
    let places = rows
        .iter()
        .filter_map(|(key, _)| key.strip_prefix(start.as_slice()).and_then(place));
    Ok(places
        .map(|place| At {
            commit: place.commit,
            tenant,
            nth: place.nth,
        })
        .collect())
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
        Matter::Mail(id) => (8, u128::from_be_bytes(id.octets())),
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
    let order = order_key(At {
        commit: 0,
        tenant,
        nth,
    });
    batch.put_stamped(order, Some(Key::global(b"ao").len()), Vec::new(), None);
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

/// The records of a tenant, or of one matter, newest first: those before a place, or the latest.
pub fn back(
    db: &dyn Db,
    tenant: TenantId,
    matter: Option<Matter>,
    before: Option<Place>,
    limit: usize,
) -> Result<Vec<(Place, AuditRecord)>, StoreError> {
    let prefix = match matter {
        Some(matter) => matter_prefix(tenant, matter),
        None => prefix(tenant),
    };
    let start = prefix.clone().done();
    let end = match before {
        Some(before) => prefix.long(before.commit).number(before.nth).done(),
        None => prefix_end(&start),
    };
    let mut records = Vec::new();
    for (found, octets) in db.range_back(&start, &end, limit)? {
        let Some(place) = found.strip_prefix(start.as_slice()).and_then(place) else {
            continue;
        };
        let stored = match matter {
            Some(_) => super::read::<AuditRecord>(db, key(tenant, place))?,
            None => Some(Stored::decode(found, octets)?),
        };
        records.extend(stored.map(|stored| (place, stored.row)));
    }
    Ok(records)
}

/// The latest records, newest first.
pub fn latest(db: &dyn Db, tenant: TenantId, limit: usize) -> Result<Vec<(Place, AuditRecord)>, StoreError> {
    back(db, tenant, None, None, limit)
}

/// The latest records about a matter, newest first.
pub fn about(
    db: &dyn Db,
    tenant: TenantId,
    matter: Matter,
    limit: usize,
) -> Result<Vec<(Place, AuditRecord)>, StoreError> {
    back(db, tenant, Some(matter), None, limit)
}
