//! The small forms an index is written in: numbers, lists of documents, positions, and sums that notice damage.
//!
//! A list of documents is either the gaps between them or one bit for each of the segment's documents, whichever is shorter.
//! Positions are grouped by document, each group with its length in front, so that one can be passed over and
//! lists of two segments are joined by putting one behind the other.

use super::item_set::DocSet;

/// Appends a number in groups of seven bits, lowest first.
pub fn put_number(out: &mut Vec<u8>, mut n: u32) {
    while n >= 0x80 {
        out.push((n & 0x7f) as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

/// Takes a number from the front; `None` when the octets are no number.
pub fn take_number(octets: &mut &[u8]) -> Option<u32> {
    let mut n = 0u32;
    for shift in [0, 7, 14, 21, 28] {
        let (octet, rest) = octets.split_first()?;
        *octets = rest;
        n |= u32::from(octet & 0x7f) << shift;
        if octet & 0x80 == 0 {
            return Some(n);
        }
    }
    None
}

/// Writes a list of ascending documents out of `all`.
pub fn put_docs(out: &mut Vec<u8>, docs: &[u32], all: u32) {
    let count = u32::try_from(docs.len()).unwrap_or(u32::MAX);
    let mut gaps = Vec::with_capacity(docs.len());
    let mut next = 0;
    for doc in docs {
        put_number(&mut gaps, doc - next);
        next = doc + 1;
    }
    if gaps.len() <= DocSet::octets(all) {
        put_number(out, count << 1);
        out.extend_from_slice(&gaps);
        return;
    }
    put_number(out, count << 1 | 1);
    let at = out.len();
    out.resize(at + DocSet::octets(all), 0);
    for doc in docs {
        if let Some(eight) = out.get_mut(at + *doc as usize / 8) {
            *eight |= 1 << (doc % 8);
        }
    }
}

/// How many documents a list has.
pub fn count_docs(mut list: &[u8]) -> Option<u32> {
    take_number(&mut list).map(|head| head >> 1)
}

/// Adds the documents of a list to a set.
pub fn add_docs(mut list: &[u8], set: &mut DocSet) -> Option<()> {
    let head = take_number(&mut list)?;
    if head & 1 != 0 {
        set.add_octets(list);
        return Some(());
    }
    let mut next = 0;
    for _ in 0..head >> 1 {
        let doc = take_number(&mut list)?.checked_add(next)?;
        set.insert(doc);
        next = doc.checked_add(1)?;
    }
    Some(())
}

/// Whether a list has a document of a set.
pub fn meets(mut list: &[u8], set: &DocSet) -> Option<bool> {
    let head = take_number(&mut list)?;
    if head & 1 != 0 {
        return Some(set.meets_octets(list));
    }
    let mut next = 0;
    for _ in 0..head >> 1 {
        let doc = take_number(&mut list)?.checked_add(next)?;
        if set.contains(doc) {
            return Some(true);
        }
        next = doc.checked_add(1)?;
    }
    Some(false)
}

/// The documents of a list, in order.
pub fn take_docs(mut list: &[u8], all: u32) -> Option<Vec<u32>> {
    let head = take_number(&mut list)?;
    if head & 1 != 0 {
        let mut set = DocSet::none(all);
        set.add_octets(list);
        return Some(set.iter().collect());
    }
    let count = head >> 1;
    // Every document takes an octet at least.
    if count as usize > list.len() {
        return None;
    }
    let mut docs = Vec::with_capacity(count as usize);
    let mut next = 0;
    for _ in 0..count {
        let doc = take_number(&mut list)?.checked_add(next)?;
        docs.push(doc);
        next = doc.checked_add(1)?;
    }
    Some(docs)
}

/// Writes the ascending positions of one document.
pub fn put_spots(out: &mut Vec<u8>, spots: impl Iterator<Item = u32>, scratch: &mut Vec<u8>) {
    scratch.clear();
    let mut last = 0;
    for spot in spots {
        put_number(scratch, spot - last);
        last = spot;
    }
    put_number(out, u32::try_from(scratch.len()).unwrap_or(u32::MAX));
    out.extend_from_slice(scratch);
}

/// Takes one document's group of positions from the front, to be read by [`each_spot`].
pub fn take_spots<'a>(octets: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = take_number(octets)? as usize;
    let (group, rest) = octets.split_at_checked(length)?;
    *octets = rest;
    Some(group)
}

pub fn each_spot(mut group: &[u8], mut each: impl FnMut(u32)) -> Option<()> {
    let mut at = 0u32;
    while !group.is_empty() {
        at = at.checked_add(take_number(&mut group)?)?;
        each(at);
    }
    Some(())
}

/// A sum that differs when octets were damaged or belong elsewhere. No protection against a forger: who can write here
/// can read the mails.
pub fn sum(seed: u64, octets: &[u8]) -> u64 {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let mix = |h: u64, word: u64| {
        let h = (h ^ word).wrapping_mul(FACTOR);
        h ^ h >> 29
    };
    let mut h = mix(seed ^ FACTOR, octets.len() as u64);
    let (words, rest) = octets.as_chunks::<8>();
    for word in words {
        h = mix(h, u64::from_le_bytes(*word));
    }
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    mix(mix(h, u64::from_le_bytes(last)), FACTOR)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn lists_come_back(docs in proptest::collection::btree_set(0u32..500, 0..300), all in 500u32..600) {
            let docs: Vec<u32> = docs.into_iter().collect();
            let mut list = Vec::new();
            put_docs(&mut list, &docs, all);
            prop_assert_eq!(take_docs(&list, all), Some(docs.clone()));
            prop_assert_eq!(count_docs(&list), Some(docs.len() as u32));
            let mut set = DocSet::none(all);
            add_docs(&list, &mut set).unwrap();
            prop_assert_eq!(set.iter().collect::<Vec<_>>(), docs.clone());
            let mut other = DocSet::none(all);
            [7, 300, 433].into_iter().for_each(|doc| other.insert(doc));
            let met = docs.iter().any(|doc| other.contains(*doc));
            prop_assert_eq!((meets(&list, &other), meets(&list, &DocSet::none(all))), (Some(met), Some(false)));
        }

        #[test]
        fn positions_come_back(groups in proptest::collection::vec(proptest::collection::btree_set(any::<u32>(), 1..20), 1..5)) {
            let (mut octets, mut scratch) = (Vec::new(), Vec::new());
            for group in &groups {
                put_spots(&mut octets, group.iter().copied(), &mut scratch);
            }
            let mut rest = octets.as_slice();
            for group in &groups {
                let mut found = Vec::new();
                each_spot(take_spots(&mut rest).unwrap(), |spot| found.push(spot)).unwrap();
                prop_assert_eq!(&found, &group.iter().copied().collect::<Vec<_>>());
            }
            prop_assert!(rest.is_empty());
        }

        #[test]
        fn damage_changes_the_sum(mut octets in proptest::collection::vec(any::<u8>(), 1..100), at in any::<usize>(), seed in any::<u64>()) {
            let before = sum(seed, &octets);
            let at = at % octets.len();
            octets[at] ^= 0x10;
            prop_assert_ne!(before, sum(seed, &octets));
        }

        /// What is no list is noticed, never a panic.
        #[test]
        fn nonsense_is_no_list(octets in proptest::collection::vec(any::<u8>(), 0..40)) {
            let mut set = DocSet::none(100);
            let _ = (take_docs(&octets, 100), add_docs(&octets, &mut set), count_docs(&octets));
            let mut rest = octets.as_slice();
            while let Some(group) = take_spots(&mut rest) {
                let _ = each_spot(group, |_| {});
            }
        }
    }
}
