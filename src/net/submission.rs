//! The submission door (RFC 6409): 465 under TLS from the first octet (RFC 8314), 587 by STARTTLS.
//!
//! Meets: `smtp::server` (what is said), `sasl` (who says it), `service::submission` (what becomes of it), and
//! `service::answering` (what is not mail, but an answer to a status message: told by its one recipient). A refused
//! complete mail leaves rejection evidence before its refusal is said. Passwords and content are never logged.

use super::external::{self, Unheard};
use super::listener::{Closing, Limits, Listener};
use super::refusals::{self, At};
use super::secured::Secured;
use super::tls::ServerTls;
pub use super::wire::Entry;
use super::wire::Wire;
use crate::address::{KepAddress, LoginName, ReversePath};
use crate::domain::audit::{AuditRoute, Origin};
use crate::domain::reply::ReplyToken;
use crate::sasl::{Mechanism, SaslFailure, ScramVerifier, ServerExchange, Step};
use crate::service::account::pace::TooManyFailures;
use crate::service::account::{Accounts, Door, Principal};
use crate::service::answering::{Answer, Answering};
use crate::service::enquiry::{Enquiries, Question};
use crate::service::failure::{Failure, Kind, Refusal};
use crate::service::submission::{Accepted, Receiving, Submission};
use crate::smtp::command::Rcpt;
use crate::smtp::reply::{self, Reply};
use crate::smtp::server::{BodyOutcome, Event, Role, ServerConfig, Verdict};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tracing::Instrument as _;

/// How long a failed login waits for its answer, times the failures of the connection: guessing becomes slow, a typing
/// error does not hurt.
pub const LOGIN_FAILURE_DELAY: Duration = Duration::from_secs(2);
/// Most recipients of one mail, as the service has it.
const RECIPIENTS_MAX: usize = crate::domain::mail::RECIPIENTS_MAX;
/// Chance in a SCRAM nonce.
const NONCE_OCTETS: usize = 18;

/// The submission door.
pub struct SubmissionDoor {
    accounts: Arc<Accounts>,
    submission: Arc<Submission>,
    answering: Arc<Answering>,
    enquiries: Arc<Enquiries>,
    tls: Arc<ServerTls>,
    smtp: Arc<ServerConfig>,
    /// Makes the decoy verifiers of unknown logins: the same salt each time, and nobody can tell.
    decoy_secret: [u8; 32],
    login_failure_delay: Duration,
}

impl SubmissionDoor {
    /// `host` is our name in the greeting. `decoy_secret` is chance that stays the same over restarts.
    pub fn new(
        accounts: Arc<Accounts>,
        submission: Arc<Submission>,
        answering: Arc<Answering>,
        enquiries: Arc<Enquiries>,
        tls: Arc<ServerTls>,
        host: String,
        decoy_secret: [u8; 32],
    ) -> Self {
        let sealed = submission.identity.size_max_bytes;
        let smtp = ServerConfig {
            role: Role::Submission,
            host,
            size_max_octets: sealed.saturating_sub(crate::domain::provider::SEAL_OVERHEAD_MAX_BYTES),
            recipients_max: RECIPIENTS_MAX,
            starttls: true,
            tls_required: true,
            mechanisms: Secured::default().mechanisms(),
        };
        Self {
            accounts,
            submission,
            answering,
            enquiries,
            tls,
            smtp: Arc::new(smtp),
            decoy_secret,
            login_failure_delay: LOGIN_FAILURE_DELAY,
        }
    }

    /// Another delay than [`LOGIN_FAILURE_DELAY`].
    pub fn with_login_failure_delay(mut self, delay: Duration) -> Self {
        self.login_failure_delay = delay;
        self
    }

    /// Takes an address; serve it with [`Self::run`].
    pub async fn bind(at: SocketAddr, entry: Entry, limits: Limits) -> std::io::Result<Listener> {
        let name = match entry {
            Entry::Tls => "submission_tls",
            Entry::StartTls => "submission",
        };
        Listener::bind(name, at, limits).await
    }

    /// Serves until it is time to close.
    pub async fn run(self: Arc<Self>, listener: Listener, entry: Entry, closing: Closing) {
        let every = closing.clone();
        listener
            .run(closing, move |stream, from| {
                let session = self.submission.ids.uuid();
                let span = tracing::info_span!("session", id = %session, door = "submission", peer = %from);
                self.clone()
                    .serve(stream, Origin::Network(from.ip()), entry, every.clone())
                    .instrument(span)
            })
            .await;
    }

    /// Serves one connection to its end.
    pub async fn serve<S>(self: Arc<Self>, stream: S, from: Origin, entry: Entry, closing: Closing)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let opened = Wire::open(stream, entry, self.smtp.clone(), self.tls.clone(), closing).await;
        let Some(wire) = opened else { return };
        let session = Session {
            door: &self,
            from,
            wire,
            exchange: None,
            attempt: None,
            login_failures: 0,
            principal: None,
            size: None,
            recipients: Vec::new(),
            content: None,
        };
        session.run().await;
    }
}

/// One connection of a user.
struct Session<'a> {
    door: &'a SubmissionDoor,
    from: Origin,
    wire: Wire,
    exchange: Option<ServerExchange>,
    /// The login that is being tried.
    attempt: Option<LoginName>,
    login_failures: u32,
    principal: Option<Principal>,
    /// Declared with MAIL.
    size: Option<u64>,
    recipients: Vec<KepAddress>,
    content: Option<Content>,
}

/// Content that comes in. What cannot be taken is still read to its end: the refusal's place is behind it.
enum Content {
    Coming(Box<Receiving>),
    Answer(Box<Answer>),
    Question(Box<Question>),
    Refused { failure: Failure, header: Vec<u8> },
}

impl Session<'_> {
    async fn run(mut self) {
        while let Some(event) = self.wire.next().await {
            let verdict = match event {
                Event::AuthStart { mechanism, initial } => {
                    let initial = initial.as_ref().map(|octets| octets.as_slice());
                    self.login_begins(&mechanism, initial).await
                }
                Event::AuthResponse(response) => match self.exchange.as_mut() {
                    Some(exchange) => {
                        let step = exchange.respond(response.as_slice());
                        self.login(step).await
                    }
                    None => Verdict::Refuse(reply::TRY_LATER),
                },
                Event::AuthCancelled => {
                    self.exchange = None;
                    continue;
                }
                Event::Mail(mail) => {
                    self.forget();
                    self.size = mail.size;
                    self.sender(&mail.from)
                }
                Event::Rcpt(rcpt) => self.recipient(rcpt),
                Event::BodyStart => self.content_begins(),
                Event::Body(run) => {
                    self.content_comes(&run).await;
                    continue;
                }
                Event::BodyEnd(BodyOutcome::Complete { octets }) => self.content_ends(octets).await,
                Event::BodyEnd(BodyOutcome::Refused(reply)) => {
                    self.content_damaged(&reply).await;
                    continue;
                }
                Event::Reset => {
                    self.forget();
                    continue;
                }
                // The wire keeps these to itself.
                Event::NeedMore | Event::Flush | Event::StartTls | Event::Close | Event::Unanswered => {
                    continue;
                }
            };
            self.wire.answer(verdict);
        }
    }

    /// The mail begun so far is void; octets in the spool that no row names are swept away there.
    fn forget(&mut self) {
        self.size = None;
        self.recipients.clear();
        self.content = None;
    }

    async fn login_begins(&mut self, mechanism: &str, initial: Option<&[u8]>) -> Verdict {
        let mut nonce = [0; NONCE_OCTETS];
        let (Some(mechanism), Ok(())) = (Mechanism::by_name(mechanism), aws_lc_rs::rand::fill(&mut nonce))
        else {
            return Verdict::Refuse(reply::TRY_LATER);
        };
        let binding = self.wire.secured().binding();
        let (exchange, step) = ServerExchange::start(mechanism, initial, nonce, binding);
        self.exchange = Some(exchange);
        self.login(step).await
    }

    /// Takes the exchange on until it needs the client or is over.
    async fn login(&mut self, mut step: Step) -> Verdict {
        let mut checked: Option<Principal> = None;
        loop {
            if let Step::CheckPassword { login, .. } | Step::NeedVerifier { login } = &step {
                self.attempt = Some(login.clone());
                if let Err(TooManyFailures) = self.wait_for_turn(login).await {
                    self.exchange = None;
                    return Verdict::Refuse(reply::TOO_MANY_FAILURES);
                }
            }
            let Some(exchange) = self.exchange.as_mut() else {
                return Verdict::Refuse(reply::TRY_LATER);
            };
            step = match step {
                Step::Challenge(message) => return Verdict::Challenge(message),
                Step::CheckPassword { login, password } => {
                    match self.door.accounts.check_password(&login, password).await {
                        Ok(principal) => {
                            checked = principal;
                            exchange.password_ok(checked.is_some())
                        }
                        Err(failure) => return self.login_broke(&failure),
                    }
                }
                Step::NeedVerifier { login } => match self.door.accounts.scram_verifier(&login) {
                    Ok(verifier) => exchange.verifier(
                        verifier.unwrap_or_else(|| ScramVerifier::decoy(&self.door.decoy_secret, &login)),
                    ),
                    Err(failure) => return self.login_broke(&failure),
                },
                Step::NeedCertificate { wanted } => {
                    self.attempt = None;
                    let (accounts, clock) = (&self.door.accounts, &*self.door.submission.clock);
                    let secured = self.wire.secured();
                    match external::let_in(accounts, clock, self.from, secured, wanted.as_ref()).await {
                        Ok(judged) => {
                            checked = judged.as_ref().ok().cloned();
                            exchange.certificate(judged.map(|p| p.login).map_err(|unfit| unfit.0))
                        }
                        Err(Unheard::TooManyFailures) => {
                            self.exchange = None;
                            return Verdict::Refuse(reply::TOO_MANY_FAILURES);
                        }
                        Err(Unheard::Failed(failure)) => return self.login_broke(&failure),
                    }
                }
                Step::Success { login } => return self.logged_in(&login, checked),
                Step::Failed(failure) => return self.login_failed(&failure).await,
            };
        }
    }

    fn logged_in(&mut self, login: &LoginName, checked: Option<Principal>) -> Verdict {
        self.exchange = None;
        let principal = match checked {
            Some(principal) => Ok(Some(principal)),
            None => self.door.accounts.principal(login),
        };
        match principal {
            Ok(Some(principal)) => {
                let now = self.door.submission.clock.now();
                let principal = principal.at(self.from);
                if let Err(failure) = self.door.accounts.check_login(now, &principal, Door::Smtp) {
                    tracing::info!(login = %principal.login, "may not use SMTP");
                    return Verdict::Refuse(reply::BAD_CREDENTIALS.with_text(failure.to_string()));
                }
                tracing::info!(login = %principal.login, tls = self.wire.is_tls(), "logged in");
                self.door.accounts.came_in(now, &principal, Door::Smtp);
                self.principal = Some(principal);
                Verdict::Accept
            }
            // He was removed while he logged in.
            Ok(None) => Verdict::Refuse(reply::BAD_CREDENTIALS),
            Err(failure) => self.login_broke(&failure),
        }
    }

    async fn login_failed(&mut self, failure: &SaslFailure) -> Verdict {
        self.exchange = None;
        self.login_failures += 1;
        let now = self.door.submission.clock.now();
        let attempt = self.attempt.take();
        let accounts = &self.door.accounts;
        accounts.not_let_in(now, self.from, attempt.as_ref(), Door::Smtp);
        tokio::time::sleep(self.door.login_failure_delay * self.login_failures).await;
        Verdict::Refuse(match failure {
            SaslFailure::Malformed(_) => reply::BAD_BASE64.with_text(failure.to_string()),
            SaslFailure::ChannelBinding(_) | SaslFailure::Certificate(_) => {
                reply::BAD_CREDENTIALS.with_text(refusals::ascii(&failure.to_string()))
            }
            SaslFailure::Authzid | SaslFailure::BadCredentials => reply::BAD_CREDENTIALS,
            SaslFailure::OutOfStep => reply::TRY_LATER,
        })
    }

    /// Waits as long as whoever fails has to.
    async fn wait_for_turn(&mut self, login: &LoginName) -> Result<(), TooManyFailures> {
        let now = self.door.submission.clock.now();
        let admitted = self.door.accounts.pace.admit(now, self.from, login)?;
        if !admitted.wait.is_zero() {
            tokio::time::sleep(admitted.wait).await;
        }
        Ok(())
    }

    fn login_broke(&mut self, failure: &Failure) -> Verdict {
        self.exchange = None;
        Verdict::Refuse(refusals::reply_to(failure, At::Sender))
    }

    fn sender(&mut self, from: &ReversePath) -> Verdict {
        let Some(principal) = &self.principal else {
            return Verdict::Refuse(reply::AUTH_REQUIRED);
        };
        let checked = self.door.accounts.check_door(principal, Door::Smtp);
        let checked = checked.and_then(|()| self.door.submission.check_reverse_path(principal, from));
        verdict(checked, At::Sender)
    }

    fn recipient(&mut self, rcpt: Rcpt) -> Verdict {
        let Some(principal) = &self.principal else {
            return Verdict::Refuse(reply::AUTH_REQUIRED);
        };
        let Ok(address) = rcpt.address else {
            return Verdict::Refuse(reply::NOT_A_KEP_ADDRESS);
        };
        let checked = self.may_go_to(principal, &address);
        // RFC 5321 4.5.3.1.10 leaves doubles to us: named twice, served once.
        if checked.is_ok() && !self.recipients.contains(&address) {
            self.recipients.push(address);
        }
        verdict(checked, At::Recipient)
    }

    /// Whether this may go to an account, or is an answer that goes to its one address.
    fn may_go_to(&self, principal: &Principal, to: &KepAddress) -> Result<(), Failure> {
        let submission = &self.door.submission;
        if self.door.enquiries.is_asked(to) || self.is_question() {
            return self.may_ask(to);
        }
        let mut others = self.recipients.iter().filter(|other| *other != to);
        match submission.answered(to) {
            Some(token) if others.next().is_none() => self.door.answering.check(principal, token),
            None if self.answered().is_none() => {
                submission.check_composer(principal)?;
                submission.check_recipient(to, self.size)
            }
            _ => {
                let say = "an answer to a status message goes to its own address alone; send mail to others separately";
                Err(Failure::refused(Kind::NoPermission, say))
            }
        }
    }

    /// Documents are sent to be verified to the one address that does it, and to nobody else.
    fn may_ask(&self, to: &KepAddress) -> Result<(), Failure> {
        if self.recipients.iter().all(|other| other == to) && self.door.enquiries.is_asked(to) {
            return Ok(());
        }
        let say = "documents to be verified go to their address alone; send mail to others separately";
        Err(Failure::refused(Kind::NoPermission, say))
    }

    /// Whether this asks for documents to be verified: then that address is its only recipient.
    fn is_question(&self) -> bool {
        self.recipients
            .first()
            .is_some_and(|to| self.door.enquiries.is_asked(to))
    }

    /// What this answers, if it is an answer: then that is its only recipient.
    fn answered(&self) -> Option<ReplyToken> {
        let first = self.recipients.first()?;
        self.door.submission.answered(first)
    }

    fn content_begins(&mut self) -> Verdict {
        let Some(principal) = &self.principal else {
            return Verdict::Refuse(reply::AUTH_REQUIRED);
        };
        if self.is_question() {
            return match self.door.enquiries.begin(principal) {
                Ok(question) => {
                    self.content = Some(Content::Question(Box::new(question)));
                    Verdict::Accept
                }
                Err(failure) => Verdict::Refuse(refusals::reply_to(&failure, At::Content)),
            };
        }
        self.content = Some(match self.answered() {
            Some(token) => Content::Answer(Box::new(self.door.answering.begin(principal, token))),
            None => {
                let receiving = self.door.submission.begin(principal, self.recipients.clone());
                let receiving = receiving.declared(self.size);
                Content::Coming(Box::new(receiving))
            }
        });
        Verdict::Accept
    }

    async fn content_comes(&mut self, run: &[u8]) {
        let (taken, header) = match &mut self.content {
            Some(Content::Coming(receiving)) => {
                let taken = receiving.write(run).await;
                (taken, receiving.header())
            }
            Some(Content::Answer(answer)) => (answer.write(run), [].as_slice()),
            Some(Content::Question(question)) => (question.write(run), [].as_slice()),
            Some(Content::Refused { .. }) | None => return,
        };
        if let Err(failure) = taken {
            let header = header.to_vec();
            self.content = Some(Content::Refused { failure, header });
        }
    }

    async fn content_ends(&mut self, octets: u64) -> Verdict {
        let (finished, header) = match self.content.take() {
            Some(Content::Coming(receiving)) => {
                let header = receiving.header().to_vec();
                (self.finish_mail(*receiving, octets).await, header)
            }
            Some(Content::Answer(answer)) => (self.finish_answer(*answer).await, Vec::new()),
            Some(Content::Question(question)) => (self.finish_question(*question).await, Vec::new()),
            Some(Content::Refused { failure, header }) => (Err(failure), header),
            None => {
                let failure = Failure::Broken("content that never began".into());
                (Err(failure), Vec::new())
            }
        };
        let failure = match finished {
            Ok(words) => {
                let recipients = self.recipients.len();
                tracing::info!(outcome = %words.text, octets, recipients, "submitted");
                self.forget();
                return Verdict::AcceptWith(words);
            }
            Err(failure) => failure,
        };
        let refusal = refusals::reply_to(&failure, At::Content);
        tracing::info!(reply = %refusal, octets, "submission refused");
        let left = match &failure {
            Failure::Refused(refusal) => self.leave_rejection(&header, refusal).await,
            // To be tried again: nothing is decided yet.
            Failure::Unavailable(_) | Failure::Broken(_) => Ok(()),
        };
        self.forget();
        match left {
            Ok(()) => Verdict::Refuse(refusal),
            Err(failure) => Verdict::Refuse(refusals::reply_to(&failure, At::Content)),
        }
    }

    async fn finish_mail(&mut self, receiving: Receiving, octets: u64) -> Result<Reply, Failure> {
        self.say_what_waits().await?;
        self.fits_peers(octets)?;
        let accepted = receiving.finish().await?;
        Ok(accepted_in_words(&accepted))
    }

    async fn finish_answer(&mut self, answer: Answer) -> Result<Reply, Failure> {
        self.say_what_waits().await?;
        let job = answer.finish().await?;
        Ok(reply::OK.with_text(format!("note left with job {job}")))
    }

    async fn finish_question(&mut self, question: Question) -> Result<Reply, Failure> {
        self.say_what_waits().await?;
        let verified = match question.finish().await? {
            Some(documents) => format!("{documents} documents verified"),
            None => "verified before".to_owned(),
        };
        Ok(reply::OK.with_text(format!("{verified}; the findings are in your INBOX")))
    }

    /// What was pipelined in front has its answers; the commit takes its time.
    async fn say_what_waits(&mut self) -> Result<(), Failure> {
        let gone = || Failure::Unavailable("the client is gone".into());
        self.wire.flush().await.ok_or_else(gone).map(drop)
    }

    /// Whether every recipient's provider takes so many octets: what a client declares may be wrong or missing.
    fn fits_peers(&self, octets: u64) -> Result<(), Failure> {
        let check = |to| self.door.submission.check_recipient(to, Some(octets));
        self.recipients.iter().try_for_each(check)
    }

    /// The octets themselves break the rules of mail; the session has said so.
    async fn content_damaged(&mut self, said: &Reply) {
        tracing::info!(reply = %said, "submission refused");
        let header = match self.content.take() {
            Some(Content::Coming(receiving)) => receiving.header().to_vec(),
            Some(Content::Refused { header, .. }) => header,
            Some(Content::Answer(_) | Content::Question(_)) => Vec::new(),
            None => return,
        };
        // A 421 cut it off: it never was complete.
        if said.code != 421 {
            let kind = if said.code == reply::TOO_LARGE.code {
                Kind::TooLarge
            } else {
                Kind::Malformed
            };
            let text = said.text.clone().into_owned();
            if let Err(failure) = self.leave_rejection(&header, &Refusal { kind, text }).await {
                tracing::error!(%failure, "rejection evidence could not be left");
            }
        }
        self.forget();
    }

    async fn leave_rejection(&mut self, header: &[u8], refusal: &Refusal) -> Result<(), Failure> {
        let Some(principal) = &self.principal else {
            return Ok(());
        };
        let submission = &self.door.submission;
        submission
            .leave_rejection(principal, AuditRoute::Smtp, &self.recipients, header, refusal)
            .await
    }
}

fn verdict(checked: Result<(), Failure>, at: At) -> Verdict {
    match checked {
        Ok(()) => Verdict::Accept,
        Err(failure) => {
            let refusal = refusals::reply_to(&failure, at);
            tracing::info!(reply = %refusal, ?at, "refused");
            Verdict::Refuse(refusal)
        }
    }
}

/// What became of it, in the words that scripts may rely on.
fn accepted_in_words(accepted: &Accepted) -> Reply {
    let words = match accepted {
        Accepted::Sent { mail } => format!("accepted as {mail}"),
        Accepted::Released { mail, job } => {
            format!("accepted as {mail}; job {job} released with your signature")
        }
        Accepted::Job { job, rule, .. } => {
            format!("job {job} waits for approval (rule {})", refusals::ascii(rule))
        }
        Accepted::Draft {
            no_rule_matched: true,
            ..
        } => "kept as a draft (no rule matched; see the notice in INBOX)".to_owned(),
        Accepted::Draft { .. } => "kept as a draft".to_owned(),
    };
    reply::OK.with_text(words)
}
