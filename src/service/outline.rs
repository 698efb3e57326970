//! What a stored message looks like: its MIME structure and header summary, kept beside the item.

use crate::address::KepAddress;
use crate::domain::rule::Matchable;
use crate::mime::mailbox::mailboxes;
use crate::mime::summary::{HEADER_MAX_OCTETS, Summary};
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
        let end = header.end.min(header.start + HEADER_MAX_OCTETS as u64);
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

    /// The header summary of a stored item; no more than its header is read.
    pub async fn summary_of(spool: &Spool, body: &ItemBody) -> Result<Summary, Failure> {
        match postcard::from_bytes::<Self>(&body.outline) {
            Ok(outline) if !body.outline.is_empty() => Ok(outline.summary),
            _ => {
                let end = body.content.size_bytes().min(HEADER_MAX_OCTETS as u64);
                let block = ContentReader::range(spool, &body.content, 0..end)
                    .collect()
                    .await?;
                Ok(Summary::of(&block))
            }
        }
    }
}

/// What rules read of a mail that is written here: the recipients it really has, and the names its header gives them.
pub fn read_by_rules<'a>(seen: &Summary, recipients: impl IntoIterator<Item = &'a KepAddress>) -> Matchable {
    let mut to: Vec<String> = recipients.into_iter().map(ToString::to_string).collect();
    for mailbox in mailboxes(&seen.to).chain(mailboxes(&seen.cc)) {
        to.extend(mailbox.display());
    }
    Matchable {
        from: Vec::new(),
        to,
        subject: seen.subject.clone(),
    }
}
