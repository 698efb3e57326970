//! Who collects revocation values, built from `[revocation]`.

use crate::clock::Clock;
use crate::config::{Revocation, RevocationMode};
use crate::net::fetch::Fetcher;
use crate::seal::revocation::{Collector, Settings, Source};
use crate::seal::tsa::SystemNonces;
use std::sync::Arc;

/// None when revocation is not asked about.
pub fn collector(config: &Revocation, clock: Arc<dyn Clock>) -> Option<Arc<Collector>> {
    use Source::{Crl, Ocsp};
    let order = match config.mode {
        RevocationMode::Off => return None,
        RevocationMode::Ocsp => vec![Ocsp],
        RevocationMode::Crl => vec![Crl],
        RevocationMode::OcspThenCrl | RevocationMode::Both => vec![Ocsp, Crl],
        RevocationMode::CrlThenOcsp => vec![Crl, Ocsp],
    };
    let settings = Settings {
        order,
        all: config.mode == RevocationMode::Both,
        grace: config.grace.0,
        cache_octets: usize::try_from(config.cache.0).unwrap_or(usize::MAX),
    };
    let fetcher = Arc::new(Fetcher::new(config.allow_networks.clone()));
    Some(Arc::new(Collector::new(
        fetcher,
        Arc::new(SystemNonces),
        clock,
        settings,
    )))
}
