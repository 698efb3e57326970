//! A view asks its question: about what changed, or about all items when the question itself has changed.
//!
//! An item is asked about at most once in a batch: it would enter twice otherwise, under two UIDs. Work goes in steps
//! small enough that others get their turn between them.

use super::changes::{Changed, Changes, STEP};
use crate::domain::item::{Item, ItemKind, UserFlags};
use crate::domain::org::{Permission, UserKind};
use crate::domain::selector::{Mailbox, Question, Sharing, Viewer};
use crate::id::{ItemId, ModSeq, TenantId, UserId};
use crate::service::failure::Failure;
use crate::store::StoreError;
use crate::store::db::{Batch, Db};
use crate::store::tables::flags::FlagReader;
use crate::store::tables::items::{self, ChangeOf};
use crate::store::tables::mails::digest;
use crate::store::tables::views::{self, Scope, View};
use std::collections::{HashMap, HashSet};
use std::ops::RangeInclusive;

/// Items asked about before what came of it is written down, when it is little.
const UNWRITTEN_MAX: usize = 20 * STEP;
/// Changes without effect that are read again rather than written down: rows of the log, and what they speak of, which is
/// a few slices of it.
const LAG_MAX_ROWS: usize = 200;
const LAG_MAX: usize = 8 * STEP;
/// Items that enter or leave in one batch: three rows each, and the tombstones it drops, below what a batch may hold.
const MOVED_MAX: usize = 4000;
/// From so many items on, the UIDs of a step are read in one go.
const TOGETHER_MIN: usize = 32;

/// A question as one user, or all officers, ask it.
pub(super) struct Asker<'a> {
    pub question: Question<'a>,
    pub scope: Scope,
    /// Of a shared view: who shares it. A notice is for one of them only.
    officers: Vec<UserId>,
}

impl<'a> Asker<'a> {
    pub fn new(viewer: &'a Viewer<'a>, mailbox: Mailbox) -> Self {
        let shared = mailbox.sharing() == Sharing::Audience && viewer.user.kind == UserKind::Officer;
        let (scope, officers) = if shared {
            let officers = viewer.org.live_users().filter(|u| u.kind == UserKind::Officer);
            (Scope::Officers, officers.map(|u| u.id).collect())
        } else {
            (Scope::User(viewer.user.id), Vec::new())
        };
        Self {
            question: Question::new(mailbox, viewer),
            scope,
            officers,
        }
    }

    pub fn mailbox(&self) -> Mailbox {
        self.question.mailbox
    }

    /// Whether the item is in: `Some(None)` for all who share the view, `Some(Some(user))` for one of them only.
    fn ask(&self, item: &Item, about: Option<&Item>, flags: Option<&UserFlags>) -> Option<Option<UserId>> {
        let personal = matches!(item.kind, ItemKind::Draft | ItemKind::Notice);
        if self.scope == Scope::Officers && personal {
            let author = item.author.filter(|a| self.officers.contains(a))?;
            let in_it = self.question.would_show(item, None);
            return in_it.then_some(Some(author));
        }
        self.question.shows(item, about, flags).then_some(None)
    }

    /// Whether a change of an item can move evidence that speaks of it.
    pub fn shows_evidence(&self) -> bool {
        let holds_evidence = matches!(
            self.mailbox(),
            Mailbox::Evidence | Mailbox::Archive | Mailbox::Trash | Mailbox::Important | Mailbox::Label(_)
        );
        // Officers see all evidence whatever becomes of its mail.
        holds_evidence && self.question.viewer.user.kind != UserKind::Officer
    }

    /// Digest of what the answers depend on beside the items and the user's flags.
    pub fn digest(&self) -> [u8; 32] {
        let viewer = self.question.viewer;
        let place = match self.scope {
            Scope::Officers => format!("{:?}", self.officers),
            Scope::User(_) => format!("{:?}", viewer.audience()),
        };
        let deciding = match self.mailbox() {
            Mailbox::JobsPending | Mailbox::JobsElsewhere => self.deciders(),
            _ => String::new(),
        };
        digest(format!("{place} {:?} {deciding}", self.question.depends_on()).as_bytes())
    }

    /// Who may decide what: a delegation holds only as long as whoever delegated could decide himself.
    fn deciders(&self) -> String {
        let viewer = self.question.viewer;
        let org = viewer.org;
        let able = org.live_users().filter(|u| org.may(u, Permission::Approve));
        let able: Vec<_> = able.map(|u| (u.id, &u.roles, &u.units)).collect();
        let ended: Vec<_> = org
            .units
            .values()
            .filter_map(|u| Some((u.id, u.ended?)))
            .collect();
        format!("{:?} {able:?} {ended:?}", viewer.capacities())
    }
}

/// What is next after a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// The view is up to now; nothing has to be written.
    Done,
    /// What came of it has to be written first.
    Write,
    /// There is more to ask.
    More,
}

/// Changes of a view's membership about to be made.
pub(super) struct Turn<'a> {
    db: &'a dyn Db,
    tenant: TenantId,
    asker: &'a Asker<'a>,
    pub next: View,
    pub batch: Batch,
    /// Items that enter or leave by the batch.
    moved: usize,
    /// Asked about since the batch was begun.
    asked: HashSet<ItemId>,
    unwritten: usize,
    unwritten_rows: usize,
    flags: FlagReader<'a>,
    /// UIDs of all members among these items.
    uids: Option<(RangeInclusive<ItemId>, HashMap<ItemId, u32>)>,
}

impl<'a> Turn<'a> {
    pub fn new(db: &'a dyn Db, tenant: TenantId, asker: &'a Asker<'a>, view: View) -> Self {
        Self {
            db,
            tenant,
            asker,
            next: view,
            batch: Batch::new(),
            moved: 0,
            asked: HashSet::new(),
            unwritten: 0,
            unwritten_rows: 0,
            flags: FlagReader::new(db, tenant, asker.question.viewer.user.id),
            uids: None,
        }
    }

    /// One step further.
    pub fn step(&mut self, changes: &Changes, right_to: ModSeq) -> Result<Step, Failure> {
        if self.moved == 0 {
            // Nothing waits to be written: what changes again is asked again.
            self.asked.clear();
        }
        match self.next.asking_from {
            Some(from) => self.step_all(from),
            None => self.step_changes(changes, right_to),
        }
    }

    /// Asks about the next items of all.
    fn step_all(&mut self, from: ItemId) -> Result<Step, Failure> {
        let items = items::step(self.db, self.tenant, from, STEP)?;
        self.flags.renew();
        self.read_uids(items.iter().map(|item| item.id))?;
        for item in &items {
            let about = self.about(item)?;
            self.ask(item, about.as_ref())?;
        }
        self.unwritten += items.len();
        let full = items.len() == STEP;
        self.next.asking_from = items
            .last()
            .filter(|_| full)
            .map(|last| ItemId(last.id.0.saturating_add(1)));
        let enough = !full || self.moved >= STEP || self.unwritten >= UNWRITTEN_MAX;
        Ok(if enough { Step::Write } else { Step::More })
    }

    /// Asks about the next changes.
    fn step_changes(&mut self, changes: &Changes, right_to: ModSeq) -> Result<Step, Failure> {
        let before = self.next.caught_up.max(right_to);
        self.next.caught_up = before;
        let Some(slice) = changes.after(self.db, self.tenant, before)? else {
            return Ok(Step::Done);
        };
        // Flags are read behind what the log says of them.
        self.flags.renew();
        let own_flags = match self.asker.scope {
            Scope::User(user) if self.asker.mailbox().asks_flags() => Some(user),
            _ => None,
        };
        let concerns = |change: &&Changed| match change.of {
            ChangeOf::Item => true,
            ChangeOf::FlagsOf(user) => Some(user) == own_flags,
            // No question asks how a label is called.
            ChangeOf::Word(_) => false,
        };
        let concerned: Vec<&Changed> = slice.after(before).filter(concerns).collect();
        self.read_uids(concerned.iter().map(|change| change.id))?;
        for change in &concerned {
            let Some(read) = change.read(self.db, self.tenant)? else {
                continue;
            };
            self.ask(&read.item, read.about.as_ref())?;
            if change.of == ChangeOf::Item && self.asker.shows_evidence() {
                for evidence in slice.evidence(self.db, &read.item)? {
                    self.ask(evidence, Some(&read.item))?;
                }
            }
            if self.moved >= MOVED_MAX {
                // What moved is written; the rest of the slice is asked about again from its beginning.
                self.next.caught_up = before;
                return Ok(Step::Write);
            }
        }
        self.next.caught_up = slice.last;
        self.unwritten += slice.after(before).count();
        self.unwritten_rows += slice.rows_after(before);
        let lags = self.unwritten >= LAG_MAX || self.unwritten_rows >= LAG_MAX_ROWS;
        let write = self.moved > 0 || lags;
        Ok(if write { Step::Write } else { Step::More })
    }

    /// Lets an item in that the same batch adds. Gives its UID; `None`: it does not belong here.
    pub fn let_in(&mut self, item: &Item, flags: &UserFlags) -> Option<u32> {
        let only = self.asker.ask(item, None, Some(flags))?;
        let uid = self.next.uid_next;
        views::enter(&mut self.batch, self.tenant, &mut self.next, item.id, only);
        Some(uid)
    }

    fn about(&self, item: &Item) -> Result<Option<Item>, StoreError> {
        // Officers see all evidence; nobody else's mailbox shows it unless it is one of a few.
        let asked = item.kind == ItemKind::Evidence && self.asker.shows_evidence();
        if asked {
            items::about(self.db, self.tenant, item)
        } else {
            Ok(None)
        }
    }

    fn ask(&mut self, item: &Item, about: Option<&Item>) -> Result<(), StoreError> {
        if !self.asked.insert(item.id) {
            return Ok(());
        }
        let uid = self.uid_of(item.id)?;
        if uid.is_some() == self.answer(item, about)?.is_some() {
            return Ok(());
        }
        // Somebody else may have read the item a while ago. Nobody is moved for what it was then: he would only be moved
        // back, and be another message to clients.
        let Some(now) = items::item(self.db, self.tenant, item.id)? else {
            return Ok(());
        };
        let about = self.about(&now.row)?;
        self.flags.renew();
        match (uid, self.answer(&now.row, about.as_ref())?) {
            (None, Some(only)) => {
                views::enter(&mut self.batch, self.tenant, &mut self.next, item.id, only);
                self.moved += 1;
            }
            (Some(uid), None) => {
                if let Some(member) = views::member(self.db, self.tenant, self.next.id, uid)? {
                    views::leave(&mut self.batch, self.tenant, &mut self.next, &member);
                    self.moved += 1;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn answer(&mut self, item: &Item, about: Option<&Item>) -> Result<Option<Option<UserId>>, StoreError> {
        let question = &self.asker.question;
        let flags = match question.mailbox.asks_flags() {
            true => self.flags.flags(item.id)?,
            false => None,
        };
        Ok(self.asker.ask(item, about, flags.as_ref()))
    }

    fn uid_of(&self, item: ItemId) -> Result<Option<u32>, StoreError> {
        match &self.uids {
            Some((range, uids)) if range.contains(&item) => Ok(uids.get(&item).copied()),
            _ => views::uid_of(self.db, self.tenant, self.next.id, item),
        }
    }

    /// Reads the UIDs of a step's items in one go, where that is less than asking for each.
    fn read_uids(&mut self, items: impl Iterator<Item = ItemId> + Clone) -> Result<(), StoreError> {
        self.uids = None;
        let count = items.clone().count();
        let (Some(first), Some(last)) = (items.clone().min(), items.max()) else {
            return Ok(());
        };
        if count >= TOGETHER_MIN {
            let range = first..=last;
            let found = views::uids_among(self.db, self.tenant, self.next.id, &range, 2 * count)?;
            self.uids = found.map(|uids| (range, uids));
        }
        Ok(())
    }
}
