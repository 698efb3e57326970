//! How far a signature's or a time-stamp's certificate may be relied on, for the moment that counts, as a thing of its own
//! beside the findings (EN 319 102-1 5.2.5, 5.5, 5.6; decision 0033).
//!
//! A signer who was revoked after the moment that a time-stamp proves does no harm. Who was revoked later and has nothing
//! but his own word for the moment may have written that word later. So it is with a time-stamp: its own time is proved by
//! nobody else, so a later loss of its authority's key leaves it in doubt, while an authority that merely stopped does not
//! (RFC 3161 4). Where no certificate of a path names a place to ask and nothing that lies at hand speaks of it, there is
//! nobody to ask: so it is with authorities that a provider runs for itself.
//!
//! Seals of providers and time-stamps are judged without grace: grace is for a card that a person may have lost.

use super::trust::TrustStore;
use crate::clock::UtcTime;
use crate::cms::revocation::{self, Doubt, Origin, PathRevocation, RevocationReason, Standing, ValueSlices};
use crate::cms::{Certificate, PathError, Purpose, RevocationShelf, SignatureAlgorithm};
use std::sync::Arc;
use std::time::Duration;

/// After every revocation: who is asked for it is told of any that is known. 9999-12-31, the last day of X.509.
const ANY_TIME: UtcTime = UtcTime::from_unix_s(253_402_300_799);

/// What a judgement rests on: whom to believe, and what is known of revocation.
#[derive(Debug, Clone, Copy)]
pub struct Basis<'a> {
    pub trust: &'a TrustStore,
    pub revocation: Revocation<'a>,
}

/// Where a judgement takes from what it says of revocation.
#[derive(Debug, Clone, Copy)]
pub enum Revocation<'a> {
    /// Nothing is at hand but what the document itself brings.
    Nothing,
    Known(&'a RevocationShelf),
    /// Whoever called asks by himself, by what the report says is relied on; the findings do not speak of it.
    AskedElsewhere,
}

impl<'a> Basis<'a> {
    pub fn known(trust: &'a TrustStore, shelf: &'a RevocationShelf) -> Self {
        Self {
            trust,
            revocation: Revocation::Known(shelf),
        }
    }

    pub fn asked_elsewhere(trust: &'a TrustStore) -> Self {
        Self {
            trust,
            revocation: Revocation::AskedElsewhere,
        }
    }
}

/// With nothing at hand.
impl<'a> From<&'a TrustStore> for Basis<'a> {
    fn from(trust: &'a TrustStore) -> Self {
        Self {
            trust,
            revocation: Revocation::Nothing,
        }
    }
}

impl<'a> From<&'a Arc<TrustStore>> for Basis<'a> {
    fn from(trust: &'a Arc<TrustStore>) -> Self {
        Self::from(&**trust)
    }
}

/// A certificate that was revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revoked {
    pub subject: String,
    pub since: UtcTime,
    pub reason: RevocationReason,
}

/// What of a path was revoked after the moment that counts: the earliest first, and at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevokedLater(Vec<Revoked>);

impl RevokedLater {
    fn of(mut all: Vec<Revoked>) -> Option<Self> {
        all.sort_by_key(|revoked| revoked.since);
        (!all.is_empty()).then_some(Self(all))
    }

    /// The first of them.
    pub fn earliest(&self) -> Option<&Revoked> {
        self.0.first()
    }

    /// The first that leaves a time-stamp in doubt: each of those of its path can, not only the highest or the first.
    fn doubts_stamps(&self) -> Option<&Revoked> {
        self.0.iter().find(|revoked| !merely_stopped(revoked.reason))
    }
}

/// How far a certificate may be relied on at the moment that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reliance {
    /// Nothing of its path was revoked at `at`; perhaps something was later.
    Valid {
        at: UtcTime,
        revoked_later: Option<RevokedLater>,
    },
    Revoked(Revoked),
    Unknown(Doubt),
    /// Nobody publishes anything about it.
    NobodyToAsk,
    /// It is asked elsewhere.
    NotAsked,
}

/// Why a certificate is not relied on. Each sentence says whose.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Distrust {
    #[error("'{}' is revoked since {} ({})", .0.subject, .0.since, .0.reason.word())]
    Revoked(Revoked),
    #[error(transparent)]
    Unknown(Doubt),
    #[error("'{}' was revoked at {} ({}), and nothing proves that the signature is older", .0.subject, .0.since, .0.reason.word())]
    SignatureUnproven(Revoked),
    #[error("'{}' was revoked at {} ({}), and nothing proves that the time-stamp is older", .0.subject, .0.since, .0.reason.word())]
    StampUnproven(Revoked),
}

/// Whether somebody else proves the moment at which a certificate was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    Stamped,
    OwnWord,
}

/// A certificate that a document relies on: whose, when, and what for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relied {
    pub leaf: Certificate,
    /// What came along with it.
    pub along: Vec<Certificate>,
    pub at: UtcTime,
    pub purpose: Purpose,
    pub proof: Proof,
    pub reliance: Reliance,
    /// How it signed, where that is known.
    pub algorithm: Option<SignatureAlgorithm>,
}

impl Relied {
    pub fn signing_by(mut self, algorithm: SignatureAlgorithm) -> Self {
        self.algorithm = Some(algorithm);
        self
    }

    /// Why it is not relied on.
    pub fn distrust(&self) -> Option<Distrust> {
        match &self.reliance {
            Reliance::Revoked(revoked) => Some(Distrust::Revoked(revoked.clone())),
            Reliance::Unknown(why) => Some(Distrust::Unknown(why.clone())),
            Reliance::NobodyToAsk | Reliance::NotAsked => None,
            Reliance::Valid { revoked_later, .. } => {
                let later = revoked_later.as_ref()?;
                match (self.purpose, self.proof) {
                    (Purpose::TimeStamping, _) => later.doubts_stamps().cloned().map(Distrust::StampUnproven),
                    (Purpose::Signing | Purpose::Login, Proof::OwnWord) => {
                        later.earliest().cloned().map(Distrust::SignatureUnproven)
                    }
                    (Purpose::Signing | Purpose::Login, Proof::Stamped) => None,
                }
            }
        }
    }

    /// The moment from which on somebody else may have made it, when it is in doubt only for that.
    pub fn doubted_from(&self) -> Option<UtcTime> {
        match self.distrust()? {
            Distrust::SignatureUnproven(revoked) | Distrust::StampUnproven(revoked) => Some(revoked.since),
            Distrust::Revoked(_) | Distrust::Unknown(_) => None,
        }
    }
}

/// RFC 3161 4.1: what such an authority stamped before stays good. Without a reason, or with any other, it does not.
fn merely_stopped(reason: RevocationReason) -> bool {
    use RevocationReason::{AffiliationChanged, CessationOfOperation, Superseded};
    matches!(reason, AffiliationChanged | CessationOfOperation | Superseded)
}

/// A certificate to be relied on at a moment.
#[derive(Debug, Clone, Copy)]
pub struct Use<'c> {
    pub leaf: &'c Certificate,
    pub along: &'c [Certificate],
    pub at: UtcTime,
    pub purpose: Purpose,
    pub proof: Proof,
}

impl Use<'_> {
    fn relied(&self, reliance: Reliance) -> Relied {
        Relied {
            leaf: self.leaf.clone(),
            along: self.along.to_vec(),
            at: self.at,
            purpose: self.purpose,
            proof: self.proof,
            reliance,
            algorithm: None,
        }
    }
}

impl Basis<'_> {
    /// The path of a certificate, and how far it may be relied on; `embedded` are values that the document brings.
    pub fn rely(&self, used: Use<'_>, embedded: &RevocationShelf) -> Result<Relied, PathError> {
        let Use {
            leaf,
            along,
            at,
            purpose,
            ..
        } = used;
        let shelf = match self.revocation {
            Revocation::AskedElsewhere => {
                self.trust.check(leaf, along, at, purpose)?;
                return Ok(used.relied(Reliance::NotAsked));
            }
            Revocation::Nothing => None,
            Revocation::Known(shelf) => Some(shelf),
        };
        // One document's checks are counted where its own values lie, and remembered where more documents are judged by.
        let remembered = shelf.map_or(self.trust.values(), RevocationShelf::checks);
        let checks = embedded.checks().remembered_in(remembered);
        let values_about = |path: &[Certificate]| {
            let mut values = ValueSlices::checked_by(checks.clone());
            if let Some(shelf) = shelf {
                shelf.about(path, Origin::Caller, &mut values);
            }
            embedded.about(path, Origin::Document, &mut values);
            values
        };
        let judged = self.trust.judge_by(leaf, along, at, purpose, &mut |path| {
            revocation::judge_slices(path, at, &values_about(path), Duration::ZERO)
        })?;
        let values = values_about(&judged.path);
        Ok(used.relied(reliance(&judged.path, judged.standing, &values)))
    }
}

/// What the standing of a path by `values` means to whoever relies on it.
pub fn reliance(path: &[Certificate], standing: Standing, values: &ValueSlices<'_>) -> Reliance {
    let nobody = path.len() < 2 || (values.is_empty() && !revocation::names_a_place(path));
    match standing {
        Standing::RevokedSince { subject, at, reason } => Reliance::Revoked(Revoked {
            subject,
            since: at,
            reason,
        }),
        _ if nobody => Reliance::NobodyToAsk,
        Standing::Unknown { why } => Reliance::Unknown(why),
        Standing::ValidAt(at) => {
            let ever = revocation::revocations(path, ANY_TIME, values);
            let of = |r: PathRevocation| Revoked {
                subject: r.subject,
                since: r.at,
                reason: r.reason,
            };
            let revoked_later = RevokedLater::of(ever.into_iter().map(of).collect());
            Reliance::Valid { at, revoked_later }
        }
    }
}
