//! The people of the corpus: one authority, its subscribers, and those who only look like them. Made once.

use super::super::{now, run};
use crate::clock::UtcTime;
use crate::cms::certificate::KeyKind;
use crate::cms::{Certificate, DigestAlgorithm};
use crate::seal::key::Manner;
use crate::seal::{SealKey, TrustStore};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA256,
    RsaKeyPair,
};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CustomExtension, DnType, ExtendedKeyUsagePurpose,
    IsCa, KeyPair, KeyUsagePurpose, RsaKeySize, SanType, SerialNumber,
};
use std::process::Command;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tempfile::TempDir;

/// Somebody with a key and a certificate.
pub struct Party {
    pub certificate: Certificate,
    key_pem: String,
    folder: TempDir,
}

impl Party {
    fn new(certificate_pem: &str, key_pem: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("key.pem"), key_pem).unwrap();
        std::fs::write(folder.path().join("c.pem"), certificate_pem).unwrap();
        Self {
            certificate: Certificate::from_pem_text(certificate_pem).unwrap().remove(0),
            key_pem: key_pem.to_owned(),
            folder,
        }
    }

    /// A self-signed party whose key openssl makes: what rcgen refuses to make.
    pub fn by_openssl(newkey: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        run(Command::new("openssl")
            .current_dir(folder.path())
            .args(["genpkey", "-out", "key.pem"])
            .args(newkey));
        run(Command::new("openssl").current_dir(folder.path()).args([
            "req", "-x509", "-sha256", "-key", "key.pem", "-out", "c.pem", "-subj", "/CN=odd", "-days",
            "36500",
        ]));
        let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
        Self::new(&read("c.pem"), &read("key.pem"))
    }

    /// Somebody else's key in a certificate of this party, which openssl makes and openssl accepts.
    pub fn certifies(&self, subject: &Self) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("ca.pem", self.certificate.pem().as_str()),
            ("ca.key", &self.key_pem),
            ("key.pem", &subject.key_pem),
            (
                "extensions",
                "keyUsage = critical, digitalSignature, nonRepudiation\n",
            ),
        ] {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        for arguments in [
            "req -new -key key.pem -subj /CN=Ay\u{15f}e -utf8 -out request.pem",
            "x509 -req -in request.pem -CA ca.pem -CAkey ca.key -sha256 -days 36500 -extfile extensions -out c.pem",
            "verify -CAfile ca.pem c.pem",
        ] {
            run(Command::new("openssl")
                .current_dir(folder.path())
                .args(arguments.split(' ')));
        }
        let made = std::fs::read_to_string(folder.path().join("c.pem")).unwrap();
        Self::new(&made, &subject.key_pem)
    }

    /// A signature over a message; ECDSA in DER, RSA with PKCS #1 v1.5.
    pub fn sign(&self, digest: DigestAlgorithm, message: &[u8]) -> Vec<u8> {
        let rng = SystemRandom::new();
        match (self.certificate.key_kind(), digest) {
            (KeyKind::P256, DigestAlgorithm::Sha256) => {
                let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &self.pkcs8()).unwrap();
                pair.sign(&rng, message).unwrap().as_ref().to_vec()
            }
            (KeyKind::P384, DigestAlgorithm::Sha384) => {
                let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_ASN1_SIGNING, &self.pkcs8()).unwrap();
                pair.sign(&rng, message).unwrap().as_ref().to_vec()
            }
            (KeyKind::Rsa, DigestAlgorithm::Sha256) => match RsaKeyPair::from_pkcs8(&self.pkcs8()) {
                Ok(pair) => {
                    let mut out = vec![0; pair.public_modulus_len()];
                    pair.sign(&RSA_PKCS1_SHA256, &rng, message, &mut out).unwrap();
                    out
                }
                Err(_) => self.sign_by_openssl("sha256", message),
            },
            (_, DigestAlgorithm::Sha256) => self.sign_by_openssl("sha256", message),
            (_, DigestAlgorithm::Sha384) => self.sign_by_openssl("sha384", message),
            (_, DigestAlgorithm::Sha512) => self.sign_by_openssl("sha512", message),
        }
    }

    /// With a digest that the house does not know (`sha1`, `md5`).
    pub fn sign_by_openssl(&self, digest: &str, message: &[u8]) -> Vec<u8> {
        self.openssl(
            message,
            &[
                "dgst",
                &format!("-{digest}"),
                "-sign",
                "key.pem",
                "-out",
                "out",
                "in",
            ],
        )
    }

    /// The bare RSA operation (openssl calls it decryption) over an encoded message of the modulus' length: any padding one likes.
    pub fn raw_rsa(&self, encoded: &[u8]) -> Vec<u8> {
        self.openssl(
            encoded,
            &[
                "pkeyutl",
                "-decrypt",
                "-inkey",
                "key.pem",
                "-pkeyopt",
                "rsa_padding_mode:none",
                "-in",
                "in",
                "-out",
                "out",
            ],
        )
    }

    /// RSASSA-PSS over a SHA-256, with a salt (`digest`, `max`, a number) and the digest of the mask as one likes.
    pub fn pss(&self, [salt, mask]: [&str; 2], message: &[u8]) -> Vec<u8> {
        let (salt, mask) = (format!("rsa_pss_saltlen:{salt}"), format!("rsa_mgf1_md:{mask}"));
        let options = [
            "-sigopt",
            "rsa_padding_mode:pss",
            "-sigopt",
            &salt,
            "-sigopt",
            &mask,
        ];
        let sign = ["dgst", "-sha256", "-sign", "key.pem", "-out", "out"];
        self.openssl(message, &[&sign[..], &options, &["in"]].concat())
    }

    /// A detached CMS signature of openssl with SHA-256, made as `options` want it.
    pub fn cms(&self, options: &[&str], content: &[u8]) -> Vec<u8> {
        let signer = self.folder.path().join("c.pem");
        let sign = [
            "cms", "-sign", "-binary", "-cades", "-md", "sha256", "-inkey", "key.pem",
        ];
        let files = [
            "-signer",
            signer.to_str().unwrap(),
            "-in",
            "in",
            "-outform",
            "DER",
            "-out",
            "out",
        ];
        self.openssl(content, &[&sign[..], &files, options].concat())
    }

    /// The key as the house signs with it.
    pub fn seal_key(&self, manner: Manner) -> SealKey {
        SealKey::from_pem(&self.key_pem).unwrap().signing(manner).unwrap()
    }

    fn openssl(&self, input: &[u8], arguments: &[&str]) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("in"), input).unwrap();
        std::fs::copy(self.folder.path().join("key.pem"), folder.path().join("key.pem")).unwrap();
        run(Command::new("openssl").current_dir(folder.path()).args(arguments));
        std::fs::read(folder.path().join("out")).unwrap()
    }

    fn pkcs8(&self) -> Vec<u8> {
        use base64::Engine as _;
        let body: String = self.key_pem.lines().filter(|l| !l.starts_with('-')).collect();
        base64::engine::general_purpose::STANDARD.decode(body).unwrap()
    }
}

/// Everybody.
pub struct World {
    pub ca_pem: String,
    pub trust: Arc<TrustStore>,
    /// The victim: a provider's seal.
    pub seal: Party,
    /// The same name and serial number as [`World::seal`], of the same authority, with another key.
    pub twin: Party,
    /// The same key as [`World::seal`], another certificate of the same authority.
    pub renewed: Party,
    /// A subscriber of the same authority who has nothing to do with it.
    pub other: Party,
    pub p384: Party,
    pub rsa: Party,
    pub tsa: Party,
    /// Time-stamp authorities with other keys.
    pub rsa_tsa: Party,
    pub p384_tsa: Party,
    /// A time-stamp authority whose certificate begins a year later.
    pub later_tsa: Party,
    /// Time-stamp authorities with the purpose not critical, and with two purposes.
    pub lax_tsa: Party,
    pub double_tsa: Party,
    /// A time-stamp authority of nobody's.
    pub stray_tsa: Party,
    /// RSA keys: public exponent 3; 1024 and 512 bits.
    pub rsa_e3: Party,
    pub rsa_1024: Party,
    pub rsa_512: Party,
    pub secp256k1: Party,
    pub p521: Party,
}

/// The people, made when they are first asked for.
pub fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(World::make)
}

type Authority = CertifiedIssuer<'static, KeyPair>;

fn params(name: &str, serial: u8) -> CertificateParams {
    let mut p = CertificateParams::default();
    p.distinguished_name = rcgen::DistinguishedName::new();
    p.distinguished_name.push(DnType::CountryName, "TR");
    p.distinguished_name.push(DnType::CommonName, name);
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let at = |t: UtcTime| epoch + Duration::from_secs(u64::try_from(t.unix_s()).unwrap());
    p.not_before = at(now().minus(Duration::from_secs(86_400)));
    p.not_after = at(now().plus(Duration::from_secs(86_400 * 3650)));
    p.serial_number = Some(SerialNumber::from_slice(&[0x40, serial]));
    p
}

fn authority(name: &str) -> Authority {
    let mut p = params(name, 1);
    p.is_ca = IsCa::Ca(BasicConstraints::Constrained(1));
    p.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    CertifiedIssuer::self_signed(p, KeyPair::generate().unwrap()).unwrap()
}

fn seal_params(name: &str, serial: u8) -> CertificateParams {
    let mut p = params(name, serial);
    let address = "kep@hs01.kep.test".try_into().unwrap();
    p.subject_alt_names.push(SanType::Rfc822Name(address));
    p.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    p.extended_key_usages = vec![ExtendedKeyUsagePurpose::EmailProtection];
    p.use_authority_key_identifier_extension = true;
    let key_id = CustomExtension::from_oid_content(&[2, 5, 29, 14], vec![4, 2, serial, serial]);
    p.custom_extensions.push(key_id);
    p
}

fn tsa_params(name: &str, serial: u8, critical: bool) -> CertificateParams {
    let mut p = params(name, serial);
    p.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let only = [0x30, 0x0a, 0x06, 0x08, 0x2b, 6, 1, 5, 5, 7, 3, 8];
    let mut purpose = CustomExtension::from_oid_content(&[2, 5, 29, 37], only.to_vec());
    purpose.set_criticality(critical);
    p.custom_extensions.push(purpose);
    p
}

fn issue(p: CertificateParams, key: &KeyPair, ca: &Authority) -> Party {
    let certificate = p.signed_by(key, ca).unwrap();
    Party::new(&certificate.pem(), &key.serialize_pem())
}

impl World {
    fn make() -> Self {
        let ca = authority("Corpus Root");
        let p256 = || KeyPair::generate().unwrap();
        let seal_key = p256();
        let mut trust = TrustStore::new();
        trust.add_pem_text(&ca.pem()).unwrap();
        let mut later = tsa_params("Later Stamps", 21, true);
        later.not_before = rcgen::date_time_ymd(2027, 11, 1);
        let mut double = tsa_params("Double Stamps", 22, true);
        let both = [
            &[0x30, 0x14][..],
            &[6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 8],
            &[6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 4],
        ];
        double.custom_extensions.clear();
        let mut purposes = CustomExtension::from_oid_content(&[2, 5, 29, 37], both.concat());
        purposes.set_criticality(true);
        double.custom_extensions.push(purposes);
        Self {
            ca_pem: ca.pem(),
            trust: Arc::new(trust),
            seal: issue(seal_params("Corpus Seal", 10), &seal_key, &ca),
            twin: issue(seal_params("Corpus Seal", 10), &p256(), &ca),
            renewed: issue(seal_params("Corpus Seal", 11), &seal_key, &ca),
            other: issue(seal_params("Other Seal", 12), &p256(), &ca),
            p384: issue(
                seal_params("P-384 Seal", 13),
                &KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap(),
                &ca,
            ),
            rsa: issue(
                seal_params("RSA Seal", 14),
                &KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap(),
                &ca,
            ),
            tsa: issue(tsa_params("Stamps", 20, true), &p256(), &ca),
            rsa_tsa: issue(
                tsa_params("RSA Stamps", 24, true),
                &KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap(),
                &ca,
            ),
            p384_tsa: issue(
                tsa_params("P-384 Stamps", 25, true),
                &KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap(),
                &ca,
            ),
            later_tsa: issue(later, &p256(), &ca),
            lax_tsa: issue(tsa_params("Lax Stamps", 23, false), &p256(), &ca),
            double_tsa: issue(double, &p256(), &ca),
            stray_tsa: issue(tsa_params("Stamps", 20, true), &p256(), &authority("Corpus Root")),
            rsa_e3: Party::by_openssl(&[
                "-algorithm",
                "RSA",
                "-pkeyopt",
                "rsa_keygen_bits:2048",
                "-pkeyopt",
                "rsa_keygen_pubexp:3",
            ]),
            rsa_1024: Party::by_openssl(&["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"]),
            rsa_512: Party::by_openssl(&["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:512"]),
            secp256k1: Party::by_openssl(&["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:secp256k1"]),
            p521: Party::by_openssl(&["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"]),
        }
    }
}
