//! A client brings back a message that it had from here: it moved or copied it among its own folders while it was
//! offline, and knows no other way to say so (mbsync, offlineimap).
//!
//! The message is recognised and filed as if it had been moved there by the table of `filing`; what was brought is not
//! kept, so no other octets can pass for it, and nothing is there twice. Deciding is not done so: a decision is made on
//! the message that the server shows.

use super::super::Mailboxes;
use super::super::filing::{Deed, Verb, translate};
use super::super::marking::{MarkHow, Marked, Marks, Wish, check_change};
use super::Appending;
use crate::domain::audit::AuditRoute;
use crate::domain::selector::Mailbox;
use crate::id::ItemId;
use crate::mime::summary::Summary;
use crate::service::account::Principal;
use crate::service::failure::{Failure, Kind};
use crate::service::outline::Outline;
use crate::store::tables::items;
use std::borrow::Cow;

/// Octets by which a message may have grown or shrunk on its way: clients add a header field of their own
/// (`X-TUID`, `X-OfflineIMAP`), or take it out again.
const SLACK_OCTETS: u64 = 512;
/// Items looked at before others get their turn.
const STEP: usize = 256;

/// Whether a message that is known can be brought here.
pub(super) fn takes_back(mailbox: Mailbox) -> bool {
    matches!(
        mailbox,
        Mailbox::Inbox
            | Mailbox::All
            | Mailbox::Evidence
            | Mailbox::Archive
            | Mailbox::Trash
            | Mailbox::Important
            | Mailbox::Label(_)
    )
}

fn unknown() -> Failure {
    let say = "this is no message that you have here; drafts, copies of what was sent, and messages that are here \
               already can be brought; mail comes by delivery";
    Failure::refused(Kind::Invalid, say)
}

impl Appending {
    /// Files the message that this one is, with the flags it was brought with.
    pub(super) async fn file_again(&self, summary: &Summary, marks: &Marks) -> Result<ItemId, Failure> {
        let (to, by) = (&self.to, &self.by);
        let known = to.recognised(by, summary, self.size_bytes).await?;
        let wish = Wish::new(&to.seat(by)?.organisation, MarkHow::Add, marks)?;
        let hand = self.hand();
        let mut marked = Marked::default();
        to.change(
            by,
            AuditRoute::Imap,
            &[known],
            &mut marked,
            |viewer, item, flags| {
                // Out of the bin, if it lies there: who brings a message wants it where he brings it.
                let Deed::Edit(edit) = translate(viewer, item, Mailbox::All, self.mailbox, Verb::Move)?
                else {
                    return Err(Failure::Broken("bringing a message back decides nothing".into()));
                };
                edit.apply(item, flags, hand)?;
                let (mut item_marked, mut flags_marked) = (Cow::Borrowed(&*item), flags.clone());
                let taken = wish.apply(&mut item_marked, &mut flags_marked);
                // RFC 9051 6.3.12: flags that cannot be set are left out.
                if taken
                    .and_then(|()| check_change(viewer, item, &item_marked))
                    .is_ok()
                {
                    (*item, *flags) = (item_marked.into_owned(), flags_marked);
                }
                Ok(())
            },
        )
        .await?;
        match marked.refused {
            Some(failure) => Err(failure),
            None if marked.done.is_empty() => Err(unknown()),
            None => Ok(known),
        }
    }
}

impl Mailboxes {
    /// The message of the user that has this header and about this size; the latest, if there are several.
    async fn recognised(
        &self,
        by: &Principal,
        summary: &Summary,
        size_bytes: u64,
    ) -> Result<ItemId, Failure> {
        if summary.message_id.is_none() {
            return Err(unknown());
        }
        let mut before = ItemId(u64::MAX);
        loop {
            let step = items::step_back(&*self.db, by.tenant, before, STEP)?;
            for item in step.iter().filter(|item| !item.gone) {
                let Some(body) = items::body(&*self.db, by.tenant, item.id)? else {
                    continue;
                };
                if body.row.content.size_bytes().abs_diff(size_bytes) > SLACK_OCTETS {
                    continue;
                }
                let seen = Outline::summary_of(&self.spool, &body.row).await?;
                let same = seen.message_id == summary.message_id
                    && seen.subject == summary.subject
                    && seen.date == summary.date;
                if same && self.visible(&self.seat(by)?.viewer(), item.id)?.is_some() {
                    return Ok(item.id);
                }
            }
            let Some(last) = step.last().filter(|_| step.len() == STEP) else {
                return Err(unknown());
            };
            before = last.id;
            tokio::task::yield_now().await;
        }
    }
}
