//! The item log of a tenant: items, what they contain, and the change log.
//!
//! The change log has one row for each item at its latest change, keyed by the commit that made it, and one for all
//! flags of a user that were last changed by one commit on one page of items (`flags`). The committer's own number is
//! in these rows, so they appear in order whoever wrote them, and a reader who has caught up to a number has missed
//! nothing below it. A change moves its item up: catching up costs what changed, not what is there.

pub use super::stamped::Stamped;
use super::{Key, Stored, bin, drafts, flags, for_each_raw, insert, read, rows, stamped};
use crate::domain::item::Item;
use crate::id::{ItemId, LabelId, ModSeq, TenantId, UserId};
use crate::store::StoreError;
use crate::store::db::{Batch, Db};
use crate::store::row::{self, RowError};
use crate::store::spool::BlobId;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A run of octets of one blob.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    pub blob: BlobId,
    pub from: u64,
    pub len: u64,
}

/// What an item contains: runs of blobs, one after the other. A dispatch made here is the frame around the original
/// and the original itself, which is stored once.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Content {
    pub pieces: Vec<Piece>,
}

impl Content {
    pub fn whole(blob: BlobId, size_bytes: u64) -> Self {
        Self {
            pieces: vec![Piece {
                blob,
                from: 0,
                len: size_bytes,
            }],
        }
    }

    pub fn size_bytes(&self) -> u64 {
        self.pieces.iter().map(|p| p.len).sum()
    }
}

/// The unchanging part of an item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemBody {
    pub content: Content,
    /// What the message looks like (MIME structure and header summary), as the service that filed it wrote it; empty
    /// when it did not fit a row, then it is read from the content again.
    pub outline: Vec<u8>,
}

rows! {
    Item => "items" v 3;
    ItemBody => "item bodies" v 1;
}

/// Whose view of an item changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeOf {
    Item,
    FlagsOf(UserId),
    /// The word of a label, on all items that carry it (`words`). The item's number is 0, which no item has.
    Word(LabelId),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    pub modseq: ModSeq,
    pub item: ItemId,
    pub of: ChangeOf,
}

pub fn key(tenant: TenantId, item: ItemId) -> Vec<u8> {
    Key::tenant(tenant, b"it").long(item.0).done()
}

fn body_key(tenant: TenantId, item: ItemId) -> Vec<u8> {
    Key::tenant(tenant, b"ib").long(item.0).done()
}

fn change_prefix(tenant: TenantId) -> Key {
    Key::tenant(tenant, b"ch")
}

/// Where the commit's number stands in the key of a change.
pub(super) fn change_stamp_at(tenant: TenantId) -> usize {
    change_prefix(tenant).len()
}

pub(super) fn change_key(tenant: TenantId, modseq: ModSeq, item: ItemId) -> Vec<u8> {
    place(tenant, modseq, item, 0)
}

/// Of a user's flags on the page that ends with an item.
pub(super) fn flags_change_key(tenant: TenantId, modseq: ModSeq, last: ItemId, user: UserId) -> Vec<u8> {
    place(tenant, modseq, last, user.0)
}

/// Of a label's word. The item's number is 0, which no item has and no page ends with.
pub(super) fn word_change_key(tenant: TenantId, modseq: ModSeq, label: LabelId) -> Vec<u8> {
    place(tenant, modseq, ItemId(0), label.0)
}

fn place(tenant: TenantId, modseq: ModSeq, item: ItemId, of: u32) -> Vec<u8> {
    change_prefix(tenant)
        .long(modseq.0)
        .long(item.0)
        .number(of)
        .done()
}

/// Puts an item and what the change log says of it.
fn put_item(batch: &mut Batch, tenant: TenantId, item: &Item) -> Result<(), RowError> {
    stamped::put(batch, key(tenant, item.id), item)?;
    let key = change_key(tenant, ModSeq(0), item.id);
    batch.put_stamped(key, Some(change_stamp_at(tenant)), Vec::new(), None);
    Ok(())
}

/// An item with the number of its last change. Many ask for the same one, so it is shared.
pub fn item(db: &dyn Db, tenant: TenantId, item: ItemId) -> Result<Option<Arc<Stamped<Item>>>, StoreError> {
    stamped::shared(db, key(tenant, item), |stamped: &mut Stamped<Item>| {
        stamped.row.modseq = stamped.modseq;
    })
}

/// For evidence, the item it speaks of.
pub fn about(db: &dyn Db, tenant: TenantId, evidence: &Item) -> Result<Option<Item>, StoreError> {
    match evidence.about {
        Some(about) => Ok(item(db, tenant, about)?.map(|stamped| stamped.row.clone())),
        None => Ok(None),
    }
}

fn about_key(tenant: TenantId, about: ItemId, evidence: ItemId) -> Vec<u8> {
    Key::tenant(tenant, b"ab").long(about.0).long(evidence.0).done()
}

/// The evidence that speaks of an item, oldest first: who sees the item sees these.
pub fn speaking_of(db: &dyn Db, tenant: TenantId, about: ItemId) -> Result<Vec<ItemId>, StoreError> {
    let prefix = Key::tenant(tenant, b"ab").long(about.0).done();
    let mut found = Vec::new();
    for_each_raw(db, &prefix, |key, _| {
        let number = key.last_chunk::<8>().map(|n| ItemId(u64::from_be_bytes(*n)));
        found.extend(number);
        Ok(())
    })?;
    Ok(found)
}

/// A new item and its content.
pub fn add(batch: &mut Batch, tenant: TenantId, item: &Item, body: &ItemBody) -> Result<(), RowError> {
    batch.require_absent(key(tenant, item.id));
    if let Some(about) = item.about {
        batch.put(about_key(tenant, about, item.id), Vec::new());
    }
    drafts::list(batch, tenant, item);
    bin::list(batch, tenant, None, item)?;
    put_item(batch, tenant, item)?;
    match row::encode(body) {
        Ok(octets) if octets.len() <= crate::store::db::ROW_MAX_BYTES => {
            batch.put(body_key(tenant, item.id), octets);
            Ok(())
        }
        _ => {
            let bare = ItemBody {
                content: body.content.clone(),
                outline: Vec::new(),
            };
            insert(batch, body_key(tenant, item.id), &bare)
        }
    }
}

/// Writes a changed item, only if nobody changed it meanwhile.
pub fn replace(batch: &mut Batch, tenant: TenantId, old: &Stamped<Item>, new: &Item) -> Result<(), RowError> {
    old.require_unchanged(batch);
    batch.delete(change_key(tenant, old.modseq, new.id));
    drafts::list(batch, tenant, new);
    bin::list(batch, tenant, Some(&old.row), new)?;
    put_item(batch, tenant, new)
}

pub fn body(db: &dyn Db, tenant: TenantId, item: ItemId) -> Result<Option<Stored<ItemBody>>, StoreError> {
    read(db, body_key(tenant, item))
}

/// Rows of the change log read in one go: a page of flags may bring a hundred changes by itself.
const LOG_STEP_ROWS: usize = 128;

/// The changes after `since`, in order, about `limit` of them: never only a part of what one commit changed, so that
/// a reader can go on behind the last one.
pub fn changes_after(
    db: &dyn Db,
    tenant: TenantId,
    since: ModSeq,
    limit: usize,
) -> Result<Vec<Change>, StoreError> {
    let mut from = change_prefix(tenant).long(since.0.saturating_add(1)).done();
    let end = crate::store::prefix_end(&change_prefix(tenant).done());
    let mut changes: Vec<Change> = Vec::new();
    loop {
        let rows = db.range(&from, &end, LOG_STEP_ROWS)?;
        for (key, value) in &rows {
            let Some(row) = parse_change(tenant, key) else {
                continue;
            };
            let last = changes.last().map(|c| c.modseq);
            // A commit has a bounded number of rows.
            if changes.len() >= limit.max(1) && last != Some(row.modseq) {
                return Ok(changes);
            }
            match row.of {
                ChangeOf::FlagsOf(_) => {
                    let marked = flags::changed_items(row.item, value);
                    let marked = marked.map_err(|error| StoreError::Unreadable {
                        key: key.clone(),
                        error,
                    })?;
                    changes.extend(marked.map(|item| Change { item, ..row }));
                }
                ChangeOf::Item | ChangeOf::Word(_) => changes.push(row),
            }
        }
        match rows.last() {
            Some((last, _)) if rows.len() == LOG_STEP_ROWS => {
                from.clone_from(last);
                from.push(0);
            }
            _ => return Ok(changes),
        }
    }
}

/// The latest change of the tenant; 0 when nothing ever happened.
pub fn last_modseq(db: &dyn Db, tenant: TenantId) -> Result<ModSeq, StoreError> {
    let prefix = change_prefix(tenant).done();
    let rows = db.range_back(&prefix, &crate::store::prefix_end(&prefix), 1)?;
    Ok(rows
        .first()
        .and_then(|(key, _)| parse_change(tenant, key))
        .map_or(ModSeq(0), |c| c.modseq))
}

/// A row of the log; for flags its item is the last one of the page.
fn parse_change(tenant: TenantId, key: &[u8]) -> Option<Change> {
    let rest = key.get(change_stamp_at(tenant)..)?;
    let (modseq, rest) = rest.split_first_chunk::<8>()?;
    let (item, rest) = rest.split_first_chunk::<8>()?;
    let user = u32::from_be_bytes(rest.try_into().ok()?);
    Some(Change {
        modseq: ModSeq(u64::from_be_bytes(*modseq)),
        item: ItemId(u64::from_be_bytes(*item)),
        of: match (u64::from_be_bytes(*item), user) {
            (0, label) => ChangeOf::Word(LabelId(label)),
            (_, 0) => ChangeOf::Item,
            (_, user) => ChangeOf::FlagsOf(UserId(user)),
        },
    })
}

/// Walks all items of a tenant in the order of their numbers.
pub fn for_each(
    db: &dyn Db,
    tenant: TenantId,
    mut each: impl FnMut(Item) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    for_each_raw(db, &Key::tenant(tenant, b"it").done(), |key, octets| {
        let stamped = Stamped::<Item>::decode(key, octets)?;
        each(Item {
            modseq: stamped.modseq,
            ..stamped.row
        })
    })
}

/// At most `limit` items from number `from` on, in order.
pub fn step(db: &dyn Db, tenant: TenantId, from: ItemId, limit: usize) -> Result<Vec<Item>, StoreError> {
    let end = crate::store::prefix_end(&Key::tenant(tenant, b"it").done());
    let rows = db.range(&key(tenant, from), &end, limit)?;
    let item = |(key, octets): (Vec<u8>, Vec<u8>)| {
        let stamped = Stamped::<Item>::decode(key, octets)?;
        Ok(Item {
            modseq: stamped.modseq,
            ..stamped.row
        })
    };
    rows.into_iter().map(item).collect()
}

/// At most `limit` items with numbers below `before`, the highest first.
pub fn step_back(
    db: &dyn Db,
    tenant: TenantId,
    before: ItemId,
    limit: usize,
) -> Result<Vec<Item>, StoreError> {
    let from = Key::tenant(tenant, b"it").done();
    let rows = db.range_back(&from, &key(tenant, before), limit)?;
    let item = |(key, octets): (Vec<u8>, Vec<u8>)| {
        let stamped = Stamped::<Item>::decode(key, octets)?;
        Ok(Item {
            modseq: stamped.modseq,
            ..stamped.row
        })
    };
    rows.into_iter().map(item).collect()
}

/// The highest item number in use.
pub fn last_item(db: &dyn Db, tenant: TenantId) -> Result<ItemId, StoreError> {
    let prefix = Key::tenant(tenant, b"it").done();
    let rows = db.range_back(&prefix, &crate::store::prefix_end(&prefix), 1)?;
    let number = rows
        .first()
        .and_then(|(key, _)| key.get(prefix.len()..))
        .and_then(|n| n.try_into().ok());
    Ok(ItemId(number.map_or(0, u64::from_be_bytes)))
}
