//! Tests of what is checked on the whole path: name constraints, policies, purposes of authorities, cross-signing, bounds.

use super::*;
use crate::cms::certificate::EKU_OCSP_SIGNING;
use crate::cms::der::{self, context};
use crate::cms::extension;
use crate::cms::testing::{Party, Plan, alt_names, at, dn, name, purposes};

fn check(leaf: &Party, pool: &[&Party], root: &Party) -> Result<usize, PathError> {
    wanting(leaf, pool, root, &[])
}

fn wanting(leaf: &Party, pool: &[&Party], root: &Party, policies: &[Vec<u8>]) -> Result<usize, PathError> {
    let pool: Vec<Certificate> = pool.iter().map(|p| p.certificate.clone()).collect();
    let anchors = [root.certificate.clone()];
    let ground = Ground {
        pool: &pool,
        anchors: &anchors,
        is_signed_by: &Certificate::is_signed_by,
    };
    let demand = Demand {
        at: at("06-01"),
        purpose: Purpose::Signing,
        policies,
    };
    find(&leaf.certificate, ground, demand, &mut |_| true).map(|p| p.len())
}

/// Name constraints with bases of (tag, value).
fn constraints(permitted: &[(u8, &[u8])], excluded: &[(u8, &[u8])]) -> Vec<u8> {
    let list = |tag: u8, bases: &[(u8, &[u8])]| {
        let all: Vec<Vec<u8>> = bases
            .iter()
            .map(|(t, v)| der::sequence(&[&der::tlv(*t, &[v])]))
            .collect();
        match all.is_empty() {
            true => Vec::new(),
            false => der::tlv(tag, &all.iter().map(Vec::as_slice).collect::<Vec<_>>()),
        }
    };
    let value = der::sequence(&[&list(context(0), permitted), &list(context(1), excluded)]);
    extension::write(extension::NAME_CONSTRAINTS, true, &value)
}

/// Whether a leaf with this alternative name holds below an authority with these constraints.
fn allowed(constraint: Vec<u8>, tag: u8, alternative: &[u8]) -> bool {
    let root = Plan::authority("Root").self_signed();
    let middle = Plan::authority("Middle").with(constraint).by(&root);
    let leaf = Plan::leaf("Leaf")
        .with(alt_names(&[(tag, alternative)]))
        .by(&middle);
    match check(&leaf, &[&middle], &root) {
        Ok(3) => true,
        Err(PathError::NameConstraint { issuer, subject, .. }) => {
            assert_eq!((issuer.as_str(), subject.as_str()), ("CN=Middle", "CN=Leaf"));
            false
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn names_are_held_against_permitted_and_excluded_subtrees() {
    const MAIL: u8 = 0x81;
    const DNS: u8 = 0x82;
    const URI: u8 = 0x86;
    const IP: u8 = 0x87;
    let net: &[u8] = &[10, 1, 0, 0, 255, 255, 0, 0];
    // (form, base, name, whether the name lies within)
    let cases: &[(u8, &[u8], &[u8], bool)] = &[
        (DNS, b"kep.test", b"kep.test", true),
        (DNS, b"kep.test", b"MX.Kep.Test", true),
        (DNS, b"kep.test", b"notkep.test", false),
        (DNS, b".kep.test", b"mx.kep.test", true),
        (DNS, b".kep.test", b"kep.test", false),
        (DNS, b"", b"any.test", true),
        (MAIL, b"kep.test", b"a@KEP.test", true),
        (MAIL, b"kep.test", b"a@sub.kep.test", false),
        (MAIL, b".kep.test", b"a@sub.kep.test", true),
        (MAIL, b".kep.test", b"a@kep.test", false),
        (MAIL, b"a@kep.test", b"a@kep.test", true),
        (MAIL, b"a@kep.test", b"A@kep.test", false),
        (URI, b"kep.test", b"https://u:p@kep.test:8443/x", true),
        (URI, b"kep.test", b"https://www.kep.test/", false),
        (URI, b".kep.test", b"https://www.kep.test", true),
        (IP, net, &[10, 1, 2, 3], true),
        (IP, net, &[10, 2, 2, 3], false),
    ];
    for (tag, base, alternative, within) in cases {
        let shown = String::from_utf8_lossy(alternative);
        let permitted = constraints(&[(*tag, base)], &[]);
        assert_eq!(
            allowed(permitted, *tag, alternative),
            *within,
            "permitted {shown}"
        );
        let excluded = constraints(&[], &[(*tag, base)]);
        assert_eq!(allowed(excluded, *tag, alternative), !within, "excluded {shown}");
    }
    // An address of the other family is not in the net; one form does not bind another.
    let ip6 = [0u8; 16];
    assert!(!allowed(constraints(&[(IP, net)], &[]), IP, &ip6));
    assert!(allowed(constraints(&[], &[(IP, net)]), IP, &ip6));
    assert!(allowed(
        constraints(&[(DNS, b"kep.test")], &[]),
        MAIL,
        b"a@other.test"
    ));
    // What cannot be compared is not allowed, whichever way: a URI without a host, an odd address, a form that is not known.
    for (tag, base, alternative) in [
        (URI, &b"kep.test"[..], &b"urn:x:y"[..]),
        (URI, b"kep.test", b"http://10.1.2.3/"),
        (IP, net, &[10, 1, 2]),
        (DNS, b"kep.test", b".."),
        (0x88, &[0x2a], &[0x2a, 3]),
    ] {
        assert!(!allowed(constraints(&[(tag, base)], &[]), tag, alternative));
        assert!(!allowed(constraints(&[], &[(tag, base)]), tag, alternative));
    }
    // A form that is not known does no harm while nobody has such a name.
    assert!(allowed(constraints(&[(0x88, &[0x2a])], &[]), DNS, b"a.test"));
}

#[test]
fn directory_names_and_addresses_of_the_subject_are_constrained() {
    const DIRECTORY: u8 = 0xa4;
    const COUNTRY: &[u8] = &[0x55, 4, 6];
    const ORGANIZATION: &[u8] = &[0x55, 4, 10];
    const EMAIL: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1];
    let root = Plan::authority("Root").self_signed();
    let judged = |constraint: Vec<u8>, subject: Vec<u8>| {
        let middle = Plan::authority("Middle").with(constraint).by(&root);
        let mut leaf = Plan::leaf("Leaf");
        leaf.subject = subject;
        check(&leaf.by(&middle), &[&middle], &root).is_ok()
    };
    let tr = dn(&[(COUNTRY, "TR"), (ORGANIZATION, "Kep  Hizmet")]);
    let same = dn(&[
        (COUNTRY, "tr"),
        (ORGANIZATION, " kep hizmet"),
        (&[0x55, 4, 3], "x"),
    ]);
    let other = dn(&[(COUNTRY, "TR"), (ORGANIZATION, "Other")]);
    let permitted = || constraints(&[(DIRECTORY, &tr)], &[]);
    let excluded = || constraints(&[], &[(DIRECTORY, &tr)]);
    assert!(judged(permitted(), same.clone()) && !judged(permitted(), other.clone()));
    assert!(!judged(excluded(), same) && judged(excluded(), other));
    // Shorter than the base, or turned about, is outside.
    assert!(!judged(permitted(), dn(&[(COUNTRY, "TR")])));
    let turned = dn(&[(ORGANIZATION, "Kep Hizmet"), (COUNTRY, "TR")]);
    assert!(!judged(permitted(), turned));
    // RFC 5280 4.2.1.10: emailAddress in the subject is an address too.
    let address = |text| dn(&[(EMAIL, text)]);
    let host = || constraints(&[(0x81, b"kep.test")], &[]);
    assert!(judged(host(), address("a@kep.test")) && !judged(host(), address("a@b.test")));
}

#[test]
fn constraints_bind_all_below_except_what_only_changes_its_key() {
    let root = Plan::authority("Root").self_signed();
    let base = name("Leaf");
    let middle = Plan::authority("Middle")
        .with(constraints(&[(0xa4, &base)], &[]))
        .by(&root);
    let renewed = Plan::authority("Middle").by(&middle);
    let leaf = Plan::leaf("Leaf").by(&renewed);
    assert_eq!(check(&leaf, &[&middle, &renewed], &root), Ok(4));
    let lower = Plan::authority("Lower").by(&middle);
    let leaf = Plan::leaf("Leaf").by(&lower);
    assert_eq!(
        check(&leaf, &[&middle, &lower], &root),
        Err(PathError::NameConstraint {
            issuer: "CN=Middle".to_owned(),
            subject: "CN=Lower".to_owned(),
            name: "CN=Lower".to_owned(),
        })
    );
    // What an anchor says of itself counts.
    let narrow = Plan::authority("Narrow")
        .with(constraints(&[], &[(0xa4, &base)]))
        .self_signed();
    let leaf = Plan::leaf("Leaf").by(&narrow);
    assert!(check(&leaf, &[], &narrow).is_err());
}

#[test]
fn faulty_constraints_are_refused_by_name() {
    let root = Plan::authority("Root").self_signed();
    let with_maximum = der::sequence(&[&der::tlv(0x82, &[b"a.test"]), &[0x81, 1, 3]]);
    let with_maximum = der::sequence(&[&der::tlv(context(0), &[&with_maximum])]);
    for value in [der::sequence(&[]), vec![5, 0], with_maximum] {
        let faulty = extension::write(extension::NAME_CONSTRAINTS, true, &value);
        let middle = Plan::authority("Middle").with(faulty).by(&root);
        let judged = check(&Plan::leaf("Leaf").by(&middle), &[&middle], &root);
        assert!(
            matches!(&judged, Err(PathError::FaultyExtension { subject, .. }) if subject == "CN=Middle"),
            "{judged:?}"
        );
    }
}

#[test]
fn cross_signing_finds_the_way_that_holds() {
    let root = Plan::authority("Root").self_signed();
    let strange = Plan::authority("Strange").self_signed();
    let old = Plan::authority("Old").between(at("01-01"), at("02-01")).by(&root);
    let middle = Plan::authority("Middle").by(&old);
    // The same authority, certified by four others: an end of time, a stranger, a wrong purpose, and the one that holds.
    let by_stranger = Plan::authority("Middle").keyed(&middle.key).by(&strange);
    let narrow = Plan::authority("Middle")
        .keyed(&middle.key)
        .with(purposes(&[EKU_OCSP_SIGNING]))
        .by(&root);
    let right = Plan::authority("Middle").keyed(&middle.key).by(&root);
    let leaf = Plan::leaf("Leaf").by(&middle);
    let all = [&old, &middle, &by_stranger, &strange, &narrow];
    let failed = check(&leaf, &all, &root);
    assert!(
        matches!(&failed, Err(PathError::WrongPurpose { subject, .. }) if subject == "CN=Middle"),
        "{failed:?}"
    );
    let with_right = [&old, &middle, &by_stranger, &strange, &narrow, &right];
    assert_eq!(check(&leaf, &with_right, &root), Ok(3));
    // All that hold are offered until one is taken.
    let pool: Vec<Certificate> = with_right.iter().map(|p| p.certificate.clone()).collect();
    let anchors = [root.certificate.clone(), strange.certificate.clone()];
    let ground = Ground {
        pool: &pool,
        anchors: &anchors,
        is_signed_by: &Certificate::is_signed_by,
    };
    let demand = Demand {
        at: at("06-01"),
        purpose: Purpose::Signing,
        policies: &[],
    };
    let mut offered = 0;
    let refused = find(&leaf.certificate, ground, demand, &mut |_| {
        offered += 1;
        false
    });
    assert!(refused.is_err());
    assert_eq!(offered, 2);
}

#[test]
fn missing_links_loops_and_long_ways_are_told() {
    let root = Plan::authority("Root").self_signed();
    let upper = Plan::authority("Upper").by(&root);
    let lower = Plan::authority("Lower").by(&upper);
    let leaf = Plan::leaf("Leaf").by(&lower);
    assert_eq!(
        check(&leaf, &[&lower], &root),
        Err(PathError::MissingIssuer {
            subject: "CN=Lower".to_owned(),
            issuer: "CN=Upper".to_owned()
        })
    );
    let alone = Plan::leaf("Alone").self_signed();
    assert!(check(&alone, &[], &root).is_err());
    let stranger = Plan::authority("Stranger").self_signed();
    let of_stranger = Plan::leaf("Leaf").by(&stranger);
    assert_eq!(
        check(&of_stranger, &[&stranger], &root),
        Err(PathError::NotTrusted("CN=Stranger".to_owned()))
    );
    // Two that certify each other lead nowhere, and end.
    let one = Plan::authority("One").self_signed();
    let two = Plan::authority("Two").by(&one);
    let one_by_two = Plan::authority("One").keyed(&one.key).by(&two);
    let leaf = Plan::leaf("Leaf").by(&one);
    assert!(check(&leaf, &[&one, &two, &one_by_two], &root).is_err());
    // Eight authorities are too many.
    let mut chain = vec![root.clone()];
    for n in 0..PATH_MAX {
        let next = Plan::authority(&format!("A{n}")).by(chain.last().unwrap());
        chain.push(next);
    }
    let pool: Vec<&Party> = chain.iter().collect();
    let judged = |below: usize| check(&Plan::leaf("Leaf").by(&chain[below]), &pool, &root);
    assert_eq!(judged(PATH_MAX - 2), Ok(PATH_MAX));
    assert_eq!(judged(PATH_MAX), Err(PathError::TooLong("CN=Leaf".to_owned())));
}

#[test]
fn a_hostile_pool_costs_a_bounded_number_of_signatures() {
    let root = Plan::authority("Root").self_signed();
    let leaf = Plan::leaf("Leaf").by(&Plan::authority("Middle").by(&root));
    let namesakes: Vec<Certificate> = (0..SIGNATURE_CHECKS_MAX + 10)
        .map(|_| Plan::authority("Middle").by(&root).certificate)
        .collect();
    let asked = std::cell::Cell::new(0);
    let counting = |a: &Certificate, b: &Certificate| {
        asked.set(asked.get() + 1);
        a.is_signed_by(b)
    };
    let anchors = [root.certificate.clone()];
    let ground = Ground {
        pool: &namesakes,
        anchors: &anchors,
        is_signed_by: &counting,
    };
    let demand = Demand {
        at: at("06-01"),
        purpose: Purpose::Signing,
        policies: &[],
    };
    assert_eq!(
        find(&leaf.certificate, ground, demand, &mut |_| true),
        Err(PathError::TooManyChecks("CN=Leaf".to_owned()))
    );
    assert_eq!(asked.get(), SIGNATURE_CHECKS_MAX);
}

#[test]
fn authorities_bound_the_purposes_below_them() {
    let root = Plan::authority("Root").self_signed();
    let judged = |authority: &[&[u8]], leaf: &[&[u8]]| {
        let middle = Plan::authority("Middle").with(purposes(authority)).by(&root);
        check(
            &Plan::leaf("Leaf").with(purposes(leaf)).by(&middle),
            &[&middle],
            &root,
        )
        .is_ok()
    };
    assert!(judged(
        &[EKU_EMAIL_PROTECTION],
        &[EKU_EMAIL_PROTECTION, EKU_DOCUMENT_SIGNING]
    ));
    assert!(judged(&[EKU_ANY], &[EKU_DOCUMENT_SIGNING]));
    assert!(!judged(&[EKU_EMAIL_PROTECTION], &[EKU_DOCUMENT_SIGNING]));
    assert!(!judged(&[EKU_TIME_STAMPING], &[EKU_EMAIL_PROTECTION]));
}

mod policies {
    use super::*;

    const ANY: &[u8] = &[0x55, 0x1d, 32, 0];
    const NES: &[u8] = &[0x60, 1];
    const SEAL: &[u8] = &[0x60, 2];
    const FOREIGN: &[u8] = &[0x60, 3];

    fn oid(o: &[u8]) -> Vec<u8> {
        der::tlv(der::OID, &[o])
    }

    fn listed(parts: &[Vec<u8>]) -> Vec<u8> {
        der::sequence(&parts.iter().map(Vec::as_slice).collect::<Vec<_>>())
    }

    fn states(list: &[&[u8]]) -> Vec<u8> {
        let all: Vec<Vec<u8>> = list.iter().map(|p| der::sequence(&[&oid(p)])).collect();
        extension::write(extension::CERTIFICATE_POLICIES, false, &listed(&all))
    }

    fn maps(pairs: &[(&[u8], &[u8])]) -> Vec<u8> {
        let all: Vec<Vec<u8>> = pairs
            .iter()
            .map(|(a, b)| der::sequence(&[&oid(a), &oid(b)]))
            .collect();
        extension::write(extension::POLICY_MAPPINGS, true, &listed(&all))
    }

    fn requires(explicit: Option<u8>, no_mapping: Option<u8>) -> Vec<u8> {
        let number = |tag: u8, n: Option<u8>| n.map(|n| vec![tag, 1, n]).unwrap_or_default();
        let value = der::sequence(&[&number(0x80, explicit), &number(0x81, no_mapping)]);
        extension::write(extension::POLICY_CONSTRAINTS, true, &value)
    }

    fn inhibits_any(n: u8) -> Vec<u8> {
        extension::write(extension::INHIBIT_ANY_POLICY, true, &[der::INTEGER, 1, n])
    }

    /// A path over authorities with these extensions, the upper first, to a leaf with those.
    fn judged(authorities: &[Vec<Vec<u8>>], leaf: &[Vec<u8>], wanted: &[&[u8]]) -> Result<usize, PathError> {
        let root = Plan::authority("Root").self_signed();
        let mut chain = vec![root.clone()];
        for (n, extensions) in authorities.iter().enumerate() {
            let mut plan = Plan::authority(&format!("A{n}"));
            plan.extensions.extend(extensions.iter().cloned());
            chain.push(plan.by(chain.last().unwrap()));
        }
        let mut plan = Plan::leaf("Leaf");
        plan.extensions.extend(leaf.iter().cloned());
        let leaf = plan.by(chain.last().unwrap());
        let wanted: Vec<Vec<u8>> = wanted.iter().map(|w| w.to_vec()).collect();
        wanting(&leaf, &chain.iter().collect::<Vec<_>>(), &root, &wanted)
    }

    #[test]
    fn a_policy_must_be_stated_all_the_way_when_one_is_asked_for() {
        let upper = vec![states(&[NES, SEAL])];
        assert_eq!(
            judged(std::slice::from_ref(&upper), &[states(&[NES])], &[NES]),
            Ok(3)
        );
        assert_eq!(judged(&[vec![states(&[ANY])]], &[states(&[NES])], &[NES]), Ok(3));
        assert_eq!(
            judged(std::slice::from_ref(&upper), &[states(&[ANY])], &[NES]),
            Ok(3)
        );
        assert_eq!(
            judged(std::slice::from_ref(&upper), &[states(&[SEAL])], &[NES]),
            Err(PathError::OtherPolicy("CN=Leaf".to_owned()))
        );
        assert_eq!(
            judged(std::slice::from_ref(&upper), &[], &[NES]),
            Err(PathError::NoPolicy("CN=Leaf".to_owned()))
        );
        // The authority does not have what the leaf states.
        assert_eq!(
            judged(&[vec![states(&[SEAL])]], &[states(&[NES])], &[NES]),
            Err(PathError::NoPolicy("CN=Leaf".to_owned()))
        );
        assert_eq!(
            judged(&[vec![]], &[states(&[NES])], &[NES]),
            Err(PathError::NoPolicy("CN=A0".to_owned()))
        );
        // Nobody asks: anything will do.
        assert_eq!(judged(&[vec![states(&[SEAL])]], &[], &[]), Ok(3));
    }

    #[test]
    fn an_authority_may_ask_itself() {
        let strict = vec![states(&[NES]), requires(Some(0), None)];
        assert_eq!(
            judged(std::slice::from_ref(&strict), &[states(&[NES])], &[]),
            Ok(3)
        );
        assert_eq!(
            judged(&[strict], &[states(&[SEAL])], &[]),
            Err(PathError::NoPolicy("CN=Leaf".to_owned()))
        );
        // Two certificates further down it does not reach yet.
        let later = vec![states(&[NES]), requires(Some(2), None)];
        assert_eq!(judged(&[later], &[], &[]), Ok(3));
    }

    #[test]
    fn any_policy_may_be_inhibited() {
        let upper = |n| vec![states(&[NES]), inhibits_any(n)];
        assert_eq!(judged(&[upper(1)], &[states(&[ANY])], &[NES]), Ok(3));
        assert_eq!(
            judged(&[upper(0)], &[states(&[ANY])], &[NES]),
            Err(PathError::NoPolicy("CN=Leaf".to_owned()))
        );
    }

    #[test]
    fn mappings_translate_into_the_words_of_the_upper_domain() {
        let bridge = vec![states(&[NES]), maps(&[(NES, FOREIGN)])];
        assert_eq!(
            judged(std::slice::from_ref(&bridge), &[states(&[FOREIGN])], &[NES]),
            Ok(3)
        );
        assert!(judged(std::slice::from_ref(&bridge), &[states(&[FOREIGN])], &[FOREIGN]).is_err());
        assert!(judged(&[bridge], &[states(&[NES])], &[NES]).is_err());
        // From anyPolicy as well.
        let bridge = vec![states(&[ANY]), maps(&[(NES, FOREIGN)])];
        assert_eq!(judged(&[bridge], &[states(&[FOREIGN])], &[NES]), Ok(3));
        // Inhibited from above.
        let above = vec![states(&[ANY]), requires(None, Some(0))];
        let bridge = vec![states(&[NES]), maps(&[(NES, FOREIGN)])];
        assert!(judged(&[above, bridge], &[states(&[FOREIGN])], &[NES]).is_err());
        // anyPolicy cannot be mapped.
        let wrong = judged(
            &[vec![states(&[ANY]), maps(&[(ANY, NES)])]],
            &[states(&[NES])],
            &[],
        );
        assert!(matches!(wrong, Err(PathError::FaultyExtension { .. })));
    }

    #[test]
    fn what_would_be_a_large_tree_stays_small() {
        // Each level maps every policy to every other: the tree of RFC 5280 would have 8^6 nodes (CVE-2023-0464).
        let oids: Vec<Vec<u8>> = (0..8).map(|n| vec![0x60, n]).collect();
        let all: Vec<&[u8]> = oids.iter().map(Vec::as_slice).collect();
        let pairs: Vec<(&[u8], &[u8])> = all.iter().flat_map(|a| all.iter().map(|b| (*a, *b))).collect();
        let level = vec![states(&all), maps(&pairs)];
        assert_eq!(judged(&vec![level; 6], &[states(&all[..1])], &[all[7]]), Ok(8));
    }

    #[test]
    fn faulty_policies_are_refused() {
        let twice = judged(&[vec![states(&[NES, NES])]], &[], &[]);
        assert!(
            matches!(twice, Err(PathError::FaultyExtension { .. })),
            "{twice:?}"
        );
        for faulty in [
            inhibits_any(0x80),
            extension::write(extension::POLICY_CONSTRAINTS, true, &[0x30, 4, 0x80, 2, 0, 1]),
        ] {
            let judged = judged(&[vec![states(&[ANY])], vec![faulty, states(&[ANY])]], &[], &[]);
            assert!(
                matches!(&judged, Err(PathError::FaultyExtension { subject, .. }) if subject == "CN=A1"),
                "{judged:?}"
            );
        }
    }
}
