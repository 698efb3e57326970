//! Catching up: a view follows the tenant's change log; an open mailbox follows its view.
//!
//! A view re-asks its question about each item that changed since, and lets items enter (next UID) or leave, in one
//! batch on the condition that the view's row is as it was read: others catch up the same view at the same time. A
//! change that moves nobody in or out is not written down at once, so that a flag somewhere costs no commit in every
//! view. When the question itself changes (units, roles, labels of a unit), all items are asked anew, in steps.

use super::marking::{Marks, marks};
use super::{ATTEMPTS, Mailboxes, Seat, Uids, conflict};
use crate::domain::item::{Item, ItemKind, UserFlags};
use crate::domain::org::UserKind;
use crate::domain::selector::{Mailbox, Sharing, Viewer};
use crate::id::{ItemId, ModSeq, TenantId, UserId, ViewId};
use crate::service::account::Principal;
use crate::service::failure::Failure;
use crate::store::StoreError;
use crate::store::db::{Batch, CommitError, Db};
use crate::store::tables::Stored;
use crate::store::tables::items::{self, ChangeOf};
use crate::store::tables::mails::digest;
use crate::store::tables::views::{self, Member, Scope, View};
use std::collections::{BTreeMap, BTreeSet};

/// Items or changes looked at in one batch: two rows each, well below what a batch may hold.
const STEP: usize = 1000;
/// Changes without effect that are read again rather than written down.
const LAG_MAX: usize = 200;

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

/// Whether the mailbox is only a place to move things to.
fn shows_nothing(mailbox: Mailbox) -> bool {
    matches!(
        mailbox,
        Mailbox::Approve | Mailbox::Reject | Mailbox::Release | Mailbox::Flow(_)
    )
}

/// A question as one user, or all officers, ask it.
struct Asker<'a> {
    viewer: Viewer<'a>,
    mailbox: Mailbox,
    scope: Scope,
}

impl<'a> Asker<'a> {
    fn new(seat: &'a Seat, mailbox: Mailbox) -> Self {
        let viewer = seat.viewer();
        let shared = mailbox.sharing() == Sharing::Audience && viewer.user.kind == UserKind::Officer;
        let scope = if shared {
            Scope::Officers
        } else {
            Scope::User(viewer.user.id)
        };
        Self {
            viewer,
            mailbox,
            scope,
        }
    }

    /// Whether the item is in: `Some(None)` for all who share the view, `Some(Some(user))` for one of them only.
    fn ask(&self, item: &Item, flags: Option<&UserFlags>) -> Option<Option<UserId>> {
        if self.scope == Scope::Officers && matches!(item.kind, ItemKind::Draft | ItemKind::Notice) {
            let org = self.viewer.org;
            let author = org.users.get(&item.author?)?;
            let in_it =
                author.kind == UserKind::Officer && self.mailbox.shows(item, &Viewer::new(org, author), None);
            return in_it.then_some(Some(author.id));
        }
        self.mailbox.shows(item, &self.viewer, flags).then_some(None)
    }

    /// Digest of what the answers depend on beside the items.
    fn question(&self) -> [u8; 32] {
        let org = self.viewer.org;
        let mut text = match self.scope {
            Scope::Officers => {
                let officers: Vec<UserId> = org
                    .users
                    .values()
                    .filter(|u| u.kind == UserKind::Officer)
                    .map(|u| u.id)
                    .collect();
                format!("{officers:?}")
            }
            Scope::User(_) => {
                let may_approve = org.may(self.viewer.user, crate::domain::org::Permission::Approve);
                format!(
                    "{:?} {may_approve} {:?}",
                    self.viewer.audience, self.viewer.user.roles
                )
            }
        };
        if let Mailbox::Unit(unit) = self.mailbox {
            for below in org.unit_and_below(unit) {
                let labels = org.units.get(&below).map(|u| &u.labels);
                text.push_str(&format!(" {below:?} {labels:?}"));
            }
        }
        digest(text.as_bytes())
    }
}

/// Changes of a view's membership about to be made.
struct Turn<'a> {
    db: &'a dyn Db,
    tenant: TenantId,
    asker: &'a Asker<'a>,
    next: View,
    batch: Batch,
}

impl Turn<'_> {
    fn ask(&mut self, item: &Item) -> Result<(), StoreError> {
        let flags = match self.asker.mailbox {
            Mailbox::Important => items::flags(self.db, self.tenant, self.asker.viewer.user.id, item.id)?,
            _ => None,
        };
        let answer = self.asker.ask(item, flags.as_ref().map(|f| &f.row));
        let uid = views::uid_of(self.db, self.tenant, self.next.id, item.id)?;
        match (uid, answer) {
            (None, Some(only)) => self.enter(item.id, only),
            (Some(uid), None) => {
                views::leave(&mut self.batch, self.tenant, self.next.id, uid, item.id);
            }
            _ => {}
        }
        Ok(())
    }

    fn enter(&mut self, item: ItemId, only: Option<UserId>) {
        let uid = self.next.uid_next;
        views::enter(
            &mut self.batch,
            self.tenant,
            self.next.id,
            Member { uid, item, only },
        );
        self.next.uid_next = uid.saturating_add(1);
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
        if shows_nothing(mailbox) {
            return Ok(opened);
        }
        let view = self.catch_up(by, mailbox, None).await?;
        for member in self.members(by, &view, 1)? {
            opened.add(member.uid, member.item);
        }
        opened.view = Some(view.id);
        opened.uid_validity = view.uid_validity;
        opened.uid_next = view.uid_next;
        opened.known_to = view.caught_up;
        opened.generation = view.generation;
        Ok(opened)
    }

    fn members(&self, by: &Principal, view: &View, from: u32) -> Result<Vec<Member>, Failure> {
        let mut members = views::members(&*self.db, by.tenant, view.id, from, view.uid_next)?;
        members.retain(|m| m.only.is_none_or(|user| user == by.user));
        Ok(members)
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
            let there: BTreeSet<u32> = self.members(by, &view, 1)?.iter().map(|m| m.uid).collect();
            news.removed = opened
                .members
                .keys()
                .filter(|u| !there.contains(u))
                .copied()
                .collect();
            opened.generation = view.generation;
        }
        let flagged = self.changed(by, opened, &view, &mut news)?;
        for member in self.members(by, &view, opened.uid_next)? {
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
        opened.uid_next = view.uid_next;
        opened.known_to = opened.known_to.max(view.caught_up);
        let seat = self.seat(by)?;
        let viewer = seat.viewer();
        for item in flagged {
            if let (Some(uid), Some(look)) = (opened.uid_of(item), self.look(&viewer, item)?) {
                news.marks.push((uid, look.marks));
            }
        }
        Ok(news)
    }

    /// Follows the change log from what `opened` knows to what the view has caught up to: notes who left, and gives
    /// those whose marks may have changed.
    fn changed(
        &self,
        by: &Principal,
        opened: &Opened,
        view: &View,
        news: &mut News,
    ) -> Result<BTreeSet<ItemId>, Failure> {
        let mut marked = BTreeSet::new();
        let mut at = opened.known_to;
        while at < view.caught_up {
            let changes = items::changes_after(&*self.db, by.tenant, at, STEP)?;
            let Some(last) = changes.last() else { break };
            at = last.modseq;
            for change in changes {
                let Some(uid) = opened.uid_of(change.item) else {
                    continue;
                };
                match change.of {
                    ChangeOf::FlagsOf(user) if user != by.user => continue,
                    _ => {
                        marked.insert(change.item);
                    }
                }
                if views::uid_of(&*self.db, by.tenant, view.id, change.item)? != Some(uid) {
                    news.removed.push(uid);
                    marked.remove(&change.item);
                }
            }
        }
        Ok(marked)
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
            let asker = Asker::new(&seat, mailbox);
            let Some(stored) = views::view(db, by.tenant, mailbox, asker.scope)? else {
                self.make(by.tenant, &asker).await?;
                continue;
            };
            let org_version = seat.organisation.version;
            if stored.row.organisation_version > org_version && conflicts < ATTEMPTS {
                conflicts += 1;
                continue;
            }
            let mut turn = Turn {
                db,
                tenant: by.tenant,
                asker: &asker,
                next: stored.row.clone(),
                batch: Batch::new(),
            };
            turn.next.organisation_version = org_version;
            let question = asker.question();
            if question != turn.next.question {
                turn.next.question = question;
                turn.next.asking_from = Some(ItemId(0));
                turn.next.generation = turn.next.generation.wrapping_add(1);
            }
            let write = match turn.next.asking_from {
                Some(from) => step_all(&mut turn, from)?,
                None => {
                    let known = right_to.filter(|(view, _)| *view == turn.next.id);
                    step_changes(&mut turn, known.map_or(ModSeq(0), |(_, to)| to))?
                }
            };
            match write {
                Step::Done => return Ok(turn.next),
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
            asker.mailbox,
            asker.scope,
            now_s,
            |id, uid_validity| View {
                id,
                uid_validity,
                uid_next: 1,
                caught_up,
                organisation_version: asker.viewer.org.version,
                question: asker.question(),
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
            let asker = Asker::new(&seat, mailbox);
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
            let found = views::members(&*self.db, tenant, next.id, *uid, uid.saturating_add(1))?;
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
        if shows_nothing(mailbox) {
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

/// Whether a step has to be written down.
enum Step {
    Done,
    Write,
}

fn step_all(turn: &mut Turn<'_>, from: ItemId) -> Result<Step, Failure> {
    let items = items::step(turn.db, turn.tenant, from, STEP)?;
    for item in &items {
        turn.ask(item)?;
    }
    let full = items.len() == STEP;
    turn.next.asking_from = items
        .last()
        .filter(|_| full)
        .map(|last| ItemId(last.id.0.saturating_add(1)));
    Ok(Step::Write)
}

fn step_changes(turn: &mut Turn<'_>, known: ModSeq) -> Result<Step, Failure> {
    let own_flags = match (turn.asker.mailbox, turn.asker.scope) {
        (Mailbox::Important, Scope::User(user)) => Some(user),
        _ => None,
    };
    turn.next.caught_up = turn.next.caught_up.max(known);
    let mut read = 0;
    loop {
        let changes = items::changes_after(turn.db, turn.tenant, turn.next.caught_up, STEP)?;
        let Some(last) = changes.last() else {
            return Ok(Step::Done);
        };
        turn.next.caught_up = last.modseq;
        read += changes.len();
        let concerned: BTreeSet<ItemId> = changes
            .iter()
            .filter(|c| match c.of {
                ChangeOf::Item => true,
                ChangeOf::FlagsOf(user) => Some(user) == own_flags,
            })
            .map(|c| c.item)
            .collect();
        for id in &concerned {
            if let Some(item) = items::item(turn.db, turn.tenant, *id)? {
                turn.ask(&item.row)?;
            }
        }
        if !turn.batch.is_empty() || read >= LAG_MAX {
            return Ok(Step::Write);
        }
    }
}

impl Mailboxes {
    /// The marks of an item as it was read.
    pub(super) fn marks_of(&self, viewer: &Viewer<'_>, item: &Item) -> Result<Marks, Failure> {
        let flags = items::flags(&*self.db, viewer.org.tenant.id, viewer.user.id, item.id)?;
        Ok(marks(viewer.org, item, flags.as_ref().map(|f| &f.row)))
    }
}
