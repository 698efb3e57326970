//! Path validation (RFC 5280 6): from a leaf to a configured anchor, at a given moment.
//!
//! Checked: signatures, validity at that moment, names chained by their raw DER, CA flag and path length, keyCertSign,
//! critical extensions that nobody processes, the purpose of the leaf and, where they state one, of the authorities;
//! name constraints (`constraints`) and certificate policies (`policy`). Where several certificates could be the
//! issuer (cross-signing, old and new keys), the one that leads to an anchor is found (`search`).
//!
//! **Revocation is not looked at here**: that is the matter of `cms::revocation`, which takes the path found.

mod constraints;
mod policy;
mod search;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_of_constraints;

use super::certificate::{
    Certificate, EKU_ANY, EKU_CLIENT_AUTH, EKU_DOCUMENT_SIGNING, EKU_EMAIL_PROTECTION, EKU_TIME_STAMPING,
};
use crate::clock::UtcTime;
use search::Search;

/// Longest path, leaf and anchor included. National hierarchies have three or four.
pub const PATH_MAX: usize = 8;
/// Most signatures checked while searching one path: bounds what hostile pools can cost.
const SIGNATURE_CHECKS_MAX: usize = 32;
/// Most complete paths looked at in one search: cross-signing makes two or three.
const PATHS_MAX: usize = 8;

/// What the leaf's key is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A provider's seal or a person's signature: digitalSignature or nonRepudiation where key usage is stated;
    /// e-mail protection, document signing or any where extended key usage is stated.
    Signing,
    /// RFC 3161 2.3: exactly one extended key usage, timeStamping, critical.
    TimeStamping,
    /// A person's key at a TLS handshake: as [`Purpose::Signing`], with clientAuth instead of document signing. Cards
    /// that are made for signing (NES) often carry no clientAuth.
    Login,
}

impl Purpose {
    /// The extended key usages of which one must be left when leaf and authorities have been looked at.
    fn key_purposes(self) -> &'static [&'static [u8]] {
        match self {
            Self::Signing => &[EKU_EMAIL_PROTECTION, EKU_DOCUMENT_SIGNING],
            Self::TimeStamping => &[EKU_TIME_STAMPING],
            Self::Login => &[EKU_EMAIL_PROTECTION, EKU_CLIENT_AUTH],
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Signing => "signing",
            Self::TimeStamping => "time-stamping",
            Self::Login => "logging in",
        }
    }
}

/// Why there is no path. Each sentence says which certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    #[error("no path from '{0}' to a trust anchor")]
    NoAnchor(String),
    #[error("the certificate of '{issuer}', which issued '{subject}', is missing")]
    MissingIssuer { subject: String, issuer: String },
    #[error("'{0}' is self-issued and not a trust anchor")]
    NotTrusted(String),
    #[error("the path from '{0}' is longer than {PATH_MAX} certificates")]
    TooLong(String),
    #[error("the search for a path from '{0}' was given up after {SIGNATURE_CHECKS_MAX} signatures")]
    TooManyChecks(String),
    #[error("'{subject}' is valid from {from} to {to}, not at {at}")]
    NotValidAt {
        subject: String,
        from: UtcTime,
        to: UtcTime,
        at: UtcTime,
    },
    #[error("'{0}' is not a certification authority, or may not sign certificates or so long a path")]
    NotAuthority(String),
    #[error("'{0}' has a critical extension that is not understood")]
    CriticalExtension(String),
    #[error("'{subject}' has a faulty extension: {what}")]
    FaultyExtension { subject: String, what: &'static str },
    #[error("'{subject}' may not be used for {purpose}")]
    WrongPurpose { subject: String, purpose: &'static str },
    #[error("'{issuer}' may not issue for the name '{name}' of '{subject}'")]
    NameConstraint {
        issuer: String,
        subject: String,
        name: String,
    },
    #[error("'{0}' has, or constrains, too many names")]
    TooManyNames(String),
    #[error("at '{0}' no certificate policy is left that would be valid for the path")]
    NoPolicy(String),
    #[error("none of the certificate policies that are asked for is valid for '{0}'")]
    OtherPolicy(String),
    #[error("'{0}' is not one of the pinned certificates")]
    NotPinned(String),
    #[error("the signature of the issuer on '{0}' does not verify")]
    Signature(String),
}

/// Answers "is this certificate signed by that one's key?", which is a pure function of both and may be remembered.
pub type IsSignedBy<'a> = &'a dyn Fn(&Certificate, &Certificate) -> bool;

/// What a path is made from.
#[derive(Clone, Copy)]
pub struct Ground<'a> {
    /// Certificates that may help; nobody believes them anything.
    pub pool: &'a [Certificate],
    pub anchors: &'a [Certificate],
    pub is_signed_by: IsSignedBy<'a>,
}

/// What is asked of a path.
#[derive(Debug, Clone, Copy)]
pub struct Demand<'a> {
    pub at: UtcTime,
    pub purpose: Purpose,
    /// Certificate policies of which one must be valid for the path, as content octets of their OIDs; empty: any or none.
    pub policies: &'a [Vec<u8>],
}

/// Finds a path from `leaf` over `pool` to one of `anchors`, all valid at `at`. The path found is returned, leaf first.
///
/// An anchor is trusted by being configured: of it only its name, key and validity count, and what it says of itself as an
/// authority (path length, key usage, name constraints). A leaf that is itself an anchor is a path of one.
pub fn validate(
    leaf: &Certificate,
    pool: &[Certificate],
    anchors: &[Certificate],
    at: UtcTime,
    purpose: Purpose,
) -> Result<Vec<Certificate>, PathError> {
    let ground = Ground {
        pool,
        anchors,
        is_signed_by: &Certificate::is_signed_by,
    };
    let demand = Demand {
        at,
        purpose,
        policies: &[],
    };
    find(leaf, ground, demand, &mut |_| true)
}

/// [`validate`] on any ground, with more demands. Every path that holds is shown to `accept`, until it takes one; so a
/// cross-signed leaf whose one path is revoked may still have another.
pub fn find(
    leaf: &Certificate,
    ground: Ground<'_>,
    demand: Demand<'_>,
    accept: &mut dyn FnMut(&[Certificate]) -> bool,
) -> Result<Vec<Certificate>, PathError> {
    check_leaf(leaf, demand.at, demand.purpose)?;
    Search::new(leaf, ground, demand, accept).run()
}

/// Whether a time-stamp authority's certificate has the one critical purpose (RFC 3161 2.3).
pub fn is_time_stamping(certificate: &Certificate) -> bool {
    matches!(certificate.ext_key_usage(), Some((true, [only])) if only == EKU_TIME_STAMPING)
}

fn check_leaf(leaf: &Certificate, at: UtcTime, purpose: Purpose) -> Result<(), PathError> {
    check_dates(leaf, at)?;
    if leaf.has_unknown_critical() {
        return Err(PathError::CriticalExtension(leaf.subject()));
    }
    let may_sign = leaf
        .key_usage()
        .is_none_or(|u| u.digital_signature() || u.non_repudiation());
    let fits = match purpose {
        Purpose::TimeStamping => is_time_stamping(leaf),
        Purpose::Signing | Purpose::Login => {
            let mut left = purpose.key_purposes().to_vec();
            keep_purposes(&mut left, leaf)
        }
    };
    if may_sign && fits {
        return Ok(());
    }
    Err(PathError::WrongPurpose {
        subject: leaf.subject(),
        purpose: purpose.word(),
    })
}

/// Keeps of `left` what the extended key usage of `certificate` allows; false when nothing is left.
fn keep_purposes(left: &mut Vec<&'static [u8]>, certificate: &Certificate) -> bool {
    if let Some((_, list)) = certificate.ext_key_usage()
        && !list.iter().any(|p| p == EKU_ANY)
    {
        left.retain(|purpose| list.iter().any(|p| p == purpose));
    }
    !left.is_empty()
}

fn check_dates(c: &Certificate, at: UtcTime) -> Result<(), PathError> {
    if c.is_valid_at(at) {
        return Ok(());
    }
    Err(PathError::NotValidAt {
        subject: c.subject(),
        from: c.not_before(),
        to: c.not_after(),
        at,
    })
}
