//! Whether the evidence record (RFC 4998) that lies beside a document covers it, and since when.
//!
//! Trust is asked of the anchors and of what is known of revocation, fitness of algorithms of a policy: that of this version, if none is named. The record is judged at
//! the time of its own last time-stamp, so that the answer is the same on every day; until when that time-stamp itself
//! holds is told beside it. Where a day is named, the last time-stamp must hold on it.

use super::standpoint::Standpoint;
use crate::clock::UtcTime;
use crate::cms::algorithm::{DigestAlgorithm, SignatureAlgorithm};
use crate::cms::ers::record::Record;
use crate::cms::ers::{Judge, Object, Question, Scope, verify};
use crate::cms::revocation::Checks;
use crate::cms::tsp::Token;
use crate::cms::{Certificate, Purpose, RevocationShelf};
use crate::domain::algorithm_policy::AlgorithmPolicy;
use crate::seal::Basis;
use crate::seal::reliance::{Distrust, Proof, Use};
use std::cell::Cell;

/// What a record proves of the document beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Preserved {
    /// There is none.
    NotGiven,
    /// The document existed at `since`; the last time-stamp is of `renewed`, and its certificate ends at `until`.
    Since {
        since: UtcTime,
        renewed: UtcTime,
        until: UtcTime,
    },
    Failed(String),
}

/// What a record proves, and whether nothing is in doubt about the authorities of its own time-stamps.
pub(super) struct Weighed {
    pub preserved: Preserved,
    pub is_sure: bool,
}

/// Judges a record for the document whose octets these are, by the policy of this version.
pub fn judge_record<'a>(record: &[u8], document: &[u8], basis: impl Into<Basis<'a>>) -> Preserved {
    match Standpoint::of_this_version(None) {
        Ok(standpoint) => weigh_record(record, document, basis.into(), &standpoint).preserved,
        Err(why) => Preserved::Failed(why.to_string()),
    }
}

pub(super) fn weigh_record(
    record: &[u8],
    document: &[u8],
    basis: Basis<'_>,
    standpoint: &Standpoint,
) -> Weighed {
    let mut is_sure = false;
    let proven = proven(record, document, (basis, standpoint), &mut is_sure);
    Weighed {
        preserved: proven.unwrap_or_else(Preserved::Failed),
        is_sure,
    }
}

fn proven(
    record: &[u8],
    document: &[u8],
    (basis, standpoint): (Basis<'_>, &Standpoint),
    is_sure: &mut bool,
) -> Result<Preserved, String> {
    let read = Record::read(record).map_err(|e| e.to_string())?;
    let last = read.chains.iter().flat_map(|c| &c.stamps).next_back();
    let last = last.ok_or("the evidence record has no time-stamp")?;
    let last = Token::read(last.token).map_err(|e| e.to_string())?;
    let question = Question {
        objects: &[Object::Octets(document)],
        scope: Scope::Each,
        now: standpoint.at.unwrap_or(last.gen_time),
    };
    let court = Court {
        basis,
        policy: &standpoint.policy,
        last: last.gen_time,
        is_sure: Cell::new(true),
        checks: Checks::default(),
    };
    let found = verify(record, &question, &court).map_err(|e| e.to_string())?;
    *is_sure = court.is_sure.get();
    Ok(Preserved::Since {
        since: found.since,
        renewed: last.gen_time,
        until: last.signer.not_after(),
    })
}

struct Court<'a> {
    basis: Basis<'a>,
    policy: &'a AlgorithmPolicy,
    /// The time of the last time-stamp, which no other one covers.
    last: UtcTime,
    is_sure: Cell<bool>,
    /// One record is one document, whatever the number of its time-stamps.
    checks: Checks,
}

impl Judge for Court<'_> {
    /// A time-stamp that another covers is older than that: a later loss of its key does no harm. That nothing is known of
    /// a revocation does not undo a record, which only adds to what the document proves by itself; but it heals nothing.
    fn trusts(&self, token: &Token, at: UtcTime) -> Result<(), String> {
        let used = Use {
            leaf: &token.signer,
            along: &token.certificates,
            at,
            purpose: Purpose::TimeStamping,
            proof: Proof::OwnWord,
        };
        let embedded = RevocationShelf::of(&token.values).checked_by(&self.checks);
        let relied = self.basis.rely(used, &embedded).map_err(|e| e.to_string())?;
        match relied.distrust() {
            Some(Distrust::Unknown(_)) => {
                self.is_sure.set(false);
                Ok(())
            }
            Some(why @ Distrust::Revoked(_)) => Err(why.to_string()),
            Some(why) if token.gen_time >= self.last => Err(why.to_string()),
            Some(_) | None => Ok(()),
        }
    }

    fn digest_fits(&self, algorithm: DigestAlgorithm, at: UtcTime) -> Result<(), String> {
        self.policy
            .digest_fits(algorithm.name(), at)
            .map_err(|e| e.to_string())
    }

    fn signature_fits(
        &self,
        algorithm: SignatureAlgorithm,
        signer: &Certificate,
        at: UtcTime,
    ) -> Result<(), String> {
        let digest = algorithm.digest_algorithm().name();
        let fits = self
            .policy
            .signature_fits(algorithm.family(), signer.key_bits(), digest, at);
        fits.map_err(|e| e.to_string())
    }
}

#[cfg(test)]
#[path = "preserved_tests.rs"]
mod tests;
