//! Evidence documents: every legal event, valid by the schema, and read back as written.

use super::*;
use crate::clock::UtcTime;
use crate::domain::evidence::*;
use crate::id::EvidenceId;
use crate::rem::evidence_read::read;
use proptest::option;
use proptest::prelude::*;
use std::process::Command;
use uuid::Uuid;

pub(crate) fn facts(kind: EvidenceKind, event: Event) -> EvidenceFacts {
    EvidenceFacts {
        id: EvidenceId(Uuid::from_u128(7)),
        kind,
        event,
        reasons: if event.is_positive() {
            vec![]
        } else {
            vec![ReasonDetail {
                reason: Reason::RetentionPeriodExpired,
                details: Some("24 saat <doldu> & bitti".into()),
            }]
        },
        policy_ids: vec!["urn:oid:2.16.792.0.0".into()],
        issuer: Issuer {
            name: "Örnek KEPHS".into(),
            street: "Atatürk Bulvarı 1".into(),
            locality: "Ankara".into(),
            postal_code: "06000".into(),
            country: "TR".into(),
            electronic_address: "kep@hs01.kep.test".into(),
            certificate_der: Some(vec![0x30, 0x03, 0x02, 0x01, 0x05]),
        },
        event_time: UtcTime::from_unix_ms(1_795_466_705_120),
        submission_time: Some(UtcTime::from_unix_s(1_795_466_700)),
        sender: Party {
            address: "ornekas@hs01.kep.test".into(),
            display: Some("Örnek A.Ş.".into()),
            organisation: Some("Örnek Anonim Şirketi".into()),
        },
        recipients: vec![
            Party {
                address: "alici@hs02.kep.test".into(),
                ..Party::default()
            },
            Party {
                address: "b@hs02.kep.test".into(),
                display: Some("B \"b\"".into()),
                organisation: None,
            },
        ],
        refers_to_recipient: kind.is_per_recipient().then_some(2),
        message: MessageFacts {
            subject: "Teklif \u{1} <5>".into(),
            ua_message_id: Some("<1@x>".into()),
            rem_message_id: "<2@hs01.kep.test>".into(),
            original_sha256: Some([7; 32]),
        },
        sender_authentication: Some(SenderAuthentication {
            method: AuthMethod::QES,
            time: UtcTime::from_unix_s(1),
            signature: None,
        }),
        transaction_log: vec!["250 2.0.0 Ok".into()],
        extensions: vec![
            Extension::DeemedRead {
                at: UtcTime::from_unix_s(5),
                after_s: 86_400,
            },
            Extension::Note {
                name: "not".into(),
                text: "şğ".into(),
            },
        ],
        reply_to: Some("ornekas@hs01.kep.test".into()),
    }
}

pub(crate) fn schema_path() -> String {
    format!(
        "{}/tests/schemas/rem-02640-xades2024/rem-all.xsd",
        env!("CARGO_MANIFEST_DIR")
    )
}

/// The verdict of libxml2 for many documents in one run: `None` is valid, else its words.
pub(crate) fn xmllint(documents: &[Vec<u8>]) -> Vec<Option<String>> {
    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new("xmllint");
    command
        .args(["--nonet", "--noout", "--schema", &schema_path()])
        .current_dir(dir.path());
    for (n, document) in documents.iter().enumerate() {
        let name = format!("d{n}.xml");
        std::fs::write(dir.path().join(&name), document).unwrap();
        command.arg(name);
    }
    let output = command.output().expect("xmllint (libxml2-utils) is installed");
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    let verdict = |n: usize| {
        if words.lines().any(|line| line == format!("d{n}.xml validates")) {
            return None;
        }
        let about = format!("d{n}.xml");
        let lines: Vec<&str> = words.lines().filter(|line| line.starts_with(&about)).collect();
        assert!(!lines.is_empty(), "xmllint said nothing of document {n}: {words}");
        Some(lines.join("\n"))
    };
    (0..documents.len()).map(verdict).collect()
}

#[test]
fn every_legal_pair_is_valid_for_xmllint_and_comes_back() {
    let all: Vec<EvidenceFacts> = legal_pairs().map(|(kind, event)| facts(kind, event)).collect();
    let documents: Vec<Vec<u8>> = all.iter().map(|f| write(f).unwrap().xml).collect();
    for (n, verdict) in xmllint(&documents).into_iter().enumerate() {
        assert_eq!(verdict, None, "{:?} {:?}", all[n].kind, all[n].event);
    }
    for (mut facts, document) in all.into_iter().zip(documents) {
        let back = read(&document).unwrap();
        facts.message.subject = "Teklif \u{fffd} <5>".into();
        assert_eq!(back.facts, facts);
        assert!(!back.signed);
        assert_eq!(
            back.root_id.as_deref(),
            Some("_00000000-0000-0000-0000-000000000007")
        );
    }
}

#[test]
fn any_kep_address_is_a_valid_uri() {
    let mut facts = facts(EvidenceKind::SubmissionAcceptanceRejection, Event::Acceptance);
    facts.sender.address = "a%b#c{d}|e^f`g'h&i=j?k/l*m~%23@hs01.kep.test".into();
    facts.recipients[0].address = "%@hs01.kep.test".into();
    let xml = write(&facts).unwrap().xml;
    assert_eq!(xmllint(std::slice::from_ref(&xml)), [None]);
    assert_eq!(crate::rem::schema::check(&xml), Ok(()));
    let back = read(&xml).unwrap().facts;
    assert_eq!(
        (back.sender, &back.recipients[0]),
        (facts.sender, &facts.recipients[0])
    );
}

#[test]
fn illegal_facts_are_refused() {
    let good = facts(EvidenceKind::RelayREMMDFailure, Event::DeliveryExpiration);
    assert_eq!(write(&good).unwrap().replaced_chars, 1);
    let bad = EvidenceFacts {
        event: Event::Delivery,
        ..good.clone()
    };
    assert!(matches!(write(&bad), Err(FactsError::IllegalPair(..))));
    let bad = EvidenceFacts {
        refers_to_recipient: Some(3),
        ..good.clone()
    };
    assert_eq!(write(&bad), Err(FactsError::NoSuchRecipient(3)));
    let bad = EvidenceFacts {
        recipients: vec![],
        ..good
    };
    assert_eq!(write(&bad), Err(FactsError::NoRecipient));
}

#[test]
fn documents_of_others_are_read() {
    let sample = |name: &str| {
        std::fs::read(format!(
            "{}/tests/schemas/samples/{name}",
            env!("CARGO_MANIFEST_DIR")
        ))
        .unwrap()
    };
    let tsl = read(&sample("own-minimal-with-tsl-electronic-address.xml")).unwrap();
    assert_eq!(tsl.facts.recipients[0].address, "b@hs01.kep.tr");
    assert_eq!(tsl.facts.sender_authentication.unwrap().method, AuthMethod::QES);
    let vefa = read(&sample("vefa-sample-signed-rem.xml")).unwrap();
    assert!(vefa.signed);
    assert_eq!(vefa.facts.event, Event::Acceptance);
    let other = read(&sample("muell16-submission-acceptance-signed.xml")).unwrap();
    assert_eq!(other.facts.kind, EvidenceKind::SubmissionAcceptanceRejection);
}

#[test]
fn hostile_documents_are_refused() {
    let entity = b"<!DOCTYPE a [<!ENTITY e \"x\">]><rem:RelayREMMDFailure xmlns:rem=\"http://uri.etsi.org/02640/v2#\"/>";
    assert!(read(entity).unwrap_err().contains("DTD"), "{:?}", read(entity));
    assert!(read(&vec![b' '; crate::rem::XML_MAX_OCTETS + 1]).is_err());
    assert!(read(b"<a/>").is_err());
    assert!(read(b"\xff").is_err());
}

#[test]
fn deep_and_wide_documents_end_soon() {
    let head = "<rem:RelayREMMDFailure xmlns:rem=\"http://uri.etsi.org/02640/v2#\"";
    let deep = format!("{head}>{}", "<a>".repeat(15_000));
    assert!(read(deep.as_bytes()).is_err());
    let deep = format!(
        "{head}>{}{}</rem:RelayREMMDFailure>",
        "<a>".repeat(15_000),
        "</a>".repeat(15_000)
    );
    assert!(read(deep.as_bytes()).is_err());
    let wide: String = (0..90_000).map(|n| format!(" a{n}=\"\"")).collect();
    assert!(read(format!("{head}{wide}/>").as_bytes()).is_err());
    let wide: String = (0..40_000).map(|n| format!(" xmlns:a{n}=\"u\"")).collect();
    assert!(read(format!("{head}{wide}/>").as_bytes()).is_err());
}

fn some_text() -> impl Strategy<Value = String> {
    // What XML can hold; line ends included.
    "[ -~ışğİÖ€😀\n\r\t]{0,30}"
}

prop_compose! {
    fn party()(
        address in "[a-z]{1,8}@[a-z]{1,8}\\.tr",
        display in option::of("[ -~ışğ\t\n]{1,20}"),
        organisation in option::of("[!-~ışğ]{1,20}"),
    ) -> Party {
        Party { address, display, organisation }
    }
}

prop_compose! {
    fn any_facts()(
        pair in 0usize..18, id in any::<u128>(), time in 0i64..4_000_000_000_000, digest in option::of(any::<[u8; 32]>()),
        recipients in proptest::collection::vec(party(), 1..5), sender in party(), which in option::of(1u32..5),
        subject in some_text(), ua in option::of(some_text()), log in proptest::collection::vec(some_text(), 0..3),
        reasons in proptest::collection::vec((1u8..=22, option::of(some_text())), 0..3),
        note in option::of((some_text(), some_text())), submission in option::of(0i64..4_000_000_000),
        certificate in option::of(proptest::collection::vec(any::<u8>(), 1..40)),
    ) -> EvidenceFacts {
        let (kind, event) = legal_pairs().nth(pair).unwrap();
        let reasons = reasons.into_iter();
        EvidenceFacts {
            id: EvidenceId(Uuid::from_u128(id)),
            event_time: UtcTime::from_unix_ms(time),
            submission_time: submission.map(UtcTime::from_unix_s),
            refers_to_recipient: which.map(|n| n.min(recipients.len() as u32)),
            recipients,
            sender,
            message: MessageFacts { subject, ua_message_id: ua, rem_message_id: "r".into(), original_sha256: digest },
            transaction_log: log,
            reasons: reasons
                .map(|(code, details)| ReasonDetail { reason: Reason::from_code(code).unwrap(), details })
                .collect(),
            extensions: note.into_iter().map(|(name, text)| Extension::Note { name, text }).collect(),
            issuer: Issuer { certificate_der: certificate, ..facts(kind, event).issuer },
            ..facts(kind, event)
        }
    }
}

proptest! {
    #[test]
    fn writing_and_reading_are_inverses(facts in any_facts()) {
        let document = write(&facts).unwrap();
        prop_assert_eq!(&write(&facts).unwrap(), &document);
        prop_assert_eq!(crate::rem::schema::check(&document.xml), Ok(()));
        prop_assert_eq!(read(&document.xml).unwrap().facts, facts);
    }
}

/// The order of attributes is not signed, so an attribute of a foreign namespace must never be read for ours.
#[test]
fn an_attribute_of_another_namespace_is_not_read() {
    let xml = "<k:Note xmlns:k='urn:kepd:rem-extensions:1' xmlns:x='urn:x' x:name='b' name='a' x:other='c'/>";
    let document = roxmltree::Document::parse(xml).unwrap();
    let read = |name| crate::rem::attribute(document.root_element(), name);
    assert_eq!((read("name"), read("other")), (Some("a"), None));
}
