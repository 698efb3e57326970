//! Seals the audit record every day, and finds out whether it still is what was sealed.
//!
//! Records are written in the commits of what they tell (`store::tables::audit`). At the end of each day those of all
//! tenants, and the provider's own, become segments of text, chained line by line and to the segment before
//! (`domain::audit_chain`), sealed and time-stamped; each goes into the hash tree of its day as well. A day without
//! records has a segment too: nobody can say later that there was none. An authority that is away delays the segment,
//! and the next one holds what it missed.
//!
//! With the row of a segment go, in one commit, the row that says where the chain ends, and a record that the next
//! segment will hold (`docs/decisions/0028-the-audit-record.md`): a segment that is taken away is missed.

mod ending;
mod export;
mod verify;

pub use crate::validation::audit::Known;
pub use ending::{Figures, LastText};
pub use verify::Verified;

use crate::clock::{Clock, UtcTime};
use crate::cms::ContentDigest;
use crate::domain::audit::{AuditRecord, Author, PROVIDER};
use crate::domain::audit_chain::{At, BEGINNING, Head, Writer, hex};
use crate::id::TenantId;
use crate::seal::sealer::{SealError, Sealer};
use crate::service::aside::aside;
use crate::service::failure::Failure;
use crate::service::identity::{Identity, Published};
use crate::store::db::{Batch, CommitError, Db};
use crate::store::spool::Spool;
use crate::store::tables::audit::{self, After, AuditHead, AuditMark, AuditSegment};
use crate::store::tables::items::Content;
use crate::store::tables::{Stored, work};
use std::sync::Arc;

/// Records of one segment; the rest of the day makes further ones. With what one commit may add to it, the text stays
/// far below what is loaded to check it.
const SEGMENT_RECORDS_MAX: usize = 10_000;
/// Octets of accounts after which a segment ends as well: a record may have twelve thousand.
const SEGMENT_ACCOUNTS_MAX_OCTETS: usize = 8 * 1024 * 1024;
/// Places read at a time.
const STEP_RECORDS: usize = 500;
/// The deed of the record that a segment was sealed.
const SEALED: &str = "audit seal";

/// Seals it.
pub struct Auditing {
    pub book: Arc<AuditBook>,
    pub sealer: Arc<Sealer>,
    pub identity: Arc<Identity>,
}

/// Reads it: the records, and the segments that were sealed; and adds what belongs to no other commit.
pub struct AuditBook {
    pub db: Arc<dyn Db>,
    pub spool: Arc<Spool>,
    pub clock: Arc<dyn Clock>,
    pub published: Arc<Published>,
    /// Empty at the start.
    pub last_text: LastText,
}

impl Auditing {
    /// Seals the day if one has ended since the last segment. Gives how many segments were sealed.
    pub async fn run_due(&self) -> Result<usize, Failure> {
        let now = self.book.clock.now();
        if self.of_end(AuditBook::next_due).await? > now {
            return Ok(0);
        }
        let mut batch = Batch::new();
        audit::set_mark(&mut batch, &AuditMark { at: now })?;
        // Everything with a lower number is visible now, of every tenant.
        let upto = self.book.db.commit(batch).await?.0;
        let mut sealed = 0;
        loop {
            let more = self.seal(upto, now).await?;
            sealed += 1;
            if !more {
                return Ok(sealed);
            }
        }
    }

    /// Seals one segment; true if the day has more.
    async fn seal(&self, upto: u64, now: UtcTime) -> Result<bool, Failure> {
        let db = &*self.book.db;
        let head_row = audit::head(db)?;
        let end = self.of_end(AuditBook::ending).await?;
        let (before, after_commit) = end.map_or((BEGINNING, 0), |end| (end.last, end.next_after(upto)));
        let number = end.map_or(0, |end| end.number).checked_add(1);
        let number =
            number.ok_or_else(|| Failure::Broken("no number is left for an audit segment".into()))?;
        let taken = self.take(after_commit, upto)?;
        let head = Head {
            provider: self.identity.domain.to_string(),
            number,
            made_at: now,
            after_commit,
            to_commit: taken.to_commit,
            more: taken.more,
        };
        let mut writer = Writer::begin(&head, before);
        for (at, record) in &taken.records {
            writer.record(*at, record);
        }
        let (text, last) = writer.finish();
        let digest = ContentDigest::of(self.sealer.digest_algorithm(now), text.as_bytes());
        let sealed = self.sealer.seal_entity(digest, now).await;
        let sealed = sealed.map_err(|e| match e {
            SealError::Unavailable(why) => Failure::Unavailable(why),
            SealError::Broken(why) => Failure::Broken(why),
        })?;
        let (text, seal) = tokio::try_join!(
            self.book.spool.store(text.as_bytes()),
            self.book.spool.store(&sealed)
        )?;
        let segment = AuditSegment {
            number: head.number,
            made_at: now,
            after_commit,
            to_commit: head.to_commit,
            text,
            seal,
            last,
            more: head.more,
        };
        self.write_down(head_row.as_ref(), &segment, taken.records.len())
            .await?;
        Ok(segment.more)
    }

    /// Asks where the chain ends; it may read a text of some megabytes.
    async fn of_end<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&AuditBook) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let book = self.book.clone();
        aside("the end of the audit record", move || ask(&book)).await?
    }

    /// The segment, where the chain ends now, the record of it, and that a hash tree owes it a place: in one commit.
    async fn write_down(
        &self,
        end: Option<&Stored<AuditHead>>,
        segment: &AuditSegment,
        records: usize,
    ) -> Result<(), Failure> {
        let now = segment.made_at;
        let mut batch = Batch::new();
        audit::add_segment(&mut batch, segment)?;
        let head = AuditHead {
            segments: segment.number,
            made_at: now,
            to_commit: segment.to_commit,
            last: segment.last,
            more: segment.more,
        };
        audit::set_head(&mut batch, end, &head)?;
        let what = serde_json::json!({
            "segment": segment.number, "records": records, "last": hex(&segment.last),
        });
        let record = AuditRecord::of_deed(now, Author::clock(), SEALED, Vec::new(), &what);
        audit::append(&mut batch, PROVIDER, 0, &record)?;
        let content = Content::whole(segment.text.id, segment.text.size_bytes);
        work::preserve(&mut batch, now, content, Some(segment.text.id.0))?;
        self.book.db.commit(batch).await?;
        // Whoever keeps this line elsewhere can tell later that nothing before it was taken away (`audit verify --known`).
        tracing::info!(segment = segment.number, records, hash = %hex(&segment.last), "audit segment sealed");
        Ok(())
    }

    /// The next records that make a segment. It ends where a commit ends: what happened together stays together.
    fn take(&self, after_commit: u64, upto: u64) -> Result<Taken, Failure> {
        let db = &*self.book.db;
        let mut taken = Taken {
            records: Vec::new(),
            to_commit: upto,
            more: false,
        };
        let (mut octets, mut after) = (0, After::Commit(after_commit));
        loop {
            let places = audit::in_order(db, after, upto, STEP_RECORDS)?;
            for at in &places {
                let full =
                    taken.records.len() >= SEGMENT_RECORDS_MAX || octets >= SEGMENT_ACCOUNTS_MAX_OCTETS;
                let last = taken.records.last().map(|(last, _): &(At, _)| last.commit);
                if full && last.is_some_and(|last| last != at.commit) {
                    taken.to_commit = last.unwrap_or(after_commit);
                    taken.more = true;
                    return Ok(taken);
                }
                // What is gone is told by `verify`; here it must not keep the others from being sealed.
                match audit::record(db, *at)? {
                    Some(record) => {
                        octets += record.before.len() + record.after.len();
                        taken.records.push((*at, record));
                    }
                    None => {
                        tracing::error!(commit = at.commit, "an audit record is gone before it was sealed")
                    }
                }
            }
            match places.last() {
                Some(last) if places.len() == STEP_RECORDS => after = After::Record(*last),
                _ => return Ok(taken),
            }
        }
    }
}

/// What becomes a segment.
struct Taken {
    records: Vec<(At, AuditRecord)>,
    to_commit: u64,
    more: bool,
}

impl AuditBook {
    /// Adds a record of something that has no commit of its own: an enquiry, an export, a start. It is on disk when this
    /// returns.
    pub async fn note(&self, tenant: TenantId, record: &AuditRecord) -> Result<(), Failure> {
        let mut batch = Batch::new();
        audit::append(&mut batch, tenant, 0, record)?;
        match self.db.commit(batch).await {
            Ok(_) => Ok(()),
            Err(CommitError::Conflict { .. }) => {
                Err(Failure::Broken("a record without conditions met one".into()))
            }
            Err(other) => Err(other.into()),
        }
    }
}
