//! `kepd.toml` into types, once. After the daemon has been built nobody asks the configuration again.
//!
//! Nouns are tables, units stand in the value (`"30s"`, `"25MiB"`), an unknown key is refused with the nearest right one,
//! secrets are paths. Paths are relative to the folder of the file; `$CREDENTIALS_DIRECTORY/` in front of one names the
//! folder of systemd's credentials. `config/kepd.toml` has every key with its default and reason; a test holds it.

mod autoconfig;
mod credit;
mod evidence;
mod persons;
mod revocation;
mod seal;
mod timestamp;
mod value;

use crate::address::{AddressError, Domain, KepAddress};
use crate::domain::algorithm_policy::{AlgorithmPolicy, PolicyError};
use crate::domain::calendar::{Calendar, CalendarError};
use crate::domain::evidence::Issuer;
use crate::domain::folding::edit_distance;
use crate::domain::job::Terms;
use crate::domain::network::Trusted;
use crate::domain::provider::SIZE_MAX_BYTES;
use crate::domain::schedule::{
    READING_EXPIRY_DEFAULT, RELAY_EXPIRY_DEFAULT, SEND_DELAY_DEFAULT, UNDO_DEFAULT,
};
use crate::domain::tenant::Language;
use crate::service::identity::Identity;
use crate::store::db::EngineKind;
pub use autoconfig::{Autoconfig, PublicPorts};
pub use credit::Credit;
pub use evidence::Evidence;
pub use persons::Persons;
pub use revocation::{LoginUnknown, Mode as RevocationMode, Revocation, Unknown as RevocationUnknown};
pub use seal::{DispatchSeal, NextPair, RsaPadding, Seal, SealDigest, Signing};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
pub use timestamp::{AuthorityKind, Timestamp, TimestampAuthority};
pub use value::{Moment, Period, Size};

/// The holidays of Türkiye, as they come with this version.
const HOLIDAYS: &str = include_str!("../config/holidays.toml");
/// Largest configuration file read.
const FILE_MAX_OCTETS: u64 = 1024 * 1024;
/// A path that begins with this lies in the folder of systemd's credentials (systemd.exec(5), `LoadCredential=`).
const CREDENTIALS: &str = "$CREDENTIALS_DIRECTORY/";
/// Longest path of a unix socket, with its final zero (unix(7)).
const SOCKET_PATH_MAX_OCTETS: usize = 107;

/// Why a configuration cannot be used. Each says where and what to do.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("the configuration {path} cannot be read: {source}")]
    Read { path: String, source: std::io::Error },
    #[error("the configuration {path} has more than {FILE_MAX_OCTETS} octets")]
    TooLarge { path: String },
    #[error("{path}{place}: {why}")]
    Wrong {
        path: String,
        place: String,
        why: String,
    },
}

/// The whole of `kepd.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub provider: Provider,
    #[serde(default)]
    pub store: Store,
    #[serde(default)]
    pub listen: Listen,
    #[serde(default)]
    pub autoconfig: Autoconfig,
    #[serde(default)]
    pub tls: Tls,
    #[serde(default)]
    pub login: Login,
    #[serde(default)]
    pub persons: Persons,
    #[serde(default)]
    pub seal: Seal,
    #[serde(default)]
    pub timestamp: Timestamp,
    #[serde(default)]
    pub evidence: Evidence,
    #[serde(default)]
    pub revocation: Revocation,
    #[serde(default)]
    pub timers: Timers,
    #[serde(default)]
    pub approval: Approval,
    #[serde(default)]
    pub imap: Imap,
    #[serde(default)]
    pub credit: Credit,
    #[serde(default)]
    pub limits: Limits,
    #[serde(default)]
    pub search: Search,
}

/// Who this provider is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    pub domain: Domain,
    pub name: String,
    #[serde(default = "realms_default")]
    pub realms: Vec<Domain>,
    #[serde(default)]
    pub street: String,
    #[serde(default)]
    pub locality: String,
    #[serde(default)]
    pub postal_code: String,
    #[serde(default = "country_default")]
    pub country: String,
    /// None: `kep@DOMAIN`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<KepAddress>,
    /// None: the domain itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relay_host: Option<String>,
    #[serde(default)]
    pub policy_ids: Vec<String>,
    #[serde(default)]
    pub language: Language,
}

fn realms_default() -> Vec<Domain> {
    "kep.tr".parse().into_iter().collect()
}

fn country_default() -> String {
    "TR".into()
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Store {
    pub dir: PathBuf,
    pub engine: EngineKind,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            dir: "/var/lib/kepd".into(),
            engine: EngineKind::Fjall,
        }
    }
}

/// Where the doors are. Port 0 takes a free port; `ports.json` then says which.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Listen {
    pub submission_tls: SocketAddr,
    pub submission: SocketAddr,
    pub relay: SocketAddr,
    pub imap_tls: SocketAddr,
    pub imap: SocketAddr,
    pub metrics: SocketAddr,
    pub control: PathBuf,
}

impl Default for Listen {
    fn default() -> Self {
        let all = |port| SocketAddr::from((std::net::Ipv6Addr::UNSPECIFIED, port));
        Self {
            submission_tls: all(465),
            submission: all(587),
            relay: all(25),
            imap_tls: all(993),
            imap: all(143),
            metrics: SocketAddr::from((std::net::Ipv4Addr::LOCALHOST, 9925)),
            control: "/run/kepd/control.sock".into(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tls {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            certificate: "pki/tls.pem".into(),
            key: "pki/tls.key".into(),
        }
    }
}

/// How users log in, beside their passwords.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Login {
    /// Authorities whose certificates let users in. None: nobody is asked for a certificate.
    pub trust: Option<PathBuf>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Timers {
    pub reading_expiry: Period,
    pub relay_expiry: Period,
}

impl Default for Timers {
    fn default() -> Self {
        Self {
            reading_expiry: Period(READING_EXPIRY_DEFAULT),
            relay_expiry: Period(RELAY_EXPIRY_DEFAULT),
        }
    }
}

/// What holds for all decisions on jobs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Approval {
    /// For how long a decision can be undone.
    pub undo: Period,
    /// For how long a release is held back before it takes effect.
    pub send_delay: Period,
}

impl Default for Approval {
    fn default() -> Self {
        Self {
            undo: Period(UNDO_DEFAULT),
            send_delay: Period(SEND_DELAY_DEFAULT),
        }
    }
}

/// What mail clients are offered, and told.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Imap {
    /// Where users turn to, as a URI.
    pub contact: Option<String>,
    pub compress: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    pub message: Size,
    pub submission_connections: u32,
    pub relay_connections: u32,
    pub imap_connections: u32,
    pub imap_connections_per_user: u32,
    pub trusted: Trusted,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message: Size(SIZE_MAX_BYTES),
            submission_connections: 1000,
            relay_connections: 200,
            imap_connections: 10_000,
            imap_connections_per_user: 100,
            trusted: Trusted::default(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Search {
    pub index: bool,
}

impl Default for Search {
    fn default() -> Self {
        Self { index: true }
    }
}

impl Config {
    /// Reads and checks a file. Its paths come back absolute.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let name = path.display().to_string();
        let read = |source| ConfigError::Read {
            path: name.clone(),
            source,
        };
        if std::fs::metadata(path).map_err(read)?.len() > FILE_MAX_OCTETS {
            return Err(ConfigError::TooLarge { path: name });
        }
        let text = std::fs::read_to_string(path).map_err(read)?;
        let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
        let whole = std::path::absolute(path).map_err(read)?;
        let folder = whole.parent().unwrap_or(Path::new("/"));
        let wrong = |(place, why)| ConfigError::Wrong {
            path: name.clone(),
            place,
            why,
        };
        let mut config = Self::parse(&text).map_err(wrong)?;
        config
            .place_paths(folder, credentials.as_deref())
            .map_err(|why| wrong((String::new(), why)))?;
        config.check_sense().map_err(|why| wrong((String::new(), why)))?;
        Ok(config)
    }

    /// Reads the text; the error is (`:LINE`, why).
    fn parse(text: &str) -> Result<Self, (String, String)> {
        toml::from_str(text).map_err(|error: toml::de::Error| {
            let line = error
                .span()
                .and_then(|span| text.get(..span.start))
                .map(|before| format!(":{}", before.matches('\n').count() + 1));
            (line.unwrap_or_default(), with_suggestion(error.message()))
        })
    }

    fn place_paths(&mut self, folder: &Path, credentials: Option<&Path>) -> Result<(), String> {
        let mut paths = vec![
            &mut self.store.dir,
            &mut self.listen.control,
            &mut self.tls.certificate,
            &mut self.tls.key,
        ];
        paths.extend(&mut self.login.trust);
        paths.extend(&mut self.persons.trust);
        paths.extend(self.seal.paths());
        paths.extend(self.timestamp.paths());
        for path in paths {
            let placed = seal::place_uri(path, |pin| place_path(pin, folder, credentials));
            match placed {
                Some(uri) => *path = uri?,
                None => place_path(path, folder, credentials)?,
            }
        }
        Ok(())
    }

    /// What the types cannot say.
    fn check_sense(&self) -> Result<(), String> {
        let domain = &self.provider.domain;
        if !self.provider.realms.iter().any(|realm| domain.is_within(realm)) {
            return Err(format!(
                "provider.domain {domain} lies in none of provider.realms; a provider is part of its realm"
            ));
        }
        if self.provider.name.trim().is_empty() {
            return Err("provider.name is empty; it stands in every evidence".into());
        }
        self.timestamp.check_sense()?;
        self.revocation.check_sense()?;
        self.persons.check_sense()?;
        self.credit.check_sense()?;
        let socket = self.listen.control.as_os_str().len();
        if socket > SOCKET_PATH_MAX_OCTETS {
            return Err(format!(
                "listen.control has {socket} octets; a socket's path has at most {SOCKET_PATH_MAX_OCTETS}"
            ));
        }
        // RFC 5464 6.2.1.2: the value of /shared/admin is a URI.
        let is_uri = |text: &String| {
            let scheme = text
                .split_once(':')
                .is_some_and(|(scheme, rest)| !scheme.is_empty() && !rest.is_empty());
            scheme && text.bytes().all(|b| b.is_ascii_graphic())
        };
        if !self.imap.contact.as_ref().is_none_or(is_uri) {
            return Err("imap.contact is no URI; write it as mailto:destek@hs01.kep.tr".into());
        }
        if self.timers.reading_expiry.0.is_zero() || self.timers.relay_expiry.0.is_zero() {
            return Err("a timer of zero would expire everything at once".into());
        }
        let doors = &self.limits;
        if [
            doors.submission_connections,
            doors.relay_connections,
            doors.imap_connections,
            doors.imap_connections_per_user,
        ]
        .contains(&0)
        {
            return Err("a door with 0 connections lets nobody in; leave at least 1".into());
        }
        Ok(())
    }

    /// The address dispatches and evidence come from.
    pub fn service_address(&self) -> Result<KepAddress, AddressError> {
        match &self.provider.service {
            Some(service) => Ok(service.clone()),
            None => KepAddress::new("kep", &self.provider.domain),
        }
    }

    /// Name or address of the relay door, as peers know it.
    pub fn relay_host(&self) -> String {
        let host = self.provider.relay_host.clone();
        host.unwrap_or_else(|| self.provider.domain.to_string())
    }

    /// Until when algorithms may be relied on; an error when the embedded policy cannot be used.
    pub fn algorithms(&self) -> Result<AlgorithmPolicy, PolicyError> {
        AlgorithmPolicy::of_this_version()
    }

    /// What the services need of it.
    /// What holds for decisions; an error when the embedded file of holidays cannot be used.
    pub fn terms(&self) -> Result<Terms, CalendarError> {
        Ok(Terms {
            calendar: Calendar::parse(HOLIDAYS)?,
            undo: self.approval.undo.0,
            send_delay: self.approval.send_delay.0,
        })
    }

    pub fn identity(&self, seal_certificate_der: Option<Vec<u8>>) -> Result<Identity, AddressError> {
        let provider = &self.provider;
        let service = self.service_address()?;
        Ok(Identity {
            domain: provider.domain.clone(),
            realms: provider.realms.clone(),
            service: service.clone(),
            issuer: Issuer {
                name: provider.name.clone(),
                street: provider.street.clone(),
                locality: provider.locality.clone(),
                postal_code: provider.postal_code.clone(),
                country: provider.country.clone(),
                electronic_address: service.to_string(),
                certificate_der: seal_certificate_der,
            },
            policy_ids: provider.policy_ids.clone(),
            reading_expiry: self.timers.reading_expiry.0,
            relay_expiry: self.timers.relay_expiry.0,
            size_max_bytes: self.limits.message.0,
            tariff: self.credit.tariff(),
        })
    }
}

/// The path as it is meant: beside the configuration, or in the folder of the credentials.
fn place_path(path: &mut PathBuf, folder: &Path, credentials: Option<&Path>) -> Result<(), String> {
    let credential = path
        .to_str()
        .and_then(|text| text.strip_prefix(CREDENTIALS))
        .map(PathBuf::from);
    *path = match (credential, credentials) {
        (Some(rest), Some(there)) => there.join(rest),
        (Some(_), None) => {
            return Err(format!(
                "{} needs CREDENTIALS_DIRECTORY, which systemd sets for a unit with LoadCredential=",
                path.display()
            ));
        }
        // `join` keeps an absolute path as it is.
        (None, _) => folder.join(&*path),
    };
    Ok(())
}

/// Adds the nearest right key to serde's "unknown field `a`, expected one of `b`, `c`".
fn with_suggestion(message: &str) -> String {
    let mut quoted = message.split('`').skip(1).step_by(2);
    let unknown = message.starts_with("unknown ").then(|| quoted.next()).flatten();
    let Some(unknown) = unknown else {
        return message.to_owned();
    };
    let distance = |known: &str| edit_distance(unknown, known);
    match quoted.map(|known| (distance(known), known)).min() {
        Some((d, near)) if d <= 1 + unknown.len() / 3 => {
            format!("there is no `{unknown}` here; did you mean `{near}`?")
        }
        _ => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    const SAMPLE: &str = include_str!("../config/kepd.toml");
    const LEAST: &str = "[provider]\ndomain = \"hs01.kep.tr\"\nname = \"Örnek KEPHS\"\n";

    #[test]
    fn the_sample_has_every_key_and_the_defaults_of_the_code() {
        let sample = Config::parse(SAMPLE).unwrap();
        let least = Config::parse(LEAST).unwrap();
        assert_eq!(sample, least, "config/kepd.toml must show the defaults");

        let mut full = sample;
        full.provider.service = Some("kep@hs01.kep.tr".parse().unwrap());
        full.provider.relay_host = Some("mx.hs01.kep.tr".into());
        full.autoconfig = Autoconfig::full();
        full.seal = Seal::full();
        full.login.trust = Some("pki/login.pem".into());
        full.persons.trust = Some("pki/persons".into());
        full.imap.contact = Some("mailto:destek@hs01.kep.tr".into());
        let code = toml::Value::try_from(&full).unwrap();
        let mut wanted = BTreeSet::new();
        for (table, keys) in code.as_table().unwrap() {
            wanted.extend(
                keys.as_table()
                    .unwrap()
                    .keys()
                    .map(|key| format!("{table}.{key}")),
            );
        }
        assert_eq!(shown(), wanted);
    }

    /// Keys of the sample, also those that are commented out; each must have a comment above it.
    fn shown() -> BTreeSet<String> {
        let (mut table, mut keys, mut explained) = (String::new(), BTreeSet::new(), false);
        for line in SAMPLE.lines() {
            let key = line.trim_start_matches("#").trim_start_matches(' ');
            let is_key = key
                .split_once(" = ")
                .filter(|(k, _)| !k.is_empty() && k.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'));
            if let Some(name) = line.strip_prefix('[') {
                table = name.trim_end_matches(']').to_owned();
            } else if let Some((key, _)) = is_key {
                assert!(explained, "{table}.{key} has no reason above it");
                keys.insert(format!("{table}.{key}"));
                explained = false;
            } else {
                explained = line.starts_with('#');
            }
        }
        keys
    }

    #[test]
    fn an_unknown_key_gets_the_nearest_right_one() {
        let (place, why) = Config::parse(&format!("{LEAST}[store]\nengin = \"sled\"\n")).unwrap_err();
        assert_eq!(place, ":5");
        assert_eq!(why, "there is no `engin` here; did you mean `engine`?");
        let (_, why) = Config::parse(&format!("{LEAST}[listn]\n")).unwrap_err();
        assert!(why.contains("did you mean `listen`"), "{why}");
        let (_, why) = Config::parse(&format!("{LEAST}[store]\nengine = \"sed\"\n")).unwrap_err();
        assert!(why.contains("did you mean `sled`"), "{why}");
    }

    #[test]
    fn paths_lie_beside_the_file_or_with_the_credentials() {
        let text = format!("{LEAST}[seal]\nkey = \"$CREDENTIALS_DIRECTORY/seal.key\"\n");
        let mut config = Config::parse(&text).unwrap();
        assert!(config.clone().place_paths(Path::new("/etc/kepd"), None).is_err());
        let there = Path::new("/run/credentials/kepd.service");
        config.place_paths(Path::new("/etc/kepd"), Some(there)).unwrap();
        assert_eq!(config.seal.key, there.join("seal.key"));
        assert_eq!(config.tls.key, Path::new("/etc/kepd/pki/tls.key"));
        assert_eq!(config.store.dir, Path::new("/var/lib/kepd"));
    }

    #[test]
    fn senseless_settings_are_refused() {
        let sense = |text: &str| Config::parse(text).unwrap().check_sense();
        assert_eq!(sense(LEAST), Ok(()));
        assert!(sense(&LEAST.replace("kep.tr", "example.org")).is_err());
        assert!(sense(&format!("{LEAST}[timestamp]\nembedded = false\n")).is_err());
        assert!(sense(&format!("{LEAST}[timestamp]\nurls = [\"ftp://x\"]\n")).is_err());
        assert!(sense(&format!("{LEAST}[revocation]\ncache = \"1MiB\"\n")).is_err());
        assert!(sense(&format!("{LEAST}[persons]\npolicies = [\"NES\"]\n")).is_err());
        assert!(sense(&format!("{LEAST}[timers]\nrelay_expiry = \"0s\"\n")).is_err());
        assert!(sense(&format!("{LEAST}[limits]\nimap_connections = 0\n")).is_err());
        let wide = format!("{LEAST}[limits]\ntrusted = [\"192.0.2.7/24\"]\n");
        let (_, why) = Config::parse(&wide).unwrap_err();
        assert!(why.contains("is \"192.0.2.0/24\" meant?"), "{why}");
        assert_eq!(
            Config::parse(LEAST).unwrap().service_address().unwrap().as_str(),
            "kep@hs01.kep.tr"
        );
    }
}
