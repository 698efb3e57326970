//! Who signs: a key with its certificate chain, and which of two it is when a key is rolled.
//!
//! The next key stands beside the present one long before its moment, so that its certificate can be given to peers; at
//! that moment it signs, without anybody's doing. Revocation and the renewal of certificates are not looked at here.

use super::key::{KeyError, SealKey};
use super::sealer::SealError;
use crate::clock::UtcTime;
use crate::cms::Certificate;
use std::sync::Arc;

/// A key and the certificates that go with its signatures.
pub struct Signatory {
    key: SealKey,
    certificate: Certificate,
    intermediates: Vec<Certificate>,
}

impl Signatory {
    /// `chain` is leaf first, without the root; the leaf must carry the key. Signs once, so it may block.
    pub fn new(key: SealKey, chain: Vec<Certificate>) -> Result<Self, SealError> {
        let mut chain = chain.into_iter();
        let certificate = chain
            .next()
            .ok_or_else(|| SealError::Broken("no seal certificate".to_owned()))?;
        key.check_belongs_to(&certificate)?;
        Ok(Self {
            key,
            certificate,
            intermediates: chain.collect(),
        })
    }

    pub fn key(&self) -> &SealKey {
        &self.key
    }

    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    pub fn intermediates(&self) -> &[Certificate] {
        &self.intermediates
    }

    /// Leaf first.
    pub fn chain(&self) -> impl Iterator<Item = &Certificate> {
        std::iter::once(&self.certificate).chain(&self.intermediates)
    }

    /// Signs, and believes the signature only when the certificate verifies it. ECDSA comes in DER.
    pub async fn sign(&self, octets: &[u8]) -> Result<Vec<u8>, SealError> {
        let signature = self.key.sign_apart(octets).await?;
        // A fault while signing can give the key away (RSA) or a seal nobody can verify.
        if self.certificate.verify(self.key.algorithm(), octets, &signature) {
            return Ok(signature);
        }
        self.key.distrust();
        Err(KeyError::Signing.into())
    }
}

/// The present key, and perhaps the next one with its moment.
pub struct Ring {
    present: Arc<Signatory>,
    next: Option<(UtcTime, Arc<Signatory>)>,
}

impl Ring {
    pub fn one(present: Signatory) -> Self {
        Self {
            present: Arc::new(present),
            next: None,
        }
    }

    /// The next key signs from `from` on. Its certificate must be valid then.
    pub fn with_next(mut self, from: UtcTime, next: Signatory) -> Result<Self, SealError> {
        if !next.certificate.is_valid_at(from) {
            return Err(SealError::Broken(format!(
                "the next certificate ({}) is not valid at {from}, when it is to be used",
                next.certificate.subject()
            )));
        }
        self.next = Some((from, Arc::new(next)));
        Ok(self)
    }

    /// Who signs at `now`.
    pub fn at(&self, now: UtcTime) -> &Arc<Signatory> {
        match &self.next {
            Some((from, next)) if *from <= now => next,
            _ => &self.present,
        }
    }

    /// The present one first.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Signatory>> {
        std::iter::once(&self.present).chain(self.next.iter().map(|(_, next)| next))
    }
}
