//! Random institutions under random change: every mailbox of every user shows what the words of the contract say
//! (`naive`), whatever happened before, and UIDs only grow.

use super::events::{Event, event};
use super::mailbox_house::House;
use super::naive::Log;
use super::provider::admin;
use super::world::World;
use kepd::clock::Clock;
use kepd::domain::item::ItemKind;
use kepd::domain::job::{Act, Route};
use kepd::domain::org::{Permission, UserKind};
use kepd::domain::selector::Mailbox;
use kepd::id::{ItemId, UserId};
use kepd::service::approval::{DecisionAsked, JobList};
use kepd::service::failure::{Failure, Kind};
use kepd::service::organisation::NewUser;
use proptest::prelude::*;
use std::collections::BTreeSet;

impl World {
    /// Every mailbox of every user against the drawing.
    async fn compare(&mut self) {
        let (now, log) = (self.house.clock.now(), self.log());
        let paths: Vec<String> = self
            .drawing
            .living()
            .into_iter()
            .map(|u| self.drawing.path(u))
            .collect();
        for user in self.drawing.people.keys().copied().collect::<Vec<_>>() {
            let by = self.by(user);
            if self.drawing.people[&user].removed {
                assert!(
                    self.house.mailboxes.list(&by).is_err(),
                    "{} was removed",
                    by.login
                );
                continue;
            }
            let listed = self.house.mailboxes.list(&by).unwrap().into_iter();
            let listed: BTreeSet<String> = listed.filter(|l| l.mailbox.is_some()).map(|l| l.name).collect();
            let offered = self.drawing.offers(user, now);
            assert_eq!(listed, offered, "what LIST offers {}", by.login);
            for path in &paths {
                let name = format!("Birimler/{path}");
                assert!(
                    offered.contains(&name) || self.house.mailboxes.resolve(&by, &name).is_err(),
                    "{name}"
                );
            }
            for name in &offered {
                self.follow(user, name).await;
                let opened = &self.opened[&(user, name.clone())];
                let there: BTreeSet<ItemId> = opened.members().map(|(_, item)| item).collect();
                let drawn = self
                    .drawing
                    .content(self.house.db(), self.house.tenant, user, name, &log, now);
                assert_eq!(there, drawn, "{} {name}", by.login);
            }
            self.compare_kepctl(user, &log);
        }
    }

    /// `kepctl job list --as USER` says the same as the mailboxes.
    fn compare_kepctl(&self, user: u32, log: &Log) {
        let now = self.house.clock.now();
        let approval = &self.house.mailboxes.approval;
        let org = self.house.mailboxes.organisations.of(self.house.tenant).unwrap();
        for (which, name) in [
            (JobList::Pending, "İşlerim/Bekleyen"),
            (JobList::Elsewhere, "İşlerim/Başkasında Bekleyen"),
            (JobList::Ready, "İşlerim/Gönderime Hazır"),
            (JobList::Done, "İşlerim/Biten"),
            (JobList::Late, "İşlerim/Geciken"),
        ] {
            let jobs = approval
                .list(self.house.tenant, org.users.get(&UserId(user)), which)
                .unwrap();
            let jobs: BTreeSet<ItemId> = jobs.iter().map(|job| job.item).collect();
            let drawn = self
                .drawing
                .content(self.house.db(), self.house.tenant, user, name, log, now);
            assert_eq!(jobs, drawn, "job list {which:?} --as {user}");
        }
        for mail in log.0.values() {
            let Some(job) = &mail.job else { continue };
            let shown = approval.show(&self.by(user), job.id).is_ok();
            assert_eq!(
                shown,
                self.drawing.sees(user, mail, log, now),
                "job show --as {user}"
            );
        }
    }
}

fn run(events: Vec<Event>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut world = World::build().await;
        for event in events {
            world.happen(event).await;
        }
        world.compare().await;
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_mailbox_of_every_user_shows_what_the_contract_says(events in prop::collection::vec(event(), 20..80)) {
        run(events);
    }
}

/// What stands in INBOX of a user.
async fn inbox(house: &House, name: &str) -> Vec<ItemId> {
    let opened = house
        .mailboxes
        .open(&house.user(name), Mailbox::Inbox)
        .await
        .unwrap();
    opened.members().map(|(_, item)| item).collect()
}

#[tokio::test]
async fn what_an_heir_gives_up_is_not_seen_through_what_it_inherited() {
    let house = House::build().await;
    let change = house.mailboxes.organisations.by(admin());
    let acil = change
        .label_unit(house.tenant, "Satış", &["Acil".into()], true)
        .await
        .unwrap();
    let mail = house
        .put(b"Subject: x\r\n\r\nx\r\n", |item| {
            item.labels = acil.labels.clone()
        })
        .await;
    assert_eq!(inbox(&house, "ayse").await, [mail]);
    change
        .end_unit(house.tenant, "Satış", Some("Mali İşler"))
        .await
        .unwrap();
    assert_eq!(
        (inbox(&house, "ayse").await, inbox(&house, "onay1").await),
        (vec![mail], vec![mail])
    );
    change
        .label_unit(house.tenant, "Mali İşler", &["Acil".into()], false)
        .await
        .unwrap();
    assert_eq!(
        (inbox(&house, "ayse").await, inbox(&house, "onay1").await),
        (vec![], vec![])
    );
}

#[tokio::test]
async fn a_label_that_was_removed_shows_nothing_any_more() {
    let house = House::build().await;
    let org = house.mailboxes.organisations.of(house.tenant).unwrap();
    let finans = org.label_by_name("Finans").unwrap().id;
    let mail = house
        .put(b"Subject: x\r\n\r\nx\r\n", |item| item.labels.extend([finans]))
        .await;
    assert_eq!(inbox(&house, "onay1").await, [mail]);
    let change = house.mailboxes.organisations.by(admin());
    change.remove_label(house.tenant, "Finans").await.unwrap();
    // Nobody could take it off the mail, or off the unit, any more.
    assert_eq!(inbox(&house, "onay1").await, []);
    assert_eq!(inbox(&house, "mudur").await, [mail]);
}

#[tokio::test]
async fn evidence_that_speaks_of_nothing_is_the_officers_whatever_hangs_on_it() {
    let house = House::build().await;
    let org = house.mailboxes.organisations.of(house.tenant).unwrap();
    let (finans, unit) = (
        org.label_by_name("Finans").unwrap().id,
        org.unit_by_path("Mali İşler").unwrap().id,
    );
    let evidence = house
        .put(b"Subject: x\r\n\r\nx\r\n", |item| {
            item.kind = ItemKind::Evidence;
            item.labels.extend([finans]);
            item.units.extend([unit]);
        })
        .await;
    for (name, sees) in [("onay1", false), ("mudur", true)] {
        let opened = house
            .mailboxes
            .open(&house.user(name), Mailbox::Evidence)
            .await
            .unwrap();
        assert_eq!(opened.uid_of(evidence).is_some(), sees, "{name}");
    }
}

#[tokio::test]
async fn who_manages_jobs_manages_those_he_sees() {
    let mut world = World::build().await;
    world.happen(Event::HandIn { user: 2, rule: 0 }).await;
    let house = &world.house;
    let org = house.mailboxes.organisations.of(house.tenant).unwrap();
    let role = org.role_by_name("İş Yönetimi").unwrap().id;
    let new = NewUser {
        name: "yonetici".into(),
        display_name: String::new(),
        kind: UserKind::Limited,
        units: vec!["Mali İşler".into()],
        roles: vec!["İş Yönetimi".into()],
    };
    let organisations = house.mailboxes.organisations.clone();
    organisations
        .by(admin())
        .add_user(house.tenant, &new)
        .await
        .unwrap();
    assert!(org.roles[&role].permissions.contains(&Permission::Jobs));
    let by = house.user("yonetici");
    let approval = &house.mailboxes.approval;
    let jobs = approval.list(house.tenant, None, JobList::All).unwrap();
    let cancel = |job| DecisionAsked {
        job,
        act: Act::Cancel,
        route: Route::Kepctl,
        note: "",
        original_sha256: None,
    };
    let refused = approval.decide(&by, cancel(jobs[0].id)).await.unwrap_err();
    assert!(matches!(refused, Failure::Refused(r) if r.kind == Kind::NotFound));
    let add = organisations
        .by(admin())
        .set_user(house.tenant, "yonetici", |draft, user| {
            user.units.insert(draft.unit("Satış")?);
            Ok(())
        });
    add.await.unwrap();
    approval.decide(&by, cancel(jobs[0].id)).await.unwrap();
}
