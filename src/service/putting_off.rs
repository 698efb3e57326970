//! Work that failed is put off, so that it holds up nothing else of its table.

use crate::clock::UtcTime;
use crate::service::failure::Failure;
use crate::service::yielding::commit_or_yield;
use crate::store::db::{Batch, Db};
use crate::store::tables::Stored;
use crate::store::tables::work::{self, Work};
use std::time::Duration;

/// The pause after work that failed for no reason of its own: a full disk, or an error of ours.
pub const AFTER_FAILURE: Duration = Duration::from_secs(60);

/// Moves work, as it is, to a later time. Somebody else may have taken it meanwhile; then there is nothing to move.
pub async fn put_off<W: Work>(db: &dyn Db, stored: &Stored<W>, until: UtcTime) -> Result<(), Failure> {
    let mut batch = Batch::new();
    work::postpone(&mut batch, stored, until, &stored.row)?;
    commit_or_yield(db, batch).await
}
