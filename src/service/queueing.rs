//! The durable queue to other providers, as an administrator sees it.

use crate::clock::{Clock, UtcTime};
use crate::id::QueueId;
use crate::service::bell::Bell;
use crate::service::failure::{Failure, Kind};
use crate::store::db::{Batch, CommitError, Db};
use crate::store::tables::work;
pub use crate::store::tables::work::QueueEntry;
use std::sync::Arc;

pub struct Queueing {
    pub db: Arc<dyn Db>,
    pub clock: Arc<dyn Clock>,
    /// The relay's: rung after a retry is asked for.
    pub relay: Bell,
}

impl Queueing {
    /// What waits, with the moment of its next attempt, soonest first.
    pub fn list(&self) -> Result<Vec<(UtcTime, QueueEntry)>, Failure> {
        let rows = work::all::<QueueEntry>(&*self.db)?;
        Ok(rows.into_iter().map(|(due, stored)| (due, stored.row)).collect())
    }

    pub fn show(&self, id: QueueId) -> Result<(UtcTime, QueueEntry), Failure> {
        let found = self.list()?.into_iter().find(|(_, entry)| entry.id == id);
        found.ok_or_else(|| none(id))
    }

    /// Makes an entry, or all of them, due now. Gives how many.
    pub async fn retry(&self, only: Option<QueueId>) -> Result<usize, Failure> {
        let now = self.clock.now();
        let mut moved = 0;
        for (due, stored) in work::all::<QueueEntry>(&*self.db)? {
            if only.is_some_and(|id| id != stored.row.id) || due <= now {
                moved += usize::from(only == Some(stored.row.id));
                continue;
            }
            let mut batch = Batch::new();
            work::postpone(&mut batch, &stored, now, &stored.row)?;
            match self.db.commit(batch).await {
                Ok(_) => moved += 1,
                // The relay has it in hand: it is being tried.
                Err(CommitError::Conflict { .. }) => moved += 1,
                Err(other) => return Err(other.into()),
            }
        }
        match only {
            Some(id) if moved == 0 => Err(none(id)),
            _ => {
                self.relay.ring();
                Ok(moved)
            }
        }
    }
}

fn none(id: QueueId) -> Failure {
    Failure::refused(Kind::NotFound, format!("there is no queue entry {id}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::id::EvidenceId;
    use crate::store::db::{EngineKind, open};
    use crate::store::probe::NoProbe;
    use crate::store::tables::items::Content;
    use crate::store::tables::work::Carried;
    use std::time::Duration;

    fn entry(n: u8, now: UtcTime) -> QueueEntry {
        QueueEntry {
            id: QueueId::from_octets([n; 16]),
            peer: "hs02.kep.test".parse().unwrap(),
            reverse_path: "kep@hs01.kep.test".parse().unwrap(),
            recipients: vec!["alici@hs02.kep.test".parse().unwrap()],
            content: Content::default(),
            has_8bit: false,
            carried: Carried::Evidence {
                evidence: EvidenceId::from_octets([n; 16]),
            },
            created_at: now,
            expires_at: now.plus(Duration::from_secs(86_400)),
            attempts: 3,
            last_outcome: "connection refused".into(),
        }
    }

    #[tokio::test]
    async fn a_retry_makes_one_or_all_due_now() {
        let dir = tempfile::tempdir().unwrap();
        let now = UtcTime::from_unix_s(1_795_466_705);
        let queueing = Queueing {
            db: open(EngineKind::Fjall, dir.path(), Arc::new(NoProbe)).unwrap(),
            clock: Arc::new(ManualClock::at(now)),
            relay: Bell::default(),
        };
        let later = now.plus(Duration::from_secs(900));
        let mut batch = Batch::new();
        for n in 1..=3 {
            work::add(&mut batch, later, &entry(n, now)).unwrap();
        }
        queueing.db.commit(batch).await.unwrap();
        let due = || {
            queueing
                .list()
                .unwrap()
                .into_iter()
                .map(|(due, _)| due)
                .collect::<Vec<_>>()
        };

        let second = QueueId::from_octets([2; 16]);
        assert_eq!(queueing.retry(Some(second)).await.unwrap(), 1);
        assert_eq!(due(), [now, later, later]);
        assert_eq!(queueing.show(second).unwrap().1, entry(2, now));
        // Due already: nothing to move, and no refusal.
        assert_eq!(queueing.retry(Some(second)).await.unwrap(), 1);
        assert_eq!(queueing.retry(None).await.unwrap(), 2);
        assert_eq!(due(), [now, now, now]);
        // The bell was rung, so that nobody has to wait for his own clock.
        queueing.relay.rung().await;
        assert!(queueing.retry(Some(QueueId::from_octets([9; 16]))).await.is_err());
    }
}
