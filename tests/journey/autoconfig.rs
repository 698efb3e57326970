//! What mail clients are told, through the doors of a daemon: over HTTP with a bare socket, over HTTPS with Python's
//! client, and in the lines for a zone. What is told must be true: the ports are those that answer.

use super::kepctl::{kepctl, start};
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};

/// What a provider tells that has no doors.
pub fn told() -> kepd::autoconfig::Settings {
    kepd::autoconfig::Settings {
        domain: "hs01.kep.test".parse().unwrap(),
        name: "HS01".into(),
        host: "posta.hs01.kep.test".parse().unwrap(),
        imap_tls: 993,
        imap: 143,
        submission_tls: 465,
        submission: 587,
        over_http: true,
        https: None,
    }
}

/// Everything that is answered to these octets.
fn ask(port: u64, octets: &[u8]) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port as u16)).unwrap();
    // A door that has heard enough hangs up.
    let _ = stream.write_all(octets);
    let mut heard = Vec::new();
    let _ = stream.read_to_end(&mut heard);
    String::from_utf8(heard).unwrap()
}

fn get(port: u64, path: &str) -> String {
    ask(
        port,
        format!("GET {path} HTTP/1.1\r\nHost: autoconfig.hs01.kep.test\r\n\r\n").as_bytes(),
    )
}

/// What stands in the elements of this name, in order.
fn elements<'a>(document: &'a str, name: &str) -> Vec<&'a str> {
    let (begin, end) = (format!("<{name}>"), format!("</{name}>"));
    let parts = document.split(begin.as_str()).skip(1);
    parts.filter_map(|part| part.split(end.as_str()).next()).collect()
}

const QUESTION: &str = "<?xml version=\"1.0\" encoding=\"utf-8\"?><Autodiscover xmlns=\"http://schemas.microsoft.com/exchange/\
    autodiscover/outlook/requestschema/2006\"><Request><EMailAddress>ornekas@hs01.kep.test</EMailAddress>\
    <AcceptableResponseSchema>http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a\
    </AcceptableResponseSchema></Request></Autodiscover>";

/// Asks as Outlook and as Thunderbird do, and trusts nobody but the provider's own authority.
const OVER_HTTPS: &str = "
import ssl, sys, urllib.request
port, ca, question = sys.argv[1:]
tls = ssl.create_default_context(cafile=ca)
def ask(path, octets=None):
    request = urllib.request.Request(f'https://localhost:{port}{path}', octets, {'Content-Type': 'text/xml'})
    return urllib.request.urlopen(request, context=tls).read().decode()
print(ask('/mail/config-v1.1.xml'))
print(ask('/autodiscover/autodiscover.xml', question.encode()))
";

#[test]
fn a_client_is_told_the_doors_that_are_open() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("hs01");
    let mut init = Command::new(env!("CARGO_BIN_EXE_kepd"));
    init.args(["init", "--domain", "hs01.kep.test", "--ports", "free", "--data"]);
    assert!(init.arg(&data).status().unwrap().success());
    let _daemon = start(&data);
    let ports: Value = serde_json::from_slice(&std::fs::read(data.join("ports.json")).unwrap()).unwrap();
    let port = |name: &str| ports[name].as_u64().unwrap();
    let http = port("autoconfig");

    let told = get(http, "/mail/config-v1.1.xml?emailaddress=ornekas@hs01.kep.test");
    assert!(told.starts_with("HTTP/1.1 200 "), "{told}");
    let doors = ["imap_tls", "imap", "submission_tls", "submission"].map(|name| port(name).to_string());
    assert_eq!(elements(&told, "port"), doors);
    assert_eq!(
        elements(&told, "socketType"),
        ["SSL", "STARTTLS", "SSL", "STARTTLS"]
    );
    // They are what they are said to be.
    for (door, greeting) in [("imap", "* OK "), ("submission", "220 ")] {
        let stream = TcpStream::connect(("127.0.0.1", port(door) as u16)).unwrap();
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).unwrap();
        assert!(line.starts_with(greeting), "{line}");
    }

    // Nobody learns who has an account: there is none here at all, and the answer is the same.
    let body = |answer: &str| answer.split_once("\r\n\r\n").unwrap().1.to_owned();
    let nobody = get(
        http,
        "/.well-known/autoconfig/mail/config-v1.1.xml?emailaddress=kimse@hs01.kep.test",
    );
    assert_eq!(body(&nobody), body(&told));
    for (asked, want) in [
        (
            "GET /mail/config-v1.1.xml?emailaddress=a@baska.test HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
            "404",
        ),
        ("GET /kimse HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), "404"),
        (
            "DELETE /mail/config-v1.1.xml HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
            "405",
        ),
        ("nonsense\r\n\r\n".to_owned(), "400"),
        (
            post(&QUESTION.replacen("<Autodiscover", "<!DOCTYPE x><Autodiscover", 1)),
            "400",
        ),
        (post(&"x".repeat(64 * 1024)), "413"),
        (post(QUESTION), "200"),
    ] {
        let answer = ask(http, asked.as_bytes());
        let shown = asked.get(..60).unwrap_or(&asked);
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {want} ")),
            "{shown}: {answer}"
        );
    }
    // Of a head without end no more is read; who still speaks may not hear why.
    let fat = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(64 * 1024));
    let answer = ask(http, fat.as_bytes());
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 431 "),
        "{answer}"
    );
    let outlook = ask(http, post(QUESTION).as_bytes());
    assert_eq!(elements(&outlook, "Port"), doors);

    let mut client = Command::new("python3");
    client.args(["-c", OVER_HTTPS, &port("autoconfig_tls").to_string()]);
    client
        .arg(data.join("ca.pem"))
        .arg(QUESTION)
        .stderr(Stdio::inherit());
    let over_https = client.output().unwrap();
    let said = String::from_utf8(over_https.stdout).unwrap();
    assert!(over_https.status.success(), "{said}");
    assert_eq!(
        (elements(&said, "port"), elements(&said, "Port")),
        (
            doors.each_ref().map(String::as_str).to_vec(),
            doors.each_ref().map(String::as_str).to_vec()
        )
    );

    zone(&ports);
}

fn post(body: &str) -> String {
    format!(
        "POST /autodiscover/autodiscover.xml HTTP/1.1\r\nHost: x\r\nContent-Type: text/xml\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// The same in lines for a zone, and as JSON.
fn zone(ports: &Value) {
    let say = |args: &[&str]| {
        let out = kepctl(&[&["--socket", ports["control"].as_str().unwrap()], args].concat());
        let why = String::from_utf8(out.stderr).unwrap();
        assert!(out.status.success(), "{why}");
        String::from_utf8(out.stdout).unwrap()
    };
    say(&["tenant", "add", "ornekas"]);
    let lines = say(&["tenant", "summary", "ornekas", "--dns"]);
    let lines: Vec<&str> = lines.lines().collect();
    for (n, (service, door, priority)) in [
        ("imaps", "imap_tls", 0),
        ("imap", "imap", 10),
        ("submissions", "submission_tls", 0),
        ("submission", "submission", 10),
    ]
    .into_iter()
    .enumerate()
    {
        let port = &ports[door];
        let want = format!("_{service}._tcp.hs01.kep.test. 3600 IN SRV {priority} 1 {port} hs01.kep.test.");
        assert_eq!(lines[n], want);
    }
    assert!(lines.contains(&"autoconfig.hs01.kep.test. 3600 IN CNAME hs01.kep.test."));
    let https = &ports["autoconfig_tls"];
    let last = format!("_autodiscover._tcp.hs01.kep.test. 3600 IN SRV 0 1 {https} hs01.kep.test.");
    assert_eq!(lines.last(), Some(&last.as_str()));
    let records: Value =
        serde_json::from_str(&say(&["--json", "tenant", "summary", "ornekas", "--dns"])).unwrap();
    assert_eq!(records.as_array().unwrap().len(), lines.len());
    assert_eq!(
        (&records[0]["type"], &records[0]["port"]),
        (&"SRV".into(), &ports["imap_tls"])
    );
    let figures: Value = serde_json::from_str(&say(&["--json", "tenant", "summary", "ornekas"])).unwrap();
    assert_eq!(figures["users"], 0);
}
