//! imap-codec's types to our own syntax tree: the one place that sees them.
//!
//! Its client quirks are off in the manifest. It reads whole commands with their literals; depth is bounded by its
//! grammar, size by the framer.

use super::command::*;
use super::grammar::Malformed;
use super::limits::*;
use super::name::{MailboxName, Spelling};
use super::parse::bad_name;
use super::set::{Bound, SequenceSet};
use super::translate_resync;
use imap_codec::CommandCodec;
use imap_codec::decode::Decoder;
use imap_codec::imap_types::command::{Command as CodecCommand, CommandBody};
use imap_codec::imap_types::extensions::enable::CapabilityEnable;
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
        CommandBody::Select { mailbox, parameters } => Command::Select {
            mailbox: name(&mailbox)?,
            read_only: false,
            with: translate_resync::select_with(&parameters)?,
        },
        CommandBody::Examine { mailbox, parameters } => Command::Select {
            mailbox: name(&mailbox)?,
            read_only: true,
            with: translate_resync::select_with(&parameters)?,
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

pub(super) fn set(codec: &CodecSet) -> SequenceSet {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imap::parse::parse;

    fn command(text: &str) -> Result<Command, &'static str> {
        parse(format!("a {text}\r\n").as_bytes(), Spelling::Utf7)
            .map(|t| t.command)
            .map_err(|b| b.text)
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
        assert!(command("GETANNOTATION INBOX x").is_err());
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
                read_only: false,
                with: SelectWith::default(),
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
