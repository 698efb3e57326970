//! Whether a received message is what it claims: the four findings on a peer's envelope and its evidence.
//!
//! Works on the complete octets before they are kept, in pieces, on the blocking pool: the signed entity and the original are digested in one
//! pass. Nothing is believed before the seal holds, chains to the peer's anchors and is the one pinned for it. Of a genuine
//! message it is told whose certificates it relies on, so that the intake can ask whether they were revoked.

use crate::cms::algorithm::{ContentDigest, DigestAlgorithm};
use crate::cms::signed::digest_algorithm;
use crate::domain::evidence::{Event, EvidenceFacts, EvidenceKind, Reason};
use crate::domain::provider::{Fingerprint, Peer};
use crate::mime::{Span, Structure, summary};
use crate::rem::open::{Opened, Sealed};
use crate::rem::{Parsed, open};
use crate::seal::reliance::{Basis, Relied};
use crate::seal::trust::TrustStore;
use crate::seal::verifier::{self, Finding, Signer};
use crate::service::aside::aside;
use crate::service::failure::Failure;
use crate::service::octets::CHUNK_OCTETS;
use crate::store::spool::Pending;
use crate::xml::Source;
use aws_lc_rs::digest::{Context, SHA256, SHA384, SHA512};

/// A genuine message.
#[derive(Debug)]
pub struct Examination {
    pub envelope: Envelope,
    /// The header block of the message.
    pub header: Vec<u8>,
    /// The certificates of seals and time-stamps that it relies on, each once for a moment.
    pub relied: Vec<Relied>,
    /// By which they were judged.
    pub trust: TrustStore,
}

#[derive(Debug)]
pub enum Envelope {
    Dispatch {
        facts: Box<EvidenceFacts>,
        original_sha256: [u8; 32],
    },
    Evidence(Vec<Document>),
}

/// An evidence document that holds.
#[derive(Debug)]
pub struct Document {
    pub facts: EvidenceFacts,
    pub identifier: String,
    pub xml: Vec<u8>,
}

/// Why a message is refused.
#[derive(Debug, Clone)]
pub struct NotGenuine {
    pub reason: Reason,
    pub text: String,
    /// What the message's evidence states, when the seal on it is the peer's.
    pub told: Option<Box<EvidenceFacts>>,
}

impl NotGenuine {
    fn new(reason: Reason, text: impl Into<String>) -> Self {
        Self {
            reason,
            text: text.into(),
            told: None,
        }
    }

    /// The seal holds, but what it seals cannot be taken.
    pub fn about(facts: &EvidenceFacts, reason: Reason, text: &str) -> Self {
        Self {
            told: Some(Box::new(facts.clone())),
            ..Self::new(reason, text)
        }
    }
}

/// Examines a message of a peer that is complete and not kept, and gives it back.
pub async fn examine(
    pending: Pending,
    structure: Structure,
    peer: &Peer,
) -> Result<(Pending, Result<Examination, NotGenuine>), Failure> {
    let peer = peer.clone();
    let work = aside("examining a message", move || {
        let message = Message {
            octets: &pending,
            structure: &structure,
        };
        let examined = message.examine(&peer)?;
        Ok((pending, examined))
    });
    work.await?
}

struct Message<'a> {
    octets: &'a Pending,
    structure: &'a Structure,
}

impl Message<'_> {
    fn examine(&self, peer: &Peer) -> Result<Result<Examination, NotGenuine>, Failure> {
        let mut trust = TrustStore::new();
        trust.add_pem_text(&peer.trust_pem).map_err(|e| {
            Failure::Unavailable(format!(
                "the trust anchors of {} cannot be read: {e}",
                peer.domain
            ))
        })?;
        let header = match self.structure.root() {
            Some(root) => self.read(root.header, summary::HEADER_MAX_OCTETS)?,
            None => Vec::new(),
        };
        let mut unreadable = None;
        let opened = open::open(self.structure, &header, |span| {
            self.read(span, usize::try_from(span.octets()).ok()?)
                .map_err(|e| unreadable = Some(e))
                .ok()
        });
        if let Some(failure) = unreadable {
            return Err(failure);
        }
        let mut relied = Vec::new();
        let envelope = match opened {
            Err(why) => Err(NotGenuine::new(Reason::InvalidMessageFormat, why.to_string())),
            Ok(Opened::Dispatch { sealed, original }) => {
                self.dispatch(&sealed, original, peer, &trust, &mut relied)?
            }
            Ok(Opened::Evidence { sealed, .. }) => self.evidence(&sealed, peer, &trust, &mut relied)?,
        };
        Ok(envelope.map(|envelope| Examination {
            envelope,
            header,
            relied,
            trust,
        }))
    }

    fn dispatch(
        &self,
        sealed: &Sealed,
        original: Span,
        peer: &Peer,
        trust: &TrustStore,
        relied: &mut Vec<Relied>,
    ) -> Result<Result<Envelope, NotGenuine>, Failure> {
        let original_sha256 = match self.check_seal(sealed, Some(original), peer, trust, relied)? {
            Ok(digest) => digest,
            Err(why) => return Ok(Err(why)),
        };
        let mut facts = None;
        for xml in &sealed.evidence {
            match check_document(xml, peer, trust, relied) {
                Ok(document) => facts = facts.or(Some(document.facts)),
                Err(why) => return Ok(Err(why)),
            }
        }
        let Some(facts) = facts else {
            return Ok(Err(NotGenuine::new(
                Reason::InvalidMessageFormat,
                "the dispatch holds no evidence",
            )));
        };
        if facts.kind != EvidenceKind::SubmissionAcceptanceRejection || facts.event != Event::Acceptance {
            let say = "the evidence in the dispatch does not attest an accepted submission";
            return Ok(Err(NotGenuine::about(&facts, Reason::InvalidMessageFormat, say)));
        }
        if facts.message.original_sha256 != Some(original_sha256) {
            let say = "the original is not the one its evidence attests";
            return Ok(Err(NotGenuine::about(&facts, Reason::InvalidMessageFormat, say)));
        }
        Ok(Ok(Envelope::Dispatch {
            facts: Box::new(facts),
            original_sha256,
        }))
    }

    fn evidence(
        &self,
        sealed: &Sealed,
        peer: &Peer,
        trust: &TrustStore,
        relied: &mut Vec<Relied>,
    ) -> Result<Result<Envelope, NotGenuine>, Failure> {
        // The evidence inside is stamped itself; on the envelope around it a stamp is optional (TR 103 071).
        if let Err(why) = self.check_seal(sealed, None, peer, trust, relied)? {
            return Ok(Err(why));
        }
        let documents: Result<Vec<Document>, NotGenuine> = sealed
            .evidence
            .iter()
            .map(|xml| check_document(xml, peer, trust, relied))
            .collect();
        Ok(documents.map(Envelope::Evidence))
    }

    /// Checks the signature on the entity; gives the digest of the original, when one is asked for. Then a time-stamp must
    /// be there, too.
    fn check_seal(
        &self,
        sealed: &Sealed,
        original: Option<Span>,
        peer: &Peer,
        trust: &TrustStore,
        relied: &mut Vec<Relied>,
    ) -> Result<Result<[u8; 32], NotGenuine>, Failure> {
        let Ok(algorithm) = digest_algorithm(&sealed.signature_der) else {
            return Ok(Err(NotGenuine::new(
                Reason::InvalidMessageFormat,
                "the signature of the message cannot be read",
            )));
        };
        let stamp_required = original.is_some();
        let (content, original_sha256) = self.digest(sealed.signed_entity, original, algorithm)?;
        let report = verifier::verify_entity(content, &sealed.signature_der, Basis::asked_elsewhere(trust));
        rely_on(relied, report.relied.as_ref(), &report.stamps);
        let found = [
            ("signature", &report.signature),
            ("trust", &report.trust),
            ("timestamp", &report.timestamp),
        ];
        for (name, finding) in found {
            let optional = name == "timestamp" && !stamp_required && matches!(finding, Finding::Unknown(_));
            if !finding.is_ok() && !optional {
                return Ok(Err(NotGenuine::new(
                    Reason::InvalidMessageFormat,
                    format!("seal of the message: {name} {finding}"),
                )));
            }
        }
        Ok(check_pin(report.signer.as_ref(), peer).map(|()| original_sha256))
    }

    /// Digests the entity and the original inside it in one pass.
    fn digest(
        &self,
        entity: Span,
        original: Option<Span>,
        algorithm: DigestAlgorithm,
    ) -> Result<(ContentDigest, [u8; 32]), Failure> {
        let mut whole = Context::new(match algorithm {
            DigestAlgorithm::Sha256 => &SHA256,
            DigestAlgorithm::Sha384 => &SHA384,
            DigestAlgorithm::Sha512 => &SHA512,
        });
        let mut inner = Context::new(&SHA256);
        let original = original.unwrap_or(Span {
            start: entity.start,
            end: entity.start,
        });
        let mut at = entity.start;
        while at < entity.end {
            let want = usize::try_from(entity.end - at)
                .unwrap_or(CHUNK_OCTETS)
                .min(CHUNK_OCTETS);
            let chunk = self.octets.read_blocking(at, want)?;
            if chunk.is_empty() {
                break;
            }
            whole.update(&chunk);
            let end = at + chunk.len() as u64;
            let (from, to) = (original.start.clamp(at, end), original.end.clamp(at, end));
            inner.update(&chunk[(from - at) as usize..(to - at) as usize]);
            at = end;
        }
        let whole = whole.finish();
        let broken = || Failure::Broken("a digest of the wrong length".into());
        let content = match algorithm {
            DigestAlgorithm::Sha256 => {
                ContentDigest::Sha256(whole.as_ref().try_into().map_err(|_| broken())?)
            }
            DigestAlgorithm::Sha384 => {
                ContentDigest::Sha384(whole.as_ref().try_into().map_err(|_| broken())?)
            }
            DigestAlgorithm::Sha512 => {
                ContentDigest::Sha512(whole.as_ref().try_into().map_err(|_| broken())?)
            }
        };
        Ok((content, inner.finish().as_ref().try_into().map_err(|_| broken())?))
    }

    fn read(&self, span: Span, max: usize) -> Result<Vec<u8>, Failure> {
        let len = usize::try_from(span.octets()).unwrap_or(usize::MAX).min(max);
        Ok(self.octets.read_blocking(span.start, len)?)
    }
}

/// Checks one evidence document: all four findings, and the pin.
fn check_document(
    xml: &[u8],
    peer: &Peer,
    trust: &TrustStore,
    relied: &mut Vec<Relied>,
) -> Result<Document, NotGenuine> {
    let source = Source::of(xml);
    let tree = source.tree();
    let parsed = Parsed::of_tree(&tree);
    let report = verifier::verify_tree(&tree, Basis::asked_elsewhere(trust), || parsed.check_schema());
    rely_on(relied, report.relied.as_ref(), &report.stamps);
    let findings = &report.findings;
    let sealed_by_peer = findings.signature.is_ok()
        && findings.trust.is_ok()
        && check_pin(report.signer.as_ref(), peer).is_ok();
    let read = parsed.read();
    let told = || {
        read.as_ref()
            .ok()
            .filter(|_| sealed_by_peer)
            .map(|r| Box::new(r.facts.clone()))
    };
    let all = [
        ("schema", &findings.schema),
        ("signature", &findings.signature),
        ("trust", &findings.trust),
        ("timestamp", &findings.timestamp),
    ];
    if let Some((name, finding)) = all.iter().find(|(_, f)| !f.is_ok()) {
        let say = format!("evidence: {name} {finding}");
        return Err(NotGenuine {
            told: told(),
            ..NotGenuine::new(Reason::InvalidMessageFormat, say)
        });
    }
    check_pin(report.signer.as_ref(), peer)?;
    match read {
        Ok(read) => Ok(Document {
            facts: read.facts,
            identifier: read.identifier,
            xml: xml.to_vec(),
        }),
        Err(why) => Err(NotGenuine::new(
            Reason::InvalidMessageFormat,
            format!("evidence: {why}"),
        )),
    }
}

/// Notes what is relied on, each once for a moment.
fn rely_on(all: &mut Vec<Relied>, signer: Option<&Relied>, stamps: &[Relied]) {
    for relied in signer.into_iter().chain(stamps) {
        if !all.contains(relied) {
            all.push(relied.clone());
        }
    }
}

fn check_pin(signer: Option<&Signer>, peer: &Peer) -> Result<(), NotGenuine> {
    let pinned = signer.is_some_and(|s| peer.seal_sha256.contains(&Fingerprint(s.fingerprint)));
    if pinned {
        return Ok(());
    }
    let say = format!("the seal is not the one known for {}", peer.domain);
    Err(NotGenuine::new(Reason::PolicyViolation, say))
}

#[cfg(test)]
#[path = "genuine_tests.rs"]
mod tests;
