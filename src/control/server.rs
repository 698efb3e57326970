//! The control socket: a unix socket that only root and the daemon's own user may use (mode 600, and the peer's
//! credentials are asked of the kernel as well). One task per connection, bounded requests, and patience with an end.

use super::protocol::{self, REQUEST_MAX_OCTETS, Reply};
use super::words::ControlDoor;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Connections at once: administrators and their scripts.
const CONNECTIONS_MAX: usize = 32;
/// A connection on which nothing is asked is closed after this.
const IDLE_MAX: Duration = Duration::from_secs(60);
/// An answer that is not taken within this is given up.
const WRITE_MAX: Duration = Duration::from_secs(30);
/// At shutdown, requests in hand get this long.
const DRAIN_MAX: Duration = Duration::from_secs(5);

#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    #[error("another process listens on the control socket {0}")]
    InUse(String),
    #[error("{0} is there and is not a socket")]
    NotASocket(String),
    #[error("the control socket {path}: {source}")]
    Io { path: String, source: io::Error },
}

/// A bound socket; it disappears from the file system when this is dropped.
#[derive(Debug)]
pub struct ControlServer {
    listener: UnixListener,
    path: PathBuf,
}

impl ControlServer {
    /// Binds the socket; one left behind by a dead process is replaced. Makes its folder if it is missing.
    pub async fn bind(path: &Path) -> Result<Self, SocketError> {
        let name = || path.display().to_string();
        let io = |source| SocketError::Io { path: name(), source };
        if let Some(folder) = path.parent().filter(|f| !f.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(io)?;
        }
        if let Ok(there) = std::fs::symlink_metadata(path) {
            if !there.file_type().is_socket() {
                return Err(SocketError::NotASocket(name()));
            }
            if UnixStream::connect(path).await.is_ok() {
                return Err(SocketError::InUse(name()));
            }
            std::fs::remove_file(path).map_err(io)?;
        }
        let listener = UnixListener::bind(path).map_err(io)?;
        // Between the two lines others might connect; their credentials turn them away.
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(io)?;
        Ok(Self {
            listener,
            path: path.to_owned(),
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Serves until `stop` becomes true, then finishes what is in hand.
    pub async fn serve(self, door: Arc<ControlDoor>, mut stop: watch::Receiver<bool>) {
        let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                // An error means that nobody is left who could say stop.
                _ = stop.wait_for(|stop| *stop) => break,
            };
            while connections.try_join_next().is_some() {}
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of descriptors, most likely: let some close.
                    tracing::warn!(%error, "control socket");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            if !may_enter(&stream) {
                tracing::warn!("control socket: somebody else's process was turned away");
                continue;
            }
            let Ok(place) = room.clone().try_acquire_owned() else {
                tracing::warn!("control socket: too many connections");
                continue;
            };
            let (door, stop) = (door.clone(), stop.clone());
            connections.spawn(async move {
                let _place = place;
                if let Err(error) = converse(stream, &door, stop).await {
                    tracing::debug!(%error, "control connection");
                }
            });
        }
        let drained = timeout(DRAIN_MAX, async {
            while connections.join_next().await.is_some() {}
        });
        if drained.await.is_err() {
            tracing::warn!("control socket: some requests were cut off");
        }
    }
}

impl Drop for ControlServer {
    fn drop(&mut self) {
        // If it is gone already, that is what was wanted.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Root, or the daemon's own user.
fn may_enter(stream: &UnixStream) -> bool {
    let own = rustix::process::geteuid().as_raw();
    stream
        .peer_cred()
        .is_ok_and(|peer| peer.uid() == 0 || peer.uid() == own)
}

/// Requests and replies, one line each, until the other side leaves or is silent for too long.
async fn converse(stream: UnixStream, door: &ControlDoor, mut stop: watch::Receiver<bool>) -> io::Result<()> {
    let door = door.opened_to(stream.peer_cred()?.uid());
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    let mut line = Vec::new();
    loop {
        line.clear();
        let mut bounded = (&mut read).take(REQUEST_MAX_OCTETS as u64 + 1);
        let octets = tokio::select! {
            heard = timeout(IDLE_MAX, bounded.read_until(b'\n', &mut line)) => match heard {
                Ok(octets) => octets?,
                Err(_) => return Ok(()),
            },
            _ = stop.wait_for(|stop| *stop) => return Ok(()),
        };
        if octets == 0 {
            return Ok(());
        }
        let whole = line.ends_with(b"\n");
        let reply = if whole {
            match protocol::read(&line) {
                Ok(request) => door.obey(request).await,
                Err(error) => Reply::Refused(error.to_string()),
            }
        } else {
            Reply::Refused(format!(
                "a request is one line of at most {REQUEST_MAX_OCTETS} octets"
            ))
        };
        // A request may hold a password.
        zeroize::Zeroize::zeroize(&mut line);
        let octets = protocol::line(&reply).map_err(io::Error::other)?;
        timeout(WRITE_MAX, write.write_all(&octets))
            .await
            .map_err(io::Error::other)??;
        if !whole {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests;
