//! Tells everyone concerned what became of a job: a short message in the thread of its mail, at each stage.
//!
//! Every entry of a job's history leaves an owed word behind, in the commit that wrote it (`store::tables::jobs`). This
//! station works out who is concerned (`domain::job`), writes the messages of all of them into one blob, and commits, some
//! users at a time, their items, the addresses by which each may answer once, and how far it has come. A crash between
//! the blob and the commit leaves a blob that no row names; nobody is told twice. RFC 3834: automatic messages say so.

mod low_credit;

use crate::address::KepAddress;
use crate::clock::{Clock, UtcTime};
use crate::domain::item::{Item, ItemKind};
use crate::domain::job::{Call, Entry, Job, Terms};
use crate::domain::org::{Organisation, Roll};
use crate::domain::reply::{self, ReplyToken};
use crate::domain::selector::{Place, Viewer};
use crate::id::{IdSource, TenantId, UserId};
use crate::mime::Structure;
use crate::mime::compose;
use crate::mime::summary::Summary;
use crate::rem::layout::clean_message_id;
use crate::rem::notice::job::JobStatus;
use crate::service::bell::Bells;
use crate::service::failure::Failure;
use crate::service::identity::Identity;
use crate::service::item_numbers::ItemNumbers;
use crate::service::organisation::Organisations;
use crate::service::outline::Outline;
use crate::service::putting_off::{AFTER_FAILURE, put_off};
use crate::service::yielding::commit_or_yield;
use crate::store::db::{Batch, Db};
use crate::store::spool::{BlobId, Spool};
use crate::store::tables::items::{Content, Piece};
use crate::store::tables::mails::digest;
use crate::store::tables::replies::{self, ReplyReference};
use crate::store::tables::work::{self, EndingReply, OwedStatus};
use crate::store::tables::{Stored, items, jobs};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Owed words, and ending addresses, looked at in one go.
const AT_ONCE: usize = 64;
/// Users told by one commit: five rows each, far below what a batch may hold, and a blob of a few megabytes.
const TOLD_AT_ONCE: usize = 500;

pub struct Herald {
    pub db: Arc<dyn Db>,
    pub spool: Arc<Spool>,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn IdSource>,
    pub organisations: Arc<Organisations>,
    pub identity: Arc<Identity>,
    pub items: Arc<ItemNumbers>,
    pub bells: Bells,
    pub terms: Arc<Terms>,
}

/// A message in the blob of all: a head of its own, and a body that others may share.
struct Message {
    user: UserId,
    token: ReplyToken,
    pieces: [std::ops::Range<usize>; 2],
}

impl Herald {
    /// Tells what is owed, and forgets answer addresses that have ended. Gives how much there was.
    pub async fn run_due(&self) -> Result<usize, Failure> {
        let now = self.clock.now();
        let owed = work::due::<OwedStatus>(&*self.db, now, AT_ONCE)?;
        for status in &owed {
            if let Err(failure) = self.tell(status).await {
                tracing::error!(job = %status.row.job, entry = status.row.entry, %failure, "status message");
                put_off(&*self.db, status, now.plus(AFTER_FAILURE)).await?;
            }
        }
        let ended = work::due::<EndingReply>(&*self.db, now, AT_ONCE)?;
        let mut batch = Batch::new();
        for ending in &ended {
            replies::end(&mut batch, ending);
        }
        if !ended.is_empty() {
            commit_or_yield(&*self.db, batch).await?;
        }
        Ok(owed.len() + ended.len() + self.tell_low_credit(now).await?)
    }

    /// Tells the next of those concerned; what is owed then is to tell the others, or nothing.
    async fn tell(&self, owed: &Stored<OwedStatus>) -> Result<(), Failure> {
        let OwedStatus {
            tenant,
            job,
            entry,
            standing,
            participants,
            told,
        } = owed.row.clone();
        let mut batch = Batch::new();
        let found = jobs::job(&*self.db, tenant, job)?.zip(jobs::entry(&*self.db, tenant, job, entry)?);
        let Some((stored, entry)) = found else {
            owed.remove(&mut batch);
            return commit_or_yield(&*self.db, batch).await;
        };
        let organisation = self.organisations.of(tenant)?;
        let job = stored.row.as_it_was(standing, participants);
        let now = self.clock.now();
        let mut hearers = job.hearers(&organisation, &entry, now);
        if let Some(told) = told {
            hearers = hearers.split_off(&UserId(told.0.saturating_add(1)));
        }
        let item = items::item(&*self.db, tenant, job.item)?;
        let (hearers, more) = next_of(hearers, &organisation, item.as_ref().map(|item| &item.row), now);
        if more {
            let told = hearers.keys().next_back().copied();
            let rest = OwedStatus {
                told,
                ..owed.row.clone()
            };
            owed.replace(&mut batch, &rest)?;
        } else {
            owed.remove(&mut batch);
        }
        let letter = Letter {
            herald: self,
            organisation: &organisation,
            job: &job,
            entry: &entry,
            now,
        };
        letter.file(&mut batch, &hearers).await?;
        commit_or_yield(&*self.db, batch).await?;
        tracing::info!(job = %job.id, entry = entry.n, deed = entry.happening.deed.word(), told = hearers.len(),
            more, "told");
        self.bells.mailboxes.ring(tenant);
        Ok(())
    }
}

/// The next of those concerned who see the mail, and whether there are more. Nobody hears of a mail he does not see: who
/// manages jobs manages those he sees. Only so many are asked what they see as are told.
fn next_of(
    hearers: BTreeMap<UserId, Call>,
    org: &Organisation,
    item: Option<&Item>,
    now: UtcTime,
) -> (BTreeMap<UserId, Call>, bool) {
    let roll = Roll::of_all(org, now);
    let sees = |user: UserId| {
        let place = org.users.get(&user).map(|u| (u, Place::on(&roll, u)));
        let viewer = place.as_ref().map(|(u, place)| Viewer::placed(org, u, place));
        viewer
            .zip(item)
            .is_some_and(|(viewer, item)| viewer.sees(item, None))
    };
    let mut seeing = hearers.into_iter().filter(|(user, _)| sees(*user));
    let next = seeing.by_ref().take(TOLD_AT_ONCE).collect();
    let more = seeing.next().is_some();
    (next, more)
}

/// One entry, as it is told to some of those concerned.
struct Letter<'a> {
    herald: &'a Herald,
    organisation: &'a Organisation,
    job: &'a Job,
    entry: &'a Entry,
    now: UtcTime,
}

impl Letter<'_> {
    fn tenant(&self) -> TenantId {
        self.job.tenant
    }

    /// Stores the messages, and adds to the batch what makes them known.
    async fn file(&self, batch: &mut Batch, hearers: &BTreeMap<UserId, Call>) -> Result<(), Failure> {
        if hearers.is_empty() {
            return Ok(());
        }
        let (octets, messages) = self.write(hearers)?;
        let blob = self.herald.spool.store(&octets).await?;
        for message in messages {
            self.add(batch, &octets, blob.id, &message)?;
        }
        Ok(())
    }

    /// All messages in one run of octets. Those of whom the same is asked share a body, unless it names a command: that
    /// names its user as well, and a few thousand octets for each are the price.
    fn write(&self, hearers: &BTreeMap<UserId, Call>) -> Result<(Vec<u8>, Vec<Message>), Failure> {
        let status = self.status();
        let words = status.words();
        let mut octets = Vec::new();
        let mut add = |part: &[u8]| {
            let from = octets.len();
            octets.extend_from_slice(part);
            from..octets.len()
        };
        let mut bodies = BTreeMap::new();
        let mut messages = Vec::new();
        for (user, call) in hearers {
            let named = call.has_command().then_some(*user);
            let body = bodies.entry((*call, named)).or_insert_with(|| {
                let reader = named.and_then(|user| self.organisation.users.get(&user));
                let text = words.text(*call, reader);
                let boundary = compose::boundary("status", self.herald.ids.uuid());
                add(&compose::alternative(&text.plain, &text.html, &boundary))
            });
            let body = body.clone();
            let token = ReplyToken::fresh(&*self.herald.ids);
            messages.push(Message {
                user: *user,
                token,
                pieces: [add(self.head(&status, *user, token)?.as_bytes()), body],
            });
        }
        Ok((octets, messages))
    }

    fn status(&self) -> JobStatus<'_> {
        JobStatus {
            org: self.organisation,
            job: self.job,
            entry: self.entry,
            due: self.job.due(&self.herald.terms),
            answer_until: reply::valid_until(self.now),
        }
    }

    /// The header block up to the fields of the body. The Message-ID says which word to whom it is: told again after a
    /// crash it is the same.
    fn head(&self, status: &JobStatus<'_>, user: UserId, token: ReplyToken) -> Result<String, Failure> {
        let (identity, tenant) = (&self.herald.identity, &self.organisation.tenant);
        let thread = clean_message_id(&self.job.thread)
            .map(|id| format!("In-Reply-To: {id}\r\nReferences: {id}\r\n"))
            .unwrap_or_default();
        let answers: KepAddress = token
            .address(&identity.service.domain())
            .map_err(|e| Failure::Broken(e.to_string()))?;
        Ok(format!(
            "From: {from}\r\nTo: {to}\r\nReply-To: {answers}\r\nSubject: {subject}\r\nDate: {date}\r\n\
             Message-ID: <{job}.{entry}.{user}@{domain}>\r\n{thread}Auto-Submitted: auto-generated\r\n\
             X-KEP-Is: {job}\r\nMIME-Version: 1.0\r\n",
            from = compose::mailbox(Some(&identity.issuer.name), identity.service.as_str()),
            to = compose::mailbox(Some(&tenant.title), tenant.address.as_str()),
            subject = compose::unstructured(&status.subject()),
            date = self.now.rfc5322(),
            job = self.job.id,
            entry = self.entry.n,
            domain = identity.domain,
        ))
    }

    /// One user's message: its item, and the address by which he may answer it.
    fn add(&self, batch: &mut Batch, octets: &[u8], blob: BlobId, message: &Message) -> Result<(), Failure> {
        let missing = || Failure::Broken("a status message lies outside its blob".into());
        let mut own = Vec::new();
        for piece in &message.pieces {
            own.extend_from_slice(octets.get(piece.clone()).ok_or_else(missing)?);
        }
        let outline = Outline {
            structure: Structure::of(&own),
            summary: Summary::of(&own),
        };
        let pieces = message.pieces.iter().map(|piece| Piece {
            blob,
            from: piece.start as u64,
            len: piece.len() as u64,
        });
        let content = Content {
            pieces: pieces.collect(),
        };
        let id = self.herald.items.next(self.tenant())?;
        let item = Item {
            author: Some(message.user),
            ..Item::new(id, ItemKind::Notice, self.now)
        };
        items::add(batch, self.tenant(), &item, &outline.body(content))?;
        let reference = ReplyReference {
            job: self.job.id,
            user: message.user,
            item: id,
            until: reply::valid_until(self.now),
            used_by: None,
        };
        let token_sha256 = digest(&message.token.octets());
        Ok(replies::add(batch, self.tenant(), token_sha256, &reference)?)
    }
}
