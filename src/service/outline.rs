//! What a stored message looks like: its MIME structure and header summary, kept beside the item.

use crate::mime::summary::Summary;
use crate::mime::{Scanner, Structure};
use crate::service::failure::Failure;
use crate::service::octets::ContentReader;
use crate::store::spool::Spool;
use crate::store::tables::items::{Content, ItemBody};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outline {
    pub structure: Structure,
    pub summary: Summary,
}

impl Outline {
    /// Reads it from the content, in pieces.
    pub async fn of(spool: &Spool, content: &Content) -> Result<Self, Failure> {
        let mut scanner = Scanner::new();
        let mut reader = ContentReader::whole(spool, content);
        while let Some(chunk) = reader.next_chunk().await? {
            scanner.push(&chunk);
        }
        let structure = scanner.finish();
        let header = structure.root().map_or(0..0, |root| root.header.range());
        let end = header
            .end
            .min(header.start + crate::mime::summary::HEADER_MAX_OCTETS as u64);
        let block = ContentReader::range(spool, content, header.start..end)
            .collect()
            .await?;
        Ok(Self {
            structure,
            summary: Summary::of(&block),
        })
    }

    /// The row form. What does not fit a row is left out there and read from the content again.
    pub fn body(&self, content: Content) -> ItemBody {
        ItemBody {
            content,
            outline: postcard::to_stdvec(self).unwrap_or_default(),
        }
    }

    /// The outline of a stored item.
    pub async fn of_body(spool: &Spool, body: &ItemBody) -> Result<Self, Failure> {
        match postcard::from_bytes(&body.outline) {
            Ok(outline) if !body.outline.is_empty() => Ok(outline),
            _ => Self::of(spool, &body.content).await,
        }
    }
}
