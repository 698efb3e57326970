//! What a power cut may leave at the end of fjall's journal: a last batch with its end on disk and a hole in its middle.
//!
//! A file system brings the blocks of a batch to disk in any order. A last batch without its end fjall leaves out when it
//! opens. One with its end and a hole it takes for damage, and does not open at all. Nobody was answered on such a batch: a
//! group is synced before it is answered, and before the next one is written. So it is left out here too.
//!
//! What fjall makes of its journal only fjall says. A copy without the last octet ends in a batch without its end; if fjall
//! refuses the journal as it was found and reads that copy, then the last batch and nothing else was not whole, and the
//! copy takes the place of the journal. Any other damage stays as it is and is refused. A crash at any line leaves either the
//! journal as it was found, or the new one.

use super::folder::{into_place, take_away};
use fjall::{Database, JournalRecoveryError};
use std::fs::File;
use std::io::{self, Error, ErrorKind, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

/// Endings, behind the name of the engine's folder: where journals are tried, and where they are kept as they were found.
const TRIAL: &str = "trial";
const FOUND: &str = "torn";

const JOURNAL: &str = "jnl";

/// Octets looked at in one go for the last one that was written.
const WINDOW: usize = 64 * 1024;

/// Whether fjall did not open because a batch of a journal is not whole.
pub(super) fn is_torn(error: &fjall::Error) -> bool {
    use JournalRecoveryError::{ChecksumMismatch, InsufficientLength, TooManyItems};
    matches!(
        error,
        fjall::Error::JournalRecovery(ChecksumMismatch | InsufficientLength | TooManyItems)
    )
}

/// Leaves out the last batch of the engine in `dir`, which nobody has open, if that is the one that is not whole. Answers
/// where the journal is kept as it was found; nothing is changed, and none is the answer, if something else is damaged.
pub(super) fn leave_out_last_batch(dir: &Path) -> io::Result<Option<PathBuf>> {
    let trial = dir.with_extension(TRIAL);
    let last = last_journal(dir)?;
    let kept = match try_without_last_batch(&last, &trial)? {
        Some(whole) => {
            let kept = keep(&last, &dir.with_extension(FOUND))?;
            into_place(&whole, &last)?;
            Some(kept)
        }
        None => None,
    };
    take_away(&trial)?;
    Ok(kept)
}

/// The journal in `trial` that fjall reads, where it does not read the one at `journal`.
fn try_without_last_batch(journal: &Path, trial: &Path) -> io::Result<Option<PathBuf>> {
    let Some(last) = last_written(&File::open(journal)?)? else {
        return Ok(None);
    };
    take_away(trial)?;
    open(trial).map_err(Error::other)?;
    let copy = last_journal(trial)?;
    copy_beginning(journal, &copy, last + 1)?;
    if !open(trial).is_err_and(|error| is_torn(&error)) {
        // The damage is in an older journal.
        return Ok(None);
    }
    copy_beginning(journal, &copy, last)?;
    if open(trial).is_err() {
        return Ok(None);
    }
    File::open(&copy)?.sync_all()?;
    Ok(Some(copy))
}

fn copy_beginning(from: &Path, to: &Path, octets: u64) -> io::Result<()> {
    let copied = std::io::copy(&mut File::open(from)?.take(octets), &mut File::create(to)?)?;
    if copied == octets {
        Ok(())
    } else {
        Err(ErrorKind::UnexpectedEof.into())
    }
}

/// Opens the engine in `dir`, with which it reads its journals, and closes it.
fn open(dir: &Path) -> std::result::Result<(), fjall::Error> {
    Database::builder(dir).open().map(drop)
}

/// The journal that was written to last: they are numbered.
fn last_journal(dir: &Path) -> io::Result<PathBuf> {
    let mut last = None;
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let number = path
            .file_stem()
            .and_then(|stem| stem.to_str()?.parse::<u64>().ok());
        if path.extension().is_some_and(|ending| ending == JOURNAL) && number > last.as_ref().map(|(n, _)| *n)
        {
            last = number.map(|number| (number, path));
        }
    }
    let none = || Error::new(ErrorKind::NotFound, format!("no journal in {}", dir.display()));
    last.map(|(_, path)| path).ok_or_else(none)
}

/// Where the last octet stands that is not zero: behind it is room made ahead.
fn last_written(file: &File) -> io::Result<Option<u64>> {
    let (mut window, zeros) = (vec![0; WINDOW], vec![0; WINDOW]);
    let mut end = file.metadata()?.len();
    while end > 0 {
        let start = end.saturating_sub(WINDOW as u64);
        let part = &mut window[..(end - start) as usize];
        file.read_exact_at(part, start)?;
        // Most of it is room, which is told by comparing whole windows.
        if *part != zeros[..part.len()] {
            return Ok(part
                .iter()
                .rposition(|octet| *octet != 0)
                .map(|at| start + at as u64));
        }
        end = start;
    }
    Ok(None)
}

/// Gives the file a second name in the folder `found`, one that is free; it stays when the first is given to another.
fn keep(journal: &Path, found: &Path) -> io::Result<PathBuf> {
    std::fs::create_dir_all(found)?;
    let name = journal.file_stem().unwrap_or_default().to_string_lossy();
    for n in 1u32.. {
        let kept = found.join(format!("{name}-{n}.{JOURNAL}"));
        match std::fs::hard_link(journal, &kept) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
            Ok(()) => {
                File::open(found)?.sync_all()?;
                return Ok(kept);
            }
        }
    }
    Err(Error::other("no name is free"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::db::{self, Batch, Db, EngineKind, OpenError};
    use crate::store::group::conformance::{put, run};
    use crate::store::probe::NoProbe;
    use std::sync::Arc;

    /// What a file system writes in one piece.
    const BLOCK: usize = 512;
    const COMMITS: u8 = 4;

    /// A store of four commits of three rows each, closed.
    struct Store {
        dir: tempfile::TempDir,
        /// Where the octets of each commit begin in the journal, and where the last one ends.
        begins: Vec<usize>,
    }

    fn value(commit: u8, row: u8) -> String {
        // No octet of it is zero, and no two rows have the same.
        (0..700u32)
            .map(|n| char::from(b'A' + ((n * 7 + u32::from(commit) * 3 + u32::from(row)) % 26) as u8))
            .collect()
    }

    fn key(commit: u8, row: u8) -> String {
        format!("commit {commit} row {row}")
    }

    impl Store {
        /// `answered`: whether it was noted that the last commit had been answered.
        fn closed(answered: bool) -> Self {
            let dir = tempfile::tempdir().unwrap();
            let db = db::open(EngineKind::Fjall, dir.path(), Arc::new(NoProbe)).unwrap();
            let ledger = dir.path().join("commits.seq");
            let (mut noted, mut begins) = (Vec::new(), Vec::new());
            for commit in 0..COMMITS {
                noted = std::fs::read(&ledger).unwrap();
                begins.push(written(dir.path()).len());
                let mut batch = Batch::new();
                for row in 0..3 {
                    batch.put(key(commit, row).into(), value(commit, row).into());
                }
                run(db.commit(batch)).unwrap();
            }
            drop(db);
            if !answered {
                std::fs::write(ledger, noted).unwrap();
            }
            begins.push(written(dir.path()).len());
            Self { dir, begins }
        }

        /// The block of the journal in which the octet `at` stands does not reach the disk.
        fn lose(&self, at: usize) -> Vec<u8> {
            let mut octets = written(self.dir.path());
            let start = at / BLOCK * BLOCK;
            let end = octets.len().min(start + BLOCK);
            octets[start..end].fill(0);
            std::fs::write(journal(self.dir.path()), &octets).unwrap();
            octets
        }

        fn open(&self) -> Result<Arc<dyn Db>, OpenError> {
            db::open(EngineKind::Fjall, self.dir.path(), Arc::new(NoProbe))
        }

        fn kept(&self) -> Vec<PathBuf> {
            let found = std::fs::read_dir(self.dir.path().join("fjall.torn"));
            found.map_or_else(
                |_| Vec::new(),
                |found| found.map(|entry| entry.unwrap().path()).collect(),
            )
        }
    }

    fn journal(dir: &Path) -> PathBuf {
        last_journal(&dir.join("fjall")).unwrap()
    }

    /// The octets of the journal without the room behind them.
    fn written(dir: &Path) -> Vec<u8> {
        let file = File::open(journal(dir)).unwrap();
        let mut octets = vec![0; last_written(&file).unwrap().map_or(0, |last| last as usize + 1)];
        file.read_exact_at(&mut octets, 0).unwrap();
        octets
    }

    /// Which commits are there; each is there whole or not at all.
    fn commits(db: &dyn Db) -> Vec<u8> {
        let whole = |commit: &u8| {
            let rows: Vec<_> = (0..3)
                .map(|row| db.get(key(*commit, row).as_bytes()).unwrap())
                .collect();
            let all = (0..3).map(|row| Some(value(*commit, row).into_bytes()));
            assert!(
                rows.iter().all(Option::is_none) || rows.iter().cloned().eq(all),
                "commit {commit} is there in part"
            );
            rows[0].is_some()
        };
        (0..COMMITS).filter(whole).collect()
    }

    #[test]
    fn whatever_block_of_a_last_batch_is_missing_the_store_opens_without_it() {
        let whole = Store::closed(false);
        let (last, end) = (whole.begins[3], whole.begins[4]);
        let mut refused_by_the_engine = 0;
        for block in last / BLOCK..=(end - 1) / BLOCK {
            let store = Store::closed(false);
            // The first block holds octets of the batch before as well; those were synced.
            let at = (block * BLOCK).max(last);
            let mut found = written(store.dir.path());
            let until = found.len().min((block + 1) * BLOCK);
            found[at..until].fill(0);
            std::fs::write(journal(store.dir.path()), &found).unwrap();
            let db = store
                .open()
                .unwrap_or_else(|error| panic!("octets {at} to {until}: {error}"));
            assert_eq!(commits(&*db), [0, 1, 2], "octets {at} to {until}");
            for kept in store.kept() {
                refused_by_the_engine += 1;
                assert_eq!(std::fs::read(kept).unwrap(), found, "kept as it was found");
            }
            // It goes on from there, and what is committed now is there at the next start.
            run(db.commit(put("after", "it"))).unwrap();
            drop(db);
            let db = store.open().unwrap();
            assert_eq!(db.get(b"after").unwrap(), Some(b"it".to_vec()));
            assert_eq!(commits(&*db), [0, 1, 2]);
        }
        assert!(
            refused_by_the_engine > 0,
            "no block made a batch with an end and a hole"
        );
    }

    #[test]
    fn a_last_batch_that_had_been_answered_is_not_left_out_in_silence() {
        let store = Store::closed(true);
        let found = store.lose(store.begins[3] + 2 * BLOCK);
        for _ in 0..2 {
            let opened = store.open();
            let Err(OpenError::Gap {
                found, acknowledged, ..
            }) = opened
            else {
                panic!("opened, or refused for another reason");
            };
            assert_eq!((found, acknowledged), (3, 4));
        }
        let kept: Vec<_> = store
            .kept()
            .iter()
            .map(|kept| std::fs::read(kept).unwrap())
            .collect();
        assert_eq!(kept, [found]);
    }

    #[test]
    fn damage_elsewhere_is_refused_and_nothing_is_changed() {
        let store = Store::closed(true);
        let found = store.lose(store.begins[1] + 2 * BLOCK);
        assert!(matches!(store.open(), Err(OpenError::Failed { .. })));
        assert_eq!(std::fs::read(journal(store.dir.path())).unwrap(), found);
        assert!(store.kept().is_empty());

        // In a journal that is not the last.
        let store = Store::closed(true);
        let whole = written(store.dir.path());
        store.lose(store.begins[3] + 2 * BLOCK);
        let last = journal(store.dir.path()).with_file_name("9.jnl");
        std::fs::write(&last, &whole).unwrap();
        assert!(matches!(store.open(), Err(OpenError::Failed { .. })));
        assert_eq!(std::fs::read(&last).unwrap(), whole);
        assert!(store.kept().is_empty());
        assert!(!store.dir.path().join("fjall.trial").exists());
    }

    #[test]
    fn what_an_attempt_that_broke_off_left_is_not_in_the_way() {
        let store = Store::closed(false);
        let found = store.lose(store.begins[3] + 2 * BLOCK);
        let (trial, torn) = (
            store.dir.path().join("fjall.trial"),
            store.dir.path().join("fjall.torn"),
        );
        open(&trial).unwrap();
        std::fs::create_dir(&torn).unwrap();
        let name = journal(store.dir.path())
            .file_stem()
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        std::fs::write(torn.join(format!("{name}-1.jnl")), b"an earlier one").unwrap();
        assert_eq!(commits(&*store.open().unwrap()), [0, 1, 2]);
        assert_eq!(
            std::fs::read(torn.join(format!("{name}-1.jnl"))).unwrap(),
            b"an earlier one"
        );
        assert_eq!(std::fs::read(torn.join(format!("{name}-2.jnl"))).unwrap(), found);
        assert!(!trial.exists());
    }
}
