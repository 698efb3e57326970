//! Rows that begin with the number of the commit that wrote them: when they changed is read with what they say.

use crate::id::ModSeq;
use crate::store::StoreError;
use crate::store::db::{Batch, Db, Parsed};
use crate::store::row::{self, Row, RowError};
use std::sync::Arc;

/// Octets before the row proper: the number of the commit that wrote it.
pub(super) const STAMP_OCTETS: usize = 8;

/// A row with the number of its commit in front.
#[derive(Debug, Clone)]
pub struct Stamped<R> {
    pub row: R,
    pub modseq: ModSeq,
    key: Vec<u8>,
    octets: Vec<u8>,
}

impl<R: Row> Stamped<R> {
    /// The row as it was found under `key`.
    pub(super) fn decode(key: Vec<u8>, octets: Vec<u8>) -> Result<Self, StoreError> {
        let decoded = octets
            .split_first_chunk::<STAMP_OCTETS>()
            .ok_or_else(|| RowError::short(R::TABLE))
            .and_then(|(stamp, rest)| Ok((ModSeq(u64::from_be_bytes(*stamp)), row::decode::<R>(rest)?)));
        match decoded {
            Ok((modseq, row)) => Ok(Self {
                row,
                modseq,
                key,
                octets,
            }),
            Err(error) => Err(StoreError::Unreadable { key, error }),
        }
    }

    /// Adds to the batch: only if nobody changed the row meanwhile.
    pub fn require_unchanged(&self, batch: &mut Batch) {
        batch.require_equals(self.key.clone(), self.octets.clone());
    }

    /// Writes a new version of the row, only if nobody changed it meanwhile.
    pub fn replace(&self, batch: &mut Batch, new: &R) -> Result<(), RowError> {
        self.require_unchanged(batch);
        put(batch, self.key.clone(), new)
    }
}

/// Reads one row, or gives what it was read to before. `then` completes what was read: it must be the same for
/// all who read this type, for what it made is kept.
pub(super) fn shared<R: Row + Send + Sync + 'static>(
    db: &dyn Db,
    key: Vec<u8>,
    then: fn(&mut Stamped<R>),
) -> Result<Option<Arc<Stamped<R>>>, StoreError> {
    let parse = |octets: &[u8]| {
        let mut stamped = Stamped::decode(key.clone(), octets.to_vec())?;
        then(&mut stamped);
        Ok::<Parsed, _>(Arc::new(stamped))
    };
    let Some(parsed) = db.parsed(&key, &parse)? else {
        return Ok(None);
    };
    let stamped = parsed.downcast::<Stamped<R>>();
    stamped.map(Some).map_err(|_| StoreError::Unreadable {
        error: RowError::unreadable(R::TABLE, "it was read to another type"),
        key,
    })
}

/// Reads one row.
pub(super) fn read<R: Row>(db: &dyn Db, key: Vec<u8>) -> Result<Option<Stamped<R>>, StoreError> {
    match db.get(&key)? {
        Some(octets) => Stamped::decode(key, octets).map(Some),
        None => Ok(None),
    }
}

/// Puts a row whatever was there.
pub(super) fn put<R: Row>(batch: &mut Batch, key: Vec<u8>, row: &R) -> Result<(), RowError> {
    let mut value = vec![0; STAMP_OCTETS];
    value.extend_from_slice(&row::encode(row)?);
    batch.put_stamped(key, None, value, Some(0));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::db::{self, EngineKind};
    use crate::store::probe::NoProbe;
    use crate::store::tables::rows;
    use serde::{Deserialize, Serialize};

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Number(u8);

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Other(u8);

    rows! {
        Number => "numbers" v 1;
        Other => "others" v 1;
    }

    #[test]
    fn a_row_is_of_one_type_and_shared_by_who_reads_it() {
        let dir = tempfile::tempdir().unwrap();
        let db = db::open(EngineKind::Fjall, dir.path(), std::sync::Arc::new(NoProbe)).unwrap();
        let key = || b"key".to_vec();
        let mut batch = Batch::new();
        put(&mut batch, key(), &Number(7)).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let seq = runtime.block_on(db.commit(batch)).unwrap();
        let shared = || shared::<Number>(&*db, key(), |read| read.row.0 += 1).unwrap();
        let first = shared().unwrap();
        assert_eq!((&first.row, first.modseq), (&Number(8), ModSeq(seq.0)));
        assert!(Arc::ptr_eq(&first, &shared().unwrap()));
        let other = super::shared::<Other>(&*db, key(), |_| ());
        assert!(matches!(other, Err(StoreError::Unreadable { .. })));
        assert!(
            super::shared::<Other>(&*db, b"none".to_vec(), |_| ())
                .unwrap()
                .is_none()
        );
    }
}
