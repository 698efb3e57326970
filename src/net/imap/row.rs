//! One message's part of a FETCH answer: from items, outlines and header blocks to the engine's values.

use super::decoded;
use super::object_id::{email_id, thread_id};
use crate::domain::selector::Viewer;
use crate::id::{ItemId, ModSeq};
use crate::imap::ask::{Content, FetchAsk, Member, Row};
use crate::imap::command::{FetchItem, Section, SectionText};
use crate::imap::structure::{
    Address, BodyStructure, Envelope, Extension, Parameters, SingleKind, SinglePart,
};
use crate::mime::field::{self, Parametrised};
use crate::mime::mailbox::{Entry, Mailbox};
use crate::mime::structure::{self, Part, PartKind};
use crate::mime::summary::Summary;
use crate::service::account::Principal;
use crate::service::failure::Failure;
use crate::service::mailbox::{Letter, Mailboxes, MarkHow, MarkReader, Marks, Opened, Preview, Sheet, Shown};
use std::collections::HashMap;

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
    binaries: bool,
    preview: bool,
    email_id: bool,
    thread_id: bool,
    /// All sections are the message as a whole: where its parts are need not be known.
    whole: bool,
}

impl Wanted {
    pub(super) fn gives_content(&self) -> bool {
        self.content || self.preview
    }

    pub(super) fn previews(self) -> bool {
        self.preview
    }

    pub(super) fn of(ask: &FetchAsk) -> Self {
        let structure = ask.asks_for(&FetchItem::Body) || ask.asks_for(&FetchItem::BodyStructure);
        Self {
            flags: ask.asks_for(&FetchItem::Flags),
            size: ask.asks_for(&FetchItem::Size),
            envelope: ask.asks_for(&FetchItem::Envelope),
            structure,
            sections: ask.sections().next().is_some(),
            content: ask.sections().any(gives_content) || ask.binaries().next().is_some(),
            binaries: ask.binaries().next().is_some() || ask.binary_sizes().next().is_some(),
            preview: previews(ask).next().is_some(),
            email_id: ask.asks_for(&FetchItem::EmailId),
            thread_id: ask.asks_for(&FetchItem::ThreadId),
            whole: ask
                .sections()
                .all(|s| s.part.is_empty() && s.text == SectionText::All),
        }
    }

    fn letter(self) -> bool {
        let sections = self.sections && !self.whole;
        self.envelope || self.structure || sections || self.binaries || self.preview || self.thread_id
    }
}

/// Whether each PREVIEW that is asked for is LAZY.
fn previews(ask: &FetchAsk) -> impl Iterator<Item = bool> {
    ask.items.iter().filter_map(|item| match item {
        FetchItem::Preview { lazy } => Some(*lazy),
        _ => None,
    })
}

/// What became of a row.
pub(super) enum Made {
    /// With whether its flags were changed by it, and where its octets are.
    Row(Box<Row>, bool, Option<Sheet>),
    /// The user does not see the message any more.
    Gone,
    /// A part that is to be decoded has an encoding that nobody here knows; nothing was given or changed.
    Undecodable,
}

/// Whether a section is more than the message's own header, and structure. The header of a message inside is content of
/// the one around it.
fn gives_content(section: &Section) -> bool {
    match section.text {
        SectionText::All | SectionText::Text => true,
        SectionText::Header | SectionText::Fields(_) | SectionText::FieldsNot(_) => !section.part.is_empty(),
        SectionText::Mime => false,
    }
}

/// Whether any octet of content leaves with this row: a part that is not there, or a range behind the end, gives nothing
/// and is no reading.
fn gives_octets(ask: &FetchAsk, letter: Option<&Letter>, size_bytes: u64, row: &Row) -> bool {
    let some = |len: u64, partial: Option<(u64, u64)>| partial.map_or(0, |(first, _)| first) < len;
    let of_section = |item: &FetchItem| match item {
        FetchItem::Section(wanted) if gives_content(&wanted.section) => {
            let len = match letter {
                Some(letter) => {
                    let map = &letter.outline.structure;
                    let span = map.locate(&wanted.section.part, place_of(&wanted.section.text));
                    span.map_or(0, |span| span.octets())
                }
                None => size_bytes,
            };
            some(len, wanted.partial)
        }
        _ => false,
    };
    let of_binary = |content: &Content| match content {
        Content::Nil => 0,
        Content::Octets(octets) => octets.len() as u64,
        Content::Stored { len, .. } => *len,
        Content::Decoded { octets, .. } => *octets,
    };
    let mut binaries = ask.binaries().zip(&row.binaries);
    ask.items.iter().any(of_section)
        || binaries.any(|(wanted, content)| some(of_binary(content), wanted.partial))
}

/// Where the map finds it.
fn place_of(text: &SectionText) -> structure::Section {
    match text {
        SectionText::All => structure::Section::Full,
        SectionText::Text => structure::Section::Text,
        SectionText::Mime => structure::Section::Mime,
        SectionText::Header | SectionText::Fields(_) | SectionText::FieldsNot(_) => {
            structure::Section::Header
        }
    }
}

/// The row of one message.
pub(super) async fn make(
    mailboxes: &Mailboxes,
    by: &Principal,
    (viewer, reader): (&Viewer<'_>, &mut MarkReader<'_>),
    opened: &Opened,
    member: Member,
    ask: &FetchAsk,
    wanted: &Wanted,
) -> Result<Made, Failure> {
    let id = ItemId(member.key);
    let marked = wanted.flags || ask.mark_seen || ask.with_modseq || ask.since.is_some();
    if marked {
        reader.turn_to(id)?;
    }
    let Some(shown) = mailboxes.visible(viewer, id)? else {
        return Ok(Made::Gone);
    };
    let item = &shown.row;
    let (mut marks, mut modseq) = (None, None);
    if marked {
        let (now, changed_at) = reader.marks_of(viewer, item)?;
        marks = Some(now);
        if ask.with_modseq || ask.since.is_some() {
            // Read with the marks, so that nothing newer is promised than what is shown.
            modseq = Some(mailboxes.modseq(by, opened, member.uid, changed_at)?.0);
        }
    }
    if let (Some(since), Some(modseq)) = (&ask.since, modseq)
        && modseq <= since.modseq
    {
        return Ok(Made::Gone);
    }
    let mut row = Row {
        uid: member.uid,
        internal_date: Some(item.internal_date),
        save_date: Some(opened.mailbox.saved(item)),
        email_id: wanted.email_id.then(|| email_id(id)),
        ..Row::default()
    };
    let letter = match wanted.letter() {
        true => match mailboxes.letter(&shown).await? {
            Some(letter) => Some(letter),
            None => return Ok(Made::Gone),
        },
        false => None,
    };
    if let Some(letter) = letter.as_ref().filter(|_| wanted.binaries)
        && !decoded::add(mailboxes, letter, ask, &mut row).await?
    {
        return Ok(Made::Undecodable);
    }
    let sheet = match &letter {
        Some(letter) => Some(letter.sheet()),
        None if wanted.size || wanted.sections => mailboxes.sheet(&shown)?,
        None => None,
    };
    let size_bytes = sheet.as_ref().map_or(0, Sheet::size_bytes);
    if wanted.content && gives_octets(ask, letter.as_ref(), size_bytes, &row) {
        mailboxes.hand_over(by, item).await?;
    }
    let fresh = ask.mark_seen && marks.as_ref().is_some_and(|marks| !marks.seen);
    if fresh && let Some((now, at)) = seen(mailboxes, by, id).await? {
        marks = Some(now);
        modseq = modseq.max(Some(at.0));
    }
    row.modseq = modseq;
    let marks = marks.filter(|_| wanted.flags || fresh);
    row.flags = marks.map(|marks| super::carry::flags(&marks));
    if let Some(letter) = letter {
        tell(mailboxes, by, &shown, letter, ask, wanted, &mut row).await?;
    }
    if let Some(sheet) = &sheet {
        let len = sheet.size_bytes();
        row.size = Some(len);
        if row.sections.is_empty() && wanted.whole {
            row.sections = ask
                .sections()
                .map(|_| Content::Stored { offset: 0, len })
                .collect();
        }
    }
    Ok(Made::Row(Box::new(row), fresh, sheet))
}

/// Marks a message as seen by its reader.
async fn seen(mailboxes: &Mailboxes, by: &Principal, id: ItemId) -> Result<Option<(Marks, ModSeq)>, Failure> {
    let seen = Marks {
        seen: true,
        ..Marks::default()
    };
    let marked = mailboxes.mark(by, &[id], MarkHow::Add, &seen).await?;
    let done = marked.done.into_iter().next();
    Ok(done.map(|done| (done.marks, done.changed_at)))
}

/// What the outline and the octets of a letter tell. The outline is taken apart: nothing of it is copied.
async fn tell(
    mailboxes: &Mailboxes,
    by: &Principal,
    shown: &Shown,
    mut letter: Letter,
    ask: &FetchAsk,
    wanted: &Wanted,
    row: &mut Row,
) -> Result<(), Failure> {
    if wanted.thread_id {
        row.thread_id = Some(thread_id(shown.row.id, &letter.outline.summary));
    }
    for wanted in ask.sections() {
        row.sections.push(section(mailboxes, &letter, wanted).await?);
    }
    for lazy in previews(ask) {
        row.preview = match mailboxes.preview(by, &shown.row, &letter).await? {
            Preview::Words(words) => Some(words),
            // RFC 8970 3.2: NIL is for LAZY only; who is not, hears that there is nothing to show.
            Preview::Unread => (!lazy).then(String::new),
        };
    }
    if wanted.structure {
        let envelopes = nested_envelopes(mailboxes, &letter).await?;
        let mut map = std::mem::take(&mut letter.outline.structure.parts);
        row.structure = Some(Box::new(describe(&mut map, envelopes, 0, 0)));
    }
    if wanted.envelope {
        row.envelope = Some(Box::new(envelope(letter.outline.summary)));
    }
    Ok(())
}

async fn section(mailboxes: &Mailboxes, letter: &Letter, section: &Section) -> Result<Content, Failure> {
    let Some(span) = letter
        .outline
        .structure
        .locate(&section.part, place_of(&section.text))
    else {
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
fn envelope(seen: Summary) -> Envelope {
    let octets = |text: Option<String>| text.map(String::into_bytes);
    Envelope {
        date: octets(seen.date_raw),
        subject: octets(seen.subject_raw),
        from: addresses(seen.from),
        sender: addresses(seen.sender),
        reply_to: addresses(seen.reply_to),
        to: addresses(seen.to),
        cc: addresses(seen.cc),
        bcc: addresses(seen.bcc),
        in_reply_to: octets(seen.in_reply_to),
        message_id: octets(seen.message_id),
    }
}

fn addresses(list: Vec<Entry>) -> Vec<Address> {
    let one = |m: Mailbox| Address {
        name: m.name.map(String::into_bytes),
        mailbox: Some(m.local.into_bytes()),
        host: Some(m.domain.into_bytes()),
    };
    let mut flat = Vec::with_capacity(list.len());
    for entry in list {
        match entry {
            Entry::One(mailbox) => flat.push(one(mailbox)),
            Entry::Group { name, members } => {
                flat.push(Address {
                    mailbox: Some(name.into_bytes()),
                    ..Address::default()
                });
                flat.extend(members.into_iter().map(one));
                flat.push(Address::default());
            }
        }
    }
    flat
}

/// The envelopes of nested messages, read from their header blocks; by the index of the part that holds the message.
async fn nested_envelopes(
    mailboxes: &Mailboxes,
    letter: &Letter,
) -> Result<HashMap<usize, Envelope>, Failure> {
    let map = &letter.outline.structure;
    let mut envelopes = HashMap::new();
    for (at, part) in map.parts.iter().enumerate() {
        if part.kind == PartKind::Message
            && let Some(root) = map.children(part).next()
        {
            let block = mailboxes.header(letter, root.header).await?;
            envelopes.insert(at, envelope(Summary::of(&block)));
        }
    }
    Ok(envelopes)
}

/// The structure of the part at `index`, taken out of the map. The map is at most `mime::scan::DEPTH_MAX` deep; the bound
/// here only keeps a damaged row from recursing for ever.
fn describe(
    map: &mut [Part],
    envelopes: HashMap<usize, Envelope>,
    index: usize,
    depth: usize,
) -> BodyStructure {
    Describing { map, envelopes }.part(index, depth)
}

struct Describing<'m> {
    map: &'m mut [Part],
    envelopes: HashMap<usize, Envelope>,
}

impl Describing<'_> {
    fn part(&mut self, index: usize, depth: usize) -> BodyStructure {
        let Some(part) = self.map.get_mut(index) else {
            return BodyStructure::Single(Box::default());
        };
        let children = std::mem::take(&mut part.children);
        let children = if depth < crate::mime::scan::DEPTH_MAX * 2 {
            children.as_slice()
        } else {
            &[]
        };
        let (kind, main_is_text) = (part.kind, part.media_type().0.eq_ignore_ascii_case("text"));
        let lines = u64::from(part.lines);
        if kind == PartKind::Multipart && !children.is_empty() {
            let parts = children
                .iter()
                .map(|at| self.part(usize::from(*at), depth + 1))
                .collect();
            return self.multipart(index, parts);
        }
        let kind = match (kind, children.first(), self.envelopes.remove(&index)) {
            (PartKind::Message, Some(root), Some(envelope)) => SingleKind::Message {
                envelope: Box::new(envelope),
                body: Box::new(self.part(usize::from(*root), depth + 1)),
                lines,
            },
            _ if main_is_text => SingleKind::Text { lines },
            _ => SingleKind::Basic,
        };
        self.single(index, kind)
    }

    fn multipart(&mut self, index: usize, parts: Vec<BodyStructure>) -> BodyStructure {
        let Some(part) = self.map.get_mut(index) else {
            return BodyStructure::Single(Box::default());
        };
        BodyStructure::Multipart {
            parts,
            subtype: part.media_type().1.as_bytes().to_vec(),
            extension: extension(part),
            parameters: parameters(std::mem::take(&mut part.content_type)),
        }
    }

    fn single(&mut self, index: usize, kind: SingleKind) -> BodyStructure {
        let Some(part) = self.map.get_mut(index) else {
            return BodyStructure::Single(Box::default());
        };
        let octets = |text: &mut Option<String>| text.take().map(String::into_bytes);
        // A multipart that shows no parts, or a message that was not looked into, is written as plain octets.
        let opaque = matches!(kind, SingleKind::Basic) && part.kind != PartKind::Leaf;
        let (main, sub) = if opaque {
            ("application", "octet-stream")
        } else {
            part.media_type()
        };
        BodyStructure::Single(Box::new(SinglePart {
            media_type: main.as_bytes().to_vec(),
            subtype: sub.as_bytes().to_vec(),
            id: octets(&mut part.id),
            description: octets(&mut part.description),
            encoding: octets(&mut part.encoding).unwrap_or_else(|| b"7BIT".to_vec()),
            size_octets: part.body.octets(),
            kind,
            md5: octets(&mut part.md5),
            extension: extension(part),
            parameters: parameters(std::mem::take(&mut part.content_type)),
        }))
    }
}

fn parameters(value: Parametrised) -> Parameters {
    let pair = |(name, value): (String, String)| (name.into_bytes(), value.into_bytes());
    value.params.into_iter().map(pair).collect()
}

fn extension(part: &mut Part) -> Extension {
    let disposition = part.disposition.take().map(|mut d| {
        let kind = std::mem::take(&mut d.value);
        (kind.into_bytes(), parameters(d))
    });
    let language = std::mem::take(&mut part.language);
    Extension {
        disposition,
        language: language.into_iter().map(String::into_bytes).collect(),
        location: part.location.take().map(String::into_bytes),
    }
}
