//! Holds the documents against the source: whole tables, status words that are meant, links that lead somewhere.
//!
//! A document that promises must name the test that proves it, and that test must exist. Prose is not judged.

use crate::architecture::rust_files;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The only words for how far something is built.
const STATUS: [&str; 3] = ["works", "partly", "not yet"];

/// Capabilities of the mission: S1 to S76, and the P rows it names.
const S_LAST: usize = 76;
const P_ROWS: [usize; 30] = [
    1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 17, 18, 19, 20, 21, 24, 25, 26, 27, 28, 29, 30, 31, 33, 34, 36,
    37, 38,
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn document(name: &str) -> String {
    std::fs::read_to_string(root().join("docs").join(name)).unwrap()
}

/// The cells of the table rows of a document, without heads and rulers.
fn rows(text: &str) -> Vec<Vec<String>> {
    let lines: Vec<&str> = text.lines().collect();
    let is_row = |l: &str| l.starts_with('|');
    let is_ruler = |l: &str| is_row(l) && l.chars().all(|c| matches!(c, '|' | '-' | ':' | ' '));
    let is_head = |n: usize| lines.get(n + 1).is_some_and(|l| is_ruler(l));
    let body = lines
        .iter()
        .enumerate()
        .filter(|(n, l)| is_row(l) && !is_ruler(l) && !is_head(*n));
    body.map(|(_, l)| cells(l)).collect()
}

fn cells(line: &str) -> Vec<String> {
    let inner = line.trim().trim_start_matches('|').trim_end_matches('|');
    inner
        .replace("\\|", "\u{1}")
        .split('|')
        .map(|c| c.trim().replace('\u{1}', "|"))
        .collect()
}

/// What stands between backquotes.
fn quoted(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Names of all functions of the source and the tests.
fn functions() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for folder in ["src", "tests"] {
        for (_, text) in rust_files(&root().join(folder)) {
            for line in text.lines().map(str::trim_start) {
                if let Some((_, rest)) = line.split_once("fn ") {
                    names.insert(
                        rest.chars()
                            .take_while(|c| c.is_alphanumeric() || *c == '_')
                            .collect(),
                    );
                }
            }
        }
    }
    names
}

/// What is wrong with the feature table.
fn feature_faults(table: &str, known: &BTreeSet<String>) -> Vec<String> {
    let mut faults = Vec::new();
    let mut seen = Vec::new();
    for row in rows(table) {
        let [id, _, status, proof] = row.as_slice() else {
            faults.push(format!("a row has not four cells: {row:?}"));
            continue;
        };
        seen.push(id.clone());
        if !STATUS.contains(&status.as_str()) {
            faults.push(format!("{id}: `{status}` is no status"));
        }
        let tests = quoted(proof);
        if (status == "not yet") != tests.is_empty() {
            faults.push(format!(
                "{id}: what works, even partly, names its test between backquotes; what does not names none"
            ));
        }
        for test in tests {
            if !test.rsplit("::").next().is_some_and(|name| known.contains(name)) {
                faults.push(format!("{id}: there is no test `{test}`"));
            }
        }
    }
    let want = (1..=S_LAST)
        .map(|n| format!("S{n}"))
        .chain(P_ROWS.iter().map(|n| format!("P{n}")));
    for id in want {
        let count = seen.iter().filter(|s| **s == id).count();
        if count != 1 {
            faults.push(format!("{id} stands {count} times"));
        }
    }
    faults
}

/// The sentences a judge may say, as patterns with holes: what stands in `#[error("...")]`, `Profile("...")` and the like.
fn sentences(text: &str) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    for opening in [
        "#[error(",
        "XmlError::Profile(",
        "XmlError::Guard(",
        "CmsError::Profile(",
        "unused(",
        "Fault::unfit(",
        "Fault::Unfit(",
        "Fault::Broken(",
        "Fault::Ended(",
        "wrong(",
    ] {
        for (at, _) in text.match_indices(opening) {
            let rest = text[at + opening.len()..].trim_start();
            let rest = rest.strip_prefix("format!(").unwrap_or(rest).trim_start();
            let Some((sentence, _)) = rest.strip_prefix('"').and_then(|r| r.split_once('"')) else {
                continue;
            };
            let sentence = one_line(sentence);
            let mut pattern = String::new();
            for (i, piece) in sentence.split('{').enumerate() {
                let fixed = if i == 0 {
                    piece
                } else {
                    piece.split_once('}').map_or("", |(_, after)| after)
                };
                pattern.push_str(if i == 0 { "" } else { "{}" });
                pattern.push_str(fixed);
            }
            // What only passes on another's words has none of its own.
            if pattern != "{}" {
                out.insert(pattern);
            }
        }
    }
    out
}

/// A literal that goes on behind a backslash, as it is said.
fn one_line(literal: &str) -> String {
    let mut lines = literal.split("\\\n");
    let first = lines.next().unwrap_or_default().to_owned();
    lines.fold(first, |said, line| said + line.trim_start())
}

#[test]
fn every_reason_of_a_judge_is_told_in_turkish() {
    use kepd::rem::notice::judgement::is_known;
    let judges = [
        "cms/path.rs",
        "cms/signed.rs",
        "cms/tsp.rs",
        "cms/der.rs",
        "cms/ers/verify.rs",
        "cms/revocation.rs",
        "cms/crl.rs",
        "cms/ocsp.rs",
        "cms/shelf.rs",
        "seal/reliance.rs",
        "xml/mod.rs",
        "xml/guard.rs",
        "xml/profile.rs",
        "xml/stamps.rs",
        "xml/embedded.rs",
        "cms/revocation_info.rs",
        "xml/nodes.rs",
        "rem/open.rs",
        "validation/personal.rs",
    ];
    let (mut missing, mut met) = (Vec::new(), 0);
    for judge in judges {
        let text = std::fs::read_to_string(root().join("src").join(judge)).unwrap();
        let (code, _) = text.split_once("#[cfg(test)]").unwrap_or((&text, ""));
        for sentence in sentences(code) {
            met += 1;
            if !is_known(&sentence) {
                missing.push(format!("{judge}: {sentence}"));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
    assert!(met > 60, "{met}");
}

#[test]
fn the_feature_table_is_whole_and_proved() {
    let faults = feature_faults(&document("features.md"), &functions());
    assert!(faults.is_empty(), "docs/features.md:\n{}", faults.join("\n"));
}

#[test]
fn a_feature_without_its_test_is_seen() {
    let known = BTreeSet::from(["a_test".to_owned()]);
    let head = "| id | c | s | p |\n|---|---|---|---|\n";
    let faults_of = |row: &str| {
        let all = feature_faults(&format!("{head}{row}\n"), &known);
        all.into_iter().filter(|f| f.starts_with("S1:")).count()
    };
    assert_eq!(faults_of("| S1 | x | works | `journey::a_test` |"), 0);
    assert_eq!(faults_of("| S1 | x | not yet | - |"), 0);
    assert_eq!(faults_of("| S1 | x | works | - |"), 1);
    assert_eq!(faults_of("| S1 | x | works | `journey::no_test` |"), 1);
    assert_eq!(faults_of("| S1 | x | not yet | `journey::a_test` |"), 1);
    assert_eq!(faults_of("| S1 | x | nearly | `journey::a_test` |"), 1);
}

#[test]
fn every_standard_has_a_status_word() {
    let rows = rows(&document("standards.md"));
    assert!(
        rows.len() > 30,
        "the index of standards has only {} rows",
        rows.len()
    );
    let odd: Vec<_> = rows
        .iter()
        .filter(|r| r.len() != 4 || !STATUS.contains(&r[2].as_str()))
        .collect();
    assert!(
        odd.is_empty(),
        "docs/standards.md, rows whose third cell is no status:\n{odd:#?}"
    );
}

#[test]
fn every_dependency_is_accounted_for() {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let manifest: toml::Table = manifest.parse().unwrap();
    let named: BTreeSet<String> = rows(&document("dependencies.md"))
        .iter()
        .filter_map(|r| quoted(&r[0]).first().cloned())
        .collect();
    let mut wanted = BTreeSet::new();
    for part in ["dependencies", "dev-dependencies"] {
        let table = manifest.get(part).and_then(|t| t.as_table());
        wanted.extend(table.into_iter().flat_map(|t| t.keys().cloned()));
    }
    let missing: Vec<_> = wanted.difference(&named).collect();
    let left_over: Vec<_> = named.difference(&wanted).collect();
    assert!(missing.is_empty(), "docs/dependencies.md lacks {missing:?}");
    assert!(
        left_over.is_empty(),
        "docs/dependencies.md speaks of {left_over:?}, which Cargo.toml does not name"
    );
}

/// Two-letter tags of `Key::tenant(.., b"xx")` and the like.
fn tags(text: &str) -> BTreeSet<String> {
    let parts = text.split("b\"").skip(1).filter_map(|rest| rest.split_once('"'));
    parts
        .map(|(tag, _)| tag.to_owned())
        .filter(|t| t.len() == 2 && t.bytes().all(|b| b.is_ascii_lowercase()))
        .collect()
}

#[test]
fn the_key_space_is_drawn_whole() {
    let folder = root().join("src/store/tables");
    let files = if folder.is_dir() {
        rust_files(&folder)
    } else {
        Vec::new()
    };
    let used: BTreeSet<String> = files.iter().flat_map(|(_, text)| tags(text)).collect();
    let drawn: BTreeSet<String> = rows(&document("storage.md"))
        .iter()
        .flat_map(|r| quoted(&r[0]))
        .collect();
    let missing: Vec<_> = used.difference(&drawn).collect();
    assert!(
        missing.is_empty(),
        "docs/storage.md does not draw the tables {missing:?}"
    );
    assert_eq!(
        tags("Key::tenant(t, b\"ma\").x(b\"\\0\", b\"long\")"),
        BTreeSet::from(["ma".to_owned()])
    );
}

fn markdown_files() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path
                .file_name()
                .and_then(|n| n.to_str())
                .unwrap_or_default()
                .to_owned();
            if path.is_dir() && name != "target" && !name.starts_with('.') {
                folders.push(path);
            } else if name.ends_with(".md") {
                found.push(path);
            }
        }
    }
    found
}

/// Links to files of the project that are not there.
fn dead_links(file: &Path, text: &str) -> Vec<String> {
    let folder = file.parent().unwrap();
    let targets = text
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'))
        .map(|(target, _)| target);
    let local = targets.filter(|t| !t.contains("://") && !t.starts_with('#') && !t.starts_with("mailto:"));
    let dead = local.filter(|t| !folder.join(t.split('#').next().unwrap_or_default()).exists());
    dead.map(|t| format!("{}: {t}", file.display())).collect()
}

#[test]
fn links_lead_somewhere() {
    let files = markdown_files();
    let dead: Vec<String> = files
        .iter()
        .flat_map(|file| dead_links(file, &std::fs::read_to_string(file).unwrap()))
        .collect();
    assert!(dead.is_empty(), "dead links:\n{}", dead.join("\n"));
    let here = root().join("docs/x.md");
    assert_eq!(
        dead_links(
            &here,
            "[a](nowhere.md) [b](../Cargo.toml) [c](https://x.example/y)"
        )
        .len(),
        1
    );
}

#[test]
fn every_decision_is_in_the_index() {
    let index = document("decisions/README.md");
    for entry in std::fs::read_dir(root().join("docs/decisions")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(
            name == "README.md" || index.contains(&format!("({name})")),
            "docs/decisions/README.md lacks {name}"
        );
    }
}
