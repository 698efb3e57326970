//! Collecting revocation values for a path: from the places that its certificates name, over a transport that somebody else
//! provides.
//!
//! No socket is opened here. What comes is believed nothing: a value is kept only when it is signed by whom it should be and
//! speaks of the certificate asked about; how the path then stands is judged by `cms::revocation`, here or in twenty years.
//! The number of fetches for one path is bounded, answers are remembered until their time is over (`cache`), and so are, for
//! a minute, places that had none. Each fetch is a task of its own (`flights`): who asked may give up, it goes on. Values that came with a signature are not looked at here.

mod cache;
mod flights;

use super::tsa::NonceSource;
use crate::clock::{Clock, UtcTime};
use crate::cms::crl::{Crl, CrlError};
use crate::cms::ocsp::{OcspError, Response, Signer};
use crate::cms::revocation::{RevocationValues, is_never_revoked};
use crate::cms::{Certificate, extension, locations};
use cache::{Held, Key};
use flights::Flights;
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// Most fetches for one path: seven certificates with two places each, and a responder or two.
pub const FETCHES_MAX: usize = 16;
/// Most questions for one path: its certificates, and the responders that answered for them.
const QUESTIONS_MAX: usize = 16;
/// How far an answer may come from the future: clocks differ.
const TOLERANCE: Duration = Duration::from_secs(300);
/// After how long a place is asked again though its last answer still runs, when that answer is not the last word.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(60);
/// For how long a place without an answer is left alone.
const LEFT_ALONE: Duration = Duration::from_secs(60);
/// The wait of the Turkish signature profiles with lists, P2 and P3 (decision 2012/DK-15/299): up to 24 hours.
pub const GRACE_DEFAULT: Duration = Duration::from_secs(24 * 3600);
const SILENT: &str = "no answer in time";
const NO_TURN: &str = "not asked, for too many are asking";
/// Octets that the lists and responses remembered may have together.
pub const CACHE_OCTETS_DEFAULT: usize = 64 * 1024 * 1024;

/// Nothing came from a place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FetchError(pub String);

impl FetchError {
    /// A place that was gone to and said nothing, or not all of it, in time.
    pub fn silent() -> Self {
        Self(SILENT.to_owned())
    }

    /// It was not gone to, for too many others were asking.
    pub fn no_turn() -> Self {
        Self(NO_TURN.to_owned())
    }
}

/// The answer of a transport.
pub type Fetching<'a> = Pin<Box<dyn Future<Output = Result<Vec<u8>, FetchError>> + Send + 'a>>;

/// Brings what lies at a URL. The URL comes from a foreign certificate: the transport decides whether it goes there.
pub trait RevocationTransport: Send + Sync {
    /// GET, for lists.
    fn fetch<'a>(&'a self, url: &'a str, max_octets: usize) -> Fetching<'a>;
    /// POST of an OCSP request (RFC 6960 A.1).
    fn ask<'a>(&'a self, url: &'a str, request_der: Vec<u8>, max_octets: usize) -> Fetching<'a>;
}

/// Where revocation is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    Ocsp,
    Crl,
}

/// What may differ between providers.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Asked in this order, until one has an answer that is the last word; all of them when `all` is set.
    pub order: Vec<Source>,
    pub all: bool,
    /// How long after a signature what is issued is the last word on its signer (see `cms::revocation`).
    pub grace: Duration,
    pub cache_octets: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            order: vec![Source::Ocsp, Source::Crl],
            all: false,
            grace: GRACE_DEFAULT,
            cache_octets: CACHE_OCTETS_DEFAULT,
        }
    }
}

/// What was found, and what was not.
#[derive(Debug, Clone, Default)]
pub struct Collected {
    pub values: RevocationValues,
    /// Place and reason, for the log.
    pub failures: Vec<String>,
    /// A place was not asked at all, for too many are asking: what is missing may be had in a moment.
    pub turned_away: bool,
}

/// Collects; one for the whole house, for the memory is in it.
pub struct Collector {
    clock: Arc<dyn Clock>,
    settings: Settings,
    flights: Arc<Flights>,
}

impl std::fmt::Debug for Collector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Collector")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// One certificate to be asked about.
#[derive(Clone)]
struct Question {
    certificate: Certificate,
    issuer: Certificate,
    /// What is issued from then on is the last word about it.
    final_from: UtcTime,
    /// Whether a value whose time holds that moment is one, too.
    window_counts: bool,
    sources: Vec<Source>,
}

/// One collection under way.
struct Round {
    fetches_left: usize,
    out: Collected,
    /// Responders whose own standing must be known.
    more: VecDeque<Question>,
}

/// What an answer, once checked, is good for.
#[derive(Clone)]
struct Checked {
    octets: Arc<[u8]>,
    from: UtcTime,
    to: UtcTime,
    /// A delegate that signed it and may be revoked.
    delegate: Option<Certificate>,
}

impl Collector {
    pub fn new(
        transport: Arc<dyn RevocationTransport>,
        nonces: Arc<dyn NonceSource>,
        clock: Arc<dyn Clock>,
        settings: Settings,
    ) -> Self {
        let flights = Flights::new(transport, nonces, clock.clone(), settings.cache_octets);
        Self {
            clock,
            settings,
            flights: Arc::new(flights),
        }
    }

    /// The grace that is set, to collect and to judge with.
    pub fn grace(&self) -> Duration {
        self.settings.grace
    }

    /// Values by which the standing of `path` (leaf first, anchor last) at `at` can be judged. What is to be had now is
    /// brought; whether that is enough, the judgement says. With `grace` it may have to be asked for again later.
    pub async fn collect(&self, path: &[Certificate], at: UtcTime, grace: Duration) -> Collected {
        let mut round = Round {
            fetches_left: FETCHES_MAX,
            out: Collected::default(),
            more: VecDeque::new(),
        };
        for (i, pair) in path.windows(2).enumerate() {
            let [certificate, issuer] = pair else { continue };
            if is_never_revoked(certificate) {
                continue;
            }
            let grace = if i == 0 { grace } else { Duration::ZERO };
            round.more.push_back(Question {
                certificate: certificate.clone(),
                issuer: issuer.clone(),
                final_from: at.plus(grace),
                window_counts: grace.is_zero(),
                sources: self.settings.order.clone(),
            });
        }
        for _ in 0..QUESTIONS_MAX {
            let Some(question) = round.more.pop_front() else {
                break;
            };
            self.answer(&question, &mut round).await;
        }
        round.out
    }

    async fn answer(&self, question: &Question, round: &mut Round) {
        let mut asked = false;
        for source in &question.sources {
            let urls = match source {
                Source::Ocsp => locations::ocsp_urls(&question.certificate),
                Source::Crl => locations::crl_urls(&question.certificate),
            };
            for url in urls {
                asked = true;
                match self.one(question, *source, &url, round).await {
                    Err(why) => {
                        round.out.turned_away |= why == NO_TURN;
                        round.out.failures.push(format!("{url}: {why}"));
                    }
                    Ok(checked) => {
                        let is_final = question.is_final(&checked);
                        round.take(question, *source, checked);
                        if is_final && !self.settings.all {
                            return;
                        }
                        break;
                    }
                }
            }
        }
        if !asked {
            // Its number and not its name: this goes to the log.
            let serial: String = question
                .certificate
                .serial()
                .iter()
                .map(|o| format!("{o:02x}"))
                .collect();
            let why = format!("the certificate {serial} names no place to ask");
            round.out.failures.push(why);
        }
    }

    /// An answer from one place, remembered or fetched.
    async fn one(
        &self,
        question: &Question,
        source: Source,
        url: &str,
        round: &mut Round,
    ) -> Result<Checked, String> {
        let now = self.clock.now();
        let key = question.key(source, url);
        let held = self.flights.held(&key, now);
        let known = match held {
            Some(Held::Nothing(why)) => return Err(why),
            Some(Held::Value { octets, fetched_at }) => {
                // What is remembered was checked, but perhaps for another issuer of the same name.
                let checked = check(source, question, octets, now, None).await.ok();
                // What is issued now may be the last word on what was signed since the last look; on what is final only later
                // nothing that is issued now is.
                let helps = fetched_at < question.final_from && question.final_from <= now;
                let is_fresh = fetched_at.plus(ASK_AGAIN_AFTER) > now && !helps;
                match checked {
                    Some(checked) if is_fresh || question.is_final(&checked) => return Ok(checked),
                    known => known,
                }
            }
            None => None,
        };
        if round.fetches_left == 0 {
            return Err(format!("not asked, after {FETCHES_MAX} others"));
        }
        round.fetches_left -= 1;
        match (
            self.flights.bring(question, source, url, known.clone()).await,
            known,
        ) {
            (Ok(checked), _) => Ok(checked),
            // What is known already is better than nothing.
            (Err(why), Some(known)) => {
                round.out.failures.push(format!("{url}: {why}"));
                Ok(known)
            }
            (Err(why), None) => Err(why),
        }
    }
}

impl Question {
    /// A list is the same for all certificates of a place, a response is not.
    fn key(&self, source: Source, url: &str) -> Key {
        let about =
            (source == Source::Ocsp).then(|| (self.certificate.fingerprint(), self.issuer.fingerprint()));
        Key {
            url: url.to_owned(),
            about,
        }
    }

    /// Whether nothing more need be asked. The word of a delegate who may be revoked may turn out to be worth nothing.
    fn is_final(&self, checked: &Checked) -> bool {
        if checked.delegate.is_some() {
            return false;
        }
        let holds = checked.from <= self.final_from && self.final_from <= checked.to;
        checked.from >= self.final_from || (self.window_counts && holds)
    }
}

impl Round {
    fn take(&mut self, question: &Question, source: Source, checked: Checked) {
        let octets = checked.octets.to_vec();
        let mut values = RevocationValues::default();
        match source {
            Source::Crl => values.crls.push(octets),
            Source::Ocsp => values.ocsp.push(octets),
        }
        self.out.values.add_all(values);
        if let Some(delegate) = checked.delegate {
            // RFC 6960 4.2.2.2.1; that another delegate says so would not do, so lists come first.
            self.more.push_back(Question {
                certificate: delegate,
                issuer: question.issuer.clone(),
                final_from: checked.from,
                window_counts: true,
                sources: vec![Source::Crl, Source::Ocsp],
            });
        }
    }
}

/// Checks on a blocking thread: a long list is megabytes to hash.
async fn check(
    source: Source,
    question: &Question,
    octets: Arc<[u8]>,
    now: UtcTime,
    nonce: Option<Vec<u8>>,
) -> Result<Checked, String> {
    let (certificate, issuer) = (question.certificate.clone(), question.issuer.clone());
    let checked = tokio::task::spawn_blocking(move || match source {
        Source::Crl => check_list(&octets, &certificate, &issuer)
            .map_err(|e| e.to_string())
            .map(|(from, to)| (octets, from, to, None)),
        Source::Ocsp => check_response(&octets, &certificate, &issuer, nonce.as_deref())
            .map_err(|e| e.to_string())
            .map(|(from, to, delegate)| (octets, from, to, delegate)),
    });
    let (octets, from, to, delegate) = checked.await.map_err(|e| e.to_string())??;
    if from > now.plus(TOLERANCE) {
        return Err(format!("it is of {from}, and now is {now}"));
    }
    Ok(Checked {
        octets,
        from,
        to,
        delegate,
    })
}

fn check_list(
    octets: &[u8],
    certificate: &Certificate,
    issuer: &Certificate,
) -> Result<(UtcTime, UtcTime), CrlError> {
    let crl = Crl::read(octets)?;
    crl.check_signed_by(issuer)?;
    crl.check_covers(certificate)?;
    Ok((crl.this_update, crl.next_update))
}

fn check_response(
    octets: &[u8],
    certificate: &Certificate,
    issuer: &Certificate,
    nonce: Option<&[u8]>,
) -> Result<(UtcTime, UtcTime, Option<Certificate>), OcspError> {
    let response = Response::read(octets)?;
    if let Some(sent) = nonce {
        // RFC 6960 4.4.1: without a nonce it is one made in advance; its dates say of when.
        response.check_nonce(sent)?;
    }
    let answer = response.answer_for(certificate, issuer)?;
    let delegate = match response.check_signed_for(issuer, &[])? {
        Signer::Delegate(c) if c.extension(extension::OCSP_NO_CHECK).is_none() => Some(c),
        Signer::Delegate(_) | Signer::Issuer => None,
    };
    let to = answer.next_update.unwrap_or(response.produced_at);
    Ok((answer.this_update, to, delegate))
}
