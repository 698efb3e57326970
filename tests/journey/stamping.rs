//! Time-stamps over HTTP: the client against the embedded authority and against authorities that misbehave; openssl
//! and Python's HTTP client as independent judges of the authority.

use crate::provider::{START, pki};
use kepd::clock::{Clock, ManualClock};
use kepd::net::listener::{Limits, Listener};
use kepd::net::tsa::{BasicCredentials, HttpTimestamps, RESPONSE_MAX_OCTETS, serve};
use kepd::seal::key::SealKey;
use kepd::seal::trust::TrustStore;
use kepd::seal::tsa::{DevAuthority, SystemNonces, TimestampClient, TimestampTransport};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::watch;

/// Opens the embedded authority; it closes when the sender is dropped.
async fn authority() -> (String, watch::Sender<bool>) {
    let pki = pki("hs01.kep.test");
    let key = SealKey::from_pem(&pki.tsa.key_pem).unwrap();
    let authority = Arc::new(DevAuthority::new(key, pki.tsa.certificate().unwrap()).unwrap());
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(START));
    let at = "127.0.0.1:0".parse().unwrap();
    let listener = Listener::bind("tsa", at, Limits::default()).await.unwrap();
    let url = format!("http://{}/", listener.address());
    let (close, closing) = watch::channel(false);
    tokio::spawn(serve(listener, authority, clock, closing));
    (url, close)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stamp_over_http() {
    let (url, close) = authority().await;
    let mut trust = TrustStore::new();
    trust
        .add_pem_text(&pki("hs01.kep.test").ca.certificate_pem)
        .unwrap();
    let transport = Arc::new(HttpTimestamps::new(&url, None).unwrap());
    let client = TimestampClient::new(transport, Arc::new(SystemNonces), Arc::new(trust));
    let first = client.stamp([1; 32].into(), START).await.unwrap();
    let second = client.stamp([2; 32].into(), START).await.unwrap();
    assert_eq!((first.gen_time, second.gen_time), (START, START));
    assert_ne!(first.token_der, second.token_der);
    // The kept connection ends with the authority; then there is nobody.
    close.send(true).unwrap();
    let away = async {
        while client.stamp([3; 32].into(), START).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), away).await.unwrap();
}

fn run(program: &str, folder: &Path, arguments: &str) -> String {
    let output = Command::new(program)
        .args(arguments.split(' '))
        .current_dir(folder)
        .output()
        .unwrap();
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments}: {said}");
    said
}

/// An independent HTTP client: `URL BODY TYPE OUT`; prints status and content type.
const POST: &str = r#"
import sys, urllib.error, urllib.request
url, body, kind, out = sys.argv[1:]
if body == "-":
    request = urllib.request.Request(url)
else:
    request = urllib.request.Request(url, open(body, "rb").read(), {"Content-Type": kind})
try:
    answer = urllib.request.urlopen(request, timeout=60)
except urllib.error.HTTPError as refused:
    answer = refused
open(out, "wb").write(answer.read())
print(answer.status, answer.headers["Content-Type"])
"#;

#[tokio::test(flavor = "multi_thread")]
async fn openssl_takes_the_token_that_another_client_fetched() {
    let (url, _open) = authority().await;
    let judged = tokio::task::spawn_blocking(move || {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        std::fs::write(at.join("ca.pem"), &pki("hs01.kep.test").ca.certificate_pem).unwrap();
        std::fs::write(at.join("data"), "belge").unwrap();
        run("openssl", at, "ts -query -data data -sha256 -cert -out q.tsq");
        std::fs::write(at.join("big"), vec![b'x'; 5000]).unwrap();
        std::fs::write(at.join("post.py"), POST).unwrap();
        let asked = |rest: &str| run("python3", at, &format!("post.py {url} {rest}"));
        let query = "application/timestamp-query";
        assert_eq!(
            asked(&format!("q.tsq {query} r.tsr")).trim(),
            "200 application/timestamp-reply"
        );
        assert_eq!(asked("q.tsq text/plain nothing").trim(), "415 None");
        assert_eq!(asked(&format!("big {query} nothing")).trim(), "413 None");
        assert_eq!(asked("- - nothing").trim(), "405 None");
        let when = START.unix_s();
        run(
            "openssl",
            at,
            &format!("ts -verify -data data -in r.tsr -CAfile ca.pem -attime {when}"),
        )
    });
    assert!(judged.await.unwrap().contains("Verification: OK"));
}

/// An authority that takes one request and says `response`, or nothing at all; gives back what it was asked.
async fn misbehaving(response: Option<Vec<u8>>) -> (String, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/tsa?x=1", listener.local_addr().unwrap());
    let task = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut asked = Vec::new();
        while !asked.ends_with(b"question") && stream.read_buf(&mut asked).await.unwrap() > 0 {}
        if let Some(response) = response {
            // The client may hang up before it has read everything.
            let _ = stream.write_all(&response).await;
        } else {
            let _ = stream.read_buf(&mut Vec::new()).await;
        }
        String::from_utf8(asked).unwrap()
    });
    (url, task)
}

fn http(status: &str, kind: &str, body: &[u8]) -> Option<Vec<u8>> {
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    Some([head.as_bytes(), body].concat())
}

#[tokio::test]
async fn a_transport_believes_only_what_has_the_right_shape() {
    let reply = "application/timestamp-reply";
    let huge = vec![0; RESPONSE_MAX_OCTETS + 1];
    for (response, why) in [
        (http("500 Oops", reply, b"x"), "it answered 500"),
        (http("302 Found", reply, b"x"), "it answered 302"),
        (
            http("200 OK", "text/html", b"x"),
            "is not application/timestamp-reply",
        ),
        (http("200 OK", reply, &huge), "length limit exceeded"),
        (Some(b"SSH-2.0-x\r\n\r\n".to_vec()), ""),
        (Some(Vec::new()), ""),
        (None, "no answer in time"),
    ] {
        let (url, _task) = misbehaving(response).await;
        let transport = HttpTimestamps::new(&url, None)
            .unwrap()
            .with_limit(Duration::from_millis(500));
        let failure = transport.exchange(b"question".to_vec()).await.unwrap_err();
        assert!(failure.0.contains(why), "{why}: {failure}");
    }
}

#[tokio::test]
async fn a_subscriber_gives_name_and_password() {
    let (url, task) = misbehaving(http("200 OK", "Application/Timestamp-Reply; x=y", b"answer")).await;
    let credentials = BasicCredentials {
        user: "kep".into(),
        password: "gizli".to_owned().into(),
    };
    let transport = HttpTimestamps::new(&url, Some(&credentials)).unwrap();
    assert_eq!(transport.exchange(b"question".to_vec()).await.unwrap(), b"answer");
    let asked = task.await.unwrap();
    assert!(asked.starts_with("POST /tsa?x=1 HTTP/1.1\r\n"), "{asked}");
    assert!(asked.contains("authorization: Basic a2VwOmdpemxp\r\n"), "{asked}");
    assert!(
        asked.contains("content-type: application/timestamp-query\r\n"),
        "{asked}"
    );
}

#[test]
fn urls_are_plain_http() {
    for url in [
        "https://tsa.test/",
        "tsa.test",
        "http://",
        "http://a:b@tsa.test/",
        "/x",
        "",
    ] {
        assert!(HttpTimestamps::new(url, None).is_err(), "{url}");
    }
    assert!(HttpTimestamps::new("http://[::1]:8080", None).is_ok());
}
