//! Tenants and their organisation: reading it (cached), and every change of it.
//!
//! A change reads the organisation, checks the wish against it, and commits on the condition that nobody else changed
//! it in between; then it starts over. All names are compared under Turkish folding with both i's alike.

use crate::address::{Domain, KepAddress, is_login_word};
use crate::clock::Clock;
use crate::domain::folding::{edit_distance, name_key};
use crate::domain::label::Label;
use crate::domain::org::{Organisation, Permission, Role, UNIT_DEPTH_MAX, Unit, User, UserKind};
use crate::domain::rule::{Condition, Rule, STEP_LIMIT_MAX_DAYS, STEPS_MAX, Step};
use crate::domain::tenant::{Language, Tenant, TenantKind, TenantLife};
use crate::id::{LabelId, RoleId, RuleId, TenantId, UnitId, UserId};
use crate::service::bell::MailboxBell;
use crate::service::failure::{Failure, Kind};
use crate::store::db::{Batch, CommitError, Db};
use crate::store::tables::{org, tenants};
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

/// Names of units, roles, labels and rules, in characters. A mailbox name has to hold them.
pub const NAME_MAX_CHARS: usize = 100;
/// How often a change is tried against others who change the same organisation.
const CHANGE_ATTEMPTS: usize = 16;

/// Reads and changes organisations.
pub struct Organisations {
    db: Arc<dyn Db>,
    clock: Arc<dyn Clock>,
    mailboxes: MailboxBell,
    cache: Mutex<HashMap<TenantId, Arc<Organisation>>>,
}

/// A tenant to be.
#[derive(Debug, Clone)]
pub struct NewTenant {
    pub name: String,
    pub kind: TenantKind,
    pub address: KepAddress,
    pub title: String,
    pub language: Language,
}

/// A user to be. Units are named by path, roles by name.
#[derive(Debug, Clone)]
pub struct NewUser {
    pub name: String,
    pub display_name: String,
    pub kind: UserKind,
    pub units: Vec<String>,
    pub roles: Vec<String>,
}

/// A rule to be: conditions, and (role name, days) for each step.
#[derive(Debug, Clone)]
pub struct NewRule {
    pub name: String,
    pub conditions: Vec<Condition>,
    pub steps: Vec<(String, u16)>,
}

impl Organisations {
    pub fn new(db: Arc<dyn Db>, clock: Arc<dyn Clock>, mailboxes: MailboxBell) -> Self {
        Self {
            db,
            clock,
            mailboxes,
            cache: Mutex::default(),
        }
    }

    /// The organisation as it stands.
    pub fn of(&self, tenant: TenantId) -> Result<Arc<Organisation>, Failure> {
        let Some(version) = org::version(&*self.db, tenant)? else {
            return Err(Failure::refused(Kind::NotFound, "there is no such tenant"));
        };
        let cached = self
            .cache
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&tenant)
            .cloned();
        if let Some(organisation) = cached.filter(|o| o.version == version.row.version) {
            return Ok(organisation);
        }
        let loaded = org::load(&*self.db, tenant)?.map(Arc::new);
        let organisation =
            loaded.ok_or_else(|| Failure::refused(Kind::NotFound, "there is no such tenant"))?;
        self.cache
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(tenant, organisation.clone());
        Ok(organisation)
    }

    pub fn by_name(&self, name: &str) -> Result<Arc<Organisation>, Failure> {
        match tenants::by_name(&*self.db, &name.to_ascii_lowercase())? {
            Some(tenant) => self.of(tenant),
            None => Err(Failure::refused(Kind::NotFound, self.unknown_tenant(name)?)),
        }
    }

    pub fn by_address(&self, address: &KepAddress) -> Result<Option<Arc<Organisation>>, Failure> {
        tenants::by_address(&*self.db, address)?
            .map(|tenant| self.of(tenant))
            .transpose()
    }

    pub fn tenants(&self) -> Result<Vec<Tenant>, Failure> {
        Ok(tenants::all(&*self.db)?.into_iter().map(|t| t.row).collect())
    }

    fn unknown_tenant(&self, name: &str) -> Result<String, Failure> {
        let names: Vec<String> = self.tenants()?.into_iter().map(|t| t.name).collect();
        Ok(unknown("tenant", name, names.iter().map(String::as_str)))
    }

    /// A new account holder. `domain` is this provider's: the address must lie at or below it.
    pub async fn add_tenant(&self, new: NewTenant, domain: &Domain) -> Result<Tenant, Failure> {
        let name = new.name.to_ascii_lowercase();
        if !is_login_word(&name) {
            let say =
                "a tenant's name is the realm of its logins: ASCII letters, digits, '.', '-' and '_' only";
            return Err(Failure::refused(Kind::Invalid, say));
        }
        if !new.address.domain().is_within(domain) {
            let say = format!("the address must be at {domain} or below it");
            return Err(Failure::refused(Kind::Invalid, say));
        }
        check_text(&new.title)?;
        for _ in 0..CHANGE_ATTEMPTS {
            if tenants::by_name(&*self.db, &name)?.is_some() {
                return Err(Failure::refused(
                    Kind::Exists,
                    format!("there is a tenant \"{name}\" already"),
                ));
            }
            if tenants::by_address(&*self.db, &new.address)?.is_some() {
                let say = format!(
                    "{} is or was somebody's address and is never given again",
                    new.address
                );
                return Err(Failure::refused(Kind::Exists, say));
            }
            let mut batch = Batch::new();
            let tenant = Tenant {
                id: tenants::claim_next(&*self.db, &mut batch)?,
                name: name.clone(),
                kind: new.kind,
                address: new.address.clone(),
                title: new.title.clone(),
                life: TenantLife::Active,
                language: new.language,
                officers_follow_rules: false,
                created_at: self.clock.now(),
            };
            tenants::add(&mut batch, &tenant)?;
            org::begin(&mut batch, tenant.id)?;
            match self.db.commit(batch).await {
                Ok(_) => return Ok(tenant),
                Err(CommitError::Conflict { .. }) => continue,
                Err(other) => return Err(other.into()),
            }
        }
        Err(Failure::Unavailable("too many changes of tenants at once".into()))
    }

    /// Changes the tenant's own record.
    pub async fn set_tenant(&self, tenant: TenantId, set: impl Fn(&mut Tenant)) -> Result<Tenant, Failure> {
        self.change(tenant, |draft| {
            let mut record = draft.org.tenant.clone();
            set(&mut record);
            draft
                .batch
                .put(tenants::key(tenant), crate::store::row::encode(&record)?);
            Ok(record)
        })
        .await
    }

    pub async fn add_unit(
        &self,
        tenant: TenantId,
        name: &str,
        parent: Option<&str>,
    ) -> Result<Unit, Failure> {
        check_name(name)?;
        self.change(tenant, |draft| {
            let parent = parent.map(|p| draft.unit(p)).transpose()?;
            let siblings = draft.org.units.values().filter(|u| u.parent == parent);
            refuse_taken("unit", name, siblings.map(|u| u.name.as_str()))?;
            let depth = parent.map_or(0, |p| draft.org.unit_path(p).matches('/').count() + 1);
            if depth + 1 >= UNIT_DEPTH_MAX {
                let say = format!("a unit tree has at most {UNIT_DEPTH_MAX} levels");
                return Err(Failure::refused(Kind::Invalid, say));
            }
            let unit = Unit {
                id: UnitId(draft.next_number()),
                name: name.trim().into(),
                parent,
                labels: BTreeSet::new(),
            };
            draft.put(&unit)?;
            Ok(unit)
        })
        .await
    }

    /// Assigns labels to a unit: its users see the mail that carries one of them.
    pub async fn label_unit(&self, tenant: TenantId, unit: &str, labels: &[String]) -> Result<Unit, Failure> {
        self.change(tenant, |draft| {
            let id = draft.unit(unit)?;
            let mut changed = draft.org.units.get(&id).cloned().ok_or_else(|| missing("unit"))?;
            for label in labels {
                changed.labels.insert(draft.label(label)?);
            }
            draft.put(&changed)?;
            Ok(changed)
        })
        .await
    }

    pub async fn add_role(
        &self,
        tenant: TenantId,
        name: &str,
        description: &str,
        permissions: BTreeSet<Permission>,
    ) -> Result<Role, Failure> {
        check_name(name)?;
        self.change(tenant, |draft| {
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
        &self,
        tenant: TenantId,
        role: &str,
        set: impl Fn(&mut BTreeSet<Permission>),
    ) -> Result<Role, Failure> {
        self.change(tenant, |draft| {
            let id = draft.role(role)?;
            let mut changed = draft.org.roles.get(&id).cloned().ok_or_else(|| missing("role"))?;
            set(&mut changed.permissions);
            draft.put(&changed)?;
            Ok(changed)
        })
        .await
    }

    pub async fn add_label(&self, tenant: TenantId, name: &str) -> Result<Label, Failure> {
        check_name(name)?;
        self.change(tenant, |draft| {
            refuse_taken("label", name, draft.org.labels.values().map(|l| l.name.as_str()))?;
            let label = Label {
                id: LabelId(draft.next_number()),
                name: name.trim().into(),
            };
            let keyword = label.keyword();
            if draft
                .org
                .labels
                .values()
                .any(|l| l.keyword().eq_ignore_ascii_case(&keyword))
            {
                let say = format!("another label has the keyword {keyword} already; choose another name");
                return Err(Failure::refused(Kind::Exists, say));
            }
            draft.put(&label)?;
            Ok(label)
        })
        .await
    }

    /// Removes a label's definition. Its mail stays where it is.
    pub async fn remove_label(&self, tenant: TenantId, name: &str) -> Result<LabelId, Failure> {
        self.change(tenant, |draft| {
            let id = draft.label(name)?;
            org::remove::<Label>(&mut draft.batch, tenant, id.0);
            Ok(id)
        })
        .await
    }

    pub async fn add_user(&self, tenant: TenantId, new: &NewUser) -> Result<User, Failure> {
        let name = new.name.to_ascii_lowercase();
        if !is_login_word(&name) {
            let say =
                "a user's name is the first part of his login: ASCII letters, digits, '.', '-' and '_' only";
            return Err(Failure::refused(Kind::Invalid, say));
        }
        self.change(tenant, |draft| {
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
                removed: false,
            };
            draft.put(&user)?;
            Ok(user)
        })
        .await
    }

    /// Changes a user: his units and roles by name, or whatever `set` does.
    pub async fn set_user(
        &self,
        tenant: TenantId,
        name: &str,
        set: impl Fn(&Draft<'_>, &mut User) -> Result<(), Failure>,
    ) -> Result<User, Failure> {
        self.change(tenant, |draft| {
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

    pub async fn add_rule(&self, tenant: TenantId, new: &NewRule) -> Result<Rule, Failure> {
        check_name(&new.name)?;
        if new.conditions.is_empty() || new.conditions.iter().any(|c| c.contains.trim().is_empty()) {
            let say = "a rule needs at least one condition with a text that To or Subject contains";
            return Err(Failure::refused(Kind::Invalid, say));
        }
        if new.steps.is_empty() || new.steps.len() > STEPS_MAX {
            return Err(Failure::refused(
                Kind::Invalid,
                format!("a rule has between 1 and {STEPS_MAX} steps"),
            ));
        }
        if new
            .steps
            .iter()
            .any(|(_, days)| !(1..=STEP_LIMIT_MAX_DAYS).contains(days))
        {
            let say = format!("the limit of a step is between 1 and {STEP_LIMIT_MAX_DAYS} days");
            return Err(Failure::refused(Kind::Invalid, say));
        }
        self.change(tenant, |draft| {
            refuse_taken(
                "rule",
                &new.name,
                draft.org.rules.values().map(|r| r.name.as_str()),
            )?;
            let steps = new.steps.iter().map(|(role, limit_days)| {
                let id = draft.role(role)?;
                let may = draft
                    .org
                    .roles
                    .get(&id)
                    .is_some_and(|r| r.permissions.contains(&Permission::Approve));
                if !may {
                    let say = format!("the role \"{role}\" has no permission to approve; grant it first");
                    return Err(Failure::refused(Kind::Invalid, say));
                }
                Ok(Step {
                    role: id,
                    limit_days: *limit_days,
                })
            });
            let steps = steps.collect::<Result<Vec<_>, Failure>>()?;
            let rule = Rule {
                id: RuleId(draft.next_number()),
                name: new.name.trim().into(),
                version: 1,
                enabled: true,
                conditions: new.conditions.clone(),
                steps,
            };
            draft.put(&rule)?;
            Ok(rule)
        })
        .await
    }

    pub async fn enable_rule(&self, tenant: TenantId, name: &str, enabled: bool) -> Result<Rule, Failure> {
        self.change(tenant, |draft| {
            let id = draft.rule(name)?;
            let mut rule = draft.org.rules.get(&id).cloned().ok_or_else(|| missing("rule"))?;
            rule.enabled = enabled;
            rule.version += 1;
            draft.put(&rule)?;
            Ok(rule)
        })
        .await
    }

    /// One change of an organisation, tried until nobody else's comes in between.
    async fn change<T>(
        &self,
        tenant: TenantId,
        make: impl Fn(&mut Draft<'_>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        for _ in 0..CHANGE_ATTEMPTS {
            let Some(version) = org::version(&*self.db, tenant)? else {
                return Err(missing("tenant"));
            };
            let current = self.of(tenant)?;
            if current.version != version.row.version {
                continue;
            }
            let mut draft = Draft {
                org: &current,
                tenant,
                batch: Batch::new(),
                last_number: version.row.last_number,
            };
            let made = make(&mut draft)?;
            let next = org::OrgVersion {
                version: version.row.version + 1,
                last_number: draft.last_number,
            };
            let mut batch = draft.batch;
            version.replace(&mut batch, &next)?;
            match self.db.commit(batch).await {
                Ok(_) => {
                    self.mailboxes.ring(tenant);
                    return Ok(made);
                }
                Err(CommitError::Conflict { .. }) => continue,
                Err(other) => return Err(other.into()),
            }
        }
        Err(Failure::Unavailable(
            "too many changes of one organisation at once".into(),
        ))
    }
}

/// An organisation with changes about to be made.
pub struct Draft<'a> {
    pub org: &'a Organisation,
    tenant: TenantId,
    batch: Batch,
    last_number: u32,
}

impl Draft<'_> {
    fn next_number(&mut self) -> u32 {
        self.last_number += 1;
        self.last_number
    }

    fn put<E: org::OrgEntry>(&mut self, entry: &E) -> Result<(), Failure> {
        Ok(org::put(&mut self.batch, self.tenant, entry)?)
    }

    pub fn unit(&self, path: &str) -> Result<UnitId, Failure> {
        self.org.unit_by_path(path).map(|u| u.id).ok_or_else(|| {
            let paths: Vec<String> = self.org.units.keys().map(|u| self.org.unit_path(*u)).collect();
            Failure::refused(
                Kind::NotFound,
                unknown("unit", path, paths.iter().map(String::as_str)),
            )
        })
    }

    pub fn role(&self, name: &str) -> Result<RoleId, Failure> {
        self.org.role_by_name(name).map(|r| r.id).ok_or_else(|| {
            let names = self.org.roles.values().map(|r| r.name.as_str());
            Failure::refused(Kind::NotFound, unknown("role", name, names))
        })
    }

    pub fn label(&self, name: &str) -> Result<LabelId, Failure> {
        self.org.label_by_name(name).map(|l| l.id).ok_or_else(|| {
            let names = self.org.labels.values().map(|l| l.name.as_str());
            Failure::refused(Kind::NotFound, unknown("label", name, names))
        })
    }

    pub fn rule(&self, name: &str) -> Result<RuleId, Failure> {
        self.org.rule_by_name(name).map(|r| r.id).ok_or_else(|| {
            let names = self.org.rules.values().map(|r| r.name.as_str());
            Failure::refused(Kind::NotFound, unknown("rule", name, names))
        })
    }
}

fn missing(what: &str) -> Failure {
    Failure::refused(Kind::NotFound, format!("there is no such {what}"))
}

fn refuse_taken<'a>(what: &str, name: &str, mut taken: impl Iterator<Item = &'a str>) -> Result<(), Failure> {
    let key = name_key(name);
    match taken.find(|t| name_key(t) == key) {
        Some(there) => Err(Failure::refused(
            Kind::Exists,
            format!("there is a {what} \"{there}\" already"),
        )),
        None => Ok(()),
    }
}

fn check_name(name: &str) -> Result<(), Failure> {
    let name = name.trim();
    if name.is_empty()
        || name.chars().count() > NAME_MAX_CHARS
        || name.chars().any(|c| c.is_control() || c == '/')
    {
        let say =
            format!("a name has 1 to {NAME_MAX_CHARS} characters, none of them '/' or a control character");
        return Err(Failure::refused(Kind::Invalid, say));
    }
    Ok(())
}

fn check_text(text: &str) -> Result<(), Failure> {
    if text.trim().is_empty()
        || text.chars().count() > 4 * NAME_MAX_CHARS
        || text.chars().any(char::is_control)
    {
        let say = format!(
            "the name has 1 to {} characters, none of them a control character",
            4 * NAME_MAX_CHARS
        );
        return Err(Failure::refused(Kind::Invalid, say));
    }
    Ok(())
}

/// "There is no X; did you mean Y?"
pub(crate) fn unknown<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let key = name_key(name);
    let distance = |other: &str| edit_distance(&key, &name_key(other));
    match known.map(|k| (distance(k), k)).min() {
        Some((d, near)) if d <= 1 + key.chars().count() / 3 => {
            format!("there is no {what} \"{name}\"; did you mean \"{near}\"?")
        }
        _ => format!("there is no {what} \"{name}\""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_name_gets_the_nearest_right_one() {
        let known = ["Onay Rolü", "Onay Rolü2", "Muhasebe"];
        assert_eq!(
            unknown("role", "onay rolu", known.into_iter()),
            "there is no role \"onay rolu\"; did you mean \"Onay Rolü\"?"
        );
        assert_eq!(
            unknown("role", "xyz", known.into_iter()),
            "there is no role \"xyz\""
        );
    }
}
