//! Whether segments of the audit record hold: each sealed by the provider, each chained to the one before.
//!
//! Of the files alone; whether the store still holds what they tell is asked by `service::auditing`.

use super::bundle::from_hex;
use crate::clock::UtcTime;
use crate::cms::algorithm::{ContentDigest, DigestAlgorithm};
use crate::cms::signed;
use crate::domain::audit_chain::{BEGINNING, Checked, check};
use crate::seal::{Basis, Finding, TrustStore, verify_entity};

/// A segment as it lies: the text and the detached seal over it.
#[derive(Debug, Clone, Copy)]
pub struct Segment<'a> {
    pub name: &'a str,
    pub text: &'a [u8],
    pub seal_der: &'a [u8],
}

/// What was found on one.
#[derive(Debug, Clone)]
pub struct JudgedSegment {
    pub name: String,
    pub chain: Finding,
    pub signature: Finding,
    pub trust: Finding,
    pub timestamp: Finding,
    pub stamp_time: Option<UtcTime>,
    pub checked: Option<Checked>,
}

impl JudgedSegment {
    pub fn is_ok(&self) -> bool {
        [&self.chain, &self.signature, &self.trust, &self.timestamp]
            .into_iter()
            .all(|f| f.is_ok())
    }
}

/// Judges segments in order. A chain that broke is taken up again behind the break, so that the break is told once.
#[derive(Debug)]
pub struct Walk {
    last: Option<[u8; 32]>,
    number: u64,
    commit: u64,
}

impl Default for Walk {
    fn default() -> Self {
        Self {
            last: Some(BEGINNING),
            number: 0,
            commit: 0,
        }
    }
}

impl Walk {
    /// Judges the next segment.
    pub fn judge(&mut self, segment: &Segment<'_>, trust: &TrustStore) -> JudgedSegment {
        let algorithm = signed::digest_algorithm(segment.seal_der).unwrap_or(DigestAlgorithm::Sha256);
        let report = verify_entity(
            ContentDigest::of(algorithm, segment.text),
            segment.seal_der,
            // Its seals are the provider's own, which looks after its certificates by itself (`daemon::own_seals`).
            Basis::asked_elsewhere(trust),
        );
        let (chain, checked) = match self.follow(segment.text) {
            Ok(checked) => (Finding::Ok, Some(checked)),
            Err(why) => (Finding::Failed(why), None),
        };
        JudgedSegment {
            name: segment.name.to_owned(),
            chain,
            signature: report.signature,
            trust: report.trust,
            timestamp: report.timestamp,
            stamp_time: report.stamp_time,
            checked,
        }
    }

    fn follow(&mut self, text: &[u8]) -> Result<Checked, String> {
        let text = std::str::from_utf8(text).map_err(|_| "it is not UTF-8")?;
        let previous = self.last.or_else(|| stated_previous(text)).unwrap_or(BEGINNING);
        let outcome = check(text, previous);
        // Behind a break nothing is known of the hash before: the next segment is judged by what it says itself.
        let Ok(checked) = outcome else {
            self.last = None;
            self.number += 1;
            return outcome;
        };
        let expected = (self.number + 1, self.commit);
        let broken_before = self.last.is_none();
        self.last = Some(checked.last);
        self.number = checked.number;
        self.commit = checked.to_commit;
        if (checked.number, checked.after_commit) != expected && !broken_before {
            return Err(format!(
                "segment {} stands where segment {} belongs",
                checked.number, expected.0
            ));
        }
        Ok(checked)
    }
}

fn stated_previous(text: &str) -> Option<[u8; 32]> {
    let head: serde_json::Value = serde_json::from_str(text.lines().next()?).ok()?;
    from_hex(head.get("previous")?.as_str()?)
}
