//! Time slices: one client's long work lets the others in.
//!
//! A task that is never asked to wait keeps its thread. What may take long - rows of a FETCH, messages of a SEARCH,
//! commands that were sent all at once, a view that catches up - asks between its pieces whether its time is over. It
//! does not cut a piece short: each must be small by itself, or be done on the blocking pool. Who yields without asking
//! wakes another thread for nothing: that costs more than most pieces.
//! A slice belongs to the outermost loop: what is called there again and again and begins one of its own never comes to its
//! end.

use std::time::Duration;
use tokio::time::Instant;

/// How long one connection keeps its thread, but for the end of a piece. Well below what a person notices, and far
/// above what a switch costs.
const SLICE_MAX: Duration = Duration::from_millis(3);

pub struct TimeSlice(Instant);

impl TimeSlice {
    pub fn begin() -> Self {
        Self(Instant::now())
    }

    /// Lets the others in when the time is over.
    pub async fn share(&mut self) {
        if self.0.elapsed() >= SLICE_MAX {
            tokio::task::yield_now().await;
            self.0 = Instant::now();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[tokio::test(start_paused = true)]
    async fn who_works_long_lets_others_in() {
        let came = Arc::new(AtomicU32::new(0));
        let others = came.clone();
        tokio::spawn(async move {
            loop {
                others.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
            }
        });
        let mut slice = TimeSlice::begin();
        for _ in 0..1000 {
            slice.share().await;
        }
        assert_eq!(
            came.load(Ordering::Relaxed),
            0,
            "a short piece is not interrupted"
        );
        tokio::time::advance(SLICE_MAX).await;
        let before = came.load(Ordering::Relaxed);
        slice.share().await;
        assert!(came.load(Ordering::Relaxed) > before);
    }
}
