//! An entry of a tenant's item log: what a mailbox shows.
//!
//! Mail lives here once; mailboxes are questions over these attributes (`domain::selector`). Labels, approval state,
//! archive and bin are attributes too, so filing never copies anything.

use crate::clock::UtcTime;
use crate::domain::job::Delegation;
use crate::domain::mail::Declared;
use crate::domain::org::{Capacity, Organisation};
use crate::domain::rule::Who;
use crate::domain::schedule::{DAY, KEPT_DAYS};
use crate::id::{ItemId, JobId, LabelId, MailId, ModSeq, UnitId, UserId};
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

/// Who filed something away, and when: into the archive, into the bin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filed {
    pub by: UserId,
    pub at: UtcTime,
}

/// Where the approval of an item stands, as far as mailboxes ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum JobPhase {
    /// The parties of [`JobFacet::open`] decide next.
    Waiting,
    /// With its author, for changes.
    Returned,
    /// All approvals given; an officer may release.
    Ready,
    Ended,
}

/// A party of the current step that still wants an approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opening {
    /// Its place among the parts of the step.
    pub part: u8,
    pub who: Who,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobFacet {
    pub id: JobId,
    pub phase: JobPhase,
    pub late: bool,
    pub own_approval: bool,
    /// Empty unless it waits.
    pub open: Vec<Opening>,
    /// Who may decide besides, since the step was escalated.
    pub also: Option<Who>,
    /// Those who have decided at this step, or in whose name somebody has.
    pub decided: BTreeSet<UserId>,
    pub delegations: Vec<Delegation>,
    /// Those who have had a hand in it.
    pub participants: BTreeSet<UserId>,
    /// The parties of all steps: they read what they may be asked to decide.
    pub concerned: BTreeSet<Who>,
}

impl JobFacet {
    /// The one function that says whether a user may decide the current step now: for which part of it, and in whose
    /// name. Nobody decides on his own mail (unless the rule allows it), and each person counts once in a step,
    /// whether he decides himself or another does in his name.
    pub fn opening(
        &self,
        org: &Organisation,
        author: Option<UserId>,
        user: UserId,
        capacities: &[Capacity],
    ) -> Option<(Opening, UserId)> {
        let own = |u: UserId| author == Some(u) && !self.own_approval;
        if self.phase != JobPhase::Waiting || own(user) || self.decided.contains(&user) {
            return None;
        }
        let free = |u: UserId| !own(u) && !self.decided.contains(&u);
        let in_own_right = capacities
            .iter()
            .filter(|c| free(c.user))
            .find_map(|c| Some((self.open_to(c)?, c.user)));
        let may_approve = || capacities.iter().any(|c| c.user == user);
        in_own_right.or_else(|| {
            self.delegations
                .iter()
                .filter(|d| d.to == user && free(d.from) && may_approve())
                .find_map(|d| Some((self.delegated(org, d)?, d.from)))
        })
    }

    fn open_to(&self, capacity: &Capacity) -> Option<Opening> {
        let opening = self.open.iter().find(|o| capacity.is(o.who));
        let escalated = || {
            let also = self.also.is_some_and(|who| capacity.is(who));
            self.open.first().filter(|_| also)
        };
        opening.or_else(escalated).copied()
    }

    /// The part a delegation is about. It holds as long as whoever delegated could still decide himself.
    fn delegated(&self, org: &Organisation, delegation: &Delegation) -> Option<Opening> {
        let opening = self.open.iter().find(|o| o.part == delegation.part)?;
        let still = |who| org.members(who).contains(&delegation.from);
        (still(opening.who) || self.also.is_some_and(still)).then_some(*opening)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    pub id: ItemId,
    pub kind: ItemKind,
    /// When the attributes last changed.
    pub modseq: ModSeq,
    /// The mail this is, or speaks of.
    pub mail: Option<MailId>,
    /// For evidence, the item of the mail it speaks of: whoever sees that sees this.
    pub about: Option<ItemId>,
    /// For a draft, the one it took the place of: earlier versions are kept. For a mail, the draft it was.
    pub supersedes: Option<ItemId>,
    /// For a draft, the job that was given back for changes: handed in, it goes on from there.
    pub resumes: Option<JobId>,
    /// INTERNALDATE (RFC 9051 2.3.3); of a draft, what its client says.
    pub internal_date: UtcTime,
    /// When it came here, whatever anybody says (RFC 8514).
    pub saved: UtcTime,
    /// Who wrote it; for a notice, the user it speaks to.
    pub author: Option<UserId>,
    pub labels: BTreeSet<LabelId>,
    /// Units it was routed to.
    pub units: BTreeSet<UnitId>,
    pub archived: Option<Filed>,
    /// Of a draft that is gone: who removed it or wrote a newer one in its place, and when; `None` when it was handed in.
    pub trashed: Option<Filed>,
    /// Boxed: few items have one, and items are handed on by the thousand.
    pub job: Option<Box<JobFacet>>,
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
    /// It did not come to the recipient: a provider said no, or did not answer.
    Refused,
    /// The recipient declared so himself.
    AcceptedByRecipient,
    RefusedByRecipient,
}

impl Report {
    pub const ALL: [Report; 7] = [
        Report::Late,
        Report::Read,
        Report::ReadExpired,
        Report::Delivered,
        Report::Refused,
        Report::AcceptedByRecipient,
        Report::RefusedByRecipient,
    ];

    pub fn keyword(self) -> &'static str {
        match self {
            Report::Late => "$KepGeciken",
            Report::Read => "$KepOkundu",
            Report::ReadExpired => "$KepSureDoldu",
            Report::Delivered => "$KepTeslim",
            Report::Refused => "$KepRed",
            Report::AcceptedByRecipient => "$KepKabulEdildi",
            Report::RefusedByRecipient => "$KepGeriCevrildi",
        }
    }
}

impl From<Declared> for Report {
    fn from(declared: Declared) -> Self {
        match declared {
            Declared::Accepted => Report::AcceptedByRecipient,
            Declared::Refused => Report::RefusedByRecipient,
        }
    }
}

/// The keyword by which clients mark what matters (RFC 8457 2); `\Flagged` says the same here.
pub const IMPORTANT: &str = "$Important";

/// Flags of one user on one item.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
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

impl UserFlags {
    /// Whether the user marked it as one that matters, by whichever word his client has for that.
    pub fn is_important(&self) -> bool {
        self.flagged || self.keywords.iter().any(|k| k.eq_ignore_ascii_case(IMPORTANT))
    }

    /// Marks it, or takes both words away.
    pub fn set_important(&mut self, important: bool) {
        self.flagged = important;
        if !important {
            self.keywords.retain(|k| !k.eq_ignore_ascii_case(IMPORTANT));
        }
    }
}

impl Item {
    /// An item without any attribute yet.
    pub fn new(id: ItemId, kind: ItemKind, at: UtcTime) -> Self {
        Self {
            id,
            kind,
            modseq: ModSeq(0),
            mail: None,
            about: None,
            supersedes: None,
            resumes: None,
            internal_date: at,
            saved: at,
            author: None,
            labels: BTreeSet::new(),
            units: BTreeSet::new(),
            archived: None,
            trashed: None,
            job: None,
            reports: BTreeSet::new(),
            gone: false,
        }
    }

    /// An evidence message about a mail.
    pub fn evidence(id: ItemId, about: Option<ItemId>, mail: MailId, at: UtcTime) -> Self {
        Self {
            mail: Some(mail),
            about,
            ..Self::new(id, ItemKind::Evidence, at)
        }
    }

    /// Whether a draft stands among its author's drafts: it is neither gone nor in the bin.
    pub fn is_current_draft(&self) -> bool {
        self.kind == ItemKind::Draft && !self.gone && self.trashed.is_none()
    }

    /// What a newer draft takes over from the one whose place it takes.
    pub fn take_place_of(&mut self, old: &Item) {
        self.supersedes = Some(old.id);
        self.resumes = self.resumes.or(old.resumes);
        self.labels.extend(old.labels.iter().copied());
    }

    /// A draft that another took the place of, or that was removed: its author can bring it back.
    pub fn ended(&self, hand: Filed) -> Item {
        Item {
            gone: true,
            trashed: Some(hand),
            ..self.clone()
        }
    }

    /// A draft that was handed in: the mail is in its place.
    pub fn handed_in(&self) -> Item {
        Item {
            gone: true,
            trashed: None,
            ..self.clone()
        }
    }

    /// When it leaves the bin by itself, if it lies there and is not on the legal record.
    pub fn leaves_bin_at(&self) -> Option<UtcTime> {
        let filed = self.trashed.filter(|_| !self.gone && !self.on_record())?;
        Some(filed.at.plus(DAY * KEPT_DAYS))
    }

    /// Whether it stands on the legal record: then no user can destroy it.
    pub fn on_record(&self) -> bool {
        !matches!(self.kind, ItemKind::Draft | ItemKind::Notice)
    }
}
