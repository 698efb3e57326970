//! Word to a client that its long command is still in work (RFC 9585): so that it neither gives up nor wonders.
//!
//! By the clock of the house, so that tests turn it. What is done in turns tells how far it is; what is done in one
//! piece by a service tells only that it goes on.

use super::{Connection, Ended};
use crate::clock::UtcTime;
use std::future::Future;
use std::time::Duration;

/// Between two words, and before the first: most commands end sooner, and clients give up after half a minute at the
/// earliest (RFC 9585 4 asks for no more than one in a few seconds).
pub const PROGRESS_EVERY: Duration = Duration::from_secs(10);

/// When the next word is due.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace(UtcTime);

impl Pace {
    pub(super) fn begin(now: UtcTime) -> Self {
        Self(now.plus(PROGRESS_EVERY))
    }

    /// Whether it is time; then the next is due a while later.
    fn is_due(&mut self, now: UtcTime) -> bool {
        let due = now >= self.0;
        if due {
            *self = Self::begin(now);
        }
        due
    }
}

impl Connection<'_> {
    /// Says how far it is, if it is time.
    pub(super) async fn tell_progress(
        &mut self,
        pace: &mut Pace,
        done: usize,
        of: usize,
    ) -> Result<(), Ended> {
        if pace.is_due(self.door.mailboxes.clock.now()) {
            self.session.progress(Some((done as u64, of as u64)));
            self.gather().await?;
            self.flush().await?;
        }
        Ok(())
    }

    /// Waits for work that does not say how far it is. It is always waited for to its end: what it began is whole, even
    /// if the client has gone meanwhile.
    pub(super) async fn meanwhile<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Ended> {
        let clock = self.door.mailboxes.clock.clone();
        let mut pace = Pace::begin(clock.now());
        let mut work = std::pin::pin!(work);
        let mut ended = Ok(());
        loop {
            tokio::select! {
                biased;
                done = &mut work => return ended.map(|()| done),
                () = clock.wait_until(pace.0), if ended.is_ok() => {
                    pace = Pace::begin(clock.now());
                    self.session.progress(None);
                    ended = self.written().await;
                }
            }
        }
    }

    async fn written(&mut self) -> Result<(), Ended> {
        self.gather().await?;
        self.flush().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_due_once_in_a_while() {
        let at = UtcTime::from_unix_s;
        let mut pace = Pace::begin(at(100));
        let due: Vec<i64> = (100..145).filter(|s| pace.is_due(at(*s))).collect();
        assert_eq!(due, [110, 120, 130, 140]);
        // A long silence is made up for by one word.
        assert!(pace.is_due(at(500)));
        assert!(!pace.is_due(at(505)));
    }
}
