//! The provider's seal on evidence (XAdES B-T) and on MIME entities (CAdES with a signature time-stamp).
//!
//! Sealing may wait for the time-stamp authority or for a token, so it never happens inside a store transaction. Every
//! signature made is verified at once against the certificate, and every stamp is checked by who fetched it, so that
//! nothing wrong leaves this room. Which key signs is decided once for each document: a key that is exchanged meanwhile
//! seals the next one.

use super::key::KeyError;
use super::signatory::{Ring, Signatory};
use super::tsa::{SharedStamps, StampFailure, Stamps, Witness};
use crate::clock::UtcTime;
use crate::cms::ers::shared_token;
use crate::cms::signed::{Assembly, CONTENT_DATA, SignedAttributes};
use crate::cms::{Certificate, ContentDigest, DigestAlgorithm};
use crate::seal::SealKey;
use crate::xml::{XmlError, xades};
use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

/// Why there is no seal.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The time-stamp authority or the token is away, the clock is off, or the own certificate is revoked; what is owed stays owed, try again.
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
        if error.is_temporary() {
            Self::Unavailable(error.to_string())
        } else {
            Self::Broken(error.to_string())
        }
    }
}

impl From<XmlError> for SealError {
    fn from(error: XmlError) -> Self {
        Self::Broken(error.to_string())
    }
}

/// Seals with the key whose time it is, and has its seals stamped.
pub struct Sealer {
    ring: RwLock<Arc<Ring>>,
    stamps: Arc<dyn Stamps>,
    /// Set when evidence may share its tokens.
    shared: Option<SharedStamps>,
    /// Fingerprints of own certificates that are known to be revoked: with their keys nothing is sealed.
    revoked: RwLock<BTreeSet<[u8; 32]>>,
    /// The token of the last time-stamp, by which its authority's certificate is known.
    last_token: RwLock<Option<Vec<u8>>>,
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealer")
    }
}

impl Sealer {
    /// One key. `chain` is leaf first, without the root; the leaf must carry the key.
    pub fn new(
        key: SealKey,
        chain: Vec<Certificate>,
        stamps: impl Stamps + 'static,
    ) -> Result<Self, SealError> {
        Ok(Self::of(Ring::one(Signatory::new(key, chain)?), Arc::new(stamps)))
    }

    /// A key, and perhaps the next one.
    pub fn of(ring: Ring, stamps: Arc<dyn Stamps>) -> Self {
        Self {
            ring: RwLock::new(Arc::new(ring)),
            stamps,
            shared: None,
            revoked: RwLock::default(),
            last_token: RwLock::default(),
        }
    }

    /// The same, but evidence waits up to `window` for other evidence, and all of it shares one token. Entities do not.
    pub fn sharing(mut self, window: Duration) -> Self {
        self.shared = Some(SharedStamps::new(self.stamps.clone(), window));
        self
    }

    /// Whether evidence shares its stamps.
    pub fn is_sharing(&self) -> bool {
        self.shared.is_some()
    }

    /// Other keys from the next document on; what is being sealed is finished with the old one.
    pub fn replace(&self, ring: Ring) {
        *self.ring.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(ring);
    }

    /// The certificates of all keys that sealed lately, seal now, or will: what peers must know beforehand.
    pub fn published(&self) -> Vec<Certificate> {
        let ring = self.ring.read().unwrap_or_else(PoisonError::into_inner);
        ring.all().map(|s| s.certificate().clone()).collect()
    }

    /// The certificates of the key that seals at `now`, leaf first.
    pub fn chain(&self, now: UtcTime) -> Vec<Certificate> {
        let ring = self.ring.read().unwrap_or_else(PoisonError::into_inner);
        ring.at(now).chain().cloned().collect()
    }

    /// The digest that the key which seals at `now` needs of what it seals.
    pub fn digest_algorithm(&self, now: UtcTime) -> DigestAlgorithm {
        let ring = self.ring.read().unwrap_or_else(PoisonError::into_inner);
        ring.at(now).key().algorithm().digest_algorithm()
    }

    /// Which own certificates are revoked, as was learnt lately. What is sealed with such a key counts nowhere.
    pub fn set_revoked(&self, fingerprints: BTreeSet<[u8; 32]>) {
        *self.revoked.write().unwrap_or_else(PoisonError::into_inner) = fingerprints;
    }

    /// The token of the last time-stamp since the start.
    pub fn last_token(&self) -> Option<Vec<u8>> {
        let token = self.last_token.read().unwrap_or_else(PoisonError::into_inner);
        token.clone()
    }

    fn signatory(&self, now: UtcTime) -> Result<Arc<Signatory>, SealError> {
        let signatory = {
            let ring = self.ring.read().unwrap_or_else(PoisonError::into_inner);
            ring.at(now).clone()
        };
        let revoked = self.revoked.read().unwrap_or_else(PoisonError::into_inner);
        if revoked.contains(&signatory.certificate().fingerprint()) {
            let subject = signatory.certificate().subject();
            return Err(SealError::Unavailable(format!(
                "the seal's certificate ({subject}) is revoked; nothing is sealed until another takes its place"
            )));
        }
        Ok(signatory)
    }

    async fn stamp(&self, imprint: ContentDigest, now: UtcTime) -> Result<Vec<u8>, SealError> {
        let token = self.stamps.stamp(imprint, now).await?.token_der;
        self.remember(&token);
        Ok(token)
    }

    fn remember(&self, token: &[u8]) {
        *self.last_token.write().unwrap_or_else(PoisonError::into_inner) = Some(token.to_vec());
    }

    /// Signs and time-stamps an evidence document; the document comes back with `ds:Signature` as its last child.
    pub async fn seal_evidence(&self, unsigned_xml: &[u8], now: UtcTime) -> Result<Vec<u8>, SealError> {
        let signatory = self.signatory(now)?;
        let chain: Vec<&[u8]> = signatory.chain().map(Certificate::der).collect();
        let prepared = xades::prepare(unsigned_xml, &chain, signatory.key().xml_method(), now)?;
        let signature = signatory.sign(prepared.to_be_signed()).await?;
        let signed = prepared.signed(&signatory.key().xml_value(&signature)?);
        let digest = signatory.key().algorithm().digest_algorithm();
        let imprint = ContentDigest::of(digest, signed.stamp_octets());
        let Some(shared) = &self.shared else {
            let token = self.stamp(imprint, now).await?;
            return Ok(signed.finish(Some(&token)));
        };
        Ok(match shared.witness(imprint, now).await? {
            Witness::Token(token) => {
                self.remember(&token);
                signed.finish(Some(&token))
            }
            Witness::Record(record) => {
                if let Ok((token, _)) = shared_token(&record, signed.stamp_octets()) {
                    self.remember(token);
                }
                signed.finish_with_record(&record)
            }
        })
    }

    /// Signs and time-stamps a MIME entity given by its digest in [`Sealer::digest_algorithm`]: the DER for
    /// `application/pkcs7-signature`.
    pub async fn seal_entity(
        &self,
        content: impl Into<ContentDigest>,
        now: UtcTime,
    ) -> Result<Vec<u8>, SealError> {
        let signatory = self.signatory(now)?;
        let (attributes, signature) = sign_attributes(&signatory, &content.into(), now).await?;
        let digest = signatory.key().algorithm().digest_algorithm();
        let token = self.stamp(ContentDigest::of(digest, &signature), now).await?;
        Ok(assemble(&signatory, &attributes, &signature, Some(&token)))
    }

    /// The same without a time-stamp.
    pub async fn sign_entity(
        &self,
        content: impl Into<ContentDigest>,
        now: UtcTime,
    ) -> Result<Vec<u8>, SealError> {
        let signatory = self.signatory(now)?;
        let (attributes, signature) = sign_attributes(&signatory, &content.into(), now).await?;
        Ok(assemble(&signatory, &attributes, &signature, None))
    }
}

async fn sign_attributes(
    signatory: &Signatory,
    content: &ContentDigest,
    now: UtcTime,
) -> Result<(SignedAttributes, Vec<u8>), SealError> {
    let wanted = signatory.key().algorithm().digest_algorithm();
    // RFC 5652 5.4: one digest algorithm for the content and for the attributes.
    if content.algorithm() != wanted {
        return Err(SealError::Unavailable(format!(
            "the key was exchanged for one that signs with {} while {} was made",
            wanted.name(),
            content.algorithm().name()
        )));
    }
    let attributes = SignedAttributes::new(CONTENT_DATA, content.octets(), signatory.certificate(), now);
    let signature = signatory.sign(attributes.to_be_signed()).await?;
    Ok((attributes, signature))
}

fn assemble(
    signatory: &Signatory,
    attributes: &SignedAttributes,
    signature: &[u8],
    stamp: Option<&[u8]>,
) -> Vec<u8> {
    Assembly {
        attributes,
        signer: signatory.certificate(),
        chain: signatory.intermediates(),
        algorithm: signatory.key().algorithm(),
        signature,
        content_type: CONTENT_DATA,
        content: None,
        stamp_token: stamp,
    }
    .der()
}
