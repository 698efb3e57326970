//! Where mailbox connections come in: implicit TLS (993), or in the clear with STARTTLS (143).

use super::{Begin, ImapDoor};
use crate::domain::audit::Origin;
use crate::net::listener::{Closing, Listener};
use crate::net::secured::Secured;
use crate::net::tls::ServerTls;
use crate::net::wire::Entry;
use std::sync::Arc;
use tokio::net::TcpStream;
use tracing::Instrument as _;

impl ImapDoor {
    /// Serves until it is time to close.
    pub async fn run(
        self: Arc<Self>,
        listener: Listener,
        entry: Entry,
        tls: Arc<ServerTls>,
        closing: Closing,
    ) {
        let every = closing.clone();
        listener
            .run(closing, move |stream, from| {
                let session = self.mailboxes.ids.uuid();
                let span = tracing::info_span!("session", id = %session, door = "imap", peer = %from);
                self.clone()
                    .connected(
                        stream,
                        Origin::Network(from.ip()),
                        entry,
                        tls.clone(),
                        every.clone(),
                    )
                    .instrument(span)
            })
            .await;
    }

    async fn connected(
        self: Arc<Self>,
        stream: TcpStream,
        from: Origin,
        entry: Entry,
        tls: Arc<ServerTls>,
        closing: Closing,
    ) {
        // Answers are small and awaited: they must not wait for more.
        let _ = stream.set_nodelay(true);
        let served = match entry {
            Entry::Tls => match tls.accept(stream).await {
                Ok(stream) => {
                    let secured = Secured::of(stream.get_ref().1);
                    self.serve(stream, Begin::Secured(secured), from, closing).await
                }
                Err(error) => {
                    tracing::debug!(%error, "no TLS");
                    return;
                }
            },
            Entry::StartTls => {
                self.serve(stream, Begin::Clear(Some(tls.acceptor())), from, closing)
                    .await
            }
        };
        if let Err(ended) = served {
            tracing::debug!(%ended, "connection ended early");
        }
    }
}
