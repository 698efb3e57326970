//! Asking the index on behalf of a user, and what a search over many messages may rely on: that what stands in a mailbox
//! that was brought up to now may be seen by who has it open.
//!
//! The index knows all words of a tenant, whoever may see them. So it is only ever asked about members of a mailbox.

use super::{Mailboxes, Opened};
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

impl Mailboxes {
    /// What the index says about folded texts; `None`: there is none to ask.
    pub async fn look_up(&self, by: &Principal, texts: Vec<(Within, String)>) -> Option<LookedUp> {
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
    /// the header. With each, whether it is known that the one is there.
    pub(super) async fn candidates(
        &self,
        by: &Principal,
        opened: &Opened,
        anywhere: Option<&str>,
        in_header: &[&str],
    ) -> Vec<(ItemId, bool)> {
        let mut members: Vec<ItemId> = opened.members().map(|(_, item)| item).collect();
        members.reverse();
        let anywhere = anywhere.into_iter().map(|text| (Within::Anywhere, text));
        let in_header = in_header.iter().map(|text| (Within::Header, *text));
        let wanted: Vec<(Within, String)> = anywhere
            .chain(in_header)
            .filter(|(_, text)| !text.is_empty())
            .map(|(within, text)| (within, text.to_owned()))
            .collect();
        let Some(answer) = self.look_up(by, wanted.clone()).await else {
            return members.into_iter().map(|item| (item, false)).collect();
        };
        let verdict = |item: ItemId| {
            let mut known = false;
            for (n, (within, _)) in wanted.iter().enumerate() {
                match answer.verdict(item, n) {
                    Some(false) => return None,
                    Some(true) => known |= *within == Within::Anywhere,
                    None => {}
                }
            }
            Some((item, known))
        };
        members.into_iter().filter_map(verdict).collect()
    }
}
