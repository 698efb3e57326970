//! The item log of a tenant: items, what they contain, the flags of each user, and the change log.
//!
//! The change log has one row for each item at its latest change (and one for each user's flags on it), keyed by the
//! commit that made it. The committer stamps its own number into these rows, so they appear in order whoever wrote
//! them, and a reader who has caught up to a number has missed nothing below it. A change moves the row up: catching
//! up costs what changed, not what is there.

pub use super::stamped::Stamped;
use super::{Key, Stored, drafts, for_each_raw, insert, read, rows, stamped};
use crate::domain::item::{Item, UserFlags};
use crate::id::{ItemId, LabelId, ModSeq, TenantId, UserId};
use crate::store::StoreError;
use crate::store::db::{Batch, Db};
use crate::store::row::{self, Row, RowError};
use crate::store::spool::BlobId;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::ops::RangeInclusive;

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
    UserFlags => "user flags" v 1;
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

fn flags_key(tenant: TenantId, user: UserId, item: ItemId) -> Vec<u8> {
    Key::tenant(tenant, b"fl").number(user.0).long(item.0).done()
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

pub(super) fn change_key(tenant: TenantId, modseq: ModSeq, item: ItemId, of: ChangeOf) -> Vec<u8> {
    let user = match of {
        ChangeOf::Item => 0,
        ChangeOf::FlagsOf(user) => user.0,
        ChangeOf::Word(label) => label.0,
    };
    change_prefix(tenant)
        .long(modseq.0)
        .long(item.0)
        .number(user)
        .done()
}

/// Puts a row and what the change log says of it.
fn put_stamped<R: Row>(
    batch: &mut Batch,
    tenant: TenantId,
    key: Vec<u8>,
    row: &R,
    item: ItemId,
    of: ChangeOf,
) -> Result<(), RowError> {
    stamped::put(batch, key, row)?;
    let key = change_key(tenant, ModSeq(0), item, of);
    batch.put_stamped(key, Some(change_stamp_at(tenant)), Vec::new(), None);
    Ok(())
}

/// An item with the number of its last change.
pub fn item(db: &dyn Db, tenant: TenantId, item: ItemId) -> Result<Option<Stamped<Item>>, StoreError> {
    let mut found = stamped::read::<Item>(db, key(tenant, item))?;
    if let Some(stamped) = &mut found {
        stamped.row.modseq = stamped.modseq;
    }
    Ok(found)
}

/// For evidence, the item it speaks of.
pub fn about(db: &dyn Db, tenant: TenantId, evidence: &Item) -> Result<Option<Item>, StoreError> {
    match evidence.about {
        Some(about) => Ok(item(db, tenant, about)?.map(|stamped| stamped.row)),
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
    put_stamped(batch, tenant, key(tenant, item.id), item, item.id, ChangeOf::Item)?;
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
    batch.delete(change_key(tenant, old.modseq, new.id, ChangeOf::Item));
    drafts::list(batch, tenant, new);
    put_stamped(batch, tenant, key(tenant, new.id), new, new.id, ChangeOf::Item)
}

pub fn body(db: &dyn Db, tenant: TenantId, item: ItemId) -> Result<Option<Stored<ItemBody>>, StoreError> {
    read(db, body_key(tenant, item))
}

/// The flags of one user on one item, if he ever set any.
pub fn flags(
    db: &dyn Db,
    tenant: TenantId,
    user: UserId,
    item: ItemId,
) -> Result<Option<Stamped<UserFlags>>, StoreError> {
    let mut found = stamped::read::<UserFlags>(db, flags_key(tenant, user, item))?;
    if let Some(stamped) = &mut found {
        stamped.row.modseq = stamped.modseq;
    }
    Ok(found)
}

/// Writes a user's flags, only if they are still as they were read.
pub fn put_flags(
    batch: &mut Batch,
    tenant: TenantId,
    user: UserId,
    item: ItemId,
    old: Option<&Stamped<UserFlags>>,
    new: &UserFlags,
) -> Result<(), RowError> {
    let key = flags_key(tenant, user, item);
    match old {
        Some(old) => {
            old.require_unchanged(batch);
            batch.delete(change_key(tenant, old.modseq, item, ChangeOf::FlagsOf(user)));
        }
        None => {
            batch.require_absent(key.clone());
        }
    }
    put_stamped(batch, tenant, key, new, item, ChangeOf::FlagsOf(user))
}

/// The changes after `since`, in order, about `limit` of them: never only a part of what one commit changed, so that
/// a reader can go on behind the last one.
pub fn changes_after(
    db: &dyn Db,
    tenant: TenantId,
    since: ModSeq,
    limit: usize,
) -> Result<Vec<Change>, StoreError> {
    let from = change_prefix(tenant).long(since.0.saturating_add(1)).done();
    let end = crate::store::prefix_end(&change_prefix(tenant).done());
    let mut limit = limit.max(1);
    loop {
        let rows = db.range(&from, &end, limit)?;
        let full = rows.len() == limit;
        let mut changes: Vec<Change> = rows
            .iter()
            .filter_map(|(key, _)| parse_change(tenant, key))
            .collect();
        if !full {
            return Ok(changes);
        }
        let last = changes.last().map(|c| c.modseq);
        if changes.first().map(|c| c.modseq) != last {
            changes.retain(|c| Some(c.modseq) != last);
            return Ok(changes);
        }
        // One commit fills the step: a commit has a bounded number of rows.
        limit *= 2;
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

fn parse_change(tenant: TenantId, key: &[u8]) -> Option<Change> {
    let rest = key.strip_prefix(change_prefix(tenant).done().as_slice())?;
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

/// Adds to the batch: only if the user has said nothing about the item meanwhile. [`Stamped::require_unchanged`] where
/// he had said something.
pub fn require_no_flags(batch: &mut Batch, tenant: TenantId, user: UserId, item: ItemId) {
    batch.require_absent(flags_key(tenant, user, item));
}

/// Flags of one user on items of a range; `None` when there are more than `limit` of them.
pub fn flags_between(
    db: &dyn Db,
    tenant: TenantId,
    user: UserId,
    items: &RangeInclusive<ItemId>,
    limit: usize,
) -> Result<Option<HashMap<ItemId, UserFlags>>, StoreError> {
    let end = flags_key(tenant, user, ItemId(items.end().0.saturating_add(1)));
    let rows = db.range(
        &flags_key(tenant, user, *items.start()),
        &end,
        limit.saturating_add(1),
    )?;
    if rows.len() > limit {
        return Ok(None);
    }
    let mut all = HashMap::with_capacity(rows.len());
    for (key, octets) in rows {
        let item = key.last_chunk::<8>().map(|n| ItemId(u64::from_be_bytes(*n)));
        let flags = Stamped::<UserFlags>::decode(key, octets)?.row;
        all.extend(item.map(|item| (item, flags)));
    }
    Ok(Some(all))
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
