//! Answers for people (tables) and for scripts (JSON).

use crate::control::protocol::Record;
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;
use serde_json::Value;

/// How names of values in seconds end.
const SECONDS: &str = "_s";

/// Things of one kind: a row each, a column for each name.
pub(super) fn list(list: &[Record], json: bool) -> Result<String, String> {
    if json {
        return pretty(&list);
    }
    let Some(first) = list.first() else {
        return Ok("(none)\n".into());
    };
    let names: Vec<&str> = first.entries().map(|(name, _)| name).collect();
    let mut table = plain_table();
    table.set_header(names.iter().map(|name| title(name)));
    for record in list {
        table.add_row(names.iter().map(|name| {
            record
                .value(name)
                .map(|v| named_cell(name, v))
                .unwrap_or_default()
        }));
    }
    Ok(lines(&table))
}

/// One thing: a line for each name.
pub(super) fn one(record: &Record, json: bool) -> Result<String, String> {
    if json {
        return pretty(record);
    }
    let mut table = plain_table();
    for (name, value) in record.entries() {
        table.add_row([title(name), named_cell(name, value)]);
    }
    Ok(lines(&table))
}

/// Lines of a zone file, as the daemon wrote them.
pub(super) fn zone(records: &[Record]) -> String {
    let lines = records.iter().filter_map(|record| record.value("line")?.as_str());
    lines.map(|line| safe(line) + "\n").collect()
}

pub(super) fn pretty(value: &impl Serialize) -> Result<String, String> {
    let text = serde_json::to_string_pretty(value).map_err(|e| e.to_string())?;
    Ok(text + "\n")
}

fn plain_table() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Disabled);
    table
}

fn lines(table: &Table) -> String {
    table
        .lines()
        .map(|line| line.trim_end().to_owned() + "\n")
        .collect()
}

/// A value in seconds is told in days and hours: its name ends with the unit.
fn named_cell(name: &str, value: &Value) -> String {
    match value.as_u64().filter(|_| name.ends_with(SECONDS)) {
        Some(s) => duration(s),
        None => cell(value),
    }
}

fn title(name: &str) -> String {
    name.strip_suffix(SECONDS).unwrap_or(name).replace('_', " ")
}

/// The two largest units: `2 d 3 h`, `5 min 12 s`.
fn duration(s: u64) -> String {
    let (d, h, min) = (s / 86_400, s / 3600 % 24, s / 60 % 60);
    match (d, h, min) {
        (0, 0, 0) => format!("{s} s"),
        (0, 0, _) => format!("{min} min {} s", s % 60),
        (0, _, _) => format!("{h} h {min} min"),
        _ => format!("{d} d {h} h"),
    }
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".into(),
        Value::Bool(yes) => if *yes { "yes" } else { "no" }.into(),
        Value::Number(n) => n.to_string(),
        Value::String(text) => safe(text),
        Value::Array(values) if values.iter().any(Value::is_object) => {
            values.iter().map(cell).collect::<Vec<_>>().join("\n")
        }
        Value::Array(values) => values.iter().map(cell).collect::<Vec<_>>().join(", "),
        Value::Object(entries) => {
            let pairs = entries
                .iter()
                .map(|(name, value)| format!("{name}={}", cell(value)));
            pairs.collect::<Vec<_>>().join(" ")
        }
    }
}

/// A subject comes from anybody: what would move the cursor of a terminal is shown as a question mark.
fn safe(text: &str) -> String {
    let shown = |c: char| if c.is_control() && c != '\n' { '?' } else { c };
    text.chars().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_and_json() {
        let record = Record::new()
            .text("login", "ayse@ornekas")
            .with("roles", vec!["Yazan", "Okur"])
            .with("waits_for", Value::Null)
            .text("subject", "a\u{1b}[2Jb");
        let table = list(std::slice::from_ref(&record), false).unwrap();
        assert_eq!(table.lines().count(), 2);
        assert!(table.contains("waits for"), "{table}");
        assert!(table.contains("Yazan, Okur"), "{table}");
        assert!(table.contains("a?[2Jb"), "{table}");
        let timed = Record::new().with("median_s", 183_900).with("max_s", Value::Null);
        let table = list(std::slice::from_ref(&timed), false).unwrap();
        assert!(table.contains("median") && !table.contains("median s"), "{table}");
        assert!(table.contains("2 d 3 h"), "{table}");
        assert!(list(&[timed], true).unwrap().contains("\"median_s\": 183900"));
        for (s, words) in [
            (0, "0 s"),
            (59, "59 s"),
            (312, "5 min 12 s"),
            (7_260, "2 h 1 min"),
            (86_400, "1 d 0 h"),
        ] {
            assert_eq!(duration(s), words);
        }
        assert_eq!(list(&[], false).unwrap(), "(none)\n");
        assert_eq!(list(&[], true).unwrap(), "[]\n");
        assert!(
            one(&record, true)
                .unwrap()
                .starts_with("{\n  \"login\": \"ayse@ornekas\"")
        );
    }
}
