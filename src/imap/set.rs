//! Sequence sets (RFC 9051 9, `sequence-set`) and what they become once resolved: ranges of UIDs.
//!
//! A set is never expanded: `1:4294967295` stays one range, and resolving costs no more than the mailbox has messages.

use std::fmt;
use std::ops::RangeInclusive;

/// One end of a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Bound {
    /// 1 or more.
    Number(u32),
    /// `*`: the last message.
    Last,
    /// `$`: what the last SEARCH saved (RFC 5182). Always both ends of the only range of its set.
    Saved,
}

/// Sequence numbers or UIDs as the client wrote them, not yet resolved. Never empty when it comes from the parser.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct SequenceSet(pub Vec<(Bound, Bound)>);

/// What a set in a SEARCH key counts in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SearchSet {
    Sequence(SequenceSet),
    Uid(SequenceSet),
}

/// UIDs as ascending ranges that neither touch nor overlap.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct UidRanges(Vec<(u32, u32)>);

impl SequenceSet {
    /// Ascending, disjoint ranges with `*` taken as `last`; nothing when `last` is 0 (RFC 9051 9, `seq-range`).
    pub fn resolve(&self, last: u32) -> UidRanges {
        if last == 0 {
            return UidRanges::default();
        }
        let number = |bound: Bound| match bound {
            Bound::Number(n) => n,
            Bound::Last => last,
            // Only a view knows what was saved; below, 0 is in no range.
            Bound::Saved => 0,
        };
        UidRanges::from_pairs(self.0.iter().map(|&(a, b)| {
            let (a, b) = (number(a), number(b));
            (a.min(b), a.max(b))
        }))
    }

    /// `$`.
    pub fn saved() -> Self {
        Self(vec![(Bound::Saved, Bound::Saved)])
    }

    pub fn is_saved(&self) -> bool {
        matches!(self.0[..], [(Bound::Saved, Bound::Saved)])
    }

    /// RFC 5182 3: `$` stands for a whole set, not for a part of one.
    pub fn parse(text: &str) -> Option<Self> {
        if text == "$" {
            return Some(Self::saved());
        }
        let bound = |text: &str| match text {
            "*" => Some(Bound::Last),
            _ if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) => {
                text.parse().ok().filter(|n| *n > 0).map(Bound::Number)
            }
            _ => None,
        };
        let range = |text: &str| match text.split_once(':') {
            Some((a, b)) => Some((bound(a)?, bound(b)?)),
            None => bound(text).map(|b| (b, b)),
        };
        text.split(',').map(range).collect::<Option<Vec<_>>>().map(Self)
    }
}

impl fmt::Display for SequenceSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bound = |b: &Bound| match b {
            Bound::Number(n) => n.to_string(),
            Bound::Last => "*".to_owned(),
            Bound::Saved => "$".to_owned(),
        };
        for (i, (a, b)) in self.0.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            if a == b {
                write!(f, "{comma}{}", bound(a))?;
            } else {
                write!(f, "{comma}{}:{}", bound(a), bound(b))?;
            }
        }
        Ok(())
    }
}

impl UidRanges {
    /// Sorts and joins pairs of (low, high).
    pub fn from_pairs(pairs: impl Iterator<Item = (u32, u32)>) -> Self {
        let mut pairs: Vec<(u32, u32)> = pairs.filter(|(a, b)| a <= b && *b > 0).collect();
        pairs.sort_unstable();
        let mut joined: Vec<(u32, u32)> = Vec::with_capacity(pairs.len().min(1024));
        for (a, b) in pairs {
            match joined.last_mut() {
                Some((_, end)) if a <= end.saturating_add(1) => *end = (*end).max(b),
                _ => joined.push((a, b)),
            }
        }
        Self(joined)
    }

    /// Ranges covering exactly these numbers.
    pub fn from_numbers(numbers: impl Iterator<Item = u32>) -> Self {
        Self::from_pairs(numbers.map(|n| (n, n)))
    }

    pub fn contains(&self, uid: u32) -> bool {
        let at = self.0.partition_point(|(_, high)| *high < uid);
        self.0.get(at).is_some_and(|(low, _)| *low <= uid)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many ranges there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn ranges(&self) -> impl Iterator<Item = RangeInclusive<u32>> + '_ {
        self.0.iter().map(|&(a, b)| a..=b)
    }
}

/// The form of COPYUID, ESEARCH and the like: `2,5:9`.
impl fmt::Display for UidRanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_ranges(f, self.0.iter().copied())
    }
}

/// Writes numbers in the given order, joining only neighbours that ascend by one: COPYUID pairs sets by position.
pub fn in_order(numbers: impl Iterator<Item = u32>) -> String {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for n in numbers {
        match ranges.last_mut() {
            Some((_, end)) if end.checked_add(1) == Some(n) => *end = n,
            _ => ranges.push((n, n)),
        }
    }
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write_ranges(&mut text, ranges.into_iter());
    text
}

fn write_ranges(out: &mut impl fmt::Write, ranges: impl Iterator<Item = (u32, u32)>) -> fmt::Result {
    for (i, (a, b)) in ranges.enumerate() {
        let comma = if i == 0 { "" } else { "," };
        if a == b {
            write!(out, "{comma}{a}")?;
        } else {
            write!(out, "{comma}{a}:{b}")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn resolved(text: &str, last: u32) -> String {
        SequenceSet::parse(text).unwrap().resolve(last).to_string()
    }

    #[test]
    fn stars_and_reversed_ranges() {
        assert_eq!(resolved("559:*", 10), "10:559");
        assert_eq!(resolved("*:2", 10), "2:10");
        assert_eq!(resolved("*", 10), "10");
        assert_eq!(resolved("1:*", 0), "");
        assert_eq!(resolved("9,1:3,2:5,6", 10), "1:6,9");
        assert_eq!(resolved("1:4294967295", 10), "1:4294967295");
        assert_eq!(SequenceSet::parse("$"), Some(SequenceSet::saved()));
        assert_eq!(SequenceSet::saved().to_string(), "$");
        assert!(SequenceSet::saved().resolve(10).is_empty());
        for bad in [
            "1,$",
            "$,1",
            "$:3",
            "",
            "0",
            "1:",
            ":1",
            "1,,2",
            "4294967296",
            "+1",
            "a",
            "1:2:3",
        ] {
            assert_eq!(SequenceSet::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn order_is_kept_where_position_matters() {
        assert_eq!(in_order([4, 5, 6, 2, 1, 9].into_iter()), "4:6,2,1,9");
        assert_eq!(in_order([u32::MAX].into_iter()), "4294967295");
    }

    fn bound() -> impl Strategy<Value = Bound> {
        prop_oneof![4 => (1..40u32).prop_map(Bound::Number), 1 => Just(Bound::Last)]
    }

    proptest! {
        #[test]
        fn print_and_parse_are_inverses(pairs in prop::collection::vec((bound(), bound()), 1..20)) {
            let set = SequenceSet(pairs);
            prop_assert_eq!(SequenceSet::parse(&set.to_string()), Some(set));
        }

        #[test]
        fn resolving_agrees_with_counting(pairs in prop::collection::vec((bound(), bound()), 1..8), last in 1..40u32) {
            let set = SequenceSet(pairs);
            let ranges = set.resolve(last);
            let n = |b: Bound| if let Bound::Number(n) = b { n } else { last };
            for uid in 0..50 {
                let naive = set.0.iter().any(|&(a, b)| (n(a).min(n(b))..=n(a).max(n(b))).contains(&uid));
                prop_assert_eq!(ranges.contains(uid), naive);
            }
        }
    }
}
