//! Work that hashes, verifies or waits for the disk, away from the threads that serve sockets.

use crate::service::failure::Failure;

/// Does the work on a thread that may be held up; `what` is said should it break off.
pub async fn aside<T: Send + 'static>(
    what: &'static str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|e| Failure::Broken(format!("{what}: {e}")))
}
