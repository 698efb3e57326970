//! What is kept once for all objects of a hash tree, its renewals, and cutting the record of one object from it.
//!
//! A *batch* is one hash tree and the time-stamps that follow each other over its root: the chain that all its objects share.
//! A night makes one batch. A time-stamp renewal makes a small tree over the last time-stamps of many batches, has its root
//! stamped and adds to each of them the way through that tree ([`Batch::renewed`]); no object is touched. A hash-tree renewal
//! reads the objects again and makes a new batch, in another digest algorithm, over all that are still there
//! ([`sequence`], [`renewed_digest`](super::renewed_digest)); the old batches are closed, for the new one is over their time-stamps as they are.
//!
//! An object's *places* are the batches that cover it and where, oldest first. Its record is a chain from each.
//! Nothing here asks whether a time-stamp authority is trusted: who obtains a time-stamp does.

use super::super::algorithm::{ContentDigest, DigestAlgorithm};
use super::super::der::{self, DerError, Reader};
use super::super::signed::{CmsError, SIGNED_DATA_MAX_OCTETS, definite, small_integer};
use super::super::tsp::{StampError, Token};
use super::record::{self, ArchiveTimeStamp, CHAINS_MAX, RECORD_MAX_OCTETS, STAMPS_MAX};
use super::tree::{Octets, Proof, Tree, TreeError};
use crate::clock::UtcTime;

/// Largest batch read, in octets: it is the shared part of a record, so it is no larger.
pub const BATCH_MAX_OCTETS: usize = RECORD_MAX_OCTETS;
/// The first octets of a batch's DER say which shape it has.
const VERSION: u8 = 1;

/// Why something cannot be put into a batch, or cut from it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    #[error(transparent)]
    Tree(#[from] TreeError),
    #[error("the time-stamp: {0}")]
    Stamp(#[from] StampError),
    #[error("the time-stamp is not over the root of the hash tree")]
    OtherRoot,
    #[error("the hash tree does not cover the last time-stamp of the batch")]
    OtherLeaf,
    #[error("the hash tree is not the one of the batch, or damaged")]
    OtherTree,
    #[error("the new time-stamp is of {at}, before the one it renews")]
    Earlier { at: UtcTime },
    #[error("the batch was closed by a hash-tree renewal")]
    Closed,
    #[error("a batch holds at most {STAMPS_MAX} time-stamps")]
    Full,
    #[error("an object is covered by 1 to {CHAINS_MAX} batches, the earlier ones closed")]
    Places,
    #[error("the octets are no batch: {0}")]
    Damaged(#[from] DerError),
}

/// A hash tree's root and the time-stamps over it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    leaves: u32,
    root: ContentDigest,
    /// The first one is over the root; each next one over the one before.
    stamps: Vec<Link>,
    closed: bool,
}

/// A time-stamp and the way from what it is over to its imprint.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Link {
    proof: Proof,
    token: Vec<u8>,
}

impl Batch {
    /// A tree whose root was time-stamped.
    pub fn new<S: Octets>(tree: &Tree<S>, token: &[u8]) -> Result<Self, BatchError> {
        let root = tree.root()?;
        let (token, read) = take_in(token)?;
        if read.imprint != root {
            return Err(BatchError::OtherRoot);
        }
        let proof = Proof::of_root(tree.algorithm());
        Ok(Self {
            leaves: tree.leaves(),
            root,
            stamps: vec![Link { proof, token }],
            closed: false,
        })
    }

    pub fn algorithm(&self) -> DigestAlgorithm {
        self.root.algorithm()
    }

    pub fn leaves(&self) -> u32 {
        self.leaves
    }

    pub fn root(&self) -> &ContentDigest {
        &self.root
    }

    /// The tokens, oldest first. Whether renewal is due is a question about the last one.
    pub fn tokens(&self) -> impl DoubleEndedIterator<Item = &[u8]> + ExactSizeIterator {
        self.stamps.iter().map(|s| s.token.as_slice())
    }

    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// The same, after a hash-tree renewal was built over its chain: no time-stamp may follow.
    pub fn closed(mut self) -> Self {
        self.closed = true;
        self
    }

    /// What a time-stamp renewal has to cover (RFC 4998 5.2): the digest of the last time-stamp, in the algorithm of the chain.
    pub fn renewal_leaf(&self) -> ContentDigest {
        let last = self.tokens().next_back().unwrap_or_default();
        ContentDigest::of(self.algorithm(), last)
    }

    /// The same with one more time-stamp, over the root of `tree`, which has [`Batch::renewal_leaf`] at `leaf`. A tree of one
    /// leaf renews a single batch.
    pub fn renewed<S: Octets>(&self, tree: &Tree<S>, leaf: u32, token: &[u8]) -> Result<Self, BatchError> {
        if self.closed {
            return Err(BatchError::Closed);
        }
        if self.stamps.len() >= STAMPS_MAX {
            return Err(BatchError::Full);
        }
        let wanted = self.renewal_leaf();
        if tree.leaf(leaf)? != wanted {
            return Err(BatchError::OtherLeaf);
        }
        let (token, read) = take_in(token)?;
        let proof = tree.proof(leaf)?;
        if proof.root().unwrap_or(wanted) != read.imprint {
            return Err(BatchError::OtherRoot);
        }
        let before = match self.tokens().next_back() {
            Some(last) => Token::read(last)?.gen_time,
            None => read.gen_time,
        };
        if read.gen_time < before {
            return Err(BatchError::Earlier { at: read.gen_time });
        }
        let mut renewed = self.clone();
        renewed.stamps.push(Link { proof, token });
        Ok(renewed)
    }

    /// The chain of one object of this batch.
    fn chain<S: Octets>(&self, tree: &Tree<S>, leaf: u32) -> Result<Vec<u8>, BatchError> {
        if tree.algorithm() != self.algorithm() || tree.leaves() != self.leaves {
            return Err(BatchError::OtherTree);
        }
        let proof = tree.proof(leaf)?;
        let root = match proof.root() {
            Some(root) => root,
            None => tree.leaf(leaf)?,
        };
        // What leaves has been looked at: a damaged tree is noticed here and not in twenty years.
        if root != self.root {
            return Err(BatchError::OtherTree);
        }
        let stamp = |(i, link): (usize, &Link)| {
            let proof = if i == 0 { &proof } else { &link.proof };
            record::archive_time_stamp(proof, &link.token)
        };
        let stamps: Vec<Vec<u8>> = self.stamps.iter().enumerate().map(stamp).collect();
        Ok(record::sequence_of(&stamps))
    }

    /// What is kept beside the tree.
    pub fn to_der(&self) -> Vec<u8> {
        let stamps: Vec<Vec<u8>> = self
            .stamps
            .iter()
            .map(|s| record::archive_time_stamp(&s.proof, &s.token))
            .collect();
        let closed = if self.closed { 0xff } else { 0 };
        der::sequence(&[
            &der::tlv(der::INTEGER, &[&[VERSION]]),
            &self.algorithm().identifier(),
            &der::unsigned(&self.leaves.to_be_bytes()),
            &der::tlv(der::OCTET_STRING, &[self.root.octets()]),
            &der::tlv(der::BOOLEAN, &[&[closed]]),
            &record::sequence_of(&stamps),
        ])
    }

    /// Takes back what [`Batch::to_der`] gave.
    pub fn from_der(octets: &[u8]) -> Result<Self, BatchError> {
        if octets.len() > BATCH_MAX_OCTETS {
            return Err(DerError("a batch of more than 1 MiB").into());
        }
        let mut fields = der::whole(octets, der::SEQUENCE, "batch")?;
        if small_integer(&mut fields)? != VERSION {
            return Err(DerError("version of the batch").into());
        }
        let algorithm = DigestAlgorithm::read(fields.enter(der::SEQUENCE, "algorithm")?)?;
        let leaves = number(fields.expect(der::INTEGER, "leaves")?.value)?;
        let root = fields.expect(der::OCTET_STRING, "root")?.value;
        let root = ContentDigest::from_octets(algorithm, root).ok_or(DerError("root"))?;
        let closed = match fields.expect(der::BOOLEAN, "closed")?.value {
            [0] => false,
            [0xff] => true,
            _ => return Err(DerError("closed").into()),
        };
        let mut list = fields.enter(der::SEQUENCE, "time-stamps")?;
        fields.end("batch")?;
        let mut stamps = Vec::new();
        while !list.is_empty() {
            if stamps.len() == STAMPS_MAX {
                return Err(BatchError::Full);
            }
            stamps.push(Link::read(&mut list, algorithm)?);
        }
        if stamps.is_empty() {
            return Err(DerError("a batch without a time-stamp").into());
        }
        Ok(Self {
            leaves,
            root,
            stamps,
            closed,
        })
    }
}

impl Link {
    fn read(list: &mut Reader<'_>, algorithm: DigestAlgorithm) -> Result<Self, DerError> {
        let read = ArchiveTimeStamp::read(list)?;
        if read.digest_algorithm != Some(algorithm) {
            return Err(DerError("algorithm of a time-stamp"));
        }
        Ok(Self {
            proof: Proof::from_lists(algorithm, &read.lists).ok_or(DerError("digest in a hash tree"))?,
            token: read.token.to_vec(),
        })
    }
}

fn number(octets: &[u8]) -> Result<u32, DerError> {
    let digits = octets.strip_prefix(&[0]).unwrap_or(octets);
    if digits.len() > 4 || octets.first().is_none_or(|first| *first >= 0x80) {
        return Err(DerError("leaves"));
    }
    Ok(digits.iter().fold(0, |n, octet| (n << 8) | u32::from(*octet)))
}

/// The token as it will be kept, and read. A record is DER, so indefinite lengths that an authority may send are made
/// definite first; what is signed in it stays octet for octet.
fn take_in(token: &[u8]) -> Result<(Vec<u8>, Token), BatchError> {
    if token.len() > SIGNED_DATA_MAX_OCTETS {
        return Err(StampError::Signed(CmsError::TooLarge).into());
    }
    let token = definite(token).map_err(StampError::Signed)?.into_owned();
    let read = Token::read(&token)?;
    Ok((token, read))
}

/// A batch that covers an object, its tree, and where in it.
#[derive(Debug)]
pub struct Place<'a, S> {
    pub batch: &'a Batch,
    pub tree: &'a Tree<S>,
    pub leaf: u32,
}

/// The chains that cover an object so far, oldest first: the DER that a hash-tree renewal is over.
pub fn sequence<S: Octets>(places: &[Place<'_, S>]) -> Result<Vec<u8>, BatchError> {
    let mut chains = Vec::new();
    for place in places {
        chains.push(place.batch.chain(place.tree, place.leaf)?);
    }
    Ok(record::sequence_of(&chains))
}

/// The evidence record of an object: what its owner takes away.
pub fn record<S: Octets>(places: &[Place<'_, S>]) -> Result<Vec<u8>, BatchError> {
    let earlier_closed = places
        .split_last()
        .is_some_and(|(_, earlier)| earlier.iter().all(|p| p.batch.is_closed()));
    if !earlier_closed || places.len() > CHAINS_MAX {
        return Err(BatchError::Places);
    }
    let mut algorithms: Vec<DigestAlgorithm> = Vec::new();
    for place in places {
        let algorithm = place.batch.algorithm();
        if !algorithms.contains(&algorithm) {
            algorithms.push(algorithm);
        }
    }
    Ok(record::record(&algorithms, &sequence(places)?))
}
