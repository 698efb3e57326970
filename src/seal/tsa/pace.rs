//! At most so many stamps in a second: an authority's contract may say so, and each may cost.
//!
//! Stamps are given moments at equal distances. Who would have to wait longer than [`WAIT_MAX`] is sent away at once, to
//! ask again later; so the queue before an authority never grows without end.

use super::StampFailure;
use crate::clock::{Clock, UtcTime};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// For how long a stamp waits for its turn; what is owed is tried again later anyway.
const WAIT_MAX: Duration = Duration::from_secs(10);

pub(super) struct Pace {
    /// None: as many as are asked for.
    distance: Option<Duration>,
    next: Mutex<UtcTime>,
}

impl Pace {
    /// Zero: as many as are asked for.
    pub fn new(per_second: u32) -> Self {
        // Rounded up, so that the limit is kept.
        let distance =
            (per_second > 0).then(|| Duration::from_millis(u64::from(1000_u32.div_ceil(per_second))));
        Self {
            distance,
            next: Mutex::new(UtcTime::from_unix_ms(0)),
        }
    }

    /// Waits for a turn.
    pub async fn wait(&self, clock: &dyn Clock) -> Result<(), StampFailure> {
        let Some(distance) = self.distance else {
            return Ok(());
        };
        let now = clock.now();
        let turn = {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            let turn = (*next).max(now);
            if now.until(turn) > WAIT_MAX {
                return Err(StampFailure::Pace);
            }
            *next = turn.plus(distance);
            turn
        };
        if turn > now {
            clock.wait_until(turn).await;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[tokio::test]
    async fn turns_come_at_equal_distances_and_a_long_queue_is_sent_away() {
        let clock = Arc::new(ManualClock::at(UtcTime::from_unix_s(100)));
        let pace = Arc::new(Pace::new(2));
        let done = Arc::new(AtomicU32::new(0));
        let mut waiting = tokio::task::JoinSet::new();
        for _ in 0..21 {
            let (pace, clock, done) = (pace.clone(), clock.clone(), done.clone());
            waiting.spawn(async move {
                pace.wait(&*clock).await.unwrap();
                done.fetch_add(1, Ordering::SeqCst);
            });
        }
        let settle = || async {
            for _ in 0..50 {
                tokio::task::yield_now().await;
            }
            done.load(Ordering::SeqCst)
        };
        assert_eq!(settle().await, 1);
        assert_eq!(pace.wait(&*clock).await, Err(StampFailure::Pace));
        clock.advance(Duration::from_secs(1));
        assert_eq!(settle().await, 3);
        clock.advance(Duration::from_secs(9));
        assert_eq!(settle().await, 21);
        // Nobody asked for a while: the first is served at once, and no burst is saved up.
        clock.advance(Duration::from_secs(60));
        assert_eq!(pace.wait(&*clock).await, Ok(()));
        let mut second = std::pin::pin!(pace.wait(&*clock));
        assert!(futures_pending(second.as_mut()).await);
    }

    async fn futures_pending(mut future: std::pin::Pin<&mut impl Future>) -> bool {
        std::future::poll_fn(|context| std::task::Poll::Ready(future.as_mut().poll(context).is_pending()))
            .await
    }
}
