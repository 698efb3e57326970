//! The server's half of SMTP on a socket: moves octets between a stream and a [`ServerSession`], with TLS, time-outs
//! and shutdown. What the events mean is the doors' business (`submission`, `relay_in`).

use super::listener::{Closing, closed};
use super::secured::Secured;
use super::tls::ServerTls;
use crate::smtp::reply;
use crate::smtp::server::{Event, OutOfStep, Role, ServerConfig, ServerSession, Verdict};
use crate::smtp::timeouts;
use bytes::BytesMut;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{Instant, timeout, timeout_at};

/// Octets read from a socket at a time: a TLS record.
const READ_OCTETS: usize = 16 * 1024;
/// How long a client may take from connection to the end of its authentication, or, a provider, to a MAIL that is
/// accepted, however busy it is.
const UNKNOWN_TOTAL: Duration = Duration::from_secs(300);

/// For the last words to a client whose time is over.
const GOODBYE_MAX: Duration = Duration::from_secs(5);

/// A connection, under TLS or not.
pub(super) trait Octets: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Octets for T {}

/// Whether the client speaks TLS from the first octet (RFC 8314) or begins in the clear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    Tls,
    StartTls,
}

/// How long a client is waited for.
#[derive(Debug, Clone, Copy)]
enum Patience {
    /// It has not said yet who it is, in a way that counts.
    Unknown {
        idle: Duration,
        until: Instant,
    },
    Known,
}

impl Patience {
    fn new(role: Role, now: Instant) -> Self {
        let idle = match role {
            Role::Submission => timeouts::SERVER_BEFORE_AUTH,
            Role::Relay => timeouts::SERVER_BEFORE_MAIL,
        };
        let until = now + UNKNOWN_TOTAL;
        Self::Unknown { idle, until }
    }

    /// Until when its next octets must come.
    fn deadline(self, now: Instant) -> Instant {
        match self {
            Self::Unknown { idle, until } => until.min(now + idle),
            Self::Known => now + timeouts::SERVER_IDLE,
        }
    }

    /// Until when it must have taken what it is told.
    fn write_deadline(self, now: Instant) -> Instant {
        self.deadline(now).max(now + GOODBYE_MAX)
    }
}

/// One connection of a client.
pub(super) struct Wire {
    /// None while hands are shaken.
    stream: Option<Box<dyn Octets>>,
    input: BytesMut,
    session: ServerSession,
    tls: Arc<ServerTls>,
    secured: Secured,
    closing: Closing,
    patience: Patience,
    /// The answer that is awaited is the one to MAIL.
    mail_asked: bool,
    /// Content is under way: shutdown waits for its end.
    in_content: bool,
}

impl Wire {
    pub async fn open(
        stream: impl Octets + 'static,
        entry: Entry,
        config: Arc<ServerConfig>,
        tls: Arc<ServerTls>,
        closing: Closing,
    ) -> Option<Self> {
        let under_tls = entry == Entry::Tls;
        let (stream, secured): (Box<dyn Octets>, _) = if under_tls {
            let (stream, secured) = shake(&tls, stream).await?;
            (Box::new(stream), secured)
        } else {
            (Box::new(stream), Secured::default())
        };
        let patience = Patience::new(config.role, Instant::now());
        let mut wire = Self {
            stream: Some(stream),
            input: BytesMut::new(),
            session: ServerSession::new(config, under_tls),
            tls,
            secured: Secured::default(),
            closing,
            patience,
            mail_asked: false,
            in_content: false,
        };
        if under_tls {
            wire.secured_by(secured);
        }
        Some(wire)
    }

    /// What TLS brought, for logins.
    pub fn secured(&self) -> &Secured {
        &self.secured
    }

    /// Providers do not log in: what they are offered stays as it is, and the engine offers it to users only.
    fn secured_by(&mut self, secured: Secured) {
        self.session.offer(secured.mechanisms());
        self.secured = secured;
    }

    pub fn is_tls(&self) -> bool {
        self.session.is_tls()
    }

    /// The next event that is the door's business; `None` when the connection is over.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            let event = self.session.receive(&mut self.input);
            match event {
                Event::NeedMore => {
                    self.write().await?;
                    self.read().await?;
                }
                Event::Flush => self.write().await?,
                Event::StartTls => self.start_tls().await?,
                Event::Close => {
                    self.write().await?;
                    let stream = self.stream.as_mut()?;
                    let _ = timeout(timeouts::TLS_HANDSHAKE, stream.shutdown()).await;
                    return None;
                }
                Event::Unanswered => {
                    tracing::error!("an event of the session was not answered");
                    self.session.close_with(&reply::TRY_LATER);
                }
                event => {
                    self.note(&event);
                    return Some(event);
                }
            }
        }
    }

    pub fn answer(&mut self, verdict: Verdict) {
        let heard = std::mem::take(&mut self.mail_asked) && matches!(verdict, Verdict::Accept);
        if let Err(OutOfStep) = self.session.answer(verdict) {
            tracing::error!("an answer to a question that was not asked");
            self.session.close_with(&reply::TRY_LATER);
        }
        if heard || self.session.is_authenticated() {
            self.patience = Patience::Known;
        }
    }

    /// Sends what has been said so far, before work that takes its time.
    pub async fn flush(&mut self) -> Option<()> {
        self.write().await
    }

    fn note(&mut self, event: &Event) {
        self.mail_asked = matches!(event, Event::Mail(_));
        match event {
            Event::BodyStart => self.in_content = true,
            Event::Mail(_) | Event::Reset | Event::BodyEnd(_) => self.in_content = false,
            _ => {}
        }
    }

    async fn write(&mut self) -> Option<()> {
        let output = self.session.take_output();
        if output.is_empty() {
            return Some(());
        }
        let stream = self.stream.as_mut()?;
        let written = async {
            stream.write_all(&output).await?;
            stream.flush().await
        };
        match timeout_at(self.patience.write_deadline(Instant::now()), written).await {
            Ok(Ok(())) => Some(()),
            Ok(Err(error)) => {
                tracing::debug!(%error, "write");
                None
            }
            Err(_) => None,
        }
    }

    async fn read(&mut self) -> Option<()> {
        self.input.reserve(READ_OCTETS);
        let now = Instant::now();
        let deadline = self.patience.deadline(now);
        // Data that is always there already must not hide that the time is over.
        if now >= deadline {
            self.session.close_with(&reply::TIMED_OUT);
            return Some(());
        }
        let stream = self.stream.as_mut()?;
        let read = tokio::select! {
            read = timeout_at(deadline, stream.read_buf(&mut self.input)) => read,
            () = closed(&mut self.closing), if !self.in_content => {
                self.session.close_with(&reply::SHUTTING_DOWN);
                return Some(());
            }
        };
        match read {
            Ok(Ok(0)) => None,
            Ok(Ok(_)) => Some(()),
            Ok(Err(error)) => {
                tracing::debug!(%error, "read");
                None
            }
            Err(_) => {
                self.session.close_with(&reply::TIMED_OUT);
                Some(())
            }
        }
    }

    async fn start_tls(&mut self) -> Option<()> {
        self.write().await?;
        let plain = self.stream.take()?;
        let (stream, secured) = shake(&self.tls, plain).await?;
        self.stream = Some(Box::new(stream));
        self.secured_by(secured);
        self.session.tls_started().ok()
    }
}

async fn shake<S: Octets>(
    tls: &ServerTls,
    stream: S,
) -> Option<(tokio_rustls::server::TlsStream<S>, Secured)> {
    match tls.accept(stream).await {
        Ok(stream) => {
            let secured = Secured::of(stream.get_ref().1);
            Some((stream, secured))
        }
        Err(error) => {
            tracing::info!(%error, "no TLS");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_not_known_is_not_waited_for_long() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        for (role, idle) in [(Role::Relay, 30), (Role::Submission, 60)] {
            let unknown = Patience::new(role, start);
            assert_eq!(unknown.deadline(start), after(idle));
            assert_eq!(unknown.deadline(after(100)), after(100 + idle));
            // Busy without end is no way around it.
            assert_eq!(unknown.deadline(after(299)), after(300));
            assert_eq!(unknown.write_deadline(after(400)), after(405));
        }
        assert_eq!(Patience::Known.deadline(after(299)), after(599));
    }
}
