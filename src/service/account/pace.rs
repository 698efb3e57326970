//! How fast one may guess: failed logins make the next attempt wait, by the address they come from and by the login
//! they try, at all doors together.
//!
//! An address is given one attempt at a time: the next one begins when the pause of the last is over, and who would have
//! to wait too long is sent away at once, unheard. A login that is attacked from many addresses waits as well, yet never
//! longer than one pause, so that its owner comes in from anywhere. From an address where he has come in before he does
//! not wait at all. Who is near is spared. Nothing here sleeps, asks the time or grows: the door waits, the moment is
//! handed in, and of each table the oldest row makes room. Nothing is kept over a restart.

use crate::address::LoginName;
use crate::clock::UtcTime;
use crate::domain::audit::Origin;
use crate::domain::network::{Trusted, client_of};
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Failures of an address that cost nothing: a building behind one address makes typing errors.
pub const ADDRESS_FREE_FAILURES: u32 = 5;
/// Failures of a login that cost nothing: its owner's typing errors.
pub const LOGIN_FREE_FAILURES: u32 = 3;
/// The first pause; each further failure doubles it.
pub const PAUSE_FIRST: Duration = Duration::from_secs(1);
/// The longest pause. Mail clients wait for a minute before they give up, and the door waits no longer for a login.
pub const PAUSE_LONGEST: Duration = Duration::from_secs(30);
/// The longest an attempt is kept waiting for its turn; who would wait longer is sent away at once.
pub const WAIT_MAX: Duration = Duration::from_secs(30);
/// Without a failure for so long, the earlier ones are forgotten.
pub const FORGOTTEN_AFTER: Duration = Duration::from_secs(15 * 60);
/// Failures of somebody who has come in from there before, since the last time, until he waits like a stranger: who
/// shares his address may be the one who guesses.
pub const KNOWN_FAILURES_MAX: u32 = 10;
/// Rows of each table, some 100 octets each; the oldest makes room.
pub const ROWS_MAX: usize = 16_384;
/// Attempts that wait at the same time, at all doors: each holds a connection.
pub const WAITING_MAX: usize = 1024;

/// Who fails, and who has come in from where.
pub struct LoginPace {
    trusted: Arc<Trusted>,
    tables: Mutex<Tables>,
    waiting: Arc<Semaphore>,
    /// Rows are kept by hash, with a key of this process: nobody can aim at another's row.
    hashing: RandomState,
    failures: AtomicU64,
}

/// An attempt that may go on after it has waited.
#[derive(Debug)]
pub struct Admitted {
    pub wait: Duration,
    _place: Option<OwnedSemaphorePermit>,
}

/// Too many attempts wait already; this one is not looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many failed logins; wait a minute")]
pub struct TooManyFailures;

struct Tables {
    addresses: Recent<Failing>,
    logins: Recent<Failing>,
    known: Recent<Known>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Failing {
    failures: u32,
    last: UtcTime,
    /// When the next attempt may begin.
    free_at: UtcTime,
}

#[derive(Debug, Default, Clone, Copy)]
struct Known {
    failures: u32,
}

/// Keys of the rows of one attempt.
struct Keys {
    address: u64,
    login: Option<u64>,
    both: Option<u64>,
}

impl LoginPace {
    pub fn new(trusted: Arc<Trusted>) -> Self {
        Self {
            trusted,
            tables: Mutex::new(Tables {
                addresses: Recent::new(ROWS_MAX),
                logins: Recent::new(ROWS_MAX),
                known: Recent::new(ROWS_MAX),
            }),
            waiting: Arc::new(Semaphore::new(WAITING_MAX)),
            hashing: RandomState::new(),
            failures: AtomicU64::new(0),
        }
    }

    /// Asked before a password is looked at: how long the attempt has to wait. Keep the answer until then.
    pub fn admit(&self, now: UtcTime, from: Origin, login: &LoginName) -> Result<Admitted, TooManyFailures> {
        self.admitted(now, from, Some(login))
    }

    /// Asked before a certificate is looked at: it is not known yet whose it is, so only the address waits.
    pub fn admit_unnamed(&self, now: UtcTime, from: Origin) -> Result<Admitted, TooManyFailures> {
        self.admitted(now, from, None)
    }

    fn admitted(
        &self,
        now: UtcTime,
        from: Origin,
        login: Option<&LoginName>,
    ) -> Result<Admitted, TooManyFailures> {
        let Some(address) = self.slowed(from) else {
            return Ok(Admitted::at_once());
        };
        let keys = self.keys(address, login);
        let wait = {
            let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
            tables.wait(now, &keys)?
        };
        if wait.is_zero() {
            return Ok(Admitted::at_once());
        }
        let place = self.waiting.clone().try_acquire_owned();
        let place = place.map_err(|_| TooManyFailures)?;
        Ok(Admitted {
            wait,
            _place: Some(place),
        })
    }

    /// A login failed. `None`: what was given is no login at all, or nobody's secret was guessed at.
    pub fn failed(&self, now: UtcTime, from: Origin, login: Option<&LoginName>) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        if let Some(address) = self.slowed(from) {
            let keys = self.keys(address, login);
            let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
            tables.failed(now, &keys);
        }
    }

    /// He has come in: from there he is known.
    pub fn succeeded(&self, from: Origin, login: &LoginName) {
        let Some(address) = self.slowed(from) else { return };
        if let Some(both) = self.keys(address, Some(login)).both {
            let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
            *tables.known.row(both) = Known::default();
        }
    }

    /// Failed logins since the start.
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// The address of somebody who is not spared.
    fn slowed(&self, from: Origin) -> Option<IpAddr> {
        match from {
            Origin::Network(address) if !self.trusted.spares(address) => Some(client_of(address)),
            _ => None,
        }
    }

    fn keys(&self, address: IpAddr, login: Option<&LoginName>) -> Keys {
        Keys {
            address: self.hashing.hash_one(address),
            login: login.map(|login| self.hashing.hash_one(login)),
            both: login.map(|login| self.hashing.hash_one((address, login))),
        }
    }
}

impl Admitted {
    fn at_once() -> Self {
        Self {
            wait: Duration::ZERO,
            _place: None,
        }
    }
}

impl Tables {
    fn wait(&mut self, now: UtcTime, keys: &Keys) -> Result<Duration, TooManyFailures> {
        let known = keys.both.and_then(|both| self.known.find(both));
        if known.is_some_and(|known| known.failures < KNOWN_FAILURES_MAX) {
            return Ok(Duration::ZERO);
        }
        let login = keys.login.and_then(|login| self.logins.find(login));
        let by_login = login.map_or(Duration::ZERO, |row| row.wait(now, LOGIN_FREE_FAILURES));
        let Some(row) = self.addresses.find_mut(keys.address) else {
            return Ok(by_login);
        };
        let by_address = row.wait(now, ADDRESS_FREE_FAILURES);
        if by_address > WAIT_MAX {
            // Somebody else at his address guesses: he waits, and is heard.
            return known.map(|_| WAIT_MAX).ok_or(TooManyFailures);
        }
        let wait = by_address.max(by_login);
        let pause = pause(row.failures, ADDRESS_FREE_FAILURES);
        if !pause.is_zero() {
            row.free_at = now.plus(wait).plus(pause);
        }
        Ok(wait)
    }

    fn failed(&mut self, now: UtcTime, keys: &Keys) {
        self.addresses
            .row(keys.address)
            .failed(now, ADDRESS_FREE_FAILURES);
        if let Some(login) = keys.login {
            self.logins.row(login).failed(now, LOGIN_FREE_FAILURES);
        }
        if let Some(known) = keys.both.and_then(|both| self.known.find_mut(both)) {
            known.failures = known.failures.saturating_add(1);
        }
    }
}

impl Failing {
    fn wait(&self, now: UtcTime, free: u32) -> Duration {
        let wait = now.until(self.free_at);
        // A clock that was put back must not shut anybody out.
        let turned = wait > WAIT_MAX + PAUSE_LONGEST;
        if self.forgotten(now) || turned || pause(self.failures, free).is_zero() {
            return Duration::ZERO;
        }
        wait
    }

    fn failed(&mut self, now: UtcTime, free: u32) {
        if self.forgotten(now) {
            *self = Self::default();
        }
        self.failures = self.failures.saturating_add(1);
        self.last = now;
        let turned = now.until(self.free_at) > WAIT_MAX + PAUSE_LONGEST;
        let next = now.plus(pause(self.failures, free));
        self.free_at = if turned { next } else { next.max(self.free_at) };
    }

    fn forgotten(&self, now: UtcTime) -> bool {
        self.last.until(now) > FORGOTTEN_AFTER
    }
}

/// The pause after so many failures: none for the first, then doubling up to the longest.
pub fn pause(failures: u32, free: u32) -> Duration {
    match failures.checked_sub(free) {
        None | Some(0) => Duration::ZERO,
        Some(over) => PAUSE_FIRST
            .saturating_mul(1 << (over - 1).min(16))
            .min(PAUSE_LONGEST),
    }
}

/// Rows by key; when there are too many, the one that was written longest ago goes.
#[derive(Debug)]
struct Recent<V> {
    rows_max: usize,
    next: u64,
    rows: HashMap<u64, (u64, V)>,
    by_age: BTreeMap<u64, u64>,
}

impl<V: Default> Recent<V> {
    fn new(rows_max: usize) -> Self {
        Self {
            rows_max,
            next: 0,
            rows: HashMap::new(),
            by_age: BTreeMap::new(),
        }
    }

    fn find(&self, key: u64) -> Option<&V> {
        self.rows.get(&key).map(|(_, row)| row)
    }

    fn find_mut(&mut self, key: u64) -> Option<&mut V> {
        self.rows.get_mut(&key).map(|(_, row)| row)
    }

    /// The row to write to; it is the youngest then.
    fn row(&mut self, key: u64) -> &mut V {
        let age = self.next;
        self.next += 1;
        if let Some((old, _)) = self.rows.get(&key) {
            self.by_age.remove(old);
        } else if self.rows.len() >= self.rows_max
            && let Some((_, oldest)) = self.by_age.pop_first()
        {
            self.rows.remove(&oldest);
        }
        self.by_age.insert(age, key);
        let row = self.rows.entry(key).or_default();
        row.0 = age;
        &mut row.1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start() -> UtcTime {
        UtcTime::from_unix_s(1_793_781_000)
    }

    fn at(seconds: u64) -> UtcTime {
        start().plus(Duration::from_secs(seconds))
    }

    fn from(address: &str) -> Origin {
        Origin::Network(address.parse().unwrap())
    }

    fn login(name: &str) -> LoginName {
        name.parse().unwrap()
    }

    fn pace() -> LoginPace {
        LoginPace::new(Arc::default())
    }

    fn wait_s(pace: &LoginPace, now: UtcTime, address: &str, name: &str) -> Option<u64> {
        pace.admit(now, from(address), &login(name))
            .ok()
            .map(|admitted| admitted.wait.as_secs())
    }

    #[test]
    fn pauses_double_and_end() {
        let pauses: Vec<u64> = (4..=12).map(|n| pause(n, 5).as_secs()).collect();
        assert_eq!(pauses, [0, 0, 1, 2, 4, 8, 16, 30, 30]);
        assert_eq!(pause(u32::MAX, 0), PAUSE_LONGEST);
    }

    #[test]
    fn an_address_that_guesses_gets_one_attempt_at_a_time_and_is_forgotten() {
        let pace = pace();
        for n in 0..8 {
            pace.failed(
                at(0),
                from("192.0.2.1"),
                Some(&login(&format!("kisi{n}@ornekas"))),
            );
        }
        // Three too many: the pause is 4 s; those who come together queue up, and the last is sent away.
        let asked = |now| wait_s(&pace, now, "192.0.2.1", "baska@ornekas");
        let queue: Vec<_> = (0..9).map(|_| asked(at(0))).collect();
        assert_eq!(
            queue[..8],
            [4, 8, 12, 16, 20, 24, 28, 32].map(|s| (s <= 30).then_some(s))
        );
        assert_eq!(queue[8], None);
        // Others are not concerned; the rest of the network of one subscriber is.
        assert_eq!(wait_s(&pace, at(0), "192.0.2.2", "baska@ornekas"), Some(0));
        let later = at(FORGOTTEN_AFTER.as_secs() + 1);
        assert_eq!(wait_s(&pace, later, "192.0.2.1", "baska@ornekas"), Some(0));
        for n in 0..8 {
            let address = format!("2001:db8:0:1::{n}");
            pace.failed(at(0), from(&address), None);
        }
        assert_eq!(
            wait_s(&pace, at(0), "2001:db8:0:1:ffff::9", "baska@ornekas"),
            Some(4)
        );
        assert_eq!(wait_s(&pace, at(0), "2001:db8:0:2::1", "baska@ornekas"), Some(0));
    }

    #[test]
    fn refused_certificates_slow_their_address_and_no_login() {
        let pace = pace();
        for _ in 0..8 {
            pace.failed(at(0), from("192.0.2.1"), None);
        }
        let unnamed = |address: &str| {
            let admitted = pace.admit_unnamed(at(0), from(address)).ok();
            admitted.map(|admitted| admitted.wait.as_secs())
        };
        assert_eq!((unnamed("192.0.2.1"), unnamed("192.0.2.2")), (Some(4), Some(0)));
        assert_eq!(wait_s(&pace, at(0), "192.0.2.2", "ayse@ornekas"), Some(0));
        assert_eq!(pace.failures(), 8);
    }

    #[test]
    fn a_login_attacked_from_everywhere_waits_one_pause_and_its_owner_none() {
        let pace = pace();
        pace.succeeded(from("198.51.100.7"), &login("ayse@ornekas"));
        for n in 0..5000 {
            let address = format!("10.0.{}.{}", n / 250, n % 250);
            pace.failed(at(n / 100), from(&address), Some(&login("ayse@ornekas")));
        }
        assert_eq!(wait_s(&pace, at(50), "203.0.113.1", "AYSE@ornekas"), Some(29));
        assert_eq!(wait_s(&pace, at(80), "203.0.113.1", "ayse@ornekas"), Some(0));
        assert_eq!(wait_s(&pace, at(50), "198.51.100.7", "ayse@ornekas"), Some(0));
        assert_eq!(wait_s(&pace, at(50), "198.51.100.7", "mudur@ornekas"), Some(0));
        assert_eq!(pace.failures(), 5000);
    }

    #[test]
    fn who_shares_an_address_with_its_owner_does_not_guess_freely_and_cannot_shut_him_out() {
        let pace = pace();
        pace.succeeded(from("198.51.100.7"), &login("ayse@ornekas"));
        for n in 0..100 {
            let wait = wait_s(&pace, at(0), "198.51.100.7", "ayse@ornekas");
            assert_eq!(wait == Some(0), n < KNOWN_FAILURES_MAX, "{n}");
            assert!(wait.is_some_and(|s| s <= 30), "{n}");
            pace.failed(at(0), from("198.51.100.7"), Some(&login("ayse@ornekas")));
        }
        pace.succeeded(from("198.51.100.7"), &login("ayse@ornekas"));
        assert_eq!(wait_s(&pace, at(0), "198.51.100.7", "ayse@ornekas"), Some(0));
    }

    #[test]
    fn who_is_near_is_spared() {
        let trusted = Trusted(vec!["192.0.2.0/24".parse().unwrap()]);
        let pace = LoginPace::new(Arc::new(trusted));
        for near in [from("127.0.0.1"), from("::1"), from("192.0.2.9"), Origin::Inside] {
            for _ in 0..100 {
                pace.failed(at(0), near, Some(&login("ayse@ornekas")));
            }
            let admitted = pace.admit(at(0), near, &login("ayse@ornekas")).unwrap();
            assert_eq!(admitted.wait, Duration::ZERO, "{near:?}");
        }
        // Nor do their failures slow anybody else.
        assert_eq!(wait_s(&pace, at(0), "203.0.113.1", "ayse@ornekas"), Some(0));
    }

    #[test]
    fn a_clock_put_back_shuts_nobody_out() {
        let pace = pace();
        for _ in 0..20 {
            pace.failed(at(100_000), from("192.0.2.1"), Some(&login("ayse@ornekas")));
        }
        assert_eq!(wait_s(&pace, at(0), "192.0.2.1", "ayse@ornekas"), Some(0));
        pace.failed(at(0), from("192.0.2.1"), Some(&login("ayse@ornekas")));
        assert_eq!(wait_s(&pace, at(0), "192.0.2.1", "ayse@ornekas"), Some(30));
    }

    #[test]
    fn those_who_wait_are_counted() {
        let pace = pace();
        for n in 0..10 {
            pace.failed(at(0), from(&format!("192.0.2.{n}")), Some(&login("ayse@ornekas")));
        }
        let ask = |n: usize| {
            let address = format!("10.0.{}.{}", n / 250, n % 250);
            pace.admit(at(0), from(&address), &login("ayse@ornekas"))
        };
        let mut waiting: Vec<_> = (0..WAITING_MAX).map(|n| ask(n).unwrap()).collect();
        assert!(waiting.iter().all(|a| !a.wait.is_zero()));
        assert_eq!(ask(WAITING_MAX).unwrap_err(), TooManyFailures);
        waiting.pop();
        assert!(ask(WAITING_MAX).is_ok());
    }

    #[test]
    fn tables_do_not_grow_and_the_oldest_goes() {
        let mut table: Recent<u32> = Recent::new(3);
        for key in [1, 2, 3, 1, 4, 5] {
            *table.row(key) += 1;
            assert!(table.rows.len() <= 3 && table.rows.len() == table.by_age.len());
        }
        assert_eq!(
            [1, 2, 3, 4, 5].map(|key| table.find(key).copied()),
            [Some(2), None, None, Some(1), Some(1)]
        );
    }
}
