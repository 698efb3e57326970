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
    journal: Option<Journal>,
    /// Octets that may be written until room is made again.
    left: u64,
}

struct Journal {
    number: u64,
    file: File,
    /// No hole begins before.
    ready: u64,
}

impl JournalRoom {
    pub fn new(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            journal: None,
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
        let mut steps = 1;
        let journal = match self.journal.take().filter(|known| known.number == number) {
            Some(known) => known,
            None => {
                // One step to be used, and one ahead of it.
                steps = 2;
                let file = OpenOptions::new().read(true).write(true).open(path)?;
                Journal {
                    number,
                    file,
                    ready: 0,
                }
            }
        };
        let journal = self.journal.insert(journal);
        journal.fill(steps * STEP_BYTES)
    }
}

impl Journal {
    /// Writes zeros over the first hole, so many octets of it.
    fn fill(&mut self, octets: u64) -> std::io::Result<()> {
        let end = self.file.metadata()?.len();
        if self.ready >= end {
            return Ok(());
        }
        let hole = rustix::fs::seek(&self.file, SeekFrom::Hole(self.ready))?;
        let until = hole.saturating_add(octets).min(end);
        let zeros = [0; PIECE_BYTES];
        let mut piece = vec![0; PIECE_BYTES];
        self.ready = hole;
        while self.ready < until {
            let len = (until - self.ready).min(PIECE_BYTES as u64) as usize;
            self.file.read_exact_at(&mut piece[..len], self.ready)?;
            if piece[..len] != zeros[..len] {
                // Said to be a hole, and is none.
                self.ready = end;
                return Ok(());
            }
            self.file.write_all_at(&zeros[..len], self.ready)?;
            self.ready += len as u64;
        }
        self.file.sync_data()
    }
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
        let mut journal = Journal {
            number: 0,
            file,
            ready: 0,
        };
        for _ in 0..20 {
            journal.fill(STEP_BYTES).unwrap();
        }
        assert!(whole(dir.path(), "0.jnl") == before);
        assert_eq!(journal.ready, SIZE_BYTES, "it is not tried again");
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
