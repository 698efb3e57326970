//! The audit record as lines of text, each chained to the one before: what is sealed every day and kept for twenty years.
//!
//! A segment is a head line and a line for each record, in order of commit. Every line is a JSON object whose last member
//! is `hash`: SHA-256 of the hash before it and of the line without that member. The hash before the first line is the last
//! hash of the segment before. So a record that is removed, changed, added or moved breaks the chain at its place, and a
//! segment that is left out breaks it at the next one.

use crate::clock::UtcTime;
use crate::domain::audit::{AuditRecord, Matter};
use crate::id::TenantId;
use serde_json::{Value, json};

/// What stands before the first segment.
pub const BEGINNING: [u8; 32] = [0; 32];
const HASH_MEMBER: &str = ",\"hash\":\"";
const HASH_END: &str = "\"}";

/// What the head of a segment says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    pub provider: String,
    /// Counts up from 1.
    pub number: u64,
    pub made_at: UtcTime,
    /// The segment holds every record behind this commit,
    pub after_commit: u64,
    /// up to this one.
    pub to_commit: u64,
    /// The day goes on in the next segment: it had more records than one segment takes.
    pub more: bool,
}

/// Where a record stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct At {
    pub commit: u64,
    pub tenant: TenantId,
    pub nth: u32,
}

/// Writes a segment.
#[derive(Debug)]
pub struct Writer {
    text: String,
    last: [u8; 32],
}

impl Writer {
    /// Begins behind `previous`, the last hash of the segment before.
    pub fn begin(head: &Head, previous: [u8; 32]) -> Self {
        let mut writer = Self {
            text: String::new(),
            last: previous,
        };
        writer.line(&json!({
            "kepd_audit": 1,
            "provider": head.provider,
            "segment": head.number,
            "made_at": head.made_at.to_string(),
            "after_commit": head.after_commit,
            "to_commit": head.to_commit,
            "more": head.more,
            "previous": hex(&previous),
        }));
        writer
    }

    pub fn record(&mut self, at: At, record: &AuditRecord) {
        self.line(&content(at, record));
    }

    fn line(&mut self, value: &Value) {
        let body = value.to_string();
        self.last = next(&self.last, &body);
        let open = body.strip_suffix('}').unwrap_or(&body);
        self.text
            .push_str(&format!("{open}{HASH_MEMBER}{}{HASH_END}\n", hex(&self.last)));
    }

    /// How long it has become.
    pub fn octets(&self) -> usize {
        self.text.len()
    }

    /// The text, and its last hash.
    pub fn finish(self) -> (String, [u8; 32]) {
        (self.text, self.last)
    }
}

/// A segment whose chain holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    pub number: u64,
    /// What the head says of its making.
    pub made_at: UtcTime,
    pub after_commit: u64,
    pub to_commit: u64,
    /// The day goes on in the next segment.
    pub more: bool,
    pub records: usize,
    pub last: [u8; 32],
}

/// Checks the chain of a segment that follows `previous`; the error names the line.
pub fn check(text: &str, previous: [u8; 32]) -> Result<Checked, String> {
    let mut last = previous;
    let mut head: Option<Value> = None;
    let (mut records, mut before) = (0, None);
    for (n, line) in text.lines().enumerate() {
        let place = n + 1;
        let broken = |why: &str| format!("line {place}: {why}");
        let (open, hash) = line
            .rsplit_once(HASH_MEMBER)
            .and_then(|(open, rest)| Some((open, rest.strip_suffix(HASH_END)?)))
            .ok_or_else(|| broken("it has no hash"))?;
        let body = format!("{open}}}");
        last = next(&last, &body);
        if hex(&last) != hash {
            return Err(broken(
                "the chain breaks here: a record was removed, changed, added or moved",
            ));
        }
        let value: Value = serde_json::from_str(&body).map_err(|_| broken("it is not JSON"))?;
        if head.is_none() {
            head = Some(value);
            continue;
        }
        let number = |name: &str| value.get(name).and_then(Value::as_u64);
        let at = (number("commit"), number("tenant"), number("nth"));
        if before.is_some_and(|b| b >= at) {
            return Err(broken("the records are not in order"));
        }
        before = Some(at);
        records += 1;
    }
    let head = head.ok_or("the segment is empty")?;
    let number = |name: &str| head.get(name).and_then(Value::as_u64);
    let more = head.get("more").and_then(Value::as_bool);
    let (Some(of), Some(after_commit), Some(to_commit), Some(more)) = (
        number("segment"),
        number("after_commit"),
        number("to_commit"),
        more,
    ) else {
        return Err("line 1: it is not the head of a segment".into());
    };
    let made_at = head.get("made_at").and_then(Value::as_str);
    let made_at = made_at.and_then(UtcTime::parse_rfc3339);
    let made_at = made_at.ok_or("line 1: it does not say when it was made")?;
    if !text.ends_with('\n') {
        return Err("the last line is cut".into());
    }
    Ok(Checked {
        number: of,
        made_at,
        after_commit,
        to_commit,
        more,
        records,
        last,
    })
}

/// Whether a line tells this record; the order of its members says nothing.
pub fn is_told(line: &Value, at: At, record: &AuditRecord) -> bool {
    let mut told = line.clone();
    if let Some(members) = told.as_object_mut() {
        members.remove("hash");
    }
    told == content(at, record)
}

fn next(previous: &[u8; 32], body: &str) -> [u8; 32] {
    use aws_lc_rs::digest::{Context, SHA256};
    let mut context = Context::new(&SHA256);
    context.update(previous);
    context.update(body.as_bytes());
    let mut out = [0; 32];
    out.copy_from_slice(context.finish().as_ref());
    out
}

fn content(at: At, record: &AuditRecord) -> Value {
    let author = &record.author;
    json!({
        "commit": at.commit,
        "tenant": at.tenant.0,
        "nth": at.nth,
        "at": record.at.to_string(),
        "login": author.login,
        "user": author.user.map(|u| u.0),
        "route": author.route.word(),
        "from": author.from.to_string(),
        "deed": record.deed,
        "about": record.about.iter().map(|m| about(*m)).collect::<Vec<_>>(),
        "before": record.before,
        "after": record.after,
    })
}

/// By number: names change, and what is kept for twenty years must not.
fn about(matter: Matter) -> String {
    match matter {
        Matter::Tenant => "tenant".to_owned(),
        Matter::Unit(id) => format!("unit #{}", id.0),
        Matter::Role(id) => format!("role #{}", id.0),
        Matter::User(id) => format!("user #{}", id.0),
        Matter::Label(id) => format!("label #{}", id.0),
        Matter::Rule(id) => format!("rule #{}", id.0),
        Matter::Job(id) => format!("job {id}"),
        Matter::Item(id) => format!("item #{}", id.0),
        Matter::Mail(id) => format!("mail {id}"),
    }
}

/// A hash as the lines write it, read back.
pub fn from_hex(text: &str) -> Option<[u8; 32]> {
    let mut hash = [0; 32];
    if text.len() != 2 * hash.len() || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    for (octet, pair) in hash.iter_mut().zip(text.as_bytes().chunks(2)) {
        *octet = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(hash)
}

/// A hash as the lines write it.
pub fn hex(octets: &[u8]) -> String {
    octets.iter().map(|o| format!("{o:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::audit::Author;
    use proptest::prelude::*;

    fn record(n: u64) -> (At, AuditRecord) {
        let at = At {
            commit: 10 + n,
            tenant: TenantId(1),
            nth: 0,
        };
        let record = AuditRecord {
            at: UtcTime::from_unix_s(1_795_000_000 + n as i64),
            author: Author::administrator(0),
            deed: format!("unit move {n}"),
            about: vec![Matter::Tenant],
            before: String::new(),
            after: "{\"hash\":\"x\"}".into(),
        };
        (at, record)
    }

    fn segment(records: u64, previous: [u8; 32]) -> (String, [u8; 32]) {
        let head = Head {
            provider: "hs01.kep.test".into(),
            number: 1,
            made_at: UtcTime::from_unix_s(1_795_000_000),
            after_commit: 9,
            to_commit: 10 + records,
            more: false,
        };
        let mut writer = Writer::begin(&head, previous);
        for n in 0..records {
            let (at, record) = record(n);
            writer.record(at, &record);
        }
        writer.finish()
    }

    #[test]
    fn a_segment_is_checked_as_it_was_written() {
        let (text, last) = segment(5, BEGINNING);
        let checked = check(&text, BEGINNING).unwrap();
        assert_eq!((checked.records, checked.last, checked.to_commit), (5, last, 15));
        let (other, _) = segment(5, last);
        assert!(check(&other, last).is_ok());
        assert!(
            check(&other, BEGINNING)
                .unwrap_err()
                .starts_with("line 1: the chain breaks here")
        );
        assert!(check("", BEGINNING).is_err());
    }

    proptest! {
        /// Whatever is removed, doubled, moved or changed, it is found, and at its place or right behind it.
        #[test]
        fn no_change_of_a_segment_goes_unnoticed(at in 0usize..7, other in 0usize..7, how in 0u8..5, octet in 0usize..400) {
            let (text, last) = segment(6, BEGINNING);
            let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
            match how {
                0 => { lines.remove(at); }
                1 => { let line = lines[at].clone(); lines.insert(at, line); }
                2 => { prop_assume!(at != other); lines.swap(at, other); }
                3 => {
                    let line = lines[at].clone().into_bytes();
                    let place = octet % line.len();
                    let mut line = line;
                    line[place] = if line[place] == b'7' { b'8' } else { b'7' };
                    lines[at] = String::from_utf8(line).unwrap();
                }
                _ => { lines.truncate(at); }
            }
            let changed: String = lines.iter().map(|l| format!("{l}\n")).collect();
            prop_assume!(changed != text);
            let found = check(&changed, BEGINNING);
            // A tail that was cut leaves a chain that holds, and ends elsewhere.
            prop_assert!(found.as_ref().map_or(true, |c| c.last != last), "{found:?}");
            if how < 4 && !(how == 0 && at == 6) {
                prop_assert!(found.is_err());
            }
        }
    }
}
