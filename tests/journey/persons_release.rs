//! An account whose mail leaves with an officer's signature: what was approved is released by handing the same mail in,
//! signed, and by nothing else.

use super::persons_house::{ALICI, AYSE, House, ORNEKAS, entity};
use kepd::domain::evidence::AuthMethod;
use kepd::rem::evidence_read;
use serde_json::Value;

pub const SUBJECT: &str = "Teklif no 5";

/// What ayse wrote, as her mail reader sent it.
pub fn written(subject: &str, id: &str, text: &str) -> String {
    format!(
        "From: {ORNEKAS}\r\nTo: Alici <{ALICI}>\r\nSubject: {subject}\r\nMessage-ID: <{id}@hs01.kep.test>\r\nMIME-Version: 1.0\r\n\
         {}",
        parts("x", text)
    )
}

/// A text and an attachment.
pub fn parts(boundary: &str, text: &str) -> String {
    format!(
        "Content-Type: multipart/mixed; boundary={boundary}\r\n\r\n--{boundary}\r\n{}--{boundary}\r\n\
         Content-Type: application/pdf; name=ek.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\nJVBERi0xLjQK\r\n--{boundary}--\r\n",
        entity(text)
    )
}

pub struct Scene {
    pub house: House,
    pub job: String,
}

impl Scene {
    /// An approved mail of ayse, ready to be released.
    pub fn ready() -> Self {
        let house = House::open();
        house
            .hs01
            .done(&["officer", "cert", "mudur@ornekas", "--tckn", AYSE]);
        house.demand("officer");
        let mut scene = Self {
            house,
            job: String::new(),
        };
        scene.job = scene.approved(SUBJECT, "ilk", "Fiyat 1000 TL,\r\nvade 30 gündür.");
        scene
    }

    pub fn approved(&self, subject: &str, id: &str, text: &str) -> String {
        let hs01 = &self.house.hs01;
        let reply = hs01
            .send("ayse@ornekas", &[ALICI], &[written(subject, id, text)])
            .remove(0);
        let job = reply
            .strip_prefix("250 2.0.0 job ")
            .and_then(|rest| rest.split_once(' '));
        let job = job.unwrap_or_else(|| panic!("{reply}")).0.to_owned();
        hs01.done(&["job", "approve", &job, "--as", "onay1@ornekas", "--note", "uygun"]);
        job
    }

    pub fn state(&self) -> Value {
        self.state_of(&self.job)
    }

    pub fn state_of(&self, job: &str) -> Value {
        let shown = self.house.hs01.done(&["job", "show", job]);
        let record = shown.as_array().map_or(&shown, |rows| &rows[0]);
        record["state"].clone()
    }

    pub fn send(&self, mail: String) -> String {
        self.house.hs01.send("mudur@ornekas", &[ALICI], &[mail]).remove(0)
    }
}

#[test]
fn an_approved_mail_leaves_only_with_an_officers_signature_on_the_same_content() {
    let scene = Scene::ready();
    let house = &scene.house;
    let card = house.nes("nes", AYSE);
    // Neither by command nor by folder.
    let refused = house
        .hs01
        .said(&["job", "release", &scene.job, "--as", "mudur@ornekas"])
        .unwrap_err();
    assert!(refused.contains(&format!("X-KEP-Is: {}", scene.job)), "{refused}");
    let moved = house.hs01.imap(
        "mudur@ornekas",
        "c.select('\"&ATABXw-lerim/G&APY-nderime Haz&ATE-r\"')\n\
         print(c.uid('SEARCH', None, 'ALL'))\n\
         print(c.uid('MOVE', c.uid('SEARCH', None, 'ALL')[1][0].split()[0].decode(), '\"&ATABXw-lerim/G&APY-nder\"'))\n",
    );
    assert!(
        moved.contains("'NO'") && moved.contains("leaves with an officer"),
        "{moved}"
    );
    let named = |mail: String| format!("X-KEP-Is: {}\r\n{mail}", scene.job);
    let sign = |text: &str| house.signed(&card, ALICI, SUBJECT, &parts("y", text));
    let same = "Fiyat 1000 TL, vade 30\r\ngündür.";
    let unsigned = format!("X-KEP-Is: {}\r\n{}", scene.job, written(SUBJECT, "iki", same));
    let elsewhere = named(house.signed(&card, ALICI, "Teklif no 6", &parts("y", same)));
    for (mail, why) in [
        (unsigned, "has to be signed"),
        (
            named(sign("Fiyat 1001 TL, vade 30 gündür.")),
            "the text is not the same",
        ),
        (
            named(sign(same).replace("JVBERi0x", "JVBERi0y")),
            "not what was signed",
        ),
        (
            named(house.signed(
                &card,
                ALICI,
                SUBJECT,
                &parts("y", same).replace("JVBERi0x", "JVBERi0y"),
            )),
            "attachment number 1 is not the same",
        ),
        (elsewhere, "the subject is another"),
        (
            format!("X-KEP-Is: {}\r\n{}", "0".repeat(7), sign(same)),
            "by its id",
        ),
        // In the thread of what was approved, and not the same.
        (
            format!(
                "In-Reply-To: <ilk@hs01.kep.test>\r\n{}",
                sign("Fiyat 999 TL, vade 30 gündür.")
            ),
            "the text is not the same",
        ),
    ] {
        let reply = scene.send(mail);
        assert!(reply.starts_with("55") && reply.contains(why), "{why}: {reply}");
        assert_eq!(scene.state(), "ready");
    }
    // Not by others, whatever they sign.
    house.hs01.done(&["user", "cert", "ayse@ornekas", "--tckn", AYSE]);
    let reply = house
        .hs01
        .send("ayse@ornekas", &[ALICI], &[named(sign(same))])
        .remove(0);
    assert!(reply.starts_with("550 5.7.1 only an officer"), "{reply}");

    let mail = format!(
        "Date: Thu, 26 Nov 2026 05:00:00 +0000\r\nMessage-ID: <imzali@hs01.kep.test>\r\n{}",
        named(sign(same))
    );
    let reply = scene.send(mail.clone());
    let words = format!("job {} released with your signature", scene.job);
    assert!(
        reply.starts_with("250 2.0.0 accepted as ") && reply.contains(&words),
        "{reply}"
    );
    assert_eq!(scene.state(), "released");
    // A client that never heard so tries again; nothing leaves twice.
    let again = scene.send(mail);
    let id = reply.split([' ', ';']).nth(4).unwrap();
    assert!(
        again.starts_with(&format!("250 2.0.0 accepted as {id}")),
        "{reply} {again}"
    );
    let later = scene.send(named(sign(same)));
    assert!(
        later.starts_with("550 5.7.1 this job has ended (released)"),
        "{later}"
    );

    let (_, heard) = house.arrived(SUBJECT);
    let original = heard.original.unwrap();
    let read = house.openssl_reads(&original).unwrap();
    assert_eq!(read, parts("y", same));
    assert!(!String::from_utf8(original).unwrap().contains("X-KEP-Is"));
    let facts = evidence_read::read(&heard.evidence).unwrap().facts;
    let authentication = facts.sender_authentication.unwrap();
    assert_eq!(authentication.method, AuthMethod::QES);
    assert_eq!(
        authentication.signature.unwrap().certificate_sha256,
        card.read.fingerprint()
    );
    // Who approved what, and who let it leave, is exported with what left.
    let out = house.dir.path().join("out");
    house.hs01.until(|p| {
        p.said(&["mail", "export", id, "--out", out.to_str().unwrap()])
            .ok()
    });
    let approvals = std::fs::read(out.join(id).join("approvals.json")).unwrap();
    let approvals: Value = serde_json::from_slice(&approvals).unwrap();
    let told: Vec<_> = approvals
        .as_array()
        .unwrap()
        .iter()
        .map(|d| (&d["actor"], &d["decision"], &d["route"]))
        .collect();
    assert_eq!(told.len(), 2, "{approvals}");
    assert_eq!(
        (told[0].0, told[1].0),
        (&"onay1@ornekas".into(), &"mudur@ornekas".into())
    );
    assert_eq!(told[1].2, "mail");
    assert!(approvals[1]["note"].as_str().unwrap().contains(id));
    // ayse sees that her mail left.
    let hers = house.hs01.done(&[
        "mail",
        "search",
        "ornekas",
        "--as",
        "ayse@ornekas",
        "--subject",
        SUBJECT,
    ]);
    assert!(hers.to_string().contains(id), "{hers}");
    let got = house.hs02.done(&[
        "mail",
        "search",
        "alici",
        "--as",
        "alici@alici",
        "--subject",
        "Teklif",
    ]);
    assert_eq!(got.as_array().unwrap().len(), 1, "{got}");
}

#[test]
fn the_same_content_is_enough_and_each_mail_of_an_officer_is_signed() {
    let scene = Scene::ready();
    let house = &scene.house;
    let card = house.nes("nes", AYSE);
    let same = "Fiyat 1000 TL, vade 30 gündür.";
    let signed = house.signed(&card, ALICI, SUBJECT, &parts("y", same));
    // Nothing names the job; an officer's mail of another subject is his own.
    let own = house.signed(&card, ALICI, "Baska bir konu", &parts("y", same));
    let reply = scene.send(own);
    assert!(
        reply.starts_with("250 2.0.0 accepted as ") && !reply.contains("released"),
        "{reply}"
    );
    assert_eq!(scene.state(), "ready");
    let reply = scene.send(signed.clone());
    assert!(reply.contains(&format!("job {} released", scene.job)), "{reply}");
    // An officer's own mail has to be signed, and what goes into a flow has not.
    let reply = scene.send(written("Duyuru", "duyuru", "Merhaba"));
    assert!(
        reply.starts_with("550 5.7.1 ") && reply.contains("has to be signed"),
        "{reply}"
    );
    let job = scene.approved("Teklif no 7", "yedi", "Yeni metin");
    assert_ne!(job, scene.job);
    // An officer's own mail that went through approval is released by its very octets: he has signed them.
    house
        .hs01
        .done(&["tenant", "set", "ornekas", "--officers-follow-rules", "true"]);
    let own = house.signed(&card, ALICI, "Teklif no 9", &parts("y", "Benim metnim"));
    let own = format!("Date: Thu, 26 Nov 2026 05:00:00 +0000\r\nMessage-ID: <dokuz@hs01.kep.test>\r\n{own}");
    let reply = scene.send(own.clone());
    let mine = reply
        .strip_prefix("250 2.0.0 job ")
        .unwrap_or_else(|| panic!("{reply}"));
    let mine = mine.split(' ').next().unwrap();
    assert!(
        scene
            .send(own.clone())
            .contains(&format!("job {mine} waits for approval"))
    );
    house
        .hs01
        .done(&["job", "approve", mine, "--as", "onay1@ornekas"]);
    let reply = scene.send(own.clone());
    assert!(reply.contains(&format!("job {mine} released")), "{reply}");
    assert!(scene.send(own).starts_with("250 2.0.0 accepted as "));
    house
        .hs01
        .done(&["tenant", "set", "ornekas", "--officers-follow-rules", "false"]);
    // Where nobody demands it, a job is released as ever, and the header makes no sense.
    house.demand("none");
    let reply = scene.send(format!("X-KEP-Is: {job}\r\n{signed}"));
    assert!(
        reply.starts_with("550 5.7.1 ") && reply.contains("does not ask"),
        "{reply}"
    );
    house
        .hs01
        .done(&["job", "release", &job, "--as", "mudur@ornekas"]);
}

#[test]
fn the_octets_to_be_signed_go_out_and_a_signature_comes_back() {
    let scene = Scene::ready();
    let house = &scene.house;
    let hs01 = &house.hs01;
    let card = house.nes("nes", AYSE);
    // HTML, which mail readers write anew each time.
    let html = "Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n<p>Sayın <b>yetkili</b></p>\r\n";
    let mail = format!(
        "From: {ORNEKAS}\r\nTo: {ALICI}\r\nSubject: Teklif no 8\r\nMessage-ID: <sekiz@hs01.kep.test>\r\nMIME-Version: 1.0\r\n{html}"
    );
    let reply = hs01.send("ayse@ornekas", &[ALICI], &[mail]).remove(0);
    let job = reply.split(' ').nth(3).unwrap().to_owned();
    let entity = house.dir.path().join("to-be-signed");
    let out = entity.to_str().unwrap();
    let ask = |login: &str| hs01.said(&["job", "entity", &job, "--out", out, "--as", login]);
    assert!(ask("mudur@ornekas").unwrap_err().contains("not all approvals"));
    hs01.done(&["job", "approve", &job, "--as", "onay1@ornekas"]);
    assert!(ask("ayse@ornekas").unwrap_err().contains("only an officer"));
    let told = ask("mudur@ornekas").unwrap();
    let octets = std::fs::read(&entity).unwrap();
    assert_eq!(octets, html.as_bytes());
    assert_eq!(told["size"], octets.len());
    // It is on record: whose mail went out, by whom, and where to.
    let records = hs01.done(&["audit", "show", "ornekas", "--job", &job]);
    let taken: Vec<_> = records
        .as_array()
        .unwrap()
        .iter()
        .filter(|r| r["deed"] == "job entity")
        .collect();
    assert_eq!(taken.len(), 1, "who was refused took nothing: {records}");
    assert!(
        taken[0]["who"] == "mudur@ornekas" && taken[0]["after"].as_str().unwrap().contains("to-be-signed"),
        "{taken:?}"
    );
    assert!(taken[0]["about"].to_string().contains("mail "), "{taken:?}");
    // Not over what is there.
    assert!(ask("mudur@ornekas").unwrap_err().contains("cannot be written"));
    let release = |file: &std::path::Path| {
        hs01.said(&[
            "job",
            "release",
            &job,
            "--signature",
            file.to_str().unwrap(),
            "--as",
            "mudur@ornekas",
        ])
    };
    let other = house.dir.path().join("other");
    std::fs::write(&other, "Content-Type: text/plain\r\n\r\nBaska\r\n").unwrap();
    let refused = release(&house.detached(&card, &other)).unwrap_err();
    assert!(refused.contains("not what was signed"), "{refused}");
    let refused = release(&other).unwrap_err();
    assert!(refused.contains("cannot be taken"), "{refused}");
    let signature = house.detached(&card, &entity);
    let released = release(&signature).unwrap();
    assert_eq!(released["state"], "released");
    // The same again is the same mail.
    assert_eq!(release(&signature).unwrap()["mail"], released["mail"]);
    let bundle = house
        .hs02
        .bundle("alici", "alici@alici", "Teklif no 8", house.dir.path());
    let original = std::fs::read(bundle.join("original.eml")).unwrap();
    assert_eq!(
        house.openssl_reads(&original).unwrap().as_bytes(),
        html.as_bytes()
    );
    let text = String::from_utf8(original).unwrap();
    assert!(
        text.contains("Message-ID: <sekiz@hs01.kep.test>") && text.contains("micalg=sha-384"),
        "{text}"
    );
}

#[test]
fn a_card_in_a_token_signs_with_its_pin() {
    let scene = Scene::ready();
    let house = &scene.house;
    let card = house.nes("nes", AYSE);
    house.put_in_token(&card, "4711");
    let file = house.dir.path().join("to-be-signed");
    let out = file.to_str().unwrap();
    house
        .hs01
        .done(&["job", "entity", &scene.job, "--out", out, "--as", "mudur@ornekas"]);
    let octets = std::fs::read(&file).unwrap();
    assert!(house.signed_in_token(&card, "0000", &octets).is_err());
    let signature = house.signed_in_token(&card, "4711", &octets).unwrap();
    let file = signature.to_str().unwrap();
    let released = house.hs01.done(&[
        "job",
        "release",
        &scene.job,
        "--signature",
        file,
        "--as",
        "mudur@ornekas",
    ]);
    assert_eq!(released["state"], "released");
    let bundle = house
        .hs02
        .bundle("alici", "alici@alici", SUBJECT, house.dir.path());
    let original = std::fs::read(bundle.join("original.eml")).unwrap();
    assert_eq!(house.openssl_reads(&original).unwrap().as_bytes(), octets);
}
