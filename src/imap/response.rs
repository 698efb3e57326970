//! Writing responses (RFC 9051 7): strings in their three forms, response codes, and the FETCH line.
//!
//! Large contents are not written here: a line is broken where one belongs and continued behind it.

use super::ask::{Content, Member, Out, Refusal, Row, Status};
use super::command::{FetchItem, Section, SectionForm, SectionItem, SectionText, StatusItems};
use super::flag::Flag;
use super::name::{MailboxName, Spelling};
use super::recent::ToldFlags;
use super::response_fetch::More;
use super::structure::Detail;

/// A quoted string longer than this is sent as a literal: some clients read lines into small buffers.
pub(super) const QUOTED_MAX: usize = 1000;

/// Octets and contents on their way out, in order.
#[derive(Debug, Default)]
pub struct Writer {
    parts: Vec<Out>,
    line: Vec<u8>,
    pub spelling: Spelling,
    /// What STATUS says of APPENDLIMIT (RFC 7889 4): the same for every mailbox.
    append_limit: u64,
}

impl Writer {
    pub fn new(append_limit: u64) -> Self {
        Self {
            append_limit,
            ..Self::default()
        }
    }

    /// Everything written since the last time.
    pub fn take(&mut self) -> Vec<Out> {
        self.cut();
        std::mem::take(&mut self.parts)
    }

    pub fn is_empty(&self) -> bool {
        self.parts.is_empty() && self.line.is_empty()
    }

    /// Octets written since the last content.
    pub fn line_octets(&self) -> usize {
        self.line.len()
    }

    pub(super) fn put(&mut self, text: &str) {
        self.line.extend_from_slice(text.as_bytes());
    }

    /// Text that is made on the spot; nothing is allocated for it.
    pub(super) fn print(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a Vec cannot fail.
        let _ = std::io::Write::write_fmt(&mut self.line, text);
    }

    pub(super) fn put_octets(&mut self, octets: &[u8]) {
        self.line.extend_from_slice(octets);
    }

    pub(super) fn put_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.line);
    }

    /// Content of a message behind its announcement; nothing of it need not be asked for.
    pub(super) fn content(&mut self, out: Out) {
        let empty = matches!(out, Out::Content { len: 0, .. } | Out::Decoded { take: 0, .. });
        self.cut();
        if !empty {
            self.parts.push(out);
        }
    }

    fn cut(&mut self) {
        if !self.line.is_empty() {
            self.parts.push(Out::Bytes(std::mem::take(&mut self.line)));
        }
    }

    /// A number, without what formatting costs: lines of flags are told by the thousand.
    pub(super) fn number(&mut self, mut number: u64) {
        // u64::MAX has 20 digits.
        let mut digits = [b'0'; 20];
        let mut count = 0;
        for digit in digits.iter_mut().rev() {
            *digit += (number % 10) as u8;
            (number, count) = (number / 10, count + 1);
            if number == 0 {
                break;
            }
        }
        self.put_octets(&digits[digits.len() - count..]);
    }

    /// `(\Recent \Seen work)`.
    pub(super) fn flags(&mut self, told: ToldFlags<'_>) {
        let recent = told.recent.then_some("\\Recent");
        let system = Some(told.flags.system_text()).filter(|text| !text.is_empty());
        let keywords = told.flags.keywords().map(Flag::as_str);
        let mut before = "(";
        for word in recent.into_iter().chain(system).chain(keywords) {
            self.put(before);
            self.put(word);
            before = " ";
        }
        self.put(if before == "(" { "()" } else { ")" });
    }

    /// `* ` text CRLF.
    pub fn untagged(&mut self, text: impl std::fmt::Display) {
        self.print(format_args!("* {text}\r\n"));
    }

    /// `+ ` text CRLF.
    pub fn continuation(&mut self, text: &str) {
        self.line.extend_from_slice(format!("+ {text}\r\n").as_bytes());
    }

    /// A tagged end: `condition` is OK, NO or BAD.
    pub fn tagged(&mut self, tag: &str, condition: &str, text: &str) {
        let text = self.readable(text);
        self.line
            .extend_from_slice(format!("{tag} {condition} {text}\r\n").as_bytes());
    }

    pub fn refused(&mut self, tag: &str, refusal: &Refusal) {
        let text = match refusal.code {
            Some(code) => format!("[{}] {}", code.as_str(), refusal.text),
            None => refusal.text.clone(),
        };
        self.tagged(tag, "NO", &text);
    }

    /// resp-text is one line, and ASCII for a client that did not ask for UTF-8 (RFC 3501 9).
    pub fn readable(&self, text: &str) -> String {
        let fold = |c: char| match c {
            _ if c.is_control() => ' ',
            _ if c.is_ascii() || self.spelling == Spelling::Utf8 => c,
            'ç' => 'c',
            'Ç' => 'C',
            'ğ' => 'g',
            'Ğ' => 'G',
            'ı' => 'i',
            'İ' => 'I',
            'ö' => 'o',
            'Ö' => 'O',
            'ş' => 's',
            'Ş' => 'S',
            'ü' | 'û' => 'u',
            'Ü' => 'U',
            'â' => 'a',
            'î' => 'i',
            _ => '?',
        };
        text.chars().map(fold).collect()
    }

    /// `* LIST (attributes) "/" name`; `extended` is written behind the name.
    pub fn list(&mut self, kind: &str, attributes: &[&str], name: &MailboxName, extended: &str) {
        self.line
            .extend_from_slice(format!("* {kind} ({}) \"/\" ", attributes.join(" ")).as_bytes());
        self.name(name);
        self.line.extend_from_slice(extended.as_bytes());
        self.line.extend_from_slice(b"\r\n");
    }

    /// `* STATUS name (...)`.
    pub fn status(&mut self, name: &MailboxName, items: StatusItems, status: &Status) {
        self.line.extend_from_slice(b"* STATUS ");
        self.name(name);
        let told: Vec<String> = [
            (items.messages, format!("MESSAGES {}", status.messages)),
            (items.recent, format!("RECENT {}", status.recent)),
            (items.uid_next, format!("UIDNEXT {}", status.uid_next)),
            (items.uid_validity, format!("UIDVALIDITY {}", status.uid_validity)),
            (items.unseen, format!("UNSEEN {}", status.unseen)),
            (items.deleted, format!("DELETED {}", status.deleted)),
            (items.size, format!("SIZE {}", status.size)),
            (
                items.highest_modseq,
                format!("HIGHESTMODSEQ {}", status.highest_modseq),
            ),
            (
                items.deleted_storage,
                format!("DELETED-STORAGE {}", status.deleted_storage),
            ),
            (items.append_limit, format!("APPENDLIMIT {}", self.append_limit)),
            (
                items.mailbox_id && status.mailbox_id.is_some(),
                format!("MAILBOXID ({})", status.mailbox_id.as_deref().unwrap_or_default()),
            ),
        ]
        .into_iter()
        .filter_map(|(asked, text)| asked.then_some(text))
        .collect();
        self.line
            .extend_from_slice(format!(" ({})\r\n", told.join(" ")).as_bytes());
    }

    /// `* WORD name`, left open for what follows.
    pub fn open_line(&mut self, word: &str) {
        self.line.extend_from_slice(format!("* {word}").as_bytes());
    }

    pub fn put_astring(&mut self, octets: &[u8]) {
        put_astring(&mut self.line, octets);
    }

    pub fn put_nstring(&mut self, octets: Option<&[u8]>) {
        put_nstring(&mut self.line, octets);
    }

    pub fn name(&mut self, name: &MailboxName) {
        let octets = self.name_octets(name);
        self.line.extend_from_slice(&octets);
    }

    /// A name as this client reads it, quoted or as a literal.
    pub fn name_octets(&self, name: &MailboxName) -> Vec<u8> {
        let (wire, mut octets) = (name.to_wire(self.spelling), Vec::new());
        if self.spelling == Spelling::Utf8 && !wire.is_ascii() && wire.len() <= QUOTED_MAX {
            put_quoted(&mut octets, &wire);
        } else {
            put_string(&mut octets, &wire);
        }
        octets
    }

    /// `* ID (...)`, or NIL.
    pub fn id(&mut self, fields: &[(String, String)]) {
        self.line.extend_from_slice(b"* ID ");
        if fields.is_empty() {
            self.line.extend_from_slice(b"NIL");
        } else {
            for (i, (name, value)) in fields.iter().enumerate() {
                self.line.push(if i == 0 { b'(' } else { b' ' });
                put_string(&mut self.line, name.as_bytes());
                self.line.push(b' ');
                put_string(&mut self.line, value.as_bytes());
            }
            self.line.push(b')');
        }
        self.line.extend_from_slice(b"\r\n");
    }

    /// One FETCH line: `items` in the order asked; UID and FLAGS also when the answer must carry them.
    pub fn fetch(&mut self, number: u32, member: Member, items: &[FetchItem], extra: Extra, mut row: Row) {
        self.row_begins(number, member.uid, extra.uid_only);
        let mut first = true;
        if extra.uid && !items.contains(&FetchItem::Uid) {
            self.named(&mut first, "UID ", member.uid.into());
        }
        let mut more = More::of(member, &mut row);
        let mut sections = row.sections.into_iter();
        for item in items {
            match item {
                FetchItem::Uid => self.named(&mut first, "UID ", member.uid.into()),
                FetchItem::Flags => {
                    if let Some(flags) = &row.flags {
                        let recent = extra.recent;
                        self.word(&mut first, "FLAGS ");
                        self.flags(ToldFlags { flags, recent });
                    }
                }
                FetchItem::ModSeq => {
                    if let Some(modseq) = row.modseq {
                        self.modseq(&mut first, modseq);
                    }
                }
                FetchItem::InternalDate => {
                    if let Some(date) = row.internal_date {
                        self.words(
                            &mut first,
                            format_args!("INTERNALDATE \"{}\"", date.imap_date_time()),
                        );
                    }
                }
                FetchItem::Size => {
                    if let Some(size) = row.size {
                        self.named(&mut first, "RFC822.SIZE ", size);
                    }
                }
                FetchItem::Envelope => {
                    if let Some(envelope) = &row.envelope {
                        self.word(&mut first, "ENVELOPE ");
                        envelope.write(&mut self.line, self.spelling);
                    }
                }
                FetchItem::Body | FetchItem::BodyStructure => {
                    let (word, detail) = match item {
                        FetchItem::Body => ("BODY ", Detail::Body),
                        _ => ("BODYSTRUCTURE ", Detail::BodyStructure),
                    };
                    if let Some(structure) = &row.structure {
                        self.word(&mut first, word);
                        structure.write(&mut self.line, detail, self.spelling);
                    }
                }
                FetchItem::Section(wanted) => {
                    self.separate(&mut first);
                    self.section(member, wanted, sections.next().unwrap_or(Content::Nil));
                }
                other => more.put(self, &mut first, other),
            }
        }
        if let (true, Some(flags)) = (extra.flags && !items.contains(&FetchItem::Flags), &row.flags) {
            let recent = extra.recent;
            self.word(&mut first, "FLAGS ");
            self.flags(ToldFlags { flags, recent });
        }
        if first {
            // The line wants an item (RFC 9051 9, `msg-att`), and nothing that was asked for is there.
            self.named(&mut first, "UID ", member.uid.into());
        }
        if let (true, Some(modseq)) = (extra.modseq && !items.contains(&FetchItem::ModSeq), row.modseq) {
            self.modseq(&mut first, modseq);
        }
        self.line.extend_from_slice(b")\r\n");
    }

    /// `* 3 FETCH (`; with UIDONLY the number says which message it is (RFC 9586 3).
    pub(super) fn row_begins(&mut self, number: u32, uid: u32, uid_only: bool) {
        self.put("* ");
        self.number(if uid_only { uid } else { number }.into());
        self.put(if uid_only { " UIDFETCH (" } else { " FETCH (" });
    }

    /// A word and its number.
    pub(super) fn named(&mut self, first: &mut bool, word: &str, number: u64) {
        self.word(first, word);
        self.number(number);
    }

    pub(super) fn modseq(&mut self, first: &mut bool, modseq: u64) {
        self.named(first, "MODSEQ (", modseq);
        self.put(")");
    }

    pub(super) fn separate(&mut self, first: &mut bool) {
        if !std::mem::take(first) {
            self.line.push(b' ');
        }
    }

    pub(super) fn word(&mut self, first: &mut bool, text: &str) {
        self.separate(first);
        self.line.extend_from_slice(text.as_bytes());
    }

    pub(super) fn words(&mut self, first: &mut bool, text: std::fmt::Arguments<'_>) {
        self.separate(first);
        self.print(text);
    }

    fn section(&mut self, member: Member, wanted: &SectionItem, content: Content) {
        put_section_name(&mut self.line, wanted);
        self.line.push(b' ');
        let (start, most) = wanted.partial.unwrap_or((0, u64::MAX));
        match content {
            // A section is never decoded: that is what BINARY is for.
            Content::Nil | Content::Decoded { .. } => self.put("NIL"),
            Content::Octets(octets) => {
                let from = usize::try_from(start).unwrap_or(usize::MAX).min(octets.len());
                let take = usize::try_from(most)
                    .unwrap_or(usize::MAX)
                    .min(octets.len() - from);
                put_literal(&mut self.line, &octets[from..from + take]);
            }
            Content::Stored { offset, len } => {
                let from = start.min(len);
                let take = most.min(len - from);
                self.print(format_args!("{{{take}}}\r\n"));
                self.content(Out::Content {
                    member,
                    offset: offset.saturating_add(from),
                    len: take,
                });
            }
        }
    }
}

/// What a FETCH line carries although it was not asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Extra {
    /// The answer to a UID command (RFC 9051 6.4.9).
    pub uid: bool,
    /// The flags changed through the FETCH itself.
    pub flags: bool,
    /// The client knows mod-sequences (RFC 7162 3.1).
    pub modseq: bool,
    /// The client knows no sequence numbers (RFC 9586).
    pub uid_only: bool,
    /// `\Recent` is among the flags (RFC 3501 2.3.2).
    pub recent: bool,
}

fn put_section_name(out: &mut Vec<u8>, wanted: &SectionItem) {
    match wanted.form {
        SectionForm::Rfc822 => return out.extend_from_slice(b"RFC822"),
        SectionForm::Rfc822Header => return out.extend_from_slice(b"RFC822.HEADER"),
        SectionForm::Rfc822Text => return out.extend_from_slice(b"RFC822.TEXT"),
        SectionForm::Body => {}
    }
    out.extend_from_slice(b"BODY[");
    put_section(out, &wanted.section);
    out.push(b']');
    if let Some((start, _)) = wanted.partial {
        out.extend_from_slice(format!("<{start}>").as_bytes());
    }
}

pub(super) fn put_section(out: &mut Vec<u8>, section: &Section) {
    let part: Vec<String> = section.part.iter().map(u32::to_string).collect();
    out.extend_from_slice(part.join(".").as_bytes());
    if !part.is_empty() && section.text != SectionText::All {
        out.push(b'.');
    }
    let names = |out: &mut Vec<u8>, word: &str, names: &[String]| {
        out.extend_from_slice(word.as_bytes());
        for (i, name) in names.iter().enumerate() {
            out.extend_from_slice(if i == 0 { b" (" } else { b" " });
            put_astring(out, name.as_bytes());
        }
        out.push(b')');
    };
    match &section.text {
        SectionText::All => {}
        SectionText::Header => out.extend_from_slice(b"HEADER"),
        SectionText::Text => out.extend_from_slice(b"TEXT"),
        SectionText::Mime => out.extend_from_slice(b"MIME"),
        SectionText::Fields(fields) => names(out, "HEADER.FIELDS", fields),
        SectionText::FieldsNot(fields) => names(out, "HEADER.FIELDS.NOT", fields),
    }
}

/// An atom where possible, else a string.
pub fn put_astring(out: &mut Vec<u8>, octets: &[u8]) {
    // NIL could be taken for the absence of a value by a careless reader.
    if !octets.is_empty()
        && octets.iter().all(|&b| super::flag::is_atom_char(b))
        && !octets.eq_ignore_ascii_case(b"NIL")
    {
        out.extend_from_slice(octets);
    } else {
        put_string(out, octets);
    }
}

/// NIL or a string.
pub fn put_nstring(out: &mut Vec<u8>, octets: Option<&[u8]>) {
    match octets {
        None => out.extend_from_slice(b"NIL"),
        Some(octets) => put_string(out, octets),
    }
}

/// Quoted where the grammar allows it for every client, else a literal (RFC 9051 4.3).
pub fn put_string(out: &mut Vec<u8>, octets: &[u8]) {
    if octets.len() <= QUOTED_MAX && octets.iter().all(|b| matches!(b, b' '..=b'~')) {
        put_quoted(out, octets);
    } else {
        put_literal(out, octets);
    }
}

pub(super) fn put_quoted(out: &mut Vec<u8>, octets: &[u8]) {
    out.push(b'"');
    let mut rest = octets;
    while let Some(at) = rest.iter().position(|b| matches!(b, b'"' | b'\\')) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(&[b'\\', rest[at]]);
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// CHAR8 has no NUL (RFC 9051 9): one that slipped into a header is shown as `?`.
pub(super) fn put_literal(out: &mut Vec<u8>, octets: &[u8]) {
    out.extend_from_slice(format!("{{{}}}\r\n", octets.len()).as_bytes());
    let from = out.len();
    out.extend_from_slice(octets);
    for octet in out.iter_mut().skip(from).filter(|b| **b == 0) {
        *octet = b'?';
    }
}
