//! The certificates a user logs in with: listed, bound, taken away.

use super::words::{ControlDoor, Outcome, list};
use crate::control::protocol::{CertWish, Record};
use crate::domain::certificate::UserCertificates;
use crate::domain::org::UserKind;

impl ControlDoor {
    /// Whatever was wished, the answer is what lets the user in now. A TCKN is shown in part only.
    pub(super) async fn certificates(&self, wish: CertWish, noun: UserKind) -> Outcome {
        let (organisation, user) = self.find_user(&wish.login, noun)?;
        self.demand_hand_over(&user)?;
        let (accounts, by) = (&self.accounts, &self.by);
        let (tenant, user) = (organisation.tenant.id, user.id);
        let stands = if let Some(pem) = &wish.pem {
            accounts.bind_certificate(by, tenant, user, pem).await?
        } else if let Some(tckn) = &wish.tckn {
            accounts.bind_tckn(by, tenant, user, Some(&tckn.0)).await?
        } else if let Some(fingerprint) = &wish.remove {
            accounts.unbind_certificate(by, tenant, user, fingerprint).await?
        } else if wish.remove_tckn {
            accounts.bind_tckn(by, tenant, user, None).await?
        } else {
            accounts.certificates(tenant, user)?
        };
        list(records(&stands))
    }
}

/// One row for each certificate, and one for the number.
fn records(stands: &UserCertificates) -> Vec<Record> {
    let certificates = stands.certificates.iter().map(|c| {
        Record::new()
            .text("by", "fingerprint")
            .text("value", c.fingerprint)
            .text("name", &c.name)
            .text("issuer", &c.issuer)
            .text("until", c.until)
            .text("bound_at", c.bound_at)
    });
    let number = stands.tckn.iter().map(|tckn| {
        Record::new()
            .text("by", "tckn")
            .text("value", tckn.masked())
            .text("name", "")
            .text("issuer", "")
            .text("until", "")
            .text("bound_at", "")
    });
    certificates.chain(number).collect()
}
