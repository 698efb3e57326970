//! What is due: the stations' work, ordered by when it is to be done.
//!
//! A station commits its state together with the work it leaves for the next one; the next one asks here. So nothing
//! is forgotten by a crash and a restart is not a special case.

use super::{Key, Stored, rows};
use crate::address::{Domain, KepAddress};
use crate::clock::UtcTime;
use crate::domain::evidence::EvidenceFacts;
use crate::domain::job::Standing;
use crate::domain::mail::SenderHome;
use crate::id::{EvidenceId, ItemId, JobId, MailId, QueueId, RecipientIndex, TenantId, UserId};
use crate::store::StoreError;
use crate::store::db::{Batch, Db};
use crate::store::row::{self, Row, RowError};
use crate::store::spool::BlobRef;
use crate::store::tables::items::Content;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A table of work, by due time.
pub trait Work: Row {
    const TAG: &'static [u8; 2];
    /// What it is about.
    fn id(&self) -> [u8; 16];
    /// Its turn among the work about the same thing; with the id it is unique in this table.
    fn turn(&self) -> u32 {
        0
    }
}

fn key_of<W: Work>(due: UtcTime, work: &W) -> Vec<u8> {
    Key::global(W::TAG)
        .long(due.unix_ms().max(0) as u64)
        .octets(&work.id())
        .number(work.turn())
        .done()
}

/// The row of work to be done at `due`, for a revision that leaves some.
pub(super) fn row_of<W: Work>(due: UtcTime, work: &W) -> Result<(Vec<u8>, Vec<u8>), RowError> {
    Ok((key_of(due, work), row::encode(work)?))
}

/// Adds work to be done at `due`.
pub fn add<W: Work>(batch: &mut Batch, due: UtcTime, work: &W) -> Result<(), RowError> {
    super::put(batch, key_of(due, work), work)
}

/// Takes away work that was to be done at `due`.
pub(super) fn remove<W: Work>(batch: &mut Batch, due: UtcTime, work: &W) {
    batch.delete(key_of(due, work));
}

/// Moves work to a later time, in its new form; only if nobody else took it meanwhile.
pub fn postpone<W: Work>(batch: &mut Batch, old: &Stored<W>, due: UtcTime, new: &W) -> Result<(), RowError> {
    old.remove(batch);
    add(batch, due, new)
}

/// Work that is due at `now`, oldest first, at most `limit` rows.
pub fn due<W: Work>(db: &dyn Db, now: UtcTime, limit: usize) -> Result<Vec<Stored<W>>, StoreError> {
    let from = Key::global(W::TAG).done();
    let to = Key::global(W::TAG).long(now.unix_ms().max(0) as u64 + 1).done();
    db.range(&from, &to, limit)?
        .into_iter()
        .map(|(key, octets)| Stored::decode(key, octets))
        .collect()
}

/// Walks the work that is due at `now`, oldest first, at most `limit` rows.
pub fn for_each_due<W: Work>(
    db: &dyn Db,
    now: UtcTime,
    limit: usize,
    mut each: impl FnMut(Stored<W>),
) -> Result<(), StoreError> {
    let to = Key::global(W::TAG).long(now.unix_ms().max(0) as u64 + 1).done();
    let mut from = Key::global(W::TAG).done();
    let mut left = limit;
    while left > 0 {
        let step = left.min(super::SCAN_STEP_ROWS);
        let rows = db.range(&from, &to, step)?;
        let more = rows.len() == step;
        left -= rows.len();
        if let Some((last, _)) = rows.last() {
            from = last.clone();
            from.push(0);
        }
        for (key, octets) in rows {
            each(Stored::decode(key, octets)?);
        }
        if !more {
            break;
        }
    }
    Ok(())
}

/// When the next work of this table is due, if there is any.
pub fn next_due<W: Work>(db: &dyn Db) -> Result<Option<UtcTime>, StoreError> {
    let prefix = Key::global(W::TAG).done();
    let first = db.range(&prefix, &crate::store::prefix_end(&prefix), 1)?;
    Ok(first.first().map(|(key, _)| due_of(key)))
}

/// How many rows of work this table holds.
pub fn count<W: Work>(db: &dyn Db) -> Result<u64, StoreError> {
    let mut rows = 0;
    super::for_each_raw(db, &Key::global(W::TAG).done(), |_, _| {
        rows += 1;
        Ok(())
    })?;
    Ok(rows)
}

/// All work of this table with its due time.
pub fn all<W: Work>(db: &dyn Db) -> Result<Vec<(UtcTime, Stored<W>)>, StoreError> {
    let rows = super::read_all::<W>(db, &Key::global(W::TAG).done())?;
    Ok(rows
        .into_iter()
        .map(|stored| (due_of(stored.key()), stored))
        .collect())
}

fn due_of(key: &[u8]) -> UtcTime {
    let number = key
        .get(3..11)
        .and_then(|n| <[u8; 8]>::try_from(n).ok())
        .map_or(0, u64::from_be_bytes);
    UtcTime::from_unix_ms(i64::try_from(number).unwrap_or(i64::MAX))
}

/// Where an evidence message goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Addressee {
    /// Into the evidence mailbox of a tenant here, in reply to an item, seen by whoever sees that item.
    Tenant {
        tenant: TenantId,
        mail: MailId,
        item: Option<ItemId>,
    },
    /// To another provider.
    Peer { domain: Domain, to: KepAddress },
}

/// What follows once the evidence is sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Then {
    Nothing,
    /// The submission is attested: seal this copy of the mail.
    SealCopy {
        tenant: TenantId,
        mail: MailId,
        copy: u16,
    },
}

/// A fact that has happened and has no sealed document yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwedEvidence {
    pub facts: EvidenceFacts,
    pub addressees: Vec<Addressee>,
    /// Message-ID of the original, for threading.
    pub thread: String,
    pub then: Then,
    pub attempts: u32,
}

/// Evidence of a delivery that is there, and is not before the sender yet: he wished for more than the evidence alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwedReceipt {
    pub tenant: TenantId,
    pub mail: MailId,
    pub evidence: EvidenceId,
    pub xml: BlobRef,
    /// The other provider that issued it; none when it was issued here.
    pub peer: Option<Domain>,
    /// The message that carries it, as it was sealed here or as the other provider sent it: the sender gets this when no
    /// other can be made.
    pub plain: Content,
    pub attempts: u32,
    /// At so many of them something that is stored could not be read.
    pub unread: u32,
}

impl OwedReceipt {
    /// The message that another provider signed.
    pub fn attestation(&self) -> Option<&Content> {
        self.peer.as_ref().map(|_| &self.plain)
    }
}

/// A copy of a mail to be sealed as a dispatch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealWork {
    pub tenant: TenantId,
    pub mail: MailId,
    pub copy: u16,
    /// The submission evidence to enclose.
    pub evidence: EvidenceId,
    pub evidence_xml: BlobRef,
    pub attempts: u32,
}

/// A recipient here, and the consignment that will be his.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placement {
    pub address: KepAddress,
    pub tenant: TenantId,
    pub consignment: MailId,
}

/// A dispatch for recipients here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryWork {
    pub id: QueueId,
    pub dispatch: Content,
    pub home: SenderHome,
    pub sender: KepAddress,
    pub placements: Vec<Placement>,
    /// Whom the dispatch's evidence lists, in order.
    pub listed: Vec<KepAddress>,
    pub subject: String,
    pub message_id: String,
    pub rem_message_id: String,
    pub original_sha256: [u8; 32],
    pub submitted_at: Option<UtcTime>,
}

/// What a queued message is, for those who hear of its fate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Carried {
    Dispatch {
        tenant: TenantId,
        mail: MailId,
        copy: u16,
        recipients: Vec<RecipientIndex>,
    },
    Evidence {
        evidence: EvidenceId,
    },
}

/// A message on its way to a peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueEntry {
    pub id: QueueId,
    pub peer: Domain,
    pub reverse_path: KepAddress,
    pub recipients: Vec<KepAddress>,
    pub content: Content,
    pub has_8bit: bool,
    pub carried: Carried,
    pub created_at: UtcTime,
    pub expires_at: UtcTime,
    pub attempts: u32,
    /// What the peer, or the network, said last.
    pub last_outcome: String,
}

/// A dispatch relayed to a peer, whose relay evidence is awaited until the limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AwaitedRelay {
    pub id: QueueId,
    pub tenant: TenantId,
    pub mail: MailId,
    pub copy: u16,
    pub peer: Domain,
    pub recipients: Vec<RecipientIndex>,
}

/// A consignment whose reading is awaited until the limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AwaitedReading {
    pub tenant: TenantId,
    pub consignment: MailId,
}

/// A job at which the clock has something to do: remind, mark as late, escalate, expire, let leave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobAlarm {
    pub tenant: TenantId,
    pub job: JobId,
}

/// A tenant's organisation has changed: its open jobs are looked through for steps that nobody is left to decide, and
/// its mailboxes are asked anew. Also due when a deputy's time begins or ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwedReview {
    pub tenant: TenantId,
}

/// An entry of a job's history that those concerned have not been told of yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwedStatus {
    pub tenant: TenantId,
    pub job: JobId,
    /// The number of the entry.
    pub entry: u32,
    /// How the job stood right after it: it may have moved on before anybody is told.
    pub standing: Standing,
    /// Who had had a hand in it by then.
    pub participants: BTreeSet<UserId>,
    /// All up to this user have been told.
    pub told: Option<UserId>,
}

/// From its moment on, an answer address is void, and what was kept of it goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndingReply {
    pub tenant: TenantId,
    pub token_sha256: [u8; 32],
}

/// Something sealed that no hash tree covers yet (RFC 4998). Due at the end of its day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwedPreservation {
    pub content: Content,
    /// SHA-256 of all of it, where that is known without reading it.
    pub sha256: Option<[u8; 32]>,
}

/// From its moment on, the time-stamps of a night have to be renewed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenewalDue {
    pub night: u64,
}

/// An account's credit has become low, and its officers have not been told yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LowCredit {
    pub tenant: TenantId,
}

rows! {
    OwedEvidence => "evidence owed" v 3;
    OwedReceipt => "receipts owed" v 2;
    SealWork => "copies to seal" v 1;
    DeliveryWork => "deliveries" v 1;
    QueueEntry => "queue" v 1;
    AwaitedRelay => "awaited relays" v 1;
    AwaitedReading => "awaited readings" v 1;
    JobAlarm => "job alarms" v 1;
    OwedReview => "reviews owed" v 1;
    OwedStatus => "status messages owed" v 1;
    EndingReply => "ends of answer addresses" v 1;
    OwedPreservation => "preservation owed" v 1;
    RenewalDue => "renewals" v 1;
    LowCredit => "low credit" v 2;
}

/// Owes an object to the hash tree of its day.
pub fn preserve(
    batch: &mut Batch,
    at: UtcTime,
    content: Content,
    sha256: Option<[u8; 32]>,
) -> Result<(), RowError> {
    let owed = OwedPreservation { content, sha256 };
    add(batch, crate::domain::schedule::next_night(at), &owed)
}

fn padded(tenant: TenantId) -> [u8; 16] {
    u128::from(tenant.0).to_be_bytes()
}

fn first_half(sha256: &[u8; 32]) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(&sha256[..16]);
    half
}

impl Work for OwedStatus {
    const TAG: &'static [u8; 2] = b"os";
    fn id(&self) -> [u8; 16] {
        self.job.octets()
    }
    fn turn(&self) -> u32 {
        self.entry
    }
}

macro_rules! work {
    ($($type:ty => $tag:literal |$self:ident| $id:expr;)*) => {$(
        impl Work for $type {
            const TAG: &'static [u8; 2] = $tag;
            fn id(&self) -> [u8; 16] { let $self = self; $id }
        }
    )*};
}

work! {
    OwedEvidence => b"ow" |w| w.facts.id.octets();
    OwedReceipt => b"rc" |w| w.evidence.octets();
    SealWork => b"se" |w| w.evidence.octets();
    DeliveryWork => b"dl" |w| w.id.octets();
    QueueEntry => b"qu" |w| w.id.octets();
    AwaitedRelay => b"ar" |w| w.id.octets();
    AwaitedReading => b"ex" |w| w.consignment.octets();
    JobAlarm => b"al" |w| w.job.octets();
    OwedReview => b"rv" |w| padded(w.tenant);
    LowCredit => b"oc" |w| padded(w.tenant);
    EndingReply => b"er" |w| first_half(&w.token_sha256);
    OwedPreservation => b"op" |w| w.content.pieces.first().map_or([0; 16], |p| first_half(&p.blob.0));
    RenewalDue => b"rn" |w| u128::from(w.night).to_be_bytes();
}
