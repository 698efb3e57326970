//! Receipts: the evidence of a delivery as the sender of the mail wished to have it (`domain::receipt`), made and filed once.
//!
//! Issued here or by a peer, the evidence is on record already. What is made here is the message that puts it before the
//! sender: signed as every evidence message, and never changed afterwards. Original and peer's message are not copied: a
//! receipt is pieces of what is stored (`docs/decisions/0008-content-as-pieces.md`), so a mail of 25 MB to a hundred
//! recipients is on disk once (`passing`). A desk of its own makes them, a few at a time: nobody's evidence waits for
//! somebody's large mail. What cannot be made, since what it would carry is damaged, is not waited for without end: then
//! the plain message is filed as it lies there, and who watches the provider hears of it.

use super::parts::PartsReading;
use super::passing::{Passed, Stored};
use super::{COMMIT_ATTEMPTS, Notary, entry};
use crate::address::Domain;
use crate::clock::UtcTime;
use crate::cms::DigestAlgorithm;
use crate::domain::item::Item;
use crate::domain::mail::Mail;
use crate::domain::receipt::ReceiptForm;
use crate::domain::schedule::retry_after;
use crate::id::ItemId;
use crate::mime::Structure;
use crate::mime::summary::HEADER_MAX_OCTETS;
use crate::rem::evidence_read::{self, Read};
use crate::rem::layout::{EvidencePart, Outer};
use crate::rem::notice::receipt::{Told, in_our_words, receipt_intro};
use crate::rem::receipt::{self, Enclosed, PartDigest, PartsTable, Receipt, ReceiptParts, digest_text};
use crate::rem::{extensions, notice};
use crate::service::failure::Failure;
use crate::service::octets::ContentReader;
use crate::service::outline::Outline;
use crate::service::yielding::commit_or_yield;
use crate::store::db::{Batch, CommitError};
use crate::store::tables::items::{Content, ItemBody};
use crate::store::tables::work::{self, OwedReceipt};
use crate::store::tables::{self, items, mails};
use aws_lc_rs::digest::{Context, SHA256};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::task::JoinSet;

/// Receipts looked at in one go: few, as the house waits for a look to end when it closes; more than are made at a time, so
/// that one that breaks off does not stand before the others.
const LOOK: usize = 8;
/// Receipts made at the same time: each may stream some tens of megabytes through digests and scanner, beside all else
/// that the house does.
const AT_ONCE: usize = 2;
/// So often it is tried to read what is stored: about half an hour, in which a disk or a backup may come back.
const READINGS_MAX: u32 = 10;

/// Why a receipt is not made.
#[derive(Debug)]
pub(super) enum Hindrance {
    /// It may go later, however much later: a key that is away.
    Away(String),
    /// Something that is stored could not be read.
    Unread(String),
    /// It was read, and no other reading makes it better.
    Damaged(String),
}

impl From<Failure> for Hindrance {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Unavailable(why) => Self::Away(why),
            other => Self::Unread(other.to_string()),
        }
    }
}

/// A failure to read octets, whatever it says of itself: a disk may go on failing at one place.
pub(super) fn unread(failure: impl Into<Failure>) -> Hindrance {
    Hindrance::Unread(failure.into().to_string())
}

/// How it went since the start.
#[derive(Debug, Clone, Default)]
pub struct ReceiptFigures(Arc<AtomicU64>);

impl ReceiptFigures {
    /// Receipts that were wished for and filed as plain evidence messages.
    pub fn plain(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What of the original goes in.
enum Chosen {
    Original,
    Parts {
        header: Vec<u8>,
        table: Vec<u8>,
        parts: Vec<PartDigest>,
    },
}

type Owed = tables::Stored<OwedReceipt>;

impl Notary {
    /// Makes the receipts that are owed. Gives how many were looked at.
    pub async fn receipts_due(self: &Arc<Self>) -> Result<usize, Failure> {
        let due = work::due::<OwedReceipt>(&*self.db, self.clock.now(), LOOK)?;
        let mut outcome = Ok(due.len());
        let mut due = due.into_iter();
        let mut making = JoinSet::new();
        loop {
            for owed in due.by_ref().take(AT_ONCE - making.len().min(AT_ONCE)) {
                let notary = self.clone();
                making.spawn(async move { notary.give(&owed).await });
            }
            let Some(done) = making.join_next().await else {
                return outcome;
            };
            let done = done.unwrap_or_else(|e| Err(Failure::Broken(format!("a receipt ended early: {e}"))));
            if let Err(failure) = done {
                tracing::error!(%failure, "receipts");
                outcome = Err(failure);
            }
        }
    }

    /// Files one, or puts it off: either is its due.
    async fn give(&self, owed: &Owed) -> Result<(), Failure> {
        match self.give_receipt(owed).await {
            Ok(()) => Ok(()),
            Err(Hindrance::Away(why)) => self.give_later(owed, &why, false).await,
            Err(Hindrance::Unread(why)) if owed.row.unread + 1 < READINGS_MAX => {
                self.give_later(owed, &why, true).await
            }
            Err(Hindrance::Unread(why) | Hindrance::Damaged(why)) => {
                match self.give_plain(owed, &why).await {
                    Ok(()) => Ok(()),
                    Err(failure) => self.give_later(owed, &failure.to_string(), true).await,
                }
            }
        }
    }

    async fn give_receipt(&self, owed: &Owed) -> Result<(), Hindrance> {
        let (passed, about) = self.make_receipt(&owed.row).await?;
        let body = passed.outline.body(passed.content);
        if self
            .file_receipt(owed, Some(about), &body, Some(passed.sha256))
            .await?
        {
            tracing::info!(mail = %owed.row.mail, evidence = %owed.row.evidence, "receipt filed");
        }
        Ok(())
    }

    /// Files the plain evidence message, as it was sealed or sent: octets that are signed say nothing of why.
    async fn give_plain(&self, owed: &Owed, why: &str) -> Result<(), Failure> {
        let OwedReceipt { tenant, mail, .. } = owed.row;
        let about = mails::mail(&*self.db, tenant, mail)?.map(|m| m.row.item);
        let plain = owed.row.plain.clone();
        // Who cannot read it now reads it when somebody looks.
        let body = match Outline::of(&self.spool, &plain).await {
            Ok(outline) => outline.body(plain),
            Err(_) => ItemBody {
                content: plain,
                outline: Vec::new(),
            },
        };
        if self.file_receipt(owed, about, &body, None).await? {
            self.receipts.0.fetch_add(1, Ordering::Relaxed);
            tracing::error!(%mail, evidence = %owed.row.evidence, %why,
                "a receipt cannot be made as it was wished for; the plain evidence message is filed");
        }
        Ok(())
    }

    /// Gives whether it was filed by this look.
    async fn file_receipt(
        &self,
        owed: &Owed,
        about: Option<ItemId>,
        body: &ItemBody,
        sha256: Option<[u8; 32]>,
    ) -> Result<bool, Failure> {
        let OwedReceipt { tenant, mail, .. } = owed.row;
        for _ in 0..COMMIT_ATTEMPTS {
            let now = self.clock.now();
            let mut batch = Batch::new();
            owed.remove(&mut batch);
            let item = Item::evidence(self.items.next(tenant)?, about, mail, now);
            items::add(&mut batch, tenant, &item, body)?;
            if let Some(sha256) = sha256 {
                work::preserve(&mut batch, now, body.content.clone(), Some(sha256))?;
            }
            match self.db.commit(batch).await {
                Ok(_) => {
                    self.bells.mailboxes.ring(tenant);
                    return Ok(true);
                }
                // Another look was faster.
                Err(CommitError::Conflict { key }) if key == owed.key() => return Ok(false),
                Err(CommitError::Conflict { .. }) => continue,
                Err(other) => return Err(other.into()),
            }
        }
        Err(Failure::Unavailable(
            "too many change the same mailbox at once".into(),
        ))
    }

    async fn give_later(&self, owed: &Owed, why: &str, unread: bool) -> Result<(), Failure> {
        let mut again = owed.row.clone();
        again.attempts += 1;
        again.unread += u32::from(unread);
        let jitter = f64::from(self.ids.uuid().as_bytes()[0]) / 256.0;
        let due = self.clock.now().plus(retry_after(again.attempts, jitter));
        tracing::warn!(mail = %again.mail, evidence = %again.evidence, attempt = again.attempts, %why, "a receipt has to wait");
        let mut batch = Batch::new();
        work::postpone(&mut batch, owed, due, &again)?;
        commit_or_yield(&*self.db, batch).await
    }

    /// Makes it, and gives it with the item of the mail it speaks of.
    async fn make_receipt(&self, owed: &OwedReceipt) -> Result<(Passed, ItemId), Hindrance> {
        let missing = || Failure::Broken(format!("mail {}, or what it holds, is missing", owed.mail));
        let mail = mails::mail(&*self.db, owed.tenant, owed.mail).map_err(Failure::from)?;
        let mail = mail.ok_or_else(missing)?.row;
        let body = items::body(&*self.db, owed.tenant, mail.item).map_err(Failure::from)?;
        let body = body.ok_or_else(missing)?.row;
        let xml = self.document(&owed.xml).await?;
        let read = evidence_read::read(&xml).map_err(Hindrance::Damaged)?;
        let chosen = match mail.receipts.of(read.facts.kind) {
            ReceiptForm::Brief => {
                let map = self.map_of(&body).await?;
                self.parts_of(&mail, &body.content, &map, &read).await?
            }
            ReceiptForm::Full => Chosen::Original,
            ReceiptForm::Summary => {
                let why = "a receipt is owed that nobody wished for";
                return Err(Hindrance::Damaged(why.into()));
            }
        };
        let now = self.clock.now();
        // Asked once: the key may be rolled while the octets stream by, and the header names the digest.
        let at = (self.sealer.digest_algorithm(now), now);
        let parts = self
            .receipt_parts(owed, &mail, (&read, &xml), &chosen, at)
            .await?;
        let passed = self
            .pass_receipt(&parts, &mail, &body.content, owed.attestation(), at)
            .await?;
        Ok((passed, mail.item))
    }

    /// The header of the original and the table of its parts, from one pass over all of it.
    async fn parts_of(
        &self,
        mail: &Mail,
        original: &Content,
        map: &Structure,
        read: &Read,
    ) -> Result<Chosen, Hindrance> {
        let mut reading = PartsReading::of(map);
        let mut whole = Context::new(&SHA256);
        let mut reader = ContentReader::whole(&self.spool, original);
        let mut octets = 0;
        while let Some(chunk) = reader.next_chunk().await.map_err(unread)? {
            whole.update(&chunk);
            reading.push(&chunk);
            octets += chunk.len() as u64;
        }
        Stored::original(mail).check(original, finished(whole), octets)?;
        let header = map.root().map_or(0..0, |root| root.header.range());
        let end = header.end.min(header.start + HEADER_MAX_OCTETS as u64);
        let header = ContentReader::range(&self.spool, original, header.start..end)
            .collect()
            .await
            .map_err(unread)?;
        let table = PartsTable {
            rem_message_id: read.facts.message.rem_message_id.clone(),
            evidence: read.identifier.clone(),
            original_octets: original.size_bytes(),
            original_sha256: digest_text(&mail.original_sha256),
            header_octets: header.len() as u64,
            header_sha256: digest_text(&mails::digest(&header)),
            parts: reading.finish(),
        };
        let mut octets =
            serde_json::to_vec_pretty(&table).map_err(|e| Failure::Broken(format!("table of parts: {e}")))?;
        octets.push(b'\n');
        Ok(Chosen::Parts {
            header,
            table: octets,
            parts: table.parts,
        })
    }

    async fn receipt_parts(
        &self,
        owed: &OwedReceipt,
        mail: &Mail,
        (read, xml): (&Read, &[u8]),
        chosen: &Chosen,
        (algorithm, now): (DigestAlgorithm, UtcTime),
    ) -> Result<ReceiptParts, Hindrance> {
        let facts = &read.facts;
        let attestation_is_8bit = match owed.attestation() {
            Some(message) => Some(self.has_8bit(message).await?),
            None => None,
        };
        let (enclosed, told) = match chosen {
            Chosen::Original => {
                let is_8bit = mail.original_8bit;
                (Enclosed::Original { is_8bit }, Told::Original)
            }
            Chosen::Parts { header, table, parts } => (Enclosed::Parts { table, header }, Told::Parts(parts)),
        };
        let extensions = extensions::write(&extensions::Extensions {
            rem_message_id: facts.message.rem_message_id.clone(),
            original_message_id: Some(mail.message_id.clone()),
            original_octets: Some(mail.original_size_bytes),
            original_sha256: Some(mail.original_sha256),
            submitted_at: Some(mail.submitted_at),
            ..Default::default()
        });
        let peer = owed.peer.as_ref().map(Domain::as_str);
        let said = in_our_words(facts, &mail.sender.to_string(), &mail.subject, peer.is_some());
        let intro = receipt_intro(&said, told, &digest_text(&mail.original_sha256), peer);
        let to = [entry(&mail.sender)];
        let outer = Outer {
            from: self.identity.service.as_str(),
            from_display: self.identity.issuer.name.clone(),
            reply_to: None,
            to: &to,
            cc: &[],
            subject: &notice::evidence_subject(&said),
            date: now,
            // The evidence message itself, which others hold, is another message.
            message_id: &format!("<{}.makbuz@{}>", owed.evidence, self.identity.domain),
            original_message_id: Some(mail.message_id.as_str()).filter(|id| !id.is_empty()),
            rem_message_id: &facts.message.rem_message_id,
            original_sha256: Some(&mail.original_sha256),
            evidence: Some((facts.kind, facts.event, read.identifier.clone())),
            boundary_id: self.ids.uuid(),
            digest: algorithm,
        };
        let kind = facts.kind;
        Ok(receipt::build(&Receipt {
            outer,
            intro,
            evidence: EvidencePart { kind, xml },
            extensions: &extensions,
            enclosed,
            attestation_is_8bit,
        }))
    }

    async fn has_8bit(&self, content: &Content) -> Result<bool, Hindrance> {
        let mut reader = ContentReader::whole(&self.spool, content);
        while let Some(chunk) = reader.next_chunk().await.map_err(unread)? {
            if !chunk.is_ascii() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

pub(super) fn finished(context: Context) -> [u8; 32] {
    let mut digest = [0; 32];
    digest.copy_from_slice(context.finish().as_ref());
    digest
}
