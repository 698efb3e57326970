//! The daemon's binary as a user starts it: the demo walks the road over real sockets, and one folder has one daemon.

use crate::kepctl::{kepctl, start};
use serde_json::{Value, json as value};
use std::path::Path;
use std::process::{Command, Stdio};

const KEPD: &str = env!("CARGO_BIN_EXE_kepd");

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn the_demo_walks_the_road_and_leaves_what_it_promises() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("d");
    let out = Command::new(KEPD)
        .args(["demo", "--exit", "--json", "--accounts", "1", "--data"])
        .arg(&data)
        .env("RUST_LOG", "warn")
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    let steps: Vec<Value> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert!(out.status.success(), "{text}");
    let numbers: Vec<u64> = steps.iter().map(|s| s["step"].as_u64().unwrap()).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7, 8]);
    assert!(steps.iter().all(|s| s["ok"] == true), "{text}");

    for provider in ["hs01", "hs02"] {
        let folder = data.join(provider);
        for file in ["kepd.toml", "ca.pem"] {
            assert!(folder.join(file).is_file(), "{provider}/{file}");
        }
        let ports = json(&folder.join("ports.json"));
        for door in [
            "submission_tls",
            "submission",
            "relay",
            "imap_tls",
            "imap",
            "metrics",
        ] {
            assert!(ports[door].as_u64().is_some_and(|p| p > 0), "{provider} {door}");
        }
        assert!(ports["control"].is_string());
        let credentials = json(&folder.join("credentials.json"));
        let person = credentials
            .as_array()
            .unwrap()
            .iter()
            .find(|c| c["role"] == "gercek")
            .unwrap();
        let address = format!("user1@{provider}.kep.test");
        assert_eq!(
            (&person["address"], &person["login"]),
            (&address.clone().into(), &address.into())
        );
    }

    let bundles: Vec<_> = std::fs::read_dir(data.join("out"))
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    let [bundle] = bundles.as_slice() else {
        panic!("{bundles:?}")
    };
    let kinds: Vec<&str> = [
        "01-SubmissionAcceptanceRejection.xml",
        "02-RelayREMMDAcceptanceRejection.xml",
        "03-DeliveryNonDeliveryToRecipient.xml",
        "04-RetrievalNonRetrievalByRecipient.xml",
    ]
    .to_vec();
    assert!(kinds.iter().all(|k| bundle.join("evidence").join(k).is_file()));
    let approvals = json(&bundle.join("approvals.json"));
    let routes: Vec<_> = approvals
        .as_array()
        .unwrap()
        .iter()
        .map(|d| (&d["actor"], &d["route"]))
        .collect();
    assert_eq!(routes.len(), 3);
    assert!(routes.iter().all(|(_, route)| *route == "folder"), "{routes:?}");
    the_evidence_of_a_mail_is_listed(&data, bundle);
    a_bundle_is_judged_as_a_whole(bundle);
}

/// The tool asks a daemon on what the demo left: the documents of the bundle, and no others.
fn the_evidence_of_a_mail_is_listed(data: &Path, bundle: &Path) {
    let _daemon = start(&data.join("hs01"));
    let ports = json(&data.join("hs01/ports.json"));
    let socket = ports["control"].as_str().unwrap();
    let mail = bundle.file_name().unwrap().to_str().unwrap();
    let asked = [
        "--socket", socket, "--json", "evidence", "list", "ornekas", "--mail", mail,
    ];
    let said = kepctl(&asked);
    assert!(said.status.success(), "{said:?}");
    let listed: Vec<Value> = serde_json::from_slice(&said.stdout).unwrap();
    let told = |e: &Value| (e["kind"].clone(), e["event"].clone(), e["recipient"].clone());
    let about = |kind, event| (value!(kind), value!(event), value!("alici@hs02.kep.test"));
    let submission = ("SubmissionAcceptanceRejection", "Acceptance");
    let wanted = [
        (value!(submission.0), value!(submission.1), Value::Null),
        about("RelayREMMDAcceptanceRejection", "Acceptance"),
        about("DeliveryNonDeliveryToRecipient", "Delivery"),
        about("RetrievalNonRetrievalByRecipient", "Retrieval"),
    ];
    assert_eq!(listed.iter().map(told).collect::<Vec<_>>(), wanted);
}

/// The tool alone, on the files alone: one bundle, a folder of bundles, a file of it from standard input.
fn a_bundle_is_judged_as_a_whole(bundle: &Path) {
    let verify = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kepctl"));
        command.args(["--json", "evidence", "verify"]).args(args);
        command
            .env("LANG", "C")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        command
    };
    let heard = |out: std::process::Output| -> (bool, Vec<Value>) {
        let list = serde_json::from_slice(&out.stdout).unwrap_or_default();
        (out.status.success(), list)
    };
    let name = bundle.to_str().unwrap();
    let (ok, found) = heard(verify(&[name]).output().unwrap());
    assert!(ok, "{found:#?}");
    assert_eq!(
        (&found[0]["manifest"], &found[0]["ok"]),
        (&"ok".into(), &true.into())
    );
    assert!(found[1..].iter().all(|d| d["ok"] == true), "{found:#?}");
    // The evidence speaks of the original that lies beside it.
    let originals: Vec<&Value> = found
        .iter()
        .filter(|d| d["piece"] == "evidence")
        .map(|d| &d["original"])
        .collect();
    assert!(
        originals.len() >= 5 && originals.iter().all(|o| *o == "same"),
        "{originals:?}"
    );
    let above = bundle.parent().unwrap().to_str().unwrap();
    assert!(heard(verify(&[above]).output().unwrap()).0);

    let document = std::fs::read(bundle.join("evidence/01-SubmissionAcceptanceRejection.xml")).unwrap();
    let trust = bundle.join("trust");
    let mut piped = verify(&[
        "-",
        "--trust",
        trust.to_str().unwrap(),
        "--original",
        bundle.join("approvals.json").to_str().unwrap(),
    ])
    .spawn()
    .unwrap();
    std::io::Write::write_all(&mut piped.stdin.take().unwrap(), &document).unwrap();
    let (ok, found) = heard(piped.wait_with_output().unwrap());
    assert!(
        !ok && found[0]["original"] == "other" && found[0]["signature"] == "ok",
        "{found:#?}"
    );

    std::fs::write(bundle.join("original.eml"), b"From: a@b\r\n\r\n").unwrap();
    let (ok, found) = heard(verify(&[name]).output().unwrap());
    assert!(
        !ok && found[0]["manifest"]
            .as_str()
            .unwrap()
            .starts_with("failed: original.eml is not"),
        "{found:#?}"
    );
}

#[test]
fn a_second_daemon_on_the_same_data_is_refused_and_the_first_ends_when_told() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("p");
    let init = ["init", "--domain", "hs07.kep.test", "--ports", "free", "--data"];
    assert!(
        Command::new(KEPD)
            .args(init)
            .arg(&data)
            .output()
            .unwrap()
            .status
            .success()
    );
    let again = Command::new(KEPD).args(init).arg(&data).output().unwrap();
    assert!(!again.status.success(), "init overwrites nothing");

    let config = data.join("kepd.toml");
    let serve = || {
        let mut command = Command::new(KEPD);
        command
            .args(["serve", "--config"])
            .arg(&config)
            .env("RUST_LOG", "info")
            .stderr(Stdio::piped());
        command
    };
    let mut first = serve().spawn().unwrap();
    let mut log = std::io::BufReader::new(first.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("ready") {
        line.clear();
        assert!(
            std::io::BufRead::read_line(&mut log, &mut line).unwrap() > 0,
            "it ended before it was ready"
        );
    }
    let second = serve().output().unwrap();
    assert!(!second.status.success());
    assert!(String::from_utf8_lossy(&second.stderr).contains("in use by another process"));

    let pid = rustix::process::Pid::from_child(&first);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert!(first.wait().unwrap().success());
}
