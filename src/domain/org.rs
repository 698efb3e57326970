//! A tenant's organisation: units, roles, permissions, users, and who sees what ([`Audience`]).

use crate::domain::folding::name_key;
use crate::domain::item::Item;
use crate::domain::label::Label;
use crate::domain::rule::Rule;
use crate::domain::tenant::Tenant;
use crate::id::{LabelId, RoleId, RuleId, UnitId, UserId};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// How deep a unit tree may be. Türkiye's largest ministries have fewer than ten levels.
pub const UNIT_DEPTH_MAX: usize = 32;

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
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    pub id: RoleId,
    pub name: String,
    pub description: String,
    pub permissions: BTreeSet<Permission>,
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
    pub kind: UserKind,
    pub units: BTreeSet<UnitId>,
    pub roles: BTreeSet<RoleId>,
    /// A removed user cannot log in; his name stays with what he did.
    pub removed: bool,
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
    pub rules: BTreeMap<RuleId, Rule>,
}

/// Who sees what: everything of the tenant, or the mail routed to or labelled for some units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Audience {
    Tenant,
    Limited {
        user: UserId,
        units: BTreeSet<UnitId>,
        labels: BTreeSet<LabelId>,
        roles: BTreeSet<RoleId>,
    },
}

impl Audience {
    /// Whether a member of this audience sees the item. A limited user also sees what he wrote himself, and the jobs
    /// that one of his roles decides: nobody can approve what he cannot read.
    pub fn sees(&self, item: &Item) -> bool {
        match self {
            Audience::Tenant => true,
            Audience::Limited {
                user,
                units,
                labels,
                roles,
            } => {
                item.author == Some(*user)
                    || item.units.iter().any(|u| units.contains(u))
                    || item.labels.iter().any(|l| labels.contains(l))
                    || item.job.as_ref().is_some_and(|job| {
                        job.participants.contains(user) || job.roles.iter().any(|r| roles.contains(r))
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
        self.roles.values().find(|r| name_key(&r.name) == key)
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
        if let Some(unit) = self
            .units
            .values()
            .find(|u| name_key(&self.unit_path(u.id)) == key)
        {
            return Some(unit);
        }
        let mut named = self.units.values().filter(|u| name_key(&u.name) == key);
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

    /// The unit and all units below it.
    pub fn unit_and_below(&self, unit: UnitId) -> BTreeSet<UnitId> {
        let mut found = BTreeSet::from([unit]);
        loop {
            let before = found.len();
            for u in self.units.values() {
                if u.parent.is_some_and(|p| found.contains(&p)) {
                    found.insert(u.id);
                }
            }
            if found.len() == before {
                return found;
            }
        }
    }

    /// The one function that says who sees what.
    pub fn audience(&self, user: &User) -> Audience {
        if user.kind == UserKind::Officer {
            return Audience::Tenant;
        }
        let mut units = BTreeSet::new();
        if self.may(user, Permission::View) {
            for unit in &user.units {
                units.extend(self.unit_and_below(*unit));
            }
        }
        let labels = units
            .iter()
            .filter_map(|u| self.units.get(u))
            .flat_map(|u| u.labels.clone())
            .collect();
        let roles = if self.may(user, Permission::Approve) {
            user.roles.clone()
        } else {
            BTreeSet::new()
        };
        Audience::Limited {
            user: user.id,
            units,
            labels,
            roles,
        }
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
}
