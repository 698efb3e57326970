//! Looking at items: attributes and marks, outline, and octets in pieces.

use super::Mailboxes;
use super::marking::Marks;
use crate::domain::item::{Item, ItemKind};
use crate::domain::selector::Viewer;
use crate::id::{ItemId, ModSeq, TenantId};
use crate::mime::structure::Span;
use crate::service::account::Principal;
use crate::service::failure::Failure;
use crate::service::octets::ContentReader;
use crate::service::outline::Outline;
use crate::service::searched::{BodyText, header_range};
use crate::store::tables::items::{self, Content, Stamped};
use std::ops::{Deref, Range};
use std::sync::Arc;

/// An item that a user was found to see just now. Only looking makes one, and nothing of an item's content is given
/// without it.
#[derive(Debug, Clone)]
pub struct Shown {
    tenant: TenantId,
    stamped: Arc<Stamped<Item>>,
}

impl Deref for Shown {
    type Target = Stamped<Item>;

    fn deref(&self) -> &Stamped<Item> {
        &self.stamped
    }
}

/// An item as a user sees it.
#[derive(Debug, Clone)]
pub struct Look {
    pub shown: Shown,
    pub marks: Marks,
    /// The commit that last changed what is seen of it, its place in a mailbox aside.
    pub changed_at: ModSeq,
}

impl Look {
    pub fn item(&self) -> &Item {
        &self.shown.stamped.row
    }
}

/// What an item contains, for whoever was shown it.
#[derive(Debug, Clone)]
pub struct Letter {
    kind: ItemKind,
    pub(super) content: Content,
    pub outline: Outline,
}

impl Letter {
    pub fn size_bytes(&self) -> u64 {
        self.content.size_bytes()
    }

    pub fn sheet(&self) -> Sheet {
        Sheet(self.content.clone())
    }
}

/// Where the octets of an item are, for whoever was shown it just now: they are read without looking again.
#[derive(Debug, Clone)]
pub struct Sheet(Content);

impl Sheet {
    pub fn size_bytes(&self) -> u64 {
        self.0.size_bytes()
    }
}

impl Mailboxes {
    /// The item, if the user sees it.
    pub fn visible(&self, viewer: &Viewer<'_>, id: ItemId) -> Result<Option<Shown>, Failure> {
        let tenant = viewer.org.tenant.id;
        let Some(stamped) = items::item(&*self.db, tenant, id)?.filter(|stamped| !stamped.row.gone) else {
            return Ok(None);
        };
        let about = items::about(&*self.db, tenant, &stamped.row)?;
        let sees = viewer.sees(&stamped.row, about.as_ref());
        Ok(sees.then_some(Shown { tenant, stamped }))
    }

    pub fn look(&self, viewer: &Viewer<'_>, id: ItemId) -> Result<Option<Look>, Failure> {
        self.look_behind(viewer, id, ModSeq(0))
    }

    /// The same for who knows a commit that was visible before he asked for the viewer: what did not change behind it is
    /// read once.
    pub fn look_behind(
        &self,
        viewer: &Viewer<'_>,
        id: ItemId,
        as_of: ModSeq,
    ) -> Result<Option<Look>, Failure> {
        let Some(shown) = self.visible(viewer, id)? else {
            return Ok(None);
        };
        let mut reader = self.reader_of(viewer, as_of);
        let (marks, changed_at) = reader.marks_of(viewer, &shown.row)?;
        Ok(Some(Look {
            shown,
            marks,
            changed_at,
        }))
    }

    /// The octets of an item, without reading its outline.
    pub fn sheet(&self, shown: &Shown) -> Result<Option<Sheet>, Failure> {
        let body = items::body(&*self.db, shown.tenant, shown.row.id)?;
        Ok(body.map(|b| Sheet(b.row.content)))
    }

    /// Size in octets without reading the outline.
    pub fn size_of(&self, shown: &Shown) -> Result<Option<u64>, Failure> {
        Ok(self.sheet(shown)?.map(|sheet| sheet.size_bytes()))
    }

    /// The octets of a sheet, in pieces.
    pub fn octets_of(&self, sheet: &Sheet, range: Range<u64>) -> ContentReader<'_> {
        ContentReader::range(&self.spool, &sheet.0, range)
    }

    /// The content and outline of an item.
    pub async fn letter(&self, shown: &Shown) -> Result<Option<Letter>, Failure> {
        let Some(body) = items::body(&*self.db, shown.tenant, shown.row.id)? else {
            return Ok(None);
        };
        let outline = Outline::of_body(&self.spool, &body.row).await?;
        Ok(Some(Letter {
            kind: shown.row.kind,
            content: body.row.content,
            outline,
        }))
    }

    /// A header block of a letter, as far as headers are read.
    pub async fn header(&self, letter: &Letter, span: Span) -> Result<Vec<u8>, Failure> {
        ContentReader::range(&self.spool, &letter.content, header_range(span))
            .collect()
            .await
    }

    /// The octets of an item the user sees, in pieces.
    pub fn octets(
        &self,
        by: &Principal,
        id: ItemId,
        range: Range<u64>,
    ) -> Result<Option<ContentReader<'_>>, Failure> {
        let seat = self.seat(by)?;
        let Some(shown) = self.visible(&seat.viewer(), id)? else {
            return Ok(None);
        };
        let body = items::body(&*self.db, shown.tenant, shown.row.id)?;
        Ok(body.map(|b| ContentReader::range(&self.spool, &b.row.content, range)))
    }

    /// The folded texts of a letter's body, as a search looks at them.
    pub async fn text(&self, letter: &Letter) -> Result<BodyText, Failure> {
        self.texts
            .body(&letter.content, &letter.outline, letter.kind)
            .await
    }
}
