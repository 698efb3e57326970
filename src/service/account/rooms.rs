//! Memory to hash passwords in, kept between logins: getting 19 MiB from the system and giving it back costs a tenth of
//! the hash, as each page is cleared first. As many rooms are kept as hash at a time.

use argon2::Block;
use std::sync::{Mutex, PoisonError};

#[derive(Default)]
pub(super) struct Rooms(Mutex<Vec<Vec<Block>>>);

impl Rooms {
    /// Hashes in a room that was used before, or in a new one.
    pub fn lend<T>(&self, work: impl FnOnce(&mut Vec<Block>) -> T) -> T {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut room = kept.unwrap_or_default();
        let done = work(&mut room);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(room);
        done
    }
}
