//! Evidence at scale: documents built, sealed and judged; bundles of a thousand mails; a hash tree over a million documents,
//! proofs cut from it, and verifying a record.
//!
//! `cargo bench --bench evidence`; with `-- documents` only what is told for each document, with `-- bundles` those and the
//! bundles, with `-- trees` only trees and records. One core, no disk but for the tree that is cut from a file. Rates of documents are told
//! for each second of CPU that the process used, so that a neighbour does not count. The peak of memory is that of the whole
//! process (`VmHWM`), so trees are built one after the other and dropped.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../tests/ers/archive.rs"]
#[allow(dead_code)]
mod archive;
#[path = "../tests/ers/authority.rs"]
#[allow(dead_code)]
mod authority;

use archive::Court;
use authority::{Kind, Root, at};
use kepd::clock::ManualClock;
use kepd::cms::algorithm::DigestAlgorithm;
use kepd::cms::ers::tree::Octets;
use kepd::cms::ers::{Batch, Object, Place, Question, Scope, Tree, TreeBuilder, TreeError, batch, verify};
use kepd::cms::{ContentDigest, RevocationShelf, RevocationValues, ocsp};
use kepd::domain::evidence::{Event, EvidenceFacts, EvidenceKind, Issuer, MessageFacts, Party};
use kepd::id::EvidenceId;
use kepd::seal::lasting::{Certified, Outcome};
use kepd::seal::pki::{Credential, DevPki, KeyAlgorithm, Plan};
use kepd::seal::revoking::RevocationOffice;
use kepd::seal::tsa::{Exchange, LocalTransport, SystemNonces};
use kepd::seal::{DevAuthority, SealKey, Sealer, TimestampClient, TimestampTransport, TrustStore};
use kepd::validation::{Basis, judge_evidence};
use kepd::xml::Level;
use std::fs::File;
use std::hint::black_box;
use std::os::unix::fs::FileExt as _;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

const LEAVES: u32 = 1_000_000;
const PROOFS: u32 = 10_000;
const RECORDS: u32 = 2_000;

/// A tree that stays in its file.
struct InFile(File);

impl Octets for InFile {
    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), TreeError> {
        let read = self.0.read_exact_at(out, offset);
        read.map_err(|e| TreeError::Read(e.to_string()))
    }
}

fn document(n: u32) -> Vec<u8> {
    format!("evidence {n}").into_bytes()
}

/// MiB at the highest moment so far.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("VmHWM:")).unwrap();
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib / 1024
}

/// CPU that all threads of the process used so far; in steps of 10 ms.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let ticks = fields.split(' ').skip(11).take(2);
    Duration::from_millis(10 * ticks.map(|t| t.parse::<u64>().unwrap()).sum::<u64>())
}

fn line(what: &str, value: String) {
    println!("{what:<64} {value:>14}");
}

fn build(algorithm: DigestAlgorithm) -> Tree<Vec<u8>> {
    let begun = Instant::now();
    let mut builder = TreeBuilder::with_capacity(algorithm, LEAVES);
    for n in 0..LEAVES {
        builder.push(&ContentDigest::of(algorithm, &document(n))).unwrap();
    }
    let tree = builder.finish().unwrap();
    let name = algorithm.name();
    line(
        &format!("{name}: tree over {LEAVES} documents, s"),
        format!("{:.2}", begun.elapsed().as_secs_f64()),
    );
    let mib = tree.octets().len() as f64 / (1024.0 * 1024.0);
    line(&format!("{name}: what is kept of it, MiB"), format!("{mib:.1}"));
    line(
        &format!("{name}: highest memory of the process so far, MiB"),
        peak().to_string(),
    );
    tree
}

fn each(begun: Instant, count: u32) -> String {
    let each: Duration = begun.elapsed() / count;
    format!("{:.1}", each.as_secs_f64() * 1e6)
}

fn proofs<S: Octets>(name: &str, tree: &Tree<S>) {
    let begun = Instant::now();
    for i in 0..PROOFS {
        black_box(tree.proof(i.wrapping_mul(7_919) % LEAVES).unwrap());
    }
    line(name, each(begun, PROOFS));
}

fn main() {
    let asked = std::env::args().skip(1).find(|a| !a.starts_with('-'));
    let wanted = |part: &str| asked.as_deref().is_none_or(|a| a == part);
    if wanted("documents") || wanted("bundles") {
        let (pki, sealed) = documents(KeyAlgorithm::P256, "P-256");
        documents(KeyAlgorithm::Rsa3072, "RSA-3072");
        if wanted("bundles") {
            bundles(&pki, &sealed);
        }
    }
    if !wanted("trees") {
        return;
    }
    for algorithm in [DigestAlgorithm::Sha256, DigestAlgorithm::Sha512] {
        let tree = build(algorithm);
        let name = algorithm.name();
        proofs(&format!("{name}: proof of one leaf from memory, µs"), &tree);
        let file = tempfile::NamedTempFile::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        std::fs::write(file.path(), tree.octets()).unwrap();
        let kept = Tree::open(InFile(File::open(file.path()).unwrap())).unwrap();
        proofs(&format!("{name}: proof of one leaf from its file, µs"), &kept);
        for kind in [Kind::P256, Kind::Rsa3072] {
            records(&tree, kind);
        }
    }
}

fn records(tree: &Tree<Vec<u8>>, kind: Kind) {
    let root = Root::new("Stamp Root");
    let stamps = root.time_stamping("TSA", kind, at("2026-01-01"), at("2030-01-01"));
    let batch = Batch::new(tree, &stamps.token(&tree.root().unwrap(), at("2027-01-01"))).unwrap();
    let name = format!(
        "{}, {}",
        tree.algorithm().name(),
        if kind == Kind::P256 { "P-256" } else { "RSA-3072" }
    );
    let leaf_of = |i: u32| i.wrapping_mul(7_919) % LEAVES;
    let begun = Instant::now();
    let cut = |i| {
        let leaf = leaf_of(i);
        batch::record(&[Place {
            batch: &batch,
            tree,
            leaf,
        }])
        .unwrap()
    };
    let records: Vec<Vec<u8>> = (0..RECORDS).map(cut).collect();
    line(
        &format!("{name}: record of one document cut, µs"),
        each(begun, RECORDS),
    );
    line(&format!("{name}: its octets"), records[0].len().to_string());
    // A new court each time: nothing is remembered from one record to the next.
    let begun = Instant::now();
    for (i, record) in (0..RECORDS).zip(&records) {
        let text = document(leaf_of(i));
        let question = Question {
            objects: &[Object::Octets(&text)],
            scope: Scope::Each,
            now: at("2028-01-01"),
        };
        verify(record, &question, &Court::new(&root)).unwrap();
    }
    line(&format!("{name}: record verified, µs"), each(begun, RECORDS));
}

/// Evidence documents sealed and judged in one go.
const DOCUMENTS: u32 = 3_000;
/// Mails of the bundles, and evidence documents of each.
const MAILS: u32 = 1_000;
const EVIDENCE_OF_MAIL: u32 = 5;

/// The authority stands in this process; what it costs is measured by asking it all again, and taken off.
#[derive(Clone)]
struct Remembered {
    inner: Arc<LocalTransport>,
    asked: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl TimestampTransport for Remembered {
    fn exchange<'a>(&'a self, request_der: Vec<u8>) -> Exchange<'a> {
        self.asked.lock().unwrap().push(request_der.clone());
        self.inner.exchange(request_der)
    }
}

impl Remembered {
    /// How often it was asked since the last look, and the CPU that takes.
    fn cost(&self, runtime: &Runtime) -> (usize, Duration) {
        let asked = std::mem::take(&mut *self.asked.lock().unwrap());
        let count = asked.len();
        let begun = cpu();
        for request in asked {
            black_box(runtime.block_on(self.inner.exchange(request)).unwrap());
        }
        (count, cpu().saturating_sub(begun))
    }
}

fn facts(n: u32) -> EvidenceFacts {
    let party = |address: &str| Party {
        address: address.to_owned(),
        ..Party::default()
    };
    EvidenceFacts {
        id: EvidenceId(uuid::Uuid::from_u128(u128::from(n) + 1)),
        kind: EvidenceKind::SubmissionAcceptanceRejection,
        event: Event::Acceptance,
        reasons: Vec::new(),
        policy_ids: Vec::new(),
        issuer: Issuer {
            name: "HS01".to_owned(),
            electronic_address: "kep@hs01.kep.test".to_owned(),
            ..Issuer::default()
        },
        event_time: at("2027-01-01"),
        submission_time: Some(at("2027-01-01")),
        sender: party("ornekas@hs01.kep.test"),
        recipients: vec![party("alici@hs02.kep.test")],
        refers_to_recipient: None,
        message: MessageFacts {
            subject: format!("Teklif {n}"),
            ua_message_id: Some(format!("<{n}@ornek>")),
            rem_message_id: format!("<{n}@hs01.kep.test>"),
            original_sha256: Some([7; 32]),
        },
        sender_authentication: None,
        transaction_log: Vec::new(),
        extensions: Vec::new(),
        reply_to: None,
    }
}

fn rate(count: u32, spent: Duration) -> String {
    format!("{:.0}", f64::from(count) / spent.as_secs_f64())
}

/// Evidence built, signed and stamped; the bare signature beside it; and judged again.
fn documents(kind: KeyAlgorithm, name: &str) -> (DevPki, Vec<Vec<u8>>) {
    let pki = DevPki::generate(&Plan {
        domain: "hs01.kep.test".parse().unwrap(),
        seal_address: "kep@hs01.kep.test".parse().unwrap(),
        dns_names: Vec::new(),
        not_before: at("2026-01-01"),
        not_after: at("2030-01-01"),
        seal_key: kind,
    })
    .unwrap();
    let mut trust = TrustStore::new();
    trust.add_pem_text(&pki.ca.certificate_pem).unwrap();
    let tsa_key = SealKey::from_pem(&pki.tsa.key_pem).unwrap();
    let authority = DevAuthority::new(tsa_key, pki.tsa.certificate().unwrap()).unwrap();
    let clock = Arc::new(ManualClock::at(at("2027-01-01")));
    let transport = Remembered {
        inner: Arc::new(LocalTransport::new(authority, clock, 1)),
        asked: Arc::default(),
    };
    let trust = Arc::new(trust);
    let stamps = || TimestampClient::new(Arc::new(transport.clone()), Arc::new(SystemNonces), trust.clone());
    let key = SealKey::from_pem(&pki.seal.key_pem).unwrap();
    let count = if kind == KeyAlgorithm::P256 {
        DOCUMENTS
    } else {
        DOCUMENTS / 3
    };
    let begun = cpu();
    for n in 0..count {
        black_box(key.sign(&n.to_be_bytes()).unwrap());
    }
    line(
        &format!("{name}: bare signatures, 1/CPU-s"),
        rate(count, cpu().saturating_sub(begun)),
    );
    let sealer = || Sealer::new(key.clone(), vec![pki.seal.certificate().unwrap()], stamps()).unwrap();
    let own = sealer();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let begun = cpu();
    let sealed: Vec<Vec<u8>> = (0..count)
        .map(|n| {
            let written = kepd::rem::evidence::write(&facts(n)).unwrap();
            runtime
                .block_on(own.seal_evidence(&written.xml, at("2027-01-01")))
                .unwrap()
        })
        .collect();
    let spent = cpu().saturating_sub(begun);
    let (tokens, authority) = transport.cost(&runtime);
    line(
        &format!("{name}: evidence built and sealed B-T, without the authority's part, 1/CPU-s"),
        rate(count, spent.saturating_sub(authority)),
    );
    line(
        &format!("{name}: tokens for {count} documents"),
        tokens.to_string(),
    );
    line(
        &format!("{name}: octets of a document"),
        sealed[0].len().to_string(),
    );
    let sharing = Arc::new(sealer().sharing(Duration::from_millis(5)));
    let begun = cpu();
    let shared = runtime.block_on(together(sharing, count));
    let spent = cpu().saturating_sub(begun);
    let (tokens, authority) = transport.cost(&runtime);
    line(
        &format!("{name}: the same where they share tokens, 1/CPU-s"),
        rate(count, spent.saturating_sub(authority)),
    );
    line(
        &format!("{name}: tokens for {count} documents"),
        tokens.to_string(),
    );
    line(
        &format!("{name}: octets of a document"),
        shared[0].len().to_string(),
    );
    let begun = cpu();
    for (n, octets) in sealed.iter().enumerate() {
        assert!(judge_evidence(n.to_string(), octets, Some([7; 32]), &trust).is_ok());
    }
    line(
        &format!("{name}: evidence judged, 1/CPU-s"),
        rate(count, cpu().saturating_sub(begun)),
    );
    lasting(&pki, &sealed, &trust, name);
    (pki, sealed)
}

/// Judged by what they bring of revocation, and by what lies ready.
fn lasting(pki: &DevPki, sealed: &[Vec<u8>], trust: &TrustStore, name: &str) {
    let (ca, seal, tsa) = (&pki.ca, &pki.seal, &pki.tsa);
    let (ca_certificate, later) = (ca.certificate().unwrap(), at("2027-01-02"));
    let office =
        RevocationOffice::new(SealKey::from_pem(&ca.key_pem).unwrap(), ca_certificate.clone()).unwrap();
    let list = office.list(later).unwrap();
    // Of each certificate's own moment, as if every document had been asked about by itself.
    let answer = |credential: &Credential| {
        let certificate = credential.certificate().unwrap();
        let request = ocsp::Request {
            certificate: &certificate,
            issuer: &ca_certificate,
            digest: ocsp::IdDigest::Sha1,
            nonce: None,
        };
        office.answer(&request.der(), later)
    };
    let with = |values: &RevocationValues, documents: &[Vec<u8>]| -> Vec<Vec<u8>> {
        let embedded = documents.iter().map(|document| {
            let judged = Certified::of_evidence(document).unwrap();
            match judged.judge(trust, Some(values), Duration::ZERO) {
                Outcome::Final(proof) => proof.embed(document).unwrap().0,
                Outcome::NotYet(why) => panic!("{why:?}"),
            }
        });
        embedded.collect()
    };
    let by_list = RevocationValues {
        crls: vec![list.clone()],
        ..RevocationValues::default()
    };
    let one_list = with(&by_list, sealed);
    let own_answers = sealed.chunks(1).flat_map(|document| {
        let ocsp = vec![answer(seal), answer(tsa)];
        let values = RevocationValues {
            ocsp,
            ..RevocationValues::default()
        };
        with(&values, document)
    });
    let own_answers: Vec<Vec<u8>> = own_answers.collect();
    let judged = |what: &str, documents: &[Vec<u8>], basis: Basis<'_>, level: Level| {
        let begun = cpu();
        for (n, octets) in documents.iter().enumerate() {
            let judged = judge_evidence(n.to_string(), octets, Some([7; 32]), basis);
            assert!(judged.is_ok() && judged.level == Some(level));
        }
        line(
            &format!("{name}: evidence judged, {what}, 1/CPU-s"),
            rate(documents.len() as u32, cpu().saturating_sub(begun)),
        );
    };
    // A trust store that remembers nothing yet.
    let fresh = || {
        let mut trust = TrustStore::new();
        trust.add_pem_text(&ca.certificate_pem).unwrap();
        trust
    };
    let trust = fresh();
    judged(
        "B-LT, one list in all",
        &one_list,
        Basis::from(&trust),
        Level::Lasting,
    );
    let trust = fresh();
    judged(
        "B-LT, answers of its own in each",
        &own_answers,
        Basis::from(&trust),
        Level::Lasting,
    );
    let (trust, shelf) = (fresh(), RevocationShelf::of(&by_list));
    judged(
        "B-T, a list at hand",
        sealed,
        Basis::known(&trust, &shelf),
        Level::Stamped,
    );
}

/// Evidence sealed by many at once, as the notary does where stamps are shared.
async fn together(sealer: Arc<Sealer>, count: u32) -> Vec<Vec<u8>> {
    let mut sealing = JoinSet::new();
    for n in 0..count {
        let sealer = sealer.clone();
        sealing.spawn(async move {
            let written = kepd::rem::evidence::write(&facts(n)).unwrap();
            sealer
                .seal_evidence(&written.xml, at("2027-01-01"))
                .await
                .unwrap()
        });
    }
    sealing.join_all().await
}

/// As a court would: the tool, on a folder of bundles.
fn bundles(pki: &DevPki, sealed: &[Vec<u8>]) {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let hex = |octets: &[u8]| octets.iter().map(|o| format!("{o:02x}")).collect::<String>();
    let original = b"Subject: Teklif\r\n\r\nMerhaba\r\n";
    for mail in 0..MAILS {
        let dir = folder.path().join(format!("{mail:04}"));
        std::fs::create_dir_all(dir.join("evidence")).unwrap();
        std::fs::create_dir(dir.join("trust")).unwrap();
        let mut files = Vec::new();
        let mut put = |path: String, octets: &[u8]| {
            std::fs::write(dir.join(&path), octets).unwrap();
            let sha256 = hex(&kepd::cms::algorithm::sha256(octets));
            files.push(serde_json::json!({"path": path, "sha256": sha256, "size": octets.len()}));
        };
        put("original.eml".to_owned(), original);
        put("trust/hs01.pem".to_owned(), pki.ca.certificate_pem.as_bytes());
        for n in 0..EVIDENCE_OF_MAIL {
            let document = &sealed[((mail * EVIDENCE_OF_MAIL + n) % DOCUMENTS) as usize];
            put(format!("evidence/{n:02}-E.xml"), document);
        }
        let digest = hex(&kepd::cms::algorithm::sha256(original));
        let manifest =
            serde_json::json!({"mail_id": mail.to_string(), "original_sha256": digest, "files": files});
        std::fs::write(dir.join("manifest.json"), manifest.to_string()).unwrap();
    }
    let begun = Instant::now();
    let said = std::process::Command::new(env!("CARGO_BIN_EXE_kepctl"))
        .args(["evidence", "verify"])
        .arg(folder.path())
        .output()
        .unwrap();
    let spent = begun.elapsed();
    // The documents speak of another original: each is judged whole, and the verdict says so.
    let text = String::from_utf8(said.stdout).unwrap();
    assert_eq!(
        text.matches("signature: ok").count() as u32,
        MAILS * EVIDENCE_OF_MAIL
    );
    line(
        &format!("bundles of {MAILS} mails with {EVIDENCE_OF_MAIL} evidence documents each, by kepctl, s"),
        format!("{:.2}", spent.as_secs_f64()),
    );
}
