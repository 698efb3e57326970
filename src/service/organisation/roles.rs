//! Roles: made, changed, removed. A removed role stays as a row, so that what was decided as it keeps its name.

use super::{Changes, Draft, check_name, check_text, missing, refuse_taken};
use crate::domain::org::{Permission, Role, User};
use crate::domain::rule::{Rule, Who};
use crate::id::{RoleId, TenantId};
use crate::service::failure::{Failure, Kind};
use std::collections::BTreeSet;

/// What a role shall be; what is left out stays as it is.
#[derive(Debug, Clone, Default)]
pub struct RoleWish {
    pub name: Option<String>,
    pub description: Option<String>,
}

impl Changes<'_> {
    pub async fn add_role(
        self,
        tenant: TenantId,
        name: &str,
        description: &str,
        permissions: BTreeSet<Permission>,
    ) -> Result<Role, Failure> {
        check_name(name)?;
        check_description(description)?;
        self.change("role add", tenant, |draft| {
            refuse_taken("role", name, draft.org.live_roles().map(|r| r.name.as_str()))?;
            let role = Role {
                id: RoleId(draft.next_number()),
                name: name.trim().into(),
                description: description.into(),
                permissions: permissions.clone(),
                removed: false,
            };
            draft.put(&role)?;
            Ok(role)
        })
        .await
    }

    /// Gives a role another name or description. What was decided as it keeps the name of that time.
    pub async fn set_role(self, tenant: TenantId, role: &str, wish: &RoleWish) -> Result<Role, Failure> {
        if let Some(name) = &wish.name {
            check_name(name)?;
        }
        check_description(wish.description.as_deref().unwrap_or_default())?;
        self.change("role set", tenant, |draft| {
            let mut changed = role_of(draft, role)?;
            if let Some(name) = &wish.name {
                let others = draft.org.live_roles().filter(|r| r.id != changed.id);
                refuse_taken("role", name, others.map(|r| r.name.as_str()))?;
                changed.name = name.trim().into();
            }
            if let Some(description) = &wish.description {
                changed.description.clone_from(description);
            }
            draft.put(&changed)?;
            Ok(changed)
        })
        .await
    }

    /// Gives permissions to a role, or takes them away.
    pub async fn set_permissions(
        self,
        tenant: TenantId,
        role: &str,
        set: impl Fn(&mut BTreeSet<Permission>),
    ) -> Result<Role, Failure> {
        self.change("role permissions", tenant, |draft| {
            let mut changed = role_of(draft, role)?;
            set(&mut changed.permissions);
            draft.put(&changed)?;
            Ok(changed)
        })
        .await
    }

    /// Removes a role: who held it holds it no more. Refused while a rule names it. A job that waits for it is noted as
    /// stuck, and an officer can reassign it.
    pub async fn remove_role(self, tenant: TenantId, role: &str) -> Result<Role, Failure> {
        self.change("role remove", tenant, |draft| {
            let mut role = role_of(draft, role)?;
            let naming = draft.org.rules.values().filter(|r| names(r, role.id));
            let rules: Vec<&str> = naming.map(|r| r.name.as_str()).collect();
            if !rules.is_empty() {
                let say = format!(
                    "these rules name the role \"{}\"; change or remove them first: {}",
                    role.name,
                    rules.join(", ")
                );
                return Err(Failure::refused(Kind::WrongState, say));
            }
            let holders = draft.org.users.values().filter(|u| u.roles.contains(&role.id));
            let holders: Vec<User> = holders.cloned().collect();
            for mut user in holders {
                user.roles.remove(&role.id);
                draft.put(&user)?;
            }
            role.removed = true;
            draft.put(&role)?;
            Ok(role)
        })
        .await
    }
}

fn role_of(draft: &Draft<'_>, name: &str) -> Result<Role, Failure> {
    let id = draft.role(name)?;
    draft.org.roles.get(&id).cloned().ok_or_else(|| missing("role"))
}

fn check_description(text: &str) -> Result<(), Failure> {
    if text.is_empty() {
        return Ok(());
    }
    check_text(text)
}

fn names(rule: &Rule, role: RoleId) -> bool {
    let who = Who::Role(role);
    let in_step = |s: &crate::domain::rule::Step| {
        s.parts.iter().any(|p| p.who == who) || s.escalation.is_some_and(|e| e.to == who)
    };
    rule.subjects.contains(&who) || rule.steps.iter().any(in_step)
}
