//! Rows read lately, in memory in front of the engine: a row that is there costs a tenth of what the engine takes.
//!
//! It must never give an old row, for what a flag says may be a testimony. Two rules see to that. Before a group is
//! handed to the engine its rows are taken out, and none of them may be put in until the engine has answered: nothing is
//! kept of which it is not certain which version readers see. And who has read a row may put it in only if no group
//! that touched the shard has ended since he began to read: what he read may be what was there before it. What is
//! kept is therefore always what the engine would say. That a row is absent is kept like a row. Ranges go to the
//! engine: a cache of rows knows nothing of rows it has not met. What a row was read to is kept with it and goes with it:
//! what one has read, the next does not read again.
//!
//! Nothing here is durable, and it does not decide what is read: it is an engine over an engine.

use super::StoreError;
use super::db::{Parse, Parsed, Rows};
use super::group::{Changes, Engine};
use super::probe::Probe;
use foldhash::quality::RandomState;
use smallvec::SmallVec;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher as _, BuildHasherDefault, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Octets of all rows kept, with what keeping one costs: the attributes of some 120,000 messages.
const KEPT_MAX_BYTES: usize = 128 * 1024 * 1024;
/// Parts with a lock of their own, so that readers seldom meet. A power of two.
const SHARDS: usize = 16;
/// A larger row is not kept: what it costs to read is little beside what is done with it, and small ones would go.
const VALUE_MAX_BYTES: usize = 4 * 1024;
/// What a kept row costs beside its octets: its key, the row that is shared, and its place in a table that is partly empty.
const ENTRY_BYTES: usize = 160;
/// What a row costs besides when it was read to a type: what every item takes, and, for each octet of the row, the octet
/// once more and what it becomes in sets.
const READ_BYTES: usize = 448;
const READ_BYTES_PER_OCTET: usize = 5;

/// A row, or that there is none. Its octets never change: a changed row is another one.
type Kept = Option<Arc<[u8]>>;

struct Entry {
    /// Where it is compared it is looked at in its place: most keys are no longer.
    key: SmallVec<[u8; 16]>,
    row: Kept,
    /// What somebody has read it to.
    parsed: Option<Parsed>,
}

/// Rows by the digest of their key. Two keys with one digest, should they ever meet, drive each other out.
type Rows64 = HashMap<u64, Entry, BuildHasherDefault<Digested>>;

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

impl Cached {
    /// What the engine says, and what that is read to if it is to be read.
    fn ask(
        &self,
        ticket: Ticket,
        key: &[u8],
        parse: Option<Parse<'_>>,
    ) -> Result<(Kept, Option<Parsed>), StoreError> {
        let row: Kept = self.engine.get(key)?.map(Arc::from);
        let parsed = match (parse, &row) {
            (Some(parse), Some(octets)) => Some(parse(octets)?),
            _ => None,
        };
        self.rows.keep(ticket, key, row.clone(), parsed.clone());
        Ok((row, parsed))
    }
}

/// Puts a cache in front of an engine that only its owner writes to, one group after the other.
pub(super) fn over(engine: Arc<dyn Engine>) -> Arc<dyn Engine> {
    let rows = RowCache::new(KEPT_MAX_BYTES);
    Arc::new(Cached { engine, rows })
}

impl Engine for Cached {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let row = match self.rows.look(key, Wanted::AsItIs) {
            Look::Found(_, found) => found.row,
            Look::Missed(ticket) => self.ask(ticket, key, None)?.0,
        };
        Ok(row.map(|octets| octets.to_vec()))
    }

    fn parsed(&self, key: &[u8], parse: Parse<'_>) -> Result<Option<Parsed>, StoreError> {
        let (digest, found) = match self.rows.look(key, Wanted::ToRead) {
            Look::Found(digest, found) => (digest, found),
            Look::Missed(ticket) => return Ok(self.ask(ticket, key, Some(parse))?.1),
        };
        let (None, Some(octets)) = (&found.parsed, &found.row) else {
            return Ok(found.parsed);
        };
        let parsed = parse(octets)?;
        self.rows.note(digest, octets, &parsed);
        Ok(Some(parsed))
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

/// What a row is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    AsItIs,
    /// What it was read to, or the row to read it.
    ToRead,
}

/// Of a row that was found, what is wanted.
struct Found {
    row: Kept,
    parsed: Option<Parsed>,
}

/// What came of a look.
enum Look {
    /// With the digest of its key.
    Found(u64, Found),
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
            hasher: RandomState::default(),
        }
    }

    /// Where a key belongs: bits of its digest by which the table within does not go.
    fn shard(&self, digest: u64) -> MutexGuard<'_, Shard> {
        let at = (digest >> 40) as usize % SHARDS;
        // There are SHARDS of them.
        let shard = &self.shards[at];
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks for a row.
    fn look(&self, key: &[u8], wanted: Wanted) -> Look {
        let digest = self.hasher.hash_one(key);
        let mut shard = self.shard(digest);
        match shard.find(digest, key, wanted) {
            Some(found) => Look::Found(digest, found),
            None => Look::Missed(Ticket {
                digest,
                ended: shard.ended,
            }),
        }
    }

    /// Keeps what the engine said after the look that gave the ticket, and what it was read to.
    fn keep(&self, ticket: Ticket, key: &[u8], row: Kept, parsed: Option<Parsed>) {
        let mut shard = self.shard(ticket.digest);
        if ticket.ended == shard.ended && !shard.in_flight.contains(&ticket.digest) {
            shard.put(ticket.digest, key, row, parsed);
        }
    }

    /// Keeps what a row that was found has been read to, if it is still kept.
    fn note(&self, digest: u64, octets: &Arc<[u8]>, parsed: &Parsed) {
        self.shard(digest).note(digest, octets, parsed);
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
                let row = row.as_deref().map(Arc::from);
                self.shard(digest).put(digest, &key, row, None);
            }
        }
    }
}

impl Shard {
    fn find(&mut self, digest: u64, key: &[u8], wanted: Wanted) -> Option<Found> {
        let fits = |entry: &&Entry| *entry.key == *key;
        if let Some(entry) = self.young.get(&digest).filter(fits) {
            return Some(entry.found(wanted));
        }
        let found = self.old.get(&digest).filter(fits)?.found(wanted);
        let entry = self.old.remove(&digest)?;
        self.put_young(digest, entry);
        Some(found)
    }

    fn put(&mut self, digest: u64, key: &[u8], row: Kept, parsed: Option<Parsed>) {
        if row.as_ref().is_some_and(|octets| octets.len() > VALUE_MAX_BYTES) {
            return;
        }
        self.old.remove(&digest);
        let key = key.into();
        self.put_young(digest, Entry { key, row, parsed });
    }

    fn note(&mut self, digest: u64, octets: &Arc<[u8]>, parsed: &Parsed) {
        let is_it = |entry: &&Entry| entry.row.as_ref().is_some_and(|row| Arc::ptr_eq(row, octets));
        // It was looked for just now, so it is mostly among the young. It counts for more from now on, so it is put in anew.
        if self.young.get(&digest).filter(is_it).is_some()
            && let Some(mut entry) = self.young.remove(&digest)
        {
            self.young_bytes -= entry.cost();
            entry.parsed = Some(parsed.clone());
            self.put_young(digest, entry);
        }
    }

    fn put_young(&mut self, digest: u64, entry: Entry) {
        let bytes = entry.cost();
        if self.young_bytes + bytes > self.young_max_bytes {
            self.old = std::mem::take(&mut self.young);
            self.old.remove(&digest);
            self.young_bytes = 0;
        }
        self.young_bytes += bytes;
        if let Some(entry) = self.young.insert(digest, entry) {
            self.young_bytes -= entry.cost();
        }
    }

    /// Whether it was there.
    fn take_out(&mut self, digest: u64, key: &[u8]) -> bool {
        if let Some(other) = self.young.remove(&digest) {
            self.young_bytes -= other.cost();
            return *other.key == *key;
        }
        self.old.remove(&digest).is_some_and(|other| *other.key == *key)
    }
}

impl Entry {
    /// Of two things, one is handed on: what is touched for each of a thousand rows is what it costs.
    fn found(&self, wanted: Wanted) -> Found {
        match (wanted, &self.parsed) {
            (Wanted::ToRead, Some(parsed)) => Found {
                parsed: Some(parsed.clone()),
                row: None,
            },
            _ => Found {
                row: self.row.clone(),
                parsed: None,
            },
        }
    }

    fn cost(&self) -> usize {
        let octets = self.row.as_ref().map_or(0, |octets| octets.len());
        let read = match self.parsed {
            Some(_) => READ_BYTES + READ_BYTES_PER_OCTET * octets,
            None => 0,
        };
        ENTRY_BYTES + self.key.len() + octets + read
    }
}

#[cfg(test)]
#[path = "row_cache_tests.rs"]
mod tests;
