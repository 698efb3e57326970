//! Jobs as they are looked at: one, many, and what happened to one.

use super::{Approval, live_user};
use crate::domain::item::JobPhase;
use crate::domain::job::{Entry, Job};
use crate::domain::org::{Organisation, User};
use crate::domain::selector::{Mailbox, Question, Viewer};
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

impl JobList {
    /// The mailbox that shows these jobs: a user finds the same in both.
    fn mailbox(self) -> Option<Mailbox> {
        Some(match self {
            JobList::Pending => Mailbox::JobsPending,
            JobList::Elsewhere => Mailbox::JobsElsewhere,
            JobList::Ready => Mailbox::JobsReady,
            JobList::Done => Mailbox::JobsDone,
            JobList::Late => Mailbox::JobsLate,
            JobList::All => return None,
        })
    }

    /// Whether it holds a job for the administrator, who decides nothing himself.
    fn holds(self, job: &Job, phase: JobPhase) -> bool {
        match self {
            JobList::Pending => phase == JobPhase::Waiting,
            JobList::Elsewhere => matches!(phase, JobPhase::Waiting | JobPhase::Returned),
            JobList::Ready => phase == JobPhase::Ready,
            JobList::Done => phase == JobPhase::Ended,
            JobList::Late => job.standing.late && phase != JobPhase::Ended,
            JobList::All => true,
        }
    }
}

impl Approval {
    /// A job that the user sees: whoever sees its mail. Managing jobs is a right to act, not to see more.
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
        let seen = Viewer::new(organisation, user, self.clock.now()).sees(&item.row, None);
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
        let question = viewer
            .as_ref()
            .zip(which.mailbox())
            .map(|(viewer, mailbox)| Question::new(mailbox, viewer));
        let mut list = Vec::new();
        for job in self.asked(tenant, which)? {
            let Some(item) = items::item(&*self.db, tenant, job.item)?.map(|stamped| stamped.row.clone())
            else {
                continue;
            };
            let wanted = match (&question, &viewer) {
                (Some(question), _) => question.shows(&item, None, None),
                (None, Some(viewer)) => viewer.sees(&item, None),
                (None, None) => which.holds(&job, job.facet(&organisation).phase),
            };
            if wanted {
                list.push(job);
            }
        }
        Ok(list)
    }

    /// The jobs among which a list's are: of what has not ended, the years before cost nothing.
    fn asked(&self, tenant: TenantId, which: JobList) -> Result<Vec<Job>, Failure> {
        if matches!(which, JobList::Done | JobList::All) {
            return Ok(jobs::all(&*self.db, tenant)?
                .into_iter()
                .map(|job| job.row)
                .collect());
        }
        let mut open = Vec::new();
        for id in jobs::open(&*self.db, tenant)? {
            open.extend(jobs::job(&*self.db, tenant, id)?.map(|job| job.row));
        }
        Ok(open)
    }
}
