//! The two programs as a script sees them: exit codes, JSON, a daemon that is started and stopped, and evidence that
//! is verified from its file alone.

use kepd::clock::{ManualClock, UtcTime};
use kepd::cms::algorithm::sha256;
use kepd::domain::evidence::EvidenceKind;
use kepd::rem::layout::{EvidencePart, Outer};
use kepd::rem::{message, notice};
use kepd::seal::pki::{DevPki, KeyAlgorithm, Plan};
use kepd::seal::tsa::{LocalTransport, SystemNonces};
use kepd::seal::{DevAuthority, SealKey, Sealer, TimestampClient, TrustStore};
use serde_json::Value;
use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

pub(super) fn kepctl(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kepctl"));
    command.env_remove("KEPD_SOCKET").args(args).output().unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn text(octets: &[u8]) -> String {
    String::from_utf8(octets.to_vec()).unwrap()
}

#[test]
fn usage_is_2_and_no_daemon_is_1() {
    for args in [
        &["tenant"][..],
        &["tenant", "ad"],
        &["nonsense"],
        &["job", "approve", "no-id", "--as", "a@b"],
        &["rule", "add", "t", "r", "--step", "no days"],
    ] {
        let out = kepctl(args);
        assert_eq!(code(&out), 2, "{args:?}");
        assert!(!out.stderr.is_empty() && out.stdout.is_empty());
    }
    let out = kepctl(&["--socket", "/nonexistent/control.sock", "tenant", "list"]);
    assert_eq!(code(&out), 1);
    let why = text(&out.stderr);
    assert!(
        why.contains("/nonexistent/control.sock") && why.lines().count() == 1,
        "{why}"
    );
    for page in [&["man"][..], &["completions", "bash"]] {
        let out = kepctl(page);
        assert_eq!(code(&out), 0);
        assert!(text(&out.stdout).contains("kepctl"));
    }
    let dir = tempfile::tempdir().unwrap();
    let out = kepctl(&["man", "--out", dir.path().to_str().unwrap()]);
    assert_eq!(code(&out), 0);
    let page = std::fs::read_to_string(dir.path().join("kepctl-role-remove.1")).unwrap();
    assert!(page.contains("Refused while a rule names it"), "{page}");
}

/// A daemon on free ports; killed when dropped, if it is still there.
pub(super) struct Daemon(pub(super) Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts `kepd serve` and waits until it says that it is ready.
pub(super) fn start(data: &Path) -> Daemon {
    use std::io::BufRead as _;
    let mut command = Command::new(env!("CARGO_BIN_EXE_kepd"));
    command.args(["serve", "--config"]).arg(data.join("kepd.toml"));
    command.env("RUST_LOG", "info").stderr(Stdio::piped());
    let mut daemon = Daemon(command.spawn().unwrap());
    let mut log = std::io::BufReader::new(daemon.0.stderr.take().unwrap());
    let mut seen = String::new();
    while !seen.contains("ready") {
        let before = seen.len();
        log.read_line(&mut seen).unwrap();
        assert!(seen.len() > before, "the daemon ended: {seen}");
    }
    // Its log must go somewhere, or it would wait for us.
    std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
    daemon
}

#[test]
fn a_provider_is_made_checked_served_and_told_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("hs01");
    let kepd = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kepd"));
        command.args(args).output().unwrap()
    };
    let name = data.to_str().unwrap();
    let init = [
        "init",
        "--data",
        name,
        "--domain",
        "hs01.kep.test",
        "--ports",
        "free",
    ];
    assert_eq!(code(&kepd(&init)), 0);
    assert_eq!(code(&kepd(&init)), 1);
    let config = data.join("kepd.toml");
    let check = kepd(&["check", "--config", config.to_str().unwrap()]);
    assert_eq!(code(&check), 0, "{}", text(&check.stderr));
    assert!(text(&check.stdout).contains("domain = \"hs01.kep.test\""));
    assert_eq!(code(&kepd(&["check", "--config", "/nonexistent/kepd.toml"])), 1);

    let mut daemon = start(&data);
    let ports: Value = serde_json::from_slice(&std::fs::read(data.join("ports.json")).unwrap()).unwrap();
    let socket = ports["control"].as_str().unwrap();
    let say = |args: &[&str]| kepctl(&[&["--socket", socket], args].concat());

    let added = say(&["tenant", "add", "ornekas", "--title", "Örnek A.Ş."]);
    assert_eq!(code(&added), 0, "{}", text(&added.stderr));
    let listed = say(&["--json", "tenant", "list"]);
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!(listed[0]["title"], "Örnek A.Ş.");
    let again = say(&["tenant", "add", "ornekas"]);
    assert_eq!(code(&again), 1);
    assert!(text(&again.stderr).contains("already") && again.stdout.is_empty());

    let mut with_password = Command::new(env!("CARGO_BIN_EXE_kepctl"));
    with_password
        .args(["officer", "add", "mudur@ornekas", "--password-file", "-"])
        .env("KEPD_SOCKET", socket)
        .stdin(Stdio::piped())
        .stdout(Stdio::null());
    let mut running = with_password.spawn().unwrap();
    running
        .stdin
        .take()
        .unwrap()
        .write_all("uzun bir parola\n".as_bytes())
        .unwrap();
    assert!(running.wait().unwrap().success());
    let table = say(&["officer", "list", "ornekas"]);
    assert!(text(&table.stdout).contains("mudur@ornekas"));

    // Its own profile is what another provider imports.
    let profile: Value = serde_json::from_slice(&say(&["peer", "export"]).stdout).unwrap();
    assert_eq!(profile["domain"], "hs01.kep.test");
    assert_eq!(profile["seal_sha256"][0].as_str().unwrap().len(), 64);

    let stopped = Command::new("kill")
        .arg(daemon.0.id().to_string())
        .status()
        .unwrap();
    assert!(stopped.success());
    assert!(daemon.0.wait().unwrap().success());
    assert!(!Path::new(socket).exists());
}

const EVIDENCE: &str = include_str!("../schemas/samples/own-minimal-submission-acceptance.xml");

const NOW: UtcTime = UtcTime::from_unix_s(1_795_466_705);

/// A provider's seal, its trust material in `trust/`.
fn sealer(dir: &Path) -> Sealer {
    let now = NOW;
    let pki = DevPki::generate(&Plan {
        domain: "hs01.kep.test".parse().unwrap(),
        seal_address: "kep@hs01.kep.test".parse().unwrap(),
        dns_names: vec!["hs01.kep.test".into()],
        not_before: now.minus(Duration::from_secs(3600)),
        not_after: now.plus(Duration::from_secs(86_400)),
        seal_key: KeyAlgorithm::P256,
    })
    .unwrap();
    let mut trust = TrustStore::new();
    trust.add_pem_text(&pki.ca.certificate_pem).unwrap();
    let authority = DevAuthority::new(
        SealKey::from_pem(&pki.tsa.key_pem).unwrap(),
        pki.tsa.certificate().unwrap(),
    );
    let transport = LocalTransport::new(authority.unwrap(), Arc::new(ManualClock::at(now)), 1);
    let stamps = TimestampClient::new(Arc::new(transport), Arc::new(SystemNonces), Arc::new(trust));
    let key = SealKey::from_pem(&pki.seal.key_pem).unwrap();
    std::fs::create_dir(dir.join("trust")).unwrap();
    std::fs::write(dir.join("trust/ca.pem"), &pki.ca.certificate_pem).unwrap();
    Sealer::new(key, vec![pki.seal.certificate().unwrap()], stamps).unwrap()
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(future)
}

fn sealed(sealer: &Sealer) -> Vec<u8> {
    wait(sealer.seal_evidence(EVIDENCE.as_bytes(), NOW)).unwrap()
}

/// An evidence message around the document, sealed as well.
fn sealed_message(sealer: &Sealer, document: &[u8]) -> Vec<u8> {
    let outer = Outer {
        from: "kep@hs01.kep.test",
        from_display: "KEP".into(),
        reply_to: None,
        to: &[],
        cc: &[],
        subject: "Delil",
        date: NOW,
        message_id: "<2@hs01.kep.test>",
        original_message_id: None,
        rem_message_id: "<2@hs99.kep.tr>",
        original_sha256: None,
        evidence: None,
        boundary_id: Default::default(),
        digest: kepd::cms::DigestAlgorithm::Sha256,
    };
    let intro = notice::dispatch_intro("a@hs01.kep.test", "Konu", NOW, "HS01");
    let part = EvidencePart {
        kind: EvidenceKind::SubmissionAcceptanceRejection,
        xml: document,
    };
    let parts = message::build(&outer, &intro, &[part], b"<x/>");
    // As the notary does: the evidence inside is stamped, the envelope around it is not.
    let signature = wait(sealer.sign_entity(sha256(&parts.entity), NOW)).unwrap();
    parts.assemble(&signature)
}

#[test]
fn a_message_is_verified_with_all_that_is_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let sealer = sealer(dir.path());
    let message = sealed_message(&sealer, &sealed(&sealer));
    let file = dir.path().join("evidence.eml");
    std::fs::write(&file, &message).unwrap();
    let name = file.to_str().unwrap();
    let good = kepctl(&["--json", "evidence", "verify", name]);
    assert_eq!(code(&good), 0, "{}{}", text(&good.stdout), text(&good.stderr));
    let findings: Value = serde_json::from_slice(&good.stdout).unwrap();
    assert_eq!(findings.as_array().unwrap().len(), 2);
    assert!(findings[1]["file"].as_str().unwrap().ends_with("(evidence 1)"));

    // The words a person reads are under the envelope's signature, the evidence keeps its own.
    let at = message.windows(9).position(|w| w == b"text/html").unwrap();
    let mut changed = message.clone();
    changed[at] ^= 0x20;
    std::fs::write(&file, &changed).unwrap();
    let bad = kepctl(&["--json", "evidence", "verify", name]);
    assert_eq!(code(&bad), 1);
    let findings: Value = serde_json::from_slice(&bad.stdout).unwrap();
    assert!(findings[0]["signature"].as_str().unwrap().starts_with("failed: "));
    assert_eq!(findings[1]["ok"], true);

    // Nothing covers the outer header but what the evidence states.
    let named = b"X-REM-Message-Identifier: <2@";
    let at = message.windows(named.len()).position(|w| w == named).unwrap() + named.len() - 2;
    let mut changed = message.clone();
    changed[at] = b'3';
    std::fs::write(&file, &changed).unwrap();
    let bad = kepctl(&["--json", "evidence", "verify", name]);
    assert_eq!(code(&bad), 1);
    let findings: Value = serde_json::from_slice(&bad.stdout).unwrap();
    let said = findings[0]["schema"].as_str().unwrap();
    assert!(
        said.starts_with("failed: the outer header is not what the evidence states"),
        "{said}"
    );
    assert_eq!(findings[0]["signature"], "ok");
}

#[test]
fn evidence_is_verified_from_its_file_and_one_octet_tells() {
    let dir = tempfile::tempdir().unwrap();
    let document = sealed(&sealer(dir.path()));
    std::fs::create_dir(dir.path().join("evidence")).unwrap();
    let file = dir.path().join("evidence/01.xml");
    std::fs::write(&file, &document).unwrap();
    let name = file.to_str().unwrap();

    // The trust folder of the bundle is found by itself.
    let good = kepctl(&["evidence", "verify", name, "--offline"]);
    assert_eq!(code(&good), 0, "{}{}", text(&good.stdout), text(&good.stderr));
    for finding in ["schema: ok", "signature: ok", "trust: ok", "timestamp: ok"] {
        assert!(text(&good.stdout).contains(finding), "{}", text(&good.stdout));
    }

    // On a day after the end of the authority's certificate it needs an evidence record, and has none.
    let [on_its_day, later] =
        ["2026-11-23", "2099-01-01"].map(|day| kepctl(&["evidence", "verify", name, "--at", day]));
    assert_eq!(code(&on_its_day), 0, "{}", text(&on_its_day.stdout));
    assert_eq!(code(&later), 1);
    let said = "timestamp: unknown: the time-stamp by itself was good until ";
    assert!(text(&later.stdout).contains(said), "{}", text(&later.stdout));
    let no_day = kepctl(&["evidence", "verify", name, "--at", "bugün"]);
    assert_eq!(code(&no_day), 1);
    assert!(text(&no_day.stderr).contains("--at takes a day like 2046-11-26"));

    // Away from its bundle nothing says whom to trust.
    let alone = tempfile::tempdir().unwrap();
    let copy = alone.path().join("copy.xml");
    std::fs::write(&copy, &document).unwrap();
    let unknown = kepctl(&["--json", "evidence", "verify", copy.to_str().unwrap()]);
    assert_eq!(code(&unknown), 1);
    let findings: Value = serde_json::from_slice(&unknown.stdout).unwrap();
    assert_eq!(findings[0]["signature"], "ok");
    assert!(findings[0]["trust"].as_str().unwrap().starts_with("unknown: "));
    let trust = dir.path().join("trust");
    let named = kepctl(&[
        "evidence",
        "verify",
        copy.to_str().unwrap(),
        "--trust",
        trust.to_str().unwrap(),
    ]);
    assert_eq!(code(&named), 0);

    // One octet of the text that a person reads.
    let at = text(&document).find("EventTime>2").unwrap() + "EventTime>".len();
    let mut changed = document.clone();
    changed[at + 3] ^= 1;
    std::fs::write(&file, &changed).unwrap();
    let bad = kepctl(&["evidence", "verify", copy.to_str().unwrap(), name]);
    assert_eq!(code(&bad), 1);
    assert!(
        text(&bad.stdout).contains("signature: failed: "),
        "{}",
        text(&bad.stdout)
    );

    std::fs::write(&file, b"From: a@b\r\n\r\nno envelope\r\n").unwrap();
    let other = kepctl(&["evidence", "verify", name]);
    assert_eq!(code(&other), 1);
    assert!(text(&other.stdout).contains("schema: failed: the message is not multipart/signed"));
    assert_eq!(code(&kepctl(&["evidence", "verify", "/nonexistent.xml"])), 1);
}
