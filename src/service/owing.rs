//! "Evidence owed": how a station records a fact that the notary is to seal.
//!
//! The fact is committed with the state it is about; sealing may wait on a time-stamp authority and happens later.
//! One mark for each (mail, kind, recipient) makes repeating harmless.

use crate::address::KepAddress;
use crate::clock::UtcTime;
use crate::domain::evidence::{
    AuthMethod, Event, EvidenceFacts, EvidenceKind, Extension, MessageFacts, Party, Reason, ReasonDetail,
    SenderAuthentication,
};
use crate::domain::mail::{Consignment, CopyOf, Mail, SenderHome};
use crate::domain::tenant::Tenant;
use crate::id::{EvidenceId, IdSource, ItemId, MailId, RecipientIndex, TenantId};
use crate::service::failure::{Failure, Kind};
use crate::service::identity::Identity;
use crate::store::db::{Batch, ROW_MAX_BYTES};
use crate::store::tables::evidence::once_key;
use crate::store::tables::mails::Done;
use crate::store::tables::work::{self, Addressee, OwedEvidence, Then};
use crate::store::{row, tables};

/// What deliveries, queue entries and consignments hold beside the recipients that the evidence lists: Message-ID,
/// identifiers, content, and one round of [`PLACEMENTS_MAX`] recipients with their accounts.
const LATER_ROWS_NEED_BYTES: usize = 5 * 1024;
/// Recipients here in one delivery: a dispatch for more is delivered in several.
pub const PLACEMENTS_MAX: usize = 8;

/// What happened: kind, event and reasons.
#[derive(Debug, Clone)]
pub struct Happened {
    pub kind: EvidenceKind,
    pub event: Event,
    pub reasons: Vec<ReasonDetail>,
    pub extensions: Vec<Extension>,
    pub at: UtcTime,
}

impl Happened {
    pub fn new(kind: EvidenceKind, event: Event, at: UtcTime) -> Self {
        Self {
            kind,
            event,
            reasons: Vec::new(),
            extensions: Vec::new(),
            at,
        }
    }

    pub fn with(mut self, extension: Extension) -> Self {
        self.extensions.push(extension);
        self
    }

    pub fn because(mut self, reason: Reason, details: impl Into<String>) -> Self {
        let details = Some(details.into()).filter(|d: &String| !d.is_empty());
        self.reasons.push(ReasonDetail { reason, details });
        self
    }
}

/// Writes down what is owed.
pub struct Owing<'a> {
    pub identity: &'a Identity,
    pub ids: &'a dyn IdSource,
}

impl Owing<'_> {
    /// Submission evidence for one copy of a mail; when it is sealed, the copy is.
    pub fn submission(
        &self,
        batch: &mut Batch,
        tenant: &Tenant,
        mail: &Mail,
        copy: &CopyOf,
        at: UtcTime,
    ) -> Result<(), Failure> {
        let happened = Happened::new(EvidenceKind::SubmissionAcceptanceRejection, Event::Acceptance, at);
        let facts = self.facts_of_mail(tenant, mail, copy, None, &happened);
        let then = Then::SealCopy {
            tenant: mail.tenant,
            mail: mail.id,
            copy: copy.number,
        };
        let owed = OwedEvidence {
            then,
            ..self.to_author(mail, facts)
        };
        self.once(batch, mail.tenant, mail.id, u32::from(copy.number), owed, at)
    }

    /// Evidence made at the sender's provider about one recipient (the peer could not be reached...).
    pub fn about_recipient(
        &self,
        batch: &mut Batch,
        tenant: &Tenant,
        mail: &Mail,
        recipient: RecipientIndex,
        happened: &Happened,
    ) -> Result<(), Failure> {
        let copies = mail.copies();
        let Some(copy) = copies.iter().find(|c| c.addressed.contains(&recipient)) else {
            return Err(Failure::Broken(format!(
                "mail {}: no copy for recipient {recipient}",
                mail.id
            )));
        };
        let facts = self.facts_of_mail(tenant, mail, copy, Some(recipient), happened);
        self.once(
            batch,
            mail.tenant,
            mail.id,
            recipient.0,
            self.to_author(mail, facts),
            happened.at,
        )
    }

    /// Evidence made at the recipient's provider about a consignment: to the sender's home, and to the recipient.
    pub fn about_consignment(
        &self,
        batch: &mut Batch,
        consignment: &Consignment,
        happened: &Happened,
    ) -> Result<(), Failure> {
        let mut facts = self.facts(happened);
        facts.submission_time = consignment.submitted_at;
        facts.sender = party(&consignment.sender, None);
        facts.recipients = consignment.listed.iter().map(|a| party(a, None)).collect();
        facts.refers_to_recipient = consignment.refers_to_recipient();
        facts.message = MessageFacts {
            subject: consignment.subject.clone(),
            ua_message_id: Some(consignment.message_id.clone()).filter(|id| !id.is_empty()),
            rem_message_id: consignment.rem_message_id.clone(),
            original_sha256: Some(consignment.original_sha256),
        };
        if happened.event == Event::RetrievalExpiration {
            let after_s = self.identity.reading_expiry.as_secs();
            facts.extensions.push(Extension::DeemedRead {
                at: happened.at,
                after_s,
            });
        }
        let home = match &consignment.home {
            SenderHome::Here { tenant, mail } => Addressee::Tenant {
                tenant: *tenant,
                mail: *mail,
                item: None,
            },
            SenderHome::Peer { domain, receipts_to } => Addressee::Peer {
                domain: domain.clone(),
                to: receipts_to.clone(),
            },
        };
        let own = Addressee::Tenant {
            tenant: consignment.tenant,
            mail: consignment.id,
            item: Some(consignment.item),
        };
        let owed = OwedEvidence {
            facts,
            addressees: vec![home, own],
            thread: consignment.message_id.clone(),
            then: Then::Nothing,
            attempts: 0,
        };
        self.once(batch, consignment.tenant, consignment.id, 0, owed, happened.at)
    }

    /// Evidence that stands alone: facts are complete, and the mark of once is the caller's.
    pub fn as_stated(&self, batch: &mut Batch, owed: &OwedEvidence, at: UtcTime) -> Result<(), Failure> {
        owed.facts
            .check()
            .map_err(|e| Failure::Broken(format!("evidence facts: {e}")))?;
        Ok(work::add(batch, at, owed)?)
    }

    /// Facts that every evidence of this provider states; sender, recipients and message are still empty.
    pub fn facts(&self, happened: &Happened) -> EvidenceFacts {
        EvidenceFacts {
            id: EvidenceId::fresh(self.ids),
            kind: happened.kind,
            event: happened.event,
            reasons: happened.reasons.clone(),
            policy_ids: self.identity.policy_ids.clone(),
            issuer: self.identity.issuer.clone(),
            event_time: happened.at,
            submission_time: None,
            sender: Party::default(),
            recipients: Vec::new(),
            refers_to_recipient: None,
            message: MessageFacts::default(),
            sender_authentication: None,
            transaction_log: Vec::new(),
            extensions: happened.extensions.clone(),
            reply_to: None,
        }
    }

    fn facts_of_mail(
        &self,
        tenant: &Tenant,
        mail: &Mail,
        copy: &CopyOf,
        about: Option<RecipientIndex>,
        happened: &Happened,
    ) -> EvidenceFacts {
        let mut facts = self.facts(happened);
        facts.submission_time = Some(mail.submitted_at);
        facts.sender = party(&mail.sender, Some(&tenant.title));
        facts.recipients = copy
            .listed
            .iter()
            .filter_map(|i| mail.recipient(*i))
            .map(|r| party(&r.address, None))
            .collect();
        facts.refers_to_recipient = about
            .and_then(|r| copy.listed.iter().position(|l| *l == r))
            .map(|p| p as u32 + 1);
        facts.message = MessageFacts {
            subject: mail.subject.clone(),
            ua_message_id: Some(mail.message_id.clone()),
            rem_message_id: self.identity.rem_message_id(mail.id, copy.number),
            original_sha256: Some(mail.original_sha256),
        };
        facts.sender_authentication = Some(SenderAuthentication {
            // A qualified certificate and a signature device: anything less is not recorded as one.
            method: match mail.signature {
                Some(_) => AuthMethod::QES,
                None => AuthMethod::Basic,
            },
            time: mail.submitted_at,
            signature: mail.signature.clone(),
        });
        facts
    }

    fn to_author(&self, mail: &Mail, facts: EvidenceFacts) -> OwedEvidence {
        OwedEvidence {
            facts,
            addressees: vec![addressee(mail.tenant, mail.id, mail.item)],
            thread: mail.message_id.clone(),
            then: Then::Nothing,
            attempts: 0,
        }
    }

    fn once(
        &self,
        batch: &mut Batch,
        tenant: TenantId,
        mail: MailId,
        about: u32,
        owed: OwedEvidence,
        at: UtcTime,
    ) -> Result<(), Failure> {
        let key = once_key(tenant, mail, owed.facts.kind, about);
        tables::insert(batch, key, &Done)?;
        // Rows made of the same recipients and subject later have to fit too: find out before anything is promised.
        if row::encode(&owed)?.len() > ROW_MAX_BYTES - LATER_ROWS_NEED_BYTES {
            let say = "the recipients' addresses are too long for one mail together; send it in several";
            return Err(Failure::refused(Kind::TooMany, say));
        }
        self.as_stated(batch, &owed, at)
    }
}

fn addressee(tenant: TenantId, mail: MailId, item: ItemId) -> Addressee {
    Addressee::Tenant {
        tenant,
        mail,
        item: Some(item),
    }
}

fn party(address: &KepAddress, organisation: Option<&str>) -> Party {
    Party {
        address: address.to_string(),
        display: None,
        organisation: organisation.map(str::to_owned),
    }
}
