//! Flags of each user, in pages: one row for what a user has said about a run of items that follow each other.
//!
//! Items lie side by side in mailboxes, and clients ask and set flags of many at once. So one row holds the flags on
//! [`PAGE_ITEMS`] items, a column of bits for each flag and each keyword. Every item has a number of its own in it, that
//! of the commit that last changed its flags; a reader sees no difference to a row for each item.
//!
//! A page is changed by a revision ([`Revision`]): the committer changes the page as it is then, and refuses the batch when
//! an item it changes is not as it was read. So who changes other items of the same page at the same time is in nobody's
//! way, and all of them share one sync.
//!
//! The change log says which items of a page a commit changed: one row for the page and the commit, with a bit for
//! each of them that has not been changed since. Each item that was ever marked has its bit in exactly one such row.
//! Keywords that do not fit a page have a row of their own (`fk`), written only together with the page.

use super::items::flags_change_key;
use super::{Key, rows};
use crate::domain::item::UserFlags;
use crate::id::{ItemId, ModSeq, TenantId, UserId};
use crate::store::StoreError;
use crate::store::db::{Batch, CommitSeq, Db, Revised, Revision};
use crate::store::row::{self, RowError};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Items in one page: as many as a number has bits. A page where each item was changed by another commit has some 400
/// octets.
pub const PAGE_ITEMS: u64 = 128;
/// Octets of keywords in one page, so that a page stays in memory (`row_cache`) whatever a client sets. Beyond, those of
/// the item that came last stand in a row of their own.
const WORDS_MAX_BYTES: usize = 2048;
/// What a column of bits takes at most beside its keyword.
const COLUMN_BYTES: usize = 20;

/// Bits of the items of one page.
pub(super) type Column = u128;

/// What a user said about an item, without keywords.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Said {
    pub seen: bool,
    pub answered: bool,
    pub flagged: bool,
    pub draft: bool,
    pub deleted: bool,
}

/// Flags of one user on the items of one page.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
struct FlagPage {
    /// The commit that wrote it.
    at: u64,
    /// Items the user ever said something about.
    known: Column,
    seen: Column,
    answered: Column,
    flagged: Column,
    draft: Column,
    deleted: Column,
    words: BTreeMap<String, Column>,
    /// Items whose keywords stand in rows of their own.
    apart: Column,
    /// Items last changed by an earlier commit than the page, and how much earlier, in order.
    earlier: Column,
    behind: Vec<u64>,
}

/// Keywords that did not fit the page. They are written whenever their item changes, so they have its number.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Keywords {
    at: u64,
    words: BTreeSet<String>,
}

rows! {
    FlagPage => "user flags" v 2;
    Keywords => "keywords apart" v 1;
}

/// How often a page and the keywords beside it are read until they are of one moment. A writer would have to come between
/// each time.
const READ_ATTEMPTS: usize = 16;

fn page_of(item: ItemId) -> u64 {
    item.0 / PAGE_ITEMS
}

fn bit_of(item: ItemId) -> Column {
    1 << (item.0 % PAGE_ITEMS)
}

/// The items of a column, in order.
pub(super) fn items_of(page: u64, column: Column) -> impl Iterator<Item = ItemId> {
    bits(column).map(move |bit| ItemId(page * PAGE_ITEMS + u64::from(bit.trailing_zeros())))
}

fn bits(mut column: Column) -> impl Iterator<Item = Column> {
    std::iter::from_fn(move || {
        let bit = column & column.wrapping_neg();
        column ^= bit;
        (bit != 0).then_some(bit)
    })
}

fn key(tenant: TenantId, user: UserId, page: u64) -> Vec<u8> {
    Key::tenant(tenant, b"fl").number(user.0).long(page).done()
}

fn keywords_key(tenant: TenantId, user: UserId, item: ItemId) -> Vec<u8> {
    Key::tenant(tenant, b"fk").number(user.0).long(item.0).done()
}

impl FlagPage {
    fn decode(octets: &[u8]) -> Result<Self, RowError> {
        let page: Self = row::decode(octets)?;
        let whole = page.earlier & !page.known == 0
            && page.behind.len() == page.earlier.count_ones() as usize
            && page.behind.iter().all(|behind| *behind < page.at);
        if whole {
            return Ok(page);
        }
        let why = "the numbers of its items do not fit it";
        Err(RowError::unreadable("user flags", why))
    }

    fn read(db: &dyn Db, key: Vec<u8>) -> Result<Self, StoreError> {
        let Some(octets) = db.get(&key)? else {
            return Ok(Self::default());
        };
        Self::decode(&octets).map_err(|error| StoreError::Unreadable { key, error })
    }

    /// The commit that last changed an item's flags; 0 where its user never said anything.
    fn number(&self, bit: Column) -> u64 {
        if self.known & bit == 0 {
            return 0;
        }
        let before = (self.earlier & (bit - 1)).count_ones() as usize;
        let behind = self.behind.get(before).filter(|_| self.earlier & bit != 0);
        self.at - behind.copied().unwrap_or(0)
    }

    fn said(&self, bit: Column) -> Said {
        Said {
            seen: self.seen & bit != 0,
            answered: self.answered & bit != 0,
            flagged: self.flagged & bit != 0,
            draft: self.draft & bit != 0,
            deleted: self.deleted & bit != 0,
        }
    }

    /// All that was said about an item, with the keywords that the caller has found.
    fn flags(&self, bit: Column, keywords: BTreeSet<String>) -> UserFlags {
        let said = self.said(bit);
        UserFlags {
            seen: said.seen,
            answered: said.answered,
            flagged: said.flagged,
            draft: said.draft,
            deleted: said.deleted,
            keywords,
            modseq: ModSeq(self.number(bit)),
        }
    }

    fn set_said(&mut self, bit: Column, new: &UserFlags) {
        let columns = [
            (&mut self.seen, new.seen),
            (&mut self.answered, new.answered),
            (&mut self.flagged, new.flagged),
            (&mut self.draft, new.draft),
            (&mut self.deleted, new.deleted),
        ];
        for (column, set) in columns {
            *column = (*column & !bit) | if set { bit } else { 0 };
        }
        self.known |= bit;
    }

    /// Puts the item's keywords in, if they fit.
    fn set_words(&mut self, bit: Column, new: &BTreeSet<String>) -> bool {
        self.words.retain(|_, column| {
            *column &= !bit;
            *column != 0
        });
        let cost = |word: &String| word.len() + COLUMN_BYTES;
        let there: usize = self.words.keys().map(cost).sum();
        let added = new.iter().filter(|word| !self.words.contains_key(*word));
        let fits = new.is_empty() || there + added.map(cost).sum::<usize>() <= WORDS_MAX_BYTES;
        if fits {
            for word in new {
                *self.words.entry(word.clone()).or_default() |= bit;
            }
        }
        fits
    }

    /// Writes down that `changed` items were changed by commit `seq`, which writes the page, and the others were not.
    fn renumber(&mut self, before: &Self, changed: Column, seq: u64) {
        (self.at, self.earlier) = (seq, 0);
        self.behind.clear();
        for bit in bits(before.known & !changed) {
            // A batch may revise a page more than once.
            let behind = seq.saturating_sub(before.number(bit));
            if behind > 0 {
                self.earlier |= bit;
                self.behind.push(behind);
            }
        }
    }
}

/// What one user said, read page by page: the last page is kept, for what is asked next mostly lies beside it. What it says
/// of an item was true at some moment since the reader was made.
pub struct FlagReader<'d> {
    db: &'d dyn Db,
    tenant: TenantId,
    user: UserId,
    /// Which page is kept.
    at: Option<u64>,
    page: FlagPage,
}

impl<'d> FlagReader<'d> {
    pub fn new(db: &'d dyn Db, tenant: TenantId, user: UserId) -> Self {
        Self {
            db,
            tenant,
            user,
            at: None,
            page: FlagPage::default(),
        }
    }

    /// Forgets what was read: what is asked next is as it is then.
    pub fn renew(&mut self) {
        self.at = None;
    }

    fn page(&mut self, item: ItemId) -> Result<&FlagPage, StoreError> {
        let wanted = page_of(item);
        if self.at != Some(wanted) {
            self.at = None;
            self.page = FlagPage::read(self.db, key(self.tenant, self.user, wanted))?;
            self.at = Some(wanted);
        }
        Ok(&self.page)
    }

    /// What he said about an item, without keywords.
    pub fn said(&mut self, item: ItemId) -> Result<Said, StoreError> {
        Ok(self.page(item)?.said(bit_of(item)))
    }

    /// His flags on an item, if he ever set any.
    pub fn flags(&mut self, item: ItemId) -> Result<Option<UserFlags>, StoreError> {
        let (db, bit) = (self.db, bit_of(item));
        let (tenant, user) = (self.tenant, self.user);
        let key = || keywords_key(tenant, user, item);
        for _ in 0..READ_ATTEMPTS {
            let page = self.page(item)?;
            if page.known & bit == 0 {
                return Ok(None);
            }
            if page.apart & bit == 0 {
                let set = page.words.iter().filter(|(_, column)| **column & bit != 0);
                let keywords = set.map(|(word, _)| word.clone()).collect();
                return Ok(Some(page.flags(bit, keywords)));
            }
            // Two rows are two reads: these are of the page only with its number.
            let found = super::read::<Keywords>(db, key())?;
            if let Some(found) = found.filter(|found| found.row.at == page.number(bit)) {
                return Ok(Some(page.flags(bit, found.row.words)));
            }
            self.renew();
        }
        let error = RowError::unreadable("keywords apart", "not of the page's number");
        Err(StoreError::Unreadable { key: key(), error })
    }
}

/// The flags of one user on one item, if he ever set any.
pub fn flags(
    db: &dyn Db,
    tenant: TenantId,
    user: UserId,
    item: ItemId,
) -> Result<Option<UserFlags>, StoreError> {
    FlagReader::new(db, tenant, user).flags(item)
}

/// Changes of one user's flags by one batch.
#[derive(Debug)]
pub struct FlagEdits {
    tenant: TenantId,
    user: UserId,
    pages: InOrder<u64, Edits>,
}

/// What is done to the items of one page, by the number of the item's bit.
type Edits = InOrder<u32, Edit>;

/// What is done to the flags on one item.
#[derive(Debug)]
struct Edit {
    /// The number they were read with; 0: there were none.
    read_at: u64,
    /// `None`: they only have to be as they were read.
    new: Option<UserFlags>,
}

/// Values by their keys, for keys that mostly come in order.
#[derive(Debug)]
struct InOrder<K, V>(Vec<(K, V)>);

impl<K, V> Default for InOrder<K, V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K: Ord + Copy, V> InOrder<K, V> {
    /// The value under a key, which is made if there is none.
    fn at(&mut self, key: K, make: impl FnOnce() -> V) -> &mut V {
        let at = match self.0.last() {
            None => 0,
            Some((last, _)) if *last < key => self.0.len(),
            Some((last, _)) if *last == key => self.0.len() - 1,
            Some(_) => self.0.partition_point(|(there, _)| *there < key),
        };
        if self.0.get(at).is_none_or(|(there, _)| *there != key) {
            self.0.insert(at, (key, make()));
        }
        // It is there now.
        &mut self.0[at].1
    }
}

impl FlagEdits {
    pub fn new(tenant: TenantId, user: UserId) -> Self {
        Self {
            tenant,
            user,
            pages: InOrder::default(),
        }
    }

    /// New flags, only if they are still as they were read.
    pub fn put(&mut self, item: ItemId, old: Option<&UserFlags>, new: &UserFlags) -> Result<(), RowError> {
        // A row of their own has to hold the keywords should the page be full.
        if !new.keywords.is_empty() {
            row::encode(&Keywords {
                at: u64::MAX,
                words: new.keywords.clone(),
            })?;
        }
        self.edit(item, old).new = Some(new.clone());
        Ok(())
    }

    /// Only if the user's flags are still as they were read.
    pub fn require_unchanged(&mut self, item: ItemId, old: Option<&UserFlags>) {
        self.edit(item, old);
    }

    fn edit(&mut self, item: ItemId, old: Option<&UserFlags>) -> &mut Edit {
        let page = self.pages.at(page_of(item), Edits::default);
        page.at(bit_of(item).trailing_zeros(), || Edit {
            read_at: old.map_or(0, |old| old.modseq.0),
            new: None,
        })
    }

    pub fn write_into(self, batch: &mut Batch) {
        let (tenant, user) = (self.tenant, self.user);
        for (page, edits) in self.pages.0 {
            let edits = PageEdits {
                tenant,
                user,
                page,
                edits,
            };
            batch.revise(key(tenant, user, page), Arc::new(edits));
        }
    }
}

/// Writes a user's flags on one item, only if they are still as they were read.
pub fn put_flags(
    batch: &mut Batch,
    tenant: TenantId,
    user: UserId,
    item: ItemId,
    old: Option<&UserFlags>,
    new: &UserFlags,
) -> Result<(), RowError> {
    let mut edits = FlagEdits::new(tenant, user);
    edits.put(item, old, new)?;
    edits.write_into(batch);
    Ok(())
}

/// What a batch does to one page.
#[derive(Debug)]
struct PageEdits {
    tenant: TenantId,
    user: UserId,
    page: u64,
    edits: Edits,
}

impl Revision for PageEdits {
    fn rows_max(&self) -> usize {
        // The page and its place in the log; for each item the place it had there, and its keywords.
        2 + 2 * self.edits.0.len()
    }

    fn brought_bytes(&self) -> usize {
        let new = self.edits.0.iter().filter_map(|(_, edit)| edit.new.as_ref());
        new.flat_map(|flags| &flags.keywords).map(String::len).sum()
    }

    fn revise(&self, now: Option<&[u8]>, seq: CommitSeq) -> Result<Option<Revised>, StoreError> {
        let before = match now {
            Some(octets) => FlagPage::decode(octets)?,
            None => FlagPage::default(),
        };
        let unchanged = |(n, edit): &(u32, Edit)| before.number(1 << n) == edit.read_at;
        if !self.edits.0.iter().all(unchanged) {
            return Ok(None);
        }
        let (mut page, mut rows, mut changed) = (before.clone(), Revised::new(), 0);
        let edits = self.edits.0.iter();
        for (n, new) in edits.filter_map(|(n, edit)| Some((*n, edit.new.as_ref()?))) {
            let bit = 1 << n;
            changed |= bit;
            page.set_said(bit, new);
            self.set_words(&mut page, n, (new, seq.0), &mut rows)?;
        }
        if changed == 0 {
            return Ok(Some(rows));
        }
        page.renumber(&before, changed, seq.0);
        rows.push((key(self.tenant, self.user, self.page), Some(row::encode(&page)?)));
        self.move_up(&before, &page, changed, &mut rows);
        Ok(Some(rows))
    }
}

impl PageEdits {
    fn set_words(
        &self,
        page: &mut FlagPage,
        n: u32,
        (new, at): (&UserFlags, u64),
        rows: &mut Revised,
    ) -> Result<(), RowError> {
        let bit = 1 << n;
        let item = ItemId(self.page * PAGE_ITEMS + u64::from(n));
        let key = || keywords_key(self.tenant, self.user, item);
        if !page.set_words(bit, &new.keywords) {
            page.apart |= bit;
            let apart = Keywords {
                at,
                words: new.keywords.clone(),
            };
            rows.push((key(), Some(row::encode(&apart)?)));
        } else if page.apart & bit != 0 {
            page.apart &= !bit;
            rows.push((key(), None));
        }
        Ok(())
    }

    /// Moves the changed items up the change log. Their earlier places go, or keep those that stay there.
    fn move_up(&self, before: &FlagPage, after: &FlagPage, changed: Column, rows: &mut Revised) {
        let mut places: BTreeMap<u64, Column> = BTreeMap::new();
        for bit in bits(before.known & changed) {
            places.insert(before.number(bit), 0);
        }
        places.insert(after.at, 0);
        for bit in bits(after.known) {
            if let Some(there) = places.get_mut(&after.number(bit)) {
                *there |= bit;
            }
        }
        for (at, there) in places {
            let last = ItemId(self.page * PAGE_ITEMS + (PAGE_ITEMS - 1));
            let key = flags_change_key(self.tenant, ModSeq(at), last, self.user);
            rows.push((key, (there != 0).then(|| there.to_be_bytes().to_vec())));
        }
    }
}

/// The items that a row of the change log speaks of, by the item it names and its value.
pub(super) fn changed_items(
    last: ItemId,
    value: &[u8],
) -> Result<impl Iterator<Item = ItemId> + use<>, RowError> {
    let column = value
        .try_into()
        .map_err(|_| RowError::unreadable("changes of flags", "not of 16 octets"))?;
    Ok(items_of(page_of(last), Column::from_be_bytes(column)))
}

/// What all users of a tenant have said, in no order that means anything.
pub fn for_each(
    db: &dyn Db,
    tenant: TenantId,
    mut each: impl FnMut(UserId, ItemId, UserFlags),
) -> Result<(), StoreError> {
    super::for_each_raw(db, &Key::tenant(tenant, b"fl").done(), |key, octets| {
        let numbers = key.last_chunk::<12>().and_then(|n| n.split_first_chunk::<4>());
        let Some((user, page)) = numbers.and_then(|(user, page)| Some((user, page.try_into().ok()?))) else {
            return Ok(());
        };
        let user = UserId(u32::from_be_bytes(*user));
        let found = FlagPage::decode(&octets).map_err(|error| StoreError::Unreadable { key, error })?;
        let mut reader = FlagReader::new(db, tenant, user);
        for item in items_of(u64::from_be_bytes(page), found.known) {
            if let Some(flags) = reader.flags(item)? {
                each(user, item, flags);
            }
        }
        Ok(())
    })
}

#[cfg(test)]
#[path = "flags_tests.rs"]
mod tests;
