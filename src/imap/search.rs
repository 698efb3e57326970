//! SEARCH keys (RFC 9051 6.4.4), as a tree of our own that the door evaluates.
//!
//! `S` is how a key names messages: as written ([`super::set::SearchSet`]) or resolved ([`super::set::UidRanges`]). `T` is a text
//! to look for: as written, or what the door makes of it.

use super::flag::Flag;
use super::response::put_string;
use super::set::SearchSet;
use std::fmt;

/// A calendar day without a zone (RFC 9051 9, `date`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date {
    pub year: i16,
    /// 1 to 12.
    pub month: i8,
    /// 1 to 31, and on the calendar.
    pub day: i8,
}

/// Which end of the day a date key means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum When {
    /// Earlier than that day.
    Before,
    On,
    /// That day or later.
    Since,
}

/// The charset of a search's texts. To us all texts are UTF-8, of which US-ASCII is a part; it says what the client knows of
/// letters, and so which of them are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Charset {
    UsAscii,
    Utf8,
}

impl Charset {
    pub const ALL: [(Charset, &'static str); 2] = [(Charset::UsAscii, "US-ASCII"), (Charset::Utf8, "UTF-8")];
}

/// Where a key looks for its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextIn {
    Header,
    Body,
    Anywhere,
}

/// One search key. Texts are UTF-8 as the client gave them; folding is the evaluator's business.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SearchKey<S, T = String> {
    All,
    /// Every one must hold.
    And(Vec<SearchKey<S, T>>),
    Or(Box<SearchKey<S, T>>, Box<SearchKey<S, T>>),
    Not(Box<SearchKey<S, T>>),
    /// Messages of this set.
    Set(S),
    /// The flag is set. `UNSEEN` and its kind come as `Not(Flag(..))`.
    Flag(Flag),
    /// `RECENT`, which only the session knows ([`super::recent`]); behind it there is none, and `OLD` is `Not(Recent)`.
    Recent,
    /// INTERNALDATE, zone disregarded.
    Internal(When, Date),
    /// The `Date:` field, time and zone disregarded.
    Sent(When, Date),
    /// When the message came into the mailbox, zone disregarded (RFC 8514).
    SavedAt(When, Date),
    /// The mailbox keeps the time of saving.
    SaveDateSupported,
    /// INTERNALDATE is at least so many seconds ago (RFC 5032).
    OlderThan(u32),
    /// INTERNALDATE is at most so many seconds ago.
    YoungerThan(u32),
    /// RFC 8474.
    EmailId(String),
    ThreadId(String),
    /// Header field (name, text within); an empty text asks whether the field is there.
    Header(String, T),
    Body(T),
    /// Header or body.
    Text(T),
    LargerThan(u64),
    SmallerThan(u64),
    /// The mod-sequence is this or higher (RFC 7162 3.1.5).
    ModSeq(u64),
}

impl<S, T> SearchKey<S, T> {
    /// The same tree with every set replaced.
    pub fn map_sets<R>(self, resolve: &mut impl FnMut(S) -> R) -> SearchKey<R, T> {
        self.map(resolve, &mut |_, text| text)
    }

    /// The same tree with every text replaced, from left to right.
    pub fn map_texts<U>(self, make: &mut impl FnMut(TextIn, T) -> U) -> SearchKey<S, U> {
        self.map(&mut |set| set, make)
    }

    fn map<R, U>(
        self,
        resolve: &mut impl FnMut(S) -> R,
        make: &mut impl FnMut(TextIn, T) -> U,
    ) -> SearchKey<R, U> {
        use SearchKey::*;
        match self {
            All => All,
            And(keys) => And(keys.into_iter().map(|k| k.map(resolve, make)).collect()),
            Or(a, b) => {
                let a = a.map(resolve, make);
                Or(Box::new(a), Box::new(b.map(resolve, make)))
            }
            Not(key) => Not(Box::new(key.map(resolve, make))),
            Set(set) => Set(resolve(set)),
            Flag(flag) => Flag(flag),
            Recent => Recent,
            Internal(when, date) => Internal(when, date),
            Sent(when, date) => Sent(when, date),
            SavedAt(when, date) => SavedAt(when, date),
            SaveDateSupported => SaveDateSupported,
            OlderThan(seconds) => OlderThan(seconds),
            YoungerThan(seconds) => YoungerThan(seconds),
            EmailId(id) => EmailId(id),
            ThreadId(id) => ThreadId(id),
            Header(name, text) => Header(name, make(TextIn::Header, text)),
            Body(text) => Body(make(TextIn::Body, text)),
            Text(text) => Text(make(TextIn::Anywhere, text)),
            LargerThan(octets) => LargerThan(octets),
            SmallerThan(octets) => SmallerThan(octets),
            ModSeq(least) => ModSeq(least),
        }
    }

    /// Walks the tree with `leaf` deciding about keys that are not `And`, `Or`, `Not` or `All`.
    pub fn holds(&self, leaf: &mut impl FnMut(&SearchKey<S, T>) -> bool) -> bool {
        match self {
            SearchKey::All => true,
            SearchKey::And(keys) => keys.iter().all(|k| k.holds(leaf)),
            SearchKey::Or(a, b) => a.holds(leaf) || b.holds(leaf),
            SearchKey::Not(key) => !key.holds(leaf),
            SearchKey::Recent => false,
            other => leaf(other),
        }
    }

    /// Whether a mod-sequence is asked for: then the answer tells the highest that was found.
    pub fn asks_modseq(&self) -> bool {
        self.mentions(&|key| matches!(key, SearchKey::ModSeq(_)))
    }

    /// Whether some key that is not `And`, `Or` or `Not` is one of these.
    pub fn mentions(&self, these: &impl Fn(&SearchKey<S, T>) -> bool) -> bool {
        match self {
            SearchKey::And(keys) => keys.iter().any(|k| k.mentions(these)),
            SearchKey::Or(a, b) => a.mentions(these) || b.mentions(these),
            SearchKey::Not(key) => key.mentions(these),
            other => these(other),
        }
    }
}

impl<S> SearchKey<S> {
    /// Whether all its texts are US-ASCII.
    pub fn is_ascii(&self) -> bool {
        let more = |key: &SearchKey<S>| match key {
            SearchKey::Header(name, text) => !(name.is_ascii() && text.is_ascii()),
            SearchKey::Body(text) | SearchKey::Text(text) => !text.is_ascii(),
            _ => false,
        };
        !self.mentions(&more)
    }
}

/// Month names as RFC 9051 9 spells them.
pub const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

impl Date {
    /// `None` when the calendar has no such day.
    pub fn new(year: i16, month: i8, day: i8) -> Option<Self> {
        jiff::civil::Date::new(year, month, day)
            .ok()
            .map(|_| Self { year, month, day })
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let month = usize::try_from(self.month - 1)
            .ok()
            .and_then(|m| MONTHS.get(m))
            .unwrap_or(&"Jan");
        write!(f, "{}-{}-{:04}", self.day, month, self.year)
    }
}

/// The key as a client would write it; for logs and for the inverse test.
impl fmt::Display for SearchKey<SearchSet> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SearchKey::All => f.write_str("ALL"),
            SearchKey::And(keys) => {
                for (i, key) in keys.iter().enumerate() {
                    write!(f, "{}{key}", if i == 0 { "(" } else { " " })?;
                }
                f.write_str(")")
            }
            SearchKey::Or(a, b) => write!(f, "OR {a} {b}"),
            SearchKey::Not(key) => write!(f, "NOT {key}"),
            SearchKey::Set(SearchSet::Sequence(set)) => write!(f, "{set}"),
            SearchKey::Set(SearchSet::Uid(set)) => write!(f, "UID {set}"),
            SearchKey::Flag(Flag::Keyword(keyword)) => write!(f, "KEYWORD {}", keyword.as_str()),
            SearchKey::Flag(flag) => f.write_str(&flag.as_str()[1..]),
            SearchKey::Recent => f.write_str("RECENT"),
            SearchKey::Internal(When::Before, date) => write!(f, "BEFORE {date}"),
            SearchKey::Internal(When::On, date) => write!(f, "ON {date}"),
            SearchKey::Internal(When::Since, date) => write!(f, "SINCE {date}"),
            SearchKey::Sent(When::Before, date) => write!(f, "SENTBEFORE {date}"),
            SearchKey::Sent(When::On, date) => write!(f, "SENTON {date}"),
            SearchKey::Sent(When::Since, date) => write!(f, "SENTSINCE {date}"),
            SearchKey::SavedAt(When::Before, date) => write!(f, "SAVEDBEFORE {date}"),
            SearchKey::SavedAt(When::On, date) => write!(f, "SAVEDON {date}"),
            SearchKey::SavedAt(When::Since, date) => write!(f, "SAVEDSINCE {date}"),
            SearchKey::SaveDateSupported => f.write_str("SAVEDATESUPPORTED"),
            SearchKey::OlderThan(seconds) => write!(f, "OLDER {seconds}"),
            SearchKey::YoungerThan(seconds) => write!(f, "YOUNGER {seconds}"),
            SearchKey::EmailId(id) => write!(f, "EMAILID {id}"),
            SearchKey::ThreadId(id) => write!(f, "THREADID {id}"),
            SearchKey::Header(name, text) => write!(f, "HEADER {} {}", string(name), string(text)),
            SearchKey::Body(text) => write!(f, "BODY {}", string(text)),
            SearchKey::Text(text) => write!(f, "TEXT {}", string(text)),
            SearchKey::LargerThan(octets) => write!(f, "LARGER {octets}"),
            SearchKey::SmallerThan(octets) => write!(f, "SMALLER {octets}"),
            SearchKey::ModSeq(least) => write!(f, "MODSEQ {least}"),
        }
    }
}

fn string(text: &str) -> String {
    let mut out = Vec::new();
    put_string(&mut out, text.as_bytes());
    String::from_utf8_lossy(&out).into_owned()
}
