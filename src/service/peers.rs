//! The peers this provider knows. Nothing that is not in a profile is let in or relayed to.

use crate::address::Domain;
use crate::cms::algorithm::sha256;
use crate::domain::audit::{AuditRecord, PROVIDER};
use crate::domain::audit_chain::hex;
use crate::domain::provider::{Fingerprint, Peer};
use crate::service::failure::{Failure, Kind};
use crate::store::db::{Batch, Db};
use crate::store::tables::{audit, peers};
use serde_json::{Value, json};
use std::sync::Arc;

/// Trust material of one peer, in octets of PEM: it has to fit a row. Some eight certificates.
pub const TRUST_PEM_MAX_OCTETS: usize = 12 * 1024;
/// Certificates pinned for one purpose: current, next, and a spare.
pub const PINS_MAX: usize = 4;

/// All that is believed of a peer, for the audit record; its certificates by their digest.
pub fn told(peer: &Peer) -> Value {
    let texts = |pins: &[Fingerprint]| -> Vec<String> { pins.iter().map(ToString::to_string).collect() };
    json!({
        "domain": peer.domain.to_string(),
        "host": peer.host,
        "port": peer.port,
        "service": peer.service.to_string(),
        "size_max_bytes": peer.size_max_bytes,
        "tls_sha256": texts(&peer.tls_sha256),
        "seal_sha256": texts(&peer.seal_sha256),
        "trust_sha256": hex(&sha256(peer.trust_pem.as_bytes())),
    })
}

pub struct Peers {
    db: Arc<dyn Db>,
    /// This provider: never its own peer.
    own: Domain,
}

impl Peers {
    pub fn new(db: Arc<dyn Db>, own: Domain) -> Self {
        Self { db, own }
    }

    pub fn list(&self) -> Result<Vec<Peer>, Failure> {
        Ok(peers::all(&*self.db)?.into_iter().map(|p| p.row).collect())
    }

    pub fn show(&self, domain: &Domain) -> Result<Peer, Failure> {
        let stored = peers::peer(&*self.db, domain)?;
        stored
            .map(|p| p.row)
            .ok_or_else(|| Failure::refused(Kind::NotFound, format!("there is no peer {domain}")))
    }

    /// Keeps a profile, new or in place of the old one of this domain; with the provider's record of it.
    pub async fn put(&self, peer: &Peer, record: &AuditRecord) -> Result<(), Failure> {
        self.check(peer)?;
        let mut batch = Batch::new();
        peers::put(&mut batch, peer)?;
        audit::append(&mut batch, PROVIDER, 0, record)?;
        self.db.commit(batch).await?;
        tracing::info!(peer = %peer.domain, "peer profile kept");
        Ok(())
    }

    pub async fn remove(&self, domain: &Domain, record: &AuditRecord) -> Result<(), Failure> {
        self.show(domain)?;
        let mut batch = Batch::new();
        peers::remove(&mut batch, domain);
        audit::append(&mut batch, PROVIDER, 0, record)?;
        self.db.commit(batch).await?;
        tracing::info!(peer = %domain, "peer removed");
        Ok(())
    }

    fn check(&self, peer: &Peer) -> Result<(), Failure> {
        let invalid = |say: String| Err(Failure::refused(Kind::Invalid, say));
        if peer.domain == self.own {
            return invalid(format!("{} is this provider itself", peer.domain));
        }
        if !peer.service.domain().is_within(&peer.domain) {
            return invalid(format!(
                "the service address {} is not at {}",
                peer.service, peer.domain
            ));
        }
        if peer.host.is_empty() || peer.host.len() > 255 || peer.host.chars().any(|c| !c.is_ascii_graphic()) {
            return invalid("the host of a peer is a name or an address of at most 255 octets".into());
        }
        if peer.port == 0 {
            return invalid("the port of a peer is not 0".into());
        }
        if peer.tls_sha256.len() > PINS_MAX || peer.seal_sha256.len() > PINS_MAX {
            return invalid(format!("a peer has at most {PINS_MAX} fingerprints of a kind"));
        }
        if peer.trust_pem.len() > TRUST_PEM_MAX_OCTETS {
            return invalid(format!(
                "the trust material has more than {TRUST_PEM_MAX_OCTETS} octets; leave out what is not needed"
            ));
        }
        if !peer.trust_pem.contains("-----BEGIN CERTIFICATE-----") {
            return invalid("the trust material holds no certificate (PEM)".into());
        }
        Ok(())
    }
}
