//! The account of one change: what it was about, and how that was before and after, only as far as it differs.

use crate::clock::UtcTime;
use crate::domain::audit::{ACCOUNT_MAX_OCTETS, AuditRecord, Author, Matter};
use serde::Serialize;
use serde_json::{Map, Value};

/// Matters one record is found by; a merged unit may have had many members.
const MATTERS_MAX: usize = 500;

#[derive(Debug, Default)]
pub(super) struct Account {
    about: Vec<Matter>,
    before: Vec<Value>,
    after: Vec<Value>,
}

impl Account {
    /// Notes how a thing was, and is.
    pub(super) fn tell<E: Serialize>(&mut self, matter: Matter, before: Option<&E>, after: Option<&E>) {
        let value = |entry: Option<&E>| {
            entry
                .and_then(|e| serde_json::to_value(e).ok())
                .unwrap_or(Value::Null)
        };
        let (before, after) = differing(value(before), value(after));
        if self.about.len() < MATTERS_MAX && !self.about.contains(&matter) {
            self.about.push(matter);
        }
        self.before.push(before);
        self.after.push(after);
    }

    pub(super) fn record(self, deed: &'static str, author: &Author, at: UtcTime) -> AuditRecord {
        let mut about = self.about;
        if about.is_empty() {
            about.push(Matter::Tenant);
        }
        AuditRecord {
            at,
            author: author.clone(),
            deed: deed.into(),
            about,
            before: text(self.before),
            after: text(self.after),
        }
    }
}

/// Of two states of one thing, what differs; its number and name stay, so that a person sees what it is about.
fn differing(before: Value, after: Value) -> (Value, Value) {
    let (Value::Object(before), Value::Object(after)) = (&before, &after) else {
        return (before, after);
    };
    let kept = |of: &Map<String, Value>, other: &Map<String, Value>| {
        let differs = |key: &String, value: &Value| {
            matches!(key.as_str(), "id" | "name") || other.get(key) != Some(value)
        };
        let pairs = of.iter().filter(|(key, value)| differs(key, value));
        Value::Object(pairs.map(|(k, v)| (k.clone(), v.clone())).collect())
    };
    (kept(before, after), kept(after, before))
}

/// The values one after the other, as many as there is room for; that some were left out is said.
fn text(values: Vec<Value>) -> String {
    let mut text = String::new();
    let all = values.len();
    for (n, value) in values.into_iter().enumerate() {
        let next = value.to_string();
        if text.len() + next.len() + 60 > ACCOUNT_MAX_OCTETS {
            let left_out = all - n;
            text.push_str(&format!("{{\"left_out\":{left_out}}}"));
            break;
        }
        text.push_str(&next);
        text.push('\n');
    }
    text.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::org::UserKind;
    use crate::domain::samples::user;
    use crate::id::UserId;

    #[test]
    fn only_what_differs_is_told_and_nothing_is_cut_in_silence() {
        let (one, mut two) = (user(1, UserKind::Limited), user(1, UserKind::Limited));
        two.title = "Müdür".into();
        let mut account = Account::default();
        account.tell(Matter::User(UserId(1)), Some(&one), Some(&two));
        let record = account.record("user set", &Author::clock(), UtcTime::from_unix_s(0));
        assert_eq!(record.before, r#"{"id":1,"name":"u1","title":""}"#);
        assert_eq!(record.after, r#"{"id":1,"name":"u1","title":"Müdür"}"#);
        let mut many = Account::default();
        for n in 0..200 {
            many.tell(Matter::User(UserId(n)), None, Some(&two));
        }
        let record = many.record("user set", &Author::clock(), UtcTime::from_unix_s(0));
        assert!(record.after.len() <= ACCOUNT_MAX_OCTETS && record.after.contains("left_out"));
        assert_eq!(record.about.len(), 200);
    }
}
