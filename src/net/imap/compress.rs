//! COMPRESS=DEFLATE (RFC 4978): a stream whose octets are deflated both ways, without zlib's header.
//!
//! What comes is inflated only into the room that its reader has: a small record that inflates to a great deal costs
//! no memory, and the engine's own bounds hold for what comes out. Each connection holds some 300 KB for the two windows,
//! and the length of what is encrypted tells something of what it says (CRIME): so it is a setting, and off without it.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Deflated octets read at a time.
const READ_OCTETS: usize = 8 * 1024;
/// Deflated octets gathered before some of them have to be taken.
const GATHERED_MAX: usize = 32 * 1024;
/// Room made for what a deflation brings.
const PIECE_OCTETS: usize = 8 * 1024;

pub(super) struct Deflated<S> {
    stream: S,
    inflate: Decompress,
    deflate: Compress,
    /// Deflated octets from `taken` on wait to be inflated.
    coming: Vec<u8>,
    taken: usize,
    /// Inflating may bring more without more octets.
    more: bool,
    ended: bool,
    /// Deflated octets from `sent` on wait to be written.
    going: Vec<u8>,
    sent: usize,
    /// Something was deflated since the last flush.
    unflushed: bool,
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "what came is not DEFLATE")
}

impl<S> Deflated<S> {
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream,
            inflate: Decompress::new(false),
            deflate: Compress::new(Compression::default(), false),
            coming: Vec::new(),
            taken: 0,
            more: false,
            ended: false,
            going: Vec::new(),
            sent: 0,
            unflushed: false,
        }
    }

    /// Inflates into the room of `buf`. Gives how much that brought.
    fn inflate_into(&mut self, buf: &mut ReadBuf<'_>) -> io::Result<usize> {
        let room = buf.initialize_unfilled();
        let (read, brought) = (self.inflate.total_in(), self.inflate.total_out());
        let input = self.coming.get(self.taken..).unwrap_or_default();
        let status = self.inflate.decompress(input, room, FlushDecompress::None);
        let status = status.map_err(|_| malformed())?;
        let read = (self.inflate.total_in() - read) as usize;
        let brought = (self.inflate.total_out() - brought) as usize;
        self.taken += read;
        // A full room may have kept something back.
        self.more = brought == room.len();
        self.ended = status == Status::StreamEnd;
        buf.advance(brought);
        Ok(brought)
    }

    /// Deflates octets; all of what that brings is gathered.
    fn deflate(&mut self, octets: &[u8], flush: FlushCompress) -> io::Result<()> {
        let mut rest = octets;
        loop {
            self.going.reserve(PIECE_OCTETS);
            let read = self.deflate.total_in();
            let status = self.deflate.compress_vec(rest, &mut self.going, flush);
            status.map_err(|error| io::Error::other(error.to_string()))?;
            let read = (self.deflate.total_in() - read) as usize;
            rest = rest.get(read..).unwrap_or_default();
            if rest.is_empty() && self.going.len() < self.going.capacity() {
                return Ok(());
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> Deflated<S> {
    /// Writes what has gathered until no more than `left` octets wait.
    fn poll_drain(&mut self, cx: &mut Context<'_>, left: usize) -> Poll<io::Result<()>> {
        while self.going.len() - self.sent > left {
            let octets = self.going.get(self.sent..).unwrap_or_default();
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, octets))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.sent += written;
        }
        if self.sent == self.going.len() {
            self.going.clear();
            self.sent = 0;
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Deflated<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        loop {
            if (this.more || this.taken < this.coming.len()) && !this.ended {
                if this.inflate_into(buf)? > 0 {
                    return Poll::Ready(Ok(()));
                }
                if this.taken < this.coming.len() && !this.ended {
                    return Poll::Ready(Err(malformed()));
                }
            }
            if this.ended {
                return Poll::Ready(Ok(()));
            }
            this.coming.resize(READ_OCTETS, 0);
            this.taken = 0;
            let mut read = ReadBuf::new(&mut this.coming);
            let came = Pin::new(&mut this.stream).poll_read(cx, &mut read);
            let octets = read.filled().len();
            this.coming.truncate(octets);
            ready!(came)?;
            this.ended = octets == 0;
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Deflated<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_drain(cx, GATHERED_MAX))?;
        let piece = octets.get(..octets.len().min(GATHERED_MAX)).unwrap_or_default();
        this.deflate(piece, FlushCompress::None)?;
        this.unflushed |= !piece.is_empty();
        Poll::Ready(Ok(piece.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if std::mem::take(&mut this.unflushed) {
            this.deflate(&[], FlushCompress::Sync)?;
        }
        ready!(this.poll_drain(cx, 0))?;
        Pin::new(&mut this.stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if std::mem::take(&mut this.unflushed) {
            this.deflate(&[], FlushCompress::Sync)?;
        }
        ready!(this.poll_drain(cx, 0))?;
        Pin::new(&mut this.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    async fn there_and_back(pieces: Vec<Vec<u8>>, pipe_octets: usize) -> Vec<u8> {
        let (near, far) = tokio::io::duplex(pipe_octets);
        let (mut near, mut far) = (Deflated::new(near), Deflated::new(far));
        let whole: usize = pieces.iter().map(Vec::len).sum();
        let writing = tokio::spawn(async move {
            for piece in pieces {
                near.write_all(&piece).await.unwrap();
                near.flush().await.unwrap();
            }
            near
        });
        let mut read = vec![0; whole];
        far.read_exact(&mut read).await.unwrap();
        writing.await.unwrap().shutdown().await.unwrap();
        let mut rest = Vec::new();
        far.read_to_end(&mut rest).await.unwrap();
        assert!(rest.is_empty());
        read
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

        #[test]
        fn what_is_written_is_read(
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..12),
            repeated in 1..200usize,
            pipe in 1..4000usize,
        ) {
            let pieces: Vec<Vec<u8>> = pieces.into_iter().map(|p| p.repeat(repeated)).collect();
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let read = runtime.block_on(there_and_back(pieces.clone(), pipe));
            prop_assert!(read == pieces.concat());
        }
    }

    #[tokio::test]
    async fn a_bomb_comes_out_in_pieces_and_nonsense_ends_it() {
        let mut bomb = Vec::with_capacity(1 << 20);
        let mut deflate = Compress::new(Compression::best(), false);
        let zeros = vec![0; 64 << 20];
        deflate
            .compress_vec(&zeros, &mut bomb, FlushCompress::Sync)
            .unwrap();
        assert!(bomb.len() < 100_000, "{}", bomb.len());
        let mut reader = Deflated::new(bomb.as_slice());
        let (mut room, mut came) = (vec![0; 1000], 0);
        while came < zeros.len() {
            let read = reader.read(&mut room).await.unwrap();
            assert!(read > 0 && reader.coming.capacity() <= 2 * READ_OCTETS);
            came += read;
        }
        let mut nonsense = Deflated::new([0xffu8; 40].as_slice());
        assert!(nonsense.read(&mut room).await.is_err());
    }

    #[tokio::test]
    async fn a_flush_without_anything_new_writes_nothing() {
        let (near, mut far) = tokio::io::duplex(4096);
        let mut near = Deflated::new(near);
        near.write_all(b"a").await.unwrap();
        for _ in 0..3 {
            near.flush().await.unwrap();
        }
        near.shutdown().await.unwrap();
        let mut octets = Vec::new();
        far.read_to_end(&mut octets).await.unwrap();
        assert!(octets.len() < 20, "{octets:?}");
    }
}
