//! Bells: hints that there may be work. Losing one loses nothing; the store knows what is due.

use crate::id::TenantId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{Notify, watch};

/// One station's bell.
#[derive(Debug, Clone, Default)]
pub struct Bell(Arc<Notify>);

impl Bell {
    pub fn ring(&self) {
        self.0.notify_one();
    }

    pub async fn rung(&self) {
        self.0.notified().await;
    }
}

/// The bells along the roads.
#[derive(Debug, Clone, Default)]
pub struct Bells {
    pub notary: Bell,
    pub receipts: Bell,
    pub dispatch: Bell,
    pub relay: Bell,
    pub delivery: Bell,
    pub timers: Bell,
    pub herald: Bell,
    pub indexing: Bell,
    pub lasting: Bell,
    pub mailboxes: MailboxBell,
}

/// Rings for every change of a tenant's item log; its sessions that idle listen and then ask their own view. What
/// happens at one tenant wakes nobody of another. Strokes are numbered, and no number comes twice: who has heard one
/// may rely on what was read after it.
#[derive(Debug, Clone, Default)]
pub struct MailboxBell(Arc<Mutex<Tower>>);

#[derive(Debug, Default)]
struct Tower {
    strokes: u64,
    bells: HashMap<TenantId, watch::Sender<u64>>,
}

impl MailboxBell {
    pub fn ring(&self, tenant: TenantId) {
        let mut tower = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tower.strokes += 1;
        let stroke = tower.strokes;
        if let Some(bell) = tower.bells.get(&tenant) {
            bell.send_replace(stroke);
            if bell.receiver_count() == 0 {
                tower.bells.remove(&tenant);
            }
        }
    }

    pub fn listen(&self, tenant: TenantId) -> watch::Receiver<u64> {
        let mut tower = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let stroke = tower.strokes;
        let bell = tower.bells.entry(tenant);
        bell.or_insert_with(|| watch::Sender::new(stroke)).subscribe()
    }
}
