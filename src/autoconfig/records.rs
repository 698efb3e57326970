//! What the DNS says of the doors: SRV records of RFC 6186 and RFC 8314 5.1, and the names that clients ask for settings at.
//!
//! Lines of a zone file (RFC 1035 5.1), each complete, so that they can be put into any zone. MX and TLSA records are not
//! here: they are for providers, and those meet by their profiles.

use super::Settings;
use std::fmt;

/// How long others may keep an answer, in seconds: short enough to move a door within a working day.
pub const TTL_S: u32 = 3600;

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientRecord {
    /// The owner, with its final dot.
    pub name: String,
    pub data: Data,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Data {
    /// RFC 2782.
    Srv {
        priority: u16,
        weight: u16,
        port: u16,
        target: String,
    },
    Cname {
        target: String,
    },
}

impl fmt::Display for ClientRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {TTL_S} IN ", self.name)?;
        match &self.data {
            Data::Srv {
                priority,
                weight,
                port,
                target,
            } => write!(f, "SRV {priority} {weight} {port} {target}"),
            Data::Cname { target } => write!(f, "CNAME {target}"),
        }
    }
}

/// The records for accounts at `domain`, which is the provider's or below it.
pub fn records(settings: &Settings, domain: &crate::address::Domain) -> Vec<ClientRecord> {
    let host = format!("{}.", settings.host.as_str());
    let srv = |service: &str, priority, port, target: &str| ClientRecord {
        name: format!("_{service}._tcp.{}.", domain.as_str()),
        data: Data::Srv {
            priority,
            weight: u16::from(port != 0),
            port,
            target: target.to_owned(),
        },
    };
    let alias = |name: &str| ClientRecord {
        name: format!("{name}.{}.", domain.as_str()),
        data: Data::Cname { target: host.clone() },
    };
    let mut records = vec![
        // RFC 8314 5.1: TLS from the first octet is preferred, STARTTLS is for clients that know nothing else.
        srv("imaps", 0, settings.imap_tls, &host),
        srv("imap", 10, settings.imap, &host),
        srv("submissions", 0, settings.submission_tls, &host),
        srv("submission", 10, settings.submission, &host),
        // RFC 6186 3.4: the target "." says that there is no such service.
        srv("pop3s", 0, 0, "."),
        srv("pop3", 0, 0, "."),
    ];
    if settings.over_http || settings.https.is_some() {
        records.push(alias("autoconfig"));
    }
    if let Some(port) = settings.https {
        records.push(alias("autodiscover"));
        records.push(srv("autodiscover", 0, port, &host));
    }
    records
}

#[cfg(test)]
mod tests {
    use super::super::settings;
    use super::*;

    #[test]
    fn the_zone_says_what_the_doors_are() {
        let mut told = settings();
        told.host = "posta.kep.test".parse().unwrap();
        let domain = "depo.hs01.kep.test".parse().unwrap();
        let lines = |told: &Settings| -> Vec<String> {
            records(told, &domain).iter().map(ToString::to_string).collect()
        };
        assert_eq!(
            lines(&told),
            [
                "_imaps._tcp.depo.hs01.kep.test. 3600 IN SRV 0 1 10993 posta.kep.test.",
                "_imap._tcp.depo.hs01.kep.test. 3600 IN SRV 10 1 10143 posta.kep.test.",
                "_submissions._tcp.depo.hs01.kep.test. 3600 IN SRV 0 1 10465 posta.kep.test.",
                "_submission._tcp.depo.hs01.kep.test. 3600 IN SRV 10 1 10587 posta.kep.test.",
                "_pop3s._tcp.depo.hs01.kep.test. 3600 IN SRV 0 0 0 .",
                "_pop3._tcp.depo.hs01.kep.test. 3600 IN SRV 0 0 0 .",
                "autoconfig.depo.hs01.kep.test. 3600 IN CNAME posta.kep.test.",
                "autodiscover.depo.hs01.kep.test. 3600 IN CNAME posta.kep.test.",
                "_autodiscover._tcp.depo.hs01.kep.test. 3600 IN SRV 0 1 10443 posta.kep.test.",
            ]
        );
        // A name at which nobody answers is not announced.
        told.https = None;
        assert!(!lines(&told).iter().any(|line| line.contains("autodiscover")));
        told.over_http = false;
        assert_eq!(lines(&told).len(), 6);
    }
}
