//! The default engine: fjall 3, one keyspace, each group written to its journal and synced before it is visible.
//!
//! Every read is of a snapshot: fjall puts a batch into its memory row by row, and a read outside a snapshot sees those
//! that are there already.

use super::StoreError;
use super::db::Rows;
use super::floors::Floors;
use super::group::{Changes, Engine};
use super::probe::{self, Probe};
use super::torn_journal;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode, Readable as _};
use std::path::Path;
use std::sync::Arc;

struct FjallEngine {
    database: Database,
    rows: Keyspace,
    floors: Floors,
}

pub(super) fn open(dir: &Path) -> Result<Arc<dyn Engine>, String> {
    let database = open_database(dir)?;
    let rows = database
        .keyspace("rows", KeyspaceCreateOptions::default)
        .map_err(|e| e.to_string())?;
    Ok(Arc::new(FjallEngine {
        database,
        rows,
        floors: Floors::default(),
    }))
}

/// Opens it also after a power cut that left a hole in the batch nobody had been answered on, and not where fjall would
/// pass over commits between others.
fn open_database(dir: &Path) -> Result<Database, String> {
    let opened = open_whole(dir);
    torn_journal::tidy(dir);
    opened
}

fn open_whole(dir: &Path) -> Result<Database, String> {
    let said = |error: fjall::Error| error.to_string();
    match torn_journal::damaged_before_the_last(dir) {
        Ok(None) => {}
        Ok(Some(journal)) => {
            let journal = journal.display();
            return Err(format!(
                "{journal} is not whole, or missing, and others follow; nothing was changed: restore a backup, or see docs/operating.md"
            ));
        }
        // A disk that is full must not keep users from what is there.
        Err(error) if torn_journal::is_out_of_room(&error) => tracing::error!(
            %error,
            "no room to judge the journals in: if the disk lost some of them, the engine passes over it; make room and start again"
        ),
        Err(error) => return Err(format!("the journals cannot be looked at: {error}")),
    }
    match Database::builder(dir).open() {
        Err(error) if torn_journal::is_torn(&error) => match torn_journal::leave_out_last_batch(dir) {
            Ok(Some(found)) => {
                tracing::warn!(
                    found = %found.display(),
                    "the last batch of the journal was not whole and is left out; the journal is kept as it was found"
                );
                Database::builder(dir).open().map_err(said)
            }
            Ok(None) => Err(said(error)),
            Err(why) => {
                tracing::error!(%why, "the journal is damaged, and its last batch could not be left out");
                Err(said(error))
            }
        },
        opened => opened.map_err(said),
    }
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
        committed
    }
}
