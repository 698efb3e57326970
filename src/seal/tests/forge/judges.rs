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

/// Whether openssl says that the value of a document is RSASSA-PSS over its canonical SignedInfo, as the method says, with a salt as long
/// as the digest; by the first certificate. What xmlsec1 would say if it knew.
pub fn openssl_pss(document: &[u8]) -> Says {
    use base64::Engine as _;
    let text = std::str::from_utf8(document).unwrap();
    let between = |from: &str, to: &str| {
        let (_, rest) = text.split_once(from).unwrap();
        rest.split_once(to).unwrap().0.to_owned()
    };
    let decoded = |packed: String| {
        let packed: String = packed.split_ascii_whitespace().collect();
        base64::engine::general_purpose::STANDARD.decode(packed).unwrap()
    };
    let value = between("<ds:SignatureValue", "</ds:SignatureValue>");
    let value = decoded(value.split_once('>').unwrap().1.to_owned());
    let certificate = decoded(between("<ds:X509Certificate>", "</ds:X509Certificate>"));
    // It declares its own namespace, so cut out it stays what it is.
    let info = format!(
        "<ds:SignedInfo{}</ds:SignedInfo>",
        between("<ds:SignedInfo", "</ds:SignedInfo>")
    );
    let digest = between("xmldsig-more#", "-rsa-MGF1");
    let signed = xmllint_canonical(info.as_bytes()).unwrap();
    let folder = folder(&[("signed", &signed), ("value", &value), ("c.der", &certificate)]);
    let openssl = |arguments: &[&str]| {
        let mut command = Command::new("openssl");
        command
            .current_dir(folder.path())
            .args(arguments)
            .output()
            .unwrap()
    };
    openssl(&[
        "x509", "-inform", "DER", "-in", "c.der", "-pubkey", "-noout", "-out", "key.pem",
    ]);
    let mask = format!("rsa_mgf1_md:{digest}");
    let options = [
        "-sigopt",
        "rsa_padding_mode:pss",
        "-sigopt",
        "rsa_pss_saltlen:digest",
        "-sigopt",
        &mask,
    ];
    let digest = format!("-{digest}");
    let verify = ["dgst", &digest, "-verify", "key.pem", "-signature", "value"];
    says(&openssl(&[&verify[..], &options, &["signed"]].concat())).0
}

/// Whether openssl says that a token is signed by an authority of time.
pub fn openssl_signed(world: &World, token: &[u8]) -> Says {
    let folder = folder(&[("token.der", token), ("ca.pem", world.ca_pem.as_bytes())]);
    let out = Command::new("openssl")
        .current_dir(folder.path())
        .args(["cms", "-verify", "-binary", "-inform", "DER", "-in", "token.der"])
        .args([
            "-purpose",
            "timestampsign",
            "-CAfile",
            "ca.pem",
            "-attime",
            ATTIME,
            "-out",
            "out",
        ])
        .output()
        .unwrap();
    says(&out).0
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
