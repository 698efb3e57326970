//! Finds the parts of a message while its octets stream by (RFC 2045, 2046).
//!
//! Memory is bounded by the constants below whatever the size of the message: only the header block being read and the
//! beginning of the current line are held. Line ends are CRLF; a bare LF is taken as one too. What exceeds a bound is
//! left opaque and marked `cut`, but offsets of everything else stay right.

use super::field::Parametrised;
use super::structure::{Part, PartKind, Span, Structure};

/// Octets of the message's own header block that are read.
pub const TOP_HEADER_MAX_OCTETS: usize = 64 * 1024;
/// Octets of the header block of any other part that are read.
pub const PART_HEADER_MAX_OCTETS: usize = 32 * 1024;
/// Parts mapped in one message; section numbers stay in `u16`.
pub const PARTS_MAX: usize = 1_000;
/// Parts kept free for the two outermost levels, so that an original of very many parts cannot hide the envelope
/// around it.
const OUTER_RESERVE: usize = 64;
/// Nesting of multiparts and messages.
pub const DEPTH_MAX: usize = 20;
/// RFC 2046 5.1.1: octets of a boundary.
pub const BOUNDARY_MAX_OCTETS: usize = 70;
/// Octets of header text kept in one map, so that a thousand parts do not make a row of megabytes.
pub const KEPT_TEXT_MAX_OCTETS: usize = 512 * 1024;
/// Octets of a body line looked at: `--`, a boundary, `--` and the white space a gateway may have added.
const LINE_PREFIX_MAX_OCTETS: usize = BOUNDARY_MAX_OCTETS + 4 + 128;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Header,
    Body,
    /// Behind the closing boundary: text until an outer boundary.
    Epilogue,
}

#[derive(Debug)]
struct Open {
    part: usize,
    state: State,
    boundary: Option<Vec<u8>>,
    lines_at_body: u32,
}

/// A push parser: [`push`](Self::push) the octets in pieces of any size, then [`finish`](Self::finish).
#[derive(Debug)]
pub struct Scanner {
    parts: Vec<Part>,
    open: Vec<Open>,
    /// The current line without its end, up to the limit of the state.
    line: Vec<u8>,
    /// Octets of the current line that were not kept.
    line_dropped: bool,
    header: Vec<u8>,
    offset: u64,
    line_start: u64,
    /// Where the line end of the previous line begins: where a body ends if the next line is a boundary.
    previous_end: u64,
    last_octet: u8,
    lines: u32,
    kept: usize,
    cut: bool,
}

impl Default for Scanner {
    fn default() -> Self {
        Self::new()
    }
}

impl Scanner {
    pub fn new() -> Self {
        let mut scanner = Self {
            parts: Vec::new(),
            open: Vec::new(),
            line: Vec::new(),
            line_dropped: false,
            header: Vec::new(),
            offset: 0,
            line_start: 0,
            previous_end: 0,
            last_octet: 0,
            lines: 0,
            kept: 0,
            cut: false,
        };
        scanner.open_part(None, 0);
        scanner
    }

    /// Takes the next octets of the message.
    pub fn push(&mut self, chunk: &[u8]) {
        let mut rest = chunk;
        while !rest.is_empty() {
            let Some(at) = rest.iter().position(|b| *b == b'\n') else {
                self.keep(rest);
                return;
            };
            self.keep(&rest[..at]);
            let cr = u64::from(self.last_octet == b'\r' && self.offset > self.line_start);
            let end = self.offset - cr;
            self.offset += 1;
            self.last_octet = b'\n';
            if cr == 1 && !self.line_dropped {
                self.line.pop();
            }
            self.lines = self.lines.saturating_add(1);
            self.end_of_line(end);
            rest = &rest[at + 1..];
        }
    }

    /// Ends the message and gives its map.
    pub fn finish(mut self) -> Structure {
        if self.offset > self.line_start {
            // A last line without a line end may still be a boundary or a header field.
            let end = self.offset;
            self.end_of_line(end);
        }
        let (end, lines) = (self.offset, self.lines);
        while !self.open.is_empty() {
            self.close_top(end, lines);
        }
        Structure {
            parts: self.parts,
            octets: self.offset,
            lines: self.lines,
            cut: self.cut,
        }
    }

    fn keep(&mut self, octets: &[u8]) {
        let max = match self.open.last() {
            // One octet more than the block may have, so that passing the limit is noticed.
            Some(top) if top.state == State::Header => {
                (header_max(top.part) + 1).saturating_sub(self.header.len())
            }
            _ => LINE_PREFIX_MAX_OCTETS,
        };
        // Boundaries must be recognised even when the header block is full.
        let room = max.max(LINE_PREFIX_MAX_OCTETS).saturating_sub(self.line.len());
        let take = octets.len().min(room);
        self.line.extend_from_slice(&octets[..take]);
        self.line_dropped |= take < octets.len();
        self.offset += octets.len() as u64;
        if let Some(last) = octets.last() {
            self.last_octet = *last;
        }
    }

    /// The line from `line_start` is complete; its line end begins at `end`, and the next line at `offset`.
    fn end_of_line(&mut self, end: u64) {
        let line = std::mem::take(&mut self.line);
        match self.boundary_at(&line) {
            Some((level, closing)) => self.boundary(level, closing),
            None => self.content_line(&line),
        }
        self.line = line;
        self.line.clear();
        self.line_dropped = false;
        self.previous_end = end;
        self.line_start = self.offset;
    }

    fn content_line(&mut self, line: &[u8]) {
        let Some(top) = self.open.last() else { return };
        if top.state != State::Header {
            return;
        }
        let part = top.part;
        if line.is_empty() {
            self.end_of_header();
            return;
        }
        if self.line_dropped || self.header.len() + line.len() + 2 > header_max(part) {
            self.parts[part].cut = true;
            self.cut = true;
            // Nothing more of this block is read: a later field must not pass as an earlier one.
            self.header.extend(std::iter::repeat_n(
                b'\n',
                header_max(part).saturating_sub(self.header.len()),
            ));
        } else {
            self.header.extend_from_slice(line);
            self.header.extend_from_slice(b"\r\n");
        }
    }

    /// Which open multipart this line delimits, innermost first, and whether it closes it.
    fn boundary_at(&self, line: &[u8]) -> Option<(usize, bool)> {
        if self.line_dropped || !line.starts_with(b"--") {
            return None;
        }
        let text = &line[2..];
        self.open.iter().enumerate().rev().find_map(|(level, open)| {
            let rest = text.strip_prefix(open.boundary.as_deref()?)?;
            let (closing, padding) = match rest.strip_prefix(b"--") {
                Some(padding) => (true, padding),
                None => (false, rest),
            };
            padding
                .iter()
                .all(|b| matches!(b, b' ' | b'\t'))
                .then_some((level, closing))
        })
    }

    fn boundary(&mut self, level: usize, closing: bool) {
        // RFC 2046 5.1.1: the line end before the boundary belongs to the boundary, and is not counted - even when it
        // is the empty line behind a header. Digests of originals hang on this.
        let lines_before = self.lines.saturating_sub(u32::from(self.last_octet == b'\n'));
        while self.open.len() > level + 1 {
            self.close_top(self.previous_end, lines_before.saturating_sub(1));
        }
        let room = self.has_room();
        let Some(open) = self.open.last_mut() else { return };
        let part = open.part;
        if closing || !room {
            if !closing {
                // What is left of this multipart is opaque; outer boundaries still count.
                self.parts[part].cut = true;
                self.cut = true;
            }
            open.state = State::Epilogue;
            open.boundary = None;
        } else {
            self.open_part(Some(part), self.offset);
        }
    }

    fn has_room(&self) -> bool {
        let reserve = if self.open.len() <= 2 { 0 } else { OUTER_RESERVE };
        self.parts.len() + reserve < PARTS_MAX
    }

    fn open_part(&mut self, parent: Option<usize>, start: u64) {
        let index = self.parts.len();
        if let Some(parent) = parent.and_then(|p| self.parts.get_mut(p)) {
            parent.children.push(index as u16);
        }
        self.parts.push(Part {
            kind: PartKind::Leaf,
            header: Span { start, end: start },
            body: Span { start, end: start },
            lines: 0,
            parent: parent.map(|p| p as u16),
            children: Vec::new(),
            content_type: Parametrised::default(),
            encoding: None,
            id: None,
            description: None,
            disposition: None,
            language: Vec::new(),
            md5: None,
            location: None,
            section_type: None,
            cut: false,
        });
        self.header.clear();
        self.open.push(Open {
            part: index,
            state: State::Header,
            boundary: None,
            lines_at_body: self.lines,
        });
    }

    /// The empty line was read: the body starts at the next line.
    fn end_of_header(&mut self) {
        let depth = self.open.len();
        let (start, lines) = (self.offset, self.lines);
        let Some(open) = self.open.last_mut() else { return };
        let index = open.part;
        open.state = State::Body;
        open.lines_at_body = lines;
        self.parts[index].header.end = start;
        self.parts[index].body = Span { start, end: start };
        self.read_header(index);
        let room = self.has_room();
        let part = &mut self.parts[index];
        let (main, sub) = part.media_type();
        let (multipart, message) = (main.eq_ignore_ascii_case("multipart"), is_message(main, sub));
        if !multipart && !message {
            return;
        }
        if depth >= DEPTH_MAX {
            part.cut = true;
            self.cut = true;
        } else if multipart {
            match part
                .content_type
                .param("boundary")
                .filter(|b| (1..=BOUNDARY_MAX_OCTETS).contains(&b.len()))
            {
                Some(boundary) => {
                    let boundary = boundary.as_bytes().to_vec();
                    part.kind = PartKind::Multipart;
                    if let Some(open) = self.open.last_mut() {
                        open.boundary = Some(boundary);
                    }
                }
                None => {
                    part.cut = true;
                    self.cut = true;
                }
            }
        } else if !room {
            part.cut = true;
            self.cut = true;
        } else if part.encoding.as_deref().is_none_or(is_identity) {
            // RFC 2046 5.2.1: no encoding but 7bit, 8bit or binary. An encoded one stays a leaf.
            part.kind = PartKind::Message;
            self.open_part(Some(index), start);
        }
    }

    /// Closes the innermost open part at `end`, with `lines` line ends before it.
    fn close_top(&mut self, end: u64, lines: u32) {
        let Some(open) = self.open.pop() else { return };
        if open.state == State::Header {
            self.read_header(open.part);
            let part = &mut self.parts[open.part];
            part.header.end = end;
            part.body.start = end;
        }
        let part = &mut self.parts[open.part];
        // A part may have begun behind the line end that turned out to belong to the boundary.
        part.header = Span {
            start: part.header.start.min(end),
            end: part.header.end.min(end),
        };
        part.body = Span {
            start: part.body.start.min(end),
            end,
        };
        part.lines = if part.body.octets() == 0 {
            0
        } else {
            lines.saturating_sub(open.lines_at_body)
        };
    }

    fn read_header(&mut self, index: usize) {
        let header = std::mem::take(&mut self.header);
        let digest = self.parts[index]
            .parent
            .and_then(|p| self.parts.get(usize::from(p)));
        let digest = digest.is_some_and(|p| p.is_type("multipart/digest"));
        let part = &mut self.parts[index];
        part.content_type.value = if digest { "message/rfc822" } else { "text/plain" }.to_owned();
        let (kept, complete) = part.take_fields(&header, KEPT_TEXT_MAX_OCTETS - self.kept);
        self.kept += kept;
        if !complete {
            part.cut = true;
            self.cut = true;
        }
    }
}

fn header_max(part: usize) -> usize {
    if part == 0 {
        TOP_HEADER_MAX_OCTETS
    } else {
        PART_HEADER_MAX_OCTETS
    }
}

fn is_message(main: &str, sub: &str) -> bool {
    main.eq_ignore_ascii_case("message")
        && (sub.eq_ignore_ascii_case("rfc822") || sub.eq_ignore_ascii_case("global"))
}

fn is_identity(encoding: &str) -> bool {
    ["7bit", "8bit", "binary"]
        .iter()
        .any(|name| encoding.eq_ignore_ascii_case(name))
}

#[cfg(test)]
#[path = "scan_tests.rs"]
mod tests;
