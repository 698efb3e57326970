//! The station that makes documents last: built, its loop, and its figures.
//!
//! Its loop stands apart from those of the other stations, for when it has something to do next depends on a setting.

use super::Surroundings;
use super::parts::Parts;
use crate::clock::Clock;
use crate::config::Config;
use crate::net::listener::closed;
use crate::seal::revocation::Collector;
use crate::service::bell::Bell;
use crate::service::gauges::{Gauge, GaugeKind, Reading};
use crate::service::identity::Published;
use crate::service::lasting::Lasting;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// The longest it sleeps: a bell that was lost costs no more than this.
const LOOK_AT_LEAST_EVERY: Duration = Duration::from_secs(30);
/// The pause after a failure, and the least between two looks.
const PAUSE: Duration = Duration::from_secs(1);

pub(super) fn station(
    config: &Config,
    around: &Surroundings,
    parts: &Parts,
    published: &Arc<Published>,
    collector: Option<Arc<Collector>>,
) -> Arc<Lasting> {
    Arc::new(Lasting {
        db: parts.db.clone(),
        spool: parts.spool.clone(),
        clock: around.clock.clone(),
        identity: parts.identity.clone(),
        published: published.clone(),
        collector,
        delay: config.evidence.lasting_delay.0,
        counts: Default::default(),
    })
}

/// Works while there is work, then waits for the bell, for the next due moment, or for the end.
pub(super) async fn run(
    lasting: Arc<Lasting>,
    bell: Bell,
    clock: Arc<dyn Clock>,
    mut closing: watch::Receiver<bool>,
) {
    while !*closing.borrow() {
        let now = clock.now();
        let wait = match lasting.run_due().await {
            Ok(done) if done > 0 => continue,
            Ok(_) => match lasting.next_due() {
                Ok(Some(due)) => now.until(due).clamp(PAUSE, LOOK_AT_LEAST_EVERY),
                _ => LOOK_AT_LEAST_EVERY,
            },
            Err(failure) => {
                tracing::error!(station = "lasting", %failure, "a look failed");
                LOOK_AT_LEAST_EVERY
            }
        };
        tokio::select! {
            () = bell.rung() => {}
            () = clock.wait_until(now.plus(wait)) => {}
            () = closed(&mut closing) => {}
        }
    }
}

/// What the gauges ask about it.
pub(super) fn figures(lasting: &Arc<Lasting>) -> Reading {
    let lasting = lasting.clone();
    Arc::new(move || {
        let figures = lasting.figures()?;
        let gauge = |kind, name, help, value| Gauge {
            kind,
            name,
            help,
            value,
        };
        Ok(vec![
            gauge(
                GaugeKind::Gauge,
                "kepd_lasting_owed",
                "Sealed documents for whose certificates there is no last word yet; counting ends at 100,000.",
                figures.owed,
            ),
            gauge(
                GaugeKind::Gauge,
                "kepd_lasting_oldest_seconds",
                "Age of the oldest of them.",
                figures.oldest_s,
            ),
            gauge(
                GaugeKind::Gauge,
                "kepd_lasting_late",
                "Those of them that wait a week beyond their delay: somebody must look.",
                figures.late,
            ),
            gauge(
                GaugeKind::Counter,
                "kepd_lasting_made_total",
                "Documents that were made lasting, since the start.",
                figures.made,
            ),
            gauge(
                GaugeKind::Counter,
                "kepd_lasting_revoked_total",
                "Documents whose certificates were revoked before their time-stamp, since the start: somebody must look.",
                figures.revoked,
            ),
            gauge(
                GaugeKind::Counter,
                "kepd_lasting_given_up_total",
                "Documents that nobody can judge any more, since the start: somebody must look.",
                figures.given_up,
            ),
        ])
    })
}
