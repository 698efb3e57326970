//! LOGIN and AUTHENTICATE (RFC 9051 6.2.2 and 6.2.3), by the house's SASL exchanges.

use super::carry::refused;
use super::{Connection, ImapDoor};
use crate::address::LoginName;
use crate::imap::ask::{Answer, Code, Refusal};
use crate::imap::command;
use crate::net::external::{self, Unheard};
use crate::sasl::{Mechanism, SaslFailure, ScramVerifier, Secret, ServerExchange, Step};
use crate::service::account::pace::TooManyFailures;
use crate::service::account::{Door, Principal};
use crate::service::failure::Failure;

/// Octets of a SCRAM nonce.
const NONCE_OCTETS: usize = 18;

/// The answer to a login that failed; only [`Connection::failed`] gives it.
fn wrong() -> Answer {
    Answer::Refused(Refusal::new(
        Code::AuthenticationFailed,
        "login or password are not right",
    ))
}

/// RFC 5530: a temporary failure.
fn too_many() -> Answer {
    Answer::Refused(Refusal::new(Code::Unavailable, TooManyFailures.to_string()))
}

impl Connection<'_> {
    pub(super) async fn login(&mut self, login: &str, password: &command::Secret) -> Answer {
        let Ok(login) = login.parse::<LoginName>() else {
            return self.failed(None).await;
        };
        let Ok(password) = std::str::from_utf8(password.reveal()) else {
            return self.failed(Some(login)).await;
        };
        if let Err(TooManyFailures) = self.wait_for_turn(&login).await {
            return too_many();
        }
        match self
            .door
            .accounts
            .check_password(&login, Secret::new(password.to_owned()))
            .await
        {
            Ok(Some(by)) => self.welcome(by),
            Ok(None) => self.failed(Some(login)).await,
            Err(failure) => refused(failure),
        }
    }

    pub(super) async fn authenticate_start(
        &mut self,
        mechanism: &str,
        initial: Option<&command::Secret>,
    ) -> Answer {
        let Some(mechanism) = Mechanism::by_name(mechanism) else {
            return Answer::Refused(Refusal::new(Code::Cannot, "that mechanism is not known"));
        };
        let mut nonce = [0; NONCE_OCTETS];
        if aws_lc_rs::rand::fill(&mut nonce).is_err() {
            return refused(Failure::Unavailable("no entropy".into()));
        }
        let initial = initial.map(|i| i.reveal());
        let binding = self.secured.binding();
        let (exchange, step) = ServerExchange::start(mechanism, initial, nonce, binding);
        self.exchange = Some(exchange);
        self.authenticate(step).await
    }

    pub(super) async fn authenticate_response(&mut self, response: &command::Secret) -> Answer {
        let Some(exchange) = &mut self.exchange else {
            return self.failed(None).await;
        };
        let step = exchange.respond(response.reveal());
        self.authenticate(step).await
    }

    /// Goes on until the client has to speak, or the exchange is over.
    async fn authenticate(&mut self, mut step: Step) -> Answer {
        let Some(mut exchange) = self.exchange.take() else {
            return self.failed(None).await;
        };
        loop {
            if let Step::CheckPassword { login, .. } | Step::NeedVerifier { login } = &step {
                self.attempt = Some(login.clone());
                if let Err(TooManyFailures) = self.wait_for_turn(login).await {
                    return too_many();
                }
            }
            step = match step {
                Step::Challenge(octets) => {
                    self.exchange = Some(exchange);
                    return Answer::Challenge(octets);
                }
                Step::CheckPassword { login, password } => {
                    match self.door.accounts.check_password(&login, password).await {
                        Ok(found) => exchange.password_ok(found.is_some()),
                        Err(failure) => return refused(failure),
                    }
                }
                Step::NeedVerifier { login } => match self.door.verifier(&login) {
                    Ok(verifier) => exchange.verifier(verifier),
                    Err(failure) => return refused(failure),
                },
                Step::NeedCertificate { wanted } => {
                    self.attempt = None;
                    let (accounts, clock) = (&self.door.accounts, &*self.door.mailboxes.clock);
                    let (from, secured) = (self.from, &self.secured);
                    match external::let_in(accounts, clock, from, secured, wanted.as_ref()).await {
                        Ok(judged) => exchange.certificate(judged.map(|p| p.login).map_err(|unfit| unfit.0)),
                        Err(Unheard::TooManyFailures) => return too_many(),
                        Err(Unheard::Failed(failure)) => return refused(failure),
                    }
                }
                Step::Success { login } => {
                    return match self.door.accounts.principal(&login) {
                        Ok(Some(by)) => self.welcome(by),
                        Ok(None) => self.failed(Some(login)).await,
                        Err(failure) => refused(failure),
                    };
                }
                Step::Failed(SaslFailure::BadCredentials) => {
                    let attempt = self.attempt.take();
                    return self.failed(attempt).await;
                }
                Step::Failed(SaslFailure::OutOfStep) => {
                    return refused(Failure::Broken("a SASL exchange went out of step".into()));
                }
                Step::Failed(failure) => {
                    let attempt = self.attempt.take();
                    self.wait_for_failure(attempt).await;
                    let text = failure.to_string();
                    return Answer::Refused(Refusal::new(Code::AuthenticationFailed, text));
                }
            };
        }
    }

    /// A login failed: the answer waits, longer each time.
    async fn failed(&mut self, attempt: Option<LoginName>) -> Answer {
        self.wait_for_failure(attempt).await;
        wrong()
    }

    async fn wait_for_failure(&mut self, attempt: Option<LoginName>) {
        let now = self.door.mailboxes.clock.now();
        let accounts = &self.door.accounts;
        accounts.not_let_in(now, self.from, attempt.as_ref(), Door::Imap);
        self.login_failures += 1;
        tokio::time::sleep(self.door.login_failure_delay * self.login_failures).await;
    }

    /// Waits as long as whoever fails has to, before a password is looked at.
    async fn wait_for_turn(&mut self, login: &LoginName) -> Result<(), TooManyFailures> {
        let now = self.door.mailboxes.clock.now();
        let admitted = self.door.accounts.pace.admit(now, self.from, login)?;
        if !admitted.wait.is_zero() {
            tokio::time::sleep(admitted.wait).await;
        }
        Ok(())
    }

    fn welcome(&mut self, by: Principal) -> Answer {
        let (now, by) = (self.door.mailboxes.clock.now(), by.at(self.from));
        if let Err(failure) = self.door.accounts.check_login(now, &by, Door::Imap) {
            tracing::info!(login = %by.login, "may not use IMAP");
            return refused(failure);
        }
        // He has proved who he is, whether there is room for him or not.
        self.door.accounts.pace.succeeded(self.from, &by.login);
        match self.door.accounts.enter(&by) {
            Ok(present) => self.present = Some(present),
            Err(failure) => return refused(failure),
        }
        tracing::info!(login = %by.login, "logged in");
        self.door.accounts.came_in(now, &by, Door::Imap);
        self.by = Some(by);
        Answer::LoggedIn
    }
}

impl ImapDoor {
    /// An unknown login gets a verifier that nothing fits, alike each time.
    fn verifier(&self, login: &LoginName) -> Result<ScramVerifier, Failure> {
        let known = self.accounts.scram_verifier(login)?;
        Ok(known.unwrap_or_else(|| ScramVerifier::decoy(&self.decoy_secret, login)))
    }
}
