//! What changed since a commit: for a client that remembers a mailbox as it was (RFC 7162).
//!
//! A message's number (MODSEQ) for a user is the commit at which anything last changed of what he is shown of it: the
//! item, his own flags, its entry into this mailbox, and the words of the labels it carries. It only grows while the
//! message keeps its UID. Nothing else changes what is shown: reports and the state of a job stand on the item, and the
//! size, the date and the octets never change.

use super::marking::Marks;
use super::{Mailboxes, MarkReader, Opened};
use crate::domain::item::Item;
use crate::domain::org::Organisation;
use crate::domain::selector::Viewer;
use crate::id::{ModSeq, TenantId, ViewId};
use crate::service::account::Principal;
use crate::service::failure::Failure;
use crate::service::time_slice::TimeSlice;
use crate::store::StoreError;
use crate::store::tables::items::{self, ChangeOf};
use crate::store::tables::views;
use std::collections::BTreeSet;

/// Members that may have changed behind a commit; others have not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MayHaveChanged {
    uids: BTreeSet<u32>,
    /// All from this UID on.
    from: u32,
}

impl MayHaveChanged {
    pub fn contains(&self, uid: u32) -> bool {
        uid >= self.from || self.uids.contains(&uid)
    }
}

/// Changes looked up one by one, at most: beyond, looking at all members of a mailbox of that size is as good.
const CHANGES_MAX: usize = 100_000;
/// Changes and tombstones read in one step.
const STEP: usize = 4096;

/// When the words of an item's labels last changed.
pub(super) fn words_of(org: &Organisation, item: &Item) -> ModSeq {
    let changed = item.labels.iter().filter_map(|label| org.words.get(label));
    changed.copied().max().unwrap_or(ModSeq(0))
}

impl Mailboxes {
    /// The marks of an item under a UID, and the message's number.
    pub(super) fn marks_in(
        &self,
        viewer: &Viewer<'_>,
        reader: &mut MarkReader<'_>,
        (view, uid): (ViewId, u32),
        item: &Item,
    ) -> Result<(Marks, ModSeq), Failure> {
        let (marks, at) = reader.marks_of(viewer, item)?;
        let entered = self.entered(viewer.org.tenant.id, (view, uid), reader.as_of())?;
        Ok((marks, at.max(entered)))
    }

    /// The commit by which a message entered a mailbox under a UID. Of one that has left again, and whose user has not heard
    /// that yet, it is not on record any more; it was no later than what he was told of, and a number never goes back.
    pub(super) fn entered(
        &self,
        tenant: TenantId,
        (view, uid): (ViewId, u32),
        known_to: ModSeq,
    ) -> Result<ModSeq, StoreError> {
        let member = views::member(&*self.db, tenant, view, uid)?;
        Ok(member.map_or(known_to, |member| member.entered))
    }

    /// The number of a message in an open mailbox; `changed_at` is that of what was read of it
    /// (`Look::changed_at`).
    pub fn modseq(
        &self,
        by: &Principal,
        opened: &Opened,
        uid: u32,
        changed_at: ModSeq,
    ) -> Result<ModSeq, Failure> {
        match opened.view {
            Some(view) => Ok(changed_at.max(self.entered(by.tenant, (view, uid), opened.known_to)?)),
            None => Ok(changed_at),
        }
    }

    /// The members that may have changed behind `since`. `None`: look at all of them.
    pub async fn changed_since(
        &self,
        by: &Principal,
        opened: &Opened,
        since: ModSeq,
    ) -> Result<Option<MayHaveChanged>, Failure> {
        let (Some(view), db) = (opened.view, &*self.db) else {
            return Ok(None);
        };
        let roster = &opened.roster;
        let most = CHANGES_MAX.min(roster.len() + STEP);
        let mut changed = MayHaveChanged::default();
        let (mut at, mut read) = (since, 0);
        let mut time = TimeSlice::begin();
        loop {
            let step = items::changes_after(db, by.tenant, at, STEP)?;
            let Some(last) = step.last() else { break };
            at = last.modseq;
            read += step.len();
            // The log is the whole tenant's and may be longer than one mailbox; a word may stand on any message.
            if read > most || step.iter().any(|c| matches!(c.of, ChangeOf::Word(_))) {
                return Ok(None);
            }
            for change in step {
                if change.of == ChangeOf::Item || change.of == ChangeOf::FlagsOf(by.user) {
                    let uid = views::uid_of(db, by.tenant, view, change.item)?;
                    changed.uids.extend(uid.filter(|uid| roster.contains(*uid)));
                }
            }
            time.share().await;
        }
        let first = self.entered_behind(by, view, opened, since)?;
        changed.from = roster.nth(first).map_or(u32::MAX, |e| e.uid);
        Ok(Some(changed))
    }

    /// The position of the first member that entered behind `since`. UIDs are given out in the order of commits, so all
    /// behind it did, too.
    fn entered_behind(
        &self,
        by: &Principal,
        view: ViewId,
        opened: &Opened,
        since: ModSeq,
    ) -> Result<usize, StoreError> {
        let (mut low, mut high) = (0, opened.roster.len());
        while low < high {
            let middle = low + (high - low) / 2;
            let uid = opened.roster.nth(middle).map_or(0, |e| e.uid);
            // One that has left meanwhile says nothing; it is gone, and told to be gone: the next one below is asked.
            match views::member(&*self.db, by.tenant, view, uid)? {
                Some(member) if member.entered <= since => low = middle + 1,
                Some(_) => high = middle,
                None => {
                    let step = views::members(&*self.db, by.tenant, view, uid, 1)?;
                    match step.first() {
                        Some(next) if next.entered <= since => low = middle + 1,
                        _ => high = middle,
                    }
                }
            }
        }
        Ok(low)
    }

    /// UIDs that left an open mailbox behind `since`, ascending, none of which is in it; `None` when that is not on record
    /// any more.
    pub async fn left_since(
        &self,
        by: &Principal,
        opened: &Opened,
        since: ModSeq,
    ) -> Result<Option<Vec<u32>>, Failure> {
        let Some(view) = opened.view else {
            return Ok(Some(Vec::new()));
        };
        let (mut gone, mut time) = (Vec::new(), TimeSlice::begin());
        let mut at = since;
        loop {
            let step = views::left_after(&*self.db, by.tenant, view, at, STEP)?;
            let Some(last) = step.last() else { break };
            at = last.modseq;
            let own = step
                .iter()
                .filter(|left| left.only.is_none_or(|user| user == by.user));
            gone.extend(
                own.map(|left| left.uid)
                    .filter(|uid| !opened.roster.contains(*uid)),
            );
            time.share().await;
        }
        // Asked behind the tombstones: what was dropped while they were read is noticed.
        let scope = super::asking::Asker::new(&self.seat(by)?.viewer(), opened.mailbox).scope;
        let stored = views::view(&*self.db, by.tenant, opened.mailbox, scope)?;
        if stored.is_none_or(|stored| stored.row.id != view || stored.row.forgotten > since) {
            return Ok(None);
        }
        gone.sort_unstable();
        Ok(Some(gone))
    }

    /// UIDs below the next one that are not in an open mailbox, as ascending ranges: all that can ever have left it.
    pub fn never_there(&self, opened: &Opened) -> Vec<(u32, u32)> {
        let mut gaps = Vec::new();
        let mut next = 1;
        for entry in opened.roster.iter() {
            if entry.uid > next {
                gaps.push((next, entry.uid - 1));
            }
            next = entry.uid.saturating_add(1);
        }
        if opened.uid_next > next {
            gaps.push((next, opened.uid_next - 1));
        }
        gaps
    }
}
