//! What seals, built from the configuration: keys and certificates, which can be read anew while we run, and the
//! time-stamp authorities, which stay as they were at start.
//!
//! A pair that cannot be used (not readable, not belonging together, not valid now) changes nothing: what was in use
//! stays in use, and the log says why.

use super::Surroundings;
use crate::check::manner;
use crate::clock::UtcTime;
use crate::cms::Certificate;
use crate::config::{AuthorityKind, Config, NextPair, Signing, TimestampAuthority};
use crate::domain::algorithm_policy::AlgorithmPolicy;
use crate::domain::provider::Fingerprint;
use crate::net::listener::{Limits, Listener};
use crate::net::tsa::{self, BasicCredentials, HttpTimestamps};
use crate::seal::kamusm::Subscriber;
use crate::seal::key::{SealKey, read_password};
use crate::seal::tsa::{Authorities, Authority, DevAuthority, SystemNonces, Terms, TimestampClient};
use crate::seal::{Ring, Sealer, Signatory, TrustStore};
use crate::service::identity::{Credentials, Published};
use anyhow::{Context as _, bail};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// The seals of one provider.
pub(super) struct Seals {
    pub evidence: Arc<Sealer>,
    /// The same as `evidence` when dispatches have no key of their own.
    pub dispatch: Arc<Sealer>,
    pub authorities: Arc<Authorities>,
    pub published: Arc<Published>,
}

/// Keys that were read and found good.
struct Rings {
    evidence: Ring,
    dispatch: Option<Ring>,
    trust_pem: String,
    past_pem: String,
}

impl Seals {
    pub async fn open(
        config: &Config,
        around: &Surroundings,
        tasks: &mut JoinSet<()>,
        closing: &watch::Receiver<bool>,
    ) -> anyhow::Result<Self> {
        // At start a certificate that has ended seals all the same: mail goes on, and `kepd check` says it. So it is with a
        // key whose algorithm has ended; the log says it loudly.
        let rings = Rings::read(config, None).await?;
        rings.tell(around.clock.now());
        let authorities = Arc::new(authorities(config, around, tasks, closing).await?);
        let evidence = Sealer::of(rings.evidence, authorities.clone());
        let evidence = Arc::new(match config.timestamp.batch.0 {
            Duration::ZERO => evidence,
            window => evidence.sharing(window),
        });
        let dispatch = match rings.dispatch {
            Some(ring) => Arc::new(Sealer::of(ring, authorities.clone())),
            None => evidence.clone(),
        };
        let seals = Self {
            evidence,
            dispatch,
            authorities,
            published: Arc::default(),
        };
        seals.publish([rings.trust_pem, rings.past_pem], Vec::new());
        Ok(seals)
    }

    /// Reads keys and certificates again. What is being sealed is finished with the old ones.
    pub async fn reload(&self, config: &Config, now: UtcTime, tls: [u8; 32]) -> anyhow::Result<()> {
        let rings = Rings::read(config, Some(now)).await?;
        let apart = !Arc::ptr_eq(&self.evidence, &self.dispatch);
        if apart != rings.dispatch.is_some() {
            bail!("seal.dispatch came or went; that needs a restart");
        }
        self.evidence.replace(rings.evidence);
        if let Some(ring) = rings.dispatch {
            self.dispatch.replace(ring);
        }
        self.publish([rings.trust_pem, rings.past_pem], vec![Fingerprint(tls)]);
        Ok(())
    }

    /// Puts the certificates that are in use, and those that come, into what peers are given.
    pub fn publish(&self, [trust_pem, past_pem]: [String; 2], tls_sha256: Vec<Fingerprint>) {
        let mut seal_sha256 = Vec::new();
        for certificate in self
            .evidence
            .published()
            .into_iter()
            .chain(self.dispatch.published())
        {
            let pin = Fingerprint(certificate.fingerprint());
            if !seal_sha256.contains(&pin) {
                seal_sha256.push(pin);
            }
        }
        self.published.replace(Credentials {
            tls_sha256,
            seal_sha256,
            trust_pem,
            past_pem,
        });
    }

    /// The certificate of the TLS doors, as it is shown now.
    pub fn publish_tls(&self, fingerprint: [u8; 32]) {
        let now = self.published.now();
        let pems = [now.trust_pem.clone(), now.past_pem.clone()];
        self.publish(pems, vec![Fingerprint(fingerprint)]);
    }

    /// By SHA-256 what seals now, and what will: told to the audit record.
    pub fn fingerprints(&self) -> Vec<String> {
        let pins = &self.published.now().seal_sha256;
        pins.iter().map(ToString::to_string).collect()
    }
}

impl Rings {
    /// Tells the log which keys are to be replaced because of their algorithms.
    fn tell(&self, now: UtcTime) {
        let all = self
            .evidence
            .all()
            .chain(self.dispatch.iter().flat_map(Ring::all));
        for signatory in all {
            let certificate = signatory.certificate();
            match fitness(signatory, now) {
                Ok(None) => (),
                Ok(Some(soon)) => tracing::warn!(seal = certificate.subject(), "{soon}"),
                Err(why) => {
                    tracing::error!(seal = certificate.subject(), "it must not seal any more: {why:#}")
                }
            }
        }
    }

    /// Reads everything before anything is exchanged. A token may take its time, so this is done aside.
    async fn read(config: &Config, valid_at: Option<UtcTime>) -> anyhow::Result<Self> {
        let seal = config.seal.clone();
        let (trust_pem, past_pem) = (trust_pem(config)?, past_pem(config)?);
        let reading = tokio::task::spawn_blocking(move || {
            let pair = (&*seal.certificate, &*seal.key, seal.signing);
            let evidence = ring("seal", pair, seal.next.as_ref(), valid_at)?;
            let dispatch = seal.dispatch.as_ref().map(|d| {
                let pair = (&*d.certificate, &*d.key, d.signing);
                ring("seal.dispatch", pair, d.next.as_ref(), valid_at)
            });
            anyhow::Ok((evidence, dispatch.transpose()?))
        });
        let (evidence, dispatch) = reading.await??;
        Ok(Self {
            evidence,
            dispatch,
            trust_pem,
            past_pem,
        })
    }
}

fn ring(
    what: &str,
    pair: (&Path, &Path, Signing),
    next: Option<&NextPair>,
    valid_at: Option<UtcTime>,
) -> anyhow::Result<Ring> {
    let certificate = pair.0;
    let present = signatory(what, pair)?;
    // Its successor may sign already; then its own end does not matter.
    let is_replaced = |at: UtcTime| next.is_some_and(|n| n.from.0 <= at);
    if let Some(at) = valid_at
        && !is_replaced(at)
        && !present.certificate().is_valid_at(at)
    {
        bail!("the certificate {} is not valid now", certificate.display());
    }
    if let Some(at) = valid_at.filter(|at| !is_replaced(*at)) {
        fitness(&present, at)
            .with_context(|| format!("the key of {} must not seal", certificate.display()))?;
    }
    match next {
        None => Ok(Ring::one(present)),
        Some(next) => {
            let what = format!("{what}.next");
            let coming = signatory(&what, (&next.certificate, &next.key, next.signing))?;
            let ring = Ring::one(present).with_next(next.from.0, coming);
            ring.with_context(|| format!("{what} cannot be used"))
        }
    }
}

/// Whether a seal's key rests on what may be relied on (TS 119 312 9.3); a sentence when that ends within a year.
fn fitness(signatory: &Signatory, at: UtcTime) -> anyhow::Result<Option<String>> {
    let algorithm = signatory.key().algorithm();
    let (family, digest) = (algorithm.family(), algorithm.digest_algorithm().name());
    let bits = signatory.certificate().key_bits();
    Ok(AlgorithmPolicy::of_this_version()?.warning(family, bits, digest, at)?)
}

fn signatory(what: &str, (certificate, key, signing): (&Path, &Path, Signing)) -> anyhow::Result<Signatory> {
    let key = SealKey::load(key).and_then(|key| key.signing(manner(signing)));
    let key = key.with_context(|| format!("{what}.key cannot be used"))?;
    let chain = Certificate::from_pem_text(&read(certificate)?)
        .with_context(|| format!("{} holds no certificate", certificate.display()))?;
    Signatory::new(key, chain)
        .with_context(|| format!("{what}.key and {} do not match", certificate.display()))
}

/// Those of the configuration in their order; the embedded one, over HTTP as well, when there are none.
async fn authorities(
    config: &Config,
    around: &Surroundings,
    tasks: &mut JoinSet<()>,
    closing: &watch::Receiver<bool>,
) -> anyhow::Result<Authorities> {
    let settings = &config.timestamp;
    let mut named = settings.authorities();
    if named.is_empty() {
        named.push(TimestampAuthority {
            url: embedded_authority(config, around, tasks, closing).await?,
            kind: AuthorityKind::Plain,
            user: None,
            password: None,
            policies: None,
            trust: None,
        });
    }
    let all: anyhow::Result<Vec<Authority>> = named.iter().map(|a| authority(config, a)).collect();
    let terms = Terms {
        drift_max: settings.drift_max.0,
        per_second: settings.per_second,
    };
    Ok(Authorities::new(around.clock.clone(), all?, terms))
}

fn authority(config: &Config, named: &TimestampAuthority) -> anyhow::Result<Authority> {
    let path = named.trust.as_ref().unwrap_or(&config.timestamp.trust);
    let mut trust = TrustStore::new();
    trust
        .add_pem_text(&read(path)?)
        .with_context(|| format!("{} holds no trust anchor", path.display()))?;
    let policies = named.policies.as_ref().unwrap_or(&config.timestamp.policies);
    let client = TimestampClient::new(
        Arc::new(transport(named)?),
        Arc::new(SystemNonces),
        Arc::new(trust),
    );
    Ok(Authority {
        name: named.url.clone(),
        client: client.with_policies(policies.clone()),
    })
}

fn transport(named: &TimestampAuthority) -> anyhow::Result<HttpTimestamps> {
    let (Some(user), Some(password)) = (&named.user, &named.password) else {
        return Ok(HttpTimestamps::new(&named.url, None)?);
    };
    let password = read_password(password)
        .with_context(|| format!("the password for {}: {}", named.url, password.display()))?;
    match named.kind {
        AuthorityKind::Plain => Ok(HttpTimestamps::new(&named.url, None)?),
        AuthorityKind::Basic => {
            let user = user.clone();
            Ok(HttpTimestamps::new(
                &named.url,
                Some(&BasicCredentials { user, password }),
            )?)
        }
        AuthorityKind::Kamusm => {
            let user_id = user
                .parse()
                .context("timestamp: the user of kind = \"kamusm\" is a number")?;
            let subscriber = Subscriber { user_id, password };
            Ok(HttpTimestamps::new(&named.url, None)?.introduced_by(Arc::new(subscriber)))
        }
    }
}

/// Starts the development authority on loopback; gives its URL.
async fn embedded_authority(
    config: &Config,
    around: &Surroundings,
    tasks: &mut JoinSet<()>,
    closing: &watch::Receiver<bool>,
) -> anyhow::Result<String> {
    let key = SealKey::load(&config.timestamp.embedded_key).context("the embedded authority's key")?;
    let chain = Certificate::from_pem_text(&read(&config.timestamp.embedded_certificate)?)?;
    let certificate = chain
        .into_iter()
        .next()
        .context("the embedded authority has no certificate")?;
    let authority = Arc::new(DevAuthority::new(key, certificate)?);
    let listener = Listener::bind("time-stamps", ([127, 0, 0, 1], 0).into(), Limits::default()).await?;
    let url = format!("http://{}/", listener.address());
    tasks.spawn(tsa::serve(
        listener,
        authority,
        around.clock.clone(),
        closing.clone(),
    ));
    Ok(url)
}

/// PEM of all anchors and intermediates by which our seals and our time-stamps are checked.
fn trust_pem(config: &Config) -> anyhow::Result<String> {
    let mut pem = read(&config.seal.trust)?;
    for file in config.timestamp.trust_files() {
        if *file != config.seal.trust {
            pem.push_str(&read(file)?);
        }
    }
    Ok(pem)
}

/// PEM of those that are in use no more; each certificate of the file or folder once.
fn past_pem(config: &Config) -> anyhow::Result<String> {
    let Some(path) = &config.seal.trust_past else {
        return Ok(String::new());
    };
    let mut past = TrustStore::new();
    past.add_path(path)
        .with_context(|| format!("seal.trust_past: {} cannot be used", path.display()))?;
    let all = past.anchors().iter().chain(past.intermediates());
    Ok(all.map(Certificate::pem).collect())
}

fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))
}
