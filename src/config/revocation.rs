//! `[revocation]`: where it is asked whether a certificate was revoked, and how long its last word takes.

use super::value::{Period, Size};
use crate::domain::network::Network;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The wait of the Turkish signature profiles with lists, P2 and P3 (decision 2012/DK-15/299): up to 24 hours.
const GRACE_DEFAULT: Duration = Duration::from_secs(24 * 3600);
const CACHE_DEFAULT: u64 = 64 << 20;
/// Below it the largest list that is read has no room in the cache.
const CACHE_MIN: u64 = 16 << 20;

/// In which order, and whether at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    Off,
    Ocsp,
    Crl,
    #[default]
    OcspThenCrl,
    CrlThenOcsp,
    Both,
}

/// What a dispatch or an evidence is worth whose revocation nobody tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unknown {
    #[default]
    Accept,
    Later,
}

/// What a certificate opens whose revocation nobody tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LoginUnknown {
    #[default]
    Refuse,
    Accept,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Revocation {
    pub mode: Mode,
    pub unknown: Unknown,
    pub login_unknown: LoginUnknown,
    pub grace: Period,
    pub cache: Size,
    pub allow_networks: Vec<Network>,
}

impl Default for Revocation {
    fn default() -> Self {
        Self {
            mode: Mode::default(),
            unknown: Unknown::default(),
            login_unknown: LoginUnknown::default(),
            grace: Period(GRACE_DEFAULT),
            cache: Size(CACHE_DEFAULT),
            allow_networks: Vec::new(),
        }
    }
}

impl Revocation {
    pub(super) fn check_sense(&self) -> Result<(), String> {
        if self.cache.0 < CACHE_MIN {
            return Err(format!(
                "revocation.cache is {}; one list may have {}",
                self.cache,
                Size(CACHE_MIN)
            ));
        }
        Ok(())
    }
}
