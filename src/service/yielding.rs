//! A commit that yields to whoever was faster: it is done already, or the next look finds it as it is then.

use crate::service::failure::Failure;
use crate::store::db::{Batch, CommitError, Db};

/// Commits, unless somebody else changed meanwhile what the batch rests on; then nothing is done, and that is no failure.
pub async fn commit_or_yield(db: &dyn Db, batch: Batch) -> Result<(), Failure> {
    match db.commit(batch).await {
        Ok(_) | Err(CommitError::Conflict { .. }) => Ok(()),
        Err(other) => Err(other.into()),
    }
}
