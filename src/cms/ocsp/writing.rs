//! What is written in OCSP: a client's request, and the response of an authority for development.
//!
//! Signing is somebody else's: the octets to be signed are given out, the signature is taken in.

use super::{BASIC, CertId, IdDigest, NONCE_MAX_OCTETS, Status};
use crate::clock::UtcTime;
use crate::cms::algorithm::SignatureAlgorithm;
use crate::cms::certificate::Certificate;
use crate::cms::der::{self, DerError, Reader, context};
use crate::cms::extension;

/// Largest request read: one certificate, a nonce.
const REQUEST_MAX_OCTETS: usize = 4 * 1024;

/// The DER of an OCSPRequest for one certificate, unsigned.
pub struct Request<'a> {
    pub certificate: &'a Certificate,
    pub issuer: &'a Certificate,
    pub digest: IdDigest,
    pub nonce: Option<&'a [u8]>,
}

impl Request<'_> {
    pub fn der(&self) -> Vec<u8> {
        let id = cert_id(self.digest, self.issuer, self.certificate.serial());
        // RFC 6960 4.1.1: tbsRequest { requestList, requestExtensions [2] }, version 1 left out.
        let list = der::sequence(&[&der::sequence(&[&id])]);
        let extensions = self
            .nonce
            .map(|n| der::tlv(context(2), &[&der::sequence(&[&nonce(n)])]));
        der::sequence(&[&der::sequence(&[&list, &extensions.unwrap_or_default()])])
    }
}

fn nonce(octets: &[u8]) -> Vec<u8> {
    extension::write(
        extension::OCSP_NONCE,
        false,
        &der::tlv(der::OCTET_STRING, &[octets]),
    )
}

fn cert_id(digest: IdDigest, issuer: &Certificate, serial: &[u8]) -> Vec<u8> {
    der::sequence(&[
        // The NULL is what every responder writes and expects.
        &der::sequence(&[&der::tlv(der::OID, &[digest.oid()]), &[der::NULL, 0]]),
        &der::tlv(der::OCTET_STRING, &[&digest.digest(issuer.subject_der())]),
        &der::tlv(der::OCTET_STRING, &[&digest.digest(issuer.key_octets())]),
        &der::tlv(der::INTEGER, &[serial]),
    ])
}

/// A request for one certificate, as a responder reads it.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// CertID in DER, to be given back as it is.
    pub id_der: &'a [u8],
    pub id: CertId<'a>,
    pub nonce: Option<&'a [u8]>,
}

/// Reads a request for one certificate.
pub fn read_request(octets: &[u8]) -> Result<Asked<'_>, DerError> {
    if octets.len() > REQUEST_MAX_OCTETS {
        return Err(DerError("the request is too large"));
    }
    let mut request = der::whole(octets, der::SEQUENCE, "OCSPRequest")?;
    let mut tbs = request.enter(der::SEQUENCE, "tbsRequest")?;
    tbs.optional(context(0))?;
    tbs.optional(context(1))?;
    let mut list = tbs.enter(der::SEQUENCE, "requestList")?;
    let mut one = list.enter(der::SEQUENCE, "request")?;
    list.end("more than one certificate is asked for")?;
    let id = one.expect(der::SEQUENCE, "certID")?;
    let mut nonce = None;
    if let Some(extensions) = tbs.optional(context(2))? {
        extension::each(extensions.value, |oid, _, value| {
            if oid == extension::OCSP_NONCE {
                let octets = Reader::new(value).expect(der::OCTET_STRING, "nonce")?.value;
                nonce = Some(octets).filter(|n| n.len() <= NONCE_MAX_OCTETS);
            }
            Ok(())
        })?;
    }
    tbs.end("tbsRequest")?;
    Ok(Asked {
        id_der: id.raw,
        id: CertId::read(Reader::new(id.value))?,
        nonce,
    })
}

/// What a responder says about one certificate.
#[derive(Debug, Clone)]
pub struct Answer<'a> {
    /// CertID in DER, as it was asked.
    pub id: &'a [u8],
    pub status: Status,
    pub responder: &'a Certificate,
    /// Certificates to send along.
    pub along: &'a [Certificate],
    pub algorithm: SignatureAlgorithm,
    pub produced_at: UtcTime,
    pub this_update: UtcTime,
    pub next_update: Option<UtcTime>,
    pub nonce: Option<&'a [u8]>,
}

impl Answer<'_> {
    /// CertID as [`Answer::id`] wants it.
    pub fn id_of(certificate: &Certificate, issuer: &Certificate) -> Vec<u8> {
        cert_id(IdDigest::Sha1, issuer, certificate.serial())
    }

    /// The octets to be signed: tbsResponseData.
    pub fn to_be_signed(&self) -> Vec<u8> {
        let status = match self.status {
            Status::Good => vec![0x80, 0],
            Status::Unknown => vec![0x82, 0],
            Status::Revoked { at, reason, .. } => {
                let reason = [der::ENUMERATED, 1, reason.code()];
                der::tlv(0xa1, &[&whole_seconds(at), &der::tlv(context(0), &[&reason])])
            }
        };
        let since = match self.status {
            Status::Revoked {
                invalid_since: Some(since),
                ..
            } => {
                let value = whole_seconds(since);
                let one = extension::write(extension::INVALIDITY_DATE, false, &value);
                der::tlv(context(1), &[&der::sequence(&[&one])])
            }
            _ => Vec::new(),
        };
        let next = self
            .next_update
            .map(|t| der::tlv(context(0), &[&whole_seconds(t)]));
        let single = der::sequence(&[
            self.id,
            &status,
            &whole_seconds(self.this_update),
            &next.unwrap_or_default(),
            &since,
        ]);
        let extensions = self
            .nonce
            .map(|n| der::tlv(context(1), &[&der::sequence(&[&nonce(n)])]));
        der::sequence(&[
            &der::tlv(0xa1, &[self.responder.subject_der()]),
            &whole_seconds(self.produced_at),
            &der::sequence(&[&single]),
            &extensions.unwrap_or_default(),
        ])
    }

    /// The OCSPResponse around the signature.
    pub fn der(&self, to_be_signed: &[u8], signature: &[u8]) -> Vec<u8> {
        let along: Vec<&[u8]> = self.along.iter().map(Certificate::der).collect();
        let along = match along.is_empty() {
            true => Vec::new(),
            false => der::tlv(context(0), &[&der::sequence(&along)]),
        };
        let basic = der::sequence(&[
            to_be_signed,
            &self.algorithm.identifier(),
            &der::tlv(der::BIT_STRING, &[&[0], signature]),
            &along,
        ]);
        let octets = der::sequence(&[
            &der::tlv(der::OID, &[BASIC]),
            &der::tlv(der::OCTET_STRING, &[&basic]),
        ]);
        der::sequence(&[&[der::ENUMERATED, 1, 0], &der::tlv(context(0), &[&octets])])
    }
}

/// A response that says only that something went wrong here (RFC 6960 2.3).
pub fn internal_error() -> Vec<u8> {
    der::sequence(&[&[der::ENUMERATED, 1, 2]])
}

/// RFC 6960 4.2.2.1: GeneralizedTime, and by RFC 5280 4.1.2.5.2 without a fraction.
fn whole_seconds(t: UtcTime) -> Vec<u8> {
    der::generalized_time(UtcTime::from_unix_s(t.unix_s()))
}
