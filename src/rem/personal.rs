//! The signature of a person in evidence: `AdditionalDetails` of the sender's authentication (TS 102 640-2,
//! AuthenticationDetailsType), which is open content, so its words are of our own namespace.
//!
//! It tells by which certificate, of which profile, judged for which moment and how finally; not the signature itself, which
//! stands in the original, and no identity number.

use super::writer::XmlWriter;
use super::{KEPD_NS, SHA256_URI, attribute};
use crate::clock::UtcTime;
use crate::domain::signature::{PersonSignature, SignatureProfile, SignatureStanding};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use roxmltree::Node;

/// The name of the element, by which a document can be asked in passing.
pub const ELEMENT: &str = "PersonalSignature";

pub(super) fn write(w: &mut XmlWriter, signature: &PersonSignature) {
    let judged = signature.judged_at.rfc3339();
    let claimed = signature.claimed_at.map(UtcTime::rfc3339);
    let stamped = signature.stamped_at.map(UtcTime::rfc3339);
    let final_from = match signature.standing {
        SignatureStanding::NotFinal { final_from } => Some(final_from.rfc3339()),
        _ => None,
    };
    let mut attributes = vec![
        ("xmlns:k", KEPD_NS),
        ("profile", signature.profile.word()),
        ("judgedAt", &judged),
        ("standing", signature.standing.word()),
    ];
    for (name, value) in [
        ("claimedAt", &claimed),
        ("stampedAt", &stamped),
        ("finalFrom", &final_from),
    ] {
        attributes.extend(value.as_deref().map(|value| (name, value)));
    }
    w.element("rem:AdditionalDetails", &[], |w| {
        w.element(&format!("k:{ELEMENT}"), &attributes, |w| {
            w.text_element("k:Signer", &[], &signature.signer);
            w.text_element("k:Issuer", &[], &signature.issuer);
            let digest = STANDARD.encode(signature.certificate_sha256);
            w.text_element("k:CertificateDigest", &[("algorithm", SHA256_URI)], &digest);
        });
    });
}

/// What ours say; content of others is left in the document.
pub(super) fn read(details: Node<'_, '_>) -> Option<PersonSignature> {
    let node = details.children().find(|n| n.has_tag_name((KEPD_NS, ELEMENT)))?;
    let moment = |name| attribute(node, name).and_then(UtcTime::parse_rfc3339);
    let text = |name: &str| -> Option<String> {
        let named = node.children().find(|n| n.has_tag_name((KEPD_NS, name)))?;
        Some(named.text().unwrap_or_default().to_owned())
    };
    let digest = STANDARD.decode(text("CertificateDigest")?.trim()).ok()?;
    Some(PersonSignature {
        profile: SignatureProfile::from_word(attribute(node, "profile")?)?,
        signer: text("Signer")?,
        issuer: text("Issuer")?,
        certificate_sha256: digest.try_into().ok()?,
        claimed_at: moment("claimedAt"),
        stamped_at: moment("stampedAt"),
        judged_at: moment("judgedAt")?,
        standing: match attribute(node, "standing")? {
            "final" => SignatureStanding::Final,
            "not-final" => SignatureStanding::NotFinal {
                final_from: moment("finalFrom")?,
            },
            "not-asked" => SignatureStanding::NotAsked,
            _ => return None,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::evidence::{Event, EvidenceKind};
    use crate::rem::evidence::{tests as samples, write};
    use crate::rem::evidence_read;

    #[test]
    fn it_stands_in_the_senders_authentication_and_comes_back() {
        let moment = UtcTime::from_unix_s;
        let plain = PersonSignature {
            profile: SignatureProfile::P1,
            signer: "AYŞE <Ö>".into(),
            issuer: "Deneme & NES".into(),
            certificate_sha256: [9; 32],
            claimed_at: None,
            stamped_at: None,
            judged_at: moment(1_795_466_705),
            standing: SignatureStanding::NotAsked,
        };
        let full = PersonSignature {
            profile: SignatureProfile::P4,
            claimed_at: Some(moment(1)),
            stamped_at: Some(moment(2)),
            standing: SignatureStanding::Final,
            ..plain.clone()
        };
        let open = PersonSignature {
            standing: SignatureStanding::NotFinal {
                final_from: moment(3),
            },
            ..full.clone()
        };
        let mut documents = Vec::new();
        for signature in [plain, full, open] {
            let mut facts = samples::facts(EvidenceKind::SubmissionAcceptanceRejection, Event::Acceptance);
            facts.sender_authentication.as_mut().unwrap().signature = Some(signature.clone());
            let xml = write(&facts).unwrap().xml;
            let read = evidence_read::read(&xml)
                .unwrap()
                .facts
                .sender_authentication
                .unwrap();
            assert_eq!(read.signature, Some(signature));
            assert_eq!(crate::rem::schema::check(&xml), Ok(()));
            documents.push(xml);
        }
        assert_eq!(samples::xmllint(&documents), vec![None; 3]);
    }
}
