//! Whose mail a rule speaks of: the whole organisation, a unit with all below it, a role, a user; and mail that many
//! rules catch.

use crate::provider::{Provider, admin};
use crate::road::{Pair, message, pair};
use kepd::domain::item::{Item, ItemKind, LABELS_MAX};
use kepd::domain::org::{Permission, UserKind};
use kepd::domain::policy::ROUTES_MAX;
use kepd::domain::rule::{Comparison, Condition, Direction, Field};
use kepd::service::organisation::{NewStep, RuleWish};
use kepd::service::submission::Accepted;
use kepd::store::tables::jobs;
use std::collections::BTreeSet;

const ALICI: &str = "alici@hs02.kep.test";
const TENANT: &str = "ornekas";

pub fn contains(field: Field, text: &str) -> Option<Vec<Condition>> {
    Some(vec![Condition {
        field,
        comparison: Comparison::Contains,
        text: text.into(),
    }])
}

/// Writers in units: `genel` at the top, `ayse` in Satış below it, `bayi` in Bayiler below that, `depo` beside them;
/// `genel` and `depo` have the role Hukuk.
async fn writers() -> Pair {
    let pair = pair().await;
    let p = &pair.hs01;
    let tenant = p.tenant(TENANT);
    let o = &p.organisations;
    o.by(admin())
        .add_unit(tenant, "Bayiler", Some("Genel Müdürlük/Satış"))
        .await
        .unwrap();
    o.by(admin()).add_unit(tenant, "Depo", None).await.unwrap();
    o.by(admin())
        .add_role(tenant, "Hukuk", "", BTreeSet::from([Permission::View]))
        .await
        .unwrap();
    for (name, unit, roles) in [
        ("genel", "Genel Müdürlük", &["Yazan", "Hukuk"][..]),
        ("bayi", "Bayiler", &["Yazan"]),
        ("depo", "Depo", &["Yazan", "Hukuk"]),
    ] {
        p.add_user(tenant, name, UserKind::Limited, &[unit], roles).await;
    }
    o.by(admin()).remove_rule(tenant, "Teklif").await.unwrap();
    pair
}

/// Makes a rule for these, and says who of all writers it catches.
async fn caught_by(p: &Provider, subjects: &[&str]) -> BTreeSet<&'static str> {
    let tenant = p.tenant(TENANT);
    let wish = RuleWish {
        conditions: contains(Field::Subject, "ihale"),
        subjects: Some(subjects.iter().map(|s| (*s).to_owned()).collect()),
        steps: Some(vec![NewStep::of("Onay Rolü", 1)]),
        ..RuleWish::default()
    };
    let rule = p
        .organisations
        .by(admin())
        .add_rule(tenant, "İhale", Direction::Outgoing, &wish)
        .await
        .unwrap();
    let mut caught = BTreeSet::new();
    for author in ["genel", "ayse", "bayi", "depo"] {
        let text = message("İHALE", ALICI);
        match p
            .submit(&format!("{author}@{TENANT}"), &[ALICI], &text)
            .await
            .unwrap()
        {
            Accepted::Job { rule: name, .. } => {
                assert_eq!(name, rule.name);
                caught.insert(author);
            }
            Accepted::Draft { no_rule_matched, .. } => assert!(no_rule_matched, "{author}"),
            other => panic!("{author}: {other:?}"),
        }
    }
    p.organisations
        .by(admin())
        .remove_rule(tenant, "İhale")
        .await
        .unwrap();
    caught
}

#[tokio::test]
async fn a_rule_for_everybody_catches_all_writers() {
    let pair = writers().await;
    let all = BTreeSet::from(["genel", "ayse", "bayi", "depo"]);
    assert_eq!(caught_by(&pair.hs01, &[]).await, all);
}

#[tokio::test]
async fn a_rule_for_a_unit_catches_its_users_and_all_below() {
    let pair = writers().await;
    let p = &pair.hs01;
    for (unit, caught) in [
        ("unit:Satış", &["ayse", "bayi"][..]),
        ("unit:Bayiler", &["bayi"]),
        ("unit:Genel Müdürlük", &["genel", "ayse", "bayi"]),
        ("unit:Depo", &["depo"]),
    ] {
        let caught: BTreeSet<&str> = caught.iter().copied().collect();
        assert_eq!(caught_by(p, &[unit]).await, caught, "{unit}");
    }
    // The tree is asked as it stands.
    p.organisations
        .by(admin())
        .move_unit(p.tenant(TENANT), "Bayiler", Some("Depo"))
        .await
        .unwrap();
    assert_eq!(
        caught_by(p, &["unit:Depo"]).await,
        BTreeSet::from(["depo", "bayi"])
    );
    assert_eq!(caught_by(p, &["unit:Satış"]).await, BTreeSet::from(["ayse"]));
}

#[tokio::test]
async fn a_rule_for_a_role_catches_those_who_hold_it() {
    let pair = writers().await;
    let p = &pair.hs01;
    assert_eq!(
        caught_by(p, &["role:Hukuk"]).await,
        BTreeSet::from(["genel", "depo"])
    );
    let set = p
        .organisations
        .by(admin())
        .set_user(p.tenant(TENANT), "depo", |draft, user| {
            user.roles.remove(&draft.role("Hukuk")?);
            Ok(())
        });
    set.await.unwrap();
    assert_eq!(caught_by(p, &["role:Hukuk"]).await, BTreeSet::from(["genel"]));
}

#[tokio::test]
async fn a_rule_for_a_user_catches_his_mail_only_and_several_subjects_add_up() {
    let pair = writers().await;
    let p = &pair.hs01;
    assert_eq!(caught_by(p, &["user:ayse"]).await, BTreeSet::from(["ayse"]));
    assert_eq!(
        caught_by(p, &["user:ayse", "unit:Depo", "role:Hukuk"]).await,
        BTreeSet::from(["ayse", "depo", "genel"])
    );
}

/// Rules 0 to 19, asked in the order 19 to 0; each puts four labels on and routes to four units, and 12 and 7 ask.
async fn twenty_incoming(p: &Provider) {
    let tenant = p.tenant(TENANT);
    let o = &p.organisations;
    for n in 0..20u32 {
        let four = |kind: &str| -> Vec<String> { (0..4).map(|k| format!("{kind}{n}-{k}")).collect() };
        for (label, unit) in four("E").iter().zip(&four("B")) {
            o.by(admin()).add_label(tenant, label).await.unwrap();
            o.by(admin()).add_unit(tenant, unit, None).await.unwrap();
        }
        let wish = RuleWish {
            conditions: contains(Field::From, ALICI),
            labels: Some(four("E")),
            units: Some(four("B")),
            steps: [7, 12].contains(&n).then(|| vec![NewStep::of("Onay Rolü", 1)]),
            position: Some(20 - n),
            ..RuleWish::default()
        };
        o.by(admin())
            .add_rule(tenant, &format!("G{n}"), Direction::Incoming, &wish)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_mail_that_twenty_rules_catch_gets_what_one_item_takes_and_one_job() {
    let pair = pair().await;
    let p = &pair.hs01;
    twenty_incoming(p).await;
    let to = "ornekas@hs01.kep.test";
    let text = message("Davet", to).replace("Ornek <ornekas@hs01.kep.test>", ALICI);
    pair.hs02.submit("alici@alici", &[to], &text).await.unwrap();
    pair.work().await;
    let items: Vec<Item> = p.items(TENANT);
    let item = items.iter().find(|i| i.kind == ItemKind::Incoming).unwrap();
    let org = p.organisations.of(p.tenant(TENANT)).unwrap();
    assert_eq!((item.labels.len(), item.units.len()), (LABELS_MAX, ROUTES_MAX));
    // The first sixteen in order have filled it.
    let names: BTreeSet<&str> = item.labels.iter().map(|l| org.labels[l].name.as_str()).collect();
    let wanted: Vec<String> = (4..20)
        .flat_map(|n| (0..4).map(move |k| format!("E{n}-{k}")))
        .collect();
    assert_eq!(names, wanted.iter().map(String::as_str).collect());
    let job = jobs::job(&*p.db, p.tenant(TENANT), item.job.as_ref().unwrap().id)
        .unwrap()
        .unwrap();
    assert_eq!(job.row.rule_name, "G12");
    assert_eq!(jobs::all(&*p.db, p.tenant(TENANT)).unwrap().len(), 1);
}
