//! RFC 3161 time-stamps (with RFC 5816): the request, the response, and the checks on a token.
//!
//! A token is checked in three steps that can be told apart: [`token_of_response`] (was it granted), [`Token::read`]
//! (is it a sound token whose signer has the one purpose), and [`Token::check_imprint`] with [`Token::check_fresh`]
//! (is it the one that was asked for). Whether the signer is trusted at `gen_time` is a matter of `cms::path`.

use super::algorithm::{ContentDigest, DigestAlgorithm, SignatureAlgorithm};
use super::certificate::Certificate;
use super::der::{self, DerError, Reader, context};
use super::memory::Known;
use super::name;
use super::path;
use super::revocation::RevocationValues;
use super::signed::{CONTENT_TST_INFO, CmsError, SignedView, SigningCertificate, definite, small_integer};
use crate::clock::UtcTime;
use rasn_cms::tsp::{MessageImprint, TimeStampReq};
use std::time::Duration;

/// Octets of the nonce we send. Random: an answer cannot be prepared or replayed.
pub const NONCE_OCTETS: usize = 16;
/// Largest request a time-stamp authority reads: an imprint, a policy, a nonce.
pub const REQUEST_MAX_OCTETS: usize = 4 * 1024;
/// Longest text of a refusal that is kept, in characters.
const STATUS_TEXT_MAX: usize = 300;

/// Why a time-stamp is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StampError {
    #[error(transparent)]
    Der(#[from] DerError),
    #[error("the time-stamp token: {0}")]
    Signed(#[from] CmsError),
    /// The authority answered, and refused. Some answer with words inside an otherwise successful HTTP reply.
    #[error("the time-stamp authority refused (status {status}): {text}")]
    Refused { status: u8, text: String },
    #[error("the time-stamp is over other data")]
    Imprint,
    #[error("the nonce of the time-stamp is not the one that was sent")]
    Nonce,
    #[error("the policy {0} of the time-stamp is not allowed")]
    Policy(String),
    #[error("the certificate of the time-stamp has not the one critical purpose time-stamping")]
    Purpose,
    #[error("the time-stamp names another authority than its signer")]
    OtherAuthority,
    #[error("the time-stamp has a critical extension that is not understood")]
    Extension,
    #[error("the time of the time-stamp, {stamp}, is implausible at {now}")]
    Time { stamp: UtcTime, now: UtcTime },
}

/// The DER of a TimeStampReq of version 1. `policy` is dotted; `wants_certificates` is certReq.
pub fn request(
    imprint: &ContentDigest,
    nonce: &[u8; NONCE_OCTETS],
    policy: Option<&str>,
    wants_certificates: bool,
) -> Vec<u8> {
    let policy = policy
        .and_then(der::oid_from_dotted)
        .map(|p| der::tlv(der::OID, &[&p]))
        .unwrap_or_default();
    der::sequence(&[
        &der::tlv(der::INTEGER, &[&[1]]),
        &imprint_der(imprint),
        &policy,
        &der::unsigned(nonce),
        // DEFAULT FALSE, so false is left out.
        &if wants_certificates {
            der::tlv(der::BOOLEAN, &[&[0xff]])
        } else {
            Vec::new()
        },
    ])
}

fn imprint_der(imprint: &ContentDigest) -> Vec<u8> {
    // RFC 3161 2.4.1; NULL parameters are what every authority knows.
    let algorithm = der::sequence(&[&der::tlv(der::OID, &[imprint.algorithm().oid()]), &[der::NULL, 0]]);
    der::sequence(&[&algorithm, &der::tlv(der::OCTET_STRING, &[imprint.octets()])])
}

/// A request as an authority reads it.
#[derive(Debug, Clone)]
pub struct Request {
    pub imprint: ContentDigest,
    /// Dotted.
    pub policy: Option<String>,
    /// The DER of the INTEGER, to be given back as it is.
    pub nonce_der: Option<Vec<u8>>,
    pub wants_certificates: bool,
}

/// Why an authority refuses a request: the bit of PKIFailureInfo (RFC 3161 2.4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    BadAlgorithm = 0,
    BadRequest = 2,
    BadDataFormat = 5,
    UnacceptedPolicy = 15,
    UnacceptedExtension = 16,
    SystemFailure = 25,
}

/// Reads a TimeStampReq.
pub fn read_request(octets: &[u8]) -> Result<Request, Failure> {
    if octets.len() > REQUEST_MAX_OCTETS {
        return Err(Failure::BadDataFormat);
    }
    let request: TimeStampReq = rasn::der::decode(octets).map_err(|_| Failure::BadDataFormat)?;
    if request.version != 1 {
        return Err(Failure::BadRequest);
    }
    if request.extensions.is_some() {
        return Err(Failure::UnacceptedExtension);
    }
    let imprint = content_digest(&request.message_imprint)?;
    let nonce_der = match request.nonce {
        None => None,
        Some(n) => Some(rasn::der::encode(&n).map_err(|_| Failure::BadDataFormat)?),
    };
    let policy = request
        .req_policy
        .map(|p| p.iter().map(u32::to_string).collect::<Vec<_>>().join("."));
    Ok(Request {
        imprint,
        policy,
        nonce_der,
        wants_certificates: request.cert_req,
    })
}

fn content_digest(imprint: &MessageImprint) -> Result<ContentDigest, Failure> {
    let oid = rasn::der::encode(&imprint.hash_algorithm.algorithm).map_err(|_| Failure::BadDataFormat)?;
    let oid = Reader::new(&oid).any().map_err(|_| Failure::BadDataFormat)?.value;
    let algorithm = DigestAlgorithm::from_oid(oid).ok_or(Failure::BadAlgorithm)?;
    ContentDigest::from_octets(algorithm, &imprint.hashed_message).ok_or(Failure::BadDataFormat)
}

/// The DER of a TimeStampResp that grants `token`.
pub fn granted(token: &[u8]) -> Vec<u8> {
    der::sequence(&[&der::sequence(&[&der::tlv(der::INTEGER, &[&[0]])]), token])
}

/// The DER of a TimeStampResp that refuses.
pub fn refused(failure: Failure, text: &str) -> Vec<u8> {
    let bit = failure as usize;
    let mut bits = vec![0u8; bit / 8 + 1];
    bits[bit / 8] = 0x80 >> (bit % 8);
    let unused = 7 - (bit % 8) as u8;
    let status = der::sequence(&[
        &der::tlv(der::INTEGER, &[&[2]]),
        &der::sequence(&[&der::tlv(der::UTF8_STRING, &[text.as_bytes()])]),
        &der::tlv(der::BIT_STRING, &[&[unused], &bits]),
    ]);
    der::sequence(&[&status])
}

/// The token of a response that was granted (status 0 or 1, and no failure stated: RFC 3161 2.4.2 has one or the other);
/// otherwise the authority's words. A token granted "with modifications" is judged like any other.
pub fn token_of_response(octets: &[u8]) -> Result<Vec<u8>, StampError> {
    let mut response = der::whole(octets, der::SEQUENCE, "TimeStampResp")?;
    let mut info = response.enter(der::SEQUENCE, "PKIStatusInfo")?;
    let status = small_integer(&mut info)?;
    let mut rest = info.clone();
    rest.optional(der::SEQUENCE)?;
    if status > 1 || rest.peek() == Some(der::BIT_STRING) {
        return Err(StampError::Refused {
            status,
            text: status_text(info),
        });
    }
    let token = response.expect(der::SEQUENCE, "a granted response without a token")?;
    response.end("TimeStampResp")?;
    Ok(token.raw.to_vec())
}

fn status_text(mut info: Reader<'_>) -> String {
    let mut words = Vec::new();
    if let Ok(Some(texts)) = info.optional(der::SEQUENCE) {
        let mut texts = Reader::new(texts.value);
        while let Ok(text) = texts.any() {
            words.push(String::from_utf8_lossy(text.value).into_owned());
        }
    }
    if let Ok(Some(bits)) = info.optional(der::BIT_STRING) {
        let octets = bits.value.get(1..).unwrap_or_default();
        let set = (0..octets.len().min(8) * 8).filter(|i| octets[i / 8] & (0x80 >> (i % 8)) != 0);
        words.extend(set.map(|bit| format!("failure {bit}")));
    }
    words
        .join("; ")
        .chars()
        .filter(|c| !c.is_control())
        .take(STATUS_TEXT_MAX)
        .collect()
}

/// The token with one more certificate in it. Certificates are no part of what is signed (RFC 5652 5.1 and 5.4).
pub fn with_certificate(token_der: &[u8], certificate: &Certificate) -> Result<Vec<u8>, StampError> {
    let octets = definite(token_der)?;
    let mut info = der::whole(&octets, der::SEQUENCE, "ContentInfo")?;
    let content_type = info.expect(der::OID, "contentType")?;
    let explicit = info.expect(context(0), "content")?.value;
    let mut fields = der::whole(explicit, der::SEQUENCE, "SignedData")?;
    let head = [
        fields.expect(der::INTEGER, "version")?.raw,
        fields.expect(der::SET, "digestAlgorithms")?.raw,
        fields.expect(der::SEQUENCE, "encapContentInfo")?.raw,
    ]
    .concat();
    let mut certificates = vec![certificate.der().to_vec()];
    if let Some(set) = fields.optional(context(0))? {
        let mut list = Reader::new(set.value);
        while !list.is_empty() {
            certificates.push(list.any()?.raw.to_vec());
        }
    }
    let certificates = der::set_of(context(0), certificates);
    let crls = fields.optional(context(1))?.map_or(&[][..], |c| c.raw);
    let signers = fields.expect(der::SET, "signerInfos")?.raw;
    fields.end("SignedData")?;
    let signed_data = der::sequence(&[&head, &certificates, crls, signers]);
    Ok(der::sequence(&[
        content_type.raw,
        &der::tlv(context(0), &[&signed_data]),
    ]))
}

/// The fields of a TSTInfo that an authority states (RFC 3161 2.4.2).
#[derive(Debug, Clone)]
pub struct TstInfo<'a> {
    /// Dotted.
    pub policy: &'a str,
    pub imprint: &'a ContentDigest,
    pub serial: u64,
    pub gen_time: UtcTime,
    pub accuracy_s: u8,
    /// The DER of the INTEGER of the request.
    pub nonce_der: Option<&'a [u8]>,
}

impl TstInfo<'_> {
    /// The DER; None when the policy is not an OID.
    pub fn der(&self) -> Option<Vec<u8>> {
        let policy = der::oid_from_dotted(self.policy)?;
        Some(der::sequence(&[
            &der::tlv(der::INTEGER, &[&[1]]),
            &der::tlv(der::OID, &[&policy]),
            &imprint_der(self.imprint),
            &der::unsigned(&self.serial.to_be_bytes()),
            &der::generalized_time(self.gen_time),
            &der::sequence(&[&der::unsigned(&[self.accuracy_s])]),
            self.nonce_der.unwrap_or_default(),
        ]))
    }
}

/// A token whose own signature holds and whose signer has the one purpose. Trust is another question.
#[derive(Debug, Clone)]
pub struct Token {
    pub gen_time: UtcTime,
    /// Dotted.
    pub policy: String,
    pub imprint: ContentDigest,
    /// The content octets of the serial number.
    pub serial: Vec<u8>,
    /// The content octets of the nonce.
    pub nonce: Option<Vec<u8>>,
    pub signer: Certificate,
    pub certificates: Vec<Certificate>,
    /// How the authority signed.
    pub algorithm: SignatureAlgorithm,
    /// What came along to judge the authority by; unsigned, and proven by nobody.
    pub values: RevocationValues,
}

/// No extension of TSTInfo is known here, so none may be critical (RFC 5280 4.2 has the meaning).
fn check_extensions(octets: &[u8]) -> Result<(), StampError> {
    let mut list = Reader::new(octets);
    while !list.is_empty() {
        let mut fields = list.enter(der::SEQUENCE, "extension")?;
        fields.expect(der::OID, "extension")?;
        if fields.optional(der::BOOLEAN)?.is_some_and(|b| b.value != [0]) {
            return Err(StampError::Extension);
        }
    }
    Ok(())
}

impl Token {
    /// Reads and verifies a TimeStampToken that carries its signer's certificate.
    pub fn read(token_der: &[u8]) -> Result<Self, StampError> {
        Self::read_among(token_der, Known::default())
    }

    /// Reads and verifies a TimeStampToken whose signer's certificate is in it or among `known`.
    pub fn read_among(token_der: &[u8], known: Known<'_>) -> Result<Self, StampError> {
        let octets = definite(token_der)?;
        let view = SignedView::read(&octets)?;
        let Some(content) = view.content.filter(|_| view.content_type == CONTENT_TST_INFO) else {
            return Err(CmsError::Profile("not a time-stamp token").into());
        };
        let verified = view.verify_among(&view.digest.digest(content), SigningCertificate::V1OrV2, known)?;
        if !path::is_time_stamping(&verified.signer) {
            return Err(StampError::Purpose);
        }
        let mut t = der::whole(content, der::SEQUENCE, "TSTInfo")?;
        if small_integer(&mut t)? != 1 {
            return Err(DerError("TSTInfo version").into());
        }
        let policy = der::dotted(t.expect(der::OID, "policy")?.value);
        let mut imprint = t.enter(der::SEQUENCE, "messageImprint")?;
        let algorithm = DigestAlgorithm::read(imprint.enter(der::SEQUENCE, "hashAlgorithm")?)?;
        let hash = imprint.expect(der::OCTET_STRING, "hashedMessage")?.value;
        imprint.end("messageImprint")?;
        let serial = t.expect(der::INTEGER, "serialNumber")?.value.to_vec();
        let gen_time = der::read_time(&t.expect(der::GENERALIZED_TIME, "genTime")?)?;
        t.optional(der::SEQUENCE)?; // accuracy
        t.optional(der::BOOLEAN)?; // ordering
        let nonce = t.optional(der::INTEGER)?.map(|n| n.value.to_vec());
        if let Some(tsa) = t.optional(context(0))? {
            // RFC 3161 2.4.2: if it is there, it is a name of the certificate that verifies the token.
            let named = name::directory_name(tsa.value);
            if !named.is_some_and(|n| name::same(n, verified.signer.subject_der())) {
                return Err(StampError::OtherAuthority);
            }
        }
        if let Some(extensions) = t.optional(context(1))? {
            check_extensions(extensions.value)?;
        }
        t.end("TSTInfo")?;
        let imprint = ContentDigest::from_octets(algorithm, hash).ok_or(DerError("messageImprint"))?;
        let (signer, certificates) = (verified.signer, verified.certificates);
        Ok(Self {
            algorithm: verified.algorithm,
            values: verified.values,
            gen_time,
            policy,
            imprint,
            serial,
            nonce,
            signer,
            certificates,
        })
    }

    /// The token must be over `octets`.
    pub fn check_imprint(&self, octets: &[u8]) -> Result<(), StampError> {
        let digest = self.imprint.algorithm().digest(octets);
        if digest == self.imprint.octets() {
            Ok(())
        } else {
            Err(StampError::Imprint)
        }
    }

    /// What only the asker can check, at once: imprint, nonce, policy (an empty list allows all) and a time that is at
    /// most `tolerance` away from `now`.
    pub fn check_fresh(
        &self,
        asked: &ContentDigest,
        nonce: &[u8; NONCE_OCTETS],
        policies: &[String],
        now: UtcTime,
        tolerance: Duration,
    ) -> Result<(), StampError> {
        if self.imprint != *asked {
            return Err(StampError::Imprint);
        }
        let sent = der::unsigned(nonce);
        if self.nonce.as_deref() != sent.get(2..) {
            return Err(StampError::Nonce);
        }
        if !policies.is_empty() && !policies.contains(&self.policy) {
            return Err(StampError::Policy(self.policy.clone()));
        }
        if self.gen_time < now.minus(tolerance) || self.gen_time > now.plus(tolerance) {
            return Err(StampError::Time {
                stamp: self.gen_time,
                now,
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_request_is_read_as_it_was_written() {
        let asked = request(
            &ContentDigest::Sha512([3; 64]),
            &[0xff; NONCE_OCTETS],
            Some("2.999.1"),
            true,
        );
        let read = read_request(&asked).unwrap();
        assert_eq!(
            (read.imprint, read.policy.as_deref()),
            (ContentDigest::Sha512([3; 64]), Some("2.999.1"))
        );
        assert_eq!(read.nonce_der, Some(der::unsigned(&[0xff; NONCE_OCTETS])));
        assert!(read.wants_certificates);
        let without = request(&ContentDigest::Sha256([3; 32]), &[1; NONCE_OCTETS], None, false);
        assert!(!read_request(&without).unwrap().wants_certificates);
    }

    #[test]
    fn bad_requests_are_told_apart() {
        let good = request(&ContentDigest::Sha256([3; 32]), &[1; NONCE_OCTETS], None, true);
        let replaced = |from: &[u8], to: &[u8]| {
            let at = good.windows(from.len()).position(|w| w == from).unwrap();
            [&good[..at], to, &good[at + from.len()..]].concat()
        };
        assert_eq!(
            read_request(&replaced(&[2, 1, 1], &[2, 1, 2])).unwrap_err(),
            Failure::BadRequest
        );
        // SHA-224
        let algorithm = replaced(&[3, 4, 2, 1], &[3, 4, 2, 4]);
        assert_eq!(read_request(&algorithm).unwrap_err(), Failure::BadAlgorithm);
        assert_eq!(read_request(&good[1..]).unwrap_err(), Failure::BadDataFormat);
        assert_eq!(
            read_request(&[0; REQUEST_MAX_OCTETS + 1]).unwrap_err(),
            Failure::BadDataFormat
        );
    }

    proptest! {
        #[test]
        fn nothing_that_arrives_makes_us_panic(
            octets in proptest::collection::vec(any::<u8>(), 0..300),
            at in 0usize..80,
            put in any::<u8>(),
        ) {
            let mut asked = request(&ContentDigest::Sha256([3; 32]), &[1; NONCE_OCTETS], Some("1.2.3"), true);
            if let Some(octet) = asked.get_mut(at) {
                *octet = put;
            }
            for input in [&octets, &asked] {
                let _ = read_request(input);
                let _ = token_of_response(input);
                prop_assert!(Token::read(input).is_err());
                prop_assert!(Certificate::from_der(input).is_err());
            }
        }
    }
}
