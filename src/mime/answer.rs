//! What somebody wrote himself in an answer: its text without what it quotes, who said that, and the signature.
//!
//! Mail readers agree on little here. Quoted lines begin with `>` (RFC 3676 4.5), a signature with `-- ` (RFC 3676 4.3);
//! the line above a quotation ("... wrote:") and the separators of readers that do not mark quotations follow custom.
//! What is left is testimony, so in doubt it is not guessed: only text/plain is read. HTML that is turned into text is not
//! what its author saw - lines run together, and what he never saw appears - so an answer in HTML alone is refused.

use super::structure::{Part, PartKind, Structure};
use super::{decode, field};

/// Octets of the text part that are read. What a person writes himself is far shorter; the rest is what he quotes.
pub const TEXT_MAX_OCTETS: usize = 256 * 1024;
/// Lines of an attribution: readers fold it.
const ATTRIBUTION_MAX_LINES: usize = 3;
/// Why an answer cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unread {
    /// There is no text in it.
    NoText,
    /// Its only text is HTML.
    Html,
    /// The text is longer than is read.
    TooLong,
}

/// The words of the answer's author; empty when he wrote none.
pub fn own_words(message: &[u8]) -> Result<String, Unread> {
    let structure = Structure::of(message);
    let shown = |media_type| {
        let parts = structure.parts.iter();
        parts
            .filter(|p| p.kind == PartKind::Leaf && p.is_type(media_type))
            .find(|p| is_shown(&structure, p))
    };
    let part = shown("text/plain").ok_or_else(|| match shown("text/html") {
        Some(_) => Unread::Html,
        None => Unread::NoText,
    })?;
    let body = part.body.of(message).ok_or(Unread::NoText)?;
    if body.len() > TEXT_MAX_OCTETS {
        return Err(Unread::TooLong);
    }
    let text = decode::text(part, body, TEXT_MAX_OCTETS).ok_or(Unread::NoText)?;
    let flowed = part.content_type.param("format");
    let stuffed = flowed.is_some_and(|f| f.eq_ignore_ascii_case("flowed"));
    Ok(cut(&text, stuffed))
}

/// Whether a part is what the author shows: neither attached nor inside a message he encloses.
fn is_shown(structure: &Structure, part: &Part) -> bool {
    let attached = |p: &Part| {
        let disposition = p.disposition.as_ref();
        disposition.is_some_and(|d| d.value.eq_ignore_ascii_case("attachment")) || p.file_name().is_some()
    };
    let mut at = Some(part);
    while let Some(p) = at {
        if p.kind == PartKind::Message || attached(p) {
            return false;
        }
        at = p.parent.and_then(|n| structure.parts.get(usize::from(n)));
    }
    true
}

/// Leaves out what the author did not write.
fn cut(text: &str, stuffed: bool) -> String {
    let mut own: Vec<String> = Vec::new();
    let lines: Vec<&str> = text.lines().collect();
    for (at, line) in lines.iter().enumerate() {
        if is_signature(line) || opens_unmarked_quotation(&lines[at..]) {
            break;
        }
        if line.starts_with('>') {
            drop_attribution(&mut own);
            continue;
        }
        // RFC 3676 4.4: one space in front of a line is not the author's.
        let line = if stuffed {
            line.strip_prefix(' ').unwrap_or(line)
        } else {
            line
        };
        own.push(clean(line));
    }
    own.join("\n").trim().to_owned()
}

fn clean(line: &str) -> String {
    let kept: String = line.chars().filter(|c| *c == '\t' || !c.is_control()).collect();
    kept.trim_end().to_owned()
}

/// Some servers and readers take the space away.
fn is_signature(line: &str) -> bool {
    line == "-- " || line == "--"
}

/// Whether a quotation begins here that is not marked line by line, as Outlook and its like make them.
fn opens_unmarked_quotation(lines: &[&str]) -> bool {
    let Some(first) = lines.first().map(|line| line.trim()) else {
        return false;
    };
    let rule = |c: char| first.len() >= 20 && first.chars().all(|other| other == c);
    let between = first
        .strip_prefix("-----")
        .and_then(|rest| rest.strip_suffix("-----"));
    let original = [
        "Original Message",
        "Özgün İleti",
        "Orijinal Mesaj",
        "Forwarded Message",
    ];
    let announced = between.is_some_and(|words| original.contains(&words.trim_matches(['-', ' '])));
    let heading = |line: &str, names: &[&str]| names.iter().any(|name| line.trim().starts_with(name));
    let mut below = lines.iter().skip(1).filter(|line| !line.trim().is_empty());
    let headed = |line: &str| heading(line, &["From:", "Kimden:", "Gönderen:"]);
    let dated = |line: &&&str| {
        heading(
            line,
            &[
                "Sent:",
                "Date:",
                "Gönderildi:",
                "Gönderilme:",
                "Tarih:",
                "To:",
                "Kime:",
            ],
        )
    };
    announced
        || (rule('_') && below.clone().next().is_some_and(|line| headed(line)))
        || (headed(first) && below.next().as_ref().is_some_and(dated))
}

/// Takes away the line above a quotation that says whose it is, with the lines it was folded into.
fn drop_attribution(own: &mut Vec<String>) {
    while own.last().is_some_and(String::is_empty) {
        own.pop();
    }
    let says_so = |line: &String| {
        let line = line.trim_end();
        line.ends_with("wrote:") || line.ends_with("yazdı:") || line.ends_with("writes:")
    };
    if !own.last().is_some_and(says_so) {
        return;
    }
    let begins = |line: &String| {
        line.starts_with("On ")
            || line.contains('@')
            || line.chars().next().is_some_and(|c| c.is_ascii_digit())
    };
    let reach = own.len().saturating_sub(ATTRIBUTION_MAX_LINES);
    let last = own.len().saturating_sub(1);
    let paragraph = own[reach..]
        .iter()
        .rposition(String::is_empty)
        .map_or(reach, |n| reach + n + 1);
    let first = own[paragraph..]
        .iter()
        .position(begins)
        .map_or(last, |n| paragraph + n);
    own.truncate(first);
    while own.last().is_some_and(String::is_empty) {
        own.pop();
    }
}

/// Whether a program answered by itself (RFC 3834 5): then nobody meant it.
pub fn is_automatic(header: &[u8]) -> bool {
    let said = field::first(header, "Auto-Submitted");
    said.is_some_and(|value| {
        let word = value.split([';', '(']).next().unwrap_or_default().trim();
        !word.eq_ignore_ascii_case("no")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(body: &str) -> Result<String, Unread> {
        let head = "From: a@b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n";
        own_words(format!("{head}{}", body.replace('\n', "\r\n")).as_bytes())
    }

    #[test]
    fn only_what_the_author_wrote_is_kept() {
        let quoted = "> Onay işi\n> ------\n>\n";
        for (body, wanted) in [
            ("Uygundur.\n", "Uygundur."),
            ("Uygundur.\n-- \nAyşe\nMüdür\n", "Uygundur."),
            (
                "Bir.\n\nİki.\n\nOn Wed, 25 Nov 2026 at 22:05, KEPHS\n<kep@hs01.kep.test> wrote:\n\n¶",
                "Bir.\n\nİki.",
            ),
            ("Bir.\n25.11.2026 22:05 tarihinde KEPHS yazdı:\n¶", "Bir."),
            (
                "Bir.\nKEPHS <kep@hs01.kep.test>, 25 Kas 2026 Çar, 22:05\ntarihinde şunu yazdı:\n¶",
                "Bir.",
            ),
            ("¶Altta.\n", "Altta."),
            ("Şuna dikkat:\n¶Fiyat eski.\n", "Şuna dikkat:\nFiyat eski."),
            (
                "Tamam\n-----Original Message-----\nFrom: KEPHS\nSubject: x\n",
                "Tamam",
            ),
            (
                "Tamam\n________________________________\nKimden: KEPHS\nTarih: bugün\nmetin\n",
                "Tamam",
            ),
            ("Tamam\n\nFrom: KEPHS\nSent: today\nthe text\n", "Tamam"),
            (
                "From: buradan başlıyor\nama bu bir not\n",
                "From: buradan başlıyor\nama bu bir not",
            ),
            ("a\u{7}b\tc\n", "ab\tc"),
            ("¶", ""),
            ("On Wed, 25 Nov 2026, KEPHS wrote:\n¶-- \nAyşe\n", ""),
            ("", ""),
        ] {
            assert_eq!(plain(&body.replace('¶', quoted)).unwrap(), wanted, "{body}");
        }
    }

    #[test]
    fn stuffing_of_flowed_text_is_undone() {
        let text = "Content-Type: text/plain; format=flowed\r\n\r\n >burası alıntı değil\r\n> alıntı\r\n";
        assert_eq!(own_words(text.as_bytes()).unwrap(), ">burası alıntı değil");
    }

    #[test]
    fn html_is_not_read() {
        for html in [
            "<div>Onaylanabilir</div><div>değil</div>",
            "<div style=\"display:none\">SAKLI</div>Uygundur.",
            "Uygundur.",
        ] {
            let alone = format!("Content-Type: text/html; charset=utf-8\r\n\r\n{html}\r\n");
            assert_eq!(own_words(alone.as_bytes()), Err(Unread::Html), "{html}");
            let both = format!(
                "Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n{html}\r\n\
                 --b\r\nContent-Type: text/plain\r\n\r\nBenim.\r\n--b--\r\n"
            );
            assert_eq!(own_words(both.as_bytes()).unwrap(), "Benim.", "{html}");
        }
    }

    #[test]
    fn the_text_is_found() {
        let mixed = "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\nnot mine\r\n\
             --b\r\nContent-Type: text/plain\r\nContent-Disposition: attachment\r\n\r\nattached\r\n\
             --b\r\nContent-Type: multipart/alternative; boundary=c\r\n\r\n--c\r\nContent-Type: text/plain; charset=iso-8859-9\r\n\
             Content-Transfer-Encoding: quoted-printable\r\n\r\nBenim s=F6z=FCm\r\n--c\r\nContent-Type: text/html\r\n\r\n<p>x</p>\r\n--c--\r\n--b--\r\n";
        assert_eq!(own_words(mixed.as_bytes()).unwrap(), "Benim sözüm");
        let none = "Content-Type: image/png\r\n\r\nx";
        assert_eq!(own_words(none.as_bytes()), Err(Unread::NoText));
        assert!(plain(&"x".repeat(TEXT_MAX_OCTETS + 1)) == Err(Unread::TooLong));
    }

    #[test]
    fn programs_say_that_they_answered() {
        assert!(is_automatic(b"Auto-Submitted: auto-replied\r\n\r\n"));
        assert!(is_automatic(b"Auto-Submitted: auto-generated; x\r\n\r\n"));
        assert!(!is_automatic(b"Auto-Submitted: No (really)\r\n\r\n"));
        assert!(!is_automatic(b"Subject: x\r\n\r\nAuto-Submitted: auto-replied"));
    }
}
