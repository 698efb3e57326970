//! The PLAIN mechanism (RFC 4616): one message, `[authzid] NUL authcid NUL passwd`.
//!
//! Deliberately not done: SASLprep. The octets are compared as the client sent them; only what can never be part of a
//! password (NUL) and text that is not UTF-8 are refused.

use super::{SaslFailure, Secret};

/// RFC 4616 2: a server must take up to 255 octets in each field. Nothing longer is a login or a password here.
pub const FIELD_MAX_OCTETS: usize = 255;

/// What a PLAIN message says; the authorisation identity is empty or was compared by [`super::ServerExchange`].
#[derive(Debug)]
pub(super) struct PlainMessage {
    pub authzid: String,
    pub authcid: String,
    pub password: Secret,
}

pub(super) fn parse(message: &[u8]) -> Result<PlainMessage, SaslFailure> {
    let malformed = SaslFailure::Malformed("PLAIN is [authzid] NUL authcid NUL password");
    if message.len() > 3 * FIELD_MAX_OCTETS + 2 {
        return Err(SaslFailure::Malformed("the PLAIN message is too long"));
    }
    let mut fields = message.split(|octet| *octet == 0);
    let (Some(authzid), Some(authcid), Some(password), None) =
        (fields.next(), fields.next(), fields.next(), fields.next())
    else {
        return Err(malformed);
    };
    let text = |field: &[u8]| match std::str::from_utf8(field) {
        Ok(text) if field.len() <= FIELD_MAX_OCTETS => Ok(text.to_owned()),
        _ => Err(SaslFailure::Malformed("a PLAIN field is too long or not UTF-8")),
    };
    if authcid.is_empty() || password.is_empty() {
        return Err(malformed);
    }
    Ok(PlainMessage {
        authzid: text(authzid)?,
        authcid: text(authcid)?,
        password: Secret::new(text(password)?),
    })
}

/// The one message of a PLAIN client (with an empty authzid).
pub fn client_message(login: &str, password: &Secret) -> zeroize::Zeroizing<Vec<u8>> {
    let password = password.expose();
    let mut message = Vec::with_capacity(login.len() + password.len() + 2);
    message.push(0);
    message.extend_from_slice(login.as_bytes());
    message.push(0);
    message.extend_from_slice(password.as_bytes());
    zeroize::Zeroizing::new(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_client_writes_is_read() {
        let message = parse(&client_message("ayse@ornekas", &Secret::new("şifre".to_owned()))).unwrap();
        assert_eq!(
            (message.authzid.as_str(), message.authcid.as_str()),
            ("", "ayse@ornekas")
        );
        assert_eq!(message.password.expose(), "şifre");
    }

    #[test]
    fn malformed_messages_are_refused() {
        for bad in [
            &b""[..],
            b"a",
            b"\0a",
            b"\0a\0",
            b"\0\0p",
            b"\0a\0p\0",
            b"\0a\0\xff",
        ] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
        let long = [&b"\0a\0"[..], &[b'x'; FIELD_MAX_OCTETS + 1]].concat();
        assert!(parse(&long).is_err());
    }
}
