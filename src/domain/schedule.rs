//! When things are due: functions of (attempt, moment), with the sources of each figure.

use crate::clock::UtcTime;
use std::time::Duration;

pub const DAY: Duration = Duration::from_secs(86_400);

/// Unread so long after delivery, a mail counts as read (`docs/standards.md`, "read by time-out").
pub const READING_EXPIRY_DEFAULT: Duration = DAY;
/// A peer silent for so long: final failure, `RelayREMMDFailure` (P6).
pub const RELAY_EXPIRY_DEFAULT: Duration = DAY;

/// For how long a decision on a job can be undone by whoever made it.
pub const UNDO_DEFAULT: Duration = Duration::from_secs(60);
/// For how long a release is held back: a mail that an officer sends leaves at once.
pub const SEND_DELAY_DEFAULT: Duration = Duration::ZERO;

/// For so many days what somebody threw away can be had back, out of the bin or by `kepctl`: a mistake is noticed within a
/// month, and what was thrown away is not at hand for ever. Then what is not on the legal record leaves the bin by itself.
pub const KEPT_DAYS: u32 = 30;

/// First pause after a failed attempt.
pub const RETRY_FIRST: Duration = Duration::from_secs(5);
/// Longest pause between attempts: a peer that comes back is noticed within this time.
pub const RETRY_LONGEST: Duration = Duration::from_secs(15 * 60);

/// When what was sealed at `at` goes into the hash tree of its day: the next midnight UTC, three in the morning in Türkiye.
pub fn next_night(at: UtcTime) -> UtcTime {
    let day = DAY.as_secs() as i64;
    UtcTime::from_unix_s((at.unix_s().div_euclid(day) + 1).saturating_mul(day))
}

/// The pause after attempt number `attempt` (from 1): doubling, with jitter in `0.0..1.0` taking up to a quarter off,
/// so that a thousand messages do not come back in the same second.
pub fn retry_after(attempt: u32, jitter: f64) -> Duration {
    let doubled = RETRY_FIRST.saturating_mul(1u32 << attempt.saturating_sub(1).min(16));
    doubled
        .min(RETRY_LONGEST)
        .mul_f64(1.0 - 0.25 * jitter.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        assert_eq!(retry_after(1, 0.0), Duration::from_secs(5));
        assert_eq!(retry_after(2, 0.0), Duration::from_secs(10));
        assert_eq!(retry_after(40, 0.0), RETRY_LONGEST);
        assert_eq!(retry_after(1, 1.0), Duration::from_millis(3750));
    }
}
