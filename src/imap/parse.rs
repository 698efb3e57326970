//! A gathered command to our own syntax tree.
//!
//! imap-codec reads the base grammar (`translate`). What it does not read, or reads
//! only into types that hide what is needed, is read by hand: LIST with options (RFC 5258, 5819, 6154), STATUS with
//! SIZE, SEARCH with RETURN (RFC 4731) and deep keys ([`super::parse_search`]), SORT and THREAD (`parse_sort`), CREATE with USE, STARTTLS,
//! AUTHENTICATE, and APPEND and REPLACE up to their message. FETCH and STORE are what clients say most: read by hand they
//! cost a third.

use super::command::*;
use super::flag::{Flag, is_atom_char};
use super::framer::{is_tag_char, tag_of};
use super::grammar::{Cursor, Malformed};
use super::limits::*;
use super::name::{MailboxName, NameError, Pattern, Spelling};
use super::parse_around;
use super::parse_fetch;
use super::parse_search;
use super::parse_sort;
use super::parse_store;
use super::search::MONTHS;
use super::set::SequenceSet;
use super::translate;
use super::{parse_notify, parse_property};
use crate::clock::UtcTime;
use base64::Engine;

/// Why a command was not understood. Without a tag it can only be answered untagged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadCommand {
    pub tag: Option<String>,
    pub text: &'static str,
}

/// Reads one whole command, literals and CRLF included.
pub fn parse(octets: &[u8], spelling: Spelling) -> Result<Tagged, BadCommand> {
    let Some(tag) = tag_of(octets) else {
        return Err(BadCommand {
            tag: None,
            text: "a command begins with a tag and a space",
        });
    };
    match command(octets, tag.len(), spelling) {
        Ok(command) => Ok(Tagged { tag, command }),
        Err(Malformed(text)) => Err(BadCommand { tag: Some(tag), text }),
    }
}

/// Reads an APPEND or REPLACE up to its message (RFC 9051 6.3.12, RFC 8508 4, RFC 6855 4).
pub fn parse_append(octets: &[u8], spelling: Spelling) -> Result<AppendCommand, BadCommand> {
    let Some(tag) = tag_of(octets) else {
        return Err(BadCommand {
            tag: None,
            text: "a command begins with a tag and a space",
        });
    };
    let bad = |Malformed(text)| BadCommand {
        tag: Some(tag.clone()),
        text,
    };
    append(octets, spelling).map_err(bad)
}

/// Reads what stands before a further message of an APPEND, from the space on (RFC 3502 6.3.11, `append-message`).
pub fn parse_append_next(octets: &[u8]) -> Result<AppendMessage, Malformed> {
    let mut cursor = Cursor(octets);
    cursor.space()?;
    append_message(&mut cursor)
}

fn command(octets: &[u8], tag_len: usize, spelling: Spelling) -> Result<Command, Malformed> {
    if let Some(around) = parse_around::take_out(&octets[tag_len + 1..])? {
        let plain = [&octets[..tag_len + 1], &around.plain].concat();
        return around.put_back(plain_command(&plain, tag_len, spelling)?);
    }
    plain_command(octets, tag_len, spelling)
}

fn plain_command(octets: &[u8], tag_len: usize, spelling: Spelling) -> Result<Command, Malformed> {
    let mut cursor = Cursor(&octets[tag_len + 1..]);
    let verb = cursor.atom()?.to_ascii_uppercase();
    let command = match verb.as_str() {
        "STARTTLS" => Command::StartTls,
        "AUTHENTICATE" => authenticate(&mut cursor)?,
        "CREATE" => create(&mut cursor, spelling)?,
        "LIST" => list(&mut cursor, spelling)?,
        "LSUB" => lsub(&mut cursor, spelling)?,
        "STATUS" => status(&mut cursor, spelling)?,
        "NOTIFY" => parse_notify::notify(&mut cursor, spelling)?,
        "COMPRESS" => compress(&mut cursor)?,
        "UNAUTHENTICATE" => Command::Unauthenticate,
        "SEARCH" => parse_search::search(&mut cursor, Numbering::Sequence)?,
        "FETCH" => parse_fetch::fetch(&mut cursor, Numbering::Sequence)?,
        "STORE" => parse_store::store(&mut cursor, Numbering::Sequence)?,
        "SORT" => parse_sort::sort(&mut cursor, Numbering::Sequence)?,
        "THREAD" => parse_sort::thread(&mut cursor, Numbering::Sequence)?,
        "APPEND" => return Err(Malformed("APPEND wants a literal")),
        "REPLACE" => return Err(Malformed("REPLACE wants a literal")),
        "UID"
            if {
                cursor.space()?;
                cursor.word("SEARCH")
            } =>
        {
            parse_search::search(&mut cursor, Numbering::Uid)?
        }
        "UID" if cursor.word("FETCH") => parse_fetch::fetch(&mut cursor, Numbering::Uid)?,
        "UID" if cursor.word("STORE") => parse_store::store(&mut cursor, Numbering::Uid)?,
        "UID" if cursor.word("SORT") => parse_sort::sort(&mut cursor, Numbering::Uid)?,
        "UID" if cursor.word("THREAD") => parse_sort::thread(&mut cursor, Numbering::Uid)?,
        "UID" if cursor.word("REPLACE") => return Err(Malformed("REPLACE wants a literal")),
        other => match parse_property::property(other, &mut cursor, spelling) {
            Some(property) => property?,
            None => return translate::base(octets, spelling),
        },
    };
    cursor.end()?;
    Ok(command)
}

fn mailbox(cursor: &mut Cursor<'_>, spelling: Spelling) -> Result<MailboxName, Malformed> {
    MailboxName::from_wire(&cursor.astring()?, spelling).map_err(bad_name)
}

pub(super) fn bad_name(error: NameError) -> Malformed {
    Malformed(match error {
        NameError::Length => "the mailbox name is empty or too long",
        NameError::Form => "the mailbox name has a control character or an empty level",
        NameError::Encoding => "the mailbox name is neither modified UTF-7 nor UTF-8",
    })
}

/// The mechanism is an opaque word; the initial response (RFC 4959) may be `=`, which means empty.
fn authenticate(cursor: &mut Cursor<'_>) -> Result<Command, Malformed> {
    cursor.space()?;
    let mechanism = cursor.atom()?.to_ascii_uppercase();
    let mut initial = None;
    if cursor.eat(b' ') {
        let text = cursor.take_while(|b| !matches!(b, b' ' | b'\r' | b'\n'));
        initial = Some(if text == b"=" {
            Secret::new(Vec::new())
        } else {
            sasl_octets(text)?
        });
    }
    Ok(Command::Authenticate { mechanism, initial })
}

/// One base64 line of a SASL exchange (RFC 9051 6.2.2).
pub fn sasl_octets(text: &[u8]) -> Result<Secret, Malformed> {
    let octets = base64::engine::general_purpose::STANDARD.decode(text);
    octets
        .map(Secret::new)
        .map_err(|_| Malformed("that is not base64"))
}

/// `CREATE name [(USE (\Archive))]` (RFC 6154 3).
fn create(cursor: &mut Cursor<'_>, spelling: Spelling) -> Result<Command, Malformed> {
    cursor.space()?;
    let mailbox = mailbox(cursor, spelling)?;
    let mut special_use = Vec::new();
    if cursor.eat(b' ') {
        cursor.list(1, 1, |c| {
            if !c.word("USE") {
                return Err(Malformed("CREATE knows only USE"));
            }
            c.space()?;
            special_use = c.list(0, 8, |c| c.flag().map(str::to_owned))?;
            Ok(())
        })?;
    }
    Ok(Command::Create { mailbox, special_use })
}

fn list(cursor: &mut Cursor<'_>, spelling: Spelling) -> Result<Command, Malformed> {
    cursor.space()?;
    let mut select = ListSelect::default();
    let extended = cursor.peek() == Some(b'(');
    if extended {
        cursor.list(0, 8, |c| select_option(c, &mut select))?;
        // RFC 5258 3.1, RFC 6154 6: with REMOTE alone it has nothing to match.
        if select.recursive_match && !select.subscribed && !select.special_use {
            return Err(Malformed("RECURSIVEMATCH needs another selection option"));
        }
        cursor.space()?;
    }
    let reference = cursor.astring()?;
    cursor.space()?;
    let (patterns, root_only) = if cursor.peek() == Some(b'(') {
        (cursor.list(1, LIST_PATTERNS_MAX, Cursor::list_mailbox)?, false)
    } else {
        let pattern = cursor.list_mailbox()?;
        let root_only = pattern.is_empty() && !extended;
        (vec![pattern], root_only)
    };
    let patterns = join(&reference, &patterns, spelling)?;
    let mut returns = ListReturns {
        subscribed: select.subscribed,
        special_use: select.special_use,
        ..ListReturns::default()
    };
    if cursor.eat(b' ') {
        if !cursor.word("RETURN") {
            return Err(Malformed("RETURN was expected"));
        }
        cursor.space()?;
        cursor.list(0, 8, |c| return_option(c, &mut returns))?;
    }
    Ok(Command::List(ListCommand {
        lsub: false,
        patterns,
        root_only,
        select,
        returns,
    }))
}

fn select_option(cursor: &mut Cursor<'_>, select: &mut ListSelect) -> Result<(), Malformed> {
    let option = match cursor.atom()?.to_ascii_uppercase().as_str() {
        "SUBSCRIBED" => &mut select.subscribed,
        "SPECIAL-USE" => &mut select.special_use,
        "RECURSIVEMATCH" => &mut select.recursive_match,
        // There are no remote mailboxes to add.
        "REMOTE" => return Ok(()),
        _ => return Err(Malformed("an unknown selection option")),
    };
    *option = true;
    Ok(())
}

fn return_option(cursor: &mut Cursor<'_>, returns: &mut ListReturns) -> Result<(), Malformed> {
    let option = match cursor.atom()?.to_ascii_uppercase().as_str() {
        "SUBSCRIBED" => &mut returns.subscribed,
        "CHILDREN" => &mut returns.children,
        "SPECIAL-USE" => &mut returns.special_use,
        "MYRIGHTS" => &mut returns.my_rights,
        // RFC 9590 3: `METADATA (entry...)`.
        "METADATA" => {
            cursor.space()?;
            returns.metadata = cursor.list(1, METADATA_ENTRIES_MAX, parse_property::entry)?;
            return Ok(());
        }
        "STATUS" => {
            cursor.space()?;
            returns.status = Some(status_items(cursor)?);
            return Ok(());
        }
        _ => return Err(Malformed("an unknown return option")),
    };
    *option = true;
    Ok(())
}

/// The mechanism is a word (RFC 4978 3).
fn compress(cursor: &mut Cursor<'_>) -> Result<Command, Malformed> {
    cursor.space()?;
    Ok(Command::Compress(cursor.atom()?.to_ascii_uppercase()))
}

fn lsub(cursor: &mut Cursor<'_>, spelling: Spelling) -> Result<Command, Malformed> {
    cursor.space()?;
    let reference = cursor.astring()?;
    cursor.space()?;
    let patterns = join(&reference, &[cursor.list_mailbox()?], spelling)?;
    let select = ListSelect {
        subscribed: true,
        ..ListSelect::default()
    };
    Ok(Command::List(ListCommand {
        lsub: true,
        patterns,
        root_only: false,
        select,
        returns: ListReturns::default(),
    }))
}

fn join(reference: &[u8], patterns: &[Vec<u8>], spelling: Spelling) -> Result<Vec<Pattern>, Malformed> {
    patterns
        .iter()
        .map(|p| Pattern::from_wire(reference, p, spelling).map_err(bad_name))
        .collect()
}

fn status(cursor: &mut Cursor<'_>, spelling: Spelling) -> Result<Command, Malformed> {
    cursor.space()?;
    let mailbox = mailbox(cursor, spelling)?;
    cursor.space()?;
    Ok(Command::Status {
        mailbox,
        items: status_items(cursor)?,
    })
}

fn status_items(cursor: &mut Cursor<'_>) -> Result<StatusItems, Malformed> {
    let mut items = StatusItems::default();
    cursor.list(1, 16, |c| {
        let item = match c.atom()?.to_ascii_uppercase().as_str() {
            "MESSAGES" => &mut items.messages,
            "RECENT" => &mut items.recent,
            "UIDNEXT" => &mut items.uid_next,
            "UIDVALIDITY" => &mut items.uid_validity,
            "UNSEEN" => &mut items.unseen,
            "DELETED" => &mut items.deleted,
            "SIZE" => &mut items.size,
            "HIGHESTMODSEQ" => &mut items.highest_modseq,
            "APPENDLIMIT" => &mut items.append_limit,
            "MAILBOXID" => &mut items.mailbox_id,
            "DELETED-STORAGE" => &mut items.deleted_storage,
            _ => return Err(Malformed("an unknown status item")),
        };
        *item = true;
        Ok(())
    })?;
    Ok(items)
}

fn append(octets: &[u8], spelling: Spelling) -> Result<AppendCommand, Malformed> {
    let mut cursor = Cursor(octets);
    let tag = std::str::from_utf8(cursor.take_while(is_tag_char))
        .unwrap_or_default()
        .to_owned();
    cursor.space()?;
    let replaces = replaces(&mut cursor)?;
    cursor.space()?;
    let mailbox = mailbox(&mut cursor, spelling)?;
    cursor.space()?;
    let AppendMessage { flags, date, utf8 } = append_message(&mut cursor)?;
    Ok(AppendCommand {
        tag,
        replaces,
        mailbox,
        flags,
        date,
        utf8,
    })
}

/// RFC 9051 9, `append-message` up to its literal; with the `UTF8 (` of RFC 6855 4.
fn append_message(cursor: &mut Cursor<'_>) -> Result<AppendMessage, Malformed> {
    let mut flags = Vec::new();
    if cursor.peek() == Some(b'(') {
        let texts = cursor.list(0, FLAGS_MAX, Cursor::flag)?;
        // \Recent is the server's alone; some clients send it back when they copy between accounts.
        let texts = texts.iter().filter(|t| !t.eq_ignore_ascii_case("\\Recent"));
        flags = texts
            .map(|t| Flag::parse(t).ok_or(Malformed("an unknown flag")))
            .collect::<Result<_, _>>()?;
        cursor.space()?;
    }
    let mut date = None;
    if cursor.peek() == Some(b'"') {
        date = Some(date_time(&cursor.string()?).ok_or(Malformed("that is not a date-time"))?);
        cursor.space()?;
    }
    let utf8 = cursor.word("UTF8");
    if utf8 {
        cursor.space()?;
        cursor.expect(b'(', "a parenthesis is missing")?;
    }
    if !cursor.0.is_empty() {
        return Err(Malformed("the message was expected"));
    }
    Ok(AppendMessage { flags, date, utf8 })
}

/// The verb, and what it replaces. RFC 8508 4: `replace = "REPLACE" SP seq-number SP mailbox append-message`; `*` is
/// a seq-number.
fn replaces(cursor: &mut Cursor<'_>) -> Result<Option<Replaces>, Malformed> {
    let numbering = if cursor.word("UID") {
        cursor.space()?;
        Numbering::Uid
    } else {
        Numbering::Sequence
    };
    if !cursor.word("REPLACE") {
        cursor.atom()?;
        return Ok(None);
    }
    cursor.space()?;
    let number = cursor.take_while(|b| b.is_ascii_digit() || b == b'*');
    let number = std::str::from_utf8(number).unwrap_or_default();
    let which = match SequenceSet::parse(number).unwrap_or_default().0[..] {
        [(which, _)] => which,
        _ => return Err(Malformed("the number of one message was expected")),
    };
    Ok(Some(Replaces { numbering, which }))
}

/// ` 5-Jan-1970 00:00:00 +0300` (RFC 9051 9, `date-time` without its quotes).
fn date_time(text: &[u8]) -> Option<UtcTime> {
    let text = std::str::from_utf8(text)
        .ok()
        .filter(|t| t.is_ascii() && t.len() == 26)?;
    let digits = |range: std::ops::Range<usize>| {
        let part = text.get(range)?.trim_start_matches(' ');
        part.bytes()
            .all(|b| b.is_ascii_digit())
            .then(|| part.parse::<i16>().ok())?
    };
    let month = MONTHS.iter().position(|m| m.eq_ignore_ascii_case(&text[3..6]))? + 1;
    let marks = [
        (2, b'-'),
        (6, b'-'),
        (11, b' '),
        (14, b':'),
        (17, b':'),
        (20, b' '),
    ];
    if marks.iter().any(|&(at, mark)| text.as_bytes()[at] != mark) {
        return None;
    }
    let small = |n: i16| i8::try_from(n).ok();
    // A leap second is taken as the second before it.
    let second = small(digits(18..20)?.min(59))?;
    let civil = jiff::civil::DateTime::new(
        digits(7..11)?,
        i8::try_from(month).ok()?,
        small(digits(0..2)?)?,
        small(digits(12..14)?)?,
        small(digits(15..17)?)?,
        second,
        0,
    )
    .ok()?;
    let minutes = i64::from(digits(22..24)?) * 60 + i64::from(digits(24..26)?);
    let east = match text.as_bytes()[21] {
        b'+' => minutes,
        b'-' => -minutes,
        _ => return None,
    };
    let local = jiff::tz::Offset::UTC.to_timestamp(civil).ok()?;
    Some(UtcTime::from_unix_s(local.as_second().checked_sub(east * 60)?))
}

/// Whether this is an atom: what a mechanism or a capability must be.
pub fn is_atom(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_atom_char)
}

#[cfg(test)]
mod tests {
    use super::super::set::Bound;
    use super::*;
    use proptest::prelude::*;

    /// The command as a client writes it, up to the literal.
    fn printed(command: &AppendCommand, spelling: Spelling) -> Vec<u8> {
        let mut out = format!("{} ", command.tag).into_bytes();
        match command.replaces {
            None => out.extend_from_slice(b"APPEND "),
            Some(Replaces { numbering, which }) => {
                let uid = if numbering == Numbering::Uid { "UID " } else { "" };
                let which = SequenceSet(vec![(which, which)]);
                out.extend_from_slice(format!("{uid}REPLACE {which} ").as_bytes());
            }
        }
        super::super::response::put_astring(&mut out, &command.mailbox.to_wire(spelling));
        put_message(&mut out, &command.flags, command.date, command.utf8);
        out
    }

    /// What stands before a message, from the space on.
    fn put_message(out: &mut Vec<u8>, flags: &[Flag], date: Option<UtcTime>, utf8: bool) {
        if !flags.is_empty() {
            let flags: Vec<&str> = flags.iter().map(Flag::as_str).collect();
            out.extend_from_slice(format!(" ({})", flags.join(" ")).as_bytes());
        }
        if let Some(date) = date {
            out.extend_from_slice(format!(" \"{}\"", date.imap_date_time()).as_bytes());
        }
        out.extend_from_slice(if utf8 { b" UTF8 (" } else { b" " });
    }

    fn command() -> impl Strategy<Value = AppendCommand> {
        let which = prop_oneof![
            4 => (1..=u32::MAX).prop_map(Bound::Number),
            1 => Just(Bound::Last)
        ];
        let numbering = prop_oneof![Just(Numbering::Sequence), Just(Numbering::Uid)];
        let replaces = (numbering, which).prop_map(|(numbering, which)| Replaces { numbering, which });
        let flag = prop_oneof!["\\\\(Seen|Draft|Deleted)", "[a-z$][a-z0-9]{0,8}"];
        let flags = prop::collection::vec(flag.prop_filter_map("a flag", |f| Flag::parse(&f)), 0..4);
        let date = prop::option::of((0..4_000_000_000i64).prop_map(UtcTime::from_unix_s));
        let mailbox = "[a-zA-ZçÇğıİöşü &*%\"\\\\-]{1,12}(/[a-z]{1,4})?";
        let mailbox = mailbox.prop_filter_map("a name", |n| MailboxName::new(&n).ok());
        let parts = (prop::option::of(replaces), mailbox, flags, date, any::<bool>());
        ("[a-zA-Z0-9.]{1,8}", parts).prop_map(|(tag, (replaces, mailbox, flags, date, utf8))| AppendCommand {
            tag,
            replaces,
            mailbox,
            flags,
            date,
            utf8,
        })
    }

    proptest! {
        #[test]
        fn print_and_parse_of_append_and_replace_are_inverses(command in command()) {
            for spelling in [Spelling::Utf7, Spelling::Utf8] {
                let octets = printed(&command, spelling);
                let read = parse_append(&octets, spelling);
                prop_assert_eq!(read.as_ref(), Ok(&command), "{}", String::from_utf8_lossy(&octets));
            }
            // A further message is written like the first.
            let AppendCommand { flags, date, utf8, .. } = command;
            let mut next = Vec::new();
            put_message(&mut next, &flags, date, utf8);
            prop_assert_eq!(parse_append_next(&next), Ok(AppendMessage { flags, date, utf8 }));
        }
    }

    #[test]
    fn replace_names_one_message() {
        for (text, why) in [
            ("a REPLACE 1:2 Drafts ", "a space is missing"),
            ("a REPLACE 0 Drafts ", "the number of one message was expected"),
            ("a REPLACE x Drafts ", "the number of one message was expected"),
            (
                "a UID REPLACE ** Drafts ",
                "the number of one message was expected",
            ),
            (
                "a REPLACE 4294967296 Drafts ",
                "the number of one message was expected",
            ),
        ] {
            let bad = parse_append(text.as_bytes(), Spelling::Utf7).unwrap_err();
            assert_eq!(bad.text, why, "{text}");
        }
        let bare = parse(b"a UID REPLACE 4 Drafts\r\n", Spelling::Utf7).unwrap_err();
        assert_eq!(bare.text, "REPLACE wants a literal");
    }
}
