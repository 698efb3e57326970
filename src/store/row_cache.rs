//! Rows read lately, in memory in front of the engine: a row that is there costs a tenth of what the engine takes.
//!
//! It must never give an old row, for what a flag says may be a testimony. Two rules see to that. Before a group is
//! handed to the engine its rows are taken out, and none of them may be put in until the engine has answered: nothing is
//! kept of which it is not certain which version readers see. And who has read a row may put it in only if no group
//! that touched the shard has ended since he began to read: what he read may be what was there before it. What is
//! kept is therefore always what the engine would say. That a row is absent is kept like a row. Ranges go to the
//! engine: a cache of rows knows nothing of rows it has not met.
//!
//! Nothing here is durable, and it does not decide what is read: it is an engine over an engine.

use super::StoreError;
use super::db::Rows;
use super::group::{Changes, Engine};
use super::probe::Probe;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher as _, BuildHasherDefault, Hasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Octets of all rows kept, with what keeping one costs: the attributes of some 200,000 messages.
const KEPT_MAX_BYTES: usize = 64 * 1024 * 1024;
/// Parts with a lock of their own, so that readers seldom meet. A power of two.
const SHARDS: usize = 16;
/// A larger row is not kept: what it costs to read is little beside what is done with it, and small ones would go.
const VALUE_MAX_BYTES: usize = 4 * 1024;
/// What a kept row costs beside its octets: two boxes and its place in a table that is partly empty.
const ENTRY_BYTES: usize = 128;

/// A row, or that there is none.
type Kept = Option<Box<[u8]>>;

/// Rows by the digest of their key. Two keys with one digest, should they ever meet, drive each other out.
type Rows64 = HashMap<u64, (Box<[u8]>, Kept), BuildHasherDefault<Digested>>;

/// The digest of a key is its own hash: a key is digested once for each look.
#[derive(Default)]
struct Digested(u64);

impl Hasher for Digested {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, octets: &[u8]) {
        // Never called for a digest; whatever else is hashed is hashed somehow.
        for octet in octets {
            self.0 = self.0.rotate_left(8) ^ u64::from(*octet);
        }
    }

    fn write_u64(&mut self, digest: u64) {
        self.0 = digest;
    }
}

/// The engine with its cache.
struct Cached {
    engine: Arc<dyn Engine>,
    rows: RowCache,
}

/// Puts a cache in front of an engine that only its owner writes to, one group after the other.
pub(super) fn over(engine: Arc<dyn Engine>) -> Arc<dyn Engine> {
    let rows = RowCache::new(KEPT_MAX_BYTES);
    Arc::new(Cached { engine, rows })
}

impl Engine for Cached {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let ticket = match self.rows.look(key) {
            Look::Found(row) => return Ok(row),
            Look::Missed(ticket) => ticket,
        };
        let row = self.engine.get(key)?;
        self.rows.keep(ticket, key, row.as_deref());
        Ok(row)
    }

    fn range(&self, from: &[u8], to: &[u8], limit: usize, back: bool) -> Result<Rows, StoreError> {
        self.engine.range(from, to, limit, back)
    }

    fn write(&self, changes: &Changes, probe: &dyn Probe) -> Result<(), String> {
        let writing = self.rows.begin(changes);
        let written = self.engine.write(changes, probe);
        // After an error nobody knows which version is there: then none is kept.
        self.rows.end(writing, written.is_ok().then_some(changes));
        written
    }
}

struct RowCache {
    shards: Vec<Mutex<Shard>>,
    hasher: RandomState,
}

/// Two generations: what is asked for moves to the young one; when that is full the old one goes, and it takes its place.
#[derive(Default)]
struct Shard {
    young: Rows64,
    old: Rows64,
    young_bytes: usize,
    young_max_bytes: usize,
    /// Groups that were written here, to their end.
    ended: u64,
    /// Digests of the keys that are being written. Of two alike both are meant: then one is not kept for a moment.
    in_flight: HashSet<u64>,
}

/// What was found at a look.
enum Look {
    Found(Option<Vec<u8>>),
    Missed(Ticket),
}

/// The state of a shard at a look that found nothing.
struct Ticket {
    digest: u64,
    ended: u64,
}

/// A group that is being written: those of its keys that were kept.
struct Writing(Vec<Vec<u8>>);

impl RowCache {
    fn new(most_bytes: usize) -> Self {
        let shard = || Shard {
            young_max_bytes: most_bytes / SHARDS / 2,
            ..Shard::default()
        };
        Self {
            shards: (0..SHARDS).map(|_| Mutex::new(shard())).collect(),
            hasher: RandomState::new(),
        }
    }

    /// Where a key belongs: bits of its digest by which the table within does not go.
    fn shard(&self, digest: u64) -> MutexGuard<'_, Shard> {
        let at = (digest >> 40) as usize % SHARDS;
        // There are SHARDS of them.
        let shard = &self.shards[at];
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look(&self, key: &[u8]) -> Look {
        let digest = self.hasher.hash_one(key);
        let mut shard = self.shard(digest);
        match shard.find(digest, key) {
            Some(row) => Look::Found(row),
            None => Look::Missed(Ticket {
                digest,
                ended: shard.ended,
            }),
        }
    }

    /// Keeps what the engine said after the look that gave the ticket.
    fn keep(&self, ticket: Ticket, key: &[u8], row: Option<&[u8]>) {
        let mut shard = self.shard(ticket.digest);
        if ticket.ended == shard.ended && !shard.in_flight.contains(&ticket.digest) {
            shard.put(ticket.digest, key, row);
        }
    }

    /// Takes out what a group changes. To be called before the engine sees the group.
    fn begin(&self, changes: &Changes) -> Writing {
        let mut kept = Vec::new();
        for key in changes.keys() {
            let digest = self.hasher.hash_one(key.as_slice());
            let mut shard = self.shard(digest);
            shard.in_flight.insert(digest);
            if shard.take_out(digest, key) {
                kept.push(key.clone());
            }
        }
        Writing(kept)
    }

    /// The engine has answered. Of what was kept before, the new rows are kept, if they are known.
    fn end(&self, writing: Writing, written: Option<&Changes>) {
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            if !shard.in_flight.is_empty() {
                shard.in_flight.clear();
                shard.ended += 1;
            }
        }
        for key in writing.0 {
            if let Some(row) = written.and_then(|changes| changes.get(&key)) {
                let digest = self.hasher.hash_one(key.as_slice());
                self.shard(digest).put(digest, &key, row.as_deref());
            }
        }
    }
}

impl Shard {
    fn find(&mut self, digest: u64, key: &[u8]) -> Option<Option<Vec<u8>>> {
        let octets = |row: &Kept| row.as_deref().map(<[u8]>::to_vec);
        if let Some((_, row)) = self.young.get(&digest).filter(|(k, _)| **k == *key) {
            return Some(octets(row));
        }
        if self.old.get(&digest).is_none_or(|(k, _)| **k != *key) {
            return None;
        }
        let (key, row) = self.old.remove(&digest)?;
        let found = octets(&row);
        self.put_young(digest, key, row);
        Some(found)
    }

    fn put(&mut self, digest: u64, key: &[u8], row: Option<&[u8]>) {
        if row.is_some_and(|row| row.len() > VALUE_MAX_BYTES) {
            return;
        }
        self.old.remove(&digest);
        self.put_young(digest, key.into(), row.map(Into::into));
    }

    fn put_young(&mut self, digest: u64, key: Box<[u8]>, row: Kept) {
        let bytes = cost(&key, &row);
        if self.young_bytes + bytes > self.young_max_bytes {
            self.old = std::mem::take(&mut self.young);
            self.old.remove(&digest);
            self.young_bytes = 0;
        }
        self.young_bytes += bytes;
        if let Some((key, row)) = self.young.insert(digest, (key, row)) {
            self.young_bytes -= cost(&key, &row);
        }
    }

    /// Whether it was there.
    fn take_out(&mut self, digest: u64, key: &[u8]) -> bool {
        if let Some((other, row)) = self.young.remove(&digest) {
            self.young_bytes -= cost(&other, &row);
            return *other == *key;
        }
        self.old.remove(&digest).is_some_and(|(other, _)| *other == *key)
    }
}

fn cost(key: &[u8], row: &Kept) -> usize {
    ENTRY_BYTES + key.len() + row.as_ref().map_or(0, |row| row.len())
}

#[cfg(test)]
#[path = "row_cache_tests.rs"]
mod tests;
