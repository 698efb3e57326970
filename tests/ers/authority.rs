//! Certification and time-stamp authorities for tests: any key, any dates, any moment. Real DER, so that `openssl ts` agrees.

use kepd::clock::UtcTime;
use kepd::cms::algorithm::{DigestAlgorithm, SignatureAlgorithm};
use kepd::cms::signed::{Assembly, CONTENT_DATA, CONTENT_TST_INFO, SignedAttributes};
use kepd::cms::tsp::TstInfo;
use kepd::cms::{Certificate, ContentDigest};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CrlDistributionPoint, CustomExtension, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, RsaKeySize, SanType, SigningKey as _,
};
use std::sync::atomic::{AtomicU64, Ordering};
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
pub struct Root {
    issuer: CertifiedIssuer<'static, KeyPair>,
    /// Where the revocation list lies, by the certificates that it issues.
    list_at: Option<String>,
}

impl Root {
    pub fn new(name: &str) -> Self {
        Self::made(name, Kind::P384, None)
    }

    /// One that publishes a list.
    pub fn publishing(name: &str, list_at: &str) -> Self {
        Self::made(name, Kind::P256, Some(list_at.to_owned()))
    }

    fn made(name: &str, kind: Kind, list_at: Option<String>) -> Self {
        let mut p = params(name, at("2020-01-01"), at("2080-01-01"));
        p.is_ca = IsCa::Ca(BasicConstraints::Constrained(1));
        p.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = CertifiedIssuer::self_signed(p, kind.key()).unwrap();
        Self { issuer, list_at }
    }

    pub fn key_pem(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    pub fn certificate(&self) -> Certificate {
        Certificate::from_der(self.issuer.der()).unwrap()
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

    /// A provider's seal, with the address that its messages come from.
    pub fn seal(&self, (name, address): (&str, &str), kind: Kind, from: UtcTime, to: UtcTime) -> Signer {
        let mut p = params(name, from, to);
        p.subject_alt_names
            .push(SanType::Rfc822Name(address.try_into().unwrap()));
        p.extended_key_usages = vec![ExtendedKeyUsagePurpose::EmailProtection];
        self.issue(p, kind)
    }

    fn issue(&self, mut p: CertificateParams, kind: Kind) -> Signer {
        let point = |at: &String| CrlDistributionPoint {
            uris: vec![at.clone()],
        };
        p.crl_distribution_points = self.list_at.iter().map(point).collect();
        p.key_usages = vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::ContentCommitment,
        ];
        let key = kind.key();
        let certificate = p.signed_by(&key, &self.issuer).unwrap();
        Signer {
            certificate: Certificate::from_der(certificate.der()).unwrap(),
            algorithm: kind.algorithm(),
            key,
            serial: AtomicU64::new(1),
        }
    }
}

/// A key with its certificate.
pub struct Signer {
    key: KeyPair,
    pub certificate: Certificate,
    algorithm: SignatureAlgorithm,
    serial: AtomicU64,
}

impl Signer {
    /// A time-stamp token over a digest.
    pub fn token(&self, imprint: &ContentDigest, at: UtcTime) -> Vec<u8> {
        self.answer(imprint, None, at)
    }

    /// The same to a request with a nonce.
    pub fn answer(&self, imprint: &ContentDigest, nonce_der: Option<&[u8]>, at: UtcTime) -> Vec<u8> {
        let info = TstInfo {
            policy: "2.999.1",
            imprint,
            serial: self.serial.fetch_add(1, Ordering::Relaxed),
            gen_time: at,
            accuracy_s: 1,
            nonce_der,
        };
        let info = info.der().unwrap();
        self.signed(CONTENT_TST_INFO, &info, Some(&info), at)
    }

    pub fn key_pem(&self) -> String {
        self.key.serialize_pem()
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
