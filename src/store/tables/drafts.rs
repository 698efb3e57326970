//! The latest draft of a user under a Message-ID: by it a draft that is brought again is known as a new version. And the
//! drafts that go on from a job that was given back, so that none is forgotten when the job goes on without them.

use super::items::{self, Stamped};
use super::{Key, Stored, for_each_raw, insert, mails, read, rows};
use crate::domain::item::Item;
use crate::id::{ItemId, JobId, TenantId, UserId};
use crate::store::StoreError;
use crate::store::db::{Batch, Db};
use crate::store::row::RowError;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The draft that was brought last under a Message-ID, there or gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LatestDraft {
    pub item: ItemId,
    /// It was submitted, and its author has been told why it became a draft.
    pub told: bool,
}

impl LatestDraft {
    /// One that is a draft because its author wanted so.
    pub fn saved(item: ItemId) -> Self {
        Self { item, told: false }
    }
}

rows! {
    LatestDraft => "latest drafts" v 2;
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
    new: LatestDraft,
) -> Result<(), RowError> {
    match old {
        Some(old) => old.replace(batch, &new),
        None => insert(batch, key(tenant, user, message_id), &new),
    }
}

fn resuming_prefix(tenant: TenantId, job: JobId) -> Key {
    Key::tenant(tenant, b"dj").octets(&job.octets())
}

/// Written with every item: one that goes on from a job is found by the job.
pub(super) fn list(batch: &mut Batch, tenant: TenantId, item: &Item) {
    if let Some(job) = item.resumes {
        let key = resuming_prefix(tenant, job).long(item.id.0).done();
        batch.put(key, Vec::new());
    }
}

/// The drafts that go on from a job, there or gone, in the order of their numbers.
pub fn resuming(db: &dyn Db, tenant: TenantId, job: JobId) -> Result<Vec<Arc<Stamped<Item>>>, StoreError> {
    let mut found = Vec::new();
    for_each_raw(db, &resuming_prefix(tenant, job).done(), |key, _| {
        if let Some(number) = key.last_chunk::<8>() {
            let draft = items::item(db, tenant, ItemId(u64::from_be_bytes(*number)))?;
            found.extend(draft.filter(|draft| draft.row.resumes == Some(job)));
        }
        Ok(())
    })?;
    Ok(found)
}
