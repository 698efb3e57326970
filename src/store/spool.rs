//! Blobs by the SHA-256 of their content: mails, sealed frames, evidence documents.
//!
//! A blob is complete first, and can be read and judged then; what is not kept leaves nothing. To be kept it is written
//! to a temporary file, synced, renamed to its name, and its folder synced; then it exists, and it
//! never changes. Several are synced at a time, so that the file system and the device join their writes. Octets stream in
//! and out in pieces: no blob is ever held whole. This is the only place in the house that renames a file.

use super::probe::{self, Probe};
use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs::File;
use std::io::Write as _;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Semaphore;

/// Octets gathered before they go to the file; a blob that ends below it is written in one go when it is kept.
const BUFFER_BYTES: usize = 64 * 1024;
/// Reads up to this size are done in place: a page-cache hit is shorter than a hop to another thread.
const INLINE_READ_MAX_BYTES: usize = 16 * 1024;
/// Largest read in one piece.
const READ_MAX_BYTES: usize = 256 * 1024;
/// Blobs made durable at once, each on a thread of the blocking pool; more would only wait for the device there.
const SYNCS_AT_ONCE: usize = 8;

#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    #[error("the spool cannot be used now: {0}")]
    Unavailable(#[from] std::io::Error),
    #[error("the blob {0} is missing")]
    Missing(BlobId),
    #[error("the spool has stopped")]
    Stopped,
    /// An earlier piece was not written, by an error or because its writing was given up.
    #[error("a piece of the blob is lost; write it anew")]
    Incomplete,
}

/// SHA-256 of a blob's content.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BlobId(pub [u8; 32]);

impl fmt::Display for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Debug for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlobRef {
    pub id: BlobId,
    pub size_bytes: u64,
}

pub struct Spool {
    dir: PathBuf,
    names: AtomicU64,
    probe: Arc<dyn Probe>,
    syncs: Arc<Semaphore>,
}

enum Octets {
    /// Not in a file yet; the path is where to put them.
    Memory(Vec<u8>, PathBuf),
    File(TempFile),
}

/// A temporary file that is removed unless it was renamed.
struct TempFile {
    file: File,
    path: PathBuf,
    renamed: bool,
}

impl TempFile {
    fn create(path: PathBuf) -> std::io::Result<Self> {
        let file = std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)?;
        Ok(Self {
            file,
            path,
            renamed: false,
        })
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        if !self.renamed {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl Spool {
    /// Opens the spool in `dir` and removes what interrupted writers left.
    pub fn open(dir: &Path, probe: Arc<dyn Probe>) -> Result<Arc<Self>, SpoolError> {
        let temp = dir.join("tmp");
        std::fs::create_dir_all(&temp)?;
        for left in std::fs::read_dir(&temp)? {
            match std::fs::remove_file(left?.path()) {
                // A writer that was given up just removed its own.
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e.into()),
                _ => {}
            }
        }
        create_folders(dir)?;
        Ok(Arc::new(Self {
            dir: dir.to_owned(),
            names: AtomicU64::new(0),
            probe,
            syncs: Arc::new(Semaphore::new(SYNCS_AT_ONCE)),
        }))
    }

    /// Starts a new blob. Nothing is on disk before it is larger than a buffer, or finished.
    pub async fn create(self: &Arc<Self>) -> Result<BlobWriter, SpoolError> {
        let path = self
            .dir
            .join("tmp")
            .join(self.names.fetch_add(1, Ordering::Relaxed).to_string());
        let hash = Context::new(&SHA256);
        Ok(BlobWriter {
            spool: self.clone(),
            path,
            hash,
            size_bytes: 0,
            buffer: Vec::new(),
            file: None,
            incomplete: false,
        })
    }

    /// Writes a blob that is already in memory.
    pub async fn store(self: &Arc<Self>, octets: &[u8]) -> Result<BlobRef, SpoolError> {
        let mut writer = self.create().await?;
        writer.write(octets).await?;
        writer.finish().await
    }

    pub fn exists(&self, blob: &BlobId) -> bool {
        blob_path(&self.dir, blob).exists()
    }

    /// Reads a range of a blob, in pieces.
    pub async fn open_range(&self, blob: &BlobId, range: Range<u64>) -> Result<BlobReader, SpoolError> {
        let file = File::open(blob_path(&self.dir, blob)).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => SpoolError::Missing(*blob),
            _ => e.into(),
        })?;
        Ok(BlobReader {
            file: Arc::new(file),
            at: range.start,
            end: range.end,
        })
    }

    /// Reads up to `len` octets from `at`, on this thread: for work that already runs on the blocking pool.
    pub fn read_blocking(&self, blob: &BlobId, at: u64, len: usize) -> Result<Vec<u8>, SpoolError> {
        let file = File::open(blob_path(&self.dir, blob))?;
        let left = file.metadata()?.len().saturating_sub(at);
        let mut octets = vec![0; len.min(usize::try_from(left).unwrap_or(usize::MAX))];
        file.read_exact_at(&mut octets, at)?;
        Ok(octets)
    }

    /// Reads a whole blob into memory. For documents whose size is bounded by what made them.
    pub async fn load(&self, blob: &BlobRef) -> Result<Vec<u8>, SpoolError> {
        let mut reader = self.open_range(&blob.id, 0..blob.size_bytes).await?;
        let mut all = Vec::new();
        while let Some(chunk) = reader.next_chunk(READ_MAX_BYTES).await? {
            all.extend_from_slice(&chunk);
        }
        Ok(all)
    }

    /// Writes, syncs, names, and syncs the name. One who comes with the same octets at the same time does the same: both
    /// files are as good.
    fn make_durable(&self, blob: &BlobId, octets: Octets) -> std::io::Result<()> {
        let path = blob_path(&self.dir, blob);
        if !path.exists() {
            let mut temp = match octets {
                Octets::File(temp) => temp,
                Octets::Memory(octets, path) => {
                    let mut temp = TempFile::create(path)?;
                    temp.file.write_all(&octets)?;
                    temp
                }
            };
            self.probe.reached(probe::BLOB_WRITTEN);
            temp.file.sync_data()?;
            self.probe.reached(probe::BLOB_SYNCED);
            // The one place that renames: synced before, its folder after.
            #[allow(clippy::disallowed_methods)]
            std::fs::rename(&temp.path, &path)?;
            temp.renamed = true;
            self.probe.reached(probe::BLOB_RENAMED);
        }
        // Also when the blob was there: somebody's rename of the same content may still wait for it.
        File::open(path.parent().unwrap_or(&self.dir))?.sync_all()?;
        self.probe.reached(probe::BLOB_DURABLE);
        Ok(())
    }
}

pub struct BlobWriter {
    spool: Arc<Spool>,
    path: PathBuf,
    hash: Context,
    size_bytes: u64,
    buffer: Vec<u8>,
    file: Option<TempFile>,
    /// Set while octets are with another thread: who gives up there and goes on must not get a blob with a hole.
    incomplete: bool,
}

impl BlobWriter {
    /// Appends octets. After an error, or when the future was dropped, the blob cannot be finished any more.
    pub async fn write(&mut self, mut chunk: &[u8]) -> Result<(), SpoolError> {
        while !chunk.is_empty() {
            let take = chunk.len().min(BUFFER_BYTES - self.buffer.len());
            self.buffer.extend_from_slice(&chunk[..take]);
            chunk = &chunk[take..];
            if self.buffer.len() == BUFFER_BYTES {
                self.spill().await?;
            }
        }
        Ok(())
    }

    /// No more octets come. The blob can be read now; it does not exist before it is kept.
    pub async fn complete(mut self) -> Result<Pending, SpoolError> {
        if self.incomplete {
            return Err(SpoolError::Incomplete);
        }
        if self.file.is_some() && !self.buffer.is_empty() {
            self.spill().await?;
        }
        self.hash.update(&self.buffer);
        self.size_bytes += self.buffer.len() as u64;
        let mut id = [0; 32];
        id.copy_from_slice(self.hash.finish().as_ref());
        let blob = BlobRef {
            id: BlobId(id),
            size_bytes: self.size_bytes,
        };
        let octets = match self.file {
            Some(file) => Octets::File(file),
            None => Octets::Memory(self.buffer, self.path),
        };
        Ok(Pending {
            spool: self.spool,
            blob,
            octets,
        })
    }

    /// Completes the blob and keeps it.
    pub async fn finish(self) -> Result<BlobRef, SpoolError> {
        self.complete().await?.keep().await
    }

    /// Hashes the buffer and appends it to the file, away from the threads that serve sockets.
    async fn spill(&mut self) -> Result<(), SpoolError> {
        if std::mem::replace(&mut self.incomplete, true) {
            return Err(SpoolError::Incomplete);
        }
        let buffer = std::mem::take(&mut self.buffer);
        let mut hash = self.hash.clone();
        let (file, path) = (self.file.take(), self.path.clone());
        let work = tokio::task::spawn_blocking(move || -> Result<_, SpoolError> {
            hash.update(&buffer);
            let mut temp = match file {
                Some(temp) => temp,
                None => TempFile::create(path)?,
            };
            temp.file.write_all(&buffer)?;
            Ok((hash, temp, buffer))
        });
        let (hash, temp, mut buffer) = work.await.map_err(|_| SpoolError::Stopped)??;
        self.size_bytes += buffer.len() as u64;
        buffer.clear();
        self.buffer = buffer;
        self.hash = hash;
        self.file = Some(temp);
        self.incomplete = false;
        Ok(())
    }
}

/// A blob that is complete and not kept: its name and size are known, its octets can be read. Dropped, it is gone. No
/// row may name it before [`Pending::keep`] has said that it is durable.
pub struct Pending {
    spool: Arc<Spool>,
    blob: BlobRef,
    octets: Octets,
}

impl Pending {
    /// What the blob is called, if it is kept.
    pub fn blob(&self) -> BlobRef {
        self.blob
    }

    /// Reads at most `len` octets; fewer at the end. Blocks, for work that already runs on the blocking pool.
    pub fn read_blocking(&self, at: u64, len: usize) -> Result<Vec<u8>, SpoolError> {
        let left = usize::try_from(self.blob.size_bytes.saturating_sub(at)).unwrap_or(usize::MAX);
        let len = len.min(left);
        match &self.octets {
            Octets::Memory(all, _) => {
                let rest = usize::try_from(at).ok().and_then(|at| all.get(at..));
                Ok(rest.unwrap_or_default().iter().take(len).copied().collect())
            }
            Octets::File(temp) => {
                let mut octets = vec![0; len];
                temp.file.read_exact_at(&mut octets, at)?;
                Ok(octets)
            }
        }
    }

    /// Makes the blob durable. Once begun it may come to exist though the future was dropped: a blob that no row
    /// speaks of.
    pub async fn keep(self) -> Result<BlobRef, SpoolError> {
        let Self { spool, blob, octets } = self;
        let syncs = spool.syncs.clone();
        let turn = syncs.acquire_owned().await.map_err(|_| SpoolError::Stopped)?;
        let work = tokio::task::spawn_blocking(move || {
            let kept = spool.make_durable(&blob.id, octets);
            drop(turn);
            kept
        });
        work.await.map_err(|_| SpoolError::Stopped)??;
        Ok(blob)
    }
}

pub struct BlobReader {
    file: Arc<File>,
    at: u64,
    end: u64,
}

impl BlobReader {
    /// The next octets, at most `max`; `None` at the end of the range or of the blob.
    pub async fn next_chunk(&mut self, max: usize) -> Result<Option<Bytes>, SpoolError> {
        let left = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let len = left.min(max).min(READ_MAX_BYTES);
        if len == 0 {
            return Ok(None);
        }
        let (file, at) = (self.file.clone(), self.at);
        let read = move || -> std::io::Result<Vec<u8>> {
            let mut chunk = vec![0; len];
            let n = file.read_at(&mut chunk, at)?;
            chunk.truncate(n);
            Ok(chunk)
        };
        let chunk = if len <= INLINE_READ_MAX_BYTES {
            read()?
        } else {
            tokio::task::spawn_blocking(read)
                .await
                .map_err(|_| SpoolError::Stopped)??
        };
        self.at += chunk.len() as u64;
        Ok(if chunk.is_empty() {
            None
        } else {
            Some(chunk.into())
        })
    }
}

fn blob_path(dir: &Path, blob: &BlobId) -> PathBuf {
    let hex = blob.to_string();
    dir.join(&hex[..2]).join(&hex[2..])
}

/// Makes the folders that blobs are spread over, so that none is made, and its parent synced, in mid-work.
fn create_folders(dir: &Path) -> std::io::Result<()> {
    for n in 0..=u8::MAX {
        let folder = dir.join(format!("{n:02x}"));
        if !folder.exists() {
            std::fs::create_dir(folder)?;
        }
    }
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::probe::NoProbe;

    async fn read(spool: &Spool, blob: &BlobRef, range: Range<u64>) -> Vec<u8> {
        let mut reader = spool.open_range(&blob.id, range).await.unwrap();
        let mut all = Vec::new();
        while let Some(chunk) = reader.next_chunk(READ_MAX_BYTES).await.unwrap() {
            all.extend_from_slice(&chunk);
        }
        all
    }

    #[tokio::test]
    async fn blobs_come_back_as_they_went_in() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::open(dir.path(), Arc::new(NoProbe)).unwrap();
        let large: Vec<u8> = (0..3_000_017u32)
            .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
            .collect();
        let mut writer = spool.create().await.unwrap();
        for chunk in large.chunks(40_009) {
            writer.write(chunk).await.unwrap();
        }
        let blob = writer.finish().await.unwrap();
        assert_eq!(blob.size_bytes, large.len() as u64);
        assert_eq!(
            blob.id.0.as_slice(),
            aws_lc_rs::digest::digest(&SHA256, &large).as_ref()
        );
        assert!(read(&spool, &blob, 0..u64::MAX).await == large);
        assert!(read(&spool, &blob, 70_000..70_100).await == large[70_000..70_100]);
        assert_eq!(spool.store(&large).await.unwrap(), blob);
        let empty = spool.store(b"").await.unwrap();
        assert_eq!(read(&spool, &empty, 0..10).await, b"");
    }

    #[tokio::test]
    async fn what_is_not_finished_does_not_exist_and_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::open(dir.path(), Arc::new(NoProbe)).unwrap();
        let mut writer = spool.create().await.unwrap();
        writer.write(&vec![7; 3 * BUFFER_BYTES]).await.unwrap();
        assert_eq!(std::fs::read_dir(dir.path().join("tmp")).unwrap().count(), 1);
        drop(writer);
        assert_eq!(std::fs::read_dir(dir.path().join("tmp")).unwrap().count(), 0);
        std::fs::write(dir.path().join("tmp/left"), b"x").unwrap();
        drop(spool);
        let spool = Spool::open(dir.path(), Arc::new(NoProbe)).unwrap();
        assert_eq!(std::fs::read_dir(dir.path().join("tmp")).unwrap().count(), 0);
        let missing = spool.open_range(&BlobId([1; 32]), 0..1).await;
        assert!(matches!(missing, Err(SpoolError::Missing(_))));
    }

    #[tokio::test]
    async fn what_is_complete_is_read_and_exists_only_when_kept() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::open(dir.path(), Arc::new(NoProbe)).unwrap();
        let temporary = || std::fs::read_dir(dir.path().join("tmp")).unwrap().count();
        // In memory, and in a file with a rest that is not in it yet.
        for size in [0, 1000, BUFFER_BYTES, 2 * BUFFER_BYTES + 7] {
            let octets: Vec<u8> = (0..size).map(|i| (i % 251) as u8).collect();
            let complete = async || {
                let mut writer = spool.create().await.unwrap();
                writer.write(&octets).await.unwrap();
                writer.complete().await.unwrap()
            };
            let pending = complete().await;
            let blob = pending.blob();
            assert_eq!(blob.size_bytes, size as u64);
            assert!(pending.read_blocking(0, usize::MAX).unwrap() == octets);
            let (at, end) = (size / 2, (size / 2 + 99).min(size));
            assert_eq!(pending.read_blocking(at as u64, 99).unwrap(), octets[at..end]);
            assert_eq!(pending.read_blocking(size as u64 + 1, 9).unwrap(), b"");
            assert_eq!(temporary(), usize::from(size >= BUFFER_BYTES));
            drop(pending);
            assert_eq!((temporary(), spool.exists(&blob.id)), (0, false), "{size}");
            assert_eq!(complete().await.keep().await.unwrap(), blob);
            assert!(spool.load(&blob).await.unwrap() == octets);
            // The same once more, not kept: what exists stays.
            drop(complete().await);
            assert_eq!((temporary(), spool.exists(&blob.id)), (0, true), "{size}");
        }
    }

    #[test]
    fn a_write_given_up_halfway_never_becomes_a_blob_with_a_hole() {
        let dir = tempfile::tempdir().unwrap();
        // One other thread, kept busy: a write handed to it cannot end before we say so.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .max_blocking_threads(1)
            .build()
            .unwrap();
        runtime.block_on(async {
            let spool = Spool::open(dir.path(), Arc::new(NoProbe)).unwrap();
            let mut writer = spool.create().await.unwrap();
            writer.write(&vec![7; BUFFER_BYTES]).await.unwrap();
            let (release, held) = std::sync::mpsc::channel::<()>();
            let busy = tokio::task::spawn_blocking(move || held.recv().is_ok());
            {
                let octets = vec![8; BUFFER_BYTES];
                let mut writing = std::pin::pin!(writer.write(&octets));
                let first =
                    std::future::poll_fn(|cx| std::task::Poll::Ready(writing.as_mut().poll(cx))).await;
                assert!(first.is_pending());
            }
            release.send(()).unwrap();
            assert!(busy.await.unwrap());
            let small = writer.write(b"more").await;
            assert!(small.is_ok(), "it only goes to the buffer");
            let full = writer.write(&vec![9; BUFFER_BYTES]).await;
            assert!(matches!(full, Err(SpoolError::Incomplete)));
            assert!(matches!(writer.finish().await, Err(SpoolError::Incomplete)));
            drop(spool);
            let spool = Spool::open(dir.path(), Arc::new(NoProbe)).unwrap();
            assert_eq!(std::fs::read_dir(dir.path().join("tmp")).unwrap().count(), 0);
            drop(spool);
        });
    }

    #[tokio::test]
    async fn many_at_once_are_stored_each_under_its_own_name() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::open(dir.path(), Arc::new(NoProbe)).unwrap();
        let store = |n: u32| {
            let spool = spool.clone();
            // Every content twice: the same blob may be stored by two at the same time.
            tokio::spawn(async move { (n / 2, spool.store(&(n / 2).to_be_bytes()).await.unwrap()) })
        };
        for stored in (0..150).map(store).collect::<Vec<_>>() {
            let (n, blob) = stored.await.unwrap();
            assert_eq!(spool.load(&blob).await.unwrap(), n.to_be_bytes());
            assert_eq!(
                blob.id.0.as_slice(),
                aws_lc_rs::digest::digest(&SHA256, &n.to_be_bytes()).as_ref()
            );
        }
        assert_eq!(std::fs::read_dir(dir.path().join("tmp")).unwrap().count(), 0);
    }
}
