//! What was sealed goes into a hash tree at the end of its day, and stays provable: records beside the documents of a
//! bundle, renewals, interruptions. Judged by a reader of our own making, by one in Python, and by `openssl ts`.

use crate::ers::twenty_years::read as read_in_python;
use crate::provider::{Provider, START, pki};
use crate::road::{message, pair};
use crate::telling::TENANT;
use kepd::clock::{Clock as _, UtcTime};
use kepd::cms::ContentDigest;
use kepd::domain::algorithm_policy::AlgorithmPolicy;
use kepd::domain::schedule::{DAY, next_night};
use kepd::seal::pki::{DevPki, KeyAlgorithm, Plan};
use kepd::seal::tsa::{DevAuthority, LocalTransport, Stamping, SystemNonces};
use kepd::seal::{SealKey, Stamps, TimestampClient, TrustStore};
use kepd::service::evidence_records::EvidenceRecords;
use kepd::service::preservation::Preservation;
use kepd::service::submission::Accepted;
use kepd::store::db::Batch;
use kepd::store::spool::BlobId;
use kepd::store::tables::items::Content;
use kepd::store::tables::work::{self, OwedPreservation};
use kepd::store::tables::{evidence, preservation};
use kepd::validation::bundle::{Files, judge_bundle};
use kepd::validation::preserved::{Preserved, judge_record};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

const ALICI: &str = "alici@hs02.kep.test";

/// An authority that can be replaced by another, as authorities are over the years.
struct Replaceable(Mutex<Arc<dyn Stamps>>);

impl Stamps for Replaceable {
    fn stamp(&self, imprint: ContentDigest, now: UtcTime) -> Stamping<'_> {
        let stamps = self.0.lock().unwrap().clone();
        Box::pin(async move { stamps.stamp(imprint, now).await })
    }
}

struct House {
    pair: crate::road::Pair,
    preservation: Preservation,
    stamps: Arc<Replaceable>,
    mail: kepd::id::MailId,
    /// Evidence documents with their SHA-256.
    documents: Vec<(Vec<u8>, [u8; 32])>,
}

/// Until when the authority that follows is valid.
fn later_pki() -> DevPki {
    DevPki::generate(&Plan {
        domain: "hs01.kep.test".parse().unwrap(),
        seal_address: "kep@hs01.kep.test".parse().unwrap(),
        dns_names: Vec::new(),
        not_before: START,
        not_after: START.plus(DAY * (12 * 365)),
        seal_key: KeyAlgorithm::P256,
    })
    .unwrap()
}

fn stamps(p: &Provider, pki: &DevPki) -> Arc<dyn Stamps> {
    let key = SealKey::from_pem(&pki.tsa.key_pem).unwrap();
    let authority = DevAuthority::new(key, pki.tsa.certificate().unwrap()).unwrap();
    let transport = LocalTransport::new(authority, p.clock.clone(), 1);
    let mut trust = TrustStore::new();
    trust.add_pem_text(&pki.ca.certificate_pem).unwrap();
    Arc::new(TimestampClient::new(
        Arc::new(transport),
        Arc::new(SystemNonces),
        Arc::new(trust),
    ))
}

/// A mail that mudur has sent to alici, and that reached him; nothing is preserved yet.
async fn house(policy: AlgorithmPolicy) -> House {
    let pair = pair().await;
    let p = &pair.hs01;
    let sent = p
        .submit("mudur@ornekas", &[ALICI], &message("Fiyat", ALICI))
        .await
        .unwrap();
    let Accepted::Sent { mail } = sent else {
        panic!("{sent:?}")
    };
    pair.work().await;
    let mut documents = Vec::new();
    for row in evidence::of_mail(&*p.db, p.tenant(TENANT), mail).unwrap() {
        let octets = p.spool.load(&row.row.xml).await.unwrap();
        documents.push((octets, row.row.xml.id.0));
    }
    let stamps = Arc::new(Replaceable(Mutex::new(stamps(p, &pki("hs01.kep.test")))));
    let preservation = Preservation {
        db: p.db.clone(),
        spool: p.spool.clone(),
        clock: p.clock.clone(),
        stamps: stamps.clone(),
        policy: Arc::new(policy),
    };
    House {
        pair,
        preservation,
        stamps,
        mail,
        documents,
    }
}

fn of_this_version() -> AlgorithmPolicy {
    AlgorithmPolicy::of_this_version().unwrap()
}

impl House {
    fn turn(&self, to: UtcTime) {
        let clock = &self.pair.hs01.clock;
        clock.advance(clock.now().until(to));
    }

    async fn record(&self, sha256: [u8; 32]) -> Option<Vec<u8>> {
        let p = &self.pair.hs01;
        let (db, spool) = (p.db.clone(), p.spool.clone());
        EvidenceRecords { db, spool }.record_of(sha256).await.unwrap()
    }

    fn nights(&self) -> Vec<preservation::PreservedNight> {
        let all = preservation::nights(&*self.pair.hs01.db).unwrap();
        all.into_iter().map(|n| n.row).collect()
    }

    fn owed(&self) -> usize {
        work::all::<OwedPreservation>(&*self.pair.hs01.db).unwrap().len()
    }

    /// Every document's record, before our judge and before the other ones.
    async fn all_hold(&self, trust_pem: &str) {
        let mut trust = TrustStore::new();
        trust.add_pem_text(trust_pem).unwrap();
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("roots.pem"), trust_pem).unwrap();
        for (n, (octets, sha256)) in self.documents.iter().enumerate() {
            let record = self.record(*sha256).await.unwrap();
            let found = judge_record(&record, octets, &trust);
            assert!(matches!(found, Preserved::Since { .. }), "{found:?}");
            let other = judge_record(&record, b"another document", &trust);
            assert!(matches!(other, Preserved::Failed(_)), "{other:?}");
            std::fs::write(dir.path().join(format!("{n:04}.ers")), &record).unwrap();
            std::fs::write(dir.path().join(format!("{n:04}.0")), octets).unwrap();
        }
        let verdicts = read_in_python(dir.path(), self.pair.hs01.clock.now());
        assert_eq!(verdicts, vec!["ok"; self.documents.len()].join("\n"));
    }
}

fn ca(domain: &str) -> String {
    pki(domain).ca.certificate_pem.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sealed_is_covered_from_the_next_night_on_and_lies_in_the_bundle() {
    let house = house(of_this_version()).await;
    let p = &house.pair.hs01;
    assert_eq!(
        house.preservation.run_due().await.unwrap(),
        0,
        "the day is not over"
    );
    assert_eq!(house.record(house.documents[0].1).await, None);
    let owed = house.owed();
    assert!(owed > house.documents.len(), "the dispatch is owed too: {owed}");
    house.turn(next_night(p.clock.now()));
    assert_eq!(house.preservation.run_due().await.unwrap(), owed);
    assert_eq!(
        (house.owed(), house.preservation.run_due().await.unwrap()),
        (0, 0)
    );
    let nights = house.nights();
    assert_eq!(
        (nights.len(), nights[0].leaves as usize, nights[0].filed),
        (1, owed, nights[0].leaves)
    );
    house.all_hold(&ca("hs01.kep.test")).await;

    // The records lie beside the documents of a bundle, and the judgement on it uses them.
    let out = house.pair.dir.path().join("bundles");
    std::fs::create_dir(&out).unwrap();
    let exported = p
        .archive
        .export(p.tenant(TENANT), house.mail, &out)
        .await
        .unwrap();
    let folder = Folder(exported.folder);
    let names = folder.names().unwrap();
    let sealed = names
        .iter()
        .filter(|n| n.ends_with(".xml") || n.ends_with(".eml") && n.starts_with("dispatch"));
    for name in sealed {
        assert!(names.contains(&format!("{name}.ers")), "{name} in {names:?}");
    }
    let mut trust = TrustStore::new();
    trust
        .add_pem_text(&(ca("hs01.kep.test") + &ca("hs02.kep.test")))
        .unwrap();
    let judged = judge_bundle("b", &folder, &trust);
    assert!(judged.is_ok(), "{:?}", judged.manifest);
    let covered = judged
        .documents
        .iter()
        .filter(|d| matches!(d.preserved, Preserved::Since { .. }))
        .count();
    assert_eq!(covered, owed, "each document and the dispatch");
}

pub struct Folder(pub PathBuf);

impl Files for Folder {
    fn names(&self) -> Result<Vec<String>, String> {
        let mut out = Vec::new();
        for entry in std::fs::read_dir(&self.0).unwrap().map(|e| e.unwrap()) {
            let name = entry.file_name().into_string().unwrap();
            if entry.path().is_dir() {
                let inside = std::fs::read_dir(entry.path()).unwrap();
                out.extend(
                    inside.map(|e| format!("{name}/{}", e.unwrap().file_name().into_string().unwrap())),
                );
            } else {
                out.push(name);
            }
        }
        Ok(out)
    }
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        std::fs::read(self.0.join(path)).map_err(|e| format!("{path}: {e}"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_night_that_was_interrupted_is_filed_on_and_nothing_is_taken_twice() {
    let house = house(of_this_version()).await;
    let p = &house.pair.hs01;
    house.turn(next_night(p.clock.now()));
    house.preservation.run_due().await.unwrap();
    // As a crash between two commits would leave it: the night is there, its places are not all told.
    let night = preservation::night(&*p.db, 1).unwrap().unwrap();
    let mut batch = Batch::new();
    let torn = preservation::PreservedNight {
        filed: 1,
        ..night.row.clone()
    };
    night.replace(&mut batch, &torn).unwrap();
    // And what was owed for it still is.
    let (_, sha256) = house.documents[0];
    let row = evidence::of_mail(&*p.db, p.tenant(TENANT), house.mail)
        .unwrap()
        .remove(0)
        .row;
    let content = Content::whole(row.xml.id, row.xml.size_bytes);
    work::preserve(&mut batch, p.clock.now().minus(DAY), content, Some(sha256)).unwrap();
    p.db.commit(batch).await.unwrap();
    // More than one commit may hold, as a large night leaves behind that was torn early.
    for part in 0..5u8 {
        let mut batch = Batch::new();
        for n in 0..5_000u32 {
            let mut id = [part; 32];
            id[..4].copy_from_slice(&n.to_be_bytes());
            let content = Content::whole(BlobId(id), 1);
            work::preserve(&mut batch, p.clock.now().minus(DAY), content, Some(sha256)).unwrap();
        }
        p.db.commit(batch).await.unwrap();
    }
    house.preservation.run_due().await.unwrap();
    let nights = house.nights();
    assert_eq!(
        (nights.len(), nights[0].filed, house.owed()),
        (1, nights[0].leaves, 0)
    );
    house.all_hold(&ca("hs01.kep.test")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_that_is_away_delays_and_loses_nothing() {
    let house = house(of_this_version()).await;
    let p = &house.pair.hs01;
    let good = house.stamps.0.lock().unwrap().clone();
    struct Away;
    impl Stamps for Away {
        fn stamp(&self, _: ContentDigest, _: UtcTime) -> Stamping<'_> {
            let away = kepd::seal::TransportError("away".into());
            Box::pin(async move { Err(away.into()) })
        }
    }
    *house.stamps.0.lock().unwrap() = Arc::new(Away);
    house.turn(next_night(p.clock.now()));
    let owed = house.owed();
    assert!(house.preservation.run_due().await.is_err());
    assert_eq!((house.owed(), house.nights().len()), (owed, 0));
    *house.stamps.0.lock().unwrap() = good;
    assert_eq!(house.preservation.run_due().await.unwrap(), owed);
    assert_eq!(house.owed(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn time_stamps_are_renewed_before_their_authority_ends() {
    let house = house(of_this_version()).await;
    let p = &house.pair.hs01;
    house.turn(next_night(p.clock.now()));
    house.preservation.run_due().await.unwrap();
    let ends = pki("hs01.kep.test").tsa.certificate().unwrap().not_after();
    house.turn(ends.minus(DAY * 59));
    // The same authority again would not help: it is put off, and the record does not grow.
    let before = house.record(house.documents[0].1).await.unwrap();
    house.preservation.run_due().await.unwrap();
    assert_eq!(house.record(house.documents[0].1).await.unwrap(), before);
    let later = later_pki();
    *house.stamps.0.lock().unwrap() = stamps(p, &later);
    house.turn(ends.minus(DAY * 57));
    assert_eq!(house.preservation.run_due().await.unwrap(), 1);
    assert_eq!(house.preservation.run_due().await.unwrap(), 0, "renewed once");
    // Years after the first authority has ended.
    house.turn(ends.plus(DAY * 3 * 365));
    house
        .all_hold(&(ca("hs01.kep.test") + &later.ca.certificate_pem))
        .await;
    let night = &house.nights()[0];
    assert_eq!(night.generations.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_are_hashed_anew_before_their_digest_algorithm_ends() {
    let text = "[renewal]\ntimestamp_days = 60\nhashtree_days = 365\n\
        [[digest]]\nname = \"SHA-256\"\nsecure_until = \"2030-12-31\"\n\
        [[digest]]\nname = \"SHA-512\"\nsecure_until = \"2050-12-31\"\n\
        [[signature]]\nname = \"ECDSA\"\nmin_bits = 256\nsecure_until = \"2050-12-31\"\n";
    let house = house(AlgorithmPolicy::parse(text).unwrap()).await;
    let p = &house.pair.hs01;
    let later = later_pki();
    *house.stamps.0.lock().unwrap() = stamps(p, &later);
    house.turn(next_night(p.clock.now()));
    house.preservation.run_due().await.unwrap();
    house.turn(UtcTime::parse_rfc3339("2030-01-02T00:00:00Z").unwrap());
    assert_eq!(house.preservation.run_due().await.unwrap(), 1);
    let night = &house.nights()[0];
    assert_eq!(night.generations.len(), 2);
    house.turn(UtcTime::parse_rfc3339("2032-01-01T00:00:00Z").unwrap());
    house
        .all_hold(&(ca("hs01.kep.test") + &later.ca.certificate_pem))
        .await;
    let record = house.record(house.documents[0].1).await.unwrap();
    let read = kepd::cms::ers::record::Record::read(&record).unwrap();
    assert_eq!(read.chains.len(), 2);
    assert_eq!(read.digest_algorithms.len(), 2);
}
