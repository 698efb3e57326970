//! Profiles of other providers.

use super::{Key, Stored, read, read_all, rows};
use crate::address::Domain;
use crate::domain::provider::Peer;
use crate::store::StoreError;
use crate::store::db::{Batch, Db};
use crate::store::row::RowError;

rows! {
    Peer => "peers" v 1;
}

fn key(domain: &Domain) -> Vec<u8> {
    Key::global(b"pe")
        .octets(&super::mails::digest(domain.as_str().as_bytes()))
        .done()
}

pub fn peer(db: &dyn Db, domain: &Domain) -> Result<Option<Stored<Peer>>, StoreError> {
    read(db, key(domain))
}

pub fn all(db: &dyn Db) -> Result<Vec<Stored<Peer>>, StoreError> {
    read_all(db, &Key::global(b"pe").done())
}

pub fn put(batch: &mut Batch, peer: &Peer) -> Result<(), RowError> {
    super::put(batch, key(&peer.domain), peer)
}

pub fn remove(batch: &mut Batch, domain: &Domain) {
    batch.delete(key(domain));
}
