//! Account holders: opening an account, and changing its record.

use super::*;
use crate::domain::audit::Matter;
use crate::domain::enquiry;
use crate::domain::reply::ReplyToken;
use crate::domain::tenant::Institution;
use crate::store::tables::credit;

/// A tenant to be.
#[derive(Debug, Clone)]
pub struct NewTenant {
    pub name: String,
    pub kind: TenantKind,
    pub address: KepAddress,
    pub title: String,
    pub language: Language,
}

impl Changes<'_> {
    /// A new account holder. `domain` is this provider's: the address must lie at or below it.
    pub async fn add_tenant(self, new: NewTenant, domain: &Domain) -> Result<Tenant, Failure> {
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
        if ReplyToken::of(&new.address, &new.address.domain()).is_some() {
            let say = "addresses of this form are kept for answers to status messages; choose another";
            return Err(Failure::refused(Kind::Invalid, say));
        }
        if enquiry::is_address(&new.address, domain) {
            let say = "this address is kept for verifying documents; choose another";
            return Err(Failure::refused(Kind::Invalid, say));
        }
        check_text(&new.title)?;
        for _ in 0..CHANGE_ATTEMPTS {
            if tenants::by_name(&*self.house.db, &name)?.is_some() {
                return Err(Failure::refused(
                    Kind::Exists,
                    format!("there is a tenant \"{name}\" already"),
                ));
            }
            if tenants::by_address(&*self.house.db, &new.address)?.is_some() {
                let say = format!(
                    "{} is or was somebody's address and is never given again",
                    new.address
                );
                return Err(Failure::refused(Kind::Exists, say));
            }
            let mut batch = Batch::new();
            let tenant = Tenant {
                id: tenants::claim_next(&*self.house.db, &mut batch)?,
                name: name.clone(),
                kind: new.kind,
                address: new.address.clone(),
                title: new.title.clone(),
                life: TenantLife::Active,
                language: new.language,
                officers_follow_rules: false,
                receipts: Default::default(),
                signature: Default::default(),
                storage_max_bytes: None,
                credit: None,
                institution: Institution::default(),
                created_at: self.house.clock.now(),
            };
            tenants::add(&mut batch, &tenant)?;
            org::begin(&mut batch, tenant.id)?;
            let mut account = Account::default();
            account.tell(Matter::Tenant, None, Some(&tenant));
            let record = account.record("tenant add", self.author, tenant.created_at);
            audit::append(&mut batch, tenant.id, 0, &record)?;
            match self.house.db.commit(batch).await {
                Ok(_) => return Ok(tenant),
                Err(CommitError::Conflict { .. }) => continue,
                Err(other) => return Err(other.into()),
            }
        }
        Err(Failure::Unavailable("too many changes of tenants at once".into()))
    }

    /// Changes the tenant's own record.
    pub async fn set_tenant(self, tenant: TenantId, set: impl Fn(&mut Tenant)) -> Result<Tenant, Failure> {
        let house = self.house;
        let changed = self.change("tenant set", tenant, |draft| {
            let mut record = draft.org.tenant.clone();
            set(&mut record);
            check_text(&record.title)?;
            if let Some(fault) = record.institution.fault() {
                return Err(Failure::refused(Kind::Invalid, fault));
            }
            draft
                .account
                .tell(Matter::Tenant, Some(&draft.org.tenant), Some(&record));
            draft
                .batch
                .put(tenants::key(tenant), crate::store::row::encode(&record)?);
            if record.credit != draft.org.tenant.credit {
                credit::judge(&mut draft.batch, tenant, record.credit, draft.now);
            }
            Ok(record)
        });
        let record = changed.await?;
        // Officers may have to be told that their credit is low.
        house.bells.herald.ring();
        Ok(record)
    }
}
