//! An evidence record proves that a document, and the time-stamp in it, is older than the loss of a key.

use super::*;
use crate::clock::ManualClock;
use crate::cms::ContentDigest;
use crate::cms::RevocationReason::KeyCompromise;
use crate::cms::crl::Entry;
use crate::cms::ers::batch::{self, Batch, Place};
use crate::cms::ers::tree::TreeBuilder;
use crate::seal::pki::{DevPki, KeyAlgorithm, Plan};
use crate::seal::revoking::RevocationOffice;
use crate::seal::tsa::{DevAuthority, LocalTransport, SystemNonces, TimestampClient};
use crate::seal::{SealKey, Sealer, TrustStore};
use crate::validation::{Finding, Judged, Standpoint, carried, judge};
use std::sync::Arc;
use std::time::Duration;

const EVIDENCE: &str = include_str!("../../tests/schemas/samples/own-minimal-submission-acceptance.xml");
/// 2026-11-23T20:45:05Z
const NOW: UtcTime = UtcTime::from_unix_s(1_795_466_705);
const HOUR: Duration = Duration::from_secs(3600);

fn pki(domain: &str) -> DevPki {
    DevPki::generate(&Plan {
        domain: domain.parse().unwrap(),
        seal_address: format!("kep@{domain}").parse().unwrap(),
        dns_names: vec![],
        not_before: NOW.minus(HOUR * 24),
        not_after: NOW.plus(HOUR * 24 * 365),
        seal_key: KeyAlgorithm::P256,
    })
    .unwrap()
}

fn stamps(pki: &DevPki, at: UtcTime) -> TimestampClient {
    let key = SealKey::from_pem(&pki.tsa.key_pem).unwrap();
    let authority = DevAuthority::new(key, pki.tsa.certificate().unwrap()).unwrap();
    let transport = LocalTransport::new(authority, Arc::new(ManualClock::at(at)), 1);
    let mut trust = TrustStore::new();
    trust.add_pem_text(&pki.ca.certificate_pem).unwrap();
    TimestampClient::new(Arc::new(transport), Arc::new(SystemNonces), Arc::new(trust))
}

async fn sealed(pki: &DevPki) -> Vec<u8> {
    let key = SealKey::from_pem(&pki.seal.key_pem).unwrap();
    let chain = vec![pki.seal.certificate().unwrap()];
    let sealer = Sealer::new(key, chain, stamps(pki, NOW)).unwrap();
    sealer.seal_evidence(EVIDENCE.as_bytes(), NOW).await.unwrap()
}

/// The record of the document, stamped by an authority at a time.
async fn record(document: &[u8], by: &DevPki, at: UtcTime) -> Vec<u8> {
    let mut builder = TreeBuilder::new(DigestAlgorithm::Sha256);
    let digest = ContentDigest::of(DigestAlgorithm::Sha256, document);
    let leaf = builder.push(&digest).unwrap();
    let tree = builder.finish().unwrap();
    let stamp = stamps(by, at).stamp(tree.root().unwrap(), at).await.unwrap();
    let batch = Batch::new(&tree, &stamp.token_der).unwrap();
    let place = Place {
        batch: &batch,
        tree: &tree,
        leaf,
    };
    batch::record(&[place]).unwrap()
}

/// The list of the authority whose time-stamping key was lost an hour after the document.
fn lost(pki: &DevPki) -> Vec<u8> {
    let key = SealKey::from_pem(&pki.ca.key_pem).unwrap();
    let mut office = RevocationOffice::new(key, pki.ca.certificate().unwrap()).unwrap();
    let entry = Entry {
        revoked_at: NOW.plus(HOUR),
        reason: KeyCompromise,
        invalid_since: None,
    };
    office.revoke(&pki.tsa.certificate().unwrap(), entry);
    office.list(NOW.plus(HOUR * 3)).unwrap()
}

#[tokio::test]
async fn a_record_from_before_the_loss_of_a_key_heals_the_time_stamp() {
    let (own, other) = (pki("hs01.kep.test"), pki("hs02.kep.test"));
    let document = sealed(&own).await;
    let mut trust = TrustStore::new();
    for pki in [&own, &other] {
        trust.add_pem_text(&pki.ca.certificate_pem).unwrap();
    }
    let mut shelf = RevocationShelf::default();
    shelf.add_list(&lost(&own)).unwrap();
    let judged = |shelf: &RevocationShelf, record: &[u8]| -> Judged {
        let basis = Basis::known(&trust, shelf);
        let alone = judge("d", &document, None, basis).remove(0);
        assert!(!alone.is_ok() && !alone.is_failed(), "{:?}", alone.findings);
        alone.with_record(record, &document, basis)
    };
    let before = record(&document, &other, NOW.plus(HOUR / 2)).await;
    let healed = judged(&shelf, &before);
    assert!(healed.is_ok(), "{healed:?}");
    // From after the loss it proves nothing of before.
    let after = record(&document, &other, NOW.plus(HOUR * 2)).await;
    let late = judged(&shelf, &after);
    assert!(!late.is_ok() && !late.is_failed(), "{:?}", late.findings);
    // By the lost key itself anybody may have made it.
    let forged = record(&document, &own, NOW.plus(HOUR / 2)).await;
    let forged = judged(&shelf, &forged);
    let Preserved::Failed(why) = &forged.preserved else {
        panic!("{forged:?}")
    };
    assert!(
        why.contains("nothing proves that the time-stamp is older"),
        "{why}"
    );
    // And when the record's authority lost its own key.
    shelf.add_list(&lost(&other)).unwrap();
    assert!(matches!(judged(&shelf, &before).preserved, Preserved::Failed(_)));
}

#[tokio::test]
async fn on_a_named_day_what_has_ended_needs_a_record_and_what_was_made_too_late_counts_for_nothing() {
    let (own, other) = (pki("hs01.kep.test"), pki("hs02.kep.test"));
    let document = sealed(&own).await;
    let mut trust = TrustStore::new();
    for pki in [&own, &other] {
        trust.add_pem_text(&pki.ca.certificate_pem).unwrap();
    }
    let day = |days: u32| Some(NOW.plus(HOUR * 24 * days));
    let judged = |record: Option<&[u8]>, standpoint: &Standpoint| -> Judged {
        let judged = judge("d", &document, None, &trust);
        carried(judged, (&document, record), Basis::from(&trust), standpoint).remove(0)
    };
    let of = |at| Standpoint::of_this_version(at).unwrap();
    for at in [None, day(100)] {
        assert!(judged(None, &of(at)).is_ok());
    }
    let ended = judged(None, &of(day(366))).findings;
    assert!(
        matches!(&ended.timestamp, Finding::Unknown(why) if why.contains("no evidence record carries it on")),
        "{ended:?}"
    );
    // The record is from a day before the end, and its own certificate ends on the same day: it carries nothing further.
    let record = record(&document, &other, NOW.plus(HOUR * 24 * 364)).await;
    assert!(judged(Some(&record), &of(None)).is_ok());
    let late = judged(Some(&record), &of(day(366)));
    let Preserved::Failed(why) = &late.preserved else {
        panic!("{late:?}")
    };
    assert!(why.contains("when it was still needed"), "{why}");
    assert!(!late.is_ok());

    // The digest, or the family of the key.
    for (digest, signature) in [("2050-12-31", "2025-12-31"), ("2025-12-31", "2050-12-31")] {
        let text = format!(
            "[renewal]\ntimestamp_days = 60\nhashtree_days = 365\n\
             [[digest]]\nname = \"SHA-256\"\nsecure_until = \"{digest}\"\n\
             [[signature]]\nname = \"ECDSA\"\nmin_bits = 256\nsecure_until = \"{signature}\"\n"
        );
        let strict = Standpoint {
            policy: AlgorithmPolicy::parse(&text).unwrap(),
            at: None,
        };
        let found = judged(None, &strict).findings;
        for finding in [&found.trust, &found.timestamp] {
            let Finding::Unknown(why) = finding else {
                panic!("{found:?}")
            };
            assert!(why.starts_with("its algorithm was fit until 2025-12-31"), "{why}");
        }
    }
}
