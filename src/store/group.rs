//! Group commit over an embedded engine: the committer takes the batches that wait, checks each against what is there and
//! what the group has written so far, writes all that pass as one, syncs once, and answers all.
//!
//! A thread does that for as many as wait. Where nobody waits and nobody writes, who comes with a batch commits on his own
//! thread: between him and the disk no other is waited for (decisions 45 and 47).
//!
//! Every commit has a number. The last one is kept in the engine and, after each group, in a file beside it (`ledger`):
//! opening an engine that knows fewer says so instead of going on in silence.

use super::db::{
    Batch, Commit, CommitError, CommitSeq, Condition, Db, EngineKind, OpenError, Parse, Parsed, Rows, Write,
    check_row,
};
use super::ledger::Ledger;
use super::lock::{Lock, LockError, lock};
use super::lookout::Lookout;
use super::probe::{self, Probe};
use super::{StoreError, fjall_engine, row_cache, sled_engine};
use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::{mpsc, oneshot};

/// Batches that wait at most; who comes later waits to be queued.
const QUEUE_MAX: usize = 1024;
/// Batches in one group: a group should not keep its callers waiting for others.
const GROUP_MAX: usize = 256;
/// Octets in one group.
const GROUP_MAX_BYTES: usize = 8 * 1024 * 1024;
/// What a row that a revision writes counts for in a group, beside what the revision brings: their size is not known before.
const REVISED_BYTES: usize = 256;
/// What a commit counts for among the steps a task may take before others come to their turn (128 in tokio): eight commits
/// are some three milliseconds, as a time slice.
const COMMIT_STEPS: usize = 16;
/// Free space below which nothing is written, so that a full disk is met before the engine's own files meet it.
const DISK_RESERVE_BYTES: u64 = 64 * 1024 * 1024;
/// Where the engine keeps the number of the last commit. No table begins with an octet of zero.
const SEQ_KEY: &[u8] = b"\0seq";

pub(super) type Changes = HashMap<Vec<u8>, Option<Vec<u8>>>;

/// An embedded engine: ordered rows, and one durable write at a time.
pub(super) trait Engine: Send + Sync + 'static {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;
    /// What the row says. Without memory it is read each time.
    fn parsed(&self, key: &[u8], parse: Parse<'_>) -> Result<Option<Parsed>, StoreError> {
        self.get(key)?.map(|octets| parse(&octets)).transpose()
    }
    fn range(&self, from: &[u8], to: &[u8], limit: usize, back: bool) -> Result<Rows, StoreError>;
    /// Writes all or nothing, and syncs. After an error nothing is known and nothing more is written.
    fn write(&self, changes: &Changes, probe: &dyn Probe) -> Result<(), String>;
}

struct Request {
    batch: Batch,
    answer: Answer,
    waiting: Waiting,
}

/// Somebody waits for the thread, as long as this lives: others then do not get before him.
struct Waiting(Arc<AtomicUsize>);

impl Waiting {
    fn begin(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count.clone())
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

type Committed = Result<CommitSeq, CommitError>;
type Answer = oneshot::Sender<Committed>;

struct GroupDb {
    engine: Arc<dyn Engine>,
    queue: Option<mpsc::Sender<Request>>,
    /// How many wait for the thread.
    waiting: Arc<AtomicUsize>,
    begun: Arc<AtomicU64>,
    committer: Arc<Mutex<Committer>>,
    lookout: Lookout,
    thread: Option<JoinHandle<()>>,
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
    // From now on it is read, also what was written and not answered before the last stop.
    ledger.note(found);
    ledger.sync().map_err(|e| failed(e.to_string()))?;
    let lookout = Lookout::start().map_err(|e| failed(e.to_string()))?;
    let (queue, waiting) = mpsc::channel(QUEUE_MAX);
    let begun = Arc::new(AtomicU64::new(found));
    let committer = Arc::new(Mutex::new(Committer {
        engine: engine.clone(),
        begun: begun.clone(),
        ledger,
        probe,
        free_bytes,
        seq: found,
        broken: None,
    }));
    let his = committer.clone();
    let thread = std::thread::Builder::new()
        .name("committer".into())
        .spawn(move || commit_groups(&his, waiting));
    let thread = thread.map_err(|e| failed(e.to_string()))?;
    Ok(Arc::new(GroupDb {
        engine,
        queue: Some(queue),
        waiting: Arc::default(),
        begun,
        committer,
        lookout,
        thread: Some(thread),
        _lock: lock,
    }))
}

impl Drop for GroupDb {
    fn drop(&mut self) {
        // The thread ends when its queue closes; it holds the engine, whose files must be free when we are gone.
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Db for GroupDb {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.engine.get(key)
    }

    fn parsed(&self, key: &[u8], parse: Parse<'_>) -> Result<Option<Parsed>, StoreError> {
        self.engine.parsed(key, parse)
    }

    fn range(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Rows, StoreError> {
        self.engine.range(from, to, limit, false)
    }

    fn range_back(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Rows, StoreError> {
        self.engine.range(from, to, limit, true)
    }

    fn begun(&self) -> CommitSeq {
        CommitSeq(self.begun.load(Ordering::Acquire))
    }

    fn commit(&self, batch: Batch) -> Commit<'_> {
        Box::pin(async move {
            batch.check()?;
            // A task that does nothing but commit lets the others in all the same.
            for _ in 0..COMMIT_STEPS {
                tokio::task::consume_budget().await;
            }
            let batch = match self.commit_here(batch) {
                Ok(committed) => return committed,
                Err(not_here) => not_here,
            };
            let (answer, answered) = oneshot::channel();
            let waiting = Waiting::begin(&self.waiting);
            let request = Request {
                batch,
                answer,
                waiting,
            };
            let queue = self.queue.as_ref().ok_or_else(gone)?;
            queue.send(request).await.map_err(|_| gone())?;
            answered.await.map_err(|_| gone())?
        })
    }
}

impl GroupDb {
    /// Commits on the caller's thread where nobody else waits or writes; gives the batch back otherwise.
    fn commit_here(&self, batch: Batch) -> Result<Committed, Batch> {
        let others = others_go_on_meanwhile().filter(|_| self.waiting.load(Ordering::Relaxed) == 0);
        let Some(others) = others else {
            return Err(batch);
        };
        match self.committer.try_lock() {
            Ok(mut committer) => {
                let _kept = self.lookout.keeps(others);
                Ok(committer.commit(vec![batch]).pop().unwrap_or_else(|| Err(gone())))
            }
            Err(_) => Err(batch),
        }
    }
}

fn gone() -> CommitError {
    CommitError::Broken("the committer has stopped".into())
}

/// The runtime whose other workers go on while this one waits for the disk, if there are any. A thread that is only blocked
/// on one has work of its own, and may have been given a lower priority: it would hold everybody up.
fn others_go_on_meanwhile() -> Option<Handle> {
    let runtime = Handle::try_current().ok()?;
    let many = runtime.runtime_flavor() == RuntimeFlavor::MultiThread && runtime.metrics().num_workers() > 1;
    (many && tokio::task::try_id().is_some()).then_some(runtime)
}

/// Commits what waits, group by group, until the queue closes. A committer that panicked knows nothing any more: then
/// nothing more is written.
fn commit_groups(committer: &Mutex<Committer>, mut queue: mpsc::Receiver<Request>) {
    while let Some(first) = queue.blocking_recv() {
        // Whoever is committing on his own thread is awaited; who comes meanwhile is of the same group.
        let Ok(mut locked) = committer.lock() else {
            return;
        };
        let mut bytes = size(&first.batch);
        let mut group = vec![first];
        while group.len() < GROUP_MAX && bytes < GROUP_MAX_BYTES {
            let Ok(next) = queue.try_recv() else { break };
            bytes += size(&next.batch);
            group.push(next);
        }
        let mut batches = Vec::with_capacity(group.len());
        let mut waiting = Vec::with_capacity(group.len());
        for request in group {
            batches.push(request.batch);
            waiting.push((request.answer, request.waiting));
        }
        let committed = locked.commit(batches);
        drop(locked);
        // Who comes back at once with his next batch may find that nobody waits.
        let answers: Vec<Answer> = waiting.into_iter().map(|(answer, _)| answer).collect();
        for (answer, committed) in answers.into_iter().zip(committed) {
            let _ = answer.send(committed);
        }
    }
}

struct Committer {
    engine: Arc<dyn Engine>,
    ledger: Ledger,
    probe: Arc<dyn Probe>,
    free_bytes: FreeBytes,
    seq: u64,
    /// The same as soon as the engine is handed the group, for who reads.
    begun: Arc<AtomicU64>,
    /// Set once a write has failed: what is on disk is not known any more.
    broken: Option<String>,
}

impl Committer {
    /// Commits a group, and says what became of each batch, in order. Nobody may be told before it returns: who is refused
    /// because of another of the group reads what that one wrote when he tries again.
    fn commit(&mut self, group: Vec<Batch>) -> Vec<Committed> {
        if let Err(error) = self.may_write() {
            return group.iter().map(|_| Err(error.clone())).collect();
        }
        let mut changes = Changes::new();
        let mut committed: Vec<Committed> = Vec::with_capacity(group.len());
        let before = self.seq;
        for batch in group {
            let checked = self.check(&batch, &changes);
            let revised = checked.and_then(|()| self.revised(&batch, &changes));
            committed.push(revised.map(|revised| {
                self.seq += 1;
                changes.extend(revised);
                for write in batch.writes {
                    let (key, value) = stamped(write, self.seq);
                    changes.insert(key, value);
                }
                CommitSeq(self.seq)
            }));
        }
        if self.seq == before {
            return committed;
        }
        if let Err(why) = self.write(changes) {
            self.seq = before;
            let passed = committed.iter_mut().filter(|one| one.is_ok());
            passed.for_each(|one| *one = Err(CommitError::Broken(why.clone())));
            self.broken = Some(why);
        }
        committed
    }

    /// Writes what a group changes, so that it is on disk.
    fn write(&mut self, mut changes: Changes) -> Result<(), String> {
        changes.insert(SEQ_KEY.to_vec(), Some(self.seq.to_be_bytes().to_vec()));
        self.probe.reached(probe::BEFORE_WRITE);
        self.begun.store(self.seq, Ordering::Release);
        let written = self.engine.write(&changes, &*self.probe);
        if let Err(why) = &written {
            tracing::error!(%why, "the store failed to write; it is closed for writing until a restart");
        } else {
            self.ledger.note(self.seq);
            self.probe.reached(probe::BEFORE_ACK);
        }
        written
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

#[cfg(test)]
#[path = "conformance.rs"]
pub(super) mod conformance;

#[cfg(test)]
#[path = "group_tests.rs"]
mod group_tests;
