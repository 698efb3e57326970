//! BDAT (CHUNKING, RFC 3030): content in counted pieces, held to the same octet rules as DATA and never unstuffed.
//!
//! BINARYMIME is not offered, so content must be text lines (RFC 3030 2): the last one ends with CRLF, otherwise a
//! relay by DATA would have to change the octets.

use super::data::{Damage, OctetCheck};
use bytes::{Bytes, BytesMut};

/// Reads the chunks of one message.
#[derive(Debug)]
pub struct ChunkReader {
    check: OctetCheck,
    left: u64,
}

/// What a chunk brings.
#[derive(Debug, PartialEq, Eq)]
pub enum ChunkStep {
    /// The input is used up.
    NeedMore,
    /// The next octets of content. Never empty.
    Run(Bytes),
    /// The current chunk is used up and the message may go on.
    ChunkEnd,
}

impl ChunkReader {
    pub fn new(size_max_octets: u64) -> Self {
        Self {
            check: OctetCheck::new(size_max_octets),
            left: 0,
        }
    }

    /// A `BDAT octets` begins.
    pub fn begin(&mut self, octets: u64) {
        self.left = octets;
    }

    /// Takes what belongs to the current chunk. A damaged chunk is read to its end and gives no runs.
    pub fn receive(&mut self, input: &mut BytesMut) -> ChunkStep {
        if self.left == 0 {
            return ChunkStep::ChunkEnd;
        }
        let take = input.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if take == 0 {
            return ChunkStep::NeedMore;
        }
        let run = input.split_to(take).freeze();
        self.left -= take as u64;
        run.iter().for_each(|octet| self.check.octet(*octet));
        if self.check.damage().is_none() {
            return ChunkStep::Run(run);
        }
        if self.left == 0 {
            ChunkStep::ChunkEnd
        } else {
            ChunkStep::NeedMore
        }
    }

    pub fn damage(&self) -> Option<Damage> {
        self.check.damage()
    }

    /// The verdict after the `LAST` chunk.
    pub fn finish(&mut self) -> Result<u64, Damage> {
        self.check.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds chunks; the content, or the damage.
    fn read(chunks: &[&[u8]], size_max: u64) -> Result<Vec<u8>, Damage> {
        let mut reader = ChunkReader::new(size_max);
        let mut content = Vec::new();
        for chunk in chunks {
            reader.begin(chunk.len() as u64);
            let mut input = BytesMut::from(&[chunk, &b"BDAT"[..]].concat()[..]);
            while let ChunkStep::Run(run) = reader.receive(&mut input) {
                content.extend_from_slice(&run);
            }
            assert_eq!(&input[..], b"BDAT");
        }
        reader.finish().map(|_| content)
    }

    #[test]
    fn content_is_counted_not_dotted() {
        assert_eq!(read(&[b".\r", b"\n..x\r\n", b""], 100).unwrap(), b".\r\n..x\r\n");
        assert_eq!(read(&[], 100).unwrap(), b"");
    }

    #[test]
    fn the_octet_rules_hold() {
        assert_eq!(read(&[b"a\n"], 100), Err(Damage::BareLf));
        assert_eq!(read(&[b"a\r", b"b\r\n"], 100), Err(Damage::BareCr));
        assert_eq!(read(&[b"a\0\r\n"], 100), Err(Damage::Nul));
        assert_eq!(read(&[b"a\r\n", b"b"], 100), Err(Damage::NoFinalCrlf));
        assert_eq!(read(&[b"abc\r\n", b"d\r\n"], 7), Err(Damage::TooLarge));
        assert_eq!(
            read(&[&[b'x'; 600], &[b'x'; 399], b"\r\n"], 9999),
            Err(Damage::LineTooLong)
        );
    }
}
