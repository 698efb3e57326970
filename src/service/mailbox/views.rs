//! Catching up: a view follows the tenant's change log; an open mailbox follows its view.
//!
//! A view re-asks its question (`asking`) about each item that changed since, and lets items enter (next UID) or
//! leave, in one batch on the condition that the view's row is as it was read: others catch up the same view at the
//! same time. A change that moves nobody in or out is not written down at once, so that a flag somewhere costs no
//! commit in every view. When the question itself changes (units, roles, labels of a unit), all items are asked anew.

use super::asking::{Asker, Step, Turn};
use super::marking::{Marks, marks};
use super::{ATTEMPTS, Mailboxes, Uids, conflict};
use crate::domain::item::Item;
use crate::domain::selector::{Mailbox, Viewer};
use crate::id::{ItemId, ModSeq, TenantId, ViewId};
use crate::service::account::Principal;
use crate::service::failure::Failure;
use crate::store::StoreError;
use crate::store::db::{Batch, CommitError};
use crate::store::tables::Stored;
use crate::store::tables::items::{self, ChangeOf};
use crate::store::tables::views::{self, Member, View};
use std::collections::{BTreeMap, BTreeSet};

/// Members read in one step.
const MEMBERS_STEP: usize = 4096;

/// A mailbox somebody has open: the view as he knows it.
#[derive(Debug, Clone)]
pub struct Opened {
    pub mailbox: Mailbox,
    pub uid_validity: u32,
    pub uid_next: u32,
    /// `None` for mailboxes that never show anything.
    view: Option<ViewId>,
    members: BTreeMap<u32, ItemId>,
    uids: Uids,
    known_to: ModSeq,
    generation: u32,
}

/// What changed in an open mailbox since it was asked last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct News {
    /// In order of UID, all above those known before.
    pub added: Vec<(u32, ItemId)>,
    pub removed: Vec<u32>,
    pub marks: Vec<(u32, Marks)>,
}

/// What tells whether a view has moved.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    pub id: ViewId,
    pub generation: u32,
    pub uid_next: u32,
}

impl Opened {
    /// In order of UID.
    pub fn members(&self) -> impl Iterator<Item = (u32, ItemId)> + '_ {
        self.members.iter().map(|(uid, item)| (*uid, *item))
    }

    pub fn item(&self, uid: u32) -> Option<ItemId> {
        self.members.get(&uid).copied()
    }

    pub fn uid_of(&self, item: ItemId) -> Option<u32> {
        self.uids.get(&item).copied()
    }

    /// The view as he knows it, and the change he knows up to; `None` where nothing is ever shown.
    pub(super) fn standing(&self) -> Option<(Known, ModSeq)> {
        let known = Known {
            id: self.view?,
            generation: self.generation,
            uid_next: self.uid_next,
        };
        Some((known, self.known_to))
    }

    /// Nothing up to this change concerned him.
    pub(super) fn heard_to(&mut self, to: ModSeq) {
        self.known_to = self.known_to.max(to);
    }

    fn add(&mut self, uid: u32, item: ItemId) -> Option<u32> {
        let before = self.uids.insert(item, uid);
        self.members.insert(uid, item);
        before
    }

    /// Forgets a member its user was told has left.
    pub(super) fn forget(&mut self, uid: u32) -> bool {
        let Some(item) = self.members.remove(&uid) else {
            return false;
        };
        if self.uids.get(&item) == Some(&uid) {
            self.uids.remove(&item);
        }
        true
    }
}

impl Mailboxes {
    /// Opens a mailbox: its view is brought up to now, and read.
    pub async fn open(&self, by: &Principal, mailbox: Mailbox) -> Result<Opened, Failure> {
        let mut opened = Opened {
            mailbox,
            uid_validity: 1,
            uid_next: 1,
            view: None,
            members: BTreeMap::new(),
            uids: Uids::new(),
            known_to: ModSeq(0),
            generation: 0,
        };
        if mailbox.shows_nothing() {
            return Ok(opened);
        }
        let view = self.catch_up(by, mailbox, None).await?;
        for member in self.members(by, &view, 1).await? {
            opened.add(member.uid, member.item);
        }
        opened.view = Some(view.id);
        opened.uid_validity = view.uid_validity;
        opened.uid_next = view.uid_next;
        opened.known_to = view.caught_up;
        opened.generation = view.generation;
        Ok(opened)
    }

    /// The members of a view that its user sees, from a UID on; in steps, as there may be very many.
    async fn members(&self, by: &Principal, view: &View, from: u32) -> Result<Vec<Member>, Failure> {
        let mut members = Vec::new();
        let mut from = from;
        loop {
            let read = views::members(&*self.db, by.tenant, view.id, from, view.uid_next, MEMBERS_STEP)?;
            let full = read.len() == MEMBERS_STEP;
            from = read.last().map_or(from, |last| last.uid.saturating_add(1));
            members.extend(read.into_iter().filter(|m| m.only.is_none_or(|u| u == by.user)));
            if !full {
                return Ok(members);
            }
            tokio::task::yield_now().await;
        }
    }

    /// Brings the view up to now and says what that means for one who has the mailbox open.
    pub async fn poll(&self, by: &Principal, opened: &mut Opened) -> Result<News, Failure> {
        let Some(known) = opened.view else {
            return Ok(News::default());
        };
        let right_to = Some((known, opened.known_to));
        let view = self.catch_up(by, opened.mailbox, right_to).await?;
        let mut news = News::default();
        if view.id != known {
            // The user's own place changed so that another view answers his question: its UIDs are strangers here.
            news.removed = std::mem::take(&mut opened.members).into_keys().collect();
            opened.uids.clear();
            opened.view = None;
            return Ok(news);
        }
        if view.generation != opened.generation {
            let there = self.members(by, &view, 1).await?;
            let there: BTreeSet<u32> = there.iter().map(|m| m.uid).collect();
            let known = opened.members.keys();
            news.removed = known.filter(|u| !there.contains(u)).copied().collect();
            opened.generation = view.generation;
        }
        self.changed(by, opened, &view, &mut news).await?;
        for member in self.members(by, &view, opened.uid_next).await? {
            if let Some(old) = opened.uids.get(&member.item) {
                news.removed.push(*old);
            }
            news.added.push((member.uid, member.item));
        }
        news.removed.sort_unstable();
        news.removed.dedup();
        for uid in &news.removed {
            opened.forget(*uid);
        }
        for (uid, item) in &news.added {
            opened.add(*uid, *item);
        }
        news.marks.retain(|(uid, _)| opened.members.contains_key(uid));
        opened.uid_next = view.uid_next;
        opened.known_to = opened.known_to.max(view.caught_up);
        Ok(news)
    }

    /// Follows the change log from what `opened` knows to what the view has caught up to: notes who left, and the
    /// marks of those that may have changed.
    async fn changed(
        &self,
        by: &Principal,
        opened: &Opened,
        view: &View,
        news: &mut News,
    ) -> Result<(), Failure> {
        let db = &*self.db;
        let mut marks = BTreeMap::new();
        let mut at = opened.known_to;
        while at < view.caught_up {
            let Some(slice) = self.changes.after(db, by.tenant, at)? else {
                break;
            };
            let seat = self.seat(by)?;
            let viewer = seat.viewer();
            let with_evidence = Asker::new(&viewer, opened.mailbox).shows_evidence();
            for change in slice.after(at) {
                let of_item = change.of == ChangeOf::Item;
                if of_item && with_evidence {
                    // Evidence comes and goes with the mail it speaks of, without a change of its own.
                    for evidence in slice.evidence(db, &change.item)? {
                        news.removed.extend(self.left(by, opened, view, evidence.id)?);
                    }
                }
                if !of_item && change.of != ChangeOf::FlagsOf(by.user) {
                    continue;
                }
                let Some(uid) = opened.uid_of(change.item.id) else {
                    continue;
                };
                if let Some(gone) = self.left(by, opened, view, change.item.id)? {
                    news.removed.push(gone);
                } else if viewer.sees(&change.item, change.about.as_ref()) {
                    marks.insert(uid, self.marks_of(&viewer, &change.item)?);
                }
            }
            at = slice.last;
            tokio::task::yield_now().await;
        }
        news.marks = marks.into_iter().collect();
        Ok(())
    }

    /// The UID under which an item was known, when it is not in the view under that any more.
    fn left(
        &self,
        by: &Principal,
        opened: &Opened,
        view: &View,
        item: ItemId,
    ) -> Result<Option<u32>, StoreError> {
        let Some(known) = opened.uid_of(item) else {
            return Ok(None);
        };
        let now = views::uid_of(&*self.db, by.tenant, view.id, item)?;
        Ok((now != Some(known)).then_some(known))
    }

    /// Brings a view up to now. The caller may know that a view is right up to some change. What is given may have
    /// caught up further than its stored row, when nothing in between concerned it.
    pub(super) async fn catch_up(
        &self,
        by: &Principal,
        mailbox: Mailbox,
        right_to: Option<(ViewId, ModSeq)>,
    ) -> Result<View, Failure> {
        let db = &*self.db;
        let mut conflicts = 0;
        loop {
            let seat = self.seat(by)?;
            let viewer = seat.viewer();
            let asker = Asker::new(&viewer, mailbox);
            let Some(stored) = views::view(db, by.tenant, mailbox, asker.scope)? else {
                self.make(by.tenant, &asker).await?;
                continue;
            };
            let org_version = seat.organisation.version;
            if stored.row.organisation_version > org_version && conflicts < ATTEMPTS {
                conflicts += 1;
                continue;
            }
            let mut turn = Turn::new(db, by.tenant, &asker, stored.row.clone());
            turn.next.organisation_version = org_version;
            let question = asker.digest();
            if question != turn.next.question {
                turn.next.question = question;
                turn.next.asking_from = Some(ItemId(0));
                turn.next.generation = turn.next.generation.wrapping_add(1);
            }
            let known = right_to.filter(|(view, _)| *view == turn.next.id);
            let known = known.map_or(ModSeq(0), |(_, to)| to);
            let step = loop {
                let step = turn.step(&self.changes, known)?;
                // Others get their turn; very much may have to be asked.
                tokio::task::yield_now().await;
                if step != Step::More {
                    break step;
                }
            };
            match step {
                Step::More | Step::Done => return Ok(turn.next),
                Step::Write => {
                    let (mut batch, next) = (turn.batch, turn.next);
                    stored.replace(&mut batch, &next)?;
                    match self.db.commit(batch).await {
                        Ok(_) => conflicts = 0,
                        Err(CommitError::Conflict { .. }) => {
                            conflicts += 1;
                            if conflicts > 4 * ATTEMPTS {
                                return Err(conflict());
                            }
                        }
                        Err(other) => return Err(other.into()),
                    }
                }
            }
        }
    }

    async fn make(&self, tenant: TenantId, asker: &Asker<'_>) -> Result<(), Failure> {
        let now_s = u32::try_from(self.clock.now().unix_s()).unwrap_or(1);
        // Read before the items are: what changes while they are asked is asked again.
        let caught_up = items::last_modseq(&*self.db, tenant)?;
        let mut batch = Batch::new();
        views::add(
            &*self.db,
            &mut batch,
            tenant,
            asker.mailbox(),
            asker.scope,
            now_s,
            |id, uid_validity| View {
                id,
                uid_validity,
                uid_next: 1,
                caught_up,
                organisation_version: asker.question.viewer.org.version,
                question: asker.digest(),
                asking_from: Some(ItemId(0)),
                generation: 0,
            },
        )?;
        match self.db.commit(batch).await {
            Ok(_) | Err(CommitError::Conflict { .. }) => Ok(()),
            Err(other) => Err(other.into()),
        }
    }

    /// Gives members of a view that stayed where they were a new UID, so that a client who was told that they left
    /// finds them again.
    pub(super) async fn renumber(
        &self,
        by: &Principal,
        mailbox: Mailbox,
        stayed: &[(u32, ItemId)],
    ) -> Result<(), Failure> {
        for _ in 0..ATTEMPTS {
            let seat = self.seat(by)?;
            let viewer = seat.viewer();
            let asker = Asker::new(&viewer, mailbox);
            let Some(stored) = views::view(&*self.db, by.tenant, mailbox, asker.scope)? else {
                return Ok(());
            };
            let batch = self.renumbering(by.tenant, &stored, stayed)?;
            if batch.is_empty() {
                return Ok(());
            }
            match self.db.commit(batch).await {
                Ok(_) => {
                    self.bells.mailboxes.ring(by.tenant);
                    return Ok(());
                }
                Err(CommitError::Conflict { .. }) => continue,
                Err(other) => return Err(other.into()),
            }
        }
        Err(conflict())
    }

    fn renumbering(
        &self,
        tenant: TenantId,
        stored: &Stored<View>,
        stayed: &[(u32, ItemId)],
    ) -> Result<Batch, Failure> {
        let (mut batch, mut next) = (Batch::new(), stored.row.clone());
        for (uid, item) in stayed {
            let found = views::members(&*self.db, tenant, next.id, *uid, uid.saturating_add(1), 1)?;
            let Some(member) = found.first().filter(|m| m.item == *item) else {
                continue;
            };
            views::leave(&mut batch, tenant, next.id, *uid, *item);
            let uid = next.uid_next;
            views::enter(&mut batch, tenant, next.id, Member { uid, ..*member });
            next.uid_next = uid.saturating_add(1);
        }
        if !batch.is_empty() {
            stored.replace(&mut batch, &next)?;
        }
        Ok(batch)
    }

    /// UIDs of items in a mailbox, brought up to now; 0 for those that are not in it.
    pub(super) async fn uids_in(
        &self,
        by: &Principal,
        mailbox: Mailbox,
        which: &[ItemId],
    ) -> Result<(u32, Vec<u32>), Failure> {
        if mailbox.shows_nothing() {
            return Ok((0, vec![0; which.len()]));
        }
        let view = self.catch_up(by, mailbox, None).await?;
        let uid = |item: &ItemId| views::uid_of(&*self.db, by.tenant, view.id, *item);
        let uids = which
            .iter()
            .map(|item| Ok(uid(item)?.unwrap_or(0)))
            .collect::<Result<_, StoreError>>()?;
        Ok((view.uid_validity, uids))
    }
}

impl Mailboxes {
    /// The marks of an item as it was read.
    pub(super) fn marks_of(&self, viewer: &Viewer<'_>, item: &Item) -> Result<Marks, Failure> {
        let flags = items::flags(&*self.db, viewer.org.tenant.id, viewer.user.id, item.id)?;
        Ok(marks(viewer.org, item, flags.as_ref().map(|f| &f.row)))
    }
}
