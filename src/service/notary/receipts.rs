//! Receipts: the evidence of a delivery as the sender of the mail wished to have it (`domain::receipt`), made and filed once.
//!
//! Issued here or by a peer, the evidence is on record already. What is made here is the message that puts it before the
//! sender: signed as every evidence message, and never changed afterwards. Original and peer's message are not copied: a
//! receipt is pieces of what is stored (`docs/decisions/0008-content-as-pieces.md`), so a mail of 25 MB to a hundred
//! recipients is on disk once. The octets stream by once for the digest, and in the same pass the message is mapped.

use super::parts::PartsReading;
use super::{AT_ONCE, Notary, entry, unsealed};
use crate::clock::UtcTime;
use crate::cms::algorithm::Hasher;
use crate::domain::item::Item;
use crate::domain::mail::Mail;
use crate::domain::receipt::ReceiptForm;
use crate::domain::schedule::retry_after;
use crate::mime::summary::{HEADER_MAX_OCTETS, Summary};
use crate::mime::{Scanner, Structure};
use crate::rem::evidence_read::{self, Read};
use crate::rem::layout::{EvidencePart, Outer};
use crate::rem::notice::receipt::{Told, receipt_intro};
use crate::rem::receipt::{self, Enclosed, PartDigest, PartsTable, Receipt, ReceiptParts, Run, digest_text};
use crate::rem::{extensions, notice};
use crate::service::failure::Failure;
use crate::service::octets::ContentReader;
use crate::service::outline::Outline;
use crate::service::yielding::commit_or_yield;
use crate::store::db::{Batch, CommitError};
use crate::store::tables::items::{Content, Piece};
use crate::store::tables::work::{self, OwedReceipt};
use crate::store::tables::{Stored, items, mails};
use aws_lc_rs::digest::{Context, SHA256};
use std::sync::Arc;
use tokio::task::JoinSet;

/// A receipt that is durable and not known yet.
struct Made {
    content: Content,
    outline: Outline,
    /// The item of the mail it speaks of.
    about: crate::id::ItemId,
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

/// A run of the message: octets of the frame that is stored for it, or something that is stored already.
enum Laid<'a> {
    Frame(u64),
    Stored(&'a Content),
}

/// The octets of one message while they stream by in their order.
struct Passing<'a> {
    entity: Hasher,
    scanner: Scanner,
    frame: Vec<u8>,
    laid: Vec<Laid<'a>>,
}

impl<'a> Passing<'a> {
    fn frame(&mut self, octets: &[u8]) {
        self.scanner.push(octets);
        self.frame.extend_from_slice(octets);
        let len = octets.len() as u64;
        match self.laid.last_mut() {
            Some(Laid::Frame(before)) => *before += len,
            _ => self.laid.push(Laid::Frame(len)),
        }
    }

    /// Gives the SHA-256 of what is carried.
    async fn carry(
        &mut self,
        mut reader: ContentReader<'_>,
        content: &'a Content,
    ) -> Result<[u8; 32], Failure> {
        let mut own = Context::new(&SHA256);
        while let Some(chunk) = reader.next_chunk().await? {
            self.scanner.push(&chunk);
            self.entity.update(&chunk);
            own.update(&chunk);
        }
        self.laid.push(Laid::Stored(content));
        Ok(finished(own))
    }
}

impl Notary {
    /// Makes the receipts that are owed. Gives how many were looked at.
    pub(super) async fn receipts_due(self: &Arc<Self>) -> Result<usize, Failure> {
        let due = work::due::<OwedReceipt>(&*self.db, self.clock.now(), AT_ONCE)?;
        let count = due.len();
        let mut making = JoinSet::new();
        for owed in due {
            let notary = self.clone();
            making.spawn(async move {
                match notary.give_receipt(&owed).await {
                    Err(Failure::Unavailable(why)) => notary.give_later(&owed, &why).await,
                    // What fails stands aside, so that it holds up nothing else.
                    Err(failure) => notary
                        .give_later(&owed, &failure.to_string())
                        .await
                        .and(Err(failure)),
                    done => done,
                }
            });
        }
        let mut outcome = Ok(count);
        while let Some(done) = making.join_next().await {
            let done = done.unwrap_or_else(|e| Err(Failure::Broken(format!("a receipt ended early: {e}"))));
            if let Err(failure) = done {
                tracing::error!(%failure, "receipts");
                outcome = Err(failure);
            }
        }
        outcome
    }

    async fn give_receipt(&self, owed: &Stored<OwedReceipt>) -> Result<(), Failure> {
        let made = self.make_receipt(&owed.row).await?;
        let OwedReceipt { tenant, mail, .. } = owed.row;
        let mut batch = Batch::new();
        owed.remove(&mut batch);
        let item = Item::evidence(self.items.next(tenant)?, Some(made.about), mail, self.clock.now());
        items::add(&mut batch, tenant, &item, &made.outline.body(made.content))?;
        match self.db.commit(batch).await {
            Ok(_) => {
                tracing::info!(%mail, evidence = %owed.row.evidence, "receipt filed");
                self.bells.mailboxes.ring(tenant);
                Ok(())
            }
            // Another look was faster.
            Err(CommitError::Conflict { .. }) => Ok(()),
            Err(other) => Err(other.into()),
        }
    }

    async fn give_later(&self, owed: &Stored<OwedReceipt>, why: &str) -> Result<(), Failure> {
        let mut again = owed.row.clone();
        again.attempts += 1;
        let jitter = f64::from(self.ids.uuid().as_bytes()[0]) / 256.0;
        let due = self.clock.now().plus(retry_after(again.attempts, jitter));
        tracing::warn!(mail = %again.mail, evidence = %again.evidence, attempt = again.attempts, %why, "a receipt has to wait");
        let mut batch = Batch::new();
        work::postpone(&mut batch, owed, due, &again)?;
        commit_or_yield(&*self.db, batch).await
    }

    async fn make_receipt(&self, owed: &OwedReceipt) -> Result<Made, Failure> {
        let missing = || Failure::Broken(format!("mail {}, or what it holds, is missing", owed.mail));
        let mail = mails::mail(&*self.db, owed.tenant, owed.mail)?
            .ok_or_else(missing)?
            .row;
        let body = items::body(&*self.db, owed.tenant, mail.item)?
            .ok_or_else(missing)?
            .row;
        let xml = self.spool.load(&owed.xml).await?;
        let read = evidence_read::read(&xml).map_err(Failure::Broken)?;
        let chosen = match mail.receipts.of(read.facts.kind) {
            ReceiptForm::Brief => {
                let map = Outline::of_body(&self.spool, &body).await?.structure;
                self.parts_of(&mail, &body.content, &map, &read).await?
            }
            ReceiptForm::Full => Chosen::Original,
            ReceiptForm::Summary => {
                return Err(Failure::Broken("a receipt is owed that nobody wished for".into()));
            }
        };
        let now = self.clock.now();
        let parts = self
            .receipt_parts(owed, &mail, (&read, &xml), &chosen, now)
            .await?;
        let (content, outline) = self
            .pass_receipt(&parts, &mail, &body.content, owed.attestation.as_ref(), now)
            .await?;
        Ok(Made {
            content,
            outline,
            about: mail.item,
        })
    }

    /// The header of the original and the table of its parts, from one pass over all of it.
    async fn parts_of(
        &self,
        mail: &Mail,
        original: &Content,
        map: &Structure,
        read: &Read,
    ) -> Result<Chosen, Failure> {
        let mut reading = PartsReading::of(map);
        let mut whole = Context::new(&SHA256);
        let mut reader = ContentReader::whole(&self.spool, original);
        while let Some(chunk) = reader.next_chunk().await? {
            whole.update(&chunk);
            reading.push(&chunk);
        }
        check_original(mail, finished(whole))?;
        let header = map.root().map_or(0..0, |root| root.header.range());
        let end = header.end.min(header.start + HEADER_MAX_OCTETS as u64);
        let header = ContentReader::range(&self.spool, original, header.start..end)
            .collect()
            .await?;
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
        now: UtcTime,
    ) -> Result<ReceiptParts, Failure> {
        let facts = &read.facts;
        let attestation_is_8bit = match &owed.attestation {
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
        let intro = receipt_intro(
            facts,
            told,
            &digest_text(&mail.original_sha256),
            owed.attestation.as_ref().map(|_| facts.issuer.name.as_str()),
        );
        let to = [entry(&mail.sender)];
        // A peer's evidence may state a subject of any length; that of the mail fits a header.
        let mut named = facts.clone();
        named.message.subject.clone_from(&mail.subject);
        let outer = Outer {
            from: self.identity.service.as_str(),
            from_display: self.identity.issuer.name.clone(),
            reply_to: None,
            to: &to,
            cc: &[],
            subject: &notice::evidence_subject(&named),
            date: now,
            // The evidence message itself, which others hold, is another message.
            message_id: &format!("<{}.makbuz@{}>", owed.evidence, self.identity.domain),
            original_message_id: Some(mail.message_id.as_str()).filter(|id| !id.is_empty()),
            rem_message_id: &facts.message.rem_message_id,
            original_sha256: Some(&mail.original_sha256),
            evidence: Some((facts.kind, facts.event, read.identifier.clone())),
            boundary_id: self.ids.uuid(),
            digest: self.sealer.digest_algorithm(now),
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

    /// Lets the message pass by once, for its digest and its map; signs it and makes its frame durable.
    async fn pass_receipt(
        &self,
        parts: &ReceiptParts,
        mail: &Mail,
        original: &Content,
        attestation: Option<&Content>,
        now: UtcTime,
    ) -> Result<(Content, Outline), Failure> {
        let mut passing = Passing {
            entity: Hasher::new(self.sealer.digest_algorithm(now)),
            scanner: Scanner::new(),
            frame: Vec::new(),
            laid: Vec::new(),
        };
        passing.frame(&parts.outer_header);
        for run in &parts.entity {
            match (run, attestation) {
                (Run::Octets(octets), _) => {
                    passing.entity.update(octets);
                    passing.frame(octets);
                }
                (Run::Original, _) => {
                    let reader = ContentReader::whole(&self.spool, original);
                    check_original(mail, passing.carry(reader, original).await?)?;
                }
                (Run::Attestation, Some(message)) => {
                    let reader = ContentReader::whole(&self.spool, message);
                    passing.carry(reader, message).await?;
                }
                (Run::Attestation, None) => {
                    return Err(Failure::Broken("a receipt with nothing to carry".into()));
                }
            }
        }
        let fresh = Hasher::new(self.sealer.digest_algorithm(now));
        let entity = std::mem::replace(&mut passing.entity, fresh).finish();
        let entity = entity.ok_or_else(|| Failure::Broken("a digest of another length".into()))?;
        let cms = self.sealer.sign_entity(entity, now).await.map_err(unsealed)?;
        passing.frame(&parts.signature_part(&cms));
        let frame = self.spool.store(&passing.frame).await?;
        let mut from = 0;
        let mut pieces = Vec::new();
        for laid in &passing.laid {
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
        let outline = Outline {
            structure: passing.scanner.finish(),
            summary: Summary::of(&parts.outer_header),
        };
        Ok((Content { pieces }, outline))
    }

    async fn has_8bit(&self, content: &Content) -> Result<bool, Failure> {
        let mut reader = ContentReader::whole(&self.spool, content);
        while let Some(chunk) = reader.next_chunk().await? {
            if !chunk.is_ascii() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// What is given back is what was sent, or nothing is.
fn check_original(mail: &Mail, sha256: [u8; 32]) -> Result<(), Failure> {
    if sha256 == mail.original_sha256 {
        return Ok(());
    }
    Err(Failure::Broken(format!(
        "the stored octets of mail {} are not the ones that were sent; no receipt is made of them",
        mail.id
    )))
}

pub(super) fn finished(context: Context) -> [u8; 32] {
    let mut digest = [0; 32];
    digest.copy_from_slice(context.finish().as_ref());
    digest
}
