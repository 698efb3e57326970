//! Twenty years of whole evidence and dispatches, from submission to the bundle: at the end everything verifies from its bundle
//! and the root alone, on a day of then and by the policy of then. xmlsec1, openssl and a reader in Python agree.
//! What lacks a renewal, a list or a bit does not.

use crate::ers::twenty_years::read as read_in_python;
use crate::outside::Court;
use crate::preserving::Folder;
use crate::years_world::{Sent, World, policy};
use kepd::clock::{Clock as _, UtcTime};
use kepd::cms::algorithm::{DigestAlgorithm, sha256};
use kepd::cms::certificate::KeyKind;
use kepd::cms::ers::record::{Record, record, sequence_of};
use kepd::cms::tsp::Token;
use kepd::domain::audit_chain::hex;
use kepd::seal::enveloped::verify;
use kepd::seal::{Finding, Reliance, TrustStore};
use kepd::validation::bundle::{Bundle, Files, MANIFEST, judge_bundle_from};
use kepd::validation::preserved::Preserved;
use kepd::validation::{Judged, Standpoint};
use kepd::xml::{Level, without_values};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// A bundle in memory; what is changed in it stands in its manifest too, as one who changes it would do.
#[derive(Clone)]
struct Copy(BTreeMap<String, Vec<u8>>);

impl Files for Copy {
    fn names(&self) -> Result<Vec<String>, String> {
        Ok(self.0.keys().cloned().collect())
    }
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        self.0.get(path).cloned().ok_or(format!("{path} is missing"))
    }
}

impl Copy {
    async fn of(world: &World, sent: &Sent) -> Self {
        let folder = Folder(world.bundle(sent).await);
        let names = folder.names().unwrap();
        Self(
            names
                .into_iter()
                .map(|n| (n.clone(), folder.read(&n).unwrap()))
                .collect(),
        )
    }

    fn named(&self, is_wanted: impl Fn(&str) -> bool) -> Vec<String> {
        self.0.keys().filter(|n| is_wanted(n)).cloned().collect()
    }

    fn documents(&self) -> Vec<String> {
        self.named(|n| n.starts_with("evidence/") && n.ends_with(".xml"))
    }

    /// Evidence and dispatch.
    fn sealed(&self) -> Vec<String> {
        let mut all = self.documents();
        all.push("dispatch.eml".to_owned());
        all
    }

    fn put(&mut self, name: &str, octets: Vec<u8>) {
        self.0.insert(name.to_owned(), octets);
        self.rewrite();
    }

    fn remove(&mut self, names: &[String]) {
        self.0.retain(|name, _| !names.contains(name));
        self.rewrite();
    }

    fn rewrite(&mut self) {
        let mut manifest: serde_json::Value = serde_json::from_slice(&self.0[MANIFEST]).unwrap();
        let list = manifest["files"].as_array_mut().unwrap();
        list.retain(|file| self.0.contains_key(file["path"].as_str().unwrap()));
        for file in list {
            let octets = &self.0[file["path"].as_str().unwrap()];
            (file["sha256"], file["size"]) = (hex(&sha256(octets)).into(), octets.len().into());
        }
        self.0
            .insert(MANIFEST.to_owned(), manifest.to_string().into_bytes());
    }
}

/// Who judges: with the root, on a day, by the policy of then.
struct Judge {
    trust: TrustStore,
    standpoint: Standpoint,
}

impl Judge {
    fn on(&self, bundle: &Copy) -> Bundle {
        judge_bundle_from("b", bundle, &self.trust, &self.standpoint)
    }

    /// On no certain day.
    fn timeless(&self, bundle: &Copy) -> Bundle {
        let standpoint = Standpoint {
            at: None,
            ..self.standpoint.clone()
        };
        judge_bundle_from("b", bundle, &self.trust, &standpoint)
    }
}

fn why(finding: &Finding) -> &str {
    match finding {
        Finding::Ok => "",
        Finding::Failed(why) | Finding::Unknown(why) => why,
    }
}

fn is_unknown(finding: &Finding) -> bool {
    matches!(finding, Finding::Unknown(_))
}

fn years_of(record: &[u8]) -> Vec<Vec<i16>> {
    let year = |token: &[u8]| Token::read(token).unwrap().gen_time.date().0;
    let read = Record::read(record).unwrap();
    read.chains
        .iter()
        .map(|chain| chain.stamps.iter().map(|s| year(s.token)).collect())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn after_twenty_years_every_bundle_verifies_by_itself_and_the_others_agree() {
    let world = World::lived().await;
    let now = world.clock.now();
    let judge = Judge {
        trust: world.trust(),
        standpoint: Standpoint {
            policy: policy(),
            at: Some(now),
        },
    };
    let ended = world.authority.units.iter();
    let ended = ended.filter(|unit| unit.certificate.not_after() < now).count();
    assert_eq!(ended, 5, "certificates of the time-stamp authority");
    let of = |kind| {
        let seals = world.seals.iter().filter(|(_, c)| c.key_kind() == kind);
        seals.count()
    };
    assert_eq!(
        [KeyKind::Rsa, KeyKind::P256, KeyKind::P384].map(of),
        [8, 11, 2],
        "one key a year and one more"
    );

    let mut bundles = Vec::new();
    for sent in &world.sent {
        bundles.push((sent.at, Copy::of(&world, sent).await));
    }
    for (at, bundle) in &bundles {
        let judged = judge.on(bundle);
        assert!(judged.is_ok(), "{at}: {:#?}", judged);
        every_document_lasts(bundle, &judged);
    }
    renewals_came_when_they_were_due(&bundles);
    let before = Copy::of(&world, &world.near[0]).await;
    let after = Copy::of(&world, &world.near[1]).await;
    the_lost_key(&world, &judge, &before, &after);
    without_the_list(&judge, &before, &after);
    a_renewal_left_out(&world, &judge, &bundles[0].1);
    a_bit_turned(&judge, &bundles[7].1);

    bundles.push((world.near[0].at, before));
    xml_and_seals_elsewhere(&world, &bundles);
    records_elsewhere(&world, &bundles, now);
    openssl_on_the_lost_key(&world, &bundles[5].1, &after);
}

/// Each document is of level B-LT, and its record goes back to its first nights.
fn every_document_lasts(bundle: &Copy, judged: &Bundle) {
    let documents = bundle.documents();
    assert_eq!(documents.len(), 3, "submission, delivery and that nobody read it");
    for name in &documents {
        assert_eq!(
            verify(&bundle.0[name]).unwrap().0.level(),
            Level::Lasting,
            "{name}"
        );
    }
    for document in &judged.documents {
        let stamped = document.stamp_time.unwrap();
        match &document.preserved {
            Preserved::Since { since, until, .. } => {
                // The lasting form comes a day and more after the stamp, its tree in the night after.
                let days = stamped.until(*since).as_secs() / 86_400;
                assert!(days <= 4, "{}: {since}", document.name);
                assert_eq!(until.date().0, 2050);
            }
            other => assert!(document.name.contains("(evidence"), "{other:?}"),
        }
    }
}

/// Time-stamp renewals before certificates end and before RSA does, one hash-tree renewal before SHA-256 ends.
fn renewals_came_when_they_were_due(bundles: &[(UtcTime, Copy)]) {
    for (at, bundle) in bundles {
        for name in bundle.sealed() {
            let record = &bundle.0[&format!("{name}.ers")];
            let years = years_of(record);
            let all = [2030, 2033, 2037, 2041];
            let first = at.date().0;
            let wanted = all.into_iter().filter(|year| *year > first);
            if first < 2044 {
                assert_eq!(years.len(), 2, "{at}");
                assert!(years[0].ends_with(&wanted.collect::<Vec<_>>()), "{at}: {years:?}");
                assert_eq!(years[1], [2044, 2045], "{at}");
            } else if first < 2046 {
                assert_eq!(years, [[first, 2045]], "{at}");
            } else {
                assert_eq!(years, [[first]], "{at}");
            }
            let used = Record::read(record).unwrap().digest_algorithms;
            let new = used.last();
            assert_eq!(new, Some(&DigestAlgorithm::Sha512), "{at}");
        }
    }
}

/// Sealed before the loss it holds, for the list tells when that was; sealed after, it is refused with the reason.
fn the_lost_key(world: &World, judge: &Judge, before: &Copy, after: &Copy) {
    let held = judge.on(before);
    assert!(held.is_ok(), "{held:#?}");
    let lost = world.lost.as_ref().unwrap();
    let by_it = |j: &&Judged| j.relied.as_ref().is_some_and(|r| r.leaf == *lost);
    let mut told = 0;
    for document in held.documents.iter().filter(by_it) {
        let Some(Reliance::Valid {
            revoked_later: Some(later),
            ..
        }) = document.relied.as_ref().map(|r| &r.reliance)
        else {
            panic!("{document:?}")
        };
        assert_eq!(later.earliest().unwrap().since, world.lost_at);
        told += 1;
    }
    assert!(told >= 3, "submission, delivery and dispatch: {told}");

    let refused = judge.on(after);
    assert!(refused.manifest.is_ok() && !refused.is_ok());
    let mut told = 0;
    for document in &refused.documents {
        let is_lost = by_it(&document);
        assert_eq!(
            matches!(document.findings.trust, Finding::Failed(_)),
            is_lost,
            "{document:#?}"
        );
        if is_lost {
            let why = why(&document.findings.trust);
            assert!(
                why.contains("is revoked since") && why.contains("Seal 5"),
                "{why}"
            );
            told += 1;
        }
    }
    assert!(told >= 3, "{told}");
}

/// The bundle without what was said of revocation: nobody knows, and nothing is called good.
fn without_the_list(judge: &Judge, before: &Copy, after: &Copy) {
    for bundle in [before, after] {
        let mut bare = bundle.clone();
        bare.remove(&bundle.named(|n| n.starts_with("revocation/")));
        for name in bundle.documents() {
            let issued = without_values(&bundle.0[&name]).unwrap();
            // The record is of the form that is there no more.
            bare.remove(&[format!("{name}.ers")]);
            bare.put(&name, issued);
        }
        let judged = judge.timeless(&bare);
        assert!(judged.manifest.is_ok(), "{:?}", judged.manifest);
        for document in &judged.documents {
            let found = &document.findings;
            assert!(found.signature.is_ok() && found.schema.is_ok(), "{document:#?}");
            assert!(
                is_unknown(&found.trust) && is_unknown(&found.timestamp),
                "{document:#?}"
            );
            assert!(!document.is_ok() && !document.is_failed());
        }
    }
}

/// The elements of a SEQUENCE OF.
fn parts(der: &[u8]) -> Vec<Vec<u8>> {
    fn head(der: &[u8]) -> (usize, usize) {
        match usize::from(der[1]) {
            short @ 0..=127 => (2, short),
            long => {
                let count = long - 128;
                let octets = &der[2..2 + count];
                let length = octets.iter().fold(0, |n, o| n << 8 | usize::from(*o));
                (2 + count, length)
            }
        }
    }
    let (mut at, length) = head(der);
    assert_eq!(at + length, der.len());
    let mut out = Vec::new();
    while at < der.len() {
        let (skip, length) = head(&der[at..]);
        out.push(der[at..at + skip + length].to_vec());
        at += skip + length;
    }
    out
}

fn a_renewal_left_out(world: &World, judge: &Judge, bundle: &Copy) {
    let name = &bundle.documents()[0];
    let path = format!("{name}.ers");
    let whole = bundle.0[&path].clone();
    let read = Record::read(&whole).unwrap();
    let [old, new] = [0, 1].map(|n| read.chains[n].raw.to_vec());
    let of = |chains: &[Vec<u8>]| {
        let all = &read.digest_algorithms[..chains.len()];
        record(all, &sequence_of(chains))
    };
    let (stamps, renewed) = (parts(&old), parts(&new));
    assert_eq!(of(&[sequence_of(&stamps), sequence_of(&renewed)]), whole);
    let mut gap = stamps.clone();
    gap.remove(1);
    // What is left out, and one of the reasons that must be told.
    let cases: [(&str, Vec<u8>, &[&str]); 4] = [
        (
            "one in the middle",
            of(&[sequence_of(&gap), new.clone()]),
            &["does not cover the time-stamp before it"],
        ),
        (
            "the last one",
            of(&[old.clone(), sequence_of(&renewed[..1])]),
            &["2045-12-31"],
        ),
        (
            "the hash trees'",
            of(std::slice::from_ref(&old)),
            &["2045-12-31", "SHA-256 is fit until 2044-12-31T23:59:59Z only"],
        ),
        ("all", of(&[sequence_of(&stamps[..1])]), &["2030-12-31"]),
    ];
    let dir = world.scratch("left-out");
    let roots = world.authority.root.certificate().pem();
    std::fs::write(dir.join("roots.pem"), roots).unwrap();
    for (n, (what, record, reasons)) in cases.iter().enumerate() {
        let mut changed = bundle.clone();
        changed.put(&path, record.clone());
        let judged = judge.on(&changed);
        let document = judged.documents.iter().find(|d| d.name.ends_with(name)).unwrap();
        let Preserved::Failed(why) = &document.preserved else {
            panic!("{what}: {document:#?}")
        };
        assert!(reasons.iter().any(|r| why.contains(r)), "{what}: {why}");
        assert!(!judged.is_ok());
        std::fs::write(dir.join(format!("{n:04}.ers")), record).unwrap();
        std::fs::write(dir.join(format!("{n:04}.0")), &bundle.0[name]).unwrap();
    }
    let verdicts = read_in_python(&dir, world.clock.now());
    assert_eq!(verdicts.lines().count(), cases.len());
    assert!(verdicts.lines().all(|l| l.starts_with("no: ")), "{verdicts}");

    // Without any record the time-stamp stands alone, and has ended.
    let mut bare = bundle.clone();
    bare.remove(&[path]);
    let judged = judge.on(&bare);
    let document = judged.documents.iter().find(|d| d.name.ends_with(name)).unwrap();
    let open = &document.findings.timestamp;
    assert!(is_unknown(open) && why(open).contains("2030-12-31"), "{open:?}");
    assert!(
        judge.timeless(&bare).is_ok(),
        "on no certain day that is not asked"
    );
}

/// One bit of a lasting form or of its record, wherever it stands.
fn a_bit_turned(judge: &Judge, bundle: &Copy) {
    let name = &bundle.documents()[1];
    for path in [name.clone(), format!("{name}.ers")] {
        let octets = &bundle.0[&path];
        for n in 0..8 {
            let mut turned = octets.clone();
            turned[n * octets.len() / 8 + 11] ^= 1 << (n % 7);
            let mut changed = bundle.clone();
            changed.put(&path, turned);
            let judged = judge.on(&changed);
            assert!(judged.manifest.is_ok() && !judged.is_ok(), "{path}, part {n}");
        }
    }
}

/// xmllint, xmlsec1 and openssl on evidence and dispatches, at the time of their stamps.
fn xml_and_seals_elsewhere(world: &World, bundles: &[(UtcTime, Copy)]) {
    let root = world.authority.root.certificate().pem();
    for (at, bundle) in bundles {
        for name in bundle.documents() {
            let xml = &bundle.0[&name];
            let stamp = &verify(xml).unwrap().0.stamps[0].token_der;
            let stamped = Token::read(stamp).unwrap().gen_time;
            let heard = Court::new(root.as_bytes(), stamped).evidence(xml);
            assert_eq!(heard, Ok(()), "{at} {name}");
        }
        let court = Court::new(root.as_bytes(), *at);
        assert!(court.message(&bundle.0["dispatch.eml"], true).is_ok(), "{at}");
    }
}

/// The reader in Python, and `openssl ts` on every token of every record.
fn records_elsewhere(world: &World, bundles: &[(UtcTime, Copy)], now: UtcTime) {
    let dir = world.scratch("records");
    let root = world.authority.root.certificate().pem();
    std::fs::write(dir.join("roots.pem"), root).unwrap();
    let mut count = 0;
    for (_, bundle) in bundles {
        for name in bundle.sealed() {
            let write = |ending: &str, octets: &[u8]| {
                std::fs::write(dir.join(format!("{count:04}.{ending}")), octets).unwrap();
            };
            write("ers", &bundle.0[&format!("{name}.ers")]);
            write("0", &bundle.0[&name]);
            count += 1;
        }
    }
    assert!(count >= 76, "{count}");
    assert_eq!(read_in_python(&dir, now), vec!["ok"; count].join("\n"));
}

/// `openssl verify -crl_check` with the list that a bundle brings, at the time of that list.
fn openssl_on_the_lost_key(world: &World, before: &Copy, after: &Copy) {
    let dir = world.scratch("lost");
    let lost = world.lost.as_ref().unwrap();
    std::fs::write(dir.join("root.pem"), world.authority.root.certificate().pem()).unwrap();
    std::fs::write(dir.join("seal.pem"), lost.pem()).unwrap();
    for (bundle, wanted) in [(before, "seal.pem: OK"), (after, "certificate revoked")] {
        let (document, _) = verify(&bundle.0[&bundle.documents()[0]]).unwrap();
        assert_eq!(document.signer_der, lost.der());
        let list = &document.embedded.signer.crls[0];
        std::fs::write(dir.join("list.der"), list).unwrap();
        let said = openssl(
            &dir,
            "crl -inform DER -in list.der -out list.pem -noout -lastupdate -dateopt iso_8601",
        );
        let date = said.lines().find_map(|l| l.strip_prefix("lastUpdate=")).unwrap();
        let made = UtcTime::parse_rfc3339(&date.replace(' ', "T")).unwrap();
        openssl(&dir, "crl -inform DER -in list.der -out list.pem");
        let at = made.plus(Duration::from_secs(60)).unix_s();
        let asked = format!("verify -CAfile root.pem -CRLfile list.pem -crl_check -attime {at} seal.pem");
        let said = openssl(&dir, &asked);
        assert!(said.contains(wanted), "{said}");
    }
}

fn openssl(folder: &Path, arguments: &str) -> String {
    let done = Command::new("openssl")
        .current_dir(folder)
        .args(arguments.split(' '))
        .output()
        .unwrap();
    [done.stdout, done.stderr]
        .map(|o| String::from_utf8_lossy(&o).into_owned())
        .concat()
}
