//! A row as it is stored, with what it was read to: what one has read, the next does not read again.

use std::any::Any;
use std::sync::{Arc, OnceLock};

/// The octets of a row. They never change: a changed row is another one.
pub struct StoredRow {
    octets: Box<[u8]>,
    read: OnceLock<Arc<dyn Any + Send + Sync>>,
}

impl StoredRow {
    pub fn new(octets: impl Into<Box<[u8]>>) -> Self {
        Self {
            octets: octets.into(),
            read: OnceLock::new(),
        }
    }

    pub fn octets(&self) -> &[u8] {
        &self.octets
    }

    /// What the row says. Only the first type it is read to is kept; a row has one.
    pub fn read_to<T: Any + Send + Sync, E>(
        &self,
        read: impl FnOnce(&[u8]) -> Result<T, E>,
    ) -> Result<Arc<T>, E> {
        let known = self
            .read
            .get()
            .and_then(|known| known.clone().downcast::<T>().ok());
        if let Some(known) = known {
            return Ok(known);
        }
        let said = Arc::new(read(&self.octets)?);
        // Whoever was faster read the same.
        let _ = self.read.set(said.clone());
        Ok(said)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_read_once_and_what_cannot_be_read_is_tried_again() {
        let row = StoredRow::new(*b"7");
        assert!(row.read_to::<u8, _>(|_| Err("damaged")).is_err());
        let number = |octets: &[u8]| Ok::<_, ()>(octets[0] - b'0');
        let first = row.read_to(number).unwrap();
        let again = row.read_to::<u8, ()>(|_| unreachable!("it was read before"));
        assert!(Arc::ptr_eq(&first, &again.unwrap()));
        assert_eq!(*first, 7);
        // To another type it is read each time.
        let text = |octets: &[u8]| Ok::<_, ()>(octets.len());
        assert_eq!(*row.read_to(text).unwrap(), 1);
        assert_eq!(*row.read_to::<usize, ()>(|_| Ok(2)).unwrap(), 2);
    }
}
