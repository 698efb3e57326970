//! Rules: which mail they catch, and what becomes of it.
//!
//! An outgoing rule reads To and Subject, an incoming one From and Subject. What an outgoing rule catches waits for the
//! approvals of its steps, in order. What an incoming rule catches is labelled, routed to units, or waits for
//! approvals too. Matching is by [`matching`], under Turkish folding. A running job keeps the version of the rule it
//! started with.

pub mod matching;

pub use matching::{Folded, Matchable, RuleBook};

use crate::id::{LabelId, RoleId, RuleId, UnitId, UserId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Steps of one rule. More levels of approval than this is an error in the rule, not a wish.
pub const STEPS_MAX: usize = 10;
/// Parties that decide one step side by side. With [`STEPS_MAX`] steps they fit the row of a job.
pub const PARTS_MAX: usize = 8;
/// Conditions of one rule.
pub const CONDITIONS_MAX: usize = 50;
/// Longest text of a condition, in characters.
pub const CONDITION_MAX_CHARS: usize = 200;
/// Whom one rule may speak of, labels it may put on, units it may route to.
pub const NAMED_MAX: usize = 50;
/// Longest limit of one step, in days.
pub const STEP_LIMIT_MAX_DAYS: u16 = 365;

/// Somebody who decides, or of whom a rule speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Who {
    Role(RoleId),
    /// The users of the unit itself, not of those below.
    Unit(UnitId),
    User(UserId),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    Incoming,
    Outgoing,
}

/// Which header a condition reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Field {
    From,
    To,
    Subject,
}

impl Field {
    /// What a rule of this direction may read (`docs/features.md` S71).
    pub fn is_of(self, direction: Direction) -> bool {
        match self {
            Field::Subject => true,
            Field::To => direction == Direction::Outgoing,
            Field::From => direction == Direction::Incoming,
        }
    }
}

/// How a condition compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Comparison {
    Contains,
    Equals,
    Begins,
    /// Contains it as a whole word: no letter or digit on either side.
    Word,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    pub field: Field,
    pub comparison: Comparison,
    pub text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Combine {
    #[default]
    Any,
    All,
}

/// How many of a party have to approve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Need {
    One,
    /// All who are members when the step is decided, its author left out.
    All,
    Quorum(u16),
}

/// One party of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    pub who: Who,
    pub need: Need,
}

/// If nobody decides for so long after the limit, these may as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Escalation {
    /// Days after the limit; 0 is at the limit itself.
    pub after_days: u16,
    pub to: Who,
}

/// One level of approval: all its parts decide, side by side, within so many days.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    pub parts: Vec<Part>,
    pub limit_days: u16,
    /// Days after the step began at which those who have not decided are reminded.
    pub remind_after_days: Option<u16>,
    pub escalation: Option<Escalation>,
    /// Days after the step began at which the job ends undecided.
    pub expire_after_days: Option<u16>,
}

impl Step {
    /// A step that one member of one party decides.
    pub fn of(who: Who, limit_days: u16) -> Self {
        Self {
            parts: vec![Part { who, need: Need::One }],
            limit_days,
            remind_after_days: None,
            escalation: None,
            expire_after_days: None,
        }
    }
}

/// How the days of a rule are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DayKind {
    #[default]
    Calendar,
    Business,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    pub id: RuleId,
    pub name: String,
    /// Grows with each change of the rule.
    pub version: u32,
    pub enabled: bool,
    /// Rules are asked in this order; of equal ones, the older first.
    pub position: u32,
    pub direction: Direction,
    pub combine: Combine,
    pub conditions: Vec<Condition>,
    /// Whose mail it speaks of; empty: everybody's.
    pub subjects: BTreeSet<Who>,
    pub steps: Vec<Step>,
    pub days: DayKind,
    /// Limit of the whole flow in days; the sum of its steps' limits when left out.
    pub total_limit_days: Option<u16>,
    /// Whether an approver may decide on mail of his own.
    pub own_approval: bool,
    /// Labels it puts on incoming mail.
    pub labels: BTreeSet<LabelId>,
    /// Units it routes incoming mail to.
    pub units: BTreeSet<UnitId>,
}

impl Rule {
    /// Limit of the whole flow in days.
    pub fn total_days(&self) -> u16 {
        let steps = self.steps.iter().map(|s| s.limit_days);
        self.total_limit_days
            .unwrap_or_else(|| steps.fold(0, u16::saturating_add))
    }

    /// The longest time in days that its jobs count with: of the whole flow, or until a step expires.
    pub fn longest_days(&self) -> u16 {
        let mut before = 0u16;
        let mut longest = self.total_days();
        for step in &self.steps {
            let expiry = step.expire_after_days.unwrap_or(step.limit_days);
            longest = longest.max(before.saturating_add(expiry));
            before = before.saturating_add(step.limit_days);
        }
        longest
    }
}
