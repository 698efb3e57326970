//! Receipts, read back by our own reader and by Python's.

use super::*;
use crate::clock::UtcTime;
use crate::cms::DigestAlgorithm;
use crate::cms::algorithm::sha256;
use crate::domain::evidence::{Event, EvidenceKind};
use crate::mime::mailbox::parse_list;
use crate::mime::{Section, Structure};
use crate::rem::evidence;
use crate::rem::evidence::tests::facts;
use crate::rem::notice::receipt::{Told, receipt_intro};
use crate::rem::open::{Opened, open_octets};
use std::process::Command;
use uuid::Uuid;

const ORIGINAL: &[u8] = "From: ornekas@hs01.kep.test\r\nSubject: a\r\nMIME-Version: 1.0\r\n\
    Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nmetin ş\r\n--b--\r\nson"
    .as_bytes();
const ATTESTATION: &[u8] = b"From: kep@hs02.kep.test\r\nContent-Type: multipart/signed; boundary=s\r\n\r\n--s\r\n\r\nx\r\n--s--\r\n\r\n";

fn part(file: &str) -> PartDigest {
    PartDigest {
        part: "1.2".into(),
        media_type: "application/pdf".into(),
        file: Some(file.into()),
        encoding: Some("base64".into()),
        octets: 12,
        sha256: "aa".into(),
        decoded_octets: Some(9),
        decoded_sha256: Some("bb".into()),
    }
}

/// The whole message, and the octets that are signed.
fn built(enclosed: Enclosed<'_>, told: Told<'_>, attested: bool) -> (Vec<u8>, Vec<u8>) {
    let kind = EvidenceKind::DeliveryNonDeliveryToRecipient;
    let facts = facts(kind, Event::Delivery);
    let xml = evidence::write(&facts).unwrap().xml;
    let to = parse_list(b"ornekas@hs01.kep.test");
    let parts = build(&Receipt {
        outer: Outer {
            from: "kep@hs01.kep.test",
            from_display: "hs01".into(),
            reply_to: None,
            to: &to,
            cc: &[],
            subject: "KEP Delili",
            date: UtcTime::from_unix_s(1_795_466_705),
            message_id: "<r@hs01.kep.test>",
            original_message_id: Some("<1@x>"),
            rem_message_id: "<2@hs01.kep.test>",
            original_sha256: Some(&sha256(ORIGINAL)),
            evidence: Some((kind, Event::Delivery, "of another, \r\nBcc: x@y".into())),
            boundary_id: Uuid::from_u128(9),
            digest: DigestAlgorithm::Sha256,
        },
        intro: receipt_intro(&facts, told, "0a0b", attested.then_some("hs02")),
        evidence: EvidencePart { kind, xml: &xml },
        extensions: b"<x/>",
        enclosed,
        attestation_is_8bit: attested.then_some(false),
    });
    let entity: Vec<u8> = parts
        .entity
        .iter()
        .flat_map(|run| match run {
            Run::Octets(octets) => octets.clone(),
            Run::Attestation => ATTESTATION.to_vec(),
            Run::Original => ORIGINAL.to_vec(),
        })
        .collect();
    let message = [
        parts.outer_header.as_slice(),
        &entity,
        &parts.signature_part(&[0x30, 1, 2]),
    ]
    .concat();
    (message, entity)
}

fn fetched<'a>(message: &'a [u8], path: &[u32]) -> &'a [u8] {
    let span = Structure::of(message).locate(path, Section::Full).unwrap();
    span.of(message).unwrap()
}

#[test]
fn a_full_receipt_carries_the_original_and_stays_a_receipt() {
    for attested in [false, true] {
        let (message, entity) = built(Enclosed::Original { is_8bit: true }, Told::Original, attested);
        let (_, opened) = open_octets(&message);
        let Ok(Opened::Evidence { sealed, original }) = opened else {
            panic!("{opened:?}")
        };
        assert_eq!(sealed.signed_entity.of(&message), Some(entity.as_slice()));
        assert_eq!(sealed.evidence.len(), 1);
        assert_eq!(original.unwrap().of(&message), Some(ORIGINAL));
        let last = if attested { [1, 5] } else { [1, 4] };
        assert_eq!(fetched(&message, &last), ORIGINAL);
        if attested {
            assert_eq!(fetched(&message, &[1, 4]), ATTESTATION);
        }
        let text = String::from_utf8_lossy(&message);
        // RFC 2045 6.4: the two multiparts around it, and itself; one in it says nothing of the kind.
        assert_eq!(text.matches("Content-Transfer-Encoding: 8bit\r\n").count(), 3);
        let map = Structure::of(&message);
        let named = |part: Option<&crate::mime::Part>| part.and_then(|p| p.encoding.clone());
        let both = [named(map.root()), named(map.part(&[1]))];
        assert_eq!(both.map(|e| e.unwrap_or_default()), ["8bit", "8bit"]);
        assert!(
            !text.contains("\r\nBcc:"),
            "an identifier of another starts no field"
        );
    }
}

#[test]
fn a_brief_receipt_holds_table_and_header_and_no_original() {
    let parts = [part("teklif <1>.pdf"), part("ek\r\n.pdf")];
    let header = b"Subject: \xc5\x9f\r\n\r\n";
    let enclosed = Enclosed::Parts {
        table: b"{\"parts\":[]}",
        header,
    };
    let (message, _) = built(enclosed, Told::Parts(&parts), true);
    let (_, opened) = open_octets(&message);
    let Ok(Opened::Evidence { original: None, .. }) = opened else {
        panic!("{opened:?}")
    };
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("m"), &message).unwrap();
    let script = "import sys,email\nm=email.message_from_binary_file(open(sys.argv[1],'rb'))\nm=m.get_payload(0)\n\
        t=m.get_payload(0).get_payload(0).get_payload(decode=True).decode()\n\
        h=m.get_payload(0).get_payload(1).get_payload(decode=True).decode()\n\
        print([p.get_filename() for p in m.get_payload()][1:])\n\
        print('1.2. teklif <1>.pdf (application/pdf)' in t, 'ek  .pdf' in t, 'teklif &lt;1&gt;.pdf' in h, h.count('<tr>'), '</table>' in h)\n\
        print(m.get_payload(3).get_payload(decode=True), m.get_payload(4).get_payload(decode=True))";
    let said = Command::new("python3")
        .args(["-c", script])
        .arg(dir.path().join("m"))
        .output();
    let said = String::from_utf8(said.unwrap().stdout).unwrap();
    let want = "['DeliveryNonDeliveryToRecipient.xml', 'REMExtensions.xml', 'parcalar.json', 'baslik.txt', \
        'saglayici-delil-iletisi.eml']\nTrue True True 3 True\nb'{\"parts\":[]}' b'Subject: \\xc5\\x9f\\r\\n\\r\\n'\n";
    assert_eq!(said, want);
}

#[test]
fn the_text_tells_at_most_a_hundred_parts() {
    let parts = vec![part("a.pdf"); 130];
    let facts = facts(EvidenceKind::DeliveryNonDeliveryToRecipient, Event::Delivery);
    let text = receipt_intro(&facts, Told::Parts(&parts), "0a", None);
    assert_eq!(text.plain.matches("a.pdf").count(), 100);
    assert!(text.plain.contains("30 bölüm daha") && text.html.contains("30 bölüm daha"));
}
