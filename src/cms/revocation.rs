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

use super::certificate::Certificate;
use super::crl::{Crl, CrlError};
use super::ocsp::{OcspError, Response, Signer, Status};
use super::{extension, locations};
use crate::clock::UtcTime;
use std::time::Duration;

/// Most lists, and most responses, looked at for one path: a path has seven at most, each with some renewals.
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

/// What is known of revocation: lists and responses in DER as they came, and certificates of responders.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RevocationValues {
    pub crls: Vec<Vec<u8>>,
    pub ocsp: Vec<Vec<u8>>,
    pub certificates: Vec<Certificate>,
}

impl RevocationValues {
    pub fn is_empty(&self) -> bool {
        self.crls.is_empty() && self.ocsp.is_empty()
    }

    /// Takes over what `other` has and this has not.
    pub fn add_all(&mut self, other: Self) {
        fn add<T: PartialEq>(to: &mut Vec<T>, from: Vec<T>) {
            for item in from {
                if !to.contains(&item) {
                    to.push(item);
                }
            }
        }
        add(&mut self.crls, other.crls);
        add(&mut self.ocsp, other.ocsp);
        add(&mut self.certificates, other.certificates);
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
    #[error("there are more than {VALUES_MAX} revocation lists or responses")]
    TooMany,
}

impl Doubt {
    /// How much it tells: of several, the one to report.
    fn weight(&self) -> u8 {
        match self {
            Self::NoValue(_) => 0,
            Self::NotKnown(_) => 1,
            Self::Crl(_) | Self::Ocsp(_) | Self::TooMany => 2,
            Self::IssuerEnded { .. } | Self::Forgotten { .. } => 3,
            Self::OtherTime { .. } => 4,
            Self::Responder { .. } | Self::ResponderRevoked { .. } => 5,
            Self::NotFinal { .. } => 6,
        }
    }
}

/// Values that lie elsewhere: what a judgement looks at.
#[derive(Debug, Clone, Default)]
pub struct ValueSlices<'a> {
    pub crls: Vec<&'a [u8]>,
    pub ocsp: Vec<&'a [u8]>,
    pub certificates: Vec<Certificate>,
}

impl<'a> ValueSlices<'a> {
    pub fn of(values: &'a RevocationValues) -> Self {
        Self {
            crls: values.crls.iter().map(Vec::as_slice).collect(),
            ocsp: values.ocsp.iter().map(Vec::as_slice).collect(),
            certificates: values.certificates.clone(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.crls.is_empty() && self.ocsp.is_empty()
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
    if values.crls.len() > VALUES_MAX || values.ocsp.len() > VALUES_MAX {
        out.doubt = Some(Doubt::TooMany);
        return out;
    }
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
        && locations::ocsp_urls(certificate).is_empty()
        && certificate
            .extension(extension::CRL_DISTRIBUTION_POINTS)
            .is_none()
}

/// Whether a certificate of `path`, the anchor left out, names a place where its revocation can be asked about.
pub fn names_a_place(path: &[Certificate]) -> bool {
    let below = path.split_last().map_or(path, |(_, below)| below);
    below.iter().any(|certificate| {
        !locations::ocsp_urls(certificate).is_empty()
            || certificate
                .extension(extension::CRL_DISTRIBUTION_POINTS)
                .is_some()
    })
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

/// All values, read once.
struct Known<'a> {
    crls: Vec<Result<Crl<'a>, CrlError>>,
    ocsp: Vec<Result<Response<'a>, OcspError>>,
    certificates: &'a [Certificate],
}

impl<'a> Known<'a> {
    fn read(values: &'a ValueSlices<'a>) -> Self {
        Self {
            crls: values.crls.iter().map(|octets| Crl::read(octets)).collect(),
            ocsp: values.ocsp.iter().map(|octets| Response::read(octets)).collect(),
            certificates: &values.certificates,
        }
    }

    fn answer(&self, question: &Question<'_>) -> Verdict {
        if is_never_revoked(question.certificate) {
            return Verdict::Good { revoked_later: None };
        }
        let mut facts = Vec::new();
        let mut doubt = Doubt::NoValue(question.certificate.subject());
        let mut take = |told: Result<Option<Fact>, Doubt>| match told {
            Ok(fact) => facts.extend(fact),
            Err(why) if why.weight() >= doubt.weight() => doubt = why,
            Err(_) => {}
        };
        for crl in &self.crls {
            take(match crl {
                Ok(crl) => question.told_by_list(crl),
                Err(why) => Err(why.clone().into()),
            });
        }
        for response in &self.ocsp {
            take(match response {
                Ok(response) => self.told_by_response(question, response),
                Err(why) => Err(why.clone().into()),
            });
        }
        question.conclude(&facts, doubt)
    }

    fn told_by_response(
        &self,
        question: &Question<'_>,
        response: &Response<'_>,
    ) -> Result<Option<Fact>, Doubt> {
        let answer = match response.answer_for(question.certificate, question.issuer) {
            Ok(answer) => answer,
            // About another certificate of the path.
            Err(OcspError::OtherCertificate(_)) => return Ok(None),
            Err(why) => return Err(why.into()),
        };
        question.check_issuer_at(response.produced_at)?;
        match response.check_signed_for(question.issuer, self.certificates)? {
            Signer::Issuer => {}
            Signer::Delegate(responder) if question.delegates == Delegates::Refused => {
                return Err(OcspError::NotAuthorised {
                    responder: responder.subject(),
                    issuer: question.issuer.subject(),
                }
                .into());
            }
            Signer::Delegate(responder) => self.check_delegate(question, &responder, response.produced_at)?,
        }
        Ok(Some(Fact {
            status: answer.status,
            from: answer.this_update,
            // RFC 6960 4.2.2.1: without nextUpdate newer information is to be had at once; it speaks of its own time only.
            to: answer.next_update.unwrap_or(response.produced_at),
            remembers_since: answer.archive_cutoff,
        }))
    }

    /// RFC 6960 4.2.2.2.1: a delegate may be revoked like anybody, unless its issuer says that nobody need ask. Its chain is
    /// that of the question: its issuer is the issuer asked about. Another delegate's word does not do.
    fn check_delegate(
        &self,
        question: &Question<'_>,
        responder: &Certificate,
        produced_at: UtcTime,
    ) -> Result<(), Doubt> {
        if responder.extension(extension::OCSP_NO_CHECK).is_some() {
            return Ok(());
        }
        let about_responder = Question {
            certificate: responder,
            issuer: question.issuer,
            issuer_revoked_at: question.issuer_revoked_at,
            at: produced_at,
            grace: Duration::ZERO,
            delegates: Delegates::Refused,
        };
        match self.answer(&about_responder) {
            Verdict::Good { .. } => Ok(()),
            Verdict::Revoked { at, .. } => Err(Doubt::ResponderRevoked {
                responder: responder.subject(),
                at,
            }),
            Verdict::Doubt(why) => Err(Doubt::Responder {
                responder: responder.subject(),
                why: Box::new(why),
            }),
        }
    }
}

impl Question<'_> {
    fn told_by_list(&self, crl: &Crl<'_>) -> Result<Option<Fact>, Doubt> {
        if crl.issuer_der() != self.issuer.subject_der() {
            return Ok(None);
        }
        crl.check_covers(self.certificate)?;
        self.check_issuer_at(crl.this_update)?;
        crl.check_signed_by(self.issuer)?;
        let status = match crl.find(self.certificate.serial())? {
            None => Status::Good,
            Some(entry) => Status::Revoked {
                at: entry.revoked_at,
                reason: entry.reason,
                invalid_since: entry.invalid_since,
            },
        };
        Ok(Some(Fact {
            status,
            from: crl.this_update,
            to: crl.next_update,
            remembers_since: crl.keeps_expired_since,
        }))
    }

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

    fn conclude(&self, facts: &[Fact], mut doubt: Doubt) -> Verdict {
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
                Some(why) if why.weight() >= doubt.weight() => doubt = why,
                Some(_) => {}
            }
        }
        Verdict::Doubt(doubt)
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
