//! A renewal that is missing or late, and a single bit that is changed: exact failures.

use super::archive::{Archive, Court};
use super::authority::{Kind, Root, Signer, at};
use super::twenty_years::{authority, current};
use kepd::clock::{Clock as _, UtcTime};
use kepd::cms::ContentDigest;
use kepd::cms::algorithm::DigestAlgorithm;
use kepd::cms::ers::record::{Record, archive_time_stamp, record, sequence_of};
use kepd::cms::ers::verify::Why;
use kepd::cms::ers::{Batch, BatchError, Failure, Object, Proof, Question, Scope, TreeBuilder, verify};

/// An archive with one night of three documents in January 2027.
struct Small {
    archive: Archive,
    court: Court,
    authority: Vec<Signer>,
}

impl Small {
    fn new() -> Self {
        let (root, provider) = (Root::new("Stamp Root"), Root::new("Provider Root"));
        let seal = provider.provider("Seal", Kind::P256, at("2027-01-01"), at("2028-01-01"));
        let authority = authority(&root);
        let mut archive = Archive::new(at("2027-01-15"));
        let texts = ["bir", "iki", "üç"].map(str::to_owned);
        archive.night(&texts, &seal, &authority[0]);
        Self {
            archive,
            court: Court::new(&root),
            authority,
        }
    }

    fn stamp(&mut self, day: &str) {
        self.archive.turn(day);
        let authority = current(&self.authority, self.archive.clock.now());
        self.archive.renew_timestamp(&[0], authority);
    }

    fn rehash(&mut self, day: &str) {
        self.archive.turn(day);
        let authority = current(&self.authority, self.archive.clock.now());
        self.archive.renew_hashtree(&[0], authority);
    }

    fn verify(&self, record: &[u8], now: UtcTime) -> Result<UtcTime, Failure> {
        let objects = self.archive.documents[1].objects();
        self.court.verify(record, &objects, now).map(|p| p.since)
    }

    fn verdict(&self, day: &str) -> Result<UtcTime, String> {
        self.verify(&self.archive.record(1), at(day))
            .map_err(|f| f.to_string())
    }

    /// Renewed when it should be; good until March 2040.
    fn renewed() -> Self {
        let mut small = Self::new();
        small.stamp("2030-11-15");
        small.stamp("2034-11-15");
        small.rehash("2036-01-15");
        small
    }
}

#[test]
fn what_is_renewed_in_time_is_proved() {
    let small = Small::renewed();
    assert_eq!(small.verdict("2040-01-01"), Ok(at("2027-01-15")));
    let renewed = small.archive.record(1);
    let read = Record::read(&renewed).unwrap();
    assert_eq!(
        read.digest_algorithms,
        [DigestAlgorithm::Sha256, DigestAlgorithm::Sha512]
    );
    assert_eq!(
        read.chains.iter().map(|c| c.stamps.len()).collect::<Vec<_>>(),
        [3, 1]
    );
}

#[test]
fn a_renewal_left_out_is_named() {
    // The certificate has ended and nothing came.
    let mut small = Small::new();
    let until = "valid from 2026-12-01T12:00:00Z to 2030-12-31T12:00:00Z";
    assert_eq!(
        small.verdict("2031-02-01").unwrap_err(),
        format!(
            "time-stamp 1 of chain 1: it was no longer good at 2031-02-01T12:00:00Z, when it was still needed: \
             'CN=TSA 0' is {until}, not at 2031-02-01T12:00:00Z"
        )
    );
    // It came a month too late: that does not mend it.
    small.stamp("2031-01-31");
    assert_eq!(
        small.verdict("2031-02-01").unwrap_err(),
        format!(
            "time-stamp 1 of chain 1: it was no longer good at 2031-01-31T12:00:00Z, when it was still needed: \
             'CN=TSA 0' is {until}, not at 2031-01-31T12:00:00Z"
        )
    );
    // RSA has ended before its certificate did.
    let mut small = Small::new();
    small.stamp("2030-11-15");
    small.stamp("2035-01-15");
    assert_eq!(
        small.verdict("2035-02-01").unwrap_err(),
        "time-stamp 2 of chain 1: it was no longer good at 2035-01-15T12:00:00Z, when it was still needed: \
         RSA with 3072 bits is fit until 2034-12-31T23:59:59Z only"
    );
    // The digests of the objects have aged, whatever was put over them.
    let mut small = Small::new();
    small.stamp("2030-11-15");
    small.stamp("2034-11-15");
    small.stamp("2036-12-15");
    small.rehash("2037-01-15");
    assert_eq!(
        small.verdict("2037-02-01").unwrap_err(),
        "time-stamp 4 of chain 1: it was no longer good at 2037-01-15T12:00:00Z, when it was still needed: \
         SHA-256 is fit until 2036-12-31T23:59:59Z only"
    );
}

#[test]
fn a_time_stamp_cut_out_of_a_chain_is_missed() {
    let small = Small::renewed();
    let whole = small.archive.record(1);
    let read = Record::read(&whole).unwrap();
    let first = &read.chains[0];
    // Without the second, without the third: the next one in line covers something else.
    for (cut, failed) in [(1, (0, 1)), (2, (1, 0))] {
        let kept = first.stamps.iter().enumerate().filter(|(i, _)| *i != cut);
        let stamps: Vec<Vec<u8>> = kept
            .map(|(_, s)| {
                let proof = Proof::from_lists(DigestAlgorithm::Sha256, &s.lists).unwrap();
                archive_time_stamp(&proof, s.token)
            })
            .collect();
        let chains = [sequence_of(&stamps), read.chains[1].raw.to_vec()];
        let octets = record(&read.digest_algorithms, &sequence_of(&chains));
        let failure = small.verify(&octets, at("2040-01-01")).unwrap_err();
        assert_eq!((failure.chain, failure.stamp), failed);
        let wanted = if cut == 1 {
            Why::PreviousNotCovered
        } else {
            Why::NotCovered(0)
        };
        assert_eq!(failure.why, wanted);
    }
    // The last chain alone proves nothing of the objects.
    let octets = record(
        &[DigestAlgorithm::Sha512],
        &sequence_of(&[read.chains[1].raw.to_vec()]),
    );
    let failure = small.verify(&octets, at("2040-01-01")).unwrap_err();
    assert_eq!(
        (failure.chain, failure.stamp, failure.why),
        (0, 0, Why::NotCovered(0))
    );
}

#[test]
fn every_octet_of_a_record_counts() {
    let mut small = Small::new();
    small.stamp("2030-11-15");
    small.rehash("2034-11-15");
    let whole = small.archive.record(1);
    let now = at("2036-01-01");
    assert!(small.verify(&whole, now).is_ok());
    for i in 0..whole.len() {
        let mut octets = whole.clone();
        octets[i] ^= 1 << (i % 8);
        assert!(small.verify(&octets, now).is_err(), "bit {} of octet {i}", i % 8);
    }
    for cut in [0, 1, whole.len() / 2, whole.len() - 1] {
        assert!(small.verify(&whole[..cut], now).is_err());
    }
    assert!(small.verify(&[whole.as_slice(), &[0]].concat(), now).is_err());
}

#[test]
fn every_bit_of_an_object_counts() {
    let small = Small::renewed();
    let whole = small.archive.record(1);
    let document = &small.archive.documents[1];
    for bit in 0..document.text.len() * 8 {
        let mut text = document.text.clone();
        text[bit / 8] ^= 1 << (bit % 8);
        let objects = [Object::Octets(&text), Object::Octets(&document.signature)];
        let failure = small
            .court
            .verify(&whole, &objects, at("2040-01-01"))
            .unwrap_err();
        assert_eq!(
            failure,
            Failure {
                chain: 0,
                stamp: 0,
                why: Why::NotCovered(0)
            }
        );
    }
}

#[test]
fn what_is_asked_is_what_is_answered() {
    let small = Small::renewed();
    let whole = small.archive.record(1);
    let (now, document) = (at("2040-01-01"), &small.archive.documents[1]);
    let ask = |objects: &[Object<'_>], scope, now| {
        let question = Question { objects, scope, now };
        verify(&whole, &question, &small.court).map_err(|f| f.why)
    };
    let [text, signature] = document.objects();
    // One of the group existed too, but is not the group.
    assert!(ask(&[signature], Scope::Each, now).is_ok());
    assert_eq!(
        ask(&[signature], Scope::WholeGroup, now).unwrap_err(),
        Why::OtherObjects
    );
    assert_eq!(ask(&[], Scope::Each, now).unwrap_err(), Why::NoObject);
    // An object of another group.
    let other = Object::Octets(&small.archive.documents[0].text);
    assert_eq!(
        ask(&[text, other], Scope::Each, now).unwrap_err(),
        Why::NotCovered(1)
    );
    // Digests do instead of octets, one for each algorithm.
    let of = |a| ContentDigest::of(a, &document.text);
    let (sha256, sha512) = (of(DigestAlgorithm::Sha256), of(DigestAlgorithm::Sha512));
    assert!(ask(&[Object::Digests(&[sha256, sha512])], Scope::Each, now).is_ok());
    assert_eq!(
        ask(&[Object::Digests(&[sha256])], Scope::Each, now).unwrap_err(),
        Why::NeedsDigest {
            digest: DigestAlgorithm::Sha512,
            object: 0
        }
    );
    // Before the last time-stamp was made it cannot be judged.
    assert_eq!(
        ask(&[text], Scope::Each, at("2035-12-01")).unwrap_err(),
        Why::Future(at("2036-01-15"))
    );
    // Who does not know the root does not believe.
    let stranger = Court::new(&Root::new("Stamp Root"));
    let failure = stranger.verify(&whole, &document.objects(), now).unwrap_err();
    assert!(matches!(failure.why, Why::Untrusted { .. }), "{failure}");
    // The list of algorithms is that of the chains.
    let read = Record::read(&whole).unwrap();
    let sequence = read.sequence_of_first(2);
    for algorithms in [
        &[DigestAlgorithm::Sha256][..],
        &[
            DigestAlgorithm::Sha256,
            DigestAlgorithm::Sha384,
            DigestAlgorithm::Sha512,
        ],
    ] {
        let failure = small.verify(&record(algorithms, &sequence), now).unwrap_err();
        assert_eq!(failure.why, Why::Algorithms);
        assert_eq!(
            failure.to_string(),
            "the list of digest algorithms is not the one of the chains"
        );
    }
}

#[test]
fn a_batch_takes_only_what_fits_it() {
    let small = Small::new();
    let (batch, tree) = (small.archive.batch(0), small.archive.tree(0));
    let stamps = &small.authority[0];
    let root = tree.root().unwrap();
    let other = ContentDigest::Sha256([7; 32]);
    let early = at("2027-01-14");
    assert_eq!(
        Batch::new(&tree, &stamps.token(&other, early)),
        Err(BatchError::OtherRoot)
    );
    assert!(matches!(
        Batch::new(&tree, b"no token"),
        Err(BatchError::Stamp(_))
    ));
    let mut builder = TreeBuilder::new(DigestAlgorithm::Sha256);
    builder.push(&other).unwrap();
    builder.push(&batch.renewal_leaf()).unwrap();
    let over = builder.finish().unwrap();
    let stamped = over.root().unwrap();
    let late = at("2027-02-01");
    let renew = |leaf, token: &[u8]| batch.renewed(&over, leaf, token);
    assert_eq!(
        renew(0, &stamps.token(&stamped, late)),
        Err(BatchError::OtherLeaf)
    );
    assert_eq!(renew(1, &stamps.token(&root, late)), Err(BatchError::OtherRoot));
    assert_eq!(
        renew(1, &stamps.token(&stamped, early)),
        Err(BatchError::Earlier { at: early })
    );
    let good = stamps.token(&stamped, late);
    let renewed = renew(1, &good).unwrap();
    assert_eq!(renewed.tokens().len(), 2);
    assert_eq!(Batch::from_der(&renewed.to_der()), Ok(renewed.clone()));
    let closed = batch.clone().closed();
    assert_eq!(Batch::from_der(&closed.to_der()), Ok(closed.clone()));
    assert_eq!(closed.renewed(&over, 1, &good), Err(BatchError::Closed));
    for cut in 0..renewed.to_der().len() {
        assert!(Batch::from_der(&renewed.to_der()[..cut]).is_err());
    }
}

#[test]
fn a_damaged_tree_is_noticed_when_a_record_is_cut() {
    let mut small = Small::new();
    let leaf = small.archive.documents[1].places[0].1;
    let tree = &mut small.archive.kept[0].0;
    // A digest of a leaf's neighbour: the last octets but the table of groups are members, the first ones leaves.
    let at = 24 + 32 * ((leaf as usize) ^ 1);
    tree[at] ^= 1;
    let (batch, tree) = (small.archive.batch(0), small.archive.tree(0));
    let place = kepd::cms::ers::Place {
        batch: &batch,
        tree: &tree,
        leaf,
    };
    assert_eq!(
        kepd::cms::ers::batch::record(&[place]),
        Err(BatchError::OtherTree)
    );
}
