//! Writing responses (RFC 9051 7): strings in their three forms, response codes, and the FETCH line.
//!
//! Large contents are not written here: a line is broken where one belongs and continued behind it.

use super::ask::{Content, Member, Out, Refusal, Row, Status};
use super::command::{FetchItem, Section, SectionForm, SectionItem, SectionText, StatusItems};
use super::name::{MailboxName, Spelling};
use super::structure::Detail;

/// A quoted string longer than this is sent as a literal: some clients read lines into small buffers.
const QUOTED_MAX: usize = 1000;

/// Octets and contents on their way out, in order.
#[derive(Debug, Default)]
pub struct Writer {
    parts: Vec<Out>,
    line: Vec<u8>,
    pub spelling: Spelling,
}

impl Writer {
    /// Everything written since the last time.
    pub fn take(&mut self) -> Vec<Out> {
        self.cut();
        std::mem::take(&mut self.parts)
    }

    pub fn is_empty(&self) -> bool {
        self.parts.is_empty() && self.line.is_empty()
    }

    fn cut(&mut self) {
        if !self.line.is_empty() {
            self.parts.push(Out::Bytes(std::mem::take(&mut self.line)));
        }
    }

    /// `* ` text CRLF.
    pub fn untagged(&mut self, text: &str) {
        self.line.extend_from_slice(format!("* {text}\r\n").as_bytes());
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
            (items.recent, "RECENT 0".to_owned()),
            (items.uid_next, format!("UIDNEXT {}", status.uid_next)),
            (items.uid_validity, format!("UIDVALIDITY {}", status.uid_validity)),
            (items.unseen, format!("UNSEEN {}", status.unseen)),
            (items.deleted, format!("DELETED {}", status.deleted)),
            (items.size, format!("SIZE {}", status.size)),
            (
                items.deleted_storage,
                format!("DELETED-STORAGE {}", status.deleted_storage),
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

    pub fn put(&mut self, text: &str) {
        self.line.extend_from_slice(text.as_bytes());
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
    pub fn fetch(&mut self, number: u32, member: Member, items: &[FetchItem], extra: Extra, row: Row) {
        self.line
            .extend_from_slice(format!("* {number} FETCH (").as_bytes());
        let mut first = true;
        if extra.uid && !items.contains(&FetchItem::Uid) {
            self.separate(&mut first);
            self.line
                .extend_from_slice(format!("UID {}", member.uid).as_bytes());
        }
        let mut sections = row.sections.into_iter();
        for item in items {
            match item {
                FetchItem::Uid => self.word(&mut first, &format!("UID {}", member.uid)),
                FetchItem::Flags => {
                    if let Some(flags) = &row.flags {
                        self.word(&mut first, &format!("FLAGS {flags}"));
                    }
                }
                FetchItem::InternalDate => {
                    if let Some(date) = row.internal_date {
                        self.word(&mut first, &format!("INTERNALDATE \"{}\"", date.imap_date_time()));
                    }
                }
                FetchItem::Size => {
                    if let Some(size) = row.size {
                        self.word(&mut first, &format!("RFC822.SIZE {size}"));
                    }
                }
                FetchItem::Envelope => {
                    if let Some(envelope) = &row.envelope {
                        self.word(&mut first, "ENVELOPE ");
                        envelope.write(&mut self.line);
                    }
                }
                FetchItem::Body | FetchItem::BodyStructure => {
                    let (word, detail) = match item {
                        FetchItem::Body => ("BODY ", Detail::Body),
                        _ => ("BODYSTRUCTURE ", Detail::BodyStructure),
                    };
                    if let Some(structure) = &row.structure {
                        self.word(&mut first, word);
                        structure.write(&mut self.line, detail);
                    }
                }
                FetchItem::Section(wanted) => {
                    self.separate(&mut first);
                    self.section(member, wanted, sections.next().unwrap_or(Content::Nil));
                }
            }
        }
        if let (true, Some(flags)) = (extra.flags && !items.contains(&FetchItem::Flags), &row.flags) {
            self.word(&mut first, &format!("FLAGS {flags}"));
        }
        self.line.extend_from_slice(b")\r\n");
    }

    fn separate(&mut self, first: &mut bool) {
        if !std::mem::take(first) {
            self.line.push(b' ');
        }
    }

    fn word(&mut self, first: &mut bool, text: &str) {
        self.separate(first);
        self.line.extend_from_slice(text.as_bytes());
    }

    fn section(&mut self, member: Member, wanted: &SectionItem, content: Content) {
        put_section_name(&mut self.line, wanted);
        self.line.push(b' ');
        let (start, most) = wanted
            .partial
            .map_or((0, u64::MAX), |(a, n)| (u64::from(a), u64::from(n)));
        match content {
            Content::Nil => self.line.extend_from_slice(b"NIL"),
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
                self.line.extend_from_slice(format!("{{{take}}}\r\n").as_bytes());
                self.cut();
                if take > 0 {
                    self.parts.push(Out::Content {
                        member,
                        offset: offset.saturating_add(from),
                        len: take,
                    });
                }
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

fn put_section(out: &mut Vec<u8>, section: &Section) {
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

fn put_quoted(out: &mut Vec<u8>, octets: &[u8]) {
    out.push(b'"');
    for &b in octets {
        if b == b'"' || b == b'\\' {
            out.push(b'\\');
        }
        out.push(b);
    }
    out.push(b'"');
}

/// CHAR8 has no NUL (RFC 9051 9): one that slipped into a header is shown as `?`.
fn put_literal(out: &mut Vec<u8>, octets: &[u8]) {
    out.extend_from_slice(format!("{{{}}}\r\n", octets.len()).as_bytes());
    out.extend(octets.iter().map(|&b| if b == 0 { b'?' } else { b }));
}
