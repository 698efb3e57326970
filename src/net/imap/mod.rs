//! The mailbox door: IMAP (RFC 9051, RFC 3501) over TLS, or with STARTTLS, on top of `service::mailbox`.
//!
//! The engine (`crate::imap`) knows the protocol, the service knows mailboxes; this door only translates. One task
//! per connection runs [`ImapDoor::serve`]; listening, counting connections and the TLS of port 993 are the
//! listener's. Content of messages goes from the spool to the socket in pieces.

mod carry;
mod compress;
mod listen;
mod listing;
mod login;
mod property;
mod push;
mod query;
mod row;
mod watch;

use crate::domain::audit::Origin;
use crate::imap::ask::{Member, Out};
use crate::imap::{Session, Settings};
use crate::sasl::ServerExchange;
use crate::service::account::{Accounts, Door, Principal};
use crate::service::failure::Failure;
use crate::service::mailbox::{Mailboxes, Opened};
use bytes::BytesMut;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch as signal;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsAcceptor;

/// To log in, from the first octet on: who has not by then does not want to (RFC 9051 5.4 asks for 30 minutes only
/// after login).
pub const LOGIN_WITHIN: Duration = Duration::from_secs(60);
/// Silence of a client that has logged in (RFC 9051 5.4).
pub const SILENCE_MAX: Duration = Duration::from_secs(30 * 60);
/// A client that takes no octets for so long is gone; what it blocks is given free.
pub const WRITE_MAX: Duration = Duration::from_secs(120);
/// A TLS handshake after STARTTLS.
pub const HANDSHAKE_MAX: Duration = Duration::from_secs(30);
/// Octets read at a time.
const READ_OCTETS: usize = 16 * 1024;
/// Octets gathered before they are written.
const WRITE_OCTETS: usize = 32 * 1024;

/// A connection both ways.
pub trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Duplex for T {}

/// How a connection begins.
#[derive(Clone)]
pub enum Begin {
    /// Under TLS already.
    Tls,
    /// In the clear; login is refused until STARTTLS, which is offered when there is an acceptor.
    Clear(Option<TlsAcceptor>),
}

/// What all connections share.
pub struct ImapDoor {
    pub mailboxes: Arc<Mailboxes>,
    pub accounts: Arc<Accounts>,
    /// Makes decoys of unknown logins alike each time (RFC 5802 9).
    pub decoy_secret: Vec<u8>,
    pub greeting: String,
    /// How long a failed login waits for its answer, times the failures of the connection; usually
    /// [`LOGIN_FAILURE_DELAY`](crate::net::submission::LOGIN_FAILURE_DELAY).
    pub login_failure_delay: Duration,
    pub settings: DoorSettings,
}

/// What the provider says of this door.
#[derive(Debug, Clone, Default)]
pub struct DoorSettings {
    /// Where users turn to, as a URI (`mailto:destek@hs01.kep.tr`); told as metadata (RFC 5464 6.2.1.2).
    pub contact: Option<String>,
    /// Offer COMPRESS=DEFLATE.
    pub compress: bool,
}

/// Why a connection ended early.
#[derive(Debug, thiserror::Error)]
pub enum Ended {
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("the client took nothing, or said nothing, for too long")]
    TooSlow,
    #[error("content announced could not be read: {0}")]
    Content(Failure),
}

/// One connection.
struct Connection<'d> {
    door: &'d ImapDoor,
    from: Origin,
    stream: Box<dyn Duplex + 'd>,
    acceptor: Option<TlsAcceptor>,
    session: Session,
    by: Option<Principal>,
    exchange: Option<ServerExchange>,
    login_failures: u32,
    opened: Option<Opened>,
    appending: Option<carry::Arriving>,
    /// Marks this connection has set itself: they are not news to it.
    echo: carry::Echo,
    /// What NOTIFY asked for of other mailboxes.
    watch: Option<watch::Watch>,
    /// Telling failed; when to try again.
    tell_again_at: Option<Instant>,
    /// Who has not logged in by then does not want to.
    login_until: Instant,
    gathered: Vec<u8>,
}

impl ImapDoor {
    /// Serves one connection to its end. `stopping` turns true when the server goes down.
    pub async fn serve<S: Duplex>(
        &self,
        stream: S,
        begin: Begin,
        from: Origin,
        stopping: signal::Receiver<bool>,
    ) -> Result<(), Ended> {
        let (tls, acceptor) = match begin {
            Begin::Tls => (true, None),
            Begin::Clear(acceptor) => (false, acceptor),
        };
        let settings = Settings {
            tls,
            starttls: acceptor.is_some(),
            login_in_clear: false,
            mechanisms: login::offered(),
            greeting: self.greeting.clone(),
            append_max_bytes: self.mailboxes.identity.size_max_bytes,
            id: vec![("name".to_owned(), "kepd".to_owned())],
            // SEARCHRES and BINARY are part of IMAP4rev2 and not built yet.
            rev2: false,
            compress: self.settings.compress,
        };
        let connection = Connection {
            door: self,
            from,
            stream: Box::new(stream),
            acceptor,
            session: Session::new(settings),
            by: None,
            exchange: None,
            login_failures: 0,
            opened: None,
            appending: None,
            echo: carry::Echo::default(),
            watch: None,
            tell_again_at: None,
            login_until: Instant::now() + LOGIN_WITHIN,
            gathered: Vec::new(),
        };
        connection.run(stopping).await
    }
}

/// What woke a connection up.
enum Woken {
    /// Octets came; `false`: the client has gone.
    Read(bool),
    /// Some mailbox changed: the bell's stroke.
    Rung(u64),
    Stopping,
}

impl Connection<'_> {
    async fn run(mut self, mut stopping: signal::Receiver<bool>) -> Result<(), Ended> {
        let mut input = BytesMut::new();
        // There is nothing to hear before somebody has logged in.
        let mut bell: Option<signal::Receiver<u64>> = None;
        loop {
            while let Some(ask) = self.session.receive(&mut input) {
                if let Some(answer) = self.carry_out(ask).await? {
                    self.session.answer(answer);
                }
                self.leave_if_barred();
                self.tell_owed().await?;
                self.gather().await?;
            }
            self.gather().await?;
            self.flush().await?;
            if self.session.is_closing() {
                let _ = timeout(WRITE_MAX, self.stream.shutdown()).await;
                return Ok(());
            }
            let until = match self.by {
                Some(_) => Instant::now() + SILENCE_MAX,
                None => self.login_until,
            };
            if self.by.is_none() {
                bell = None;
            } else if bell.is_none() {
                let listen = |by: &Principal| self.door.mailboxes.bells.mailboxes.listen(by.tenant);
                bell = self.by.as_ref().map(listen);
            }
            match self.wait(&mut input, bell.as_mut(), &mut stopping, until).await? {
                Woken::Read(true) => {}
                Woken::Read(false) => return Ok(()),
                Woken::Rung(stroke) => {
                    self.leave_if_barred();
                    if !self.session.is_closing() {
                        self.push_news(stroke).await?;
                    }
                }
                Woken::Stopping => self.session.shut_down("the server is going down; come back soon"),
            }
        }
    }

    async fn wait(
        &mut self,
        input: &mut BytesMut,
        bell: Option<&mut signal::Receiver<u64>>,
        stopping: &mut signal::Receiver<bool>,
        until: Instant,
    ) -> Result<Woken, Ended> {
        if *stopping.borrow_and_update() {
            return Ok(Woken::Stopping);
        }
        input.reserve(READ_OCTETS);
        let (listens, again_at) = (self.listens(), self.tell_again_at);
        let read = async {
            tokio::select! {
                read = self.stream.read_buf(input) => Ok(Woken::Read(read? > 0)),
                stroke = push::rung(bell, again_at), if listens => Ok(Woken::Rung(stroke)),
                told = stopping.changed() => match told {
                    Ok(()) => Ok(Woken::Stopping),
                    // Nobody is left to tell: then only the connection itself ends it.
                    Err(_) => std::future::pending().await,
                },
            }
        };
        match timeout_at(until, read).await {
            Ok(woken) => woken,
            Err(_) => {
                self.session.shut_down("silent for too long");
                self.gather().await?;
                self.flush().await?;
                Err(Ended::TooSlow)
            }
        }
    }

    /// Takes the engine's output; what gets long is written.
    async fn gather(&mut self) -> Result<(), Ended> {
        for out in self.session.take_output() {
            match out {
                Out::Bytes(octets) => self.gathered.extend_from_slice(&octets),
                Out::Content { member, offset, len } => self.content(member, offset, len).await?,
            }
            if self.gathered.len() >= WRITE_OCTETS {
                self.flush().await?;
            }
        }
        Ok(())
    }

    /// Exactly `len` octets of a message, from the spool to the socket in pieces.
    async fn content(&mut self, member: Member, offset: u64, len: u64) -> Result<(), Ended> {
        let lost = |what: &str| Ended::Content(Failure::Broken(what.to_owned()));
        let Some(by) = self.by.clone() else {
            return Err(lost("nobody is logged in"));
        };
        let mailboxes = self.door.mailboxes.clone();
        let reader = mailboxes.octets(
            &by,
            crate::id::ItemId(member.key),
            offset..offset.saturating_add(len),
        );
        let mut reader = reader
            .map_err(Ended::Content)?
            .ok_or_else(|| lost("the message is not visible any more"))?;
        let mut left = len;
        while let Some(chunk) = reader.next_chunk().await.map_err(Ended::Content)? {
            left = left
                .checked_sub(chunk.len() as u64)
                .ok_or_else(|| lost("more octets than announced"))?;
            self.gathered.extend_from_slice(&chunk);
            if self.gathered.len() >= WRITE_OCTETS {
                self.flush().await?;
            }
        }
        if left > 0 {
            return Err(lost("fewer octets than announced"));
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), Ended> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        let write = async {
            self.stream.write_all(&self.gathered).await?;
            self.stream.flush().await
        };
        timeout(WRITE_MAX, write).await.map_err(|_| Ended::TooSlow)??;
        self.gathered.clear();
        Ok(())
    }

    /// STARTTLS: the rest of the connection goes through TLS.
    async fn start_tls(&mut self) -> Result<bool, Ended> {
        let Some(acceptor) = self.acceptor.take() else {
            return Ok(false);
        };
        self.gather().await?;
        self.flush().await?;
        let clear = std::mem::replace(&mut self.stream, Box::new(tokio::io::empty()));
        match timeout(HANDSHAKE_MAX, acceptor.accept(clear)).await {
            Ok(stream) => self.stream = Box::new(stream?),
            Err(_) => return Err(Ended::TooSlow),
        }
        Ok(true)
    }

    /// Whether the user may still be here.
    fn may_stay(&self) -> Result<(), Failure> {
        match &self.by {
            Some(by) => self.door.accounts.check_door(by, Door::Imap),
            None => Ok(()),
        }
    }

    /// Says goodbye to whom the door was closed to meanwhile.
    fn leave_if_barred(&mut self) {
        if let Err(Failure::Refused(refused)) = self.may_stay() {
            self.session.shut_down(&refused.text);
        }
    }

    /// UNAUTHENTICATE (RFC 8437 4): nothing of the user stays; the next one has as long as the first had.
    fn forget_user(&mut self) {
        self.by = None;
        self.exchange = None;
        self.opened = None;
        self.appending = None;
        self.watch = None;
        self.tell_again_at = None;
        self.echo.clear();
        self.login_until = Instant::now() + LOGIN_WITHIN;
    }

    /// COMPRESS (RFC 4978): the rest of the connection is deflated. What was said is written before.
    async fn compress(&mut self) -> Result<(), Ended> {
        self.gather().await?;
        self.flush().await?;
        let plain = std::mem::replace(&mut self.stream, Box::new(tokio::io::empty()));
        self.stream = Box::new(compress::Deflated::new(plain));
        Ok(())
    }
}
