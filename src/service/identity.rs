//! Who this provider is, in its own words: what its evidence and dispatches say of their issuer.

use crate::address::{Domain, KepAddress};
use crate::domain::credit::Tariff;
use crate::domain::evidence::Issuer;
use crate::domain::provider::Fingerprint;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

/// By what others know our seals and doors; another one when keys and certificates are read anew.
#[derive(Debug, Default)]
pub struct Published(RwLock<Arc<Credentials>>);

/// What is published.
#[derive(Debug, Default)]
pub struct Credentials {
    /// Of the certificates our relay door may show.
    pub tls_sha256: Vec<Fingerprint>,
    /// Of the certificates that seal, the next ones too.
    pub seal_sha256: Vec<Fingerprint>,
    /// PEM: anchors and intermediates of our seals and of the time-stamp authorities.
    pub trust_pem: String,
    /// PEM of those that are in use no more: what was sealed under them is checked by them. Empty when there are none.
    pub past_pem: String,
}

impl Published {
    pub fn of(credentials: Credentials) -> Arc<Self> {
        Arc::new(Self(RwLock::new(Arc::new(credentials))))
    }

    pub fn now(&self) -> Arc<Credentials> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn replace(&self, credentials: Credentials) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(credentials);
    }
}

#[derive(Debug, Clone)]
pub struct Identity {
    pub domain: Domain,
    /// Domains under which all KEP providers lie; an address outside them is no KEP address.
    pub realms: Vec<Domain>,
    /// The address dispatches and evidence come from, and evidence of peers goes to.
    pub service: KepAddress,
    pub issuer: Issuer,
    /// Policies under which evidence is issued, as URIs.
    pub policy_ids: Vec<String>,
    /// Unread for so long after delivery, a mail counts as read.
    pub reading_expiry: Duration,
    /// A peer silent for so long: failure.
    pub relay_expiry: Duration,
    pub size_max_bytes: u64,
    /// What a mail costs of an account's credit.
    pub tariff: Tariff,
}

impl Identity {
    /// How long evidence is tried: it is owed to the peer whatever the mail's own limit is, and a peer may be away
    /// for longer than a mail may wait.
    pub fn evidence_expiry(&self) -> Duration {
        self.relay_expiry * 30
    }

    /// The `MessageIdentifierByREMMD` of a copy of a mail: `<mail>.<copy>@<domain>`.
    pub fn rem_message_id(&self, mail: crate::id::MailId, copy: u16) -> String {
        format!("{mail}.{copy}@{}", self.domain)
    }

    /// Reads back what [`Self::rem_message_id`] wrote; `None` for another provider's identifier.
    pub fn own_rem_message_id(&self, text: &str) -> Option<(crate::id::MailId, u16)> {
        let (local, domain) = text.trim_matches(['<', '>']).rsplit_once('@')?;
        if !domain.eq_ignore_ascii_case(self.domain.as_str()) {
            return None;
        }
        let (mail, copy) = local.rsplit_once('.')?;
        Some((mail.parse().ok()?, copy.parse().ok()?))
    }
}
