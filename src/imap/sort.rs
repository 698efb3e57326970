//! The order a SORT asks for (RFC 5256 3, RFC 5957 4). How texts are compared is the door's business.

use super::grammar::{Cursor, Malformed};
use super::limits::SORT_KEYS_MAX;
use std::fmt;

/// What messages are ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SortField {
    /// INTERNALDATE, with its time.
    Arrival,
    /// The local part of the first address of the field.
    Cc,
    /// The sent date in UTC.
    Date,
    From,
    Size,
    /// The base subject.
    Subject,
    To,
    /// What a reader sees of the first address (RFC 5957).
    DisplayFrom,
    DisplayTo,
}

/// One criterion; those behind it count where it says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SortKey {
    pub field: SortField,
    /// Turns this criterion alone; messages alike stay in the order of their numbers.
    pub reverse: bool,
}

impl SortField {
    pub const ALL: [(SortField, &'static str); 9] = [
        (SortField::Arrival, "ARRIVAL"),
        (SortField::Cc, "CC"),
        (SortField::Date, "DATE"),
        (SortField::From, "FROM"),
        (SortField::Size, "SIZE"),
        (SortField::Subject, "SUBJECT"),
        (SortField::To, "TO"),
        (SortField::DisplayFrom, "DISPLAYFROM"),
        (SortField::DisplayTo, "DISPLAYTO"),
    ];
}

impl SortKey {
    /// `sort-criteria = "(" sort-criterion *(SP sort-criterion) ")"` (RFC 5256 5).
    pub fn read_list(cursor: &mut Cursor<'_>) -> Result<Vec<Self>, Malformed> {
        cursor.list(1, SORT_KEYS_MAX, |c| {
            let reverse = c.word("REVERSE");
            if reverse {
                c.space()?;
            }
            let word = c.atom()?;
            let named = SortField::ALL
                .iter()
                .find(|(_, name)| name.eq_ignore_ascii_case(word));
            match named {
                Some((field, _)) => Ok(Self {
                    field: *field,
                    reverse,
                }),
                None => Err(Malformed("an unknown sort criterion")),
            }
        })
    }
}

impl fmt::Display for SortKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = SortField::ALL.iter().find(|(field, _)| *field == self.field);
        let word = named.map_or("", |(_, word)| word);
        write!(f, "{}{word}", if self.reverse { "REVERSE " } else { "" })
    }
}
