//! What was fetched, until its time is over: bounded in number and octets, the least recently used goes.
//!
//! In memory only: after a start it is fetched again. What must last is embedded in the evidence by others.

use crate::clock::UtcTime;
use std::collections::HashMap;
use std::sync::Arc;

/// Most places remembered: the authorities of a country have some dozens.
const ENTRIES_MAX: usize = 1024;

/// What an answer is remembered by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub url: String,
    /// Certificate and issuer, where the answer is about one certificate.
    pub about: Option<([u8; 32], [u8; 32])>,
}

/// What is remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Held {
    Value {
        octets: Arc<[u8]>,
        fetched_at: UtcTime,
    },
    /// There was no answer, and why.
    Nothing(String),
}

struct Entry {
    held: Held,
    until: UtcTime,
    used: u64,
}

pub(super) struct Cache {
    entries: HashMap<Key, Entry>,
    octets: usize,
    octets_max: usize,
    /// Counts uses, to know which was the last.
    turn: u64,
}

impl Entry {
    fn octets(&self) -> usize {
        match &self.held {
            Held::Value { octets, .. } => octets.len(),
            Held::Nothing(why) => why.len(),
        }
    }
}

impl Cache {
    pub fn new(octets_max: usize) -> Self {
        Self {
            entries: HashMap::new(),
            octets: 0,
            octets_max,
            turn: 0,
        }
    }

    pub fn held(&mut self, key: &Key, now: UtcTime) -> Option<Held> {
        self.turn += 1;
        let entry = self.entries.get_mut(key)?;
        if entry.until <= now {
            self.drop_entry(key);
            return None;
        }
        entry.used = self.turn;
        Some(entry.held.clone())
    }

    pub fn keep(&mut self, key: Key, octets: Arc<[u8]>, fetched_at: UtcTime, until: UtcTime) {
        self.insert(key, Held::Value { octets, fetched_at }, until);
    }

    pub fn keep_nothing(&mut self, key: Key, why: String, until: UtcTime) {
        // An answer that still runs is better than none.
        if !matches!(self.entries.get(&key).map(|e| &e.held), Some(Held::Value { .. })) {
            self.insert(key, Held::Nothing(why), until);
        }
    }

    fn insert(&mut self, key: Key, held: Held, until: UtcTime) {
        self.drop_entry(&key);
        self.turn += 1;
        let entry = Entry {
            held,
            until,
            used: self.turn,
        };
        if entry.octets() > self.octets_max {
            return;
        }
        self.octets += entry.octets();
        self.entries.insert(key, entry);
        while self.octets > self.octets_max || self.entries.len() > ENTRIES_MAX {
            let oldest = self.entries.iter().min_by_key(|(_, e)| e.used);
            let Some(key) = oldest.map(|(key, _)| key.clone()) else {
                break;
            };
            self.drop_entry(&key);
        }
    }

    fn drop_entry(&mut self, key: &Key) {
        if let Some(entry) = self.entries.remove(key) {
            self.octets -= entry.octets();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(url: &str) -> Key {
        Key {
            url: url.to_owned(),
            about: None,
        }
    }

    fn t(s: i64) -> UtcTime {
        UtcTime::from_unix_s(s)
    }

    fn put(cache: &mut Cache, url: &str, octets: usize) {
        cache.keep(key(url), vec![0; octets].into(), t(0), t(100));
    }

    #[test]
    fn what_was_used_least_recently_goes_when_there_is_no_room() {
        let mut cache = Cache::new(100);
        put(&mut cache, "a", 40);
        put(&mut cache, "b", 40);
        assert!(cache.held(&key("a"), t(1)).is_some());
        put(&mut cache, "c", 40);
        let has = |cache: &mut Cache, url: &str| cache.held(&key(url), t(1)).is_some();
        assert!(has(&mut cache, "a") && !has(&mut cache, "b") && has(&mut cache, "c"));
        // What is larger than everything is not kept, and throws nothing out.
        put(&mut cache, "d", 101);
        assert!(has(&mut cache, "a") && !has(&mut cache, "d"));
        assert_eq!(cache.octets, 80);
        for n in 0..=ENTRIES_MAX {
            put(&mut cache, &n.to_string(), 0);
        }
        assert_eq!(cache.entries.len(), ENTRIES_MAX);
    }

    #[test]
    fn nothing_is_remembered_beyond_its_time_or_over_an_answer() {
        let mut cache = Cache::new(100);
        put(&mut cache, "a", 10);
        cache.keep_nothing(key("a"), "gone".to_owned(), t(200));
        assert!(matches!(cache.held(&key("a"), t(99)), Some(Held::Value { .. })));
        assert_eq!(cache.held(&key("a"), t(100)), None);
        cache.keep_nothing(key("a"), "gone".to_owned(), t(200));
        assert_eq!(
            cache.held(&key("a"), t(150)),
            Some(Held::Nothing("gone".to_owned()))
        );
        assert_eq!(cache.held(&key("a"), t(200)), None);
        assert_eq!(cache.octets, 0);
    }
}
