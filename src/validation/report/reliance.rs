//! How far a certificate may be relied on, in a report: a line for people, an object for scripts.

use crate::cms::revocation::Doubt;
use crate::rem::notice::judgement::{Language, reason};
use crate::seal::reliance::RevokedLater;
use crate::seal::{Reliance, Relied, Revoked};
use serde_json::{Value, json};

/// One line; the judges' reasons are in the table of judgements.
pub(super) fn words(relied: &Relied, language: Language) -> String {
    let english = match (relied.distrust(), &relied.reliance) {
        (Some(why), Reliance::Unknown(_)) => format!("not known: {why}"),
        (Some(why), _) => why.to_string(),
        (None, Reliance::NobodyToAsk) => "nobody publishes anything about it".to_owned(),
        (None, Reliance::NotAsked) => "it was not asked".to_owned(),
        (
            None,
            Reliance::Valid {
                at,
                revoked_later: None,
            },
        ) => format!("not revoked at {at}"),
        (
            None,
            Reliance::Valid {
                at,
                revoked_later: Some(later),
            },
        ) => later.earliest().map_or_else(String::new, |later| {
            format!(
                "not revoked at {at}; '{}' was revoked only later, at {} ({}), which does no harm",
                later.subject,
                later.since,
                later.reason.word()
            )
        }),
        // Who is revoked or unknown is distrusted.
        (None, Reliance::Revoked(_) | Reliance::Unknown(_)) => String::new(),
    };
    reason(&english, language)
}

/// The names in it are promised.
pub(super) fn value(relied: Option<&Relied>) -> Value {
    let Some(relied) = relied else {
        return Value::Null;
    };
    match &relied.reliance {
        Reliance::NobodyToAsk => json!({"standing": "nobody to ask"}),
        Reliance::NotAsked => json!({"standing": "not asked"}),
        Reliance::Unknown(why) => {
            json!({"standing": "unknown", "why": why.to_string(), "ask_again_from": ask_again(why)})
        }
        Reliance::Revoked(revoked) => {
            let mut value = revoked_value(revoked);
            value["standing"] = "revoked".into();
            value
        }
        Reliance::Valid { at, revoked_later } => json!({
            "standing": "valid",
            "at": at.to_string(),
            "revoked_later": revoked_later.as_ref().and_then(RevokedLater::earliest).map(revoked_value),
            "harmless": relied.distrust().is_none(),
        }),
    }
}

fn revoked_value(revoked: &Revoked) -> Value {
    json!({
        "subject": revoked.subject,
        "since": revoked.since.to_string(),
        "reason": revoked.reason.word(),
    })
}

fn ask_again(why: &Doubt) -> Option<String> {
    match why {
        Doubt::NotFinal { final_from, .. } => Some(final_from.to_string()),
        _ => None,
    }
}
