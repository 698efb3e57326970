//! Mails at the sender's provider, consignments at the recipient's, and the Message-ID index.

use super::items::Content;
use super::tenants::Holder;
use super::{Key, Stored, insert, read, read_all, rows};
use crate::domain::mail::{Consignment, Mail};
use crate::id::{ItemId, MailId, TenantId, UserId};
use crate::store::StoreError;
use crate::store::db::{Batch, Db};
use crate::store::row::RowError;
use serde::{Deserialize, Serialize};

/// What a Message-ID of a user stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    pub item: ItemId,
    pub mail: Option<MailId>,
}

/// A mark that something has been done once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done;

/// A sealed copy of a mail, as it left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dispatch {
    pub copy: u16,
    pub content: Content,
}

rows! {
    Dispatch => "dispatches" v 1;
    Mail => "mails" v 5;
    Consignment => "consignments" v 2;
    Known => "message ids" v 1;
    Done => "done once" v 1;
}

/// SHA-256, for keys of things that may be longer than a key.
pub fn digest(octets: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, octets).as_ref());
    out
}

pub fn key(tenant: TenantId, mail: MailId) -> Vec<u8> {
    Key::tenant(tenant, b"ma").octets(&mail.octets()).done()
}

pub fn mail(db: &dyn Db, tenant: TenantId, mail: MailId) -> Result<Option<Stored<Mail>>, StoreError> {
    read(db, key(tenant, mail))
}

pub fn all(db: &dyn Db, tenant: TenantId) -> Result<Vec<Stored<Mail>>, StoreError> {
    read_all(db, &Key::tenant(tenant, b"ma").done())
}

/// The next mails of a tenant after one, in the order of their keys.
pub fn after(
    db: &dyn Db,
    tenant: TenantId,
    last: Option<MailId>,
    limit: usize,
) -> Result<Vec<Stored<Mail>>, StoreError> {
    rows_after(db, Key::tenant(tenant, b"ma"), last, limit)
}

/// The same of what came in.
pub fn consignments_after(
    db: &dyn Db,
    tenant: TenantId,
    last: Option<MailId>,
    limit: usize,
) -> Result<Vec<Stored<Consignment>>, StoreError> {
    rows_after(db, Key::tenant(tenant, b"cs"), last, limit)
}

fn rows_after<R: crate::store::row::Row>(
    db: &dyn Db,
    table: Key,
    last: Option<MailId>,
    limit: usize,
) -> Result<Vec<Stored<R>>, StoreError> {
    let end = crate::store::prefix_end(&table.clone().done());
    let from = match last {
        // The first key behind that of the last one.
        Some(last) => table.octets(&last.octets()).octets(&[0]).done(),
        None => table.done(),
    };
    let rows = db.range(&from, &end, limit)?;
    rows.into_iter()
        .map(|(key, octets)| Stored::decode(key, octets))
        .collect()
}

pub fn add(batch: &mut Batch, mail: &Mail) -> Result<(), RowError> {
    insert(batch, key(mail.tenant, mail.id), mail)?;
    insert(batch, holder_key(mail.id), &Holder { tenant: mail.tenant })
}

fn holder_key(mail: MailId) -> Vec<u8> {
    Key::global(b"mt").octets(&mail.octets()).done()
}

/// The tenant that sent a mail, or that it was consigned to.
pub fn tenant_of(db: &dyn Db, mail: MailId) -> Result<Option<TenantId>, StoreError> {
    Ok(read::<Holder>(db, holder_key(mail))?.map(|h| h.row.tenant))
}

fn dispatch_prefix(tenant: TenantId, mail: MailId) -> Key {
    Key::tenant(tenant, b"di").octets(&mail.octets())
}

/// Keeps a sealed copy. There is one of each; a second seal of the same copy is a conflict.
pub fn add_dispatch(
    batch: &mut Batch,
    tenant: TenantId,
    mail: MailId,
    dispatch: &Dispatch,
) -> Result<(), RowError> {
    insert(
        batch,
        dispatch_prefix(tenant, mail)
            .number(u32::from(dispatch.copy))
            .done(),
        dispatch,
    )
}

/// The sealed copies of a mail.
pub fn dispatches(db: &dyn Db, tenant: TenantId, mail: MailId) -> Result<Vec<Stored<Dispatch>>, StoreError> {
    read_all(db, &dispatch_prefix(tenant, mail).done())
}

fn consignment_key(tenant: TenantId, id: MailId) -> Vec<u8> {
    Key::tenant(tenant, b"cs").octets(&id.octets()).done()
}

pub fn consignment(
    db: &dyn Db,
    tenant: TenantId,
    id: MailId,
) -> Result<Option<Stored<Consignment>>, StoreError> {
    read(db, consignment_key(tenant, id))
}

pub fn add_consignment(batch: &mut Batch, consignment: &Consignment) -> Result<(), RowError> {
    insert(
        batch,
        consignment_key(consignment.tenant, consignment.id),
        consignment,
    )?;
    insert(
        batch,
        holder_key(consignment.id),
        &Holder {
            tenant: consignment.tenant,
        },
    )
}

/// Anybody can write any Message-ID: what it stands for is said by each author for himself.
fn message_id_key(tenant: TenantId, author: UserId, message_id: &str) -> Vec<u8> {
    Key::tenant(tenant, b"mi")
        .number(author.0)
        .octets(&digest(message_id.as_bytes()))
        .done()
}

/// What a Message-ID stands for in the mail that this author has handed in.
pub fn known(
    db: &dyn Db,
    tenant: TenantId,
    author: UserId,
    message_id: &str,
) -> Result<Option<Stored<Known>>, StoreError> {
    read(db, message_id_key(tenant, author, message_id))
}

/// Says what a Message-ID stands for from now on; only if that is still as it was read.
pub fn set_known(
    batch: &mut Batch,
    tenant: TenantId,
    author: UserId,
    message_id: &str,
    old: Option<Stored<Known>>,
    new: Known,
) -> Result<(), RowError> {
    match old {
        Some(old) => old.replace(batch, &new),
        None => insert(batch, message_id_key(tenant, author, message_id), &new),
    }
}

/// Marks that a dispatch has been consigned to a recipient: the second attempt finds the mark and is a duplicate.
/// `home` is the domain of the sender's provider: the identifiers of one do not stand for the mails of another.
pub fn consigned_once_key(tenant: TenantId, home: &str, rem_message_id: &str, recipient: &str) -> Vec<u8> {
    let all = [home, rem_message_id, recipient].join("\0");
    Key::tenant(tenant, b"co").octets(&digest(all.as_bytes())).done()
}

/// Marks that a transfer from a peer has been taken in: the same octets again are a duplicate.
pub fn transfer_key(peer: &str, content_sha256: &[u8; 32], recipients: &[String]) -> Vec<u8> {
    let both = [
        peer.as_bytes(),
        b"\0",
        content_sha256,
        recipients.join("\0").as_bytes(),
    ]
    .concat();
    Key::global(b"tr").octets(&digest(&both)).done()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_identifier_of_two_providers_is_two_marks() {
        let mark = |home: &str, id: &str| consigned_once_key(TenantId(1), home, id, "alici@hs02.kep.test");
        assert_eq!(mark("hs01.kep.test", "x"), mark("hs01.kep.test", "x"));
        assert_ne!(mark("hs01.kep.test", "x"), mark("hs03.kep.test", "x"));
        assert_ne!(mark("hs01.kep.test", "x"), mark("hs01.kep.test", "y"));
    }
}
