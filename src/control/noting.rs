//! What is asked here and is itself worth a record: exports, enquiries of the provider into an account, changes of peers and of
//! the queue. What changes an account is recorded by whoever changes it, in the same commit.
//!
//! A document or a mail that is shown, and an export, are on record before the answer leaves. Lists are counted by the
//! hour (`service::account::visits`): a script asks for them every minute. What a user asks in his own name is what he has
//! over IMAP, and only what he takes out is recorded.

use super::words::ControlDoor;
use crate::domain::audit::{AuditRecord, Matter, PROVIDER};
use crate::domain::provider::Peer;
use crate::id::{JobId, MailId, TenantId};
use crate::service::account::visits::Sight;
use crate::service::failure::Failure;
use crate::service::peers;
use serde_json::{Value, json};
use std::path::Path;

impl ControlDoor {
    /// Puts on record that whoever asks does this; it is on disk when this returns.
    pub(super) async fn note(
        &self,
        tenant: TenantId,
        deed: &str,
        about: Vec<Matter>,
        what: &Value,
    ) -> Result<(), Failure> {
        let record = AuditRecord::of_deed(self.now(), self.by.clone(), deed, about, what);
        self.book.note(tenant, &record).await
    }

    /// The provider looks at one mail of an account, or at its evidence.
    pub(super) async fn note_look(
        &self,
        tenant: TenantId,
        deed: &str,
        mail: Option<MailId>,
    ) -> Result<(), Failure> {
        if self.acting.is_some() {
            return Ok(());
        }
        let about = mail.map(Matter::Mail).into_iter().collect();
        self.note(tenant, deed, about, &json!({})).await
    }

    /// The octets of a mail go out so that an officer signs them: as much of it as an export.
    pub(super) async fn note_entity(&self, job: JobId, out: &Path) -> Result<(), Failure> {
        let job = self.approval.show_any(job)?;
        let about = vec![Matter::Job(job.id), Matter::Mail(job.mail)];
        let what = json!({ "out": out.display().to_string() });
        self.note(job.tenant, "job entity", about, &what).await
    }

    /// The provider looks at a list of an account.
    pub(super) fn count_look(&self, tenant: TenantId, deed: &'static str) {
        if self.acting.is_some() {
            return;
        }
        let sight = Sight {
            tenant,
            deed,
            author: self.by.clone(),
            user: None,
            what: None,
        };
        self.accounts.visits.looked(self.now(), sight);
    }

    /// The record of a peer's profile, for the commit that changes it.
    pub(super) fn peer_change(&self, deed: &str, before: Option<&Peer>, after: Option<&Peer>) -> AuditRecord {
        let told = |peer: Option<&Peer>| peer.map_or_else(String::new, |peer| peers::told(peer).to_string());
        AuditRecord {
            at: self.now(),
            author: self.by.clone(),
            deed: deed.into(),
            about: Vec::new(),
            before: told(before),
            after: told(after),
        }
    }

    /// In the provider's own record.
    pub(super) async fn note_own(&self, deed: &str, what: &Value) -> Result<(), Failure> {
        self.note(PROVIDER, deed, Vec::new(), what).await
    }

    fn now(&self) -> crate::clock::UtcTime {
        self.mailboxes.clock.now()
    }
}
