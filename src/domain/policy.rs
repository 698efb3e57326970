//! May this user send this to them, and by which way: a value in, a [`Disposition`] out.
//!
//! ```text
//!                         limited user                          officer
//!   asks for a draft      draft                                 draft
//!   asks for a flow       flow of the named (or first matching) rule; a named rule that is not there: refused
//!   asks to send          as if nothing was asked               send
//!   asks nothing          flow of the first matching rule,      send; or, if the tenant wills it and a rule
//!                         else draft with a notice              matches, that rule's flow
//! ```
//!
//! What rules make of a mail that comes in is said by [`sort`]. [`rehearse`] and [`rehearse_incoming`] ask the same
//! functions what would become of a mail, for `kepctl rule test`.

use crate::domain::item::LABELS_MAX;
use crate::domain::mail::Consignment;
use crate::domain::org::{Organisation, User, UserKind};
use crate::domain::rule::{Direction, Folded, Matchable, Rule};
use crate::id::{LabelId, RuleId, UnitId};
use std::collections::BTreeSet;

/// Units one mail is routed to by rules. With labels and the participants of a job they fit the row of its item.
pub const ROUTES_MAX: usize = 64;

/// What the submitter asked for (`X-KEP-Islem`, `X-KEP-Kural`, or a subject prefix).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Asked {
    #[default]
    Nothing,
    Send,
    Draft,
    /// Start a flow; of the named rule when one is named.
    Flow(Option<String>),
}

/// What happens with a submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Disposition {
    Send,
    Flow(RuleId),
    Draft {
        notice: Option<DraftNotice>,
    },
    /// The named rule does not exist or is switched off.
    NoSuchRule(String),
}

/// Why it became a draft though none was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DraftNotice {
    /// The rules the user may pick from.
    pub rules: Vec<String>,
}

pub fn dispose(org: &Organisation, user: &User, asked: &Asked, mail: &Matchable) -> Disposition {
    let first_match = || {
        let folded = mail.folded();
        catching(org, user, &folded).next().map(|rule| rule.id)
    };
    let officer = user.kind == UserKind::Officer;
    match asked {
        Asked::Draft => Disposition::Draft { notice: None },
        Asked::Flow(Some(name)) => match org.rule_by_name(name).filter(|r| may_pick(org, r, user)) {
            Some(rule) => Disposition::Flow(rule.id),
            None => Disposition::NoSuchRule(name.clone()),
        },
        Asked::Flow(None) => flow_or_draft(org, user, first_match()),
        Asked::Send if officer => Disposition::Send,
        Asked::Nothing if officer => match first_match().filter(|_| org.tenant.officers_follow_rules) {
            Some(rule) => Disposition::Flow(rule),
            None => Disposition::Send,
        },
        Asked::Send | Asked::Nothing => flow_or_draft(org, user, first_match()),
    }
}

/// The rules that catch a mail this user writes, in the order they are asked.
pub fn catching<'a>(
    org: &'a Organisation,
    user: &'a User,
    mail: &'a Folded,
) -> impl Iterator<Item = &'a Rule> + 'a {
    let caught = org.rulebook.catching(Direction::Outgoing, mail);
    caught
        .filter_map(|id| org.rules.get(&id))
        .filter(|rule| speaks_of(org, rule, user))
}

/// What rules read of a mail that came in: the address that was verified. Display names of a dispatch are its
/// provider's, not the sender's.
pub fn readable(consignment: &Consignment) -> Matchable {
    Matchable {
        from: vec![consignment.sender.to_string()],
        to: Vec::new(),
        subject: consignment.subject.clone(),
    }
}

/// What a tenant's rules make of a mail that comes in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sorting {
    /// The rules that catch it, in the order they are asked.
    pub caught: Vec<RuleId>,
    /// Labels and units of all of them, as far as one item takes them.
    pub labels: BTreeSet<LabelId>,
    pub units: BTreeSet<UnitId>,
    /// The first of them that asks for approval: it starts a job.
    pub asks: Option<RuleId>,
}

pub fn sort(org: &Organisation, mail: &Matchable) -> Sorting {
    let folded = mail.folded();
    let caught = org.rulebook.catching(Direction::Incoming, &folded);
    let mut sorting = Sorting::default();
    for rule in caught.filter_map(|id| org.rules.get(&id)) {
        sorting.caught.push(rule.id);
        let defined = rule.labels.iter().filter(|l| org.labels.contains_key(l));
        fill(&mut sorting.labels, defined, LABELS_MAX);
        fill(&mut sorting.units, rule.units.iter(), ROUTES_MAX);
        if sorting.asks.is_none() && !rule.steps.is_empty() {
            sorting.asks = Some(rule.id);
        }
    }
    sorting
}

fn fill<'a, T: Ord + Copy + 'a>(set: &mut BTreeSet<T>, more: impl Iterator<Item = &'a T>, max: usize) {
    for one in more {
        if set.len() < max {
            set.insert(*one);
        }
    }
}

/// What would become of a mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The rules that catch it, in the order they are asked: the first is asked first.
    pub caught: Vec<RuleId>,
    pub then: Then,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Then {
    Send,
    Flow(RuleId),
    Draft,
    /// It came in.
    Sort(Sorting),
}

/// What would become of a mail that this user hands in, if he asks for nothing.
pub fn rehearse(org: &Organisation, user: &User, mail: &Matchable) -> Verdict {
    let folded = mail.folded();
    Verdict {
        caught: catching(org, user, &folded).map(|rule| rule.id).collect(),
        then: match dispose(org, user, &Asked::Nothing, mail) {
            Disposition::Send => Then::Send,
            Disposition::Flow(rule) => Then::Flow(rule),
            Disposition::Draft { .. } | Disposition::NoSuchRule(_) => Then::Draft,
        },
    }
}

/// What would become of a mail that comes in.
pub fn rehearse_incoming(org: &Organisation, mail: &Matchable) -> Verdict {
    let sorting = sort(org, mail);
    Verdict {
        caught: sorting.caught.clone(),
        then: Then::Sort(sorting),
    }
}

/// Whether a rule speaks of mail that this user writes.
fn speaks_of(org: &Organisation, rule: &Rule, user: &User) -> bool {
    rule.subjects.is_empty() || rule.subjects.iter().any(|who| org.is_subject(user, *who))
}

/// Whether the user may start this rule's flow by naming it, whatever its conditions say.
pub fn may_pick(org: &Organisation, rule: &Rule, user: &User) -> bool {
    rule.enabled && rule.direction == Direction::Outgoing && speaks_of(org, rule, user)
}

fn flow_or_draft(org: &Organisation, user: &User, rule: Option<RuleId>) -> Disposition {
    match rule {
        Some(rule) => Disposition::Flow(rule),
        None => {
            let offered = org
                .rules_in_order()
                .into_iter()
                .filter(|r| may_pick(org, r, user));
            let rules = offered.map(|r| r.name.clone()).collect();
            Disposition::Draft {
                notice: Some(DraftNotice { rules }),
            }
        }
    }
}
