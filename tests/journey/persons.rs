//! Signatures of persons through the doors of real daemons: `openssl` signs, a mail client submits, and what arrives at the
//! other provider holds for `openssl` again. What is refused leaves evidence with the reason.

use super::certificate_login::person;
use super::outside::Court;
use super::persons_house::{ALI, ALICI, AYSE, Card, House, NES, NES_POLICY, authority, entity};
use kepd::clock::{Clock as _, SystemClock};
use kepd::domain::evidence::{AuthMethod, Event, EvidenceFacts, Reason};
use kepd::domain::signature::{SignatureProfile, SignatureStanding};
use kepd::rem::evidence_read;
use rcgen::date_time_ymd;

pub fn facts(xml: &str) -> EvidenceFacts {
    evidence_read::read(xml.as_bytes()).unwrap().facts
}

/// The rejection under that subject; judged by others as well.
pub fn rejection(house: &House, subject: &str) -> EvidenceFacts {
    let told = |xml: &str| {
        let facts = facts(xml);
        facts.event == Event::Rejection && facts.message.subject == subject
    };
    let xml = house.hs01.evidence("ornekas", told);
    let court = Court::new(&house.hs01.trust_pem(), SystemClock.now());
    assert_eq!(court.evidence(xml.as_bytes()), Ok(()), "{subject}");
    let file = house.dir.path().join("rejection.xml");
    std::fs::write(&file, &xml).unwrap();
    let trust = house.dir.path().join("trust");
    std::fs::create_dir_all(&trust).unwrap();
    std::fs::write(trust.join("ca.pem"), house.hs01.trust_pem()).unwrap();
    let verified = super::kepctl::kepctl(&[
        "evidence",
        "verify",
        file.to_str().unwrap(),
        "--trust",
        trust.to_str().unwrap(),
        "--offline",
    ]);
    assert!(
        verified.status.success(),
        "{:?}",
        String::from_utf8(verified.stdout)
    );
    for secret in [AYSE, ALI] {
        assert!(!xml.contains(secret), "{xml}");
    }
    facts(&xml)
}

#[test]
fn a_signed_mail_arrives_as_it_was_signed_and_its_evidence_tells_by_whom() {
    let house = House::open();
    house
        .hs01
        .done(&["officer", "cert", "mudur@ornekas", "--tckn", AYSE]);
    house.demand("author");
    let card = house.nes("nes", AYSE);
    let text = entity("Imzaladım, teşekkürler.");
    let mails = [
        house.signed(&card, ALICI, "Birinci", &text),
        // What other programs write in the same place, and commands that leave the header around it.
        house
            .signed(&card, ALICI, "[gonder] Ikinci", &text)
            .replace("application/pkcs7-signature", "application/x-pkcs7-signature"),
    ];
    assert!(mails[1].contains("protocol=\"application/x-pkcs7-signature\""));
    for reply in house.hs01.send("mudur@ornekas", &[ALICI], &mails) {
        assert!(reply.starts_with("250 2.0.0 accepted as "), "{reply}");
    }
    for subject in ["Birinci", "Ikinci"] {
        let (court, heard) = house.arrived(subject);
        let original = heard.original.unwrap();
        assert_eq!(house.openssl_reads(&original), Ok(text.clone()), "{subject}");
        let xml = String::from_utf8(heard.evidence).unwrap();
        assert_eq!(court.evidence(xml.as_bytes()), Ok(()));
        assert!(!xml.contains(AYSE));
        let authentication = facts(&xml).sender_authentication.unwrap();
        assert_eq!(authentication.method, AuthMethod::QES);
        let signature = authentication.signature.unwrap();
        assert_eq!(signature.signer, "AYŞE ÖRNEK");
        assert_eq!(signature.issuer, "Deneme NES Kök");
        assert_eq!(signature.certificate_sha256, card.read.fingerprint());
        assert_eq!(signature.profile, SignatureProfile::P1);
        assert_eq!(signature.standing, SignatureStanding::Final);
        assert!(signature.claimed_at.is_some() && signature.stamped_at.is_none());
    }
    // One octet of what arrived, and the judge says no: it is the signature that is tested above.
    let bundle = house
        .hs02
        .bundle("alici", "alici@alici", "Birinci", house.dir.path());
    let original = std::fs::read_to_string(bundle.join("original.eml")).unwrap();
    assert!(
        house
            .openssl_reads(original.replace("Imzala", "imzala").as_bytes())
            .is_err()
    );
}

#[test]
fn what_does_not_hold_is_refused_with_evidence_and_its_reason() {
    let house = House::open();
    house
        .hs01
        .done(&["officer", "cert", "mudur@ornekas", "--tckn", AYSE]);
    house.demand("author");
    let text = entity("Merhaba");
    let nes = house.nes("nes", AYSE);
    let of = |name: &str, params| house.card(name, params, "");
    let dated = |from: (i32, u8, u8), to: (i32, u8, u8)| {
        let mut params = person(AYSE, NES, &[NES_POLICY]);
        params.not_before = date_time_ymd(from.0, from.1, from.2);
        params.not_after = date_time_ymd(to.0, to.1, to.2);
        params
    };
    let revoked = house.nes("revoked", AYSE);
    house.revoke(&[&revoked]);
    let stranger = authority("Deneme NES Kök");
    let cards: Vec<(&str, Card, Reason, &str)> = vec![
        (
            "sona ermis",
            of("ended", dated((2024, 2, 1), (2024, 5, 1))),
            Reason::UserCertExpiredOrRevoked,
            "is valid from",
        ),
        (
            "iptal",
            revoked,
            Reason::UserCertExpiredOrRevoked,
            "was revoked at",
        ),
        (
            "baskasinin",
            of("ali", person(ALI, NES, &[])),
            Reason::InvalidUserSignature,
            "another person's",
        ),
        (
            "muhur",
            of("muhur", person(AYSE, NES, &["2.16.792.1.2.1.1.5.7.50.1"])),
            Reason::InvalidUserSignature,
            "mali m",
        ),
        (
            "deneme",
            of("test", person(AYSE, NES, &["2.16.792.1.2.1.1.5.7.1.4.1"])),
            Reason::InvalidUserSignature,
            "trying out",
        ),
        (
            "niteliksiz",
            of("plain", person(AYSE, &NES[..1], &[])),
            Reason::InvalidUserSignature,
            "no qualified one",
        ),
        (
            "yabanci",
            house.card_of("foreign", person(AYSE, NES, &[]), "", &stranger),
            Reason::InvalidUserSignature,
            "no path leads",
        ),
    ];
    let mut wanted: Vec<(String, String, Reason, &str)> = cards
        .iter()
        .map(|(subject, card, reason, words)| {
            let mail = house.signed(card, ALICI, subject, &text);
            ((*subject).to_owned(), mail, *reason, *words)
        })
        .collect();
    let altered = house
        .signed(&nes, ALICI, "degismis", &text)
        .replace("Merhaba", "merhaba");
    let twice = {
        let other = of("other", person(AYSE, NES, &[]));
        let more = [
            "-cades",
            "-signer",
            other.certificate.to_str().unwrap(),
            "-inkey",
            other.key.to_str().unwrap(),
        ];
        house.signed_with(&nes, ALICI, "iki imza", &text, &more)
    };
    let old = house.signed_with(&nes, ALICI, "eski ozet", &text, &["-cades", "-md", "sha1"]);
    let bare = house.signed_with(&nes, ALICI, "yalin", &text, &["-md", "sha256"]);
    let unsigned = format!("From: ornekas@hs01.kep.test\r\nTo: {ALICI}\r\nSubject: imzasiz\r\n{text}");
    let opaque = house.signed_with(&nes, ALICI, "kapali", &text, &["-cades", "-nodetach"]);
    for (subject, mail, reason, words) in [
        (
            "degismis",
            altered,
            Reason::InvalidUserSignature,
            "not what was signed",
        ),
        (
            "iki imza",
            twice,
            Reason::InvalidUserSignature,
            "more than one signer",
        ),
        ("eski ozet", old, Reason::InvalidUserSignature, "SHA-256"),
        ("yalin", bare, Reason::PolicyViolation, "signing-certificate"),
        ("imzasiz", unsigned, Reason::PolicyViolation, "has to be signed"),
        (
            "kapali",
            opaque,
            Reason::PolicyViolation,
            "wrapped into the signature",
        ),
    ] {
        wanted.push((subject.to_owned(), mail, reason, words));
    }
    let mails: Vec<String> = wanted.iter().map(|w| w.1.clone()).collect();
    let replies = house.hs01.send("mudur@ornekas", &[ALICI], &mails);
    for ((subject, _, reason, words), reply) in wanted.iter().zip(replies) {
        assert!(
            reply.starts_with("550 5.7.1 ") && reply.contains(words),
            "{subject}: {reply}"
        );
        assert!(!reply.contains(AYSE) && !reply.contains(ALI), "{reply}");
        let told = rejection(&house, subject);
        assert_eq!(told.reasons.len(), 1);
        assert_eq!(told.reasons[0].reason, *reason, "{subject}");
        assert!(told.sender_authentication.is_none_or(|a| a.signature.is_none()));
    }
    // Nobody answers: neither taken nor refused, and nothing attested.
    let silent = house.card(
        "silent",
        person(AYSE, NES, &[NES_POLICY]),
        "http://127.0.0.1:9/nes.crl",
    );
    let mail = house.signed(&silent, ALICI, "sessiz", &text);
    let reply = house.hs01.send(
        "mudur@ornekas",
        &[ALICI],
        &[mail, house.signed(&nes, ALICI, "saglam", &text)],
    );
    assert!(reply[0].starts_with("451 4.3.0 "), "{reply:?}");
    assert!(reply[1].starts_with("250 "), "{reply:?}");
    house
        .hs01
        .evidence("ornekas", |xml| facts(xml).message.subject == "saglam");
    let all = house.hs01.done(&["evidence", "list", "ornekas"]);
    let none = |e: &serde_json::Value| !house.hs01.document("ornekas", e).contains("sessiz");
    assert!(all.as_array().unwrap().iter().all(none));
}

#[test]
fn a_signature_that_nobody_asked_for_stops_a_mail_only_if_it_is_wrong_itself() {
    let house = House::open();
    house
        .hs01
        .done(&["officer", "cert", "mudur@ornekas", "--tckn", AYSE]);
    let text = entity("Merhaba");
    let nes = house.nes("nes", AYSE);
    let ended = {
        let mut params = person(AYSE, NES, &[NES_POLICY]);
        params.not_before = date_time_ymd(2024, 2, 1);
        params.not_after = date_time_ymd(2024, 5, 1);
        house.card("ended", params, "")
    };
    let other = house.card("ali", person(ALI, NES, &[]), "");
    let company = house.card_of("company", person(AYSE, &[], &[]), "", &authority("Sirket"));
    let unsigned = format!("From: ornekas@hs01.kep.test\r\nTo: {ALICI}\r\nSubject: imzasiz\r\n{text}");
    let signed = |card: &Card, subject: &str| house.signed(card, ALICI, subject, &text);
    let cases = [
        (signed(&nes, "kendi"), "250 ", Some(true)),
        (unsigned, "250 ", Some(false)),
        (signed(&other, "baskasinin"), "250 ", Some(false)),
        (signed(&company, "sirketin"), "250 ", Some(false)),
        (
            signed(&nes, "degismis").replace("Merhaba", "merhaba"),
            "550 ",
            None,
        ),
        (signed(&ended, "sona ermis"), "550 ", None),
    ];
    let mails: Vec<String> = cases.iter().map(|c| c.0.clone()).collect();
    let replies = house.hs01.send("mudur@ornekas", &[ALICI], &mails);
    for ((_, code, _), reply) in cases.iter().zip(&replies) {
        assert!(reply.starts_with(code), "{reply}");
    }
    for (subject, recorded) in [
        ("kendi", true),
        ("imzasiz", false),
        ("baskasinin", false),
        ("sirketin", false),
    ] {
        let xml = house.hs01.evidence("ornekas", |xml| {
            let facts = facts(xml);
            facts.message.subject == subject && facts.sender_authentication.is_some()
        });
        let authentication = facts(&xml).sender_authentication.unwrap();
        assert_eq!(authentication.signature.is_some(), recorded, "{subject}");
        let method = if recorded {
            AuthMethod::QES
        } else {
            AuthMethod::Basic
        };
        assert_eq!(authentication.method, method, "{subject}");
    }
    assert_eq!(
        rejection(&house, "degismis").reasons[0].reason,
        Reason::InvalidUserSignature
    );
    assert_eq!(
        rejection(&house, "sona ermis").reasons[0].reason,
        Reason::UserCertExpiredOrRevoked
    );
    // Nobody demands what nobody could judge, and the change is on record.
    house.demand("author");
    let record = house.hs01.done(&["audit", "show", "ornekas"]).to_string();
    assert!(
        record.contains("tenant set") && record.contains("author"),
        "{record}"
    );
}

#[test]
fn a_signature_outlives_drafts_and_approval() {
    let house = House::open();
    for (noun, login) in [("user", "ayse@ornekas"), ("officer", "mudur@ornekas")] {
        house.hs01.done(&[noun, "cert", login, "--tckn", AYSE]);
    }
    house.demand("author");
    let card = house.nes("nes", AYSE);
    // Through a flow: signed by its author, decided by others, released without a word to the octets.
    let text = entity("Teklifimiz ektedir.");
    let mail = house.signed(&card, ALICI, "Teklif no 1", &text);
    let unsigned = format!("From: ornekas@hs01.kep.test\r\nTo: {ALICI}\r\nSubject: Teklif no 2\r\n{text}");
    let replies = house
        .hs01
        .send("ayse@ornekas", &[ALICI], &[mail, unsigned.clone()]);
    assert!(
        replies[1].starts_with("550 5.7.1 ") && replies[1].contains("has to be signed"),
        "{replies:?}"
    );
    let job = replies[0]
        .strip_prefix("250 2.0.0 job ")
        .and_then(|r| r.split(' ').next())
        .unwrap();
    house.hs01.done(&["job", "approve", job, "--as", "onay1@ornekas"]);
    house.hs01.done(&["job", "release", job, "--as", "mudur@ornekas"]);
    // From the drafts: what was saved is sent by moving it, and an unsigned draft stays one.
    let saved = house.signed(&card, ALICI, "Taslak", &text);
    for (n, draft) in [&unsigned, &saved].into_iter().enumerate() {
        std::fs::write(house.dir.path().join(format!("draft{n}")), draft).unwrap();
    }
    let moved = house.hs01.imap(
        "mudur@ornekas",
        &format!(
            "for n in '01':\n    c.append('Taslaklar', '(\\\\Draft)', None, open({:?} + n, 'rb').read())\n\
             c.select('Taslaklar')\n\
             for uid in c.uid('SEARCH', None, 'ALL')[1][0].split():\n    \
                 print(c.uid('MOVE', uid.decode(), '\"&ATABXw-lerim/G&APY-nder\"'))\n\
             print(len(c.uid('SEARCH', None, 'ALL')[1][0].split()), 'left')\n",
            house.dir.path().join("draft").to_str().unwrap(),
        ),
    );
    let said: Vec<&str> = moved.lines().collect();
    assert!(
        said[0].contains("'NO'") && said[0].contains("has to be signed"),
        "{moved}"
    );
    assert!(said[1].contains("'OK'") && said[2] == "1 left", "{moved}");
    for subject in ["Teklif no 1", "Taslak"] {
        let bundle = house
            .hs02
            .bundle("alici", "alici@alici", subject, house.dir.path());
        let dispatch = std::fs::read(bundle.join("dispatch.eml")).unwrap();
        let heard = Court::new(&house.hs01.trust_pem(), SystemClock.now())
            .opened(&dispatch, true)
            .unwrap();
        assert_eq!(
            house.openssl_reads(&heard.original.unwrap()),
            Ok(text.clone()),
            "{subject}"
        );
        let told = evidence_read::read(&heard.evidence).unwrap().facts;
        let signature = told.sender_authentication.unwrap().signature.unwrap();
        assert_eq!(signature.certificate_sha256, card.read.fingerprint(), "{subject}");
    }
}
