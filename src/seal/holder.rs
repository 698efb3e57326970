//! Whether a certificate that a client showed at the TLS handshake may be believed at all. Whose it is, is asked elsewhere.
//!
//! [`CertificateJudge`] is a trait, handed down from the roof, so that more can be asked than is asked here:
//! [`PathJudge`] looks for a path to one of the configured authorities, valid now (RFC 5280 6). **It does not ask whether
//! a certificate was revoked.** Reasons name no subject: the subject of a qualified certificate carries an identity
//! number, and reasons go to logs.

use super::trust::TrustStore;
use crate::clock::UtcTime;
use crate::cms::{Certificate, PathError, Purpose};
use std::future::Future;
use std::pin::Pin;

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

/// By the path alone.
#[derive(Debug)]
pub struct PathJudge {
    trust: TrustStore,
}

impl PathJudge {
    pub fn new(trust: TrustStore) -> Self {
        Self { trust }
    }

    /// The names in DER of the authorities that are believed: what a client may choose its certificate by.
    pub fn authorities(&self) -> impl Iterator<Item = &[u8]> {
        let all = self.trust.anchors().iter().chain(self.trust.intermediates());
        all.map(Certificate::subject_der)
    }
}

impl CertificateJudge for PathJudge {
    fn judge<'a>(&'a self, leaf: &'a Certificate, along: &'a [Certificate], at: UtcTime) -> Judging<'a> {
        let judged = self.trust.check(leaf, along, at, Purpose::Login);
        Box::pin(std::future::ready(judged.map_err(|why| unfit(&why))))
    }
}

fn unfit(why: &PathError) -> Unfit {
    Unfit(match why {
        PathError::NotValidAt { from, to, .. } => {
            format!("the certificate, or one above it, is valid from {from} to {to}, not now")
        }
        PathError::CriticalExtension(_) => {
            "the certificate has a critical extension that is not understood".into()
        }
        PathError::WrongPurpose { .. } => "the certificate may not be used to log in".into(),
        _ => "no path leads from the certificate to an authority that this provider takes logins of".into(),
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
