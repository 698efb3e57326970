//! Evidence at scale: documents built, sealed and judged; bundles of a thousand mails; a hash tree over a million documents,
//! proofs cut from it, and verifying a record.
//!
//! `cargo bench --bench evidence`; with `-- documents` only what is told for each document, with `-- bundles` those and the
//! bundles, with `-- trees` only trees and records. One core, no disk but for the tree that is cut from a file. The peak of memory is
//! that of the whole process (`VmHWM`), so trees are built one after the other and dropped.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../tests/ers/archive.rs"]
#[allow(dead_code)]
mod archive;
#[path = "../tests/ers/authority.rs"]
#[allow(dead_code)]
mod authority;
#[path = "evidence/documents.rs"]
mod documents;

use archive::Court;
use authority::{Kind, Root, at};
use kepd::cms::ContentDigest;
use kepd::cms::algorithm::DigestAlgorithm;
use kepd::cms::ers::tree::Octets;
use kepd::cms::ers::{Batch, Object, Place, Question, Scope, Tree, TreeBuilder, TreeError, batch, verify};
use kepd::seal::pki::DevPki;
use std::fs::File;
use std::hint::black_box;
use std::os::unix::fs::FileExt as _;
use std::time::{Duration, Instant};

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
        let (pki, sealed) = documents::measure();
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

fn rate(count: u32, spent: Duration) -> String {
    format!("{:.0}", f64::from(count) / spent.as_secs_f64())
}

/// Mails of the bundles, and evidence documents of each.
const MAILS: u32 = 1_000;
const EVIDENCE_OF_MAIL: u32 = 5;

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
            let document = &sealed[(mail * EVIDENCE_OF_MAIL + n) as usize % sealed.len()];
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
