//! SEARCH (RFC 9051 6.4.4): what is cheap is asked first, octets are read only when nothing else decides.
//!
//! Texts are compared decoded and folded as a Turkish reader expects. A key is answered in stages, each knowing more:
//! the UID, the flags, the outline, the header block, the text.

use super::carry::flags;
use super::turn::Turn;
use crate::domain::folding::turkish_fold;
use crate::domain::selector::Viewer;
use crate::imap::flag::Flags;
use crate::imap::search::{Date, MONTHS, SearchKey, When};
use crate::imap::set::UidRanges;
use crate::service::account::Principal;
use crate::service::failure::Failure;
use crate::service::mailbox::{Letter, Look, Mailboxes, Opened, folded_fields, in_list};

type Key = SearchKey<UidRanges>;

/// What is known of a message so far.
#[derive(Default)]
struct Known {
    uid: u32,
    look: Option<(Look, Flags)>,
    modseq: Option<u64>,
    letter: Option<Letter>,
    /// Decoded and folded.
    header: Option<Vec<(String, String)>>,
    text: Option<String>,
}

/// UIDs of the messages the key holds for.
pub(super) async fn search(
    mailboxes: &Mailboxes,
    by: &Principal,
    opened: &Opened,
    key: &Key,
) -> Result<Vec<u32>, Failure> {
    let key = fold(key.clone());
    let mut found = Vec::new();
    let mut turn = Turn::begin();
    for (uid, item) in opened.members() {
        let mut known = Known {
            uid,
            ..Known::default()
        };
        // Rights may be lost in the middle of a long search.
        let seat = mailboxes.seat(by)?;
        if holds(mailboxes, by, &seat.viewer(), opened, item, &key, &mut known).await? {
            found.push(uid);
        }
        turn.share().await;
    }
    Ok(found)
}

async fn holds(
    mailboxes: &Mailboxes,
    by: &Principal,
    viewer: &Viewer<'_>,
    opened: &Opened,
    item: crate::id::ItemId,
    key: &Key,
    known: &mut Known,
) -> Result<bool, Failure> {
    if let Some(verdict) = known.verdict(key) {
        // A message that is not visible any more is found by nothing.
        return Ok(verdict && mailboxes.look(viewer, item)?.is_some());
    }
    let Some(look) = mailboxes.look(viewer, item)? else {
        return Ok(false);
    };
    if key.asks_modseq() {
        known.modseq = Some(mailboxes.modseq(by, opened, known.uid, look.changed_at)?.0);
    }
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
        known.text = Some(turkish_fold(&mailboxes.text(letter).await?));
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

impl Known {
    /// `None`: what is known does not decide it. The engine bounds the depth of keys.
    fn verdict(&self, key: &Key) -> Option<bool> {
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
            SearchKey::ModSeq(least) => self.modseq.map(|modseq| modseq >= *least),
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
