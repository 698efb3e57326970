//! Consigning: a verified dispatch becomes a consignment in each recipient's mailbox, once, and delivery evidence is
//! owed. Unread until the limit, it counts as read.

use crate::clock::{Clock, UtcTime};
use crate::domain::audit::{AuditRecord, Author};
use crate::domain::evidence::{Event, EvidenceKind, Reason};
use crate::domain::item::{Item, ItemKind};
use crate::domain::job::{Job, JobStart, Terms};
use crate::domain::mail::{Consignment, ConsignmentEvent, ConsignmentState, SenderHome};
use crate::domain::org::Organisation;
use crate::domain::policy;
use crate::domain::rule::Rule;
use crate::id::{IdSource, ItemId, JobId};
use crate::service::bell::Bells;
use crate::service::failure::Failure;
use crate::service::identity::Identity;
use crate::service::item_numbers::ItemNumbers;
use crate::service::organisation::Organisations;
use crate::service::outline::Outline;
use crate::service::owing::{Happened, Owing};
use crate::service::putting_off::{AFTER_FAILURE, put_off};
use crate::store::db::{Batch, CommitError, Db};
use crate::store::spool::Spool;
use crate::store::tables::mails::{Done, consigned_once_key};
use crate::store::tables::work::{self, AwaitedReading, DeliveryWork, JobAlarm, Placement};
use crate::store::tables::{self, Stored, audit, items, jobs, lasting, mails};
use std::sync::Arc;
use tokio::task::JoinSet;

/// Dispatches consigned at the same time.
const AT_ONCE: usize = 32;

pub struct Delivery {
    pub db: Arc<dyn Db>,
    pub spool: Arc<Spool>,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn IdSource>,
    pub organisations: Arc<Organisations>,
    pub identity: Arc<Identity>,
    pub items: Arc<ItemNumbers>,
    pub bells: Bells,
    pub terms: Arc<Terms>,
}

impl Delivery {
    /// Consigns what is due. Gives how many dispatches were looked at.
    pub async fn run_due(self: &Arc<Self>) -> Result<usize, Failure> {
        let due = work::due::<DeliveryWork>(&*self.db, self.clock.now(), AT_ONCE)?;
        let count = due.len();
        let mut consigning = JoinSet::new();
        for stored in due {
            let delivery = self.clone();
            consigning.spawn(async move {
                let delivered = delivery.deliver(&stored).await;
                match delivered {
                    Err(failure) => {
                        let until = delivery.clock.now().plus(AFTER_FAILURE);
                        put_off(&*delivery.db, &stored, until).await.and(Err(failure))
                    }
                    done => done,
                }
            });
        }
        let mut outcome = Ok(count);
        while let Some(done) = consigning.join_next().await {
            let done = done.unwrap_or_else(|e| Err(Failure::Broken(format!("a delivery ended early: {e}"))));
            if let Err(failure) = done {
                tracing::error!(%failure, "delivery");
                outcome = Err(failure);
            }
        }
        outcome
    }

    async fn deliver(&self, stored: &Stored<DeliveryWork>) -> Result<(), Failure> {
        let outline = Outline::of(&self.spool, &stored.row.dispatch).await?;
        let mut consigned = Ok(());
        for placement in &stored.row.placements {
            // What fails for one withholds nothing from the others.
            if let Err(failure) = self.consign(&stored.row, placement, &outline).await {
                consigned = Err(failure);
            }
        }
        consigned?;
        let mut batch = Batch::new();
        stored.remove(&mut batch);
        match self.db.commit(batch).await {
            Ok(_) | Err(CommitError::Conflict { .. }) => {}
            Err(other) => return Err(other.into()),
        }
        self.bells.notary.ring();
        self.bells.timers.ring();
        self.bells.herald.ring();
        for placement in &stored.row.placements {
            self.bells.mailboxes.ring(placement.tenant);
        }
        Ok(())
    }

    /// One recipient's consignment, with the evidence and the limit that follow from it, in one commit.
    async fn consign(
        &self,
        work: &DeliveryWork,
        placement: &Placement,
        outline: &Outline,
    ) -> Result<(), Failure> {
        let tenant = placement.tenant;
        let home = match &work.home {
            SenderHome::Here { .. } => &self.identity.domain,
            SenderHome::Peer { domain, .. } => domain,
        };
        let mark = consigned_once_key(
            tenant,
            home.as_str(),
            &work.rem_message_id,
            placement.address.as_str(),
        );
        if self.db.get(&mark)?.is_some() {
            return Ok(());
        }
        let now = self.clock.now();
        let organisation = self.organisations.of(tenant)?;
        let item_id = self.items.next(tenant)?;
        let consignment = Consignment {
            id: placement.consignment,
            tenant,
            item: item_id,
            home: work.home.clone(),
            sender: work.sender.clone(),
            recipient: placement.address.clone(),
            listed: work.listed.clone(),
            subject: work.subject.clone(),
            message_id: work.message_id.clone(),
            rem_message_id: work.rem_message_id.clone(),
            original_sha256: work.original_sha256,
            submitted_at: work.submitted_at,
            delivered_at: now,
            state: ConsignmentState::Delivered,
            declaration: None,
        };
        let mut batch = Batch::new();
        tables::insert(&mut batch, mark.clone(), &Done)?;
        let owing = Owing {
            identity: &self.identity,
            ids: &*self.ids,
        };
        let kind = EvidenceKind::DeliveryNonDeliveryToRecipient;
        if organisation.tenant.life.may_receive() {
            mails::add_consignment(&mut batch, &consignment)?;
            let mut item = incoming(item_id, &consignment);
            self.sort(&mut batch, &organisation, &consignment, &mut item)?;
            items::add(&mut batch, tenant, &item, &outline.body(work.dispatch.clone()))?;
            work::preserve(&mut batch, now, work.dispatch.clone(), None)?;
            let issuer = match &work.home {
                SenderHome::Here { .. } => &self.identity.domain,
                SenderHome::Peer { domain, .. } => domain,
            };
            lasting::owe(
                &mut batch,
                now,
                lasting::Piece::Dispatch,
                work.dispatch.clone(),
                issuer.clone(),
            )?;
            let awaited = AwaitedReading {
                tenant,
                consignment: consignment.id,
            };
            work::add(&mut batch, now.plus(self.identity.reading_expiry), &awaited)?;
            owing.about_consignment(
                &mut batch,
                &consignment,
                &Happened::new(kind, Event::Delivery, now),
            )?;
        } else {
            let closed = Happened::new(kind, Event::NonDelivery, now)
                .because(Reason::Other, "the recipient's account is suspended or closed");
            owing.about_consignment(&mut batch, &consignment, &closed)?;
        }
        match self.db.commit(batch).await {
            Ok(_) => {
                tracing::info!(mail = %consignment.id, to = %consignment.recipient, rem_message_id = %work.rem_message_id,
                    outcome = "consigned", "delivery");
                Ok(())
            }
            Err(CommitError::Conflict { .. }) if self.db.get(&mark)?.is_some() => Ok(()),
            Err(other) => Err(other.into()),
        }
    }

    /// Asks the tenant's rules for incoming mail: labels and units of all that catch it are put on the item, and the
    /// first of them that asks for approval starts a job.
    fn sort(
        &self,
        batch: &mut Batch,
        organisation: &Organisation,
        consignment: &Consignment,
        item: &mut Item,
    ) -> Result<(), Failure> {
        let sorting = policy::sort(organisation, &policy::readable(consignment));
        item.labels = sorting.labels;
        item.units = sorting.units;
        match sorting.asks.and_then(|id| organisation.rules.get(&id)) {
            Some(rule) => self.start_job(batch, organisation, consignment, rule, item),
            None => Ok(()),
        }
    }

    fn start_job(
        &self,
        batch: &mut Batch,
        organisation: &Organisation,
        consignment: &Consignment,
        rule: &Rule,
        item: &mut Item,
    ) -> Result<(), Failure> {
        let start = JobStart {
            id: JobId::fresh(&*self.ids),
            tenant: consignment.tenant,
            mail: consignment.id,
            item: item.id,
            author: None,
            rule,
            original_sha256: consignment.original_sha256,
            subject: consignment.subject.clone(),
            thread: consignment.message_id.clone(),
            follows: None,
            at: consignment.delivered_at,
        };
        let moved = Job::start(start, organisation, &self.terms);
        item.job = Some(Box::new(moved.job.facet(organisation)));
        jobs::add(batch, &moved)?;
        for (nth, entry) in (0u32..).zip(&moved.entries) {
            let at = consignment.delivered_at;
            let record = AuditRecord::of_job(organisation, None, &moved.job, entry, &Author::clock(), at);
            audit::append(batch, consignment.tenant, nth, &record)?;
        }
        if let Some(alarm) = moved.job.next_alarm(&self.terms) {
            let row = JobAlarm {
                tenant: consignment.tenant,
                job: moved.job.id,
            };
            work::add(batch, alarm.at, &row)?;
        }
        tracing::info!(mail = %consignment.id, job = %moved.job.id, rule = %rule.name, "waits for approval");
        Ok(())
    }

    /// Mails unread until the limit count as read, with evidence of their own.
    pub async fn run_awaited(&self) -> Result<usize, Failure> {
        let now = self.clock.now();
        let due = work::due::<AwaitedReading>(&*self.db, now, AT_ONCE)?;
        for awaited in &due {
            if let Err(failure) = self.expire(awaited, now).await {
                tracing::error!(consignment = %awaited.row.consignment, %failure, "reading expiry");
                put_off(&*self.db, awaited, now.plus(AFTER_FAILURE)).await?;
            }
        }
        Ok(due.len())
    }

    async fn expire(&self, awaited: &Stored<AwaitedReading>, now: UtcTime) -> Result<(), Failure> {
        let mut batch = Batch::new();
        awaited.remove(&mut batch);
        let stored = mails::consignment(&*self.db, awaited.row.tenant, awaited.row.consignment)?;
        let next = stored.and_then(|c| Some((c.row.state.after(ConsignmentEvent::Expired)?, c)));
        // Whatever was declared of it, nobody has read it.
        if let Some((state, stored)) = next {
            let mut expired = stored.row.clone();
            expired.state = state;
            stored.replace(&mut batch, &expired)?;
            let hours = self.identity.reading_expiry.as_secs() / 3600;
            let happened = Happened::new(
                EvidenceKind::RetrievalNonRetrievalByRecipient,
                Event::RetrievalExpiration,
                now,
            )
            .because(
                Reason::RetentionPeriodExpired,
                format!("not read within {hours} h of delivery"),
            );
            Owing {
                identity: &self.identity,
                ids: &*self.ids,
            }
            .about_consignment(&mut batch, &expired, &happened)?;
            tracing::info!(mail = %expired.id, "reading expired");
        }
        match self.db.commit(batch).await {
            // Read in the last moment: the next look finds nothing to expire.
            Ok(_) | Err(CommitError::Conflict { .. }) => self.bells.notary.ring(),
            Err(other) => return Err(other.into()),
        }
        Ok(())
    }
}

fn incoming(id: ItemId, consignment: &Consignment) -> Item {
    Item {
        mail: Some(consignment.id),
        ..Item::new(id, ItemKind::Incoming, consignment.delivered_at)
    }
}
