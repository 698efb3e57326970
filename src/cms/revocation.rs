//! The standing of a path at a moment: what revocation lists and OCSP responses, collected then or later, say of it.
//!
//! The moment T is when the signature is proved to have existed (its time-stamp). So a certificate revoked after T does no
//! harm, and what was issued after T tells most: the standing does not depend on when it is asked for, only on the values
//! (EN 319 102-1 5.2.5, RFC 5280 6.3, RFC 6960 3.2). Rules of this house, where the standards leave it open:
//!
//! - A revocation for compromise of a key counts from its invalidity date where one is stated; any other from its date.
//! - A certificate on hold counts as revoked; if the newest value has it no more, it never was.
//! - "Good" is final once a value was issued `grace` after T; with no grace also by a value whose time holds T. Grace is for
//!   the signer, whose card may have been lost an hour ago; authorities are judged by the value whose time holds T, or later.
//! - A value that its issuer made after the issuer itself was revoked, or had ended, counts for nothing.
//! - A "good" from after the end of the certificate counts only where the value says that it remembers such certificates.
//!
//! Anchors are trusted by being configured: nobody is asked about them. Nothing is fetched here.

mod checks;
mod known;
mod values;

pub use checks::{CHECKS_MAX, Checks};
pub(in crate::cms) use values::{Head, Value};
pub use values::{Origin, RevocationValues, ValueSlices};

use super::certificate::Certificate;
use super::crl::CrlError;
use super::ocsp::{OcspError, Status};
use super::{extension, locations};
use crate::clock::UtcTime;
use known::Known;
use std::time::Duration;

/// Most lists, and most responses, that one side brings for one certificate and that are all looked at; of more, those
/// around the moment, before the end of the certificate, and the newest. A path has seven at most, each with some renewals.
pub const VALUES_MAX: usize = 32;

/// Why a certificate was revoked (RFC 5280 5.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RevocationReason {
    Unspecified,
    KeyCompromise,
    CaCompromise,
    AffiliationChanged,
    Superseded,
    CessationOfOperation,
    CertificateHold,
    PrivilegeWithdrawn,
    AaCompromise,
}

impl RevocationReason {
    const ALL: [(u8, Self, &'static str); 9] = [
        (0, Self::Unspecified, "unspecified"),
        (1, Self::KeyCompromise, "keyCompromise"),
        (2, Self::CaCompromise, "cACompromise"),
        (3, Self::AffiliationChanged, "affiliationChanged"),
        (4, Self::Superseded, "superseded"),
        (5, Self::CessationOfOperation, "cessationOfOperation"),
        (6, Self::CertificateHold, "certificateHold"),
        (9, Self::PrivilegeWithdrawn, "privilegeWithdrawn"),
        (10, Self::AaCompromise, "aACompromise"),
    ];

    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.iter().find(|(c, ..)| *c == code).map(|(_, r, _)| *r)
    }

    pub fn code(self) -> u8 {
        Self::ALL
            .iter()
            .find(|(_, r, _)| *r == self)
            .map_or(0, |(c, ..)| *c)
    }

    /// The word of the standard.
    pub fn word(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(_, r, _)| *r == self)
            .map_or("unspecified", |(_, _, w)| *w)
    }

    fn is_compromise(self) -> bool {
        matches!(
            self,
            Self::KeyCompromise | Self::CaCompromise | Self::AaCompromise
        )
    }
}

/// How a path stood at the moment asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// None of its certificates was revoked then.
    ValidAt(UtcTime),
    RevokedSince {
        subject: String,
        at: UtcTime,
        reason: RevocationReason,
    },
    Unknown {
        why: Doubt,
    },
}

/// Why the standing is not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Doubt {
    #[error("nothing is known of a revocation of '{0}'")]
    NoValue(String),
    #[error(transparent)]
    Crl(#[from] CrlError),
    #[error(transparent)]
    Ocsp(#[from] OcspError),
    #[error("the OCSP responder does not know '{0}'")]
    NotKnown(String),
    #[error("what is known of '{subject}' is of {from} to {to}, not of {at}")]
    OtherTime {
        subject: String,
        from: UtcTime,
        to: UtcTime,
        at: UtcTime,
    },
    #[error("'{subject}' is good so far; that is final by what is issued from {final_from} on")]
    NotFinal { subject: String, final_from: UtcTime },
    #[error("what is known of '{subject}' was issued after its end at {ended} and need not remember it")]
    Forgotten { subject: String, ended: UtcTime },
    #[error("what is known of '{subject}' was issued when '{issuer}' was no longer valid")]
    IssuerEnded { subject: String, issuer: String },
    #[error("the OCSP responder '{responder}' is itself in doubt: {why}")]
    Responder { responder: String, why: Box<Doubt> },
    #[error("the OCSP responder '{responder}' was revoked at {at}")]
    ResponderRevoked { responder: String, at: UtcTime },
    #[error("more than {CHECKS_MAX} signatures of revocation values would have to be checked")]
    TooManyChecks,
}

impl Doubt {
    fn tells_no_less_than(&self, other: Option<&Self>) -> bool {
        other.is_none_or(|other| self.weight() >= other.weight())
    }

    /// How much it tells: of several, the one to report.
    fn weight(&self) -> u8 {
        match self {
            Self::NoValue(_) => 0,
            Self::NotKnown(_) => 1,
            Self::Crl(_) | Self::Ocsp(_) | Self::TooManyChecks => 2,
            Self::IssuerEnded { .. } | Self::Forgotten { .. } => 3,
            Self::OtherTime { .. } => 4,
            Self::Responder { .. } | Self::ResponderRevoked { .. } => 5,
            Self::NotFinal { .. } => 6,
        }
    }
}

/// The standing of `path` (leaf first, anchor last, as `cms::path` found it) at `at`.
pub fn judge(path: &[Certificate], at: UtcTime, values: &RevocationValues, grace: Duration) -> Standing {
    judge_slices(path, at, &ValueSlices::of(values), grace)
}

/// [`judge`] by values that lie elsewhere. Of several revocations the earliest is told; a hold, which may be lifted, only
/// where there is no other.
pub fn judge_slices(
    path: &[Certificate],
    at: UtcTime,
    values: &ValueSlices<'_>,
    grace: Duration,
) -> Standing {
    let Walked { revoked, doubt } = walk(path, at, values, grace);
    let is_hold = |r: &PathRevocation| r.reason == RevocationReason::CertificateHold;
    let told = revoked.into_iter().min_by_key(|r| (is_hold(r), r.at));
    match (told, doubt) {
        (Some(r), _) => Standing::RevokedSince {
            subject: r.subject,
            at: r.at,
            reason: r.reason,
        },
        (None, Some(why)) => Standing::Unknown { why },
        (None, None) => Standing::ValidAt(at),
    }
}

/// A certificate of a path that was revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathRevocation {
    pub subject: String,
    pub at: UtcTime,
    pub reason: RevocationReason,
}

/// Every revocation of `path` that was effective at `at`, the earliest first: who asks what it does to a signature must know
/// of all of them.
pub fn revocations(path: &[Certificate], at: UtcTime, values: &ValueSlices<'_>) -> Vec<PathRevocation> {
    let mut all = walk(path, at, values, Duration::ZERO).revoked;
    all.sort_by_key(|r| r.at);
    all
}

/// What is said of each certificate of a path.
struct Walked {
    revoked: Vec<PathRevocation>,
    doubt: Option<Doubt>,
}

fn walk(path: &[Certificate], at: UtcTime, values: &ValueSlices<'_>, grace: Duration) -> Walked {
    let mut out = Walked {
        revoked: Vec::new(),
        doubt: None,
    };
    let known = Known::read(values);
    // From the anchor down: what an authority said after its own revocation counts for nothing.
    let mut issuer_revoked_at = None;
    for (i, pair) in path.windows(2).enumerate().rev() {
        let [certificate, issuer] = pair else { continue };
        let question = Question {
            certificate,
            issuer,
            issuer_revoked_at,
            at,
            grace: if i == 0 { grace } else { Duration::ZERO },
            delegates: Delegates::Allowed,
        };
        issuer_revoked_at = None;
        match known.answer(&question) {
            Verdict::Good { revoked_later } => issuer_revoked_at = revoked_later,
            Verdict::Revoked { at, reason } => {
                issuer_revoked_at = Some(at);
                out.revoked.push(PathRevocation {
                    subject: certificate.subject(),
                    at,
                    reason,
                });
            }
            Verdict::Doubt(why) => {
                out.doubt.get_or_insert(why);
            }
        }
    }
    out
}

/// Whether nothing is ever published about the certificate, by its issuer's word (RFC 9608 3). The word does not count where
/// an authority, or a place to ask, contradicts it.
pub fn is_never_revoked(certificate: &Certificate) -> bool {
    certificate.extension(extension::NO_REV_AVAIL).is_some()
        && !certificate.is_ca()
        && !has_a_place(certificate)
}

/// Whether the certificate names a place where its revocation can be asked about, be it one that nobody here can go to: that
/// its issuer publishes something is no less true for that.
pub fn has_a_place(certificate: &Certificate) -> bool {
    let names_lists = certificate
        .extension(extension::CRL_DISTRIBUTION_POINTS)
        .is_some();
    names_lists || !locations::ocsp_urls(certificate).is_empty()
}

/// Whether a certificate of `path`, the anchor left out, does.
pub fn names_a_place(path: &[Certificate]) -> bool {
    let below = path.split_last().map_or(path, |(_, below)| below);
    below.iter().any(has_a_place)
}

/// Whether delegates of the issuer may have answered; not when a delegate itself is asked about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Delegates {
    Allowed,
    Refused,
}

struct Question<'a> {
    certificate: &'a Certificate,
    issuer: &'a Certificate,
    issuer_revoked_at: Option<UtcTime>,
    at: UtcTime,
    grace: Duration,
    delegates: Delegates,
}

enum Verdict {
    Good { revoked_later: Option<UtcTime> },
    Revoked { at: UtcTime, reason: RevocationReason },
    Doubt(Doubt),
}

/// What one list or response says of the certificate in question.
struct Fact {
    status: Status,
    from: UtcTime,
    to: UtcTime,
    remembers_since: Option<UtcTime>,
}

impl Question<'_> {
    /// The issuer must have been valid when it spoke.
    fn check_issuer_at(&self, moment: UtcTime) -> Result<(), Doubt> {
        if self.issuer.is_valid_at(moment) && self.issuer_revoked_at.is_none_or(|end| moment < end) {
            return Ok(());
        }
        Err(Doubt::IssuerEnded {
            subject: self.certificate.subject(),
            issuer: self.issuer.subject(),
        })
    }

    fn conclude(&self, facts: &[Fact], mut doubt: Option<Doubt>) -> Verdict {
        let revocations = facts.iter().filter_map(Fact::revocation);
        let lasting = revocations.filter(|(_, reason)| *reason != RevocationReason::CertificateHold);
        let lasting = lasting.min_by_key(|(at, _)| *at);
        if let Some((at, reason)) = lasting {
            if at <= self.at {
                return Verdict::Revoked { at, reason };
            }
            // Its issuer looked back and says: revoked, but only since then.
            return Verdict::Good {
                revoked_later: Some(at),
            };
        }
        // Only a value that would still name it can have lifted a hold.
        let telling = |fact: &&Fact| match fact.status {
            Status::Revoked { .. } => true,
            Status::Good => !self.may_have_forgotten(fact),
            Status::Unknown => false,
        };
        let newest = facts.iter().filter(telling).max_by_key(|fact| fact.from);
        if let Some((at, reason)) = newest.and_then(Fact::revocation) {
            if at <= self.at {
                return Verdict::Revoked { at, reason };
            }
            return Verdict::Good {
                revoked_later: Some(at),
            };
        }
        for fact in facts {
            match self.weigh_good(fact) {
                None => return Verdict::Good { revoked_later: None },
                Some(why) if why.tells_no_less_than(doubt.as_ref()) => doubt = Some(why),
                Some(_) => {}
            }
        }
        Verdict::Doubt(doubt.unwrap_or_else(|| Doubt::NoValue(self.certificate.subject())))
    }

    /// RFC 5280 3.3, RFC 6960 4.4.4: what has expired may be left out.
    fn may_have_forgotten(&self, fact: &Fact) -> bool {
        let ended = self.certificate.not_after();
        fact.from > ended && fact.remembers_since.is_none_or(|since| since > ended)
    }

    /// What speaks against a fact that is no revocation being the last word.
    fn weigh_good(&self, fact: &Fact) -> Option<Doubt> {
        let subject = || self.certificate.subject();
        if fact.status != Status::Good {
            return Some(Doubt::NotKnown(subject()));
        }
        if self.may_have_forgotten(fact) {
            return Some(Doubt::Forgotten {
                subject: subject(),
                ended: self.certificate.not_after(),
            });
        }
        let final_from = self.at.plus(self.grace);
        let holds_moment = fact.from <= self.at && self.at.unix_s() <= fact.to.unix_s();
        if fact.from >= final_from || (self.grace.is_zero() && holds_moment) {
            return None;
        }
        Some(if fact.from >= self.at || holds_moment {
            Doubt::NotFinal {
                subject: subject(),
                final_from,
            }
        } else {
            Doubt::OtherTime {
                subject: subject(),
                from: fact.from,
                to: fact.to,
                at: self.at,
            }
        })
    }
}

impl Fact {
    /// Since when, and why, it says that the certificate is revoked.
    fn revocation(&self) -> Option<(UtcTime, RevocationReason)> {
        let Status::Revoked {
            at,
            reason,
            invalid_since,
        } = self.status
        else {
            return None;
        };
        let since = invalid_since.filter(|_| reason.is_compromise());
        Some((since.map_or(at, |since| since.min(at)), reason))
    }
}

#[cfg(test)]
#[path = "revocation_tests.rs"]
mod tests;
