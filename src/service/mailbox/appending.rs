//! A client brings messages: drafts, or its own copies of what it has just sent; one, several at once that come in
//! together or not at all, or one in the place of another.
//!
//! Drafts stream into the spool, and one commit writes the draft, its flags, its place in the mailbox, and what becomes of
//! the one whose place it takes (`versions` says which that is). A copy for `Giden Kutusu` is recognised by its Message-ID and not kept: what was
//! submitted stands there already, and no other octets may pass for it. So is a message brought back (`returning`).

mod returning;

use super::expunging::expunging;
use super::filing::{Deed, foreseen};
use super::marking::{MarkHow, Marked, Marks, Wish, check_change, decision};
use super::versions::draft;
use super::{ATTEMPTS, Mailboxes, conflict};
use crate::clock::UtcTime;
use crate::domain::audit::AuditRoute;
use crate::domain::item::{Filed, Item, ItemKind, UserFlags};
use crate::domain::org::{Organisation, Permission};
use crate::domain::selector::{Mailbox, Viewer};
use crate::id::ItemId;
use crate::mime::summary::{HEADER_MAX_OCTETS, Summary};
use crate::mime::{Scanner, Structure};
use crate::service::account::Principal;
use crate::service::failure::{Failure, Kind};
use crate::service::outline::Outline;
use crate::store::db::{Batch, CommitError};
use crate::store::spool::{BlobWriter, Pending, SpoolError};
use crate::store::tables::flags::FlagEdits;
use crate::store::tables::items::{self, Content, Stamped};
use crate::store::tables::{Stored, drafts, drafts::LatestDraft, mails};
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

/// Messages that are coming in.
pub struct Appending {
    to: Arc<Mailboxes>,
    by: Principal,
    mailbox: Mailbox,
    /// The message it replaces, and the mailbox that is said in.
    replaces: Option<(Mailbox, ItemId)>,
    /// Complete, and not kept yet: they wait for the last one.
    before: Vec<Brought>,
    /// The first octets, where the header block is.
    head: Vec<u8>,
    size_bytes: u64,
    draft: Option<(BlobWriter, Scanner)>,
}

/// A message whose octets are complete.
struct Brought {
    summary: Summary,
    marks: Marks,
    date: Option<UtcTime>,
    /// What the spool holds of a draft.
    draft: Option<(Pending, Structure)>,
}

/// A draft whose octets are durable.
struct Kept {
    outline: Outline,
    content: Content,
    marks: Marks,
    date: Option<UtcTime>,
}

/// Drafts that are durable.
enum Drafted {
    /// In the mailbox, with UIDVALIDITY and their UIDs.
    In(u32, Vec<u32>),
    /// They come in when it is caught up.
    Apart(Vec<ItemId>),
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
        self.fits(size_bytes)?;
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
            known if returning::takes_back(known) => None,
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
            before: Vec::new(),
            head: Vec::new(),
            size_bytes: 0,
            draft,
        })
    }

    fn fits(&self, size_bytes: u64) -> Result<(), Failure> {
        let most = self.identity.size_max_bytes;
        if size_bytes <= most {
            return Ok(());
        }
        let say = format!("a message has at most {most} octets here");
        Err(Failure::refused(Kind::TooLarge, say))
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
        if returning::takes_back(self.mailbox) {
            let say = "only a draft, or a copy of what was sent, takes the place of another message";
            return Err(Failure::refused(Kind::Invalid, say));
        }
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
        // A message has no NUL (RFC 5322 2.2). It could only be kept in another form, and what somebody signs and sends is
        // kept as it came or not at all.
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

    /// The octets of one message are here, another of `size_bytes` follows for the same mailbox.
    pub async fn next(
        &mut self,
        marks: &Marks,
        date: Option<UtcTime>,
        size_bytes: u64,
    ) -> Result<(), Failure> {
        self.to.fits(size_bytes)?;
        if returning::takes_back(self.mailbox) {
            let say = "messages that are here already are brought one at a time";
            return Err(Failure::refused(Kind::Invalid, say));
        }
        let again = match &self.draft {
            Some(_) => Some((self.to.spool.create().await?, Scanner::new())),
            None => None,
        };
        let draft = std::mem::replace(&mut self.draft, again);
        let head = std::mem::take(&mut self.head);
        self.size_bytes = 0;
        self.before.push(Brought::of(&head, draft, marks, date).await?);
        Ok(())
    }

    /// All octets of the one message are here. Gives UIDVALIDITY and UID, where it has one; then all of it is durable.
    pub async fn finish(self, marks: &Marks, date: Option<UtcTime>) -> Result<Option<(u32, u32)>, Failure> {
        let uids = self.finish_all(marks, date).await?;
        Ok(uids.and_then(|(uid_validity, uids)| Some((uid_validity, *uids.first()?))))
    }

    /// All octets of all messages are here; they come in together, or none does. Gives UIDVALIDITY and a UID for each
    /// in their order, where all have one.
    pub async fn finish_all(
        mut self,
        marks: &Marks,
        date: Option<UtcTime>,
    ) -> Result<Option<(u32, Vec<u32>)>, Failure> {
        let last = Brought::of(&self.head, self.draft.take(), marks, date).await?;
        let mut messages = std::mem::take(&mut self.before);
        messages.push(last);
        let ids = match (self.mailbox, messages.first()) {
            (Mailbox::Drafts, _) => match self.file_drafts(messages).await? {
                Drafted::In(uid_validity, uids) => return Ok(Some((uid_validity, uids))),
                Drafted::Apart(ids) => ids,
            },
            (known, Some(only)) if returning::takes_back(known) => {
                vec![self.file_again(&only.summary, &only.marks).await?]
            }
            _ => self.recognise(&messages).await?,
        };
        match self.to.uids_in(&self.by, self.mailbox, &ids).await {
            Ok((uid_validity, uids)) => {
                let known = !uids.is_empty() && uids.iter().all(|uid| *uid != 0);
                Ok(known.then_some((uid_validity, uids)))
            }
            // They are there. A client that was told otherwise would bring them again.
            Err(failure) => {
                tracing::warn!(%failure, ?ids, "the UIDs of appended messages cannot be told");
                Ok(None)
            }
        }
    }

    async fn file_drafts(&self, messages: Vec<Brought>) -> Result<Drafted, Failure> {
        let to = &self.to;
        let drafts = keep(messages).await?;
        let mut ids = Vec::with_capacity(drafts.len());
        for _ in &drafts {
            ids.push(to.items.next(self.by.tenant)?);
        }
        for attempt in 0..ATTEMPTS {
            let (mut batch, items) = self.draft_batch(&ids, &drafts)?;
            // Who brings much at once to one mailbox is not to stand in his own way: later they come in by themselves.
            let uids = match attempt {
                0 => self.let_in(&items, &mut batch),
                _ => None,
            };
            match to.db.commit(batch).await {
                Ok(_) => {
                    to.bells.mailboxes.ring(self.by.tenant);
                    return Ok(match uids {
                        Some((uid_validity, uids)) => Drafted::In(uid_validity, uids),
                        None => Drafted::Apart(ids),
                    });
                }
                // The draft whose place it takes was changed meanwhile, or another save was faster, or the mailbox moved.
                Err(CommitError::Conflict { .. }) => continue,
                Err(other) => return Err(other.into()),
            }
        }
        Err(conflict())
    }

    /// Lets them into the mailbox by the same batch, where that can be. What stands in the way there, such as a row that
    /// cannot be read, is no reason to refuse them.
    fn let_in(&self, items: &[(Item, UserFlags)], batch: &mut Batch) -> Option<(u32, Vec<u32>)> {
        let uids = self.to.let_in(&self.by, self.mailbox, items, batch);
        uids.unwrap_or_else(|failure| {
            tracing::warn!(%failure, "drafts come into their mailbox later");
            None
        })
    }

    /// The drafts with their flags, and what becomes of those whose places they take.
    fn draft_batch(
        &self,
        ids: &[ItemId],
        drafts: &[Kept],
    ) -> Result<(Batch, Vec<(Item, UserFlags)>), Failure> {
        let (to, by, mut batch) = (&self.to, &self.by, Batch::new());
        let seat = to.seat(by)?;
        let replaced = self.take_away(&seat.viewer(), &mut batch)?;
        let mut items: Vec<(Item, UserFlags)> = Vec::with_capacity(drafts.len());
        // Of several that are brought with one Message-ID, each takes the place of the one before. Which draft is the
        // latest is read once: what takes its place is right only as long as the batch finds it so.
        let mut newest: HashMap<&str, (usize, Option<Stored<LatestDraft>>)> = HashMap::new();
        for (id, draft) in ids.iter().zip(drafts) {
            let mut item = self::draft(*id, by.user, to.clock.now());
            item.internal_date = draft.date.unwrap_or(item.internal_date);
            let message_id = draft.outline.summary.identity();
            let (earlier, latest) = match message_id {
                Some(id) => match newest.remove(id) {
                    Some((at, latest)) => (Some(at), latest),
                    None => (None, drafts::latest(&*to.db, by.tenant, by.user, id)?),
                },
                None => (None, None),
            };
            match (&replaced, earlier.and_then(|at| items.get_mut(at))) {
                (Some(old), _) => item.take_place_of(old),
                (None, Some((earlier, _))) => {
                    item.take_place_of(earlier);
                    *earlier = earlier.ended(self.hand());
                }
                (None, None) => {
                    if let Some(latest) = &latest {
                        self.take_place(&mut batch, &mut item, &latest.row)?;
                    }
                }
            }
            if let Some(message_id) = message_id {
                newest.insert(message_id, (items.len(), latest));
            }
            items.push(flagged(item, &draft.marks, &seat.organisation)?);
        }
        for (message_id, (at, latest)) in newest {
            if let Some((item, _)) = items.get(at) {
                let new = LatestDraft::saved(item.id);
                drafts::set_latest(&mut batch, by.tenant, by.user, message_id, latest.as_ref(), new)?;
            }
        }
        let mut edits = FlagEdits::new(by.tenant, by.user);
        for ((item, flags), draft) in items.iter().zip(drafts) {
            items::add(
                &mut batch,
                by.tenant,
                item,
                &draft.outline.body(draft.content.clone()),
            )?;
            if *flags != UserFlags::default() {
                edits.put(item.id, None, flags)?;
            }
        }
        edits.write_into(&mut batch);
        Ok((batch, items))
    }

    /// In the place of the draft that was saved last under the same Message-ID.
    fn take_place(&self, batch: &mut Batch, item: &mut Item, latest: &LatestDraft) -> Result<(), Failure> {
        let (to, by) = (&self.to, &self.by);
        if let Some(old) = items::item(&*to.db, by.tenant, latest.item)? {
            item.take_place_of(&old.row);
            // What lies in the bin stays there; what is gone is gone already.
            if !old.row.gone && old.row.trashed.is_none() {
                items::replace(batch, by.tenant, &old, &old.row.ended(self.hand()))?;
            }
        }
        Ok(())
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

    /// Marks the items that stand for the messages a client has sent, and takes away what a copy replaces.
    async fn recognise(&self, messages: &[Brought]) -> Result<Vec<ItemId>, Failure> {
        let (to, by) = (&self.to, &self.by);
        let known = messages.iter().map(|m| self.known(&m.summary));
        let known = known.collect::<Result<Vec<ItemId>, Failure>>()?;
        let old = self.replaces.map(|(_, old)| old);
        if old.is_some_and(|old| known.contains(&old)) {
            let say = "this is the message itself; what was submitted stays as it is";
            return Err(Failure::refused(Kind::OnRecord, say));
        }
        let organisation = to.seat(by)?.organisation.clone();
        let mut wishes = HashMap::new();
        for (id, message) in known.iter().zip(messages) {
            wishes.insert(*id, Wish::new(&organisation, MarkHow::Add, &message.marks)?);
        }
        let hand = self.hand();
        let mut all: Vec<ItemId> = old.into_iter().chain(wishes.keys().copied()).collect();
        all.sort_unstable();
        let mut marked = Marked::default();
        to.change(by, AuditRoute::Imap, &all, &mut marked, |viewer, item, flags| {
            if let Some((from, _)) = self.replaces.filter(|(_, old)| *old == item.id) {
                return expunging(item, from)?.apply(item, flags, hand);
            }
            let (mut item_marked, mut flags_marked) = (Cow::Borrowed(&*item), flags.clone());
            let taken = wishes
                .get(&item.id)
                .map(|wish| wish.apply(&mut item_marked, &mut flags_marked));
            if matches!(taken, Some(Ok(()))) && check_change(viewer, item, &item_marked).is_ok() {
                (*item, *flags) = (item_marked.into_owned(), flags_marked);
            }
            Ok(())
        })
        .await?;
        if let Some(failure) = marked.refused {
            return Err(failure);
        }
        match old {
            Some(old) if !marked.done.iter().any(|done| done.item == old) => Err(not_there_any_more()),
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

impl Brought {
    async fn of(
        head: &[u8],
        draft: Option<(BlobWriter, Scanner)>,
        marks: &Marks,
        date: Option<UtcTime>,
    ) -> Result<Self, Failure> {
        // Bringing a copy is not deciding: only a STORE on the message that is seen does that.
        let mut marks = marks.clone();
        marks.keywords.retain(|keyword| decision(keyword).is_none());
        let draft = match draft {
            Some((writer, scanner)) => Some((writer.complete().await?, scanner.finish())),
            None => None,
        };
        Ok(Self {
            summary: Summary::of(head),
            marks,
            date,
            draft,
        })
    }
}

/// Makes the octets of drafts durable, several at a time.
async fn keep(messages: Vec<Brought>) -> Result<Vec<Kept>, Failure> {
    let mut keeping = tokio::task::JoinSet::new();
    let mut kept: Vec<Option<Kept>> = Vec::with_capacity(messages.len());
    for (at, message) in messages.into_iter().enumerate() {
        kept.push(None);
        let Some((pending, structure)) = message.draft else {
            continue;
        };
        keeping.spawn(async move {
            let blob = pending.keep().await?;
            let outline = Outline {
                structure,
                summary: message.summary,
            };
            let content = Content::whole(blob.id, blob.size_bytes);
            let (marks, date) = (message.marks, message.date);
            let draft = Kept {
                outline,
                content,
                marks,
                date,
            };
            Ok::<_, SpoolError>((at, draft))
        });
    }
    while let Some(joined) = keeping.join_next().await {
        let (at, draft) = joined.map_err(|error| Failure::Broken(error.to_string()))??;
        if let Some(slot) = kept.get_mut(at) {
            *slot = Some(draft);
        }
    }
    kept.into_iter()
        .collect::<Option<_>>()
        .ok_or_else(|| Failure::Broken("a draft without octets".into()))
}

/// RFC 9051 6.3.12 sets no flag that cannot be set; the message is worth more than its flags.
fn flagged(item: Item, marks: &Marks, organisation: &Organisation) -> Result<(Item, UserFlags), Failure> {
    let wish = Wish::new(organisation, MarkHow::Add, marks)?;
    let (mut marked, mut flags) = (Cow::Borrowed(&item), UserFlags::default());
    match wish.apply(&mut marked, &mut flags) {
        Ok(()) => Ok((marked.into_owned(), flags)),
        Err(failure) => {
            tracing::debug!(%failure, "flags of an appended message were not taken");
            Ok((item, UserFlags::default()))
        }
    }
}
