//! `kepctl evidence verify`: what is to be thought of documents, from their files and the trust material alone.
//!
//! An `.xml` is one evidence document. A message (`.eml`) is a dispatch or an evidence message: its envelope is judged
//! (there `schema` says whether it has the form of one), and each evidence document in it. Nothing is asked of a
//! network; revocation is not looked at.

use super::show;
use crate::cms::{ContentDigest, DigestAlgorithm, signed};
use crate::control::protocol::{Record, Verify};
use crate::mime::Structure;
use crate::rem::open::{self, Opened};
use crate::rem::schema;
use crate::seal::{Finding, Findings, TrustStore, verify_entity, verify_evidence};
use std::fmt::Write as _;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Largest file judged: a dispatch of the largest size, and room.
const FILE_MAX_OCTETS: u64 = 64 * 1024 * 1024;
/// Name of the folder of trust material in an export bundle.
const TRUST_FOLDER: &str = "trust";

/// Said of a message whose visible header was changed.
const OUTER_NOT_STATED: &str =
    "the outer header is not what the evidence states (the outer header is not covered by the signature)";

/// One document and what was found on it.
struct Judged {
    /// The file, and the piece of it.
    name: String,
    findings: Findings,
    signer: Option<String>,
    stamp_time: Option<String>,
    /// The signature holds and carries no time-stamp at all.
    unstamped: bool,
}

/// The findings as text, and whether all are ok. The error is a sentence: nothing could be judged.
pub(super) fn verify(wish: &Verify, json: bool) -> Result<(String, bool), String> {
    let mut judged = Vec::new();
    for file in &wish.files {
        let trust = trust_for(file, wish.trust.as_deref())?;
        let octets = read(file)?;
        let name = file.display().to_string();
        let found = match octets.iter().find(|b| !b.is_ascii_whitespace()) {
            // A byte order mark, or the first of an XML document; no header field begins with either.
            Some(b'<' | 0xef) => vec![judge_evidence(name, &octets, &trust)],
            _ => judge_message(name, &octets, &trust),
        };
        judged.extend(found);
    }
    let all_ok = judged.iter().all(|j| j.findings.all_ok());
    let text = if json {
        let records: Vec<Record> = judged.iter().map(record).collect();
        show::pretty(&records)?
    } else {
        judged.iter().map(words).collect()
    };
    Ok((text, all_ok))
}

/// Whether every document holds, all four findings of it.
pub fn verified(files: &[PathBuf], trust: &Path) -> Result<bool, String> {
    let wish = Verify {
        files: files.to_vec(),
        trust: Some(trust.to_owned()),
        offline: true,
    };
    verify(&wish, false).map(|(_, all_ok)| all_ok)
}

fn read(file: &Path) -> Result<Vec<u8>, String> {
    let name = file.display();
    let mut octets = Vec::new();
    let opened = std::fs::File::open(file);
    opened
        .and_then(|f| f.take(FILE_MAX_OCTETS + 1).read_to_end(&mut octets))
        .map_err(|e| format!("{name} cannot be read: {e}"))?;
    if octets.len() as u64 > FILE_MAX_OCTETS {
        return Err(format!("{name} has more than {FILE_MAX_OCTETS} octets"));
    }
    Ok(octets)
}

/// The folder that was named, or the one of the export bundle the file lies in. None: an empty store.
fn trust_for(file: &Path, named: Option<&Path>) -> Result<TrustStore, String> {
    let mut store = TrustStore::new();
    let beside = || {
        let folder = file.parent()?;
        let folders = [folder.join(TRUST_FOLDER), folder.join("..").join(TRUST_FOLDER)];
        folders.into_iter().find(|f| f.is_dir())
    };
    let Some(folder) = named.map(PathBuf::from).or_else(beside) else {
        return Ok(store);
    };
    store.add_path(&folder).map_err(|e| e.to_string())?;
    Ok(store)
}

fn judge_evidence(name: String, octets: &[u8], trust: &TrustStore) -> Judged {
    let report = verify_evidence(octets, trust, schema::check);
    Judged {
        name,
        findings: without_anchors(report.findings, trust),
        signer: report.signer.map(|s| s.subject),
        stamp_time: report.stamp_time.map(|t| t.to_string()),
        unstamped: false,
    }
}

fn judge_message(name: String, octets: &[u8], trust: &TrustStore) -> Vec<Judged> {
    let structure = Structure::of(octets);
    let header = structure
        .root()
        .and_then(|root| root.header.of(octets))
        .unwrap_or_default();
    let opened = open::open(&structure, header, |span| span.of(octets).map(<[u8]>::to_vec));
    let (sealed, is_dispatch) = match opened {
        Ok(Opened::Dispatch { sealed, .. }) => (sealed, true),
        Ok(Opened::Evidence { sealed }) => (sealed, false),
        Err(why) => {
            let unknown = || Finding::Unknown("the message could not be opened".into());
            return vec![Judged {
                name,
                findings: Findings {
                    schema: Finding::Failed(why.to_string()),
                    signature: unknown(),
                    trust: unknown(),
                    timestamp: unknown(),
                },
                signer: None,
                stamp_time: None,
                unstamped: false,
            }];
        }
    };
    let entity = sealed.signed_entity.of(octets).unwrap_or_default();
    let mut envelope = judge_entity(format!("{name} (envelope)"), entity, &sealed.signature_der, trust);
    if !sealed.outer_is_stated(header, is_dispatch) {
        envelope.findings.schema = Finding::Failed(OUTER_NOT_STATED.into());
    }
    let numbered = sealed.evidence.iter().enumerate();
    let evidence: Vec<Judged> = numbered
        .map(|(n, xml)| judge_evidence(format!("{name} (evidence {})", n + 1), xml, trust))
        .collect();
    // Around evidence a stamp of the envelope's own is optional (TR 103 071): each document inside has one.
    let stamped_inside = !evidence.is_empty() && evidence.iter().all(|e| e.findings.timestamp.is_ok());
    if !is_dispatch && envelope.unstamped && stamped_inside {
        envelope.findings.timestamp = Finding::Ok;
    }
    std::iter::once(envelope).chain(evidence).collect()
}

fn judge_entity(name: String, entity: &[u8], signature_der: &[u8], trust: &TrustStore) -> Judged {
    // A signature that cannot be read is judged all the same, and fails with its reason.
    let algorithm = signed::digest_algorithm(signature_der).unwrap_or(DigestAlgorithm::Sha256);
    let report = verify_entity(ContentDigest::of(algorithm, entity), signature_der, trust);
    let unstamped = report.signature.is_ok() && matches!(report.timestamp, Finding::Unknown(_));
    let findings = Findings {
        schema: Finding::Ok,
        signature: report.signature,
        trust: report.trust,
        timestamp: report.timestamp,
    };
    Judged {
        name,
        findings: without_anchors(findings, trust),
        signer: report.signer.map(|s| s.subject),
        stamp_time: report.stamp_time.map(|t| t.to_string()),
        unstamped,
    }
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

fn four(findings: &Findings) -> [(&'static str, &Finding); 4] {
    [
        ("schema", &findings.schema),
        ("signature", &findings.signature),
        ("trust", &findings.trust),
        ("timestamp", &findings.timestamp),
    ]
}

fn record(judged: &Judged) -> Record {
    let mut record = Record::new().text("file", &judged.name);
    for (name, finding) in four(&judged.findings) {
        record = record.text(name, finding);
    }
    record
        .with("signer", judged.signer.clone())
        .with("stamp_time", judged.stamp_time.clone())
        .with("ok", judged.findings.all_ok())
}

fn words(judged: &Judged) -> String {
    let mut text = format!("{}\n", judged.name);
    for (name, finding) in four(&judged.findings) {
        let _ = writeln!(text, "  {name}: {finding}");
    }
    if let Some(signer) = &judged.signer {
        let _ = writeln!(text, "  sealed by {signer}");
    }
    if let Some(time) = &judged.stamp_time {
        let _ = writeln!(text, "  stamped at {time}");
    }
    text
}
