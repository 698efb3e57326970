//! A session's own picture of the selected mailbox: which sequence number is which UID (RFC 9051 2.3.1.2).
//!
//! Changes from outside wait here until the client may be told. What has been removed keeps its number until its
//! EXPUNGE is written, and EXPUNGE is written only where the standard allows it (RFC 9051 7.5.1).

use super::ask::{Changes, Member, Told};
use super::set::{SequenceSet, UidRanges};
use crate::roster::Roster;
use std::collections::{BTreeMap, BTreeSet};

/// Whether EXPUNGE may be written now. Not while a command with sequence numbers is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expunging {
    Allowed,
    Held,
}

/// What the client is to be told, in the order in which it is to be written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct News {
    /// Sequence numbers for EXPUNGE, each right at its turn.
    pub expunged: Vec<u32>,
    /// The same messages by UID, ascending, for VANISHED (RFC 7162 3.2.10).
    pub vanished: Vec<u32>,
    /// The number for EXISTS, when it grew.
    pub exists: Option<u32>,
    /// (sequence number, what it shows) for FETCH; the lowest mod-sequence first, so that a client who has heard of one
    /// has heard of all before it.
    pub flags: Vec<(u32, Told)>,
    /// Those of which the client hears for the first time by `exists`.
    pub fresh: Vec<Member>,
}

/// Messages a set stands for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Resolved {
    /// Ascending by UID; without those that are gone.
    pub members: Vec<Member>,
    /// Some of the set are gone, though the client was not told yet.
    pub some_gone: bool,
}

/// A sequence number that the client cannot know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoSuchNumber;

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct View {
    /// The position plus one is the sequence number.
    members: Roster,
    gone: BTreeSet<u32>,
    flags: BTreeMap<u32, Told>,
    /// How many the client was told there are.
    told: usize,
    /// What the door has; taken over when the client has heard everything, so that both are one memory again.
    latest: Option<Roster>,
    /// `$`: what the last SEARCH saved (RFC 5182); nothing in a mailbox that was just selected.
    saved: UidRanges,
}

impl View {
    /// The client is told the number of `members` by SELECT itself.
    pub fn new(members: Roster) -> Self {
        Self {
            told: members.len(),
            members,
            ..Self::default()
        }
    }

    /// Messages, counting those whose EXPUNGE is held back.
    pub fn len(&self) -> u32 {
        u32::try_from(self.members.len()).unwrap_or(u32::MAX)
    }

    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Sequence number of a UID.
    pub fn number_of(&self, uid: u32) -> Option<u32> {
        self.members.number_of(uid)
    }

    /// Sequence number of a UID, and whom it stands for.
    pub fn place_of(&self, uid: u32) -> Option<(u32, Member)> {
        self.members.place_of(uid)
    }

    pub fn member(&self, uid: u32) -> Option<Member> {
        self.members.get(uid)
    }

    pub fn members(&self) -> &Roster {
        &self.members
    }

    /// Whether messages are gone that the client was not told of.
    pub fn holds_back(&self) -> bool {
        !self.gone.is_empty()
    }

    pub fn last_uid(&self) -> u32 {
        self.members.last_uid()
    }

    /// Messages among these UIDs, counting those whose EXPUNGE is held back.
    pub fn count_within(&self, uids: &UidRanges) -> u32 {
        let place = |uid: u32| self.members.position(uid);
        let count: usize = uids
            .ranges()
            .map(|r| match r.end().checked_add(1) {
                Some(behind) => place(behind) - place(*r.start()),
                None => self.members.len() - place(*r.start()),
            })
            .sum();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// Notes what happened; tells nothing yet. New messages must have higher UIDs than all before, others are ignored.
    pub fn apply(&mut self, changes: Changes) {
        self.members.extend(changes.added);
        for uid in changes.removed {
            self.remove(uid);
        }
        for told in changes.flags {
            if self.members.contains(told.uid) && !self.gone.contains(&told.uid) {
                self.flags.insert(told.uid, told);
            }
        }
        self.latest = changes.roster.or(self.latest.take());
    }

    fn remove(&mut self, uid: u32) {
        if self.members.contains(uid) {
            self.gone.insert(uid);
            self.flags.remove(&uid);
        }
    }

    /// The client has just been told in an answer what a message showed at that mod-sequence: no need to tell it again.
    /// What somebody else has done since waits for its turn.
    pub fn told_flags(&mut self, uid: u32, modseq: u64) {
        if self.flags.get(&uid).is_some_and(|told| told.modseq <= modseq) {
            self.flags.remove(&uid);
        }
    }

    /// The client has set flags and is not told so. What it is still to hear of that message is what it shows now.
    pub fn set_silently(&mut self, now: &Told) {
        if let Some(told) = self.flags.get_mut(&now.uid)
            && told.modseq <= now.modseq
        {
            told.clone_from(now);
        }
    }

    /// Takes away what is to be told of flags, to be put [back](Self::flags_back).
    pub fn flags_aside(&mut self) -> BTreeMap<u32, Told> {
        std::mem::take(&mut self.flags)
    }

    pub fn flags_back(&mut self, aside: BTreeMap<u32, Told>) {
        for (uid, flags) in aside {
            if self.number_of(uid).is_some() {
                self.flags.entry(uid).or_insert(flags);
            }
        }
    }

    /// What may be told now; from then on it counts as told.
    pub fn news(&mut self, expunging: Expunging) -> News {
        let mut news = News::default();
        if expunging == Expunging::Allowed && !self.gone.is_empty() {
            let gone: Vec<u32> = std::mem::take(&mut self.gone).into_iter().collect();
            for uid in &gone {
                let index = self.members.position(*uid);
                // What the client never heard of leaves without a word.
                if index < self.told {
                    news.expunged.push(u32::try_from(index + 1).unwrap_or(u32::MAX));
                    news.vanished.push(*uid);
                }
            }
            // From the end, so that no number moves before its turn.
            news.expunged.reverse();
            self.members.remove(&gone);
            self.told -= news.vanished.len();
        }
        if self.members.len() > self.told {
            news.fresh = self.members.range(self.told..self.members.len()).collect();
            self.told = self.members.len();
            news.exists = Some(self.len());
        }
        for (uid, told) in std::mem::take(&mut self.flags) {
            if let Some(number) = self.number_of(uid) {
                news.flags.push((number, told));
            }
        }
        news.flags.sort_by_key(|(_, told)| told.modseq);
        self.share();
        news
    }

    /// What `$` stands for from now on. Who is expunged leaves it by not being a member any more, as UIDs never return.
    pub fn save(&mut self, found: UidRanges) {
        self.saved = found;
    }

    /// RFC 5182 2.1: an empty `$` is valid and names nothing, and who has gone has left it.
    fn by_saved(&self) -> Resolved {
        Resolved {
            some_gone: false,
            ..self.by_ranges(&self.saved)
        }
    }

    /// Takes over the door's memory where it says the same.
    fn share(&mut self) {
        let same =
            |latest: &Roster| latest.len() == self.members.len() && latest.left(&self.members).is_empty();
        if self.gone.is_empty()
            && let Some(latest) = self.latest.take_if(|latest| same(latest))
        {
            self.members = latest;
        }
    }

    /// Members whose sequence numbers are in the set. A range may reach past the end as long as some of it is there;
    /// a set that names only numbers past the end is the client's mistake.
    pub fn by_number(&self, set: &SequenceSet) -> Result<Resolved, NoSuchNumber> {
        if set.is_saved() {
            return Ok(self.by_saved());
        }
        let told = u32::try_from(self.told).unwrap_or(u32::MAX);
        let mut resolved = Resolved::default();
        let mut within = false;
        for range in set.resolve(told).ranges() {
            let (low, high) = (*range.start(), (*range.end()).min(told));
            if low > told {
                continue;
            }
            within = true;
            self.collect((low as usize).saturating_sub(1), high as usize, &mut resolved);
        }
        // In an empty mailbox `1:*` is nothing rather than a mistake, as clients ask it blindly.
        if within || told == 0 {
            Ok(resolved)
        } else {
            Err(NoSuchNumber)
        }
    }

    /// Members whose UIDs are in the set; others do not matter (RFC 9051 6.4.9).
    pub fn by_uid(&self, set: &SequenceSet) -> Resolved {
        if set.is_saved() {
            return self.by_saved();
        }
        self.by_ranges(&set.resolve(self.last_uid()))
    }

    fn by_ranges(&self, uids: &UidRanges) -> Resolved {
        let mut resolved = Resolved::default();
        for range in uids.ranges() {
            let low = self.members.position(*range.start());
            let high = match range.end().checked_add(1) {
                Some(behind) => self.members.position(behind),
                None => self.members.len(),
            };
            self.collect(low, high, &mut resolved);
        }
        resolved
    }

    fn collect(&self, low: usize, high: usize, resolved: &mut Resolved) {
        for member in self.members.range(low.min(high)..high) {
            if self.gone.contains(&member.uid) {
                resolved.some_gone = true;
            } else {
                resolved.members.push(member);
            }
        }
    }

    /// UIDs a SEARCH key's sequence numbers stand for. A contiguous run of numbers is one range of UIDs.
    pub fn number_ranges(&self, set: &SequenceSet) -> UidRanges {
        if set.is_saved() {
            return self.saved.clone();
        }
        let told = u32::try_from(self.told).unwrap_or(u32::MAX);
        let uid = |number: u32| {
            self.members
                .nth((number as usize).saturating_sub(1))
                .map(|m| m.uid)
        };
        let resolved = set.resolve(told);
        let within = resolved.ranges().filter(|range| *range.start() <= told);
        let ranges: Vec<(u32, u32)> = within
            .filter_map(|range| Some((uid(*range.start())?, uid((*range.end()).min(told))?)))
            .collect();
        UidRanges::from_pairs(ranges.into_iter())
    }

    pub fn uid_ranges(&self, set: &SequenceSet) -> UidRanges {
        if set.is_saved() {
            return self.saved.clone();
        }
        set.resolve(self.last_uid())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn members(uids: &[u32]) -> Vec<Member> {
        uids.iter()
            .map(|&uid| Member {
                uid,
                key: u64::from(uid) * 10,
            })
            .collect()
    }

    fn roster(uids: &[u32]) -> Roster {
        members(uids).into_iter().collect()
    }

    fn uids(resolved: &Resolved) -> Vec<u32> {
        resolved.members.iter().map(|m| m.uid).collect()
    }

    fn set(text: &str) -> SequenceSet {
        SequenceSet::parse(text).unwrap()
    }

    #[test]
    fn numbers_hold_until_the_expunge_is_told() {
        let mut view = View::new(roster(&[3, 5, 9]));
        view.apply(Changes {
            removed: vec![5],
            added: members(&[12]),
            ..Changes::default()
        });
        let held = view.news(Expunging::Held);
        assert_eq!((held.expunged.len(), held.exists), (0, Some(4)));
        let seen = view.by_number(&set("1:3")).unwrap();
        assert_eq!((uids(&seen), seen.some_gone), (vec![3, 9], true));
        assert_eq!(view.news(Expunging::Allowed).expunged, [2]);
        assert_eq!(uids(&view.by_number(&set("2:*")).unwrap()), [9, 12]);
        assert_eq!(view.by_number(&set("4:9")), Err(NoSuchNumber));
    }

    #[test]
    fn a_message_that_comes_and_goes_untold_is_never_mentioned() {
        let mut view = View::new(roster(&[1]));
        view.apply(Changes {
            added: members(&[2]),
            removed: vec![2],
            ..Changes::default()
        });
        assert_eq!(view.news(Expunging::Allowed), News::default());
    }

    #[test]
    fn uid_sets_with_star_reach_the_last() {
        let view = View::new(roster(&[3, 5, 9]));
        assert_eq!(uids(&view.by_uid(&set("559:*"))), [9]);
        assert_eq!(uids(&view.by_uid(&set("*:4"))), [5, 9]);
        assert_eq!(uids(&view.by_uid(&set("1:4294967295"))), [3, 5, 9]);
        assert_eq!(view.number_ranges(&set("2:*")).to_string(), "5:9");
    }

    #[test]
    fn what_was_saved_holds_until_it_is_expunged() {
        let mut view = View::new(members(&[3, 5, 9]).into_iter().collect());
        let saved = SequenceSet::saved();
        assert_eq!(view.by_number(&saved), Ok(Resolved::default()));
        view.save(UidRanges::from_numbers([5, 9].into_iter()));
        assert_eq!(uids(&view.by_number(&saved).unwrap()), [5, 9]);
        assert_eq!(view.number_ranges(&saved).to_string(), "5,9");
        view.apply(Changes {
            removed: vec![5],
            ..Changes::default()
        });
        let seen = view.by_number(&saved).unwrap();
        assert_eq!((uids(&seen), seen.some_gone), (vec![9], false));
        view.news(Expunging::Allowed);
        assert_eq!(uids(&view.by_uid(&saved)), [9]);
    }

    /// The client's picture: a list it edits by what it is told.
    fn follow(client: &mut Vec<u32>, news: &News, truth: &[u32]) {
        for &number in &news.expunged {
            client.remove(number as usize - 1);
        }
        if let Some(exists) = news.exists {
            client.extend(
                truth
                    .iter()
                    .copied()
                    .filter(|u| !client.contains(u))
                    .collect::<Vec<_>>(),
            );
            assert_eq!(client.len(), exists as usize);
        }
    }

    proptest! {
        #[test]
        fn a_client_that_follows_sees_what_is_there(
            start in 0..6u32,
            steps in prop::collection::vec((0..4u8, any::<prop::sample::Index>()), 0..40),
        ) {
            let first: Vec<u32> = (1..=start).collect();
            let mut view = View::new(roster(&first));
            let (mut client, mut all, mut live, mut next) = (first.clone(), first.clone(), first, start + 1);
            for (what, which) in steps {
                match what {
                    0 => {
                        view.apply(Changes { added: members(&[next]), ..Changes::default() });
                        live.push(next);
                        all.push(next);
                        next += 1;
                    }
                    1 if !live.is_empty() => {
                        let uid = live.remove(which.index(live.len()));
                        view.apply(Changes { removed: vec![uid], ..Changes::default() });
                    }
                    2 => {
                        let news = view.news(Expunging::Held);
                        prop_assert!(news.expunged.is_empty());
                        // Untold removals are still in the server's numbering.
                        let shown: Vec<u32> = all.clone();
                        follow(&mut client, &news, &shown);
                    }
                    _ => {
                        let news = view.news(Expunging::Allowed);
                        follow(&mut client, &news, &live);
                        all = live.clone();
                        prop_assert_eq!(&client, &live);
                    }
                }
                let numbered: Vec<u32> = view.members.iter().take(view.told).map(|m| m.uid).collect();
                prop_assert_eq!(&client, &numbered);
            }
        }
    }
}
