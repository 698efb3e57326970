//! What mail clients are told of this provider, from its configuration and the ports that are open; and the doors at
//! which they ask, if they are to be open.

use crate::autoconfig::Settings;
use crate::config::Config;
use crate::control::Ports;
use crate::net::autoconfig::CONNECTIONS_MAX;
use crate::net::listener::{Limits, Listener};
use anyhow::Context as _;
use std::net::SocketAddr;
use std::num::NonZeroU16;

pub(super) fn settings(config: &Config, open: &Ports) -> Settings {
    let public = config.autoconfig.ports.unwrap_or_default();
    let told = |public: Option<NonZeroU16>, open: u16| public.map_or(open, NonZeroU16::get);
    let domain = &config.provider.domain;
    Settings {
        domain: domain.clone(),
        name: config.provider.name.clone(),
        host: config.autoconfig.host.clone().unwrap_or_else(|| domain.clone()),
        imap_tls: told(public.imap_tls, open.imap_tls),
        imap: told(public.imap, open.imap),
        submission_tls: told(public.submission_tls, open.submission_tls),
        submission: told(public.submission, open.submission),
        over_http: open.autoconfig.is_some(),
        https: open.autoconfig_tls.map(|port| told(public.https, port)),
    }
}

/// A door that is open only where the configuration says so.
pub(super) async fn bind(name: &'static str, at: Option<SocketAddr>) -> anyhow::Result<Option<Listener>> {
    let Some(at) = at else { return Ok(None) };
    let limits = Limits {
        connections_max: CONNECTIONS_MAX,
        ..Limits::default()
    };
    let bound = Listener::bind(name, at, limits).await;
    let bound = bound.with_context(|| format!("autoconfig.{name}: the address {at} cannot be used"))?;
    Ok(Some(bound))
}
