//! FETCH and UID FETCH (RFC 9051 6.4.5): the set and the data items, with those of BINARY (RFC 3516), PREVIEW
//! (RFC 8970), OBJECTID (RFC 8474) and SAVEDATE (RFC 8514), and partial ranges of 63 bits (RFC 9051 9, `partial`).
//!
//! What stands behind the items, such as CHANGEDSINCE, is read by whoever offers it.

use super::command::{
    BinaryItem, ChangedSince, Command, FetchItem, Numbering, Section, SectionForm, SectionItem, SectionText,
};
use super::grammar::{Cursor, Malformed};
use super::limits::{FETCH_ITEMS_MAX, FIELD_NAMES_MAX, PART_LEVELS_MAX};

/// What follows the word FETCH.
pub fn fetch(cursor: &mut Cursor<'_>, numbering: Numbering) -> Result<Command, Malformed> {
    cursor.space()?;
    let set = cursor.set()?;
    cursor.space()?;
    let items = items(cursor)?;
    Ok(Command::Fetch {
        numbering,
        set,
        items,
        changed: changed_since(cursor, numbering)?,
        partial: None,
    })
}

/// ` (CHANGEDSINCE 5 VANISHED)` (RFC 7162 7, `fetch-modifier`).
fn changed_since(cursor: &mut Cursor<'_>, numbering: Numbering) -> Result<Option<ChangedSince>, Malformed> {
    if !cursor.eat(b' ') {
        return Ok(None);
    }
    let (mut since, mut vanished) = (None, false);
    cursor.list(1, 2, |c| {
        if c.word("VANISHED") && !vanished {
            vanished = true;
        } else if c.word("CHANGEDSINCE") && since.is_none() {
            c.space()?;
            let number = c.number()?;
            // mod-sequence-value is of 63 bits, and not 0.
            let fits = (1..=i64::MAX as u64).contains(&number);
            since = Some(
                fits.then_some(number)
                    .ok_or(Malformed("a mod-sequence is 1 to 2^63-1"))?,
            );
        } else {
            return Err(Malformed("FETCH takes CHANGEDSINCE and VANISHED, each once"));
        }
        Ok(())
    })?;
    // RFC 7162 3.2.6: VANISHED stands with CHANGEDSINCE, in UID FETCH.
    match since {
        None => Err(Malformed("VANISHED wants CHANGEDSINCE")),
        Some(_) if vanished && numbering == Numbering::Sequence => Err(Malformed("VANISHED wants UID FETCH")),
        _ => Ok(since.map(|modseq| ChangedSince { modseq, vanished })),
    }
}

fn items(cursor: &mut Cursor<'_>) -> Result<Vec<FetchItem>, Malformed> {
    const ALL: [FetchItem; 4] = [
        FetchItem::Flags,
        FetchItem::InternalDate,
        FetchItem::Size,
        FetchItem::Envelope,
    ];
    if cursor.peek() == Some(b'(') {
        let mut items = Vec::new();
        for item in cursor.list(1, FETCH_ITEMS_MAX, item)? {
            add(&mut items, item);
        }
        if items.iter().map(field_names).sum::<usize>() > FIELD_NAMES_MAX {
            return Err(Malformed("FETCH names too many header fields"));
        }
        return Ok(items);
    }
    // RFC 9051 6.4.5: a macro stands alone.
    if cursor.word("ALL") {
        return Ok(ALL.to_vec());
    }
    if cursor.word("FAST") {
        return Ok(ALL[..3].to_vec());
    }
    if cursor.word("FULL") {
        return Ok(ALL.into_iter().chain([FetchItem::Body]).collect());
    }
    Ok(vec![item(cursor)?])
}

/// The same item twice is told once. PREVIEW is one item, with LAZY or without: the answer names it once, and may be NIL
/// only where nobody asked without LAZY (RFC 8970 3.2).
fn add(items: &mut Vec<FetchItem>, item: FetchItem) {
    const EAGER: FetchItem = FetchItem::Preview { lazy: false };
    let is_preview = |item: &FetchItem| matches!(item, FetchItem::Preview { .. });
    let same = |known: &&mut FetchItem| **known == item || (is_preview(known) && is_preview(&item));
    match items.iter_mut().find(same) {
        None => items.push(item),
        Some(known) if item == EAGER => *known = item,
        Some(_) => {}
    }
}

/// How many header fields an item names.
fn field_names(item: &FetchItem) -> usize {
    match item {
        FetchItem::Section(wanted) => match &wanted.section.text {
            SectionText::Fields(names) | SectionText::FieldsNot(names) => names.len(),
            _ => 0,
        },
        _ => 0,
    }
}

fn item(cursor: &mut Cursor<'_>) -> Result<FetchItem, Malformed> {
    let name = cursor.take_while(|b| b.is_ascii_alphanumeric() || b == b'.');
    let in_brackets = cursor.peek() == Some(b'[');
    let old = |text, form, peek| {
        let section = Section {
            part: Vec::new(),
            text,
        };
        FetchItem::Section(SectionItem {
            section,
            partial: None,
            peek,
            form,
        })
    };
    Ok(match (name.to_ascii_uppercase().as_slice(), in_brackets) {
        (b"BODY", true) => body(cursor, false)?,
        (b"BODY.PEEK", true) => body(cursor, true)?,
        (b"BINARY", true) => binary(cursor, false)?,
        (b"BINARY.PEEK", true) => binary(cursor, true)?,
        (b"BINARY.SIZE", true) => FetchItem::BinarySize(part_in_brackets(cursor)?),
        (b"FLAGS", false) => FetchItem::Flags,
        (b"UID", false) => FetchItem::Uid,
        (b"MODSEQ", false) => FetchItem::ModSeq,
        (b"INTERNALDATE", false) => FetchItem::InternalDate,
        (b"RFC822.SIZE", false) => FetchItem::Size,
        (b"ENVELOPE", false) => FetchItem::Envelope,
        (b"BODY", false) => FetchItem::Body,
        (b"BODYSTRUCTURE", false) => FetchItem::BodyStructure,
        (b"RFC822", false) => old(SectionText::All, SectionForm::Rfc822, false),
        // RFC 3501 6.4.5: RFC822.HEADER does not set \Seen.
        (b"RFC822.HEADER", false) => old(SectionText::Header, SectionForm::Rfc822Header, true),
        (b"RFC822.TEXT", false) => old(SectionText::Text, SectionForm::Rfc822Text, false),
        (b"PREVIEW", false) => FetchItem::Preview { lazy: lazy(cursor) },
        (b"EMAILID", false) => FetchItem::EmailId,
        (b"THREADID", false) => FetchItem::ThreadId,
        (b"SAVEDATE", false) => FetchItem::SaveDate,
        _ => return Err(Malformed("an item that is not offered")),
    })
}

/// ` (LAZY)`, also said several times (RFC 8970 6, `preview-mod`). Another list may follow that belongs to the command.
fn lazy(cursor: &mut Cursor<'_>) -> bool {
    let mut ahead = *cursor;
    let mut found = ahead.eat(b' ') && ahead.eat(b'(') && ahead.word("LAZY");
    while found && ahead.eat(b' ') {
        found = ahead.word("LAZY");
    }
    found &= ahead.eat(b')');
    if found {
        *cursor = ahead;
    }
    found
}

fn body(cursor: &mut Cursor<'_>, peek: bool) -> Result<FetchItem, Malformed> {
    cursor.expect(b'[', MISSING)?;
    let (part, more) = part(cursor)?;
    let text = match cursor.peek() {
        Some(b']') if !more => SectionText::All,
        _ => section_text(cursor, !part.is_empty())?,
    };
    cursor.expect(b']', MISSING)?;
    Ok(FetchItem::Section(SectionItem {
        section: Section { part, text },
        partial: partial(cursor)?,
        peek,
        form: SectionForm::Body,
    }))
}

fn binary(cursor: &mut Cursor<'_>, peek: bool) -> Result<FetchItem, Malformed> {
    Ok(FetchItem::Binary(BinaryItem {
        part: part_in_brackets(cursor)?,
        partial: partial(cursor)?,
        peek,
    }))
}

const MISSING: &str = "a section is not closed";

/// `[1.2]`, or `[]` (RFC 9051 9, `section-binary`).
fn part_in_brackets(cursor: &mut Cursor<'_>) -> Result<Vec<u32>, Malformed> {
    cursor.expect(b'[', MISSING)?;
    let (part, more) = part(cursor)?;
    if more {
        return Err(Malformed("a part number was expected"));
    }
    cursor.expect(b']', MISSING)?;
    Ok(part)
}

/// Part numbers, and whether a dot behind them says that a word follows.
fn part(cursor: &mut Cursor<'_>) -> Result<(Vec<u32>, bool), Malformed> {
    let mut part = Vec::new();
    while cursor.peek().is_some_and(|b| b.is_ascii_digit()) {
        let number = u32::try_from(cursor.number()?).ok().filter(|n| *n > 0);
        part.push(number.ok_or(Malformed("part numbers begin with 1"))?);
        if part.len() > PART_LEVELS_MAX {
            return Err(Malformed("the part number is too deep"));
        }
        if !cursor.eat(b'.') {
            return Ok((part, false));
        }
    }
    let more = !part.is_empty();
    Ok((part, more))
}

/// RFC 9051 9, `section-text`.
fn section_text(cursor: &mut Cursor<'_>, of_part: bool) -> Result<SectionText, Malformed> {
    let word = cursor.take_while(|b| b.is_ascii_alphabetic() || b == b'.');
    Ok(match word.to_ascii_uppercase().as_slice() {
        b"HEADER" => SectionText::Header,
        b"TEXT" => SectionText::Text,
        b"MIME" if of_part => SectionText::Mime,
        b"HEADER.FIELDS" => SectionText::Fields(names(cursor)?),
        b"HEADER.FIELDS.NOT" => SectionText::FieldsNot(names(cursor)?),
        _ => return Err(Malformed("an unknown section")),
    })
}

/// RFC 9051 9, `header-list`. A name may be any astring; one that no field can have names none.
fn names(cursor: &mut Cursor<'_>) -> Result<Vec<String>, Malformed> {
    cursor.space()?;
    cursor.list(1, FIELD_NAMES_MAX, |c| {
        String::from_utf8(c.astring()?).map_err(|_| Malformed("a field name is not UTF-8"))
    })
}

/// `<0.1024>`.
fn partial(cursor: &mut Cursor<'_>) -> Result<Option<(u64, u64)>, Malformed> {
    if !cursor.eat(b'<') {
        return Ok(None);
    }
    let first = cursor.number()?;
    cursor.expect(b'.', "a partial range is two numbers")?;
    let count = cursor.number()?;
    cursor.expect(b'>', "a partial range is not closed")?;
    if count == 0 {
        return Err(Malformed("a partial range wants at least one octet"));
    }
    Ok(Some((first, count)))
}

#[cfg(test)]
pub mod tests {
    use super::super::name::Spelling;
    use super::super::parse::parse;
    use super::super::response::put_section;
    use super::super::set::{Bound, SequenceSet};
    use super::*;
    use imap_codec::CommandCodec;
    use imap_codec::decode::Decoder as _;
    use proptest::prelude::*;

    fn command(text: &str) -> Result<Command, &'static str> {
        let read = parse(format!("a {text}\r\n").as_bytes(), Spelling::Utf7);
        read.map(|t| t.command).map_err(|b| b.text)
    }

    fn items(text: &str) -> Vec<FetchItem> {
        match command(&format!("FETCH 1 {text}")) {
            Ok(Command::Fetch { items, .. }) => items,
            other => panic!("{text}: {other:?}"),
        }
    }

    fn section(part: &[u32], text: SectionText, peek: bool, partial: Option<(u64, u64)>) -> FetchItem {
        let section = Section {
            part: part.to_vec(),
            text,
        };
        FetchItem::Section(SectionItem {
            section,
            partial,
            peek,
            form: SectionForm::Body,
        })
    }

    fn binary(part: &[u32], peek: bool, partial: Option<(u64, u64)>) -> FetchItem {
        FetchItem::Binary(BinaryItem {
            part: part.to_vec(),
            partial,
            peek,
        })
    }

    #[test]
    fn fetch_items_are_taken_apart() {
        assert_eq!(items("ALL"), items("(FLAGS INTERNALDATE RFC822.SIZE ENVELOPE)"));
        assert_eq!(items("fast"), items("(FLAGS INTERNALDATE RFC822.SIZE)"));
        assert_eq!(
            items("FULL"),
            items("(FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODY)")
        );
        assert_eq!(items("(FLAGS flags UID)"), [FetchItem::Flags, FetchItem::Uid]);
        assert_eq!(items("BODY[]"), [section(&[], SectionText::All, false, None)]);
        assert_eq!(
            items("BODY.PEEK[1.2.MIME]"),
            [section(&[1, 2], SectionText::Mime, true, None)]
        );
        assert_eq!(
            items("BODY[4.1.HEADER]<0.20>"),
            [section(&[4, 1], SectionText::Header, false, Some((0, 20)))]
        );
        let fields = SectionText::FieldsNot(vec!["To".to_owned(), "X".to_owned()]);
        assert_eq!(
            items("BODY[HEADER.FIELDS.NOT (To X)]"),
            [section(&[], fields, false, None)]
        );
        let odd = SectionText::Fields(vec!["a b".to_owned(), "X]".to_owned(), String::new()]);
        assert_eq!(
            items("BODY[HEADER.FIELDS (\"a b\" X] {0+}\r\n)]"),
            [section(&[], odd, false, None)]
        );
        // More than 32 bits (RFC 9051 9, number64).
        assert_eq!(
            items("BODY[]<4294967296.9223372036854775807>"),
            [section(
                &[],
                SectionText::All,
                false,
                Some((1 << 32, i64::MAX as u64))
            )]
        );
    }

    #[test]
    fn items_of_extensions() {
        assert_eq!(items("BINARY[1]<2.3>"), [binary(&[1], false, Some((2, 3)))]);
        assert_eq!(
            items("(BINARY.PEEK[] BINARY.SIZE[1.2])"),
            [binary(&[], true, None), FetchItem::BinarySize(vec![1, 2])]
        );
        assert_eq!(
            items("(PREVIEW (LAZY) SAVEDATE EMAILID threadid)"),
            [
                FetchItem::Preview { lazy: true },
                FetchItem::SaveDate,
                FetchItem::EmailId,
                FetchItem::ThreadId
            ]
        );
        assert_eq!(items("PREVIEW (lazy)"), [FetchItem::Preview { lazy: true }]);
        assert_eq!(
            items("(PREVIEW (LAZY lazy))"),
            [FetchItem::Preview { lazy: true }]
        );
        for both in [
            "(PREVIEW PREVIEW (LAZY))",
            "(PREVIEW (LAZY) PREVIEW)",
            "(PREVIEW (LAZY) preview PREVIEW (LAZY))",
        ] {
            assert_eq!(items(both), [FetchItem::Preview { lazy: false }], "{both}");
        }
        assert_eq!(
            items("(PREVIEW UID)"),
            [FetchItem::Preview { lazy: false }, FetchItem::Uid]
        );
    }

    #[test]
    fn what_is_malformed_is_refused() {
        for bad in [
            "()",
            "(ALL)",
            "BODY[MIME]",
            "BODY[0]",
            "BODY[1.]",
            "BODY[1",
            "BODY[.1]",
            "BODY[]<1.0>",
            "BODY[]<1>",
            "BODY[]<9223372036854775808.1>",
            "BODY[4294967296]",
            "BODY[HEADER.FIELDS ()]",
            "BODY.PEEK",
            "BINARY",
            "BINARY[1.HEADER]",
            "BINARY[1.]",
            "BINARY.SIZE[1]<0.1>",
            "FLAGS[]",
            "PREVIEW (EAGER)",
            "PREVIEW ()",
            "PREVIEW (LAZY EAGER)",
            "PREVIEW (LAZY )",
            "PREVIEW (LAZYLAZY)",
            "BOGUS",
            "",
        ] {
            assert!(command(&format!("FETCH 1 {bad}")).is_err(), "{bad}");
        }
        let deep = vec!["1"; PART_LEVELS_MAX + 1].join(".");
        assert_eq!(
            command(&format!("FETCH 1 BODY[{deep}]")),
            Err("the part number is too deep")
        );
    }

    /// The command as a client writes it.
    fn printed(set: &SequenceSet, numbering: Numbering, items: &[FetchItem]) -> Vec<u8> {
        let uid = if numbering == Numbering::Uid { "UID " } else { "" };
        let mut out = format!("a {uid}FETCH {set} (").into_bytes();
        for (i, item) in items.iter().enumerate() {
            if i > 0 {
                out.push(b' ');
            }
            put_item(&mut out, item);
        }
        out.extend_from_slice(b")\r\n");
        out
    }

    pub fn put_item(out: &mut Vec<u8>, item: &FetchItem) {
        let range =
            |partial: Option<(u64, u64)>| partial.map_or(String::new(), |(a, n)| format!("<{a}.{n}>"));
        let numbers = |part: &[u32]| part.iter().map(u32::to_string).collect::<Vec<_>>().join(".");
        let text = match item {
            FetchItem::Flags => "FLAGS".to_owned(),
            FetchItem::Uid => "UID".to_owned(),
            FetchItem::ModSeq => "MODSEQ".to_owned(),
            FetchItem::InternalDate => "INTERNALDATE".to_owned(),
            FetchItem::Size => "RFC822.SIZE".to_owned(),
            FetchItem::Envelope => "ENVELOPE".to_owned(),
            FetchItem::Body => "BODY".to_owned(),
            FetchItem::BodyStructure => "BODYSTRUCTURE".to_owned(),
            FetchItem::Preview { lazy: false } => "PREVIEW".to_owned(),
            FetchItem::Preview { lazy: true } => "PREVIEW (LAZY)".to_owned(),
            FetchItem::EmailId => "EMAILID".to_owned(),
            FetchItem::ThreadId => "THREADID".to_owned(),
            FetchItem::SaveDate => "SAVEDATE".to_owned(),
            FetchItem::BinarySize(part) => format!("BINARY.SIZE[{}]", numbers(part)),
            FetchItem::Binary(b) => {
                let peek = if b.peek { ".PEEK" } else { "" };
                format!("BINARY{peek}[{}]{}", numbers(&b.part), range(b.partial))
            }
            FetchItem::Section(s) => {
                out.extend_from_slice(if s.peek { b"BODY.PEEK[" } else { b"BODY[" });
                put_section(out, &s.section);
                format!("]{}", range(s.partial))
            }
        };
        out.extend_from_slice(text.as_bytes());
    }

    pub fn any_item() -> impl Strategy<Value = FetchItem> {
        let number = prop_oneof![1..9u32, Just(u32::MAX)];
        let part = prop::collection::vec(number, 0..4);
        let partial = prop::option::of((0..=i64::MAX as u64, 1..=i64::MAX as u64));
        let names = prop::collection::vec("[A-Za-z-]{1,8}|[ -~]{0,4}|ş", 1..4);
        let text = prop_oneof![
            Just(SectionText::All),
            Just(SectionText::Header),
            Just(SectionText::Text),
            Just(SectionText::Mime),
            names.clone().prop_map(SectionText::Fields),
            names.prop_map(SectionText::FieldsNot),
        ];
        let section = (part.clone(), text, partial.clone(), any::<bool>());
        let section = section.prop_filter_map("MIME is a part's", |(part, text, partial, peek)| {
            let wrong = part.is_empty() && text == SectionText::Mime;
            (!wrong).then(|| super::tests::section(&part, text, peek, partial))
        });
        let plain = prop_oneof![
            Just(FetchItem::Flags),
            Just(FetchItem::Uid),
            Just(FetchItem::InternalDate),
            Just(FetchItem::Size),
            Just(FetchItem::Envelope),
            Just(FetchItem::Body),
            Just(FetchItem::BodyStructure),
            Just(FetchItem::EmailId),
            Just(FetchItem::ThreadId),
            Just(FetchItem::SaveDate),
            any::<bool>().prop_map(|lazy| FetchItem::Preview { lazy }),
        ];
        prop_oneof![
            plain,
            section,
            part.clone().prop_map(FetchItem::BinarySize),
            (part, any::<bool>(), partial).prop_map(|(part, peek, partial)| binary(&part, peek, partial)),
        ]
    }

    /// What imap-codec can read of it: no extensions but BINARY, no large numbers, no UTF-8.
    fn codec_reads(item: &FetchItem) -> bool {
        let small =
            |partial: Option<(u64, u64)>| partial.is_none_or(|(a, n)| a.max(n) <= u64::from(u32::MAX));
        match item {
            FetchItem::Preview { .. } | FetchItem::EmailId | FetchItem::ThreadId | FetchItem::SaveDate => {
                false
            }
            FetchItem::Binary(_) | FetchItem::BinarySize(_) => false,
            FetchItem::Section(s) => match &s.section.text {
                SectionText::Fields(names) | SectionText::FieldsNot(names) => {
                    small(s.partial) && names.iter().all(|n| n.is_ascii())
                }
                _ => small(s.partial),
            },
            _ => true,
        }
    }

    proptest! {
        #[test]
        fn print_and_parse_of_fetch_are_inverses(
            items in prop::collection::vec(any_item(), 1..6),
            uid: bool,
            (low, last) in (1..=u32::MAX, any::<bool>()),
        ) {
            let numbering = if uid { Numbering::Uid } else { Numbering::Sequence };
            let set = SequenceSet(vec![(Bound::Number(low), if last { Bound::Last } else { Bound::Number(low) })]);
            let mut wanted: Vec<FetchItem> = Vec::new();
            for item in items {
                let preview = matches!(item, FetchItem::Preview { .. });
                let same = |known: &FetchItem| *known == item || (preview && matches!(known, FetchItem::Preview { .. }));
                if !wanted.iter().any(same) {
                    wanted.push(item);
                }
            }
            let octets = printed(&set, numbering, &wanted);
            let read = parse(&octets, Spelling::Utf7).map(|t| t.command);
            let shown = String::from_utf8_lossy(&octets);
            // The independent reader takes whatever of it is in the base grammar.
            if wanted.iter().all(codec_reads) {
                prop_assert!(CommandCodec::default().decode(&octets).is_ok(), "{}", shown);
            }
            prop_assert_eq!(read, Ok(Command::Fetch { numbering, set, items: wanted, changed: None, partial: None }), "{}", shown);
        }
    }
}
