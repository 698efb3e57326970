//! What becomes of each recipient, as the sender sees it: keywords on his mail, evidence in its thread, and the list of the
//! administrator's tool. Four recipients at two providers: one reads, one lets the time run out, one reads next door, and
//! one's account closes before the mail is there.

use crate::administering::{control, told};
use crate::doors::{Doors, doors};
use crate::provider::Provider;
use crate::receipts::{imap_of, python};
use kepd::domain::tenant::TenantLife;
use serde_json::{Value, json};
use std::time::Duration;

const ORNEKAS: &str = "ornekas@hs01.kep.test";
const ALICI: &str = "alici@hs02.kep.test";
const IKINCI: &str = "ikinci@hs02.kep.test";
const KOMSU: &str = "komsu@hs01.kep.test";
const KAPALI: &str = "kapali@hs02.kep.test";

async fn send(doors: &Doors, id: &str, to: &[&str]) {
    let text = format!(
        "From: Ornek <{ORNEKAS}>\r\nTo: {}\r\nSubject: Duyuru {id}\r\nMessage-ID: <{id}@ornek>\r\n\
         Date: Mon, 23 Nov 2026 10:00:00 +0300\r\n\r\nMerhaba\r\n",
        to.join(", ")
    );
    let steps = json!([
        ["login", "mudur@ornekas", "mudur-parola"],
        ["send", ORNEKAS, to, text]
    ]);
    let said = doors.client(true, steps).await.pop().unwrap();
    assert!(said.starts_with("250"), "{said}");
}

async fn client(doors: &Doors, role: &str, imap: u16, user: &str) -> Value {
    let ca = doors.pair.dir.path().join("tls-ca.pem").display().to_string();
    let password = format!("{}-parola", user.split('@').next().unwrap());
    let arguments = [role.into(), imap.to_string(), ca, user.into(), password];
    python(doors, "fates_client.py", arguments.into()).await
}

/// The evidence of a mail as `kepctl evidence list --mail` has it: identifiers, and what is told of whom.
async fn listed(p: &Provider, mail: &str) -> (Vec<String>, Vec<(String, String)>) {
    let line = format!("evidence list ornekas --mail {mail}");
    let said = told(&control(p), &line).await;
    let rows = said["list"].as_array().unwrap();
    let word = |row: &Value, name: &str| row[name].as_str().unwrap_or("-").to_owned();
    let mut identifiers: Vec<String> = rows.iter().map(|row| word(row, "identifier")).collect();
    identifiers.sort();
    let about = rows
        .iter()
        .map(|row| (word(row, "recipient"), word(row, "event")));
    (identifiers, about.collect())
}

/// The events told of one recipient, in order.
fn fate(listed: &[(String, String)], who: &str) -> Vec<String> {
    let mut own: Vec<String> = listed
        .iter()
        .filter(|(recipient, _)| recipient == who)
        .map(|(_, event)| event.clone())
        .collect();
    own.sort();
    own
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sender_sees_what_became_of_each_recipient() {
    let doors = doors().await;
    let (p, q) = (&doors.pair.hs01, &doors.pair.hs02);
    for name in ["ikinci", "kapali"] {
        q.add_person(name).await;
    }
    p.add_person("komsu").await;
    send(&doors, "hepsi", &[ALICI, IKINCI, KOMSU, KAPALI]).await;
    send(&doors, "okunan", &[KOMSU]).await;
    send(&doors, "kalan", &[IKINCI]).await;
    p.work().await;
    q.organisations
        .by(crate::provider::admin())
        .set_tenant(q.tenant("kapali"), |t| t.life = TenantLife::Closed)
        .await
        .unwrap();
    doors.pair.work().await;
    let (own, theirs) = (imap_of(p).await, imap_of(q).await);
    let seen = client(&doors, "look", own, "mudur@ornekas").await;
    assert_eq!(
        seen["<hepsi@ornek>"]["keywords"],
        json!(["$KepTeslim", "$KepRed"])
    );
    assert_eq!(seen["<kalan@ornek>"]["keywords"], json!(["$KepTeslim"]));

    doors.pair.clock.advance(Duration::from_secs(3600));
    assert_eq!(client(&doors, "read", theirs, "alici@alici").await, json!(1));
    assert_eq!(client(&doors, "read", own, "komsu@komsu").await, json!(2));
    doors.pair.work().await;
    let seen = client(&doors, "look", own, "mudur@ornekas").await;
    let keywords = |id: &str| seen[format!("<{id}@ornek>")]["keywords"].clone();
    assert_eq!(keywords("hepsi"), json!(["$KepTeslim", "$KepOkundu", "$KepRed"]));
    assert_eq!(keywords("okunan"), json!(["$KepTeslim", "$KepOkundu"]));
    assert_eq!(keywords("kalan"), json!(["$KepTeslim"]));

    doors.pair.clock.advance(Duration::from_secs(86_400));
    doors.pair.work().await;
    // Who reads when his time has run out changes nothing of that.
    assert_eq!(client(&doors, "read", theirs, "ikinci@ikinci").await, json!(2));
    doors.pair.work().await;
    let seen = client(&doors, "look", own, "mudur@ornekas").await;
    let expected = [
        (
            "hepsi",
            json!(["$KepTeslim", "$KepOkundu", "$KepSureDoldu", "$KepRed"]),
            11,
        ),
        ("okunan", json!(["$KepTeslim", "$KepOkundu"]), 3),
        ("kalan", json!(["$KepTeslim", "$KepSureDoldu"]), 4),
    ];
    let mails = told(&control(p), "mail list ornekas").await;
    let mails = mails["list"].as_array().unwrap();
    for (id, keywords, documents) in expected {
        let own = &seen[format!("<{id}@ornek>")];
        assert_eq!(own["keywords"], keywords, "{id}");
        let subject = format!("Duyuru {id}");
        let mail = mails.iter().find(|m| m["subject"] == subject).unwrap();
        let (identifiers, about) = listed(p, mail["mail"].as_str().unwrap()).await;
        // The list, and the thread of the mail in the mailbox of evidence, hold the same documents.
        assert_eq!(identifiers.len(), documents, "{id}: {about:?}");
        assert_eq!(own["evidence"], json!(identifiers), "{id}");
        if id == "hepsi" {
            assert_eq!(fate(&about, ALICI), ["Acceptance", "Delivery", "Retrieval"]);
            assert_eq!(
                fate(&about, IKINCI),
                ["Acceptance", "Delivery", "RetrievalExpiration"]
            );
            assert_eq!(fate(&about, KOMSU), ["Delivery", "Retrieval"]);
            assert_eq!(fate(&about, KAPALI), ["Acceptance", "NonDelivery"]);
            assert_eq!(fate(&about, "-"), ["Acceptance"]);
            let shown = told(
                &control(p),
                &format!("mail show {}", mail["mail"].as_str().unwrap()),
            )
            .await;
            let states = shown["one"]["recipients"].as_array().unwrap().iter();
            let states: Vec<&str> = states.map(|r| r["state"].as_str().unwrap()).collect();
            assert_eq!(states, ["read", "expired", "read", "not-consigned"]);
        }
    }
}
