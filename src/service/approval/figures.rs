//! Figures of a tenant's jobs over a period, read in steps so that others are served in between.

use super::Approval;
use crate::clock::UtcTime;
use crate::domain::job::figures::Figures;
use crate::id::TenantId;
use crate::service::failure::Failure;
use crate::store::tables::jobs;

/// Jobs that are read with their histories before others get a turn: a few milliseconds.
const STEP_JOBS: usize = 64;

impl Approval {
    /// Figures of the jobs that started since a moment, or of all.
    pub async fn figures(&self, tenant: TenantId, since: Option<UtcTime>) -> Result<Figures, Failure> {
        let now = self.clock.now();
        let mut figures = Figures::default();
        let mut after = None;
        loop {
            let step = jobs::step(&*self.db, tenant, after, STEP_JOBS)?;
            for job in &step {
                if since.is_none_or(|since| job.started_at >= since) {
                    figures.count(job, &jobs::history(&*self.db, tenant, job.id)?, now);
                }
            }
            match step.last() {
                Some(last) => after = Some(last.id),
                None => return Ok(figures),
            }
            tokio::task::yield_now().await;
        }
    }
}
