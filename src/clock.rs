//! Time: a moment ([`UtcTime`]), and where it comes from ([`Clock`]).
//!
//! Only [`SystemClock`] asks the operating system. Everything else is handed a clock, so that tests turn it by hand.
//! A *time-stamp token* (RFC 3161) is another thing and lives in `cms`.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;
use tokio::sync::watch;

/// A moment in UTC, in milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
#[serde(transparent)]
pub struct UtcTime(i64);

/// A moment by which something has to have happened.
pub type Deadline = UtcTime;

impl UtcTime {
    pub const fn from_unix_ms(ms: i64) -> Self {
        Self(ms)
    }

    pub const fn from_unix_s(s: i64) -> Self {
        Self(s * 1000)
    }

    pub const fn unix_ms(self) -> i64 {
        self.0
    }

    pub const fn unix_s(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// The moment `after` later; saturates at the end of time.
    pub fn plus(self, after: Duration) -> Self {
        Self(
            self.0
                .saturating_add(i64::try_from(after.as_millis()).unwrap_or(i64::MAX)),
        )
    }

    pub fn minus(self, before: Duration) -> Self {
        Self(
            self.0
                .saturating_sub(i64::try_from(before.as_millis()).unwrap_or(i64::MAX)),
        )
    }

    /// How long until `later`; zero when it has passed.
    pub fn until(self, later: UtcTime) -> Duration {
        Duration::from_millis(u64::try_from(later.0.saturating_sub(self.0)).unwrap_or(0))
    }

    fn civil(self) -> jiff::civil::DateTime {
        let moment = jiff::Timestamp::from_millisecond(self.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        jiff::tz::Offset::UTC.to_datetime(moment)
    }

    /// `2026-11-23T20:45:00.123Z` (RFC 3339; also xs:dateTime). Whole seconds have no fraction.
    pub fn rfc3339(self) -> String {
        let c = self.civil();
        let fraction = self.0.rem_euclid(1000);
        let head = format!(
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
            c.year(),
            c.month(),
            c.day(),
            c.hour(),
            c.minute(),
            c.second()
        );
        if fraction == 0 {
            format!("{head}Z")
        } else {
            format!("{head}.{fraction:03}Z")
        }
    }

    /// `Mon, 23 Nov 2026 20:45:00 +0000` (RFC 5322 3.3).
    pub fn rfc5322(self) -> String {
        let c = self.civil();
        format!(
            "{}, {} {} {:04} {:02}:{:02}:{:02} +0000",
            day_name(c.weekday()),
            c.day(),
            month_name(c.month()),
            c.year(),
            c.hour(),
            c.minute(),
            c.second()
        )
    }

    /// `23-Nov-2026 20:45:00 +0000` (the date-time of RFC 9051 9, day padded with a space).
    pub fn imap_date_time(self) -> String {
        let c = self.civil();
        format!(
            "{:>2}-{}-{:04} {:02}:{:02}:{:02} +0000",
            c.day(),
            month_name(c.month()),
            c.year(),
            c.hour(),
            c.minute(),
            c.second()
        )
    }

    /// Reads an RFC 3339 moment with any offset.
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        text.parse::<jiff::Timestamp>()
            .ok()
            .map(|t| Self(t.as_millisecond()))
    }

    /// (year, month, day) in UTC.
    pub fn date(self) -> (i16, i8, i8) {
        let c = self.civil();
        (c.year(), c.month(), c.day())
    }
}

impl fmt::Display for UtcTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rfc3339())
    }
}

fn day_name(day: jiff::civil::Weekday) -> &'static str {
    use jiff::civil::Weekday::*;
    match day {
        Monday => "Mon",
        Tuesday => "Tue",
        Wednesday => "Wed",
        Thursday => "Thu",
        Friday => "Fri",
        Saturday => "Sat",
        Sunday => "Sun",
    }
}

fn month_name(month: i8) -> &'static str {
    const NAMES: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    NAMES
        .get(usize::try_from(month - 1).unwrap_or(0))
        .copied()
        .unwrap_or("Jan")
}

/// A wait that can be awaited.
pub type Wait<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// Where the time comes from.
pub trait Clock: Send + Sync + 'static {
    fn now(&self) -> UtcTime;
    /// Resolves when the clock shows `moment` or later.
    fn wait_until(&self, moment: UtcTime) -> Wait<'_>;
}

/// The clock of the operating system.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods)] // the one place that asks
    fn now(&self) -> UtcTime {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        UtcTime(since.map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX)))
    }

    fn wait_until(&self, moment: UtcTime) -> Wait<'_> {
        let wait = self.now().until(moment);
        Box::pin(tokio::time::sleep(wait))
    }
}

/// A clock that tests turn by hand; waiters wake as it passes their moment.
#[derive(Debug)]
pub struct ManualClock(watch::Sender<UtcTime>);

impl ManualClock {
    pub fn at(start: UtcTime) -> Self {
        Self(watch::Sender::new(start))
    }

    pub fn advance(&self, by: Duration) {
        self.0.send_modify(|now| *now = now.plus(by));
    }
}

impl Clock for ManualClock {
    fn now(&self) -> UtcTime {
        *self.0.borrow()
    }

    fn wait_until(&self, moment: UtcTime) -> Wait<'_> {
        let mut seen = self.0.subscribe();
        Box::pin(async move {
            // An error means the clock is gone, and with it everybody who could care.
            let _ = seen.wait_for(|now| *now >= moment).await;
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats() {
        let t = UtcTime::from_unix_ms(1_795_466_705_120);
        assert_eq!(t.rfc3339(), "2026-11-23T20:45:05.120Z");
        assert_eq!(t.rfc5322(), "Mon, 23 Nov 2026 20:45:05 +0000");
        assert_eq!(t.imap_date_time(), "23-Nov-2026 20:45:05 +0000");
        assert_eq!(UtcTime::parse_rfc3339("2026-11-23T23:45:05.12+03:00"), Some(t));
        assert_eq!(UtcTime::from_unix_s(0).rfc3339(), "1970-01-01T00:00:00Z");
        assert_eq!(
            UtcTime::from_unix_s(4 * 86_400).imap_date_time(),
            " 5-Jan-1970 00:00:00 +0000"
        );
    }

    #[tokio::test]
    async fn a_turned_clock_wakes_its_waiters() {
        let clock = std::sync::Arc::new(ManualClock::at(UtcTime::from_unix_s(0)));
        let waiting = clock.clone();
        let waiter = tokio::spawn(async move {
            waiting.wait_until(UtcTime::from_unix_s(10)).await;
            waiting.now()
        });
        clock.advance(Duration::from_secs(4));
        tokio::task::yield_now().await;
        assert!(!waiter.is_finished());
        clock.advance(Duration::from_secs(6));
        assert_eq!(waiter.await.unwrap(), UtcTime::from_unix_s(10));
    }
}
