//! The client's half of a session, for handing mail over to another provider (RFC 5321), many mails per connection.
//!
//! The driver loops: [`ClientSession::receive`] with what the socket gave; write [`ClientSession::take_output`]; do what
//! the event says. On `Ready`: [`ClientSession::send`] or [`ClientSession::quit`]. On `SendBody`: runs of content with
//! [`ClientSession::body`] (write the output after each: nothing is held back), then [`ClientSession::body_end`].
//! When the connection breaks or a time-out passes: [`ClientSession::connection_lost`].
//!
//! Deliberately not done: DATA in the same group as RCPT (a 354 after only refusals would need an empty mail), BDAT,
//! and AUTH beyond a given PLAIN message (providers know each other by certificate).

use super::command::{self, SaslOctets};
use super::data::{Damage, DotStuffer};
use super::reply::{Reply, ReplyClass, ReplyError, ReplyReader};
use super::timeouts;
use crate::address::{KepAddress, ReversePath};
use bytes::BytesMut;
use std::time::Duration;

mod outcome;

pub use outcome::{Capabilities, Cause, Outcome, RecipientResult};

/// Commands on the way without their replies when the peer offers PIPELINING: less than a TCP window on both sides, so
/// that neither blocks the other (RFC 2920 3.1).
pub const PIPELINE_WINDOW: usize = 50;

/// What to do about STARTTLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsWish {
    /// The connection is under TLS already, or stays plain by decision of the caller.
    Leave,
    WhenOffered,
    Required,
}

#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// Our name in EHLO.
    pub hello: String,
    pub tls: TlsWish,
    /// The message of AUTH PLAIN, to be sent if the peer offers it; never in the clear unless the caller decided so by
    /// [`TlsWish::Leave`].
    pub auth_plain: Option<SaslOctets>,
}

/// One mail to hand over.
#[derive(Debug, Clone)]
pub struct Outgoing {
    pub from: ReversePath,
    pub recipients: Vec<KepAddress>,
    /// Octets of the content before dot-stuffing.
    pub octets: u64,
    /// Some octet is above 127.
    pub needs_8bit: bool,
    /// Header fields carry UTF-8 (RFC 6532).
    pub needs_smtputf8: bool,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientEvent {
    /// Write the output, then read more.
    NeedMore,
    /// Write the output (it is all out: nothing may be read before), shake hands, call [`ClientSession::tls_started`].
    StartTls,
    /// A mail may be sent.
    Ready,
    /// The peer waits for content.
    SendBody,
    /// The fate of every recipient, in order.
    Done(Vec<RecipientResult>),
    /// The session could not be opened: the same fate for whatever was to be sent. Close.
    Failed { outcome: Outcome, cause: Cause },
    /// Close the connection.
    Closed,
}

/// The driver called what does not fit the state: a fault of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the session does not stand where this call fits")]
pub struct OutOfStep;

/// Why content could not be written: a fault of ours, both times. Drop the connection, so that the peer never takes
/// half a mail for a whole one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    #[error(transparent)]
    OutOfStep(#[from] OutOfStep),
    #[error("the content breaks the rules of mail: {0}")]
    Damaged(#[from] Damage),
}

#[derive(Debug)]
enum State {
    Greeting,
    Ehlo,
    Helo,
    StartTls,
    Handshake,
    Auth,
    /// `Ready` was not told yet.
    Fresh,
    Ready,
    Envelope,
    DataAsked,
    Body(DotStuffer),
    DataSent,
    /// RSET is on its way; then ready.
    Resetting,
    Quitting,
    Closed,
}

/// The mail under way.
#[derive(Debug)]
struct Transaction {
    mail: Outgoing,
    /// MAIL is 0, the first RCPT is 1.
    sent: usize,
    answered: usize,
    mail_refusal: Option<Reply>,
    results: Vec<Option<RecipientResult>>,
}

/// One connection, from greeting to close.
#[derive(Debug)]
pub struct ClientSession {
    config: ClientConfig,
    state: State,
    reader: ReplyReader,
    capabilities: Capabilities,
    /// Nothing is left to try about TLS.
    tls_settled: bool,
    /// The handshake of this session's STARTTLS was done.
    tls_started: bool,
    authenticated: bool,
    transaction: Option<Transaction>,
    /// Told at the next `receive`.
    done: Option<Vec<RecipientResult>>,
    out: BytesMut,
}

impl ClientSession {
    pub fn new(config: ClientConfig) -> Self {
        Self {
            tls_settled: config.tls == TlsWish::Leave,
            tls_started: false,
            config,
            state: State::Greeting,
            reader: ReplyReader::default(),
            capabilities: Capabilities::default(),
            authenticated: false,
            transaction: None,
            done: None,
            out: BytesMut::new(),
        }
    }

    /// Everything to be written now, in order.
    pub fn take_output(&mut self) -> BytesMut {
        self.out.split()
    }

    /// What the peer offered in its last EHLO reply.
    pub fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// How long to wait for the peer now (RFC 5321 4.5.3.2).
    pub fn timeout(&self) -> Duration {
        match self.state {
            State::Greeting => timeouts::GREETING,
            State::Handshake => timeouts::TLS_HANDSHAKE,
            State::Envelope => timeouts::RCPT_REPLY,
            State::DataAsked => timeouts::DATA_INITIATION,
            State::Body(_) => timeouts::DATA_BLOCK,
            State::DataSent => timeouts::DATA_TERMINATION,
            _ => timeouts::COMMAND_REPLY,
        }
    }

    /// Takes replies from the input and says what happened.
    pub fn receive(&mut self, input: &mut BytesMut) -> ClientEvent {
        loop {
            if let Some(results) = self.done.take() {
                return ClientEvent::Done(results);
            }
            match self.state {
                State::Closed => return ClientEvent::Closed,
                State::Handshake if input.is_empty() => return ClientEvent::StartTls,
                // Replies injected behind the 220 of STARTTLS must not pass for protected ones.
                State::Handshake => return self.fail(Outcome::Temporary, Cause::OctetsBeforeTls),
                State::Fresh => {
                    self.state = State::Ready;
                    return ClientEvent::Ready;
                }
                _ => {}
            }
            let event = match self.reader.receive(input) {
                Ok(None) => return ClientEvent::NeedMore,
                Ok(Some(reply)) if reply.code == 421 => self.cut(Outcome::Temporary, Cause::Peer(reply)),
                Ok(Some(reply)) => self.reply(reply),
                Err(error) => self.cut(Outcome::Temporary, Cause::BadReply(error)),
            };
            if let Some(event) = event {
                return event;
            }
        }
    }

    /// The handshake is done: what the peer said before it is forgotten (RFC 3207 4.2).
    pub fn tls_started(&mut self) -> Result<(), OutOfStep> {
        if !matches!(self.state, State::Handshake) {
            return Err(OutOfStep);
        }
        self.tls_settled = true;
        self.tls_started = true;
        self.ehlo();
        Ok(())
    }

    /// Begins a mail. What the peer cannot take is not tried: the next event tells its fate.
    pub fn send(&mut self, mail: Outgoing) -> Result<(), OutOfStep> {
        if !matches!(self.state, State::Ready | State::Fresh) {
            return Err(OutOfStep);
        }
        if let Some(cause) = self.capabilities.obstacle(&mail) {
            let fate =
                |address: &KepAddress| RecipientResult::whole(address, Outcome::Permanent, cause.clone());
            self.done = Some(mail.recipients.iter().map(fate).collect());
            self.state = State::Fresh;
            return Ok(());
        }
        let results = vec![None; mail.recipients.len()];
        self.transaction = Some(Transaction {
            mail,
            sent: 0,
            answered: 0,
            mail_refusal: None,
            results,
        });
        self.state = State::Envelope;
        self.pump();
        Ok(())
    }

    /// Appends a run of content to the output.
    pub fn body(&mut self, run: &[u8]) -> Result<(), BodyError> {
        let State::Body(stuffer) = &mut self.state else {
            return Err(OutOfStep.into());
        };
        let stuffed = stuffer.stuff(run, &mut self.out);
        stuffed.map_err(|damage| self.damaged(damage))
    }

    /// All content was given.
    pub fn body_end(&mut self) -> Result<(), BodyError> {
        match std::mem::replace(&mut self.state, State::Closed) {
            State::Body(stuffer) => {
                stuffer
                    .finish(&mut self.out)
                    .map_err(|damage| self.damaged(damage))?;
                self.state = State::DataSent;
                Ok(())
            }
            other => {
                self.state = other;
                Err(OutOfStep.into())
            }
        }
    }

    /// Content that cannot be written now never can be: [`Self::connection_lost`] tells it for good.
    fn damaged(&mut self, damage: Damage) -> BodyError {
        self.state = State::Closed;
        self.done = self.take_results(Outcome::Permanent, &Cause::ContentDamaged(damage));
        damage.into()
    }

    /// Says goodbye; `Closed` follows the peer's answer.
    pub fn quit(&mut self) -> Result<(), OutOfStep> {
        if !matches!(self.state, State::Ready | State::Fresh) {
            return Err(OutOfStep);
        }
        self.line("QUIT");
        self.state = State::Quitting;
        Ok(())
    }

    /// The connection broke, or time passed: the fate of the mail under way, if there is one. After content was sent
    /// whole, the peer may have taken it; a retry makes a double, which a receiver must recognise by its Message-ID.
    pub fn connection_lost(&mut self) -> Option<Vec<RecipientResult>> {
        self.state = State::Closed;
        let finished = self.done.take();
        finished.or_else(|| self.take_results(Outcome::Temporary, &Cause::ConnectionLost))
    }

    fn line(&mut self, line: &str) {
        self.out.extend_from_slice(line.as_bytes());
        self.out.extend_from_slice(b"\r\n");
    }

    fn ehlo(&mut self) {
        let line = format!("EHLO {}", self.config.hello);
        self.line(&line);
        self.capabilities = Capabilities::default();
        self.state = State::Ehlo;
    }

    /// Ends a session that never became ready.
    fn fail(&mut self, outcome: Outcome, cause: Cause) -> ClientEvent {
        self.state = State::Closed;
        ClientEvent::Failed { outcome, cause }
    }

    /// Ends a session wherever it stands.
    fn cut(&mut self, outcome: Outcome, cause: Cause) -> Option<ClientEvent> {
        let opening = matches!(
            self.state,
            State::Greeting | State::Ehlo | State::Helo | State::StartTls | State::Handshake | State::Auth
        );
        if opening {
            return Some(self.fail(outcome, cause));
        }
        self.state = State::Closed;
        self.done = self.take_results(outcome, &cause);
        None
    }

    /// Every recipient's fate; those without one share this.
    fn take_results(&mut self, outcome: Outcome, cause: &Cause) -> Option<Vec<RecipientResult>> {
        let transaction = self.transaction.take()?;
        let addresses = transaction.mail.recipients.iter();
        let settle = |(address, result): (&KepAddress, Option<RecipientResult>)| match result {
            Some(result) if result.outcome != Outcome::Accepted => result,
            Some(result) => result.ended(outcome, cause.clone()),
            None => RecipientResult::whole(address, outcome, cause.clone()),
        };
        Some(addresses.zip(transaction.results).map(settle).collect())
    }

    fn reply(&mut self, reply: Reply) -> Option<ClientEvent> {
        let done = reply.class() == ReplyClass::Done;
        match &self.state {
            State::Greeting if reply.code == 220 => self.ehlo(),
            State::Ehlo if done => {
                self.capabilities = Capabilities::read(&reply);
                return self.opened();
            }
            // A peer of before 1995, or one that hides its extensions; without them no TLS.
            State::Ehlo if matches!(reply.code, 500 | 502 | 504) && self.config.tls != TlsWish::Required => {
                let line = format!("HELO {}", self.config.hello);
                self.line(&line);
                self.state = State::Helo;
            }
            State::Helo if done => self.state = State::Fresh,
            State::StartTls if reply.code == 220 => self.state = State::Handshake,
            // Offered and then refused: go on without, if that is allowed.
            State::StartTls if self.config.tls == TlsWish::WhenOffered => {
                self.tls_settled = true;
                return self.opened();
            }
            State::Auth if reply.code == 235 => {
                self.authenticated = true;
                self.state = State::Fresh;
            }
            State::Greeting | State::Ehlo | State::Helo | State::StartTls | State::Auth => {
                let outcome = if done {
                    Outcome::Temporary
                } else {
                    Outcome::of(&reply)
                };
                return self.cut(outcome, Cause::Peer(reply));
            }
            State::Envelope => self.envelope_reply(reply),
            State::DataAsked => return self.data_reply(reply),
            State::DataSent => {
                self.done = self.take_results(Outcome::of(&reply), &Cause::Peer(reply));
                self.state = State::Fresh;
            }
            State::Resetting if done => self.state = State::Fresh,
            State::Quitting => self.state = State::Closed,
            // Refused before the end of content (RFC 5321 does not foresee it, but peers do it for size).
            State::Body(_) if reply.class() == ReplyClass::Permanent => {
                return self.cut(Outcome::Permanent, Cause::Peer(reply));
            }
            // A reply nobody asked for: the two sides no longer mean the same thing.
            _ => return self.cut(Outcome::Temporary, Cause::Peer(reply)),
        }
        None
    }

    /// After an EHLO reply: TLS, AUTH, or ready.
    fn opened(&mut self) -> Option<ClientEvent> {
        if !self.tls_settled && self.capabilities.starttls {
            self.line("STARTTLS");
            self.state = State::StartTls;
            return None;
        }
        if !self.tls_settled && self.config.tls == TlsWish::Required {
            return Some(self.fail(Outcome::Temporary, Cause::TlsNotOffered));
        }
        let may_auth =
            (self.tls_started || self.config.tls == TlsWish::Leave) && self.capabilities.auth_plain;
        if let (Some(message), true, false) = (&self.config.auth_plain, may_auth, self.authenticated) {
            let line = format!("AUTH PLAIN {}", command::encode_auth(message.as_slice()));
            self.line(&line);
            self.state = State::Auth;
        } else {
            self.state = State::Fresh;
        }
        None
    }

    /// Writes as many commands of the envelope as may be on the way.
    fn pump(&mut self) {
        let window = if self.capabilities.pipelining {
            PIPELINE_WINDOW
        } else {
            1
        };
        let Some(transaction) = &mut self.transaction else {
            return;
        };
        while transaction.mail_refusal.is_none()
            && transaction.sent <= transaction.mail.recipients.len()
            && transaction.sent - transaction.answered < window
        {
            let line = match transaction.sent.checked_sub(1) {
                None => self.capabilities.mail_line(&transaction.mail),
                Some(index) => match transaction.mail.recipients.get(index) {
                    Some(address) => format!("RCPT TO:<{address}>\r\n"),
                    None => break,
                },
            };
            self.out.extend_from_slice(line.as_bytes());
            transaction.sent += 1;
        }
    }

    fn envelope_reply(&mut self, reply: Reply) {
        let Some(transaction) = &mut self.transaction else {
            return;
        };
        match transaction.answered.checked_sub(1) {
            None if reply.class() == ReplyClass::Done => {}
            None => transaction.mail_refusal = Some(reply),
            Some(index) => {
                let address = transaction.mail.recipients.get(index);
                if let (Some(address), Some(slot)) = (address, transaction.results.get_mut(index)) {
                    *slot = Some(RecipientResult::of_rcpt(address, reply));
                }
            }
        }
        transaction.answered += 1;
        self.pump();
        let Some(transaction) = &mut self.transaction else {
            return;
        };
        if transaction.answered < transaction.sent {
            return;
        }
        if let Some(reply) = transaction.mail_refusal.take() {
            // RFC 2920: what was pipelined behind the refused MAIL was refused for that reason only.
            transaction.results.fill(None);
            self.done = self.take_results(Outcome::of(&reply), &Cause::Peer(reply));
            self.reset();
        } else if transaction
            .results
            .iter()
            .flatten()
            .any(|result| result.outcome == Outcome::Accepted)
        {
            self.line("DATA");
            self.state = State::DataAsked;
        } else {
            // Every recipient has its own refusal; the cause given here fits nobody.
            self.done = self.take_results(Outcome::Temporary, &Cause::ConnectionLost);
            self.reset();
        }
    }

    fn reset(&mut self) {
        self.line("RSET");
        self.state = State::Resetting;
    }

    fn data_reply(&mut self, reply: Reply) -> Option<ClientEvent> {
        if reply.code == 354 {
            self.state = State::Body(DotStuffer::default());
            return Some(ClientEvent::SendBody);
        }
        let outcome = if reply.class() == ReplyClass::Permanent {
            Outcome::Permanent
        } else {
            Outcome::Temporary
        };
        self.done = self.take_results(outcome, &Cause::Peer(reply));
        self.reset();
        None
    }
}

#[cfg(test)]
mod tests;
