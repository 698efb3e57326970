//! Reads Rust source as far as the architecture needs it: which paths it names, and which of them in test code.
//!
//! Not a parser. Comments and literals are blanked, what is left is cut into words, and paths that start at `crate`,
//! `kepd`, `super`, `self` or a foreign crate are followed through their braces.

/// A word or a sign of the source, with what the checks must know of its place.
#[derive(Debug, Clone)]
struct Token {
    text: String,
    line: usize,
    in_test: bool,
    /// Names of the inline modules around it.
    inline: Vec<String>,
}

/// A path the source names, made absolute: `crate::a::b` is `["crate", "a", "b"]`, others start at their crate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    pub path: Vec<String>,
    pub line: usize,
    pub in_test: bool,
}

/// One source file, read.
#[derive(Debug)]
pub struct Source {
    /// Where it stands in the crate: `src/store/tables/mod.rs` is `["store", "tables"]`.
    pub module: Vec<String>,
    pub code: String,
    pub named: Vec<Named>,
    /// Child modules that are compiled for tests only.
    pub test_children: Vec<String>,
}

/// The crates whose use is restricted, and the ways to name what is ours.
const ROOTS: [&str; 8] = [
    "crate",
    "kepd",
    "super",
    "self",
    "std",
    "tokio",
    "rustix",
    "aws_lc_rs",
];

impl Source {
    /// `module` as [`module_of`] gives it.
    pub fn read(module: Vec<String>, text: &str) -> Self {
        let code = blank(text);
        let mut tokens = tokens_of(&code);
        let test_children = mark(&mut tokens);
        let named = paths_in(&tokens, &module);
        Self {
            module,
            code,
            named,
            test_children,
        }
    }

    /// Lines (from 1) that contain `needle` as code, not as comment or text.
    pub fn lines_with(&self, needle: &str) -> Vec<usize> {
        self.code
            .lines()
            .enumerate()
            .filter(|(_, l)| l.contains(needle))
            .map(|(n, _)| n + 1)
            .collect()
    }
}

/// The module a file under `src` is, from its path below `src`, `/` between levels.
pub fn module_of(path: &str) -> Vec<String> {
    let stem = path.strip_suffix(".rs").unwrap_or(path);
    let mut parts: Vec<String> = stem.split('/').map(str::to_owned).collect();
    let last = parts.last().map_or("", String::as_str);
    if last == "mod" || last == "main" || stem == "lib" {
        parts.pop();
    }
    parts
}

/// The source with comments and the insides of literals turned into spaces; lines stay where they are.
pub fn blank(text: &str) -> String {
    let c: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut i = 0;
    while i < c.len() {
        let end = match c[i] {
            '/' if c.get(i + 1) == Some(&'/') => find(&c, i, |j| c[j] == '\n'),
            '/' if c.get(i + 1) == Some(&'*') => end_of_comment(&c, i),
            '"' => end_of_text(&c, i),
            'r' if !follows_word(&c, i) || follows_prefix(&c, i) => end_of_raw(&c, i).unwrap_or(i),
            '\'' => end_of_char(&c, i).unwrap_or(i),
            _ => i,
        };
        if end == i {
            out.push(c[i]);
            i += 1;
        } else {
            out.extend(c[i..end].iter().map(|ch| if *ch == '\n' { '\n' } else { ' ' }));
            i = end;
        }
    }
    out
}

fn find(c: &[char], from: usize, is: impl Fn(usize) -> bool) -> usize {
    (from..c.len()).find(|j| is(*j)).unwrap_or(c.len())
}

fn follows_word(c: &[char], i: usize) -> bool {
    i > 0 && (c[i - 1].is_alphanumeric() || c[i - 1] == '_')
}

/// `br"` and `cr"`: the letter before belongs to the literal.
fn follows_prefix(c: &[char], i: usize) -> bool {
    i > 0 && matches!(c[i - 1], 'b' | 'c') && !follows_word(c, i - 1)
}

fn end_of_comment(c: &[char], from: usize) -> usize {
    let mut depth = 0;
    let mut i = from;
    while i < c.len() {
        match (c[i], c.get(i + 1)) {
            ('/', Some('*')) => (depth, i) = (depth + 1, i + 2),
            ('*', Some('/')) => (depth, i) = (depth - 1, i + 2),
            _ => i += 1,
        }
        if depth == 0 {
            return i;
        }
    }
    c.len()
}

fn end_of_text(c: &[char], from: usize) -> usize {
    let mut i = from + 1;
    while i < c.len() {
        match c[i] {
            '\\' => i += 2,
            '"' => return i + 1,
            _ => i += 1,
        }
    }
    c.len()
}

fn end_of_raw(c: &[char], from: usize) -> Option<usize> {
    let quote = find(c, from + 1, |j| c[j] != '#');
    if c.get(quote) != Some(&'"') {
        return None;
    }
    let hashes = quote - from - 1;
    let closes = |j: usize| c[j] == '"' && c[j + 1..].iter().take_while(|ch| **ch == '#').count() >= hashes;
    Some((find(c, quote + 1, closes) + 1 + hashes).min(c.len()))
}

/// The end of a character literal; `None` for a lifetime.
fn end_of_char(c: &[char], from: usize) -> Option<usize> {
    match (c.get(from + 1)?, c.get(from + 2)?) {
        ('\\', _) => Some((find(c, from + 3, |j| c[j] == '\'') + 1).min(c.len())),
        (_, '\'') => Some(from + 3),
        _ => None,
    }
}

fn tokens_of(code: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let c: Vec<char> = code.chars().collect();
    let (mut i, mut line) = (0, 1);
    while i < c.len() {
        let is_word = |ch: char| ch.is_alphanumeric() || ch == '_';
        let end = if is_word(c[i]) {
            find(&c, i, |j| !is_word(c[j]))
        } else if c[i] == ':' && c.get(i + 1) == Some(&':') {
            i + 2
        } else {
            i + 1
        };
        if c[i] == '\n' {
            line += 1;
        }
        if !c[i].is_whitespace() {
            let text = c[i..end].iter().collect();
            tokens.push(Token {
                text,
                line,
                in_test: false,
                inline: Vec::new(),
            });
        }
        i = end;
    }
    tokens
}

/// Marks tokens under `#[cfg(test)]` and inside inline modules; gives the test-only child modules.
fn mark(tokens: &mut [Token]) -> Vec<String> {
    let mut test_children = Vec::new();
    for i in 0..tokens.len() {
        if is_at(tokens, i, &["#", "[", "cfg", "(", "test", ")", "]"]) {
            let end = end_of_item(tokens, i + 7);
            if let Some(name) = child_module(&tokens[i..end]) {
                test_children.push(name);
            }
            tokens[i..end].iter_mut().for_each(|t| t.in_test = true);
        }
        if tokens[i].text == "mod" && tokens.get(i + 2).is_some_and(|t| t.text == "{") {
            let name = tokens[i + 1].text.clone();
            let end = end_of_group(tokens, i + 2);
            tokens[i + 2..end]
                .iter_mut()
                .for_each(|t| t.inline.push(name.clone()));
        }
    }
    test_children
}

fn is_at(tokens: &[Token], at: usize, words: &[&str]) -> bool {
    words
        .iter()
        .enumerate()
        .all(|(n, w)| tokens.get(at + n).is_some_and(|t| t.text == *w))
}

/// `mod name;` at the end of an item.
fn child_module(item: &[Token]) -> Option<String> {
    match item {
        [.., word, name, end] if word.text == "mod" && end.text == ";" => Some(name.text.clone()),
        _ => None,
    }
}

/// Behind the item that starts at `from`, its further attributes included.
fn end_of_item(tokens: &[Token], from: usize) -> usize {
    let mut i = from;
    while i < tokens.len() {
        match tokens[i].text.as_str() {
            "{" => return end_of_group(tokens, i),
            "(" | "[" => i = end_of_group(tokens, i),
            ";" => return i + 1,
            _ => i += 1,
        }
    }
    tokens.len()
}

/// Behind the bracket that closes the one at `from`.
fn end_of_group(tokens: &[Token], from: usize) -> usize {
    let mut depth = 0usize;
    for (i, token) in tokens.iter().enumerate().skip(from) {
        match token.text.as_str() {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return i + 1;
        }
    }
    tokens.len()
}

fn paths_in(tokens: &[Token], module: &[String]) -> Vec<Named> {
    let mut named = Vec::new();
    let mut i = 0;
    while i < tokens.len() {
        let starts = ROOTS.contains(&tokens[i].text.as_str())
            && (i == 0 || !matches!(tokens[i - 1].text.as_str(), "::" | "."));
        // `self` alone is a value; `pub(crate)` and `pub(super)` are no paths.
        if starts
            && tokens
                .get(i + 1)
                .is_some_and(|t| matches!(t.text.as_str(), "::" | "as"))
        {
            let mut found = Vec::new();
            let end = follow(tokens, i, Vec::new(), &mut found);
            let place = &tokens[i];
            for path in found {
                let path = absolute(&path, module, &place.inline);
                named.push(Named {
                    path,
                    line: place.line,
                    in_test: place.in_test,
                });
            }
            i = end.max(i + 1);
        } else {
            i += 1;
        }
    }
    named
}

/// Follows a path from `i` through `::` and braces; gives where it ended.
fn follow(tokens: &[Token], mut i: usize, mut path: Vec<String>, found: &mut Vec<Vec<String>>) -> usize {
    while let Some(token) = tokens.get(i) {
        match token.text.as_str() {
            "{" => {
                i += 1;
                while tokens.get(i).is_some_and(|t| t.text != "}") {
                    let next = follow(tokens, i, path.clone(), found);
                    i = next.max(i + 1);
                    while tokens.get(i).is_some_and(|t| t.text != "}" && t.text != ",") {
                        i += 1;
                    }
                    if tokens.get(i).is_some_and(|t| t.text == ",") {
                        i += 1;
                    }
                }
                return i + 1;
            }
            word if word == "*" || word.starts_with(|ch: char| ch.is_alphabetic() || ch == '_') => {
                path.push(word.to_owned());
                i += 1;
            }
            _ => break,
        }
        if tokens.get(i).is_some_and(|t| t.text == "::") {
            i += 1;
        } else {
            break;
        }
    }
    found.push(path);
    i
}

/// Resolves `self` and `super` against the module and the inline modules around the path.
fn absolute(path: &[String], module: &[String], inline: &[String]) -> Vec<String> {
    let relative = path.first().is_some_and(|p| p == "self" || p == "super");
    let mut out: Vec<String> = Vec::new();
    if relative {
        out.push("crate".to_owned());
        out.extend(module.iter().chain(inline).cloned());
    }
    for part in path {
        match part.as_str() {
            "super" if out.len() > 1 => drop(out.pop()),
            "self" | "super" => {}
            _ => out.push(part.clone()),
        }
    }
    out
}

#[test]
fn comments_and_literals_are_no_code() {
    let text = "a // crate::x\nb /* crate::y /* */ */ c \"crate::z\" r#\"crate::\"w\"# '\"' d 'e: '\\'' f b\"crate::v\" br\"\\\" g";
    let code = blank(text);
    assert!(!code.contains("crate"), "{code}");
    assert_eq!(code.lines().count(), 2);
    let words: Vec<_> = code.split_whitespace().collect();
    assert_eq!(words, ["a", "b", "c", "d", "'e:", "f", "b", "b", "g"]);
}

#[test]
fn files_are_modules() {
    assert_eq!(module_of("lib.rs"), Vec::<String>::new());
    assert_eq!(module_of("id.rs"), ["id"]);
    assert_eq!(module_of("store/tables/mod.rs"), ["store", "tables"]);
    assert_eq!(module_of("bin/kepctl/main.rs"), ["bin", "kepctl"]);
}

#[test]
fn paths_are_followed_through_braces_and_made_absolute() {
    let text = "use crate::{a::{B, c::*}, d::{self, E as F}};\n\
                fn f(x: u8) -> crate::g::H<u8> { crate::i::j::<u8>(x); std::fs::read(y) }\n\
                pub(crate) use super::k;\n\
                mod inner { use super::l; use super::super::m; }\n\
                #[cfg(test)]\n#[allow(x)]\nmod tests { use super::*; use tokio::{net::TcpStream, fs}; }\n\
                #[cfg(test)]\nmod big_tests;\n";
    let source = Source::read(vec!["room".into(), "part".into()], text);
    let shown: Vec<_> = source
        .named
        .iter()
        .map(|n| (n.path.join("::"), n.line, n.in_test))
        .collect();
    let want = [
        ("crate::a::B", 1, false),
        ("crate::a::c::*", 1, false),
        ("crate::d", 1, false),
        ("crate::d::E", 1, false),
        ("crate::g::H", 2, false),
        ("crate::i::j", 2, false),
        ("std::fs::read", 2, false),
        ("crate::room::k", 3, false),
        ("crate::room::part::l", 4, false),
        ("crate::room::m", 4, false),
        ("crate::room::part::*", 7, true),
        ("tokio::net::TcpStream", 7, true),
        ("tokio::fs", 7, true),
    ];
    assert_eq!(shown, want.map(|(p, l, t)| (p.to_owned(), l, t)));
    assert_eq!(source.test_children, ["big_tests"]);
}
