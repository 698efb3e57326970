//! What several services are made of, and the stations that are made of nothing else.

use super::Surroundings;
use super::seals::Seals;
use crate::clock::Clock;
use crate::config::Config;
use crate::domain::job::Terms;
use crate::id::IdSource;
use crate::net::relay_out::RelayOut;
use crate::seal::Asker;
use crate::seal::sealer::Sealer;
use crate::service::approval::Approval;
use crate::service::bell::Bells;
use crate::service::declaring::Declaring;
use crate::service::delivery::Delivery;
use crate::service::dispatch::Dispatch;
use crate::service::enquiry::{Enquiries, Turns};
use crate::service::herald::Herald;
use crate::service::identity::Identity;
use crate::service::indexing::Indexing;
use crate::service::intake::{Intake, Scrutiny};
use crate::service::item_numbers::ItemNumbers;
use crate::service::mailbox::Mailboxes;
use crate::service::notary::Notary;
use crate::service::organisation::Organisations;
use crate::service::relay::Relay;
use crate::service::searched::{self, Texts};
use crate::service::submission::{Signatures, Submission};
use crate::store::db::{self, Db};
use crate::store::fulltext::Fulltext;
use crate::store::spool::Spool;
use anyhow::Context as _;
use std::sync::Arc;

/// What several services are made of. It lives only while they are built.
pub(super) struct Parts {
    pub(super) db: Arc<dyn Db>,
    pub(super) spool: Arc<Spool>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) ids: Arc<dyn IdSource>,
    pub(super) organisations: Arc<Organisations>,
    pub(super) identity: Arc<Identity>,
    pub(super) items: Arc<ItemNumbers>,
    pub(super) bells: Bells,
    pub(super) terms: Arc<Terms>,
    pub(super) texts: Arc<Texts>,
}

impl Parts {
    pub(super) fn open(config: &Config, around: &Surroundings) -> anyhow::Result<Self> {
        let dir = &config.store.dir;
        let db = db::open(config.store.engine, &dir.join("store"), around.probe.clone())?;
        let spool = Spool::open(&dir.join("spool"), around.probe.clone())
            .with_context(|| format!("the spool in {} cannot be opened", dir.display()))?;
        let bells = Bells::default();
        let clock = around.clock.clone();
        let terms = config.terms()?;
        let index = || Fulltext::open(&dir.join("fulltext"), db.clone(), searched::DEFINITION);
        let index = config.search.index.then(index).transpose();
        let index =
            index.with_context(|| format!("the full-text index in {} cannot be opened", dir.display()))?;
        if let Some(warning) = terms.calendar.warning(clock.now()) {
            tracing::warn!("{warning}");
        }
        Ok(Self {
            texts: Arc::new(Texts::new(spool.clone(), index, bells.indexing.clone())),
            organisations: Arc::new(Organisations::new(db.clone(), clock.clone(), bells.clone())),
            identity: Arc::new(config.identity(None)?),
            items: Arc::new(ItemNumbers::new(db.clone())),
            ids: around.ids.clone(),
            clock,
            db,
            spool,
            bells,
            terms: Arc::new(terms),
        })
    }

    pub(super) fn submission(&self, signatures: Arc<Signatures>) -> Submission {
        Submission {
            db: self.db.clone(),
            spool: self.spool.clone(),
            clock: self.clock.clone(),
            ids: self.ids.clone(),
            organisations: self.organisations.clone(),
            identity: self.identity.clone(),
            items: self.items.clone(),
            bells: self.bells.clone(),
            terms: self.terms.clone(),
            signatures,
        }
    }

    pub(super) fn approval(&self) -> Approval {
        Approval {
            db: self.db.clone(),
            clock: self.clock.clone(),
            ids: self.ids.clone(),
            organisations: self.organisations.clone(),
            identity: self.identity.clone(),
            items: self.items.clone(),
            bells: self.bells.clone(),
            terms: self.terms.clone(),
        }
    }

    pub(super) fn herald(&self) -> Herald {
        Herald {
            db: self.db.clone(),
            spool: self.spool.clone(),
            clock: self.clock.clone(),
            ids: self.ids.clone(),
            organisations: self.organisations.clone(),
            identity: self.identity.clone(),
            items: self.items.clone(),
            bells: self.bells.clone(),
            terms: self.terms.clone(),
        }
    }

    pub(super) fn enquiries(&self, seals: &Seals, asker: Option<Arc<Asker>>) -> Enquiries {
        Enquiries {
            db: self.db.clone(),
            spool: self.spool.clone(),
            clock: self.clock.clone(),
            ids: self.ids.clone(),
            organisations: self.organisations.clone(),
            identity: self.identity.clone(),
            items: self.items.clone(),
            bells: self.bells.clone(),
            published: seals.published.clone(),
            turns: Turns::default(),
            asker,
        }
    }

    pub(super) fn notary(&self, sealer: &Arc<Sealer>) -> Notary {
        Notary {
            db: self.db.clone(),
            spool: self.spool.clone(),
            clock: self.clock.clone(),
            ids: self.ids.clone(),
            sealer: sealer.clone(),
            identity: self.identity.clone(),
            items: self.items.clone(),
            bells: self.bells.clone(),
            receipts: Default::default(),
        }
    }

    pub(super) fn dispatch(&self, sealer: &Arc<Sealer>) -> Dispatch {
        Dispatch {
            db: self.db.clone(),
            spool: self.spool.clone(),
            clock: self.clock.clone(),
            ids: self.ids.clone(),
            sealer: sealer.clone(),
            organisations: self.organisations.clone(),
            identity: self.identity.clone(),
            bells: self.bells.clone(),
        }
    }

    pub(super) fn relay(&self, carrier: Arc<RelayOut>) -> Relay {
        Relay {
            db: self.db.clone(),
            clock: self.clock.clone(),
            ids: self.ids.clone(),
            organisations: self.organisations.clone(),
            identity: self.identity.clone(),
            carrier,
            bells: self.bells.clone(),
            busy: Default::default(),
        }
    }

    pub(super) fn intake(&self, scrutiny: Option<Arc<Scrutiny>>) -> Intake {
        Intake {
            db: self.db.clone(),
            spool: self.spool.clone(),
            clock: self.clock.clone(),
            ids: self.ids.clone(),
            organisations: self.organisations.clone(),
            identity: self.identity.clone(),
            items: self.items.clone(),
            bells: self.bells.clone(),
            scrutiny,
        }
    }

    pub(super) fn delivery(&self) -> Delivery {
        Delivery {
            db: self.db.clone(),
            spool: self.spool.clone(),
            clock: self.clock.clone(),
            ids: self.ids.clone(),
            organisations: self.organisations.clone(),
            identity: self.identity.clone(),
            items: self.items.clone(),
            bells: self.bells.clone(),
            terms: self.terms.clone(),
        }
    }

    pub(super) fn indexing(&self) -> Indexing {
        let (db, spool) = (self.db.clone(), self.spool.clone());
        Indexing::new(db, spool, self.clock.clone(), self.texts.clone())
    }

    pub(super) fn declaring(&self) -> Declaring {
        Declaring {
            db: self.db.clone(),
            clock: self.clock.clone(),
            ids: self.ids.clone(),
            organisations: self.organisations.clone(),
            identity: self.identity.clone(),
            bells: self.bells.clone(),
        }
    }

    pub(super) fn mailboxes(
        &self,
        approval: &Arc<Approval>,
        declaring: &Arc<Declaring>,
        submission: &Arc<Submission>,
    ) -> Mailboxes {
        Mailboxes {
            db: self.db.clone(),
            spool: self.spool.clone(),
            clock: self.clock.clone(),
            ids: self.ids.clone(),
            organisations: self.organisations.clone(),
            identity: self.identity.clone(),
            items: self.items.clone(),
            bells: self.bells.clone(),
            approval: approval.clone(),
            declaring: declaring.clone(),
            submission: submission.clone(),
            seats: Default::default(),
            changes: Default::default(),
            rosters: Default::default(),
            counts: Default::default(),
            texts: self.texts.clone(),
            listening: Default::default(),
            unread: Default::default(),
        }
    }
}
