//! From a stream of octets to whole commands (RFC 9051 2.2, 4.3; RFC 7888).
//!
//! The framer finds line ends and literals and knows no commands but two: the message of APPEND and REPLACE is not
//! gathered but handed on in pieces. Everything is bounded, tightly so before login. What is refused is either never invited (a
//! synchronising literal) or read and thrown away, so that the next command is found again; where that cannot be
//! done safely the session ends.

use super::limits::*;
use super::literal::{ANNOUNCEMENT_MAX, Literal, announcement, is_message};
use bytes::{Buf, Bytes, BytesMut};

/// What the stream amounted to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// A whole command with its literals and the last CRLF.
    Command(Vec<u8>),
    /// One line without CRLF, when [`Framer::expect_raw`] asked for it.
    Raw(Vec<u8>),
    /// The client waits for leave to send a literal: write a continuation.
    Continue,
    /// An APPEND or REPLACE up to its message. Waits for [`Framer::accept`] or [`Framer::refuse`].
    Append(AppendHead),
    /// Octets of the message.
    Chunk(Bytes),
    /// The message is complete; this came behind it, without CRLF.
    AppendTail(Vec<u8>),
    /// The message is complete, and another is announced (RFC 3502): what stands between both. Waits like
    /// [`Frame::Append`].
    AppendNext(AppendHead),
    /// A command that cannot be read; the next one can.
    Bad { tag: Option<String>, text: &'static str },
    /// The stream makes no sense any more: say BYE.
    Fatal(&'static str),
}

/// An APPEND as far as the announcement of its message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppendHead {
    /// The command up to the `{` or `~{` of the message.
    pub octets: Vec<u8>,
    pub size: u64,
    /// The client waits for a continuation.
    pub synchronising: bool,
    pub literal8: bool,
}

#[derive(Debug)]
enum State {
    Line,
    Literal {
        left: u64,
    },
    /// An APPEND was announced and nobody has decided yet.
    Undecided(Literal),
    Message {
        left: u64,
    },
    AppendTail,
    Drain {
        left: u64,
    },
    SkipLine,
    Dead,
}

#[derive(Debug)]
pub struct Framer {
    state: State,
    logged_in: bool,
    raw: bool,
    command: Vec<u8>,
    /// Octets of `command` that are not literals.
    line_octets: usize,
    literal_octets: u64,
    literal_count: usize,
    /// Said once a refused command has been read to its end.
    verdict: Option<Frame>,
    drained: u64,
    /// The end of the line being skipped: long enough for an announcement.
    tail: Vec<u8>,
}

impl Default for Framer {
    fn default() -> Self {
        Self {
            state: State::Line,
            logged_in: false,
            raw: false,
            command: Vec::new(),
            line_octets: 0,
            literal_octets: 0,
            literal_count: 0,
            verdict: None,
            drained: 0,
            tail: Vec::new(),
        }
    }
}

impl Framer {
    /// The wider bounds hold from now on, and APPEND is known.
    pub fn logged_in(&mut self) {
        self.logged_in = true;
    }

    /// The next line is the client's answer to a continuation of ours, not a command.
    pub fn expect_raw(&mut self, raw: bool) {
        self.raw = raw;
    }

    /// Octets of an unfinished command held here; never above the bounds.
    pub fn held_octets(&self) -> usize {
        self.command.len() + self.tail.len()
    }

    /// The announced message may come.
    pub fn accept(&mut self) {
        if let State::Undecided(literal) = self.state {
            self.state = State::Message { left: literal.size };
        }
    }

    /// The announced message is not wanted and the client has been told: it does not come, or is thrown away.
    pub fn refuse(&mut self) {
        if let State::Undecided(literal) = self.state {
            // What cannot be drained is told by the next call of `next`.
            self.verdict = self.give_up(literal, None);
        }
    }

    /// The next frame, or `None` when more octets are needed.
    pub fn next(&mut self, input: &mut BytesMut) -> Option<Frame> {
        loop {
            let frame = match self.state {
                State::Dead => return self.verdict.take(),
                State::Undecided(_) => return None,
                _ if input.is_empty() && !self.is_complete_without_input() => return None,
                State::Line | State::AppendTail => self.line(input),
                State::Literal { left } => {
                    let take = clamp(left, input.len());
                    self.command.extend_from_slice(&input.split_to(take));
                    let left = left - take as u64;
                    self.state = if left == 0 {
                        State::Line
                    } else {
                        State::Literal { left }
                    };
                    None
                }
                State::Message { left: 0 } => {
                    self.state = State::AppendTail;
                    None
                }
                State::Message { left } => {
                    let take = clamp(left, input.len().min(APPEND_CHUNK_MAX));
                    self.state = State::Message {
                        left: left - take as u64,
                    };
                    Some(Frame::Chunk(input.split_to(take).freeze()))
                }
                State::Drain { left } => self.drain(left, input),
                State::SkipLine => self.skip_line(input),
            };
            if frame.is_some() {
                return frame;
            }
        }
    }

    fn is_complete_without_input(&self) -> bool {
        matches!(
            self.state,
            State::Message { left: 0 } | State::Drain { left: 0 } | State::Literal { left: 0 }
        )
    }

    fn line_max(&self) -> usize {
        if self.logged_in {
            LINE_MAX
        } else {
            LINE_MAX_BEFORE_LOGIN
        }
    }

    fn line(&mut self, input: &mut BytesMut) -> Option<Frame> {
        let room = self.line_max().saturating_sub(self.line_octets);
        let end = input
            .iter()
            .take(room.saturating_add(1))
            .position(|&b| b == b'\n');
        let take = end.map_or(input.len().min(room), |at| at + 1);
        self.command.extend_from_slice(&input.split_to(take));
        self.line_octets += take;
        if end.is_none() {
            // Everything fitted and more is to come, or the line is too long.
            return if self.line_octets >= self.line_max() {
                self.too_long()
            } else {
                None
            };
        }
        if !self.command.ends_with(b"\r\n") {
            let tag = tag_of(&self.command);
            return Some(self.end_with(Frame::Bad {
                tag,
                text: "a line ends with CRLF",
            }));
        }
        if matches!(self.state, State::AppendTail) {
            return Some(self.append_tail());
        }
        if self.raw {
            let mut line = std::mem::take(&mut self.command);
            line.truncate(line.len() - 2);
            return Some(self.end_with(Frame::Raw(line)));
        }
        match announcement(&self.command) {
            None => {
                let command = std::mem::take(&mut self.command);
                Some(self.end_with(Frame::Command(command)))
            }
            Some(literal) => self.announced(literal),
        }
    }

    fn announced(&mut self, literal: Literal) -> Option<Frame> {
        if self.logged_in && is_message(&self.command, literal) {
            return Some(Frame::Append(self.undecided(literal)));
        }
        let most = if self.logged_in {
            LITERALS_MAX
        } else {
            LITERALS_MAX_BEFORE_LOGIN
        };
        let total = self.literal_octets.saturating_add(literal.size);
        self.literal_count += 1;
        if total > most || self.literal_count > LITERAL_COUNT_MAX {
            let tag = tag_of(&self.command);
            return self.give_up(
                literal,
                Some(Frame::Bad {
                    tag,
                    text: "the literal is too large",
                }),
            );
        }
        self.literal_octets = total;
        self.state = if literal.size == 0 {
            State::Line
        } else {
            State::Literal { left: literal.size }
        };
        literal.synchronising.then_some(Frame::Continue)
    }

    /// Stops before a message until somebody has decided about it.
    fn undecided(&mut self, literal: Literal) -> AppendHead {
        let mut octets = std::mem::take(&mut self.command);
        octets.truncate(octets.len() - literal.width);
        self.state = State::Undecided(literal);
        self.line_octets = 0;
        let Literal {
            size,
            synchronising,
            literal8,
            ..
        } = literal;
        AppendHead {
            octets,
            size,
            synchronising,
            literal8,
        }
    }

    /// Leaves a command at an unwanted literal.
    fn give_up(&mut self, literal: Literal, verdict: Option<Frame>) -> Option<Frame> {
        self.reset();
        if literal.synchronising {
            return verdict;
        }
        if !self.logged_in || literal.size > DRAIN_MAX {
            return Some(self.die("a literal that was not asked for is too large"));
        }
        self.verdict = verdict;
        self.drained = 0;
        self.state = State::Drain { left: literal.size };
        None
    }

    fn too_long(&mut self) -> Option<Frame> {
        if !self.logged_in || matches!(self.state, State::AppendTail) || self.raw {
            return Some(self.die("the line is too long"));
        }
        let tag = tag_of(&self.command);
        let tail = self
            .command
            .split_off(self.command.len().saturating_sub(ANNOUNCEMENT_MAX));
        self.reset();
        self.tail = tail;
        self.drained = 0;
        self.verdict = Some(Frame::Bad {
            tag,
            text: "the line is too long",
        });
        self.state = State::SkipLine;
        None
    }

    fn append_tail(&mut self) -> Frame {
        if let Some(literal) = announcement(&self.command) {
            return Frame::AppendNext(self.undecided(literal));
        }
        let mut line = std::mem::take(&mut self.command);
        line.truncate(line.len() - 2);
        self.end_with(Frame::AppendTail(line))
    }

    fn drain(&mut self, left: u64, input: &mut BytesMut) -> Option<Frame> {
        let take = clamp(left, input.len());
        input.advance(take);
        self.drained = self.drained.saturating_add(take as u64);
        let left = left - take as u64;
        self.state = if left == 0 {
            State::SkipLine
        } else {
            State::Drain { left }
        };
        (self.drained > DRAIN_MAX).then(|| self.die("too much was sent unasked"))
    }

    fn skip_line(&mut self, input: &mut BytesMut) -> Option<Frame> {
        let end = input.iter().position(|&b| b == b'\n');
        let take = end.map_or(input.len(), |at| at + 1);
        let piece = input.split_to(take);
        self.drained = self.drained.saturating_add(take as u64);
        self.tail
            .extend_from_slice(&piece[piece.len().saturating_sub(ANNOUNCEMENT_MAX)..]);
        self.tail
            .drain(..self.tail.len().saturating_sub(ANNOUNCEMENT_MAX));
        if self.drained > DRAIN_MAX {
            return Some(self.die("too much was sent unasked"));
        }
        end?;
        let literal = announcement(&self.tail);
        self.tail.clear();
        match literal {
            Some(literal) if !literal.synchronising => {
                self.state = State::Drain { left: literal.size };
                None
            }
            _ => {
                self.state = State::Line;
                self.verdict.take()
            }
        }
    }

    fn end_with(&mut self, frame: Frame) -> Frame {
        self.reset();
        frame
    }

    fn reset(&mut self) {
        self.state = State::Line;
        self.command = Vec::new();
        self.line_octets = 0;
        self.literal_octets = 0;
        self.literal_count = 0;
    }

    fn die(&mut self, text: &'static str) -> Frame {
        self.reset();
        self.state = State::Dead;
        Frame::Fatal(text)
    }
}

fn clamp(left: u64, available: usize) -> usize {
    usize::try_from(left).unwrap_or(usize::MAX).min(available)
}

/// The tag of a command that could not be read, if it can be answered to.
pub fn tag_of(command: &[u8]) -> Option<String> {
    let tag = command
        .iter()
        .take(TAG_MAX + 1)
        .position(|&b| b == b' ')
        .map(|at| &command[..at])?;
    let ok = !tag.is_empty() && tag.iter().all(|&b| is_tag_char(b));
    ok.then(|| String::from_utf8_lossy(tag).into_owned())
}

/// ASTRING-CHAR without `+` (RFC 9051 9, `tag`).
pub fn is_tag_char(octet: u8) -> bool {
    (super::flag::is_atom_char(octet) || octet == b']') && octet != b'+'
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frames(framer: &mut Framer, text: &[u8]) -> Vec<Frame> {
        let mut input = BytesMut::from(text);
        std::iter::from_fn(|| framer.next(&mut input)).collect()
    }

    fn bad(tag: &str, text: &'static str) -> Frame {
        Frame::Bad {
            tag: Some(tag.to_owned()),
            text,
        }
    }

    fn open() -> Framer {
        let mut framer = Framer::default();
        framer.logged_in();
        framer
    }

    #[test]
    fn before_login_a_large_literal_is_not_invited() {
        let mut framer = Framer::default();
        assert_eq!(
            frames(&mut framer, b"a LOGIN {99999999999}\r\n"),
            [bad("a", "the literal is too large")]
        );
        assert_eq!(frames(&mut framer, b"b LOGIN {4000}\r\n"), [Frame::Continue]);
        let mut rest = vec![b'x'; 4000];
        rest.extend_from_slice(b" {97}\r\n");
        assert_eq!(frames(&mut framer, &rest), [bad("b", "the literal is too large")]);
        assert_eq!(
            frames(&mut framer, b"c NOOP\r\n"),
            [Frame::Command(b"c NOOP\r\n".to_vec())]
        );
        assert!(matches!(
            frames(&mut framer, b"d LOGIN {5000+}\r\n")[..],
            [Frame::Fatal(_)]
        ));
        assert!(frames(&mut framer, b"e NOOP\r\n").is_empty());
    }

    #[test]
    fn a_long_line_ends_the_session_only_before_login() {
        let long = [b"a SEARCH ".as_slice(), &vec![b'1'; LINE_MAX], b"\r\nb NOOP\r\n"].concat();
        assert!(matches!(
            frames(&mut Framer::default(), &long)[..],
            [Frame::Fatal(_)]
        ));
        let mut framer = open();
        let want = [
            bad("a", "the line is too long"),
            Frame::Command(b"b NOOP\r\n".to_vec()),
        ];
        assert_eq!(frames(&mut framer, &long), want);
    }

    #[test]
    fn refused_literals_under_way_are_drained() {
        let mut framer = open();
        let mut text = b"a SEARCH TEXT {300000+}\r\n".to_vec();
        text.extend(vec![b'\n'; 300_000]);
        text.extend_from_slice(b" TEXT {3+}\r\nxyz\r\nb NOOP\r\n");
        let want = [
            bad("a", "the literal is too large"),
            Frame::Command(b"b NOOP\r\n".to_vec()),
        ];
        assert_eq!(frames(&mut framer, &text), want);
    }

    #[test]
    fn the_message_of_append_is_streamed() {
        let mut framer = open();
        let head = frames(&mut framer, b"a append {5}\r\n");
        assert_eq!(head, [Frame::Continue]);
        let announced = frames(&mut framer, b"INBOX (\\Seen) UTF8 (~{6}\r\n");
        let Some(Frame::Append(head)) = announced.first() else {
            panic!("{announced:?}")
        };
        assert_eq!(head.octets, b"a append {5}\r\nINBOX (\\Seen) UTF8 (");
        assert_eq!((head.size, head.synchronising, head.literal8), (6, true, true));
        assert!(frames(&mut framer, b"").is_empty());
        framer.accept();
        let want = [
            Frame::Chunk(Bytes::from_static(b"abc\r\nd")),
            Frame::AppendTail(b")".to_vec()),
            Frame::Command(b"b NOOP\r\n".to_vec()),
        ];
        assert_eq!(frames(&mut framer, b"abc\r\nd)\r\nb NOOP\r\n"), want);
    }

    #[test]
    fn the_message_of_replace_is_streamed_too() {
        for (line, is) in [
            ("a REPLACE 4 Drafts (\\Seen) {3+}\r\n", true),
            ("a uid replace * Drafts {3+}\r\n", true),
            ("a UID REPLACE 4 {6}\r\nDrafts {3+}\r\n", true),
            ("a REPLACE 4 {3+}\r\n", false),
            ("a REPLACE {3+}\r\n", false),
            ("a UID APPEND Drafts {3+}\r\n", false),
            ("a UID REPLACE {3+}\r\n", false),
        ] {
            let streamed = frames(&mut open(), line.as_bytes())
                .iter()
                .any(|frame| matches!(frame, Frame::Append(_)));
            assert_eq!(streamed, is, "{line}");
        }
    }

    #[test]
    fn what_is_too_large_to_drain_ends_the_session() {
        let mut framer = open();
        assert!(matches!(
            frames(&mut framer, b"a APPEND x {99999999999+}\r\n")[..],
            [Frame::Append(_)]
        ));
        framer.refuse();
        assert!(matches!(frames(&mut framer, b"abc")[..], [Frame::Fatal(_)]));
        assert!(frames(&mut framer, b"abc").is_empty());
    }

    /// Were it no announcement, the literal would be read as commands.
    #[test]
    fn a_size_past_all_numbers_is_still_an_announcement() {
        let line = format!("a SEARCH TEXT {{{}+}}\r\n", "9".repeat(100));
        assert!(matches!(
            frames(&mut open(), line.as_bytes())[..],
            [Frame::Fatal(_)]
        ));
        let line = format!("a APPEND x {{{}}}\r\n", "9".repeat(23));
        let announced = frames(&mut open(), line.as_bytes());
        assert!(matches!(&announced[..], [Frame::Append(head)] if head.size == u64::MAX));
    }

    #[test]
    fn a_refused_append_loses_its_message_only() {
        let mut framer = open();
        assert!(matches!(
            frames(&mut framer, b"a APPEND x {6+}\r\n")[..],
            [Frame::Append(_)]
        ));
        framer.refuse();
        assert_eq!(
            frames(&mut framer, b"abc\r\nd\r\nb NOOP\r\n"),
            [Frame::Command(b"b NOOP\r\n".to_vec())]
        );
    }

    proptest! {
        #[test]
        fn octets_in_any_pieces_give_the_same_and_stay_bounded(
            text in "([ab{}+~(0-9 ]|\r\n|\n|a (APPEND|REPLACE 1) x \\{3\\+?\\}\r\n|\\{[0-9]{1,3}\\+?\\}\r\n){0,60}",
            logged_in: bool,
        ) {
            let run = |step: usize| {
                let mut framer = Framer { logged_in, ..Framer::default() };
                let (mut out, mut joined) = (Vec::new(), Vec::new());
                let mut input = BytesMut::new();
                for piece in text.as_bytes().chunks(step.max(1)) {
                    input.extend_from_slice(piece);
                    while let Some(frame) = framer.next(&mut input) {
                        match frame {
                            Frame::Chunk(chunk) => joined.extend_from_slice(&chunk),
                            Frame::Append(_) | Frame::AppendNext(_) => { out.push(frame); framer.accept() }
                            _ => out.push(frame),
                        }
                    }
                    assert!(framer.held_octets() <= 8 * 1024 * 5);
                }
                (out, joined)
            };
            prop_assert_eq!(run(1), run(text.len()));
        }
    }
}
