//! The full-text index: which folded texts stand in which items of a tenant. One folder of segments for each tenant,
//! so no tenant's words are ever near another's; a row names the segments that count and the change of the item log they
//! have caught up to.
//!
//! It is a help and never the truth: all of it can be made again from the items. What it does not have yet, and whatever
//! it cannot decide, is read by who asks. What is damaged is noticed by sums and made anew. Items never change their
//! content, so nothing in a segment ever gets old. It does not know what of a message is searched, nor who may see it.

mod codec;
mod cutting;
mod files;
mod finding;
mod gathering;
mod grams;
mod item_set;
mod merging;
mod segment;
#[cfg(test)]
mod tests;
mod writing;

pub use files::Field;
pub use item_set::ItemSet;
pub use writing::Writing;

use crate::domain::needle::Wanted;
use crate::id::{ItemId, ModSeq, TenantId};
use crate::store::StoreError;
use crate::store::db::{CommitError, Db};
use crate::store::row::RowError;
use crate::store::tables::Stored;
use crate::store::tables::fulltext::{self as row, Indexed};
use segment::Segment;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Octets of terms held in memory for all tenants together: those of some 275,000 mails. Whose were used longest ago are
/// read again when they are wanted.
const HELD_MAX_BYTES: usize = 256 * 1024 * 1024;
/// From so many items on, a question is worth a second thread.
const APART_FROM_ITEMS: usize = 5_000;
/// How often a snapshot is tried while segments are being joined.
const ATTEMPTS: usize = 4;

#[derive(Debug, thiserror::Error)]
pub enum FulltextError {
    #[error("the full-text index cannot be read or written: {0}")]
    Io(#[from] std::io::Error),
    #[error("the full-text index is damaged: {0}")]
    Damaged(String),
    /// Somebody else changed the row: begin again.
    #[error("the full-text index was changed by somebody else")]
    Changed,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Commit(CommitError),
}

impl FulltextError {
    /// Whether the files are not what was written.
    fn is_damage(&self) -> bool {
        use std::io::ErrorKind::{NotFound, UnexpectedEof};
        match self {
            Self::Damaged(_) => true,
            Self::Io(error) => matches!(error.kind(), NotFound | UnexpectedEof),
            _ => false,
        }
    }
}

impl From<CommitError> for FulltextError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Conflict { .. } => Self::Changed,
            other => Self::Commit(other),
        }
    }
}

impl From<RowError> for FulltextError {
    fn from(error: RowError) -> Self {
        Self::Store(error.into())
    }
}

/// The indexes of all tenants.
pub struct Fulltext {
    dir: PathBuf,
    db: Arc<dyn Db>,
    /// What the indexes are made of: an index of another form is made anew.
    form: u32,
    shelf: Mutex<Shelf>,
}

/// What is at hand.
#[derive(Default)]
struct Shelf {
    kept: HashMap<TenantId, Kept>,
    /// Rows whose segments were found damaged. They are not used any more, and made anew by who writes.
    suspect: HashSet<(TenantId, Vec<row::Segment>)>,
    /// Numbers of segments given out, so that of two writers neither touches the other's files.
    numbers: HashMap<TenantId, u64>,
    tick: u64,
}

struct Kept {
    snapshot: Arc<Snapshot>,
    used: u64,
}

/// The index of one tenant at one moment.
#[derive(Debug)]
pub struct Snapshot {
    tenant: TenantId,
    indexed: Indexed,
    segments: Vec<Arc<Segment>>,
    covered: Arc<ItemSet>,
}

/// In which items a text stands.
#[derive(Debug, Clone, Default)]
pub struct Hits {
    /// It stands in these.
    pub sure: ItemSet,
    /// It may stand in these: they have to be read.
    pub unsure: ItemSet,
}

impl Hits {
    fn take(&mut self, segment: &Segment, found: &finding::Found) {
        let set = if found.sure {
            &mut self.sure
        } else {
            &mut self.unsure
        };
        let items = &segment.head.items;
        for item in found.docs.iter().filter_map(|doc| items.get(doc as usize)) {
            set.insert(ItemId(*item));
        }
    }

    pub fn add(&mut self, other: &Hits) {
        self.sure.add(&other.sure);
        self.unsure.add(&other.unsure);
    }
}

impl Snapshot {
    /// The items it knows. Of all others it says nothing.
    pub fn covered(&self) -> Arc<ItemSet> {
        self.covered.clone()
    }

    /// The change of the item log it has caught up to.
    pub fn caught_up(&self) -> ModSeq {
        self.indexed.caught_up
    }

    /// The items in which a text stands. Blocks; for the blocking pool.
    pub fn find(&self, field: Field, wanted: &Wanted) -> Result<Hits, FulltextError> {
        let mut hits = self.find_all(&[(field, wanted)])?;
        Ok(hits.pop().unwrap_or_default())
    }

    /// The same for several questions. A large index is asked by two threads.
    pub fn find_all(&self, questions: &[(Field, &Wanted)]) -> Result<Vec<Hits>, FulltextError> {
        let mut hits = vec![Hits::default(); questions.len()];
        let of_question = |n| self.segments.iter().map(move |segment| (n, segment));
        let tasks: Vec<(usize, &Arc<Segment>)> = (0..questions.len()).flat_map(of_question).collect();
        let next = AtomicUsize::new(0);
        let work = || {
            let mut all = Vec::new();
            while let Some((n, segment)) = tasks.get(next.fetch_add(1, Ordering::Relaxed)) {
                if let Some((field, wanted)) = questions.get(*n) {
                    all.push((*n, *segment, finding::find(segment, *field, wanted)?));
                }
            }
            Ok::<_, FulltextError>(all)
        };
        let large = tasks.len() > 1 && self.covered.len() >= APART_FROM_ITEMS;
        let (own, other) = std::thread::scope(|scope| {
            let other = large.then(|| scope.spawn(work));
            (work(), other.map(|other| other.join()))
        });
        let other = match other {
            Some(other) => other.map_err(|_| std::io::Error::other("a search broke off"))?,
            None => Ok(Vec::new()),
        };
        for (n, segment, found) in own?.into_iter().chain(other?) {
            if let Some(hits) = hits.get_mut(n) {
                hits.take(segment, &found);
            }
        }
        Ok(hits)
    }

    fn held_bytes(&self) -> usize {
        self.segments.iter().map(|segment| segment.held_bytes()).sum()
    }
}

impl Fulltext {
    /// Opens the indexes in `dir`. `made_of` says by which rule texts were taken from items.
    pub fn open(dir: &Path, db: Arc<dyn Db>, made_of: u32) -> std::io::Result<Arc<Self>> {
        std::fs::create_dir_all(dir)?;
        Ok(Arc::new(Self {
            dir: dir.to_owned(),
            db,
            form: files::FORMAT << 16 | made_of,
            shelf: Mutex::default(),
        }))
    }

    fn folder(&self, tenant: TenantId) -> PathBuf {
        self.dir.join(tenant.0.to_string())
    }

    /// A number for a new segment, not below what the row says.
    fn number(&self, tenant: TenantId, next: u64) -> u64 {
        let mut shelf = self.shelf();
        let last = shelf.numbers.entry(tenant).or_default();
        *last = next.max(last.saturating_add(1));
        *last
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The index of a tenant as it is now; `None` when there is none yet, or none that can be used. Blocks.
    pub fn snapshot(&self, tenant: TenantId) -> Result<Option<Arc<Snapshot>>, FulltextError> {
        for attempt in 1.. {
            let Some(stored) = row::read(&*self.db, tenant)?.filter(|s| s.row.form == self.form) else {
                return Ok(None);
            };
            if self.is_suspect(tenant, &stored.row) {
                return Ok(None);
            }
            match self.read(tenant, &stored) {
                // Segments go away when others have taken their place; then the row says so by now.
                Err(FulltextError::Io(error))
                    if error.kind() == std::io::ErrorKind::NotFound && attempt < ATTEMPTS => {}
                Err(error) => {
                    if error.is_damage() {
                        self.suspect(tenant, &stored.row);
                    }
                    return Err(error);
                }
                Ok(snapshot) => return Ok(Some(snapshot)),
            }
        }
        Ok(None)
    }

    fn read(&self, tenant: TenantId, stored: &Stored<Indexed>) -> Result<Arc<Snapshot>, FulltextError> {
        let before = {
            let mut shelf = self.shelf();
            shelf.tick += 1;
            let tick = shelf.tick;
            shelf.kept.get_mut(&tenant).map(|kept| {
                kept.used = tick;
                kept.snapshot.clone()
            })
        };
        if let Some(same) = before.as_ref().filter(|before| before.indexed == stored.row) {
            return Ok(same.clone());
        }
        let dir = self.folder(tenant);
        let mut segments = Vec::with_capacity(stored.row.segments.len());
        let known = before
            .iter()
            .flat_map(|before| before.indexed.segments.iter().zip(&before.segments));
        let known: HashMap<_, _> = known
            .map(|(row, segment)| ((row.number, row.identity), segment))
            .collect();
        for named in &stored.row.segments {
            segments.push(match known.get(&(named.number, named.identity)) {
                Some(segment) => (*segment).clone(),
                None => Arc::new(Segment::open(&dir, named.number, named.identity)?),
            });
        }
        let items = segments.iter().flat_map(|segment| segment.head.items.iter());
        let snapshot = Arc::new(Snapshot {
            tenant,
            indexed: stored.row.clone(),
            covered: Arc::new(items.map(|item| ItemId(*item)).collect()),
            segments,
        });
        let mut shelf = self.shelf();
        let (snapshot_kept, used) = (snapshot.clone(), shelf.tick);
        let kept = Kept {
            snapshot: snapshot_kept,
            used,
        };
        shelf.kept.insert(tenant, kept);
        Ok(snapshot)
    }

    /// Forgets what was used longest ago, when much is held. To be called after asking.
    pub fn tidy(&self) {
        let mut shelf = self.shelf();
        let mut held: Vec<(u64, TenantId, usize)> = shelf
            .kept
            .iter()
            .map(|(tenant, kept)| (kept.used, *tenant, kept.snapshot.held_bytes()))
            .collect();
        let mut all: usize = held.iter().map(|(.., bytes)| bytes).sum();
        held.sort_unstable();
        for (_, tenant, bytes) in held {
            if all <= HELD_MAX_BYTES {
                return;
            }
            shelf.kept.remove(&tenant);
            all -= bytes;
        }
    }

    /// Octets of terms held in memory now.
    pub fn held_bytes(&self) -> usize {
        self.shelf()
            .kept
            .values()
            .map(|kept| kept.snapshot.held_bytes())
            .sum()
    }

    /// Asking a snapshot failed. Says whether to ask anew, because segments were joined meanwhile. A damaged one is not
    /// used any more, and who writes makes it anew.
    pub fn failed(&self, snapshot: &Snapshot, error: &FulltextError) -> bool {
        let now = row::read(&*self.db, snapshot.tenant);
        if matches!(&now, Ok(Some(now)) if now.row != snapshot.indexed) {
            return true;
        }
        if error.is_damage() {
            self.suspect(snapshot.tenant, &snapshot.indexed);
        }
        false
    }

    fn suspect(&self, tenant: TenantId, indexed: &Indexed) {
        let mut shelf = self.shelf();
        shelf.kept.remove(&tenant);
        shelf.suspect.insert((tenant, indexed.segments.clone()));
    }

    fn is_suspect(&self, tenant: TenantId, indexed: &Indexed) -> bool {
        let shelf = self.shelf();
        // Nearly always there are none.
        !shelf.suspect.is_empty() && shelf.suspect.contains(&(tenant, indexed.segments.clone()))
    }
}
