//! SASL: how a user proves who he is, for the submission and the mailbox door alike.
//!
//! Mechanisms: PLAIN (RFC 4616; under TLS only, which the door sees to), SCRAM-SHA-256 (RFC 5802, RFC 7677), the same
//! bound to the TLS connection (-PLUS, RFC 9266), and EXTERNAL (RFC 4422 appendix A; offered only where TLS brought a
//! client certificate). An exchange is sans-I/O: it asks for what it lacks (is this password right? what is the verifier
//! of this login? whose is the certificate?) and is told. It never says whether a login exists: for an unknown one the caller hands in
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

mod binding;
mod plain;
mod scram;
mod secret;

pub use binding::{CHANNEL_BINDING_LABEL, CHANNEL_BINDING_OCTETS, ChannelBinding};
pub use plain::client_message as plain_client_message;
pub use scram::{
    ITERATIONS_DEFAULT, ITERATIONS_MAX, ITERATIONS_MIN, SALT_OCTETS, ScramClient, ScramVerifier,
};
pub use secret::Secret;

use crate::address::LoginName;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use scram::Binding;

/// Longest message taken from a client, decoded. RFC 4954 4 allows lines of 12288 octets; what PLAIN and SCRAM need is
/// far below this.
pub const MESSAGE_MAX_OCTETS: usize = 4096;

/// A mechanism this house speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mechanism {
    Plain,
    ScramSha256,
    ScramSha256Plus,
    External,
}

impl Mechanism {
    /// The order in which they are offered. The strongest password first; EXTERNAL last, for a client that takes what
    /// stands first must not be led to a certificate that may be nobody's.
    pub const ALL: [Mechanism; 4] = [
        Mechanism::ScramSha256Plus,
        Mechanism::ScramSha256,
        Mechanism::Plain,
        Mechanism::External,
    ];

    /// What a connection is offered: PLUS if there is a channel to bind to, EXTERNAL if the client has shown a
    /// certificate.
    pub fn offered(bindable: bool, certificate: bool) -> impl Iterator<Item = Mechanism> {
        Self::ALL.into_iter().filter(move |mechanism| match mechanism {
            Mechanism::ScramSha256Plus => bindable,
            Mechanism::External => certificate,
            Mechanism::Plain | Mechanism::ScramSha256 => true,
        })
    }

    pub const fn name(self) -> &'static str {
        match self {
            Mechanism::Plain => "PLAIN",
            Mechanism::ScramSha256 => "SCRAM-SHA-256",
            Mechanism::ScramSha256Plus => "SCRAM-SHA-256-PLUS",
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
    /// The client does not bind to this connection, or not as it was offered (SMTP 535 5.7.8, IMAP NO).
    #[error("{0}")]
    ChannelBinding(&'static str),
    /// The certificate of the connection lets nobody in, or not him; why (SMTP 535 5.7.8, IMAP NO).
    #[error("{0}")]
    Certificate(String),
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
    /// Say whom the certificate of this connection lets in, as `wanted` if that is somebody:
    /// [`ServerExchange::certificate`].
    NeedCertificate {
        wanted: Option<LoginName>,
    },
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
    binding: Option<ChannelBinding>,
}

#[derive(Debug)]
enum State {
    FirstMessage(Mechanism),
    Password(LoginName),
    Certificate,
    Verifier(LoginName, scram::ClientFirst),
    ScramFinal(LoginName, Box<scram::ServerFirst>),
    Acknowledge(LoginName),
    Over,
}

impl ServerExchange {
    /// Begins. `initial` is the decoded initial response, if the client sent one; `nonce` is fresh chance; `binding` is
    /// the value of the connection if PLUS was offered on it.
    pub fn start(
        mechanism: Mechanism,
        initial: Option<&[u8]>,
        nonce: [u8; 18],
        binding: Option<ChannelBinding>,
    ) -> (Self, Step) {
        let mut exchange = Self {
            state: State::FirstMessage(mechanism),
            nonce: encode_base64(&nonce),
            binding,
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
            State::FirstMessage(Mechanism::ScramSha256) => self.scram_first(message, false),
            State::FirstMessage(Mechanism::ScramSha256Plus) => self.scram_first(message, true),
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
            State::Password(_) | State::Certificate | State::Verifier(..) | State::Over => {
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

    /// Answers [`Step::NeedCertificate`] with the login, or with a sentence why the certificate lets nobody in.
    pub fn certificate(&mut self, judged: Result<LoginName, String>) -> Step {
        match (std::mem::replace(&mut self.state, State::Over), judged) {
            (State::Certificate, Ok(login)) => Step::Success { login },
            (State::Certificate, Err(why)) => Step::Failed(SaslFailure::Certificate(why)),
            _ => Step::Failed(SaslFailure::OutOfStep),
        }
    }

    /// RFC 4422 A.2: the message is the authorization identity; empty, it is for us to say who the client is.
    fn external(&mut self, message: &[u8]) -> Step {
        let wanted = match std::str::from_utf8(message) {
            Ok("") => None,
            Ok(text) => match text.parse() {
                Ok(login) => Some(login),
                Err(_) => return Step::Failed(SaslFailure::Authzid),
            },
            Err(_) => return Step::Failed(SaslFailure::Malformed("the authorization identity is not UTF-8")),
        };
        self.state = State::Certificate;
        Step::NeedCertificate { wanted }
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

    fn scram_first(&mut self, message: &[u8], plus: bool) -> Step {
        let binding = match (&self.binding, plus) {
            (Some(value), true) => Binding::Chosen(value),
            (Some(_), false) => Binding::Offered,
            (None, false) => Binding::None,
            // It was not offered: the door asks for nothing that it did not offer.
            (None, true) => return Step::Failed(SaslFailure::OutOfStep),
        };
        let read = scram::ClientFirst::parse(message, binding)
            .and_then(|m| Ok((login_of(&m.authcid, &m.authzid)?, m)));
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
        let (mut exchange, step) = ServerExchange::start(Mechanism::Plain, Some(&message), NONCE, None);
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

        let (mut exchange, step) = ServerExchange::start(Mechanism::Plain, None, NONCE, None);
        assert!(matches!(step, Step::Challenge(c) if c.is_empty()));
        assert!(matches!(exchange.respond(&message), Step::CheckPassword { .. }));
        assert!(matches!(
            exchange.password_ok(false),
            Step::Failed(SaslFailure::BadCredentials)
        ));
    }

    #[test]
    fn nobody_acts_for_another() {
        let start = |m: &[u8]| ServerExchange::start(Mechanism::Plain, Some(m), NONCE, None).1;
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
    fn a_certificate_lets_in_whom_the_house_says() {
        let start = |initial: Option<&[u8]>| ServerExchange::start(Mechanism::External, initial, NONCE, None);
        let ayse: LoginName = "ayse@ornekas".parse().unwrap();
        // With and without an authorization identity, at once or when it is asked for.
        for (message, who) in [(&b""[..], None), (b"Ayse@ornekas", Some(ayse.clone()))] {
            let (mut exchange, step) = start(Some(message));
            assert!(matches!(step, Step::NeedCertificate { wanted } if wanted == who));
            assert!(
                matches!(exchange.certificate(Ok(ayse.clone())), Step::Success { login } if login == ayse)
            );
            let (mut exchange, step) = start(None);
            assert!(matches!(step, Step::Challenge(c) if c.is_empty()));
            assert!(matches!(exchange.respond(message), Step::NeedCertificate { wanted } if wanted == who));
            let Step::Failed(failure) = exchange.certificate(Err("it is nobody's".into())) else {
                panic!("no failure")
            };
            assert_eq!(failure.to_string(), "it is nobody's");
            let again = exchange.certificate(Ok(ayse.clone()));
            assert!(matches!(again, Step::Failed(SaslFailure::OutOfStep)));
        }
        for (message, failure) in [
            (&b"\xff"[..], "the authorization identity is not UTF-8"),
            (
                b"kim",
                "the authorization identity must be empty or the login itself",
            ),
        ] {
            let (_, step) = start(Some(message));
            assert!(matches!(step, Step::Failed(f) if f.to_string() == failure));
        }
    }

    #[test]
    fn what_is_offered_follows_from_the_connection() {
        let names = |bindable, certificate| {
            let offered = Mechanism::offered(bindable, certificate);
            offered.map(Mechanism::name).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(names(false, false), "SCRAM-SHA-256 PLAIN");
        assert_eq!(names(true, false), "SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN");
        assert_eq!(
            names(true, true),
            "SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN EXTERNAL"
        );
        for mechanism in Mechanism::ALL {
            assert_eq!(
                Mechanism::by_name(&mechanism.name().to_ascii_lowercase()),
                Some(mechanism)
            );
        }
    }

    #[test]
    fn a_bound_exchange_holds_on_its_own_connection_only() {
        let verifier = ScramVerifier::derive(&secret("p"), &[1; SALT_OCTETS], ITERATIONS_MIN).unwrap();
        let value = |n| ChannelBinding::new([n; CHANNEL_BINDING_OCTETS]);
        let run = |clients, servers| {
            let (mut client, first) =
                ScramClient::start_bound("ayse@ornekas", &secret("p"), [9; 18], &value(clients));
            let plus = Mechanism::ScramSha256Plus;
            let (mut server, _) = ServerExchange::start(plus, Some(&first), NONCE, Some(value(servers)));
            let Step::Challenge(first) = server.verifier(verifier.clone()) else {
                panic!("no challenge")
            };
            server.respond(&client.answer(&first).unwrap())
        };
        assert!(matches!(run(1, 1), Step::Challenge(_)));
        assert!(matches!(run(1, 2), Step::Failed(SaslFailure::ChannelBinding(_))));
        // Nobody in between may take the offer away.
        let plain = |flag: &str, offered: Option<ChannelBinding>| {
            let first = format!("{flag},,n=ayse@ornekas,r=abc");
            ServerExchange::start(Mechanism::ScramSha256, Some(first.as_bytes()), NONCE, offered).1
        };
        assert!(matches!(plain("n", Some(value(1))), Step::NeedVerifier { .. }));
        assert!(matches!(plain("y", None), Step::NeedVerifier { .. }));
        assert!(matches!(
            plain("y", Some(value(1))),
            Step::Failed(SaslFailure::ChannelBinding(_))
        ));
    }

    /// Runs a whole SCRAM exchange; says how it ended on the server, and whether the client trusts the server.
    fn scram(password: &str, verifier: ScramVerifier) -> (Step, bool) {
        let (mut client, first) = ScramClient::start("ayse@ornekas", &secret(password), [9; 18]);
        let (mut server, step) = ServerExchange::start(Mechanism::ScramSha256, Some(&first), NONCE, None);
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
        fn hostile_messages_never_panic(which in 0usize..4, messages in proptest::collection::vec(proptest::collection::vec(proptest::num::u8::ANY, 0..80), 1..4)) {
            let mechanism = Mechanism::ALL[which];
            let (mut exchange, mut step) = ServerExchange::start(mechanism, None, NONCE, Some(ChannelBinding::new([1; 32])));
            for message in &messages {
                step = exchange.respond(message);
                if let Step::NeedVerifier { login } = &step {
                    step = exchange.verifier(ScramVerifier::decoy(b"s", login));
                }
                if let Step::NeedCertificate { .. } = &step {
                    step = exchange.certificate(Err("nobody's".into()));
                }
            }
            let succeeded = matches!(step, Step::Success { .. });
            proptest::prop_assert!(!succeeded);
        }
    }
}
