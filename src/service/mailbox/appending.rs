//! A client brings a message: a draft, or its own copy of what it has just sent; alone, or in the place of another.
//!
//! Drafts stream into the spool, and one commit writes the draft, its flags, and what becomes of the one whose place it
//! takes (`versions` says which that is). A copy for `Giden Kutusu` is recognised by its Message-ID and not kept: what was
//! submitted stands there already, and no other octets may pass for it.

use super::filing::{Deed, expunging, foreseen};
use super::marking::{MarkHow, Marked, Marks, Wish, check_change, decision};
use super::versions::draft;
use super::{ATTEMPTS, Mailboxes, conflict};
use crate::clock::UtcTime;
use crate::domain::audit::AuditRoute;
use crate::domain::item::{Filed, Item, ItemKind, UserFlags};
use crate::domain::org::Permission;
use crate::domain::selector::{Mailbox, Viewer};
use crate::id::ItemId;
use crate::mime::Scanner;
use crate::mime::summary::{HEADER_MAX_OCTETS, Summary};
use crate::service::account::Principal;
use crate::service::failure::{Failure, Kind};
use crate::service::outline::Outline;
use crate::store::db::{Batch, CommitError};
use crate::store::spool::BlobWriter;
use crate::store::tables::items::{self, Content, Stamped};
use crate::store::tables::{drafts, drafts::LatestDraft, mails};
use std::sync::Arc;

/// A message that is coming in.
pub struct Appending {
    to: Arc<Mailboxes>,
    by: Principal,
    mailbox: Mailbox,
    /// The message it replaces, and the mailbox that is said in.
    replaces: Option<(Mailbox, ItemId)>,
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
        if mailbox == Mailbox::Drafts {
            let usage = self.items.usage(&seat.organisation.tenant).await?;
            usage.room_for(size_bytes)?;
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
            replaces: None,
            head: Vec::new(),
            size_bytes: 0,
            draft,
        })
    }
}

/// What becomes of a message that a new one replaces: a draft is superseded by a draft, anything else is expunged where
/// it is seen.
fn taken_away(
    viewer: &Viewer<'_>,
    old: &Item,
    from: Mailbox,
    to: Mailbox,
    hand: Filed,
) -> Result<(Item, bool), Failure> {
    if old.kind == ItemKind::Draft && to == Mailbox::Drafts {
        return Ok((old.ended(hand), true));
    }
    let edit = expunging(old, from)?;
    foreseen(viewer, old, Deed::Edit(edit), hand)?;
    let mut after = old.clone();
    edit.apply(&mut after, &mut UserFlags::default(), hand)?;
    Ok((after, false))
}

fn not_there_any_more() -> Failure {
    let say = "the message to be replaced is not there any more; nothing was changed";
    Failure::refused(Kind::NotFound, say)
}

impl Appending {
    /// In the place of a message of another, or the same, mailbox; refused at once when that cannot be taken away.
    pub fn replacing(mut self, from: Mailbox, old: ItemId) -> Result<Self, Failure> {
        let seat = self.to.seat(&self.by)?;
        let viewer = seat.viewer();
        let shown = self.to.visible(&viewer, old)?.ok_or_else(not_there_any_more)?;
        taken_away(&viewer, &shown.row, from, self.mailbox, self.hand())?;
        self.replaces = Some((from, old));
        Ok(self)
    }

    fn hand(&self) -> Filed {
        Filed {
            by: self.by.user,
            at: self.to.clock.now(),
        }
    }

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

    /// All octets are here. Gives UIDVALIDITY and UID, where the message has one; then all of it is durable.
    pub async fn finish(
        mut self,
        marks: &Marks,
        date: Option<UtcTime>,
    ) -> Result<Option<(u32, u32)>, Failure> {
        let summary = Summary::of(&self.head);
        // Bringing a copy is not deciding: only a STORE on the message that is seen does that.
        let mut marks = marks.clone();
        marks.keywords.retain(|keyword| decision(keyword).is_none());
        let id = match self.draft.take() {
            Some((writer, scanner)) => {
                let blob = writer.finish().await?;
                let outline = Outline {
                    structure: scanner.finish(),
                    summary,
                };
                let content = Content::whole(blob.id, blob.size_bytes);
                self.file_draft(&outline, content, &marks, date).await?
            }
            None => self.recognise(&summary, &marks).await?,
        };
        match self.to.uids_in(&self.by, self.mailbox, &[id]).await {
            Ok((uid_validity, uids)) => {
                let uid = uids.first().filter(|uid| **uid != 0);
                Ok(uid.map(|uid| (uid_validity, *uid)))
            }
            // It is there. A client that was told otherwise would bring it again.
            Err(failure) => {
                tracing::warn!(%failure, item = %id, "the UID of an appended message cannot be told");
                Ok(None)
            }
        }
    }

    async fn file_draft(
        &self,
        outline: &Outline,
        content: Content,
        marks: &Marks,
        date: Option<UtcTime>,
    ) -> Result<ItemId, Failure> {
        let to = &self.to;
        let id = to.items.next(self.by.tenant)?;
        for _ in 0..ATTEMPTS {
            let batch = self.draft_batch(id, outline, &content, marks, date)?;
            match to.db.commit(batch).await {
                Ok(_) => {
                    to.bells.mailboxes.ring(self.by.tenant);
                    return Ok(id);
                }
                // The draft whose place it takes was changed meanwhile, or another save was faster.
                Err(CommitError::Conflict { .. }) => continue,
                Err(other) => return Err(other.into()),
            }
        }
        Err(conflict())
    }

    /// The draft with its flags, and what becomes of the one whose place it takes.
    fn draft_batch(
        &self,
        id: ItemId,
        outline: &Outline,
        content: &Content,
        marks: &Marks,
        date: Option<UtcTime>,
    ) -> Result<Batch, Failure> {
        let (to, by, mut batch) = (&self.to, &self.by, Batch::new());
        let seat = to.seat(by)?;
        let mut item = draft(id, by.user, date.unwrap_or_else(|| to.clock.now()));
        let replaced = self.take_away(&seat.viewer(), &mut batch)?;
        let message_id = outline.summary.identity();
        let latest = message_id.map(|id| drafts::latest(&*to.db, by.tenant, by.user, id));
        let latest = latest.transpose()?.flatten();
        let known = latest
            .as_ref()
            .map(|latest| items::item(&*to.db, by.tenant, latest.row.item));
        let known = known.transpose()?.flatten();
        match (&replaced, &known) {
            (Some(old), _) => item.take_place_of(old),
            (None, Some(old)) => {
                item.take_place_of(&old.row);
                // What lies in the bin stays there; what is gone is gone already.
                if !old.row.gone && old.row.trashed.is_none() {
                    items::replace(&mut batch, by.tenant, old, &old.row.ended(self.hand()))?;
                }
            }
            (None, None) => {}
        }
        if let Some(message_id) = message_id {
            let new = LatestDraft::saved(id);
            drafts::set_latest(&mut batch, by.tenant, by.user, message_id, latest.as_ref(), new)?;
        }
        let mut flags = UserFlags::default();
        let (mut marked, wish) = (item.clone(), Wish::new(&seat.organisation, MarkHow::Add, marks)?);
        match wish.apply(&mut marked, &mut flags) {
            Ok(()) => item = marked,
            // RFC 9051 6.3.12 sets no flag that cannot be set; the message is worth more than its flags.
            Err(failure) => {
                tracing::debug!(%failure, "flags of an appended message were not taken");
                flags = UserFlags::default();
            }
        }
        items::add(&mut batch, by.tenant, &item, &outline.body(content.clone()))?;
        if flags != UserFlags::default() {
            items::put_flags(&mut batch, by.tenant, by.user, id, None, &flags)?;
        }
        Ok(batch)
    }

    /// Takes the replaced message away in the same batch. Gives the draft that is superseded, if it is one.
    fn take_away(&self, viewer: &Viewer<'_>, batch: &mut Batch) -> Result<Option<Item>, Failure> {
        let Some((from, old)) = self.replaces else {
            return Ok(None);
        };
        let shown = self.to.visible(viewer, old)?.ok_or_else(not_there_any_more)?;
        let old: &Stamped<Item> = &shown;
        let (after, superseded) = taken_away(viewer, &old.row, from, self.mailbox, self.hand())?;
        items::replace(batch, self.by.tenant, old, &after)?;
        let mut account = super::accounting::Account::default();
        account.tell(viewer.org, &old.row, &after);
        let author = self.by.author(AuditRoute::Imap);
        account.write(batch, self.by.tenant, &author, self.to.clock.now())?;
        Ok(superseded.then(|| old.row.clone()))
    }

    /// Marks the item that stands for the message a client has sent, and takes away what the copy replaces.
    async fn recognise(&self, summary: &Summary, marks: &Marks) -> Result<ItemId, Failure> {
        let (to, by) = (&self.to, &self.by);
        let known = self.known(summary)?;
        let old = self.replaces.map(|(_, old)| old);
        if old == Some(known) {
            let say = "this is the message itself; what was submitted stays as it is";
            return Err(Failure::refused(Kind::OnRecord, say));
        }
        let wish = Wish::new(&to.seat(by)?.organisation, MarkHow::Add, marks)?;
        let hand = self.hand();
        let both: Vec<ItemId> = old.into_iter().chain([known]).collect();
        let mut marked = Marked::default();
        to.change(by, AuditRoute::Imap, &both, &mut marked, |viewer, item, flags| {
            if let Some((from, _)) = self.replaces.filter(|(_, old)| *old == item.id) {
                return expunging(item, from)?.apply(item, flags, hand);
            }
            let (mut item_marked, mut flags_marked) = (item.clone(), flags.clone());
            let taken = wish.apply(&mut item_marked, &mut flags_marked);
            if taken
                .and_then(|()| check_change(viewer, item, &item_marked))
                .is_ok()
            {
                (*item, *flags) = (item_marked, flags_marked);
            }
            Ok(())
        })
        .await?;
        if let Some(failure) = marked.refused {
            return Err(failure);
        }
        match old {
            Some(old) if !marked.done.iter().any(|(id, _)| *id == old) => Err(not_there_any_more()),
            _ => Ok(known),
        }
    }

    /// The item that stands for the message a client has sent.
    fn known(&self, summary: &Summary) -> Result<ItemId, Failure> {
        let unknown = || {
            let say = "no mail with this Message-ID was submitted; what is sent is kept here by itself";
            Failure::refused(Kind::Invalid, say)
        };
        let message_id = summary.message_id.as_deref().ok_or_else(unknown)?;
        let known = mails::known(&*self.to.db, self.by.tenant, self.by.user, message_id)?;
        let known = known.ok_or_else(unknown)?;
        let seat = self.to.seat(&self.by)?;
        let item = self
            .to
            .visible(&seat.viewer(), known.row.item)?
            .ok_or_else(unknown)?;
        Ok(item.row.id)
    }
}
