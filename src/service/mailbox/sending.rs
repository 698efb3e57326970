//! A draft is sent, or starts a flow, by being moved: its octets go the way of any submission.
//!
//! The draft ends in the commit that makes the mail, so it is sent once, whoever else moves it at the same moment.

use super::{Letter, Mailboxes};
use crate::address::{KepAddress, ReversePath};
use crate::domain::audit::AuditRoute;
use crate::domain::item::{Item, ItemKind};
use crate::domain::policy::Asked;
use crate::id::ItemId;
use crate::service::account::Principal;
use crate::service::failure::{Failure, Kind};
use crate::service::octets::ContentReader;
use crate::service::submission::{Accepted, draft_recipients};
use crate::store::tables::{items, jobs, mails};

impl Mailboxes {
    /// Hands a draft in, as if its author had submitted it: by the wish it carries, or by `asked`. Gives what became of it.
    pub async fn send_draft(
        &self,
        by: &Principal,
        id: ItemId,
        asked: Option<Asked>,
        route: AuditRoute,
    ) -> Result<Accepted, Failure> {
        let seat = self.seat(by)?;
        let missing = || Failure::refused(Kind::NotFound, "the draft is not there any more");
        let item = self.visible(&seat.viewer(), id)?.ok_or_else(missing)?;
        if item.row.kind != ItemKind::Draft {
            return Err(Failure::refused(
                Kind::Invalid,
                "only a draft can be handed in; this message is none",
            ));
        }
        let letter = self.letter(&item).await?.ok_or_else(missing)?;
        let mut recipients = draft_recipients(&letter.outline.summary)?;
        for blind in self.blind_before(by, &item.row, &letter)? {
            if !recipients.contains(&blind) {
                recipients.push(blind);
            }
        }
        let own = ReversePath::Address(seat.organisation.tenant.address.clone());
        self.submission.check_sender(by, &own)?;
        for recipient in &recipients {
            self.submission
                .check_recipient(recipient, Some(letter.size_bytes()))?;
        }
        let mut receiving = self.submission.begin(by, recipients).of_draft(id, route);
        if let Some(asked) = asked {
            receiving = receiving.force(asked);
        }
        let mut reader = ContentReader::whole(&self.spool, &letter.content);
        while let Some(chunk) = reader.next_chunk().await? {
            receiving.write(&chunk).await?;
        }
        receiving.finish_attested().await
    }

    /// The blind recipients of a mail that was given back, as long as nobody has written it anew: its octets do not name
    /// them, and its author named them when he handed it in first.
    fn blind_before(
        &self,
        by: &Principal,
        draft: &Item,
        letter: &Letter,
    ) -> Result<Vec<KepAddress>, Failure> {
        let db = &*self.db;
        let Some(job) = draft.resumes else {
            return Ok(Vec::new());
        };
        let Some(job) = jobs::job(db, by.tenant, job)?.map(|job| job.row) else {
            return Ok(Vec::new());
        };
        let original = items::body(db, by.tenant, job.item)?;
        let unchanged = original.is_some_and(|body| body.row.content == letter.content);
        let Some(mail) = mails::mail(db, by.tenant, job.mail)?.filter(|_| unchanged) else {
            return Ok(Vec::new());
        };
        let blind = mail.row.recipients.into_iter().filter(|r| r.blind);
        Ok(blind.map(|r| r.address).collect())
    }
}
