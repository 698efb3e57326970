//! Fetches under way: each in a task of its own, one for a place and what is asked there, whoever waits for it.
//!
//! So a fetch comes to its end even where everybody who waited has given up, and what came, or that nothing came, is
//! remembered. A place that was silent is left alone whatever it would be asked: a responder that hangs for one
//! certificate hangs for all of them. How long a fetch takes at most is the transport's matter.

use super::cache::{Cache, Held, Key};
use super::{
    ASK_AGAIN_AFTER, Checked, FetchError, LEFT_ALONE, NO_TURN, Question, RevocationTransport, SILENT, Source,
    check,
};
use crate::clock::{Clock, UtcTime};
use crate::cms::crl::CRL_MAX_OCTETS;
use crate::cms::ocsp::{IdDigest, RESPONSE_MAX_OCTETS, Request};
use crate::seal::tsa::NonceSource;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// Most fetches under way, those that wait for their turn included: the authorities of a country, and every card of a rush
/// of logins.
const FLIGHTS_MAX: usize = 256;
/// Most places remembered for their silence.
const SILENT_MAX: usize = 1024;

/// The fetches under way, and what is remembered of those that ended.
pub(super) struct Flights {
    transport: Arc<dyn RevocationTransport>,
    nonces: Arc<dyn NonceSource>,
    clock: Arc<dyn Clock>,
    cache: Mutex<Cache>,
    under_way: Mutex<UnderWay>,
}

#[derive(Default)]
struct UnderWay {
    flights: HashMap<Key, watch::Receiver<Landing>>,
    /// Until when a place is left alone.
    silent: HashMap<String, UtcTime>,
}

/// What a flight brought, once it has ended.
type Landing = Option<Result<Checked, String>>;

/// One fetch, in its own task.
struct Flight {
    all: Arc<Flights>,
    key: Key,
    question: Question,
    source: Source,
    /// What is known already, should nothing come.
    known: Option<Checked>,
}

impl Flights {
    pub fn new(
        transport: Arc<dyn RevocationTransport>,
        nonces: Arc<dyn NonceSource>,
        clock: Arc<dyn Clock>,
        cache_octets: usize,
    ) -> Self {
        Self {
            transport,
            nonces,
            clock,
            cache: Mutex::new(Cache::new(cache_octets)),
            under_way: Mutex::default(),
        }
    }

    pub fn held(&self, key: &Key, now: UtcTime) -> Option<Held> {
        self.cache().held(key, now)
    }

    /// What a place says, by a flight of this question or one that is under way.
    pub async fn bring(
        self: &Arc<Self>,
        question: &Question,
        source: Source,
        url: &str,
        known: Option<Checked>,
    ) -> Result<Checked, String> {
        let (mut landing, is_joined) = self.board(question, source, url, known)?;
        let landed = landing.wait_for(Option::is_some).await;
        let landed = landed.map_err(|_| "the fetch broke off".to_owned())?.clone();
        let checked = landed.unwrap_or_else(|| Err("the fetch broke off".to_owned()))?;
        if is_joined && source == Source::Crl {
            // It was checked for another certificate of that place, perhaps of another issuer of the same name.
            return check(source, question, checked.octets, self.clock.now(), None).await;
        }
        Ok(checked)
    }

    /// The flight to wait for, and whether somebody else had started it.
    fn board(
        self: &Arc<Self>,
        question: &Question,
        source: Source,
        url: &str,
        known: Option<Checked>,
    ) -> Result<(watch::Receiver<Landing>, bool), String> {
        let key = question.key(source, url);
        let mut under_way = self.under_way();
        let now = self.clock.now();
        if under_way.silent.get(url).is_some_and(|until| now < *until) {
            return Err(format!("{SILENT}, lately"));
        }
        if let Some(landing) = under_way.flights.get(&key) {
            return Ok((landing.clone(), true));
        }
        if under_way.flights.len() >= FLIGHTS_MAX {
            return Err(NO_TURN.to_owned());
        }
        let (landed, landing) = watch::channel(None);
        under_way.flights.insert(key.clone(), landing.clone());
        let flight = Flight {
            all: self.clone(),
            key,
            question: question.clone(),
            source,
            known,
        };
        tokio::spawn(flight.fly(landed));
        Ok((landing, false))
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn under_way(&self) -> MutexGuard<'_, UnderWay> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Flight {
    async fn fly(self, landed: watch::Sender<Landing>) {
        let outcome = self.go().await;
        // Remembered before it has ended: who comes between the two finds one or the other.
        self.remember(&outcome);
        drop(self);
        let _ = landed.send(Some(outcome));
    }

    async fn go(&self) -> Result<Checked, String> {
        let Flights { transport, clock, .. } = &*self.all;
        let (url, question) = (self.key.url.as_str(), &self.question);
        let (fetched, nonce) = match self.source {
            Source::Crl => (transport.fetch(url, CRL_MAX_OCTETS).await, None),
            Source::Ocsp => {
                let nonce = self.all.nonces.nonce().ok_or("no chance for a nonce")?;
                let request = Request {
                    certificate: &question.certificate,
                    issuer: &question.issuer,
                    digest: IdDigest::Sha1,
                    nonce: Some(&nonce),
                };
                let asked = transport.ask(url, request.der(), RESPONSE_MAX_OCTETS).await;
                (asked, Some(nonce))
            }
        };
        let octets: Arc<[u8]> = fetched.map_err(|FetchError(why)| why)?.into();
        let nonce = nonce.map(|n| n.to_vec());
        check(self.source, question, octets, clock.now(), nonce).await
    }

    fn remember(&self, outcome: &Result<Checked, String>) {
        let now = self.all.clock.now();
        if matches!(outcome, Err(why) if why == SILENT) {
            self.all.under_way().fell_silent(&self.key.url, now);
        }
        match (outcome, &self.known) {
            // Nobody was asked, so nothing was learnt.
            (Err(why), _) if why == NO_TURN => {}
            // The place is left alone as if it had said again what is known.
            (Ok(checked), _) | (Err(_), Some(checked)) => {
                let until = checked.to.max(now.plus(ASK_AGAIN_AFTER));
                let octets = checked.octets.clone();
                self.all.cache().keep(self.key.clone(), octets, now, until);
            }
            (Err(why), None) => {
                let until = now.plus(LEFT_ALONE);
                self.all
                    .cache()
                    .keep_nothing(self.key.clone(), why.clone(), until);
            }
        }
    }
}

/// However it ends, it is under way no more.
impl Drop for Flight {
    fn drop(&mut self) {
        self.all.under_way().flights.remove(&self.key);
    }
}

impl UnderWay {
    fn fell_silent(&mut self, url: &str, now: UtcTime) {
        self.silent.retain(|_, until| now < *until);
        if self.silent.len() < SILENT_MAX {
            self.silent.insert(url.to_owned(), now.plus(LEFT_ALONE));
        }
    }
}
