//! Ordered keys and values, changed by atomic conditional batches that are durable when they return.
//!
//! The trait does not say which engine lies below. Reads see every batch that was answered. All rows obey the same
//! limits on every engine, so that a store can be moved from one to the other.

use crate::store::{StoreError, probe::Probe};
use std::any::Any;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

/// Longest key. sled slows down beyond it.
pub const KEY_MAX_BYTES: usize = 200;
/// Largest value of a row; what is larger belongs in the spool. sled splits pages beyond 16 KB.
pub const ROW_MAX_BYTES: usize = 15 * 1024;
/// Writes and conditions in one batch: what one commit may hold in memory.
pub const BATCH_MAX_ROWS: usize = 20_000;

/// Conditions and writes that happen together or not at all.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    pub(super) conditions: Vec<Condition>,
    pub(super) writes: Vec<Write>,
    pub(super) revisions: Vec<(Vec<u8>, Arc<dyn Revision>)>,
}

/// A change of a row that many change at once: what becomes of it is worked out when the batch is committed, from the row
/// as it is then. Two who change different parts of one row do not stand in each other's way, and who would undo what he
/// has not seen is refused as by a condition.
pub trait Revision: std::fmt::Debug + Send + Sync {
    /// What is to be written in the commit of this number, given the row under the revision's key; `None`: what the
    /// batch rests on does not hold any more. It is called by the committer, so it is short and reads nothing else.
    fn revise(&self, now: Option<&[u8]>, seq: CommitSeq) -> Result<Option<Revised>, StoreError>;

    /// How many rows it writes at most.
    fn rows_max(&self) -> usize;

    /// Octets that it brings, about.
    fn brought_bytes(&self) -> usize {
        0
    }
}

/// Rows with their new values; `None` deletes.
pub type Revised = Vec<(Vec<u8>, Option<Vec<u8>>)>;

#[derive(Debug, Clone)]
pub(super) enum Condition {
    Absent(Vec<u8>),
    Present(Vec<u8>),
    Equals(Vec<u8>, Vec<u8>),
}

#[derive(Debug, Clone)]
pub(super) struct Write {
    pub key: Vec<u8>,
    /// `None` deletes.
    pub value: Option<Vec<u8>>,
    pub stamp: Stamp,
}

/// Where the commit's own number goes, as eight octets big-endian.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Stamp {
    pub in_key: Option<usize>,
    pub in_value: Option<usize>,
}

impl Batch {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn put(&mut self, key: Vec<u8>, value: Vec<u8>) -> &mut Self {
        self.writes.push(Write {
            key,
            value: Some(value),
            stamp: Stamp::default(),
        });
        self
    }

    /// Puts a row that carries the number of its own commit at the given offsets of key and value, where eight octets
    /// are left for it. Numbers grow in the order in which commits become visible.
    pub fn put_stamped(
        &mut self,
        key: Vec<u8>,
        in_key: Option<usize>,
        value: Vec<u8>,
        in_value: Option<usize>,
    ) -> &mut Self {
        self.writes.push(Write {
            key,
            value: Some(value),
            stamp: Stamp { in_key, in_value },
        });
        self
    }

    pub fn delete(&mut self, key: Vec<u8>) -> &mut Self {
        self.writes.push(Write {
            key,
            value: None,
            stamp: Stamp::default(),
        });
        self
    }

    pub fn require_absent(&mut self, key: Vec<u8>) -> &mut Self {
        self.conditions.push(Condition::Absent(key));
        self
    }

    pub fn require_present(&mut self, key: Vec<u8>) -> &mut Self {
        self.conditions.push(Condition::Present(key));
        self
    }

    pub fn require_equals(&mut self, key: Vec<u8>, value: Vec<u8>) -> &mut Self {
        self.conditions.push(Condition::Equals(key, value));
        self
    }

    /// Changes the row under `key` by what it is when the batch is committed. Conditions and revisions see what was there
    /// before the batch; several revisions of one row follow each other.
    pub fn revise(&mut self, key: Vec<u8>, revision: Arc<dyn Revision>) -> &mut Self {
        self.revisions.push((key, revision));
        self
    }

    /// What another batch asks and does, too.
    pub fn join(&mut self, other: Batch) {
        self.conditions.extend(other.conditions);
        self.writes.extend(other.writes);
        self.revisions.extend(other.revisions);
    }

    pub fn is_empty(&self) -> bool {
        self.writes.is_empty() && self.revisions.is_empty()
    }

    /// Refuses what no engine takes, before it is queued.
    pub(super) fn check(&self) -> Result<(), CommitError> {
        let revised: usize = self.revisions.iter().map(|(_, r)| r.rows_max()).sum();
        if self.writes.len() + self.conditions.len() + revised > BATCH_MAX_ROWS {
            return Err(CommitError::TooLarge("more than 20,000 rows in one batch".into()));
        }
        for write in &self.writes {
            let value = write.value.as_deref().unwrap_or_default();
            check_row(&write.key, value)?;
            let fits = |at: Option<usize>, len: usize| at.is_none_or(|at| at + 8 <= len);
            if !fits(write.stamp.in_key, write.key.len()) || !fits(write.stamp.in_value, value.len()) {
                return Err(CommitError::Broken(
                    "no room for the commit's number in a stamped row".into(),
                ));
            }
        }
        Ok(())
    }
}

/// Refuses a row that no engine takes.
pub(super) fn check_row(key: &[u8], value: &[u8]) -> Result<(), CommitError> {
    if key.is_empty() || key.len() > KEY_MAX_BYTES {
        return Err(CommitError::TooLarge(format!("a key of {} octets", key.len())));
    }
    if value.len() > ROW_MAX_BYTES {
        return Err(CommitError::TooLarge(format!("a row of {} octets", value.len())));
    }
    Ok(())
}

/// The number of a commit; it grows by at least one with each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct CommitSeq(pub u64);

/// Why a batch was not committed. In every case nothing of it is visible.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// A condition did not hold: read again and decide again.
    #[error("somebody else changed the same row")]
    Conflict { key: Vec<u8> },
    #[error("a batch is too large: {0}")]
    TooLarge(String),
    /// Disk full, input or output error: may work later.
    #[error("the store cannot write now: {0}")]
    Unavailable(String),
    /// A row that was to be changed is damaged: it will not be read later either.
    #[error("{0}")]
    Unreadable(String),
    /// It is not known whether the last write reached the disk: nothing more is written until a restart.
    #[error("the store is closed for writing until a restart: {0}")]
    Broken(String),
}

/// A commit under way.
pub type Commit<'a> = Pin<Box<dyn Future<Output = Result<CommitSeq, CommitError>> + Send + 'a>>;

/// Keys with their values.
pub type Rows = Vec<(Vec<u8>, Vec<u8>)>;

/// What a row was read to. All who ask share it.
pub type Parsed = Arc<dyn Any + Send + Sync>;

/// Reads a row. Whoever reads the row under a key reads it to the same.
pub type Parse<'r> = &'r dyn Fn(&[u8]) -> Result<Parsed, StoreError>;

/// Ordered keys and values. Key-value pairs come as they are stored.
pub trait Db: Send + Sync + 'static {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// What a row says, for who reads it to a type: another may have read it before. A row is read to one type only.
    fn parsed(&self, key: &[u8], parse: Parse<'_>) -> Result<Option<Parsed>, StoreError>;

    /// Rows from `from` (inclusive) to `to` (exclusive), ascending, at most `limit`.
    fn range(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Rows, StoreError>;

    /// The same rows from the end, descending.
    fn range_back(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Rows, StoreError>;

    /// The highest number of a commit of which anything may be visible: who has read something and asks afterwards has
    /// read nothing of a later one.
    fn begun(&self) -> CommitSeq;

    /// Resolves when the batch is on disk, or refused. Many callers share one fsync.
    fn commit(&self, batch: Batch) -> Commit<'_>;
}

/// Which engine keeps the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EngineKind {
    #[default]
    Fjall,
    Sled,
}

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("the data in {0} is in use by another process")]
    InUse(String),
    #[error("the store in {dir} cannot be opened: {why}")]
    Failed { dir: String, why: String },
    /// The engine forgot commits that had been acknowledged.
    #[error(
        "the store in {dir} ends at commit {found}, but commit {acknowledged} had been acknowledged: \
         the disk or the engine lost data; restore a backup, or see docs/operating.md"
    )]
    Gap {
        dir: String,
        found: u64,
        acknowledged: u64,
    },
}

/// Opens the store in `dir`; refuses a second opener.
pub fn open(engine: EngineKind, dir: &Path, probe: Arc<dyn Probe>) -> Result<Arc<dyn Db>, OpenError> {
    super::group::open(engine, dir, probe)
}

/// The first key behind all keys that start with `prefix`.
pub fn prefix_end(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return end;
        }
    }
    // Nothing sorts behind a prefix of 0xff octets; no table begins with one.
    vec![u8::MAX; KEY_MAX_BYTES]
}
