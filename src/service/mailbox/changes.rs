//! The change log as many views read it: what one of them has read, the others ask without reading it again.
//!
//! A slice is what the log said at one moment. It may be used later: whatever changed since stands further up in the
//! log, and who has caught up to the end of a slice reads that next. Nobody has caught up before he has read the log
//! itself and found nothing, or no commit behind what he read has begun: then there is nothing.

use crate::domain::item::{Item, ItemKind};
use crate::id::{ItemId, LabelId, ModSeq, TenantId};
use crate::store::StoreError;
use crate::store::db::Db;
use crate::store::tables::flags::PAGE_ITEMS;
use crate::store::tables::items::{self, ChangeOf};
use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Changes read in one step, about: what is looked at before others get their turn.
pub(super) const STEP: usize = 500;
/// Slices kept for other views: a few hundred kilobytes each, so some ten megabytes.
const SLICES_MAX: usize = 24;

/// One change. A change of flags is its user's alone, so the item is read by whom it concerns.
pub(super) struct Changed {
    pub modseq: ModSeq,
    pub of: ChangeOf,
    pub id: ItemId,
    read: Option<Box<Read>>,
}

/// An item as it stood when it was read.
#[derive(Clone)]
pub(super) struct Read {
    pub item: Item,
    /// For evidence, the item it speaks of.
    pub about: Option<Item>,
}

impl Read {
    fn of(db: &dyn Db, tenant: TenantId, id: ItemId) -> Result<Option<Self>, StoreError> {
        let Some(item) = items::item(db, tenant, id)? else {
            return Ok(None);
        };
        let about = items::about(db, tenant, &item.row)?;
        Ok(Some(Self {
            item: item.row.clone(),
            about,
        }))
    }
}

impl Changed {
    /// The item that changed, or on which the flags did.
    pub fn read(&self, db: &dyn Db, tenant: TenantId) -> Result<Option<Cow<'_, Read>>, StoreError> {
        match &self.read {
            Some(read) => Ok(Some(Cow::Borrowed(read))),
            None => Ok(Read::of(db, tenant, self.id)?.map(Cow::Owned)),
        }
    }
}

/// A run of the log of one tenant, never a part of one commit.
pub(super) struct Slice {
    tenant: TenantId,
    from: ModSeq,
    pub last: ModSeq,
    changes: Vec<Changed>,
    /// Labels whose words changed.
    words: Vec<(ModSeq, LabelId)>,
    evidence: OnceLock<HashMap<ItemId, Vec<Item>>>,
}

impl Slice {
    fn read(db: &dyn Db, tenant: TenantId, from: ModSeq) -> Result<Option<Self>, StoreError> {
        let read = items::changes_after(db, tenant, from, STEP)?;
        let Some(last) = read.last().map(|change| change.modseq) else {
            return Ok(None);
        };
        let (mut changes, mut words) = (Vec::with_capacity(read.len()), Vec::new());
        for change in read {
            if let ChangeOf::Word(label) = change.of {
                words.push((change.modseq, label));
                continue;
            }
            let read = match change.of {
                ChangeOf::Item => Read::of(db, tenant, change.item)?.map(Box::new),
                _ => None,
            };
            changes.push(Changed {
                modseq: change.modseq,
                of: change.of,
                id: change.item,
                read,
            });
        }
        Ok(Some(Self {
            tenant,
            from,
            last,
            changes,
            words,
            evidence: OnceLock::new(),
        }))
    }

    /// The changes behind `since`.
    pub fn after(&self, since: ModSeq) -> impl Iterator<Item = &Changed> {
        self.changes.iter().filter(move |change| change.modseq > since)
    }

    /// How many rows of the log the changes behind `since` are: what one commit marked on a page of items is one.
    pub fn rows_after(&self, since: ModSeq) -> usize {
        let row = |c: &Changed| match c.of {
            ChangeOf::FlagsOf(user) => (c.modseq, Some(user), c.id.0 / PAGE_ITEMS),
            ChangeOf::Item | ChangeOf::Word(_) => (c.modseq, None, c.id.0),
        };
        let (mut rows, mut last) = (0, None);
        for change in self.after(since) {
            let row = Some(row(change));
            rows += usize::from(row != last);
            last = row;
        }
        rows
    }

    /// Labels whose words changed behind `since`, and not behind `until`.
    pub fn words(&self, since: ModSeq, until: ModSeq) -> impl Iterator<Item = LabelId> + '_ {
        let within = move |at: &ModSeq| since < *at && *at <= until;
        let words = self.words.iter().filter(move |(at, _)| within(at));
        words.map(|(_, label)| *label)
    }

    /// The evidence that speaks of a changed item: who sees the one sees the other.
    pub fn evidence(&self, db: &dyn Db, about: &Item) -> Result<&[Item], StoreError> {
        if self.evidence.get().is_none() {
            let mut all = HashMap::new();
            let items = self.changes.iter().filter(|c| c.of == ChangeOf::Item);
            let items = items.filter_map(|c| Some(&c.read.as_ref()?.item));
            for item in items.filter(|i| bears_evidence(i)) {
                let mut found = Vec::new();
                for id in items::speaking_of(db, self.tenant, item.id)? {
                    found.extend(items::item(db, self.tenant, id)?.map(|stamped| stamped.row.clone()));
                }
                if !found.is_empty() {
                    all.insert(item.id, found);
                }
            }
            // Whoever was faster read the same.
            let _ = self.evidence.set(all);
        }
        let found = self.evidence.get().and_then(|all| all.get(&about.id));
        Ok(found.map_or(&[], Vec::as_slice))
    }
}

fn bears_evidence(item: &Item) -> bool {
    matches!(item.kind, ItemKind::Incoming | ItemKind::Outgoing)
}

/// The slices read lately.
#[derive(Default)]
pub struct Changes(Mutex<VecDeque<Arc<Slice>>>);

impl Changes {
    /// What changed after `since`, the beginning of it; `None` when nothing did.
    pub(super) fn after(
        &self,
        db: &dyn Db,
        tenant: TenantId,
        since: ModSeq,
    ) -> Result<Option<Arc<Slice>>, StoreError> {
        if db.begun().0 <= since.0 {
            return Ok(None);
        }
        let fits = |s: &&Arc<Slice>| s.tenant == tenant && s.from <= since && since < s.last;
        let mut slices = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slice) = slices.iter().rev().find(fits) {
            return Ok(Some(slice.clone()));
        }
        drop(slices);
        let Some(slice) = Slice::read(db, tenant, since)?.map(Arc::new) else {
            return Ok(None);
        };
        slices = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if slices.len() >= SLICES_MAX {
            slices.pop_front();
        }
        slices.push_back(slice.clone());
        Ok(Some(slice))
    }
}
