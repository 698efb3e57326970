//! What of the messages in memory the dialogues' door gives: sections, and decoded parts.

use super::ask::{Content, Transfer};
use super::command::{Section, SectionText};
use super::test_door::{decoded, encoding};
use super::test_mailbox::Message;

pub(super) fn binary(message: &Message, part: &[u32], body_at: usize) -> Content {
    let (offset, len) = (body_at as u64, (message.octets.len() - body_at) as u64);
    match (part, encoding(message).as_deref()) {
        ([], _) => Content::Stored {
            offset: 0,
            len: message.octets.len() as u64,
        },
        ([1], Some("base64")) => {
            let how = Transfer::Base64;
            let decoded = decoded(&message.octets[body_at..], how);
            Content::Decoded {
                offset,
                len,
                how,
                octets: decoded.len() as u64,
                nul: decoded.contains(&0),
            }
        }
        ([1], _) => Content::Stored { offset, len },
        _ => Content::Nil,
    }
}

pub(super) fn section(message: &Message, section: &Section, body_at: usize) -> Content {
    let (len, head) = (message.octets.len() as u64, body_at as u64);
    let fields = |wanted: &dyn Fn(&str) -> bool| {
        let text = String::from_utf8_lossy(&message.octets[..body_at]).into_owned();
        let lines = text
            .split_inclusive("\r\n")
            .filter(|l| wanted(l.split(':').next().unwrap()) || *l == "\r\n");
        Content::Octets(lines.collect::<String>().into_bytes())
    };
    match (&section.part[..], &section.text) {
        ([], SectionText::All) => Content::Stored { offset: 0, len },
        ([], SectionText::Header) => Content::Stored { offset: 0, len: head },
        ([], SectionText::Text) | ([1], SectionText::All) => Content::Stored {
            offset: head,
            len: len - head,
        },
        ([], SectionText::Fields(names)) => fields(&|n| names.iter().any(|x| x.eq_ignore_ascii_case(n))),
        ([], SectionText::FieldsNot(names)) => {
            fields(&|n| n != "\r\n" && !names.iter().any(|x| x.eq_ignore_ascii_case(n)))
        }
        _ => Content::Nil,
    }
}
