//! What kind of person stands behind a certificate: is it a qualified one (NES), an organisation's (mali mühür), and
//! whose number does it carry?
//!
//! Sources: RFC 3739 3.2.6 and EN 319 412-5 (qcStatements), EN 319 412-1 5.1.3 (`PNOTR-` before the number), the
//! statements of BTK and the policies of Kamu SM as certificates show them. What is read here is what the certificate
//! *says*; it holds once a path to a trusted authority stands (`path`). Check digits of a number are asked about above
//! (`domain::number`); a certificate with two numbers has none.

use super::certificate::Certificate;
use super::der::{self, Reader};
use std::fmt;

/// qcStatements 1.3.6.1.5.5.7.1.3 (RFC 3739 3.2.6).
const QC_STATEMENTS: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 1, 3];
/// certificatePolicies 2.5.29.32.
const CERTIFICATE_POLICIES: &[u8] = &[0x55, 0x1d, 32];
/// commonName 2.5.4.3.
const COMMON_NAME: &[u8] = &[0x55, 4, 3];
/// serialNumber 2.5.4.5.
const SERIAL_NUMBER: &[u8] = &[0x55, 4, 5];
/// emailAddress 1.2.840.113549.1.9.1 (PKCS #9), of old certificates.
const EMAIL_ADDRESS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1];
/// IA5String, as mail addresses are spelled.
const IA5_STRING: u8 = 0x16;

/// id-etsi-qcs-QcCompliance: issued as a qualified certificate (EN 319 412-5 4.2.1).
const QC_COMPLIANCE: &str = "0.4.0.1862.1.1";
/// The statement of BTK that the certificate is a qualified one (nitelikli elektronik sertifika).
const TURKISH_QUALIFIED: &str = "2.16.792.1.61.0.1.5070.1.1";
/// The statement that goes with certificates of organisations.
const TURKISH_CORPORATE: &str = "2.16.792.1.61.0.1.5070.1.2";
/// Policies of the mali mühür lie below this: `.1` to sign, `.2` to decrypt.
const MALI_MUHUR_POLICIES: &str = "2.16.792.1.2.1.1.5.7.50";

/// Most statements, policies and parts of a name looked at: real certificates have a handful.
const ENTRIES_MAX: usize = 64;
/// Digits of a TCKN.
const TCKN_DIGITS: usize = 11;
/// Longest name told of a certificate, in characters.
const NAME_MAX_CHARS: usize = 100;

/// The identity number a certificate carries. Debug is silent: it does not belong into logs.
#[derive(Clone, PartialEq, Eq)]
pub struct IdentityNumber(String);

impl IdentityNumber {
    /// The digits. Whoever calls this must not log or print them.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for IdentityNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdentityNumber")
    }
}

/// What a certificate says of its holder.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Qualification {
    /// Eleven digits in the subject's serialNumber, in the form of a TCKN.
    pub tckn: Option<IdentityNumber>,
    /// Both statements of a qualified certificate stand in it: that of ETSI and that of BTK.
    pub is_qualified: bool,
    /// A certificate of an organisation (mali mühür, e-mühür): no person's, whatever else it says.
    pub is_mali_muhur: bool,
    /// OIDs of its policies.
    pub policies: Vec<String>,
}

impl Qualification {
    /// The number of the natural person a qualified certificate names; only this may stand for a person.
    pub fn person(&self) -> Option<&IdentityNumber> {
        let of_person = self.is_qualified && !self.is_mali_muhur;
        self.tckn.as_ref().filter(|_| of_person)
    }
}

/// Reads it. What is malformed counts as not said.
pub fn qualification(certificate: &Certificate) -> Qualification {
    let first_oids = |extension: &[u8]| {
        let listed = certificate
            .extension(extension)
            .map(|(_, value)| first_oids(value));
        listed.unwrap_or_default()
    };
    let statements = first_oids(QC_STATEMENTS);
    let policies = first_oids(CERTIFICATE_POLICIES);
    let states = |oid: &str| statements.iter().any(|s| s == oid);
    let below = |policy: &String| {
        let rest = policy.strip_prefix(MALI_MUHUR_POLICIES);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    Qualification {
        tckn: tckn(certificate.subject_der()),
        is_qualified: states(QC_COMPLIANCE) && states(TURKISH_QUALIFIED),
        is_mali_muhur: states(TURKISH_CORPORATE) || policies.iter().any(below),
        policies,
    }
}

/// The common name in a Name, for people, without what is not printable; empty if there is none. A whole subject is not
/// for everybody's eyes: it may carry an identity number.
pub fn common_name(name: &[u8]) -> String {
    let names = attributes(name, COMMON_NAME);
    let name = names.into_iter().next().unwrap_or_default();
    name.chars()
        .filter(|c| !c.is_control())
        .take(NAME_MAX_CHARS)
        .collect()
}

/// The mail addresses a certificate names, in its alternative names or, as old ones do, in its subject (RFC 8550 3).
pub fn mail_addresses(certificate: &Certificate) -> Vec<String> {
    let mut addresses = certificate.rfc822_names().to_vec();
    addresses.extend(attributes(certificate.subject_der(), EMAIL_ADDRESS));
    addresses
}

/// SEQUENCE OF SEQUENCE { OID, ... }: the OIDs. qcStatements and certificatePolicies are both of this shape.
fn first_oids(value: &[u8]) -> Vec<String> {
    let mut oids = Vec::new();
    let Ok(mut list) = der::whole(value, der::SEQUENCE, "list of OIDs") else {
        return oids;
    };
    while !list.is_empty() && oids.len() < ENTRIES_MAX {
        let first = list.enter(der::SEQUENCE, "entry").and_then(|mut entry| {
            let oid = entry.expect(der::OID, "entry")?;
            Ok(der::dotted(oid.value))
        });
        match first {
            Ok(oid) => oids.push(oid),
            // Half a list says nothing.
            Err(_) => return Vec::new(),
        }
    }
    oids
}

fn tckn(subject: &[u8]) -> Option<IdentityNumber> {
    let numbers = attributes(subject, SERIAL_NUMBER);
    let [only] = numbers.as_slice() else { return None };
    let digits = only.strip_prefix("PNOTR-").unwrap_or(only);
    let fits = digits.len() == TCKN_DIGITS && digits.bytes().all(|b| b.is_ascii_digit());
    (fits && !digits.starts_with('0')).then(|| IdentityNumber(digits.to_owned()))
}

/// The values of one kind of attribute in a Name, in order; only what is UTF8String or PrintableString.
fn attributes(name: &[u8], kind: &[u8]) -> Vec<String> {
    const PRINTABLE_STRING: u8 = 0x13;
    let mut values = Vec::new();
    let mut read = |rdn: &mut Reader<'_>| {
        let mut pair = rdn.enter(der::SEQUENCE, "attribute")?;
        let (oid, value) = (pair.expect(der::OID, "type")?, pair.any()?);
        if oid.value == kind && [der::UTF8_STRING, PRINTABLE_STRING, IA5_STRING].contains(&value.tag) {
            values.push(String::from_utf8_lossy(value.value).into_owned());
        }
        Ok::<_, der::DerError>(())
    };
    if let Ok(mut rdns) = der::whole(name, der::SEQUENCE, "name") {
        for _ in 0..ENTRIES_MAX {
            let Ok(mut rdn) = rdns.enter(der::SET, "rdn") else {
                break;
            };
            for _ in 0..ENTRIES_MAX {
                if rdn.is_empty() || read(&mut rdn).is_err() {
                    break;
                }
            }
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, CustomExtension, DnType, DnValue, KeyPair};

    const NES: &[&str] = &[QC_COMPLIANCE, TURKISH_QUALIFIED];

    /// The list of OIDs as an extension has it.
    fn oids(list: &[&str]) -> Vec<u8> {
        let entry = |oid: &&str| {
            let oid = der::oid_from_dotted(oid).unwrap();
            der::sequence(&[&der::tlv(der::OID, &[&oid])])
        };
        let entries: Vec<Vec<u8>> = list.iter().map(entry).collect();
        let entries: Vec<&[u8]> = entries.iter().map(Vec::as_slice).collect();
        der::sequence(&entries)
    }

    fn made(numbers: &[&str], extensions: Vec<(&[u64], Vec<u8>)>) -> Certificate {
        let mut p = CertificateParams::default();
        p.distinguished_name = rcgen::DistinguishedName::new();
        p.distinguished_name.push(DnType::CommonName, "AYŞE\u{7} ÖRNEK");
        for number in numbers {
            p.distinguished_name.push(
                DnType::CustomDnType(vec![2, 5, 4, 5]),
                DnValue::Utf8String((*number).into()),
            );
        }
        for (oid, value) in extensions {
            p.custom_extensions
                .push(CustomExtension::from_oid_content(oid, value));
        }
        let made = p.self_signed(&KeyPair::generate().unwrap()).unwrap();
        Certificate::from_der(made.der()).unwrap()
    }

    fn with(number: &str, statements: &[&str], policies: &[&str]) -> Qualification {
        let mut extensions: Vec<(&[u64], Vec<u8>)> = Vec::new();
        if !statements.is_empty() {
            extensions.push((&[1, 3, 6, 1, 5, 5, 7, 1, 3], oids(statements)));
        }
        if !policies.is_empty() {
            extensions.push((&[2, 5, 29, 32], oids(policies)));
        }
        qualification(&made(&[number], extensions))
    }

    #[test]
    fn a_qualified_certificate_names_its_person() {
        for number in ["17291716060", "PNOTR-17291716060"] {
            let nes = with(number, NES, &["2.16.792.1.2.1.1.5.7.1.1"]);
            assert!(nes.is_qualified && !nes.is_mali_muhur);
            assert_eq!(nes.policies, ["2.16.792.1.2.1.1.5.7.1.1"]);
            assert_eq!(nes.person().map(IdentityNumber::expose), Some("17291716060"));
            assert!(!format!("{nes:?}").contains("172917"), "{nes:?}");
        }
        // The limit of value and other statements beside them change nothing.
        let more = with("17291716060", &[NES, &["0.4.0.1862.1.2", "1.2.3"]].concat(), &[]);
        assert!(more.person().is_some());
    }

    #[test]
    fn one_statement_alone_or_none_does_not_do() {
        for statements in [&[][..], &NES[..1], &NES[1..], &["1.2.3"]] {
            let found = with("17291716060", statements, &["2.16.792.1.2.1.1.5.7.1.1"]);
            assert!(!found.is_qualified && found.person().is_none(), "{statements:?}");
            assert!(found.tckn.is_some());
        }
    }

    #[test]
    fn an_organisation_is_no_person() {
        for policy in ["2.16.792.1.2.1.1.5.7.50.1", "2.16.792.1.2.1.1.5.7.50.2"] {
            let seal = with("17291716060", NES, &["1.2.3", policy]);
            assert!(seal.is_mali_muhur && seal.person().is_none());
        }
        let corporate = with("17291716060", &[NES, &[TURKISH_CORPORATE]].concat(), &[]);
        assert!(corporate.is_mali_muhur && corporate.person().is_none());
        // Beside it in the tree, not below it.
        assert!(!with("1", NES, &["2.16.792.1.2.1.1.5.7.501"]).is_mali_muhur);
        // A tax number is no TCKN.
        assert!(with("4540536920", NES, &[]).tckn.is_none());
    }

    #[test]
    fn what_is_malformed_is_not_said() {
        for number in [
            "",
            "01234567890",
            "1729171606",
            "172917160600",
            "1729171606x",
            "PNODE-17291716060",
        ] {
            assert!(with(number, NES, &[]).tckn.is_none(), "{number}");
        }
        let torn = [oids(NES), vec![0]].concat();
        let nested = der::sequence(&[&oids(NES)]);
        for value in [vec![], vec![0x30], torn, nested, vec![0x30, 2, 5, 0]] {
            let made = made(&["17291716060"], vec![(&[1, 3, 6, 1, 5, 5, 7, 1, 3], value)]);
            assert!(!qualification(&made).is_qualified);
        }
    }

    #[test]
    fn two_numbers_are_none() {
        let attribute = |number: &str| {
            let kind = der::tlv(der::OID, &[SERIAL_NUMBER]);
            let value = der::tlv(der::UTF8_STRING, &[number.as_bytes()]);
            der::tlv(der::SET, &[&der::sequence(&[&kind, &value])])
        };
        let name = der::sequence(&[&attribute("17291716060"), &attribute("10000000146")]);
        assert_eq!(attributes(&name, SERIAL_NUMBER).len(), 2);
        assert!(tckn(&name).is_none());
        let one = der::sequence(&[&attribute("17291716060")]);
        assert!(tckn(&one).is_some());
    }

    #[test]
    fn a_name_for_people_has_no_number_and_no_control_character() {
        assert_eq!(
            common_name(made(&["17291716060"], vec![]).subject_der()),
            "AYŞE ÖRNEK"
        );
    }
}
