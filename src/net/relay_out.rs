//! Relaying out: hands messages to other providers over TCP with pinned TLS.
//!
//! Meets: `smtp::client` and `service::relay`. One attempt, one connection; what stays ready is kept for a while, so
//! that a row of small evidence messages does not pay a handshake each. Content streams from the spool. Whatever
//! happens to the network, a certificate or a socket is told as "later": only the peer's own 5yz, and content that
//! no peer could be given, end an attempt for good.

use super::tls;
use super::wire::Octets;
use crate::address::{Domain, ReversePath};
use crate::domain::provider::{Fingerprint, Peer};
use crate::service::octets::Contents;
use crate::service::relay::{Carrier, Carrying, Fate, Outbound};
use crate::smtp::client::{
    Cause, ClientConfig, ClientEvent, ClientSession, Outcome, Outgoing, RecipientResult, TlsWish,
};
use crate::smtp::reply;
use bytes::BytesMut;
use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

/// A connection's three-way handshake, the name's resolution included: minutes help no one when it is retried anyway.
pub const CONNECT: Duration = Duration::from_secs(30);
/// One attempt as a whole: 25 MiB over a poor line, and ten minutes for the last reply.
pub const ATTEMPT_MAX: Duration = Duration::from_secs(1800);
/// Ready connections kept per peer: evidence is small and quick, more would idle.
pub const IDLE_PER_PEER_MAX: usize = 4;
/// Ready connections kept over all peers.
pub const IDLE_MAX: usize = 64;
/// How long a connection is kept ready; well below the five minutes after which servers hang up (RFC 5321 4.5.3.2.7).
pub const IDLE_MAX_AGE: Duration = Duration::from_secs(30);
/// Messages over one connection: then a new one, so that a peer's new certificate or address is noticed.
pub const MESSAGES_PER_CONNECTION_MAX: u32 = 100;
/// Octets read from a socket at a time.
const READ_OCTETS: usize = 16 * 1024;

/// Carries messages to peers.
pub struct RelayOut {
    contents: Contents,
    /// Our name in EHLO.
    hello: String,
    /// Longest wait for one reply, where the protocol would wait longer.
    patience: Duration,
    ready: Mutex<HashMap<Domain, Vec<Connection>>>,
}

impl RelayOut {
    pub fn new(contents: impl Into<Contents>, hello: String) -> Self {
        Self {
            contents: contents.into(),
            hello,
            patience: ATTEMPT_MAX,
            ready: Mutex::default(),
        }
    }

    /// Shortens the waits of RFC 5321 4.5.3.2 to this.
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    async fn attempt(&self, peer: &Peer, message: &Outbound) -> Vec<Fate> {
        let later = |why: String| vec![Fate::Later(why); message.recipients.len()];
        if let Some(connection) = self.take_ready(peer) {
            match self.hand_over(connection, peer, message).await {
                // The peer may hang up on an idle connection at any time; that says nothing of the message.
                Handed::NotBegun(why) => {
                    tracing::debug!(peer = %peer.domain, %why, "a kept connection is gone")
                }
                Handed::Over(fates) => return fates,
            }
        }
        let opened = Connection::open(peer, &self.hello, self.patience).await;
        match opened {
            Err(why) => later(why.to_string()),
            Ok(connection) => match self.hand_over(connection, peer, message).await {
                Handed::NotBegun(why) => later(why),
                Handed::Over(fates) => fates,
            },
        }
    }

    async fn hand_over(&self, mut connection: Connection, peer: &Peer, message: &Outbound) -> Handed {
        let results = connection.carry(&self.contents, message, self.patience).await;
        let lost = results.iter().all(|r| is_hang_up(&r.cause));
        if lost && !connection.content_begun {
            let why = results.first().map(|r| in_words(&r.cause)).unwrap_or_default();
            return Handed::NotBegun(why);
        }
        self.keep(peer, connection);
        Handed::Over(results.into_iter().map(fate).collect())
    }

    /// A connection that waits for a message, if its peer's profile is still the same.
    fn take_ready(&self, peer: &Peer) -> Option<Connection> {
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        let place = Place::of(peer);
        drop_old(&mut ready);
        let kept = ready.get_mut(&peer.domain)?;
        kept.retain(|c| c.place == place);
        kept.pop()
    }

    /// Keeps a connection for the next message, if it is fit for one and there is room.
    fn keep(&self, peer: &Peer, mut connection: Connection) {
        if !connection.ready || connection.messages >= MESSAGES_PER_CONNECTION_MAX {
            return;
        }
        connection.last_used = Instant::now();
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        drop_old(&mut ready);
        let all: usize = ready.values().map(Vec::len).sum();
        let kept = ready.entry(peer.domain.clone()).or_default();
        if all < IDLE_MAX && kept.len() < IDLE_PER_PEER_MAX {
            kept.push(connection);
        }
    }

    /// Closes what has been ready for too long; to be called now and then, for peers to whom nothing more goes.
    pub fn close_idle(&self) {
        drop_old(&mut self.ready.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

fn drop_old(ready: &mut HashMap<Domain, Vec<Connection>>) {
    ready.retain(|_, kept| {
        kept.retain(|c| c.last_used.elapsed() < IDLE_MAX_AGE);
        !kept.is_empty()
    });
}

impl Carrier for RelayOut {
    fn carry<'a>(&'a self, peer: &'a Peer, message: &'a Outbound) -> Carrying<'a> {
        Box::pin(async move {
            let attempt = timeout(ATTEMPT_MAX, self.attempt(peer, message));
            attempt.await.unwrap_or_else(|_| {
                vec![Fate::Later("the attempt took too long".to_owned()); message.recipients.len()]
            })
        })
    }
}

/// How a hand-over ended.
enum Handed {
    /// The connection broke before the peer saw any content: another one may do.
    NotBegun(String),
    Over(Vec<Fate>),
}

/// Where a connection leads: it is not used for a peer whose profile has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    host: String,
    port: u16,
    pins: Vec<Fingerprint>,
}

impl Place {
    fn of(peer: &Peer) -> Self {
        Self {
            host: peer.host.clone(),
            port: peer.port,
            pins: peer.tls_sha256.clone(),
        }
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
enum NoConnection {
    #[error("{host}:{port}: {why}")]
    Connect { host: String, port: u16, why: String },
    #[error("{host}:{port}: {why}")]
    Session { host: String, port: u16, why: String },
}

/// A session with a peer on its socket.
struct Connection {
    place: Place,
    stream: Box<dyn Octets>,
    input: BytesMut,
    session: ClientSession,
    messages: u32,
    last_used: Instant,
    /// The session waits for the next message.
    ready: bool,
    /// Content of the message under way has been written.
    content_begun: bool,
}

/// The socket or the spool failed; the session is told that the connection is lost.
struct Lost(String);

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Connection {
    /// Connects, greets, starts TLS; ready for a message when `Ok`.
    async fn open(peer: &Peer, hello: &str, patience: Duration) -> Result<Self, NoConnection> {
        let place = Place::of(peer);
        let no_session = |why: String| NoConnection::Session {
            host: peer.host.clone(),
            port: peer.port,
            why,
        };
        if place.pins.is_empty() {
            return Err(no_session(tls::TlsError::NoPins.to_string()));
        }
        let stream = connect(peer, patience.min(CONNECT)).await?;
        let config = ClientConfig {
            hello: hello.to_owned(),
            tls: TlsWish::Required,
            auth_plain: None,
        };
        let mut session = ClientSession::new(config);
        let (mut stream, mut input): (Box<dyn Octets>, _) = (Box::new(stream), BytesMut::new());
        loop {
            match session.receive(&mut input) {
                ClientEvent::NeedMore => {
                    let limit = session.timeout().min(patience);
                    exchange(&mut stream, &mut session, &mut input, limit)
                        .await
                        .map_err(|lost| no_session(lost.0))?;
                }
                ClientEvent::StartTls => {
                    let output = session.take_output();
                    let shake = async {
                        stream
                            .write_all(&output)
                            .await
                            .map_err(tls::TlsError::Handshake)?;
                        tls::connect_pinned(stream, &peer.host, &place.pins).await
                    };
                    let shaken = within(patience, shake).await.map_err(|lost| no_session(lost.0))?;
                    stream = Box::new(shaken);
                    session.tls_started().map_err(|e| no_session(e.to_string()))?;
                }
                ClientEvent::Ready => {
                    return Ok(Self {
                        place,
                        stream,
                        input,
                        session,
                        messages: 0,
                        last_used: Instant::now(),
                        ready: true,
                        content_begun: false,
                    });
                }
                ClientEvent::Failed { cause, .. } => return Err(no_session(in_words(&cause))),
                ClientEvent::SendBody | ClientEvent::Done(_) | ClientEvent::Closed => {
                    return Err(no_session("the session ended before it began".to_owned()));
                }
            }
        }
    }

    /// Hands one message over; a result for each recipient, in order.
    async fn carry(
        &mut self,
        contents: &Contents,
        message: &Outbound,
        patience: Duration,
    ) -> Vec<RecipientResult> {
        self.messages += 1;
        self.content_begun = false;
        self.ready = false;
        let outgoing = Outgoing {
            from: ReversePath::Address(message.reverse_path.clone()),
            recipients: message.recipients.clone(),
            octets: message.content.size_bytes(),
            needs_8bit: message.has_8bit,
            needs_smtputf8: false,
        };
        if self.session.send(outgoing).is_err() {
            return lost_all(message);
        }
        match self.talk(contents, message, patience).await {
            Ok(results) => results,
            Err(lost) => {
                tracing::info!(queue = %message.queue_id, host = %self.place.host, %lost, "connection lost");
                self.session
                    .connection_lost()
                    .unwrap_or_else(|| lost_all(message))
            }
        }
    }

    async fn talk(
        &mut self,
        contents: &Contents,
        message: &Outbound,
        patience: Duration,
    ) -> Result<Vec<RecipientResult>, Lost> {
        let mut results = None;
        loop {
            match self.session.receive(&mut self.input) {
                ClientEvent::NeedMore => {
                    let limit = self.session.timeout().min(patience);
                    let (stream, session, input) = (&mut self.stream, &mut self.session, &mut self.input);
                    let exchanged = exchange(stream, session, input, limit).await;
                    match (exchanged, results.take()) {
                        (Ok(()), none_yet) => results = none_yet,
                        // The fate is known; only the RSET behind it got no answer.
                        (Err(_), Some(known)) => return Ok(known),
                        (Err(lost), None) => return Err(lost),
                    }
                }
                ClientEvent::SendBody => {
                    self.content_begun = true;
                    self.send_content(contents, message, patience).await?;
                }
                ClientEvent::Done(told) => results = Some(told),
                ClientEvent::Ready => {
                    // The first `Ready` may be older than the message.
                    if let Some(told) = results {
                        self.ready = true;
                        return Ok(told);
                    }
                }
                ClientEvent::Closed | ClientEvent::Failed { .. } | ClientEvent::StartTls => {
                    return results.ok_or_else(|| Lost("the peer closed the session".to_owned()));
                }
            }
        }
    }

    async fn send_content(
        &mut self,
        contents: &Contents,
        message: &Outbound,
        patience: Duration,
    ) -> Result<(), Lost> {
        let mut reader = contents.read(&message.content);
        let limit = self.session.timeout().min(patience);
        while let Some(chunk) = reader
            .next_chunk()
            .await
            .map_err(|e| Lost(format!("the spool: {e}")))?
        {
            self.session.body(&chunk).map_err(|e| Lost(e.to_string()))?;
            write(&mut self.stream, &mut self.session, limit).await?;
        }
        self.session.body_end().map_err(|e| Lost(e.to_string()))
    }
}

async fn connect(peer: &Peer, limit: Duration) -> Result<TcpStream, NoConnection> {
    let failed = |why: String| NoConnection::Connect {
        host: peer.host.clone(),
        port: peer.port,
        why,
    };
    let connecting = TcpStream::connect((peer.host.as_str(), peer.port));
    let stream = match timeout(limit, connecting).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(failed(error.to_string())),
        Err(_) => return Err(failed("connecting took too long".to_owned())),
    };
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

/// Writes what the session says, then reads what the peer answers.
async fn exchange(
    stream: &mut Box<dyn Octets>,
    session: &mut ClientSession,
    input: &mut BytesMut,
    limit: Duration,
) -> Result<(), Lost> {
    write(stream, session, limit).await?;
    input.reserve(READ_OCTETS);
    match within(limit, stream.read_buf(input)).await? {
        0 => Err(Lost("the peer hung up".to_owned())),
        _ => Ok(()),
    }
}

async fn write(
    stream: &mut Box<dyn Octets>,
    session: &mut ClientSession,
    limit: Duration,
) -> Result<(), Lost> {
    let output = session.take_output();
    if output.is_empty() {
        return Ok(());
    }
    let writing = async {
        stream.write_all(&output).await?;
        stream.flush().await
    };
    within(limit, writing).await
}

async fn within<T, E: fmt::Display>(
    limit: Duration,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, Lost> {
    match timeout(limit, work).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(Lost(error.to_string())),
        Err(_) => Err(Lost("no answer in time".to_owned())),
    }
}

fn lost_all(message: &Outbound) -> Vec<RecipientResult> {
    let lost = |address: &crate::address::KepAddress| RecipientResult {
        address: address.clone(),
        rcpt: None,
        cause: Cause::ConnectionLost,
        outcome: Outcome::Temporary,
    };
    message.recipients.iter().map(lost).collect()
}

/// The connection, and not the message, is to blame.
fn is_hang_up(cause: &Cause) -> bool {
    match cause {
        Cause::ConnectionLost | Cause::BadReply(_) => true,
        Cause::Peer(reply) => reply.code == 421,
        _ => false,
    }
}

fn fate(result: RecipientResult) -> Fate {
    let why = in_words(&result.cause);
    let unknown = |said: &reply::Reply| said.code == 550 && said.enhanced == Some((5, 1, 1));
    match (result.outcome, &result.cause) {
        (Outcome::Accepted, _) => Fate::Taken(why),
        (Outcome::Temporary, _) => Fate::Later(why),
        (Outcome::Permanent, Cause::Peer(said)) if unknown(said) && result.rcpt.as_ref() == Some(said) => {
            Fate::UnknownRecipient(why)
        }
        (Outcome::Permanent, _) => Fate::Never(why),
    }
}

fn in_words(cause: &Cause) -> String {
    match cause {
        Cause::Peer(reply) => reply.to_string(),
        Cause::BadReply(error) => format!("the peer's reply cannot be read: {error}"),
        Cause::ConnectionLost => "the connection was lost".to_owned(),
        Cause::ContentDamaged(damage) => format!("our own content cannot be sent by SMTP: {damage}"),
        Cause::TlsNotOffered => "the peer does not offer TLS".to_owned(),
        Cause::OctetsBeforeTls => "plain octets came where TLS should have begun".to_owned(),
        Cause::Needs8BitButNotOffered => "the peer takes no 8-bit content".to_owned(),
        Cause::NeedsSmtpUtf8ButNotOffered => "the peer takes no UTF-8 headers".to_owned(),
        Cause::TooLargeForPeer { size_max_octets } => {
            format!("the peer takes at most {size_max_octets} octets")
        }
    }
}
