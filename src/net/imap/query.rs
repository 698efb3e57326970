//! SEARCH (RFC 9051 6.4.4): what is cheap is asked first, octets are read only when nothing else decides.
//!
//! Texts are compared decoded and folded as a Turkish reader expects. A key is answered in stages, each knowing more:
//! the UID, the flags, the outline, the header block, the text.

use super::carry::{TURN, flags};
use super::narrowing::Narrowing;
use crate::domain::folding::turkish_fold;
use crate::domain::selector::Viewer;
use crate::id::ItemId;
use crate::imap::flag::Flags;
use crate::imap::search::{Date, MONTHS, SearchKey, When};
use crate::imap::set::UidRanges;
use crate::service::account::Principal;
use crate::service::failure::Failure;
use crate::service::mailbox::{Letter, Look, Mailboxes, Opened, Standing, in_list};
use crate::service::searched::{BodyText, folded_fields};

type Key = SearchKey<UidRanges>;

/// A search is begun anew when the organisation changes under it: it hardly ever does.
const ATTEMPTS: usize = 8;

/// What is known of a message so far.
#[derive(Default)]
struct Known<'n> {
    uid: u32,
    item: ItemId,
    narrowing: Option<&'n Narrowing>,
    look: Option<(Look, Flags)>,
    letter: Option<Letter>,
    /// Decoded and folded.
    header: Option<Vec<(String, String)>>,
    text: Option<BodyText>,
}

/// UIDs of the messages the key holds for.
pub(super) async fn search(
    mailboxes: &Mailboxes,
    by: &Principal,
    opened: &Opened,
    key: &Key,
) -> Result<Vec<u32>, Failure> {
    let key = fold(key.clone());
    let narrowing = Narrowing::of(mailboxes, by, &key).await;
    for _ in 0..ATTEMPTS {
        let standing = mailboxes.standing(by, opened).await?;
        let found = among(mailboxes, by, opened, &key, narrowing.as_ref(), &standing).await?;
        // What was found without a look at the message was found by right of standing in the mailbox.
        if mailboxes.still_holds(by, &standing)? {
            return Ok(found);
        }
    }
    Err(Failure::Unavailable(
        "the organisation changes faster than a search ends".into(),
    ))
}

async fn among(
    mailboxes: &Mailboxes,
    by: &Principal,
    opened: &Opened,
    key: &Key,
    narrowing: Option<&Narrowing>,
    standing: &Standing,
) -> Result<Vec<u32>, Failure> {
    let mut found = Vec::new();
    for (n, (uid, item)) in opened.members().enumerate() {
        let mut known = Known {
            uid,
            item,
            narrowing,
            ..Known::default()
        };
        let holds = match known.verdict(key).filter(|_| standing.has(uid)) {
            Some(verdict) => verdict,
            None => {
                // Rights may be lost in the middle of a long search.
                let seat = mailboxes.seat(by)?;
                holds(mailboxes, &seat.viewer(), item, key, &mut known).await?
            }
        };
        if holds {
            found.push(uid);
        }
        if n % TURN == TURN - 1 {
            tokio::task::yield_now().await;
        }
    }
    Ok(found)
}

async fn holds(
    mailboxes: &Mailboxes,
    viewer: &Viewer<'_>,
    item: ItemId,
    key: &Key,
    known: &mut Known<'_>,
) -> Result<bool, Failure> {
    if let Some(verdict) = known.verdict(key) {
        // A message that is not visible any more is found by nothing.
        return Ok(verdict && mailboxes.look(viewer, item)?.is_some());
    }
    let Some(look) = mailboxes.look(viewer, item)? else {
        return Ok(false);
    };
    let (flags, shown) = (flags(&look.marks), look.shown.clone());
    known.look = Some((look, flags));
    if let Some(verdict) = known.verdict(key) {
        return Ok(verdict);
    }
    let Some(letter) = mailboxes.letter(&shown).await? else {
        return Ok(false);
    };
    let root = letter.outline.structure.root().map(|root| root.header);
    known.letter = Some(letter);
    if let Some(verdict) = known.verdict(key) {
        return Ok(verdict);
    }
    if let (Some(letter), Some(root)) = (&known.letter, root) {
        known.header = Some(folded_fields(&mailboxes.header(letter, root).await?));
    }
    if let Some(verdict) = known.verdict(key) {
        return Ok(verdict);
    }
    if let Some(letter) = &known.letter {
        known.text = Some(mailboxes.text(letter).await?);
    }
    Ok(known.verdict(key).unwrap_or(false))
}

/// The key with all its texts folded.
fn fold(key: Key) -> Key {
    match key {
        SearchKey::And(keys) => SearchKey::And(keys.into_iter().map(fold).collect()),
        SearchKey::Or(a, b) => SearchKey::Or(Box::new(fold(*a)), Box::new(fold(*b))),
        SearchKey::Not(key) => SearchKey::Not(Box::new(fold(*key))),
        SearchKey::Header(name, text) => SearchKey::Header(name, turkish_fold(&text)),
        SearchKey::Body(text) => SearchKey::Body(turkish_fold(&text)),
        SearchKey::Text(text) => SearchKey::Text(turkish_fold(&text)),
        other => other,
    }
}

impl Known<'_> {
    /// `None`: what is known does not decide it. The engine bounds the depth of keys.
    fn verdict(&self, key: &Key) -> Option<bool> {
        if let Some(verdict) = self.narrowing.and_then(|index| index.verdict(self.item, key)) {
            return Some(verdict);
        }
        match key {
            SearchKey::All => Some(true),
            SearchKey::Recent => Some(false),
            SearchKey::Not(key) => self.verdict(key).map(|v| !v),
            SearchKey::And(keys) => {
                let mut all = Some(true);
                for key in keys {
                    match self.verdict(key) {
                        Some(false) => return Some(false),
                        Some(true) => {}
                        None => all = None,
                    }
                }
                all
            }
            SearchKey::Or(a, b) => match (self.verdict(a), self.verdict(b)) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            },
            SearchKey::Set(uids) => Some(uids.contains(self.uid)),
            SearchKey::Flag(flag) => self.look.as_ref().map(|(_, flags)| flags.contains(flag)),
            SearchKey::Internal(when, day) => {
                let (look, _) = self.look.as_ref()?;
                let (year, month, date) = look.item().internal_date.date();
                let own = Date {
                    year,
                    month,
                    day: date,
                };
                Some(compare(*when, own, *day))
            }
            SearchKey::LargerThan(octets) => self.letter.as_ref().map(|l| l.size_bytes() > *octets),
            SearchKey::SmallerThan(octets) => self.letter.as_ref().map(|l| l.size_bytes() < *octets),
            SearchKey::Sent(when, day) => {
                let summary = &self.letter.as_ref()?.outline.summary;
                let own = summary.date_raw.as_deref().and_then(written_date);
                Some(own.is_some_and(|own| compare(*when, own, *day)))
            }
            SearchKey::Header(name, text) => self.in_field(name, text),
            SearchKey::Body(text) => self.text.as_ref().map(|body| body.contains(text)),
            SearchKey::Text(text) => {
                let in_header = self
                    .header
                    .as_ref()
                    .map(|fields| fields.iter().any(|(_, value)| value.contains(text)));
                match (in_header, self.text.as_ref().map(|body| body.contains(text))) {
                    (Some(true), _) | (_, Some(true)) => Some(true),
                    (Some(false), Some(false)) => Some(false),
                    _ => None,
                }
            }
        }
    }

    /// The usual fields are in the outline; others need the header block.
    fn in_field(&self, name: &str, text: &str) -> Option<bool> {
        let summary = &self.letter.as_ref()?.outline.summary;
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        let within = |value: &str| turkish_fold(value).contains(text);
        if is("Subject") {
            return Some(summary.subject_raw.is_some() && within(&summary.subject));
        }
        let list = [
            ("From", &summary.from),
            ("To", &summary.to),
            ("Cc", &summary.cc),
            ("Bcc", &summary.bcc),
        ];
        if let Some((_, list)) = list.into_iter().find(|(field, _)| is(field)) {
            return Some(in_list(list, text));
        }
        let fields = self.header.as_ref()?;
        Some(
            fields
                .iter()
                .any(|(n, value)| n.eq_ignore_ascii_case(name) && value.contains(text)),
        )
    }
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
    let year = words.next()?.parse::<i16>().ok()?;
    Date::new(year, i8::try_from(at).ok()? + 1, day)
}
