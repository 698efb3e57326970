//! Whether the audit record still is what was sealed: every segment by itself, the store against each segment, and the end
//! of the chain against the three places that tell of it.
//!
//! One segment is in memory at a time; records are looked up one by one.

use super::{AuditBook, SEALED, STEP_RECORDS};
use crate::clock::UtcTime;
use crate::domain::audit::{AuditRecord, PROVIDER};
use crate::domain::audit_chain::{At, Checked, hex, is_told};
use crate::id::TenantId;
use crate::seal::{Finding, TrustStore};
use crate::service::failure::Failure;
use crate::store::spool::SpoolError;
use crate::store::tables::audit::{self, After, AuditHead, AuditSegment, Place};
use crate::store::tables::tenants;
use crate::validation::audit::{JudgedSegment, Known, Segment, Walk};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Differences between the store and the segments that are named; what is more is counted.
const DIFFERENCES_MAX: usize = 20;
/// A segment is made every day; an authority that is away for one is no reason to doubt the record.
const SEALED_WITHIN: Duration = Duration::from_secs(2 * 86_400);

/// What was found on the whole audit record.
#[derive(Debug, Default)]
pub struct Verified {
    pub segments: Vec<JudgedSegment>,
    /// What the store does not hold as it was sealed, a sentence each.
    pub differences: Vec<String>,
    /// Records that no segment holds yet.
    pub open_records: usize,
    /// The last segment: to be written down elsewhere.
    pub end: Option<Known>,
    /// Differences that are not named.
    more: usize,
}

impl Verified {
    pub fn is_ok(&self) -> bool {
        self.differences.is_empty() && self.segments.iter().all(JudgedSegment::is_ok)
    }

    fn tell(&mut self, say: String) {
        if self.differences.len() < DIFFERENCES_MAX {
            self.differences.push(say);
        } else {
            self.more += 1;
        }
    }
}

/// The last hashes of segments, as rows have them and as later records tell them.
#[derive(Default)]
struct Ends {
    rows: BTreeMap<u64, [u8; 32]>,
    told: BTreeMap<u64, String>,
}

impl AuditBook {
    /// Judges every segment, and holds the store against each.
    pub async fn verify(&self, known: Option<Known>) -> Result<Verified, Failure> {
        let trust = self.trust()?;
        let (mut found, mut ends) = (Verified::default(), Ends::default());
        let (mut walk, mut last) = (Walk::default(), 0);
        for stored in audit::segments(&*self.db)? {
            let row = stored.row;
            let expected = ends.rows.last_key_value().map_or(1, |(number, _)| number + 1);
            for missing in expected..row.number.min(expected + DIFFERENCES_MAX as u64 + 1) {
                found.tell(format!(
                    "segment {missing} was sealed and is not in the store any more"
                ));
            }
            ends.rows.insert(row.number, row.last);
            let judged = self.judge(&row, &mut walk, &trust, &mut found, &mut ends).await?;
            // What is open is told by the text, for who forges a row would hide it.
            last = judged.checked.as_ref().map_or(row.to_commit, |c| c.to_commit);
            found.segments.push(judged);
        }
        let oldest = self.open(last, &mut found, &mut ends)?;
        found.tell_if_late(oldest, self.clock.now());
        self.compare_ends(known, &mut found, &ends)?;
        self.compare_order(&mut found)?;
        if found.more > 0 {
            found.differences.push(format!("and {} more", found.more));
        }
        Ok(found)
    }

    /// Whom to believe: now, and in earlier times.
    fn trust(&self) -> Result<TrustStore, Failure> {
        let published = self.published.now();
        let mut trust = TrustStore::new();
        for pem in [&published.trust_pem, &published.past_pem] {
            if !pem.is_empty() {
                trust
                    .add_pem_text(pem)
                    .map_err(|e| Failure::Broken(e.to_string()))?;
            }
        }
        Ok(trust)
    }

    async fn judge(
        &self,
        row: &AuditSegment,
        walk: &mut Walk,
        trust: &TrustStore,
        found: &mut Verified,
        ends: &mut Ends,
    ) -> Result<JudgedSegment, Failure> {
        let name = format!("segment {}", row.number);
        let loaded = tokio::try_join!(self.spool.load(&row.text), self.spool.load(&row.seal));
        let (text, seal) = match loaded {
            Ok(both) => both,
            Err(gone @ SpoolError::Missing(_)) => return Ok(walk.missing(&name, &gone.to_string())),
            Err(other) => return Err(other.into()),
        };
        let segment = Segment {
            name: &name,
            text: &text,
            seal_der: &seal,
        };
        let mut judged = walk.judge(&segment, trust);
        if let Some(checked) = &judged.checked {
            if checked.last != row.last {
                judged.chain = Finding::Failed("it is not the segment that was written down".into());
            }
            for field in row_differs(row, checked) {
                let number = row.number;
                found.tell(format!(
                    "the row of segment {number} has another {field} than was sealed"
                ));
            }
            self.compare(&text, checked, found, ends)?;
        }
        Ok(judged)
    }

    /// Whether the store holds exactly the records of a segment.
    fn compare(
        &self,
        text: &[u8],
        checked: &Checked,
        found: &mut Verified,
        ends: &mut Ends,
    ) -> Result<(), Failure> {
        let db = &*self.db;
        let mut sealed = BTreeSet::new();
        for line in String::from_utf8_lossy(text).lines().skip(1) {
            let value: Value = serde_json::from_str(line).unwrap_or_default();
            let number = |name: &str| value.get(name).and_then(Value::as_u64).unwrap_or_default();
            let at = At {
                commit: number("commit"),
                tenant: TenantId(number("tenant") as u32),
                nth: number("nth") as u32,
            };
            let deed = value["deed"].as_str().unwrap_or_default();
            ends.hear(at.tenant, deed, value["after"].as_str().unwrap_or_default());
            match audit::record(db, at)? {
                None => found.tell(format!("the store has lost the record of {}", name(at, deed))),
                Some(record) if !is_told(&value, at, &record) => {
                    found.tell(format!("the store has another record at {}", name(at, deed)));
                }
                Some(_) => {}
            }
            sealed.insert(at);
        }
        self.each(
            After::Commit(checked.after_commit),
            checked.to_commit,
            |at, record| {
                if !sealed.contains(&at) {
                    let deed = record.map(|record| record.deed).unwrap_or_default();
                    found.tell(format!(
                        "the store has a record that was not sealed: {}",
                        name(at, &deed)
                    ));
                }
            },
        )
    }

    /// Counts what no segment holds yet, and hears what it tells of segments. Gives the moment of the oldest.
    fn open(&self, last: u64, found: &mut Verified, ends: &mut Ends) -> Result<Option<UtcTime>, Failure> {
        let mut oldest: Option<UtcTime> = None;
        self.each(After::Commit(last), u64::MAX, |at, record| match record {
            Some(record) => {
                ends.hear(at.tenant, &record.deed, &record.after);
                found.open_records += 1;
                oldest = Some(oldest.map_or(record.at, |oldest| oldest.min(record.at)));
            }
            None => found.tell(format!("the store has lost the record of {}", name(at, "?"))),
        })?;
        Ok(oldest)
    }

    /// Walks places in order, each with its record.
    fn each(
        &self,
        mut after: After,
        to_commit: u64,
        mut see: impl FnMut(At, Option<AuditRecord>),
    ) -> Result<(), Failure> {
        loop {
            let places = audit::in_order(&*self.db, after, to_commit, STEP_RECORDS)?;
            for at in &places {
                see(*at, audit::record(&*self.db, *at)?);
            }
            match places.last() {
                Some(last) if places.len() == STEP_RECORDS => after = After::Record(*last),
                _ => return Ok(()),
            }
        }
    }

    /// Whether all that tells of the end of the chain tells the same.
    fn compare_ends(&self, known: Option<Known>, found: &mut Verified, ends: &Ends) -> Result<(), Failure> {
        let last = ends.rows.last_key_value().map(|(number, last)| (*number, *last));
        let row = audit::head(&*self.db)?.map(|head| head.row);
        let head = row.as_ref().map(|head| (head.segments, head.last));
        if let (true, Some(row)) = (head == last, row) {
            let segment = audit::last_segment(&*self.db)?;
            for field in segment.iter().flat_map(|segment| head_differs(&row, segment)) {
                found.tell(format!(
                    "the store's own word of where the chain ends has another {field} than the last segment"
                ));
            }
        } else if head != last {
            let of = |end: Option<(u64, [u8; 32])>| end.map_or(0, |(number, _)| number);
            found.tell(format!(
                "the store's own word is that segment {} is the last, and segment {} is: one was taken away or exchanged",
                of(head),
                of(last)
            ));
        }
        for (number, told) in &ends.told {
            match ends.rows.get(number) {
                Some(last) if hex(last) == *told => {}
                Some(_) => found.tell(format!(
                    "segment {number} is not the one that was sealed under this number"
                )),
                None => found.tell(format!(
                    "segment {number} was sealed and is not in the store any more"
                )),
            }
        }
        for number in ends.rows.keys().filter(|number| !ends.told.contains_key(number)) {
            found.tell(format!("no record tells that segment {number} was sealed"));
        }
        if let Some(known) = known
            && ends.rows.get(&known.segment) != Some(&known.last)
        {
            found.tell(format!(
                "segment {} is not the one that is known elsewhere",
                known.segment
            ));
        }
        found.end = last.map(|(segment, last)| Known { segment, last });
        Ok(())
    }

    /// Whether every record of every tenant stands in the order of all, which is what is sealed.
    fn compare_order(&self, found: &mut Verified) -> Result<(), Failure> {
        let mut books: Vec<TenantId> = tenants::all(&*self.db)?.iter().map(|t| t.row.id).collect();
        books.push(PROVIDER);
        for tenant in books {
            let mut after = None;
            loop {
                let places = audit::places(&*self.db, tenant, after, STEP_RECORDS)?;
                for at in &places {
                    if !audit::is_in_order(&*self.db, *at)? {
                        found.tell(format!(
                            "a record stands outside of the order: {}",
                            name(*at, "?")
                        ));
                    }
                }
                match places.last() {
                    Some(last) if places.len() == STEP_RECORDS => {
                        after = Some(Place {
                            commit: last.commit,
                            nth: last.nth,
                        });
                    }
                    _ => break,
                }
            }
        }
        Ok(())
    }
}

impl Verified {
    /// Sealing that was stopped leaves a chain that holds, and ever more that nothing holds.
    fn tell_if_late(&mut self, oldest_open: Option<UtcTime>, now: UtcTime) {
        let Some(oldest) = oldest_open else { return };
        let of_last = self.segments.last().and_then(|last| {
            let made_at = last.checked.as_ref().map(|checked| checked.made_at);
            last.stamp_time.into_iter().chain(made_at).min()
        });
        let since = of_last.unwrap_or(oldest);
        if since.until(now) > SEALED_WITHIN {
            self.tell(format!(
                "nothing was sealed since {since}: sealing has stopped; records that wait: {}",
                self.open_records
            ));
        }
    }
}

/// Fields of a segment's row that say something else than its text.
fn row_differs(row: &AuditSegment, text: &Checked) -> Vec<&'static str> {
    let fields = [
        ("number", row.number == text.number),
        ("moment", row.made_at == text.made_at),
        ("beginning", row.after_commit == text.after_commit),
        ("end", row.to_commit == text.to_commit),
        ("word on whether its day goes on", row.more == text.more),
    ];
    differing(&fields)
}

/// Fields of the head row that say something else than the row of the last segment.
fn head_differs(head: &AuditHead, last: &AuditSegment) -> Vec<&'static str> {
    let fields = [
        ("moment", head.made_at == last.made_at),
        ("end", head.to_commit == last.to_commit),
        ("word on whether the day goes on", head.more == last.more),
    ];
    differing(&fields)
}

fn differing(fields: &[(&'static str, bool)]) -> Vec<&'static str> {
    let different = fields.iter().filter(|(_, same)| !same);
    different.map(|(name, _)| *name).collect()
}

impl Ends {
    fn hear(&mut self, tenant: TenantId, deed: &str, what: &str) {
        if tenant != PROVIDER || deed != SEALED {
            return;
        }
        let what: Value = serde_json::from_str(what).unwrap_or_default();
        if let (Some(number), Some(last)) = (what["segment"].as_u64(), what["last"].as_str()) {
            self.told.insert(number, last.to_owned());
        }
    }
}

fn name(at: At, deed: &str) -> String {
    match at.tenant {
        PROVIDER => format!("commit {} of the provider, {deed}", at.commit),
        tenant => format!("commit {} of tenant #{}, {deed}", at.commit, tenant.0),
    }
}
