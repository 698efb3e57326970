//! What the clock and changes of the organisation do to a job: reminders, the red list, escalation, expiry, departure,
//! and steps that nobody is left to decide.

use super::{Deed, Entry, Happening, Job, JobState, Moved, Terms};
use crate::clock::UtcTime;
use crate::domain::org::Organisation;

/// The next moment at which the clock has something to say about a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Alarm {
    pub at: UtcTime,
}

/// One thing that the clock does at the current step, if it has not yet.
struct Due {
    at: UtcTime,
    deed: Deed,
}

impl Job {
    /// When to look at the job next. `None`: the clock has nothing more to say until somebody decides.
    pub fn next_alarm(&self, terms: &Terms) -> Option<Alarm> {
        let next = self.outstanding(terms).into_iter().map(|d| d.at).min();
        next.map(|at| Alarm { at })
    }

    /// What has come due by now. `None`: nothing.
    pub fn ring(&self, org: &Organisation, terms: &Terms, now: UtcTime) -> Option<Moved> {
        let mut due = self.outstanding(terms);
        due.retain(|d| d.at <= now);
        due.sort_by_key(|d| d.at);
        let mut job = self.clone();
        let mut entries = Vec::new();
        for Due { deed, .. } in due {
            if job.is_ended() {
                break;
            }
            // The step that expires is named, though nothing waits any more.
            let step = job.step_number();
            job.obey_clock(&deed, now);
            entries.push(job.by_itself(deed, step, now));
        }
        entries.extend(job.note_stuck(org, now));
        (!entries.is_empty()).then_some(Moved { job, entries })
    }

    /// The organisation has changed: whether somebody is left who can decide.
    pub fn review(&self, org: &Organisation, now: UtcTime) -> Option<Moved> {
        let mut job = self.clone();
        let entries: Vec<Entry> = job.note_stuck(org, now).into_iter().collect();
        (job != *self).then_some(Moved { job, entries })
    }

    /// Notes whether nobody is left who could decide; gives the entry to be told when that is new.
    pub(super) fn note_stuck(&mut self, org: &Organisation, now: UtcTime) -> Option<Entry> {
        let stuck = self.is_stuck(org);
        let news = stuck && !self.standing.stuck;
        self.standing.stuck = stuck;
        news.then(|| self.by_itself(Deed::Stuck, self.step_number(), now))
    }

    /// The step that waits now, counted from 1.
    fn step_number(&self) -> Option<u16> {
        match self.standing.state {
            JobState::Waiting(n) => Some(n + 1),
            _ => None,
        }
    }

    fn by_itself(&mut self, deed: Deed, step: Option<u16>, at: UtcTime) -> Entry {
        self.entry(Happening {
            step,
            ..Happening::by_itself(deed, at)
        })
    }

    fn obey_clock(&mut self, deed: &Deed, now: UtcTime) {
        match deed {
            Deed::Reminded => self.standing.reminded = true,
            Deed::BecameLate => self.standing.late = true,
            Deed::Escalated => self.standing.escalated = true,
            Deed::Expired => {
                self.standing.state = JobState::Expired;
                self.standing.late = false;
                self.undoable = None;
                self.ended_at = Some(now);
            }
            Deed::Left => {
                self.standing.state = JobState::Released;
                self.undoable = None;
                self.ended_at = Some(now);
            }
            Deed::Started | Deed::Decided(_) | Deed::Noted | Deed::Stuck | Deed::HandedInAnew => {}
        }
    }

    /// All that the clock has still to do, at its moments.
    fn outstanding(&self, terms: &Terms) -> Vec<Due> {
        if let JobState::Leaving(at) = self.standing.state {
            return vec![Due { at, deed: Deed::Left }];
        }
        let (Some(step), Some(late_at)) = (self.current_step(), self.due(terms)) else {
            return Vec::new();
        };
        let standing = &self.standing;
        let after = |days| terms.calendar.after(standing.step_since, days, self.days);
        let mut due = Vec::new();
        let mut add = |done: bool, at: Option<UtcTime>, deed: Deed| {
            if let Some(at) = at.filter(|_| !done) {
                due.push(Due { at, deed });
            }
        };
        add(
            standing.reminded,
            step.remind_after_days.map(after),
            Deed::Reminded,
        );
        add(standing.late, Some(late_at), Deed::BecameLate);
        let escalates = step
            .escalation
            .map(|e| after(step.limit_days.saturating_add(e.after_days)));
        add(standing.escalated, escalates, Deed::Escalated);
        add(false, step.expire_after_days.map(after), Deed::Expired);
        due
    }
}
