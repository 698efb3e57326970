//! SORT and THREAD (RFC 5256 5), SORT with RETURN (RFC 5267 3.1: ESORT). The charset is not optional here.

use super::command::{Command, Numbering};
use super::grammar::{Cursor, Malformed};
use super::parse_search::{charset, criteria, returns};
use super::sort::SortKey;
use super::thread::ThreadAlgorithm;

/// What follows the word SORT.
pub fn sort(cursor: &mut Cursor<'_>, numbering: Numbering) -> Result<Command, Malformed> {
    cursor.space()?;
    let returns = returns(cursor)?;
    let order = SortKey::read_list(cursor)?;
    cursor.space()?;
    let charset = charset(cursor, returns)?;
    cursor.space()?;
    let key = criteria(cursor, Some(charset))?;
    Ok(Command::Sort {
        numbering,
        returns,
        order,
        charset,
        key,
    })
}

/// What follows the word THREAD.
pub fn thread(cursor: &mut Cursor<'_>, numbering: Numbering) -> Result<Command, Malformed> {
    cursor.space()?;
    let word = cursor.atom()?;
    let named = ThreadAlgorithm::ALL
        .iter()
        .find(|(_, name)| name.eq_ignore_ascii_case(word));
    let (algorithm, _) = named.ok_or(Malformed("an unknown threading algorithm"))?;
    cursor.space()?;
    let charset = charset(cursor, None)?;
    cursor.space()?;
    Ok(Command::Thread {
        numbering,
        algorithm: *algorithm,
        charset,
        key: criteria(cursor, Some(charset))?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::parse_search::tests::{any_returns, key, printed};
    use super::super::search::Charset;
    use super::super::sort::SortField;
    use super::*;
    use crate::imap::limits::SORT_KEYS_MAX;
    use crate::imap::name::Spelling;
    use crate::imap::parse::parse;
    use proptest::prelude::*;

    fn read(text: &str) -> Result<Command, &'static str> {
        let tagged = parse(format!("a {text}\r\n").as_bytes(), Spelling::Utf7);
        tagged.map(|t| t.command).map_err(|bad| bad.text)
    }

    #[test]
    fn what_is_not_a_sort_or_a_thread() {
        for bad in [
            "SORT",
            "SORT (DATE) ALL",
            "SORT () UTF-8 ALL",
            "SORT DATE UTF-8 ALL",
            "SORT (REVERSE) UTF-8 ALL",
            "SORT (REVERSE REVERSE DATE) UTF-8 ALL",
            "SORT (BOGUS) UTF-8 ALL",
            "SORT (DATE) UTF-8",
            "SORT RETURN (DATE) (DATE) UTF-8 ALL",
            "UID SORT",
            "THREAD BOGUS UTF-8 ALL",
            "THREAD REFERENCES UTF-8",
            "UID THREAD REFERENCES ALL",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
        let criteria = |n: usize| format!("SORT ({}) UTF-8 ALL", vec!["DATE"; n].join(" "));
        assert!(read(&criteria(SORT_KEYS_MAX)).is_ok());
        assert_eq!(read(&criteria(SORT_KEYS_MAX + 1)), Err("the list is too long"));
        assert!(read("sort (reverse subject) us-ascii all").is_ok());
    }

    fn numbering() -> impl Strategy<Value = (Numbering, &'static str)> {
        prop_oneof![Just((Numbering::Sequence, "")), Just((Numbering::Uid, "UID "))]
    }

    fn order() -> impl Strategy<Value = Vec<SortKey>> {
        let one = (0..SortField::ALL.len(), any::<bool>()).prop_map(|(at, reverse)| SortKey {
            field: SortField::ALL[at].0,
            reverse,
        });
        prop::collection::vec(one, 1..6)
    }

    proptest! {
        #[test]
        fn print_and_parse_of_sort_are_inverses(
            (numbering, uid) in numbering(), returns in prop::option::of(any_returns()), order in order(), key in key(),
        ) {
            let option = returns.as_ref().map_or(String::new(), |r| format!("{} ", printed(r)));
            let words: Vec<String> = order.iter().map(ToString::to_string).collect();
            let text = format!("{uid}SORT {option}({}) UTF-8 {key}", words.join(" "));
            prop_assert_eq!(read(&text), Ok(Command::Sort { numbering, returns, order, charset: Charset::Utf8, key }));
        }

        #[test]
        fn print_and_parse_of_thread_are_inverses(
            (numbering, uid) in numbering(), references: bool, key in key(),
        ) {
            let algorithm = if references { ThreadAlgorithm::References } else { ThreadAlgorithm::OrderedSubject };
            let text = format!("{uid}THREAD {algorithm} \"utf-8\" {key}");
            prop_assert_eq!(read(&text), Ok(Command::Thread { numbering, algorithm, charset: Charset::Utf8, key }));
        }
    }
}
