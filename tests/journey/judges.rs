//! Everything a road leaves is put before judges that are not ours, and before our own verifier, from the files alone;
//! then one octet of it is changed and all of them have to refuse.

use crate::outside::Court;
use crate::provider::{START, pki};
use crate::road::{message, pair};
use crate::walked::{ALICI, Files, later, left};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kepd::clock::UtcTime;
use kepd::cms::ContentDigest;
use kepd::cms::algorithm::{DigestAlgorithm, sha256};
use kepd::domain::audit_chain::hex;
use kepd::domain::evidence::{Event, EvidenceKind};
use kepd::id::{MailId, SystemIds};
use kepd::mime::Structure;
use kepd::rem::open::{Opened, open};
use kepd::rem::{evidence_read, schema};
use kepd::seal::trust::TrustStore;
use kepd::seal::verifier::{verify_entity, verify_evidence};
use kepd::service::failure::{Failure, Kind};
use kepd::service::submission::Accepted;
use std::collections::BTreeSet;
use std::time::Duration;

const HS01: &str = "hs01.kep.test";
const HS02: &str = "hs02.kep.test";

fn trust_of(pem: &[u8]) -> TrustStore {
    let mut trust = TrustStore::new();
    trust.add_pem_text(std::str::from_utf8(pem).unwrap()).unwrap();
    trust
}

/// Our verifier on a document.
fn our_evidence(xml: &[u8], trust: &TrustStore) -> Result<(), String> {
    let findings = verify_evidence(xml, trust, schema::check).findings;
    if findings.all_ok() {
        Ok(())
    } else {
        Err(format!("{findings:?}"))
    }
}

/// Our verifier on a message: the seal, each evidence in it, and the original against its evidence.
fn our_message(eml: &[u8], trust: &TrustStore, stamped: bool) -> Result<(), String> {
    let structure = Structure::of(eml);
    let header = structure
        .root()
        .ok_or("no root")?
        .header
        .of(eml)
        .ok_or("no header")?;
    let opened =
        open(&structure, header, |span| span.of(eml).map(<[u8]>::to_vec)).map_err(|e| e.to_string())?;
    let (sealed, original) = match &opened {
        Opened::Dispatch { sealed, original } => (sealed, original.of(eml)),
        Opened::Evidence { sealed, original } => (sealed, original.and_then(|o| o.of(eml))),
    };
    let entity = sealed.signed_entity.of(eml).ok_or("no entity")?;
    let algorithm = kepd::cms::signed::digest_algorithm(&sealed.signature_der).map_err(|e| e.to_string())?;
    if algorithm != DigestAlgorithm::Sha256 {
        return Err("another digest".to_owned());
    }
    let report = verify_entity(
        ContentDigest::Sha256(sha256(entity)),
        &sealed.signature_der,
        trust,
    );
    let stamp_holds = report.timestamp.is_ok() || !stamped;
    if !report.signature.is_ok() || !report.trust.is_ok() || !stamp_holds {
        return Err(format!("{report:?}"));
    }
    for xml in &sealed.evidence {
        our_evidence(xml, trust)?;
        let told = evidence_read::read(xml)?.facts.message.original_sha256;
        if original.is_some_and(|o| told != Some(sha256(o))) {
            return Err("another original".to_owned());
        }
    }
    Ok(())
}

fn evidence_files(files: &Files) -> impl Iterator<Item = (&String, &Vec<u8>)> {
    files.iter().filter(|(name, _)| name.starts_with("evidence/"))
}

/// The word of a document's issuer, by what the manifest says.
fn manifest(files: &Files) -> serde_json::Value {
    serde_json::from_slice(&files["manifest.json"]).unwrap()
}

fn issuer_of(files: &Files, name: &str) -> String {
    let manifest = manifest(files);
    let all = manifest["files"].as_array().unwrap();
    all.iter().find(|f| f["path"] == name).unwrap()["issuer"]
        .as_str()
        .unwrap()
        .to_owned()
}

fn check_bundle(files: &Files, original: &[u8]) {
    assert_eq!(files["original.eml"], original);
    for (name, xml) in evidence_files(files) {
        let pem = &files[&format!("trust/{}.pem", issuer_of(files, name))];
        assert_eq!(Court::new(pem, later()).evidence(xml), Ok(()), "{name}");
        assert_eq!(our_evidence(xml, &trust_of(pem)), Ok(()), "{name}");
        let facts = evidence_read::read(xml).unwrap().facts;
        assert_eq!(facts.message.original_sha256, Some(sha256(original)), "{name}");
    }
    assert_eq!(issuer_of(files, "dispatch.eml"), HS01);
    let pem = &files[&format!("trust/{HS01}.pem")];
    let heard = Court::new(pem, later())
        .opened(&files["dispatch.eml"], true)
        .unwrap();
    assert_eq!(heard.original.as_deref(), Some(original));
    let told = evidence_read::read(&heard.evidence).unwrap().facts;
    assert_eq!(
        (told.kind, told.event),
        (EvidenceKind::SubmissionAcceptanceRejection, Event::Acceptance)
    );
    assert_eq!(our_evidence(&heard.evidence, &trust_of(pem)), Ok(()));
    assert_eq!(our_message(&files["dispatch.eml"], &trust_of(pem), true), Ok(()));
}

fn check_manifest(files: &Files, mail: &str) {
    let manifest = manifest(files);
    assert_eq!(manifest["original_sha256"], hex(&sha256(&files["original.eml"])));
    assert_eq!(manifest["mail_id"], mail);
    let mut named = BTreeSet::from(["manifest.json".to_owned()]);
    for file in manifest["files"].as_array().unwrap() {
        let path = file["path"].as_str().unwrap();
        assert_eq!(file["sha256"], hex(&sha256(&files[path])), "{path}");
        assert_eq!(file["size"], files[path].len(), "{path}");
        assert!(named.insert(path.to_owned()), "{path} twice");
    }
    let there: BTreeSet<String> = files.keys().cloned().collect();
    assert_eq!(named, there);
}

#[tokio::test]
async fn both_bundles_hold_for_every_judge_from_their_files_alone() {
    let left = left().await;
    let kinds = |files: &Files| -> Vec<String> {
        let name = |n: &String| n.split_once('-').unwrap().1.trim_end_matches(".xml").to_owned();
        evidence_files(files).map(|(n, _)| name(n)).collect()
    };
    let road = [
        "RelayREMMDAcceptanceRejection",
        "DeliveryNonDeliveryToRecipient",
        "RetrievalNonRetrievalByRecipient",
        "AcceptanceRejectionByRecipient",
    ];
    let mut wanted = vec!["SubmissionAcceptanceRejection"];
    wanted.extend(road);
    let sorted = |mut list: Vec<String>| {
        list.sort();
        list
    };
    let owned = |list: &[&str]| sorted(list.iter().map(|s| (*s).to_owned()).collect());
    assert_eq!(sorted(kinds(&left.at_hs01)), owned(&wanted));
    assert_eq!(kinds(&left.at_hs01)[0], "SubmissionAcceptanceRejection");
    assert_eq!(kinds(&left.at_hs01)[3], "RetrievalNonRetrievalByRecipient");
    assert_eq!(kinds(&left.at_hs01)[4], "AcceptanceRejectionByRecipient");
    check_bundle(&left.at_hs01, &left.original);
    check_manifest(&left.at_hs01, &left.mail.to_string());
    // The recipient's side has the same dispatch and the same original, octet for octet.
    assert_eq!(left.at_hs02["dispatch.eml"], left.at_hs01["dispatch.eml"]);
    check_bundle(&left.at_hs02, &left.original);
    let consignment = manifest(&left.at_hs02)["mail_id"].as_str().unwrap().to_owned();
    check_manifest(&left.at_hs02, &consignment);
    // The submission is attested inside the dispatch; the recipient's account keeps what was issued here.
    assert_eq!(sorted(kinds(&left.at_hs02)), owned(&road));
    for (_, xml) in evidence_files(&left.at_hs02) {
        assert!(
            evidence_files(&left.at_hs01).any(|(_, other)| other == xml),
            "both sides hold the same octets"
        );
    }
}

#[tokio::test]
async fn the_approvals_tell_who_decided_what_on_which_octets() {
    let left = left().await;
    let list: serde_json::Value = serde_json::from_slice(&left.at_hs01["approvals.json"]).unwrap();
    let list = list.as_array().unwrap();
    let told: Vec<_> = list
        .iter()
        .map(|d| (d["actor"].as_str().unwrap(), d["role"].as_str()))
        .collect();
    let wanted = [
        ("onay1@ornekas", Some("Onay Rolü")),
        ("onay2@ornekas", Some("Onay Rolü2")),
        ("mudur@ornekas", None),
    ];
    assert_eq!(told, wanted);
    let digest = hex(&sha256(&left.at_hs01["original.eml"]));
    let fields = [
        "job_id",
        "rule",
        "rule_version",
        "step",
        "role",
        "actor",
        "decision",
        "route",
        "note",
        "at",
        "original_sha256",
    ];
    for (n, decision) in list.iter().enumerate() {
        let names: BTreeSet<&str> = decision.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names, BTreeSet::from(fields));
        assert_eq!(decision["original_sha256"], digest);
        assert_eq!(decision["job_id"], left.job.to_string());
        assert_eq!(
            (&decision["rule"], &decision["route"]),
            (&"Teklif".into(), &"kepctl".into())
        );
        assert_eq!(decision["note"], "Uygundur");
        let at = UtcTime::parse_rfc3339(decision["at"].as_str().unwrap()).unwrap();
        assert_eq!(at, START.plus(Duration::from_secs(60 * (n as u64 + 1))));
        assert!(decision["at"].as_str().unwrap().ends_with('Z'));
    }
    assert_ne!(list[0]["decision"], list[2]["decision"]);
    assert_eq!(
        list[0]["step"].as_u64().unwrap() + 1,
        list[1]["step"].as_u64().unwrap()
    );
}

#[tokio::test]
async fn every_kind_of_evidence_is_made_on_a_road_and_holds() {
    use Event as E;
    use EvidenceKind as K;
    let left = left().await;
    let made: BTreeSet<(EvidenceKind, Event)> = left.evidence.iter().map(|e| (e.1, e.2)).collect();
    let wanted = BTreeSet::from([
        (K::SubmissionAcceptanceRejection, E::Acceptance),
        (K::SubmissionAcceptanceRejection, E::Rejection),
        (K::RelayREMMDAcceptanceRejection, E::Acceptance),
        (K::RelayREMMDAcceptanceRejection, E::Rejection),
        (K::RelayREMMDFailure, E::DeliveryExpiration),
        (K::DeliveryNonDeliveryToRecipient, E::Delivery),
        (K::DeliveryNonDeliveryToRecipient, E::NonDelivery),
        (K::RetrievalNonRetrievalByRecipient, E::Retrieval),
        (K::RetrievalNonRetrievalByRecipient, E::RetrievalExpiration),
        (K::AcceptanceRejectionByRecipient, E::Acceptance),
        (K::AcceptanceRejectionByRecipient, E::Rejection),
    ]);
    assert_eq!(made, wanted);
    // Both sides hold most of them: each is judged once.
    let mut seen = BTreeSet::new();
    for (issuer, kind, event, xml) in left.evidence.iter().filter(|e| seen.insert(sha256(&e.3))) {
        let pem = &pki(issuer).ca.certificate_pem;
        let name = format!("{} {} by {issuer}", kind.element_name(), event.fragment());
        assert_eq!(
            Court::new(pem.as_bytes(), later()).evidence(xml),
            Ok(()),
            "{name}"
        );
        assert_eq!(our_evidence(xml, &trust_of(pem.as_bytes())), Ok(()), "{name}");
        let other = if issuer == HS01 { HS02 } else { HS01 };
        let stranger = trust_of(pki(other).ca.certificate_pem.as_bytes());
        assert!(
            our_evidence(xml, &stranger).is_err(),
            "{name} for the wrong anchors"
        );
    }
}

#[tokio::test]
async fn every_evidence_message_is_signed_and_carries_a_known_evidence() {
    let left = left().await;
    let mut seen = BTreeSet::new();
    for eml in left.messages.iter().filter(|m| seen.insert(sha256(m))) {
        let text = String::from_utf8_lossy(eml);
        let issuer = [HS01, HS02]
            .into_iter()
            .find(|d| text.lines().any(|l| l.starts_with("From:") && l.contains(d)));
        let issuer = issuer.unwrap_or_else(|| panic!("{text}"));
        let pem = &pki(issuer).ca.certificate_pem;
        let heard = Court::new(pem.as_bytes(), later()).opened(eml, false).unwrap();
        assert!(
            left.evidence
                .iter()
                .any(|e| e.3 == heard.evidence && e.0 == issuer)
        );
        assert_eq!(our_message(eml, &trust_of(pem.as_bytes()), false), Ok(()));
    }
    assert!(seen.len() >= 11, "{}", seen.len());
}

/// One octet made another, of the same kind: base64 stays base64, and markup mostly markup.
fn turned(octets: &[u8], at: usize) -> Option<Vec<u8>> {
    let other = match octets[at] {
        b'9' => b'8',
        b'Z' => b'Y',
        b'z' => b'y',
        digit @ b'0'..=b'8' => digit + 1,
        letter @ (b'A'..=b'Y' | b'a'..=b'y') => letter + 1,
        _ => return None,
    };
    let mut changed = octets.to_vec();
    changed[at] = other;
    Some(changed)
}

/// `count` positions, evenly over what lies between two marks; the last octets of a base64 text hold unused bits.
fn spread(octets: &[u8], from: &str, to: &str, count: usize) -> Vec<usize> {
    let find = |mark: &str, after: usize| {
        let found = octets[after..]
            .windows(mark.len())
            .position(|w| w == mark.as_bytes());
        found.unwrap_or_else(|| panic!("no {mark}")) + after
    };
    let start = find(from, 0) + from.len();
    let end = find(to, start).saturating_sub(4);
    assert!(end > start + count, "{from} {to}");
    let turnable = |at: &usize| octets[*at].is_ascii_alphanumeric();
    (0..count)
        .filter_map(|n| (start + n * (end - start) / count..end).find(turnable))
        .collect()
}

#[tokio::test]
async fn one_octet_of_an_evidence_changed_and_nobody_accepts_it() {
    let left = left().await;
    let pem = &left.at_hs01[&format!("trust/{HS02}.pem")];
    let (court, trust) = (Court::new(pem, later()), trust_of(pem));
    let (_, xml) = evidence_files(&left.at_hs01)
        .find(|(name, _)| name.contains("Delivery"))
        .unwrap();
    assert_eq!(court.evidence(xml), Ok(()));
    let places = [
        (
            "values",
            "<rem:DeliveryNonDeliveryToRecipient",
            "<ds:Signature",
            12,
        ),
        ("SignedInfo", "<ds:SignedInfo", "</ds:SignedInfo>", 6),
        ("signature value", "<ds:SignatureValue", "</ds:SignatureValue>", 6),
        ("certificate", "<ds:X509Certificate>", "</ds:X509Certificate>", 8),
        (
            "signed properties",
            "<xades:SignedProperties",
            "</xades:SignedProperties>",
            6,
        ),
    ];
    let mut tried = 0;
    for (name, from, to, count) in places {
        for at in spread(xml, from, to, count) {
            let changed = turned(xml, at).unwrap();
            let around = String::from_utf8_lossy(&xml[at.saturating_sub(20)..at + 20]).into_owned();
            assert!(
                court.evidence(&changed).is_err(),
                "{name} at {at}: the judges outside accept …{around}…"
            );
            assert!(
                our_evidence(&changed, &trust).is_err(),
                "{name} at {at}: our verifier accepts …{around}…"
            );
            tried += 1;
        }
    }
    assert!(tried >= 36, "{tried}");
    tokens_changed(xml, &court, &trust);
}

/// Changes the token octet by octet: whatever openssl refuses we refuse.
fn tokens_changed(xml: &[u8], court: &Court, trust: &TrustStore) {
    let text = std::str::from_utf8(xml).unwrap();
    let at = text.find("EncapsulatedTimeStamp").unwrap();
    let from = at + text[at..].find('>').unwrap() + 1;
    let to = from + text[from..].find('<').unwrap();
    let token = STANDARD
        .decode(text[from..to].split_whitespace().collect::<String>())
        .unwrap();
    let mut refused = 0;
    let every = token.len() / 40;
    for n in 0..40 {
        let mut changed = token.clone();
        changed[n * every + every / 2] ^= 1;
        let document = [&text[..from], &STANDARD.encode(&changed), &text[to..]].concat();
        let theirs = court.evidence(document.as_bytes());
        let ours = our_evidence(document.as_bytes(), trust);
        if theirs.is_err() {
            refused += 1;
            assert!(
                ours.is_err(),
                "octet {} of the token: openssl says {theirs:?}, we accept",
                n * every + every / 2
            );
        }
    }
    assert!(refused >= 36, "{refused} of 40");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dispatch_that_is_called_something_else_is_judged_as_the_dispatch_it_is() {
    let left = left().await;
    let trust = trust_of(&left.at_hs01[&format!("trust/{HS01}.pem")]);
    let genuine = String::from_utf8(left.at_hs01["dispatch.eml"].clone()).unwrap();
    let called = genuine.replacen("X-REM-Msg-Type: Dispatch", "X-REM-Msg-Type: Message", 1);
    let shown = called.replacen("\r\nSubject: ", "\r\nSubject: Baska ", 1);
    assert!(called != genuine && shown != called);
    for (message, holds) in [(genuine, true), (called, true), (shown, false)] {
        let judged = kepd::validation::judge("m.eml", message.as_bytes(), None, &trust);
        let envelope = &judged[0];
        assert_eq!(envelope.piece, kepd::validation::Piece::Dispatch);
        assert!(envelope.findings.signature.is_ok() && envelope.findings.timestamp.is_ok());
        assert_eq!(
            envelope.findings.schema.is_ok(),
            holds,
            "{:?}",
            envelope.findings.schema
        );
    }
}

#[tokio::test]
async fn one_octet_of_a_dispatch_changed_and_nobody_accepts_it() {
    let left = left().await;
    let pem = &left.at_hs01[&format!("trust/{HS01}.pem")];
    let (court, trust) = (Court::new(pem, later()), trust_of(pem));
    let eml = &left.at_hs01["dispatch.eml"];
    assert!(court.message(eml, true).is_ok());
    let places = [
        (
            "introduction",
            "Content-Type: multipart/mixed",
            "Content-Type: application/xml",
            6,
        ),
        (
            "evidence and extensions",
            "Content-Type: application/xml",
            "Content-Type: message/rfc822",
            8,
        ),
        (
            "original",
            "X-REM-Section-Type: Original Message\r\n\r\n",
            "Content-Type: application/pkcs7-signature",
            12,
        ),
    ];
    for (name, from, to, count) in places {
        for at in spread(eml, from, to, count) {
            let changed = turned(eml, at).unwrap();
            assert!(
                court.message(&changed, true).is_err(),
                "{name} at {at}: the judges outside accept"
            );
            assert!(
                our_message(&changed, &trust, true).is_err(),
                "{name} at {at}: our verifier accepts"
            );
        }
    }
    // The signature with its token: some octets of a CMS are covered by nothing (algorithm lists, lengths that repeat).
    let text = String::from_utf8_lossy(eml);
    let part = text.find("Content-Type: application/pkcs7-signature").unwrap();
    assert_eq!(text.len(), eml.len(), "the message is UTF-8");
    let from = part + text[part..].find("\r\n\r\n").unwrap() + 4;
    let to = from + text[from..].find("\r\n--").unwrap();
    let der = STANDARD
        .decode(text[from..to].split_whitespace().collect::<String>())
        .unwrap();
    let (mut refused, every) = (0, der.len() / 40);
    for n in 0..40 {
        let at = n * every + every / 2;
        let mut changed = der.clone();
        changed[at] ^= 1;
        let lines = String::from_utf8(kepd::mime::compose::base64_lines(&changed)).unwrap();
        let message = [&eml[..from], lines.trim_end().as_bytes(), &eml[to..]].concat();
        if let Err(theirs) = court.message(&message, true) {
            refused += 1;
            assert!(
                our_message(&message, &trust, true).is_err(),
                "octet {at}: openssl says {theirs}, we accept"
            );
        }
    }
    assert!(refused >= 36, "{refused} of 40");
}

#[tokio::test]
async fn an_export_is_written_once_and_only_of_what_there_is() {
    let pair = pair().await;
    let p = &pair.hs01;
    let Ok(Accepted::Sent { mail }) = p
        .submit("mudur@ornekas", &[ALICI], &message("Duyuru", ALICI))
        .await
    else {
        panic!("not sent")
    };
    let tenant = p.tenant("ornekas");
    pair.work().await;
    p.archive.export(tenant, mail, pair.dir.path()).await.unwrap();
    let again = p.archive.export(tenant, mail, pair.dir.path()).await;
    assert!(matches!(again, Err(Failure::Refused(_))), "{again:?}");
    let unknown = p
        .archive
        .export(tenant, MailId::fresh(&SystemIds), pair.dir.path())
        .await;
    assert!(matches!(unknown, Err(Failure::Refused(r)) if r.kind == Kind::NotFound));
    // Another tenant cannot have it.
    pair.hs01.add_person("veli").await;
    let other = p.archive.export(p.tenant("veli"), mail, pair.dir.path()).await;
    assert!(matches!(other, Err(Failure::Refused(r)) if r.kind == Kind::NotFound));
}
