//! Twenty years of an archive. The certificates of the time-stamp authority end, RSA gives way to elliptic curves, SHA-256 to
//! SHA-512, the provider's key is rolled every year and one of them is revoked. At the end everything verifies, from
//! the record, the objects and the roots alone; a reader in Python that shares nothing with us, and `openssl ts`, agree.

use super::archive::{Archive, Court};
use super::authority::{Kind, Root, Signer, at};
use kepd::clock::{Clock as _, UtcTime};
use kepd::cms::algorithm::DigestAlgorithm;
use kepd::cms::signed::verify_detached;
use kepd::cms::{ContentDigest, Purpose, path};
use kepd::domain::algorithm_policy::Renewal;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);

/// The authority's certificates. Each next one is used from its first day.
pub fn authority(root: &Root) -> Vec<Signer> {
    [
        ("2026-12-01", "2030-12-31", Kind::Rsa3072),
        // Ends after RSA does: the algorithm is what makes renewal due.
        ("2030-01-01", "2036-10-31", Kind::Rsa3072),
        ("2033-06-01", "2037-06-30", Kind::P256),
        ("2035-12-01", "2040-03-31", Kind::P384),
        ("2039-06-01", "2043-06-30", Kind::P384),
        ("2042-09-01", "2046-09-30", Kind::P384),
        ("2045-12-01", "2050-12-31", Kind::P384),
    ]
    .into_iter()
    .enumerate()
    .map(|(i, (from, to, kind))| root.time_stamping(&format!("TSA {i}"), kind, at(from), at(to)))
    .collect()
}

pub fn current(authority: &[Signer], now: UtcTime) -> &Signer {
    let begun = |s: &&Signer| s.certificate.not_before() <= now;
    authority.iter().rfind(begun).unwrap()
}

struct World {
    archive: Archive,
    court: Court,
    provider_root: Root,
    /// Of each document: when it was taken in.
    taken: Vec<UtcTime>,
    revoked: (Vec<u8>, UtcTime),
    now: UtcTime,
    expired: usize,
}

fn twenty_years() -> World {
    let (stamp_root, provider_root) = (Root::new("Stamp Root"), Root::new("Provider Root"));
    let authority = authority(&stamp_root);
    let start = at("2027-01-15");
    let (end, mut night) = (at("2047-01-15"), 0u32);
    let mut archive = Archive::new(start);
    let (mut taken, mut revoked) = (Vec::new(), None);
    // Found out in September: what was sealed and time-stamped before stays proved, and a new key takes over.
    let found_out = at("2031-09-20");
    let mut provider: Option<((i16, bool), Signer)> = None;
    while archive.clock.now() < end {
        let now = archive.clock.now();
        let turn = (now.date().0, now > found_out);
        if provider.as_ref().is_none_or(|(of, _)| *of != turn) {
            let (from, to) = (now.minus(DAY), now.plus(DAY * 380));
            let key = provider_root.provider(&format!("Seal {turn:?}"), Kind::P256, from, to);
            if turn == (2031, false) {
                revoked = Some((key.certificate.der().to_vec(), found_out));
            }
            provider = Some((turn, key));
        }
        let stamps = current(&authority, now);
        archive.renew_what_is_due(stamps);
        if night.is_multiple_of(6) {
            // From one document a night to a dozen: trees of every small shape.
            let texts: Vec<String> = (0..1 + night / 6 % 12)
                .map(|n| format!("delil {night}/{n}"))
                .collect();
            taken.resize(taken.len() + texts.len(), now);
            archive.night(&texts, &provider.as_ref().unwrap().1, stamps);
        }
        archive.clock.advance(DAY * 15);
        night += 1;
    }
    let now = archive.clock.now();
    let expired = authority
        .iter()
        .filter(|s| s.certificate.not_after() < now)
        .count();
    World {
        court: Court::new(&stamp_root),
        archive,
        provider_root,
        taken,
        revoked: revoked.unwrap(),
        now,
        expired,
    }
}

#[test]
fn after_twenty_years_every_document_verifies_from_its_record_alone() {
    let world = twenty_years();
    assert!(world.expired >= 5, "{}", world.expired);
    let years = |wanted| {
        let renewals = world.archive.renewals.iter().filter(move |(_, r)| *r == wanted);
        renewals.map(|(at, _)| at.date().0).collect::<BTreeSet<i16>>()
    };
    assert_eq!(years(Renewal::HashTree), BTreeSet::from([2036]));
    assert_eq!(
        years(Renewal::Timestamp),
        BTreeSet::from([2030, 2034, 2040, 2043, 2046])
    );
    let anchors = [world.provider_root.certificate()];
    let (mut longest, mut of_revoked) = (0, 0);
    for (i, document) in world.archive.documents.iter().enumerate() {
        let record = world.archive.record(i);
        let proven = world
            .court
            .verify(&record, &document.objects(), world.now)
            .unwrap();
        // The proof goes back to the night in which the document came, not to a renewal.
        assert_eq!(proven.since, world.taken[i]);
        let algorithms: Vec<DigestAlgorithm> = proven.by_algorithm.iter().map(|(a, _)| *a).collect();
        use DigestAlgorithm::{Sha256, Sha512};
        let wanted: &[DigestAlgorithm] = if proven.since < at("2036-01-01") {
            &[Sha256, Sha512]
        } else {
            &[Sha512]
        };
        assert_eq!(algorithms, wanted, "{}", proven.since);
        longest = longest.max(proven.stamps.len());
        // What the provider signed holds at the proven time, though its key is long gone.
        let digest = ContentDigest::of(Sha256, &document.text);
        let seal = verify_detached(&document.signature, &digest).unwrap();
        path::validate(&seal.signer, &[], &anchors, proven.since, Purpose::Signing).unwrap();
        assert!(path::validate(&seal.signer, &[], &anchors, at("2049-01-01"), Purpose::Signing).is_err());
        if seal.signer.der() == world.revoked.0 {
            assert!(proven.since < world.revoked.1);
            of_revoked += 1;
        }
    }
    assert!(longest >= 6 && of_revoked > 5, "{longest} {of_revoked}");
    the_others_agree(&world);
}

/// Every record before the reader in Python, which asks `openssl ts` about each token; then damaged ones.
fn the_others_agree(world: &World) {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: String, octets: &[u8]| std::fs::write(dir.path().join(name), octets).unwrap();
    write("roots.pem".to_owned(), world.court.roots[0].pem().as_bytes());
    let count = world.archive.documents.len();
    for (i, document) in world.archive.documents.iter().enumerate() {
        write(format!("{i:04}.ers"), &world.archive.record(i));
        write(format!("{i:04}.0"), &document.text);
        write(format!("{i:04}.1"), &document.signature);
    }
    assert_eq!(read(dir.path(), world.now), vec!["ok"; count].join("\n"));

    // The same reader, and what it must not accept; our own verdict beside it.
    let (record, document) = (world.archive.record(0), &world.archive.documents[0]);
    let damaged = tempfile::tempdir().unwrap();
    let write = |name: &str, octets: &[u8]| std::fs::write(damaged.path().join(name), octets).unwrap();
    write("roots.pem", world.court.roots[0].pem().as_bytes());
    let mut changed = 0;
    for i in (0..record.len()).step_by(record.len() / 20) {
        let mut octets = record.clone();
        octets[i] ^= 0x10;
        assert!(
            world
                .court
                .verify(&octets, &document.objects(), world.now)
                .is_err(),
            "{i}"
        );
        write(&format!("{changed:04}.ers"), &octets);
        write(&format!("{changed:04}.0"), &document.text);
        write(&format!("{changed:04}.1"), &document.signature);
        changed += 1;
    }
    write(&format!("{changed:04}.ers"), &record);
    write(&format!("{changed:04}.0"), b"delil 0/1");
    write(&format!("{changed:04}.1"), &document.signature);
    let verdicts = read(damaged.path(), world.now);
    assert_eq!(verdicts.lines().count(), changed + 1);
    assert!(verdicts.lines().all(|l| l.starts_with("no: ")), "{verdicts}");
}

/// One line for each record of a folder.
pub fn read(folder: &Path, now: UtcTime) -> String {
    let reader = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/ers/read.py");
    let out = Command::new("python3")
        .args(["-B", reader])
        .arg(folder)
        .arg(now.unix_s().to_string())
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap().trim_end().to_owned()
}
