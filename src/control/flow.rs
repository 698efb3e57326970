//! Approval rules and the jobs they start.

use super::traffic::recipients_of;
use super::words::{ControlDoor, Outcome, hex, list, not_built, one};
use crate::address::LoginName;
use crate::control::protocol::{Decide, JobListWord, JobWord, Record, RuleAdd, RuleWord};
use crate::domain::job::{Act, Decision, Job, Route};
use crate::domain::org::Organisation;
use crate::domain::provider::Fingerprint;
use crate::domain::rule::{Condition, Field, Matchable, Rule};
use crate::id::JobId;
use crate::service::account::Principal;
use crate::service::approval::{DecisionAsked, JobList};
use crate::service::failure::{Failure, Kind};
use crate::service::organisation::{NewRule, unknown};
use serde_json::Value;

impl ControlDoor {
    pub(super) async fn rule(&self, word: RuleWord) -> Outcome {
        match word {
            RuleWord::Add(new) => self.add_rule(new).await,
            RuleWord::List { tenant } => {
                let organisation = self.organisations.by_name(&tenant)?;
                list(organisation.rules.values().map(|r| rule_record(&organisation, r)))
            }
            RuleWord::Show { tenant, name } => {
                let organisation = self.organisations.by_name(&tenant)?;
                let Some(rule) = organisation.rule_by_name(&name) else {
                    let names = organisation.rules.values().map(|r| r.name.as_str());
                    return Err(Failure::refused(Kind::NotFound, unknown("rule", &name, names)));
                };
                one(rule_record(&organisation, rule))
            }
            RuleWord::Enable { tenant, name } => self.enable(&tenant, &name, true).await,
            RuleWord::Disable { tenant, name } => self.enable(&tenant, &name, false).await,
            RuleWord::Test { tenant, subject, to } => {
                let organisation = self.organisations.by_name(&tenant)?;
                let mail = Matchable { to, subject };
                // The first match counts, in the order the rules were made.
                let found = organisation.rules.values().find(|rule| rule.matches(&mail));
                one(match found {
                    Some(rule) => Record::new()
                        .with("matches", true)
                        .text("rule", &rule.name)
                        .with("steps", steps(&organisation, rule)),
                    None => Record::new().with("matches", false).with("rule", Value::Null),
                })
            }
            RuleWord::Set(rest) => not_built("rule set", &rest),
        }
    }

    async fn add_rule(&self, new: RuleAdd) -> Outcome {
        let tenant = self.organisations.by_name(&new.tenant)?.tenant.id;
        let condition = |field| move |contains| Condition { field, contains };
        let to = new.to.into_iter().map(condition(Field::To));
        let subject = new.subject.into_iter().map(condition(Field::Subject));
        let rule = NewRule {
            name: new.name,
            conditions: to.chain(subject).collect(),
            steps: new.steps.into_iter().map(|s| (s.role, s.days)).collect(),
        };
        let rule = self.organisations.add_rule(tenant, &rule).await?;
        one(rule_record(&*self.organisations.of(tenant)?, &rule))
    }

    async fn enable(&self, tenant: &str, name: &str, enabled: bool) -> Outcome {
        let id = self.organisations.by_name(tenant)?.tenant.id;
        let rule = self.organisations.enable_rule(id, name, enabled).await?;
        one(rule_record(&*self.organisations.of(id)?, &rule))
    }

    pub(super) async fn job(&self, word: JobWord) -> Outcome {
        match word {
            JobWord::List { tenant, which, by } => self.jobs(&tenant, which, by),
            JobWord::Show { job } => self.show_job(job),
            JobWord::Approve(wish) => self.decide(wish, Act::Approve).await,
            JobWord::Reject(wish) => self.decide(wish, Act::Reject).await,
            JobWord::Release(wish) => self.decide(wish, Act::Release).await,
            JobWord::Withdraw(wish) => self.decide(wish, Act::Withdraw).await,
            JobWord::Delegate(rest) => not_built("job delegate", &rest),
        }
    }

    fn jobs(&self, tenant: &str, which: JobListWord, by: Option<LoginName>) -> Outcome {
        let organisation = self.organisations.by_name(tenant)?;
        let which = match which {
            JobListWord::Pending => JobList::Pending,
            JobListWord::Elsewhere => JobList::Elsewhere,
            JobListWord::Ready => JobList::Ready,
            JobListWord::Done => JobList::Done,
            JobListWord::Late => JobList::Late,
            JobListWord::All => JobList::All,
        };
        let user = match by {
            None => None,
            Some(login) => {
                let principal = self.act_as(&login)?;
                if principal.tenant != organisation.tenant.id {
                    let say = format!("{login} is not a user of {tenant}");
                    return Err(Failure::refused(Kind::NoPermission, say));
                }
                organisation.users.get(&principal.user)
            }
        };
        let mut jobs = self.approval.list(organisation.tenant.id, user, which)?;
        jobs.sort_by_key(|job| (job.started_at, job.id));
        list(jobs.iter().map(|job| job_record(&organisation, job)))
    }

    fn show_job(&self, id: JobId) -> Outcome {
        let job = self.approval.show_any(id)?;
        let organisation = self.organisations.of(job.tenant)?;
        let decisions: Vec<Value> = job.decisions.iter().map(|d| decision_record(d).into()).collect();
        // Who decides sees to whom it goes, blind recipients included: no header names those.
        let mail = self.records.mail(job.mail)?;
        one(job_record(&organisation, &job)
            .text("mail", job.mail)
            .with("recipients", recipients_of(&mail))
            .text("original_sha256", hex(&job.original_sha256))
            .with("decisions", decisions))
    }

    async fn decide(&self, wish: Decide, act: Act) -> Outcome {
        let by = self.act_as(&wish.by)?;
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
        let job = self.approval.decide(&by, asked).await?;
        one(job_record(&*self.organisations.of(job.tenant)?, &job))
    }

    /// Somebody the administrator acts for. Only who may log in may act.
    fn act_as(&self, login: &LoginName) -> Result<Principal, Failure> {
        let say = || Failure::refused(Kind::NotFound, format!("there is no user {login} who may log in"));
        self.accounts.principal(login)?.ok_or_else(say)
    }
}

fn steps(organisation: &Organisation, rule: &Rule) -> Vec<String> {
    let name = |id| organisation.roles.get(id).map_or("?", |r| r.name.as_str());
    let written = rule
        .steps
        .iter()
        .map(|s| format!("{}:{}", name(&s.role), s.limit_days));
    written.collect()
}

fn rule_record(organisation: &Organisation, rule: &Rule) -> Record {
    let texts = |field| {
        let of_field = rule.conditions.iter().filter(move |c| c.field == field);
        of_field.map(|c| c.contains.clone()).collect::<Vec<_>>()
    };
    Record::new()
        .text("name", &rule.name)
        .with("version", rule.version)
        .with("enabled", rule.enabled)
        .with("to", texts(Field::To))
        .with("subject", texts(Field::Subject))
        .with("steps", steps(organisation, rule))
}

fn job_record(organisation: &Organisation, job: &Job) -> Record {
    let waits_for = job.current_step().and_then(|s| organisation.roles.get(&s.role));
    let author = organisation.users.get(&job.author);
    Record::new()
        .text("job", job.id)
        .text("subject", &job.subject)
        .text("author", author.map_or("?", |u| u.name.as_str()))
        .text("rule", &job.rule_name)
        .with("rule_version", job.rule_version)
        .text("state", job.state.word())
        .with("waits_for", waits_for.map(|r| r.name.clone()))
        .with("due", job.due().map(|t| t.to_string()))
        .with("late", job.late)
        .text("started_at", job.started_at)
}

fn decision_record(decision: &Decision) -> Record {
    Record::new()
        .with("step", decision.step)
        .with("role", decision.role.clone())
        .text("actor", &decision.actor_login)
        .text("decision", decision.act.word())
        .text("route", decision.route.word())
        .text("note", &decision.note)
        .text("at", decision.at)
        .text("original_sha256", hex(&decision.original_sha256))
}
