//! The names of extensions (RFC 5280 4.2, 5.2, 5.3; RFC 6960 4.4), as content octets of their OBJECT IDENTIFIERs, and the
//! walk over a list of them.
//!
//! What a value means is read by whoever needs it; here only the frame is looked at.

use super::der::{self, DerError, Reader};

pub const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 17];
pub const NAME_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 30];
pub const CRL_DISTRIBUTION_POINTS: &[u8] = &[0x55, 0x1d, 31];
pub const CERTIFICATE_POLICIES: &[u8] = &[0x55, 0x1d, 32];
pub const POLICY_MAPPINGS: &[u8] = &[0x55, 0x1d, 33];
pub const AUTHORITY_KEY_ID: &[u8] = &[0x55, 0x1d, 35];
pub const POLICY_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 36];
pub const INHIBIT_ANY_POLICY: &[u8] = &[0x55, 0x1d, 54];
/// RFC 9608: nothing will ever be published about this certificate.
pub const NO_REV_AVAIL: &[u8] = &[0x55, 0x1d, 56];
pub const AUTHORITY_INFO_ACCESS: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 1, 1];
/// RFC 6960 4.2.2.2.1: the status of this OCSP responder is not to be asked for.
pub const OCSP_NO_CHECK: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 48, 1, 5];

// Of revocation lists and OCSP responses.
pub const ISSUER_ALT_NAME: &[u8] = &[0x55, 0x1d, 18];
pub const CRL_NUMBER: &[u8] = &[0x55, 0x1d, 20];
pub const REASON_CODE: &[u8] = &[0x55, 0x1d, 21];
pub const INVALIDITY_DATE: &[u8] = &[0x55, 0x1d, 24];
pub const DELTA_CRL_INDICATOR: &[u8] = &[0x55, 0x1d, 27];
pub const ISSUING_DISTRIBUTION_POINT: &[u8] = &[0x55, 0x1d, 28];
pub const CERTIFICATE_ISSUER: &[u8] = &[0x55, 0x1d, 29];
/// X.509 9.5.2.8: the list keeps certificates that expired after this moment.
pub const EXPIRED_CERTS_ON_CRL: &[u8] = &[0x55, 0x1d, 60];
pub const OCSP_NONCE: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 48, 1, 2];
pub const OCSP_ARCHIVE_CUTOFF: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 48, 1, 6];

/// Extensions of certificates that are obeyed, though not where the certificate is read.
pub(super) const READ_ELSEWHERE: &[&[u8]] = &[
    NAME_CONSTRAINTS,
    CRL_DISTRIBUTION_POINTS,
    CERTIFICATE_POLICIES,
    POLICY_MAPPINGS,
    AUTHORITY_KEY_ID,
    POLICY_CONSTRAINTS,
    INHIBIT_ANY_POLICY,
    NO_REV_AVAIL,
    AUTHORITY_INFO_ACCESS,
    OCSP_NO_CHECK,
];

/// Most extensions in one list.
const EXTENSIONS_MAX: usize = 32;

/// Calls `each` with (OID, critical, value) for every extension of the SEQUENCE OF that `octets` are. None may stand twice.
pub(super) fn each<'a>(
    octets: &'a [u8],
    mut each: impl FnMut(&'a [u8], bool, &'a [u8]) -> Result<(), DerError>,
) -> Result<(), DerError> {
    let mut list = der::whole(octets, der::SEQUENCE, "extensions")?;
    let mut seen: Vec<&[u8]> = Vec::new();
    while !list.is_empty() {
        let (oid, critical, value) = one(&mut list)?;
        if seen.contains(&oid) || seen.len() >= EXTENSIONS_MAX {
            return Err(DerError("an extension stands twice, or too many"));
        }
        seen.push(oid);
        each(oid, critical, value)?;
    }
    Ok(())
}

fn one<'a>(list: &mut Reader<'a>) -> Result<(&'a [u8], bool, &'a [u8]), DerError> {
    let mut fields = list.enter(der::SEQUENCE, "extension")?;
    let oid = fields.expect(der::OID, "extension")?.value;
    let critical = match fields.optional(der::BOOLEAN)?.map(|b| b.value) {
        None | Some([0]) => false,
        Some([0xff]) => true,
        Some(_) => return Err(DerError("extension: critical")),
    };
    let value = fields.expect(der::OCTET_STRING, "extension")?.value;
    fields.end("extension")?;
    Ok((oid, critical, value))
}

/// The one GeneralizedTime that a value is.
pub(super) fn moment(value: &[u8]) -> Result<crate::clock::UtcTime, DerError> {
    let mut reader = Reader::new(value);
    let time = reader.expect(der::GENERALIZED_TIME, "time")?;
    reader.end("time")?;
    der::read_time(&time)
}

/// One extension as it is written.
pub fn write(oid: &[u8], critical: bool, value: &[u8]) -> Vec<u8> {
    let critical: &[u8] = if critical { &[der::BOOLEAN, 1, 0xff] } else { &[] };
    der::sequence(&[
        &der::tlv(der::OID, &[oid]),
        critical,
        &der::tlv(der::OCTET_STRING, &[value]),
    ])
}
