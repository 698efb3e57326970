//! What a record proves of objects (RFC 4998 4.3 and 5.3), or which time-stamp fails and why.
//!
//! The chain of reasons: the first time-stamp covers the objects; each next one of a chain covers the one before; the first of
//! each next chain covers the objects and all chains before. Each time-stamp must be good at its own time and still good when
//! the next one took over; the last one must be good now. "Good" is its signature, the trust in its signer, and algorithms that are
//! fit. Trust and fitness are asked of a [`Judge`]; signatures and digests are checked here.

use super::super::algorithm::{ContentDigest, DigestAlgorithm, SignatureAlgorithm};
use super::super::certificate::Certificate;
use super::super::der::DerError;
use super::super::tsp::{StampError, Token};
use super::record::{ArchiveTimeStamp, Record};
use super::renewed_digest;
use super::tree::Proof;
use crate::clock::UtcTime;
use std::fmt;

/// Answers what octets alone cannot. The reasons are sentences for the report.
pub trait Judge {
    /// Is the signer of the token a time-stamp authority to be trusted at `at`: path, validity, revocation as known?
    fn trusts(&self, token: &Token, at: UtcTime) -> Result<(), String>;
    /// May digests of this algorithm be relied on at `at`?
    fn digest_fits(&self, algorithm: DigestAlgorithm, at: UtcTime) -> Result<(), String>;
    /// May signatures of this algorithm by this key be relied on at `at`?
    fn signature_fits(
        &self,
        algorithm: SignatureAlgorithm,
        signer: &Certificate,
        at: UtcTime,
    ) -> Result<(), String>;
}

/// An object that is said to be covered: its octets, or its digests when it is not at hand.
#[derive(Debug, Clone, Copy)]
pub enum Object<'a> {
    Octets(&'a [u8]),
    /// One for each algorithm of the record.
    Digests(&'a [ContentDigest]),
}

impl Object<'_> {
    fn digest(&self, algorithm: DigestAlgorithm) -> Option<ContentDigest> {
        match self {
            Self::Octets(octets) => Some(ContentDigest::of(algorithm, octets)),
            Self::Digests(known) => known.iter().find(|d| d.algorithm() == algorithm).copied(),
        }
    }
}

/// What is to be shown of the objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Each of them existed.
    Each,
    /// They are a whole group: nothing else is in it (RFC 4998 4.3, last paragraph).
    WholeGroup,
}

/// The question put to a record.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    pub objects: &'a [Object<'a>],
    pub scope: Scope,
    pub now: UtcTime,
}

/// What was proved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proven {
    /// The objects existed at this time.
    pub since: UtcTime,
    /// The same by each digest algorithm, one for each chain: the first time-stamp that rests on it.
    pub by_algorithm: Vec<(DigestAlgorithm, UtcTime)>,
    /// Every time-stamp, in order.
    pub stamps: Vec<Stamped>,
}

/// A time-stamp of a record that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamped {
    pub chain: usize,
    pub stamp: usize,
    pub gen_time: UtcTime,
    pub signer: Certificate,
    pub digest: DigestAlgorithm,
    pub signature: SignatureAlgorithm,
}

/// Where a record fails, counted from 0, and why. What concerns the whole record is said of its beginning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub chain: usize,
    pub stamp: usize,
    pub why: Why,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.why {
            Why::Record(_) | Why::NoObject | Why::Algorithms => (),
            _ => write!(f, "time-stamp {} of chain {}: ", self.stamp + 1, self.chain + 1)?,
        }
        self.why.fmt(f)
    }
}

impl std::error::Error for Failure {}

/// The reasons.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    #[error("the octets are not an evidence record: {0}")]
    Record(#[from] DerError),
    #[error("no object was asked about")]
    NoObject,
    #[error("object {} is needed, or its {digest:?} digest", object + 1)]
    NeedsDigest { digest: DigestAlgorithm, object: usize },
    #[error("the list of digest algorithms is not the one of the chains")]
    Algorithms,
    #[error("{0}")]
    Token(StampError),
    #[error("the imprint is {imprint:?}, the hash tree {tree:?}")]
    ImprintAlgorithm {
        imprint: DigestAlgorithm,
        tree: DigestAlgorithm,
    },
    #[error("a chain has one digest algorithm; this one began with {0:?}")]
    OtherAlgorithm(DigestAlgorithm),
    #[error("a digest in the hash tree has the wrong length")]
    DigestLength,
    #[error("object {} is not what was time-stamped", .0 + 1)]
    NotCovered(usize),
    #[error("other objects are in the group too")]
    OtherObjects,
    #[error("it does not cover the time-stamp before it")]
    PreviousNotCovered,
    #[error("the hash tree does not lead to what was time-stamped")]
    Root,
    #[error("its time {at} is before that of the time-stamp before it, {before}")]
    Order { at: UtcTime, before: UtcTime },
    #[error("its time {0} is in the future")]
    Future(UtcTime),
    #[error("it is not to be trusted at its time {at}: {why}")]
    Untrusted { at: UtcTime, why: String },
    #[error("its algorithms were no longer fit at its time {at}: {why}")]
    Unfit { at: UtcTime, why: String },
    /// The next time-stamp came too late, or there is none and now it is too late.
    #[error("it was no longer good at {at}, when it was still needed: {why}")]
    NotRenewed { at: UtcTime, why: String },
}

/// Looks at the whole record.
pub fn verify(record_der: &[u8], question: &Question<'_>, judge: &dyn Judge) -> Result<Proven, Failure> {
    let at_start = |why| Failure {
        chain: 0,
        stamp: 0,
        why,
    };
    let record = Record::read(record_der).map_err(|e| at_start(e.into()))?;
    if question.objects.is_empty() {
        return Err(at_start(Why::NoObject));
    }
    let mut walk = Walk {
        question,
        judge,
        record: &record,
        before: None,
        by_algorithm: Vec::new(),
        stamps: Vec::new(),
    };
    for (chain, of_chain) in record.chains.iter().enumerate() {
        for (stamp, archive) in of_chain.stamps.iter().enumerate() {
            let token = walk.step(chain, stamp, archive);
            walk.take_over(Good {
                chain,
                stamp,
                token: token.map_err(|why| Failure { chain, stamp, why })?,
                token_der: archive.token,
            })?;
        }
    }
    walk.end()
}

/// A time-stamp that was found good at its own time.
struct Good<'a> {
    chain: usize,
    stamp: usize,
    token: Token,
    token_der: &'a [u8],
}

impl Good<'_> {
    fn failed(&self, why: Why) -> Failure {
        Failure {
            chain: self.chain,
            stamp: self.stamp,
            why,
        }
    }
}

struct Walk<'a> {
    question: &'a Question<'a>,
    judge: &'a dyn Judge,
    record: &'a Record<'a>,
    /// The time-stamp before the one that is looked at.
    before: Option<Good<'a>>,
    by_algorithm: Vec<(DigestAlgorithm, UtcTime)>,
    stamps: Vec<Stamped>,
}

impl<'a> Walk<'a> {
    /// Everything about one time-stamp but what it means for the one before.
    fn step(&mut self, chain: usize, stamp: usize, archive: &ArchiveTimeStamp<'_>) -> Result<Token, Why> {
        let token = Token::read(archive.token).map_err(Why::Token)?;
        let imprint = token.imprint.algorithm();
        // RFC 4998 4.3, step 4: the imprint is made with the algorithm of the tree.
        let digest = archive.digest_algorithm.unwrap_or(imprint);
        if digest != imprint {
            return Err(Why::ImprintAlgorithm {
                imprint,
                tree: digest,
            });
        }
        if stamp > 0
            && let Some((first, _)) = self.by_algorithm.last()
            && *first != digest
        {
            return Err(Why::OtherAlgorithm(*first));
        }
        let proof = Proof::from_lists(digest, &archive.lists).ok_or(Why::DigestLength)?;
        let reached = self.check_coverage(chain, stamp, &proof)?;
        if reached != token.imprint {
            // Without lists the imprint itself is the digest that should be there.
            return Err(match (proof.is_empty(), stamp) {
                (false, _) => Why::Root,
                (true, 0) => Why::NotCovered(0),
                (true, _) => Why::PreviousNotCovered,
            });
        }
        let at = token.gen_time;
        if let Some(before) = self.stamps.last().map(|s| s.gen_time)
            && at < before
        {
            return Err(Why::Order { at, before });
        }
        if at > self.question.now {
            return Err(Why::Future(at));
        }
        let trusted = self.judge.trusts(&token, at);
        trusted.map_err(|why| Why::Untrusted { at, why })?;
        let fit = (self.judge.digest_fits(digest, at))
            .and_then(|()| self.judge.signature_fits(token.algorithm, &token.signer, at));
        fit.map_err(|why| Why::Unfit { at, why })?;
        self.stamps.push(Stamped {
            chain,
            stamp,
            gen_time: at,
            signer: token.signer.clone(),
            digest,
            signature: token.algorithm,
        });
        if stamp == 0 {
            self.by_algorithm.push((digest, at));
        }
        Ok(token)
    }

    /// Looks for the digests that must be covered in the first list, and gives the root that the lists lead to.
    fn check_coverage(&self, chain: usize, stamp: usize, proof: &Proof) -> Result<ContentDigest, Why> {
        if stamp > 0 {
            // RFC 4998 5.2: the whole element, tag and length included.
            let before = self.before.as_ref().map(|b| b.token_der).unwrap_or_default();
            let wanted = ContentDigest::of(proof.algorithm(), before);
            if !proof.is_empty() && !proof.first_list().any(|d| d == wanted.octets()) {
                return Err(Why::PreviousNotCovered);
            }
            return Ok(proof.root().unwrap_or(wanted));
        }
        let wanted = self.object_digests(chain, proof.algorithm())?;
        if proof.is_empty() {
            // The time-stamp is over the one object itself.
            return match wanted.as_slice() {
                [only] => Ok(*only),
                _ => Err(Why::NotCovered(1)),
            };
        }
        let listed: Vec<&[u8]> = proof.first_list().collect();
        if let Some(missing) = wanted.iter().position(|w| !listed.contains(&w.octets())) {
            return Err(Why::NotCovered(missing));
        }
        let strange = |d: &&[u8]| !wanted.iter().any(|w| w.octets() == *d);
        if self.question.scope == Scope::WholeGroup && listed.iter().any(strange) {
            return Err(Why::OtherObjects);
        }
        proof.root().ok_or(Why::Root)
    }

    /// What the first time-stamp of a chain must cover of each object (RFC 4998 5.3, steps 1 and 3).
    fn object_digests(&self, chain: usize, algorithm: DigestAlgorithm) -> Result<Vec<ContentDigest>, Why> {
        let sequence = (chain > 0).then(|| self.record.sequence_of_first(chain));
        let objects = self.question.objects.iter().enumerate();
        objects
            .map(|(i, object)| {
                let digest = object.digest(algorithm).ok_or(Why::NeedsDigest {
                    digest: algorithm,
                    object: i,
                })?;
                Ok(match &sequence {
                    None => digest,
                    Some(sequence) => renewed_digest(&digest, sequence),
                })
            })
            .collect()
    }

    /// RFC 4998 5.3: the time-stamp before must have been good until this one took over.
    fn take_over(&mut self, next: Good<'a>) -> Result<(), Failure> {
        let at = next.token.gen_time;
        if let Some(before) = &self.before {
            self.check_still_good(before, at)?;
            // 5.3, step 2: a chain's digest algorithm must be fit when the next chain begins.
            if next.stamp == 0 {
                let digest = before.token.imprint.algorithm();
                let fits = self.judge.digest_fits(digest, at);
                fits.map_err(|why| before.failed(Why::NotRenewed { at, why }))?;
            }
        }
        self.before = Some(next);
        Ok(())
    }

    fn check_still_good(&self, good: &Good<'_>, at: UtcTime) -> Result<(), Failure> {
        let token = &good.token;
        let still = (self.judge.trusts(token, at))
            .and_then(|()| self.judge.signature_fits(token.algorithm, &token.signer, at));
        still.map_err(|why| good.failed(Why::NotRenewed { at, why }))
    }

    /// The last time-stamp must be good now, and nothing may be said of algorithms that no chain has.
    fn end(self) -> Result<Proven, Failure> {
        let (Some(last), Some((_, since))) = (&self.before, self.by_algorithm.first()) else {
            return Err(Failure {
                chain: 0,
                stamp: 0,
                why: Why::Record(DerError("archiveTimeStampSequence is empty")),
            });
        };
        let at = self.question.now;
        self.check_still_good(last, at)?;
        let fits = self.judge.digest_fits(last.token.imprint.algorithm(), at);
        fits.map_err(|why| last.failed(Why::NotRenewed { at, why }))?;
        let stated = &self.record.digest_algorithms;
        let used = |a: &DigestAlgorithm| self.by_algorithm.iter().any(|(used, _)| used == a);
        if !stated.iter().all(used) || !self.by_algorithm.iter().all(|(a, _)| stated.contains(a)) {
            return Err(Failure {
                chain: 0,
                stamp: 0,
                why: Why::Algorithms,
            });
        }
        Ok(Proven {
            since: *since,
            by_algorithm: self.by_algorithm,
            stamps: self.stamps,
        })
    }
}
