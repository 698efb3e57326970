//! Certification and time-stamp authorities for tests: any key, any dates, any moment. Real DER, so that `openssl ts` agrees.

use kepd::clock::UtcTime;
use kepd::cms::algorithm::{DigestAlgorithm, SignatureAlgorithm};
use kepd::cms::signed::{Assembly, CONTENT_DATA, CONTENT_TST_INFO, SignedAttributes};
use kepd::cms::tsp::TstInfo;
use kepd::cms::{Certificate, ContentDigest};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CustomExtension, DnType, IsCa, KeyPair,
    KeyUsagePurpose, RsaKeySize, SigningKey as _,
};
use std::cell::Cell;
use std::time::Duration;

pub fn at(text: &str) -> UtcTime {
    UtcTime::parse_rfc3339(&format!("{text}T12:00:00Z")).unwrap()
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    P256,
    P384,
    Rsa3072,
}

impl Kind {
    fn key(self) -> KeyPair {
        match self {
            Self::P256 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256),
            Self::P384 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384),
            Self::Rsa3072 => KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_3072),
        }
        .unwrap()
    }

    fn algorithm(self) -> SignatureAlgorithm {
        match self {
            Self::P256 => SignatureAlgorithm::Ecdsa(DigestAlgorithm::Sha256),
            Self::P384 => SignatureAlgorithm::Ecdsa(DigestAlgorithm::Sha384),
            Self::Rsa3072 => SignatureAlgorithm::Rsa(DigestAlgorithm::Sha256),
        }
    }
}

fn params(name: &str, from: UtcTime, to: UtcTime) -> CertificateParams {
    let mut p = CertificateParams::default();
    p.distinguished_name = rcgen::DistinguishedName::new();
    p.distinguished_name.push(DnType::CommonName, name);
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let moment = |t: UtcTime| epoch + Duration::from_secs(t.unix_s() as u64);
    p.not_before = moment(from);
    p.not_after = moment(to);
    p.use_authority_key_identifier_extension = true;
    p
}

/// A root that outlives the test.
pub struct Root(CertifiedIssuer<'static, KeyPair>);

impl Root {
    pub fn new(name: &str) -> Self {
        let mut p = params(name, at("2020-01-01"), at("2080-01-01"));
        p.is_ca = IsCa::Ca(BasicConstraints::Constrained(1));
        p.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Self(CertifiedIssuer::self_signed(p, Kind::P384.key()).unwrap())
    }

    pub fn certificate(&self) -> Certificate {
        Certificate::from_der(self.0.der()).unwrap()
    }

    pub fn time_stamping(&self, name: &str, kind: Kind, from: UtcTime, to: UtcTime) -> Signer {
        let mut p = params(name, from, to);
        // RFC 3161 2.3: one purpose, critical.
        let only = [0x30, 0x0a, 0x06, 0x08, 0x2b, 6, 1, 5, 5, 7, 3, 8];
        let mut purpose = CustomExtension::from_oid_content(&[2, 5, 29, 37], only.to_vec());
        purpose.set_criticality(true);
        p.custom_extensions.push(purpose);
        self.issue(p, kind)
    }

    pub fn provider(&self, name: &str, kind: Kind, from: UtcTime, to: UtcTime) -> Signer {
        self.issue(params(name, from, to), kind)
    }

    fn issue(&self, mut p: CertificateParams, kind: Kind) -> Signer {
        p.key_usages = vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::ContentCommitment,
        ];
        let key = kind.key();
        let certificate = p.signed_by(&key, &self.0).unwrap();
        Signer {
            certificate: Certificate::from_der(certificate.der()).unwrap(),
            algorithm: kind.algorithm(),
            key,
            serial: Cell::new(1),
        }
    }
}

/// A key with its certificate.
pub struct Signer {
    key: KeyPair,
    pub certificate: Certificate,
    algorithm: SignatureAlgorithm,
    serial: Cell<u64>,
}

impl Signer {
    /// A time-stamp token over a digest.
    pub fn token(&self, imprint: &ContentDigest, at: UtcTime) -> Vec<u8> {
        self.serial.set(self.serial.get() + 1);
        let info = TstInfo {
            policy: "2.999.1",
            imprint,
            serial: self.serial.get(),
            gen_time: at,
            accuracy_s: 1,
            nonce_der: None,
        };
        let info = info.der().unwrap();
        self.signed(CONTENT_TST_INFO, &info, Some(&info), at)
    }

    /// A detached signature over a document.
    pub fn detached(&self, document: &[u8], at: UtcTime) -> Vec<u8> {
        self.signed(CONTENT_DATA, document, None, at)
    }

    fn signed(&self, content_type: &[u8], signed: &[u8], content: Option<&[u8]>, at: UtcTime) -> Vec<u8> {
        let digest = self.algorithm.digest_algorithm().digest(signed);
        let attributes = SignedAttributes::new(content_type, &digest, &self.certificate, at);
        let signature = self.key.sign(attributes.to_be_signed()).unwrap();
        Assembly {
            attributes: &attributes,
            signer: &self.certificate,
            chain: &[],
            algorithm: self.algorithm,
            signature: &signature,
            content_type,
            content,
            stamp_token: None,
        }
        .der()
    }
}
