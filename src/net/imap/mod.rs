//! The mailbox door: IMAP (RFC 9051, RFC 3501) over TLS, or with STARTTLS, on top of `service::mailbox`.
//!
//! The engine (`crate::imap`) knows the protocol, the service knows mailboxes; this door only translates. One task
//! per connection runs [`ImapDoor::serve`]; listening, counting connections and the TLS of port 993 are the
//! listener's. Content of messages goes from the spool to the socket in pieces.

mod append;
mod carry;
mod compress;
mod decoded;
mod listen;
mod listing;
mod login;
mod mailbox_id;
mod narrowing;
mod object_id;
mod progress;
mod property;
mod push;
mod query;
mod recents;
mod resync;
mod row;
mod sorting;
mod status;
mod threads;
mod verdict;
mod watch;

use crate::address::LoginName;
use crate::domain::audit::Origin;
use crate::id::TenantId;
use crate::imap::ask::{Member, Out};
use crate::imap::{Session, Settings};
use crate::net::secured::Secured;
use crate::sasl::ServerExchange;
use crate::service::account::presence::Present;
use crate::service::account::{Accounts, Door, Principal};
use crate::service::failure::Failure;
use crate::service::mailbox::{DecodingReader, Mailboxes, Opened, Sheet};
use crate::service::octets::ContentReader;
use crate::service::time_slice::TimeSlice;
use bytes::BytesMut;
pub use recents::Recents;
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
/// The same before login: answers are short then, and nobody has a reason not to take them.
pub const WRITE_MAX_BEFORE_LOGIN: Duration = Duration::from_secs(20);
/// For the last words to a client that was too slow.
const GOODBYE_MAX: Duration = Duration::from_secs(5);
/// Silence in the middle of a message that is being appended.
pub const MESSAGE_SILENCE_MAX: Duration = Duration::from_secs(5 * 60);
/// For a whole message to come in: 25 MiB over 64 kbit/s take one hour.
pub const MESSAGE_WITHIN: Duration = Duration::from_secs(2 * 3600);
/// A TLS handshake after STARTTLS.
pub const HANDSHAKE_MAX: Duration = Duration::from_secs(30);
/// Octets read at a time while much is coming in: a TLS record.
const READ_OCTETS: usize = 16 * 1024;
/// Octets of room while a client is waited for: most connections wait most of the time, and most commands fit.
const WAITING_OCTETS: usize = 512;
/// Octets gathered before they are written.
const WRITE_OCTETS: usize = 32 * 1024;

/// A connection both ways.
pub trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Duplex for T {}

/// How a connection begins.
#[derive(Clone)]
pub enum Begin {
    /// Under TLS already, of which nothing is known.
    Tls,
    /// Under TLS already, with what it lends to logins.
    Secured(Secured),
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
    /// What sessions were told of (`\Recent`).
    pub recents: Recents,
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
    /// What TLS brought, for logins.
    secured: Secured,
    session: Session,
    by: Option<Principal>,
    exchange: Option<ServerExchange>,
    /// The login that is being tried.
    attempt: Option<LoginName>,
    login_failures: u32,
    /// Counts among the sessions of its user.
    present: Option<Present>,
    opened: Option<Opened>,
    /// It was opened by EXAMINE.
    read_only: bool,
    appending: Option<append::Arriving>,
    /// Marks this connection has set itself: they are not news to it.
    echo: carry::Echo,
    /// What NOTIFY asked for of other mailboxes.
    watch: Option<watch::Watch>,
    /// Telling failed; when to try again.
    tell_again_at: Option<Instant>,
    /// Who has not logged in by then does not want to.
    login_until: Instant,
    gathered: Vec<u8>,
    /// How often something was written: each time the client may have been waited for.
    writes: u64,
    /// The last read took all the room there was.
    filled: bool,
    /// The message whose row is being written: its key, and where its octets are.
    at_hand: Option<(u64, Sheet)>,
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
        let (tls, secured, acceptor) = match begin {
            Begin::Tls => (true, Secured::default(), None),
            Begin::Secured(secured) => (true, secured, None),
            Begin::Clear(acceptor) => (false, Secured::default(), acceptor),
        };
        let settings = Settings {
            tls,
            starttls: acceptor.is_some(),
            login_in_clear: false,
            mechanisms: secured.mechanisms(),
            greeting: self.greeting.clone(),
            append_max_bytes: self.mailboxes.identity.size_max_bytes,
            id: vec![("name".to_owned(), "kepd".to_owned())],
            rev2: true,
            resync: true,
            compress: self.settings.compress,
            quota_resources: &[property::CREDIT],
        };
        let connection = Connection {
            door: self,
            from,
            stream: Box::new(stream),
            acceptor,
            secured,
            session: Session::new(settings),
            by: None,
            exchange: None,
            attempt: None,
            login_failures: 0,
            present: None,
            opened: None,
            read_only: false,
            appending: None,
            echo: carry::Echo::default(),
            watch: None,
            tell_again_at: None,
            login_until: Instant::now() + LOGIN_WITHIN,
            gathered: Vec::new(),
            writes: 0,
            filled: false,
            at_hand: None,
        };
        connection.run(stopping).await
    }
}

/// Octets that were announced cannot be sent.
fn lost(what: &str) -> Ended {
    Ended::Content(Failure::Broken(what.to_owned()))
}

fn all_sent(left: u64) -> Result<(), Ended> {
    match left {
        0 => Ok(()),
        _ => Err(lost("fewer octets than announced")),
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
        let mut bell: Option<(TenantId, signal::Receiver<u64>)> = None;
        let mut slice = TimeSlice::begin();
        // A bell that rings is no word of the client: silence is counted from what he said, or was answered.
        let (mut heard, mut spoke) = (Instant::now(), true);
        loop {
            while let Some(ask) = self.session.receive(&mut input) {
                // Boxed: what a command needs while it is carried out is not held while a client idles.
                if let Some(answer) = Box::pin(self.carry_out(ask)).await? {
                    self.session.answer(answer);
                }
                self.leave_if_barred();
                self.tell_owed().await?;
                self.gather().await?;
                slice.share().await;
            }
            self.gather().await?;
            self.flush().await?;
            if self.session.is_closing() {
                let _ = timeout(GOODBYE_MAX, self.stream.shutdown()).await;
                return Ok(());
            }
            if self.session.is_held_back() {
                slice.share().await;
                continue;
            }
            if std::mem::take(&mut spoke) {
                heard = Instant::now();
            }
            let until = match (&self.by, &self.appending) {
                (None, _) => self.login_until,
                (Some(_), None) => heard + SILENCE_MAX,
                (Some(_), Some(arriving)) => arriving.until.min(heard + MESSAGE_SILENCE_MAX),
            };
            // Another user may have logged in since: then it is another bell.
            let tenant = self.by.as_ref().map(|by| by.tenant);
            bell = bell.filter(|(of, _)| Some(*of) == tenant);
            if let (None, Some(tenant)) = (&bell, tenant) {
                let hung = self.door.mailboxes.bells.mailboxes.listen(tenant);
                let stroke = *hung.borrow();
                bell = Some((tenant, hung));
                // Commands sent in one go with the login may have been answered already: what happened since the last
                // of them rang before anybody listened.
                if self.listens() {
                    Box::pin(self.push_news(stroke)).await?;
                    continue;
                }
            }
            let ringing = bell.as_mut().map(|(_, bell)| bell);
            match self.wait(&mut input, ringing, &mut stopping, until).await? {
                Woken::Read(true) => spoke = true,
                Woken::Read(false) => return Ok(()),
                Woken::Rung(stroke) => {
                    self.leave_if_barred();
                    if !self.session.is_closing() {
                        Box::pin(self.push_news(stroke)).await?;
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
        // Data that is always there already must not hide that the time is over.
        if Instant::now() >= until {
            return Err(self.too_slow().await);
        }
        self.make_room(input);
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
        let woken = timeout_at(until, read).await;
        self.filled = input.len() == input.capacity();
        match woken {
            Ok(woken) => woken,
            Err(_) => Err(self.too_slow().await),
        }
    }

    /// Room for what comes next: little while a client is waited for, much while much is coming in.
    fn make_room(&mut self, input: &mut BytesMut) {
        let octets = if self.filled { READ_OCTETS } else { WAITING_OCTETS };
        if input.is_empty() && input.capacity() > octets {
            *input = BytesMut::new();
        }
        input.reserve(octets);
        if self.gathered.capacity() > WAITING_OCTETS {
            self.gathered = Vec::new();
        }
    }

    /// Says goodbye, if the client still takes it.
    async fn too_slow(&mut self) -> Ended {
        self.session.shut_down("silent for too long");
        let goodbye = async {
            self.gather().await?;
            self.flush().await
        };
        let _ = timeout(GOODBYE_MAX, goodbye).await;
        Ended::TooSlow
    }

    /// Takes the engine's output; what gets long is written.
    async fn gather(&mut self) -> Result<(), Ended> {
        for out in self.session.take_output() {
            match out {
                Out::Bytes(octets) => self.gathered.extend_from_slice(&octets),
                Out::Content { member, offset, len } => {
                    Box::pin(self.content(member, offset, len)).await?;
                }
                decoded @ Out::Decoded { .. } => Box::pin(self.decoded(decoded)).await?,
            }
            if self.gathered.len() >= WRITE_OCTETS {
                self.flush().await?;
            }
        }
        Ok(())
    }

    /// Exactly `len` octets of a message, from the spool to the socket in pieces.
    async fn content(&mut self, member: Member, offset: u64, len: u64) -> Result<(), Ended> {
        let mailboxes = self.door.mailboxes.clone();
        let mut reader = self.reader(&mailboxes, member, offset, len)?;
        let mut left = len;
        while let Some(chunk) = reader.next_chunk().await.map_err(Ended::Content)? {
            left = self.send_on(&chunk, left).await?;
        }
        all_sent(left)
    }

    /// As [`Self::content`], with the transfer encoding undone on the way.
    async fn decoded(&mut self, out: Out) -> Result<(), Ended> {
        let Out::Decoded {
            member,
            offset,
            len,
            how,
            skip,
            take,
        } = out
        else {
            return Ok(());
        };
        let mailboxes = self.door.mailboxes.clone();
        let reader = self.reader(&mailboxes, member, offset, len)?;
        let mut reader = DecodingReader::new(reader, decoded::encoding(how), skip, take);
        let mut left = take;
        while let Some(chunk) = reader.next_chunk().await.map_err(Ended::Content)? {
            left = self.send_on(chunk, left).await?;
        }
        all_sent(left)
    }

    /// Reads stored octets: of the message at hand, or of one that is looked for again.
    fn reader<'m>(
        &self,
        mailboxes: &'m Mailboxes,
        member: Member,
        offset: u64,
        len: u64,
    ) -> Result<ContentReader<'m>, Ended> {
        let range = offset..offset.saturating_add(len);
        if let Some((_, sheet)) = self.at_hand.as_ref().filter(|(key, _)| *key == member.key) {
            return Ok(mailboxes.octets_of(sheet, range));
        }
        let by = self.by.as_ref().ok_or_else(|| lost("nobody is logged in"))?;
        let reader = mailboxes.octets(by, crate::id::ItemId(member.key), range);
        reader
            .map_err(Ended::Content)?
            .ok_or_else(|| lost("the message is not visible any more"))
    }

    /// Announced octets; gives how many are left of `left`.
    async fn send_on(&mut self, chunk: &[u8], left: u64) -> Result<u64, Ended> {
        let left = left.checked_sub(chunk.len() as u64);
        let left = left.ok_or_else(|| lost("more octets than announced"))?;
        self.gathered.extend_from_slice(chunk);
        if self.gathered.len() >= WRITE_OCTETS {
            self.flush().await?;
        }
        Ok(left)
    }

    async fn flush(&mut self) -> Result<(), Ended> {
        let most = match self.by {
            Some(_) => WRITE_MAX,
            None => WRITE_MAX_BEFORE_LOGIN,
        };
        // Piece by piece: a slow line may take its time for a large row, silence may not.
        for piece in self.gathered.chunks(WRITE_OCTETS) {
            let write = async {
                self.stream.write_all(piece).await?;
                self.stream.flush().await
            };
            timeout(most, write).await.map_err(|_| Ended::TooSlow)??;
            self.writes += 1;
        }
        self.gathered.clear();
        // What one large row took is not kept.
        self.gathered.shrink_to(WRITE_OCTETS * 2);
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
            Ok(stream) => {
                let stream = stream?;
                self.secured = Secured::of(stream.get_ref().1);
                self.session.offer(self.secured.mechanisms());
                self.stream = Box::new(stream);
            }
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
        self.present = None;
        self.opened = None;
        self.at_hand = None;
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
