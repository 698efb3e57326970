//! One loop per station: work while there is work, then wait for the bell, for the next due moment, or for the end.

use super::Services;
use crate::clock::{Clock, UtcTime};
use crate::net::listener::closed;
use crate::net::relay_out::RelayOut;
use crate::service::account::Accounts;
use crate::service::account::visits::TELL_EVERY;
use crate::service::bell::Bell;
use crate::service::emptying::Emptying;
use crate::service::failure::Failure;
use crate::service::indexing::Indexing;
use crate::store::db::Db;
use crate::store::tables::bin::BinStay;
use crate::store::tables::work::{
    self, AwaitedReading, AwaitedRelay, DeliveryWork, EndingReply, JobAlarm, LowCredit, OwedEvidence,
    OwedPreservation, OwedReceipt, OwedReview, OwedStatus, QueueEntry, RenewalDue, SealWork, Work,
};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// The longest a station sleeps: a bell that was lost costs no more than this.
const LOOK_AT_LEAST_EVERY: Duration = Duration::from_secs(30);
/// How often it is looked what is new for the full-text index.
const INDEX_AT_LEAST_EVERY: Duration = Duration::from_secs(10);
/// The pause after a failure, and when what is due is in other hands.
const PAUSE: Duration = Duration::from_secs(1);

pub(super) fn start(services: &Services, tasks: &mut JoinSet<()>, closing: &watch::Receiver<bool>) {
    let bells = &services.bells;
    let desk = |name: &'static str, bell: &Bell, due: Due| Desk {
        name,
        bell: bell.clone(),
        due,
        db: services.db.clone(),
        clock: services.clock.clone(),
        closing: closing.clone(),
    };
    let notary = services.notary.clone();
    tasks.spawn(desk("notary", &bells.notary, next::<OwedEvidence>).run(move || {
        let notary = notary.clone();
        async move { notary.run_due().await }
    }));
    let notary = services.notary.clone();
    // A desk of their own: a large mail that is told of again holds up nobody's evidence.
    tasks.spawn(
        desk("receipts", &bells.receipts, next::<OwedReceipt>).run(move || {
            let notary = notary.clone();
            async move { notary.receipts_due().await }
        }),
    );
    let dispatch = services.dispatch.clone();
    tasks.spawn(desk("dispatch", &bells.dispatch, next::<SealWork>).run(move || {
        let dispatch = dispatch.clone();
        async move { dispatch.run_due().await }
    }));
    let relay = services.relay.clone();
    tasks.spawn(desk("relay", &bells.relay, next::<QueueEntry>).run(move || {
        let relay = relay.clone();
        async move { relay.start_due() }
    }));
    let delivery = services.delivery.clone();
    tasks.spawn(
        desk("delivery", &bells.delivery, next::<DeliveryWork>).run(move || {
            let delivery = delivery.clone();
            async move { delivery.run_due().await }
        }),
    );
    let herald = services.herald.clone();
    tasks.spawn(desk("herald", &bells.herald, next_word).run(move || {
        let herald = herald.clone();
        async move { herald.run_due().await }
    }));
    let emptying = Arc::new(Emptying {
        db: services.db.clone(),
        clock: services.clock.clone(),
        bells: services.bells.clone(),
    });
    // Nobody rings for it: what it does is due weeks after it was listed.
    tasks.spawn(desk("emptying", &Bell::default(), next::<BinStay>).run(move || {
        let emptying = emptying.clone();
        async move { emptying.run_due().await }
    }));
    let auditing = services.auditing.clone();
    // It knows itself when its day is over: no row is believed for that.
    tasks.spawn(desk("auditing", &Bell::default(), |_| Ok(None)).run(move || {
        let auditing = auditing.clone();
        async move { auditing.run_due().await }
    }));
    let preservation = services.preservation.clone();
    // Nobody rings for it: what it does is due at the end of a day, or at the end of an authority.
    tasks.spawn(desk("preservation", &Bell::default(), next_night).run(move || {
        let preservation = preservation.clone();
        async move { preservation.run_due().await }
    }));
    tasks.spawn(super::lasting::run(
        services.lasting.clone(),
        bells.lasting.clone(),
        services.clock.clone(),
        closing.clone(),
    ));
    let (indexing, bell) = (services.indexing.clone(), bells.indexing.clone());
    tasks.spawn(index(indexing, bell, services.clock.clone(), closing.clone()));
    tasks.spawn(keep_visits(
        services.accounts.clone(),
        services.clock.clone(),
        closing.clone(),
    ));
    tasks.spawn(sweep(
        services.relay_out.clone(),
        services.clock.clone(),
        closing.clone(),
    ));
    if let Some(own) = services.own_seals() {
        tasks.spawn(own.run(closing.clone()));
    }
    let (approval, relay, delivery) = (
        services.approval.clone(),
        services.relay.clone(),
        services.delivery.clone(),
    );
    tasks.spawn(desk("timers", &bells.timers, next_timer).run(move || {
        let (approval, relay, delivery) = (approval.clone(), relay.clone(), delivery.clone());
        async move {
            // All three look, whichever of them fails.
            let late = approval.run_due().await;
            let silent = relay.run_awaited().await;
            let unread = delivery.run_awaited().await;
            Ok(late? + silent? + unread?)
        }
    }));
}

/// Closes connections to peers that nobody needed for a while.
async fn sweep(relay_out: Arc<RelayOut>, clock: Arc<dyn Clock>, mut closing: watch::Receiver<bool>) {
    while !*closing.borrow() {
        relay_out.close_idle();
        let until = clock.now().plus(LOOK_AT_LEAST_EVERY);
        tokio::select! {
            () = clock.wait_until(until) => {}
            () = closed(&mut closing) => {}
        }
    }
}

/// Writes down who came in and who tried to. What is left at the end, the end writes.
async fn keep_visits(accounts: Arc<Accounts>, clock: Arc<dyn Clock>, mut closing: watch::Receiver<bool>) {
    while !*closing.borrow() {
        if let Err(failure) = accounts.tell_visits(clock.now(), false).await {
            tracing::error!(%failure, "logins are not on the audit record yet");
        }
        let until = clock.now().plus(TELL_EVERY);
        tokio::select! {
            () = clock.wait_until(until) => {}
            () = closed(&mut closing) => {}
        }
    }
}

/// Looks what is new for the full-text index. Nothing tells of it: the logs of the tenants are asked, which is cheap where
/// nothing happened.
async fn index(
    indexing: Arc<Indexing>,
    bell: Bell,
    clock: Arc<dyn Clock>,
    mut closing: watch::Receiver<bool>,
) {
    while !*closing.borrow() {
        let mut work = std::pin::pin!(indexing.run_due());
        let done = tokio::select! {
            done = &mut work => done,
            () = closed(&mut closing) => {
                indexing.stop();
                work.await
            }
        };
        match done {
            Ok(0) => {}
            Ok(_) => continue,
            Err(failure) => tracing::error!(station = "indexing", %failure, "a look failed"),
        }
        let until = clock.now().plus(INDEX_AT_LEAST_EVERY);
        tokio::select! {
            () = bell.rung() => {}
            () = clock.wait_until(until) => {}
            () = closed(&mut closing) => {}
        }
    }
}

/// When a station has something to do next.
type Due = fn(&dyn Db) -> Result<Option<UtcTime>, Failure>;

fn next<W: Work>(db: &dyn Db) -> Result<Option<UtcTime>, Failure> {
    Ok(work::next_due::<W>(db)?)
}

fn next_word(db: &dyn Db) -> Result<Option<UtcTime>, Failure> {
    let all = [
        next::<OwedStatus>(db)?,
        next::<EndingReply>(db)?,
        next::<LowCredit>(db)?,
    ];
    Ok(all.into_iter().flatten().min())
}

fn next_night(db: &dyn Db) -> Result<Option<UtcTime>, Failure> {
    let both = [next::<OwedPreservation>(db)?, next::<RenewalDue>(db)?];
    Ok(both.into_iter().flatten().min())
}

fn next_timer(db: &dyn Db) -> Result<Option<UtcTime>, Failure> {
    let all = [
        next::<JobAlarm>(db)?,
        next::<OwedReview>(db)?,
        next::<AwaitedRelay>(db)?,
        next::<AwaitedReading>(db)?,
    ];
    Ok(all.into_iter().flatten().min())
}

/// Where a station sits.
struct Desk {
    name: &'static str,
    bell: Bell,
    due: Due,
    db: Arc<dyn Db>,
    clock: Arc<dyn Clock>,
    closing: watch::Receiver<bool>,
}

impl Desk {
    async fn run<F, R>(mut self, mut look: F)
    where
        F: FnMut() -> R,
        R: Future<Output = Result<usize, Failure>>,
    {
        let mut failures = 0u32;
        while !*self.closing.borrow() {
            let outcome = look().await;
            failures = if outcome.is_err() {
                failures.saturating_add(1)
            } else {
                0
            };
            let wait = match outcome {
                // A bell that rings while we work is kept, so nothing is missed by looking again first.
                Ok(done) if done > 0 => Duration::ZERO,
                Ok(_) => self.until_due(),
                Err(failure) => {
                    tracing::error!(station = self.name, %failure, "a look failed");
                    // An authority that is away for hours is not asked every second.
                    PAUSE
                        .saturating_mul(1 << (failures - 1).min(8))
                        .min(LOOK_AT_LEAST_EVERY)
                }
            };
            if wait.is_zero() {
                continue;
            }
            let until = self.clock.now().plus(wait);
            tokio::select! {
                () = self.bell.rung() => {}
                () = self.clock.wait_until(until) => {}
                () = closed(&mut self.closing) => {}
            }
        }
    }

    fn until_due(&self) -> Duration {
        let now = self.clock.now();
        match (self.due)(&*self.db) {
            Ok(Some(due)) => now.until(due).clamp(PAUSE, LOOK_AT_LEAST_EVERY),
            Ok(None) => LOOK_AT_LEAST_EVERY,
            Err(failure) => {
                tracing::error!(station = self.name, %failure, "the next due moment cannot be read");
                PAUSE
            }
        }
    }
}
