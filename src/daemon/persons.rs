//! Who judges signatures of persons, built from `[persons]`.

use crate::cms::der;
use crate::config::Config;
use crate::seal::TrustStore;
use crate::seal::revocation::Collector;
use crate::service::submission::{Persons, Signatures};
use crate::validation::personal::Standards;
use anyhow::{Context as _, bail};
use std::sync::Arc;

/// Without authorities nobody's signature is looked at.
pub(super) fn signatures(
    config: &Config,
    collector: Option<&Arc<Collector>>,
) -> anyhow::Result<Arc<Signatures>> {
    let settings = &config.persons;
    let Some(path) = &settings.trust else {
        return Ok(Arc::default());
    };
    let unusable = || format!("persons.trust: {} cannot be used", path.display());
    let mut trust = TrustStore::new();
    trust.add_path(path).with_context(unusable)?;
    if trust.anchors().is_empty() {
        bail!("persons.trust: {} holds no trust anchor", path.display());
    }
    // Their authorities of time stand beside them, and so do ours; policies are those of persons' certificates only.
    let mut stamps = trust.clone();
    for file in config.timestamp.trust_files() {
        stamps
            .add_path(file)
            .with_context(|| format!("timestamp.trust: {} cannot be used", file.display()))?;
    }
    for oid in &settings.policies {
        let Some(octets) = der::oid_from_dotted(oid) else {
            bail!("persons.policies: {oid} is no object identifier");
        };
        trust.add_policy(octets);
    }
    let standards = Standards {
        trust,
        stamps,
        least: settings.profile,
        takes_test_certificates: settings.test_certificates,
        match_address: settings.match_address,
    };
    Ok(Arc::new(Signatures::new(Some(Persons {
        standards: Arc::new(standards),
        collector: collector.cloned(),
        grace: config.revocation.grace.0,
    }))))
}
