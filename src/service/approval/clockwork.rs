//! What nobody decides: alarms of jobs that have come due, and jobs whose organisation has changed.

use super::{Approval, by_clock};
use crate::clock::UtcTime;
use crate::domain::job::Moved;
use crate::domain::org::Organisation;
use crate::id::{JobId, TenantId};
use crate::service::failure::Failure;
use crate::service::putting_off::{AFTER_FAILURE, put_off};
use crate::store::db::{Batch, CommitError};
use crate::store::tables::work::{self, JobAlarm, OwedReview};
use crate::store::tables::{Stored, items, jobs};

/// Alarms, and changed organisations, looked at in one go.
const AT_ONCE: usize = 64;
/// How often one job is reviewed against others who move it.
const REVIEW_ATTEMPTS: usize = 8;

impl Approval {
    /// Lets the clock act on the jobs it has something to do at, and looks through the jobs of changed organisations.
    /// Gives how much there was.
    pub async fn run_due(&self) -> Result<usize, Failure> {
        let now = self.clock.now();
        let alarms = work::due::<JobAlarm>(&*self.db, now, AT_ONCE)?;
        for alarm in &alarms {
            if let Err(failure) = self.ring(alarm).await {
                tracing::error!(job = %alarm.row.job, %failure, "job alarm");
                put_off(&*self.db, alarm, now.plus(AFTER_FAILURE)).await?;
            }
        }
        let reviews = work::due::<OwedReview>(&*self.db, now, AT_ONCE)?;
        for owed in &reviews {
            if let Err(failure) = self.review(owed).await {
                tracing::error!(tenant = %owed.row.tenant, %failure, "review of open jobs");
                put_off(&*self.db, owed, now.plus(AFTER_FAILURE)).await?;
            }
        }
        Ok(alarms.len() + reviews.len())
    }

    async fn ring(&self, alarm: &Stored<JobAlarm>) -> Result<(), Failure> {
        let tenant = alarm.row.tenant;
        let organisation = self.organisations.of(tenant)?;
        let now = self.clock.now();
        let mut batch = Batch::new();
        alarm.remove(&mut batch);
        if let Some(stored) = jobs::job(&*self.db, tenant, alarm.row.job)? {
            match stored.row.ring(&organisation, &self.terms, now) {
                Some(moved) => {
                    drop(self.settle(&mut batch, &organisation, &stored, moved, &by_clock(now))?)
                }
                // An alarm of a step that was decided; the next one has its own.
                None => self.set_alarm(&mut batch, &stored.row)?,
            }
        }
        match self.db.commit(batch).await {
            // Somebody decided meanwhile: the alarm is still there, and the next look finds the job as it is then.
            Ok(_) | Err(CommitError::Conflict { .. }) => {
                self.ring_bells(tenant);
                Ok(())
            }
            Err(other) => Err(other.into()),
        }
    }

    /// Looks through the open jobs of a tenant, one commit for each that differs.
    async fn review(&self, owed: &Stored<OwedReview>) -> Result<(), Failure> {
        let tenant = owed.row.tenant;
        let jobs = jobs::open(&*self.db, tenant)?;
        for job in &jobs {
            self.review_job(tenant, *job).await?;
        }
        // A change that came while we looked has left a row of its own time.
        let mut batch = Batch::new();
        owed.remove(&mut batch);
        match self.db.commit(batch).await {
            Ok(_) | Err(CommitError::Conflict { .. }) => {}
            Err(other) => return Err(other.into()),
        }
        // Deputies' times and rights may have changed what everybody sees.
        self.ring_bells(tenant);
        Ok(())
    }

    async fn review_job(&self, tenant: TenantId, id: JobId) -> Result<(), Failure> {
        for _ in 0..REVIEW_ATTEMPTS {
            let organisation = self.organisations.of(tenant)?;
            let Some(stored) = jobs::job(&*self.db, tenant, id)? else {
                return Ok(());
            };
            let now = self.clock.now();
            let Some(batch) = self.reviewed(&organisation, &stored, now)? else {
                return Ok(());
            };
            match self.db.commit(batch).await {
                Ok(_) => return Ok(()),
                Err(CommitError::Conflict { .. }) => continue,
                Err(other) => return Err(other.into()),
            }
        }
        Err(Failure::Unavailable("too many move this job at once".into()))
    }

    /// What is to be written of a job whose organisation has changed; `None`: nothing differs.
    fn reviewed(
        &self,
        organisation: &Organisation,
        stored: &Stored<crate::domain::job::Job>,
        now: UtcTime,
    ) -> Result<Option<Batch>, Failure> {
        let job = &stored.row;
        let moved = job.review(organisation, now);
        let item = items::item(&*self.db, job.tenant, job.item)?;
        let facet = job.facet(organisation);
        let differs = item.is_some_and(|item| item.row.job.as_deref() != Some(&facet));
        let moved = match moved {
            Some(moved) => moved,
            None if differs => Moved {
                job: job.clone(),
                entries: Vec::new(),
            },
            None => return Ok(None),
        };
        let mut batch = Batch::new();
        self.settle(&mut batch, organisation, stored, moved, &by_clock(now))?;
        Ok(Some(batch))
    }
}
