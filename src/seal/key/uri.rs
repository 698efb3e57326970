//! `pkcs11:` URIs (RFC 7512): which token, which key on it, through which module, and where its PIN lies.
//!
//! Only what names one private key for certain is taken: the token by label, serial number, manufacturer or model; the
//! key by label (`object`) or `id`; `type` if it says private. Slots change their numbers when tokens are plugged in
//! anew, so they are refused; and `pin-value` is refused because a configuration is no place for a PIN. Whatever else
//! stands in a URI is refused, never passed over: it might have been what told two tokens apart.

use std::path::PathBuf;
use std::str::FromStr;

/// What every such URI begins with (RFC 7512 2.3).
pub const SCHEME: &str = "pkcs11:";
/// Longest URI taken: a handful of labels and paths.
const URI_MAX_OCTETS: usize = 4096;

/// Why a URI names no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UriError {
    #[error("not a pkcs11: URI")]
    Scheme,
    #[error("the URI has more than {URI_MAX_OCTETS} octets")]
    TooLong,
    #[error("the URI's attribute {0:?} has no value, or one with characters that must be written as %XX")]
    Malformed(String),
    #[error("the URI's attribute {0} stands twice")]
    Twice(String),
    #[error("the URI's attribute {0} is not known here")]
    Unknown(String),
    #[error("slots change their numbers; name the token by token= or serial= instead of {0}")]
    Slot(String),
    #[error("a PIN has no place in the configuration; write pin-source=file:PATH")]
    PinValue,
    #[error("pin-source must be file:PATH, an absolute path without a host")]
    PinSource,
    #[error("type must be private: the key that signs")]
    Type,
    #[error("the URI lacks {0}")]
    Lacks(&'static str),
}

/// The parts of a URI, decoded.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TokenUri {
    pub token: Option<String>,
    pub serial: Option<String>,
    pub manufacturer: Option<String>,
    pub model: Option<String>,
    /// The label of the key.
    pub object: Option<Vec<u8>>,
    pub id: Option<Vec<u8>>,
    pub module_path: PathBuf,
    /// None: the token has a keypad of its own.
    pub pin_source: Option<PathBuf>,
}

impl FromStr for TokenUri {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        if text.len() > URI_MAX_OCTETS {
            return Err(UriError::TooLong);
        }
        let rest = text.strip_prefix(SCHEME).ok_or(UriError::Scheme)?;
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut uri = Self::default();
        let mut seen = Vec::new();
        for (part, is_query) in attributes(path, ';', false).chain(attributes(query, '&', true)) {
            let malformed = || UriError::Malformed(part.chars().take(40).collect());
            let (name, value) = part.split_once('=').ok_or_else(malformed)?;
            let value = decoded(value, is_query)
                .filter(|v| !v.is_empty())
                .ok_or_else(malformed)?;
            // RFC 7512 2.3: an attribute of the path or one of these of the query stands once.
            if seen.contains(&name) {
                return Err(UriError::Twice(name.to_owned()));
            }
            seen.push(name);
            uri.take(name, value, is_query, malformed)?;
        }
        uri.checked()
    }
}

impl TokenUri {
    fn take(
        &mut self,
        name: &str,
        value: Vec<u8>,
        is_query: bool,
        malformed: impl Fn() -> UriError,
    ) -> Result<(), UriError> {
        let text = || String::from_utf8(value.clone()).map_err(|_| malformed());
        match (name, is_query) {
            ("token", false) => self.token = Some(text()?),
            ("serial", false) => self.serial = Some(text()?),
            ("manufacturer", false) => self.manufacturer = Some(text()?),
            ("model", false) => self.model = Some(text()?),
            ("object", false) => self.object = Some(value),
            ("id", false) => self.id = Some(value),
            ("type", false) if value == b"private" => {}
            ("type", false) => return Err(UriError::Type),
            ("slot-id" | "slot-manufacturer" | "slot-description", false) => {
                return Err(UriError::Slot(name.to_owned()));
            }
            ("module-path", true) => self.module_path = text()?.into(),
            ("pin-source", true) => {
                // RFC 7512 2.4: a file URI (RFC 8089: file:/path or file:///path) or a bare path; never a command.
                let source = text()?;
                let path = source.strip_prefix("file:").unwrap_or(&source);
                let path = path.strip_prefix("//").unwrap_or(path);
                if !path.starts_with('/') {
                    return Err(UriError::PinSource);
                }
                self.pin_source = Some(path.into());
            }
            ("pin-value", true) => return Err(UriError::PinValue),
            _ => return Err(UriError::Unknown(name.chars().take(40).collect())),
        }
        Ok(())
    }

    fn checked(self) -> Result<Self, UriError> {
        let names_token = self.token.is_some() || self.serial.is_some();
        if !names_token {
            return Err(UriError::Lacks("token= or serial="));
        }
        if self.object.is_none() && self.id.is_none() {
            return Err(UriError::Lacks("object= or id="));
        }
        // A name alone would be looked for in the folders of the loader, which the environment can change.
        if !self.module_path.is_absolute() {
            return Err(UriError::Lacks("module-path= with an absolute path"));
        }
        Ok(self)
    }
}

fn attributes(part: &str, between: char, is_query: bool) -> impl Iterator<Item = (&str, bool)> {
    let part = Some(part).filter(|p| !p.is_empty());
    part.into_iter()
        .flat_map(move |p| p.split(between))
        .map(move |attribute| (attribute, is_query))
}

/// RFC 7512 2.3: pk11-pchar and pk11-qchar, with %XX; None for anything else.
fn decoded(text: &str, is_query: bool) -> Option<Vec<u8>> {
    let more: &[u8] = if is_query { b"/?|" } else { b"&" };
    let mut out = Vec::with_capacity(text.len());
    let mut octets = text.bytes();
    while let Some(octet) = octets.next() {
        match octet {
            b'%' => {
                let digit = |o: Option<u8>| o.and_then(|o| char::from(o).to_digit(16));
                let (high, low) = (digit(octets.next())?, digit(octets.next())?);
                out.push(u8::try_from(high * 16 + low).ok()?);
            }
            // unreserved, and pk11-res-avail
            b'-' | b'.' | b'_' | b'~' | b':' | b'[' | b']' | b'@' | b'!' | b'$' | b'\'' | b'(' | b')'
            | b'*' | b'+' | b',' | b'=' => out.push(octet),
            _ if octet.is_ascii_alphanumeric() || more.contains(&octet) => out.push(octet),
            _ => return None,
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MODULE: &str = "module-path=/usr/lib/softhsm/libsofthsm2.so";

    fn read(text: &str) -> Result<TokenUri, UriError> {
        text.parse()
    }

    #[test]
    fn a_uri_names_token_key_module_and_pin() {
        let uri = read(&format!(
            "pkcs11:token=KEP%20m%C3%BChr%C3%BC;manufacturer=SoftHSM%20project;serial=12ab;model=v2;\
             object=seal;id=%01%ff;type=private?{MODULE}&pin-source=file:/run/credentials/kepd/pin"
        ))
        .unwrap();
        assert_eq!(uri.token.as_deref(), Some("KEP mührü"));
        assert_eq!(uri.manufacturer.as_deref(), Some("SoftHSM project"));
        assert_eq!(
            (uri.serial.as_deref(), uri.model.as_deref()),
            (Some("12ab"), Some("v2"))
        );
        assert_eq!(uri.object.as_deref(), Some(&b"seal"[..]));
        assert_eq!(uri.id.as_deref(), Some(&[1, 0xff][..]));
        assert_eq!(uri.module_path, PathBuf::from("/usr/lib/softhsm/libsofthsm2.so"));
        assert_eq!(uri.pin_source, Some("/run/credentials/kepd/pin".into()));
        for source in ["file:///a/b", "/a/b", "file:/a/b"] {
            let uri = read(&format!("pkcs11:token=a;object=b?{MODULE}&pin-source={source}")).unwrap();
            assert_eq!(uri.pin_source, Some("/a/b".into()), "{source}");
        }
        let keypad = read(&format!("pkcs11:serial=1;id=%01?{MODULE}")).unwrap();
        assert_eq!(keypad.pin_source, None);
    }

    #[test]
    fn what_names_no_key_for_certain_is_refused_with_its_reason() {
        let twice = |n: &str| UriError::Twice(n.to_owned());
        let malformed = |n: &str| UriError::Malformed(n.to_owned());
        for (text, why) in [
            ("pkcs12:token=a", UriError::Scheme),
            ("PKCS11:token=a", UriError::Scheme),
            ("pkcs11:", UriError::Lacks("token= or serial=")),
            ("pkcs11:token=a", UriError::Lacks("object= or id=")),
            ("pkcs11:model=a;object=b", UriError::Lacks("token= or serial=")),
            (
                "pkcs11:token=a;object=b",
                UriError::Lacks("module-path= with an absolute path"),
            ),
            (
                "pkcs11:token=a;object=b?module-path=softhsm2.so",
                UriError::Lacks("module-path= with an absolute path"),
            ),
            ("pkcs11:token=a;token=b;object=c", twice("token")),
            (
                "pkcs11:token=a;object=b?pin-source=/a&pin-source=/b",
                twice("pin-source"),
            ),
            ("pkcs11:token=a;object=b?pin-value=1234", UriError::PinValue),
            (
                "pkcs11:token=a;object=b?pin-source=|/usr/bin/ask",
                UriError::PinSource,
            ),
            ("pkcs11:token=a;object=b?pin-source=file:a", UriError::PinSource),
            (
                "pkcs11:token=a;object=b?pin-source=http://a/b",
                UriError::PinSource,
            ),
            ("pkcs11:token=a;object=b;type=public", UriError::Type),
            (
                "pkcs11:token=a;slot-id=0;object=b",
                UriError::Slot("slot-id".into()),
            ),
            (
                "pkcs11:token=a;library-version=3;object=b",
                UriError::Unknown("library-version".into()),
            ),
            (
                "pkcs11:token=a;object=b?module-name=x",
                UriError::Unknown("module-name".into()),
            ),
            (
                "pkcs11:token=a;pin-source=a",
                UriError::Unknown("pin-source".into()),
            ),
            ("pkcs11:token=a;object=b?token=c", twice("token")),
            ("pkcs11:token=;object=b", malformed("token=")),
            ("pkcs11:token;object=b", malformed("token")),
            ("pkcs11:token=a;;object=b", malformed("")),
            ("pkcs11:token=a b", malformed("token=a b")),
            ("pkcs11:token=a/b", malformed("token=a/b")),
            ("pkcs11:token=%4", malformed("token=%4")),
            ("pkcs11:token=%g0", malformed("token=%g0")),
            ("pkcs11:token=%+1", malformed("token=%+1")),
            ("pkcs11:token=%ff", malformed("token=%ff")),
            ("pkcs11:token=ü", malformed("token=ü")),
            ("pkcs11:token=a#b", malformed("token=a#b")),
        ] {
            assert_eq!(read(text), Err(why), "{text}");
        }
        assert_eq!(
            read(&format!("pkcs11:token={}", "a".repeat(5000))),
            Err(UriError::TooLong)
        );
    }

    proptest! {
        #[test]
        fn what_is_written_with_percents_is_read_back(octets in proptest::collection::vec(any::<u8>(), 1..40)) {
            let written: String = octets.iter().map(|o| format!("%{o:02X}")).collect();
            let uri = read(&format!("pkcs11:token=a;id={written}?{MODULE}")).unwrap();
            prop_assert_eq!(uri.id, Some(octets));
        }

        #[test]
        fn nothing_that_is_written_makes_us_panic(text in "pkcs11:[a-z;=?&%/0-9é-]{0,60}") {
            let _ = read(&text);
        }
    }
}
