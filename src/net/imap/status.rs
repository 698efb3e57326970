//! The numbers of STATUS (RFC 9051 6.3.11): those of the service, and those only this door knows.

use super::ImapDoor;
use super::mailbox_id::mailbox_id;
use crate::domain::selector::Mailbox;
use crate::imap::ask::Status;
use crate::imap::command::StatusItems;
use crate::service::account::Principal;
use crate::service::failure::Failure;
use crate::service::mailbox::{self, Counting};

/// What has to be counted: only what is asked for.
pub(super) fn counting(items: StatusItems) -> Counting {
    Counting {
        flags: items.unseen || items.deleted,
        size: items.size,
    }
}

impl ImapDoor {
    pub(super) async fn status_of(
        &self,
        by: &Principal,
        mailbox: Mailbox,
        items: StatusItems,
        status: &mailbox::Status,
    ) -> Result<Status, Failure> {
        let recent = match items.recent {
            true => self.untold(by, mailbox, status).await?,
            false => 0,
        };
        Ok(Status {
            messages: status.messages,
            uid_next: status.uid_next,
            uid_validity: status.uid_validity,
            unseen: status.unseen,
            deleted: status.deleted,
            highest_modseq: status.highest_modseq,
            // RFC 9208 5.3.1: what an EXPUNGE gives back. Nothing that is kept here is ever taken away by one.
            deleted_storage: 0,
            size: status.size_bytes,
            recent,
            mailbox_id: items.mailbox_id.then(|| mailbox_id(by, mailbox)),
        })
    }

    /// Messages of a mailbox that no session of the user was told of.
    async fn untold(
        &self,
        by: &Principal,
        mailbox: Mailbox,
        status: &mailbox::Status,
    ) -> Result<u32, Failure> {
        let from = self.recents.untold_from(by, mailbox, status.uid_validity);
        match from {
            _ if from >= status.uid_next => Ok(0),
            0 | 1 => Ok(status.messages),
            _ => {
                let opened = self.mailboxes.open(by, mailbox).await?;
                let untold = opened.members().filter(|(uid, _)| *uid >= from).count();
                Ok(u32::try_from(untold).unwrap_or(u32::MAX))
            }
        }
    }
}
