//! Which consigned mails nobody of the account has read yet: their text is not searched.
//!
//! A search that says "this word is in it" tells content. Whoever may ask often enough reads a mail without opening it, and no
//! evidence would say so. So before a mail is read, or counts as read, only its header is searched (decision 27), as it
//! has no preview before (`preview`).
//!
//! What has been read stays read. So it is kept here of which items that is known, and about all others it is asked. It may be
//! lost at any time.

use super::Mailboxes;
use crate::domain::item::Item;
use crate::id::{ItemId, TenantId};
use crate::service::account::Principal;
use crate::service::failure::Failure;
use crate::store::fulltext::ItemSet;
use crate::store::tables::items;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Items looked at before others get their turn.
const STEP: usize = 256;
/// Tenants kept; beyond, all are looked at anew.
const TENANTS_MAX: usize = 1024;

/// What was seen of the tenants.
#[derive(Debug, Default)]
pub struct Unread(Mutex<HashMap<TenantId, Seen>>);

/// Items of a tenant that were read, or are no mail one reads. All before `next` that were there have been looked at; of two
/// that come at one time the later one may be there first.
#[derive(Debug, Clone, Default)]
struct Seen {
    next: ItemId,
    read: Arc<ItemSet>,
}

/// What may be unread at a moment.
#[derive(Debug)]
pub struct MayBeUnread(Arc<ItemSet>);

impl MayBeUnread {
    /// `false`: it has been read, or is no mail one reads.
    pub fn has(&self, item: ItemId) -> bool {
        !self.0.contains(item)
    }
}

impl Unread {
    fn seen(&self) -> MutexGuard<'_, HashMap<TenantId, Seen>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn of(&self, tenant: TenantId) -> Seen {
        self.seen().get(&tenant).cloned().unwrap_or_default()
    }

    /// Adds items that were read, and that all before `next` were looked at.
    fn add(&self, tenant: TenantId, next: ItemId, read: &ItemSet) -> Arc<ItemSet> {
        let mut all = self.seen();
        if all.len() >= TENANTS_MAX && !all.contains_key(&tenant) {
            all.clear();
        }
        let seen = all.entry(tenant).or_default();
        seen.next = seen.next.max(next);
        Arc::make_mut(&mut seen.read).add(read);
        seen.read.clone()
    }
}

impl Mailboxes {
    /// What may be unread of the tenant's mail.
    pub async fn may_be_unread(&self, by: &Principal) -> Result<MayBeUnread, Failure> {
        let before = self.unread.of(by.tenant);
        let (mut next, mut read) = (before.next, ItemSet::default());
        loop {
            let step = items::step(&*self.db, by.tenant, next, STEP)?;
            let Some(last) = step.last() else { break };
            next = ItemId(last.id.0.saturating_add(1));
            for item in &step {
                if !self.would_be_reading(by, item)? {
                    read.insert(item.id);
                }
            }
            if step.len() < STEP {
                break;
            }
            tokio::task::yield_now().await;
        }
        if next == before.next {
            return Ok(MayBeUnread(before.read));
        }
        Ok(MayBeUnread(self.unread.add(by.tenant, next, &read)))
    }

    /// Whether giving words of the item's text would tell what nobody has read yet.
    pub fn is_unread(&self, by: &Principal, item: &Item) -> Result<bool, Failure> {
        let unread = self.would_be_reading(by, item)?;
        if !unread {
            let read = ItemSet::from_iter([item.id]);
            self.unread.add(by.tenant, ItemId::default(), &read);
        }
        Ok(unread)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was not looked at is asked about, also where something later was looked at before.
    #[test]
    fn only_what_was_looked_at_is_known() {
        let (unread, tenant) = (Unread::default(), TenantId(1));
        let read = ItemSet::from_iter([ItemId(1), ItemId(3)]);
        unread.add(tenant, ItemId(4), &read);
        let of = |unread: &Unread| MayBeUnread(unread.of(tenant).read);
        let asked = |unread: &Unread| (0..6).filter(|n| of(unread).has(ItemId(*n))).collect::<Vec<_>>();
        assert_eq!(asked(&unread), [0, 2, 4, 5]);
        unread.add(tenant, ItemId(0), &ItemSet::from_iter([ItemId(2)]));
        assert_eq!(
            (asked(&unread), unread.of(tenant).next),
            (vec![0, 4, 5], ItemId(4))
        );
        for n in 2..=TENANTS_MAX as u32 + 1 {
            unread.add(TenantId(n), ItemId(1), &read);
        }
        assert!(unread.seen().len() <= TENANTS_MAX);
        assert_eq!(asked(&unread), [0, 1, 2, 3, 4, 5]);
    }
}
