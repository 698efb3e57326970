//! Which of the provider's own certificates are known to be revoked: it must be known after a restart, when nobody may tell.

use super::{Key, Stored, put, read, rows};
use crate::store::StoreError;
use crate::store::db::{Batch, Db};
use crate::store::row::RowError;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// SHA-256 of certificates; only of those whose keys are configured.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RevokedSeals {
    pub fingerprints: BTreeSet<[u8; 32]>,
}

rows! {
    RevokedSeals => "revoked own certificates" v 1;
}

fn key() -> Vec<u8> {
    Key::global(b"rk").done()
}

pub fn revoked(db: &dyn Db) -> Result<RevokedSeals, StoreError> {
    let stored: Option<Stored<RevokedSeals>> = read(db, key())?;
    Ok(stored.map(|s| s.row).unwrap_or_default())
}

pub fn set_revoked(batch: &mut Batch, revoked: &RevokedSeals) -> Result<(), RowError> {
    put(batch, key(), revoked)
}
