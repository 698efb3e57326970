//! Searching: how texts of a message are compared, for every door. Both sides are decoded and folded as a Turkish
//! reader expects.

use super::{Letter, Mailboxes};
use crate::clock::UtcTime;
use crate::domain::folding::turkish_fold;
use crate::domain::selector::Mailbox;
use crate::id::ItemId;
use crate::mime::mailbox::{Entry, mailboxes};
use crate::mime::summary::Summary;
use crate::service::account::Principal;
use crate::service::failure::Failure;
use crate::service::mailbox::Look;
use crate::service::searched::address_lines;

/// Messages looked at before others get their turn.
const TURN: usize = 64;

/// What a list shows of one message, so that ten thousand of the most hostile fit a reply: characters of the subject and of
/// an address, addresses of a field.
const SUBJECT_SHOWN_MAX_CHARS: usize = 500;
const ADDRESS_SHOWN_MAX_CHARS: usize = 254;
const ADDRESSES_SHOWN_MAX: usize = 8;

/// Whether an address list holds a text, in names or addresses. The text is folded.
pub fn in_list(list: &[Entry], text: &str) -> bool {
    address_lines(list).any(|line| turkish_fold(&line).contains(text))
}

/// What is looked for: all that is given has to hold.
#[derive(Debug, Clone, Default)]
pub struct Sought {
    pub from: Option<String>,
    pub to: Option<String>,
    pub subject: Option<String>,
    /// In the header or the text.
    pub text: Option<String>,
    /// Arrived at this moment or later.
    pub since: Option<UtcTime>,
    /// Arrived before this moment.
    pub before: Option<UtcTime>,
}

/// A message that was found, as a list shows it.
#[derive(Debug, Clone)]
pub struct Found {
    pub look: Look,
    pub subject: String,
    pub message_id: Option<String>,
    /// The first addresses, without names.
    pub from: Vec<String>,
    pub to: Vec<String>,
    pub size_bytes: u64,
}

impl Found {
    fn new(look: Look, letter: Letter) -> Self {
        let cut = |text: String, most: usize| text.chars().take(most).collect::<String>();
        let addresses = |list: &[Entry]| {
            let shown = mailboxes(list).take(ADDRESSES_SHOWN_MAX);
            shown.map(|m| cut(m.address(), ADDRESS_SHOWN_MAX_CHARS)).collect()
        };
        let size_bytes = letter.size_bytes();
        let summary = letter.outline.summary;
        Self {
            look,
            from: addresses(&summary.from),
            to: addresses(&summary.to),
            subject: cut(summary.subject, SUBJECT_SHOWN_MAX_CHARS),
            message_id: summary.message_id.map(|id| cut(id, ADDRESS_SHOWN_MAX_CHARS)),
            size_bytes,
        }
    }
}

impl Sought {
    /// The same with its texts folded.
    fn folded(&self) -> Self {
        let fold = |text: &Option<String>| text.as_deref().map(turkish_fold);
        Self {
            from: fold(&self.from),
            to: fold(&self.to),
            subject: fold(&self.subject),
            text: fold(&self.text),
            ..self.clone()
        }
    }

    /// What the attributes say; the cheapest question comes first.
    fn in_time(&self, look: &Look) -> bool {
        let arrived = look.item().internal_date;
        self.since.is_none_or(|since| arrived >= since) && self.before.is_none_or(|before| arrived < before)
    }

    fn in_summary(&self, summary: &Summary) -> bool {
        let within = |wanted: &Option<String>, lists: &[&[Entry]]| {
            let holds = |text: &String| lists.iter().any(|list| in_list(list, text));
            wanted.as_ref().is_none_or(holds)
        };
        let subject = |text: &String| turkish_fold(&summary.subject).contains(text);
        within(&self.from, &[&summary.from])
            && within(&self.to, &[&summary.to, &summary.cc])
            && self.subject.as_ref().is_none_or(subject)
    }
}

impl Mailboxes {
    /// The newest messages of a mailbox for which all holds, as the user sees it: the view he has over IMAP.
    pub async fn seek(
        &self,
        by: &Principal,
        mailbox: Mailbox,
        sought: &Sought,
        limit: usize,
    ) -> Result<Vec<Found>, Failure> {
        let sought = sought.folded();
        let opened = self.open(by, mailbox).await?;
        let in_header = [&sought.from, &sought.to, &sought.subject];
        let in_header: Vec<&str> = in_header.into_iter().flatten().map(String::as_str).collect();
        let text = sought.text.as_deref();
        let candidates = self.candidates(by, &opened, text, &in_header).await;
        let mut found = Vec::new();
        for (n, (item, has_text)) in candidates.into_iter().enumerate() {
            if found.len() >= limit {
                break;
            }
            found.extend(self.seek_in(by, item, &sought, has_text).await?);
            if n % TURN == TURN - 1 {
                tokio::task::yield_now().await;
            }
        }
        Ok(found)
    }

    /// One message as a list shows it, if the user sees it.
    pub async fn found(&self, by: &Principal, item: ItemId) -> Result<Option<Found>, Failure> {
        self.seek_in(by, item, &Sought::default(), true).await
    }

    /// `has_text`: that the text stands in it is known.
    async fn seek_in(
        &self,
        by: &Principal,
        item: ItemId,
        sought: &Sought,
        has_text: bool,
    ) -> Result<Option<Found>, Failure> {
        // Rights may be lost in the middle of a long search.
        let seat = self.seat(by)?;
        let Some(look) = self
            .look(&seat.viewer(), item)?
            .filter(|look| sought.in_time(look))
        else {
            return Ok(None);
        };
        let Some(letter) = self.letter(&look.shown).await? else {
            return Ok(None);
        };
        if !sought.in_summary(&letter.outline.summary) {
            return Ok(None);
        }
        if let Some(text) = sought.text.as_ref().filter(|_| !has_text)
            && !self.holds_text(&letter, text).await?
        {
            return Ok(None);
        }
        Ok(Some(Found::new(look, letter)))
    }

    /// Whether header or text hold a folded text.
    async fn holds_text(&self, letter: &Letter, text: &str) -> Result<bool, Failure> {
        let header = self.texts.header(&letter.content, &letter.outline).await?;
        if header.iter().any(|(_, value)| value.contains(text)) {
            return Ok(true);
        }
        Ok(self.text(letter).await?.contains(text))
    }
}
