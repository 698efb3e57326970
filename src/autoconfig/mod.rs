//! What a mail client is told so that it sets itself up: hosts, ports, encryption and the name to log in with.
//!
//! One value, [`Settings`], told in the words of Thunderbird ([`thunderbird`]), of Outlook ([`outlook`]) and of the DNS
//! ([`records`]). Pure: no socket and no store. It knows no accounts on purpose: whoever asks hears the same for an address
//! that is somebody's and for one that is nobody's, so nobody learns here who has an account.

pub mod outlook;
pub mod records;
pub mod thunderbird;

use crate::address::{Domain, KepAddress, LOGIN_MAX_OCTETS, LoginName};

/// What this provider's doors are to a mail client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The provider's domain; its accounts are at it or below it.
    pub domain: Domain,
    /// The provider's name, as a person knows it.
    pub name: String,
    /// The host that clients connect to; the certificate of the doors names it.
    pub host: Domain,
    pub imap_tls: u16,
    pub imap: u16,
    pub submission_tls: u16,
    pub submission: u16,
    /// Whether settings can be asked for over plain HTTP.
    pub over_http: bool,
    /// The port at which settings can be asked for over HTTPS.
    pub https: Option<u16>,
}

/// The name a client gives for its user. What follows from it is seen from the name alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asker {
    /// A login, `USER@TENANT`: a tenant's name has no place in the DNS, so the name is taken as it is.
    Login(LoginName),
    /// A mail address at this provider's domain or below it.
    Address(KepAddress),
}

impl Asker {
    /// `None`: the text is neither, or an address of somebody else's domain.
    pub fn read(text: &str, ours: &Domain) -> Option<Self> {
        if text.len() > LOGIN_MAX_OCTETS {
            return None;
        }
        match text.parse::<KepAddress>() {
            Ok(address) if address.domain().is_within(ours) => Some(Self::Address(address)),
            // Two labels or more are a domain of the DNS: another provider's.
            Ok(address) if address.domain().as_str().contains('.') => None,
            _ => text.parse().ok().map(Self::Login),
        }
    }

    /// What stands in the field of the user name.
    pub fn user_name(&self) -> String {
        match self {
            Self::Login(login) => login.to_string(),
            Self::Address(address) => address.to_string(),
        }
    }
}

#[cfg(test)]
pub(crate) fn settings() -> Settings {
    let domain: Domain = "hs01.kep.test".parse().unwrap();
    Settings {
        host: domain.clone(),
        domain,
        name: "Örnek <KEP> & \"Ortak\"".into(),
        imap_tls: 10993,
        imap: 10143,
        submission_tls: 10465,
        submission: 10587,
        over_http: true,
        https: Some(10443),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_is_seen_from_the_name_alone() {
        let ours: Domain = "hs01.kep.test".parse().unwrap();
        let read = |text: &str| Asker::read(text, &ours).map(|a| a.user_name());
        assert_eq!(read("Ayse@ornekas").as_deref(), Some("ayse@ornekas"));
        for address in ["ornekas@hs01.kep.test", "kimse@depo.hs01.kep.test"] {
            let asker = Asker::read(address, &ours);
            assert!(matches!(&asker, Some(Asker::Address(_))), "{asker:?}");
            assert_eq!(asker.unwrap().user_name(), address);
        }
        for other in [
            "a@hs02.kep.test",
            "a@xhs01.kep.test",
            "a@b.c",
            "hs01.kep.test",
            "",
            "@",
            "a b@hs01.kep.test",
            "<x>@ornekas",
        ] {
            assert_eq!(read(other), None, "{other}");
        }
        assert_eq!(read(&format!("{}@ornekas", "a".repeat(LOGIN_MAX_OCTETS))), None);
    }
}
