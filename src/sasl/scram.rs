//! SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677): the server's half, its verifier, and a client's half for
//! tests, the demonstration and peers. Channel binding is by `tls-exporter` (`binding`).
//!
//! Deliberately not done: SASLprep (see `plain`), the `m=` extension (RFC 5802 5.1 demands refusal) and `e=` error texts:
//! a failure is told by the protocol around the exchange.

use super::binding::{CHANNEL_BINDING_TYPE, ChannelBinding};
use super::{SaslFailure, Secret, decode_base64, encode_base64};
use crate::address::{LOGIN_MAX_OCTETS, LoginName};
use aws_lc_rs::{constant_time, digest, hmac, pbkdf2};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::num::NonZeroU32;
use zeroize::Zeroizing;

/// RFC 7677 4: at least 4096 rounds.
pub const ITERATIONS_MIN: u32 = 4096;
/// What new verifiers use, and what a decoy claims: all accounts must look alike.
pub const ITERATIONS_DEFAULT: u32 = 16_384;
/// A hostile server could ask a client for hours of work; no honest one asks for more than this.
pub const ITERATIONS_MAX: u32 = 1_000_000;
/// Octets of salt in our own verifiers.
pub const SALT_OCTETS: usize = 16;
/// Longest nonce of a peer; real ones have 20 to 60 characters.
const NONCE_MAX_OCTETS: usize = 256;

type Sha256 = [u8; 32];

/// What the server keeps instead of the password (RFC 5802 3). Debug prints nothing of it.
#[derive(Clone, Serialize, Deserialize)]
pub struct ScramVerifier {
    salt: Vec<u8>,
    iterations: u32,
    stored_key: Sha256,
    server_key: Sha256,
}

impl fmt::Debug for ScramVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ScramVerifier")
    }
}

impl ScramVerifier {
    /// The verifier of a password. Takes a noticeable time on purpose: call it where blocking is allowed. `salt` is
    /// fresh chance. `None` if the salt is empty or the rounds are outside MIN..=MAX.
    pub fn derive(password: &Secret, salt: &[u8], iterations: u32) -> Option<Self> {
        let salted = salted_password(password, salt, iterations)?;
        Some(Self {
            salt: salt.to_vec(),
            iterations,
            stored_key: sha256(&hmac_sha256(&*salted, &[b"Client Key"])),
            server_key: hmac_sha256(&*salted, &[b"Server Key"]),
        })
    }

    /// A verifier no password fits, the same for the same login every time, so that an unknown login cannot be told
    /// from a wrong password (RFC 5802 9). `server_secret` must stay the same across restarts.
    pub fn decoy(server_secret: &[u8], login: &LoginName) -> Self {
        let login = login.to_string();
        let part = |name: &[u8]| hmac_sha256(server_secret, &[b"scram decoy ", name, b" ", login.as_bytes()]);
        Self {
            salt: part(b"salt")[..SALT_OCTETS].to_vec(),
            iterations: ITERATIONS_DEFAULT,
            stored_key: part(b"stored"),
            server_key: part(b"server"),
        }
    }

    /// Whether a password is the one of this verifier (for PLAIN). As slow as [`Self::derive`].
    pub fn fits(&self, password: &Secret) -> bool {
        Self::derive(password, &self.salt, self.iterations).is_some_and(|other| {
            constant_time::verify_slices_are_equal(&other.stored_key, &self.stored_key).is_ok()
        })
    }

    pub fn salt(&self) -> &[u8] {
        &self.salt
    }

    pub fn iterations(&self) -> u32 {
        self.iterations
    }
}

/// The client-first-message, read.
#[derive(Debug)]
pub(super) struct ClientFirst {
    pub authzid: String,
    pub authcid: String,
    /// What the client has to repeat in base64 as `c=` (RFC 5802 5.1): the GS2 header as sent, and behind it the value
    /// of the channel where it binds to it.
    channel: Vec<u8>,
    bare: String,
    nonce: String,
}

/// What of channel binding was on offer to the client.
#[derive(Debug, Clone, Copy)]
pub(super) enum Binding<'c> {
    /// Nothing: there is no value to bind to.
    None,
    /// SCRAM-SHA-256-PLUS was offered, and SCRAM-SHA-256 chosen.
    Offered,
    /// SCRAM-SHA-256-PLUS was chosen.
    Chosen(&'c ChannelBinding),
}

impl ClientFirst {
    pub fn parse(message: &[u8], binding: Binding<'_>) -> Result<Self, SaslFailure> {
        let malformed = SaslFailure::Malformed("malformed client-first-message");
        let text = printable(message).ok_or(malformed.clone())?;
        let mut parts = text.splitn(3, ',');
        let (Some(flag), Some(authzid), Some(bare)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(malformed);
        };
        let value = channel_value(flag, binding)?;
        let authzid = match authzid.strip_prefix("a=") {
            Some(name) => sasl_name(name).ok_or(malformed.clone())?,
            None if authzid.is_empty() => String::new(),
            None => return Err(malformed),
        };
        let mut attributes = bare.split(',');
        // RFC 5802 5.1 m=: an unsupported mandatory extension stands first and must be refused: n= is demanded here.
        let name = attributes
            .next()
            .and_then(|a| a.strip_prefix("n="))
            .and_then(sasl_name);
        let nonce = attributes.next().and_then(|a| a.strip_prefix("r="));
        let (Some(authcid), Some(nonce)) = (name, nonce) else {
            return Err(malformed);
        };
        if authcid.is_empty() || authcid.len() > LOGIN_MAX_OCTETS || !nonce_ok(nonce) {
            return Err(malformed);
        }
        let mut channel = text.as_bytes()[..text.len() - bare.len()].to_vec();
        channel.extend_from_slice(value);
        Ok(Self {
            authzid,
            authcid,
            channel,
            bare: bare.to_owned(),
            nonce: nonce.to_owned(),
        })
    }

    /// The server-first-message.
    pub fn answer(self, verifier: ScramVerifier, server_nonce: &str) -> (ServerFirst, Vec<u8>) {
        let nonce = format!("{}{server_nonce}", self.nonce);
        let salt = encode_base64(&verifier.salt);
        let message = format!("r={nonce},s={salt},i={}", verifier.iterations);
        let auth_head = format!("{},{message},", self.bare);
        (
            ServerFirst {
                channel: self.channel,
                nonce,
                auth_head,
                verifier,
            },
            message.into_bytes(),
        )
    }
}

/// What the client binds to, by the flag that begins its first message (RFC 5802 6).
fn channel_value<'c>(flag: &str, binding: Binding<'c>) -> Result<&'c [u8], SaslFailure> {
    let refused = |why| Err(SaslFailure::ChannelBinding(why));
    match (flag, binding) {
        ("n", Binding::None | Binding::Offered) | ("y", Binding::None) => Ok(&[]),
        // The client could bind, and thinks that we cannot: somebody took the offer out of what we said.
        ("y", Binding::Offered) => refused("SCRAM-SHA-256-PLUS was offered and did not reach the client"),
        // "Chosen" without binding is a contradiction in the client's own words.
        ("n" | "y", Binding::Chosen(_)) => refused("SCRAM-SHA-256-PLUS binds to the channel: p=tls-exporter"),
        _ => match (flag.strip_prefix("p="), binding) {
            (Some(CHANNEL_BINDING_TYPE), Binding::Chosen(value)) => Ok(value.octets()),
            (Some(_), Binding::Chosen(_)) => refused("the only channel binding here is tls-exporter"),
            (Some(_), _) => refused("SCRAM-SHA-256 does not bind to the channel"),
            (None, _) => Err(SaslFailure::Malformed("malformed client-first-message")),
        },
    }
}

/// Waits for the client's proof.
#[derive(Debug)]
pub(super) struct ServerFirst {
    channel: Vec<u8>,
    nonce: String,
    auth_head: String,
    verifier: ScramVerifier,
}

impl ServerFirst {
    /// Checks the client-final-message; gives the server-final-message.
    pub fn finish(self, message: &[u8]) -> Result<Vec<u8>, SaslFailure> {
        let malformed = SaslFailure::Malformed("malformed client-final-message");
        let text = printable(message).ok_or(malformed.clone())?;
        let (without_proof, proof) = text.rsplit_once(",p=").ok_or(malformed.clone())?;
        let mut attributes = without_proof.split(',');
        let binding = attributes
            .next()
            .and_then(|a| a.strip_prefix("c="))
            .ok_or(malformed.clone())?;
        let nonce = attributes
            .next()
            .and_then(|a| a.strip_prefix("r="))
            .ok_or(malformed.clone())?;
        let proof: Sha256 = sha256_sized(proof).ok_or(malformed)?;
        // RFC 5802 5.1 c=: it must be the very GS2 header of the first message (a changed one is a downgrade), and the
        // value of this very connection (another one means that somebody sits in between).
        let expected = encode_base64(&self.channel);
        if constant_time::verify_slices_are_equal(binding.as_bytes(), expected.as_bytes()).is_err() {
            return Err(SaslFailure::ChannelBinding(
                "the channel binding does not fit this connection",
            ));
        }
        let auth_message = [self.auth_head.as_bytes(), without_proof.as_bytes()];
        let signature = hmac_sha256(&self.verifier.stored_key, &auth_message);
        let client_key = Zeroizing::new(xor(&proof, &signature));
        let same_key =
            constant_time::verify_slices_are_equal(&sha256(&*client_key), &self.verifier.stored_key).is_ok();
        let same_nonce =
            constant_time::verify_slices_are_equal(nonce.as_bytes(), self.nonce.as_bytes()).is_ok();
        if !(same_key && same_nonce) {
            return Err(SaslFailure::BadCredentials);
        }
        let server_signature = hmac_sha256(&self.verifier.server_key, &auth_message);
        Ok(format!("v={}", encode_base64(&server_signature)).into_bytes())
    }
}

/// The client's half.
#[derive(Debug)]
pub struct ScramClient {
    password: Secret,
    nonce: String,
    /// What `c=` says: GS2 header and value.
    channel: Vec<u8>,
    bare: String,
    server_signature: Option<Sha256>,
}

impl ScramClient {
    /// Gives the client-first-message, to be sent as the initial response.
    pub fn start(login: &str, password: &Secret, nonce: [u8; 18]) -> (Self, Vec<u8>) {
        Self::with_nonce(login, password, encode_base64(&nonce), None)
    }

    /// The same for SCRAM-SHA-256-PLUS, bound to a connection.
    pub fn start_bound(
        login: &str,
        password: &Secret,
        nonce: [u8; 18],
        binding: &ChannelBinding,
    ) -> (Self, Vec<u8>) {
        Self::with_nonce(login, password, encode_base64(&nonce), Some(binding))
    }

    fn with_nonce(
        login: &str,
        password: &Secret,
        nonce: String,
        binding: Option<&ChannelBinding>,
    ) -> (Self, Vec<u8>) {
        let name = login.replace('=', "=3D").replace(',', "=2C");
        let bare = format!("n={name},r={nonce}");
        let header = match binding {
            Some(_) => format!("p={CHANNEL_BINDING_TYPE},,"),
            None => "n,,".to_owned(),
        };
        let message = format!("{header}{bare}").into_bytes();
        let mut channel = header.into_bytes();
        channel.extend_from_slice(binding.map_or(&[], ChannelBinding::octets));
        (
            Self {
                password: password.clone(),
                nonce,
                channel,
                bare,
                server_signature: None,
            },
            message,
        )
    }

    /// Answers the server-first-message. Slow on purpose.
    pub fn answer(&mut self, server_first: &[u8]) -> Result<Vec<u8>, SaslFailure> {
        let malformed = SaslFailure::Malformed("malformed server-first-message");
        let text = printable(server_first).ok_or(malformed.clone())?;
        let mut attributes = text.split(',');
        let nonce = attributes
            .next()
            .and_then(|a| a.strip_prefix("r="))
            .ok_or(malformed.clone())?;
        let salt = attributes
            .next()
            .and_then(|a| a.strip_prefix("s="))
            .ok_or(malformed.clone())?;
        let rounds = attributes
            .next()
            .and_then(|a| a.strip_prefix("i="))
            .ok_or(malformed.clone())?;
        if !nonce_ok(nonce) || !nonce.starts_with(&self.nonce) || nonce.len() == self.nonce.len() {
            return Err(malformed);
        }
        let salt = decode_base64(salt.as_bytes()).ok_or(malformed.clone())?;
        let rounds = rounds.parse().map_err(|_| malformed.clone())?;
        let salted = salted_password(&self.password, &salt, rounds).ok_or(malformed)?;
        let client_key = Zeroizing::new(hmac_sha256(&*salted, &[b"Client Key"]));
        let without_proof = format!("c={},r={nonce}", encode_base64(&self.channel));
        let auth_message = format!("{},{text},{without_proof}", self.bare);
        let signature = hmac_sha256(&sha256(&*client_key), &[auth_message.as_bytes()]);
        let server_key = hmac_sha256(&*salted, &[b"Server Key"]);
        self.server_signature = Some(hmac_sha256(&server_key, &[auth_message.as_bytes()]));
        Ok(format!(
            "{without_proof},p={}",
            encode_base64(&xor(&client_key, &signature))
        )
        .into_bytes())
    }

    /// Whether the server knows the password too. The client then answers with nothing.
    pub fn verify(&self, server_final: &[u8]) -> Result<(), SaslFailure> {
        let signature = printable(server_final)
            .and_then(|text| text.split(',').next())
            .and_then(|a| a.strip_prefix("v="))
            .and_then(sha256_sized)
            .ok_or(SaslFailure::Malformed("malformed server-final-message"))?;
        match self.server_signature {
            Some(own) if constant_time::verify_slices_are_equal(&own, &signature).is_ok() => Ok(()),
            Some(_) => Err(SaslFailure::BadCredentials),
            None => Err(SaslFailure::OutOfStep),
        }
    }
}

fn salted_password(password: &Secret, salt: &[u8], iterations: u32) -> Option<Zeroizing<Sha256>> {
    if salt.is_empty() || !(ITERATIONS_MIN..=ITERATIONS_MAX).contains(&iterations) {
        return None;
    }
    let mut out = Zeroizing::new([0u8; 32]);
    let rounds = NonZeroU32::new(iterations)?;
    pbkdf2::derive(
        pbkdf2::PBKDF2_HMAC_SHA256,
        rounds,
        salt,
        password.expose().as_bytes(),
        &mut *out,
    );
    Some(out)
}

fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> Sha256 {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    for part in parts {
        context.update(part);
    }
    sized(context.sign().as_ref())
}

fn sha256(octets: &[u8]) -> Sha256 {
    sized(digest::digest(&digest::SHA256, octets).as_ref())
}

/// A SHA-256 result as an array: the algorithm gives 32 octets, always.
fn sized(octets: &[u8]) -> Sha256 {
    let mut out = [0u8; 32];
    out.iter_mut().zip(octets).for_each(|(to, from)| *to = *from);
    out
}

fn sha256_sized(base64: &str) -> Option<Sha256> {
    decode_base64(base64.as_bytes())?.try_into().ok()
}

fn xor(a: &Sha256, b: &Sha256) -> Sha256 {
    let mut out = *a;
    out.iter_mut().zip(b).for_each(|(to, from)| *to ^= from);
    out
}

/// UTF-8 without control characters (so NUL and line ends never hide in a name).
fn printable(message: &[u8]) -> Option<&str> {
    std::str::from_utf8(message)
        .ok()
        .filter(|text| !text.chars().any(char::is_control))
}

fn nonce_ok(nonce: &str) -> bool {
    (1..=NONCE_MAX_OCTETS).contains(&nonce.len()) && nonce.bytes().all(|b| b.is_ascii_graphic() && b != b',')
}

/// Decodes a saslname: `=2C` is a comma, `=3D` an equals sign, any other `=` is an error (RFC 5802 5.1 n=).
fn sasl_name(text: &str) -> Option<String> {
    let mut pieces = text.split('=');
    let mut name = pieces.next()?.to_owned();
    for piece in pieces {
        let (sign, rest) = match (piece.strip_prefix("2C"), piece.strip_prefix("3D")) {
            (Some(rest), _) => (',', rest),
            (_, Some(rest)) => ('=', rest),
            _ => return None,
        };
        name.push(sign);
        name.push_str(rest);
    }
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 7677 3.
    const CLIENT_NONCE: &str = "rOprNGfwEbeRWgbNEkqO";
    const SERVER_NONCE: &str = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
    const CLIENT_FIRST: &str = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
    const SERVER_FIRST: &str =
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
    const CLIENT_FINAL: &str = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                                p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
    const SERVER_FINAL: &str = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

    fn pencil() -> Secret {
        Secret::new("pencil".to_owned())
    }

    fn server() -> (ServerFirst, Vec<u8>) {
        let salt = decode_base64(b"W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let verifier = ScramVerifier::derive(&pencil(), &salt, 4096).unwrap();
        ClientFirst::parse(CLIENT_FIRST.as_bytes(), Binding::None)
            .unwrap()
            .answer(verifier, SERVER_NONCE)
    }

    #[test]
    fn the_vector_of_rfc_7677() {
        let (client, first) = &mut ScramClient::with_nonce("user", &pencil(), CLIENT_NONCE.to_owned(), None);
        assert_eq!(first, CLIENT_FIRST.as_bytes());
        let (server, server_first) = server();
        assert_eq!(server_first, SERVER_FIRST.as_bytes());
        let client_final = client.answer(&server_first).unwrap();
        assert_eq!(String::from_utf8(client_final.clone()).unwrap(), CLIENT_FINAL);
        let server_final = server.finish(&client_final).unwrap();
        assert_eq!(String::from_utf8(server_final.clone()).unwrap(), SERVER_FINAL);
        assert_eq!(client.verify(&server_final), Ok(()));
        assert!(
            client
                .verify(b"v=AAAATRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")
                .is_err()
        );
    }

    #[test]
    fn a_changed_final_message_is_refused() {
        let finish = |text: &str| server().0.finish(text.as_bytes());
        assert_eq!(
            finish(&CLIENT_FINAL.replace("c=biws", "c=eSws")),
            Err(SaslFailure::ChannelBinding(
                "the channel binding does not fit this connection"
            ))
        );
        assert_eq!(
            finish(&CLIENT_FINAL.replace("k0,", "k1,")),
            Err(SaslFailure::BadCredentials)
        );
        assert_eq!(
            finish(&CLIENT_FINAL.replace("p=dH", "p=eH")),
            Err(SaslFailure::BadCredentials)
        );
        assert!(matches!(finish("c=biws,p=AAAA"), Err(SaslFailure::Malformed(_))));
    }

    #[test]
    fn first_messages() {
        let parse = |text: &str| ClientFirst::parse(text.as_bytes(), Binding::None);
        assert_eq!(parse("y,a=x=3Dy,n=a=2Cb,r=abc").unwrap().authcid, "a,b");
        assert_eq!(parse("y,a=x=3Dy,n=a=2Cb,r=abc").unwrap().authzid, "x=y");
        for bad in [
            "",
            "n",
            "n,,",
            "n,,m=x,n=a,r=b",
            "n,,n=a=2c,r=b",
            "n,,n=,r=b",
            "n,,n=a,r=",
            "x,,n=a,r=b",
            "n,,n=a\0,r=b",
        ] {
            assert!(matches!(parse(bad), Err(SaslFailure::Malformed(_))), "{bad:?}");
        }
    }

    #[test]
    fn the_flag_says_what_was_seen_of_the_offer() {
        let value = ChannelBinding::new([7; 32]);
        let parse = |flag: &str, binding| {
            let read = ClientFirst::parse(format!("{flag},,n=a,r=b").as_bytes(), binding);
            read.map(|first| first.channel)
        };
        let bound = |flag: &str, value: &[u8]| Ok([format!("{flag},,").as_bytes(), value].concat());
        assert_eq!(parse("n", Binding::None), bound("n", &[]));
        assert_eq!(parse("y", Binding::None), bound("y", &[]));
        assert_eq!(parse("n", Binding::Offered), bound("n", &[]));
        assert_eq!(
            parse("p=tls-exporter", Binding::Chosen(&value)),
            bound("p=tls-exporter", &[7; 32])
        );
        for (flag, binding) in [
            // The downgrade: the offer did not reach the client.
            ("y", Binding::Offered),
            ("n", Binding::Chosen(&value)),
            ("y", Binding::Chosen(&value)),
            ("p=tls-unique", Binding::Chosen(&value)),
            ("p=", Binding::Chosen(&value)),
            ("p=tls-exporter", Binding::Offered),
            ("p=tls-exporter", Binding::None),
        ] {
            let read = parse(flag, binding);
            assert!(
                matches!(read, Err(SaslFailure::ChannelBinding(_))),
                "{flag} {binding:?}"
            );
        }
        for flag in ["", "N", "P=tls-exporter", "x"] {
            for binding in [Binding::None, Binding::Offered, Binding::Chosen(&value)] {
                assert!(matches!(parse(flag, binding), Err(SaslFailure::Malformed(_))));
            }
        }
        assert_eq!(format!("{value:?}"), "ChannelBinding");
    }

    /// Computed by Python's hashlib and hmac from the words of RFC 5802 3, with the figures of RFC 7677 3 and a channel
    /// of the octets 0 to 31.
    #[test]
    fn a_bound_exchange_has_the_proofs_an_outside_judge_computes() {
        let value = ChannelBinding::new(std::array::from_fn(|n| n as u8));
        let (mut client, first) =
            ScramClient::with_nonce("user", &pencil(), CLIENT_NONCE.to_owned(), Some(&value));
        assert_eq!(first, b"p=tls-exporter,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let salt = decode_base64(b"W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let verifier = ScramVerifier::derive(&pencil(), &salt, 4096).unwrap();
        let (server, server_first) = ClientFirst::parse(&first, Binding::Chosen(&value))
            .unwrap()
            .answer(verifier, SERVER_NONCE);
        let client_final = client.answer(&server_first).unwrap();
        assert_eq!(
            String::from_utf8(client_final.clone()).unwrap(),
            "c=cD10bHMtZXhwb3J0ZXIsLAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f,\
             r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=QC6CS20quADQRb3mT99YUH+n3VJxUvzuK0K0E1Vrs2M="
        );
        let server_final = server.finish(&client_final).unwrap();
        assert_eq!(
            String::from_utf8(server_final.clone()).unwrap(),
            "v=2GiAgapEppLVlUXbxUDksL3VgYHzuqiK5tR4mhJGgvs="
        );
        assert_eq!(client.verify(&server_final), Ok(()));
    }

    #[test]
    fn a_client_refuses_endless_or_cheap_work() {
        let (mut client, _) =
            ScramClient::with_nonce("u", &Secret::new("p".to_owned()), "abc".to_owned(), None);
        for bad in [
            "r=abcd,s=QUFB,i=4095",
            "r=abcd,s=QUFB,i=4000000000",
            "r=abc,s=QUFB,i=4096",
            "r=xbcd,s=QUFB,i=4096",
        ] {
            assert!(client.answer(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_verifier_keeps_silent_and_survives_storage() {
        let password = Secret::new("p".to_owned());
        let verifier = ScramVerifier::derive(&password, b"salt", ITERATIONS_MIN).unwrap();
        assert_eq!(format!("{verifier:?}"), "ScramVerifier");
        let row = postcard::to_stdvec(&verifier).unwrap();
        let read: ScramVerifier = postcard::from_bytes(&row).unwrap();
        assert!(read.fits(&password));
        assert!(!read.fits(&Secret::new("q".to_owned())));
    }
}
