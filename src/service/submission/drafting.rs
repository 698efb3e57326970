//! A submission that is neither sent nor put into a flow becomes a draft: by its author's wish, or because no rule matched;
//! then a notice tells him why.
//!
//! Under the Message-ID of a draft of his it is the next version of that (`domain::item`), as it would be had he saved it
//! there. The same octets again are the same draft, and nobody is told twice. What counts as a version of drafts that are
//! only saved is not said here but in the room of mailboxes.

use super::Accepted;
use super::filing::Filing;
use crate::clock::UtcTime;
use crate::domain::item::{Item, ItemKind};
use crate::domain::org::Organisation;
use crate::id::ItemId;
use crate::mime::compose;
use crate::rem::notice;
use crate::service::failure::Failure;
use crate::service::organisation::OrgStanding;
use crate::service::outline::Outline;
use crate::store::db::{Batch, CommitError};
use crate::store::tables::Stored;
use crate::store::tables::drafts::{self, LatestDraft};
use crate::store::tables::items::{self, Content, ItemBody, Stamped};
use std::sync::Arc;

/// The draft that was brought last under a Message-ID.
struct Saved {
    latest: Stored<LatestDraft>,
    item: Option<Arc<Stamped<Item>>>,
    same_octets: bool,
}

impl Saved {
    /// The draft that this very submission became before: a client that never saw our 250 tries again. Who has to be told
    /// why it is a draft has been told.
    fn same(&self, to_be_told: bool) -> Option<ItemId> {
        let item = self.item.as_ref().filter(|item| item.row.is_current_draft())?;
        (self.same_octets && (self.latest.row.told || !to_be_told)).then_some(item.row.id)
    }
}

impl Filing {
    /// `None`: something it rests on changed meanwhile, or the same on another connection was faster.
    pub(super) async fn file_draft(
        &self,
        standing: &OrgStanding,
        rules: Option<Vec<String>>,
    ) -> Result<Option<Accepted>, Failure> {
        let (station, no_rule_matched) = (&self.station, rules.is_some());
        let became = |item| Accepted::Draft {
            item,
            no_rule_matched,
        };
        let saved = self.saved_before()?;
        if let Some(item) = saved.as_ref().and_then(|saved| saved.same(no_rule_matched)) {
            return Ok(Some(became(item)));
        }
        self.room(&standing.organisation).await?;
        let item = station.items.next(self.by.tenant)?;
        let notice = match &rules {
            Some(rules) => Some(self.notice(&standing.organisation, rules).await?),
            None => None,
        };
        let mut batch = self.draft_batch(item, saved, notice.as_ref())?;
        standing.require(&mut batch);
        match station.db.commit(batch).await {
            Ok(_) => {
                station.bells.mailboxes.ring(self.by.tenant);
                tracing::info!(%item, by = %self.by.login, no_rule_matched, "submission became a draft");
                Ok(Some(became(item)))
            }
            Err(CommitError::Conflict { .. }) => Ok(None),
            Err(other) => Err(other.into()),
        }
    }

    /// The draft its author brought last under this Message-ID.
    fn saved_before(&self) -> Result<Option<Saved>, Failure> {
        let (db, tenant) = (&*self.station.db, self.by.tenant);
        let Some(message_id) = self.outline.summary.identity() else {
            return Ok(None);
        };
        let Some(latest) = drafts::latest(db, tenant, self.by.user, message_id)? else {
            return Ok(None);
        };
        let item = items::item(db, tenant, latest.row.item)?;
        let body = items::body(db, tenant, latest.row.item)?;
        let same_octets = self.draft.is_none() && body.is_some_and(|body| body.row.content == self.content());
        Ok(Some(Saved {
            latest,
            item,
            same_octets,
        }))
    }

    /// The draft, as the next version of the one it was made from or that was saved under its Message-ID.
    fn draft_batch(
        &self,
        id: ItemId,
        saved: Option<Saved>,
        notice: Option<&(Item, ItemBody)>,
    ) -> Result<Batch, Failure> {
        let (station, tenant, now) = (&self.station, self.by.tenant, self.station.clock.now());
        let mut batch = Batch::new();
        self.end_draft(&mut batch, |draft| draft.ended(self.hand(now)))?;
        let mut item = self.item(id, ItemKind::Draft, now);
        match (self.draft, saved.as_ref().and_then(|saved| saved.item.as_ref())) {
            // A mail that was given back and came to be a draft again is still to be handed in anew.
            (Some(draft), _) => {
                if let Some(old) = items::item(&*station.db, tenant, draft)? {
                    item.take_place_of(&old.row);
                }
            }
            (None, Some(old)) => {
                item.take_place_of(&old.row);
                // What lies in the bin stays there; what is gone is gone already.
                if old.row.is_current_draft() {
                    items::replace(&mut batch, tenant, old, &old.row.ended(self.hand(now)))?;
                }
            }
            (None, None) => {}
        }
        items::add(&mut batch, tenant, &item, &self.outline.body(self.content()))?;
        if let Some(message_id) = self.outline.summary.identity() {
            let old = saved.as_ref().map(|saved| &saved.latest);
            let new = LatestDraft {
                item: id,
                told: notice.is_some(),
            };
            drafts::set_latest(&mut batch, tenant, self.by.user, message_id, old, new)?;
        }
        if let Some((notice, body)) = notice {
            items::add(&mut batch, tenant, notice, body)?;
        }
        Ok(batch)
    }

    async fn notice(
        &self,
        organisation: &Organisation,
        rules: &[String],
    ) -> Result<(Item, ItemBody), Failure> {
        let (station, tenant, now) = (&self.station, self.by.tenant, self.station.clock.now());
        let text = self.no_rule_notice(organisation, rules, now);
        let blob = station.spool.store(&text).await?;
        let content = Content::whole(blob.id, blob.size_bytes);
        let outline = Outline::of(&station.spool, &content).await?;
        let item = self.item(station.items.next(tenant)?, ItemKind::Notice, now);
        Ok((item, outline.body(content)))
    }

    /// The message that tells the author why it became a draft, and which rules there are.
    fn no_rule_notice(&self, organisation: &Organisation, rules: &[String], now: UtcTime) -> Vec<u8> {
        let station = &self.station;
        let text = notice::draft_for_no_rule(&self.outline.summary.subject, rules);
        let head = format!(
            "From: {from}\r\nTo: {to}\r\nSubject: {subject}\r\nDate: {date}\r\nMessage-ID: <{id}@{domain}>\r\n\
             In-Reply-To: {replied}\r\nReferences: {replied}\r\nMIME-Version: 1.0\r\n",
            from = compose::mailbox(
                Some(&station.identity.issuer.name),
                station.identity.service.as_str()
            ),
            to = compose::mailbox(
                Some(&organisation.tenant.title),
                organisation.tenant.address.as_str()
            ),
            subject = compose::unstructured(&format!("Taslak (draft): {}", self.outline.summary.subject)),
            date = now.rfc5322(),
            id = station.ids.uuid(),
            domain = station.identity.domain,
            replied = self.message_id(),
        );
        let boundary = compose::boundary("notice", station.ids.uuid());
        [
            head.into_bytes(),
            compose::alternative(&text.plain, &text.html, &boundary),
        ]
        .concat()
    }
}
