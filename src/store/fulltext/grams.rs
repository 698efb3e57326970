//! Which stretches of a dictionary can hold a text at all, so that not all terms are looked through.
//!
//! For each few terms there is a small set of the runs of three octets that stand in them, by hash. A text stands where all
//! its runs are; so a stretch that lacks one is passed over. It says too much at times and never too little, and is made
//! anew whenever a dictionary is read: nothing of it is on the disk.

use crate::domain::needle::{Letters, Needle};
use std::ops::Range;

/// Terms of one stretch. With sets of this size some fifth of a set is filled.
const STRETCH_TERMS: usize = 32;
/// Words of 64 bits in one set.
const SET_WORDS: usize = 16;
/// Octets of a run.
const RUN: usize = 3;

type Set = [u64; SET_WORDS];

#[derive(Debug, Default)]
pub struct Grams {
    sets: Vec<Set>,
}

/// A bit of a set.
type Bit = (usize, u64);

fn bit(run: [u8; RUN]) -> Bit {
    let [a, b, c] = run.map(u32::from);
    let hash = (a << 16 | b << 8 | c).wrapping_mul(0x9e37_79b1) >> 22;
    let hash = hash as usize;
    (hash / 64 % SET_WORDS, 1 << (hash % 64))
}

impl Grams {
    /// Of terms that lie one behind the other, with gaps before, between and behind; `starts` as in a dictionary.
    pub fn of(octets: &[u8], starts: &[u32]) -> Self {
        let terms = starts.len().saturating_sub(1);
        let mut sets = Vec::with_capacity(terms.div_ceil(STRETCH_TERMS));
        for first in (0..terms).step_by(STRETCH_TERMS) {
            let mut set = [0; SET_WORDS];
            let within = octets.get(octets_of(starts, first..first + STRETCH_TERMS));
            for run in within.unwrap_or_default().array_windows::<RUN>() {
                let (word, mask) = bit(*run);
                set[word] |= mask;
            }
            sets.push(set);
        }
        Self { sets }
    }

    pub fn held_bytes(&self) -> usize {
        self.sets.len() * size_of::<Set>()
    }

    /// The octets where a text can stand, in order. Each range begins with the gap before a term and ends behind one.
    pub fn ranges(&self, needle: &Needle, starts: &[u32]) -> Vec<Range<usize>> {
        let runs = runs(needle);
        let mut ranges: Vec<Range<usize>> = Vec::new();
        for (n, set) in self.sets.iter().enumerate() {
            let has = |(word, mask): &Bit| set[*word] & mask != 0;
            if !runs.iter().all(|ways| ways.iter().any(has)) {
                continue;
            }
            let first = n * STRETCH_TERMS;
            let range = octets_of(starts, first..first + STRETCH_TERMS);
            match ranges.last_mut() {
                // The gap between them belongs to both.
                Some(last) if last.end > range.start => last.end = range.end,
                _ => ranges.push(range),
            }
        }
        ranges
    }
}

/// The octets of some terms, with the gaps before and behind each.
fn octets_of(starts: &[u32], terms: Range<usize>) -> Range<usize> {
    let last = starts.len().saturating_sub(1);
    let at = |term: usize| starts.get(term.min(last)).map_or(0, |start| *start as usize);
    at(terms.start).saturating_sub(1)..at(terms.end)
}

/// For each place of a text the runs that may begin there: a set has one of them, or the text is not there.
fn runs(needle: &Needle) -> Vec<Vec<Bit>> {
    let octets = needle.octets();
    let wild = needle.letters() == Letters::AnyI;
    let places = (0..octets.len()).filter_map(|at| {
        let mut ways = Vec::new();
        let whole = spell(octets.get(at..)?, wild, &mut Vec::new(), &mut ways);
        // A run that the text ends may go on anyhow.
        whole.then_some(ways)
    });
    places.collect()
}

/// Adds the ways a text can begin; `false` when it may be shorter than a run.
fn spell(rest: &[u8], wild: bool, so_far: &mut Vec<u8>, ways: &mut Vec<Bit>) -> bool {
    if let Some(run) = so_far.first_chunk::<RUN>() {
        ways.push(bit(*run));
        return true;
    }
    let Some((first, rest)) = rest.split_first() else {
        return false;
    };
    let forms: &[&[u8]] = match first {
        b'i' if wild => &[b"i", "ı".as_bytes()],
        other => &[std::slice::from_ref(other)],
    };
    let length = so_far.len();
    for form in forms {
        so_far.extend_from_slice(form);
        let whole = spell(rest, wild, so_far, ways);
        so_far.truncate(length);
        if !whole {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::super::files::GAP;
    use super::*;
    use proptest::prelude::*;

    /// As a dictionary has them.
    fn laid_out(terms: &[String]) -> (Vec<u8>, Vec<u32>) {
        let mut octets = vec![GAP];
        let mut starts = vec![1];
        for term in terms {
            octets.extend_from_slice(term.as_bytes());
            octets.push(GAP);
            starts.push(octets.len() as u32);
        }
        (octets, starts)
    }

    #[test]
    fn most_stretches_are_passed_over() {
        let terms: Vec<String> = (0..4000u32)
            .map(|n| format!("{:07x} ", n.wrapping_mul(0x9e3_779b)))
            .collect();
        let (octets, starts) = laid_out(&terms);
        let grams = Grams::of(&octets, &starts);
        let wanted = terms[2000].trim_end();
        let ranges = grams.ranges(&Needle::new(wanted.as_bytes(), Letters::Turkish), &starts);
        assert!((1..20).contains(&ranges.len()), "{}", ranges.len());
        let all = grams.ranges(&Needle::new(b"a", Letters::Turkish), &starts);
        assert_eq!(
            all,
            vec![std::ops::Range {
                start: 0,
                end: octets.len()
            }]
        );
    }

    proptest! {
        /// Wherever a text stands is in a range; also where it begins or ends a term.
        #[test]
        fn nothing_is_passed_over_that_holds_the_text(
            terms in proptest::collection::vec("[aıibk]{1,6}", 1..120),
            text in "[aıibk]{1,5}",
            (front, back) in any::<(bool, bool)>(),
        ) {
            let (octets, starts) = laid_out(&terms);
            let grams = Grams::of(&octets, &starts);
            let gap = |there: bool| if there { vec![GAP] } else { vec![] };
            let text = [gap(front), text.into_bytes(), gap(back)].concat();
            for letters in [Letters::Turkish, Letters::AnyI] {
                let needle = Needle::new(&text, letters);
                let ranges = grams.ranges(&needle, &starts);
                prop_assert!(ranges.is_sorted_by(|a, b| a.end <= b.start));
                let mut at = 0;
                while let Some(hit) = needle.first_in(&octets, at) {
                    let within = |range: &Range<usize>| {
                        needle.first_in(&octets[..range.end], range.start.max(hit)) == Some(hit)
                    };
                    prop_assert!(ranges.iter().any(within), "{} in {:?}", hit, ranges);
                    at = hit + 1;
                }
            }
        }
    }
}
