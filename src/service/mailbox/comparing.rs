//! Searching for the doors that show lists: what is asked, as a Turkish reader expects it, and what is found.

use super::{Letter, Mailboxes};
use crate::clock::UtcTime;
use crate::domain::folding::turkish_fold;
use crate::domain::item::Item;
use crate::domain::needle::Wanted;
use crate::domain::selector::Mailbox;
use crate::id::ItemId;
use crate::mime::mailbox::{Entry, mailboxes};
use crate::mime::summary::Summary;
use crate::service::account::Principal;
use crate::service::failure::Failure;
use crate::service::mailbox::Look;
use crate::service::mailbox::looking_up::Place;
use crate::service::searched::in_list;

/// Messages looked at before others get their turn.
const TURN: usize = 64;

/// What a list shows of one message, so that ten thousand of the most hostile fit a reply: characters of the subject and of
/// an address, addresses of a field.
const SUBJECT_SHOWN_MAX_CHARS: usize = 500;
const ADDRESS_SHOWN_MAX_CHARS: usize = 254;
const ADDRESSES_SHOWN_MAX: usize = 8;

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

/// The same, made ready.
#[derive(Default)]
struct Ready {
    from: Option<Wanted>,
    to: Option<Wanted>,
    subject: Option<Wanted>,
    text: Option<Wanted>,
    since: Option<UtcTime>,
    before: Option<UtcTime>,
}

impl Sought {
    fn ready(&self) -> Ready {
        let wanted = |text: &Option<String>| text.as_deref().map(Wanted::turkish);
        Ready {
            from: wanted(&self.from),
            to: wanted(&self.to),
            subject: wanted(&self.subject),
            text: wanted(&self.text),
            since: self.since,
            before: self.before,
        }
    }
}

impl Ready {
    /// What the attributes say; the cheapest question comes first.
    fn in_time(&self, look: &Look) -> bool {
        let arrived = look.item().internal_date;
        self.since.is_none_or(|since| arrived >= since) && self.before.is_none_or(|before| arrived < before)
    }

    fn in_summary(&self, summary: &Summary) -> bool {
        let within = |wanted: &Option<Wanted>, lists: &[&[Entry]]| {
            let holds = |wanted: &Wanted| lists.iter().any(|list| in_list(list, wanted));
            wanted.as_ref().is_none_or(holds)
        };
        let subject = |wanted: &Wanted| wanted.is_in_words(&turkish_fold(&summary.subject));
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
        let sought = sought.ready();
        let opened = self.open(by, mailbox).await?;
        let in_header = [&sought.from, &sought.to, &sought.subject];
        let in_header: Vec<&Wanted> = in_header.into_iter().flatten().collect();
        let candidates = self
            .candidates(by, &opened, sought.text.as_ref(), &in_header)
            .await;
        let mut found = Vec::new();
        for (n, (item, place)) in candidates.into_iter().enumerate() {
            if found.len() >= limit {
                break;
            }
            found.extend(self.seek_in(by, item, &sought, place).await?);
            if n % TURN == TURN - 1 {
                tokio::task::yield_now().await;
            }
        }
        Ok(found)
    }

    /// One message as a list shows it, if the user sees it.
    pub async fn found(&self, by: &Principal, item: ItemId) -> Result<Option<Found>, Failure> {
        self.seek_in(by, item, &Ready::default(), Place::Unknown).await
    }

    /// `place`: where the text is, as far as that is known.
    async fn seek_in(
        &self,
        by: &Principal,
        item: ItemId,
        sought: &Ready,
        place: Place,
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
        if let Some(text) = &sought.text {
            let holds = match place {
                Place::Header => true,
                // Nobody is told what stands in a mail that nobody has read (`unread`).
                Place::Body => !self.is_unread(by, look.item())?,
                Place::Unknown => self.holds_text(by, look.item(), &letter, text).await?,
            };
            if !holds {
                return Ok(None);
            }
        }
        Ok(Some(Found::new(look, letter)))
    }

    /// Whether header or text hold a text.
    async fn holds_text(
        &self,
        by: &Principal,
        item: &Item,
        letter: &Letter,
        wanted: &Wanted,
    ) -> Result<bool, Failure> {
        let header = self.texts.header(&letter.content, &letter.outline).await?;
        if header.iter().any(|(_, passage)| passage.holds(wanted)) {
            return Ok(true);
        }
        Ok(wanted.is_empty() || !self.is_unread(by, item)? && self.text(letter).await?.holds(wanted))
    }
}
