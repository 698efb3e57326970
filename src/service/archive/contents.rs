//! Whether a bundle that was written earlier still says all there is: evidence may have come in since, or a hash tree, or the
//! last word on a certificate.
//!
//! Compared is the list of contents, by what the rows say; large files are not read again. The summary is made anew with
//! the bundle and is no reason by itself.

use super::revocation::CERTIFICATES;
use super::{Archive, approvals, dispatch_name, evidence_name};
use crate::id::{MailId, TenantId};
use crate::service::failure::Failure;
use crate::store::tables::{lasting, mails, preservation};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Deserialize)]
struct Manifest {
    original_sha256: String,
    files: Vec<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    path: String,
    sha256: String,
}

impl Archive {
    /// Whether the bundle with this manifest is what would be written now.
    pub(super) async fn is_current(
        &self,
        tenant: TenantId,
        mail: MailId,
        manifest: &[u8],
    ) -> Result<bool, Failure> {
        // What cannot be read is not current: it is made anew.
        let Ok(manifest) = serde_json::from_slice::<Manifest>(manifest) else {
            return Ok(false);
        };
        let parts = self.parts(tenant, mail).await?;
        if manifest.original_sha256 != super::hex(&parts.original_sha256) {
            return Ok(false);
        }
        let there: BTreeMap<&str, &str> = manifest
            .files
            .iter()
            .map(|file| (file.path.as_str(), file.sha256.as_str()))
            .collect();
        let mut sealed: Vec<(String, Option<[u8; 32]>)> = Vec::new();
        for (number, _) in &parts.dispatches {
            sealed.push((dispatch_name(*number), None));
        }
        let mut issuers = BTreeSet::from([parts.dispatch_issuer.clone()]);
        for (n, row) in self.evidence_of(tenant, mail)?.into_iter().enumerate() {
            let document = lasting::document(&*self.db, &row.xml)?;
            sealed.push((evidence_name(n, &row), Some(document.id.0)));
            issuers.insert(row.issuer.to_string());
        }
        for (path, sha256) in &sealed {
            let Some(stated) = there.get(path.as_str()) else {
                return Ok(false);
            };
            if sha256.is_some_and(|sha256| super::hex(&sha256) != *stated) {
                return Ok(false);
            }
            let digest = crate::domain::audit_chain::from_hex(stated).unwrap_or_default();
            let is_covered = preservation::place(&*self.db, &digest)?.is_some();
            if is_covered && !there.contains_key(format!("{path}.ers").as_str()) {
                return Ok(false);
            }
        }
        let (values, has_certificates) = self.beside(tenant, mail, &parts)?.contents();
        let mut values = values.iter();
        if !values.all(|(path, sha256)| there.get(path.as_str()) == Some(&super::hex(sha256).as_str()))
            || (has_certificates && !there.contains_key(CERTIFICATES))
        {
            return Ok(false);
        }
        let mut small = vec![("approvals.json".to_owned(), approvals(&parts.decisions)?)];
        let issuers: BTreeSet<&str> = issuers.iter().map(String::as_str).collect();
        for (domain, pem) in self.trust(&issuers)? {
            small.push((format!("trust/{domain}.pem"), pem.into_bytes()));
        }
        Ok(small.iter().all(|(path, octets)| {
            let sha256 = super::hex(&mails::digest(octets));
            there.get(path.as_str()) == Some(&sha256.as_str())
        }))
    }
}
