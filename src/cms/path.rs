//! Path validation (RFC 5280 6, the part that the house needs): from a leaf to a configured anchor, at a given moment.
//!
//! Checked: signatures, validity at that moment, names chained by their raw DER, CA flag and path length, keyCertSign,
//! critical extensions that nobody processes, and the purpose of the leaf. **Revocation is not checked yet** (no CRL, no
//! OCSP): whoever reports trust must not claim it. Name constraints and policies are not processed; critical name
//! constraints are refused as unknown.

use super::certificate::{
    Certificate, EKU_ANY, EKU_CLIENT_AUTH, EKU_DOCUMENT_SIGNING, EKU_EMAIL_PROTECTION, EKU_TIME_STAMPING,
};
use crate::clock::UtcTime;

/// Longest path, leaf and anchor included. National hierarchies have three or four.
pub const PATH_MAX: usize = 8;
/// Most signatures checked while searching one path: bounds what hostile pools can cost.
const SIGNATURE_CHECKS_MAX: usize = 32;

/// What the leaf's key is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A provider's seal or a person's signature: digitalSignature or nonRepudiation where key usage is stated;
    /// e-mail protection, document signing or any where extended key usage is stated.
    Signing,
    /// RFC 3161 2.3: exactly one extended key usage, timeStamping, critical.
    TimeStamping,
    /// A person's key at a TLS handshake: as [`Purpose::Signing`], with clientAuth instead of document signing. Cards
    /// that are made for signing (NES) often carry no clientAuth.
    Login,
}

/// Why there is no path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    #[error("no path from '{0}' to a trust anchor")]
    NoAnchor(String),
    #[error("'{subject}' is valid from {from} to {to}, not at {at}")]
    NotValidAt {
        subject: String,
        from: UtcTime,
        to: UtcTime,
        at: UtcTime,
    },
    #[error("'{0}' is not a certification authority, or may not sign certificates or so long a path")]
    NotAuthority(String),
    #[error("'{0}' has a critical extension that is not understood")]
    CriticalExtension(String),
    #[error("'{subject}' may not be used for {purpose}")]
    WrongPurpose { subject: String, purpose: &'static str },
    #[error("'{0}' is not one of the pinned certificates")]
    NotPinned(String),
    #[error("the signature of the issuer on '{0}' does not verify")]
    Signature(String),
}

/// Finds a path from `leaf` over `pool` to one of `anchors`, all valid at `at`. The path found is returned, leaf first.
///
/// An anchor is trusted by being configured: only its name, key and validity count. A leaf that is itself an anchor is
/// a path of one.
pub fn validate(
    leaf: &Certificate,
    pool: &[Certificate],
    anchors: &[Certificate],
    at: UtcTime,
    purpose: Purpose,
) -> Result<Vec<Certificate>, PathError> {
    validate_with(leaf, pool, anchors, at, purpose, &Certificate::is_signed_by)
}

/// [`validate`] with another way to answer "is this certificate signed by that one's key?", which is a pure function of
/// both and may therefore be remembered.
pub fn validate_with(
    leaf: &Certificate,
    pool: &[Certificate],
    anchors: &[Certificate],
    at: UtcTime,
    purpose: Purpose,
    is_signed_by: &dyn Fn(&Certificate, &Certificate) -> bool,
) -> Result<Vec<Certificate>, PathError> {
    check_leaf(leaf, at, purpose)?;
    let (path, checks_left) = (vec![leaf.clone()], SIGNATURE_CHECKS_MAX);
    let mut search = Search {
        pool,
        anchors,
        at,
        is_signed_by,
        checks_left,
        path,
        why: None,
    };
    if search.extend() {
        return Ok(search.path);
    }
    Err(search.why.unwrap_or_else(|| PathError::NoAnchor(leaf.subject())))
}

/// Whether a time-stamp authority's certificate has the one critical purpose (RFC 3161 2.3).
pub fn is_time_stamping(certificate: &Certificate) -> bool {
    matches!(certificate.ext_key_usage(), Some((true, [only])) if only == EKU_TIME_STAMPING)
}

fn check_leaf(leaf: &Certificate, at: UtcTime, purpose: Purpose) -> Result<(), PathError> {
    check_dates(leaf, at)?;
    if leaf.has_unknown_critical() {
        return Err(PathError::CriticalExtension(leaf.subject()));
    }
    let may_sign = leaf
        .key_usage()
        .is_none_or(|u| u.digital_signature() || u.non_repudiation());
    // No extended key usage at all leaves every purpose open (RFC 5280 4.2.1.12).
    let any_of = |purposes: [&[u8]; 3]| {
        leaf.ext_key_usage()
            .is_none_or(|(_, list)| list.iter().any(|p| purposes.contains(&p.as_slice())))
    };
    let fits = match purpose {
        Purpose::TimeStamping => is_time_stamping(leaf),
        Purpose::Signing => any_of([EKU_EMAIL_PROTECTION, EKU_DOCUMENT_SIGNING, EKU_ANY]),
        Purpose::Login => any_of([EKU_EMAIL_PROTECTION, EKU_CLIENT_AUTH, EKU_ANY]),
    };
    if may_sign && fits {
        return Ok(());
    }
    let purpose = match purpose {
        Purpose::Signing => "signing",
        Purpose::TimeStamping => "time-stamping",
        Purpose::Login => "logging in",
    };
    Err(PathError::WrongPurpose {
        subject: leaf.subject(),
        purpose,
    })
}

fn check_dates(c: &Certificate, at: UtcTime) -> Result<(), PathError> {
    if c.is_valid_at(at) {
        return Ok(());
    }
    Err(PathError::NotValidAt {
        subject: c.subject(),
        from: c.not_before(),
        to: c.not_after(),
        at,
    })
}

struct Search<'a> {
    pool: &'a [Certificate],
    anchors: &'a [Certificate],
    at: UtcTime,
    is_signed_by: &'a dyn Fn(&Certificate, &Certificate) -> bool,
    checks_left: usize,
    path: Vec<Certificate>,
    /// The most telling reason met so far.
    why: Option<PathError>,
}

impl Search<'_> {
    /// Extends the path to an anchor; false leaves it as it was. Depth is bounded by [`PATH_MAX`].
    fn extend(&mut self) -> bool {
        let Some(last) = self.path.last().cloned() else {
            return false;
        };
        if self.anchors.contains(&last) {
            return true;
        }
        if self.path.len() >= PATH_MAX {
            return false;
        }
        let candidates: Vec<(bool, Certificate)> = (self.anchors.iter().map(|c| (true, c)))
            .chain(self.pool.iter().map(|c| (false, c)))
            .filter(|(_, c)| c.subject_der() == last.issuer_der() && !self.path.contains(c))
            .map(|(anchor, c)| (anchor, c.clone()))
            .collect();
        for (anchor, issuer) in candidates {
            match self.step(&last, &issuer) {
                Err(why) => self.why = Some(why),
                Ok(()) => {
                    self.path.push(issuer);
                    if anchor || self.extend() {
                        return true;
                    }
                    self.path.pop();
                }
            }
        }
        false
    }

    fn step(&mut self, subject: &Certificate, issuer: &Certificate) -> Result<(), PathError> {
        check_dates(issuer, self.at)?;
        if issuer.has_unknown_critical() {
            return Err(PathError::CriticalExtension(issuer.subject()));
        }
        // RFC 5280 4.2.1.9: the number of non-self-issued intermediates below; the leaf does not count.
        let below = self.path.iter().skip(1).filter(|c| !c.is_self_issued()).count();
        let long_ok = issuer.path_length_max().is_none_or(|max| below <= max as usize);
        let may_certify = issuer.is_ca() && issuer.key_usage().is_none_or(|u| u.key_cert_sign());
        if !may_certify || !long_ok {
            return Err(PathError::NotAuthority(issuer.subject()));
        }
        if self.checks_left == 0 || !(self.is_signed_by)(subject, issuer) {
            self.checks_left = self.checks_left.saturating_sub(1);
            return Err(PathError::Signature(subject.subject()));
        }
        self.checks_left -= 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{
        BasicConstraints, CertificateParams, CertifiedIssuer, CustomExtension, DnType,
        ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, date_time_ymd,
    };

    type Authority = CertifiedIssuer<'static, KeyPair>;

    fn params(name: &str) -> CertificateParams {
        let mut p = CertificateParams::default();
        p.distinguished_name = rcgen::DistinguishedName::new();
        p.distinguished_name.push(DnType::CommonName, name);
        p.not_before = date_time_ymd(2026, 1, 1);
        p.not_after = date_time_ymd(2027, 1, 1);
        p
    }

    fn authority(name: &str, path_length: u8) -> CertificateParams {
        let mut p = params(name);
        p.is_ca = IsCa::Ca(BasicConstraints::Constrained(path_length));
        p.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        p
    }

    fn root() -> Authority {
        CertifiedIssuer::self_signed(authority("Root", 1), KeyPair::generate().unwrap()).unwrap()
    }

    fn below(p: CertificateParams, issuer: &Authority) -> Authority {
        CertifiedIssuer::signed_by(p, KeyPair::generate().unwrap(), issuer).unwrap()
    }

    fn read(a: &Authority) -> Certificate {
        Certificate::from_der(a.der()).unwrap()
    }

    fn at(text: &str) -> UtcTime {
        UtcTime::parse_rfc3339(text).unwrap()
    }

    fn check(leaf: &Authority, pool: &[&Authority], root: &Authority) -> Result<Vec<Certificate>, PathError> {
        let pool: Vec<Certificate> = pool.iter().map(|c| read(c)).collect();
        validate(
            &read(leaf),
            &pool,
            &[read(root)],
            at("2026-06-01T00:00:00Z"),
            Purpose::Signing,
        )
    }

    #[test]
    fn a_path_over_an_intermediate_is_found_among_strangers() {
        let root = root();
        let middle = below(authority("Middle", 0), &root);
        let leaf = below(params("Leaf"), &middle);
        // The same names, other keys.
        let stranger_root = self::root();
        let stranger = below(authority("Middle", 0), &stranger_root);
        let path = check(&leaf, &[&stranger, &stranger_root, &middle], &root).unwrap();
        assert_eq!(path, [read(&leaf), read(&middle), read(&root)]);
        assert_eq!(
            check(&leaf, &[], &root),
            Err(PathError::NoAnchor("CN=Leaf".to_owned()))
        );
        assert_eq!(
            check(&leaf, &[&stranger], &root),
            Err(PathError::Signature("CN=Leaf".to_owned()))
        );
        // Trusted by name, but with another key.
        assert!(check(&leaf, &[&middle], &stranger_root).is_err());
        // A leaf that is configured itself.
        assert_eq!(check(&leaf, &[], &leaf).map(|p| p.len()), Ok(1));
    }

    #[test]
    fn validity_is_judged_at_the_moment_given() {
        let root = root();
        let leaf = below(params("Leaf"), &root);
        let try_at = |t| validate(&read(&leaf), &[], &[read(&root)], at(t), Purpose::Signing);
        assert!(try_at("2026-01-01T00:00:00Z").is_ok());
        assert!(try_at("2027-01-01T00:00:00Z").is_ok());
        for outside in ["2025-12-31T23:59:59Z", "2027-01-01T00:00:01Z"] {
            assert!(
                matches!(try_at(outside), Err(PathError::NotValidAt { .. })),
                "{outside}"
            );
        }
        // An authority that has ended before.
        let mut short = authority("Short", 0);
        short.not_after = date_time_ymd(2026, 3, 1);
        let short = below(short, &root);
        let leaf = below(params("Leaf"), &short);
        assert!(matches!(
            check(&leaf, &[&short], &root),
            Err(PathError::NotValidAt { .. })
        ));
    }

    #[test]
    fn only_authorities_issue_and_only_so_deep() {
        let root = root();
        let plain = below(params("Plain"), &root);
        let leaf = below(params("Leaf"), &plain);
        assert_eq!(
            check(&leaf, &[&plain], &root),
            Err(PathError::NotAuthority("CN=Plain".to_owned()))
        );
        let mut p = authority("NoSign", 0);
        p.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let no_sign = below(p, &root);
        let leaf = below(params("Leaf"), &no_sign);
        assert_eq!(
            check(&leaf, &[&no_sign], &root),
            Err(PathError::NotAuthority("CN=NoSign".to_owned()))
        );
        // The root allows one intermediate, not two.
        let first = below(authority("First", 5), &root);
        let second = below(authority("Second", 5), &first);
        let leaf = below(params("Leaf"), &second);
        assert_eq!(
            check(&leaf, &[&first, &second], &root),
            Err(PathError::NotAuthority("CN=Root".to_owned()))
        );
    }

    #[test]
    fn purposes_and_critical_extensions() {
        let root = root();
        let with = |usages: Vec<KeyUsagePurpose>, purposes: Vec<ExtendedKeyUsagePurpose>| {
            let mut p = params("Leaf");
            p.key_usages = usages;
            p.extended_key_usages = purposes;
            check(&below(p, &root), &[], &root)
        };
        use ExtendedKeyUsagePurpose::{EmailProtection, ServerAuth, TimeStamping};
        assert!(with(vec![], vec![]).is_ok());
        assert!(
            with(
                vec![KeyUsagePurpose::ContentCommitment],
                vec![ServerAuth, EmailProtection]
            )
            .is_ok()
        );
        for (usages, purposes) in [
            (vec![KeyUsagePurpose::KeyEncipherment], vec![]),
            (vec![], vec![ServerAuth]),
            (vec![], vec![TimeStamping]),
        ] {
            assert!(matches!(
                with(usages, purposes),
                Err(PathError::WrongPurpose { .. })
            ));
        }
        // Who logs in may carry clientAuth, a signer's purpose, or none; never a server's.
        let logs_in = |purposes: Vec<ExtendedKeyUsagePurpose>| {
            let mut p = params("Leaf");
            p.extended_key_usages = purposes;
            let leaf = read(&below(p, &root));
            let at = at("2026-06-01T00:00:00Z");
            validate(&leaf, &[], &[read(&root)], at, Purpose::Login).is_ok()
        };
        use ExtendedKeyUsagePurpose::ClientAuth;
        for purposes in [vec![], vec![ClientAuth], vec![EmailProtection]] {
            assert!(logs_in(purposes));
        }
        for purposes in [vec![ServerAuth], vec![TimeStamping]] {
            assert!(!logs_in(purposes));
        }
        // RFC 3161 2.3: timeStamping alone does not do unless it is critical.
        let mut p = params("Leaf");
        p.extended_key_usages = vec![TimeStamping];
        assert!(!is_time_stamping(&read(&below(p, &root))));
        let mut p = params("Leaf");
        let mut unknown = CustomExtension::from_oid_content(&[2, 999, 1], vec![5, 0]);
        unknown.set_criticality(true);
        p.custom_extensions.push(unknown);
        assert_eq!(
            check(&below(p, &root), &[], &root),
            Err(PathError::CriticalExtension("CN=Leaf".to_owned()))
        );
    }

    #[test]
    fn a_changed_certificate_never_stands_and_never_panics() {
        let root = root();
        let leaf = below(params("Leaf"), &root);
        let anchors = [read(&root)];
        let moment = at("2026-06-01T00:00:00Z");
        for i in 0..leaf.der().len() {
            for bit in [1, 0x20, 0x80] {
                let mut der = leaf.der().to_vec();
                der[i] ^= bit;
                if let Ok(changed) = Certificate::from_der(&der) {
                    assert!(
                        validate(&changed, &[], &anchors, moment, Purpose::Signing).is_err(),
                        "octet {i}"
                    );
                }
            }
            assert!(Certificate::from_der(&leaf.der()[..i]).is_err());
        }
    }
}
