//! What comes along with a signature beside its value: the policy it says it follows, and certificates and revocation
//! values by which it can be judged later (CAdES: EN 319 122-1 5.2.9, and RFC 5126 6.3.3 and 6.3.4 for the forms XL; the
//! field `crls`, where newer forms have them, is read in `cms::revocation_info`).
//!
//! Only read here. The policy stands among the signed attributes; the values do not, and need not: each is signed by its own
//! authority, and whether it holds is said by `cms::revocation`. The text of a policy is at no place to be fetched from, so
//! its digest in the attribute is not compared with anything.

use super::{Attributes, CmsError, SIGNED_DATA_MAX_OCTETS, SignedView, definite_within};
use crate::cms::algorithm::DigestAlgorithm;
use crate::cms::certificate::{Certificate, KeyKind};
use crate::cms::der::{self, DerError, Reader, Tlv, context};
use crate::cms::revocation::{RevocationValues, VALUES_MAX};

/// Largest signature of a person that is read, in octets: one of the form XL carries whole revocation lists.
pub const PERSONAL_MAX_OCTETS: usize = 4 * 1024 * 1024;
/// Most certificates among the values: those of a path, of responders and of authorities of time.
const CERTIFICATES_MAX: usize = 32;

/// id-aa-ets-sigPolicyId
const ATTR_POLICY: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 16, 2, 15];
/// id-aa-ets-certValues
const ATTR_CERTIFICATE_VALUES: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 16, 2, 23];
/// id-aa-ets-revocationValues
const ATTR_REVOCATION_VALUES: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 16, 2, 24];

/// id-pkix-ocsp-basic
const OCSP_BASIC: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 48, 1, 1];

/// What came along.
#[derive(Debug, Clone)]
pub struct Along {
    /// The algorithm that the content's digest is needed in.
    pub digest: DigestAlgorithm,
    /// The kind of the signer's key, when his certificate is there and can be read.
    pub signer_key: Option<KeyKind>,
    /// The policy the signer says he followed, dotted.
    pub policy: Option<String>,
    pub certificates: Vec<Certificate>,
    pub values: RevocationValues,
}

/// Reads what came along with a detached signature; nothing is verified.
pub fn read(cms_der: &[u8]) -> Result<Along, CmsError> {
    let octets = definite_within(cms_der, PERSONAL_MAX_OCTETS)?;
    let view = SignedView::read(&octets)?;
    let signed = Attributes::read(view.signed_attributes.value)?;
    let policy = match signed.single(ATTR_POLICY)? {
        Some(value) => policy_named(&value)?,
        None => None,
    };
    let mut along = Along {
        digest: view.digest,
        signer_key: view.signer_key(),
        policy,
        certificates: Vec::new(),
        values: view.revocation_info.values(&[]),
    };
    if let Some(unsigned) = view.unsigned_attributes {
        let unsigned = Attributes::read(unsigned.value)?;
        if let Some(list) = unsigned.single(ATTR_CERTIFICATE_VALUES)? {
            along.certificates = certificate_values(&list)?;
        }
        if let Some(values) = unsigned.single(ATTR_REVOCATION_VALUES)? {
            along.values.add_all(revocation_values(&values)?);
        }
    }
    Ok(along)
}

impl SignedView<'_> {
    fn signer_key(&self) -> Option<KeyKind> {
        let readable = self
            .certificates
            .iter()
            .filter_map(|c| Certificate::from_der(c).ok());
        let mut signers = readable.filter(|c| self.names(c));
        signers.next().map(|c| c.key_kind())
    }
}

/// SignaturePolicy: SEQUENCE { sigPolicyId OID, ... }, or NULL where it is implied.
fn policy_named(value: &Tlv<'_>) -> Result<Option<String>, CmsError> {
    if value.tag != der::SEQUENCE {
        return Ok(None);
    }
    let mut fields = Reader::new(value.value);
    Ok(Some(der::dotted(
        fields.expect(der::OID, "signature policy")?.value,
    )))
}

fn certificate_values(value: &Tlv<'_>) -> Result<Vec<Certificate>, CmsError> {
    let mut certificates = Vec::new();
    for octets in listed(value, CERTIFICATES_MAX)? {
        certificates.extend(Certificate::from_der(octets).ok());
    }
    Ok(certificates)
}

/// `SEQUENCE { crlVals [0], ocspVals [1], other [2] }`, tagged explicitly (RFC 5126 annex A).
fn revocation_values(value: &Tlv<'_>) -> Result<RevocationValues, CmsError> {
    if value.tag != der::SEQUENCE {
        return Err(DerError("revocation values").into());
    }
    let mut fields = Reader::new(value.value);
    let mut values = RevocationValues::default();
    if let Some(lists) = fields.optional(context(0))? {
        let list = super::one(lists.value, der::SEQUENCE, "revocation lists")?;
        values.crls = listed(&list, VALUES_MAX)?
            .into_iter()
            .map(<[u8]>::to_vec)
            .collect();
    }
    if let Some(responses) = fields.optional(context(1))? {
        let list = super::one(responses.value, der::SEQUENCE, "OCSP responses")?;
        let basic = listed(&list, VALUES_MAX)?.into_iter();
        values.ocsp = basic.map(successful).collect();
    }
    Ok(values)
}

/// The OCSPResponse around a BasicOCSPResponse that stands alone (RFC 6960 4.2.1): status successful, and the response as
/// it is.
fn successful(basic: &[u8]) -> Vec<u8> {
    let octets = der::tlv(der::OCTET_STRING, &[basic]);
    let bytes = der::sequence(&[&der::tlv(der::OID, &[OCSP_BASIC]), &octets]);
    der::sequence(&[
        &der::tlv(der::ENUMERATED, &[&[0]]),
        &der::tlv(context(0), &[&bytes]),
    ])
}

/// The elements of a SEQUENCE OF SEQUENCE, as they came.
fn listed<'a>(value: &Tlv<'a>, max: usize) -> Result<Vec<&'a [u8]>, CmsError> {
    if value.tag != der::SEQUENCE {
        return Err(DerError("a list of values").into());
    }
    let mut list = Reader::new(value.value);
    let mut out = Vec::new();
    while !list.is_empty() {
        if out.len() >= max {
            return Err(CmsError::Profile("too many values came along"));
        }
        out.push(list.expect(der::SEQUENCE, "value")?.raw);
    }
    Ok(out)
}

// A signature of a person is never smaller than what is read of others.
const _: () = assert!(PERSONAL_MAX_OCTETS >= SIGNED_DATA_MAX_OCTETS);
