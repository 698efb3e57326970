//! Approval rules: what they match and which roles decide, in order.
//!
//! Matching is "contains" on decoded headers under Turkish folding. A running job keeps the version of the rule it
//! started with.

use crate::domain::folding::turkish_fold;
use crate::id::{RoleId, RuleId};
use serde::{Deserialize, Serialize};

/// Steps of one rule. More levels of approval than this is an error in the rule, not a wish; and the decisions of all of
/// them, with the longest names and notes, fit the row of their job.
pub const STEPS_MAX: usize = 10;
/// Longest limit of one step, in days.
pub const STEP_LIMIT_MAX_DAYS: u16 = 365;

/// Which header of an outgoing mail a condition reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Field {
    To,
    Subject,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    pub field: Field,
    pub contains: String,
}

/// One approval: a user of this role decides within so many days.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    pub role: RoleId,
    pub limit_days: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    pub id: RuleId,
    pub name: String,
    /// Grows with each change of the rule.
    pub version: u32,
    pub enabled: bool,
    /// The rule matches when any of these does.
    pub conditions: Vec<Condition>,
    pub steps: Vec<Step>,
}

/// The headers a rule may read.
#[derive(Debug, Clone, Default)]
pub struct Matchable {
    /// Recipient addresses and display names.
    pub to: Vec<String>,
    pub subject: String,
}

impl Rule {
    /// Whether an outgoing mail with these headers falls under the rule.
    pub fn matches(&self, mail: &Matchable) -> bool {
        self.enabled
            && self.conditions.iter().any(|condition| {
                let needle = turkish_fold(&condition.contains);
                match condition.field {
                    Field::Subject => turkish_fold(&mail.subject).contains(&needle),
                    Field::To => mail.to.iter().any(|to| turkish_fold(to).contains(&needle)),
                }
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(field: Field, contains: &str) -> Rule {
        Rule {
            id: RuleId(1),
            name: "Teklif".into(),
            version: 1,
            enabled: true,
            conditions: vec![Condition {
                field,
                contains: contains.into(),
            }],
            steps: vec![],
        }
    }

    #[test]
    fn matches_under_turkish_folding() {
        let mail = Matchable {
            to: vec!["alici@hs02.kep.test".into()],
            subject: "FİYAT TEKLİFİ".into(),
        };
        assert!(rule(Field::Subject, "teklif").matches(&mail));
        assert!(!rule(Field::Subject, "ihale").matches(&mail));
        assert!(rule(Field::To, "HS02").matches(&mail));
        assert!(!rule(Field::To, "teklif").matches(&mail));
        let mut disabled = rule(Field::Subject, "teklif");
        disabled.enabled = false;
        assert!(!disabled.matches(&mail));
    }
}
