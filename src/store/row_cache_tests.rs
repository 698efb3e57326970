//! The cache against the engine it stands before: whatever readers and the writer do in whatever order, it never says
//! anything else.

use super::*;
use crate::store::probe::NoProbe;
use proptest::prelude::*;
use std::cell::Cell;
use std::collections::BTreeMap;

/// Few keys, so that readers and the writer meet at them all the time.
const KEYS: usize = 6;
const READERS: usize = 4;

fn key(n: usize) -> Vec<u8> {
    format!("k{}", n % KEYS).into_bytes()
}

/// Where a reader stands: he has looked and missed, then he has the engine's word, then he keeps it. Or he has found a row,
/// and keeps what he read it to.
enum Reader {
    Idle,
    Missed(Ticket, Vec<u8>),
    Asked(Ticket, Vec<u8>, Option<Vec<u8>>),
    /// He found a row that nobody has read.
    Found(u64, Arc<[u8]>),
}

/// Where the writer stands: a group is made, taken out of the cache, in the engine, done.
enum Writer {
    Idle,
    Begun(Writing, Changes),
    Applied(Writing, Changes),
}

/// A row is read to its own octets here.
fn parsed(octets: &[u8]) -> Parsed {
    Arc::new(octets.to_vec())
}

fn octets(parsed: &Parsed) -> &[u8] {
    parsed.downcast_ref::<Vec<u8>>().unwrap()
}

fn wanted(chance: u8) -> Wanted {
    match chance.is_multiple_of(2) {
        true => Wanted::ToRead,
        false => Wanted::AsItIs,
    }
}

struct Model {
    cache: RowCache,
    engine: BTreeMap<Vec<u8>, Vec<u8>>,
    readers: Vec<Reader>,
    writer: Writer,
    version: u32,
}

impl Model {
    fn new(most_bytes: usize) -> Self {
        Self {
            cache: RowCache::new(most_bytes),
            engine: BTreeMap::new(),
            readers: (0..READERS).map(|_| Reader::Idle).collect(),
            writer: Writer::Idle,
            version: 0,
        }
    }

    /// A reader's next step. What is found in the cache is what the engine says at that moment.
    fn read(&mut self, reader: usize, n: usize, chance: u8) {
        let reader = &mut self.readers[reader % READERS];
        *reader = match std::mem::replace(reader, Reader::Idle) {
            Reader::Idle => match self.cache.look(&key(n), wanted(chance)) {
                Look::Found(digest, found) => {
                    let now = self.engine.get(&key(n)).map(Vec::as_slice);
                    let row = found.parsed.as_ref().map(octets).or(found.row.as_deref());
                    assert_eq!(row, now, "an old row");
                    match found.row {
                        Some(row) if wanted(chance) == Wanted::ToRead => Reader::Found(digest, row),
                        _ => Reader::Idle,
                    }
                }
                Look::Missed(ticket) => Reader::Missed(ticket, key(n)),
            },
            Reader::Found(digest, row) => {
                self.cache.note(digest, &row, &parsed(&row));
                Reader::Idle
            }
            Reader::Missed(ticket, key) => {
                let row = self.engine.get(&key).cloned();
                Reader::Asked(ticket, key, row)
            }
            Reader::Asked(ticket, key, row) => {
                let parsed = row.as_deref().filter(|_| chance.is_multiple_of(2)).map(parsed);
                self.cache.keep(ticket, &key, row.map(Arc::from), parsed);
                Reader::Idle
            }
        };
    }

    /// The writer's next step. A group may fail, wholly or half done.
    fn write(&mut self, keys: &[usize], fails: bool) {
        self.writer = match std::mem::replace(&mut self.writer, Writer::Idle) {
            Writer::Idle => {
                self.version += 1;
                let row = |n: &usize| (!n.is_multiple_of(3)).then(|| self.version.to_string().into_bytes());
                let changes: Changes = keys.iter().map(|n| (key(*n), row(n))).collect();
                Writer::Begun(self.cache.begin(&changes), changes)
            }
            Writer::Begun(writing, changes) => {
                let most = if fails { changes.len() / 2 } else { changes.len() };
                for (key, row) in changes.iter().take(most) {
                    match row {
                        Some(row) => self.engine.insert(key.clone(), row.clone()),
                        None => self.engine.remove(key),
                    };
                }
                match fails {
                    true => {
                        self.cache.end(writing, None);
                        Writer::Idle
                    }
                    false => Writer::Applied(writing, changes),
                }
            }
            Writer::Applied(writing, changes) => {
                self.cache.end(writing, Some(&changes));
                Writer::Idle
            }
        };
    }

    /// All that is kept is what the engine says.
    fn check(&self) {
        for shard in &self.cache.shards {
            let shard = shard.lock().unwrap();
            for entry in shard.young.values().chain(shard.old.values()) {
                let now = self.engine.get(entry.key.as_ref());
                let row = entry.row.as_deref();
                assert_eq!(row, now.map(Vec::as_slice), "an old row is kept");
                let parsed = entry.parsed.as_ref().map(octets);
                assert!(
                    parsed.is_none() || parsed == row,
                    "what an old row was read to is kept"
                );
            }
            let bytes: usize = shard.young.values().map(Entry::cost).sum();
            assert_eq!(bytes, shard.young_bytes);
            assert!(
                bytes <= shard.young_max_bytes || shard.young.len() == 1,
                "the room is kept"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn no_order_of_steps_brings_an_old_row_back(
        steps in prop::collection::vec((0..5usize, 0..READERS, 0..KEYS, prop::collection::vec(0..KEYS, 1..4), 0..8u8), 1..120),
        // Room for everything, and for hardly anything.
        most_bytes in prop_oneof![Just(KEPT_MAX_BYTES), Just(SHARDS * 2 * (ENTRY_BYTES + 8))],
    ) {
        let mut model = Model::new(most_bytes);
        for (what, reader, n, keys, chance) in steps {
            match what {
                0 | 1 => model.write(&keys, chance == 0),
                _ => model.read(reader, n, chance),
            }
            model.check();
        }
    }
}

/// Counts how often it is asked.
#[derive(Default)]
struct Asked {
    rows: Mutex<BTreeMap<Vec<u8>, Vec<u8>>>,
    gets: Mutex<usize>,
}

impl Engine for Asked {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        *self.gets.lock().unwrap() += 1;
        Ok(self.rows.lock().unwrap().get(key).cloned())
    }

    fn range(&self, _: &[u8], _: &[u8], _: usize, _: bool) -> Result<Rows, StoreError> {
        Ok(Rows::new())
    }

    fn write(&self, changes: &Changes, _: &dyn Probe) -> Result<(), String> {
        for (key, row) in changes {
            match row {
                Some(row) if row == b"refuse" => return Err("refused".into()),
                Some(row) => self.rows.lock().unwrap().insert(key.clone(), row.clone()),
                None => self.rows.lock().unwrap().remove(key),
            };
        }
        Ok(())
    }
}

#[test]
fn a_row_is_read_once_and_what_is_written_over_it_is_known() {
    let engine = Arc::new(Asked::default());
    let cached = over(engine.clone());
    let get = |key: &[u8]| cached.get(key).unwrap();
    let write = |key: &[u8], row: Option<&[u8]>| {
        let changes = Changes::from([(key.to_vec(), row.map(<[u8]>::to_vec))]);
        cached.write(&changes, &NoProbe)
    };
    let gets = || *engine.gets.lock().unwrap();
    // That a row is absent is kept, too.
    assert_eq!((get(b"a"), get(b"a"), gets()), (None, None, 1));
    write(b"a", Some(b"1")).unwrap();
    assert_eq!((get(b"a"), gets()), (Some(b"1".to_vec()), 1));
    write(b"a", None).unwrap();
    assert_eq!((get(b"a"), gets()), (None, 1));
    // What nobody has asked for is not kept because it is written.
    write(b"b", Some(b"2")).unwrap();
    assert_eq!(
        (get(b"b"), get(b"b"), gets()),
        (Some(b"2".to_vec()), Some(b"2".to_vec()), 2)
    );
    // A large row is asked for each time; after a failed write the engine is asked anew.
    write(b"c", Some(&[7; VALUE_MAX_BYTES + 1])).unwrap();
    assert_eq!((get(b"c"), get(b"c")).0.unwrap().len(), VALUE_MAX_BYTES + 1);
    assert_eq!(gets(), 4);
    assert!(write(b"b", Some(b"refuse")).is_err());
    assert_eq!((get(b"b"), gets()), (Some(b"2".to_vec()), 5));
}

#[test]
fn what_a_row_was_read_to_goes_with_the_row() {
    let cached = over(Arc::new(Asked::default()));
    let write = |row: &[u8]| {
        let changes = Changes::from([(b"a".to_vec(), Some(row.to_vec()))]);
        cached.write(&changes, &NoProbe).unwrap();
    };
    let times = Cell::new(0);
    let read = || {
        let parsed = cached.parsed(b"a", &|octets| {
            times.set(times.get() + 1);
            match octets {
                b"damaged" => Err(StoreError::Io("damaged".into())),
                octets => Ok(parsed(octets)),
            }
        });
        (
            parsed
                .map(|parsed| parsed.map(|parsed| octets(&parsed).to_vec()))
                .ok(),
            times.get(),
        )
    };
    let is = |row: &[u8]| Some(Some(row.to_vec()));
    assert_eq!(read(), (Some(None), 0));
    // What was found unread, and what nobody had.
    write(b"1");
    assert_eq!((read(), read()), ((is(b"1"), 1), (is(b"1"), 1)));
    write(b"2");
    assert_eq!((read(), read()), ((is(b"2"), 2), (is(b"2"), 2)));
    assert_eq!(cached.get(b"a").unwrap().unwrap(), b"2");
    // What cannot be read is tried again, and nothing is kept of it.
    write(b"damaged");
    assert_eq!((read(), read()), ((None, 3), (None, 4)));
    write(b"3");
    assert_eq!((read(), read()), ((is(b"3"), 5), (is(b"3"), 5)));
}

/// Who comes first reads it, also where nothing was kept of the row before.
#[test]
fn a_row_that_nobody_had_is_read_once() {
    let engine = Arc::new(Asked::default());
    let changes = Changes::from([(b"a".to_vec(), Some(b"1".to_vec()))]);
    engine.write(&changes, &NoProbe).unwrap();
    let cached = over(engine.clone());
    let times = Cell::new(0);
    for _ in 0..2 {
        let read = cached.parsed(b"a", &|octets| {
            times.set(times.get() + 1);
            Ok(parsed(octets))
        });
        assert_eq!(octets(&read.unwrap().unwrap()), b"1");
    }
    assert_eq!((times.get(), *engine.gets.lock().unwrap()), (1, 1));
}

/// How many rows stay of 4,000 that were asked for, when there is room for 16 in each generation of each shard.
fn kept_of_many(read: bool, row_bytes: usize) -> usize {
    let cache = RowCache::new(SHARDS * 2 * 16 * row_bytes);
    let row: Arc<[u8]> = Arc::from(*b"12345678");
    let look = |key: &[u8]| match cache.look(key, Wanted::AsItIs) {
        Look::Found(..) => true,
        Look::Missed(ticket) => {
            let parsed = read.then(|| parsed(&row));
            cache.keep(ticket, key, Some(row.clone()), parsed);
            false
        }
    };
    assert!(!look(b"often"));
    let mut found = 0;
    for n in 0..4000u64 {
        look(&n.to_be_bytes());
        found += usize::from(look(b"often"));
    }
    assert_eq!(found, 4000, "what is asked for stays");
    let held = |shard: &Mutex<Shard>| {
        let shard = shard.lock().unwrap();
        shard.young.len() + shard.old.len()
    };
    cache.shards.iter().map(held).sum()
}

#[test]
fn what_is_kept_is_bounded_and_what_is_asked_for_stays() {
    let bounds = SHARDS * 16..=SHARDS * 2 * 17;
    let held = kept_of_many(false, ENTRY_BYTES + 16);
    assert!(bounds.contains(&held), "{held} rows are kept");
    // What they are read to takes room, too.
    let held = kept_of_many(true, ENTRY_BYTES + READ_BYTES + 8 * READ_BYTES_PER_OCTET + 16);
    assert!(bounds.contains(&held), "{held} rows are kept");
}

#[test]
fn a_row_that_is_read_later_counts_for_more() {
    let mut shard = Shard {
        young_max_bytes: KEPT_MAX_BYTES,
        ..Shard::default()
    };
    let row: Arc<[u8]> = Arc::from(*b"12");
    shard.put(1, b"a", Some(row.clone()), None);
    let before = shard.young_bytes;
    for _ in 0..2 {
        shard.note(1, &row, &parsed(&row));
        assert_eq!(shard.young_bytes, before + READ_BYTES + 2 * READ_BYTES_PER_OCTET);
        assert!(shard.find(1, b"a", Wanted::ToRead).unwrap().parsed.is_some());
    }
    assert!(
        shard
            .find(1, b"another key of this digest", Wanted::ToRead)
            .is_none()
    );
    // What an earlier row was read to is not the present one's.
    shard.put(1, b"a", Some(Arc::from(*b"12")), None);
    shard.note(1, &row, &parsed(&row));
    assert!(shard.find(1, b"a", Wanted::ToRead).unwrap().parsed.is_none());
    assert!(shard.take_out(1, b"a"));
    assert_eq!(shard.young_bytes, 0);
}

#[test]
fn many_that_are_read_later_stay_within_their_room() {
    let mut shard = Shard {
        young_max_bytes: 100 * (ENTRY_BYTES + 16),
        ..Shard::default()
    };
    let row: Arc<[u8]> = Arc::from(*b"12345678");
    for n in 0..100u64 {
        shard.put(n, &n.to_be_bytes(), Some(row.clone()), None);
    }
    let mut found = 0;
    for n in 0..100u64 {
        if shard.find(n, &n.to_be_bytes(), Wanted::ToRead).is_some() {
            shard.note(n, &row, &parsed(&row));
            found += 1;
        }
        assert!(shard.young_bytes <= shard.young_max_bytes);
    }
    // What counts for more leaves room for fewer.
    assert!((20..100).contains(&found), "{found}");
}
