//! An X.509 certificate as it came (RFC 5280): the octets, and what the house asks of them.
//!
//! The DER is kept and never written anew: its digest, the issuer's name and the signed part are slices of it. An unknown
//! public key algorithm is no reason to refuse the certificate; a signature by it just does not verify.

use super::algorithm::{DigestAlgorithm, SignatureAlgorithm, sha256};
use super::der::{self, DerError, Reader, Tlv};
use super::extension;
use super::name;
use super::pss;
use crate::clock::UtcTime;
use aws_lc_rs::signature as sig;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

/// Largest certificate read, in octets: qualified certificates with many extensions stay below 4 KiB.
pub const CERTIFICATE_MAX_OCTETS: usize = 16 * 1024;
/// RSA moduli that count as keys: 2048 to 8192 bits (TS 119 312 leaves nothing below).
const RSA_MODULUS_OCTETS: std::ops::RangeInclusive<usize> = 256..=1024;
/// Most extensions looked at in one certificate.
const EXTENSIONS_MAX: usize = 64;

/// id-kp-timeStamping 1.3.6.1.5.5.7.3.8
pub const EKU_TIME_STAMPING: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 8];
/// id-kp-emailProtection 1.3.6.1.5.5.7.3.4
pub const EKU_EMAIL_PROTECTION: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 4];
/// id-kp-clientAuth 1.3.6.1.5.5.7.3.2
pub const EKU_CLIENT_AUTH: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 2];
/// id-kp-documentSigning 1.3.6.1.5.5.7.3.36 (RFC 9336)
pub const EKU_DOCUMENT_SIGNING: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 36];
/// id-kp-OCSPSigning 1.3.6.1.5.5.7.3.9 (RFC 6960 4.2.2.2)
pub const EKU_OCSP_SIGNING: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 9];
/// anyExtendedKeyUsage 2.5.29.37.0
pub const EKU_ANY: &[u8] = &[0x55, 0x1d, 0x25, 0];

const OID_EC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const OID_P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const OID_P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
const OID_RSA_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];

/// The kind of a public key. Other curves, short RSA keys and other algorithms are `Unsupported`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    P256,
    P384,
    Rsa,
    Unsupported,
}

/// Which paddings an RSA key may be used with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Padding {
    Any,
    /// id-RSASSA-PSS names the key (RFC 4055 1.2): with that alone, and perhaps with one digest alone.
    Pss(Option<DigestAlgorithm>),
}

/// Key usage bits that the house asks about (RFC 5280 4.2.1.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyUsage(u16);

impl KeyUsage {
    pub fn digital_signature(self) -> bool {
        self.0 & 0x8000 != 0
    }
    pub fn non_repudiation(self) -> bool {
        self.0 & 0x4000 != 0
    }
    pub fn key_cert_sign(self) -> bool {
        self.0 & 0x0400 != 0
    }
    pub fn crl_sign(self) -> bool {
        self.0 & 0x0200 != 0
    }
}

/// A parsed certificate; cheap to clone.
#[derive(Clone)]
pub struct Certificate(Arc<Parsed>);

struct Parsed {
    der: Vec<u8>,
    fingerprint: [u8; 32],
    tbs: Range<usize>,
    serial: Range<usize>,
    issuer: Range<usize>,
    subject: Range<usize>,
    spki: Range<usize>,
    key: Range<usize>,
    key_kind: KeyKind,
    padding: Padding,
    algorithm: Option<SignatureAlgorithm>,
    signature: Range<usize>,
    not_before: UtcTime,
    not_after: UtcTime,
    extensions: Extensions,
    /// The subject for people, once somebody asked for it.
    subject_text: OnceLock<String>,
    /// The key made ready for the algorithm it was first used with; None when it is no key.
    ready: OnceLock<Option<(SignatureAlgorithm, sig::ParsedPublicKey)>>,
}

#[derive(Default)]
struct Extensions {
    ca: bool,
    path_length_max: Option<u32>,
    key_usage: Option<KeyUsage>,
    ext_key_usage: Option<(bool, Vec<Vec<u8>>)>,
    subject_key_id: Option<Vec<u8>>,
    rfc822_names: Vec<String>,
    unknown_critical: bool,
    places: Vec<ExtensionPlace>,
}

/// Where an extension stands in the octets.
struct ExtensionPlace {
    oid: Range<usize>,
    critical: bool,
    value: Range<usize>,
}

impl Certificate {
    /// Reads one DER certificate. The octets are kept as they are.
    pub fn from_der(octets: &[u8]) -> Result<Self, DerError> {
        if octets.len() > CERTIFICATE_MAX_OCTETS {
            return Err(DerError("certificate is too large"));
        }
        let place = |part: &[u8]| range_within(octets, part);
        let mut certificate = der::whole(octets, der::SEQUENCE, "certificate")?;
        let tbs = certificate.expect(der::SEQUENCE, "tbsCertificate")?;
        let outer = certificate.expect(der::SEQUENCE, "signatureAlgorithm")?;
        let signature = bit_string(certificate.expect(der::BIT_STRING, "signature")?)?;
        certificate.end("certificate")?;

        let mut t = Reader::new(tbs.value);
        let version = t.optional(der::context(0))?;
        let serial = t.expect(der::INTEGER, "serialNumber")?;
        let inner = t.expect(der::SEQUENCE, "signature")?;
        // RFC 5280 4.1.1.2: both must be the same.
        if inner.raw != outer.raw {
            return Err(DerError("signature algorithms differ"));
        }
        let issuer = t.expect(der::SEQUENCE, "issuer")?;
        let mut validity = t.enter(der::SEQUENCE, "validity")?;
        let not_before = der::read_time(&validity.any()?)?;
        let not_after = der::read_time(&validity.any()?)?;
        validity.end("validity")?;
        let subject = t.expect(der::SEQUENCE, "subject")?;
        let spki = t.expect(der::SEQUENCE, "subjectPublicKeyInfo")?;
        let (key_kind, padding, key) = public_key(spki.value)?;
        t.optional(0x81)?;
        t.optional(0x82)?;
        let extensions = match t.optional(der::context(3))? {
            Some(e) if version.is_some_and(|v| v.value == [der::INTEGER, 1, 2]) => {
                read_extensions(octets, e.value)?
            }
            Some(_) => return Err(DerError("extensions in a certificate that is not version 3")),
            None => Extensions::default(),
        };
        t.end("tbsCertificate")?;
        Ok(Self(Arc::new(Parsed {
            fingerprint: sha256(octets),
            tbs: place(tbs.raw),
            serial: place(serial.value),
            issuer: place(issuer.raw),
            subject: place(subject.raw),
            spki: place(spki.raw),
            key: place(key),
            key_kind,
            padding,
            algorithm: SignatureAlgorithm::read(Reader::new(outer.value), None).ok(),
            signature: place(signature),
            not_before,
            not_after,
            extensions,
            subject_text: OnceLock::new(),
            ready: OnceLock::new(),
            der: octets.to_vec(),
        })))
    }

    /// All certificates of a PEM text, in order.
    pub fn from_pem_text(text: &str) -> Result<Vec<Self>, DerError> {
        use rustls_pki_types::{CertificateDer, pem::PemObject};
        CertificateDer::pem_slice_iter(text.as_bytes())
            .map(|item| item.map_err(|_| DerError("PEM")).and_then(|c| Self::from_der(&c)))
            .collect()
    }

    pub fn der(&self) -> &[u8] {
        &self.0.der
    }

    /// The PEM text, as export bundles carry it.
    pub fn pem(&self) -> String {
        use base64::Engine as _;
        let packed = base64::engine::general_purpose::STANDARD.encode(self.der());
        let mut out = String::from("-----BEGIN CERTIFICATE-----\n");
        // RFC 7468 2: lines of 64.
        for (i, c) in packed.chars().enumerate() {
            if i > 0 && i % 64 == 0 {
                out.push('\n');
            }
            out.push(c);
        }
        out.push_str("\n-----END CERTIFICATE-----\n");
        out
    }

    /// SHA-256 of the DER.
    pub fn fingerprint(&self) -> [u8; 32] {
        self.0.fingerprint
    }

    /// The fingerprint in lower-case hex.
    pub fn fingerprint_hex(&self) -> String {
        self.0.fingerprint.iter().map(|o| format!("{o:02x}")).collect()
    }

    /// The content octets of the serial number.
    pub fn serial(&self) -> &[u8] {
        self.part(&self.0.serial)
    }

    /// The issuer's name in DER, as it stands.
    pub fn issuer_der(&self) -> &[u8] {
        self.part(&self.0.issuer)
    }

    pub fn subject_der(&self) -> &[u8] {
        self.part(&self.0.subject)
    }

    pub fn spki_der(&self) -> &[u8] {
        self.part(&self.0.spki)
    }

    /// The public key as signatures over TLS handshakes need it: the content of its AlgorithmIdentifier, and its octets.
    pub fn public_key_parts(&self) -> (&[u8], &[u8]) {
        let algorithm = der::whole(self.spki_der(), der::SEQUENCE, "subjectPublicKeyInfo")
            .and_then(|mut fields| fields.expect(der::SEQUENCE, "key algorithm"));
        (algorithm.map_or(&[], |a| a.value), self.part(&self.0.key))
    }

    /// The public key itself: the octets of the BIT STRING, which OCSP hashes (RFC 6960 4.1.1).
    pub fn key_octets(&self) -> &[u8] {
        self.part(&self.0.key)
    }

    /// An extension as it stands: whether it is critical, and the DER in its OCTET STRING.
    pub fn extension(&self, oid: &[u8]) -> Option<(bool, &[u8])> {
        let places = self.0.extensions.places.iter();
        let mut found = places.filter(|p| self.part(&p.oid) == oid);
        found.next().map(|p| (p.critical, self.part(&p.value)))
    }

    /// The subject for people, RFC 4514 like: `CN=..., O=..., C=TR`. Never compare names by it.
    pub fn subject(&self) -> String {
        let text = self
            .0
            .subject_text
            .get_or_init(|| name::display(self.subject_der()));
        text.clone()
    }

    pub fn issuer(&self) -> String {
        name::display(self.issuer_der())
    }

    pub fn not_before(&self) -> UtcTime {
        self.0.not_before
    }

    pub fn not_after(&self) -> UtcTime {
        self.0.not_after
    }

    pub fn is_valid_at(&self, moment: UtcTime) -> bool {
        // notAfter is inclusive and in whole seconds (RFC 5280 4.1.2.5).
        self.0.not_before <= moment && moment.unix_s() <= self.0.not_after.unix_s()
    }

    pub fn key_kind(&self) -> KeyKind {
        self.0.key_kind
    }

    /// The strength of the key as its family counts it: bits of the curve or of the modulus; 0 when it is not supported.
    pub fn key_bits(&self) -> u32 {
        match self.0.key_kind {
            KeyKind::P256 => 256,
            KeyKind::P384 => 384,
            KeyKind::Rsa => modulus_bits(self.part(&self.0.key)).unwrap_or(0),
            KeyKind::Unsupported => 0,
        }
    }

    /// The family of what the key signs, as the algorithm policy names it; none of a key that is not supported. An RSA key that may be
    /// used with any padding counts as the weaker one.
    pub fn key_family(&self) -> &'static str {
        match (self.0.key_kind, self.0.padding) {
            (KeyKind::P256 | KeyKind::P384, _) => "ECDSA",
            (KeyKind::Rsa, Padding::Any) => "RSA",
            (KeyKind::Rsa, Padding::Pss(_)) => "RSA-PSS",
            (KeyKind::Unsupported, _) => "",
        }
    }

    pub fn is_ca(&self) -> bool {
        self.0.extensions.ca
    }

    pub fn path_length_max(&self) -> Option<u32> {
        self.0.extensions.path_length_max
    }

    pub fn key_usage(&self) -> Option<KeyUsage> {
        self.0.extensions.key_usage
    }

    /// (critical, purposes as OID content octets).
    pub fn ext_key_usage(&self) -> Option<(bool, &[Vec<u8>])> {
        self.0
            .extensions
            .ext_key_usage
            .as_ref()
            .map(|(critical, list)| (*critical, list.as_slice()))
    }

    pub fn subject_key_id(&self) -> Option<&[u8]> {
        self.0.extensions.subject_key_id.as_deref()
    }

    /// The key identifier of the issuer, where it is stated (RFC 5280 4.2.1.1).
    pub fn authority_key_id(&self) -> Option<&[u8]> {
        let (_, value) = self.extension(extension::AUTHORITY_KEY_ID)?;
        let mut fields = der::whole(value, der::SEQUENCE, "authority key identifier").ok()?;
        fields.optional(0x80).ok()?.map(|t| t.value)
    }

    /// The e-mail addresses of the subject alternative name.
    pub fn rfc822_names(&self) -> &[String] {
        &self.0.extensions.rfc822_names
    }

    /// Whether an extension is critical that this house does not process (RFC 5280 4.2: then it must be refused).
    pub fn has_unknown_critical(&self) -> bool {
        self.0.extensions.unknown_critical
    }

    /// Whether issuer and subject are the same name.
    pub fn is_self_issued(&self) -> bool {
        self.issuer_der() == self.subject_der()
    }

    /// Whether this certificate's key made `signature` over `message`. ECDSA signatures are DER here.
    pub fn verify(&self, algorithm: SignatureAlgorithm, message: &[u8], signature: &[u8]) -> bool {
        use DigestAlgorithm::{Sha256, Sha384, Sha512};
        let verifier: &'static dyn sig::VerificationAlgorithm = match (self.0.key_kind, algorithm) {
            (KeyKind::P256, SignatureAlgorithm::Ecdsa(Sha256)) => &sig::ECDSA_P256_SHA256_ASN1,
            (KeyKind::P256, SignatureAlgorithm::Ecdsa(Sha384)) => &sig::ECDSA_P256_SHA384_ASN1,
            (KeyKind::P256, SignatureAlgorithm::Ecdsa(Sha512)) => &sig::ECDSA_P256_SHA512_ASN1,
            (KeyKind::P384, SignatureAlgorithm::Ecdsa(Sha256)) => &sig::ECDSA_P384_SHA256_ASN1,
            (KeyKind::P384, SignatureAlgorithm::Ecdsa(Sha384)) => &sig::ECDSA_P384_SHA384_ASN1,
            (KeyKind::P384, SignatureAlgorithm::Ecdsa(Sha512)) => &sig::ECDSA_P384_SHA512_ASN1,
            (KeyKind::Rsa, SignatureAlgorithm::Rsa(Sha256)) => &sig::RSA_PKCS1_2048_8192_SHA256,
            (KeyKind::Rsa, SignatureAlgorithm::Rsa(Sha384)) => &sig::RSA_PKCS1_2048_8192_SHA384,
            (KeyKind::Rsa, SignatureAlgorithm::Rsa(Sha512)) => &sig::RSA_PKCS1_2048_8192_SHA512,
            // A salt of the digest's length, and no other.
            (KeyKind::Rsa, SignatureAlgorithm::RsaPss(Sha256)) => &sig::RSA_PSS_2048_8192_SHA256,
            (KeyKind::Rsa, SignatureAlgorithm::RsaPss(Sha384)) => &sig::RSA_PSS_2048_8192_SHA384,
            (KeyKind::Rsa, SignatureAlgorithm::RsaPss(Sha512)) => &sig::RSA_PSS_2048_8192_SHA512,
            _ => return false,
        };
        if !self.allows(algorithm) {
            return false;
        }
        let key = self.part(&self.0.key);
        let ready = self.0.ready.get_or_init(|| {
            let parsed = sig::ParsedPublicKey::new(verifier, key).ok()?;
            Some((algorithm, parsed))
        });
        // Made ready once: of RSA that is half of what verifying costs.
        let verified = match ready {
            Some((of, parsed)) if *of == algorithm => parsed.verify_sig(message, signature),
            _ => sig::UnparsedPublicKey::new(verifier, key).verify(message, signature),
        };
        verified.is_ok()
    }

    /// RFC 4055 1.2 and 3.3: what id-RSASSA-PSS names makes no other signatures, and where it states parameters, none with others.
    fn allows(&self, algorithm: SignatureAlgorithm) -> bool {
        match (self.0.padding, algorithm) {
            (Padding::Any, _) => true,
            (Padding::Pss(only), SignatureAlgorithm::RsaPss(digest)) => only.is_none_or(|d| d == digest),
            (Padding::Pss(_), _) => false,
        }
    }

    /// Whether `issuer`'s key signed this certificate.
    pub fn is_signed_by(&self, issuer: &Certificate) -> bool {
        let Some(algorithm) = self.0.algorithm else {
            return false;
        };
        issuer.verify(algorithm, self.part(&self.0.tbs), self.part(&self.0.signature))
    }

    fn part(&self, range: &Range<usize>) -> &[u8] {
        &self.0.der[range.clone()]
    }
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.der == other.0.der
    }
}

impl Eq for Certificate {}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Certificate({}, {})",
            self.subject(),
            &self.fingerprint_hex()[..16]
        )
    }
}

/// Where `part`, a slice of `whole`, lies in it.
pub(super) fn range_within(whole: &[u8], part: &[u8]) -> Range<usize> {
    let start = (part.as_ptr() as usize)
        .saturating_sub(whole.as_ptr() as usize)
        .min(whole.len());
    start..(start + part.len()).min(whole.len())
}

/// The octets of a BIT STRING without unused bits.
pub(super) fn bit_string(t: Tlv<'_>) -> Result<&[u8], DerError> {
    match t.value {
        [0, octets @ ..] => Ok(octets),
        _ => Err(DerError("bit string with unused bits")),
    }
}

fn public_key(spki: &[u8]) -> Result<(KeyKind, Padding, &[u8]), DerError> {
    let mut fields = Reader::new(spki);
    let mut algorithm = fields.enter(der::SEQUENCE, "key algorithm")?;
    let key = bit_string(fields.expect(der::BIT_STRING, "public key")?)?;
    fields.end("subjectPublicKeyInfo")?;
    let mut padding = Padding::Any;
    let kind = match algorithm.expect(der::OID, "key algorithm")?.value {
        pss::OID_RSA_PSS => match pss::read_key(algorithm) {
            Ok(only) if RSA_MODULUS_OCTETS.contains(&modulus_octets(key)?) => {
                padding = Padding::Pss(only);
                KeyKind::Rsa
            }
            // Restricted to what nobody here makes: SHA-1, another mask.
            _ => KeyKind::Unsupported,
        },
        OID_RSA_KEY if RSA_MODULUS_OCTETS.contains(&modulus_octets(key)?) => KeyKind::Rsa,
        OID_EC_KEY => match algorithm.optional(der::OID)?.map(|t| t.value) {
            Some(OID_P256) => KeyKind::P256,
            Some(OID_P384) => KeyKind::P384,
            _ => KeyKind::Unsupported,
        },
        _ => KeyKind::Unsupported,
    };
    Ok((kind, padding, key))
}

/// The length of n in RSAPublicKey (RFC 8017 A.1.1).
fn modulus_octets(key: &[u8]) -> Result<usize, DerError> {
    let mut fields = der::whole(key, der::SEQUENCE, "RSA key")?;
    let n = fields.expect(der::INTEGER, "RSA modulus")?.value;
    Ok(n.strip_prefix(&[0]).unwrap_or(n).len())
}

fn modulus_bits(key: &[u8]) -> Option<u32> {
    let mut fields = der::whole(key, der::SEQUENCE, "RSA key").ok()?;
    let n = fields.expect(der::INTEGER, "RSA modulus").ok()?.value;
    let n = n.strip_prefix(&[0]).unwrap_or(n);
    let octets = u32::try_from(n.len()).ok()?;
    Some((octets * 8).saturating_sub(n.first()?.leading_zeros()))
}

fn read_extensions(certificate: &[u8], octets: &[u8]) -> Result<Extensions, DerError> {
    let mut list = der::whole(octets, der::SEQUENCE, "extensions")?;
    let mut out = Extensions::default();
    let mut seen: Vec<&[u8]> = Vec::new();
    while !list.is_empty() {
        let mut fields = list.enter(der::SEQUENCE, "extension")?;
        let oid = fields.expect(der::OID, "extension")?.value;
        let critical = fields.optional(der::BOOLEAN)?.is_some_and(|b| b.value == [0xff]);
        let value = fields.expect(der::OCTET_STRING, "extension")?.value;
        fields.end("extension")?;
        if seen.contains(&oid) || seen.len() >= EXTENSIONS_MAX {
            return Err(DerError("an extension stands twice, or too many"));
        }
        seen.push(oid);
        out.places.push(ExtensionPlace {
            oid: range_within(certificate, oid),
            critical,
            value: range_within(certificate, value),
        });
        read_extension(&mut out, oid, critical, value)?;
    }
    Ok(out)
}

fn read_extension(out: &mut Extensions, oid: &[u8], critical: bool, value: &[u8]) -> Result<(), DerError> {
    match oid {
        // basicConstraints
        [0x55, 0x1d, 19] => {
            let c: rasn_pkix::BasicConstraints = decode(value)?;
            out.ca = c.ca;
            out.path_length_max = match c.path_len_constraint {
                None => None,
                Some(n) => Some(u32::try_from(n).map_err(|_| DerError("path length"))?),
            };
        }
        // keyUsage
        [0x55, 0x1d, 15] => {
            let bits = der::Reader::new(value)
                .expect(der::BIT_STRING, "key usage")?
                .value;
            let [_, bits @ ..] = bits else {
                return Err(DerError("key usage"));
            };
            let at = |i: usize| u16::from(bits.get(i).copied().unwrap_or(0));
            out.key_usage = Some(KeyUsage(at(0) << 8 | at(1)));
        }
        // extKeyUsage
        [0x55, 0x1d, 37] => {
            let mut list = der::whole(value, der::SEQUENCE, "extended key usage")?;
            let mut purposes = Vec::new();
            while !list.is_empty() && purposes.len() < EXTENSIONS_MAX {
                purposes.push(list.expect(der::OID, "extended key usage")?.value.to_vec());
            }
            out.ext_key_usage = Some((critical, purposes));
        }
        // subjectKeyIdentifier
        [0x55, 0x1d, 14] => {
            out.subject_key_id = Some(
                Reader::new(value)
                    .expect(der::OCTET_STRING, "key id")?
                    .value
                    .to_vec(),
            );
        }
        // subjectAltName
        [0x55, 0x1d, 17] => {
            let mut list = der::whole(value, der::SEQUENCE, "alternative name")?;
            while !list.is_empty() {
                let name = list.any()?;
                // rfc822Name [1] IA5String
                if name.tag == 0x81 && name.value.is_ascii() && out.rfc822_names.len() < EXTENSIONS_MAX {
                    out.rfc822_names
                        .push(String::from_utf8_lossy(name.value).into_owned());
                }
            }
        }
        // Read where they are needed (`cms::path`, `cms::locations`, `cms::revocation`), critical or not.
        oid if extension::READ_ELSEWHERE.contains(&oid) => {}
        _ => out.unknown_critical |= critical,
    }
    Ok(())
}

fn decode<T: rasn::Decode>(octets: &[u8]) -> Result<T, DerError> {
    rasn::der::decode(octets).map_err(|_| DerError("extension value"))
}
