//! Receipts in the three forms, from the submission door to the mailbox of the sender, between two providers; judged by
//! openssl, xmlsec1, xmllint, Python and our own tool.

use crate::administering::{control, told};
use crate::doors::{Doors, doors, tls_pki};
use crate::forge::Forge;
use crate::kepctl::kepctl;
use crate::outside::Court;
use crate::provider::{Provider, pki};
use crate::road::pair;
use crate::walked::later;
use kepd::cms::algorithm::sha256;
use kepd::domain::audit::AuditRoute;
use kepd::domain::evidence::Event;
use kepd::domain::item::{Item, ItemKind};
use kepd::domain::job::{Act, Route};
use kepd::domain::mail::Mail;
use kepd::domain::receipt::ReceiptForm;
use kepd::id::{JobId, MailId};
use kepd::seal::trust::TrustStore;
use kepd::service::approval::DecisionAsked;
use kepd::service::octets::ContentReader;
use kepd::service::submission::Accepted;
use kepd::store::tables::work::{self, OwedReceipt};
use kepd::store::tables::{evidence, items, mails};
use kepd::validation::{Judged, OriginalMatch, Piece, judge};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const ORNEKAS: &str = "ornekas@hs01.kep.test";
const TO: [&str; 3] = [
    "alici@hs02.kep.test",
    "ikinci@hs02.kep.test",
    "komsu@hs01.kep.test",
];
const HS01: &str = "hs01.kep.test";
const HS02: &str = "hs02.kep.test";
const DELIVERY: &str = "DeliveryNonDeliveryToRecipient";

/// A mail with two attachments to all three, of some length.
fn letter(id: &str, wishes: &str) -> String {
    let pdf =
        "JVBERi0xLjQKJcOkw7zDtsOfCjIgMCBvYmoKPDwvTGVuZ3RoIDMgMCBSL0ZpbHRlci9GbGF0ZURlY29k\r\n".repeat(800);
    format!(
        "From: Ornek <{ORNEKAS}>\r\nTo: {}\r\nSubject: Fiyat {id}\r\nMessage-ID: <{id}@ornek>\r\n{wishes}\
         Date: Mon, 23 Nov 2026 10:00:00 +0300\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/mixed; boundary=b1\r\n\r\n--b1\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Transfer-Encoding: 8bit\r\n\r\nSayın yetkili, teklifimiz ektedir.\r\n--b1\r\n\
         Content-Type: application/pdf; name=teklif.pdf\r\nContent-Transfer-Encoding: base64\r\n\
         Content-Disposition: attachment; filename=teklif.pdf\r\n\r\n{pdf}--b1\r\n\
         Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\
         Content-Disposition: attachment; filename*=utf-8''%C5%9Fartname%201.txt\r\n\r\n\
         =C5=9Eartname =3D tamam=\r\nd=C4=B1r\r\n--b1--\r\n",
        TO.join(",\r\n ")
    )
}

async fn house() -> Doors {
    let doors = doors().await;
    doors.pair.hs02.add_person("ikinci").await;
    doors.pair.hs01.add_person("komsu").await;
    doors
}

/// What the door says to a mail of the officer.
async fn send(doors: &Doors, text: &str) -> String {
    let steps = json!([
        ["login", "mudur@ornekas", "mudur-parola"],
        ["send", ORNEKAS, TO, text]
    ]);
    doors.client(true, steps).await.pop().unwrap()
}

fn mail_of(p: &Provider, id: &str) -> Mail {
    let all = mails::all(&*p.db, p.tenant("ornekas")).unwrap();
    let mut all = all.into_iter().map(|m| m.row);
    all.find(|m| m.message_id == format!("<{id}@ornek>")).unwrap()
}

async fn set_receipts(p: &Provider, word: &str) -> Value {
    told(&control(p), &format!("tenant set ornekas --receipts {word}")).await
}

pub async fn imap_of(p: &Provider) -> u16 {
    let door = crate::crediting::imap_door(p);
    crate::imap_client::listen(door, crate::imap_client::acceptor(tls_pki()), true).await
}

/// Runs a mail reader of Python's; gives what it printed.
pub async fn python(doors: &Doors, script: &str, arguments: Vec<String>) -> Value {
    let ca = doors.pair.dir.path().join("tls-ca.pem");
    std::fs::write(&ca, &tls_pki().ca.certificate_pem).unwrap();
    let script = format!("{}/tests/journey/{script}", env!("CARGO_MANIFEST_DIR"));
    let client = move || Command::new("python3").arg(script).args(arguments).output();
    let output = tokio::task::spawn_blocking(client).await.unwrap().unwrap();
    let wrong = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{wrong}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Every message in the sender's `Deliller`, as a mail reader sees it; also written into `folder`.
async fn deliller(doors: &Doors, imap: u16, folder: &Path) -> Vec<Value> {
    std::fs::create_dir_all(folder).unwrap();
    let ca = doors.pair.dir.path().join("tls-ca.pem").display().to_string();
    let folder = folder.display().to_string();
    let arguments = [
        imap.to_string(),
        ca,
        "mudur@ornekas".into(),
        "mudur-parola".into(),
        folder,
    ];
    let found = python(doors, "receipts_client.py", arguments.into()).await;
    found.as_array().unwrap().clone()
}

/// What a message of this form holds, by whoever issued the evidence.
fn parts_of(form: ReceiptForm, of_peer: bool) -> Vec<&'static str> {
    let mut parts = vec![
        "multipart/alternative",
        "DeliveryNonDeliveryToRecipient.xml",
        "REMExtensions.xml",
    ];
    if form == ReceiptForm::Brief {
        parts.extend(["parcalar.json", "baslik.txt"]);
    }
    if form != ReceiptForm::Summary && of_peer {
        parts.push("saglayici-delil-iletisi.eml");
    }
    if form == ReceiptForm::Full {
        parts.push("orijinal.eml");
    }
    parts
}

fn trust_of(domain: &str) -> Vec<u8> {
    pki(domain).ca.certificate_pem.clone().into_bytes()
}

/// The message is judged by openssl, its evidence by xmllint and xmlsec1; gives the provider whose evidence it is.
fn judged(folder: &Path, told: &Value, form: ReceiptForm, original: &[u8]) -> &'static str {
    let uid = told["uid"].as_str().unwrap();
    let read = |name: &str| std::fs::read(folder.join(name));
    let eml = read(&format!("{uid}.eml")).unwrap();
    let signer = match told["from"].as_str().unwrap() {
        "kep@hs01.kep.test" => HS01,
        "kep@hs02.kep.test" => HS02,
        other => panic!("{other}"),
    };
    let heard = Court::new(&trust_of(signer), later())
        .opened(&eml, false)
        .unwrap_or_else(|why| panic!("{uid}: {why}"));
    let facts = kepd::rem::evidence_read::read(&heard.evidence).unwrap().facts;
    // Who has the recipient issues the evidence.
    let recipient = &facts.recipient().unwrap().address;
    let issuer = if recipient.ends_with(HS02) { HS02 } else { HS01 };
    let court = Court::new(&trust_of(issuer), later());
    assert_eq!(court.evidence(&heard.evidence), Ok(()), "{uid}");
    assert_eq!(facts.message.original_sha256, Some(sha256(original)));
    match (form, read(&format!("{uid}.peer.eml"))) {
        (ReceiptForm::Summary, peers) => assert!(peers.is_err() && signer == issuer),
        (_, Ok(peers)) => {
            // The peer's own message lies within, as it was signed, around the same document.
            assert_eq!((signer, issuer), (HS01, HS02));
            let inside = Court::new(&trust_of(HS02), later())
                .opened(&peers, false)
                .unwrap();
            assert_eq!(inside.evidence, heard.evidence);
        }
        (_, Err(_)) => assert_eq!((signer, issuer), (HS01, HS01)),
    }
    if form == ReceiptForm::Full {
        assert_eq!(heard.original.as_deref(), Some(original));
    }
    issuer
}

/// Our own tool says of the files alone that all holds, and which original each is about.
fn verified(folder: &Path, told: &[&&Value], trust: &Path) -> Vec<Value> {
    let file = |told: &&&Value| folder.join(format!("{}.eml", told["uid"].as_str().unwrap()));
    let files: Vec<String> = told.iter().map(|t| file(t).display().to_string()).collect();
    let mut words = vec!["--json", "evidence", "verify", "--trust", trust.to_str().unwrap()];
    words.extend(files.iter().map(String::as_str));
    let said = kepctl(&words);
    let found: Value = serde_json::from_slice(&said.stdout).unwrap();
    assert!(said.status.success(), "{found:#}");
    found.as_array().unwrap().clone()
}

async fn original_of(p: &Provider, mail: &Mail) -> Vec<u8> {
    let body = items::body(&*p.db, mail.tenant, mail.item).unwrap().unwrap().row;
    ContentReader::whole(&p.spool, &body.content)
        .collect()
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_form_is_what_was_wished_for_and_holds_for_every_judge() {
    let doors = house().await;
    let p = &doors.pair.hs01;
    let cases = [
        ("summary", "once", "", ReceiptForm::Summary),
        ("summary", "kisa", "X-KEP-Makbuz: kisa\r\n", ReceiptForm::Brief),
        ("summary", "tam", "x-kep-makbuz:  TAM \r\n", ReceiptForm::Full),
        ("brief", "hesap", "", ReceiptForm::Brief),
        ("brief", "ozet", "X-KEP-Makbuz: ozet\r\n", ReceiptForm::Summary),
        ("full", "hepsi", "", ReceiptForm::Full),
    ];
    for (setting, id, wishes, _) in cases {
        set_receipts(p, setting).await;
        let said = send(&doors, &letter(id, wishes)).await;
        assert!(said.starts_with("250"), "{said}");
    }
    // What the account wants from now on changes nothing of what was accepted.
    set_receipts(p, "summary").await;
    doors.pair.work().await;
    let imap = imap_of(p).await;
    let folder = doors.pair.dir.path().join("deliller");
    let trust = doors.pair.dir.path().join("trust");
    std::fs::create_dir(&trust).unwrap();
    for domain in [HS01, HS02] {
        std::fs::write(trust.join(format!("{domain}.pem")), trust_of(domain)).unwrap();
    }
    let found = deliller(&doors, imap, &folder).await;
    for (_, id, _, form) in cases {
        let mail = mail_of(p, id);
        let original = original_of(p, &mail).await;
        assert!(
            !String::from_utf8_lossy(&original)
                .to_ascii_lowercase()
                .contains("x-kep"),
            "{id}"
        );
        let own: Vec<&Value> = found
            .iter()
            .filter(|m| m["mail"] == format!("<{id}@ornek>"))
            .collect();
        assert!(own.iter().all(|m| m["references"] == m["mail"]));
        // Submission; for each at the peer relay and delivery; for the neighbour delivery.
        assert_eq!(own.len(), 6, "{id}: {own:#?}");
        let deliveries: Vec<&&Value> = own.iter().filter(|m| m["kind"] == DELIVERY).collect();
        let mut issuers: Vec<&str> = Vec::new();
        for told in &deliveries {
            let issuer = judged(&folder, told, form, &original);
            assert_eq!(told["parts"], json!(parts_of(form, issuer == HS02)), "{id}");
            issuers.push(issuer);
        }
        let carried = form == ReceiptForm::Full;
        for said in verified(&folder, &deliveries, &trust).chunks(2) {
            assert_eq!(
                (&said[0]["piece"], &said[1]["piece"]),
                (&json!("evidence-message"), &json!("evidence"))
            );
            assert_eq!(said[1]["original"] == "same", carried, "{said:#?}");
        }
        issuers.sort_unstable();
        assert_eq!(issuers, [HS01, HS02, HS02]);
        // Other evidence is as it always was.
        for told in own.iter().filter(|m| m["kind"] != DELIVERY) {
            assert_eq!(told["parts"].as_array().unwrap().len(), 3, "{told}");
        }
    }
    stored_once(p, "tam");
    let ids: std::collections::BTreeSet<&str> = found.iter().map(|m| m["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), found.len(), "every message has a name of its own");
    // Later settings, and other mails, change no message that is there.
    set_receipts(p, "brief").await;
    assert!(send(&doors, &letter("sonra", "")).await.starts_with("250"));
    doors.pair.work().await;
    let again = deliller(&doors, imap, &doors.pair.dir.path().join("again")).await;
    assert_eq!(again[..found.len()], found[..]);
    assert_eq!(again.len(), found.len() + 6);
    exported(&doors, &mail_of(p, "tam")).await;
    // Recipients wished for nothing.
    for (provider, tenant) in [(&doors.pair.hs02, "alici"), (p, "komsu")] {
        for item in evidence_items(provider, tenant) {
            let body = items::body(&*provider.db, provider.tenant(tenant), item.id).unwrap();
            assert_eq!(body.unwrap().row.content.pieces.len(), 1, "{tenant}");
        }
    }
}

fn evidence_items(p: &Provider, tenant: &str) -> Vec<Item> {
    let all = p.items(tenant).into_iter();
    all.filter(|i| i.kind == ItemKind::Evidence).collect()
}

/// Every full receipt is the original's own blob within a small frame.
fn stored_once(p: &Provider, id: &str) {
    let mail = mail_of(p, id);
    let mut full = 0;
    for item in evidence_items(p, "ornekas") {
        if item.mail != Some(mail.id) {
            continue;
        }
        let content = items::body(&*p.db, mail.tenant, item.id)
            .unwrap()
            .unwrap()
            .row
            .content;
        let original = |blob: &[u8; 32]| *blob == mail.original_sha256;
        let own: u64 = content
            .pieces
            .iter()
            .filter(|piece| !original(&piece.blob.0))
            .map(|piece| piece.len)
            .sum();
        full += usize::from(content.pieces.iter().any(|piece| original(&piece.blob.0)));
        assert!(
            own < mail.original_size_bytes,
            "{own} of {}",
            content.size_bytes()
        );
    }
    assert_eq!(full, 3);
}

/// The bundle holds the evidence, and needs no receipt.
async fn exported(doors: &Doors, mail: &Mail) {
    let out = doors.pair.dir.path().join("out");
    let done = doors
        .pair
        .hs01
        .archive
        .export(mail.tenant, mail.id, &out)
        .await
        .unwrap();
    let evidence = done.files.iter().filter(|f| f.path.starts_with("evidence/"));
    assert_eq!(evidence.count(), 6);
    let said = kepctl(&["--json", "evidence", "verify", done.folder.to_str().unwrap()]);
    let found: Value = serde_json::from_slice(&said.stdout).unwrap();
    assert!(said.status.success(), "{found:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wish_is_one_of_three_words_and_stays_with_a_draft() {
    let doors = house().await;
    let p = &doors.pair.hs01;
    let said = told(&control(p), "tenant show ornekas").await;
    assert_eq!(said["one"]["receipts"], "summary", "{said}");
    for wish in [
        "X-KEP-Makbuz: full\r\n",
        "X-KEP-Makbuz: \r\n",
        "X-KEP-Makbuz: kısa\r\n",
    ] {
        let said = send(&doors, &letter("yok", wish)).await;
        assert!(
            said.starts_with("554 5.6.0 X-KEP-Makbuz is ozet, kisa or tam"),
            "{said}"
        );
    }
    assert!(mails::all(&*p.db, p.tenant("ornekas")).unwrap().is_empty());
    let said = send(
        &doors,
        &letter("taslak", "X-KEP-Islem: taslak\r\nX-KEP-Makbuz: tam\r\n"),
    )
    .await;
    assert!(said.starts_with("250"), "{said}");
    let mut drafts = p.items("ornekas").into_iter();
    let draft = drafts.find(|i| i.kind == ItemKind::Draft).unwrap();
    let by = p.principal("mudur@ornekas");
    let sent = p
        .mailboxes
        .send_draft(&by, draft.id, None, AuditRoute::Kepctl)
        .await;
    assert!(sent.is_ok(), "{sent:?}");
    let mail = mail_of(p, "taslak");
    assert_eq!(mail.receipts, ReceiptForm::Full);
    let original = original_of(p, &mail).await;
    assert!(!String::from_utf8_lossy(&original).contains("X-KEP"));
    let said = set_receipts(p, "brief").await;
    assert_eq!(said["one"]["receipts"], "brief", "{said}");
    let shown = told(&control(p), &format!("mail show {}", mail.id)).await;
    assert_eq!(shown["one"]["receipts"], "full", "{shown}");
    let tried = told(&control(p), "tenant show ornekas").await;
    assert_eq!(tried["one"]["receipts"], "brief");
}

/// A key that is away, two that look at once, and an original that is away for a while.
#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_is_filed_once_and_waits_for_what_it_needs() {
    let doors = house().await;
    let p = &doors.pair.hs01;
    assert!(
        send(&doors, &letter("tam", "X-KEP-Makbuz: tam\r\n"))
            .await
            .starts_with("250")
    );
    let owed = || work::all::<OwedReceipt>(&*p.db).unwrap();
    // Everything but the last step: the receipts are owed, and the evidence is on record already.
    let until_owed = async |peers: usize| {
        while owed().iter().filter(|(_, r)| r.row.peer.is_some()).count() < peers {
            doors.pair.hs02.work().await;
            p.dispatch.run_due().await.unwrap();
            p.relay.run_due().await.unwrap();
            p.delivery.run_due().await.unwrap();
            p.notary.run_due().await.unwrap();
        }
    };
    until_owed(2).await;
    let mail = mail_of(p, "tam");
    let shown = |mail: MailId| {
        let items = evidence_items(p, "ornekas").into_iter();
        items.filter(|i| i.mail == Some(mail)).count()
    };
    let before = shown(mail.id);
    let waiting = owed().len();
    let rows = evidence::of_mail(&*p.db, mail.tenant, mail.id).unwrap();
    assert_eq!(rows.len(), before + waiting, "what is owed is evidence already");
    // The original's octets are away: nothing is made without them, and nothing is forgotten.
    let name: String = mail.original_sha256.iter().map(|o| format!("{o:02x}")).collect();
    let folder = doors.pair.dir.path();
    let blob = folder.join("hs01/spool").join(&name[..2]).join(&name[2..]);
    let octets = std::fs::read(&blob).unwrap();
    std::fs::remove_file(&blob).unwrap();
    assert_eq!(p.notary.receipts_due().await.unwrap(), waiting);
    assert_eq!((owed().len(), shown(mail.id)), (waiting, before));
    assert!(owed().iter().all(|(_, r)| r.row.attempts == 1));
    std::fs::write(&blob, octets).unwrap();
    doors.pair.clock.advance(Duration::from_secs(3600));
    // Two looks at the same moment.
    let (one, other) = tokio::join!(p.notary.receipts_due(), p.notary.receipts_due());
    assert!(one.is_ok() && other.is_ok(), "{one:?} {other:?}");
    doors.pair.work().await;
    assert!(owed().is_empty());
    assert_eq!(shown(mail.id), 6);
}

/// A provider that gives another mail back than its evidence is about.
#[tokio::test]
async fn a_receipt_that_carries_another_mail_is_found_out() {
    let pair = pair().await;
    let p = &pair.hs01;
    let to = "alici@hs02.kep.test";
    let sent = p
        .submit("mudur@ornekas", &[to], &crate::road::message("Duyuru", to))
        .await;
    let Ok(Accepted::Sent { mail }) = sent else {
        panic!("{sent:?}")
    };
    pair.work().await;
    let rows = evidence::of_mail(&*p.db, p.tenant("ornekas"), mail).unwrap();
    let delivery = rows.iter().find(|r| r.row.event == Event::Delivery).unwrap();
    let xml = p.spool.load(&delivery.row.xml).await.unwrap();
    let facts = kepd::rem::evidence_read::read(&xml).unwrap().facts;
    let row = mails::mail(&*p.db, p.tenant("ornekas"), mail)
        .unwrap()
        .unwrap()
        .row;
    let original = original_of(p, &row).await;
    let mut trust = TrustStore::new();
    trust.add_pem_text(&pki(HS02).ca.certificate_pem).unwrap();
    let forge = Forge::of(HS02, &pair.clock);
    let changed = [b"Comments: x\r\n", original.as_slice()].concat();
    for (carried, found) in [(&original, OriginalMatch::Same), (&changed, OriginalMatch::Other)] {
        let receipt = forge.full_receipt(&facts, carried).await;
        let judged = judge("m.eml", &receipt, None, &trust);
        let [envelope, inside] = judged.as_slice() else {
            panic!("{judged:?}")
        };
        assert_eq!(envelope.piece, Piece::EvidenceMessage);
        assert!(envelope.is_ok(), "the seal holds all the same: {envelope:?}");
        let same = found == OriginalMatch::Same;
        assert_eq!((inside.original, inside.is_ok()), (found, same));
        // What was brought beside it must be what is carried, too.
        let beside = judge("m.eml", &receipt, Some(sha256(&original)), &trust);
        assert_eq!(beside.iter().all(Judged::is_ok), same);
    }
    // What no evidence speaks of is covered by no time-stamp of evidence.
    for (attestation, stamped, holds) in [
        (None, false, true),
        (Some(false), false, false),
        (Some(false), true, true),
    ] {
        let receipt = forge.receipt(&facts, &original, attestation, stamped).await;
        let judged = judge("m.eml", &receipt, None, &trust);
        let own = &judged.first().unwrap().findings.timestamp;
        assert_eq!(own.is_ok(), holds, "{attestation:?} {stamped}: {own:?}");
    }
}

/// The wish goes with the mail through approval, and through being given back.
#[tokio::test]
async fn a_wish_outlives_approval_and_being_given_back() {
    let pair = pair().await;
    let p = &pair.hs01;
    let to = "alici@hs02.kep.test";
    let text = format!(
        "X-KEP-Makbuz: tam\r\nMessage-ID: <teklif@ornek>\r\n{}",
        crate::road::message("Fiyat TEKLİFİ", to)
    );
    let handed_in = p.submit("ayse@ornekas", &[to], &text).await;
    let Ok(Accepted::Job { job, mail, .. }) = handed_in else {
        panic!("{handed_in:?}")
    };
    let receipts = |mail| {
        let row = mails::mail(&*p.db, p.tenant("ornekas"), mail).unwrap();
        row.unwrap().row.receipts
    };
    assert_eq!(receipts(mail), ReceiptForm::Full);
    let decide = async |login: &str, job: JobId, act: Act| {
        let asked = DecisionAsked {
            job,
            act,
            route: Route::Kepctl,
            note: "bakın",
            original_sha256: None,
        };
        p.approval.decide(&p.principal(login), asked).await.unwrap();
    };
    decide("onay1@ornekas", job, Act::Return).await;
    let mut drafts = p.items("ornekas").into_iter();
    let draft = drafts.find(Item::is_current_draft).unwrap();
    let ayse = p.principal("ayse@ornekas");
    let again = p
        .mailboxes
        .send_draft(&ayse, draft.id, None, AuditRoute::Kepctl)
        .await;
    let Ok(Accepted::Job {
        job, mail: second, ..
    }) = again
    else {
        panic!("{again:?}")
    };
    assert_ne!(second, mail);
    assert_eq!(receipts(second), ReceiptForm::Full);
    for (login, act) in [
        ("onay1@ornekas", Act::Approve),
        ("onay2@ornekas", Act::Approve),
        ("mudur@ornekas", Act::Release),
    ] {
        decide(login, job, act).await;
    }
    pair.work().await;
    let own = evidence_items(p, "ornekas").into_iter();
    let carried = own.filter(|item| {
        let body = items::body(&*p.db, p.tenant("ornekas"), item.id)
            .unwrap()
            .unwrap();
        body.row.content.pieces.len() > 1
    });
    assert_eq!(
        carried.count(),
        1,
        "the evidence of the one delivery carries the mail"
    );
}
