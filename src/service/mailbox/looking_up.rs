//! Asking the index on behalf of a user, and what a search over many messages may rely on: that what stands in a mailbox
//! that was brought up to now may be seen by who has it open.
//!
//! The index knows all words of a tenant, whoever may see them. So it is only ever asked about members of a mailbox.

use super::{Mailboxes, Opened};
use crate::domain::needle::Wanted;
use crate::id::ItemId;
use crate::service::account::Principal;
use crate::service::failure::Failure;
use crate::service::searched::{LookedUp, Within};
use std::collections::BTreeSet;

/// Who stands in an open mailbox at a moment, by right.
///
/// A mailbox's question is whether the user sees an item and whether it belongs there (`domain::selector::Question::shows`).
/// Catching up asks it about everything that changed, and about all when the user's place did. So who is still a
/// member then may be seen by him, without asking again for each; it holds as long as the organisation stays as it is.
#[derive(Debug)]
pub struct Standing {
    organisation_version: u64,
    left: BTreeSet<u32>,
}

impl Standing {
    /// Whether a message with this UID may be seen.
    pub fn has(&self, uid: u32) -> bool {
        !self.left.contains(&uid)
    }
}

/// Where a text is by the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Header,
    /// And not in the header.
    Body,
    Unknown,
}

impl Mailboxes {
    /// What the index says about texts; `None`: there is none to ask.
    pub async fn look_up(&self, by: &Principal, texts: Vec<(Within, Wanted)>) -> Option<LookedUp> {
        self.texts.look_up(by.tenant, texts).await
    }

    /// Brings the mailbox up to now, without telling who has it open, and says who has left it since he was told.
    pub async fn standing(&self, by: &Principal, opened: &Opened) -> Result<Standing, Failure> {
        let organisation_version = self.seat(by)?.organisation.version;
        let mut now = opened.clone();
        let news = self.poll(by, &mut now).await?;
        Ok(Standing {
            organisation_version,
            left: news.removed.into_iter().collect(),
        })
    }

    /// Whether the organisation is still as it was, so that what was found may be told.
    pub fn still_holds(&self, by: &Principal, standing: &Standing) -> Result<bool, Failure> {
        Ok(self.seat(by)?.organisation.version == standing.organisation_version)
    }

    /// Items of an open mailbox, newest first, of which it is not known that they lack a text: one anywhere, or some in
    /// the header. With each, where the one is.
    pub(super) async fn candidates(
        &self,
        by: &Principal,
        opened: &Opened,
        anywhere: Option<&Wanted>,
        in_header: &[&Wanted],
    ) -> Vec<(ItemId, Place)> {
        let mut members: Vec<ItemId> = opened.members().map(|(_, item)| item).collect();
        members.reverse();
        let anywhere = anywhere.filter(|text| !text.is_empty());
        let both = |text| [(Within::Header, text), (Within::Body, text)];
        let in_header = in_header.iter().filter(|text| !text.is_empty());
        let wanted: Vec<(Within, Wanted)> = anywhere
            .into_iter()
            .flat_map(both)
            .chain(in_header.map(|text| (Within::Header, *text)))
            .map(|(within, text)| (within, text.clone()))
            .collect();
        let Some(answer) = self.look_up(by, wanted.clone()).await else {
            return members.into_iter().map(|item| (item, Place::Unknown)).collect();
        };
        let of_anywhere = if anywhere.is_some() { 2 } else { 0 };
        let verdict = |item: ItemId| {
            if (of_anywhere..wanted.len()).any(|n| answer.verdict(item, n) == Some(false)) {
                return None;
            }
            let place = match (answer.verdict(item, 0), answer.verdict(item, 1)) {
                _ if of_anywhere == 0 => Place::Unknown,
                (Some(true), _) => Place::Header,
                (Some(false), Some(true)) => Place::Body,
                (Some(false), Some(false)) => return None,
                _ => Place::Unknown,
            };
            Some((item, place))
        };
        members.into_iter().filter_map(verdict).collect()
    }
}
