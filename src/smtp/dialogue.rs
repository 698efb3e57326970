//! Runs the dialogue scripts of `tests/dialogues/smtp` against the server session, each once with every group of client
//! lines as one chunk and once octet by octet: how the network cuts must not change an answer.
//!
//! A script: `#` comment; `! word` setting (`relay`, `tls`, `once` = not octet by octet); `C:` client line, CRLF added;
//! `C~` raw client text; `S:` the server's line; `M:` content taken by the server; `R:` content refused; `T` handshake;
//! `X` closed. In client text and content `\r \n \0 \\` and `{c*n}` (n times c) are expanded.

use super::reply;
use super::server::*;
use bytes::BytesMut;
use proptest::prelude::*;
use std::sync::Arc;

const SIZE_MAX: u64 = 2000;

fn config(relay: bool) -> Arc<ServerConfig> {
    Arc::new(ServerConfig {
        role: if relay { Role::Relay } else { Role::Submission },
        host: "hs01.kep.test".to_owned(),
        size_max_octets: SIZE_MAX,
        recipients_max: 3,
        starttls: true,
        tls_required: !relay,
        mechanisms: vec!["SCRAM-SHA-256".to_owned(), "PLAIN".to_owned()],
    })
}

/// A driver with simple manners: login `u`, password `p`; `closed@` may not send; `unknown@` does not exist; a body
/// that begins with `DISK` meets a full disk. SCRAM-SHA-256 is a stand-in that asks `one?` and wants `1`.
struct Driver {
    session: ServerSession,
    input: BytesMut,
    body: Vec<u8>,
    log: Vec<String>,
    closed: bool,
}

impl Driver {
    fn new(relay: bool, tls: bool) -> Self {
        let session = ServerSession::new(config(relay), tls);
        Self {
            session,
            input: BytesMut::new(),
            body: Vec::new(),
            log: Vec::new(),
            closed: false,
        }
    }

    fn feed(&mut self, octets: &[u8]) {
        self.input.extend_from_slice(octets);
        while !self.closed {
            let event = self.session.receive(&mut self.input);
            if matches!(
                event,
                Event::NeedMore | Event::Flush | Event::Close | Event::StartTls
            ) {
                self.write();
            }
            if self.handle(event) {
                break;
            }
        }
    }

    fn write(&mut self) {
        let output = self.session.take_output();
        let text = std::str::from_utf8(&output).unwrap();
        assert!(text.is_empty() || text.ends_with("\r\n"), "{text:?}");
        self.log
            .extend(text.split_terminator("\r\n").map(|line| format!("S: {line}")));
    }

    /// Does what a door would do; says whether more input is needed.
    fn handle(&mut self, event: Event) -> bool {
        let question = event.is_question();
        let verdict = match event {
            Event::NeedMore => return true,
            Event::Unanswered => panic!("unanswered"),
            Event::Flush | Event::AuthCancelled => return false,
            Event::StartTls => {
                self.log.push("T".to_owned());
                self.session.tls_started().unwrap();
                return false;
            }
            Event::Close => {
                self.log.push("X".to_owned());
                self.closed = true;
                return true;
            }
            Event::AuthStart { initial: None, .. } => Verdict::Challenge(Vec::new()),
            Event::AuthStart {
                mechanism,
                initial: Some(_),
            } if mechanism == "SCRAM-SHA-256" => Verdict::Challenge(b"one?".to_vec()),
            Event::AuthStart {
                initial: Some(octets),
                ..
            }
            | Event::AuthResponse(octets) => {
                if matches!(octets.as_slice(), b"\0u\0p" | b"1") {
                    Verdict::Accept
                } else {
                    Verdict::Refuse(reply::BAD_CREDENTIALS)
                }
            }
            Event::Mail(mail) => match mail.from {
                crate::address::ReversePath::Address(from) if from.local_part() == "closed" => {
                    Verdict::Refuse(reply::ACCOUNT_CLOSED)
                }
                _ => Verdict::Accept,
            },
            Event::Rcpt(rcpt) => match rcpt.address {
                Err(_) => Verdict::Refuse(reply::NOT_A_KEP_ADDRESS),
                Ok(address) if address.local_part() == "unknown" => Verdict::Refuse(reply::UNKNOWN_RECIPIENT),
                Ok(_) => Verdict::Accept,
            },
            Event::BodyStart => Verdict::Accept,
            Event::Body(run) => {
                assert!(!run.is_empty());
                self.body.extend_from_slice(&run);
                return false;
            }
            Event::BodyEnd(BodyOutcome::Complete { octets }) => {
                assert_eq!(octets, self.body.len() as u64);
                self.write();
                let body = String::from_utf8_lossy(&std::mem::take(&mut self.body)).into_owned();
                self.log.push(format!("M: {body}"));
                if body.starts_with("DISK") {
                    Verdict::Refuse(reply::TRY_LATER)
                } else {
                    Verdict::Accept
                }
            }
            Event::BodyEnd(BodyOutcome::Refused(reply)) => {
                self.body.clear();
                self.write();
                self.log.push(format!("R: {}", reply.code));
                return false;
            }
            Event::Reset => {
                self.body.clear();
                return false;
            }
        };
        assert!(question);
        self.session.answer(verdict).unwrap();
        assert!(
            self.session.answer(Verdict::Accept).is_err(),
            "one question, one answer"
        );
        false
    }
}

fn expand(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            '\\' => {
                let escaped = rest.chars().next().unwrap();
                rest = &rest[1..];
                out.push(match escaped {
                    'r' => '\r',
                    'n' => '\n',
                    '0' => '\0',
                    other => other,
                });
            }
            '{' => {
                let (inside, after) = rest.split_once('}').unwrap();
                let (what, times) = inside.split_once('*').unwrap();
                out.push_str(&what.repeat(times.parse().unwrap()));
                rest = after;
            }
            other => out.push(other),
        }
    }
    out
}

fn run(name: &str, script: &str, octet_by_octet: bool) {
    let has = |word: &str| script.lines().any(|line| line == format!("! {word}"));
    if octet_by_octet && has("once") {
        return;
    }
    let mut driver = Driver::new(has("relay"), has("tls"));
    driver.feed(b"");
    let mut pending = Vec::new();
    let mut expected = Vec::new();
    let mut lines = script
        .lines()
        .filter(|l| !l.is_empty() && !l.starts_with(['#', '!']))
        .peekable();
    while let Some(line) = lines.next() {
        let (kind, text) = (&line[..1], line.get(3..).unwrap_or(""));
        match (kind, line.get(1..2)) {
            ("C", Some(":")) => pending.extend_from_slice((expand(text) + "\r\n").as_bytes()),
            ("C", _) => pending.extend_from_slice(expand(text).as_bytes()),
            ("M", _) => expected.push(format!("M: {}", expand(text))),
            _ => expected.push(line.to_owned()),
        }
        let group_over = lines.peek().is_none_or(|next| next.starts_with('C'));
        if kind == "C" && !group_over {
            let piece = if octet_by_octet { 1 } else { usize::MAX };
            pending.chunks(piece).for_each(|octets| driver.feed(octets));
            pending.clear();
        }
        if kind != "C" && group_over {
            assert_eq!(driver.log, expected, "{name}, octet by octet: {octet_by_octet}");
            driver.log.clear();
            expected.clear();
        }
    }
    assert!(
        pending.is_empty() && driver.log.is_empty(),
        "{name}: the script ends with client lines"
    );
}

#[test]
fn dialogues() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/dialogues/smtp");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(files.len() >= 10, "the scripts are gone");
    for file in files {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let script = std::fs::read_to_string(&file).unwrap();
        run(&name, &script, false);
        run(&name, &script, true);
    }
}

#[test]
fn a_question_must_be_answered_before_more_is_read() {
    let mut session = ServerSession::new(config(true), true);
    let mut input = BytesMut::from("EHLO a\r\nMAIL FROM:<a@b.c>\r\nNOOP\r\n");
    assert!(session.answer(Verdict::Accept).is_err());
    assert!(matches!(session.receive(&mut input), Event::Mail(_)));
    assert_eq!(session.receive(&mut input), Event::Unanswered);
    assert!(session.answer(Verdict::Challenge(Vec::new())).is_err());
    session.answer(Verdict::Accept).unwrap();
    assert_eq!(session.receive(&mut input), Event::NeedMore);
}

#[test]
fn another_reader_understands_our_ehlo() {
    let mut session = ServerSession::new(config(false), true);
    session.take_output();
    assert_eq!(
        session.receive(&mut BytesMut::from("EHLO pc\r\n")),
        Event::NeedMore
    );
    let output = session.take_output();
    let read = smtp_proto::EhloResponse::parse(&mut output.iter()).unwrap();
    assert_eq!(
        (read.hostname.as_str(), read.size as u64),
        ("hs01.kep.test", SIZE_MAX)
    );
    let offered = smtp_proto::EXT_PIPELINING
        | smtp_proto::EXT_SIZE
        | smtp_proto::EXT_8BIT_MIME
        | smtp_proto::EXT_SMTP_UTF8
        | smtp_proto::EXT_ENHANCED_STATUS_CODES
        | smtp_proto::EXT_CHUNKING
        | smtp_proto::EXT_AUTH;
    assert_eq!(read.capabilities, offered);
    assert_eq!(
        read.auth_mechanisms,
        smtp_proto::AUTH_SCRAM_SHA_256 | smtp_proto::AUTH_PLAIN
    );
}

#[test]
fn octets_between_starttls_and_the_handshake_close_the_session() {
    let mut session = ServerSession::new(config(true), false);
    assert_eq!(
        session.receive(&mut BytesMut::from("STARTTLS\r\n")),
        Event::StartTls
    );
    assert!(
        session
            .take_output()
            .ends_with(b"220 2.0.0 Ready to start TLS\r\n")
    );
    assert_eq!(
        session.receive(&mut BytesMut::from("MAIL FROM:<a@b.c>\r\n")),
        Event::Close
    );
    assert!(session.take_output().is_empty());
    assert!(session.tls_started().is_err());
}

#[test]
fn a_pipelining_client_cannot_make_the_output_grow() {
    let mut session = ServerSession::new(config(true), true);
    let mut input = BytesMut::from("HELP\r\n".repeat(10_000).as_str());
    let mut flushes = 0;
    while session.receive(&mut input) == Event::Flush {
        assert!(session.take_output().len() < OUTPUT_FLUSH_OCTETS + 1024);
        flushes += 1;
    }
    assert!(flushes > 10);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Random words of the protocol, cut anywhere: no panic, and what stays in the buffers stays small.
    #[test]
    fn hostile_input_never_panics_nor_grows(
        words in proptest::collection::vec(prop_oneof![
            Just(b"EHLO a\r\n".to_vec()), Just(b"MAIL FROM:<a@b.c>\r\n".to_vec()), Just(b"RCPT TO:<a@b.c>\r\n".to_vec()),
            Just(b"DATA\r\n".to_vec()), Just(b"BDAT 7 LAST\r\n".to_vec()), Just(b"BDAT 3\r\n".to_vec()),
            Just(b"\r\n.\r\n".to_vec()), Just(b"AUTH PLAIN\r\n".to_vec()), Just(b"STARTTLS\r\n".to_vec()),
            Just(vec![b'x'; 1500]), proptest::collection::vec(any::<u8>(), 0..20),
        ], 0..40),
        piece in 1usize..64, relay in any::<bool>(), tls in any::<bool>(),
    ) {
        let mut whole = Driver::new(relay, tls);
        let wire = words.concat();
        for octets in wire.chunks(piece) {
            whole.feed(octets);
            prop_assert!(whole.closed || whole.input.len() <= super::command::AUTH_LINE_MAX_OCTETS);
        }
        prop_assert!(whole.body.len() as u64 <= SIZE_MAX);
    }
}
