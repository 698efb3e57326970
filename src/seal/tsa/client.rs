//! One time-stamp authority: a request, and every check on its answer (RFC 3161 2.2).
//!
//! The authority is asked for its certificate (certReq), so that a stamp can be judged by itself. One that refuses this
//! is asked without, as soon as its certificate is configured; the certificate is then put into the token by us, where
//! it would have stood: certificates are no part of what a token's signature is over (RFC 5652 5.1).

use super::{NonceSource, Stamp, StampFailure, Stamping, Stamps, TOLERANCE_DEFAULT, TimestampTransport};
use crate::clock::UtcTime;
use crate::cms::path::is_time_stamping;
use crate::cms::tsp::{self, StampError, Token};
use crate::cms::{Certificate, ContentDigest, Known, Purpose};
use crate::seal::trust::TrustStore;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Asks one authority and checks what it says.
pub struct TimestampClient {
    transport: Arc<dyn TimestampTransport>,
    nonces: Arc<dyn NonceSource>,
    trust: Arc<TrustStore>,
    /// Certificates of authorities that may leave theirs out.
    known: Vec<Certificate>,
    policies: Vec<String>,
    tolerance: Duration,
    /// It refused to send its certificate once, and gave a stamp without.
    without_certificates: AtomicBool,
}

impl std::fmt::Debug for TimestampClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TimestampClient")
            .field("policies", &self.policies)
            .finish_non_exhaustive()
    }
}

impl TimestampClient {
    /// `trust` holds the anchors of the authority, and perhaps its own certificate. Any policy is accepted, times within
    /// [`TOLERANCE_DEFAULT`].
    pub fn new(
        transport: Arc<dyn TimestampTransport>,
        nonces: Arc<dyn NonceSource>,
        trust: Arc<TrustStore>,
    ) -> Self {
        let all = trust.anchors().iter().chain(trust.intermediates());
        let known = all.filter(|c| is_time_stamping(c)).cloned().collect();
        Self {
            transport,
            nonces,
            trust,
            known,
            policies: Vec::new(),
            tolerance: TOLERANCE_DEFAULT,
            without_certificates: AtomicBool::new(false),
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

    /// A stamp over `imprint`, fresh at `now`.
    pub async fn stamp(&self, imprint: ContentDigest, now: UtcTime) -> Result<Stamp, StampFailure> {
        let without = self.without_certificates.load(Ordering::Relaxed);
        let first = self.ask(imprint, now, !without).await;
        let refused = matches!(&first, Err(StampFailure::Stamp(StampError::Refused { .. })));
        if !refused || without || self.known.is_empty() {
            return first;
        }
        let second = self.ask(imprint, now, false).await;
        match second {
            Ok(stamp) => {
                self.without_certificates.store(true, Ordering::Relaxed);
                Ok(stamp)
            }
            // It did not refuse because of the certificate, so its first words are those that matter.
            Err(_) => first,
        }
    }

    async fn ask(
        &self,
        imprint: ContentDigest,
        now: UtcTime,
        wants_certificates: bool,
    ) -> Result<Stamp, StampFailure> {
        let nonce = self.nonces.nonce().ok_or(StampFailure::Nonce)?;
        let policy = self.policies.first().map(String::as_str);
        let request = tsp::request(&imprint, &nonce, policy, wants_certificates);
        let response = self.transport.exchange(request).await?;
        let mut token_der = tsp::token_of_response(&response)?;
        let known = Known {
            certificates: &self.known,
            memory: Some(self.trust.certificates()),
        };
        let token = Token::read_among(&token_der, known)?;
        token.check_fresh(&imprint, &nonce, &self.policies, now, self.tolerance)?;
        self.trust.check(
            &token.signer,
            &token.certificates,
            token.gen_time,
            Purpose::TimeStamping,
        )?;
        if !token.certificates.contains(&token.signer) {
            token_der = tsp::with_certificate(&token_der, &token.signer)?;
        }
        Ok(Stamp {
            token_der,
            gen_time: token.gen_time,
        })
    }
}

impl Stamps for TimestampClient {
    fn stamp(&self, imprint: ContentDigest, now: UtcTime) -> Stamping<'_> {
        Box::pin(Self::stamp(self, imprint, now))
    }
}
