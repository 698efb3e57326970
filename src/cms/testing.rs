//! A test authority: certificates, revocation lists and OCSP responses of any shape, also such as no honest authority makes.
//!
//! Certificates are written octet by octet, so that a test can have the same key under two names, a critical flag where none
//! belongs, or an extension that is broken. Only for tests.

use super::algorithm::{DigestAlgorithm, SignatureAlgorithm};
use super::certificate::Certificate;
use super::crl;
use super::der::{self, context};
use super::extension;
use super::ocsp::{self, Status};
use super::revocation::RevocationReason;
use crate::clock::UtcTime;
use rcgen::{KeyPair, PublicKeyData as _, SigningKey as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub(crate) const ECDSA: SignatureAlgorithm = SignatureAlgorithm::Ecdsa(DigestAlgorithm::Sha256);

/// A moment of the year 2026: `at("06-01")` or `at("06-01T12:00")`.
pub(crate) fn at(text: &str) -> UtcTime {
    let (day, time) = text.split_once('T').unwrap_or((text, "00:00"));
    UtcTime::parse_rfc3339(&format!("2026-{day}T{time}:00Z")).unwrap()
}

/// A certificate with its key.
#[derive(Clone)]
pub(crate) struct Party {
    pub certificate: Certificate,
    pub key: Arc<KeyPair>,
}

/// A certificate to be.
#[derive(Clone)]
pub(crate) struct Plan {
    pub subject: Vec<u8>,
    pub not_before: UtcTime,
    pub not_after: UtcTime,
    pub serial: Option<Vec<u8>>,
    pub key: Option<Arc<KeyPair>>,
    /// Each in DER.
    pub extensions: Vec<Vec<u8>>,
}

static SERIALS: AtomicU64 = AtomicU64::new(0x4000_0000);

/// `CN=name` in DER.
pub(crate) fn name(cn: &str) -> Vec<u8> {
    dn(&[(&[0x55, 4, 3], cn)])
}

/// A Name of one attribute in each RDN.
pub(crate) fn dn(parts: &[(&[u8], &str)]) -> Vec<u8> {
    let rdns: Vec<Vec<u8>> = parts
        .iter()
        .map(|(kind, text)| {
            let pair = der::sequence(&[
                &der::tlv(der::OID, &[kind]),
                &der::tlv(der::UTF8_STRING, &[text.as_bytes()]),
            ]);
            der::tlv(der::SET, &[&pair])
        })
        .collect();
    der::sequence(&rdns.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

impl Plan {
    pub fn leaf(cn: &str) -> Self {
        Self {
            subject: name(cn),
            not_before: at("01-01"),
            not_after: at("12-31"),
            serial: None,
            key: None,
            extensions: vec![key_usage(0xc0)],
        }
    }

    /// keyCertSign and cRLSign; any length of path.
    pub fn authority(cn: &str) -> Self {
        let ca = der::sequence(&[&[der::BOOLEAN, 1, 0xff]]);
        let mut plan = Self::leaf(cn);
        plan.extensions = vec![extension::write(&[0x55, 0x1d, 19], true, &ca), key_usage(0x06)];
        plan
    }

    pub fn responder(cn: &str) -> Self {
        Self::leaf(cn).with(purposes(&[super::certificate::EKU_OCSP_SIGNING]))
    }

    pub fn with(mut self, extension: Vec<u8>) -> Self {
        self.extensions.push(extension);
        self
    }

    /// Without what was there: only these.
    pub fn only(mut self, extensions: Vec<Vec<u8>>) -> Self {
        self.extensions = extensions;
        self
    }

    pub fn between(mut self, from: UtcTime, to: UtcTime) -> Self {
        (self.not_before, self.not_after) = (from, to);
        self
    }

    pub fn keyed(mut self, key: &Arc<KeyPair>) -> Self {
        self.key = Some(key.clone());
        self
    }

    pub fn self_signed(self) -> Party {
        let key = self.own_key();
        let subject = self.subject.clone();
        self.keyed(&key).signed(&subject, &key)
    }

    pub fn by(self, issuer: &Party) -> Party {
        let name = issuer.certificate.subject_der().to_vec();
        self.signed(&name, &issuer.key)
    }

    fn own_key(&self) -> Arc<KeyPair> {
        self.key
            .clone()
            .unwrap_or_else(|| Arc::new(KeyPair::generate().unwrap()))
    }

    fn signed(self, issuer: &[u8], issuer_key: &KeyPair) -> Party {
        let key = self.own_key();
        let serial = self
            .serial
            .unwrap_or_else(|| SERIALS.fetch_add(1, Ordering::Relaxed).to_be_bytes().to_vec());
        let extensions: Vec<&[u8]> = self.extensions.iter().map(Vec::as_slice).collect();
        let extensions = match extensions.is_empty() {
            true => Vec::new(),
            false => der::tlv(context(3), &[&der::sequence(&extensions)]),
        };
        let tbs = der::sequence(&[
            &der::tlv(context(0), &[&[der::INTEGER, 1, 2]]),
            &der::unsigned(&serial),
            &ECDSA.identifier(),
            issuer,
            &der::sequence(&[&der::time(self.not_before), &der::time(self.not_after)]),
            &self.subject,
            &key.subject_public_key_info(),
            &extensions,
        ]);
        let signature = issuer_key.sign(&tbs).unwrap();
        let octets = der::sequence(&[
            &tbs,
            &ECDSA.identifier(),
            &der::tlv(der::BIT_STRING, &[&[0], &signature]),
        ]);
        Party {
            certificate: Certificate::from_der(&octets).unwrap(),
            key,
        }
    }
}

/// The first eight bits: 0x80 digitalSignature, 0x40 nonRepudiation, 0x04 keyCertSign, 0x02 cRLSign.
pub(crate) fn key_usage(bits: u8) -> Vec<u8> {
    let unused = u8::try_from(bits.trailing_zeros()).unwrap();
    let value = der::tlv(der::BIT_STRING, &[&[unused, bits]]);
    extension::write(&[0x55, 0x1d, 15], true, &value)
}

pub(crate) fn purposes(oids: &[&[u8]]) -> Vec<u8> {
    let list: Vec<Vec<u8>> = oids.iter().map(|o| der::tlv(der::OID, &[o])).collect();
    let value = der::sequence(&list.iter().map(Vec::as_slice).collect::<Vec<_>>());
    extension::write(&[0x55, 0x1d, 37], false, &value)
}

/// A general name with a primitive tag, e.g. 0x82 for a host.
pub(crate) fn alt_names(names: &[(u8, &[u8])]) -> Vec<u8> {
    let list: Vec<Vec<u8>> = names.iter().map(|(tag, v)| der::tlv(*tag, &[v])).collect();
    let value = der::sequence(&list.iter().map(Vec::as_slice).collect::<Vec<_>>());
    extension::write(extension::SUBJECT_ALT_NAME, false, &value)
}

pub(crate) fn crl_at(url: &str) -> Vec<u8> {
    let point = distribution_point(url);
    let value = der::sequence(&[&der::sequence(&[&point])]);
    extension::write(extension::CRL_DISTRIBUTION_POINTS, false, &value)
}

/// `[0] DistributionPointName { fullName [0] { URI } }`
pub(crate) fn distribution_point(url: &str) -> Vec<u8> {
    let full = der::tlv(context(0), &[&der::tlv(0x86, &[url.as_bytes()])]);
    der::tlv(context(0), &[&full])
}

pub(crate) fn ocsp_at(url: &str) -> Vec<u8> {
    let description = der::sequence(&[
        &der::tlv(der::OID, &[&[0x2b, 6, 1, 5, 5, 7, 48, 1]]),
        &der::tlv(0x86, &[url.as_bytes()]),
    ]);
    extension::write(
        extension::AUTHORITY_INFO_ACCESS,
        false,
        &der::sequence(&[&description]),
    )
}

pub(crate) fn no_check() -> Vec<u8> {
    extension::write(extension::OCSP_NO_CHECK, false, &[der::NULL, 0])
}

/// A list of `issuer`, from and to, with (party, revoked at, reason).
pub(crate) struct List<'a> {
    pub issuer: &'a Party,
    pub from: UtcTime,
    pub to: UtcTime,
    /// Entries in DER, one behind the other.
    pub revoked: Vec<u8>,
    pub extensions: Vec<Vec<u8>>,
}

impl<'a> List<'a> {
    pub fn of(issuer: &'a Party, from: &str, to: &str) -> Self {
        Self {
            issuer,
            from: at(from),
            to: at(to),
            revoked: Vec::new(),
            extensions: Vec::new(),
        }
    }

    pub fn revoking(self, party: &Party, since: &str, reason: RevocationReason) -> Self {
        self.revoking_invalid(party, since, reason, None)
    }

    pub fn revoking_invalid(
        mut self,
        party: &Party,
        since: &str,
        reason: RevocationReason,
        invalid: Option<&str>,
    ) -> Self {
        let entry = crl::Entry {
            revoked_at: at(since),
            reason,
            invalid_since: invalid.map(at),
        };
        self.revoked.extend(entry.der(party.certificate.serial()));
        self
    }

    pub fn with(mut self, extension: Vec<u8>) -> Self {
        self.extensions.push(extension);
        self
    }

    pub fn der(&self) -> Vec<u8> {
        self.signed_by(&self.issuer.key)
    }

    pub fn signed_by(&self, key: &KeyPair) -> Vec<u8> {
        let issue = crl::Issue {
            issuer: self.issuer.certificate.subject_der(),
            algorithm: ECDSA,
            number: 7,
            this_update: self.from,
            next_update: self.to,
            revoked: &self.revoked,
            extensions: &self.extensions,
        };
        let tbs = issue.to_be_signed();
        issue.der(&tbs, &key.sign(&tbs).unwrap())
    }
}

/// A response about `about`, which `issuer` issued, signed by `responder`.
pub(crate) struct Reply<'a> {
    pub about: &'a Party,
    pub issuer: &'a Party,
    pub responder: &'a Party,
    pub status: Status,
    pub from: UtcTime,
    pub to: Option<UtcTime>,
    pub nonce: Option<Vec<u8>>,
    pub along: Vec<Certificate>,
}

impl<'a> Reply<'a> {
    /// Good, by the issuer itself.
    pub fn good(about: &'a Party, issuer: &'a Party, from: &str, to: &str) -> Self {
        Self {
            about,
            issuer,
            responder: issuer,
            status: Status::Good,
            from: at(from),
            to: Some(at(to)),
            nonce: None,
            along: Vec::new(),
        }
    }

    pub fn status(mut self, status: Status) -> Self {
        self.status = status;
        self
    }

    /// By a delegate, whose certificate goes along.
    pub fn by(mut self, responder: &'a Party) -> Self {
        self.responder = responder;
        self.along = vec![responder.certificate.clone()];
        self
    }

    pub fn der(&self) -> Vec<u8> {
        let id = ocsp::Answer::id_of(&self.about.certificate, &self.issuer.certificate);
        let answer = ocsp::Answer {
            id: &id,
            status: self.status,
            responder: &self.responder.certificate,
            along: &self.along,
            algorithm: ECDSA,
            produced_at: self.from,
            this_update: self.from,
            next_update: self.to,
            nonce: self.nonce.as_deref(),
        };
        let tbs = answer.to_be_signed();
        answer.der(&tbs, &self.responder.key.sign(&tbs).unwrap())
    }
}
