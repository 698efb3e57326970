//! Signatures of persons with what the longer profiles bring along (BTK 2012/DK-15/299, P2 to P4): policy, time-stamp,
//! certificates, lists and OCSP answers. Moments are handed in; `openssl` makes none of these forms, and judges them.

use super::certificate_login::{Authority, params};
use super::persons_house::{Card, House, ORNEKAS};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kepd::clock::UtcTime;
use kepd::cms::algorithm::sha256;
use kepd::cms::certificate::EKU_TIME_STAMPING;
use kepd::cms::crl::Entry;
use kepd::cms::der::{self, context};
use kepd::cms::ocsp::{Answer, Status};
use kepd::cms::signed::{Assembly, CONTENT_TST_INFO, SignedAttributes};
use kepd::cms::tsp::TstInfo;
use kepd::cms::{Certificate, ContentDigest, RevocationReason};
use kepd::seal::SealKey;
use kepd::seal::revoking::RevocationOffice;
use rcgen::{CustomExtension, KeyPair, KeyUsagePurpose};

pub const P2: &str = "2.16.792.1.61.0.1.5070.3.1.1";
pub const P3: &str = "2.16.792.1.61.0.1.5070.3.2.1";
pub const P4: &str = "2.16.792.1.61.0.1.5070.3.3.1";
const DATA: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 1];
const SIGNED_DATA: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 2];

/// A certificate with its key at hand.
pub struct Holder {
    pub certificate: Certificate,
    pub key: SealKey,
}

impl Holder {
    pub fn authority(root: &Authority) -> Self {
        Self {
            certificate: Certificate::from_der(root.der()).unwrap(),
            key: SealKey::from_pem(&root.key().serialize_pem()).unwrap(),
        }
    }

    pub fn of_card(card: &Card) -> Self {
        Self {
            certificate: card.read.clone(),
            key: SealKey::from_pem(&std::fs::read_to_string(&card.key).unwrap()).unwrap(),
        }
    }

    /// An authority of time, of that root.
    pub fn of_time(name: &str, root: &Authority) -> Self {
        let mut p = params(name);
        p.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let purpose = der::sequence(&[&der::tlv(der::OID, &[EKU_TIME_STAMPING])]);
        let mut purpose = CustomExtension::from_oid_content(&[2, 5, 29, 37], purpose);
        purpose.set_criticality(true);
        p.custom_extensions.push(purpose);
        let key = KeyPair::generate().unwrap();
        Self {
            certificate: Certificate::from_der(p.signed_by(&key, root).unwrap().der()).unwrap(),
            key: SealKey::from_pem(&key.serialize_pem()).unwrap(),
        }
    }

    /// Its list of that moment, on which these were revoked.
    pub fn list(&self, at: UtcTime, revoked: &[(&Card, UtcTime)]) -> Vec<u8> {
        let mut office = RevocationOffice::new(self.key.clone(), self.certificate.clone()).unwrap();
        for (card, revoked_at) in revoked {
            let entry = Entry {
                revoked_at: *revoked_at,
                reason: RevocationReason::KeyCompromise,
                invalid_since: None,
            };
            office.revoke(&card.read, entry);
        }
        office.list(at).unwrap()
    }

    /// Its answer of that moment about a card, as signatures embed it: BasicOCSPResponse.
    pub fn answer(&self, at: UtcTime, card: &Card, status: Status) -> Vec<u8> {
        let answer = Answer {
            id: &Answer::id_of(&card.read, &self.certificate),
            status,
            responder: &self.certificate,
            along: &[],
            algorithm: self.key.algorithm(),
            produced_at: at,
            this_update: at,
            next_update: None,
            nonce: None,
        };
        let tbs = answer.to_be_signed();
        let whole = answer.der(&tbs, &self.key.sign(&tbs).unwrap());
        // OCSPResponse { status, [0] { SEQUENCE { id, OCTET STRING } } } (RFC 6960 4.2.1).
        let mut response = der::whole(&whole, der::SEQUENCE, "response").unwrap();
        response.any().unwrap();
        let mut bytes = der::whole(response.any().unwrap().value, der::SEQUENCE, "bytes").unwrap();
        bytes.any().unwrap();
        bytes.any().unwrap().value.to_vec()
    }

    /// A token over octets.
    fn token(&self, at: UtcTime, covered: &[u8]) -> Vec<u8> {
        let info = TstInfo {
            policy: "2.999.1",
            imprint: &ContentDigest::Sha256(sha256(covered)),
            serial: 1,
            gen_time: at,
            accuracy_s: 1,
            nonce_der: None,
        };
        let info = info.der().unwrap();
        let attributes = SignedAttributes::new(CONTENT_TST_INFO, &sha256(&info), &self.certificate, at);
        let assembly = Assembly {
            attributes: &attributes,
            signer: &self.certificate,
            chain: &[],
            algorithm: self.key.algorithm(),
            signature: &self.key.sign(attributes.to_be_signed()).unwrap(),
            content_type: CONTENT_TST_INFO,
            content: Some(&info),
            stamp_token: None,
        };
        assembly.der()
    }
}

/// What is signed, when, and what comes along.
#[derive(Clone)]
pub struct Making<'a> {
    pub signer: &'a Holder,
    pub claimed: UtcTime,
    pub policy: Option<&'a str>,
    pub stamp: Option<(UtcTime, &'a Holder)>,
    pub certificates: Vec<Vec<u8>>,
    pub lists: Vec<Vec<u8>>,
    pub answers: Vec<Vec<u8>>,
}

/// An attribute of PKCS #9 by its last arc, or of S/MIME (RFC 2634) by its own.
fn attribute(last: u8, value: &[u8]) -> Vec<u8> {
    let base = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9];
    let oid = match last {
        3..=5 => [&base[..], &[last]].concat(),
        other => [&base[..], &[16, 2, other]].concat(),
    };
    der::sequence(&[&der::tlv(der::OID, &[&oid]), &der::tlv(der::SET, &[value])])
}

fn list_of(values: &[Vec<u8>]) -> Vec<u8> {
    der::sequence(&values.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

fn sha256_identifier() -> Vec<u8> {
    kepd::cms::DigestAlgorithm::Sha256.identifier()
}

impl<'a> Making<'a> {
    /// The signature alone: P1.
    pub fn by(signer: &'a Holder, claimed: UtcTime) -> Self {
        Self {
            signer,
            claimed,
            policy: None,
            stamp: None,
            certificates: Vec::new(),
            lists: Vec::new(),
            answers: Vec::new(),
        }
    }

    fn signed_attributes(&self, content: &[u8]) -> Vec<u8> {
        let certificate = der::tlv(der::OCTET_STRING, &[&self.signer.certificate.fingerprint()]);
        let mut list = vec![
            attribute(3, &der::tlv(der::OID, &[&DATA])),
            attribute(4, &der::tlv(der::OCTET_STRING, &[&sha256(content)])),
            attribute(5, &der::time(self.claimed)),
            attribute(
                47,
                &der::sequence(&[&der::sequence(&[&der::sequence(&[&certificate])])]),
            ),
        ];
        if let Some(policy) = self.policy {
            let id = der::tlv(der::OID, &[&der::oid_from_dotted(policy).unwrap()]);
            let digest = der::sequence(&[&sha256_identifier(), &der::tlv(der::OCTET_STRING, &[&[7; 32]])]);
            list.push(attribute(15, &der::sequence(&[&id, &digest])));
        }
        der::set_of(der::SET, list)
    }

    fn unsigned_attributes(&self, signature: &[u8]) -> Vec<u8> {
        let mut list = Vec::new();
        if let Some((at, authority)) = &self.stamp {
            list.push(attribute(14, &authority.token(*at, signature)));
        }
        if !self.certificates.is_empty() {
            list.push(attribute(23, &list_of(&self.certificates)));
        }
        if !self.lists.is_empty() || !self.answers.is_empty() {
            let of = |n, values: &[Vec<u8>]| match values.is_empty() {
                true => Vec::new(),
                false => der::tlv(context(n), &[&list_of(values)]),
            };
            let values = der::sequence(&[&of(0, &self.lists), &of(1, &self.answers)]);
            list.push(attribute(24, &values));
        }
        match list.is_empty() {
            true => Vec::new(),
            false => der::set_of(context(1), list),
        }
    }

    /// A detached signature over the octets.
    pub fn der(&self, content: &[u8]) -> Vec<u8> {
        let attributes = self.signed_attributes(content);
        let signature = self.signer.key.sign(&attributes).unwrap();
        let mut implicit = attributes;
        implicit[0] = context(0);
        let info = der::sequence(&[
            &der::tlv(der::INTEGER, &[&[1]]),
            &der::sequence(&[
                self.signer.certificate.issuer_der(),
                &der::tlv(der::INTEGER, &[self.signer.certificate.serial()]),
            ]),
            &sha256_identifier(),
            &implicit,
            &self.signer.key.algorithm().identifier(),
            &der::tlv(der::OCTET_STRING, &[&signature]),
            &self.unsigned_attributes(&signature),
        ]);
        let signed_data = der::sequence(&[
            &der::tlv(der::INTEGER, &[&[1]]),
            &der::tlv(der::SET, &[&sha256_identifier()]),
            &der::sequence(&[&der::tlv(der::OID, &[&DATA])]),
            &der::tlv(context(0), &[self.signer.certificate.der()]),
            &der::tlv(der::SET, &[&info]),
        ]);
        der::sequence(&[
            &der::tlv(der::OID, &[&SIGNED_DATA]),
            &der::tlv(context(0), &[&signed_data]),
        ])
    }

    /// The whole mail around it.
    pub fn mail(&self, to: &str, subject: &str, entity: &str) -> String {
        signed_mail(to, subject, entity, &self.der(entity.as_bytes()))
    }
}

/// `multipart/signed` around an entity and its signature.
pub fn signed_mail(to: &str, subject: &str, entity: &str, cms_der: &[u8]) -> String {
    let encoded = STANDARD.encode(cms_der);
    let lines: Vec<&str> = encoded
        .as_bytes()
        .chunks(76)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    format!(
        "From: {ORNEKAS}\r\nTo: {to}\r\nSubject: {subject}\r\nMIME-Version: 1.0\r\nContent-Type: multipart/signed; \
         protocol=\"application/pkcs7-signature\"; micalg=sha-256; boundary=s\r\n\r\n--s\r\n{entity}\r\n--s\r\n\
         Content-Type: application/pkcs7-signature; name=smime.p7s\r\nContent-Transfer-Encoding: base64\r\n\r\n{}\r\n--s--\r\n",
        lines.join("\r\n")
    )
}

impl House {
    /// A card whose authority answers nobody: what is known of it is what comes along.
    pub fn nes_of_nobody_there(&self, name: &str, number: &str) -> Card {
        use super::certificate_login::person;
        use super::persons_house::{NES, NES_POLICY};
        self.card(
            name,
            person(number, NES, &[NES_POLICY]),
            "http://127.0.0.1:9/nes.crl",
        )
    }
}
