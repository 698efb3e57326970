//! An authority's office of revocation, for development and tests: it revokes, issues lists, and answers OCSP requests.
//!
//! Not for production: there the lists and answers are those of a qualified authority. Nothing is kept; whoever runs it says
//! anew what was revoked.

use super::key::{KeyError, SealKey};
use crate::clock::UtcTime;
use crate::cms::crl::{Entry, Issue};
use crate::cms::ocsp::{Answer, Status, internal_error, read_request};
use crate::cms::{Certificate, SignatureAlgorithm};
use std::collections::BTreeMap;
use std::time::Duration;

/// For how long what it says holds.
pub const VALIDITY: Duration = Duration::from_secs(3600);

/// The office of one authority.
#[derive(Debug, Clone)]
pub struct RevocationOffice {
    key: SealKey,
    certificate: Certificate,
    /// Serial numbers (content octets) with their entries.
    revoked: BTreeMap<Vec<u8>, Entry>,
}

impl RevocationOffice {
    /// The certificate is the authority's own and must carry the key.
    pub fn new(key: SealKey, certificate: Certificate) -> Result<Self, KeyError> {
        key.check_belongs_to(&certificate)?;
        Ok(Self {
            key,
            certificate,
            revoked: BTreeMap::new(),
        })
    }

    pub fn revoke(&mut self, certificate: &Certificate, entry: Entry) {
        self.revoked.insert(certificate.serial().to_vec(), entry);
    }

    /// Takes a certificate from hold (RFC 5280 5.3.1: nothing else is taken back).
    pub fn release(&mut self, certificate: &Certificate) {
        use crate::cms::RevocationReason::CertificateHold;
        let serial = certificate.serial();
        if self
            .revoked
            .get(serial)
            .is_some_and(|e| e.reason == CertificateHold)
        {
            self.revoked.remove(serial);
        }
    }

    /// The list of `now`, which holds for [`VALIDITY`].
    pub fn list(&self, now: UtcTime) -> Result<Vec<u8>, KeyError> {
        let revoked: Vec<u8> = self
            .revoked
            .iter()
            .flat_map(|(serial, e)| e.der(serial))
            .collect();
        let issue = Issue {
            issuer: self.certificate.subject_der(),
            algorithm: self.algorithm(),
            number: u64::try_from(now.unix_s()).unwrap_or_default(),
            this_update: now,
            next_update: now.plus(VALIDITY),
            revoked: &revoked,
            extensions: &[],
        };
        let tbs = issue.to_be_signed();
        Ok(issue.der(&tbs, &self.key.sign(&tbs)?))
    }

    /// The OCSPResponse to a request about one certificate.
    pub fn answer(&self, request_der: &[u8], now: UtcTime) -> Vec<u8> {
        self.try_answer(request_der, now).unwrap_or_else(internal_error)
    }

    fn try_answer(&self, request_der: &[u8], now: UtcTime) -> Option<Vec<u8>> {
        let asked = read_request(request_der).ok()?;
        let status = match self.revoked.get(asked.id.serial) {
            _ if !asked.id.is_of(&self.certificate) => Status::Unknown,
            None => Status::Good,
            Some(entry) => Status::Revoked {
                at: entry.revoked_at,
                reason: entry.reason,
                invalid_since: entry.invalid_since,
            },
        };
        let answer = Answer {
            id: asked.id_der,
            status,
            responder: &self.certificate,
            along: &[],
            algorithm: self.algorithm(),
            produced_at: now,
            this_update: now,
            next_update: Some(now.plus(VALIDITY)),
            nonce: asked.nonce,
        };
        let tbs = answer.to_be_signed();
        Some(answer.der(&tbs, &self.key.sign(&tbs).ok()?))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.key.algorithm()
    }
}
