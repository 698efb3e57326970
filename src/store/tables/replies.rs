//! Answer addresses that were given out with status messages: whose they are, for which job, and what became of them.
//!
//! A row is found by the SHA-256 of the token only: who reads the store cannot answer in anybody's name.

use super::work::{self, EndingReply};
use super::{Key, Stored, insert, read, rows};
use crate::clock::UtcTime;
use crate::id::{ItemId, JobId, TenantId, UserId};
use crate::store::StoreError;
use crate::store::db::{Batch, Db};
use crate::store::row::RowError;
use serde::{Deserialize, Serialize};

/// An answer address: one answer of one user to one job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplyReference {
    pub job: JobId,
    pub user: UserId,
    /// The status message that gave it out.
    pub item: ItemId,
    /// The first moment at which it is void.
    pub until: UtcTime,
    /// SHA-256 of the answer that was taken: the same again is the same answer.
    pub used_by: Option<[u8; 32]>,
}

rows! {
    ReplyReference => "answer addresses" v 1;
}

fn key(tenant: TenantId, token_sha256: &[u8; 32]) -> Vec<u8> {
    Key::tenant(tenant, b"rf").octets(token_sha256).done()
}

/// Gives an address out, and says when it ends.
pub fn add(
    batch: &mut Batch,
    tenant: TenantId,
    token_sha256: [u8; 32],
    reference: &ReplyReference,
) -> Result<(), RowError> {
    insert(batch, key(tenant, &token_sha256), reference)?;
    let ending = EndingReply { tenant, token_sha256 };
    work::add(batch, reference.until, &ending)
}

pub fn find(
    db: &dyn Db,
    tenant: TenantId,
    token_sha256: &[u8; 32],
) -> Result<Option<Stored<ReplyReference>>, StoreError> {
    read(db, key(tenant, token_sha256))
}

/// The address is void: nothing is kept of it.
pub fn end(batch: &mut Batch, ending: &Stored<EndingReply>) {
    ending.remove(batch);
    batch.delete(key(ending.row.tenant, &ending.row.token_sha256));
}
