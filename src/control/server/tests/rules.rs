//! Rules, their rehearsal and the figures of jobs as the administrator asks for them; what is wrong with a wish is said.

use super::*;
use crate::domain::item::{Item, ItemKind};
use crate::domain::job::{Act, Job, JobStart, Route};
use crate::domain::mail::{Mail, MailState, Recipient, RecipientState};
use crate::domain::rule::STEPS_MAX;
use crate::id::{ItemId, JobId, MailId};
use crate::service::approval::DecisionAsked;
use crate::store::db::Batch;
use crate::store::tables::items::{Content, ItemBody};
use crate::store::tables::{items, jobs, mails};

/// A tenant with an officer, a writer and two approvers.
async fn institution(r: &Running) {
    for line in [
        "tenant|add|ornekas",
        "unit|add|ornekas|Satış",
        "label|add|ornekas|Gelen",
        "role|add|ornekas|Yazan|--permit|compose,view",
        "role|add|ornekas|Onay Rolü|--permit|approve,view",
        "officer|add|mudur@ornekas",
        "user|add|ayse@ornekas|--unit|Satış|--role|Yazan",
        "user|add|onay1@ornekas|--role|Onay Rolü",
    ] {
        done(r, line).await;
    }
}

fn org(r: &Running) -> Arc<crate::domain::org::Organisation> {
    r.door.organisations.by_name("ornekas").unwrap()
}

/// A mail as a submission leaves it: held by a job of the first rule if `held`, else accepted.
async fn stored(r: &Running, n: u8, author: &str, subject: &str, held: bool) -> JobId {
    let org = org(r);
    let tenant = org.tenant.id;
    let at = r.door.approval.clock.now();
    let text = format!(
        "From: ornekas@hs01.kep.test\r\nTo: Ali <alici@hs02.kep.test>\r\nSubject: {subject}\r\n\r\nx\r\n"
    );
    let blob = r.door.records.spool.store(text.as_bytes()).await.unwrap();
    let (id, job) = (MailId::from_octets([n; 16]), JobId::from_octets([n; 16]));
    let author = org.user_by_name(author).unwrap().id;
    let mail = Mail {
        id,
        tenant,
        author,
        item: ItemId(u64::from(n)),
        job: held.then_some(job),
        follows: None,
        original_sha256: [3; 32],
        original_size_bytes: text.len() as u64,
        original_8bit: false,
        receipts: Default::default(),
        cost_units: 0,
        signature: None,
        subject: subject.into(),
        message_id: format!("<{n}@hs01.kep.test>"),
        sender: "ornekas@hs01.kep.test".parse().unwrap(),
        submitted_at: at,
        state: if held {
            MailState::Held
        } else {
            MailState::Accepted
        },
        recipients: vec![Recipient {
            address: "alici@hs02.kep.test".parse().unwrap(),
            blind: false,
            declared: None,
            state: RecipientState::Waiting,
        }],
    };
    let mut item = Item {
        mail: Some(id),
        author: Some(author),
        ..Item::new(mail.item, ItemKind::Outgoing, at)
    };
    let mut batch = Batch::new();
    if held {
        let start = JobStart {
            id: job,
            tenant,
            mail: id,
            item: mail.item,
            author: Some(author),
            rule: org.rules.values().next().unwrap(),
            original_sha256: mail.original_sha256,
            subject: mail.subject.clone(),
            thread: mail.message_id.clone(),
            follows: None,
            at,
        };
        let moved = Job::start(start, &org, &terms());
        item.job = Some(Box::new(moved.job.facet(&org)));
        jobs::add(&mut batch, &moved).unwrap();
    }
    let body = ItemBody {
        content: Content::whole(blob.id, blob.size_bytes),
        outline: Vec::new(),
    };
    mails::add(&mut batch, &mail).unwrap();
    items::add(&mut batch, tenant, &item, &body).unwrap();
    r.door.records.db.commit(batch).await.unwrap();
    job
}

#[tokio::test]
async fn rules_are_tried_on_stored_mail() {
    let r = run().await;
    institution(&r).await;
    done(
        &r,
        "rule|add|ornekas|Teklif|--subject|teklif|--for|role:Yazan|--step|Onay Rolü:1",
    )
    .await;
    done(
        &r,
        "rule|add|ornekas|Ali|--to|ali|--step|Onay Rolü:2|--position|5",
    )
    .await;
    done(&r, "rule|disable|ornekas|Ali").await;
    stored(&r, 1, "ayse", "Fiyat TEKLİFİ", true).await;
    stored(&r, 2, "mudur", "teklif", false).await;
    let long = "teklif ".repeat(20);
    stored(&r, 3, "ayse", &long, false).await;
    let version = org(&r).version;

    let told = done(&r, "rule|test|ornekas|--stored").await;
    assert_eq!(
        (
            told.value("looked_at"),
            told.value("matched"),
            told.value("older_left")
        ),
        (Some(&json!(3)), Some(&json!(2)), Some(&json!(false)))
    );
    // The newest first; the officer's own is none of the rule's.
    let mails = told.value("mails").unwrap();
    assert_eq!((&mails[0]["item"], &mails[1]["item"]), (&json!(3), &json!(1)));
    let shown = mails[0]["subject"].as_str().unwrap();
    assert!(shown.ends_with('…') && shown.chars().count() < 70, "{shown}");
    assert_eq!(mails[1]["author"], "ayse");
    assert_eq!(mails[1]["first"], "Teklif");
    assert_eq!(mails[1]["then"], "flow");
    assert_eq!(mails[1]["flow_steps"], json!(["Onay Rolü:1"]));
    assert_eq!(mails[1]["flow_it_had"], "Teklif (version 1)");
    assert_eq!(mails[0]["flow_it_had"], json!(null));

    // One that is switched off, by its name: it would not be the first everywhere.
    let told = done(&r, "rule|test|ornekas|--stored|--rule|ali").await;
    let mails = told.value("mails").unwrap().as_array().unwrap();
    assert_eq!(mails.len(), 3);
    assert_eq!(mails[0]["first"], "Teklif");
    assert_eq!(mails[0]["all"], json!(["Teklif", "Ali"]));
    assert_eq!(
        (&mails[1]["first"], &mails[1]["then"]),
        (&json!("Ali"), &json!("send"))
    );

    let told = done(&r, "rule|test|ornekas|--stored|--limit|1").await;
    assert_eq!(
        (told.value("looked_at"), told.value("older_left")),
        (Some(&json!(1)), Some(&json!(true)))
    );
    let told = done(&r, "rule|test|ornekas|--stored|--since|2026-11-25").await;
    assert_eq!(told.value("looked_at"), Some(&json!(0)));
    let told = done(&r, "rule|test|ornekas|--stored|--since|2026-11-23").await;
    assert_eq!(told.value("looked_at"), Some(&json!(3)));
    assert_eq!(org(&r).version, version);
}

#[tokio::test]
async fn a_mail_that_is_described_is_judged_as_its_author_s() {
    let r = run().await;
    institution(&r).await;
    done(
        &r,
        "rule|add|ornekas|Teklif|--subject|teklif|--for|unit:Satış|--step|Onay Rolü:1",
    )
    .await;
    done(
        &r,
        "rule|add|ornekas|Gelen|--incoming|--subject|ihale|--label|Gelen|--route|Satış",
    )
    .await;
    for (line, matches, then, steps) in [
        (
            "--subject|Teklif|--as|ayse@ornekas",
            true,
            json!("flow"),
            json!(["Onay Rolü:1"]),
        ),
        (
            "--subject|Selam|--as|ayse@ornekas",
            false,
            json!("draft"),
            json!([]),
        ),
        (
            "--subject|Teklif|--as|onay1@ornekas",
            false,
            json!("draft"),
            json!([]),
        ),
        (
            "--subject|Teklif|--as|mudur@ornekas",
            false,
            json!("send"),
            json!([]),
        ),
        ("--subject|Teklif", true, json!(null), json!(["Onay Rolü:1"])),
        (
            "--subject|İHALE|--from|x@hs02.kep.test",
            true,
            json!("sort"),
            json!([]),
        ),
        (
            "--subject|x|--from|x@hs02.kep.test",
            false,
            json!("consign"),
            json!([]),
        ),
    ] {
        let told = done(&r, &format!("rule|test|ornekas|{line}")).await;
        assert_eq!(told.value("matches"), Some(&json!(matches)), "{line}");
        assert_eq!(told.value("then"), Some(&then), "{line}");
        assert_eq!(told.value("steps"), Some(&steps), "{line}");
    }
    let told = done(&r, "rule|test|ornekas|--subject|ihale|--from|x@hs02.kep.test").await;
    assert_eq!(
        (told.value("labels"), told.value("routes")),
        (Some(&json!(["Gelen"])), Some(&json!(["Satış"])))
    );
}

#[tokio::test]
async fn a_wish_about_rules_that_cannot_be_is_answered_by_what_to_do() {
    let r = run().await;
    institution(&r).await;
    done(&r, "rule|add|ornekas|Irmak|--subject|x|--step|Onay Rolü:1").await;
    done(&r, "role|add|ornekas|Irmak|--permit|approve").await;
    done(&r, "label|add|ornekas|Irmak").await;
    done(&r, "unit|add|ornekas|Irmak").await;
    let before = org(&r).version;
    let steps = "|--step|Onay Rolü:1".repeat(STEPS_MAX + 1);
    let mut table = vec![
        (
            "rule|add|ornekas|X|--subject|x".to_owned(),
            "give it at least one step",
        ),
        (
            format!("rule|add|ornekas|X|--subject|x{steps}"),
            "between 1 and 10 steps",
        ),
        (
            "rule|add|ornekas|X|--incoming|--from|x".into(),
            "does nothing so far",
        ),
        (
            "rule|add|ornekas|X|--subject| |--step|Onay Rolü:1".into(),
            "each condition a text",
        ),
        (
            "rule|add|ornekas|X|--subject|x|--step|unit:Sat:1".into(),
            "did you mean \"Satış\"",
        ),
        (
            "rule|add|ornekas|X|--subject|x|--for|user:ayşe|--step|Onay Rolü:1".into(),
            "did you mean \"ayse\"",
        ),
        (
            "rule|add|ornekas|a/b|--subject|x|--step|Onay Rolü:1".into(),
            "a name has",
        ),
        ("rule|show|ornekas|Irmakk".into(), "did you mean \"Irmak\""),
        (
            "rule|test|ornekas|--stored|--rule|irmk".into(),
            "did you mean \"Irmak\"",
        ),
        (
            "rule|test|ornekas|--stored|--limit|0".into(),
            "between 1 and 10000",
        ),
        (
            "rule|test|ornekas|--stored|--limit|10001".into(),
            "between 1 and 10000",
        ),
        (
            "rule|test|ornekas|--as|aise@ornekas".into(),
            "did you mean \"ayse\"",
        ),
        ("rule|test|ornekas|--as|ayse@baska".into(), "there is no user"),
        (
            "rule|test|ornekas|--from|x|--as|ayse@ornekas".into(),
            "leave out --as",
        ),
        ("rule|test|ornekas|--from|x|--to|y".into(), "leave out --to"),
    ];
    // Names that differ by nothing but a dot are one name.
    for name in ["irmak", "ırmak", "IRMAK", "İRMAK", "İrMaK"] {
        table.push((
            format!("rule|add|ornekas|{name}|--subject|x|--step|Onay Rolü:1"),
            "already",
        ));
        table.push((format!("role|add|ornekas|{name}|--permit|approve"), "already"));
        table.push((format!("label|add|ornekas|{name}"), "already"));
        table.push((format!("unit|add|ornekas|{name}"), "already"));
    }
    for (line, why) in &table {
        let said = refused(&r, line).await;
        assert!(said.contains(why), "{line}: {said}");
    }
    // What cannot be typed can still be said to the socket.
    for (step, why) in [
        (
            json!({"parties": [{"need": "one", "who": " "}], "days": 1}),
            "the name of the role is empty",
        ),
        (
            json!({"parties": [{"need": "one", "who": "unit:"}], "days": 1}),
            "the name of the unit is empty",
        ),
        (json!({"parties": [], "days": 1}), "between 1 and 8 parties"),
        (
            json!({"parties": [{"need": {"of": 0}, "who": "Onay Rolü"}], "days": 1}),
            "a quorum is at least one",
        ),
    ] {
        let request = typed("rule|add|ornekas|X|--subject|x|--step|Onay Rolü:1");
        let mut raw = serde_json::to_value(request).unwrap();
        raw["word"]["rule"]["add"]["options"]["steps"] = json!([step]);
        let line = format!("{raw}\n");
        let Reply::Refused(said) = say_octets(&r.path, line.as_bytes()).await else {
            panic!("taken: {line}")
        };
        assert!(said.contains(why), "{line}: {said}");
    }
    assert_eq!(org(&r).version, before);
    for usage in [
        "rule|test|ornekas|--rule|x",
        "rule|test|ornekas|--stored|--subject|x",
        "rule|test|ornekas|--stored|--since|dün",
        "job|list|ornekas|--stats|--since|2026-13-01",
        "job|list|ornekas|--since|2026-11-23",
    ] {
        let words = usage.split('|');
        assert!(
            Typed::try_parse_from(std::iter::once("kepctl").chain(words)).is_err(),
            "{usage}"
        );
    }
}

#[tokio::test]
async fn a_rule_that_may_not_be_meant_is_taken_with_a_warning() {
    let r = run().await;
    institution(&r).await;
    done(&r, "role|add|ornekas|Boş|--permit|approve").await;
    let plain = done(&r, "rule|add|ornekas|A|--subject|x|--step|Onay Rolü:1").await;
    assert_eq!(plain.value("warnings"), Some(&json!([])));
    let early = done(&r, "rule|add|ornekas|B|--subject|x|--step|Boş:1").await;
    let said = early.value("warnings").unwrap()[0].as_str().unwrap();
    assert!(said.contains("nobody of \"Boş\" may approve"), "{said}");
    // The calendar of this test knows no religious holidays.
    done(&r, "rule|set|ornekas|A|--business-days").await;
    let shown = done(&r, "rule|show|ornekas|A").await;
    let said = shown.value("warnings").unwrap()[0].as_str().unwrap();
    assert!(
        said.contains("religious holidays are not known up to 2026-11-2"),
        "{said}"
    );
}

#[tokio::test]
async fn twenty_rules_may_catch_one_mail_and_the_first_counts() {
    let r = run().await;
    institution(&r).await;
    for n in 0..20 {
        // Asked in the other order than they were made.
        let line = format!(
            "rule|add|ornekas|R{n}|--subject|teklif|--position|{}|--step|Onay Rolü:{}",
            20 - n,
            n + 1
        );
        done(&r, &line).await;
    }
    let told = done(&r, "rule|test|ornekas|--subject|Teklif|--as|ayse@ornekas").await;
    let all: Vec<String> = (0..20).rev().map(|n| format!("R{n}")).collect();
    assert_eq!(told.value("all"), Some(&json!(all)));
    assert_eq!(
        (told.value("rule"), told.value("flow"), told.value("flow_steps")),
        (
            Some(&json!("R19")),
            Some(&json!("R19")),
            Some(&json!(["Onay Rolü:20"]))
        )
    );
}

#[tokio::test]
async fn jobs_have_figures() {
    let r = run().await;
    institution(&r).await;
    assert!(listed(&r, "job|list|ornekas|--stats").await.is_empty());
    done(
        &r,
        "rule|add|ornekas|Teklif|--subject|teklif|--step|Onay Rolü:1|--step|Onay Rolü:2",
    )
    .await;
    let first = stored(&r, 1, "ayse", "teklif", true).await;
    stored(&r, 2, "ayse", "teklif", true).await;
    let by = r
        .door
        .accounts
        .principal(&"onay1@ornekas".parse().unwrap())
        .unwrap()
        .unwrap();
    let asked = DecisionAsked {
        job: first,
        act: Act::Approve,
        route: Route::Kepctl,
        note: "",
        original_sha256: None,
    };
    r.door.approval.decide(&by, asked).await.unwrap();
    let rows = listed(&r, "job|list|ornekas|--stats").await;
    let told: Vec<_> = rows
        .iter()
        .map(|row| {
            ["step", "jobs", "waiting", "done", "late_percent", "median_s"]
                .map(|n| row.value(n).unwrap().clone())
        })
        .collect();
    assert_eq!(
        told,
        [
            [
                json!("whole"),
                json!(2),
                json!(2),
                json!(0),
                json!(0),
                json!(null)
            ],
            [json!("1"), json!(2), json!(1), json!(1), json!(0), json!(0)],
            [json!("2"), json!(1), json!(1), json!(0), json!(0), json!(null)],
        ]
    );
    assert!(
        listed(&r, "job|list|ornekas|--stats|--since|2026-11-25")
            .await
            .is_empty()
    );
    let list = listed(&r, "job|list|ornekas").await;
    assert_eq!(list[0].value("operating_time_s"), Some(&json!(0)));
    assert_eq!(list[0].value("total_due"), Some(&json!("2026-11-26T20:45:05Z")));
}

#[tokio::test]
async fn a_rule_is_typed_shown_and_typed_again() {
    let r = run().await;
    done(&r, "tenant|add|ornekas").await;
    done(&r, "unit|add|ornekas|Mali İşler").await;
    done(&r, "label|add|ornekas|Gelen").await;
    done(&r, "role|add|ornekas|Kurul|--permit|approve").await;
    done(&r, "role|add|ornekas|Boş|--permit|approve").await;
    done(&r, "role|add|ornekas|Yazar|--permit|compose").await;
    for user in ["a", "b", "c"] {
        done(
            &r,
            &format!("user|add|{user}@ornekas|--unit|Mali İşler|--role|Kurul"),
        )
        .await;
    }
    let step = "2 of Kurul + all unit:Mali İşler + user:a:3,remind=1,escalate=user:b@1,expire=10";
    let typed = format!(
        "rule|add|ornekas|Teklif|--subject|teklif|--when|to is x@hs02.kep.test|--match|all|--for|unit:Mali İşler|\
         --step|{step}|--business-days|--total|5|--own-approval|true|--position|7"
    );
    let shown = done(&r, &typed).await;
    assert_eq!(shown.value("steps").unwrap()[0], step);
    assert_eq!(shown.value("when").unwrap()[0], "to is x@hs02.kep.test");
    let before = r.door.organisations.by_name("ornekas").unwrap();
    let again = done(
        &r,
        &format!(
            "rule|set|ornekas|teklif|--step|{}",
            shown.value("steps").unwrap()[0].as_str().unwrap()
        ),
    )
    .await;
    assert_eq!(
        (again.value("steps"), again.value("version").unwrap()),
        (shown.value("steps"), &json!(2))
    );
    let rule = |org: &crate::domain::org::Organisation| org.rule_by_name("Teklif").unwrap().steps.clone();
    let after = r.door.organisations.by_name("ornekas").unwrap();
    assert_eq!(rule(&before), rule(&after));
    for (words, why) in [
        ("rule|add|ornekas|X|--subject|x", "at least one step"),
        ("rule|add|ornekas|X|--step|Kurul:1", "at least one condition"),
        (
            "rule|add|ornekas|X|--subject|x|--step|Yazar:1",
            "no permission to approve",
        ),
        ("rule|add|ornekas|X|--subject|x|--step|4 of Kurul:1", "only 3 may"),
        (
            "rule|add|ornekas|X|--subject|x|--step|Kurull:1",
            "did you mean \"Kurul\"",
        ),
        (
            "rule|add|ornekas|X|--subject|x|--step|Kurul:0",
            "between 1 and 365",
        ),
        (
            "rule|add|ornekas|X|--subject|x|--step|Kurul:2,remind=2",
            "a reminder comes",
        ),
        (
            "rule|add|ornekas|X|--subject|x|--step|Kurul:2,expire=2",
            "expires after",
        ),
        ("rule|add|ornekas|X|--from|x|--step|Kurul:1", "reads From"),
        (
            "rule|add|ornekas|X|--subject|x|--step|Kurul:1|--label|Gelen",
            "incoming",
        ),
        ("rule|add|ornekas|X|--incoming|--subject|x", "does nothing"),
        (
            "rule|add|ornekas|X|--incoming|--subject|x|--label|Gelen|--for|user:a",
            "nobody here writes",
        ),
        ("rule|add|ornekas|TEKLIF|--subject|x|--step|Kurul:1", "already"),
    ] {
        let said = refused(&r, words).await;
        assert!(said.contains(why), "{words}: {said}");
    }
    let end = r.door.organisations.by_name("ornekas").unwrap();
    assert_eq!((end.version, end.rules.len()), (after.version, 1));
    // Who is not there yet may be named; that nobody holds it is said.
    let early = done(&r, "rule|set|ornekas|Teklif|--step|Boş:1").await;
    assert_eq!(early.value("nobody_holds").unwrap()[0], "Boş");
    done(&r, "rule|remove|ornekas|Teklif").await;
    assert!(r.door.organisations.by_name("ornekas").unwrap().rules.is_empty());
}
