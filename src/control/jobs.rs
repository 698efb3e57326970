//! Jobs: approvals in flight.

use super::traffic::recipients_of;
use super::words::{ControlDoor, Outcome, hex, list, one};
use crate::address::LoginName;
use crate::clock::UtcTime;
use crate::control::protocol::{Decide, JobListWord, JobWord, LIST_MAX, Record};
use crate::domain::credit::reserved_for;
use crate::domain::job::figures::Tally;
use crate::domain::job::{Act, Entry, Job, Route};
use crate::domain::org::{Organisation, Permission};
use crate::domain::provider::Fingerprint;
use crate::domain::rule::Direction;
use crate::id::{JobId, UserId};
use crate::service::approval::{DecisionAsked, JobList};
use crate::service::failure::{Failure, Kind};
use crate::service::organisation::{unknown, who_named};
use serde_json::Value;

impl ControlDoor {
    pub(super) async fn job(&self, word: JobWord) -> Outcome {
        match word {
            JobWord::List {
                tenant,
                stats: true,
                since,
                ..
            } => self.job_figures(&tenant, since.map(|since| since.from)).await,
            JobWord::List { tenant, which, .. } => self.jobs(&tenant, which),
            JobWord::Show { job } => self.show_job(job),
            JobWord::Approve(wish) => self.decide(wish, Act::Approve).await,
            JobWord::Reject(wish) => self.decide(wish, Act::Reject).await,
            JobWord::Release(release) => match &release.cms {
                Some(cms) => self.release_signed(release.wish.job, cms).await,
                None => self.decide(release.wish, Act::Release).await,
            },
            JobWord::Entity { job, out } => self.entity(job, &out).await,
            JobWord::Withdraw(wish) => self.decide(wish, Act::Withdraw).await,
            JobWord::Return(wish) => self.decide(wish, Act::Return).await,
            JobWord::Cancel(wish) => self.decide(wish, Act::Cancel).await,
            JobWord::Undo(wish) => self.decide(wish, Act::Undo).await,
            JobWord::Note(wish) => {
                let by = self.actor()?;
                let noted = self.approval.note(by, wish.job, &wish.note, Route::Kepctl);
                self.job_answer(&noted.await?)
            }
            JobWord::Delegate { wish, to } => {
                let to = self.delegate_of(&to)?;
                self.decide(wish, Act::Delegate(to)).await
            }
            JobWord::Reassign { wish, to } => {
                let organisation = self.organisations.of(self.actor()?.tenant)?;
                let to = who_named(&organisation, &to)?;
                self.decide(wish, Act::Reassign(to)).await
            }
        }
    }

    fn jobs(&self, tenant: &str, which: JobListWord) -> Outcome {
        let organisation = self.organisation(tenant)?;
        self.count_look(organisation.tenant.id, "job list");
        let which = match which {
            JobListWord::Pending => JobList::Pending,
            JobListWord::Elsewhere => JobList::Elsewhere,
            JobListWord::Ready => JobList::Ready,
            JobListWord::Done => JobList::Done,
            JobListWord::Late => JobList::Late,
            JobListWord::All => JobList::All,
        };
        let user = self
            .acting
            .as_ref()
            .and_then(|by| organisation.users.get(&by.user));
        let mut jobs = self.approval.list(organisation.tenant.id, user, which)?;
        jobs.sort_by_key(|job| (job.started_at, job.id));
        // Of very many the newest are listed.
        let newest = jobs.iter().skip(jobs.len().saturating_sub(LIST_MAX));
        list(newest.map(|job| self.job_record(&organisation, job)))
    }

    /// For each rule its whole flow, then its steps.
    async fn job_figures(&self, tenant: &str, since: Option<UtcTime>) -> Outcome {
        self.demand(Permission::Jobs)?;
        let organisation = self.organisation(tenant)?;
        let figures = self.approval.figures(organisation.tenant.id, since).await?;
        let mut rows = Vec::new();
        for of_rule in figures.0.values() {
            rows.push(tally_record(&of_rule.name, "whole", &of_rule.whole));
            let steps = of_rule.steps.iter().enumerate();
            rows.extend(steps.map(|(n, tally)| tally_record(&of_rule.name, &(n + 1).to_string(), tally)));
        }
        list(rows.into_iter().take(LIST_MAX))
    }

    fn show_job(&self, id: JobId) -> Outcome {
        let job = match &self.acting {
            Some(by) => self.approval.show(by, id)?,
            None => self.approval.show_any(id)?,
        };
        let organisation = self.organisations.of(job.tenant)?;
        let history = self.approval.history(&job)?;
        let decisions: Vec<Value> = history.iter().map(|e| decision_record(e).into()).collect();
        let now = self.approval.clock.now();
        let deciders = job.deciders(&organisation, now);
        let deciders = deciders.iter().filter_map(|u| organisation.users.get(u));
        let mut record = self
            .job_record(&organisation, &job)
            .text("mail", job.mail)
            .with("deciders", deciders.map(|u| u.name.clone()).collect::<Vec<_>>())
            .with("follows", job.follows.map(|j| j.to_string()));
        if job.direction == Direction::Outgoing {
            // Who decides sees to whom it goes, blind recipients included: no header names those.
            let mail = self.records.mail(job.mail)?;
            record = record
                .with("recipients", recipients_of(&mail))
                // An open job keeps it, however long it lies.
                .with("credit_reserved", reserved_for(mail.state, mail.cost_units));
        }
        one(record
            .text("original_sha256", hex(&job.original_sha256))
            .with("decisions", decisions))
    }

    async fn decide(&self, wish: Decide, act: Act) -> Outcome {
        let by = self.actor()?;
        let invalid = |say: &str| Failure::refused(Kind::Invalid, say);
        let original_sha256 = match wish.sha256 {
            Some(text) => Some(Fingerprint::try_from(text).map_err(invalid)?.0),
            None => None,
        };
        let asked = DecisionAsked {
            job: wish.job,
            act,
            route: Route::Kepctl,
            note: &wish.note,
            original_sha256,
        };
        let job = self.approval.decide(by, asked).await?;
        self.job_answer(&job)
    }

    fn job_answer(&self, job: &Job) -> Outcome {
        let organisation = self.organisations.of(job.tenant)?;
        one(self.job_record(&organisation, job))
    }

    fn job_record(&self, organisation: &Organisation, job: &Job) -> Record {
        let now = self.approval.clock.now();
        let facet = job.facet(organisation);
        let waits_for = facet.open.iter().map(|o| organisation.who(o.who));
        let author = job.author.and_then(|author| organisation.users.get(&author));
        Record::new()
            .text("job", job.id)
            .text("subject", &job.subject)
            .text("author", author.map_or("", |u| u.name.as_str()))
            .text("rule", &job.rule_name)
            .with("rule_version", job.rule_version)
            .text("state", job.standing.state.word())
            .with("waits_for", waits_for.collect::<Vec<_>>())
            .with("due", job.due(&self.approval.terms).map(|t| t.to_string()))
            .with("late", job.standing.late)
            .text("started_at", job.started_at)
            .with("operating_time_s", job.operating_time(now).as_secs())
            .text("total_due", job.total_due)
    }

    /// The user a decision is handed to: one of the same tenant.
    fn delegate_of(&self, to: &LoginName) -> Result<UserId, Failure> {
        let organisation = self.organisations.of(self.actor()?.tenant)?;
        let same = to.realm() == organisation.tenant.name;
        let found = organisation.user_by_name(to.user()).filter(|_| same);
        found.map(|user| user.id).ok_or_else(|| {
            let users = organisation.live_users().map(|u| u.name.as_str());
            Failure::refused(Kind::NotFound, unknown("user", &to.to_string(), users))
        })
    }
}

fn tally_record(rule: &str, step: &str, tally: &Tally) -> Record {
    let late_percent = (tally.late * 100).checked_div(tally.jobs);
    Record::new()
        .text("rule", rule)
        .text("step", step)
        .with("jobs", tally.jobs)
        .with("waiting", tally.waiting)
        .with("done", tally.done)
        .with("late", tally.late)
        .with("late_percent", late_percent)
        .with("median_s", tally.took.median_s())
        .with("max_s", tally.took.max_s())
        .with("mean_s", tally.took.mean_s())
}

fn decision_record(entry: &Entry) -> Record {
    let happening = &entry.happening;
    Record::new()
        .with("step", happening.step)
        .with("role", happening.role.clone())
        .text("actor", &happening.actor_login)
        .with("in_name_of", happening.in_name_of.clone())
        .text("decision", happening.deed.word())
        .with("to", happening.to.clone())
        .text("route", happening.route.map_or("", Route::word))
        .text("note", &happening.note)
        .text("at", happening.at)
        .text("state", &entry.state)
        .text("original_sha256", hex(&entry.original_sha256))
}
