//! When the word of a label last changed.
//!
//! A label's word is a keyword on each mail that carries it. Renaming or removing the label changes what those mails
//! show without changing one of them; so the change log says it in one row for the label, as it does for an item, and
//! each label keeps the number of the commit that last changed its word.

use super::items::{change_stamp_at, word_change_key};
use super::{Key, for_each_raw};
use crate::id::{LabelId, ModSeq, TenantId};
use crate::store::StoreError;
use crate::store::db::{Batch, Db};
use std::collections::BTreeMap;

fn prefix(tenant: TenantId) -> Key {
    Key::tenant(tenant, b"lw")
}

/// The word changes by this batch. `before` is its last change so far; the batch must hold on to the organisation.
pub fn changed(batch: &mut Batch, tenant: TenantId, label: LabelId, before: Option<ModSeq>) {
    if let Some(before) = before {
        batch.delete(word_change_key(tenant, before, label));
    }
    let key = prefix(tenant).number(label.0).done();
    batch.put_stamped(key, None, vec![0; 8], Some(0));
    let key = word_change_key(tenant, ModSeq(0), label);
    batch.put_stamped(key, Some(change_stamp_at(tenant)), Vec::new(), None);
}

/// The last change of each word that ever changed, of labels that are gone as well.
pub fn all(db: &dyn Db, tenant: TenantId) -> Result<BTreeMap<LabelId, ModSeq>, StoreError> {
    let mut all = BTreeMap::new();
    for_each_raw(db, &prefix(tenant).done(), |key, stamp| {
        if let (Some(label), Ok(stamp)) = (key.last_chunk::<4>(), stamp.try_into()) {
            all.insert(
                LabelId(u32::from_be_bytes(*label)),
                ModSeq(u64::from_be_bytes(stamp)),
            );
        }
        Ok(())
    })?;
    Ok(all)
}
