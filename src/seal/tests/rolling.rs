//! A key is rolled: the next one is published before, seals from its moment on, and a bad one changes nothing.

use super::*;
use crate::seal::{Ring, Signatory};

fn signatory(pki: &DevPki) -> Signatory {
    let key = SealKey::from_pem(&pki.seal.key_pem).unwrap();
    Signatory::new(key, vec![pki.seal.certificate().unwrap()]).unwrap()
}

fn signer(sealed: &[u8], house: &House) -> [u8; 32] {
    judge(house, sealed).signer.unwrap().fingerprint
}

#[tokio::test]
async fn the_next_key_is_published_before_and_seals_from_its_moment_on() {
    let house = house(KeyAlgorithm::P256);
    let next = pki(KeyAlgorithm::Rsa3072);
    let fingerprint = |pki: &DevPki| pki.seal.certificate().unwrap().fingerprint();
    let (old, new) = (fingerprint(&house.pki), fingerprint(&next));
    let published = || {
        house
            .sealer
            .published()
            .iter()
            .map(|c| c.fingerprint())
            .collect::<Vec<_>>()
    };
    assert_eq!(published(), [old]);

    let from = now().plus(Duration::from_secs(3600));
    let ring = Ring::one(signatory(&house.pki))
        .with_next(from, signatory(&next))
        .unwrap();
    house.sealer.replace(ring);
    assert_eq!(published(), [old, new]);
    let before = UtcTime::from_unix_ms(from.unix_ms() - 1);
    for (at, wanted) in [(now(), old), (before, old)] {
        let sealed = house.sealer.sign_entity([1; 32], at).await.unwrap();
        assert_eq!(entity_signer(&house, &sealed), wanted, "{at}");
    }
    for at in [from, from.plus(Duration::from_secs(86_400))] {
        let sealed = house.sealer.sign_entity([1; 32], at).await.unwrap();
        assert_eq!(entity_signer(&house, &sealed), new, "{at}");
    }
    // Still known to peers: what the old one sealed is under way.
    assert_eq!(published(), [old, new]);
    let sealed = house
        .sealer
        .seal_evidence(EVIDENCE.as_bytes(), now())
        .await
        .unwrap();
    assert_eq!(signer(&sealed, &house), old);
}

fn entity_signer(house: &House, cms: &[u8]) -> [u8; 32] {
    let report = crate::seal::verify_entity([1; 32], cms, &house.trust);
    report.signer.unwrap().fingerprint
}

#[tokio::test]
async fn what_is_being_sealed_is_finished_with_the_key_it_began_with() {
    use crate::seal::tsa::{Exchange, TransportError};
    use tokio::sync::Notify;
    /// Waits until it is told to go on.
    struct Held {
        inner: LocalTransport,
        asked: Arc<Notify>,
        go: Arc<Notify>,
    }
    impl TimestampTransport for Held {
        fn exchange<'a>(&'a self, request_der: Vec<u8>) -> Exchange<'a> {
            Box::pin(async move {
                self.asked.notify_one();
                self.go.notified().await;
                let answer: Result<_, TransportError> = self.inner.exchange(request_der).await;
                answer
            })
        }
    }
    let (pki, next) = (pki(KeyAlgorithm::P256), pki(KeyAlgorithm::P256));
    let (asked, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let held = Held {
        inner: LocalTransport::new(authority(&pki), Arc::new(ManualClock::at(now())), 1),
        asked: asked.clone(),
        go: go.clone(),
    };
    let old = pki.seal.certificate().unwrap().fingerprint();
    let house = Arc::new(house_with(pki, held));
    let sealing = tokio::spawn({
        let house = house.clone();
        async move { house.sealer.seal_evidence(EVIDENCE.as_bytes(), now()).await }
    });
    asked.notified().await;
    house.sealer.replace(Ring::one(signatory(&next)));
    go.notify_one();
    let sealed = sealing.await.unwrap().unwrap();
    let report = judge(&house, &sealed);
    assert!(report.findings.all_ok(), "{report:?}");
    assert_eq!(report.signer.unwrap().fingerprint, old);
}

#[test]
fn a_next_key_must_fit_its_certificate_and_its_moment() {
    let (one, other) = (pki(KeyAlgorithm::P256), pki(KeyAlgorithm::P256));
    let key = SealKey::from_pem(&one.seal.key_pem).unwrap();
    assert!(Signatory::new(key.clone(), vec![other.seal.certificate().unwrap()]).is_err());
    assert!(Signatory::new(key, Vec::new()).is_err());
    for at in [
        now().minus(Duration::from_secs(86_401)),
        now().plus(Duration::from_secs(86_400 * 3651)),
    ] {
        let refused = Ring::one(signatory(&one))
            .with_next(at, signatory(&other))
            .err()
            .unwrap();
        assert!(refused.to_string().contains("not valid at"), "{refused}");
    }
}
