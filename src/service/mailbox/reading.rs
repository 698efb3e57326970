//! Handing over: the first time somebody of the tenant is given the content of a consigned mail, its retrieval is
//! owed as evidence (TS 102 640-2 B.2.2, RetrievalNonRetrievalByRecipient), and only then the content is given.
//!
//! Headers and structure are no reading, nor is a declaration (`service::declaring`), nor a search: it does not look into
//! the text before (`unread`). A preview is content that nobody asked to read: it is not given before (`preview`). A
//! consignment that counts as read already changes no more. Who it was, and from where, goes on the audit record in the
//! same commit.

use super::{ATTEMPTS, Mailboxes, conflict};
use crate::domain::audit::{AuditRecord, AuditRoute, Matter};
use crate::domain::evidence::{Event, EvidenceKind};
use crate::domain::item::{Item, ItemKind};
use crate::domain::mail::ConsignmentEvent;
use crate::service::account::Principal;
use crate::service::failure::Failure;
use crate::service::owing::{Happened, Owing};
use crate::store::db::{Batch, CommitError};
use crate::store::tables::{audit, mails};

impl Mailboxes {
    /// Whether giving content of the item would be its reading, the first one.
    pub fn would_be_reading(&self, by: &Principal, item: &Item) -> Result<bool, Failure> {
        let (ItemKind::Incoming, Some(id)) = (item.kind, item.mail) else {
            return Ok(false);
        };
        let stored = mails::consignment(&*self.db, by.tenant, id)?;
        Ok(stored.is_some_and(|stored| stored.row.state.after(ConsignmentEvent::Read).is_some()))
    }

    /// To be called before content of the item is given; when it returns, the reading is durable.
    pub async fn hand_over(&self, by: &Principal, item: &Item) -> Result<(), Failure> {
        let (ItemKind::Incoming, Some(id)) = (item.kind, item.mail) else {
            return Ok(());
        };
        for _ in 0..ATTEMPTS {
            let Some(stored) = mails::consignment(&*self.db, by.tenant, id)? else {
                return Ok(());
            };
            let Some(state) = stored.row.state.after(ConsignmentEvent::Read) else {
                return Ok(());
            };
            let mut consignment = stored.row.clone();
            consignment.state = state;
            let kind = EvidenceKind::RetrievalNonRetrievalByRecipient;
            let now = self.clock.now();
            let happened = Happened::new(kind, Event::Retrieval, now);
            let mut batch = Batch::new();
            stored.replace(&mut batch, &consignment)?;
            Owing {
                identity: &self.identity,
                ids: &*self.ids,
            }
            .about_consignment(&mut batch, &consignment, &happened)?;
            // Which person it was stands in no evidence: that speaks of the address.
            let about = vec![Matter::Item(item.id), Matter::Mail(id)];
            let what = serde_json::json!({"state": "read"});
            let by_whom = by.author(AuditRoute::Imap);
            let record = AuditRecord::of_deed(now, by_whom, "mail read", about, &what);
            audit::append(&mut batch, by.tenant, 0, &record)?;
            match self.db.commit(batch).await {
                Ok(_) => {
                    tracing::info!(mail = %id, by = %by.login, "handed over");
                    self.bells.notary.ring();
                    return Ok(());
                }
                Err(CommitError::Conflict { .. }) => continue,
                Err(other) => return Err(other.into()),
            }
        }
        Err(conflict())
    }
}
