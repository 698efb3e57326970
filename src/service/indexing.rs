//! Follows the tenants' item logs and puts what is new into the full-text index.
//!
//! Never in the way: nobody waits for it. Work goes tenant by tenant in bounded steps, by one writer, on a thread of its own that
//! the system prefers all others to. What waits is found by asking the store: an index knows the change it has
//! caught up to. A few new items wait for company, as a search reads them quickly and many small segments would have to be
//! joined; unless a search has just met them. It decides nothing about searching (`service::searched`).

use crate::clock::{Clock, UtcTime};
use crate::domain::item::Item;
use crate::id::{ItemId, ModSeq, TenantId};
use crate::service::failure::Failure;
use crate::service::outline::Outline;
use crate::service::searched::{Script, Texts};
use crate::store::db::Db;
use crate::store::fulltext::{Field, Fulltext, FulltextError, ItemSet, Writing};
use crate::store::spool::Spool;
use crate::store::tables::items::{self, ChangeOf};
use crate::store::tables::tenants;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// So many new items are worth a segment at once.
const COMPANY: u64 = 64;
/// So long fewer of them wait.
const PATIENCE: Duration = Duration::from_secs(60);
/// Changes read at a time.
const CHANGES_STEP: usize = 512;
/// Items put into the index in one step, after which others get their turn.
const ITEMS_STEP: usize = 4096;
/// Changes without new items that are read again after a restart rather than written down.
const UNWRITTEN_MAX: u64 = 5000;
/// An item that could not be read so often is passed by: searches go on reading it.
const TRIES: u32 = 3;
/// How much the system prefers others (nice(2)).
const NICENESS: i32 = 10;

pub struct Indexing {
    pub db: Arc<dyn Db>,
    pub spool: Arc<Spool>,
    pub clock: Arc<dyn Clock>,
    pub texts: Arc<Texts>,
    seen: Mutex<HashMap<TenantId, Seen>>,
    failed: Mutex<HashMap<(TenantId, ItemId), u32>>,
    stopping: AtomicBool,
}

/// What was seen of a tenant's log.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    /// To here it was looked through.
    to: ModSeq,
    changes: u64,
    /// Where the index was then.
    caught_up: ModSeq,
    /// New items up to there, and since when there are some.
    waiting: u64,
    since: Option<UtcTime>,
    swept: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Indexing {
    pub fn new(db: Arc<dyn Db>, spool: Arc<Spool>, clock: Arc<dyn Clock>, texts: Arc<Texts>) -> Self {
        Self {
            db,
            spool,
            clock,
            texts,
            seen: Mutex::default(),
            failed: Mutex::default(),
            stopping: AtomicBool::new(false),
        }
    }

    /// What is under way ends at its next look.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    fn goes_on(&self) -> bool {
        !self.stopping.load(Ordering::Relaxed)
    }

    /// Looks at all tenants, and works one step for each that is due. Gives how many steps were of use.
    pub async fn run_due(self: &Arc<Self>) -> Result<usize, Failure> {
        self.run(true).await
    }

    /// The same at once: without waiting for company, and not behind others.
    pub async fn run_all(self: &Arc<Self>) -> Result<usize, Failure> {
        self.run(false).await
    }

    async fn run(self: &Arc<Self>, patient: bool) -> Result<usize, Failure> {
        let Some(index) = self.texts.index() else {
            return Ok(0);
        };
        let mut useful = 0;
        for tenant in tenants::all(&*self.db)? {
            let tenant = tenant.row.id;
            if !self.goes_on() {
                break;
            }
            if !self.is_due(index, tenant, patient)? {
                continue;
            }
            match self.step_apart(index, tenant, patient).await {
                Ok(done) => useful += usize::from(done),
                // The others are not to suffer from it.
                Err(failure) => tracing::error!(tenant = tenant.0, %failure, "indexing failed"),
            }
        }
        index.tidy();
        Ok(useful)
    }

    /// Whether there is enough to do for a tenant.
    fn is_due(&self, index: &Arc<Fulltext>, tenant: TenantId, patient: bool) -> Result<bool, Failure> {
        let mut seen = lock(&self.seen).get(&tenant).copied().unwrap_or_default();
        let mut due = false;
        // One that cannot be used is made anew by the writer.
        let snapshot = index.snapshot(tenant).ok().flatten();
        let (caught_up, covered) = snapshot.map(|s| (s.caught_up(), s.covered())).unwrap_or_default();
        if caught_up < seen.caught_up {
            seen = Seen {
                swept: seen.swept,
                ..Seen::default()
            };
        }
        seen.caught_up = caught_up;
        seen.to = seen.to.max(caught_up);
        if items::last_modseq(&*self.db, tenant)? > seen.to {
            let counted = self.count(tenant, seen.to, &covered, COMPANY)?;
            seen.to = counted.to;
            seen.changes += counted.changes;
            seen.waiting += counted.waiting;
        }
        let wanted = self.texts.is_index_wanted(tenant);
        if seen.waiting > 0 {
            let now = self.clock.now();
            let since = *seen.since.get_or_insert(now);
            due = !patient || wanted || seen.waiting >= COMPANY || since.until(now) >= PATIENCE;
        }
        due |= seen.changes > UNWRITTEN_MAX;
        lock(&self.seen).insert(tenant, seen);
        Ok(due)
    }

    /// Reads on in a log until so many items were found that the index does not know.
    fn count(&self, tenant: TenantId, from: ModSeq, covered: &ItemSet, enough: u64) -> Result<Seen, Failure> {
        let mut counted = Seen {
            to: from,
            ..Seen::default()
        };
        while counted.waiting < enough {
            let changes = items::changes_after(&*self.db, tenant, counted.to, CHANGES_STEP)?;
            let Some(last) = changes.last() else { break };
            counted.to = last.modseq;
            counted.changes += changes.len() as u64;
            let new = changes
                .iter()
                .filter(|c| c.of == ChangeOf::Item && !covered.contains(c.item));
            counted.waiting += new.count() as u64;
        }
        Ok(counted)
    }

    /// Items of all tenants that are not in the index yet, with those that are never put there.
    pub fn waiting(&self) -> Result<u64, Failure> {
        let Some(index) = self.texts.index() else {
            return Ok(0);
        };
        let mut all = 0;
        for tenant in tenants::all(&*self.db)? {
            let tenant = tenant.row.id;
            let snapshot = index.snapshot(tenant).ok().flatten();
            let (caught_up, covered) = snapshot.map(|s| (s.caught_up(), s.covered())).unwrap_or_default();
            if items::last_modseq(&*self.db, tenant)? > caught_up {
                all += self.count(tenant, caught_up, &covered, u64::MAX)?.waiting;
            }
        }
        Ok(all)
    }

    /// A step on a thread of its own, behind all others if there is time. The thread ends with it: nobody else ever works
    /// so slowly.
    async fn step_apart(
        self: &Arc<Self>,
        index: &Arc<Fulltext>,
        tenant: TenantId,
        patient: bool,
    ) -> Result<bool, Failure> {
        let (answer, answered) = oneshot::channel();
        let (own, index) = (self.clone(), index.clone());
        let runtime = tokio::runtime::Handle::current();
        let work = move || {
            let behind = if patient { NICENESS } else { 0 };
            if let Err(error) = rustix::process::nice(behind) {
                tracing::debug!(%error, "indexing is not put behind others");
            }
            // Nobody listens any more when the house closes.
            let _ = answer.send(runtime.block_on(own.step(&index, tenant)));
        };
        std::thread::Builder::new()
            .name("indexing".into())
            .spawn(work)
            .map_err(|e| Failure::Unavailable(format!("no thread for indexing: {e}")))?;
        match answered.await {
            Ok(Err(FulltextError::Changed)) => Ok(true),
            Ok(done) => Ok(done?),
            Err(_) => Err(Failure::Broken("indexing broke off".into())),
        }
    }

    async fn step(&self, index: &Arc<Fulltext>, tenant: TenantId) -> Result<bool, FulltextError> {
        let mut writing = Writing::begin(index, tenant)?;
        let swept = lock(&self.seen).get(&tenant).is_some_and(|seen| seen.swept);
        if !swept {
            writing.sweep()?;
        }
        let began = writing.caught_up();
        let mut at = began;
        let mut whole = true;
        while whole && writing.gathered() < ITEMS_STEP && !writing.is_full() {
            let changes = items::changes_after(&*self.db, tenant, at, CHANGES_STEP)?;
            let Some(last) = changes.last().map(|change| change.modseq) else {
                break;
            };
            for change in changes.iter().filter(|c| c.of == ChangeOf::Item) {
                whole = self.goes_on() && !writing.is_full();
                whole = whole
                    && (writing.has(change.item) || self.take(&mut writing, tenant, change.item).await?);
                if !whole {
                    break;
                }
            }
            if whole {
                at = last;
            }
        }
        let gathered = writing.gathered();
        if gathered > 0 || at > began {
            writing.commit(at).await?;
            tracing::debug!(tenant = tenant.0, items = gathered, "indexed");
        }
        // What came meanwhile is counted at the next look, from where the index is now.
        let seen = Seen {
            to: at,
            caught_up: at,
            swept: true,
            ..Seen::default()
        };
        lock(&self.seen).insert(tenant, seen);
        while self.goes_on() && Writing::begin(index, tenant)?.join(|| self.goes_on()).await? {}
        Ok(gathered > 0 || at > began)
    }

    /// Puts one item into the index, or passes it by; `false`: it could not be read now.
    async fn take(&self, writing: &mut Writing, tenant: TenantId, id: ItemId) -> Result<bool, FulltextError> {
        let Some(item) = items::item(&*self.db, tenant, id)?.filter(|item| !item.row.gone) else {
            return Ok(true);
        };
        match self.read(writing, tenant, &item.row).await {
            Ok(true) => writing.keep(id),
            Ok(false) => writing.forget(),
            Err(failure) => {
                writing.forget();
                let mut failed = lock(&self.failed);
                let tries = failed.entry((tenant, id)).or_default();
                *tries += 1;
                tracing::warn!(tenant = tenant.0, item = id.0, %failure, tries, "an item cannot be indexed");
                if *tries < TRIES {
                    return Ok(false);
                }
                failed.remove(&(tenant, id));
            }
        }
        Ok(true)
    }

    /// Gives the texts of an item to the writer; `false`: there are none, or too much.
    async fn read(&self, writing: &mut Writing, tenant: TenantId, item: &Item) -> Result<bool, Failure> {
        let Some(body) = items::body(&*self.db, tenant, item.id)? else {
            return Ok(false);
        };
        let outline = Outline::of_body(&self.spool, &body.row).await?;
        let content = &body.row.content;
        for (_, passage) in self.texts.header(content, &outline).await? {
            let field = match passage.script {
                Script::Words => Field::HeaderWords,
                Script::Plain => Field::HeaderPlain,
            };
            if !writing.passage(field, &passage.text) {
                return Ok(false);
            }
        }
        let text = self.texts.body(content, &outline, item.kind).await?;
        for passage in text.passages() {
            let field = match passage.script {
                Script::Words => Field::BodyWords,
                Script::Plain => Field::BodyPlain,
            };
            if !writing.passage(field, &passage.text) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
