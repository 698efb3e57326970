//! `kepctl evidence verify`: what is to be thought of documents, from their files and the trust material alone.
//!
//! A file is an evidence document (`.xml`), a dispatch or an evidence message (`.eml`); `-` is standard input; a folder
//! is an export bundle, or a folder of bundles. Nothing is asked of a network: what is known of revocation is what the
//! documents and bundles bring, and what is named with `--revocation` (`lists`). What is found is `validation`'s word;
//! here files are read, several at a time, and the report is put together in the order they were named.

use super::{lists, show};
use crate::clock::UtcTime;
use crate::cms::RevocationShelf;
use crate::cms::algorithm::sha256;
use crate::control::protocol::{LanguageWord, Record, Verify};
use crate::rem::notice::judgement::Language;
use crate::seal::TrustStore;
use crate::validation::bundle::{Bundle, FILES_MAX, Files, MANIFEST, judge_bundle_from};
use crate::validation::{Basis, Judged, Standpoint, carried, judge, report};
use std::io::{IsTerminal as _, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Largest file judged: a dispatch of the largest size, and room.
const FILE_MAX_OCTETS: u64 = 64 * 1024 * 1024;
/// Name of the folder of trust material in an export bundle.
const TRUST_FOLDER: &str = "trust";
/// How the evidence record of a document is named, behind the document's own name.
const RECORD_ENDING: &str = ".ers";
/// How a report names what came by standard input.
const STANDARD_INPUT: &str = "-";
/// Most bundles judged in one call: a year of a busy institution.
const BUNDLES_MAX: usize = 1_000_000;
/// Deepest folder within a bundle.
const DEPTH_MAX: usize = 4;

/// Something that was named and is to be judged by itself.
enum Matter {
    File(PathBuf),
    Bundle(PathBuf),
}

/// What was found on it.
enum Found {
    Documents(Vec<Judged>),
    Bundle(String, Bundle),
}

impl Found {
    fn is_ok(&self) -> bool {
        match self {
            Self::Documents(list) => list.iter().all(Judged::is_ok),
            Self::Bundle(_, bundle) => bundle.is_ok(),
        }
    }
}

/// The findings as text, and whether all are ok. The error is a sentence: nothing could be judged.
pub(super) fn verify(wish: &Verify, json: bool) -> Result<(String, bool), String> {
    let original = wish
        .original
        .as_deref()
        .map(read)
        .transpose()?
        .map(|o| sha256(&o));
    let named = wish.trust.as_deref().map(store).transpose()?;
    let matters = matters(&wish.files)?;
    let shelf = wish.revocation.as_deref().map(lists::shelf).transpose()?;
    let shelf = shelf.unwrap_or_default();
    let at = wish.at.as_deref().map(end_of_day).transpose()?;
    let standpoint = Standpoint::of_this_version(at).map_err(|e| e.to_string())?;
    let judge_one = |matter: &Matter| judge_matter(matter, original, named.as_ref(), (&shelf, &standpoint));
    let found = all(&matters, &judge_one)?;
    let all_ok = found.iter().all(Found::is_ok);
    let text = if json {
        show::pretty(&found.iter().flat_map(records).collect::<Vec<Record>>())?
    } else {
        let language = language(wish.language);
        found.iter().map(|f| words(f, language)).collect()
    };
    Ok((text, all_ok))
}

/// Whether every document holds, all four findings of it.
pub fn verified(files: &[PathBuf], trust: &Path) -> Result<bool, String> {
    let wish = Verify {
        files: files.to_vec(),
        trust: Some(trust.to_owned()),
        revocation: None,
        original: None,
        at: None,
        language: None,
        offline: true,
    };
    verify(&wish, false).map(|(_, all_ok)| all_ok)
}

/// The last moment of a day in UTC.
fn end_of_day(day: &str) -> Result<UtcTime, String> {
    let moment = (day.len() == 10).then(|| UtcTime::parse_rfc3339(&format!("{day}T23:59:59Z")));
    moment
        .flatten()
        .ok_or_else(|| format!("--at takes a day like 2046-11-26, not {day}"))
}

/// The language asked for, or that of the terminal.
fn language(asked: Option<LanguageWord>) -> Language {
    let of_terminal = || {
        let set = ["LC_ALL", "LC_MESSAGES", "LANG"]
            .into_iter()
            .filter_map(std::env::var_os);
        let first = set.into_iter().find(|value| !value.is_empty());
        first.is_some_and(|value| value.to_string_lossy().starts_with("tr"))
    };
    match asked {
        Some(LanguageWord::Turkish) => Language::Turkish,
        Some(LanguageWord::English) => Language::English,
        None if of_terminal() => Language::Turkish,
        None => Language::English,
    }
}

/// What the names stand for: a folder with a manifest is a bundle, any other folder one of bundles.
fn matters(files: &[PathBuf]) -> Result<Vec<Matter>, String> {
    let mut out = Vec::new();
    for file in files {
        if !file.is_dir() {
            out.push(Matter::File(file.clone()));
        } else if file.join(MANIFEST).is_file() {
            out.push(Matter::Bundle(file.clone()));
        } else {
            let mut inside: Vec<PathBuf> = entries_of(file)?;
            inside.retain(|folder| folder.join(MANIFEST).is_file());
            if inside.is_empty() {
                return Err(format!("{} is no export bundle and holds none", file.display()));
            }
            out.extend(inside.into_iter().map(Matter::Bundle));
        }
        if out.len() > BUNDLES_MAX {
            return Err(format!(
                "more than {BUNDLES_MAX} documents are too many for one call"
            ));
        }
    }
    Ok(out)
}

fn judge_matter(
    matter: &Matter,
    original: Option<[u8; 32]>,
    named: Option<&TrustStore>,
    (shelf, standpoint): (&RevocationShelf, &Standpoint),
) -> Result<Found, String> {
    let (path, is_bundle) = match matter {
        Matter::File(path) => (path, false),
        Matter::Bundle(path) => (path, true),
    };
    let beside = match named {
        Some(_) => None,
        None => Some(trust_beside(path, is_bundle)?),
    };
    let empty = TrustStore::new();
    let basis = Basis::known(named.or(beside.as_ref()).unwrap_or(&empty), shelf);
    let name = path.display().to_string();
    if is_bundle {
        let judged = judge_bundle_from(&name, &Folder(path), basis, standpoint);
        return Ok(Found::Bundle(name, judged));
    }
    let octets = read(path)?;
    let shelf = lists::with_those_beside(shelf, path);
    let basis = Basis::known(basis.trust, &shelf);
    let judged = judge(&name, &octets, original, basis);
    // The evidence record beside it, as bundles have it.
    let record = PathBuf::from(format!("{name}{RECORD_ENDING}"));
    let record = record.is_file().then(|| read(&record)).transpose()?;
    let judged = carried(judged, (&octets, record.as_deref()), basis, standpoint);
    Ok(Found::Documents(judged))
}

/// Judges all, by as many threads as there are cores; the order stays. Of thousands, a line tells how far it is.
fn all(
    matters: &[Matter],
    judge_one: &(dyn Fn(&Matter) -> Result<Found, String> + Sync),
) -> Result<Vec<Found>, String> {
    let threads = std::thread::available_parallelism()
        .map_or(1, usize::from)
        .min(matters.len());
    let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let slots: Vec<Mutex<Option<Result<Found, String>>>> = matters.iter().map(|_| Mutex::new(None)).collect();
    let work: Vec<_> = matters.iter().zip(&slots).collect();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some((matter, slot)) = work.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = judge_one(matter);
                    *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
                    tell(done.fetch_add(1, Ordering::Relaxed), matters.len());
                }
            });
        }
    });
    let missing = || Err("a document was not judged".to_owned());
    slots
        .into_iter()
        .map(|slot| {
            slot.into_inner()
                .unwrap_or_else(PoisonError::into_inner)
                .unwrap_or_else(missing)
        })
        .collect()
}

/// How far it is, on a terminal.
fn tell(done: usize, of: usize) {
    const STEP: usize = 100;
    if of > STEP && done.is_multiple_of(STEP) && std::io::stderr().is_terminal() {
        let _ = write!(std::io::stderr(), "\r{done}/{of}");
    }
}

pub(super) fn read(file: &Path) -> Result<Vec<u8>, String> {
    let name = file.display();
    let mut octets = Vec::new();
    let outcome = if file == Path::new(STANDARD_INPUT) {
        std::io::stdin()
            .lock()
            .take(FILE_MAX_OCTETS + 1)
            .read_to_end(&mut octets)
    } else {
        let opened = std::fs::File::open(file);
        opened.and_then(|f| f.take(FILE_MAX_OCTETS + 1).read_to_end(&mut octets))
    };
    outcome.map_err(|e| format!("{name} cannot be read: {e}"))?;
    if octets.len() as u64 > FILE_MAX_OCTETS {
        return Err(format!("{name} has more than {FILE_MAX_OCTETS} octets"));
    }
    Ok(octets)
}

pub(super) fn store(folder: &Path) -> Result<TrustStore, String> {
    let mut store = TrustStore::new();
    store.add_path(folder).map_err(|e| e.to_string())?;
    Ok(store)
}

/// The trust material of the export bundle that a file lies in, or of the bundle itself. None there: an empty store.
fn trust_beside(path: &Path, is_bundle: bool) -> Result<TrustStore, String> {
    let inside = is_bundle.then(|| path.join(TRUST_FOLDER));
    let beside = path
        .parent()
        .filter(|_| !is_bundle)
        .map(|folder| [folder.join(TRUST_FOLDER), folder.join("..").join(TRUST_FOLDER)]);
    let found = inside
        .into_iter()
        .chain(beside.into_iter().flatten())
        .find(|f| f.is_dir());
    found.map_or_else(|| Ok(TrustStore::new()), |folder| store(&folder))
}

/// A bundle that lies in a folder.
struct Folder<'a>(&'a Path);

impl Files for Folder<'_> {
    fn names(&self) -> Result<Vec<String>, String> {
        let mut out = Vec::new();
        walk(self.0, "", DEPTH_MAX, &mut out)?;
        Ok(out)
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        let inside = Path::new(path)
            .components()
            .all(|c| matches!(c, std::path::Component::Normal(_)));
        if !inside {
            return Err(format!("{path} does not lie in the bundle"));
        }
        read(&self.0.join(path)).map_err(|_| format!("{path} is missing or cannot be read"))
    }
}

fn walk(folder: &Path, prefix: &str, depth: usize, out: &mut Vec<String>) -> Result<(), String> {
    for entry in entries_of(folder)? {
        let name = entry
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if entry.is_dir() && depth > 0 {
            walk(&entry, &format!("{prefix}{name}/"), depth - 1, out)?;
        } else {
            out.push(format!("{prefix}{name}"));
        }
        if out.len() > FILES_MAX {
            return Err(format!("{} holds more than {FILES_MAX} files", folder.display()));
        }
    }
    Ok(())
}

/// What a folder holds, in order of name.
pub(super) fn entries_of(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let failed = |e: std::io::Error| format!("{} cannot be read: {e}", folder.display());
    let mut out = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        out.push(entry.map_err(failed)?.path());
    }
    out.sort();
    Ok(out)
}

fn records(found: &Found) -> Vec<Record> {
    let record = |entries: Vec<(&'static str, serde_json::Value)>| {
        entries
            .into_iter()
            .fold(Record::new(), |record, (name, value)| record.with(name, value))
    };
    match found {
        Found::Documents(list) => list.iter().map(|j| record(report::entries(j))).collect(),
        Found::Bundle(name, judged) => {
            let own = record(report::bundle_entries(name, judged));
            std::iter::once(own)
                .chain(judged.documents.iter().map(|j| record(report::entries(j))))
                .collect()
        }
    }
}

fn words(found: &Found, language: Language) -> String {
    match found {
        Found::Documents(list) => list.iter().map(|j| report::words(j, language)).collect(),
        Found::Bundle(name, judged) => report::bundle_words(name, judged, language),
    }
}
