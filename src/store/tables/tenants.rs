//! Tenants, and who holds which name and address. An address once given is never given to somebody else (P27).

use super::{Key, Stored, insert, read, read_all, rows};
use crate::address::KepAddress;
use crate::domain::tenant::Tenant;
use crate::id::TenantId;
use crate::store::StoreError;
use crate::store::db::{Batch, Db};
use crate::store::row::RowError;
use serde::{Deserialize, Serialize};

/// Which tenant a name or an address belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    pub tenant: TenantId,
}

/// The last tenant number given out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LastTenant(pub TenantId);

rows! {
    Tenant => "tenants" v 5;
    Holder => "holders" v 1;
    LastTenant => "last tenant" v 1;
}

pub fn key(tenant: TenantId) -> Vec<u8> {
    Key::global(b"tn").number(tenant.0).done()
}

fn name_key(name: &str) -> Vec<u8> {
    Key::global(b"nm").octets(name.as_bytes()).done()
}

/// Addresses may be longer than a key: they are filed under their digest.
fn address_key(address: &KepAddress) -> Vec<u8> {
    Key::global(b"ad")
        .octets(&super::mails::digest(address.as_str().as_bytes()))
        .done()
}

pub fn by_id(db: &dyn Db, tenant: TenantId) -> Result<Option<Stored<Tenant>>, StoreError> {
    read(db, key(tenant))
}

pub fn all(db: &dyn Db) -> Result<Vec<Stored<Tenant>>, StoreError> {
    read_all(db, &Key::global(b"tn").done())
}

pub fn by_name(db: &dyn Db, name: &str) -> Result<Option<TenantId>, StoreError> {
    Ok(read::<Holder>(db, name_key(name))?.map(|h| h.row.tenant))
}

pub fn by_address(db: &dyn Db, address: &KepAddress) -> Result<Option<TenantId>, StoreError> {
    Ok(read::<Holder>(db, address_key(address))?.map(|h| h.row.tenant))
}

/// The number the next tenant gets, claimed by the batch.
pub fn claim_next(db: &dyn Db, batch: &mut Batch) -> Result<TenantId, StoreError> {
    let key = Key::global(b"lt").done();
    let next;
    match read::<LastTenant>(db, key.clone())? {
        Some(last) => {
            next = TenantId(last.row.0.0 + 1);
            last.replace(batch, &LastTenant(next))?;
        }
        None => {
            next = TenantId(1);
            insert(batch, key, &LastTenant(next))?;
        }
    }
    Ok(next)
}

/// A new tenant with its name and address, none of which may be taken.
pub fn add(batch: &mut Batch, tenant: &Tenant) -> Result<(), RowError> {
    let holder = Holder { tenant: tenant.id };
    insert(batch, key(tenant.id), tenant)?;
    insert(batch, name_key(&tenant.name), &holder)?;
    insert(batch, address_key(&tenant.address), &holder)
}
