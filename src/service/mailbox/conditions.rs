//! Changing only what has not changed: the condition of a STORE (RFC 7162 3.1.3).

use super::resyncing::words_of;
use super::{Mailboxes, Opened};
use crate::domain::item::{Item, UserFlags};
use crate::domain::selector::Viewer;
use crate::id::{ItemId, ModSeq, ViewId};
use crate::service::failure::Failure;
use crate::store::StoreError;
use crate::store::tables::flags;
use crate::store::tables::items::Stamped;

/// Which messages of which mailbox are meant, and how old they may be.
pub(super) struct Condition {
    view: ViewId,
    as_of: ModSeq,
    unchanged_since: Option<ModSeq>,
}

/// Messages that fulfil a condition, and the UIDs of those that do not.
#[derive(Default)]
pub(super) struct Sorted {
    pub same: Vec<(u32, ItemId)>,
    pub changed: Vec<u32>,
}

impl Condition {
    /// `None` where no mailbox is open, or one that never shows anything: there no message is either.
    pub fn new(opened: Option<&Opened>, unchanged_since: Option<ModSeq>) -> Option<Self> {
        let opened = opened?;
        Some(Self {
            view: opened.view?,
            as_of: opened.known_to,
            unchanged_since,
        })
    }

    /// What the user was told everything up to.
    pub fn as_of(&self) -> ModSeq {
        self.as_of
    }

    /// Whether a limit was named at all.
    pub fn is_set(&self) -> bool {
        self.unchanged_since.is_some()
    }

    pub fn is_broken_by(&self, changed_at: ModSeq) -> bool {
        self.unchanged_since.is_some_and(|since| changed_at > since)
    }
}

/// The number of an item and a user's flags on it as they were read, its place in a mailbox aside.
pub(super) fn read_at(viewer: &Viewer<'_>, item: &Stamped<Item>, flags: Option<&UserFlags>) -> ModSeq {
    let flags = flags.map_or(ModSeq(0), |flags| flags.modseq);
    item.modseq.max(flags).max(words_of(viewer.org, &item.row))
}

impl Mailboxes {
    /// The commit by which a message came to its place in the mailbox that is meant.
    pub(super) fn came_in(
        &self,
        viewer: &Viewer<'_>,
        uid: u32,
        condition: Option<&Condition>,
    ) -> Result<ModSeq, StoreError> {
        let Some(condition) = condition else {
            return Ok(ModSeq(0));
        };
        let place = (condition.view, uid);
        self.entered(viewer.org.tenant.id, place, condition.as_of)
    }

    /// The messages by the condition as it is now. What is not seen any more is neither.
    pub(super) fn unchanged(
        &self,
        viewer: &Viewer<'_>,
        which: &[(u32, ItemId)],
        condition: &Condition,
    ) -> Result<Sorted, Failure> {
        let mut sorted = Sorted::default();
        for (uid, id) in which {
            let Some(item) = self.visible(viewer, *id)? else {
                continue;
            };
            let flags = flags::flags(&*self.db, viewer.org.tenant.id, viewer.user.id, *id)?;
            let entered = self.came_in(viewer, *uid, Some(condition))?;
            match condition.is_broken_by(read_at(viewer, &item, flags.as_ref()).max(entered)) {
                true => sorted.changed.push(*uid),
                false => sorted.same.push((*uid, *id)),
            }
        }
        Ok(sorted)
    }
}
