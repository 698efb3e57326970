//! Which certificates let a user in: a change of his account like any other, on the audit record with its author.

use super::*;
use crate::domain::audit::Matter;
use crate::domain::certificate::UserCertificates;
use crate::store::tables::certificates::{self, CertificateHolder};
use serde::Serialize;

/// What the audit record says: fingerprints in full, a number only in part.
#[derive(Serialize)]
struct Told<'a> {
    id: UserId,
    name: &'a str,
    certificates: Vec<String>,
    tckn: Option<String>,
}

impl<'a> Told<'a> {
    fn of(user: &'a User, rest_on: &UserCertificates) -> Self {
        let fingerprints = rest_on.certificates.iter().map(|c| c.fingerprint.to_string());
        Self {
            id: user.id,
            name: &user.name,
            certificates: fingerprints.collect(),
            tckn: rest_on.tckn.as_ref().map(|t| t.masked()),
        }
    }
}

impl Changes<'_> {
    /// Changes what lets a user in; `set` is told the moment.
    pub(crate) async fn set_certificates(
        self,
        tenant: TenantId,
        user: UserId,
        set: impl Fn(&mut UserCertificates, UtcTime) -> Result<(), Failure>,
    ) -> Result<UserCertificates, Failure> {
        self.change("user cert", tenant, |draft| {
            let known = draft.org.users.get(&user).filter(|u| !u.removed);
            let user = known.ok_or_else(|| missing("user"))?;
            let before = certificates::of_user(&*self.house.db, tenant, user.id)?;
            let mut after = before.clone();
            set(&mut after, draft.now)?;
            self.put_certificates(draft, user, &before, &after)?;
            Ok(after)
        })
        .await
    }

    /// A user who is removed leaves no certificate behind that would lead to him.
    pub(super) fn forget_certificates(self, draft: &mut Draft<'_>, user: &User) -> Result<(), Failure> {
        let before = certificates::of_user(&*self.house.db, draft.tenant, user.id)?;
        if before.is_empty() {
            return Ok(());
        }
        self.put_certificates(draft, user, &before, &UserCertificates::default())
    }

    fn put_certificates(
        self,
        draft: &mut Draft<'_>,
        user: &User,
        before: &UserCertificates,
        after: &UserCertificates,
    ) -> Result<(), Failure> {
        let told = (Told::of(user, before), Told::of(user, after));
        draft
            .account
            .tell(Matter::User(user.id), Some(&told.0), Some(&told.1));
        let holder = CertificateHolder {
            tenant: draft.tenant,
            user: user.id,
        };
        Ok(certificates::replace(&mut draft.batch, holder, before, after)?)
    }
}
