//! The notary: seals the evidence that is owed, files it, and sends it where it belongs. Nobody else issues evidence.
//!
//! A fact was committed with the state it is about; here it becomes a document: signed, time-stamped, kept. A
//! time-stamp authority that is away delays it and loses nothing. Sealing twice after a crash is harmless: what is
//! owed is removed by the same commit that files the document. Who wished for more than the evidence of a delivery gets it
//! in a second step, at another desk (`receipts`).

mod parts;
mod passing;
mod receipts;

pub use receipts::ReceiptFigures;

use crate::address::{Domain, KepAddress};
use crate::clock::{Clock, UtcTime};
use crate::cms::ContentDigest;
use crate::domain::item::Item;
use crate::domain::receipt::ReceiptForm;
use crate::domain::schedule::retry_after;
use crate::id::{IdSource, ItemId, MailId, QueueId, TenantId};
use crate::mime::Structure;
use crate::mime::mailbox::Entry;
use crate::mime::summary::Summary;
use crate::rem::layout::{EvidencePart, Outer};
use crate::rem::{extensions, message, notice};
use crate::seal::sealer::{SealError, Sealer};
use crate::service::bell::Bells;
use crate::service::effect;
use crate::service::failure::Failure;
use crate::service::identity::Identity;
use crate::service::item_numbers::ItemNumbers;
use crate::service::outline::Outline;
use crate::service::yielding::commit_or_yield;
use crate::store::db::{Batch, CommitError, Db};
use crate::store::spool::{BlobRef, Spool};
use crate::store::tables::evidence::EvidenceRow;
use crate::store::tables::items::Content;
use crate::store::tables::work::{self, Addressee, Carried, OwedEvidence, QueueEntry, SealWork, Then};
use crate::store::tables::{Stored, evidence, items, mails};
use std::sync::Arc;
use tokio::task::JoinSet;

/// Documents sealed at the same time: their waits for the authority and for the disk overlap.
const AT_ONCE: usize = 32;
/// The same where they wait for each other, to share a stamp.
const AT_ONCE_SHARING: usize = 1024;
/// How often a document is filed against others who change the same mail.
const COMMIT_ATTEMPTS: usize = 16;

pub struct Notary {
    pub db: Arc<dyn Db>,
    pub spool: Arc<Spool>,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn IdSource>,
    pub sealer: Arc<Sealer>,
    pub identity: Arc<Identity>,
    pub items: Arc<ItemNumbers>,
    pub bells: Bells,
    pub receipts: ReceiptFigures,
}

/// A sealed document and the message that carries it.
struct Sealed {
    xml: BlobRef,
    message: BlobRef,
    outline: Outline,
    has_8bit: bool,
}

impl Sealed {
    fn content(&self) -> Content {
        Content::whole(self.message.id, self.message.size_bytes)
    }
}

impl Notary {
    /// Seals what is owed. Gives how many were looked at.
    pub async fn run_due(self: &Arc<Self>) -> Result<usize, Failure> {
        let at_once = if self.sealer.is_sharing() {
            AT_ONCE_SHARING
        } else {
            AT_ONCE
        };
        let due = work::due::<OwedEvidence>(&*self.db, self.clock.now(), at_once)?;
        let count = due.len();
        let mut sealing = JoinSet::new();
        for owed in due {
            let notary = self.clone();
            sealing.spawn(async move {
                let issued = notary.issue(&owed).await;
                match issued {
                    // What fails stands aside, so that it holds up nothing else.
                    Err(failure) => notary.wait(&owed, &failure.to_string()).await.and(Err(failure)),
                    done => done,
                }
            });
        }
        let mut outcome = Ok(count);
        while let Some(done) = sealing.join_next().await {
            let done = done.unwrap_or_else(|e| Err(Failure::Broken(format!("sealing ended early: {e}"))));
            if let Err(failure) = done {
                tracing::error!(%failure, "notary");
                outcome = Err(failure);
            }
        }
        outcome
    }

    async fn issue(&self, owed: &Stored<OwedEvidence>) -> Result<(), Failure> {
        let sealed = match self.seal(&owed.row).await {
            Ok(sealed) => sealed,
            Err(Failure::Unavailable(why)) => return self.wait(owed, &why).await,
            Err(Failure::Broken(why)) => {
                tracing::error!(evidence = %owed.row.facts.id, %why, "evidence cannot be sealed; it stays owed");
                return self.wait(owed, &why).await;
            }
            Err(refused) => return Err(refused),
        };
        for _ in 0..COMMIT_ATTEMPTS {
            let mut batch = Batch::new();
            owed.remove(&mut batch);
            self.file(&mut batch, &owed.row, &sealed)?;
            match self.db.commit(batch).await {
                Ok(_) => {
                    let facts = &owed.row.facts;
                    tracing::info!(evidence = %facts.id, rem_message_id = %facts.message.rem_message_id,
                        kind = facts.kind.element_name(), event = facts.event.fragment(), "evidence issued");
                    self.bells.dispatch.ring();
                    self.bells.relay.ring();
                    self.bells.lasting.ring();
                    self.bells.receipts.ring();
                    for addressee in &owed.row.addressees {
                        if let Addressee::Tenant { tenant, .. } = addressee {
                            self.bells.mailboxes.ring(*tenant);
                        }
                    }
                    return Ok(());
                }
                Err(CommitError::Conflict { key }) if key == owed.key() => return Ok(()),
                Err(CommitError::Conflict { .. }) => continue,
                Err(other) => return Err(other.into()),
            }
        }
        Err(Failure::Unavailable(
            "too many change the same mail at once".into(),
        ))
    }

    /// Puts a document off until the authority may be back.
    async fn wait(&self, owed: &Stored<OwedEvidence>, why: &str) -> Result<(), Failure> {
        let mut again = owed.row.clone();
        again.attempts += 1;
        let jitter = f64::from(self.ids.uuid().as_bytes()[0]) / 256.0;
        let due = self.clock.now().plus(retry_after(again.attempts, jitter));
        tracing::warn!(evidence = %again.facts.id, attempt = again.attempts, %why, "sealing has to wait");
        let mut batch = Batch::new();
        work::postpone(&mut batch, owed, due, &again)?;
        commit_or_yield(&*self.db, batch).await
    }

    /// Makes the document and the message that carries it; both are durable, neither is known yet.
    async fn seal(&self, owed: &OwedEvidence) -> Result<Sealed, Failure> {
        let facts = &owed.facts;
        let now = self.clock.now();
        let document = crate::rem::evidence::write(facts).map_err(|e| Failure::Broken(e.to_string()))?;
        let xml = self
            .sealer
            .seal_evidence(&document.xml, now)
            .await
            .map_err(unsealed)?;
        let algorithm = self.sealer.digest_algorithm(now);
        let parts = self.message(owed, &xml, now);
        let cms = self
            .sealer
            .sign_entity(ContentDigest::of(algorithm, &parts.entity), now)
            .await
            .map_err(unsealed)?;
        let octets = parts.assemble(&cms);
        let structure = Structure::of(&octets);
        let summary = Summary::of(&octets);
        let (xml, message) = tokio::try_join!(self.spool.store(&xml), self.spool.store(&octets))?;
        Ok(Sealed {
            xml,
            message,
            outline: Outline { structure, summary },
            has_8bit: !octets.is_ascii(),
        })
    }

    fn message(&self, owed: &OwedEvidence, xml: &[u8], now: UtcTime) -> message::MessageParts {
        let facts = &owed.facts;
        let extensions = extensions::write(&extensions::Extensions {
            rem_message_id: facts.message.rem_message_id.clone(),
            original_message_id: facts.message.ua_message_id.clone(),
            original_sha256: facts.message.original_sha256,
            submitted_at: facts.submission_time,
            ..Default::default()
        });
        let to: Vec<Entry> = self.written_to(owed).iter().map(entry).collect();
        let message_id = format!("<{}@{}>", facts.id, self.identity.domain);
        let outer = Outer {
            from: self.identity.service.as_str(),
            from_display: self.identity.issuer.name.clone(),
            reply_to: None,
            to: &to,
            cc: &[],
            subject: &notice::evidence_subject(facts),
            date: now,
            message_id: &message_id,
            original_message_id: Some(owed.thread.as_str()).filter(|t| !t.is_empty()),
            rem_message_id: &facts.message.rem_message_id,
            original_sha256: facts.message.original_sha256.as_ref(),
            evidence: Some((facts.kind, facts.event, facts.id.to_string())),
            boundary_id: self.ids.uuid(),
            digest: self.sealer.digest_algorithm(now),
        };
        let part = EvidencePart {
            kind: facts.kind,
            xml,
        };
        message::build(&outer, &notice::evidence_intro(facts), &[part], &extensions)
    }

    /// Whom the evidence message is written to: the sender of the mail, whoever keeps a copy.
    fn written_to(&self, owed: &OwedEvidence) -> Vec<KepAddress> {
        owed.facts.sender.address.parse().into_iter().collect()
    }

    /// Adds to the batch what the sealed document means: its row, its place in mailboxes, its way to the peer, its
    /// effect on the mail, and what follows.
    fn file(&self, batch: &mut Batch, owed: &OwedEvidence, sealed: &Sealed) -> Result<(), Failure> {
        let facts = &owed.facts;
        let recipient = facts.recipient().map(|p| p.address.clone());
        for addressee in &owed.addressees {
            match addressee {
                Addressee::Tenant { tenant, mail, item } => {
                    let row = EvidenceRow {
                        id: facts.id,
                        identifier: facts.id.to_string(),
                        kind: facts.kind,
                        event: facts.event,
                        event_time: facts.event_time,
                        recipient: recipient.clone(),
                        issuer: self.identity.domain.clone(),
                        xml: sealed.xml,
                    };
                    evidence::add(batch, *tenant, *mail, &row, row.event_time)?;
                    if !self.owe_receipt(batch, (*tenant, *mail), &row, sealed)? {
                        self.file_item(batch, *tenant, *mail, *item, sealed)?;
                    }
                    let about = recipient.as_deref().and_then(|r| r.parse().ok());
                    effect::apply(
                        &*self.db,
                        batch,
                        *tenant,
                        *mail,
                        (facts.kind, facts.event),
                        about.as_ref(),
                    )?;
                }
                Addressee::Peer { domain, to } => self.queue(batch, owed, sealed, domain, to)?,
            }
        }
        if let Then::SealCopy { tenant, mail, copy } = &owed.then {
            let work = SealWork {
                tenant: *tenant,
                mail: *mail,
                copy: *copy,
                evidence: facts.id,
                evidence_xml: sealed.xml,
                attempts: 0,
            };
            work::add(batch, self.clock.now(), &work)?;
        }
        Ok(())
    }

    /// Whether the sender of the mail wished for more than this evidence; then it comes before him in that form, as soon as
    /// it is made.
    fn owe_receipt(
        &self,
        batch: &mut Batch,
        (tenant, mail): (TenantId, MailId),
        row: &EvidenceRow,
        sealed: &Sealed,
    ) -> Result<bool, Failure> {
        // Of a mail that was consigned here there is no such row: its recipient wished for nothing.
        let sent = mails::mail(&*self.db, tenant, mail)?;
        if sent.is_none_or(|mail| mail.row.receipts.of(row.kind) == ReceiptForm::Summary) {
            return Ok(false);
        }
        let plain = (None, sealed.content());
        evidence::owe_receipt(batch, (tenant, mail), row, plain, self.clock.now())?;
        Ok(true)
    }

    fn file_item(
        &self,
        batch: &mut Batch,
        tenant: TenantId,
        mail: MailId,
        item: Option<ItemId>,
        sealed: &Sealed,
    ) -> Result<(), Failure> {
        let about = match item {
            Some(item) => Some(item),
            None => mails::mail(&*self.db, tenant, mail)?.map(|m| m.row.item),
        };
        let item = Item::evidence(self.items.next(tenant)?, about, mail, self.clock.now());
        Ok(items::add(
            batch,
            tenant,
            &item,
            &sealed.outline.body(sealed.content()),
        )?)
    }

    fn queue(
        &self,
        batch: &mut Batch,
        owed: &OwedEvidence,
        sealed: &Sealed,
        domain: &Domain,
        to: &KepAddress,
    ) -> Result<(), Failure> {
        let now = self.clock.now();
        let entry = QueueEntry {
            id: QueueId::fresh(&*self.ids),
            peer: domain.clone(),
            reverse_path: self.identity.service.clone(),
            recipients: vec![to.clone()],
            content: sealed.content(),
            has_8bit: sealed.has_8bit,
            carried: Carried::Evidence {
                evidence: owed.facts.id,
            },
            created_at: now,
            expires_at: now.plus(self.identity.evidence_expiry()),
            attempts: 0,
            last_outcome: String::new(),
        };
        Ok(work::add(batch, now, &entry)?)
    }
}

fn entry(address: &KepAddress) -> Entry {
    Entry::One(crate::mime::mailbox::Mailbox {
        name: None,
        local: address.local_part().to_owned(),
        domain: address.domain().to_string(),
    })
}

fn unsealed(error: SealError) -> Failure {
    match error {
        SealError::Unavailable(why) => Failure::Unavailable(why),
        SealError::Broken(why) => Failure::Broken(why),
    }
}
