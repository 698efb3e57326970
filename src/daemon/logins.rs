//! Logins with a certificate, as the configuration has them: who judges, and the doors that ask.

use crate::config::Config;
use crate::net::tls::ServerTls;
use crate::seal::{PathJudge, TrustStore};
use anyhow::{Context as _, bail};
use std::sync::Arc;

/// The judge of users' certificates; `None` where nobody is asked for one.
pub(super) fn judge(config: &Config) -> anyhow::Result<Option<Arc<PathJudge>>> {
    let Some(path) = &config.login.trust else {
        return Ok(None);
    };
    let mut trust = TrustStore::new();
    let unusable = || format!("login.trust: {} cannot be used", path.display());
    trust.add_path(path).with_context(unusable)?;
    if trust.anchors().is_empty() {
        bail!("login.trust: {} holds no trust anchor", path.display());
    }
    Ok(Some(Arc::new(PathJudge::new(trust))))
}

/// TLS for the doors where users log in: with a judge, they are asked for a certificate.
pub(super) fn tls(tls: &Arc<ServerTls>, judge: Option<&PathJudge>) -> anyhow::Result<Arc<ServerTls>> {
    let Some(judge) = judge else {
        return Ok(tls.clone());
    };
    let authorities = judge.authorities().map(<[u8]>::to_vec).collect();
    tls.asking(authorities)
        .context("the doors cannot ask for certificates")
}
