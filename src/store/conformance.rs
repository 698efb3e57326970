//! The same suite over both engines, and over one that fails on demand.

use super::*;
use crate::store::db::{self, prefix_end};
use crate::store::probe::NoProbe;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

pub(in crate::store) const KINDS: [EngineKind; 2] = [EngineKind::Fjall, EngineKind::Sled];

pub(in crate::store) fn fresh(kind: EngineKind) -> (tempfile::TempDir, Arc<dyn Db>) {
    let dir = tempfile::tempdir().unwrap();
    let db = db::open(kind, dir.path(), Arc::new(NoProbe)).unwrap();
    (dir, db)
}

pub(in crate::store) fn run<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future)
}

pub(in crate::store) fn put(key: &str, value: &str) -> Batch {
    let mut batch = Batch::new();
    batch.put(key.into(), value.into());
    batch
}

#[test]
fn rows_come_in_order_and_survive_a_restart() {
    for kind in KINDS {
        let (dir, db) = fresh(kind);
        run(async {
            let mut batch = Batch::new();
            for key in ["b2", "a", "b1", "c"] {
                batch.put(key.into(), key.to_ascii_uppercase().into());
            }
            db.commit(batch).await.unwrap();
            let mut gone = Batch::new();
            gone.delete(b"c".to_vec());
            db.commit(gone).await.unwrap();
        });
        drop(db);
        let db = db::open(kind, dir.path(), Arc::new(NoProbe)).unwrap();
        assert_eq!(db.get(b"a").unwrap(), Some(b"A".to_vec()));
        assert_eq!(db.get(b"c").unwrap(), None);
        let keys = |rows: Rows| {
            rows.into_iter()
                .map(|(k, _)| String::from_utf8(k).unwrap())
                .collect::<Vec<_>>()
        };
        assert_eq!(keys(db.range(b"b", &prefix_end(b"b"), 9).unwrap()), ["b1", "b2"]);
        assert_eq!(keys(db.range(b"a", b"z", 2).unwrap()), ["a", "b1"]);
        assert_eq!(keys(db.range_back(b"a", b"z", 2).unwrap()), ["b2", "b1"]);
        assert_eq!(keys(db.range(b"z", b"a", 2).unwrap()), Vec::<String>::new());
    }
}

#[test]
fn a_condition_that_does_not_hold_leaves_nothing() {
    for kind in KINDS {
        let (_dir, db) = fresh(kind);
        run(async {
            db.commit(put("k", "1")).await.unwrap();
            let conflict = Err(CommitError::Conflict { key: b"k".to_vec() });
            let mut absent = put("other", "x");
            absent.require_absent(b"k".to_vec());
            assert_eq!(db.commit(absent).await, conflict);
            let mut equals = put("other", "x");
            equals.require_equals(b"k".to_vec(), b"2".to_vec());
            assert_eq!(db.commit(equals).await, conflict);
            assert_eq!(db.get(b"other").unwrap(), None);
            let mut holds = put("other", "x");
            holds
                .require_equals(b"k".to_vec(), b"1".to_vec())
                .require_present(b"k".to_vec());
            db.commit(holds).await.unwrap();
            assert_eq!(db.get(b"other").unwrap(), Some(b"x".to_vec()));
        });
    }
}

/// Whoever has seen something of a batch sees all of it from then on: a reader of the change log who finds the last
/// change of a batch has not missed the first.
#[test]
fn no_reader_sees_a_part_of_a_batch() {
    const ROWS: u64 = 40;
    const BATCHES: u64 = 150;
    let key =
        |table: u8, n: u64, row: u64| [[table].as_slice(), &n.to_be_bytes(), &row.to_be_bytes()].concat();
    for kind in KINDS {
        let (_dir, db) = fresh(kind);
        let done = AtomicBool::new(false);
        let count = |name: &[u8]| {
            db.get(name)
                .unwrap()
                .map_or(0, |v| u64::from_be_bytes(v.try_into().unwrap()))
        };
        let (db, done, count) = (&db, &done, &count);
        std::thread::scope(|scope| {
            // Each batch moves all rows of the log further up, and counts in the first and the last row of another table.
            let writer = scope.spawn(|| {
                for n in 1..=BATCHES {
                    let mut batch = Batch::new();
                    batch.put(b"c0".to_vec(), n.to_be_bytes().to_vec());
                    for row in 0..ROWS {
                        batch.delete(key(b'l', n - 1, row));
                        batch.put(key(b'l', n, row), Vec::new());
                    }
                    batch.put(b"c9".to_vec(), n.to_be_bytes().to_vec());
                    run(db.commit(batch)).unwrap();
                }
                done.store(true, Ordering::SeqCst);
            });
            for (first, then) in [(b"c0", b"c9"), (b"c9", b"c0")] {
                scope.spawn(move || {
                    while !done.load(Ordering::SeqCst) {
                        let (seen, after) = (count(first), count(then));
                        assert!(after >= seen, "{kind:?}: {after} was read after {seen}");
                    }
                });
            }
            scope.spawn(|| {
                while !done.load(Ordering::SeqCst) {
                    let begun = count(b"c9");
                    let rows = db.range(b"l", &prefix_end(b"l"), usize::MAX).unwrap();
                    let moved: std::collections::BTreeSet<Vec<u8>> =
                        rows.iter().map(|(key, _)| key[9..].to_vec()).collect();
                    let all = moved.len() as u64;
                    assert!(
                        begun == 0 || all == ROWS,
                        "{kind:?}: {all} of {ROWS} rows were seen"
                    );
                }
            });
            writer.join().unwrap();
        });
    }
}

#[test]
fn many_callers_count_to_the_exact_number() {
    for kind in KINDS {
        let (_dir, db) = fresh(kind);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .build()
            .unwrap();
        runtime.block_on(async {
            let count = |db: Arc<dyn Db>| async move {
                for _ in 0..8 {
                    loop {
                        let now = db.get(b"n").unwrap();
                        let n: u32 = now
                            .as_ref()
                            .map_or(0, |v| std::str::from_utf8(v).unwrap().parse().unwrap());
                        let mut batch = put("n", &(n + 1).to_string());
                        match now {
                            Some(v) => batch.require_equals(b"n".to_vec(), v),
                            None => batch.require_absent(b"n".to_vec()),
                        };
                        match db.commit(batch).await {
                            Ok(_) => break,
                            Err(CommitError::Conflict { .. }) => tokio::task::yield_now().await,
                            Err(other) => panic!("{other}"),
                        }
                    }
                }
            };
            let tasks: Vec<_> = (0..16).map(|_| tokio::spawn(count(db.clone()))).collect();
            for task in tasks {
                task.await.unwrap();
            }
        });
        assert_eq!(db.get(b"n").unwrap(), Some(b"128".to_vec()));
    }
}

#[test]
fn stamps_carry_the_number_of_their_commit() {
    for kind in KINDS {
        let (_dir, db) = fresh(kind);
        let stamped = || {
            let mut batch = Batch::new();
            batch.put_stamped(b"s????????".to_vec(), Some(1), b"________v".to_vec(), Some(0));
            batch
        };
        let (first, second) = run(async {
            (
                db.commit(stamped()).await.unwrap(),
                db.commit(stamped()).await.unwrap(),
            )
        });
        assert!(first < second);
        let rows = db.range(b"s", b"t", 9).unwrap();
        for (row, seq) in rows.iter().zip([first, second]) {
            assert_eq!(row.0, [b"s".as_slice(), &seq.0.to_be_bytes()].concat());
            assert_eq!(row.1, [seq.0.to_be_bytes().as_slice(), b"v"].concat());
        }
        assert_eq!(rows.len(), 2);
        let mut cramped = Batch::new();
        cramped.put_stamped(b"short".to_vec(), Some(1), Vec::new(), None);
        assert!(matches!(run(db.commit(cramped)), Err(CommitError::Broken(_))));
    }
}

#[test]
fn limits_are_the_same_on_every_engine() {
    for kind in KINDS {
        let (_dir, db) = fresh(kind);
        let mut batch = Batch::new();
        batch.put(vec![1; db::KEY_MAX_BYTES + 1], Vec::new());
        assert!(matches!(run(db.commit(batch)), Err(CommitError::TooLarge(_))));
        let mut batch = Batch::new();
        batch.put(vec![1; db::KEY_MAX_BYTES], vec![0; db::ROW_MAX_BYTES + 1]);
        assert!(matches!(run(db.commit(batch)), Err(CommitError::TooLarge(_))));
        let mut batch = Batch::new();
        batch.put(vec![1; db::KEY_MAX_BYTES], vec![0; db::ROW_MAX_BYTES]);
        run(db.commit(batch)).unwrap();
    }
}

#[test]
fn a_second_opener_is_refused() {
    let (dir, db) = fresh(EngineKind::Fjall);
    let again = db::open(EngineKind::Fjall, dir.path(), Arc::new(NoProbe));
    assert!(matches!(again, Err(OpenError::InUse(_))));
    drop(db);
    db::open(EngineKind::Fjall, dir.path(), Arc::new(NoProbe)).unwrap();
}

#[test]
fn an_engine_that_forgot_commits_is_not_opened() {
    for kind in KINDS {
        let (dir, db) = fresh(kind);
        run(async {
            for n in 0..3 {
                db.commit(put("k", &n.to_string())).await.unwrap();
            }
        });
        drop(db);
        let folder = if kind == EngineKind::Fjall {
            "fjall"
        } else {
            "sled"
        };
        std::fs::remove_dir_all(dir.path().join(folder)).unwrap();
        let opened = db::open(kind, dir.path(), Arc::new(NoProbe));
        assert!(matches!(
            opened,
            Err(OpenError::Gap {
                found: 0,
                acknowledged: 3,
                ..
            })
        ));
    }
}

/// Rows in memory, with a switch that makes writing fail.
#[derive(Default)]
struct Failing {
    rows: Mutex<BTreeMap<Vec<u8>, Vec<u8>>>,
    fail: Arc<AtomicBool>,
}

impl Engine for Failing {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.rows.lock().unwrap().get(key).cloned())
    }

    fn range(&self, from: &[u8], to: &[u8], limit: usize, _back: bool) -> Result<Rows, StoreError> {
        let rows = self.rows.lock().unwrap();
        let range = rows.range::<[u8], _>((Bound::Included(from), Bound::Excluded(to)));
        Ok(range.take(limit).map(|(k, v)| (k.clone(), v.clone())).collect())
    }

    fn write(&self, changes: &Changes, _probe: &dyn Probe) -> Result<(), String> {
        if self.fail.load(Ordering::Relaxed) {
            return Err("no space left on device".into());
        }
        let mut rows = self.rows.lock().unwrap();
        for (key, value) in changes {
            match value {
                Some(value) => rows.insert(key.clone(), value.clone()),
                None => rows.remove(key),
            };
        }
        Ok(())
    }
}

#[test]
fn after_a_failed_write_nothing_is_visible_and_nothing_more_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Failing::default();
    let fail = engine.fail.clone();
    let lock = lock(dir.path()).ok().unwrap();
    let free = Box::new(|| None);
    let db = start(Arc::new(engine), dir.path(), Arc::new(NoProbe), lock, free).unwrap();
    run(async {
        db.commit(put("a", "1")).await.unwrap();
        fail.store(true, Ordering::Relaxed);
        assert!(matches!(
            db.commit(put("b", "2")).await,
            Err(CommitError::Broken(_))
        ));
        fail.store(false, Ordering::Relaxed);
        assert!(matches!(
            db.commit(put("c", "3")).await,
            Err(CommitError::Broken(_))
        ));
    });
    assert_eq!(db.get(b"a").unwrap(), Some(b"1".to_vec()));
    assert_eq!(db.get(b"b").unwrap(), None);
    assert_eq!(db.get(b"c").unwrap(), None);
}

#[test]
fn a_full_disk_refuses_leaves_all_as_it_was_and_is_over_when_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let free = Arc::new(AtomicU64::new(DISK_RESERVE_BYTES));
    let reading = free.clone();
    let lock = lock(dir.path()).ok().unwrap();
    let engine = fjall_engine::open(&dir.path().join("fjall")).unwrap();
    let room = Box::new(move || Some(reading.load(Ordering::Relaxed)));
    let db = start(engine, dir.path(), Arc::new(NoProbe), lock, room).unwrap();
    run(async {
        let first = db.commit(put("a", "1")).await.unwrap();
        free.store(DISK_RESERVE_BYTES - 1, Ordering::Relaxed);
        let mut change = put("a", "2");
        change.put(b"b".to_vec(), b"2".to_vec());
        let refused = db.commit(change.clone()).await;
        assert!(matches!(refused, Err(CommitError::Unavailable(_))), "{refused:?}");
        assert_eq!(db.get(b"a").unwrap(), Some(b"1".to_vec()));
        assert_eq!(db.get(b"b").unwrap(), None);
        free.store(DISK_RESERVE_BYTES, Ordering::Relaxed);
        assert_eq!(db.commit(change).await.unwrap(), CommitSeq(first.0 + 1));
        assert_eq!(db.get(b"b").unwrap(), Some(b"2".to_vec()));
    });
}

/// Holds its first write until it is let go, and counts writes.
struct Slow {
    rows: Failing,
    gate: Mutex<Option<(std::sync::mpsc::Sender<()>, std::sync::mpsc::Receiver<()>)>>,
    writes: Arc<AtomicU64>,
}

impl Engine for Slow {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.rows.get(key)
    }

    fn range(&self, from: &[u8], to: &[u8], limit: usize, back: bool) -> Result<Rows, StoreError> {
        self.rows.range(from, to, limit, back)
    }

    fn write(&self, changes: &Changes, probe: &dyn Probe) -> Result<(), String> {
        self.writes.fetch_add(1, Ordering::Relaxed);
        if let Some((began, go)) = self.gate.lock().unwrap().take() {
            began.send(()).unwrap();
            go.recv().unwrap();
        }
        self.rows.write(changes, probe)
    }
}

#[test]
fn batches_of_one_group_see_what_those_before_them_wrote() {
    let dir = tempfile::tempdir().unwrap();
    let ((began, has_begun), (go, gate)) = (std::sync::mpsc::channel(), std::sync::mpsc::channel());
    let writes = Arc::new(AtomicU64::new(0));
    let engine = Slow {
        rows: Failing::default(),
        gate: Mutex::new(Some((began, gate))),
        writes: writes.clone(),
    };
    let lock = lock(dir.path()).ok().unwrap();
    let db = start(
        Arc::new(engine),
        dir.path(),
        Arc::new(NoProbe),
        lock,
        Box::new(|| None),
    )
    .unwrap();
    let spawn = |batch: Batch| {
        let db = db.clone();
        tokio::spawn(async move { db.commit(batch).await })
    };
    run(async {
        let first = spawn(put("first", "x"));
        tokio::task::yield_now().await;
        has_begun.recv().unwrap();
        // These four wait while the first is written: they are one group.
        let mut claim = put("k", "1");
        claim.require_absent(b"k".to_vec());
        let mut rival = put("k", "2");
        rival
            .put(b"rival".to_vec(), b"2".to_vec())
            .require_absent(b"k".to_vec());
        let mut next = put("k", "3");
        next.require_equals(b"k".to_vec(), b"1".to_vec());
        let mut end = Batch::new();
        end.delete(b"k".to_vec())
            .require_equals(b"k".to_vec(), b"3".to_vec());
        let waiting = [claim, rival, next, end].map(spawn);
        tokio::task::yield_now().await;
        go.send(()).unwrap();
        first.await.unwrap().unwrap();
        let mut results = Vec::new();
        for task in waiting {
            results.push(task.await.unwrap());
        }
        let conflict = Err(CommitError::Conflict { key: b"k".to_vec() });
        assert_eq!(
            results,
            [Ok(CommitSeq(2)), conflict, Ok(CommitSeq(3)), Ok(CommitSeq(4))]
        );
    });
    assert_eq!(writes.load(Ordering::Relaxed), 2);
    assert_eq!(db.get(b"k").unwrap(), None);
    assert_eq!(db.get(b"rival").unwrap(), None);
}

/// Adds to a counter, which it writes with the number of the commit; refuses to go beyond its most.
#[derive(Debug)]
struct Counting {
    add: u8,
    most: u8,
}

impl db::Revision for Counting {
    fn rows_max(&self) -> usize {
        2
    }

    fn revise(&self, now: Option<&[u8]>, seq: CommitSeq) -> Result<Option<db::Revised>, StoreError> {
        let count = now.map_or(0, |row| row[0]) + self.add;
        let rows = vec![
            (b"count".to_vec(), Some(vec![count])),
            (seq.0.to_be_bytes().to_vec(), Some(vec![count])),
        ];
        Ok((count <= self.most).then_some(rows))
    }
}

/// Many who revise one row at once share their syncs and are in nobody's way; who is refused leaves nothing, and has not
/// taken a number.
#[test]
fn revisions_see_the_row_as_it_is_then() {
    for kind in KINDS {
        let (_dir, db) = fresh(kind);
        let revising = |add: u8, most: u8| {
            let mut batch = Batch::new();
            batch.revise(b"count".to_vec(), Arc::new(Counting { add, most }));
            batch
        };
        run(async {
            let all: Vec<_> = (0..40)
                .map(|_| {
                    let (db, batch) = (db.clone(), revising(1, u8::MAX));
                    tokio::spawn(async move { db.commit(batch).await })
                })
                .collect();
            for one in all {
                one.await.unwrap().unwrap();
            }
            assert_eq!(db.get(b"count").unwrap(), Some(vec![40]));
            let mut refused = revising(1, 40);
            refused.put(b"beside".to_vec(), b"x".to_vec());
            let conflict = CommitError::Conflict {
                key: b"count".to_vec(),
            };
            assert_eq!(db.commit(refused).await, Err(conflict));
            assert_eq!(db.get(b"beside").unwrap(), None);
            // Two in one batch follow each other; the whole batch is refused with the second.
            let mut two = revising(2, 41);
            two.revise(b"count".to_vec(), Arc::new(Counting { add: 1, most: 43 }));
            assert!(db.commit(two).await.is_err());
            let mut two = revising(2, 43);
            two.revise(b"count".to_vec(), Arc::new(Counting { add: 1, most: 43 }));
            assert_eq!(db.commit(two).await, Ok(CommitSeq(41)));
            assert_eq!(db.get(b"count").unwrap(), Some(vec![43]));
            assert_eq!(db.get(&41u64.to_be_bytes()).unwrap(), Some(vec![43]));
            let mut many = Batch::new();
            for _ in 0..=db::BATCH_MAX_ROWS / 2 {
                many.revise(b"count".to_vec(), Arc::new(Counting { add: 0, most: 43 }));
            }
            assert!(matches!(db.commit(many).await, Err(CommitError::TooLarge(_))));
        });
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn behaves_as_a_sorted_map(batches in prop::collection::vec(
        prop::collection::vec((0u8..20, prop::option::of(0u8..250)), 1..8), 1..20))
    {
        for kind in KINDS {
            let (_dir, db) = fresh(kind);
            let mut model = BTreeMap::new();
            run(async {
                for writes in &batches {
                    let mut batch = Batch::new();
                    for (key, value) in writes {
                        match value {
                            Some(v) => { batch.put(vec![1, *key], vec![*v]); model.insert(vec![1, *key], vec![*v]); }
                            None => { batch.delete(vec![1, *key]); model.remove(&vec![1, *key]); }
                        }
                    }
                    db.commit(batch).await.unwrap();
                }
            });
            let rows = db.range(&[1], &[2], 1000).unwrap();
            prop_assert_eq!(rows, model.into_iter().collect::<Vec<_>>());
        }
    }
}
