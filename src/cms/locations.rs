//! Where a certificate says that more is to be had: OCSP responders and issuers (authority information access, RFC 5280
//! 4.2.2.1), revocation lists (CRL distribution points, 4.2.1.13).
//!
//! The addresses come from a foreign certificate. They are only told here; whoever fetches must mistrust them.

use super::certificate::Certificate;
use super::der::{self, DerError, Reader};
use super::extension;

/// Most addresses of one kind taken from a certificate; there are one or two.
const URLS_MAX: usize = 8;
/// Longest address taken, in octets.
const URL_MAX_OCTETS: usize = 1024;

/// id-ad-ocsp 1.3.6.1.5.5.7.48.1
const ACCESS_OCSP: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 48, 1];
/// id-ad-caIssuers 1.3.6.1.5.5.7.48.2
const ACCESS_ISSUERS: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 48, 2];
const URI: u8 = 0x86;

/// OCSP responders, in order of the certificate.
pub fn ocsp_urls(certificate: &Certificate) -> Vec<String> {
    access(certificate, ACCESS_OCSP)
}

/// Places of the issuer's certificate.
pub fn issuer_urls(certificate: &Certificate) -> Vec<String> {
    access(certificate, ACCESS_ISSUERS)
}

/// Places of complete lists of the certificate's own issuer. Points of another issuer, or for some reasons only, are left
/// out: such lists are not read (see `cms::crl`).
pub fn crl_urls(certificate: &Certificate) -> Vec<String> {
    let points = distribution_points(certificate).unwrap_or_default();
    let names = points.into_iter().filter(|p| p.is_plain).flat_map(|p| p.names);
    let uris = names.filter_map(|name| Reader::new(name).any().ok());
    uris.filter(|t| t.tag == URI)
        .filter_map(|t| url(t.value))
        .take(URLS_MAX)
        .collect()
}

/// One DistributionPoint.
pub(super) struct DistributionPoint<'a> {
    /// The GeneralNames of fullName as they stand.
    pub names: Vec<&'a [u8]>,
    /// Neither for some reasons only, nor of another issuer.
    pub is_plain: bool,
}

pub(super) fn distribution_points(certificate: &Certificate) -> Result<Vec<DistributionPoint<'_>>, DerError> {
    let Some((_, value)) = certificate.extension(extension::CRL_DISTRIBUTION_POINTS) else {
        return Ok(Vec::new());
    };
    let mut list = der::whole(value, der::SEQUENCE, "distribution points")?;
    let mut out = Vec::new();
    while !list.is_empty() && out.len() < URLS_MAX {
        let mut point = list.enter(der::SEQUENCE, "distribution point")?;
        let names = match point.optional(der::context(0))? {
            Some(name) => full_names(name.value)?,
            None => Vec::new(),
        };
        let is_plain = point.is_empty();
        out.push(DistributionPoint { names, is_plain });
    }
    Ok(out)
}

/// The names of a DistributionPointName; one that is relative to the issuer has none.
pub(super) fn full_names(octets: &[u8]) -> Result<Vec<&[u8]>, DerError> {
    let mut name = Reader::new(octets);
    let Some(full) = name.optional(der::context(0))? else {
        return Ok(Vec::new());
    };
    name.end("distribution point name")?;
    let mut list = Reader::new(full.value);
    let mut out = Vec::new();
    while !list.is_empty() && out.len() < URLS_MAX {
        out.push(list.any()?.raw);
    }
    Ok(out)
}

fn access(certificate: &Certificate, method: &[u8]) -> Vec<String> {
    let value = certificate.extension(extension::AUTHORITY_INFO_ACCESS);
    value
        .and_then(|(_, value)| read_access(value, method).ok())
        .unwrap_or_default()
}

fn read_access(value: &[u8], method: &[u8]) -> Result<Vec<String>, DerError> {
    let mut list = der::whole(value, der::SEQUENCE, "authority information access")?;
    let mut out = Vec::new();
    while !list.is_empty() && out.len() < URLS_MAX {
        let mut description = list.enter(der::SEQUENCE, "access description")?;
        let found = description.expect(der::OID, "access method")?.value;
        let location = description.any()?;
        if found == method && location.tag == URI {
            out.extend(url(location.value));
        }
    }
    Ok(out)
}

fn url(octets: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(octets).ok()?;
    let is_plain = text.len() <= URL_MAX_OCTETS && text.bytes().all(|b| b.is_ascii_graphic());
    is_plain.then(|| text.to_owned())
}
