//! `kepd check`: what the configuration says, whether its files hold together, and what it cannot promise.
//!
//! Reads files, and logs in to a token where a key lies in one; opens no socket and no store, so it may run beside a
//! working daemon.

mod keys;

pub use keys::manner;

use crate::clock::UtcTime;
use crate::cms::{Certificate, SignatureAlgorithm};
use crate::config::{Config, RevocationMode, Signing};
use crate::seal::key::read_password;
use crate::seal::{SealKey, TrustStore};
use crate::store::db::EngineKind;
use anyhow::{Context as _, bail};
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

/// A certificate that ends sooner than this is worth a word.
const ENDS_SOON: Duration = Duration::from_secs(30 * 86_400);

/// Says in words what was understood; the error is one sentence naming the file.
pub fn check(config: &Config, now: UtcTime) -> anyhow::Result<String> {
    let tls = key_and_certificate(&config.tls.certificate, &config.tls.key, Signing::default())?;
    let seal = &config.seal;
    let seal = key_and_certificate(&seal.certificate, &seal.key, seal.signing)?;
    let mut known = vec![("tls", tls), ("seal", seal)];
    known.extend(further_seals(config)?);
    for authority in &config.timestamp.authority {
        if let Some(password) = &authority.password {
            read_password(password)
                .with_context(|| format!("the password for {}: {}", authority.url, password.display()))?;
        }
    }
    if config.timestamp.embedded {
        let stamp = &config.timestamp;
        let (certificate, key) = (&stamp.embedded_certificate, &stamp.embedded_key);
        let pair = key_and_certificate(certificate, key, Signing::default())?;
        known.push(("timestamp", pair));
    }
    let seal_anchors = anchors(&config.seal.trust)?;
    if let Some(past) = &config.seal.trust_past {
        anchors(past)?;
    }
    let stamp_anchors = anchors(&config.timestamp.trust)?;
    for file in config.timestamp.trust_files() {
        anchors(file)?;
    }
    let person_anchors = config.persons.trust.as_deref().map(anchors).transpose()?;
    let login_anchors = config.login.trust.as_deref().map(anchors).transpose()?;

    let mut out = String::new();
    let settings = toml::to_string(config).context("the settings cannot be written down")?;
    out.push_str(&settings);
    out.push('\n');
    let mut line = |text: std::fmt::Arguments<'_>| {
        let _ = writeln!(out, "# {text}");
    };
    for (what, (certificate, algorithm)) in &known {
        let ends = certificate.not_after();
        line(format_args!(
            "{what}: {}, until {ends}, sha256 {}",
            certificate.subject(),
            certificate.fingerprint_hex()
        ));
        let is_to_come = *what == "seal.next" && now < certificate.not_before();
        if !is_to_come && !is_replaced(config, what, now) && !certificate.is_valid_at(now) {
            bail!(
                "the {what} certificate ({}) is not valid now",
                certificate.subject()
            );
        }
        if now.until(ends) < ENDS_SOON {
            line(format_args!("warning: the {what} certificate ends soon"));
        }
        if *what != "tls"
            && !is_replaced(config, what, now)
            && let Some(warning) = keys::look(config, what, (certificate, *algorithm), now)?
        {
            line(format_args!("warning: {warning}"));
        }
    }
    line(format_args!(
        "seal.trust has {seal_anchors} anchor(s), timestamp.trust has {stamp_anchors}"
    ));
    if let Some(anchors) = login_anchors {
        line(format_args!(
            "login.trust has {anchors} anchor(s); users may log in with certificates below them"
        ));
    }
    if config.revocation.mode == RevocationMode::Off {
        line(format_args!(
            "warning: nobody is asked whether certificates were revoked: of peers, of users, of one's own"
        ));
    }
    if let Some(anchors) = person_anchors {
        line(format_args!(
            "persons.trust has {anchors} anchor(s); accounts may demand signatures of profile {} or better",
            config.persons.profile.word()
        ));
    }
    if config.persons.test_certificates {
        line(format_args!(
            "warning: persons.test_certificates takes certificates that name nobody"
        ));
    }
    line(format_args!("credit: {}", config.credit.words()));
    if let Some(warning) = config.terms()?.calendar.warning(now) {
        line(format_args!("warning: {warning}"));
    }
    for algorithm in config.algorithms()?.lines() {
        line(format_args!("algorithm: {algorithm}"));
    }
    if config.store.engine == EngineKind::Sled {
        line(format_args!(
            "warning: the engine sled cannot promise whole batches: after a torn write half of one may remain"
        ));
    }
    if config.timestamp.authorities().is_empty() {
        line(format_args!(
            "warning: time-stamps come from the embedded development authority; they prove nothing to others"
        ));
    }
    Ok(out)
}

/// Whether a seal's successor seals already; then its own end stops nothing.
fn is_replaced(config: &Config, what: &str, now: UtcTime) -> bool {
    let next = match what {
        "seal" => config.seal.next.as_ref(),
        "seal.dispatch" => config.seal.dispatch.as_ref().and_then(|d| d.next.as_ref()),
        _ => None,
    };
    next.is_some_and(|n| n.from.0 <= now)
}

/// The next keys, and those of dispatches.
fn further_seals(config: &Config) -> anyhow::Result<Vec<(&'static str, Pair)>> {
    let mut known = Vec::new();
    let mut nexts = vec![&config.seal.next];
    if let Some(dispatch) = &config.seal.dispatch {
        let pair = key_and_certificate(&dispatch.certificate, &dispatch.key, dispatch.signing)?;
        known.push(("seal.dispatch", pair));
        nexts.push(&dispatch.next);
    }
    for next in nexts.into_iter().flatten() {
        let (certificate, algorithm) = key_and_certificate(&next.certificate, &next.key, next.signing)?;
        if !certificate.is_valid_at(next.from.0) {
            bail!(
                "the next certificate ({}) is not valid at {}, when it is to be used",
                certificate.subject(),
                next.from.0
            );
        }
        keys::look(config, "seal.next", (&certificate, algorithm), next.from.0)?;
        known.push(("seal.next", (certificate, algorithm)));
    }
    Ok(known)
}

/// A certificate, and how its key signs.
type Pair = (Certificate, SignatureAlgorithm);

fn key_and_certificate(certificate: &Path, key: &Path, signing: Signing) -> anyhow::Result<Pair> {
    let chain = certificates(certificate)?;
    let leaf = chain.into_iter().next();
    let leaf = leaf.with_context(|| format!("{} holds no certificate", certificate.display()))?;
    let loaded = SealKey::load(key).and_then(|key| key.signing(keys::manner(signing)));
    let loaded = loaded.with_context(|| format!("the key {} cannot be used", key.display()))?;
    loaded
        .check_belongs_to(&leaf)
        .with_context(|| format!("{} and {} do not match", key.display(), certificate.display()))?;
    Ok((leaf, loaded.algorithm()))
}

/// All certificates of a PEM file.
pub fn certificates(path: &Path) -> anyhow::Result<Vec<Certificate>> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("the certificate {} cannot be read", path.display()))?;
    Certificate::from_pem_text(&text).with_context(|| format!("{} is not PEM", path.display()))
}

fn anchors(path: &Path) -> anyhow::Result<usize> {
    let mut store = TrustStore::new();
    store.add_path(path)?;
    if store.anchors().is_empty() {
        bail!(
            "{} holds no trust anchor (a self-issued certificate)",
            path.display()
        );
    }
    Ok(store.anchors().len())
}
