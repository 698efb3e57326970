//! Catching up: a view follows the tenant's change log; an open mailbox follows its view.
//!
//! A view re-asks its question (`asking`) about each item that changed since, and lets items enter (next UID) or
//! leave, in one batch on the condition that the view's row is as it was read: others catch up the same view at the
//! same time. A change that moves nobody in or out is not written down at once, so that a flag somewhere costs no
//! commit in every view. When the question itself changes (units, roles, labels of a unit), all items are asked anew.
//! Who entered and who left is on record with the number of its commit (`store::tables::views`), so an open mailbox, and
//! a client that comes back after weeks, is told exactly that (`resyncing`).

use super::answered::Answered;
use super::asking::{Asker, Step, Turn};
use super::marking::Marks;
use super::seats::Seat;
use super::{ATTEMPTS, Mailboxes, conflict};
use crate::domain::item::{Item, UserFlags};
use crate::domain::selector::Mailbox;
use crate::id::{ItemId, LabelId, ModSeq, TenantId, ViewId};
use crate::roster::Roster;
use crate::service::account::Principal;
use crate::service::failure::Failure;
use crate::service::time_slice::TimeSlice;
use crate::service::yielding::commit_or_yield;
use crate::store::StoreError;
use crate::store::db::{Batch, CommitError};
use crate::store::tables::items::{self, ChangeOf, Stamped};
use crate::store::tables::views::{self, Scope, View};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};

/// Members given new UIDs in one batch: five rows each, and the tombstones it drops, below what a batch may hold.
const RENUMBERED_MAX: usize = 2000;
/// Steps of catching up beside the batch of somebody who brings items: one, and the look behind it.
const STEPS_BESIDE_MAX: usize = 2;
/// Members looked at before others get their turn.
const TURN: usize = 256;

/// A mailbox somebody has open: the view as he knows it.
#[derive(Debug, Clone)]
pub struct Opened {
    pub mailbox: Mailbox,
    pub uid_validity: u32,
    pub uid_next: u32,
    /// `None` for mailboxes that never show anything.
    pub(super) view: Option<ViewId>,
    pub(super) roster: Roster,
    pub(super) known_to: ModSeq,
    /// Flags that its user set himself since he was told everything.
    pub(super) answered: Answered,
    /// From where he saw it when he was told everything.
    pub(super) seat: Weak<Seat>,
}

impl Opened {
    /// The commit up to which its user was told everything (RFC 7162 3.1.2.1, HIGHESTMODSEQ). A mailbox that never shows
    /// anything never changes either: 1.
    pub fn known_to(&self) -> ModSeq {
        self.known_to
    }

    /// Its user was answered what he marked, by these commits: that is no news to him.
    pub fn answered(&mut self, marked: impl IntoIterator<Item = (ItemId, ModSeq)>) {
        self.answered.note(marked);
    }

    /// These commits changed nothing but flags of his, and he was answered all of it.
    pub fn answered_whole(&mut self, commits: impl IntoIterator<Item = ModSeq>) {
        self.answered.note_whole(commits);
    }

    /// He was not answered after all.
    pub fn unanswered(&mut self) {
        self.answered.forget();
    }
}

/// What changed in an open mailbox since it was asked last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct News {
    /// In order of UID, all above those known before.
    pub added: Vec<(u32, ItemId)>,
    pub removed: Vec<u32>,
    /// With the commit at which each message last changed for this user.
    pub marks: Vec<(u32, Marks, ModSeq)>,
}

/// A view that was brought up to now.
#[derive(Debug, Clone)]
pub(super) struct CaughtUp {
    pub mailbox: Mailbox,
    pub view: View,
    pub scope: Scope,
    /// From where it was asked what is in it.
    pub seat: Weak<Seat>,
    /// Nothing that happened in the view by this commit is missing.
    ///
    /// It is the higher of what the view has caught up to and of the commit that last wrote its row. The row was read,
    /// and afterwards the change log was found empty behind what it has caught up to (or nothing behind that had begun). Commits become visible in the order
    /// of their numbers. So every change by the row's own commit was visible when the log was read: it stands at or below
    /// what the view has caught up to, or it would have been found; a change that moves up the log goes behind both. And
    /// whatever moved a member by this commit is visible to who reads members and tombstones from now on.
    pub to: ModSeq,
}

impl Mailboxes {
    /// Opens a mailbox: its view is brought up to now.
    pub async fn open(&self, by: &Principal, mailbox: Mailbox) -> Result<Opened, Failure> {
        if mailbox.shows_nothing() {
            return Ok(Opened {
                mailbox,
                uid_validity: 1,
                uid_next: 1,
                view: None,
                roster: Roster::default(),
                known_to: ModSeq(1),
                answered: Answered::default(),
                seat: Weak::new(),
            });
        }
        let caught = self.catch_up(by, mailbox, None).await?;
        let present = self.present(by, &caught, None).await?;
        Ok(Opened {
            mailbox,
            uid_validity: caught.view.uid_validity,
            uid_next: present.uid_next,
            view: Some(caught.view.id),
            roster: present.roster,
            known_to: caught.to,
            answered: Answered::default(),
            seat: caught.seat,
        })
    }

    /// Brings the view up to now and says what that means for one who has the mailbox open.
    pub async fn poll(&self, by: &Principal, opened: &mut Opened) -> Result<News, Failure> {
        let Some(known) = opened.view else {
            return Ok(News::default());
        };
        if self.only_he_marked(by, opened)? {
            return Ok(News::default());
        }
        let right_to = Some((known, opened.known_to));
        let caught = self.catch_up(by, opened.mailbox, right_to).await?;
        self.news_of(by, opened, &caught).await
    }

    /// Whether every commit behind what he knows is one by which he marked messages himself, and was answered that: then he
    /// knows all, and nothing is looked for.
    ///
    /// Nobody else's change is among these commits, so nothing came, went or was marked but by him. What his place lets
    /// him see was asked from the seat he still has. And where flags decide what is in a mailbox, it is looked for.
    fn only_he_marked(&self, by: &Principal, opened: &mut Opened) -> Result<bool, Failure> {
        let begun = ModSeq(self.db.begun().0);
        if opened.mailbox.asks_flags() || !opened.answered.is_all_between(opened.known_to, begun) {
            return Ok(false);
        }
        let seat = self.seat(by)?;
        if !std::ptr::eq(opened.seat.as_ptr(), Arc::as_ptr(&seat)) {
            return Ok(false);
        }
        opened.known_to = begun;
        opened.answered.forget();
        Ok(true)
    }

    /// The same of a view that was just brought up, by whomever.
    pub(super) async fn news_of(
        &self,
        by: &Principal,
        opened: &mut Opened,
        caught: &CaughtUp,
    ) -> Result<News, Failure> {
        let Some(known) = opened.view else {
            return Ok(News::default());
        };
        let mut news = News::default();
        if caught.view.id != known {
            // The user's own place changed so that another view answers his question: its UIDs are strangers here.
            let gone = std::mem::take(&mut opened.roster);
            news.removed = gone.iter().map(|e| e.uid).collect();
            opened.view = None;
            return Ok(news);
        }
        let present = self.present(by, caught, Some(opened)).await?;
        news.removed = opened.roster.left(&present.roster);
        let first_new = present.roster.position(opened.uid_next);
        let added = present.roster.range(first_new..present.roster.len());
        news.added = added.map(|e| (e.uid, ItemId(e.key))).collect();
        let marks = self.remarked(by, (known, &present.roster), opened, caught.to);
        let marks = marks.await?;
        news.marks = marks;
        opened.roster = present.roster;
        opened.uid_next = present.uid_next;
        opened.known_to = opened.known_to.max(caught.to);
        opened.seat = caught.seat.clone();
        opened.answered.forget();
        Ok(news)
    }

    /// The marks of members of a view that their user knows, and that changed behind what he was told, up to `until`.
    ///
    /// What he was answered when he set it himself is left out. His answer showed the item as it was read then; had
    /// somebody else changed it since, the log says that, too.
    ///
    /// What changed again behind `until` is left out: it stands behind `until` in the log and is told the next time.
    /// Otherwise its number would be known before what happened between the two.
    async fn remarked(
        &self,
        by: &Principal,
        (view, there): (ViewId, &Roster),
        known: &mut Opened,
        until: ModSeq,
    ) -> Result<Vec<(u32, Marks, ModSeq)>, Failure> {
        let db = &*self.db;
        let (mut told, mut words) = (BTreeMap::new(), BTreeSet::new());
        let (mut at, new_from) = (known.known_to, known.uid_next);
        let answered = known.answered.in_order();
        let mut time = TimeSlice::begin();
        while at < until {
            let Some(slice) = self.changes.after(db, by.tenant, at)? else {
                break;
            };
            let seat = self.seat(by)?;
            let viewer = seat.viewer();
            let mut reader = self.mark_reader(by, until);
            words.extend(slice.words(at, until));
            for change in slice.after(at).take_while(|change| change.modseq <= until) {
                let answered = || answered.covers(change.id, change.modseq);
                match change.of {
                    ChangeOf::Item => {}
                    ChangeOf::FlagsOf(user) if user == by.user && !answered() => {}
                    ChangeOf::FlagsOf(_) | ChangeOf::Word(_) => continue,
                }
                let uid = views::uid_of(db, by.tenant, view, change.id)?;
                let Some(uid) = uid.filter(|uid| *uid < new_from && there.contains(*uid)) else {
                    continue;
                };
                let Some(read) = change.read(db, by.tenant)? else {
                    continue;
                };
                if viewer.sees(&read.item, read.about.as_ref()) {
                    let marks = self.marks_in(&viewer, &mut reader, (view, uid), &read.item)?;
                    told.insert(uid, marks);
                }
            }
            at = slice.last;
            time.share().await;
        }
        if !words.is_empty() {
            let known = (view, there, new_from);
            self.reworded(by, until, known, &words, &mut told).await?;
        }
        told.retain(|_, (_, modseq)| *modseq <= until);
        let told = told
            .into_iter()
            .map(|(uid, (marks, modseq))| (uid, marks, modseq));
        Ok(told.collect())
    }

    /// A label is called otherwise: all members are asked whether they carry it. That is rare.
    async fn reworded(
        &self,
        by: &Principal,
        until: ModSeq,
        (view, there, new_from): (ViewId, &Roster, u32),
        words: &BTreeSet<LabelId>,
        told: &mut BTreeMap<u32, (Marks, ModSeq)>,
    ) -> Result<(), Failure> {
        for (n, entry) in there.iter().take_while(|e| e.uid < new_from).enumerate() {
            if n % TURN == TURN - 1 {
                tokio::task::yield_now().await;
            }
            let Some(item) = items::item(&*self.db, by.tenant, ItemId(entry.key))? else {
                continue;
            };
            if item.row.labels.is_disjoint(words) {
                continue;
            }
            let seat = self.seat(by)?;
            let about = items::about(&*self.db, by.tenant, &item.row)?;
            if seat.viewer().sees(&item.row, about.as_ref()) {
                let reader = &mut self.mark_reader(by, until);
                let marks = self.marks_in(&seat.viewer(), reader, (view, entry.uid), &item.row)?;
                told.insert(entry.uid, marks);
            }
        }
        Ok(())
    }

    /// Brings a view up to now. The caller may know that a view is right up to some change. What is given may have
    /// caught up further than its stored row, when nothing in between concerned it.
    pub(super) async fn catch_up(
        &self,
        by: &Principal,
        mailbox: Mailbox,
        right_to: Option<(ViewId, ModSeq)>,
    ) -> Result<CaughtUp, Failure> {
        let db = &*self.db;
        let (mut conflicts, mut slice) = (0, TimeSlice::begin());
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
            }
            let known = right_to.filter(|(view, _)| *view == turn.next.id);
            let known = known.map_or(ModSeq(0), |(_, to)| to);
            let step = loop {
                let step = turn.step(&self.changes, known)?;
                if step != Step::More {
                    break step;
                }
                // Very much may have to be asked.
                slice.share().await;
            };
            match step {
                Step::More | Step::Done => {
                    // One commit may write an item and the view's row (`let_in`). A row that was read before it does not go
                    // with a log that was read behind it.
                    let looked = turn.next.caught_up > stored.row.caught_up.max(known);
                    if looked && conflicts < ATTEMPTS {
                        let now = views::view(db, by.tenant, mailbox, asker.scope)?;
                        if now.is_none_or(|now| now.modseq != stored.modseq) {
                            conflicts += 1;
                            continue;
                        }
                    }
                    return Ok(CaughtUp {
                        to: turn.next.caught_up.max(stored.modseq),
                        mailbox,
                        view: turn.next,
                        scope: asker.scope,
                        seat: Arc::downgrade(&seat),
                    });
                }
                Step::Write => {
                    let (mut batch, mut next) = (turn.batch, turn.next);
                    views::forget(db, &mut batch, by.tenant, &mut next)?;
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
                organisation_version: asker.question.viewer.org.version,
                question: asker.digest(),
                ..View::new(id, uid_validity, caught_up)
            },
        )?;
        commit_or_yield(&*self.db, batch).await
    }

    /// Gives members of a view that stayed where they were a new UID, so that a client who was told that they left
    /// finds them again.
    pub(super) async fn renumber(
        &self,
        by: &Principal,
        mailbox: Mailbox,
        stayed: &[(u32, ItemId)],
    ) -> Result<(), Failure> {
        let mut attempts = 0;
        let mut rest = stayed.chunks(RENUMBERED_MAX);
        let mut chunk = rest.next();
        while let Some(stayed) = chunk {
            let seat = self.seat(by)?;
            let viewer = seat.viewer();
            let asker = Asker::new(&viewer, mailbox);
            let Some(stored) = views::view(&*self.db, by.tenant, mailbox, asker.scope)? else {
                return Ok(());
            };
            let batch = self.renumbering(by.tenant, &stored, stayed)?;
            if !batch.is_empty() {
                match self.db.commit(batch).await {
                    Ok(_) => self.bells.mailboxes.ring(by.tenant),
                    Err(CommitError::Conflict { .. }) if attempts < ATTEMPTS => {
                        attempts += 1;
                        continue;
                    }
                    Err(CommitError::Conflict { .. }) => return Err(conflict()),
                    Err(other) => return Err(other.into()),
                }
            }
            (chunk, attempts) = (rest.next(), 0);
        }
        Ok(())
    }

    fn renumbering(
        &self,
        tenant: TenantId,
        stored: &Stamped<View>,
        stayed: &[(u32, ItemId)],
    ) -> Result<Batch, Failure> {
        let (mut batch, mut next) = (Batch::new(), stored.row.clone());
        for (uid, item) in stayed {
            let found = views::member(&*self.db, tenant, next.id, *uid)?;
            let Some(member) = found.filter(|m| m.item == *item) else {
                continue;
            };
            views::leave(&mut batch, tenant, &mut next, &member);
            views::enter(&mut batch, tenant, &mut next, member.item, member.only);
        }
        if !batch.is_empty() {
            views::forget(&*self.db, &mut batch, tenant, &mut next)?;
            stored.replace(&mut batch, &next)?;
        }
        Ok(batch)
    }

    /// Lets items into a mailbox by the batch that adds them, so that one commit does both; gives UIDVALIDITY and their
    /// UIDs. `None`: more has to be asked or written there first, and the batch is as it was. They come in when the view is
    /// caught up.
    ///
    /// The batch then holds only if nobody else moves anything in the view meanwhile.
    pub(super) fn let_in(
        &self,
        by: &Principal,
        mailbox: Mailbox,
        items: &[(Item, UserFlags)],
        batch: &mut Batch,
    ) -> Result<Option<(u32, Vec<u32>)>, Failure> {
        let (db, seat) = (&*self.db, self.seat(by)?);
        let viewer = seat.viewer();
        let asker = Asker::new(&viewer, mailbox);
        let Some(stored) = views::view(db, by.tenant, mailbox, asker.scope)? else {
            return Ok(None);
        };
        let view = &stored.row;
        let of_now =
            view.organisation_version == seat.organisation.version && view.question == asker.digest();
        if !of_now || view.asking_from.is_some() {
            return Ok(None);
        }
        let mut turn = Turn::new(db, by.tenant, &asker, view.clone());
        for _ in 0..STEPS_BESIDE_MAX {
            match turn.step(&self.changes, ModSeq(0))? {
                Step::More => continue,
                Step::Write => return Ok(None),
                Step::Done => {}
            }
            let uids = items.iter().map(|(item, flags)| turn.let_in(item, flags));
            let Some(uids) = uids.collect::<Option<Vec<u32>>>() else {
                return Ok(None);
            };
            stored.replace(&mut turn.batch, &turn.next)?;
            batch.join(turn.batch);
            return Ok(Some((view.uid_validity, uids)));
        }
        Ok(None)
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
        let view = self.catch_up(by, mailbox, None).await?.view;
        let uid = |item: &ItemId| views::uid_of(&*self.db, by.tenant, view.id, *item);
        let uids = which
            .iter()
            .map(|item| Ok(uid(item)?.unwrap_or(0)))
            .collect::<Result<_, StoreError>>()?;
        Ok((view.uid_validity, uids))
    }

    /// The UID of an item in an open mailbox, as its user knows it.
    pub fn known_uid(
        &self,
        by: &Principal,
        opened: &Opened,
        item: ItemId,
    ) -> Result<Option<u32>, StoreError> {
        let Some(view) = opened.view else { return Ok(None) };
        let uid = views::uid_of(&*self.db, by.tenant, view, item)?;
        Ok(uid.filter(|uid| opened.roster.contains(*uid)))
    }
}
