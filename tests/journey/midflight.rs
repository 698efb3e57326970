//! What changes while something is under way: rights, rules and accounts count as they are when it is committed; and what
//! comes back from the dead is found, and contradicts nothing that was said meanwhile.

use crate::provider::{Provider, admin};
use crate::road::{message, pair};
use kepd::domain::audit::{AuditRoute, Matter};
use kepd::domain::item::{Filed, Item, ItemKind};
use kepd::domain::job::{Act, JobState, Route};
use kepd::domain::mail::Declared;
use kepd::domain::org::{Permission, UserKind};
use kepd::domain::rule::{Comparison, Condition, Direction, Field, Who};
use kepd::domain::tenant::{TenantKind, TenantLife};
use kepd::id::{JobId, TenantId};
use kepd::service::approval::DecisionAsked;
use kepd::service::declaring::DeclarationAsked;
use kepd::service::failure::{Failure, Kind};
use kepd::service::mailbox::Handling;
use kepd::service::organisation::{NewStep, RuleWish};
use kepd::service::submission::Accepted;
use kepd::store::tables::{audit, jobs};

const ALICI: &str = "alici@hs02.kep.test";

fn asked(job: JobId, act: Act) -> DecisionAsked<'static> {
    DecisionAsked {
        job,
        act,
        route: Route::Kepctl,
        note: "",
        original_sha256: None,
    }
}

async fn decide(p: &Provider, login: &str, job: JobId, act: Act) -> Result<JobState, Failure> {
    let by = p.principal(login);
    let decided = p.approval.decide(&by, asked(job, act)).await;
    decided.map(|job| job.standing.state)
}

/// What happens between the header and the last octet of a submission.
enum Meanwhile {
    Removed,
    MayNotCompose,
    Suspended,
    RuleRemoved,
    OtherRule,
}

async fn happen(p: &Provider, tenant: TenantId, what: &Meanwhile) {
    let changes = p.organisations.by(admin());
    match what {
        Meanwhile::Removed => drop(changes.remove_user(tenant, "ayse").await.unwrap()),
        Meanwhile::MayNotCompose => {
            let set = changes.set_permissions(tenant, "Yazan", |held| {
                held.remove(&Permission::Compose);
            });
            drop(set.await.unwrap());
        }
        Meanwhile::Suspended => {
            let set = changes.set_tenant(tenant, |t| t.life = TenantLife::Suspended);
            drop(set.await.unwrap());
        }
        Meanwhile::RuleRemoved => drop(changes.remove_rule(tenant, "Teklif").await.unwrap()),
        Meanwhile::OtherRule => {
            let wish = RuleWish {
                conditions: Some(vec![Condition {
                    field: Field::Subject,
                    comparison: Comparison::Contains,
                    text: "teklif".into(),
                }]),
                steps: Some(vec![NewStep::of("Onay Rolü2", 1)]),
                ..RuleWish::default()
            };
            let add = changes.add_rule(tenant, "Yeni", Direction::Outgoing, &wish);
            add.await.unwrap();
            drop(changes.remove_rule(tenant, "Teklif").await.unwrap());
        }
    }
}

#[tokio::test]
async fn rights_and_rules_count_as_they_are_when_a_submission_is_committed() {
    for (what, kind) in [
        (Meanwhile::Removed, Some(Kind::NoPermission)),
        (Meanwhile::MayNotCompose, Some(Kind::NoPermission)),
        (Meanwhile::Suspended, Some(Kind::AccountClosed)),
        (Meanwhile::RuleRemoved, None),
    ] {
        let pair = pair().await;
        let p = &pair.hs01;
        let tenant = p.tenant("ornekas");
        let by = p.principal("ayse@ornekas");
        let mut receiving = p.submission.begin(&by, vec![ALICI.parse().unwrap()]);
        receiving
            .write(message("Fiyat teklifi", ALICI).as_bytes())
            .await
            .unwrap();
        happen(p, tenant, &what).await;
        match (receiving.finish().await, kind) {
            (Err(Failure::Refused(refused)), Some(kind)) => assert_eq!(refused.kind, kind),
            // It was to wait for approval; now no rule catches it. It is neither sent nor kept: the client tries again.
            (Err(Failure::Unavailable(_)), None) => {}
            other => panic!("{other:?}"),
        }
        let kept = p.items("ornekas");
        assert!(kept.iter().all(|i| i.kind == ItemKind::Notice), "{kept:?}");
    }
}

#[tokio::test]
async fn a_rule_that_came_meanwhile_is_the_one_that_counts() {
    let pair = pair().await;
    let p = &pair.hs01;
    let by = p.principal("ayse@ornekas");
    let mut receiving = p.submission.begin(&by, vec![ALICI.parse().unwrap()]);
    receiving
        .write(message("Fiyat teklifi", ALICI).as_bytes())
        .await
        .unwrap();
    happen(p, p.tenant("ornekas"), &Meanwhile::OtherRule).await;
    match receiving.finish().await.unwrap() {
        Accepted::Job { rule, .. } => assert_eq!(rule, "Yeni"),
        other => panic!("{other:?}"),
    }
}

async fn waiting(p: &Provider) -> JobId {
    let text = message("Fiyat teklifi", ALICI);
    match p.submit("ayse@ornekas", &[ALICI], &text).await.unwrap() {
        Accepted::Job { job, .. } => job,
        other => panic!("{other:?}"),
    }
}

fn item_of(p: &Provider, job: JobId) -> Item {
    let tenant = p.tenant("ornekas");
    let id = jobs::job(&*p.db, tenant, job).unwrap().unwrap().row.item;
    p.items("ornekas").into_iter().find(|i| i.id == id).unwrap()
}

#[tokio::test]
async fn a_job_that_comes_back_is_not_left_in_the_bin() {
    let pair = pair().await;
    let p = &pair.hs01;
    let job = waiting(p).await;
    decide(p, "onay1@ornekas", job, Act::Reject).await.unwrap();
    let ayse = p.principal("ayse@ornekas");
    let item = item_of(p, job).id;
    p.mailboxes
        .handle(&ayse, &[item], Handling::Trash, AuditRoute::Imap)
        .await
        .unwrap();
    assert!(matches!(item_of(p, job).trashed, Some(Filed { by, .. }) if by == ayse.user));
    decide(p, "onay1@ornekas", job, Act::Undo).await.unwrap();
    assert_eq!(item_of(p, job).trashed, None);
}

#[tokio::test]
async fn whose_hands_a_step_went_through_is_on_record_from_its_beginning() {
    let pair = pair().await;
    let p = &pair.hs01;
    let job = waiting(p).await;
    let onay2 = p.principal("onay2@ornekas").user;
    decide(p, "onay1@ornekas", job, Act::Delegate(onay2))
        .await
        .unwrap();
    decide(p, "mudur@ornekas", job, Act::Reassign(Who::User(onay2)))
        .await
        .unwrap();
    let records = audit::about(&*p.db, p.tenant("ornekas"), Matter::Job(job), 10).unwrap();
    let told: Vec<_> = records
        .iter()
        .map(|(_, r)| (r.deed.as_str(), r.author.login.as_str(), r.author.route))
        .collect();
    assert_eq!(
        told,
        [
            ("job reassign", "mudur@ornekas", AuditRoute::Kepctl),
            ("job delegate", "onay1@ornekas", AuditRoute::Kepctl),
            ("job start", "ayse@ornekas", AuditRoute::Smtp),
        ]
    );
    let reassigned = &records[0].1;
    assert!(reassigned.before.contains("\"waits_for\":[\"Onay Rolü\"]"));
    assert!(reassigned.after.contains("\"waits_for\":[\"onay2\"]"));
    assert!(reassigned.after.contains("\"to\":\"onay2\""));
    assert!(reassigned.about.contains(&Matter::User(onay2)));
    // What was given back and handed in anew is two jobs, each with its records.
    decide(p, "onay2@ornekas", job, Act::Return).await.unwrap();
    let ayse = p.principal("ayse@ornekas");
    let resumes = |i: &Item| i.kind == ItemKind::Draft && !i.gone && i.resumes == Some(job);
    let draft = p.items("ornekas").into_iter().find(resumes).unwrap().id;
    let anew = p
        .mailboxes
        .send_draft(&ayse, draft, None, AuditRoute::Kepctl)
        .await;
    let Accepted::Job { job: new, .. } = anew.unwrap() else {
        panic!("no job")
    };
    let deed = |job| {
        let records = audit::about(&*p.db, p.tenant("ornekas"), Matter::Job(job), 1).unwrap();
        (records[0].1.deed.clone(), records[0].1.author.route)
    };
    assert_eq!(deed(job), ("job resubmit".into(), AuditRoute::Kepctl));
    assert_eq!(deed(new), ("job start".into(), AuditRoute::Kepctl));
}

#[tokio::test]
async fn what_the_sender_was_told_is_not_contradicted_by_undoing_the_job() {
    let pair = pair().await;
    let p = &pair.hs01;
    let veli = p.add_tenant("veli", TenantKind::Tuzel).await;
    p.add_user(veli, "veli", UserKind::Officer, &[], &[]).await;
    let asks = RuleWish {
        conditions: Some(vec![Condition {
            field: Field::Subject,
            comparison: Comparison::Contains,
            text: "ihale".into(),
        }]),
        steps: Some(vec![NewStep {
            parts: vec![(kepd::domain::rule::Need::One, "user:veli".into())],
            ..NewStep::of("", 1)
        }]),
        ..RuleWish::default()
    };
    let changes = p.organisations.by(admin());
    changes
        .add_rule(veli, "Gelen", Direction::Incoming, &asks)
        .await
        .unwrap();
    let to = p.address("veli").to_string();
    let sent = p.submit("mudur@ornekas", &[&to], &message("ihale", &to)).await;
    assert!(matches!(sent.unwrap(), Accepted::Sent { .. }));
    pair.work().await;
    let item = p
        .items("veli")
        .into_iter()
        .find(|i| i.kind == ItemKind::Incoming)
        .unwrap();
    let job = item.job.unwrap().id;
    decide(p, "veli@veli", job, Act::Reject).await.unwrap();
    let declared = DeclarationAsked {
        mail: item.mail.unwrap(),
        declared: Declared::Accepted,
        route: Route::Kepctl,
        note: "",
        original_sha256: None,
    };
    let by = p.principal("veli@veli");
    p.declaring.declare(&by, declared).await.unwrap();
    match decide(p, "veli@veli", job, Act::Undo).await {
        Err(Failure::Refused(refused)) => {
            assert!(refused.text.contains("the sender was told"), "{}", refused.text)
        }
        other => panic!("{other:?}"),
    }
}
