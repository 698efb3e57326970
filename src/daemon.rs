//! Builds the house from the configuration, starts it, and drains it. All wiring is here and in the two rooms below:
//! nobody else holds more than it needs.
//!
//! Order at start: store, services, the embedded time-stamp authority, doors (bound before anything is served, so that
//! `ports.json` is true), stations. Order at the end: doors stop accepting, what is under way finishes, stations stop
//! at their next look. What is left undone is in the store.

mod clients;
mod diary;
mod lasting;
mod logins;
mod low_credit;
mod own_seals;
mod parts;
mod persons;
mod receipts;
mod revocation;
mod seals;
mod services;
mod stations;

use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::control::{ControlDoor, ControlServer, Ports};
use crate::id::{IdSource, SystemIds};
use crate::net::autoconfig::AutoconfigDoor;
use crate::net::imap::{DoorSettings, ImapDoor};
use crate::net::listener::{Limits, Listener};
use crate::net::metrics;
use crate::net::relay_in::RelayDoor;
use crate::net::submission::SubmissionDoor;
use crate::net::tls::ServerTls;
use crate::net::wire::Entry;
use crate::store::probe::{NoProbe, Probe};
use anyhow::Context as _;
pub use services::Services;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How long stations and doors may take to come to rest.
const DRAIN: Duration = Duration::from_secs(40);

/// A provider that is running.
pub struct House {
    ports: Ports,
    services: Services,
    tls: Arc<ServerTls>,
    closing: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

/// What is handed in, so that tests can turn the clock and end the process where they like.
pub struct Surroundings {
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn IdSource>,
    pub probe: Arc<dyn Probe>,
}

impl Default for Surroundings {
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            ids: Arc::new(SystemIds),
            probe: Arc::new(NoProbe),
        }
    }
}

/// Doors that have their addresses and do not accept yet.
struct Bound {
    submission_tls: Listener,
    submission: Listener,
    relay: Listener,
    imap_tls: Listener,
    imap: Listener,
    metrics: Listener,
    autoconfig: Option<Listener>,
    autoconfig_tls: Option<Listener>,
    control: ControlServer,
}

impl House {
    /// Opens the store, binds the doors and starts everything. Fails when the data is in use, a key cannot be read, or
    /// an address is taken; then nothing runs.
    pub async fn open(config: Config, around: Surroundings) -> anyhow::Result<Self> {
        let (closing, closed) = watch::channel(false);
        let mut tasks = JoinSet::new();
        let tls = ServerTls::load(&config.tls.certificate, &config.tls.key)
            .context("the TLS certificate and key cannot be used")?;
        let services = Services::open(&config, &around, &mut tasks, &closed).await?;
        let bound = Bound::all(&config).await?;
        let ports = bound.ports();
        services.seals.publish_tls(tls.fingerprint());
        let control = Arc::new(services.control_door(&config, &ports));
        write_ports(&config.store.dir, &ports)?;
        diary::started(&services, &config).await?;
        stations::start(&services, &mut tasks, &closed);
        let user_tls = logins::tls(&tls, services.login_judge.as_deref())?;
        bound.start(
            &services,
            &config,
            control,
            [&tls, &user_tls],
            &mut tasks,
            &closed,
        );
        Ok(Self {
            ports,
            services,
            tls,
            closing,
            tasks,
        })
    }

    pub fn ports(&self) -> &Ports {
        &self.ports
    }

    pub fn services(&self) -> &Services {
        &self.services
    }

    /// Reads keys and certificates again (SIGHUP): those of the doors, and those that seal. Each that cannot be used
    /// changes nothing. Nothing else of the configuration is looked at.
    pub async fn reload(&self, config: &Config) {
        self.exchange(config).await;
        diary::read_again(&self.services, config).await;
    }

    async fn exchange(&self, config: &Config) {
        match self.tls.reload(&config.tls.certificate, &config.tls.key) {
            Ok(()) => {
                self.services.seals.publish_tls(self.tls.fingerprint());
                tracing::info!("the doors' certificate is read again");
            }
            Err(error) => {
                tracing::error!(%error, "the doors' certificate is not exchanged; the one in use stays")
            }
        }
        let (seals, now) = (&self.services.seals, self.services.clock.now());
        match seals.reload(config, now, self.tls.fingerprint()).await {
            Ok(()) => tracing::info!("the keys that seal are read again"),
            Err(error) => {
                let why = format!("{error:#}");
                tracing::error!(why, "the keys that seal are not exchanged; those in use stay");
            }
        }
    }

    /// Stops accepting, lets what is under way finish, and stops.
    pub async fn close(mut self) {
        // Nobody listening means that all tasks have ended already.
        let _ = self.closing.send(true);
        let drained =
            tokio::time::timeout(DRAIN, async { while self.tasks.join_next().await.is_some() {} }).await;
        if drained.is_err() {
            tracing::warn!(
                "some tasks did not end in time and are cut off; the store has what they left undone"
            );
        }
        diary::stopped(&self.services).await;
    }
}

impl Bound {
    async fn all(config: &Config) -> anyhow::Result<Self> {
        let listen = &config.listen;
        let trusted = Arc::new(config.limits.trusted.clone());
        let limits = |most: u32| Limits {
            connections_max: most as usize,
            trusted: trusted.clone(),
            ..Limits::default()
        };
        let [submission, relay, imap] = [
            limits(config.limits.submission_connections),
            limits(config.limits.relay_connections),
            limits(config.limits.imap_connections),
        ];
        let bind = |name: &'static str, at: SocketAddr, limits: Limits| async move {
            let taken = || format!("listen.{name}: the address {at} cannot be used");
            Listener::bind(name, at, limits).await.with_context(taken)
        };
        Ok(Self {
            submission_tls: bind("submission_tls", listen.submission_tls, submission.clone()).await?,
            submission: bind("submission", listen.submission, submission).await?,
            relay: bind("relay", listen.relay, relay).await?,
            imap_tls: bind("imap_tls", listen.imap_tls, imap.clone()).await?,
            imap: bind("imap", listen.imap, imap).await?,
            metrics: bind("metrics", listen.metrics, limits(16)).await?,
            autoconfig: clients::bind("http", config.autoconfig.http).await?,
            autoconfig_tls: clients::bind("https", config.autoconfig.https).await?,
            control: ControlServer::bind(&listen.control).await?,
        })
    }

    fn ports(&self) -> Ports {
        Ports {
            submission_tls: self.submission_tls.address().port(),
            submission: self.submission.address().port(),
            relay: self.relay.address().port(),
            imap_tls: self.imap_tls.address().port(),
            imap: self.imap.address().port(),
            metrics: self.metrics.address().port(),
            autoconfig: self.autoconfig.as_ref().map(|l| l.address().port()),
            autoconfig_tls: self.autoconfig_tls.as_ref().map(|l| l.address().port()),
            control: self.control.path().display().to_string(),
        }
    }

    fn start(
        self,
        services: &Services,
        config: &Config,
        control: Arc<ControlDoor>,
        [tls, user_tls]: [&Arc<ServerTls>; 2],
        tasks: &mut JoinSet<()>,
        closing: &watch::Receiver<bool>,
    ) {
        let host = config.provider.domain.to_string();
        let autoconfig = Arc::new(AutoconfigDoor::new(control.clients.clone(), tls.clone()));
        for (listener, entry) in [
            (self.autoconfig, Entry::StartTls),
            (self.autoconfig_tls, Entry::Tls),
        ] {
            if let Some(listener) = listener {
                tasks.spawn(autoconfig.clone().run(listener, entry, closing.clone()));
            }
        }
        let submission = Arc::new(SubmissionDoor::new(
            services.accounts.clone(),
            services.submission.clone(),
            services.answering.clone(),
            services.enquiries.clone(),
            user_tls.clone(),
            host.clone(),
            services.decoy_secret,
        ));
        tasks.spawn(
            submission
                .clone()
                .run(self.submission_tls, Entry::Tls, closing.clone()),
        );
        tasks.spawn(submission.run(self.submission, Entry::StartTls, closing.clone()));
        let relay = Arc::new(RelayDoor::new(services.intake.clone(), tls.clone(), host));
        tasks.spawn(relay.run(self.relay, closing.clone()));
        let imap = Arc::new(ImapDoor {
            mailboxes: services.mailboxes.clone(),
            accounts: services.accounts.clone(),
            decoy_secret: services.decoy_secret.to_vec(),
            greeting: format!("{} kepd", config.provider.domain),
            login_failure_delay: crate::net::submission::LOGIN_FAILURE_DELAY,
            recents: Default::default(),
            settings: DoorSettings {
                contact: config.imap.contact.clone(),
                compress: config.imap.compress,
            },
        });
        tasks.spawn(
            imap.clone()
                .run(self.imap_tls, Entry::Tls, user_tls.clone(), closing.clone()),
        );
        tasks.spawn(imap.run(self.imap, Entry::StartTls, user_tls.clone(), closing.clone()));
        tasks.spawn(metrics::serve(
            self.metrics,
            services.gauges.clone(),
            closing.clone(),
        ));
        tasks.spawn(self.control.serve(control, closing.clone()));
    }
}

/// Writes `ports.json` anew: a start may find other free ports than the last one.
fn write_ports(dir: &Path, ports: &Ports) -> anyhow::Result<()> {
    let path = dir.join("ports.json");
    let text = serde_json::to_string_pretty(ports)?;
    std::fs::write(&path, text + "\n").with_context(|| format!("{} cannot be written", path.display()))
}

/// Runs a provider until SIGTERM or SIGINT. `path` is where its configuration is read again (SIGHUP).
pub async fn serve(config: Config, path: &Path) -> anyhow::Result<()> {
    let house = House::open(config, Surroundings::default()).await?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    tracing::info!(ports = ?house.ports(), "ready");
    notify(&[sd_notify::NotifyState::Ready]);
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hangup.recv() => match Config::load(path) {
                Ok(config) => house.reload(&config).await,
                Err(error) => tracing::error!(%error, "nothing is read again"),
            },
        }
    }
    tracing::info!("closing");
    notify(&[sd_notify::NotifyState::Stopping]);
    house.close().await;
    tracing::info!("closed");
    Ok(())
}

/// Tells systemd; without one there is nobody to tell.
fn notify(states: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "systemd was not told");
    }
}
