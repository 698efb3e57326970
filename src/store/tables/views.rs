//! Mailbox views: a saved question with its own UIDs (RFC 9051 2.3.1.1).
//!
//! A view remembers the change it has caught up to. Its two maps are UID to item and item to UID; an item that leaves
//! loses both rows, and when it comes back it gets a new, higher UID. An item in a shared view that only one of its
//! users may see carries that user's number.

use super::{Key, Stored, insert, read, rows};
use crate::domain::selector::Mailbox;
use crate::id::{ItemId, ModSeq, TenantId, UserId, ViewId};
use crate::store::StoreError;
use crate::store::db::{Batch, Db};
use crate::store::row::RowError;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::ops::RangeInclusive;

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
    /// Grows each time all items have been asked anew: then the change log does not tell who left.
    pub generation: u32,
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
}

rows! {
    View => "views" v 1;
    LastView => "last view" v 1;
}

fn key(tenant: TenantId, mailbox: Mailbox, scope: Scope) -> Result<Vec<u8>, RowError> {
    let name =
        postcard::to_stdvec(&(mailbox, scope)).map_err(|e| RowError::unreadable("views", e.to_string()))?;
    Ok(Key::tenant(tenant, b"vw").octets(&name).done())
}

pub fn view(
    db: &dyn Db,
    tenant: TenantId,
    mailbox: Mailbox,
    scope: Scope,
) -> Result<Option<Stored<View>>, StoreError> {
    read(db, key(tenant, mailbox, scope)?)
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
    let last = read::<LastView>(db, last_key.clone())?;
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
    insert(
        batch,
        key(tenant, mailbox, scope)?,
        &make(next.id, next.uid_validity),
    )?;
    Ok(())
}

fn uid_prefix(tenant: TenantId, view: ViewId) -> Key {
    Key::tenant(tenant, b"vu").number(view.0)
}

fn item_key(tenant: TenantId, view: ViewId, item: ItemId) -> Vec<u8> {
    Key::tenant(tenant, b"vi").number(view.0).long(item.0).done()
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

/// Enters an item under a UID.
pub fn enter(batch: &mut Batch, tenant: TenantId, view: ViewId, member: Member) {
    let mut value = member.item.0.to_be_bytes().to_vec();
    if let Some(user) = member.only {
        value.extend_from_slice(&user.0.to_be_bytes());
    }
    batch.put(uid_prefix(tenant, view).number(member.uid).done(), value);
    batch.put(
        item_key(tenant, view, member.item),
        member.uid.to_be_bytes().to_vec(),
    );
}

/// Takes an item out.
pub fn leave(batch: &mut Batch, tenant: TenantId, view: ViewId, uid: u32, item: ItemId) {
    batch.delete(uid_prefix(tenant, view).number(uid).done());
    batch.delete(item_key(tenant, view, item));
}

/// The members of a view with UIDs from `from` to below `to`, in order of UID, at most `limit` of them.
pub fn members(
    db: &dyn Db,
    tenant: TenantId,
    view: ViewId,
    from: u32,
    to: u32,
    limit: usize,
) -> Result<Vec<Member>, StoreError> {
    let prefix = uid_prefix(tenant, view).done();
    let start = uid_prefix(tenant, view).number(from).done();
    let rows = db.range(&start, &uid_prefix(tenant, view).number(to).done(), limit)?;
    let members = rows.iter().filter_map(|(key, value)| member(&prefix, key, value));
    Ok(members.collect())
}

fn member(prefix: &[u8], key: &[u8], value: &[u8]) -> Option<Member> {
    let uid = u32::from_be_bytes(key.strip_prefix(prefix)?.try_into().ok()?);
    let (item, rest) = value.split_first_chunk::<8>()?;
    Some(Member {
        uid,
        item: ItemId(u64::from_be_bytes(*item)),
        only: rest.try_into().ok().map(|user| UserId(u32::from_be_bytes(user))),
    })
}
