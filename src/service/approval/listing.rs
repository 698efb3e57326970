//! Jobs as they are looked at: one, many, and what happened to one.

use super::{Approval, live_user};
use crate::domain::job::{Entry, Job, JobState};
use crate::domain::org::{Organisation, Permission, User};
use crate::domain::selector::Viewer;
use crate::id::{JobId, TenantId};
use crate::service::account::Principal;
use crate::service::failure::{Failure, Kind};
use crate::store::tables::{Stored, items, jobs};

/// The jobs of a tenant by where they wait, seen by one user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobList {
    Pending,
    Elsewhere,
    Ready,
    Done,
    Late,
    All,
}

impl Approval {
    pub(super) fn visible_job(
        &self,
        organisation: &Organisation,
        user: &User,
        job: JobId,
    ) -> Result<Stored<Job>, Failure> {
        let none = || Failure::refused(Kind::NotFound, format!("there is no job {job} that you can see"));
        let tenant = organisation.tenant.id;
        let stored = jobs::job(&*self.db, tenant, job)?.ok_or_else(none)?;
        let item = items::item(&*self.db, tenant, stored.row.item)?.ok_or_else(none)?;
        let seen = Viewer::new(organisation, user, self.clock.now()).sees(&item.row, None)
            || organisation.may(user, Permission::Jobs);
        if seen { Ok(stored) } else { Err(none()) }
    }

    /// A job as a user sees it.
    pub fn show(&self, by: &Principal, job: JobId) -> Result<Job, Failure> {
        let organisation = self.organisations.of(by.tenant)?;
        let user = live_user(&organisation, by)?;
        Ok(self.visible_job(&organisation, user, job)?.row)
    }

    /// What happened to a job, in order.
    pub fn history(&self, job: &Job) -> Result<Vec<Entry>, Failure> {
        Ok(jobs::history(&*self.db, job.tenant, job.id)?)
    }

    /// A job as the administrator sees it.
    pub fn show_any(&self, job: JobId) -> Result<Job, Failure> {
        let none = || Failure::refused(Kind::NotFound, format!("there is no job {job}"));
        let tenant = jobs::tenant_of(&*self.db, job)?.ok_or_else(none)?;
        Ok(jobs::job(&*self.db, tenant, job)?.ok_or_else(none)?.row)
    }

    /// Jobs of a tenant, as a user sees them, or all of them for the administrator.
    pub fn list(&self, tenant: TenantId, user: Option<&User>, which: JobList) -> Result<Vec<Job>, Failure> {
        let organisation = self.organisations.of(tenant)?;
        let viewer = user.map(|u| Viewer::new(&organisation, u, self.clock.now()));
        let mut list = Vec::new();
        for job in jobs::all(&*self.db, tenant)? {
            let job = job.row;
            let Some(item) = items::item(&*self.db, tenant, job.item)? else {
                continue;
            };
            if viewer.as_ref().is_some_and(|v| !v.sees(&item.row, None)) {
                continue;
            }
            let mine = viewer.as_ref().is_some_and(|v| v.may_decide(&item.row));
            let waiting = matches!(job.standing.state, JobState::Waiting(_));
            let wanted = match which {
                JobList::Pending => waiting && (mine || viewer.is_none()),
                JobList::Elsewhere => waiting && !mine,
                JobList::Ready => job.standing.state == JobState::Ready,
                JobList::Done => job.is_ended(),
                JobList::Late => job.standing.late && !job.is_ended(),
                JobList::All => true,
            };
            if wanted {
                list.push(job);
            }
        }
        Ok(list)
    }
}
