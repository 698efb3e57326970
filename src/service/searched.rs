//! What of a letter is searched, for the scan and for the index alike: there is one definition, and it is here.
//!
//! A text is found in a letter when its folded form stands in one of these, folded: the decoded value of a header field;
//! an address of an address field as it is displayed; the decoded text of a text part, attachments included (HTML
//! without its marks); a decoded header field of a message inside; the file name of a part. A text does not reach across two of them.
//! All of it is searched: a mail is no larger than the domain allows.
//!
//! The index (`store::fulltext`) is asked here too. What it does not know yet or cannot decide it says so, and then the letter
//! is read: it never changes an answer.

use crate::domain::folding::turkish_fold;
use crate::id::{ItemId, TenantId};
use crate::mime::mailbox::{Entry, mailboxes, parse_list};
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
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Grows when the definition above or the folding changes: then indexes are made anew.
pub const DEFINITION: u32 = 1;
/// A letter with more octets of text than this is large: decoding it takes several times as much memory, and a moment.
const LARGE_OCTETS: u64 = 1024 * 1024;
/// Large letters whose text is in memory at once: some 100 MB each at most.
const LARGE_AT_ONCE: usize = 2;
/// Questions to the index worked on at once: each may use a core, and tens of megabytes.
const QUESTIONS_AT_ONCE: usize = 4;
/// Name under which an address of a field stands as it is displayed; no field is called so.
const DISPLAYED: &str = ":";

/// An address as it is displayed.
pub fn address_lines(list: &[Entry]) -> impl Iterator<Item = String> + '_ {
    mailboxes(list).map(|m| match m.display() {
        Some(name) => format!("{name} <{}>", m.address()),
        None => m.address(),
    })
}

/// Names and folded values of the fields of a header block; behind an address field, its addresses as they are displayed.
pub fn folded_fields(block: &[u8]) -> Vec<(String, String)> {
    const LISTS: [&str; 6] = ["From", "Sender", "Reply-To", "To", "Cc", "Bcc"];
    let mut folded = Vec::new();
    for one in field::fields(block) {
        let value = turkish_fold(&decode::words(&one.text()));
        let list = LISTS
            .iter()
            .any(|name| one.is(name))
            .then(|| parse_list(one.value));
        let lines = list
            .iter()
            .flat_map(|list| address_lines(list))
            .map(|line| turkish_fold(&line));
        let displayed: Vec<String> = lines.filter(|line| !value.contains(line.as_str())).collect();
        folded.push((String::from_utf8_lossy(one.name).into_owned(), value));
        folded.extend(displayed.into_iter().map(|line| (DISPLAYED.to_owned(), line)));
    }
    folded
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
    passages: Vec<String>,
    /// Large ones take a place as long as they are in memory.
    _place: Option<OwnedSemaphorePermit>,
}

impl BodyText {
    /// Whether a folded text stands in one of them.
    pub fn contains(&self, text: &str) -> bool {
        text.is_empty() || self.passages.iter().any(|passage| passage.contains(text))
    }

    pub fn passages(&self) -> impl Iterator<Item = &str> {
        self.passages.iter().map(String::as_str)
    }
}

/// Octets of a letter that are decoded to search it.
pub fn text_octets(outline: &Outline) -> u64 {
    let parts = outline.structure.parts.iter().filter(|part| is_text(part));
    parts.map(|part| part.body.octets()).sum()
}

fn is_text(part: &Part) -> bool {
    part.kind == PartKind::Leaf && part.media_type().0.eq_ignore_ascii_case("text")
}

/// Where a text is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Within {
    Header,
    Body,
    Anywhere,
}

/// What the index says about some texts.
#[derive(Debug)]
pub struct LookedUp {
    covered: Arc<ItemSet>,
    hits: Vec<Hits>,
}

impl LookedUp {
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
}

impl Texts {
    pub fn new(spool: Arc<Spool>, fulltext: Option<Arc<Fulltext>>, bell: Bell) -> Self {
        Self {
            spool,
            fulltext,
            bell,
            large: Arc::new(Semaphore::new(LARGE_AT_ONCE)),
            questions: Arc::new(Semaphore::new(QUESTIONS_AT_ONCE)),
        }
    }

    pub fn index(&self) -> Option<&Arc<Fulltext>> {
        self.fulltext.as_ref()
    }

    /// The folded fields of a letter's own header.
    pub async fn header(
        &self,
        content: &Content,
        outline: &Outline,
    ) -> Result<Vec<(String, String)>, Failure> {
        match outline.structure.root() {
            Some(root) => Ok(folded_fields(
                &self.read(content, header_range(root.header)).await?,
            )),
            None => Ok(Vec::new()),
        }
    }

    async fn read(&self, content: &Content, range: std::ops::Range<u64>) -> Result<Vec<u8>, Failure> {
        ContentReader::range(&self.spool, content, range).collect().await
    }

    /// The texts of a letter's body.
    pub async fn body(&self, content: &Content, outline: &Outline) -> Result<BodyText, Failure> {
        let large = text_octets(outline) > LARGE_OCTETS;
        let closed = |_| Failure::Unavailable("the house is closing".into());
        let place = match large {
            true => Some(self.large.clone().acquire_owned().await.map_err(closed)?),
            false => None,
        };
        let parts = &outline.structure.parts;
        let mut passages = Vec::new();
        for part in parts {
            let within = part.parent.and_then(|parent| parts.get(usize::from(parent)));
            if within.is_some_and(|parent| parent.kind == PartKind::Message) {
                let block = self.read(content, header_range(part.header)).await?;
                passages.extend(folded_fields(&block).into_iter().map(|(_, value)| value));
            }
            passages.extend(part.file_name().map(|name| turkish_fold(&name)));
            if is_text(part) && part.body.octets() > 0 {
                let body = self.read(content, part.body.range()).await?;
                passages.extend(decoded(part, body).await?);
            }
        }
        passages.retain(|passage| !passage.is_empty());
        Ok(BodyText {
            passages,
            _place: place,
        })
    }

    /// Asks the index about folded texts; `None` when there is none to ask.
    pub async fn look_up(&self, tenant: TenantId, texts: Vec<(Within, String)>) -> Option<LookedUp> {
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
async fn decoded(part: &Part, body: Vec<u8>) -> Result<Option<String>, Failure> {
    let fold =
        |part: &Part, body: &[u8]| decode::text(part, body, body.len()).map(|text| turkish_fold(&text));
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
    texts: &[(Within, String)],
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

fn find_all(snapshot: &Snapshot, texts: &[(Within, String)]) -> Result<Vec<Hits>, FulltextError> {
    let one = |(within, text): &(Within, String)| {
        let fields: &[Field] = match within {
            Within::Header => &[Field::Header],
            Within::Body => &[Field::Body],
            Within::Anywhere => &Field::ALL,
        };
        let mut all = Hits::default();
        for field in fields {
            all.add(&snapshot.find(*field, text)?);
        }
        Ok::<_, FulltextError>(all)
    };
    texts.iter().map(one).collect()
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
