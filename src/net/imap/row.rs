//! One message's part of a FETCH answer: from items, outlines and header blocks to the engine's values.

use crate::domain::selector::Viewer;
use crate::id::ItemId;
use crate::imap::ask::{Content, FetchAsk, Member, Row};
use crate::imap::command::{FetchItem, Section, SectionText};
use crate::imap::structure::{
    Address, BodyStructure, Envelope, Extension, Parameters, SingleKind, SinglePart,
};
use crate::mime::field::{self, Parametrised};
use crate::mime::mailbox::{Entry, Mailbox};
use crate::mime::structure::{self, Part, PartKind, Structure};
use crate::mime::summary::Summary;
use crate::service::account::Principal;
use crate::service::failure::Failure;
use crate::service::mailbox::{Letter, Mailboxes, MarkHow, Marks, Opened};

/// What a FETCH needs of each message, found once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    flags: bool,
    size: bool,
    envelope: bool,
    structure: bool,
    sections: bool,
    /// Content itself is given: that is reading.
    content: bool,
}

impl Wanted {
    pub(super) fn of(ask: &FetchAsk) -> Self {
        let structure = ask.asks_for(&FetchItem::Body) || ask.asks_for(&FetchItem::BodyStructure);
        Self {
            flags: ask.asks_for(&FetchItem::Flags),
            size: ask.asks_for(&FetchItem::Size),
            envelope: ask.asks_for(&FetchItem::Envelope),
            structure,
            sections: ask.sections().next().is_some(),
            content: ask.sections().any(gives_content),
        }
    }

    fn letter(self) -> bool {
        self.envelope || self.structure || self.sections
    }
}

/// Whether a section is more than headers and structure.
fn gives_content(section: &Section) -> bool {
    matches!(section.text, SectionText::All | SectionText::Text)
}

/// The row of one message, and whether its flags were changed by it; `None` when the user does not see it any more.
pub(super) async fn make(
    mailboxes: &Mailboxes,
    by: &Principal,
    viewer: &Viewer<'_>,
    opened: &Opened,
    member: Member,
    ask: &FetchAsk,
    wanted: &Wanted,
) -> Result<Option<(Row, bool)>, Failure> {
    let id = ItemId(member.key);
    let Some(look) = mailboxes.look(viewer, id)? else {
        return Ok(None);
    };
    // Read with the look, so that nothing newer is promised than what is shown.
    let mut modseq = None;
    if ask.with_modseq || ask.since.is_some() {
        modseq = Some(mailboxes.modseq(by, opened, member.uid, &look)?.0);
    }
    if let (Some(since), Some(modseq)) = (&ask.since, modseq)
        && modseq <= since.modseq
    {
        return Ok(None);
    }
    let mut row = Row {
        uid: member.uid,
        internal_date: Some(look.item().internal_date),
        ..Row::default()
    };
    if wanted.content {
        mailboxes.hand_over(by, look.item()).await?;
    }
    let mut marks = look.marks.clone();
    let fresh = ask.mark_seen && !marks.seen;
    if fresh {
        let seen = Marks {
            seen: true,
            ..Marks::default()
        };
        let marked = mailboxes.mark(by, &[id], MarkHow::Add, &seen).await?;
        if let Some((_, now)) = marked.done.into_iter().next() {
            marks = now;
        }
        if let Some(at) = marked.changed_at.get(&id) {
            modseq = modseq.max(Some(at.0));
        }
    }
    row.modseq = modseq;
    row.flags = (wanted.flags || fresh).then(|| super::carry::flags(&marks));
    if wanted.letter() {
        let Some(letter) = mailboxes.letter(&look.shown).await? else {
            return Ok(None);
        };
        row.size = Some(letter.size_bytes());
        if wanted.envelope {
            row.envelope = Some(Box::new(envelope(&letter.outline.summary)));
        }
        if wanted.structure {
            row.structure = Some(Box::new(body(mailboxes, &letter).await?));
        }
        for wanted in ask.sections() {
            row.sections.push(section(mailboxes, &letter, wanted).await?);
        }
    } else if wanted.size {
        row.size = mailboxes.size_of(&look.shown)?;
    }
    Ok(Some((row, fresh)))
}

async fn section(mailboxes: &Mailboxes, letter: &Letter, section: &Section) -> Result<Content, Failure> {
    let what = match section.text {
        SectionText::All => structure::Section::Full,
        SectionText::Text => structure::Section::Text,
        SectionText::Mime => structure::Section::Mime,
        SectionText::Header | SectionText::Fields(_) | SectionText::FieldsNot(_) => {
            structure::Section::Header
        }
    };
    let Some(span) = letter.outline.structure.locate(&section.part, what) else {
        return Ok(Content::Nil);
    };
    let (names, keep) = match &section.text {
        SectionText::Fields(names) => (names, true),
        SectionText::FieldsNot(names) => (names, false),
        _ => {
            return Ok(Content::Stored {
                offset: span.start,
                len: span.octets(),
            });
        }
    };
    let block = mailboxes.header(letter, span).await?;
    let mut chosen = Vec::new();
    for field in field::fields(&block) {
        if names.iter().any(|name| field.is(name)) == keep {
            chosen.extend_from_slice(field.raw);
        }
    }
    chosen.extend_from_slice(b"\r\n");
    Ok(Content::Octets(chosen))
}

/// ENVELOPE, with encoded words as they stand (RFC 9051 7.5.2).
fn envelope(seen: &Summary) -> Envelope {
    let octets = |text: &Option<String>| text.as_ref().map(|t| t.clone().into_bytes());
    Envelope {
        date: octets(&seen.date_raw),
        subject: octets(&seen.subject_raw),
        from: addresses(&seen.from),
        sender: addresses(&seen.sender),
        reply_to: addresses(&seen.reply_to),
        to: addresses(&seen.to),
        cc: addresses(&seen.cc),
        bcc: addresses(&seen.bcc),
        in_reply_to: octets(&seen.in_reply_to),
        message_id: octets(&seen.message_id),
    }
}

fn addresses(list: &[Entry]) -> Vec<Address> {
    let one = |m: &Mailbox| Address {
        name: m.name.as_ref().map(|n| n.clone().into_bytes()),
        mailbox: Some(m.local.clone().into_bytes()),
        host: Some(m.domain.clone().into_bytes()),
    };
    let mut flat = Vec::new();
    for entry in list {
        match entry {
            Entry::One(mailbox) => flat.push(one(mailbox)),
            Entry::Group { name, members } => {
                flat.push(Address {
                    mailbox: Some(name.clone().into_bytes()),
                    ..Address::default()
                });
                flat.extend(members.iter().map(one));
                flat.push(Address::default());
            }
        }
    }
    flat
}

/// BODYSTRUCTURE. Envelopes of nested messages are read from their header blocks.
async fn body(mailboxes: &Mailboxes, letter: &Letter) -> Result<BodyStructure, Failure> {
    let map = &letter.outline.structure;
    let mut envelopes = Vec::with_capacity(map.parts.len());
    for part in &map.parts {
        let nested = match part.kind {
            PartKind::Message => map.children(part).next(),
            _ => None,
        };
        envelopes.push(match nested {
            Some(root) => Some(envelope(&Summary::of(
                &mailboxes.header(letter, root.header).await?,
            ))),
            None => None,
        });
    }
    Ok(describe(map, &envelopes, 0, 0))
}

/// The structure of the part at `index`. The map is at most `mime::scan::DEPTH_MAX` deep; the bound here only keeps
/// a damaged row from recursing for ever.
fn describe(map: &Structure, envelopes: &[Option<Envelope>], index: usize, depth: usize) -> BodyStructure {
    let Some(part) = map.parts.get(index) else {
        return BodyStructure::Single(Box::default());
    };
    let (main, sub) = part.media_type();
    let children = if depth < crate::mime::scan::DEPTH_MAX * 2 {
        part.children.as_slice()
    } else {
        &[]
    };
    let child = |at: &u16| describe(map, envelopes, usize::from(*at), depth + 1);
    if part.kind == PartKind::Multipart && !children.is_empty() {
        return BodyStructure::Multipart {
            parts: children.iter().map(child).collect(),
            subtype: sub.as_bytes().to_vec(),
            parameters: parameters(&part.content_type),
            extension: extension(part),
        };
    }
    let lines = u64::from(part.lines);
    let kind = match (part.kind, children.first(), envelopes.get(index)) {
        (PartKind::Message, Some(root), Some(Some(envelope))) => SingleKind::Message {
            envelope: Box::new(envelope.clone()),
            body: Box::new(child(root)),
            lines,
        },
        _ if main.eq_ignore_ascii_case("text") => SingleKind::Text { lines },
        _ => SingleKind::Basic,
    };
    let octets = |text: &Option<String>| text.as_ref().map(|t| t.clone().into_bytes());
    // A multipart that shows no parts, or a message that was not looked into, is written as plain octets.
    let opaque = matches!(kind, SingleKind::Basic) && part.kind != PartKind::Leaf;
    let (main, sub) = if opaque {
        ("application", "octet-stream")
    } else {
        (main, sub)
    };
    BodyStructure::Single(Box::new(SinglePart {
        media_type: main.as_bytes().to_vec(),
        subtype: sub.as_bytes().to_vec(),
        parameters: parameters(&part.content_type),
        id: octets(&part.id),
        description: octets(&part.description),
        encoding: octets(&part.encoding).unwrap_or_else(|| b"7BIT".to_vec()),
        size_octets: part.body.octets(),
        kind,
        md5: octets(&part.md5),
        extension: extension(part),
    }))
}

fn parameters(value: &Parametrised) -> Parameters {
    let pair = |(name, value): &(String, String)| (name.clone().into_bytes(), value.clone().into_bytes());
    value.params.iter().map(pair).collect()
}

fn extension(part: &Part) -> Extension {
    let disposition = part
        .disposition
        .as_ref()
        .map(|d| (d.value.clone().into_bytes(), parameters(d)));
    Extension {
        disposition,
        language: part.language.iter().map(|l| l.clone().into_bytes()).collect(),
        location: part.location.as_ref().map(|l| l.clone().into_bytes()),
    }
}
