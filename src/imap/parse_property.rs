//! ACL (RFC 4314 3), QUOTA (RFC 9208 4) and METADATA (RFC 5464 4) off the wire.

use super::command::Command;
use super::grammar::{Cursor, Malformed};
use super::limits::{METADATA_ENTRIES_MAX, METADATA_NAME_MAX, QUOTA_RESOURCES_MAX};
use super::name::{MailboxName, Spelling};
use super::parse::bad_name;
use super::property::{Depth, GetMetadata, Property};

/// Behind the verb, in upper case. `None`: the verb is none of these.
pub(super) fn property(
    verb: &str,
    cursor: &mut Cursor<'_>,
    spelling: Spelling,
) -> Option<Result<Command, Malformed>> {
    let read =
        match verb {
            "GETACL" => named(cursor, spelling).map(Property::GetAcl),
            "MYRIGHTS" => named(cursor, spelling).map(Property::MyRights),
            "LISTRIGHTS" => whose(cursor, spelling)
                .map(|(mailbox, identifier)| Property::ListRights { mailbox, identifier }),
            "DELETEACL" => whose(cursor, spelling)
                .map(|(mailbox, identifier)| Property::DeleteAcl { mailbox, identifier }),
            "SETACL" => set_acl(cursor, spelling),
            "GETQUOTA" => spaced(cursor).map(Property::GetQuota),
            "GETQUOTAROOT" => named(cursor, spelling).map(Property::GetQuotaRoot),
            "SETQUOTA" => set_quota(cursor),
            "GETMETADATA" => get_metadata(cursor, spelling),
            "SETMETADATA" => set_metadata(cursor, spelling),
            _ => return None,
        };
    Some(read.map(Command::Property))
}

fn named(cursor: &mut Cursor<'_>, spelling: Spelling) -> Result<MailboxName, Malformed> {
    cursor.space()?;
    MailboxName::from_wire(&cursor.astring()?, spelling).map_err(bad_name)
}

/// A space, and an astring that is text.
fn spaced(cursor: &mut Cursor<'_>) -> Result<String, Malformed> {
    cursor.space()?;
    String::from_utf8(cursor.astring()?).map_err(|_| Malformed("that is not UTF-8"))
}

fn whose(cursor: &mut Cursor<'_>, spelling: Spelling) -> Result<(MailboxName, String), Malformed> {
    Ok((named(cursor, spelling)?, spaced(cursor)?))
}

fn set_acl(cursor: &mut Cursor<'_>, spelling: Spelling) -> Result<Property, Malformed> {
    let (mailbox, identifier) = whose(cursor, spelling)?;
    let rights = spaced(cursor)?;
    let letters = rights.strip_prefix(['+', '-']).unwrap_or(&rights);
    // RFC 4314 4: rights are lower-case letters and digits.
    if !letters
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    {
        return Err(Malformed("rights are lower-case letters"));
    }
    Ok(Property::SetAcl {
        mailbox,
        identifier,
        rights,
    })
}

fn set_quota(cursor: &mut Cursor<'_>) -> Result<Property, Malformed> {
    let root = spaced(cursor)?;
    cursor.space()?;
    let limits = cursor.list(0, QUOTA_RESOURCES_MAX, |c| {
        let resource = c.atom()?.to_ascii_uppercase();
        c.space()?;
        Ok((resource, c.number()?))
    })?;
    Ok(Property::SetQuota { root, limits })
}

/// The options stand in front of the mailbox by the grammar, and behind it in examples of the same text: both are read.
fn get_metadata(cursor: &mut Cursor<'_>, spelling: Spelling) -> Result<Property, Malformed> {
    let mut get = GetMetadata {
        mailbox: None,
        entries: Vec::new(),
        size_max_bytes: None,
        depth: Depth::Itself,
    };
    cursor.space()?;
    if cursor.peek() == Some(b'(') {
        options(cursor, &mut get)?;
        cursor.space()?;
    }
    get.mailbox = mailbox_or_server(cursor, spelling)?;
    cursor.space()?;
    if cursor.0.starts_with(b"(") && !cursor.0.starts_with(b"(/") && !cursor.0.starts_with(b"(\"") {
        options(cursor, &mut get)?;
        cursor.space()?;
    }
    get.entries = if cursor.peek() == Some(b'(') {
        cursor.list(1, METADATA_ENTRIES_MAX, entry)?
    } else {
        vec![entry(cursor)?]
    };
    Ok(Property::GetMetadata(get))
}

fn options(cursor: &mut Cursor<'_>, get: &mut GetMetadata) -> Result<(), Malformed> {
    cursor.list(1, 2, |c| {
        match c.atom()?.to_ascii_uppercase().as_str() {
            "MAXSIZE" => {
                c.space()?;
                get.size_max_bytes = Some(c.number()?);
            }
            "DEPTH" => {
                c.space()?;
                get.depth = match c.atom()?.to_ascii_uppercase().as_str() {
                    "0" => Depth::Itself,
                    "1" => Depth::Children,
                    "INFINITY" => Depth::All,
                    _ => return Err(Malformed("DEPTH is 0, 1 or infinity")),
                };
            }
            _ => return Err(Malformed("GETMETADATA knows MAXSIZE and DEPTH")),
        }
        Ok(())
    })?;
    Ok(())
}

fn set_metadata(cursor: &mut Cursor<'_>, spelling: Spelling) -> Result<Property, Malformed> {
    cursor.space()?;
    let mailbox = mailbox_or_server(cursor, spelling)?;
    cursor.space()?;
    let entries = cursor.list(1, METADATA_ENTRIES_MAX, |c| {
        let name = entry(c)?;
        c.space()?;
        if c.word("NIL") {
            return Ok((name, None));
        }
        // value = nstring / literal8
        c.eat(b'~');
        Ok((name, Some(c.string()?)))
    })?;
    Ok(Property::SetMetadata { mailbox, entries })
}

/// An empty name is the server (RFC 5464 4.2).
fn mailbox_or_server(cursor: &mut Cursor<'_>, spelling: Spelling) -> Result<Option<MailboxName>, Malformed> {
    let wire = cursor.astring()?;
    if wire.is_empty() {
        return Ok(None);
    }
    MailboxName::from_wire(&wire, spelling)
        .map(Some)
        .map_err(bad_name)
}

/// RFC 5464 3.2: slash-separated, no wildcard, no empty part, ASCII without controls.
pub(super) fn entry(cursor: &mut Cursor<'_>) -> Result<String, Malformed> {
    const WHAT: Malformed = Malformed("that is not the name of an entry");
    let name = String::from_utf8(cursor.astring()?).map_err(|_| WHAT)?;
    let plain = name
        .bytes()
        .all(|b| matches!(b, b' '..=b'~') && b != b'*' && b != b'%');
    let parts = name.strip_prefix('/').ok_or(WHAT)?;
    if !plain || name.len() > METADATA_NAME_MAX || parts.split('/').any(str::is_empty) {
        return Err(WHAT);
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::super::parse::parse;
    use super::super::response::put_astring;
    use super::*;
    use proptest::prelude::*;

    fn command(octets: &[u8]) -> Result<Command, &'static str> {
        parse(&[b"a ", octets, b"\r\n"].concat(), Spelling::Utf7)
            .map(|t| t.command)
            .map_err(|b| b.text)
    }

    /// As a client writes it.
    fn printed(property: &Property) -> Vec<u8> {
        let mut out = Vec::new();
        fn word(out: &mut Vec<u8>, text: &str) {
            out.extend_from_slice(text.as_bytes());
        }
        fn name(out: &mut Vec<u8>, name: Option<&MailboxName>) {
            out.push(b' ');
            put_astring(out, &name.map_or(Vec::new(), |n| n.to_wire(Spelling::Utf7)));
        }
        fn text(out: &mut Vec<u8>, text: &str) {
            out.push(b' ');
            put_astring(out, text.as_bytes());
        }
        match property {
            Property::GetAcl(m) => {
                word(&mut out, "GETACL");
                name(&mut out, Some(m));
            }
            Property::MyRights(m) => {
                word(&mut out, "MYRIGHTS");
                name(&mut out, Some(m));
            }
            Property::ListRights { mailbox, identifier } => {
                word(&mut out, "LISTRIGHTS");
                name(&mut out, Some(mailbox));
                text(&mut out, identifier);
            }
            Property::DeleteAcl { mailbox, identifier } => {
                word(&mut out, "DELETEACL");
                name(&mut out, Some(mailbox));
                text(&mut out, identifier);
            }
            Property::SetAcl {
                mailbox,
                identifier,
                rights,
            } => {
                word(&mut out, "SETACL");
                name(&mut out, Some(mailbox));
                text(&mut out, identifier);
                text(&mut out, rights);
            }
            Property::GetQuota(root) => {
                word(&mut out, "GETQUOTA");
                text(&mut out, root);
            }
            Property::GetQuotaRoot(m) => {
                word(&mut out, "GETQUOTAROOT");
                name(&mut out, Some(m));
            }
            Property::SetQuota { root, limits } => {
                word(&mut out, "SETQUOTA");
                text(&mut out, root);
                let limits: Vec<String> = limits.iter().map(|(r, n)| format!("{r} {n}")).collect();
                word(&mut out, &format!(" ({})", limits.join(" ")));
            }
            Property::GetMetadata(get) => {
                word(&mut out, "GETMETADATA");
                let mut options = Vec::new();
                options.extend(get.size_max_bytes.map(|n| format!("MAXSIZE {n}")));
                match get.depth {
                    Depth::Itself => {}
                    Depth::Children => options.push("DEPTH 1".to_owned()),
                    Depth::All => options.push("DEPTH infinity".to_owned()),
                }
                if !options.is_empty() {
                    word(&mut out, &format!(" ({})", options.join(" ")));
                }
                name(&mut out, get.mailbox.as_ref());
                word(&mut out, " (");
                for (n, entry) in get.entries.iter().enumerate() {
                    word(&mut out, if n == 0 { "" } else { " " });
                    put_astring(&mut out, entry.as_bytes());
                }
                out.push(b')');
            }
            Property::SetMetadata { mailbox, entries } => {
                word(&mut out, "SETMETADATA");
                name(&mut out, mailbox.as_ref());
                word(&mut out, " (");
                for (n, (entry, value)) in entries.iter().enumerate() {
                    word(&mut out, if n == 0 { "" } else { " " });
                    put_astring(&mut out, entry.as_bytes());
                    out.push(b' ');
                    super::super::response::put_nstring(&mut out, value.as_deref());
                }
                out.push(b')');
            }
        }
        out
    }

    fn any_property() -> impl Strategy<Value = Property> {
        let mailbox = "[a-zA-ZçÇğıİ &\"-]{1,10}(/[a-z]{1,4})?";
        let mailbox = mailbox
            .prop_filter_map("a name", |n| MailboxName::new(&n).ok())
            .boxed();
        let word = "[a-z@ \"\\\\]{0,8}".boxed();
        let entry = "(/[a-z0-9 .]{1,6}){1,4}".boxed();
        let value = prop::option::of(prop::collection::vec(1..=255u8, 0..9)).boxed();
        let depth = prop_oneof![Just(Depth::Itself), Just(Depth::Children), Just(Depth::All)];
        let get = (
            prop::option::of(mailbox.clone()),
            prop::collection::vec(entry.clone(), 1..4),
            prop::option::of(0..9999u64),
            depth,
        );
        let limits = prop::collection::vec(("[A-Z]{1,8}", 0..9999u64), 0..3);
        prop_oneof![
            mailbox.clone().prop_map(Property::GetAcl),
            mailbox.clone().prop_map(Property::MyRights),
            mailbox.clone().prop_map(Property::GetQuotaRoot),
            word.clone().prop_map(Property::GetQuota),
            (mailbox.clone(), word.clone())
                .prop_map(|(mailbox, identifier)| Property::ListRights { mailbox, identifier }),
            (mailbox.clone(), word.clone())
                .prop_map(|(mailbox, identifier)| Property::DeleteAcl { mailbox, identifier }),
            (mailbox.clone(), word.clone(), "[+-]?[a-z0-9]{0,5}").prop_map(
                |(mailbox, identifier, rights)| {
                    Property::SetAcl {
                        mailbox,
                        identifier,
                        rights,
                    }
                }
            ),
            (word, limits).prop_map(|(root, limits)| Property::SetQuota { root, limits }),
            get.prop_map(
                |(mailbox, entries, size_max_bytes, depth)| Property::GetMetadata(GetMetadata {
                    mailbox,
                    entries,
                    size_max_bytes,
                    depth,
                })
            ),
            (
                prop::option::of(mailbox),
                prop::collection::vec((entry, value), 1..4)
            )
                .prop_map(|(mailbox, entries)| Property::SetMetadata { mailbox, entries }),
        ]
    }

    proptest! {
        #[test]
        fn print_and_parse_of_properties_are_inverses(property in any_property()) {
            let octets = printed(&property);
            let read = command(&octets);
            prop_assert_eq!(read, Ok(Command::Property(property)), "{}", String::from_utf8_lossy(&octets));
        }
    }

    #[test]
    fn the_options_of_getmetadata_stand_on_either_side() {
        let before = command(b"GETMETADATA (MAXSIZE 1024 DEPTH 1) INBOX (/shared/comment)");
        assert_eq!(
            before,
            command(b"GETMETADATA INBOX (MAXSIZE 1024 DEPTH 1) (/shared/comment)")
        );
        assert!(before.is_ok());
        for bad in [
            b"GETMETADATA INBOX shared".as_slice(),
            b"GETMETADATA INBOX /a//b",
            b"GETMETADATA INBOX /a/",
            b"GETMETADATA INBOX \"/a/%\"",
            b"GETMETADATA (DEPTH 2) INBOX /a",
            b"SETMETADATA INBOX ()",
            b"SETACL INBOX ayse LR",
            b"MYRIGHTS \"\"",
        ] {
            assert!(command(bad).is_err(), "{}", String::from_utf8_lossy(bad));
        }
    }
}
