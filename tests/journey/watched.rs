//! A store that counts what is asked of it, and fails a commit when told to.

use super::mailbox_house::House;
use kepd::service::mailbox::Mailboxes;
use kepd::store::StoreError;
use kepd::store::db::{Batch, Commit, CommitError, CommitSeq, Db, Parse, Parsed, Rows};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

pub struct Watched {
    db: Arc<dyn Db>,
    pub scans: AtomicUsize,
    pub commits: AtomicUsize,
    fails: Mutex<Option<CommitError>>,
    fails_scan: AtomicBool,
}

impl Watched {
    /// The next commit is refused with this.
    pub fn fail_once(&self, with: CommitError) {
        *self.fails.lock().unwrap() = Some(with);
    }

    /// The next scan fails.
    pub fn fail_scan_once(&self) {
        self.fails_scan.store(true, Ordering::SeqCst);
    }

    /// What was to fail did.
    pub fn has_failed(&self) -> bool {
        self.fails.lock().unwrap().is_none() && !self.fails_scan.load(Ordering::SeqCst)
    }

    /// Scans since it was asked last.
    pub fn scanned(&self) -> usize {
        self.scans.swap(0, Ordering::SeqCst)
    }

    /// Commits since it was asked last, refused ones too.
    pub fn committed(&self) -> usize {
        self.commits.swap(0, Ordering::SeqCst)
    }
}

impl Db for Watched {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.db.get(key)
    }

    fn parsed(&self, key: &[u8], parse: Parse<'_>) -> Result<Option<Parsed>, StoreError> {
        self.db.parsed(key, parse)
    }

    fn range(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Rows, StoreError> {
        self.scans.fetch_add(1, Ordering::SeqCst);
        if self.fails_scan.swap(false, Ordering::SeqCst) {
            return Err(StoreError::Io("the disk does not answer".into()));
        }
        self.db.range(from, to, limit)
    }

    fn range_back(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Rows, StoreError> {
        self.scans.fetch_add(1, Ordering::SeqCst);
        self.db.range_back(from, to, limit)
    }

    fn begun(&self) -> CommitSeq {
        self.db.begun()
    }

    fn commit(&self, batch: Batch) -> Commit<'_> {
        self.commits.fetch_add(1, Ordering::SeqCst);
        if let Some(error) = self.fails.lock().unwrap().take() {
            return Box::pin(async { Err(error) });
        }
        self.db.commit(batch)
    }
}

/// The mailboxes of the house on such a store.
pub fn watched(house: &House) -> (Arc<Watched>, Arc<Mailboxes>) {
    let db = Arc::new(Watched {
        db: house.mailboxes.db.clone(),
        scans: AtomicUsize::new(0),
        commits: AtomicUsize::new(0),
        fails: Mutex::new(None),
        fails_scan: AtomicBool::new(false),
    });
    let mut mailboxes = house.unindexed();
    mailboxes.db = db.clone();
    (db, Arc::new(mailboxes))
}
