//! A few words of a letter's text for lists (RFC 8970).
//!
//! A preview is content. A consigned mail that nobody of the tenant has read shows none: a client asks for previews of
//! whole mailboxes by itself, and neither may such a list count as reading, which is evidence of a person's act, nor may
//! content be known that no evidence says was given. Once the mail is read, or counts as read, its preview is told.
//! Nothing is kept: what is read for it is bounded, and a mail is told the same words each time.
//!
//! Only text is told of. What is attached, encrypted or in an encoding nobody here knows has the empty preview: no file
//! name, no kind or size of an image stands in for words.

use super::Mailboxes;
use super::fetch::Letter;
use crate::domain::item::Item;
use crate::mime::decode;
use crate::mime::structure::{Part, PartKind, Structure};
use crate::mime::transfer::Encoding;
use crate::service::account::Principal;
use crate::service::failure::Failure;
use crate::service::octets::ContentReader;

/// Characters of a preview: RFC 8970 3.3 wants 200 at most, for lists on small screens.
pub const PREVIEW_MAX_CHARS: usize = 200;
/// Octets of a text part that are read for it, still encoded: markup may stand before the first word. As many as the
/// spool reads in place.
const READ_MAX_OCTETS: u64 = 16 * 1024;
/// Text parts that are read until one has words: some mailers send an empty plain text before the one in HTML.
const TEXTS_MAX: usize = 3;

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
        for part in told_by(&letter.outline.structure) {
            let octets = part.body.octets().min(READ_MAX_OCTETS);
            let range = part.body.start..part.body.start + octets;
            let body = ContentReader::range(&self.spool, &letter.content, range)
                .collect()
                .await?;
            let text = decode::text(part, &body, body.len()).unwrap_or_default();
            let words = words(&text);
            if !words.is_empty() {
                return Ok(Preview::Words(words));
            }
        }
        Ok(Preview::Words(String::new()))
    }
}

/// The parts whose words may stand for the whole; the first that has any does: the texts of the original where a
/// provider's words stand around it, else those that are no attachments.
fn told_by(map: &Structure) -> Vec<&Part> {
    let original = map.parts.iter().position(is_original);
    let within = original.map(|at| texts(map, at)).unwrap_or_default();
    match within.is_empty() {
        true => texts(map, 0),
        false => within,
    }
}

/// Marked as the original of a dispatch (TS 102 640-2 6.1, `X-REM-Section-Type`).
fn is_original(part: &Part) -> bool {
    let section = part.section_type.as_deref().unwrap_or_default();
    section.to_ascii_lowercase().contains("original")
}

/// The first texts at or below the part at `top`, and in nothing that is attached to it: a mail that was sent on as an
/// attachment is not what the writer says.
fn texts(map: &Structure, top: usize) -> Vec<&Part> {
    let mut texts = Vec::new();
    // Parts stand in the order of the message: a parent before its children.
    let mut below = vec![false; map.parts.len()];
    for (at, part) in map.parts.iter().enumerate().skip(top) {
        let parent = part.parent.and_then(|parent| below.get(usize::from(parent)));
        let attached = is_attached(part);
        // The original of a dispatch is attached to its frame, and is what is meant.
        let is_below = at == top || (parent.copied().unwrap_or_default() && !attached);
        if let Some(mark) = below.get_mut(at) {
            *mark = is_below;
        }
        if is_below && !attached && is_readable(part) && (texts.is_empty() || is_prose(part)) {
            texts.push(part);
            if texts.len() >= TEXTS_MAX {
                break;
            }
        }
    }
    texts
}

fn is_attached(part: &Part) -> bool {
    let disposition = part.disposition.as_ref();
    disposition.is_some_and(|d| d.value.eq_ignore_ascii_case("attachment"))
}

/// A text whose transfer encoding is known: none may be told that is still encoded (RFC 8970 3.3).
fn is_readable(part: &Part) -> bool {
    let text = part.kind == PartKind::Leaf && part.media_type().0.eq_ignore_ascii_case("text");
    text && Encoding::named(part.encoding.as_deref()).is_some()
}

/// What may stand for an empty text before it: another form of what was written, not a calendar or a table.
fn is_prose(part: &Part) -> bool {
    let subtype = part.media_type().1;
    ["plain", "html", "enriched"]
        .iter()
        .any(|known| subtype.eq_ignore_ascii_case(known))
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
    let mut left = PREVIEW_MAX_CHARS;
    for word in lines.flat_map(str::split_whitespace) {
        let mut shown = word.chars().filter(|c| is_shown(*c)).peekable();
        // Some letters end in hundreds of spaces with such marks between them, for lists like this one.
        if shown.peek().is_none() {
            continue;
        }
        if !line.is_empty() {
            left = left.saturating_sub(1);
            if left == 0 {
                break;
            }
            line.push(' ');
        }
        for c in shown.take(left) {
            line.push(c);
            left -= 1;
        }
        if left == 0 {
            break;
        }
    }
    line
}

/// Marks that show nothing would fill the few characters there are, and those that turn the direction of writing would
/// turn what a list shows behind them.
fn is_shown(c: char) -> bool {
    let hidden = matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}');
    !c.is_control() && !hidden
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `None`: there is no text at all.
    fn told(message: &str) -> Option<String> {
        let map = Structure::of(message.as_bytes());
        let words = told_by(&map).into_iter().map(|part| {
            let body = part.body.of(message.as_bytes()).unwrap();
            super::words(&decode::text(part, body, body.len()).unwrap())
        });
        words.reduce(|first, next| if first.is_empty() { next } else { first })
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
    fn an_empty_text_is_passed_over() {
        let parts = |texts: &[&str]| {
            let parts: String = texts
                .iter()
                .map(|text| format!("--b\r\nContent-Type: text/plain\r\n\r\n{text}\r\n"))
                .collect();
            told(&format!(
                "Content-Type: multipart/alternative; boundary=b\r\n\r\n{parts}--b--\r\n"
            ))
            .unwrap()
        };
        assert_eq!(parts(&["", " \u{a0}\r\n", "words", "more"]), "words");
        assert_eq!(parts(&["first", "words"]), "first");
        let bounded = [vec![""; TEXTS_MAX], vec!["too far"]].concat();
        assert_eq!(parts(&bounded), "");
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

    #[test]
    fn what_shows_nothing_takes_no_room() {
        // The filling of newsletters: invisible marks with spaces between them, which no reader of a list sees.
        let filled = format!(
            "\r\nMerhaba{}\u{200b}d\u{fc}nya \u{feff}\r\n",
            " \u{200c}\u{a0}\u{34f}".repeat(300)
        );
        assert_eq!(told(&filled).unwrap(), "Merhaba d\u{fc}nya");
        // Nothing turns the line round.
        assert_eq!(
            told("\r\n\u{202e}fdp.\u{2066}exe\u{2069} \u{200f}x\r\n").unwrap(),
            "fdp.exe x"
        );
        // Whatever breaks lines is a space.
        let broken = "\r\na\rb\nc\u{b}d\u{c}e\u{85}f\u{2028}g\u{2029}h\ti\0j\u{1b}[31m\r\n";
        assert_eq!(told(broken).unwrap(), "a b c d e f g h ij[31m");
        assert_eq!(told("\r\n \u{200b} \u{a0} \r\n").unwrap(), "");
    }

    #[test]
    fn characters_are_counted_and_not_octets() {
        let count = |text: String| told(&format!("\r\n{text}\r\n")).unwrap().chars().count();
        assert_eq!(count("\u{131}".repeat(500)), PREVIEW_MAX_CHARS);
        assert_eq!(count("\u{1f4e8}".repeat(500)), PREVIEW_MAX_CHARS);
        assert_eq!(count("a".repeat(PREVIEW_MAX_CHARS)), PREVIEW_MAX_CHARS);
        // No space stands at the end, where the next word has no room.
        let words = format!("{} x", "a".repeat(PREVIEW_MAX_CHARS - 1));
        assert_eq!(count(words), PREVIEW_MAX_CHARS - 1);
        let words = format!("{} xy", "a".repeat(PREVIEW_MAX_CHARS - 2));
        assert_eq!(count(words), PREVIEW_MAX_CHARS);
    }

    #[test]
    fn what_is_attached_or_cannot_be_read_is_not_told() {
        let mixed =
            |parts: &str| format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n{parts}--b--\r\n");
        let pdf = "--b\r\nContent-Type: application/pdf\r\n\r\n%PDF\r\n";
        let sent_on = "--b\r\nContent-Type: message/rfc822\r\nContent-Disposition: attachment\r\n\r\nSubject: x\r\n\r\nnot mine\r\n";
        let odd = "--b\r\nContent-Transfer-Encoding: x-uuencode\r\n\r\nbegin 644 x\r\n";
        for parts in [pdf, sent_on, odd, &[pdf, sent_on, odd].concat()] {
            assert_eq!(told(&mixed(parts)), None, "{parts}");
        }
        // A mail that is sent on in the text is read with it.
        let inline = sent_on.replace("attachment", "inline");
        assert_eq!(told(&mixed(&inline)).unwrap(), "not mine");
        let own = "--b\r\nContent-Type: text/plain\r\n\r\nmine\r\n";
        assert_eq!(told(&mixed(&[sent_on, odd, own].concat())).unwrap(), "mine");
        assert_eq!(told("Content-Type: application/pkcs7-mime\r\n\r\nMIIB\r\n"), None);
        let text = "Content-Disposition: attachment\r\n\r\nx\r\n";
        assert_eq!(told(text), None);
    }

    #[test]
    fn markup_that_does_not_end_is_survived() {
        let html = |text: &str| told(&format!("Content-Type: text/html\r\n\r\n{text}"));
        let long = "p{color:red}".repeat(4000);
        for text in [
            format!("<style>{long}"),
            format!("<!-- {long}"),
            "<".repeat(50_000),
            "&".repeat(50_000),
            "<p ".repeat(20_000),
            "&#xffffffff;&#0;&\u{131};".repeat(5000),
        ] {
            let told = html(&text).unwrap();
            assert!(
                told.chars().count() <= PREVIEW_MAX_CHARS && !told.contains("color"),
                "{told}"
            );
        }
    }
}
