//! Relaying: the durable queue to other providers, attempted until it succeeds, is refused, or expires.
//!
//! One message in flight at a time per peer connection is the carrier's business; this station says what is due, hears
//! each recipient's fate, and commits it. A crash between the peer's 250 and our commit repeats the attempt: the peer
//! drops the duplicate.

use crate::address::{Domain, KepAddress};
use crate::clock::{Clock, UtcTime};
use crate::domain::evidence::{Event, EvidenceKind, Reason};
use crate::domain::mail::RecipientEvent;
use crate::domain::provider::Peer;
use crate::domain::schedule::retry_after;
use crate::id::{IdSource, MailId, QueueId, RecipientIndex, TenantId};
use crate::service::bell::Bells;
use crate::service::failure::Failure;
use crate::service::identity::Identity;
use crate::service::organisation::Organisations;
use crate::service::owing::{Happened, Owing};
use crate::service::putting_off::{AFTER_FAILURE, put_off};
use crate::store::db::{Batch, CommitError, Db};
use crate::store::tables::items::Content;
use crate::store::tables::work::{self, AwaitedRelay, Carried, QueueEntry};
use crate::store::tables::{Stored, mails, peers};
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::task::JoinSet;

/// Rows of the queue looked at in one go, over all peers.
const DUE_LOOKED_AT: usize = 20_000;
/// Entries attempted in one turn of a peer.
const DUE_PER_PEER: usize = 128;
/// Awaited relays looked at in one go.
const AWAITED_AT_ONCE: usize = 512;
/// Messages attempted at the same time with one peer: more would only fill its door.
const ATTEMPTS_PER_PEER: usize = 4;
/// How often a fate is committed against others who change the same mail.
const COMMIT_ATTEMPTS: usize = 16;
/// Longest word of a peer that is kept, in octets.
const OUTCOME_MAX_OCTETS: usize = 500;

/// What is handed to the carrier.
#[derive(Debug, Clone)]
pub struct Outbound {
    pub queue_id: QueueId,
    pub reverse_path: KepAddress,
    pub recipients: Vec<KepAddress>,
    pub content: Content,
    pub has_8bit: bool,
}

/// What became of one recipient in one attempt. The text is the peer's word or the network's, for log and evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    Taken(String),
    /// May work later.
    Later(String),
    /// The peer says this recipient does not exist.
    UnknownRecipient(String),
    /// The peer refuses for good.
    Never(String),
}

/// An attempt under way: one fate for each recipient, in their order.
pub type Carrying<'a> = Pin<Box<dyn Future<Output = Vec<Fate>> + Send + 'a>>;

/// Carries a message to a peer. Implemented where sockets are.
pub trait Carrier: Send + Sync + 'static {
    fn carry<'a>(&'a self, peer: &'a Peer, message: &'a Outbound) -> Carrying<'a>;
}

pub struct Relay {
    pub db: Arc<dyn Db>,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn IdSource>,
    pub organisations: Arc<Organisations>,
    pub identity: Arc<Identity>,
    pub carrier: Arc<dyn Carrier>,
    pub bells: Bells,
    pub busy: Busy,
}

/// The peers that are being attended to.
pub type Busy = Mutex<BTreeSet<Domain>>;

/// What is due for a peer whose turn it is.
type Due = (Turn, Vec<Stored<QueueEntry>>);

/// A peer's turn; it ends when this is dropped, whatever happened.
struct Turn {
    relay: Arc<Relay>,
    peer: Domain,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.relay
            .busy
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.peer);
        self.relay.bells.relay.ring();
    }
}

impl Relay {
    /// Attempts what is due, peer by peer, and waits for the outcome. Gives how many entries were attempted.
    pub async fn run_due(self: &Arc<Self>) -> Result<usize, Failure> {
        let mut attempts = JoinSet::new();
        let mut count = 0;
        for (turn, entries) in self.turns()? {
            count += entries.len();
            attempts.spawn(self.clone().attempt_all(turn, entries));
        }
        while let Some(done) = attempts.join_next().await {
            done.map_err(|e| Failure::Broken(format!("relaying ended early: {e}")))??;
        }
        Ok(count)
    }

    /// Starts to attempt what is due, peer by peer, and does not wait: a peer that is slow holds up nobody else. The
    /// relay bell rings as a peer's turn ends. Gives how many entries are being attempted.
    pub fn start_due(self: &Arc<Self>) -> Result<usize, Failure> {
        let mut count = 0;
        for (turn, entries) in self.turns()? {
            count += entries.len();
            tokio::spawn(self.clone().attempt_all(turn, entries));
        }
        Ok(count)
    }

    /// What is due for each peer that is not being attended to already.
    fn turns(self: &Arc<Self>) -> Result<Vec<Due>, Failure> {
        let attended = self.busy.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut by_peer: BTreeMap<Domain, Vec<Stored<QueueEntry>>> = BTreeMap::new();
        // The rows of a peer that is attended to are passed over, however many: they must not hide those of others.
        work::for_each_due::<QueueEntry>(&*self.db, self.clock.now(), DUE_LOOKED_AT, |entry| {
            if !attended.contains(&entry.row.peer) {
                let entries = by_peer.entry(entry.row.peer.clone()).or_default();
                if entries.len() < DUE_PER_PEER {
                    entries.push(entry);
                }
            }
        })?;
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        let mut turns = Vec::new();
        for (peer, entries) in by_peer {
            if busy.insert(peer.clone()) {
                turns.push((
                    Turn {
                        relay: self.clone(),
                        peer,
                    },
                    entries,
                ));
            }
        }
        Ok(turns)
    }

    async fn attempt_all(
        self: Arc<Self>,
        turn: Turn,
        entries: Vec<Stored<QueueEntry>>,
    ) -> Result<(), Failure> {
        let mut attempts = JoinSet::new();
        let mut outcome = Ok(());
        let mut entries = entries.into_iter();
        loop {
            while attempts.len() < ATTEMPTS_PER_PEER {
                let Some(entry) = entries.next() else { break };
                let relay = self.clone();
                attempts.spawn(async move {
                    let attempted = relay.attempt(&entry).await;
                    match attempted {
                        Err(failure) => {
                            let until = relay.clock.now().plus(AFTER_FAILURE);
                            put_off(&*relay.db, &entry, until).await.and(Err(failure))
                        }
                        done => done,
                    }
                });
            }
            let Some(done) = attempts.join_next().await else {
                break;
            };
            let done = done.unwrap_or_else(|e| Err(Failure::Broken(format!("an attempt ended early: {e}"))));
            if let Err(failure) = done {
                tracing::error!(%failure, peer = %turn.peer, "relaying");
                outcome = Err(failure);
            }
        }
        drop(turn);
        outcome
    }

    /// Hears that peers stayed silent: their relay evidence did not come in time.
    pub async fn run_awaited(&self) -> Result<usize, Failure> {
        let due = work::due::<AwaitedRelay>(&*self.db, self.clock.now(), AWAITED_AT_ONCE)?;
        for awaited in &due {
            if let Err(failure) = self.give_up_waiting(awaited).await {
                tracing::error!(mail = %awaited.row.mail, %failure, "relay evidence awaited");
                put_off(&*self.db, awaited, self.clock.now().plus(AFTER_FAILURE)).await?;
            }
        }
        Ok(due.len())
    }

    async fn give_up_waiting(&self, awaited: &Stored<AwaitedRelay>) -> Result<(), Failure> {
        let (tenant, mail) = (awaited.row.tenant, awaited.row.mail);
        let say = format!("{} sent no relay evidence in time", awaited.row.peer);
        let happened = self.failure(Reason::NoDeliveryInfoFromPeer, &say);
        self.commit(|batch| {
            awaited.remove(batch);
            for recipient in &awaited.row.recipients {
                self.owe_failure(batch, tenant, mail, *recipient, &happened)?;
            }
            Ok(())
        })
        .await
    }

    async fn attempt(&self, stored: &Stored<QueueEntry>) -> Result<(), Failure> {
        let entry = &stored.row;
        let fates = match peers::peer(&*self.db, &entry.peer)? {
            Some(peer) => {
                let message = Outbound {
                    queue_id: entry.id,
                    reverse_path: entry.reverse_path.clone(),
                    recipients: entry.recipients.clone(),
                    content: entry.content.clone(),
                    has_8bit: entry.has_8bit,
                };
                self.carrier.carry(&peer.row, &message).await
            }
            None => vec![
                Fate::Later(format!("{} is not a known provider any more", entry.peer));
                entry.recipients.len()
            ],
        };
        let now = self.clock.now();
        for (recipient, fate) in entry.recipients.iter().zip(&fates) {
            tracing::info!(queue = %entry.id, to = %recipient, relay = %entry.peer, attempt = entry.attempts + 1,
                delay_ms = now.unix_ms() - entry.created_at.unix_ms(), outcome = ?fate, "attempt");
        }
        self.commit(|batch| self.settle(batch, stored, &fates, now))
            .await?;
        self.bells.notary.ring();
        Ok(())
    }

    /// Commits the fates of one attempt: who was taken is awaited, who was not is tried again or told.
    fn settle(
        &self,
        batch: &mut Batch,
        stored: &Stored<QueueEntry>,
        fates: &[Fate],
        now: UtcTime,
    ) -> Result<(), Failure> {
        let entry = &stored.row;
        let mut later = Vec::new();
        let mut taken = Vec::new();
        for (at, fate) in fates.iter().enumerate() {
            match fate {
                Fate::Taken(_) => taken.push(at),
                Fate::Later(why) if now < entry.expires_at => later.push((at, why.clone())),
                Fate::Later(why) => {
                    self.told(batch, entry, at, &self.failure(Reason::PeerUnreachable, why))?
                }
                Fate::UnknownRecipient(why) => {
                    self.told(batch, entry, at, &self.failure(Reason::UnknownRecipient, why))?;
                }
                Fate::Never(why) => {
                    self.told(batch, entry, at, &self.failure(Reason::PeerMalfunction, why))?
                }
            }
        }
        if let Carried::Dispatch {
            tenant,
            mail,
            copy,
            recipients,
        } = &entry.carried
            && !taken.is_empty()
        {
            let taken: Vec<RecipientIndex> = taken
                .iter()
                .filter_map(|at| recipients.get(*at).copied())
                .collect();
            self.mark_relayed(batch, *tenant, *mail, &taken)?;
            let awaited = AwaitedRelay {
                // Of its own: another recipient of the same entry may be taken at a later attempt.
                id: QueueId::fresh(&*self.ids),
                tenant: *tenant,
                mail: *mail,
                copy: *copy,
                peer: entry.peer.clone(),
                recipients: taken,
            };
            work::add(batch, entry.expires_at.max(now), &awaited)?;
        }
        let Some((_, why)) = later.first() else {
            stored.remove(batch);
            return Ok(());
        };
        let mut again = self.only(entry, &later);
        again.attempts += 1;
        again.last_outcome = why.chars().take(OUTCOME_MAX_OCTETS).collect();
        let jitter = f64::from(self.ids.uuid().as_bytes()[0]) / 256.0;
        let due = now
            .plus(retry_after(again.attempts, jitter))
            .min(entry.expires_at.max(now));
        work::postpone(batch, stored, due, &again)?;
        Ok(())
    }

    /// The entry for those recipients who are tried again.
    fn only(&self, entry: &QueueEntry, later: &[(usize, String)]) -> QueueEntry {
        let mut again = entry.clone();
        again.recipients = later
            .iter()
            .filter_map(|(at, _)| entry.recipients.get(*at).cloned())
            .collect();
        if let Carried::Dispatch { recipients, .. } = &mut again.carried {
            *recipients = later
                .iter()
                .filter_map(|(at, _)| recipients.get(*at).copied())
                .collect();
        }
        again
    }

    fn failure(&self, reason: Reason, why: &str) -> Happened {
        let why: String = why.chars().take(OUTCOME_MAX_OCTETS).collect();
        Happened::new(
            EvidenceKind::RelayREMMDFailure,
            Event::DeliveryExpiration,
            self.clock.now(),
        )
        .because(reason, why)
    }

    /// A recipient has come to a bad end: his sender hears of it. Evidence that could not be relayed stays with us.
    fn told(
        &self,
        batch: &mut Batch,
        entry: &QueueEntry,
        at: usize,
        happened: &Happened,
    ) -> Result<(), Failure> {
        match &entry.carried {
            Carried::Dispatch {
                tenant,
                mail,
                recipients,
                ..
            } => match recipients.get(at) {
                Some(recipient) => self.owe_failure(batch, *tenant, *mail, *recipient, happened),
                None => Ok(()),
            },
            Carried::Evidence { evidence } => {
                tracing::error!(%evidence, peer = %entry.peer, reasons = ?happened.reasons, "evidence could not be relayed");
                Ok(())
            }
        }
    }

    fn owe_failure(
        &self,
        batch: &mut Batch,
        tenant: TenantId,
        mail: MailId,
        recipient: RecipientIndex,
        happened: &Happened,
    ) -> Result<(), Failure> {
        let Some(stored) = mails::mail(&*self.db, tenant, mail)? else {
            return Ok(());
        };
        let state = stored.row.recipient(recipient).map(|r| r.state);
        if state.and_then(|s| s.after(RecipientEvent::GaveUp)).is_none() {
            return Ok(());
        }
        // The condition makes sure that no evidence of the peer slips in between.
        stored.require_unchanged(batch);
        let organisation = self.organisations.of(tenant)?;
        Owing {
            identity: &self.identity,
            ids: &*self.ids,
        }
        .about_recipient(batch, &organisation.tenant, &stored.row, recipient, happened)
    }

    fn mark_relayed(
        &self,
        batch: &mut Batch,
        tenant: TenantId,
        mail: MailId,
        taken: &[RecipientIndex],
    ) -> Result<(), Failure> {
        let Some(stored) = mails::mail(&*self.db, tenant, mail)? else {
            return Ok(());
        };
        let mut changed = stored.row.clone();
        for index in taken {
            if let Some(recipient) = changed.recipients.get_mut(index.0 as usize) {
                recipient.state = recipient
                    .state
                    .after(RecipientEvent::PeerReplied)
                    .unwrap_or(recipient.state);
            }
        }
        Ok(stored.replace(batch, &changed)?)
    }

    /// Commits what `make` says, made anew when somebody else changed the same rows.
    async fn commit(&self, make: impl Fn(&mut Batch) -> Result<(), Failure>) -> Result<(), Failure> {
        for _ in 0..COMMIT_ATTEMPTS {
            let mut batch = Batch::new();
            make(&mut batch)?;
            match self.db.commit(batch).await {
                Ok(_) => return Ok(()),
                Err(CommitError::Conflict { .. }) => continue,
                Err(other) => return Err(other.into()),
            }
        }
        Err(Failure::Unavailable(
            "too many change the same mail at once".into(),
        ))
    }
}

/// When the queue next has something to attempt for a peer; for tests and the administrator.
pub fn queue_of(db: &dyn Db, peer: &Domain) -> Result<Vec<(UtcTime, QueueEntry)>, Failure> {
    let all = work::all::<QueueEntry>(db)?;
    Ok(all
        .into_iter()
        .filter(|(_, e)| e.row.peer == *peer)
        .map(|(due, e)| (due, e.row))
        .collect())
}
