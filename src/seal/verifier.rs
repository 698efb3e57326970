//! What is to be thought of a sealed document: four findings kept apart, from the octets and a trust store alone.
//!
//! Deterministic: no clock, no network. Trust is judged at the moment of the time-stamp when that holds, otherwise at the
//! moment the signer claims, and the report says which. Revocation is not checked (see `cms::path`): `trust: ok` means a
//! path to a configured anchor, valid at that moment.

use super::trust::TrustStore;
use crate::clock::UtcTime;
use crate::cms::certificate::KeyKind;
use crate::cms::ers::shared_token;
use crate::cms::signed;
use crate::cms::tsp::{StampError, Token};
use crate::cms::{Certificate, ContentDigest, Purpose};
use crate::xml::foreign::Portrait;
use crate::xml::{self, Level};
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
    /// None unless the signature holds.
    pub level: Option<Level>,
    /// The time of the earliest time-stamp; None unless all of them hold.
    pub stamp_time: Option<UtcTime>,
    pub trust_moment: Option<TrustMoment>,
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
}

/// Judges a sealed evidence document. `schema` validates it against TS 102 640.
pub fn verify_evidence(
    octets: &[u8],
    trust: &TrustStore,
    schema: impl FnOnce(&[u8]) -> Result<(), String>,
) -> EvidenceReport {
    let schema = Finding::of(schema(octets));
    let outcome = xml::verify(octets).map_err(|e| e.to_string()).and_then(|v| {
        let signer = Certificate::from_der(&v.signer_der).map_err(|e| e.to_string())?;
        // The XML library knows more kinds of keys than the house allows, and shorter ones.
        if signer.key_kind() == KeyKind::Unsupported {
            return Err(
                "the signer's key is neither ECDSA P-256, P-384 nor RSA of 2048 to 8192 bits".to_owned(),
            );
        }
        Ok((v, signer))
    });
    let (verified, signer) = match outcome {
        Ok(both) => both,
        Err(why) => return EvidenceReport::without_signature(schema, why, octets),
    };
    let (level, embedded) = (Some(verified.level()), &verified.embedded);
    let along: Vec<Certificate> = verified
        .chain_der
        .iter()
        .chain(&embedded.signer.certificates)
        .filter_map(|c| Certificate::from_der(c).ok())
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
    let stamped = check_stamps(own.chain(shared), Some(verified.signing_time), trust);
    let stamp_time = stamped.as_ref().ok().copied().flatten();
    let timestamp = match stamped {
        Ok(Some(_)) => Finding::Ok,
        Ok(None) => Finding::Failed("there is no time-stamp on the signature".to_owned()),
        Err(why) => Finding::Failed(why),
    };
    let moment = stamp_time.map_or(TrustMoment::Claimed(verified.signing_time), TrustMoment::Stamped);
    EvidenceReport {
        findings: Findings {
            schema,
            signature: Finding::Ok,
            trust: check_trust(&signer, &along, moment, trust),
            timestamp,
        },
        root_name: Some(verified.root_name),
        portrait: None,
        signer: Some(Signer::of(&signer)),
        signing_time: Some(verified.signing_time),
        level,
        stamp_time,
        trust_moment: Some(moment),
    }
}

impl EvidenceReport {
    fn without_signature(schema: Finding, why: String, octets: &[u8]) -> Self {
        let unknown = || Finding::Unknown("the signature does not hold".to_owned());
        Self {
            findings: Findings {
                schema,
                signature: Finding::Failed(why),
                trust: unknown(),
                timestamp: unknown(),
            },
            root_name: xml::profile::root_name(octets).ok(),
            portrait: xml::foreign::portray(octets),
            signer: None,
            signing_time: None,
            level: None,
            stamp_time: None,
            trust_moment: None,
        }
    }
}

/// Judges a detached signature over an entity given by its digest. Which digest is needed: [`signed::digest_algorithm`].
pub fn verify_entity(content: impl Into<ContentDigest>, cms_der: &[u8], trust: &TrustStore) -> EntityReport {
    let verified = match signed::verify_detached(cms_der, &content.into()) {
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
            };
        }
    };
    let stamps = verified
        .stamp_token
        .iter()
        .map(|t| Ok((t.as_slice(), Covered::Octets(&verified.signature_value))));
    let stamped = check_stamps(stamps, verified.signing_time, trust);
    let stamp_time = stamped.as_ref().ok().copied().flatten();
    let timestamp = match stamped {
        Ok(Some(_)) => Finding::Ok,
        Ok(None) => Finding::Unknown("there is no time-stamp on the signature".to_owned()),
        Err(why) => Finding::Failed(why),
    };
    let claimed = verified.signing_time.map(TrustMoment::Claimed);
    let moment = stamp_time.map(TrustMoment::Stamped).or(claimed);
    let trust_finding = match moment {
        Some(moment) => check_trust(&verified.signer, &verified.certificates, moment, trust),
        None => Finding::Unknown("nothing says when the signature was made".to_owned()),
    };
    EntityReport {
        signature: Finding::Ok,
        trust: trust_finding,
        timestamp,
        signer: Some(Signer::of(&verified.signer)),
        signing_time: verified.signing_time,
        stamp_time,
        trust_moment: moment,
    }
}

fn check_trust(
    signer: &Certificate,
    along: &[Certificate],
    moment: TrustMoment,
    trust: &TrustStore,
) -> Finding {
    let (TrustMoment::Stamped(at) | TrustMoment::Claimed(at)) = moment;
    Finding::of(trust.check(signer, along, at, Purpose::Signing))
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

/// All stamps must hold; the earliest time counts.
fn check_stamps<'a>(
    stamps: impl Iterator<Item = Result<(&'a [u8], Covered<'a>), String>>,
    signing_time: Option<UtcTime>,
    trust: &TrustStore,
) -> Result<Option<UtcTime>, String> {
    let mut earliest: Option<UtcTime> = None;
    for stamp in stamps {
        let (token_der, covered) = stamp?;
        let token = Token::read(token_der).map_err(|e| e.to_string())?;
        covered.check(&token).map_err(|e| e.to_string())?;
        trust
            .check(
                &token.signer,
                &token.certificates,
                token.gen_time,
                Purpose::TimeStamping,
            )
            .map_err(|e| e.to_string())?;
        if signing_time.is_some_and(|s| s > token.gen_time.plus(SIGNER_AHEAD_MAX)) {
            return Err("the signer claims a time after the time-stamp".to_owned());
        }
        earliest = Some(earliest.map_or(token.gen_time, |e| e.min(token.gen_time)));
    }
    Ok(earliest)
}
