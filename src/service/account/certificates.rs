//! Logging in with a certificate: binding one to a user, and whom the one that a client has shown lets in.
//!
//! A certificate stands for a user if it is one of his by fingerprint, or if it is a qualified certificate of a person
//! (`cms::qualified`) that carries his TCKN. A certificate of an organisation (mali mühür) stands for nobody. Whether it is
//! to be believed at all is the judge's (`seal::holder`). The client has proved by the TLS handshake that it holds the key.
//!
//! Refusals are sentences for the holder of the certificate. They say nothing about users who are not his.

use super::{Accounts, Failure, Kind, Principal};
use crate::address::LoginName;
use crate::clock::UtcTime;
use crate::cms::Certificate;
use crate::cms::certificate::KeyKind;
use crate::cms::qualified::{IdentityNumber, common_name, qualification};
use crate::domain::audit::Author;
use crate::domain::certificate::{BoundCertificate, CERTIFICATES_PER_USER_MAX, UserCertificates};
use crate::domain::number::Tckn;
use crate::domain::provider::Fingerprint;
use crate::id::{TenantId, UserId};
use crate::seal::{CertificateJudge, Unfit};
use crate::store::tables::certificates::{self, CertificateHolder, Marks};
use std::sync::Arc;

const MALI_MUHUR: &str =
    "this is the certificate of an organisation (mali mühür); a person logs in with a certificate of his own";

/// What a client showed when the TLS connection began.
#[derive(Debug, Clone)]
pub enum Presented {
    /// It proved that it holds the key of `leaf`. `along` came with it.
    Proved {
        leaf: Certificate,
        along: Vec<Certificate>,
    },
    /// Not to be read, or of a kind of key that proves nothing here.
    Unusable,
}

/// Whom a certificate lets in, or why nobody.
pub type LetIn = Result<Principal, Unfit>;

impl Accounts {
    /// Lets users log in with certificates that this judge believes.
    pub fn with_judge(self, judge: Arc<dyn CertificateJudge>) -> Self {
        Self {
            judge: Some(judge),
            ..self
        }
    }

    /// Whom the certificate lets in, as `wanted` if the client says who it wants to be.
    pub async fn by_certificate(
        &self,
        presented: Option<&Presented>,
        wanted: Option<&LoginName>,
        now: UtcTime,
    ) -> Result<LetIn, Failure> {
        let unfit = |why: &str| Ok(Err(Unfit(why.to_owned())));
        let Some(judge) = &self.judge else {
            return unfit("nobody logs in with a certificate here");
        };
        let (leaf, along) = match presented {
            Some(Presented::Proved { leaf, along }) => (leaf, along),
            Some(Presented::Unusable) => {
                return unfit("the certificate cannot be read, or its key is of a kind that is not taken");
            }
            None => return unfit("no certificate was shown when the TLS connection began"),
        };
        if let Err(unfit) = judge.judge(leaf, along, now).await {
            return Ok(Err(unfit));
        }
        let says = qualification(leaf);
        if says.is_mali_muhur {
            return unfit(MALI_MUHUR);
        }
        let tckn = says.person().and_then(checked);
        let marks = Marks {
            fingerprint: Fingerprint(leaf.fingerprint()),
            tckn: tckn.as_ref(),
        };
        match wanted {
            Some(login) => self.as_wanted(marks, login),
            None => self.only_one(marks),
        }
    }

    fn as_wanted(&self, marks: Marks<'_>, login: &LoginName) -> Result<LetIn, Failure> {
        if let Some(principal) = self.principal(login)? {
            let holder = CertificateHolder {
                tenant: principal.tenant,
                user: principal.user,
            };
            if certificates::lets_in(&*self.db, marks, holder)? {
                return Ok(Ok(principal));
            }
        }
        // The same whether there is such a user or not.
        Ok(Err(Unfit(format!("the certificate is not bound to {login}"))))
    }

    fn only_one(&self, marks: Marks<'_>) -> Result<LetIn, Failure> {
        let holders = certificates::holders(&*self.db, marks)?;
        let mut may = Vec::new();
        for holder in holders {
            may.extend(self.principal_of(holder)?);
        }
        let only = may.pop();
        Ok(match only {
            Some(principal) if may.is_empty() => Ok(principal),
            Some(_) => Err(Unfit(
                "the certificate is bound to several users; say which one as the authorization identity (USER@TENANT)"
                    .into(),
            )),
            None => Err(Unfit(
                "the certificate is bound to nobody here; ask your account's administrator to bind it".into(),
            )),
        })
    }

    /// The user by his number, if he may log in.
    fn principal_of(&self, holder: CertificateHolder) -> Result<Option<Principal>, Failure> {
        let organisation = self.organisations.of(holder.tenant)?;
        let Some(user) = organisation.users.get(&holder.user) else {
            return Ok(None);
        };
        let login = format!("{}@{}", user.name, organisation.tenant.name).parse();
        let login = login.map_err(|e| Failure::Broken(format!("a user without a login: {e}")))?;
        self.principal(&login)
    }

    /// What lets a user in.
    pub fn certificates(&self, tenant: TenantId, user: UserId) -> Result<UserCertificates, Failure> {
        Ok(certificates::of_user(&*self.db, tenant, user)?)
    }

    /// Binds one certificate, the first of a PEM text, to a user.
    pub async fn bind_certificate(
        &self,
        by: &Author,
        tenant: TenantId,
        user: UserId,
        pem: &str,
    ) -> Result<UserCertificates, Failure> {
        let certificate = readable(pem)?;
        let bound = |now| BoundCertificate {
            fingerprint: Fingerprint(certificate.fingerprint()),
            name: common_name(certificate.subject_der()),
            issuer: common_name(certificate.issuer_der()),
            until: certificate.not_after(),
            bound_at: now,
        };
        let set = |all: &mut UserCertificates, now| {
            if now > certificate.not_after() {
                let say = format!("the certificate has ended at {}", certificate.not_after());
                return Err(Failure::refused(Kind::Invalid, say));
            }
            let bound = bound(now);
            if all.has(bound.fingerprint) {
                let say = "the certificate is bound to this user already";
                return Err(Failure::refused(Kind::Exists, say));
            }
            if all.certificates.len() >= CERTIFICATES_PER_USER_MAX {
                let say = format!(
                    "a user has at most {CERTIFICATES_PER_USER_MAX} certificates; take one away first"
                );
                return Err(Failure::refused(Kind::TooMany, say));
            }
            all.certificates.push(bound);
            Ok(())
        };
        let changes = self.organisations.by(by);
        changes.set_certificates(tenant, user, set).await
    }

    /// Lets every qualified certificate of a person in as this user, or, without a number, none any more.
    pub async fn bind_tckn(
        &self,
        by: &Author,
        tenant: TenantId,
        user: UserId,
        tckn: Option<&str>,
    ) -> Result<UserCertificates, Failure> {
        let tckn = tckn.map(str::parse::<Tckn>).transpose();
        let tckn = tckn.map_err(|why| Failure::refused(Kind::Invalid, why))?;
        let set = |all: &mut UserCertificates, _| {
            if all.tckn == tckn {
                let (kind, say) = match tckn {
                    Some(_) => (Kind::Exists, "this TCKN is the user's already"),
                    None => (Kind::NotFound, "no TCKN is bound to this user"),
                };
                return Err(Failure::refused(kind, say));
            }
            all.tckn = tckn.clone();
            Ok(())
        };
        let changes = self.organisations.by(by);
        changes.set_certificates(tenant, user, set).await
    }

    /// Takes a certificate away from a user, by its fingerprint or a beginning of it that is only its own.
    pub async fn unbind_certificate(
        &self,
        by: &Author,
        tenant: TenantId,
        user: UserId,
        fingerprint: &str,
    ) -> Result<UserCertificates, Failure> {
        let wanted = fingerprint.replace(':', "").to_ascii_lowercase();
        let set = |all: &mut UserCertificates, _| {
            let meant = |c: &BoundCertificate| c.fingerprint.to_string().starts_with(&wanted);
            match all.certificates.iter().filter(|c| meant(c)).count() {
                1 if wanted.len() >= FINGERPRINT_MIN_DIGITS => all.certificates.retain(|c| !meant(c)),
                0 => {
                    let say = "the user has no certificate with that fingerprint; without an option they are listed";
                    return Err(Failure::refused(Kind::NotFound, say));
                }
                _ => {
                    let say = "more of the fingerprint is needed to know which certificate is meant";
                    return Err(Failure::refused(Kind::Invalid, say));
                }
            }
            Ok(())
        };
        let changes = self.organisations.by(by);
        changes.set_certificates(tenant, user, set).await
    }
}

/// Digits of a fingerprint that name a certificate: fewer are a slip of the hand.
const FINGERPRINT_MIN_DIGITS: usize = 8;

/// The number, if its check digits hold.
fn checked(number: &IdentityNumber) -> Option<Tckn> {
    number.expose().parse().ok()
}

/// A certificate that could be a person's at all.
fn readable(pem: &str) -> Result<Certificate, Failure> {
    let refused = |say: &str| Err(Failure::refused(Kind::Invalid, say));
    let Some(certificate) = Certificate::from_pem_text(pem)
        .ok()
        .and_then(|all| all.into_iter().next())
    else {
        return refused("there is no certificate in PEM in that file");
    };
    if certificate.key_kind() == KeyKind::Unsupported {
        return refused(
            "the certificate's key is of a kind that is not taken: RSA from 2048 bits, P-256 or P-384",
        );
    }
    if certificate.is_ca() {
        return refused("that is the certificate of an authority, not of a person");
    }
    if qualification(&certificate).is_mali_muhur {
        return refused(MALI_MUHUR);
    }
    Ok(certificate)
}
