//! What is asked about mailboxes beside their messages: who may do what, how much is kept, which evidence there is of a
//! mail. All of it is computed; nothing is set here.

use super::{Listed, Mailboxes};
use crate::domain::item::Item;
use crate::domain::org::{Permission, Roll, User};
use crate::domain::rights::{self, Right};
use crate::domain::selector::{Mailbox, Place, Sharing, Viewer};
use crate::service::account::Principal;
use crate::service::failure::{Failure, Kind};
use crate::service::usage::Usage;
use crate::store::tables::views::{self, Member};
use crate::store::tables::{evidence, items};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// Documents told of one mail: one with a thousand recipients has several of each, and one line is 150 octets.
const EVIDENCE_TOLD_MAX: usize = 500;
/// Messages whose evidence is listed at once: those that came last.
pub const EVIDENCE_LISTED_MAX: u32 = 100;

/// A user's rights at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    pub login: String,
    pub rights: BTreeSet<Right>,
}

impl Mailboxes {
    /// The user's rights at a mailbox, or at a level that only holds others.
    pub fn rights(&self, by: &Principal, name: &str) -> Result<BTreeSet<Right>, Failure> {
        let seat = self.seat(by)?;
        let viewer = seat.viewer();
        let place = self.place(by, &viewer, name)?;
        Ok(rights::rights(&viewer, place))
    }

    /// The same of one that was just listed.
    pub fn rights_of(&self, by: &Principal, listed: &Listed) -> Result<BTreeSet<Right>, Failure> {
        let seat = self.seat(by)?;
        let viewer = seat.viewer();
        Ok(rights::rights(&viewer, place_of(&viewer, listed)))
    }

    fn place(&self, by: &Principal, viewer: &Viewer<'_>, name: &str) -> Result<rights::Place, Failure> {
        match self.list(by)?.into_iter().find(|listed| listed.name == name) {
            Some(listed) => Ok(place_of(viewer, &listed)),
            // It says why not.
            None => Err(match self.resolve(by, name) {
                Err(failure) => failure,
                Ok(_) => Failure::Broken("a mailbox is there and not listed".into()),
            }),
        }
    }

    /// Everybody's rights at a place, for who may see them: each user's own mailbox of that name is meant.
    pub fn everybodys_rights(&self, by: &Principal, name: &str) -> Result<Vec<Holder>, Failure> {
        let seat = self.seat(by)?;
        let viewer = seat.viewer();
        let place = self.place(by, &viewer, name)?;
        if !viewer.org.may(viewer.user, Permission::Account) {
            let say = "who may do what is shown to an officer, or a role with the permission \"account\"";
            return Err(Failure::refused(Kind::NoPermission, say));
        }
        let roll = Roll::of_all(viewer.org, self.clock.now());
        let own = matches!(place, rights::Place::Mailbox(m) if m.sharing() == Sharing::Personal);
        let holder = |user: &User| {
            let there = Place::on(&roll, user);
            let theirs = Viewer::placed(viewer.org, user, &there);
            has(&theirs, place).then(|| Holder {
                login: format!("{}@{}", user.name, viewer.org.tenant.name),
                rights: rights::rights(&theirs, place),
            })
        };
        let users = viewer.org.live_users().filter(|u| !own || u.id == viewer.user.id);
        Ok(users.filter_map(holder).collect())
    }

    /// How much the tenant keeps, and may keep.
    pub async fn usage(&self, by: &Principal) -> Result<Usage, Failure> {
        let seat = self.seat(by)?;
        self.items.usage(&seat.organisation.tenant).await
    }

    /// The evidence of the mail that a message of a mailbox is or speaks of, as lines of kind, event, recipient and
    /// time; `None`: there is no such message, or no evidence of it.
    pub async fn evidence_at(
        &self,
        by: &Principal,
        mailbox: Mailbox,
        uid: u32,
    ) -> Result<Option<String>, Failure> {
        let found = self
            .members_between(by, mailbox, uid, uid.saturating_add(1))
            .await?;
        match found.first() {
            Some(member) => self.evidence_of(by, member),
            None => Ok(None),
        }
    }

    /// The same of the messages that came last, with their UIDs.
    pub async fn evidence_lately(
        &self,
        by: &Principal,
        mailbox: Mailbox,
    ) -> Result<Vec<(u32, String)>, Failure> {
        let mut found = self.members_between(by, mailbox, 1, u32::MAX).await?;
        let over = found.len().saturating_sub(EVIDENCE_LISTED_MAX as usize);
        let mut told = Vec::new();
        for member in found.drain(over..) {
            told.extend(self.evidence_of(by, &member)?.map(|text| (member.uid, text)));
        }
        Ok(told)
    }

    async fn members_between(
        &self,
        by: &Principal,
        mailbox: Mailbox,
        from: u32,
        to: u32,
    ) -> Result<Vec<Member>, Failure> {
        if mailbox.shows_nothing() {
            return Ok(Vec::new());
        }
        let view = self.catch_up(by, mailbox, None).await?.view;
        let to = to.min(view.uid_next);
        // UIDs are dense enough: what left the mailbox only makes the list shorter.
        let from = from.max(to.saturating_sub(4 * EVIDENCE_LISTED_MAX));
        let limit = 4 * EVIDENCE_LISTED_MAX as usize;
        let members = views::members(&*self.db, by.tenant, view.id, from, limit)?;
        Ok(members
            .into_iter()
            .filter(|m| m.uid < to && m.only.is_none_or(|user| user == by.user))
            .collect())
    }

    fn evidence_of(&self, by: &Principal, member: &Member) -> Result<Option<String>, Failure> {
        let seat = self.seat(by)?;
        let Some(shown) = self.visible(&seat.viewer(), member.item)? else {
            return Ok(None);
        };
        // Whoever sees a mail, or evidence of it, sees all evidence of it.
        let Some(mail) = shown.row.mail else {
            return Ok(None);
        };
        let rows = evidence::of_mail(&*self.db, by.tenant, mail)?;
        let mut text = String::new();
        for row in rows.iter().map(|stored| &stored.row).take(EVIDENCE_TOLD_MAX) {
            let (kind, event) = (row.kind.element_name(), row.event.fragment());
            let recipient = row.recipient.as_deref().unwrap_or("-");
            // Writing to a String cannot fail.
            let _ = write!(text, "{kind} {event} {recipient} {}\r\n", row.event_time);
        }
        Ok((!text.is_empty()).then_some(text))
    }

    /// For evidence, the item it speaks of.
    pub fn spoken_of(&self, by: &Principal, evidence: crate::id::ItemId) -> Result<Option<Item>, Failure> {
        let Some(evidence) = items::item(&*self.db, by.tenant, evidence)? else {
            return Ok(None);
        };
        Ok(items::about(&*self.db, by.tenant, &evidence.row)?)
    }
}

fn place_of(viewer: &Viewer<'_>, listed: &Listed) -> rights::Place {
    match listed.mailbox {
        Some(mailbox) => rights::Place::Mailbox(mailbox),
        None => rights::Place::holder(viewer, &listed.name),
    }
}

/// Whether the user has such a place.
fn has(viewer: &Viewer<'_>, place: rights::Place) -> bool {
    match place {
        rights::Place::Mailbox(mailbox) => viewer.mailboxes().iter().any(|(m, _)| *m == mailbox),
        rights::Place::Labels | rights::Place::Holder => true,
    }
}
