//! The map of a message: a tree of parts with exact offsets, and the section numbers of IMAP on top of it.
//!
//! A map is stored as a row beside the message. Offsets count octets from the first octet of the message.

use super::field::{self, Field, Parametrised};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Language tags kept of one part.
const LANGUAGES_MAX: usize = 8;

/// A range of octets, end excluded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Span {
    pub start: u64,
    pub end: u64,
}

impl Span {
    pub fn octets(self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    pub fn range(self) -> Range<u64> {
        self.start..self.end
    }

    /// The range inside a message held in memory; `None` when it does not lie within.
    pub fn of(self, message: &[u8]) -> Option<&[u8]> {
        message.get(usize::try_from(self.start).ok()?..usize::try_from(self.end).ok()?)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PartKind {
    Leaf,
    Multipart,
    /// `message/rfc822` or `message/global`; its one child is the root of the message inside.
    Message,
}

/// One part: the message itself, a body part, or the root of a nested message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    pub kind: PartKind,
    /// The header block with the empty line that ends it.
    pub header: Span,
    /// The body, without the line end that belongs to the boundary (RFC 2046 5.1.1).
    pub body: Span,
    /// Line ends in the body.
    pub lines: u32,
    pub parent: Option<u16>,
    pub children: Vec<u16>,
    /// `type/subtype` with parameters, as spelled; the default of the context when the field is missing.
    pub content_type: Parametrised,
    /// Content-Transfer-Encoding as spelled.
    pub encoding: Option<String>,
    pub id: Option<String>,
    pub description: Option<String>,
    pub disposition: Option<Parametrised>,
    pub language: Vec<String>,
    pub md5: Option<String>,
    pub location: Option<String>,
    /// The value of `X-REM-Section-Type` or `REM-Section-Type`, where there is one.
    pub section_type: Option<String>,
    /// A bound was met: the header was read in part only, or what lies inside was not looked at.
    pub cut: bool,
}

impl Part {
    /// (type, subtype) as spelled.
    pub fn media_type(&self) -> (&str, &str) {
        self.content_type
            .value
            .split_once('/')
            .unwrap_or(("application", "octet-stream"))
    }

    pub fn is_type(&self, media_type: &str) -> bool {
        self.content_type.value.eq_ignore_ascii_case(media_type)
    }

    /// The decoded file name: of the disposition, else the `name` of the type.
    pub fn file_name(&self) -> Option<String> {
        let named = self
            .disposition
            .as_ref()
            .and_then(|d| d.decoded_param("filename"));
        named.or_else(|| self.content_type.decoded_param("name"))
    }

    /// Takes the MIME fields of a header block, at most `budget` octets of them. Gives the octets taken, and whether
    /// that was all. The first of doubled fields counts, as in every reader met.
    pub(super) fn take_fields(&mut self, header: &[u8], budget: usize) -> (usize, bool) {
        let (mut kept, mut typed) = (0, false);
        for field in field::fields(header) {
            let known = if field.is("Content-Type") && !typed {
                typed = true;
                let read = Parametrised::parse(field.value);
                // RFC 2045 5.2: what has no valid type is plain text.
                self.content_type = if read.value.contains('/') {
                    read
                } else {
                    Parametrised::parse(b"text/plain")
                };
                true
            } else if field.is("Content-Disposition") && self.disposition.is_none() {
                self.disposition = Some(Parametrised::parse(field.value));
                true
            } else if field.is("Content-Language") && self.language.is_empty() {
                self.language = field
                    .text()
                    .split(',')
                    .map(|tag| tag.trim().to_owned())
                    .take(LANGUAGES_MAX)
                    .collect();
                true
            } else {
                self.take_text(&field)
            };
            if known {
                kept += field.value.len();
                if kept > budget {
                    return (budget, false);
                }
            }
        }
        (kept, true)
    }

    fn take_text(&mut self, field: &Field<'_>) -> bool {
        let slots = [
            ("Content-Transfer-Encoding", &mut self.encoding),
            ("Content-ID", &mut self.id),
            ("Content-Description", &mut self.description),
            ("Content-MD5", &mut self.md5),
            ("Content-Location", &mut self.location),
        ];
        if (field.is("X-REM-Section-Type") || field.is("REM-Section-Type")) && self.section_type.is_none() {
            self.section_type = Some(field.text());
            return true;
        }
        for (name, slot) in slots {
            if field.is(name) && slot.is_none() {
                *slot = Some(field.text());
                return true;
            }
        }
        false
    }
}

/// What of a part is asked for (RFC 9051 6.4.5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// `BODY[n]`, or the whole message for the empty path.
    Full,
    /// `BODY[n.HEADER]`: of a message only.
    Header,
    /// `BODY[n.TEXT]`: of a message only.
    Text,
    /// `BODY[n.MIME]`: of a body part only.
    Mime,
}

/// The map of one message. `parts[0]` is the message itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Structure {
    pub parts: Vec<Part>,
    pub octets: u64,
    /// Line ends in the whole message.
    pub lines: u32,
    /// A bound was met somewhere; see [`Part::cut`].
    pub cut: bool,
}

impl Structure {
    /// Maps a message held in memory. Large ones are fed to a [`super::Scanner`] in pieces.
    pub fn of(message: &[u8]) -> Self {
        let mut scanner = super::Scanner::new();
        scanner.push(message);
        scanner.finish()
    }

    pub fn root(&self) -> Option<&Part> {
        self.parts.first()
    }

    pub fn children(&self, part: &Part) -> impl Iterator<Item = &Part> {
        part.children
            .iter()
            .filter_map(|index| self.parts.get(usize::from(*index)))
    }

    /// The part with that section number (`[1, 2]` is "1.2"). The empty path is the message itself.
    pub fn part(&self, path: &[u32]) -> Option<&Part> {
        self.index(path).and_then(|index| self.parts.get(index))
    }

    fn index(&self, path: &[u32]) -> Option<usize> {
        let mut at = 0;
        let mut in_message = true; // `at` is the root of a message, not yet a part of it
        for number in path {
            let part = self.parts.get(at)?;
            let (part, root) = if !in_message && part.kind == PartKind::Message {
                let root = usize::from(*part.children.first()?);
                (self.parts.get(root)?, Some(root))
            } else {
                (part, in_message.then_some(at))
            };
            at = match (part.kind, root) {
                // One in which no part was found is written as a single part, and found as one.
                (PartKind::Multipart, _) if !part.children.is_empty() => {
                    usize::from(*part.children.get((*number as usize).checked_sub(1)?)?)
                }
                // The only part of a message that is not multipart is number 1.
                (_, Some(root)) if *number == 1 => root,
                _ => return None,
            };
            in_message = false;
        }
        Some(at)
    }

    /// The octets of a section; `None` when the message has no such section.
    pub fn locate(&self, path: &[u32], section: Section) -> Option<Span> {
        let part = self.part(path)?;
        let message = if path.is_empty() {
            Some(part)
        } else if part.kind == PartKind::Message {
            self.children(part).next()
        } else {
            None
        };
        match section {
            Section::Full if path.is_empty() => Some(Span {
                start: part.header.start,
                end: part.body.end,
            }),
            Section::Full => Some(part.body),
            Section::Header => message.map(|m| m.header),
            Section::Text => message.map(|m| m.body),
            Section::Mime => (!path.is_empty()).then_some(part.header),
        }
    }
}
