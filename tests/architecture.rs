//! Who may import whom: the table of `docs/architecture.md`, held against every `use` and every path of `src`.
//!
//! Also what the invariants say by absence: who opens sockets and files, who asks the time, who touches a private key;
//! and the habits that a machine can see. Rooms that are not built yet are no fault. What this test cannot see: macros
//! that build paths, and a foreign crate that opens a socket or a file by itself.

mod samples;
mod source;

use source::{Source, module_of};
use std::path::{Path, PathBuf};

/// One row of the table: the modules under `room` may name themselves and what `may` lists.
struct Row {
    room: &'static str,
    may: &'static [&'static str],
}

/// `ground`, `formats` and `shared` stand for what [`expand`] says. The most specific row governs a module.
const TABLE: &[Row] = &[
    Row {
        room: "lib",
        may: &[],
    },
    Row { room: "id", may: &[] },
    Row {
        room: "clock",
        may: &[],
    },
    Row {
        room: "address",
        may: &[],
    },
    Row {
        room: "roster",
        may: &[],
    },
    Row {
        room: "domain",
        may: &["ground"],
    },
    Row {
        room: "mime",
        may: &["ground"],
    },
    Row {
        room: "cms",
        may: &["ground"],
    },
    Row {
        room: "xml",
        may: &["ground"],
    },
    // It reads what Outlook asks, and refuses what has no place in a document.
    Row {
        room: "autoconfig",
        may: &["xml", "ground"],
    },
    Row {
        room: "rem",
        may: &["domain", "mime", "cms", "xml", "ground"],
    },
    // What an evidence and a decision are, and the words of the notices for reasons and times.
    Row {
        room: "pdf",
        may: &["domain", "rem::notice", "ground"],
    },
    Row {
        room: "sasl",
        may: &["ground"],
    },
    Row {
        room: "smtp",
        may: &["ground"],
    },
    Row {
        room: "imap",
        may: &["ground"],
    },
    Row {
        room: "store",
        may: &["domain", "ground"],
    },
    Row {
        room: "seal",
        may: &["cms", "xml", "ground"],
    },
    // Says of a whole file what one signature's verifier says of a signature. It has no store and no clock.
    Row {
        room: "validation",
        may: &["seal", "rem", "mime", "cms", "xml", "domain", "ground"],
    },
    Row {
        room: "service",
        may: &[
            "validation",
            "shared",
            "domain",
            "formats",
            "store",
            "seal",
            "ground",
        ],
    },
    Row {
        room: "service::account",
        may: &["sasl", "shared", "domain", "formats", "store", "seal", "ground"],
    },
    // Moving a message decides a job, declares of a mail or submits a draft: here a mailbox leads to the stations.
    Row {
        room: "service::mailbox",
        may: &[
            "service::approval",
            "service::declaring",
            "service::submission",
            "shared",
            "domain",
            "formats",
            "store",
            "seal",
            "ground",
        ],
    },
    // An answer to a status message is handed in like a mail and becomes a note on the job.
    Row {
        room: "service::answering",
        may: &[
            "service::approval",
            "service::submission",
            "shared",
            "domain",
            "formats",
            "store",
            "seal",
            "ground",
        ],
    },
    // A question about documents is handed in like a mail, and its header is checked like one.
    Row {
        room: "service::enquiry",
        may: &[
            "service::submission",
            "validation",
            "shared",
            "domain",
            "formats",
            "store",
            "seal",
            "ground",
        ],
    },
    // The outline of a message is told in mime's words, and translated into IMAP's here.
    Row {
        room: "net::imap",
        may: &[
            "imap",
            "sasl",
            "service",
            "mime",
            "net::external",
            "net::listener",
            "net::secured",
            "net::tls",
            "net::wire",
            "domain",
            "ground",
        ],
    },
    Row {
        room: "net",
        may: &[
            "smtp",
            "imap",
            "sasl",
            "service",
            "autoconfig",
            "seal::tsa",
            "seal::revocation",
            "seal::key::read_pair",
            "seal::TimestampTransport",
            "seal::TransportError",
            "cms::Certificate",
            "cms::certificate::KeyKind",
            "domain",
            "ground",
        ],
    },
    // Words of the administrator to services, and their answers back.
    Row {
        room: "control",
        may: &["service", "autoconfig", "domain", "ground"],
    },
    Row {
        room: "control::protocol",
        may: &["ground"],
    },
    // The tool is a part of the library so that the demo administers as a person does. It speaks the words of the
    // protocol, and verifies without a daemon: formats and the judge, no service and no store.
    Row {
        room: "kepctl",
        may: &[
            "control::protocol",
            "validation",
            "seal::TrustStore",
            "rem::notice::judgement",
            "cms",
            "ground",
        ],
    },
    // It names the engines to choose from, and hands the services their identity in one piece.
    Row {
        room: "config",
        may: &["service::identity", "store::db::EngineKind", "domain", "ground"],
    },
    Row {
        room: "check",
        may: &[
            "config",
            "seal::key",
            "seal::SealKey",
            "seal::TrustStore",
            "cms",
            "store::db::EngineKind",
            "ground",
        ],
    },
    Row {
        room: "init",
        may: &["seal::pki", "ground"],
    },
    // Wiring. Its stations also read from the tables of work when the next piece is due.
    Row {
        room: "daemon",
        may: &["everything"],
    },
    // It walks the whole house as its two users, administrators and judges.
    Row {
        room: "demo",
        may: &["everything"],
    },
    Row {
        room: "bin::kepd",
        may: &["config", "check", "init", "daemon", "demo", "ground"],
    },
    Row {
        room: "bin::kepctl",
        may: &["kepctl"],
    },
];

/// Modules of `service` that any part of `service` may import. All others (submission, approval, declaring, dispatch,
/// relay, intake, delivery, mailbox, archive and what is added) stand apart: they meet in the store.
const SHARED: &[&str] = &[
    "account",
    "aside",
    "bell",
    "credit",
    "directory",
    "effect",
    "evidence_records",
    "failure",
    "genuine",
    "identity",
    "item_numbers",
    "notary",
    "notification",
    "octets",
    "organisation",
    "outline",
    "owing",
    "putting_off",
    "searched",
    "time_slice",
    "usage",
    "yielding",
];

/// What test code of a room may name beyond its row, with the reason beside it. Empty is best.
const TESTS_ALSO: &[(&str, &str)] = &[
    // The server is tested over its real socket with real services, and these need a store and an identity.
    ("control::server::tests", "store"),
    ("control::server::tests", "config"),
    // What `init` makes must pass `check`.
    ("init", "check"),
    ("init", "config"),
];

/// Something only some rooms may use.
struct Reserved {
    what: &'static [&'static str],
    to: &'static [&'static str],
    why: &'static str,
}

const RESERVED: &[Reserved] = &[
    Reserved {
        what: &[
            "tokio::net",
            "std::net::TcpStream",
            "std::net::TcpListener",
            "std::net::UdpSocket",
        ],
        to: &["net", "demo", "control"],
        why: "only net opens a socket (control its own, demo plays the user)",
    },
    Reserved {
        what: &["std::os::unix::net", "rustix::net"],
        to: &["net", "demo", "control", "kepctl"],
        why: "unix sockets: control serves one, kepctl calls it",
    },
    Reserved {
        what: &["std::fs", "tokio::fs", "rustix::fs", "std::os::unix::fs"],
        to: &[
            "store", "seal", "config", "check", "init", "daemon", "control", "kepctl", "demo",
        ],
        why: "only store opens files at work; seal reads keys, the roof its own files",
    },
    Reserved {
        what: &["std::time::SystemTime::now"],
        to: &["clock"],
        why: "only clock asks the time",
    },
    Reserved {
        what: &[
            "aws_lc_rs::signature::EcdsaKeyPair",
            "aws_lc_rs::signature::RsaKeyPair",
        ],
        to: &["seal"],
        why: "only seal sees a private key",
    },
];

/// Words that ask the time by another name, or that mark unfinished work; nowhere in code, not in tests either.
const FORBIDDEN: &[&str] = &[
    "todo!",
    "unimplemented!",
    "#[ignore",
    "Timestamp::now(",
    "Zoned::now(",
    "Utc::now(",
    "Local::now(",
];

/// A file is one idea. A protocol may take this many lines, tests included.
const FILE_MAX_LINES: usize = 700;

/// A file this short (`fn main() {}`) only keeps the place of one that is not written yet.
const PLACEHOLDER_MAX_LINES: usize = 1;

fn expand(word: &'static str) -> Vec<String> {
    let list = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect();
    match word {
        "ground" => list(&["id", "clock", "address", "roster"]),
        "formats" => list(&["mime", "cms", "xml", "rem", "pdf"]),
        "shared" => SHARED.iter().map(|s| format!("service::{s}")).collect(),
        _ => list(&[word]),
    }
}

/// Whether `path` is `prefix` or lies below it.
fn lies_in(path: &[String], prefix: &str) -> bool {
    let parts: Vec<&str> = prefix.split("::").collect();
    path.len() >= parts.len() && parts.iter().zip(path).all(|(a, b)| a == b)
}

fn row_of(module: &[String]) -> Option<&'static Row> {
    let rows = TABLE.iter().filter(|row| lies_in(module, row.room));
    rows.max_by_key(|row| row.room.len())
}

/// What a module may always name: its room; of `service`, only its own part.
fn own(module: &[String], row: &Row) -> String {
    match module {
        [room, part, ..] if room == "service" => format!("service::{part}"),
        _ => row.room.to_owned(),
    }
}

/// What is wrong with `from` naming `to` (both below the crate root); `None` when the table allows it.
fn offence(from: &[String], to: &[String], in_test: bool) -> Option<String> {
    let lib = ["lib".to_owned()];
    let from = if from.is_empty() { &lib } else { from };
    let shown = from.join("::");
    let Some(row) = row_of(from) else {
        return Some(format!(
            "room `{shown}` is not in the table: give it a row in tests/architecture.rs"
        ));
    };
    if row.may == ["everything"] || (!to.is_empty() && lies_in(to, &own(from, row))) {
        return None;
    }
    let allowed = row
        .may
        .iter()
        .flat_map(|word| expand(word))
        .any(|word| lies_in(to, &word));
    let also = in_test
        && TESTS_ALSO
            .iter()
            .any(|(room, what)| lies_in(from, room) && lies_in(to, what));
    if allowed || also {
        return None;
    }
    Some(format!(
        "`{shown}` may not import `{}`; `{}` may import: {}",
        to.join("::"),
        row.room,
        row.may.join(", ")
    ))
}

/// What is wrong with a module using what is reserved to others.
fn trespass(module: &[String], path: &[String]) -> Option<String> {
    let reserved = RESERVED
        .iter()
        .find(|r| r.what.iter().any(|what| lies_in(path, what)))?;
    let let_in = reserved.to.iter().any(|room| lies_in(module, room));
    (!let_in).then(|| {
        format!(
            "`{}` uses `{}`: {}",
            module.join("::"),
            path.join("::"),
            reserved.why
        )
    })
}

/// All faults of one file.
fn faults(file: &str, text: &str, place: &Place) -> Vec<String> {
    let source = Source::read(place.module.clone(), text);
    let mut faults = Vec::new();
    let is_bin = source.module.first().is_some_and(|room| room == "bin");
    for named in &source.named {
        let in_test = place.test_only || named.in_test;
        let say = |what: String| format!("{file}:{}: {what}", named.line);
        let (root, rest) = named
            .path
            .split_first()
            .map_or(("", &named.path[..]), |(r, rest)| (r.as_str(), rest));
        match root {
            "crate" if !is_bin => faults.extend(offence(&source.module, rest, in_test).map(say)),
            "kepd" => faults.extend(offence(&source.module, rest, in_test).map(say)),
            "crate" => {}
            _ if in_test => {}
            _ => faults.extend(trespass(&source.module, &named.path).map(say)),
        }
    }
    // `use std::time::SystemTime` and then `SystemTime::now()`: the path alone does not show it.
    if !lies_in(&source.module, "clock") {
        faults.extend(
            source
                .lines_with("SystemTime::now")
                .iter()
                .map(|l| format!("{file}:{l}: only clock asks the time")),
        );
    }
    faults.extend(habits(file, text, &source));
    faults
}

fn habits(file: &str, text: &str, source: &Source) -> Vec<String> {
    let mut faults = Vec::new();
    for word in FORBIDDEN {
        faults.extend(
            source
                .lines_with(word)
                .iter()
                .map(|line| format!("{file}:{line}: `{word}` has no place here")),
        );
    }
    let is_placeholder = text.lines().count() <= PLACEHOLDER_MAX_LINES;
    if !is_placeholder && !text.trim_start().starts_with("//!") {
        faults.push(format!(
            "{file}:1: no head comment (`//!`) that says what the file is for"
        ));
    }
    let lines = text.lines().count();
    if lines > FILE_MAX_LINES {
        faults.push(format!(
            "{file}: {lines} lines; a file is one idea, at most {FILE_MAX_LINES}"
        ));
    }
    faults
}

/// Every Rust file under `folder`, as (path below it with `/` between levels, text), in order.
pub fn rust_files(folder: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let below: Vec<_> = path
                    .strip_prefix(folder)
                    .unwrap()
                    .iter()
                    .map(|p| p.to_str().unwrap())
                    .collect();
                found.push((below.join("/"), std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

/// Where a file stands in the crate, and whether it is compiled for tests only.
struct Place {
    module: Vec<String>,
    test_only: bool,
}

/// Files that stand elsewhere than their path says: `#[cfg(test)] #[path = "x_tests.rs"] mod tests;` in `x.rs`.
fn moved(files: &[(String, String)]) -> Vec<(String, Place)> {
    let mut moved = Vec::new();
    for (file, text) in files {
        let dense: String = text.split_whitespace().collect();
        for (before, after) in dense
            .match_indices("#[path=\"")
            .map(|(at, sign)| (&dense[..at], &dense[at + sign.len()..]))
        {
            let Some((name, rest)) = after.split_once("\"]") else {
                continue;
            };
            let word = rest
                .trim_start_matches("pub")
                .strip_prefix("mod")
                .and_then(|r| r.split(';').next());
            let folder = file
                .rsplit_once('/')
                .map_or(String::new(), |(folder, _)| format!("{folder}/"));
            let module = [module_of(file), vec![word.unwrap_or(name).to_owned()]].concat();
            moved.push((
                format!("{folder}{name}"),
                Place {
                    module,
                    test_only: before.ends_with("#[cfg(test)]"),
                },
            ));
        }
    }
    moved
}

/// Modules that are compiled for tests only, by what their parents say.
fn test_only_modules(files: &[(String, String)]) -> Vec<String> {
    let children = files.iter().flat_map(|(file, text)| {
        let source = Source::read(module_of(file), text);
        let parent = source.module.clone();
        source
            .test_children
            .into_iter()
            .map(move |child| [parent.clone(), vec![child]].concat().join("::"))
    });
    children.collect()
}

/// Every file with its place.
fn placed(files: &[(String, String)]) -> Vec<(&str, &str, Place)> {
    let test_only = test_only_modules(files);
    let mut moved = moved(files);
    let mut placed = Vec::new();
    for (file, text) in files {
        let place = match moved.iter().position(|(name, _)| name == file) {
            Some(at) => moved.swap_remove(at).1,
            None => {
                let module = module_of(file);
                let test_only = test_only.iter().any(|test| lies_in(&module, test));
                Place { module, test_only }
            }
        };
        placed.push((file.as_str(), text.as_str(), place));
    }
    placed
}

#[test]
fn the_source_keeps_to_the_table() {
    let files = rust_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    assert!(
        files.iter().any(|(file, _)| file == "lib.rs"),
        "the source is not where it was looked for"
    );
    let placed = placed(&files);
    let faults: Vec<String> = placed
        .iter()
        .flat_map(|(file, text, place)| faults(file, text, place))
        .collect();
    assert!(
        faults.is_empty(),
        "{} fault(s):\n{}",
        faults.len(),
        faults.join("\n")
    );
}

#[test]
fn the_tests_keep_the_habits_too() {
    let files = rust_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests"));
    let check = |(file, text): &(String, String)| habits(file, text, &Source::read(Vec::new(), text));
    let faults: Vec<String> = files.iter().flat_map(check).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// The document draws the same table: one line per row, `| room | may import |`.
#[test]
fn the_document_draws_this_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/architecture.md");
    let document = std::fs::read_to_string(path).unwrap();
    for row in TABLE {
        let may = if row.may.is_empty() {
            "nothing of ours".to_owned()
        } else {
            row.may.join(", ")
        };
        let line = format!("| `{}` | {may} |", row.room);
        assert!(
            document.contains(&line),
            "docs/architecture.md lacks the line\n{line}"
        );
    }
    let shared = SHARED
        .iter()
        .map(|s| format!("`{s}`"))
        .collect::<Vec<_>>()
        .join(", ");
    assert!(
        document.contains(&shared),
        "docs/architecture.md lacks the list of shared modules\n{shared}"
    );
}
