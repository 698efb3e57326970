//! A user mails documents to `dogrula@PROVIDER`, and the findings come back into his INBOX.
//!
//! Judged while he waits for his `250`: at most some seconds, most of them for the authorities; so there is nothing owed,
//! nothing to lose and nothing to be done twice. His mail itself is not kept; the answer names the digest of every document judged. The same
//! Message-ID again is the same question, whose answer he has. No evidence is owed and nothing is charged. Trust is that
//! of this provider and of the peers it knows: of what the documents themselves bring along only what an authority signed
//! counts, certificates on the way to those anchors and what was said of revocation. Whether their certificates were
//! revoked is asked of the authorities before the answer is written; where nobody answers in time, the answer says that it
//! is not known. Where this provider asks nobody, a document is refused only by what it brings along itself.

use crate::address::KepAddress;
use crate::clock::{Clock, UtcTime};
use crate::cms::RevocationShelf;
use crate::domain::enquiry;
use crate::domain::item::{Item, ItemKind};
use crate::domain::org::Organisation;
use crate::id::{IdSource, ItemId};
use crate::mime::compose;
use crate::mime::summary::Summary;
use crate::rem::layout::clean_message_id;
use crate::rem::notice::findings::Answer;
use crate::seal::reliance::Distrust;
use crate::seal::{Asker, Relied, TrustStore};
use crate::service::account::Principal;
use crate::service::aside::aside;
use crate::service::bell::Bells;
use crate::service::failure::{Failure, Kind};
use crate::service::identity::{Identity, Published};
use crate::service::item_numbers::ItemNumbers;
use crate::service::organisation::Organisations;
use crate::service::outline::Outline;
use crate::service::submission::{check_header, header_end};
use crate::store::db::{Batch, CommitError, Db};
use crate::store::spool::Spool;
use crate::store::tables::items::Content;
use crate::store::tables::mails::{self, Known};
use crate::store::tables::{items, peers};
use crate::validation::attached::{Attached, judge_attached};
use crate::validation::{Basis, Judged, report};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Questions held in memory at once: each may have the size of the largest mail.
const AT_ONCE: usize = 4;
/// Octets of a question: a dispatch of the largest size, attached in base64, is asked about with `kepctl`.
const QUESTION_MAX_OCTETS: usize = 32 * 1024 * 1024;

/// The longest an asker waits for authorities; his mail client waits minutes for the end of what it hands in.
const WAIT_MAX: Duration = Duration::from_secs(15);

pub struct Enquiries {
    pub db: Arc<dyn Db>,
    pub spool: Arc<Spool>,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn IdSource>,
    pub organisations: Arc<Organisations>,
    pub identity: Arc<Identity>,
    pub items: Arc<ItemNumbers>,
    pub bells: Bells,
    /// PEM: anchors and intermediates of our own seal and time-stamp authority.
    pub published: Arc<Published>,
    pub turns: Turns,
    /// None: nobody is asked whether certificates were revoked.
    pub asker: Option<Arc<Asker>>,
}

/// Who may hold a question in memory.
pub struct Turns(Arc<Semaphore>);

impl Default for Turns {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }
}

impl Enquiries {
    /// Whether this is the address that answers.
    pub fn is_asked(&self, to: &KepAddress) -> bool {
        enquiry::is_address(to, &self.identity.domain)
    }

    /// Starts to take a question in.
    pub fn begin(self: &Arc<Self>, by: &Principal) -> Result<Question, Failure> {
        let busy =
            |_| Failure::Unavailable("many documents are being verified; try again in a minute".into());
        let turn = self.turns.0.clone().try_acquire_owned().map_err(busy)?;
        Ok(Question {
            to: self.clone(),
            by: by.clone(),
            octets: Vec::new(),
            _turn: turn,
        })
    }

    fn trust(&self) -> Result<TrustStore, Failure> {
        let mut trust = TrustStore::new();
        let add = |trust: &mut TrustStore, pem: &str, whose: &str| {
            let broken = |e| Failure::Broken(format!("the trust anchors of {whose} cannot be read: {e}"));
            trust.add_pem_text(pem).map_err(broken)
        };
        add(
            &mut trust,
            &self.published.now().trust_pem,
            self.identity.domain.as_str(),
        )?;
        for peer in peers::all(&*self.db)? {
            add(&mut trust, &peer.row.trust_pem, peer.row.domain.as_str())?;
        }
        Ok(trust)
    }

    fn answer_octets(
        &self,
        organisation: &Organisation,
        asked: &Summary,
        attached: &Attached,
        now: UtcTime,
    ) -> Vec<u8> {
        let answer = Answer {
            all_ok: !attached.judged.is_empty() && attached.judged.iter().all(|j| j.is_ok()),
            documents: attached.judged.len(),
            cut: attached.cut,
            turkish: attached
                .judged
                .iter()
                .map(|j| report::words(j, Answer::TURKISH))
                .collect(),
            english: attached
                .judged
                .iter()
                .map(|j| report::words(j, Answer::ENGLISH))
                .collect(),
        };
        let list: Vec<serde_json::Value> = attached.judged.iter().map(report::object).collect();
        let json = serde_json::to_vec_pretty(&list).unwrap_or_default();
        let boundary = compose::boundary("bulgu", self.ids.uuid());
        let replied = asked.message_id.as_deref().and_then(clean_message_id);
        let thread = replied.map(|id| format!("In-Reply-To: {id}\r\nReferences: {id}\r\n"));
        let head = format!(
            "From: {from}\r\nTo: {to}\r\nSubject: {subject}\r\nDate: {date}\r\nMessage-ID: <{id}@{domain}>\r\n{thread}\
             Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n\
             Content-Type: multipart/mixed; boundary=\"{boundary}\"\r\n\r\n--{boundary}\r\n",
            from = compose::mailbox(Some(&self.identity.issuer.name), self.identity.service.as_str()),
            to = compose::mailbox(
                Some(&organisation.tenant.title),
                organisation.tenant.address.as_str()
            ),
            subject = compose::unstructured(&answer.subject(&asked.subject)),
            date = now.rfc5322(),
            id = self.ids.uuid(),
            domain = self.identity.domain,
            thread = thread.unwrap_or_default(),
        );
        let text = answer.text();
        let attachment = format!(
            "\r\n--{boundary}\r\nContent-Type: application/json; name=\"bulgular.json\"\r\n\
             Content-Disposition: attachment; filename=\"bulgular.json\"\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        );
        [
            head.into_bytes(),
            compose::alternative(
                &text.plain,
                &text.html,
                &compose::boundary("metin", self.ids.uuid()),
            ),
            attachment.into_bytes(),
            compose::base64_lines(&json),
            format!("\r\n--{boundary}--\r\n").into_bytes(),
        ]
        .concat()
    }
}

/// A question that is coming in.
pub struct Question {
    to: Arc<Enquiries>,
    by: Principal,
    octets: Vec<u8>,
    _turn: OwnedSemaphorePermit,
}

impl Question {
    /// Takes the next octets, dots unstuffed.
    pub fn write(&mut self, chunk: &[u8]) -> Result<(), Failure> {
        if self.octets.len() + chunk.len() > QUESTION_MAX_OCTETS {
            let say = format!(
                "at most {QUESTION_MAX_OCTETS} octets are verified by mail; use kepctl evidence verify"
            );
            return Err(Failure::refused(Kind::TooLarge, say));
        }
        self.octets.extend_from_slice(chunk);
        Ok(())
    }

    /// The question is complete. `Ok` means that its answer lies in the asker's INBOX and is durable; how many
    /// documents it tells of, or `None` when it had been answered before.
    pub async fn finish(self) -> Result<Option<usize>, Failure> {
        let to = self.to.clone();
        let organisation = to.organisations.of(self.by.tenant)?;
        let header = header_end(&self.octets, 0).unwrap_or(self.octets.len());
        let block = self.octets.get(..header).unwrap_or_default();
        check_header(&organisation, block)?;
        let asked = Summary::of(block);
        if self.answered(&asked)? {
            return Ok(None);
        }
        let trust = to.trust()?;
        let attached = judged(to.asker.as_deref(), self.octets, trust).await?;
        let now = to.clock.now();
        let answer = to.answer_octets(&organisation, &asked, &attached, now);
        file(&to, &self.by, &asked, &answer, now).await?;
        tracing::info!(by = %self.by.login, documents = attached.judged.len(), "documents verified");
        Ok(Some(attached.judged.len()))
    }

    /// Whether this very question has its answer: a client that never saw our 250 asks again.
    fn answered(&self, asked: &Summary) -> Result<bool, Failure> {
        let Some(id) = asked.message_id.as_deref() else {
            return Ok(false);
        };
        let known = mails::known(&*self.to.db, self.by.tenant, self.by.user, id)?;
        let item = match known {
            Some(known) => items::item(&*self.to.db, self.by.tenant, known.row.item)?,
            None => None,
        };
        Ok(item.is_some_and(|item| item.row.kind == ItemKind::Notice))
    }
}

/// Judges what is attached; first to know of whom to ask, then by what they said.
async fn judged(asker: Option<&Asker>, octets: Vec<u8>, trust: TrustStore) -> Result<Attached, Failure> {
    let (octets, trust) = (Arc::<[u8]>::from(octets), Arc::new(trust));
    let judge = |shelf: Option<RevocationShelf>| {
        let (octets, trust) = (octets.clone(), trust.clone());
        aside("verifying", move || match &shelf {
            Some(shelf) => judge_attached(&octets, Basis::known(&trust, shelf)),
            None => judge_attached(&octets, Basis::asked_elsewhere(&trust)),
        })
    };
    let first = judge(None).await?;
    let Some(asker) = asker else {
        let alone = judge(Some(RevocationShelf::default())).await?;
        return Ok(unless_revoked(first, alone));
    };
    let relied = |judged: &Judged| judged.relied.clone().into_iter().chain(judged.stamps.clone());
    let relied: Vec<Relied> = first.judged.iter().flat_map(relied).collect();
    let shelf = asker.gather(&trust, &relied, WAIT_MAX).await;
    judge(Some(shelf)).await
}

/// Where nobody is asked, silence is no doubt, but what a document brings counts: `alone` was judged by that.
fn unless_revoked(unasked: Attached, alone: Attached) -> Attached {
    let is_revoked = |judged: &Judged| {
        let mut relied = judged.relied.iter().chain(&judged.stamps);
        relied.any(|r| {
            r.distrust()
                .is_some_and(|why| !matches!(why, Distrust::Unknown(_)))
        })
    };
    // The same documents in the same order: what is judged by has no say in what is found.
    let pairs = unasked.judged.into_iter().zip(alone.judged);
    Attached {
        judged: pairs
            .map(|(unasked, alone)| if is_revoked(&alone) { alone } else { unasked })
            .collect(),
        cut: unasked.cut,
    }
}

/// Files the answer for the asker alone, and remembers the question by its Message-ID.
async fn file(
    to: &Enquiries,
    by: &Principal,
    asked: &Summary,
    answer: &[u8],
    now: UtcTime,
) -> Result<(), Failure> {
    let blob = to.spool.store(answer).await?;
    let content = Content::whole(blob.id, blob.size_bytes);
    let outline = Outline::of(&to.spool, &content).await?;
    let id: ItemId = to.items.next(by.tenant)?;
    let item = Item {
        author: Some(by.user),
        ..Item::new(id, ItemKind::Notice, now)
    };
    let mut batch = Batch::new();
    items::add(&mut batch, by.tenant, &item, &outline.body(content))?;
    if let Some(message_id) = asked.message_id.as_deref()
        && mails::known(&*to.db, by.tenant, by.user, message_id)?.is_none()
    {
        let known = Known { item: id, mail: None };
        mails::set_known(&mut batch, by.tenant, by.user, message_id, None, known)?;
    }
    match to.db.commit(batch).await {
        Ok(_) => {
            to.bells.mailboxes.ring(by.tenant);
            Ok(())
        }
        // On another connection the same question was faster; its answer is there.
        Err(CommitError::Conflict { .. }) => Ok(()),
        Err(other) => Err(other.into()),
    }
}
