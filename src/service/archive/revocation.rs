//! The folder `revocation/` of a bundle: what authorities said of the certificates, where it does not lie in the documents
//! themselves. `N.crl` and `N.ors` are lists and OCSP responses in DER, `certificates.pem` the certificates of all paths:
//! as `openssl verify -CRLfile` and `openssl ocsp -respin` take them.

use super::{Archive, Bundle, Parts};
use crate::cms::{Certificate, RevocationShelf};
use crate::id::{MailId, TenantId};
use crate::service::failure::Failure;
use crate::store::spool::{BlobRef, Spool};
use crate::store::tables::lasting::{self, LastingForm, Value};
use crate::validation::values;
use std::sync::Arc;

/// The certificates of all paths.
pub(super) const CERTIFICATES: &str = "revocation/certificates.pem";

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

    /// Names and SHA-256 of the lists and responses, and whether there are certificates besides.
    pub(super) fn contents(&self) -> (Vec<(String, [u8; 32])>, bool) {
        let named = self.values.iter().enumerate().map(|(n, value)| {
            let (blob, ending) = value_file(value);
            (name_of_value(n, ending), blob.id.0)
        });
        (named.collect(), !self.certificates.is_empty())
    }

    /// The same values as whoever verifies the bundle finds them, and as far as he can read them.
    pub(super) async fn shelf(&self, spool: &Arc<Spool>) -> Result<RevocationShelf, Failure> {
        let mut shelf = RevocationShelf::default();
        for (n, value) in self.values.iter().enumerate() {
            let (blob, ending) = value_file(value);
            let _ = values::put(&mut shelf, &name_of_value(n, ending), &spool.load(blob).await?);
        }
        for blob in &self.certificates {
            let _ = values::put(&mut shelf, CERTIFICATES, &spool.load(blob).await?);
        }
        Ok(shelf)
    }

    pub(super) async fn write(self, spool: &Arc<Spool>, bundle: &mut Bundle<'_>) -> Result<(), Failure> {
        for (n, value) in self.values.iter().enumerate() {
            let (blob, ending) = value_file(value);
            let octets = spool.load(blob).await?;
            bundle.octets(&name_of_value(n, ending), &octets, None)?;
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
        bundle.octets(CERTIFICATES, pem.as_bytes(), None)
    }
}

impl Archive {
    /// What lies beside the copies and the evidence of a mail.
    pub(super) fn beside(&self, tenant: TenantId, mail: MailId, parts: &Parts) -> Result<Beside, Failure> {
        let mut beside = Beside::default();
        for (_, dispatch) in &parts.dispatches {
            beside.take(lasting::form(&*self.db, dispatch)?.as_ref());
        }
        for row in self.evidence_of(tenant, mail)? {
            beside.take(lasting::form_of(&*self.db, &row.xml)?.as_ref());
        }
        Ok(beside)
    }
}

fn value_file(value: &Value) -> (&BlobRef, &'static str) {
    match value {
        Value::List(blob) => (blob, "crl"),
        Value::Response(blob) => (blob, "ors"),
    }
}

fn name_of_value(n: usize, ending: &str) -> String {
    format!("revocation/{}.{ending}", n + 1)
}
