//! What is to be thought of sealed documents that somebody brings: an evidence document, a dispatch, an evidence
//! message, an export bundle. Octets and trust in, findings out; no network, no clock, no store.
//!
//! The same judgement serves whoever asks: the administrator's command, the mailbox that answers users, the summary for
//! a court. [`seal::verifier`](crate::seal::verifier) judges one signature; here it is said of a whole file what it is,
//! what it proves and of which original. Intake judges the same way in pieces, because mails are large
//! (`service::genuine`). A judgement rests on a [`Basis`]: whom to believe, and what is known of revocation.

pub mod attached;
pub mod audit;
pub mod bundle;
mod envelope;
pub mod personal;
pub mod preserved;
pub mod report;
mod standpoint;
pub mod values;

use crate::clock::UtcTime;
use crate::cms::algorithm::sha256;
use crate::domain::evidence::EvidenceFacts;
use crate::rem::Parsed;
pub use crate::seal::Basis;
use crate::seal::verifier::{Signer, TrustMoment};
use crate::seal::{Finding, Findings, Relied, TrustStore, verify_tree};
use crate::xml::foreign::{Arithmetic, Portrait};
use crate::xml::{Level, Source};
use preserved::{Preserved, weigh_record};
pub use standpoint::Standpoint;

/// What a document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece {
    /// One TS 102 640-2 document.
    Evidence,
    /// The provider's signature around an original and its evidence.
    Dispatch,
    /// The provider's signature around evidence alone.
    EvidenceMessage,
    /// It could not be told.
    Unknown,
}

impl Piece {
    pub fn word(self) -> &'static str {
        match self {
            Self::Evidence => "evidence",
            Self::Dispatch => "dispatch",
            Self::EvidenceMessage => "evidence-message",
            Self::Unknown => "unknown",
        }
    }
}

/// How the original that is at hand stands to the digest that a document states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OriginalMatch {
    /// The document states no SHA-256 digest.
    NotStated,
    /// No original is at hand.
    NotGiven,
    Same,
    Other,
}

/// One document and what was found on it.
#[derive(Debug, Clone)]
pub struct Judged {
    /// The file, and the piece of it.
    pub name: String,
    pub piece: Piece,
    /// SHA-256 of the octets that were judged.
    pub sha256: [u8; 32],
    pub findings: Findings,
    /// What else is to be said, a sentence each; of a signature that was refused: all that is wrong with it.
    pub remarks: Vec<String>,
    /// None unless the signature holds.
    pub signer: Option<Signer>,
    pub signing_time: Option<UtcTime>,
    /// How much the signature of an evidence document carries; none unless it holds.
    pub level: Option<Level>,
    /// None unless the time-stamps hold.
    pub stamp_time: Option<UtcTime>,
    /// The moment at which trust was judged.
    pub trust_moment: Option<TrustMoment>,
    /// The signer's certificate, and how far it may be relied on; None when there is no path from it.
    pub relied: Option<Relied>,
    /// The certificates of the time-stamps.
    pub stamps: Vec<Relied>,
    /// What the document states. It is proved only if [`Judged::is_ok`].
    pub facts: Option<EvidenceFacts>,
    /// Reason codes that it states and nobody knows, as written.
    pub unknown_reasons: Vec<String>,
    pub original: OriginalMatch,
    /// What the evidence record beside it proves.
    pub preserved: Preserved,
    /// The signature holds and carries no time-stamp at all.
    unstamped: bool,
}

impl Judged {
    /// Whether the document proves what it states, of the original at hand if there is one.
    pub fn is_ok(&self) -> bool {
        let preserved = !matches!(self.preserved, Preserved::Failed(_));
        self.findings.all_ok() && preserved && self.original != OriginalMatch::Other
    }

    /// Whether something is shown to be wrong, as against not decided.
    pub fn is_failed(&self) -> bool {
        let failed = |f: &Finding| matches!(f, Finding::Failed(_));
        let findings = &self.findings;
        self.original == OriginalMatch::Other
            || matches!(self.preserved, Preserved::Failed(_))
            || [
                &findings.schema,
                &findings.signature,
                &findings.trust,
                &findings.timestamp,
            ]
            .into_iter()
            .any(failed)
    }

    fn unreadable(name: String, octets: &[u8], why: String) -> Self {
        let unknown = || Finding::Unknown("the message could not be opened".into());
        Self {
            name,
            piece: Piece::Unknown,
            sha256: sha256(octets),
            findings: Findings {
                schema: Finding::Failed(why),
                signature: unknown(),
                trust: unknown(),
                timestamp: unknown(),
            },
            remarks: Vec::new(),
            signer: None,
            signing_time: None,
            level: None,
            stamp_time: None,
            trust_moment: None,
            relied: None,
            stamps: Vec::new(),
            facts: None,
            unknown_reasons: Vec::new(),
            original: OriginalMatch::NotStated,
            preserved: Preserved::NotGiven,
            unstamped: false,
        }
    }

    /// With what the evidence record beside it says, by the policy of this version; `document` is what was judged.
    #[cfg(test)]
    pub fn with_record<'a>(mut self, record: &[u8], document: &[u8], basis: impl Into<Basis<'a>>) -> Self {
        match Standpoint::of_this_version(None) {
            Ok(standpoint) => self.weigh(record, document, basis.into(), &standpoint),
            Err(why) => self.preserved = Preserved::Failed(why.to_string()),
        }
        self
    }

    fn weigh(&mut self, record: &[u8], document: &[u8], basis: Basis<'_>, standpoint: &Standpoint) {
        let weighed = weigh_record(record, document, basis, standpoint);
        if let (Preserved::Since { since, .. }, true) = (&weighed.preserved, weighed.is_sure) {
            self.proven_since(*since);
        }
        self.preserved = weighed.preserved;
    }

    /// The document existed at `since`, its time-stamp with it: who was revoked later did not make either afterwards
    /// (EN 319 102-1 5.6.2.3, proof of existence).
    fn proven_since(&mut self, since: UtcTime) {
        let is_older = |relied: &Relied| {
            relied.distrust().is_none() || relied.doubted_from().is_some_and(|from| since < from)
        };
        let is_unknown = |finding: &Finding| matches!(finding, Finding::Unknown(_));
        let findings = &mut self.findings;
        if is_unknown(&findings.timestamp) && !self.stamps.is_empty() && self.stamps.iter().all(is_older) {
            findings.timestamp = Finding::Ok;
        }
        if is_unknown(&findings.trust) && self.relied.as_ref().is_some_and(is_older) {
            findings.trust = Finding::Ok;
        }
    }

    fn with_original(mut self, given_sha256: Option<[u8; 32]>) -> Self {
        let stated = self.facts.as_ref().and_then(|f| f.message.original_sha256);
        self.original = match (stated, given_sha256) {
            (None, _) => OriginalMatch::NotStated,
            (Some(_), None) => OriginalMatch::NotGiven,
            (Some(stated), Some(given)) if stated == given => OriginalMatch::Same,
            (Some(_), Some(_)) => OriginalMatch::Other,
        };
        self
    }
}

/// Judges a file: an evidence document (XML), or a dispatch or an evidence message (a mail) and every evidence document
/// in it. `original_sha256` is the digest of the original at hand; a dispatch brings its own.
pub fn judge<'a>(
    name: &str,
    octets: &[u8],
    original_sha256: Option<[u8; 32]>,
    basis: impl Into<Basis<'a>>,
) -> Vec<Judged> {
    let basis = basis.into();
    match octets.iter().find(|b| !b.is_ascii_whitespace()) {
        // A byte order mark, or the first of an XML document; no header field begins with either.
        Some(b'<' | 0xef) => vec![judge_evidence(name.to_owned(), octets, original_sha256, basis)],
        _ => envelope::judge(name, octets, original_sha256, basis),
    }
}

/// Judges one evidence document.
pub fn judge_evidence<'a>(
    name: String,
    octets: &[u8],
    original_sha256: Option<[u8; 32]>,
    basis: impl Into<Basis<'a>>,
) -> Judged {
    let basis = basis.into();
    let source = Source::of(octets);
    let tree = source.tree();
    let parsed = Parsed::of_tree(&tree);
    let report = verify_tree(&tree, basis, || parsed.check_schema());
    let read = parsed.read().ok();
    let judged = Judged {
        name,
        piece: Piece::Evidence,
        sha256: sha256(octets),
        findings: without_anchors(report.findings, basis.trust),
        remarks: report.portrait.map(remarks).unwrap_or_default(),
        signer: report.signer,
        signing_time: report.signing_time,
        level: report.level,
        stamp_time: report.stamp_time,
        trust_moment: report.trust_moment,
        relied: report.relied,
        stamps: report.stamps,
        unknown_reasons: read
            .as_ref()
            .map(|read| read.unknown_reasons.clone())
            .unwrap_or_default(),
        facts: read.map(|read| read.facts),
        original: OriginalMatch::NotStated,
        preserved: Preserved::NotGiven,
        unstamped: false,
    };
    judged.with_original(original_sha256)
}

/// What was judged of one file, with the evidence record beside it, seen from a standpoint. A record covers the whole file,
/// and so what lies in it.
pub fn carried(
    mut judged: Vec<Judged>,
    (document, record): (&[u8], Option<&[u8]>),
    basis: Basis<'_>,
    standpoint: &Standpoint,
) -> Vec<Judged> {
    if let (Some(first), Some(record)) = (judged.first_mut(), record) {
        first.weigh(record, document, basis, standpoint);
    }
    let is_carried = judged
        .first()
        .is_some_and(|j| matches!(j.preserved, Preserved::Since { .. }));
    for (n, judged) in judged.iter_mut().enumerate() {
        standpoint.hold_to_dates(judged);
        if n == 0 || !is_carried {
            standpoint.age(judged);
        }
    }
    judged
}

/// All that is wrong with a refused signature, as sentences.
fn remarks(portrait: Portrait) -> Vec<String> {
    let arithmetic = portrait.arithmetic.map(|outcome| match outcome {
        Arithmetic::Holds => "its value would hold for the certificate that came along".to_owned(),
        Arithmetic::DocumentDiffers => "the document is not the one that was signed".to_owned(),
        Arithmetic::ValueDiffers => "its value is not one of the certificate that came along".to_owned(),
        Arithmetic::NotComputed(why) => format!("its value was not worked out: {why}"),
    });
    portrait.faults.into_iter().chain(arithmetic).collect()
}

/// Without anchors nothing can be said of trust, which is not the same as distrust.
fn without_anchors(mut findings: Findings, trust: &TrustStore) -> Findings {
    if trust.anchors().is_empty() && findings.signature.is_ok() {
        let unknown =
            || Finding::Unknown("there are no trust anchors; name their folder with --trust".into());
        findings.trust = unknown();
        findings.timestamp = unknown();
    }
    findings
}

#[cfg(test)]
mod tests;
