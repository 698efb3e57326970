//! A few words of a letter's text for lists (RFC 8970).
//!
//! A preview is content. A consigned mail that nobody of the tenant has read shows none: a client asks for previews of
//! whole mailboxes by itself, and neither may such a list count as reading, which is evidence of a person's act, nor may
//! content be known that no evidence says was given. Once the mail is read, or counts as read, its preview is told.
//! Nothing is kept: what is read for it is bounded, and a mail is told the same words each time.

use super::Mailboxes;
use super::fetch::Letter;
use crate::domain::item::Item;
use crate::mime::decode;
use crate::mime::structure::{Part, PartKind, Structure};
use crate::service::account::Principal;
use crate::service::failure::Failure;
use crate::service::octets::ContentReader;

/// Characters of a preview: RFC 8970 3.2 wants 200 at most, for lists on small screens.
pub const PREVIEW_MAX_CHARS: usize = 200;
/// Octets of a text part that are read for it, still encoded: markup may stand before the first word. As many as the
/// spool reads in place.
const READ_MAX_OCTETS: u64 = 16 * 1024;

/// The preview of a letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Preview {
    /// May be empty: there are no words.
    Words(String),
    /// Not before somebody has read it.
    Unread,
}

impl Mailboxes {
    pub async fn preview(&self, by: &Principal, item: &Item, letter: &Letter) -> Result<Preview, Failure> {
        if self.would_be_reading(by, item)? {
            return Ok(Preview::Unread);
        }
        let Some(part) = told_by(&letter.outline.structure) else {
            return Ok(Preview::Words(String::new()));
        };
        let octets = part.body.octets().min(READ_MAX_OCTETS);
        let range = part.body.start..part.body.start + octets;
        let body = ContentReader::range(&self.spool, &letter.content, range)
            .collect()
            .await?;
        let text = decode::text(part, &body, body.len()).unwrap_or_default();
        Ok(Preview::Words(words(&text)))
    }
}

/// The part whose words stand for the whole: the first text of the original where a provider's words stand around it,
/// else the first text that is no attachment.
fn told_by(map: &Structure) -> Option<&Part> {
    let original = map.parts.iter().position(is_original);
    let within = original.and_then(|at| first_text(map, at));
    within.or_else(|| first_text(map, 0))
}

/// Marked as the original of a dispatch (TS 102 640-2 6.1, `X-REM-Section-Type`).
fn is_original(part: &Part) -> bool {
    let section = part.section_type.as_deref().unwrap_or_default();
    section.to_ascii_lowercase().contains("original")
}

/// The first text at or below the part at `top`.
fn first_text(map: &Structure, top: usize) -> Option<&Part> {
    // Parts stand in the order of the message: a parent before its children.
    let mut below = vec![false; map.parts.len()];
    for (at, part) in map.parts.iter().enumerate().skip(top) {
        let parent = part.parent.and_then(|parent| below.get(usize::from(parent)));
        let is_below = at == top || parent.copied().unwrap_or_default();
        if let Some(mark) = below.get_mut(at) {
            *mark = is_below;
        }
        let text = part.kind == PartKind::Leaf && part.media_type().0.eq_ignore_ascii_case("text");
        let attached = part
            .disposition
            .as_ref()
            .is_some_and(|d| d.value.eq_ignore_ascii_case("attachment"));
        if is_below && text && !attached {
            return Some(part);
        }
    }
    None
}

/// The first words of a text in one line; what is quoted from another mail is passed over where something else is there.
fn words(text: &str) -> String {
    let own = text.lines().filter(|line| !line.trim_start().starts_with('>'));
    let own = in_one_line(own);
    if own.is_empty() {
        in_one_line(text.lines())
    } else {
        own
    }
}

fn in_one_line<'t>(lines: impl Iterator<Item = &'t str>) -> String {
    let mut line = String::new();
    let mut count = 0;
    for word in lines.flat_map(str::split_whitespace) {
        let space = if line.is_empty() { "" } else { " " };
        for c in space.chars().chain(word.chars()) {
            if count >= PREVIEW_MAX_CHARS {
                return line;
            }
            // Marks that show nothing would fill the few characters there are.
            if !c.is_control() && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{feff}' | '\u{ad}' | '\u{34f}') {
                line.push(c);
                count += 1;
            }
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(message: &str) -> Option<String> {
        let map = Structure::of(message.as_bytes());
        let part = told_by(&map)?;
        let body = part.body.of(message.as_bytes()).unwrap();
        Some(words(&decode::text(part, body, body.len()).unwrap()))
    }

    #[test]
    fn the_first_words_of_the_writer() {
        assert_eq!(
            told("Subject: x\r\n\r\n> old\r\n\r\nMerhaba  \tdünya,\r\n\u{200b}nasılsın\u{7}?\r\n").unwrap(),
            "Merhaba dünya, nasılsın?"
        );
        assert_eq!(told("\r\n> only quoted\r\n").unwrap(), "> only quoted");
        assert_eq!(told("\r\n").unwrap(), "");
        let long = told(&format!("\r\n{}", "ğü ".repeat(500))).unwrap();
        assert_eq!(long.chars().count(), PREVIEW_MAX_CHARS);
    }

    #[test]
    fn html_is_reduced_to_its_words() {
        let html = "Content-Type: text/html\r\n\r\n<html><head><title>t</title><style>p{}</style></head>\
                    <body><!-- c --><p>Say&#305;n <b>Alıcı</b>,</p><script>alert(1)</script><p>ekte</p></body>";
        assert_eq!(told(html).unwrap(), "Sayın Alıcı, ekte");
    }

    #[test]
    fn the_original_speaks_and_not_its_frame_nor_an_attachment() {
        let dispatch = "Content-Type: multipart/mixed; boundary=a\r\n\r\n\
            --a\r\nX-REM-Section-Type: Introduction\r\n\r\nFrom your provider\r\n\
            --a\r\nContent-Type: message/rfc822\r\nX-REM-Section-Type: Original Message\r\n\r\n\
            Content-Type: multipart/mixed; boundary=b\r\n\r\n\
            --b\r\nContent-Type: text/csv\r\nContent-Disposition: attachment\r\n\r\n1,2\r\n\
            --b\r\nContent-Type: text/plain\r\n\r\nThe letter\r\n--b--\r\n\
            --a\r\nContent-Type: text/plain\r\n\r\nbehind\r\n--a--\r\n";
        assert_eq!(told(dispatch).unwrap(), "The letter");
        assert_eq!(told("Content-Type: image/png\r\n\r\nx"), None);
    }
}
