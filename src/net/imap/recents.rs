//! Which messages some session of a user has been told of: those above are `\Recent` to the next one (RFC 3501 2.3.2).
//!
//! Kept in memory only. After a restart nobody can say who was told first, and then RFC 3501 wants them recent.

use crate::domain::selector::Mailbox;
use crate::id::{TenantId, UserId};
use crate::service::account::Principal;
use crate::service::mailbox::Opened;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Mailboxes remembered: several of each user connected. Beyond, all are forgotten, as by a restart.
const RECENTS_MAX: usize = 64 * 1024;

/// UIDVALIDITY, and the first UID no session was told of.
type Told = (u32, u32);

/// What sessions were told of, for all users.
#[derive(Debug, Default)]
pub struct Recents(Mutex<HashMap<(TenantId, UserId, Mailbox), Told>>);

impl Recents {
    /// The first UID that no session was told of.
    pub(super) fn untold_from(&self, by: &Principal, mailbox: Mailbox, uid_validity: u32) -> u32 {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let told = kept.get(&(by.tenant, by.user, mailbox));
        told.filter(|(validity, _)| *validity == uid_validity)
            .map_or(1, |(_, from)| *from)
    }

    /// A session that may change the mailbox is told of all below `uid_next`. Gives the UID from which on it is the
    /// first, or `None` if there is nothing new.
    pub(super) fn claim(
        &self,
        by: &Principal,
        mailbox: Mailbox,
        uid_validity: u32,
        uid_next: u32,
    ) -> Option<u32> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (by.tenant, by.user, mailbox);
        if kept.len() >= RECENTS_MAX && !kept.contains_key(&key) {
            kept.clear();
        }
        let told = kept.entry(key).or_insert((uid_validity, 1));
        if told.0 != uid_validity {
            *told = (uid_validity, 1);
        }
        let from = told.1;
        told.1 = from.max(uid_next);
        (from < uid_next).then_some(from)
    }
}

/// What of an open mailbox this session is the first to be told of (RFC 3501 2.3.2): EXAMINE looks only.
pub(super) fn recent_from(
    recents: &Recents,
    by: &Principal,
    opened: &Opened,
    read_only: bool,
) -> Option<u32> {
    let (mailbox, validity) = (opened.mailbox, opened.uid_validity);
    if read_only {
        let from = recents.untold_from(by, mailbox, validity);
        (from < opened.uid_next).then_some(from)
    } else {
        recents.claim(by, mailbox, validity, opened.uid_next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::audit::Origin;

    fn user(number: u32) -> Principal {
        Principal {
            tenant: TenantId(1),
            user: UserId(number),
            login: "ayse@ornekas".parse().unwrap(),
            from: Origin::Inside,
        }
    }

    #[test]
    fn the_first_to_be_told_has_them() {
        let (recents, inbox) = (Recents::default(), Mailbox::Inbox);
        assert_eq!(recents.untold_from(&user(1), inbox, 7), 1);
        assert_eq!(recents.claim(&user(1), inbox, 7, 4), Some(1));
        assert_eq!(recents.claim(&user(1), inbox, 7, 4), None);
        assert_eq!(recents.untold_from(&user(1), inbox, 7), 4);
        assert_eq!(recents.claim(&user(1), inbox, 7, 6), Some(4));
        // Another user, another mailbox, numbers given out anew.
        assert_eq!(recents.claim(&user(2), inbox, 7, 4), Some(1));
        assert_eq!(recents.claim(&user(1), Mailbox::All, 7, 4), Some(1));
        assert_eq!(recents.claim(&user(1), inbox, 8, 2), Some(1));
        assert_eq!(recents.untold_from(&user(1), inbox, 7), 1);
    }
}
