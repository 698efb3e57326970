//! The door over a pipe: what it answers, and what it does not wait for.

use super::*;
use crate::net::tls::ServerTls;
use rcgen::generate_simple_self_signed;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

fn door(connection_max: Duration) -> Arc<AutoconfigDoor> {
    let made = generate_simple_self_signed(["hs01.kep.test".to_owned()]).unwrap();
    let tls = ServerTls::from_pem(
        made.cert.pem().as_bytes(),
        made.signing_key.serialize_pem().as_bytes(),
    );
    let mut door = AutoconfigDoor::new(crate::autoconfig::settings(), tls.unwrap());
    door.connection_max = connection_max;
    Arc::new(door)
}

fn connect(door: &Arc<AutoconfigDoor>) -> (DuplexStream, tokio::task::JoinHandle<()>) {
    let (client, server) = tokio::io::duplex(64 * 1024);
    let door = door.clone();
    let serving = tokio::spawn(async move { door.converse(server, Entry::StartTls).await });
    (client, serving)
}

/// Everything the door says to these octets, to the end of the connection.
async fn says(asked: &[u8]) -> String {
    let (mut client, serving) = connect(&door(CONNECTION_MAX));
    // A door that has heard enough hangs up; what is left unsaid is no fault of the client.
    let _ = client.write_all(asked).await;
    let mut heard = Vec::new();
    client.read_to_end(&mut heard).await.unwrap();
    serving.await.unwrap();
    String::from_utf8(heard).unwrap()
}

async fn get(what: &str) -> String {
    says(format!("GET {what} HTTP/1.1\r\nHost: autoconfig.hs01.kep.test\r\n\r\n").as_bytes()).await
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or_default()
}

#[tokio::test]
async fn settings_are_told_at_both_places_and_for_our_domain_only() {
    let plain = get("/mail/config-v1.1.xml").await;
    assert_eq!(status(&plain), "200");
    assert!(
        plain.contains("\r\ncontent-type: text/xml; charset=utf-8\r\n"),
        "{plain}"
    );
    assert!(plain.contains("<port>10993</port>"), "{plain}");
    let body = |answer: &str| answer.split_once("\r\n\r\n").unwrap().1.to_owned();
    for same in [
        "/.well-known/autoconfig/mail/config-v1.1.xml",
        "/mail/config-v1.1.xml?emailaddress=",
        "/mail/config-v1.1.xml?emailaddress=ornekas%40hs01.kep.test",
        "/mail/config-v1.1.xml?a=b&emailaddress=kimse@HS01.kep.test",
        "/mail/config-v1.1.xml?emailaddress=ayse@ornekas",
    ] {
        let answer = get(same).await;
        assert_eq!((status(&answer), body(&answer)), ("200", body(&plain)), "{same}");
    }
    for other in [
        "/mail/config-v1.1.xml?emailaddress=a@hs02.kep.test",
        "/mail/config-v1.1.xml?emailaddress=%zz",
        "/mail/config-v1.1.xml?emailaddress=%",
        "/mail/config-v1.1.xml?emailaddress=%ff@hs01.kep.test",
        "/mail/config-v1.1.xml/",
        "/mail/../mail/config-v1.1.xml",
        "/",
        "/metrics",
    ] {
        assert_eq!(status(&get(other).await), "404", "{other}");
    }
    let long = format!(
        "/mail/config-v1.1.xml?emailaddress={}@hs01.kep.test",
        "a".repeat(2000)
    );
    assert_eq!(status(&get(&long).await), "404");
    let head = says(b"HEAD /mail/config-v1.1.xml HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(status(&head), "200");
    assert!(
        body(&head).is_empty() && head.contains("content-length: "),
        "{head}"
    );
}

#[tokio::test]
async fn each_place_has_its_methods() {
    let asked = |line: &str| format!("{line} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    for (line, want, header) in [
        ("POST /mail/config-v1.1.xml", "405", "allow: GET, HEAD"),
        ("DELETE /mail/config-v1.1.xml", "405", "allow: GET, HEAD"),
        ("PUT /autodiscover/autodiscover.xml", "405", "allow: POST"),
        // Over plain HTTP a reader is led to HTTPS.
        (
            "GET /Autodiscover/Autodiscover.xml",
            "302",
            "location: https://hs01.kep.test:10443/autodiscover/autodiscover.xml",
        ),
        ("POST /autodiscover/autodiscover.xml", "400", ""),
        ("BREW /pot", "404", ""),
    ] {
        let answer = says(asked(line).as_bytes()).await;
        assert_eq!(status(&answer), want, "{line}: {answer}");
        assert!(answer.contains(header), "{line}: {answer}");
    }
}

#[tokio::test]
async fn outlook_is_answered_and_nothing_else_is_parsed() {
    let question = "<?xml version=\"1.0\"?><Autodiscover xmlns=\"http://schemas.microsoft.com/exchange/autodiscover/outlook/\
        requestschema/2006\"><Request><EMailAddress>ornekas@hs01.kep.test</EMailAddress><AcceptableResponseSchema>\
        http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a</AcceptableResponseSchema></Request>\
        </Autodiscover>";
    let post = |path: &str, body: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: text/xml\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    for path in ["/autodiscover/autodiscover.xml", "/Autodiscover/Autodiscover.XML"] {
        let answer = says(post(path, question).as_bytes()).await;
        assert_eq!(status(&answer), "200");
        assert!(answer.contains("<Port>10465</Port>"), "{answer}");
        assert!(
            answer.contains("<LoginName>ornekas@hs01.kep.test</LoginName>"),
            "{answer}"
        );
    }
    let path = "/autodiscover/autodiscover.xml";
    let doctype = question.replacen("<Autodiscover", "<!DOCTYPE a><Autodiscover", 1);
    assert_eq!(status(&says(post(path, &doctype).as_bytes()).await), "400");
    let large = format!("{question}{}", " ".repeat(outlook::REQUEST_MAX_OCTETS));
    assert_eq!(status(&says(post(path, &large).as_bytes()).await), "413");
    let chunked = format!("POST {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    let endless = chunked + &format!("400\r\n{}\r\n", " ".repeat(0x400)).repeat(300);
    assert_eq!(status(&says(endless.as_bytes()).await), "413");
}

#[tokio::test]
async fn a_head_without_end_and_a_client_without_hurry_are_not_waited_for() {
    let fat = format!(
        "GET /mail/config-v1.1.xml HTTP/1.1\r\nX: {}\r\n\r\n",
        "x".repeat(HEAD_MAX_OCTETS)
    );
    assert_eq!(status(&says(fat.as_bytes()).await), "431");
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(HEADERS_MAX + 1));
    assert_eq!(status(&says(many.as_bytes()).await), "431");
    // Two requests at once: one is answered.
    let twice = says(b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(twice.matches("HTTP/1.1").count(), 1, "{twice}");

    let hasty = door(Duration::from_millis(50));
    for begun in [
        &b""[..],
        b"GET /mail/conf",
        b"POST /autodiscover/autodiscover.xml HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n<Auto",
    ] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (door, (_open, closing)) = (hasty.clone(), tokio::sync::watch::channel(false));
        let serving = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            door.serve(stream, Entry::StartTls, closing).await;
        });
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(begun).await.unwrap();
        let mut heard = Vec::new();
        // The door hangs up by itself; the client has said all it ever will.
        let _ = client.read_to_end(&mut heard).await;
        serving.await.unwrap();
        assert!(!heard.starts_with(b"HTTP/1.1 200"), "{begun:?}");
    }
}
