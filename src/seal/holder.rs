//! Whether a certificate that a client showed at the TLS handshake may be believed at all. Whose it is, is asked elsewhere.
//!
//! [`CertificateJudge`] is a trait, handed down from the roof, so that more can be asked than is asked here:
//! [`PathJudge`] looks for a path to one of the configured authorities, valid now (RFC 5280 6), and, where it is given an
//! [`Asker`], whether anything of the path is revoked now. No grace: who lost his card an hour ago and said so is kept out.
//! Reasons name no subject: the subject of a qualified certificate carries an identity number, and reasons go to logs.

use super::asking::Asker;
use super::reliance::{Basis, Proof, Reliance, Use};
use super::trust::TrustStore;
use crate::clock::UtcTime;
use crate::cms::{Certificate, PathError, Purpose, RevocationShelf, without_names};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// The longest a login waits for authorities; a mail client gives up after half a minute.
pub const LOGIN_WAIT_MAX: Duration = Duration::from_secs(5);

/// Why a certificate lets nobody in; its holder may hear it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unfit(pub String);

/// A judgement under way.
pub type Judging<'a> = Pin<Box<dyn Future<Output = Result<(), Unfit>> + Send + 'a>>;

/// Judges certificates of clients.
pub trait CertificateJudge: Send + Sync {
    /// `along` is what the client sent with `leaf`.
    fn judge<'a>(&'a self, leaf: &'a Certificate, along: &'a [Certificate], at: UtcTime) -> Judging<'a>;
}

/// What is thought of a certificate whose revocation nobody tells of, though it names a place to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenUnknown {
    Refuse,
    Accept,
}

/// By the path, and by what authorities say of it.
#[derive(Debug)]
pub struct PathJudge {
    trust: TrustStore,
    /// None: nobody is asked about revocation.
    asked: Option<(Arc<Asker>, WhenUnknown)>,
}

impl PathJudge {
    /// Nobody is asked about revocation.
    pub fn new(trust: TrustStore) -> Self {
        Self { trust, asked: None }
    }

    pub fn asking(mut self, asker: Arc<Asker>, when_unknown: WhenUnknown) -> Self {
        self.asked = Some((asker, when_unknown));
        self
    }

    /// The names in DER of the authorities that are believed: what a client may choose its certificate by.
    pub fn authorities(&self) -> impl Iterator<Item = &[u8]> {
        let all = self.trust.anchors().iter().chain(self.trust.intermediates());
        all.map(Certificate::subject_der)
    }

    async fn judge_now(&self, leaf: &Certificate, along: &[Certificate], now: UtcTime) -> Result<(), Unfit> {
        let used = Use {
            leaf,
            along,
            at: now,
            purpose: Purpose::Login,
            proof: Proof::OwnWord,
        };
        let found = Basis::asked_elsewhere(&self.trust).rely(used, &RevocationShelf::default());
        let relied = found.map_err(|why| unfit(&why))?;
        let Some((asker, when_unknown)) = &self.asked else {
            return Ok(());
        };
        // By its number the certificate is found again; its name stays out of the log.
        let serial = || -> String { leaf.serial().iter().map(|o| format!("{o:02x}")).collect() };
        match asker.reliance(&self.trust, &relied, LOGIN_WAIT_MAX).await {
            Reliance::Valid { .. } | Reliance::NobodyToAsk | Reliance::NotAsked => Ok(()),
            Reliance::Revoked(revoked) => {
                tracing::warn!(serial = serial(), since = %revoked.since, reason = revoked.reason.word(),
                    "a login with a revoked certificate");
                Err(Unfit("the certificate lets nobody in".into()))
            }
            Reliance::Unknown(why) => {
                let why = without_names(&why.to_string());
                tracing::warn!(serial = serial(), %why, taken = *when_unknown == WhenUnknown::Accept,
                    "a login with a certificate whose revocation nobody tells of");
                match when_unknown {
                    WhenUnknown::Accept => Ok(()),
                    WhenUnknown::Refuse => Err(Unfit(
                        "whether the certificate was revoked cannot be learnt now; try again in some minutes"
                            .into(),
                    )),
                }
            }
        }
    }
}

impl CertificateJudge for PathJudge {
    fn judge<'a>(&'a self, leaf: &'a Certificate, along: &'a [Certificate], at: UtcTime) -> Judging<'a> {
        Box::pin(self.judge_now(leaf, along, at))
    }
}

fn unfit(why: &PathError) -> Unfit {
    use PathError as P;
    Unfit(match why {
        P::NotValidAt { from, to, .. } => {
            format!("the certificate, or one above it, is valid from {from} to {to}, not now")
        }
        P::CriticalExtension(_) => "the certificate has a critical extension that is not understood".into(),
        P::FaultyExtension { .. } => "the certificate, or one above it, has a faulty extension".into(),
        P::WrongPurpose { .. } => "the certificate may not be used to log in".into(),
        P::NameConstraint { .. } | P::TooManyNames(_) => {
            "an authority above the certificate may not issue for its names".into()
        }
        P::NoPolicy(_) | P::OtherPolicy(_) => {
            "the certificate is not of a policy that this provider takes logins of".into()
        }
        P::NoAnchor(_)
        | P::MissingIssuer { .. }
        | P::NotTrusted(_)
        | P::TooLong(_)
        | P::TooManyChecks(_)
        | P::NotAuthority(_)
        | P::NotPinned(_)
        | P::Signature(_) => {
            "no path leads from the certificate to an authority that this provider takes logins of".into()
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{
        BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
        KeyUsagePurpose, date_time_ymd,
    };

    fn params() -> CertificateParams {
        let mut p = CertificateParams::default();
        p.distinguished_name = rcgen::DistinguishedName::new();
        p.distinguished_name
            .push(DnType::CustomDnType(vec![2, 5, 4, 5]), "17291716060");
        p.not_before = date_time_ymd(2026, 1, 1);
        p.not_after = date_time_ymd(2027, 1, 1);
        p
    }

    fn root() -> CertifiedIssuer<'static, KeyPair> {
        let mut p = params();
        p.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        p.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        CertifiedIssuer::self_signed(p, KeyPair::generate().unwrap()).unwrap()
    }

    #[tokio::test]
    async fn what_is_wrong_is_told_and_no_number_with_it() {
        let (root, stranger) = (root(), root());
        let mut trust = TrustStore::new();
        trust.add_anchor(Certificate::from_der(root.der()).unwrap());
        let judge = PathJudge::new(trust);
        assert_eq!(judge.authorities().count(), 1);
        let at = |text: &str| UtcTime::parse_rfc3339(text).unwrap();
        let (now, later) = (at("2026-06-01T00:00:00Z"), at("2028-01-01T00:00:00Z"));
        let leaf = |p: CertificateParams, issuer: &CertifiedIssuer<'static, KeyPair>| {
            let made = p.signed_by(&KeyPair::generate().unwrap(), issuer).unwrap();
            Certificate::from_der(made.der()).unwrap()
        };
        let good = leaf(params(), &root);
        assert_eq!(judge.judge(&good, &[], now).await, Ok(()));
        let mut server = params();
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let along = [Certificate::from_der(stranger.der()).unwrap()];
        for (leaf, at, why) in [
            (&good, later, "not now"),
            (&leaf(server, &root), now, "may not be used to log in"),
            (&leaf(params(), &stranger), now, "no path leads"),
        ] {
            let unfit = judge.judge(leaf, &along, at).await.unwrap_err();
            assert!(unfit.0.contains(why) && !unfit.0.contains("172917"), "{unfit}");
        }
    }
}
