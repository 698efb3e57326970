//! Sealing: an accepted mail whose submission is attested becomes a dispatch, and goes to the queue of each peer and to
//! delivery here.
//!
//! The original streams by once, for the digest of the signed entity and for its own: if its octets are not the ones
//! that were approved, nothing is sent. It is never copied: the dispatch is a frame around the blob that is there.

use crate::address::{Domain, KepAddress};
use crate::clock::{Clock, UtcTime};
use crate::cms::algorithm::Hasher;
use crate::cms::{ContentDigest, DigestAlgorithm};
use crate::domain::evidence::{Event, EvidenceKind};
use crate::domain::mail::{CopyOf, Mail, MailEvent, MailState, RecipientEvent, SenderHome};
use crate::domain::schedule::retry_after;
use crate::id::{IdSource, MailId, QueueId, RecipientIndex};
use crate::mime::mailbox::Entry;
use crate::rem::dispatch::{self, DispatchParts};
use crate::rem::layout::{EvidencePart, Outer};
use crate::rem::{extensions, notice};
use crate::seal::sealer::{SealError, Sealer};
use crate::service::bell::Bells;
use crate::service::failure::Failure;
use crate::service::identity::Identity;
use crate::service::octets::ContentReader;
use crate::service::organisation::Organisations;
use crate::service::outline::Outline;
use crate::service::owing::PLACEMENTS_MAX;
use crate::service::yielding::commit_or_yield;
use crate::store::db::{Batch, CommitError, Db};
use crate::store::spool::Spool;
use crate::store::tables::items::{Content, Piece};
use crate::store::tables::work::{self, Carried, DeliveryWork, Placement, QueueEntry, SealWork};
use crate::store::tables::{Stored, items, lasting, mails, peers};
use aws_lc_rs::digest::{Context, SHA256};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::task::JoinSet;

/// Dispatches sealed at the same time.
const AT_ONCE: usize = 32;
/// How often a dispatch is committed against others who change the same mail.
const COMMIT_ATTEMPTS: usize = 16;
/// The name of the original in the dispatch.
const ORIGINAL_FILE: &str = "orijinal.eml";

/// Where the recipients of a copy are.
struct Routes {
    here: Vec<Placement>,
    elsewhere: BTreeMap<Domain, Vec<RecipientIndex>>,
}

pub struct Dispatch {
    pub db: Arc<dyn Db>,
    pub spool: Arc<Spool>,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn IdSource>,
    pub sealer: Arc<Sealer>,
    pub organisations: Arc<Organisations>,
    pub identity: Arc<Identity>,
    pub bells: Bells,
}

impl Dispatch {
    /// Seals what is due. Gives how many copies were looked at.
    pub async fn run_due(self: &Arc<Self>) -> Result<usize, Failure> {
        let due = work::due::<SealWork>(&*self.db, self.clock.now(), AT_ONCE)?;
        let count = due.len();
        let mut sealing = JoinSet::new();
        for stored in due {
            let station = self.clone();
            sealing.spawn(async move {
                let sealed = station.dispatch(&stored).await;
                match sealed {
                    // What fails stands aside, so that it holds up nothing else.
                    Err(failure) => station
                        .wait(&stored, &failure.to_string())
                        .await
                        .and(Err(failure)),
                    done => done,
                }
            });
        }
        let mut outcome = Ok(count);
        while let Some(done) = sealing.join_next().await {
            let done = done.unwrap_or_else(|e| Err(Failure::Broken(format!("a dispatch ended early: {e}"))));
            if let Err(failure) = done {
                tracing::error!(%failure, "dispatch");
                outcome = Err(failure);
            }
        }
        outcome
    }

    async fn dispatch(&self, stored: &Stored<SealWork>) -> Result<(), Failure> {
        let work = &stored.row;
        let missing = || Failure::Broken(format!("mail {} is missing", work.mail));
        let mail = mails::mail(&*self.db, work.tenant, work.mail)?
            .ok_or_else(missing)?
            .row;
        let Some(copy) = mail.copies().into_iter().find(|c| c.number == work.copy) else {
            return Err(missing());
        };
        let content = match self.seal(work, &mail, &copy).await {
            Ok(content) => content,
            Err(Failure::Refused(refused)) => return Err(Failure::Refused(refused)),
            Err(failure) => return self.wait(stored, &failure.to_string()).await,
        };
        for _ in 0..COMMIT_ATTEMPTS {
            let mut batch = Batch::new();
            stored.remove(&mut batch);
            let sealed = mails::Dispatch {
                copy: copy.number,
                content: content.clone(),
            };
            mails::add_dispatch(&mut batch, work.tenant, work.mail, &sealed)?;
            let now = self.clock.now();
            work::preserve(&mut batch, now, content.clone(), None)?;
            let issuer = self.identity.domain.clone();
            lasting::owe(&mut batch, now, lasting::Piece::Dispatch, content.clone(), issuer)?;
            self.hand_on(&mut batch, work.tenant, work.mail, &copy, &content)?;
            match self.db.commit(batch).await {
                Ok(_) => {
                    tracing::info!(mail = %work.mail, copy = copy.number, size = content.size_bytes(), "sealed");
                    self.bells.relay.ring();
                    self.bells.delivery.ring();
                    return Ok(());
                }
                Err(CommitError::Conflict { key }) if key == stored.key() => return Ok(()),
                Err(CommitError::Conflict { .. }) => continue,
                Err(other) => return Err(other.into()),
            }
        }
        Err(Failure::Unavailable(
            "too many change the same mail at once".into(),
        ))
    }

    /// Puts a copy off until the authority, or the disk, may be back.
    async fn wait(&self, stored: &Stored<SealWork>, why: &str) -> Result<(), Failure> {
        let mut again = stored.row.clone();
        again.attempts += 1;
        let jitter = f64::from(self.ids.uuid().as_bytes()[0]) / 256.0;
        let due = self.clock.now().plus(retry_after(again.attempts, jitter));
        tracing::warn!(mail = %again.mail, attempt = again.attempts, %why, "sealing has to wait");
        let mut batch = Batch::new();
        work::postpone(&mut batch, stored, due, &again)?;
        commit_or_yield(&*self.db, batch).await
    }

    /// Makes the dispatch: frame, signature, time-stamp; durable, but not known yet.
    async fn seal(&self, work: &SealWork, mail: &Mail, copy: &CopyOf) -> Result<Content, Failure> {
        let now = self.clock.now();
        let missing = || Failure::Broken(format!("item of mail {} is missing", mail.id));
        let body = items::body(&*self.db, mail.tenant, mail.item)?
            .ok_or_else(missing)?
            .row;
        let outline = Outline::of_body(&self.spool, &body).await?;
        let evidence = self.spool.load(&work.evidence_xml).await?;
        let parts = self.parts(work, mail, copy, &outline, &evidence, now)?;
        let algorithm = self.sealer.digest_algorithm(now);
        let digest = self.digest(&parts, mail, &body.content, algorithm).await?;
        let cms = self.sealer.seal_entity(digest, now).await.map_err(|e| match e {
            SealError::Unavailable(why) => Failure::Unavailable(why),
            SealError::Broken(why) => Failure::Broken(why),
        })?;
        let before = [parts.outer_header.as_slice(), &parts.entity_head].concat();
        let after = [parts.entity_tail.as_slice(), &parts.signature_part(&cms)].concat();
        let frame = self.spool.store(&[before.as_slice(), &after].concat()).await?;
        let split = before.len() as u64;
        let mut pieces = vec![Piece {
            blob: frame.id,
            from: 0,
            len: split,
        }];
        pieces.extend(body.content.pieces);
        pieces.push(Piece {
            blob: frame.id,
            from: split,
            len: after.len() as u64,
        });
        Ok(Content { pieces })
    }

    fn parts(
        &self,
        work: &SealWork,
        mail: &Mail,
        copy: &CopyOf,
        outline: &Outline,
        evidence: &[u8],
        now: UtcTime,
    ) -> Result<DispatchParts, Failure> {
        let organisation = self.organisations.of(mail.tenant)?;
        let rem_message_id = self.identity.rem_message_id(mail.id, copy.number);
        let extensions = extensions::write(&extensions::Extensions {
            rem_message_id: rem_message_id.clone(),
            original_message_id: Some(mail.message_id.clone()),
            original_octets: Some(mail.original_size_bytes),
            original_sha256: Some(mail.original_sha256),
            submitted_at: Some(mail.submitted_at),
            ..Default::default()
        });
        let title = &organisation.tenant.title;
        let kind = EvidenceKind::SubmissionAcceptanceRejection;
        let (to, cc): (&[Entry], &[Entry]) = (&outline.summary.to, &outline.summary.cc);
        let outer = Outer {
            from: self.identity.service.as_str(),
            from_display: notice::on_behalf(&format!("{title} ({})", mail.sender)),
            reply_to: Some(mail.sender.as_str()),
            to,
            cc,
            subject: &mail.subject,
            date: now,
            message_id: &format!("<{rem_message_id}>"),
            original_message_id: Some(&mail.message_id),
            rem_message_id: &rem_message_id,
            original_sha256: Some(&mail.original_sha256),
            evidence: Some((kind, Event::Acceptance, work.evidence.to_string())),
            boundary_id: self.ids.uuid(),
            digest: self.sealer.digest_algorithm(now),
        };
        Ok(dispatch::build(&dispatch::Dispatch {
            outer,
            intro: notice::dispatch_intro(
                &format!("{title} <{}>", mail.sender),
                &mail.subject,
                mail.submitted_at,
                &self.identity.issuer.name,
            ),
            evidence: &[EvidencePart { kind, xml: evidence }],
            extensions: &extensions,
            original_is_8bit: mail.original_8bit,
            original_file: ORIGINAL_FILE,
        }))
    }

    /// The digest of the signed entity, if the original in it is what was approved.
    async fn digest(
        &self,
        parts: &DispatchParts,
        mail: &Mail,
        original: &Content,
        algorithm: DigestAlgorithm,
    ) -> Result<ContentDigest, Failure> {
        let mut entity = Hasher::new(algorithm);
        let mut inner = Context::new(&SHA256);
        entity.update(&parts.entity_head);
        let mut reader = ContentReader::whole(&self.spool, original);
        while let Some(chunk) = reader.next_chunk().await? {
            entity.update(&chunk);
            inner.update(&chunk);
        }
        entity.update(&parts.entity_tail);
        if inner.finish().as_ref() != mail.original_sha256 {
            return Err(Failure::Broken(format!(
                "the stored octets of mail {} are not the ones that were approved; nothing is sent",
                mail.id
            )));
        }
        let digest = entity.finish();
        digest.ok_or_else(|| Failure::Broken("a digest of another length".into()))
    }

    /// Adds to the batch: the mail's new state, a queue entry for each peer, and the delivery here.
    fn hand_on(
        &self,
        batch: &mut Batch,
        tenant: crate::id::TenantId,
        mail_id: MailId,
        copy: &CopyOf,
        content: &Content,
    ) -> Result<(), Failure> {
        let missing = || Failure::Broken(format!("mail {mail_id} is missing"));
        let stored = mails::mail(&*self.db, tenant, mail_id)?.ok_or_else(missing)?;
        let mut mail = stored.row.clone();
        let now = self.clock.now();
        let Routes { here, elsewhere } = self.routes(&mail, copy)?;
        for (peer, recipients) in elsewhere {
            for index in &recipients {
                if let Some(r) = mail.recipients.get_mut(index.0 as usize) {
                    r.state = r.state.after(RecipientEvent::Queued).unwrap_or(r.state);
                }
            }
            let entry = QueueEntry {
                id: QueueId::fresh(&*self.ids),
                peer,
                reverse_path: self.identity.service.clone(),
                recipients: recipients
                    .iter()
                    .filter_map(|i| mail.recipient(*i))
                    .map(|r| r.address.clone())
                    .collect(),
                content: content.clone(),
                has_8bit: mail.original_8bit,
                carried: Carried::Dispatch {
                    tenant,
                    mail: mail_id,
                    copy: copy.number,
                    recipients,
                },
                created_at: now,
                expires_at: now.plus(self.identity.relay_expiry),
                attempts: 0,
                last_outcome: String::new(),
            };
            work::add(batch, now, &entry)?;
        }
        for some in here.chunks(PLACEMENTS_MAX) {
            work::add(batch, now, &self.delivery(&mail, copy, content, some.to_vec()))?;
        }
        if mail.state == MailState::Accepted {
            mail.state = mail.state.after(MailEvent::Dispatched).unwrap_or(mail.state);
        }
        Ok(stored.replace(batch, &mail)?)
    }

    fn delivery(&self, mail: &Mail, copy: &CopyOf, content: &Content, here: Vec<Placement>) -> DeliveryWork {
        DeliveryWork {
            id: QueueId::fresh(&*self.ids),
            dispatch: content.clone(),
            home: SenderHome::Here {
                tenant: mail.tenant,
                mail: mail.id,
            },
            sender: mail.sender.clone(),
            placements: here,
            listed: copy
                .listed
                .iter()
                .filter_map(|i| mail.recipient(*i))
                .map(|r| r.address.clone())
                .collect(),
            subject: mail.subject.clone(),
            message_id: mail.message_id.clone(),
            rem_message_id: self.identity.rem_message_id(mail.id, copy.number),
            original_sha256: mail.original_sha256,
            submitted_at: Some(mail.submitted_at),
        }
    }

    /// Who of a copy is here, and who is at which peer.
    fn routes(&self, mail: &Mail, copy: &CopyOf) -> Result<Routes, Failure> {
        let mut here = Vec::new();
        let mut elsewhere: BTreeMap<Domain, Vec<RecipientIndex>> = BTreeMap::new();
        let known: Vec<Domain> = peers::all(&*self.db)?.into_iter().map(|p| p.row.domain).collect();
        for index in &copy.addressed {
            let Some(recipient) = mail.recipient(*index) else {
                continue;
            };
            match self.organisations.by_address(&recipient.address)? {
                Some(organisation) => here.push(self.placement(&recipient.address, organisation.tenant.id)),
                None => {
                    let domain = recipient.address.domain();
                    let peer = known
                        .iter()
                        .find(|p| domain.is_within(p))
                        .cloned()
                        .unwrap_or(domain);
                    elsewhere.entry(peer).or_default().push(*index);
                }
            }
        }
        Ok(Routes { here, elsewhere })
    }

    fn placement(&self, address: &KepAddress, tenant: crate::id::TenantId) -> Placement {
        Placement {
            address: address.clone(),
            tenant,
            consignment: MailId::fresh(&*self.ids),
        }
    }
}
