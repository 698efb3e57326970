//! Listening: one accept loop per door, one task per connection, limits by name, and an orderly end.
//!
//! A full door does not accept: the kernel's backlog waits, and then refuses. Addresses are counted apart, so that one
//! client cannot fill the door; an IPv6 subscriber counts as one, whatever addresses he takes. Loopback and trusted networks
//! are spared, because what comes from there is a proxy or a person at the machine.

use crate::domain::network::{Trusted, client_of};
use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Connections of one door at a time: each costs a task, a buffer and TLS state, some 100 KiB together.
pub const CONNECTIONS_MAX: usize = 4096;
/// Connections of one address at one door: a mail client opens a handful, a building behind one address some dozens.
pub const PER_ADDRESS_MAX: usize = 64;
/// How long connections may finish what they do once a door closes; the systemd unit gives 60 s before it kills.
pub const DRAIN: Duration = Duration::from_secs(30);
/// Pause after a failed accept: out of descriptors, and trying again at once would only spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Refused connections are told of at most so often: a stranger can make as many as he likes, and a log is not his to fill.
const REFUSALS_TOLD_EVERY: Duration = Duration::from_secs(10);

/// The sign to close: becomes true once. Every task that serves holds one.
pub type Closing = watch::Receiver<bool>;

/// Resolves when it is time to close.
pub async fn closed(closing: &mut Closing) {
    // An error means that whoever could close is gone: then it is time as well.
    let _ = closing.wait_for(|closing| *closing).await;
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    pub connections_max: usize,
    pub per_address_max: usize,
    /// Networks that are not counted by address.
    pub trusted: Arc<Trusted>,
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: CONNECTIONS_MAX,
            per_address_max: PER_ADDRESS_MAX,
            trusted: Arc::default(),
            drain: DRAIN,
        }
    }
}

/// A door that has its address and does not accept yet.
#[derive(Debug)]
pub struct Listener {
    name: &'static str,
    socket: TcpListener,
    address: SocketAddr,
    limits: Limits,
}

impl Listener {
    /// Takes the address; with port 0 the kernel picks one. `name` is for the log.
    pub async fn bind(name: &'static str, at: SocketAddr, limits: Limits) -> io::Result<Self> {
        let socket = TcpListener::bind(at).await?;
        let address = socket.local_addr()?;
        Ok(Self {
            name,
            socket,
            address,
            limits,
        })
    }

    /// The real address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until it is time to close, then waits for what is under way, at most `limits.drain`.
    pub async fn run<F, S>(self, mut closing: Closing, serve: F)
    where
        F: Fn(TcpStream, SocketAddr) -> S,
        S: Future<Output = ()> + Send + 'static,
    {
        let room = Arc::new(Semaphore::new(self.limits.connections_max));
        let guests = Guests::default();
        let mut refusals = Sparing::default();
        let mut tasks = JoinSet::new();
        tracing::info!(door = self.name, address = %self.address, "open");
        loop {
            let accepted = tokio::select! {
                () = closed(&mut closing) => break,
                accepted = self.accept(&room) => accepted,
                Some(ended) = tasks.join_next(), if !tasks.is_empty() => {
                    note_fault(self.name, ended);
                    continue;
                }
            };
            let Some((stream, from, permit)) = accepted else {
                continue;
            };
            let Some(guest) = guests.enter(from.ip(), &self.limits) else {
                if let Some(untold) = refusals.tells(Instant::now()) {
                    tracing::warn!(door = self.name, %from, untold, "too many connections of one address");
                }
                continue;
            };
            // Boxed, so that the task does not hold it twice: as what it was given, and as what it waits for.
            let service = Box::pin(serve(stream, from));
            tasks.spawn(async move {
                service.await;
                drop((guest, permit));
            });
        }
        drop(self.socket);
        tracing::info!(door = self.name, connections = tasks.len(), "closing");
        let emptied = async {
            while let Some(ended) = tasks.join_next().await {
                note_fault(self.name, ended);
            }
        };
        if tokio::time::timeout(self.limits.drain, emptied).await.is_err() {
            tracing::warn!(
                door = self.name,
                connections = tasks.len(),
                "closed with connections open"
            );
        }
    }

    async fn accept(
        &self,
        room: &Arc<Semaphore>,
    ) -> Option<(TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit)> {
        let permit = room.clone().acquire_owned().await.ok()?;
        match self.socket.accept().await {
            Ok((stream, from)) => {
                // Replies are small and wait for nobody.
                let _ = stream.set_nodelay(true);
                Some((stream, from, permit))
            }
            Err(error) => {
                tracing::warn!(door = self.name, %error, "accept");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                None
            }
        }
    }
}

/// Which of many events alike are told of.
#[derive(Debug, Default)]
struct Sparing {
    told: Option<Instant>,
    untold: u64,
}

impl Sparing {
    /// Whether this one is told of, and how many before it were not.
    fn tells(&mut self, now: Instant) -> Option<u64> {
        let due = self
            .told
            .is_none_or(|told| now.saturating_duration_since(told) >= REFUSALS_TOLD_EVERY);
        if !due {
            self.untold += 1;
            return None;
        }
        self.told = Some(now);
        Some(std::mem::take(&mut self.untold))
    }
}

/// A connection's task that broke is a fault of ours; the others go on.
fn note_fault(door: &'static str, ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(door, %error, "a session broke");
    }
}

/// Connections by address.
#[derive(Debug, Clone, Default)]
struct Guests(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// One connection of an address; leaves when dropped.
#[derive(Debug)]
struct Guest {
    of: Guests,
    address: Option<IpAddr>,
}

impl Guests {
    fn enter(&self, address: IpAddr, limits: &Limits) -> Option<Guest> {
        if limits.trusted.spares(address) {
            return Some(Guest {
                of: self.clone(),
                address: None,
            });
        }
        let address = client_of(address);
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(address).or_insert(0);
        if *count >= limits.per_address_max {
            return None;
        }
        *count += 1;
        Some(Guest {
            of: self.clone(),
            address: Some(address),
        })
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let Some(address) = self.address else { return };
        let mut counts = self.of.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    #[test]
    fn one_address_cannot_fill_the_door_and_loopback_is_spared() {
        let guests = Guests::default();
        let limits = Limits {
            per_address_max: 2,
            trusted: Arc::new(Trusted(vec!["198.51.100.0/24".parse().unwrap()])),
            ..Limits::default()
        };
        let enter = |address: &str| guests.enter(address.parse().unwrap(), &limits);
        let first = enter("192.0.2.1");
        let second = enter("::ffff:192.0.2.1");
        assert!(first.is_some() && second.is_some() && enter("192.0.2.1").is_none());
        assert!(enter("192.0.2.2").is_some());
        drop(second);
        assert!(enter("192.0.2.1").is_some());
        drop(first);
        // A subscriber with a whole network is one client.
        let one = (enter("2001:db8:0:1::1"), enter("2001:db8:0:1:ffff::2"));
        assert!(one.0.is_some() && one.1.is_some() && enter("2001:db8:0:1::3").is_none());
        assert!(enter("2001:db8:0:2::1").is_some());
        drop(one);
        assert!(guests.0.lock().unwrap().is_empty());
        for near in ["127.0.0.1", "::1", "198.51.100.9"] {
            let many: Vec<_> = (0..9).map(|_| enter(near)).collect();
            assert!(many.iter().all(Option::is_some), "{near}");
        }
    }

    #[test]
    fn a_flood_of_refusals_is_a_line_now_and_then() {
        let (mut refusals, start) = (Sparing::default(), Instant::now());
        let told: Vec<u64> = (0..30_000)
            .filter_map(|ms| refusals.tells(start + Duration::from_millis(ms)))
            .collect();
        assert_eq!(told, [0, 9999, 9999]);
        assert_eq!(refusals.tells(start + Duration::from_secs(3600)), Some(9999));
    }

    #[tokio::test]
    async fn a_closing_door_finishes_what_is_under_way() {
        let limits = Limits {
            connections_max: 1,
            ..Limits::default()
        };
        let listener = Listener::bind("test", "127.0.0.1:0".parse().unwrap(), limits)
            .await
            .unwrap();
        let address = listener.address();
        let (close, closing) = watch::channel(false);
        let (began, mut begun) = tokio::sync::mpsc::channel(1);
        let running = tokio::spawn(listener.run(closing, move |mut stream, _| {
            let began = began.clone();
            async move {
                began.send(()).await.unwrap();
                let octet = stream.read_u8().await.unwrap();
                stream.write_u8(octet + 1).await.unwrap();
            }
        }));
        let mut client = TcpStream::connect(address).await.unwrap();
        begun.recv().await.unwrap();
        close.send(true).unwrap();
        client.write_u8(7).await.unwrap();
        assert_eq!(client.read_u8().await.unwrap(), 8);
        running.await.unwrap();
        assert!(TcpStream::connect(address).await.is_err());
    }
}
