//! The latest draft of a user under a Message-ID: by it a draft that is brought again is known as a new version.

use super::{Key, Stored, insert, mails, read, rows};
use crate::id::{ItemId, TenantId, UserId};
use crate::store::StoreError;
use crate::store::db::{Batch, Db};
use crate::store::row::RowError;
use serde::{Deserialize, Serialize};

/// The draft that was brought last under a Message-ID, there or gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LatestDraft {
    pub item: ItemId,
}

rows! {
    LatestDraft => "latest drafts" v 1;
}

/// A Message-ID may be longer than a key.
fn key(tenant: TenantId, user: UserId, message_id: &str) -> Vec<u8> {
    Key::tenant(tenant, b"dm")
        .number(user.0)
        .octets(&mails::digest(message_id.as_bytes()))
        .done()
}

pub fn latest(
    db: &dyn Db,
    tenant: TenantId,
    user: UserId,
    message_id: &str,
) -> Result<Option<Stored<LatestDraft>>, StoreError> {
    read(db, key(tenant, user, message_id))
}

/// Says which is the latest from now on; only if that is still as it was read.
pub fn set_latest(
    batch: &mut Batch,
    tenant: TenantId,
    user: UserId,
    message_id: &str,
    old: Option<&Stored<LatestDraft>>,
    item: ItemId,
) -> Result<(), RowError> {
    let new = LatestDraft { item };
    match old {
        Some(old) => old.replace(batch, &new),
        None => insert(batch, key(tenant, user, message_id), &new),
    }
}
