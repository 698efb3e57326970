//! Drafts and their versions: what counts as a new version of which draft, and how an earlier one comes back.
//!
//! A draft never changes. A newer one takes its place and names it (`Item::supersedes`); the old one is gone: kept, shown
//! nowhere. What takes which place:
//!
//! 1. REPLACE: the message it names.
//! 2. A draft brought under the Message-ID of a draft of the same user: that one. It goes at once, unless it lies in the
//!    bin. A Message-ID stands for one message, so nothing is hidden that its author did not write anew. What is submitted and
//!    becomes a draft counts the same.
//! 3. Clients that give each save another Message-ID expunge the old draft themselves. It is then gone by their own wish;
//!    it is noted as the earlier version of the first draft that came after it, not long ago or expunged with it, that
//!    answers the same message and whose subject begins with its own ([`reads_on`]). A wrong guess costs nothing: what
//!    was expunged can be brought back either way.
//!
//! What is gone can be brought back by its author for [`KEPT_DAYS`] days, the last [`VERSIONS_MAX`] versions of a draft. It
//! comes back as a new draft of the same octets, so a chain of versions only grows and never turns back on itself.

use super::marking::CHUNK;
use super::{ATTEMPTS, Mailboxes, conflict};
use crate::clock::UtcTime;
use crate::domain::folding::turkish_fold;
use crate::domain::item::{Filed, Item, ItemKind};
use crate::domain::schedule::DAY;
pub use crate::domain::schedule::KEPT_DAYS;
use crate::domain::selector::Mailbox;
use crate::id::{ItemId, UserId};
use crate::mime::summary::Summary;
use crate::service::account::Principal;
use crate::service::failure::{Failure, Kind};
use crate::service::outline::Outline;
use crate::store::db::{Batch, CommitError};
use crate::store::tables::drafts::{self, LatestDraft};
use crate::store::tables::items::{self, Stamped};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// Versions of one draft that are listed and can be brought back: a day of saving every ten minutes.
pub const VERSIONS_MAX: usize = 144;
/// A draft that came so long before another is expunged took its place; clients save and expunge within seconds, and
/// some wait until the window is closed.
const FOLLOWS_WITHIN: Duration = Duration::from_secs(15 * 60);
/// Drafts expunged at once beyond which nobody looks for what took their places: that is tidying up.
const FOLLOWED_MAX: usize = 64;
/// Steps along a chain of versions, to count them.
const CHAIN_MAX: usize = 10_000;

/// A version of a draft.
#[derive(Debug, Clone)]
pub struct Version {
    /// From 1, the oldest.
    pub number: usize,
    pub item: Item,
    pub subject: String,
    pub size_bytes: u64,
}

impl Version {
    /// Who wrote a newer one in its place or removed it, and when; `None`: it is the current one, or it was sent.
    pub fn removed(&self) -> Option<Filed> {
        self.item.trashed.filter(|_| self.item.gone)
    }
}

/// A draft as far as it is compared with others.
struct Head {
    item: Item,
    summary: Summary,
}

/// Whether one draft reads as the next version of another.
fn reads_on(old: &Summary, new: &Summary) -> bool {
    if old.identity().is_some() && old.identity() == new.identity() {
        return true;
    }
    let folded = |summary: &Summary| turkish_fold(summary.subject.trim());
    old.in_reply_to == new.in_reply_to && folded(new).starts_with(&folded(old))
}

/// Which of the drafts that stay, or go with them, took the places of those that are expunged: (newer, older).
fn pairs(expunged: &[Head], candidates: &[Head], now: UtcTime) -> Vec<(ItemId, ItemId)> {
    let going: BTreeSet<ItemId> = expunged.iter().map(|head| head.item.id).collect();
    let mut taken = BTreeSet::new();
    let mut found = Vec::new();
    for new in candidates {
        let fresh = new.item.internal_date.until(now) <= FOLLOWS_WITHIN;
        if new.item.supersedes.is_some() || !(fresh || going.contains(&new.item.id)) {
            continue;
        }
        let before = expunged.iter().filter(|old| {
            old.item.id < new.item.id && !taken.contains(&old.item.id) && reads_on(&old.summary, &new.summary)
        });
        if let Some(old) = before.max_by_key(|old| old.item.id) {
            taken.insert(old.item.id);
            found.push((new.item.id, old.item.id));
        }
    }
    found
}

impl Mailboxes {
    /// Of drafts about to be expunged, which newer ones took their places (rule 3).
    pub(super) async fn followed(
        &self,
        by: &Principal,
        expunged: &[ItemId],
    ) -> Result<Vec<(ItemId, ItemId)>, Failure> {
        let Some(first) = expunged.iter().min().filter(|_| expunged.len() <= FOLLOWED_MAX) else {
            return Ok(Vec::new());
        };
        let there = self.open(by, Mailbox::Drafts).await?;
        let mut later: Vec<ItemId> = there
            .members()
            .map(|(_, id)| id)
            .filter(|id| id > first)
            .collect();
        later.sort_unstable();
        later.truncate(2 * FOLLOWED_MAX);
        if later.is_empty() {
            return Ok(Vec::new());
        }
        let (old, new) = (self.heads(by, expunged).await?, self.heads(by, &later).await?);
        Ok(pairs(&old, &new, self.clock.now()))
    }

    async fn heads(&self, by: &Principal, which: &[ItemId]) -> Result<Vec<Head>, Failure> {
        let mut heads = Vec::with_capacity(which.len());
        for id in which {
            let item = items::item(&*self.db, by.tenant, *id)?;
            let own = |item: &Item| item.kind == ItemKind::Draft && item.author == Some(by.user);
            let Some(item) = item.map(|i| i.row.clone()).filter(own) else {
                continue;
            };
            if let Some(body) = items::body(&*self.db, by.tenant, *id)? {
                let summary = Outline::of_body(&self.spool, &body.row).await?.summary;
                heads.push(Head { item, summary });
            }
        }
        Ok(heads)
    }

    /// The versions of a draft, or of a mail that was one, newest first. They are their author's alone.
    pub async fn versions(&self, by: &Principal, id: ItemId) -> Result<Vec<Version>, Failure> {
        let chain = self.chain(by, id)?;
        let count = chain.len();
        let mut versions = Vec::new();
        for (nth, item) in chain.into_iter().take(VERSIONS_MAX).enumerate() {
            let Some(body) = items::body(&*self.db, by.tenant, item.id)? else {
                continue;
            };
            versions.push(Version {
                number: count - nth,
                subject: Outline::of_body(&self.spool, &body.row).await?.summary.subject,
                size_bytes: body.row.content.size_bytes(),
                item,
            });
        }
        Ok(versions)
    }

    /// An item and what it took the place of, newest first.
    fn chain(&self, by: &Principal, id: ItemId) -> Result<Vec<Item>, Failure> {
        let seat = self.seat(by)?;
        let head = match self.visible(&seat.viewer(), id)? {
            Some(shown) => shown.row.clone(),
            None => self.own_gone(by, id)?.row.clone(),
        };
        if head.author != Some(by.user) {
            let say = "the earlier versions of a draft are its author's alone";
            return Err(Failure::refused(Kind::NoPermission, say));
        }
        let mut next = head.supersedes;
        let mut chain = vec![head];
        while let Some(id) = next.filter(|_| chain.len() < CHAIN_MAX) {
            let Some(item) = items::item(&*self.db, by.tenant, id)? else {
                break;
            };
            if item.row.kind != ItemKind::Draft || item.row.author != Some(by.user) {
                break;
            }
            next = item.row.supersedes;
            chain.push(item.row.clone());
        }
        Ok(chain)
    }

    /// Brings an earlier version of a draft back: it is the current one, and what was current is an earlier version.
    pub async fn bring_back(&self, by: &Principal, id: ItemId, number: usize) -> Result<ItemId, Failure> {
        for _ in 0..ATTEMPTS {
            let versions = self.versions(by, id).await?;
            let wanted = versions.iter().find(|version| version.number == number);
            let wanted = wanted.ok_or_else(|| no_version(number, &versions))?;
            if wanted.item.id == id {
                let say = format!("version {number} is the current one");
                return Err(Failure::refused(Kind::WrongState, say));
            }
            let seat = self.seat(by)?;
            let current = self.visible(&seat.viewer(), id)?.ok_or_else(|| not_there(id))?;
            if current.row.kind != ItemKind::Draft {
                let say =
                    "the mail has been submitted; its draft's versions can be read, and none takes its place";
                return Err(Failure::refused(Kind::WrongState, say));
            }
            let now = self.clock.now();
            let removed = wanted.removed().filter(|filed| kept(*filed, now));
            removed.ok_or_else(too_late)?;
            let (fresh, hand) = (self.items.next(by.tenant)?, Filed { by: by.user, at: now });
            let mut batch = Batch::new();
            items::replace(&mut batch, by.tenant, &current, &current.row.ended(hand))?;
            let mut item = draft(fresh, by.user, now);
            item.take_place_of(&current.row);
            self.write_again(by, &mut batch, &item, wanted.item.id).await?;
            match self.db.commit(batch).await {
                Ok(_) => {
                    self.bells.mailboxes.ring(by.tenant);
                    return Ok(fresh);
                }
                Err(CommitError::Conflict { .. }) => continue,
                Err(other) => return Err(other.into()),
            }
        }
        Err(conflict())
    }

    /// Brings a draft back that its author removed. It stands among his drafts again, as it was.
    pub(super) async fn bring_back_removed(&self, by: &Principal, id: ItemId) -> Result<(), Failure> {
        for _ in 0..ATTEMPTS {
            let old = self.may_come_back(by, id)?;
            let back = Item {
                gone: false,
                trashed: None,
                ..old.row.clone()
            };
            let mut batch = Batch::new();
            items::replace(&mut batch, by.tenant, &old, &back)?;
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

    /// A draft that is gone and that its author, who asks, can have back.
    pub(super) fn may_come_back(&self, by: &Principal, id: ItemId) -> Result<Arc<Stamped<Item>>, Failure> {
        let old = self.own_gone(by, id)?;
        let filed = old.row.trashed.ok_or_else(|| {
            let say = format!("draft {id} is gone because it was submitted; the mail is in its place");
            Failure::refused(Kind::WrongState, say)
        })?;
        match kept(filed, self.clock.now()) {
            true => Ok(old),
            false => Err(too_late()),
        }
    }

    /// Drafts the user removed and can bring back, newest first; not those that a newer version took the place of.
    pub async fn removed_drafts(&self, by: &Principal) -> Result<Vec<Version>, Failure> {
        let now = self.clock.now();
        let (mut removed, mut followed) = (Vec::new(), BTreeSet::new());
        let mut from = ItemId(0);
        loop {
            let step = items::step(&*self.db, by.tenant, from, CHUNK)?;
            let Some(last) = step.last() else { break };
            from = ItemId(last.id.0.saturating_add(1));
            followed.extend(step.iter().filter_map(|item| item.supersedes));
            let own = |item: &Item| item.kind == ItemKind::Draft && item.author == Some(by.user);
            removed.extend(
                step.into_iter().filter(|item| {
                    own(item) && item.gone && item.trashed.is_some_and(|filed| kept(filed, now))
                }),
            );
            tokio::task::yield_now().await;
        }
        removed.retain(|item| !followed.contains(&item.id));
        let mut found = Vec::with_capacity(removed.len());
        for item in removed.into_iter().rev().take(VERSIONS_MAX) {
            found.extend(self.versions(by, item.id).await?.into_iter().next());
        }
        Ok(found)
    }

    /// A draft of the user's own that is gone.
    fn own_gone(&self, by: &Principal, id: ItemId) -> Result<Arc<Stamped<Item>>, Failure> {
        let found = items::item(&*self.db, by.tenant, id)?;
        let own = |i: &Arc<Stamped<Item>>| {
            i.row.gone && i.row.kind == ItemKind::Draft && i.row.author == Some(by.user)
        };
        found.filter(own).ok_or_else(|| not_there(id))
    }

    /// Adds a draft with the octets of another.
    async fn write_again(
        &self,
        by: &Principal,
        batch: &mut Batch,
        item: &Item,
        like: ItemId,
    ) -> Result<(), Failure> {
        let body = items::body(&*self.db, by.tenant, like)?.ok_or_else(|| not_there(like))?;
        items::add(batch, by.tenant, item, &body.row)?;
        let summary = Outline::of_body(&self.spool, &body.row).await?.summary;
        if let Some(message_id) = summary.identity() {
            let latest = drafts::latest(&*self.db, by.tenant, by.user, message_id)?;
            let new = LatestDraft::saved(item.id);
            drafts::set_latest(batch, by.tenant, by.user, message_id, latest.as_ref(), new)?;
        }
        Ok(())
    }
}

pub(super) fn draft(id: ItemId, author: UserId, at: UtcTime) -> Item {
    Item {
        author: Some(author),
        ..Item::new(id, ItemKind::Draft, at)
    }
}

fn kept(filed: Filed, now: UtcTime) -> bool {
    filed.at.until(now) <= DAY * KEPT_DAYS
}

fn too_late() -> Failure {
    let say =
        format!("it went more than {KEPT_DAYS} days ago, or was sent; it cannot be brought back any more");
    Failure::refused(Kind::WrongState, say)
}

pub(super) fn not_there(id: ItemId) -> Failure {
    let say = format!("there is no message {id} that this user sees");
    Failure::refused(Kind::NotFound, say)
}

fn no_version(number: usize, versions: &[Version]) -> Failure {
    let (oldest, newest) = (versions.last(), versions.first());
    let range = oldest.zip(newest).map(|(a, b)| (a.number, b.number));
    let (oldest, newest) = range.unwrap_or_default();
    let say = format!("there is no version {number}; there are {oldest} to {newest}");
    Failure::refused(Kind::NotFound, say)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE_S: i64 = 60;

    /// A draft: its number, when it came (minutes), and its headers.
    fn head(id: u64, minute: i64, headers: &str) -> Head {
        Head {
            item: draft(ItemId(id), UserId(1), UtcTime::from_unix_s(minute * MINUTE_S)),
            summary: Summary::of(headers.replace('\n', "\r\n").as_bytes()),
        }
    }

    /// What is expunged, among which drafts, at which minute, and what took whose place.
    fn check(expunged: &[u64], all: &[(u64, i64, &str)], minute: i64, want: &[(u64, u64)]) {
        let heads = |ids: &dyn Fn(u64) -> bool| -> Vec<Head> {
            let wanted = all.iter().filter(|(id, _, _)| ids(*id));
            wanted.map(|(id, at, headers)| head(*id, *at, headers)).collect()
        };
        let (old, new) = (heads(&|id| expunged.contains(&id)), heads(&|_| true));
        let found = pairs(&old, &new, UtcTime::from_unix_s(minute * MINUTE_S));
        let found: Vec<(u64, u64)> = found.iter().map(|(a, b)| (a.0, b.0)).collect();
        assert_eq!(found, want, "{expunged:?} of {all:?}");
    }

    #[test]
    fn what_took_the_place_of_what_was_expunged() {
        let (a, b) = ("Subject: Teklif\n", "Subject: Rapor\n");
        // A save, and the old one expunged.
        check(&[1], &[(1, 0, a), (2, 1, a)], 1, &[(2, 1)]);
        // The subject is still being typed; the letters are compared as a Turkish reader does.
        check(&[1], &[(1, 0, ""), (2, 1, a)], 1, &[(2, 1)]);
        check(
            &[1],
            &[(1, 0, "Subject: TEKLİF\n"), (2, 1, "Subject: teklif no 5\n")],
            1,
            &[(2, 1)],
        );
        check(
            &[1],
            &[(1, 0, "Subject: ILIK\n"), (2, 1, "Subject: ilik\n")],
            1,
            &[],
        );
        // Another mail, an earlier draft, an answer to another message: nobody's version.
        check(&[1], &[(1, 0, a), (2, 1, b)], 1, &[]);
        check(&[2], &[(1, 0, a), (2, 1, a)], 1, &[]);
        check(
            &[1],
            &[(1, 0, a), (2, 1, "Subject: Teklif\nIn-Reply-To: <x@y>\n")],
            1,
            &[],
        );
        // One Message-ID, whatever the subject.
        let (x, y) = (
            "Message-ID: <1@a>\nSubject: x\n",
            "Message-ID: <1@a>\nSubject: y\n",
        );
        check(&[1], &[(1, 0, x), (2, 1, y)], 1, &[(2, 1)]);
        // An empty Message-ID is nobody's.
        let (x, y) = ("Message-ID:\nSubject: x\n", "Message-ID:\nSubject: y\n");
        check(&[1], &[(1, 0, x), (2, 1, y)], 1, &[]);
        // Who throws an old draft away has not written it anew an hour before.
        check(&[1], &[(1, 0, a), (2, 1, a)], 60, &[]);
        // Saved five times, expunged at the end: a chain. Two mails are written side by side.
        let five = [(1, 0, a), (2, 1, b), (3, 20, a), (4, 21, b), (5, 40, a)];
        check(&[1, 3], &five, 41, &[(3, 1), (5, 3)]);
        check(&[1, 2, 3], &five, 41, &[(3, 1), (5, 3)]);
        check(&[1, 2, 3], &five, 22, &[(3, 1), (4, 2), (5, 3)]);
        // Each has one predecessor and is nobody's twice.
        check(&[1, 2], &[(1, 0, a), (2, 0, a), (3, 1, a)], 1, &[(2, 1), (3, 2)]);
    }

    #[test]
    fn a_draft_that_has_an_earlier_version_gets_no_other() {
        let old = [head(1, 0, "Subject: a\n")];
        let mut new = head(2, 1, "Subject: a\n");
        new.item.supersedes = Some(ItemId(0));
        let now = UtcTime::from_unix_s(MINUTE_S);
        assert_eq!(pairs(&old, &[new], now), []);
    }
}
