//! The whole chain of decisions on a mail as it is exported, and the figures of jobs that were walked.

use crate::provider::{Provider, admin};
use crate::road::{message, pair};
use crate::rule_subjects::contains;
use kepd::domain::item::ItemKind;
use kepd::domain::job::{Act, Route};
use kepd::domain::rule::{Direction, Field};
use kepd::domain::schedule::DAY;
use kepd::id::{JobId, MailId};
use kepd::service::approval::DecisionAsked;
use kepd::service::gauges::Gauges;
use kepd::service::organisation::{NewStep, RuleWish};
use kepd::service::submission::Accepted;
use serde_json::Value;
use std::time::Duration;

const ALICI: &str = "alici@hs02.kep.test";
const TENANT: &str = "ornekas";

async fn decide(p: &Provider, login: &str, job: JobId, act: Act) {
    let asked = DecisionAsked {
        job,
        act,
        route: Route::Kepctl,
        note: "",
        original_sha256: None,
    };
    let by = p.principal(&format!("{login}@{TENANT}"));
    p.approval.decide(&by, asked).await.unwrap();
}

fn letter(subject: &str) -> String {
    message(subject, ALICI).replacen("MIME-Version", "Message-ID: <a@hs01.kep.test>\r\nMIME-Version", 1)
}

async fn started(p: &Provider, login: &str, text: &str) -> (MailId, JobId) {
    match p
        .submit(&format!("{login}@{TENANT}"), &[ALICI], text)
        .await
        .unwrap()
    {
        Accepted::Job { mail, job, .. } => (mail, job),
        other => panic!("{other:?}"),
    }
}

/// `approvals.json` of a mail's bundle.
async fn approvals(p: &Provider, mail: MailId) -> Vec<Value> {
    let out = tempfile::tempdir().unwrap();
    let exported = p
        .archive
        .export(p.tenant(TENANT), mail, out.path())
        .await
        .unwrap();
    let text = std::fs::read(exported.folder.join("approvals.json")).unwrap();
    serde_json::from_slice(&text).unwrap()
}

fn told(list: &[Value]) -> Vec<(String, &str, &str)> {
    let text = |d: &Value, name: &str| d[name].as_str().unwrap().to_owned();
    list.iter()
        .map(|d| {
            (
                text(d, "job_id"),
                d["actor"].as_str().unwrap(),
                d["decision"].as_str().unwrap(),
            )
        })
        .collect()
}

#[tokio::test]
async fn the_export_tells_the_decisions_of_every_attempt() {
    let pair = pair().await;
    let p = &pair.hs01;
    let (_, first) = started(p, "ayse", &letter("Fiyat teklifi")).await;
    decide(p, "onay1", first, Act::Approve).await;
    decide(p, "onay2", first, Act::Return).await;
    pair.clock.advance(Duration::from_secs(60));
    let (_, second) = started(p, "ayse", &letter("Fiyat teklifi 2")).await;
    decide(p, "onay1", second, Act::Return).await;
    let (mail, third) = started(p, "ayse", &letter("Fiyat teklifi 3")).await;
    for (login, act) in [
        ("onay1", Act::Approve),
        ("onay2", Act::Approve),
        ("mudur", Act::Release),
    ] {
        decide(p, login, third, act).await;
    }
    pair.work().await;
    let list = approvals(p, mail).await;
    let [first, second, third] = [first, second, third].map(|j| j.to_string());
    let wanted = [
        (first.clone(), "onay1@ornekas", "approve"),
        (first.clone(), "onay2@ornekas", "return"),
        (first, "ayse@ornekas", "resubmit"),
        (second.clone(), "onay1@ornekas", "return"),
        (second, "ayse@ornekas", "resubmit"),
        (third.clone(), "onay1@ornekas", "approve"),
        (third.clone(), "onay2@ornekas", "approve"),
        (third, "mudur@ornekas", "release"),
    ];
    assert_eq!(told(&list), wanted);
    // Each attempt by the digest of its own octets; the last is what was sent.
    let digests: Vec<&str> = list
        .iter()
        .map(|d| d["original_sha256"].as_str().unwrap())
        .collect();
    assert!(digests[0] == digests[2] && digests[3] == digests[4] && digests[5] == digests[7]);
    assert!(digests[0] != digests[3] && digests[3] != digests[5]);
    assert!(
        list.windows(2)
            .all(|w| w[0]["at"].as_str() <= w[1]["at"].as_str())
    );
}

#[tokio::test]
async fn what_an_officer_sends_after_all_keeps_the_decisions_before() {
    let pair = pair().await;
    let p = &pair.hs01;
    p.organisations
        .by(admin())
        .set_tenant(p.tenant(TENANT), |t| t.officers_follow_rules = true)
        .await
        .unwrap();
    let (_, job) = started(p, "mudur", &letter("Fiyat teklifi")).await;
    decide(p, "onay1", job, Act::Return).await;
    let sent = p
        .submit("mudur@ornekas", &[ALICI], &letter("[gonder] Fiyat teklifi"))
        .await;
    let Accepted::Sent { mail } = sent.unwrap() else {
        panic!("it waits")
    };
    pair.work().await;
    let job = job.to_string();
    let wanted = [
        (job.clone(), "onay1@ornekas", "return"),
        (job, "mudur@ornekas", "resubmit"),
    ];
    assert_eq!(told(&approvals(p, mail).await), wanted);
    // A mail of its own has none.
    let text = message("Duyuru", ALICI);
    let Accepted::Sent { mail } = p.submit("mudur@ornekas", &[ALICI], &text).await.unwrap() else {
        panic!("it waits")
    };
    pair.work().await;
    assert!(approvals(p, mail).await.is_empty());
}

#[tokio::test]
async fn the_export_of_a_received_mail_tells_what_was_decided_on_it() {
    let pair = pair().await;
    let p = &pair.hs01;
    let wish = RuleWish {
        conditions: contains(Field::Subject, "ihale"),
        steps: Some(vec![NewStep::of("Onay Rolü", 1)]),
        ..RuleWish::default()
    };
    p.organisations
        .by(admin())
        .add_rule(p.tenant(TENANT), "Gelen İhale", Direction::Incoming, &wish)
        .await
        .unwrap();
    let to = "ornekas@hs01.kep.test";
    for subject in ["ihale", "selam"] {
        let text = message(subject, to).replace("Ornek <ornekas@hs01.kep.test>", ALICI);
        pair.hs02.submit("alici@alici", &[to], &text).await.unwrap();
    }
    pair.work().await;
    let items = p.items(TENANT);
    let received = || items.iter().filter(|i| i.kind == ItemKind::Incoming);
    let asked = received().find(|i| i.job.is_some()).unwrap();
    let plain = received().find(|i| i.job.is_none()).unwrap();
    let job = asked.job.as_ref().unwrap().id;
    decide(p, "onay1", job, Act::Approve).await;
    let list = approvals(p, asked.mail.unwrap()).await;
    assert_eq!(told(&list), [(job.to_string(), "onay1@ornekas", "approve")]);
    assert_eq!(
        (&list[0]["rule"], &list[0]["role"], &list[0]["step"]),
        (&"Gelen İhale".into(), &"Onay Rolü".into(), &1.into())
    );
    let original = {
        let out = tempfile::tempdir().unwrap();
        let exported = p
            .archive
            .export(p.tenant(TENANT), asked.mail.unwrap(), out.path())
            .await;
        exported.unwrap().original_sha256
    };
    assert_eq!(list[0]["original_sha256"], original);
    assert!(approvals(p, plain.mail.unwrap()).await.is_empty());
}

#[tokio::test]
async fn figures_of_jobs_tell_what_waits_is_late_and_how_long_it_took() {
    let pair = pair().await;
    let p = &pair.hs01;
    let tenant = p.tenant(TENANT);
    let text = |n: u32| message(&format!("Teklif {n}"), ALICI);
    let begin = pair.clock_now();
    // One is decided in an hour and an hour; one is late at step 1, and decided in two days; one waits and is late.
    let (_, quick) = started(p, "ayse", &text(1)).await;
    let (_, slow) = started(p, "ayse", &text(2)).await;
    let (_, _open) = started(p, "ayse", &text(3)).await;
    pair.clock.advance(Duration::from_secs(3600));
    decide(p, "onay1", quick, Act::Approve).await;
    pair.clock.advance(Duration::from_secs(3600));
    decide(p, "onay2", quick, Act::Approve).await;
    decide(p, "mudur", quick, Act::Release).await;
    pair.clock.advance(DAY * 2 - Duration::from_secs(7200));
    pair.work().await;
    decide(p, "onay1", slow, Act::Reject).await;
    let (_, _young) = started(p, "ayse", &text(4)).await;
    let gauges = Gauges {
        db: p.db.clone(),
        accounts: p.accounts.clone(),
        unindexed: None,
        stamps: None,
        further: Vec::new(),
    };
    let gauges = gauges.read().unwrap();
    let gauge = |name: &str| gauges.iter().find(|g| g.name == name).unwrap().value;
    assert_eq!((gauge("kepd_jobs_waiting"), gauge("kepd_jobs_late")), (2, 1));

    let figures = p.approval.figures(tenant, None).await.unwrap();
    assert_eq!(figures.0.len(), 1);
    let of_rule = figures.0.values().next().unwrap();
    assert_eq!(of_rule.name, "Teklif");
    let (one, two) = (&of_rule.steps[0], &of_rule.steps[1]);
    assert_eq!((one.jobs, one.waiting, one.done, one.late), (4, 2, 2, 2));
    assert_eq!(
        (one.took.median_s(), one.took.max_s()),
        (Some(3584), Some(172_800))
    );
    assert_eq!((two.jobs, two.waiting, two.done, two.late), (1, 0, 1, 0));
    assert_eq!(two.took.mean_s(), Some(3600));
    let whole = &of_rule.whole;
    assert_eq!((whole.jobs, whole.waiting, whole.done, whole.late), (4, 2, 2, 2));
    assert_eq!(whole.took.mean_s(), Some((7200 + 172_800) / 2));

    let since = begin.plus(DAY);
    let figures = p.approval.figures(tenant, Some(since)).await.unwrap();
    assert_eq!(figures.0.values().next().unwrap().whole.jobs, 1);
}
