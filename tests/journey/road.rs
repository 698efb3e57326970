//! The road on a real message between two providers, without sockets: stations, store, seals.

use crate::provider::{Provider, START, Wires};
use kepd::clock::{Clock, ManualClock, UtcTime};
use kepd::domain::evidence::{Event, EvidenceKind};
use kepd::domain::item::{ItemKind, Report};
use kepd::domain::job::{Act, JobState, Route};
use kepd::domain::mail::{MailState, RecipientState};
use kepd::id::{JobId, MailId};
use kepd::service::approval::DecisionAsked;
use kepd::service::failure::{Failure, Kind};
use kepd::service::submission::Accepted;
use kepd::store::tables::{evidence, mails};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Two providers that know each other, with the contract's tenants.
pub struct Pair {
    pub hs01: Provider,
    pub hs02: Provider,
    pub wires: Wires,
    pub clock: Arc<ManualClock>,
    #[allow(dead_code)] // the folder lives as long as the pair
    pub dir: tempfile::TempDir,
}

pub async fn pair() -> Pair {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::at(START));
    let wires = Wires::default();
    let hs01 = Provider::open("hs01.kep.test", &dir.path().join("hs01"), &clock, &wires);
    let hs02 = Provider::open("hs02.kep.test", &dir.path().join("hs02"), &clock, &wires);
    hs01.knows("hs02.kep.test").await;
    hs02.knows("hs01.kep.test").await;
    hs01.add_ornekas().await;
    hs02.add_person("alici").await;
    Pair {
        hs01,
        hs02,
        wires,
        clock,
        dir,
    }
}

impl Pair {
    pub fn clock_now(&self) -> UtcTime {
        self.clock.now()
    }

    pub async fn work(&self) {
        while self.hs01.work().await + self.hs02.work().await > 0 {}
    }
}

pub fn message(subject: &str, to: &str) -> String {
    format!(
        "From: Ornek <ornekas@hs01.kep.test>\r\nTo: {to}\r\nSubject: {subject}\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/mixed; boundary=b1\r\n\r\n--b1\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Transfer-Encoding: 8bit\r\n\r\nSayın yetkili, teklifimiz ektedir.\r\n--b1\r\n\
         Content-Type: application/pdf; name=teklif.pdf\r\nContent-Transfer-Encoding: base64\r\n\
         Content-Disposition: attachment; filename=teklif.pdf\r\n\r\nJVBERi0xLjQK\r\n--b1--\r\n"
    )
}

async fn decide(p: &Provider, login: &str, job: JobId, act: Act) -> Result<JobState, Failure> {
    let asked = DecisionAsked {
        job,
        act,
        route: Route::Kepctl,
        note: "",
        original_sha256: None,
    };
    p.approval
        .decide(&p.principal(login), asked)
        .await
        .map(|j| j.standing.state)
}

fn told(p: &Provider, tenant: &str, mail: MailId) -> Vec<(EvidenceKind, Event)> {
    let rows = evidence::of_mail(&*p.db, p.tenant(tenant), mail).unwrap();
    rows.into_iter().map(|r| (r.row.kind, r.row.event)).collect()
}

const ALICI: &str = "alici@hs02.kep.test";

#[tokio::test]
async fn the_road_of_the_contract() {
    let pair = pair().await;
    let p = &pair.hs01;
    let accepted = p
        .submit("ayse@ornekas", &[ALICI], &message("Fiyat TEKLİFİ", ALICI))
        .await
        .unwrap();
    let Accepted::Job { mail, job, rule } = accepted else {
        panic!("{accepted:?}")
    };
    assert_eq!(rule, "Teklif");
    pair.work().await;
    assert_eq!(told(p, "ornekas", mail), vec![]);

    let refused = decide(p, "onay2@ornekas", job, Act::Approve).await;
    assert!(matches!(refused, Err(Failure::Refused(r)) if r.kind == Kind::NoPermission));
    assert_eq!(
        decide(p, "onay1@ornekas", job, Act::Approve).await.unwrap(),
        JobState::Waiting(1)
    );
    assert_eq!(
        decide(p, "onay2@ornekas", job, Act::Approve).await.unwrap(),
        JobState::Ready
    );
    assert!(decide(p, "onay2@ornekas", job, Act::Release).await.is_err());
    assert_eq!(
        decide(p, "mudur@ornekas", job, Act::Release).await.unwrap(),
        JobState::Released
    );
    pair.work().await;

    use EvidenceKind as K;
    let all = [
        (K::SubmissionAcceptanceRejection, Event::Acceptance),
        (K::RelayREMMDAcceptanceRejection, Event::Acceptance),
        (K::DeliveryNonDeliveryToRecipient, Event::Delivery),
    ];
    let mut found = told(p, "ornekas", mail);
    found.sort();
    let mut wanted = all.to_vec();
    wanted.sort();
    assert_eq!(found, wanted);
    let row = mails::mail(&*p.db, p.tenant("ornekas"), mail)
        .unwrap()
        .unwrap()
        .row;
    assert_eq!(row.recipients[0].state, RecipientState::Consigned);
    assert_eq!(row.state, MailState::Dispatched);
    let sent = p
        .items("ornekas")
        .into_iter()
        .find(|i| i.kind == ItemKind::Outgoing)
        .unwrap();
    assert!(sent.reports.contains(&Report::Delivered));
    let received = pair.hs02.items("alici");
    assert_eq!(
        received.iter().filter(|i| i.kind == ItemKind::Incoming).count(),
        1
    );
    assert_eq!(
        received.iter().filter(|i| i.kind == ItemKind::Evidence).count(),
        2
    );

    // Nobody reads it for a day.
    pair.clock.advance(Duration::from_secs(86_400));
    pair.work().await;
    let last = (K::RetrievalNonRetrievalByRecipient, Event::RetrievalExpiration);
    assert_eq!(told(p, "ornekas", mail).last(), Some(&last));
    let row = mails::mail(&*p.db, p.tenant("ornekas"), mail)
        .unwrap()
        .unwrap()
        .row;
    assert_eq!(
        (row.recipients[0].state, row.state),
        (RecipientState::Expired, MailState::Concluded)
    );
    assert_eq!(p.work().await, 0);
}

#[tokio::test]
async fn inside_one_provider_there_is_no_relay() {
    let pair = pair().await;
    pair.hs01.add_person("veli").await;
    let to = "veli@hs01.kep.test";
    let accepted = pair
        .hs01
        .submit("mudur@ornekas", &[to], &message("Duyuru", to))
        .await
        .unwrap();
    let Accepted::Sent { mail } = accepted else {
        panic!("{accepted:?}")
    };
    pair.work().await;
    let mut found = told(&pair.hs01, "ornekas", mail);
    found.sort();
    use EvidenceKind as K;
    let wanted = vec![
        (K::SubmissionAcceptanceRejection, Event::Acceptance),
        (K::DeliveryNonDeliveryToRecipient, Event::Delivery),
    ];
    assert_eq!(found, wanted);
    assert_eq!(
        pair.hs01
            .items("veli")
            .iter()
            .filter(|i| i.kind == ItemKind::Incoming)
            .count(),
        1
    );
}

#[tokio::test]
async fn a_time_stamp_authority_that_is_away_delays_and_loses_nothing() {
    let pair = pair().await;
    let p = &pair.hs01;
    p.authority.away.store(true, Ordering::Relaxed);
    let accepted = p
        .submit("mudur@ornekas", &[ALICI], &message("Duyuru", ALICI))
        .await
        .unwrap();
    let Accepted::Sent { mail } = accepted else {
        panic!("{accepted:?}")
    };
    for _ in 0..5 {
        pair.work().await;
        pair.clock.advance(Duration::from_secs(600));
    }
    assert_eq!(told(p, "ornekas", mail), vec![]);
    assert!(pair.hs02.items("alici").is_empty());
    p.authority.away.store(false, Ordering::Relaxed);
    pair.clock.advance(Duration::from_secs(900));
    pair.work().await;
    assert_eq!(told(p, "ornekas", mail).len(), 3);
    assert_eq!(
        pair.hs02
            .items("alici")
            .iter()
            .filter(|i| i.kind == ItemKind::Incoming)
            .count(),
        1
    );
}

#[tokio::test]
async fn a_peer_that_cannot_be_reached_in_time_is_a_failure_with_evidence() {
    let pair = pair().await;
    let p = &pair.hs01;
    pair.wires.cut("hs02.kep.test");
    let accepted = p
        .submit("mudur@ornekas", &[ALICI], &message("Duyuru", ALICI))
        .await
        .unwrap();
    let Accepted::Sent { mail } = accepted else {
        panic!("{accepted:?}")
    };
    let until = START.plus(Duration::from_secs(86_400 + 3600));
    while pair.clock.now() < until {
        pair.work().await;
        pair.clock.advance(Duration::from_secs(600));
    }
    assert_eq!(
        told(p, "ornekas", mail).last(),
        Some(&(EvidenceKind::RelayREMMDFailure, Event::DeliveryExpiration))
    );
    let row = mails::mail(&*p.db, p.tenant("ornekas"), mail)
        .unwrap()
        .unwrap()
        .row;
    assert_eq!(row.recipients[0].state, RecipientState::Failed);
    let sent = p
        .items("ornekas")
        .into_iter()
        .find(|i| i.kind == ItemKind::Outgoing)
        .unwrap();
    assert!(sent.reports.contains(&Report::Refused));
}

#[tokio::test]
async fn a_limited_user_whose_mail_matches_no_rule_gets_a_draft_and_a_notice() {
    let pair = pair().await;
    pair.work().await;
    let accepted = pair
        .hs01
        .submit("ayse@ornekas", &[ALICI], &message("Selam", ALICI))
        .await
        .unwrap();
    assert!(
        matches!(
            accepted,
            Accepted::Draft {
                no_rule_matched: true,
                ..
            }
        ),
        "{accepted:?}"
    );
    let kinds: Vec<_> = pair.hs01.items("ornekas").iter().map(|i| i.kind).collect();
    assert_eq!(kinds, vec![ItemKind::Draft, ItemKind::Notice]);
    assert_eq!(pair.hs01.work().await, 0);
}

#[tokio::test]
async fn the_same_submission_again_is_the_same_mail() {
    let pair = pair().await;
    let text = format!("Message-ID: <x@ornek>\r\n{}", message("Teklif", ALICI));
    let first = pair.hs01.submit("ayse@ornekas", &[ALICI], &text).await.unwrap();
    // Date is added by the server: the octets are the same only when the client wrote one.
    let dated = format!("Date: Mon, 23 Nov 2026 10:00:00 +0300\r\n{text}").replace("<x@", "<y@");
    let one = pair.hs01.submit("ayse@ornekas", &[ALICI], &dated).await.unwrap();
    pair.clock.advance(Duration::from_secs(60));
    let two = pair.hs01.submit("ayse@ornekas", &[ALICI], &dated).await.unwrap();
    assert_eq!(one, two);
    assert_ne!(first, one);
    assert_eq!(pair.hs01.items("ornekas").len(), 2);
}

#[tokio::test]
async fn blind_recipients_stay_unseen() {
    let pair = pair().await;
    pair.hs02.add_person("gizli").await;
    let gizli = "gizli@hs02.kep.test";
    let text = format!("Bcc: {gizli}\r\n{}", message("Duyuru", ALICI));
    let accepted = pair
        .hs01
        .submit("mudur@ornekas", &[ALICI, gizli], &text)
        .await
        .unwrap();
    let Accepted::Sent { mail } = accepted else {
        panic!("{accepted:?}")
    };
    pair.work().await;
    for name in ["alici", "gizli"] {
        assert_eq!(
            pair.hs02
                .items(name)
                .iter()
                .filter(|i| i.kind == ItemKind::Incoming)
                .count(),
            1,
            "{name}"
        );
    }
    // Nothing that alici holds names the blind one.
    let p = &pair.hs02;
    for item in p.items("alici") {
        let body = kepd::store::tables::items::body(&*p.db, p.tenant("alici"), item.id)
            .unwrap()
            .unwrap()
            .row;
        let octets = kepd::service::octets::ContentReader::whole(&p.spool, &body.content)
            .collect()
            .await
            .unwrap();
        assert!(!String::from_utf8_lossy(&octets).contains("gizli"));
    }
    for row in evidence::of_tenant(&*p.db, p.tenant("alici")).unwrap() {
        let xml = p.spool.load(&row.row.xml).await.unwrap();
        assert!(!String::from_utf8_lossy(&xml).contains("gizli"));
    }
    assert_eq!(told(&pair.hs01, "ornekas", mail).len(), 6);
}

#[tokio::test]
async fn a_hundred_recipients_here_all_receive() {
    let pair = pair().await;
    let p = &pair.hs01;
    let names: Vec<String> = (0..100).map(|n| format!("{n:03}-{}", "x".repeat(56))).collect();
    let mut to = Vec::new();
    for name in &names {
        p.add_tenant(name, kepd::domain::tenant::TenantKind::Tuzel).await;
        to.push(p.address(name).to_string());
    }
    let listed: Vec<&str> = to.iter().map(String::as_str).collect();
    let text = message("Duyuru", &to.join(",\r\n "));
    let Accepted::Sent { mail } = p.submit("mudur@ornekas", &listed, &text).await.unwrap() else {
        panic!()
    };
    pair.work().await;
    for name in &names {
        let received = p
            .items(name)
            .into_iter()
            .filter(|i| i.kind == ItemKind::Incoming)
            .count();
        assert_eq!(received, 1, "{name}");
    }
    assert_eq!(told(p, "ornekas", mail).len(), 1 + to.len());
}

#[tokio::test]
async fn recipients_that_no_evidence_could_list_are_refused_and_nothing_is_kept() {
    let pair = pair().await;
    let p = &pair.hs01;
    let domain = format!(
        "{}.{}.{}.hs02.kep.test",
        "a".repeat(60),
        "b".repeat(60),
        "c".repeat(60)
    );
    let to: Vec<String> = (0..60).map(|n| format!("k{n}@{domain}")).collect();
    let listed: Vec<&str> = to.iter().map(String::as_str).collect();
    let before = p.items("ornekas").len();
    let refused = p
        .submit("mudur@ornekas", &listed, &message("Duyuru", &to.join(",\r\n ")))
        .await;
    assert!(
        matches!(&refused, Err(Failure::Refused(r)) if r.kind == Kind::TooMany),
        "{refused:?}"
    );
    assert_eq!(p.items("ornekas").len(), before);
}

#[tokio::test]
async fn a_rejected_mail_may_be_handed_in_anew() {
    let pair = pair().await;
    let p = &pair.hs01;
    let text = format!(
        "Date: Mon, 23 Nov 2026 10:00:00 +0300\r\nMessage-ID: <z@ornek>\r\n{}",
        message("Teklif", ALICI)
    );
    let Accepted::Job { job, .. } = p.submit("ayse@ornekas", &[ALICI], &text).await.unwrap() else {
        panic!()
    };
    assert_eq!(
        decide(p, "onay1@ornekas", job, Act::Reject).await.unwrap(),
        JobState::Rejected
    );
    let Accepted::Job { job: anew, .. } = p.submit("ayse@ornekas", &[ALICI], &text).await.unwrap() else {
        panic!()
    };
    assert_ne!(job, anew);
    assert_eq!(
        decide(p, "onay1@ornekas", anew, Act::Approve).await.unwrap(),
        JobState::Waiting(1)
    );
}

#[tokio::test]
async fn a_draft_is_sent_once_however_many_send_it_at_the_same_moment() {
    let pair = pair().await;
    let p = &pair.hs01;
    let text = message("[taslak] Duyuru", ALICI);
    let Accepted::Draft { item, .. } = p.submit("mudur@ornekas", &[ALICI], &text).await.unwrap() else {
        panic!()
    };
    let by = p.principal("mudur@ornekas");
    let send = || async {
        let asked = kepd::domain::policy::Asked::Send;
        let mut receiving = p
            .submission
            .begin(&by, vec![ALICI.parse().unwrap()])
            .force(asked)
            .of_draft(item, kepd::domain::audit::AuditRoute::Imap);
        receiving.write(message("Duyuru", ALICI).as_bytes()).await?;
        receiving.finish().await
    };
    let (one, two, three) = tokio::join!(send(), send(), send());
    let outcomes = [one, two, three];
    assert_eq!(outcomes.iter().filter(|o| o.is_ok()).count(), 1, "{outcomes:?}");
    let refused =
        |o: &&Result<Accepted, Failure>| matches!(o, Err(Failure::Refused(r)) if r.kind == Kind::NotFound);
    assert_eq!(outcomes.iter().filter(refused).count(), 2);
    let outgoing = p
        .items("ornekas")
        .into_iter()
        .filter(|i| i.kind == ItemKind::Outgoing)
        .count();
    assert_eq!(outgoing, 1);
}

#[tokio::test]
async fn a_step_whose_limit_has_passed_is_late_and_can_still_be_decided() {
    let pair = pair().await;
    let p = &pair.hs01;
    let accepted = p
        .submit("ayse@ornekas", &[ALICI], &message("Teklif", ALICI))
        .await
        .unwrap();
    let Accepted::Job { job, .. } = accepted else {
        panic!("{accepted:?}")
    };
    let late = || p.items("ornekas")[0].reports.contains(&Report::Late);
    pair.clock.advance(Duration::from_secs(86_399));
    pair.work().await;
    assert!(!late());
    pair.clock.advance(Duration::from_secs(1));
    pair.work().await;
    assert!(late());
    assert!(p.items("ornekas")[0].job.as_ref().unwrap().late);
    assert_eq!(
        decide(p, "onay1@ornekas", job, Act::Approve).await.unwrap(),
        JobState::Waiting(1)
    );
    assert!(!late(), "the next step has its own limit");
    pair.clock.advance(Duration::from_secs(2 * 86_400));
    pair.work().await;
    assert!(late());
}

#[tokio::test]
async fn an_address_and_a_name_are_given_once() {
    let pair = pair().await;
    let new = |name: &str, local: &str| kepd::service::organisation::NewTenant {
        name: name.into(),
        kind: kepd::domain::tenant::TenantKind::Tuzel,
        address: format!("{local}@hs01.kep.test").parse().unwrap(),
        title: "Başka".into(),
        language: kepd::domain::tenant::Language::Turkish,
    };
    let o = &pair.hs01.organisations;
    for taken in [new("baska", "ORNEKAS"), new("OrnekAs", "baska")] {
        let refused = o
            .by(crate::provider::admin())
            .add_tenant(taken, &pair.hs01.identity.domain)
            .await;
        assert!(matches!(refused, Err(Failure::Refused(r)) if r.kind == Kind::Exists));
    }
    o.by(crate::provider::admin())
        .add_tenant(new("baska", "baska"), &pair.hs01.identity.domain)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_password_is_kept_as_argon2id_and_never_as_itself() {
    let pair = pair().await;
    let p = &pair.hs01;
    let by = p.principal("mudur@ornekas");
    let kept = kepd::store::tables::org::credentials(&*p.db, by.tenant, by.user)
        .unwrap()
        .unwrap();
    assert!(kept.argon2id.starts_with("$argon2id$v=19$"), "{}", kept.argon2id);
    let rows = p.db.range(b"t", b"u", 100_000).unwrap();
    assert!(
        rows.iter()
            .all(|(_, v)| !v.windows(12).any(|w| w == b"mudur-parola"))
    );
    let login = "mudur@ornekas".parse().unwrap();
    let check = |word: &str| {
        p.accounts
            .check_password(&login, kepd::sasl::Secret::new(word.to_owned()))
    };
    assert!(check("mudur-parola").await.unwrap().is_some());
    assert!(check("mudur-parolA").await.unwrap().is_none());
}
