//! Rules: made, changed, switched on and off. What a rule names must be there and able to decide.

use super::{Changes, Draft, check_name, missing, refuse_taken, unknown};
use crate::domain::folding::turkish_fold;
use crate::domain::job::APPROVALS_MAX;
use crate::domain::org::{Organisation, Permission};
use crate::domain::rule::{
    CONDITION_MAX_CHARS, CONDITIONS_MAX, Combine, Condition, DayKind, Direction, Escalation, NAMED_MAX, Need,
    PARTS_MAX, Part, Rule, STEP_LIMIT_MAX_DAYS, STEPS_MAX, Step, Who,
};
use crate::id::{RuleId, TenantId};
use crate::service::failure::{Failure, Kind};
use std::collections::BTreeSet;

/// A step in names. A party is `role:NAME`, `unit:PATH`, `user:NAME`, or a role's bare name.
#[derive(Debug, Clone)]
pub struct NewStep {
    pub parts: Vec<(Need, String)>,
    pub limit_days: u16,
    pub remind_after_days: Option<u16>,
    /// Days after the limit, and who may decide then as well.
    pub escalation: Option<(u16, String)>,
    pub expire_after_days: Option<u16>,
}

impl NewStep {
    /// A step that one user of a role decides.
    pub fn of(role: &str, limit_days: u16) -> Self {
        Self {
            parts: vec![(Need::One, role.to_owned())],
            limit_days,
            remind_after_days: None,
            escalation: None,
            expire_after_days: None,
        }
    }
}

/// What a rule shall be; what is left out stays as it is, or as it is usual.
#[derive(Debug, Clone, Default)]
pub struct RuleWish {
    pub combine: Option<Combine>,
    pub conditions: Option<Vec<Condition>>,
    /// Parties; an empty list: everybody.
    pub subjects: Option<Vec<String>>,
    pub steps: Option<Vec<NewStep>>,
    pub days: Option<DayKind>,
    pub total_limit_days: Option<u16>,
    pub own_approval: Option<bool>,
    pub labels: Option<Vec<String>>,
    /// Units by path.
    pub units: Option<Vec<String>>,
    pub position: Option<u32>,
}

impl Changes<'_> {
    pub async fn add_rule(
        self,
        tenant: TenantId,
        name: &str,
        direction: Direction,
        wish: &RuleWish,
    ) -> Result<Rule, Failure> {
        check_name(name)?;
        self.change("rule add", tenant, |draft| {
            refuse_taken("rule", name, draft.org.rules.values().map(|r| r.name.as_str()))?;
            let mut rule = Rule {
                id: RuleId(draft.next_number()),
                name: name.trim().into(),
                version: 1,
                enabled: true,
                position: 0,
                direction,
                combine: Combine::Any,
                conditions: Vec::new(),
                subjects: BTreeSet::new(),
                steps: Vec::new(),
                days: DayKind::Calendar,
                total_limit_days: None,
                own_approval: false,
                labels: BTreeSet::new(),
                units: BTreeSet::new(),
            };
            apply(draft, &mut rule, wish)?;
            check_rule(draft.org, &rule)?;
            draft.put(&rule)?;
            Ok(rule)
        })
        .await
    }

    /// Changes what is given. Jobs that run keep the steps they started with.
    pub async fn set_rule(self, tenant: TenantId, name: &str, wish: &RuleWish) -> Result<Rule, Failure> {
        self.change_rule("rule set", tenant, name, |draft, rule| {
            apply(draft, rule, wish)?;
            check_rule(draft.org, rule)
        })
        .await
    }

    pub async fn enable_rule(self, tenant: TenantId, name: &str, enabled: bool) -> Result<Rule, Failure> {
        self.change_rule("rule enable", tenant, name, |draft, rule| {
            rule.enabled = enabled;
            if enabled {
                check_rule(draft.org, rule)
            } else {
                Ok(())
            }
        })
        .await
    }

    /// Removes a rule. Jobs that run go on.
    pub async fn remove_rule(self, tenant: TenantId, name: &str) -> Result<Rule, Failure> {
        self.change("rule remove", tenant, |draft| {
            let id = draft.rule(name)?;
            let rule = draft.org.rules.get(&id).cloned().ok_or_else(|| missing("rule"))?;
            draft.remove(&rule);
            Ok(rule)
        })
        .await
    }

    async fn change_rule(
        self,
        deed: &'static str,
        tenant: TenantId,
        name: &str,
        change: impl Fn(&mut Draft<'_>, &mut Rule) -> Result<(), Failure>,
    ) -> Result<Rule, Failure> {
        self.change(deed, tenant, |draft| {
            let id = draft.rule(name)?;
            let mut rule = draft.org.rules.get(&id).cloned().ok_or_else(|| missing("rule"))?;
            change(draft, &mut rule)?;
            rule.version += 1;
            draft.put(&rule)?;
            Ok(rule)
        })
        .await
    }
}

impl Draft<'_> {
    /// A party by its name.
    pub fn who(&self, text: &str) -> Result<Who, Failure> {
        who_named(self.org, text)
    }
}

/// A role, unit or user by its kind and name: `role:Onay Rolü`, `unit:A/B`, `user:ayse`. A bare name is a role's.
pub fn who_named(org: &Organisation, text: &str) -> Result<Who, Failure> {
    let (kind, name) = match text.split_once(':') {
        Some((kind, name)) if matches!(kind.trim(), "role" | "unit" | "user") => (kind.trim(), name.trim()),
        _ => ("role", text.trim()),
    };
    if name.is_empty() {
        return no(format!("the name of the {kind} is empty; say who decides"));
    }
    let found = match kind {
        "unit" => org.unit_by_path(name).map(|u| Who::Unit(u.id)),
        "user" => org.user_by_name(name).map(|u| Who::User(u.id)),
        _ => org.role_by_name(name).map(|r| Who::Role(r.id)),
    };
    found.ok_or_else(|| {
        let known: Vec<String> = match kind {
            "unit" => org.live_units().map(|u| org.unit_path(u.id)).collect(),
            "user" => org.live_users().map(|u| u.name.clone()).collect(),
            _ => org.live_roles().map(|r| r.name.clone()).collect(),
        };
        let say = unknown(kind, name, known.iter().map(String::as_str));
        Failure::refused(Kind::NotFound, say)
    })
}

fn apply(draft: &Draft<'_>, rule: &mut Rule, wish: &RuleWish) -> Result<(), Failure> {
    if let Some(combine) = wish.combine {
        rule.combine = combine;
    }
    if let Some(conditions) = &wish.conditions {
        rule.conditions.clone_from(conditions);
    }
    if let Some(subjects) = &wish.subjects {
        rule.subjects = subjects.iter().map(|s| draft.who(s)).collect::<Result<_, _>>()?;
    }
    if let Some(steps) = &wish.steps {
        rule.steps = steps.iter().map(|s| step(draft, s)).collect::<Result<_, _>>()?;
    }
    if let Some(days) = wish.days {
        rule.days = days;
    }
    if wish.total_limit_days.is_some() {
        rule.total_limit_days = wish.total_limit_days;
    }
    if let Some(own) = wish.own_approval {
        rule.own_approval = own;
    }
    if let Some(labels) = &wish.labels {
        rule.labels = labels.iter().map(|l| draft.label(l)).collect::<Result<_, _>>()?;
    }
    if let Some(units) = &wish.units {
        rule.units = units.iter().map(|u| draft.unit(u)).collect::<Result<_, _>>()?;
    }
    if let Some(position) = wish.position {
        rule.position = position;
    }
    Ok(())
}

fn step(draft: &Draft<'_>, new: &NewStep) -> Result<Step, Failure> {
    let part = |(need, who): &(Need, String)| {
        Ok(Part {
            who: draft.who(who)?,
            need: *need,
        })
    };
    Ok(Step {
        parts: new.parts.iter().map(part).collect::<Result<_, Failure>>()?,
        limit_days: new.limit_days,
        remind_after_days: new.remind_after_days,
        escalation: match &new.escalation {
            Some((after_days, to)) => Some(Escalation {
                after_days: *after_days,
                to: draft.who(to)?,
            }),
            None => None,
        },
        expire_after_days: new.expire_after_days,
    })
}

fn no<T>(say: impl Into<String>) -> Result<T, Failure> {
    Err(Failure::refused(Kind::Invalid, say.into()))
}

/// What must hold of every rule that is switched on.
fn check_rule(org: &Organisation, rule: &Rule) -> Result<(), Failure> {
    let incoming = rule.direction == Direction::Incoming;
    if rule.conditions.is_empty()
        || rule
            .conditions
            .iter()
            .any(|c| turkish_fold(c.text.trim()).is_empty())
    {
        return no("a rule needs at least one condition, and each condition a text");
    }
    if rule.conditions.len() > CONDITIONS_MAX {
        return no(format!("a rule has at most {CONDITIONS_MAX} conditions"));
    }
    if rule
        .conditions
        .iter()
        .any(|c| c.text.chars().count() > CONDITION_MAX_CHARS)
    {
        return no(format!(
            "the text of a condition has at most {CONDITION_MAX_CHARS} characters"
        ));
    }
    if rule.conditions.iter().any(|c| !c.field.is_of(rule.direction)) {
        return no("an incoming rule reads From and Subject, an outgoing one To and Subject");
    }
    if rule.subjects.len().max(rule.labels.len()).max(rule.units.len()) > NAMED_MAX {
        return no(format!(
            "a rule names at most {NAMED_MAX} parties, labels or units"
        ));
    }
    if incoming && !rule.subjects.is_empty() {
        return no("nobody here writes incoming mail: leave out whose mail the rule speaks of");
    }
    let sorts = !rule.labels.is_empty() || !rule.units.is_empty();
    if !incoming && sorts {
        return no("labels and units are put on incoming mail; make it an incoming rule");
    }
    if !incoming && rule.steps.is_empty() {
        return no(
            "an outgoing rule says who approves: give it at least one step, as in --step \"Onay Rolü:1\"",
        );
    }
    if rule.steps.len() > STEPS_MAX {
        return no(format!("a rule has between 1 and {STEPS_MAX} steps"));
    }
    if incoming && rule.steps.is_empty() && !sorts {
        return no("an incoming rule labels, routes to units or asks for approval; it does nothing so far");
    }
    if rule.total_limit_days == Some(0) {
        return no("the limit of the whole flow is at least one day");
    }
    rule.steps.iter().try_for_each(|step| check_step(org, step))
}

fn check_step(org: &Organisation, step: &Step) -> Result<(), Failure> {
    if step.parts.is_empty() || step.parts.len() > PARTS_MAX {
        return no(format!("a step has between 1 and {PARTS_MAX} parties"));
    }
    if !(1..=STEP_LIMIT_MAX_DAYS).contains(&step.limit_days) {
        return no(format!(
            "the limit of a step is between 1 and {STEP_LIMIT_MAX_DAYS} days"
        ));
    }
    if step
        .remind_after_days
        .is_some_and(|d| d == 0 || d >= step.limit_days)
    {
        return no("a reminder comes at least one day after the step began, and before its limit");
    }
    let escalated = step.escalation.map_or(0, |e| e.after_days);
    if step
        .expire_after_days
        .is_some_and(|d| d <= step.limit_days.saturating_add(escalated))
    {
        return no("a job expires after the limit of the step, and after its escalation");
    }
    for part in &step.parts {
        let able = able(org, part.who)?;
        let wanted = match part.need {
            Need::Quorum(0) => return no("a quorum is at least one"),
            Need::Quorum(n) if usize::from(n) > APPROVALS_MAX => {
                return no(format!("a step can have at most {APPROVALS_MAX} approvals"));
            }
            Need::All if able > APPROVALS_MAX => {
                return no(format!(
                    "all of \"{}\" are {able}; a step can have at most {APPROVALS_MAX} approvals",
                    org.who(part.who)
                ));
            }
            Need::Quorum(n) => usize::from(n),
            Need::One | Need::All => 1,
        };
        if (1..wanted).contains(&able) {
            let say = format!(
                "{wanted} of \"{}\" are to approve, but only {able} may",
                org.who(part.who)
            );
            return no(say);
        }
    }
    match step.escalation {
        Some(escalation) => able(org, escalation.to).map(drop),
        None => Ok(()),
    }
}

/// How many may decide as this party. A role that may not approve at all is an error; one that nobody holds yet is
/// not, for rules are often made before the users ([`unheld`]).
fn able(org: &Organisation, who: Who) -> Result<usize, Failure> {
    let able = org.members(who).len();
    if let Who::Role(role) = who {
        let may = |r: &crate::domain::org::Role| r.permissions.contains(&Permission::Approve);
        if able == 0 && !org.roles.get(&role).is_some_and(may) {
            let name = org.who(who);
            return no(format!(
                "the role \"{name}\" has no permission to approve; grant it first"
            ));
        }
    }
    Ok(able)
}

/// The parties of a rule's steps of whom nobody may approve as things stand: a job would wait there in vain, and be
/// noted as stuck.
pub fn unheld(org: &Organisation, rule: &Rule) -> Vec<String> {
    let parts = rule.steps.iter().flat_map(|s| &s.parts);
    let empty = parts.filter(|p| org.members(p.who).is_empty());
    empty.map(|p| org.who(p.who)).collect()
}
