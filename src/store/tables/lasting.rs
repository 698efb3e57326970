//! What makes sealed documents last: that it is owed, and what was kept when it was done. Documents are found by their content;
//! the octets of forms, lists and responses are blobs, so what many documents rest on lies here once.
//!
//! A form is only ever added, and the document it belongs to never changes.

use super::work::{self, Work};
use super::{Key, Stored, insert, read, rows};
use crate::address::Domain;
use crate::clock::UtcTime;
use crate::store::StoreError;
use crate::store::db::{Batch, Db};
use crate::store::row::RowError;
use crate::store::spool::BlobRef;
use crate::store::tables::items::Content;
use crate::store::tables::mails::digest;
use serde::{Deserialize, Serialize};

/// What a document is: whether values can be put into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Piece {
    /// A copy of it with values is kept.
    Evidence,
    /// It stays as it is; its values are kept beside it.
    Dispatch,
}

/// A sealed document whose certificates are still to be asked about. It is filed under the moment from which the delay counts:
/// who takes it adds the delay, so that one that is changed holds for what is owed already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwedLasting {
    pub piece: Piece,
    pub content: Content,
    /// By whose anchors it is judged.
    pub issuer: Domain,
    /// When it began to be owed.
    pub since: UtcTime,
    pub attempts: u32,
}

/// How its certificates stood at the moment of its time-stamp.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    Valid,
    /// Nobody was asked, or not all of them name a place to ask.
    NotAsked,
    /// Who was revoked before, and since when.
    Revoked(String),
    /// There is nothing to judge it by, or it cannot be read, and why; tried often enough. Nothing lies beside it.
    GivenUp(String),
}

/// A value that lies beside a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Value {
    List(BlobRef),
    Response(BlobRef),
}

/// What was kept of the last word on a document's certificates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastingForm {
    /// An evidence document with its values in it; none for a dispatch, and for what brought values of its own.
    pub document: Option<BlobRef>,
    /// What is not in the document.
    pub beside: Vec<Value>,
    /// PEM of the certificates of all its paths; none where they are in the document.
    pub certificates: Option<BlobRef>,
    pub standing: Standing,
    pub made_at: UtcTime,
}

rows! {
    OwedLasting => "lasting forms owed" v 1;
    LastingForm => "lasting forms" v 2;
}

impl Work for OwedLasting {
    const TAG: &'static [u8; 2] = b"ol";
    fn id(&self) -> [u8; 16] {
        let mut half = [0; 16];
        half.copy_from_slice(&content_sha256(&self.content)[..16]);
        half
    }
}

/// What documents are found by: the pieces of a content are named by their octets.
fn content_sha256(content: &Content) -> [u8; 32] {
    let mut octets = Vec::with_capacity(48 * content.pieces.len());
    for piece in &content.pieces {
        octets.extend(piece.blob.0);
        octets.extend(piece.from.to_be_bytes());
        octets.extend(piece.len.to_be_bytes());
    }
    digest(&octets)
}

fn key(content: &Content) -> Vec<u8> {
    Key::global(b"ls").octets(&content_sha256(content)).done()
}

/// Owes a lasting form of what was sealed or taken in at `since`.
pub fn owe(
    batch: &mut Batch,
    since: UtcTime,
    piece: Piece,
    content: Content,
    issuer: Domain,
) -> Result<(), RowError> {
    let owed = OwedLasting {
        piece,
        content,
        issuer,
        since,
        attempts: 0,
    };
    work::add(batch, since, &owed)
}

/// Adds the form of a content; a conflict if it has one.
pub fn add(batch: &mut Batch, content: &Content, form: &LastingForm) -> Result<(), RowError> {
    insert(batch, key(content), form)
}

pub fn form(db: &dyn Db, content: &Content) -> Result<Option<LastingForm>, StoreError> {
    let stored: Option<Stored<LastingForm>> = read(db, key(content))?;
    Ok(stored.map(|s| s.row))
}

/// The form of a document that is one blob.
pub fn form_of(db: &dyn Db, document: &BlobRef) -> Result<Option<LastingForm>, StoreError> {
    form(db, &Content::whole(document.id, document.size_bytes))
}

/// The octets that stand for an evidence document from now on: its lasting form, once there is one.
pub fn document(db: &dyn Db, issued: &BlobRef) -> Result<BlobRef, StoreError> {
    let form = form_of(db, issued)?;
    Ok(form.and_then(|f| f.document).unwrap_or(*issued))
}

/// How much is owed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Owed {
    pub count: u64,
    /// Since when the oldest is owed.
    pub oldest: Option<UtcTime>,
    /// Owed since before the moment that was asked for.
    pub late: u64,
}

/// Looks at what is owed, those first that are due first, and at `most` of them. `late_before` says since when it is too
/// long.
pub fn owed(db: &dyn Db, late_before: UtcTime, most: usize) -> Result<Owed, StoreError> {
    let mut out = Owed::default();
    let end_of_time = UtcTime::from_unix_ms(i64::MAX);
    work::for_each_due::<OwedLasting>(db, end_of_time, most, |owed| {
        let since = owed.row.since;
        out.count += 1;
        out.oldest = Some(out.oldest.map_or(since, |oldest| oldest.min(since)));
        out.late += u64::from(since < late_before);
    })?;
    Ok(out)
}
