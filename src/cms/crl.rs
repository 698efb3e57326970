//! Certificate revocation lists (RFC 5280 5): reading one, looking a serial number up in it, and writing one.
//!
//! A list is slices of the octets as they came; nothing is encoded anew, and no map is built: a lookup walks over the entries,
//! which for 100,000 of them takes milliseconds. Only complete lists of an authority about its own certificates are read.
//! Delta lists, indirect lists, lists for some reasons or of attribute certificates are refused with that reason, and so are
//! lists without `nextUpdate`, which RFC 5280 5.1.2.5 demands.

use super::algorithm::SignatureAlgorithm;
use super::certificate::{Certificate, bit_string};
use super::der::{self, DerError, Reader};
use super::extension;
use super::locations;
use super::name;
use super::revocation::RevocationReason;
use crate::clock::UtcTime;

/// Largest list read: 400,000 entries. The largest of public authorities have a tenth of it.
pub const CRL_MAX_OCTETS: usize = 16 * 1024 * 1024;

/// Why a list cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CrlError {
    #[error("the revocation list cannot be read: {0}")]
    Der(#[from] DerError),
    #[error("the revocation list is larger than {CRL_MAX_OCTETS} octets")]
    TooLarge,
    #[error("the revocation list of '{issuer}' is not used: {why}")]
    Unused { issuer: String, why: &'static str },
    #[error("the revocation list of '{0}' was not issued by the authority of the certificate")]
    OtherIssuer(String),
    #[error("'{0}' may not sign revocation lists")]
    NoCrlSign(String),
    #[error("the signature on the revocation list of '{0}' does not verify")]
    Signature(String),
}

/// A revocation list; nothing is said about its signature yet.
#[derive(Debug, Clone)]
pub struct Crl<'a> {
    tbs: &'a [u8],
    issuer: &'a [u8],
    algorithm: Option<SignatureAlgorithm>,
    signature: &'a [u8],
    pub this_update: UtcTime,
    pub next_update: UtcTime,
    /// The content of revokedCertificates, entries one behind the other, each looked at once.
    entries: &'a [u8],
    scope: Scope<'a>,
    /// The list keeps certificates that have expired since this moment.
    pub keeps_expired_since: Option<UtcTime>,
}

/// What a list speaks of (issuingDistributionPoint).
#[derive(Debug, Clone, Default)]
struct Scope<'a> {
    /// GeneralNames as they stand; empty: the whole.
    names: Vec<&'a [u8]>,
    users_only: bool,
    authorities_only: bool,
}

/// An entry of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    pub revoked_at: UtcTime,
    pub reason: RevocationReason,
    pub invalid_since: Option<UtcTime>,
}

impl<'a> Crl<'a> {
    pub fn read(octets: &'a [u8]) -> Result<Self, CrlError> {
        if octets.len() > CRL_MAX_OCTETS {
            return Err(CrlError::TooLarge);
        }
        let mut list = der::whole(octets, der::SEQUENCE, "CertificateList")?;
        let tbs = list.expect(der::SEQUENCE, "tbsCertList")?;
        let outer = list.expect(der::SEQUENCE, "signatureAlgorithm")?;
        let signature = bit_string(list.expect(der::BIT_STRING, "signature")?)?;
        list.end("CertificateList")?;

        let mut t = Reader::new(tbs.value);
        // RFC 5280 5.1.2.1: 1 means version 2.
        let version = t.optional(der::INTEGER)?.map(|v| v.value);
        let inner = t.expect(der::SEQUENCE, "signature")?;
        let issuer = t.expect(der::SEQUENCE, "issuer")?.raw;
        let unused = |why| CrlError::Unused {
            issuer: name::display(issuer),
            why,
        };
        if version != Some(&[1]) {
            return Err(unused("it is not version 2"));
        }
        // RFC 5280 5.1.1.2: both must be the same.
        if inner.raw != outer.raw {
            return Err(DerError("signature algorithms differ").into());
        }
        let this_update = der::read_time(&t.any()?)?;
        let next_update = match t.peek() {
            Some(der::UTC_TIME | der::GENERALIZED_TIME) => der::read_time(&t.any()?)?,
            _ => return Err(unused("it does not say when the next one comes")),
        };
        let entries = t.optional(der::SEQUENCE)?.map_or(&[][..], |e| e.value);
        let extensions = t.optional(der::context(0))?;
        t.end("tbsCertList")?;
        let mut crl = Self {
            tbs: tbs.raw,
            issuer,
            algorithm: SignatureAlgorithm::read(Reader::new(outer.value), None).ok(),
            signature,
            this_update,
            next_update,
            entries,
            scope: Scope::default(),
            keeps_expired_since: None,
        };
        if next_update < this_update {
            return Err(unused("it ends before it begins"));
        }
        if let Some(extensions) = extensions {
            crl.read_extensions(extensions.value)?.map_err(unused)?;
        }
        crl.walk(|_, fields| check_entry(fields).map(|()| true))?;
        Ok(crl)
    }

    /// The inner error is a reason not to use the list.
    fn read_extensions(&mut self, octets: &'a [u8]) -> Result<Result<(), &'static str>, DerError> {
        let mut refused = None;
        extension::each(octets, |oid, critical, value| {
            match oid {
                extension::DELTA_CRL_INDICATOR => refused = Some("it tells only changes (delta)"),
                extension::ISSUING_DISTRIBUTION_POINT => match Scope::read(value)? {
                    Ok(scope) => self.scope = scope,
                    Err(why) => refused = Some(why),
                },
                extension::EXPIRED_CERTS_ON_CRL => self.keeps_expired_since = Some(extension::moment(value)?),
                extension::CRL_NUMBER | extension::AUTHORITY_KEY_ID | extension::ISSUER_ALT_NAME => {}
                _ if critical => refused = Some("it has a critical extension that is not understood"),
                _ => {}
            }
            Ok(())
        })?;
        Ok(refused.map_or(Ok(()), Err))
    }

    /// The issuer for people.
    pub fn issuer(&self) -> String {
        name::display(self.issuer)
    }

    /// The issuer's name in DER.
    pub fn issuer_der(&self) -> &'a [u8] {
        self.issuer
    }

    /// Whether `issuer` signed the list and may.
    pub fn check_signed_by(&self, issuer: &Certificate) -> Result<(), CrlError> {
        self.check_may_sign(issuer)?;
        if self.is_signed_by(issuer) {
            Ok(())
        } else {
            Err(CrlError::Signature(self.issuer()))
        }
    }

    /// Whether the list is of `issuer` by name, which may sign lists. Its signature is another question.
    pub(super) fn check_may_sign(&self, issuer: &Certificate) -> Result<(), CrlError> {
        if issuer.subject_der() != self.issuer {
            return Err(CrlError::OtherIssuer(self.issuer()));
        }
        // RFC 5280 6.3.3 (f).
        if !issuer.key_usage().is_none_or(|u| u.crl_sign()) {
            return Err(CrlError::NoCrlSign(issuer.subject()));
        }
        Ok(())
    }

    /// Whether the key of `issuer` made its signature.
    pub(super) fn is_signed_by(&self, issuer: &Certificate) -> bool {
        self.algorithm
            .is_some_and(|algorithm| issuer.verify(algorithm, self.tbs, self.signature))
    }

    /// Whether the list would name `certificate` if it were revoked (RFC 5280 6.3.3 (b)). Who issued it is asked elsewhere.
    pub fn check_covers(&self, certificate: &Certificate) -> Result<(), CrlError> {
        let unused = |why| {
            Err(CrlError::Unused {
                issuer: self.issuer(),
                why,
            })
        };
        if self.scope.users_only && certificate.is_ca() {
            return unused("it speaks of users only");
        }
        if self.scope.authorities_only && !certificate.is_ca() {
            return unused("it speaks of authorities only");
        }
        if !self.scope.names.is_empty() {
            let points = locations::distribution_points(certificate)?;
            let mut names = points.iter().filter(|p| p.is_plain).flat_map(|p| &p.names);
            if !names.any(|n| self.scope.names.contains(n)) {
                return unused("it is that of another distribution point");
            }
        }
        Ok(())
    }

    /// What the list says of a serial number (its content octets). The first entry counts; a serial is not listed twice.
    pub fn find(&self, serial: &[u8]) -> Result<Option<Entry>, CrlError> {
        let mut found = None;
        self.walk(|number, fields| {
            if number == serial {
                found = Some(read_entry(fields)?);
            }
            Ok(number != serial)
        })?;
        Ok(found)
    }

    /// Number of entries.
    pub fn count(&self) -> usize {
        let mut count = 0;
        let walked = self.walk(|_, _| {
            count += 1;
            Ok(true)
        });
        walked.map_or(0, |()| count)
    }

    /// Shows every entry, the serial number and a reader of what follows it, as long as `each` says true.
    fn walk(
        &self,
        mut each: impl FnMut(&'a [u8], Reader<'a>) -> Result<bool, DerError>,
    ) -> Result<(), DerError> {
        let mut entries = Reader::new(self.entries);
        while !entries.is_empty() {
            let mut fields = entries.enter(der::SEQUENCE, "revoked certificate")?;
            let serial = fields.expect(der::INTEGER, "serial number")?.value;
            if !each(serial, fields)? {
                break;
            }
        }
        Ok(())
    }
}

impl<'a> Scope<'a> {
    /// Reads issuingDistributionPoint (RFC 5280 5.2.5); the inner error is a reason not to use the list.
    fn read(value: &'a [u8]) -> Result<Result<Self, &'static str>, DerError> {
        let mut fields = der::whole(value, der::SEQUENCE, "issuing distribution point")?;
        let mut scope = Self::default();
        if let Some(point) = fields.optional(der::context(0))? {
            scope.names = locations::full_names(point.value)?;
            if scope.names.is_empty() {
                return Ok(Err("its distribution point has no full name"));
            }
        }
        scope.users_only = flag(&mut fields, 0x81)?;
        scope.authorities_only = flag(&mut fields, 0x82)?;
        let some_reasons = fields.optional(0x83)?.is_some();
        let indirect = flag(&mut fields, 0x84)?;
        let attributes_only = flag(&mut fields, 0x85)?;
        fields.end("issuing distribution point")?;
        Ok(match (some_reasons, indirect, attributes_only) {
            (true, _, _) => Err("it is for some reasons only"),
            (_, true, _) => Err("it lists certificates of other authorities (indirect)"),
            (_, _, true) => Err("it is of attribute certificates"),
            _ => Ok(scope),
        })
    }
}

fn flag(fields: &mut Reader<'_>, tag: u8) -> Result<bool, DerError> {
    match fields.optional(tag)?.map(|t| t.value) {
        None | Some([0]) => Ok(false),
        Some([0xff]) => Ok(true),
        Some(_) => Err(DerError("issuing distribution point")),
    }
}

/// The frame of an entry behind its serial number, and whether it has something critical that is not understood. Every entry
/// is looked at when the list is read, so times are not: that would be most of the work.
fn check_entry(mut fields: Reader<'_>) -> Result<(), DerError> {
    fields.any()?;
    if let Some(extensions) = fields.optional(der::SEQUENCE)? {
        extension::each(extensions.raw, |oid, critical, _| match oid {
            extension::REASON_CODE | extension::INVALIDITY_DATE => Ok(()),
            extension::CERTIFICATE_ISSUER => Err(DerError("an entry of another authority (indirect)")),
            // RFC 5280 5.3: then the whole list must not be used.
            _ if critical => Err(DerError(
                "an entry with a critical extension that is not understood",
            )),
            _ => Ok(()),
        })?;
    }
    fields.end("revoked certificate")
}

fn read_entry(mut fields: Reader<'_>) -> Result<Entry, DerError> {
    let revoked_at = der::read_time(&fields.any()?)?;
    let mut entry = Entry {
        revoked_at,
        reason: RevocationReason::Unspecified,
        invalid_since: None,
    };
    if let Some(extensions) = fields.optional(der::SEQUENCE)? {
        extension::each(extensions.raw, |oid, _, value| {
            match oid {
                extension::REASON_CODE => entry.reason = read_reason(value)?,
                extension::INVALIDITY_DATE => entry.invalid_since = Some(extension::moment(value)?),
                _ => {}
            }
            Ok(())
        })?;
    }
    Ok(entry)
}

/// A CRLReason. removeFromCRL has no place in a complete list (RFC 5280 5.3.1).
pub(super) fn read_reason(value: &[u8]) -> Result<RevocationReason, DerError> {
    match value {
        [der::ENUMERATED, 1, code] => {
            RevocationReason::from_code(*code).ok_or(DerError("reason of a revocation"))
        }
        _ => Err(DerError("reason of a revocation")),
    }
}

/// What an authority writes into a list.
#[derive(Debug, Clone)]
pub struct Issue<'a> {
    /// The issuer's name in DER.
    pub issuer: &'a [u8],
    pub algorithm: SignatureAlgorithm,
    pub number: u64,
    pub this_update: UtcTime,
    pub next_update: UtcTime,
    /// The entries one behind the other, each made by [`Entry::der`].
    pub revoked: &'a [u8],
    /// Further extensions of the list, each in DER.
    pub extensions: &'a [Vec<u8>],
}

impl Issue<'_> {
    /// The octets to be signed: tbsCertList.
    pub fn to_be_signed(&self) -> Vec<u8> {
        // RFC 5280 5.1.2.6: absent when nothing is revoked.
        let entries = match self.revoked.is_empty() {
            true => Vec::new(),
            false => der::sequence(&[self.revoked]),
        };
        let number = extension::write(
            extension::CRL_NUMBER,
            false,
            &der::unsigned(&self.number.to_be_bytes()),
        );
        let extensions: Vec<&[u8]> = std::iter::once(&number)
            .chain(self.extensions)
            .map(Vec::as_slice)
            .collect();
        der::sequence(&[
            &der::tlv(der::INTEGER, &[&[1]]),
            &self.algorithm.identifier(),
            self.issuer,
            &der::time(self.this_update),
            &der::time(self.next_update),
            &entries,
            &der::tlv(der::context(0), &[&der::sequence(&extensions)]),
        ])
    }

    /// The list around its signature.
    pub fn der(&self, to_be_signed: &[u8], signature: &[u8]) -> Vec<u8> {
        der::sequence(&[
            to_be_signed,
            &self.algorithm.identifier(),
            &der::tlv(der::BIT_STRING, &[&[0], signature]),
        ])
    }
}

impl Entry {
    /// The entry of a serial number (its content octets).
    pub fn der(&self, serial: &[u8]) -> Vec<u8> {
        let mut extensions = Vec::new();
        // RFC 5280 5.3.1: "unspecified" is said by saying nothing.
        if self.reason != RevocationReason::Unspecified {
            let reason = [der::ENUMERATED, 1, self.reason.code()];
            extensions.extend(extension::write(extension::REASON_CODE, false, &reason));
        }
        if let Some(since) = self.invalid_since {
            let since = UtcTime::from_unix_s(since.unix_s());
            let value = der::generalized_time(since);
            extensions.extend(extension::write(extension::INVALIDITY_DATE, false, &value));
        }
        let extensions = match extensions.is_empty() {
            true => Vec::new(),
            false => der::sequence(&[&extensions]),
        };
        der::sequence(&[
            &der::tlv(der::INTEGER, &[serial]),
            &der::time(self.revoked_at),
            &extensions,
        ])
    }
}
