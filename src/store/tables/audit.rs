//! The audit record of a tenant, in the order of commits; and which records are about what. Only ever added to.

use super::{Key, Stored, rows};
use crate::domain::audit::{AuditRecord, Matter};
use crate::id::TenantId;
use crate::store::db::{Batch, Db};
use crate::store::row::{self, RowError};
use crate::store::{StoreError, prefix_end};

rows! {
    AuditRecord => "audit" v 1;
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
