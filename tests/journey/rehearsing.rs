//! `rule test --stored` against the road: rules tried on the stored mail say exactly what submission and delivery did with
//! it, and change nothing.

use crate::provider::{Provider, admin};
use crate::road::{Pair, message, pair};
use crate::rule_subjects::contains;
use kepd::domain::item::{Item, ItemKind};
use kepd::domain::org::UserKind;
use kepd::domain::policy::{Sorting, Then};
use kepd::domain::rule::{Comparison, Condition, Direction, Field};
use kepd::id::MailId;
use kepd::service::organisation::{NewStep, RuleWish};
use kepd::service::rehearsal::{Caught, Rehearsal, Rehearse, Rehearsed};
use kepd::service::submission::Accepted;
use kepd::store::db::Rows;
use kepd::store::tables::jobs;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::time::Duration;

const ALICI: &str = "alici@hs02.kep.test";
const ORNEKAS: &str = "ornekas@hs01.kep.test";
const TENANT: &str = "ornekas";

const SUBJECTS: [&str; 6] = [
    "Fiyat TEKLİFİ",
    "ihale ve teklif",
    "IHALE",
    "=?utf-8?Q?Gizli_=C4=B0hale?=",
    "Selam",
    "gizli",
];
const NEEDLES: [&str; 5] = ["teklif", "İhale", "GİZLİ", "ı", "selam"];
const SPEAKS_OF: [&[&str]; 5] = [
    &[],
    &["unit:Genel Müdürlük"],
    &["user:ayse"],
    &["role:Yazan"],
    &["user:mudur", "unit:Depo"],
];

#[derive(Debug, Clone)]
struct PlannedRule {
    incoming: bool,
    needles: Vec<(usize, Comparison, bool)>,
    all: bool,
    speaks_of: usize,
    position: u32,
    asks: bool,
    enabled: bool,
}

#[derive(Debug, Clone)]
struct PlannedMail {
    /// 0 and 1: limited users in Satış and in Depo; 2: an officer; 3: it comes in.
    writer: u8,
    subject: usize,
    /// Also to somebody whose display name rules may read.
    named: bool,
}

fn planned_rule() -> impl Strategy<Value = PlannedRule> {
    let comparison = prop_oneof![
        Just(Comparison::Contains),
        Just(Comparison::Begins),
        Just(Comparison::Word),
        Just(Comparison::Equals)
    ];
    let needle = (0..NEEDLES.len(), comparison, prop::bool::weighted(0.2));
    (
        prop::bool::weighted(0.4),
        prop::collection::vec(needle, 1..3),
        prop::bool::weighted(0.3),
        0..SPEAKS_OF.len(),
        0..3u32,
        any::<bool>(),
        prop::bool::weighted(0.8),
    )
        .prop_map(
            |(incoming, needles, all, speaks_of, position, asks, enabled)| PlannedRule {
                incoming,
                needles,
                all,
                speaks_of,
                position,
                asks,
                enabled,
            },
        )
}

fn planned_mail() -> impl Strategy<Value = PlannedMail> {
    (0..4u8, 0..SUBJECTS.len(), any::<bool>()).prop_map(|(writer, subject, named)| PlannedMail {
        writer,
        subject,
        named,
    })
}

impl PlannedRule {
    fn wish(&self, n: usize) -> RuleWish {
        let condition = |(needle, comparison, address): &(usize, Comparison, bool)| Condition {
            field: match (address, self.incoming) {
                (false, _) => Field::Subject,
                (true, true) => Field::From,
                (true, false) => Field::To,
            },
            comparison: *comparison,
            text: if *address {
                "alıcı".into()
            } else {
                NEEDLES[*needle].into()
            },
        };
        let asks = self.asks || !self.incoming;
        RuleWish {
            combine: self.all.then_some(kepd::domain::rule::Combine::All),
            conditions: Some(self.needles.iter().map(condition).collect()),
            subjects: (!self.incoming).then(|| {
                SPEAKS_OF[self.speaks_of]
                    .iter()
                    .map(|s| (*s).to_owned())
                    .collect()
            }),
            steps: asks.then(|| vec![NewStep::of("Onay Rolü", 1)]),
            labels: self.incoming.then(|| vec![format!("E{}", n % 3)]),
            units: self.incoming.then(|| vec!["Depo".into()]),
            position: Some(self.position),
            ..RuleWish::default()
        }
    }
}

/// An institution whose officers follow rules too, without a rule.
async fn institution() -> Pair {
    let pair = pair().await;
    let p = &pair.hs01;
    let tenant = p.tenant(TENANT);
    let o = &p.organisations;
    o.by(admin()).remove_rule(tenant, "Teklif").await.unwrap();
    o.by(admin())
        .set_tenant(tenant, |t| t.officers_follow_rules = true)
        .await
        .unwrap();
    o.by(admin()).add_unit(tenant, "Depo", None).await.unwrap();
    for n in 0..3 {
        o.by(admin()).add_label(tenant, &format!("E{n}")).await.unwrap();
    }
    p.add_user(tenant, "depo", UserKind::Limited, &["Depo"], &["Yazan"])
        .await;
    pair
}

async fn make(p: &Provider, n: usize, rule: &PlannedRule) {
    let (tenant, name) = (p.tenant(TENANT), format!("R{n}"));
    let direction = if rule.incoming {
        Direction::Incoming
    } else {
        Direction::Outgoing
    };
    let o = &p.organisations;
    o.by(admin())
        .add_rule(tenant, &name, direction, &rule.wish(n))
        .await
        .unwrap();
    if !rule.enabled {
        o.by(admin()).enable_rule(tenant, &name, false).await.unwrap();
    }
}

/// Hands a mail in; gives the rule whose flow it started, if it did not become a draft.
async fn send(pair: &Pair, mail: &PlannedMail) -> Option<(MailId, Option<String>)> {
    pair.clock.advance(Duration::from_secs(60));
    let subject = SUBJECTS[mail.subject];
    if mail.writer == 3 {
        let text = message(subject, ORNEKAS).replace("Ornek <ornekas@hs01.kep.test>", ALICI);
        pair.hs02.submit("alici@alici", &[ORNEKAS], &text).await.unwrap();
        pair.work().await;
        return None;
    }
    let to = if mail.named {
        "=?utf-8?Q?Al=C4=B1c=C4=B1?= <alici@hs02.kep.test>"
    } else {
        ALICI
    };
    let login = ["ayse", "depo", "mudur"][usize::from(mail.writer)];
    let p = &pair.hs01;
    match p
        .submit(&format!("{login}@{TENANT}"), &[ALICI], &message(subject, to))
        .await
        .unwrap()
    {
        Accepted::Job { mail, rule, .. } => Some((mail, Some(rule))),
        Accepted::Sent { mail } | Accepted::Released { mail, .. } => Some((mail, None)),
        Accepted::Draft { .. } => None,
    }
}

fn everything(p: &Provider) -> Rows {
    p.db.range(&[], &[255; 8], usize::MAX).unwrap()
}

async fn rehearse(p: &Provider, rule: Option<&str>) -> Rehearsed {
    let rehearsal = Rehearsal {
        db: p.db.clone(),
        spool: p.spool.clone(),
        organisations: p.organisations.clone(),
    };
    let asked = Rehearse {
        rule: rule.map(str::to_owned),
        since: None,
        limit: 1000,
    };
    let before = everything(p);
    let told = rehearsal.over_stored(p.tenant(TENANT), &asked).await.unwrap();
    assert_eq!(everything(p), before, "something was changed");
    told
}

/// What the road did with a mail: the rule of its job; of what came in also labels and units.
fn did(p: &Provider, item: &Item) -> (Option<String>, Sorting) {
    let job = item.job.as_ref().map(|facet| facet.id);
    let job = job.map(|id| jobs::job(&*p.db, p.tenant(TENANT), id).unwrap().unwrap().row);
    let sorting = Sorting {
        labels: item.labels.clone(),
        units: item.units.clone(),
        asks: job.as_ref().map(|j| j.rule),
        ..Sorting::default()
    };
    (job.map(|j| j.rule_name), sorting)
}

/// One mail: what rules are said to make of it is what became of it.
fn agrees(p: &Provider, item: &Item, told: Option<&Caught>) {
    let (flow, sorted) = did(p, item);
    let Some(told) = told else {
        assert_eq!(flow, None);
        assert!(
            item.kind == ItemKind::Outgoing || sorted == Sorting::default(),
            "{sorted:?}"
        );
        return;
    };
    assert_eq!(told.was.as_ref().map(|(name, _)| name.clone()), flow);
    assert_eq!((told.item, told.author), (item.id, item.author));
    match &told.verdict.then {
        Then::Flow(rule) => assert_eq!(told.verdict.caught.first(), Some(rule)),
        Then::Sort(sorting) => {
            assert_eq!(sorting.caught, told.verdict.caught);
            assert_eq!(
                Sorting {
                    caught: Vec::new(),
                    ..sorting.clone()
                },
                sorted
            );
            return;
        }
        other => panic!("who follows rules and is caught starts a flow: {other:?}"),
    }
    assert_eq!(Then::Flow(sorted.asks.unwrap()), told.verdict.then);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 5, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rules_tried_on_stored_mail_say_what_the_road_did(
        rules in prop::collection::vec(planned_rule(), 1..8),
        mails in prop::collection::vec(planned_mail(), 4..14),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let pair = institution().await;
            let p = &pair.hs01;
            for (n, rule) in rules.iter().enumerate() {
                make(p, n, rule).await;
            }
            let mut sent = BTreeMap::new();
            for mail in &mails {
                sent.extend(send(&pair, mail).await);
            }
            let stored: Vec<Item> = p.items(TENANT).into_iter()
                .filter(|i| matches!(i.kind, ItemKind::Outgoing | ItemKind::Incoming))
                .collect();
            let told = rehearse(p, None).await;
            assert_eq!((told.looked_at, told.more), (stored.len(), false));
            assert!(told.caught.windows(2).all(|w| w[0].at >= w[1].at && w[0].item > w[1].item));
            let by_mail: BTreeMap<MailId, &Caught> = told.caught.iter().map(|c| (c.mail, c)).collect();
            for item in &stored {
                let id = item.mail.unwrap();
                agrees(p, item, by_mail.get(&id).copied());
                if item.kind == ItemKind::Outgoing {
                    assert_eq!(did(p, item).0, sent[&id]);
                }
            }
            // One rule by its name tells the same of itself, and switched off what it would if it were on.
            for (n, rule) in rules.iter().enumerate() {
                let name = format!("R{n}");
                let caught = |told: &Rehearsed| -> Vec<MailId> { told.caught.iter().map(|c| c.mail).collect() };
                let named = rehearse(p, Some(&name)).await;
                let id = named.organisation.rule_by_name(&name).unwrap().id;
                if rule.enabled {
                    let whole: Vec<MailId> = told.caught.iter()
                        .filter(|c| c.verdict.caught.contains(&id)).map(|c| c.mail).collect();
                    assert_eq!(caught(&named), whole);
                }
                let o = &p.organisations;
                o.by(admin()).enable_rule(p.tenant(TENANT), &name, !rule.enabled).await.unwrap();
                assert_eq!(caught(&rehearse(p, Some(&name)).await), caught(&named));
                o.by(admin()).enable_rule(p.tenant(TENANT), &name, rule.enabled).await.unwrap();
            }
        });
    }
}

#[tokio::test]
async fn a_rehearsal_goes_back_as_far_as_it_is_asked() {
    let pair = institution().await;
    let p = &pair.hs01;
    let wish = RuleWish {
        conditions: contains(Field::Subject, "teklif"),
        steps: Some(vec![NewStep::of("Onay Rolü", 1)]),
        ..RuleWish::default()
    };
    p.organisations
        .by(admin())
        .add_rule(p.tenant(TENANT), "Teklif", Direction::Outgoing, &wish)
        .await
        .unwrap();
    let mut moments = Vec::new();
    for _ in 0..5 {
        pair.clock.advance(Duration::from_secs(86_400));
        moments.push(pair.clock_now());
        p.submit("ayse@ornekas", &[ALICI], &message("teklif", ALICI))
            .await
            .unwrap();
        // Drafts and notices in between are not looked at.
        p.submit("ayse@ornekas", &[ALICI], &message("selam", ALICI))
            .await
            .unwrap();
    }
    let rehearsal = Rehearsal {
        db: p.db.clone(),
        spool: p.spool.clone(),
        organisations: p.organisations.clone(),
    };
    for (since, limit, looked_at, more) in [
        (None, 5, 5, false),
        (None, 4, 4, true),
        (Some(moments[3]), 1000, 2, false),
        (Some(moments[3].plus(Duration::from_secs(1))), 1000, 1, false),
        (Some(moments[0]), 1000, 5, false),
        (Some(moments[2]), 2, 2, true),
    ] {
        let asked = Rehearse {
            rule: None,
            since,
            limit,
        };
        let told = rehearsal.over_stored(p.tenant(TENANT), &asked).await.unwrap();
        assert_eq!(
            (told.looked_at, told.caught.len(), told.more),
            (looked_at, looked_at, more),
            "{since:?} {limit}"
        );
        assert_eq!(told.caught[0].at, moments[4]);
    }
    let asked = Rehearse {
        rule: Some("Teklf".into()),
        since: None,
        limit: 1,
    };
    let refused = rehearsal.over_stored(p.tenant(TENANT), &asked).await.unwrap_err();
    assert!(
        refused.to_string().contains("did you mean \"Teklif\""),
        "{refused}"
    );
}
