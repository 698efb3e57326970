//! The services of one provider, built from the configuration.

use super::Surroundings;
use super::own_seals;
use super::parts::Parts;
use super::seals::Seals;
use crate::clock::Clock;
use crate::config::Config;
use crate::control::{ControlDoor, Ports};
use crate::domain::audit::Author;
use crate::domain::provider::Peer;
use crate::net::relay_out::RelayOut;
use crate::seal::Asker;
use crate::seal::holder::PathJudge;
use crate::seal::revocation::Collector;
use crate::service::account::Accounts;
use crate::service::answering::Answering;
use crate::service::approval::Approval;
use crate::service::archive::Archive;
use crate::service::auditing::{AuditBook, Auditing};
use crate::service::bell::Bells;
use crate::service::credit::Credits;
use crate::service::declaring::Declaring;
use crate::service::delivery::Delivery;
use crate::service::dispatch::Dispatch;
use crate::service::enquiry::Enquiries;
use crate::service::gauges::{Counting, Gauges};
use crate::service::herald::Herald;
use crate::service::identity::Identity;
use crate::service::indexing::Indexing;
use crate::service::intake::Intake;
use crate::service::lasting::Lasting;
use crate::service::mailbox::Mailboxes;
use crate::service::notary::Notary;
use crate::service::organisation::Organisations;
use crate::service::peers::Peers;
use crate::service::preservation::Preservation;
use crate::service::queueing::Queueing;
use crate::service::records::Records;
use crate::service::rehearsal::Rehearsal;
use crate::service::relay::Relay;
use crate::service::submission::Submission;
use crate::store::db::Db;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What the roof holds of a provider. Each station and door received only its own part of it.
pub struct Services {
    pub db: Arc<dyn Db>,
    pub clock: Arc<dyn Clock>,
    pub bells: Bells,
    pub identity: Arc<Identity>,
    pub organisations: Arc<Organisations>,
    pub accounts: Arc<Accounts>,
    pub submission: Arc<Submission>,
    pub approval: Arc<Approval>,
    pub declaring: Arc<Declaring>,
    pub herald: Arc<Herald>,
    pub answering: Arc<Answering>,
    pub enquiries: Arc<Enquiries>,
    pub auditing: Arc<Auditing>,
    pub book: Arc<AuditBook>,
    pub preservation: Arc<Preservation>,
    pub lasting: Arc<Lasting>,
    pub notary: Arc<Notary>,
    pub dispatch: Arc<Dispatch>,
    pub relay: Arc<Relay>,
    pub relay_out: Arc<RelayOut>,
    /// Who collects revocation values; None when revocation is not asked about.
    pub revocation: Option<Arc<Collector>>,
    /// Who asks by them while somebody waits.
    pub asker: Option<Arc<Asker>>,
    /// What is known of the own certificates.
    pub(super) own_figures: Arc<own_seals::Figures>,
    pub intake: Arc<Intake>,
    pub delivery: Arc<Delivery>,
    pub mailboxes: Arc<Mailboxes>,
    pub archive: Arc<Archive>,
    pub records: Arc<Records>,
    pub rehearsal: Arc<Rehearsal>,
    pub indexing: Arc<Indexing>,
    pub gauges: Arc<Gauges>,
    /// Chance by which unknown logins are answered alike each time.
    pub decoy_secret: [u8; 32],
    /// Judges users' certificates; `None` where nobody is asked for one.
    pub login_judge: Option<Arc<PathJudge>>,
    pub(super) seals: Seals,
}

impl Services {
    pub async fn open(
        config: &Config,
        around: &Surroundings,
        tasks: &mut JoinSet<()>,
        closing: &watch::Receiver<bool>,
    ) -> anyhow::Result<Self> {
        let parts = Parts::open(config, around)?;
        let accounts = Accounts::new(parts.db.clone(), parts.organisations.clone())?;
        let accounts = accounts.with_limits(
            Arc::new(config.limits.trusted.clone()),
            config.limits.imap_connections_per_user as usize,
        );
        let revocation = super::revocation::collector(&config.revocation, around.clock.clone());
        let asker = revocation
            .as_ref()
            .map(|collector| Arc::new(Asker::new(collector.clone(), around.clock.clone())));
        let scrutiny = asker
            .as_ref()
            .map(|asker| super::revocation::scrutiny(&config.revocation, asker, around.clock.clone()));
        let own_figures = Arc::<own_seals::Figures>::default();
        let login_judge = super::logins::judge(config, asker.as_ref())?;
        let decoy_secret = accounts.decoy_secret().await?;
        let accounts = accounts.with_secret(&decoy_secret);
        let accounts = Arc::new(match &login_judge {
            Some(judge) => accounts.with_judge(judge.clone()),
            None => accounts,
        });
        let seals = Seals::open(config, around, tasks, closing).await?;
        if asker.is_some() {
            own_seals::recall(&*parts.db, &[&seals.evidence, &seals.dispatch])?;
        }
        let signatures = super::persons::signatures(config, revocation.as_ref())?;
        let submission = Arc::new(parts.submission(signatures));
        let approval = Arc::new(parts.approval());
        let declaring = Arc::new(parts.declaring());
        let host = parts.identity.domain.to_string();
        let relay_out = Arc::new(RelayOut::new(parts.spool.clone(), host));
        let indexing = Arc::new(parts.indexing());
        let lasting = super::lasting::station(config, around, &parts, &seals.published, revocation.clone());
        let book = Arc::new(AuditBook {
            db: parts.db.clone(),
            spool: parts.spool.clone(),
            clock: parts.clock.clone(),
            published: seals.published.clone(),
            last_text: Default::default(),
        });
        let audit_figures = super::diary::figures(&book);
        let notary = Arc::new(parts.notary(&seals.evidence));
        Ok(Self {
            herald: Arc::new(parts.herald()),
            answering: Arc::new(Answering {
                db: parts.db.clone(),
                clock: parts.clock.clone(),
                approval: approval.clone(),
            }),
            preservation: Arc::new(Preservation {
                db: parts.db.clone(),
                spool: parts.spool.clone(),
                clock: parts.clock.clone(),
                stamps: seals.authorities.clone(),
                policy: Arc::new(config.algorithms()?),
            }),
            auditing: Arc::new(Auditing {
                book: book.clone(),
                sealer: seals.evidence.clone(),
                identity: parts.identity.clone(),
            }),
            book,
            enquiries: Arc::new(parts.enquiries(&seals, asker.clone())),
            notary: notary.clone(),
            dispatch: Arc::new(parts.dispatch(&seals.dispatch)),
            relay: Arc::new(parts.relay(relay_out.clone())),
            intake: Arc::new(parts.intake(scrutiny.clone())),
            delivery: Arc::new(parts.delivery()),
            mailboxes: Arc::new(parts.mailboxes(&approval, &declaring, &submission)),
            archive: Arc::new(Archive {
                db: parts.db.clone(),
                spool: parts.spool.clone(),
                clock: parts.clock.clone(),
                identity: parts.identity.clone(),
                published: seals.published.clone(),
            }),
            rehearsal: Arc::new(Rehearsal {
                db: parts.db.clone(),
                spool: parts.spool.clone(),
                organisations: parts.organisations.clone(),
            }),
            records: Arc::new(Records {
                db: parts.db.clone(),
                spool: parts.spool,
            }),
            gauges: Arc::new(Gauges {
                db: parts.db.clone(),
                accounts: accounts.clone(),
                unindexed: Some(unindexed(&indexing)),
                stamps: Some(seals.authorities.clone()),
                readings: [
                    super::lasting::figures(&lasting),
                    audit_figures,
                    super::low_credit::figures(&parts.db),
                    super::receipts::figures(&notary.receipts),
                ]
                .into_iter()
                .chain(scrutiny.iter().map(super::revocation::figures))
                .chain(asker.iter().map(|_| own_figures.reading()))
                .collect(),
            }),
            lasting,
            indexing,
            seals,
            db: parts.db,
            clock: parts.clock,
            bells: parts.bells,
            identity: parts.identity,
            organisations: parts.organisations,
            accounts,
            submission,
            approval,
            declaring,
            relay_out,
            revocation,
            asker,
            own_figures,
            decoy_secret,
            login_judge,
        })
    }

    /// Who looks after the own certificates.
    pub(super) fn own_seals(&self) -> Option<own_seals::OwnSeals> {
        let seals = &self.seals;
        let mut sealers = vec![seals.evidence.clone()];
        if !Arc::ptr_eq(&seals.evidence, &seals.dispatch) {
            sealers.push(seals.dispatch.clone());
        }
        Some(own_seals::OwnSeals {
            asker: self.asker.clone()?,
            clock: self.clock.clone(),
            sealers,
            published: seals.published.clone(),
            figures: self.own_figures.clone(),
            db: self.db.clone(),
        })
    }

    /// The administrator's door, with this provider's profile as its peers have to know it.
    pub fn control_door(&self, config: &Config, ports: &Ports) -> ControlDoor {
        let profile = Peer {
            domain: self.identity.domain.clone(),
            host: config.relay_host(),
            port: ports.relay,
            tls_sha256: Vec::new(),
            seal_sha256: Vec::new(),
            trust_pem: String::new(),
            service: self.identity.service.clone(),
            size_max_bytes: self.identity.size_max_bytes,
        };
        ControlDoor {
            published: self.seals.published.clone(),
            book: self.book.clone(),
            acting: None,
            organisations: self.organisations.clone(),
            accounts: self.accounts.clone(),
            approval: self.approval.clone(),
            declaring: self.declaring.clone(),
            records: self.records.clone(),
            credits: Arc::new(Credits::new(
                self.db.clone(),
                self.clock.clone(),
                self.identity.tariff,
            )),
            rehearsal: self.rehearsal.clone(),
            peers: Arc::new(Peers::new(self.db.clone(), self.identity.domain.clone())),
            queue: Arc::new(Queueing {
                db: self.db.clone(),
                clock: self.clock.clone(),
                relay: self.bells.relay.clone(),
            }),
            archive: self.archive.clone(),
            mailboxes: self.mailboxes.clone(),
            profile,
            language: config.provider.language,
            ports: ports.clone(),
            clients: super::clients::settings(config, ports),
            by: Author::clock(),
        }
    }
}

/// What the gauges ask about the index.
fn unindexed(indexing: &Arc<Indexing>) -> Counting {
    let indexing = indexing.clone();
    Arc::new(move || indexing.waiting())
}
