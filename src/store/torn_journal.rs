//! Journals of fjall that are not whole: what a power cut leaves at the end of the last one, and what a disk lost of others.
//!
//! A file system brings the blocks of a batch to disk in any order. A last batch without its end fjall leaves out when it
//! opens, and one in which the hole meets the beginning of a row. One whose hole lies within a row it takes for damage, and
//! does not open at all. If the disk kept what it was told to sync, nobody was answered on such a batch: a group is synced
//! before it is answered, and before the next one is written. So it is left out here too.
//!
//! In a journal before the last that was written to there is no such batch. Yet there, too, fjall takes a hole that meets the
//! beginning of a row for the end of the journal, and goes on with the next one: the commits between are gone, and the number
//! of the last commit does not tell. So these are looked at before fjall opens, and a store with such a hole is not opened, nor
//! one in which a journal between others is missing. That the oldest is missing nobody can tell: fjall takes away the oldest.
//!
//! What fjall makes of a journal only fjall says: of a copy, in an engine without rows. In a copy without its last octet the
//! last batch has no end; if fjall refuses the journal as it was found and reads that copy, then the last batch and nothing
//! else was refused, and the copy takes the place of the journal. A crash at any line leaves either the journal as it was
//! found, or the new one.

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

/// What fjall makes of a journal.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Whole,
    /// It reads what stands before this octet, and leaves out the rest.
    CutAt(u64),
    /// A batch has its end, and is not whole.
    Refused,
}

/// A journal of the engine in `dir` that is not whole, or missing, and another follows. Nobody has the engine open.
pub(super) fn damaged_before_the_last(dir: &Path) -> io::Result<Option<PathBuf>> {
    let journals = written_journals(dir)?;
    let (Some((oldest, _)), Some((last, _))) = (journals.first_key_value(), journals.last_key_value()) else {
        return Ok(None);
    };
    let (oldest, last) = (*oldest, *last);
    if oldest < last {
        tracing::info!(
            journals = last - oldest,
            "journals are read on a copy before the engine opens"
        );
    }
    for (expected, (number, (journal, octets))) in (oldest..).zip(journals) {
        if expected != number {
            return Ok(Some(journal.with_file_name(format!("{expected}.{JOURNAL}"))));
        }
        let whole =
            || Ok::<_, Error>(judge(&journal, octets, &dir.with_extension(TRIAL))?.0 == Verdict::Whole);
        if number < last && (octets == 0 || !whole()?) {
            return Ok(Some(journal));
        }
    }
    Ok(None)
}

/// Leaves out the last batch of the engine in `dir`, which nobody has open, if that is the one that is not whole. Answers
/// where the journal is kept as it was found; nothing is changed, and none is the answer, if something else is damaged.
pub(super) fn leave_out_last_batch(dir: &Path) -> io::Result<Option<PathBuf>> {
    let trial = dir.with_extension(TRIAL);
    let Some((_, (last, octets))) = written_journals(dir)?.pop_last() else {
        return Ok(None);
    };
    if judge(&last, octets, &trial)?.0 != Verdict::Refused {
        return Ok(None);
    }
    match judge(&last, octets - 1, &trial)? {
        (Verdict::CutAt(_), cut) => {
            File::open(&cut)?.sync_all()?;
            let kept = keep(&last, &dir.with_extension(FOUND))?;
            into_place(&cut, &last).map_err(|error| {
                let kept = kept.display();
                Error::new(
                    error.kind(),
                    format!("the journal is kept as {kept}, but: {error}"),
                )
            })?;
            Ok(Some(kept))
        }
        (Verdict::Whole | Verdict::Refused, _) => Ok(None),
    }
}

/// Takes away what journals were judged with, also where that broke off.
pub(super) fn tidy(dir: &Path) {
    let trial = dir.with_extension(TRIAL);
    if let Err(error) = take_away(&trial) {
        tracing::warn!(%error, trial = %trial.display(), "a copy of journals could not be taken away; it is of no use");
    }
}

/// What fjall makes of the beginning of a journal, and the copy that it has read, cut where it cuts.
fn judge(journal: &Path, octets: u64, trial: &Path) -> io::Result<(Verdict, PathBuf)> {
    take_away(trial)?;
    open(trial).map_err(io_error)?;
    journals(trial)?.values().try_for_each(|own| take_away(own))?;
    let copy = trial.join(journal.file_name().unwrap_or_default());
    copy_beginning(journal, &copy, octets)?;
    let verdict = match open(trial) {
        Ok(()) => match std::fs::metadata(&copy)?.len() {
            left if left < octets => Verdict::CutAt(left),
            _ => Verdict::Whole,
        },
        Err(error) if is_torn(&error) => Verdict::Refused,
        Err(error) => return Err(io_error(error)),
    };
    Ok((verdict, copy))
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

fn io_error(error: fjall::Error) -> Error {
    match error {
        fjall::Error::Io(error) | fjall::Error::Storage(fjall::LsmError::Io(error)) => error,
        other => Error::other(other),
    }
}

/// Whether there was no room to judge in.
pub(super) fn is_out_of_room(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

/// The journals of the engine in `dir` and how much of them was written, up to the last one that was written to at all. One
/// behind it may have been begun when a write had failed, and the one before then ends in half a batch.
fn written_journals(dir: &Path) -> io::Result<BTreeMap<u64, (PathBuf, u64)>> {
    let mut written_to = BTreeMap::new();
    if dir.try_exists()? {
        for (number, journal) in journals(dir)? {
            let octets = written(&journal)?;
            written_to.insert(number, (journal, octets));
        }
    }
    while written_to.last_entry().is_some_and(|last| last.get().1 == 0) {
        written_to.pop_last();
    }
    Ok(written_to)
}

/// The journals of the engine in `dir`, by number: each was begun when the one before was full.
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

/// How many octets of a journal were written: behind them is room made ahead, of zeros.
fn written(journal: &Path) -> io::Result<u64> {
    let file = File::open(journal)?;
    let (mut window, zeros) = (vec![0; WINDOW], vec![0; WINDOW]);
    let mut end = file.metadata()?.len();
    while end > 0 {
        let start = end.saturating_sub(WINDOW as u64);
        let part = &mut window[..(end - start) as usize];
        file.read_exact_at(part, start)?;
        // Most of it is room, which is told by comparing whole windows.
        if *part != zeros[..part.len()] {
            let last = part.iter().rposition(|octet| *octet != 0).unwrap_or(0);
            return Ok(start + last as u64 + 1);
        }
        end = start;
    }
    Ok(0)
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
