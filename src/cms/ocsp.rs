//! The online certificate status protocol (RFC 6960): the request for one certificate, the response, and what is to be thought
//! of whoever signed it.
//!
//! Only BasicOCSPResponse. It counts when the certificate's own issuer signed it, or a delegate whom that very issuer (same
//! name, same key) certified for it; a responder that somebody merely configured does not exist here. SHA-1 is used to name a
//! certificate, as every responder knows it (RFC 6960 B.1): a name, not a signature; that is SHA-2. Whether a delegate is itself
//! revoked, and whether the answer is of the right time, is judged by `cms::revocation`.

mod writing;

pub use writing::{Answer, Asked, Request, internal_error, read_request};

use super::algorithm::{DigestAlgorithm, SignatureAlgorithm};
use super::certificate::{Certificate, EKU_OCSP_SIGNING, bit_string};
use super::crl::read_reason;
use super::der::{self, DerError, Reader, Tlv, context};
use super::extension;
use super::revocation::RevocationReason;
use crate::clock::UtcTime;
use aws_lc_rs::digest;

/// Largest response read: an answer and a short chain have 5 KiB.
pub const RESPONSE_MAX_OCTETS: usize = 64 * 1024;
/// Most answers, and most certificates, looked at in one response.
const ANSWERS_MAX: usize = 64;
const CERTIFICATES_MAX: usize = 8;
/// Longest nonce (RFC 9654 2.1: 1 to 128 octets).
const NONCE_MAX_OCTETS: usize = 128;

/// id-pkix-ocsp-basic 1.3.6.1.5.5.7.48.1.1
const BASIC: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 48, 1, 1];
const OID_SHA1: &[u8] = &[0x2b, 14, 3, 2, 26];

/// Why a response cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OcspError {
    #[error("the OCSP response cannot be read: {0}")]
    Der(#[from] DerError),
    #[error("the OCSP response is larger than {RESPONSE_MAX_OCTETS} octets")]
    TooLarge,
    /// RFC 6960 4.2.1: malformedRequest 1, internalError 2, tryLater 3, sigRequired 5, unauthorized 6.
    #[error("the OCSP responder gave no answer ({0})")]
    Unsuccessful(&'static str),
    #[error("the OCSP response says nothing of '{0}'")]
    OtherCertificate(String),
    #[error("the OCSP response names its responder, whose certificate is missing")]
    NoResponder,
    #[error("'{responder}' may not answer for certificates of '{issuer}'")]
    NotAuthorised { responder: String, issuer: String },
    #[error("the signature of '{0}' on the OCSP response does not verify")]
    Signature(String),
    #[error("the nonce of the OCSP response is not the one that was sent")]
    Nonce,
}

/// How the certificate is named to the responder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdDigest {
    /// What every responder knows.
    Sha1,
    Sha2(DigestAlgorithm),
}

impl IdDigest {
    fn digest(self, octets: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha1 => digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, octets)
                .as_ref()
                .to_vec(),
            Self::Sha2(algorithm) => algorithm.digest(octets),
        }
    }

    fn oid(self) -> &'static [u8] {
        match self {
            Self::Sha1 => OID_SHA1,
            Self::Sha2(algorithm) => algorithm.oid(),
        }
    }

    fn from_oid(oid: &[u8]) -> Option<Self> {
        if oid == OID_SHA1 {
            return Some(Self::Sha1);
        }
        DigestAlgorithm::from_oid(oid).map(Self::Sha2)
    }
}

/// CertID (RFC 6960 4.1.1), as slices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CertId<'a> {
    digest: Option<IdDigest>,
    issuer_name: &'a [u8],
    issuer_key: &'a [u8],
    /// Content octets.
    pub serial: &'a [u8],
}

impl<'a> CertId<'a> {
    fn read(mut fields: Reader<'a>) -> Result<Self, DerError> {
        let mut algorithm = fields.enter(der::SEQUENCE, "certificate id")?;
        let oid = algorithm.expect(der::OID, "certificate id")?.value;
        if algorithm
            .optional(der::NULL)?
            .is_some_and(|n| !n.value.is_empty())
        {
            return Err(DerError("certificate id"));
        }
        algorithm.end("certificate id")?;
        let issuer_name = fields.expect(der::OCTET_STRING, "certificate id")?.value;
        let issuer_key = fields.expect(der::OCTET_STRING, "certificate id")?.value;
        let serial = fields.expect(der::INTEGER, "certificate id")?.value;
        fields.end("certificate id")?;
        Ok(Self {
            digest: IdDigest::from_oid(oid),
            issuer_name,
            issuer_key,
            serial,
        })
    }

    /// Whether it is a certificate of this issuer.
    pub fn is_of(&self, issuer: &Certificate) -> bool {
        self.digest.is_some_and(|digest| {
            digest.digest(issuer.subject_der()) == self.issuer_name
                && digest.digest(issuer.key_octets()) == self.issuer_key
        })
    }
}

/// What a responder says of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Good,
    Revoked {
        at: UtcTime,
        reason: RevocationReason,
        invalid_since: Option<UtcTime>,
    },
    /// The responder does not know the certificate.
    Unknown,
}

/// One answer (SingleResponse).
#[derive(Debug, Clone, Copy)]
pub struct Single<'a> {
    id: CertId<'a>,
    pub status: Status,
    pub this_update: UtcTime,
    /// None: newer information is always to be had (RFC 6960 4.2.2.1).
    pub next_update: Option<UtcTime>,
    /// The responder knows of certificates that expired since this moment (RFC 6960 4.4.4).
    pub archive_cutoff: Option<UtcTime>,
}

/// A successful response; nothing is said about its signature yet.
#[derive(Debug, Clone)]
pub struct Response<'a> {
    tbs: &'a [u8],
    algorithm: SignatureAlgorithm,
    signature: &'a [u8],
    responder: Tlv<'a>,
    pub produced_at: UtcTime,
    answers: Vec<Single<'a>>,
    nonce: Option<&'a [u8]>,
    /// Certificates that came along and could be read.
    pub certificates: Vec<Certificate>,
}

/// What somebody signed.
#[derive(Clone, Copy)]
pub(super) enum Signed<'s> {
    Response(&'s Response<'s>),
    /// That of a delegate.
    Certificate(&'s Certificate),
}

impl Signed<'_> {
    pub fn is_signed_by(self, signer: &Certificate) -> bool {
        match self {
            Self::Response(response) => response.is_signed_by(signer),
            Self::Certificate(certificate) => certificate.is_signed_by(signer),
        }
    }
}

/// Who signed a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signer {
    Issuer,
    /// Certified for it by the issuer; its own standing is another question.
    Delegate(Certificate),
}

impl<'a> Response<'a> {
    pub fn read(octets: &'a [u8]) -> Result<Self, OcspError> {
        if octets.len() > RESPONSE_MAX_OCTETS {
            return Err(OcspError::TooLarge);
        }
        let mut response = der::whole(octets, der::SEQUENCE, "OCSPResponse")?;
        let status = response.expect(der::ENUMERATED, "responseStatus")?.value;
        if status != [0] {
            return Err(OcspError::Unsuccessful(match status {
                [1] => "malformedRequest",
                [2] => "internalError",
                [3] => "tryLater",
                [5] => "sigRequired",
                [6] => "unauthorized",
                _ => "unknown status",
            }));
        }
        let explicit = response.expect(context(0), "responseBytes")?.value;
        response.end("OCSPResponse")?;
        let mut octets = der::whole(explicit, der::SEQUENCE, "responseBytes")?;
        if octets.expect(der::OID, "responseType")?.value != BASIC {
            return Err(DerError("the response is not a basic one").into());
        }
        let basic = octets.expect(der::OCTET_STRING, "response")?.value;
        octets.end("responseBytes")?;
        Self::read_basic(basic)
    }

    fn read_basic(octets: &'a [u8]) -> Result<Self, OcspError> {
        let mut basic = der::whole(octets, der::SEQUENCE, "BasicOCSPResponse")?;
        let tbs = basic.expect(der::SEQUENCE, "tbsResponseData")?;
        let algorithm = SignatureAlgorithm::read(basic.enter(der::SEQUENCE, "signatureAlgorithm")?, None)?;
        let signature = bit_string(basic.expect(der::BIT_STRING, "signature")?)?;
        let certificates = match basic.optional(context(0))? {
            Some(explicit) => read_certificates(explicit.value)?,
            None => Vec::new(),
        };
        basic.end("BasicOCSPResponse")?;

        let mut t = Reader::new(tbs.value);
        // Version 1 is the default, so DER leaves it out; some write it.
        if let Some(version) = t.optional(context(0))?
            && version.value != [der::INTEGER, 1, 0]
        {
            return Err(DerError("version of the response").into());
        }
        let responder = t.any()?;
        let produced_at = generalized(&mut t, "producedAt")?;
        let mut list = t.enter(der::SEQUENCE, "responses")?;
        let mut answers = Vec::new();
        while !list.is_empty() {
            if answers.len() >= ANSWERS_MAX {
                return Err(DerError("too many answers").into());
            }
            answers.push(Single::read(list.enter(der::SEQUENCE, "SingleResponse")?)?);
        }
        let mut nonce = None;
        if let Some(extensions) = t.optional(context(1))? {
            extension::each(extensions.value, |oid, critical, value| match oid {
                extension::OCSP_NONCE => {
                    nonce = Some(value);
                    Ok(())
                }
                _ if critical => Err(DerError("a critical extension that is not understood")),
                _ => Ok(()),
            })?;
        }
        t.end("tbsResponseData")?;
        Ok(Self {
            tbs: tbs.raw,
            algorithm,
            signature,
            responder,
            produced_at,
            answers,
            nonce,
            certificates,
        })
    }

    /// The answer about `certificate`, which `issuer` issued; there may be only one.
    pub fn answer_for(
        &self,
        certificate: &Certificate,
        issuer: &Certificate,
    ) -> Result<&Single<'a>, OcspError> {
        let names = |s: &&Single<'a>| s.id.serial == certificate.serial() && s.id.is_of(issuer);
        let mut found = self.answers.iter().filter(names);
        match (found.next(), found.next()) {
            (Some(answer), None) => Ok(answer),
            (None, _) => Err(OcspError::OtherCertificate(certificate.subject())),
            (Some(_), Some(_)) => Err(DerError("two answers about one certificate").into()),
        }
    }

    /// Checks the signature and the right to it: the issuer of the certificate in question, or its delegate. `along` are
    /// further certificates, for responders that do not send their own.
    pub fn check_signed_for(&self, issuer: &Certificate, along: &[Certificate]) -> Result<Signer, OcspError> {
        self.signer(issuer, along, &|signed, signer| signed.is_signed_by(signer))
    }

    /// The same, with somebody else to say whether a signature holds, who may remember it. He is asked last: whatever the
    /// names, purposes and times refuse costs no signature.
    pub(super) fn signer(
        &self,
        issuer: &Certificate,
        along: &[Certificate],
        holds: &dyn Fn(Signed<'_>, &Certificate) -> bool,
    ) -> Result<Signer, OcspError> {
        if self.is_named(issuer) {
            if holds(Signed::Response(self), issuer) {
                return Ok(Signer::Issuer);
            }
            return Err(OcspError::Signature(issuer.subject()));
        }
        let all = self.certificates.iter().chain(along);
        let mut why = OcspError::NoResponder;
        for responder in all.filter(|c| self.is_named(c)) {
            match self.check_delegate(responder, issuer, holds) {
                Ok(()) => return Ok(Signer::Delegate(responder.clone())),
                Err(refused) => why = refused,
            }
        }
        Err(why)
    }

    /// RFC 6960 4.2.2.2: issued directly by the authority in question, for this purpose.
    fn check_delegate(
        &self,
        responder: &Certificate,
        issuer: &Certificate,
        holds: &dyn Fn(Signed<'_>, &Certificate) -> bool,
    ) -> Result<(), OcspError> {
        let has_purpose = responder
            .ext_key_usage()
            .is_some_and(|(_, list)| list.iter().any(|p| p == EKU_OCSP_SIGNING));
        let may_sign = responder.key_usage().is_none_or(|u| u.digital_signature());
        let may_answer = has_purpose
            && may_sign
            && responder.issuer_der() == issuer.subject_der()
            && responder.is_valid_at(self.produced_at)
            && !responder.has_unknown_critical();
        if !may_answer || !holds(Signed::Certificate(responder), issuer) {
            return Err(OcspError::NotAuthorised {
                responder: responder.subject(),
                issuer: issuer.subject(),
            });
        }
        if holds(Signed::Response(self), responder) {
            Ok(())
        } else {
            Err(OcspError::Signature(responder.subject()))
        }
    }

    fn is_signed_by(&self, signer: &Certificate) -> bool {
        signer.verify(self.algorithm, self.tbs, self.signature)
    }

    /// The serial numbers spoken of, of whichever issuers.
    pub fn serials(&self) -> impl Iterator<Item = &'a [u8]> {
        self.answers.iter().map(|answer| answer.id.serial)
    }

    /// Whether the responder id is this certificate: by name, or by the SHA-1 of its key (RFC 6960 4.2.1).
    fn is_named(&self, certificate: &Certificate) -> bool {
        match self.responder.tag {
            0xa1 => self.responder.value == certificate.subject_der(),
            0xa2 => {
                let key = Reader::new(self.responder.value).expect(der::OCTET_STRING, "key hash");
                key.is_ok_and(|k| k.value == IdDigest::Sha1.digest(certificate.key_octets()))
            }
            _ => false,
        }
    }

    /// Whether the nonce that was sent came back. False: the responder does not do nonces (RFC 6960 4.4.1), which many do
    /// not, for they answer in advance.
    pub fn check_nonce(&self, sent: &[u8]) -> Result<bool, OcspError> {
        let Some(value) = self.nonce else {
            return Ok(false);
        };
        // RFC 9654 2.1: an OCTET STRING in the value; older responders put the octets there bare.
        let inner = der::tlv(der::OCTET_STRING, &[sent]);
        if value.len() <= NONCE_MAX_OCTETS + 4 && (value == inner || value == sent) {
            Ok(true)
        } else {
            Err(OcspError::Nonce)
        }
    }
}

impl<'a> Single<'a> {
    fn read(mut fields: Reader<'a>) -> Result<Self, DerError> {
        let id = CertId::read(fields.enter(der::SEQUENCE, "certID")?)?;
        let status = fields.any()?;
        let mut status = match (status.tag, status.value) {
            (0x80, []) => Status::Good,
            (0x82, []) => Status::Unknown,
            (0xa1, revoked) => read_revoked(revoked)?,
            _ => return Err(DerError("certStatus")),
        };
        let this_update = generalized(&mut fields, "thisUpdate")?;
        let next_update = match fields.optional(context(0))? {
            Some(explicit) => Some(extension::moment(explicit.value)?),
            None => None,
        };
        let mut archive_cutoff = None;
        if let Some(extensions) = fields.optional(context(1))? {
            extension::each(extensions.value, |oid, critical, value| {
                match (oid, &mut status) {
                    (extension::OCSP_ARCHIVE_CUTOFF, _) => archive_cutoff = Some(extension::moment(value)?),
                    // RFC 6960 4.4.5: extensions of the entries of a list may stand here too.
                    (extension::INVALIDITY_DATE, Status::Revoked { invalid_since, .. }) => {
                        *invalid_since = Some(extension::moment(value)?);
                    }
                    _ if critical => return Err(DerError("a critical extension that is not understood")),
                    _ => {}
                }
                Ok(())
            })?;
        }
        fields.end("SingleResponse")?;
        if next_update.is_some_and(|next| next < this_update) {
            return Err(DerError("the answer ends before it begins"));
        }
        Ok(Self {
            id,
            status,
            this_update,
            next_update,
            archive_cutoff,
        })
    }
}

fn read_revoked(octets: &[u8]) -> Result<Status, DerError> {
    let mut fields = Reader::new(octets);
    let at = generalized(&mut fields, "revocationTime")?;
    let reason = match fields.optional(context(0))? {
        Some(explicit) => read_reason(explicit.value)?,
        None => RevocationReason::Unspecified,
    };
    fields.end("RevokedInfo")?;
    Ok(Status::Revoked {
        at,
        reason,
        invalid_since: None,
    })
}

fn generalized(fields: &mut Reader<'_>, what: &'static str) -> Result<UtcTime, DerError> {
    der::read_time(&fields.expect(der::GENERALIZED_TIME, what)?)
}

fn read_certificates(explicit: &[u8]) -> Result<Vec<Certificate>, DerError> {
    let mut list = der::whole(explicit, der::SEQUENCE, "certs")?;
    let mut out = Vec::new();
    while !list.is_empty() && out.len() < CERTIFICATES_MAX {
        // One that cannot be read signed nothing that could be checked.
        out.extend(Certificate::from_der(list.any()?.raw).ok());
    }
    Ok(out)
}
