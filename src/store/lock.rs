//! The lock on a store's folder: one process has it open.

use std::fs::{File, OpenOptions};
use std::path::Path;

/// Held as long as the store is open; the last thing that goes when it is closed.
pub(super) struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing the file would not do: a process being started elsewhere may hold a copy of it until its exec.
        let _ = rustix::fs::flock(&self.0, rustix::fs::FlockOperation::Unlock);
    }
}

pub(super) enum LockError {
    Held,
    Io(std::io::Error),
}

pub(super) fn lock(dir: &Path) -> Result<Lock, LockError> {
    let open = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(dir.join("lock"));
    let file = open.map_err(LockError::Io)?;
    match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Lock(file)),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(LockError::Held),
        Err(e) => Err(LockError::Io(e.into())),
    }
}
