//! IMAP commands by chance: lines of the dialogues, and sentences of a grammar that knows RFC 9051 and the extensions.

use super::chance::Chance;

/// Words that mean something to a parser of IMAP.
const SPLICE: &[&[u8]] = &[
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b" ",
    b"(",
    b")",
    b"((((((((",
    b"\"",
    b"\\",
    b"{",
    b"}",
    b"{0}\r\n",
    b"{3}\r\n",
    b"{3+}\r\n",
    b"{0+}\r\n",
    b"~{4+}\r\n",
    b"{4294967296}\r\n",
    b"{18446744073709551615+}\r\n",
    b"{99999999999999999999999}\r\n",
    b"{-1}\r\n",
    b"*",
    b"%",
    b":",
    b",",
    b"1:*",
    b"*:1",
    b"4294967295",
    b"4294967296",
    b"0",
    b"\xff\xfe",
    b"\xc4\xb0",
    b"&ATA-",
    b"&",
    b"NIL",
    b"BODY[",
    b"]",
    b"<0.1>",
    b"<4294967295.4294967295>",
    b"DONE\r\n",
    b"[]",
    b"=",
    b"UTF8 (~{",
    b"RETURN (",
    b"a AUTHENTICATE PLAIN\r\n",
];

const VERBS: &[&str] = &[
    "CAPABILITY",
    "NOOP",
    "CHECK",
    "CLOSE",
    "UNSELECT",
    "EXPUNGE",
    "NAMESPACE",
    "IDLE\r\nDONE",
    "ID NIL",
    "ID (\"a\" \"b\" \"c\" NIL)",
    "ENABLE UTF8=ACCEPT",
    "ENABLE CONDSTORE",
    "ENABLE QRESYNC",
    "ENABLE IMAP4rev2",
    "ENABLE UIDONLY X",
    "STARTTLS",
    "COMPRESS",
    "GETQUOTAROOT INBOX",
    "GETQUOTA \"\"",
    "MYRIGHTS INBOX",
    "GETACL INBOX",
    "LISTRIGHTS INBOX ayse@ornekas",
    "SETACL INBOX x lr",
    "GETMETADATA \"\" /shared/comment",
    "GETMETADATA (DEPTH infinity) INBOX (/private/x)",
    "SETMETADATA INBOX (/private/x {3+}\r\nabc)",
    "NOTIFY NONE",
    "NOTIFY SET STATUS (personal (MessageNew (UID FLAGS) MessageExpunge))",
    "SUBSCRIBE INBOX",
    "UNSUBSCRIBE INBOX",
    "LSUB \"\" *",
    "CANCELUPDATE \"a\"",
];

/// Client lines of the dialogues.
pub struct Corpus(Vec<Vec<u8>>);

impl Corpus {
    /// From a folder below `tests/dialogues`; lines begin with one of `marks`.
    pub fn load(folder: &str, marks: &[&str]) -> Self {
        let folder = format!("{}/tests/dialogues/{folder}", env!("CARGO_MANIFEST_DIR"));
        let mut files: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        files.sort();
        let texts = files.iter().map(|file| std::fs::read_to_string(file).unwrap());
        let mut lines = Vec::new();
        for text in texts {
            let said = text
                .lines()
                .filter_map(|l| marks.iter().find_map(|m| l.strip_prefix(m)));
            lines.extend(said.map(|line| format!("{line}\r\n").into_bytes()));
        }
        assert!(lines.len() > 50, "the dialogues are missing");
        Self(lines)
    }

    pub fn line(&self, chance: &mut Chance) -> Vec<u8> {
        chance.pick(&self.0).clone()
    }
}

/// One to some commands, often spoiled. `long`: now and then something of the size of the bounds.
pub fn utterance(chance: &mut Chance, corpus: &Corpus, tag: &mut u64, long: bool) -> Vec<u8> {
    let mut octets = Vec::new();
    for _ in 0..1 + chance.below(4) {
        match chance.below(8) {
            0 => octets.extend(corpus.line(chance)),
            1 if long && chance.one_in(12) => octets.extend(huge(chance, tag)),
            _ => {
                *tag += 1;
                octets.extend(format!("f{tag} ").bytes());
                octets.extend(command(chance).bytes());
                octets.extend(b"\r\n");
            }
        }
    }
    while chance.one_in(3) {
        chance.spoil(&mut octets, SPLICE);
    }
    octets
}

/// Commands of the size of the engine's bounds, and beyond.
fn huge(chance: &mut Chance, tag: &mut u64) -> Vec<u8> {
    *tag += 1;
    let n = *chance.pick(&[100, 2000, 70_000]);
    let text = match chance.below(9) {
        0 => format!("FETCH {}1 UID", "1:*,".repeat(n / 4)),
        1 => format!("SEARCH {}ALL", "NOT ".repeat(n / 4)),
        2 => format!("SEARCH {}ALL{}", "(".repeat(n / 2), ")".repeat(n / 2)),
        3 => format!("FETCH 1:* ({}UID)", "BODY.PEEK[HEADER] ".repeat(n / 18)),
        4 => format!("STORE 1:* +FLAGS ({})", "etiket ".repeat(n / 7)),
        5 => format!("LIST \"\" {}", "*%a".repeat(n / 3)),
        6 => format!("SEARCH {}", "TEXT {1+}\r\na ".repeat(n / 13)),
        7 => format!("SEARCH TEXT {{{n}+}}\r\n{}", "x".repeat(n)),
        _ => "NOOP\r\n".repeat(n / 6),
    };
    format!("f{tag} {text}\r\n").into_bytes()
}

fn command(chance: &mut Chance) -> String {
    let uid = if chance.one_in(2) { "UID " } else { "" };
    match chance.below(17) {
        0 => (*chance.pick(VERBS)).to_owned(),
        1 => {
            let verb = *chance.pick(&["SELECT", "SELECT", "EXAMINE"]);
            let with = *chance.pick(&[
                "",
                "",
                "",
                " (CONDSTORE)",
                " (QRESYNC (1 2 1:*))",
                " (QRESYNC (1 2 1:* (1:3 2:4)))",
            ]);
            format!("{verb} {}{with}", mailbox(chance))
        }
        2 | 3 => {
            let with = *chance.pick(&[
                "",
                "",
                "",
                " (CHANGEDSINCE 1)",
                " (CHANGEDSINCE 1 VANISHED)",
                " (PARTIAL 1:2)",
            ]);
            format!("{uid}FETCH {} {}{with}", set(chance), fetch_items(chance))
        }
        4 => {
            let how = *chance.pick(&["FLAGS", "+FLAGS", "-FLAGS", "+FLAGS.SILENT", "FLAGS.SILENT"]);
            let with = *chance.pick(&["", "", "", "(UNCHANGEDSINCE 1) "]);
            format!("{uid}STORE {} {with}{how} {}", set(chance), flags(chance))
        }
        5 | 6 => {
            let returns = *chance.pick(&[
                "",
                "",
                "RETURN () ",
                "RETURN (MIN MAX COUNT ALL) ",
                "RETURN (SAVE) ",
                "RETURN (PARTIAL 1:5) ",
            ]);
            let charset = *chance.pick(&["", "", "", "CHARSET UTF-8 ", "CHARSET ISO-8859-9 "]);
            format!("{uid}SEARCH {returns}{charset}{}", keys(chance, 0))
        }
        7 => {
            let by = *chance.pick(&["(ARRIVAL)", "(REVERSE DATE SUBJECT)", "(DISPLAYFROM)", "()"]);
            format!("{uid}SORT {by} UTF-8 {}", keys(chance, 0))
        }
        8 => {
            let by = *chance.pick(&["REFERENCES", "ORDEREDSUBJECT", "X"]);
            format!("{uid}THREAD {by} UTF-8 {}", keys(chance, 0))
        }
        9 => {
            let verb = *chance.pick(&["COPY", "MOVE"]);
            format!("{uid}{verb} {} {}", set(chance), mailbox(chance))
        }
        10 => format!(
            "STATUS {} (MESSAGES UIDNEXT UIDVALIDITY UNSEEN DELETED SIZE)",
            mailbox(chance)
        ),
        11 => {
            let select = *chance.pick(&[
                "",
                "",
                "(SUBSCRIBED) ",
                "(RECURSIVEMATCH SUBSCRIBED) ",
                "(SPECIAL-USE) ",
                "(REMOTE) ",
            ]);
            let returns = *chance.pick(&[
                "",
                "",
                " RETURN (CHILDREN SUBSCRIBED)",
                " RETURN (STATUS (MESSAGES UNSEEN))",
                " RETURN (MYRIGHTS METADATA (/x))",
            ]);
            let patterns = *chance.pick(&["*", "%", "(\"*\" \"%/%\")", "*%*%*", "\"\"", "&ATABXw-*"]);
            format!(
                "LIST {select}{} {patterns}{returns}",
                *chance.pick(&["\"\"", "INBOX", "Etiketler/", "{2+}\r\nEt"])
            )
        }
        12 | 13 => append(chance),
        14 => {
            let verb = *chance.pick(&["CREATE", "DELETE", "SUBSCRIBE", "UNSUBSCRIBE"]);
            format!("{verb} {}", mailbox(chance))
        }
        15 => format!("RENAME {} {}", mailbox(chance), mailbox(chance)),
        _ => format!("UID EXPUNGE {}", set(chance)),
    }
}

fn append(chance: &mut Chance) -> String {
    let body =
        "From: a@hs02.kep.test\r\nSubject: x\r\n\r\n".to_owned() + &"satir\r\n".repeat(chance.below(9));
    let said = body.len().wrapping_add_signed(*chance.pick(&[0, 0, 0, 0, 1, -1]));
    let plus = *chance.pick(&["+", "+", "+", ""]);
    let start = *chance.pick(&["APPEND", "APPEND", "REPLACE 1", "UID REPLACE 2", "REPLACE *"]);
    let flags = *chance.pick(&[
        "",
        "(\\Seen) ",
        "(\\Draft etiket) ",
        "() ",
        "(\\Seen) \"17-Jul-1996 02:44:25 -0700\" ",
    ]);
    let (to, second) = (
        mailbox(chance),
        *chance.pick(&["", "", "", " {2+}\r\nab", " (\\Seen) {0+}\r\n"]),
    );
    match chance.below(6) {
        0 => format!("{start} {to} {flags}UTF8 (~{{{said}{plus}}}\r\n{body})"),
        1 => format!("{start} {to} {flags}~{{{said}{plus}}}\r\n{body}"),
        2 if chance.one_in(10) => format!("{start} {to} {{9223372036854775808}}"),
        _ => format!("{start} {to} {flags}{{{said}{plus}}}\r\n{body}{second}"),
    }
}

fn number(chance: &mut Chance) -> String {
    match chance.below(12) {
        0 => "*".to_owned(),
        1 => "4294967295".to_owned(),
        2 => "0".to_owned(),
        3 => "$".to_owned(),
        _ => (1 + chance.below(12)).to_string(),
    }
}

fn set(chance: &mut Chance) -> String {
    let mut parts = Vec::new();
    for _ in 0..1 + chance.below(4) * chance.below(2) {
        let one = number(chance);
        parts.push(if chance.one_in(2) {
            format!("{one}:{}", number(chance))
        } else {
            one
        });
    }
    parts.join(",")
}

fn text(chance: &mut Chance) -> String {
    let words = [
        "teklif",
        "İHALE",
        "ıı",
        "x",
        "",
        "a b",
        "\\\"",
        "=?UTF-8?Q?=C4=B0?=",
    ];
    let word = *chance.pick(&words);
    match chance.below(3) {
        0 => format!("\"{word}\""),
        1 => format!("{{{}+}}\r\n{word}", word.len()),
        _ => "teklif".to_owned(),
    }
}

pub fn mailbox(chance: &mut Chance) -> String {
    let names = [
        "INBOX",
        "inbox",
        "INBOX",
        "Taslaklar",
        "&ANY-nemli",
        "\"T&APw-m Postalar\"",
        "\"&AMcA9g-p Kutusu\"",
        "Deliller",
        "Ar&AV8-iv",
        "Etiketler/Finans",
        "Etiketler/Acil",
        "Etiketler/yeni",
        "Etiketler",
        "\"&ATABXw-lerim/Bekleyen\"",
        "\"Giden Kutusu\"",
        "yok",
        "\"\"",
        "{5+}\r\nINBOX",
        "a/b/c",
        "\"&ATABXw-lerim/Onayla\"",
    ];
    (*chance.pick(&names)).to_owned()
}

fn flags(chance: &mut Chance) -> String {
    let all = [
        "\\Seen",
        "\\Deleted",
        "\\Flagged",
        "\\Answered",
        "\\Draft",
        "$KepOnay",
        "Finans",
        "etiket",
        "\\Recent",
        "\\X",
        "$",
    ];
    let mut chosen = Vec::new();
    for _ in 0..chance.below(4) {
        chosen.push(*chance.pick(&all));
    }
    if chance.one_in(4) && chosen.len() == 1 {
        return chosen.concat();
    }
    format!("({})", chosen.join(" "))
}

fn fetch_items(chance: &mut Chance) -> String {
    let simple = [
        "FLAGS",
        "UID",
        "ENVELOPE",
        "BODY",
        "BODYSTRUCTURE",
        "INTERNALDATE",
        "RFC822.SIZE",
        "RFC822",
        "RFC822.HEADER",
        "RFC822.TEXT",
        "FAST",
        "ALL",
        "FULL",
        "MODSEQ",
        "PREVIEW",
        "PREVIEW (LAZY)",
        "EMAILID",
        "THREADID",
        "SAVEDATE",
        "BINARY.SIZE[1]",
    ];
    let mut items = Vec::new();
    for _ in 0..1 + chance.below(3) {
        items.push(if chance.one_in(2) {
            (*chance.pick(&simple)).to_owned()
        } else {
            section(chance)
        });
    }
    if items.len() == 1 && chance.one_in(2) {
        return items.concat();
    }
    format!("({})", items.join(" "))
}

fn section(chance: &mut Chance) -> String {
    let kind = *chance.pick(&["BODY", "BODY.PEEK", "BODY.PEEK", "BINARY.PEEK", "BINARY"]);
    let mut part = Vec::new();
    for _ in 0..chance.below(4) {
        part.push((*chance.pick(&["1", "2", "3", "0", "99"])).to_owned());
    }
    let what = *chance.pick(&[
        "",
        "",
        "HEADER",
        "TEXT",
        "MIME",
        "HEADER.FIELDS (From Subject \"X Y\")",
        "HEADER.FIELDS.NOT (To)",
    ]);
    if !what.is_empty() && !kind.starts_with("BINARY") {
        part.push(what.to_owned());
    }
    let partial = *chance.pick(&[
        "",
        "",
        "<0.10>",
        "<5.0>",
        "<4294967295.4294967295>",
        "<1.4294967295>",
        "<18446744073709551615.1>",
    ]);
    format!("{kind}[{}]{partial}", part.join("."))
}

fn keys(chance: &mut Chance, depth: usize) -> String {
    let mut keys = Vec::new();
    for _ in 0..1 + chance.below(3) {
        keys.push(key(chance, depth));
    }
    keys.join(" ")
}

fn key(chance: &mut Chance, depth: usize) -> String {
    let simple = [
        "ALL",
        "SEEN",
        "UNSEEN",
        "DELETED",
        "FLAGGED",
        "DRAFT",
        "NEW",
        "OLD",
        "RECENT",
        "KEYWORD Finans",
        "UNKEYWORD $KepOnay",
        "LARGER 100",
        "SMALLER 4294967296",
        "SINCE 1-Jan-2020",
        "BEFORE 31-Feb-2026",
        "SENTON \"1-Jan-2026\"",
        "OLDER 60",
        "YOUNGER 1",
        "MODSEQ 1",
        "EMAILID x",
        "SAVEDSINCE 1-Jan-2020",
        "$",
        "FUZZY SUBJECT x",
    ];
    match chance.below(9) {
        0 | 1 => (*chance.pick(&simple)).to_owned(),
        2 => format!(
            "{} {}",
            *chance.pick(&["SUBJECT", "FROM", "TO", "CC", "BCC"]),
            text(chance)
        ),
        3 => format!("{} {}", *chance.pick(&["BODY", "TEXT"]), text(chance)),
        4 => format!(
            "HEADER {} {}",
            *chance.pick(&["Message-ID", "X-Y", "\"\""]),
            text(chance)
        ),
        5 => set(chance),
        6 => format!("UID {}", set(chance)),
        7 if depth < 6 => match chance.below(3) {
            0 => format!("NOT {}", key(chance, depth + 1)),
            1 => format!("OR {} {}", key(chance, depth + 1), key(chance, depth + 1)),
            _ => format!("({})", keys(chance, depth + 1)),
        },
        _ => "ALL".to_owned(),
    }
}
