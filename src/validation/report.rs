//! A judgement as people and as programs read it: text in Turkish or English, named values for scripts.
//!
//! Deterministic: the same octets and anchors give the same report, on any machine and in any year.

mod reliance;

use super::bundle::Bundle;
use super::preserved::Preserved;
use super::{Judged, OriginalMatch};
use crate::clock::UtcTime;
use crate::domain::audit_chain::hex;
use crate::domain::evidence::EvidenceFacts;
use crate::domain::signature::{PersonSignature, SignatureStanding};
use crate::rem::notice::judgement::{Language, Word, reason, title};
use crate::rem::notice::signature::signature_words;
use crate::rem::notice::{local_time, reason_words};
use crate::seal::verifier::TrustMoment;
use crate::seal::{Finding, Relied};
use crate::xml::Level;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Recipients named in a report for people; a script gets all.
const RECIPIENTS_SHOWN_MAX: usize = 20;

/// The findings with their names in the protocol, which are promised, and their headings.
fn four(judged: &Judged) -> [(&'static str, Word, &Finding); 4] {
    let f = &judged.findings;
    [
        ("schema", Word::Schema, &f.schema),
        ("signature", Word::Signature, &f.signature),
        ("trust", Word::Trust, &f.trust),
        ("timestamp", Word::Timestamp, &f.timestamp),
    ]
}

/// Named values in order, as `--json` gives them.
pub fn entries(judged: &Judged) -> Vec<(&'static str, Value)> {
    let mut out: Vec<(&'static str, Value)> = vec![("file", judged.name.clone().into())];
    out.extend(four(judged).map(|(name, _, finding)| (name, finding.to_string().into())));
    let signer = judged.signer.as_ref();
    let time = |t: Option<UtcTime>| t.map(|t| t.to_string());
    out.extend([
        ("signer", signer.map(|s| s.subject.clone()).into()),
        ("stamp_time", time(judged.stamp_time).into()),
        ("ok", judged.is_ok().into()),
        ("piece", judged.piece.word().into()),
        ("sha256", hex(&judged.sha256).into()),
        ("signer_sha256", signer.map(|s| hex(&s.fingerprint)).into()),
        ("signing_time", time(judged.signing_time).into()),
        ("level", judged.level.map(Level::word).into()),
        ("trusted_at", judged.trust_moment.map(moment).into()),
        ("revocation", reliance::value(judged.relied.as_ref())),
        ("stamp_revocation", reliance::value(worst(&judged.stamps))),
        ("original", original_word(judged.original).into()),
        ("preserved", preserved_value(&judged.preserved)),
        ("remarks", judged.remarks.clone().into()),
        ("states", judged.facts.as_ref().map_or(Value::Null, stated)),
    ]);
    out
}

/// What is told of an evidence beside the document itself: the same names and the same words as in a whole report.
pub fn shown_entries(judged: &Judged) -> Vec<(&'static str, Value)> {
    const SHOWN: [&str; 10] = [
        "level",
        "schema",
        "signature",
        "trust",
        "timestamp",
        "stamp_time",
        "revocation",
        "preserved",
        "remarks",
        "ok",
    ];
    let mut shown: Vec<(&'static str, Value)> = entries(judged)
        .into_iter()
        .filter(|(name, _)| SHOWN.contains(name))
        .collect();
    let facts = judged.facts.as_ref();
    shown.push((
        "person_signature",
        facts.and_then(personal).map_or(Value::Null, signature_value),
    ));
    shown
}

/// The same as one object.
pub fn object(judged: &Judged) -> Value {
    Value::Object(
        entries(judged)
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
    )
}

/// A bundle as a whole.
pub fn bundle_entries(name: &str, bundle: &Bundle) -> Vec<(&'static str, Value)> {
    vec![
        ("file", name.into()),
        ("mail_id", bundle.mail_id.clone().into()),
        ("manifest", bundle.manifest.to_string().into()),
        ("documents", bundle.documents.len().into()),
        ("ok", bundle.is_ok().into()),
    ]
}

fn stated(facts: &EvidenceFacts) -> Value {
    json!({
        "kind": facts.kind.element_name(),
        "event": facts.event.fragment(),
        "event_time": facts.event_time.to_string(),
        "evidence_id": facts.id.to_string(),
        "issuer": facts.issuer.name,
        "issuer_address": facts.issuer.electronic_address,
        "sender": facts.sender.address,
        "person_signature": personal(facts).map(signature_value),
        "recipients": facts.recipients.iter().map(|r| r.address.as_str()).collect::<Vec<_>>(),
        "recipient": facts.recipient().map(|r| r.address.as_str()),
        "subject": facts.message.subject,
        "rem_message_id": facts.message.rem_message_id,
        "original_sha256": facts.message.original_sha256.map(|d| hex(&d)),
        "reasons": facts.reasons.iter().map(|r| r.reason.fragment()).collect::<Vec<_>>(),
    })
}

fn personal(facts: &EvidenceFacts) -> Option<&PersonSignature> {
    facts.sender_authentication.as_ref()?.signature.as_ref()
}

/// A person's signature, as the evidence tells of it. The names in it are promised.
fn signature_value(signature: &PersonSignature) -> Value {
    let time = |t: Option<UtcTime>| t.map(|t| t.to_string());
    let final_from = match signature.standing {
        SignatureStanding::NotFinal { final_from } => Some(final_from),
        _ => None,
    };
    json!({
        "profile": signature.profile.word(),
        "signer": signature.signer,
        "issuer": signature.issuer,
        "certificate_sha256": hex(&signature.certificate_sha256),
        "claimed_at": time(signature.claimed_at),
        "stamped_at": time(signature.stamped_at),
        "judged_at": signature.judged_at.to_string(),
        "standing": signature.standing.word(),
        "final_from": time(final_from),
    })
}

/// Of several time-stamps the one that is not relied on, else the first.
fn worst(stamps: &[Relied]) -> Option<&Relied> {
    let doubted = stamps.iter().find(|relied| relied.distrust().is_some());
    doubted.or(stamps.first())
}

fn preserved_value(preserved: &Preserved) -> Value {
    match preserved {
        Preserved::NotGiven => Value::Null,
        Preserved::Failed(why) => format!("failed: {why}").into(),
        Preserved::Since {
            since,
            renewed,
            until,
        } => json!({
            "since": since.to_string(),
            "renewed": renewed.to_string(),
            "until": until.to_string(),
        }),
    }
}

fn moment(at: TrustMoment) -> String {
    match at {
        TrustMoment::Stamped(at) => at.to_string(),
        TrustMoment::Claimed(at) => format!("{at} (claimed by the signer)"),
    }
}

fn original_word(original: OriginalMatch) -> &'static str {
    match original {
        OriginalMatch::NotStated => "not stated",
        OriginalMatch::NotGiven => "not given",
        OriginalMatch::Same => "same",
        OriginalMatch::Other => "other",
    }
}

/// The report on one document for people.
pub fn words(judged: &Judged, language: Language) -> String {
    let mut text = format!("{}\n", plain(&judged.name));
    for (_, heading, finding) in four(judged) {
        let _ = writeln!(text, "  {}: {}", heading.of(language), found(finding, language));
    }
    for remark in &judged.remarks {
        let _ = writeln!(
            text,
            "    {}: {}",
            Word::Remark.of(language),
            plain(&reason(remark, language))
        );
    }
    let mut line = |word: Word, value: &str| {
        let _ = writeln!(text, "  {}: {}", word.of(language), plain(value));
    };
    if let Some(signer) = &judged.signer {
        line(Word::SealedBy, &signer.subject);
    }
    if let Some(time) = judged.stamp_time {
        line(Word::Stamped, &shown(time));
    }
    if let Some(level) = judged.level {
        line(Word::Level, level.word());
    }
    if let Some(relied) = &judged.relied {
        line(Word::Revocation, &reliance::words(relied, language));
    }
    if let Some(relied) = worst(&judged.stamps) {
        line(Word::StampRevocation, &reliance::words(relied, language));
    }
    match &judged.preserved {
        Preserved::NotGiven => {}
        Preserved::Failed(why) => line(
            Word::Preserved,
            &format!("{}: {}", Word::Failed.of(language), reason(why, language)),
        ),
        Preserved::Since { since, until, .. } => {
            line(Word::Preserved, &shown(*since));
            line(Word::PreservedUntil, &shown(*until));
        }
    }
    if let Some(facts) = &judged.facts {
        let heading = if judged.is_ok() {
            Word::Proves
        } else {
            Word::Claims
        };
        let _ = writeln!(text, "  {}:", heading.of(language));
        tell(&mut text, facts, language);
        original(&mut text, judged, language);
    }
    let verdict = match (judged.is_ok(), judged.is_failed()) {
        (true, _) => Word::Valid,
        (false, true) => Word::Invalid,
        (false, false) => Word::Undecided,
    };
    let _ = writeln!(text, "  {}: {}", Word::Verdict.of(language), verdict.of(language));
    text
}

/// The report on a bundle for people: its own line, then its documents.
pub fn bundle_words(name: &str, bundle: &Bundle, language: Language) -> String {
    let manifest = found(&bundle.manifest, language);
    let mut text = format!("{}\n  {}: {manifest}\n", plain(name), Word::Manifest.of(language));
    for document in &bundle.documents {
        text.push_str(&words(document, language));
    }
    text
}

fn tell(text: &mut String, facts: &EvidenceFacts, language: Language) {
    let mut line = |word: Word, value: &str| {
        let _ = writeln!(text, "    {}: {}", word.of(language), plain(value));
    };
    line(Word::What, &title(facts.kind, facts.event, language));
    line(Word::When, &shown(facts.event_time));
    for given in &facts.reasons {
        let words = reason_words(given.reason);
        let details = given
            .details
            .as_deref()
            .map(|d| format!(" ({d})"))
            .unwrap_or_default();
        line(Word::Reason, &format!("{}{details}", words.in_language(language)));
    }
    line(
        Word::Issuer,
        &format!("{} <{}>", facts.issuer.name, facts.issuer.electronic_address),
    );
    line(Word::Sender, &facts.sender.address);
    if let Some(signature) = personal(facts) {
        line(
            Word::PersonSignature,
            signature_words(signature).in_language(language),
        );
    }
    match facts.recipient() {
        Some(recipient) => line(Word::Recipient, &recipient.address),
        None => {
            let shown = facts.recipients.iter().take(RECIPIENTS_SHOWN_MAX);
            let mut list: Vec<String> = shown.map(|r| r.address.clone()).collect();
            if let Some(more) = facts
                .recipients
                .len()
                .checked_sub(RECIPIENTS_SHOWN_MAX)
                .filter(|n| *n > 0)
            {
                list.push(format!("+{more}"));
            }
            line(Word::Recipients, &list.join(", "));
        }
    }
    line(Word::Subject, &facts.message.subject);
    line(Word::MessageId, &facts.message.rem_message_id);
    line(Word::Identifier, &facts.id.to_string());
}

fn original(text: &mut String, judged: &Judged, language: Language) {
    let stated = judged.facts.as_ref().and_then(|f| f.message.original_sha256);
    if let Some(digest) = stated {
        let _ = writeln!(text, "    {}: {}", Word::Digest.of(language), hex(&digest));
    }
    let word = match judged.original {
        OriginalMatch::NotStated => Word::OriginalNotStated,
        OriginalMatch::NotGiven => Word::OriginalAbsent,
        OriginalMatch::Same => Word::OriginalMatches,
        OriginalMatch::Other => Word::OriginalDiffers,
    };
    let _ = writeln!(text, "    {}: {}", Word::Original.of(language), word.of(language));
}

fn found(finding: &Finding, language: Language) -> String {
    let (word, why) = match finding {
        Finding::Ok => return Word::Ok.of(language).to_owned(),
        Finding::Failed(why) => (Word::Failed, why),
        Finding::Unknown(why) => (Word::Unknown, why),
    };
    format!("{}: {}", word.of(language), plain(&reason(why, language)))
}

/// UTC as evidence has it, and the clocks of Türkiye.
fn shown(time: UtcTime) -> String {
    format!("{time} ({} UTC+3)", local_time(time))
}

/// Text of others in one line, without what would move a terminal's cursor or turn the direction of reading.
fn plain(text: &str) -> String {
    let turns =
        |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let shown = |c: char| if c.is_control() || turns(c) { '?' } else { c };
    text.chars().map(shown).collect()
}
