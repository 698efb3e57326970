//! The client against scripted peers, and against our own server with hostile cutting.

use super::super::server::{BodyOutcome, Event, Role, ServerConfig, ServerSession, Verdict};
use super::*;
use crate::smtp::reply;
use proptest::prelude::*;

fn config(tls: TlsWish) -> ClientConfig {
    ClientConfig {
        hello: "hs01.kep.test".to_owned(),
        tls,
        auth_plain: None,
    }
}

fn mail(recipients: &[&str]) -> Outgoing {
    Outgoing {
        from: ReversePath::Address("a@hs01.kep.test".parse().unwrap()),
        recipients: recipients.iter().map(|r| r.parse().unwrap()).collect(),
        octets: 3,
        needs_8bit: false,
        needs_smtputf8: false,
    }
}

/// A peer that says `S:` lines and hears exactly `C:` lines.
struct Peer {
    session: ClientSession,
    input: BytesMut,
}

impl Peer {
    fn new(config: ClientConfig) -> Self {
        Self {
            session: ClientSession::new(config),
            input: BytesMut::new(),
        }
    }

    fn says(&mut self, text: &str) -> ClientEvent {
        self.input.extend_from_slice(text.as_bytes());
        self.session.receive(&mut self.input)
    }

    fn hears(&mut self, text: &str) {
        assert_eq!(std::str::from_utf8(&self.session.take_output()).unwrap(), text);
    }

    /// Opens a session with these EHLO keywords.
    fn opened(keywords: &str) -> Self {
        let mut peer = Self::new(config(TlsWish::Leave));
        assert_eq!(peer.says("220 hs02 ESMTP\r\n"), ClientEvent::NeedMore);
        peer.hears("EHLO hs01.kep.test\r\n");
        assert_eq!(peer.says(keywords), ClientEvent::Ready);
        peer
    }
}

fn fates(event: ClientEvent) -> Vec<(Outcome, Cause)> {
    match event {
        ClientEvent::Done(results) => results.into_iter().map(|r| (r.outcome, r.cause)).collect(),
        other => panic!("{other:?}"),
    }
}

fn outcomes(event: ClientEvent) -> Vec<Outcome> {
    fates(event).into_iter().map(|(outcome, _)| outcome).collect()
}

use Outcome::{Accepted, Permanent, Temporary};

#[test]
fn one_by_one_without_pipelining() {
    let mut peer = Peer::opened("250-hs02\r\n250 SIZE 0\r\n");
    peer.session
        .send(mail(&["b@hs02.kep.test", "c@hs02.kep.test", "d@hs02.kep.test"]))
        .unwrap();
    peer.hears("MAIL FROM:<a@hs01.kep.test> SIZE=3\r\n");
    peer.says("250 ok\r\n");
    peer.hears("RCPT TO:<b@hs02.kep.test>\r\n");
    peer.says("250 ok\r\n");
    peer.hears("RCPT TO:<c@hs02.kep.test>\r\n");
    peer.says("550 5.1.1 no\r\n");
    peer.hears("RCPT TO:<d@hs02.kep.test>\r\n");
    peer.says("452 4.5.3 many\r\n");
    peer.hears("DATA\r\n");
    assert!(peer.session.body(b"early").is_err());
    assert_eq!(peer.says("354 go\r\n"), ClientEvent::SendBody);
    peer.session.body(b".a\r").unwrap();
    peer.session.body(b"\n").unwrap();
    peer.session.body_end().unwrap();
    peer.hears("..a\r\n.\r\n");
    assert_eq!(
        outcomes(peer.says("250 2.6.0 taken\r\n")),
        [Accepted, Permanent, Temporary]
    );
    assert_eq!(peer.says(""), ClientEvent::Ready);
    peer.session.quit().unwrap();
    peer.hears("QUIT\r\n");
    assert_eq!(peer.says("221 bye\r\n"), ClientEvent::Closed);
}

#[test]
fn pipelined_and_reused() {
    let mut peer = Peer::opened("250-hs02\r\n250 PIPELINING\r\n");
    peer.session.send(mail(&["b@x.y", "c@x.y"])).unwrap();
    peer.hears("MAIL FROM:<a@hs01.kep.test>\r\nRCPT TO:<b@x.y>\r\nRCPT TO:<c@x.y>\r\n");
    let refused = peer.says("451 4.3.0 later\r\n503 no\r\n503 no\r\n");
    assert_eq!(
        fates(refused)[1],
        (Temporary, Cause::Peer(Reply::new(451, Some((4, 3, 0)), "later")))
    );
    peer.hears("RSET\r\n");
    assert!(peer.session.send(mail(&["b@x.y"])).is_err());
    assert_eq!(peer.says("250 ok\r\n"), ClientEvent::Ready);

    peer.session.send(mail(&["b@x.y", "c@x.y"])).unwrap();
    peer.session.take_output();
    assert_eq!(
        outcomes(peer.says("250 ok\r\n550 no\r\n552 many\r\n")),
        [Permanent, Temporary]
    );
    peer.hears("RSET\r\n");
    peer.says("250 ok\r\n");

    peer.session.send(mail(&["b@x.y", "c@x.y"])).unwrap();
    peer.session.take_output();
    peer.says("250 ok\r\n250 ok\r\n550 no\r\n");
    peer.hears("DATA\r\n");
    let refused = fates(peer.says("554 5.6.0 no\r\n"));
    assert_eq!(
        refused[0],
        (Permanent, Cause::Peer(Reply::new(554, Some((5, 6, 0)), "no")))
    );
    assert_eq!(refused[1], (Permanent, Cause::Peer(Reply::new(550, None, "no"))));
}

#[test]
fn the_window_bounds_what_is_on_the_way() {
    let mut peer = Peer::opened("250-hs02\r\n250 PIPELINING\r\n");
    let many: Vec<String> = (0..120).map(|n| format!("u{n}@x.y")).collect();
    peer.session
        .send(mail(&many.iter().map(String::as_str).collect::<Vec<_>>()))
        .unwrap();
    let lines = |out: BytesMut| out.iter().filter(|octet| **octet == b'\n').count();
    assert_eq!(lines(peer.session.take_output()), PIPELINE_WINDOW);
    peer.says(&"250 ok\r\n".repeat(10));
    assert_eq!(lines(peer.session.take_output()), 10);
}

#[test]
fn what_the_peer_cannot_take_is_not_tried() {
    let mut peer = Peer::opened("250-hs02\r\n250 SIZE 2\r\n");
    for (mail, cause) in [
        (
            Outgoing {
                needs_8bit: true,
                ..mail(&["b@x.y"])
            },
            Cause::Needs8BitButNotOffered,
        ),
        (
            Outgoing {
                needs_smtputf8: true,
                ..mail(&["b@x.y"])
            },
            Cause::NeedsSmtpUtf8ButNotOffered,
        ),
        (mail(&["b@x.y"]), Cause::TooLargeForPeer { size_max_octets: 2 }),
    ] {
        peer.session.send(mail).unwrap();
        peer.hears("");
        assert_eq!(fates(peer.says("")), [(Permanent, cause)]);
        assert_eq!(peer.says(""), ClientEvent::Ready);
    }
    let mut peer = Peer::opened("250-hs02\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n");
    peer.session
        .send(Outgoing {
            needs_8bit: true,
            needs_smtputf8: true,
            ..mail(&["b@x.y"])
        })
        .unwrap();
    peer.hears("MAIL FROM:<a@hs01.kep.test> BODY=8BITMIME SMTPUTF8\r\n");
}

#[test]
fn tls_and_auth() {
    let mut peer = Peer::new(ClientConfig {
        auth_plain: Some(SaslOctets::new(b"\0u\0p".to_vec())),
        ..config(TlsWish::Required)
    });
    peer.says("220 x\r\n");
    peer.hears("EHLO hs01.kep.test\r\n");
    peer.says("250-x\r\n250-AUTH PLAIN\r\n250 STARTTLS\r\n");
    peer.hears("STARTTLS\r\n");
    assert_eq!(peer.says("220 go\r\n"), ClientEvent::StartTls);
    peer.session.tls_started().unwrap();
    peer.hears("EHLO hs01.kep.test\r\n");
    peer.says("250-x\r\n250 AUTH LOGIN PLAIN\r\n");
    peer.hears("AUTH PLAIN AHUAcA==\r\n");
    assert_eq!(peer.says("235 ok\r\n"), ClientEvent::Ready);

    let mut stripped = Peer::new(config(TlsWish::Required));
    stripped.says("220 x\r\n");
    let failed = ClientEvent::Failed {
        outcome: Temporary,
        cause: Cause::TlsNotOffered,
    };
    assert_eq!(stripped.says("250 x\r\n"), failed);
    assert_eq!(stripped.says(""), ClientEvent::Closed);

    let mut injected = Peer::new(config(TlsWish::Required));
    injected.says("220 x\r\n");
    injected.says("250-x\r\n250 STARTTLS\r\n");
    let failed = ClientEvent::Failed {
        outcome: Temporary,
        cause: Cause::OctetsBeforeTls,
    };
    assert_eq!(injected.says("220 go\r\n250 trust me\r\n"), failed);

    // Opportunistic: refused TLS is no end, but no password goes out in the clear.
    let mut plain = Peer::new(ClientConfig {
        auth_plain: Some(SaslOctets::new(b"\0u\0p".to_vec())),
        ..config(TlsWish::WhenOffered)
    });
    plain.says("220 x\r\n");
    plain.says("250-x\r\n250-AUTH PLAIN\r\n250 STARTTLS\r\n");
    assert_eq!(plain.says("454 not now\r\n"), ClientEvent::Ready);
}

#[test]
fn sessions_that_do_not_open() {
    let failed = |text: &str| match Peer::new(config(TlsWish::Leave)).says(text) {
        ClientEvent::Failed { outcome, .. } => outcome,
        other => panic!("{other:?}"),
    };
    assert_eq!(failed("554 go away\r\n"), Permanent);
    assert_eq!(failed("421 later\r\n"), Temporary);
    assert_eq!(failed("HTTP/1.1 400\r\n"), Temporary);
    assert_eq!(failed("250 what\r\n"), Temporary);
}

#[test]
fn a_session_that_breaks_settles_every_recipient() {
    let begun = || {
        let mut peer = Peer::opened("250-hs02\r\n250 PIPELINING\r\n");
        peer.session.send(mail(&["b@x.y", "c@x.y"])).unwrap();
        peer
    };
    let mut peer = begun();
    let results = peer.says("250 ok\r\n550 no\r\n421 bye\r\n");
    assert_eq!(outcomes(results), [Permanent, Temporary]);
    assert_eq!(peer.says(""), ClientEvent::Closed);

    let mut peer = begun();
    peer.says("250 ok\r\n250 ok\r\n550 no\r\n");
    assert_eq!(peer.says("354 go\r\n"), ClientEvent::SendBody);
    peer.session.body(b"a\r\n").unwrap();
    let lost = peer.session.connection_lost().unwrap();
    assert_eq!(
        (lost[0].outcome, &lost[0].cause),
        (Temporary, &Cause::ConnectionLost)
    );
    assert_eq!(lost[1].outcome, Permanent);
    assert_eq!(peer.session.connection_lost(), None);

    // A reply in the middle of content ends the session; only a refusal is believed.
    for (text, outcome) in [("552 5.3.4 enough\r\n", Permanent), ("250 ok\r\n", Temporary)] {
        let mut peer = begun();
        peer.says("250 ok\r\n250 ok\r\n250 ok\r\n");
        assert_eq!(peer.says("354 go\r\n"), ClientEvent::SendBody);
        assert_eq!(outcomes(peer.says(text)), [outcome, outcome]);
        assert_eq!(peer.says(""), ClientEvent::Closed);
    }

    // Content that breaks the rules is a fault of ours and is never ended as if it were whole.
    let mut peer = begun();
    peer.says("250 ok\r\n250 ok\r\n250 ok\r\n");
    assert_eq!(peer.says("354 go\r\n"), ClientEvent::SendBody);
    peer.session.take_output();
    peer.session.body(b"a").unwrap();
    assert_eq!(
        peer.session.body_end(),
        Err(BodyError::Damaged(Damage::NoFinalCrlf))
    );
    assert!(!peer.session.take_output().ends_with(b".\r\n"));
    assert_eq!(
        outcomes(ClientEvent::Done(peer.session.connection_lost().unwrap())),
        [Permanent, Permanent]
    );
}

/// Both of our engines, joined by a wire that is cut into pieces: (what the server took, what the client was told).
fn journey(content: &str, piece: usize, tls: bool) -> (Vec<u8>, Vec<Outcome>) {
    let server_config = ServerConfig {
        role: Role::Relay,
        host: "hs02.kep.test".to_owned(),
        size_max_octets: 10_000,
        recipients_max: 10,
        starttls: true,
        tls_required: tls,
        mechanisms: Vec::new(),
    };
    let mut server = ServerSession::new(server_config.into(), false);
    let mut client = ClientSession::new(config(if tls { TlsWish::Required } else { TlsWish::Leave }));
    let (mut to_server, mut to_client) = (BytesMut::new(), BytesMut::new());
    let (mut taken, mut told) = (Vec::new(), Vec::new());
    loop {
        let (mut heard, output) = (BytesMut::new(), server.take_output());
        to_client.extend_from_slice(&output);
        while !to_client.is_empty() || heard.is_empty() {
            heard.extend_from_slice(&to_client.split_to(piece.min(to_client.len())));
            match client.receive(&mut heard) {
                ClientEvent::NeedMore if to_client.is_empty() => break,
                ClientEvent::NeedMore => {}
                ClientEvent::StartTls => {
                    assert_eq!(server.receive(&mut to_server), Event::StartTls);
                    server.tls_started().unwrap();
                    client.tls_started().unwrap();
                }
                ClientEvent::Ready if told.is_empty() => {
                    client
                        .send(mail(&["b@hs02.kep.test", "unknown@hs02.kep.test"]))
                        .unwrap();
                }
                ClientEvent::Ready => return (taken, told),
                ClientEvent::SendBody => {
                    content
                        .as_bytes()
                        .chunks(piece)
                        .for_each(|run| client.body(run).unwrap());
                    client.body_end().unwrap();
                }
                ClientEvent::Done(results) => told = results.into_iter().map(|r| r.outcome).collect(),
                other => panic!("{other:?}"),
            }
        }
        assert!(heard.is_empty());
        for octets in client.take_output().chunks(piece) {
            to_server.extend_from_slice(octets);
            loop {
                let verdict = match server.receive(&mut to_server) {
                    Event::NeedMore | Event::StartTls => break,
                    Event::Body(run) => {
                        taken.extend_from_slice(&run);
                        continue;
                    }
                    Event::Rcpt(rcpt) if rcpt.raw.starts_with("unknown") => {
                        Verdict::Refuse(reply::UNKNOWN_RECIPIENT)
                    }
                    Event::Mail(_) | Event::Rcpt(_) | Event::BodyStart => Verdict::Accept,
                    Event::BodyEnd(BodyOutcome::Complete { .. }) => Verdict::Accept,
                    other => panic!("{other:?}"),
                };
                server.answer(verdict).unwrap();
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_sent_arrives(lines in proptest::collection::vec("[.a ]{0,4}", 0..6), piece in 1usize..40, tls: bool) {
        let content: String = lines.iter().flat_map(|line| [line.as_str(), "\r\n"]).collect();
        let (taken, told) = journey(&content, piece, tls);
        prop_assert_eq!(taken, content.as_bytes());
        prop_assert_eq!(told, [Accepted, Permanent]);
    }

    #[test]
    fn hostile_peers_never_panic(words in proptest::collection::vec(prop_oneof![
        Just("220 x\r\n".to_owned()), Just("250 x\r\n".to_owned()), Just("250-x\r\n250 PIPELINING\r\n".to_owned()),
        Just("354 go\r\n".to_owned()), Just("421 bye\r\n".to_owned()), Just("550 no\r\n".to_owned()), "[ -~\r\n]{0,12}",
    ], 0..12)) {
        let mut peer = Peer::new(config(TlsWish::WhenOffered));
        for word in words {
            match peer.says(&word) {
                ClientEvent::Ready => peer.session.send(mail(&["b@x.y", "c@x.y"])).unwrap(),
                ClientEvent::SendBody => {
                    peer.session.body(b"a\r\n").unwrap();
                    peer.session.body_end().unwrap();
                }
                ClientEvent::Done(results) => prop_assert_eq!(results.len(), 2),
                ClientEvent::StartTls => peer.session.tls_started().unwrap(),
                _ => {}
            }
        }
    }
}
