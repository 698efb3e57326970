//! What each command does to a session: the order of commands (RFC 5321 4.1.4), and the questions they raise.

use super::*;
use zeroize::Zeroizing;

/// A line of the client, or why there is none.
pub(super) enum Line {
    None,
    /// An overlong line is being skipped.
    Skip,
    Refused(Reply),
    /// Wiped when dropped: it may be an AUTH.
    Whole(Zeroizing<Vec<u8>>),
}

impl ServerSession {
    /// Obeys one line in command state. `input` is what the client has sent behind it.
    pub(super) fn command(&mut self, line: &[u8], input: &BytesMut) -> Option<Event> {
        let starts = |verb: &[u8]| {
            line.get(..verb.len())
                .is_some_and(|head| head.eq_ignore_ascii_case(verb))
        };
        let (is_mail, is_bdat) = (starts(b"MAIL"), starts(b"BDAT"));
        let event = match command::parse(line) {
            Ok(command) => self.obey(command, input),
            Err(reply) if is_bdat => {
                // Nobody knows how many octets follow, and they must not be read as commands.
                self.close_with(&reply);
                None
            }
            Err(reply) => {
                self.fail(&reply);
                None
            }
        };
        if is_mail {
            self.mail_refused = event.is_none() && self.transaction.is_none();
        }
        event
    }

    fn obey(&mut self, command: Command, input: &BytesMut) -> Option<Event> {
        match command {
            Command::Ehlo(host) => {
                let keywords = self.ehlo();
                self.greeted(host, &keywords)
            }
            Command::Helo(host) => {
                let name = Reply::new(250, None, self.config.host.clone());
                self.greeted(host, &name)
            }
            Command::StartTls => self.start_tls(input),
            Command::Auth { mechanism, initial } => self.auth(mechanism, initial),
            Command::Mail(mail) => self.mail(mail),
            Command::Rcpt(rcpt) => self.rcpt(rcpt),
            Command::Data => match self.content_refusal(true) {
                Some(reply) => self.out_of_order(&reply),
                None => self.ask(Question::Data, Event::BodyStart),
            },
            Command::Bdat { octets, last } => self.bdat(octets, last),
            Command::Rset => {
                self.transaction = None;
                self.mail_refused = false;
                self.say(&reply::OK);
                Some(Event::Reset)
            }
            Command::Noop => self.told(&reply::OK),
            Command::Help => self.told(&reply::HELP),
            Command::Vrfy => self.told(&reply::CANNOT_VERIFY),
            Command::Quit => {
                self.close_with(&reply::BYE);
                None
            }
        }
    }

    fn told(&mut self, reply: &Reply) -> Option<Event> {
        self.say(reply);
        None
    }

    fn failed(&mut self, reply: &Reply) -> Option<Event> {
        self.fail(reply);
        None
    }

    /// What was pipelined behind a refused MAIL is refused too, but is no new mistake (RFC 2920 3.1).
    fn out_of_order(&mut self, reply: &Reply) -> Option<Event> {
        if self.mail_refused {
            self.told(reply)
        } else {
            self.failed(reply)
        }
    }

    fn greeted(&mut self, host: String, reply: &Reply) -> Option<Event> {
        self.hello = Some(host);
        self.mail_refused = false;
        self.say(reply);
        // RFC 5321 4.1.4: EHLO in a session voids the mail begun so far.
        self.transaction.take().map(|_| Event::Reset)
    }

    fn ehlo(&self) -> Reply {
        let config = &self.config;
        let mut text = format!(
            "{}\nPIPELINING\nSIZE {}\n8BITMIME\nSMTPUTF8\nENHANCEDSTATUSCODES\nCHUNKING",
            config.host, config.size_max_octets
        );
        if config.starttls && !self.tls {
            text.push_str("\nSTARTTLS");
        }
        if self.offers_auth() {
            text.push_str("\nAUTH ");
            text.push_str(&self.mechanisms().join(" "));
        }
        Reply::new(250, None, text)
    }

    /// Whether AUTH may be said now: in submission, under TLS, once.
    pub(super) fn offers_auth(&self) -> bool {
        self.has_auth() && self.tls && !self.authenticated
    }

    fn has_auth(&self) -> bool {
        self.config.role == Role::Submission && !self.mechanisms().is_empty()
    }

    fn mechanisms(&self) -> &[String] {
        self.offered.as_deref().unwrap_or(&self.config.mechanisms)
    }

    fn start_tls(&mut self, input: &BytesMut) -> Option<Event> {
        if self.tls {
            return self.failed(&reply::BAD_SEQUENCE);
        }
        if !self.config.starttls {
            return self.failed(&reply::NOT_IMPLEMENTED);
        }
        if !input.is_empty() {
            // RFC 3207 4: STARTTLS ends a pipelined group. Octets behind it were put there by somebody in between.
            self.close_with(&reply::PIPELINED_TLS);
            return None;
        }
        self.say(&reply::START_TLS);
        self.state = State::Handshake;
        Some(Event::StartTls)
    }

    fn auth(&mut self, mechanism: String, initial: Option<SaslOctets>) -> Option<Event> {
        if !self.has_auth() {
            return self.failed(&reply::NOT_IMPLEMENTED);
        }
        if self.hello.is_none() || self.authenticated || self.transaction.is_some() {
            return self.failed(&reply::BAD_SEQUENCE);
        }
        if !self.tls {
            return self.failed(&reply::AUTH_NEEDS_TLS);
        }
        let offered = self
            .mechanisms()
            .iter()
            .find(|name| name.eq_ignore_ascii_case(&mechanism));
        match offered.cloned() {
            Some(mechanism) => self.ask(Question::Auth, Event::AuthStart { mechanism, initial }),
            None => self.failed(&reply::UNKNOWN_MECHANISM),
        }
    }

    /// The client's answer to a challenge.
    pub(super) fn auth_line(&mut self, line: &[u8]) -> Event {
        self.state = State::Command;
        if line == b"*" {
            self.fail(&reply::AUTH_CANCELLED);
            return Event::AuthCancelled;
        }
        match command::decode_auth(line) {
            Ok(response) => {
                self.state = State::Asked(Question::Auth);
                Event::AuthResponse(response)
            }
            Err(reply) => {
                self.fail(&reply);
                Event::AuthCancelled
            }
        }
    }

    fn mail(&mut self, mail: Mail) -> Option<Event> {
        if self.hello.is_none() || self.transaction.is_some() {
            return self.failed(&reply::BAD_SEQUENCE);
        }
        if self.config.tls_required && !self.tls {
            return self.failed(&reply::TLS_REQUIRED);
        }
        if self.config.role == Role::Submission && !self.authenticated {
            return self.failed(&reply::AUTH_REQUIRED);
        }
        if mail.size.is_some_and(|size| size > self.config.size_max_octets) {
            return self.told(&reply::TOO_LARGE);
        }
        self.ask(
            Question::Mail {
                smtputf8: mail.smtputf8,
            },
            Event::Mail(mail),
        )
    }

    fn rcpt(&mut self, rcpt: Rcpt) -> Option<Event> {
        let Some(transaction) = &self.transaction else {
            return self.out_of_order(&reply::BAD_SEQUENCE);
        };
        if transaction.chunks.is_some() {
            return self.failed(&reply::BAD_SEQUENCE);
        }
        if transaction.recipients >= self.config.recipients_max {
            return self.told(&reply::TOO_MANY_RECIPIENTS);
        }
        if !rcpt.raw.is_ascii() && !transaction.smtputf8 {
            return self.failed(&reply::NEED_SMTPUTF8);
        }
        self.ask(Question::Rcpt, Event::Rcpt(rcpt))
    }

    /// Why content may not come now. `whole`: by DATA, which does not mix with BDAT (RFC 3030 2).
    fn content_refusal(&self, whole: bool) -> Option<Reply> {
        match &self.transaction {
            None => Some(reply::BAD_SEQUENCE),
            Some(transaction) if whole && transaction.chunks.is_some() => Some(reply::BAD_SEQUENCE),
            Some(transaction) if transaction.recipients == 0 => Some(reply::NO_RECIPIENTS),
            Some(_) => None,
        }
    }

    fn bdat(&mut self, octets: u64, last: bool) -> Option<Event> {
        if let Some(reply) = self.content_refusal(false) {
            // The octets come whatever we say.
            self.skip_chunk(octets, reply);
            return None;
        }
        let begun = self
            .transaction
            .as_ref()
            .is_some_and(|transaction| transaction.chunks.is_some());
        if begun {
            self.begin_chunk(octets, last);
            return None;
        }
        self.ask(Question::Bdat { octets, last }, Event::BodyStart)
    }

    pub(super) fn begin_chunk(&mut self, octets: u64, last: bool) {
        let size_max_octets = self.config.size_max_octets;
        if octets > size_max_octets.saturating_add(DRAIN_MAX_OCTETS) {
            self.transaction = None;
            self.close_with(&reply::ENDLESS);
        } else if let Some(transaction) = &mut self.transaction {
            transaction
                .chunks
                .get_or_insert_with(|| ChunkReader::new(size_max_octets))
                .begin(octets);
            self.state = State::Chunk { last };
        }
    }

    pub(super) fn skip_chunk(&mut self, octets: u64, reply: Reply) {
        if octets > DRAIN_MAX_OCTETS || reply.code == 421 {
            self.close_with(&reply);
        } else {
            self.state = State::SkipChunk { left: octets, reply };
        }
    }

    /// Content of the current chunk. `NeedMore` means the input is used up; `None` that the next command may come.
    pub(super) fn chunk(&mut self, last: bool, input: &mut BytesMut) -> Option<Event> {
        let reader = self
            .transaction
            .as_mut()
            .and_then(|transaction| transaction.chunks.as_mut());
        let Some(reader) = reader else {
            self.state = State::Command;
            return None;
        };
        match reader.receive(input) {
            ChunkStep::NeedMore => Some(Event::NeedMore),
            ChunkStep::Run(run) => Some(Event::Body(run)),
            ChunkStep::ChunkEnd => match reader.damage() {
                Some(damage) => Some(self.body_ended(Err(damage))),
                None if last => {
                    let verdict = reader.finish();
                    Some(self.body_ended(verdict))
                }
                None => {
                    self.state = State::Command;
                    self.told(&reply::OK.with_text("Chunk received"))
                }
            },
        }
    }

    pub(super) fn body_ended(&mut self, verdict: Result<u64, Damage>) -> Event {
        match verdict {
            Ok(octets) => {
                self.state = State::Asked(Question::End);
                Event::BodyEnd(BodyOutcome::Complete { octets })
            }
            Err(damage) => {
                self.state = State::Command;
                self.transaction = None;
                // Chunks pipelined behind this one are refused, but are no new mistakes.
                self.mail_refused = true;
                let reply = damage.reply();
                if damage == Damage::Endless {
                    self.close_with(&reply);
                } else {
                    self.fail(&reply);
                }
                Event::BodyEnd(BodyOutcome::Refused(reply))
            }
        }
    }
}
