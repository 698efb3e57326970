//! The selectable engine: sled 0.34, one tree. Its own flush does not reach the disk, so its log is synced here after
//! each group; a batch may still be half there after a torn write, and rows are visible shortly before they are
//! durable. `kepd check` says so (`docs/decisions/0001-engine-fjall-sled.md`).

use super::StoreError;
use super::db::Rows;
use super::group::{Changes, Engine};
use super::probe::{self, Probe};
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How often it is tried to open what a store of this process had open a moment ago, and how long between.
const OPEN_ATTEMPTS: u32 = 100;
const OPEN_AGAIN_AFTER: Duration = Duration::from_millis(10);

struct SledEngine {
    database: sled::Db,
    log: File,
}

pub(super) fn open(dir: &Path) -> Result<Arc<dyn Engine>, String> {
    let config = sled::Config::new().path(dir).flush_every_ms(None);
    let database = open_once_free(&config).map_err(|e| e.to_string())?;
    let log = File::open(dir.join("db")).map_err(|e| e.to_string())?;
    // What it found may have been written and not synced before the last stop; from now on it is read.
    log.sync_data().map_err(|e| e.to_string())?;
    Ok(Arc::new(SledEngine { database, log }))
}

/// Threads of sled's own let go of its files shortly after it was closed. Nobody else can hold them: the store has a lock
/// of its own.
fn open_once_free(config: &sled::Config) -> sled::Result<sled::Db> {
    for _ in 0..OPEN_ATTEMPTS {
        match config.open() {
            Err(sled::Error::Io(error)) if is_locked(&error) => std::thread::sleep(OPEN_AGAIN_AFTER),
            opened => return opened,
        }
    }
    config.open()
}

/// sled tells it as an error of another kind, with the system's words in its own.
fn is_locked(error: &std::io::Error) -> bool {
    error.to_string().contains("could not acquire lock")
}

fn io(error: impl std::fmt::Display) -> StoreError {
    StoreError::Io(error.to_string())
}

impl Engine for SledEngine {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.database.get(key).map_err(io)?.map(|v| v.to_vec()))
    }

    fn range(&self, from: &[u8], to: &[u8], limit: usize, back: bool) -> Result<Rows, StoreError> {
        if from >= to {
            return Ok(Vec::new());
        }
        let mut range = self.database.range(from.to_vec()..to.to_vec());
        let mut rows = Rows::new();
        while rows.len() < limit {
            let next = if back { range.next_back() } else { range.next() };
            let Some(row) = next else { break };
            let (key, value) = row.map_err(io)?;
            rows.push((key.to_vec(), value.to_vec()));
        }
        Ok(rows)
    }

    fn write(&self, changes: &Changes, probe: &dyn Probe) -> Result<(), String> {
        let mut batch = sled::Batch::default();
        for (key, value) in changes {
            match value {
                Some(value) => batch.insert(key.as_slice(), value.as_slice()),
                None => batch.remove(key.as_slice()),
            }
        }
        self.database.apply_batch(batch).map_err(|e| e.to_string())?;
        probe.reached(probe::BEFORE_SYNC);
        self.database.flush().map_err(|e| e.to_string())?;
        self.log.sync_data().map_err(|e| e.to_string())
    }
}
