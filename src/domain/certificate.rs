//! Certificates a user logs in with: by fingerprint, one certificate; by TCKN, every qualified one that names the person.

use crate::clock::UtcTime;
use crate::domain::number::Tckn;
use crate::domain::provider::Fingerprint;
use serde::{Deserialize, Serialize};

/// Certificates of one user: a card, its successor, a mobile signature and a few machines of his. All stand in one row.
pub const CERTIFICATES_PER_USER_MAX: usize = 8;

/// One certificate of a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoundCertificate {
    pub fingerprint: Fingerprint,
    /// Whose and by whom, for people: common names.
    pub name: String,
    pub issuer: String,
    pub until: UtcTime,
    pub bound_at: UtcTime,
}

/// What a user's certificate logins rest on.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct UserCertificates {
    pub certificates: Vec<BoundCertificate>,
    pub tckn: Option<Tckn>,
}

impl UserCertificates {
    pub fn is_empty(&self) -> bool {
        self.certificates.is_empty() && self.tckn.is_none()
    }

    pub fn has(&self, fingerprint: Fingerprint) -> bool {
        self.certificates.iter().any(|c| c.fingerprint == fingerprint)
    }
}
