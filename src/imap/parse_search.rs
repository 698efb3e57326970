//! SEARCH and UID SEARCH (RFC 9051 6.4.4): RETURN options (RFC 4731, 5182, 9394), CHARSET, and the keys with those of
//! RFC 5032 (WITHIN), 8474 (OBJECTID) and 8514 (SAVEDATE), of bounded depth and number.
//!
//! imap-codec stops at eight levels and does not know RETURN; clients that join words with OR go deeper.

use super::command::{Command, Numbering, SearchReturns};
use super::flag::{Flag, Keyword};
use super::grammar::{Cursor, Malformed};
use super::limits::{SEARCH_DEPTH_MAX, SEARCH_KEYS_MAX, SEARCH_TEXTS_MAX};
use super::partial::PartialRange;
use super::search::{Charset, Date, MONTHS, SearchKey, When};
use super::set::SearchSet;

type Key = SearchKey<SearchSet>;

/// Said when the charset is not one of ours; the session answers NO with BADCHARSET to it.
pub const BAD_CHARSET: &str = "only US-ASCII and UTF-8 are searched";
/// The same for a search with SAVE: what was saved before is then forgotten (RFC 5182 2.1).
pub const BAD_CHARSET_SAVING: &str = "only US-ASCII and UTF-8 are searched; nothing is saved";

/// What follows the word SEARCH.
pub fn search(cursor: &mut Cursor<'_>, numbering: Numbering) -> Result<Command, Malformed> {
    cursor.space()?;
    let returns = returns(cursor)?;
    let mut named = None;
    if cursor.word("CHARSET") {
        cursor.space()?;
        named = Some(charset(cursor, returns)?);
        cursor.space()?;
    }
    let key = criteria(cursor, named)?;
    Ok(Command::Search {
        numbering,
        returns,
        charset: named,
        key,
    })
}

/// `RETURN (...)` and the space behind it, where there is one.
pub(super) fn returns(cursor: &mut Cursor<'_>) -> Result<Option<SearchReturns>, Malformed> {
    if !cursor.word("RETURN") {
        return Ok(None);
    }
    cursor.space()?;
    let returns = return_options(cursor)?;
    cursor.space()?;
    Ok(Some(returns))
}

pub(super) fn charset(cursor: &mut Cursor<'_>, returns: Option<SearchReturns>) -> Result<Charset, Malformed> {
    let wanted = cursor.astring()?;
    let named = |(_, name): &&(Charset, &str)| wanted.eq_ignore_ascii_case(name.as_bytes());
    match (Charset::ALL.iter().find(named), returns) {
        (Some((charset, _)), _) => Ok(*charset),
        (None, Some(SearchReturns { save: true, .. })) => Err(Malformed(BAD_CHARSET_SAVING)),
        (None, _) => Err(Malformed(BAD_CHARSET)),
    }
}

/// `search-key *(SP search-key)`: all of them must hold. Their texts are in the charset that was named.
pub(super) fn criteria(cursor: &mut Cursor<'_>, named: Option<Charset>) -> Result<Key, Malformed> {
    let key = keys(cursor)?;
    if named == Some(Charset::UsAscii) && !key.is_ascii() {
        return Err(Malformed("a text is not US-ASCII, as the search says it is"));
    }
    Ok(key)
}

fn keys(cursor: &mut Cursor<'_>) -> Result<Key, Malformed> {
    let mut keys = Keys {
        left: SEARCH_KEYS_MAX,
        texts_left: SEARCH_TEXTS_MAX,
    };
    let mut all = vec![keys.key(cursor, 0)?];
    while cursor.eat(b' ') {
        all.push(keys.key(cursor, 0)?);
    }
    Ok(and(all))
}

fn return_options(cursor: &mut Cursor<'_>) -> Result<SearchReturns, Malformed> {
    let mut returns = SearchReturns::default();
    let options = cursor.list(0, 8, |c| {
        let option = match c.atom()?.to_ascii_uppercase().as_str() {
            "MIN" => &mut returns.min,
            "MAX" => &mut returns.max,
            "ALL" if returns.all => return Err(ONE_PART),
            "ALL" => &mut returns.all,
            "COUNT" => &mut returns.count,
            "SAVE" => &mut returns.save,
            "PARTIAL" => {
                c.space()?;
                let range = PartialRange::read(c)?;
                return match returns.partial.replace(range) {
                    None => Ok(()),
                    Some(_) => Err(ONE_PART),
                };
            }
            _ => return Err(Malformed("an unknown return option")),
        };
        *option = true;
        Ok(())
    })?;
    // RFC 4731 3.1: nothing named means ALL.
    returns.all |= options.is_empty();
    if returns.all && returns.partial.is_some() {
        return Err(ONE_PART);
    }
    Ok(returns)
}

/// RFC 9394 3.1.
const ONE_PART: Malformed = Malformed("one PARTIAL or ALL, not more");

fn and(mut keys: Vec<Key>) -> Key {
    match keys.pop() {
        Some(only) if keys.is_empty() => only,
        Some(last) => {
            keys.push(last);
            SearchKey::And(keys)
        }
        None => SearchKey::All,
    }
}

/// Counts the keys of one command.
struct Keys {
    left: usize,
    /// Those that look for a text.
    texts_left: usize,
}

impl Keys {
    fn key(&mut self, cursor: &mut Cursor<'_>, depth: usize) -> Result<Key, Malformed> {
        self.left = self
            .left
            .checked_sub(1)
            .ok_or(Malformed("the search has too many keys"))?;
        if depth > SEARCH_DEPTH_MAX {
            return Err(Malformed("the search is nested too deeply"));
        }
        match cursor.peek() {
            Some(b'(') => {
                let keys = cursor.list(1, SEARCH_KEYS_MAX, |c| self.key(c, depth + 1))?;
                Ok(and(keys))
            }
            Some(b'0'..=b'9' | b'*' | b'$') => Ok(SearchKey::Set(SearchSet::Sequence(cursor.set()?))),
            _ => self.word(cursor, depth),
        }
    }

    fn word(&mut self, cursor: &mut Cursor<'_>, depth: usize) -> Result<Key, Malformed> {
        let word = cursor.atom()?.to_ascii_uppercase();
        let not = |key: Key| SearchKey::Not(Box::new(key));
        Ok(match word.as_str() {
            "NOT" => {
                cursor.space()?;
                not(self.key(cursor, depth + 1)?)
            }
            "OR" => {
                cursor.space()?;
                let a = Box::new(self.key(cursor, depth + 1)?);
                cursor.space()?;
                SearchKey::Or(a, Box::new(self.key(cursor, depth + 1)?))
            }
            // RFC 3501 6.4.4: NEW is RECENT UNSEEN.
            "NEW" => and(vec![SearchKey::Recent, not(SearchKey::Flag(Flag::Seen))]),
            "RECENT" => SearchKey::Recent,
            "OLD" => not(SearchKey::Recent),
            "MODSEQ" => modseq(cursor)?,
            _ => match plain(&word) {
                Some(key) => key,
                None => self.counted(with_argument(&word, cursor)?)?,
            },
        })
    }

    fn counted(&mut self, key: Key) -> Result<Key, Malformed> {
        if matches!(
            key,
            SearchKey::Header(..) | SearchKey::Body(_) | SearchKey::Text(_)
        ) {
            self.texts_left = self
                .texts_left
                .checked_sub(1)
                .ok_or(Malformed("the search looks for too many texts"))?;
        }
        Ok(key)
    }
}

/// Keys without an argument.
fn plain(word: &str) -> Option<Key> {
    match word {
        "ALL" => return Some(SearchKey::All),
        "SAVEDATESUPPORTED" => return Some(SearchKey::SaveDateSupported),
        _ => {}
    }
    let flag = |word: &str| match word {
        "ANSWERED" => Some(Flag::Answered),
        "DELETED" => Some(Flag::Deleted),
        "DRAFT" => Some(Flag::Draft),
        "FLAGGED" => Some(Flag::Flagged),
        "SEEN" => Some(Flag::Seen),
        _ => None,
    };
    flag(word).map(SearchKey::Flag).or_else(|| {
        let key = flag(word.strip_prefix("UN")?)?;
        Some(SearchKey::Not(Box::new(SearchKey::Flag(key))))
    })
}

fn with_argument(word: &str, cursor: &mut Cursor<'_>) -> Result<Key, Malformed> {
    const UNKNOWN: Malformed = Malformed("an unknown search key");
    const WITH: [&str; 26] = [
        "EMAILID",
        "OLDER",
        "SAVEDBEFORE",
        "SAVEDON",
        "SAVEDSINCE",
        "THREADID",
        "YOUNGER",
        "BCC",
        "BEFORE",
        "BODY",
        "CC",
        "FROM",
        "HEADER",
        "KEYWORD",
        "LARGER",
        "ON",
        "SENTBEFORE",
        "SENTON",
        "SENTSINCE",
        "SINCE",
        "SMALLER",
        "SUBJECT",
        "TEXT",
        "TO",
        "UID",
        "UNKEYWORD",
    ];
    if !WITH.contains(&word) {
        return Err(UNKNOWN);
    }
    cursor.space()?;
    let dated =
        |cursor: &mut Cursor<'_>, make: fn(When, Date) -> Key, when| date(cursor).map(|d| make(when, d));
    match word {
        "BCC" | "CC" | "FROM" | "SUBJECT" | "TO" => Ok(SearchKey::Header(word.to_owned(), text(cursor)?)),
        "HEADER" => {
            let name = text(cursor)?;
            cursor.space()?;
            Ok(SearchKey::Header(name, text(cursor)?))
        }
        "BODY" => text(cursor).map(SearchKey::Body),
        "TEXT" => text(cursor).map(SearchKey::Text),
        "BEFORE" => dated(cursor, SearchKey::Internal, When::Before),
        "ON" => dated(cursor, SearchKey::Internal, When::On),
        "SINCE" => dated(cursor, SearchKey::Internal, When::Since),
        "SENTBEFORE" => dated(cursor, SearchKey::Sent, When::Before),
        "SENTON" => dated(cursor, SearchKey::Sent, When::On),
        "SENTSINCE" => dated(cursor, SearchKey::Sent, When::Since),
        "SAVEDBEFORE" => dated(cursor, SearchKey::SavedAt, When::Before),
        "SAVEDON" => dated(cursor, SearchKey::SavedAt, When::On),
        "SAVEDSINCE" => dated(cursor, SearchKey::SavedAt, When::Since),
        "OLDER" => seconds(cursor).map(SearchKey::OlderThan),
        "YOUNGER" => seconds(cursor).map(SearchKey::YoungerThan),
        "EMAILID" => object_id(cursor).map(SearchKey::EmailId),
        "THREADID" => object_id(cursor).map(SearchKey::ThreadId),
        "LARGER" => cursor.number().map(SearchKey::LargerThan),
        "SMALLER" => cursor.number().map(SearchKey::SmallerThan),
        "UID" => cursor.set().map(|s| SearchKey::Set(SearchSet::Uid(s))),
        "KEYWORD" => keyword(cursor),
        "UNKEYWORD" => keyword(cursor).map(|key| SearchKey::Not(Box::new(key))),
        _ => Err(UNKNOWN),
    }
}

/// `MODSEQ ["/flags/\\draft" all] 620162338` (RFC 7162 3.1.5). There is one mod-sequence for all a message shows, so the
/// entry only has to be well formed.
fn modseq(cursor: &mut Cursor<'_>) -> Result<Key, Malformed> {
    cursor.space()?;
    if cursor.peek() == Some(b'"') {
        let entry = cursor.string()?;
        if !entry.starts_with(b"/flags/") {
            return Err(Malformed("only flags have mod-sequences"));
        }
        cursor.space()?;
        if !["priv", "shared", "all"].iter().any(|word| cursor.word(word)) {
            return Err(Malformed("priv, shared or all was expected"));
        }
        cursor.space()?;
    }
    cursor.number().map(SearchKey::ModSeq)
}

fn keyword(cursor: &mut Cursor<'_>) -> Result<Key, Malformed> {
    let word = Keyword::new(cursor.atom()?).ok_or(Malformed("the keyword is too long"))?;
    Ok(SearchKey::Flag(Flag::Keyword(word)))
}

/// `interval = nz-number` (RFC 5032 4).
fn seconds(cursor: &mut Cursor<'_>) -> Result<u32, Malformed> {
    let number = u32::try_from(cursor.number()?).ok().filter(|n| *n > 0);
    number.ok_or(Malformed("an interval is at least one second"))
}

/// `objectid = 1*255(ALPHA / DIGIT / "_" / "-")` (RFC 8474 7).
fn object_id(cursor: &mut Cursor<'_>) -> Result<String, Malformed> {
    let id = cursor.take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    match std::str::from_utf8(id) {
        Ok(id) if (1..=255).contains(&id.len()) => Ok(id.to_owned()),
        _ => Err(Malformed("that is not an object id")),
    }
}

fn text(cursor: &mut Cursor<'_>) -> Result<String, Malformed> {
    String::from_utf8(cursor.astring()?).map_err(|_| Malformed("the text is not UTF-8"))
}

/// `1-Feb-1994`, with or without quotes.
fn date(cursor: &mut Cursor<'_>) -> Result<Date, Malformed> {
    let octets = cursor.astring()?;
    let read = || {
        let text = std::str::from_utf8(&octets).ok()?;
        let mut parts = text.split('-');
        let (day, month, year) = (parts.next()?, parts.next()?, parts.next()?);
        let digits =
            |t: &str, most: usize| (1..=most).contains(&t.len()) && t.bytes().all(|b| b.is_ascii_digit());
        if parts.next().is_some() || !digits(day, 2) || year.len() != 4 || !digits(year, 4) {
            return None;
        }
        let month = MONTHS.iter().position(|m| m.eq_ignore_ascii_case(month))? + 1;
        Date::new(year.parse().ok()?, i8::try_from(month).ok()?, day.parse().ok()?)
    };
    read().ok_or(Malformed("that is not a date"))
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::imap::partial::tests::any_range;
    use crate::imap::set::{Bound, SequenceSet};
    use imap_codec::CommandCodec;
    use imap_codec::decode::Decoder;
    use proptest::prelude::*;

    fn read(text: &str) -> Result<Key, Malformed> {
        let mut cursor = Cursor(text.as_bytes());
        match search(&mut cursor, Numbering::Sequence)? {
            Command::Search { key, .. } => cursor.end().map(|()| key),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn depth_and_number_of_keys_are_bounded() {
        let nested = |depth: usize| format!(" {}ALL{}", "(".repeat(depth), ")".repeat(depth));
        assert_eq!(read(&nested(SEARCH_DEPTH_MAX)), Ok(SearchKey::All));
        assert!(read(&nested(SEARCH_DEPTH_MAX + 1)).is_err());
        assert!(read(&" ALL".repeat(SEARCH_KEYS_MAX)).is_ok());
        assert!(read(&" ALL".repeat(SEARCH_KEYS_MAX + 1)).is_err());
        assert!(read(&format!(" {}ALL", "OR ALL ".repeat(90))).is_ok());
        assert!(read(&" TEXT x".repeat(SEARCH_TEXTS_MAX)).is_ok());
        let many = read(&" FROM x".repeat(SEARCH_TEXTS_MAX + 1));
        assert_eq!(many, Err(Malformed("the search looks for too many texts")));
    }

    #[test]
    fn what_is_not_a_search() {
        for bad in [
            "",
            " ",
            " ()",
            " NOT",
            " OR ALL",
            " (ALL",
            " ALL ",
            " 0",
            " LARGER -1",
            " CHARSET UTF-8",
            " FROM",
            " OLDER 0",
            " YOUNGER 4294967296",
            " YOUNGER -1",
            " EMAILID \"a b\"",
            " THREADID ",
            " $,1",
            " UID 1,$",
            " RETURN (ALL PARTIAL 1:2) ALL",
            " RETURN (ALL ALL) ALL",
            " RETURN (PARTIAL 1:2 PARTIAL 3:4) ALL",
            " RETURN (PARTIAL) ALL",
            " RETURN (SAVE",
            " CHARSET US-ASCII TEXT \"ç\"",
        ] {
            assert!(read(bad).is_err(), "{bad:?}");
        }
        assert_eq!(
            read(" unseen"),
            Ok(SearchKey::Not(Box::new(SearchKey::Flag(Flag::Seen))))
        );
        assert_eq!(read(" old"), Ok(SearchKey::Not(Box::new(SearchKey::Recent))));
    }

    fn date() -> impl Strategy<Value = (When, Date)> {
        let day = (1990..2090i16, 1..=12i8, 1..=28i8).prop_map(|(y, m, d)| Date::new(y, m, d).unwrap());
        let when = prop_oneof![Just(When::Before), Just(When::On), Just(When::Since)];
        (when, day)
    }

    /// Keys of RFC 3501.
    fn old_leaf() -> impl Strategy<Value = Key> {
        let set = prop::collection::vec((1..99u32, 1..99u32), 1..4).prop_map(|pairs| {
            SequenceSet(
                pairs
                    .into_iter()
                    .map(|(a, b)| (Bound::Number(a), Bound::Number(b)))
                    .collect(),
            )
        });
        // Any text at all, line ends and quotes included.
        let text = "[^\0]{0,12}";
        prop_oneof![
            Just(SearchKey::All),
            Just(SearchKey::Recent),
            Just(SearchKey::Flag(Flag::Flagged)),
            "[a-zA-Z$][a-z0-9]{0,8}".prop_map(|k| SearchKey::Flag(Flag::Keyword(Keyword::new(&k).unwrap()))),
            set.clone().prop_map(|s| SearchKey::Set(SearchSet::Sequence(s))),
            set.prop_map(|s| SearchKey::Set(SearchSet::Uid(s))),
            date().prop_map(|(w, d)| SearchKey::Internal(w, d)),
            date().prop_map(|(w, d)| SearchKey::Sent(w, d)),
            ("[A-Za-z-]{1,9}", text).prop_map(|(n, t)| SearchKey::Header(n, t)),
            text.prop_map(SearchKey::Body),
            text.prop_map(SearchKey::Text),
            any::<u32>().prop_map(|n| SearchKey::LargerThan(u64::from(n))),
            any::<u32>().prop_map(|n| SearchKey::ModSeq(u64::from(n))),
        ]
    }

    fn new_leaf() -> impl Strategy<Value = Key> {
        prop_oneof![
            Just(SearchKey::Set(SearchSet::Sequence(SequenceSet::saved()))),
            Just(SearchKey::Set(SearchSet::Uid(SequenceSet::saved()))),
            date().prop_map(|(w, d)| SearchKey::SavedAt(w, d)),
            Just(SearchKey::SaveDateSupported),
            (1..=u32::MAX).prop_map(SearchKey::OlderThan),
            (1..=u32::MAX).prop_map(SearchKey::YoungerThan),
            "[A-Za-z0-9_-]{1,12}".prop_map(SearchKey::EmailId),
            "[A-Za-z0-9_-]{1,12}".prop_map(SearchKey::ThreadId),
        ]
    }

    pub fn any_returns() -> impl Strategy<Value = SearchReturns> {
        let flags = any::<[bool; 5]>();
        (flags, prop::option::of(any_range())).prop_map(|([min, max, all, count, save], partial)| {
            let all = (all && partial.is_none()) || (partial.is_none() && !min && !max && !count && !save);
            SearchReturns {
                min,
                max,
                all,
                count,
                save,
                partial,
            }
        })
    }

    pub fn printed(returns: &SearchReturns) -> String {
        let mut words: Vec<String> = [
            (returns.min, "MIN"),
            (returns.max, "MAX"),
            (returns.all, "ALL"),
            (returns.count, "COUNT"),
            (returns.save, "SAVE"),
        ]
        .into_iter()
        .filter(|(named, _)| *named)
        .map(|(_, word)| word.to_owned())
        .collect();
        words.extend(returns.partial.map(|range| format!("PARTIAL {range}")));
        format!("RETURN ({})", words.join(" "))
    }

    pub fn key() -> impl Strategy<Value = Key> {
        tree(prop_oneof![3 => old_leaf(), 2 => new_leaf()])
    }

    fn tree(leaf: impl Strategy<Value = Key> + 'static) -> impl Strategy<Value = Key> {
        leaf.prop_recursive(5, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 2..4).prop_map(SearchKey::And),
                inner.clone().prop_map(|k| SearchKey::Not(Box::new(k))),
                (inner.clone(), inner).prop_map(|(a, b)| SearchKey::Or(Box::new(a), Box::new(b))),
            ]
        })
    }

    proptest! {
        #[test]
        fn print_and_parse_are_inverses(key in key()) {
            prop_assert_eq!(read(&format!(" {key}")), Ok(key));
        }

        #[test]
        fn return_options_and_their_print_are_inverses(returns in any_returns()) {
            let text = format!(" {} ALL", printed(&returns));
            let read = search(&mut Cursor(text.as_bytes()), Numbering::Uid);
            let want = Command::Search { numbering: Numbering::Uid, returns: Some(returns), charset: None, key: SearchKey::All };
            prop_assert_eq!(read, Ok(want));
        }

        /// Where imap-codec can read, it agrees that this is a command.
        #[test]
        fn imap_codec_reads_what_is_printed(key in tree(old_leaf())) {
            let line = format!("a SEARCH {key}\r\n");
            let read = CommandCodec::default().decode(line.as_bytes());
            prop_assert!(read.is_ok(), "{:?}", read);
        }
    }
}
