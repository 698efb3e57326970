//! `--revocation PATH`: revocation lists and OCSP responses that somebody saved, from a file or a folder of them.
//!
//! A file that is named, or that has the ending of one, must be one: who brings a list wants it looked at. Their number and
//! size are bounded.

use super::verify::{entries_of, read};
use crate::cms::RevocationShelf;
use crate::validation::values;
use std::path::Path;

/// Octets of all files together: many lists of the largest authorities.
const OCTETS_MAX: usize = 256 * 1024 * 1024;

/// Name of the folder of revocation values in an export bundle.
const REVOCATION_FOLDER: &str = "revocation";

/// `known`, and what lies in the export bundle that a file belongs to. A value there that cannot be read says nothing.
pub(super) fn with_those_beside(known: &RevocationShelf, file: &Path) -> RevocationShelf {
    let mut shelf = known.clone();
    let folders = file.parent().map(|folder| {
        [
            folder.join(REVOCATION_FOLDER),
            folder.join("..").join(REVOCATION_FOLDER),
        ]
    });
    let found = folders.into_iter().flatten().find(|f| f.is_dir());
    let files = found
        .and_then(|folder| entries_of(&folder).ok())
        .unwrap_or_default();
    let mut left = OCTETS_MAX;
    for file in files.iter().filter(|f| f.is_file() && is_one(f)) {
        let Ok(octets) = read(file) else { continue };
        let Some(rest) = left.checked_sub(octets.len()) else {
            break;
        };
        left = rest;
        let _ = values::put(&mut shelf, &file.to_string_lossy(), &octets);
    }
    shelf
}

/// Everything that lies there. The error is a sentence with the file's name.
pub(super) fn shelf(path: &Path) -> Result<RevocationShelf, String> {
    let mut shelf = RevocationShelf::default();
    let files = if path.is_dir() {
        let mut files = entries_of(path)?;
        files.retain(|file| file.is_file() && is_one(file));
        files
    } else if is_one(path) {
        vec![path.to_owned()]
    } else {
        let say = "is neither a folder nor a revocation list (*.crl) nor an OCSP response (*.ors, *.ocsp)";
        return Err(format!("{} {say}", path.display()));
    };
    let mut left = OCTETS_MAX;
    for file in &files {
        let octets = read(file)?;
        left = left
            .checked_sub(octets.len())
            .ok_or_else(|| format!("{} holds more than {OCTETS_MAX} octets", path.display()))?;
        values::put(&mut shelf, &file.to_string_lossy(), &octets)
            .map_err(|why| format!("{}: {why}", file.display()))?;
    }
    if shelf.is_empty() {
        return Err(format!(
            "{} holds no revocation list (*.crl) and no OCSP response (*.ors, *.ocsp)",
            path.display()
        ));
    }
    Ok(shelf)
}

fn is_one(file: &Path) -> bool {
    values::is_one(&file.to_string_lossy())
}
