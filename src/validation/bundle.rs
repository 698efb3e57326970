//! An export bundle: is it whole, do its files belong together, and does each sealed document in it hold?
//!
//! The manifest is nobody's seal; it tells whether a file is missing, changed or added since the export. That the
//! original is the one spoken of is proved by the sealed documents, which state its digest.

use super::{Basis, Judged, OriginalMatch, Standpoint, carried, judge, values};
use crate::cms::RevocationShelf;
use crate::cms::algorithm::sha256;
use crate::domain::audit_chain::from_hex;
use crate::seal::{Finding, Revocation};
use serde::Deserialize;
use std::collections::BTreeSet;

pub const MANIFEST: &str = "manifest.json";
const ORIGINAL: &str = "original.eml";
const APPROVALS: &str = "approvals.json";
/// Where revocation lists and OCSP responses lie in a bundle.
const REVOCATION_FOLDER: &str = "revocation/";
/// Most files in one bundle: a mail of 1,000 recipients has some 4,000 documents.
pub const FILES_MAX: usize = 20_000;

/// The files of a bundle, wherever they lie. Paths are relative, with `/` between their parts.
pub trait Files {
    /// Every file, in any order.
    fn names(&self) -> Result<Vec<String>, String>;
    /// The octets of one; the error is a sentence.
    fn read(&self, path: &str) -> Result<Vec<u8>, String>;
}

/// What was found on a bundle.
#[derive(Debug)]
pub struct Bundle {
    pub mail_id: Option<String>,
    /// Whether the files are those of the manifest, and the lists speak of this original.
    pub manifest: Finding,
    /// Every sealed document.
    pub documents: Vec<Judged>,
}

impl Bundle {
    /// Whether it is whole, holds evidence, and all of it proves what it states.
    pub fn is_ok(&self) -> bool {
        self.manifest.is_ok() && !self.documents.is_empty() && self.documents.iter().all(Judged::is_ok)
    }
}

#[derive(Deserialize)]
struct Manifest {
    mail_id: String,
    original_sha256: String,
    files: Vec<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    path: String,
    sha256: String,
    size: u64,
}

#[derive(Deserialize)]
struct Approval {
    original_sha256: String,
}

/// Judges the bundle `name` by the policy of this version, on no certain day; the names of its documents begin with it.
pub fn judge_bundle<'a>(name: &str, files: &dyn Files, basis: impl Into<Basis<'a>>) -> Bundle {
    match Standpoint::of_this_version(None) {
        Ok(standpoint) => judge_bundle_from(name, files, basis, &standpoint),
        Err(why) => Bundle {
            mail_id: None,
            manifest: Finding::Failed(why.to_string()),
            documents: Vec::new(),
        },
    }
}

/// The same from a standpoint.
pub fn judge_bundle_from<'a>(
    name: &str,
    files: &dyn Files,
    basis: impl Into<Basis<'a>>,
    standpoint: &Standpoint,
) -> Bundle {
    let mut bundle = Bundle {
        mail_id: None,
        manifest: Finding::Ok,
        documents: Vec::new(),
    };
    if let Err(why) = examine(name, files, (basis.into(), standpoint), &mut bundle) {
        bundle.manifest = Finding::Failed(why);
    }
    bundle
}

fn examine(
    name: &str,
    files: &dyn Files,
    (basis, standpoint): (Basis<'_>, &Standpoint),
    bundle: &mut Bundle,
) -> Result<(), String> {
    let manifest: Manifest = serde_json::from_slice(&files.read(MANIFEST)?)
        .map_err(|e| format!("{MANIFEST} cannot be read: {e}"))?;
    bundle.mail_id = Some(manifest.mail_id.clone());
    if manifest.files.len() > FILES_MAX {
        return Err(format!("{MANIFEST} lists more than {FILES_MAX} files"));
    }
    let shelf = shelf(files, &manifest, basis);
    let basis = Basis::known(basis.trust, &shelf);
    let mut wrong = Vec::new();
    let mut listed = BTreeSet::from([MANIFEST]);
    for file in &manifest.files {
        if !listed.insert(&file.path) {
            wrong.push(format!("{} is listed twice", file.path));
            continue;
        }
        let octets = match files.read(&file.path) {
            Ok(octets) => octets,
            Err(why) => {
                wrong.push(why);
                continue;
            }
        };
        if octets.len() as u64 != file.size || !is_hex_of(&file.sha256, &sha256(&octets)) {
            wrong.push(format!("{} is not the file that was exported", file.path));
        }
        wrong.extend(belongs(&file.path, &octets, &manifest));
        if is_sealed(&file.path) {
            let stated = from_hex(&manifest.original_sha256);
            let judged = judge(&format!("{name}/{}", file.path), &octets, stated, basis);
            let record = format!("{}.ers", file.path);
            let record = manifest.files.iter().find(|f| f.path == record);
            // It is read again when its own turn comes, and found missing or changed then.
            let record = record.map(|r| files.read(&r.path).unwrap_or_default());
            let judged = carried(judged, (&octets, record.as_deref()), basis, standpoint);
            bundle.documents.extend(judged);
        }
    }
    let present = files.names()?;
    let added = present.iter().filter(|n| !listed.contains(n.as_str()));
    wrong.extend(added.map(|n| format!("{n} was not in the bundle when it was exported")));
    let original = present.iter().any(|n| n == ORIGINAL);
    if !original {
        wrong.push(format!("{ORIGINAL} is missing"));
    }
    if !bundle.documents.iter().any(|d| d.original == OriginalMatch::Same) && !bundle.documents.is_empty() {
        wrong.push(format!("no document speaks of {ORIGINAL}"));
    }
    match wrong.first() {
        None => Ok(()),
        Some(first) if wrong.len() == 1 => Err(first.clone()),
        Some(first) => Err(format!("{first}; and {} more", wrong.len() - 1)),
    }
}

/// What is known of revocation: by whoever asks, and by the bundle. Values are signed; that a file was changed is told by
/// the manifest, and one that cannot be read says nothing.
fn shelf(files: &dyn Files, manifest: &Manifest, basis: Basis<'_>) -> RevocationShelf {
    let mut shelf = match basis.revocation {
        Revocation::Known(shelf) => shelf.clone(),
        Revocation::Nothing | Revocation::AskedElsewhere => RevocationShelf::default(),
    };
    for file in &manifest.files {
        if file.path.starts_with(REVOCATION_FOLDER)
            && let Ok(octets) = files.read(&file.path)
        {
            let _ = values::put(&mut shelf, &file.path, &octets);
        }
    }
    shelf
}

/// What is wrong with a list that must speak of the bundle's original.
fn belongs(path: &str, octets: &[u8], manifest: &Manifest) -> Option<String> {
    if path == ORIGINAL && !is_hex_of(&manifest.original_sha256, &sha256(octets)) {
        return Some(format!("{ORIGINAL} is not the original of {}", manifest.mail_id));
    }
    if path != APPROVALS {
        return None;
    }
    let approvals: Vec<Approval> = match serde_json::from_slice(octets) {
        Ok(list) => list,
        Err(e) => return Some(format!("{APPROVALS} cannot be read: {e}")),
    };
    // A mail that was given back and handed in anew was another one before; the last decision is on what was sent.
    let last = approvals.last()?;
    let same = last
        .original_sha256
        .eq_ignore_ascii_case(&manifest.original_sha256);
    (!same).then(|| format!("the last decision of {APPROVALS} is on another mail"))
}

fn is_sealed(path: &str) -> bool {
    let is_dispatch = path.starts_with("dispatch") && path.ends_with(".eml");
    is_dispatch || path.starts_with("evidence/") && path.ends_with(".xml")
}

fn is_hex_of(hex: &str, digest: &[u8; 32]) -> bool {
    from_hex(hex).is_some_and(|read| read == *digest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::audit_chain::hex;
    use crate::seal::TrustStore;
    use std::collections::BTreeMap;

    struct Memory(BTreeMap<String, Vec<u8>>);

    impl Files for Memory {
        fn names(&self) -> Result<Vec<String>, String> {
            Ok(self.0.keys().cloned().collect())
        }
        fn read(&self, path: &str) -> Result<Vec<u8>, String> {
            self.0.get(path).cloned().ok_or(format!("{path} is missing"))
        }
    }

    /// A bundle without sealed documents: what the manifest alone can tell.
    fn memory() -> Memory {
        let original = b"Subject: a\r\n\r\nb\r\n".to_vec();
        let digest = hex(&sha256(&original));
        let approvals = format!(
            "[{{\"original_sha256\":\"{}\"}},{{\"original_sha256\":\"{digest}\"}}]",
            "0".repeat(64)
        );
        let mut files = BTreeMap::from([
            (ORIGINAL.to_owned(), original),
            (APPROVALS.to_owned(), approvals.into_bytes()),
        ]);
        let listed: Vec<_> = files
            .iter()
            .map(|(p, o)| serde_json::json!({"path": p, "sha256": hex(&sha256(o)), "size": o.len()}))
            .collect();
        let manifest = serde_json::json!({"mail_id": "m1", "original_sha256": digest, "files": listed});
        files.insert(MANIFEST.to_owned(), manifest.to_string().into_bytes());
        Memory(files)
    }

    fn manifest_of(memory: &Memory) -> Finding {
        judge_bundle("b", memory, &TrustStore::new()).manifest
    }

    fn replaced(path: &str, from: &str, to: &str) -> Finding {
        let mut memory = memory();
        let file = memory.0.get_mut(path).unwrap();
        let text = String::from_utf8(file.clone()).unwrap();
        assert!(text.contains(from));
        *file = text.replace(from, to).into_bytes();
        manifest_of(&memory)
    }

    #[test]
    fn the_manifest_tells_of_every_file() {
        assert_eq!(manifest_of(&memory()), Finding::Ok);
        assert!(
            !judge_bundle("b", &memory(), &TrustStore::new()).is_ok(),
            "nothing is proved by nothing"
        );
        let said = |finding: Finding| match finding {
            Finding::Failed(why) => why,
            other => panic!("{other:?}"),
        };
        assert!(said(replaced(ORIGINAL, "b", "c")).contains("original.eml is not the file"));
        assert!(
            said(replaced(
                MANIFEST,
                "\"path\":\"original.eml\"",
                "\"path\":\"o.eml\""
            ))
            .contains("o.eml")
        );
        assert!(said(replaced(MANIFEST, "\"mail_id\"", "\"mail\"")).contains("manifest.json cannot be read"));
        let mut added = memory();
        added.0.insert("evidence/09-New.xml".into(), b"<a/>".to_vec());
        assert!(said(manifest_of(&added)).contains("evidence/09-New.xml was not in the bundle"));
        let mut fewer = memory();
        fewer.0.remove(APPROVALS);
        assert!(said(manifest_of(&fewer)).contains("approvals.json is missing"));
    }

    #[test]
    fn the_last_decision_must_be_on_the_original() {
        let mut other = memory();
        let approvals = format!("[{{\"original_sha256\":\"{}\"}}]", "0".repeat(64)).into_bytes();
        let text = String::from_utf8(other.0[MANIFEST].clone()).unwrap();
        let mut manifest: serde_json::Value = serde_json::from_str(&text).unwrap();
        for file in manifest["files"].as_array_mut().unwrap() {
            if file["path"] == APPROVALS {
                file["sha256"] = hex(&sha256(&approvals)).into();
                file["size"] = approvals.len().into();
            }
        }
        other.0.insert(APPROVALS.into(), approvals);
        other.0.insert(MANIFEST.into(), manifest.to_string().into_bytes());
        assert!(matches!(manifest_of(&other), Finding::Failed(why) if why.contains("another mail")));
    }
}
