//! A page of results: `1:500`, or `-1:-100` counted from the last (RFC 9394 4, `partial-range`).

use super::grammar::{Cursor, Malformed};
use std::fmt;
use std::ops::Range;

/// Which results of all are wanted. Kept as written: the answer repeats it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartialRange {
    first: u32,
    second: u32,
    /// -1 is the last result.
    from_end: bool,
}

impl PartialRange {
    pub fn read(cursor: &mut Cursor<'_>) -> Result<Self, Malformed> {
        let (first, first_back) = Self::index(cursor)?;
        cursor.expect(b':', "a partial range is two numbers with a colon")?;
        let (second, second_back) = Self::index(cursor)?;
        if first_back != second_back {
            return Err(Malformed("both ends of a partial range count from the same side"));
        }
        Ok(Self {
            first,
            second,
            from_end: first_back,
        })
    }

    fn index(cursor: &mut Cursor<'_>) -> Result<(u32, bool), Malformed> {
        let back = cursor.eat(b'-');
        let number = u32::try_from(cursor.number()?).ok().filter(|n| *n > 0);
        let number = number.ok_or(Malformed("a partial range counts from 1"))?;
        Ok((number, back))
    }

    /// The wanted part of `count` results; empty when it lies beyond them. RFC 9394 4: 500:400 is the same as 400:500.
    pub fn of(self, count: usize) -> Range<usize> {
        let low = self.first.min(self.second) as usize;
        let high = self.first.max(self.second) as usize;
        if self.from_end {
            let end = count.saturating_sub(low - 1);
            count.saturating_sub(high).min(end)..end
        } else {
            let end = high.min(count);
            (low - 1).min(end)..end
        }
    }
}

impl fmt::Display for PartialRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let minus = if self.from_end { "-" } else { "" };
        write!(f, "{minus}{}:{minus}{}", self.first, self.second)
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use proptest::prelude::*;

    pub fn any_range() -> impl Strategy<Value = PartialRange> {
        (1..=u32::MAX, 1..=u32::MAX, any::<bool>()).prop_map(|(first, second, from_end)| PartialRange {
            first,
            second,
            from_end,
        })
    }

    fn read(text: &str) -> Result<PartialRange, Malformed> {
        let mut cursor = Cursor(text.as_bytes());
        let range = PartialRange::read(&mut cursor)?;
        cursor.end().map(|()| range)
    }

    #[test]
    fn pages_from_either_end() {
        let of = |text: &str, count| read(text).unwrap().of(count);
        assert_eq!(of("1:500", 264), 0..264);
        assert_eq!(of("23500:24000", 23_764), 23_499..23_764);
        assert!(of("24000:24500", 23_764).is_empty());
        assert_eq!(of("-1:-100", 23_764), 23_664..23_764);
        assert_eq!(of("-3:-2", 4), 1..3);
        assert_eq!(of("-5:-9", 6), 0..2);
        assert!(of("-7:-9", 6).is_empty());
        assert_eq!(of("5:1", 3), 0..3);
        assert!(of("-1:-1", 0).is_empty());
        assert_eq!(of("1:4294967295", 2), 0..2);
        for bad in [
            "1",
            "0:1",
            "1:*",
            "-1:2",
            "1:-2",
            "-0:-1",
            "4294967296:1",
            ":1",
            "--1:-2",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn print_and_parse_are_inverses(range in any_range()) {
            prop_assert_eq!(read(&range.to_string()), Ok(range));
        }

        #[test]
        fn a_page_is_what_counting_gives(first in 1..9u32, second in 1..9u32, from_end: bool, count in 0..9usize) {
            let range = PartialRange { first, second, from_end };
            let picked: Vec<usize> = range.of(count).collect();
            let wanted = (first.min(second) as usize)..=(first.max(second) as usize);
            let place = |i: usize| if from_end { count - i } else { i + 1 };
            let counted: Vec<usize> = (0..count).filter(|i| wanted.contains(&place(*i))).collect();
            prop_assert_eq!(picked, counted);
        }
    }
}
