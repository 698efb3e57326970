//! What a mailbox shows: a question over the tenant's items.
//!
//! A mailbox is a saved question; this file is where the questions are asked. Names of mailboxes live in
//! `domain::selector::Mailbox` and nowhere else.

use crate::domain::item::{Item, ItemKind, JobPhase, UserFlags};
use crate::domain::org::{Audience, Organisation, Permission, User, UserKind};
use crate::domain::tenant::Language;
use crate::id::{LabelId, RuleId, UnitId};
use serde::{Deserialize, Serialize};

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
    pub const FIXED: [Mailbox; 16] = [
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
                .contains_key(&unit)
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

    /// Whether the item is in this mailbox for this user. Assumes nothing: visibility is asked first.
    pub fn shows(self, item: &Item, viewer: &Viewer<'_>, flags: Option<&UserFlags>) -> bool {
        if item.gone || !viewer.sees(item) {
            return false;
        }
        if self == Mailbox::Trash {
            return item.trashed.is_some();
        }
        if item.trashed.is_some() {
            return false;
        }
        let unfiled = !item.archived;
        let phase = item.job.as_ref().map(|job| job.phase);
        match self {
            Mailbox::Inbox => matches!(item.kind, ItemKind::Incoming | ItemKind::Notice) && unfiled,
            Mailbox::Sent => item.kind == ItemKind::Outgoing && unfiled,
            Mailbox::Drafts => item.kind == ItemKind::Draft,
            Mailbox::Important => flags.is_some_and(|f| f.flagged),
            Mailbox::All => item.kind != ItemKind::Evidence,
            Mailbox::Archive => item.archived,
            Mailbox::Evidence => item.kind == ItemKind::Evidence && unfiled,
            Mailbox::JobsPending => viewer.may_decide(item),
            Mailbox::JobsElsewhere => {
                matches!(phase, Some(JobPhase::Waiting { .. })) && !viewer.may_decide(item)
            }
            Mailbox::JobsDone => phase == Some(JobPhase::Ended),
            Mailbox::JobsLate => {
                phase.is_some_and(|p| p != JobPhase::Ended) && item.job.as_ref().is_some_and(|j| j.late)
            }
            Mailbox::JobsReady => phase == Some(JobPhase::Ready),
            Mailbox::Label(label) => item.labels.contains(&label),
            // Evidence has a mailbox of its own.
            Mailbox::Unit(_) if item.kind == ItemKind::Evidence => false,
            Mailbox::Unit(unit) => {
                let below = viewer.org.unit_and_below(unit);
                item.units.iter().any(|u| below.contains(u))
                    || below
                        .iter()
                        .filter_map(|u| viewer.org.units.get(u))
                        .any(|u| u.labels.iter().any(|l| item.labels.contains(l)))
            }
            Mailbox::Approve | Mailbox::Reject | Mailbox::Release | Mailbox::Flow(_) | Mailbox::Trash => {
                false
            }
        }
    }
}

/// One hierarchy level: the delimiter cannot occur in a name.
fn level(name: &str) -> String {
    name.replace('/', "-")
}

/// A user together with what follows from his place in the organisation.
#[derive(Debug, Clone)]
pub struct Viewer<'a> {
    pub org: &'a Organisation,
    pub user: &'a User,
    pub audience: Audience,
    may_approve: bool,
}

impl<'a> Viewer<'a> {
    pub fn new(org: &'a Organisation, user: &'a User) -> Self {
        Self {
            org,
            user,
            audience: org.audience(user),
            may_approve: org.may(user, Permission::Approve),
        }
    }

    pub fn sees(&self, item: &Item) -> bool {
        match item.kind {
            // A draft is its author's alone, and a notice is for whom it speaks to.
            ItemKind::Draft | ItemKind::Notice => item.author == Some(self.user.id),
            _ => self.audience.sees(item),
        }
    }

    /// Whether this user may decide the item's current step now.
    pub fn may_decide(&self, item: &Item) -> bool {
        let Some(job) = &item.job else { return false };
        let JobPhase::Waiting { role } = job.phase else {
            return false;
        };
        // Nobody approves his own mail.
        self.may_approve && self.user.roles.contains(&role) && item.author != Some(self.user.id)
    }

    /// All mailboxes this user has, fixed ones first.
    pub fn mailboxes(&self) -> Vec<(Mailbox, String)> {
        let mut list: Vec<Mailbox> = Mailbox::FIXED.to_vec();
        list.extend(
            self.org
                .rules
                .values()
                .filter(|r| r.enabled)
                .map(|r| Mailbox::Flow(r.id)),
        );
        list.extend(self.org.labels.keys().map(|l| Mailbox::Label(*l)));
        let units = match &self.audience {
            Audience::Tenant => self.org.units.keys().copied().collect(),
            Audience::Limited { units, .. } => units.clone(),
        };
        list.extend(units.into_iter().map(Mailbox::Unit));
        if self.user.kind != UserKind::Officer {
            list.retain(|m| *m != Mailbox::Release);
        }
        list.into_iter()
            .filter_map(|m| m.name(self.org).map(|name| (m, name)))
            .collect()
    }
}
