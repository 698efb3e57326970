//! Writing an index: items are gathered, written as a segment, and named by the row in one batch. Small segments are
//! joined into larger ones, so that few have to be asked.
//!
//! Files are written and synced before the row names them; files no row names are swept. So a crash at any line leaves
//! an index that is as it was, or one further.

use super::files::{self, Field};
use super::gathering::Harvest;
use super::merging::merge;
use super::{Fulltext, FulltextError, Snapshot};
use crate::id::{ItemId, ModSeq, TenantId};
use crate::store::StoreError;
use crate::store::db::Batch;
use crate::store::tables::Stored;
use crate::store::tables::fulltext::{self as row, Indexed, SEGMENTS_MAX, Segment as Named};
use std::collections::HashSet;
use std::sync::Arc;

/// What is gathered before it is written: some thousand mails, and what one writer may hold.
const GATHERED_MAX_BYTES: usize = 48 * 1024 * 1024;
/// Segments of about one size that are joined.
const JOINED: usize = 6;
/// Segments of about one size are within this factor.
const SIZE_FACTOR: u64 = 4;
/// Below this all are of one size.
const SMALL_OCTETS: u64 = 256 * 1024;
/// Nothing larger is made by joining: its terms are in memory when it is asked.
const SEGMENT_MAX_OCTETS: u64 = 512 * 1024 * 1024;

/// What the writer found.
enum Begun {
    Nothing,
    /// A row that cannot be read: it is replaced whatever it says.
    Unreadable,
    Row(Stored<Indexed>),
}

/// One tenant's index while it is written. There is one writer; a second one is refused when it commits.
pub struct Writing {
    fulltext: Arc<Fulltext>,
    tenant: TenantId,
    stored: Begun,
    indexed: Indexed,
    snapshot: Option<Arc<Snapshot>>,
    harvest: Harvest,
    gathered: HashSet<ItemId>,
}

impl Writing {
    /// Begins where the index of a tenant ends. One that is damaged, or of another form, begins anew.
    pub fn begin(fulltext: &Arc<Fulltext>, tenant: TenantId) -> Result<Self, FulltextError> {
        let stored = match row::read(&*fulltext.db, tenant) {
            // It said nothing that the items do not say.
            Err(StoreError::Unreadable { error, .. }) => {
                tracing::warn!(tenant = tenant.0, %error, "the full-text index begins anew");
                Begun::Unreadable
            }
            read => read?.map_or(Begun::Nothing, Begun::Row),
        };
        let snapshot = match fulltext.snapshot(tenant) {
            Err(error) if error.is_damage() => {
                tracing::error!(tenant = tenant.0, %error, "the full-text index is made anew");
                None
            }
            Err(FulltextError::Store(StoreError::Unreadable { .. })) => None,
            other => other?,
        };
        let indexed = match (&snapshot, &stored) {
            (Some(snapshot), _) => snapshot.indexed.clone(),
            // Numbers are never given twice: who still reads old segments must not meet new ones under their names.
            (None, stored) => Indexed {
                form: fulltext.form,
                caught_up: ModSeq(0),
                next: match stored {
                    Begun::Row(stored) => stored.row.next,
                    _ => 1,
                },
                segments: Vec::new(),
            },
        };
        std::fs::create_dir_all(fulltext.folder(tenant))?;
        Ok(Self {
            fulltext: fulltext.clone(),
            tenant,
            stored,
            indexed,
            snapshot,
            harvest: Harvest::default(),
            gathered: HashSet::new(),
        })
    }

    pub fn caught_up(&self) -> ModSeq {
        self.indexed.caught_up
    }

    pub fn has(&self, item: ItemId) -> bool {
        let known = self.snapshot.as_ref().is_some_and(|s| s.covered.contains(item));
        known || self.gathered.contains(&item)
    }

    /// A passage of the item under way; the text is folded. `false`: there is too much, the item has to be given up.
    #[must_use]
    pub fn passage(&mut self, field: Field, text: &str) -> bool {
        self.harvest.passage(field, text)
    }

    /// The item under way is complete.
    pub fn keep(&mut self, item: ItemId) {
        self.harvest.keep(item);
        self.gathered.insert(item);
    }

    /// The item under way is given up: it stays unknown.
    pub fn forget(&mut self) {
        self.harvest.forget();
    }

    pub fn gathered(&self) -> usize {
        self.harvest.len()
    }

    /// Whether so much is gathered that it should be written.
    pub fn is_full(&self) -> bool {
        self.harvest.size_bytes() >= GATHERED_MAX_BYTES
    }

    /// Writes what was gathered, and that all up to this change is in the index or was given up.
    pub async fn commit(self, caught_up: ModSeq) -> Result<(), FulltextError> {
        let dir = self.fulltext.folder(self.tenant);
        let mut next = Indexed {
            caught_up,
            ..self.indexed.clone()
        };
        let number = self.fulltext.number(self.tenant, next.next);
        if !self.harvest.is_empty() {
            let (head, identity) = self.harvest.write(&dir, number)?;
            next.next = number.saturating_add(1);
            next.segments.push(Named {
                number,
                identity,
                docs: head.docs(),
                octets: head.octets(),
            });
        }
        let written = self.put(next).await;
        if written.is_err() {
            files::remove(&dir, number);
        }
        written
    }

    async fn put(&self, next: Indexed) -> Result<(), FulltextError> {
        let mut batch = Batch::new();
        match &self.stored {
            Begun::Nothing => row::add(&mut batch, self.tenant, &next)?,
            Begun::Unreadable => row::put_anyway(&mut batch, self.tenant, &next)?,
            Begun::Row(stored) => stored.replace(&mut batch, &next)?,
        }
        self.fulltext.db.commit(batch).await?;
        Ok(())
    }

    /// Joins some segments of about one size, if there are many; says whether it did. Stops when told to.
    pub async fn join(self, going_on: impl Fn() -> bool) -> Result<bool, FulltextError> {
        let (Some(snapshot), chosen) = (&self.snapshot, choose(&self.indexed.segments)) else {
            return Ok(false);
        };
        if chosen.is_empty() {
            return Ok(false);
        }
        let dir = self.fulltext.folder(self.tenant);
        let number = self.fulltext.number(self.tenant, self.indexed.next);
        let segments: Vec<_> = chosen
            .iter()
            .filter_map(|at| snapshot.segments.get(*at).cloned())
            .collect();
        let joined = match merge(&dir, number, &segments, going_on) {
            Ok(Some(joined)) => joined,
            Ok(None) => {
                files::remove(&dir, number);
                return Ok(false);
            }
            Err(error) => {
                files::remove(&dir, number);
                self.fulltext.failed(snapshot, &error);
                return Err(error);
            }
        };
        let mut next = self.indexed.clone();
        let at = |n: usize| !chosen.contains(&n);
        let old: Vec<u64> = chosen
            .iter()
            .filter_map(|n| next.segments.get(*n))
            .map(|s| s.number)
            .collect();
        let mut n = 0;
        next.segments.retain(|_| {
            n += 1;
            at(n - 1)
        });
        let (head, identity) = joined;
        next.next = number.saturating_add(1);
        next.segments.push(Named {
            number,
            identity,
            docs: head.docs(),
            octets: head.octets(),
        });
        if let Err(error) = self.put(next).await {
            files::remove(&dir, number);
            return Err(error);
        }
        for number in old {
            files::remove(&dir, number);
        }
        Ok(true)
    }

    /// Removes files that no row names: a crash or a damaged index left them.
    pub fn sweep(&self) -> Result<(), FulltextError> {
        let named: HashSet<u64> = self.indexed.segments.iter().map(|s| s.number).collect();
        let dir = self.fulltext.folder(self.tenant);
        let mut left = HashSet::new();
        for entry in std::fs::read_dir(&dir)? {
            let name = entry?.file_name();
            left.extend(
                name.to_str()
                    .and_then(files::number_of)
                    .filter(|n| !named.contains(n)),
            );
        }
        for number in left {
            files::remove(&dir, number);
        }
        Ok(())
    }
}

fn size_class(octets: u64) -> u32 {
    (octets / SMALL_OCTETS)
        .checked_ilog(SIZE_FACTOR)
        .map_or(0, |n| n + 1)
}

/// Which segments to join: of the smallest size that has many; any, when the row gets too long.
fn choose(segments: &[Named]) -> Vec<usize> {
    let crowded = segments.len() >= SEGMENTS_MAX;
    let mut by_class: Vec<(u32, usize)> = segments
        .iter()
        .enumerate()
        .map(|(at, segment)| (size_class(segment.octets), at))
        .collect();
    by_class.sort_unstable();
    for class in by_class.chunk_by(|a, b| crowded || a.0 == b.0) {
        let mut octets = 0;
        let fits = class.iter().map(|(_, at)| *at).take_while(|at| {
            octets += segments.get(*at).map_or(0, |s| s.octets);
            octets <= SEGMENT_MAX_OCTETS
        });
        let fits: Vec<usize> = fits.collect();
        if class.len() >= JOINED && fits.len() > 1 {
            return fits;
        }
    }
    Vec::new()
}
