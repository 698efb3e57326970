//! The approval queue with all that surrounds a decision: drafts given back, undoing, deputies, rights lost, the clock,
//! and two who decide at the same moment.

use crate::provider::Provider;
use crate::road::{Pair, message, pair};
use kepd::domain::audit::{AuditRoute, Matter};
use kepd::domain::item::{Item, ItemKind, JobPhase};
use kepd::domain::job::{Act, Job, JobState, Route};
use kepd::domain::mail::{MailState, RecipientState};
use kepd::domain::org::{Deputy, Permission, UserKind};
use kepd::domain::policy::Asked;
use kepd::domain::rule::{Comparison, Condition, Direction, Field, Step, Who};
use kepd::domain::schedule::DAY;
use kepd::domain::selector::{Mailbox, Viewer};
use kepd::id::{JobId, MailId};
use kepd::service::account::Principal;
use kepd::service::approval::DecisionAsked;
use kepd::service::failure::{Failure, Kind};
use kepd::service::mailbox::Marks;
use kepd::service::organisation::{Deputising, NewStep, RuleWish};
use kepd::service::submission::Accepted;
use kepd::store::db::Batch;
use kepd::store::tables::work::{self, OwedEvidence, OwedReview};
use kepd::store::tables::{audit, jobs, mails, org};
use std::collections::BTreeSet;
use std::time::Duration;

const ALICI: &str = "alici@hs02.kep.test";
const TENANT: &str = "ornekas";

fn asked(job: JobId, act: Act, note: &str) -> DecisionAsked<'_> {
    DecisionAsked {
        job,
        act,
        route: Route::Kepctl,
        note,
        original_sha256: None,
    }
}

pub async fn decide(p: &Provider, login: &str, job: JobId, act: Act) -> Result<JobState, Failure> {
    let by = p.principal(&format!("{login}@{TENANT}"));
    let decided = p.approval.decide(&by, asked(job, act, "")).await;
    decided.map(|job| job.standing.state)
}

pub async fn submit(p: &Provider, text: &str) -> (MailId, JobId) {
    match p.submit("ayse@ornekas", &[ALICI], text).await.unwrap() {
        Accepted::Job { mail, job, .. } => (mail, job),
        other => panic!("{other:?}"),
    }
}

pub fn letter(subject: &str, id: &str) -> String {
    message(subject, ALICI).replacen(
        "MIME-Version",
        &format!("Message-ID: <{id}@hs01.kep.test>\r\nMIME-Version"),
        1,
    )
}

pub fn job(p: &Provider, job: JobId) -> Job {
    jobs::job(&*p.db, p.tenant(TENANT), job).unwrap().unwrap().row
}

fn mail_state(p: &Provider, mail: MailId) -> MailState {
    mails::mail(&*p.db, p.tenant(TENANT), mail)
        .unwrap()
        .unwrap()
        .row
        .state
}

pub fn drafts(p: &Provider) -> Vec<Item> {
    let mut items = p.items(TENANT);
    items.retain(|i| i.kind == ItemKind::Draft && !i.gone);
    items
}

/// Approved by both and released: the recipient has it.
async fn walk_to_the_end(pair: &Pair, mail: MailId, job: JobId) {
    let p = &pair.hs01;
    decide(p, "onay1", job, Act::Approve).await.unwrap();
    decide(p, "onay2", job, Act::Approve).await.unwrap();
    decide(p, "mudur", job, Act::Release).await.unwrap();
    pair.work().await;
    let row = mails::mail(&*p.db, p.tenant(TENANT), mail).unwrap().unwrap().row;
    assert_eq!(row.recipients[0].state, RecipientState::Consigned);
}

fn refusal(result: Result<JobState, Failure>) -> Kind {
    match result {
        Err(Failure::Refused(refusal)) => refusal.kind,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_mail_given_back_is_a_draft_and_is_handed_in_anew() {
    let pair = pair().await;
    let p = &pair.hs01;
    let (first, old) = submit(p, &letter("Fiyat teklifi", "a")).await;
    let by = p.principal("onay1@ornekas");
    let decided = p
        .approval
        .decide(&by, asked(old, Act::Return, "fiyat eski"))
        .await;
    assert_eq!(decided.unwrap().standing.state, JobState::Returned);
    let given_back = drafts(p);
    assert_eq!(given_back.len(), 1);
    assert_eq!(
        (given_back[0].author, given_back[0].resumes),
        (Some(p.principal("ayse@ornekas").user), Some(old))
    );
    assert_eq!(mail_state(p, first), MailState::Held);
    // The same Message-ID with other octets: it goes on from there.
    let (second, new) = submit(p, &letter("Fiyat teklifi 2", "a")).await;
    assert_ne!((first, old), (second, new));
    assert_eq!(job(p, new).follows, Some(old));
    assert_eq!(job(p, old).standing.state, JobState::Resubmitted);
    assert_eq!(mail_state(p, first), MailState::Dropped);
    assert!(drafts(p).is_empty());
    assert!(decide(p, "onay1", old, Act::Undo).await.is_err());
    walk_to_the_end(&pair, second, new).await;
    assert_eq!(mail_state(p, first), MailState::Dropped);
}

/// What is saved under the Message-ID of a draft is its next version.
async fn save(p: &Provider, by: &Principal, text: &str) {
    let size = text.len() as u64;
    let mut saving = p.mailboxes.append(by, Mailbox::Drafts, size).await.unwrap();
    saving.write(text.as_bytes()).await.unwrap();
    saving.finish(&Marks::default(), None).await.unwrap();
}

#[tokio::test]
async fn what_is_made_of_a_returned_mail_goes_on_from_it_until_it_is_handed_in() {
    let pair = pair().await;
    let p = &pair.hs01;
    let ayse = p.principal("ayse@ornekas");
    let (_, old) = submit(p, &letter("Fiyat teklifi", "a")).await;
    decide(p, "onay1", old, Act::Return).await.unwrap();
    save(p, &ayse, &letter("Selam", "a")).await;
    let saved = drafts(p);
    assert_eq!(saved.len(), 1, "the newer version stands alone");
    assert_eq!(saved[0].resumes, Some(old));
    // No rule matches what it is now: it stays a draft, and the job stays given back.
    let became = p.mailboxes.send_draft(&ayse, saved[0].id, None).await.unwrap();
    assert!(matches!(became, Accepted::Draft { .. }));
    let again = drafts(p);
    assert_eq!((again.len(), again[0].resumes), (1, Some(old)));
    assert_eq!(job(p, old).standing.state, JobState::Returned);
    let flow = Some(Asked::Flow(Some("Teklif".into())));
    let became = p.mailboxes.send_draft(&ayse, again[0].id, flow).await.unwrap();
    let Accepted::Job { job: new, .. } = became else {
        panic!("{became:?}")
    };
    assert_eq!(job(p, new).follows, Some(old));
    assert_eq!(job(p, old).standing.state, JobState::Resubmitted);
    assert!(drafts(p).is_empty());
    // Saved and then submitted by the client itself: no draft is left behind either.
    decide(p, "onay1", new, Act::Return).await.unwrap();
    save(p, &ayse, &letter("Fiyat teklifi 3", "a")).await;
    let (_, third) = submit(p, &letter("Fiyat teklifi 3", "a")).await;
    assert_eq!(job(p, third).follows, Some(new));
    assert!(drafts(p).is_empty());
}

#[tokio::test]
async fn even_unchanged_it_is_handed_in_anew_and_not_taken_for_a_retry() {
    let pair = pair().await;
    let p = &pair.hs01;
    let (first, old) = submit(p, &letter("Fiyat teklifi", "a")).await;
    assert_eq!(submit(p, &letter("Fiyat teklifi", "a")).await, (first, old));
    decide(p, "onay1", old, Act::Return).await.unwrap();
    let (second, new) = submit(p, &letter("Fiyat teklifi", "a")).await;
    assert_ne!(old, new);
    assert_eq!(submit(p, &letter("Fiyat teklifi", "a")).await, (second, new));
    walk_to_the_end(&pair, second, new).await;
}

#[tokio::test]
async fn undoing_brings_back_what_was_and_not_beside_a_new_one() {
    let pair = pair().await;
    let p = &pair.hs01;
    let (mail, id) = submit(p, &letter("Fiyat teklifi", "a")).await;
    let back = |act| async move {
        decide(p, "onay1", id, act).await.unwrap();
        let between = mail_state(p, mail);
        let state = decide(p, "onay1", id, Act::Undo).await.unwrap();
        assert_eq!(
            (state, mail_state(p, mail)),
            (JobState::Waiting(0), MailState::Held)
        );
        between
    };
    assert_eq!(back(Act::Reject).await, MailState::Dropped);
    assert_eq!(back(Act::Return).await, MailState::Held);
    assert!(drafts(p).is_empty());
    assert_eq!(back(Act::Approve).await, MailState::Held);
    // Not another's, not too late.
    decide(p, "onay1", id, Act::Reject).await.unwrap();
    assert_eq!(refusal(decide(p, "onay2", id, Act::Undo).await), Kind::WrongState);
    pair.clock.advance(Duration::from_secs(60));
    assert_eq!(refusal(decide(p, "onay1", id, Act::Undo).await), Kind::WrongState);
    // Not when the mail was handed in anew: there would be two.
    let (other, second) = submit(p, &letter("Fiyat teklifi", "a")).await;
    assert_ne!(mail, other);
    decide(p, "onay1", second, Act::Reject).await.unwrap();
    let (third, _) = submit(p, &letter("Fiyat teklifi", "a")).await;
    let refused = decide(p, "onay1", second, Act::Undo).await;
    assert!(refused.unwrap_err().to_string().contains("handed in anew"));
    assert_eq!(
        (mail_state(p, other), mail_state(p, third)),
        (MailState::Dropped, MailState::Held)
    );
}

#[tokio::test]
async fn every_decision_is_on_the_audit_record() {
    let pair = pair().await;
    let p = &pair.hs01;
    let (_, id) = submit(p, &letter("Fiyat teklifi", "a")).await;
    decide(p, "onay1", id, Act::Approve).await.unwrap();
    decide(p, "onay2", id, Act::Reject).await.unwrap();
    assert!(decide(p, "onay2", id, Act::Reject).await.is_err());
    let of_job = audit::about(&*p.db, p.tenant(TENANT), Matter::Job(id), 10).unwrap();
    let told: Vec<_> = of_job
        .iter()
        .map(|(_, r)| (r.deed.as_str(), r.author.login.as_str(), r.author.route))
        .collect();
    assert_eq!(
        told,
        [
            ("job reject", "onay2@ornekas", AuditRoute::Kepctl),
            ("job approve", "onay1@ornekas", AuditRoute::Kepctl),
        ]
    );
    assert!(of_job[0].1.before.contains("\"step\":2") && of_job[0].1.after.contains("rejected"));
    let user = Matter::User(p.principal("onay1@ornekas").user);
    let of_user = audit::about(&*p.db, p.tenant(TENANT), user, 10).unwrap();
    let deeds: Vec<_> = of_user.iter().map(|(_, r)| r.deed.as_str()).collect();
    assert_eq!(deeds, ["job approve", "user passwd", "user add"]);
}

#[tokio::test]
async fn two_at_one_moment_give_one_decision() {
    let pair = pair().await;
    let p = &pair.hs01;
    p.add_user(
        p.tenant(TENANT),
        "onay3",
        kepd::domain::org::UserKind::Limited,
        &[],
        &["Onay Rolü"],
    )
    .await;
    for round in 0..10 {
        let (_, id) = submit(p, &letter("Fiyat teklifi", &format!("m{round}"))).await;
        let (one, other) = tokio::join!(
            decide(p, "onay1", id, Act::Approve),
            decide(p, "onay3", id, Act::Reject)
        );
        assert!(one.is_ok() != other.is_ok(), "{one:?} {other:?}");
        let history = jobs::history(&*p.db, p.tenant(TENANT), id).unwrap();
        let decided = history.iter().filter(|e| e.happening.actor.is_some());
        assert_eq!(decided.count(), 1);
    }
}

#[tokio::test]
async fn a_deputy_decides_while_his_time_lasts() {
    let pair = pair().await;
    let p = &pair.hs01;
    let (_, id) = submit(p, &letter("Fiyat teklifi", "a")).await;
    let onay2 = p.principal("onay2@ornekas").user;
    let from = pair.clock_now();
    let set = p
        .organisations
        .by(crate::provider::admin())
        .set_user(p.tenant(TENANT), "onay1", |_, user| {
            user.deputies.push(Deputy {
                user: onay2,
                from: from.plus(DAY),
                until: from.plus(DAY * 2),
            });
            Ok(())
        });
    set.await.unwrap();
    assert_eq!(
        refusal(decide(p, "onay2", id, Act::Approve).await),
        Kind::NoPermission
    );
    pair.clock.advance(DAY);
    decide(p, "onay2", id, Act::Approve).await.unwrap();
    let last = jobs::history(&*p.db, p.tenant(TENANT), id)
        .unwrap()
        .pop()
        .unwrap();
    assert_eq!(
        (
            last.happening.actor_login.as_str(),
            last.happening.in_name_of.as_deref()
        ),
        ("onay2@ornekas", Some("onay1@ornekas"))
    );
}

#[tokio::test]
async fn a_step_that_nobody_is_left_to_decide_is_told_and_given_to_others() {
    let pair = pair().await;
    let p = &pair.hs01;
    let (mail, id) = submit(p, &letter("Fiyat teklifi", "a")).await;
    let tenant = p.tenant(TENANT);
    let set = p
        .organisations
        .by(crate::provider::admin())
        .set_user(tenant, "onay1", |_, user| {
            user.roles.clear();
            Ok(())
        });
    set.await.unwrap();
    assert_eq!(
        refusal(decide(p, "onay1", id, Act::Approve).await),
        Kind::NotFound
    );
    let mut batch = Batch::new();
    work::add(&mut batch, pair.clock_now(), &OwedReview { tenant }).unwrap();
    p.db.commit(batch).await.unwrap();
    pair.work().await;
    assert!(job(p, id).standing.stuck);
    let told = jobs::history(&*p.db, tenant, id).unwrap();
    assert_eq!(told.last().unwrap().happening.deed.word(), "stuck");
    let onay2 = Who::User(p.principal("onay2@ornekas").user);
    assert_eq!(
        refusal(decide(p, "onay2", id, Act::Reassign(onay2)).await),
        Kind::NoPermission
    );
    decide(p, "mudur", id, Act::Reassign(onay2)).await.unwrap();
    decide(p, "onay2", id, Act::Approve).await.unwrap();
    decide(p, "onay2", id, Act::Approve).await.unwrap();
    decide(p, "mudur", id, Act::Release).await.unwrap();
    assert_eq!(mail_state(p, mail), MailState::Accepted);
}

#[tokio::test]
async fn when_a_deputys_time_turns_everybody_looks_again() {
    let pair = pair().await;
    let p = &pair.hs01;
    let tenant = p.tenant(TENANT);
    let (_, id) = submit(p, &letter("Fiyat teklifi", "a")).await;
    let from = pair.clock_now().plus(DAY);
    let wish = Deputising {
        deputy: "onay2".into(),
        from: Some(from),
        until: from.plus(DAY),
    };
    let admin = crate::provider::admin();
    let set = p.organisations.by(admin).set_deputy(tenant, "onay1", &wish);
    set.await.unwrap();
    pair.work().await;
    let mut bell = p.approval.bells.mailboxes.listen(tenant);
    for may in [true, false] {
        bell.borrow_and_update();
        pair.clock.advance(DAY);
        pair.work().await;
        assert!(bell.has_changed().unwrap(), "idling sessions are woken");
        let organisation = p.organisations.of(tenant).unwrap();
        let deciders = job(p, id).deciders(&organisation, pair.clock_now());
        assert_eq!(deciders.contains(&p.principal("onay2@ornekas").user), may);
    }
}

#[tokio::test]
async fn a_role_that_is_removed_leaves_its_waiting_job_to_an_officer() {
    let pair = pair().await;
    let p = &pair.hs01;
    let tenant = p.tenant(TENANT);
    let (mail, id) = submit(p, &letter("Fiyat teklifi", "a")).await;
    let changes = p.organisations.by(crate::provider::admin());
    let refused = changes.remove_role(tenant, "Onay Rolü").await;
    assert!(matches!(refused, Err(Failure::Refused(r)) if r.kind == Kind::WrongState));
    let other = RuleWish {
        steps: Some(vec![NewStep::of("Onay Rolü2", 1)]),
        ..RuleWish::default()
    };
    changes.set_rule(tenant, "Teklif", &other).await.unwrap();
    changes.remove_role(tenant, "Onay Rolü").await.unwrap();
    pair.work().await;
    assert!(
        job(p, id).standing.stuck,
        "the job keeps the version it started with"
    );
    assert_eq!(
        refusal(decide(p, "onay1", id, Act::Approve).await),
        Kind::NotFound
    );
    let onay2 = Who::User(p.principal("onay2@ornekas").user);
    decide(p, "mudur", id, Act::Reassign(onay2)).await.unwrap();
    decide(p, "onay2", id, Act::Approve).await.unwrap();
    decide(p, "onay2", id, Act::Approve).await.unwrap();
    decide(p, "mudur", id, Act::Release).await.unwrap();
    assert_eq!(mail_state(p, mail), MailState::Accepted);
}

#[tokio::test]
async fn an_unanswered_job_is_late_and_then_expires() {
    let pair = pair().await;
    let p = &pair.hs01;
    let tenant = p.tenant(TENANT);
    let mut rule = p
        .organisations
        .of(tenant)
        .unwrap()
        .rule_by_name("Teklif")
        .unwrap()
        .clone();
    let role = rule.steps[0].parts[0].who;
    rule.steps = vec![Step {
        remind_after_days: Some(1),
        expire_after_days: Some(3),
        ..Step::of(role, 2)
    }];
    let mut batch = Batch::new();
    org::put(&mut batch, tenant, &rule).unwrap();
    p.db.commit(batch).await.unwrap();
    // A change of the organisation by the usual way makes the rule known.
    p.organisations
        .by(crate::provider::admin())
        .add_label(tenant, "Acil")
        .await
        .unwrap();
    let (mail, id) = submit(p, &letter("Fiyat teklifi", "a")).await;
    pair.clock.advance(DAY * 2);
    pair.work().await;
    let late = job(p, id);
    assert!(late.standing.late && late.standing.reminded);
    pair.clock.advance(DAY);
    pair.work().await;
    assert_eq!(job(p, id).standing.state, JobState::Expired);
    assert_eq!(mail_state(p, mail), MailState::Dropped);
    let item = p
        .items(TENANT)
        .into_iter()
        .find(|i| i.mail == Some(mail))
        .unwrap();
    assert_eq!(item.job.unwrap().phase, JobPhase::Ended);
    assert!(jobs::open(&*p.db, tenant).unwrap().is_empty());
    assert!(decide(p, "onay1", id, Act::Approve).await.is_err());
}

#[tokio::test]
async fn incoming_mail_is_labelled_routed_and_approved() {
    let pair = pair().await;
    let p = &pair.hs01;
    let tenant = p.tenant(TENANT);
    p.organisations
        .by(crate::provider::admin())
        .add_unit(tenant, "Evrak", None)
        .await
        .unwrap();
    p.organisations
        .by(crate::provider::admin())
        .add_label(tenant, "Gelen")
        .await
        .unwrap();
    p.add_user(tenant, "memur", UserKind::Limited, &["Evrak"], &[])
        .await;
    let view = BTreeSet::from([Permission::View]);
    p.organisations
        .by(crate::provider::admin())
        .add_role(tenant, "Okur", "", view)
        .await
        .unwrap();
    let set = p
        .organisations
        .by(crate::provider::admin())
        .set_user(tenant, "memur", |draft, user| {
            user.roles.insert(draft.role("Okur")?);
            Ok(())
        });
    set.await.unwrap();
    let when = |text: &str| {
        Some(vec![Condition {
            field: Field::Subject,
            comparison: Comparison::Word,
            text: text.into(),
        }])
    };
    let routing = RuleWish {
        conditions: when("İHALE"),
        labels: Some(vec!["Gelen".into()]),
        units: Some(vec!["Evrak".into()]),
        ..RuleWish::default()
    };
    let asking = RuleWish {
        conditions: when("ihale"),
        steps: Some(vec![NewStep::of("Onay Rolü", 1)]),
        ..RuleWish::default()
    };
    for (name, wish) in [("Yönlendir", &routing), ("Onayla", &asking)] {
        p.organisations
            .by(crate::provider::admin())
            .add_rule(tenant, name, Direction::Incoming, wish)
            .await
            .unwrap();
    }
    let to = "ornekas@hs01.kep.test";
    let text = message("ihale daveti", to).replace("Ornek <ornekas@hs01.kep.test>", ALICI);
    pair.hs02.submit("alici@alici", &[to], &text).await.unwrap();
    pair.work().await;
    let item = p
        .items(TENANT)
        .into_iter()
        .find(|i| i.kind == ItemKind::Incoming)
        .unwrap();
    assert_eq!((item.labels.len(), item.units.len()), (1, 1));
    let org = p.organisations.of(tenant).unwrap();
    let sees = |name: &str| {
        let user = org.user_by_name(name).unwrap();
        Viewer::new(&org, user, pair.clock_now()).sees(&item, None)
    };
    let seers = ["mudur", "memur", "onay1", "onay2", "ayse"].map(sees);
    assert_eq!(seers, [true, true, true, false, false]);
    let id = item.job.as_ref().unwrap().id;
    assert_eq!(
        refusal(decide(p, "memur", id, Act::Approve).await),
        Kind::NoPermission
    );
    assert_eq!(refusal(decide(p, "ayse", id, Act::Approve).await), Kind::NotFound);
    assert_eq!(
        decide(p, "onay1", id, Act::Approve).await.unwrap(),
        JobState::Approved
    );
    assert_eq!(
        decide(p, "onay1", id, Act::Undo).await.unwrap(),
        JobState::Waiting(0)
    );
    assert_eq!(
        decide(p, "onay1", id, Act::Reject).await.unwrap(),
        JobState::Rejected
    );
    // Of an incoming mail nobody outside hears.
    assert_eq!(work::count::<OwedEvidence>(&*p.db).unwrap(), 0);
}
