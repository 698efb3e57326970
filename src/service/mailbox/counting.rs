//! Numbers of a mailbox that is not open.
//!
//! How many messages there are, and where it stands, is in the view's row. What only looking at all members tells
//! (unseen, deleted, octets) is kept until the mailbox changes for that user.

use super::{Mailboxes, Status};
use crate::domain::selector::Mailbox;
use crate::id::{ItemId, ModSeq, TenantId, UserId, ViewId};
use crate::service::account::Principal;
use crate::service::failure::Failure;
use crate::store::StoreError;
use crate::store::db::Db;
use crate::store::tables::items;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, OnceLock, PoisonError};

/// Mailboxes of users whose numbers are kept: a few megabytes. Beyond, all are counted anew.
const COUNTED_MAX: usize = 65_536;

/// What one user has said about all items; read once for many mailboxes, and only when it is needed.
#[derive(Debug, Default)]
pub struct FlagsOfUser(OnceLock<Flagged>);

#[derive(Debug, Default)]
struct Flagged {
    seen: BTreeSet<ItemId>,
    deleted: BTreeSet<ItemId>,
}

impl FlagsOfUser {
    fn read(&self, db: &dyn Db, by: &Principal) -> Result<&Flagged, StoreError> {
        if self.0.get().is_none() {
            let mut all = Flagged::default();
            items::for_each_flags(db, by.tenant, by.user, |item, flags| {
                if flags.seen {
                    all.seen.insert(item);
                }
                if flags.deleted {
                    all.deleted.insert(item);
                }
            })?;
            let _ = self.0.set(all);
        }
        Ok(self.0.get_or_init(Flagged::default))
    }
}

#[derive(Debug, Clone, Copy)]
struct Counted {
    /// The commit up to which this holds.
    at: ModSeq,
    unseen: u32,
    deleted: u32,
    size_bytes: Option<u64>,
}

/// Numbers that were counted lately.
#[derive(Debug, Default)]
pub struct Counts(Mutex<HashMap<(TenantId, ViewId, UserId), Counted>>);

impl Mailboxes {
    /// What the user has said about all his items, for [`Self::status`].
    pub fn flags_of_user(&self, _by: &Principal) -> Result<FlagsOfUser, Failure> {
        Ok(FlagsOfUser::default())
    }

    pub async fn status(
        &self,
        by: &Principal,
        mailbox: Mailbox,
        flags: &FlagsOfUser,
        with_size: bool,
    ) -> Result<Status, Failure> {
        if mailbox.shows_nothing() {
            return Ok(Status {
                uid_next: 1,
                uid_validity: 1,
                highest_modseq: 1,
                ..Status::default()
            });
        }
        let caught = self.catch_up(by, mailbox, None).await?;
        let mut status = Status {
            messages: caught.view.count(by.user),
            uid_next: caught.view.uid_next,
            uid_validity: caught.view.uid_validity,
            highest_modseq: caught.to.0,
            ..Status::default()
        };
        if status.messages == 0 {
            return Ok(status);
        }
        let place = (by.tenant, caught.view.id, by.user);
        let fits = |c: &Counted| c.at == caught.to && (c.size_bytes.is_some() || !with_size);
        let counts = || self.counts.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = counts().get(&place).copied().filter(fits);
        let counted = match kept {
            Some(counted) => counted,
            None => {
                let present = self.present(by, &caught, None).await?;
                let counted = self
                    .count(by, &present.roster, flags, caught.to, with_size)
                    .await?;
                let mut counts = counts();
                if counts.len() >= COUNTED_MAX {
                    counts.clear();
                }
                counts.insert(place, counted);
                counted
            }
        };
        status.unseen = counted.unseen.min(status.messages);
        status.deleted = counted.deleted.min(status.messages);
        status.size_bytes = counted.size_bytes.unwrap_or(0);
        Ok(status)
    }

    async fn count(
        &self,
        by: &Principal,
        roster: &crate::roster::Roster,
        flags: &FlagsOfUser,
        at: ModSeq,
        with_size: bool,
    ) -> Result<Counted, Failure> {
        const TURN: usize = 4096;
        let flagged = flags.read(&*self.db, by)?;
        let mut counted = Counted {
            at,
            unseen: 0,
            deleted: 0,
            size_bytes: with_size.then_some(0),
        };
        for (n, entry) in roster.iter().enumerate() {
            let item = ItemId(entry.key);
            counted.unseen += u32::from(!flagged.seen.contains(&item));
            counted.deleted += u32::from(flagged.deleted.contains(&item));
            if let Some(octets) = &mut counted.size_bytes {
                let body = items::body(&*self.db, by.tenant, item)?;
                *octets += body.map_or(0, |b| b.row.content.size_bytes());
            }
            if n % TURN == TURN - 1 {
                tokio::task::yield_now().await;
            }
        }
        Ok(counted)
    }
}
