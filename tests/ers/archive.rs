//! A small archive for tests: documents with the signature of their provider, a batch for each night, renewals when the
//! policy says so, and a court that knows the roots and the policy and nothing else.

use super::authority::{Root, Signer, at};
use kepd::clock::{Clock as _, ManualClock, UtcTime};
use kepd::cms::algorithm::{DigestAlgorithm, SignatureAlgorithm};
use kepd::cms::ers::{
    self, Batch, Failure, Judge, Object, Place, Proven, Question, Scope, Tree, TreeBuilder, batch,
};
use kepd::cms::tsp::Token;
use kepd::cms::{Certificate, ContentDigest, Purpose, path};
use kepd::domain::algorithm_policy::{AlgorithmPolicy, Due, Renewal, Standing};
use std::cell::RefCell;
use std::collections::HashMap;

/// SHA-256 and RSA end within the twenty years.
pub const POLICY: &str = r#"
[renewal]
timestamp_days = 60
hashtree_days = 365
[[digest]]
name = "SHA-256"
secure_until = "2036-12-31"
[[digest]]
name = "SHA-512"
secure_until = "2060-12-31"
[[digest]]
name = "SHA-384"
secure_until = "2060-12-31"
[[signature]]
name = "RSA"
min_bits = 3000
secure_until = "2034-12-31"
[[signature]]
name = "ECDSA"
min_bits = 256
secure_until = "2060-12-31"
"#;

pub fn policy() -> AlgorithmPolicy {
    AlgorithmPolicy::parse(POLICY).unwrap()
}

/// A document with the provider's signature over it: a group of two objects.
pub struct Document {
    pub text: Vec<u8>,
    pub signature: Vec<u8>,
    /// Which batches cover it, and where.
    pub places: Vec<(usize, u32)>,
}

impl Document {
    pub fn objects(&self) -> [Object<'_>; 2] {
        [Object::Octets(&self.text), Object::Octets(&self.signature)]
    }

    fn digests(&self, algorithm: DigestAlgorithm) -> [ContentDigest; 2] {
        [&self.text, &self.signature].map(|o| ContentDigest::of(algorithm, o))
    }
}

pub struct Archive {
    pub clock: ManualClock,
    pub policy: AlgorithmPolicy,
    pub documents: Vec<Document>,
    /// What is kept: the octets of each tree, and of each batch.
    pub kept: Vec<(Vec<u8>, Vec<u8>)>,
    pub renewals: Vec<(UtcTime, Renewal)>,
    /// Of each batch that is open: what has to be done with it, as its last time-stamp says.
    due: Vec<Option<Due>>,
}

impl Archive {
    pub fn new(start: UtcTime) -> Self {
        Self {
            clock: ManualClock::at(start),
            policy: policy(),
            documents: Vec::new(),
            kept: Vec::new(),
            renewals: Vec::new(),
            due: Vec::new(),
        }
    }

    pub fn turn(&self, day: &str) {
        self.clock.advance(self.clock.now().until(at(day)));
    }

    pub fn batch(&self, night: usize) -> Batch {
        Batch::from_der(&self.kept[night].1).unwrap()
    }

    pub fn tree(&self, night: usize) -> Tree<&[u8]> {
        Tree::open(self.kept[night].0.as_slice()).unwrap()
    }

    /// Takes documents in and covers them with one time-stamp.
    pub fn night(&mut self, texts: &[String], provider: &Signer, authority: &Signer) {
        let now = self.clock.now();
        let algorithm = self.algorithm();
        let mut builder = TreeBuilder::new(algorithm);
        for text in texts {
            let text = text.clone().into_bytes();
            let signature = provider.detached(&text, now);
            let mut document = Document {
                text,
                signature,
                places: Vec::new(),
            };
            let leaf = builder.push_group(&document.digests(algorithm)).unwrap();
            document.places.push((self.kept.len(), leaf));
            self.documents.push(document);
        }
        self.keep(builder, authority);
    }

    pub fn algorithm(&self) -> DigestAlgorithm {
        match self.policy.digest_for_new(self.clock.now()).unwrap() {
            "SHA-256" => DigestAlgorithm::Sha256,
            "SHA-512" => DigestAlgorithm::Sha512,
            other => panic!("{other}"),
        }
    }

    fn keep(&mut self, builder: TreeBuilder, authority: &Signer) {
        let tree = builder.finish().unwrap();
        let token = authority.token(&tree.root().unwrap(), self.clock.now());
        let batch = Batch::new(&tree, &token).unwrap();
        self.kept.push((tree.octets().to_vec(), Vec::new()));
        self.due.push(None);
        self.put(self.kept.len() - 1, &batch);
    }

    /// Keeps a batch, and notes when it has to be renewed, and how.
    fn put(&mut self, night: usize, batch: &Batch) {
        let last = Token::read(batch.tokens().next_back().unwrap()).unwrap();
        let standing = Standing {
            digest: batch.algorithm().name(),
            signature: last.algorithm.family(),
            signature_bits: last.signer.key_bits(),
            signature_digest: last.algorithm.digest_algorithm().name(),
            certificate_until: last.signer.not_after(),
        };
        self.due[night] = (!batch.is_closed()).then(|| self.policy.due(&standing).unwrap());
        self.kept[night].1 = batch.to_der();
    }

    /// What a night's work looks after.
    pub fn renew_what_is_due(&mut self, authority: &Signer) {
        let now = self.clock.now();
        let open = self
            .due
            .iter()
            .enumerate()
            .filter_map(|(night, d)| Some((night, (*d)?)));
        let due: Vec<(usize, Renewal)> = open
            .filter(|(_, due)| due.from <= now)
            .map(|(night, due)| (night, due.renewal))
            .collect();
        let of = |wanted| due.iter().filter(move |(_, r)| *r == wanted).map(|(n, _)| *n);
        let stamps: Vec<usize> = of(Renewal::Timestamp).collect();
        let trees: Vec<usize> = of(Renewal::HashTree).collect();
        if !trees.is_empty() {
            self.renew_hashtree(&trees, authority);
        }
        if !stamps.is_empty() {
            self.renew_timestamp(&stamps, authority);
        }
    }

    /// One time-stamp over the last time-stamps of many batches, for each digest algorithm.
    pub fn renew_timestamp(&mut self, nights: &[usize], authority: &Signer) {
        let now = self.clock.now();
        for algorithm in [DigestAlgorithm::Sha256, DigestAlgorithm::Sha512] {
            let mine: Vec<usize> = nights
                .iter()
                .copied()
                .filter(|n| self.batch(*n).algorithm() == algorithm)
                .collect();
            if mine.is_empty() {
                continue;
            }
            let mut builder = TreeBuilder::new(algorithm);
            for night in &mine {
                builder.push(&self.batch(*night).renewal_leaf()).unwrap();
            }
            let tree = builder.finish().unwrap();
            let token = authority.token(&tree.root().unwrap(), now);
            for (leaf, night) in mine.into_iter().enumerate() {
                let renewed = self.batch(night).renewed(&tree, leaf as u32, &token);
                self.put(night, &renewed.unwrap());
            }
            self.renewals.push((now, Renewal::Timestamp));
        }
    }

    /// Every document of these batches is read and hashed anew, together with all that was said of it.
    pub fn renew_hashtree(&mut self, nights: &[usize], authority: &Signer) {
        let algorithm = self.algorithm();
        let mut builder = TreeBuilder::new(algorithm);
        let next = self.kept.len();
        for i in 0..self.documents.len() {
            let last = self.documents[i].places.last().unwrap().0;
            if !nights.contains(&last) {
                continue;
            }
            let sequence = self.sequence(i);
            let digests = self.documents[i].digests(algorithm);
            let leaves = digests.map(|d| ers::renewed_digest(&d, &sequence));
            let leaf = builder.push_group(&leaves).unwrap();
            self.documents[i].places.push((next, leaf));
        }
        self.keep(builder, authority);
        for night in nights {
            self.put(*night, &self.batch(*night).closed());
        }
        self.renewals.push((self.clock.now(), Renewal::HashTree));
    }

    fn with_places<'s, T>(&'s self, document: usize, f: impl FnOnce(&[Place<'_, &'s [u8]>]) -> T) -> T {
        let nights = self.documents[document].places.iter();
        let parts: Vec<(Batch, Tree<&[u8]>, u32)> = nights
            .map(|(night, leaf)| (self.batch(*night), self.tree(*night), *leaf))
            .collect();
        let places: Vec<Place<'_, &[u8]>> = parts
            .iter()
            .map(|(batch, tree, leaf)| Place {
                batch,
                tree,
                leaf: *leaf,
            })
            .collect();
        f(&places)
    }

    pub fn sequence(&self, document: usize) -> Vec<u8> {
        self.with_places(document, batch::sequence).unwrap()
    }

    pub fn record(&self, document: usize) -> Vec<u8> {
        self.with_places(document, batch::record).unwrap()
    }
}

/// The fingerprint of a signer and a moment, and whether it was to be trusted then.
type Known = HashMap<([u8; 32], UtcTime), Result<(), String>>;

/// Who verifies: roots, a policy, and the record.
pub struct Court {
    pub roots: Vec<Certificate>,
    policy: AlgorithmPolicy,
    /// Paths that were looked for: the answer depends on the signer and the moment only.
    known: RefCell<Known>,
}

impl Court {
    pub fn new(root: &Root) -> Self {
        Self {
            roots: vec![root.certificate()],
            policy: policy(),
            known: RefCell::default(),
        }
    }

    pub fn verify(&self, record: &[u8], objects: &[Object<'_>], now: UtcTime) -> Result<Proven, Failure> {
        let question = Question {
            objects,
            scope: Scope::WholeGroup,
            now,
        };
        ers::verify(record, &question, self)
    }
}

impl Judge for Court {
    fn trusts(&self, token: &Token, at: UtcTime) -> Result<(), String> {
        let (signer, pool) = (&token.signer, &token.certificates);
        let look = || {
            path::validate(signer, pool, &self.roots, at, Purpose::TimeStamping)
                .map(drop)
                .map_err(|e| e.to_string())
        };
        let mut known = self.known.borrow_mut();
        known
            .entry((signer.fingerprint(), at))
            .or_insert_with(look)
            .clone()
    }

    fn digest_fits(&self, algorithm: DigestAlgorithm, at: UtcTime) -> Result<(), String> {
        self.policy
            .digest_fits(algorithm.name(), at)
            .map_err(|e| e.to_string())
    }

    fn signature_fits(
        &self,
        algorithm: SignatureAlgorithm,
        signer: &Certificate,
        at: UtcTime,
    ) -> Result<(), String> {
        let digest = algorithm.digest_algorithm().name();
        self.policy
            .signature_fits(algorithm.family(), signer.key_bits(), digest, at)
            .map_err(|e| e.to_string())
    }
}
