//! STORE and UID STORE (RFC 9051 6.4.6), with UNCHANGEDSINCE (RFC 7162 7, `store-modifier`).

use super::command::{Command, Numbering, StoreHow};
use super::flag::Flag;
use super::grammar::{Cursor, Malformed};
use super::limits::FLAGS_MAX;

/// What follows the word STORE.
pub fn store(cursor: &mut Cursor<'_>, numbering: Numbering) -> Result<Command, Malformed> {
    cursor.space()?;
    let set = cursor.set()?;
    cursor.space()?;
    let unchanged_since = unchanged_since(cursor)?;
    let how = if cursor.eat(b'+') {
        StoreHow::Add
    } else if cursor.eat(b'-') {
        StoreHow::Remove
    } else {
        StoreHow::Replace
    };
    let silent = cursor.word("FLAGS.SILENT");
    if !silent && !cursor.word("FLAGS") {
        return Err(Malformed("STORE changes FLAGS, and nothing else"));
    }
    cursor.space()?;
    Ok(Command::Store {
        numbering,
        set,
        how,
        silent,
        flags: flags(cursor)?,
        unchanged_since,
    })
}

/// `(UNCHANGEDSINCE 5) `; the number may be 0.
fn unchanged_since(cursor: &mut Cursor<'_>) -> Result<Option<u64>, Malformed> {
    if cursor.peek() != Some(b'(') {
        return Ok(None);
    }
    let mut since = None;
    cursor.list(1, 2, |c| {
        if !c.word("UNCHANGEDSINCE") {
            return Err(Malformed("STORE takes UNCHANGEDSINCE"));
        }
        if since.is_some() {
            return Err(Malformed("the same parameter stands there twice"));
        }
        c.space()?;
        since = Some(c.number()?);
        Ok(())
    })?;
    cursor.space()?;
    Ok(since)
}

/// A list, which may be empty, or flags without parentheses.
fn flags(cursor: &mut Cursor<'_>) -> Result<Vec<Flag>, Malformed> {
    if cursor.peek() == Some(b'(') {
        return cursor.list(0, FLAGS_MAX, flag);
    }
    let mut flags = vec![flag(cursor)?];
    while cursor.eat(b' ') {
        if flags.len() == FLAGS_MAX {
            return Err(Malformed("the list is too long"));
        }
        flags.push(flag(cursor)?);
    }
    Ok(flags)
}

fn flag(cursor: &mut Cursor<'_>) -> Result<Flag, Malformed> {
    Flag::parse(cursor.flag()?).ok_or(Malformed("that flag cannot be changed"))
}

#[cfg(test)]
mod tests {
    use super::super::name::Spelling;
    use super::super::parse::parse;
    use super::super::set::SequenceSet;
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Result<Command, &'static str> {
        let tagged = parse(format!("a {text}\r\n").as_bytes(), Spelling::Utf7);
        tagged.map(|t| t.command).map_err(|bad| bad.text)
    }

    fn any_flag() -> impl Strategy<Value = Flag> {
        let text = prop_oneof![
            "\\\\(Seen|Answered|Flagged|Draft|Deleted)",
            "[$A-Za-z0-9][$A-Za-z0-9.+-]{0,9}"
        ];
        text.prop_map(|text| Flag::parse(&text).unwrap())
    }

    proptest! {
        #[test]
        fn print_and_parse_are_inverses(
            (uid, silent, listed) in (any::<bool>(), any::<bool>(), any::<bool>()),
            how in prop::sample::select(vec![StoreHow::Replace, StoreHow::Add, StoreHow::Remove]),
            unchanged_since in prop::option::of(0..=i64::MAX as u64),
            flags in prop::collection::vec(any_flag(), 0..5),
        ) {
            let set = SequenceSet::parse("3:*,7").unwrap();
            let numbering = if uid { Numbering::Uid } else { Numbering::Sequence };
            let sign = match how {
                StoreHow::Replace => "",
                StoreHow::Add => "+",
                StoreHow::Remove => "-",
            };
            let since = unchanged_since.map_or(String::new(), |since| format!("(UNCHANGEDSINCE {since}) "));
            let words = flags.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
            let listed = listed || flags.is_empty();
            let (open, close) = if listed { ("(", ")") } else { ("", "") };
            let text = format!(
                "{}STORE {set} {since}{sign}FLAGS{} {open}{words}{close}",
                if uid { "UID " } else { "" },
                if silent { ".SILENT" } else { "" },
            );
            let want = Command::Store { numbering, set, how, silent, flags, unchanged_since };
            prop_assert_eq!(read(&text), Ok(want), "{}", text);
        }
    }

    #[test]
    fn what_does_not_follow_the_grammar_is_refused() {
        for bad in [
            "STORE",
            "STORE 1",
            "STORE 1 +FLAGS",
            "STORE 1 +FLAGS ",
            "STORE 0 +FLAGS (\\Seen)",
            "STORE 1 + FLAGS (\\Seen)",
            "STORE 1 *FLAGS (\\Seen)",
            "STORE 1 +FLAGS.LOUD (\\Seen)",
            "STORE 1 +FLAG (\\Seen)",
            "STORE 1 +FLAGS(\\Seen)",
            "STORE 1 +FLAGS (\\Seen",
            "STORE 1 +FLAGS (\\Seen )",
            "STORE 1 +FLAGS (\\Seen  \\Draft)",
            "STORE 1 +FLAGS \\Seen ",
            "STORE 1 +FLAGS (\\)",
            "STORE 1 +FLAGS (\\Recent)",
            "STORE 1 +FLAGS (\\*)",
            "STORE 1 +FLAGS (\\Seen) x",
            "STORE 1 () +FLAGS (\\Seen)",
            "STORE 1 (UNCHANGEDSINCE) +FLAGS (\\Seen)",
            "STORE 1 (UNCHANGEDSINCE -1) +FLAGS (\\Seen)",
            "STORE 1 (CHANGEDSINCE 1) +FLAGS (\\Seen)",
            "STORE 1 (UNCHANGEDSINCE 1)+FLAGS (\\Seen)",
            "STORE 1 (UNCHANGEDSINCE 1 UNCHANGEDSINCE 1) +FLAGS (\\Seen)",
            "STORE 1 (UNCHANGEDSINCE 1 FOO 2) +FLAGS (\\Seen)",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
        let many = |n: usize| vec!["$a"; n].join(" ");
        for (open, close) in [("(", ")"), ("", "")] {
            let store = |n| read(&format!("STORE 1 FLAGS {open}{}{close}", many(n)));
            assert!(store(FLAGS_MAX).is_ok());
            assert_eq!(store(FLAGS_MAX + 1), Err("the list is too long"));
        }
    }
}
