//! Several time-stamp authorities, in order: who fails is put aside, the next is asked at once; and our clock is held
//! against theirs.
//!
//! ```text
//! ready --fails--> aside until T (T grows with each failure in a row) --T passed, one request tries--> ready | aside
//! ```
//!
//! An authority that is away or refuses is aside for seconds, then minutes. One whose token is wrong (imprint, nonce,
//! policy, signature, purpose, trust) is aside for longer, and the log is loud: that is no weather. When all are aside,
//! the one that would come back first is asked all the same: with a single authority nothing is ever held back.
//!
//! A stamp's time should lie between our sending and our receiving. How far it lies outside is the drift: half the round
//! trip is allowed for by that, and a token in whole seconds may mean any moment of its second. Over [`DRIFT_ALARM`] it
//! is said in the log and in the figures. Over the limit the stamp is not taken, and the next authority is asked: if
//! that one agrees with us, the first one's clock was wrong; if the (lower) median of all answers is over the limit, our
//! clock is wrong, and nothing is sealed until a stamp shows that it is right again.

use super::pace::Pace;
use super::{Stamp, StampFailure, Stamping, Stamps, TimestampClient, TransportError};
use crate::clock::{Clock, UtcTime};
use crate::cms::ContentDigest;
use crate::cms::tsp::StampError;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// One authority's try; the next is asked then.
const TRY_MAX: Duration = Duration::from_secs(10);
/// All tries for one stamp. Sealing waits meanwhile, and is tried again.
const TRIES_MAX: Duration = Duration::from_secs(30);
/// Aside after a first failure; doubled by each one more, up to [`ASIDE_MAX`].
const ASIDE_FIRST: Duration = Duration::from_secs(5);
const ASIDE_MAX: Duration = Duration::from_secs(5 * 60);
/// Aside after a first wrong token; doubled by each one more, up to [`WRONG_MAX`].
const WRONG_FIRST: Duration = Duration::from_secs(5 * 60);
const WRONG_MAX: Duration = Duration::from_secs(4 * 3600);
/// The host's clock is promised to be that right (docs/operating.md).
pub const DRIFT_ALARM: Duration = Duration::from_secs(1);

/// One of them.
pub struct Authority {
    /// As it stands in the log: its URL.
    pub name: String,
    pub client: TimestampClient,
}

/// What holds for all of them.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// Our clock may be that wrong.
    pub drift_max: Duration,
    /// Stamps in a second; zero: as many as are asked for.
    pub per_second: u32,
}

/// For whoever watches the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Figures {
    pub aside: u64,
    pub stamps: u64,
    pub failures: u64,
    pub wrong: u64,
    /// Negative when our clock is ahead.
    pub drift_ms: i64,
    pub stopped: bool,
}

/// Asks them in order.
pub struct Authorities {
    clock: Arc<dyn Clock>,
    authorities: Vec<Authority>,
    drift_max: Duration,
    pace: Pace,
    state: Mutex<State>,
}

struct State {
    health: Vec<Health>,
    figures: Figures,
    alarmed: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct Health {
    /// None: ready.
    aside_until: Option<UtcTime>,
    /// In a row.
    failures: u32,
    /// One request tries whether it is back.
    probing: bool,
}

/// What an authority's try brought.
enum Tried {
    Answer { stamp: Option<Stamp>, drift_ms: i64 },
    Failure(StampFailure),
}

/// What was heard for one stamp.
#[derive(Default)]
struct Heard {
    /// (authority, drift)
    answers: Vec<(usize, i64)>,
    good: Option<Stamp>,
    temporary: Option<StampFailure>,
    wrong: Option<StampFailure>,
}

impl Authorities {
    pub fn new(clock: Arc<dyn Clock>, authorities: Vec<Authority>, terms: Terms) -> Self {
        let health = vec![Health::default(); authorities.len()];
        Self {
            clock,
            authorities,
            drift_max: terms.drift_max,
            pace: Pace::new(terms.per_second),
            state: Mutex::new(State {
                health,
                figures: Figures::default(),
                alarmed: false,
            }),
        }
    }

    pub fn figures(&self) -> Figures {
        let now = self.clock.now();
        let state = self.state();
        let aside = state
            .health
            .iter()
            .filter(|h| h.aside_until.is_some_and(|t| t > now));
        Figures {
            aside: aside.count() as u64,
            ..state.figures
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn fetch(&self, imprint: ContentDigest) -> Result<Stamp, StampFailure> {
        self.pace.wait(&*self.clock).await?;
        let until = self.clock.now().plus(TRIES_MAX);
        let mut heard = Heard::default();
        let mut tried = false;
        for (index, authority) in self.authorities.iter().enumerate() {
            let Some(_turn) = Turn::take(self, index) else {
                continue;
            };
            tried = true;
            if let Some(stamp) = self.hear(index, authority, imprint, until, &mut heard).await {
                return Ok(stamp);
            }
        }
        if !tried
            && let Some((index, authority)) = self.first_back()
            && let Some(stamp) = self.hear(index, authority, imprint, until, &mut heard).await
        {
            return Ok(stamp);
        }
        self.give_up(heard)
    }

    /// Tries one, and keeps what came of it. Gives the stamp when it can be believed.
    async fn hear(
        &self,
        index: usize,
        authority: &Authority,
        imprint: ContentDigest,
        until: UtcTime,
        heard: &mut Heard,
    ) -> Option<Stamp> {
        let left = self.clock.now().until(until).min(TRY_MAX);
        if left.is_zero() {
            return None;
        }
        match self.ask(authority, imprint, left).await {
            Tried::Answer { stamp, drift_ms } => {
                self.ready(index);
                heard.answers.push((index, drift_ms));
                if !self.is_over(drift_ms) {
                    heard.good = stamp;
                }
                let median_ms = heard.median();
                if self.is_over(median_ms) || heard.good.is_none() {
                    return None;
                }
                self.agreed(heard, median_ms);
                heard.good.take()
            }
            Tried::Failure(failure) => {
                self.failed(index, authority, &failure);
                let kept = if failure.is_temporary() {
                    &mut heard.temporary
                } else {
                    &mut heard.wrong
                };
                kept.get_or_insert(failure);
                None
            }
        }
    }

    async fn ask(&self, authority: &Authority, imprint: ContentDigest, left: Duration) -> Tried {
        let sent = self.clock.now();
        let answer = tokio::select! {
            biased;
            answer = authority.client.stamp(imprint, sent) => answer,
            () = self.clock.wait_until(sent.plus(left)) => {
                Err(TransportError("no answer in time".to_owned()).into())
            }
        };
        let received = self.clock.now();
        match answer {
            Ok(stamp) => Tried::Answer {
                drift_ms: drift_ms(stamp.gen_time, sent, received),
                stamp: Some(stamp),
            },
            // Too far away to be a stamp at all; everything before the time was right.
            Err(StampFailure::Stamp(StampError::Time { stamp, .. })) => Tried::Answer {
                drift_ms: drift_ms(stamp, sent, received),
                stamp: None,
            },
            Err(failure) => Tried::Failure(failure),
        }
    }

    fn is_over(&self, drift_ms: i64) -> bool {
        u128::from(drift_ms.unsigned_abs()) > self.drift_max.as_millis()
    }

    /// The authority answered, and its token is what it should be.
    fn ready(&self, index: usize) {
        let mut state = self.state();
        state.figures.stamps += 1;
        let returned = state.health.get_mut(index).is_some_and(|health| {
            let was_aside = health.aside_until.is_some();
            *health = Health::default();
            was_aside
        });
        drop(state);
        if returned {
            tracing::info!(authority = self.name(index), "the time-stamp authority is back");
        }
    }

    fn failed(&self, index: usize, authority: &Authority, failure: &StampFailure) {
        let (first, most) = if failure.is_temporary() {
            (ASIDE_FIRST, ASIDE_MAX)
        } else {
            (WRONG_FIRST, WRONG_MAX)
        };
        let aside = self.put_aside(index, first, most);
        let (authority, aside_s) = (&authority.name, aside.as_secs());
        let mut state = self.state();
        if failure.is_temporary() {
            state.figures.failures += 1;
            tracing::warn!(authority, %failure, aside_s, "the time-stamp authority is put aside");
        } else {
            state.figures.wrong += 1;
            tracing::error!(authority, %failure, aside_s, "the time-stamp authority answers wrongly; it is put aside");
        }
    }

    fn put_aside(&self, index: usize, first: Duration, most: Duration) -> Duration {
        let now = self.clock.now();
        let mut state = self.state();
        let Some(health) = state.health.get_mut(index) else {
            return first;
        };
        let aside = first.saturating_mul(1 << health.failures.min(16)).min(most);
        health.failures = health.failures.saturating_add(1);
        health.aside_until = Some(now.plus(aside));
        aside
    }

    /// A stamp agrees with our clock, and most answers do. Who does not has a wrong clock.
    fn agreed(&self, heard: &Heard, median_ms: i64) {
        for (index, drift_ms) in &heard.answers {
            if self.is_over(*drift_ms) {
                self.put_aside(*index, WRONG_FIRST, WRONG_MAX);
                self.state().figures.wrong += 1;
                let authority = self.name(*index);
                tracing::error!(
                    authority,
                    drift_ms,
                    "the clock of the time-stamp authority is wrong; it is put aside"
                );
            }
        }
        let over = u128::from(median_ms.unsigned_abs()) > DRIFT_ALARM.as_millis();
        let mut state = self.state();
        state.figures.drift_ms = median_ms;
        let (was_stopped, was_alarmed) = (state.figures.stopped, state.alarmed);
        state.figures.stopped = false;
        state.alarmed = over;
        drop(state);
        if over && !was_alarmed {
            tracing::warn!(
                drift_ms = median_ms,
                "the clock of this host drifts away from the time-stamp authorities"
            );
        }
        if was_stopped || (was_alarmed && !over) {
            tracing::info!(
                drift_ms = median_ms,
                "the clock of this host agrees with the time-stamp authorities again"
            );
        }
    }

    /// No stamp: what is said of it.
    fn give_up(&self, heard: Heard) -> Result<Stamp, StampFailure> {
        if !heard.answers.is_empty() {
            let drift_ms = heard.median();
            let mut state = self.state();
            let was_stopped = std::mem::replace(&mut state.figures.stopped, true);
            state.figures.drift_ms = drift_ms;
            state.alarmed = true;
            drop(state);
            if !was_stopped {
                tracing::error!(
                    drift_ms,
                    "the clock of this host is wrong; nothing is sealed until it is right"
                );
            }
            return Err(StampFailure::Clock { drift_ms });
        }
        Err(heard.temporary.or(heard.wrong).unwrap_or(StampFailure::NoTime))
    }

    /// Whoever is aside for the shortest time from now.
    fn first_back(&self) -> Option<(usize, &Authority)> {
        let state = self.state();
        let until = |index: &usize| state.health.get(*index).and_then(|h| h.aside_until);
        let index = (0..self.authorities.len()).min_by_key(until)?;
        drop(state);
        self.authorities.get(index).map(|authority| (index, authority))
    }

    fn name(&self, index: usize) -> &str {
        self.authorities.get(index).map_or("", |a| a.name.as_str())
    }
}

impl Stamps for Authorities {
    fn stamp(&self, imprint: ContentDigest, _: UtcTime) -> Stamping<'_> {
        // The document's moment was before its signature was made; what counts here is the moment of asking.
        Box::pin(self.fetch(imprint))
    }
}

impl Heard {
    /// The lower median: of two, the one that is nearer.
    fn median(&self) -> i64 {
        let mut drifts: Vec<i64> = self.answers.iter().map(|(_, drift)| *drift).collect();
        drifts.sort_by_key(|drift| drift.unsigned_abs());
        let middle = drifts.len().saturating_sub(1) / 2;
        drifts.get(middle).copied().unwrap_or_default()
    }
}

/// How far a stamp's time lies outside the time in which it was made.
fn drift_ms(stamp: UtcTime, sent: UtcTime, received: UtcTime) -> i64 {
    let first = stamp.unix_ms();
    // RFC 3161 2.4.2: a genTime without a fraction has whole seconds.
    let last = if first.rem_euclid(1000) == 0 {
        first + 999
    } else {
        first
    };
    if first > received.unix_ms() {
        first - received.unix_ms()
    } else if last < sent.unix_ms() {
        last - sent.unix_ms()
    } else {
        0
    }
}

/// The right to ask an authority: everybody's while it is ready, one request's when it may be back.
struct Turn<'a> {
    all: &'a Authorities,
    index: usize,
    probes: bool,
}

impl<'a> Turn<'a> {
    fn take(all: &'a Authorities, index: usize) -> Option<Self> {
        let now = all.clock.now();
        let mut state = all.state();
        let health = state.health.get_mut(index)?;
        let probes = match health.aside_until {
            None => false,
            Some(until) if until <= now && !health.probing => true,
            Some(_) => return None,
        };
        health.probing |= probes;
        Some(Self { all, index, probes })
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if self.probes
            && let Some(health) = self.all.state().health.get_mut(self.index)
        {
            health.probing = false;
        }
    }
}
