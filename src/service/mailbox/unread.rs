//! Which consigned mails nobody of the account has read yet: their text is not searched.
//!
//! A search that says "this word is in it" tells content. Whoever may ask often enough reads a mail without opening it, and no
//! evidence would say so. So before a mail is read, or counts as read, only its header is searched (decision 27), as it
//! has no preview before (`preview`).
//!
//! What has been read stays read. So what is kept here only ever says too much: what it does not name was read, what it names
//! is asked about again. It may be lost at any time.

use super::Mailboxes;
use crate::domain::item::{Item, ItemKind};
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

/// The unread mails of a tenant among the items before `next`.
#[derive(Debug, Clone, Default)]
struct Seen {
    next: ItemId,
    unread: Arc<ItemSet>,
}

/// What may be unread at a moment.
#[derive(Debug)]
pub struct MayBeUnread(Seen);

impl MayBeUnread {
    /// `false`: it has been read, or is no mail one reads.
    pub fn has(&self, item: ItemId) -> bool {
        item >= self.0.next || self.0.unread.contains(item)
    }
}

impl Unread {
    fn seen(&self) -> MutexGuard<'_, HashMap<TenantId, Seen>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn of(&self, tenant: TenantId) -> Seen {
        self.seen().get(&tenant).cloned().unwrap_or_default()
    }

    /// Adds what was seen of the items from `from` to before `next`. Two who look at the same time see the same.
    fn add(&self, tenant: TenantId, from: ItemId, next: ItemId, unread: &ItemSet) {
        let mut all = self.seen();
        if all.len() >= TENANTS_MAX && !all.contains_key(&tenant) {
            all.clear();
        }
        let seen = all.entry(tenant).or_default();
        // What was before may have been forgotten meanwhile: then all is looked at again.
        if from <= seen.next {
            seen.next = seen.next.max(next);
            Arc::make_mut(&mut seen.unread).add(unread);
        }
    }

    fn was_read(&self, tenant: TenantId, item: ItemId) {
        if let Some(seen) = self
            .seen()
            .get_mut(&tenant)
            .filter(|seen| seen.unread.contains(item))
        {
            Arc::make_mut(&mut seen.unread).remove(item);
        }
    }
}

impl Mailboxes {
    /// What may be unread of the tenant's mail.
    pub async fn may_be_unread(&self, by: &Principal) -> Result<MayBeUnread, Failure> {
        let before = self.unread.of(by.tenant);
        let (mut next, mut unread) = (before.next, ItemSet::default());
        loop {
            let step = items::step(&*self.db, by.tenant, next, STEP)?;
            let Some(last) = step.last() else { break };
            next = ItemId(last.id.0.saturating_add(1));
            for item in step.iter().filter(|item| item.kind == ItemKind::Incoming) {
                if self.would_be_reading(by, item)? {
                    unread.insert(item.id);
                }
            }
            if step.len() < STEP {
                break;
            }
            tokio::task::yield_now().await;
        }
        if next > before.next {
            self.unread.add(by.tenant, before.next, next, &unread);
        }
        unread.add(&before.unread);
        let unread = Arc::new(unread);
        Ok(MayBeUnread(Seen { next, unread }))
    }

    /// Whether giving words of the item's text would tell what nobody has read yet.
    pub fn is_unread(&self, by: &Principal, item: &Item) -> Result<bool, Failure> {
        let unread = self.would_be_reading(by, item)?;
        if !unread {
            self.unread.was_read(by.tenant, item.id);
        }
        Ok(unread)
    }
}
