//! Mailbox views: a saved question with its own UIDs (RFC 9051 2.3.1.1), and an exact record of who entered and left.
//!
//! A view remembers the change it has caught up to. Its two maps are UID to item and item to UID; an item that leaves
//! loses both rows, and when it comes back it gets a new, higher UID. An item in a shared view that only one of its
//! users may see carries that user's number.
//!
//! The view's row, a member's row and the tombstone of one that left carry the number of the commit that wrote them, and
//! all that one batch moves is written with the view's row. Whoever knows a view up to a commit reads behind it who left
//! since ([`left_after`]) and has missed nobody. The oldest tombstones are dropped when there are too many; the row says
//! up to where ([`View::forgotten`]).

use super::stamped::{self, STAMP_OCTETS, Stamped};
use super::{Key, Stored, insert, read, rows};
use crate::domain::selector::Mailbox;
use crate::id::{ItemId, ModSeq, TenantId, UserId, ViewId};
use crate::store::StoreError;
use crate::store::db::{Batch, Db};
use crate::store::row::RowError;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::ops::RangeInclusive;

/// Tombstones one view keeps: what leaves a busy mailbox in a few months, a megabyte of keys.
pub const TOMBSTONES_MAX: u32 = 20_000;
/// Tombstones dropped by one batch, beside what it moves: it must hold both.
pub const DROPPED_MAX: usize = 4_000;

/// Whose view: all officers' of the tenant, or one user's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Scope {
    Officers,
    User(UserId),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    pub id: ViewId,
    pub uid_validity: u32,
    pub uid_next: u32,
    /// The change of the tenant's log it has caught up to.
    pub caught_up: ModSeq,
    /// The organisation's version its question was last asked under.
    pub organisation_version: u64,
    /// Digest of what the answer depends on beside the item: a change of the organisation that leaves it as it is
    /// costs the view nothing.
    pub question: [u8; 32],
    /// All items are being asked anew, and this one is the next. `None`: all have been asked.
    pub asking_from: Option<ItemId>,
    /// Members that all who share it see.
    pub common: u32,
    /// Members that only one of those who share it sees.
    pub own: BTreeMap<UserId, u32>,
    pub tombstones: u32,
    /// Tombstones of this commit and of earlier ones may have been dropped.
    pub forgotten: ModSeq,
}

impl View {
    /// A view that has not asked anybody yet.
    pub fn new(id: ViewId, uid_validity: u32, caught_up: ModSeq) -> Self {
        Self {
            id,
            uid_validity,
            uid_next: 1,
            caught_up,
            organisation_version: 0,
            question: [0; 32],
            asking_from: Some(ItemId(0)),
            common: 0,
            own: BTreeMap::new(),
            tombstones: 0,
            forgotten: ModSeq(0),
        }
    }

    /// How many members a user sees.
    pub fn count(&self, user: UserId) -> u32 {
        self.common + self.own.get(&user).copied().unwrap_or(0)
    }

    fn counted(&mut self, only: Option<UserId>) -> &mut u32 {
        match only {
            Some(user) => self.own.entry(user).or_default(),
            None => &mut self.common,
        }
    }
}

/// The last view number and UIDVALIDITY given out in a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastView {
    pub id: ViewId,
    pub uid_validity: u32,
}

/// An item in a view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    pub uid: u32,
    pub item: ItemId,
    /// In a shared view: the only user who may see it.
    pub only: Option<UserId>,
    /// The commit by which it entered.
    pub entered: ModSeq,
}

/// One that left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    pub modseq: ModSeq,
    pub uid: u32,
    /// In a shared view: the only user who saw it.
    pub only: Option<UserId>,
}

rows! {
    View => "views" v 2;
    LastView => "last view" v 1;
}

pub fn key(tenant: TenantId, mailbox: Mailbox, scope: Scope) -> Result<Vec<u8>, RowError> {
    let name =
        postcard::to_stdvec(&(mailbox, scope)).map_err(|e| RowError::unreadable("views", e.to_string()))?;
    Ok(Key::tenant(tenant, b"vw").octets(&name).done())
}

/// A view's row.
pub fn view(
    db: &dyn Db,
    tenant: TenantId,
    mailbox: Mailbox,
    scope: Scope,
) -> Result<Option<Stamped<View>>, StoreError> {
    stamped::read(db, key(tenant, mailbox, scope)?)
}

/// A new view under the next number, claimed by the batch. UIDVALIDITY is the time in seconds, and never twice the
/// same in one tenant: a name that leads to another view tomorrow must not show yesterday's UIDs as valid.
pub fn add(
    db: &dyn Db,
    batch: &mut Batch,
    tenant: TenantId,
    mailbox: Mailbox,
    scope: Scope,
    now_s: u32,
    make: impl FnOnce(ViewId, u32) -> View,
) -> Result<(), StoreError> {
    let last_key = Key::tenant(tenant, b"vl").done();
    let last: Option<Stored<LastView>> = read(db, last_key.clone())?;
    let next = last.as_ref().map_or(
        LastView {
            id: ViewId(1),
            uid_validity: now_s.max(1),
        },
        |l| LastView {
            id: ViewId(l.row.id.0 + 1),
            uid_validity: now_s.max(l.row.uid_validity.saturating_add(1)),
        },
    );
    match last {
        Some(last) => last.replace(batch, &next)?,
        None => insert(batch, last_key, &next)?,
    }
    let view_key = key(tenant, mailbox, scope)?;
    batch.require_absent(view_key.clone());
    stamped::put(batch, view_key, &make(next.id, next.uid_validity))?;
    Ok(())
}

fn uid_prefix(tenant: TenantId, view: ViewId) -> Key {
    Key::tenant(tenant, b"vu").number(view.0)
}

fn item_key(tenant: TenantId, view: ViewId, item: ItemId) -> Vec<u8> {
    Key::tenant(tenant, b"vi").number(view.0).long(item.0).done()
}

fn left_prefix(tenant: TenantId, view: ViewId) -> Key {
    Key::tenant(tenant, b"vt").number(view.0)
}

/// The UID of an item in a view, if it is there.
pub fn uid_of(db: &dyn Db, tenant: TenantId, view: ViewId, item: ItemId) -> Result<Option<u32>, StoreError> {
    let found = db.get(&item_key(tenant, view, item))?;
    Ok(found.and_then(|v| v.try_into().ok()).map(u32::from_be_bytes))
}

/// The UIDs of all members among these items; `None` when there are more than `limit` of them.
pub fn uids_among(
    db: &dyn Db,
    tenant: TenantId,
    view: ViewId,
    items: &RangeInclusive<ItemId>,
    limit: usize,
) -> Result<Option<HashMap<ItemId, u32>>, StoreError> {
    let end = ItemId(items.end().0.saturating_add(1));
    let from = item_key(tenant, view, *items.start());
    let rows = db.range(&from, &item_key(tenant, view, end), limit.saturating_add(1))?;
    if rows.len() > limit {
        return Ok(None);
    }
    let uid = |(key, value): &(Vec<u8>, Vec<u8>)| {
        let item = u64::from_be_bytes(*key.last_chunk::<8>()?);
        Some((
            ItemId(item),
            u32::from_be_bytes(value.as_slice().try_into().ok()?),
        ))
    };
    Ok(Some(rows.iter().filter_map(uid).collect()))
}

fn put_only(value: &mut Vec<u8>, only: Option<UserId>) {
    value.extend(only.iter().flat_map(|user| user.0.to_be_bytes()));
}

fn read_only(octets: &[u8]) -> Option<UserId> {
    octets
        .try_into()
        .ok()
        .map(|user| UserId(u32::from_be_bytes(user)))
}

/// Enters an item under the view's next UID. The batch must write the view's row as well.
pub fn enter(batch: &mut Batch, tenant: TenantId, view: &mut View, item: ItemId, only: Option<UserId>) {
    let uid = view.uid_next;
    view.uid_next = uid.saturating_add(1);
    *view.counted(only) += 1;
    let mut value = vec![0; STAMP_OCTETS];
    value.extend_from_slice(&item.0.to_be_bytes());
    put_only(&mut value, only);
    let key = uid_prefix(tenant, view.id).number(uid).done();
    batch.put_stamped(key, None, value, Some(0));
    batch.put(item_key(tenant, view.id, item), uid.to_be_bytes().to_vec());
}

/// Takes a member out and leaves a tombstone. The batch must write the view's row as well.
pub fn leave(batch: &mut Batch, tenant: TenantId, view: &mut View, member: &Member) {
    let left = view.counted(member.only);
    *left = left.saturating_sub(1);
    view.own.retain(|_, count| *count > 0);
    view.tombstones += 1;
    batch.delete(uid_prefix(tenant, view.id).number(member.uid).done());
    batch.delete(item_key(tenant, view.id, member.item));
    let prefix = left_prefix(tenant, view.id);
    let at = prefix.len();
    let mut value = Vec::new();
    put_only(&mut value, member.only);
    let key = prefix.long(0).number(member.uid).done();
    batch.put_stamped(key, Some(at), value, None);
}

/// Drops the oldest tombstones when there are too many. The batch must write the view's row as well.
pub fn forget(db: &dyn Db, batch: &mut Batch, tenant: TenantId, view: &mut View) -> Result<(), StoreError> {
    let over = view.tombstones.saturating_sub(TOMBSTONES_MAX);
    let over = usize::try_from(over).unwrap_or(DROPPED_MAX).min(DROPPED_MAX);
    if over == 0 {
        return Ok(());
    }
    let prefix = left_prefix(tenant, view.id).done();
    for (key, value) in db.range(&prefix, &crate::store::prefix_end(&prefix), over)? {
        view.tombstones = view.tombstones.saturating_sub(1);
        if let Some(left) = left(&prefix, &key, &value) {
            view.forgotten = view.forgotten.max(left.modseq);
        }
        batch.delete(key);
    }
    Ok(())
}

/// Who left by the commits behind `since`, oldest first, about `limit` of them: never a part of what one commit moved,
/// so that a reader can go on behind the last one.
pub fn left_after(
    db: &dyn Db,
    tenant: TenantId,
    view: ViewId,
    since: ModSeq,
    limit: usize,
) -> Result<Vec<Left>, StoreError> {
    let prefix = left_prefix(tenant, view).done();
    let from = left_prefix(tenant, view).long(since.0.saturating_add(1)).done();
    let end = crate::store::prefix_end(&prefix);
    let mut limit = limit.max(1);
    loop {
        let rows = db.range(&from, &end, limit)?;
        let full = rows.len() == limit;
        let found = rows.iter().filter_map(|(key, value)| left(&prefix, key, value));
        let mut found: Vec<Left> = found.collect();
        if !full {
            return Ok(found);
        }
        let last = found.last().map(|l| l.modseq);
        if found.first().map(|l| l.modseq) != last {
            found.retain(|l| Some(l.modseq) != last);
            return Ok(found);
        }
        // One commit fills the step: a commit has a bounded number of rows.
        limit *= 2;
    }
}

fn left(prefix: &[u8], key: &[u8], value: &[u8]) -> Option<Left> {
    let (modseq, uid) = key.strip_prefix(prefix)?.split_first_chunk::<8>()?;
    Some(Left {
        modseq: ModSeq(u64::from_be_bytes(*modseq)),
        uid: u32::from_be_bytes(uid.try_into().ok()?),
        only: read_only(value),
    })
}

/// The member with a UID.
pub fn member(db: &dyn Db, tenant: TenantId, view: ViewId, uid: u32) -> Result<Option<Member>, StoreError> {
    let prefix = uid_prefix(tenant, view).done();
    let key = uid_prefix(tenant, view).number(uid).done();
    let value = db.get(&key)?;
    Ok(value.and_then(|value| read_member(&prefix, &key, &value)))
}

/// The members of a view with UIDs from `from` on, in order of UID, at most `limit` of them.
pub fn members(
    db: &dyn Db,
    tenant: TenantId,
    view: ViewId,
    from: u32,
    limit: usize,
) -> Result<Vec<Member>, StoreError> {
    let prefix = uid_prefix(tenant, view).done();
    let start = uid_prefix(tenant, view).number(from).done();
    let rows = db.range(&start, &crate::store::prefix_end(&prefix), limit)?;
    let members = rows
        .iter()
        .filter_map(|(key, value)| read_member(&prefix, key, value));
    Ok(members.collect())
}

fn read_member(prefix: &[u8], key: &[u8], value: &[u8]) -> Option<Member> {
    let uid = u32::from_be_bytes(key.strip_prefix(prefix)?.try_into().ok()?);
    let (entered, rest) = value.split_first_chunk::<STAMP_OCTETS>()?;
    let (item, rest) = rest.split_first_chunk::<8>()?;
    Some(Member {
        uid,
        item: ItemId(u64::from_be_bytes(*item)),
        only: read_only(rest),
        entered: ModSeq(u64::from_be_bytes(*entered)),
    })
}
