//! Where the chain of segments ends, and since when: as the text of the last segment tells it, not the rows beside it.
//!
//! Whoever can write to the store changes a row without a trace; a text that he changes does not chain any more. So the
//! moment from which the next segment is due, what it begins behind, and the figures of it come from the text, and a
//! moment that has not come yet is believed nowhere. What is not told by a readable text makes a segment due at once: one
//! too many costs a row, one too few hides what happened. A text that was made anew, with a chain of its own, delays a
//! segment by a day at most, and `verify` tells of its seal.

use super::{AuditBook, AuditHead, AuditSegment};
use crate::clock::UtcTime;
use crate::domain::audit_chain::{Checked, check};
use crate::domain::schedule::next_night;
use crate::service::failure::Failure;
use crate::store::spool::BlobId;
use crate::store::tables::audit;
use crate::validation::audit::stated_previous;
use std::sync::{Mutex, PoisonError};

/// Octets of a text that is read: above what a segment with its last commit may have.
const TEXT_MAX_OCTETS: u64 = 128 * 1024 * 1024;
/// Segments whose rows may have been taken away at the end: more than are made in ten years. A row that tells of more was
/// written by nobody here, and its number must not become the next one.
const TAKEN_AWAY_MAX: u64 = 10_000;
/// Audit records that wait for their segment, as far as they are counted; what is more is an alarm, not a figure.
const COUNTED_MAX: u64 = 100_000;

/// The last text that was read, so that it is read once a day: which blob, and what it says if its chain holds.
pub type LastText = Mutex<Option<(BlobId, Option<Checked>)>>;

/// Where the chain ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ending {
    pub number: u64,
    pub last: [u8; 32],
    /// What the next segment begins behind.
    pub to_commit: u64,
    /// Up to which commit a readable text holds the records.
    pub held_to: u64,
    /// When it was made, if a readable text says so.
    pub made_at: Option<UtcTime>,
    pub more: bool,
}

/// What a watcher is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    /// When the last segment was made; none when no text says it.
    pub sealed_at: Option<UtcTime>,
    /// Records that no segment holds yet.
    pub open_records: u64,
}

impl AuditBook {
    /// When the next segment is due: at the end of the day of the last one, or at once if that did not take all.
    pub fn next_due(&self) -> Result<UtcTime, Failure> {
        let ending = self.ending()?;
        Ok(match ending.and_then(|end| end.made_at.filter(|_| !end.more)) {
            Some(made_at) => next_night(made_at),
            None => UtcTime::from_unix_s(0),
        })
    }

    /// Reads the disk when the last segment is another than the last time.
    pub fn figures(&self) -> Result<Figures, Failure> {
        let ending = self.ending()?;
        let behind = ending.map_or(0, |end| end.held_to);
        Ok(Figures {
            sealed_at: ending.and_then(|end| end.made_at),
            open_records: audit::count_after(&*self.db, behind, COUNTED_MAX)?,
        })
    }

    /// Of the rows the one that tells of the later segment is believed, so that a row somebody took away or put back stops
    /// nothing. `verify` tells of it.
    pub(super) fn ending(&self) -> Result<Option<Ending>, Failure> {
        let row = audit::last_segment(&*self.db)?;
        let of_row = row.map(|row| self.ending_of(&row)).transpose()?;
        let (number, held_to) = of_row.map_or((0, 0), |end| (end.number, end.held_to));
        let head = audit::head(&*self.db)?.map(|head| head.row);
        let ahead = head.filter(|head| head.segments.saturating_sub(number) <= TAKEN_AWAY_MAX);
        Ok(match ahead.filter(|head| head.segments > number) {
            Some(head) => Some(Ending::of_lost(&head, held_to)),
            None => of_row,
        })
    }

    fn ending_of(&self, row: &AuditSegment) -> Result<Ending, Failure> {
        let now = self.clock.now();
        Ok(match self.text_of(row)? {
            Some(text) => Ending {
                number: row.number,
                last: text.last,
                to_commit: text.to_commit,
                held_to: text.to_commit,
                made_at: Some(text.made_at).filter(|made_at| *made_at <= now),
                more: text.more,
            },
            None => Ending {
                number: row.number,
                last: row.last,
                to_commit: row.to_commit,
                held_to: 0,
                made_at: None,
                more: false,
            },
        })
    }

    /// What the text of a segment says, if it is there and is the text of this number.
    fn text_of(&self, row: &AuditSegment) -> Result<Option<Checked>, Failure> {
        let id = row.text.id;
        let mut read = self.last_text.lock().unwrap_or_else(PoisonError::into_inner);
        let known = read
            .as_ref()
            .filter(|(of, _)| *of == id)
            .map(|(_, text)| text.clone());
        let text = match known {
            Some(text) => text,
            None => {
                let text = self.read(row)?;
                *read = Some((id, text.clone()));
                text
            }
        };
        Ok(text.filter(|text| text.number == row.number))
    }

    fn read(&self, row: &AuditSegment) -> Result<Option<Checked>, Failure> {
        if row.text.size_bytes > TEXT_MAX_OCTETS || !self.spool.exists(&row.text.id) {
            return Ok(None);
        }
        let octets = usize::try_from(row.text.size_bytes).unwrap_or(usize::MAX);
        let text = self.spool.read_blocking(&row.text.id, 0, octets)?;
        let checked = str::from_utf8(&text).ok().and_then(|text| {
            let previous = stated_previous(text)?;
            check(text, previous).ok()
        });
        if checked.is_none() {
            tracing::error!(segment = row.number, "the text of an audit segment does not hold");
        }
        Ok(checked)
    }
}

impl Ending {
    /// The rows of the last segments are gone, and with them where their texts lie.
    fn of_lost(head: &AuditHead, held_to: u64) -> Self {
        Self {
            number: head.segments,
            last: head.last,
            to_commit: head.to_commit,
            held_to,
            made_at: None,
            more: false,
        }
    }

    /// Behind which commit the next segment begins. A row that speaks of commits that never were is not believed: what no
    /// readable text holds is sealed once more.
    pub(super) fn next_after(&self, upto: u64) -> u64 {
        if self.to_commit <= upto {
            self.to_commit
        } else {
            self.held_to
        }
    }
}
