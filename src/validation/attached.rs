//! A mail that somebody wrote around documents he wants to know about: every sealed document attached to it is judged.
//!
//! Attached are XML files, mails (as `message/rfc822` or as a file `*.eml`), whatever mail client wrote them. A mail
//! that is no envelope may be the original that the documents speak of.

use super::{Basis, Judged, OriginalMatch, judge, judge_evidence};
use crate::cms::algorithm::sha256;
use crate::mime::{Part, PartKind, Structure, decode};
use crate::rem::XML_MAX_OCTETS;

/// Most documents judged of one mail: all evidence of a mail to a few hundred recipients.
pub const DOCUMENTS_MAX: usize = 500;

/// What was attached.
#[derive(Debug, Default)]
pub struct Attached {
    pub judged: Vec<Judged>,
    /// More was attached than [`DOCUMENTS_MAX`], and left alone.
    pub cut: bool,
}

/// Judges what is attached to a mail.
pub fn judge_attached<'a>(mail: &[u8], basis: impl Into<Basis<'a>>) -> Attached {
    let basis = basis.into();
    let structure = Structure::of(mail);
    let (mut xml, mut mails) = (Vec::new(), Vec::new());
    let mut out = Attached::default();
    if let Some(root) = structure.root() {
        collect(&structure, root, mail, &mut |part, octets| {
            if xml.len() + mails.len() >= DOCUMENTS_MAX {
                out.cut = true;
            } else if is_xml(part) {
                xml.push((name_of(part, "xml"), octets));
            } else {
                mails.push((name_of(part, "eml"), octets));
            }
        });
    }
    let (envelopes, originals): (Vec<_>, Vec<_>) =
        mails.into_iter().partition(|(_, octets)| is_envelope(octets));
    let originals: Vec<[u8; 32]> = originals.iter().map(|(_, octets)| sha256(octets)).collect();
    for (name, octets) in envelopes {
        out.judged.extend(judge(&name, &octets, None, basis));
    }
    for (name, octets) in xml {
        let judged = judge_evidence(name, &octets, None, basis);
        out.judged.push(compared(judged, &originals));
    }
    out
}

/// Holds a document against the originals that came with it: it speaks of one of them, or of another.
fn compared(judged: Judged, originals: &[[u8; 32]]) -> Judged {
    let stated = judged.facts.as_ref().and_then(|f| f.message.original_sha256);
    let mut judged = judged;
    if let Some(stated) = stated
        && !originals.is_empty()
    {
        judged.original = if originals.contains(&stated) {
            OriginalMatch::Same
        } else {
            OriginalMatch::Other
        };
    }
    judged
}

/// Walks to the parts that may be documents. What lies inside an attached mail is judged with that mail.
fn collect(structure: &Structure, part: &Part, mail: &[u8], take: &mut dyn FnMut(&Part, Vec<u8>)) {
    match part.kind {
        PartKind::Multipart => {
            for child in structure.children(part) {
                collect(structure, child, mail, take);
            }
        }
        PartKind::Message => {
            if let Some(octets) = part.body.of(mail) {
                take(part, octets.to_vec());
            }
        }
        PartKind::Leaf if is_xml(part) || is_mail_file(part) => {
            if let Some(body) = part.body.of(mail) {
                take(part, decode::transfer(part.encoding.as_deref(), body));
            }
        }
        PartKind::Leaf => {}
    }
}

fn has_ending(part: &Part, ending: &str) -> bool {
    let name = part.file_name().unwrap_or_default();
    let start = name.len().checked_sub(ending.len());
    start.is_some_and(|at| name.as_bytes()[at..].eq_ignore_ascii_case(ending.as_bytes()))
}

fn is_xml(part: &Part) -> bool {
    part.kind == PartKind::Leaf
        && part.body.octets() <= XML_MAX_OCTETS as u64 * 2
        && (part.is_type("application/xml") || part.is_type("text/xml") || has_ending(part, ".xml"))
}

fn is_mail_file(part: &Part) -> bool {
    has_ending(part, ".eml") || part.is_type("message/rfc822") || part.is_type("message/global")
}

/// Whether a mail is sealed: what is not is somebody's original.
fn is_envelope(octets: &[u8]) -> bool {
    Structure::of(octets)
        .root()
        .is_some_and(|root| root.is_type("multipart/signed"))
}

fn name_of(part: &Part, ending: &str) -> String {
    let named = part.file_name().filter(|name| !name.trim().is_empty());
    named.unwrap_or_else(|| format!("ek.{ending}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::TrustStore;

    fn mail(parts: &[&str]) -> Vec<u8> {
        let mut out = "From: a@b\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n".to_owned();
        for part in parts {
            out.push_str(&format!("--x\r\n{part}\r\n"));
        }
        (out + "--x--\r\n").into_bytes()
    }

    #[test]
    fn documents_are_found_however_a_client_attached_them() {
        let xml = "Content-Type: application/octet-stream; name=\"DELIL.XML\"\r\n\r\n<a/>";
        let typed = "Content-Type: text/xml\r\nContent-Transfer-Encoding: base64\r\n\r\nPGEvPg==";
        let note = "Content-Type: text/plain\r\n\r\n<a/> is not attached";
        let found = judge_attached(&mail(&[note, xml, typed]), &TrustStore::new());
        let names: Vec<&str> = found.judged.iter().map(|j| j.name.as_str()).collect();
        assert_eq!(names, ["DELIL.XML", "ek.xml"]);
        assert_eq!(found.judged[0].sha256, found.judged[1].sha256);
        assert!(
            judge_attached(&mail(&[note]), &TrustStore::new())
                .judged
                .is_empty()
        );
    }

    #[test]
    fn an_original_that_came_along_is_compared() {
        use base64::Engine as _;
        let original = "Subject: a\r\n\r\nb";
        let digest = base64::engine::general_purpose::STANDARD.encode(sha256(original.as_bytes()));
        let sample = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/schemas/samples/own-minimal-submission-acceptance.xml"
        );
        let document = std::fs::read_to_string(sample)
            .unwrap()
            .replace(">AAAA<", &format!(">{digest}<"));
        let document = format!("Content-Type: text/xml\r\n\r\n{document}");
        let found = |original: &str| {
            let attached = format!("Content-Type: message/rfc822\r\n\r\n{original}");
            let found = judge_attached(&mail(&[&document, &attached]), &TrustStore::new());
            assert_eq!(found.judged.len(), 1);
            found.judged[0].original
        };
        assert_eq!(found(original), OriginalMatch::Same);
        assert_eq!(found("Subject: c\r\n\r\nb"), OriginalMatch::Other);
    }
}
