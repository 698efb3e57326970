//! The provider's seal on evidence (XAdES B-T) and on MIME entities (CAdES with a signature time-stamp).
//!
//! Sealing may wait for the time-stamp authority, so it never happens inside a store transaction. P-256 is signed where
//! the caller runs (some 20 microseconds); RSA goes to a blocking thread. Every signature made is verified at once
//! against the certificate, and every token is checked by the client, so that nothing wrong leaves this room.

use super::key::{KeyError, SealKey};
use super::tsa::{StampFailure, TimestampClient};
use crate::clock::UtcTime;
use crate::cms::Certificate;
use crate::cms::algorithm::sha256;
use crate::cms::signed::{Assembly, CONTENT_DATA, SignedAttributes};
use crate::xml::{XmlError, xades};

/// Why there is no seal.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The time-stamp authority is away or refused; what is owed stays owed, try again.
    #[error("sealing has to wait: {0}")]
    Unavailable(String),
    /// Our configuration or our bug, or an authority that answers wrongly. Trying again will not help.
    #[error("sealing is broken: {0}")]
    Broken(String),
}

impl From<StampFailure> for SealError {
    fn from(failure: StampFailure) -> Self {
        if failure.is_temporary() {
            Self::Unavailable(failure.to_string())
        } else {
            Self::Broken(failure.to_string())
        }
    }
}

impl From<KeyError> for SealError {
    fn from(error: KeyError) -> Self {
        Self::Broken(error.to_string())
    }
}

impl From<XmlError> for SealError {
    fn from(error: XmlError) -> Self {
        Self::Broken(error.to_string())
    }
}

/// Seals with one key, one certificate and one time-stamp authority.
#[derive(Debug)]
pub struct Sealer {
    key: SealKey,
    certificate: Certificate,
    intermediates: Vec<Certificate>,
    stamps: TimestampClient,
}

impl Sealer {
    /// `chain` is leaf first, without the root; the leaf must carry the key.
    pub fn new(key: SealKey, chain: Vec<Certificate>, stamps: TimestampClient) -> Result<Self, SealError> {
        let mut chain = chain.into_iter();
        let certificate = chain
            .next()
            .ok_or_else(|| SealError::Broken("no seal certificate".to_owned()))?;
        key.check_belongs_to(&certificate)?;
        Ok(Self {
            key,
            certificate,
            intermediates: chain.collect(),
            stamps,
        })
    }

    /// The seal's certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The seal's certificate and the intermediates that go with it, leaf first.
    pub fn chain(&self) -> impl Iterator<Item = &Certificate> {
        std::iter::once(&self.certificate).chain(&self.intermediates)
    }

    /// Signs and time-stamps an evidence document; the document comes back with `ds:Signature` as its last child.
    pub async fn seal_evidence(&self, unsigned_xml: &[u8], now: UtcTime) -> Result<Vec<u8>, SealError> {
        let chain: Vec<&[u8]> = std::iter::once(&self.certificate)
            .chain(&self.intermediates)
            .map(Certificate::der)
            .collect();
        let prepared = xades::prepare(unsigned_xml, &chain, self.key.xml_method(), now)?;
        let signature = self.sign(prepared.to_be_signed()).await?;
        let signed = prepared.signed(&self.key.xml_value(&signature)?);
        let stamp = self.stamps.stamp(signed.stamp_imprint(), now).await?;
        Ok(signed.finish(Some(&stamp.token_der)))
    }

    /// Signs and time-stamps a MIME entity given by its SHA-256: the DER for `application/pkcs7-signature`.
    pub async fn seal_entity(&self, content_sha256: [u8; 32], now: UtcTime) -> Result<Vec<u8>, SealError> {
        let (attributes, signature) = self.sign_attributes(&content_sha256, now).await?;
        let stamp = self.stamps.stamp(sha256(&signature), now).await?;
        Ok(self.assemble(&attributes, &signature, Some(&stamp.token_der)))
    }

    /// The same without a time-stamp.
    pub async fn sign_entity(&self, content_sha256: [u8; 32], now: UtcTime) -> Result<Vec<u8>, SealError> {
        let (attributes, signature) = self.sign_attributes(&content_sha256, now).await?;
        Ok(self.assemble(&attributes, &signature, None))
    }

    async fn sign_attributes(
        &self,
        content_sha256: &[u8; 32],
        now: UtcTime,
    ) -> Result<(SignedAttributes, Vec<u8>), SealError> {
        let attributes = SignedAttributes::new(CONTENT_DATA, content_sha256, &self.certificate, now);
        let signature = self.sign(attributes.to_be_signed()).await?;
        Ok((attributes, signature))
    }

    fn assemble(&self, attributes: &SignedAttributes, signature: &[u8], stamp: Option<&[u8]>) -> Vec<u8> {
        Assembly {
            attributes,
            signer: &self.certificate,
            chain: &self.intermediates,
            algorithm: self.key.algorithm(),
            signature,
            content_type: CONTENT_DATA,
            content: None,
            stamp_token: stamp,
        }
        .der()
    }

    /// ECDSA comes in DER.
    async fn sign(&self, octets: &[u8]) -> Result<Vec<u8>, SealError> {
        let signature = if self.key.is_slow() {
            let (key, octets) = (self.key.clone(), octets.to_vec());
            let signing = tokio::task::spawn_blocking(move || key.sign(&octets));
            signing.await.map_err(|e| SealError::Broken(e.to_string()))??
        } else {
            self.key.sign(octets)?
        };
        // A fault while signing can give the key away (RSA) or a seal nobody can verify.
        if self.certificate.verify(self.key.algorithm(), octets, &signature) {
            Ok(signature)
        } else {
            Err(KeyError::Signing.into())
        }
    }
}
