//! Jobs of a tenant, and which tenant a job belongs to.

use super::tenants::Holder;
use super::{Key, Stored, insert, read, read_all, rows};
use crate::domain::job::Job;
use crate::id::{JobId, TenantId};
use crate::store::StoreError;
use crate::store::db::{Batch, Db};
use crate::store::row::RowError;

rows! {
    Job => "jobs" v 1;
}

pub fn key(tenant: TenantId, job: JobId) -> Vec<u8> {
    Key::tenant(tenant, b"jb").octets(&job.octets()).done()
}

fn holder_key(job: JobId) -> Vec<u8> {
    Key::global(b"jt").octets(&job.octets()).done()
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

pub fn add(batch: &mut Batch, job: &Job) -> Result<(), RowError> {
    insert(batch, key(job.tenant, job.id), job)?;
    insert(batch, holder_key(job.id), &Holder { tenant: job.tenant })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::UtcTime;
    use crate::domain::job::{Act, Decision, JobState, NOTE_MAX_OCTETS, Route};
    use crate::domain::mail::SUBJECT_MAX_OCTETS;
    use crate::domain::rule::{STEP_LIMIT_MAX_DAYS, STEPS_MAX, Step};
    use crate::id::{ItemId, MailId, RoleId, RuleId, UserId};
    use crate::store::row::{decode, encode};

    /// A name has 100 characters at most, each of up to 4 octets in UTF-8.
    const NAME_MAX_OCTETS: usize = 400;

    #[test]
    fn the_longest_job_fits_its_row() {
        let late = UtcTime::from_unix_s(253_402_300_799);
        let decision = |step| Decision {
            step,
            role: Some("r".repeat(NAME_MAX_OCTETS)),
            actor: UserId(u32::MAX),
            actor_login: "l".repeat(crate::address::LOGIN_MAX_OCTETS),
            act: Act::Approve,
            route: Route::Kepctl,
            note: "n".repeat(NOTE_MAX_OCTETS),
            at: late,
            original_sha256: [255; 32],
        };
        let mut decisions: Vec<Decision> = (0..STEPS_MAX).map(|_| decision(Some(u16::MAX))).collect();
        decisions.push(decision(None));
        let job = Job {
            id: JobId::from_octets([255; 16]),
            tenant: TenantId(u32::MAX),
            mail: MailId::from_octets([255; 16]),
            item: ItemId(u64::MAX),
            author: UserId(u32::MAX),
            rule: RuleId(u32::MAX),
            rule_name: "r".repeat(NAME_MAX_OCTETS),
            rule_version: u32::MAX,
            steps: vec![
                Step {
                    role: RoleId(u32::MAX),
                    limit_days: STEP_LIMIT_MAX_DAYS,
                };
                STEPS_MAX
            ],
            original_sha256: [255; 32],
            subject: "s".repeat(SUBJECT_MAX_OCTETS),
            started_at: late,
            step_since: late,
            state: JobState::Waiting(u16::MAX),
            late: true,
            decisions,
        };
        assert_eq!(decode::<Job>(&encode(&job).unwrap()).unwrap(), job);
    }
}
