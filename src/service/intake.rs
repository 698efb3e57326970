//! What another provider hands over: dispatches and evidence, verified before a `250`.
//!
//! Only known peers are heard. A dispatch is taken when its seal, its certificate, its time-stamp and its evidence's
//! schema hold - four findings, kept apart - and when the seal is the one pinned for this peer. What is taken is
//! committed with the delivery it leaves and the relay evidence it owes. The same octets again are a duplicate and are
//! answered as the first time. What is not genuine is refused and never enters a mailbox as KEP; evidence of that is
//! left only where the peer's own seal holds. Whether a certificate was revoked is asked of its authority ([`Scrutiny`]).

mod scrutiny;

pub use scrutiny::{Scrutiny, WhenUnknown};

use crate::address::{Domain, KepAddress, ReversePath};
use crate::clock::Clock;
use crate::domain::evidence::{Event, EvidenceFacts, EvidenceKind, Party, Reason};
use crate::domain::item::Item;
use crate::domain::mail::SenderHome;
use crate::domain::provider::Peer;
use crate::domain::receipt::ReceiptForm;
use crate::id::{EvidenceId, IdSource, MailId, QueueId, TenantId};
use crate::mime::Scanner;
use crate::mime::summary::Summary;
use crate::service::bell::Bells;
use crate::service::effect;
use crate::service::failure::{Failure, Kind};
use crate::service::genuine::{self, Envelope, Examination, NotGenuine};
use crate::service::identity::Identity;
use crate::service::item_numbers::ItemNumbers;
use crate::service::organisation::Organisations;
use crate::service::outline::Outline;
use crate::service::owing::{Happened, Owing, PLACEMENTS_MAX};
use crate::store::db::{Batch, CommitError, Db};
use crate::store::spool::{BlobRef, BlobWriter, Pending, Spool};
use crate::store::tables::evidence::{EvidenceRow, taken_in_key};
use crate::store::tables::items::Content;
use crate::store::tables::mails::{Done, transfer_key};
use crate::store::tables::work::{self, Addressee, DeliveryWork, OwedEvidence, Placement, Then};
use crate::store::tables::{self, evidence, items, mails, peers};
use std::sync::Arc;

/// How often evidence is committed against others who change the same mail.
const COMMIT_ATTEMPTS: usize = 16;

pub struct Intake {
    pub db: Arc<dyn Db>,
    pub spool: Arc<Spool>,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn IdSource>,
    pub organisations: Arc<Organisations>,
    pub identity: Arc<Identity>,
    pub items: Arc<ItemNumbers>,
    pub bells: Bells,
    /// None: nobody is asked whether certificates were revoked.
    pub scrutiny: Option<Arc<Scrutiny>>,
}

impl Intake {
    /// The peer that an envelope sender belongs to.
    pub fn check_sender(&self, from: &ReversePath) -> Result<Peer, Failure> {
        let ReversePath::Address(address) = from else {
            let say =
                "this door takes sealed dispatches and evidence from KEP providers; there are no bounces";
            return Err(Failure::refused(Kind::UnknownProvider, say));
        };
        let domain = address.domain();
        let known = peers::all(&*self.db)?
            .into_iter()
            .map(|p| p.row)
            .find(|p| domain.is_within(&p.domain));
        known.ok_or_else(|| {
            Failure::refused(
                Kind::UnknownProvider,
                format!("{domain} is not a KEP provider known here"),
            )
        })
    }

    /// Whether this address can be handed over to here.
    pub fn check_recipient(&self, to: &KepAddress) -> Result<(), Failure> {
        if *to == self.identity.service {
            return Ok(());
        }
        match self.organisations.by_address(to)? {
            Some(o) if o.tenant.life.may_receive() => Ok(()),
            Some(_) => Err(Failure::refused(
                Kind::AccountClosed,
                format!("the account {to} is closed or suspended"),
            )),
            None => Err(Failure::refused(
                Kind::UnknownRecipient,
                format!("there is no account {to} here"),
            )),
        }
    }

    /// Starts to take a message over.
    pub async fn begin(
        self: &Arc<Self>,
        peer: Peer,
        from: KepAddress,
        recipients: Vec<KepAddress>,
    ) -> Result<Transfer, Failure> {
        let writer = self.spool.create().await?;
        Ok(Transfer {
            to: self.clone(),
            peer,
            from,
            recipients,
            writer,
            scanner: Scanner::new(),
            size_bytes: 0,
        })
    }
}

/// A message that is being taken over.
pub struct Transfer {
    to: Arc<Intake>,
    peer: Peer,
    from: KepAddress,
    recipients: Vec<KepAddress>,
    writer: BlobWriter,
    scanner: Scanner,
    size_bytes: u64,
}

impl Transfer {
    pub async fn write(&mut self, chunk: &[u8]) -> Result<(), Failure> {
        self.size_bytes += chunk.len() as u64;
        if self.size_bytes > self.to.identity.size_max_bytes {
            return Err(Failure::refused(
                Kind::TooLarge,
                "the message is larger than this provider takes",
            ));
        }
        self.scanner.push(chunk);
        Ok(self.writer.write(chunk).await?)
    }

    /// The message is complete. `Ok` means that it was verified and is durable, or that it is a duplicate.
    pub async fn finish(self) -> Result<(), Failure> {
        let intake = self.to;
        let pending = self.writer.complete().await?;
        let blob = pending.blob();
        let mut names: Vec<String> = self.recipients.iter().map(ToString::to_string).collect();
        names.sort();
        let mark = transfer_key(self.peer.domain.as_str(), &blob.id.0, &names);
        if intake.db.get(&mark)?.is_some() {
            tracing::info!(peer = %self.peer.domain, transfer = %blob.id, "duplicate transfer, answered as the first time");
            return Ok(());
        }
        let structure = self.scanner.finish();
        let (pending, examined) = genuine::examine(pending, structure.clone(), &self.peer).await?;
        let examined = match examined {
            Ok(found) => scrutiny::passed(intake.scrutiny.as_deref(), &self.peer, found).await?,
            Err(not_genuine) => Err(not_genuine),
        };
        let mut pending = Some(pending);
        let transfer = Arrived {
            intake: &intake,
            peer: &self.peer,
            from: &self.from,
            recipients: &self.recipients,
            blob,
            mark,
        };
        match examined {
            Ok(Examination {
                envelope:
                    Envelope::Dispatch {
                        facts,
                        original_sha256,
                    },
                ..
            }) => {
                transfer
                    .take_dispatch(*facts, original_sha256, &mut pending)
                    .await
            }
            Ok(Examination {
                envelope: Envelope::Evidence(documents),
                header,
                ..
            }) => {
                let outline = Outline {
                    structure,
                    summary: Summary::of(&header),
                };
                for document in documents {
                    transfer.take_evidence(document, &outline, &mut pending).await?;
                }
                Ok(())
            }
            Err(not_genuine) => transfer.refuse(not_genuine).await,
        }
    }
}

/// A complete message with its circumstances.
struct Arrived<'a> {
    intake: &'a Intake,
    peer: &'a Peer,
    from: &'a KepAddress,
    recipients: &'a [KepAddress],
    blob: BlobRef,
    /// The mark that it was taken.
    mark: Vec<u8>,
}

/// A recipient for whom a dispatch is new, and the marks that he has got it.
struct News {
    recipient: KepAddress,
    marks: [Vec<u8>; 2],
}

impl Arrived<'_> {
    fn owing(&self) -> Owing<'_> {
        Owing {
            identity: &self.intake.identity,
            ids: &*self.intake.ids,
        }
    }

    fn content(&self) -> Content {
        Content::whole(self.blob.id, self.blob.size_bytes)
    }

    async fn take_dispatch(
        &self,
        facts: EvidenceFacts,
        original_sha256: [u8; 32],
        pending: &mut Option<Pending>,
    ) -> Result<(), Failure> {
        let intake = self.intake;
        let listed: Result<Vec<KepAddress>, _> = facts.recipients.iter().map(|p| p.address.parse()).collect();
        let sender: Result<KepAddress, _> = facts.sender.address.parse();
        let (Ok(listed), Ok(sender)) = (listed, sender) else {
            return self
                .refuse(NotGenuine::about(
                    &facts,
                    Reason::InvalidMessageFormat,
                    "an address in the evidence is not a KEP address",
                ))
                .await;
        };
        if !sender.domain().is_within(&self.peer.domain) {
            return self
                .refuse(NotGenuine::about(
                    &facts,
                    Reason::PolicyViolation,
                    "the sender is not an account of the provider that sealed it",
                ))
                .await;
        }
        if !identified_within(&facts.message.rem_message_id, &self.peer.domain) {
            return self
                .refuse(NotGenuine::about(
                    &facts,
                    Reason::PolicyViolation,
                    "the message identifier is not of the provider that sealed it",
                ))
                .await;
        }
        if self.recipients.iter().any(|r| !listed.contains(r)) {
            return self
                .refuse(NotGenuine::about(
                    &facts,
                    Reason::PolicyViolation,
                    "a recipient of the envelope is not in the evidence",
                ))
                .await;
        }
        for _ in 0..COMMIT_ATTEMPTS {
            if intake.db.get(&self.mark)?.is_some() {
                return Ok(());
            }
            let Some(news) = self.news(&facts, &original_sha256)? else {
                return self
                    .refuse(NotGenuine::about(
                        &facts,
                        Reason::PolicyViolation,
                        "the message identifier has been used for another message",
                    ))
                    .await;
            };
            if news.is_empty() {
                tracing::info!(peer = %self.peer.domain, transfer = %self.blob.id, "duplicate dispatch, nobody misses it");
                return Ok(());
            }
            let mut batch = Batch::new();
            tables::insert(&mut batch, self.mark.clone(), &Done)?;
            let placements = self.placements(news.iter().map(|n| &n.recipient))?;
            for mark in news.into_iter().flat_map(|n| n.marks) {
                tables::insert(&mut batch, mark, &Done)?;
            }
            if !placements.is_empty() {
                keep(pending).await?;
            }
            for some in placements.chunks(PLACEMENTS_MAX) {
                let (sender, listed) = (sender.clone(), listed.clone());
                let work = self.delivery(&facts, sender, listed, some.to_vec(), original_sha256);
                self.owe_and_deliver(&mut batch, &facts, &work)?;
            }
            match intake.db.commit(batch).await {
                Ok(_) => {
                    tracing::info!(peer = %self.peer.domain, transfer = %self.blob.id,
                        rem_message_id = %facts.message.rem_message_id, "dispatch taken");
                    intake.bells.notary.ring();
                    intake.bells.delivery.ring();
                    return Ok(());
                }
                // The same dispatch on another connection was faster, at least for somebody.
                Err(CommitError::Conflict { .. }) => continue,
                Err(other) => return Err(other.into()),
            }
        }
        Err(Failure::Unavailable(
            "the same dispatch comes in too often at once".into(),
        ))
    }

    /// For whom of the envelope this dispatch is new. A repeated one may differ outside its seal (a trace of another
    /// hop) or in its envelope. `None` when its identifier stands for another original already: that could not be
    /// consigned beside the first, and so must not be attested as taken.
    fn news(&self, facts: &EvidenceFacts, original_sha256: &[u8; 32]) -> Result<Option<Vec<News>>, Failure> {
        let identifier = facts.message.rem_message_id.as_bytes();
        let this = [identifier, b"\0", original_sha256].concat();
        let mut news: Vec<News> = Vec::new();
        for recipient in self.recipients {
            let names = [recipient.to_string()];
            let marks = [identifier, &this]
                .map(|of| transfer_key(self.peer.domain.as_str(), &mails::digest(of), &names));
            let [used, taken] = &marks;
            if self.intake.db.get(taken)?.is_some() || news.iter().any(|n| n.recipient == *recipient) {
                continue;
            }
            if self.intake.db.get(used)?.is_some() {
                return Ok(None);
            }
            news.push(News {
                recipient: recipient.clone(),
                marks,
            });
        }
        Ok(Some(news))
    }

    fn delivery(
        &self,
        facts: &EvidenceFacts,
        sender: KepAddress,
        listed: Vec<KepAddress>,
        placements: Vec<Placement>,
        original_sha256: [u8; 32],
    ) -> DeliveryWork {
        DeliveryWork {
            id: QueueId::fresh(&*self.intake.ids),
            dispatch: self.content(),
            home: SenderHome::Peer {
                domain: self.peer.domain.clone(),
                receipts_to: self.peer.service.clone(),
            },
            sender,
            placements,
            listed,
            subject: facts.message.subject.clone(),
            message_id: facts.message.ua_message_id.clone().unwrap_or_default(),
            rem_message_id: facts.message.rem_message_id.clone(),
            original_sha256,
            submitted_at: facts.submission_time,
        }
    }

    fn owe_and_deliver(
        &self,
        batch: &mut Batch,
        facts: &EvidenceFacts,
        work: &DeliveryWork,
    ) -> Result<(), Failure> {
        let now = self.intake.clock.now();
        for placement in &work.placements {
            let happened = Happened::new(
                EvidenceKind::RelayREMMDAcceptanceRejection,
                Event::Acceptance,
                now,
            );
            self.owe_relay(batch, facts, placement, &happened)?;
        }
        Ok(work::add(batch, now, work)?)
    }

    fn placements<'r>(
        &self,
        recipients: impl Iterator<Item = &'r KepAddress>,
    ) -> Result<Vec<Placement>, Failure> {
        let mut placements = Vec::new();
        for address in recipients {
            if let Some(organisation) = self.intake.organisations.by_address(address)? {
                placements.push(Placement {
                    address: address.clone(),
                    tenant: organisation.tenant.id,
                    consignment: MailId::fresh(&*self.intake.ids),
                });
            }
        }
        Ok(placements)
    }

    /// Relay evidence about one recipient, to the peer; the recipient's account keeps it too.
    fn owe_relay(
        &self,
        batch: &mut Batch,
        told: &EvidenceFacts,
        placement: &Placement,
        happened: &Happened,
    ) -> Result<(), Failure> {
        let mut facts = self.owing().facts(happened);
        facts.submission_time = told.submission_time;
        facts.sender = told.sender.clone();
        facts.recipients = told.recipients.clone();
        let position = told
            .recipients
            .iter()
            .position(|p| p.address.eq_ignore_ascii_case(placement.address.as_str()));
        facts.refers_to_recipient = position.map(|p| p as u32 + 1);
        facts.message = told.message.clone();
        let own = Addressee::Tenant {
            tenant: placement.tenant,
            mail: placement.consignment,
            item: None,
        };
        let owed = OwedEvidence {
            facts,
            addressees: vec![
                Addressee::Peer {
                    domain: self.peer.domain.clone(),
                    to: self.peer.service.clone(),
                },
                own,
            ],
            thread: told.message.ua_message_id.clone().unwrap_or_default(),
            then: Then::Nothing,
            attempts: 0,
        };
        self.owing().as_stated(batch, &owed, happened.at)
    }

    /// Files evidence of the peer under the mail it speaks of.
    async fn take_evidence(
        &self,
        document: genuine::Document,
        outline: &Outline,
        pending: &mut Option<Pending>,
    ) -> Result<(), Failure> {
        let intake = self.intake;
        let facts = &document.facts;
        let unknown = || {
            Failure::refused(
                Kind::NotGenuine,
                "this evidence speaks of no mail that was sent from here",
            )
        };
        let (mail_id, _) = intake
            .identity
            .own_rem_message_id(&facts.message.rem_message_id)
            .ok_or_else(unknown)?;
        let tenant = mails::tenant_of(&*intake.db, mail_id)?.ok_or_else(unknown)?;
        let mail = mails::mail(&*intake.db, tenant, mail_id)?
            .ok_or_else(unknown)?
            .row;
        if facts
            .message
            .original_sha256
            .is_some_and(|d| d != mail.original_sha256)
        {
            return Err(Failure::refused(
                Kind::NotGenuine,
                "this evidence names another digest than the mail has",
            ));
        }
        let recipient: Option<KepAddress> = facts.recipient().and_then(|p| p.address.parse().ok());
        let its_own = recipient
            .as_ref()
            .is_some_and(|r| r.domain().is_within(&self.peer.domain) && mail.position(r).is_some());
        if !its_own || !of_recipients_provider(facts.kind) {
            let say = "a provider can attest only what concerns its own accounts, and what it does itself";
            return Err(Failure::refused(Kind::NotGenuine, say));
        }
        let row = EvidenceRow {
            id: EvidenceId::fresh(&*intake.ids),
            identifier: document.identifier.clone(),
            kind: facts.kind,
            event: facts.event,
            event_time: facts.event_time,
            recipient: recipient.as_ref().map(ToString::to_string),
            issuer: self.peer.domain.clone(),
            xml: intake.spool.store(&document.xml).await?,
        };
        let mark = taken_in_key(tenant, self.peer.domain.as_str(), &document.identifier);
        for _ in 0..COMMIT_ATTEMPTS {
            if intake.db.get(&mark)?.is_some() {
                return Ok(());
            }
            let mut batch = Batch::new();
            tables::insert(&mut batch, mark.clone(), &Done)?;
            evidence::add(&mut batch, tenant, mail_id, &row, intake.clock.now())?;
            keep(pending).await?;
            match mail.receipts.of(facts.kind) {
                ReceiptForm::Summary => self.file_item(&mut batch, tenant, mail.item, mail_id, outline)?,
                // The notary files it, with this message in it as it is.
                ReceiptForm::Brief | ReceiptForm::Full => {
                    let peer = Some(self.peer.domain.clone());
                    evidence::owe_receipt(
                        &mut batch,
                        (tenant, mail_id),
                        &row,
                        (peer, self.content()),
                        intake.clock.now(),
                    )?;
                }
            }
            effect::apply(
                &*intake.db,
                &mut batch,
                tenant,
                mail_id,
                (facts.kind, facts.event),
                recipient.as_ref(),
            )?;
            match intake.db.commit(batch).await {
                Ok(_) => {
                    tracing::info!(mail = %mail_id, peer = %self.peer.domain, kind = facts.kind.element_name(),
                        event = facts.event.fragment(), "evidence taken");
                    intake.bells.mailboxes.ring(tenant);
                    intake.bells.receipts.ring();
                    return Ok(());
                }
                Err(CommitError::Conflict { .. }) => continue,
                Err(other) => return Err(other.into()),
            }
        }
        Err(Failure::Unavailable(
            "too many change the same mail at once".into(),
        ))
    }

    fn file_item(
        &self,
        batch: &mut Batch,
        tenant: TenantId,
        about: crate::id::ItemId,
        mail: MailId,
        outline: &Outline,
    ) -> Result<(), Failure> {
        let intake = self.intake;
        let item = Item::evidence(intake.items.next(tenant)?, Some(about), mail, intake.clock.now());
        Ok(items::add(batch, tenant, &item, &outline.body(self.content()))?)
    }

    /// Says no. Evidence of it is left, for the recipient and the peer, only when the peer's own seal holds on what it
    /// says: anybody can write its name into an envelope, and must not reach a mailbox by that, nor buy a time-stamp.
    async fn refuse(&self, why: NotGenuine) -> Result<(), Failure> {
        let intake = self.intake;
        tracing::warn!(peer = %self.peer.domain, from = %self.from, transfer = %self.blob.id, why = %why.text,
            sealed = why.told.is_some(), "transfer refused");
        if let Some(told) = &why.told {
            let now = intake.clock.now();
            let happened = Happened::new(EvidenceKind::RelayREMMDAcceptanceRejection, Event::Rejection, now)
                .because(why.reason, why.text.clone());
            // Once for an evidence, a reason and a recipient: who repeats a sealed one fills no mailbox with rejections.
            let said = [told.kind.element_name(), told.event.fragment(), &why.text].join("\0");
            let what = [told.message.rem_message_id.as_bytes(), b"\0", said.as_bytes()].concat();
            let refused = format!("refused {}", self.peer.domain);
            for placement in self.placements(self.recipients.iter())? {
                let names = [placement.address.to_string()];
                let mark = transfer_key(&refused, &mails::digest(&what), &names);
                if intake.db.get(&mark)?.is_some() {
                    continue;
                }
                let mut batch = Batch::new();
                tables::insert(&mut batch, mark, &Done)?;
                self.owe_rejection(&mut batch, told, &placement, &happened)?;
                match intake.db.commit(batch).await {
                    Ok(_) => intake.bells.notary.ring(),
                    // Another connection refused the same in the same moment.
                    Err(CommitError::Conflict { .. }) => {}
                    Err(other) => return Err(other.into()),
                }
            }
        }
        Err(Failure::refused(Kind::NotGenuine, why.text))
    }

    fn owe_rejection(
        &self,
        batch: &mut Batch,
        told: &EvidenceFacts,
        placement: &Placement,
        happened: &Happened,
    ) -> Result<(), Failure> {
        // Evidence that refers to nobody says nothing to the peer: it could not tell whom it is about.
        let named = |p: &Party| p.address.eq_ignore_ascii_case(placement.address.as_str());
        if told.recipients.iter().any(named) {
            return self.owe_relay(batch, told, placement, happened);
        }
        let mut facts = self.owing().facts(happened);
        facts.sender = told.sender.clone();
        facts.recipients = told.recipients.clone();
        facts.message = told.message.clone();
        let own = Addressee::Tenant {
            tenant: placement.tenant,
            mail: placement.consignment,
            item: None,
        };
        let owed = OwedEvidence {
            facts,
            addressees: vec![own],
            thread: String::new(),
            then: Then::Nothing,
            attempts: 0,
        };
        self.owing().as_stated(batch, &owed, happened.at)
    }
}

/// Makes the transfer durable, once: before the first commit that names it, and only if there is one. What is refused
/// must not fill the disk.
async fn keep(pending: &mut Option<Pending>) -> Result<(), Failure> {
    if let Some(pending) = pending.take() {
        pending.keep().await?;
    }
    Ok(())
}

/// Whether an identifier that names a domain names one of this provider. Who names none stays apart from the others by
/// the marks, which hold the provider too.
fn identified_within(rem_message_id: &str, provider: &Domain) -> bool {
    let named = rem_message_id.trim_matches(['<', '>']).rsplit_once('@');
    named.is_none_or(|(_, domain)| domain.parse().is_ok_and(|d: Domain| d.is_within(provider)))
}

/// Whether evidence of this kind is issued by the provider of the recipient (TS 102 640-2).
fn of_recipients_provider(kind: EvidenceKind) -> bool {
    use EvidenceKind as K;
    matches!(
        kind,
        K::RelayREMMDAcceptanceRejection
            | K::DeliveryNonDeliveryToRecipient
            | K::DownloadNonDownloadByRecipient
            | K::RetrievalNonRetrievalByRecipient
            | K::AcceptanceRejectionByRecipient
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_names_the_provider_or_nobody() {
        let provider: Domain = "hs01.kep.test".parse().unwrap();
        for ours in [
            "a.0@hs01.kep.test",
            "<a@b@x.hs01.kep.test>",
            "A@HS01.KEP.TEST",
            "a.0",
        ] {
            assert!(identified_within(ours, &provider), "{ours}");
        }
        for other in [
            "a.0@hs02.kep.test",
            "a@hs01.kep.test@hs02.kep.test",
            "a@xhs01.kep.test",
            "a@",
        ] {
            assert!(!identified_within(other, &provider), "{other}");
        }
    }
}
