//! The header block of a submission: what must hold of it, what it asks for, and what is taken out of it. Works on
//! exact octets; every octet that is not named stays as it was.

use crate::address::KepAddress;
use crate::domain::mail::{MESSAGE_ID_MAX_OCTETS, RECIPIENTS_MAX};
use crate::domain::org::Organisation;
use crate::domain::policy::Asked;
use crate::domain::receipt::ReceiptForm;
use crate::id::JobId;
use crate::mime::edit::{self, SubjectTag};
use crate::mime::mailbox::{mailboxes, parse_list};
use crate::mime::summary::{self, Summary};
use crate::service::failure::{Failure, Kind};
use std::collections::BTreeSet;

/// Headers by which a submission says what it wants; removed before anything is sealed.
const WISH_HEADERS: [&str; 4] = ["X-KEP-Islem", "X-KEP-Kural", "X-KEP-Is", RECEIPT_HEADER];
/// In which form its sender wants evidence of its delivery.
const RECEIPT_HEADER: &str = "X-KEP-Makbuz";
/// Fields of which a message has one at most (RFC 5322 3.6): a second one could be read differently by others.
/// The same of the fields that say how the body is read (RFC 2045 3), and what of it is signed.
const SINGLE_FIELDS: [&str; 10] = [
    "From",
    "Sender",
    "To",
    "Cc",
    "Subject",
    "Date",
    "Message-ID",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
];

/// Where the body begins; looked for from `scanned` on.
pub fn header_end(header: &[u8], scanned: usize) -> Option<usize> {
    if header.starts_with(b"\r\n") {
        return Some(2);
    }
    header
        .get(scanned..)?
        .windows(4)
        .position(|w| w == b"\r\n\r\n")
        .map(|at| scanned + at + 4)
}

/// What must hold of the header of everything a user hands in.
pub fn check_header(organisation: &Organisation, block: &[u8]) -> Result<(), Failure> {
    let mut seen = [0u8; SINGLE_FIELDS.len()];
    for field in crate::mime::field::fields(block) {
        for (count, name) in seen.iter_mut().zip(SINGLE_FIELDS) {
            *count = count.saturating_add(u8::from(field.is(name)));
        }
    }
    if let Some(at) = seen.iter().position(|n| *n > 1) {
        return Err(malformed(&format!(
            "the header has more than one {} field",
            SINGLE_FIELDS[at]
        )));
    }
    let seen = Summary::of(block);
    // A longer one could not be repeated in the References of its evidence, which then would stand alone.
    let message_id = seen.message_id.as_deref().unwrap_or_default().trim();
    if message_id.len() > MESSAGE_ID_MAX_OCTETS {
        return Err(malformed(&format!(
            "the Message-ID is longer than {MESSAGE_ID_MAX_OCTETS} octets"
        )));
    }
    let from: Vec<String> = mailboxes(&seen.from)
        .map(|m| m.address().to_ascii_lowercase())
        .collect();
    match from.as_slice() {
        [only] if *only == organisation.tenant.address.as_str() => check_sender_field(organisation, block),
        [] => Err(malformed("the message has no From field with an address")),
        _ => Err(not_yours(organisation)),
    }
}

/// `Sender` names who really sends (RFC 5322 3.6.2): mail readers show it beside From, and nobody else sends for a KEP
/// account.
fn check_sender_field(organisation: &Organisation, block: &[u8]) -> Result<(), Failure> {
    let Some(field) = summary::named(block, "Sender") else {
        return Ok(());
    };
    let own = |address: &str| address.eq_ignore_ascii_case(organisation.tenant.address.as_str());
    let entries = parse_list(field.as_bytes());
    let mut named = mailboxes(&entries).map(|m| own(&m.address())).peekable();
    if named.peek().is_some() && named.all(|own| own) {
        return Ok(());
    }
    Err(not_yours(organisation))
}

/// What the headers ask for, and the block without those headers.
pub(super) fn wishes(block: &[u8]) -> Result<(Asked, Vec<u8>), Failure> {
    let rule = summary::named(block, WISH_HEADERS[1]).map(|r| crate::mime::decode::words(r.trim()));
    let wish = summary::named(block, WISH_HEADERS[0]);
    let plain = edit::remove_fields(block, &WISH_HEADERS);
    let from_header = match wish.as_deref().map(str::trim) {
        Some(w) if w.eq_ignore_ascii_case("gonder") => Some(Asked::Send),
        Some(w) if w.eq_ignore_ascii_case("taslak") => Some(Asked::Draft),
        Some(w) if w.eq_ignore_ascii_case("akis") => Some(Asked::Flow(rule.clone())),
        Some(_) => return Err(malformed("X-KEP-Islem is gonder, akis or taslak")),
        None => rule.map(|r| Asked::Flow(Some(r))),
    };
    let (from_subject, block) = match edit::strip_subject_tag(&plain) {
        Some((tag, block)) => (Some(tag), block),
        None => (None, plain),
    };
    let from_subject = from_subject.map(|tag| match tag {
        SubjectTag::Send => Asked::Send,
        SubjectTag::Draft => Asked::Draft,
        SubjectTag::Flow(rule) => Asked::Flow(Some(rule)),
    });
    Ok((from_header.or(from_subject).unwrap_or_default(), block))
}

/// The job that a signed mail says it releases; status messages name it in the same header.
pub(super) fn signed_job(block: &[u8]) -> Result<Option<JobId>, Failure> {
    let named = summary::named(block, WISH_HEADERS[2]).map(|id| id.trim().parse());
    let named = named.transpose();
    named.map_err(|_| malformed("X-KEP-Is names a job by its id, as kepctl job list shows it"))
}

/// In which form evidence of the delivery is wanted; `None`: the mail does not say.
pub(super) fn wished_receipts(block: &[u8]) -> Result<Option<ReceiptForm>, Failure> {
    let wished = summary::named(block, RECEIPT_HEADER).map(|word| ReceiptForm::wished(&word));
    let wished = wished.map(|form| form.ok_or_else(|| malformed("X-KEP-Makbuz is ozet, kisa or tam")));
    wished.transpose()
}

/// A draft keeps the wish until it is sent.
pub(super) fn keep_receipts(block: Vec<u8>, receipts: Option<ReceiptForm>) -> Vec<u8> {
    match receipts {
        Some(form) => [
            format!("{RECEIPT_HEADER}: {}\r\n", form.wish()).into_bytes(),
            block,
        ]
        .concat(),
        None => block,
    }
}

/// A draft keeps its blind recipients in a Bcc field: it is its author's alone, and is sent from what it says.
pub(super) fn keep_blind(block: &[u8], seen: &Summary, blind: &BTreeSet<KepAddress>) -> Vec<u8> {
    let named: BTreeSet<String> = mailboxes(&seen.bcc)
        .map(|m| m.address().to_ascii_lowercase())
        .collect();
    let missing: Vec<&str> = blind
        .iter()
        .map(KepAddress::as_str)
        .filter(|a| !named.contains(*a))
        .collect();
    if missing.is_empty() {
        return block.to_vec();
    }
    let mut kept = format!("Bcc: {}\r\n", missing.join(",\r\n ")).into_bytes();
    kept.extend_from_slice(block);
    kept
}

/// The recipients a draft names, for sending it as it stands.
pub fn draft_recipients(seen: &Summary) -> Result<Vec<KepAddress>, Failure> {
    let mut recipients = Vec::new();
    for mailbox in [&seen.to, &seen.cc, &seen.bcc]
        .into_iter()
        .flat_map(|list| mailboxes(list))
    {
        let address = mailbox.address();
        let parsed: KepAddress = address.parse().map_err(|_| {
            Failure::refused(Kind::NotKepAddress, format!("\"{address}\" is not a KEP address"))
        })?;
        if !recipients.contains(&parsed) {
            recipients.push(parsed);
        }
    }
    if recipients.is_empty() {
        return Err(Failure::refused(
            Kind::Invalid,
            "the draft names no recipient in To, Cc or Bcc",
        ));
    }
    if recipients.len() > RECIPIENTS_MAX {
        return Err(Failure::refused(
            Kind::TooMany,
            format!("a mail has at most {RECIPIENTS_MAX} recipients"),
        ));
    }
    Ok(recipients)
}

pub(super) fn malformed(say: &str) -> Failure {
    Failure::refused(Kind::Malformed, say)
}

pub(super) fn not_yours(organisation: &Organisation) -> Failure {
    let say = format!(
        "you send as {} only: set it as From and envelope sender, and leave Sender out",
        organisation.tenant.address
    );
    Failure::refused(Kind::NotYourAddress, say)
}
