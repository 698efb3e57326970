//! Whether segments of the audit record hold: each sealed by the provider, each chained to the one before.
//!
//! Of the files alone; whether the store still holds what they tell is asked by `service::auditing`.

use crate::clock::UtcTime;
use crate::cms::algorithm::{ContentDigest, DigestAlgorithm};
use crate::cms::signed;
use crate::domain::audit_chain::{BEGINNING, Checked, check, from_hex, hex};
use crate::seal::{Basis, Finding, TrustStore, verify_entity};
use std::time::Duration;

/// How far the time-stamp may lie from the moment at which a segment says it was made: it is stamped at once, and a clock is
/// never so wrong that sealing goes on. Who makes a day's segment anew, later, cannot have it stamped on that day.
const STAMP_SLACK: Duration = Duration::from_secs(3600);

/// A segment as it lies: the text and the detached seal over it.
#[derive(Debug, Clone, Copy)]
pub struct Segment<'a> {
    pub name: &'a str,
    pub text: &'a [u8],
    pub seal_der: &'a [u8],
}

/// The last hash of a segment, as somebody wrote it down elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    pub segment: u64,
    pub last: [u8; 32],
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
    /// Begins behind a segment that is known from elsewhere.
    pub fn behind(known: Known, to_commit: u64) -> Self {
        Self {
            last: Some(known.last),
            number: known.segment,
            commit: to_commit,
        }
    }

    /// Judges the next segment.
    pub fn judge(&mut self, segment: &Segment<'_>, trust: &TrustStore) -> JudgedSegment {
        let algorithm = signed::digest_algorithm(segment.seal_der).unwrap_or(DigestAlgorithm::Sha256);
        let report = verify_entity(
            ContentDigest::of(algorithm, segment.text),
            segment.seal_der,
            // Its seals are the provider's own, which looks after its certificates by itself (`daemon::own_seals`).
            Basis::asked_elsewhere(trust),
        );
        let (mut chain, checked) = match self.follow(segment.text) {
            Ok(checked) => (Finding::Ok, Some(checked)),
            Err(why) => (Finding::Failed(why), None),
        };
        if let (Finding::Ok, Some(checked), Some(stamped)) = (&chain, &checked, report.stamp_time)
            && (stamped.until(checked.made_at) > STAMP_SLACK || checked.made_at.until(stamped) > STAMP_SLACK)
        {
            let made_at = checked.made_at;
            chain = Finding::Failed(format!(
                "it says it was made at {made_at} and was stamped at {stamped}"
            ));
        }
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

    /// The next segment cannot be read: nothing can be said of it, and the one behind it is judged by what it says itself.
    pub fn missing(&mut self, name: &str, why: &str) -> JudgedSegment {
        self.last = None;
        self.number += 1;
        let unknown = || Finding::Unknown(why.to_owned());
        JudgedSegment {
            name: name.to_owned(),
            chain: Finding::Failed(why.to_owned()),
            signature: unknown(),
            trust: unknown(),
            timestamp: unknown(),
            stamp_time: None,
            checked: None,
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

impl std::str::FromStr for Known {
    type Err = &'static str;

    /// `NUMBER:HASH`, as the log and `audit verify` write it.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const SAY: &str = "a known segment is written NUMBER:HASH, as `audit verify` and the log tell it";
        let (number, last) = text.trim().split_once(':').ok_or(SAY)?;
        Ok(Self {
            segment: number.parse().map_err(|_| SAY)?,
            last: from_hex(last).ok_or(SAY)?,
        })
    }
}

impl std::fmt::Display for Known {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.segment, hex(&self.last))
    }
}

/// Where a text says that it begins: its number, and up to which commit the one before goes.
pub fn stated_beginning(text: &[u8]) -> Option<(u64, u64)> {
    let line = text.split(|octet| *octet == b'\n').next()?;
    let head: serde_json::Value = serde_json::from_slice(line).ok()?;
    Some((
        head.get("segment")?.as_u64()?,
        head.get("after_commit")?.as_u64()?,
    ))
}

/// Behind which hash a text says that it stands.
pub fn stated_previous(text: &str) -> Option<[u8; 32]> {
    let head: serde_json::Value = serde_json::from_str(text.lines().next()?).ok()?;
    from_hex(head.get("previous")?.as_str()?)
}
