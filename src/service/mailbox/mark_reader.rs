//! Marks of many items, read page by page.
//!
//! What a user has said about items that lie side by side stands in one row (`store::tables::flags`), so a reader keeps the
//! page it read last. A kept page may be older than the item beside it, and then the number of the two together would
//! promise a change of flags that is not shown. So an item that changed behind what was certainly visible when the
//! reader was made has its page read again. Who may have to wait for a client makes a new reader from time to time.

use super::Mailboxes;
use super::marking::{Marks, marks};
use super::resyncing::words_of;
use crate::domain::item::{Item, UserFlags};
use crate::domain::selector::Viewer;
use crate::id::{ItemId, ModSeq};
use crate::service::account::Principal;
use crate::service::failure::Failure;
use crate::store::StoreError;
use crate::store::tables::flags::{FlagReader, Said};

pub struct MarkReader<'m> {
    flags: FlagReader<'m>,
    as_of: ModSeq,
}

impl Mailboxes {
    /// Reads what a user marked. `as_of`: a commit that was visible before.
    pub fn mark_reader(&self, by: &Principal, as_of: ModSeq) -> MarkReader<'_> {
        MarkReader {
            flags: FlagReader::new(&*self.db, by.tenant, by.user),
            as_of,
        }
    }

    /// The marks of one item as it was read, and the commit that last changed what is seen of it.
    pub fn marks_of(&self, viewer: &Viewer<'_>, item: &Item) -> Result<(Marks, ModSeq), Failure> {
        let flags = FlagReader::new(&*self.db, viewer.org.tenant.id, viewer.user.id);
        let mut reader = MarkReader {
            flags,
            as_of: ModSeq(0),
        };
        reader.marks_of(viewer, item)
    }
}

impl MarkReader<'_> {
    /// Reads the page of an item that is read next: what is said of both is then no older than its page.
    pub fn turn_to(&mut self, item: ItemId) -> Result<(), Failure> {
        self.flags.said(item)?;
        Ok(())
    }

    /// What the user said about an item, without keywords and without reading the item.
    pub fn said(&mut self, item: ItemId) -> Result<Said, StoreError> {
        self.flags.said(item)
    }

    /// His flags on an item that was just read.
    pub(super) fn flags(&mut self, item: &Item) -> Result<Option<UserFlags>, StoreError> {
        if item.modseq > self.as_of {
            self.flags.renew();
        }
        self.flags.flags(item.id)
    }

    /// The marks of an item that was just read, and the commit that last changed what is seen of it.
    pub fn marks_of(&mut self, viewer: &Viewer<'_>, item: &Item) -> Result<(Marks, ModSeq), Failure> {
        let flags = self.flags(item)?;
        let flags_at = flags.as_ref().map_or(ModSeq(0), |f| f.modseq);
        let at = item.modseq.max(flags_at).max(words_of(viewer.org, item));
        Ok((marks(viewer.org, item, flags), at))
    }
}
