//! A real daemon whose evidence shares its time-stamps: each document verifies from its file alone, and there are fewer tokens
//! than documents.

use crate::kepctl::kepctl;
use std::path::PathBuf;

#[test]
fn evidence_of_many_mails_shares_time_stamps_and_each_verifies_alone() {
    const MAILS: usize = 6;
    let mut provider = crate::sealing::Provider::fresh();
    provider.set("batch = \"0ms\"", "batch = \"1s\"");
    provider.start();
    provider.people();
    // They are handed in at once, so that what is owed for them is owed together.
    let files: Vec<PathBuf> = std::thread::scope(|scope| {
        let sending: Vec<_> = (0..MAILS)
            .map(|n| {
                let provider = &provider;
                scope.spawn(move || provider.mail(&format!("ortak{n}")))
            })
            .collect();
        sending.into_iter().flat_map(|s| s.join().unwrap()).collect()
    });
    let mut shared = 0;
    for file in files.iter().filter(|f| f.extension().is_some_and(|e| e == "xml")) {
        let (verified, _) = kepd::seal::enveloped::verify(&std::fs::read(file).unwrap()).unwrap();
        assert_eq!(verified.stamps.len() + verified.records.len(), 1);
        shared += verified.records.len();
        let anchors = provider.data().join("ca.pem");
        let said = kepctl(&[
            "evidence",
            "verify",
            file.to_str().unwrap(),
            "--trust",
            anchors.to_str().unwrap(),
        ]);
        let words = String::from_utf8_lossy(&said.stdout).into_owned();
        assert!(said.status.success(), "{words}");
        assert!(words.contains("timestamp: ok"), "{words}");
    }
    assert!(shared > MAILS, "{shared} of {} share", files.len());
    let metrics = provider.metrics();
    let tokens = metrics
        .lines()
        .find_map(|line| line.strip_prefix("kepd_timestamps_total "));
    let tokens: usize = tokens.unwrap().parse().unwrap();
    // Each mail has two documents and a dispatch, which has a token of its own.
    assert!(tokens < 3 * MAILS, "{tokens} tokens");
}
