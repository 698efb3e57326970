//! What a header block says about its message: for lists, search, rules and IMAP's ENVELOPE (RFC 9051 7.5.2).
//!
//! Works on a header block only, bounded. Dates go through mail-parser, behind its bounds. The digest of a message never
//! rests on anything read here.

use super::decode;
use super::field::{self, Field};
use super::mailbox::{Entry, parse_list};
use crate::clock::UtcTime;
use serde::{Deserialize, Serialize};

/// Octets of a header block that are read.
pub const HEADER_MAX_OCTETS: usize = super::scan::TOP_HEADER_MAX_OCTETS;
/// Message-IDs kept of a References field.
pub const REFERENCES_MAX: usize = 100;

/// The summary of one message. Raw forms are on one line, encoded words untouched.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Summary {
    pub subject: String,
    pub subject_raw: Option<String>,
    pub date: Option<UtcTime>,
    pub date_raw: Option<String>,
    pub from: Vec<Entry>,
    pub sender: Vec<Entry>,
    pub reply_to: Vec<Entry>,
    pub to: Vec<Entry>,
    pub cc: Vec<Entry>,
    pub bcc: Vec<Entry>,
    /// With angle brackets, as spelled.
    pub message_id: Option<String>,
    pub in_reply_to: Option<String>,
    pub references: Vec<String>,
}

impl Summary {
    /// The Message-ID, where it can stand for one message: some programs leave it empty, or write nothing between the
    /// brackets.
    pub fn identity(&self) -> Option<&str> {
        self.message_id.as_deref().filter(|id| id.contains('@'))
    }

    /// Reads a header block; what follows its empty line is not looked at. The first of doubled fields counts.
    pub fn of(block: &[u8]) -> Self {
        let block = &block[..block.len().min(HEADER_MAX_OCTETS)];
        let mut summary = Self::default();
        for field in field::fields(block) {
            summary.take(&field);
        }
        summary.subject = summary
            .subject_raw
            .as_deref()
            .map(decode::words)
            .unwrap_or_default();
        summary.date = summary.date_raw.as_deref().and_then(parse_date);
        summary
    }

    fn take(&mut self, field: &Field<'_>) {
        let texts = [
            ("Subject", &mut self.subject_raw),
            ("Date", &mut self.date_raw),
            ("Message-ID", &mut self.message_id),
            ("In-Reply-To", &mut self.in_reply_to),
        ];
        for (name, slot) in texts {
            if field.is(name) {
                slot.get_or_insert_with(|| field.text());
                return;
            }
        }
        let lists = [
            ("From", &mut self.from),
            ("Sender", &mut self.sender),
            ("Reply-To", &mut self.reply_to),
            ("To", &mut self.to),
            ("Cc", &mut self.cc),
            ("Bcc", &mut self.bcc),
        ];
        for (name, slot) in lists {
            if field.is(name) {
                if slot.is_empty() {
                    *slot = parse_list(field.value);
                }
                return;
            }
        }
        if field.is("References") && self.references.is_empty() {
            self.references = message_ids(&field.text());
        }
    }
}

/// The value of any field, on one line, words not decoded.
pub fn named(block: &[u8], name: &str) -> Option<String> {
    field::first(&block[..block.len().min(HEADER_MAX_OCTETS)], name)
}

/// `<...>` tokens of References; some clients write ids without brackets.
pub fn message_ids(text: &str) -> Vec<String> {
    let mut ids: Vec<&str> = text.split_ascii_whitespace().collect();
    // The first names the thread and the last what is answered: of a longer list the middle is left out.
    let surplus = ids.len().saturating_sub(REFERENCES_MAX);
    if surplus > 0 {
        ids.drain(1..=surplus);
    }
    ids.into_iter().map(str::to_owned).collect()
}

/// RFC 5322 3.3, with the obsolete forms mail-parser knows. `None` for what is not a date.
pub fn parse_date(text: &str) -> Option<UtcTime> {
    /// No date is longer, comments included.
    const DATE_MAX_OCTETS: usize = 128;
    if text.len() > DATE_MAX_OCTETS {
        return None;
    }
    let date = decode::contained(|| mail_parser::DateTime::parse_rfc822(text)).flatten()?;
    if !date.is_valid() {
        return None;
    }
    decode::contained(|| date.to_timestamp()).map(UtcTime::from_unix_s)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mime::mailbox::mailboxes;

    #[test]
    fn a_summary() {
        let block = "From: =?utf-8?B?QXnFn2U=?= <ayse@hs01.kep.test>\r\nTo: a@b,\r\n c@d\r\nSubject: =?utf-8?Q?Te?=\r\n =?utf-8?Q?klif?= 5\r\n\
                     Date: Mon, 23 Nov 2026 23:45:00 +0300\r\nMessage-ID: <1@x>\r\nReferences: <0@x>\r\n\t<00@x>\r\nSubject: forged\r\n\r\nSubject: body";
        let s = Summary::of(block.as_bytes());
        assert_eq!(s.subject, "Teklif 5");
        assert!(s.subject_raw.as_deref().unwrap().starts_with("=?utf-8?Q?Te?="));
        assert_eq!(s.date.unwrap().rfc3339(), "2026-11-23T20:45:00Z");
        assert_eq!(s.references, ["<0@x>", "<00@x>"]);
        assert_eq!(mailboxes(&s.to).count(), 2);
        assert_eq!(
            mailboxes(&s.from).next().unwrap().display().as_deref(),
            Some("Ayşe")
        );
        let row = postcard::to_allocvec(&s).unwrap();
        assert_eq!(postcard::from_bytes::<Summary>(&row).unwrap(), s);
    }

    #[test]
    fn of_a_long_thread_the_first_and_the_last_are_kept() {
        let all: Vec<String> = (0..150).map(|n| format!("<{n}@x>")).collect();
        let kept = message_ids(&all.join(" "));
        assert_eq!(kept.len(), REFERENCES_MAX);
        assert_eq!((kept[0].as_str(), kept[1].as_str()), ("<0@x>", "<51@x>"));
        assert_eq!(kept.last().map(String::as_str), Some("<149@x>"));
    }

    #[test]
    fn what_is_no_date_is_none() {
        for bad in ["", "yesterday", "Mon, 99 Foo 2026 99:99:99 +9999", "\u{0}"] {
            assert_eq!(parse_date(bad), None, "{bad}");
        }
    }
}
