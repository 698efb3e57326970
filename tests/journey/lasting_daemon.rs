//! A real daemon whose certificates name a place on a socket of this test: its evidence becomes lasting, and what it exports
//! is judged when daemon and place are gone.

use crate::kepctl::kepctl;
use crate::office::authority;
use crate::sealing::write_secret;
use kepd::clock::SystemClock;
use kepd::cms::RevocationValues;
use kepd::rem::open::{self, Opened};
use kepd::seal::TrustStore;
use kepd::seal::lasting::{Certified, Outcome, Stood};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::net::TcpListener;

/// What stands in the folder `revocation` of a bundle.
fn values_of(bundle: &Path) -> RevocationValues {
    let mut values = RevocationValues::default();
    for file in std::fs::read_dir(bundle.join("revocation")).unwrap() {
        let path = file.unwrap().path();
        let octets = std::fs::read(&path).unwrap();
        match path.extension().and_then(|e| e.to_str()) {
            Some("crl") => values.crls.push(octets),
            Some("ors") => values.ocsp.push(octets),
            _ => {}
        }
    }
    values
}

#[test]
fn a_daemon_makes_its_evidence_lasting_and_the_bundle_needs_nobody_any_more() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", 0))).unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let (made, office) = authority("hs01.kep.test", &base, Arc::new(SystemClock));
    runtime.spawn(office.clone().serve(listener));

    let mut provider = crate::sealing::Provider::fresh();
    let file = |name: &str| provider.data().join("pki").join(name);
    std::fs::write(file("ca.pem"), &made.ca.certificate_pem).unwrap();
    for (name, credential) in [("seal", &made.seal), ("tsa", &made.tsa)] {
        std::fs::write(file(&format!("{name}.pem")), &credential.certificate_pem).unwrap();
        write_secret(&file(&format!("{name}.key")), credential.key_pem.as_bytes());
    }
    for (from, to) in [
        ("grace = \"1d\"", "grace = \"0s\""),
        ("allow_networks = []", "allow_networks = [\"127.0.0.0/8\"]"),
        ("lasting_delay = \"1d\"", "lasting_delay = \"0s\""),
    ] {
        provider.set(from, to);
    }
    provider.start();
    provider.people();
    provider.mail("kalici");

    // Every evidence of the mail is lasting, and what was issued is something else.
    let shown = provider.until(|p| {
        let listed = p.kepctl(&["evidence", "list", "ornekas"]).ok()?;
        let each = listed.as_array()?.iter().map(|e| {
            let id = e["evidence"].as_str()?;
            p.kepctl(&["evidence", "show", "ornekas", id]).ok()
        });
        let all: Option<Vec<_>> = each.collect();
        all.filter(|all| all.len() >= 2 && all.iter().all(|e| e["level"] == "B-LT"))
    });
    for evidence in &shown {
        assert_ne!(evidence["sha256"], evidence["document_sha256"]);
    }
    let metrics = provider.until(|p| Some(p.metrics()).filter(|m| m.contains("\nkepd_lasting_owed 0\n")));
    for line in [
        "kepd_lasting_late 0",
        "kepd_lasting_oldest_seconds 0",
        "kepd_lasting_revoked_total 0",
    ] {
        assert!(metrics.contains(&format!("\n{line}\n")), "{line} in {metrics}");
    }

    let search = [
        "mail",
        "search",
        "ornekas",
        "--as",
        "mudur@ornekas",
        "--subject",
        "kalici",
    ];
    let mail = provider.kepctl(&search).unwrap();
    let mail = mail[0]["mail"].as_str().unwrap().to_owned();
    let out = provider.at("out");
    std::fs::create_dir(&out).unwrap();
    provider
        .kepctl(&["mail", "export", &mail, "--out", out.to_str().unwrap()])
        .unwrap();
    // The daemon ends and the office closes: from here on there are only files.
    if let Some(mut daemon) = provider.daemon.take() {
        daemon.kill().unwrap();
        daemon.wait().unwrap();
    }
    office.open.store(false, Ordering::Relaxed);
    drop(runtime);
    let bundle = out.join(&mail);
    let verified = kepctl(&["--json", "evidence", "verify", bundle.to_str().unwrap()]);
    let said = String::from_utf8_lossy(&verified.stdout).into_owned();
    assert!(verified.status.success(), "{said}");
    assert!(said.contains("\"B-LT\""), "{said}");

    let mut trust = TrustStore::new();
    trust.add_path(&bundle.join("trust")).unwrap();
    let valid = |certified: Certified, values: &RevocationValues| {
        let judged = certified.judge(&trust, Some(values), Duration::ZERO);
        assert!(matches!(judged, Outcome::Final(proof) if proof.stood == Stood::Valid));
    };
    let mut files: Vec<PathBuf> = std::fs::read_dir(bundle.join("evidence"))
        .unwrap()
        .map(|f| f.unwrap().path())
        .collect();
    files.sort();
    assert!(files.len() >= 2);
    for file in files {
        let certified = Certified::of_evidence(&std::fs::read(file).unwrap()).unwrap();
        let own = certified.values().clone();
        valid(certified, &own);
    }
    let dispatch = std::fs::read(bundle.join("dispatch.eml")).unwrap();
    let (_, opened) = open::open_octets(&dispatch);
    let Ok(Opened::Dispatch { sealed, .. }) = opened else {
        panic!()
    };
    let seal = Certified::of_seal(&sealed.signature_der).unwrap();
    assert!(seal.values().is_empty());
    valid(seal, &values_of(&bundle));
}
