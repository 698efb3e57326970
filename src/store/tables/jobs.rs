//! Jobs of a tenant, their histories, and which tenant a job belongs to.
//!
//! A job's history is a row for each entry, written once and never changed. The jobs that have not ended are listed
//! apart, so that looking at those does not read all that ever were. Each entry is written together with the word that is
//! owed of it to those concerned, so that no way of moving a job can forget them.

use super::tenants::Holder;
use super::work::{self, OwedStatus};
use super::{Key, Stored, for_each_raw, insert, read, read_all, rows};
use crate::domain::job::{Entry, Job, Moved};
use crate::id::{JobId, TenantId};
use crate::store::StoreError;
use crate::store::db::{Batch, Db};
use crate::store::row::RowError;

rows! {
    Job => "jobs" v 3;
    Entry => "job histories" v 2;
}

pub fn key(tenant: TenantId, job: JobId) -> Vec<u8> {
    Key::tenant(tenant, b"jb").octets(&job.octets()).done()
}

fn holder_key(job: JobId) -> Vec<u8> {
    Key::global(b"jt").octets(&job.octets()).done()
}

fn open_key(tenant: TenantId, job: JobId) -> Vec<u8> {
    Key::tenant(tenant, b"jo").octets(&job.octets()).done()
}

fn history_prefix(tenant: TenantId, job: JobId) -> Key {
    Key::tenant(tenant, b"jh").octets(&job.octets())
}

pub fn job(db: &dyn Db, tenant: TenantId, job: JobId) -> Result<Option<Stored<Job>>, StoreError> {
    read(db, key(tenant, job))
}

pub fn tenant_of(db: &dyn Db, job: JobId) -> Result<Option<TenantId>, StoreError> {
    Ok(read::<Holder>(db, holder_key(job))?.map(|h| h.row.tenant))
}

pub fn all(db: &dyn Db, tenant: TenantId) -> Result<Vec<Stored<Job>>, StoreError> {
    read_all(db, &Key::tenant(tenant, b"jb").done())
}

/// At most `limit` jobs behind `after`, in the order of their ids.
pub fn step(
    db: &dyn Db,
    tenant: TenantId,
    after: Option<JobId>,
    limit: usize,
) -> Result<Vec<Job>, StoreError> {
    let prefix = Key::tenant(tenant, b"jb").done();
    let from = match after {
        Some(job) => {
            let mut behind = key(tenant, job);
            behind.push(0);
            behind
        }
        None => prefix.clone(),
    };
    let rows = db.range(&from, &crate::store::prefix_end(&prefix), limit)?;
    let job = |(key, octets)| Ok(Stored::<Job>::decode(key, octets)?.row);
    rows.into_iter().map(job).collect()
}

/// The jobs that have not ended.
pub fn open(db: &dyn Db, tenant: TenantId) -> Result<Vec<JobId>, StoreError> {
    let mut found = Vec::new();
    for_each_raw(db, &Key::tenant(tenant, b"jo").done(), |key, _| {
        found.extend(key.last_chunk::<16>().map(|octets| JobId::from_octets(*octets)));
        Ok(())
    })?;
    Ok(found)
}

/// What happened to a job, in order.
pub fn history(db: &dyn Db, tenant: TenantId, job: JobId) -> Result<Vec<Entry>, StoreError> {
    let rows = read_all::<Entry>(db, &history_prefix(tenant, job).done())?;
    Ok(rows.into_iter().map(|stored| stored.row).collect())
}

/// One entry of a job's history.
pub fn entry(db: &dyn Db, tenant: TenantId, job: JobId, n: u32) -> Result<Option<Entry>, StoreError> {
    let found = read::<Entry>(db, history_prefix(tenant, job).number(n).done())?;
    Ok(found.map(|stored| stored.row))
}

/// A new job with the beginning of its history.
pub fn add(batch: &mut Batch, moved: &Moved) -> Result<(), RowError> {
    let job = &moved.job;
    insert(batch, key(job.tenant, job.id), job)?;
    insert(batch, holder_key(job.id), &Holder { tenant: job.tenant })?;
    written(batch, moved)
}

/// A job after a move, only if nobody moved it meanwhile.
pub fn replace(batch: &mut Batch, old: &Stored<Job>, moved: &Moved) -> Result<(), RowError> {
    old.replace(batch, &moved.job)?;
    written(batch, moved)
}

fn written(batch: &mut Batch, moved: &Moved) -> Result<(), RowError> {
    let job = &moved.job;
    for entry in &moved.entries {
        insert(
            batch,
            history_prefix(job.tenant, job.id).number(entry.n).done(),
            entry,
        )?;
        let owed = OwedStatus {
            tenant: job.tenant,
            job: job.id,
            entry: entry.n,
            standing: job.standing.clone(),
            participants: job.participants.clone(),
            told: None,
        };
        work::add(batch, entry.happening.at, &owed)?;
    }
    if job.is_ended() {
        batch.delete(open_key(job.tenant, job.id));
    } else {
        batch.put(open_key(job.tenant, job.id), Vec::new());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::UtcTime;
    use crate::domain::item::{Item, ItemKind};
    use crate::domain::job::{
        Act, DELEGATIONS_MAX, Deed, Delegation, Given, Happening, JobStart, NOTE_MAX_OCTETS,
        PARTICIPANTS_MAX, Route, Undoable,
    };
    use crate::domain::mail::{MESSAGE_ID_MAX_OCTETS, SUBJECT_MAX_OCTETS};
    use crate::domain::org::{Permission, Role, UserKind};
    use crate::domain::rule::{Escalation, Need, PARTS_MAX, Part, STEP_LIMIT_MAX_DAYS, STEPS_MAX, Step, Who};
    use crate::domain::samples::{organisation, rule, terms, user};
    use crate::id::{ItemId, MailId, RoleId, UnitId, UserId};
    use crate::store::row::{decode, encode};

    /// A name has 100 characters at most, each of up to 4 octets in UTF-8.
    const NAME_MAX_OCTETS: usize = 400;

    #[test]
    fn the_longest_job_fits_its_rows() {
        let late = UtcTime::from_unix_s(253_402_300_799);
        let mut org = organisation();
        let who = |n: usize| Who::Unit(UnitId(u32::MAX - n as u32));
        let step = |s: usize| Step {
            parts: (0..PARTS_MAX)
                .map(|n| Part {
                    who: who(s * PARTS_MAX + n),
                    need: Need::Quorum(u16::MAX),
                })
                .collect(),
            limit_days: STEP_LIMIT_MAX_DAYS,
            remind_after_days: Some(u16::MAX),
            escalation: Some(Escalation {
                after_days: u16::MAX,
                to: who(1000 + s),
            }),
            expire_after_days: Some(u16::MAX),
        };
        let mut longest = rule((0..STEPS_MAX).map(step).collect());
        longest.name = "r".repeat(NAME_MAX_OCTETS);
        let approver = Role {
            id: RoleId(1),
            name: "r".into(),
            description: String::new(),
            permissions: [Permission::Approve].into(),
            removed: false,
        };
        org.roles.insert(approver.id, approver);
        org.users.insert(UserId(3), user(3, UserKind::Limited));
        let start = JobStart {
            id: JobId::from_octets([255; 16]),
            tenant: TenantId(u32::MAX),
            mail: MailId::from_octets([255; 16]),
            item: ItemId(u64::MAX),
            author: Some(UserId(u32::MAX)),
            rule: &longest,
            original_sha256: [255; 32],
            subject: "s".repeat(SUBJECT_MAX_OCTETS),
            thread: "m".repeat(MESSAGE_ID_MAX_OCTETS),
            follows: Some(JobId::from_octets([255; 16])),
            at: late,
        };
        let mut job = Job::start(start, &org, &terms()).job;
        let users = || (0..PARTICIPANTS_MAX).map(|n| UserId(u32::MAX - n as u32));
        job.participants = users().collect();
        job.standing.given = users()
            .map(|by| Given {
                part: u8::MAX,
                by,
                in_name_of: by,
                escalated: true,
            })
            .collect();
        job.standing.delegations = (0..DELEGATIONS_MAX)
            .map(|_| Delegation {
                part: u8::MAX,
                from: UserId(u32::MAX),
                to: UserId(u32::MAX),
            })
            .collect();
        job.undoable = Some(Undoable {
            by: UserId(u32::MAX),
            until: late,
            before: job.standing.clone(),
        });
        assert_eq!(decode::<Job>(&encode(&job).unwrap()).unwrap(), job);
        let mut item = Item::new(ItemId(u64::MAX), ItemKind::Outgoing, late);
        item.job = Some(Box::new(job.facet(&org)));
        item.labels = (0..crate::domain::item::LABELS_MAX)
            .map(|n| crate::id::LabelId(u32::MAX - n as u32))
            .collect();
        assert_eq!(decode::<Item>(&encode(&item).unwrap()).unwrap(), item);
        let entry = Entry {
            n: u32::MAX,
            job: job.id,
            happening: Happening {
                deed: Deed::Decided(Act::Reassign(Who::Unit(UnitId(u32::MAX)))),
                at: late,
                actor: Some(UserId(u32::MAX)),
                actor_login: "l".repeat(crate::address::LOGIN_MAX_OCTETS),
                in_name_of: Some("l".repeat(crate::address::LOGIN_MAX_OCTETS)),
                step: Some(u16::MAX),
                // A unit is named by its whole path.
                role: Some("u".repeat(NAME_MAX_OCTETS * crate::domain::org::UNIT_DEPTH_MAX)),
                // Who reassigns decides as nobody: never both are paths.
                to: Some("l".repeat(crate::address::LOGIN_MAX_OCTETS)),
                route: Some(Route::Keyword),
                note: "n".repeat(NOTE_MAX_OCTETS),
            },
            state: "resubmitted".into(),
            original_sha256: [255; 32],
        };
        let octets = encode(&entry);
        assert!(octets.is_ok(), "{octets:?}");
        let owed = OwedStatus {
            tenant: job.tenant,
            job: job.id,
            entry: u32::MAX,
            standing: job.standing.clone(),
            participants: job.participants.clone(),
            told: Some(UserId(u32::MAX)),
        };
        assert_eq!(decode::<OwedStatus>(&encode(&owed).unwrap()).unwrap(), owed);
    }
}
