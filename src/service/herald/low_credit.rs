//! Little credit is left: the officers are told once, by a notice in their INBOX.
//!
//! That it is owed is written by the commit that takes the credit below its mark (`store::tables::credit`), and stands in the
//! account as well. As long as it stands there they are told, though the credit may have risen again: they would not be told of
//! the next fall. A notice for each officer and the end of what is owed are one commit; a crash before it leaves a blob that no row
//! names.

use super::Herald;
use crate::clock::UtcTime;
use crate::domain::item::{Item, ItemKind};
use crate::domain::org::{Organisation, UserKind};
use crate::id::TenantId;
use crate::mime::compose;
use crate::rem::notice;
use crate::service::failure::Failure;
use crate::service::outline::Outline;
use crate::service::putting_off::{AFTER_FAILURE, put_off};
use crate::service::yielding::commit_or_yield;
use crate::store::db::Batch;
use crate::store::tables::items::{self, Content};
use crate::store::tables::work::{self, LowCredit};
use crate::store::tables::{Stored, credit};
use std::collections::BTreeMap;

/// Accounts looked at in one go.
const AT_ONCE: usize = 64;
/// Officers told: more would be a mistake in the organisation, and the others see it in `tenant summary`.
const OFFICERS_MAX: usize = 500;

impl Herald {
    /// Tells of accounts whose credit is low. Gives how many there were.
    pub(super) async fn tell_low_credit(&self, now: UtcTime) -> Result<usize, Failure> {
        let owed = work::due::<LowCredit>(&*self.db, now, AT_ONCE)?;
        // It may have become so twice, if credit was added between: what is told is how it is now.
        let mut of_tenant: BTreeMap<TenantId, Vec<&Stored<LowCredit>>> = BTreeMap::new();
        for low in &owed {
            of_tenant.entry(low.row.tenant).or_default().push(low);
        }
        for (tenant, owed) in of_tenant {
            if let Err(failure) = self.tell_officers(tenant, &owed, now).await {
                tracing::error!(%tenant, %failure, "low credit");
                for low in owed {
                    put_off(&*self.db, low, now.plus(AFTER_FAILURE)).await?;
                }
            }
        }
        Ok(owed.len())
    }

    async fn tell_officers(
        &self,
        tenant: TenantId,
        owed: &[&Stored<LowCredit>],
        now: UtcTime,
    ) -> Result<(), Failure> {
        let organisation = self.organisations.of(tenant)?;
        let mut batch = Batch::new();
        for low in owed {
            low.remove(&mut batch);
        }
        let Some(terms) = organisation.tenant.credit else {
            // Not metered any more. A session that did not know yet may have been the last to move the account.
            credit::judge(&mut batch, tenant, None, now);
            return commit_or_yield(&*self.db, batch).await;
        };
        let account = credit::account(&*self.db, tenant)?;
        if !account.warned {
            // Credit was added meanwhile, or the mark is another. Should it fall again at this moment, that is told.
            credit::require_not_warned(&mut batch, tenant);
            return commit_or_yield(&*self.db, batch).await;
        }
        let free = account.free();
        let text = self.low_credit_message(&organisation, free, terms.warn_below, now);
        let blob = self.spool.store(&text).await?;
        let content = Content::whole(blob.id, blob.size_bytes);
        let outline = Outline::of(&self.spool, &content).await?;
        let officers = organisation
            .live_users()
            .filter(|user| user.kind == UserKind::Officer);
        for officer in officers.take(OFFICERS_MAX) {
            let item = Item {
                author: Some(officer.id),
                ..Item::new(self.items.next(tenant)?, ItemKind::Notice, now)
            };
            items::add(&mut batch, tenant, &item, &outline.body(content.clone()))?;
        }
        commit_or_yield(&*self.db, batch).await?;
        tracing::warn!(tenant = %organisation.tenant.name, free, warn_below = terms.warn_below,
            "credit is low");
        self.bells.mailboxes.ring(tenant);
        Ok(())
    }

    fn low_credit_message(
        &self,
        organisation: &Organisation,
        free: i64,
        warn_below: u64,
        now: UtcTime,
    ) -> Vec<u8> {
        let (identity, tenant) = (&self.identity, &organisation.tenant);
        let text = notice::credit::low(&tenant.title, free, warn_below);
        // RFC 3834 3.1.7: automatic messages say so.
        let head = format!(
            "From: {from}\r\nTo: {to}\r\nSubject: {subject}\r\nDate: {date}\r\nMessage-ID: <{id}@{domain}>\r\n\
             Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n",
            from = compose::mailbox(Some(&identity.issuer.name), identity.service.as_str()),
            to = compose::mailbox(Some(&tenant.title), tenant.address.as_str()),
            subject = compose::unstructured(&notice::credit::low_subject()),
            date = now.rfc5322(),
            id = self.ids.uuid(),
            domain = identity.domain,
        );
        let boundary = compose::boundary("credit", self.ids.uuid());
        let body = compose::alternative(&text.plain, &text.html, &boundary);
        [head.into_bytes(), body].concat()
    }
}
