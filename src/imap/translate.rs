//! imap-codec's types to our own syntax tree: the one place that sees them.
//!
//! Its client quirks are off in the manifest. It reads whole commands with their literals; depth is bounded by its
//! grammar, size by the framer.

use super::command::*;
use super::flag::Flag;
use super::grammar::Malformed;
use super::limits::*;
use super::name::{MailboxName, Spelling};
use super::parse::bad_name;
use super::set::{Bound, SequenceSet};
use imap_codec::CommandCodec;
use imap_codec::decode::Decoder;
use imap_codec::imap_types::command::{Command as CodecCommand, CommandBody};
use imap_codec::imap_types::extensions::enable::CapabilityEnable;
use imap_codec::imap_types::fetch::{
    MacroOrMessageDataItemNames, MessageDataItemName, Part, Section as CodecSection,
};
use imap_codec::imap_types::flag::{Flag as CodecFlag, StoreResponse, StoreType};
use imap_codec::imap_types::mailbox::Mailbox;
use imap_codec::imap_types::sequence::{SeqOrUid, Sequence, SequenceSet as CodecSet};

/// Everything that imap-codec reads.
pub(super) fn base(octets: &[u8], spelling: Spelling) -> Result<Command, Malformed> {
    const UNKNOWN: Malformed = Malformed("the command is unknown or malformed");
    let (rest, CodecCommand { body, .. }) = CommandCodec::default().decode(octets).map_err(|_| UNKNOWN)?;
    if !rest.is_empty() {
        return Err(UNKNOWN);
    }
    let name = |mailbox: &Mailbox<'_>| match mailbox {
        Mailbox::Inbox => Ok(MailboxName::inbox()),
        Mailbox::Other(other) => MailboxName::from_wire(other.as_ref(), spelling).map_err(bad_name),
    };
    Ok(match body {
        CommandBody::Capability => Command::Capability,
        CommandBody::Noop => Command::Noop,
        CommandBody::Logout => Command::Logout,
        CommandBody::Login { username, password } => Command::Login {
            login: utf8_text(username.as_ref())?,
            password: Secret::new(password.declassify().as_ref().to_vec()),
        },
        CommandBody::Id { parameters } => Command::Id(id_fields(parameters.unwrap_or_default())),
        CommandBody::Enable { capabilities } => {
            Command::Enable(capabilities.as_ref().iter().map(capability_text).collect())
        }
        CommandBody::Namespace => Command::Namespace,
        CommandBody::Select { mailbox, parameters } | CommandBody::Examine { mailbox, parameters }
            if !parameters.is_empty() =>
        {
            let _ = mailbox;
            return Err(Malformed("SELECT takes no parameters here"));
        }
        CommandBody::Select { mailbox, .. } => Command::Select {
            mailbox: name(&mailbox)?,
            read_only: false,
        },
        CommandBody::Examine { mailbox, .. } => Command::Select {
            mailbox: name(&mailbox)?,
            read_only: true,
        },
        CommandBody::Delete { mailbox } => Command::Delete(name(&mailbox)?),
        CommandBody::Rename { from, to } => Command::Rename {
            from: name(&from)?,
            to: name(&to)?,
        },
        CommandBody::Subscribe { mailbox } => Command::Subscribe(name(&mailbox)?),
        CommandBody::Unsubscribe { mailbox } => Command::Unsubscribe(name(&mailbox)?),
        CommandBody::Idle => Command::Idle,
        CommandBody::Check => Command::Check,
        CommandBody::Close => Command::Close,
        CommandBody::Unselect => Command::Unselect,
        CommandBody::Expunge => Command::Expunge(None),
        CommandBody::ExpungeUid { sequence_set } => Command::Expunge(Some(set(&sequence_set))),
        CommandBody::Fetch {
            sequence_set,
            macro_or_item_names,
            uid,
            modifiers,
        } if modifiers.is_empty() => {
            let items = fetch_items(&macro_or_item_names)?;
            Command::Fetch {
                numbering: numbering(uid),
                set: set(&sequence_set),
                items,
            }
        }
        CommandBody::Store {
            sequence_set,
            kind,
            response,
            flags,
            uid,
            modifiers,
        } if modifiers.is_empty() => Command::Store {
            numbering: numbering(uid),
            set: set(&sequence_set),
            how: match kind {
                StoreType::Replace => StoreHow::Replace,
                StoreType::Add => StoreHow::Add,
                StoreType::Remove => StoreHow::Remove,
            },
            silent: response == StoreResponse::Silent,
            flags: store_flags(&flags)?,
        },
        CommandBody::Copy {
            sequence_set,
            mailbox,
            uid,
        } => Command::Copy {
            numbering: numbering(uid),
            set: set(&sequence_set),
            mailbox: name(&mailbox)?,
        },
        CommandBody::Move {
            sequence_set,
            mailbox,
            uid,
        } => Command::Move {
            numbering: numbering(uid),
            set: set(&sequence_set),
            mailbox: name(&mailbox)?,
        },
        // Extensions that are not offered.
        _ => return Err(UNKNOWN),
    })
}

fn numbering(uid: bool) -> Numbering {
    if uid { Numbering::Uid } else { Numbering::Sequence }
}

fn utf8_text(octets: &[u8]) -> Result<String, Malformed> {
    String::from_utf8(octets.to_vec()).map_err(|_| Malformed("that is not UTF-8"))
}

type CodecIdField<'a> = (
    imap_codec::imap_types::core::IString<'a>,
    imap_codec::imap_types::core::NString<'a>,
);

fn id_fields(fields: Vec<CodecIdField<'_>>) -> Vec<(String, Option<String>)> {
    // RFC 2971 3.3: no more than 30 fields, names of 30 octets, values of 1024.
    let text = |octets: &[u8], most| String::from_utf8_lossy(&octets[..octets.len().min(most)]).into_owned();
    let field = |(name, value): CodecIdField<'_>| {
        let value = value.0.map(|v| text(v.as_ref(), ID_VALUE_MAX));
        (text(name.as_ref(), ID_NAME_MAX), value)
    };
    fields.into_iter().take(ID_FIELDS_MAX).map(field).collect()
}

fn capability_text(capability: &CapabilityEnable<'_>) -> String {
    capability.to_string().to_ascii_uppercase()
}

fn set(codec: &CodecSet) -> SequenceSet {
    let bound = |b: &SeqOrUid| match b {
        SeqOrUid::Value(n) => Bound::Number(n.get()),
        SeqOrUid::Asterisk => Bound::Last,
    };
    let range = |s: &Sequence| match s {
        Sequence::Single(a) => (bound(a), bound(a)),
        Sequence::Range(a, b) => (bound(a), bound(b)),
    };
    SequenceSet(codec.0.as_ref().iter().map(range).collect())
}

fn store_flags(flags: &[CodecFlag<'_>]) -> Result<Vec<Flag>, Malformed> {
    if flags.len() > FLAGS_MAX {
        return Err(Malformed("too many flags"));
    }
    let texts = flags.iter().map(ToString::to_string);
    texts
        .map(|t| Flag::parse(&t).ok_or(Malformed("that flag cannot be changed")))
        .collect()
}

fn fetch_items(names: &MacroOrMessageDataItemNames<'_>) -> Result<Vec<FetchItem>, Malformed> {
    let names = match names {
        MacroOrMessageDataItemNames::Macro(short) => &short.expand(),
        MacroOrMessageDataItemNames::MessageDataItemNames(names) => names,
    };
    if names.is_empty() || names.len() > FETCH_ITEMS_MAX {
        return Err(Malformed("FETCH wants one to 256 items"));
    }
    let mut items = Vec::with_capacity(names.len());
    for name in names {
        let item = fetch_item(name)?;
        if matches!(&item, FetchItem::Section(s) if s.section.part.len() > PART_LEVELS_MAX) {
            return Err(Malformed("the part number is too deep"));
        }
        // The same item twice is told once.
        if !items.contains(&item) {
            items.push(item);
        }
    }
    Ok(items)
}

fn fetch_item(name: &MessageDataItemName<'_>) -> Result<FetchItem, Malformed> {
    let old = |text, form, peek| {
        FetchItem::Section(SectionItem {
            section: Section {
                part: Vec::new(),
                text,
            },
            partial: None,
            peek,
            form,
        })
    };
    Ok(match name {
        MessageDataItemName::Flags => FetchItem::Flags,
        MessageDataItemName::Uid => FetchItem::Uid,
        MessageDataItemName::InternalDate => FetchItem::InternalDate,
        MessageDataItemName::Rfc822Size => FetchItem::Size,
        MessageDataItemName::Envelope => FetchItem::Envelope,
        MessageDataItemName::Body => FetchItem::Body,
        MessageDataItemName::BodyStructure => FetchItem::BodyStructure,
        MessageDataItemName::Rfc822 => old(SectionText::All, SectionForm::Rfc822, false),
        // RFC 3501 6.4.5: RFC822.HEADER does not set \Seen.
        MessageDataItemName::Rfc822Header => old(SectionText::Header, SectionForm::Rfc822Header, true),
        MessageDataItemName::Rfc822Text => old(SectionText::Text, SectionForm::Rfc822Text, false),
        MessageDataItemName::BodyExt {
            section,
            partial,
            peek,
        } => FetchItem::Section(SectionItem {
            section: section.as_ref().map_or(
                Section {
                    part: Vec::new(),
                    text: SectionText::All,
                },
                section_of,
            ),
            partial: partial.map(|(start, count)| (start, count.get())),
            peek: *peek,
            form: SectionForm::Body,
        }),
        _ => return Err(Malformed("an item that is not offered")),
    })
}

fn section_of(codec: &CodecSection<'_>) -> Section {
    let numbers = |part: &Part| part.0.as_ref().iter().map(|n| n.get()).collect::<Vec<u32>>();
    let maybe = |part: &Option<Part>| part.as_ref().map_or_else(Vec::new, numbers);
    let texts = |names: &[imap_codec::imap_types::core::AString<'_>]| {
        names
            .iter()
            .map(|n| String::from_utf8_lossy(n.as_ref()).into_owned())
            .collect::<Vec<_>>()
    };
    let (part, text) = match codec {
        CodecSection::Part(part) => (numbers(part), SectionText::All),
        CodecSection::Header(part) => (maybe(part), SectionText::Header),
        CodecSection::HeaderFields(part, names) => (maybe(part), SectionText::Fields(texts(names.as_ref()))),
        CodecSection::HeaderFieldsNot(part, names) => {
            (maybe(part), SectionText::FieldsNot(texts(names.as_ref())))
        }
        CodecSection::Text(part) => (maybe(part), SectionText::Text),
        CodecSection::Mime(part) => (numbers(part), SectionText::Mime),
    };
    Section { part, text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imap::parse::parse;

    fn command(text: &str) -> Result<Command, &'static str> {
        parse(format!("a {text}\r\n").as_bytes(), Spelling::Utf7)
            .map(|t| t.command)
            .map_err(|b| b.text)
    }

    fn items(text: &str) -> Vec<FetchItem> {
        match command(&format!("FETCH 1 {text}")) {
            Ok(Command::Fetch { items, .. }) => items,
            other => panic!("{text}: {other:?}"),
        }
    }

    fn section(part: &[u32], text: SectionText, peek: bool, partial: Option<(u32, u32)>) -> FetchItem {
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

    #[test]
    fn fetch_items_are_taken_apart() {
        assert_eq!(items("ALL"), items("(FLAGS INTERNALDATE RFC822.SIZE ENVELOPE)"));
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
        for bad in [
            "()",
            "BODY[MIME]",
            "BODY[0]",
            "BODY[]<1.0>",
            "BODY[]<4294967296.1>",
            "BOGUS",
            "BINARY[1]",
        ] {
            assert!(command(&format!("FETCH 1 {bad}")).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_clients_in_the_field_send() {
        for text in [
            "STORE 1 +FLAGS \\Deleted",
            "UID STORE 1:4,9 -FLAGS.SILENT (\\Seen $Forwarded)",
            "UID FETCH 1:* (UID RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS (\"From\" \"To\" References)])",
            "UID SEARCH RETURN (ALL) 1:* NOT DELETED HEADER Message-ID <a.b@c.test>",
            "LIST (SUBSCRIBED) \"\" * RETURN (CHILDREN STATUS (MESSAGES UIDNEXT))",
            "LIST \"\" INBOX.%",
            "ID NIL",
            "LOGIN user@tenant p(",
            "LOGIN {4+}\r\nuser {2}\r\npw",
            "STATUS \"a b\" (UIDNEXT UIDVALIDITY UNSEEN RECENT SIZE)",
        ] {
            let good = text != "LOGIN user@tenant p(";
            assert_eq!(command(text).is_ok(), good, "{text}: {:?}", command(text));
        }
    }

    #[test]
    fn extensions_not_offered_are_unknown() {
        for text in [
            "GETANNOTATION INBOX x",
            "SELECT INBOX (CONDSTORE)",
            "FETCH 1 FLAGS (CHANGEDSINCE 1)",
            "SORT (DATE) UTF-8 ALL",
        ] {
            assert!(command(text).is_err(), "{text}");
        }
    }

    #[test]
    fn names_arrive_in_utf8() {
        let name = |text: &str| MailboxName::new(text).unwrap();
        assert_eq!(
            command("DELETE \"&AMcA9g-p Kutusu\""),
            Ok(Command::Delete(name("Çöp Kutusu")))
        );
        assert_eq!(
            command("DELETE \"Çöp Kutusu\""),
            Ok(Command::Delete(name("Çöp Kutusu")))
        );
        assert_eq!(
            command("SELECT iNbOx"),
            Ok(Command::Select {
                mailbox: MailboxName::inbox(),
                read_only: false
            })
        );
        let upper = Ok(Command::Enable(vec!["UTF8=ACCEPT".to_owned(), "X".to_owned()]));
        assert_eq!(command("ENABLE utf8=accept x"), upper);
    }

    #[test]
    fn a_password_is_not_shown() {
        let login = command("LOGIN ayse \"gizli sifre\"").unwrap();
        assert!(!format!("{login:?}").contains("gizli"));
    }
}
