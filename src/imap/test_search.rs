//! Searching, sorting and threading of the small door in memory: just enough to show what the engine makes of answers.

use super::ask::Answer;
use super::search::{Date, SearchKey, When};
use super::session::Session;
use super::set::UidRanges;
use super::sort::{SortField, SortKey};
use super::test_mailbox::Message;
use super::thread::{ThreadAlgorithm, Threaded};
use crate::clock::UtcTime;
use std::cmp::Ordering;

/// The moment at which the dialogues play: an hour after the messages of the door came.
pub(super) fn now() -> UtcTime {
    UtcTime::from_unix_s(1_793_784_600)
}

fn age(message: &Message) -> u64 {
    message.date.until(now()).as_secs()
}

fn matching<'m>(messages: &'m [Message], key: &SearchKey<UidRanges>) -> Vec<&'m Message> {
    let found = messages.iter().filter(|m| key.holds(&mut |leaf| holds(leaf, m)));
    found.collect()
}

/// Of what is found, the mod-sequences, where they are asked for.
pub fn tell_modseqs(session: &mut Session, messages: &[Message], key: &SearchKey<UidRanges>) {
    if key.asks_modseq() {
        for message in matching(messages, key) {
            session.found_modseq(message.uid, message.modseq);
        }
    }
}

pub fn search(messages: &[Message], key: &SearchKey<UidRanges>) -> Answer {
    Answer::Found(matching(messages, key).iter().map(|m| m.uid).collect())
}

/// By subject, as it stands, by size, or by when it came: the small door knows no other date.
pub fn sort(messages: &[Message], order: &[SortKey], key: &SearchKey<UidRanges>) -> Answer {
    let mut found = matching(messages, key);
    let compare = |a: &Message, b: &Message, by: &SortKey| {
        let how = match by.field {
            SortField::Subject => header(&a.octets, "Subject").cmp(&header(&b.octets, "Subject")),
            SortField::Size => a.octets.len().cmp(&b.octets.len()),
            SortField::Arrival | SortField::Date => a.date.cmp(&b.date),
            _ => Ordering::Equal,
        };
        if by.reverse { how.reverse() } else { how }
    };
    found.sort_by(|a, b| {
        let each = order.iter().map(|by| compare(a, b, by));
        each.fold(Ordering::Equal, Ordering::then)
    });
    Answer::Found(found.iter().map(|m| m.uid).collect())
}

/// REFERENCES: all but the first answer the first. ORDEREDSUBJECT: all answer somebody who is not here.
pub fn thread(messages: &[Message], algorithm: ThreadAlgorithm, key: &SearchKey<UidRanges>) -> Answer {
    let found = matching(messages, key);
    let absent = (algorithm == ThreadAlgorithm::OrderedSubject && found.len() > 1).then_some(None);
    let all: Vec<Option<u32>> = absent
        .into_iter()
        .chain(found.iter().map(|m| Some(m.uid)))
        .collect();
    let threaded = |(at, uid): (usize, &Option<u32>)| Threaded {
        depth: u32::from(at > 0),
        uid: *uid,
    };
    Answer::Threaded(all.iter().enumerate().map(threaded).collect())
}

pub fn split(octets: &[u8]) -> usize {
    octets
        .windows(4)
        .position(|w| w == b"\r\n\r\n")
        .map_or(octets.len(), |at| at + 4)
}

pub fn header(octets: &[u8], name: &str) -> Option<String> {
    let head = String::from_utf8_lossy(&octets[..split(octets)]).into_owned();
    let line = head
        .split("\r\n")
        .find(|l| l.split(':').next().unwrap().eq_ignore_ascii_case(name))?;
    line.split_once(':').map(|(_, value)| value.trim().to_owned())
}

fn holds(key: &SearchKey<UidRanges>, message: &Message) -> bool {
    let within = |text: &str, part: &str| text.to_ascii_lowercase().contains(&part.to_ascii_lowercase());
    let all = String::from_utf8_lossy(&message.octets).into_owned();
    match key {
        SearchKey::Set(uids) => uids.contains(message.uid),
        SearchKey::ModSeq(least) => message.modseq >= *least,
        SearchKey::Flag(flag) => message.flags.contains(flag),
        SearchKey::Header(name, text) => {
            header(&message.octets, name).is_some_and(|value| within(&value, text))
        }
        SearchKey::Body(text) => within(&all[split(&message.octets)..], text),
        SearchKey::Text(text) => within(&all, text),
        SearchKey::LargerThan(octets) => message.octets.len() as u64 > *octets,
        SearchKey::SmallerThan(octets) => (message.octets.len() as u64) < *octets,
        SearchKey::OlderThan(seconds) => age(message) >= u64::from(*seconds),
        SearchKey::YoungerThan(seconds) => age(message) <= u64::from(*seconds),
        SearchKey::EmailId(id) => *id == format!("M{}", message.uid),
        SearchKey::ThreadId(id) => id == "T1",
        SearchKey::SaveDateSupported => true,
        SearchKey::Internal(when, day) | SearchKey::SavedAt(when, day) => {
            let internal = matches!(key, SearchKey::Internal(..));
            let moment = if internal { message.date } else { message.saved };
            let (year, month, date) = moment.date();
            let own = Date {
                year,
                month,
                day: date,
            };
            match when {
                When::Before => own < *day,
                When::On => own == *day,
                When::Since => own >= *day,
            }
        }
        _ => false,
    }
}
