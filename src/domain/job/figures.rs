//! Figures of jobs: how long each step of each rule took, how many wait, how many were late (`docs/features.md` P24).
//!
//! Read from the histories, so that what was undone does not count. Of times only a spread is kept: its size is
//! bounded whatever the number of jobs.

use super::{Act, Deed, Entry, Job, JobState};
use crate::clock::UtcTime;
use crate::id::RuleId;
use std::collections::BTreeMap;
use std::time::Duration;

/// A time up to this many seconds is kept as it is; a longer one loses what lies below its first seven binary digits,
/// less than 1.6 % of it.
const EXACT_S: u64 = 128;

/// How times are spread: exact number, sum and longest one, and a median that is less than 1.6 % too low.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spread {
    count: u64,
    sum_s: u64,
    max_s: u64,
    /// How often a time was so long, by its rounded seconds: at most 64 for each binary order.
    rounded: BTreeMap<u64, u64>,
}

impl Spread {
    pub fn add(&mut self, took: Duration) {
        let s = took.as_secs();
        self.count += 1;
        self.sum_s = self.sum_s.saturating_add(s);
        self.max_s = self.max_s.max(s);
        let order = (s / EXACT_S).checked_ilog2().map_or(0, |n| n + 1);
        *self.rounded.entry(s >> order << order).or_default() += 1;
    }

    /// The middle one; of an even number the lower of the two.
    pub fn median_s(&self) -> Option<u64> {
        let middle = self.count.checked_sub(1)? / 2;
        let mut passed = 0;
        self.rounded.iter().find_map(|(s, times)| {
            passed += times;
            (passed > middle).then_some(*s)
        })
    }

    pub fn max_s(&self) -> Option<u64> {
        (self.count > 0).then_some(self.max_s)
    }

    pub fn mean_s(&self) -> Option<u64> {
        self.sum_s.checked_div(self.count)
    }
}

/// Figures of one step, or of the whole of a rule's jobs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// All that came to it.
    pub jobs: u64,
    pub waiting: u64,
    /// Decided here; of the whole: ended. What was withdrawn, cancelled or expired at a step is not decided there.
    pub done: u64,
    pub late: u64,
    /// How long it took where it is done.
    pub took: Spread,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RuleFigures {
    /// As its latest job calls it.
    pub name: String,
    latest: Option<UtcTime>,
    pub whole: Tally,
    pub steps: Vec<Tally>,
}

/// By rule. A rule that is not there any more has figures as well.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Figures(pub BTreeMap<RuleId, RuleFigures>);

impl Figures {
    /// Counts one job with its whole history.
    pub fn count(&mut self, job: &Job, history: &[Entry], now: UtcTime) {
        let of_rule = self.0.entry(job.rule).or_default();
        if of_rule.latest.is_none_or(|latest| latest <= job.started_at) {
            of_rule.latest = Some(job.started_at);
            of_rule.name.clone_from(&job.rule_name);
        }
        let stays = stays(job, history);
        for stay in &stays {
            let at = usize::from(stay.step).saturating_sub(1);
            if of_rule.steps.len() <= at {
                of_rule.steps.resize_with(at + 1, Tally::default);
            }
            let Some(tally) = of_rule.steps.get_mut(at) else {
                continue;
            };
            tally.jobs += 1;
            tally.late += u64::from(stay.late);
            match stay.end {
                End::Waits => tally.waiting += 1,
                End::Decided(at) => {
                    tally.done += 1;
                    tally.took.add(stay.since.until(at));
                }
                End::BrokenOff => {}
            }
        }
        let whole = &mut of_rule.whole;
        whole.jobs += 1;
        whole.late += u64::from(stays.iter().any(|s| s.late));
        if job.is_ended() {
            whole.done += 1;
            whole.took.add(job.operating_time(now));
        } else {
            whole.waiting += 1;
        }
    }
}

/// How a job's stay at a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Waits,
    Decided(UtcTime),
    BrokenOff,
}

/// One time that a job was at a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stay {
    /// Counted from 1.
    step: u16,
    since: UtcTime,
    late: bool,
    end: End,
}

/// Where a job stood, step by step. A decision that was undone leaves no trace here.
fn stays(job: &Job, history: &[Entry]) -> Vec<Stay> {
    let mut stays: Vec<Stay> = Vec::new();
    let mut before_last: Option<Vec<Stay>> = None;
    for (n, entry) in history.iter().enumerate() {
        let at = entry.happening.at;
        let later = history.get(n + 1..).unwrap_or_default();
        match &entry.happening.deed {
            Deed::Started => open(&mut stays, step_after(job, entry, 1, later), at),
            Deed::Decided(Act::Undo) => {
                if let Some(before) = before_last.take() {
                    stays = before;
                }
            }
            Deed::Decided(act) => {
                before_last = Some(stays.clone());
                let Some(last) = stays.last_mut().filter(|s| s.end == End::Waits) else {
                    continue;
                };
                let after = step_after(job, entry, last.step, later);
                if after == Some(last.step) {
                    continue;
                }
                last.end = match act {
                    Act::Withdraw | Act::Cancel => End::BrokenOff,
                    _ => End::Decided(at),
                };
                open(&mut stays, after, at);
            }
            Deed::BecameLate => {
                if let Some(last) = stays.last_mut().filter(|s| s.end == End::Waits) {
                    last.late = true;
                }
            }
            Deed::Expired => {
                if let Some(last) = stays.last_mut().filter(|s| s.end == End::Waits) {
                    last.end = End::BrokenOff;
                }
            }
            Deed::Noted
            | Deed::Reminded
            | Deed::Escalated
            | Deed::Stuck
            | Deed::Left
            | Deed::HandedInAnew => {}
        }
    }
    stays
}

fn open(stays: &mut Vec<Stay>, step: Option<u16>, since: UtcTime) {
    stays.extend(step.map(|step| Stay {
        step,
        since,
        late: false,
        end: End::Waits,
    }));
}

/// The step that waited after an entry: the next entry that was made at a step says so, or the job itself.
fn step_after(job: &Job, entry: &Entry, now_at: u16, later: &[Entry]) -> Option<u16> {
    if entry.state != JobState::Waiting(0).word() {
        return None;
    }
    let told = later.iter().find_map(|e| e.happening.step);
    let standing = || match job.standing.state {
        JobState::Waiting(n) => n.saturating_add(1),
        // It expired undecided: its last step is the one that began last.
        _ if job.standing.step_since == entry.happening.at && entry.n > 0 => now_at.saturating_add(1),
        _ => now_at,
    };
    Some(told.unwrap_or_else(standing))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::job::{JobStart, Moved, Route, Terms, Wish};
    use crate::domain::org::{Organisation, Permission, Role, UserKind};
    use crate::domain::rule::{Need, Part, Rule, Step, Who};
    use crate::domain::samples::{organisation, rule, terms, user};
    use crate::id::{ItemId, JobId, MailId, RoleId, TenantId, UserId};
    use proptest::prelude::*;

    const DAY_S: i64 = 86_400;

    /// Users 11 and 12 decide step 1 together, user 13 decides step 2; user 1 is an officer, user 2 the author.
    fn house() -> (Organisation, Rule) {
        let mut org = organisation();
        for n in 11..=13 {
            let role = RoleId(if n == 13 { 2 } else { 1 });
            let mut one = user(n, UserKind::Limited);
            one.roles.insert(role);
            org.users.insert(one.id, one);
            org.roles.entry(role).or_insert(Role {
                id: role,
                name: format!("r{}", role.0),
                description: String::new(),
                permissions: [Permission::Approve].into(),
                removed: false,
            });
        }
        let both = Step {
            parts: vec![Part {
                who: Who::Role(RoleId(1)),
                need: Need::All,
            }],
            expire_after_days: Some(9),
            ..Step::of(Who::Role(RoleId(1)), 1)
        };
        let rule = rule(vec![both, Step::of(Who::Role(RoleId(2)), 2)]);
        (org, rule)
    }

    /// A job that is walked by (user, act, second); user 0 is the clock.
    fn walked(deeds: &[(u32, Act, i64)]) -> (Job, Vec<Entry>) {
        let (org, rule) = house();
        let terms = Terms {
            undo: Duration::from_secs(600 * 86_400),
            ..terms()
        };
        let start = JobStart {
            id: JobId::from_octets([1; 16]),
            tenant: TenantId(1),
            mail: MailId::from_octets([2; 16]),
            item: ItemId(1),
            author: Some(UserId(2)),
            rule: &rule,
            original_sha256: [3; 32],
            subject: String::new(),
            thread: String::new(),
            follows: None,
            at: UtcTime::from_unix_s(0),
        };
        let Moved { mut job, mut entries } = Job::start(start, &org, &terms);
        for (by, act, s) in deeds {
            let at = UtcTime::from_unix_s(*s);
            let moved = if *by == 0 {
                job.ring(&org, &terms, at).unwrap()
            } else {
                let wish = Wish {
                    act: *act,
                    actor: &org.users[&UserId(*by)],
                    actor_login: "x",
                    route: Route::Kepctl,
                    note: "",
                    original_sha256: [3; 32],
                    at,
                };
                job.decide(&org, &terms, &wish).unwrap()
            };
            job = moved.job;
            entries.extend(moved.entries);
        }
        (job, entries)
    }

    #[test]
    fn steps_are_timed_as_they_were_walked() {
        use Act::*;
        // (deeds, for each step: jobs waiting done late and the longest time; whole: done, longest)
        type Walk<'a> = &'a [(u32, Act, i64)];
        type Step = (u64, u64, u64, u64, Option<u64>);
        type Want<'a> = (&'a [Step], (u64, Option<u64>));
        let table: [(Walk<'_>, Want<'_>); 8] = [
            (&[], (&[(1, 1, 0, 0, None)], (0, None))),
            (&[(11, Approve, 10)], (&[(1, 1, 0, 0, None)], (0, None))),
            (
                &[
                    (11, Approve, 10),
                    (12, Approve, 40),
                    (13, Approve, 100),
                    (1, Release, 130),
                ],
                (&[(1, 0, 1, 0, Some(40)), (1, 0, 1, 0, Some(60))], (1, Some(130))),
            ),
            // Late at step 1, and decided all the same.
            (
                &[
                    (0, Approve, DAY_S),
                    (11, Approve, DAY_S + 1),
                    (12, Approve, DAY_S + 2),
                ],
                (
                    &[(1, 0, 1, 1, Some(DAY_S as u64 + 2)), (1, 1, 0, 0, None)],
                    (0, None),
                ),
            ),
            // What was undone does not count: step 1 took until the second approval that stands.
            (
                &[
                    (11, Approve, 10),
                    (12, Approve, 40),
                    (12, Undo, 50),
                    (12, Approve, 90),
                    (13, Reject, 95),
                ],
                (&[(1, 0, 1, 0, Some(90)), (1, 0, 1, 0, Some(5))], (1, Some(95))),
            ),
            (&[(2, Withdraw, 7)], (&[(1, 0, 0, 0, None)], (1, Some(7)))),
            (
                &[(11, Approve, 5), (0, Approve, DAY_S), (0, Approve, 9 * DAY_S)],
                (&[(1, 0, 0, 1, None)], (1, Some(9 * DAY_S as u64))),
            ),
            // A delegation and a return move nothing on and something back.
            (
                &[(11, Delegate(UserId(13)), 3), (11, Return, 8)],
                (&[(1, 0, 1, 0, Some(8))], (0, None)),
            ),
        ];
        for (deeds, (steps, whole)) in table {
            let (job, entries) = walked(deeds);
            let mut figures = Figures::default();
            figures.count(&job, &entries, UtcTime::from_unix_s(20 * DAY_S));
            let of_rule = &figures.0[&RuleId(1)];
            let told: Vec<_> = of_rule
                .steps
                .iter()
                .map(|t| (t.jobs, t.waiting, t.done, t.late, t.took.max_s()))
                .collect();
            assert_eq!(told, steps, "{deeds:?}");
            let all = &of_rule.whole;
            assert_eq!((all.done, all.took.max_s()), whole, "{deeds:?}");
            assert_eq!((all.jobs, all.waiting), (1, 1 - all.done), "{deeds:?}");
        }
    }

    #[test]
    fn nothing_has_no_median() {
        let none = Spread::default();
        assert_eq!((none.median_s(), none.max_s(), none.mean_s()), (None, None, None));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_spread_is_small_and_nearly_exact(mut times in prop::collection::vec(0u64..40_000_000, 1..300)) {
            let mut spread = Spread::default();
            for s in &times {
                spread.add(Duration::from_secs(*s));
            }
            times.sort_unstable();
            let (exact, told) = (times[(times.len() - 1) / 2], spread.median_s().unwrap());
            prop_assert!(told <= exact && exact - told <= exact / 64, "{told} {exact}");
            prop_assert_eq!(spread.max_s(), times.last().copied());
            prop_assert_eq!(spread.mean_s().unwrap(), times.iter().sum::<u64>() / times.len() as u64);
            prop_assert!(spread.rounded.len() <= 128 + 64 * 20);
        }
    }
}
