//! The folder `revocation/` of a bundle: what authorities said of the certificates, where it does not lie in the documents
//! themselves. `N.crl` and `N.ors` are lists and OCSP responses in DER, `certificates.pem` the certificates of all paths:
//! as `openssl verify -CRLfile` and `openssl ocsp -respin` take them.

use super::Bundle;
use crate::cms::Certificate;
use crate::service::failure::Failure;
use crate::store::spool::{BlobRef, Spool};
use crate::store::tables::lasting::{LastingForm, Value};
use std::sync::Arc;

/// The values of all documents of a bundle, each once.
#[derive(Default)]
pub(super) struct Beside {
    values: Vec<Value>,
    certificates: Vec<BlobRef>,
}

impl Beside {
    pub(super) fn take(&mut self, form: Option<&LastingForm>) {
        let Some(form) = form else { return };
        for value in &form.beside {
            if !self.values.contains(value) {
                self.values.push(*value);
            }
        }
        self.certificates
            .extend(form.certificates.filter(|pem| !self.certificates.contains(pem)));
    }

    pub(super) async fn write(self, spool: &Arc<Spool>, bundle: &mut Bundle<'_>) -> Result<(), Failure> {
        for (n, value) in self.values.iter().enumerate() {
            let (blob, ending) = match value {
                Value::List(blob) => (blob, "crl"),
                Value::Response(blob) => (blob, "ors"),
            };
            let octets = spool.load(blob).await?;
            bundle.octets(&format!("revocation/{}.{ending}", n + 1), &octets, None)?;
        }
        let mut all: Vec<Certificate> = Vec::new();
        for blob in &self.certificates {
            let octets = spool.load(blob).await?;
            let certificates = Certificate::from_pem_text(&String::from_utf8_lossy(&octets));
            for certificate in certificates.map_err(|e| Failure::Broken(e.to_string()))? {
                if !all.contains(&certificate) {
                    all.push(certificate);
                }
            }
        }
        if all.is_empty() {
            return Ok(());
        }
        let pem: String = all.iter().map(Certificate::pem).collect();
        bundle.octets("revocation/certificates.pem", pem.as_bytes(), None)
    }
}
