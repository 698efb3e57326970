//! `kepctl audit verify --from DIR`: exported segments of the audit record, judged from their files alone.

use super::show;
use super::verify::{read, store};
use crate::control::protocol::{AuditVerify, Record};
use crate::validation::audit::{JudgedSegment, Known, Segment, Walk, stated_beginning};
use std::path::{Path, PathBuf};

/// Endings of a segment's text, and of its seal.
const TEXT_ENDING: &str = "jsonl";
const SEAL_ENDING: &str = "p7s";

/// The findings as text, and whether all is well. The error is a sentence: nothing could be judged.
pub(super) fn verify(folder: &Path, wish: &AuditVerify, json: bool) -> Result<(String, bool), String> {
    let trust = store(wish.trust.as_deref().unwrap_or(&folder.join("trust")))?;
    let known = wish.known.as_deref().map(str::parse::<Known>).transpose()?;
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
    let mut walk = beginning(&names, known)?;
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
    let mut all_ok = found.iter().all(JudgedSegment::is_ok);
    let mut records: Vec<Record> = found.iter().map(record).collect();
    if let Some(missed) = known.filter(|known| !is_there(&found, *known)) {
        all_ok = false;
        let say = format!(
            "failed: segment {} as it is known is not among them",
            missed.segment
        );
        records.push(
            Record::new()
                .text("segment", "known")
                .text("chain", say)
                .with("ok", false),
        );
    }
    Ok((show::list(&records, json)?, all_ok))
}

/// Behind the known segment when the files begin there: an export of what came since.
fn beginning(names: &[PathBuf], known: Option<Known>) -> Result<Walk, String> {
    let (Some(first), Some(known)) = (names.first(), known) else {
        return Ok(Walk::default());
    };
    Ok(match stated_beginning(&read(first)?) {
        Some((number, after)) if number == known.segment + 1 => Walk::behind(known, after),
        _ => Walk::default(),
    })
}

/// Whether a segment is as it is known, or the first of the files stands on it.
fn is_there(found: &[JudgedSegment], known: Known) -> bool {
    let checked = || found.iter().filter_map(|judged| judged.checked.as_ref());
    checked().any(|c| (c.number, c.last) == (known.segment, known.last))
        || checked().next().is_some_and(|c| c.number == known.segment + 1)
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
