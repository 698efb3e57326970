//! A random institution under random change, and its drawing (`naive`) kept beside it: what happens to mail, to units,
//! users and rights, to jobs and to time. Other modules hold the two against each other.

use super::events::{Event, mail_with, nth};
use super::mailbox_house::{House, start};
use super::naive::{Drawing, Fate, Log, Person, Unit};
use super::provider::admin;
use kepd::clock::Clock;
use kepd::domain::audit::Origin;
use kepd::domain::item::{Filed, ItemKind, JobPhase};
use kepd::domain::job::{Act, Route};
use kepd::domain::org::{Deputy, Permission, UserKind};
use kepd::domain::rule::{Comparison, Condition, Direction, Field, Need, Who};
use kepd::domain::selector::Mailbox;
use kepd::id::{ItemId, RoleId, UnitId, UserId};
use kepd::service::account::Principal;
use kepd::service::approval::DecisionAsked;
use kepd::service::failure::{Failure, Kind};
use kepd::service::mailbox::{MarkHow, Marks, Opened, Verb};
use kepd::service::organisation::{NewStep, NewUser, RuleWish};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

/// A house with its drawing, and all mailboxes that somebody keeps open.
pub(super) struct World {
    pub house: House,
    pub drawing: Drawing,
    pub opened: BTreeMap<(u32, String), Opened>,
    told: BTreeMap<(u32, String, u32, u32), ItemId>,
    made: u32,
}

impl World {
    pub(super) async fn build() -> Self {
        let house = House::build().await;
        let org = &house.mailboxes.organisations;
        let change = org.by(admin());
        change
            .add_unit(house.tenant, "Genel Müdürlük", None)
            .await
            .unwrap();
        change
            .move_unit(house.tenant, "Satış", Some("Genel Müdürlük"))
            .await
            .unwrap();
        let manages = BTreeSet::from([Permission::Jobs, Permission::Approve, Permission::View]);
        change
            .add_role(house.tenant, "İş Yönetimi", "", manages)
            .await
            .unwrap();
        let parts = [
            vec![
                (Need::All, "role:Onay Rolü".to_owned()),
                (Need::One, "unit:Satış".to_owned()),
            ],
            vec![
                (Need::One, "user:ayse".to_owned()),
                (Need::Quorum(1), "unit:Mali İşler".to_owned()),
            ],
        ];
        let steps = parts.map(|parts| NewStep {
            parts,
            escalation: Some((1, "role:İş Yönetimi".into())),
            ..NewStep::of("Onay Rolü", 1)
        });
        let wish = RuleWish {
            conditions: Some(vec![Condition {
                field: Field::Subject,
                comparison: Comparison::Contains,
                text: "Kurul".into(),
            }]),
            steps: Some(steps.to_vec()),
            ..RuleWish::default()
        };
        change
            .add_rule(house.tenant, "Kurul", Direction::Outgoing, &wish)
            .await
            .unwrap();
        let theirs = RuleWish {
            subjects: Some(vec!["unit:Genel Müdürlük".into()]),
            ..wish
        };
        change
            .add_rule(house.tenant, "Bizim", Direction::Outgoing, &theirs)
            .await
            .unwrap();
        let drawing = Drawing::of(&org.of(house.tenant).unwrap());
        Self {
            house,
            drawing,
            opened: BTreeMap::new(),
            told: BTreeMap::new(),
            made: 0,
        }
    }

    pub(super) fn by(&self, user: u32) -> Principal {
        Principal {
            tenant: self.house.tenant,
            user: UserId(user),
            login: format!("{}@ornekas", self.drawing.people[&user].name)
                .parse()
                .unwrap(),
            from: Origin::Inside,
        }
    }

    pub(super) fn log(&self) -> Log {
        Log::read(self.house.db(), self.house.tenant)
    }

    pub(super) fn people(&self) -> Vec<u32> {
        let there = self.drawing.people.iter().filter(|(_, p)| !p.removed);
        there.map(|(n, _)| *n).collect()
    }

    /// A message with a word of its own.
    pub(super) fn text(&mut self, subject: &str) -> Vec<u8> {
        self.made += 1;
        mail_with(&format!("kanarya{:05}x", self.made), subject)
    }

    fn fresh_name(&mut self, what: &str) -> String {
        self.made += 1;
        format!("{what} {}", self.made)
    }

    pub(super) async fn happen(&mut self, event: Event) {
        match event {
            Event::Put { .. }
            | Event::Evidence { .. }
            | Event::HandIn { .. }
            | Event::Label { .. }
            | Event::Route { .. }
            | Event::Archive { .. }
            | Event::Bin { .. }
            | Event::Gone { .. }
            | Event::Flag { .. }
            | Event::File { .. } => self.with_mail(event).await,
            Event::Decide { user, job, act, to } => self.decide(user, job, act, to).await,
            Event::Hours(hours) => {
                self.house.clock.advance(HOUR * u32::from(hours % 60));
                self.settle().await;
            }
            Event::Poll { user, mailbox } => {
                let Some(user) = nth(&self.people(), user) else {
                    return;
                };
                let names: Vec<String> = self
                    .drawing
                    .offers(user, self.house.clock.now())
                    .into_iter()
                    .collect();
                let name = names[usize::from(mailbox) % names.len()].clone();
                self.follow(user, &name).await;
            }
            other => {
                self.with_institution(other).await;
                self.settle().await;
            }
        }
    }

    /// The clock, and changes of the organisation, have done with the jobs what they do.
    pub(super) async fn settle(&self) {
        while self.house.mailboxes.approval.run_due().await.unwrap() > 0 {}
    }

    async fn with_mail(&mut self, event: Event) {
        let text = self.text("x");
        let (house, people) = (&self.house, self.people());
        let ids: Vec<ItemId> = self.log().0.keys().copied().collect();
        let units = self.drawing.living();
        let labels: Vec<u32> = self.drawing.labels.keys().copied().collect();
        let hand = Filed {
            by: UserId(people.first().copied().unwrap_or(0)),
            at: start(),
        };
        match event {
            Event::Put {
                kind,
                author,
                unit,
                label,
            } => {
                let kinds = [
                    ItemKind::Incoming,
                    ItemKind::Incoming,
                    ItemKind::Outgoing,
                    ItemKind::Draft,
                    ItemKind::Notice,
                ];
                let kind = kinds[usize::from(kind) % kinds.len()];
                house
                    .put(&text, |item| {
                        item.kind = kind;
                        item.author = nth(&people, author)
                            .filter(|_| kind != ItemKind::Incoming)
                            .map(UserId);
                        if kind == ItemKind::Incoming {
                            item.units
                                .extend(nth(&units, unit).filter(|_| unit % 2 == 0).map(UnitId));
                            item.labels.extend(
                                nth(&labels, label)
                                    .filter(|_| label % 2 == 0)
                                    .map(kepd::id::LabelId),
                            );
                        }
                    })
                    .await;
            }
            Event::Evidence { about } => {
                let about = nth(&ids, about)
                    .filter(|id| matches!(house.item(*id).kind, ItemKind::Incoming | ItemKind::Outgoing));
                house
                    .put(&text, |item| {
                        item.kind = ItemKind::Evidence;
                        item.about = about;
                    })
                    .await;
            }
            Event::HandIn { user, rule } => {
                let Some(user) = nth(&people, user) else { return };
                self.hand_in(user, rule).await;
            }
            Event::File {
                user,
                from,
                item,
                to,
                copy,
            } => {
                let Some(user) = nth(&people, user) else { return };
                self.file(user, from, item, to, copy).await;
            }
            Event::Flag { user, item, on } => {
                let (Some(user), Some(id)) = (nth(&people, user), nth(&ids, item)) else {
                    return;
                };
                let marks = Marks {
                    flagged: true,
                    ..Marks::default()
                };
                let how = if on { MarkHow::Add } else { MarkHow::Remove };
                house
                    .mailboxes
                    .mark(&self.by(user), &[id], how, &marks)
                    .await
                    .unwrap();
            }
            other => {
                let (Event::Label { item, .. }
                | Event::Route { item, .. }
                | Event::Archive { item }
                | Event::Bin { item }
                | Event::Gone { item }) = other
                else {
                    unreachable!()
                };
                let Some(id) = nth(&ids, item) else { return };
                house
                    .change(id, |item| match other {
                        Event::Label { label, .. } => {
                            let Some(label) = nth(&labels, label).map(kepd::id::LabelId) else {
                                return;
                            };
                            if !item.labels.remove(&label) {
                                item.labels.insert(label);
                            }
                        }
                        Event::Route { unit, .. } => {
                            let Some(unit) = nth(&units, unit).map(UnitId) else {
                                return;
                            };
                            if !item.units.remove(&unit) {
                                item.units.insert(unit);
                            }
                        }
                        Event::Archive { .. } => item.archived = item.archived.is_none().then_some(hand),
                        Event::Bin { .. } => {
                            let open = item.job.as_ref().is_some_and(|j| j.phase != JobPhase::Ended);
                            item.trashed = (item.trashed.is_none() && !open).then_some(hand);
                        }
                        _ => item.gone |= !item.on_record(),
                    })
                    .await;
            }
        }
    }

    async fn hand_in(&mut self, user: u32, rule: u8) {
        let text = self.text(["Teklif", "Kurul", "nothing"][usize::from(rule) % 3]);
        let text = String::from_utf8(text)
            .unwrap()
            .replace(" <a@hs02", " <ornekas@hs01");
        let by = self.by(user);
        let submission = &self.house.mailboxes.submission;
        let mut receiving = submission.begin(&by, vec!["ornekas@hs01.kep.test".parse().unwrap()]);
        // Who may not compose is refused by the door; what is handed in here has passed it.
        if !self.drawing.holds(user, Permission::Compose) {
            return;
        }
        receiving.write(text.as_bytes()).await.unwrap();
        receiving.finish().await.unwrap();
    }

    /// What users do may be refused; whatever comes of it is in the log, and the drawing judges that.
    async fn file(&mut self, user: u32, from: u8, item: u8, to: u8, copy: bool) {
        let by = self.by(user);
        let mailboxes = &self.house.mailboxes;
        let list: Vec<Mailbox> = mailboxes
            .list(&by)
            .unwrap()
            .into_iter()
            .filter_map(|l| l.mailbox)
            .collect();
        let (from, to) = (
            list[usize::from(from) % list.len()],
            list[usize::from(to) % list.len()],
        );
        let mut opened = mailboxes.open(&by, from).await.unwrap();
        let members: Vec<(u32, ItemId)> = opened.members().collect();
        let Some(member) = nth(&members, item) else { return };
        let verb = if copy { Verb::Copy } else { Verb::Move };
        match mailboxes.file(&by, &mut opened, &[member], to, verb).await {
            Ok(_) | Err(Failure::Refused(_)) => {}
            Err(other) => panic!("{other}"),
        }
    }

    async fn decide(&mut self, user: u8, job: u8, act: u8, to: u8) {
        let people = self.people();
        let (Some(user), Some(to)) = (nth(&people, user), nth(&people, to)) else {
            return;
        };
        let jobs: Vec<_> = self
            .log()
            .0
            .values()
            .filter_map(|m| m.job.as_ref().map(|j| j.id))
            .collect();
        let Some(job) = nth(&jobs, job) else { return };
        let acts = [
            Act::Approve,
            Act::Approve,
            Act::Approve,
            Act::Reject,
            Act::Return,
            Act::Release,
            Act::Withdraw,
            Act::Cancel,
            Act::Undo,
            Act::Delegate(UserId(to)),
            Act::Delegate(UserId(to)),
            Act::Reassign(Who::User(UserId(to))),
        ];
        let asked = DecisionAsked {
            job,
            act: acts[usize::from(act) % acts.len()],
            route: Route::Kepctl,
            note: "",
            original_sha256: None,
        };
        let now = self.house.clock.now();
        let log = self.log();
        let mail = log
            .0
            .values()
            .find(|m| m.job.as_ref().is_some_and(|j| j.id == job))
            .unwrap();
        let before = mail.job.as_ref().unwrap();
        let may = self.drawing.may_decide(user, before, now);
        let sees = self.drawing.sees(user, mail, &log, now);
        match self
            .house
            .mailboxes
            .approval
            .decide(&self.by(user), asked.clone())
            .await
        {
            Ok(_) => {
                assert!(sees, "{user} decided on what he does not see");
                let waiting = matches!(before.standing.state, kepd::domain::job::JobState::Waiting(_));
                let deciding = matches!(
                    asked.act,
                    Act::Approve | Act::Reject | Act::Return | Act::Delegate(_)
                );
                assert!(!waiting || !deciding || may, "{user} may not {:?}", asked.act);
            }
            Err(Failure::Refused(refused)) => {
                let waiting = matches!(before.standing.state, kepd::domain::job::JobState::Waiting(_));
                assert!(
                    !(waiting && may && asked.act == Act::Approve),
                    "{user}: {}",
                    refused.text
                );
                if !sees {
                    assert_eq!(refused.kind, Kind::NotFound, "{}", refused.text);
                }
            }
            Err(other) => panic!("{other}"),
        }
        self.settle().await;
    }
}

/// Whether it was done; a refusal has changed nothing.
fn done<T>(outcome: Result<T, Failure>) -> Option<T> {
    match outcome {
        Ok(done) => Some(done),
        Err(Failure::Refused(_)) => None,
        Err(other) => panic!("{other}"),
    }
}

impl World {
    async fn with_institution(&mut self, event: Event) {
        let tenant = self.house.tenant;
        let organisations = self.house.mailboxes.organisations.clone();
        let change = organisations.by(admin());
        let (units, people) = (self.drawing.living(), self.people());
        let labels: Vec<u32> = self.drawing.labels.keys().copied().collect();
        let roles: Vec<u32> = self.drawing.roles.keys().copied().collect();
        let drawn = |unit: u32| self.drawing.path(unit);
        match event {
            Event::AddUnit { above } => {
                let above = nth(&units, above).filter(|_| above % 4 != 0);
                let name = self.fresh_name("Birim");
                let path = above.map(|u| self.drawing.path(u));
                let made = change.add_unit(tenant, &name, path.as_deref()).await;
                let unit = Unit {
                    name,
                    above,
                    labels: BTreeSet::new(),
                    fate: Fate::Lives,
                };
                if let Some(made) = done(made) {
                    self.drawing.units.insert(made.id.0, unit);
                }
            }
            Event::MoveUnit { unit, under } => {
                let Some(unit) = nth(&units, unit) else { return };
                let under = nth(&units, under).filter(|_| under % 5 != 0);
                let cyclic = under.is_some_and(|u| self.drawing.with_below(unit).contains(&u));
                let moved = change
                    .move_unit(tenant, &drawn(unit), under.map(drawn).as_deref())
                    .await;
                assert!(!(cyclic && moved.is_ok()), "a unit stands under itself");
                if done(moved).is_some() {
                    self.drawing.units.get_mut(&unit).unwrap().above = under;
                }
            }
            Event::EndUnit { unit, into } => {
                let Some(unit) = nth(&units, unit) else { return };
                let into = nth(&units, into).filter(|_| into % 2 == 0);
                let ended = change
                    .end_unit(tenant, &drawn(unit), into.map(drawn).as_deref())
                    .await;
                if done(ended).is_some() {
                    let heir = into.or(self.drawing.units[&unit].above);
                    self.drawing.end(unit, heir);
                }
            }
            Event::UnitLabel { unit, label, on } => {
                let (Some(unit), Some(label)) = (nth(&units, unit), nth(&labels, label)) else {
                    return;
                };
                let name = [self.drawing.labels[&label].clone()];
                if done(change.label_unit(tenant, &drawn(unit), &name, on).await).is_some() {
                    let labels = &mut self.drawing.units.get_mut(&unit).unwrap().labels;
                    if on {
                        labels.insert(label)
                    } else {
                        labels.remove(&label)
                    };
                }
            }
            Event::AddLabel => {
                let name = self.fresh_name("Etiket");
                let made = change.add_label(tenant, &name).await.unwrap();
                self.drawing.labels.insert(made.id.0, name);
            }
            Event::RemoveLabel { label } => {
                let Some(label) = nth(&labels, label) else { return };
                change
                    .remove_label(tenant, &self.drawing.labels[&label])
                    .await
                    .unwrap();
                self.drawing.labels.remove(&label);
            }
            Event::Permit { role, permission, on } => {
                let Some(role) = nth(&roles, role) else { return };
                let permission = Permission::ALL[usize::from(permission) % 5];
                let name = organisations.of(tenant).unwrap().roles[&RoleId(role)]
                    .name
                    .clone();
                let set = change.set_permissions(tenant, &name, |held| {
                    if on {
                        held.insert(permission)
                    } else {
                        held.remove(&permission)
                    };
                });
                if done(set.await).is_some() {
                    let held = self.drawing.roles.get_mut(&role).unwrap();
                    if on {
                        held.insert(permission)
                    } else {
                        held.remove(&permission)
                    };
                }
            }
            Event::AddUser { unit, role } => {
                let (Some(unit), Some(role)) = (nth(&units, unit), nth(&roles, role)) else {
                    return;
                };
                self.made += 1;
                let name = format!("u{}", self.made);
                let new = NewUser {
                    name: name.clone(),
                    display_name: String::new(),
                    kind: UserKind::Limited,
                    units: vec![self.drawing.path(unit)],
                    roles: vec![
                        organisations.of(tenant).unwrap().roles[&RoleId(role)]
                            .name
                            .clone(),
                    ],
                };
                let made = change.add_user(tenant, &new).await.unwrap();
                let person = Person {
                    name,
                    officer: false,
                    units: BTreeSet::from([unit]),
                    roles: BTreeSet::from([role]),
                    deputies: Vec::new(),
                    removed: false,
                };
                self.drawing.people.insert(made.id.0, person);
            }
            other => self.with_person(other, &people, &units, &roles).await,
        }
    }

    async fn with_person(&mut self, event: Event, people: &[u32], units: &[u32], roles: &[u32]) {
        let (Event::RemoveUser { user }
        | Event::UserUnit { user, .. }
        | Event::UserRole { user, .. }
        | Event::Kind { user, .. }
        | Event::Deputy { user, .. }) = event
        else {
            unreachable!()
        };
        // Somebody stays who was there from the beginning.
        let Some(user) = nth(people, user).filter(|u| *u != people[0]) else {
            return;
        };
        let now = self.house.clock.now();
        let mut person = self.drawing.people[&user].clone();
        match event {
            Event::RemoveUser { .. } => person.removed = true,
            Event::UserUnit { unit, on, .. } => {
                let Some(unit) = nth(units, unit) else { return };
                if on {
                    person.units.insert(unit)
                } else {
                    person.units.remove(&unit)
                };
            }
            Event::UserRole { role, on, .. } => {
                let Some(role) = nth(roles, role) else { return };
                if on {
                    person.roles.insert(role)
                } else {
                    person.roles.remove(&role)
                };
            }
            Event::Kind { officer, .. } => person.officer = officer,
            Event::Deputy {
                deputy,
                from_hours,
                hours,
                ..
            } => {
                let Some(deputy) = nth(people, deputy) else { return };
                let from = now.plus(HOUR * u32::from(from_hours % 40));
                person.deputies = vec![(deputy, from, from.plus(HOUR * (1 + u32::from(hours % 40))))];
            }
            _ => unreachable!(),
        }
        let organisations = self.house.mailboxes.organisations.clone();
        let set = organisations
            .by(admin())
            .set_user(self.house.tenant, &person.name, |_, user| {
                user.removed = person.removed;
                user.kind = if person.officer {
                    UserKind::Officer
                } else {
                    UserKind::Limited
                };
                user.units = person.units.iter().map(|u| UnitId(*u)).collect();
                user.roles = person.roles.iter().map(|r| RoleId(*r)).collect();
                let deputy = |(user, from, until): &(u32, _, _)| Deputy {
                    user: UserId(*user),
                    from: *from,
                    until: *until,
                };
                user.deputies = person.deputies.iter().map(deputy).collect();
                Ok(())
            });
        if done(set.await).is_some() {
            self.drawing.people.insert(user, person);
        }
    }

    /// Opens the mailbox, or polls it where it is open, and holds all UIDs against those told before.
    pub(super) async fn follow(&mut self, user: u32, name: &str) {
        let by = self.by(user);
        let mailboxes = &self.house.mailboxes;
        let mailbox = mailboxes.resolve(&by, name).unwrap();
        let key = (user, name.to_owned());
        let kept = self.opened.remove(&key).filter(|kept| kept.mailbox == mailbox);
        let opened = match kept {
            Some(mut kept) => {
                let next = kept.uid_next;
                let news = mailboxes.poll(&by, &mut kept).await.unwrap();
                assert!(news.added.iter().all(|(uid, _)| *uid >= next), "UIDs only grow");
                let fresh = mailboxes.open(&by, mailbox).await.unwrap();
                if kept.uid_validity == fresh.uid_validity {
                    let (kept, fresh): (Vec<_>, Vec<_>) =
                        (kept.members().collect(), fresh.members().collect());
                    assert_eq!(kept, fresh, "{} {name}: polled and opened", by.login);
                } else {
                    assert_eq!(
                        kept.members().count(),
                        0,
                        "another view answers, and the old one is empty"
                    );
                }
                fresh
            }
            None => mailboxes.open(&by, mailbox).await.unwrap(),
        };
        for (uid, item) in opened.members() {
            let told = self
                .told
                .insert((user, name.to_owned(), opened.uid_validity, uid), item);
            assert!(
                told.is_none_or(|told| told == item),
                "a UID was given to a second message"
            );
        }
        self.opened.insert(key, opened);
    }
}
