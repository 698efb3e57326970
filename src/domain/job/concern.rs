//! Who is told of what happens to a job, and what is asked of each.
//!
//! ```text
//! what happened                     author  had a hand  whose turn it is   was asked  officers
//! start                             yes     -           yes                -          -
//! approve, and the step goes on     yes     -           -                  -          -
//! approve, and the step is done     yes     yes         if a step begins   -          if all have approved
//! delegate                          yes     yes         only he            -          -
//! reassign, undo, note              yes     yes         yes                -          -
//! reject, return, withdraw, cancel  yes     yes         -                  yes        -
//! release, leave, resubmit          yes     yes         -                  -          -
//! remind                            -       -           yes                -          -
//! late, escalate                    yes     -           yes                -          yes
//! stuck                             yes     -           -                  -          who may reassign
//! expire                            yes     yes         -                  yes        yes
//! ```
//! Whose turn it is: who may decide the step, or the officers when all have approved. Who was asked: those whose turn it
//! was when somebody ended it; they would look for it in vain. That a colleague approved in their place they see from
//! their mailbox, and a large role is not told twice of each mail. While a step goes on, its approvals are told to the
//! author alone: of a step that wants two hundred, each would else be told to all who were before.
//!
//! Nobody is told of what he did himself: the way he did it by has answered him. Only if a step begins that is his as
//! well is he told, for then something is asked of him. Who has been removed is told nothing.

use super::{Act, Deed, Entry, Job, JobState, Standing};
use crate::clock::UtcTime;
use crate::domain::org::{Organisation, Permission, UserKind};
use crate::id::UserId;
use std::collections::{BTreeMap, BTreeSet};

/// What is asked of somebody who is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    Nothing,
    /// It is his own mail, and he may still take it back.
    Withdraw,
    /// It was given back to him.
    Resume,
    Release,
    /// Nobody is left who could decide.
    Reassign,
    Decide,
}

impl Call {
    /// Whether it can be done by a command, which names its user.
    pub fn has_command(self) -> bool {
        !matches!(self, Call::Nothing | Call::Resume)
    }
}

impl Job {
    /// The job as it was at another moment.
    pub fn as_it_was(&self, standing: Standing, participants: BTreeSet<UserId>) -> Job {
        Job {
            standing,
            participants,
            ..self.clone()
        }
    }

    /// Whom an entry of the history is told to, and what is asked of each. The job is to be as it was right after
    /// the entry; who holds which right, and who stands in for whom, counts as of `now`.
    pub fn hearers(&self, org: &Organisation, entry: &Entry, now: UtcTime) -> BTreeMap<UserId, Call> {
        let happening = &entry.happening;
        let turn = self.whose_turn(org, now);
        let mut told = BTreeSet::new();
        if happening.deed != Deed::Reminded {
            told.extend(self.author);
        }
        let begun = self.begins_step(entry);
        let goes_on = happening.deed == Deed::Decided(Act::Approve)
            && matches!(self.standing.state, JobState::Waiting(_))
            && !begun;
        if tells_participants(&happening.deed) && !goes_on {
            told.extend(&self.participants);
        }
        match happening.deed {
            Deed::Started | Deed::Noted | Deed::Reminded => told.extend(&turn),
            Deed::Decided(Act::Approve) if begun => told.extend(&turn),
            Deed::Decided(Act::Approve) if self.standing.state == JobState::Approved => {
                told.extend(officers(org))
            }
            Deed::Decided(Act::Reassign(_) | Act::Undo) => told.extend(&turn),
            Deed::Decided(Act::Delegate(to)) => drop(told.insert(to)),
            Deed::Decided(Act::Reject | Act::Return | Act::Withdraw | Act::Cancel) => {
                told.extend(self.asked_before(org, entry, now));
            }
            Deed::Decided(Act::Approve | Act::Release) | Deed::Left | Deed::HandedInAnew => {}
            Deed::BecameLate | Deed::Escalated => told.extend(turn.iter().copied().chain(officers(org))),
            Deed::Stuck => told.extend(may_reassign(org)),
            Deed::Expired => {
                told.extend(self.asked_before(org, entry, now));
                told.extend(officers(org));
            }
        }
        if let Some(actor) = happening.actor.filter(|actor| !(begun && turn.contains(actor))) {
            told.remove(&actor);
        }
        told.retain(|user| org.users.get(user).is_some_and(|u| !u.removed));
        let call = |user| (user, self.call(org, user, &turn));
        told.into_iter().map(call).collect()
    }

    fn whose_turn(&self, org: &Organisation, now: UtcTime) -> BTreeSet<UserId> {
        match self.standing.state {
            JobState::Waiting(_) => self.deciders(org, now),
            JobState::Ready => officers(org).collect(),
            _ => BTreeSet::new(),
        }
    }

    /// Whose turn it was before somebody, or the clock, ended it.
    fn asked_before(&self, org: &Organisation, entry: &Entry, now: UtcTime) -> BTreeSet<UserId> {
        let state = match entry.happening.step {
            Some(n) => JobState::Waiting(n.saturating_sub(1)),
            // No step is left behind when all have approved; one that was given back keeps its parties.
            None if self.standing.parts.is_empty() => JobState::Ready,
            None => return BTreeSet::new(),
        };
        let before = Standing {
            state,
            ..self.standing.clone()
        };
        self.as_it_was(before, BTreeSet::new()).whose_turn(org, now)
    }

    /// Whether it has become somebody else's turn by this entry.
    fn begins_step(&self, entry: &Entry) -> bool {
        entry.happening.deed == Deed::Decided(Act::Approve)
            && match self.standing.state {
                JobState::Waiting(n) => entry.happening.step != Some(n + 1),
                JobState::Ready => true,
                _ => false,
            }
    }

    fn call(&self, org: &Organisation, user: UserId, turn: &BTreeSet<UserId>) -> Call {
        let standing = &self.standing;
        let waiting = matches!(standing.state, JobState::Waiting(_));
        let may = |permission| org.users.get(&user).is_some_and(|u| org.may(u, permission));
        if turn.contains(&user) {
            return if waiting { Call::Decide } else { Call::Release };
        }
        if waiting && standing.stuck && may(Permission::Jobs) {
            return Call::Reassign;
        }
        if self.author != Some(user) {
            return Call::Nothing;
        }
        match standing.state {
            JobState::Returned => Call::Resume,
            JobState::Waiting(_) | JobState::Ready => Call::Withdraw,
            _ => Call::Nothing,
        }
    }
}

fn tells_participants(deed: &Deed) -> bool {
    match deed {
        Deed::Decided(_) | Deed::Noted | Deed::Expired | Deed::Left | Deed::HandedInAnew => true,
        Deed::Started | Deed::Reminded | Deed::BecameLate | Deed::Escalated | Deed::Stuck => false,
    }
}

fn officers(org: &Organisation) -> impl Iterator<Item = UserId> {
    let officers = org.live_users().filter(|u| u.kind == UserKind::Officer);
    officers.map(|u| u.id)
}

fn may_reassign(org: &Organisation) -> impl Iterator<Item = UserId> {
    let able = org.live_users().filter(|u| org.may(u, Permission::Jobs));
    able.map(|u| u.id)
}
