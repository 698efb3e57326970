//! Prepaid credit through the doors of a daemon: its tariff as it is configured, `kepctl`, submission, IMAP and the metrics; and
//! an account whose mail leaves with an officer's signature.

use crate::persons_house::{ALICI, AYSE, House};
use crate::persons_release::{SUBJECT, Scene, parts, written};
use serde_json::Value;
use std::io::{Read as _, Write as _};

fn credit(house: &House) -> (Value, Value, Value) {
    let shown = house.hs01.done(&["credit", "show", "ornekas"]);
    (
        shown["balance"].clone(),
        shown["reserved"].clone(),
        shown["left"].clone(),
    )
}

/// What is reserved for the mail of a job.
fn reserved(house: &House, job: &str) -> Value {
    let shown = house.hs01.done(&["job", "show", job]);
    let record = shown.as_array().map_or(&shown, |rows| &rows[0]);
    record["credit_reserved"].clone()
}

fn metrics(house: &House) -> String {
    let port = u16::try_from(house.hs01.ports["metrics"].as_u64().unwrap()).unwrap();
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    let ask = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(ask.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn a_daemon_meters_an_account_by_its_tariff() {
    let house = House::open_with(&[
        ("unit = \"5MiB\"", "unit = \"1KiB\""),
        ("per_recipient = false", "per_recipient = true"),
    ]);
    let hs01 = &house.hs01;
    let set = hs01.done(&[
        "tenant",
        "set",
        "ornekas",
        "--credit",
        "prepaid",
        "--credit-warn-below",
        "3",
    ]);
    assert_eq!(set["credit"], "prepaid");
    hs01.done(&["credit", "add", "ornekas", "7", "--note", "fatura 17"]);
    assert!(metrics(&house).contains("kepd_credit_low_accounts 0\n"));
    let long =
        |subject: &str, id: &str| written(subject, id, &"Fiyat 1000 TL, vade 30 gündür.\r\n".repeat(40));
    // Two started units for each of two recipients.
    let to = [ALICI, "ornekas@hs01.kep.test"];
    let replies = hs01.send(
        "mudur@ornekas",
        &to,
        &[long("Duyuru", "bir"), long("Duyuru", "iki")],
    );
    assert!(replies[0].starts_with("250 "), "{replies:?}");
    assert!(
        replies[1].starts_with("550 5.7.1 not enough credit: this mail costs 4, 3 is left"),
        "{replies:?}"
    );
    assert!(replies[1].contains("kontor yetersiz"), "{replies:?}");
    let reply = hs01
        .send("ayse@ornekas", &[ALICI], &[long("Teklif", "uc")])
        .remove(0);
    assert!(reply.starts_with("250 2.0.0 job "), "{reply}");
    assert_eq!(credit(&house), (3.into(), 2.into(), 1.into()));
    let quota = hs01.imap(
        "mudur@ornekas",
        "print(c.capability())\nprint(c.getquotaroot('INBOX'))\n",
    );
    assert!(
        quota.contains("QUOTA=RES-V-KEPD-CREDIT") && quota.contains("V-KEPD-CREDIT 6 7)"),
        "{quota}"
    );
    // Told once, by a notice; and to whoever watches.
    let notice = "c.select('INBOX')\nprint(len(c.search(None, 'SUBJECT', 'credit')[1][0].split()))\n";
    hs01.until(|p| (p.imap("mudur@ornekas", notice).trim() == "1").then_some(()));
    assert_eq!(hs01.imap("ayse@ornekas", notice).trim(), "0");
    assert!(metrics(&house).contains("kepd_credit_low_accounts 1\n"));
    let job = reply.split(' ').nth(3).unwrap();
    assert_eq!(reserved(&house, job), 2);
    hs01.done(&["job", "approve", job, "--as", "onay1@ornekas"]);
    hs01.done(&["job", "release", job, "--as", "mudur@ornekas"]);
    assert_eq!(credit(&house), (1.into(), 0.into(), 1.into()));
    assert_eq!(reserved(&house, job), 0);
    let history = hs01.done(&["credit", "history", "ornekas", "--as", "mudur@ornekas"]);
    let told: Vec<_> = history
        .as_array()
        .unwrap()
        .iter()
        .map(|e| {
            (
                e["what"].as_str().unwrap(),
                e["units"].as_u64().unwrap(),
                e["who"].as_str().unwrap(),
            )
        })
        .collect();
    let wanted = [
        ("charged", 2, "mudur@ornekas"),
        ("reserved", 2, "ayse@ornekas"),
        ("charged", 4, "mudur@ornekas"),
        ("added", 7, "administrator"),
    ];
    assert_eq!(told, wanted);
    assert_eq!(hs01.done(&["tenant", "summary", "ornekas"])["credit_low"], true);
    house.arrived("Teklif");
}

#[test]
fn a_signed_release_is_paid_by_what_was_reserved_for_the_mail_it_stands_for() {
    let house = House::open();
    let hs01 = &house.hs01;
    hs01.done(&["officer", "cert", "mudur@ornekas", "--tckn", AYSE]);
    house.demand("officer");
    hs01.done(&["tenant", "set", "ornekas", "--credit", "prepaid"]);
    hs01.done(&["credit", "add", "ornekas", "2"]);
    let card = house.nes("nes", AYSE);
    let text = "Fiyat 1000 TL,\r\nvade 30 gündür.";
    let mut scene = Scene {
        house,
        job: String::new(),
    };
    scene.job = scene.approved(SUBJECT, "ilk", text);
    let other = scene.approved("Teklif no 9", "dokuz", text);
    assert_eq!(credit(&scene.house), (2.into(), 2.into(), 0.into()));
    // Nothing is left, and each is let go: handed in anew, and by a signature beside it.
    let signed = scene.house.signed(&card, ALICI, SUBJECT, &parts("y", text));
    let reply = scene.send(format!("X-KEP-Is: {}\r\n{signed}", scene.job));
    assert!(reply.contains("released with your signature"), "{reply}");
    assert_eq!(credit(&scene.house), (1.into(), 1.into(), 0.into()));
    let entity = scene.house.dir.path().join("to-be-signed");
    let hs01 = &scene.house.hs01;
    hs01.done(&[
        "job",
        "entity",
        &other,
        "--out",
        entity.to_str().unwrap(),
        "--as",
        "mudur@ornekas",
    ]);
    let signature = scene.house.detached(&card, &entity);
    let file = signature.to_str().unwrap();
    hs01.done(&[
        "job",
        "release",
        &other,
        "--signature",
        file,
        "--as",
        "mudur@ornekas",
    ]);
    assert_eq!(credit(&scene.house), (0.into(), 0.into(), 0.into()));
    let history = hs01.done(&["credit", "history", "ornekas"]);
    let what: Vec<_> = history
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["what"].as_str().unwrap())
        .collect();
    assert_eq!(
        what,
        [
            "charged", "released", "charged", "released", "reserved", "reserved", "added"
        ]
    );
}

#[test]
fn a_signed_release_costs_what_was_reserved_however_much_larger_it_is() {
    let house = House::open_with(&[("unit = \"5MiB\"", "unit = \"1KiB\"")]);
    house
        .hs01
        .done(&["officer", "cert", "mudur@ornekas", "--tckn", AYSE]);
    house.demand("officer");
    let card = house.nes("nes", AYSE);
    let text = "Fiyat 1000 TL,\r\nvade 30 gündür.";
    let mut scene = Scene {
        house,
        job: String::new(),
    };
    let subjects = ["Teklif no 5", "Teklif no 6", "Teklif no 7"];
    let set = |scene: &Scene, args: &[&str]| {
        scene.house.hs01.done(args);
    };
    // Begun before the account was metered; and with exactly what they cost.
    let before = scene.approved(subjects[0], "bir", text);
    set(&scene, &["tenant", "set", "ornekas", "--credit", "prepaid"]);
    set(&scene, &["credit", "add", "ornekas", "2"]);
    let exact = scene.approved(subjects[1], "iki", text);
    let overdrawn = scene.approved(subjects[2], "uc", text);
    assert_eq!(credit(&scene.house), (2.into(), 2.into(), 0.into()));
    for (job, subject, stands) in [
        (&before, subjects[0], (2, 2)),
        (&exact, subjects[1], (1, 1)),
        (&overdrawn, subjects[2], (-6, 0)),
    ] {
        scene.job.clone_from(job);
        if job == &overdrawn {
            // What was reserved was promised, though it is taken away meanwhile.
            set(
                &scene,
                &["credit", "add", "ornekas", "-6", "--note", "yanlış yükleme"],
            );
        }
        let signed = scene.house.signed(&card, ALICI, subject, &parts("y", text));
        assert!(signed.len() > 1024, "it started another unit");
        let reply = scene.send(format!("X-KEP-Is: {job}\r\n{signed}"));
        assert!(reply.contains("released with your signature"), "{reply}");
        let left = credit(&scene.house);
        assert_eq!((left.0, left.1), (stands.0.into(), stands.1.into()), "{subject}");
    }
}
