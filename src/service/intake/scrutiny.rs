//! Whether the certificates that a peer's message relies on were revoked: asked of their authorities after the seals hold
//! and before anything is kept.
//!
//! Who was revoked when he sealed is refused. Where a place to ask is named and nobody answers in time, a setting says
//! whether the message is taken or the peer comes again. A seal without a time-stamp is judged at its arrival, which proves
//! that it existed then; so is one whose time-stamp is not relied on. Nothing is asked of authorities that the seals do not hold for, and nothing inside a transaction.

use crate::clock::{Clock, UtcTime};
use crate::cms::{PathError, Purpose};
use crate::domain::evidence::Reason;
use crate::domain::provider::Peer;
use crate::seal::reliance::{Distrust, Proof, Reliance, Relied};
use crate::seal::{Asker, TrustStore};
use crate::service::failure::Failure;
use crate::service::genuine::{Envelope, Examination, NotGenuine};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The longest a peer waits for authorities after its last octet; a client waits ten minutes there (RFC 5321 4.5.3.2.6).
const WAIT_MAX: Duration = Duration::from_secs(15);
/// How often it is logged that an authority does not answer, while messages are taken all the same.
const SAID_AGAIN_AFTER: Duration = Duration::from_secs(3600);
/// Most authorities of which it is remembered when that was said.
const SAID_MAX: usize = 1024;

/// What a message is worth whose revocation nobody tells of, though a certificate names a place to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenUnknown {
    Accept,
    /// The peer comes again.
    Later,
}

/// What the time-stamps of a message are worth, the worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Witness {
    Reliable,
    /// Nobody tells of one of their authorities.
    Silent,
    /// An authority lost its key since: the stamp proves no moment.
    Doubted,
}

/// A genuine message is refused when a certificate it relies on was revoked. It is the peer's pinned seal all the same, so
/// evidence of the refusal is left. The reason is not "user certificate revoked" (4), for no user's was.
pub(super) async fn passed(
    scrutiny: Option<&Scrutiny>,
    peer: &Peer,
    found: Examination,
) -> Result<Result<Examination, NotGenuine>, Failure> {
    let Some(scrutiny) = scrutiny else {
        return Ok(Ok(found));
    };
    let Some(why) = scrutiny.check(peer, &found.trust, &found.relied).await? else {
        return Ok(Ok(found));
    };
    let told = match found.envelope {
        Envelope::Dispatch { facts, .. } => Some(facts),
        Envelope::Evidence(documents) => documents.into_iter().next().map(|d| Box::new(d.facts)),
    };
    Ok(Err(NotGenuine {
        reason: Reason::PolicyViolation,
        text: format!("the seal is not valid: {why}"),
        told,
    }))
}

pub struct Scrutiny {
    asker: Arc<Asker>,
    clock: Arc<dyn Clock>,
    when_unknown: WhenUnknown,
    unknown: AtomicU64,
    revoked: AtomicU64,
    /// By authority, when it was logged that it does not answer.
    said: Mutex<HashMap<String, UtcTime>>,
}

impl Scrutiny {
    pub fn new(asker: Arc<Asker>, clock: Arc<dyn Clock>, when_unknown: WhenUnknown) -> Self {
        Self {
            asker,
            clock,
            when_unknown,
            unknown: AtomicU64::new(0),
            revoked: AtomicU64::new(0),
            said: Mutex::default(),
        }
    }

    /// Messages since the start of which nobody told in time.
    pub fn unknown(&self) -> u64 {
        self.unknown.load(Ordering::Relaxed)
    }

    /// Messages since the start that were refused for a revocation.
    pub fn revoked(&self) -> u64 {
        self.revoked.load(Ordering::Relaxed)
    }

    /// Why the message is not taken; it is a failure where the peer should come again.
    async fn check(
        &self,
        peer: &Peer,
        trust: &TrustStore,
        relied: &[Relied],
    ) -> Result<Option<String>, Failure> {
        let now = self.clock.now();
        let deadline = now.plus(WAIT_MAX);
        let (stamps, signers): (Vec<&Relied>, Vec<&Relied>) =
            relied.iter().partition(|r| r.purpose == Purpose::TimeStamping);
        let mut doubt = None;
        let mut witness = Witness::Reliable;
        for stamp in stamps {
            let asked = self.ask(trust, stamp.clone(), deadline).await;
            match asked.distrust() {
                None => {}
                Some(why @ Distrust::Revoked(_)) => return Ok(Some(self.refuse(&why))),
                Some(why @ Distrust::Unknown(_)) => {
                    witness = witness.max(Witness::Silent);
                    doubt = doubt.or(Some((asked.leaf.issuer(), why)));
                }
                // Somebody answered: it may be younger than it says.
                Some(Distrust::StampUnproven(_) | Distrust::SignatureUnproven(_)) => {
                    witness = Witness::Doubted;
                }
            }
        }
        for signer in signers {
            let asked = match self.at_its_moment(trust, signer, witness, now) {
                Ok(signer) => self.ask(trust, signer, deadline).await,
                Err(why) => return Ok(Some(self.refuse(&why))),
            };
            match asked.distrust() {
                None => {}
                Some(why @ Distrust::Unknown(_)) => doubt = doubt.or(Some((asked.leaf.issuer(), why))),
                // Revoked since the time that a stamp says of which nobody tells: that decides, and may be told later.
                Some(Distrust::Revoked(revoked))
                    if witness == Witness::Silent
                        && signer.proof == Proof::Stamped
                        && revoked.since > signer.at =>
                {
                    return Err(self.later(peer, doubt.as_ref().map(|(_, why)| why)));
                }
                Some(why) => return Ok(Some(self.refuse(&why))),
            }
        }
        match doubt {
            None => Ok(None),
            Some((authority, why)) => self.in_doubt(peer, authority, &why).map(|()| None),
        }
    }

    /// The signer, to be judged at the moment that is proved: by its time-stamp while that is relied on, else by its arrival.
    fn at_its_moment(
        &self,
        trust: &TrustStore,
        signer: &Relied,
        witness: Witness,
        now: UtcTime,
    ) -> Result<Relied, PathError> {
        let mut signer = signer.clone();
        if signer.proof == Proof::Stamped && witness == Witness::Doubted {
            // Nothing proves that the seal was made before its certificate ended, either.
            trust.check(&signer.leaf, &signer.along, now, signer.purpose)?;
        }
        if signer.proof == Proof::OwnWord || witness != Witness::Reliable {
            (signer.at, signer.proof) = (now, Proof::Stamped);
        }
        Ok(signer)
    }

    /// The same certificate with what its authority says.
    async fn ask(&self, trust: &TrustStore, mut relied: Relied, deadline: UtcTime) -> Relied {
        let wait = self.clock.now().until(deadline);
        relied.reliance = self.asker.reliance(trust, &relied, wait).await;
        if matches!(relied.reliance, Reliance::NotAsked) {
            relied.reliance = Reliance::NobodyToAsk;
        }
        relied
    }

    fn refuse(&self, why: &impl std::fmt::Display) -> String {
        self.revoked.fetch_add(1, Ordering::Relaxed);
        why.to_string()
    }

    fn in_doubt(&self, peer: &Peer, authority: String, why: &Distrust) -> Result<(), Failure> {
        self.unknown.fetch_add(1, Ordering::Relaxed);
        let taken = self.when_unknown == WhenUnknown::Accept;
        if self.is_to_be_said(&authority) {
            tracing::warn!(peer = %peer.domain, %authority, %why, taken, "nobody tells of a revocation");
        }
        if taken {
            return Ok(());
        }
        Err(self.later(peer, Some(why)))
    }

    fn later(&self, peer: &Peer, why: Option<&Distrust>) -> Failure {
        let why = why.map(|why| format!(": {why}")).unwrap_or_default();
        Failure::Unavailable(format!(
            "whether the seals of {} were revoked is not known{why}",
            peer.domain
        ))
    }

    /// Once for an authority, and again after a while.
    fn is_to_be_said(&self, authority: &str) -> bool {
        let now = self.clock.now();
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said
            .get(authority)
            .is_some_and(|at| now < at.plus(SAID_AGAIN_AFTER))
        {
            return false;
        }
        if said.len() >= SAID_MAX {
            said.clear();
        }
        said.insert(authority.to_owned(), now);
        true
    }
}
