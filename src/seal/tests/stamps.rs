//! Time-stamp authorities that lie, refuse, or are away.

use super::*;
use crate::cms::PathError;
use crate::cms::der;
use crate::cms::tsp::StampError;
use crate::seal::tsa::{Exchange, StampFailure, TransportError};

/// An authority whose request, time or answer is bent.
struct Bent {
    authority: DevAuthority,
    at: UtcTime,
    request: fn(Vec<u8>) -> Vec<u8>,
    answer: fn(Vec<u8>) -> Vec<u8>,
}

impl Bent {
    fn of(pki: &DevPki) -> Self {
        Self {
            authority: authority(pki),
            at: now(),
            request: |r| r,
            answer: |a| a,
        }
    }
}

impl TimestampTransport for Bent {
    fn exchange<'a>(&'a self, request_der: Vec<u8>) -> Exchange<'a> {
        let answer = self.authority.answer(&(self.request)(request_der), self.at, 1);
        Box::pin(std::future::ready(Ok((self.answer)(answer))))
    }
}

struct Away;

impl TimestampTransport for Away {
    fn exchange<'a>(&'a self, _: Vec<u8>) -> Exchange<'a> {
        Box::pin(std::future::ready(Err(TransportError("no answer".to_owned()))))
    }
}

async fn ask(pki: &DevPki, bent: Bent) -> Result<(), StampFailure> {
    let mut trust = TrustStore::new();
    trust.add_pem_text(&pki.ca.certificate_pem).unwrap();
    client(bent, &Arc::new(trust))
        .stamp([9; 32].into(), now())
        .await
        .map(|s| assert_eq!(s.gen_time, now()))
}

fn replace(mut octets: Vec<u8>, find: &[u8], put: &[u8]) -> Vec<u8> {
    let at = octets.windows(find.len()).position(|w| w == find).unwrap();
    octets[at..at + put.len()].copy_from_slice(put);
    octets
}

#[tokio::test]
async fn a_stamp_over_other_data_or_for_another_asker_is_refused() {
    let pki = pki(KeyAlgorithm::P256);
    assert_eq!(ask(&pki, Bent::of(&pki)).await, Ok(()));
    let other_data = Bent {
        request: |r| replace(r, &[9; 32], &[8; 32]),
        ..Bent::of(&pki)
    };
    assert_eq!(
        ask(&pki, other_data).await,
        Err(StampFailure::Stamp(StampError::Imprint))
    );
    let other_nonce = Bent {
        request: |r| {
            // The nonce's last octet stands before certReq, which has three.
            let at = r.len() - 4;
            let put = [r[at] ^ 1];
            let mut r = r;
            r[at..at + 1].copy_from_slice(&put);
            r
        },
        ..Bent::of(&pki)
    };
    assert_eq!(
        ask(&pki, other_nonce).await,
        Err(StampFailure::Stamp(StampError::Nonce))
    );
}

#[tokio::test]
async fn a_stamp_of_another_time_is_refused() {
    let pki = pki(KeyAlgorithm::P256);
    for at in [
        now().minus(Duration::from_secs(301)),
        now().plus(Duration::from_secs(301)),
    ] {
        let failure = ask(&pki, Bent { at, ..Bent::of(&pki) }).await.unwrap_err();
        assert_eq!(
            failure,
            StampFailure::Stamp(StampError::Time {
                stamp: at,
                now: now()
            })
        );
        assert!(!failure.is_temporary());
    }
}

#[tokio::test]
async fn an_authority_without_the_purpose_or_without_trust_is_refused() {
    let pki = pki(KeyAlgorithm::P256);
    // The seal's own certificate has the wrong purpose.
    let key = SealKey::from_pem(&pki.seal.key_pem).unwrap();
    let authority = DevAuthority::new(key, pki.seal.certificate().unwrap()).unwrap();
    let failure = ask(
        &pki,
        Bent {
            authority,
            ..Bent::of(&pki)
        },
    )
    .await
    .unwrap_err();
    assert_eq!(failure, StampFailure::Stamp(StampError::Purpose));
    // An authority of somebody else.
    let other = super::pki(KeyAlgorithm::P256);
    let failure = ask(&pki, Bent::of(&other)).await.unwrap_err();
    assert!(
        matches!(
            failure,
            StampFailure::Trust(PathError::Signature(_) | PathError::NoAnchor(_))
        ),
        "{failure}"
    );
    // A key that is not the certificate's is not even configured.
    let key = SealKey::from_pem(&other.tsa.key_pem).unwrap();
    assert!(DevAuthority::new(key, pki.tsa.certificate().unwrap()).is_err());
}

#[tokio::test]
async fn a_policy_that_was_not_asked_for_is_refused() {
    let pki = pki(KeyAlgorithm::P256);
    let mut trust = TrustStore::new();
    trust.add_pem_text(&pki.ca.certificate_pem).unwrap();
    let trust = Arc::new(trust);
    let asks = |policy: &str| client(Bent::of(&pki), &trust).with_policies(vec![policy.to_owned()]);
    assert!(
        asks(crate::seal::tsa::DEV_POLICY)
            .stamp([9; 32].into(), now())
            .await
            .is_ok()
    );
    let failure = asks("1.2.3").stamp([9; 32].into(), now()).await.unwrap_err();
    assert!(
        matches!(failure, StampFailure::Stamp(StampError::Refused { status: 2, ref text }) if text.contains("policy"))
    );
    assert!(failure.is_temporary());
}

#[tokio::test]
async fn a_changed_token_and_an_empty_grant_are_refused() {
    let pki = pki(KeyAlgorithm::P256);
    let changed = Bent {
        answer: |a| replace(a, &[9; 32], &[8; 32]),
        ..Bent::of(&pki)
    };
    assert!(matches!(
        ask(&pki, changed).await,
        Err(StampFailure::Stamp(StampError::Signed(_)))
    ));
    let empty = Bent {
        answer: |_| der::sequence(&[&der::sequence(&[&der::unsigned(&[0])])]),
        ..Bent::of(&pki)
    };
    assert!(matches!(
        ask(&pki, empty).await,
        Err(StampFailure::Stamp(StampError::Der(_)))
    ));
    let text = Bent {
        // Words inside the ASN.1 of a successful HTTP answer.
        answer: |_| {
            let words = der::sequence(&[&der::tlv(der::UTF8_STRING, &[b"user is not known"])]);
            der::sequence(&[&der::sequence(&[&der::unsigned(&[2]), &words])])
        },
        ..Bent::of(&pki)
    };
    let refused = StampError::Refused {
        status: 2,
        text: "user is not known".to_owned(),
    };
    assert_eq!(ask(&pki, text).await, Err(StampFailure::Stamp(refused)));
}

#[tokio::test]
async fn an_absent_authority_delays_sealing_and_a_lying_one_breaks_it() {
    let house = house_with(pki(KeyAlgorithm::P256), Away);
    let outcome = house.sealer.seal_evidence(EVIDENCE.as_bytes(), now()).await;
    assert!(matches!(outcome, Err(SealError::Unavailable(_))));
    let pki = pki(KeyAlgorithm::P256);
    let lying = Bent {
        at: now().plus(Duration::from_secs(3600)),
        ..Bent::of(&pki)
    };
    let house = house_with(pki, lying);
    assert!(matches!(
        house.sealer.seal_entity([1; 32], now()).await,
        Err(SealError::Broken(_))
    ));
    assert!(matches!(
        house.sealer.seal_evidence(b"<a/>", now()).await,
        Err(SealError::Broken(_))
    ));
}

#[test]
fn the_files_of_the_development_pki_have_their_modes_and_are_never_replaced() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let pki = pki(KeyAlgorithm::P256);
    pki.write(folder.path()).unwrap();
    assert!(pki.write(folder.path()).is_err());
    for name in ["ca", "tls", "seal", "tsa"] {
        let key = folder.path().join(format!("{name}.key"));
        assert_eq!(
            std::fs::metadata(&key).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert!(SealKey::load(&key).is_ok());
    }
    let mut trust = TrustStore::new();
    trust.add_path(folder.path()).unwrap();
    assert_eq!((trust.anchors().len(), trust.intermediates().len()), (1, 3));
}
