//! Tokens made by hand, each with one thing wrong, as an authority could send them; and those that only look wrong.

use super::*;
use crate::cms::algorithm::sha256;
use crate::cms::der;
use crate::cms::signed::{Assembly, CONTENT_TST_INFO, CmsError, SignedAttributes};
use crate::cms::tsp::{self, StampError, TstInfo};
use crate::cms::{Certificate, ContentDigest};
use crate::seal::tsa::{DEV_POLICY, Exchange, StampFailure};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CustomExtension, IsCa, KeyPair, KeyUsagePurpose,
};

const TIME_STAMPING: [u8; 10] = [0x06, 8, 0x2b, 6, 1, 5, 5, 7, 3, 8];
const EMAIL: [u8; 10] = [0x06, 8, 0x2b, 6, 1, 5, 5, 7, 3, 4];

/// An authority's key and certificate, below an anchor.
struct Tsa {
    key: SealKey,
    certificate: Certificate,
    trust: Arc<TrustStore>,
}

/// `purposes` is the content of extKeyUsage; None leaves it out.
fn tsa_with(purposes: Option<(&[&[u8]], bool)>, years: (i32, i32)) -> Tsa {
    let from_to = |params: &mut CertificateParams, (from, to): (i32, i32)| {
        params.not_before = rcgen::date_time_ymd(from, 1, 1);
        params.not_after = rcgen::date_time_ymd(to, 1, 1);
    };
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    from_to(&mut ca, (2000, 2100));
    ca.distinguished_name.push(rcgen::DnType::CommonName, "Kök");
    let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate().unwrap()).unwrap();
    let mut leaf = CertificateParams::default();
    from_to(&mut leaf, years);
    leaf.distinguished_name.push(rcgen::DnType::CommonName, "Zaman");
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    if let Some((purposes, critical)) = purposes {
        let mut extension = CustomExtension::from_oid_content(&[2, 5, 29, 37], der::sequence(purposes));
        extension.set_criticality(critical);
        leaf.custom_extensions.push(extension);
    }
    let key = KeyPair::generate().unwrap();
    let certificate = leaf.signed_by(&key, &ca).unwrap();
    let mut trust = TrustStore::new();
    trust.add_pem_text(&ca.pem()).unwrap();
    Tsa {
        key: SealKey::from_pem(&key.serialize_pem()).unwrap(),
        certificate: Certificate::from_der(certificate.der()).unwrap(),
        trust: Arc::new(trust),
    }
}

fn tsa() -> Tsa {
    tsa_with(Some((&[&TIME_STAMPING], true)), (2020, 2040))
}

/// What stands in an answer.
#[derive(Clone)]
struct Says {
    status: u8,
    policy: &'static str,
    imprint: ContentDigest,
    with_nonce: bool,
    at: UtcTime,
    tail: &'static [u8],
}

fn right() -> Says {
    Says {
        status: 0,
        policy: DEV_POLICY,
        imprint: ContentDigest::Sha256([9; 32]),
        with_nonce: true,
        at: now(),
        tail: b"",
    }
}

struct ByHand {
    key: SealKey,
    certificate: Certificate,
    says: Says,
}

impl TimestampTransport for ByHand {
    fn exchange<'a>(&'a self, request_der: Vec<u8>) -> Exchange<'a> {
        let asked = tsp::read_request(&request_der).unwrap();
        let nonce = asked.nonce_der.filter(|_| self.says.with_nonce);
        let info = TstInfo {
            policy: self.says.policy,
            imprint: &self.says.imprint,
            serial: 7,
            gen_time: self.says.at,
            accuracy_s: 1,
            nonce_der: nonce.as_deref(),
        };
        let info = info.der().unwrap();
        let attributes = SignedAttributes::new(CONTENT_TST_INFO, &sha256(&info), &self.certificate, now());
        let signature = self.key.sign(attributes.to_be_signed()).unwrap();
        let token = Assembly {
            attributes: &attributes,
            signer: &self.certificate,
            chain: &[],
            algorithm: self.key.algorithm(),
            signature: &signature,
            content_type: CONTENT_TST_INFO,
            content: Some(&info),
            stamp_token: None,
        };
        let status = der::sequence(&[&der::unsigned(&[self.says.status])]);
        let mut answer = der::sequence(&[&status, &token.der()]);
        answer.extend(self.says.tail);
        Box::pin(std::future::ready(Ok(answer)))
    }
}

async fn ask_for(tsa: &Tsa, says: Says, policies: &[&str]) -> Result<(), StampFailure> {
    let transport = ByHand {
        key: tsa.key.clone(),
        certificate: tsa.certificate.clone(),
        says,
    };
    let policies = policies.iter().map(|p| (*p).to_owned()).collect();
    let client = client(transport, &tsa.trust).with_policies(policies);
    client.stamp([9; 32].into(), now()).await.map(|_| ())
}

#[tokio::test]
async fn one_thing_wrong_in_a_token_is_enough() {
    let tsa = tsa();
    assert_eq!(ask_for(&tsa, right(), &[]).await, Ok(()));
    let sha512 = ContentDigest::of(crate::cms::DigestAlgorithm::Sha512, b"belge");
    let stamp = |error| Err(StampFailure::Stamp(error));
    let cases = [
        (
            Says {
                imprint: ContentDigest::Sha256([8; 32]),
                ..right()
            },
            stamp(StampError::Imprint),
        ),
        (
            Says {
                imprint: sha512,
                ..right()
            },
            stamp(StampError::Imprint),
        ),
        (
            Says {
                with_nonce: false,
                ..right()
            },
            stamp(StampError::Nonce),
        ),
        (
            Says {
                at: now().plus(Duration::from_millis(300_001)),
                ..right()
            },
            stamp(StampError::Time {
                stamp: now().plus(Duration::from_millis(300_001)),
                now: now(),
            }),
        ),
    ];
    for (says, wanted) in cases {
        assert_eq!(ask_for(&tsa, says, &[]).await, wanted);
    }
    let failure = ask_for(
        &tsa,
        Says {
            tail: b"\0",
            ..right()
        },
        &[],
    )
    .await
    .unwrap_err();
    assert!(
        matches!(failure, StampFailure::Stamp(StampError::Der(_))),
        "{failure}"
    );
    assert!(!failure.is_temporary());
}

#[tokio::test]
async fn a_policy_is_one_of_those_that_are_allowed() {
    let tsa = tsa();
    for (says, allowed, good) in [
        (DEV_POLICY, &[][..], true),
        ("1.2.3", &[], true),
        (DEV_POLICY, &[DEV_POLICY], true),
        ("1.2.3", &[DEV_POLICY], false),
        ("1.2.3", &[DEV_POLICY, "1.2.3"], true),
        ("1.2.3.4", &["1.2.3"], false),
    ] {
        let answer = ask_for(
            &tsa,
            Says {
                policy: says,
                ..right()
            },
            allowed,
        )
        .await;
        let wrong = StampFailure::Stamp(StampError::Policy(says.to_owned()));
        assert_eq!(
            answer,
            if good { Ok(()) } else { Err(wrong) },
            "{says} of {allowed:?}"
        );
    }
}

#[tokio::test]
async fn granted_with_modifications_is_granted_when_nothing_that_counts_was_modified() {
    let tsa = tsa();
    assert_eq!(ask_for(&tsa, Says { status: 1, ..right() }, &[]).await, Ok(()));
    for says in [
        Says {
            status: 1,
            policy: "1.2.3",
            ..right()
        },
        Says {
            status: 1,
            with_nonce: false,
            ..right()
        },
    ] {
        assert!(ask_for(&tsa, says, &[DEV_POLICY]).await.is_err());
    }
    // Rejection, waiting, revocationWarning, revocationNotification, and what there is not: a token beside it is no stamp.
    for status in 2..=7 {
        let failure = ask_for(&tsa, Says { status, ..right() }, &[]).await.unwrap_err();
        assert!(matches!(failure, StampFailure::Stamp(StampError::Refused { status: s, .. }) if s == status));
    }
}

#[tokio::test]
async fn the_certificate_has_the_one_critical_purpose_and_the_key() {
    for (purposes, critical) in [
        (Some(&[&EMAIL[..]][..]), true),
        (Some(&[&TIME_STAMPING, &EMAIL]), true),
        (Some(&[&TIME_STAMPING]), false),
        (None, true),
    ] {
        let tsa = tsa_with(purposes.map(|p| (p, critical)), (2020, 2040));
        let failure = ask_for(&tsa, right(), &[]).await.unwrap_err();
        assert_eq!(
            failure,
            StampFailure::Stamp(StampError::Purpose),
            "{purposes:?} {critical}"
        );
    }
    // Signed by another key than the certificate's.
    let mixed = Tsa {
        key: tsa().key,
        ..tsa()
    };
    let failure = ask_for(&mixed, right(), &[]).await.unwrap_err();
    assert_eq!(
        failure,
        StampFailure::Stamp(StampError::Signed(CmsError::Signature))
    );
}

#[tokio::test]
async fn the_authority_is_trusted_at_the_moment_of_its_stamp() {
    for years in [(2020, 2026), (2027, 2040)] {
        let tsa = tsa_with(Some((&[&TIME_STAMPING], true)), years);
        let failure = ask_for(&tsa, right(), &[]).await.unwrap_err();
        assert!(matches!(failure, StampFailure::Trust(_)), "{failure}");
        assert!(!failure.is_temporary());
    }
    let stranger = Tsa {
        trust: tsa().trust,
        ..tsa()
    };
    assert!(matches!(
        ask_for(&stranger, right(), &[]).await,
        Err(StampFailure::Trust(_))
    ));
}
