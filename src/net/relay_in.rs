//! The relay door: other providers hand over dispatches and evidence (RFC 5321, with STARTTLS before MAIL).
//!
//! Meets: `smtp::server` and `service::intake`. Whom we hear is decided by the profiles of peers; that a message is
//! theirs is proven by its seal, which the intake verifies before the `250`.

use super::listener::{Closing, Limits, Listener};
use super::refusals::{self, At};
use super::tls::ServerTls;
use super::wire::{Entry, Wire};
use crate::address::{KepAddress, ReversePath};
use crate::domain::provider::Peer;
use crate::service::failure::Failure;
use crate::service::intake::{Intake, Transfer};
use crate::smtp::command::Rcpt;
use crate::smtp::reply;
use crate::smtp::server::{BodyOutcome, Event, Role, ServerConfig, Verdict};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpStream;
use tracing::Instrument as _;

/// Most recipients of one message: RFC 5321 4.5.3.1.8 wants 100 at least; a dispatch has no more than its mail.
const RECIPIENTS_MAX: usize = crate::domain::mail::RECIPIENTS_MAX;

/// The door for other providers.
pub struct RelayDoor {
    intake: Arc<Intake>,
    tls: Arc<ServerTls>,
    smtp: Arc<ServerConfig>,
}

impl RelayDoor {
    /// `host` is our name in the greeting.
    pub fn new(intake: Arc<Intake>, tls: Arc<ServerTls>, host: String) -> Self {
        let smtp = ServerConfig {
            role: Role::Relay,
            host,
            size_max_octets: intake.identity.size_max_bytes,
            recipients_max: RECIPIENTS_MAX,
            starttls: true,
            tls_required: true,
            mechanisms: Vec::new(),
        };
        Self {
            intake,
            tls,
            smtp: Arc::new(smtp),
        }
    }

    /// Takes an address; serve it with [`Self::run`].
    pub async fn bind(at: SocketAddr, limits: Limits) -> std::io::Result<Listener> {
        Listener::bind("relay", at, limits).await
    }

    /// Serves until it is time to close.
    pub async fn run(self: Arc<Self>, listener: Listener, closing: Closing) {
        let every = closing.clone();
        listener
            .run(closing, move |stream, from| {
                let session = self.intake.ids.uuid();
                let span = tracing::info_span!("session", id = %session, door = "relay", peer = %from);
                self.clone().serve(stream, every.clone()).instrument(span)
            })
            .await;
    }

    async fn serve(self: Arc<Self>, stream: TcpStream, closing: Closing) {
        let entry = Entry::StartTls;
        let opened = Wire::open(stream, entry, self.smtp.clone(), self.tls.clone(), closing).await;
        let Some(wire) = opened else { return };
        let session = Session {
            intake: &self.intake,
            wire,
            sender: None,
            recipients: Vec::new(),
            content: None,
        };
        session.run().await;
    }
}

/// One connection of a provider.
struct Session<'a> {
    intake: &'a Arc<Intake>,
    wire: Wire,
    sender: Option<(Peer, KepAddress)>,
    recipients: Vec<KepAddress>,
    /// What cannot be taken is still read to its end.
    content: Option<Result<Box<Transfer>, Failure>>,
}

impl Session<'_> {
    async fn run(mut self) {
        while let Some(event) = self.wire.next().await {
            let verdict = match event {
                Event::Mail(mail) => {
                    self.forget();
                    self.sender(mail.from)
                }
                Event::Rcpt(rcpt) => self.recipient(rcpt),
                Event::BodyStart => self.content_begins().await,
                Event::Body(run) => {
                    self.content_comes(&run).await;
                    continue;
                }
                Event::BodyEnd(BodyOutcome::Complete { octets }) => self.content_ends(octets).await,
                Event::BodyEnd(BodyOutcome::Refused(reply)) => {
                    tracing::warn!(%reply, "transfer refused");
                    self.forget();
                    continue;
                }
                Event::Reset => {
                    self.forget();
                    continue;
                }
                // There is no AUTH between providers; the rest the wire keeps to itself.
                Event::AuthStart { .. } | Event::AuthResponse(_) => Verdict::Refuse(reply::NOT_IMPLEMENTED),
                Event::AuthCancelled
                | Event::NeedMore
                | Event::Flush
                | Event::StartTls
                | Event::Close
                | Event::Unanswered => continue,
            };
            self.wire.answer(verdict);
        }
    }

    fn forget(&mut self) {
        self.sender = None;
        self.recipients.clear();
        self.content = None;
    }

    fn sender(&mut self, from: ReversePath) -> Verdict {
        let address = match &from {
            ReversePath::Address(address) => Some(address.clone()),
            ReversePath::Null => None,
        };
        match (self.intake.check_sender(&from), address) {
            (Ok(peer), Some(address)) => {
                self.sender = Some((peer, address));
                Verdict::Accept
            }
            (Ok(_), None) => Verdict::Refuse(reply::BAD_SENDER),
            (Err(failure), _) => refuse(&failure, At::Sender),
        }
    }

    fn recipient(&mut self, rcpt: Rcpt) -> Verdict {
        let Ok(address) = rcpt.address else {
            return Verdict::Refuse(reply::NOT_A_KEP_ADDRESS);
        };
        if let Err(failure) = self.intake.check_recipient(&address) {
            return refuse(&failure, At::Recipient);
        }
        if !self.recipients.contains(&address) {
            self.recipients.push(address);
        }
        Verdict::Accept
    }

    async fn content_begins(&mut self) -> Verdict {
        let Some((peer, from)) = self.sender.clone() else {
            return Verdict::Refuse(reply::BAD_SEQUENCE);
        };
        match self.intake.begin(peer, from, self.recipients.clone()).await {
            Ok(transfer) => {
                self.content = Some(Ok(Box::new(transfer)));
                Verdict::Accept
            }
            Err(failure) => refuse(&failure, At::Content),
        }
    }

    async fn content_comes(&mut self, run: &[u8]) {
        if let Some(Ok(transfer)) = &mut self.content
            && let Err(failure) = transfer.write(run).await
        {
            self.content = Some(Err(failure));
        }
    }

    async fn content_ends(&mut self, octets: u64) -> Verdict {
        let peer = self
            .sender
            .as_ref()
            .map(|(peer, _)| peer.domain.to_string())
            .unwrap_or_default();
        let taken = match self.content.take() {
            Some(Ok(transfer)) => {
                if self.wire.flush().await.is_none() {
                    return Verdict::Refuse(reply::TRY_LATER);
                }
                transfer.finish().await
            }
            Some(Err(failure)) => Err(failure),
            None => Err(Failure::Broken("content that never began".into())),
        };
        tracing::info!(%peer, octets, recipients = self.recipients.len(), taken = taken.is_ok(), "transfer");
        self.forget();
        match taken {
            Ok(()) => Verdict::Accept,
            Err(failure) => refuse(&failure, At::Content),
        }
    }
}

fn refuse(failure: &Failure, at: At) -> Verdict {
    let refusal = refusals::reply_to(failure, at);
    tracing::info!(reply = %refusal, ?at, "refused");
    Verdict::Refuse(refusal)
}
