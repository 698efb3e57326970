//! Marks of many items, read page by page, and each told as it was at one moment.
//!
//! What a user has said about items that lie side by side stands in one row (`store::tables::flags`), so a reader keeps the
//! page it read last. An item, its page and the words of its labels are three reads, and a message's number (MODSEQ) is the
//! highest of theirs. Were one of them read before a change whose number another brings, the number would promise a change
//! that is not shown, and the client would never ask for it (RFC 7162 3.1.2). So what is told of a message agrees with one
//! moment:
//!
//! - Where nothing of it changed behind what was certainly visible when the reader was made, it did not change between the
//!   reads either. That is so of nearly all.
//! - Else all three are read again until each of them has the number it had before: then all of them held between the two
//!   times.
//!
//! Who may have to wait for a client makes a new reader from time to time.

use super::marking::{Marks, marks};
use super::resyncing::words_of;
use super::{Mailboxes, conflict};
use crate::domain::item::{Item, UserFlags};
use crate::domain::org::Organisation;
use crate::domain::selector::Viewer;
use crate::id::{ItemId, ModSeq};
use crate::service::account::Principal;
use crate::service::failure::Failure;
use crate::store::StoreError;
use crate::store::tables::flags::{FlagReader, Said};
use crate::store::tables::items;

/// How often a message is read again until it stands still. Somebody would have to change it between each time.
const READ_ATTEMPTS: usize = 16;

pub struct MarkReader<'m> {
    mailboxes: &'m Mailboxes,
    flags: FlagReader<'m>,
    as_of: ModSeq,
}

/// By what one reading of a message is known: two with the same numbers are of one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Numbers {
    item: ModSeq,
    flags: ModSeq,
    /// The words of labels stand in it.
    organisation: u64,
}

impl Numbers {
    fn of(org: &Organisation, item: &Item, flags: Option<&UserFlags>) -> Self {
        Self {
            item: item.modseq,
            flags: flags.map_or(ModSeq(0), |flags| flags.modseq),
            organisation: org.version,
        }
    }

    /// The commit that last changed what is seen of the message.
    fn changed_at(self, org: &Organisation, item: &Item) -> ModSeq {
        self.item.max(self.flags).max(words_of(org, item))
    }
}

impl Mailboxes {
    /// Reads what a user marked. `as_of`: a commit that was visible before the reader was made, and before the viewer was
    /// whom it is asked for.
    pub fn mark_reader(&self, by: &Principal, as_of: ModSeq) -> MarkReader<'_> {
        MarkReader {
            mailboxes: self,
            flags: FlagReader::new(&*self.db, by.tenant, by.user),
            as_of,
        }
    }

    /// The same of whom is looked for.
    pub(super) fn reader_of(&self, viewer: &Viewer<'_>, as_of: ModSeq) -> MarkReader<'_> {
        MarkReader {
            mailboxes: self,
            flags: FlagReader::new(&*self.db, viewer.org.tenant.id, viewer.user.id),
            as_of,
        }
    }
}

impl MarkReader<'_> {
    /// A commit that was visible before it was made.
    pub(super) fn as_of(&self) -> ModSeq {
        self.as_of
    }

    /// Reads the page of an item that is read next: what is said of both is then no older than its page.
    pub fn turn_to(&mut self, item: ItemId) -> Result<(), Failure> {
        self.flags.said(item)?;
        Ok(())
    }

    /// What the user said about an item, without keywords and without reading the item.
    pub fn said(&mut self, item: ItemId) -> Result<Said, StoreError> {
        self.flags.said(item)
    }

    /// His flags on an item that was just read and is about to be changed.
    pub(super) fn flags(&mut self, item: &Item) -> Result<Option<UserFlags>, StoreError> {
        if item.modseq > self.as_of {
            self.flags.renew();
        }
        self.flags.flags(item.id)
    }

    /// The marks of an item that was just read, and the commit that last changed what is seen of it. Where others change
    /// it meanwhile, it is told as it is then.
    pub fn marks_of(&mut self, viewer: &Viewer<'_>, item: &Item) -> Result<(Marks, ModSeq), Failure> {
        let flags = self.flags.flags(item.id)?;
        let numbers = Numbers::of(viewer.org, item, flags.as_ref());
        let at = numbers.changed_at(viewer.org, item);
        if at <= self.as_of {
            return Ok((marks(viewer.org, item, flags), at));
        }
        self.at_one_moment(viewer.org, item.id, numbers)
    }

    fn at_one_moment(
        &mut self,
        org: &Organisation,
        item: ItemId,
        mut before: Numbers,
    ) -> Result<(Marks, ModSeq), Failure> {
        let (mailboxes, tenant) = (self.mailboxes, org.tenant.id);
        for _ in 0..READ_ATTEMPTS {
            let org = mailboxes.organisations.of(tenant)?;
            let read = items::item(&*mailboxes.db, tenant, item)?;
            let read = read.ok_or_else(|| Failure::Broken(format!("item {item} is not there any more")))?;
            self.flags.renew();
            let flags = self.flags.flags(item)?;
            let now = Numbers::of(&org, &read.row, flags.as_ref());
            if now == before {
                let at = now.changed_at(&org, &read.row);
                return Ok((marks(&org, &read.row, flags), at));
            }
            before = now;
        }
        Err(conflict())
    }
}
