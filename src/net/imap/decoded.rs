//! BINARY (RFC 3516, RFC 9051 6.4.5): decoded parts, between the words of the engine and those of `mime`.

use crate::imap::ask::{Content, FetchAsk, Row, Transfer};
use crate::mime::transfer::Encoding;
use crate::service::failure::Failure;
use crate::service::mailbox::{Decoded, Letter, Mailboxes};

/// Puts what BINARY and BINARY.SIZE ask for into the row; `false` when something cannot be decoded here.
pub(super) async fn add(
    mailboxes: &Mailboxes,
    letter: &Letter,
    ask: &FetchAsk,
    row: &mut Row,
) -> Result<bool, Failure> {
    for wanted in ask.binaries() {
        // Behind the range nothing need be counted.
        let up_to = wanted
            .partial
            .map_or(u64::MAX, |(first, most)| first.saturating_add(most));
        let decoded = mailboxes.decoded(letter, &wanted.part, up_to).await?;
        let Some(content) = content(decoded) else {
            return Ok(false);
        };
        row.binaries.push(content);
    }
    for part in ask.binary_sizes() {
        let decoded = mailboxes.decoded(letter, part, u64::MAX).await?;
        if decoded == Decoded::Unknown {
            return Ok(false);
        }
        row.binary_sizes.push(decoded.octets());
    }
    Ok(true)
}

fn content(decoded: Decoded) -> Option<Content> {
    Some(match decoded {
        Decoded::Nothing => Content::Nil,
        Decoded::Unknown => return None,
        Decoded::AsStored(span) => Content::Stored {
            offset: span.start,
            len: span.octets(),
        },
        Decoded::Undone {
            span,
            encoding,
            octets,
            nul,
        } => Content::Decoded {
            offset: span.start,
            len: span.octets(),
            how: transfer(encoding)?,
            octets,
            nul,
        },
    })
}

fn transfer(encoding: Encoding) -> Option<Transfer> {
    match encoding {
        Encoding::Identity => None,
        Encoding::Base64 => Some(Transfer::Base64),
        Encoding::QuotedPrintable => Some(Transfer::QuotedPrintable),
    }
}

pub(super) fn encoding(transfer: Transfer) -> Encoding {
    match transfer {
        Transfer::Base64 => Encoding::Base64,
        Transfer::QuotedPrintable => Encoding::QuotedPrintable,
    }
}
