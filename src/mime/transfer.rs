//! Undoing a transfer encoding while octets stream by (RFC 2045 6): a part of any size in little memory.
//!
//! What is broken gives what can be read, and always the same, however the octets are cut into pieces: a length that
//! was counted once holds when the octets are sent.

/// The transfer encodings of RFC 2045 6.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// 7bit, 8bit, binary: the octets are what they are.
    Identity,
    Base64,
    QuotedPrintable,
}

impl Encoding {
    /// By the value of Content-Transfer-Encoding; `None` for one that nobody here can undo.
    pub fn named(value: Option<&str>) -> Option<Self> {
        // A comment or a parameter behind the word is not part of it.
        let word = value.unwrap_or("7bit").trim();
        let word = word.split([';', '(', ' ', '\t']).next().unwrap_or_default();
        let known = [
            ("7bit", Self::Identity),
            ("8bit", Self::Identity),
            ("binary", Self::Identity),
            ("base64", Self::Base64),
            ("quoted-printable", Self::QuotedPrintable),
        ];
        let found = known.iter().find(|(name, _)| name.eq_ignore_ascii_case(word));
        found.map(|(_, encoding)| *encoding)
    }
}

/// A decoder: [`push`](Self::push) the octets in pieces of any size, then [`finish`](Self::finish).
#[derive(Debug)]
pub enum Decoder {
    Identity,
    Base64(Base64),
    QuotedPrintable(QuotedPrintable),
}

impl Decoder {
    pub fn new(encoding: Encoding) -> Self {
        match encoding {
            Encoding::Identity => Self::Identity,
            Encoding::Base64 => Self::Base64(Base64::default()),
            Encoding::QuotedPrintable => Self::QuotedPrintable(QuotedPrintable::default()),
        }
    }

    /// Appends what the next octets become to `out`: never more octets than went in, plus what was held back.
    pub fn push(&mut self, octets: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::Identity => out.extend_from_slice(octets),
            Self::Base64(base64) => base64.push(octets, out),
            Self::QuotedPrintable(quoted) => quoted.push(octets, out),
        }
    }

    /// Appends what was held back. Gives whether all of it was in the encoding: then every decoder says the same.
    pub fn finish(self, out: &mut Vec<u8>) -> bool {
        match self {
            Self::Identity => true,
            Self::Base64(base64) => base64.is_clean(),
            Self::QuotedPrintable(quoted) => quoted.finish(out),
        }
    }
}

/// RFC 2045 6.8: characters outside the alphabet are passed over; the first padding ends the data.
#[derive(Debug, Default)]
pub struct Base64 {
    bits: u32,
    count: u32,
    ended: bool,
    /// Characters of data, modulo four.
    data: u8,
    /// Characters of padding, up to four.
    padding: u8,
    /// Something that is neither data nor white space was met, or data behind the padding.
    dirty: bool,
}

/// Six bits of each character; [`SKIP`] and [`PAD`] otherwise.
const ALPHABET: [u8; 256] = alphabet();
const SKIP: u8 = 0x80;
const PAD: u8 = 0x81;

const fn alphabet() -> [u8; 256] {
    let mut table = [SKIP; 256];
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut at = 0;
    while at < letters.len() {
        table[letters[at] as usize] = at as u8;
        at += 1;
    }
    table[b'=' as usize] = PAD;
    table
}

impl Base64 {
    fn push(&mut self, octets: &[u8], out: &mut Vec<u8>) {
        if self.ended {
            return self.trailing(octets);
        }
        out.reserve(octets.len() / 4 * 3 + 3);
        for (at, &octet) in octets.iter().enumerate() {
            let six = ALPHABET[usize::from(octet)];
            if six & SKIP != 0 {
                if six == PAD {
                    self.ended = true;
                    return self.trailing(octets.get(at..).unwrap_or_default());
                }
                self.dirty |= !is_white(octet);
                continue;
            }
            self.data = (self.data + 1) % 4;
            self.bits = self.bits << 6 | u32::from(six);
            self.count += 6;
            if self.count >= 8 {
                self.count -= 8;
                out.push((self.bits >> self.count & 0xff) as u8);
            }
        }
    }
}

impl Base64 {
    /// What stands from the first padding on is no data.
    fn trailing(&mut self, octets: &[u8]) {
        for &octet in octets {
            match octet {
                b'=' => self.padding = (self.padding + 1).min(4),
                other => self.dirty |= !is_white(other),
            }
        }
    }

    /// RFC 2045 6.8: whole groups of four, the last one padded.
    fn is_clean(&self) -> bool {
        let padded = matches!((self.data, self.padding), (0, 0) | (2, 2) | (3, 1));
        padded && !self.dirty
    }
}

fn is_white(octet: u8) -> bool {
    matches!(octet, b' ' | b'\t' | b'\r' | b'\n')
}

/// White space at the end of a line is not data (RFC 2045 6.7 rule 3). So much of it is held back until the line has
/// ended; a longer run is no padding that a transport added.
const PADDING_MAX: usize = 256;

/// RFC 2045 6.7: an `=` that begins nothing stands for itself.
#[derive(Debug, Default)]
pub struct QuotedPrintable {
    /// White space, or the beginning of an escape or a soft line break, as it came.
    held: Vec<u8>,
    /// An `=` that begins nothing was met, or more white space than is held back.
    dirty: bool,
}

impl QuotedPrintable {
    fn push(&mut self, octets: &[u8], out: &mut Vec<u8>) {
        out.reserve(octets.len());
        let mut rest = octets;
        while let Some(&octet) = rest.first() {
            if self.held.is_empty() {
                let plain = rest
                    .iter()
                    .position(|b| matches!(b, b'=' | b' ' | b'\t'))
                    .unwrap_or(rest.len());
                out.extend_from_slice(&rest[..plain]);
                rest = &rest[plain..];
                if let Some((first, behind)) = rest.split_first() {
                    self.held.push(*first);
                    rest = behind;
                }
                continue;
            }
            rest = &rest[1..];
            self.held_and(octet, out);
        }
    }

    /// One more octet behind what is held.
    fn held_and(&mut self, octet: u8, out: &mut Vec<u8>) {
        let cr = self.held.last() == Some(&b'\r');
        if cr && octet != b'\n' {
            // A CR alone ends no line.
            self.release(octet, out);
        } else if self.held.first() == Some(&b'=') {
            self.escape(octet, out);
        } else if matches!(octet, b' ' | b'\t') && self.held.len() < PADDING_MAX {
            self.held.push(octet);
        } else if octet == b'\n' {
            self.held.clear();
            out.extend_from_slice(if cr { b"\r\n" } else { b"\n" });
        } else if octet == b'\r' {
            self.held.push(octet);
        } else {
            self.release(octet, out);
        }
    }

    /// `=XX`, or `=` with white space up to a line end, which is no line end then.
    fn escape(&mut self, octet: u8, out: &mut Vec<u8>) {
        let digits = self.held.len() == 2 && self.held.get(1).is_some_and(u8::is_ascii_hexdigit);
        match octet {
            b'\n' if !digits => self.held.clear(),
            _ if digits && octet.is_ascii_hexdigit() => {
                let high = self.held.get(1).copied().map_or(0, hex);
                out.push(high << 4 | hex(octet));
                self.held.clear();
            }
            _ if self.held.len() == 1 && octet.is_ascii_hexdigit() => self.held.push(octet),
            b' ' | b'\t' | b'\r' if !digits && self.held.len() < PADDING_MAX => self.held.push(octet),
            _ => self.release(octet, out),
        }
    }

    /// What was held is data after all; the octet is looked at anew.
    fn release(&mut self, octet: u8, out: &mut Vec<u8>) {
        self.dirty |= self.held.first() == Some(&b'=') || self.held.len() >= PADDING_MAX;
        out.append(&mut self.held);
        if matches!(octet, b'=' | b' ' | b'\t') {
            self.held.push(octet);
        } else {
            out.push(octet);
        }
    }

    fn finish(self, out: &mut Vec<u8>) -> bool {
        // A body may end without a line end: what looks like padding or a soft break there is one.
        let white = |b: &u8| matches!(b, b' ' | b'\t' | b'\r');
        let dropped = match self.held.split_first() {
            Some((b'=', rest)) => rest.iter().all(white),
            _ => self.held.iter().all(white),
        };
        if !dropped {
            out.extend_from_slice(&self.held);
        }
        dropped && !self.dirty
    }
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit.wrapping_sub(b'A').wrapping_add(10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    fn undone(encoding: Encoding, octets: &[u8], step: usize) -> Vec<u8> {
        let (mut decoder, mut out) = (Decoder::new(encoding), Vec::new());
        for piece in octets.chunks(step.max(1)) {
            decoder.push(piece, &mut out);
        }
        decoder.finish(&mut out);
        out
    }

    #[test]
    fn encodings_are_named() {
        for (value, want) in [
            (None, Some(Encoding::Identity)),
            (Some("BASE64"), Some(Encoding::Base64)),
            (Some(" quoted-printable (x)"), Some(Encoding::QuotedPrintable)),
            (Some("binary;"), Some(Encoding::Identity)),
            (Some("x-uuencode"), None),
            (Some(""), None),
        ] {
            assert_eq!(Encoding::named(value), want, "{value:?}");
        }
    }

    #[test]
    fn quoted_printable_by_its_rules() {
        for (coded, plain) in [
            ("=C5=9E a=\r\nb", "Ş ab".to_owned()),
            ("line  \t\r\nnext \n", "line\r\nnext\n".to_owned()),
            ("soft= \t\r\nbreak", "softbreak".to_owned()),
            ("=zz =4", "=zz =4".to_owned()),
            ("=c5=9f==41", "ş=A".to_owned()),
            ("a =\r\n b", "a  b".to_owned()),
            ("end =", "end ".to_owned()),
            ("end   ", "end".to_owned()),
            ("=4\r\nx", "=4\r\nx".to_owned()),
            ("a\rb \rc", "a\rb \rc".to_owned()),
        ] {
            for step in [1, 2, 3, 100] {
                let got = undone(Encoding::QuotedPrintable, coded.as_bytes(), step);
                assert_eq!(String::from_utf8_lossy(&got), plain, "{coded:?} by {step}");
            }
        }
    }

    #[test]
    fn what_is_broken_is_known() {
        use Encoding::{Base64, Identity, QuotedPrintable};
        for (encoding, coded, clean) in [
            (Identity, "=zz", true),
            (Base64, "", true),
            (Base64, "aGVs\r\nbG8= \r\n", true),
            (Base64, "aGVs\tbG8h", true),
            (Base64, "AA==", true),
            (Base64, "AAE", false),
            (Base64, "AA=", false),
            (Base64, "AAA==", false),
            (Base64, "AAAA=", false),
            (Base64, "A", false),
            (Base64, "AA=A", false),
            (Base64, "aG!Vs", false),
            (Base64, "aGk=\r\naGVs", false),
            (Base64, "aGk=\r\n-- \r\ntrailer", false),
            (QuotedPrintable, "", true),
            (QuotedPrintable, "=C5=9F =\r\nb  \r\n", true),
            (QuotedPrintable, "=c5=9f soft=", true),
            (QuotedPrintable, "=zz", false),
            (QuotedPrintable, "a =4", false),
            (QuotedPrintable, "=4\r\nx", false),
            (QuotedPrintable, "a == b", false),
        ] {
            for step in [1, 2, 3, 100] {
                let (mut decoder, mut out) = (Decoder::new(encoding), Vec::new());
                coded
                    .as_bytes()
                    .chunks(step)
                    .for_each(|piece| decoder.push(piece, &mut out));
                assert_eq!(decoder.finish(&mut out), clean, "{coded:?} by {step}");
            }
        }
        let (mut decoder, mut out) = (Decoder::new(QuotedPrintable), Vec::new());
        decoder.push(&[b' '; PADDING_MAX + 1], &mut out);
        decoder.push(b"\r\nx", &mut out);
        assert!(!decoder.finish(&mut out), "more white space than any line has");
    }

    #[test]
    fn base64_passes_over_what_is_none() {
        let coded = b"aGV s\r\nbG8=\r\ntrailer";
        assert_eq!(undone(Encoding::Base64, coded, 1), b"hello");
        assert_eq!(undone(Encoding::Base64, b"AAE", 2), [0, 1]);
    }

    /// Python's own decoders, on what its encoders made.
    #[test]
    fn another_decoder_says_the_same() {
        let script = "import sys,quopri,base64\n\
            raw=bytes(range(256))*9+b'a=b  \\r\\n\\t\\r\\nson '\n\
            sys.stdout.buffer.write(quopri.encodestring(raw,quotetabs=True).replace(b'\\n',b'\\r\\n')+b'\\0\\0'+base64.encodebytes(raw)+b'\\0\\0'+raw)";
        let mut python = Command::new("python3")
            .args(["-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        python.stdin.take().unwrap().flush().unwrap();
        let said = python.wait_with_output().unwrap().stdout;
        let first = said.windows(2).position(|w| w == b"\0\0").unwrap();
        let second = first + 2 + said[first + 2..].windows(2).position(|w| w == b"\0\0").unwrap();
        let raw = &said[second + 2..];
        for step in [1, 7, 4096] {
            assert_eq!(undone(Encoding::Base64, &said[first + 2..second], step), raw);
            // quopri keeps line ends as they are; those inside `raw` were made CRLF above.
            let lines: Vec<u8> = undone(Encoding::QuotedPrintable, &said[..first], step);
            let without_cr = |o: &[u8]| o.iter().copied().filter(|b| *b != b'\r').collect::<Vec<u8>>();
            assert_eq!(without_cr(&lines), without_cr(raw));
        }
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(octets in "([=a-f0-9 \t\r\n]|=[0-9A-F]{2}|=\r\n|ş){0,80}", step in 1..9usize) {
            for encoding in [Encoding::Identity, Encoding::Base64, Encoding::QuotedPrintable] {
                let whole = undone(encoding, octets.as_bytes(), usize::MAX);
                prop_assert_eq!(&undone(encoding, octets.as_bytes(), step), &whole);
                prop_assert!(whole.len() <= octets.len());
            }
        }
    }
}
