//! Resynchronising a client (RFC 7162): the engine's words for it, answered from what the mailbox service has on record.

use super::Connection;
use crate::id::ModSeq;
use crate::imap::ask::{Member, Since};
use crate::imap::search::SearchKey;
use crate::imap::set::UidRanges;
use crate::service::account::Principal;
use crate::service::failure::Failure;
use crate::service::mailbox::Opened;
use crate::service::time_slice::TimeSlice;

impl Connection<'_> {
    /// Of the members asked for, those that may have changed; what has left is told before.
    pub(super) async fn narrowed(
        &mut self,
        by: &Principal,
        opened: &Opened,
        members: &[Member],
        since: &Since,
    ) -> Result<Vec<Member>, Failure> {
        let mailboxes = self.door.mailboxes.clone();
        let modseq = ModSeq(since.modseq);
        if let Some(within) = &since.vanished {
            let gone = match mailboxes.left_since(by, opened, modseq).await? {
                Some(gone) => {
                    let asked = gone.into_iter().filter(|uid| within.contains(*uid));
                    UidRanges::from_numbers(asked)
                }
                // RFC 7162 3.2.5.1: more may be told than has left since, never less.
                None => all_gone(&mailboxes.never_there(opened), within, since.agreed_to),
            };
            self.session.vanished_earlier(&gone);
        }
        let changed = mailboxes.changed_since(by, opened, modseq).await?;
        let may_have = |m: &&Member| changed.as_ref().is_none_or(|changed| changed.contains(m.uid));
        Ok(members.iter().filter(may_have).copied().collect())
    }

    /// The mod-sequences of what a search found, when it asked for them.
    pub(super) async fn tell_found(
        &mut self,
        by: &Principal,
        key: &SearchKey<UidRanges>,
        found: &[u32],
    ) -> Result<(), Failure> {
        let Some(opened) = self.opened.as_ref().filter(|_| key.asks_modseq()) else {
            return Ok(());
        };
        let mailboxes = &self.door.mailboxes;
        let mut slice = TimeSlice::begin();
        for uid in found {
            let seat = mailboxes.seat(by)?;
            if let Some(item) = opened.item(*uid)
                && let Some(look) = mailboxes.look_behind(&seat.viewer(), item, opened.known_to())?
            {
                let modseq = mailboxes.modseq(by, opened, *uid, look.changed_at)?;
                self.session.found_modseq(*uid, modseq.0);
            }
            slice.share().await;
        }
        Ok(())
    }
}

/// UIDs that are not there, as far as they were asked for and lie above what client and server agree on.
fn all_gone(gaps: &[(u32, u32)], within: &UidRanges, agreed_to: u32) -> UidRanges {
    let mut gone = Vec::new();
    let mut asked = within.ranges().peekable();
    for (low, high) in gaps {
        let low = (*low).max(agreed_to.saturating_add(1));
        while asked.next_if(|range| *range.end() < low).is_some() {}
        while let Some(range) = asked.peek().filter(|range| range.start() <= high) {
            gone.push((low.max(*range.start()), (*high).min(*range.end())));
            if range.end() > high {
                break;
            }
            asked.next();
        }
    }
    UidRanges::from_pairs(gone.into_iter())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn gaps_are_cut_to_what_was_asked(
            there in prop::collection::btree_set(1..60u32, 0..40),
            asked in prop::collection::vec((1..60u32, 0..20u32), 0..6),
            agreed_to in 0..60u32,
        ) {
            let within = UidRanges::from_pairs(asked.iter().map(|(a, n)| (*a, a + n)));
            let not_there = UidRanges::from_numbers((1..60).filter(|uid| !there.contains(uid)));
            let gaps: Vec<(u32, u32)> = not_there.ranges().map(|r| (*r.start(), *r.end())).collect();
            let gone = all_gone(&gaps, &within, agreed_to);
            for uid in 1..90 {
                let wanted = uid < 60 && !there.contains(&uid) && within.contains(uid) && uid > agreed_to;
                prop_assert_eq!(gone.contains(uid), wanted, "{}", uid);
            }
        }
    }
}
