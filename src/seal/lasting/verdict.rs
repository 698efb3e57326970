//! Whether a document brought the last word on its certificates with it: the verdict alone, without what it rests on.

use super::{Certified, Verdict};
use crate::cms::revocation::Checks;
use crate::seal::trust::TrustStore;
use std::time::Duration;

impl Certified {
    /// By what it brought along, and nothing else.
    pub fn brings_the_last_word(&self, trust: &TrustStore, grace: Duration) -> bool {
        let checks = Checks::default();
        let stamps = self.stamps.iter().map(|t| self.of_stamp(t, &checks));
        let mut questions = std::iter::once(self.of_signer(grace, &checks)).chain(stamps);
        questions.all(|q| matches!(q.verdict(trust, &self.values), Ok(Verdict::Ended(..))))
    }
}
