//! Cuts the evidence record (RFC 4998) of one object from what is kept of its night (`service::preservation`).

use crate::cms::ers::tree::Octets;
use crate::cms::ers::{self, BatchError, Place, Tree, TreeError};
use crate::service::aside::aside;
use crate::service::failure::Failure;
use crate::store::db::Db;
use crate::store::spool::{BlobId, BlobRef, Spool, SpoolError};
use crate::store::tables::preservation;
use std::sync::Arc;

/// The generations of a night, as a record is cut from them.
pub type Kept<S> = Vec<(ers::Batch, Tree<S>)>;

/// Where the object at `leaf` lies in each generation.
pub fn places<S>(kept: &Kept<S>, leaf: u32) -> Vec<Place<'_, S>> {
    let each = kept.iter();
    each.map(|(batch, tree)| Place { batch, tree, leaf }).collect()
}

/// Cuts evidence records from what is kept; for whoever exports.
#[derive(Clone)]
pub struct EvidenceRecords {
    pub db: Arc<dyn Db>,
    pub spool: Arc<Spool>,
}

impl EvidenceRecords {
    /// The evidence record (RFC 4998, DER) of the object with this SHA-256; `None` when no night has covered it yet.
    /// Reads some kilobytes of each tree, whatever its size.
    pub async fn record_of(&self, sha256: [u8; 32]) -> Result<Option<Vec<u8>>, Failure> {
        let Some(place) = preservation::place(&*self.db, &sha256)? else {
            return Ok(None);
        };
        let missing = || Failure::Broken(format!("night {} is not there", place.night));
        let night = preservation::night(&*self.db, place.night)?
            .ok_or_else(missing)?
            .row;
        let mut batches = Vec::new();
        for generation in &night.generations {
            let stamps = self.spool.load(&generation.stamps).await?;
            batches.push((ers::Batch::from_der(&stamps).map_err(broken)?, generation.tree));
        }
        let spool = self.spool.clone();
        let cut = aside("cutting an evidence record", move || {
            cut(&spool, batches, place.leaf)
        });
        cut.await?.map(Some).map_err(broken)
    }
}

fn cut(spool: &Spool, batches: Vec<(ers::Batch, BlobRef)>, leaf: u32) -> Result<Vec<u8>, BatchError> {
    let mut kept: Kept<Lying<'_>> = Vec::new();
    for (batch, tree) in batches {
        kept.push((batch, Tree::open(Lying { spool, blob: tree.id })?));
    }
    ers::batch::record(&places(&kept, leaf))
}

/// A hash tree where it lies.
struct Lying<'a> {
    spool: &'a Spool,
    blob: BlobId,
}

impl Octets for Lying<'_> {
    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), TreeError> {
        let failed = |e: SpoolError| TreeError::Read(e.to_string());
        let octets = self
            .spool
            .read_blocking(&self.blob, offset, out.len())
            .map_err(failed)?;
        if octets.len() != out.len() {
            return Err(TreeError::Damaged);
        }
        out.copy_from_slice(&octets);
        Ok(())
    }
}

fn broken(error: impl std::fmt::Display) -> Failure {
    Failure::Broken(error.to_string())
}
