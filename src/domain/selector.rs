//! What a mailbox shows: a question over the tenant's items.
//!
//! A mailbox is a saved question; this file is where the questions are asked. Names of mailboxes live in
//! `domain::selector::Mailbox` and nowhere else.

use crate::clock::UtcTime;
use crate::domain::item::{Item, ItemKind, JobPhase, UserFlags};
use crate::domain::job::Act;
use crate::domain::mail::Declared;
use crate::domain::org::{Audience, Capacity, Organisation, Permission, Roll, Unit, User, UserKind};
use crate::domain::policy::may_pick;
use crate::domain::tenant::Language;
use crate::id::{LabelId, RuleId, UnitId};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeSet;

/// A mailbox by what it asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Mailbox {
    Inbox,
    Sent,
    Drafts,
    Important,
    All,
    Archive,
    Trash,
    Evidence,
    JobsPending,
    JobsElsewhere,
    JobsDone,
    JobsLate,
    JobsReady,
    /// Moving a job here decides it; it shows nothing.
    Approve,
    Reject,
    Release,
    /// Moving a draft here starts the rule's flow; it shows nothing.
    Flow(RuleId),
    Label(LabelId),
    Unit(UnitId),
    Return,
    Withdraw,
    Cancel,
    Undo,
    /// Moving a mail that came in here declares that the tenant accepts or refuses it; it shows nothing.
    Accept,
    Refuse,
}

/// Whose rows a mailbox's numbers belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// All who have the same audience see the same.
    Audience,
    /// What it shows depends on the user.
    Personal,
}

/// Folders that only hold others.
pub const PARENTS: [(&str, &str); 4] = [
    ("İşlerim", "Jobs"),
    ("İş Akışları", "Flows"),
    ("Etiketler", "Labels"),
    ("Birimler", "Units"),
];

impl Mailbox {
    /// The mailboxes every user has, in the order they are listed.
    pub const FIXED: [Mailbox; 22] = [
        Mailbox::Inbox,
        Mailbox::Sent,
        Mailbox::Drafts,
        Mailbox::Important,
        Mailbox::All,
        Mailbox::Archive,
        Mailbox::Trash,
        Mailbox::Evidence,
        Mailbox::JobsPending,
        Mailbox::JobsElsewhere,
        Mailbox::JobsDone,
        Mailbox::JobsLate,
        Mailbox::JobsReady,
        Mailbox::Approve,
        Mailbox::Reject,
        Mailbox::Release,
        Mailbox::Return,
        Mailbox::Withdraw,
        Mailbox::Cancel,
        Mailbox::Undo,
        Mailbox::Accept,
        Mailbox::Refuse,
    ];

    /// Turkish and English name of a fixed mailbox.
    fn fixed_names(self) -> Option<(&'static str, &'static str)> {
        Some(match self {
            Mailbox::Inbox => ("INBOX", "INBOX"),
            Mailbox::Sent => ("Giden Kutusu", "Sent"),
            Mailbox::Drafts => ("Taslaklar", "Drafts"),
            Mailbox::Important => ("Önemli", "Important"),
            Mailbox::All => ("Tüm Postalar", "All Mail"),
            Mailbox::Archive => ("Arşiv", "Archive"),
            Mailbox::Trash => ("Çöp Kutusu", "Trash"),
            Mailbox::Evidence => ("Deliller", "Evidence"),
            Mailbox::JobsPending => ("İşlerim/Bekleyen", "Jobs/Pending"),
            Mailbox::JobsElsewhere => ("İşlerim/Başkasında Bekleyen", "Jobs/Elsewhere"),
            Mailbox::JobsDone => ("İşlerim/Biten", "Jobs/Done"),
            Mailbox::JobsLate => ("İşlerim/Geciken", "Jobs/Late"),
            Mailbox::JobsReady => ("İşlerim/Gönderime Hazır", "Jobs/Ready"),
            Mailbox::Approve => ("İşlerim/Onayla", "Jobs/Approve"),
            Mailbox::Reject => ("İşlerim/Reddet", "Jobs/Reject"),
            Mailbox::Release => ("İşlerim/Gönder", "Jobs/Send"),
            Mailbox::Return => ("İşlerim/İade Et", "Jobs/Return"),
            Mailbox::Withdraw => ("İşlerim/Geri Çek", "Jobs/Withdraw"),
            Mailbox::Cancel => ("İşlerim/İptal Et", "Jobs/Cancel"),
            Mailbox::Undo => ("İşlerim/Geri Al", "Jobs/Undo"),
            Mailbox::Accept => ("İşlerim/Kabul Et", "Jobs/Accept"),
            Mailbox::Refuse => ("İşlerim/Geri Çevir", "Jobs/Refuse"),
            Mailbox::Flow(_) | Mailbox::Label(_) | Mailbox::Unit(_) => return None,
        })
    }

    /// The name users see, `/` between levels.
    pub fn name(self, org: &Organisation) -> Option<String> {
        let turkish = org.tenant.language == Language::Turkish;
        let pick = |(tr, en): (&'static str, &'static str)| if turkish { tr } else { en };
        if let Some(names) = self.fixed_names() {
            return Some(pick(names).to_owned());
        }
        let [_, flows, labels, units] = PARENTS;
        match self {
            Mailbox::Flow(rule) => org
                .rules
                .get(&rule)
                .map(|r| format!("{}/{}", pick(flows), level(&r.name))),
            Mailbox::Label(label) => org
                .labels
                .get(&label)
                .map(|l| format!("{}/{}", pick(labels), level(&l.name))),
            Mailbox::Unit(unit) => org
                .units
                .get(&unit)
                .is_some_and(Unit::is_live)
                .then(|| format!("{}/{}", pick(units), org.unit_path(unit))),
            _ => None,
        }
    }

    /// RFC 6154 use.
    pub fn special_use(self) -> Option<&'static str> {
        Some(match self {
            Mailbox::Sent => "\\Sent",
            Mailbox::Drafts => "\\Drafts",
            Mailbox::Important => "\\Flagged",
            Mailbox::All => "\\All",
            Mailbox::Archive => "\\Archive",
            Mailbox::Trash => "\\Trash",
            _ => return None,
        })
    }

    pub fn sharing(self) -> Sharing {
        match self {
            Mailbox::Drafts
            | Mailbox::Important
            | Mailbox::All
            | Mailbox::JobsPending
            | Mailbox::JobsElsewhere => Sharing::Personal,
            _ => Sharing::Audience,
        }
    }

    /// The act that moving a job here is, if it is one.
    pub fn act(self) -> Option<Act> {
        Some(match self {
            Mailbox::Approve => Act::Approve,
            Mailbox::Reject => Act::Reject,
            Mailbox::Release => Act::Release,
            Mailbox::Return => Act::Return,
            Mailbox::Withdraw => Act::Withdraw,
            Mailbox::Cancel => Act::Cancel,
            Mailbox::Undo => Act::Undo,
            _ => return None,
        })
    }

    /// What moving a mail here declares of it, if it declares something.
    pub fn declares(self) -> Option<Declared> {
        match self {
            Mailbox::Accept => Some(Declared::Accepted),
            Mailbox::Refuse => Some(Declared::Refused),
            _ => None,
        }
    }

    /// Since when the item lies in this mailbox (RFC 8514 3, save date): in the bin and in the archive since somebody put it
    /// there. The others are questions about what is here; nobody puts anything into them, and it lies there since it came.
    pub fn saved(self, item: &Item) -> UtcTime {
        let filed = match self {
            Mailbox::Trash => item.trashed,
            Mailbox::Archive => item.archived,
            _ => None,
        };
        filed.map_or(item.saved, |filed| filed.at)
    }

    /// Whether the flags of a user decide what he finds in it.
    pub fn asks_flags(self) -> bool {
        self == Mailbox::Important
    }

    /// Whether it is only a place to move things to.
    pub fn shows_nothing(self) -> bool {
        self.act().is_some() || self.declares().is_some() || matches!(self, Mailbox::Flow(_))
    }
}

/// A mailbox's question as one user asks it: what the answers need of the organisation is worked out once.
#[derive(Debug)]
pub struct Question<'a> {
    pub mailbox: Mailbox,
    pub viewer: &'a Viewer<'a>,
    /// Of a unit's mailbox: the unit, all below it, and their labels. Of a label's: that label.
    units: BTreeSet<UnitId>,
    labels: BTreeSet<LabelId>,
}

impl<'a> Question<'a> {
    pub fn new(mailbox: Mailbox, viewer: &'a Viewer<'a>) -> Self {
        let org = viewer.org;
        let (units, labels) = match mailbox {
            Mailbox::Unit(unit) => {
                let units = org.unit_and_below(unit);
                let labels = org.labels_of(&units);
                (units, labels)
            }
            // A label whose definition is gone is on no mail any more.
            Mailbox::Label(label) => {
                let defined = org.labels.keys().filter(|l| **l == label);
                (BTreeSet::new(), defined.copied().collect())
            }
            _ => Default::default(),
        };
        Self {
            mailbox,
            viewer,
            units,
            labels,
        }
    }

    /// Units and labels the answers depend on, beside the viewer's place.
    pub fn depends_on(&self) -> (&BTreeSet<UnitId>, &BTreeSet<LabelId>) {
        (&self.units, &self.labels)
    }

    /// Whether the item is in the mailbox for this user. `about`: for evidence, the item it speaks of.
    pub fn shows(&self, item: &Item, about: Option<&Item>, flags: Option<&UserFlags>) -> bool {
        self.viewer.sees(item, about) && self.would_show(item, flags)
    }

    /// Whether it would be in the mailbox for somebody who sees it.
    pub fn would_show(&self, item: &Item, flags: Option<&UserFlags>) -> bool {
        if item.gone {
            return false;
        }
        if self.mailbox == Mailbox::Trash {
            return item.trashed.is_some();
        }
        if item.trashed.is_some() {
            return false;
        }
        let unfiled = item.archived.is_none();
        let job = item.job.as_ref();
        let phase = job.map(|job| job.phase);
        match self.mailbox {
            Mailbox::Inbox => matches!(item.kind, ItemKind::Incoming | ItemKind::Notice) && unfiled,
            Mailbox::Sent => item.kind == ItemKind::Outgoing && unfiled,
            Mailbox::Drafts => item.kind == ItemKind::Draft,
            Mailbox::Important => flags.is_some_and(UserFlags::is_important),
            Mailbox::All => item.kind != ItemKind::Evidence,
            Mailbox::Archive => item.archived.is_some(),
            Mailbox::Evidence => item.kind == ItemKind::Evidence && unfiled,
            Mailbox::JobsPending => self.viewer.may_decide(item),
            Mailbox::JobsElsewhere => {
                matches!(phase, Some(JobPhase::Waiting | JobPhase::Returned)) && !self.viewer.may_decide(item)
            }
            Mailbox::JobsDone => phase == Some(JobPhase::Ended),
            Mailbox::JobsLate => phase.is_some_and(|p| p != JobPhase::Ended) && job.is_some_and(|j| j.late),
            Mailbox::JobsReady => phase == Some(JobPhase::Ready),
            Mailbox::Label(label) => self.labels.contains(&label) && item.labels.contains(&label),
            // Evidence has a mailbox of its own.
            Mailbox::Unit(_) => {
                item.kind != ItemKind::Evidence
                    && (item.units.iter().any(|u| self.units.contains(u))
                        || item.labels.iter().any(|l| self.labels.contains(l)))
            }
            _ => false,
        }
    }
}

/// One hierarchy level: the delimiter cannot occur in a name.
fn level(name: &str) -> String {
    name.replace('/', "-")
}

/// What follows from a user's place in the organisation at a moment, worked out once.
#[derive(Debug, Clone)]
pub struct Place {
    pub audience: Audience,
    /// As what he may decide.
    pub capacities: Vec<Capacity>,
    /// The moments for which this holds, as long as the organisation stays as it is: deputies begin and end.
    from: Option<UtcTime>,
    until: Option<UtcTime>,
}

impl Place {
    pub fn new(org: &Organisation, user: &User, now: UtcTime) -> Self {
        Self::on(&Roll::of_one(org, user.id, now), user)
    }

    /// The same for one of many.
    pub fn on(roll: &Roll<'_>, user: &User) -> Self {
        let (from, until) = roll.holds_between(user.id);
        Self {
            audience: roll.audience(user),
            capacities: roll.capacities(user),
            from,
            until,
        }
    }

    pub fn holds_at(&self, now: UtcTime) -> bool {
        self.from.is_none_or(|from| from <= now) && self.until.is_none_or(|until| now < until)
    }
}

/// A user together with his place in the organisation.
#[derive(Debug, Clone)]
pub struct Viewer<'a> {
    pub org: &'a Organisation,
    pub user: &'a User,
    place: Cow<'a, Place>,
}

impl<'a> Viewer<'a> {
    pub fn new(org: &'a Organisation, user: &'a User, now: UtcTime) -> Self {
        let place = Cow::Owned(Place::new(org, user, now));
        Self { org, user, place }
    }

    /// The same, from a place that was worked out before.
    pub fn placed(org: &'a Organisation, user: &'a User, place: &'a Place) -> Self {
        let place = Cow::Borrowed(place);
        Self { org, user, place }
    }

    pub fn audience(&self) -> &Audience {
        &self.place.audience
    }

    /// As what he may decide.
    pub fn capacities(&self) -> &[Capacity] {
        &self.place.capacities
    }

    /// Whether the user sees an item. `about`: for evidence, the item it speaks of; whoever sees that sees the evidence.
    pub fn sees(&self, item: &Item, about: Option<&Item>) -> bool {
        match item.kind {
            // A draft is its author's alone, and a notice is for whom it speaks to.
            ItemKind::Draft | ItemKind::Notice => item.author == Some(self.user.id),
            // What speaks of no item is the officers', whatever hangs on it.
            ItemKind::Evidence => match about {
                Some(about) => self.audience().sees(about),
                None => *self.audience() == Audience::Tenant,
            },
            ItemKind::Incoming | ItemKind::Outgoing => self.audience().sees(item),
        }
    }

    /// Whether this user may decide the item's current step now.
    pub fn may_decide(&self, item: &Item) -> bool {
        let Some(job) = &item.job else { return false };
        job.opening(self.org, item.author, self.user.id, self.capacities())
            .is_some()
    }

    /// What the user lacks for this mailbox to mean anything to him: menus follow rights (`docs/features.md` S31).
    pub fn lacks(&self, mailbox: Mailbox) -> Option<&'static str> {
        let may = |permission| self.org.may(self.user, permission);
        let decides = !self.capacities().is_empty();
        let (has, lacking) = match mailbox {
            Mailbox::Release => (
                self.user.kind == UserKind::Officer,
                "only an officer (işlem yetkilisi) sends from here",
            ),
            Mailbox::Cancel | Mailbox::Accept | Mailbox::Refuse => (
                may(Permission::Jobs),
                "it needs a role with the permission \"jobs\"",
            ),
            Mailbox::JobsPending | Mailbox::Approve | Mailbox::Reject | Mailbox::Return => {
                (decides, "it needs a role with the permission \"approve\"")
            }
            Mailbox::Drafts | Mailbox::Flow(_) | Mailbox::Withdraw => (
                may(Permission::Compose),
                "it needs a role with the permission \"compose\"",
            ),
            Mailbox::Undo => (
                may(Permission::Compose) || decides,
                "it needs a role with the permission \"approve\" or \"compose\"",
            ),
            _ => (true, ""),
        };
        (!has).then_some(lacking)
    }

    /// Whether the name of a label is told to this user: he labels mail (an officer, or "jobs"), or one of his units
    /// sees mail by it. What a label he does not know is about is none of his business, on whatever mail he sees.
    pub fn knows(&self, label: LabelId) -> bool {
        match self.audience() {
            Audience::Tenant => true,
            Audience::Limited { labels, .. } => {
                labels.contains(&label) || self.org.may(self.user, Permission::Jobs)
            }
        }
    }

    /// All mailboxes this user has, fixed ones first.
    pub fn mailboxes(&self) -> Vec<(Mailbox, String)> {
        let mut list: Vec<Mailbox> = Mailbox::FIXED.to_vec();
        let rules = self.org.rules_in_order();
        let flows = rules.iter().filter(|r| may_pick(self.org, r, self.user));
        list.extend(flows.map(|r| Mailbox::Flow(r.id)));
        let labels = self.org.labels.keys().filter(|l| self.knows(**l));
        list.extend(labels.map(|l| Mailbox::Label(*l)));
        let units = match self.audience() {
            Audience::Tenant => self.org.units.keys().copied().collect(),
            Audience::Limited { units, .. } => units.clone(),
        };
        list.extend(units.into_iter().map(Mailbox::Unit));
        list.retain(|m| self.lacks(*m).is_none());
        list.into_iter()
            .filter_map(|m| m.name(self.org).map(|name| (m, name)))
            .collect()
    }
}
