//! From where a judgement looks back: by which algorithm policy, and from which day.
//!
//! Without a day the verifier needs no clock: each evidence record is judged at its own last time-stamp, and until when that
//! holds is told beside it. So its answer is the same on every day. Who asks on a certain day - a court, decades later -
//! wants to know whether the proof holds then. Named is that day, never taken from a clock.

use super::Judged;
use super::preserved::Preserved;
use crate::clock::UtcTime;
use crate::domain::algorithm_policy::{AlgorithmPolicy, PolicyError};
use crate::seal::{Finding, Relied};

#[derive(Debug, Clone)]
pub struct Standpoint {
    pub policy: AlgorithmPolicy,
    /// The moment of the question.
    pub at: Option<UtcTime>,
}

impl Standpoint {
    /// By the policy that comes with this version.
    pub fn of_this_version(at: Option<UtcTime>) -> Result<Self, PolicyError> {
        AlgorithmPolicy::of_this_version().map(|policy| Self { policy, at })
    }

    /// What was sealed or stamped when its algorithm had ended already proves nothing, whatever lies around it now
    /// (EN 319 102-1 5.2.8, CRYPTO_CONSTRAINTS_FAILURE).
    pub(super) fn hold_to_dates(&self, judged: &mut Judged) {
        let late = |relied: &Relied| self.key_until(relied).filter(|end| *end < relied.at);
        let say = |end| {
            Finding::Unknown(format!(
                "its algorithm was fit until {end} only, and it was made later"
            ))
        };
        let findings = &mut judged.findings;
        if findings.trust.is_ok()
            && let Some(end) = judged.relied.as_ref().and_then(late)
        {
            findings.trust = say(end);
        }
        if findings.timestamp.is_ok()
            && let Some(end) = judged.stamps.iter().find_map(late)
        {
            findings.timestamp = say(end);
        }
    }

    /// What no record carries to the day of the question holds no longer than its time-stamps do by themselves: their
    /// certificates end and their algorithms age (EN 319 102-1 5.6.2.2: nothing proves then that they are older).
    pub(super) fn age(&self, judged: &mut Judged) {
        let is_carried = matches!(judged.preserved, Preserved::Since { .. });
        let Some(at) = self
            .at
            .filter(|_| !is_carried && judged.findings.timestamp.is_ok())
        else {
            return;
        };
        let ends = judged.stamps.iter().map(|stamp| self.end_of(stamp)).min();
        if let Some(end) = ends.filter(|end| *end < at) {
            judged.findings.timestamp = Finding::Unknown(format!(
                "the time-stamp by itself was good until {end}, and no evidence record carries it on"
            ));
        }
    }

    /// Until when a time-stamp holds by itself. A family of keys that the policy does not know is good for nothing, so it
    /// has ended with the stamp.
    fn end_of(&self, stamp: &Relied) -> UtcTime {
        let fit = self.key_until(stamp).unwrap_or(stamp.at);
        fit.min(stamp.leaf.not_after())
    }

    fn key_until(&self, relied: &Relied) -> Option<UtcTime> {
        let bits = relied.leaf.key_bits();
        let Some(algorithm) = relied.algorithm else {
            return self.policy.signature_until(relied.leaf.key_family(), bits).ok();
        };
        let digest = self
            .policy
            .digest_until(algorithm.digest_algorithm().name())
            .ok()?;
        let family = self.policy.signature_until(algorithm.family(), bits).ok()?;
        Some(family.min(digest))
    }
}
