//! DATA, read strictly and written strictly (RFC 5321 4.1.1.4, 4.5.2), in a stream: a body never sits here.
//!
//! A message whose octets somebody on the way might change cannot be registered mail: its digest would not hold. So a
//! bare CR, a bare LF, a NUL or a line over 998 octets is damage and refuses the whole message. It also closes the door
//! on SMTP smuggling: only `CRLF . CRLF` ends the data; every near miss (`LF . LF`, `LF . CRLF`, `CR . CRLF`,
//! `CRLF . LF`, `CRLF . CR`, `CRLF . CR CR LF`, ...) is damage, and after damage all is read and thrown away up to the
//! real end, so that nothing behind a near miss is ever taken for a command.

use super::reply::{self, Reply};
use bytes::{Buf, Bytes, BytesMut};

/// RFC 5321 4.5.3.1.6: octets of a text line without its CRLF and without a stuffed dot.
pub const LINE_MAX_OCTETS: usize = 998;
/// How much is thrown away after damage before the peer is cut off: a well-meaning client always ends; this is above
/// the largest message any provider takes.
pub const DRAIN_MAX_OCTETS: u64 = 256 * 1024 * 1024;

/// What makes a message unacceptable; the first damage counts. Always the peer's fault, never worth a retry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    #[error("a CR without LF")]
    BareCr,
    #[error("a LF without CR")]
    BareLf,
    #[error("a NUL octet")]
    Nul,
    #[error("a line longer than 998 octets")]
    LineTooLong,
    #[error("the last line has no CRLF")]
    NoFinalCrlf,
    #[error("more octets than allowed")]
    TooLarge,
    /// The damaged input went on for [`DRAIN_MAX_OCTETS`]: say it and close.
    #[error("the damaged input does not end")]
    Endless,
}

impl Damage {
    pub fn reply(self) -> Reply {
        match self {
            Damage::BareCr | Damage::BareLf | Damage::Nul | Damage::NoFinalCrlf => reply::MALFORMED_LINE_ENDS,
            Damage::LineTooLong => reply::LINE_TOO_LONG,
            Damage::TooLarge => reply::TOO_LARGE,
            Damage::Endless => reply::ENDLESS,
        }
    }
}

/// Where the next octet stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    LineStart,
    Line,
    AfterCr,
}

/// Looks at every octet of content once: the rule that DATA, BDAT and the encoder share.
#[derive(Debug)]
pub(super) struct OctetCheck {
    place: Place,
    line_octets: usize,
    octets: u64,
    size_max_octets: u64,
    damage: Option<Damage>,
}

impl OctetCheck {
    pub fn new(size_max_octets: u64) -> Self {
        Self {
            place: Place::LineStart,
            line_octets: 0,
            octets: 0,
            size_max_octets,
            damage: None,
        }
    }

    pub fn octet(&mut self, octet: u8) {
        self.octets += 1;
        if self.octets > self.size_max_octets {
            self.hurt(Damage::TooLarge);
        }
        if self.place == Place::AfterCr {
            if octet == b'\n' {
                self.place = Place::LineStart;
                self.line_octets = 0;
                return;
            }
            self.hurt(Damage::BareCr);
        }
        self.place = match octet {
            b'\r' => Place::AfterCr,
            b'\n' => {
                self.hurt(Damage::BareLf);
                // Not the start of a line: only CRLF makes one, and so only CRLF can stand before the ending dot.
                Place::Line
            }
            0 => {
                self.hurt(Damage::Nul);
                Place::Line
            }
            _ => {
                self.line_octets += 1;
                if self.line_octets > LINE_MAX_OCTETS {
                    self.hurt(Damage::LineTooLong);
                }
                Place::Line
            }
        };
    }

    pub fn hurt(&mut self, damage: Damage) {
        self.damage.get_or_insert(damage);
    }

    pub fn damage(&self) -> Option<Damage> {
        self.damage
    }

    pub fn at_line_start(&self) -> bool {
        self.place == Place::LineStart
    }

    /// The verdict on the whole content: how many octets, or what is wrong.
    pub fn finish(&mut self) -> Result<u64, Damage> {
        if !self.at_line_start() {
            self.hurt(Damage::NoFinalCrlf);
        }
        self.damage.map_or(Ok(self.octets), Err)
    }

    fn drained_too_much(&self) -> bool {
        self.damage.is_some() && self.octets > self.size_max_octets.saturating_add(DRAIN_MAX_OCTETS)
    }
}

/// What a reader of content says.
#[derive(Debug, PartialEq, Eq)]
pub enum BodyStep {
    /// The input is used up.
    NeedMore,
    /// The next octets of content, dots already unstuffed. Never empty.
    Run(Bytes),
    /// The end: octets of content, or why the message is refused. What follows in the input is not content.
    End(Result<u64, Damage>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dot {
    None,
    Seen,
    SeenWithCr,
}

/// Reads the content after a `354`.
#[derive(Debug)]
pub struct DataReader {
    check: OctetCheck,
    dot: Dot,
}

impl DataReader {
    pub fn new(size_max_octets: u64) -> Self {
        Self {
            check: OctetCheck::new(size_max_octets),
            dot: Dot::None,
        }
    }

    /// Takes what it can from the input. Call again until [`BodyStep::NeedMore`] or [`BodyStep::End`].
    pub fn receive(&mut self, input: &mut BytesMut) -> BodyStep {
        let mut at = 0; // input[..at] is content that was looked at; always 0 while a dot is undecided
        while let Some(&octet) = input.get(at) {
            match self.dot {
                Dot::None if octet == b'.' && self.check.at_line_start() => {
                    self.dot = Dot::Seen;
                    let run = input.split_to(at).freeze();
                    input.advance(1);
                    at = 0;
                    if self.wanted(&run) {
                        return BodyStep::Run(run);
                    }
                }
                Dot::None => {
                    if self.first_damage(octet) {
                        return self.run_before_damage(input, at);
                    }
                    at += 1;
                }
                Dot::Seen if octet == b'\r' => {
                    self.dot = Dot::SeenWithCr;
                    input.advance(1);
                }
                Dot::Seen => {
                    // The dot was stuffed (or stands alone before text, which RFC 5321 4.5.2 reads the same way).
                    self.dot = Dot::None;
                    if self.first_damage(octet) {
                        return self.run_before_damage(input, at);
                    }
                    at += 1;
                }
                Dot::SeenWithCr if octet == b'\n' => {
                    input.advance(1);
                    return BodyStep::End(self.check.finish());
                }
                Dot::SeenWithCr => {
                    // CRLF . CR and then no LF: the CR belongs to the content and is bare.
                    self.dot = Dot::None;
                    self.check.octet(b'\r');
                }
            }
        }
        let run = input.split_to(at).freeze();
        if self.check.drained_too_much() {
            return BodyStep::End(Err(Damage::Endless));
        }
        if self.wanted(&run) {
            BodyStep::Run(run)
        } else {
            BodyStep::NeedMore
        }
    }

    /// Looks at an octet; whether it is the first that does damage.
    fn first_damage(&mut self, octet: u8) -> bool {
        let clean = self.check.damage().is_none();
        self.check.octet(octet);
        clean && self.check.damage().is_some()
    }

    /// What was good is given however the input was cut: rejection evidence names the message by its header.
    fn run_before_damage(&mut self, input: &mut BytesMut, at: usize) -> BodyStep {
        let run = input.split_to(at).freeze();
        input.advance(1);
        if run.is_empty() {
            return self.receive(input);
        }
        BodyStep::Run(run)
    }

    fn wanted(&self, run: &Bytes) -> bool {
        !run.is_empty() && self.check.damage().is_none()
    }
}

/// Writes content for a `354`: dots stuffed, ended, and held to the same rules as what is read.
#[derive(Debug)]
pub struct DotStuffer(OctetCheck);

impl Default for DotStuffer {
    fn default() -> Self {
        Self(OctetCheck::new(u64::MAX))
    }
}

impl DotStuffer {
    /// Appends a run of content. After damage nothing is written any more: the connection must be dropped, because a
    /// DATA that was begun cannot be taken back (our fault: such content is never stored).
    pub fn stuff(&mut self, run: &[u8], out: &mut BytesMut) -> Result<(), Damage> {
        out.reserve(run.len());
        let mut from = 0;
        for (at, &octet) in run.iter().enumerate() {
            if octet == b'.' && self.0.at_line_start() {
                out.extend_from_slice(&run[from..at]);
                out.extend_from_slice(b".");
                from = at;
            }
            self.0.octet(octet);
            if let Some(damage) = self.0.damage() {
                return Err(damage);
            }
        }
        out.extend_from_slice(&run[from..]);
        Ok(())
    }

    /// Appends the end.
    pub fn finish(mut self, out: &mut BytesMut) -> Result<(), Damage> {
        self.0.finish()?;
        out.extend_from_slice(b".\r\n");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Content, verdict, and what was left behind the end.
    type Read = (Vec<u8>, Result<u64, Damage>, Vec<u8>);

    /// Reads `wire` in pieces of `piece` octets; `None` if it does not end.
    fn read(wire: &[u8], piece: usize, size_max: u64) -> Option<Read> {
        let mut reader = DataReader::new(size_max);
        let mut content = Vec::new();
        let mut input = BytesMut::new();
        let mut pieces = wire.chunks(piece);
        while let Some(next) = pieces.next() {
            input.extend_from_slice(next);
            loop {
                match reader.receive(&mut input) {
                    BodyStep::NeedMore => break,
                    BodyStep::Run(run) => content.extend_from_slice(&run),
                    BodyStep::End(verdict) => {
                        let rest = [&input[..], &pieces.collect::<Vec<_>>().concat()].concat();
                        return Some((content, verdict, rest));
                    }
                }
            }
        }
        None
    }

    #[test]
    fn good_messages() {
        let cases: [(&[u8], &[u8]); 6] = [
            (b".\r\n", b""),
            (b"a\r\n.\r\n", b"a\r\n"),
            (b"..\r\n.\r\n", b".\r\n"),
            (b"..a\r\n...\r\n.\r\n", b".a\r\n..\r\n"),
            (b".a\r\n.\r\n", b"a\r\n"),
            (b"a.\r\n\r\n.\r\n", b"a.\r\n\r\n"),
        ];
        for (wire, content) in cases {
            for piece in [1, 2, 3, 100] {
                let want = (content.to_vec(), Ok(content.len() as u64), b"QUIT".to_vec());
                assert_eq!(
                    read(&[wire, b"QUIT"].concat(), piece, 1000),
                    Some(want),
                    "{wire:?} by {piece}"
                );
            }
        }
    }

    #[test]
    fn near_misses_are_damage_and_are_drained_to_the_real_end() {
        let cases: [(&[u8], Damage); 14] = [
            (b"\n.\n", Damage::BareLf),
            (b"\n.\r\n", Damage::BareLf),
            (b"\r.\r\n", Damage::BareCr),
            (b"\r.\r", Damage::BareCr),
            (b"\r.\n", Damage::BareCr),
            (b"\n.\r", Damage::BareLf),
            (b"\r\n.\n", Damage::BareLf),
            (b"\r\n.\r", Damage::BareCr),
            (b"\r\n.\r\r\n", Damage::BareCr),
            (b"\r\r\n.\r\n", Damage::BareCr),
            (b"\r\n\0.\r\n", Damage::Nul),
            (b"\r\n.\0\r\n", Damage::Nul),
            (b"\n\n.\r\n", Damage::BareLf),
            (b"\r\n.\n\r\n", Damage::BareLf),
        ];
        for (form, damage) in cases {
            let wire = [b"a", form, b"MAIL FROM:<x@y>\r\nend\r\n.\r\nNOOP"].concat();
            for piece in [1, 2, 100] {
                let (_, verdict, rest) = read(&wire, piece, 1000).unwrap();
                // `CR CRLF . CRLF` holds a real end behind its damage.
                let real_end = form == b"\r\r\n.\r\n";
                assert_eq!(
                    (verdict, rest.ends_with(b"NOOP")),
                    (Err(damage), true),
                    "{form:?}"
                );
                assert_eq!(rest.len() == 4, !real_end, "{form:?} by {piece}");
            }
        }
    }

    #[test]
    fn what_stands_before_the_damage_is_given() {
        let header = b"Subject: x\r\n\r\n";
        for (rest, clean) in [
            (b"a\0b\r\n".as_slice(), "a"),
            (b"a\nb\r\n", "a"),
            (b"a\rb\r\n", "a\r"),
            (b"..\0\r\n", "."),
            (b"\0\r\n", ""),
        ] {
            let wire = [header, rest, b".\r\n"].concat();
            for piece in [1, 3, 100] {
                let (content, verdict, _) = read(&wire, piece, 1000).unwrap();
                assert!(verdict.is_err());
                assert_eq!(
                    content,
                    [header, clean.as_bytes()].concat(),
                    "{rest:?} by {piece}"
                );
            }
        }
    }

    #[test]
    fn limits() {
        let line = |n: usize| [&vec![b'.'; n][..], b"\r\n.\r\n"].concat();
        // The stuffed dot does not count.
        assert!(read(&line(LINE_MAX_OCTETS + 1), 50, 2000).unwrap().1.is_ok());
        assert_eq!(
            read(&line(LINE_MAX_OCTETS + 2), 50, 2000).unwrap().1,
            Err(Damage::LineTooLong)
        );
        assert_eq!(read(b"abc\r\n.\r\n", 1, 5).unwrap().1, Ok(5));
        assert_eq!(read(b"abcd\r\n.\r\n", 1, 5).unwrap().1, Err(Damage::TooLarge));
    }

    proptest! {
        #[test]
        fn stuffing_and_reading_are_inverses(
            lines in proptest::collection::vec("[.a\u{131}]{0,5}", 0..12), cut in 1usize..7, piece in 1usize..9,
        ) {
            let content: String = lines.iter().flat_map(|line| [line.as_str(), "\r\n"]).collect();
            let (mut stuffer, mut wire) = (DotStuffer::default(), BytesMut::new());
            for run in content.as_bytes().chunks(cut) {
                stuffer.stuff(run, &mut wire).unwrap();
            }
            stuffer.finish(&mut wire).unwrap();
            let (read, verdict, rest) = read(&wire, piece, 10_000).unwrap();
            prop_assert_eq!(read, content.as_bytes());
            prop_assert_eq!(verdict, Ok(content.len() as u64));
            prop_assert!(rest.is_empty());
        }

        #[test]
        fn pieces_change_nothing(wire in "[.\r\na\0]{0,40}", piece in 1usize..6) {
            let whole = read(wire.as_bytes(), usize::MAX, 30);
            let pieces = read(wire.as_bytes(), piece, 30);
            prop_assert_eq!(whole.is_some(), pieces.is_some());
            if let (Some(whole), Some(pieces)) = (whole, pieces) {
                prop_assert_eq!(whole.1, pieces.1);
                prop_assert_eq!(whole.2, pieces.2);
                prop_assert_eq!(whole.0, pieces.0);
            }
        }
    }
}
