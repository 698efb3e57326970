//! Revocation values that came along in a SignedData: its field `crls` (RFC 5652 10.2.1), where EN 319 122-1 5.4.1 puts those
//! of a lasting signature. Lists stand there as they are, OCSP responses as RFC 5940 has it.
//!
//! They are not signed; who judges by them checks their own signatures. Other kinds of values are passed over, as RFC 5652
//! allows. The older unsigned attributes (certificate-values, revocation-values) are not read.

use super::certificate::Certificate;
use super::der::{self, DerError, Reader, Tlv, context};
use super::revocation::{RevocationValues, VALUES_MAX};
use super::signed::CmsError;

/// id-ri-ocsp-response 1.3.6.1.5.5.7.16.2
const OCSP_RESPONSE: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 16, 2];

/// RevocationInfoChoices, as slices.
#[derive(Debug, Clone, Default)]
pub(super) struct RevocationInfo<'a> {
    crls: Vec<&'a [u8]>,
    ocsp: Vec<&'a [u8]>,
    /// Whether one is of another kind than a list: then the version of the SignedData is 5 (RFC 5652 5.1).
    pub has_other: bool,
}

impl<'a> RevocationInfo<'a> {
    pub fn read(set: Option<Tlv<'a>>) -> Result<Self, CmsError> {
        let mut out = Self::default();
        let mut list = Reader::new(set.map_or(&[][..], |s| s.value));
        let mut count = 0;
        while !list.is_empty() {
            let item = list.any()?;
            count += 1;
            if count > 2 * VALUES_MAX {
                return Err(CmsError::Profile("too many revocation values"));
            }
            match item.tag {
                der::SEQUENCE => out.crls.push(item.raw),
                tag if tag == context(1) => {
                    out.has_other = true;
                    let mut fields = Reader::new(item.value);
                    let format = fields.expect(der::OID, "otherRevInfoFormat")?.value;
                    let info = fields.any()?;
                    fields.end("other revocation information")?;
                    if format == OCSP_RESPONSE {
                        out.ocsp.push(info.raw);
                    }
                }
                _ => return Err(DerError("revocation information").into()),
            }
        }
        if out.crls.len() > VALUES_MAX || out.ocsp.len() > VALUES_MAX {
            return Err(CmsError::Profile("too many revocation values"));
        }
        Ok(out)
    }

    /// A copy; `certificates` came along too, and may be those of responders.
    pub fn values(&self, certificates: &[Certificate]) -> RevocationValues {
        let copies = |slices: &[&[u8]]| slices.iter().map(|s| s.to_vec()).collect();
        let certificates = match self.ocsp.is_empty() {
            true => Vec::new(),
            false => certificates.to_vec(),
        };
        RevocationValues {
            crls: copies(&self.crls),
            ocsp: copies(&self.ocsp),
            certificates,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(items: &[Vec<u8>]) -> Result<RevocationValues, CmsError> {
        let set = der::set_of(context(1), items.to_vec());
        let set = Reader::new(&set).any().unwrap();
        RevocationInfo::read(Some(set)).map(|a| a.values(&[]))
    }

    fn other(format: &[u8], info: &[u8]) -> Vec<u8> {
        der::tlv(context(1), &[&der::tlv(der::OID, &[format]), info])
    }

    #[test]
    fn lists_and_responses_are_told_apart_and_bounded() {
        let list = |n: u8| der::sequence(&[&[der::INTEGER, 1, n]]);
        let response = der::sequence(&[&[der::ENUMERATED, 1, 0]]);
        let found = read(&[
            list(1),
            other(OCSP_RESPONSE, &response),
            other(&[0x2a, 3], &list(2)),
        ])
        .unwrap();
        assert_eq!((found.crls, found.ocsp), (vec![list(1)], vec![response.clone()]));
        assert!(read(&[other(OCSP_RESPONSE, &[response.clone(), list(1)].concat())]).is_err());
        assert!(read(&[der::tlv(context(2), &[])]).is_err());
        let many = |n: usize| vec![other(&[0x2a, 3], &list(1)); n];
        assert!(read(&many(2 * VALUES_MAX)).is_ok());
        assert!(read(&many(2 * VALUES_MAX + 1)).is_err());
        assert!(read(&vec![list(1); VALUES_MAX + 1]).is_err());
        assert!(RevocationInfo::read(None).unwrap().values(&[]).is_empty());
    }
}
