//! What a citizen reads in a receipt: what its evidence says, what lies beside it, and in the brief form the parts of the
//! original as a table.

use super::{Both, Text, both, evidence_lines, page};
use crate::domain::evidence::EvidenceFacts;
use crate::mime::compose::html_text;
use crate::rem::receipt::{ATTESTATION_FILE, HEADER_FILE, ORIGINAL_FILE, PARTS_FILE, PartDigest};
use std::fmt::Write as _;

/// Parts that are told in the text; a table that goes on and on is read by nobody, and all are in the file.
const LISTED_MAX: usize = 100;

/// What a receipt encloses besides the evidence.
#[derive(Debug, Clone, Copy)]
pub enum Told<'a> {
    Parts(&'a [PartDigest]),
    Original,
}

/// The introduction of a receipt. `attested_by`: the other provider, when its message lies beside.
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

/// A name that somebody else wrote, on one line.
fn printable(text: &str) -> String {
    let shown = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().map(shown).collect()
}
