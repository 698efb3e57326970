//! Evidence records (RFC 4998): that something existed at a moment, kept provable while certificates end and algorithms age.
//!
//! One time-stamp covers the root of a hash tree over very many objects ([`tree`]). Before its authority's certificate ends
//! or its signature algorithm ages, another time-stamp is put over it (time-stamp renewal); before the digest algorithm
//! ages, the objects and all that was said of them are hashed anew (hash-tree renewal). What is kept is shared by all
//! objects of a tree ([`batch`]); the record of one object is cut from it when somebody asks ([`record`]) and stands on its own
//! ([`mod@verify`]).
//!
//! Where the text leaves a choice, we follow the records that others make (docs/decisions/0026-evidence-records.md):
//! the digest of a time-stamp is over its whole ContentInfo, tag and length included; in a hash-tree renewal the object's
//! digest comes before the sequence's (5.2, step 4; figure 4 sorts them, no known record does); a first list with one
//! value is that value and not its digest.
//!
//! Not here: asking for time-stamps, deciding when to renew (`domain::algorithm_policy`), and keeping anything on a disk.
//! Encryption of the archived objects (RFC 4998 6) is not supported and refused.

pub mod batch;
pub mod record;
mod shared;
pub mod tree;
pub mod verify;

pub use batch::{Batch, BatchError, Place};
pub use shared::shared_token;
pub use tree::{Proof, Tree, TreeBuilder, TreeError};
pub use verify::{Failure, Judge, Object, Proven, Question, Scope, Why, verify};

use super::algorithm::ContentDigest;

/// Most objects of one group. A mail with its evidences and attachments has dozens.
pub const GROUP_MAX: usize = 1024;

/// What a hash-tree renewal puts into the new tree for an object (RFC 4998 5.2, step 4): H(h + H(sequence)), where h
/// is the object's digest in the new algorithm and the sequence is the DER of all chains so far.
pub fn renewed_digest(object: &ContentDigest, sequence_der: &[u8]) -> ContentDigest {
    let algorithm = object.algorithm();
    let sequence = ContentDigest::of(algorithm, sequence_der);
    ContentDigest::of(algorithm, &[object.octets(), sequence.octets()].concat())
}
