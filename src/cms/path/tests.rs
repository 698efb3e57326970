//! Tests of the search itself: signatures, dates, authorities, purposes.

use super::*;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CustomExtension, DnType, ExtendedKeyUsagePurpose,
    IsCa, KeyPair, KeyUsagePurpose, date_time_ymd,
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
        Err(PathError::MissingIssuer {
            subject: "CN=Leaf".to_owned(),
            issuer: "CN=Middle".to_owned()
        })
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
