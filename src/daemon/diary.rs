//! What the daemon itself goes through, on the provider's audit record: starts, ends, keys that were read again. A start
//! without an end before it was a crash.

use super::Services;
use crate::cms::algorithm::sha256;
use crate::config::Config;
use crate::domain::audit::{AuditRecord, Author, PROVIDER};
use crate::domain::audit_chain::hex;
use crate::service::auditing::AuditBook;
use crate::service::gauges::{Gauge, GaugeKind, Reading};
use anyhow::Context as _;
use serde_json::{Value, json};
use std::sync::Arc;

/// Before a door opens: what runs here is on record before anybody comes in.
pub(super) async fn started(services: &Services, config: &Config) -> anyhow::Result<()> {
    let what = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "settings_sha256": settings_digest(config)?,
        "seals": services.seals.fingerprints(),
    });
    let written = services
        .book
        .note(PROVIDER, &record(services, "daemon start", &what))
        .await;
    written.context("the start cannot be written on the audit record")
}

/// Keys and certificates were read again; what seals now, and what will.
pub(super) async fn read_again(services: &Services, config: &Config) {
    let what = json!({
        "settings_sha256": settings_digest(config).unwrap_or_default(),
        "seals": services.seals.fingerprints(),
    });
    write(services, "daemon reload", &what).await;
}

/// Nobody comes in any more: who came, and then the end.
pub(super) async fn stopped(services: &Services) {
    let now = services.clock.now();
    if let Err(failure) = services.accounts.tell_visits(now, true).await {
        tracing::error!(%failure, "the last logins are not on the audit record");
    }
    write(services, "daemon stop", &json!({})).await;
}

async fn write(services: &Services, deed: &str, what: &Value) {
    if let Err(failure) = services.book.note(PROVIDER, &record(services, deed, what)).await {
        tracing::error!(%failure, deed, "not on the audit record");
    }
}

fn record(services: &Services, deed: &str, what: &Value) -> AuditRecord {
    AuditRecord::of_deed(services.clock.now(), Author::clock(), deed, Vec::new(), what)
}

/// What the gauges ask about the audit record.
pub(super) fn figures(book: &Arc<AuditBook>) -> Reading {
    let book = book.clone();
    Arc::new(move || {
        let figures = book.figures()?;
        let gauge = |name, help, value| Gauge {
            kind: GaugeKind::Gauge,
            name,
            help,
            value,
        };
        Ok(vec![
            gauge(
                "kepd_audit_sealed_timestamp_seconds",
                "When the last segment of the audit record was sealed, in seconds since 1970; 0 when none is known to be.",
                figures.sealed_at.map_or(0, |at| at.unix_s().unsigned_abs()),
            ),
            gauge(
                "kepd_audit_open_records",
                "Audit records that no segment holds yet; counting ends at 100,000.",
                figures.open_records,
            ),
        ])
    })
}

/// Of the settings as they were understood, defaults included; `kepd check` prints the same text.
fn settings_digest(config: &Config) -> anyhow::Result<String> {
    let settings = toml::to_string(config).context("the settings cannot be written down")?;
    Ok(hex(&sha256(settings.as_bytes())))
}
