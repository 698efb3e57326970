//! UIDs in order, shared between sessions: who is in a mailbox, and under which number (RFC 9051 2.3.1).
//!
//! A roster of a million messages is some twelve megabytes, and many sessions hold nearly the same one. So it is a tree
//! of two levels whose leaves are never changed in place: a clone costs a pointer, adding or removing a message copies
//! one leaf and the short way to it, and all else stays shared. It belongs to the ground because the mailbox service
//! keeps rosters and the protocol engine counts in them, and neither knows the other.
//!
//! What the keys stand for is its owner's business. It is no set: order is the order of UIDs, and nothing else.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// Entries in one leaf: what is copied when one message comes or goes, six kilobytes.
const LEAF_MAX: usize = 512;
/// A leaf with less is joined to its neighbour where both fit into one.
const LEAF_MIN: usize = LEAF_MAX / 4;
/// Leaves in one branch: a kilobyte of pointers, thirty thousand messages.
const BRANCH_MAX: usize = 64;

/// A message: its UID, and the key its owner knows it by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Entry {
    pub uid: u32,
    pub key: u64,
}

/// An entry in twelve octets; the key is cut so that nothing has to be aligned to eight.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Packed {
    uid: u32,
    key: [u32; 2],
}

impl From<Entry> for Packed {
    fn from(entry: Entry) -> Self {
        let [a, b, c, d, e, f, g, h] = entry.key.to_be_bytes();
        Self {
            uid: entry.uid,
            key: [u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h])],
        }
    }
}

impl From<Packed> for Entry {
    fn from(packed: Packed) -> Self {
        let [high, low] = packed.key;
        Self {
            uid: packed.uid,
            key: (u64::from(high) << 32) | u64::from(low),
        }
    }
}

/// Never empty, at most [`LEAF_MAX`] entries.
type Leaf = Arc<[Packed]>;

/// Never empty, at most [`BRANCH_MAX`] leaves.
#[derive(Clone, Default)]
struct Branch(Vec<Leaf>);

impl Branch {
    fn len(&self) -> usize {
        self.0.iter().map(|leaf| leaf.len()).sum()
    }
}

/// A branch with what is needed to find it.
#[derive(Clone)]
struct Top {
    /// Entries in the branches before this one.
    before: usize,
    last_uid: u32,
    branch: Arc<Branch>,
}

/// Entries in ascending order of UID, each UID once.
#[derive(Clone, Default)]
pub struct Roster {
    tops: Arc<Vec<Top>>,
    len: usize,
}

impl Roster {
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// 0 when nobody is in it.
    pub fn last_uid(&self) -> u32 {
        self.tops.last().map_or(0, |top| top.last_uid)
    }

    /// Entries with lower UIDs.
    pub fn position(&self, uid: u32) -> usize {
        let at = self.tops.partition_point(|top| top.last_uid < uid);
        let Some(top) = self.tops.get(at) else {
            return self.len;
        };
        let leaves = &top.branch.0;
        let leaf = leaves.partition_point(|leaf| last(leaf) < uid);
        let before: usize = leaves.iter().take(leaf).map(|leaf| leaf.len()).sum();
        let within = leaves
            .get(leaf)
            .map_or(0, |leaf| leaf.partition_point(|e| e.uid < uid));
        top.before + before + within
    }

    /// The entry with so many before it.
    pub fn nth(&self, index: usize) -> Option<Entry> {
        self.range(index..index.saturating_add(1)).next()
    }

    pub fn get(&self, uid: u32) -> Option<Entry> {
        self.nth(self.position(uid)).filter(|entry| entry.uid == uid)
    }

    pub fn contains(&self, uid: u32) -> bool {
        self.get(uid).is_some()
    }

    /// Sequence number of a UID, 1 for the first, and its entry.
    pub fn place_of(&self, uid: u32) -> Option<(u32, Entry)> {
        let index = self.position(uid);
        let entry = self.nth(index).filter(|entry| entry.uid == uid)?;
        Some((u32::try_from(index + 1).ok()?, entry))
    }

    pub fn number_of(&self, uid: u32) -> Option<u32> {
        self.place_of(uid).map(|(number, _)| number)
    }

    /// Sequence numbers of UIDs. Those that follow each other here are found by going on from one to the next.
    pub fn numbers_of<'r>(
        &'r self,
        uids: impl IntoIterator<Item = u32> + 'r,
    ) -> impl Iterator<Item = Option<u32>> + 'r {
        let (mut passed, mut rest) = (0, self.range(0..self.len));
        uids.into_iter().map(move |uid| {
            let mut entry = rest.next();
            if entry.is_none_or(|entry| entry.uid != uid) {
                passed = self.position(uid);
                rest = self.range(passed..self.len);
                entry = rest.next();
            }
            passed += 1;
            entry.filter(|entry| entry.uid == uid)?;
            u32::try_from(passed).ok()
        })
    }

    pub fn iter(&self) -> impl Iterator<Item = Entry> + '_ {
        self.range(0..self.len)
    }

    /// Entries by position.
    pub fn range(&self, wanted: Range<usize>) -> impl Iterator<Item = Entry> + '_ {
        let first = self.tops.partition_point(|top| top.before <= wanted.start);
        let first = first.saturating_sub(1);
        let before = self.tops.get(first).map_or(0, |top| top.before);
        let leaves = self.tops.iter().skip(first).flat_map(|top| &top.branch.0);
        let skip = wanted.start.saturating_sub(before);
        let mut left = skip;
        // Whole leaves are passed over without looking into them.
        let leaves = leaves.skip_while(move |leaf| {
            let over = leaf.len() <= left;
            left -= if over { leaf.len() } else { 0 };
            over
        });
        let within = self.offset_in_leaf(first, skip);
        leaves
            .flat_map(|leaf| leaf.iter())
            .skip(within)
            .take(wanted.end.saturating_sub(wanted.start))
            .map(|packed| Entry::from(*packed))
    }

    fn offset_in_leaf(&self, top: usize, skip: usize) -> usize {
        let mut left = skip;
        for leaf in self.tops.iter().skip(top).flat_map(|top| &top.branch.0) {
            if left < leaf.len() {
                return left;
            }
            left -= leaf.len();
        }
        0
    }

    /// Adds entries at the end. Those that are not above all before are passed over.
    pub fn extend(&mut self, entries: impl IntoIterator<Item = Entry>) {
        let mut highest = self.last_uid();
        let mut above = entries.into_iter().filter(move |entry| {
            let above = entry.uid > highest;
            highest = highest.max(entry.uid);
            above
        });
        let Some(first) = above.next() else { return };
        let tops = Arc::make_mut(&mut self.tops);
        let mut open: Vec<Packed> = match tops.last_mut() {
            Some(top) => match Arc::make_mut(&mut top.branch).0.pop() {
                Some(leaf) if leaf.len() < LEAF_MAX => leaf.to_vec(),
                Some(full) => {
                    Arc::make_mut(&mut top.branch).0.push(full);
                    Vec::new()
                }
                None => Vec::new(),
            },
            None => Vec::new(),
        };
        for entry in std::iter::once(first).chain(above) {
            open.push(entry.into());
            if open.len() == LEAF_MAX {
                append(tops, std::mem::take(&mut open).into());
            }
        }
        if !open.is_empty() {
            append(tops, open.into());
        }
        self.recount();
    }

    /// Takes entries out; the UIDs ascend. UIDs that are not there do not matter.
    pub fn remove(&mut self, uids: &[u32]) {
        let mut rest = uids;
        while let Some((top, leaf, entries)) = rest.first().and_then(|uid| self.leaf_of(*uid)) {
            let end = last(&entries);
            let here = rest.partition_point(|uid| *uid <= end);
            let (going, after) = rest.split_at(here);
            rest = after;
            let staying: Vec<Packed> = entries
                .iter()
                .filter(|e| going.binary_search(&e.uid).is_err())
                .copied()
                .collect();
            if staying.len() < entries.len() {
                self.put(top, leaf, staying);
            }
        }
    }

    /// The same with others between: what one user sees of a mailbox that many share. UIDs that are in both stay as
    /// they are here.
    #[must_use]
    pub fn with(&self, others: &Roster) -> Self {
        let mut both = self.clone();
        let mut rest: Vec<Packed> = Vec::new();
        let mut waiting = others.iter().peekable();
        while let Some(next) = waiting.peek() {
            let Some((top, leaf, entries)) = both.leaf_of(next.uid) else {
                rest.extend(waiting.by_ref().map(Packed::from));
                break;
            };
            let end = last(&entries);
            let mut merged = entries.to_vec();
            while let Some(entry) = waiting.next_if(|entry| entry.uid <= end) {
                merged.push(entry.into());
            }
            merged.sort_by_key(|e| e.uid);
            merged.dedup_by_key(|e| e.uid);
            both.put(top, leaf, merged);
        }
        both.extend(rest.into_iter().map(Entry::from));
        both
    }

    /// UIDs that are here and not in `other`, ascending. What both share is not looked at, so it costs what differs.
    pub fn left(&self, other: &Roster) -> Vec<u32> {
        let mut left = Vec::new();
        if Arc::ptr_eq(&self.tops, &other.tops) {
            return left;
        }
        let (ours, theirs) = (self.leaves(), other.leaves());
        let (mut a, mut b) = ((0, 0), (0, 0));
        while let Some(mine) = ours.get(a.0) {
            let Some(his) = theirs.get(b.0) else {
                left.extend(mine.iter().skip(a.1).map(|e| e.uid));
                a = (a.0 + 1, 0);
                continue;
            };
            if a.1 == 0 && b.1 == 0 && Arc::ptr_eq(mine, his) {
                (a, b) = ((a.0 + 1, 0), (b.0 + 1, 0));
                continue;
            }
            match (mine.get(a.1), his.get(b.1)) {
                (None, _) => a = (a.0 + 1, 0),
                (_, None) => b = (b.0 + 1, 0),
                (Some(x), Some(y)) if x.uid == y.uid => (a.1, b.1) = (a.1 + 1, b.1 + 1),
                (Some(x), Some(y)) if x.uid < y.uid => {
                    left.push(x.uid);
                    a.1 += 1;
                }
                _ => b.1 += 1,
            }
        }
        left
    }

    /// Whether both are the same in memory: then the one costs nothing beside the other.
    pub fn is_shared_with(&self, other: &Roster) -> bool {
        Arc::ptr_eq(&self.tops, &other.tops)
    }

    fn leaves(&self) -> Vec<&Leaf> {
        self.tops.iter().flat_map(|top| &top.branch.0).collect()
    }

    /// The leaf where a UID stands, or would stand; `None` behind all.
    fn leaf_of(&self, uid: u32) -> Option<(usize, usize, Leaf)> {
        let at = self.tops.partition_point(|top| top.last_uid < uid);
        let leaves = &self.tops.get(at)?.branch.0;
        let leaf = leaves.partition_point(|leaf| last(leaf) < uid);
        Some((at, leaf, leaves.get(leaf)?.clone()))
    }

    /// Puts entries in the place of a leaf.
    fn put(&mut self, at: usize, leaf: usize, mut entries: Vec<Packed>) {
        let tops = Arc::make_mut(&mut self.tops);
        let Some(top) = tops.get_mut(at) else { return };
        let leaves = &mut Arc::make_mut(&mut top.branch).0;
        let mut place = leaf..leaf + 1;
        let small = (1..LEAF_MIN).contains(&entries.len());
        let next = leaves.get(leaf + 1).filter(|_| small);
        if let Some(next) = next.filter(|next| entries.len() + next.len() <= LEAF_MAX) {
            entries.extend_from_slice(next);
            place.end += 1;
        }
        leaves.splice(place, entries.chunks(LEAF_MAX).map(Leaf::from));
        if leaves.len() > BRANCH_MAX {
            let more = Branch(leaves.split_off(leaves.len() / 2));
            let more = Top {
                before: 0,
                last_uid: 0,
                branch: Arc::new(more),
            };
            tops.insert(at + 1, more);
        } else if leaves.is_empty() {
            tops.remove(at);
        }
        self.recount();
    }

    fn recount(&mut self) {
        let mut before = 0;
        for top in Arc::make_mut(&mut self.tops) {
            top.before = before;
            top.last_uid = top.branch.0.last().map_or(0, |leaf| last(leaf));
            before += top.branch.len();
        }
        self.len = before;
    }
}

fn last(leaf: &[Packed]) -> u32 {
    leaf.last().map_or(0, |e| e.uid)
}

fn append(tops: &mut Vec<Top>, leaf: Leaf) {
    match tops.last_mut().filter(|top| top.branch.0.len() < BRANCH_MAX) {
        Some(top) => Arc::make_mut(&mut top.branch).0.push(leaf),
        None => tops.push(Top {
            before: 0,
            last_uid: 0,
            branch: Arc::new(Branch(vec![leaf])),
        }),
    }
}

/// In any order; UID 0 is nobody's, and of doubled UIDs the first counts.
impl FromIterator<Entry> for Roster {
    fn from_iter<I: IntoIterator<Item = Entry>>(entries: I) -> Self {
        let mut all: Vec<Entry> = entries.into_iter().filter(|e| e.uid != 0).collect();
        all.sort_by_key(|e| e.uid);
        all.dedup_by_key(|e| e.uid);
        let mut roster = Self::default();
        roster.extend(all);
        roster
    }
}

impl PartialEq for Roster {
    fn eq(&self, other: &Self) -> bool {
        self.is_shared_with(other) || (self.len == other.len && self.iter().eq(other.iter()))
    }
}

impl Eq for Roster {}

/// Not a million lines in a log.
impl fmt::Debug for Roster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Roster({} up to UID {})", self.len, self.last_uid())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn roster(uids: impl Iterator<Item = u32>) -> Roster {
        uids.map(|uid| Entry {
            uid,
            key: u64::from(uid) << 30,
        })
        .collect()
    }

    /// Everything that can be asked, against a plain map.
    fn agree(roster: &Roster, model: &BTreeMap<u32, u64>) {
        assert_eq!(roster.len(), model.len());
        let plain: Vec<Entry> = model.iter().map(|(&uid, &key)| Entry { uid, key }).collect();
        assert!(roster.iter().eq(plain.iter().copied()));
        assert_eq!(roster.last_uid(), plain.last().map_or(0, |e| e.uid));
        for probe in (0..plain.len()).step_by(plain.len() / 40 + 1) {
            let entry = plain[probe];
            assert_eq!(roster.nth(probe), Some(entry));
            assert_eq!(roster.place_of(entry.uid), Some((probe as u32 + 1, entry)));
            assert_eq!(roster.get(entry.uid), Some(entry));
            // On from one to the next, over a gap, back, twice, and over one that is not there.
            let some = plain
                .iter()
                .skip(probe)
                .take(3)
                .chain(plain.iter().skip(probe + 7).step_by(5).take(3));
            let mut asked: Vec<u32> = some.chain([&entry, &entry]).map(|e| e.uid).collect();
            asked.extend([entry.uid.saturating_add(1), entry.uid, u32::MAX, 0, entry.uid]);
            let one_by_one = asked.iter().map(|uid| roster.number_of(*uid));
            assert!(roster.numbers_of(asked.iter().copied()).eq(one_by_one));
            assert_eq!(roster.position(entry.uid), probe);
            let some = roster.range(probe..probe + 700);
            assert!(some.eq(plain.iter().skip(probe).take(700).copied()));
        }
        assert_eq!(roster.nth(plain.len()), None);
        for top in roster.tops.iter() {
            assert!(!top.branch.0.is_empty() && top.branch.0.len() <= BRANCH_MAX);
            assert!(top.branch.0.iter().all(|l| !l.is_empty() && l.len() <= LEAF_MAX));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn it_is_a_map_in_order_whatever_is_done_to_it(
            steps in prop::collection::vec((0..5u8, any::<u32>(), 1..2500usize), 1..14),
        ) {
            let (mut real, mut model) = (Roster::default(), BTreeMap::new());
            for (what, chance, many) in steps {
                let (before, was) = (real.clone(), model.clone());
                match what {
                    0 | 1 => {
                        let first = real.last_uid() + 1 + chance % 3;
                        let new = (0..many as u32).map(|n| Entry { uid: first + 2 * n, key: u64::from(chance) * 77 });
                        model.extend(new.clone().map(|e| (e.uid, e.key)));
                        real.extend(new);
                    }
                    2 => {
                        let low = chance % (real.last_uid() + 1);
                        let going: Vec<u32> = (low..low.saturating_add(many as u32)).collect();
                        model.retain(|uid, _| going.binary_search(uid).is_err());
                        real.remove(&going);
                    }
                    3 => {
                        let every = chance % 97 + 2;
                        let going: Vec<u32> = model.keys().copied().filter(|uid| uid % every == 0).collect();
                        model.retain(|uid, _| uid % every != 0);
                        real.remove(&going);
                    }
                    _ => {
                        let every = (chance % 900 + 2) as usize;
                        let others = roster((1..real.last_uid() + 5).step_by(every));
                        for entry in others.iter() {
                            model.entry(entry.uid).or_insert(entry.key);
                        }
                        real = real.with(&others);
                    }
                }
                agree(&real, &model);
                // What somebody else holds is not touched by it.
                prop_assert!(before.iter().map(|e| (e.uid, e.key)).eq(was.iter().map(|(u, k)| (*u, *k))));
                let left: Vec<u32> = was.keys().copied().filter(|uid| !model.contains_key(uid)).collect();
                prop_assert_eq!(before.left(&real), left);
                let came: Vec<u32> = model.keys().copied().filter(|uid| !was.contains_key(uid)).collect();
                prop_assert_eq!(real.left(&before), came);
            }
        }
    }

    #[test]
    fn a_change_copies_one_leaf_and_the_way_to_it() {
        let all = roster(1..=200_000);
        let mut less = all.clone();
        assert!(less.is_shared_with(&all));
        less.remove(&[77_000]);
        less.extend([Entry { uid: 200_001, key: 1 }]);
        let (old, new) = (all.leaves(), less.leaves());
        let own = new.iter().filter(|l| !old.iter().any(|o| Arc::ptr_eq(o, l)));
        assert_eq!(own.count(), 2);
        assert_eq!(all.left(&less), [77_000]);
    }
}
