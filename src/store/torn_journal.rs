//! What a power cut may leave at the end of fjall's journal: a last batch with its end on disk and a hole in its middle.
//!
//! A file system brings the blocks of a batch to disk in any order. A last batch without its end fjall leaves out when it
//! opens, and one in which the hole meets the beginning of a row. One whose hole lies within a row it takes for damage, and
//! does not open at all. If the disk kept what it was told to sync, nobody was answered on such a batch: a group is synced
//! before it is answered, and before the next one is written. So it is left out here too.
//!
//! What fjall makes of its journals only fjall says. In a copy without the last octet the last batch has no end; if fjall
//! refuses the journals as they were found and reads them with that copy, then the last batch and nothing else was refused,
//! and the copy takes the place of the journal. Otherwise all stays as it was found. A crash at any line leaves either
//! the journal as it was found, or the new one.

use super::folder::{into_place, take_away};
use fjall::{Database, JournalRecoveryError};
use std::collections::BTreeMap;
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
    let journals = journals(dir)?;
    let Some((_, last)) = journals.last_key_value() else {
        return Ok(None);
    };
    match try_without_last_batch(&journals, last, &trial)? {
        Some(whole) => {
            let kept = keep(last, &dir.with_extension(FOUND))?;
            into_place(&whole, last)?;
            Ok(Some(kept))
        }
        None => Ok(None),
    }
}

/// Takes away what [`leave_out_last_batch`] tried on, also where it broke off.
pub(super) fn tidy(dir: &Path) {
    let trial = dir.with_extension(TRIAL);
    if let Err(error) = take_away(&trial) {
        tracing::warn!(%error, trial = %trial.display(), "a copy of journals could not be taken away; it is of no use");
    }
}

/// The journal in `trial` that fjall reads, where it does not read the last one as it was found.
fn try_without_last_batch(
    journals: &BTreeMap<u64, PathBuf>,
    last: &Path,
    trial: &Path,
) -> io::Result<Option<PathBuf>> {
    let Some(at) = last_written(&File::open(last)?)? else {
        return Ok(None);
    };
    take_away(trial)?;
    // An engine without rows: it reads and judges all batches, and keeps none.
    open(trial).map_err(Error::other)?;
    let copy = trial.join(last.file_name().unwrap_or_default());
    for octets in [at + 1, at] {
        self::journals(trial)?
            .values()
            .try_for_each(|journal| take_away(journal))?;
        for journal in journals.values().filter(|journal| *journal != last) {
            std::fs::copy(journal, trial.join(journal.file_name().unwrap_or_default()))?;
        }
        copy_beginning(last, &copy, octets)?;
        match open(trial) {
            Err(error) if is_torn(&error) && octets > at => {}
            Ok(()) if octets == at => {
                File::open(&copy)?.sync_all()?;
                return Ok(Some(copy));
            }
            Err(error) if !is_torn(&error) => return Err(Error::other(error)),
            Ok(()) | Err(_) => break,
        }
    }
    Ok(None)
}

fn copy_beginning(from: &Path, to: &Path, octets: u64) -> io::Result<()> {
    let copied = io::copy(&mut File::open(from)?.take(octets), &mut File::create(to)?)?;
    if copied == octets {
        Ok(())
    } else {
        Err(ErrorKind::UnexpectedEof.into())
    }
}

/// Opens the engine in `dir`, with which it reads its journals, and closes it.
fn open(dir: &Path) -> Result<(), fjall::Error> {
    Database::builder(dir).open().map(drop)
}

/// The journals of the engine in `dir`, by number; the last one was written to last.
fn journals(dir: &Path) -> io::Result<BTreeMap<u64, PathBuf>> {
    let mut journals = BTreeMap::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let number = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok());
        if let Some(number) = number.filter(|_| path.extension().is_some_and(|ending| ending == JOURNAL)) {
            journals.insert(number, path);
        }
    }
    Ok(journals)
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
    File::open(found.parent().unwrap_or(Path::new(".")))?.sync_all()?;
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
#[path = "torn_journal_tests.rs"]
mod tests;
