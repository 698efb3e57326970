//! Room in the engine's journal: blocks that are there before they are needed.
//!
//! The engine gives its journal a size and writes into the hole. The first write to a block then changes where the file's
//! blocks are as well, and the sync has to wait for that, too. So zeros are written over the hole, ahead of the engine:
//! whoever reads the file reads what he read before, and a sync waits for nothing but what was written (decision 48).
//!
//! The engine does not know of it. Nothing is written where anything but zeros is read, nor beyond the end of the file,
//! and only while the engine does not write: what it has written stays as it is whatever the file system says of holes.

use rustix::fs::SeekFrom;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Octets of room made at a time: as many as are written to the disk at once in a millisecond or two.
const STEP_BYTES: u64 = 1024 * 1024;
/// What is written before room is first made: a store that is opened for a few commits does without.
const FIRST_BYTES: u64 = 256 * 1024;
/// Octets read and written by one call.
const PIECE_BYTES: usize = 64 * 1024;

pub(super) struct JournalRoom {
    /// Where the engine has its journals, each named by its number; it writes to the newest.
    dir: PathBuf,
    /// The newest that room was made in, and where it ends: no hole begins before.
    made: Option<(u64, u64)>,
    /// Octets that may be written until room is made again.
    left: u64,
}

impl JournalRoom {
    pub fn new(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            made: None,
            left: FIRST_BYTES,
        }
    }

    /// The engine has written about so many octets, and does not write until this returns.
    pub fn wrote(&mut self, octets: u64) {
        self.left = self.left.saturating_sub(octets);
        if self.left == 0 {
            // Also where it fails: then it is tried as seldom.
            self.left = STEP_BYTES;
            if let Err(error) = self.make() {
                // The engine makes its room itself then, as it would without us.
                tracing::warn!(%error, "no room could be made in the journal ahead; commits may take longer");
            }
        }
    }

    fn make(&mut self) -> std::io::Result<()> {
        let Some((number, path)) = newest(&self.dir)? else {
            return Ok(());
        };
        let (ready, steps) = match self.made {
            Some((known, ready)) if known == number => (ready, 1),
            // One step to be used, and one ahead of it.
            _ => (0, 2),
        };
        // It is not held open: the engine deletes it some day, and its blocks are to be free then.
        let journal = OpenOptions::new().read(true).write(true).open(path)?;
        let ready = fill(&journal, ready, steps * STEP_BYTES)?;
        self.made = Some((number, ready));
        Ok(())
    }
}

/// Writes zeros over the first hole from where the file is ready, so many octets of it. Gives up to where it is ready then.
fn fill(journal: &File, ready: u64, octets: u64) -> std::io::Result<u64> {
    let end = journal.metadata()?.len();
    if ready >= end {
        return Ok(ready);
    }
    let mut at = rustix::fs::seek(journal, SeekFrom::Hole(ready))?;
    let until = at.saturating_add(octets).min(end);
    let zeros = [0; PIECE_BYTES];
    let mut piece = vec![0; PIECE_BYTES];
    while at < until {
        let len = (until - at).min(PIECE_BYTES as u64) as usize;
        journal.read_exact_at(&mut piece[..len], at)?;
        if piece[..len] != zeros[..len] {
            // Said to be a hole, and is none: it is not tried again.
            return Ok(end);
        }
        journal.write_all_at(&zeros[..len], at)?;
        at += len as u64;
    }
    journal.sync_data()?;
    Ok(at)
}

/// The journal with the highest number.
fn newest(dir: &Path) -> std::io::Result<Option<(u64, PathBuf)>> {
    let mut newest = None;
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "jnl")
            && let Some(number) = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok())
        {
            newest = newest.max(Some((number, path)));
        }
    }
    Ok(newest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt as _;

    const SIZE_BYTES: u64 = 8 * STEP_BYTES;
    const WRITTEN: &[u8] = b"what the engine has written";

    /// A journal as the engine begins one, with something at its beginning.
    fn begun(dir: &Path, name: &str) -> File {
        let file = File::create_new(dir.join(name)).unwrap();
        file.set_len(SIZE_BYTES).unwrap();
        file.write_all_at(WRITTEN, 0).unwrap();
        file
    }

    fn blocks(file: &File) -> u64 {
        file.metadata().unwrap().blocks() * 512
    }

    fn whole(dir: &Path, name: &str) -> Vec<u8> {
        std::fs::read(dir.join(name)).unwrap()
    }

    #[test]
    fn blocks_are_there_ahead_and_the_file_reads_as_before() {
        let dir = tempfile::tempdir().unwrap();
        let file = begun(dir.path(), "0.jnl");
        let before = whole(dir.path(), "0.jnl");
        let mut room = JournalRoom::new(dir.path());
        room.wrote(FIRST_BYTES - 1);
        assert!(
            blocks(&file) < STEP_BYTES,
            "a store of a few commits does without"
        );
        room.wrote(1);
        assert!((2 * STEP_BYTES..3 * STEP_BYTES).contains(&blocks(&file)));
        // One step is used, and there is another ahead again.
        file.write_all_at(&vec![7; STEP_BYTES as usize], 4096).unwrap();
        room.wrote(STEP_BYTES);
        assert!((3 * STEP_BYTES..4 * STEP_BYTES).contains(&blocks(&file)));
        file.write_all_at(&vec![0; STEP_BYTES as usize], 4096).unwrap();
        for _ in 0..20 {
            room.wrote(STEP_BYTES);
        }
        assert_eq!(file.metadata().unwrap().len(), SIZE_BYTES);
        assert!(blocks(&file) >= SIZE_BYTES);
        assert!(whole(dir.path(), "0.jnl") == before);
    }

    #[test]
    fn room_is_made_in_the_journal_that_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let old = begun(dir.path(), "9.jnl");
        let mut room = JournalRoom::new(dir.path());
        room.wrote(FIRST_BYTES);
        let of_old = blocks(&old);
        let new = begun(dir.path(), "10.jnl");
        std::fs::write(dir.path().join("10.jnl.old"), WRITTEN).unwrap();
        std::fs::write(dir.path().join("lock"), WRITTEN).unwrap();
        room.wrote(STEP_BYTES);
        assert!((2 * STEP_BYTES..3 * STEP_BYTES).contains(&blocks(&new)));
        assert_eq!(blocks(&old), of_old);
    }

    /// A journal that was opened again is appended to: what stood behind its end would be taken for the end of all.
    #[test]
    fn nothing_is_put_behind_the_end_of_a_journal() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("3.jnl");
        std::fs::write(&path, WRITTEN).unwrap();
        let mut room = JournalRoom::new(dir.path());
        room.wrote(FIRST_BYTES);
        room.wrote(STEP_BYTES);
        assert_eq!(std::fs::read(&path).unwrap(), WRITTEN);
    }

    /// Whatever is said of holes: what is there is not written over.
    #[test]
    fn nothing_is_written_over() {
        let dir = tempfile::tempdir().unwrap();
        let file = begun(dir.path(), "0.jnl");
        let at = 2 * STEP_BYTES + 10;
        file.write_all_at(WRITTEN, at).unwrap();
        let before = whole(dir.path(), "0.jnl");
        let mut ready = 0;
        for _ in 0..20 {
            ready = fill(&file, ready, STEP_BYTES).unwrap();
        }
        assert!(whole(dir.path(), "0.jnl") == before);
        assert_eq!(ready, SIZE_BYTES, "it is not tried again");
    }

    #[test]
    fn where_there_is_no_journal_nothing_is_done() {
        let dir = tempfile::tempdir().unwrap();
        let mut room = JournalRoom::new(&dir.path().join("nowhere"));
        room.wrote(FIRST_BYTES);
        let mut room = JournalRoom::new(dir.path());
        room.wrote(FIRST_BYTES);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
