//! What xmlsec1 and openssl say about the same octets. Recorded beside every case: where they are more lenient, the
//! table shows it; where we say ok, they must say ok.

use super::keys::World;
use std::path::Path;
use std::process::{Command, Output};
use tempfile::TempDir;

/// 2026-11-23T20:45:10Z, five seconds after everything was signed.
const ATTIME: &str = "1795466710";
const GMT_TIME: &str = "2026-11-23 20:45:10";

/// A judge's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Says {
    Yes,
    No,
}

fn says(out: &Output) -> (Says, String) {
    let words = format!(
        "{}{}",
        String::from_utf8_lossy(&out.stdout),
        String::from_utf8_lossy(&out.stderr)
    );
    (if out.status.success() { Says::Yes } else { Says::No }, words)
}

fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, octets) in files {
        std::fs::write(folder.path().join(name), octets).unwrap();
    }
    folder
}

fn xmlsec(folder: &Path, arguments: &[&str]) -> Output {
    Command::new("xmlsec1")
        .current_dir(folder)
        .args([
            "--verify",
            "--enabled-key-data",
            "x509",
            "--trusted-pem",
            "ca.pem",
        ])
        .args(["--verification-gmt-time", GMT_TIME])
        .args(["--id-attr:Id", "SignedProperties", "--id-attr:Id", "Evidence"])
        .args(arguments)
        .arg("e.xml")
        .output()
        .unwrap()
}

/// Whether xmlsec1 says that the (first) signature of a document holds, by a key that the authority certified.
pub fn xmlsec1(world: &World, document: &[u8]) -> (Says, String) {
    let folder = folder(&[("e.xml", document), ("ca.pem", world.ca_pem.as_bytes())]);
    says(&xmlsec(folder.path(), &[]))
}

/// The octets that xmlsec1 digests for each reference, in order.
pub fn xmlsec1_covers(world: &World, document: &[u8]) -> Vec<Vec<u8>> {
    let folder = folder(&[("e.xml", document), ("ca.pem", world.ca_pem.as_bytes())]);
    let out = xmlsec(folder.path(), &["--store-references", "--print-debug"]);
    assert!(out.status.success(), "{}", says(&out).1);
    let (start, end) = (
        &b"== PreDigest data - start buffer:\n"[..],
        &b"\n== PreDigest data - end buffer"[..],
    );
    let find = |octets: &[u8], what: &[u8]| octets.windows(what.len()).position(|w| w == what);
    let (mut rest, mut covers) = (out.stdout.as_slice(), Vec::new());
    while let Some(at) = find(rest, start) {
        rest = &rest[at + start.len()..];
        let length = find(rest, end).unwrap();
        covers.push(rest[..length].to_vec());
        rest = &rest[length..];
    }
    covers
}

/// Whether `openssl cms -verify` says that a detached signature over a content holds. `cades` checks the
/// signing-certificate attributes too, as we do.
pub fn openssl_cms(world: &World, content: &[u8], cms_der: &[u8]) -> (Says, String) {
    let folder = folder(&[
        ("content", content),
        ("cms.der", cms_der),
        ("ca.pem", world.ca_pem.as_bytes()),
    ]);
    let out = Command::new("openssl")
        .current_dir(folder.path())
        .args([
            "cms", "-verify", "-binary", "-cades", "-inform", "DER", "-in", "cms.der",
        ])
        .args([
            "-content", "content", "-CAfile", "ca.pem", "-attime", ATTIME, "-out", "out",
        ])
        .output()
        .unwrap();
    says(&out)
}

/// Whether `openssl ts -verify` says that a token is over the octets.
pub fn openssl_ts(world: &World, covered: &[u8], token: &[u8]) -> (Says, String) {
    let folder = folder(&[
        ("covered", covered),
        ("token.der", token),
        ("ca.pem", world.ca_pem.as_bytes()),
    ]);
    let out = Command::new("openssl")
        .current_dir(folder.path())
        .args([
            "ts",
            "-verify",
            "-token_in",
            "-in",
            "token.der",
            "-data",
            "covered",
        ])
        .args(["-CAfile", "ca.pem", "-attime", ATTIME])
        .output()
        .unwrap();
    says(&out)
}

/// Exclusive canonical form by xmllint.
pub fn xmllint_canonical(document: &[u8]) -> Option<Vec<u8>> {
    let folder = folder(&[("e.xml", document)]);
    let out = Command::new("xmllint")
        .current_dir(folder.path())
        .args(["--nonet", "--exc-c14n", "e.xml"])
        .output()
        .unwrap();
    out.status.success().then_some(out.stdout)
}
