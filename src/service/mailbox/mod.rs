//! Mailboxes: views over a tenant's items, and what clients do with them, translated into attributes.
//!
//! A mailbox is a saved question (`domain::selector`) with a persistent map of UIDs (`views`). Filing never copies
//! anything: `filing` is the one table from moving and copying to attributes and decisions, `expunging` says what leaves. Handing over
//! the content of a consigned mail is an event of its own (`reading`). This service knows nothing of IMAP.

mod accounting;
mod answered;
mod appending;
mod asking;
mod changes;
mod comparing;
mod conditions;
mod counting;
mod crediting;
mod decoding;
mod expunging;
mod fetch;
mod filing;
mod handling;
mod listening;
mod looking_up;
mod mark_reader;
mod marking;
mod preview;
mod properties;
mod reading;
mod resyncing;
mod rosters;
mod seats;
mod sending;
mod subscribing;
mod unread;
mod versions;
mod views;

pub use crate::store::tables::flags::Said;
pub use appending::Appending;
pub use changes::Changes;
pub use comparing::{Found, Sought};
pub use counting::{Counting, Counts};
pub use decoding::{Decoded, DecodingReader};
pub use fetch::{Letter, Look, Sheet, Shown};
pub use filing::{Filed, Verb};
pub use handling::Handling;
pub use listening::Listening;
pub use looking_up::Standing;
pub use mark_reader::MarkReader;
pub use marking::{DECISIONS, Decision, Done, MarkHow, Marked, Marks};
pub use preview::{PREVIEW_MAX_CHARS, Preview};
pub use properties::Holder;
pub use resyncing::MayHaveChanged;
pub use rosters::Rosters;
pub use seats::{Seat, Seats};
pub use subscribing::{SUBSCRIPTIONS_MAX, Subscriptions};
pub use unread::{MayBeUnread, Unread};
pub use versions::{KEPT_DAYS, VERSIONS_MAX, Version};
pub use views::{News, Opened};

use crate::clock::Clock;
use crate::domain::audit::AuditRoute;
use crate::domain::org::Permission;
use crate::domain::selector::{Mailbox, PARENTS};
use crate::domain::tenant::Language;
use crate::id::IdSource;
use crate::service::account::Principal;
use crate::service::approval::Approval;
use crate::service::bell::Bells;
use crate::service::declaring::Declaring;
use crate::service::failure::{Failure, Kind};
use crate::service::identity::Identity;
use crate::service::item_numbers::ItemNumbers;
use crate::service::organisation::Organisations;
use crate::service::searched::Texts;
use crate::service::submission::Submission;
use crate::store::db::Db;
use crate::store::spool::Spool;
use std::collections::BTreeSet;
use std::sync::Arc;

/// How often a change is tried against others who change the same rows.
const ATTEMPTS: usize = 16;

pub struct Mailboxes {
    pub db: Arc<dyn Db>,
    pub spool: Arc<Spool>,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn IdSource>,
    pub organisations: Arc<Organisations>,
    pub identity: Arc<Identity>,
    pub items: Arc<ItemNumbers>,
    pub bells: Bells,
    pub approval: Arc<Approval>,
    pub declaring: Arc<Declaring>,
    pub submission: Arc<Submission>,
    pub seats: Seats,
    pub changes: Changes,
    pub rosters: Rosters,
    pub counts: Counts,
    pub texts: Arc<Texts>,
    pub listening: Listening,
    pub unread: Unread,
}

/// A mailbox as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// `/` between levels.
    pub name: String,
    /// `None`: it only holds others.
    pub mailbox: Option<Mailbox>,
}

/// Numbers of a mailbox that is not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Status {
    pub messages: u32,
    pub uid_next: u32,
    pub uid_validity: u32,
    pub unseen: u32,
    pub deleted: u32,
    /// The commit up to which nothing that happened in it is missing.
    pub highest_modseq: u64,
    /// Sum of the sizes in octets; 0 unless asked for.
    pub size_bytes: u64,
}

impl Mailboxes {
    /// All mailboxes of the user, with the levels that only hold others.
    pub fn list(&self, by: &Principal) -> Result<Vec<Listed>, Failure> {
        let seat = self.seat(by)?;
        let named = seat.viewer().mailboxes();
        let names: BTreeSet<&str> = named.iter().map(|(_, name)| name.as_str()).collect();
        let turkish = seat.organisation.tenant.language == Language::Turkish;
        let mut holders: BTreeSet<String> = PARENTS
            .iter()
            .map(|(tr, en)| (if turkish { *tr } else { *en }).to_owned())
            .collect();
        for name in &names {
            for (at, _) in name.match_indices('/') {
                if !names.contains(&name[..at]) {
                    holders.insert(name[..at].to_owned());
                }
            }
        }
        let mut list: Vec<Listed> = named
            .iter()
            .map(|(mailbox, name)| Listed {
                name: name.clone(),
                mailbox: Some(*mailbox),
            })
            .collect();
        list.extend(holders.into_iter().map(|name| Listed { name, mailbox: None }));
        Ok(list)
    }

    /// The mailbox of that name.
    pub fn resolve(&self, by: &Principal, name: &str) -> Result<Mailbox, Failure> {
        let seat = self.seat(by)?;
        let viewer = seat.viewer();
        let found = viewer.mailboxes().into_iter().find(|(_, n)| n == name);
        if let Some((mailbox, _)) = found {
            return Ok(mailbox);
        }
        let named = |m: &Mailbox| m.name(&seat.organisation).is_some_and(|n| n == name);
        let fixed = Mailbox::FIXED.into_iter().find(named);
        if let Some(lacking) = fixed.and_then(|m| viewer.lacks(m)) {
            let say = format!("\"{name}\" is not open to you: {lacking}");
            return Err(Failure::refused(Kind::NoPermission, say));
        }
        let holds = self.list(by)?.into_iter().any(|l| l.name == name);
        Err(if holds {
            Failure::refused(Kind::Invalid, format!("\"{name}\" only holds other mailboxes"))
        } else {
            Failure::refused(Kind::NotFound, format!("there is no mailbox \"{name}\""))
        })
    }

    /// Whether the name is one that nobody can make with [`Self::create`], there or not: a view's, or one below a
    /// parent of views. Labels are the only mailboxes that are made.
    pub fn is_view_name(&self, by: &Principal, name: &str) -> Result<bool, Failure> {
        let seat = self.seat(by)?;
        let turkish = seat.organisation.tenant.language == Language::Turkish;
        let [jobs, flows, _, units] = PARENTS;
        let below = [jobs, flows, units].iter().any(|(tr, en)| {
            let rest = name.strip_prefix(if turkish { *tr } else { *en });
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        });
        let fixed = |m: Mailbox| m.name(&seat.organisation).is_some_and(|n| n == name);
        Ok(below || Mailbox::FIXED.into_iter().any(fixed))
    }

    /// Makes a mailbox: a label, under `Etiketler`.
    pub async fn create(&self, by: &Principal, name: &str) -> Result<(), Failure> {
        if self.list(by)?.iter().any(|l| l.name == name) {
            return Err(Failure::refused(
                Kind::Exists,
                format!("\"{name}\" exists already"),
            ));
        }
        let seat = self.may_label(by)?;
        let label = label_in(&seat, name)?;
        let author = by.author(AuditRoute::Imap);
        self.organisations.by(&author).add_label(by.tenant, label).await?;
        Ok(())
    }

    /// Removes a mailbox: a label's definition. The mail that carried it stays where it is.
    pub async fn delete(&self, by: &Principal, name: &str) -> Result<(), Failure> {
        let Mailbox::Label(label) = self.resolve(by, name)? else {
            let say = "only labels can be removed; this mailbox is a view that is always there";
            return Err(Failure::refused(Kind::Invalid, say));
        };
        let seat = self.may_label(by)?;
        let Some(label) = seat.organisation.labels.get(&label) else {
            return Err(Failure::refused(Kind::NotFound, "there is no such label"));
        };
        // With it units would lose the sight of mail: that is for who arranges them.
        if seat.organisation.is_shown_by(label.id) && !seat.organisation.may(&seat.user, Permission::Account)
        {
            let say = "units see mail by this label; an officer, or a role with the permission \"account\", may remove it";
            return Err(Failure::refused(Kind::NoPermission, say));
        }
        let author = by.author(AuditRoute::Imap);
        let gone = self
            .organisations
            .by(&author)
            .remove_label(by.tenant, &label.name);
        gone.await?;
        Ok(())
    }

    /// Renames a mailbox: a label. Its mail, UIDs and UIDVALIDITY stay as they are.
    pub async fn rename(&self, by: &Principal, from: &str, to: &str) -> Result<(), Failure> {
        let Mailbox::Label(label) = self.resolve(by, from)? else {
            let say = "only labels can be renamed; this mailbox is a view that keeps its name";
            return Err(Failure::refused(Kind::Invalid, say));
        };
        let seat = self.may_label(by)?;
        let Some(label) = seat.organisation.labels.get(&label) else {
            return Err(Failure::refused(Kind::NotFound, "there is no such label"));
        };
        let to = label_in(&seat, to)?;
        let author = by.author(AuditRoute::Imap);
        self.organisations
            .by(&author)
            .rename_label(by.tenant, &label.name, to)
            .await?;
        Ok(())
    }

    fn may_label(&self, by: &Principal) -> Result<Arc<Seat>, Failure> {
        let seat = self.seat(by)?;
        if seat.organisation.may(&seat.user, Permission::Jobs) {
            return Ok(seat);
        }
        let say = "you have no permission to define labels; an officer, or a role with the permission \"jobs\", may";
        Err(Failure::refused(Kind::NoPermission, say))
    }
}

/// The label a mailbox name would define.
fn label_in<'n>(seat: &Seat, name: &'n str) -> Result<&'n str, Failure> {
    let (tr, en) = PARENTS[2];
    let parent = if seat.organisation.tenant.language == Language::Turkish {
        tr
    } else {
        en
    };
    let label = name
        .strip_prefix(parent)
        .and_then(|rest| rest.strip_prefix('/'))
        .filter(|label| !label.contains('/'));
    label.ok_or_else(|| {
        let say = format!(
            "mailboxes are views; only a label can be made, as \"{parent}/NAME\" without further levels"
        );
        Failure::refused(Kind::Invalid, say)
    })
}

fn conflict() -> Failure {
    Failure::Unavailable("too many change the same rows at once".into())
}
