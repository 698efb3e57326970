//! The digests of the parts of an original, while its octets stream by: a mail of any size in little memory.

use super::receipts::finished;
use crate::mime::transfer::{Decoder, Encoding};
use crate::mime::{Part, PartKind, Span, Structure};
use crate::rem::receipt::{PartDigest, digest_text};
use aws_lc_rs::digest::{Context, SHA256};

/// A part that is read. There are as many as the map of the original has, which is bounded.
struct Reading {
    /// What is known before it is read.
    told: PartDigest,
    span: Span,
    exact: Context,
    /// None for an encoding that nobody here can undo. What is no more than damaged in its encoding is undone by every reader
    /// in another way: of that nothing is stated either.
    decoder: Option<Decoder>,
    decoded: Context,
    decoded_octets: u64,
}

impl Reading {
    fn of(number: String, part: &Part) -> Self {
        // Only a leaf has an encoding to undo (RFC 2045 6.4).
        let encoding = match part.kind {
            PartKind::Leaf => Encoding::named(part.encoding.as_deref()),
            PartKind::Message | PartKind::Multipart => Some(Encoding::Identity),
        };
        let told = PartDigest {
            part: number,
            media_type: part.content_type.value.clone(),
            file: part.file_name(),
            encoding: part.encoding.clone(),
            octets: part.body.octets(),
            sha256: String::new(),
            decoded_octets: None,
            decoded_sha256: None,
        };
        Self {
            told,
            span: part.body,
            exact: Context::new(&SHA256),
            decoder: encoding.map(Decoder::new),
            decoded: Context::new(&SHA256),
            decoded_octets: 0,
        }
    }

    fn push(&mut self, octets: &[u8], room: &mut Vec<u8>) {
        self.exact.update(octets);
        if let Some(decoder) = &mut self.decoder {
            room.clear();
            decoder.push(octets, room);
            self.decoded.update(room);
            self.decoded_octets += room.len() as u64;
        }
    }

    fn finish(mut self) -> PartDigest {
        self.told.sha256 = digest_text(&finished(self.exact));
        if let Some(decoder) = self.decoder {
            let mut rest = Vec::new();
            let is_clean = decoder.finish(&mut rest);
            self.decoded.update(&rest);
            if is_clean {
                self.told.decoded_octets = Some(self.decoded_octets + rest.len() as u64);
                self.told.decoded_sha256 = Some(digest_text(&finished(self.decoded)));
            }
        }
        self.told
    }
}

/// Reads all parts in one pass.
pub(super) struct PartsReading {
    /// In the order of their octets, none within another.
    parts: Vec<Reading>,
    /// Those before are read.
    first: usize,
    at: u64,
    room: Vec<u8>,
}

impl PartsReading {
    pub fn of(map: &Structure) -> Self {
        let leaves = map.leaves().into_iter();
        Self {
            parts: leaves.map(|(number, part)| Reading::of(number, part)).collect(),
            first: 0,
            at: 0,
            room: Vec::new(),
        }
    }

    /// Takes the next octets of the message.
    pub fn push(&mut self, chunk: &[u8]) {
        let (from, to) = (self.at, self.at + chunk.len() as u64);
        self.at = to;
        for part in self.parts.iter_mut().skip(self.first) {
            if part.span.start >= to {
                break;
            }
            let within = |offset: u64| (offset.clamp(from, to) - from) as usize;
            if let Some(octets) = chunk.get(within(part.span.start)..within(part.span.end)) {
                part.push(octets, &mut self.room);
            }
            self.first += usize::from(part.span.end <= to);
        }
    }

    pub fn finish(self) -> Vec<PartDigest> {
        self.parts.into_iter().map(Reading::finish).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tables::mails::digest;

    const MAIL: &str = "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n\r\nmetin\r\n--a\r\n\
        Content-Type: application/pdf; name=\"=?UTF-8?Q?=C5=9F.pdf?=\"\r\nContent-Transfer-Encoding: base64\r\n\r\nJVBE\r\nRi0=\r\n--a\r\n\
        Content-Type: text/plain\r\nContent-Transfer-Encoding: x-own\r\n\r\nzz\r\n--a\r\n\r\n--a\r\n\
        Content-Type: message/rfc822\r\n\r\nSubject: i\r\n\r\nin\r\n\r\n--a--\r\n";

    #[test]
    fn pieces_do_not_matter_and_every_part_is_told() {
        let map = Structure::of(MAIL.as_bytes());
        let read = |step: usize| {
            let mut reading = PartsReading::of(&map);
            MAIL.as_bytes().chunks(step).for_each(|c| reading.push(c));
            reading.finish()
        };
        let told = read(usize::MAX);
        for step in [1, 2, 7, 64] {
            assert_eq!(read(step), told, "by {step}");
        }
        let of = |octets: &[u8]| digest_text(&digest(octets));
        let numbers: Vec<&str> = told.iter().map(|p| p.part.as_str()).collect();
        assert_eq!(numbers, ["1", "2", "3", "4", "5"]);
        let [text, pdf, own, empty, message] = told.try_into().unwrap();
        assert_eq!((text.octets, text.sha256), (5, of(b"metin")));
        assert_eq!(text.decoded_sha256, Some(of(b"metin")));
        assert_eq!(pdf.file.as_deref(), Some("ş.pdf"));
        assert_eq!((pdf.octets, pdf.sha256), (10, of(b"JVBE\r\nRi0=")));
        assert_eq!(
            (pdf.decoded_octets, pdf.decoded_sha256),
            (Some(5), Some(of(b"%PDF-")))
        );
        assert_eq!((own.octets, own.sha256), (2, of(b"zz")));
        assert_eq!((own.decoded_octets, own.decoded_sha256), (None, None));
        assert_eq!((empty.octets, empty.sha256), (0, of(b"")));
        let broken = MAIL.replace("JVBE\r\nRi0=", "JVBE\r\n!i0=");
        let mut reading = PartsReading::of(&Structure::of(broken.as_bytes()));
        reading.push(broken.as_bytes());
        let pdf = reading.finish().swap_remove(1);
        assert_eq!((pdf.octets, pdf.sha256), (10, of(b"JVBE\r\n!i0=")));
        assert_eq!((pdf.decoded_octets, pdf.decoded_sha256), (None, None));
        let inside = b"Subject: i\r\n\r\nin\r\n";
        assert_eq!(
            (message.octets, message.sha256),
            (inside.len() as u64, of(inside))
        );
    }
}
