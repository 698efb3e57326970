//! Certificates for development and the demo: an authority, and below it TLS, seal and time-stamp certificates.
//!
//! Not for production: there a provider buys its certificates from a qualified authority, and `kepd.toml` names them.
//! Keys are written with mode 600, each file created anew and flushed to the disk; an existing file is never replaced.

use crate::address::{Domain, KepAddress};
use crate::clock::UtcTime;
use crate::cms::Certificate;
use crate::cms::der::DerError;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CustomExtension, DnType, ExtendedKeyUsagePurpose,
    IsCa, KeyPair, KeyUsagePurpose, RsaKeySize, SanType, SerialNumber,
};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;
use zeroize::Zeroizing;

/// What to make.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Put into the names: `CN=KEP hs01.kep.test ...`.
    pub domain: Domain,
    /// The rfc822Name of the seal certificate, e.g. `kep@hs01.kep.test`.
    pub seal_address: KepAddress,
    /// DNS names of the TLS certificate; 127.0.0.1, ::1 and localhost are added.
    pub dns_names: Vec<String>,
    pub not_before: UtcTime,
    pub not_after: UtcTime,
    pub seal_key: KeyAlgorithm,
}

/// The kind of the seal's key; all other keys are P-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KeyAlgorithm {
    #[default]
    P256,
    P384,
    Rsa3072,
}

/// A certificate with its key, as PEM.
#[derive(Clone)]
pub struct Credential {
    pub certificate_pem: String,
    pub key_pem: Zeroizing<String>,
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credential")
    }
}

impl Credential {
    pub fn certificate(&self) -> Result<Certificate, DerError> {
        Certificate::from_pem_text(&self.certificate_pem)?
            .pop()
            .ok_or(DerError("no certificate in the PEM text"))
    }
}

/// What was made.
#[derive(Debug, Clone)]
pub struct DevPki {
    pub ca: Credential,
    pub tls: Credential,
    pub seal: Credential,
    pub tsa: Credential,
}

#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    #[error("making a certificate: {0}")]
    Make(#[from] rcgen::Error),
    #[error("writing {path}: {source}")]
    Write { path: String, source: std::io::Error },
}

impl DevPki {
    /// Makes everything in memory.
    pub fn generate(plan: &Plan) -> Result<Self, PkiError> {
        let domain = plan.domain.as_str();
        let mut params = certificate_params(plan, &format!("KEP {domain} Root CA"))?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(1));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;

        let mut tls = certificate_params(plan, domain)?;
        for name in plan.dns_names.iter().map(String::as_str).chain(["localhost"]) {
            tls.subject_alt_names.push(SanType::DnsName(name.try_into()?));
        }
        tls.subject_alt_names
            .push(SanType::IpAddress(std::net::Ipv4Addr::LOCALHOST.into()));
        tls.subject_alt_names
            .push(SanType::IpAddress(std::net::Ipv6Addr::LOCALHOST.into()));
        tls.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        // Relaying providers speak as clients too.
        tls.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];

        let mut seal = certificate_params(plan, &format!("KEP {domain} Seal"))?;
        seal.subject_alt_names
            .push(SanType::Rfc822Name(plan.seal_address.as_str().try_into()?));
        seal.key_usages = vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::ContentCommitment,
        ];
        seal.extended_key_usages = vec![ExtendedKeyUsagePurpose::EmailProtection];
        let seal_key = match plan.seal_key {
            KeyAlgorithm::P256 => KeyPair::generate()?,
            KeyAlgorithm::P384 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384)?,
            KeyAlgorithm::Rsa3072 => KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_3072)?,
        };

        let mut tsa = certificate_params(plan, &format!("KEP {domain} Time-Stamp Authority"))?;
        tsa.key_usages = vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::ContentCommitment,
        ];
        // RFC 3161 2.3: the one purpose must be critical, which rcgen's own extension is not.
        let only = [0x30, 0x0a, 0x06, 0x08, 0x2b, 6, 1, 5, 5, 7, 3, 8];
        let mut purpose = CustomExtension::from_oid_content(&[2, 5, 29, 37], only.to_vec());
        purpose.set_criticality(true);
        tsa.custom_extensions.push(purpose);

        Ok(Self {
            tls: issue(tls, KeyPair::generate()?, &ca)?,
            seal: issue(seal, seal_key, &ca)?,
            tsa: issue(tsa, KeyPair::generate()?, &ca)?,
            ca: Credential {
                certificate_pem: ca.pem(),
                key_pem: Zeroizing::new(ca.key().serialize_pem()),
            },
        })
    }

    /// Writes `ca`, `tls`, `seal` and `tsa`, each as `.pem` (644) and `.key` (600), into an existing folder.
    pub fn write(&self, folder: &Path) -> Result<(), PkiError> {
        let all = [
            ("ca", &self.ca),
            ("tls", &self.tls),
            ("seal", &self.seal),
            ("tsa", &self.tsa),
        ];
        for (name, credential) in all {
            write_new(
                &folder.join(format!("{name}.pem")),
                credential.certificate_pem.as_bytes(),
                0o644,
            )?;
            write_new(
                &folder.join(format!("{name}.key")),
                credential.key_pem.as_bytes(),
                0o600,
            )?;
        }
        let sync = std::fs::File::open(folder).and_then(|f| f.sync_all());
        sync.map_err(|source| PkiError::Write {
            path: folder.display().to_string(),
            source,
        })
    }
}

fn certificate_params(plan: &Plan, common_name: &str) -> Result<CertificateParams, PkiError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CountryName, "TR");
    params
        .distinguished_name
        .push(DnType::OrganizationName, format!("KEP {}", plan.domain.as_str()));
    params.distinguished_name.push(DnType::CommonName, common_name);
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let at = |t: UtcTime| epoch + Duration::from_secs(u64::try_from(t.unix_s()).unwrap_or(0));
    params.not_before = at(plan.not_before);
    params.not_after = at(plan.not_after);
    params.use_authority_key_identifier_extension = true;
    // Chance, as RFC 5280 4.1.2.2 allows; the first bit is cleared so that the number is positive.
    let mut serial = [0u8; 16];
    aws_lc_rs::rand::fill(&mut serial).map_err(|_| rcgen::Error::RingUnspecified)?;
    serial[0] = serial[0] & 0x7f | 0x40;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    Ok(params)
}

fn issue(
    params: CertificateParams,
    key: KeyPair,
    ca: &CertifiedIssuer<'_, KeyPair>,
) -> Result<Credential, PkiError> {
    let certificate = params.signed_by(&key, ca)?;
    Ok(Credential {
        certificate_pem: certificate.pem(),
        key_pem: Zeroizing::new(key.serialize_pem()),
    })
}

fn write_new(path: &Path, octets: &[u8], mode: u32) -> Result<(), PkiError> {
    let write = || {
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(path)?;
        file.write_all(octets)?;
        file.sync_all()
    };
    write().map_err(|source| PkiError::Write {
        path: path.display().to_string(),
        source,
    })
}
