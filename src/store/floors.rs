//! Where the first rows of tables may be, so that looking for what is due does not walk over all that was done.
//!
//! A table of work is filled at one end and emptied at the other. In an LSM tree what was removed stays behind as a
//! tombstone until a compaction, and each look from the table's beginning would step over all of them again: the
//! cost of a mail would grow with the mails before it. A floor says that no row lies below it. It is exact, not a
//! guess: a row written below it lowers it before the writer has its answer, and a look raises it only past keys that
//! nobody wrote while it looked. Nothing here is durable; after a restart the first look finds the floors anew.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Length of the keys that stand for the beginning of a table: its kind and its two letters. Looks that begin deeper
/// in the store are not remembered, so there are never more floors than tables.
const TABLE_OCTETS: usize = 3;

#[derive(Default)]
pub(super) struct Floors(Mutex<HashMap<[u8; TABLE_OCTETS], Floor>>);

#[derive(Default)]
struct Floor {
    /// No row of the table lies below.
    at: Vec<u8>,
    /// A look that may raise the floor is under way.
    looking: bool,
    /// The lowest key written since that look began.
    written: Option<Vec<u8>>,
}

/// A look from the beginning of a table, to be ended with [`Floors::looked`].
pub(super) struct Look {
    table: [u8; TABLE_OCTETS],
    raises: bool,
}

impl Floors {
    /// Begins a look. Gives where it may start, at `from` or later; no look where nothing is remembered.
    pub fn look(&self, from: &[u8]) -> (Vec<u8>, Option<Look>) {
        let Ok(table) = <[u8; TABLE_OCTETS]>::try_from(from) else {
            return (from.to_vec(), None);
        };
        let mut floors = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let floor = floors.entry(table).or_default();
        let raises = !floor.looking;
        if raises {
            floor.looking = true;
            floor.written = None;
        }
        let start = from.max(floor.at.as_slice()).to_vec();
        (start, Some(Look { table, raises }))
    }

    /// Ends a look. `first`: below it the look has seen no row; `None` when it failed.
    pub fn looked(&self, look: Option<Look>, first: Option<&[u8]>) {
        let Some(look) = look.filter(|look| look.raises) else {
            return;
        };
        let mut floors = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let floor = floors.entry(look.table).or_default();
        floor.looking = false;
        let written = floor.written.take();
        let Some(first) = first else { return };
        let raised = written.as_deref().map_or(first, |written| written.min(first));
        // It only rises here, and never past what was written meanwhile: that may have lowered it.
        if raised > floor.at.as_slice() {
            floor.at = raised.to_vec();
        }
    }

    /// Tells of keys that have been written. To be called when they can be seen, and before the writer is answered.
    pub fn written<'k>(&self, keys: impl Iterator<Item = &'k [u8]>) {
        let mut floors = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for key in keys {
            let table = key
                .get(..TABLE_OCTETS)
                .and_then(|t| <[u8; TABLE_OCTETS]>::try_from(t).ok());
            let Some(floor) = table.and_then(|t| floors.get_mut(&t)) else {
                continue;
            };
            if key < floor.at.as_slice() {
                floor.at = key.to_vec();
            }
            if floor.looking && floor.written.as_deref().is_none_or(|lowest| key < lowest) {
                floor.written = Some(key.to_vec());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(floors: &Floors) -> Vec<u8> {
        let (start, look) = floors.look(b"gow");
        floors.looked(look, None);
        start
    }

    #[test]
    fn a_floor_rises_with_what_was_seen_and_falls_with_what_is_written() {
        let floors = Floors::default();
        let (from, look) = floors.look(b"gow");
        assert_eq!(from, b"gow");
        floors.looked(look, Some(b"gow5"));
        assert_eq!(start(&floors), b"gow5");
        floors.written([b"gow3".as_slice(), b"gse1"].into_iter());
        assert_eq!(start(&floors), b"gow3");
        let (from, look) = floors.look(b"gow1");
        assert!(
            from == b"gow1" && look.is_none(),
            "a look from the middle is not remembered"
        );
    }

    #[test]
    fn a_row_written_during_a_look_is_never_passed() {
        let floors = Floors::default();
        let (_, first) = floors.look(b"gow");
        let (_, second) = floors.look(b"gow");
        floors.written([b"gow4".as_slice()].into_iter());
        floors.looked(second, Some(b"gow9"));
        assert_eq!(
            floors.look(b"gow").0,
            b"gow",
            "another look is under way: it decides"
        );
        floors.looked(first, Some(b"gow9"));
        assert_eq!(start(&floors), b"gow4");
    }

    #[test]
    fn a_look_that_failed_raises_nothing() {
        let floors = Floors::default();
        let (_, look) = floors.look(b"gow");
        floors.looked(look, None);
        assert_eq!(start(&floors), b"gow");
    }
}
