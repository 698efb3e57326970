//! Changing only what has not changed: the condition of a STORE (RFC 7162 3.1.3).

use super::fetch::Shown;
use super::resyncing::words_of;
use super::{Mailboxes, Opened};
use crate::domain::item::{Item, UserFlags};
use crate::domain::selector::Viewer;
use crate::id::{ItemId, ModSeq, ViewId};
use crate::service::failure::Failure;
use crate::store::StoreError;
use crate::store::tables::flags;
use crate::store::tables::items::Stamped;
use crate::store::tables::views;
use std::collections::HashMap;

/// Which messages of which mailbox are meant, and how old they may be.
pub(super) struct Condition {
    view: ViewId,
    uids: HashMap<ItemId, u32>,
    as_of: ModSeq,
    unchanged_since: Option<ModSeq>,
}

impl Condition {
    /// `None` where no mailbox is open, or one that never shows anything: there no message is either.
    pub fn new(
        opened: Option<&Opened>,
        which: &[(u32, ItemId)],
        unchanged_since: Option<ModSeq>,
    ) -> Option<Self> {
        let opened = opened?;
        Some(Self {
            view: opened.view?,
            as_of: opened.known_to,
            uids: which.iter().map(|(uid, id)| (*id, *uid)).collect(),
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

impl Mailboxes {
    /// The number of a message as it was read.
    pub(super) fn changed_at(
        &self,
        viewer: &Viewer<'_>,
        item: &Stamped<Item>,
        flags: Option<&UserFlags>,
        condition: Option<&Condition>,
    ) -> Result<ModSeq, StoreError> {
        let flags = flags.map_or(ModSeq(0), |flags| flags.modseq);
        let at = item.modseq.max(flags).max(words_of(viewer.org, &item.row));
        let place = condition.and_then(|c| Some((c.view, *c.uids.get(&item.row.id)?)));
        let Some((view, uid)) = place else { return Ok(at) };
        let member = views::member(&*self.db, viewer.org.tenant.id, view, uid)?;
        Ok(at.max(member.map_or(ModSeq(0), |member| member.entered)))
    }

    /// Those that fulfil the condition now, and those that do not. What is not seen any more is neither.
    pub(super) fn unchanged(
        &self,
        viewer: &Viewer<'_>,
        which: &[ItemId],
        condition: &Condition,
    ) -> Result<(Vec<ItemId>, Vec<ItemId>), Failure> {
        let (mut same, mut changed) = (Vec::new(), Vec::new());
        for id in which {
            let Some(item) = self.visible(viewer, *id)? else {
                continue;
            };
            let item: &Shown = &item;
            let flags = flags::flags(&*self.db, viewer.org.tenant.id, viewer.user.id, *id)?;
            let at = self.changed_at(viewer, item, flags.as_ref(), Some(condition))?;
            match condition.is_broken_by(at) {
                true => changed.push(*id),
                false => same.push(*id),
            }
        }
        Ok((same, changed))
    }
}
