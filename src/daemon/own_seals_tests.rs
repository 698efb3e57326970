//! A provider learns that its own certificate was revoked, and seals no more until another takes its place.

use super::*;
use crate::clock::ManualClock;
use crate::cms::RevocationReason::KeyCompromise;
use crate::cms::testing::{List, Party, Plan, at, crl_at, key_usage};
use crate::cms::{der, extension};
use crate::seal::revocation::{Collector, FetchError, Fetching, RevocationTransport, Settings};
use crate::seal::tsa::{LocalTransport, SystemNonces, TimestampClient};
use crate::seal::{DevAuthority, Ring, SealError, SealKey, Signatory};
use crate::service::identity::Credentials;
use crate::store::db::{self, EngineKind};
use crate::store::probe::NoProbe;
use std::sync::Mutex;

/// One list, or none.
struct Place(Mutex<Option<Vec<u8>>>);

impl RevocationTransport for Place {
    fn fetch<'a>(&'a self, _: &'a str, _: usize) -> Fetching<'a> {
        let list = self.0.lock().unwrap().clone();
        Box::pin(std::future::ready(list.ok_or_else(|| FetchError("away".into()))))
    }

    fn ask<'a>(&'a self, _: &'a str, _: Vec<u8>, _: usize) -> Fetching<'a> {
        Box::pin(std::future::ready(Err(FetchError("no OCSP".into()))))
    }
}

struct Scene {
    root: Party,
    seal: Party,
    tsa: Party,
    place: Arc<Place>,
    clock: Arc<ManualClock>,
    own: OwnSeals,
    revoked: BTreeSet<[u8; 32]>,
    _dir: tempfile::TempDir,
}

fn signatory(party: &Party) -> Signatory {
    let key = SealKey::from_pem(&party.key.serialize_pem()).unwrap();
    Signatory::new(key, vec![party.certificate.clone()]).unwrap()
}

fn seal_of(root: &Party) -> Party {
    Plan::leaf("Seal").with(crl_at("http://pki.test/a.crl")).by(root)
}

fn scene() -> Scene {
    let root = Plan::authority("Root").self_signed();
    let oid = crate::cms::certificate::EKU_TIME_STAMPING;
    let purpose = der::sequence(&[&der::tlv(der::OID, &[oid])]);
    let purpose = extension::write(&[0x55, 0x1d, 37], true, &purpose);
    let tsa = Plan::leaf("Clock").only(vec![key_usage(0xc0), purpose, crl_at("http://pki.test/a.crl")]);
    let (seal, tsa) = (seal_of(&root), tsa.by(&root));
    let mut trust = TrustStore::new();
    trust.add_anchor(root.certificate.clone());
    let clock = Arc::new(ManualClock::at(at("06-01")));
    let key = SealKey::from_pem(&tsa.key.serialize_pem()).unwrap();
    let authority = DevAuthority::new(key, tsa.certificate.clone()).unwrap();
    let transport = LocalTransport::new(authority, clock.clone(), 1);
    let stamps = TimestampClient::new(Arc::new(transport), Arc::new(SystemNonces), Arc::new(trust));
    let sealer = Arc::new(Sealer::of(Ring::one(signatory(&seal)), Arc::new(stamps)));
    let place = Arc::new(Place(Mutex::new(None)));
    let collector = Collector::new(
        place.clone(),
        Arc::new(SystemNonces),
        clock.clone(),
        Settings::default(),
    );
    let dir = tempfile::tempdir().unwrap();
    let own = OwnSeals {
        db: db::open(EngineKind::Fjall, &dir.path().join("store"), Arc::new(NoProbe)).unwrap(),
        asker: Arc::new(Asker::new(Arc::new(collector), clock.clone())),
        clock: clock.clone(),
        sealers: vec![sealer],
        published: Published::of(Credentials {
            trust_pem: root.certificate.pem(),
            ..Credentials::default()
        }),
        figures: Arc::default(),
    };
    Scene {
        root,
        seal,
        tsa,
        place,
        clock,
        own,
        revoked: BTreeSet::new(),
        _dir: dir,
    }
}

impl Scene {
    fn publish(&self, list: List<'_>) {
        *self.place.0.lock().unwrap() = Some(list.der());
    }

    async fn look(&mut self) -> bool {
        // What was said in the last minute is over.
        self.clock.advance(SOONER);
        self.own.look(&mut self.revoked).await
    }

    async fn seal(&self) -> Result<Vec<u8>, SealError> {
        self.own.sealers[0].seal_entity([7; 32], self.clock.now()).await
    }

    /// (revoked, stamps revoked, unknown)
    fn figures(&self) -> Vec<u64> {
        self.own.figures.gauges().iter().map(|g| g.value).collect()
    }
}

fn list(root: &Party) -> List<'_> {
    List::of(root, "05-31", "06-30")
}

#[tokio::test]
async fn with_a_revoked_certificate_nothing_is_sealed_until_another_takes_its_place() {
    let mut scene = scene();
    let (root, seal) = (scene.root.clone(), scene.seal.clone());
    scene.publish(list(&root));
    assert!(scene.look().await);
    scene.seal().await.unwrap();

    scene.clock.advance(EVERY * 24 * 40);
    // Nobody tells of a time after the list's: it goes on, and somebody is told.
    assert!(!scene.look().await);
    assert_eq!(scene.figures(), [0, 0, 2]);
    scene.seal().await.unwrap();

    let lost = List::of(&root, "07-01", "08-30").revoking(&seal, "07-01", KeyCompromise);
    scene.publish(lost);
    assert!(!scene.look().await);
    assert_eq!(scene.figures(), [1, 0, 0]);
    let refused = scene.seal().await;
    assert!(
        matches!(&refused, Err(SealError::Unavailable(why)) if why.contains("(CN=Seal) is revoked")),
        "{refused:?}"
    );
    // The authority falls silent: what is revoked stays so.
    *scene.place.0.lock().unwrap() = None;
    scene.clock.advance(EVERY * 24 * 70);
    assert!(!scene.look().await);
    assert!(scene.seal().await.is_err());

    let other = seal_of(&root);
    scene.own.sealers[0].replace(Ring::one(signatory(&other)));
    scene.seal().await.unwrap();
}

#[tokio::test]
async fn of_the_time_stamps_authority_it_is_told() {
    let mut scene = scene();
    let (root, tsa) = (scene.root.clone(), scene.tsa.clone());
    let list = list(&root).revoking(&tsa, "05-31T12:00", KeyCompromise);
    scene.publish(list);
    assert!(scene.look().await, "no stamp was fetched yet");
    scene.seal().await.unwrap();
    assert!(!scene.look().await);
    assert_eq!(scene.figures(), [0, 1, 0]);
    scene.seal().await.unwrap();
}

#[tokio::test]
async fn a_revoked_key_seals_nothing_after_a_restart_nor_when_its_path_is_lost() {
    let mut scene = scene();
    let (root, seal) = (scene.root.clone(), scene.seal.clone());
    scene.publish(list(&root).revoking(&seal, "05-31T12:00", KeyCompromise));
    assert!(!scene.look().await);
    assert!(scene.seal().await.is_err());

    // A restart forgets, and nobody was asked yet.
    let sealer = scene.own.sealers[0].clone();
    sealer.set_revoked(BTreeSet::new());
    scene.seal().await.unwrap();
    recall(&*scene.own.db, &[&sealer]).unwrap();
    assert!(scene.seal().await.is_err());
    scene.revoked = own_seals::revoked(&*scene.own.db).unwrap().fingerprints;

    // Its anchors are not configured any more: nobody says that it is good again.
    let anchors = |party: &Party| Credentials {
        trust_pem: party.certificate.pem(),
        ..Credentials::default()
    };
    let other = Plan::authority("Other").self_signed();
    scene.own.published.replace(anchors(&other));
    scene.look().await;
    assert!(scene.seal().await.is_err());
    scene.own.published.replace(anchors(&root));

    // Another key takes its place: of the first nothing need be known any more.
    sealer.replace(Ring::one(signatory(&seal_of(&root))));
    assert!(scene.look().await);
    scene.seal().await.unwrap();
    assert_eq!(scene.figures(), [0, 0, 0]);
    assert_eq!(
        own_seals::revoked(&*scene.own.db).unwrap(),
        RevokedSeals::default()
    );
}
