//! A receipt while its octets stream by, once: for its digest, its map, and the proof that what it carries is what was stored.
//!
//! Nothing is signed as unchanged that was not compared: blobs are named by their digest, and the mail's row has the
//! original's.

use super::receipts::{Hindrance, finished, unread};
use super::{Notary, unsealed};
use crate::clock::UtcTime;
use crate::cms::DigestAlgorithm;
use crate::cms::algorithm::Hasher;
use crate::domain::mail::Mail;
use crate::mime::summary::Summary;
use crate::mime::{Scanner, Structure};
use crate::rem::receipt::{ReceiptParts, Run};
use crate::service::failure::Failure;
use crate::service::octets::ContentReader;
use crate::service::outline::Outline;
use crate::store::spool::{BlobRef, Spool};
use crate::store::tables::items::{Content, Piece};
use crate::store::tables::mails;
use aws_lc_rs::digest::{Context, SHA256};

/// A receipt whose octets are durable, and which nobody knows yet.
pub(super) struct Passed {
    pub content: Content,
    pub outline: Outline,
    /// Of all of it.
    pub sha256: [u8; 32],
}

/// A run of the message: octets of the frame that is stored for it, or something that is stored already.
enum Laid<'a> {
    Frame(u64),
    Stored(&'a Content),
}

/// The octets of one message while they stream by in their order.
struct Passing<'a> {
    whole: Context,
    entity: Hasher,
    scanner: Scanner,
    frame: Vec<u8>,
    laid: Vec<Laid<'a>>,
}

impl<'a> Passing<'a> {
    fn new(algorithm: DigestAlgorithm) -> Self {
        Self {
            whole: Context::new(&SHA256),
            entity: Hasher::new(algorithm),
            scanner: Scanner::new(),
            frame: Vec::new(),
            laid: Vec::new(),
        }
    }

    fn frame(&mut self, octets: &[u8]) {
        self.whole.update(octets);
        self.scanner.push(octets);
        self.frame.extend_from_slice(octets);
        let len = octets.len() as u64;
        match self.laid.last_mut() {
            Some(Laid::Frame(before)) => *before += len,
            _ => self.laid.push(Laid::Frame(len)),
        }
    }

    /// Lets something stored pass by, which is to have this digest.
    async fn carry(&mut self, spool: &Spool, content: &'a Content, stored: &Stored) -> Result<(), Hindrance> {
        let (mut own, mut octets) = (Context::new(&SHA256), 0);
        let mut reader = ContentReader::whole(spool, content);
        while let Some(chunk) = reader.next_chunk().await.map_err(unread)? {
            self.whole.update(&chunk);
            self.entity.update(&chunk);
            self.scanner.push(&chunk);
            own.update(&chunk);
            octets += chunk.len() as u64;
        }
        stored.check(content, finished(own), octets)?;
        self.laid.push(Laid::Stored(content));
        Ok(())
    }

    /// The message in pieces of what is stored and of its frame.
    fn pieces(&self, frame: &BlobRef) -> Content {
        let mut from = 0;
        let mut pieces = Vec::new();
        for laid in &self.laid {
            match laid {
                Laid::Frame(len) => {
                    pieces.push(Piece {
                        blob: frame.id,
                        from,
                        len: *len,
                    });
                    from += len;
                }
                Laid::Stored(content) => pieces.extend(content.pieces.iter().cloned()),
            }
        }
        Content { pieces }
    }
}

/// Something stored, and the digest it has to have.
pub(super) struct Stored {
    what: String,
    sha256: [u8; 32],
}

impl Stored {
    pub fn original(mail: &Mail) -> Self {
        Self {
            what: format!("the original of mail {}", mail.id),
            sha256: mail.original_sha256,
        }
    }

    /// The message of another provider: one blob, whose name is its digest.
    pub fn attestation(content: &Content) -> Result<Self, Hindrance> {
        match content.pieces.as_slice() {
            [one] if one.from == 0 => Ok(Self {
                what: "the message of the other provider".into(),
                sha256: one.blob.0,
            }),
            _ => Err(Hindrance::Damaged(
                "the message of the other provider is not one blob".into(),
            )),
        }
    }

    /// What is given back is what was stored, or nothing is.
    pub fn check(&self, content: &Content, sha256: [u8; 32], octets: u64) -> Result<(), Hindrance> {
        if sha256 == self.sha256 && octets == content.size_bytes() {
            return Ok(());
        }
        Err(Hindrance::Damaged(format!(
            "{} is damaged: its octets are not the ones that were stored",
            self.what
        )))
    }
}

impl Notary {
    /// Lets the message pass by once; signs it and makes its frame durable.
    pub(super) async fn pass_receipt(
        &self,
        parts: &ReceiptParts,
        mail: &Mail,
        original: &Content,
        attestation: Option<&Content>,
        (algorithm, now): (DigestAlgorithm, UtcTime),
    ) -> Result<Passed, Hindrance> {
        let mut passing = Passing::new(algorithm);
        passing.frame(&parts.outer_header);
        for run in &parts.entity {
            match (run, attestation) {
                (Run::Octets(octets), _) => {
                    passing.entity.update(octets);
                    passing.frame(octets);
                }
                (Run::Original, _) => {
                    passing
                        .carry(&self.spool, original, &Stored::original(mail))
                        .await?;
                }
                (Run::Attestation, Some(message)) => {
                    let stored = Stored::attestation(message)?;
                    passing.carry(&self.spool, message, &stored).await?;
                }
                (Run::Attestation, None) => {
                    return Err(Hindrance::Damaged("a receipt with nothing to carry".into()));
                }
            }
        }
        let entity = std::mem::replace(&mut passing.entity, Hasher::new(algorithm)).finish();
        let entity = entity.ok_or_else(|| Failure::Broken("a digest of another length".into()))?;
        // With a time-stamp of its own: those of the evidence do not cover what lies beside it.
        let cms = self.sealer.seal_entity(entity, now).await.map_err(unsealed)?;
        passing.frame(&parts.signature_part(&cms));
        let frame = self.spool.store(&passing.frame).await.map_err(Failure::from)?;
        Ok(Passed {
            content: passing.pieces(&frame),
            sha256: finished(passing.whole),
            outline: Outline {
                structure: passing.scanner.finish(),
                summary: Summary::of(&parts.outer_header),
            },
        })
    }

    /// The evidence document, as it was stored.
    pub(super) async fn document(&self, xml: &BlobRef) -> Result<Vec<u8>, Hindrance> {
        let octets = self.spool.load(xml).await.map_err(unread)?;
        let stored = Stored {
            what: "the evidence document".into(),
            sha256: xml.id.0,
        };
        let content = Content::whole(xml.id, xml.size_bytes);
        stored.check(&content, mails::digest(&octets), octets.len() as u64)?;
        Ok(octets)
    }

    /// The map of an original: the one that was kept of it, or else its octets are read.
    pub(super) async fn map_of(
        &self,
        body: &crate::store::tables::items::ItemBody,
    ) -> Result<Structure, Hindrance> {
        let outline = Outline::of_body(&self.spool, body).await.map_err(unread)?;
        Ok(outline.structure)
    }
}
