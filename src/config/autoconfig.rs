//! `[autoconfig]`: where mail clients ask for their settings, and what they are told.
//!
//! Off unless an address is set: the ports of HTTP are often somebody else's on a host. What is told are the doors as they
//! are; only what a client sees differently (a name of its own, ports that a router turns) is a setting.

use crate::address::Domain;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::num::NonZeroU16;

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Autoconfig {
    /// None: not open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<SocketAddr>,
    /// None: not open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub https: Option<SocketAddr>,
    /// None: the provider's domain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<Domain>,
    /// What is not named is told as it is open here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ports: Option<PublicPorts>,
}

/// Ports as they are seen from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PublicPorts {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub imap_tls: Option<NonZeroU16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub imap: Option<NonZeroU16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub submission_tls: Option<NonZeroU16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub submission: Option<NonZeroU16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub https: Option<NonZeroU16>,
}

#[cfg(test)]
impl Autoconfig {
    /// With every key.
    pub(super) fn full() -> Self {
        let any: SocketAddr = ([0, 0, 0, 0], 80).into();
        Self {
            http: Some(any),
            https: Some(any),
            host: "posta.hs01.kep.tr".parse().ok(),
            ports: Some(PublicPorts::default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    #[test]
    fn public_ports_are_named_one_by_one_and_none_is_zero() {
        let read = |more: &str| {
            let least = "[provider]\ndomain = \"hs01.kep.tr\"\nname = \"x\"\n[autoconfig]\n";
            Config::parse(&format!("{least}{more}\n"))
        };
        let config = read("ports = { imap_tls = 993, https = 443 }").unwrap();
        let ports = config.autoconfig.ports.unwrap();
        assert_eq!(ports.imap_tls.unwrap().get(), 993);
        assert!(ports.imap.is_none() && config.autoconfig.http.is_none());
        assert!(read("ports = { imap_tls = 0 }").is_err());
        let (_, why) = read("ports = { imaptls = 993 }").unwrap_err();
        assert!(why.contains("did you mean `imap_tls`"), "{why}");
        assert!(read("host = \"a b\"").is_err());
    }
}
