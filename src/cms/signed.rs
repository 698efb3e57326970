//! SignedData (RFC 5652) as CAdES has it (EN 319 122-1): building around a signature made elsewhere, and strict reading.
//!
//! The content itself is never here, only its digest: a body of 25 MB is hashed where it streams. Exactly one signer;
//! signed attributes contentType, messageDigest, signingTime and signingCertificateV2 (RFC 5035). What is verified is
//! the octets as they came: the SET OF of signed attributes is re-tagged (RFC 5652 5.4), never encoded again.

use super::algorithm::{ContentDigest, DigestAlgorithm, SignatureAlgorithm};
use super::ber;
use super::certificate::Certificate;
use super::der::{self, DerError, Reader, Tlv, context};
use super::memory::{CertificateMemory, Known};
use super::name;
use super::revocation::RevocationValues;
use super::revocation_info::RevocationInfo;
use crate::clock::UtcTime;
use std::borrow::Cow;

pub mod along;

/// Largest SignedData read, in octets: a chain of certificates and a time-stamp token stay far below it.
pub const SIGNED_DATA_MAX_OCTETS: usize = 256 * 1024;
/// Most certificates looked at in one SignedData.
pub const CERTIFICATES_MAX: usize = 16;
/// Most attributes looked at in one set.
const ATTRIBUTES_MAX: usize = 32;

const OID_SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 2];
/// A signature over the content itself: nothing says when, or by which certificate, it was made.
pub(crate) const NO_SIGNED_ATTRIBUTES: &str = "signed attributes are missing";
/// id-data
pub const CONTENT_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 1];
/// id-ct-TSTInfo
pub const CONTENT_TST_INFO: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 16, 1, 4];
const ATTR_CONTENT_TYPE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 3];
const ATTR_MESSAGE_DIGEST: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 4];
const ATTR_SIGNING_TIME: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 5];
const ATTR_SIGNING_CERTIFICATE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 16, 2, 12];
const ATTR_SIGNING_CERTIFICATE_V2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 16, 2, 47];
const ATTR_SIGNATURE_TIME_STAMP: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 16, 2, 14];

/// Why a SignedData is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CmsError {
    #[error(transparent)]
    Der(#[from] DerError),
    #[error("the SignedData is larger than {SIGNED_DATA_MAX_OCTETS} octets")]
    TooLarge,
    #[error("the signature does not follow the profile: {0}")]
    Profile(&'static str),
    #[error("the content is not what was signed")]
    ContentDigest,
    #[error("the signature needs the {0:?} digest of the content")]
    OtherDigest(DigestAlgorithm),
    #[error("the signing-certificate attribute does not match the signer's certificate")]
    SigningCertificate,
    #[error("the signature value does not verify")]
    Signature,
}

/// The signed attributes, ready to be signed.
#[derive(Debug, Clone)]
pub struct SignedAttributes(Vec<u8>);

impl SignedAttributes {
    /// `content_type` is [`CONTENT_DATA`] or [`CONTENT_TST_INFO`]; the digest is in the algorithm of the signature.
    pub fn new(content_type: &[u8], content_digest: &[u8], signer: &Certificate, time: UtcTime) -> Self {
        // ESSCertIDv2 with its default algorithm SHA-256 left out, as DER asks (RFC 5035 4).
        let certificate_id = der::sequence(&[&der::tlv(der::OCTET_STRING, &[&signer.fingerprint()])]);
        let signing_certificate = der::sequence(&[&der::sequence(&[&certificate_id])]);
        Self(der::set_of(
            der::SET,
            vec![
                attribute(ATTR_CONTENT_TYPE, &der::tlv(der::OID, &[content_type])),
                attribute(ATTR_SIGNING_TIME, &der::time(time)),
                attribute(
                    ATTR_MESSAGE_DIGEST,
                    &der::tlv(der::OCTET_STRING, &[content_digest]),
                ),
                attribute(ATTR_SIGNING_CERTIFICATE_V2, &signing_certificate),
            ],
        ))
    }

    /// The octets to be signed, with the digest algorithm of the content: the DER of the SET OF (RFC 5652 5.4).
    pub fn to_be_signed(&self) -> &[u8] {
        &self.0
    }
}

/// What goes into a SignedData around the signature.
#[derive(Debug, Clone, Copy)]
pub struct Assembly<'a> {
    pub attributes: &'a SignedAttributes,
    pub signer: &'a Certificate,
    /// Intermediates, put behind the signer's certificate.
    pub chain: &'a [Certificate],
    pub algorithm: SignatureAlgorithm,
    /// ECDSA: DER.
    pub signature: &'a [u8],
    pub content_type: &'a [u8],
    /// None for a detached signature.
    pub content: Option<&'a [u8]>,
    /// signature-time-stamp, as an unsigned attribute.
    pub stamp_token: Option<&'a [u8]>,
}

impl Assembly<'_> {
    /// The DER of the ContentInfo, with the signer's certificate and the chain in it.
    pub fn der(&self) -> Vec<u8> {
        let certificates = std::iter::once(self.signer)
            .chain(self.chain)
            .map(|c| c.der().to_vec());
        self.content_info(&der::set_of(context(0), certificates.collect()))
    }

    /// The same without certificates (RFC 3161 2.4.1: certReq false).
    pub fn der_without_certificates(&self) -> Vec<u8> {
        self.content_info(&[])
    }

    fn content_info(&self, certificates: &[u8]) -> Vec<u8> {
        let digest = self.algorithm.digest_algorithm().identifier();
        let content = self
            .content
            .map(|c| der::tlv(context(0), &[&der::tlv(der::OCTET_STRING, &[c])]))
            .unwrap_or_default();
        // RFC 5652 5.1: version 3 when the content is not id-data.
        let version: &[u8] = if self.content_type == CONTENT_DATA {
            &[1]
        } else {
            &[3]
        };
        let signed_data = der::sequence(&[
            &der::tlv(der::INTEGER, &[version]),
            &der::tlv(der::SET, &[&digest]),
            &der::sequence(&[&der::tlv(der::OID, &[self.content_type]), &content]),
            certificates,
            &der::tlv(der::SET, &[&self.signer_info(&digest)]),
        ]);
        der::sequence(&[
            &der::tlv(der::OID, &[OID_SIGNED_DATA]),
            &der::tlv(context(0), &[&signed_data]),
        ])
    }

    fn signer_info(&self, digest: &[u8]) -> Vec<u8> {
        let mut attributes = self.attributes.0.clone();
        attributes[0] = context(0);
        let unsigned = self
            .stamp_token
            .map(|token| der::tlv(context(1), &[&attribute(ATTR_SIGNATURE_TIME_STAMP, token)]))
            .unwrap_or_default();
        der::sequence(&[
            &der::tlv(der::INTEGER, &[&[1]]),
            &der::sequence(&[
                self.signer.issuer_der(),
                &der::tlv(der::INTEGER, &[self.signer.serial()]),
            ]),
            digest,
            &attributes,
            &self.algorithm.identifier(),
            &der::tlv(der::OCTET_STRING, &[self.signature]),
            &unsigned,
        ])
    }
}

fn attribute(oid: &[u8], value: &[u8]) -> Vec<u8> {
    der::sequence(&[&der::tlv(der::OID, &[oid]), &der::tlv(der::SET, &[value])])
}

/// A signature that verified; nothing is said about trust.
#[derive(Debug, Clone)]
pub struct Verified {
    pub signer: Certificate,
    /// Every certificate that came along and could be read, the signer's included.
    pub certificates: Vec<Certificate>,
    /// What the signer says; not proven by anybody.
    pub signing_time: Option<UtcTime>,
    pub algorithm: SignatureAlgorithm,
    /// The octets a signature time-stamp is over.
    pub signature_value: Vec<u8>,
    /// The DER of the signature-time-stamp token, when there is one; not checked here.
    pub stamp_token: Option<Vec<u8>>,
    /// Whether the signer signed by which certificate he signs (signing-certificate-v2, EN 319 122-1 5.2.2.3).
    pub names_certificate: bool,
    /// What came along to judge by; unsigned, and proven by nobody.
    pub values: RevocationValues,
}

/// The digest algorithm that a detached signature needs the content's digest in.
pub fn digest_algorithm(cms_der: &[u8]) -> Result<DigestAlgorithm, CmsError> {
    Ok(SignedView::read(&definite(cms_der)?)?.digest)
}

/// Verifies a detached signature over id-data against the content's digest.
pub fn verify_detached(cms_der: &[u8], content: &ContentDigest) -> Result<Verified, CmsError> {
    let (max_octets, wanted) = (SIGNED_DATA_MAX_OCTETS, SigningCertificate::V2);
    verify_detached_within(cms_der, content, max_octets, wanted, Known::default())
}

/// The same, by whoever verifies many that carry the same certificates.
pub fn verify_detached_by(
    memory: &CertificateMemory,
    cms_der: &[u8],
    content: &ContentDigest,
) -> Result<Verified, CmsError> {
    let (max_octets, wanted) = (SIGNED_DATA_MAX_OCTETS, SigningCertificate::V2);
    verify_detached_within(cms_der, content, max_octets, wanted, Known::memory(memory))
}

/// The same of a person's signature: it may be larger, because it brings revocation lists along, and need not name its
/// certificate ([`Verified::names_certificate`] tells).
pub fn verify_personal(cms_der: &[u8], content: &ContentDigest) -> Result<Verified, CmsError> {
    verify_detached_within(
        cms_der,
        content,
        along::PERSONAL_MAX_OCTETS,
        SigningCertificate::NotAsked,
        Known::default(),
    )
}

fn verify_detached_within(
    cms_der: &[u8],
    content: &ContentDigest,
    max_octets: usize,
    wanted: SigningCertificate,
    known: Known<'_>,
) -> Result<Verified, CmsError> {
    let octets = definite_within(cms_der, max_octets)?;
    let view = SignedView::read(&octets)?;
    if view.content_type != CONTENT_DATA || view.content.is_some() {
        return Err(CmsError::Profile("not a detached signature over id-data"));
    }
    if view.digest != content.algorithm() {
        return Err(CmsError::OtherDigest(view.digest));
    }
    view.verify_among(content.octets(), wanted, known)
}

/// Who made a detached signature, and when, without the content: everything is verified but that the digest that was signed
/// is the content's.
pub fn verify_but_content(cms_der: &[u8]) -> Result<Verified, CmsError> {
    let octets = definite(cms_der)?;
    let view = SignedView::read(&octets)?;
    if view.content_type != CONTENT_DATA || view.content.is_some() {
        return Err(CmsError::Profile("not a detached signature over id-data"));
    }
    let attributes = Attributes::read(view.signed_attributes.value)?;
    let digest = attributes
        .single(ATTR_MESSAGE_DIGEST)?
        .ok_or(CmsError::Profile("no messageDigest"))?;
    view.verify(digest.value, SigningCertificate::V2)
}

/// The octets with definite lengths, after a look at their size.
pub(super) fn definite(octets: &[u8]) -> Result<Cow<'_, [u8]>, CmsError> {
    definite_within(octets, SIGNED_DATA_MAX_OCTETS)
}

fn definite_within(octets: &[u8], max_octets: usize) -> Result<Cow<'_, [u8]>, CmsError> {
    if octets.len() > max_octets {
        return Err(CmsError::TooLarge);
    }
    Ok(ber::definite(octets)?)
}

/// Which signing-certificate attribute is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SigningCertificate {
    V2,
    /// RFC 3161 names the first version (SHA-1), RFC 5816 the second.
    V1OrV2,
    /// None is asked for; one that is there has to be the signer's all the same.
    NotAsked,
}

/// A SignedData with one signer, as slices.
pub(super) struct SignedView<'a> {
    pub version: u8,
    pub content_type: &'a [u8],
    pub content: Option<&'a [u8]>,
    pub digest: DigestAlgorithm,
    certificates: Vec<&'a [u8]>,
    revocation_info: RevocationInfo<'a>,
    sid: Tlv<'a>,
    signed_attributes: Tlv<'a>,
    algorithm: SignatureAlgorithm,
    signature: &'a [u8],
    unsigned_attributes: Option<Tlv<'a>>,
}

impl<'a> SignedView<'a> {
    pub fn read(octets: &'a [u8]) -> Result<Self, CmsError> {
        let mut info = der::whole(octets, der::SEQUENCE, "ContentInfo")?;
        if info.expect(der::OID, "contentType")?.value != OID_SIGNED_DATA {
            return Err(CmsError::Profile("not SignedData"));
        }
        let explicit = info.expect(context(0), "content")?.value;
        info.end("ContentInfo")?;
        let mut fields = der::whole(explicit, der::SEQUENCE, "SignedData")?;
        let version = small_integer(&mut fields)?;
        let digests = fields.expect(der::SET, "digestAlgorithms")?;
        let mut encapsulated = fields.enter(der::SEQUENCE, "encapContentInfo")?;
        let content_type = encapsulated.expect(der::OID, "eContentType")?.value;
        let content = match encapsulated.optional(context(0))? {
            None => None,
            Some(e) => Some(one(e.value, der::OCTET_STRING, "eContent")?.value),
        };
        encapsulated.end("encapContentInfo")?;
        let certificates = certificate_slices(fields.optional(context(0))?)?;
        let revocation_info = RevocationInfo::read(fields.optional(context(1))?)?;
        let signers = fields.expect(der::SET, "signerInfos")?;
        fields.end("SignedData")?;
        let mut view = Self::read_signer(signers.value)?;
        if !digest_set_has(digests.value, view.digest)? {
            return Err(CmsError::Profile("the digest algorithm is not announced"));
        }
        view.version = version;
        view.content_type = content_type;
        view.content = content;
        view.certificates = certificates;
        view.revocation_info = revocation_info;
        Ok(view)
    }

    fn read_signer(octets: &'a [u8]) -> Result<Self, CmsError> {
        let mut signers = Reader::new(octets);
        let mut s = signers.enter(der::SEQUENCE, "SignerInfo")?;
        signers.end("more than one signer")?;
        let version = small_integer(&mut s)?;
        let sid = s.any()?;
        // RFC 5652 5.3: issuer and serial number with version 1, key identifier with 3.
        if !matches!((version, sid.tag), (1, der::SEQUENCE) | (3, 0x80)) {
            return Err(CmsError::Profile("signer identifier"));
        }
        let digest = DigestAlgorithm::read(s.enter(der::SEQUENCE, "digestAlgorithm")?)?;
        let signed_attributes = s.expect(context(0), NO_SIGNED_ATTRIBUTES)?;
        let algorithm =
            SignatureAlgorithm::read(s.enter(der::SEQUENCE, "signatureAlgorithm")?, Some(digest))?;
        if algorithm.digest_algorithm() != digest {
            return Err(CmsError::Profile("two digest algorithms"));
        }
        let signature = s.expect(der::OCTET_STRING, "signature")?.value;
        let unsigned_attributes = s.optional(context(1))?;
        s.end("SignerInfo")?;
        Ok(Self {
            version,
            content_type: &[],
            content: None,
            digest,
            certificates: Vec::new(),
            revocation_info: RevocationInfo::default(),
            sid,
            signed_attributes,
            algorithm,
            signature,
            unsigned_attributes,
        })
    }

    /// Everything that needs no trust: content digest, signing certificate, signature value.
    pub fn verify(&self, content_digest: &[u8], wanted: SigningCertificate) -> Result<Verified, CmsError> {
        self.verify_among(content_digest, wanted, Known::default())
    }

    /// The same; the signer's certificate may be among `known` when it did not come along (RFC 3161 2.4.1).
    pub fn verify_among(
        &self,
        content_digest: &[u8],
        wanted: SigningCertificate,
        known: Known<'_>,
    ) -> Result<Verified, CmsError> {
        // RFC 5652 5.1: 5 where other revocation information than lists is along.
        let fits = matches!(self.version, 1 | 3) || (self.version == 5 && self.revocation_info.has_other);
        if !fits || (self.content_type != CONTENT_DATA && self.version == 1) {
            return Err(CmsError::Profile("SignedData version"));
        }
        let attributes = Attributes::read(self.signed_attributes.value)?;
        // RFC 5652 5.4: what is signed is the DER of the SET. Verifiers that encode it anew find another order, and say no.
        if !attributes.sorted {
            return Err(CmsError::Profile("the signed attributes are not in DER order"));
        }
        let content_type = attributes
            .single(ATTR_CONTENT_TYPE)?
            .ok_or(CmsError::Profile("no contentType"))?;
        if content_type.tag != der::OID || content_type.value != self.content_type {
            return Err(CmsError::Profile("contentType"));
        }
        let digest = attributes
            .single(ATTR_MESSAGE_DIGEST)?
            .ok_or(CmsError::Profile("no messageDigest"))?;
        if digest.tag != der::OCTET_STRING || digest.value != content_digest {
            return Err(CmsError::ContentDigest);
        }
        let signing_time = match attributes.single(ATTR_SIGNING_TIME)? {
            Some(t) => Some(der::read_time(&t)?),
            None => None,
        };
        let certificates: Vec<Certificate> = self
            .certificates
            .iter()
            .filter_map(|c| known.read(c).ok())
            .collect();
        let signer = certificates
            .iter()
            .chain(known.certificates)
            .find(|c| self.names(c))
            .ok_or(CmsError::Profile(
                "the signer's certificate is not in the signature",
            ))?
            .clone();
        let names_certificate = attributes.check_signing_certificate(&signer, wanted)?;
        let mut to_be_signed = self.signed_attributes.raw.to_vec();
        to_be_signed[0] = der::SET;
        if !signer.verify(self.algorithm, &to_be_signed, self.signature) {
            return Err(CmsError::Signature);
        }
        let stamp_token = match self.unsigned_attributes {
            Some(u) => Attributes::read(u.value)?
                .single(ATTR_SIGNATURE_TIME_STAMP)?
                .map(|t| t.raw.to_vec()),
            None => None,
        };
        Ok(Verified {
            signer,
            values: self.revocation_info.values(&certificates),
            certificates,
            signing_time,
            algorithm: self.algorithm,
            signature_value: self.signature.to_vec(),
            stamp_token,
            names_certificate,
        })
    }

    fn names(&self, c: &Certificate) -> bool {
        if self.sid.tag == 0x80 {
            return c.subject_key_id() == Some(self.sid.value);
        }
        let mut fields = Reader::new(self.sid.value);
        let (Ok(issuer), Ok(serial)) = (fields.any(), fields.expect(der::INTEGER, "serialNumber")) else {
            return false;
        };
        fields.is_empty() && issuer.raw == c.issuer_der() && serial.value == c.serial()
    }
}

/// A set of attributes, each type at most once.
struct Attributes<'a> {
    list: Vec<(&'a [u8], &'a [u8])>,
    /// Whether they stand in DER order (X.690 11.6).
    sorted: bool,
}

impl<'a> Attributes<'a> {
    fn read(octets: &'a [u8]) -> Result<Self, CmsError> {
        let mut list = Reader::new(octets);
        let mut out: Vec<(&[u8], &[u8])> = Vec::new();
        let (mut before, mut sorted): (&[u8], bool) = (&[], true);
        while !list.is_empty() {
            let whole = list.expect(der::SEQUENCE, "attribute")?;
            sorted &= before <= whole.raw;
            before = whole.raw;
            let mut fields = Reader::new(whole.value);
            let oid = fields.expect(der::OID, "attribute type")?.value;
            let values = fields.expect(der::SET, "attribute values")?.value;
            fields.end("attribute")?;
            if out.len() >= ATTRIBUTES_MAX || out.iter().any(|(seen, _)| *seen == oid) {
                return Err(CmsError::Profile("an attribute stands twice, or too many"));
            }
            out.push((oid, values));
        }
        Ok(Self { list: out, sorted })
    }

    /// The one value of an attribute that may have only one.
    fn single(&self, oid: &[u8]) -> Result<Option<Tlv<'a>>, CmsError> {
        let Some((_, values)) = self.list.iter().find(|(o, _)| *o == oid) else {
            return Ok(None);
        };
        let mut values = Reader::new(values);
        let value = values.any()?;
        values.end("an attribute with several values")?;
        Ok(Some(value))
    }

    /// Every version that is there must name the certificate (RFC 5035 3: they name the same). Says whether the second does.
    fn check_signing_certificate(
        &self,
        c: &Certificate,
        wanted: SigningCertificate,
    ) -> Result<bool, CmsError> {
        let (first, second) = (
            self.single(ATTR_SIGNING_CERTIFICATE)?,
            self.single(ATTR_SIGNING_CERTIFICATE_V2)?,
        );
        let has_wanted = match wanted {
            SigningCertificate::V2 => second.is_some(),
            SigningCertificate::V1OrV2 => first.is_some() || second.is_some(),
            SigningCertificate::NotAsked => true,
        };
        if !has_wanted {
            return Err(CmsError::Profile("no signing-certificate attribute"));
        }
        let names_certificate = second.is_some();
        if let Some(value) = first {
            use aws_lc_rs::digest;
            let sha1 = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, c.der());
            match_certificate_id(first_certificate_id(&value)?, sha1.as_ref(), c)?;
        }
        if let Some(value) = second {
            let mut id = first_certificate_id(&value)?;
            let algorithm = match id.peek() {
                Some(der::SEQUENCE) => DigestAlgorithm::read(id.enter(der::SEQUENCE, "hashAlgorithm")?)?,
                _ => DigestAlgorithm::Sha256,
            };
            match_certificate_id(id, &algorithm.digest(c.der()), c)?;
        }
        Ok(names_certificate)
    }
}

fn first_certificate_id<'a>(value: &Tlv<'a>) -> Result<Reader<'a>, CmsError> {
    if value.tag != der::SEQUENCE {
        return Err(CmsError::SigningCertificate);
    }
    let mut fields = Reader::new(value.value);
    let mut list = fields.enter(der::SEQUENCE, "signing certificates")?;
    Ok(list.enter(der::SEQUENCE, "signing certificate")?)
}

fn match_certificate_id(mut id: Reader<'_>, digest: &[u8], c: &Certificate) -> Result<(), CmsError> {
    let hash_fits = id.expect(der::OCTET_STRING, "certHash")?.value == digest;
    let issuer_fits = match id.optional(der::SEQUENCE)? {
        None => true,
        Some(issuer_serial) => {
            let mut fields = Reader::new(issuer_serial.value);
            let issuer = fields.expect(der::SEQUENCE, "issuer")?.value;
            let serial = fields.expect(der::INTEGER, "serialNumber")?.value;
            // RFC 5035 4: for a certificate, the one directoryName of its issuer.
            name::directory_name(issuer).is_some_and(|n| name::same(n, c.issuer_der()))
                && serial == c.serial()
        }
    };
    if hash_fits && issuer_fits {
        Ok(())
    } else {
        Err(CmsError::SigningCertificate)
    }
}

fn certificate_slices(set: Option<Tlv<'_>>) -> Result<Vec<&[u8]>, CmsError> {
    let mut out = Vec::new();
    let mut list = Reader::new(set.map_or(&[][..], |s| s.value));
    while !list.is_empty() {
        let item = list.any()?;
        if out.len() >= CERTIFICATES_MAX {
            return Err(CmsError::Profile("too many certificates"));
        }
        // Other forms (attribute certificates) carry context tags.
        if item.tag == der::SEQUENCE {
            out.push(item.raw);
        }
    }
    Ok(out)
}

fn digest_set_has(octets: &[u8], wanted: DigestAlgorithm) -> Result<bool, CmsError> {
    let mut list = Reader::new(octets);
    let mut found = false;
    while !list.is_empty() {
        found |= DigestAlgorithm::read(list.enter(der::SEQUENCE, "digestAlgorithm")?) == Ok(wanted);
    }
    Ok(found)
}

pub(super) fn small_integer(fields: &mut Reader<'_>) -> Result<u8, DerError> {
    match fields.expect(der::INTEGER, "integer")?.value {
        [n] if *n < 0x80 => Ok(*n),
        _ => Err(DerError("small integer")),
    }
}

pub(super) fn one<'a>(octets: &'a [u8], tag: u8, what: &'static str) -> Result<Tlv<'a>, DerError> {
    let mut fields = Reader::new(octets);
    let only = fields.expect(tag, what)?;
    fields.end(what)?;
    Ok(only)
}
