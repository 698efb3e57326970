//! Numbers of a mailbox that is not open, and its first unseen message.
//!
//! How many messages there are, and where it stands, is in the view's row. What only looking at all members tells
//! (unseen, deleted, octets) is counted once and then kept up: by who came and who left, and by the changes of the
//! user's flags in the tenant's log. So a mailbox of a million messages, in a tenant where something happens all the
//! time, is asked again for what changed and not for what is there.

use super::{Mailboxes, Opened, Status};
use crate::domain::selector::Mailbox;
use crate::id::{ItemId, ModSeq, TenantId, UserId, ViewId};
use crate::roster::{Entry, Roster};
use crate::service::account::Principal;
use crate::service::failure::Failure;
use crate::service::time_slice::TimeSlice;
use crate::store::tables::flags::{FlagReader, Said};
use crate::store::tables::items::{self, ChangeOf};
use crate::store::tables::views;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};

/// Mailboxes of users whose numbers are kept. Beyond, all are counted anew.
const TALLIES_MAX: usize = 65_536;
/// Messages noted in all of them together: some hundred megabytes at twelve octets each.
const NOTED_MAX: usize = 8_000_000;
/// Messages looked at before others get their turn.
const STEP: usize = 512;
/// Messages beyond which opening a mailbox does not count its unseen ones: looking at so many takes some ten
/// milliseconds. One that was counted for another reason is kept up whatever its size.
const COUNTED_AT_OPENING_MAX: usize = 10_000;
/// Messages whose flags are looked at in a larger one; beyond, nobody is told the first unseen one.
const UNSEEN_LOOKED_AT_MAX: usize = 500;

/// What of a mailbox's numbers is wanted beside those of its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counting {
    /// Unseen and deleted messages.
    pub flags: bool,
    /// Octets of all messages.
    pub size: bool,
}

/// What one user has said about the messages of a view.
#[derive(Debug, Clone, Default)]
struct Tally {
    /// Every change of his flags by this commit is in it.
    at: ModSeq,
    /// All members below have been looked at.
    uid_next: u32,
    unseen: Roster,
    deleted: Roster,
    /// The octets of all messages, and of which.
    sized: Option<(Roster, u64)>,
}

impl Tally {
    fn noted(&self) -> usize {
        let sized = self.sized.as_ref().map_or(0, |(of, _)| of.len());
        self.unseen.len() + self.deleted.len() + sized
    }

    /// Forgets who is not there any more. Who may have come behind `uid_next` is not known there.
    fn drop_gone(&mut self, there: &Roster, uid_next: u32) {
        for noted in [&mut self.unseen, &mut self.deleted] {
            // Few are looked for one by one; many are compared in one go.
            let mut gone: Vec<u32> = if noted.len() < there.len() / 16 {
                let gone = noted.iter().map(|e| e.uid).filter(|uid| !there.contains(*uid));
                gone.collect()
            } else {
                noted.left(there)
            };
            gone.retain(|uid| *uid < uid_next);
            noted.remove(&gone);
        }
    }

    /// Notes what was read of messages, in order of UID.
    fn note(&mut self, read: &[(Entry, Said)]) {
        let put = |noted: &mut Roster, is: fn(&Said) -> bool| {
            let not: Vec<u32> = read.iter().filter(|r| !is(&r.1)).map(|r| r.0.uid).collect();
            noted.remove(&not);
            let new = read.iter().filter(|r| is(&r.1)).map(|r| r.0);
            let new = new.filter(|e| !noted.contains(e.uid)).collect::<Vec<_>>();
            let last = noted.last_uid();
            if new.first().is_some_and(|first| first.uid > last) {
                noted.extend(new);
            } else if !new.is_empty() {
                *noted = noted.with(&new.into_iter().collect());
            }
        };
        put(&mut self.unseen, |said| !said.seen);
        put(&mut self.deleted, |said| said.deleted);
    }
}

type Place = (TenantId, ViewId, UserId);

/// Tallies made lately.
#[derive(Debug, Default)]
pub struct Counts(Mutex<Shelf>);

#[derive(Debug, Default)]
struct Shelf {
    kept: HashMap<Place, Tally>,
    noted: usize,
}

impl Counts {
    fn kept(&self, place: Place) -> Option<Tally> {
        let shelf = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        shelf.kept.get(&place).cloned()
    }

    /// Keeps a tally, unless a later one is kept already.
    fn keep(&self, place: Place, new: Tally, most: usize) {
        let mut shelf = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let old = shelf.kept.get(&place);
        if new.noted() > most || old.is_some_and(|old| old.at > new.at) {
            return;
        }
        let before = old.map_or(0, Tally::noted);
        shelf.noted = shelf.noted - before + new.noted();
        shelf.kept.insert(place, new);
        if shelf.noted > most || shelf.kept.len() > TALLIES_MAX {
            *shelf = Shelf::default();
        }
    }
}

/// Which members of which view, as they were found when it had caught up.
#[derive(Clone, Copy)]
struct Of<'a> {
    view: ViewId,
    roster: &'a Roster,
    uid_next: u32,
    to: ModSeq,
}

impl Mailboxes {
    pub async fn status(
        &self,
        by: &Principal,
        mailbox: Mailbox,
        wanted: Counting,
    ) -> Result<Status, Failure> {
        if mailbox.shows_nothing() {
            return Ok(Status {
                uid_next: 1,
                uid_validity: 1,
                highest_modseq: 1,
                ..Status::default()
            });
        }
        let caught = self.catch_up(by, mailbox, None).await?;
        let mut status = Status {
            messages: caught.view.count(by.user),
            uid_next: caught.view.uid_next,
            uid_validity: caught.view.uid_validity,
            highest_modseq: caught.to.0,
            ..Status::default()
        };
        if status.messages == 0 || wanted == Counting::default() {
            return Ok(status);
        }
        let present = self.present(by, &caught, None).await?;
        let of = Of {
            view: caught.view.id,
            roster: &present.roster,
            uid_next: present.uid_next,
            to: caught.to,
        };
        let tally = match self.kept_up(by, of).await? {
            Some(tally) => tally,
            None => self.count(by, of).await?,
        };
        let tally = if wanted.size {
            self.weighed(by, of, tally).await?
        } else {
            tally
        };
        let number = |noted: &Roster| u32::try_from(noted.len()).unwrap_or(u32::MAX);
        status.unseen = number(&tally.unseen).min(status.messages);
        status.deleted = number(&tally.deleted).min(status.messages);
        status.size_bytes = tally.sized.as_ref().map_or(0, |(_, octets)| *octets);
        self.counts.keep((by.tenant, of.view, by.user), tally, NOTED_MAX);
        Ok(status)
    }

    /// UID of the first message its user has not seen. Of a large mailbox nobody has counted only the first few messages
    /// are looked at.
    pub async fn first_unseen(&self, by: &Principal, opened: &Opened) -> Result<Option<u32>, Failure> {
        let Some(view) = opened.view else { return Ok(None) };
        let of = Of {
            view,
            roster: &opened.roster,
            uid_next: opened.uid_next,
            to: opened.known_to,
        };
        let tally = match self.kept_up(by, of).await? {
            None if opened.roster.len() <= COUNTED_AT_OPENING_MAX => Some(self.count(by, of).await?),
            kept => kept,
        };
        let Some(tally) = tally else {
            let first: Vec<Entry> = opened.roster.range(0..UNSEEN_LOOKED_AT_MAX).collect();
            let read = self.said(by, &first)?;
            return Ok(read.iter().find(|(_, said)| !said.seen).map(|(e, _)| e.uid));
        };
        // Somebody else may have counted a moment later, when more had come.
        let mut unseen = tally.unseen.iter().map(|e| e.uid);
        let first = unseen.find(|uid| opened.roster.contains(*uid));
        drop(unseen);
        self.counts.keep((by.tenant, view, by.user), tally, NOTED_MAX);
        Ok(first)
    }

    /// The messages of an open mailbox that its user has marked as deleted.
    pub(super) async fn deleted_in(
        &self,
        by: &Principal,
        opened: &Opened,
    ) -> Result<Vec<(u32, ItemId)>, Failure> {
        let Some(view) = opened.view else {
            return Ok(Vec::new());
        };
        let of = Of {
            view,
            roster: &opened.roster,
            uid_next: opened.uid_next,
            to: opened.known_to,
        };
        let tally = match self.kept_up(by, of).await? {
            Some(tally) => tally,
            None => self.count(by, of).await?,
        };
        let there = tally.deleted.iter().filter(|e| opened.roster.contains(e.uid));
        let deleted = there.map(|e| (e.uid, ItemId(e.key))).collect();
        self.counts.keep((by.tenant, view, by.user), tally, NOTED_MAX);
        Ok(deleted)
    }

    /// The tally that is kept, brought up to now. `None`: there is none, or counting is as good.
    ///
    /// The log is read to its end. A flag that changed once more, while this is read, stands only at its later place.
    async fn kept_up(&self, by: &Principal, of: Of<'_>) -> Result<Option<Tally>, Failure> {
        let db = &*self.db;
        let Some(mut tally) = self.counts.kept((by.tenant, of.view, by.user)) else {
            return Ok(None);
        };
        let most = of.roster.len() + STEP;
        let (mut at, mut read, mut touched) = (tally.at, 0, BTreeSet::new());
        let mut time = TimeSlice::begin();
        while let Some(slice) = self.changes.after(db, by.tenant, at)? {
            for change in slice.after(at) {
                read += 1;
                if change.of == ChangeOf::FlagsOf(by.user) {
                    let uid = views::uid_of(db, by.tenant, of.view, change.id)?;
                    touched.extend(uid.filter(|uid| *uid < tally.uid_next));
                }
            }
            if read > most {
                return Ok(None);
            }
            at = slice.last;
            time.share().await;
        }
        let touched: Vec<Entry> = touched.into_iter().filter_map(|uid| of.roster.get(uid)).collect();
        let changed = at > tally.at || of.to > tally.at || of.uid_next != tally.uid_next;
        if changed {
            self.note_all(by, &mut tally, &touched, &mut time).await?;
            tally.drop_gone(of.roster, of.uid_next);
            let first_new = of.roster.position(tally.uid_next);
            let new: Vec<Entry> = of.roster.range(first_new..of.roster.len()).collect();
            self.note_all(by, &mut tally, &new, &mut time).await?;
        }
        tally.at = at.max(of.to);
        tally.uid_next = tally.uid_next.max(of.uid_next);
        Ok(Some(tally))
    }

    /// Looks at all members. What changes meanwhile stands behind `of.to` in the log, and is met there.
    async fn count(&self, by: &Principal, of: Of<'_>) -> Result<Tally, Failure> {
        let mut tally = Tally {
            at: of.to,
            uid_next: of.uid_next,
            ..Tally::default()
        };
        let (mut from, mut time) = (0, TimeSlice::begin());
        while from < of.roster.len() {
            let step: Vec<Entry> = of.roster.range(from..from + STEP).collect();
            self.note_all(by, &mut tally, &step, &mut time).await?;
            from += STEP;
        }
        Ok(tally)
    }

    async fn note_all(
        &self,
        by: &Principal,
        tally: &mut Tally,
        which: &[Entry],
        time: &mut TimeSlice,
    ) -> Result<(), Failure> {
        for step in which.chunks(STEP) {
            tally.note(&self.said(by, step)?);
            time.share().await;
        }
        Ok(())
    }

    /// What the user has said about some messages.
    fn said(&self, by: &Principal, which: &[Entry]) -> Result<Vec<(Entry, Said)>, Failure> {
        let mut reader = FlagReader::new(&*self.db, by.tenant, by.user);
        let mut all = Vec::with_capacity(which.len());
        for entry in which {
            all.push((*entry, reader.said(ItemId(entry.key))?));
        }
        Ok(all)
    }

    /// The same tally with the octets of all members. An item's content never changes.
    async fn weighed(&self, by: &Principal, of: Of<'_>, mut tally: Tally) -> Result<Tally, Failure> {
        let (before, mut octets) = tally.sized.take().unwrap_or_default();
        let mut time = TimeSlice::begin();
        for (gone, entries) in [(true, before.left(of.roster)), (false, of.roster.left(&before))] {
            let side = if gone { &before } else { of.roster };
            for (n, uid) in entries.into_iter().enumerate() {
                let Some(entry) = side.get(uid) else { continue };
                let body = items::body(&*self.db, by.tenant, ItemId(entry.key))?;
                let size = body.map_or(0, |b| b.row.content.size_bytes());
                octets = if gone {
                    octets.saturating_sub(size)
                } else {
                    octets.saturating_add(size)
                };
                if n % STEP == STEP - 1 {
                    time.share().await;
                }
            }
        }
        tally.sized = Some((of.roster.clone(), octets));
        Ok(tally)
    }
}
