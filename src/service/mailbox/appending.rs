//! A client brings a message: a new draft, or its own copy of what it has just sent.
//!
//! Drafts stream into the spool. A copy for `Giden Kutusu` is recognised by its Message-ID and not kept: what was
//! submitted stands there already, and no other octets may pass for it.

use super::Mailboxes;
use super::marking::{MarkHow, Marked, Marks, decision};
use crate::clock::UtcTime;
use crate::domain::item::{Item, ItemKind};
use crate::domain::org::Permission;
use crate::domain::selector::Mailbox;
use crate::id::ItemId;
use crate::mime::Scanner;
use crate::mime::summary::{HEADER_MAX_OCTETS, Summary};
use crate::service::account::Principal;
use crate::service::failure::{Failure, Kind};
use crate::service::outline::Outline;
use crate::store::db::Batch;
use crate::store::spool::BlobWriter;
use crate::store::tables::items::{self, Content};
use crate::store::tables::mails;
use std::sync::Arc;

/// A message that is coming in.
pub struct Appending {
    to: Arc<Mailboxes>,
    by: Principal,
    mailbox: Mailbox,
    /// The first octets, where the header block is.
    head: Vec<u8>,
    size_bytes: u64,
    draft: Option<(BlobWriter, Scanner)>,
}

impl Mailboxes {
    /// Whether a message of `size_bytes` may be brought to this mailbox, and where it goes if so.
    pub async fn append(
        self: &Arc<Self>,
        by: &Principal,
        mailbox: Mailbox,
        size_bytes: u64,
    ) -> Result<Appending, Failure> {
        let seat = self.seat(by)?;
        if size_bytes > self.identity.size_max_bytes {
            let say = format!(
                "a message has at most {} octets here",
                self.identity.size_max_bytes
            );
            return Err(Failure::refused(Kind::TooLarge, say));
        }
        let draft = match mailbox {
            Mailbox::Drafts if seat.organisation.may(seat.viewer().user, Permission::Compose) => {
                Some((self.spool.create().await?, Scanner::new()))
            }
            Mailbox::Drafts => {
                let say = "you have no permission to compose; ask your account's administrator";
                return Err(Failure::refused(Kind::NoPermission, say));
            }
            Mailbox::Sent => None,
            _ => {
                let say =
                    "only drafts, and copies of what was sent, can be brought here; mail comes by delivery";
                return Err(Failure::refused(Kind::Invalid, say));
            }
        };
        Ok(Appending {
            to: self.clone(),
            by: by.clone(),
            mailbox,
            head: Vec::new(),
            size_bytes: 0,
            draft,
        })
    }
}

impl Appending {
    pub async fn write(&mut self, chunk: &[u8]) -> Result<(), Failure> {
        self.size_bytes += chunk.len() as u64;
        if self.size_bytes > self.to.identity.size_max_bytes {
            return Err(Failure::refused(Kind::TooLarge, "the message is too large"));
        }
        // RFC 9051 6.3.12 with literal8 aside: a message has no NUL; whoever reads it would cut it there.
        if chunk.contains(&0) {
            let say = "the message has a NUL octet; it cannot be kept";
            return Err(Failure::refused(Kind::Malformed, say));
        }
        let room = HEADER_MAX_OCTETS - self.head.len().min(HEADER_MAX_OCTETS);
        self.head.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if let Some((writer, scanner)) = &mut self.draft {
            scanner.push(chunk);
            writer.write(chunk).await?;
        }
        Ok(())
    }

    /// All octets are here. Gives UIDVALIDITY and UID, where the message has one; then it is durable.
    pub async fn finish(
        mut self,
        marks: &Marks,
        date: Option<UtcTime>,
    ) -> Result<Option<(u32, u32)>, Failure> {
        let summary = Summary::of(&self.head);
        let id = match self.draft.take() {
            Some((writer, scanner)) => {
                let blob = writer.finish().await?;
                let outline = Outline {
                    structure: scanner.finish(),
                    summary,
                };
                let content = Content::whole(blob.id, blob.size_bytes);
                self.file_draft(&outline, content, date).await?
            }
            None => self.known(&summary)?,
        };
        let (to, by) = (&self.to, &self.by);
        // Bringing a copy is not deciding: only a STORE on the message that is seen does that.
        let mut marks = marks.clone();
        marks.keywords.retain(|keyword| decision(keyword).is_none());
        let marked: Marked = to.mark(by, &[id], MarkHow::Add, &marks).await?;
        if let Some(failure) = marked.refused {
            tracing::debug!(%failure, "flags of an appended message were not all taken");
        }
        let (uid_validity, uids) = to.uids_in(by, self.mailbox, &[id]).await?;
        Ok(uids
            .first()
            .filter(|uid| **uid != 0)
            .map(|uid| (uid_validity, *uid)))
    }

    async fn file_draft(
        &self,
        outline: &Outline,
        content: Content,
        date: Option<UtcTime>,
    ) -> Result<ItemId, Failure> {
        let to = &self.to;
        let id = to.items.next(self.by.tenant)?;
        let item = Item {
            author: Some(self.by.user),
            ..Item::new(id, ItemKind::Draft, date.unwrap_or_else(|| to.clock.now()))
        };
        let mut batch = Batch::new();
        items::add(&mut batch, self.by.tenant, &item, &outline.body(content))?;
        to.db.commit(batch).await?;
        to.bells.mailboxes.ring(self.by.tenant);
        Ok(id)
    }

    /// The item that stands for the message a client has sent.
    fn known(&self, summary: &Summary) -> Result<ItemId, Failure> {
        let unknown = || {
            let say = "no mail with this Message-ID was submitted; what is sent is kept here by itself";
            Failure::refused(Kind::Invalid, say)
        };
        let message_id = summary.message_id.as_deref().ok_or_else(unknown)?;
        let known = mails::known(&*self.to.db, self.by.tenant, message_id)?.ok_or_else(unknown)?;
        let seat = self.to.seat(&self.by)?;
        let item = self
            .to
            .visible(&seat.viewer(), known.row.item)?
            .ok_or_else(unknown)?;
        Ok(item.row.id)
    }
}
