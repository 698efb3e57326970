//! A record with one time-stamp: a token that many share, and the way from one object to what the token is over.
//!
//! Nothing is said of the token but that it covers the object: whoever asks judges it as if it were the object's alone.

use super::super::algorithm::ContentDigest;
use super::super::der::DerError;
use super::record::Record;
use super::tree::Proof;
use super::verify::Why;

/// The token of `record_der`, and the digest its imprint must be, when the record covers `object` and has no other time-stamp.
pub fn shared_token<'a>(record_der: &'a [u8], object: &[u8]) -> Result<(&'a [u8], ContentDigest), Why> {
    let record = Record::read(record_der)?;
    let [chain] = record.chains.as_slice() else {
        return Err(DerError("a record with more than one time-stamp").into());
    };
    let [stamp] = chain.stamps.as_slice() else {
        return Err(DerError("a record with more than one time-stamp").into());
    };
    let [algorithm] = record.digest_algorithms.as_slice() else {
        return Err(Why::Algorithms);
    };
    if stamp.digest_algorithm.is_some_and(|a| a != *algorithm) {
        return Err(Why::Algorithms);
    }
    let proof = Proof::from_lists(*algorithm, &stamp.lists).ok_or(Why::DigestLength)?;
    let digest = ContentDigest::of(*algorithm, object);
    // RFC 4998 4.3, step 1: without lists the time-stamp is over the object itself.
    if !proof.is_empty() && !proof.first_list().any(|d| d == digest.octets()) {
        return Err(Why::NotCovered(0));
    }
    Ok((stamp.token, proof.root().unwrap_or(digest)))
}
