//! An entry of a tenant's item log: what a mailbox shows.
//!
//! Mail lives here once; mailboxes are questions over these attributes (`domain::selector`). Labels, approval state,
//! archive and bin are attributes too, so filing never copies anything.

use crate::clock::UtcTime;
use crate::id::{ItemId, JobId, LabelId, MailId, ModSeq, RoleId, UnitId, UserId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Labels on one item.
pub const LABELS_MAX: usize = 64;
/// Keywords of one user on one item (RFC 9051 sets no limit; the row does).
pub const KEYWORDS_MAX: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ItemKind {
    /// A consigned dispatch.
    Incoming,
    /// A mail that was submitted: in flow, ready or sent.
    Outgoing,
    /// Not submitted yet; not on the legal record.
    Draft,
    /// A sealed message with one evidence document.
    Evidence,
    /// A word from the provider to the user (no rule matched, decision refused...).
    Notice,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trashed {
    pub by: UserId,
    pub at: UtcTime,
}

/// Where the approval of an item stands, as far as mailboxes ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum JobPhase {
    /// A user of this role decides next.
    Waiting { role: RoleId },
    /// All approvals given; an officer may release.
    Ready,
    /// Released, rejected or withdrawn.
    Ended,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobFacet {
    pub id: JobId,
    pub phase: JobPhase,
    pub late: bool,
    /// Those who have decided a step.
    pub participants: BTreeSet<UserId>,
    /// The roles of all steps.
    pub roles: BTreeSet<RoleId>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    pub id: ItemId,
    pub kind: ItemKind,
    /// When the attributes last changed.
    pub modseq: ModSeq,
    /// The mail this is, or speaks of.
    pub mail: Option<MailId>,
    /// INTERNALDATE (RFC 9051 2.3.3).
    pub internal_date: UtcTime,
    /// Who wrote it; for a notice, the user it speaks to.
    pub author: Option<UserId>,
    pub labels: BTreeSet<LabelId>,
    /// Units it was routed to.
    pub units: BTreeSet<UnitId>,
    pub archived: bool,
    pub trashed: Option<Trashed>,
    pub job: Option<JobFacet>,
    /// Keywords that report to everybody (`$KepTeslim`, `$KepOkundu`, ...).
    pub reports: BTreeSet<Report>,
    /// A draft that was superseded or sent: kept, shown nowhere.
    pub gone: bool,
}

/// Keywords by which the server reports (`docs/standards.md`, contract "Mailboxes").
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Report {
    Late,
    Read,
    ReadExpired,
    Delivered,
    Refused,
}

impl Report {
    pub const ALL: [Report; 5] = [
        Report::Late,
        Report::Read,
        Report::ReadExpired,
        Report::Delivered,
        Report::Refused,
    ];

    pub fn keyword(self) -> &'static str {
        match self {
            Report::Late => "$KepGeciken",
            Report::Read => "$KepOkundu",
            Report::ReadExpired => "$KepSureDoldu",
            Report::Delivered => "$KepTeslim",
            Report::Refused => "$KepRed",
        }
    }
}

/// Flags of one user on one item.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct UserFlags {
    pub seen: bool,
    pub answered: bool,
    pub flagged: bool,
    pub draft: bool,
    pub deleted: bool,
    /// The user's own keywords.
    pub keywords: BTreeSet<String>,
    pub modseq: ModSeq,
}

impl Item {
    /// An item without any attribute yet.
    pub fn new(id: ItemId, kind: ItemKind, at: UtcTime) -> Self {
        Self {
            id,
            kind,
            modseq: ModSeq(0),
            mail: None,
            internal_date: at,
            author: None,
            labels: BTreeSet::new(),
            units: BTreeSet::new(),
            archived: false,
            trashed: None,
            job: None,
            reports: BTreeSet::new(),
            gone: false,
        }
    }

    /// An evidence message about a mail: seen by whoever sees the item of that mail, if there is one.
    pub fn evidence(id: ItemId, about: Option<&Item>, mail: MailId, at: UtcTime) -> Self {
        Self {
            mail: Some(mail),
            author: about.and_then(|i| i.author),
            labels: about.map(|i| i.labels.clone()).unwrap_or_default(),
            units: about.map(|i| i.units.clone()).unwrap_or_default(),
            ..Self::new(id, ItemKind::Evidence, at)
        }
    }

    /// Whether it stands on the legal record: then no user can destroy it.
    pub fn on_record(&self) -> bool {
        !matches!(self.kind, ItemKind::Draft | ItemKind::Notice)
    }
}
