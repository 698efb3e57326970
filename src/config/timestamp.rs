//! Time-stamp authorities: who they are, how we tell them who asks, and what their clocks decide.

use super::Period;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// The host's clock may be that wrong, unless set otherwise: evidence tells moments to the second.
const DRIFT_MAX_DEFAULT: Duration = Duration::from_secs(5);
/// Below, the round trip alone would stop sealing; above, a stamp is not taken for a fresh one anyway.
const DRIFT_MAX: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(300);
/// Stamps are spaced by milliseconds.
const PER_SECOND_MAX: u32 = 1000;
/// For longer nobody should wait for others: a sender waits for his evidence.
const BATCH_MAX: Duration = Duration::from_secs(10);
/// Authorities that are asked in turn; a stamp's tries end after half a minute anyway.
const AUTHORITIES_MAX: usize = 16;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Timestamp {
    /// Plain authorities, asked in order after those of `authority`.
    pub urls: Vec<String>,
    pub authority: Vec<TimestampAuthority>,
    pub trust: PathBuf,
    pub policies: Vec<String>,
    pub drift_max: Period,
    /// Zero: as many as are asked for.
    pub per_second: u32,
    /// How long evidence waits for other evidence to share a stamp with. Zero: each has its own.
    pub batch: Period,
    pub embedded: bool,
    pub embedded_certificate: PathBuf,
    pub embedded_key: PathBuf,
}

impl Default for Timestamp {
    fn default() -> Self {
        Self {
            urls: Vec::new(),
            authority: Vec::new(),
            trust: "pki/ca.pem".into(),
            policies: Vec::new(),
            drift_max: Period(DRIFT_MAX_DEFAULT),
            per_second: 0,
            batch: Period(Duration::ZERO),
            embedded: true,
            embedded_certificate: "pki/tsa.pem".into(),
            embedded_key: "pki/tsa.key".into(),
        }
    }
}

/// One authority.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimestampAuthority {
    pub url: String,
    #[serde(default)]
    pub kind: AuthorityKind,
    pub user: Option<String>,
    /// The file of the password.
    pub password: Option<PathBuf>,
    /// None: those of `timestamp.policies`.
    pub policies: Option<Vec<String>>,
    /// None: `timestamp.trust`.
    pub trust: Option<PathBuf>,
}

/// How an authority is told who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuthorityKind {
    #[default]
    Plain,
    /// HTTP Basic (RFC 7617).
    Basic,
    /// The header `identity` of the state's authority.
    Kamusm,
}

impl Timestamp {
    /// All of them in the order in which they are asked.
    pub fn authorities(&self) -> Vec<TimestampAuthority> {
        let plain = self.urls.iter().map(|url| TimestampAuthority {
            url: url.clone(),
            kind: AuthorityKind::Plain,
            user: None,
            password: None,
            policies: None,
            trust: None,
        });
        self.authority.iter().cloned().chain(plain).collect()
    }

    /// The files of anchors, each once.
    pub fn trust_files(&self) -> Vec<&PathBuf> {
        let mut files = vec![&self.trust];
        for file in self.authority.iter().filter_map(|a| a.trust.as_ref()) {
            if !files.contains(&file) {
                files.push(file);
            }
        }
        files
    }

    pub(super) fn paths(&mut self) -> Vec<&mut PathBuf> {
        let mut paths = vec![
            &mut self.trust,
            &mut self.embedded_certificate,
            &mut self.embedded_key,
        ];
        for authority in &mut self.authority {
            paths.extend(authority.password.iter_mut().chain(&mut authority.trust));
        }
        paths
    }

    pub(super) fn check_sense(&self) -> Result<(), String> {
        let all = self.authorities();
        if all.is_empty() && !self.embedded {
            return Err(
                "timestamp names no authority and timestamp.embedded is false; evidence needs one".into(),
            );
        }
        if all.len() > AUTHORITIES_MAX {
            return Err(format!("timestamp names more than {AUTHORITIES_MAX} authorities"));
        }
        for authority in &all {
            authority.check_sense()?;
        }
        if !DRIFT_MAX.contains(&self.drift_max.0) {
            return Err(format!(
                "timestamp.drift_max {} is not between 1s and 5min",
                self.drift_max
            ));
        }
        if self.batch.0 > BATCH_MAX {
            return Err(format!(
                "timestamp.batch is {}; at most 10s, for senders wait for their evidence. 0ms: each document has its own stamp",
                self.batch
            ));
        }
        if self.per_second > PER_SECOND_MAX {
            return Err(format!(
                "timestamp.per_second is at most {PER_SECOND_MAX}; 0 is no limit"
            ));
        }
        Ok(())
    }
}

impl TimestampAuthority {
    fn check_sense(&self) -> Result<(), String> {
        let url = &self.url;
        if !url.starts_with("http://") {
            return Err(format!(
                "timestamp: {url:?} is not an http:// URL; https is not built yet"
            ));
        }
        let has_both = self.user.is_some() && self.password.is_some();
        let is_number = self.user.as_ref().is_some_and(|u| u.parse::<u64>().is_ok());
        match self.kind {
            AuthorityKind::Plain if self.user.is_some() || self.password.is_some() => Err(format!(
                "timestamp: {url} has a user or a password, and kind = \"plain\" uses none"
            )),
            AuthorityKind::Basic if !has_both => Err(format!(
                "timestamp: {url} has kind = \"basic\"; it needs user, and password with the path of a file"
            )),
            AuthorityKind::Kamusm if !has_both || !is_number => Err(format!(
                "timestamp: {url} has kind = \"kamusm\"; it needs user, a number, and password with the path of a file"
            )),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sense(text: &str) -> Result<(), String> {
        toml::from_str::<Timestamp>(text).unwrap().check_sense()
    }

    #[test]
    fn authorities_are_asked_in_order_and_say_how_they_are_told_who_asks() {
        let text = r#"
            urls = ["http://c.test/", "http://d.test/"]
            trust = "t.pem"
            [[authority]]
            url = "http://a.test/"
            kind = "kamusm"
            user = "12"
            password = "p"
            trust = "a.pem"
            [[authority]]
            url = "http://b.test/"
            kind = "basic"
            user = "kep"
            password = "q"
        "#;
        let settings: Timestamp = toml::from_str(text).unwrap();
        let order: Vec<String> = settings.authorities().into_iter().map(|a| a.url).collect();
        assert_eq!(
            order,
            [
                "http://a.test/",
                "http://b.test/",
                "http://c.test/",
                "http://d.test/"
            ]
        );
        assert_eq!(
            settings.trust_files(),
            [&PathBuf::from("t.pem"), &PathBuf::from("a.pem")]
        );
        assert_eq!(settings.check_sense(), Ok(()));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let one = |rest: &str| format!("[[authority]]\nurl = \"http://a.test/\"\n{rest}");
        for text in [
            "embedded = false".to_owned(),
            "drift_max = \"500ms\"".to_owned(),
            "drift_max = \"6min\"".to_owned(),
            "per_second = 1001".to_owned(),
            "batch = \"11s\"".to_owned(),
            "urls = [\"https://a.test/\"]".to_owned(),
            one("user = \"a\""),
            one("kind = \"basic\"\nuser = \"a\""),
            one("kind = \"kamusm\"\nuser = \"a\"\npassword = \"p\""),
        ] {
            assert!(sense(&text).is_err(), "{text}");
        }
        assert_eq!(
            sense(&one("kind = \"kamusm\"\nuser = \"7\"\npassword = \"p\"")),
            Ok(())
        );
        assert!(toml::from_str::<Timestamp>(&one("kind = \"sneaky\"")).is_err());
    }
}
