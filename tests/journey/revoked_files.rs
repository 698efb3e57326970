//! `kepctl evidence verify --revocation`: lists and answers from files, no network; and openssl on the same lists.

use super::kepctl::kepctl;
use super::revoked::pki_at;
use kepd::clock::{ManualClock, UtcTime};
use kepd::cms::RevocationReason;
use kepd::cms::crl::Entry;
use kepd::cms::ocsp::{IdDigest, Request};
use kepd::seal::pki::DevPki;
use kepd::seal::revoking::RevocationOffice;
use kepd::seal::tsa::{LocalTransport, SystemNonces};
use kepd::seal::{DevAuthority, SealKey, Sealer, TimestampClient, TrustStore};
use serde_json::Value;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

const EVIDENCE: &str = include_str!("../schemas/samples/own-minimal-submission-acceptance.xml");
/// 2026-11-23T20:45:05Z
const NOW: UtcTime = UtcTime::from_unix_s(1_795_466_705);
const HOUR: Duration = Duration::from_secs(3600);

struct Scene {
    dir: tempfile::TempDir,
    pki: DevPki,
    office: RevocationOffice,
}

/// An evidence in a bundle's folders, with its anchors beside it.
async fn scene() -> Scene {
    let (pki, office) = pki_at("http://pki.test");
    let dir = tempfile::tempdir().unwrap();
    for folder in ["evidence", "trust", "lists"] {
        std::fs::create_dir(dir.path().join(folder)).unwrap();
    }
    std::fs::write(dir.path().join("trust/ca.pem"), &pki.ca.certificate_pem).unwrap();
    let mut trust = TrustStore::new();
    trust.add_pem_text(&pki.ca.certificate_pem).unwrap();
    let key = |pem: &str| SealKey::from_pem(pem).unwrap();
    let authority = DevAuthority::new(key(&pki.tsa.key_pem), pki.tsa.certificate().unwrap()).unwrap();
    let transport = LocalTransport::new(authority, Arc::new(ManualClock::at(NOW)), 1);
    let stamps = TimestampClient::new(Arc::new(transport), Arc::new(SystemNonces), Arc::new(trust));
    let chain = vec![pki.seal.certificate().unwrap()];
    let sealer = Sealer::new(key(&pki.seal.key_pem), chain, stamps).unwrap();
    let sealed = sealer.seal_evidence(EVIDENCE.as_bytes(), NOW).await.unwrap();
    std::fs::write(dir.path().join("evidence/01.xml"), sealed).unwrap();
    Scene { dir, pki, office }
}

impl Scene {
    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }

    fn put(&self, name: &str, octets: &[u8]) {
        std::fs::write(self.dir.path().join(name), octets).unwrap();
    }

    fn revoke(&mut self, at: UtcTime) {
        let entry = Entry {
            revoked_at: at,
            reason: RevocationReason::KeyCompromise,
            invalid_since: None,
        };
        let seal = self.pki.seal.certificate().unwrap();
        self.office.revoke(&seal, entry);
    }

    /// Exit code 0, and the report in English and for scripts.
    fn verify(&self, revocation: Option<&str>) -> (bool, String, Value) {
        let file = self.path("evidence/01.xml");
        let mut args = vec!["evidence", "verify", &file, "--language", "english"];
        let revocation = revocation.map(|name| self.path(name));
        if let Some(path) = &revocation {
            args.extend(["--revocation", path]);
        }
        let out = kepctl(&args);
        let text = String::from_utf8(out.stdout).unwrap() + &String::from_utf8(out.stderr).unwrap();
        let json = kepctl(&[&["--json"], &args[..]].concat()).stdout;
        let json: Value = serde_json::from_slice(&json).unwrap_or(Value::Null);
        (out.status.success(), text, json[0].clone())
    }

    /// What openssl says of the seal's certificate at the moment of the stamp, by a list in PEM.
    fn openssl(&self, list: &str) -> (bool, String) {
        self.put("seal.pem", self.pki.seal.certificate_pem.as_bytes());
        let out = Command::new("openssl")
            .args(["verify", "-crl_check", "-attime", &NOW.unix_s().to_string()])
            .args([
                "-CAfile",
                &self.path("trust/ca.pem"),
                "-CRLfile",
                &self.path(list),
            ])
            .arg(self.path("seal.pem"))
            .output()
            .unwrap();
        let words = [out.stdout, out.stderr].concat();
        (out.status.success(), String::from_utf8_lossy(&words).into_owned())
    }
}

fn pem(list: &[u8]) -> String {
    let packed = kepd::sasl::encode_base64(list);
    let lines: Vec<&str> = packed
        .as_bytes()
        .chunks(64)
        .map(|l| std::str::from_utf8(l).unwrap())
        .collect();
    format!(
        "-----BEGIN X509 CRL-----\n{}\n-----END X509 CRL-----\n",
        lines.join("\n")
    )
}

fn line<'t>(text: &'t str, start: &str) -> &'t str {
    let mut lines = text.lines().map(str::trim);
    lines
        .find(|l| l.starts_with(start))
        .unwrap_or_else(|| panic!("{start}: {text}"))
}

#[tokio::test]
async fn lists_from_files_say_revoked_since_and_revoked_only_later() {
    let mut scene = scene().await;
    let (ok, text, _) = scene.verify(None);
    assert!(!ok);
    assert_eq!(
        line(&text, "trust:"),
        "trust: unknown: nothing is known of a revocation of 'CN=Mühür'"
    );
    assert!(text.contains("Result: UNDECIDED"), "{text}");

    let quiet = scene.office.list(NOW.minus(Duration::from_secs(60))).unwrap();
    scene.put("lists/quiet.crl", pem(&quiet).as_bytes());
    let (ok, text, json) = scene.verify(Some("lists"));
    assert!(ok, "{text}");
    assert_eq!(json["revocation"]["standing"], "valid");
    assert_eq!(json["stamp_revocation"]["standing"], "valid");
    assert_eq!(
        line(&text, "revocation of the seal's certificate:"),
        "revocation of the seal's certificate: not revoked at 2026-11-23T20:45:05Z"
    );
    assert!(scene.openssl("lists/quiet.crl").0);

    // Later it is revoked, and that does no harm.
    scene.revoke(NOW.plus(HOUR));
    let later = scene.office.list(NOW.plus(HOUR * 2)).unwrap();
    scene.put("later.crl", &later);
    let (ok, text, json) = scene.verify(Some("later.crl"));
    assert!(
        ok && text.contains("was revoked only later, at 2026-11-23T21:45:05Z"),
        "{text}"
    );
    assert_eq!(json["revocation"]["revoked_later"]["reason"], "keyCompromise");
    assert_eq!(json["revocation"]["harmless"], true);

    // Before: by a list of then, and openssl says the same of it.
    scene.revoke(NOW.minus(HOUR));
    let before = scene.office.list(NOW.minus(Duration::from_secs(60))).unwrap();
    scene.put("before.crl", pem(&before).as_bytes());
    let (ok, text, json) = scene.verify(Some("before.crl"));
    assert!(!ok);
    assert_eq!(
        line(&text, "trust:"),
        "trust: failed: 'CN=Mühür' is revoked since 2026-11-23T19:45:05Z (keyCompromise)"
    );
    assert!(text.contains("Result: INVALID"), "{text}");
    assert_eq!(json["revocation"]["standing"], "revoked");
    assert_eq!(json["revocation"]["since"], "2026-11-23T19:45:05Z");
    let (ok, words) = scene.openssl("before.crl");
    assert!(!ok && words.contains("certificate revoked"), "{words}");
}

#[tokio::test]
async fn answers_and_what_lies_in_the_bundle_count_and_what_is_no_value_is_named() {
    let mut scene = scene().await;
    // By OCSP, in the folder that bundles have.
    std::fs::create_dir(scene.dir.path().join("revocation")).unwrap();
    let ca = scene.pki.ca.certificate().unwrap();
    for (name, credential) in [("seal", &scene.pki.seal), ("tsa", &scene.pki.tsa)] {
        let request = Request {
            certificate: &credential.certificate().unwrap(),
            issuer: &ca,
            digest: IdDigest::Sha1,
            nonce: None,
        };
        let answer = scene.office.answer(&request.der(), NOW.plus(HOUR));
        scene.put(&format!("revocation/{name}.ors"), &answer);
    }
    let (ok, text, _) = scene.verify(None);
    assert!(ok, "{text}");
    // What is named counts beside it.
    scene.revoke(NOW.minus(HOUR));
    let list = scene.office.list(NOW.plus(HOUR)).unwrap();
    scene.put("lists/a.crl", &list);
    assert!(!scene.verify(Some("lists")).0);

    scene.put("lists/b.crl", b"no list");
    let (ok, said, _) = scene.verify(Some("lists"));
    assert!(
        !ok && said.contains("b.crl: the revocation list cannot be read"),
        "{said}"
    );
    let (ok, said, _) = scene.verify(Some("trust"));
    assert!(!ok && said.contains("holds no revocation list"), "{said}");
    let (ok, said, _) = scene.verify(Some("evidence/01.xml"));
    assert!(
        !ok && said.contains("is neither a folder nor a revocation list"),
        "{said}"
    );
    assert!(Path::new(&scene.path("lists")).is_dir());
}
