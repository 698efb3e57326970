//! Certificates that users log in with, and the two ways from a certificate to its users: by fingerprint, by TCKN.
//!
//! The way back lies among the provider's rows, for a client that shows a certificate does not say which tenant it means.
//! A number is filed under its SHA-256: keys may be told in errors, numbers may not.

use super::{Key, insert, read, rows};
use crate::domain::certificate::UserCertificates;
use crate::domain::number::Tckn;
use crate::domain::provider::Fingerprint;
use crate::id::{TenantId, UserId};
use crate::store::db::{Batch, Db};
use crate::store::row::RowError;
use crate::store::{StoreError, prefix_end};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A user whom a certificate or a number lets in. All is in the key as well; the row makes it readable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CertificateHolder {
    pub tenant: TenantId,
    pub user: UserId,
}

rows! {
    UserCertificates => "certificates of users" v 1;
    CertificateHolder => "holders of certificates" v 1;
}

/// Users looked at for one certificate. A person with more logins says which he means; an accountant may have hundreds.
pub const HOLDERS_SEEN_MAX: usize = 16;

/// By what a certificate is known here.
#[derive(Debug, Clone, Copy)]
pub struct Marks<'a> {
    pub fingerprint: Fingerprint,
    /// Of a qualified certificate of a person only.
    pub tckn: Option<&'a Tckn>,
}

fn user_key(tenant: TenantId, user: UserId) -> Vec<u8> {
    Key::tenant(tenant, b"uc").number(user.0).done()
}

fn by_fingerprint(fingerprint: Fingerprint) -> Key {
    Key::global(b"cf").octets(&fingerprint.0)
}

fn by_tckn(tckn: &Tckn) -> Key {
    Key::global(b"cn").octets(&super::mails::digest(tckn.expose().as_bytes()))
}

fn holder_key(way: Key, holder: CertificateHolder) -> Vec<u8> {
    way.number(holder.tenant.0).number(holder.user.0).done()
}

/// What lets a user in; nothing if he has no certificate.
pub fn of_user(db: &dyn Db, tenant: TenantId, user: UserId) -> Result<UserCertificates, StoreError> {
    let stored = read::<UserCertificates>(db, user_key(tenant, user))?;
    Ok(stored.map(|s| s.row).unwrap_or_default())
}

/// Writes what lets a user in from now on, and both ways to him. `before` must be what stands there: the caller's batch
/// holds on to the organisation's version, which every such change rewrites.
pub fn replace(
    batch: &mut Batch,
    holder: CertificateHolder,
    before: &UserCertificates,
    after: &UserCertificates,
) -> Result<(), RowError> {
    for gone in before.certificates.iter().filter(|c| !after.has(c.fingerprint)) {
        batch.delete(holder_key(by_fingerprint(gone.fingerprint), holder));
    }
    for new in after.certificates.iter().filter(|c| !before.has(c.fingerprint)) {
        insert(
            batch,
            holder_key(by_fingerprint(new.fingerprint), holder),
            &holder,
        )?;
    }
    if before.tckn != after.tckn {
        if let Some(gone) = &before.tckn {
            batch.delete(holder_key(by_tckn(gone), holder));
        }
        if let Some(new) = &after.tckn {
            insert(batch, holder_key(by_tckn(new), holder), &holder)?;
        }
    }
    let key = user_key(holder.tenant, holder.user);
    if after.is_empty() {
        batch.delete(key);
        return Ok(());
    }
    super::put(batch, key, after)
}

/// Whether the certificate lets this user in.
pub fn lets_in(db: &dyn Db, marks: Marks<'_>, holder: CertificateHolder) -> Result<bool, StoreError> {
    for way in ways(marks) {
        if db.get(&holder_key(way, holder))?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whom the certificate lets in, at most [`HOLDERS_SEEN_MAX`] by each way, each once.
pub fn holders(db: &dyn Db, marks: Marks<'_>) -> Result<BTreeSet<CertificateHolder>, StoreError> {
    let mut holders = BTreeSet::new();
    for way in ways(marks) {
        let prefix = way.done();
        for (key, octets) in db.range(&prefix, &prefix_end(&prefix), HOLDERS_SEEN_MAX)? {
            holders.insert(super::Stored::<CertificateHolder>::decode(key, octets)?.row);
        }
    }
    Ok(holders)
}

fn ways(marks: Marks<'_>) -> impl Iterator<Item = Key> {
    let by_number = marks.tckn.map(by_tckn);
    std::iter::once(by_fingerprint(marks.fingerprint)).chain(by_number)
}
