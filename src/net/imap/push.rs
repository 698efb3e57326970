//! What is told without being asked, as soon as the tenant's bell has rung: to who idles, and what NOTIFY asked for.

use super::{Connection, Ended, carry, row};
use crate::id::ItemId;
use crate::imap::ask::FetchAsk;
use crate::service::failure::Failure;
use crate::service::time_slice::TimeSlice;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// After a failure to tell, it is tried again: nobody else would ring for what has happened already.
const TELL_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Resolves with the stroke when the bell has rung since it was last heard, or what could not be told is due again.
pub(super) async fn rung(bell: Option<&mut watch::Receiver<u64>>, again_at: Option<Instant>) -> u64 {
    let Some(bell) = bell else {
        return std::future::pending().await;
    };
    let again = async {
        match again_at {
            Some(at) => tokio::time::sleep_until(at).await,
            None => std::future::pending().await,
        }
    };
    let heard = tokio::select! {
        heard = bell.changed() => heard.is_ok(),
        () = again => true,
    };
    if !heard {
        std::future::pending::<()>().await;
    }
    *bell.borrow_and_update()
}

impl Connection<'_> {
    /// Whether somebody would be told now.
    pub(super) fn listens(&self) -> bool {
        self.session.hears() && (self.opened.is_some() || self.watch.is_some())
    }

    /// Tells what happened, at once.
    pub(super) async fn push_news(&mut self, stroke: u64) -> Result<(), Ended> {
        let told = self.tell_news(stroke).await;
        self.tell_again_at = match told {
            Ok(()) => None,
            Err(failure) => {
                carry::log(&failure);
                Some(Instant::now() + TELL_AGAIN_AFTER)
            }
        };
        self.tell_owed().await
    }

    async fn tell_news(&mut self, stroke: u64) -> Result<(), Failure> {
        let Some(by) = self.by.clone() else {
            return Ok(());
        };
        if let Some(opened) = &mut self.opened {
            let news = self.door.mailboxes.hear(&by, opened, stroke).await?;
            let changes = self.without_echo(news);
            self.session.mailbox_changed(changes);
        }
        let mut notices = Vec::new();
        let watched = self.watched(&by, stroke, &mut notices).await;
        // What was found before something failed is known to the watch by now: it is told now or never.
        self.session.push(notices);
        watched
    }

    /// The attributes of new messages that NOTIFY asked for.
    pub(super) async fn tell_owed(&mut self) -> Result<(), Ended> {
        let Some(ask) = self.session.owed_rows() else {
            return Ok(());
        };
        match Box::pin(self.push_rows(&ask)).await {
            Ok(()) => Ok(()),
            // The client knows that the messages are there, and may fetch them.
            Err(carry::Stop::Failed(failure)) => {
                carry::log(&failure);
                Ok(())
            }
            Err(carry::Stop::Ended(ended)) => Err(ended),
        }
    }

    async fn push_rows(&mut self, ask: &FetchAsk) -> Result<(), carry::Stop> {
        let Some(by) = self.by.clone() else {
            return Ok(());
        };
        let mailboxes = self.door.mailboxes.clone();
        let wanted = row::Wanted::of(ask);
        let Some(opened) = self.opened.clone() else {
            return Ok(());
        };
        let mut slice = TimeSlice::begin();
        for member in &ask.members {
            let seat = mailboxes.seat(&by)?;
            // What comes by itself is read by nobody: of an unread mail no content goes out so, and the client asks.
            if wanted.gives_content()
                && let Some(shown) = mailboxes.visible(&seat.viewer(), ItemId(member.key))?
                && mailboxes.would_be_reading(&by, &shown.row)?
            {
                continue;
            }
            let sight = (&seat.viewer(), &mut mailboxes.mark_reader(&by, opened.known_to()));
            let made = row::make(&mailboxes, &by, sight, &opened, *member, ask, &wanted).await?;
            if let row::Made::Row(row, _, sheet) = made {
                self.at_hand = sheet.map(|sheet| (member.key, sheet));
                self.session.row_pushed(*row);
                self.gather().await?;
            }
            slice.share().await;
        }
        self.at_hand = None;
        Ok(())
    }
}
