//! Expunging: what is marked `\Deleted` leaves the mailbox it is expunged in.
//!
//! A mail loses its label or flag there, or goes to the bin; in the bin what is on the legal record stays. A draft goes
//! (`versions` says how it can come back). What counts is the mark at the moment of the commit (RFC 9051 6.4.3): who took it
//! away meanwhile keeps his message.

use super::filing::{Edit, Filed, no, trash};
use super::marking::{CHUNK, Marked};
use super::{Mailboxes, Opened};
use crate::domain::audit::AuditRoute;
use crate::domain::item::{Filed as FiledAway, Item};
use crate::domain::selector::Mailbox;
use crate::id::ItemId;
use crate::service::account::Principal;
use crate::service::failure::{Failure, Kind};
use crate::store::tables::flags::FlagReader;
use crate::store::tables::items;
use std::collections::{BTreeMap, BTreeSet};

/// What expunging an item in a mailbox comes to.
pub(super) fn expunging(item: &Item, from: Mailbox) -> Result<Edit, Failure> {
    let obeyed = Edit {
        obeyed: true,
        ..Edit::default()
    };
    Ok(match from {
        Mailbox::Label(label) => Edit {
            unlabel: Some(label),
            ..obeyed
        },
        Mailbox::Important => Edit {
            flagged: Some(false),
            ..obeyed
        },
        Mailbox::Trash if item.on_record() => {
            return no(
                Kind::OnRecord,
                "this message stands on the legal record; it stays in the bin and cannot be destroyed",
            );
        }
        Mailbox::Trash | Mailbox::Drafts => Edit { gone: true, ..obeyed },
        Mailbox::JobsPending | Mailbox::JobsElsewhere | Mailbox::JobsLate | Mailbox::JobsReady => {
            return no(Kind::WrongState, "a job leaves this mailbox by a decision");
        }
        _ => Edit {
            obeyed: true,
            ..trash(item)?
        },
    })
}

impl Mailboxes {
    /// Expunges what the user marked `\Deleted`: all, or those among `among`. Gives the UIDs of those done.
    pub async fn expunge(
        &self,
        by: &Principal,
        opened: &mut Opened,
        among: Option<&[(u32, ItemId)]>,
    ) -> Result<Filed, Failure> {
        let mut which = Vec::new();
        match among {
            Some(among) => {
                let mut reader = FlagReader::new(&*self.db, by.tenant, by.user);
                for (uid, id) in among {
                    if reader.said(*id)?.deleted {
                        which.push((*uid, *id));
                    }
                }
            }
            None => which = self.deleted_in(by, opened).await?,
        }
        let mut marked = Marked::default();
        let mut spared = BTreeSet::new();
        for chunk in which.chunks(CHUNK) {
            let ids: Vec<ItemId> = chunk.iter().map(|(_, id)| *id).collect();
            self.expunge_some(by, opened.mailbox, &ids, (&mut marked, &mut spared))
                .await?;
        }
        // An expunged message never stays in the mailbox it was expunged in.
        let mut filed = Filed {
            refused: marked.refused.take(),
            ..Filed::default()
        };
        let done: BTreeSet<ItemId> = marked.done.iter().map(|done| done.item).collect();
        let gone = which
            .iter()
            .filter(|(_, id)| done.contains(id) && !spared.contains(id));
        let gone: Vec<(u32, ItemId)> = gone.copied().collect();
        if gone.is_empty() {
            return Ok(filed);
        }
        self.told_left(by, opened, &gone).await?;
        filed.pairs = gone.iter().map(|(uid, _)| (*uid, 0)).collect();
        filed.pairs.sort_unstable();
        Ok(filed)
    }

    /// One batch of them. Those whose mark is not there any more when it is committed are `spared`.
    async fn expunge_some(
        &self,
        by: &Principal,
        from: Mailbox,
        which: &[ItemId],
        (marked, spared): (&mut Marked, &mut BTreeSet<ItemId>),
    ) -> Result<(), Failure> {
        let going: BTreeSet<ItemId> = which.iter().copied().collect();
        let followed = match from {
            Mailbox::Drafts => self.followed(by, which).await?,
            _ => Vec::new(),
        };
        // In order, so that of an older draft it is known whether it goes before the newer one is asked about.
        let mut all = going.clone();
        all.extend(followed.iter().map(|(new, _)| *new));
        let all: Vec<ItemId> = all.into_iter().collect();
        let earlier: BTreeMap<ItemId, ItemId> = followed.into_iter().collect();
        let old = self.items_of(by, earlier.values())?;
        let hand = FiledAway {
            by: by.user,
            at: self.clock.now(),
        };
        self.change(by, AuditRoute::Imap, &all, marked, |_, item, flags| {
            let before = earlier.get(&item.id).filter(|id| !spared.contains(*id));
            let before = before.and_then(|id| old.get(id));
            if let Some(before) = before.filter(|_| item.supersedes.is_none()) {
                item.take_place_of(before);
            }
            if !going.contains(&item.id) {
                return Ok(());
            }
            // It is asked anew whenever somebody else was faster.
            if !flags.deleted {
                spared.insert(item.id);
                return Ok(());
            }
            spared.remove(&item.id);
            expunging(item, from)?.apply(item, flags, hand)
        })
        .await
    }

    fn items_of<'i>(
        &self,
        by: &Principal,
        which: impl Iterator<Item = &'i ItemId>,
    ) -> Result<BTreeMap<ItemId, Item>, Failure> {
        let mut found = BTreeMap::new();
        for id in which {
            if let Some(item) = items::item(&*self.db, by.tenant, *id)? {
                found.insert(*id, item.row.clone());
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::UtcTime;
    use crate::domain::item::{ItemKind, JobPhase};
    use crate::domain::samples::facet;

    #[test]
    fn expunging_destroys_nothing_on_record() {
        for kind in [
            ItemKind::Draft,
            ItemKind::Notice,
            ItemKind::Outgoing,
            ItemKind::Incoming,
            ItemKind::Evidence,
        ] {
            let item = Item::new(ItemId(1), kind, UtcTime::from_unix_s(0));
            let edit = expunging(&item, Mailbox::Trash);
            assert_eq!(edit.is_ok_and(|e| e.gone), !item.on_record(), "{kind:?}");
            for from in Mailbox::FIXED {
                if from == Mailbox::Trash || from == Mailbox::Drafts {
                    continue;
                }
                assert!(
                    expunging(&item, from).is_ok_and(|e| !e.gone) || format!("{from:?}").starts_with("Jobs")
                );
            }
        }
    }

    /// A job that waits does not disappear into the bin.
    #[test]
    fn a_job_leaves_by_a_decision() {
        let mut waiting = Item::new(ItemId(1), ItemKind::Outgoing, UtcTime::from_unix_s(0));
        waiting.job = Some(Box::new(facet(JobPhase::Ready)));
        for from in [Mailbox::Sent, Mailbox::JobsReady] {
            assert!(expunging(&waiting, from).is_err(), "{from:?}");
        }
    }
}
