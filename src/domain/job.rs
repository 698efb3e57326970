//! One approval in flight: its states, who may act, what is late, and the one transition function.
//!
//! ```text
//! state \ act  approve        reject   return    delegate, release  withdraw  cancel    undo
//!                                                reassign
//! Waiting(n)   Waiting(n),    Rejected Returned  same      -        Withdrawn Cancelled as before
//!              Waiting(n+1),
//!              Ready,
//!              Approved
//! Returned     -              -        -         -         -        Withdrawn Cancelled as before
//! Ready        -              Rejected Returned  -         Leaving, Withdrawn Cancelled as before
//!                                                          Released
//! Leaving      -              -        -         -         -        -         -         Ready
//! Rejected,    -              -        -         -         -        -         -         as before
//! Withdrawn, Cancelled, Approved
//! Released, Expired, Resubmitted: nothing moves them any more
//!
//! state \ by itself  limit passes        expiry passes  departure is due  the author hands it in anew
//! Waiting(n)         same, late          Expired        -                 -
//! Returned           -                   -              -                 Resubmitted
//! Leaving            -                   -              Released          -
//! ```
//! Approve, reject and return at `Waiting(n)`: somebody who is a member of an open part of the step, or decides in the
//! name of one (a deputy, whom it was delegated to), not the author unless the rule allows it, and each person once
//! in a step. Reject and return at `Ready`, and release: an officer; where mail leaves with an officer's signature, releasing is
//! handing the same mail in, signed (`release_signed`), and takes effect at once. Withdraw: the author. Cancel and reassign: an
//! officer or the permission to manage jobs. Delegate: who may decide. Undo: who made the last decision, within the
//! time the terms give, as long as nothing followed from it. A note may be left by whoever sees the job, in any state.
//! An incoming mail's job ends `Approved`; it is neither returned, released nor withdrawn.
//!
//! A decision is bound to the digest of the exact octets: it is refused unless it names the digest the job holds.

mod alarm;
mod concern;
pub mod figures;
mod history;
mod wish;

pub use alarm::Alarm;
pub use concern::Call;
pub use history::{Deed, Entry, Happening};
pub use wish::{Act, JobRefusal, NOTE_MAX_OCTETS, Route, Wish};

use crate::clock::UtcTime;
use crate::domain::calendar::Calendar;
use crate::domain::item::{JobFacet, JobPhase, Opening};
use crate::domain::org::{Organisation, Roll, User};
use crate::domain::rule::{DayKind, Direction, Need, Part, Rule, Step, Who};
use crate::id::{ItemId, JobId, MailId, RuleId, TenantId, UserId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::time::Duration;

/// Those who have decided on one job and are told of it; of more, the first are. With the approvals of one step they fit
/// its row, and the row of its item.
pub const PARTICIPANTS_MAX: usize = 200;
/// Approvals of one step. Beyond, it can still be rejected, given back, cancelled or reassigned.
pub const APPROVALS_MAX: usize = 200;
/// Delegations of one step.
pub const DELEGATIONS_MAX: usize = 50;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum JobState {
    /// Step `n` (from 0) waits.
    Waiting(u16),
    /// Given back to its author for changes.
    Returned,
    /// All approvals given; an officer may release it.
    Ready,
    /// Released, and still to be held back: it leaves at that moment.
    Leaving(UtcTime),
    Released,
    /// An incoming mail's job: all approvals given.
    Approved,
    Rejected,
    Withdrawn,
    Cancelled,
    /// Nobody decided in time.
    Expired,
    /// Handed in anew; the new job says which one it follows.
    Resubmitted,
}

impl JobState {
    pub fn word(self) -> &'static str {
        match self {
            JobState::Waiting(_) => "waiting",
            JobState::Returned => "returned",
            JobState::Ready => "ready",
            JobState::Leaving(_) => "leaving",
            JobState::Released => "released",
            JobState::Approved => "approved",
            JobState::Rejected => "rejected",
            JobState::Withdrawn => "withdrawn",
            JobState::Cancelled => "cancelled",
            JobState::Expired => "expired",
            JobState::Resubmitted => "resubmitted",
        }
    }

    /// The step it waits at, from 1.
    pub fn step(self) -> Option<u16> {
        match self {
            JobState::Waiting(n) => Some(n + 1),
            _ => None,
        }
    }

    pub fn is_ended(self) -> bool {
        !matches!(
            self,
            JobState::Waiting(_) | JobState::Returned | JobState::Ready | JobState::Leaving(_)
        )
    }
}

/// An approval given at the current step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Given {
    /// Which part of the step it counts for.
    pub part: u8,
    pub by: UserId,
    /// Himself, or whom he stood for.
    pub in_name_of: UserId,
    /// Given by whom the step was escalated to: it counts for the whole part.
    pub escalated: bool,
}

/// One who may decide has handed his decision on this step to somebody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delegation {
    /// Which part of the step it is about.
    pub part: u8,
    pub from: UserId,
    pub to: UserId,
}

/// What a decision changes, and what undoing it brings back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    pub state: JobState,
    /// When the current step began.
    pub step_since: UtcTime,
    /// The parties of the current step: the rule's, or whom it was reassigned to.
    pub parts: Vec<Part>,
    pub given: Vec<Given>,
    pub delegations: Vec<Delegation>,
    pub reminded: bool,
    pub late: bool,
    pub escalated: bool,
    /// Nobody is left who could decide: the officers have been told.
    pub stuck: bool,
}

/// The last decision, as long as it may be undone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undoable {
    pub by: UserId,
    pub until: UtcTime,
    /// As it stood before.
    pub before: Standing,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    pub id: JobId,
    pub tenant: TenantId,
    pub direction: Direction,
    pub mail: MailId,
    pub item: ItemId,
    /// Who wrote the mail; nobody here wrote an incoming one.
    pub author: Option<UserId>,
    pub rule: RuleId,
    pub rule_name: String,
    pub rule_version: u32,
    /// The steps as they stood when the job started.
    pub steps: Vec<Step>,
    pub days: DayKind,
    pub own_approval: bool,
    /// SHA-256 of the exact octets that are to be approved and sealed.
    pub original_sha256: [u8; 32],
    pub subject: String,
    /// Message-ID of the mail: what is told about the job is threaded to it.
    pub thread: String,
    pub started_at: UtcTime,
    /// When the whole flow has to be done: the total operating time.
    pub total_due: UtcTime,
    /// The job of the mail that this one was handed in anew for.
    pub follows: Option<JobId>,
    pub standing: Standing,
    pub undoable: Option<Undoable>,
    /// All who have had a hand in it.
    pub participants: BTreeSet<UserId>,
    /// Entries of its history.
    pub entries: u32,
    pub ended_at: Option<UtcTime>,
}

/// What holds for all decisions of a provider.
#[derive(Debug, Clone)]
pub struct Terms {
    pub calendar: Calendar,
    /// For how long a decision can be undone.
    pub undo: Duration,
    /// For how long a release is held back before it takes effect, so that it can be undone.
    pub send_delay: Duration,
}

/// What a job begins with.
#[derive(Debug)]
pub struct JobStart<'a> {
    pub id: JobId,
    pub tenant: TenantId,
    pub mail: MailId,
    pub item: ItemId,
    pub author: Option<UserId>,
    pub rule: &'a Rule,
    pub original_sha256: [u8; 32],
    pub subject: String,
    pub thread: String,
    pub follows: Option<JobId>,
    pub at: UtcTime,
}

/// A job as it stands afterwards, and what is to be written into its history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    pub job: Job,
    pub entries: Vec<Entry>,
}

impl Job {
    pub fn start(start: JobStart<'_>, org: &Organisation, terms: &Terms) -> Moved {
        let rule = start.rule;
        let mut job = Self {
            id: start.id,
            tenant: start.tenant,
            direction: rule.direction,
            mail: start.mail,
            item: start.item,
            author: start.author,
            rule: rule.id,
            rule_name: rule.name.clone(),
            rule_version: rule.version,
            steps: rule.steps.clone(),
            days: rule.days,
            own_approval: rule.own_approval,
            original_sha256: start.original_sha256,
            subject: start.subject,
            thread: start.thread,
            started_at: start.at,
            total_due: terms.calendar.after(start.at, rule.total_days(), rule.days),
            follows: start.follows,
            standing: Standing {
                state: JobState::Ready,
                step_since: start.at,
                parts: Vec::new(),
                given: Vec::new(),
                delegations: Vec::new(),
                reminded: false,
                late: false,
                escalated: false,
                stuck: false,
            },
            undoable: None,
            participants: BTreeSet::new(),
            entries: 0,
            ended_at: None,
        };
        job.enter_step(0, start.at);
        let mut entries = vec![job.entry(Happening::by_itself(Deed::Started, start.at))];
        entries.extend(job.note_stuck(org, start.at));
        Moved { job, entries }
    }

    pub fn is_ended(&self) -> bool {
        self.standing.state.is_ended()
    }

    /// The step that waits now.
    pub fn current_step(&self) -> Option<&Step> {
        match self.standing.state {
            JobState::Waiting(n) => self.steps.get(usize::from(n)),
            _ => None,
        }
    }

    /// When the job becomes late: its current step, or the whole of it, whichever is first.
    pub fn due(&self, terms: &Terms) -> Option<UtcTime> {
        let step = self.current_step()?;
        let step_due = terms
            .calendar
            .after(self.standing.step_since, step.limit_days, self.days);
        Some(step_due.min(self.total_due))
    }

    /// How long it has run, or ran until it ended.
    pub fn operating_time(&self, now: UtcTime) -> Duration {
        self.started_at.until(self.ended_at.unwrap_or(now))
    }

    /// How many more have to approve before a part is done. `All` counts those who are members now.
    fn wanting(&self, org: &Organisation, index: usize, part: &Part) -> usize {
        let given = self.given_to(index).count();
        if self.given_to(index).any(|g| g.escalated) {
            return 0;
        }
        match part.need {
            Need::One => 1usize.saturating_sub(given),
            Need::Quorum(n) => usize::from(n).saturating_sub(given),
            Need::All => {
                let named: BTreeSet<UserId> = self.given_to(index).map(|g| g.in_name_of).collect();
                let left = self.members(org, part.who).difference(&named).count();
                // An empty party has approved nothing.
                if given == 0 { left.max(1) } else { left }
            }
        }
    }

    fn given_to(&self, index: usize) -> impl Iterator<Item = &Given> {
        self.standing
            .given
            .iter()
            .filter(move |g| usize::from(g.part) == index)
    }

    /// The members of a party who may decide on this mail.
    fn members(&self, org: &Organisation, who: Who) -> BTreeSet<UserId> {
        let mut members = org.members(who);
        if let Some(author) = self.author.filter(|_| !self.own_approval) {
            members.remove(&author);
        }
        members
    }

    /// The parts of the current step that still want an approval, by their place in it.
    fn open_parts(&self, org: &Organisation) -> Vec<u8> {
        let open = |(index, part): (usize, &Part)| {
            let index = (self.wanting(org, index, part) > 0).then_some(index)?;
            u8::try_from(index).ok()
        };
        let waiting = matches!(self.standing.state, JobState::Waiting(_));
        let parts = self.standing.parts.iter().enumerate().filter_map(open);
        parts.filter(|_| waiting).collect()
    }

    /// Whether some open part of the step can never be done by those who are there now.
    pub fn is_stuck(&self, org: &Organisation) -> bool {
        let decided = self.decided();
        let open = self.open_parts(org);
        if open.is_empty() {
            // All who were left have approved, and then somebody else left: an officer has to say what that means.
            return matches!(self.standing.state, JobState::Waiting(_));
        }
        open.into_iter().any(|index| {
            let Some(part) = self.standing.parts.get(usize::from(index)) else {
                return false;
            };
            let able = |who| self.members(org, who).difference(&decided).count();
            let escalation = self.escalated_to().is_some_and(|who| able(who) > 0);
            !escalation && able(part.who) < self.wanting(org, usize::from(index), part)
        })
    }

    /// Those who may decide now, in their own name or for somebody; who stands in for whom at `now`.
    pub fn deciders(&self, org: &Organisation, now: UtcTime) -> BTreeSet<UserId> {
        let facet = self.facet(org);
        let parties = facet.open.iter().map(|o| o.who).chain(facet.also);
        let members: BTreeSet<UserId> = parties.flat_map(|who| org.members(who)).collect();
        // Only these can be, so that not everybody of a large organisation has to be asked for whom he stands in.
        let deputies = members.iter().filter_map(|u| org.users.get(u));
        let deputies = deputies.flat_map(|u| u.deputies.iter().map(|d| d.user));
        let delegates = self.standing.delegations.iter().map(|d| d.to);
        let able: BTreeSet<UserId> = deputies.chain(delegates).chain(members.iter().copied()).collect();
        let roll = Roll::of_all(org, now);
        let may = |user: &&User| {
            let capacities = roll.capacities(user);
            facet.opening(org, self.author, user.id, &capacities).is_some()
        };
        let able = able.iter().filter_map(|u| org.users.get(u));
        able.filter(|u| !u.removed).filter(may).map(|u| u.id).collect()
    }

    /// Persons who have decided at the current step, and those in whose name they did: each counts once.
    fn decided(&self) -> BTreeSet<UserId> {
        let given = &self.standing.given;
        given.iter().flat_map(|g| [g.by, g.in_name_of]).collect()
    }

    fn escalated_to(&self) -> Option<Who> {
        let escalation = self.current_step()?.escalation?;
        self.standing.escalated.then_some(escalation.to)
    }

    /// The part mailboxes ask about.
    pub fn facet(&self, org: &Organisation) -> JobFacet {
        let mut concerned: BTreeSet<Who> = BTreeSet::new();
        for step in &self.steps {
            concerned.extend(step.parts.iter().map(|p| p.who));
            concerned.extend(step.escalation.map(|e| e.to));
        }
        concerned.extend(self.standing.parts.iter().map(|p| p.who));
        concerned.extend(self.standing.delegations.iter().map(|d| Who::User(d.to)));
        let open = self.open_parts(org).into_iter().filter_map(|part| {
            let who = self.standing.parts.get(usize::from(part))?.who;
            Some(Opening { part, who })
        });
        JobFacet {
            id: self.id,
            phase: match self.standing.state {
                JobState::Waiting(_) => JobPhase::Waiting,
                JobState::Returned => JobPhase::Returned,
                JobState::Ready | JobState::Leaving(_) => JobPhase::Ready,
                _ => JobPhase::Ended,
            },
            late: self.standing.late,
            own_approval: self.own_approval,
            open: open.collect(),
            also: self.escalated_to(),
            decided: self.decided(),
            delegations: self.standing.delegations.clone(),
            participants: self.participants.clone(),
            concerned,
        }
    }

    fn enter_step(&mut self, n: u16, at: UtcTime) {
        let step = self.steps.get(usize::from(n));
        let standing = &mut self.standing;
        standing.parts = step.map(|s| s.parts.clone()).unwrap_or_default();
        standing.state = match (step, self.direction) {
            (Some(_), _) => JobState::Waiting(n),
            (None, Direction::Outgoing) => JobState::Ready,
            (None, Direction::Incoming) => JobState::Approved,
        };
        standing.step_since = at;
        standing.given.clear();
        standing.delegations.clear();
        standing.reminded = false;
        standing.late = false;
        standing.escalated = false;
        standing.stuck = false;
    }

    /// The next entry of the history.
    fn entry(&mut self, happening: Happening) -> Entry {
        let n = self.entries;
        self.entries += 1;
        Entry {
            n,
            job: self.id,
            happening,
            state: self.standing.state.word().to_owned(),
            original_sha256: self.original_sha256,
        }
    }

    /// The author has handed his mail in anew; `None` unless it was given back to him.
    pub fn resubmitted(&self, by: Happening) -> Option<Moved> {
        if self.standing.state != JobState::Returned {
            return None;
        }
        let mut job = self.clone();
        job.undoable = None;
        job.standing.state = JobState::Resubmitted;
        job.ended_at = Some(by.at);
        let entry = job.entry(by);
        Some(Moved {
            job,
            entries: vec![entry],
        })
    }
}

#[cfg(test)]
mod tests;
