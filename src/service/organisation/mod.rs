//! Tenants and their organisation: reading it (cached), and every change of it.
//!
//! A change reads the organisation, checks the wish against it, and commits on the condition that nobody else changed
//! it in between; then it starts over. All names are compared under Turkish folding with both i's alike.

use crate::address::{Domain, KepAddress, is_login_word};
use crate::clock::{Clock, UtcTime};
use crate::domain::audit::Author;
use crate::domain::folding::{edit_distance, name_key};
use crate::domain::org::{Organisation, User, UserKind};
use crate::domain::tenant::{Language, Tenant, TenantKind, TenantLife};
use crate::id::{LabelId, RoleId, RuleId, TenantId, UnitId, UserId};
use crate::service::bell::Bells;
use crate::service::failure::{Failure, Kind};
use crate::store::db::{Batch, CommitError, Db};
use crate::store::tables::work::{self, OwedReview};
use crate::store::tables::{Stored, audit, org, tenants};
use account::Account;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

mod account;
mod certificates;
mod holders;
mod labels;
mod people;
mod roles;
mod rules;
mod units;

pub use holders::NewTenant;
pub use people::{Deputising, NewUser};
pub use roles::RoleWish;
pub use rules::{NewStep, RuleWish, unheld, who_named};

/// Names of units, roles, labels and rules, in characters. A mailbox name has to hold them.
pub const NAME_MAX_CHARS: usize = 100;
/// How often a change is tried against others who change the same organisation.
const CHANGE_ATTEMPTS: usize = 16;

/// Reads and changes organisations.
pub struct Organisations {
    db: Arc<dyn Db>,
    clock: Arc<dyn Clock>,
    bells: Bells,
    cache: Mutex<HashMap<TenantId, Arc<Organisation>>>,
}

impl Organisations {
    pub fn new(db: Arc<dyn Db>, clock: Arc<dyn Clock>, bells: Bells) -> Self {
        Self {
            db,
            clock,
            bells,
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

    /// The organisation as it stands, to be committed upon.
    pub fn standing(&self, tenant: TenantId) -> Result<OrgStanding, Failure> {
        for _ in 0..CHANGE_ATTEMPTS {
            let Some(version) = org::version(&*self.db, tenant)? else {
                return Err(missing("tenant"));
            };
            let organisation = self.of(tenant)?;
            if organisation.version == version.row.version {
                return Ok(OrgStanding {
                    organisation,
                    version,
                });
            }
        }
        Err(Failure::Unavailable("the organisation changes too often".into()))
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

    /// The changes somebody makes: each is written into the tenant's audit record under his name.
    pub fn by<'a>(&'a self, author: &'a Author) -> Changes<'a> {
        Changes { house: self, author }
    }
}

/// An organisation, and the row by which a commit holds on to it: what was decided by it is written only as long as it
/// stands so.
pub struct OrgStanding {
    pub organisation: Arc<Organisation>,
    version: Stored<org::OrgVersion>,
}

impl OrgStanding {
    /// The batch is committed only if nobody has changed the organisation.
    pub fn require(&self, batch: &mut Batch) {
        self.version.require_unchanged(batch);
    }
}

/// Changes of organisations by somebody.
#[derive(Clone, Copy)]
pub struct Changes<'a> {
    house: &'a Organisations,
    author: &'a Author,
}

impl Changes<'_> {
    /// One change of an organisation, tried until nobody else's comes in between.
    async fn change<T>(
        self,
        deed: &'static str,
        tenant: TenantId,
        make: impl Fn(&mut Draft<'_>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let house = self.house;
        for _ in 0..CHANGE_ATTEMPTS {
            let Some(version) = org::version(&*house.db, tenant)? else {
                return Err(missing("tenant"));
            };
            let current = house.of(tenant)?;
            if current.version != version.row.version {
                continue;
            }
            let now = house.clock.now();
            let mut draft = Draft {
                org: &current,
                tenant,
                now,
                batch: Batch::new(),
                last_number: version.row.last_number,
                account: Account::default(),
            };
            let made = make(&mut draft)?;
            let next = org::OrgVersion {
                version: version.row.version + 1,
                last_number: draft.last_number,
            };
            let mut batch = draft.batch;
            version.replace(&mut batch, &next)?;
            let record = draft.account.record(deed, self.author, now);
            audit::append(&mut batch, tenant, 0, &record)?;
            work::add(&mut batch, now, &OwedReview { tenant })?;
            match house.db.commit(batch).await {
                Ok(_) => {
                    house.bells.mailboxes.ring(tenant);
                    house.bells.timers.ring();
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
    now: UtcTime,
    batch: Batch,
    last_number: u32,
    account: Account,
}

impl Draft<'_> {
    fn next_number(&mut self) -> u32 {
        self.last_number += 1;
        self.last_number
    }

    fn put<E: org::OrgEntry>(&mut self, entry: &E) -> Result<(), Failure> {
        self.account
            .tell(E::matter(entry), E::of(self.org, entry.number()), Some(entry));
        Ok(org::put(&mut self.batch, self.tenant, entry)?)
    }

    /// The tenant's open jobs, and what everybody sees, are looked through again at that moment.
    fn review_at(&mut self, at: UtcTime) -> Result<(), Failure> {
        let row = OwedReview { tenant: self.tenant };
        Ok(work::add(&mut self.batch, at, &row)?)
    }

    fn remove<E: org::OrgEntry>(&mut self, entry: &E) {
        self.account.tell(E::matter(entry), Some(entry), None);
        org::remove::<E>(&mut self.batch, self.tenant, entry.number());
    }

    /// Mail that carries the label shows another keyword from now on, or none.
    fn change_word(&mut self, label: LabelId) {
        org::change_word(&mut self.batch, self.org, label);
    }

    pub fn unit(&self, path: &str) -> Result<UnitId, Failure> {
        self.org.unit_by_path(path).map(|u| u.id).ok_or_else(|| {
            let live = self.org.live_units();
            let paths: Vec<String> = live.map(|u| self.org.unit_path(u.id)).collect();
            Failure::refused(
                Kind::NotFound,
                unknown("unit", path, paths.iter().map(String::as_str)),
            )
        })
    }

    pub fn user(&self, name: &str) -> Result<UserId, Failure> {
        self.org.user_by_name(name).map(|u| u.id).ok_or_else(|| {
            let names = self.org.live_users().map(|u| u.name.as_str());
            Failure::refused(Kind::NotFound, unknown("user", name, names))
        })
    }

    pub fn role(&self, name: &str) -> Result<RoleId, Failure> {
        self.org.role_by_name(name).map(|r| r.id).ok_or_else(|| {
            let names = self.org.live_roles().map(|r| r.name.as_str());
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
