//! SignedData field by field: any attributes, signers, certificates and versions, with signatures that hold.

use super::super::now;
use super::keys::Party;
use crate::cms::certificate::KeyKind;
use crate::cms::der::{self, context};
use crate::cms::signed::CONTENT_DATA;
use crate::cms::{Certificate, DigestAlgorithm, SignatureAlgorithm};

pub const CONTENT_TYPE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 3];
pub const MESSAGE_DIGEST: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 4];
pub const SIGNING_TIME: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 5];
pub const SIGNING_CERTIFICATE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 16, 2, 12];
pub const SIGNING_CERTIFICATE_V2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 16, 2, 47];
pub const SIGNATURE_TIME_STAMP: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 16, 2, 14];
const SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 2];

pub fn attribute(oid: &[u8], values: &[&[u8]]) -> Vec<u8> {
    der::sequence(&[&der::tlv(der::OID, &[oid]), &der::tlv(der::SET, values)])
}

pub fn octets(value: &[u8]) -> Vec<u8> {
    der::tlv(der::OCTET_STRING, &[value])
}

/// GeneralNames with one directoryName.
pub fn directory_name(name_der: &[u8]) -> Vec<u8> {
    der::sequence(&[&der::tlv(context(4), &[name_der])])
}

/// The value of signingCertificateV2 for one certificate, with what may follow its digest.
pub fn ess_v2(certificate: &Certificate, issuer_serial: &[u8]) -> Vec<u8> {
    let id = der::sequence(&[&octets(&certificate.fingerprint()), issuer_serial]);
    der::sequence(&[&der::sequence(&[&id])])
}

/// The value of signingCertificate (SHA-1).
pub fn ess_v1(certificate: &Certificate) -> Vec<u8> {
    use aws_lc_rs::digest;
    let sha1 = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, certificate.der());
    der::sequence(&[&der::sequence(&[&der::sequence(&[&octets(sha1.as_ref())])])])
}

pub fn issuer_serial(issuer_der: &[u8], serial: &[u8]) -> Vec<u8> {
    der::sequence(&[&directory_name(issuer_der), &der::tlv(der::INTEGER, &[serial])])
}

/// One SignerInfo.
#[derive(Clone)]
pub struct Signer {
    pub party: &'static Party,
    pub version: u8,
    pub sid: Vec<u8>,
    pub digest: DigestAlgorithm,
    /// AlgorithmIdentifiers as they are written.
    pub digest_der: Vec<u8>,
    pub algorithm_der: Vec<u8>,
    /// The signed attributes in the order they are written; none at all when None.
    pub attributes: Option<Vec<Vec<u8>>>,
    /// What is signed when there are no attributes.
    pub content: Vec<u8>,
    /// Tags of the attributes as they are signed and as they are written.
    pub tags: (u8, u8),
    /// Whether the attributes are signed in DER order whatever order they are written in.
    pub sign_sorted: bool,
    pub value: fn(Vec<u8>) -> Vec<u8>,
    /// Makes the unsigned attributes from the signature value.
    pub unsigned: fn(&[u8]) -> Vec<Vec<u8>>,
}

impl Signer {
    /// An honest signer of a content.
    pub fn honest(party: &'static Party, content_type: &[u8], content: &[u8]) -> Self {
        let digest = DigestAlgorithm::Sha256;
        let c = &party.certificate;
        let algorithm = match c.key_kind() {
            KeyKind::Rsa => SignatureAlgorithm::Rsa(digest),
            _ => SignatureAlgorithm::Ecdsa(digest),
        };
        let mut attributes = vec![
            attribute(CONTENT_TYPE, &[&der::tlv(der::OID, &[content_type])]),
            attribute(SIGNING_TIME, &[&der::time(now())]),
            attribute(MESSAGE_DIGEST, &[&octets(&digest.digest(content))]),
            attribute(SIGNING_CERTIFICATE_V2, &[&ess_v2(c, &[])]),
        ];
        attributes.sort();
        Self {
            party,
            version: 1,
            sid: der::sequence(&[c.issuer_der(), &der::tlv(der::INTEGER, &[c.serial()])]),
            digest,
            digest_der: digest.identifier(),
            algorithm_der: algorithm.identifier(),
            attributes: Some(attributes),
            content: content.to_vec(),
            tags: (der::SET, context(0)),
            sign_sorted: false,
            value: |v| v,
            unsigned: |_| Vec::new(),
        }
    }

    /// Replaces the attribute of that type, in its place; or puts it in DER order when there is none.
    pub fn set(&mut self, oid: &[u8], values: &[&[u8]]) {
        self.remove(oid);
        let list = self.attributes.as_mut().unwrap();
        list.push(attribute(oid, values));
        list.sort();
    }

    pub fn remove(&mut self, oid: &[u8]) {
        let list = self.attributes.as_mut().unwrap();
        let start = der::tlv(der::OID, &[oid]);
        list.retain(|a| {
            let mut fields = der::whole(a, der::SEQUENCE, "attribute").unwrap();
            fields.any().unwrap().raw != start
        });
    }

    fn der(&self) -> Vec<u8> {
        let (signed, written) = match &self.attributes {
            None => (self.content.clone(), Vec::new()),
            Some(list) => {
                let parts: Vec<&[u8]> = list.iter().map(Vec::as_slice).collect();
                let signed = if self.sign_sorted {
                    der::set_of(self.tags.0, list.clone())
                } else {
                    der::tlv(self.tags.0, &parts)
                };
                (signed, der::tlv(self.tags.1, &parts))
            }
        };
        let value = (self.value)(self.party.sign(self.digest, &signed));
        let unsigned = (self.unsigned)(&value);
        let unsigned = if unsigned.is_empty() {
            Vec::new()
        } else {
            let parts: Vec<&[u8]> = unsigned.iter().map(Vec::as_slice).collect();
            der::tlv(context(1), &parts)
        };
        der::sequence(&[
            &der::tlv(der::INTEGER, &[&[self.version]]),
            &self.sid,
            &self.digest_der,
            &written,
            &self.algorithm_der,
            &octets(&value),
            &unsigned,
        ])
    }
}

/// A SignedData.
#[derive(Clone)]
pub struct CmsDraft {
    pub version: u8,
    pub content_type: Vec<u8>,
    pub content: Option<Vec<u8>>,
    pub digests: Vec<Vec<u8>>,
    pub certificates: Vec<Vec<u8>>,
    /// RevocationInfoChoices.
    pub revocation: Vec<Vec<u8>>,
    pub signers: Vec<Signer>,
}

impl CmsDraft {
    /// An honest detached signature over a content.
    pub fn honest(party: &'static Party, content: &[u8]) -> Self {
        Self {
            version: 1,
            content_type: CONTENT_DATA.to_vec(),
            content: None,
            digests: vec![DigestAlgorithm::Sha256.identifier()],
            certificates: vec![party.certificate.der().to_vec()],
            revocation: Vec::new(),
            signers: vec![Signer::honest(party, CONTENT_DATA, content)],
        }
    }

    pub fn der(&self) -> Vec<u8> {
        fn slices(list: &[Vec<u8>]) -> Vec<&[u8]> {
            list.iter().map(Vec::as_slice).collect()
        }
        let content = self
            .content
            .as_ref()
            .map(|c| der::tlv(context(0), &[&octets(c)]))
            .unwrap_or_default();
        let certificates = match self.certificates.as_slice() {
            [] => Vec::new(),
            list => der::tlv(context(0), &slices(list)),
        };
        let revocation = match self.revocation.as_slice() {
            [] => Vec::new(),
            list => der::tlv(context(1), &slices(list)),
        };
        let signers: Vec<Vec<u8>> = self.signers.iter().map(Signer::der).collect();
        let signed_data = der::sequence(&[
            &der::tlv(der::INTEGER, &[&[self.version]]),
            &der::tlv(der::SET, &slices(&self.digests)),
            &der::sequence(&[&der::tlv(der::OID, &[&self.content_type]), &content]),
            &certificates,
            &revocation,
            &der::tlv(der::SET, &slices(&signers)),
        ]);
        der::sequence(&[
            &der::tlv(der::OID, &[SIGNED_DATA]),
            &der::tlv(context(0), &[&signed_data]),
        ])
    }
}
