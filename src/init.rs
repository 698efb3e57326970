//! `kepd init`: a folder with a complete `kepd.toml` and certificates for development. Never overwrites anything.
//!
//! The configuration is the commented sample with a few values set, so a new folder explains itself.

use crate::address::{Domain, KepAddress};
use crate::clock::UtcTime;
use crate::seal::pki::{DevPki, KeyAlgorithm, Plan};
use anyhow::{Context as _, bail};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::Duration;

const SAMPLE: &str = include_str!("../config/kepd.toml");
/// How long development certificates live: longer than a demo, shorter than one forgets it.
const CERTIFICATE_LIFE: Duration = Duration::from_secs(3 * 365 * 86_400);
/// Clocks of two machines differ; certificates begin that much earlier.
const CLOCK_SKEW: Duration = Duration::from_secs(3600);
/// Settings of the doors that listen on a port.
const DOORS: [&str; 6] = [
    "submission_tls",
    "submission",
    "relay",
    "imap_tls",
    "imap",
    "metrics",
];

/// Which ports the new provider listens on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Ports {
    /// 25, 465, 587, 993, 143: below 1024, so they need a privilege.
    #[default]
    Standard,
    /// Free ports on loopback, written to `ports.json` at each start.
    Free,
}

/// A provider to be.
#[derive(Debug, Clone)]
pub struct NewProvider {
    pub domain: Domain,
    pub name: String,
    pub ports: Ports,
}

/// Makes the folder (mode 700) with `kepd.toml`, `ca.pem` and `pki/`.
pub fn init(data: &Path, new: &NewProvider, now: UtcTime) -> anyhow::Result<()> {
    if data.join("kepd.toml").exists() || data.join("pki").exists() {
        bail!(
            "{} is a provider's folder already; nothing was changed",
            data.display()
        );
    }
    let folder = |path: &Path| {
        let made = std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path);
        made.with_context(|| format!("the folder {} cannot be made", path.display()))
    };
    let pki = DevPki::generate(&Plan {
        domain: new.domain.clone(),
        seal_address: KepAddress::new("kep", &new.domain)?,
        // Mail clients on the same machine know it as localhost, and ask for their settings at names of their own.
        dns_names: vec![
            new.domain.to_string(),
            "localhost".to_owned(),
            format!("autoconfig.{}", new.domain.as_str()),
            format!("autodiscover.{}", new.domain.as_str()),
        ],
        not_before: now.minus(CLOCK_SKEW),
        not_after: now.plus(CERTIFICATE_LIFE),
        seal_key: KeyAlgorithm::P256,
    })?;
    folder(data)?;
    folder(&data.join("pki"))?;
    pki.write(&data.join("pki"))?;
    write_new(&data.join("ca.pem"), pki.ca.certificate_pem.as_bytes())?;
    // Last: a folder with a configuration is complete.
    write_new(&data.join("kepd.toml"), configuration(new)?.as_bytes())
}

/// The sample with this provider's values.
fn configuration(new: &NewProvider) -> anyhow::Result<String> {
    let text = |value: &str| toml::Value::String(value.into()).to_string();
    let realm = new.domain.as_str().split_once('.').map_or("", |(_, realm)| realm);
    let realm: Domain = match realm.contains('.') {
        true => realm.parse()?,
        // A realm of one label would be a whole top-level domain.
        false => new.domain.clone(),
    };
    let mut settings = vec![
        ("provider", "domain", text(new.domain.as_str())),
        ("provider", "name", text(&new.name)),
        ("provider", "realms", format!("[{}]", text(realm.as_str()))),
        ("store", "dir", text(".")),
        ("listen", "control", text("control.sock")),
    ];
    if new.ports == Ports::Free {
        // Peers then reach the relay door by this address.
        settings.push(("provider", "relay_host", text("127.0.0.1")));
        for door in ["http", "https"] {
            settings.push(("autoconfig", door, text("127.0.0.1:0")));
        }
        settings.extend(DOORS.map(|door| ("listen", door, text("127.0.0.1:0"))));
    }
    let mut sample = SAMPLE.to_owned();
    for (table, key, value) in settings {
        sample = with_value(&sample, table, key, &value)
            .with_context(|| format!("the sample configuration has no {table}.{key}"))?;
    }
    Ok(sample)
}

/// The text with another value for a key of a table; `None` when the key is not there, not even commented out.
fn with_value(text: &str, table: &str, key: &str, value: &str) -> Option<String> {
    let (mut here, mut done) = (false, false);
    let mut out = String::with_capacity(text.len() + value.len());
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('[') {
            here = name.trim_end_matches(']') == table;
        }
        let active = line.strip_prefix("# ").unwrap_or(line);
        let is_key = active
            .strip_prefix(key)
            .is_some_and(|rest| rest.starts_with(" = "));
        if here && is_key && !done {
            out.push_str(&format!("{key} = {value}\n"));
            done = true;
        } else {
            out.push_str(line);
            out.push('\n');
        }
    }
    done.then_some(out)
}

/// Writes a file that only its owner may read; it must not be there yet.
pub fn write_private(path: &Path, octets: &[u8]) -> anyhow::Result<()> {
    write_mode(path, octets, 0o600)
}

fn write_new(path: &Path, octets: &[u8]) -> anyhow::Result<()> {
    write_mode(path, octets, 0o644)
}

fn write_mode(path: &Path, octets: &[u8], mode: u32) -> anyhow::Result<()> {
    let write = || {
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(mode).open(path)?;
        file.write_all(octets)?;
        file.sync_all()
    };
    write().with_context(|| format!("{} cannot be written", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::check;
    use crate::config::Config;

    fn provider(ports: Ports) -> NewProvider {
        NewProvider {
            domain: "hs01.kep.test".parse().unwrap(),
            name: "Örnek \"KEP\" A.Ş.".into(),
            ports,
        }
    }

    #[test]
    fn a_new_folder_passes_the_check_and_is_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("hs01");
        let now = UtcTime::from_unix_s(1_795_466_705);
        init(&data, &provider(Ports::Free), now).unwrap();
        let config = Config::load(&data.join("kepd.toml")).unwrap();
        assert_eq!(config.provider.name, "Örnek \"KEP\" A.Ş.");
        assert_eq!(config.listen.imap_tls.port(), 0);
        assert_eq!(config.autoconfig.https.unwrap().port(), 0);
        assert_eq!(config.relay_host(), "127.0.0.1");
        assert_eq!(config.store.dir, data.join("."));
        let report = check(&config, now).unwrap();
        assert!(report.contains("hs01.kep.test"), "{report}");
        assert!(report.contains("# algorithm: SHA-256 until "), "{report}");

        let before = std::fs::read(data.join("pki/seal.key")).unwrap();
        let again = init(&data, &provider(Ports::Free), now).unwrap_err();
        assert!(again.to_string().contains("nothing was changed"), "{again}");
        assert_eq!(std::fs::read(data.join("pki/seal.key")).unwrap(), before);

        // A key of something else is noticed.
        std::fs::copy(data.join("pki/tsa.key"), data.join("pki/seal.key")).unwrap();
        let why = format!("{:#}", check(&config, now).unwrap_err());
        assert!(why.contains("does not belong to the certificate"), "{why}");
        std::fs::remove_file(data.join("pki/seal.key")).unwrap();
        let why = format!("{:#}", check(&config, now).unwrap_err());
        assert!(why.contains("seal.key"), "{why}");
    }

    #[test]
    fn the_check_looks_at_the_next_key_and_at_passwords() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("hs01");
        let now = UtcTime::from_unix_s(1_795_466_705);
        init(&data, &provider(Ports::Free), now).unwrap();
        let path = data.join("kepd.toml");
        let sample = std::fs::read_to_string(&path).unwrap();
        let says = |line: &str| {
            std::fs::write(&path, sample.replace("[seal]\n", &format!("[seal]\n{line}\n"))).unwrap();
            check(&Config::load(&path).unwrap(), now).map_err(|e| format!("{e:#}"))
        };
        let next = |from: &str| {
            format!("next = {{ certificate = \"pki/seal.pem\", key = \"pki/seal.key\", from = \"{from}\" }}")
        };
        assert!(
            says(&next("2027-01-01T00:00:00+03:00"))
                .unwrap()
                .contains("# seal.next: ")
        );
        let why = says(&next("2037-01-01T00:00:00+03:00")).unwrap_err();
        assert!(why.contains("is not valid at 2036-12-31T21:00:00Z"), "{why}");
        let other = "dispatch = { certificate = \"pki/seal.pem\", key = \"pki/tls.key\" }";
        assert!(says(other).unwrap_err().contains("do not match"));
        // The key is P-256: its digest may be said, and no other one.
        let signing = |digest: &str| {
            says(&format!(
                "signing = {{ digest = \"{digest}\", rsa_padding = \"pss\" }}"
            ))
        };
        assert!(signing("SHA-256").is_ok());
        let why = signing("SHA-512").unwrap_err();
        assert!(why.contains("signs with SHA-256, not with SHA-512"), "{why}");
        let authority =
            "authority = [{ url = \"http://a.test/\", kind = \"basic\", user = \"a\", password = \"p\" }]";
        std::fs::write(
            &path,
            sample.replace("[timestamp]\n", &format!("[timestamp]\n{authority}\n")),
        )
        .unwrap();
        let why = format!("{:#}", check(&Config::load(&path).unwrap(), now).unwrap_err());
        assert!(why.contains("the password for http://a.test/"), "{why}");
    }

    /// What the check says on a day of a provider that was made the same day.
    fn checked_on(day: &str) -> Result<String, String> {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("hs01");
        let now = UtcTime::parse_rfc3339(day).unwrap();
        init(&data, &provider(Ports::Free), now).unwrap();
        let config = Config::load(&data.join("kepd.toml")).unwrap();
        check(&config, now).map_err(|e| format!("{e:#}"))
    }

    #[test]
    fn the_check_says_when_the_algorithms_of_its_keys_end() {
        let far = checked_on("2034-06-01T10:00:00Z").unwrap();
        assert!(!far.contains("take another key"), "{far}");
        let soon = checked_on("2035-06-01T10:00:00Z").unwrap();
        for what in ["seal", "timestamp"] {
            let warning = format!(
                "# warning: the {what} key: ECDSA with 256 bits and SHA-256 is fit until 2035-12-31T23:59:59Z only"
            );
            assert!(soon.contains(&warning), "{soon}");
        }
        assert!(!soon.contains("the tls key"), "it proves nothing later");
        let over = checked_on("2036-01-01T10:00:00Z").unwrap_err();
        assert!(
            over.starts_with("the seal key (")
                && over.contains("must not sign: ECDSA with 256 bits is fit until"),
            "{over}"
        );
    }

    #[test]
    fn the_check_says_when_the_known_holidays_end() {
        assert!(!checked_on("2026-11-23T10:00:00Z").unwrap().contains("holidays"));
        let soon = checked_on("2028-03-01T10:00:00Z").unwrap();
        assert!(
            soon.contains("# warning: religious holidays are known to the end of 2028 only"),
            "{soon}"
        );
        let over = checked_on("2029-01-01T10:00:00Z").unwrap();
        assert!(
            over.contains("# warning: religious holidays are known for 2025 to 2028, and not for today"),
            "{over}"
        );
    }

    #[test]
    fn standard_ports_are_those_of_the_sample() {
        let text = configuration(&provider(Ports::Standard)).unwrap();
        assert!(text.contains("submission_tls = \"[::]:465\""));
        assert!(text.contains("realms = [\"kep.test\"]"));
        assert!(text.contains("\n# http = "));
        assert!(with_value("[a]\nb = 1\n", "a", "c", "2").is_none());
    }
}
