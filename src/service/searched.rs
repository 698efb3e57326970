//! What of a letter is searched, for the scan and for the index alike: there is one definition, and it is here.
//!
//! A text is found in a letter when it stands in one of these passages: the decoded value of a header field;
//! an address of an address field, by itself and as it is displayed; the decoded text of a text part, attachments included (HTML
//! without its marks); a decoded header field of a message inside; the file name of a part. A text does not reach across two of them.
//! All of it is searched: a mail is no larger than the domain allows. But in evidence no message inside is: what a receipt
//! carries is the mail, which is found itself, and not once more for each of its recipients.
//!
//! Passages are words that people write or plain text of machines ([`Script`]). In words the letters are compared by the
//! rule of the search, in plain text by ASCII's always (`domain::needle`): nobody's address or Message-ID is Turkish.
//!
//! The index (`store::fulltext`) is asked here too. What it does not know yet or cannot decide it says so, and then the letter
//! is read: it never changes an answer.

use crate::domain::folding::{plain_fold, turkish_fold};
use crate::domain::item::ItemKind;
use crate::domain::needle::Wanted;
use crate::id::{ItemId, TenantId};
use crate::mime::mailbox::{Entry, Mailbox, mailboxes, parse_list};
use crate::mime::scan::TOP_HEADER_MAX_OCTETS;
use crate::mime::structure::{Part, PartKind, Span};
use crate::mime::{decode, field};
use crate::service::bell::Bell;
use crate::service::failure::Failure;
use crate::service::octets::ContentReader;
use crate::service::outline::Outline;
use crate::store::fulltext::{Field, Fulltext, FulltextError, Hits, ItemSet, Snapshot};
use crate::store::spool::Spool;
use crate::store::tables::items::Content;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Grows when the definition above or the folding changes: then indexes are made anew.
pub const DEFINITION: u32 = 4;
/// A letter with more octets of text than this is large: decoding it takes several times as much memory, and a moment.
const LARGE_OCTETS: u64 = 1024 * 1024;
/// Large letters whose text is in memory at once: some 100 MB each at most.
const LARGE_AT_ONCE: usize = 2;
/// Questions to the index worked on at once: each may use a core, and tens of megabytes.
const QUESTIONS_AT_ONCE: usize = 4;
/// Fields that hold addresses.
const ADDRESSES: [&str; 6] = ["From", "Sender", "Reply-To", "To", "Cc", "Bcc"];
/// Fields with words for people (RFC 5322 3.6.5, RFC 2045 8). All others are for machines, also those nobody knows.
const WORDS: [&str; 5] = [
    "Subject",
    "Comments",
    "Keywords",
    "Content-Description",
    "Thread-Topic",
];

/// Who writes a passage, and so by which rule it is folded and compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Script {
    Words,
    Plain,
}

/// A folded text that is searched by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passage {
    pub script: Script,
    pub text: String,
}

impl Passage {
    fn new(script: Script, text: &str) -> Self {
        let text = match script {
            Script::Words => turkish_fold(text),
            Script::Plain => plain_fold(text),
        };
        Self { script, text }
    }

    pub fn holds(&self, wanted: &Wanted) -> bool {
        match self.script {
            Script::Words => wanted.is_in_words(&self.text),
            Script::Plain => wanted.is_in_plain(&self.text),
        }
    }
}

/// Whether an address list holds a text: in an address, or in an address with its name as it is displayed.
pub fn in_list(list: &[Entry], wanted: &Wanted) -> bool {
    mailboxes(list).any(|one| {
        let plain = || Passage::new(Script::Plain, &one.address());
        plain().holds(wanted) || wanted.is_in_words(&turkish_fold(&displayed(one)))
    })
}

/// An address as it is displayed.
fn displayed(one: &Mailbox) -> String {
    match one.display() {
        Some(name) => format!("{name} <{}>", one.address()),
        None => one.address(),
    }
}

/// The passages of a header block, each with the name of its field. An address field has its value, and its addresses by
/// themselves and as they are displayed.
pub fn header_passages(block: &[u8]) -> Vec<(String, Passage)> {
    let mut all = Vec::new();
    for one in field::fields(block) {
        let name = String::from_utf8_lossy(one.name);
        let mut add = |script, text: &str| all.push((name.clone().into_owned(), Passage::new(script, text)));
        let value = decode::words(&one.text());
        if !ADDRESSES.iter().any(|name| one.is(name)) {
            let for_people = WORDS.iter().any(|name| one.is(name));
            add(if for_people { Script::Words } else { Script::Plain }, &value);
            continue;
        }
        add(Script::Words, &value);
        let folded = turkish_fold(&value);
        for address in mailboxes(&parse_list(one.value)) {
            let line = displayed(address);
            if !folded.contains(&turkish_fold(&line)) {
                add(Script::Words, &line);
            }
            add(Script::Plain, &address.address());
        }
    }
    all
}

/// The part of a header block that is read.
pub fn header_range(span: Span) -> std::ops::Range<u64> {
    let end = span
        .end
        .min(span.start.saturating_add(TOP_HEADER_MAX_OCTETS as u64));
    span.start..end
}

/// The texts of a letter's body, decoded and folded.
#[derive(Debug)]
pub struct BodyText {
    passages: Vec<Passage>,
    /// Large ones take a place as long as they are in memory.
    _place: Option<OwnedSemaphorePermit>,
}

impl BodyText {
    /// Whether a text stands in one of them.
    pub fn holds(&self, wanted: &Wanted) -> bool {
        wanted.is_empty() || self.passages.iter().any(|passage| passage.holds(wanted))
    }

    pub fn passages(&self) -> &[Passage] {
        &self.passages
    }
}

/// The parts that are searched, each with whether it is the body of a message inside. A part stands behind the one it lies in.
fn searched_parts(outline: &Outline, kind: ItemKind) -> Vec<(&Part, bool)> {
    let parts = &outline.structure.parts;
    let mut searched: Vec<(&Part, bool)> = Vec::with_capacity(parts.len());
    // Whether what lies in a part of this number is searched.
    let mut open: Vec<bool> = Vec::with_capacity(parts.len());
    for part in parts {
        let parent = part.parent.map(usize::from);
        let is_searched = parent.is_none_or(|parent| open.get(parent).copied().unwrap_or_default());
        let is_message = part.kind == PartKind::Message;
        open.push(is_searched && !(is_message && kind == ItemKind::Evidence));
        if is_searched {
            let within = parent.and_then(|parent| parts.get(parent));
            searched.push((
                part,
                within.is_some_and(|parent| parent.kind == PartKind::Message),
            ));
        }
    }
    searched
}

fn is_text(part: &Part) -> bool {
    part.kind == PartKind::Leaf && part.media_type().0.eq_ignore_ascii_case("text")
}

/// Where a text is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Within {
    Header,
    Body,
}

/// What the index says about some texts.
#[derive(Debug)]
pub struct LookedUp {
    covered: Arc<ItemSet>,
    hits: Vec<Hits>,
}

impl LookedUp {
    /// Whether the index knows the item.
    pub fn covers(&self, item: ItemId) -> bool {
        self.covered.contains(item)
    }

    /// Whether text number `n` stands in an item; `None`: the item has to be read.
    pub fn verdict(&self, item: ItemId, n: usize) -> Option<bool> {
        let hits = self.hits.get(n).filter(|_| self.covered.contains(item))?;
        match (hits.sure.contains(item), hits.unsure.contains(item)) {
            (true, _) => Some(true),
            (false, true) => None,
            (false, false) => Some(false),
        }
    }
}

/// The texts of all letters, and where they stand by the index.
pub struct Texts {
    spool: Arc<Spool>,
    /// `None`: there is no index, all is read.
    fulltext: Option<Arc<Fulltext>>,
    /// Rung when the index has to be looked after.
    bell: Bell,
    large: Arc<Semaphore>,
    questions: Arc<Semaphore>,
    /// Whose new items a search has just had to read.
    wanting: Mutex<HashSet<TenantId>>,
}

impl Texts {
    pub fn new(spool: Arc<Spool>, fulltext: Option<Arc<Fulltext>>, bell: Bell) -> Self {
        Self {
            spool,
            fulltext,
            bell,
            large: Arc::new(Semaphore::new(LARGE_AT_ONCE)),
            questions: Arc::new(Semaphore::new(QUESTIONS_AT_ONCE)),
            wanting: Mutex::default(),
        }
    }

    /// A search met items the index does not know: whoever searches once searches again.
    pub fn want_index(&self, tenant: TenantId) {
        if self.fulltext.is_some() && self.wanting().insert(tenant) {
            self.bell.ring();
        }
    }

    /// Whether the index of a tenant is wanted now. Said once.
    pub fn is_index_wanted(&self, tenant: TenantId) -> bool {
        self.wanting().remove(&tenant)
    }

    fn wanting(&self) -> MutexGuard<'_, HashSet<TenantId>> {
        self.wanting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn index(&self) -> Option<&Arc<Fulltext>> {
        self.fulltext.as_ref()
    }

    /// The passages of a letter's own header, with the names of their fields.
    pub async fn header(
        &self,
        content: &Content,
        outline: &Outline,
    ) -> Result<Vec<(String, Passage)>, Failure> {
        match outline.structure.root() {
            Some(root) => Ok(header_passages(
                &self.read(content, header_range(root.header)).await?,
            )),
            None => Ok(Vec::new()),
        }
    }

    async fn read(&self, content: &Content, range: std::ops::Range<u64>) -> Result<Vec<u8>, Failure> {
        ContentReader::range(&self.spool, content, range).collect().await
    }

    /// The texts of a letter's body.
    pub async fn body(
        &self,
        content: &Content,
        outline: &Outline,
        kind: ItemKind,
    ) -> Result<BodyText, Failure> {
        let parts = searched_parts(outline, kind);
        let texts = parts.iter().filter(|(part, _)| is_text(part));
        let large = texts.map(|(part, _)| part.body.octets()).sum::<u64>() > LARGE_OCTETS;
        let closed = |_| Failure::Unavailable("the house is closing".into());
        let place = match large {
            true => Some(self.large.clone().acquire_owned().await.map_err(closed)?),
            false => None,
        };
        let mut passages = Vec::new();
        for (part, is_body_of_message) in parts {
            if is_body_of_message {
                let block = self.read(content, header_range(part.header)).await?;
                passages.extend(header_passages(&block).into_iter().map(|(_, passage)| passage));
            }
            passages.extend(part.file_name().map(|name| Passage::new(Script::Words, &name)));
            if is_text(part) && part.body.octets() > 0 {
                let body = self.read(content, part.body.range()).await?;
                passages.extend(decoded(part, body).await?);
            }
        }
        passages.retain(|passage| !passage.text.is_empty());
        Ok(BodyText {
            passages,
            _place: place,
        })
    }

    /// Asks the index about texts; `None` when there is none to ask.
    pub async fn look_up(&self, tenant: TenantId, texts: Vec<(Within, Wanted)>) -> Option<LookedUp> {
        let fulltext = self.fulltext.clone().filter(|_| !texts.is_empty())?;
        let place = self.questions.clone().acquire_owned().await.ok()?;
        let asked = tokio::task::spawn_blocking(move || {
            let _place = place;
            ask(&fulltext, tenant, &texts)
        });
        match asked.await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                tracing::error!(tenant = tenant.0, %error, "searching without the index");
                self.bell.ring();
                None
            }
            Err(_) => None,
        }
    }
}

/// A text part decoded and folded; what is large is done away from the threads that serve sockets.
async fn decoded(part: &Part, body: Vec<u8>) -> Result<Option<Passage>, Failure> {
    let fold = |part: &Part, body: &[u8]| {
        let text = decode::text(part, body, body.len());
        text.map(|text| Passage::new(Script::Words, &text))
    };
    if (body.len() as u64) <= LARGE_OCTETS {
        return Ok(fold(part, &body));
    }
    let part = part.clone();
    let work = tokio::task::spawn_blocking(move || fold(&part, &body));
    work.await
        .map_err(|_| Failure::Broken("decoding a text broke off".into()))
}

/// Asks the index as it is now; again, when segments were joined meanwhile.
fn ask(
    fulltext: &Fulltext,
    tenant: TenantId,
    texts: &[(Within, Wanted)],
) -> Result<Option<LookedUp>, FulltextError> {
    loop {
        let Some(snapshot) = fulltext.snapshot(tenant)? else {
            return Ok(None);
        };
        let found = find_all(&snapshot, texts);
        fulltext.tidy();
        match found {
            Ok(hits) => {
                let covered = snapshot.covered();
                return Ok(Some(LookedUp { covered, hits }));
            }
            Err(error) if fulltext.failed(&snapshot, &error) => {}
            Err(error) => return Err(error),
        }
    }
}

fn find_all(snapshot: &Snapshot, texts: &[(Within, Wanted)]) -> Result<Vec<Hits>, FulltextError> {
    let mut questions: Vec<(Field, &Wanted)> = Vec::with_capacity(2 * texts.len());
    for (within, wanted) in texts {
        questions.extend(match within {
            Within::Header => [(Field::HeaderWords, wanted), (Field::HeaderPlain, wanted)],
            Within::Body => [(Field::BodyWords, wanted), (Field::BodyPlain, wanted)],
        });
    }
    let found = snapshot.find_all(&questions)?;
    let both = |hits: &[Hits]| {
        hits.iter().fold(Hits::default(), |mut all, hits| {
            all.add(hits);
            all
        })
    };
    Ok(found.chunks(2).map(both).collect())
}

impl From<FulltextError> for Failure {
    fn from(error: FulltextError) -> Self {
        match error {
            FulltextError::Store(error) => error.into(),
            FulltextError::Commit(error) => error.into(),
            FulltextError::Damaged(_) => Failure::Broken(error.to_string()),
            FulltextError::Io(_) | FulltextError::Changed => Failure::Unavailable(error.to_string()),
        }
    }
}
