//! Figures of what waits, for whoever watches the provider.

use crate::domain::job::JobState;
use crate::seal::Authorities;
use crate::service::account::Accounts;
use crate::service::failure::Failure;
use crate::store::db::Db;
use crate::store::tables::work::{
    self, AwaitedReading, DeliveryWork, OwedEvidence, OwedReceipt, OwedStatus, QueueEntry, SealWork, Work,
};
use crate::store::tables::{jobs, tenants};
use std::sync::Arc;

pub struct Gauges {
    pub db: Arc<dyn Db>,
    pub accounts: Arc<Accounts>,
    /// Items that are not in the full-text index; `None`: there is none.
    pub unindexed: Option<Counting>,
    /// Who gives time-stamps.
    pub stamps: Option<Arc<Authorities>>,
    /// Figures that stations know.
    pub readings: Vec<Reading>,
}

/// Counts something that a station knows.
pub type Counting = Arc<dyn Fn() -> Result<u64, Failure> + Send + Sync>;

/// Reads the figures of a station.
pub type Reading = Arc<dyn Fn() -> Result<Vec<Gauge>, Failure> + Send + Sync>;

/// What kind of figure it is (Prometheus' words).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GaugeKind {
    /// As it is now.
    Gauge,
    /// All since the start.
    Counter,
}

/// One figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gauge {
    pub kind: GaugeKind,
    pub name: &'static str,
    pub help: &'static str,
    pub value: u64,
}

impl Gauges {
    pub fn read(&self) -> Result<Vec<Gauge>, Failure> {
        let (waiting, late) = self.jobs()?;
        let unindexed = self.unindexed.as_ref().map_or(Ok(0), |count| count())?;
        let gauge = |name, help, value| Gauge {
            kind: GaugeKind::Gauge,
            name,
            help,
            value,
        };
        let mut all = self.stamp_gauges();
        all.extend([
            gauge(
                "kepd_jobs_waiting",
                "Approvals whose current step waits for a decision.",
                waiting,
            ),
            gauge("kepd_jobs_late", "Approvals that are late.", late),
            gauge(
                "kepd_index_lag_items",
                "Items that are not in the full-text index yet; searches read them.",
                unindexed,
            ),
            self.waiting::<OwedEvidence>("kepd_evidence_owed", "Evidence that is owed and not sealed yet.")?,
            self.waiting::<OwedReceipt>(
                "kepd_receipts_owed",
                "Evidence of deliveries that is there and not before its sender yet.",
            )?,
            self.waiting::<SealWork>("kepd_copies_to_seal", "Copies of mails that wait for their seal.")?,
            self.waiting::<QueueEntry>("kepd_queue_entries", "Messages on their way to other providers.")?,
            self.waiting::<DeliveryWork>("kepd_deliveries", "Dispatches that wait to be consigned.")?,
            self.waiting::<OwedStatus>(
                "kepd_status_owed",
                "Stages of jobs that those concerned were not told of yet.",
            )?,
            self.waiting::<AwaitedReading>(
                "kepd_unread_consignments",
                "Consignments whose reading is awaited.",
            )?,
            Gauge {
                kind: GaugeKind::Counter,
                name: "kepd_logins_failed_total",
                help: "Logins that failed at the IMAP and submission doors since the start.",
                value: self.accounts.pace.failures(),
            },
        ]);
        for reading in &self.readings {
            all.extend(reading()?);
        }
        Ok(all)
    }

    fn stamp_gauges(&self) -> Vec<Gauge> {
        let Some(figures) = self.stamps.as_ref().map(|s| s.figures()) else {
            return Vec::new();
        };
        let all = [
            (
                GaugeKind::Counter,
                "kepd_timestamps_total",
                "Time-stamps that were sound, since the start.",
                figures.stamps,
            ),
            (
                GaugeKind::Counter,
                "kepd_timestamp_failures_total",
                "Requests that a time-stamp authority did not answer or refused, since the start.",
                figures.failures,
            ),
            (
                GaugeKind::Counter,
                "kepd_timestamps_wrong_total",
                "Answers of time-stamp authorities that were wrong, since the start: somebody must look.",
                figures.wrong,
            ),
            (
                GaugeKind::Gauge,
                "kepd_timestamp_authorities_aside",
                "Time-stamp authorities that are not asked now because they failed.",
                figures.aside,
            ),
            (
                GaugeKind::Gauge,
                "kepd_clock_drift_ms",
                "How far this host's clock and the time-stamp authorities differ, in either direction.",
                figures.drift_ms.unsigned_abs(),
            ),
            (
                GaugeKind::Gauge,
                "kepd_sealing_stopped",
                "1 when nothing is sealed because this host's clock is wrong.",
                u64::from(figures.stopped),
            ),
        ];
        let gauge = |(kind, name, help, value)| Gauge {
            kind,
            name,
            help,
            value,
        };
        all.map(gauge).into()
    }

    /// Jobs that wait, and those of them that are late: of the open ones only, so the years before cost nothing.
    fn jobs(&self) -> Result<(u64, u64), Failure> {
        let (mut waiting, mut late) = (0, 0);
        for tenant in tenants::all(&*self.db)? {
            for job in jobs::open(&*self.db, tenant.row.id)? {
                let Some(job) = jobs::job(&*self.db, tenant.row.id, job)? else {
                    continue;
                };
                let standing = job.row.standing;
                waiting += u64::from(matches!(standing.state, JobState::Waiting(_)));
                late += u64::from(standing.late);
            }
        }
        Ok((waiting, late))
    }

    fn waiting<W: Work>(&self, name: &'static str, help: &'static str) -> Result<Gauge, Failure> {
        let value = work::count::<W>(&*self.db)?;
        Ok(Gauge {
            kind: GaugeKind::Gauge,
            name,
            help,
            value,
        })
    }
}
