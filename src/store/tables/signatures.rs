//! Signatures of persons that came with a mail and were taken: each counts for one mail of an account. Kept as long as the
//! mails are; which mail may bring one again is not decided here.

use super::{Key, Stored, insert, read, rows};
use crate::id::{MailId, TenantId};
use crate::store::StoreError;
use crate::store::db::{Batch, Db};
use crate::store::row::RowError;
use serde::{Deserialize, Serialize};

/// The mail that a signature was taken with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsedSignature {
    pub mail: MailId,
}

rows! {
    UsedSignature => "used signatures" v 1;
}

fn key(tenant: TenantId, mark: &[u8; 32]) -> Vec<u8> {
    Key::tenant(tenant, b"sg").octets(mark).done()
}

/// The mail that the signature with this mark was taken with last.
pub fn used(
    db: &dyn Db,
    tenant: TenantId,
    mark: &[u8; 32],
) -> Result<Option<Stored<UsedSignature>>, StoreError> {
    read(db, key(tenant, mark))
}

/// Says with which mail it was taken; only if that is still as it was read, so that of two at once one passes.
pub fn set_used(
    batch: &mut Batch,
    tenant: TenantId,
    mark: &[u8; 32],
    old: Option<&Stored<UsedSignature>>,
    new: UsedSignature,
) -> Result<(), RowError> {
    match old {
        Some(old) => old.replace(batch, &new),
        None => insert(batch, key(tenant, mark), &new),
    }
}
