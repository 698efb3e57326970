//! The order of a SORT (RFC 5256 3, RFC 5957 4). Pure: what is compared is taken from each message once.
//!
//! Texts are compared as a Turkish reader expects: folded and in the order of the Turkish alphabet
//! (`domain::folding`), where RFC 5256 7 has i;unicode-casemap; see docs/decisions/0024-turkish-collation.md.

use super::verdict::{Known, Wanted};
use crate::clock::UtcTime;
use crate::domain::folding::{turkish_fold, turkish_order};
use crate::imap::sort::{SortField, SortKey};
use crate::mime::base_subject::base_subject;
use crate::mime::mailbox::{Entry as Address, Mailbox};
use crate::mime::summary::Summary;
use crate::service::failure::{Failure, Kind};
use std::cmp::Ordering;

/// Octets kept of all messages while they are put into order: half a million by date, or a hundred thousand by long
/// subjects.
const SORTED_MAX_OCTETS: usize = 64 * 1024 * 1024;

/// What messages are compared by, and all that was found so far.
pub(super) struct Entries {
    order: Vec<SortKey>,
    found: Vec<Entry>,
    octets_left: usize,
}

/// One message: its values in the order of the criteria.
struct Entry {
    uid: u32,
    values: Vec<Value>,
}

#[derive(Debug, PartialEq)]
enum Value {
    Number(i64),
    /// Folded.
    Text(String),
}

/// What is known of one message.
struct Seen<'a> {
    arrived: UtcTime,
    size_bytes: u64,
    summary: Option<&'a Summary>,
}

/// What the criteria need: an outline is read only where one of them is in it.
pub(super) fn wanted(order: &[SortKey]) -> Wanted {
    let outside = |field| matches!(field, SortField::Arrival | SortField::Size);
    Wanted {
        size: order.iter().any(|by| by.field == SortField::Size),
        letter: !order.iter().all(|by| outside(by.field)),
    }
}

impl Entries {
    pub(super) fn new(order: Vec<SortKey>) -> Self {
        Self {
            order,
            found: Vec::new(),
            octets_left: SORTED_MAX_OCTETS,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.found.len()
    }

    /// In order of UID.
    pub(super) fn add(&mut self, known: &Known) -> Result<(), Failure> {
        let seen = Seen {
            arrived: known.arrived(),
            size_bytes: known.size_bytes.unwrap_or_default(),
            summary: known.letter.as_ref().map(|letter| &letter.outline.summary),
        };
        self.add_seen(known.uid, &seen)
    }

    fn add_seen(&mut self, uid: u32, seen: &Seen<'_>) -> Result<(), Failure> {
        let values: Vec<Value> = self.order.iter().map(|by| value(by.field, seen)).collect();
        let texts = values.iter().map(|v| match v {
            Value::Text(text) => text.len(),
            Value::Number(_) => 0,
        });
        let octets = size_of::<Entry>() + values.len() * size_of::<Value>() + texts.sum::<usize>();
        self.octets_left = self.octets_left.checked_sub(octets).ok_or_else(|| {
            let say = "there are too many messages to be put into order at once; search for fewer";
            Failure::refused(Kind::TooMany, say)
        })?;
        self.found.push(Entry { uid, values });
        Ok(())
    }

    /// Those alike stay in the order of their numbers, also under REVERSE (RFC 5256 3).
    pub(super) fn sorted(mut self) -> Vec<u32> {
        let order = self.order;
        self.found.sort_by(|a, b| {
            let each = order.iter().zip(a.values.iter().zip(&b.values));
            let compared = each.map(|(by, (a, b))| match by.reverse {
                true => compare(b, a),
                false => compare(a, b),
            });
            compared.fold(Ordering::Equal, Ordering::then)
        });
        self.found.iter().map(|entry| entry.uid).collect()
    }
}

fn compare(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.cmp(b),
        (Value::Text(a), Value::Text(b)) => turkish_order(a, b),
        // One criterion gives one kind of value.
        _ => Ordering::Equal,
    }
}

fn value(field: SortField, seen: &Seen<'_>) -> Value {
    let text = |of: fn(&Summary) -> String| {
        let text = seen.summary.map(of).unwrap_or_default();
        Value::Text(turkish_fold(&text))
    };
    match field {
        SortField::Arrival => Value::Number(seen.arrived.unix_ms()),
        SortField::Size => Value::Number(i64::try_from(seen.size_bytes).unwrap_or(i64::MAX)),
        // RFC 5256 2.2: where there is no sent date, the internal date.
        SortField::Date => {
            let sent = seen.summary.and_then(|summary| summary.date);
            Value::Number(sent.unwrap_or(seen.arrived).unix_ms())
        }
        SortField::Subject => text(|summary| base_subject(&summary.subject).text),
        SortField::Cc => text(|summary| local_part(&summary.cc)),
        SortField::From => text(|summary| local_part(&summary.from)),
        SortField::To => text(|summary| local_part(&summary.to)),
        SortField::DisplayFrom => text(|summary| displayed(&summary.from)),
        SortField::DisplayTo => text(|summary| displayed(&summary.to)),
    }
}

/// `addr-mailbox` of the first address of ENVELOPE: a group begins with its name (RFC 9051 7.5.2).
fn local_part(list: &[Address]) -> String {
    match list.first() {
        Some(Address::One(mailbox)) => mailbox.local.clone(),
        Some(Address::Group { name, .. }) => name.clone(),
        None => String::new(),
    }
}

/// RFC 5957 3: the name of the first address, or else the address.
fn displayed(list: &[Address]) -> String {
    let shown = |mailbox: &Mailbox| {
        let name = mailbox.display().filter(|name| !name.is_empty());
        name.unwrap_or_else(|| mailbox.address())
    };
    match list.first() {
        Some(Address::One(mailbox)) => shown(mailbox),
        Some(Address::Group { name, .. }) => name.clone(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imap::grammar::Cursor;

    /// Header fields, arrival in seconds, size.
    type Mail<'a> = (&'a str, i64, u64);

    fn sorted(order: &str, mails: &[Mail<'_>]) -> Vec<u32> {
        let order = SortKey::read_list(&mut Cursor(format!("({order})").as_bytes())).unwrap();
        let mut entries = Entries::new(order);
        for (uid, (fields, arrived, size_bytes)) in (1..).zip(mails) {
            let summary = Summary::of(format!("{}\r\n\r\n", fields.replace('|', "\r\n")).as_bytes());
            let seen = Seen {
                arrived: UtcTime::from_unix_s(*arrived),
                size_bytes: *size_bytes,
                summary: Some(&summary),
            };
            entries.add_seen(uid, &seen).unwrap();
        }
        entries.sorted()
    }

    const MAILS: [Mail<'static>; 5] = [
        (
            "Subject: Re: =?UTF-8?Q?=C3=A7ay?=|From: =?UTF-8?Q?=C5=9Eule?= <b@x>|To: z@x",
            50,
            10,
        ),
        (
            "Subject: cam|From: a@y|Cc: q@x|Date: Wed, 4 Nov 2026 10:00:00 +0300",
            40,
            30,
        ),
        (
            "Subject: [liste] Cam (fwd)|From: \"Selim\" <c@x>|Date: Wed, 4 Nov 2026 09:30:00 +0300",
            30,
            20,
        ),
        (
            "Subject: =?UTF-8?Q?=C4=B1s=C4=B1?=|From: Takim: u@x;|To: Grup: a@x, b@x;",
            20,
            40,
        ),
        ("Subject: ISI|From: =?UTF-8?Q?=C3=96mer?= <d@x>|Cc: b@x", 10, 50),
    ];

    #[test]
    fn each_criterion_orders_by_its_own() {
        assert_eq!(sorted("ARRIVAL", &MAILS), [5, 4, 3, 2, 1]);
        assert_eq!(sorted("SIZE", &MAILS), [1, 3, 2, 4, 5]);
        // Those without a date stand by their arrival.
        assert_eq!(sorted("DATE", &MAILS), [5, 4, 1, 3, 2]);
        // ç stands behind c, and I is the great letter of ı.
        assert_eq!(sorted("SUBJECT", &MAILS), [2, 3, 1, 4, 5]);
        assert_eq!(sorted("FROM", &MAILS), [2, 1, 3, 5, 4]);
        assert_eq!(sorted("DISPLAYFROM", &MAILS), [2, 5, 3, 1, 4]);
        assert_eq!(sorted("TO", &MAILS), [2, 3, 5, 4, 1]);
        assert_eq!(sorted("DISPLAYTO", &MAILS), [2, 3, 5, 4, 1]);
        assert_eq!(sorted("CC", &MAILS), [1, 3, 4, 5, 2]);
    }

    #[test]
    fn later_criteria_count_where_earlier_say_nothing() {
        assert_eq!(sorted("SUBJECT DATE", &MAILS), [3, 2, 1, 5, 4]);
        // REVERSE turns one criterion, and never the order of those alike.
        assert_eq!(sorted("REVERSE SUBJECT", &MAILS), [4, 5, 1, 2, 3]);
        assert_eq!(sorted("REVERSE SUBJECT REVERSE SIZE", &MAILS), [5, 4, 1, 2, 3]);
    }

    #[test]
    fn outlines_are_read_only_where_a_criterion_is_in_them() {
        let wanted = |order: &str| wanted(&SortKey::read_list(&mut Cursor(order.as_bytes())).unwrap());
        assert_eq!(wanted("(ARRIVAL)"), Wanted::default());
        let size = Wanted {
            size: true,
            letter: false,
        };
        assert_eq!(wanted("(REVERSE SIZE ARRIVAL)"), size);
        assert!(wanted("(ARRIVAL DATE)").letter);
    }

    #[test]
    fn more_than_memory_allows_is_refused() {
        let mut entries = Entries::new(SortKey::read_list(&mut Cursor(b"(ARRIVAL)")).unwrap());
        entries.octets_left = 1_000;
        let seen = Seen {
            arrived: UtcTime::default(),
            size_bytes: 0,
            summary: None,
        };
        let kept = (0..100).take_while(|uid| entries.add_seen(*uid, &seen).is_ok());
        assert!((5..50).contains(&kept.count()));
    }
}
