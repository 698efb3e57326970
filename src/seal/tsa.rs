//! Time-stamp authorities (RFC 3161): the client's side over a transport that somebody else provides, and an embedded
//! authority for development and the demo.
//!
//! No socket is opened here: [`TimestampTransport`] carries one request and brings the answer. The client believes
//! nothing: status, imprint, nonce, policy, signature, purpose, path to an anchor at the stamp's time, plausible time.

use super::key::{KeyError, SealKey};
use super::trust::TrustStore;
use crate::clock::{Clock, UtcTime};
use crate::cms::algorithm::sha256;
use crate::cms::signed::{Assembly, CONTENT_TST_INFO, SignedAttributes};
use crate::cms::tsp::{self, Failure, NONCE_OCTETS, StampError, Token, TstInfo};
use crate::cms::{Certificate, ContentDigest, PathError, Purpose};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How far a fresh stamp's time may lie from ours.
pub const TOLERANCE_DEFAULT: Duration = Duration::from_secs(300);
/// The policy of the development authority; from the arc for examples (2.999).
pub const DEV_POLICY: &str = "2.999.792.1";
/// What the development authority states as its accuracy.
const DEV_ACCURACY_S: u8 = 1;

/// The authority cannot be reached now, or answered with something that is not an answer; try again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the time-stamp authority is not available: {0}")]
pub struct TransportError(pub String);

/// The answer of a transport.
pub type Exchange<'a> = Pin<Box<dyn Future<Output = Result<Vec<u8>, TransportError>> + Send + 'a>>;

/// Carries a TimeStampReq to an authority and brings the TimeStampResp.
pub trait TimestampTransport: Send + Sync {
    fn exchange<'a>(&'a self, request_der: Vec<u8>) -> Exchange<'a>;
}

/// Where nonces come from; chance in the daemon, counted in tests.
pub trait NonceSource: Send + Sync {
    /// None when there is no chance to be had.
    fn nonce(&self) -> Option<[u8; NONCE_OCTETS]>;
}

/// The operating system's generator.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemNonces;

impl NonceSource for SystemNonces {
    fn nonce(&self) -> Option<[u8; NONCE_OCTETS]> {
        let mut octets = [0; NONCE_OCTETS];
        aws_lc_rs::rand::fill(&mut octets).ok().map(|()| octets)
    }
}

/// Why there is no stamp.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StampFailure {
    #[error(transparent)]
    Transport(#[from] TransportError),
    #[error(transparent)]
    Stamp(#[from] StampError),
    #[error("the time-stamp authority is not trusted: {0}")]
    Trust(#[from] PathError),
    #[error("no chance for a nonce")]
    Nonce,
}

impl StampFailure {
    /// Whether trying again later may help: the authority was away, or said no.
    pub fn is_temporary(&self) -> bool {
        matches!(
            self,
            Self::Transport(_) | Self::Stamp(StampError::Refused { .. }) | Self::Nonce
        )
    }
}

/// A token that passed every check.
#[derive(Debug, Clone)]
pub struct Stamp {
    pub token_der: Vec<u8>,
    pub gen_time: UtcTime,
}

/// Asks one authority and checks what it says.
pub struct TimestampClient {
    transport: Arc<dyn TimestampTransport>,
    nonces: Arc<dyn NonceSource>,
    trust: Arc<TrustStore>,
    policies: Vec<String>,
    tolerance: Duration,
}

impl std::fmt::Debug for TimestampClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TimestampClient")
            .field("policies", &self.policies)
            .finish_non_exhaustive()
    }
}

impl TimestampClient {
    /// `trust` holds the anchors of the authority. Any policy is accepted, times within [`TOLERANCE_DEFAULT`].
    pub fn new(
        transport: Arc<dyn TimestampTransport>,
        nonces: Arc<dyn NonceSource>,
        trust: Arc<TrustStore>,
    ) -> Self {
        Self {
            transport,
            nonces,
            trust,
            policies: Vec::new(),
            tolerance: TOLERANCE_DEFAULT,
        }
    }

    /// Policies allowed, dotted; the first is asked for.
    pub fn with_policies(mut self, policies: Vec<String>) -> Self {
        self.policies = policies;
        self
    }

    pub fn with_tolerance(mut self, tolerance: Duration) -> Self {
        self.tolerance = tolerance;
        self
    }

    /// A stamp over `imprint` (SHA-256), fresh at `now`.
    pub async fn stamp(&self, imprint: [u8; 32], now: UtcTime) -> Result<Stamp, StampFailure> {
        let imprint = ContentDigest::Sha256(imprint);
        let nonce = self.nonces.nonce().ok_or(StampFailure::Nonce)?;
        let request = tsp::request(&imprint, &nonce, self.policies.first().map(String::as_str));
        let response = self.transport.exchange(request).await?;
        let token_der = tsp::token_of_response(&response)?;
        let token = Token::read(&token_der)?;
        token.check_fresh(&imprint, &nonce, &self.policies, now, self.tolerance)?;
        self.trust.check(
            &token.signer,
            &token.certificates,
            token.gen_time,
            Purpose::TimeStamping,
        )?;
        Ok(Stamp {
            token_der,
            gen_time: token.gen_time,
        })
    }
}

/// An embedded authority for development: real tokens, from a certificate nobody else trusts.
#[derive(Debug, Clone)]
pub struct DevAuthority {
    key: SealKey,
    certificate: Certificate,
}

/// The embedded authority as a transport, without a socket.
pub struct LocalTransport {
    authority: DevAuthority,
    clock: Arc<dyn Clock>,
    serial: AtomicU64,
}

impl LocalTransport {
    /// Serial numbers count up from `first_serial`; the daemon starts at its clock's milliseconds, so they never repeat.
    pub fn new(authority: DevAuthority, clock: Arc<dyn Clock>, first_serial: u64) -> Self {
        Self {
            authority,
            clock,
            serial: AtomicU64::new(first_serial),
        }
    }
}

impl TimestampTransport for LocalTransport {
    fn exchange<'a>(&'a self, request_der: Vec<u8>) -> Exchange<'a> {
        let serial = self.serial.fetch_add(1, Ordering::Relaxed);
        let response = self.authority.answer(&request_der, self.clock.now(), serial);
        Box::pin(std::future::ready(Ok(response)))
    }
}

impl DevAuthority {
    /// The certificate must carry the key and have the one critical purpose time-stamping.
    pub fn new(key: SealKey, certificate: Certificate) -> Result<Self, KeyError> {
        key.check_belongs_to(&certificate)?;
        Ok(Self { key, certificate })
    }

    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The TimeStampResp for a TimeStampReq; what is wrong with a request is said in it. `serial` is never used twice.
    pub fn answer(&self, request_der: &[u8], now: UtcTime, serial: u64) -> Vec<u8> {
        let request = match tsp::read_request(request_der) {
            Ok(request) => request,
            Err(failure) => return tsp::refused(failure, "the request cannot be accepted"),
        };
        if request.policy.as_deref().is_some_and(|p| p != DEV_POLICY) {
            return tsp::refused(Failure::UnacceptedPolicy, "the policy is not offered");
        }
        match self.token(&request, now, serial) {
            Some(token) => tsp::granted(&token),
            None => tsp::refused(Failure::SystemFailure, "signing failed"),
        }
    }

    fn token(&self, request: &tsp::Request, now: UtcTime, serial: u64) -> Option<Vec<u8>> {
        let info = TstInfo {
            policy: DEV_POLICY,
            imprint: &request.imprint,
            serial,
            gen_time: now,
            accuracy_s: DEV_ACCURACY_S,
            nonce_der: request.nonce_der.as_deref(),
        }
        .der()?;
        let attributes = SignedAttributes::new(CONTENT_TST_INFO, &sha256(&info), &self.certificate, now);
        let signature = self.key.sign(attributes.to_be_signed()).ok()?;
        let assembly = Assembly {
            attributes: &attributes,
            signer: &self.certificate,
            chain: &[],
            algorithm: self.key.algorithm(),
            signature: &signature,
            content_type: CONTENT_TST_INFO,
            content: Some(&info),
            stamp_token: None,
        };
        Some(if request.wants_certificates {
            assembly.der()
        } else {
            assembly.der_without_certificates()
        })
    }
}
