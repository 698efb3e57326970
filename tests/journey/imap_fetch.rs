//! FETCH and APPEND through the mailbox door, driven by a client that holds every announced length: nasty mails, decoded
//! parts, previews and what counts as reading, several messages in one command, IMAP4rev2.

use super::imap_client::{acceptor, door, listen, pki};
use super::mailbox_house::{House, PASSWORD, start};
use kepd::domain::evidence::EvidenceKind;
use kepd::store::tables::work::{self, OwedEvidence};
use std::path::Path;
use std::time::Duration;

/// Runs one case of the script against the house.
async fn drive(house: &House, corpus: &Path, case: &'static str) {
    let pki = pki();
    let ca = house.dir.path().join("ca.pem");
    std::fs::write(&ca, &pki.ca.certificate_pem).unwrap();
    let port = listen(door(house, Duration::ZERO), acceptor(&pki), true).await;
    let arguments = [
        port.to_string(),
        ca.display().to_string(),
        PASSWORD.to_owned(),
        corpus.display().to_string(),
        case.to_owned(),
    ];
    crate::imap_client::run_client("imap_fetch.py", arguments.into()).await;
}

/// Mails that readers stumble over.
fn nasty() -> Vec<(&'static str, Vec<u8>)> {
    let multipart = |parts: &str| {
        format!("Subject: m\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\npreamble\r\n{parts}")
            .into_bytes()
    };
    let coded = |encoding: &str, body: &str| {
        format!("Subject: c\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n{body}").into_bytes()
    };
    let mut deep = String::new();
    for level in 0..30 {
        deep.push_str(&format!(
            "Content-Type: multipart/mixed; boundary=x{level}\r\n\r\n--x{level}\r\n"
        ));
    }
    deep.push_str("\r\nat the bottom\r\n");
    let mut large = String::new();
    for n in 0..40_000u32 {
        large.push_str(&"QUJD".repeat(19));
        large.push_str(if n % 7 == 0 { "\n" } else { "\r\n" });
    }
    let nested = "--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\n\
        Content-Type: multipart/alternative; boundary=bb\r\n\r\n\
        --bb\r\nContent-Type: text/plain; charset=iso-8859-9\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=DDyi g=FCnler=\r\n.\r\n\
        --bb\r\nContent-Type: text/html\r\n\r\n<p>x</p>\r\n--bb--\r\nepilogue\r\n\
        --b\r\nContent-Type: message/rfc822\r\n\r\nSubject: plain inner\r\n\r\nbody\r\n--b--\r\nend\r\n";
    vec![
        ("only-header", b"Subject: x\r\n".to_vec()),
        ("no-end", b"Subject: x".to_vec()),
        ("empty-body", b"Subject: x\r\n\r\n".to_vec()),
        ("no-header", b"\r\nbody\r\n".to_vec()),
        ("no-colon", b"what is this\r\nSubject: x\r\n y\r\n\r\nbody".to_vec()),
        ("bare-lf", b"Subject: x\nTo: a\n\nline\nline\n".to_vec()),
        (
            "eight-bit",
            b"Subject: \xfe\xf0 raw\r\nX-\xfe: y\r\nFrom: \xc5\x9e <a@x.test>\r\n\r\n\xff\xfe\r\n".to_vec(),
        ),
        ("not-closed", multipart("--b\r\n\r\none\r\n--b\r\n\r\ntwo\r\n")),
        ("no-boundary-met", multipart("nothing of the kind\r\n")),
        ("empty-parts", multipart("--b\r\n--b\r\n\r\n--b\r\n\r\n\r\n--b--\r\n")),
        ("no-parts", multipart("--b--\r\n")),
        (
            "boundary-begins-another",
            multipart(
                "--b\r\nContent-Type: multipart/mixed; boundary=b2\r\n\r\n--b2\r\n\r\ninner\r\n--b2--\r\n--b \t\r\n\r\nouter\r\n--b--",
            ),
        ),
        ("nested", multipart(nested)),
        (
            "digest",
            b"Content-Type: multipart/digest; boundary=d\r\n\r\n--d\r\n\r\nSubject: one\r\n\r\n1\r\n--d\r\n\r\nSubject: two\r\n\r\n2\r\n--d--\r\n"
                .to_vec(),
        ),
        (
            "empty-message",
            b"Content-Type: message/rfc822\r\n\r\n".to_vec(),
        ),
        (
            "coded-message",
            b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nU3ViamVjdDogeA0KDQp5DQo=\r\n".to_vec(),
        ),
        (
            "doubled-fields",
            b"Subject: a\r\nSubject: b\r\nContent-Type: text/plain\r\nContent-Type: text/html\r\nTo: x@y.test\r\n\r\n<p>\r\n".to_vec(),
        ),
        (
            "odd-parameters",
            "Subject: p\r\nContent-Type: application/pdf; name*0*=utf-8''%C5%9E; name*1=\"a \\\"b\"; x\r\nContent-Disposition: attachment; filename=ş.pdf\r\nContent-Language: tr, en\r\n\r\n%PDF\r\n"
                .as_bytes()
                .to_vec(),
        ),
        ("no-type", b"Content-Type: nonsense\r\n\r\nx\r\n".to_vec()),
        ("long-line", [b"Subject: l\r\n\r\n".as_slice(), &vec![b'a'; 70_000]].concat()),
        ("quoted", coded("Quoted-Printable", "=C5=9E=\r\n soft  \r\nend=20\r\n")),
        ("broken-quoted", coded("quoted-printable", "=Zz =\t \r\n=4\r\n= =\r\n")),
        ("base64", coded("BASE64", "TWVy\r\naGFi\r\nYQ==\r\n")),
        ("broken-base64", coded("base64", "TW!Vy\r\n\r\n==aGFi\r\nY")),
        ("odd-encoding", coded("x-uuencode", "begin 644 x\r\n")),
        ("large-base64", coded("base64", &large)),
        ("deep", deep.into_bytes()),
        ("empty", Vec::new()),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_announced_length_holds_for_nasty_mails() {
    let house = House::build().await.with_passwords().await;
    let corpus = house.dir.path().join("corpus");
    std::fs::create_dir(&corpus).unwrap();
    for (n, (name, octets)) in nasty().into_iter().enumerate() {
        std::fs::write(corpus.join(format!("{n:02}-{name}")), &octets).unwrap();
        house.put(&octets, |_| {}).await;
    }
    drive(&house, &corpus, "corpus").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_preview_is_no_reading_and_binary_is() {
    let house = House::build().await.with_passwords().await;
    let mail = |encoding: &str, body: &str| {
        format!("Subject: x\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n{body}\r\n").into_bytes()
    };
    for octets in [
        mail("base64", "TWVyaGFiYQ=="),
        mail("base64", "TWVyaGFiYQ=="),
        mail("7bit", "Sayin Alici,"),
        mail("x-odd", "zzz"),
        mail("base64", "AAEC"),
    ] {
        house.deliver(&octets).await;
    }
    drive(&house, house.dir.path(), "reading").await;
    let owed = work::due::<OwedEvidence>(house.db(), start(), 100).unwrap();
    let read = owed
        .iter()
        .filter(|o| o.row.facts.kind == EvidenceKind::RetrievalNonRetrievalByRecipient);
    // The second, the third and the fifth.
    assert_eq!(read.count(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_messages_come_in_together_or_not_at_all() {
    let house = House::build().await.with_passwords().await;
    drive(&house, house.dir.path(), "appending").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn imap4rev2_object_ids_and_recent_through_the_door() {
    let house = House::build().await.with_passwords().await;
    house
        .put(
            "From: a@hs02.kep.test\r\nSubject: Işık çok\r\n\r\nx\r\n".as_bytes(),
            |_| {},
        )
        .await;
    drive(&house, house.dir.path(), "rev2").await;
}
