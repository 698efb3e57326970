//! Users, officers and roles.

use super::words::{ControlDoor, Outcome, list, not_built, one};
use crate::address::LoginName;
use crate::control::protocol::{
    Grant, Membership, PasswordText, PermissionWord, Record, RoleWord, UserAdd, UserWord,
};
use crate::domain::org::{Organisation, Permission, Role, User, UserKind};
use crate::id::{TenantId, UserId};
use crate::service::account::{Secret, check_password_text};
use crate::service::failure::{Failure, Kind};
use crate::service::organisation::{NewUser, unknown};
use std::sync::Arc;

impl ControlDoor {
    /// `user` reaches officers too, `officer` nobody else; only `add` makes one or the other.
    pub(super) async fn user(&self, word: UserWord, noun: UserKind) -> Outcome {
        match word {
            UserWord::Add(new) => self.add_user(new, noun).await,
            UserWord::List { tenant } => {
                let organisation = self.organisations.by_name(&tenant)?;
                let users = organisation.users.values().filter(|u| !u.removed);
                let wanted = users.filter(|u| noun == UserKind::Limited || u.kind == UserKind::Officer);
                list(wanted.map(|u| user_record(&organisation, u)))
            }
            UserWord::Show { login } => {
                let (organisation, user) = self.find_user(&login, noun)?;
                one(user_record(&organisation, &user))
            }
            UserWord::Set { login, name } => {
                self.change_user(&login, noun, |u| u.display_name.clone_from(&name))
                    .await
            }
            UserWord::Passwd(wish) => {
                let (organisation, user) = self.find_user(&wish.login, noun)?;
                let Some(password) = wish.password.password else {
                    return Err(Failure::refused(Kind::Invalid, "no password was given"));
                };
                self.set_password(organisation.tenant.id, user.id, password)
                    .await?;
                one(user_record(&organisation, &user))
            }
            UserWord::Remove { login } => self.change_user(&login, noun, |u| u.removed = true).await,
            UserWord::Unit(change) => self.change_units(&change, noun).await,
            UserWord::Role(change) => self.change_roles(&change, noun).await,
            UserWord::Cert(rest) => not_built("user cert", &rest),
        }
    }

    async fn add_user(&self, new: UserAdd, kind: UserKind) -> Outcome {
        let tenant = self.organisations.by_name(new.login.realm())?.tenant.id;
        let user = NewUser {
            name: new.login.user().into(),
            display_name: new.name,
            kind,
            units: new.units,
            roles: new.roles,
        };
        if let Some(password) = &new.password.password {
            check_password_text(&password.0)?;
        }
        let user = self.organisations.by(&self.by).add_user(tenant, &user).await?;
        if let Some(password) = new.password.password {
            self.set_password(tenant, user.id, password).await?;
        }
        one(user_record(&*self.organisations.of(tenant)?, &user))
    }

    async fn set_password(&self, tenant: TenantId, user: UserId, text: PasswordText) -> Result<(), Failure> {
        self.accounts
            .set_password(tenant, user, Secret::new(text.0.clone()))
            .await
    }

    /// The user behind a login; a wrong name is answered with the nearest right one.
    fn find_user(&self, login: &LoginName, noun: UserKind) -> Result<(Arc<Organisation>, User), Failure> {
        let organisation = self.organisations.by_name(login.realm())?;
        let Some(user) = organisation.user_by_name(login.user()).cloned() else {
            let live = organisation.users.values().filter(|u| !u.removed);
            let say = unknown("user", login.user(), live.map(|u| u.name.as_str()));
            return Err(Failure::refused(Kind::NotFound, say));
        };
        check_noun(&user, noun)?;
        Ok((organisation, user))
    }

    async fn change_user(&self, login: &LoginName, noun: UserKind, set: impl Fn(&mut User)) -> Outcome {
        let tenant = self.organisations.by_name(login.realm())?.tenant.id;
        let changed = self
            .organisations
            .by(&self.by)
            .set_user(tenant, login.user(), |_, user| {
                check_noun(user, noun)?;
                set(user);
                Ok(())
            });
        let user = changed.await?;
        one(user_record(&*self.organisations.of(tenant)?, &user))
    }

    async fn change_units(&self, change: &Membership, noun: UserKind) -> Outcome {
        let tenant = self.organisations.by_name(change.login.realm())?.tenant.id;
        let changed = self
            .organisations
            .by(&self.by)
            .set_user(tenant, change.login.user(), |draft, user| {
                check_noun(user, noun)?;
                for path in &change.add {
                    user.units.insert(draft.unit(path)?);
                }
                for path in &change.drop {
                    user.units.remove(&draft.unit(path)?);
                }
                Ok(())
            });
        let user = changed.await?;
        one(user_record(&*self.organisations.of(tenant)?, &user))
    }

    async fn change_roles(&self, change: &Membership, noun: UserKind) -> Outcome {
        let tenant = self.organisations.by_name(change.login.realm())?.tenant.id;
        let changed = self
            .organisations
            .by(&self.by)
            .set_user(tenant, change.login.user(), |draft, user| {
                check_noun(user, noun)?;
                for name in &change.add {
                    user.roles.insert(draft.role(name)?);
                }
                for name in &change.drop {
                    user.roles.remove(&draft.role(name)?);
                }
                Ok(())
            });
        let user = changed.await?;
        one(user_record(&*self.organisations.of(tenant)?, &user))
    }

    pub(super) async fn role(&self, word: RoleWord) -> Outcome {
        match word {
            RoleWord::Add {
                tenant,
                name,
                description,
                permit,
            } => {
                let id = self.organisations.by_name(&tenant)?.tenant.id;
                let permissions = permit.into_iter().map(permission).collect();
                let role = self
                    .organisations
                    .by(&self.by)
                    .add_role(id, &name, &description, permissions);
                one(role_record(&role.await?))
            }
            RoleWord::List { tenant } => {
                let organisation = self.organisations.by_name(&tenant)?;
                list(organisation.roles.values().map(role_record))
            }
            RoleWord::Show { tenant, name } => {
                let organisation = self.organisations.by_name(&tenant)?;
                let Some(role) = organisation.role_by_name(&name) else {
                    let names = organisation.roles.values().map(|r| r.name.as_str());
                    return Err(Failure::refused(Kind::NotFound, unknown("role", &name, names)));
                };
                let holders = organisation
                    .users
                    .values()
                    .filter(|u| !u.removed && u.roles.contains(&role.id));
                let names = holders.map(|u| u.name.clone()).collect::<Vec<_>>();
                one(role_record(role).with("users", names))
            }
            RoleWord::Grant(grant) => self.grant(&grant, true).await,
            RoleWord::Revoke(grant) => self.grant(&grant, false).await,
            RoleWord::Remove(rest) => not_built("role remove", &rest),
        }
    }

    async fn grant(&self, grant: &Grant, give: bool) -> Outcome {
        let tenant = self.organisations.by_name(&grant.tenant)?.tenant.id;
        let role = self
            .organisations
            .by(&self.by)
            .set_permissions(tenant, &grant.name, |held| {
                for word in &grant.permissions {
                    if give {
                        held.insert(permission(*word));
                    } else {
                        held.remove(&permission(*word));
                    }
                }
            });
        one(role_record(&role.await?))
    }
}

fn check_noun(user: &User, noun: UserKind) -> Result<(), Failure> {
    if noun == UserKind::Officer && user.kind != UserKind::Officer {
        let say = format!(
            "{} is not an officer; say \"user\" instead of \"officer\"",
            user.name
        );
        return Err(Failure::refused(Kind::Invalid, say));
    }
    Ok(())
}

fn permission(word: PermissionWord) -> Permission {
    match word {
        PermissionWord::Approve => Permission::Approve,
        PermissionWord::Compose => Permission::Compose,
        PermissionWord::View => Permission::View,
        PermissionWord::Jobs => Permission::Jobs,
        PermissionWord::Account => Permission::Account,
    }
}

fn permission_word(permission: Permission) -> &'static str {
    match permission {
        Permission::Approve => "approve",
        Permission::Compose => "compose",
        Permission::View => "view",
        Permission::Jobs => "jobs",
        Permission::Account => "account",
    }
}

fn role_record(role: &Role) -> Record {
    let permissions = role.permissions.iter().map(|p| permission_word(*p));
    Record::new()
        .text("name", &role.name)
        .text("description", &role.description)
        .with("permissions", permissions.collect::<Vec<_>>())
}

fn user_record(organisation: &Organisation, user: &User) -> Record {
    let kind = match user.kind {
        UserKind::Officer => "officer",
        UserKind::Limited => "limited",
    };
    let units = user.units.iter().map(|u| organisation.unit_path(*u));
    let roles = user.roles.iter().filter_map(|r| organisation.roles.get(r));
    Record::new()
        .text("login", format!("{}@{}", user.name, organisation.tenant.name))
        .text("name", &user.display_name)
        .text("kind", kind)
        .with("units", units.collect::<Vec<_>>())
        .with("roles", roles.map(|r| r.name.clone()).collect::<Vec<_>>())
        .with("removed", user.removed)
}
