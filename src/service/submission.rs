//! A user hands in a mail: checks at the door, header edits, policy, and one commit that makes it a mail, a job or a
//! draft.
//!
//! The octets stream into the spool as they come; only the header block is held. What is edited is edited before the
//! digest is taken: from then on the octets never change. `Ok` means durable.

mod cosigning;
mod crediting;
mod drafting;
mod filing;
mod header;
mod octet_check;
mod receiving;
mod releasing;
mod sameness;
mod signing;
mod signing_once;

pub use header::{check_header, draft_recipients, header_end};
pub use receiving::Receiving;
pub use signing::{Persons, Signatures};

use crate::address::{KepAddress, ReversePath};
use crate::clock::Clock;
use crate::domain::audit::{AuditRecord, AuditRoute, Matter};
use crate::domain::enquiry;
use crate::domain::evidence::{Event, EvidenceKind, MessageFacts, Party, Reason};
use crate::domain::job::Terms;
use crate::domain::org::{Organisation, Permission, User};
use crate::domain::provider::SEAL_OVERHEAD_MAX_BYTES;
use crate::domain::reply::ReplyToken;
use crate::id::{IdSource, ItemId, JobId, MailId};
use crate::mime::summary::Summary;
use crate::service::account::Principal;
use crate::service::bell::Bells;
use crate::service::failure::{Failure, Kind, Refusal};
use crate::service::identity::Identity;
use crate::service::item_numbers::ItemNumbers;
use crate::service::organisation::Organisations;
use crate::service::owing::{Happened, Owing};
use crate::store::db::{Batch, Db};
use crate::store::spool::Spool;
use crate::store::tables::work::{Addressee, OwedEvidence, Then};
use crate::store::tables::{audit, peers};
use header::not_yours;
use std::sync::Arc;

pub struct Submission {
    pub db: Arc<dyn Db>,
    pub spool: Arc<Spool>,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn IdSource>,
    pub organisations: Arc<Organisations>,
    pub identity: Arc<Identity>,
    pub items: Arc<ItemNumbers>,
    pub bells: Bells,
    pub terms: Arc<Terms>,
    pub signatures: Arc<Signatures>,
}

/// What became of a submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Accepted {
    Sent {
        mail: MailId,
    },
    /// A job was released by it: signed by an officer, it stands for the mail that was approved.
    Released {
        mail: MailId,
        job: JobId,
    },
    Job {
        mail: MailId,
        job: JobId,
        rule: String,
    },
    Draft {
        item: ItemId,
        no_rule_matched: bool,
    },
}

impl Submission {
    /// Whether the user may send as `from` now.
    pub fn check_sender(&self, by: &Principal, from: &ReversePath) -> Result<(), Failure> {
        self.check_reverse_path(by, from)?;
        self.check_composer(by)
    }

    /// Whether anything may be handed in as `from` now. Whether the user may write mail is another question: who only
    /// decides may still answer status messages.
    pub fn check_reverse_path(&self, by: &Principal, from: &ReversePath) -> Result<(), Failure> {
        let organisation = self.organisations.of(by.tenant)?;
        if !organisation.tenant.life.may_send() {
            let say = "this account does not send now: it is suspended or closing";
            return Err(Failure::refused(Kind::AccountClosed, say));
        }
        match from {
            ReversePath::Address(address) if *address == organisation.tenant.address => Ok(()),
            _ => Err(not_yours(&organisation)),
        }
    }

    /// Whether the user may write mail.
    pub fn check_composer(&self, by: &Principal) -> Result<(), Failure> {
        composer(&*self.organisations.of(by.tenant)?, by).map(drop)
    }

    /// What an answer is known by, when this is an address of ours that takes one.
    pub fn answered(&self, to: &KepAddress) -> Option<ReplyToken> {
        ReplyToken::of(to, &self.identity.service.domain())
    }

    /// Whether mail of `size` octets (when declared) may go to this recipient.
    pub fn check_recipient(&self, to: &KepAddress, size: Option<u64>) -> Result<(), Failure> {
        if self.answered(to).is_some() {
            let say = "this address takes an answer to a status message, submitted to it alone; write no mail to it";
            return Err(Failure::refused(Kind::UnknownRecipient, say));
        }
        let domain = to.domain();
        if !self.identity.realms.iter().any(|realm| domain.is_within(realm)) {
            let say = format!("{to} is not a KEP address; KEP carries mail between KEP accounts only");
            return Err(Failure::refused(Kind::NotKepAddress, say));
        }
        if domain.is_within(&self.identity.domain) {
            return match self.organisations.by_address(to)? {
                None => Err(Failure::refused(
                    Kind::UnknownRecipient,
                    format!("there is no account {to} here"),
                )),
                Some(o) if !o.tenant.life.may_receive() => Err(Failure::refused(
                    Kind::AccountClosed,
                    format!("the account {to} is closed or suspended"),
                )),
                Some(_) => Ok(()),
            };
        }
        let Some(peer) = self.peer_of(to)? else {
            return Err(Failure::refused(
                Kind::UnknownProvider,
                format!("{domain} is not a KEP provider known here"),
            ));
        };
        let sealed = size.unwrap_or(0).saturating_add(SEAL_OVERHEAD_MAX_BYTES);
        if size.is_some() && sealed > peer.size_max_bytes {
            let say = format!("{domain} takes at most {} octets, sealed", peer.size_max_bytes);
            return Err(Failure::refused(Kind::TooLarge, say));
        }
        Ok(())
    }

    /// The peer whose domain the address lies at or below.
    fn peer_of(&self, to: &KepAddress) -> Result<Option<crate::domain::provider::Peer>, Failure> {
        let domain = to.domain();
        Ok(peers::all(&*self.db)?
            .into_iter()
            .map(|p| p.row)
            .find(|p| domain.is_within(&p.domain)))
    }

    /// Starts to take in a message.
    pub fn begin(self: &Arc<Self>, by: &Principal, recipients: Vec<KepAddress>) -> Receiving {
        Receiving::new(self.clone(), by.clone(), recipients)
    }

    /// Leaves rejection evidence for a complete message that was refused.
    pub async fn leave_rejection(
        &self,
        by: &Principal,
        route: AuditRoute,
        recipients: &[KepAddress],
        header: &[u8],
        refusal: &Refusal,
    ) -> Result<(), Failure> {
        // An answer to a status message or a question about documents is no mail: nothing is attested of it.
        let is_mail = |to| self.answered(to).is_none() && !enquiry::is_address(to, &self.identity.domain);
        if recipients.is_empty() || !recipients.iter().all(is_mail) {
            return Ok(());
        }
        let organisation = self.organisations.of(by.tenant)?;
        let now = self.clock.now();
        let seen = Summary::of(header);
        let mail = MailId::fresh(&*self.ids);
        let happened = Happened::new(EvidenceKind::SubmissionAcceptanceRejection, Event::Rejection, now)
            .because(rejection_reason(refusal.kind), refusal.text.clone());
        let mut facts = Owing {
            identity: &self.identity,
            ids: &*self.ids,
        }
        .facts(&happened);
        facts.submission_time = Some(now);
        facts.sender = Party {
            address: organisation.tenant.address.to_string(),
            display: None,
            organisation: Some(organisation.tenant.title.clone()),
        };
        facts.recipients = recipients
            .iter()
            .map(|r| Party {
                address: r.to_string(),
                display: None,
                organisation: None,
            })
            .collect();
        facts.message = MessageFacts {
            subject: cut_text(&seen.subject),
            ua_message_id: seen.message_id.clone(),
            rem_message_id: self.identity.rem_message_id(mail, 0),
            original_sha256: None,
        };
        let owed = OwedEvidence {
            facts,
            addressees: vec![Addressee::Tenant {
                tenant: by.tenant,
                mail,
                item: None,
            }],
            thread: seen.message_id.unwrap_or_default(),
            then: Then::Nothing,
            attempts: 0,
        };
        let mut batch = Batch::new();
        // The reason as a word: the sentence may hold what the header said.
        let what =
            serde_json::json!({"reason": format!("{:?}", refusal.kind), "recipients": recipients.len()});
        let author = by.author(route);
        let record = AuditRecord::of_deed(
            now,
            author,
            "mail submit refused",
            vec![Matter::Mail(mail)],
            &what,
        );
        audit::append(&mut batch, by.tenant, 0, &record)?;
        Owing {
            identity: &self.identity,
            ids: &*self.ids,
        }
        .as_stated(&mut batch, &owed, now)?;
        self.db.commit(batch).await?;
        self.bells.notary.ring();
        Ok(())
    }
}

/// The user behind a principal, if he may hand in mail as things stand: asked at the door, and again by the commit, for a
/// right that is lost in mid-flight counts at once.
fn composer<'o>(organisation: &'o Organisation, by: &Principal) -> Result<&'o User, Failure> {
    if !organisation.tenant.life.may_send() {
        let say = "this account does not send now: it is suspended or closing";
        return Err(Failure::refused(Kind::AccountClosed, say));
    }
    let user = organisation.users.get(&by.user).filter(|u| !u.removed);
    let user = user.ok_or_else(|| Failure::refused(Kind::NoPermission, "this user has been removed"))?;
    if organisation.may(user, Permission::Compose) {
        return Ok(user);
    }
    let say = "you have no permission to compose; ask your account's administrator";
    Err(Failure::refused(Kind::NoPermission, say))
}

fn cut_text(text: &str) -> String {
    let mut end = text.len().min(crate::domain::mail::SUBJECT_MAX_OCTETS);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

/// The ETSI reason a refusal is told under.
fn rejection_reason(kind: Kind) -> Reason {
    match kind {
        Kind::Malformed => Reason::InvalidMessageFormat,
        Kind::UnknownRecipient | Kind::NotKepAddress => Reason::UnknownRecipient,
        Kind::UnknownProvider => Reason::PeerNotIdentified,
        Kind::BadSignature => Reason::InvalidUserSignature,
        Kind::SignerEnded => Reason::UserCertExpiredOrRevoked,
        // Too little credit as well: no published reason speaks of money, and not to take unpaid mail is the provider's policy. The
        // sentence stands in the details.
        _ => Reason::PolicyViolation,
    }
}
