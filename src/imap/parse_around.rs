//! What stands around the base grammar: `$` in the place of a set (RFC 5182 3) in COPY, MOVE and UID EXPUNGE, which
//! imap-codec reads, and the modifier PARTIAL of UID FETCH (RFC 9394 4).
//!
//! Both are taken out before the command is read, and put back into what was read: whoever reads these commands need
//! not know of them.

use super::command::{Command, Numbering};
use super::grammar::{Cursor, Malformed};
use super::partial::PartialRange;
use super::set::SequenceSet;

/// A command without what stood around it.
pub(super) struct Around {
    /// The octets behind the tag and its space.
    pub plain: Vec<u8>,
    /// Without it, it was `$` that was taken out.
    partial: Option<PartialRange>,
}

/// `None`: there is nothing around it.
pub(super) fn take_out(body: &[u8]) -> Result<Option<Around>, Malformed> {
    let mut cursor = Cursor(body);
    if cursor.word("UID") && !cursor.eat(b' ') {
        return Ok(None);
    }
    let verb = cursor.atom().unwrap_or_default().to_ascii_uppercase();
    let with_set = ["FETCH", "COPY", "MOVE", "EXPUNGE"].contains(&verb.as_str());
    if !with_set || !cursor.eat(b' ') {
        return Ok(None);
    }
    let head = &body[..body.len() - cursor.0.len()];
    let set = cursor.take_while(|b| !matches!(b, b' ' | b'\r' | b'\n'));
    let around = |set: &[u8], rest: &[u8], partial: Option<PartialRange>| Around {
        plain: [head, set, rest].concat(),
        partial,
    };
    if verb == "FETCH" {
        let (rest, partial) = modifiers(cursor.0)?;
        return Ok(partial.map(|partial| around(set, &rest, Some(partial))));
    }
    // Any set does in the place of `$`.
    Ok((set == b"$").then(|| around(b"1", cursor.0, None)))
}

/// The rest of a FETCH without `PARTIAL range` among its modifiers.
fn modifiers(rest: &[u8]) -> Result<(Vec<u8>, Option<PartialRange>), Malformed> {
    let untouched = || Ok((rest.to_vec(), None));
    let line = rest.strip_suffix(b"\r\n").unwrap_or(rest);
    let open = line.iter().rposition(|b| *b == b'(').unwrap_or(0);
    let inner = line.get(open + 1..).and_then(|tail| tail.strip_suffix(b")"));
    // The first parenthesis is that of the items. Inside an item there are brackets, quotes, or no end here.
    let (Some(inner), true) = (inner, open > 1 && line.get(open - 1) == Some(&b' ')) else {
        return untouched();
    };
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b" :-*,".contains(b);
    let words: Vec<&[u8]> = inner.split(|b| *b == b' ').collect();
    let at = words
        .iter()
        .position(|word| word.eq_ignore_ascii_case(b"PARTIAL"));
    let (Some(at), true) = (at, inner.iter().all(plain)) else {
        return untouched();
    };
    let before = at.checked_sub(1).and_then(|before| words.get(before));
    if before.is_some_and(|word| word.eq_ignore_ascii_case(b"CHANGEDSINCE")) {
        return Err(Malformed("CHANGEDSINCE wants a mod-sequence"));
    }
    let mut cursor = Cursor(words.get(at + 1).copied().unwrap_or_default());
    let range = PartialRange::read(&mut cursor)?;
    cursor.end()?;
    let others: Vec<&[u8]> = [words.get(..at), words.get(at + 2..)]
        .into_iter()
        .flatten()
        .flatten()
        .copied()
        .collect();
    let mut kept = line.get(..open - 1).unwrap_or_default().to_vec();
    if !others.is_empty() {
        kept.extend_from_slice(b" (");
        kept.extend_from_slice(&others.join(&b' '));
        kept.push(b')');
    }
    kept.extend_from_slice(b"\r\n");
    Ok((kept, Some(range)))
}

impl Around {
    /// Puts back what was taken out.
    pub(super) fn put_back(&self, mut command: Command) -> Result<Command, Malformed> {
        let place = match &mut command {
            Command::Fetch {
                numbering, partial, ..
            } => {
                if self.partial.is_some() && *numbering != Numbering::Uid {
                    return Err(Malformed("PARTIAL belongs to UID FETCH"));
                }
                *partial = self.partial;
                None
            }
            Command::Copy { set, .. } | Command::Move { set, .. } => Some(set),
            Command::Expunge(set) => set.as_mut(),
            _ => None,
        };
        if let Some(set) = place {
            *set = SequenceSet::saved();
        }
        Ok(command)
    }
}

#[cfg(test)]
mod tests {
    use super::super::command::ChangedSince;
    use super::super::name::Spelling;
    use super::super::parse::parse;
    use super::super::parse_fetch::tests::{any_item, put_item};
    use super::super::partial::tests::any_range;
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Result<Command, &'static str> {
        let tagged = parse(format!("a {text}\r\n").as_bytes(), Spelling::Utf7);
        tagged.map(|t| t.command).map_err(|bad| bad.text)
    }

    fn set_of(command: &Command) -> Option<&SequenceSet> {
        match command {
            Command::Fetch { set, .. }
            | Command::Store { set, .. }
            | Command::Copy { set, .. }
            | Command::Move { set, .. } => Some(set),
            Command::Expunge(set) => set.as_ref(),
            _ => None,
        }
    }

    #[test]
    fn a_dollar_stands_wherever_a_set_may() {
        for text in [
            "FETCH $ (UID INTERNALDATE FLAGS RFC822.HEADER)",
            "UID FETCH $ FLAGS",
            "STORE $ +FLAGS.SILENT (\\Deleted)",
            "UID STORE $ -FLAGS $Junk",
            "COPY $ \"Other Messages\"",
            "UID COPY $ {5+}\r\nOther",
            "MOVE $ Junk",
            "uid move $ Junk",
            "UID EXPUNGE $",
        ] {
            let command = read(text).unwrap();
            assert_eq!(set_of(&command), Some(&SequenceSet::saved()), "{text}");
            let plain = read(&text.replacen('$', "1", 1)).unwrap();
            assert_eq!(set_of(&plain), SequenceSet::parse("1").as_ref(), "{text}");
        }
        for bad in [
            "FETCH $,1 FLAGS",
            "FETCH $:2 FLAGS",
            "FETCH $",
            "EXPUNGE $",
            "UID $",
            "STORE $",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    fn partial_of(text: &str) -> Result<Option<String>, &'static str> {
        match read(text)? {
            Command::Fetch { partial, .. } => Ok(partial.map(|p| p.to_string())),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn partial_is_a_modifier_and_no_item() {
        let some = |text: &str| Ok(Some(text.to_owned()));
        assert_eq!(
            partial_of("UID FETCH 25900:26600 (UID FLAGS) (PARTIAL -1:-3)"),
            some("-1:-3")
        );
        assert_eq!(partial_of("UID FETCH $ FLAGS (partial 1:5)"), some("1:5"));
        let header = "UID FETCH 1 (BODY.PEEK[HEADER.FIELDS (\"(PARTIAL 1:2)\" To)])";
        assert_eq!(partial_of(header), Ok(None));
        assert_eq!(partial_of(&format!("{header} (PARTIAL 2:3)")), some("2:3"));
        assert_eq!(partial_of("UID FETCH 1 (FLAGS)"), Ok(None));
        assert_eq!(
            partial_of("FETCH 1 FLAGS (PARTIAL 1:2)"),
            Err("PARTIAL belongs to UID FETCH")
        );
        for bad in [
            "UID FETCH 1 (PARTIAL 1:2)",
            "UID FETCH 1 FLAGS (PARTIAL)",
            "UID FETCH 1 FLAGS (PARTIAL 1:2 PARTIAL 1:2)",
            "UID FETCH 1 FLAGS (PARTIAL 1:2x)",
            "UID FETCH 1 FLAGS (PARTIAL 1:-2)",
            "UID FETCH 1 FLAGS (PARTIAL 1:2",
            "UID FETCH 1 FLAGS(PARTIAL 1:2)",
            "UID FETCH 1 FLAGS (CHANGEDSINCE PARTIAL 1:2 3)",
        ] {
            assert!(partial_of(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn other_modifiers_stay_for_their_reader() {
        let left = |text: &str| {
            let around = take_out(format!("{text}\r\n").as_bytes()).unwrap().unwrap();
            String::from_utf8(around.plain).unwrap()
        };
        let with = left("UID FETCH 1:9 (UID FLAGS) (PARTIAL -1:-30 CHANGEDSINCE 98305)");
        assert_eq!(with, "UID FETCH 1:9 (UID FLAGS) (CHANGEDSINCE 98305)\r\n");
        let before = left("UID FETCH $ FLAGS (CHANGEDSINCE 98305 PARTIAL -1:-30)");
        assert_eq!(before, "UID FETCH $ FLAGS (CHANGEDSINCE 98305)\r\n");
    }

    proptest! {
        #[test]
        fn print_and_parse_are_inverses(range in any_range(), saved: bool) {
            let set = if saved { SequenceSet::saved() } else { SequenceSet::parse("3:*,7").unwrap() };
            let command = read(&format!("UID FETCH {set} FLAGS (PARTIAL {range})")).unwrap();
            prop_assert_eq!(set_of(&command), Some(&set));
            let same = matches!(command, Command::Fetch { partial, .. } if partial == Some(range));
            prop_assert!(same);
        }

        /// All modifiers, in any order, behind any item, in a list or alone.
        #[test]
        fn print_and_parse_of_modifiers_are_inverses(
            range in prop::option::of(any_range()),
            since in prop::option::of((1..=i64::MAX as u64, any::<bool>())),
            item in any_item(),
            (saved, listed, turn) in (any::<bool>(), any::<bool>(), 0..3usize),
        ) {
            let set = if saved { SequenceSet::saved() } else { SequenceSet::parse("3:*,7").unwrap() };
            let mut words: Vec<String> = range.iter().map(|range| format!("PARTIAL {range}")).collect();
            if let Some((modseq, vanished)) = since {
                words.push(format!("CHANGEDSINCE {modseq}"));
                words.extend(vanished.then(|| "VANISHED".to_owned()));
            }
            let count = words.len().max(1);
            let turn = (turn % count).min(words.len());
            words.rotate_left(turn);
            let mut octets = format!("a UID FETCH {set} {}", if listed { "(" } else { "" }).into_bytes();
            put_item(&mut octets, &item);
            let modifiers = if words.is_empty() { String::new() } else { format!(" ({})", words.join(" ")) };
            octets.extend_from_slice(format!("{}{modifiers}\r\n", if listed { ")" } else { "" }).as_bytes());
            let read = parse(&octets, Spelling::Utf7).map(|t| t.command);
            let want = Command::Fetch {
                numbering: Numbering::Uid,
                set,
                items: vec![item],
                changed: since.map(|(modseq, vanished)| ChangedSince { modseq, vanished }),
                partial: range,
            };
            prop_assert_eq!(read, Ok(want), "{}", String::from_utf8_lossy(&octets));
        }
    }
}
