//! Sets of items by their numbers. Numbers are given out one after the other, so a bit for each is the smallest form.

use crate::id::ItemId;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ItemSet {
    words: Vec<u64>,
}

fn place(item: ItemId) -> Option<(usize, u64)> {
    let at = usize::try_from(item.0 / 64).ok()?;
    Some((at, 1 << (item.0 % 64)))
}

impl ItemSet {
    pub fn insert(&mut self, item: ItemId) {
        let Some((at, bit)) = place(item) else { return };
        if at >= self.words.len() {
            self.words.resize(at + 1, 0);
        }
        if let Some(word) = self.words.get_mut(at) {
            *word |= bit;
        }
    }

    pub fn contains(&self, item: ItemId) -> bool {
        place(item).is_some_and(|(at, bit)| self.words.get(at).is_some_and(|word| word & bit != 0))
    }

    pub fn add(&mut self, other: &ItemSet) {
        if self.words.len() < other.words.len() {
            self.words.resize(other.words.len(), 0);
        }
        for (word, other) in self.words.iter_mut().zip(&other.words) {
            *word |= other;
        }
    }

    pub fn len(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }
}

impl FromIterator<ItemId> for ItemSet {
    fn from_iter<I: IntoIterator<Item = ItemId>>(items: I) -> Self {
        let mut set = Self::default();
        items.into_iter().for_each(|item| set.insert(item));
        set
    }
}

/// Documents of one segment, by their place in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DocSet {
    words: Vec<u64>,
    docs: u32,
}

impl DocSet {
    pub fn none(docs: u32) -> Self {
        Self {
            words: vec![0; (docs as usize).div_ceil(64)],
            docs,
        }
    }

    /// A set of the same documents with none in it.
    pub fn emptied(&self) -> Self {
        Self::none(self.docs)
    }

    /// Octets of the set as it is written.
    pub fn octets(docs: u32) -> usize {
        (docs as usize).div_ceil(8)
    }

    pub fn insert(&mut self, doc: u32) {
        if let Some(word) = self.words.get_mut(doc as usize / 64) {
            *word |= 1 << (doc % 64);
        }
    }

    pub fn contains(&self, doc: u32) -> bool {
        let word = self.words.get(doc as usize / 64);
        word.is_some_and(|word| word >> (doc % 64) & 1 != 0)
    }

    pub fn len(&self) -> u32 {
        self.words.iter().map(|word| word.count_ones()).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    pub fn is_full(&self) -> bool {
        self.len() == self.docs
    }

    /// Adds the set that is written as octets, lowest bits first.
    pub fn add_octets(&mut self, octets: &[u8]) {
        for (word, eight) in self.words.iter_mut().zip(octets.chunks(8)) {
            let mut padded = [0; 8];
            padded[..eight.len()].copy_from_slice(eight);
            *word |= u64::from_le_bytes(padded);
        }
    }

    /// Whether it has one of the set that is written as octets.
    pub fn meets_octets(&self, octets: &[u8]) -> bool {
        let mut eights = self.words.iter().flat_map(|word| word.to_le_bytes()).zip(octets);
        eights.any(|(own, other)| own & other != 0)
    }

    pub fn keep(&mut self, other: &DocSet) {
        for (word, other) in self.words.iter_mut().zip(&other.words) {
            *word &= other;
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        (0..).zip(&self.words).flat_map(|(at, word)| {
            let mut left = *word;
            std::iter::from_fn(move || {
                let bit = (left != 0).then(|| left.trailing_zeros())?;
                left &= left - 1;
                Some(64 * at + bit)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_know_what_is_in_them() {
        let set: ItemSet = [ItemId(1), ItemId(64), ItemId(700)].into_iter().collect();
        assert!(set.contains(ItemId(64)) && !set.contains(ItemId(65)) && !set.contains(ItemId(u64::MAX)));
        assert_eq!((set.len(), set.is_empty()), (3, false));
        assert!(ItemSet::default().is_empty());
    }

    #[test]
    fn documents_are_walked_in_order() {
        let mut set = DocSet::none(130);
        [0, 5, 64, 129].into_iter().for_each(|doc| set.insert(doc));
        set.insert(4000);
        assert_eq!(set.iter().collect::<Vec<_>>(), [0, 5, 64, 129]);
        let mut other = DocSet::none(130);
        other.add_octets(&[0b10_0001]);
        assert_eq!(other.iter().collect::<Vec<_>>(), [0, 5]);
        set.keep(&other);
        assert_eq!(set, other);
        assert!(!set.is_full());
    }
}
