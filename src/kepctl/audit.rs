//! `kepctl audit verify --from DIR`: exported segments of the audit record, judged from their files alone.

use super::show;
use super::verify::{read, store};
use crate::control::protocol::Record;
use crate::validation::audit::{JudgedSegment, Segment, Walk};
use std::path::Path;

/// Endings of a segment's text, and of its seal.
const TEXT_ENDING: &str = "jsonl";
const SEAL_ENDING: &str = "p7s";

/// The findings as text, and whether all is well. The error is a sentence: nothing could be judged.
pub(super) fn verify(folder: &Path, trust: Option<&Path>, json: bool) -> Result<(String, bool), String> {
    let trust = store(trust.unwrap_or(&folder.join("trust")))?;
    let mut names = Vec::new();
    let entries =
        std::fs::read_dir(folder).map_err(|e| format!("{} cannot be read: {e}", folder.display()))?;
    for entry in entries {
        let path = entry.map_err(|e| e.to_string())?.path();
        if path.extension().is_some_and(|e| e == TEXT_ENDING) {
            names.push(path);
        }
    }
    names.sort();
    if names.is_empty() {
        return Err(format!(
            "{} holds no segments (*.{TEXT_ENDING})",
            folder.display()
        ));
    }
    let mut walk = Walk::default();
    let mut found: Vec<JudgedSegment> = Vec::new();
    for path in &names {
        let (text, seal_der) = (read(path)?, read(&path.with_extension(SEAL_ENDING))?);
        let name = path.display().to_string();
        let segment = Segment {
            name: &name,
            text: &text,
            seal_der: &seal_der,
        };
        found.push(walk.judge(&segment, &trust));
    }
    let all_ok = found.iter().all(JudgedSegment::is_ok);
    let records: Vec<Record> = found.iter().map(record).collect();
    Ok((show::list(&records, json)?, all_ok))
}

fn record(judged: &JudgedSegment) -> Record {
    Record::new()
        .text("segment", &judged.name)
        .with("records", judged.checked.as_ref().map(|c| c.records))
        .text("chain", &judged.chain)
        .text("signature", &judged.signature)
        .text("trust", &judged.trust)
        .text("timestamp", &judged.timestamp)
        .with("stamp_time", judged.stamp_time.map(|t| t.to_string()))
        .with("ok", judged.is_ok())
}
