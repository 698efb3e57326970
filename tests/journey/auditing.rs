//! The audit record: sealed day by day, and whatever is done to it afterwards is found.

use crate::provider::Provider;
use crate::road::pair;
use kepd::clock::Clock as _;
use kepd::domain::schedule::next_night;
use kepd::service::auditing::{AuditBook, Auditing};
use kepd::service::identity::{Credentials, Published};
use kepd::store::db::Batch;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;

fn auditing(p: &Provider) -> Auditing {
    let credentials = Credentials {
        trust_pem: crate::provider::pki("hs01.kep.test").ca.certificate_pem.clone(),
        ..Credentials::default()
    };
    Auditing {
        book: Arc::new(AuditBook {
            db: p.db.clone(),
            spool: p.spool.clone(),
            published: Published::of(credentials),
        }),
        clock: p.clock.clone(),
        sealer: p.notary.sealer.clone(),
        identity: p.identity.clone(),
    }
}

fn turn_to_the_next_night(p: &Provider) {
    let now = p.clock.now();
    p.clock.advance(now.until(next_night(now)));
}

/// Keys and rows of the audit record, as they lie in the store.
fn rows(p: &Provider) -> Vec<(Vec<u8>, Vec<u8>)> {
    let all = p.db.range(b"t", b"u", 1_000_000).unwrap();
    all.into_iter()
        .filter(|(key, _)| key.get(5..7) == Some(b"au"))
        .collect()
}

async fn with(p: &Provider, change: impl FnOnce(&mut Batch)) {
    let mut batch = Batch::new();
    change(&mut batch);
    p.db.commit(batch).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_is_sealed_and_every_change_behind_it_is_found() {
    let pair = pair().await;
    let p = &pair.hs01;
    let auditing = auditing(p);
    assert_eq!(auditing.run_due().await.unwrap(), 1);
    assert_eq!(auditing.run_due().await.unwrap(), 0, "the day is not over");
    let found = auditing.book.verify().await.unwrap();
    assert!(found.is_ok(), "{found:?}");
    let sealed = found.segments[0].checked.as_ref().unwrap().records;
    assert_eq!((sealed, found.open_records), (rows(p).len(), 0));
    assert!(sealed > 5, "units, roles, users: {sealed}");
    p.add_person("user7").await;
    assert!(auditing.book.verify().await.unwrap().open_records > 0);
    turn_to_the_next_night(p);
    assert_eq!(auditing.run_due().await.unwrap(), 1);
    turn_to_the_next_night(p);
    assert_eq!(
        auditing.run_due().await.unwrap(),
        1,
        "a day without records has its segment"
    );
    let found = auditing.book.verify().await.unwrap();
    assert!(
        found.is_ok() && found.segments.len() == 3 && found.open_records == 0,
        "{found:?}"
    );

    let good = rows(p);
    let [(first, one), (second, other)] = [&good[1], &good[2]].map(Clone::clone);
    let told = async || -> Vec<String> {
        let found = auditing.book.verify().await.unwrap();
        assert!(
            !found.is_ok() && found.segments.iter().all(|s| s.is_ok()),
            "the segments still hold"
        );
        found.differences
    };
    with(p, |b| {
        b.delete(first.clone());
    })
    .await;
    assert!(told().await[0].starts_with("the store has lost the record of commit "));
    with(p, |b| {
        b.put(first.clone(), other.clone());
    })
    .await;
    assert!(told().await[0].starts_with("the store has another record at commit "));
    with(p, |b| {
        b.put(second.clone(), one.clone());
    })
    .await;
    assert_eq!(told().await.len(), 2, "two that changed places");
    with(p, |b| {
        b.put(first.clone(), one.clone());
        b.put(second, other);
        let mut added = first.clone();
        let last = added.len() - 1;
        added[last] = 9;
        b.put(added, one);
    })
    .await;
    assert!(told().await[0].starts_with("the store has a record that was not sealed: commit "));
}

fn kepctl(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kepctl"))
        .args(args)
        .output()
        .unwrap()
}

fn openssl_accepts(folder: &Path, name: &str) -> bool {
    let done = Command::new("openssl")
        .current_dir(folder)
        .args([
            "cms",
            "-verify",
            "-binary",
            "-inform",
            "DER",
            "-purpose",
            "any",
            "-no_check_time",
        ])
        .args([
            "-in",
            &format!("{name}.p7s"),
            "-content",
            &format!("{name}.jsonl"),
        ])
        .args(["-CAfile", "trust/provider.pem", "-out", "/dev/null"])
        .output()
        .unwrap();
    done.status.success()
}

#[tokio::test(flavor = "multi_thread")]
async fn exported_segments_hold_for_openssl_and_for_the_tool_alone() {
    let pair = pair().await;
    let p = &pair.hs01;
    let auditing = auditing(p);
    for n in 0..3 {
        p.add_person(&format!("user{n}")).await;
        auditing.run_due().await.unwrap();
        turn_to_the_next_night(p);
    }
    let out = pair.dir.path().join("audit");
    assert_eq!(auditing.book.export(&out).await.unwrap(), 3);
    let from = out.to_str().unwrap();
    let good = kepctl(&["--json", "audit", "verify", "--from", from]);
    assert!(good.status.success(), "{}", String::from_utf8_lossy(&good.stdout));
    for name in ["000001", "000002", "000003"] {
        assert!(openssl_accepts(&out, name), "{name}");
    }
    let verdicts = || -> Vec<(String, String)> {
        let said = kepctl(&["--json", "audit", "verify", "--from", from]);
        assert_eq!(said.status.code(), Some(1));
        let list: Vec<serde_json::Value> = serde_json::from_slice(&said.stdout).unwrap();
        let word = |v: &serde_json::Value, name: &str| v[name].as_str().unwrap().to_owned();
        list.iter()
            .map(|v| (word(v, "chain"), word(v, "signature")))
            .collect()
    };
    // One word of one record.
    let file = out.join("000002.jsonl");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replacen("user1", "user9", 1)).unwrap();
    let found = verdicts();
    assert!(
        found[1].0.contains("the chain breaks here") && found[1].1.starts_with("failed"),
        "{found:?}"
    );
    assert!(!openssl_accepts(&out, "000002"));
    assert_eq!(
        (found[0].0.as_str(), found[2].0.as_str()),
        ("ok", "ok"),
        "told once, where it is"
    );
    std::fs::write(&file, &text).unwrap();
    // A segment that is left out.
    std::fs::remove_file(&file).unwrap();
    let found = verdicts();
    assert!(
        found.len() == 2 && found[1].0.contains("the chain breaks here"),
        "{found:?}"
    );
}
