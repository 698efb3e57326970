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

use crate::domain::org::{Organisation, User, UserKind};
use crate::domain::rule::{Direction, Matchable, Rule};
use crate::id::RuleId;

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
        let mut caught = org.rulebook.catching(Direction::Outgoing, &folded);
        caught.find(|rule| org.rules.get(rule).is_some_and(|r| speaks_of(org, r, user)))
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
