//! Threads of messages by their subjects (RFC 5256 3, ORDEREDSUBJECT), and what both ways of threading share: the flat
//! list of branches, and Message-IDs in the form in which they are compared. By references: `super::references`.

use crate::clock::UtcTime;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

/// What threading needs to know of a message, whichever way it goes.
#[derive(Debug, Clone, Copy)]
pub struct Letter<'a> {
    pub uid: u32,
    /// The sent date (RFC 5256 2.2).
    pub sent: UtcTime,
    /// The base subject, folded so that equal means alike.
    pub subject: &'a str,
    pub is_reply: bool,
}

/// A message in its threads: a root is at depth 0, and each message comes before its children.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Branch {
    pub depth: u32,
    /// `None`: a parent that is not among the messages, above children of one thread.
    pub uid: Option<u32>,
}

/// Where a message stands among its siblings: by sent date, then by its number (RFC 5256 2.2).
pub(super) type Rank = (UtcTime, u32);

/// Texts as keys of a fixed size, so that memory does not grow with what senders write. Both hashes are seeded at
/// random: nobody can make two texts collide on purpose, and by chance it takes 2^64 texts.
#[derive(Debug, Default)]
pub(super) struct Digests(RandomState, RandomState);

pub(super) type Digest = (u64, u64);

impl Digests {
    pub fn of(&self, text: &str) -> Digest {
        (self.0.hash_one(text), self.1.hash_one(text))
    }
}

/// Collects messages, in the order of their numbers, and threads them by subject.
#[derive(Debug, Default)]
pub struct OrderedSubject {
    digests: Digests,
    by_subject: HashMap<Digest, Vec<(Rank, u32)>>,
    count: u32,
}

impl OrderedSubject {
    pub fn add(&mut self, letter: Letter<'_>) {
        let rank = (letter.sent, self.count);
        self.count = self.count.saturating_add(1);
        let digest = self.digests.of(letter.subject);
        self.by_subject
            .entry(digest)
            .or_default()
            .push((rank, letter.uid));
    }

    /// The first message of each subject is the parent of the others; there are no grandchildren.
    pub fn threads(self) -> Vec<Branch> {
        let mut threads: Vec<Vec<(Rank, u32)>> = self.by_subject.into_values().collect();
        for thread in &mut threads {
            thread.sort_unstable();
        }
        threads.sort_unstable_by_key(|thread| thread.first().map(|(rank, _)| *rank));
        let branch = |(at, (_, uid)): (usize, &(Rank, u32))| Branch {
            depth: u32::from(at > 0),
            uid: Some(*uid),
        };
        let flat = threads.iter().flat_map(|t| t.iter().enumerate().map(branch));
        flat.collect()
    }
}

/// The Message-IDs of a field, in angle brackets or bare, in the form in which they are compared: without brackets, and
/// a quoted local part without its quotes (RFC 5256 3).
pub fn ids_of(text: &str) -> Vec<String> {
    text.split_ascii_whitespace()
        .flat_map(|word| match word.contains('<') {
            true => bracketed(word),
            false => normal_id(word).into_iter().collect(),
        })
        .collect()
}

/// Those in angle brackets only: elsewhere In-Reply-To may hold addresses and names.
pub fn bracketed(text: &str) -> Vec<String> {
    let pieces = text.split('<').skip(1);
    let inner = pieces.filter_map(|piece| piece.split_once('>').map(|(id, _)| id));
    inner.filter_map(normal_id).collect()
}

fn normal_id(id: &str) -> Option<String> {
    let (local, domain) = id.trim().rsplit_once('@')?;
    let quoted = local.strip_prefix('"').and_then(|l| l.strip_suffix('"'));
    let local = match quoted {
        Some(quoted) => unescaped(quoted),
        None => local.to_owned(),
    };
    (!local.is_empty() && !domain.is_empty()).then(|| format!("{local}@{domain}"))
}

fn unescaped(quoted: &str) -> String {
    let mut text = String::with_capacity(quoted.len());
    let mut chars = quoted.chars();
    while let Some(c) = chars.next() {
        text.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(letters: &[(u32, i64, &str)]) -> Vec<(u32, u32)> {
        let mut threading = OrderedSubject::default();
        for &(uid, sent, subject) in letters {
            threading.add(Letter {
                uid,
                sent: UtcTime::from_unix_s(sent),
                subject,
                is_reply: false,
            });
        }
        let threads = threading.threads();
        threads.iter().map(|b| (b.depth, b.uid.unwrap())).collect()
    }

    #[test]
    fn one_subject_is_one_thread_without_grandchildren() {
        let letters = [
            (1, 50, "b"),
            (2, 10, "a"),
            (3, 40, "b"),
            (4, 60, "b"),
            (5, 10, "c"),
            (6, 5, ""),
        ];
        assert_eq!(shown(&letters), [(0, 6), (0, 2), (0, 5), (0, 3), (1, 1), (1, 4)]);
        assert_eq!(shown(&[]), []);
    }

    #[test]
    fn ids_are_compared_without_their_quotes() {
        let same = [
            "<01KF8JCEOCBS0045PS@xxx.yyy.com>",
            "<\"01KF8JCEOCBS0045PS\"@xxx.yyy.com>",
        ];
        assert_eq!(ids_of(same[0]), ids_of(same[1]));
        assert_eq!(ids_of("<a@b><c@d> e@f <> <x> <@y> word"), ["a@b", "c@d", "e@f"]);
        assert_eq!(ids_of("<\"a\\\"b\"@c>"), ["a\"b@c"]);
        assert_eq!(bracketed("message of a@b <1@c> <2@c>"), ["1@c", "2@c"]);
        // Message-IDs are compared with their case.
        assert_ne!(ids_of("<A@b>"), ids_of("<a@b>"));
    }
}
