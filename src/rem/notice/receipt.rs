//! What a citizen reads in a receipt: what its evidence says, what lies beside it, and in the brief form the parts of the
//! original as a table.

use super::{Both, Text, both, evidence_lines, page};
use crate::domain::evidence::{EvidenceFacts, Extension};
use crate::mime::compose::html_text;
use crate::rem::receipt::{ATTESTATION_FILE, HEADER_FILE, ORIGINAL_FILE, PARTS_FILE, PartDigest};
use std::fmt::Write as _;

/// Parts that are told in the text; a table that goes on and on is read by nobody, and all are in the file.
const LISTED_MAX: usize = 100;

/// Characters of a text that another provider chose: a reason is a sentence or two, and the evidence has all of it.
pub const FOREIGN_MAX_CHARS: usize = 1000;
/// Reasons that are told, and notes: one is usual.
pub const FOREIGN_LINES_MAX: usize = 10;

/// The facts of evidence as the text of a receipt tells them. We sign that text: of the mail it says what the mail's own row
/// says, and what only the evidence says is bounded and cannot deceive the eye. That somebody signed the mail is nothing
/// that another provider can state in our words.
pub fn in_our_words(facts: &EvidenceFacts, sender: &str, subject: &str, by_peer: bool) -> EvidenceFacts {
    let mut said = facts.clone();
    said.sender.address = sender.to_owned();
    said.message.subject = subject.to_owned();
    if by_peer {
        said.sender_authentication = None;
    }
    said.reasons.truncate(FOREIGN_LINES_MAX);
    for reason in &mut said.reasons {
        reason.details = reason.details.as_deref().map(foreign);
    }
    said.extensions
        .retain(|extension| matches!(extension, Extension::Note { .. }));
    said.extensions.truncate(FOREIGN_LINES_MAX);
    for extension in &mut said.extensions {
        if let Extension::Note { text, .. } = extension {
            *text = foreign(text);
        }
    }
    if said.recipient().is_none() {
        said.recipients.truncate(FOREIGN_LINES_MAX);
    }
    for recipient in &mut said.recipients {
        recipient.address = foreign(&recipient.address);
    }
    said
}

/// On one line, and not for ever.
fn foreign(text: &str) -> String {
    let mut shown = printable(&text.chars().take(FOREIGN_MAX_CHARS).collect::<String>());
    if text.chars().nth(FOREIGN_MAX_CHARS).is_some() {
        shown.push('…');
    }
    shown
}

/// What a receipt encloses besides the evidence.
#[derive(Debug, Clone, Copy)]
pub enum Told<'a> {
    Parts(&'a [PartDigest]),
    Original,
}

/// The introduction of a receipt. `attested_by`: the domain of the other provider, when its message lies beside.
pub fn receipt_intro(
    facts: &EvidenceFacts,
    told: Told<'_>,
    original_sha256: &str,
    attested_by: Option<&str>,
) -> Text {
    let mut lines = evidence_lines(facts);
    lines.push(enclosed(told, original_sha256));
    if let Some(provider) = attested_by {
        lines.push(both(
            format!(
                "Delili {provider} düzenlemiştir; imzaladığı ileti değiştirilmeden ektedir ({ATTESTATION_FILE})."
            ),
            format!("{provider} issued the evidence; the message it signed is attached unchanged ({ATTESTATION_FILE})."),
        ));
    }
    let text = page(&both("KEP delili", "Registered mail evidence"), &lines);
    match told {
        Told::Parts(parts) => with_table(text, parts),
        Told::Original => text,
    }
}

fn enclosed(told: Told<'_>, original_sha256: &str) -> Both {
    match told {
        Told::Parts(_) => both(
            format!(
                "Gönderdiğiniz iletinin başlığı ({HEADER_FILE}) ve bölümlerinin özetleri ({PARTS_FILE}) ektedir; iletinin \
                 kendisi ekli değildir. İletinin SHA-256 özeti: {original_sha256}"
            ),
            format!(
                "The header of the mail you sent ({HEADER_FILE}) and the digests of its parts ({PARTS_FILE}) are attached; the \
                 mail itself is not. SHA-256 of the mail: {original_sha256}"
            ),
        ),
        Told::Original => both(
            format!(
                "Gönderdiğiniz iletinin kendisi ektedir ({ORIGINAL_FILE}). SHA-256 özeti: {original_sha256}"
            ),
            format!("The mail you sent is attached ({ORIGINAL_FILE}). Its SHA-256: {original_sha256}"),
        ),
    }
}

fn with_table(text: Text, parts: &[PartDigest]) -> Text {
    let title = "Gönderilen iletinin bölümleri / Parts of the mail that was sent";
    let mut plain = format!("{}\n--------\n\n{title}\n", text.plain);
    let mut rows = String::new();
    for part in parts.iter().take(LISTED_MAX) {
        let file = printable(part.file.as_deref().unwrap_or("-"));
        let media_type = printable(&part.media_type);
        let decoded = (
            part.decoded_octets.map_or("-".to_owned(), |n| n.to_string()),
            part.decoded_sha256.as_deref().unwrap_or("-"),
        );
        // Writing to a String cannot fail.
        let _ = write!(
            plain,
            "\n{number}. {file} ({media_type})\n   {octets} sekizli / octets, SHA-256 {sha256}\n   çözülmüş / decoded: {} \
             sekizli / octets, SHA-256 {}\n",
            decoded.0,
            decoded.1,
            number = part.part,
            octets = part.octets,
            sha256 = part.sha256,
        );
        let cells = [
            &part.part,
            &file,
            &media_type,
            &part.octets.to_string(),
            &part.sha256,
            &decoded.0,
            decoded.1,
        ];
        let cells: String = cells
            .iter()
            .map(|cell| format!("<td>{}</td>", html_text(cell)))
            .collect();
        let _ = writeln!(rows, "<tr>{cells}</tr>");
    }
    let more = parts.len().saturating_sub(LISTED_MAX);
    if more > 0 {
        let say = format!("{more} bölüm daha / more parts: {PARTS_FILE}");
        let _ = write!(plain, "\n{say}\n");
        let _ = writeln!(rows, "<tr><td colspan=\"7\">{say}</td></tr>");
    }
    let heads = [
        "Bölüm / Part",
        "Dosya / File",
        "Tür / Type",
        "Sekizli / Octets",
        "SHA-256",
        "Çözülmüş sekizli / Decoded octets",
        "SHA-256 (çözülmüş / decoded)",
    ];
    let heads: String = heads.iter().map(|head| format!("<th>{head}</th>")).collect();
    let table = format!("<hr>\n<h3>{title}</h3>\n<table border=\"1\">\n<tr>{heads}</tr>\n{rows}</table>\n");
    Text {
        plain,
        html: text
            .html
            .replacen("</body></html>", &format!("{table}</body></html>"), 1),
    }
}

/// A text that somebody else wrote, on one line, and as it reads: `gpj.exe` must not look like `exe.jpg`.
fn printable(text: &str) -> String {
    let shown = |c: char| match c {
        c if c.is_control() => ' ',
        c if is_unseen(c) => char::REPLACEMENT_CHARACTER,
        c => c,
    };
    text.chars().map(shown).collect()
}

/// Characters that turn the direction of writing (UAX 9 2), end lines, or are not seen at all.
fn is_unseen(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::evidence::{Event, EvidenceKind};

    #[test]
    fn a_name_is_shown_as_it_reads() {
        let deceiving =
            "fatura\u{202e}fdp.exe \u{2066}a\u{2069}b\u{200b}c\u{200d}\u{feff}d\u{2028}e\u{2029}f\r\ng";
        let shown = printable(deceiving);
        assert_eq!(
            shown,
            "fatura\u{fffd}fdp.exe \u{fffd}a\u{fffd}b\u{fffd}c\u{fffd}\u{fffd}d\u{fffd}e\u{fffd}f  g"
        );
        assert_eq!(printable("şartname İ 1.txt"), "şartname İ 1.txt");
    }

    #[test]
    fn our_words_are_about_our_mail_and_bounded() {
        let kind = EvidenceKind::DeliveryNonDeliveryToRecipient;
        let mut facts = crate::rem::evidence::tests::facts(kind, Event::NonDelivery);
        facts.sender.address = "baskasi@hs09.kep.test".into();
        facts.message.subject = "KONU".repeat(10_000);
        let reason = facts.reasons.first().unwrap().clone();
        facts.reasons = vec![reason; 500];
        for reason in &mut facts.reasons {
            reason.details = Some("ay\r\n\u{202e}".repeat(5_000));
        }
        facts.issuer.name = "BIZIM".repeat(10_000);
        let said = in_our_words(&facts, "ornekas@hs01.kep.test", "Teklif", true);
        let text = receipt_intro(&said, Told::Original, "0a", Some("hs02.kep.test"));
        for text in [&text.plain, &text.html] {
            assert!(text.contains("ornekas@hs01.kep.test") && text.contains("Konu: Teklif"));
            assert!(text.contains("Delili hs02.kep.test düzenlemiştir"));
            for foreign in ["hs09", "KONU", "BIZIM", "\u{202e}"] {
                assert!(!text.contains(foreign), "{foreign}");
            }
            assert!(text.len() < 150_000, "{}", text.len());
        }
        assert_eq!(text.plain.matches("Neden:").count(), FOREIGN_LINES_MAX);
        let longest = text.plain.lines().map(|line| line.chars().count()).max();
        assert!(longest < Some(FOREIGN_MAX_CHARS + 100), "{longest:?}");
    }

    #[test]
    fn another_provider_states_no_signature_in_our_words() {
        let kind = EvidenceKind::DeliveryNonDeliveryToRecipient;
        let facts = crate::rem::evidence::tests::facts(kind, Event::Delivery);
        assert!(facts.sender_authentication.is_some());
        assert!(
            in_our_words(&facts, "a@b", "c", true)
                .sender_authentication
                .is_none()
        );
        let own = in_our_words(&facts, "a@b", "c", false);
        assert_eq!(own.sender_authentication, facts.sender_authentication);
    }
}
