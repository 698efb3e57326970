//! An embedded authority for development and the demo: real tokens, from a certificate nobody else trusts.

use super::{Exchange, TimestampTransport};
use crate::clock::{Clock, UtcTime};
use crate::cms::Certificate;
use crate::cms::signed::{Assembly, CONTENT_TST_INFO, SignedAttributes};
use crate::cms::tsp::{self, Failure, TstInfo};
use crate::seal::key::{KeyError, SealKey};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The policy of the development authority; from the arc for examples (2.999).
pub const DEV_POLICY: &str = "2.999.792.1";
/// What the development authority states as its accuracy.
const DEV_ACCURACY_S: u8 = 1;

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
        // RFC 5652 5.4: digested as the key signs.
        let content = self.key.algorithm().digest_algorithm().digest(&info);
        let attributes = SignedAttributes::new(CONTENT_TST_INFO, &content, &self.certificate, now);
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
