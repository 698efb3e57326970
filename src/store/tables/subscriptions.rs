//! What a user has said about his subscriptions (RFC 9051 6.3.7): only what differs from how it is without a word, where
//! every mailbox that is there is subscribed and nothing else is.

use super::{Key, Stored, read, read_all, rows};
use crate::id::{TenantId, UserId};
use crate::store::StoreError;
use crate::store::db::Db;
use crate::store::tables::mails::digest;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// The name of the mailbox, which need not be there.
    pub name: String,
    /// `true`: a name that is not there is subscribed; `false`: a mailbox is not.
    pub subscribed: bool,
}

rows! {
    Subscription => "subscriptions" v 1;
}

fn prefix(tenant: TenantId, user: UserId) -> Key {
    Key::tenant(tenant, b"sb").number(user.0)
}

/// A name may be longer than a key.
pub fn key(tenant: TenantId, user: UserId, name: &str) -> Vec<u8> {
    prefix(tenant, user).octets(&digest(name.as_bytes())).done()
}

pub fn of_user(db: &dyn Db, tenant: TenantId, user: UserId) -> Result<Vec<Stored<Subscription>>, StoreError> {
    read_all(db, &prefix(tenant, user).done())
}

pub fn one(
    db: &dyn Db,
    tenant: TenantId,
    user: UserId,
    name: &str,
) -> Result<Option<Stored<Subscription>>, StoreError> {
    read(db, key(tenant, user, name))
}
