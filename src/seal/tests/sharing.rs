//! One token for many signatures: each document still verifies alone, before judges of others as well.

use super::*;
use crate::cms::ContentDigest;
use crate::cms::ers::shared_token;
use crate::seal::TransportError;
use crate::seal::tsa::{Exchange, SHARED_MAX, SharedStamps, StampFailure, Stamps, Witness};
use crate::seal::verifier::Finding;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::task::JoinSet;

const WINDOW: Duration = Duration::from_millis(200);

/// An authority that counts, and can be away.
struct Counting {
    inner: LocalTransport,
    asked: AtomicUsize,
    away: AtomicBool,
}

#[derive(Clone)]
struct Line(Arc<Counting>);

impl TimestampTransport for Line {
    fn exchange<'a>(&'a self, request_der: Vec<u8>) -> Exchange<'a> {
        self.0.asked.fetch_add(1, Ordering::Relaxed);
        if self.0.away.load(Ordering::Relaxed) {
            return Box::pin(async { Err(TransportError("away".to_owned())) });
        }
        self.0.inner.exchange(request_der)
    }
}

fn line(pki: &DevPki) -> Line {
    Line(Arc::new(Counting {
        inner: LocalTransport::new(authority(pki), Arc::new(ManualClock::at(now())), 1),
        asked: AtomicUsize::new(0),
        away: AtomicBool::new(false),
    }))
}

impl Line {
    fn asked(&self) -> usize {
        self.0.asked.load(Ordering::Relaxed)
    }
}

/// A house whose evidence shares tokens.
fn sharing() -> (House, Line) {
    let pki = pki(KeyAlgorithm::P256);
    let line = line(&pki);
    let house = house_with(pki, line.clone());
    let sealer = house.sealer.sharing(WINDOW);
    (House { sealer, ..house }, line)
}

/// Seals so many at once.
async fn seal(house: House, count: usize) -> (Vec<Result<Vec<u8>, SealError>>, House) {
    let house = Arc::new(house);
    let mut sealing = JoinSet::new();
    for _ in 0..count {
        let house = house.clone();
        sealing.spawn(async move { house.sealer.seal_evidence(EVIDENCE.as_bytes(), now()).await });
    }
    let sealed = sealing.join_all().await;
    (sealed, Arc::into_inner(house).unwrap())
}

#[tokio::test(start_paused = true)]
async fn each_of_many_documents_under_one_token_verifies_alone() {
    const COUNT: usize = 37;
    let (house, line) = sharing();
    let (sealed, house) = seal(house, COUNT).await;
    let sealed: Vec<Vec<u8>> = sealed.into_iter().map(Result::unwrap).collect();
    assert_eq!(line.asked(), 1);

    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("roots.pem"), &house.pki.ca.certificate_pem).unwrap();
    for (n, document) in sealed.iter().enumerate() {
        let report = judge(&house, document);
        assert!(report.findings.all_ok(), "{:?}", report.findings);
        assert_eq!(report.stamp_time, Some(now()));
        let (verified, _) = crate::seal::enveloped::verify(document).unwrap();
        assert!(verified.stamps.is_empty());
        std::fs::write(at(&format!("{n}.ers")), &verified.records[0].record_der).unwrap();
        std::fs::write(at(&format!("{n}.0")), &verified.records[0].covered).unwrap();
    }
    // Who has never heard of the property finds a signature that holds, in a valid document.
    std::fs::write(at("e.xml"), &sealed[0]).unwrap();
    run(Command::new("xmllint")
        .args(["--nonet", "--noout", "--schema", SCHEMA])
        .arg(at("e.xml")));
    run(Command::new("xmlsec1")
        .args(["--verify", "--enabled-key-data", "x509"])
        .args(["--verification-gmt-time", "2026-11-23 20:45:10"])
        .args(["--id-attr:Id", "SignedProperties", "--trusted-pem"])
        .arg(at("roots.pem"))
        .arg(at("e.xml")));
    let words = run(Command::new("python3")
        .args(["-B", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/ers/read.py")])
        .arg(folder.path())
        .arg("1795466710"));
    assert_eq!(words.matches("ok").count(), COUNT, "{words}");
}

/// The record of `from`, put where that of `into` was.
fn with_record_of(into: &[u8], from: &[u8]) -> Vec<u8> {
    let record = |document: &[u8]| {
        let text = String::from_utf8(document.to_vec()).unwrap();
        let (_, rest) = text
            .split_once("<r:EvidenceRecord xmlns:r=\"urn:kepd:signature-record:1\">")
            .unwrap();
        rest.split_once('<').unwrap().0.to_owned()
    };
    let text = String::from_utf8(into.to_vec()).unwrap();
    text.replace(&record(into), &record(from)).into_bytes()
}

#[tokio::test(start_paused = true)]
async fn a_record_serves_no_other_document_and_none_of_its_octets_can_change() {
    let (house, _) = sharing();
    let (sealed, house) = seal(house, 8).await;
    let sealed: Vec<Vec<u8>> = sealed.into_iter().map(Result::unwrap).collect();
    let mut fitting = 0;
    for other in &sealed[1..] {
        let swapped = judge(&house, &with_record_of(&sealed[0], other)).findings;
        assert!(swapped.signature.is_ok());
        match swapped.timestamp {
            // Its sibling in the tree: that record names both, and says the truth of both.
            Finding::Ok => fitting += 1,
            failed => assert_eq!(
                failed,
                Finding::Failed("object 1 is not what was time-stamped".to_owned())
            ),
        }
    }
    assert_eq!(fitting, 1);
    let record = &crate::seal::enveloped::verify(&sealed[0]).unwrap().0.records[0];
    let (token, root) = shared_token(&record.record_der, &record.covered).unwrap();
    let holds = |der: &[u8]| match shared_token(der, &record.covered) {
        Err(_) => false,
        Ok((t, r)) => {
            crate::cms::tsp::Token::read(t).is_ok_and(|read| read.imprint == r && t == token && r == root)
        }
    };
    assert!(holds(&record.record_der));
    for at in 0..record.record_der.len() {
        let mut changed = record.record_der.clone();
        changed[at] ^= 1;
        assert!(!holds(&changed), "octet {at}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_alone_gets_a_token_of_his_own() {
    let (house, line) = sharing();
    let (sealed, house) = seal(house, 1).await;
    let sealed = sealed.into_iter().next().unwrap().unwrap();
    assert_eq!(line.asked(), 1);
    let (verified, _) = crate::seal::enveloped::verify(&sealed).unwrap();
    assert_eq!((verified.stamps.len(), verified.records.len()), (1, 0));
    assert!(judge(&house, &sealed).findings.all_ok());
}

#[tokio::test(start_paused = true)]
async fn an_authority_that_is_away_holds_all_up_and_harms_none() {
    let (house, line) = sharing();
    line.0.away.store(true, Ordering::Relaxed);
    let (sealed, house) = seal(house, 5).await;
    assert!(
        sealed
            .iter()
            .all(|s| matches!(s, Err(SealError::Unavailable(why)) if why.contains("away")))
    );
    line.0.away.store(false, Ordering::Relaxed);
    let (sealed, _) = seal(house, 5).await;
    assert!(sealed.iter().all(Result::is_ok));
    assert_eq!(line.asked(), 2);
}

/// Shared stamps of a house, without its documents.
fn shared() -> (Arc<SharedStamps>, Line) {
    let house = house(KeyAlgorithm::P256);
    let line = line(&house.pki);
    let stamps: Arc<dyn Stamps> = Arc::new(client(line.clone(), &house.trust));
    (Arc::new(SharedStamps::new(stamps, WINDOW)), line)
}

fn imprint(n: usize) -> [u8; 32] {
    crate::cms::algorithm::sha256(&n.to_be_bytes())
}

async fn witnesses(shared: &Arc<SharedStamps>, count: usize) -> Vec<Result<Witness, StampFailure>> {
    let mut asking = JoinSet::new();
    for n in 0..count {
        let shared = shared.clone();
        asking.spawn(async move { shared.witness(imprint(n).into(), now()).await });
    }
    asking.join_all().await
}

#[tokio::test(start_paused = true)]
async fn a_gathering_that_is_full_does_not_wait() {
    let (shared, line) = shared();
    let begun = tokio::time::Instant::now();
    assert!(witnesses(&shared, SHARED_MAX).await.iter().all(Result::is_ok));
    assert_eq!((line.asked(), begun.elapsed()), (1, Duration::ZERO));
    // One more than has room: the last one is alone, and waits for his window.
    let last = witnesses(&shared, SHARED_MAX + 1).await;
    let alone = |w: &&Result<Witness, StampFailure>| matches!(w, Ok(Witness::Token(_)));
    assert_eq!(last.iter().filter(alone).count(), 1);
    assert_eq!(line.asked(), 3);
    assert!(begun.elapsed() >= WINDOW);
}

#[tokio::test(start_paused = true)]
async fn the_first_may_lose_patience_without_harm_to_the_others() {
    let (shared, line) = shared();
    let first = tokio::time::timeout(WINDOW / 2, shared.witness(imprint(0).into(), now()));
    let (first, second) = tokio::join!(first, shared.witness(imprint(1).into(), now()));
    assert!(first.is_err());
    assert!(matches!(second, Ok(Witness::Record(_))));
    assert_eq!(line.asked(), 1);
}

/// A tree has one digest algorithm: who seals with another key after it was exchanged gathers apart.
#[tokio::test(start_paused = true)]
async fn those_of_another_digest_gather_apart() {
    let (shared, line) = shared();
    let longer = |n: u8| shared.witness(ContentDigest::Sha512([n; 64]), now());
    let shorter = |n: usize| shared.witness(imprint(n).into(), now());
    let (a, b, c, d) = tokio::join!(shorter(0), shorter(1), longer(0), longer(1));
    for witness in [a, b, c, d] {
        assert!(matches!(witness, Ok(Witness::Record(_))), "{witness:?}");
    }
    assert_eq!(line.asked(), 2);
}
