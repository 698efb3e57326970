//! The profiles P2 to P4 of persons' signatures (BTK 2012/DK-15/299), and plain S/MIME below them, through the doors of real
//! daemons: what is taken is told in the evidence, by `kepctl` and by the PDF; what fails leaves rejection evidence with the
//! reason. `openssl` judges the same signatures and their time-stamps.

use super::kepctl::kepctl;
use super::outside::Court;
use super::persons::{facts, rejection};
use super::persons_house::{ALICI, AYSE, Card, House, entity};
use super::persons_making::{Holder, Making, P2, P3, P4};
use kepd::clock::{Clock as _, SystemClock, UtcTime};
use kepd::cms::RevocationReason;
use kepd::cms::ocsp::Status;
use kepd::domain::evidence::Reason;
use kepd::domain::signature::{PersonSignature, SignatureProfile, SignatureStanding};
use serde_json::Value;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);
const BODY: &str = "Satın alma onayı ektedir.";

fn body() -> String {
    entity(BODY).replace('ı', "=C4=B1")
}

fn ago(hours: u32) -> UtcTime {
    SystemClock.now().minus(HOUR * hours)
}

/// A house where the officer's mail has to be signed, by his own card.
fn house(changes: &[(&str, &str)]) -> House {
    let house = House::open_with(changes);
    house
        .hs01
        .done(&["officer", "cert", "mudur@ornekas", "--tckn", AYSE]);
    house.demand("author");
    house
}

fn send(house: &House, mails: &[String]) -> Vec<String> {
    house.hs01.send("mudur@ornekas", &[ALICI], mails)
}

/// The signature that arrived under that subject, which openssl has judged, its time-stamp with it; and its evidence.
fn arrived(house: &House, subject: &str, stamped: bool) -> (PersonSignature, String) {
    let (court, heard) = house.arrived(subject);
    let original = heard.original.unwrap();
    // Anchored at the persons' authority, of which the authority of time is too.
    let of_persons = Court::new(house.root.pem().as_bytes(), SystemClock.now());
    of_persons.message(&original, stamped).unwrap();
    let other = String::from_utf8(original).unwrap().replace("ektedir", "eklidir");
    assert!(of_persons.message(other.as_bytes(), stamped).is_err());
    let xml = String::from_utf8(heard.evidence).unwrap();
    assert_eq!(court.evidence(xml.as_bytes()), Ok(()));
    assert!(!xml.contains(AYSE));
    let signature = facts(&xml).sender_authentication.unwrap().signature.unwrap();
    (signature, xml)
}

/// What the tool says of an evidence: as JSON, in Turkish, and what the daemon shows of it.
fn told(house: &House, xml: &str) -> (Value, String, Value) {
    let (file, trust) = (house.dir.path().join("told.xml"), house.dir.path().join("trust"));
    std::fs::write(&file, xml).unwrap();
    std::fs::create_dir_all(&trust).unwrap();
    std::fs::write(trust.join("ca.pem"), house.hs01.trust_pem()).unwrap();
    let verify = |more: &[&str]| {
        let (file, trust) = (file.to_str().unwrap(), trust.to_str().unwrap());
        let args = ["evidence", "verify", file, "--trust", trust, "--offline"];
        let out = kepctl(&[&args, more].concat());
        assert!(out.status.success());
        String::from_utf8(out.stdout).unwrap()
    };
    // `--json` stands in front of the noun.
    let json = {
        let (file, trust) = (file.to_str().unwrap(), trust.to_str().unwrap());
        let out = kepctl(&[
            "--json",
            "evidence",
            "verify",
            file,
            "--trust",
            trust,
            "--offline",
        ]);
        serde_json::from_slice::<Value>(&out.stdout).unwrap()[0].clone()
    };
    let id = facts(xml).id.to_string();
    let shown = house.hs01.done(&["evidence", "show", "ornekas", &id]);
    (json, verify(&["--language", "turkish"]), shown)
}

#[test]
fn signatures_with_time_stamps_and_values_are_taken_at_their_profile() {
    let house = house(&[("profile = \"P1\"", "profile = \"P2\"")]);
    let (root, tsa) = (
        Holder::authority(&house.root),
        Holder::of_time("Zaman", &house.root),
    );
    // One is asked about over the network, two live by what they bring along: nobody answers about them.
    let asked = house.nes("asked", AYSE);
    let (third, fourth) = (
        house.nes_of_nobody_there("p3", AYSE),
        house.nes_of_nobody_there("p4", AYSE),
    );
    let holders = [&asked, &third, &fourth].map(Holder::of_card);
    let authority = vec![root.certificate.der().to_vec()];
    let (hour, days) = (ago(1), ago(50));
    let second = Making {
        policy: Some(P2),
        stamp: Some((hour, &tsa)),
        ..Making::by(&holders[0], hour)
    };
    let with_list = Making {
        policy: Some(P3),
        stamp: Some((days, &tsa)),
        certificates: authority.clone(),
        // More than the wait of a day behind the signature: the last word.
        lists: vec![root.list(ago(20), &[])],
        ..Making::by(&holders[1], days)
    };
    let with_answer = Making {
        policy: Some(P4),
        stamp: Some((hour, &tsa)),
        certificates: authority,
        answers: vec![root.answer(ago(0), &fourth, Status::Good)],
        ..Making::by(&holders[2], hour)
    };
    let cases = [
        ("ikinci", &second, SignatureProfile::P2, &asked, hour),
        ("ucuncu", &with_list, SignatureProfile::P3, &third, days),
        ("dorduncu", &with_answer, SignatureProfile::P4, &fourth, hour),
    ];
    let text = body();
    let mails: Vec<String> = cases
        .iter()
        .map(|case| case.1.mail(ALICI, case.0, &text))
        .collect();
    for reply in send(&house, &mails) {
        assert!(reply.starts_with("250 2.0.0 accepted as "), "{reply}");
    }
    for (subject, _, profile, card, at) in cases {
        let (signature, xml) = arrived(&house, subject, true);
        assert_eq!(signature.profile, profile, "{subject}");
        assert_eq!(signature.certificate_sha256, card.read.fingerprint());
        let to_the_second = |moment: UtcTime| moment.unix_s();
        assert_eq!(signature.stamped_at.map(to_the_second), Some(at.unix_s()));
        assert_eq!(signature.judged_at.unix_s(), at.unix_s());
        match profile {
            // The wait for lists is not over, and the evidence says so.
            SignatureProfile::P2 => assert!(
                matches!(signature.standing, SignatureStanding::NotFinal { final_from } if final_from > SystemClock.now()),
                "{signature:?}"
            ),
            _ => assert_eq!(signature.standing, SignatureStanding::Final, "{subject}"),
        }
        let (json, turkish, shown) = told(&house, &xml);
        let word = profile.word();
        assert_eq!(json["states"]["person_signature"]["profile"], word, "{json}");
        assert_eq!(json["states"]["person_signature"]["signer"], "AYŞE ÖRNEK");
        assert_eq!(
            json["states"]["person_signature"]["standing"],
            signature.standing.word()
        );
        assert!(
            turkish.contains("kişinin imzası: AYŞE ÖRNEK") && turkish.contains(&format!("({word})")),
            "{turkish}"
        );
        assert_eq!(shown["person_signature"]["profile"], word, "{shown}");
        assert_eq!(shown["person_signature"]["signer"], "AYŞE ÖRNEK");
        assert_eq!(
            (&shown["level"], &shown["ok"]),
            (&"B-T".into(), &true.into()),
            "{shown}"
        );
        for name in ["level", "schema", "signature", "trust", "timestamp"] {
            assert_eq!(shown[name], json[name], "{name}");
        }
        let summary = house
            .hs01
            .bundle("ornekas", "mudur@ornekas", subject, house.dir.path())
            .join("ozet.pdf");
        let summary = super::exporting::text_of(&summary);
        for words in [
            "AYŞE ÖRNEK · TCKN 172******60",
            "Deneme NES Kök",
            "(zaman damgası)",
        ] {
            assert!(summary.contains(words), "{words}\n{summary}");
        }
        assert!(summary.contains(&format!("{word} · ")), "{summary}");
        assert!(!summary.contains(AYSE), "{summary}");
    }
}

#[test]
fn stamps_of_strangers_and_revoked_certificates_are_refused_at_every_profile() {
    let house = house(&[("profile = \"P1\"", "profile = \"P2\"")]);
    let stranger = super::persons_house::authority("Kimsenin Zamani");
    let (root, tsa, foreign) = (
        Holder::authority(&house.root),
        Holder::of_time("Zaman", &house.root),
        Holder::of_time("Zaman", &stranger),
    );
    let (good, revoked) = (house.nes("good", AYSE), house.nes("revoked", AYSE));
    house.revoke(&[&revoked]);
    let (listed, answered) = (
        house.nes_of_nobody_there("listed", AYSE),
        house.nes_of_nobody_there("answered", AYSE),
    );
    let authority = vec![root.certificate.der().to_vec()];
    let of = |card: &Card| Holder::of_card(card);
    let (by_good, by_revoked, by_listed, by_answered) = (of(&good), of(&revoked), of(&listed), of(&answered));
    let (hour, days) = (ago(0), ago(50));
    let second = |signer, authority| Making {
        policy: Some(P2),
        stamp: Some((hour, authority)),
        ..Making::by(signer, hour)
    };
    let before = ago(60);
    let third = Making {
        policy: Some(P3),
        stamp: Some((days, &tsa)),
        certificates: authority.clone(),
        lists: vec![root.list(ago(20), &[(&listed, before)])],
        ..Making::by(&by_listed, days)
    };
    let is_revoked = Status::Revoked {
        at: before,
        reason: RevocationReason::KeyCompromise,
        invalid_since: None,
    };
    let fourth = Making {
        policy: Some(P4),
        stamp: Some((days, &tsa)),
        certificates: authority.clone(),
        answers: vec![root.answer(ago(20), &answered, is_revoked)],
        ..Making::by(&by_answered, days)
    };
    use Reason::{PolicyViolation, UserCertExpiredOrRevoked};
    let text = body();
    let unsigned = format!("From: ornekas@hs01.kep.test\r\nTo: {ALICI}\r\nSubject: imzasiz\r\n{text}");
    let made = |subject: &str, making: &Making<'_>| making.mail(ALICI, subject, &text);
    let cases = [
        (
            "yabanci damga",
            made("yabanci damga", &second(&by_good, &foreign)),
            PolicyViolation,
            "reaches profile P1, and P2 is asked for",
        ),
        (
            "damgadan once iptal",
            made("damgadan once iptal", &second(&by_revoked, &tsa)),
            UserCertExpiredOrRevoked,
            "was revoked at",
        ),
        (
            "listesi iptal",
            made("listesi iptal", &third),
            UserCertExpiredOrRevoked,
            "was revoked at",
        ),
        (
            "yaniti iptal",
            made("yaniti iptal", &fourth),
            UserCertExpiredOrRevoked,
            "was revoked at",
        ),
        ("imzasiz", unsigned, PolicyViolation, "has to be signed"),
    ];
    let mails: Vec<String> = cases.iter().map(|case| case.1.clone()).collect();
    for ((subject, _, reason, words), reply) in cases.iter().zip(send(&house, &mails)) {
        assert!(
            reply.starts_with("550 5.7.1 ") && reply.contains(words),
            "{subject}: {reply}"
        );
        let told = rejection(&house, subject);
        assert_eq!(told.reasons[0].reason, *reason, "{subject}");
    }
    // Revoked after the stamp: it was good when it signed.
    let later = Making {
        lists: vec![root.list(ago(20), &[(&listed, ago(30))])],
        ..third
    };
    let replies = send(&house, &[later.mail(ALICI, "damgadan sonra", &body())]);
    assert!(replies[0].starts_with("250 "), "{replies:?}");
    let (signature, _) = arrived(&house, "damgadan sonra", true);
    assert_eq!(
        (signature.profile, signature.standing),
        (SignatureProfile::P3, SignatureStanding::Final)
    );
}

/// As `openssl smime` and common mail readers sign, without the attribute that names the certificate.
fn plain(house: &House, card: &Card, subject: &str) -> String {
    house.signed_with(card, ALICI, subject, &body(), &["-md", "sha256"])
}

#[test]
fn plain_s_mime_is_refused_with_advice_in_both_languages() {
    let house = house(&[]);
    let card = house.nes("nes", AYSE);
    let bare = house.signed_with(
        &card,
        ALICI,
        "ozniteliksiz",
        &body(),
        &["-md", "sha256", "-noattr"],
    );
    let cases = [
        (
            "yalin",
            plain(&house, &card, "yalin"),
            Reason::PolicyViolation,
            "does not name its certificate",
            "hangi sertifikayla atildigini belirtmiyor",
        ),
        (
            "ozniteliksiz",
            bare,
            Reason::InvalidUserSignature,
            "no signed attributes",
            "imzada imzali oznitelik yok",
        ),
    ];
    let mails: Vec<String> = cases.iter().map(|case| case.1.clone()).collect();
    for ((subject, _, reason, english, turkish), reply) in cases.iter().zip(send(&house, &mails)) {
        assert!(reply.starts_with("550 5.7.1 "), "{reply}");
        for words in [english, turkish, &"send it again", &"yeniden gonderin"] {
            assert!(reply.contains(words), "{subject}: {reply}");
        }
        assert!(reply.lines().count() == 2, "a line for each language: {reply}");
        let told = rejection(&house, subject);
        assert_eq!(told.reasons[0].reason, *reason);
        let details = told.reasons[0].details.as_deref().unwrap();
        assert!(
            details.contains("CAdES-BES") && details.contains("yeniden gönderin"),
            "{details}"
        );
    }
    // The user reads it in his mailbox too.
    let shown = house.hs01.imap(
        "mudur@ornekas",
        "import email, email.policy\nc.select('Deliller')\nfor n in c.search(None, 'ALL')[1][0].split():\n    \
         m = email.message_from_bytes(c.fetch(n, '(BODY.PEEK[])')[1][0][1], policy=email.policy.default)\n    \
         print(m.get_body(('plain',)).get_content())\n",
    );
    assert!(
        shown.contains("hangi sertifikayla atıldığını belirtmiyor"),
        "{shown}"
    );
}

#[test]
fn a_provider_may_take_plain_s_mime_and_its_evidence_says_so() {
    let house = house(&[
        ("profile = \"P1\"", "profile = \"plain\""),
        ("mode = \"ocsp-then-crl\"", "mode = \"off\""),
    ]);
    let card = house.nes("nes", AYSE);
    let root = Holder::authority(&house.root);
    let holder = Holder::of_card(&card);
    // Nobody is asked here; what comes along counts all the same.
    let revoked = Making {
        lists: vec![root.list(ago(0), &[(&card, ago(3))])],
        ..Making::by(&holder, ago(0))
    };
    let mails = [
        plain(&house, &card, "yalin"),
        house.signed_with(&card, ALICI, "ciplak", &body(), &["-md", "sha256", "-noattr"]),
        revoked.mail(ALICI, "iptal", &body()),
    ];
    let replies = send(&house, &mails);
    assert!(replies[0].starts_with("250 "), "{replies:?}");
    assert!(
        replies[1].starts_with("550 5.7.1 ") && replies[1].contains("no signed attributes"),
        "{replies:?}"
    );
    assert!(replies[2].starts_with("550 5.7.1 "), "{replies:?}");
    assert_eq!(
        rejection(&house, "iptal").reasons[0].reason,
        Reason::UserCertExpiredOrRevoked
    );
    let (signature, xml) = arrived(&house, "yalin", false);
    assert_eq!(
        (signature.profile, signature.standing),
        (SignatureProfile::Plain, SignatureStanding::NotAsked)
    );
    let (json, turkish, _) = told(&house, &xml);
    assert_eq!(json["states"]["person_signature"]["profile"], "plain");
    assert!(turkish.contains("sertifikasını belirtmeyen S/MIME"), "{turkish}");
}
