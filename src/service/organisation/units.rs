//! The unit tree: made, moved, merged, removed. A unit that ends keeps its mail (`docs/decisions/0013`): its row points to
//! the unit that took its place, and nothing of the mail is rewritten.

use super::{Changes, Draft, check_name, missing, refuse_taken};
use crate::domain::org::{Organisation, UNIT_DEPTH_MAX, Unit, UnitEnd};
use crate::domain::rule::{Rule, Who};
use crate::id::{TenantId, UnitId};
use crate::service::failure::{Failure, Kind};
use std::collections::BTreeSet;

impl Changes<'_> {
    pub async fn add_unit(self, tenant: TenantId, name: &str, parent: Option<&str>) -> Result<Unit, Failure> {
        check_name(name)?;
        self.change("unit add", tenant, |draft| {
            let parent = parent.map(|p| draft.unit(p)).transpose()?;
            check_place(draft.org, None, name, parent, 1)?;
            let unit = Unit {
                id: UnitId(draft.next_number()),
                name: name.trim().into(),
                parent,
                labels: BTreeSet::new(),
                ended: None,
            };
            draft.put(&unit)?;
            Ok(unit)
        })
        .await
    }

    pub async fn rename_unit(self, tenant: TenantId, unit: &str, name: &str) -> Result<Unit, Failure> {
        check_name(name)?;
        self.change("unit rename", tenant, |draft| {
            let mut unit = unit_of(draft, unit)?;
            check_place(draft.org, Some(unit.id), name, unit.parent, 1)?;
            unit.name = name.trim().into();
            draft.put(&unit)?;
            Ok(unit)
        })
        .await
    }

    /// Moves a unit, with all below it, under another; without one, to the top.
    pub async fn move_unit(self, tenant: TenantId, unit: &str, under: Option<&str>) -> Result<Unit, Failure> {
        self.change("unit move", tenant, |draft| {
            let mut unit = unit_of(draft, unit)?;
            let parent = under.map(|u| draft.unit(u)).transpose()?;
            if parent.is_some_and(|p| draft.org.unit_and_below(unit.id).contains(&p)) {
                let say = format!(
                    "\"{}\" lies below \"{}\" or is the same unit; a unit cannot stand under itself",
                    parent.map(|p| draft.org.unit_path(p)).unwrap_or_default(),
                    draft.org.unit_path(unit.id)
                );
                return Err(Failure::refused(Kind::Invalid, say));
            }
            let levels = levels_below(draft.org, unit.id);
            check_place(draft.org, Some(unit.id), &unit.name, parent, levels)?;
            unit.parent = parent;
            draft.put(&unit)?;
            Ok(unit)
        })
        .await
    }

    /// Ends a unit: its mail, members, labels and the units below it become those of `into`, or of the unit above it.
    /// Without either its mail is the officers' from then on; then nobody may be in it, and no rule may name it.
    pub async fn end_unit(self, tenant: TenantId, unit: &str, into: Option<&str>) -> Result<Unit, Failure> {
        self.change("unit remove", tenant, |draft| {
            let mut unit = unit_of(draft, unit)?;
            let into = match into {
                Some(into) => Some(draft.unit(into)?),
                None => unit.parent,
            };
            if into.is_some_and(|i| draft.org.unit_and_below(unit.id).contains(&i)) {
                let say = "a unit cannot be merged into itself or into one below it";
                return Err(Failure::refused(Kind::Invalid, say));
            }
            if into.is_none() {
                refuse_if_used(draft.org, &unit)?;
            }
            adopt_units(draft, &unit, into)?;
            adopt_members(draft, &unit, into)?;
            adopt_rules(draft, &unit, into)?;
            if let Some(mut heir) = into.and_then(|i| draft.org.units.get(&i).cloned()) {
                heir.labels.extend(unit.labels.iter().copied());
                draft.put(&heir)?;
            }
            unit.ended = Some(into.map_or(UnitEnd::Dissolved, UnitEnd::MergedInto));
            draft.put(&unit)?;
            Ok(unit)
        })
        .await
    }

    /// Assigns labels to a unit, or takes them away: its users see the mail that carries one of them.
    pub async fn label_unit(
        self,
        tenant: TenantId,
        unit: &str,
        labels: &[String],
        assign: bool,
    ) -> Result<Unit, Failure> {
        self.change("unit label", tenant, |draft| {
            let mut changed = unit_of(draft, unit)?;
            for label in labels {
                let label = draft.label(label)?;
                if assign {
                    changed.labels.insert(label);
                } else {
                    changed.labels.remove(&label);
                }
            }
            draft.put(&changed)?;
            Ok(changed)
        })
        .await
    }
}

fn unit_of(draft: &Draft<'_>, path: &str) -> Result<Unit, Failure> {
    let id = draft.unit(path)?;
    draft.org.units.get(&id).cloned().ok_or_else(|| missing("unit"))
}

/// Whether a unit of that name, with so many levels of its own, can stand under that parent.
fn check_place(
    org: &Organisation,
    unit: Option<UnitId>,
    name: &str,
    parent: Option<UnitId>,
    levels: usize,
) -> Result<(), Failure> {
    let siblings = org
        .live_units()
        .filter(|u| u.parent == parent && Some(u.id) != unit);
    refuse_taken("unit", name, siblings.map(|u| u.name.as_str()))?;
    check_depth(org, parent, levels)
}

fn check_depth(org: &Organisation, parent: Option<UnitId>, levels: usize) -> Result<(), Failure> {
    let above = parent.map_or(0, |p| org.unit_path(p).matches('/').count() + 1);
    if above + levels > UNIT_DEPTH_MAX {
        let say = format!("a unit tree has at most {UNIT_DEPTH_MAX} levels");
        return Err(Failure::refused(Kind::Invalid, say));
    }
    Ok(())
}

/// Levels of the tree that begins with the unit; 1 when nothing is below it.
fn levels_below(org: &Organisation, unit: UnitId) -> usize {
    let depth = |id: UnitId| org.unit_path(id).matches('/').count();
    let below = org.unit_and_below(unit).into_iter();
    let live = below.filter(|u| org.units.get(u).is_some_and(Unit::is_live));
    1 + live.map(depth).max().unwrap_or(0).saturating_sub(depth(unit))
}

fn refuse_if_used(org: &Organisation, unit: &Unit) -> Result<(), Failure> {
    let members = org
        .live_users()
        .filter(|u| u.units.contains(&unit.id))
        .map(|u| u.name.as_str());
    let rules = org
        .rules
        .values()
        .filter(|r| names(r, unit.id))
        .map(|r| r.name.as_str());
    let users: Vec<&str> = members.chain(rules).collect();
    if users.is_empty() {
        return Ok(());
    }
    let say = format!(
        "\"{}\" stands at the top, so nothing takes its place; say --into UNIT, or change these first: {}",
        unit.name,
        users.join(", ")
    );
    Err(Failure::refused(Kind::WrongState, say))
}

fn names(rule: &Rule, unit: UnitId) -> bool {
    let who = Who::Unit(unit);
    rule.units.contains(&unit)
        || rule.subjects.contains(&who)
        || rule
            .steps
            .iter()
            .any(|s| s.parts.iter().any(|p| p.who == who) || s.escalation.is_some_and(|e| e.to == who))
}

fn adopt_units(draft: &mut Draft<'_>, unit: &Unit, into: Option<UnitId>) -> Result<(), Failure> {
    let below: Vec<Unit> = draft
        .org
        .live_units()
        .filter(|u| u.parent == Some(unit.id))
        .cloned()
        .collect();
    for mut child in below {
        let siblings = draft
            .org
            .live_units()
            .filter(|u| u.parent == into && u.id != unit.id);
        refuse_taken("unit", &child.name, siblings.map(|u| u.name.as_str()))?;
        check_depth(draft.org, into, levels_below(draft.org, child.id))?;
        child.parent = into;
        draft.put(&child)?;
    }
    Ok(())
}

fn adopt_members(draft: &mut Draft<'_>, unit: &Unit, into: Option<UnitId>) -> Result<(), Failure> {
    let members: Vec<_> = draft
        .org
        .users
        .values()
        .filter(|u| u.units.contains(&unit.id))
        .cloned()
        .collect();
    for mut user in members {
        user.units.remove(&unit.id);
        user.units.extend(into);
        draft.put(&user)?;
    }
    Ok(())
}

fn adopt_rules(draft: &mut Draft<'_>, unit: &Unit, into: Option<UnitId>) -> Result<(), Failure> {
    let Some(into) = into else { return Ok(()) };
    let named: Vec<Rule> = draft
        .org
        .rules
        .values()
        .filter(|r| names(r, unit.id))
        .cloned()
        .collect();
    let heir = |who: &mut Who| {
        if *who == Who::Unit(unit.id) {
            *who = Who::Unit(into);
        }
    };
    for mut rule in named {
        if rule.units.remove(&unit.id) {
            rule.units.insert(into);
        }
        if rule.subjects.remove(&Who::Unit(unit.id)) {
            rule.subjects.insert(Who::Unit(into));
        }
        for step in &mut rule.steps {
            step.parts.iter_mut().for_each(|p| heir(&mut p.who));
            if let Some(escalation) = &mut step.escalation {
                heir(&mut escalation.to);
            }
        }
        rule.version += 1;
        draft.put(&rule)?;
    }
    Ok(())
}
