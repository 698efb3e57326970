//! One approval in flight: its states, who may act, what is late, and the one transition function.
//!
//! ```text
//!   state \ act     approve            reject     release    withdraw
//!   Waiting(n)      Waiting(n+1)       Rejected   -          Withdrawn
//!   Waiting(last)   Ready              Rejected   -          Withdrawn
//!   Ready           -                  Rejected*  Released   Withdrawn
//!   Rejected, Withdrawn, Released: ended, nothing moves them
//! ```
//! `*` by an officer only. Approve and reject at `Waiting(n)`: a user with the step's role and the permission to
//! approve, not the author. Release: an officer. Withdraw: the author.
//!
//! A decision is bound to the digest of the exact octets: it is refused unless it names the digest the job holds.

use crate::clock::UtcTime;
use crate::domain::item::{JobFacet, JobPhase};
use crate::domain::org::{Organisation, Permission, User, UserKind};
use crate::domain::rule::{Rule, Step};
use crate::domain::schedule::step_due;
use crate::id::{ItemId, JobId, MailId, RoleId, RuleId, TenantId, UserId};
use serde::{Deserialize, Serialize};

/// Longest note with a decision, in octets. A job is one row of 15 KiB with all its decisions in it: one for each of
/// [`crate::domain::rule::STEPS_MAX`] steps and the one that ends it, each with names of up to 720 octets.
pub const NOTE_MAX_OCTETS: usize = 400;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Act {
    Approve,
    Reject,
    Release,
    Withdraw,
}

impl Act {
    pub fn word(self) -> &'static str {
        match self {
            Act::Approve => "approve",
            Act::Reject => "reject",
            Act::Release => "release",
            Act::Withdraw => "withdraw",
        }
    }
}

/// By which way a decision came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Route {
    /// A message was moved to a mailbox.
    Folder,
    Keyword,
    Kepctl,
}

impl Route {
    pub fn word(self) -> &'static str {
        match self {
            Route::Folder => "folder",
            Route::Keyword => "keyword",
            Route::Kepctl => "kepctl",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum JobState {
    /// Step `n` (from 0) waits for its role.
    Waiting(u16),
    Ready,
    Released,
    Rejected,
    Withdrawn,
}

impl JobState {
    pub fn word(self) -> &'static str {
        match self {
            JobState::Waiting(_) => "waiting",
            JobState::Ready => "ready",
            JobState::Released => "released",
            JobState::Rejected => "rejected",
            JobState::Withdrawn => "withdrawn",
        }
    }
}

/// Who decided what, when, by which route, on which octets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Counted from 1; the release has none.
    pub step: Option<u16>,
    /// The role it was made in, by its name at that time.
    pub role: Option<String>,
    pub actor: UserId,
    /// The login at that time.
    pub actor_login: String,
    pub act: Act,
    pub route: Route,
    pub note: String,
    pub at: UtcTime,
    pub original_sha256: [u8; 32],
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    pub id: JobId,
    pub tenant: TenantId,
    pub mail: MailId,
    pub item: ItemId,
    pub author: UserId,
    pub rule: RuleId,
    pub rule_name: String,
    pub rule_version: u32,
    /// The steps as they stood when the job started.
    pub steps: Vec<Step>,
    /// SHA-256 of the exact octets that are to be approved and sealed.
    pub original_sha256: [u8; 32],
    pub subject: String,
    pub started_at: UtcTime,
    /// When the current step began.
    pub step_since: UtcTime,
    pub state: JobState,
    pub late: bool,
    pub decisions: Vec<Decision>,
}

/// What somebody wants to do with a job.
#[derive(Debug, Clone)]
pub struct Wish<'a> {
    pub act: Act,
    pub actor: &'a User,
    pub actor_login: &'a str,
    pub route: Route,
    pub note: &'a str,
    /// The digest of what the actor saw.
    pub original_sha256: [u8; 32],
    pub at: UtcTime,
}

/// Why a wish is not granted. Each says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JobRefusal {
    #[error("this job has ended ({0}); nothing more can be decided on it")]
    Ended(&'static str),
    #[error("this step waits for the role \"{role}\", which you do not hold with the right to approve")]
    NotYourStep { role: String },
    #[error("nobody may approve his own mail; another user of the role has to decide")]
    OwnMail,
    #[error("not all approvals are given yet; it can be released when it is in \"Gönderime Hazır\"")]
    NotReady,
    #[error("all approvals are given already; an officer may release or reject it")]
    AlreadyApproved,
    #[error("only an officer (işlem yetkilisi) may do this")]
    NotOfficer,
    #[error("only its author may withdraw a mail")]
    NotAuthor,
    #[error(
        "the octets you decided on are not the octets of this job; open it again and decide on what it holds now"
    )]
    OtherOctets,
    #[error("the note is longer than {NOTE_MAX_OCTETS} octets")]
    NoteTooLong,
}

impl Job {
    pub fn start(start: JobStart<'_>) -> Self {
        Self {
            id: start.id,
            tenant: start.tenant,
            mail: start.mail,
            item: start.item,
            author: start.author,
            rule: start.rule.id,
            rule_name: start.rule.name.clone(),
            rule_version: start.rule.version,
            steps: start.rule.steps.clone(),
            original_sha256: start.original_sha256,
            subject: start.subject,
            started_at: start.at,
            step_since: start.at,
            state: if start.rule.steps.is_empty() {
                JobState::Ready
            } else {
                JobState::Waiting(0)
            },
            late: false,
            decisions: Vec::new(),
        }
    }

    pub fn ended(&self) -> bool {
        matches!(
            self.state,
            JobState::Released | JobState::Rejected | JobState::Withdrawn
        )
    }

    /// The step that waits now.
    pub fn current_step(&self) -> Option<&Step> {
        match self.state {
            JobState::Waiting(n) => self.steps.get(usize::from(n)),
            _ => None,
        }
    }

    /// When the current step becomes late.
    pub fn due(&self) -> Option<UtcTime> {
        self.current_step()
            .map(|step| step_due(self.step_since, step.limit_days))
    }

    /// The part mailboxes ask about.
    pub fn facet(&self) -> JobFacet {
        JobFacet {
            id: self.id,
            phase: match self.state {
                JobState::Waiting(_) => JobPhase::Waiting {
                    role: self.current_step().map_or(RoleId(0), |s| s.role),
                },
                JobState::Ready => JobPhase::Ready,
                _ => JobPhase::Ended,
            },
            late: self.late,
            participants: self.decisions.iter().map(|d| d.actor).collect(),
            roles: self.steps.iter().map(|s| s.role).collect(),
        }
    }

    /// The one function that moves a job. Gives the job as it stands afterwards, or says why not.
    pub fn decide(&self, org: &Organisation, wish: &Wish<'_>) -> Result<Job, JobRefusal> {
        if self.ended() {
            return Err(JobRefusal::Ended(self.state.word()));
        }
        if wish.original_sha256 != self.original_sha256 {
            return Err(JobRefusal::OtherOctets);
        }
        if wish.note.len() > NOTE_MAX_OCTETS {
            return Err(JobRefusal::NoteTooLong);
        }
        let state = self.next_state(org, wish)?;
        let mut job = self.clone();
        job.decisions.push(Decision {
            step: match self.state {
                JobState::Waiting(n) => Some(n + 1),
                _ => None,
            },
            role: self
                .current_step()
                .and_then(|s| org.roles.get(&s.role))
                .map(|r| r.name.clone()),
            actor: wish.actor.id,
            actor_login: wish.actor_login.to_owned(),
            act: wish.act,
            route: wish.route,
            note: wish.note.to_owned(),
            at: wish.at,
            original_sha256: wish.original_sha256,
        });
        job.state = state;
        job.step_since = wish.at;
        job.late = false;
        Ok(job)
    }

    fn next_state(&self, org: &Organisation, wish: &Wish<'_>) -> Result<JobState, JobRefusal> {
        let officer = wish.actor.kind == UserKind::Officer && !wish.actor.removed;
        match (self.state, wish.act) {
            (JobState::Waiting(n), Act::Approve) => {
                self.check_step(org, wish.actor)?;
                let last = usize::from(n) + 1 >= self.steps.len();
                Ok(if last {
                    JobState::Ready
                } else {
                    JobState::Waiting(n + 1)
                })
            }
            (JobState::Waiting(_), Act::Reject) => {
                self.check_step(org, wish.actor).map(|()| JobState::Rejected)
            }
            (JobState::Waiting(_), Act::Release) => Err(JobRefusal::NotReady),
            (JobState::Ready, Act::Approve) => Err(JobRefusal::AlreadyApproved),
            (JobState::Ready, Act::Reject) if officer => Ok(JobState::Rejected),
            (JobState::Ready, Act::Release) if officer => Ok(JobState::Released),
            (JobState::Ready, Act::Reject | Act::Release) => Err(JobRefusal::NotOfficer),
            (_, Act::Withdraw) if wish.actor.id == self.author => Ok(JobState::Withdrawn),
            (_, Act::Withdraw) => Err(JobRefusal::NotAuthor),
            (JobState::Released | JobState::Rejected | JobState::Withdrawn, _) => {
                Err(JobRefusal::Ended(self.state.word()))
            }
        }
    }

    fn check_step(&self, org: &Organisation, actor: &User) -> Result<(), JobRefusal> {
        if actor.id == self.author {
            return Err(JobRefusal::OwnMail);
        }
        let role = self.current_step().map(|s| s.role);
        if role.is_some_and(|r| actor.roles.contains(&r)) && org.may(actor, Permission::Approve) {
            return Ok(());
        }
        let name = role
            .and_then(|r| org.roles.get(&r))
            .map_or_else(|| "?".to_owned(), |r| r.name.clone());
        Err(JobRefusal::NotYourStep { role: name })
    }
}

/// What a job begins with.
#[derive(Debug)]
pub struct JobStart<'a> {
    pub id: JobId,
    pub tenant: TenantId,
    pub mail: MailId,
    pub item: ItemId,
    pub author: UserId,
    pub rule: &'a Rule,
    pub original_sha256: [u8; 32],
    pub subject: String,
    pub at: UtcTime,
}
