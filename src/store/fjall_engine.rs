//! The default engine: fjall 3, one keyspace, each group written to its journal and synced before it is visible.
//!
//! Every read is of a snapshot: fjall puts a batch into its memory row by row, and a read outside a snapshot sees those
//! that are there already.

use super::StoreError;
use super::db::Rows;
use super::floors::Floors;
use super::group::{Changes, Engine};
use super::journal_room::JournalRoom;
use super::probe::{self, Probe};
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode, Readable as _};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

struct FjallEngine {
    database: Database,
    rows: Keyspace,
    floors: Floors,
    room: Mutex<JournalRoom>,
}

/// What a row takes in the journal beside its key and value, about.
const ROW_BYTES: usize = 32;

pub(super) fn open(dir: &Path) -> Result<Arc<dyn Engine>, String> {
    let database = Database::builder(dir).open().map_err(|e| e.to_string())?;
    let rows = database
        .keyspace("rows", KeyspaceCreateOptions::default)
        .map_err(|e| e.to_string())?;
    Ok(Arc::new(FjallEngine {
        database,
        rows,
        floors: Floors::default(),
        room: Mutex::new(JournalRoom::new(dir)),
    }))
}

fn io(error: impl std::fmt::Display) -> StoreError {
    StoreError::Io(error.to_string())
}

impl FjallEngine {
    fn read(&self, from: Vec<u8>, to: &[u8], limit: usize, back: bool) -> Result<Rows, StoreError> {
        let mut rows = Rows::new();
        if from.as_slice() >= to {
            return Ok(rows);
        }
        let mut range = self.database.snapshot().range(&self.rows, from..to.to_vec());
        while rows.len() < limit {
            let next = if back { range.next_back() } else { range.next() };
            let Some(guard) = next else { break };
            let (key, value) = guard.into_inner().map_err(io)?;
            rows.push((key.to_vec(), value.to_vec()));
        }
        Ok(rows)
    }
}

impl Engine for FjallEngine {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let found = self.database.snapshot().get(&self.rows, key).map_err(io)?;
        Ok(found.map(|v| v.to_vec()))
    }

    fn range(&self, from: &[u8], to: &[u8], limit: usize, back: bool) -> Result<Rows, StoreError> {
        if back || limit == 0 {
            return self.read(from.to_vec(), to, limit, back);
        }
        let (start, look) = self.floors.look(from);
        let rows = self.read(start, to, limit, back);
        let first = rows.as_ref().ok().map(|rows| match rows.first() {
            Some((key, _)) => key.as_slice(),
            None => to,
        });
        self.floors.looked(look, first);
        rows
    }

    fn write(&self, changes: &Changes, probe: &dyn Probe) -> Result<(), String> {
        let mut batch = self.database.batch().durability(Some(PersistMode::SyncData));
        for (key, value) in changes {
            match value {
                Some(value) => batch.insert(&self.rows, key.as_slice(), value.as_slice()),
                None => batch.remove(&self.rows, key.as_slice()),
            }
        }
        // fjall writes and syncs in one call: the point before the sync lies inside it.
        probe.reached(probe::BEFORE_SYNC);
        let committed = batch.commit().map_err(|e| e.to_string());
        // Also after an error: some of it may be there.
        let written = changes.iter().filter(|(_, value)| value.is_some());
        self.floors.written(written.map(|(key, _)| key.as_slice()));
        // Nothing more is written until this returns.
        if committed.is_ok() {
            let octets = changes.iter().map(|(key, value)| {
                let value = value.as_ref().map_or(0, Vec::len);
                ROW_BYTES + key.len() + value
            });
            let mut room = self.room.lock().unwrap_or_else(PoisonError::into_inner);
            room.wrote(octets.sum::<usize>() as u64);
        }
        committed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::probe::NoProbe;
    use std::os::unix::fs::MetadataExt as _;

    /// Room is made in the file the engine writes to, and the engine finds in it all it has written.
    #[test]
    fn the_journal_has_room_ahead_and_says_what_it_said() {
        let dir = tempfile::tempdir().unwrap();
        let engine = open(dir.path()).unwrap();
        let row = |n: u32| (n.to_be_bytes().to_vec(), Some(vec![n as u8; 4096]));
        for n in 0..100 {
            engine.write(&Changes::from([row(n)]), &NoProbe).unwrap();
        }
        let files = std::fs::read_dir(dir.path()).unwrap();
        let blocks = files.map(|file| file.unwrap().metadata().unwrap().blocks() * 512);
        assert!(blocks.max().unwrap() > 2 * 1024 * 1024, "no room was made in it");
        drop(engine);
        let engine = open(dir.path()).unwrap();
        for n in 0..100 {
            let (key, value) = row(n);
            assert_eq!(engine.get(&key).unwrap(), value);
        }
    }
}
