//! Logins with a certificate, as the configuration has them: who judges, and the doors that ask.

use crate::config::{Config, LoginUnknown};
use crate::net::tls::ServerTls;
use crate::seal::holder::WhenUnknown;
use crate::seal::{Asker, PathJudge, TrustStore};
use anyhow::{Context as _, bail};
use std::sync::Arc;

/// The judge of users' certificates; `None` where nobody is asked for one.
pub(super) fn judge(config: &Config, asker: Option<&Arc<Asker>>) -> anyhow::Result<Option<Arc<PathJudge>>> {
    let Some(path) = &config.login.trust else {
        return Ok(None);
    };
    let mut trust = TrustStore::new();
    let unusable = || format!("login.trust: {} cannot be used", path.display());
    trust.add_path(path).with_context(unusable)?;
    if trust.anchors().is_empty() {
        bail!("login.trust: {} holds no trust anchor", path.display());
    }
    let judge = PathJudge::new(trust);
    let when_unknown = match config.revocation.login_unknown {
        LoginUnknown::Refuse => WhenUnknown::Refuse,
        LoginUnknown::Accept => WhenUnknown::Accept,
    };
    Ok(Some(Arc::new(match asker {
        Some(asker) => judge.asking(asker.clone(), when_unknown),
        None => judge,
    })))
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
