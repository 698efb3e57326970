//! The server's half of a session (RFC 5321), for submission (RFC 6409) and for relay between providers.
//!
//! The driver loops: [`ServerSession::receive`] with what the socket gave; write [`ServerSession::take_output`]; do what
//! the event says. An event that is a question ([`Event::is_question`]) must be answered with
//! [`ServerSession::answer`] before the next `receive`. Replies leave in the order of the commands, however the client
//! pipelines (RFC 2920). Bodies pass through in runs and are never held.
//!
//! ```text
//!            +--------------------------- verdict ----------------------------+
//!            v                                                                |
//! Greeted -> Command --MAIL,RCPT,DATA,BDAT,AUTH--> Asked(question) ----> Body / AuthLine --> Asked(end)
//!            |  ^--- tls_started --- Handshake                                |
//!            +------------ QUIT, 421 ------------> Closed <-------------------+
//! ```

use super::chunk::{ChunkReader, ChunkStep};
use super::command::{self, AUTH_LINE_MAX_OCTETS, COMMAND_LINE_MAX_OCTETS, Command, Mail, Rcpt, SaslOctets};
use super::data::{BodyStep, DRAIN_MAX_OCTETS, Damage, DataReader};
use super::reply::{self, Reply};
use bytes::{Buf, Bytes, BytesMut};
use std::sync::Arc;

mod obey;

use obey::Line;

/// Protocol errors of one session before it is closed: a person at a keyboard makes fewer, a probe makes more.
pub const ERRORS_MAX: u32 = 10;
/// Failed authentications of one session before it is closed.
pub const AUTH_FAILURES_MAX: u32 = 3;
/// Octets of an overlong line that are skipped before the session is closed.
pub const LINE_DRAIN_MAX_OCTETS: usize = 64 * 1024;
/// Output at which the driver is told to write before more commands are read; a pipelining client cannot make it grow.
pub const OUTPUT_FLUSH_OCTETS: usize = 16 * 1024;

/// Which door this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Users hand in mail: TLS before AUTH, AUTH before MAIL.
    Submission,
    /// Providers hand over mail: no AUTH.
    Relay,
}

/// What a session is to know of its house.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    pub role: Role,
    /// Our name in greeting and EHLO.
    pub host: String,
    pub size_max_octets: u64,
    pub recipients_max: usize,
    /// Whether STARTTLS is offered on a plain connection.
    pub starttls: bool,
    /// Whether MAIL needs TLS. Submission needs it in any case, for AUTH.
    pub tls_required: bool,
    /// Names for the EHLO line and for AUTH, in order of preference; opaque here. What one connection is offered may
    /// differ: [`ServerSession::offer`].
    pub mechanisms: Vec<String>,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Write the output, then read more.
    NeedMore,
    /// Write the output, then call `receive` again with the same input.
    Flush,
    /// Write the output, shake hands, call [`ServerSession::tls_started`].
    StartTls,
    /// Question: answer `Accept`, `Challenge` or `Refuse`.
    AuthStart {
        mechanism: String,
        initial: Option<SaslOctets>,
    },
    /// Question: as [`Event::AuthStart`].
    AuthResponse(SaslOctets),
    /// The client gave the exchange up. Forget it.
    AuthCancelled,
    /// Question: may this sender begin a mail?
    Mail(Mail),
    /// Question: is this recipient taken?
    Rcpt(Rcpt),
    /// Question: may the content come?
    BodyStart,
    Body(Bytes),
    /// `Complete` is a question: accept only when the mail is on disk. `Refused` is for the record: the reply is given.
    BodyEnd(BodyOutcome),
    /// The mail begun so far is void (RSET, a new EHLO).
    Reset,
    /// Write the output and close.
    Close,
    /// A question is still open: a fault of the driver.
    Unanswered,
}

/// How content ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BodyOutcome {
    Complete { octets: u64 },
    Refused(Reply),
}

impl Event {
    pub fn is_question(&self) -> bool {
        matches!(
            self,
            Event::AuthStart { .. }
                | Event::AuthResponse(_)
                | Event::Mail(_)
                | Event::Rcpt(_)
                | Event::BodyStart
                | Event::BodyEnd(BodyOutcome::Complete { .. })
        )
    }
}

/// The answer to a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Yes, in the usual words.
    Accept,
    /// Yes, in these words (a 2yz reply).
    AcceptWith(Reply),
    /// No. A 421 also closes the session.
    Refuse(Reply),
    /// More of the SASL exchange (decoded octets). Only for AUTH.
    Challenge(Vec<u8>),
}

/// The driver answered what was not asked: a fault of ours, never the peer's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this verdict does not answer an open question")]
pub struct OutOfStep;

#[derive(Debug)]
enum State {
    Command,
    /// Skips an overlong line; octets skipped so far.
    SkipLine(usize),
    AuthLine,
    Data(DataReader),
    /// Reads a chunk; `last` as the BDAT said.
    Chunk {
        last: bool,
    },
    /// Throws a refused chunk away, then gives the reply.
    SkipChunk {
        left: u64,
        reply: Reply,
    },
    Asked(Question),
    Handshake,
    Closed,
}

#[derive(Debug, Clone, Copy)]
enum Question {
    Auth,
    Mail { smtputf8: bool },
    Rcpt,
    Data,
    Bdat { octets: u64, last: bool },
    End,
}

/// A mail between MAIL and its end.
#[derive(Debug, Default)]
struct Transaction {
    recipients: usize,
    smtputf8: bool,
    chunks: Option<ChunkReader>,
}

/// One connection, from greeting to close.
#[derive(Debug)]
pub struct ServerSession {
    config: Arc<ServerConfig>,
    tls: bool,
    state: State,
    hello: Option<String>,
    authenticated: bool,
    transaction: Option<Transaction>,
    /// The last MAIL was refused: what was pipelined behind it is refused without counting as errors.
    mail_refused: bool,
    errors: u32,
    auth_failures: u32,
    /// Octets at the head of the input already searched for a line end.
    searched: usize,
    out: BytesMut,
    /// Mechanisms for this client, if other than those of the configuration.
    offered: Option<Vec<String>>,
}

impl ServerSession {
    /// Begins with the greeting in the output. `tls`: whether the connection is under TLS already (RFC 8314).
    pub fn new(config: Arc<ServerConfig>, tls: bool) -> Self {
        let mut session = Self {
            tls,
            state: State::Command,
            hello: None,
            authenticated: false,
            transaction: None,
            mail_refused: false,
            errors: 0,
            auth_failures: 0,
            searched: 0,
            out: BytesMut::new(),
            offered: None,
            config,
        };
        session.say(&Reply::new(220, None, format!("{} ESMTP", session.config.host)));
        session
    }

    /// Everything to be written now, in order.
    pub fn take_output(&mut self) -> BytesMut {
        self.out.split()
    }

    /// What the client called itself.
    pub fn hello(&self) -> Option<&str> {
        self.hello.as_deref()
    }

    pub fn is_tls(&self) -> bool {
        self.tls
    }

    /// Offers this client these mechanisms instead of those of the configuration: what TLS brought may allow more.
    pub fn offer(&mut self, mechanisms: Vec<String>) {
        self.offered = Some(mechanisms);
    }

    pub fn is_authenticated(&self) -> bool {
        self.authenticated
    }

    /// Says a last word (421: shutting down, timed out; RFC 5321 3.8) and closes. Nothing is said in a handshake: it
    /// would be read as TLS. A mail begun is void; the driver drops what it holds of it.
    pub fn close_with(&mut self, reply: &Reply) {
        if !matches!(self.state, State::Closed | State::Handshake) {
            self.say(reply);
        }
        self.state = State::Closed;
    }

    /// Takes from the input what it can and says what happened.
    pub fn receive(&mut self, input: &mut BytesMut) -> Event {
        loop {
            if self.out.len() >= OUTPUT_FLUSH_OCTETS {
                return Event::Flush;
            }
            let event = match &mut self.state {
                State::Closed => return Event::Close,
                State::Asked(_) => return Event::Unanswered,
                // Plain octets after STARTTLS must never be taken for protected ones (CVE-2011-0411).
                State::Handshake => Some(self.handshake_waits(input)),
                State::Command | State::AuthLine => match self.next_line(input) {
                    Line::None => return Event::NeedMore,
                    Line::Skip => None,
                    Line::Refused(reply) => {
                        self.fail(&reply);
                        None
                    }
                    Line::Whole(line) if matches!(self.state, State::AuthLine) => Some(self.auth_line(&line)),
                    Line::Whole(line) => self.command(&line, input),
                },
                State::SkipLine(_) => self.skip_line(input),
                State::Data(reader) => match reader.receive(input) {
                    BodyStep::NeedMore => return Event::NeedMore,
                    BodyStep::Run(run) => return Event::Body(run),
                    BodyStep::End(verdict) => Some(self.body_ended(verdict)),
                },
                State::Chunk { last } => {
                    let last = *last;
                    self.chunk(last, input)
                }
                State::SkipChunk { left, reply } => {
                    let take = input.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                    input.advance(take);
                    *left -= take as u64;
                    if *left > 0 {
                        return Event::NeedMore;
                    }
                    let reply = reply.clone();
                    self.state = State::Command;
                    self.say(&reply);
                    None
                }
            };
            if let Some(event) = event {
                return event;
            }
        }
    }

    /// The handshake is done: everything said before it is forgotten (RFC 3207 4.2).
    pub fn tls_started(&mut self) -> Result<(), OutOfStep> {
        if !matches!(self.state, State::Handshake) {
            return Err(OutOfStep);
        }
        self.tls = true;
        self.hello = None;
        self.authenticated = false;
        self.transaction = None;
        self.state = State::Command;
        Ok(())
    }

    /// Answers the open question.
    pub fn answer(&mut self, verdict: Verdict) -> Result<(), OutOfStep> {
        let State::Asked(question) = self.state else {
            return Err(OutOfStep);
        };
        let reply = match (question, verdict) {
            (Question::Auth, Verdict::Challenge(challenge)) => {
                self.say(&Reply::bare(334, "").with_text(command::encode_auth(&challenge)));
                self.state = State::AuthLine;
                return Ok(());
            }
            (_, Verdict::Challenge(_)) => return Err(OutOfStep),
            (_, Verdict::Refuse(reply)) => {
                self.refused(question, reply);
                return Ok(());
            }
            (_, Verdict::AcceptWith(reply)) => Some(reply),
            (_, Verdict::Accept) => None,
        };
        self.accepted(question, reply);
        Ok(())
    }

    fn accepted(&mut self, question: Question, words: Option<Reply>) {
        self.state = State::Command;
        let usual = match question {
            Question::Auth => {
                self.authenticated = true;
                reply::AUTHENTICATED
            }
            Question::Mail { smtputf8 } => {
                self.transaction = Some(Transaction {
                    smtputf8,
                    ..Transaction::default()
                });
                reply::SENDER_OK
            }
            Question::Rcpt => {
                if let Some(transaction) = &mut self.transaction {
                    transaction.recipients += 1;
                }
                reply::RECIPIENT_OK
            }
            Question::Data => {
                self.state = State::Data(DataReader::new(self.config.size_max_octets));
                self.say(&reply::START_DATA);
                return;
            }
            // The chunk is on its way already: the reply comes after it.
            Question::Bdat { octets, last } => {
                self.begin_chunk(octets, last);
                return;
            }
            Question::End => {
                self.transaction = None;
                reply::ACCEPTED
            }
        };
        self.say(&words.unwrap_or(usual));
    }

    fn refused(&mut self, question: Question, reply: Reply) {
        self.state = State::Command;
        match question {
            Question::Bdat { octets, .. } => {
                self.transaction = None;
                self.mail_refused = true;
                self.skip_chunk(octets, reply);
                return;
            }
            Question::Data | Question::End => self.transaction = None,
            Question::Auth => self.auth_failures += 1,
            Question::Mail { .. } => self.mail_refused = true,
            Question::Rcpt => {}
        }
        let closes = reply.code == 421;
        self.say(&reply);
        if closes {
            self.state = State::Closed;
        } else if self.auth_failures >= AUTH_FAILURES_MAX {
            self.close_with(&reply::TOO_MANY_ERRORS);
        }
    }

    fn say(&mut self, reply: &Reply) {
        reply.write_to(&mut self.out);
    }

    /// A protocol error of the client: its reply, and the end of patience.
    fn fail(&mut self, reply: &Reply) {
        self.say(reply);
        self.errors += 1;
        if self.errors >= ERRORS_MAX {
            self.close_with(&reply::TOO_MANY_ERRORS);
        }
    }

    fn ask(&mut self, question: Question, event: Event) -> Option<Event> {
        self.state = State::Asked(question);
        Some(event)
    }

    fn handshake_waits(&mut self, input: &mut BytesMut) -> Event {
        if input.is_empty() {
            return Event::StartTls;
        }
        input.clear();
        self.state = State::Closed;
        Event::Close
    }

    /// The next line without its CRLF.
    fn next_line(&mut self, input: &mut BytesMut) -> Line {
        let limit = self.line_limit(input);
        let from = self.searched.min(input.len());
        let end = input[from..]
            .iter()
            .position(|octet| *octet == b'\n')
            .map(|at| from + at);
        self.searched = if end.is_some() { 0 } else { input.len() };
        match end {
            Some(end) if end < limit => {
                let line = input.split_to(end);
                input.advance(1);
                // RFC 5321 2.3.8: only CRLF ends a line. What came before a bare LF is not obeyed.
                match line.strip_suffix(b"\r") {
                    Some(line) if !line.contains(&b'\r') => Line::Whole(line.to_vec().into()),
                    _ => {
                        // A broken answer to a challenge ends the exchange.
                        self.state = State::Command;
                        Line::Refused(reply::BAD_LINE)
                    }
                }
            }
            None if input.len() < limit => Line::None,
            _ => {
                self.searched = 0;
                self.state = State::SkipLine(0);
                // The loop goes on in the new state; nothing is said before the line ends.
                Line::Skip
            }
        }
    }

    fn skip_line(&mut self, input: &mut BytesMut) -> Option<Event> {
        let State::SkipLine(skipped) = self.state else {
            return None;
        };
        let end = input.iter().position(|octet| *octet == b'\n');
        let take = end.map_or(input.len(), |at| at + 1);
        let skipped = skipped + take;
        input.advance(take);
        self.state = State::SkipLine(skipped);
        if skipped > LINE_DRAIN_MAX_OCTETS {
            self.close_with(&reply::COMMAND_TOO_LONG);
            return None;
        }
        if end.is_none() {
            return Some(Event::NeedMore);
        }
        self.state = State::Command;
        self.fail(&reply::COMMAND_TOO_LONG);
        None
    }

    fn line_limit(&self, input: &BytesMut) -> usize {
        let is_auth = input
            .get(..5)
            .is_some_and(|head| head.eq_ignore_ascii_case(b"AUTH "));
        let long = matches!(self.state, State::AuthLine) || (is_auth && self.offers_auth());
        if long {
            AUTH_LINE_MAX_OCTETS
        } else {
            COMMAND_LINE_MAX_OCTETS
        }
    }
}
