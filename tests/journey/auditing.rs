//! The audit record: sealed day by day, and whatever is done to it afterwards is found.

use crate::provider::Provider;
use crate::road::{message, pair};
use crate::walked::ALICI;
use kepd::clock::Clock as _;
use kepd::domain::audit::{AuditRoute, Matter, Origin};
use kepd::domain::item::ItemKind;
use kepd::domain::org::UserKind;
use kepd::domain::schedule::next_night;
use kepd::seal::pki::{DevPki, KeyAlgorithm, Plan};
use kepd::seal::{Ring, SealKey, Signatory};
use kepd::service::auditing::{AuditBook, Auditing, Figures, LastText};
use kepd::service::failure::{Kind, Refusal};
use kepd::service::identity::{Credentials, Published};
use kepd::service::submission::Accepted;
use kepd::store::db::Batch;
use kepd::store::tables::audit;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

pub(super) fn auditing(p: &Provider) -> Auditing {
    let ours = crate::provider::pki("hs01.kep.test").ca.certificate_pem.clone();
    trusting(p, ours, String::new())
}

/// By whose certificates it is verified.
fn trusting(p: &Provider, trust_pem: String, past_pem: String) -> Auditing {
    let credentials = Credentials {
        trust_pem,
        past_pem,
        ..Credentials::default()
    };
    Auditing {
        book: Arc::new(AuditBook {
            db: p.db.clone(),
            spool: p.spool.clone(),
            clock: p.clock.clone(),
            published: Published::of(credentials),
            last_text: LastText::default(),
        }),
        sealer: p.notary.sealer.clone(),
        identity: p.identity.clone(),
    }
}

pub(super) fn turn_to_the_next_night(p: &Provider) {
    let now = p.clock.now();
    p.clock.advance(now.until(next_night(now)));
}

/// Keys and rows of the audit records of all tenants, as they lie in the store.
fn rows(p: &Provider) -> Vec<(Vec<u8>, Vec<u8>)> {
    let all = p.db.range(b"t", b"u", 1_000_000).unwrap();
    all.into_iter()
        .filter(|(key, _)| key.get(1..5) != Some(&[0; 4]) && key.get(5..7) == Some(b"au"))
        .collect()
}

/// Rows of a tenant but for those of its audit record.
pub(super) fn without_records(rows: &BTreeMap<Vec<u8>, Vec<u8>>) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let others = rows
        .iter()
        .filter(|(key, _)| ![b"au", b"am"].iter().any(|tag| key[5..7] == tag[..]));
    others.map(|(key, row)| (key.clone(), row.clone())).collect()
}

/// A key of the provider's as it lies in the store.
fn provider_key(p: &Provider, tag: &str, nth_last: usize) -> Vec<u8> {
    let from = format!("g{tag}").into_bytes();
    let all =
        p.db.range(&from, &kepd::store::db::prefix_end(&from), 1000)
            .unwrap();
    all[all.len() - 1 - nth_last].0.clone()
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
    let found = auditing.book.verify(None).await.unwrap();
    assert!(found.is_ok(), "{found:?}");
    let sealed = found.segments[0].checked.as_ref().unwrap().records;
    // The record that the segment was sealed is in no segment yet.
    assert_eq!((sealed, found.open_records), (rows(p).len(), 1));
    assert!(sealed > 5, "units, roles, users: {sealed}");
    let figures = Figures {
        sealed_at: Some(p.clock.now()),
        open_records: 1,
    };
    assert_eq!(auditing.book.figures().unwrap(), figures);
    p.add_person("user7").await;
    assert!(auditing.book.verify(None).await.unwrap().open_records > 0);
    turn_to_the_next_night(p);
    assert_eq!(auditing.run_due().await.unwrap(), 1);
    turn_to_the_next_night(p);
    assert_eq!(
        auditing.run_due().await.unwrap(),
        1,
        "a day without records has its segment"
    );
    let found = auditing.book.verify(None).await.unwrap();
    assert!(
        found.is_ok() && found.segments.len() == 3 && found.open_records == 1,
        "{found:?}"
    );

    let good = rows(p);
    let [(first, one), (second, other)] = [&good[1], &good[2]].map(Clone::clone);
    let told = async || -> Vec<String> {
        let found = auditing.book.verify(None).await.unwrap();
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
        b.put(added, one.clone());
    })
    .await;
    assert!(told().await[0].starts_with("a record stands outside of the order: commit "));
    with(p, |b| {
        let (tenant, place) = (&first[1..5], &first[7..15]);
        b.put([b"gao", place, tenant, &[0, 0, 0, 9]].concat(), Vec::new());
    })
    .await;
    assert!(told().await[0].starts_with("the store has a record that was not sealed: commit "));
}

/// The last segment is taken away with ever more of what tells of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_last_segment_that_is_taken_away_is_missed() {
    let pair = pair().await;
    let p = &pair.hs01;
    let auditing = auditing(p);
    for _ in 0..2 {
        turn_to_the_next_night(p);
        auditing.run_due().await.unwrap();
    }
    let before = auditing.book.verify(None).await.unwrap();
    let end = before.end.unwrap();
    assert_eq!(end.segment, 2);
    let old_head = p.db.get(b"gah").unwrap().unwrap();
    turn_to_the_next_night(p);
    auditing.run_due().await.unwrap();
    let known = auditing.book.verify(None).await.unwrap().end.unwrap();
    assert!(auditing.book.verify(Some(known)).await.unwrap().is_ok());
    assert!(auditing.book.verify(Some(end)).await.unwrap().is_ok());

    with(p, |b| {
        b.delete(provider_key(p, "as", 0));
    })
    .await;
    let told = async |known| auditing.book.verify(known).await.unwrap().differences;
    assert_eq!(told(None).await.len(), 2, "{:?}", told(None).await);
    assert!(told(None).await[1].starts_with("segment 3 was sealed and is not in the store any more"));
    // The row that says where the chain ends is put back as it was before; a record still tells of the segment.
    with(p, |b| {
        b.put(b"gah".to_vec(), old_head);
    })
    .await;
    assert_eq!(
        told(None).await,
        ["segment 3 was sealed and is not in the store any more"]
    );
    // Sealing goes on, and does not paper over it: the number stands for two.
    let lie = rows_of_provider(p).pop().unwrap();
    with(p, |b| {
        b.delete(lie.clone());
        b.delete(provider_key(p, "ao", 0));
    })
    .await;
    // Whoever takes away all of it is not found out by the store alone, but by whoever knows the last hash.
    assert!(told(None).await.is_empty());
    assert_eq!(
        told(Some(known)).await,
        ["segment 3 is not the one that is known elsewhere"]
    );
}

fn rows_of_provider(p: &Provider) -> Vec<Vec<u8>> {
    let all = p.db.range(b"t\0\0\0\0au", b"t\0\0\0\0av", 1000).unwrap();
    all.into_iter().map(|(key, _)| key).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_segment_that_was_taken_away_sealing_goes_on_and_hides_nothing() {
    let pair = pair().await;
    let p = &pair.hs01;
    let auditing = auditing(p);
    for _ in 0..2 {
        turn_to_the_next_night(p);
        auditing.run_due().await.unwrap();
    }
    with(p, |b| {
        b.delete(provider_key(p, "as", 0));
    })
    .await;
    turn_to_the_next_night(p);
    assert_eq!(auditing.run_due().await.unwrap(), 1);
    let found = auditing.book.verify(None).await.unwrap();
    assert_eq!(found.segments.len(), 2);
    let last = found.segments[1].checked.as_ref();
    assert!(last.is_none() || !found.segments[1].is_ok(), "{found:?}");
    let missing = "segment 2 was sealed and is not in the store any more".to_owned();
    assert!(found.differences.contains(&missing), "{found:?}");
    // Nor does it stop when the row that tells of the end is gone.
    with(p, |b| {
        b.delete(b"gah".to_vec());
    })
    .await;
    turn_to_the_next_night(p);
    assert_eq!(auditing.run_due().await.unwrap(), 1);
    let found = auditing.book.verify(None).await.unwrap();
    assert_eq!(found.end.unwrap().segment, 4);
    assert!(found.segments[2].is_ok(), "{found:?}");
}

/// A store with years of records, or a day with very many: no segment grows without end.
#[tokio::test(flavor = "multi_thread")]
async fn a_day_with_very_many_records_makes_several_segments() {
    let pair = pair().await;
    let p = &pair.hs01;
    let tenant = p.tenant("ornekas");
    let record = |n: u64| {
        let author = kepd::domain::audit::Author::clock();
        let what = serde_json::json!({ "n": n });
        kepd::domain::audit::AuditRecord::of_deed(p.clock.now(), author, "test", Vec::new(), &what)
    };
    for commit in 0..42u64 {
        let mut batch = Batch::new();
        for nth in 0..500 {
            audit::append(&mut batch, tenant, nth, &record(commit * 500 + u64::from(nth))).unwrap();
        }
        p.db.commit(batch).await.unwrap();
    }
    let auditing = auditing(p);
    assert_eq!(auditing.run_due().await.unwrap(), 3);
    assert_eq!(auditing.run_due().await.unwrap(), 0);
    let found = auditing.book.verify(None).await.unwrap();
    assert!(found.is_ok(), "{:?}", found.differences);
    let sizes: Vec<usize> = found
        .segments
        .iter()
        .map(|s| s.checked.as_ref().unwrap().records)
        .collect();
    // Cut where a commit ends; the records that tell of the sealing come in the next segments.
    assert!(
        sizes[0] >= 10_000 && sizes[0] < 10_500 && sizes[1] >= 10_000,
        "{sizes:?}"
    );
    let all: usize = sizes.iter().sum();
    assert_eq!(all, rows(p).len());
    assert_eq!(found.open_records, 3);
}

/// The seal's certificate and its authority are others after a year, and have ended long since when somebody asks.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_was_rolled_years_ago_still_verifies() {
    let pair = pair().await;
    let p = &pair.hs01;
    let old = crate::provider::pki("hs01.kep.test");
    let plan = Plan {
        domain: "hs01.kep.test".parse().unwrap(),
        seal_address: "kep@hs01.kep.test".parse().unwrap(),
        dns_names: vec!["localhost".into()],
        not_before: p.clock.now(),
        not_after: p.clock.now().plus(Duration::from_secs(3 * 365 * 86_400)),
        seal_key: KeyAlgorithm::P256,
    };
    let new = DevPki::generate(&plan).unwrap();
    let sealing = auditing(p);
    sealing.run_due().await.unwrap();
    p.clock.advance(Duration::from_secs(300 * 86_400));
    let key = SealKey::from_pem(&new.seal.key_pem).unwrap();
    let signatory = Signatory::new(key, vec![new.seal.certificate().unwrap()]).unwrap();
    p.notary.sealer.replace(Ring::one(signatory));
    sealing.run_due().await.unwrap();
    p.clock.advance(Duration::from_secs(10 * 365 * 86_400));

    let today_alone = trusting(p, new.ca.certificate_pem.clone(), String::new());
    let found = today_alone.book.verify(None).await.unwrap();
    assert!(!found.segments[0].trust.is_ok() && !found.is_ok(), "{found:?}");
    let of_all_times = trusting(p, new.ca.certificate_pem.clone(), old.ca.certificate_pem.clone());
    let found = of_all_times.book.verify(None).await.unwrap();
    assert!(
        found.segments.len() == 2 && found.segments.iter().all(|s| s.is_ok()),
        "{found:?}"
    );
    // Nobody seals any more: that is told, and nothing else.
    assert!(
        found.differences.len() == 1 && found.differences[0].starts_with("nothing was sealed since "),
        "{found:?}"
    );
    let out = pair.dir.path().join("audit");
    assert_eq!(of_all_times.book.export(&out, 0).await.unwrap(), 2);
    let said = kepctl(&["audit", "verify", "--from", out.to_str().unwrap()]);
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stdout));
    let signers = std::fs::read_to_string(out.join("trust/signers.pem")).unwrap();
    for pki in [&*old, &new] {
        assert!(
            signers.contains(pki.seal.certificate_pem.trim()),
            "who sealed travels along"
        );
    }
    // What came since, by itself: it stands on what is known.
    let first = found.segments[0].checked.as_ref().unwrap();
    let known = format!("1:{}", kepd::domain::audit_chain::hex(&first.last));
    let since = pair.dir.path().join("since");
    assert_eq!(of_all_times.book.export(&since, 1).await.unwrap(), 1);
    let verify = |known: &str| {
        let said = kepctl(&[
            "audit",
            "verify",
            "--from",
            since.to_str().unwrap(),
            "--known",
            known,
        ]);
        said.status.code()
    };
    assert_eq!(verify(&known), Some(0));
    assert_eq!(verify(&known.replace("1:", "2:")), Some(1));
    assert_eq!(verify(&format!("1:{}", "0".repeat(64))), Some(1));
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
    assert_eq!(auditing.book.export(&out, 0).await.unwrap(), 3);
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

#[tokio::test]
async fn who_handed_a_mail_in_and_who_read_it_first_is_on_record() {
    let pair = pair().await;
    let (p, other) = (&pair.hs01, &pair.hs02);
    let text = message("Gizli konu", ALICI);
    let sent = p.submit("mudur@ornekas", &[ALICI], &text).await.unwrap();
    let Accepted::Sent { mail } = sent else {
        panic!("{sent:?}")
    };
    pair.work().await;
    let of_mail = |p: &Provider, tenant, mail| audit::about(&*p.db, tenant, Matter::Mail(mail), 9).unwrap();
    let submitted = of_mail(p, p.tenant("ornekas"), mail);
    let (_, record) = &submitted[0];
    assert_eq!((submitted.len(), record.deed.as_str()), (1, "mail submit"));
    let mudur = p.principal("mudur@ornekas");
    assert_eq!(record.author, mudur.author(AuditRoute::Smtp));
    assert!(!format!("{record:?}").contains("Gizli") && !format!("{record:?}").contains("alici"));

    let alici = other.tenant("alici");
    other
        .add_user(alici, "kasiyer", UserKind::Officer, &[], &[])
        .await;
    let item = other
        .items("alici")
        .into_iter()
        .find(|i| i.kind == ItemKind::Incoming)
        .unwrap();
    let at = |login: &str, address: &str| {
        let from = Origin::Network(address.parse().unwrap());
        other.principal(login).at(from)
    };
    for (login, address) in [("kasiyer@alici", "192.0.2.7"), ("alici@alici", "192.0.2.8")] {
        other
            .mailboxes
            .hand_over(&at(login, address), &item)
            .await
            .unwrap();
    }
    let read = of_mail(other, alici, item.mail.unwrap());
    let (_, record) = &read[0];
    assert_eq!(
        (read.len(), record.deed.as_str()),
        (1, "mail read"),
        "the first alone"
    );
    assert_eq!(
        record.author,
        at("kasiyer@alici", "192.0.2.7").author(AuditRoute::Imap)
    );

    let refusal = Refusal {
        kind: Kind::Malformed,
        text: "Gizli konu".into(),
    };
    let header = text.as_bytes();
    let to = [ALICI.parse().unwrap()];
    p.submission
        .leave_rejection(&mudur, AuditRoute::Smtp, &to, header, &refusal)
        .await
        .unwrap();
    let (_, record) = audit::latest(&*p.db, mudur.tenant, 1).unwrap().remove(0);
    assert_eq!(record.deed, "mail submit refused");
    assert!(
        record.after.contains("Malformed") && !record.after.contains("Gizli"),
        "{record:?}"
    );
}
