//! The organisation of a tenant: units, roles, users, labels, rules, and their logins' secrets.
//!
//! `version` is one row that every change of the organisation rewrites; whoever caches an organisation compares it.

use super::{Key, Stored, insert, read, read_all, rows, words};
use crate::domain::audit::Matter;
use crate::domain::label::Label;
use crate::domain::org::{Organisation, Role, Unit, User};
use crate::domain::rule::{Rule, RuleBook};
use crate::id::{LabelId, RoleId, RuleId, TenantId, UnitId, UserId};
use crate::store::db::{Batch, Db};
use crate::store::row::{Row, RowError};
use crate::store::{StoreError, tables::tenants};
use serde::{Deserialize, Serialize};

/// Counts the changes of an organisation and gives out its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct OrgVersion {
    pub version: u64,
    /// The last number given to a unit, role, user, label or rule: one series for all.
    pub last_number: u32,
}

/// What proves a user's login. Opaque here; `service::account` reads and writes it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credentials {
    /// Argon2id in PHC form.
    pub argon2id: String,
    /// The SCRAM-SHA-256 verifier (RFC 5802 3), as the SASL room writes it.
    pub scram_sha256: Vec<u8>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials(..)")
    }
}

rows! {
    OrgVersion => "organisation versions" v 1;
    Credentials => "credentials" v 1;
    Unit => "units" v 2;
    Role => "roles" v 2;
    User => "users" v 2;
    Label => "labels" v 1;
    Rule => "rules" v 2;
}

/// What stands in an organisation under a number.
pub trait OrgEntry: Row {
    const TAG: &'static [u8; 2];
    fn number(&self) -> u32;
    /// What the audit record calls it.
    fn matter(&self) -> Matter;
    /// The entry of that number in an organisation.
    fn of(org: &Organisation, number: u32) -> Option<&Self>;
}

macro_rules! org_entries {
    ($($type:ident => $tag:literal $id:ident $all:ident;)*) => {$(
        impl OrgEntry for $type {
            const TAG: &'static [u8; 2] = $tag;
            fn number(&self) -> u32 { self.id.0 }
            fn matter(&self) -> Matter { Matter::$type(self.id) }
            fn of(org: &Organisation, number: u32) -> Option<&Self> { org.$all.get(&$id(number)) }
        }
    )*};
}

org_entries! {
    Unit => b"un" UnitId units;
    Role => b"ro" RoleId roles;
    User => b"us" UserId users;
    Label => b"la" LabelId labels;
    Rule => b"ru" RuleId rules;
}

fn entry_key<E: OrgEntry>(tenant: TenantId, number: u32) -> Vec<u8> {
    Key::tenant(tenant, E::TAG).number(number).done()
}

fn version_key(tenant: TenantId) -> Vec<u8> {
    Key::tenant(tenant, b"ov").done()
}

pub fn version(db: &dyn Db, tenant: TenantId) -> Result<Option<Stored<OrgVersion>>, StoreError> {
    read(db, version_key(tenant))
}

/// The organisation rows of a new tenant.
pub fn begin(batch: &mut Batch, tenant: TenantId) -> Result<(), RowError> {
    insert(
        batch,
        version_key(tenant),
        &OrgVersion {
            version: 1,
            last_number: 0,
        },
    )
}

/// The word of a label changes by this change of the organisation.
pub fn change_word(batch: &mut Batch, org: &Organisation, label: LabelId) {
    words::changed(batch, org.tenant.id, label, org.words.get(&label).copied());
}

pub fn put<E: OrgEntry>(batch: &mut Batch, tenant: TenantId, entry: &E) -> Result<(), RowError> {
    super::put(batch, entry_key::<E>(tenant, entry.number()), entry)
}

pub fn remove<E: OrgEntry>(batch: &mut Batch, tenant: TenantId, number: u32) {
    batch.delete(entry_key::<E>(tenant, number));
}

/// The whole organisation as it stands; `None` when there is no such tenant.
pub fn load(db: &dyn Db, tenant: TenantId) -> Result<Option<Organisation>, StoreError> {
    // The version is read first: a change in between makes this copy look older than it is, and it is read again.
    let Some(version) = version(db, tenant)? else {
        return Ok(None);
    };
    let Some(record) = tenants::by_id(db, tenant)? else {
        return Ok(None);
    };
    // Words are stamped before they are read: a copy may know a word too early, never its change without the word.
    let words = words::all(db, tenant)?;
    let mut organisation = Organisation {
        tenant: record.row,
        version: version.row.version,
        units: entries::<Unit>(db, tenant)?
            .into_iter()
            .map(|u| (UnitId(u.number()), u))
            .collect(),
        roles: entries::<Role>(db, tenant)?
            .into_iter()
            .map(|r| (RoleId(r.number()), r))
            .collect(),
        users: entries::<User>(db, tenant)?
            .into_iter()
            .map(|u| (UserId(u.number()), u))
            .collect(),
        labels: entries::<Label>(db, tenant)?
            .into_iter()
            .map(|l| (LabelId(l.number()), l))
            .collect(),
        words,
        rules: entries::<Rule>(db, tenant)?
            .into_iter()
            .map(|r| (RuleId(r.number()), r))
            .collect(),
        rulebook: RuleBook::default(),
    };
    organisation.rulebook = RuleBook::new(&organisation.rules_in_order());
    Ok(Some(organisation))
}

fn entries<E: OrgEntry>(db: &dyn Db, tenant: TenantId) -> Result<Vec<E>, StoreError> {
    Ok(read_all::<E>(db, &Key::tenant(tenant, E::TAG).done())?
        .into_iter()
        .map(|s| s.row)
        .collect())
}

/// Chance by which unknown logins are answered alike each time (see `sasl`).
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct DecoySecret(pub [u8; 32]);

rows! {
    DecoySecret => "decoy secret" v 1;
}

fn decoy_key() -> Vec<u8> {
    Key::global(b"dk").done()
}

pub fn decoy_secret(db: &dyn Db) -> Result<Option<DecoySecret>, StoreError> {
    Ok(read::<DecoySecret>(db, decoy_key())?.map(|d| d.row))
}

/// Keeps the secret; there is one for the life of the store.
pub fn keep_decoy_secret(batch: &mut Batch, secret: &DecoySecret) -> Result<(), RowError> {
    insert(batch, decoy_key(), secret)
}

fn credentials_key(tenant: TenantId, user: UserId) -> Vec<u8> {
    Key::tenant(tenant, b"cr").number(user.0).done()
}

pub fn credentials(db: &dyn Db, tenant: TenantId, user: UserId) -> Result<Option<Credentials>, StoreError> {
    Ok(read::<Credentials>(db, credentials_key(tenant, user))?.map(|c| c.row))
}

pub fn put_credentials(
    batch: &mut Batch,
    tenant: TenantId,
    user: UserId,
    credentials: &Credentials,
) -> Result<(), RowError> {
    super::put(batch, credentials_key(tenant, user), credentials)
}
