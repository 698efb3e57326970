//! The server's half of SMTP with a door that answers by chance.

use super::chance::Chance;
use super::grammar::Corpus;
use bytes::BytesMut;
use kepd::smtp::reply;
use kepd::smtp::server::{
    BodyOutcome, Event, OUTPUT_FLUSH_OCTETS, Role, ServerConfig, ServerSession, Verdict,
};
use std::sync::Arc;

const SPLICE: &[&[u8]] = &[
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b"\r\n.\r\n",
    b"\n.\n",
    b"\r\n.\r",
    b".",
    b"..",
    b"<",
    b">",
    b"@",
    b" ",
    b"=",
    b"SIZE=99999999999999999999",
    b"BODY=BINARYMIME",
    b"SMTPUTF8",
    b"\xff",
    b"\xc4\xb0",
    b"DATA\r\n",
    b"BDAT 18446744073709551615 LAST\r\n",
    b"BDAT 3\r\nabc",
    b"BDAT 0 LAST\r\n",
    b"RSET\r\n",
    b"MAIL FROM:<>\r\n",
    b"RCPT TO:<a@b.c>\r\n",
    b"AUTH PLAIN\r\n",
    b"*\r\n",
    b"EHLO x\r\n",
];
/// Lines that lead somewhere.
const STEPS: &[&str] = &[
    "EHLO a",
    "MAIL FROM:<a@b.c>",
    "RCPT TO:<a@b.c>",
    "RCPT TO:<d@e.f> NOTIFY=NEVER",
    "DATA",
    "Subject: x\r\n\r\nbody\r\n.",
    "AUTH PLAIN AHUAcA==",
    "NOOP",
    "RSET",
    "BDAT 5 LAST\r\nabcde",
];

/// One session; gives how many replies there were.
pub fn session(chance: &mut Chance, corpus: &Corpus) -> u64 {
    let relay = chance.one_in(2);
    let config = ServerConfig {
        role: if relay { Role::Relay } else { Role::Submission },
        host: "hs01.kep.test".to_owned(),
        size_max_octets: 5000,
        recipients_max: 3,
        starttls: true,
        tls_required: !relay,
        mechanisms: vec!["PLAIN".to_owned()],
    };
    let mut session = ServerSession::new(Arc::new(config), true);
    let (mut input, mut replies) = (BytesMut::new(), 0);
    for _ in 0..60 {
        let mut octets = match chance.below(3) {
            0 => corpus.line(chance),
            _ => format!("{}\r\n", chance.pick(STEPS)).into_bytes(),
        };
        while chance.one_in(3) {
            chance.spoil(&mut octets, SPLICE);
        }
        for piece in chance.pieces(&octets) {
            input.extend_from_slice(piece);
            if !serve(chance, &mut session, &mut input, &mut replies) {
                return replies;
            }
            assert!(input.len() <= 64 * 1024, "{} octets are held", input.len());
        }
    }
    replies
}

/// Until more input is needed. `false`: closed.
fn serve(chance: &mut Chance, session: &mut ServerSession, input: &mut BytesMut, replies: &mut u64) -> bool {
    loop {
        let event = session.receive(input);
        let question = event.is_question();
        match event {
            Event::NeedMore | Event::Flush | Event::Close | Event::StartTls => {
                let output = session.take_output();
                assert!(output.len() <= OUTPUT_FLUSH_OCTETS + 4096);
                *replies += output.iter().filter(|b| **b == b'\n').count() as u64;
                match event {
                    Event::NeedMore => return true,
                    Event::Close => return false,
                    Event::StartTls => session.tls_started().unwrap(),
                    _ => {}
                }
            }
            Event::Unanswered => panic!("an event was not answered"),
            Event::BodyEnd(BodyOutcome::Complete { octets }) => assert!(octets <= 5000),
            _ => {}
        }
        if question {
            let verdict = match chance.below(8) {
                0 => Verdict::Refuse(reply::TRY_LATER),
                1 => Verdict::Challenge(b"one?".to_vec()),
                _ => Verdict::Accept,
            };
            if session.answer(verdict).is_err() {
                session.answer(Verdict::Refuse(reply::TRY_LATER)).unwrap();
            }
        }
    }
}
