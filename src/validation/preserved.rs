//! Whether the evidence record (RFC 4998) that lies beside a document covers it, and since when.
//!
//! Trust is asked of the anchors, fitness of algorithms of the policy that comes with the verifier. The record is judged at
//! the time of its own last time-stamp, so that the answer is the same on every day; until when that time-stamp itself
//! holds is told beside it.

use crate::clock::UtcTime;
use crate::cms::algorithm::{DigestAlgorithm, SignatureAlgorithm};
use crate::cms::ers::record::Record;
use crate::cms::ers::{Judge, Object, Question, Scope, verify};
use crate::cms::tsp::Token;
use crate::cms::{Certificate, Purpose};
use crate::domain::algorithm_policy::AlgorithmPolicy;
use crate::seal::TrustStore;

/// What a record proves of the document beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Preserved {
    /// There is none.
    NotGiven,
    /// The document existed at `since`; the last time-stamp is of `renewed`, and its certificate ends at `until`.
    Since {
        since: UtcTime,
        renewed: UtcTime,
        until: UtcTime,
    },
    Failed(String),
}

/// Judges a record for the document whose octets these are.
pub fn judge_record(record: &[u8], document: &[u8], trust: &TrustStore) -> Preserved {
    match proven(record, document, trust) {
        Ok(found) => found,
        Err(why) => Preserved::Failed(why),
    }
}

fn proven(record: &[u8], document: &[u8], trust: &TrustStore) -> Result<Preserved, String> {
    let policy = AlgorithmPolicy::of_this_version().map_err(|e| e.to_string())?;
    let read = Record::read(record).map_err(|e| e.to_string())?;
    let last = read.chains.iter().flat_map(|c| &c.stamps).next_back();
    let last = last.ok_or("the evidence record has no time-stamp")?;
    let last = Token::read(last.token).map_err(|e| e.to_string())?;
    let question = Question {
        objects: &[Object::Octets(document)],
        scope: Scope::Each,
        now: last.gen_time,
    };
    let found = verify(record, &question, &Court { trust, policy }).map_err(|e| e.to_string())?;
    Ok(Preserved::Since {
        since: found.since,
        renewed: last.gen_time,
        until: last.signer.not_after(),
    })
}

struct Court<'a> {
    trust: &'a TrustStore,
    policy: AlgorithmPolicy,
}

impl Judge for Court<'_> {
    fn trusts(&self, token: &Token, at: UtcTime) -> Result<(), String> {
        let (signer, along) = (&token.signer, &token.certificates);
        let path = self.trust.check(signer, along, at, Purpose::TimeStamping);
        path.map_err(|e| e.to_string())
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
        let fits = self
            .policy
            .signature_fits(algorithm.family(), signer.key_bits(), digest, at);
        fits.map_err(|e| e.to_string())
    }
}
