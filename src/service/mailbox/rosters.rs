//! The members of views that were opened lately, in memory and shared by all who have them open.
//!
//! A roster is read once, in steps, and then brought up by what entered and left behind the commit it is known to.
//! Whoever opens the mailbox again, or polls it, gets the same memory (`crate::roster`), so a mailbox of a million mails
//! opens as fast as an empty one and an idle session costs a pointer. Where too many views were opened the one that was
//! asked for longest ago is forgotten; a session that has it open goes on from its own copy.

use super::Mailboxes;
use super::views::{CaughtUp, Opened};
use crate::id::{ItemId, ModSeq, TenantId, UserId, ViewId};
use crate::roster::{Entry, Roster};
use crate::service::account::Principal;
use crate::service::failure::Failure;
use crate::service::time_slice::TimeSlice;
use crate::store::tables::views::{self, Left, Member, Scope};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

/// Members read in one step.
const MEMBERS_STEP: usize = 4096;
/// Members kept over all views: some hundred megabytes at twelve octets each. What sessions have open is theirs anyway.
const KEPT_MAX: usize = 8_000_000;
/// Views kept, however small: each costs a row in a table.
const VIEWS_MAX: usize = 65_536;

/// A view's members up to a commit; some that came or went later may be in it or out of it already.
#[derive(Debug, Clone, Default)]
struct Kept {
    common: Roster,
    /// Members that only one user sees.
    own: BTreeMap<UserId, Roster>,
    known_to: ModSeq,
    uid_next: u32,
    /// All in it are what one user sees.
    one_users: bool,
    /// When it was last asked for.
    used: u64,
}

impl Kept {
    fn len(&self) -> usize {
        self.common.len() + self.own.values().map(Roster::len).sum::<usize>()
    }

    fn seen_by(&self, user: UserId) -> Roster {
        match self.own.get(&user) {
            Some(own) => self.common.with(own),
            None => self.common.clone(),
        }
    }

    fn take_out(&mut self, left: &[Left]) {
        let mut gone: BTreeMap<Option<UserId>, Vec<u32>> = BTreeMap::new();
        for left in left {
            gone.entry(left.only).or_default().push(left.uid);
        }
        for (only, mut uids) in gone {
            uids.sort_unstable();
            match only {
                // A session's own copy has all its members in one.
                Some(user) if self.own.contains_key(&user) => {
                    if let Some(own) = self.own.get_mut(&user) {
                        own.remove(&uids);
                    }
                }
                _ => self.common.remove(&uids),
            }
        }
        self.own.retain(|_, own| !own.is_empty());
    }

    fn take_in(&mut self, entered: &[Member]) {
        let entry = |m: &Member| Entry {
            uid: m.uid,
            key: m.item.0,
        };
        let common = entered.iter().filter(|m| m.only.is_none());
        self.common.extend(common.map(entry));
        for member in entered {
            if let Some(user) = member.only {
                self.own.entry(user).or_default().extend([entry(member)]);
            }
        }
    }
}

/// The rosters kept.
#[derive(Debug, Default)]
pub struct Rosters(Mutex<Shelf>);

#[derive(Debug, Default)]
struct Shelf {
    kept: HashMap<(TenantId, ViewId), Kept>,
    members: usize,
    asked: u64,
}

impl Rosters {
    fn kept(&self, tenant: TenantId, view: ViewId) -> Option<Kept> {
        let mut shelf = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        shelf.asked += 1;
        let now = shelf.asked;
        let kept = shelf.kept.get_mut(&(tenant, view))?;
        kept.used = now;
        Some(kept.clone())
    }

    /// Keeps a roster, unless a later one is kept already.
    fn keep(&self, tenant: TenantId, view: ViewId, mut new: Kept, most: usize) {
        let mut shelf = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let shelf = &mut *shelf;
        let place = (tenant, view);
        let old = shelf.kept.get(&place);
        if new.len() > most || old.is_some_and(|old| old.known_to > new.known_to) {
            return;
        }
        shelf.members -= old.map_or(0, Kept::len);
        shelf.members += new.len();
        shelf.asked += 1;
        new.used = shelf.asked;
        shelf.kept.insert(place, new);
        while shelf.members > most || shelf.kept.len() > VIEWS_MAX {
            let oldest = shelf.kept.iter().min_by_key(|(_, kept)| kept.used);
            let Some(oldest) = oldest.map(|(place, _)| *place) else {
                return;
            };
            let gone = shelf.kept.remove(&oldest);
            shelf.members -= gone.as_ref().map_or(0, Kept::len);
        }
    }
}

/// Who is in a view as one user sees it, and the next UID.
pub(super) struct Present {
    pub roster: Roster,
    pub uid_next: u32,
}

impl Mailboxes {
    /// The members of a view that was just brought up to now. `open` is what its user has open already.
    ///
    /// The tombstones are read behind the members' last known commit and before new members are, all after the view was
    /// found up to [`CaughtUp::to`]: what left or entered by that commit is visible by then. What happens meanwhile may
    /// be in the roster already; its commit is higher, so it is met again and changes nothing then.
    pub(super) async fn present(
        &self,
        by: &Principal,
        caught: &CaughtUp,
        open: Option<&Opened>,
    ) -> Result<Present, Failure> {
        let view = &caught.view;
        let there = self.known(by, caught, open);
        // Of many who ask after the same catching up, only the first reads.
        if let Some(there) = there.as_ref().filter(|there| there.known_to >= caught.to) {
            return Ok(Present {
                roster: there.seen_by(by.user),
                uid_next: there.uid_next.max(view.uid_next),
            });
        }
        let there = match there.filter(|there| there.known_to >= view.forgotten) {
            Some(there) => self.without_left(by, caught, there).await?,
            None => None,
        };
        let mut there = self.with_entered(by, view.id, there.unwrap_or_default()).await?;
        there.uid_next = there.uid_next.max(view.uid_next);
        there.known_to = there.known_to.max(caught.to);
        let present = Present {
            roster: there.seen_by(by.user),
            uid_next: there.uid_next,
        };
        if !there.one_users {
            self.rosters.keep(by.tenant, view.id, there, KEPT_MAX);
        }
        Ok(present)
    }

    /// What is known of a view's members: what is kept, else the user's own copy. The copy of one of those who share a view
    /// has his own members among the common ones, so it is nobody else's.
    fn known(&self, by: &Principal, caught: &CaughtUp, open: Option<&Opened>) -> Option<Kept> {
        let kept = self.rosters.kept(by.tenant, caught.view.id);
        kept.or_else(|| {
            open.map(|open| Kept {
                common: open.roster.clone(),
                known_to: open.known_to,
                uid_next: open.uid_next,
                one_users: caught.scope == Scope::Officers,
                ..Kept::default()
            })
        })
    }

    /// `None`: others dropped tombstones while they were read, and all must be read anew.
    async fn without_left(
        &self,
        by: &Principal,
        caught: &CaughtUp,
        mut there: Kept,
    ) -> Result<Option<Kept>, Failure> {
        let db = &*self.db;
        let (mut since, mut time) = (there.known_to, TimeSlice::begin());
        loop {
            let left = views::left_after(db, by.tenant, caught.view.id, since, MEMBERS_STEP)?;
            let Some(last) = left.last() else { break };
            since = last.modseq;
            there.take_out(&left);
            time.share().await;
        }
        let stored = views::view(db, by.tenant, caught.mailbox, caught.scope)?;
        let complete = stored.is_some_and(|stored| stored.row.forgotten <= there.known_to);
        Ok(complete.then_some(there))
    }

    async fn with_entered(&self, by: &Principal, view: ViewId, mut there: Kept) -> Result<Kept, Failure> {
        let mut time = TimeSlice::begin();
        loop {
            let from = there.uid_next;
            let mut entered = views::members(&*self.db, by.tenant, view, from, MEMBERS_STEP)?;
            let full = entered.len() == MEMBERS_STEP;
            let next = entered.last().map_or(0, |last| last.uid.saturating_add(1));
            if there.one_users {
                entered.retain(|m| m.only.is_none_or(|user| user == by.user));
                entered.iter_mut().for_each(|m| m.only = None);
            }
            there.take_in(&entered);
            there.uid_next = from.max(next);
            if !full {
                return Ok(there);
            }
            time.share().await;
        }
    }
}

impl Opened {
    /// In order of UID.
    pub fn members(&self) -> impl Iterator<Item = (u32, ItemId)> + '_ {
        self.roster.iter().map(|e| (e.uid, ItemId(e.key)))
    }

    /// Who is in it, as the service and the session count together.
    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    pub fn item(&self, uid: u32) -> Option<ItemId> {
        self.roster.get(uid).map(|e| ItemId(e.key))
    }

    /// Walks all members: for one question, not for many.
    pub fn uid_of(&self, item: ItemId) -> Option<u32> {
        let found = self.roster.iter().find(|e| e.key == item.0);
        found.map(|e| e.uid)
    }

    /// Forgets a member its user was told has left.
    pub(super) fn forget(&mut self, uid: u32) {
        self.roster.remove(&[uid]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(members: u32, known_to: u64) -> Kept {
        let entries = (1..=members).map(|uid| Entry { uid, key: 1 });
        Kept {
            common: entries.collect(),
            known_to: ModSeq(known_to),
            uid_next: members + 1,
            ..Kept::default()
        }
    }

    #[test]
    fn what_was_asked_for_longest_ago_makes_room() {
        let rosters = Rosters::default();
        let tenant = TenantId(1);
        for view in 1..=3 {
            rosters.keep(tenant, ViewId(view), kept(100, 5), 350);
        }
        assert!(rosters.kept(tenant, ViewId(1)).is_some());
        rosters.keep(tenant, ViewId(4), kept(100, 5), 350);
        let there = |view| rosters.kept(tenant, ViewId(view)).is_some();
        assert_eq!([1, 2, 3, 4].map(there), [true, false, true, true]);
        // What would take all the room is not kept, and an older state never replaces a later one.
        rosters.keep(tenant, ViewId(5), kept(351, 5), 350);
        rosters.keep(tenant, ViewId(4), kept(7, 4), 350);
        assert!(!there(5));
        let four = rosters.kept(tenant, ViewId(4)).unwrap();
        assert_eq!((four.len(), rosters.0.lock().unwrap().members), (100, 300));
    }

    #[test]
    fn members_of_one_user_stand_between_the_common_ones() {
        let member = |uid, only| Member {
            uid,
            item: ItemId(u64::from(uid)),
            only,
            entered: ModSeq(1),
        };
        let mut kept = Kept::default();
        kept.take_in(&[
            member(1, None),
            member(2, Some(UserId(7))),
            member(3, Some(UserId(8))),
            member(4, None),
        ]);
        let uids = |kept: &Kept, user| -> Vec<u32> {
            let roster = kept.seen_by(UserId(user));
            roster.iter().map(|e| e.uid).collect()
        };
        assert_eq!((uids(&kept, 7), uids(&kept, 9)), (vec![1, 2, 4], vec![1, 4]));
        let left = |uid, only| Left {
            modseq: ModSeq(2),
            uid,
            only,
        };
        kept.take_out(&[left(4, None), left(2, Some(UserId(7)))]);
        assert_eq!((uids(&kept, 7), uids(&kept, 8)), (vec![1], vec![1, 3]));
        assert_eq!(kept.len(), 2);
    }
}
