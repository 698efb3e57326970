//! Group commit over an embedded engine: one thread takes the batches that wait, checks each against what is there and
//! what the group has written so far, writes all that pass as one, syncs once, and answers all.
//!
//! Every commit has a number. The last one is kept in the engine and, after each group, in a small file beside it that
//! needs no sync of its own: an engine that later knows fewer commits than the file has lost some, and opening it says
//! so instead of going on in silence.

use super::db::{
    Batch, Commit, CommitError, CommitSeq, Condition, Db, EngineKind, OpenError, Rows, Write, check_row,
};
use super::probe::{self, Probe};
use super::stored_row::StoredRow;
use super::{StoreError, fjall_engine, row_cache, sled_engine};
use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::sync::{mpsc, oneshot};

/// Batches that wait at most; who comes later waits to be queued.
const QUEUE_MAX: usize = 1024;
/// Batches in one group: a group should not keep its callers waiting for others.
const GROUP_MAX: usize = 256;
/// Octets in one group.
const GROUP_MAX_BYTES: usize = 8 * 1024 * 1024;
/// What a row that a revision writes counts for in a group, beside what the revision brings: their size is not known before.
const REVISED_BYTES: usize = 256;
/// Free space below which nothing is written, so that a full disk is met before the engine's own files meet it.
const DISK_RESERVE_BYTES: u64 = 64 * 1024 * 1024;
/// Where the engine keeps the number of the last commit. No table begins with an octet of zero.
const SEQ_KEY: &[u8] = b"\0seq";

pub(super) type Changes = HashMap<Vec<u8>, Option<Vec<u8>>>;

/// An embedded engine: ordered rows, and one durable write at a time.
pub(super) trait Engine: Send + Sync + 'static {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;
    /// The same row, to be read to a type. Without memory nothing is known of it before.
    fn stored(&self, key: &[u8]) -> Result<Option<Arc<StoredRow>>, StoreError> {
        Ok(self.get(key)?.map(|octets| Arc::new(StoredRow::new(octets))))
    }
    fn range(&self, from: &[u8], to: &[u8], limit: usize, back: bool) -> Result<Rows, StoreError>;
    /// Writes all or nothing, and syncs. After an error nothing is known and nothing more is written.
    fn write(&self, changes: &Changes, probe: &dyn Probe) -> Result<(), String>;
}

struct Request {
    batch: Batch,
    answer: Answer,
}

type Answer = oneshot::Sender<Result<CommitSeq, CommitError>>;

struct GroupDb {
    engine: Arc<dyn Engine>,
    queue: Option<mpsc::Sender<Request>>,
    committer: Option<JoinHandle<()>>,
    /// Held as long as the store is open.
    _lock: Lock,
}

/// See [`super::db::open`].
pub(super) fn open(kind: EngineKind, dir: &Path, probe: Arc<dyn Probe>) -> Result<Arc<dyn Db>, OpenError> {
    let name = dir.display().to_string();
    let failed = |why: String| OpenError::Failed {
        dir: name.clone(),
        why,
    };
    std::fs::create_dir_all(dir).map_err(|e| failed(e.to_string()))?;
    let lock = lock(dir).map_err(|e| match e {
        LockError::Held => OpenError::InUse(name.clone()),
        LockError::Io(e) => failed(e.to_string()),
    })?;
    let engine = match kind {
        EngineKind::Fjall => fjall_engine::open(&dir.join("fjall")),
        EngineKind::Sled => sled_engine::open(&dir.join("sled")),
    }
    .map_err(failed)?;
    let disk = File::open(dir).map_err(|e| failed(e.to_string()))?;
    let engine = row_cache::over(engine);
    start(engine, dir, probe, lock, Box::new(move || free_bytes(&disk)))
}

/// Octets that may still be written; none when nobody knows.
type FreeBytes = Box<dyn Fn() -> Option<u64> + Send>;

fn free_bytes(dir: &File) -> Option<u64> {
    let disk = rustix::fs::fstatvfs(dir).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

fn start(
    engine: Arc<dyn Engine>,
    dir: &Path,
    probe: Arc<dyn Probe>,
    lock: Lock,
    free_bytes: FreeBytes,
) -> Result<Arc<dyn Db>, OpenError> {
    let name = dir.display().to_string();
    let failed = |why: String| OpenError::Failed {
        dir: name.clone(),
        why,
    };
    let found = engine.get(SEQ_KEY).map_err(|e| failed(e.to_string()))?;
    let found = found
        .and_then(|v| v.try_into().ok())
        .map_or(0, u64::from_be_bytes);
    let ledger = Ledger::open(&dir.join("commits.seq")).map_err(|e| failed(e.to_string()))?;
    let acknowledged = ledger.last().map_err(|e| failed(e.to_string()))?;
    if found < acknowledged {
        return Err(OpenError::Gap {
            dir: name,
            found,
            acknowledged,
        });
    }
    let (queue, waiting) = mpsc::channel(QUEUE_MAX);
    let committer = Committer {
        engine: engine.clone(),
        ledger,
        probe,
        free_bytes,
        seq: found,
        broken: None,
    };
    let thread = std::thread::Builder::new()
        .name("committer".into())
        .spawn(move || committer.run(waiting));
    let thread = thread.map_err(|e| failed(e.to_string()))?;
    Ok(Arc::new(GroupDb {
        engine,
        queue: Some(queue),
        committer: Some(thread),
        _lock: lock,
    }))
}

impl Drop for GroupDb {
    fn drop(&mut self) {
        // The committer ends when its queue closes; it holds the engine, whose files must be free when we are gone.
        self.queue = None;
        if let Some(thread) = self.committer.take() {
            let _ = thread.join();
        }
    }
}

impl Db for GroupDb {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.engine.get(key)
    }

    fn stored(&self, key: &[u8]) -> Result<Option<Arc<StoredRow>>, StoreError> {
        self.engine.stored(key)
    }

    fn range(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Rows, StoreError> {
        self.engine.range(from, to, limit, false)
    }

    fn range_back(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Rows, StoreError> {
        self.engine.range(from, to, limit, true)
    }

    fn commit(&self, batch: Batch) -> Commit<'_> {
        Box::pin(async move {
            batch.check()?;
            let gone = || CommitError::Broken("the committer has stopped".into());
            let (answer, answered) = oneshot::channel();
            let queue = self.queue.as_ref().ok_or_else(gone)?;
            queue.send(Request { batch, answer }).await.map_err(|_| gone())?;
            answered.await.map_err(|_| gone())?
        })
    }
}

struct Committer {
    engine: Arc<dyn Engine>,
    ledger: Ledger,
    probe: Arc<dyn Probe>,
    free_bytes: FreeBytes,
    seq: u64,
    /// Set once a write has failed: what is on disk is not known any more.
    broken: Option<String>,
}

impl Committer {
    fn run(mut self, mut waiting: mpsc::Receiver<Request>) {
        while let Some(first) = waiting.blocking_recv() {
            let mut bytes = size(&first.batch);
            let mut group = vec![first];
            while group.len() < GROUP_MAX && bytes < GROUP_MAX_BYTES {
                let Ok(next) = waiting.try_recv() else { break };
                bytes += size(&next.batch);
                group.push(next);
            }
            self.commit(group);
        }
    }

    fn commit(&mut self, group: Vec<Request>) {
        if let Err(error) = self.may_write() {
            for request in group {
                let _ = request.answer.send(Err(error.clone()));
            }
            return;
        }
        let mut changes = Changes::new();
        let mut passed = Vec::with_capacity(group.len());
        let mut refused = Vec::new();
        let before = self.seq;
        for request in group {
            let checked = self.check(&request.batch, &changes);
            match checked.and_then(|()| self.revised(&request.batch, &changes)) {
                Ok(revised) => {
                    self.seq += 1;
                    changes.extend(revised);
                    for write in request.batch.writes {
                        let (key, value) = stamped(write, self.seq);
                        changes.insert(key, value);
                    }
                    passed.push((request.answer, CommitSeq(self.seq)));
                }
                Err(error) => refused.push((request.answer, error)),
            }
        }
        if !passed.is_empty() {
            self.write(changes, passed, before);
        }
        // Only now: who is refused because of another of this group reads what that one wrote when he tries again.
        for (answer, error) in refused {
            let _ = answer.send(Err(error));
        }
    }

    /// Writes what a group changes, and answers those whose batches passed; `before` is the number of the last commit
    /// before them.
    fn write(&mut self, mut changes: Changes, passed: Vec<(Answer, CommitSeq)>, before: u64) {
        changes.insert(SEQ_KEY.to_vec(), Some(self.seq.to_be_bytes().to_vec()));
        self.probe.reached(probe::BEFORE_WRITE);
        let written = self.engine.write(&changes, &*self.probe);
        if let Err(why) = &written {
            tracing::error!(%why, "the store failed to write; it is closed for writing until a restart");
            self.seq = before;
            self.broken = Some(why.clone());
        } else {
            self.ledger.note(self.seq);
            self.probe.reached(probe::BEFORE_ACK);
        }
        for (answer, seq) in passed {
            let result = written
                .as_ref()
                .map(|()| seq)
                .map_err(|why| CommitError::Broken(why.clone()));
            let _ = answer.send(result);
        }
    }

    fn may_write(&self) -> Result<(), CommitError> {
        if let Some(why) = &self.broken {
            return Err(CommitError::Broken(why.clone()));
        }
        if (self.free_bytes)().is_some_and(|free| free < DISK_RESERVE_BYTES) {
            return Err(CommitError::Unavailable("the disk is full".into()));
        }
        Ok(())
    }

    /// Whether all conditions hold, given what the group has changed so far.
    fn check(&self, batch: &Batch, changes: &Changes) -> Result<(), CommitError> {
        for condition in &batch.conditions {
            let (Condition::Absent(key) | Condition::Present(key) | Condition::Equals(key, _)) = condition;
            let now = self.row_now(key, [changes])?;
            let now = now.as_deref();
            let holds = match condition {
                Condition::Absent(_) => now.is_none(),
                Condition::Present(_) => now.is_some(),
                Condition::Equals(_, value) => now == Some(value.as_slice()),
            };
            if !holds {
                return Err(CommitError::Conflict { key: key.clone() });
            }
        }
        Ok(())
    }

    /// What the batch's revisions make of their rows, if it becomes the next commit.
    fn revised(&self, batch: &Batch, changes: &Changes) -> Result<Changes, CommitError> {
        let mut revised = Changes::new();
        let seq = CommitSeq(self.seq + 1);
        for (key, revision) in &batch.revisions {
            let now = self.row_now(key, [&revised, changes])?;
            let rows = revision.revise(now.as_deref(), seq);
            let rows = rows.map_err(|error| not_revised(key, error))?;
            let rows = rows.ok_or_else(|| CommitError::Conflict { key: key.clone() })?;
            for (key, value) in rows {
                check_row(&key, value.as_deref().unwrap_or_default())?;
                revised.insert(key, value);
            }
        }
        Ok(revised)
    }

    /// The row under a key after what was changed so far, the latest first.
    fn row_now<'c, const N: usize>(
        &self,
        key: &[u8],
        changed: [&'c Changes; N],
    ) -> Result<Option<Cow<'c, [u8]>>, CommitError> {
        if let Some(row) = changed.into_iter().find_map(|changes| changes.get(key)) {
            return Ok(row.as_deref().map(Cow::Borrowed));
        }
        let stored = self.engine.get(key);
        let stored = stored.map_err(|e| CommitError::Unavailable(e.to_string()))?;
        Ok(stored.map(Cow::Owned))
    }
}

/// Why a revision made nothing of its row, by the words of who reads it.
fn not_revised(key: &[u8], error: StoreError) -> CommitError {
    match error {
        StoreError::Row(error) if error.too_large => CommitError::TooLarge(error.to_string()),
        StoreError::Row(error) => {
            let key = key.to_vec();
            CommitError::Unreadable(StoreError::Unreadable { key, error }.to_string())
        }
        StoreError::Unreadable { .. } => CommitError::Unreadable(error.to_string()),
        StoreError::Io(_) => CommitError::Unavailable(error.to_string()),
    }
}

fn size(batch: &Batch) -> usize {
    let written = batch.writes.iter();
    let written = written.map(|w| w.key.len() + w.value.as_ref().map_or(0, Vec::len));
    let revised = batch
        .revisions
        .iter()
        .map(|(_, r)| r.rows_max() * REVISED_BYTES + r.brought_bytes());
    written.chain(revised).sum()
}

fn stamped(write: Write, seq: u64) -> (Vec<u8>, Option<Vec<u8>>) {
    let Write {
        mut key,
        mut value,
        stamp,
    } = write;
    let fill = |octets: &mut [u8], at: Option<usize>| {
        if let Some(place) = at.and_then(|at| octets.get_mut(at..at + 8)) {
            place.copy_from_slice(&seq.to_be_bytes());
        }
    };
    fill(&mut key, stamp.in_key);
    if let Some(value) = &mut value {
        fill(value, stamp.in_value);
    }
    (key, value)
}

/// The number of the last acknowledged commit, in two slots written in turn, each with a check.
struct Ledger {
    file: File,
}

const SLOT_BYTES: u64 = 16;

impl Ledger {
    fn open(path: &Path) -> std::io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        Ok(Self { file })
    }

    fn last(&self) -> std::io::Result<u64> {
        let mut slots = [0u8; 2 * SLOT_BYTES as usize];
        let read = self.file.read_at(&mut slots, 0)?;
        let whole = slots[..read].chunks_exact(SLOT_BYTES as usize);
        let numbers = whole.filter_map(|slot| {
            let (seq, check) = slot.split_first_chunk::<8>()?;
            let seq = u64::from_be_bytes(*seq);
            (check == mask(seq).to_be_bytes()).then_some(seq)
        });
        Ok(numbers.max().unwrap_or(0))
    }

    fn note(&self, seq: u64) {
        let slot = [seq.to_be_bytes(), mask(seq).to_be_bytes()].concat();
        if let Err(error) = self.file.write_all_at(&slot, (seq % 2) * SLOT_BYTES) {
            // The file guards against loss; without it the store is as good as the engine alone.
            tracing::warn!(%error, "the number of the last commit could not be noted");
        }
    }
}

/// Makes a torn or empty slot different from a written one.
fn mask(seq: u64) -> u64 {
    seq.rotate_left(17) ^ 0x6b65_7064_6b65_7064
}

/// The lock on a store's folder; the last thing that goes when a store is closed.
struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing the file would not do: a process being started elsewhere may hold a copy of it until its exec.
        let _ = rustix::fs::flock(&self.0, rustix::fs::FlockOperation::Unlock);
    }
}

enum LockError {
    Held,
    Io(std::io::Error),
}

fn lock(dir: &Path) -> Result<Lock, LockError> {
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

#[cfg(test)]
#[path = "conformance.rs"]
pub(super) mod conformance;
