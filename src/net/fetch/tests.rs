//! The client against small servers that misbehave.

use super::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

fn loopback() -> Vec<Network> {
    vec!["127.0.0.1".parse().unwrap()]
}

/// Answers one connection after the other with these words; gives its address, and what it was asked.
async fn server(answers: Vec<String>) -> (SocketAddr, tokio::task::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked = tokio::spawn(async move {
        let mut asked = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4096];
            let n = stream.read(&mut request).await.unwrap();
            asked.push(String::from_utf8_lossy(&request[..n]).into_owned());
            // Who has heard enough hangs up.
            let _ = stream.write_all(answer.as_bytes()).await;
        }
        asked
    });
    (address, asked)
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn moved(to: &str) -> String {
    format!("HTTP/1.1 301 Moved Permanently\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n")
}

async fn get(answers: Vec<String>, max_octets: usize) -> Result<String, String> {
    let (address, _asked) = server(answers).await;
    let url = format!("http://{address}/a.crl");
    let got = Fetcher::new(loopback()).fetch(&url, max_octets).await;
    got.map(|octets| String::from_utf8(octets).unwrap())
        .map_err(|e| e.to_string())
}

#[tokio::test]
async fn a_list_is_fetched_and_a_responder_asked() {
    let (address, asked) = server(vec![ok("list"), ok("answer")]).await;
    let fetcher = Fetcher::new(loopback());
    let url = format!("http://{address}/a.crl?x=1");
    assert_eq!(fetcher.fetch(&url, 10).await, Ok(b"list".to_vec()));
    assert_eq!(
        fetcher.ask(&url, b"question".to_vec(), 10).await,
        Ok(b"answer".to_vec())
    );
    let asked = asked.await.unwrap();
    assert!(
        asked[0].starts_with("GET /a.crl?x=1 HTTP/1.1\r\n"),
        "{}",
        asked[0]
    );
    assert!(asked[0].contains(&format!("host: {address}\r\n")), "{}", asked[0]);
    assert!(
        asked[1].starts_with("POST /a.crl?x=1 HTTP/1.1\r\n"),
        "{}",
        asked[1]
    );
    assert!(
        asked[1].contains("content-type: application/ocsp-request\r\n"),
        "{}",
        asked[1]
    );
}

#[tokio::test]
async fn an_answer_that_is_too_large_or_odd_is_not_taken() {
    assert_eq!(get(vec![ok("0123456789")], 10).await.as_deref(), Ok("0123456789"));
    let large = get(vec![ok("0123456789x")], 10).await.unwrap_err();
    assert!(large.starts_with("reading its answer"), "{large}");
    // Without a length, it is counted all the same.
    let endless = format!(
        "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{}",
        "x".repeat(64 * 1024)
    );
    assert!(get(vec![endless], 1000).await.is_err());
    let packed = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx";
    assert!(
        get(vec![packed.to_owned()], 10)
            .await
            .unwrap_err()
            .contains("packed")
    );
    let gone = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(
        get(vec![gone.to_owned()], 10).await.unwrap_err(),
        "it answered 404 Not Found"
    );
    let head = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(64 * 1024));
    assert!(get(vec![head], 10).await.is_err());
}

/// Takes connections and says nothing; tells of each.
async fn hanging(at: &str) -> (SocketAddr, tokio::sync::mpsc::UnboundedReceiver<()>) {
    let listener = TcpListener::bind((at, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, told) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
            let _ = tell.send(());
        }
    });
    (address, told)
}

#[tokio::test]
async fn a_host_that_hangs_holds_up_nobody_but_itself() {
    let (slow, mut taken) = hanging("127.0.0.2").await;
    let allowed = ["127.0.0.1", "127.0.0.2"].map(|n| n.parse().unwrap());
    let fetcher = std::sync::Arc::new(Fetcher::new(allowed.to_vec()));
    let mut waiting = tokio::task::JoinSet::new();
    for n in 0..2 * AT_ONCE_MAX {
        let (fetcher, url) = (fetcher.clone(), format!("http://{slow}/{n}.crl"));
        waiting.spawn(async move { fetcher.fetch(&url, 10).await });
    }
    for _ in 0..AT_ONE_HOST_MAX {
        taken.recv().await.unwrap();
    }
    let (good, _asked) = server(vec![ok("list")]).await;
    let url = format!("http://{good}/a.crl");
    tokio::select! {
        got = fetcher.fetch(&url, 10) => assert_eq!(got, Ok(b"list".to_vec())),
        ended = waiting.join_next() => panic!("the slow host was waited for: {ended:?}"),
    }
    assert!(
        taken.try_recv().is_err(),
        "no more than {AT_ONE_HOST_MAX} go there"
    );
    assert_eq!(fetcher.hosts.count(), 1);
    waiting.shutdown().await;
    assert_eq!(fetcher.hosts.count(), 0, "who gives up leaves the queue");
}

#[tokio::test]
async fn redirections_stay_on_the_host_and_end() {
    assert_eq!(get(vec![moved("/b.crl"), ok("b")], 10).await.as_deref(), Ok("b"));
    let away = get(vec![moved("http://other.test/")], 10).await.unwrap_err();
    assert_eq!(away, "it sends us to another host, other.test");
    // Another port is another server.
    let port = get(vec![moved("http://127.0.0.1:1/")], 10).await.unwrap_err();
    assert!(port.starts_with("not gone to"), "{port}");
    let relative = get(vec![moved("//other.test/")], 10).await.unwrap_err();
    assert!(relative.starts_with("not gone to"), "{relative}");
    assert!(
        get(vec![moved("https://127.0.0.1/")], 10)
            .await
            .unwrap_err()
            .contains("only http")
    );
    let round = vec![moved("/1"), moved("/2"), moved("/3"), ok("never")];
    assert_eq!(get(round, 10).await.unwrap_err(), "it sends us on and on");
    // What was asked with a body is not asked again elsewhere.
    let (address, _asked) = server(vec![moved("/b")]).await;
    let url = format!("http://{address}/");
    let asked = Fetcher::new(loopback()).ask(&url, vec![1], 10).await;
    assert_eq!(
        asked,
        Err(FetchError("it answered 301 Moved Permanently".to_owned()))
    );
}

#[tokio::test]
async fn our_own_networks_are_not_gone_to_unless_they_are_let() {
    let (address, asked) = server(vec![ok("inside")]).await;
    for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"] {
        let url = format!("http://{host}:{}/", address.port());
        let refused = Fetcher::new(Vec::new()).fetch(&url, 10).await.unwrap_err();
        assert!(refused.0.contains("is not a public address"), "{host}: {refused}");
    }
    // Nobody has knocked so far.
    let url = format!("http://localhost:{}/", address.port());
    let v6: Network = "::1".parse().unwrap();
    let fetcher = Fetcher::new([loopback(), vec![v6]].concat());
    assert_eq!(fetcher.fetch(&url, 10).await, Ok(b"inside".to_vec()));
    assert_eq!(asked.await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_silent_server_is_left() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let fetcher = Fetcher::new(loopback()).with_limit(Duration::from_millis(50));
    assert_eq!(
        fetcher.fetch(&url, 10).await,
        Err(FetchError("no answer in time".to_owned()))
    );
}

#[test]
fn some_urls_are_not_gone_to() {
    for url in [
        "https://a.test/",
        "ldap://a.test/cn=x",
        "file:///etc/passwd",
        "http://user@a.test/",
        "http://a.test:25/",
        "http://a.test:443/",
        "/a",
        "http:///a",
        "http://a.test/ b",
    ] {
        assert!(Place::read(url).is_err(), "{url}");
    }
    assert!(Place::read(&format!("http://a.test/{}", "x".repeat(URL_MAX_OCTETS))).is_err());
    assert_eq!(Place::read("http://a.test").unwrap().path, "/");
    assert_eq!(Place::read("http://a.test:8080/x?y").unwrap().path, "/x?y");
}

#[test]
fn only_public_addresses_are_public() {
    for network in NOT_PUBLIC.into_iter().chain([GIVEN_OUT_V6]) {
        assert!(network.parse::<Network>().is_ok(), "{network}");
    }
    for address in [
        "0.0.0.0",
        "10.1.2.3",
        "100.64.0.1",
        "100.127.255.255",
        "127.0.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.19.255.255",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
        "fc00::1",
        "fd00:ec2::254",
        "ff02::1",
        "64:ff9b::a00:1",
        "2001::1",
        "2001:db8::1",
        "2002:a00:1::1",
        "3fff::1",
        "::10.0.0.1",
    ] {
        assert!(!is_public(address.parse().unwrap()), "{address}");
    }
    for address in [
        "9.9.9.9",
        "100.63.255.255",
        "100.128.0.0",
        "172.15.0.1",
        "172.32.0.1",
        "193.140.0.1",
        "223.255.255.1",
        "2a00:1450::1",
        "2001:4860::1",
        "2606:4700::1",
    ] {
        assert!(is_public(address.parse().unwrap()), "{address}");
    }
}
