//! Evidence documents, by the mail they speak of; and the marks that each is made, and taken in, once.

use super::{Key, Stored, insert, read_all, rows};
use crate::address::Domain;
use crate::clock::UtcTime;
use crate::domain::evidence::{Event, EvidenceKind};
use crate::id::{EvidenceId, MailId, TenantId};
use crate::store::StoreError;
use crate::store::db::{Batch, Db};
use crate::store::row::RowError;
use crate::store::spool::BlobRef;
use crate::store::tables::items::Content;
use crate::store::tables::lasting;
use crate::store::tables::work::{self, OwedReceipt};
use serde::{Deserialize, Serialize};

/// One sealed document. Append-only: no function changes or deletes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvidenceRow {
    pub id: EvidenceId,
    /// `EvidenceIdentifier` as its issuer wrote it.
    pub identifier: String,
    pub kind: EvidenceKind,
    pub event: Event,
    pub event_time: UtcTime,
    /// Whom it refers to; none for the message as a whole.
    pub recipient: Option<String>,
    pub issuer: Domain,
    pub xml: BlobRef,
}

rows! {
    EvidenceRow => "evidence" v 1;
    EvidenceHolder => "evidence holders" v 1;
}

/// Which mail of which tenant an evidence belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvidenceHolder {
    pub tenant: TenantId,
    pub mail: MailId,
}

fn prefix(tenant: TenantId, mail: MailId) -> Key {
    Key::tenant(tenant, b"ev").octets(&mail.octets())
}

/// Key of the row that tells which mail an evidence belongs to.
fn holder_key(tenant: TenantId, evidence: EvidenceId) -> Vec<u8> {
    Key::tenant(tenant, b"eh").octets(&evidence.octets()).done()
}

/// The mail an evidence of this tenant belongs to.
pub fn mail_of(db: &dyn Db, tenant: TenantId, evidence: EvidenceId) -> Result<Option<MailId>, StoreError> {
    let holder = super::read::<EvidenceHolder>(db, holder_key(tenant, evidence))?;
    Ok(holder.map(|h| h.row.mail))
}

/// Adds a document that was sealed or taken in at `taken_at`. From that moment it waits for its night and its last word:
/// `event_time` is its issuer's to choose.
pub fn add(
    batch: &mut Batch,
    tenant: TenantId,
    mail: MailId,
    row: &EvidenceRow,
    taken_at: UtcTime,
) -> Result<(), RowError> {
    let key = prefix(tenant, mail)
        .long(row.event_time.unix_ms().max(0) as u64)
        .octets(&row.id.octets())
        .done();
    insert(batch, key, row)?;
    let content = Content::whole(row.xml.id, row.xml.size_bytes);
    work::preserve(batch, taken_at, content.clone(), Some(row.xml.id.0))?;
    lasting::owe(
        batch,
        taken_at,
        lasting::Piece::Evidence,
        content,
        row.issuer.clone(),
    )?;
    super::put(
        batch,
        holder_key(tenant, row.id),
        &EvidenceHolder { tenant, mail },
    )
}

/// Owes the sender of the mail his message about this document, in the form he wished for. `plain`: the message that carries it
/// now, of another provider when there is a `peer`.
pub fn owe_receipt(
    batch: &mut Batch,
    (tenant, mail): (TenantId, MailId),
    row: &EvidenceRow,
    (peer, plain): (Option<Domain>, Content),
    at: UtcTime,
) -> Result<(), RowError> {
    let owed = OwedReceipt {
        tenant,
        mail,
        evidence: row.id,
        xml: row.xml,
        peer,
        plain,
        attempts: 0,
        unread: 0,
    };
    work::add(batch, at, &owed)
}

/// The evidence of a mail in order of event.
pub fn of_mail(db: &dyn Db, tenant: TenantId, mail: MailId) -> Result<Vec<Stored<EvidenceRow>>, StoreError> {
    read_all(db, &prefix(tenant, mail).done())
}

pub fn of_tenant(db: &dyn Db, tenant: TenantId) -> Result<Vec<Stored<EvidenceRow>>, StoreError> {
    read_all(db, &Key::tenant(tenant, b"ev").done())
}

/// Marks that evidence of this kind about this recipient of this mail is owed or made: there is one of each.
pub fn once_key(tenant: TenantId, mail: MailId, kind: EvidenceKind, about: u32) -> Vec<u8> {
    Key::tenant(tenant, b"eo")
        .octets(&mail.octets())
        .octets(kind.element_name().as_bytes())
        .number(about)
        .done()
}

/// Marks that an evidence of another provider has been taken in.
pub fn taken_in_key(tenant: TenantId, issuer: &str, identifier: &str) -> Vec<u8> {
    let both = [issuer.as_bytes(), b"\0", identifier.as_bytes()].concat();
    Key::tenant(tenant, b"et")
        .octets(&super::mails::digest(&both))
        .done()
}
