//! What is done to messages by their numbers, without an open mailbox: archive, bin, restore, label.
//!
//! It is the table of `filing` that says what each comes to, as if the message had been moved there. What is asked for
//! is done to all of them or, when one cannot be, to none.

use super::filing::{Deed, Edit, Verb, foreseen, translate};
use super::marking::{CHUNK, Marked};
use super::versions::not_there;
use super::{Mailboxes, Opened};
use crate::domain::audit::AuditRoute;
use crate::domain::item::{Filed as FiledAway, Item, ItemKind, UserFlags};
use crate::domain::selector::{Mailbox, Viewer};
use crate::id::{ItemId, LabelId, MailId};
use crate::service::account::Principal;
use crate::service::failure::{Failure, Kind};
use crate::service::organisation::unknown;
use crate::store::tables::mails;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handling {
    Archive,
    Trash,
    /// Out of the bin and the archive; a draft that was removed, back among the drafts.
    Restore,
    Label(LabelId),
    Unlabel(LabelId),
}

impl Handling {
    /// The same as moving, or copying, it where it belongs.
    fn edit(self, viewer: &Viewer<'_>, item: &Item, hand: FiledAway) -> Result<Edit, Failure> {
        let (from, to, verb) = match self {
            Handling::Archive => (Mailbox::All, Mailbox::Archive, Verb::Move),
            Handling::Trash => (Mailbox::All, Mailbox::Trash, Verb::Move),
            Handling::Restore => (Mailbox::Trash, home(item.kind), Verb::Move),
            Handling::Label(label) => (Mailbox::All, Mailbox::Label(label), Verb::Copy),
            Handling::Unlabel(label) => {
                let edit = Edit {
                    unlabel: Some(label),
                    ..Edit::default()
                };
                foreseen(viewer, item, Deed::Edit(edit), hand)?;
                return Ok(edit);
            }
        };
        match foreseen(viewer, item, translate(viewer, item, from, to, verb)?, hand)? {
            Deed::Edit(edit) => Ok(edit),
            _ => Err(Failure::Broken("handling a message decides nothing".into())),
        }
    }
}

/// Where a message of its kind stands when nobody has filed it away.
fn home(kind: ItemKind) -> Mailbox {
    match kind {
        ItemKind::Incoming | ItemKind::Notice => Mailbox::Inbox,
        ItemKind::Outgoing => Mailbox::Sent,
        ItemKind::Draft => Mailbox::Drafts,
        ItemKind::Evidence => Mailbox::Evidence,
    }
}

impl Mailboxes {
    /// Does it to all of them, in the user's name. Refused as a whole when it cannot be done to one.
    pub async fn handle(
        &self,
        by: &Principal,
        which: &[ItemId],
        how: Handling,
        route: AuditRoute,
    ) -> Result<(), Failure> {
        let hand = FiledAway {
            by: by.user,
            at: self.clock.now(),
        };
        let (mut seen, mut gone) = (Vec::new(), Vec::new());
        let seat = self.seat(by)?;
        for id in which {
            match self.visible(&seat.viewer(), *id)? {
                Some(item) => {
                    let edit = how.edit(&seat.viewer(), &item.row, hand);
                    edit.map_err(|failure| about(*id, failure))?;
                    seen.push(*id);
                }
                None if how == Handling::Restore => {
                    self.may_come_back(by, *id)?;
                    gone.push(*id);
                }
                None => return Err(not_there(*id)),
            }
        }
        for id in gone {
            self.bring_back_removed(by, id).await?;
        }
        let mut marked = Marked::default();
        for chunk in seen.chunks(CHUNK) {
            let edit = |viewer: &Viewer<'_>, item: &mut Item, flags: &mut UserFlags| {
                how.edit(viewer, item, hand)?.apply(item, flags, hand)
            };
            self.change(by, route, chunk, &mut marked, edit).await?;
        }
        // Somebody was faster with one of them.
        marked.refused.map_or(Ok(()), Err)
    }

    /// The item of a mail, sent or received, that the user sees.
    pub fn item_of_mail(&self, by: &Principal, mail: MailId) -> Result<ItemId, Failure> {
        let sent = mails::mail(&*self.db, by.tenant, mail)?.map(|m| m.row.item);
        let item = match sent {
            Some(item) => Some(item),
            None => mails::consignment(&*self.db, by.tenant, mail)?.map(|c| c.row.item),
        };
        let seat = self.seat(by)?;
        let seen = |id: &ItemId| self.visible(&seat.viewer(), *id).map(|item| item.is_some());
        match item {
            Some(item) if seen(&item)? => Ok(item),
            _ => {
                let say = format!("there is no mail {mail} that this user sees");
                Err(Failure::refused(Kind::NotFound, say))
            }
        }
    }

    /// The mailbox a person means, however he spells it; the nearest one is named when there is none.
    pub fn meant(&self, by: &Principal, name: &str) -> Result<Mailbox, Failure> {
        use crate::domain::folding::name_key;
        let seat = self.seat(by)?;
        let all = seat.viewer().mailboxes();
        let exact = all.iter().find(|(_, n)| n == name);
        let like = || all.iter().find(|(_, n)| name_key(n) == name_key(name));
        if let Some((mailbox, _)) = exact.or_else(like) {
            return Ok(*mailbox);
        }
        match self.resolve(by, name) {
            Err(Failure::Refused(refused)) if refused.kind == Kind::NotFound => {
                let names = all.iter().map(|(_, n)| n.as_str());
                Err(Failure::refused(Kind::NotFound, unknown("mailbox", name, names)))
            }
            other => other,
        }
    }

    /// What follows when messages were told to have left an open mailbox: those that stayed get a new UID there, so
    /// that nobody misses them.
    pub async fn told_left(
        &self,
        by: &Principal,
        opened: &mut Opened,
        which: &[(u32, ItemId)],
    ) -> Result<(), Failure> {
        self.catch_up(by, opened.mailbox, None).await?;
        self.renumber(by, opened.mailbox, which).await?;
        for (uid, _) in which {
            opened.forget(*uid);
        }
        Ok(())
    }
}

/// Of several messages, which one it is about.
fn about(id: ItemId, failure: Failure) -> Failure {
    match failure {
        Failure::Refused(refused) => {
            Failure::refused(refused.kind, format!("message {id}: {}", refused.text))
        }
        other => other,
    }
}
