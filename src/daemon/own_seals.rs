//! Looks now and then whether the certificates by which this provider seals, and that of its time-stamps, were revoked.
//!
//! With a revoked certificate nothing is sealed: evidence stays owed, as with a clock that is wrong, until another one takes
//! its place (SIGHUP, or the next key's moment). Who is revoked is in the store, so that it is known after a restart before
//! anything is sealed. What nobody tells of is only warned of: sealing goes on.

use crate::clock::{Clock, UtcTime};
use crate::cms::tsp::Token;
use crate::cms::{Certificate, Purpose, RevocationShelf};
use crate::net::listener::closed;
use crate::seal::reliance::{Proof, Use};
use crate::seal::{Asker, Basis, Reliance, Sealer, TrustStore};
use crate::service::failure::Failure;
use crate::service::gauges::{Gauge, GaugeKind, Reading};
use crate::service::identity::Published;
use crate::store::StoreError;
use crate::store::db::{Batch, Db};
use crate::store::tables::own_seals::{self, RevokedSeals};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::watch;

/// How often it is asked. Lists come daily, answers hourly.
const EVERY: Duration = Duration::from_secs(3600);
/// How soon again while something is revoked or not known.
const SOONER: Duration = Duration::from_secs(300);
/// The longest one question takes; nobody waits for it.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// What the last look found.
#[derive(Debug, Default)]
pub(super) struct Figures {
    revoked: AtomicU64,
    stamps_revoked: AtomicU64,
    unknown: AtomicU64,
}

pub(super) struct OwnSeals {
    pub asker: Arc<Asker>,
    pub clock: Arc<dyn Clock>,
    /// Those that are one stand here once.
    pub sealers: Vec<Arc<Sealer>>,
    /// By what others judge our seals and time-stamps.
    pub published: Arc<Published>,
    pub figures: Arc<Figures>,
    pub db: Arc<dyn Db>,
}

/// Tells the sealers what was known of their certificates before the restart; to be done before anything is sealed.
pub(super) fn recall(db: &dyn Db, sealers: &[&Arc<Sealer>]) -> Result<(), StoreError> {
    let known = own_seals::revoked(db)?.fingerprints;
    if known.is_empty() {
        return Ok(());
    }
    tracing::error!(
        certificates = known.len(),
        "own certificates are known to be revoked; nothing is sealed with them"
    );
    for sealer in sealers {
        sealer.set_revoked(known.clone());
    }
    Ok(())
}

impl OwnSeals {
    /// Looks until the end.
    pub async fn run(self, mut closing: watch::Receiver<bool>) {
        let mut revoked = match own_seals::revoked(&*self.db) {
            Ok(known) => known.fingerprints,
            Err(error) => {
                tracing::error!(%error, "which own certificates are revoked cannot be read");
                BTreeSet::new()
            }
        };
        while !*closing.borrow() {
            let look = self.look(&mut revoked);
            let all_well = tokio::select! {
                all_well = look => all_well,
                () = closed(&mut closing) => return,
            };
            let pause = if all_well { EVERY } else { SOONER };
            let until = self.clock.now().plus(pause);
            tokio::select! {
                () = self.clock.wait_until(until) => {}
                () = closed(&mut closing) => {}
            }
        }
    }

    /// One look; `revoked` are the fingerprints of those known to be. Who is revoked and then not told of stays so.
    async fn look(&self, revoked: &mut BTreeSet<[u8; 32]>) -> bool {
        let mut trust = TrustStore::new();
        if let Err(error) = trust.add_pem_text(&self.published.now().trust_pem) {
            tracing::error!(%error, "the own trust anchors cannot be read");
            return false;
        }
        let now = self.clock.now();
        let (mut unknown, mut stamps_revoked) = (0, 0);
        for sealer in &self.sealers {
            let chain = sealer.chain(now);
            if let Some((leaf, along)) = chain.split_first() {
                match self.ask(&trust, leaf, along, Purpose::Signing, now).await {
                    Reliance::Revoked(found) => {
                        tracing::error!(subject = %found.subject, since = %found.since, reason = found.reason.word(),
                            "the own seal's certificate is revoked; nothing is sealed with it");
                        revoked.insert(leaf.fingerprint());
                    }
                    Reliance::Unknown(why) => {
                        tracing::warn!(%why, "nobody tells whether the own seal's certificate is revoked");
                        unknown += 1;
                    }
                    Reliance::Valid { .. } | Reliance::NobodyToAsk => {
                        revoked.remove(&leaf.fingerprint());
                    }
                    // Nobody said that it is good again.
                    Reliance::NotAsked => {}
                }
            }
            let token = sealer.last_token().and_then(|der| Token::read(&der).ok());
            if let Some(token) = token {
                let along = &token.certificates;
                match self
                    .ask(&trust, &token.signer, along, Purpose::TimeStamping, now)
                    .await
                {
                    Reliance::Revoked(found) => {
                        tracing::error!(subject = %found.subject, since = %found.since, reason = found.reason.word(),
                            "the time-stamp authority's certificate is revoked");
                        stamps_revoked = 1;
                    }
                    Reliance::Unknown(why) => {
                        tracing::warn!(%why, "nobody tells whether the time-stamp authority's certificate is revoked");
                        unknown += 1;
                    }
                    Reliance::Valid { .. } | Reliance::NobodyToAsk | Reliance::NotAsked => {}
                }
            }
        }
        // Of keys that were replaced nothing need be known.
        let own = self.sealers.iter().flat_map(|s| s.published());
        let own: BTreeSet<[u8; 32]> = own.map(|c| c.fingerprint()).collect();
        revoked.retain(|fingerprint| own.contains(fingerprint));
        for sealer in &self.sealers {
            sealer.set_revoked(revoked.clone());
        }
        let is_kept = self.keep(revoked).await;
        let figures = &self.figures;
        figures.revoked.store(revoked.len() as u64, Ordering::Relaxed);
        figures.stamps_revoked.store(stamps_revoked, Ordering::Relaxed);
        figures.unknown.store(unknown, Ordering::Relaxed);
        revoked.is_empty() && stamps_revoked == 0 && unknown == 0 && is_kept
    }

    /// Sees to it that the store knows.
    async fn keep(&self, revoked: &BTreeSet<[u8; 32]>) -> bool {
        let kept = self.write(revoked).await;
        if let Err(failure) = &kept {
            tracing::error!(%failure, "which own certificates are revoked is not kept");
        }
        kept.is_ok()
    }

    async fn write(&self, revoked: &BTreeSet<[u8; 32]>) -> Result<(), Failure> {
        if own_seals::revoked(&*self.db)?.fingerprints == *revoked {
            return Ok(());
        }
        let row = RevokedSeals {
            fingerprints: revoked.clone(),
        };
        let mut batch = Batch::new();
        own_seals::set_revoked(&mut batch, &row)?;
        self.db.commit(batch).await?;
        Ok(())
    }

    async fn ask(
        &self,
        trust: &TrustStore,
        leaf: &Certificate,
        along: &[Certificate],
        purpose: Purpose,
        now: UtcTime,
    ) -> Reliance {
        let used = Use {
            leaf,
            along,
            at: now,
            purpose,
            proof: Proof::OwnWord,
        };
        match Basis::asked_elsewhere(trust).rely(used, &RevocationShelf::default()) {
            Ok(relied) => self.asker.reliance(trust, &relied, WAIT_MAX).await,
            Err(error) => {
                // It has ended, or its anchors are not configured: that is told where keys are read.
                tracing::debug!(%error, "an own certificate has no path now");
                Reliance::NotAsked
            }
        }
    }
}

impl Figures {
    pub fn reading(self: &Arc<Self>) -> Reading {
        let figures = self.clone();
        Arc::new(move || Ok(figures.gauges()))
    }

    fn gauges(&self) -> Vec<Gauge> {
        let gauge = |name, help, of: &AtomicU64| Gauge {
            kind: GaugeKind::Gauge,
            name,
            help,
            value: of.load(Ordering::Relaxed),
        };
        vec![
            gauge(
                "kepd_seal_certificates_revoked",
                "Own seal certificates that are revoked: nothing is sealed with them.",
                &self.revoked,
            ),
            gauge(
                "kepd_timestamp_certificate_revoked",
                "1 when the certificate of the last time-stamp's authority is revoked.",
                &self.stamps_revoked,
            ),
            gauge(
                "kepd_own_certificates_unknown",
                "Own certificates of which nobody tells whether they are revoked.",
                &self.unknown,
            ),
        ]
    }
}

#[cfg(test)]
#[path = "own_seals_tests.rs"]
mod tests;
