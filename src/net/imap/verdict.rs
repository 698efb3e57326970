//! Whether a SEARCH key holds for a message (RFC 9051 6.4.4): what is cheap is asked first, octets are read only when
//! nothing else decides.
//!
//! Texts are compared decoded, by the letters of the search's charset (`narrowing`). A key is answered in stages, each
//! knowing more: the UID, the flags, the size, the outline, the header block, the text. The text of a consigned mail that
//! nobody has read is not searched (`service::mailbox::unread`), and the searcher is told so where nothing but that text
//! could have decided: whatever stands in it, so that the word says nothing of it. A mail that cannot be read is found by
//! nothing, and the searcher is told that there was one.

use super::carry::flags;
use super::narrowing::{Narrowing, Ready, Text};
use super::object_id::{email_id, thread_id};
use crate::clock::UtcTime;
use crate::domain::folding::turkish_fold;
use crate::domain::selector::Viewer;
use crate::id::ItemId;
use crate::imap::flag::{Flag, Flags};
use crate::imap::search::{Charset, Date, MONTHS, SearchKey, When};
use crate::imap::set::UidRanges;
use crate::service::account::Principal;
use crate::service::failure::Failure;
use crate::service::mailbox::{Letter, Look, Mailboxes, MarkReader, MayBeUnread, Opened, Said};
use crate::service::searched::{BodyText, Passage, header_passages, in_list};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

pub(super) type Key = SearchKey<UidRanges>;

/// A key made ready to be asked of many messages.
pub(super) struct Question {
    key: Ready,
    /// The moment from which OLDER and YOUNGER count back.
    now: UtcTime,
    /// Sizes are asked for, which are had without the outline.
    sizes: bool,
    /// Flags are asked for, which are had without the item.
    flags: bool,
    /// What the index says.
    narrowing: Narrowing,
    /// Given when the texts of mails are asked about.
    unread: Option<MayBeUnread>,
    /// Of some message only its text could have decided, and nobody has read it.
    left_out: AtomicBool,
}

/// What came of asking about a message.
pub(super) enum Asked {
    Not,
    Found(Box<Known>),
    /// It could not be read.
    Lost,
}

/// What has to be known of a message that was found, whether the key asked for it or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Wanted {
    pub size: bool,
    pub letter: bool,
}

/// A message of an open mailbox, and who asks about it.
pub(super) struct At<'a> {
    pub by: &'a Principal,
    pub opened: &'a Opened,
    pub uid: u32,
    pub item: ItemId,
}

/// What is known of a message so far.
pub(super) struct Known {
    pub uid: u32,
    pub item: ItemId,
    modseq: Option<u64>,
    pub look: Option<(Look, Flags)>,
    /// Since when it lies in the mailbox; known with the look.
    saved: Option<UtcTime>,
    said: Option<Said>,
    /// Whether its text must not be told of.
    unread: Option<bool>,
    /// Its text is as if no word stood in it.
    without_text: bool,
    pub size_bytes: Option<u64>,
    pub letter: Option<Letter>,
    /// Its passages, with the names of their fields.
    header: Option<Vec<(String, Passage)>>,
    text: Option<BodyText>,
}

impl Question {
    pub(super) async fn new(
        mailboxes: &Mailboxes,
        by: &Principal,
        (charset, key): (Charset, &Key),
        now: UtcTime,
    ) -> Result<Self, Failure> {
        let size = |key: &Key| matches!(key, SearchKey::LargerThan(_) | SearchKey::SmallerThan(_));
        let text = |key: &Key| matches!(key, SearchKey::Body(_) | SearchKey::Text(_));
        let flag = |key: &Key| matches!(key, SearchKey::Flag(_));
        let (sizes, flags) = (key.mentions(&size), key.mentions(&flag));
        let unread = match key.mentions(&text) {
            true => Some(mailboxes.may_be_unread(by).await?),
            false => None,
        };
        let (key, narrowing) = Narrowing::of(mailboxes, by, charset, key.clone()).await;
        Ok(Self {
            narrowing,
            key,
            now,
            sizes,
            flags,
            unread,
            left_out: AtomicBool::new(false),
        })
    }

    /// Whether the text of a message was left out that nobody has read, and that could have decided.
    pub(super) fn left_out(&self) -> bool {
        self.left_out.load(Ordering::Relaxed)
    }

    /// What can be said of a message of which nothing but its UID and item is known, and what its user marked.
    pub(super) fn verdict(
        &self,
        uid: u32,
        item: ItemId,
        marks: &mut MarkReader<'_>,
    ) -> Result<Option<bool>, Failure> {
        let mut known = Known::new(uid, item);
        known.unread = self.read_already(item);
        if self.flags {
            known.said = Some(marks.said(item)?);
        }
        Ok(known.verdict(&self.key, self))
    }

    /// Whether an index was wanted that knows the item, and there is none.
    pub(super) fn lacks(&self, item: ItemId) -> bool {
        self.narrowing.lacks(item)
    }

    /// `Some(false)`: its text may be told of. Else it has to be asked about.
    fn read_already(&self, item: ItemId) -> Option<bool> {
        let known = self.unread.as_ref().is_some_and(|unread| !unread.has(item));
        known.then_some(false)
    }

    /// The message, if the user sees it and the key holds for it.
    pub(super) async fn ask(
        &self,
        mailboxes: &Mailboxes,
        viewer: &Viewer<'_>,
        at: &At<'_>,
        wanted: Wanted,
    ) -> Result<Asked, Failure> {
        let (uid, item) = (at.uid, at.item);
        let mut known = Known::new(uid, item);
        // A message that is not visible any more is found by nothing.
        let Some(look) = mailboxes.look_behind(viewer, item, at.opened.known_to())? else {
            return Ok(Asked::Not);
        };
        known.unread = self.read_already(item);
        if self.unread.is_some() && known.unread.is_none() {
            known.unread = Some(mailboxes.is_unread(at.by, look.item())?);
        }
        if self.key.asks_modseq() {
            known.modseq = Some(mailboxes.modseq(at.by, at.opened, uid, look.changed_at)?.0);
        }
        let flags = flags(&look.marks);
        known.saved = Some(at.opened.mailbox.saved(look.item()));
        known.look = Some((look, flags));
        match self.complete(mailboxes, &mut known, wanted).await {
            Ok(true) => Ok(Asked::Found(Box::new(known))),
            Ok(false) => Ok(Asked::Not),
            // Ours, and the same next time: the other messages are not to suffer from it for ever.
            Err(Failure::Broken(why)) => {
                tracing::error!(
                    tenant = at.by.tenant.0,
                    item = item.0,
                    why,
                    "a message cannot be searched"
                );
                Ok(Asked::Lost)
            }
            Err(other) => Err(other),
        }
    }

    async fn complete(
        &self,
        mailboxes: &Mailboxes,
        known: &mut Known,
        wanted: Wanted,
    ) -> Result<bool, Failure> {
        if !self.holds(mailboxes, known).await? {
            return Ok(false);
        }
        if wanted.size {
            known.weigh(mailboxes)?;
        }
        Ok(!wanted.letter || known.read(mailboxes).await?)
    }

    async fn holds(&self, mailboxes: &Mailboxes, known: &mut Known) -> Result<bool, Failure> {
        // Who is told so once needs to know it of no other message.
        known.without_text = self.left_out();
        if let Some(verdict) = self.but_for_the_text(mailboxes, known).await? {
            return Ok(verdict);
        }
        if known.unread == Some(true) {
            self.left_out.store(true, Ordering::Relaxed);
            known.without_text = true;
        } else if let Some(letter) = &known.letter {
            known.text = Some(mailboxes.text(letter).await?);
        }
        Ok(known.verdict(&self.key, self).unwrap_or(false))
    }

    /// What everything says that is not the text; `None`: only that decides.
    async fn but_for_the_text(
        &self,
        mailboxes: &Mailboxes,
        known: &mut Known,
    ) -> Result<Option<bool>, Failure> {
        if let Some(verdict) = known.verdict(&self.key, self) {
            return Ok(Some(verdict));
        }
        if self.sizes {
            known.weigh(mailboxes)?;
            if let Some(verdict) = known.verdict(&self.key, self) {
                return Ok(Some(verdict));
            }
        }
        if !known.read(mailboxes).await? {
            return Ok(Some(false));
        }
        if let Some(verdict) = known.verdict(&self.key, self) {
            return Ok(Some(verdict));
        }
        let Some(letter) = &known.letter else {
            return Ok(Some(false));
        };
        if let Some(root) = letter.outline.structure.root().map(|root| root.header) {
            known.header = Some(header_passages(&mailboxes.header(letter, root).await?));
        }
        Ok(known.verdict(&self.key, self))
    }
}

impl Known {
    pub(super) fn new(uid: u32, item: ItemId) -> Self {
        Self {
            uid,
            item,
            modseq: None,
            look: None,
            saved: None,
            said: None,
            unread: None,
            without_text: false,
            size_bytes: None,
            letter: None,
            header: None,
            text: None,
        }
    }

    /// INTERNALDATE.
    pub(super) fn arrived(&self) -> UtcTime {
        let look = self.look.as_ref();
        look.map(|(look, _)| look.item().internal_date)
            .unwrap_or_default()
    }

    fn weigh(&mut self, mailboxes: &Mailboxes) -> Result<(), Failure> {
        if let (None, Some((look, _))) = (self.size_bytes, &self.look) {
            self.size_bytes = mailboxes.size_of(&look.shown)?;
        }
        Ok(())
    }

    /// Its outline; `false` when it has no content any more.
    async fn read(&mut self, mailboxes: &Mailboxes) -> Result<bool, Failure> {
        if let (None, Some((look, _))) = (&self.letter, &self.look) {
            self.letter = mailboxes.letter(&look.shown).await?;
            self.size_bytes = self.letter.as_ref().map(Letter::size_bytes);
        }
        Ok(self.letter.is_some())
    }

    /// `None`: what is known does not decide it. The engine bounds the depth of keys.
    fn verdict(&self, key: &Ready, asked: &Question) -> Option<bool> {
        match key {
            SearchKey::All => Some(true),
            SearchKey::Recent => Some(false),
            SearchKey::Not(key) => self.verdict(key, asked).map(|v| !v),
            SearchKey::And(keys) => {
                let mut all = Some(true);
                for key in keys {
                    match self.verdict(key, asked) {
                        Some(false) => return Some(false),
                        Some(true) => {}
                        None => all = None,
                    }
                }
                all
            }
            SearchKey::Or(a, b) => match (self.verdict(a, asked), self.verdict(b, asked)) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            },
            SearchKey::Set(uids) => Some(uids.contains(self.uid)),
            SearchKey::ModSeq(least) => self.modseq.map(|modseq| modseq >= *least),
            SearchKey::Flag(flag) => match &self.look {
                Some((_, flags)) => Some(flags.contains(flag)),
                None => self.said.and_then(|said| marked(said, flag)),
            },
            SearchKey::EmailId(id) => Some(*id == email_id(self.item)),
            SearchKey::SaveDateSupported => Some(true),
            SearchKey::Internal(when, day) => {
                let (look, _) = self.look.as_ref()?;
                Some(compare(*when, day_of(look.item().internal_date), *day))
            }
            SearchKey::SavedAt(when, day) => Some(compare(*when, day_of(self.saved?), *day)),
            // RFC 5032 2: both include the edge.
            SearchKey::OlderThan(seconds) => self.age(*seconds, asked.now).map(|(age, bound)| age >= bound),
            SearchKey::YoungerThan(seconds) => self.age(*seconds, asked.now).map(|(age, bound)| age <= bound),
            SearchKey::LargerThan(octets) => self.size_bytes.map(|size| size > *octets),
            SearchKey::SmallerThan(octets) => self.size_bytes.map(|size| size < *octets),
            SearchKey::ThreadId(id) => {
                let summary = &self.letter.as_ref()?.outline.summary;
                Some(*id == thread_id(self.item, summary))
            }
            SearchKey::Sent(when, day) => {
                let summary = &self.letter.as_ref()?.outline.summary;
                let own = summary.date_raw.as_deref().and_then(written_date);
                Some(own.is_some_and(|own| compare(*when, own, *day)))
            }
            SearchKey::Header(name, text) => match asked.narrowing.in_header(self.item, text) {
                Some(false) => Some(false),
                _ => self.in_field(name, text),
            },
            SearchKey::Body(text) => self.in_body(text, asked),
            SearchKey::Text(text) => {
                let in_header = asked.narrowing.in_header(self.item, text).or_else(|| {
                    let fields = self.header.as_ref()?;
                    Some(fields.iter().any(|(_, passage)| passage.holds(&text.wanted)))
                });
                match (in_header, self.in_body(text, asked)) {
                    (Some(true), _) | (_, Some(true)) => Some(true),
                    (Some(false), Some(false)) => Some(false),
                    _ => None,
                }
            }
        }
    }

    fn in_body(&self, text: &Text, asked: &Question) -> Option<bool> {
        if text.wanted.is_empty() {
            return Some(true);
        }
        let indexed = asked.narrowing.in_body(self.item, text);
        match self.unread {
            Some(true) => self.without_text.then_some(false),
            Some(false) => indexed.or_else(|| self.text.as_ref().map(|body| body.holds(&text.wanted))),
            // Whether it may be told of comes first, unless that changes nothing any more.
            None => indexed.filter(|found| !found && asked.left_out()),
        }
    }

    /// How old it is, and an interval to compare that with. What bears a date to come is of no age.
    fn age(&self, seconds: u32, now: UtcTime) -> Option<(Duration, Duration)> {
        let (look, _) = self.look.as_ref()?;
        let age = look.item().internal_date.until(now);
        Some((age, Duration::from_secs(u64::from(seconds))))
    }

    /// The usual fields are in the outline; others need the header block.
    fn in_field(&self, name: &str, text: &Text) -> Option<bool> {
        let wanted = &text.wanted;
        let summary = &self.letter.as_ref()?.outline.summary;
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        if is("Subject") {
            let within = || wanted.is_in_words(&turkish_fold(&summary.subject));
            return Some(summary.subject_raw.is_some() && within());
        }
        let list = [
            ("From", &summary.from),
            ("To", &summary.to),
            ("Cc", &summary.cc),
            ("Bcc", &summary.bcc),
        ];
        if let Some((_, list)) = list.into_iter().find(|(field, _)| is(field)) {
            return Some(in_list(list, wanted));
        }
        let fields = self.header.as_ref()?;
        Some(
            fields
                .iter()
                .any(|(n, passage)| n.eq_ignore_ascii_case(name) && passage.holds(wanted)),
        )
    }
}

/// Whether a flag is set, by what its user marked; keywords are also labels and reports, and a draft is one unmarked.
fn marked(said: Said, flag: &Flag) -> Option<bool> {
    match flag {
        Flag::Seen => Some(said.seen),
        Flag::Answered => Some(said.answered),
        Flag::Flagged => Some(said.flagged),
        Flag::Deleted => Some(said.deleted),
        Flag::Draft => said.draft.then_some(true),
        Flag::Keyword(_) => None,
    }
}

fn day_of(moment: UtcTime) -> Date {
    let (year, month, day) = moment.date();
    Date { year, month, day }
}

fn compare(when: When, own: Date, day: Date) -> bool {
    match when {
        When::Before => own < day,
        When::On => own == day,
        When::Since => own >= day,
    }
}

/// The day as the `Date:` field writes it, whatever its zone.
fn written_date(text: &str) -> Option<Date> {
    let mut words = text.split([' ', ',', '\t', '-']).filter(|w| !w.is_empty());
    let day = words.find_map(|w| w.parse::<i8>().ok())?;
    let month = words.next()?;
    let at = MONTHS.iter().position(|m| m.eq_ignore_ascii_case(month))?;
    let digits = words.next()?;
    let year = match (digits.len(), digits.parse::<i16>().ok()?) {
        // RFC 5322 4.3: years of two digits, and of three.
        (2, year @ 0..=49) => 2000 + year,
        (2 | 3, year @ 0..) => 1900 + year,
        (_, year) => year,
    };
    Date::new(year, i8::try_from(at).ok()? + 1, day)
}
