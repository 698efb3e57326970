//! Reads the octets of a content in pieces, across its blobs.

use crate::service::failure::Failure;
use crate::store::spool::{BlobReader, Spool};
use crate::store::tables::items::{Content, Piece};
use bytes::Bytes;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

/// Octets read at a time: what a socket takes in one go, and little enough for thousands of readers.
pub const CHUNK_OCTETS: usize = 64 * 1024;

/// The contents of messages, for those who only read them.
#[derive(Clone)]
pub struct Contents(Arc<Spool>);

impl From<Arc<Spool>> for Contents {
    fn from(spool: Arc<Spool>) -> Self {
        Self(spool)
    }
}

impl Contents {
    pub fn read(&self, content: &Content) -> ContentReader<'_> {
        ContentReader::whole(&self.0, content)
    }
}

pub struct ContentReader<'a> {
    spool: &'a Spool,
    pieces: VecDeque<Piece>,
    open: Option<BlobReader>,
}

impl<'a> ContentReader<'a> {
    pub fn whole(spool: &'a Spool, content: &Content) -> Self {
        Self {
            spool,
            pieces: content.pieces.iter().cloned().collect(),
            open: None,
        }
    }

    /// Reads only `range` of the content.
    pub fn range(spool: &'a Spool, content: &Content, range: Range<u64>) -> Self {
        Self {
            spool,
            pieces: cut(content, range).into(),
            open: None,
        }
    }

    /// The next octets; `None` at the end.
    pub async fn next_chunk(&mut self) -> Result<Option<Bytes>, Failure> {
        loop {
            if let Some(reader) = &mut self.open {
                if let Some(chunk) = reader.next_chunk(CHUNK_OCTETS).await? {
                    return Ok(Some(chunk));
                }
                self.open = None;
            }
            let Some(piece) = self.pieces.pop_front() else {
                return Ok(None);
            };
            self.open = Some(
                self.spool
                    .open_range(&piece.blob, piece.from..piece.from + piece.len)
                    .await?,
            );
        }
    }

    /// All octets in memory. For small contents only; the caller bounds the range.
    pub async fn collect(mut self) -> Result<Vec<u8>, Failure> {
        let mut all = Vec::new();
        while let Some(chunk) = self.next_chunk().await? {
            all.extend_from_slice(&chunk);
        }
        Ok(all)
    }
}

/// The pieces that make up a range of a content.
pub fn cut(content: &Content, range: Range<u64>) -> Vec<Piece> {
    let mut at = 0;
    let mut pieces = Vec::new();
    for piece in &content.pieces {
        let start = range.start.clamp(at, at + piece.len);
        let end = range.end.clamp(at, at + piece.len);
        if start < end {
            pieces.push(Piece {
                blob: piece.blob,
                from: piece.from + (start - at),
                len: end - start,
            });
        }
        at += piece.len;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::spool::BlobId;

    #[test]
    fn a_range_is_cut_across_pieces() {
        let piece = |n: u8, from, len| Piece {
            blob: BlobId([n; 32]),
            from,
            len,
        };
        let content = Content {
            pieces: vec![piece(1, 0, 10), piece(2, 5, 20), piece(1, 10, 4)],
        };
        assert_eq!(cut(&content, 0..34), content.pieces);
        assert_eq!(cut(&content, 8..12), vec![piece(1, 8, 2), piece(2, 5, 2)]);
        assert_eq!(cut(&content, 30..99), vec![piece(1, 10, 4)]);
        assert_eq!(cut(&content, 12..12), vec![]);
        assert_eq!(cut(&content, 40..50), vec![]);
    }
}
