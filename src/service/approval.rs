//! The approval queue: jobs start, are decided by folder, keyword or `kepctl`, become late, and end.
//!
//! Every decision is one conditional batch: the job, its item, the mail and what follows change together or not at
//! all, so two approvers at the same moment give one decision. A decision is bound to the digest of the exact octets.

use crate::clock::{Clock, UtcTime};
use crate::domain::item::Report;
use crate::domain::job::{Act, Job, JobRefusal, JobState, Route, Wish};
use crate::domain::mail::MailEvent;
use crate::domain::org::{Organisation, Permission, User};
use crate::domain::selector::Viewer;
use crate::id::{IdSource, JobId, TenantId};
use crate::service::account::Principal;
use crate::service::bell::Bells;
use crate::service::failure::{Failure, Kind};
use crate::service::identity::Identity;
use crate::service::organisation::Organisations;
use crate::service::owing::Owing;
use crate::service::putting_off::{AFTER_FAILURE, put_off};
use crate::store::db::{Batch, CommitError, Db};
use crate::store::tables::work::{self, StepLimit};
use crate::store::tables::{Stored, items, jobs, mails};
use std::sync::Arc;

/// How often a decision is tried against others on the same job.
const DECIDE_ATTEMPTS: usize = 8;
/// Step limits looked at in one go.
const LIMITS_AT_ONCE: usize = 64;

pub struct Approval {
    pub db: Arc<dyn Db>,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn IdSource>,
    pub organisations: Arc<Organisations>,
    pub identity: Arc<Identity>,
    pub bells: Bells,
}

/// A decision asked for.
#[derive(Debug, Clone)]
pub struct DecisionAsked<'a> {
    pub job: JobId,
    pub act: Act,
    pub route: Route,
    pub note: &'a str,
    /// The digest of what the decider saw. Without one, what the job holds now.
    pub original_sha256: Option<[u8; 32]>,
}

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
    /// Decides a job, and gives it as it stands afterwards.
    pub async fn decide(&self, by: &Principal, asked: DecisionAsked<'_>) -> Result<Job, Failure> {
        for _ in 0..DECIDE_ATTEMPTS {
            let organisation = self.organisations.of(by.tenant)?;
            let actor = live_user(&organisation, by)?;
            let stored = self.visible_job(&organisation, actor, asked.job)?;
            let now = self.clock.now();
            let wish = Wish {
                act: asked.act,
                actor,
                actor_login: &by.login.to_string(),
                route: asked.route,
                note: asked.note,
                original_sha256: asked.original_sha256.unwrap_or(stored.row.original_sha256),
                at: now,
            };
            let job = stored.row.decide(&organisation, &wish)?;
            let mut batch = Batch::new();
            stored.replace(&mut batch, &job)?;
            self.settle(&mut batch, &organisation, &job, now)?;
            match self.db.commit(batch).await {
                Ok(_) => {
                    tracing::info!(job = %job.id, mail = %job.mail, by = %by.login, act = asked.act.word(),
                        route = asked.route.word(), state = job.state.word(), "decided");
                    self.bells.mailboxes.ring(by.tenant);
                    self.bells.notary.ring();
                    self.bells.timers.ring();
                    return Ok(job);
                }
                Err(CommitError::Conflict { .. }) => continue,
                Err(other) => return Err(other.into()),
            }
        }
        Err(Failure::Unavailable("too many decide on this job at once".into()))
    }

    /// What the new state of a job means for its item and its mail.
    fn settle(
        &self,
        batch: &mut Batch,
        organisation: &Organisation,
        job: &Job,
        now: UtcTime,
    ) -> Result<(), Failure> {
        if let Some(old) = items::item(&*self.db, job.tenant, job.item)? {
            let mut item = old.row.clone();
            item.job = Some(job.facet());
            if !job.late {
                item.reports.remove(&Report::Late);
            }
            items::replace(batch, job.tenant, &old, &item)?;
        }
        match job.state {
            JobState::Waiting(_) => {
                if let Some((due, limit)) = StepLimit::of(job) {
                    work::add(batch, due, &limit)?;
                }
            }
            JobState::Ready => {}
            JobState::Released => self.move_mail(batch, organisation, job, MailEvent::Released, now)?,
            JobState::Rejected | JobState::Withdrawn => {
                self.move_mail(batch, organisation, job, MailEvent::Dropped, now)?;
            }
        }
        Ok(())
    }

    fn move_mail(
        &self,
        batch: &mut Batch,
        organisation: &Organisation,
        job: &Job,
        event: MailEvent,
        now: UtcTime,
    ) -> Result<(), Failure> {
        let broken = |what: &str| Failure::Broken(format!("mail {}: {what}", job.mail));
        let stored =
            mails::mail(&*self.db, job.tenant, job.mail)?.ok_or_else(|| broken("its row is missing"))?;
        let mut mail = stored.row.clone();
        if mail.original_sha256 != job.original_sha256 {
            return Err(JobRefusal::OtherOctets.into());
        }
        mail.state = mail
            .state
            .after(event)
            .ok_or_else(|| broken("is not held any more"))?;
        if event == MailEvent::Released {
            if !organisation.tenant.life.may_send() {
                let say = "the account does not send now (suspended or closing)";
                return Err(Failure::refused(Kind::AccountClosed, say));
            }
            let owing = Owing {
                identity: &self.identity,
                ids: &*self.ids,
            };
            for copy in mail.copies() {
                owing.submission(batch, &organisation.tenant, &mail, &copy, now)?;
            }
        }
        stored.replace(batch, &mail)?;
        Ok(())
    }

    fn visible_job(
        &self,
        organisation: &Organisation,
        user: &User,
        job: JobId,
    ) -> Result<Stored<Job>, Failure> {
        let none = || Failure::refused(Kind::NotFound, format!("there is no job {job} that you can see"));
        let tenant = organisation.tenant.id;
        let stored = jobs::job(&*self.db, tenant, job)?.ok_or_else(none)?;
        let item = items::item(&*self.db, tenant, stored.row.item)?.ok_or_else(none)?;
        let seen =
            Viewer::new(organisation, user).sees(&item.row) || organisation.may(user, Permission::Jobs);
        if seen { Ok(stored) } else { Err(none()) }
    }

    /// A job as a user sees it.
    pub fn show(&self, by: &Principal, job: JobId) -> Result<Job, Failure> {
        let organisation = self.organisations.of(by.tenant)?;
        let user = live_user(&organisation, by)?;
        Ok(self.visible_job(&organisation, user, job)?.row)
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
        let viewer = user.map(|u| Viewer::new(&organisation, u));
        let mut list = Vec::new();
        for job in jobs::all(&*self.db, tenant)? {
            let job = job.row;
            let Some(item) = items::item(&*self.db, tenant, job.item)? else {
                continue;
            };
            if viewer.as_ref().is_some_and(|v| !v.sees(&item.row)) {
                continue;
            }
            let mine = viewer.as_ref().is_some_and(|v| v.may_decide(&item.row));
            let waiting = matches!(job.state, JobState::Waiting(_));
            let wanted = match which {
                JobList::Pending => waiting && (mine || viewer.is_none()),
                JobList::Elsewhere => waiting && !mine,
                JobList::Ready => job.state == JobState::Ready,
                JobList::Done => job.ended(),
                JobList::Late => job.late && !job.ended(),
                JobList::All => true,
            };
            if wanted {
                list.push(job);
            }
        }
        Ok(list)
    }

    /// Puts jobs whose step limit has passed on the red list. Gives how many limits were looked at.
    pub async fn run_due(&self) -> Result<usize, Failure> {
        let due = work::due::<StepLimit>(&*self.db, self.clock.now(), LIMITS_AT_ONCE)?;
        for limit in &due {
            if let Err(failure) = self.pass_limit(limit).await {
                tracing::error!(job = %limit.row.job, %failure, "step limit");
                put_off(&*self.db, limit, self.clock.now().plus(AFTER_FAILURE)).await?;
            }
        }
        Ok(due.len())
    }

    async fn pass_limit(&self, limit: &Stored<StepLimit>) -> Result<(), Failure> {
        let mut batch = Batch::new();
        limit.remove(&mut batch);
        self.mark_late(&mut batch, &limit.row)?;
        match self.db.commit(batch).await {
            // Somebody decided meanwhile: the next look finds the limit of the new step.
            Ok(_) | Err(CommitError::Conflict { .. }) => {
                self.bells.mailboxes.ring(limit.row.tenant);
                Ok(())
            }
            Err(other) => Err(other.into()),
        }
    }

    fn mark_late(&self, batch: &mut Batch, limit: &StepLimit) -> Result<(), Failure> {
        let Some(stored) = jobs::job(&*self.db, limit.tenant, limit.job)? else {
            return Ok(());
        };
        let mut job = stored.row.clone();
        if job.current_step().is_none() || job.step_since != limit.step_since || job.late {
            return Ok(());
        }
        job.late = true;
        stored.replace(batch, &job)?;
        if let Some(old) = items::item(&*self.db, limit.tenant, job.item)? {
            let mut item = old.row.clone();
            item.job = Some(job.facet());
            item.reports.insert(Report::Late);
            items::replace(batch, limit.tenant, &old, &item)?;
        }
        tracing::info!(job = %job.id, "late");
        Ok(())
    }
}

/// The user behind a principal, as he stands now: a right lost in mid-flight counts at once.
fn live_user<'a>(organisation: &'a Organisation, by: &Principal) -> Result<&'a User, Failure> {
    organisation
        .users
        .get(&by.user)
        .filter(|u| !u.removed)
        .ok_or_else(|| Failure::refused(Kind::NoPermission, "this user has been removed"))
}
