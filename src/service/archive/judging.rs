//! What is to be thought of one evidence that is kept here: its document, by the anchors of whoever issued it, with the
//! evidence record that covers it and what was said of its certificates. `kepctl evidence show` tells it, as `kepctl evidence verify` tells it of a bundle.

use super::revocation::Beside;
use super::{Archive, EXPORTING};
use crate::cms::algorithm::sha256;
use crate::seal::TrustStore;
use crate::service::aside::aside;
use crate::service::evidence_records::EvidenceRecords;
use crate::service::failure::Failure;
use crate::store::tables::evidence::EvidenceRow;
use crate::store::tables::lasting;
use crate::validation::{Basis, Standpoint, carried, judge_evidence, report};
use serde_json::Value;
use std::collections::BTreeSet;

impl Archive {
    /// What was found on an evidence, `xml` being the document that is kept of it; by the names of a report.
    pub async fn findings(
        &self,
        row: &EvidenceRow,
        xml: Vec<u8>,
    ) -> Result<Vec<(&'static str, Value)>, Failure> {
        let issuer = row.issuer.to_string();
        let trust = self.trust(&BTreeSet::from([issuer.as_str()]))?;
        let pem = trust.into_iter().find(|(domain, _)| *domain == issuer);
        let record = self.record_of(sha256(&xml)).await?;
        let mut beside = Beside::default();
        beside.take(lasting::form_of(&*self.db, &row.xml)?.as_ref());
        let shelf = beside.shelf(&self.spool).await?;
        let standpoint = Standpoint::of_this_version(None).map_err(|e| Failure::Broken(e.to_string()))?;
        let name = row.identifier.clone();
        let found = aside(EXPORTING, move || {
            let anchors = pem.map_or_else(TrustStore::new, |(_, pem)| anchors_of(&pem));
            let basis = Basis::known(&anchors, &shelf);
            let judged = judge_evidence(name, &xml, None, basis);
            let files = (xml.as_slice(), record.as_deref());
            let judged = carried(vec![judged], files, basis, &standpoint);
            judged.first().map(report::shown_entries)
        });
        let nothing = || Failure::Broken("the evidence was not judged".into());
        found.await?.ok_or_else(nothing)
    }

    /// The evidence record (RFC 4998) of a sealed document, once a hash tree covers it: from the night after its day on.
    pub(super) async fn record_of(&self, sha256: [u8; 32]) -> Result<Option<Vec<u8>>, Failure> {
        let records = EvidenceRecords {
            db: self.db.clone(),
            spool: self.spool.clone(),
        };
        records.record_of(sha256).await
    }
}

/// None when they cannot be read: then nothing is known of trust.
pub(super) fn anchors_of(pem: &str) -> TrustStore {
    let mut store = TrustStore::new();
    match store.add_pem_text(pem) {
        Ok(_) => store,
        Err(_) => TrustStore::new(),
    }
}
