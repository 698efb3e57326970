//! Seals the audit record every day, and finds out whether it still is what was sealed.
//!
//! Records are written in the commits of what they tell (`store::tables::audit`). At the end of each day those of all
//! tenants become one segment of text, chained line by line and to the segment before (`domain::audit_chain`), sealed and
//! time-stamped; it goes into the hash tree of its day as well. A day without records has a segment too: nobody can say
//! later that there was none. An authority that is away delays the segment, and the next one holds what it missed.

use crate::clock::{Clock, UtcTime};
use crate::cms::algorithm::sha256;
use crate::domain::audit_chain::{At, BEGINNING, Checked, Head, Writer};
use crate::domain::schedule::next_night;
use crate::seal::sealer::{SealError, Sealer};
use crate::seal::{Finding, TrustStore};
use crate::service::failure::{Failure, Kind};
use crate::service::identity::{Identity, Published};
use crate::store::db::{Batch, CommitError, Db};
use crate::store::folder::NewFolder;
use crate::store::spool::Spool;
use crate::store::tables::audit::{self, AuditMark, AuditSegment};
use crate::store::tables::items::Content;
use crate::store::tables::{tenants, work};
use crate::validation::audit::{JudgedSegment, Segment, Walk};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// Differences between the store and a segment that are named; what is more is counted.
const DIFFERENCES_MAX: usize = 20;

/// Seals it.
pub struct Auditing {
    pub book: Arc<AuditBook>,
    pub clock: Arc<dyn Clock>,
    pub sealer: Arc<Sealer>,
    pub identity: Arc<Identity>,
}

/// Reads it: the records, and the segments that were sealed.
pub struct AuditBook {
    pub db: Arc<dyn Db>,
    pub spool: Arc<Spool>,
    pub published: Arc<Published>,
}

/// What was found on the whole audit record.
#[derive(Debug)]
pub struct Verified {
    pub segments: Vec<JudgedSegment>,
    /// Records of segments that the store does not hold as they were sealed, a sentence each.
    pub differences: Vec<String>,
    /// Records that no segment holds yet.
    pub open_records: usize,
}

impl Verified {
    pub fn is_ok(&self) -> bool {
        self.differences.is_empty() && self.segments.iter().all(JudgedSegment::is_ok)
    }
}

/// When the next segment is due: at the end of the day of the last one.
pub fn next_due(db: &dyn Db) -> Result<Option<UtcTime>, Failure> {
    let last = audit::last_segment(db)?;
    Ok(Some(last.map_or(UtcTime::from_unix_s(0), |last| {
        next_night(last.made_at)
    })))
}

impl Auditing {
    /// Seals a segment if a day has ended since the last one. Gives how many were sealed.
    pub async fn run_due(&self) -> Result<usize, Failure> {
        let now = self.clock.now();
        match next_due(&*self.book.db)? {
            Some(due) if due <= now => self.seal(now).await.map(|()| 1),
            _ => Ok(0),
        }
    }

    async fn seal(&self, now: UtcTime) -> Result<(), Failure> {
        let last = audit::last_segment(&*self.book.db)?;
        let mut batch = Batch::new();
        audit::set_mark(&mut batch, &AuditMark { at: now })?;
        // Everything with a lower number is visible now, of every tenant.
        let to_commit = self.book.db.commit(batch).await?.0;
        let head = Head {
            provider: self.identity.domain.to_string(),
            number: last.as_ref().map_or(1, |l| l.number + 1),
            made_at: now,
            after_commit: last.as_ref().map_or(0, |l| l.to_commit),
            to_commit,
        };
        let mut writer = Writer::begin(&head, last.map_or(BEGINNING, |l| l.last));
        for (at, record) in self.book.records(head.after_commit, to_commit)? {
            writer.record(at, &record);
        }
        let (text, chained) = writer.finish();
        let sealed = self.sealer.seal_entity(sha256(text.as_bytes()), now).await;
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
            after_commit: head.after_commit,
            to_commit,
            text,
            seal,
            last: chained,
        };
        let mut batch = Batch::new();
        audit::add_segment(&mut batch, &segment)?;
        work::preserve(
            &mut batch,
            now,
            Content::whole(text.id, text.size_bytes),
            Some(text.id.0),
        )?;
        match self.book.db.commit(batch).await {
            Ok(_) | Err(CommitError::Conflict { .. }) => Ok(()),
            Err(other) => Err(other.into()),
        }
    }
}

impl AuditBook {
    /// The records of all tenants behind one commit up to another, in order.
    fn records(
        &self,
        after_commit: u64,
        to_commit: u64,
    ) -> Result<BTreeMap<At, crate::domain::audit::AuditRecord>, Failure> {
        let mut all = BTreeMap::new();
        for tenant in tenants::all(&*self.db)? {
            let tenant = tenant.row.id;
            for (place, record) in audit::between(&*self.db, tenant, after_commit, to_commit)? {
                let at = At {
                    commit: place.commit,
                    tenant,
                    nth: place.nth,
                };
                all.insert(at, record);
            }
        }
        Ok(all)
    }

    /// Judges every segment, and holds the store against each.
    pub async fn verify(&self) -> Result<Verified, Failure> {
        let mut trust = TrustStore::new();
        let pem = self.published.now().trust_pem.clone();
        trust
            .add_pem_text(&pem)
            .map_err(|e| Failure::Broken(e.to_string()))?;
        let mut found = Verified {
            segments: Vec::new(),
            differences: Vec::new(),
            open_records: 0,
        };
        let (mut walk, mut more, mut last) = (Walk::default(), 0, 0);
        for stored in audit::segments(&*self.db)? {
            let row = stored.row;
            let (text, seal) = tokio::try_join!(self.spool.load(&row.text), self.spool.load(&row.seal))?;
            let name = format!("segment {}", row.number);
            let segment = Segment {
                name: &name,
                text: &text,
                seal_der: &seal,
            };
            let mut judged = walk.judge(&segment, &trust);
            if judged.checked.as_ref().is_some_and(|c| c.last != row.last) {
                judged.chain = Finding::Failed("it is not the segment that was written down".into());
            }
            if let Some(checked) = &judged.checked {
                self.compare(&text, checked, &mut found.differences, &mut more)?;
            }
            last = row.to_commit;
            found.segments.push(judged);
        }
        if more > 0 {
            found.differences.push(format!("and {more} more"));
        }
        found.open_records = self.records(last, u64::MAX - 1)?.len();
        Ok(found)
    }

    /// Whether the store holds exactly the records of a segment.
    fn compare(
        &self,
        text: &[u8],
        checked: &Checked,
        differences: &mut Vec<String>,
        more: &mut usize,
    ) -> Result<(), Failure> {
        let mut tell = |say: String| {
            if differences.len() < DIFFERENCES_MAX {
                differences.push(say);
            } else {
                *more += 1;
            }
        };
        let mut stored = self.records(checked.after_commit, checked.to_commit)?;
        for line in String::from_utf8_lossy(text).lines().skip(1) {
            let value: Value = serde_json::from_str(line).unwrap_or_default();
            let number = |name: &str| value.get(name).and_then(Value::as_u64).unwrap_or_default();
            let at = At {
                commit: number("commit"),
                tenant: crate::id::TenantId(number("tenant") as u32),
                nth: number("nth") as u32,
            };
            let name = format!(
                "commit {} of tenant #{}, {}",
                at.commit, at.tenant.0, value["deed"]
            );
            match stored.remove(&at) {
                None => tell(format!("the store has lost the record of {name}")),
                Some(record) if !crate::domain::audit_chain::is_told(&value, at, &record) => {
                    tell(format!("the store has another record at {name}"));
                }
                Some(_) => {}
            }
        }
        for (at, record) in stored {
            let deed = record.deed;
            tell(format!(
                "the store has a record that was not sealed: commit {} of tenant #{}, {deed}",
                at.commit, at.tenant.0
            ));
        }
        Ok(())
    }

    /// Writes every segment, its seal and the trust material into a folder, which must not exist.
    pub async fn export(&self, out: &Path) -> Result<usize, Failure> {
        let unwritable =
            |e: std::io::Error| Failure::refused(Kind::Invalid, format!("the export cannot be written: {e}"));
        let mut folder = NewFolder::create(out).map_err(unwritable)?;
        let segments = audit::segments(&*self.db)?;
        let mut put = |name: String, octets: &[u8]| -> Result<(), Failure> {
            let mut file = folder.file(&name).map_err(unwritable)?;
            file.write(octets)
                .and_then(|()| file.finish())
                .map_err(unwritable)
        };
        for stored in &segments {
            let row = &stored.row;
            put(
                format!("{:06}.jsonl", row.number),
                &self.spool.load(&row.text).await?,
            )?;
            put(
                format!("{:06}.p7s", row.number),
                &self.spool.load(&row.seal).await?,
            )?;
        }
        put(
            "trust/provider.pem".into(),
            self.published.now().trust_pem.as_bytes(),
        )?;
        folder.finish().map_err(unwritable)?;
        Ok(segments.len())
    }
}
