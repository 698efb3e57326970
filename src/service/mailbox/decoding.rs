//! Giving a part of a letter with its transfer encoding undone, in pieces: a part of any size takes little memory.
//!
//! The size is announced before the octets go out, so they are counted first: one pass that keeps nothing, one that
//! gives. Both read the same blob, which never changes.

use super::Mailboxes;
use super::fetch::Letter;
use crate::mime::structure::{PartKind, Section, Span};
use crate::mime::transfer::{Decoder, Encoding};
use crate::service::failure::Failure;
use crate::service::octets::ContentReader;

/// What a part becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decoded {
    /// There is nothing to undo.
    AsStored(Span),
    Undone {
        span: Span,
        encoding: Encoding,
        /// Octets that come out, as far as they were counted.
        octets: u64,
        /// There are NULs among them.
        nul: bool,
    },
    /// The letter has no such part.
    Nothing,
    /// Its encoding is not known here.
    Unknown,
}

impl Decoded {
    pub fn octets(&self) -> Option<u64> {
        match self {
            Decoded::AsStored(span) => Some(span.octets()),
            Decoded::Undone { octets, .. } => Some(*octets),
            Decoded::Nothing | Decoded::Unknown => None,
        }
    }
}

impl Mailboxes {
    /// What the part of that number becomes. No more than `up_to` octets are counted.
    pub async fn decoded(&self, letter: &Letter, path: &[u32], up_to: u64) -> Result<Decoded, Failure> {
        let map = &letter.outline.structure;
        let (Some(part), Some(span)) = (map.part(path), map.locate(path, Section::Full)) else {
            return Ok(Decoded::Nothing);
        };
        // Only a leaf has an encoding to undo (RFC 2045 6.4); `[]` is the message as it is.
        if path.is_empty() || part.kind != PartKind::Leaf {
            return Ok(Decoded::AsStored(span));
        }
        let encoding = match Encoding::named(part.encoding.as_deref()) {
            None => return Ok(Decoded::Unknown),
            Some(Encoding::Identity) => return Ok(Decoded::AsStored(span)),
            Some(encoding) => encoding,
        };
        let reader = ContentReader::range(&self.spool, &letter.content, span.range());
        let mut reader = DecodingReader::new(reader, encoding, 0, up_to);
        let (mut octets, mut nul) = (0, false);
        while let Some(chunk) = reader.next_chunk().await? {
            octets += chunk.len() as u64;
            nul |= chunk.contains(&0);
        }
        Ok(Decoded::Undone {
            span,
            encoding,
            octets,
            nul,
        })
    }
}

/// Reads octets with their encoding undone: at most `take` of them behind the first `skip`.
pub struct DecodingReader<'a> {
    reader: ContentReader<'a>,
    decoder: Option<Decoder>,
    /// What the last piece became.
    piece: Vec<u8>,
    skip: u64,
    left: u64,
}

impl<'a> DecodingReader<'a> {
    pub fn new(reader: ContentReader<'a>, encoding: Encoding, skip: u64, take: u64) -> Self {
        Self {
            reader,
            decoder: Some(Decoder::new(encoding)),
            piece: Vec::new(),
            skip,
            left: take,
        }
    }

    /// The next octets; `None` at the end. Never empty.
    pub async fn next_chunk(&mut self) -> Result<Option<&[u8]>, Failure> {
        let range = loop {
            if self.left == 0 {
                return Ok(None);
            }
            self.piece.clear();
            match (self.reader.next_chunk().await?, &mut self.decoder) {
                (Some(chunk), Some(decoder)) => decoder.push(&chunk, &mut self.piece),
                (None, Some(_)) => {
                    if let Some(decoder) = self.decoder.take() {
                        decoder.finish(&mut self.piece);
                    }
                }
                (_, None) => return Ok(None),
            }
            let len = self.piece.len() as u64;
            let from = self.skip.min(len);
            self.skip -= from;
            let take = self.left.min(len - from);
            self.left -= take;
            if take > 0 {
                break from as usize..(from + take) as usize;
            }
        };
        Ok(self.piece.get(range))
    }
}
