//! Batches with holes, as a power cut leaves them and as a disk loses them, in journals with room behind them and without.

use super::*;
use crate::store::db::{self, Batch, Db, EngineKind, OpenError};
use crate::store::group::conformance::{put, run};
use crate::store::ledger::Ledger;
use crate::store::probe::NoProbe;
use std::fs::OpenOptions;
use std::sync::Arc;

/// What a file system writes in one piece.
const BLOCK: u64 = 4096;
const COMMITS: u8 = 4;
const ROWS: u8 = 3;
/// Of each row: some blocks lie within one row, others hold where one ends and the next begins.
const OCTETS: u32 = 10_000;

/// A store of four commits, closed.
struct Store {
    dir: tempfile::TempDir,
    /// Where the octets of each commit begin in the journal, and where the last one ends.
    begins: Vec<u64>,
}

fn key(commit: u8, row: u8) -> String {
    format!("commit {commit} row {row}")
}

/// No octet of it is zero, and no two rows have the same.
fn value(commit: u8, row: u8) -> String {
    let first = u32::from(commit) * u32::from(ROWS) + u32::from(row);
    let letter = |n: u32| char::from(b'A' + ((n * 7 + first) % 26) as u8);
    (0..OCTETS).map(letter).collect()
}

fn journal(dir: &Path) -> PathBuf {
    journals(&dir.join("fjall")).unwrap().pop_last().unwrap().1
}

/// The name of the journal that comes after this one, so many later.
fn later(journal: &Path, many: u64) -> PathBuf {
    let number: u64 = journal.file_stem().unwrap().to_str().unwrap().parse().unwrap();
    journal.with_file_name(format!("{}.jnl", number + many))
}

impl Store {
    /// One that was opened a second time before its last commit, or not: then there is no room behind its journal.
    fn closed(reopened: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut db = db::open(EngineKind::Fjall, dir.path(), Arc::new(NoProbe)).unwrap();
        let mut begins = Vec::new();
        for commit in 0..COMMITS {
            if commit + 1 == COMMITS && reopened {
                drop(db);
                db = db::open(EngineKind::Fjall, dir.path(), Arc::new(NoProbe)).unwrap();
            }
            begins.push(written(&journal(dir.path())).unwrap());
            let mut batch = Batch::new();
            for row in 0..ROWS {
                batch.put(key(commit, row).into(), value(commit, row).into());
            }
            run(db.commit(batch)).unwrap();
        }
        drop(db);
        begins.push(written(&journal(dir.path())).unwrap());
        let store = Self { dir, begins };
        let octets = std::fs::metadata(journal(store.dir.path())).unwrap().len();
        assert_eq!(octets == store.begins[4], reopened, "room behind the journal");
        store
    }

    /// One whose last commit was written, and nobody answered.
    fn cut_off(reopened: bool) -> Self {
        let store = Self::closed(reopened);
        let ledger = store.dir.path().join("commits.seq");
        let last = Ledger::open(&ledger).unwrap().last().unwrap();
        assert_eq!(last, u64::from(COMMITS));
        std::fs::remove_file(&ledger).unwrap();
        Ledger::open(&ledger).unwrap().note(last - 1);
        store
    }

    /// These octets of the journal did not reach the disk.
    fn lose(&self, from: u64, until: u64) {
        let file = OpenOptions::new()
            .write(true)
            .open(journal(self.dir.path()))
            .unwrap();
        file.write_all_at(&vec![0; (until - from) as usize], from)
            .unwrap();
    }

    /// A hole within a row of a commit.
    fn tear(&self, commit: usize) {
        self.lose(self.begins[commit] + 100, self.begins[commit] + 200);
    }

    fn open(&self) -> Result<Arc<dyn Db>, OpenError> {
        db::open(EngineKind::Fjall, self.dir.path(), Arc::new(NoProbe))
    }

    /// The octets of all files of the engine and those kept beside it, by name, without rows.
    fn journals(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let folders = ["fjall", "fjall.torn", "fjall.trial"].map(|name| self.dir.path().join(name));
        let files = folders
            .iter()
            .filter(|dir| dir.exists())
            .flat_map(|dir| journals(dir).unwrap().into_values());
        files
            .chain(self.kept())
            .map(|path| (path.clone(), octets(&path)))
            .collect()
    }

    fn kept(&self) -> Vec<PathBuf> {
        let found = std::fs::read_dir(self.dir.path().join("fjall.torn"));
        found.map_or_else(
            |_| Vec::new(),
            |found| found.map(|entry| entry.unwrap().path()).collect(),
        )
    }

    /// What is refused, and changed nothing.
    fn is_refused(&self) {
        let found = self.journals();
        assert!(matches!(self.open(), Err(OpenError::Failed { .. })));
        assert_eq!(self.journals(), found);
        assert!(!self.dir.path().join("fjall.trial").exists());
    }
}

/// The octets of a journal without the room behind them.
fn octets(journal: &Path) -> Vec<u8> {
    let mut octets = vec![0; written(journal).unwrap() as usize];
    File::open(journal)
        .unwrap()
        .read_exact_at(&mut octets, 0)
        .unwrap();
    octets
}

/// Which commits are there; each is there whole or not at all.
fn commits(db: &dyn Db) -> Vec<u8> {
    let whole = |commit: &u8| {
        let rows: Vec<_> = (0..ROWS)
            .map(|row| db.get(key(*commit, row).as_bytes()).unwrap())
            .collect();
        let all = (0..ROWS).map(|row| Some(value(*commit, row).into_bytes()));
        let none = rows.iter().all(Option::is_none);
        assert!(
            none || rows.iter().cloned().eq(all),
            "commit {commit} is there in part"
        );
        !none
    };
    (0..COMMITS).filter(whole).collect()
}

#[test]
fn whatever_blocks_of_a_last_batch_are_missing_the_store_opens_without_it() {
    for reopened in [false, true] {
        let blocks = |store: &Store| {
            let (last, end) = (store.begins[3], store.begins[4]);
            // The first block holds octets of the batch before as well; those were synced.
            (last / BLOCK..=(end - 1) / BLOCK)
                .map(move |block| (last.max(block * BLOCK), end.min((block + 1) * BLOCK)))
        };
        let many = blocks(&Store::cut_off(reopened)).count();
        let (mut left_out_here, mut left_out_by_the_engine) = (0, 0);
        // Each alone, and all from there to the last but one, in which the batch ends.
        let holes = (0..many).flat_map(|first| [(first, first), (first, many - 2)]);
        for (first, last) in holes.filter(|(first, last)| first <= last) {
            let store = Store::cut_off(reopened);
            for (from, until) in blocks(&store).take(last + 1).skip(first) {
                store.lose(from, until);
            }
            let found = octets(&journal(store.dir.path()));
            let said = format!("blocks {first} to {last} of {many}");
            let db = store.open().unwrap_or_else(|error| panic!("{said}: {error}"));
            assert_eq!(commits(&*db), [0, 1, 2], "{said}");
            match store.kept().as_slice() {
                [] => left_out_by_the_engine += 1,
                [kept] => {
                    left_out_here += 1;
                    assert_eq!(octets(kept), found, "{said}: kept as it was found");
                }
                _ => panic!("{said}: kept twice"),
            }
            // It goes on from there, and what is committed now is there at the next start.
            run(db.commit(put("after", "it"))).unwrap();
            drop(db);
            let db = store.open().unwrap();
            assert_eq!(db.get(b"after").unwrap(), Some(b"it".to_vec()));
            assert_eq!(commits(&*db), [0, 1, 2]);
        }
        assert!(
            left_out_here > 0 && left_out_by_the_engine > 0,
            "{left_out_here}, {left_out_by_the_engine}"
        );
    }
}

#[test]
fn a_last_batch_that_is_the_first_of_its_journal_is_left_out() {
    let store = Store::cut_off(false);
    let full = journal(store.dir.path());
    let whole = octets(&full);
    let (before, last) = whole.split_at(store.begins[3] as usize);
    std::fs::write(&full, before).unwrap();
    let mut last = last.to_vec();
    last[100..200].fill(0);
    std::fs::write(later(&full, 1), &last).unwrap();
    assert_eq!(commits(&*store.open().unwrap()), [0, 1, 2]);
    assert_eq!(octets(&store.kept()[0]), last);
}

#[test]
fn a_last_batch_that_had_been_answered_is_not_left_out_in_silence() {
    let store = Store::closed(false);
    store.tear(3);
    let torn = octets(&journal(store.dir.path()));
    for _ in 0..2 {
        let Err(OpenError::Gap {
            found, acknowledged, ..
        }) = store.open()
        else {
            panic!("opened, or refused for another reason");
        };
        assert_eq!((found, acknowledged), (3, 4));
    }
    assert_eq!(
        store.kept().iter().map(|kept| octets(kept)).collect::<Vec<_>>(),
        [torn]
    );
}

#[test]
fn what_was_read_at_a_start_is_missed_at_the_next() {
    let store = Store::cut_off(false);
    drop(store.open().unwrap());
    store.tear(3);
    assert!(matches!(
        store.open(),
        Err(OpenError::Gap {
            found: 3,
            acknowledged: 4,
            ..
        })
    ));
}

#[test]
fn damage_elsewhere_is_refused_and_nothing_is_changed() {
    for torn_as_well in [false, true] {
        let store = Store::cut_off(false);
        store.tear(1);
        if torn_as_well {
            store.tear(3);
        }
        store.is_refused();
    }
}

#[test]
fn a_journal_before_the_last_that_lost_something_is_refused_and_nothing_is_changed() {
    // Within a row; over the beginning of one, where fjall would go on with the next journal; and the end of a batch.
    let holes = [
        (100, 200),
        (u64::from(OCTETS), u64::from(OCTETS) + 500),
        (3 * u64::from(OCTETS), 3 * u64::from(OCTETS) + 400),
    ];
    for (from, until) in holes {
        for torn_as_well in [false, true] {
            let store = Store::cut_off(false);
            let whole = octets(&journal(store.dir.path()));
            let begin = store.begins[2];
            store.lose(begin + from, (begin + until).min(store.begins[3]));
            let last = later(&journal(store.dir.path()), 1);
            std::fs::write(&last, whole).unwrap();
            if torn_as_well {
                store.tear(3);
            }
            store.is_refused();
            store.is_refused();
        }
    }
}

#[test]
fn journals_before_the_last_that_are_whole_are_read() {
    let store = Store::closed(false);
    let full = journal(store.dir.path());
    let whole = octets(&full);
    let (before, last) = whole.split_at(store.begins[2] as usize);
    // One with room behind it, and one without.
    store.lose(store.begins[2], store.begins[4]);
    std::fs::write(later(&full, 1), before).unwrap();
    std::fs::write(later(&full, 2), last).unwrap();
    assert_eq!(commits(&*store.open().unwrap()), [0, 1, 2, 3]);
    assert!(store.kept().is_empty());
}

#[test]
fn a_journal_that_is_missing_or_empty_between_others_is_told() {
    for lost in [None, Some(0), Some(1 << 20)] {
        let store = Store::closed(false);
        let full = journal(store.dir.path());
        let last = later(&full, 2);
        std::fs::copy(&full, &last).unwrap();
        if let Some(octets) = lost {
            File::create(later(&full, 1)).unwrap().set_len(octets).unwrap();
        }
        store.is_refused();
    }
}

#[test]
fn half_a_batch_behind_which_another_journal_was_begun_is_left_out() {
    // A write failed for want of room, and the journal was changed before the process ended.
    for torn in [false, true] {
        let store = Store::cut_off(false);
        let full = journal(store.dir.path());
        File::create(later(&full, 1)).unwrap().set_len(1 << 20).unwrap();
        let file = OpenOptions::new().write(true).open(&full).unwrap();
        if torn {
            file.write_all_at(&[0; 100], store.begins[3] + 100).unwrap();
        } else {
            file.set_len(store.begins[4] - 5000).unwrap();
        }
        assert_eq!(commits(&*store.open().unwrap()), [0, 1, 2]);
        assert_eq!(store.kept().len(), usize::from(torn));
    }
}

#[test]
fn a_store_whose_engine_has_changed_its_journal_opens_again() {
    const MANY: u32 = 60;
    let dir = tempfile::tempdir().unwrap();
    let open = || db::open(EngineKind::Fjall, dir.path(), Arc::new(NoProbe)).unwrap();
    let db = open();
    let full = "x".repeat(15_000);
    let mut last = 0;
    let second = dir.path().join("full.jnl");
    while last < 400 && !second.exists() {
        let mut batch = put("last", &last.to_string());
        for row in 0..MANY {
            batch.put(format!("{row} of {last}").into(), full.clone().into());
        }
        run(db.commit(batch)).unwrap();
        last += 1;
        let journals = journals(&dir.path().join("fjall")).unwrap();
        if let (2.., Some((_, first))) = (journals.len(), journals.first_key_value()) {
            // The engine takes it away when its rows are elsewhere, which may be at once: a second name keeps it.
            let _ = std::fs::hard_link(first, &second);
        }
    }
    drop(db);
    // As when the process had been killed before it was taken away.
    let last_one = journal(dir.path());
    let number: u64 = last_one.file_stem().unwrap().to_str().unwrap().parse().unwrap();
    let first = last_one.with_file_name(format!("{}.jnl", number - 1));
    if !first.exists() {
        std::fs::hard_link(&second, &first).unwrap();
    }
    assert_eq!(damaged_before_the_last(&dir.path().join("fjall")).unwrap(), None);
    let db = open();
    for commit in 0..last {
        for row in [0, MANY - 1] {
            let found = db.get(format!("{row} of {commit}").as_bytes()).unwrap();
            assert_eq!(
                found.map(|row| row.len()),
                Some(full.len()),
                "row {row} of {commit}"
            );
        }
    }
}

#[test]
fn a_full_disk_is_told_from_damage() {
    let full = || Error::from(ErrorKind::StorageFull);
    let errors = [
        fjall::Error::Io(full()),
        fjall::Error::Storage(fjall::LsmError::Io(full())),
    ];
    assert!(errors.into_iter().all(|error| is_out_of_room(&io_error(error))));
    let damage = fjall::Error::JournalRecovery(JournalRecoveryError::ChecksumMismatch);
    assert!(!is_out_of_room(&io_error(damage)));
}

#[test]
fn what_an_attempt_that_broke_off_left_is_not_in_the_way() {
    let store = Store::cut_off(false);
    store.tear(3);
    let found = octets(&journal(store.dir.path()));
    let (trial, torn) = (
        store.dir.path().join("fjall.trial"),
        store.dir.path().join("fjall.torn"),
    );
    open(&trial).unwrap();
    // It had given the journal its second name, and an earlier one of the same number was kept as well.
    keep(&journal(store.dir.path()), &torn).unwrap();
    let kept = store.kept().pop().unwrap();
    std::fs::write(kept.with_file_name("earlier.jnl"), b"an earlier one").unwrap();
    assert_eq!(commits(&*store.open().unwrap()), [0, 1, 2]);
    let mut all: Vec<_> = store.kept().iter().map(|kept| octets(kept)).collect();
    all.sort();
    assert_eq!(all, [found.clone(), found, b"an earlier one".to_vec()]);
    assert!(!trial.exists());
    // One that broke off behind its last step left the copies.
    open(&trial).unwrap();
    drop(store.open().unwrap());
    assert!(!trial.exists());
}
