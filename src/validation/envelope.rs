//! A dispatch or an evidence message: the provider's signature on the envelope, and each evidence document in it.
//!
//! Of an envelope `schema` says whether it has the form of one, whether its visible header says what the evidence
//! states, and whether it comes from whom the certificate names (RFC 8550 3): what a mail client shows is not covered by
//! the signature.

use super::preserved::Preserved;
use super::{Basis, Judged, OriginalMatch, Piece, judge_evidence, without_anchors};
use crate::cms::algorithm::sha256;
use crate::cms::{ContentDigest, DigestAlgorithm, signed};
use crate::mime::mailbox::mailboxes;
use crate::mime::summary::Summary;
use crate::rem::open::{self, Opened, Sealed};
use crate::seal::{Finding, Findings, verify_entity};

/// Said of a message whose visible header was changed.
const OUTER_NOT_STATED: &str =
    "the outer header is not what the evidence states (the outer header is not covered by the signature)";

pub(super) fn judge(
    name: &str,
    octets: &[u8],
    original_sha256: Option<[u8; 32]>,
    basis: Basis<'_>,
) -> Vec<Judged> {
    let (header, opened) = open::open_octets(octets);
    let (sealed, piece, inside) = match opened {
        Ok(Opened::Dispatch { sealed, original }) => {
            (sealed, Piece::Dispatch, original.of(octets).map(sha256))
        }
        Ok(Opened::Evidence { sealed, original }) => {
            let carried = original.and_then(|o| o.of(octets)).map(sha256);
            (sealed, Piece::EvidenceMessage, carried)
        }
        Err(why) => return vec![Judged::unreadable(name.to_owned(), octets, why.to_string())],
    };
    let mut envelope = judge_signature(format!("{name} (envelope)"), octets, &sealed, piece, basis);
    if !sealed.outer_is_stated(header, piece == Piece::Dispatch) {
        envelope.findings.schema = Finding::Failed(OUTER_NOT_STATED.into());
    } else if let Some(from) = from_another(header, &envelope) {
        let why =
            format!("the message says it comes from {from}, which the signer's certificate does not name");
        envelope.findings.schema = Finding::Failed(why);
    }
    // Both must be the one that is stated: the original inside, and the one that was brought.
    if let (Some(inside), Some(given)) = (inside, original_sha256)
        && inside != given
    {
        envelope.original = OriginalMatch::Other;
    }
    let numbered = sealed.evidence.iter().enumerate();
    let evidence: Vec<Judged> = numbered
        .map(|(n, xml)| {
            let name = format!("{name} (evidence {})", n + 1);
            judge_evidence(name, xml, inside.or(original_sha256), basis)
        })
        .collect();
    // Around evidence a stamp of the envelope's own is optional (TR 103 071): each document inside has one. They cover nothing
    // that only the envelope says.
    let stamped_inside = !evidence.is_empty() && evidence.iter().all(|e| e.findings.timestamp.is_ok());
    let lent = stamped_inside && !sealed.states_more;
    if piece == Piece::EvidenceMessage && envelope.unstamped && lent {
        envelope.findings.timestamp = Finding::Ok;
    }
    std::iter::once(envelope).chain(evidence).collect()
}

fn judge_signature(name: String, octets: &[u8], sealed: &Sealed, piece: Piece, basis: Basis<'_>) -> Judged {
    let entity = sealed.signed_entity.of(octets).unwrap_or_default();
    // A signature that cannot be read is judged all the same, and fails with its reason.
    let algorithm = signed::digest_algorithm(&sealed.signature_der).unwrap_or(DigestAlgorithm::Sha256);
    let report = verify_entity(ContentDigest::of(algorithm, entity), &sealed.signature_der, basis);
    // One that is in doubt is there all the same.
    let unstamped = report.signature.is_ok()
        && report.stamps.is_empty()
        && matches!(report.timestamp, Finding::Unknown(_));
    let findings = Findings {
        schema: Finding::Ok,
        signature: report.signature,
        trust: report.trust,
        timestamp: report.timestamp,
    };
    Judged {
        name,
        piece,
        sha256: sha256(octets),
        findings: without_anchors(findings, basis.trust),
        remarks: Vec::new(),
        signer: report.signer,
        signing_time: report.signing_time,
        level: None,
        stamp_time: report.stamp_time,
        trust_moment: report.trust_moment,
        relied: report.relied,
        stamps: report.stamps,
        facts: None,
        unknown_reasons: Vec::new(),
        original: OriginalMatch::NotStated,
        preserved: Preserved::NotGiven,
        unstamped,
    }
}

/// The From address, when the signer's certificate names addresses and this is none of them.
fn from_another(header: &[u8], envelope: &Judged) -> Option<String> {
    let names = &envelope.signer.as_ref()?.rfc822_names;
    let from: Vec<String> = mailboxes(&Summary::of(header).from)
        .map(|m| m.address())
        .collect();
    let is_named = |address: &String| names.iter().any(|n| n.eq_ignore_ascii_case(address));
    if names.is_empty() || (!from.is_empty() && from.iter().all(is_named)) {
        return None;
    }
    Some(from.join(", "))
}
