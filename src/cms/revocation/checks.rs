//! Whether the signatures of revocation values hold: asked once for a value and a signer, and not without end.
//!
//! One judgement asks the same many times over: for each certificate of a path, for each path, now and "was it ever". The
//! answer never changes, so it is remembered, a "no" as well; and what anybody may append to a document must not keep a
//! processor busy, so a document is worth so many checks and no more.

use super::values::Origin;
use crate::cms::certificate::Certificate;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Most checks that one document is worth, for what it brings and as many for what its judge knows: seven certificates each
/// of a signer and of some time-stamps, with a dozen values each. They take some 30 ms.
pub const CHECKS_MAX: usize = 256;
/// Most outcomes remembered, of 65 octets each: those of a year's bundle.
const REMEMBERED_MAX: usize = 16_384;

/// SHA-256 of what is signed, and of the certificate that is to have signed it.
type Pair = ([u8; 32], [u8; 32]);

/// The document is worth no further check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cms) struct Over;

/// A memory, and what is left of one document's checks. A clone shares both.
#[derive(Debug, Clone)]
pub struct Checks {
    memory: Arc<Mutex<HashMap<Pair, bool>>>,
    left: Arc<Left>,
}

#[derive(Debug)]
struct Left {
    caller: AtomicUsize,
    document: AtomicUsize,
    /// What this document was charged for. It pays for what others made us remember as well: what is said of a document
    /// must not depend on which were judged before it.
    charged: Mutex<HashSet<Pair>>,
}

impl Left {
    fn of(&self, origin: Origin) -> &AtomicUsize {
        match origin {
            Origin::Caller => &self.caller,
            Origin::Document => &self.document,
        }
    }

    fn charge(&self, pair: Pair, origin: Origin) -> Result<(), Over> {
        let mut charged = self.charged.lock().unwrap_or_else(PoisonError::into_inner);
        if charged.contains(&pair) {
            return Ok(());
        }
        let less = |left: usize| left.checked_sub(1);
        let paid = self
            .of(origin)
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        paid.map_err(|_| Over)?;
        charged.insert(pair);
        Ok(())
    }
}

impl Default for Checks {
    fn default() -> Self {
        Self {
            memory: Arc::default(),
            left: Arc::new(Left {
                caller: AtomicUsize::new(CHECKS_MAX),
                document: AtomicUsize::new(CHECKS_MAX),
                charged: Mutex::default(),
            }),
        }
    }
}

impl Checks {
    /// What is left of this, with the memory of another that lives longer.
    pub fn remembered_in(&self, other: &Self) -> Self {
        Self {
            memory: other.memory.clone(),
            left: self.left.clone(),
        }
    }

    /// Whether `signer` signed what has this SHA-256.
    pub(in crate::cms) fn holds(
        &self,
        signed: [u8; 32],
        signer: &Certificate,
        origin: Origin,
        check: impl FnOnce() -> bool,
    ) -> Result<bool, Over> {
        let memory = || self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let pair = (signed, signer.fingerprint());
        self.left.charge(pair, origin)?;
        if let Some(known) = memory().get(&pair) {
            return Ok(*known);
        }
        let holds = check();
        let mut memory = memory();
        if memory.len() >= REMEMBERED_MAX {
            memory.clear();
        }
        memory.insert(pair, holds);
        Ok(holds)
    }

    /// How many were charged for what `origin` brought.
    #[cfg(test)]
    pub(in crate::cms) fn made(&self, origin: Origin) -> usize {
        CHECKS_MAX - self.left.of(origin).load(Ordering::Relaxed)
    }
}
