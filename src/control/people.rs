//! Users, officers and roles.

use super::words::{ControlDoor, Outcome, list, one};
use crate::address::LoginName;
use crate::control::protocol::{
    Grant, Membership, PasswordText, PermissionWord, Record, RoleWord, UserAdd, UserKindWord, UserSet,
    UserWord,
};
use crate::domain::org::{Organisation, Permission, Role, User, UserKind};
use crate::domain::rule::Who;
use crate::id::{TenantId, UserId};
use crate::service::account::{Secret, check_password_text};
use crate::service::failure::{Failure, Kind};
use crate::service::organisation::{Deputising, NewUser, RoleWish, unknown};
use serde_json::Value;
use std::sync::Arc;

impl ControlDoor {
    /// `user` reaches officers too, `officer` nobody else; only `add` makes one or the other.
    pub(super) async fn user(&self, word: UserWord, noun: UserKind) -> Outcome {
        self.demand(Permission::Account)?;
        match word {
            UserWord::Add(new) => self.add_user(new, noun).await,
            UserWord::List { tenant, kind } => {
                let organisation = self.organisation(&tenant)?;
                let users = organisation.live_users();
                let kind = kind.map(|word| match word {
                    UserKindWord::Officer => UserKind::Officer,
                    UserKindWord::Limited => UserKind::Limited,
                });
                let wanted = users
                    .filter(|u| noun == UserKind::Limited || u.kind == UserKind::Officer)
                    .filter(|u| kind.is_none_or(|kind| u.kind == kind));
                list(wanted.map(|u| user_record(&organisation, u)))
            }
            UserWord::Show { login } => {
                let (organisation, user) = self.find_user(&login, noun)?;
                one(user_record(&organisation, &user))
            }
            UserWord::Set(set) => self.set_user(set, noun).await,
            UserWord::Passwd(wish) => {
                let (organisation, user) = self.find_user(&wish.login, noun)?;
                self.demand_hand_over(&user)?;
                let Some(password) = wish.password.password else {
                    return Err(Failure::refused(Kind::Invalid, "no password was given"));
                };
                self.set_password(organisation.tenant.id, user.id, password)
                    .await?;
                one(user_record(&organisation, &user))
            }
            UserWord::Remove { login } => {
                let (organisation, user) = self.find_user(&login, noun)?;
                self.demand_hand_over(&user)?;
                let tenant = organisation.tenant.id;
                let removed = self.organisations.by(&self.by).remove_user(tenant, &user.name);
                let removed = removed.await?;
                one(user_record(&*self.organisations.of(tenant)?, &removed))
            }
            UserWord::Unit(change) => self.change_units(&change, noun).await,
            UserWord::Role(change) => self.change_roles(&change, noun).await,
            UserWord::Cert(wish) => self.certificates(wish, noun).await,
        }
    }

    async fn add_user(&self, new: UserAdd, kind: UserKind) -> Outcome {
        let tenant = self.organisation(new.login.realm())?.tenant.id;
        let user = NewUser {
            name: new.login.user().into(),
            display_name: new.name,
            kind,
            units: new.units,
            roles: new.roles,
        };
        if kind == UserKind::Officer {
            self.demand_officer()?;
        }
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
            .set_password(&self.by, tenant, user, Secret::new(text.0.clone()))
            .await
    }

    /// The user behind a login; a wrong name is answered with the nearest right one.
    pub(super) fn find_user(
        &self,
        login: &LoginName,
        noun: UserKind,
    ) -> Result<(Arc<Organisation>, User), Failure> {
        let organisation = self.organisation(login.realm())?;
        let Some(user) = organisation.user_by_name(login.user()).cloned() else {
            let live = organisation.users.values().filter(|u| !u.removed);
            let say = unknown("user", login.user(), live.map(|u| u.name.as_str()));
            return Err(Failure::refused(Kind::NotFound, say));
        };
        check_noun(&user, noun)?;
        Ok((organisation, user))
    }

    async fn set_user(&self, set: UserSet, noun: UserKind) -> Outcome {
        let (organisation, user) = self.find_user(&set.login, noun)?;
        self.demand_hand_over(&user)?;
        let tenant = organisation.tenant.id;
        let changes = self.organisations.by(&self.by);
        let mut user = user;
        let told = set.name.is_some() || set.title.is_some() || set.listed.is_some();
        if told || set.imap.is_some() || set.smtp.is_some() {
            let changed = changes.set_user(tenant, &user.name, |_, u| {
                u.display_name = set.name.clone().unwrap_or_else(|| u.display_name.clone());
                u.title = set.title.clone().unwrap_or_else(|| u.title.clone());
                u.listed = set.listed.unwrap_or(u.listed);
                u.doors.imap = set.imap.unwrap_or(u.doors.imap);
                u.doors.smtp = set.smtp.unwrap_or(u.doors.smtp);
                Ok(())
            });
            user = changed.await?;
        }
        if let (Some(deputy), Some(until)) = (&set.deputy, set.until) {
            let wish = Deputising {
                deputy: of_tenant(deputy, &organisation)?.to_owned(),
                from: set.from.map(|from| from.from),
                until: until.until,
            };
            user = changes.set_deputy(tenant, &user.name, &wish).await?;
        }
        if let Some(deputy) = &set.drop_deputy {
            let deputy = of_tenant(deputy, &organisation)?;
            user = changes.end_deputy(tenant, &user.name, deputy).await?;
        }
        one(user_record(&*self.organisations.of(tenant)?, &user))
    }

    async fn change_units(&self, change: &Membership, noun: UserKind) -> Outcome {
        let (organisation, user) = self.find_user(&change.login, noun)?;
        self.demand_hand_over(&user)?;
        let tenant = organisation.tenant.id;
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
        let (organisation, user) = self.find_user(&change.login, noun)?;
        self.demand_hand_over(&user)?;
        let tenant = organisation.tenant.id;
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
        self.demand(Permission::Account)?;
        match word {
            RoleWord::Add {
                tenant,
                name,
                description,
                permit,
            } => {
                let id = self.organisation(&tenant)?.tenant.id;
                let permissions = permit.into_iter().map(permission).collect();
                let role = self
                    .organisations
                    .by(&self.by)
                    .add_role(id, &name, &description, permissions);
                one(role_record(&role.await?))
            }
            RoleWord::List { tenant } => {
                let organisation = self.organisation(&tenant)?;
                list(organisation.live_roles().map(role_record))
            }
            RoleWord::Show { tenant, name } => {
                let organisation = self.organisation(&tenant)?;
                let Some(role) = organisation.role_by_name(&name) else {
                    let names = organisation.live_roles().map(|r| r.name.as_str());
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
            RoleWord::Set {
                tenant,
                name,
                rename,
                description,
            } => {
                let id = self.organisation(&tenant)?.tenant.id;
                let wish = RoleWish {
                    name: rename,
                    description,
                };
                let role = self.organisations.by(&self.by).set_role(id, &name, &wish);
                one(role_record(&role.await?))
            }
            RoleWord::Remove { tenant, name } => {
                let id = self.organisation(&tenant)?.tenant.id;
                let role = self.organisations.by(&self.by).remove_role(id, &name).await?;
                one(Record::new().text("removed", role.name))
            }
        }
    }

    async fn grant(&self, grant: &Grant, give: bool) -> Outcome {
        let tenant = self.organisation(&grant.tenant)?.tenant.id;
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

/// The name of a user of the same tenant, written with the tenant or without.
fn of_tenant<'n>(name: &'n str, organisation: &Organisation) -> Result<&'n str, Failure> {
    match name.split_once('@') {
        None => Ok(name),
        Some((user, realm)) if realm.eq_ignore_ascii_case(&organisation.tenant.name) => Ok(user),
        Some(_) => {
            let say = format!("{name} is not of this tenant; only its own users stand in for each other");
            Err(Failure::refused(Kind::Invalid, say))
        }
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
    let held = Permission::ALL.into_iter().filter(|p| organisation.may(user, *p));
    let permissions = held.map(permission_word);
    let doors = [(user.doors.imap, "imap"), (user.doors.smtp, "smtp")];
    let doors = doors.into_iter().filter_map(|(open, name)| open.then_some(name));
    let deputies = user.deputies.iter().map(|d| {
        let name = organisation.who(Who::User(d.user));
        let record = Record::new()
            .text("user", name)
            .text("from", d.from)
            .text("until", d.until);
        Value::from(record)
    });
    Record::new()
        .text("login", format!("{}@{}", user.name, organisation.tenant.name))
        .text("name", &user.display_name)
        .text("kind", kind)
        .with("units", units.collect::<Vec<_>>())
        .with("roles", roles.map(|r| r.name.clone()).collect::<Vec<_>>())
        .with("permissions", permissions.collect::<Vec<_>>())
        .with("doors", doors.collect::<Vec<_>>())
        .with("deputies", deputies.collect::<Vec<_>>())
        .text("title", &user.title)
        .with("listed", user.listed)
        .with("removed", user.removed)
}
