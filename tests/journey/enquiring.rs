//! Documents mailed to `dogrula@PROVIDER`: the findings come back into the asker's INBOX, and nothing else happens.

use crate::answering::send;
use crate::doors::{Doors, doors};
use crate::provider::Provider;
use crate::road::message;
use crate::telling::{TENANT, told};
use kepd::sasl::encode_base64;
use kepd::service::submission::Accepted;
use kepd::store::tables::evidence;
use kepd::store::tables::work::{self, OwedEvidence};

const ORNEKAS: &str = "ornekas@hs01.kep.test";
const ALICI: &str = "alici@hs02.kep.test";
const DOGRULA: &str = "dogrula@hs01.kep.test";

/// Every evidence document of a mail that mudur has sent to alici, and that reached him.
async fn documents(doors: &Doors) -> Vec<Vec<u8>> {
    let p = &doors.pair.hs01;
    let sent = p
        .submit("mudur@ornekas", &[ALICI], &message("Fiyat", ALICI))
        .await
        .unwrap();
    let Accepted::Sent { mail } = sent else {
        panic!("{sent:?}")
    };
    doors.pair.work().await;
    let rows = evidence::of_mail(&*p.db, p.tenant(TENANT), mail).unwrap();
    let mut out = Vec::new();
    for row in rows {
        out.push(p.spool.load(&row.row.xml).await.unwrap());
    }
    assert!(out.len() >= 3, "submission, relay and delivery: {}", out.len());
    out
}

fn question(id: &str, documents: &[&[u8]]) -> String {
    attached(ORNEKAS, DOGRULA, id, documents)
}

/// A mail with documents attached.
pub(super) fn attached(from: &str, to: &str, id: &str, documents: &[&[u8]]) -> String {
    let mut text = format!(
        "From: <{from}>\r\nTo: <{to}>\r\nSubject: Bunlar tamam =?utf-8?q?m=C4=B1?=\r\nMessage-ID: <{id}@ornek>\r\n\
         MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nMerhaba\r\n"
    );
    for (n, octets) in documents.iter().enumerate() {
        text.push_str(&format!(
            "--b\r\nContent-Type: application/octet-stream; name=\"delil{n}.xml\"\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        ));
        for line in encode_base64(octets).as_bytes().chunks(76) {
            text.push_str(&format!("{}\r\n", std::str::from_utf8(line).unwrap()));
        }
    }
    text + "--b--\r\n"
}

fn owed(p: &Provider) -> usize {
    work::all::<OwedEvidence>(&*p.db).unwrap().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn findings_on_mailed_documents_come_back_once() {
    let doors = doors().await;
    let p = &doors.pair.hs01;
    let documents = documents(&doors).await;
    let attached: Vec<&[u8]> = documents.iter().map(Vec::as_slice).collect();
    let before = (p.items(TENANT).len(), owed(p));
    let text = question("q1", &attached);
    // onay1 may not compose mail: evidence he may have verified all the same.
    let said = send(&doors, "onay1", &[DOGRULA], &text).await;
    let wanted = format!(
        "250 2.0.0 {} documents verified; the findings are in your INBOX",
        documents.len()
    );
    assert_eq!(said, wanted);
    assert_eq!(
        (p.items(TENANT).len(), owed(p)),
        (before.0 + 1, before.1),
        "an answer, and no mail or evidence"
    );
    let heard = told(p, "onay1").await.pop().unwrap();
    assert_eq!(heard.subject, "Doğrulama - Geçerli: Bunlar tamam mı");
    for said in [
        "Sonuç: GEÇERLİ",
        "Result: VALID",
        "konu: Fiyat",
        "imza: uygun",
        "delil0.xml",
    ] {
        assert!(heard.text.contains(said), "{said}: {}", heard.text);
    }
    let octets = String::from_utf8(heard.octets).unwrap();
    for field in [
        "In-Reply-To: <q1@ornek>",
        "Auto-Submitted: auto-replied",
        "bulgular.json",
    ] {
        assert!(octets.contains(field), "{field}");
    }
    // The client never saw the 250.
    let again = send(&doors, "onay1", &[DOGRULA], &text).await;
    assert_eq!(again, "250 2.0.0 verified before; the findings are in your INBOX");
    assert_eq!(p.items(TENANT).len(), before.0 + 1);
    assert!(
        told(p, "mudur")
            .await
            .iter()
            .all(|t| !t.subject.starts_with("Doğrulama")),
        "nobody else's"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_document_and_a_mail_without_any_are_told_so() {
    let doors = doors().await;
    let p = &doors.pair.hs01;
    let mut document = documents(&doors).await.remove(0);
    let at = String::from_utf8_lossy(&document).find("EventTime>").unwrap() + "EventTime>".len();
    document[at] ^= 1;
    let said = send(&doors, "mudur", &[DOGRULA], &question("q2", &[&document])).await;
    assert!(said.starts_with("250 2.0.0 1 documents verified"), "{said}");
    let heard = told(p, "mudur").await.pop().unwrap();
    assert_eq!(heard.subject, "Doğrulama - Geçerli değil: Bunlar tamam mı");
    for said in ["Sonuç: GEÇERSİZ", "ayrıca: belge, imzalanan belge değil"] {
        assert!(heard.text.contains(said), "{said}: {}", heard.text);
    }
    send(&doors, "mudur", &[DOGRULA], &question("q3", &[])).await;
    let heard = told(p, "mudur").await.pop().unwrap();
    assert_eq!(heard.subject, "Doğrulama - Belge bulunamadı: Bunlar tamam mı");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_address_verifies_and_is_nothing_else() {
    let doors = doors().await;
    let p = &doors.pair.hs01;
    let before = (p.items(TENANT).len(), owed(p));
    for to in [[DOGRULA, ALICI], [ALICI, DOGRULA]] {
        let said = send(&doors, "mudur", &to, "").await;
        assert!(
            said.starts_with("550 5.7.1 documents to be verified go to their address alone"),
            "{said}"
        );
    }
    // Of another's address nothing is taken, and no evidence is left of a question that is refused.
    let foreign = question("q4", &[]).replacen(ORNEKAS, "baska@hs01.kep.test", 1);
    let said = send(&doors, "mudur", &[DOGRULA], &foreign).await;
    assert!(said.starts_with("550 5.7.1"), "{said}");
    assert_eq!((p.items(TENANT).len(), owed(p)), before);
}
