//! Addresses and login names: parsed at the door, never strings after it.
//!
//! KEP addresses are ASCII and are compared without case (KEP Rehberi ve KEP Hesabı Adreslerine İlişkin Tebliğ; see
//! `docs/standards.md`). Folding is ASCII folding: `I` and `i` are different letters in Turkish, and a locale must
//! never decide who receives a legal notice.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// RFC 5321 4.5.3.1.1: octets of a local part.
pub const LOCAL_PART_MAX_OCTETS: usize = 64;
/// RFC 5321 4.5.3.1.2: octets of a domain.
pub const DOMAIN_MAX_OCTETS: usize = 255;
/// Longest login name accepted, in octets: a user and a tenant of 64 octets each, or a KEP address.
pub const LOGIN_MAX_OCTETS: usize = LOCAL_PART_MAX_OCTETS + 1 + DOMAIN_MAX_OCTETS;

/// Why a text is not an address, a domain or a login.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    #[error("the address has no '@'")]
    NoAt,
    #[error("the part before '@' is empty, too long or has a character that is not allowed")]
    LocalPart,
    #[error("the domain is empty, too long or has a character that is not allowed")]
    Domain,
    #[error("the login is not USER@TENANT")]
    Login,
}

/// A DNS name in lower case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Domain(String);

impl Domain {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this domain is `realm` or below it.
    pub fn is_within(&self, realm: &Domain) -> bool {
        self.0 == realm.0
            || self
                .0
                .strip_suffix(&realm.0)
                .is_some_and(|head| head.ends_with('.'))
    }
}

impl FromStr for Domain {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let label_ok = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        if text.is_empty() || text.len() > DOMAIN_MAX_OCTETS || !text.split('.').all(label_ok) {
            return Err(AddressError::Domain);
        }
        Ok(Self(text.to_ascii_lowercase()))
    }
}

/// The address of a KEP account: `local@domain`, in lower case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KepAddress {
    text: String,
    at: u16,
}

impl KepAddress {
    pub fn new(local: &str, domain: &Domain) -> Result<Self, AddressError> {
        // RFC 5321 4.1.2 Dot-string; quoted local parts do not occur in KEP addresses.
        let atom_ok = |atom: &str| {
            !atom.is_empty()
                && atom
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&b))
        };
        if local.len() > LOCAL_PART_MAX_OCTETS || !local.split('.').all(atom_ok) {
            return Err(AddressError::LocalPart);
        }
        let at = local.len() as u16;
        Ok(Self {
            text: format!("{}@{}", local.to_ascii_lowercase(), domain.as_str()),
            at,
        })
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub fn local_part(&self) -> &str {
        &self.text[..usize::from(self.at)]
    }

    pub fn domain(&self) -> Domain {
        Domain(self.text[usize::from(self.at) + 1..].to_owned())
    }
}

impl FromStr for KepAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let (local, domain) = text.rsplit_once('@').ok_or(AddressError::NoAt)?;
        Self::new(local, &domain.parse()?)
    }
}

/// The reverse-path of SMTP: an address, or null (`<>`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ReversePath {
    Null,
    Address(KepAddress),
}

/// `USER@TENANT`, or the KEP address of a tenant with one user. Lower case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LoginName {
    user: String,
    realm: String,
}

impl LoginName {
    pub fn user(&self) -> &str {
        &self.user
    }

    /// What stands behind the '@': a tenant's name, or the domain of a KEP address.
    pub fn realm(&self) -> &str {
        &self.realm
    }

    /// The login read as a KEP address, when it can be one.
    pub fn as_kep_address(&self) -> Option<KepAddress> {
        self.to_string().parse().ok()
    }
}

/// Whether a text may be the name of a tenant or of a user in a login: ASCII letters, digits, `.`, `-`, `_`.
pub fn is_login_word(word: &str) -> bool {
    (1..=LOCAL_PART_MAX_OCTETS).contains(&word.len())
        && word
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

impl FromStr for LoginName {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let (user, realm) = text.rsplit_once('@').ok_or(AddressError::Login)?;
        if text.len() > LOGIN_MAX_OCTETS
            || !is_login_word(user)
            || realm.parse::<Domain>().is_err() && !is_login_word(realm)
        {
            return Err(AddressError::Login);
        }
        Ok(Self {
            user: user.to_ascii_lowercase(),
            realm: realm.to_ascii_lowercase(),
        })
    }
}

macro_rules! text_form {
    ($($name:ident => |$self:ident| $text:expr;)*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { let $self = self; f.write_str($text) }
        }
        impl TryFrom<String> for $name {
            type Error = AddressError;
            fn try_from(text: String) -> Result<Self, AddressError> { text.parse() }
        }
        impl From<$name> for String {
            fn from(value: $name) -> String { value.to_string() }
        }
    )*};
}

text_form! {
    Domain => |d| &d.0;
    KepAddress => |a| &a.text;
    LoginName => |l| &format!("{}@{}", l.user, l.realm);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_folded_by_ascii_rules_only() {
        let a: KepAddress = "ISTANBUL.Ltd@HS01.kep.tr".parse().unwrap();
        assert_eq!(a.as_str(), "istanbul.ltd@hs01.kep.tr");
        assert_eq!(a.local_part(), "istanbul.ltd");
        assert_eq!(a.domain().as_str(), "hs01.kep.tr");
        assert_eq!(
            "İstanbul@hs01.kep.tr".parse::<KepAddress>(),
            Err(AddressError::LocalPart)
        );
    }

    #[test]
    fn what_is_not_an_address_is_refused() {
        for bad in [
            "",
            "a",
            "@b.c",
            "a@",
            "a b@c.d",
            "a@-b.c",
            "a@b..c",
            ".a@b.c",
            "a\r\n@b.c",
            "\"a b\"@c.d",
        ] {
            assert!(bad.parse::<KepAddress>().is_err(), "{bad:?}");
        }
        assert!(format!("{}@b.c", "a".repeat(65)).parse::<KepAddress>().is_err());
    }

    #[test]
    fn a_domain_lies_within_its_realm() {
        let realm: Domain = "kep.test".parse().unwrap();
        assert!("hs01.kep.test".parse::<Domain>().unwrap().is_within(&realm));
        assert!(realm.is_within(&realm));
        assert!(!"notkep.test".parse::<Domain>().unwrap().is_within(&realm));
    }

    #[test]
    fn logins() {
        let l: LoginName = "Ayse@OrnekAS".parse().unwrap();
        assert_eq!((l.user(), l.realm()), ("ayse", "ornekas"));
        assert_eq!(l.to_string(), "ayse@ornekas");
        assert!("ayse".parse::<LoginName>().is_err());
        assert!("a/b@x".parse::<LoginName>().is_err());
    }
}
