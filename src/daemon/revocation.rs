//! Who collects revocation values and who asks by them, built from `[revocation]`.

use crate::clock::Clock;
use crate::config::{Revocation, RevocationMode, RevocationUnknown};
use crate::net::fetch::Fetcher;
use crate::seal::Asker;
use crate::seal::revocation::{Collector, Settings, Source};
use crate::seal::tsa::SystemNonces;
use crate::service::gauges::{Gauge, GaugeKind, Reading};
use crate::service::intake::{Scrutiny, WhenUnknown};
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

/// Who asks what becomes of peers' messages.
pub fn scrutiny(config: &Revocation, asker: &Arc<Asker>, clock: Arc<dyn Clock>) -> Arc<Scrutiny> {
    let when_unknown = match config.unknown {
        RevocationUnknown::Accept => WhenUnknown::Accept,
        RevocationUnknown::Later => WhenUnknown::Later,
    };
    Arc::new(Scrutiny::new(asker.clone(), clock, when_unknown))
}

/// What the gauges ask about it.
pub fn figures(scrutiny: &Arc<Scrutiny>) -> Reading {
    let scrutiny = scrutiny.clone();
    Arc::new(move || {
        let counter = |name, help, value| Gauge {
            kind: GaugeKind::Counter,
            name,
            help,
            value,
        };
        Ok(vec![
            counter(
                "kepd_revocation_unknown_total",
                "Messages of peers since the start of whose revocation nobody told in time.",
                scrutiny.unknown(),
            ),
            counter(
                "kepd_revocation_refused_total",
                "Messages of peers since the start that were refused because a certificate was revoked.",
                scrutiny.revoked(),
            ),
        ])
    })
}
