//! A person's signature counts for the mail it was made for: once, to those recipients, and for the job that was approved.

use super::persons_house::{ALICI, AYSE, House, ORNEKAS, entity};
use super::persons_release::{Scene, parts, written};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kepd::clock::{Clock as _, SystemClock};
use kepd::domain::evidence::{Event, Reason};
use kepd::rem::evidence_read;
use serde_json::Value;
use std::time::Duration;

const BEFORE: &str = "was handed in before, with mail ";
const BODY: &str = "Fiyat 1000 TL, vade 30 gündür.";

/// So that the same mail is the same octets.
fn dated(id: &str, mail: &str) -> String {
    format!("Date: Thu, 26 Nov 2026 05:00:00 +0000\r\nMessage-ID: <{id}@hs01.kep.test>\r\n{mail}")
}

/// The reason of the rejection under that subject.
fn rejected(house: &House, subject: &str) -> Reason {
    let xml = house.hs01.evidence("ornekas", |xml| {
        let facts = evidence_read::read(xml.as_bytes()).unwrap().facts;
        facts.event == Event::Rejection && facts.message.subject == subject
    });
    let facts = evidence_read::read(xml.as_bytes()).unwrap().facts;
    facts.reasons[0].reason
}

fn signed_mail(subject: &str, entity: &str, cms_der: &[u8]) -> String {
    format!(
        "From: {ORNEKAS}\r\nTo: {ALICI}\r\nSubject: {subject}\r\nMIME-Version: 1.0\r\nContent-Type: multipart/signed; \
         protocol=\"application/pkcs7-signature\"; micalg=sha-256; boundary=s\r\n\r\n--s\r\n{entity}\r\n--s\r\n\
         Content-Type: application/pkcs7-signature\r\nContent-Transfer-Encoding: base64\r\n\r\n{}\r\n--s--\r\n",
        STANDARD
            .encode(cms_der)
            .as_bytes()
            .chunks(76)
            .map(|line| std::str::from_utf8(line).unwrap())
            .collect::<Vec<_>>()
            .join("\r\n")
    )
}

#[test]
fn who_has_a_signed_mail_and_the_password_sends_nothing_new_with_it() {
    let house = House::open();
    let hs01 = &house.hs01;
    hs01.done(&["officer", "cert", "mudur@ornekas", "--tckn", AYSE]);
    house.demand("author");
    let card = house.nes("nes", AYSE);
    let text = entity("Odemeyi onayladim.");
    let send = |to: &str, mail: &str| hs01.send("mudur@ornekas", &[to], &[mail.to_owned()]).remove(0);
    let mail = dated("bir", &house.signed(&card, ALICI, "Birinci", &text));
    let first = send(ALICI, &mail);
    assert!(first.starts_with("250 2.0.0 accepted as "), "{first}");
    // A client that never heard so.
    assert_eq!(send(ALICI, &mail), first);
    let stolen = [
        // In a new mail, under another Message-ID, to others, and both.
        (ALICI, mail.replace("Subject: Birinci", "Subject: Ikinci")),
        (ALICI, mail.replace("<bir@", "<iki@")),
        (ORNEKAS, mail.clone()),
        (
            ORNEKAS,
            mail.replace(&format!("To: {ALICI}"), &format!("To: {ORNEKAS}")),
        ),
    ];
    // Demanded, or only recorded.
    for demand in ["author", "none"] {
        house.demand(demand);
        for (to, stolen) in &stolen {
            let reply = send(to, stolen);
            assert!(
                reply.starts_with("550 5.7.1 ") && reply.contains(BEFORE),
                "{demand} {to}: {reply}"
            );
        }
        assert_eq!(send(ALICI, &mail), first);
    }
    assert_eq!(rejected(&house, "Ikinci"), Reason::InvalidUserSignature);
    // Two at once: one of them.
    let twice = house.signed(&card, ALICI, "Ayni anda", &text);
    let replies: Vec<String> = std::thread::scope(|scope| {
        let both = ["uc", "dort"].map(|id| {
            let mail = dated(id, &twice);
            scope.spawn(move || send(ALICI, &mail))
        });
        both.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let taken = replies.iter().filter(|reply| reply.starts_with("250 ")).count();
    assert_eq!(taken, 1, "{replies:?}");

    // One that lay about, and one that says more than was signed.
    let day = |days: u64| SystemClock.now().minus(Duration::from_secs(days * 24 * 60 * 60));
    let signed = |days: u64, subject: &str| {
        let cms_der = house.detached_at(&card, text.as_bytes(), day(days));
        signed_mail(subject, &text, &cms_der)
    };
    house.demand("author");
    let (old, late) = (signed(31, "Eski"), signed(29, "Gecen ay"));
    let reply = send(ALICI, &old);
    assert!(
        reply.starts_with("550 5.7.1 ") && reply.contains("more than 30 days ago"),
        "{reply}"
    );
    let reply = send(ALICI, &late);
    assert!(reply.starts_with("250 "), "{reply}");
    let fresh = signed(0, "Yeni");
    for (mail, code, why) in [
        (
            fresh.replace("\r\n\r\n--s\r\n", "\r\n\r\nOdeyin\r\n--s\r\n"),
            "550 5.7.1",
            "in front of the signed part",
        ),
        (
            fresh.replace("--s--\r\n", "--s--\r\nOdeyin\r\n"),
            "550 5.7.1",
            "behind the signature",
        ),
        (
            format!("Content-Type: text/html\r\n{fresh}"),
            "554 5.6.0",
            "more than one Content-Type",
        ),
        (
            format!("MIME-Version: 1.0\r\n{fresh}"),
            "554 5.6.0",
            "more than one MIME-Version",
        ),
        (
            format!("Content-Transfer-Encoding: 7bit\r\nContent-Transfer-Encoding: 8bit\r\n{fresh}"),
            "554 5.6.0",
            "more than one Content-Transfer-Encoding",
        ),
    ] {
        let reply = send(ALICI, &mail);
        assert!(reply.starts_with(code) && reply.contains(why), "{why}: {reply}");
    }
    let reply = send(ALICI, &fresh);
    assert!(reply.starts_with("250 "), "{reply}");

    // A draft that is moved leaves evidence as well.
    let draft = house.dir.path().join("draft");
    std::fs::write(&draft, signed(0, "Taslaktan").replace("Odemeyi", "odemeyi")).unwrap();
    let moved = hs01.imap(
        "mudur@ornekas",
        &format!(
            "c.append('Taslaklar', '(\\\\Draft)', None, open({:?}, 'rb').read())\n\
             c.select('Taslaklar')\n\
             print(c.uid('MOVE', '1', '\"&ATABXw-lerim/G&APY-nder\"'))\n",
            draft.to_str().unwrap(),
        ),
    );
    assert!(
        moved.contains("'NO'") && moved.contains("not what was signed"),
        "{moved}"
    );
    assert_eq!(rejected(&house, "Taslaktan"), Reason::InvalidUserSignature);
}

#[test]
fn a_signature_releases_the_job_it_was_made_for_and_no_other_way_leads_beside_it() {
    let scene = Scene::ready();
    let house = &scene.house;
    let hs01 = &house.hs01;
    let card = house.nes("nes", AYSE);
    let sign = |subject: &str, text: &str| house.signed(&card, ALICI, subject, &parts("y", text));
    let refused = |to: &str, mail: String, why: &str| {
        let reply = hs01.send("mudur@ornekas", &[to], &[mail]).remove(0);
        assert!(
            reply.starts_with("550 5.7.1 ") && reply.contains(why),
            "{why}: {reply}"
        );
    };
    // Named, and not to be released yet: whatever it holds.
    let author = dated(
        "bekleyen",
        &written("Teklif no 4", "bekleyen", BODY).replace("Message-ID: <bekleyen@hs01.kep.test>\r\n", ""),
    );
    let reply = hs01
        .send("ayse@ornekas", &[ALICI], std::slice::from_ref(&author))
        .remove(0);
    let waiting = reply.split(' ').nth(3).unwrap().to_owned();
    for text in [BODY, "Fiyat 1 TL."] {
        refused(
            ALICI,
            format!("X-KEP-Is: {waiting}\r\n{}", sign("Teklif no 4", text)),
            "not all approvals",
        );
    }
    hs01.done(&["job", "approve", &waiting, "--as", "onay1@ornekas"]);
    // Answered, to others or under another subject.
    let answer = |mail: String| format!("References: <bekleyen@hs01.kep.test>\r\n{mail}");
    refused(
        ORNEKAS,
        answer(sign("Teklif no 4", BODY)),
        "the recipients are others",
    );
    refused(ALICI, answer(sign("Bambaska", BODY)), "the subject is another");
    assert_eq!(scene.state_of(&waiting), "ready");

    // Two jobs of the same content: what was signed for one releases one.
    let file = house.dir.path().join("to-be-signed");
    let signature = {
        let out = file.to_str().unwrap();
        hs01.done(&["job", "entity", &waiting, "--out", out, "--as", "mudur@ornekas"]);
        house.detached(&card, &file)
    };
    let other = scene.approved("Teklif no 6", "alti", BODY);
    let release = |job: &str, file: &std::path::Path| {
        let file = file.to_str().unwrap();
        hs01.said(&[
            "job",
            "release",
            job,
            "--signature",
            file,
            "--as",
            "mudur@ornekas",
        ])
    };
    let released = release(&waiting, &signature).unwrap();
    assert_eq!(released["state"], "released");
    let why = release(&other, &signature).unwrap_err();
    assert!(why.contains(BEFORE), "{why}");
    assert_eq!(scene.state_of(&other), "ready");
    assert_eq!(rejected(house, "Teklif no 6"), Reason::InvalidUserSignature);
    // By which route it left is on record.
    let (id, out) = (released["mail"].as_str().unwrap(), house.dir.path().join("out"));
    hs01.until(|p| {
        p.said(&["mail", "export", id, "--out", out.to_str().unwrap()])
            .ok()
    });
    let approvals = std::fs::read(out.join(id).join("approvals.json")).unwrap();
    let approvals: Value = serde_json::from_slice(&approvals).unwrap();
    assert_eq!(approvals[1]["route"], "kepctl", "{approvals}");
    // Its author's mail reader never heard that it was taken: no second job.
    let again = hs01.send("ayse@ornekas", &[ALICI], &[author]).remove(0);
    assert!(again.starts_with(&format!("250 2.0.0 job {waiting} ")), "{again}");

    // What its author has signed is signed again around that.
    hs01.done(&["user", "cert", "ayse@ornekas", "--tckn", AYSE]);
    let by_author = sign("Teklif no 10", BODY);
    let reply = hs01.send("ayse@ornekas", &[ALICI], &[by_author]).remove(0);
    let job = reply.split(' ').nth(3).unwrap().to_owned();
    hs01.done(&["job", "approve", &job, "--as", "onay1@ornekas"]);
    let file = house.dir.path().join("signed-by-author");
    hs01.done(&[
        "job",
        "entity",
        &job,
        "--out",
        file.to_str().unwrap(),
        "--as",
        "mudur@ornekas",
    ]);
    assert_eq!(
        release(&job, &house.detached(&card, &file)).unwrap()["state"],
        "released"
    );
    let bundle = house
        .hs02
        .bundle("alici", "alici@alici", "Teklif no 10", house.dir.path());
    let original = std::fs::read(bundle.join("original.eml")).unwrap();
    let inside = std::fs::read_to_string(&file).unwrap();
    assert_eq!(house.openssl_reads(&original).as_deref(), Ok(inside.as_str()));
    assert_eq!(house.openssl_reads(inside.as_bytes()), Ok(parts("y", BODY)));

    // What was given back to an officer releases no other's job: two ends in one step.
    hs01.done(&["tenant", "set", "ornekas", "--officers-follow-rules", "true"]);
    let own = written("Teklif no 20", "yirmi", "Ortak metin");
    let reply = hs01.send("mudur@ornekas", &[ALICI], &[own]).remove(0);
    let own = reply.split(' ').nth(3).unwrap().to_owned();
    hs01.done(&["job", "return", &own, "--as", "onay1@ornekas", "--note", "duzelt"]);
    let hers = scene.approved("Teklif no 20", "onunki", "Ortak metin");
    refused(
        ALICI,
        dated("yirmi", &sign("Teklif no 20", "Ortak metin")),
        "under another Message-ID",
    );
    assert_eq!(scene.state_of(&hers), "ready");
    let released = scene.send(dated("yeni", &sign("Teklif no 20", "Ortak metin")));
    assert!(released.contains(&format!("job {hers} released")), "{released}");
    assert_eq!(scene.state(), "ready");
}
