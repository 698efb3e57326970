//! NOTIFY off the wire (RFC 5465 8).

use super::command::{Command, FetchItem};
use super::grammar::{Cursor, Malformed};
use super::limits::{FETCH_ITEMS_MAX, NOTIFY_EVENTS_MAX, NOTIFY_GROUPS_MAX, NOTIFY_NAMES_MAX};
use super::name::{MailboxName, Spelling};
use super::notify::{EventGroup, Events, Filter, NotifySet};
use super::parse;

/// Behind `NOTIFY`.
pub(super) fn notify(cursor: &mut Cursor<'_>, spelling: Spelling) -> Result<Command, Malformed> {
    cursor.space()?;
    if cursor.word("NONE") {
        return Ok(Command::Notify(None));
    }
    if !cursor.word("SET") {
        return Err(Malformed("NOTIFY takes SET or NONE"));
    }
    cursor.space()?;
    let mut set = NotifySet {
        status: cursor.word("STATUS"),
        groups: Vec::new(),
    };
    if set.status {
        cursor.space()?;
    }
    loop {
        if set.groups.len() >= NOTIFY_GROUPS_MAX {
            return Err(Malformed("there are too many groups of events"));
        }
        set.groups.push(group(cursor, spelling)?);
        if !cursor.eat(b' ') {
            break;
        }
    }
    match set.fault() {
        // What is not known is refused with NO and not with BAD (RFC 5465 3.1), whatever else it is.
        Some(text) if !set.asks_unknown() => Err(Malformed(text)),
        _ => Ok(Command::Notify(Some(set))),
    }
}

fn group(cursor: &mut Cursor<'_>, spelling: Spelling) -> Result<EventGroup, Malformed> {
    cursor.expect(b'(', "a group of events is missing")?;
    let filter = match cursor.atom()?.to_ascii_uppercase().as_str() {
        "SELECTED" => Filter::Selected,
        "SELECTED-DELAYED" => Filter::SelectedDelayed,
        "INBOXES" => Filter::Inboxes,
        "PERSONAL" => Filter::Personal,
        "SUBSCRIBED" => Filter::Subscribed,
        "SUBTREE" => Filter::Subtree(names(cursor, spelling)?),
        "MAILBOXES" => Filter::Mailboxes(names(cursor, spelling)?),
        _ => return Err(Malformed("an unknown choice of mailboxes")),
    };
    cursor.space()?;
    let events = if cursor.word("NONE") {
        Events::default()
    } else {
        events(cursor, spelling)?
    };
    cursor.expect(b')', "a group of events does not end")?;
    Ok(EventGroup { filter, events })
}

/// one-or-more-mailbox = mailbox / "(" mailbox *(SP mailbox) ")".
fn names(cursor: &mut Cursor<'_>, spelling: Spelling) -> Result<Vec<MailboxName>, Malformed> {
    cursor.space()?;
    let wire = if cursor.peek() == Some(b'(') {
        cursor.list(1, NOTIFY_NAMES_MAX, Cursor::astring)?
    } else {
        vec![cursor.astring()?]
    };
    wire.iter()
        .map(|name| MailboxName::from_wire(name, spelling).map_err(parse::bad_name))
        .collect()
}

fn events(cursor: &mut Cursor<'_>, spelling: Spelling) -> Result<Events, Malformed> {
    let mut events = Events::default();
    let (mut new, mut expunge) = (false, false);
    cursor.expect(b'(', "a list of events is missing")?;
    let mut count = 0;
    loop {
        count += 1;
        if count > NOTIFY_EVENTS_MAX {
            return Err(Malformed("there are too many events"));
        }
        match cursor.atom()?.to_ascii_uppercase().as_str() {
            "MESSAGENEW" => {
                new = true;
                events.messages = Some(attributes(cursor, spelling)?);
            }
            "MESSAGEEXPUNGE" => expunge = true,
            "FLAGCHANGE" => events.flags = true,
            "MAILBOXNAME" => events.names = true,
            "SUBSCRIPTIONCHANGE" => events.subscriptions = true,
            "MAILBOXMETADATACHANGE" => events.mailbox_metadata = true,
            "SERVERMETADATACHANGE" => events.server_metadata = true,
            _ => events.unknown = true,
        }
        if cursor.eat(b')') {
            break;
        }
        cursor.space()?;
    }
    if new != expunge && !events.unknown {
        return Err(Malformed("MessageNew and MessageExpunge come together"));
    }
    Ok(events)
}

/// `[SP "(" fetch-att *(SP fetch-att) ")"]`: read as a FETCH would be, so that what FETCH learns is known here as well.
fn attributes(cursor: &mut Cursor<'_>, spelling: Spelling) -> Result<Vec<FetchItem>, Malformed> {
    let mut ahead = *cursor;
    if !ahead.eat(b' ') || ahead.peek() != Some(b'(') {
        return Ok(Vec::new());
    }
    let list = parenthesised(&mut ahead)?;
    *cursor = ahead;
    let as_fetch = [b"a FETCH 1 ".as_slice(), list, b"\r\n"].concat();
    match parse::parse(&as_fetch, spelling).map(|tagged| tagged.command) {
        Ok(Command::Fetch { items, .. }) if items.len() <= FETCH_ITEMS_MAX => Ok(items),
        _ => Err(Malformed("those are no fetch attributes")),
    }
}

/// A parenthesised list as it stands, strings and literals within it passed over whole.
fn parenthesised<'a>(cursor: &mut Cursor<'a>) -> Result<&'a [u8], Malformed> {
    const OPEN: Malformed = Malformed("a parenthesis does not end");
    let whole = cursor.0;
    let mut depth = 0usize;
    loop {
        match cursor.peek().ok_or(OPEN)? {
            b'"' | b'{' => {
                cursor.string()?;
                continue;
            }
            b'(' => depth += 1,
            b')' => depth -= 1,
            b'\r' | b'\n' => return Err(OPEN),
            _ => {}
        }
        cursor.0 = cursor.0.get(1..).unwrap_or_default();
        if depth == 0 {
            let taken = whole.len() - cursor.0.len();
            return Ok(whole.get(..taken).unwrap_or_default());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imap::notify::EVENTS;
    use proptest::prelude::*;

    fn command(text: &str) -> Result<Command, &'static str> {
        parse::parse(format!("a {text}\r\n").as_bytes(), Spelling::Utf8)
            .map(|t| t.command)
            .map_err(|b| b.text)
    }

    /// As a client writes it.
    fn printed(set: &NotifySet) -> String {
        let mut out = "NOTIFY SET".to_owned();
        out.push_str(if set.status { " STATUS" } else { "" });
        for EventGroup { filter, events } in &set.groups {
            let names = |names: &[MailboxName]| {
                let quoted: Vec<String> = names.iter().map(|n| format!("\"{n}\"")).collect();
                match &quoted[..] {
                    [one] => one.clone(),
                    _ => format!("({})", quoted.join(" ")),
                }
            };
            let filter = match filter {
                Filter::Selected => "selected".to_owned(),
                Filter::SelectedDelayed => "selected-delayed".to_owned(),
                Filter::Inboxes => "inboxes".to_owned(),
                Filter::Personal => "personal".to_owned(),
                Filter::Subscribed => "subscribed".to_owned(),
                Filter::Subtree(tops) => format!("subtree {}", names(tops)),
                Filter::Mailboxes(named) => format!("mailboxes {}", names(named)),
            };
            let mut words = Vec::new();
            if let Some(items) = &events.messages {
                let items: Vec<&str> = items.iter().map(word).collect();
                words.push(match items.is_empty() {
                    true => EVENTS[0].to_owned(),
                    false => format!("{} ({})", EVENTS[0], items.join(" ")),
                });
                words.push(EVENTS[1].to_owned());
            }
            let rest = [
                events.flags,
                events.names,
                events.subscriptions,
                events.mailbox_metadata,
                events.server_metadata,
            ];
            words.extend(
                rest.iter()
                    .zip(&EVENTS[2..])
                    .filter(|(on, _)| **on)
                    .map(|(_, e)| (*e).to_owned()),
            );
            let events = match words.is_empty() {
                true => "NONE".to_owned(),
                false => format!("({})", words.join(" ")),
            };
            out.push_str(&format!(" ({filter} {events})"));
        }
        out
    }

    fn word(item: &FetchItem) -> &'static str {
        match item {
            FetchItem::Flags => "FLAGS",
            FetchItem::Uid => "UID",
            FetchItem::Envelope => "ENVELOPE",
            FetchItem::Size => "RFC822.SIZE",
            _ => "BODY.PEEK[HEADER.FIELDS (\"a)\" To)]",
        }
    }

    fn group() -> impl Strategy<Value = EventGroup> {
        let name = "[a-zçİ &()*-]{1,8}(/[a-z]{1,4})?";
        let name = name.prop_filter_map("a name", |n| MailboxName::new(&n).ok());
        let names = prop::collection::vec(name, 1..4);
        let filter = prop_oneof![
            Just(Filter::Inboxes),
            Just(Filter::Personal),
            Just(Filter::Subscribed),
            names.clone().prop_map(Filter::Subtree),
            names.prop_map(Filter::Mailboxes),
        ];
        (filter, any::<[bool; 6]>()).prop_map(
            |(filter, [messages, flags, names, subs, of_box, of_server])| EventGroup {
                filter,
                events: Events {
                    messages: messages.then(Vec::new),
                    flags: flags && messages,
                    names,
                    subscriptions: subs,
                    mailbox_metadata: of_box,
                    server_metadata: of_server,
                    unknown: false,
                },
            },
        )
    }

    fn selected() -> impl Strategy<Value = Option<EventGroup>> {
        let items = prop::sample::subsequence(vec!["FLAGS", "UID", "ENVELOPE", "HEADER"], 0..=4);
        let group = (any::<bool>(), prop::option::of(items), any::<bool>());
        prop::option::of(group.prop_map(|(at_once, items, flags)| {
            let items = items.map(|items| {
                let text = items.join(" ").replace("HEADER", word(&FetchItem::Body));
                match command(&format!("FETCH 1 ({text})")) {
                    Ok(Command::Fetch { items, .. }) => items,
                    _ => Vec::new(),
                }
            });
            let filter = if at_once {
                Filter::Selected
            } else {
                Filter::SelectedDelayed
            };
            let flags = flags && items.is_some();
            let events = Events {
                messages: items,
                flags,
                ..Events::default()
            };
            EventGroup { filter, events }
        }))
    }

    proptest! {
        #[test]
        fn print_and_parse_of_notify_are_inverses(
            status: bool,
            selected in selected(),
            mut groups in prop::collection::vec(group(), 0..4),
        ) {
            groups.extend(selected);
            prop_assume!(!groups.is_empty());
            let set = NotifySet { status, groups };
            let text = printed(&set);
            prop_assert_eq!(command(&text), Ok(Command::Notify(Some(set))), "{}", text);
        }
    }

    #[test]
    fn what_does_not_go_together_is_bad() {
        for (text, why) in [
            (
                "(selected (MessageNew))",
                "MessageNew and MessageExpunge come together",
            ),
            (
                "(inboxes (MessageExpunge))",
                "MessageNew and MessageExpunge come together",
            ),
            (
                "(inboxes (FlagChange))",
                "FlagChange comes with MessageNew and MessageExpunge",
            ),
            (
                "(inboxes (MessageNew (UID) MessageExpunge))",
                "only SELECTED takes fetch attributes",
            ),
            (
                "(selected (MailboxName))",
                "SELECTED takes only events of messages",
            ),
            (
                "(selected NONE) (selected-delayed NONE)",
                "SELECTED stands once, at once or delayed",
            ),
            (
                "(selected (MessageNew (UID MessageExpunge))",
                "those are no fetch attributes",
            ),
            ("(others NONE)", "an unknown choice of mailboxes"),
        ] {
            assert_eq!(command(&format!("NOTIFY SET {text}")), Err(why), "{text}");
        }
        let many = "(inboxes NONE) ".repeat(NOTIFY_GROUPS_MAX);
        assert!(command(&format!("NOTIFY SET {many}(inboxes NONE)")).is_err());
    }

    #[test]
    fn what_is_not_known_is_told_apart_from_what_is_malformed() {
        for text in ["(selected (AnnotationChange))", "(personal (MailboxName X-Moon))"] {
            match command(&format!("NOTIFY SET {text}")) {
                Ok(Command::Notify(Some(set))) => assert!(set.asks_unknown(), "{text}"),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(command("NOTIFY none"), Ok(Command::Notify(None)));
    }
}
