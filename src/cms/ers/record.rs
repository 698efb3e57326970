//! The DER of an evidence record (RFC 4998 3, 4.1, 5.1; module with implicit tags, appendix A): written, and read strictly.
//!
//! What is read are slices of the octets as they came, for the next time-stamp is over the octets of the one before, and a new
//! chain over those of all chains before. Sizes and counts are bounded before anything is kept.
//!
//! Not read: `cryptoInfos` and the attributes of an archive time-stamp (no time-stamp covers them, so they prove nothing), and
//! `encryptionInfo` (what would be proved is a ciphertext). A record with one of them is refused with its name.

use super::super::algorithm::DigestAlgorithm;
use super::super::der::{self, DerError, Reader, context};
use super::super::signed::small_integer;
use super::GROUP_MAX;
use super::tree::Proof;

/// Largest record read, in octets: a hundred time-stamps of ten kilobytes.
pub const RECORD_MAX_OCTETS: usize = 1024 * 1024;
/// Most chains: a digest algorithm lasts for decades.
pub const CHAINS_MAX: usize = 16;
/// Most time-stamps of one chain: one a year for longer than anybody asks.
pub const STAMPS_MAX: usize = 64;
/// Most lists of one proof: a tree of 2^64 leaves, and a group below.
const LISTS_MAX: usize = 65;

/// A record, as slices of its octets.
#[derive(Debug, Clone)]
pub struct Record<'a> {
    /// Every algorithm that the objects were hashed with.
    pub digest_algorithms: Vec<DigestAlgorithm>,
    pub chains: Vec<Chain<'a>>,
}

/// The time-stamps that follow each other under one digest algorithm.
#[derive(Debug, Clone)]
pub struct Chain<'a> {
    pub raw: &'a [u8],
    pub stamps: Vec<ArchiveTimeStamp<'a>>,
}

/// A time-stamp with the lists of digests that lead to what it is over.
#[derive(Debug, Clone)]
pub struct ArchiveTimeStamp<'a> {
    /// Absent: the one of the time-stamp's imprint (RFC 4998 4.1).
    pub digest_algorithm: Option<DigestAlgorithm>,
    /// Not longer than is sensible and never empty; how long each digest is, the verifier looks at.
    pub lists: Vec<Vec<&'a [u8]>>,
    /// The ContentInfo of the token, as it came.
    pub token: &'a [u8],
}

impl<'a> Record<'a> {
    pub fn read(octets: &'a [u8]) -> Result<Self, DerError> {
        if octets.len() > RECORD_MAX_OCTETS {
            return Err(DerError("an evidence record of more than 1 MiB"));
        }
        let mut fields = der::whole(octets, der::SEQUENCE, "EvidenceRecord")?;
        if small_integer(&mut fields)? != 1 {
            return Err(DerError("EvidenceRecord version"));
        }
        let mut list = fields.enter(der::SEQUENCE, "digestAlgorithms")?;
        let mut digest_algorithms = Vec::new();
        while !list.is_empty() {
            let algorithm = DigestAlgorithm::read(list.enter(der::SEQUENCE, "digestAlgorithms")?)?;
            if digest_algorithms.contains(&algorithm) {
                return Err(DerError("digestAlgorithms: one stands there twice"));
            }
            digest_algorithms.push(algorithm);
        }
        match fields.peek() {
            Some(0xa0) => return Err(DerError("cryptoInfos are not read")),
            Some(0xa1) => return Err(DerError("encryptionInfo is not supported")),
            _ => (),
        }
        let mut sequence = fields.enter(der::SEQUENCE, "archiveTimeStampSequence")?;
        fields.end("EvidenceRecord")?;
        let mut chains = Vec::new();
        while !sequence.is_empty() {
            if chains.len() == CHAINS_MAX {
                return Err(DerError("too many chains of time-stamps"));
            }
            chains.push(Chain::read(&mut sequence)?);
        }
        if chains.is_empty() {
            return Err(DerError("archiveTimeStampSequence is empty"));
        }
        Ok(Self {
            digest_algorithms,
            chains,
        })
    }

    /// The DER of the sequence of the first chains, which a new chain is built over (RFC 4998 5.2, step 3).
    pub fn sequence_of_first(&self, chains: usize) -> Vec<u8> {
        let parts: Vec<&[u8]> = self.chains.iter().take(chains).map(|c| c.raw).collect();
        der::sequence(&parts)
    }
}

impl<'a> Chain<'a> {
    fn read(sequence: &mut Reader<'a>) -> Result<Self, DerError> {
        let whole = sequence.expect(der::SEQUENCE, "ArchiveTimeStampChain")?;
        let mut list = Reader::new(whole.value);
        let mut stamps = Vec::new();
        while !list.is_empty() {
            if stamps.len() == STAMPS_MAX {
                return Err(DerError("too many time-stamps in a chain"));
            }
            stamps.push(ArchiveTimeStamp::read(&mut list)?);
        }
        if stamps.is_empty() {
            return Err(DerError("ArchiveTimeStampChain is empty"));
        }
        let raw = whole.raw;
        Ok(Self { raw, stamps })
    }
}

impl<'a> ArchiveTimeStamp<'a> {
    pub(super) fn read(list: &mut Reader<'a>) -> Result<Self, DerError> {
        let mut fields = list.enter(der::SEQUENCE, "ArchiveTimeStamp")?;
        let digest_algorithm = match fields.optional(context(0))? {
            Some(a) => Some(DigestAlgorithm::read(Reader::new(a.value))?),
            None => None,
        };
        if fields.peek() == Some(context(1)) {
            return Err(DerError("attributes of an archive time-stamp are not read"));
        }
        let lists = match fields.optional(context(2))? {
            Some(tree) => read_lists(tree.value)?,
            None => Vec::new(),
        };
        let token = fields.expect(der::SEQUENCE, "timeStamp")?.raw;
        fields.end("ArchiveTimeStamp")?;
        Ok(Self {
            digest_algorithm,
            lists,
            token,
        })
    }
}

fn read_lists(octets: &[u8]) -> Result<Vec<Vec<&[u8]>>, DerError> {
    let mut tree = Reader::new(octets);
    let mut lists = Vec::new();
    while !tree.is_empty() {
        if lists.len() == LISTS_MAX {
            return Err(DerError("too many lists in a reducedHashtree"));
        }
        let mut list = tree.enter(der::SEQUENCE, "PartialHashtree")?;
        let mut digests = Vec::new();
        while !list.is_empty() {
            if digests.len() == GROUP_MAX {
                return Err(DerError("too many digests in a PartialHashtree"));
            }
            digests.push(list.expect(der::OCTET_STRING, "PartialHashtree")?.value);
        }
        if digests.is_empty() {
            return Err(DerError("PartialHashtree is empty"));
        }
        lists.push(digests);
    }
    if lists.is_empty() {
        return Err(DerError("reducedHashtree is empty"));
    }
    Ok(lists)
}

/// The DER of an ArchiveTimeStamp. The algorithm is always stated; the tree is left out where the time-stamp is over the
/// leaf itself.
pub fn archive_time_stamp(proof: &Proof, token_der: &[u8]) -> Vec<u8> {
    let algorithm = der::tlv(context(0), &[&der::tlv(der::OID, &[proof.algorithm().oid()])]);
    let mut tree = Vec::new();
    for list in proof.lists() {
        let digests: Vec<Vec<u8>> = list.map(|d| der::tlv(der::OCTET_STRING, &[d])).collect();
        tree.extend(der::sequence(&[&digests.concat()]));
    }
    let tree = if proof.is_empty() {
        Vec::new()
    } else {
        der::tlv(context(2), &[&tree])
    };
    der::sequence(&[&algorithm, &tree, token_der])
}

/// The DER of a chain of archive time-stamps, or of a sequence of chains: both are a SEQUENCE OF.
pub fn sequence_of(parts: &[Vec<u8>]) -> Vec<u8> {
    let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    der::sequence(&parts)
}

/// The DER of a record around its sequence of chains.
pub fn record(algorithms: &[DigestAlgorithm], sequence_der: &[u8]) -> Vec<u8> {
    let algorithms: Vec<Vec<u8>> = algorithms.iter().map(|a| a.identifier()).collect();
    der::sequence(&[
        &der::tlv(der::INTEGER, &[&[1]]),
        &sequence_of(&algorithms),
        sequence_der,
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample() -> Vec<u8> {
        let (a, b) = ([1u8; 32], [2u8; 32]);
        let proof = Proof::from_lists(DigestAlgorithm::Sha256, &[vec![&a, &b], vec![&b]]).unwrap();
        let token = der::sequence(&[&[2, 1, 7]]);
        let chain = sequence_of(&[
            archive_time_stamp(&proof, &token),
            archive_time_stamp(&Proof::of_root(DigestAlgorithm::Sha256), &token),
        ]);
        record(&[DigestAlgorithm::Sha256], &sequence_of(&[chain.clone(), chain]))
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let octets = sample();
        let read = Record::read(&octets).unwrap();
        assert_eq!(read.digest_algorithms, [DigestAlgorithm::Sha256]);
        assert_eq!(read.chains.len(), 2);
        let [first, second] = read.chains[0].stamps.as_slice() else {
            panic!("two time-stamps");
        };
        assert_eq!(first.digest_algorithm, Some(DigestAlgorithm::Sha256));
        let (a, b): (&[u8], &[u8]) = (&[1; 32], &[2; 32]);
        assert_eq!(first.lists, [vec![a, b], vec![b]]);
        assert_eq!(first.token, [0x30, 3, 2, 1, 7]);
        assert!(second.lists.is_empty());
        // What a new chain is over is exactly what stands in the record.
        let sequence = read.sequence_of_first(2);
        assert!(octets.ends_with(&sequence));
        assert_eq!(record(&[DigestAlgorithm::Sha256], &sequence), octets);
    }

    #[test]
    fn what_is_not_read_is_refused_by_name() {
        let refused = |octets: &[u8]| Record::read(octets).unwrap_err().0;
        let with = |between: &[u8], sequence: &[u8]| {
            let algorithms = der::sequence(&[&DigestAlgorithm::Sha256.identifier()]);
            der::sequence(&[&[2, 1, 1], &algorithms, between, sequence])
        };
        assert_eq!(refused(&with(&[0xa0, 0], &[])), "cryptoInfos are not read");
        assert_eq!(refused(&with(&[0xa1, 0], &[])), "encryptionInfo is not supported");
        assert_eq!(
            refused(&with(&[], &[0x30, 0])),
            "archiveTimeStampSequence is empty"
        );
        assert_eq!(
            refused(&with(&[], &[0x30, 2, 0x30, 0])),
            "ArchiveTimeStampChain is empty"
        );
        let stamp = |fields: &[u8]| {
            let chain = der::sequence(&[&der::sequence(&[fields])]);
            with(&[], &der::sequence(&[&chain]))
        };
        assert_eq!(
            refused(&stamp(&[0xa1, 0])),
            "attributes of an archive time-stamp are not read"
        );
        assert_eq!(refused(&stamp(&[0xa2, 0, 0x30, 0])), "reducedHashtree is empty");
        assert_eq!(
            refused(&stamp(&[0xa2, 2, 0x30, 0, 0x30, 0])),
            "PartialHashtree is empty"
        );
        assert_eq!(refused(&stamp(&[])), "timeStamp");
        assert!(Record::read(&stamp(&[0x30, 0])).is_ok());
        assert_eq!(refused(&stamp(&[0x30, 0].repeat(2))), "ArchiveTimeStamp");
        let many = der::sequence(&[&der::sequence(&[&[0x30, 0]]).repeat(STAMPS_MAX + 1)]);
        assert_eq!(
            refused(&with(&[], &der::sequence(&[&many]))),
            "too many time-stamps in a chain"
        );
        let digests = [4, 1, 7].repeat(GROUP_MAX + 1);
        let wide = der::tlv(context(2), &[&der::sequence(&[&digests])]);
        assert_eq!(
            refused(&stamp(&[wide.as_slice(), &[0x30, 0]].concat())),
            "too many digests in a PartialHashtree"
        );
        let deep = der::tlv(context(2), &[&[0x30, 3, 4, 1, 7].repeat(LISTS_MAX + 1)]);
        assert_eq!(
            refused(&stamp(&[deep.as_slice(), &[0x30, 0]].concat())),
            "too many lists in a reducedHashtree"
        );
        assert!(Record::read(&vec![0x30; RECORD_MAX_OCTETS + 1]).is_err());
    }

    proptest! {
        #[test]
        fn nothing_that_arrives_makes_us_panic(
            octets in proptest::collection::vec(any::<u8>(), 0..300),
            at in any::<prop::sample::Index>(),
            put in any::<u8>(),
        ) {
            let mut changed = sample();
            let at = at.index(changed.len());
            changed[at] = put;
            let _ = Record::read(&octets);
            if let Ok(read) = Record::read(&changed) {
                // Strict: whatever is accepted can be written again from what was read.
                let again = record(&read.digest_algorithms, &read.sequence_of_first(CHAINS_MAX));
                prop_assert_eq!(again, changed);
            }
        }
    }
}
