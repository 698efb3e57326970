//! Who sees what, written down a second time: from the words of the contract alone, in plain loops, with nothing of
//! `Audience`, `Question` or `JobFacet`. Mailboxes are known by their names; units that are merged give what was
//! theirs to their heir. Tests hold the real thing against it.

use kepd::clock::UtcTime;
use kepd::domain::item::{Item, ItemKind, UserFlags};
use kepd::domain::job::{Job, JobState};
use kepd::domain::org::Permission;
use kepd::domain::rule::{Need, Who};
use kepd::id::{ItemId, TenantId, UserId};
use kepd::store::db::Db;
use kepd::store::tables::{flags, items, jobs};
use std::collections::{BTreeMap, BTreeSet};

/// What became of a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Lives,
    Went(u32),
    Ended,
}

#[derive(Debug, Clone)]
pub struct Unit {
    pub name: String,
    pub above: Option<u32>,
    pub labels: BTreeSet<u32>,
    pub fate: Fate,
}

#[derive(Debug, Clone)]
pub struct Person {
    pub name: String,
    pub officer: bool,
    pub units: BTreeSet<u32>,
    pub roles: BTreeSet<u32>,
    pub deputies: Vec<(u32, UtcTime, UtcTime)>,
    pub removed: bool,
}

/// A rule as far as it is offered: its name, and of whose mail it speaks.
#[derive(Debug, Clone)]
pub struct Flow {
    pub name: String,
    pub speaks_of: Vec<Who>,
}

/// An institution as its people would draw it.
#[derive(Debug, Clone, Default)]
pub struct Drawing {
    pub units: BTreeMap<u32, Unit>,
    pub people: BTreeMap<u32, Person>,
    pub roles: BTreeMap<u32, BTreeSet<Permission>>,
    pub labels: BTreeMap<u32, String>,
    pub flows: Vec<Flow>,
}

/// A message with what is known of it.
#[derive(Debug, Clone)]
pub struct Mail {
    pub item: Item,
    pub job: Option<Job>,
}

/// All messages of a tenant, as they are stored.
pub struct Log(pub BTreeMap<ItemId, Mail>);

impl Log {
    pub fn read(db: &dyn Db, tenant: TenantId) -> Self {
        let mut all = BTreeMap::new();
        items::for_each(db, tenant, |item| {
            let job = item.job.as_ref().map(|job| job.id);
            let job = job.map(|id| jobs::job(db, tenant, id).unwrap().unwrap().row);
            all.insert(item.id, Mail { item, job });
            Ok(())
        })
        .unwrap();
        Self(all)
    }
}

impl Drawing {
    /// The drawing of an organisation in which no unit has ended yet.
    pub fn of(org: &kepd::domain::org::Organisation) -> Self {
        let unit = |u: &kepd::domain::org::Unit| Unit {
            name: u.name.clone(),
            above: u.parent.map(|p| p.0),
            labels: u.labels.iter().map(|l| l.0).collect(),
            fate: Fate::Lives,
        };
        let person = |u: &kepd::domain::org::User| Person {
            name: u.name.clone(),
            officer: u.kind == kepd::domain::org::UserKind::Officer,
            units: u.units.iter().map(|u| u.0).collect(),
            roles: u.roles.iter().map(|r| r.0).collect(),
            deputies: Vec::new(),
            removed: u.removed,
        };
        let flow = |r: &&kepd::domain::rule::Rule| Flow {
            name: r.name.clone(),
            speaks_of: r.subjects.iter().copied().collect(),
        };
        let outgoing = |r: &&kepd::domain::rule::Rule| r.direction == kepd::domain::rule::Direction::Outgoing;
        Self {
            units: org.units.values().map(|u| (u.id.0, unit(u))).collect(),
            people: org.users.values().map(|u| (u.id.0, person(u))).collect(),
            roles: org
                .roles
                .values()
                .map(|r| (r.id.0, r.permissions.clone()))
                .collect(),
            labels: org.labels.values().map(|l| (l.id.0, l.name.clone())).collect(),
            flows: org.rules.values().filter(outgoing).map(|r| flow(&r)).collect(),
        }
    }

    /// The unit ends: all it had becomes its heir's, or nobody's.
    pub fn end(&mut self, unit: u32, heir: Option<u32>) {
        let labels = self.units[&unit].labels.clone();
        for other in self.units.values_mut().filter(|u| u.above == Some(unit)) {
            other.above = heir;
        }
        for person in self.people.values_mut() {
            if person.units.remove(&unit) {
                person.units.extend(heir);
            }
        }
        if let Some(heir) = heir {
            self.units.get_mut(&heir).unwrap().labels.extend(labels);
        }
        self.units.get_mut(&unit).unwrap().fate = heir.map_or(Fate::Ended, Fate::Went);
    }

    pub fn living(&self) -> Vec<u32> {
        let living = self.units.iter().filter(|(_, u)| u.fate == Fate::Lives);
        living.map(|(n, _)| *n).collect()
    }

    /// The unit that has what was this one's.
    fn heir(&self, unit: u32) -> Option<u32> {
        match self.units.get(&unit)?.fate {
            Fate::Lives => Some(unit),
            Fate::Went(to) => self.heir(to),
            Fate::Ended => None,
        }
    }

    /// The unit and all below it.
    pub fn with_below(&self, unit: u32) -> BTreeSet<u32> {
        let mut all = BTreeSet::from([unit]);
        loop {
            let before = all.len();
            for n in self.living() {
                if self.units[&n].above.is_some_and(|a| all.contains(&a)) {
                    all.insert(n);
                }
            }
            if all.len() == before {
                return all;
            }
        }
    }

    pub fn path(&self, unit: u32) -> String {
        let unit = &self.units[&unit];
        match unit.above {
            Some(above) => format!("{}/{}", self.path(above), unit.name),
            None => unit.name.clone(),
        }
    }

    /// An officer holds every permission, others those of their roles.
    pub fn holds(&self, user: u32, permission: Permission) -> bool {
        let person = &self.people[&user];
        let mut by_role = person.roles.iter().filter_map(|r| self.roles.get(r));
        !person.removed && (person.officer || by_role.any(|r| r.contains(&permission)))
    }

    /// Whether a mail belongs to one of these living units: routed there, or labelled for it.
    fn belongs(&self, item: &Item, units: &BTreeSet<u32>) -> bool {
        for routed in &item.units {
            if self.heir(routed.0).is_some_and(|u| units.contains(&u)) {
                return true;
            }
        }
        for label in item.labels.iter().filter(|l| self.labels.contains_key(&l.0)) {
            for unit in units {
                if self.units[unit].labels.contains(&label.0) {
                    return true;
                }
            }
        }
        false
    }

    /// The user himself, and whose deputy he is now; of these, who may approve.
    fn acts_as(&self, user: u32, now: UtcTime) -> Vec<u32> {
        let mut as_whom = vec![user];
        for (other, person) in &self.people {
            for (deputy, from, until) in &person.deputies {
                if *deputy == user && *other != user && *from <= now && now < *until {
                    as_whom.push(*other);
                }
            }
        }
        as_whom.retain(|u| self.holds(*u, Permission::Approve));
        as_whom
    }

    fn is(&self, user: u32, who: Who) -> bool {
        let person = &self.people[&user];
        match who {
            Who::Role(role) => person.roles.contains(&role.0),
            Who::Unit(unit) => self.heir(unit.0).is_some_and(|u| person.units.contains(&u)),
            Who::User(id) => id.0 == user,
        }
    }

    fn members(&self, who: Who) -> BTreeSet<u32> {
        let able = |u: &&u32| self.holds(**u, Permission::Approve) && self.is(**u, who);
        self.people.keys().filter(able).copied().collect()
    }

    /// Whether he may decide the job's step now: a member of a party that still wants an approval, or in the name of
    /// one; never on his own mail, and each person once.
    pub fn may_decide(&self, user: u32, job: &Job, now: UtcTime) -> bool {
        let JobState::Waiting(step) = job.standing.state else {
            return false;
        };
        let given = &job.standing.given;
        let spent = |u: u32| {
            let own = job.author == Some(UserId(u)) && !job.own_approval;
            own || given.iter().any(|g| g.by.0 == u || g.in_name_of.0 == u)
        };
        if spent(user) {
            return false;
        }
        let escalated = job.steps[usize::from(step)]
            .escalation
            .filter(|_| job.standing.escalated)
            .map(|e| e.to);
        for (n, part) in job.standing.parts.iter().enumerate() {
            let here: Vec<_> = given.iter().filter(|g| usize::from(g.part) == n).collect();
            let done = here.iter().any(|g| g.escalated)
                || match part.need {
                    Need::One => !here.is_empty(),
                    Need::Quorum(wanted) => here.len() >= usize::from(wanted),
                    Need::All => {
                        let mut left = self.members(part.who);
                        left.retain(|u| {
                            (job.author != Some(UserId(*u)) || job.own_approval)
                                && here.iter().all(|g| g.in_name_of.0 != *u)
                        });
                        !here.is_empty() && left.is_empty()
                    }
                };
            if done {
                continue;
            }
            let party = |u: u32| self.is(u, part.who) || escalated.is_some_and(|who| self.is(u, who));
            if self.acts_as(user, now).into_iter().any(|u| !spent(u) && party(u)) {
                return true;
            }
            for handed in &job.standing.delegations {
                let able =
                    self.holds(user, Permission::Approve) && self.holds(handed.from.0, Permission::Approve);
                if usize::from(handed.part) == n
                    && handed.to.0 == user
                    && able
                    && !spent(handed.from.0)
                    && party(handed.from.0)
                {
                    return true;
                }
            }
        }
        false
    }

    /// Whether a job concerns him: he had a hand in it, or may be asked to decide at some step of it.
    fn concerned(&self, user: u32, job: &Job, now: UtcTime) -> bool {
        let mut asked: Vec<Who> = Vec::new();
        for step in &job.steps {
            asked.extend(step.parts.iter().map(|p| p.who));
            asked.extend(step.escalation.map(|e| e.to));
        }
        asked.extend(job.standing.parts.iter().map(|p| p.who));
        asked.extend(job.standing.delegations.iter().map(|d| Who::User(d.to)));
        let acts_as = self.acts_as(user, now);
        job.participants.contains(&UserId(user))
            || acts_as.iter().any(|u| asked.iter().any(|who| self.is(*u, *who)))
    }

    /// Whether the user sees a message at all.
    pub fn sees(&self, user: u32, mail: &Mail, log: &Log, now: UtcTime) -> bool {
        let person = &self.people[&user];
        let item = &mail.item;
        if person.removed || item.gone {
            return false;
        }
        match item.kind {
            // His own, and nobody else's.
            ItemKind::Draft | ItemKind::Notice => return item.author == Some(UserId(user)),
            ItemKind::Evidence if !person.officer => {
                let about = item.about.and_then(|about| log.0.get(&about));
                return about.is_some_and(|about| self.sees(user, about, log, now));
            }
            _ => {}
        }
        if person.officer || item.author == Some(UserId(user)) {
            return true;
        }
        if self.holds(user, Permission::View) {
            for unit in &person.units {
                if self.belongs(item, &self.with_below(*unit)) {
                    return true;
                }
            }
        }
        mail.job
            .as_ref()
            .is_some_and(|job| self.concerned(user, job, now))
    }

    /// Whether a message stands in the user's mailbox of that name.
    pub fn shows(
        &self,
        user: u32,
        mailbox: &str,
        mail: &Mail,
        flags: &UserFlags,
        log: &Log,
        now: UtcTime,
    ) -> bool {
        let item = &mail.item;
        if !self.sees(user, mail, log, now) {
            return false;
        }
        if mailbox == "Çöp Kutusu" {
            return item.trashed.is_some();
        }
        if item.trashed.is_some() {
            return false;
        }
        let archived = item.archived.is_some();
        let evidence = item.kind == ItemKind::Evidence;
        if let Some(label) = mailbox.strip_prefix("Etiketler/") {
            return item
                .labels
                .iter()
                .any(|l| self.labels.get(&l.0).is_some_and(|name| name == label));
        }
        if let Some(path) = mailbox.strip_prefix("Birimler/") {
            let unit = self.living().into_iter().find(|u| self.path(*u) == path).unwrap();
            return !evidence && self.belongs(item, &self.with_below(unit));
        }
        match mailbox {
            "INBOX" => matches!(item.kind, ItemKind::Incoming | ItemKind::Notice) && !archived,
            "Giden Kutusu" => item.kind == ItemKind::Outgoing && !archived,
            "Taslaklar" => item.kind == ItemKind::Draft,
            "Önemli" => flags.flagged || flags.keywords.contains("$Important"),
            "Tüm Postalar" => !evidence,
            "Arşiv" => archived,
            "Deliller" => evidence && !archived,
            _ => mail
                .job
                .as_ref()
                .is_some_and(|job| self.job_stands(user, mailbox, job, now)),
        }
    }

    fn job_stands(&self, user: u32, mailbox: &str, job: &Job, now: UtcTime) -> bool {
        let state = job.standing.state;
        let ended = !matches!(
            state,
            JobState::Waiting(_) | JobState::Returned | JobState::Ready | JobState::Leaving(_)
        );
        match mailbox {
            "İşlerim/Bekleyen" => self.may_decide(user, job, now),
            "İşlerim/Başkasında Bekleyen" => match state {
                JobState::Waiting(_) => !self.may_decide(user, job, now),
                // It waits for its author to hand it in anew, and is found here until then.
                JobState::Returned => true,
                _ => false,
            },
            "İşlerim/Biten" => ended,
            "İşlerim/Geciken" => !ended && job.standing.late,
            "İşlerim/Gönderime Hazır" => matches!(state, JobState::Ready | JobState::Leaving(_)),
            // The places where moving means deciding show nothing.
            _ => false,
        }
    }

    /// The mailboxes a user is offered: menus follow rights.
    pub fn offers(&self, user: u32, now: UtcTime) -> BTreeSet<String> {
        let person = &self.people[&user];
        let mut names: Vec<String> = Vec::new();
        let mut offer = |when: bool, list: &[&str]| {
            if when {
                names.extend(list.iter().map(|n| (*n).to_owned()));
            }
        };
        let composes = self.holds(user, Permission::Compose);
        let decides = !self.acts_as(user, now).is_empty();
        let always = [
            "INBOX",
            "Giden Kutusu",
            "Önemli",
            "Tüm Postalar",
            "Arşiv",
            "Çöp Kutusu",
            "Deliller",
        ];
        offer(true, &always);
        let standing = ["Başkasında Bekleyen", "Biten", "Geciken", "Gönderime Hazır"];
        offer(
            true,
            &standing
                .map(|n| format!("İşlerim/{n}"))
                .each_ref()
                .map(String::as_str),
        );
        offer(composes, &["Taslaklar", "İşlerim/Geri Çek"]);
        let deciding = [
            "İşlerim/Bekleyen",
            "İşlerim/Onayla",
            "İşlerim/Reddet",
            "İşlerim/İade Et",
        ];
        offer(decides, &deciding);
        offer(composes || decides, &["İşlerim/Geri Al"]);
        offer(person.officer, &["İşlerim/Gönder"]);
        offer(
            self.holds(user, Permission::Jobs),
            &["İşlerim/İptal Et", "İşlerim/Kabul Et", "İşlerim/Geri Çevir"],
        );
        if composes {
            for flow in &self.flows {
                let everybodys = flow.speaks_of.is_empty();
                if everybodys || flow.speaks_of.iter().any(|who| self.is_spoken_of(user, *who)) {
                    names.push(format!("İş Akışları/{}", flow.name));
                }
            }
        }
        let labels_mail = person.officer || self.holds(user, Permission::Jobs);
        for (label, name) in &self.labels {
            let shows = |unit: &u32| self.units[unit].labels.contains(label);
            let of_his = |own: &u32| self.with_below(*own).iter().any(shows);
            let his = self.holds(user, Permission::View) && person.units.iter().any(of_his);
            if labels_mail || his {
                names.push(format!("Etiketler/{name}"));
            }
        }
        for unit in self.living() {
            let below = |own: &u32| self.with_below(*own).contains(&unit);
            let his = self.holds(user, Permission::View) && person.units.iter().any(below);
            if person.officer || his {
                names.push(format!("Birimler/{}", self.path(unit)));
            }
        }
        names.into_iter().collect()
    }

    /// A rule that speaks of a unit speaks of those below it, too.
    fn is_spoken_of(&self, user: u32, who: Who) -> bool {
        match who {
            Who::Unit(unit) => {
                let units = self.heir(unit.0).map(|u| self.with_below(u)).unwrap_or_default();
                self.people[&user].units.iter().any(|u| units.contains(u))
            }
            who => self.is(user, who),
        }
    }

    /// What the mailbox has to show its user.
    pub fn content(
        &self,
        db: &dyn Db,
        tenant: TenantId,
        user: u32,
        mailbox: &str,
        log: &Log,
        now: UtcTime,
    ) -> BTreeSet<ItemId> {
        let mut all = BTreeSet::new();
        for (id, mail) in &log.0 {
            let flags = flags::flags(db, tenant, UserId(user), *id).unwrap();
            let flags = flags.unwrap_or_default();
            if self.shows(user, mailbox, mail, &flags, log, now) {
                all.insert(*id);
            }
        }
        all
    }
}
