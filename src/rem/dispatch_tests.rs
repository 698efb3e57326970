//! Dispatches and evidence messages, read back by our own reader and by others.

use super::*;
use crate::clock::UtcTime;
use crate::domain::evidence::{Event, EvidenceKind};
use crate::mime::mailbox::{Entry, parse_list};
use crate::mime::{Scanner, Structure};
use crate::rem::evidence::tests::facts;
use crate::rem::headers::MsgType;
use crate::rem::open::{NotAnEnvelope, Opened, open};
use crate::rem::{evidence, extensions, message, notice};
use std::process::Command;
use uuid::Uuid;

const ORIGINAL: &[u8] = "From: ayse <ornekas@hs01.kep.test>\r\nTo: alici@hs02.kep.test\r\nSubject: Teklif\r\n\
MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\nonsoz\r\n--b\r\n\r\nmetin\r\n--b\r\n\
Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\nAAEC\r\n--b--\r\nson\r\n\r\n"
    .as_bytes();
const CMS: &[u8] = &[0x30, 0x82, 1, 2, 3, 4, 5];

fn outer<'a>(to: &'a [Entry], cc: &'a [Entry]) -> Outer<'a> {
    Outer {
        from: "kep@hs01.kep.test",
        from_display: notice::on_behalf("ornekas@hs01.kep.test"),
        reply_to: Some("ornekas@hs01.kep.test"),
        to,
        cc,
        subject: "Teklif: şartname\r\nBcc: x@y",
        date: UtcTime::from_unix_s(1_795_466_705),
        message_id: "<2@hs01.kep.test>",
        original_message_id: Some("<1@x>"),
        rem_message_id: "<2@hs01.kep.test>",
        original_sha256: Some(&[7; 32]),
        evidence: Some((
            EvidenceKind::SubmissionAcceptanceRejection,
            Event::Acceptance,
            "018f0000-0000-7000-8000-000000000001".into(),
        )),
        boundary_id: Uuid::from_u128(9),
        digest: crate::cms::DigestAlgorithm::Sha256,
    }
}

fn evidence_xml() -> Vec<u8> {
    evidence::write(&facts(
        EvidenceKind::SubmissionAcceptanceRejection,
        Event::Acceptance,
    ))
    .unwrap()
    .xml
}

fn extensions_xml() -> Vec<u8> {
    extensions::write(&extensions::Extensions {
        rem_message_id: "<2@hs01.kep.test>".into(),
        ..Default::default()
    })
}

fn parts() -> DispatchParts {
    let to = parse_list("\"Alıcı, A.Ş.\" <alici@hs02.kep.test>, evil<x\n>@y".as_bytes());
    let xml = evidence_xml();
    build(&Dispatch {
        outer: outer(&to, &parse_list(b"cc@hs02.kep.test")),
        intro: notice::dispatch_intro(
            "ornekas@hs01.kep.test",
            "Teklif <b>",
            UtcTime::from_unix_s(0),
            "hs01",
        ),
        evidence: &[EvidencePart {
            kind: EvidenceKind::SubmissionAcceptanceRejection,
            xml: &xml,
        }],
        extensions: &extensions_xml(),
        original_is_8bit: false,
        original_file: "orijinal.eml",
    })
}

#[test]
fn what_holds_8bit_says_so() {
    let to = parse_list(b"alici@hs02.kep.test");
    let built = |original_is_8bit| {
        build(&Dispatch {
            outer: outer(&to, &[]),
            intro: notice::dispatch_intro("a@b", "c", UtcTime::from_unix_s(0), "hs01"),
            evidence: &[],
            extensions: &extensions_xml(),
            original_is_8bit,
            original_file: "orijinal.eml",
        })
    };
    for (is_8bit, said) in [(true, Some("8bit")), (false, None)] {
        let map = Structure::of(&whole(&built(is_8bit), ORIGINAL));
        // RFC 2045 6.4: multipart/signed and multipart/mixed.
        for part in [map.root(), map.part(&[1])] {
            assert_eq!(part.and_then(|p| p.encoding.as_deref()), said);
        }
    }
}

fn whole(parts: &DispatchParts, original: &[u8]) -> Vec<u8> {
    [
        &parts.outer_header,
        &parts.entity_head,
        original,
        &parts.entity_tail,
        &parts.signature_part(CMS),
    ]
    .concat()
}

fn opened(message: &[u8]) -> Result<Opened, NotAnEnvelope> {
    let mut scanner = Scanner::new();
    message.chunks(7).for_each(|chunk| scanner.push(chunk));
    let structure = scanner.finish();
    let header = structure.parts[0].header.of(message).unwrap();
    open(&structure, header, |span| span.of(message).map(<[u8]>::to_vec))
}

#[test]
fn what_was_put_in_comes_out_octet_for_octet() {
    let parts = parts();
    // Originals that end in every way, and one that looks like an envelope itself.
    let nested = String::from_utf8(whole(&parts, ORIGINAL))
        .unwrap()
        .replace("0009\"", "0008\"");
    let nested = nested
        .replace("0009\r\n", "0008\r\n")
        .replace("0009--", "0008--")
        .into_bytes();
    for original in [
        ORIGINAL,
        b"A: b\r\n\r\nx",
        b"A: b\r\n\r\n\r\n\r\n",
        b"A: b\r\n\r\n",
        b"A: b\r\n",
        nested.as_slice(),
    ] {
        let message = whole(&parts, original);
        assert!(parts.octets(original.len() as u64, CMS.len()) >= message.len() as u64);
        let Opened::Dispatch {
            sealed,
            original: span,
        } = opened(&message).unwrap()
        else {
            panic!("not a dispatch")
        };
        assert_eq!(span.of(&message), Some(original));
        let signed = [&parts.entity_head, original, &parts.entity_tail].concat();
        assert_eq!(sealed.signed_entity.of(&message), Some(signed.as_slice()));
        assert_eq!(sealed.signature_der, CMS);
        assert_eq!(sealed.evidence, [evidence_xml()]);
        assert_eq!(sealed.extensions, Some(extensions_xml()));
        assert_eq!(sealed.headers.msg_type, Some(MsgType::Dispatch));
        assert_eq!(sealed.headers.digest_value.as_deref(), Some(&[7; 32][..]));
    }
}

#[test]
fn a_header_that_nobody_signed_does_not_make_less_of_a_dispatch() {
    let message = String::from_utf8(whole(&parts(), b"A: b\r\n\r\nx")).unwrap();
    let called = message.replacen("X-REM-Msg-Type: Dispatch", "X-REM-Msg-Type: Message", 1);
    assert_ne!(called, message);
    let Opened::Dispatch { sealed, original } = opened(called.as_bytes()).unwrap() else {
        panic!("not a dispatch")
    };
    assert_eq!(sealed.headers.msg_type, Some(MsgType::Message));
    assert_eq!(original.of(called.as_bytes()), Some(&b"A: b\r\n\r\nx"[..]));
}

#[test]
fn the_outer_header_holds_no_foreign_field() {
    let header = String::from_utf8(parts().outer_header).unwrap();
    assert!(header.contains("To: =?UTF-8?B?") && !header.contains("evil"));
    assert!(!header.contains("\nBcc"));
    assert!(header.contains("\r\nReferences: <1@x>\r\n"));
    assert!(header.lines().all(|line| line.len() <= 200 && line.is_ascii()));
}

/// Python's email package is the judge of the layout.
fn python(message: &[u8], script: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("m.eml"), message).unwrap();
    let head =
        "import email, email.policy, sys, hashlib\nm = email.message_from_bytes(open('m.eml','rb').read())\n";
    let output = Command::new("python3")
        .arg("-c")
        .arg(head.to_owned() + script)
        .current_dir(dir.path())
        .output();
    let output = output.expect("python3 is installed");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn python_finds_the_layout_and_the_original() {
    let message = whole(&parts(), ORIGINAL);
    let said = python(
        &message,
        "def show(p, d):\n    print('.'*d + p.get_content_type(), p.get_filename() or '-', p.get('X-REM-Section-Type') or '-')\n\
         \x20   if p.is_multipart() and p.get_content_type() != 'message/rfc822':\n        [show(c, d+1) for c in p.get_payload()]\n\
         show(m, 0)\n\
         o = [p for p in m.walk() if p.get_content_type() == 'message/rfc822'][0].get_payload(0)\n\
         sys.stdout.write('%s %s' % (hashlib.sha256(o.as_bytes(policy=email.policy.compat32.clone(linesep='\\r\\n', mangle_from_=False))).hexdigest(), len(m.defects)))\n",
    );
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, ORIGINAL);
    let hex: String = digest.as_ref().iter().map(|b| format!("{b:02x}")).collect();
    let want = format!(
        "multipart/signed - -\n.multipart/mixed - -\n..multipart/alternative - Introduction\n...text/plain - -\n\
         ...text/html - -\n..application/xml SubmissionAcceptanceRejection.xml Evidence\n\
         ..application/xml REMExtensions.xml Extensions\n..message/rfc822 orijinal.eml Original Message\n\
         .application/pkcs7-signature smime.p7s -\n{hex} 0"
    );
    assert_eq!(said.replace("\r\n", "\n"), want);
}

#[test]
fn an_evidence_message() {
    let xml = evidence_xml();
    let facts = facts(EvidenceKind::SubmissionAcceptanceRejection, Event::Acceptance);
    let to = parse_list(b"ornekas@hs01.kep.test");
    let kind = EvidenceKind::SubmissionAcceptanceRejection;
    let built = message::build(
        &outer(&to, &[]),
        &notice::evidence_intro(&facts),
        &[EvidencePart { kind, xml: &xml }],
        &extensions_xml(),
    );
    let message = built.assemble(CMS);
    let Opened::Evidence {
        sealed,
        original: None,
    } = opened(&message).unwrap()
    else {
        panic!("not evidence")
    };
    assert_eq!(sealed.signed_entity.of(&message), Some(built.entity.as_slice()));
    assert_eq!(sealed.evidence, [xml]);
    let said = python(
        &message,
        "import base64\nprint(m['X-REM-Msg-Type'], m.get_payload(0).get_payload(0).get_payload(0).get_payload(decode=True).decode())",
    );
    assert!(said.starts_with("Message KEP delili"), "{said}");
    assert!(said.contains("Your registered mail was accepted"));
}

/// openssl is the judge of what the signature covers.
#[test]
fn openssl_verifies_the_signature_over_exactly_the_entity() {
    let dir = tempfile::tempdir().unwrap();
    let run = |line: &str| {
        let output = Command::new("openssl")
            .args(line.split(' '))
            .current_dir(dir.path())
            .output()
            .expect("openssl");
        assert!(
            output.status.success(),
            "{line}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    };
    run("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout k.pem -out c.pem -days 9 -subj /CN=x \
         -addext keyUsage=digitalSignature".replace("         ", "").as_str());
    let parts = parts();
    let entity = [&parts.entity_head, ORIGINAL, &parts.entity_tail].concat();
    std::fs::write(dir.path().join("entity"), &entity).unwrap();
    run("cms -sign -binary -md sha256 -in entity -signer c.pem -inkey k.pem -outform DER -out cms.der");
    let cms = std::fs::read(dir.path().join("cms.der")).unwrap();
    let signed = [
        &parts.outer_header,
        entity.as_slice(),
        &parts.signature_part(&cms),
    ]
    .concat();
    std::fs::write(dir.path().join("m.eml"), signed).unwrap();
    run("cms -verify -in m.eml -CAfile c.pem -purpose any -out out");
    assert_eq!(std::fs::read(dir.path().join("out")).unwrap(), entity);
}

proptest::proptest! {
    #[test]
    fn a_damaged_envelope_is_opened_or_refused(at in 0usize..6_000, with in proptest::collection::vec(proptest::num::u8::ANY, 0..6)) {
        let mut message = whole(&parts(), ORIGINAL);
        let at = at.min(message.len());
        let end = (at + with.len()).min(message.len());
        message.splice(at..end, with);
        if let Ok(Opened::Dispatch { sealed, original }) = opened(&message) {
            let entity = sealed.signed_entity;
            proptest::prop_assert!(entity.start < original.start && original.end < entity.end);
            proptest::prop_assert!(entity.end < message.len() as u64);
        }
    }
}

#[test]
fn what_is_no_envelope_is_refused_with_its_reason() {
    use NotAnEnvelope as N;
    let good = String::from_utf8(whole(&parts(), ORIGINAL)).unwrap();
    let refused = |message: &str| opened(message.as_bytes()).unwrap_err();
    assert_eq!(refused("Subject: x\r\n\r\ny"), N::NotSigned);
    assert_eq!(
        refused(&good.replace("multipart/signed", "multipart/mixed")),
        N::NotSigned
    );
    assert_eq!(
        refused(&good.replace(
            "Content-Type: application/pkcs7-signature",
            "Content-Type: text/plain"
        )),
        N::NoSignature
    );
    assert_eq!(
        refused(&good.replace(
            "multipart/mixed; boundary=\"=_kep",
            "text/plain; boundary=\"=_kep"
        )),
        N::NotMixed
    );
    assert_eq!(
        refused(&good.replace("message/rfc822", "application/pdf")),
        N::NoOriginal
    );
    assert_eq!(
        refused(&good.replace("SubmissionAcceptanceRejection.xml", "REMExtensions.xml")),
        N::NoEvidence
    );
    assert_eq!(
        refused(&good.replace("Encoding: 7bit", "Encoding: base64")),
        N::EncodedOriginal
    );
    let cut = good.rfind("\r\n--=_imza").unwrap();
    let before = good[..cut].rfind("\r\n--=_imza").unwrap();
    assert_eq!(refused(&good[..before]), N::NotTwoParts);
    let x = good.replace(
        "Content-Type: application/pkcs7-signature",
        "Content-Type: application/X-pkcs7-signature",
    );
    assert!(opened(x.as_bytes()).is_ok());
    let structure = Structure::of(good.as_bytes());
    assert_eq!(open(&structure, b"", |_| None), Err(N::Unreadable("signature")));
}
