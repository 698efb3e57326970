//! SASL: how a user proves who he is, for the submission and the mailbox door alike.
//!
//! Mechanisms: PLAIN (RFC 4616; under TLS only, which the door sees to), SCRAM-SHA-256 (RFC 5802, RFC 7677) without
//! channel binding, and EXTERNAL (RFC 4422 appendix A; to be offered only where TLS brought a client certificate). An exchange is sans-I/O: it asks for what it lacks (is this password right? what is the verifier
//! of this login?) and is told. It never says whether a login exists: for an unknown one the caller hands in
//! [`ScramVerifier::decoy`], or answers `password_ok(false)` after the usual work.
//!
//! ```text
//! start -> CheckPassword -> password_ok -> Success | Failed          (PLAIN)
//! start -> NeedVerifier -> verifier -> Challenge -> respond -> Challenge -> respond -> Success     (SCRAM)
//! start -> NeedCertificate -> certificate -> Success | Failed        (EXTERNAL)
//!          any Challenge that is empty is the request for a missing initial response
//! ```
//!
//! SCRAM's last message travels as a challenge that the client answers with nothing: that is how both RFC 4954 4 and
//! RFC 9051 6.2.2 carry it where success data is not part of the profile.

mod plain;
mod scram;
mod secret;

pub use plain::client_message as plain_client_message;
pub use scram::{
    ITERATIONS_DEFAULT, ITERATIONS_MAX, ITERATIONS_MIN, SALT_OCTETS, ScramClient, ScramVerifier,
};
pub use secret::Secret;

use crate::address::LoginName;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Longest message taken from a client, decoded. RFC 4954 4 allows lines of 12288 octets; what PLAIN and SCRAM need is
/// far below this.
pub const MESSAGE_MAX_OCTETS: usize = 4096;

/// A mechanism this house speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mechanism {
    Plain,
    ScramSha256,
    External,
}

impl Mechanism {
    /// Strongest first: the order in which they are offered.
    pub const ALL: [Mechanism; 3] = [Mechanism::External, Mechanism::ScramSha256, Mechanism::Plain];

    pub const fn name(self) -> &'static str {
        match self {
            Mechanism::Plain => "PLAIN",
            Mechanism::ScramSha256 => "SCRAM-SHA-256",
            Mechanism::External => "EXTERNAL",
        }
    }

    /// The mechanism of that name; names are compared without case.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|mechanism| mechanism.name().eq_ignore_ascii_case(name))
    }
}

/// Why an exchange ended without a user. All of these are the client's doing; trying again with other words may help.
/// The text of [`SaslFailure::BadCredentials`] is the same for a wrong password and an unknown login.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SaslFailure {
    /// The message does not follow the mechanism. The peer may hear the text (SMTP 501 5.5.2, IMAP BAD).
    #[error("{0}")]
    Malformed(&'static str),
    /// The client insists on channel binding, which is not offered (SMTP 501 5.5.2, IMAP NO).
    #[error("channel binding is not offered")]
    ChannelBinding,
    /// The client wants to act for somebody else (SMTP 535 5.7.8, IMAP NO).
    #[error("the authorization identity must be empty or the login itself")]
    Authzid,
    /// Login and proof do not fit (SMTP 535 5.7.8, IMAP NO with AUTHENTICATIONFAILED).
    #[error("authentication credentials invalid")]
    BadCredentials,
    /// The caller fed the exchange what it had not asked for: a fault of ours (SMTP 451 4.3.0). The peer hears nothing.
    #[error("the exchange did not expect this")]
    OutOfStep,
}

/// What the exchange wants next.
#[derive(Debug)]
pub enum Step {
    /// Send this to the client (base64 is the protocol's business) and feed the answer to [`ServerExchange::respond`].
    Challenge(Vec<u8>),
    /// Check the password and call [`ServerExchange::password_ok`].
    CheckPassword {
        login: LoginName,
        password: Secret,
    },
    /// Look the verifier up (a decoy for an unknown login) and call [`ServerExchange::verifier`].
    NeedVerifier {
        login: LoginName,
    },
    /// Say whose the certificate of this connection is: [`ServerExchange::certificate`].
    NeedCertificate,
    /// The client is this login.
    Success {
        login: LoginName,
    },
    Failed(SaslFailure),
}

/// One authentication of one client.
#[derive(Debug)]
pub struct ServerExchange {
    state: State,
    nonce: String,
}

#[derive(Debug)]
enum State {
    FirstMessage(Mechanism),
    Password(LoginName),
    /// Who the client wants to be, if it says so.
    Certificate(Option<LoginName>),
    Verifier(LoginName, scram::ClientFirst),
    ScramFinal(LoginName, Box<scram::ServerFirst>),
    Acknowledge(LoginName),
    Over,
}

impl ServerExchange {
    /// Begins. `initial` is the decoded initial response, if the client sent one; `nonce` is fresh chance.
    pub fn start(mechanism: Mechanism, initial: Option<&[u8]>, nonce: [u8; 18]) -> (Self, Step) {
        let mut exchange = Self {
            state: State::FirstMessage(mechanism),
            nonce: encode_base64(&nonce),
        };
        let step = match initial {
            Some(message) => exchange.respond(message),
            // All mechanisms begin with the client: an empty challenge asks for it.
            None => Step::Challenge(Vec::new()),
        };
        (exchange, step)
    }

    /// The client's decoded answer to the last challenge.
    pub fn respond(&mut self, message: &[u8]) -> Step {
        if message.len() > MESSAGE_MAX_OCTETS {
            self.state = State::Over;
            return Step::Failed(SaslFailure::Malformed("the message is too long"));
        }
        match std::mem::replace(&mut self.state, State::Over) {
            State::FirstMessage(Mechanism::Plain) => self.plain(message),
            State::FirstMessage(Mechanism::ScramSha256) => self.scram_first(message),
            State::FirstMessage(Mechanism::External) => self.external(message),
            State::ScramFinal(login, first) => match first.finish(message) {
                Ok(server_final) => {
                    self.state = State::Acknowledge(login);
                    Step::Challenge(server_final)
                }
                Err(failure) => Step::Failed(failure),
            },
            State::Acknowledge(login) if message.is_empty() => Step::Success { login },
            State::Acknowledge(_) => Step::Failed(SaslFailure::Malformed(
                "nothing is expected after the last message",
            )),
            State::Password(_) | State::Certificate(_) | State::Verifier(..) | State::Over => {
                Step::Failed(SaslFailure::OutOfStep)
            }
        }
    }

    /// Answers [`Step::CheckPassword`].
    pub fn password_ok(&mut self, ok: bool) -> Step {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Password(login) if ok => Step::Success { login },
            State::Password(_) => Step::Failed(SaslFailure::BadCredentials),
            _ => Step::Failed(SaslFailure::OutOfStep),
        }
    }

    /// Answers [`Step::NeedVerifier`].
    pub fn verifier(&mut self, verifier: ScramVerifier) -> Step {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Verifier(login, first) => {
                let (first, message) = first.answer(verifier, &self.nonce);
                self.state = State::ScramFinal(login, Box::new(first));
                Step::Challenge(message)
            }
            _ => Step::Failed(SaslFailure::OutOfStep),
        }
    }

    /// Answers [`Step::NeedCertificate`] with the user the certificate is bound to, if any.
    pub fn certificate(&mut self, bound_to: Option<LoginName>) -> Step {
        match (std::mem::replace(&mut self.state, State::Over), bound_to) {
            (State::Certificate(None), Some(login)) => Step::Success { login },
            (State::Certificate(Some(wanted)), Some(login)) if wanted == login => Step::Success { login },
            (State::Certificate(Some(_)), Some(_)) => Step::Failed(SaslFailure::Authzid),
            (State::Certificate(_), None) => Step::Failed(SaslFailure::BadCredentials),
            _ => Step::Failed(SaslFailure::OutOfStep),
        }
    }

    fn external(&mut self, message: &[u8]) -> Step {
        let wanted = match std::str::from_utf8(message) {
            Ok("") => None,
            Ok(text) => match text.parse() {
                Ok(login) => Some(login),
                Err(_) => return Step::Failed(SaslFailure::Authzid),
            },
            Err(_) => return Step::Failed(SaslFailure::Malformed("the authorization identity is not UTF-8")),
        };
        self.state = State::Certificate(wanted);
        Step::NeedCertificate
    }

    fn plain(&mut self, message: &[u8]) -> Step {
        let read = plain::parse(message).and_then(|m| Ok((login_of(&m.authcid, &m.authzid)?, m.password)));
        match read {
            Ok((login, password)) => {
                self.state = State::Password(login.clone());
                Step::CheckPassword { login, password }
            }
            Err(failure) => Step::Failed(failure),
        }
    }

    fn scram_first(&mut self, message: &[u8]) -> Step {
        let read =
            scram::ClientFirst::parse(message).and_then(|m| Ok((login_of(&m.authcid, &m.authzid)?, m)));
        match read {
            Ok((login, first)) => {
                self.state = State::Verifier(login.clone(), first);
                Step::NeedVerifier { login }
            }
            Err(failure) => Step::Failed(failure),
        }
    }
}

/// A text that cannot be a login is answered like a wrong password.
fn login_of(authcid: &str, authzid: &str) -> Result<LoginName, SaslFailure> {
    let login: LoginName = authcid.parse().map_err(|_| SaslFailure::BadCredentials)?;
    if authzid.is_empty() || authzid.parse::<LoginName>().as_ref() == Ok(&login) {
        Ok(login)
    } else {
        Err(SaslFailure::Authzid)
    }
}

/// Standard base64 with padding (RFC 4648 4).
pub fn encode_base64(octets: &[u8]) -> String {
    STANDARD.encode(octets)
}

/// Reads canonical base64 of at most [`MESSAGE_MAX_OCTETS`] decoded octets; the length is checked before allocating.
pub fn decode_base64(text: &[u8]) -> Option<Vec<u8>> {
    if text.len() > MESSAGE_MAX_OCTETS.div_ceil(3) * 4 {
        return None;
    }
    STANDARD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONCE: [u8; 18] = [7; 18];

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    #[test]
    fn plain_asks_and_is_told() {
        let message = plain_client_message("Ayse@ornekas", &secret("gizli"));
        let (mut exchange, step) = ServerExchange::start(Mechanism::Plain, Some(&message), NONCE);
        let Step::CheckPassword { login, password } = step else {
            panic!("{step:?}")
        };
        assert_eq!(
            (login.to_string().as_str(), password.expose()),
            ("ayse@ornekas", "gizli")
        );
        assert!(matches!(exchange.password_ok(true), Step::Success { login } if login.user() == "ayse"));
        assert!(matches!(
            exchange.password_ok(true),
            Step::Failed(SaslFailure::OutOfStep)
        ));

        let (mut exchange, step) = ServerExchange::start(Mechanism::Plain, None, NONCE);
        assert!(matches!(step, Step::Challenge(c) if c.is_empty()));
        assert!(matches!(exchange.respond(&message), Step::CheckPassword { .. }));
        assert!(matches!(
            exchange.password_ok(false),
            Step::Failed(SaslFailure::BadCredentials)
        ));
    }

    #[test]
    fn nobody_acts_for_another() {
        let start = |m: &[u8]| ServerExchange::start(Mechanism::Plain, Some(m), NONCE).1;
        assert!(matches!(
            start(b"mudur@ornekas\0ayse@ornekas\0p"),
            Step::Failed(SaslFailure::Authzid)
        ));
        assert!(matches!(
            start(b"AYSE@ornekas\0ayse@ornekas\0p"),
            Step::CheckPassword { .. }
        ));
        assert!(matches!(
            start(b"\0kim\0p"),
            Step::Failed(SaslFailure::BadCredentials)
        ));
    }

    #[test]
    fn a_certificate_speaks_for_its_user_only() {
        let run = |initial: &[u8], bound: Option<&str>| {
            let (mut exchange, step) = ServerExchange::start(Mechanism::External, Some(initial), NONCE);
            assert!(matches!(step, Step::NeedCertificate), "{step:?}");
            exchange.certificate(bound.map(|login| login.parse().unwrap()))
        };
        assert!(matches!(run(b"", Some("ayse@ornekas")), Step::Success { login } if login.user() == "ayse"));
        assert!(matches!(
            run(b"Ayse@ornekas", Some("ayse@ornekas")),
            Step::Success { .. }
        ));
        assert!(matches!(
            run(b"mudur@ornekas", Some("ayse@ornekas")),
            Step::Failed(SaslFailure::Authzid)
        ));
        assert!(matches!(
            run(b"", None),
            Step::Failed(SaslFailure::BadCredentials)
        ));
        let (_, step) = ServerExchange::start(Mechanism::External, Some(b"\xff"), NONCE);
        assert!(matches!(step, Step::Failed(SaslFailure::Malformed(_))));
    }

    /// Runs a whole SCRAM exchange; says how it ended on the server, and whether the client trusts the server.
    fn scram(password: &str, verifier: ScramVerifier) -> (Step, bool) {
        let (mut client, first) = ScramClient::start("ayse@ornekas", &secret(password), [9; 18]);
        let (mut server, step) = ServerExchange::start(Mechanism::ScramSha256, Some(&first), NONCE);
        assert!(
            matches!(step, Step::NeedVerifier { ref login } if login.user() == "ayse"),
            "{step:?}"
        );
        let Step::Challenge(server_first) = server.verifier(verifier) else {
            panic!("no challenge")
        };
        let client_final = client.answer(&server_first).unwrap();
        match server.respond(&client_final) {
            Step::Challenge(server_final) => {
                let trusted = client.verify(&server_final).is_ok();
                (server.respond(b""), trusted)
            }
            other => (other, false),
        }
    }

    #[test]
    fn scram_proves_both_sides() {
        let verifier = ScramVerifier::derive(&secret("doğru"), &[1; SALT_OCTETS], ITERATIONS_MIN).unwrap();
        let (step, trusted) = scram("doğru", verifier.clone());
        assert!(matches!(step, Step::Success { .. }) && trusted);
        let (step, _) = scram("yanlış", verifier);
        assert!(matches!(step, Step::Failed(SaslFailure::BadCredentials)));
    }

    #[test]
    fn an_unknown_login_looks_like_a_wrong_password() {
        let decoy = ScramVerifier::decoy(b"server secret", &"ayse@ornekas".parse().unwrap());
        let again = ScramVerifier::decoy(b"server secret", &"AYSE@ornekas".parse().unwrap());
        let other = ScramVerifier::decoy(b"server secret", &"ali@ornekas".parse().unwrap());
        assert_eq!(decoy.salt(), again.salt());
        assert_ne!(decoy.salt(), other.salt());
        assert_eq!(decoy.salt().len(), SALT_OCTETS);
        assert_eq!(decoy.iterations(), ITERATIONS_DEFAULT);
        let (step, _) = scram("any", decoy);
        assert!(matches!(step, Step::Failed(SaslFailure::BadCredentials)));
    }

    #[test]
    fn base64_is_strict_and_bounded() {
        assert_eq!(decode_base64(b"AGEA").as_deref(), Some(&b"\0a\0"[..]));
        for bad in [&b"AGE"[..], b"AGE=A", b"AG EA", b"AGEA\r\n", b"AGF=", b"*"] {
            assert_eq!(decode_base64(bad), None, "{bad:?}");
        }
        assert_eq!(decode_base64(&vec![b'A'; MESSAGE_MAX_OCTETS * 2]), None);
    }

    proptest::proptest! {
        #[test]
        fn hostile_messages_never_panic(which in 0usize..3, messages in proptest::collection::vec(proptest::collection::vec(proptest::num::u8::ANY, 0..80), 1..4)) {
            let mechanism = Mechanism::ALL[which];
            let (mut exchange, mut step) = ServerExchange::start(mechanism, None, NONCE);
            for message in &messages {
                step = exchange.respond(message);
                if let Step::NeedVerifier { login } = &step {
                    step = exchange.verifier(ScramVerifier::decoy(b"s", login));
                }
            }
            let succeeded = matches!(step, Step::Success { .. });
            proptest::prop_assert!(!succeeded);
        }
    }
}
