//! The herald: each stage of an approval is told to everyone concerned, once, in the thread of the mail.

use crate::provider::{Provider, admin};
use crate::road::{Pair, message, pair};
use kepd::domain::item::ItemKind;
use kepd::domain::job::{Act, Route};
use kepd::domain::org::{Doors, Permission, User, UserKind};
use kepd::domain::rule::Step;
use kepd::domain::schedule::DAY;
use kepd::id::{JobId, UserId};
use kepd::mime::decode;
use kepd::mime::structure::Structure;
use kepd::mime::summary::{Summary, named};
use kepd::service::approval::DecisionAsked;
use kepd::service::octets::ContentReader;
use kepd::service::submission::Accepted;
use kepd::store::db::Batch;
use kepd::store::tables::work::{self, OwedStatus};
use kepd::store::tables::{items, jobs, org};
use std::collections::BTreeSet;

const ALICI: &str = "alici@hs02.kep.test";
pub const TENANT: &str = "ornekas";

/// A status message as its reader has it.
pub struct Told {
    pub octets: Vec<u8>,
    pub subject: String,
    /// The plain text.
    pub text: String,
    /// Where an answer goes.
    pub answer: String,
}

impl Told {
    pub fn header(&self, name: &str) -> String {
        named(&self.octets, name).unwrap_or_default()
    }
}

/// What a user has been told, in order.
pub async fn told(p: &Provider, login: &str) -> Vec<Told> {
    told_in(p, TENANT, login).await
}

pub async fn told_in(p: &Provider, tenant: &str, login: &str) -> Vec<Told> {
    let by = p.principal(&format!("{login}@{tenant}"));
    let mut all = Vec::new();
    for item in p.items(tenant) {
        if item.kind != ItemKind::Notice || item.author != Some(by.user) {
            continue;
        }
        let body = items::body(&*p.db, by.tenant, item.id).unwrap().unwrap().row;
        let octets = ContentReader::whole(&p.spool, &body.content)
            .collect()
            .await
            .unwrap();
        let structure = Structure::of(&octets);
        let part = structure
            .parts
            .iter()
            .find(|part| part.is_type("text/plain"))
            .unwrap();
        let text = decode::text(part, part.body.of(&octets).unwrap(), 100_000).unwrap();
        all.push(Told {
            subject: Summary::of(&octets).subject,
            text: text.replace("\r\n", "\n"),
            answer: named(&octets, "Reply-To").unwrap_or_default(),
            octets,
        });
    }
    all
}

async fn counts(p: &Provider) -> [usize; 4] {
    let mut all = [0; 4];
    for (count, login) in all.iter_mut().zip(["ayse", "onay1", "onay2", "mudur"]) {
        *count = told(p, login).await.len();
    }
    all
}

pub async fn submit(p: &Provider) -> JobId {
    let text = message("Fiyat TEKLİFİ", ALICI).replacen("MIME", "Message-ID: <a@ornek>\r\nMIME", 1);
    match p.submit("ayse@ornekas", &[ALICI], &text).await.unwrap() {
        Accepted::Job { job, .. } => job,
        other => panic!("{other:?}"),
    }
}

async fn decide(p: &Provider, login: &str, job: JobId, act: Act, note: &str) {
    let asked = DecisionAsked {
        job,
        act,
        route: Route::Folder,
        note,
        original_sha256: None,
    };
    let by = p.principal(&format!("{login}@{TENANT}"));
    p.approval.decide(&by, asked).await.unwrap();
}

/// Gives rule `Teklif` other steps.
async fn set_steps(p: &Provider, make: impl Fn(Step) -> Step) {
    let tenant = p.tenant(TENANT);
    let organisation = p.organisations.of(tenant).unwrap();
    let mut rule = organisation.rule_by_name("Teklif").unwrap().clone();
    rule.steps.truncate(1);
    rule.steps = rule.steps.into_iter().map(make).collect();
    let mut batch = Batch::new();
    org::put(&mut batch, tenant, &rule).unwrap();
    p.db.commit(batch).await.unwrap();
    known(p, "Acil").await;
}

/// A change of the organisation by the usual way makes what was put beside it known.
async fn known(p: &Provider, label: &str) {
    let changes = p.organisations.by(admin());
    changes.add_label(p.tenant(TENANT), label).await.unwrap();
}

#[tokio::test]
async fn each_stage_is_told_to_those_concerned_once() {
    let pair = pair().await;
    let p = &pair.hs01;
    let job = submit(p).await;
    pair.work().await;
    assert_eq!(counts(p).await, [1, 1, 0, 0]);
    decide(p, "onay1", job, Act::Approve, "fiyat uygun").await;
    pair.work().await;
    assert_eq!(counts(p).await, [2, 1, 1, 0]);
    decide(p, "onay2", job, Act::Approve, "").await;
    pair.work().await;
    assert_eq!(counts(p).await, [3, 2, 1, 1]);
    decide(p, "mudur", job, Act::Release, "").await;
    pair.work().await;
    assert_eq!(counts(p).await, [4, 3, 2, 1]);
    assert_eq!(p.herald.run_due().await.unwrap(), 0);
    assert_eq!(counts(p).await, [4, 3, 2, 1]);

    let subjects: Vec<String> = told(p, "ayse").await.into_iter().map(|t| t.subject).collect();
    assert_eq!(
        subjects,
        [
            "Re: [Onay bekliyor 1/2] Fiyat TEKLİFİ",
            "Re: [Onay bekliyor 2/2] Fiyat TEKLİFİ",
            "Re: [Gönderime hazır] Fiyat TEKLİFİ",
            "Re: [Gönderime verildi] Fiyat TEKLİFİ",
        ]
    );
    let asked = &told(p, "onay2").await[0];
    for wanted in [
        "Kim: onay1@ornekas",
        "Who: onay1@ornekas",
        "Zaman: ",
        "Adım: 1/2 (Onay Rolü)",
        "| fiyat uygun\n",
        "Karar bekleyen: Onay Rolü2",
        "Son karar zamanı: ",
        "Sıra sizde.",
        "It is your turn.",
        &format!("Komutla: kepctl job approve {job} --as onay2@ornekas\n"),
        &format!("By command: kepctl job approve {job} --as onay2@ornekas\n"),
    ] {
        assert!(asked.text.contains(wanted), "{wanted}\n{}", asked.text);
    }
    assert!(
        !asked.text.contains("teklifimiz ektedir"),
        "the content is not quoted"
    );
    assert!(!told(p, "ayse").await[1].text.contains("Sıra sizde."));
}

#[tokio::test]
async fn what_is_told_late_is_told_as_it_was() {
    let pair = pair().await;
    let p = &pair.hs01;
    let job = submit(p).await;
    decide(p, "onay1", job, Act::Approve, "").await;
    decide(p, "onay2", job, Act::Approve, "").await;
    decide(p, "mudur", job, Act::Release, "").await;
    pair.work().await;
    assert_eq!(counts(p).await, [4, 3, 2, 1]);
    let subjects: Vec<String> = told(p, "onay2").await.into_iter().map(|t| t.subject).collect();
    assert!(subjects[0].starts_with("Re: [Onay bekliyor 2/2]"), "{subjects:?}");
}

#[tokio::test]
async fn a_status_message_is_an_automatic_one_in_the_thread_of_its_mail() {
    let pair = pair().await;
    let p = &pair.hs01;
    let job = submit(p).await;
    pair.work().await;
    let first = &told(p, "onay1").await[0];
    assert_eq!(first.header("In-Reply-To"), "<a@ornek>");
    assert_eq!(first.header("References"), "<a@ornek>");
    assert_eq!(first.header("Auto-Submitted"), "auto-generated");
    assert_eq!(first.header("X-KEP-Is"), job.to_string());
    assert!(first.header("From").contains("<kep@hs01.kep.test>"));
    assert!(first.header("To").contains("<ornekas@hs01.kep.test>"));
    let token = first
        .answer
        .strip_prefix("is-")
        .and_then(|a| a.strip_suffix("@hs01.kep.test"));
    assert_eq!(token.map(str::len), Some(32));
    let author = &told(p, "ayse").await[0];
    assert_ne!(author.answer, first.answer);
    assert_ne!(author.header("Message-ID"), first.header("Message-ID"));
    // Nobody else can find it: it is kept as a digest only.
    let token = token.unwrap().as_bytes();
    let rows = p.db.range(b"t", b"u", usize::MAX).unwrap();
    let holds = |octets: &[u8]| octets.windows(token.len()).any(|w| w == token);
    let with_token: Vec<_> = rows
        .iter()
        .filter(|(key, value)| holds(key) || holds(value))
        .collect();
    assert!(
        with_token.iter().all(|(key, _)| key[5..7] == *b"ib"),
        "only the message itself names it"
    );
}

#[tokio::test]
async fn told_by_two_at_once_or_again_nobody_hears_twice() {
    let pair = pair().await;
    let p = &pair.hs01;
    submit(p).await;
    // As a start after a crash between the blob and the commit: the work is still there and is done from the beginning.
    let (one, other) = tokio::join!(p.herald.run_due(), p.herald.run_due());
    assert!(one.unwrap() + other.unwrap() > 0);
    assert_eq!(counts(p).await, [1, 1, 0, 0]);
    assert_eq!(work::count::<OwedStatus>(&*p.db).unwrap(), 0);
}

#[tokio::test]
async fn a_large_role_is_told_in_several_commits() {
    let pair = pair().await;
    let p = &pair.hs01;
    let tenant = p.tenant(TENANT);
    let organisation = p.organisations.of(tenant).unwrap();
    let role = organisation.role_by_name("Onay Rolü").unwrap().id;
    let mut batch = Batch::new();
    for n in 1000..2199 {
        let user = User {
            id: UserId(n),
            name: format!("uye{n}"),
            display_name: String::new(),
            title: String::new(),
            kind: UserKind::Limited,
            units: BTreeSet::new(),
            roles: [role].into(),
            deputies: Vec::new(),
            doors: Doors::default(),
            listed: false,
            removed: false,
        };
        org::put(&mut batch, tenant, &user).unwrap();
    }
    p.db.commit(batch).await.unwrap();
    known(p, "Acil").await;
    submit(p).await;
    let heard = || -> Vec<UserId> {
        let notices = p.items(TENANT).into_iter().filter(|i| i.kind == ItemKind::Notice);
        notices.filter_map(|i| i.author).collect()
    };
    for told in [500, 1000, 1201] {
        assert_eq!(heard().len().min(told), heard().len());
        p.herald.run_due().await.unwrap();
        assert_eq!(heard().len(), told);
    }
    assert_eq!(p.herald.run_due().await.unwrap(), 0);
    assert_eq!(heard().iter().collect::<BTreeSet<_>>().len(), 1201);
    // Each reads the command that is his own.
    for login in ["onay1", "uye1000", "uye1777", "uye2198"] {
        let text = &told(p, login).await[0].text;
        assert_eq!(
            text.matches(&format!("--as {login}@ornekas\n")).count(),
            2,
            "{text}"
        );
        assert_eq!(text.matches("--as ").count(), 2, "{text}");
    }
}

#[tokio::test]
async fn the_command_that_is_told_can_be_typed() {
    let pair = pair().await;
    let p = &pair.hs01;
    submit(p).await;
    pair.work().await;
    for (login, word) in [("onay1", "approve"), ("ayse", "withdraw")] {
        let text = told(p, login).await.remove(0).text;
        let command = text.split("By command: kepctl ").nth(1).unwrap();
        let typed: Vec<&str> = command.lines().next().unwrap().split(' ').collect();
        assert_eq!(typed[1], word);
        let mut kepctl = std::process::Command::new(env!("CARGO_BIN_EXE_kepctl"));
        let out = kepctl
            .args(["--socket", "/nonexistent/control.sock"])
            .args(&typed)
            .output()
            .unwrap();
        // 2 would be a usage error; nobody listens here, and that is another.
        assert_eq!(out.status.code(), Some(1), "{typed:?}: {out:?}");
    }
}

/// Who manages jobs manages those he sees, and hears of no others.
#[tokio::test]
async fn a_stuck_job_is_told_to_those_who_may_reassign_it_and_see_it() {
    let pair = pair().await;
    let p = &pair.hs01;
    let tenant = p.tenant(TENANT);
    let changes = || p.organisations.by(admin());
    changes().add_unit(tenant, "Arşiv Birimi", None).await.unwrap();
    let manages = BTreeSet::from([Permission::Jobs, Permission::View]);
    let role = changes()
        .add_role(tenant, "İş Yönetimi", "", manages)
        .await
        .unwrap();
    p.add_user(
        tenant,
        "yonet",
        UserKind::Limited,
        &["Arşiv Birimi"],
        &["İş Yönetimi"],
    )
    .await;
    let set = changes().set_user(tenant, "ayse", |_, user| {
        user.roles.insert(role.id);
        Ok(())
    });
    set.await.unwrap();
    let job = submit(p).await;
    pair.work().await;
    changes().remove_user(tenant, "onay1").await.unwrap();
    pair.work().await;

    let row = jobs::job(&*p.db, tenant, job).unwrap().unwrap().row;
    assert!(row.standing.stuck);
    let last = jobs::history(&*p.db, tenant, job).unwrap().pop().unwrap();
    let organisation = p.organisations.of(tenant).unwrap();
    let could = row.hearers(&organisation, &last, pair.clock_now());
    let yonet = p.principal("yonet@ornekas").user;
    assert!(
        could.contains_key(&yonet),
        "by his permission alone he would hear of it"
    );
    assert_eq!(told(p, "yonet").await.len(), 0);
    for login in ["mudur", "ayse"] {
        let told = told(p, login).await.pop().unwrap();
        assert_eq!(told.subject, "Re: [Karar verecek kimse yok] Fiyat TEKLİFİ");
        let command = format!("kepctl job reassign {job} --as {login}@ornekas --to role:");
        assert!(told.text.contains(&command), "{}", told.text);
    }
}

async fn last_subject(pair: &Pair, login: &str) -> String {
    pair.work().await;
    told(&pair.hs01, login)
        .await
        .pop()
        .map(|t| t.subject)
        .unwrap_or_default()
}

#[tokio::test]
async fn reminders_lateness_and_expiry_are_told() {
    let pair = pair().await;
    let p = &pair.hs01;
    let limits = |step| Step {
        remind_after_days: Some(1),
        expire_after_days: Some(3),
        limit_days: 2,
        ..step
    };
    set_steps(p, limits).await;
    let job = submit(p).await;
    pair.work().await;
    let start = counts(p).await;
    assert_eq!(start, [1, 1, 0, 0]);
    pair.clock.advance(DAY);
    assert_eq!(
        last_subject(&pair, "onay1").await,
        "Re: [Hatırlatma] Fiyat TEKLİFİ"
    );
    assert_eq!(counts(p).await, [1, 2, 0, 0]);
    pair.clock.advance(DAY);
    assert_eq!(last_subject(&pair, "mudur").await, "Re: [Gecikti] Fiyat TEKLİFİ");
    assert_eq!(counts(p).await, [2, 3, 0, 1]);
    pair.clock.advance(DAY);
    assert_eq!(
        last_subject(&pair, "ayse").await,
        "Re: [Süresi doldu] Fiyat TEKLİFİ"
    );
    assert_eq!(counts(p).await, [3, 4, 0, 2]);
    let history = kepd::store::tables::jobs::history(&*p.db, p.tenant(TENANT), job).unwrap();
    assert_eq!(
        history.last().unwrap().happening.step,
        Some(1),
        "the step that expired is named"
    );
}

#[tokio::test]
async fn an_answer_address_is_forgotten_when_it_ends() {
    let pair = pair().await;
    let p = &pair.hs01;
    submit(p).await;
    pair.work().await;
    let addresses = || {
        let rows = p.db.range(b"t", b"u", usize::MAX).unwrap();
        rows.iter().filter(|(key, _)| key[5..7] == *b"rf").count()
    };
    assert_eq!(addresses(), 2);
    pair.clock.advance(DAY * 90);
    assert!(p.herald.run_due().await.unwrap() >= 2);
    assert_eq!(addresses(), 0);
}
