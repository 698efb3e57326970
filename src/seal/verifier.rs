//! What is to be thought of a sealed document: four findings kept apart, from the octets and a trust store alone.
//!
//! Deterministic: no clock, no network. Trust is judged at the moment of the time-stamp when that holds, otherwise at the
//! moment the signer claims, and the report says which. `trust: ok` means a path to a configured anchor, valid at that
//! moment, of which nothing was revoked then by the values at hand (`reliance`); nothing is asked of anybody.

use super::enveloped;
use super::reliance::{Basis, Distrust, Proof, Reliance, Relied, Revocation, Use};
use crate::clock::UtcTime;
use crate::cms::ers::shared_token;
use crate::cms::signed;
use crate::cms::tsp::{StampError, Token};
use crate::cms::{
    Certificate, CertificateMemory, ContentDigest, Known, Purpose, RevocationShelf, RevocationValues,
};
use crate::xml::foreign::Portrait;
use crate::xml::{self, Embedded, Level};
use std::fmt;
use std::time::Duration;

/// A signer's clock may be that far ahead of the time-stamp's.
const SIGNER_AHEAD_MAX: Duration = Duration::from_secs(300);

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    Ok,
    Failed(String),
    Unknown(String),
}

impl Finding {
    pub fn is_ok(&self) -> bool {
        *self == Self::Ok
    }

    fn of(result: Result<(), impl fmt::Display>) -> Self {
        result.map_or_else(|why| Self::Failed(why.to_string()), |()| Self::Ok)
    }

    /// Revoked at the moment that counts is wrong; anything else is not decided.
    fn of_reliance(relied: &Relied) -> Self {
        match relied.distrust() {
            None => Self::Ok,
            Some(why @ Distrust::Revoked(_)) => Self::Failed(why.to_string()),
            Some(why) => Self::Unknown(why.to_string()),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ok => f.write_str("ok"),
            Self::Failed(why) => write!(f, "failed: {why}"),
            Self::Unknown(why) => write!(f, "unknown: {why}"),
        }
    }
}

/// The findings on an evidence document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Findings {
    pub schema: Finding,
    pub signature: Finding,
    pub trust: Finding,
    pub timestamp: Finding,
}

impl Findings {
    pub fn all_ok(&self) -> bool {
        self.schema.is_ok() && self.signature.is_ok() && self.trust.is_ok() && self.timestamp.is_ok()
    }
}

/// The moment at which trust was judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrustMoment {
    /// A time-stamp that holds.
    Stamped(UtcTime),
    /// Only the signer says so.
    Claimed(UtcTime),
}

/// Who signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signer {
    pub subject: String,
    pub fingerprint: [u8; 32],
    pub rfc822_names: Vec<String>,
}

impl Signer {
    fn of(c: &Certificate) -> Self {
        Self {
            subject: c.subject(),
            fingerprint: c.fingerprint(),
            rfc822_names: c.rfc822_names().to_vec(),
        }
    }
}

/// What was found on an evidence document.
#[derive(Debug, Clone)]
pub struct EvidenceReport {
    pub findings: Findings,
    /// The root element's local name, when the document could be read at all.
    pub root_name: Option<String>,
    /// Of a signature that is refused: what else is wrong with it, and whether its value would hold.
    pub portrait: Option<Portrait>,
    /// None unless the signature holds.
    pub signer: Option<Signer>,
    pub signing_time: Option<UtcTime>,
    /// None unless the signature holds. Lasting only when signer and time-stamps are valid by what stands in it alone.
    pub level: Option<Level>,
    /// The time of the earliest time-stamp; None unless all of them hold, or are in doubt for revocation alone.
    pub stamp_time: Option<UtcTime>,
    pub trust_moment: Option<TrustMoment>,
    /// The signer's certificate; None when there is no path from it.
    pub relied: Option<Relied>,
    /// The certificates of the time-stamps.
    pub stamps: Vec<Relied>,
}

/// What was found on the signature of a `multipart/signed` entity.
#[derive(Debug, Clone)]
pub struct EntityReport {
    pub signature: Finding,
    pub trust: Finding,
    /// `Unknown` when there is none: on an entity it is optional.
    pub timestamp: Finding,
    pub signer: Option<Signer>,
    pub signing_time: Option<UtcTime>,
    pub stamp_time: Option<UtcTime>,
    pub trust_moment: Option<TrustMoment>,
    /// As in [`EvidenceReport`].
    pub relied: Option<Relied>,
    pub stamps: Vec<Relied>,
}

/// Judges a sealed evidence document. `schema` validates it against TS 102 640.
pub fn verify_evidence<'a>(
    octets: &[u8],
    basis: impl Into<Basis<'a>>,
    schema: impl FnOnce(&[u8]) -> Result<(), String>,
) -> EvidenceReport {
    verify_tree(&xml::Source::of(octets).tree(), basis, || schema(octets))
}

/// The same of a document that is parsed already, so that schema and facts can be read from the very tree that is verified.
pub fn verify_tree<'a>(
    tree: &xml::Tree<'_>,
    basis: impl Into<Basis<'a>>,
    schema: impl FnOnce() -> Result<(), String>,
) -> EvidenceReport {
    let basis = basis.into();
    let schema = Finding::of(schema());
    let memory = basis.trust.certificates();
    let (verified, made) = match enveloped::verify_tree(tree, Known::memory(memory)) {
        Ok(both) => both,
        Err(why) => return EvidenceReport::without_signature(schema, why.to_string(), tree),
    };
    let (signer, embedded) = (&made.signer, &verified.embedded);
    let along: Vec<Certificate> = verified
        .chain_der
        .iter()
        .chain(&embedded.signer.certificates)
        .filter_map(|c| memory.read(c).ok())
        .collect();
    let own = verified
        .stamps
        .iter()
        .map(|s| Ok((s.token_der.as_slice(), Covered::Octets(&s.covered))));
    // One token may be over the root of a tree with many signatures in it.
    let shared = verified.records.iter().map(|r| {
        let (token, root) = shared_token(&r.record_der, &r.covered).map_err(|e| e.to_string())?;
        Ok((token, Covered::Root(root)))
    });
    let brought = Brought::by_document(embedded, memory);
    let stamped = Stamped::judge(own.chain(shared), Some(verified.signing_time), &basis, &brought);
    let timestamp = stamped.finding(Finding::Failed);
    let moment = stamped.moment(Some(verified.signing_time));
    let (trust, relied) = check_trust(signer, &along, moment, (&basis, &brought.shelf), &stamped);
    let relied = relied.map(|relied| relied.signing_by(made.algorithm));
    let lasts = || {
        let relied = relied.as_ref();
        stamped.last && relied.is_some_and(|r| lasts(&basis, &brought.shelf, r))
    };
    let level = match verified.level() {
        Level::Lasting if !lasts() => Level::Stamped,
        level => level,
    };
    EvidenceReport {
        findings: Findings {
            schema,
            signature: Finding::Ok,
            trust,
            timestamp,
        },
        root_name: Some(verified.root_name),
        portrait: None,
        signer: Some(Signer::of(signer)),
        signing_time: Some(verified.signing_time),
        level: Some(level),
        stamp_time: stamped.earliest(),
        trust_moment: moment,
        relied,
        stamps: stamped.all,
    }
}

impl EvidenceReport {
    fn without_signature(schema: Finding, why: String, tree: &xml::Tree<'_>) -> Self {
        let unknown = || Finding::Unknown("the signature does not hold".to_owned());
        Self {
            findings: Findings {
                schema,
                signature: Finding::Failed(why),
                trust: unknown(),
                timestamp: unknown(),
            },
            root_name: tree.document().ok().map(xml::profile::root_name_of),
            portrait: xml::foreign::portray(tree.octets()),
            signer: None,
            signing_time: None,
            level: None,
            stamp_time: None,
            trust_moment: None,
            relied: None,
            stamps: Vec::new(),
        }
    }
}

/// Judges a detached signature over an entity given by its digest. Which digest is needed: [`signed::digest_algorithm`].
pub fn verify_entity<'a>(
    content: impl Into<ContentDigest>,
    cms_der: &[u8],
    basis: impl Into<Basis<'a>>,
) -> EntityReport {
    let basis = basis.into();
    let memory = basis.trust.certificates();
    let verified = match signed::verify_detached_by(memory, cms_der, &content.into()) {
        Ok(verified) => verified,
        Err(why) => {
            let unknown = || Finding::Unknown("the signature does not hold".to_owned());
            return EntityReport {
                signature: Finding::Failed(why.to_string()),
                trust: unknown(),
                timestamp: unknown(),
                signer: None,
                signing_time: None,
                stamp_time: None,
                trust_moment: None,
                relied: None,
                stamps: Vec::new(),
            };
        }
    };
    let stamps = verified
        .stamp_token
        .iter()
        .map(|t| Ok((t.as_slice(), Covered::Octets(&verified.signature_value))));
    let brought = Brought::by_seal(&verified.values);
    let stamped = Stamped::judge(stamps, verified.signing_time, &basis, &brought);
    let moment = stamped.moment(verified.signing_time);
    let (trust, relied) = check_trust(
        &verified.signer,
        &verified.certificates,
        moment,
        (&basis, &brought.shelf),
        &stamped,
    );
    let relied = relied.map(|relied| relied.signing_by(verified.algorithm));
    EntityReport {
        signature: Finding::Ok,
        trust,
        timestamp: stamped.finding(Finding::Unknown),
        signer: Some(Signer::of(&verified.signer)),
        signing_time: verified.signing_time,
        stamp_time: stamped.earliest(),
        trust_moment: moment,
        relied,
        stamps: stamped.all,
    }
}

fn check_trust(
    signer: &Certificate,
    along: &[Certificate],
    moment: Option<TrustMoment>,
    (basis, embedded): (&Basis<'_>, &RevocationShelf),
    stamped: &Stamped,
) -> (Finding, Option<Relied>) {
    let (at, proof) = match moment {
        // A time-stamp that is itself in doubt proves no moment.
        Some(TrustMoment::Stamped(at)) if stamped.all.iter().all(|s| s.distrust().is_none()) => {
            (at, Proof::Stamped)
        }
        Some(TrustMoment::Stamped(at) | TrustMoment::Claimed(at)) => (at, Proof::OwnWord),
        None => {
            let why = "nothing says when the signature was made".to_owned();
            return (Finding::Unknown(why), None);
        }
    };
    let used = Use {
        leaf: signer,
        along,
        at,
        purpose: Purpose::Signing,
        proof,
    };
    match basis.rely(used, embedded) {
        Ok(relied) => (Finding::of_reliance(&relied), Some(relied)),
        Err(why) => (Finding::Failed(why.to_string()), None),
    }
}

/// What a signature brings to be judged by; candidates, and proven by nobody.
struct Brought {
    values: RevocationValues,
    shelf: RevocationShelf,
    /// For the paths of time-stamps.
    certificates: Vec<Certificate>,
}

impl Brought {
    fn by_document(embedded: &Embedded, memory: &CertificateMemory) -> Self {
        let read = |all: &[Vec<u8>]| -> Vec<Certificate> {
            let readable = all.iter().filter_map(|c| memory.read(c).ok());
            readable.collect()
        };
        let (of_signer, of_stamps) = (&embedded.signer, &embedded.stamps);
        let certificates = read(&of_stamps.certificates);
        let values = RevocationValues {
            crls: [of_signer.crls.as_slice(), &of_stamps.crls].concat(),
            ocsp: [of_signer.ocsp.as_slice(), &of_stamps.ocsp].concat(),
            // A responder's may be among them.
            certificates: [read(&of_signer.certificates), certificates.clone()].concat(),
        };
        Self {
            shelf: RevocationShelf::of(&values),
            values,
            certificates,
        }
    }

    fn by_seal(values: &RevocationValues) -> Self {
        Self {
            values: values.clone(),
            shelf: RevocationShelf::of(values),
            certificates: Vec::new(),
        }
    }
}

/// What a token must be over.
enum Covered<'a> {
    Octets(&'a [u8]),
    /// The root of a tree in which the signature is.
    Root(ContentDigest),
}

impl Covered<'_> {
    fn check(&self, token: &Token) -> Result<(), StampError> {
        match self {
            Self::Octets(octets) => token.check_imprint(octets),
            Self::Root(root) if token.imprint == *root => Ok(()),
            Self::Root(_) => Err(StampError::Imprint),
        }
    }
}

/// Whether a certificate is valid by what the document itself brings, so that nobody need be asked any more.
fn lasts(basis: &Basis<'_>, brought: &RevocationShelf, relied: &Relied) -> bool {
    let is_valid = |relied: &Relied| matches!(relied.reliance, Reliance::Valid { .. });
    if brought.is_empty() {
        return false;
    }
    if matches!(basis.revocation, Revocation::Nothing) {
        return is_valid(relied);
    }
    let used = Use {
        leaf: &relied.leaf,
        along: &relied.along,
        at: relied.at,
        purpose: relied.purpose,
        proof: relied.proof,
    };
    let alone = Basis::from(basis.trust).rely(used, brought);
    alone.is_ok_and(|relied| is_valid(&relied))
}

/// The time-stamps of a signature.
struct Stamped {
    all: Vec<Relied>,
    /// Whether each is valid by what the document brings.
    last: bool,
    /// Why one of them does not hold.
    fault: Option<String>,
}

impl Stamped {
    /// All of them must hold.
    fn judge<'t>(
        stamps: impl Iterator<Item = Result<(&'t [u8], Covered<'t>), String>>,
        signing_time: Option<UtcTime>,
        basis: &Basis<'_>,
        brought: &Brought,
    ) -> Self {
        let mut out = Self {
            all: Vec::new(),
            last: true,
            fault: None,
        };
        for stamp in stamps {
            let checked = stamp
                .and_then(|(token, covered)| check_stamp(token, &covered, signing_time, (basis, brought)));
            match checked {
                Ok((relied, lasts)) => {
                    out.all.push(relied);
                    out.last &= lasts;
                }
                Err(why) => {
                    out.fault = Some(why);
                    break;
                }
            }
        }
        out
    }

    /// The earliest time counts, when no stamp is wrong.
    fn earliest(&self) -> Option<UtcTime> {
        let is_wrong = |relied: &Relied| matches!(relied.distrust(), Some(Distrust::Revoked(_)));
        if self.fault.is_some() || self.all.iter().any(is_wrong) {
            return None;
        }
        self.all.iter().map(|relied| relied.at).min()
    }

    fn moment(&self, claimed: Option<UtcTime>) -> Option<TrustMoment> {
        let stamped = self.earliest().map(TrustMoment::Stamped);
        stamped.or(claimed.map(TrustMoment::Claimed))
    }

    fn finding(&self, absent: fn(String) -> Finding) -> Finding {
        if let Some(why) = &self.fault {
            return Finding::Failed(why.clone());
        }
        if self.all.is_empty() {
            return absent("there is no time-stamp on the signature".to_owned());
        }
        let mut worst = Finding::Ok;
        for relied in &self.all {
            match Finding::of_reliance(relied) {
                failed @ Finding::Failed(_) => return failed,
                unknown @ Finding::Unknown(_) => worst = unknown,
                Finding::Ok => {}
            }
        }
        worst
    }
}

/// A time-stamp that holds: the certificate it relies on, and whether that lasts by what the document brings.
fn check_stamp(
    token_der: &[u8],
    covered: &Covered<'_>,
    signing_time: Option<UtcTime>,
    (basis, brought): (&Basis<'_>, &Brought),
) -> Result<(Relied, bool), String> {
    let known = Known::memory(basis.trust.certificates());
    let token = Token::read_among(token_der, known).map_err(|e| e.to_string())?;
    covered.check(&token).map_err(|e| e.to_string())?;
    let along = [token.certificates.as_slice(), &brought.certificates].concat();
    let used = Use {
        leaf: &token.signer,
        along: &along,
        at: token.gen_time,
        purpose: Purpose::TimeStamping,
        proof: Proof::OwnWord,
    };
    let own;
    let shelf = if token.values.is_empty() {
        &brought.shelf
    } else {
        let mut all = brought.values.clone();
        all.add_all(token.values.clone());
        own = RevocationShelf::of(&all).checked_by(brought.shelf.checks());
        &own
    };
    let relied = basis.rely(used, shelf).map_err(|e| e.to_string())?;
    let relied = relied.signing_by(token.algorithm);
    if signing_time.is_some_and(|s| s > token.gen_time.plus(SIGNER_AHEAD_MAX)) {
        return Err("the signer claims a time after the time-stamp".to_owned());
    }
    let lasts = lasts(basis, shelf, &relied);
    Ok((relied, lasts))
}
