//! A tenant's organisation: units, roles, permissions, users, who sees what ([`Audience`]), and in whose name a user
//! decides ([`Capacity`]).
//!
//! A unit that is merged into another stays as a row that points there: mail that was routed to it is found under the
//! other at once, and none of it is rewritten.

use crate::clock::UtcTime;
use crate::domain::folding::name_key;
use crate::domain::item::Item;
use crate::domain::label::Label;
use crate::domain::rule::{Rule, RuleBook, Who};
use crate::domain::tenant::Tenant;
use crate::id::{LabelId, ModSeq, RoleId, RuleId, UnitId, UserId};
use serde::{Deserialize, Serialize};
use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};

mod roll;

pub use roll::Roll;

/// How deep a unit tree may be. Türkiye's largest ministries have fewer than ten levels; and a unit named by its whole
/// path fits an entry of a job's history.
pub const UNIT_DEPTH_MAX: usize = 24;

/// What a role allows (`docs/features.md` S30).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Permission {
    /// Decide steps of jobs.
    Approve,
    /// Write mail: submit, draft, start flows.
    Compose,
    /// See the mail of one's units.
    View,
    /// Manage jobs and labels of the tenant.
    Jobs,
    /// Manage users, units, roles and rules.
    Account,
}

impl Permission {
    pub const ALL: [Permission; 5] = [
        Permission::Approve,
        Permission::Compose,
        Permission::View,
        Permission::Jobs,
        Permission::Account,
    ];
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unit {
    pub id: UnitId,
    pub name: String,
    pub parent: Option<UnitId>,
    /// Labels whose mail the users of this unit see.
    pub labels: BTreeSet<LabelId>,
    /// The unit is gone; what was its own is that unit's now, or nobody's but the officers'.
    pub ended: Option<UnitEnd>,
}

/// What became of a unit that is gone. Its number is never given again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum UnitEnd {
    MergedInto(UnitId),
    /// It had no unit above: only officers see its mail now.
    Dissolved,
}

impl Unit {
    pub fn is_live(&self) -> bool {
        self.ended.is_none()
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    pub id: RoleId,
    pub name: String,
    pub description: String,
    pub permissions: BTreeSet<Permission>,
    /// A removed role is nobody's; its name stays with what was decided as it.
    pub removed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UserKind {
    /// İşlem yetkilisi: sees and may send everything of the tenant.
    Officer,
    /// Alt işlem yetkilisi: sees by unit, acts by role.
    Limited,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    pub id: UserId,
    /// The part before '@' of the login.
    pub name: String,
    pub display_name: String,
    /// Unvan: his title, shown where he agreed to be shown.
    pub title: String,
    pub kind: UserKind,
    pub units: BTreeSet<UnitId>,
    pub roles: BTreeSet<RoleId>,
    /// Who decides in his name, and when (vekâlet).
    pub deputies: Vec<Deputy>,
    /// Doors he may use.
    pub doors: Doors,
    /// Whether name and title are shown in the directory.
    pub listed: bool,
    /// A removed user cannot log in; his name stays with what he did.
    pub removed: bool,
}

/// Deputies one user may have named at a time.
pub const DEPUTIES_MAX: usize = 16;

/// Somebody decides in a user's name from one moment to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deputy {
    pub user: UserId,
    pub from: UtcTime,
    /// The first moment at which he may no longer.
    pub until: UtcTime,
}

/// Which protocols a user may log in by (`docs/features.md` P11).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Doors {
    pub imap: bool,
    pub smtp: bool,
}

impl Default for Doors {
    fn default() -> Self {
        Self {
            imap: true,
            smtp: true,
        }
    }
}

/// In whose name, and as what, a user may decide: his own, or that of somebody whose deputy he is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capacity {
    pub user: UserId,
    pub roles: BTreeSet<RoleId>,
    /// His units, and those that were merged into them.
    pub units: BTreeSet<UnitId>,
}

impl Capacity {
    pub fn is(&self, who: Who) -> bool {
        match who {
            Who::Role(role) => self.roles.contains(&role),
            Who::Unit(unit) => self.units.contains(&unit),
            Who::User(user) => self.user == user,
        }
    }
}

/// One tenant as a whole, as it stood at `version`.
#[derive(Debug, Clone)]
pub struct Organisation {
    pub tenant: Tenant,
    /// Grows with each change.
    pub version: u64,
    pub units: BTreeMap<UnitId, Unit>,
    pub roles: BTreeMap<RoleId, Role>,
    pub users: BTreeMap<UserId, User>,
    pub labels: BTreeMap<LabelId, Label>,
    /// When the word of a label last changed, for those that did; labels that were removed are among them.
    pub words: BTreeMap<LabelId, ModSeq>,
    pub rules: BTreeMap<RuleId, Rule>,
    /// The rules that are switched on, ready to be asked.
    pub rulebook: RuleBook,
}

/// Who sees what: everything of the tenant, or the mail routed to or labelled for some units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Audience {
    Tenant,
    Limited {
        user: UserId,
        /// His units, all below them, and all that were merged into one of these.
        units: BTreeSet<UnitId>,
        labels: BTreeSet<LabelId>,
        /// As what he may decide, himself first.
        capacities: Vec<Capacity>,
    },
}

impl Audience {
    /// Whether a member of this audience sees the item; for evidence, ask about the item it speaks of. A limited user
    /// also sees what he wrote himself, and the jobs he has decided on or may be asked to decide: nobody can approve
    /// what he cannot read.
    pub fn sees(&self, item: &Item) -> bool {
        match self {
            Audience::Tenant => true,
            Audience::Limited {
                user,
                units,
                labels,
                capacities,
            } => {
                item.author == Some(*user)
                    || item.units.iter().any(|u| units.contains(u))
                    || item.labels.iter().any(|l| labels.contains(l))
                    || item.job.as_ref().is_some_and(|job| {
                        job.participants.contains(user)
                            || job
                                .concerned
                                .iter()
                                .any(|who| capacities.iter().any(|c| c.is(*who)))
                    })
            }
        }
    }
}

impl Organisation {
    pub fn user_by_name(&self, name: &str) -> Option<&User> {
        self.users.values().find(|u| !u.removed && u.name == name)
    }

    pub fn role_by_name(&self, name: &str) -> Option<&Role> {
        let key = name_key(name);
        self.live_roles().find(|r| name_key(&r.name) == key)
    }

    pub fn label_by_name(&self, name: &str) -> Option<&Label> {
        let key = name_key(name);
        self.labels.values().find(|l| name_key(&l.name) == key)
    }

    pub fn rule_by_name(&self, name: &str) -> Option<&Rule> {
        let key = name_key(name);
        self.rules.values().find(|r| name_key(&r.name) == key)
    }

    /// A unit by its path from the root, `Genel Müdürlük/Mali İşler`, or by its bare name when only one has it.
    pub fn unit_by_path(&self, path: &str) -> Option<&Unit> {
        let key = name_key(path);
        if let Some(unit) = self.live_units().find(|u| name_key(&self.unit_path(u.id)) == key) {
            return Some(unit);
        }
        let mut named = self.live_units().filter(|u| name_key(&u.name) == key);
        named.next().filter(|_| named.next().is_none())
    }

    /// The names from the root to the unit, joined by '/'.
    pub fn unit_path(&self, unit: UnitId) -> String {
        let mut names = Vec::new();
        let mut at = self.units.get(&unit);
        while let Some(u) = at {
            names.push(u.name.as_str());
            if names.len() >= UNIT_DEPTH_MAX {
                break;
            }
            at = u.parent.and_then(|p| self.units.get(&p));
        }
        names.reverse();
        names.join("/")
    }

    /// The units there are now.
    pub fn live_units(&self) -> impl Iterator<Item = &Unit> {
        self.units.values().filter(|u| u.is_live())
    }

    /// The roles there are now.
    pub fn live_roles(&self) -> impl Iterator<Item = &Role> {
        self.roles.values().filter(|r| !r.removed)
    }

    /// The users there are now.
    pub fn live_users(&self) -> impl Iterator<Item = &User> {
        self.users.values().filter(|u| !u.removed)
    }

    /// Whether some unit sees the mail of a label: without the label it does not any more.
    pub fn is_shown_by(&self, label: LabelId) -> bool {
        self.live_units().any(|u| u.labels.contains(&label))
    }

    /// The rules that count, in the order they are asked.
    pub fn rules_in_order(&self) -> Vec<&Rule> {
        let mut rules: Vec<&Rule> = self.rules.values().collect();
        rules.sort_by_key(|r| (r.position, r.id));
        rules
    }

    /// These units, all below them, and all that were merged into one of these: in one walk over the tree.
    pub fn units_and_below(&self, units: &BTreeSet<UnitId>) -> BTreeSet<UnitId> {
        walk(units, || self.below())
    }

    /// The unit and all units below it.
    pub fn unit_and_below(&self, unit: UnitId) -> BTreeSet<UnitId> {
        self.units_and_below(&BTreeSet::from([unit]))
    }

    /// Where a unit's mail is seen besides: in the unit above it, or the one it was merged into.
    fn below(&self) -> Under {
        self.under(|u| match u.ended {
            None => u.parent,
            Some(UnitEnd::MergedInto(other)) => Some(other),
            Some(UnitEnd::Dissolved) => None,
        })
    }

    /// Only what was merged.
    fn merged(&self) -> Under {
        self.under(|u| match u.ended {
            Some(UnitEnd::MergedInto(other)) => Some(other),
            _ => None,
        })
    }

    fn under(&self, leads_to: impl Fn(&Unit) -> Option<UnitId>) -> Under {
        let mut under = Under::new();
        for unit in self.units.values() {
            if let Some(above) = leads_to(unit) {
                under.entry(above).or_default().push(unit.id);
            }
        }
        under
    }

    /// The labels whose mail these units see. What ended has left its labels to its heir, who may have given them up
    /// since; and a label that was removed means nothing any more, on the mail and here.
    pub fn labels_of(&self, units: &BTreeSet<UnitId>) -> BTreeSet<LabelId> {
        let live = units
            .iter()
            .filter_map(|u| self.units.get(u))
            .filter(|u| u.is_live());
        live.flat_map(|u| u.labels.iter().copied())
            .filter(|label| self.labels.contains_key(label))
            .collect()
    }

    /// Who sees what: see [`Roll::audience`].
    pub fn audience(&self, user: &User, now: UtcTime) -> Audience {
        Roll::of_one(self, user.id, now).audience(user)
    }

    /// As what a user may decide at this moment: see [`Roll::capacities`].
    pub fn capacities(&self, user: &User, now: UtcTime) -> Vec<Capacity> {
        Roll::of_one(self, user.id, now).capacities(user)
    }

    /// The users who may decide as this role, unit or user, in their own name.
    pub fn members(&self, who: Who) -> BTreeSet<UserId> {
        let units = match who {
            Who::Unit(unit) => self.units_now(unit),
            _ => BTreeSet::new(),
        };
        self.live_users()
            .filter(|u| match who {
                Who::Role(role) => u.roles.contains(&role),
                Who::Unit(_) => u.units.iter().any(|own| units.contains(own)),
                Who::User(user) => u.id == user,
            })
            .filter(|u| self.may(u, Permission::Approve))
            .map(|u| u.id)
            .collect()
    }

    /// The unit that a number leads to today: itself, or what it was merged into.
    fn units_now(&self, unit: UnitId) -> BTreeSet<UnitId> {
        let mut at = unit;
        for _ in 0..self.units.len() {
            match self.units.get(&at).and_then(|u| u.ended) {
                Some(UnitEnd::MergedInto(other)) => at = other,
                Some(UnitEnd::Dissolved) => return BTreeSet::new(),
                None => break,
            }
        }
        BTreeSet::from([at])
    }

    /// The name of a role, unit or user as it is shown.
    pub fn who(&self, who: Who) -> String {
        match who {
            Who::Role(role) => self.roles.get(&role).map(|r| r.name.clone()),
            Who::Unit(unit) => self.units.get(&unit).map(|_| self.unit_path(unit)),
            Who::User(user) => self.users.get(&user).map(|u| u.name.clone()),
        }
        .unwrap_or_else(|| "?".to_owned())
    }

    /// Whether the user holds a permission: an officer holds all, a limited user those of his roles.
    pub fn may(&self, user: &User, permission: Permission) -> bool {
        !user.removed
            && (user.kind == UserKind::Officer
                || user
                    .roles
                    .iter()
                    .filter_map(|r| self.roles.get(r))
                    .any(|role| role.permissions.contains(&permission)))
    }

    /// Whether the user belongs to whom a rule speaks of.
    pub fn is_subject(&self, user: &User, who: Who) -> bool {
        match who {
            Who::Role(role) => user.roles.contains(&role),
            Who::User(id) => user.id == id,
            Who::Unit(unit) => {
                let units = self.unit_and_below(unit);
                user.units.iter().any(|u| units.contains(u))
            }
        }
    }
}

/// Of each unit, those that lead to it straight away.
type Under = BTreeMap<UnitId, Vec<UnitId>>;

/// These units and all that lead to one of them. Who has none costs nothing.
fn walk<U: Borrow<Under>>(units: &BTreeSet<UnitId>, under: impl FnOnce() -> U) -> BTreeSet<UnitId> {
    let mut found = units.clone();
    if found.is_empty() {
        return found;
    }
    let under = under();
    let under: &Under = under.borrow();
    let mut left: Vec<UnitId> = found.iter().copied().collect();
    while let Some(unit) = left.pop() {
        for below in under.get(&unit).into_iter().flatten() {
            if found.insert(*below) {
                left.push(*below);
            }
        }
    }
    found
}
