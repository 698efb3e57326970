//! Address lists of header fields (RFC 5322 3.4), spelled as in the message.
//!
//! IMAP's ENVELOPE wants names with their encoded words left alone; people want them decoded: a [`Mailbox`] gives both.
//! Tolerant: what cannot be read as an address is passed over, nothing is refused.

use serde::{Deserialize, Serialize};

/// Addresses kept of one list; no provider takes more recipients in one message.
pub const MAILBOXES_MAX: usize = 1_000;
/// Octets of one list that are read.
pub const LIST_MAX_OCTETS: usize = 64 * 1024;

/// `name <local@domain>`. `name` is unquoted, with encoded words as spelled.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Mailbox {
    pub name: Option<String>,
    pub local: String,
    pub domain: String,
}

impl Mailbox {
    /// `local@domain`, or the local part alone where the message names no domain.
    pub fn address(&self) -> String {
        if self.domain.is_empty() {
            self.local.clone()
        } else {
            format!("{}@{}", self.local, self.domain)
        }
    }

    /// The name as a person reads it.
    pub fn display(&self) -> Option<String> {
        self.name.as_deref().map(super::decode::words)
    }
}

/// An entry of an address list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Entry {
    One(Mailbox),
    Group { name: String, members: Vec<Mailbox> },
}

/// Every mailbox of a list, groups opened.
pub fn mailboxes(list: &[Entry]) -> impl Iterator<Item = &Mailbox> {
    list.iter().flat_map(|entry| match entry {
        Entry::One(mailbox) => std::slice::from_ref(mailbox),
        Entry::Group { members, .. } => members.as_slice(),
    })
}

/// Reads the value of From, To and their like.
pub fn parse_list(value: &[u8]) -> Vec<Entry> {
    let line = super::field::unfold(&value[..value.len().min(LIST_MAX_OCTETS)]);
    let mut reader = Reader {
        octets: &line,
        at: 0,
        list: Vec::new(),
        group: None,
        words: Words::default(),
        count: 0,
    };
    reader.read();
    reader.list
}

#[derive(Default)]
struct Words {
    /// Text before `<`, or a bare address.
    text: Vec<u8>,
    angle: Option<Vec<u8>>,
    comment: Vec<u8>,
}

struct Reader<'a> {
    octets: &'a [u8],
    at: usize,
    list: Vec<Entry>,
    group: Option<(String, Vec<Mailbox>)>,
    words: Words,
    count: usize,
}

impl Reader<'_> {
    fn read(&mut self) {
        while let Some(b) = self.octets.get(self.at).copied() {
            self.at += 1;
            match b {
                b'"' => {
                    let mut quoted = Vec::new();
                    self.quoted(&mut quoted);
                    // A quoted local part keeps its quotes; a quoted name loses them.
                    if self.octets.get(self.at) == Some(&b'@') {
                        quoted = [b"\"", quoted.as_slice(), b"\""].concat();
                    }
                    self.words.text.extend_from_slice(&quoted);
                }
                b'(' => self.comment(),
                b'<' => {
                    let end = self.octets[self.at..]
                        .iter()
                        .position(|b| *b == b'>')
                        .map(|n| self.at + n);
                    let end = end.unwrap_or(self.octets.len());
                    self.words.angle = Some(self.octets[self.at..end].to_vec());
                    self.at = (end + 1).min(self.octets.len());
                }
                b':' if self.group.is_none() && self.words.angle.is_none() => {
                    let name = text_of(&std::mem::take(&mut self.words.text));
                    self.group = Some((name, Vec::new()));
                }
                b';' => {
                    self.end_mailbox();
                    self.end_group();
                }
                b',' => self.end_mailbox(),
                b => self.words.text.push(b),
            }
        }
        self.end_mailbox();
        self.end_group();
    }

    fn end_group(&mut self) {
        if let Some((name, members)) = self.group.take() {
            self.list.push(Entry::Group { name, members });
        }
    }

    fn end_mailbox(&mut self) {
        let words = std::mem::take(&mut self.words);
        let text = text_of(&words.text);
        let comment = Some(text_of(&words.comment)).filter(|c| !c.is_empty());
        let (name, address) = match words.angle {
            Some(angle) => (Some(text).filter(|t| !t.is_empty()).or(comment), text_of(&angle)),
            None => (comment, text),
        };
        // An obsolete route stands before the last colon: `<@a,@b:user@c>`.
        let address = match address.strip_prefix('@').and_then(|route| route.split_once(':')) {
            Some((_, tail)) => tail.to_owned(),
            None => address,
        };
        if address.is_empty() || self.count >= MAILBOXES_MAX {
            return;
        }
        self.count += 1;
        let (local, domain) = match address.rsplit_once('@') {
            Some((local, domain)) => (local.trim().to_owned(), domain.trim().to_owned()),
            None => (address, String::new()),
        };
        let mailbox = Mailbox { name, local, domain };
        match &mut self.group {
            Some((_, members)) => members.push(mailbox),
            None => self.list.push(Entry::One(mailbox)),
        }
    }

    fn quoted(&mut self, out: &mut Vec<u8>) {
        while let Some(b) = self.octets.get(self.at).copied() {
            self.at += 1;
            match b {
                b'"' => return,
                b'\\' => {
                    out.extend(self.octets.get(self.at));
                    self.at += 1;
                }
                b => out.push(b),
            }
        }
        self.at = self.octets.len();
    }

    fn comment(&mut self) {
        let mut depth = 1u32;
        while let Some(b) = self.octets.get(self.at).copied() {
            self.at += 1;
            match b {
                b'(' => depth += 1,
                b')' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return;
            }
            self.words.comment.push(b);
        }
    }
}

fn text_of(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets.trim_ascii()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(value: &str) -> Vec<(Option<String>, String)> {
        let list = parse_list(value.as_bytes());
        mailboxes(&list).map(|m| (m.display(), m.address())).collect()
    }

    #[test]
    fn lists_in_their_forms() {
        assert_eq!(
            flat("\"Ör, nek\" <a@b.tr>,\r\n =?utf-8?B?xZ4=?= <c@d>, e@f (Yorum (iç)), <>, <@x,@y:g@h>"),
            vec![
                (Some("Ör, nek".into()), "a@b.tr".into()),
                (Some("Ş".into()), "c@d".into()),
                (Some("Yorum (iç)".into()), "e@f".into()),
                (None, "g@h".into()),
            ]
        );
    }

    #[test]
    fn groups_and_raw_names() {
        let list = parse_list(b"Takim: a@b, \"q q\"@c; , =?utf-8?Q?=C5=9E?= <x@y>");
        assert_eq!(list.len(), 2);
        assert!(
            matches!(&list[0], Entry::Group { name, members } if name == "Takim" && members[1].local == "\"q q\"")
        );
        assert!(matches!(&list[1], Entry::One(m) if m.name.as_deref() == Some("=?utf-8?Q?=C5=9E?=")));
    }

    #[test]
    fn broken_lists_end() {
        for bad in ["\"", "\\", "(((", "<a@b", "a:b:c;;;,,", "\"\\", "\u{15e}@"] {
            assert!(parse_list(bad.as_bytes()).len() <= 2, "{bad}");
        }
        let many = "a@b,".repeat(5_000);
        assert_eq!(parse_list(many.as_bytes()).len(), MAILBOXES_MAX);
    }
}
