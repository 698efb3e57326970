//! What makes a sealed document last (level B-LT): by which certificates it is to be judged, whether what was collected about
//! them is the last word, and which of it has to be kept.
//!
//! Pure: octets, a trust store and values in, an outcome out. Who collects, stores and tries again is elsewhere
//! (`service::lasting`). The document itself is never changed here; its lasting form is another document
//! (`xml::embedded`), and for a dispatch the values lie beside it.

mod verdict;

use super::enveloped;
use super::trust::{Judged, TrustStore};
use crate::clock::UtcTime;
use crate::cms::algorithm::sha256;
use crate::cms::der::DerError;
use crate::cms::ers::{self, shared_token};
use crate::cms::revocation::{
    Checks, Doubt, RevocationValues, Standing, ValueSlices, has_a_place, judge_slices,
};
use crate::cms::signed::{self, CmsError};
use crate::cms::tsp::{StampError, Token};
use crate::cms::{Certificate, PathError, Purpose, RevocationReason};
use crate::xml::{self, Embedded, ValueSet, XmlError};
use std::time::Duration;

/// Largest list embedded in a document. One of 20 KiB has 500 entries; larger ones lie beside the documents, once for all.
pub const EMBEDDED_LIST_MAX_OCTETS: usize = 64 * 1024;
/// Most octets of lists and responses embedded in one document, which may have 1 MiB with all of it in base64.
pub const EMBEDDED_MAX_OCTETS: usize = 256 * 1024;

/// Why a document has no lasting form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LastingError {
    #[error(transparent)]
    Xml(#[from] XmlError),
    #[error(transparent)]
    Cms(#[from] CmsError),
    #[error(transparent)]
    Stamp(#[from] StampError),
    #[error("the record over its signature: {0}")]
    Record(#[from] ers::Why),
    #[error("a certificate cannot be read: {0}")]
    Der(#[from] DerError),
    #[error("there is no time-stamp on it, so there is no moment to judge it at")]
    NoStamp,
    #[error("there are too many values to keep")]
    TooMany,
}

/// How signer and time-stamps stood at their moments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stood {
    /// Nobody was revoked, by everybody's last word.
    Valid,
    /// Nobody was asked, or the certificates do not all name a place to ask; nothing is known against them.
    NotAsked,
    /// Revoked before the moment that counts: the sentence says who and since when.
    Revoked(String),
}

/// A sealed document as far as it has to be judged.
#[derive(Debug, Clone)]
pub struct Certified {
    signer: Certificate,
    /// Certificates that came along.
    along: Vec<Certificate>,
    stamps: Vec<Token>,
    /// The earliest time-stamp.
    at: UtcTime,
    /// What it brought along to judge by.
    values: RevocationValues,
    /// Whether it is lasting by its form: it brought values by which it can be judged.
    pub is_lasting: bool,
    /// Whether something stands already where values belong, so that nothing more can be put there.
    pub is_embedded: bool,
}

/// The paths to ask about, each leaf first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    pub signer: Vec<Certificate>,
    pub stamps: Vec<Vec<Certificate>>,
}

/// What is to be thought of a document by what was collected.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// The last word.
    Final(Box<Proof>),
    NotYet(Wait),
}

/// Why there is no last word yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wait {
    /// From when on there may be one, where that is known.
    pub again_from: Option<UtcTime>,
    pub why: String,
}

/// The last word, and what it rests on.
#[derive(Debug, Clone)]
pub struct Proof {
    pub stood: Stood,
    signer: Grounds,
    stamps: Vec<Grounds>,
}

/// A path, and the values by which it was judged: no more than are needed.
#[derive(Debug, Clone)]
struct Grounds {
    path: Vec<Certificate>,
    values: RevocationValues,
}

/// What is asked about one path.
#[derive(Clone, Copy)]
struct Question<'a> {
    checks: &'a Checks,
    leaf: &'a Certificate,
    along: &'a [Certificate],
    at: UtcTime,
    purpose: Purpose,
    /// Grace is for the signer; authorities are judged by the value whose time holds the moment (`cms::revocation`).
    grace: Duration,
}

/// How one path ends.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Verdict {
    Ended(Vec<Certificate>, Stood),
    Open(Wait),
}

impl Certified {
    /// An evidence document; its signature and the imprints of its time-stamps are verified.
    pub fn of_evidence(octets: &[u8]) -> Result<Self, LastingError> {
        let (verified, signer) = enveloped::verify(octets)?;
        let stamps = tokens_of(&verified)?;
        let is_embedded = !verified.embedded.is_empty();
        let Embedded {
            signer: of_signer,
            stamps: of_stamps,
        } = verified.embedded;
        let certificates = [verified.chain_der, of_signer.certificates, of_stamps.certificates].concat();
        let along = certificates.iter().filter_map(|c| Certificate::from_der(c).ok());
        let values = RevocationValues {
            crls: [of_signer.crls, of_stamps.crls].concat(),
            ocsp: [of_signer.ocsp, of_stamps.ocsp].concat(),
            certificates: Vec::new(),
        };
        Self::new(signer, along.collect(), stamps, values, is_embedded)
    }

    /// The seal of a dispatch. Its content is not looked at here: that it is what was signed was seen when it was sealed, or
    /// taken in.
    pub fn of_seal(cms_der: &[u8]) -> Result<Self, LastingError> {
        let verified = signed::verify_but_content(cms_der)?;
        let mut stamps = Vec::new();
        if let Some(token) = &verified.stamp_token {
            let token = Token::read(token)?;
            token.check_imprint(&verified.signature_value)?;
            stamps.push(token);
        }
        let is_embedded = !verified.values.is_empty();
        Self::new(
            verified.signer,
            verified.certificates,
            stamps,
            verified.values,
            is_embedded,
        )
    }

    fn new(
        signer: Certificate,
        along: Vec<Certificate>,
        mut stamps: Vec<Token>,
        mut values: RevocationValues,
        is_embedded: bool,
    ) -> Result<Self, LastingError> {
        let is_lasting = !values.is_empty();
        for token in &mut stamps {
            values.add_all(token.values.clone());
            // What is embedded for the authority stands outside its token.
            token.certificates.extend(along.iter().cloned());
        }
        let first = stamps.iter().map(|t| t.gen_time).min();
        Ok(Self {
            at: first.ok_or(LastingError::NoStamp)?,
            signer,
            along,
            stamps,
            values,
            is_lasting,
            is_embedded,
        })
    }

    /// What it brought along to judge by.
    pub fn values(&self) -> &RevocationValues {
        &self.values
    }

    /// The latest time-stamp: what is known after it serves all that came before.
    pub fn latest(&self) -> UtcTime {
        self.stamps.iter().map(|t| t.gen_time).max().unwrap_or(self.at)
    }

    /// The same for documents that are judged by the same certificates.
    pub fn certificates_sha256(&self) -> [u8; 32] {
        let mut all = self.signer.fingerprint().to_vec();
        for token in &self.stamps {
            all.extend(token.signer.fingerprint());
        }
        sha256(&all)
    }

    pub fn paths(&self, trust: &TrustStore) -> Result<Paths, PathError> {
        let checks = Checks::default();
        let path = |q: Question<'_>| trust.path(q.leaf, q.along, q.at, q.purpose);
        Ok(Paths {
            signer: path(self.of_signer(Duration::ZERO, &checks))?,
            stamps: self
                .stamps
                .iter()
                .map(|t| path(self.of_stamp(t, &checks)))
                .collect::<Result<_, _>>()?,
        })
    }

    /// `checks` are those of the whole document: what is asked of the signer takes from what is left for its time-stamps.
    fn of_signer<'a>(&'a self, grace: Duration, checks: &'a Checks) -> Question<'a> {
        Question {
            checks,
            leaf: &self.signer,
            along: &self.along,
            at: self.at,
            purpose: Purpose::Signing,
            grace,
        }
    }

    fn of_stamp<'a>(&self, token: &'a Token, checks: &'a Checks) -> Question<'a> {
        Question {
            checks,
            leaf: &token.signer,
            along: &token.certificates,
            at: token.gen_time,
            purpose: Purpose::TimeStamping,
            grace: Duration::ZERO,
        }
    }

    /// Judges by what was collected; None: nobody is asked about revocation.
    pub fn judge(&self, trust: &TrustStore, values: Option<&RevocationValues>, grace: Duration) -> Outcome {
        let checks = Checks::default();
        let mut grounds = Vec::new();
        let mut stood = Stood::Valid;
        let questions = std::iter::once(self.of_signer(grace, &checks))
            .chain(self.stamps.iter().map(|t| self.of_stamp(t, &checks)));
        for question in questions {
            let ended = match values {
                None => trust
                    .path(question.leaf, question.along, question.at, question.purpose)
                    .map(|path| Verdict::Ended(path, Stood::NotAsked)),
                Some(values) => question.verdict(trust, values),
            };
            let (path, how) = match ended {
                Ok(Verdict::Ended(path, how)) => (path, how),
                Ok(Verdict::Open(wait)) => return Outcome::NotYet(wait),
                Err(why) => {
                    return Outcome::NotYet(Wait {
                        again_from: None,
                        why: why.to_string(),
                    });
                }
            };
            let values = values
                .map(|v| question.needed(trust, v, &how))
                .unwrap_or_default();
            grounds.push(Grounds { path, values });
            stood = worse(stood, how);
        }
        let mut grounds = grounds.into_iter();
        match grounds.next() {
            None => Outcome::NotYet(Wait {
                again_from: None,
                why: LastingError::NoStamp.to_string(),
            }),
            Some(signer) => Outcome::Final(Box::new(Proof {
                stood,
                signer,
                stamps: grounds.collect(),
            })),
        }
    }
}

impl Certified {
    /// Judges by the values that another document of the same certificates was judged by. None where that is not the last
    /// word on this one, or ends otherwise.
    pub fn judge_by(&self, proof: &Proof, trust: &TrustStore, grace: Duration) -> Option<Proof> {
        let checks = Checks::default();
        let like = |question: Question<'_>, known: &Grounds, how: &mut Stood| {
            let verdict = question.verdict(trust, &known.values).ok()?;
            let Verdict::Ended(path, stood) = verdict else {
                return None;
            };
            *how = worse(how.clone(), stood);
            let values = known.values.clone();
            Some(Grounds { path, values })
        };
        let mut stood = Stood::Valid;
        let signer = like(self.of_signer(grace, &checks), &proof.signer, &mut stood)?;
        let mut stamps = Vec::new();
        for (token, known) in self.stamps.iter().zip(&proof.stamps) {
            stamps.push(like(self.of_stamp(token, &checks), known, &mut stood)?);
        }
        let same = stood == proof.stood && stamps.len() == self.stamps.len();
        same.then_some(Proof {
            stood,
            signer,
            stamps,
        })
    }
}

/// The tokens that are over the signature, its own and those that it shares; what each must be over is checked.
fn tokens_of(verified: &xml::Verified) -> Result<Vec<Token>, LastingError> {
    let mut tokens = Vec::new();
    for stamp in &verified.stamps {
        let token = Token::read(&stamp.token_der)?;
        token.check_imprint(&stamp.covered)?;
        tokens.push(token);
    }
    for record in &verified.records {
        let (token, root) = shared_token(&record.record_der, &record.covered)?;
        let token = Token::read(token)?;
        if token.imprint != root {
            return Err(StampError::Imprint.into());
        }
        tokens.push(token);
    }
    Ok(tokens)
}

fn worse(one: Stood, other: Stood) -> Stood {
    match (&one, &other) {
        (Stood::Revoked(_), _) | (_, Stood::Valid) => one,
        (Stood::NotAsked, Stood::NotAsked) => one,
        _ => other,
    }
}

impl Question<'_> {
    fn verdict(&self, trust: &TrustStore, values: &RevocationValues) -> Result<Verdict, PathError> {
        let slices = ValueSlices::of(values).counted_by(self.checks);
        let standing_of = &mut |path: &[Certificate]| judge_slices(path, self.at, &slices, self.grace);
        let judged = trust.judge_by(self.leaf, self.along, self.at, self.purpose, standing_of)?;
        let Judged { standing, path } = judged;
        Ok(match standing {
            Standing::ValidAt(_) => Verdict::Ended(path, Stood::Valid),
            // What is on hold may be released, and then it never was revoked.
            Standing::RevokedSince {
                subject,
                at,
                reason: RevocationReason::CertificateHold,
            } => Verdict::Open(Wait {
                again_from: None,
                why: format!("'{subject}' is on hold since {at}"),
            }),
            Standing::RevokedSince { subject, at, reason } => {
                let say = format!("'{subject}' is revoked since {at} ({})", reason.word());
                Verdict::Ended(path, Stood::Revoked(say))
            }
            Standing::Unknown { why } => match self.open_questions(&path, &slices) {
                // All who can be asked have said their last word.
                None => Verdict::Ended(path, Stood::NotAsked),
                Some(again_from) => Verdict::Open(Wait {
                    again_from,
                    why: why.to_string(),
                }),
            },
        })
    }

    /// Whether a certificate that names a place to ask has no last word; and from when on there may be one.
    fn open_questions(&self, path: &[Certificate], values: &ValueSlices<'_>) -> Option<Option<UtcTime>> {
        let mut open = None;
        for (i, pair) in path.windows(2).enumerate() {
            let [certificate, _] = pair else { continue };
            if !has_a_place(certificate) {
                continue;
            }
            let grace = if i == 0 { self.grace } else { Duration::ZERO };
            match judge_slices(pair, self.at, values, grace) {
                Standing::ValidAt(_) => {}
                Standing::Unknown {
                    why: Doubt::NotFinal { final_from, .. },
                } => open = open.max(Some(Some(final_from))),
                _ => return Some(None),
            }
        }
        open
    }

    /// The fewest values by which it ends the same way: responses before lists, small lists before large ones.
    fn needed(&self, trust: &TrustStore, all: &RevocationValues, how: &Stood) -> RevocationValues {
        let same = |values: &RevocationValues| match self.verdict(trust, values) {
            Ok(Verdict::Ended(_, stood)) => stood == *how,
            _ => false,
        };
        let mut lists: Vec<&Vec<u8>> = all.crls.iter().collect();
        lists.sort_by_key(|list| list.len());
        let mut lists = lists.into_iter();
        let mut kept = RevocationValues {
            crls: Vec::new(),
            ocsp: all.ocsp.clone(),
            certificates: all.certificates.clone(),
        };
        while !same(&kept) {
            match lists.next() {
                Some(list) => kept.crls.push(list.clone()),
                None => return all.clone(),
            }
        }
        // What is about other certificates, or said twice, goes.
        for n in (0..kept.crls.len()).rev() {
            let list = kept.crls.remove(n);
            if !same(&kept) {
                kept.crls.insert(n, list);
            }
        }
        for n in (0..kept.ocsp.len()).rev() {
            let response = kept.ocsp.remove(n);
            if !same(&kept) {
                kept.ocsp.insert(n, response);
            }
        }
        kept
    }
}

impl Proof {
    /// All certificates of the paths, each once: leaves, authorities, anchors.
    pub fn certificates(&self) -> Vec<Certificate> {
        let mut out: Vec<Certificate> = Vec::new();
        for grounds in std::iter::once(&self.signer).chain(&self.stamps) {
            for certificate in &grounds.path {
                if !out.contains(certificate) {
                    out.push(certificate.clone());
                }
            }
        }
        out
    }

    /// All values, each once.
    pub fn values(&self) -> RevocationValues {
        let mut out = self.signer.values.clone();
        for stamp in &self.stamps {
            out.add_all(stamp.values.clone());
        }
        out
    }

    /// The lasting form of the evidence document that was judged, and the values that are too large to lie in it.
    pub fn embed(&self, document: &[u8]) -> Result<(Vec<u8>, RevocationValues), LastingError> {
        let (verified, _) = enveloped::verify(document)?;
        let tokens = tokens_of(&verified)?;
        let mut there: Vec<Vec<u8>> = verified.chain_der;
        there.push(verified.signer_der);
        let mut room = EMBEDDED_MAX_OCTETS;
        let mut beside = RevocationValues::default();
        let mut embedded = Embedded::default();
        // EN 319 132-1 5.4.1: what stands in the signature already need not stand there again.
        self.signer
            .put(&mut embedded.signer, &mut there, &mut room, &mut beside);
        for (token, grounds) in tokens.iter().zip(&self.stamps) {
            there.extend(token.certificates.iter().map(|c| c.der().to_vec()));
            grounds.put(&mut embedded.stamps, &mut there, &mut room, &mut beside);
        }
        if embedded.is_empty() {
            let whole = self.signer.path.iter().map(|c| c.der().to_vec());
            embedded.signer.certificates = whole.collect();
        }
        let lasting = xml::embed_values(document, &embedded)?;
        // Nothing wrong leaves: it still holds, and what was issued is still in it.
        let (again, _) = enveloped::verify(&lasting)?;
        if again.embedded != embedded || xml::without_values(&lasting)? != document {
            return Err(LastingError::TooMany);
        }
        Ok((lasting, beside))
    }
}

impl Grounds {
    fn put(
        &self,
        to: &mut ValueSet,
        there: &mut Vec<Vec<u8>>,
        room: &mut usize,
        beside: &mut RevocationValues,
    ) {
        let mut new = |octets: &[u8]| {
            let is_new = !there.iter().any(|known| known == octets);
            if is_new {
                there.push(octets.to_vec());
            }
            is_new
        };
        for certificate in &self.path {
            if new(certificate.der()) {
                to.certificates.push(certificate.der().to_vec());
            }
        }
        for response in self.values.ocsp.iter().filter(|r| new(r)) {
            match room.checked_sub(response.len()) {
                Some(left) => {
                    *room = left;
                    to.ocsp.push(response.clone());
                }
                None => beside.ocsp.push(response.clone()),
            }
        }
        for list in self.values.crls.iter().filter(|l| new(l)) {
            match room.checked_sub(list.len()) {
                Some(left) if list.len() <= EMBEDDED_LIST_MAX_OCTETS => {
                    *room = left;
                    to.crls.push(list.clone());
                }
                _ => beside.crls.push(list.clone()),
            }
        }
    }
}
