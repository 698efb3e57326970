//! Prepaid credit on every road into sending: reserved while a mail waits, charged once when it is accepted, given back when it is
//! not sent; what cannot be paid is refused and costs nothing. Whatever happens, the account is the sum of what its mails claim.

use crate::approving::{decide, drafts, job, letter, submit};
use crate::doors::doors;
use crate::folders::Client;
use crate::provider::{Provider, admin};
use crate::road::{message, pair};
use kepd::clock::Clock as _;
use kepd::domain::audit::AuditRoute;
use kepd::domain::credit::{CreditAccount, CreditTerms, MovementKind};
use kepd::domain::evidence::{Event, EvidenceFacts, EvidenceKind, Reason};
use kepd::domain::item::ItemKind;
use kepd::domain::job::{Act, JobState, Terms};
use kepd::domain::mail::MailState;
use kepd::domain::org::Permission;
use kepd::domain::policy::Asked;
use kepd::domain::schedule::DAY;
use kepd::domain::selector::Mailbox;
use kepd::id::{JobId, MailId};
use kepd::net::imap::ImapDoor;
use kepd::service::approval::Approval;
use kepd::service::credit::{Added, Addition, Credits};
use kepd::service::failure::{Failure, Kind};
use kepd::service::organisation::{NewStep, RuleWish};
use kepd::service::submission::Accepted;
use kepd::store::tables::work::{self, OwedEvidence};
use kepd::store::tables::{audit, credit, jobs, mails};
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

const ALICI: &str = "alici@hs02.kep.test";
const ORNEKAS: &str = "ornekas@hs01.kep.test";
const TENANT: &str = "ornekas";

pub async fn meter(p: &Provider, terms: Option<CreditTerms>) {
    let changes = p.organisations.by(admin());
    let set = changes.set_tenant(p.tenant(TENANT), move |t| t.credit = terms);
    set.await.unwrap();
}

fn credits(p: &Provider) -> Credits {
    Credits::new(p.db.clone(), p.clock.clone(), p.identity.tariff)
}

pub async fn add(p: &Provider, units: i64) {
    let organisation = p.organisations.by_name(TENANT).unwrap();
    let credits = credits(p);
    let added = credits.add(&organisation.tenant, admin(), addition(units));
    assert_eq!(added.await.unwrap(), Added::Now);
}

fn addition(units: i64) -> Addition<'static> {
    Addition {
        units,
        note: "deneme",
        name: None,
    }
}

/// With so many units, no overdraft and no warning.
pub async fn prepaid(p: &Provider, units: i64) {
    meter(p, Some(CreditTerms::default())).await;
    add(p, units).await;
}

pub fn account(p: &Provider) -> CreditAccount {
    credit::account(&*p.db, p.tenant(TENANT)).unwrap()
}

/// Balance and what is reserved of it.
pub fn stands(p: &Provider) -> (i64, u64) {
    let account = account(p);
    (account.balance, account.reserved)
}

pub fn no_credit<T: std::fmt::Debug>(outcome: Result<T, Failure>) -> String {
    match outcome {
        Err(Failure::Refused(refusal)) if refusal.kind == Kind::NoCredit => refusal.text,
        other => panic!("{other:?}"),
    }
}

pub async fn send(p: &Provider, subject: &str) -> Result<Accepted, Failure> {
    p.submit("mudur@ornekas", &[ALICI], &message(subject, ALICI))
        .await
}

/// As mail readers come in.
pub fn imap_door(p: &Provider) -> Arc<ImapDoor> {
    Arc::new(crate::mailbox_house::door(
        p.mailboxes.clone(),
        p.accounts.clone(),
    ))
}

/// The rejection evidence that is owed.
pub fn rejections(p: &Provider) -> Vec<EvidenceFacts> {
    let owed = work::all::<OwedEvidence>(&*p.db).unwrap();
    let rejected = |facts: &EvidenceFacts| {
        (facts.kind, facts.event) == (EvidenceKind::SubmissionAcceptanceRejection, Event::Rejection)
    };
    owed.into_iter()
        .map(|(_, owed)| owed.row.facts)
        .filter(rejected)
        .collect()
}

/// From now on jobs expire.
pub async fn expire_in_three_days(p: &Provider) {
    let changes = p.organisations.by(admin());
    let wish = RuleWish {
        steps: Some(vec![NewStep {
            expire_after_days: Some(3),
            ..NewStep::of("Onay Rolü", 1)
        }]),
        ..Default::default()
    };
    changes.set_rule(p.tenant(TENANT), "Teklif", &wish).await.unwrap();
}

/// What the mails of the account claim of it.
fn claimed(p: &Provider) -> (i64, u64) {
    let (mut charged, mut reserved) = (0, 0);
    for mail in mails::all(&*p.db, p.tenant(TENANT)).unwrap() {
        match mail.row.state {
            MailState::Held => reserved += mail.row.cost_units,
            MailState::Dropped => {}
            MailState::Accepted | MailState::Dispatched | MailState::Concluded => {
                charged += mail.row.cost_units as i64
            }
        }
    }
    (charged, reserved)
}

/// The account is what was added, less what its mails claim; and each was charged once at most.
pub fn adds_up(p: &Provider) {
    let (charged, reserved) = claimed(p);
    let history = credit::back(&*p.db, p.tenant(TENANT), None, 10_000).unwrap();
    let added: i64 = history
        .iter()
        .map(|entry| match entry.movement.kind {
            MovementKind::Added => entry.movement.units as i64,
            MovementKind::Corrected => -(entry.movement.units as i64),
            _ => 0,
        })
        .sum();
    assert_eq!(stands(p), (added - charged, reserved));
    let is_charge = |kind| matches!(kind, MovementKind::Charged | MovementKind::Settled);
    let charges: Vec<MailId> = history
        .iter()
        .filter(|e| is_charge(e.movement.kind))
        .filter_map(|e| e.mail)
        .collect();
    assert_eq!(
        charges.iter().collect::<BTreeSet<_>>().len(),
        charges.len(),
        "charged twice"
    );
    assert_eq!(history.len() as u64, account(p).movements);
}

pub async fn released(p: &Provider, job: JobId) {
    for (login, act) in [
        ("onay1", Act::Approve),
        ("onay2", Act::Approve),
        ("mudur", Act::Release),
    ] {
        decide(p, login, job, act).await.unwrap();
    }
}

#[tokio::test]
async fn a_mail_in_approval_is_reserved_and_charged_when_it_is_accepted() {
    let pair = pair().await;
    let p = &pair.hs01;
    // Not metered: nothing is counted.
    assert!(send(p, "Duyuru").await.is_ok());
    assert_eq!(account(p).movements, 0);
    prepaid(p, 3).await;
    let (mail, id) = submit(p, &letter("Fiyat teklifi", "a")).await;
    assert_eq!(stands(p), (3, 1));
    released(p, id).await;
    assert_eq!(stands(p), (2, 0));
    // What becomes of it then costs nothing, and gives nothing back.
    pair.work().await;
    assert_eq!(stands(p), (2, 0));
    // Sent at once; a client that never saw the 250 comes again.
    let again = letter("Duyuru", "b");
    for _ in 0..3 {
        let sent = p.submit("mudur@ornekas", &[ALICI], &again).await.unwrap();
        assert!(matches!(sent, Accepted::Sent { .. }), "{sent:?}");
        assert_eq!(stands(p), (1, 0));
    }
    let history = credit::back(&*p.db, p.tenant(TENANT), None, 10).unwrap();
    let told: Vec<_> = history
        .iter()
        .rev()
        .map(|e| (e.movement.kind, e.by.login.as_str(), e.mail == Some(mail)))
        .collect();
    let wanted = [
        (MovementKind::Added, "administrator", false),
        (MovementKind::Reserved, "ayse@ornekas", true),
        (MovementKind::Settled, "mudur@ornekas", true),
        (MovementKind::Charged, "mudur@ornekas", false),
    ];
    assert_eq!(told, wanted);
    adds_up(p);
}

#[tokio::test]
async fn what_is_not_sent_gives_its_credit_back_and_claims_it_again_when_that_is_undone() {
    let pair = pair().await;
    let p = &pair.hs01;
    prepaid(p, 1).await;
    for (n, (login, act)) in [
        ("onay1", Act::Reject),
        ("ayse", Act::Withdraw),
        ("mudur", Act::Cancel),
    ]
    .into_iter()
    .enumerate()
    {
        let (_, id) = submit(p, &letter("Fiyat teklifi", &format!("a{n}"))).await;
        assert_eq!(stands(p), (1, 1));
        decide(p, login, id, act).await.unwrap();
        assert_eq!(stands(p), (1, 0), "{act:?}");
        decide(p, login, id, Act::Undo).await.unwrap();
        assert_eq!(stands(p), (1, 1), "{act:?} undone");
        decide(p, login, id, act).await.unwrap();
        // The unit is spent elsewhere: it cannot come back for nothing.
        if n == 2 {
            send(p, "Duyuru").await.unwrap();
            let said = no_credit(decide(p, login, id, Act::Undo).await);
            assert!(said.contains("costs 1, 0 is left"), "{said}");
            assert_eq!(job(p, id).standing.state, JobState::Cancelled);
            assert_eq!(stands(p), (0, 0));
        }
    }
    adds_up(p);
}

#[tokio::test]
async fn what_was_given_back_keeps_its_credit_and_the_new_mail_takes_its_place() {
    let pair = pair().await;
    let p = &pair.hs01;
    prepaid(p, 1).await;
    let (_, old) = submit(p, &letter("Fiyat teklifi", "a")).await;
    decide(p, "onay1", old, Act::Return).await.unwrap();
    assert_eq!(stands(p), (1, 1));
    // Nothing is left, and yet it can be handed in anew: by its author's client, and by the draft.
    let (_, second) = submit(p, &letter("Fiyat teklifi 2", "a")).await;
    assert_eq!(job(p, second).follows, Some(old));
    assert_eq!(stands(p), (1, 1));
    decide(p, "onay1", second, Act::Return).await.unwrap();
    let ayse = p.principal("ayse@ornekas");
    let draft = drafts(p)[0].id;
    let flow = Some(Asked::Flow(Some("Teklif".into())));
    let became = p
        .mailboxes
        .send_draft(&ayse, draft, flow, AuditRoute::Imap)
        .await
        .unwrap();
    let Accepted::Job { job: third, .. } = became else {
        panic!("{became:?}")
    };
    assert_eq!(stands(p), (1, 1));
    released(p, third).await;
    assert_eq!(stands(p), (0, 0));
    adds_up(p);
}

#[tokio::test]
async fn the_clock_releases_and_gives_back() {
    let pair = pair().await;
    let p = &pair.hs01;
    prepaid(p, 2).await;
    // Held back before it leaves: still reserved, and back at its place when that is undone.
    let slow = Approval {
        db: p.db.clone(),
        clock: p.clock.clone(),
        ids: p.approval.ids.clone(),
        organisations: p.organisations.clone(),
        identity: p.identity.clone(),
        items: p.approval.items.clone(),
        bells: p.approval.bells.clone(),
        terms: Arc::new(Terms {
            send_delay: Duration::from_secs(30),
            ..crate::provider::terms()
        }),
    };
    let slow = Provider {
        approval: Arc::new(slow),
        ..p.clone()
    };
    let (_, id) = submit(p, &letter("Fiyat teklifi", "a")).await;
    released(&slow, id).await;
    assert!(matches!(job(p, id).standing.state, JobState::Leaving(_)));
    assert_eq!(stands(p), (2, 1));
    decide(&slow, "mudur", id, Act::Undo).await.unwrap();
    assert_eq!(stands(p), (2, 1));
    decide(&slow, "mudur", id, Act::Release).await.unwrap();
    pair.clock.advance(Duration::from_secs(30));
    slow.approval.run_due().await.unwrap();
    assert_eq!(job(p, id).standing.state, JobState::Released);
    assert_eq!(stands(p), (1, 0));
    let history = credit::back(&*p.db, p.tenant(TENANT), None, 1).unwrap();
    assert_eq!(
        (history[0].by.login.as_str(), history[0].movement.kind),
        ("kepd", MovementKind::Settled)
    );
    expire_in_three_days(p).await;
    let (_, id) = submit(p, &letter("Fiyat teklifi", "b")).await;
    assert_eq!(stands(p), (1, 1));
    pair.clock.advance(DAY * 4);
    pair.work().await;
    assert_eq!(job(p, id).standing.state, JobState::Expired);
    assert_eq!(stands(p), (1, 0));
    adds_up(p);
}

/// Every way by which a mail comes to be sent, with one unit and with none.
#[tokio::test]
async fn every_road_into_sending_is_charged() {
    let pair = pair().await;
    let p = &pair.hs01;
    meter(p, Some(CreditTerms::default())).await;
    let mut made = 0u64;
    let mut next = || {
        made += 1;
        format!("m{made}")
    };
    // Submitted by who may send, with and without the wish; or into a flow.
    for (login, wish, subject) in [
        ("mudur@ornekas", "", "Duyuru"),
        ("mudur@ornekas", "X-KEP-Islem: gonder\r\n", "Duyuru"),
        ("mudur@ornekas", "", "[gonder] Duyuru"),
        (
            "mudur@ornekas",
            "X-KEP-Islem: akis\r\nX-KEP-Kural: Teklif\r\n",
            "Duyuru",
        ),
        ("ayse@ornekas", "", "Fiyat teklifi"),
    ] {
        let text = format!("{wish}{}", letter(subject, &next()));
        no_credit(p.submit(login, &[ALICI], &text).await);
        add(p, 1).await;
        p.submit(login, &[ALICI], &text).await.unwrap();
        assert_eq!(account(p).left(&CreditTerms::default()), 0, "{login} {wish}");
        adds_up(p);
    }
    // What becomes a draft costs nothing.
    for (login, wish) in [("mudur@ornekas", "X-KEP-Islem: taslak\r\n"), ("ayse@ornekas", "")] {
        let text = format!("{wish}{}", letter("Duyuru", &next()));
        let became = p.submit(login, &[ALICI], &text).await.unwrap();
        assert!(matches!(became, Accepted::Draft { .. }), "{became:?}");
    }
    // A draft is moved to where it is sent, or starts a flow, over IMAP.
    let mut client = Client::connect(imap_door(p)).await;
    client.ok("LOGIN mudur@ornekas mudur-parola").await;
    client.ok("ENABLE UTF8=ACCEPT").await;
    client.ok("SELECT Taslaklar").await;
    for target in ["İşlerim/Gönder", "İş Akışları/Teklif"] {
        let draft = letter("Duyuru", &next());
        let said = client
            .say(&format!("APPEND Taslaklar {{{}+}}\r\n{draft}", draft.len()))
            .await;
        let uid = said
            .split("APPENDUID ")
            .nth(1)
            .and_then(|rest| rest.split([' ', ']']).nth(1))
            .unwrap()
            .to_owned();
        let said = client.say(&format!("UID MOVE {uid} \"{target}\"")).await;
        assert!(said.contains(" NO [OVERQUOTA] not enough credit"), "{said}");
        assert!(
            client
                .ok(&format!("UID FETCH {uid} FLAGS"))
                .await
                .contains("FETCH"),
            "it stays a draft"
        );
        add(p, 1).await;
        client.ok(&format!("UID MOVE {uid} \"{target}\"")).await;
        assert_eq!(account(p).left(&CreditTerms::default()), 0, "{target}");
        adds_up(p);
    }
    // What is reserved is released over IMAP though nothing is left.
    let before = stands(p);
    for id in jobs::open(&*p.db, p.tenant(TENANT)).unwrap() {
        decide(p, "onay1", id, Act::Approve).await.unwrap();
        decide(p, "onay2", id, Act::Approve).await.unwrap();
    }
    client.ok("SELECT \"İşlerim/Gönderime Hazır\"").await;
    client.ok("MOVE 1 \"İşlerim/Gönder\"").await;
    assert_eq!(stands(p), (before.0 - 1, before.1 - 1));
    client.ok("STORE 1 +FLAGS ($KepGonder)").await;
    assert_eq!(stands(p), (before.0 - 2, before.1 - 2));
    for id in jobs::open(&*p.db, p.tenant(TENANT)).unwrap() {
        decide(p, "mudur", id, Act::Release).await.unwrap();
    }
    assert_eq!(stands(p), (0, 0));
    adds_up(p);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_paid_is_refused_at_the_door_in_two_languages_and_costs_nothing() {
    let doors = doors().await;
    let p = &doors.pair.hs01;
    prepaid(p, 1).await;
    let twice = format!(
        "{}{}",
        message("Ek", ALICI),
        "0123456789abcdef\r\n".repeat(6 * 1024 * 1024 / 18)
    );
    let mail = format!("MAIL FROM:<{ORNEKAS}>");
    let rcpt = format!("RCPT TO:<{ALICI}>");
    let steps = json!([
        ["login", "mudur@ornekas", "mudur-parola"],
        // More than it can pay, whether it says so before or not.
        ["say", format!("{mail} SIZE={}", twice.len())],
        ["say", rcpt],
        ["content", twice],
        ["say", mail],
        ["say", rcpt],
        ["content", twice],
        // An address that is none is said before anything is counted.
        ["say", mail],
        ["say", "RCPT TO:<biri@example.com>"],
        ["say", "RSET"],
        ["send", ORNEKAS, [ALICI], message("Duyuru", ALICI)],
        ["send", ORNEKAS, [ALICI], message("Duyuru 2", ALICI)],
        ["send", ORNEKAS, [ALICI], message("[taslak] Duyuru 3", ALICI)],
    ]);
    let replies = doors.client(true, steps).await;
    for at in [3, 6, 11] {
        let said = &replies[at];
        assert!(
            said.starts_with("550 5.7.1 not enough credit: this mail costs "),
            "{said}"
        );
        assert!(
            said.contains("kontor yetersiz: bu ileti ") && said.contains('\n'),
            "{said}"
        );
    }
    assert!(replies[3].contains("costs 2, 1 is left"), "{replies:?}");
    assert!(replies[6].contains("costs 2, 1 is left"), "{replies:?}");
    assert!(replies[8].starts_with("550 5.1.3"), "{replies:?}");
    assert!(replies[10].starts_with("250 "), "{replies:?}");
    assert!(replies[11].contains("costs 1, 0 is left"), "{replies:?}");
    assert!(
        replies[12].starts_with("250 2.0.0 kept as a draft"),
        "{replies:?}"
    );
    assert_eq!(stands(p), (0, 0));
    adds_up(p);
    // Each complete message that was refused leaves evidence: the provider's policy, with the sentence.
    let rejected = rejections(p);
    assert_eq!(rejected.len(), 3);
    for facts in rejected {
        assert_eq!(facts.reasons[0].reason, Reason::PolicyViolation);
        assert!(
            facts.reasons[0]
                .details
                .as_deref()
                .unwrap_or_default()
                .contains("not enough credit")
        );
    }
}

#[tokio::test]
async fn an_account_with_nothing_left_stores_nothing_of_what_it_sends() {
    let pair = pair().await;
    let p = &pair.hs01;
    prepaid(p, 1).await;
    send(p, "Duyuru").await.unwrap();
    let files = crate::transfers::spooled(&pair, "hs01");
    no_credit(send(p, "Duyuru 2").await);
    assert_eq!(
        crate::transfers::spooled(&pair, "hs01"),
        files,
        "said before the content came"
    );
    // An overdraft lets it go on, so far and no farther.
    let terms = CreditTerms {
        overdraft: 2,
        warn_below: 0,
    };
    meter(p, Some(terms)).await;
    send(p, "Duyuru 3").await.unwrap();
    send(p, "Duyuru 4").await.unwrap();
    no_credit(send(p, "Duyuru 5").await);
    assert_eq!(stands(p), (-2, 0));
    // No longer metered: it sends, and what was counted stays as it is.
    meter(p, None).await;
    send(p, "Duyuru 6").await.unwrap();
    assert_eq!(stands(p), (-2, 0));
    adds_up(p);
}

#[tokio::test]
async fn officers_are_told_once_that_credit_is_low() {
    let pair = pair().await;
    let p = &pair.hs01;
    let terms = CreditTerms {
        overdraft: 0,
        warn_below: 2,
    };
    meter(p, Some(terms)).await;
    add(p, 3).await;
    let notices = || {
        let items = p.items(TENANT).into_iter();
        items
            .filter(|i| i.kind == ItemKind::Notice)
            .map(|i| i.author)
            .collect::<Vec<_>>()
    };
    let mudur = Some(p.principal("mudur@ornekas").user);
    send(p, "Duyuru").await.unwrap();
    pair.work().await;
    assert_eq!(notices(), []);
    send(p, "Duyuru 2").await.unwrap();
    pair.work().await;
    assert_eq!(notices(), [mudur]);
    send(p, "Duyuru 3").await.unwrap();
    pair.work().await;
    assert_eq!(notices(), [mudur], "once");
    add(p, 5).await;
    for n in 4..8 {
        send(p, &format!("Duyuru {n}")).await.unwrap();
    }
    pair.work().await;
    assert_eq!(notices(), [mudur, mudur], "again, after an addition");
    let opened = p
        .mailboxes
        .open(&p.principal("mudur@ornekas"), Mailbox::Inbox)
        .await
        .unwrap();
    assert_eq!(opened.members().count(), 2);
    // Owed, and no reason any more: nobody is told.
    add(p, 1).await;
    let before = notices().len();
    send(p, "Duyuru 8").await.unwrap();
    add(p, 9).await;
    pair.work().await;
    assert_eq!(notices().len(), before);
}

#[tokio::test]
async fn a_mail_client_shows_what_is_left_to_who_may_know() {
    let pair = pair().await;
    let p = &pair.hs01;
    let mut officer = Client::connect(imap_door(p)).await;
    let said = officer.ok("LOGIN mudur@ornekas mudur-parola").await;
    assert!(said.contains("QUOTA=RES-V-KEPD-CREDIT"), "{said}");
    assert!(
        !officer.ok("GETQUOTAROOT INBOX").await.contains("V-KEPD-CREDIT"),
        "not metered"
    );
    let terms = CreditTerms {
        overdraft: 2,
        warn_below: 0,
    };
    meter(p, Some(terms)).await;
    add(p, 10).await;
    send(p, "Duyuru").await.unwrap();
    submit(p, &letter("Fiyat teklifi", "a")).await;
    let said = officer.ok("GETQUOTAROOT INBOX").await;
    assert!(
        said.contains("STORAGE ") && said.contains("V-KEPD-CREDIT 2 12)"),
        "{said}"
    );
    assert!(
        officer
            .ok("GETQUOTA ornekas")
            .await
            .contains("V-KEPD-CREDIT 2 12)")
    );
    let said = officer.say("SETQUOTA ornekas (V-KEPD-CREDIT 100)").await;
    assert!(said.contains(" NO [NOPERM] "), "{said}");
    // Others learn nothing; who manages the account learns of the credit, and of nothing else.
    let mut limited = Client::connect(imap_door(p)).await;
    limited.ok("LOGIN ayse@ornekas ayse-parola").await;
    let said = limited.ok("GETQUOTAROOT INBOX").await;
    assert!(
        said.contains("* QUOTAROOT \"INBOX\"") && !said.contains("* QUOTA "),
        "{said}"
    );
    let changes = p.organisations.by(admin());
    let grant = changes.set_permissions(p.tenant(TENANT), "Yazan", |held| {
        held.insert(Permission::Account);
    });
    grant.await.unwrap();
    let said = limited.ok("GETQUOTAROOT INBOX").await;
    assert!(said.contains("* QUOTA ornekas (V-KEPD-CREDIT 2 12)"), "{said}");
}

#[tokio::test]
async fn additions_are_on_the_audit_record() {
    let pair = pair().await;
    let p = &pair.hs01;
    prepaid(p, 5).await;
    add(p, -2).await;
    let latest = audit::latest(&*p.db, p.tenant(TENANT), 1).unwrap();
    let record = &latest[0].1;
    assert_eq!(
        (record.deed.as_str(), record.author.login.as_str()),
        ("credit add", "administrator")
    );
    assert_eq!(record.after, r#"{"note":"deneme","units":-2}"#);
    let organisation = p.organisations.by_name(TENANT).unwrap();
    let without_reason = Addition {
        note: " ",
        ..addition(-1)
    };
    let refused = credits(p)
        .add(&organisation.tenant, admin(), without_reason)
        .await;
    assert!(matches!(refused, Err(Failure::Refused(r)) if r.kind == Kind::Invalid));
    assert_eq!(stands(p), (3, 0));
}

#[tokio::test]
async fn under_one_name_credit_is_added_once_whoever_says_it_and_how_often() {
    let pair = pair().await;
    let p = &pair.hs01;
    prepaid(p, 5).await;
    let organisation = p.organisations.by_name(TENANT).unwrap();
    let named = |units, name| Addition {
        name: Some(name),
        ..addition(units)
    };
    let (first, second) = (credits(p), credits(p));
    let both = tokio::join!(
        first.add(&organisation.tenant, admin(), named(10, "fatura 17")),
        second.add(&organisation.tenant, admin(), named(10, " fatura 17 ")),
    );
    let made_at = p.clock.now();
    let both = [both.0.unwrap(), both.1.unwrap()];
    assert!(
        both.contains(&Added::Now) && both.contains(&Added::Before(made_at)),
        "{both:?}"
    );
    assert_eq!(stands(p), (15, 0));
    p.clock.advance(DAY);
    let again = first
        .add(&organisation.tenant, admin(), named(10, "fatura 17"))
        .await;
    assert_eq!(again.unwrap(), Added::Before(made_at));
    let otherwise = first
        .add(&organisation.tenant, admin(), named(11, "fatura 17"))
        .await;
    let Err(Failure::Refused(refused)) = otherwise else {
        panic!("{otherwise:?}");
    };
    assert!(
        refused.kind == Kind::WrongState && refused.text.contains("10 units were added as \"fatura 17\"")
    );
    let another = first
        .add(&organisation.tenant, admin(), named(10, "fatura 18"))
        .await;
    assert_eq!(another.unwrap(), Added::Now);
    assert_eq!(stands(p), (25, 0));
    let latest = audit::latest(&*p.db, p.tenant(TENANT), 1).unwrap();
    assert_eq!(
        latest[0].1.after,
        r#"{"note":"deneme","once":"fatura 18","units":10}"#
    );
    for name in ["", "  ", "a\nb", &"x".repeat(201)] {
        let refused = first.add(&organisation.tenant, admin(), named(1, name)).await;
        assert!(
            matches!(refused, Err(Failure::Refused(r)) if r.kind == Kind::Invalid),
            "{name:?}"
        );
    }
}
