//! The number of the last acknowledged commit, in a small file beside the engine: an engine that later knows fewer commits
//! has lost some.
//!
//! It is noted behind each commit, and what was found at a start is noted then, for it is read from then on. It is synced
//! at the start and at the end, not with each commit: after a power cut it may know fewer commits than were answered.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Two slots, for even numbers and for odd ones, each with a check.
pub(super) struct Ledger {
    file: File,
}

const SLOT_BYTES: u64 = 16;

impl Ledger {
    pub fn open(path: &Path) -> std::io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        Ok(Self { file })
    }

    pub fn last(&self) -> std::io::Result<u64> {
        let mut slots = [0u8; 2 * SLOT_BYTES as usize];
        let read = self.file.read_at(&mut slots, 0)?;
        let whole = slots[..read].chunks_exact(SLOT_BYTES as usize);
        let numbers = whole.filter_map(|slot| {
            let (seq, check) = slot.split_first_chunk::<8>()?;
            let seq = u64::from_be_bytes(*seq);
            (check == mask(seq).to_be_bytes()).then_some(seq)
        });
        Ok(numbers.max().unwrap_or(0))
    }

    pub fn note(&self, seq: u64) {
        let slot = [seq.to_be_bytes(), mask(seq).to_be_bytes()].concat();
        if let Err(error) = self.file.write_all_at(&slot, (seq % 2) * SLOT_BYTES) {
            // The file guards against loss; without it the store is as good as the engine alone.
            tracing::warn!(%error, "the number of the last commit could not be noted");
        }
    }

    /// Brings what was noted to the disk.
    pub fn sync(&self) -> std::io::Result<()> {
        self.file.sync_data()
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        if let Err(error) = self.sync() {
            tracing::warn!(%error, "the number of the last commit could not be synced");
        }
    }
}

/// Makes a torn or empty slot different from a written one.
fn mask(seq: u64) -> u64 {
    seq.rotate_left(17) ^ 0x6b65_7064_6b65_7064
}
