//! What lies in the bin and does not stay there: work for the station that empties it, by when each is due.
//!
//! A row is there exactly as long as its item lies in the bin and may be destroyed (`domain::item`): it is written, moved
//! and taken away with the item itself.

use super::rows;
use super::work::{self, Work};
use crate::domain::item::Item;
use crate::id::{ItemId, TenantId};
use crate::store::db::Batch;
use crate::store::row::RowError;
use serde::{Deserialize, Serialize};

/// A draft or a notice in the bin; due when its time there is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BinStay {
    pub tenant: TenantId,
    pub item: ItemId,
}

rows! {
    BinStay => "stays in the bin" v 1;
}

impl Work for BinStay {
    const TAG: &'static [u8; 2] = b"bi";

    fn id(&self) -> [u8; 16] {
        (u128::from(self.tenant.0) << 64 | u128::from(self.item.0)).to_be_bytes()
    }
}

/// Written with every item, given how it was before.
pub(super) fn list(
    batch: &mut Batch,
    tenant: TenantId,
    before: Option<&Item>,
    after: &Item,
) -> Result<(), RowError> {
    let stay = BinStay {
        tenant,
        item: after.id,
    };
    let (was, is) = (before.and_then(Item::leaves_bin_at), after.leaves_bin_at());
    if was == is {
        return Ok(());
    }
    if let Some(due) = was {
        work::remove(batch, due, &stay);
    }
    if let Some(due) = is {
        work::add(batch, due, &stay)?;
    }
    Ok(())
}
