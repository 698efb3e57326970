//! Verdicts over certificates and signatures made here, octet by octet, so that each can be wrong in one way only.

mod making;

use super::*;
use crate::cms::algorithm::sha256;
use crate::cms::certificate::EKU_TIME_STAMPING;
use crate::cms::der::context;
use crate::cms::signed::CONTENT_TST_INFO;
use crate::cms::testing::{ECDSA, List, Party, Plan, Reply, alt_names, at, dn, key_usage, purposes};
use crate::cms::tsp::TstInfo;
use crate::cms::{RevocationReason, der, extension};
use rcgen::SigningKey as _;

use making::{Making, SHA1_OID, Scene, bound, person, policies, scene, statements};

const AYSE: &str = "17291716060";
const ALI: &str = "10000000146";
const NES: &[&str] = &["0.4.0.1862.1.1", "2.16.792.1.61.0.1.5070.1.1"];
const NES_POLICY: &str = "2.16.792.1.2.1.1.5.7.1.1";
const FROM: &str = "ornekas@hs01.kep.test";
const CONTENT: &[u8] = b"Content-Type: text/plain\r\n\r\nMerhaba\r\n";
const HOUR: Duration = Duration::from_secs(3600);

impl Scene {
    fn examined(
        &self,
        cms_der: &[u8],
        content: &[u8],
        holder: &UserCertificates,
    ) -> Result<Candidate, Fault> {
        let question = Question {
            cms_der,
            content: ContentDigest::Sha256(sha256(content)),
            from: FROM,
            holder,
            received_at: at("06-01T12:00"),
        };
        examine(question, &self.standards)
    }

    /// Of AYSE, received an hour past noon on the first of June.
    fn judged(&self, making: &Making<'_>) -> Result<Candidate, Fault> {
        self.examined(&making.der(), CONTENT, &bound(Some(AYSE)))
    }

    fn of_card(&self, plan: Plan) -> Result<Candidate, Fault> {
        self.judged(&Making::by(&plan.by(&self.root)))
    }
}

/// The kind of a fault, and its sentence.
fn told(outcome: Result<Candidate, Fault>) -> (&'static str, String) {
    match outcome {
        Ok(_) => ("holds", String::new()),
        Err(fault) => {
            assert!(!fault.text().contains("172917"), "{fault:?}");
            let kind = match fault {
                Fault::Broken(_) => "broken",
                Fault::Unfit(_) => "unfit",
                Fault::Lesser(_) => "lesser",
                Fault::Ended(_) => "ended",
                Fault::Unknown(_) => "unknown",
            };
            (kind, fault.text().to_owned())
        }
    }
}

#[test]
fn a_person_signs_with_his_own_qualified_certificate() {
    let scene = scene();
    let card = person(AYSE).by(&scene.root);
    let candidate = scene.judged(&Making::by(&card)).unwrap();
    let signature = candidate.unasked(Duration::ZERO, &scene.standards).unwrap();
    assert_eq!(
        (signature.signer.as_str(), signature.issuer.as_str()),
        ("AYŞE ÖRNEK", "Deneme NES Kök")
    );
    assert_eq!(signature.certificate_sha256, card.certificate.fingerprint());
    assert_eq!(signature.profile, SignatureProfile::P1);
    assert_eq!(
        (signature.claimed_at, signature.stamped_at),
        (Some(at("06-01T12:00")), None)
    );
    assert_eq!(signature.standing, SignatureStanding::NotAsked);
    // Bound by itself instead of by its number.
    let mut by_itself = bound(None);
    by_itself
        .certificates
        .push(crate::domain::certificate::BoundCertificate {
            fingerprint: Fingerprint(card.certificate.fingerprint()),
            name: String::new(),
            issuer: String::new(),
            until: at("12-31"),
            bound_at: at("01-01"),
        });
    assert!(
        scene
            .examined(&Making::by(&card).der(), CONTENT, &by_itself)
            .is_ok()
    );
}

#[test]
fn what_a_certificate_must_be() {
    let scene = scene();
    let with = |extensions: Vec<Vec<u8>>| person(AYSE).only(extensions);
    let right = || vec![key_usage(0x40), statements(NES)];
    let mail = |address: &str| person(AYSE).with(alt_names(&[(0x81, address.as_bytes())]));
    let cases: Vec<(Plan, &str, &str)> = vec![
        (person(AYSE), "holds", ""),
        (with(right()), "holds", ""),
        (with(vec![key_usage(0xc0), statements(NES)]), "holds", ""),
        (
            with(vec![key_usage(0x40), statements(&NES[..1])]),
            "unfit",
            "no qualified one",
        ),
        (
            with(vec![key_usage(0x40), statements(&NES[1..])]),
            "unfit",
            "no qualified one",
        ),
        (
            with(vec![key_usage(0x80), statements(NES)]),
            "unfit",
            "nonRepudiation",
        ),
        (with(vec![statements(NES)]), "unfit", "nonRepudiation"),
        (
            with([right(), vec![policies(&["2.16.792.1.2.1.1.5.7.50.1"])]].concat()),
            "unfit",
            "mali mühür",
        ),
        (
            with(vec![
                key_usage(0x40),
                statements(&[NES, &["2.16.792.1.61.0.1.5070.1.2"]].concat()),
            ]),
            "unfit",
            "mali mühür",
        ),
        (
            with([right(), vec![policies(&[TEST_POLICY])]].concat()),
            "unfit",
            "trying out",
        ),
        (
            person(AYSE).with(purposes(&[EKU_TIME_STAMPING])),
            "unfit",
            "may not be used to sign mail",
        ),
        (
            person(AYSE).with(purposes(&[crate::cms::certificate::EKU_EMAIL_PROTECTION])),
            "holds",
            "",
        ),
        (
            person(AYSE).with(extension::write(&[0x2a, 3, 4], true, &[5, 0])),
            "unfit",
            "critical",
        ),
        (person(ALI), "unfit", "another person's"),
        (person("x"), "unfit", "names no TCKN"),
        (
            person(AYSE).between(at("01-01"), at("05-01")),
            "ended",
            "is valid from",
        ),
        (
            person(AYSE).between(at("07-01"), at("12-31")),
            "ended",
            "is valid from",
        ),
        (mail("ayse@example.com"), "unfit", "names mail addresses"),
        (mail("ORNEKAS@hs01.kep.test"), "holds", ""),
    ];
    for (plan, kind, words) in cases {
        let (found, text) = told(scene.of_card(plan));
        assert_eq!(found, kind, "{text}");
        assert!(text.contains(words), "{text}");
    }
    let lenient = Scene {
        standards: Standards {
            takes_test_certificates: true,
            match_address: false,
            ..scene.standards.clone()
        },
        ..self::scene()
    };
    let test_card = with([right(), vec![policies(&[TEST_POLICY])]].concat());
    let signed = |plan: Plan| Making::by(&plan.by(&scene.root)).der();
    assert!(
        lenient
            .examined(&signed(test_card), CONTENT, &bound(Some(AYSE)))
            .is_ok()
    );
    assert!(
        lenient
            .examined(&signed(mail("ayse@example.com")), CONTENT, &bound(Some(AYSE)))
            .is_ok()
    );
}

#[test]
fn who_it_is_of_must_be_known_and_who_issued_it() {
    let scene = scene();
    let card = person(AYSE).by(&scene.root);
    let (kind, text) = told(scene.examined(&Making::by(&card).der(), CONTENT, &bound(None)));
    assert!(kind == "unfit" && text.contains("--tckn"), "{text}");
    // Of another authority of the same name; one that has ended there is not told as ended.
    let stranger = Plan::authority("Deneme NES Kök").self_signed();
    for plan in [person(AYSE), person(AYSE).between(at("01-01"), at("05-01"))] {
        let (kind, text) = told(scene.judged(&Making::by(&plan.by(&stranger))));
        assert!(kind == "unfit" && text.contains("no path leads"), "{text}");
    }
    // Policies of this provider's choice.
    let mut choosy = self::scene();
    choosy.root = scene.root.clone();
    choosy.standards = scene.standards.clone();
    choosy
        .standards
        .trust
        .add_policy(der::oid_from_dotted(NES_POLICY).unwrap());
    assert_eq!(told(choosy.of_card(person(AYSE))).0, "holds");
    let other = person(AYSE).only(vec![key_usage(0x40), statements(NES), policies(&["2.999.7"])]);
    let (kind, text) = told(choosy.of_card(other));
    assert!(kind == "unfit" && text.contains("policy"), "{text}");
}

#[test]
fn what_a_signature_must_be() {
    let scene = scene();
    let card = person(AYSE).by(&scene.root);
    let making = || Making::by(&card);
    let judge = |cms: &[u8], content: &[u8]| told(scene.examined(cms, content, &bound(Some(AYSE))));
    let good = making().der();
    assert_eq!(judge(&good, CONTENT).0, "holds");
    let (kind, text) = judge(&good, b"Content-Type: text/plain\r\n\r\nMerhabA\r\n");
    assert!(kind == "broken" && text.contains("not what was signed"), "{text}");
    // Each octet of the signature value counts.
    let mut turned = good.clone();
    let last = turned.len() - 1;
    turned[last] ^= 1;
    assert_eq!(judge(&turned, CONTENT).0, "broken");
    let other = person(AYSE).by(&scene.root);
    for (making, kind, words) in [
        (
            Making {
                signers: 2,
                ..making()
            },
            "unfit",
            "more than one signer",
        ),
        (
            Making {
                digest_oid: SHA1_OID,
                ..making()
            },
            "unfit",
            "SHA-256",
        ),
        (
            Making {
                names_certificate: false,
                ..making()
            },
            "lesser",
            "attribute signing-certificate-v2",
        ),
        (
            Making {
                claimed: Some(at("06-01T13:00")),
                ..making()
            },
            "unfit",
            "had not come",
        ),
        (
            Making {
                claimed: None,
                ..making()
            },
            "holds",
            "",
        ),
        (
            Making {
                stamp: Some((at("06-01T11:00"), &scene.tsa, false)),
                ..making()
            },
            "broken",
            "time-stamp",
        ),
        (
            Making {
                stamp: Some((at("06-02"), &scene.tsa, true)),
                ..making()
            },
            "broken",
            "has not come",
        ),
    ] {
        let (found, text) = told(scene.judged(&making));
        assert_eq!(found, kind, "{text}");
        assert!(text.contains(words), "{text}");
    }
    // Signed by one key, with the certificate of another.
    let swapped = Party {
        certificate: card.certificate.clone(),
        key: other.key.clone(),
    };
    assert_eq!(told(scene.judged(&Making::by(&swapped))).0, "broken");
    for cms in [&b""[..], b"\x30\x03\x02\x01\x05", &good[..good.len() - 3]] {
        assert_eq!(judge(cms, CONTENT).0, "unfit");
    }
}

/// Both as openssl and mail readers write them; the first is whole, but that it does not say by which certificate.
#[test]
fn plain_s_mime_counts_only_where_the_provider_takes_it() {
    let scene = scene();
    let card = person(AYSE).by(&scene.root);
    let plain = Making {
        names_certificate: false,
        ..Making::by(&card)
    };
    let stamped = Making {
        policy: Some("2.16.792.1.61.0.1.5070.3.1.1"),
        stamp: Some((at("06-01T11:30"), &scene.tsa, true)),
        claimed: Some(at("06-01T11:30")),
        ..plain.clone()
    };
    let lenient = Scene {
        standards: Standards {
            least: SignatureProfile::Plain,
            ..scene.standards.clone()
        },
        ..self::scene()
    };
    for making in [&plain, &stamped] {
        let (kind, text) = told(scene.judged(making));
        assert!(kind == "lesser" && text.contains("CAdES-BES"), "{text}");
        let candidate = lenient.judged(making).unwrap();
        // A policy makes no profile of what does not name its certificate.
        assert_eq!(candidate.signature.profile, SignatureProfile::Plain);
    }
    let named = lenient.judged(&Making::by(&card)).unwrap();
    assert_eq!(named.signature.profile, SignatureProfile::P1);
    // One that is named and is another is never taken.
    let other = person(AYSE).by(&scene.root);
    let swapped = Party {
        certificate: other.certificate.clone(),
        key: card.key.clone(),
    };
    assert_eq!(told(lenient.judged(&Making::by(&swapped))).0, "broken");
}

#[test]
fn where_nobody_is_asked_what_came_along_is_judged_all_the_same() {
    let scene = scene();
    let card = person(AYSE).by(&scene.root);
    let list = || List::of(&scene.root, "06-01T13:00", "06-08");
    let revoked = list().revoking(&card, "06-01T11:00", RevocationReason::KeyCompromise);
    let judge = |crls: Vec<Vec<u8>>| {
        let making = Making {
            crls,
            ..Making::by(&card)
        };
        let candidate = scene.judged(&making).unwrap();
        candidate.unasked(Duration::ZERO, &scene.standards)
    };
    let standing = |crls| judge(crls).map(|signature| signature.standing);
    assert_eq!(standing(Vec::new()), Ok(SignatureStanding::NotAsked));
    assert_eq!(standing(vec![list().der()]), Ok(SignatureStanding::Final));
    assert!(matches!(judge(vec![revoked.der()]), Err(Fault::Ended(_))));
    // A list of somebody else says nothing.
    let stranger = Plan::authority("Kimse").self_signed();
    let foreign = List::of(&stranger, "06-01T13:00", "06-08").revoking(
        &card,
        "06-01T11:00",
        RevocationReason::KeyCompromise,
    );
    assert_eq!(standing(vec![foreign.der()]), Ok(SignatureStanding::NotAsked));
}

#[test]
fn a_profile_is_what_came_along_and_not_what_is_claimed() {
    let scene = scene();
    let card = person(AYSE).by(&scene.root);
    let stamp = Some((at("06-01T11:30"), &scene.tsa, true));
    let crl = List::of(&scene.root, "06-01", "06-08").der();
    // BasicOCSPResponse: what stands in the OCTET STRING of a response.
    let whole = Reply::good(&card, &scene.root, "06-01T11:00", "06-02").der();
    let mut response = der::whole(&whole, der::SEQUENCE, "response").unwrap();
    response.any().unwrap();
    let mut bytes = der::whole(response.any().unwrap().value, der::SEQUENCE, "bytes").unwrap();
    bytes.any().unwrap();
    let basic = bytes.any().unwrap().value.to_vec();
    let long = vec![scene.root.certificate.der().to_vec()];
    let claimed_at = Some(at("06-01T11:30"));
    let of = |policy, stamp, certificates: &[Vec<u8>], crls: &[Vec<u8>], ocsp: &[Vec<u8>]| Making {
        policy,
        stamp,
        claimed: claimed_at,
        certificates: certificates.to_vec(),
        crls: crls.to_vec(),
        ocsp: ocsp.to_vec(),
        ..Making::by(&card)
    };
    let (p2, p3, p4) = (
        Some("2.16.792.1.61.0.1.5070.3.1.1"),
        Some("2.16.792.1.61.0.1.5070.3.2.1"),
        Some("2.16.792.1.61.0.1.5070.3.3.1"),
    );
    let (crls, ocsp) = (vec![crl], vec![basic]);
    use SignatureProfile::{P1, P2, P3, P4};
    for (making, reached) in [
        (of(None, None, &[], &[], &[]), P1),
        (of(None, stamp, &long, &crls, &ocsp), P1),
        (of(p2, None, &[], &[], &[]), P1),
        (of(p2, stamp, &[], &[], &[]), P2),
        (of(p3, stamp, &long, &[], &[]), P2),
        (of(p3, stamp, &long, &crls, &[]), P3),
        (of(p4, stamp, &long, &crls, &[]), P2),
        (of(p4, stamp, &long, &[], &ocsp), P4),
        (of(p4, None, &long, &[], &ocsp), P1),
    ] {
        let candidate = scene.judged(&making).unwrap();
        assert_eq!(candidate.signature.profile, reached);
        for least in SignatureProfile::ALL {
            let asking = Standards {
                least,
                ..scene.standards.clone()
            };
            let cms = making.der();
            let question = Question {
                cms_der: &cms,
                content: ContentDigest::Sha256(sha256(CONTENT)),
                from: FROM,
                holder: &bound(Some(AYSE)),
                received_at: at("06-01T12:00"),
            };
            assert_eq!(
                examine(question, &asking).is_ok(),
                reached >= least,
                "{reached:?} {least:?}"
            );
        }
    }
    // What came along is believed when it is signed by the right one: P4 needs nobody to be asked.
    let candidate = scene.judged(&of(p4, stamp, &long, &[], &ocsp)).unwrap();
    assert_eq!(
        (candidate.at, candidate.grace(HOUR)),
        (at("06-01T11:30"), Duration::ZERO)
    );
    let signature = candidate
        .conclude(RevocationValues::default(), Duration::ZERO, &scene.standards)
        .unwrap();
    assert_eq!(
        (signature.standing, signature.stamped_at),
        (SignatureStanding::Final, Some(at("06-01T11:30")))
    );
    // A stamp of somebody else counts as none.
    let stranger = Plan::authority("Kimse").self_signed();
    let purpose = extension::write(
        &[0x55, 0x1d, 37],
        true,
        &der::sequence(&[&der::tlv(der::OID, &[EKU_TIME_STAMPING])]),
    );
    let tsa = Plan::leaf("T").only(vec![key_usage(0xc0), purpose]).by(&stranger);
    let making = of(p2, Some((at("06-01T11:30"), &tsa, true)), &[], &[], &[]);
    let candidate = scene.judged(&making).unwrap();
    assert_eq!(
        (candidate.signature.profile, candidate.signature.stamped_at),
        (P1, None)
    );
}

#[test]
fn revocation_counts_for_the_moment_of_the_signature() {
    let scene = scene();
    let card = person(AYSE).by(&scene.root);
    let lists = |crl: Vec<u8>| RevocationValues {
        crls: vec![crl],
        ..RevocationValues::default()
    };
    let list = |from| List::of(&scene.root, from, "06-08");
    let revoked = |since| {
        list("06-01T10:00")
            .revoking(&card, since, RevocationReason::KeyCompromise)
            .der()
    };
    let conclude = |values, grace| {
        let candidate = scene.judged(&Making::by(&card)).unwrap();
        candidate.conclude(values, grace, &scene.standards)
    };
    let standing = |values, grace| conclude(values, grace).map(|s| s.standing);
    let good = || lists(list("06-01T10:00").der());
    assert_eq!(standing(good(), Duration::ZERO), Ok(SignatureStanding::Final));
    let final_from = at("06-01T13:00");
    assert_eq!(
        standing(good(), HOUR),
        Ok(SignatureStanding::NotFinal { final_from })
    );
    assert_eq!(
        standing(lists(list("06-01T13:30").der()), HOUR),
        Ok(SignatureStanding::Final)
    );
    assert_eq!(
        standing(lists(revoked("06-01T12:30")), Duration::ZERO),
        Ok(SignatureStanding::Final)
    );
    let fault = standing(lists(revoked("06-01T11:00")), Duration::ZERO).unwrap_err();
    assert_eq!(
        (fault.reason(), fault.counts_unasked()),
        (Reason::UserCertExpiredOrRevoked, true)
    );
    assert!(
        fault.text().contains("keyCompromise") && !fault.text().contains("172917"),
        "{fault:?}"
    );
    // Nobody answered: not known, which is neither.
    let fault = standing(RevocationValues::default(), Duration::ZERO).unwrap_err();
    assert!(
        matches!(&fault, Fault::Unknown(_)) && !fault.counts_unasked(),
        "{fault:?}"
    );
    let old = lists(List::of(&scene.root, "05-01", "05-08").der());
    assert!(matches!(standing(old, Duration::ZERO), Err(Fault::Unknown(_))));
    // An authority whose clock is a minute behind ours.
    let behind = lists(List::of(&scene.root, "06-01T11:58", "06-01T11:59").der());
    assert_eq!(
        standing(behind, Duration::ZERO),
        Ok(SignatureStanding::NotFinal {
            final_from: at("06-01T12:00")
        })
    );
}

#[test]
fn the_signed_part_is_found_in_either_spelling_and_in_no_other_form() {
    let found = |message: &str| {
        let structure = Structure::of(message.as_bytes());
        match shape(&structure) {
            Shape::Detached { entity, .. } => {
                String::from_utf8(entity.of(message.as_bytes()).unwrap().to_vec()).unwrap()
            }
            Shape::Unsigned(_) => "unsigned".to_owned(),
            Shape::Broken(_) => "broken".to_owned(),
        }
    };
    let signed = |protocol: &str, part: &str, more: &str| {
        format!(
            "From: a@b\r\nContent-Type: multipart/signed; boundary=s{protocol}\r\n\r\nönsöz\r\n--s\r\n\
             Content-Type: text/plain\r\n\r\nMerhaba\r\n\r\n--s\r\nContent-Type: {part}; name=smime.p7s\r\n\r\nMII=\r\n{more}--s--\r\n"
        )
    };
    let (plain, old) = ("application/pkcs7-signature", "application/x-pkcs7-signature");
    let entity = "Content-Type: text/plain\r\n\r\nMerhaba\r\n";
    for (protocol, part) in [
        (plain, plain),
        (old, old),
        (old, plain),
        (plain, old),
        ("APPLICATION/PKCS7-SIGNATURE", plain),
    ] {
        assert_eq!(
            found(&signed(&format!("; protocol=\"{protocol}\""), part, "")),
            entity
        );
    }
    assert_eq!(found(&signed("", plain, "")), entity);
    assert_eq!(
        found(&signed(
            "; protocol=\"application/pgp-signature\"",
            "application/pgp-signature",
            ""
        )),
        "unsigned"
    );
    let third = "--s\r\n\r\nlast\r\n";
    assert_eq!(
        found(&signed(&format!("; protocol=\"{plain}\""), plain, third)),
        "broken"
    );
    assert_eq!(
        found(&signed(&format!("; protocol=\"{plain}\""), "text/plain", "")),
        "broken"
    );
    assert_eq!(
        found("Content-Type: application/pkcs7-mime; smime-type=signed-data\r\n\r\nMII=\r\n"),
        "unsigned"
    );
    assert_eq!(found("\r\nMerhaba\r\n"), "unsigned");
    // Signed inside something else: the whole is not.
    let inner = signed(&format!("; protocol=\"{plain}\""), plain, "");
    let around = format!(
        "Content-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\n{inner}--o\r\n\r\nfooter\r\n--o--\r\n"
    );
    assert_eq!(found(&around), "unsigned");
}
