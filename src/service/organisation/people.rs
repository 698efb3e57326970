//! Users and roles.

use super::*;
use crate::domain::org::Doors;

/// A user to be. Units are named by path, roles by name.
#[derive(Debug, Clone)]
pub struct NewUser {
    pub name: String,
    pub display_name: String,
    pub kind: UserKind,
    pub units: Vec<String>,
    pub roles: Vec<String>,
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
        self.change("role add", tenant, |draft| {
            refuse_taken("role", name, draft.org.roles.values().map(|r| r.name.as_str()))?;
            let role = Role {
                id: RoleId(draft.next_number()),
                name: name.trim().into(),
                description: description.into(),
                permissions: permissions.clone(),
            };
            draft.put(&role)?;
            Ok(role)
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
            let id = draft.role(role)?;
            let mut changed = draft.org.roles.get(&id).cloned().ok_or_else(|| missing("role"))?;
            set(&mut changed.permissions);
            draft.put(&changed)?;
            Ok(changed)
        })
        .await
    }

    pub async fn add_user(self, tenant: TenantId, new: &NewUser) -> Result<User, Failure> {
        let name = new.name.to_ascii_lowercase();
        if !is_login_word(&name) {
            let say =
                "a user's name is the first part of his login: ASCII letters, digits, '.', '-' and '_' only";
            return Err(Failure::refused(Kind::Invalid, say));
        }
        self.change("user add", tenant, |draft| {
            // A removed user's name stays his: what he did is on record under it.
            if draft.org.users.values().any(|u| u.name == name) {
                let say = format!("there is or was a user \"{name}\" already");
                return Err(Failure::refused(Kind::Exists, say));
            }
            let user = User {
                id: UserId(draft.next_number()),
                name: name.clone(),
                display_name: new.display_name.clone(),
                kind: new.kind,
                units: new
                    .units
                    .iter()
                    .map(|u| draft.unit(u))
                    .collect::<Result<_, _>>()?,
                roles: new
                    .roles
                    .iter()
                    .map(|r| draft.role(r))
                    .collect::<Result<_, _>>()?,
                title: String::new(),
                deputies: Vec::new(),
                doors: Doors::default(),
                listed: false,
                removed: false,
            };
            draft.put(&user)?;
            Ok(user)
        })
        .await
    }

    /// Changes a user: his units and roles by name, or whatever `set` does.
    pub async fn set_user(
        self,
        tenant: TenantId,
        name: &str,
        set: impl Fn(&Draft<'_>, &mut User) -> Result<(), Failure>,
    ) -> Result<User, Failure> {
        self.change("user set", tenant, |draft| {
            let found = draft.org.user_by_name(name).cloned();
            let mut user = found.ok_or_else(|| {
                let names = draft
                    .org
                    .users
                    .values()
                    .filter(|u| !u.removed)
                    .map(|u| u.name.as_str());
                Failure::refused(Kind::NotFound, unknown("user", name, names))
            })?;
            set(draft, &mut user)?;
            draft.put(&user)?;
            Ok(user)
        })
        .await
    }
}
