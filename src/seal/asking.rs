//! Asking while somebody waits: how far certificates may be relied on, by what their authorities say now.
//!
//! The values are collected by `revocation`; here it is seen to that nobody waits long and that asking again costs nothing.
//! A path that is good by values that hold for the next minute is good for that minute, at any moment up to its end: what
//! was revoked at an earlier moment would be revoked at the later one, too. Where nothing came, nobody is asked again for a
//! minute. Who is revoked is not remembered: he may be released from hold, and is rare.
//!
//! No grace: it is for persons' signatures, whose last word is waited for elsewhere.

use super::reliance::{Reliance, Relied, reliance};
use super::revocation::{Collected, Collector};
use super::trust::TrustStore;
use crate::clock::{Clock, UtcTime};
use crate::cms::revocation::{self, Doubt, RevocationValues, Standing, ValueSlices};
use crate::cms::{Certificate, RevocationShelf, without_names};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;

/// For how long an answer serves others who ask the same.
const REMEMBERED: Duration = Duration::from_secs(60);
/// Most paths remembered: those of all providers and their authorities are some dozens.
const REMEMBERED_MAX: usize = 4096;
/// Most paths of one certificate that are asked about: who was signed crosswise has two or three.
const PATHS_MAX: usize = 3;
/// Questions at the same time. Others wait their turn, within the time they have.
const AT_ONCE_MAX: usize = 16;

/// Asks; one for the whole house, for the memory is in it.
pub struct Asker {
    collector: Arc<Collector>,
    clock: Arc<dyn Clock>,
    turns: Semaphore,
    remembered: Mutex<HashMap<PathKey, Remembered>>,
}

impl std::fmt::Debug for Asker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Asker")
    }
}

/// The fingerprints of a path.
type PathKey = Vec<[u8; 32]>;

#[derive(Debug, Clone)]
struct Remembered {
    until: UtcTime,
    /// Good at every moment up to `until`; or nothing came, and so it is in doubt.
    answer: Result<(), Doubt>,
}

/// What was said of one path.
struct Told {
    reliance: Reliance,
    to_remember: Option<Result<(), Doubt>>,
}

impl Asker {
    pub fn new(collector: Arc<Collector>, clock: Arc<dyn Clock>) -> Self {
        Self {
            collector,
            clock,
            turns: Semaphore::new(AT_ONCE_MAX),
            remembered: Mutex::default(),
        }
    }

    /// How far a certificate may be relied on at its moment. Of several paths the best counts. What is not answered within
    /// `wait` is not known.
    pub async fn reliance(&self, trust: &TrustStore, relied: &Relied, wait: Duration) -> Reliance {
        let Relied {
            leaf,
            along,
            at,
            purpose,
            ..
        } = relied;
        let unknown = || Reliance::Unknown(Doubt::NoValue(leaf.subject()));
        let Ok(paths) = trust.paths(leaf, along, *at, *purpose, PATHS_MAX) else {
            return unknown();
        };
        let deadline = self.clock.now().plus(wait);
        let mut best = None;
        for path in &paths {
            let answer = self.of_path(path, *at, deadline).await;
            let is_good = matches!(answer, Reliance::Valid { .. } | Reliance::NobodyToAsk);
            let is_better = is_good
                || best.is_none()
                || matches!(
                    (&best, &answer),
                    (Some(Reliance::Revoked(_)), Reliance::Unknown(_))
                );
            if is_better {
                best = Some(answer);
            }
            if is_good {
                break;
            }
        }
        best.unwrap_or_else(unknown)
    }

    /// Everything that is known now of the certificates that documents rely on, for a judgement by these values.
    pub async fn gather(&self, trust: &TrustStore, relied: &[Relied], wait: Duration) -> RevocationShelf {
        let deadline = self.clock.now().plus(wait);
        // What is good at the latest moment is good at earlier ones: each path is asked about once.
        let mut questions: HashMap<PathKey, (Vec<Certificate>, UtcTime)> = HashMap::new();
        for r in relied {
            let paths = trust.paths(&r.leaf, &r.along, r.at, r.purpose, PATHS_MAX);
            for path in paths.unwrap_or_default() {
                if questions.len() < REMEMBERED_MAX && revocation::names_a_place(&path) {
                    let latest = questions.entry(key_of(&path)).or_insert((path, r.at));
                    latest.1 = latest.1.max(r.at);
                }
            }
        }
        let mut shelf = RevocationShelf::default();
        for (path, at) in questions.into_values() {
            let Some(collected) = self.collect(&path, at, deadline).await else {
                break;
            };
            shelf.add_all(&RevocationShelf::of(&collected.values));
        }
        shelf
    }

    async fn of_path(&self, path: &[Certificate], at: UtcTime, deadline: UtcTime) -> Reliance {
        if !revocation::names_a_place(path) {
            return Reliance::NobodyToAsk;
        }
        let key = key_of(path);
        if let Some(known) = self.known(&key, at) {
            return known;
        }
        let collected = self.collect(path, at, deadline).await;
        let ends = self.clock.now().plus(REMEMBERED);
        let Some(collected) = collected else {
            // Somebody else may have been answered meanwhile.
            if let Some(known) = self.known(&key, at) {
                return known;
            }
            let doubt = Doubt::NoValue(path.first().map(Certificate::subject).unwrap_or_default());
            self.remember(key, ends, Err(doubt.clone()));
            return Reliance::Unknown(doubt);
        };
        let (path, values) = (path.to_vec(), collected.values);
        // A long list is megabytes to hash.
        let judging = tokio::task::spawn_blocking(move || tell(&path, at, ends, &values));
        let Ok(told) = judging.await else {
            // The thread that judged is gone: nothing is known.
            return Reliance::Unknown(Doubt::NoValue(String::new()));
        };
        if let Some(answer) = told.to_remember {
            self.remember(key, ends, answer);
        }
        told.reliance
    }

    /// None when the time was over.
    async fn collect(&self, path: &[Certificate], at: UtcTime, deadline: UtcTime) -> Option<Collected> {
        let collecting = async {
            let _turn = self.turns.acquire().await.ok()?;
            Some(self.collector.collect(path, at, Duration::ZERO).await)
        };
        let collected = tokio::select! {
            collected = collecting => collected,
            () = self.clock.wait_until(deadline) => None,
        };
        for failure in collected.iter().flat_map(|c| &c.failures) {
            let failure = without_names(failure);
            tracing::debug!(%failure, "asking about a revocation");
        }
        collected
    }

    fn known(&self, key: &PathKey, at: UtcTime) -> Option<Reliance> {
        let now = self.clock.now();
        let remembered = self.remembered();
        let known = remembered.get(key).filter(|known| now < known.until)?;
        match &known.answer {
            Ok(()) if at <= known.until => Some(Reliance::Valid {
                at,
                revoked_later: None,
            }),
            Ok(()) => None,
            Err(doubt) => Some(Reliance::Unknown(doubt.clone())),
        }
    }

    fn remember(&self, key: PathKey, until: UtcTime, answer: Result<(), Doubt>) {
        let now = self.clock.now();
        let mut remembered = self.remembered();
        if remembered.len() >= REMEMBERED_MAX {
            remembered.retain(|_, known| now < known.until);
        }
        if remembered.len() < REMEMBERED_MAX {
            remembered.insert(key, Remembered { until, answer });
        }
    }

    fn remembered(&self) -> std::sync::MutexGuard<'_, HashMap<PathKey, Remembered>> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key_of(path: &[Certificate]) -> PathKey {
    path.iter().map(Certificate::fingerprint).collect()
}

/// Judges at `at`, and whether it is good up to `ends`.
fn tell(path: &[Certificate], at: UtcTime, ends: UtcTime, values: &RevocationValues) -> Told {
    let slices = ValueSlices::of(values);
    let judge = |at| revocation::judge_slices(path, at, &slices, Duration::ZERO);
    let reliance = reliance(path, judge(at), &slices);
    let to_remember = match &reliance {
        Reliance::Valid {
            revoked_later: None, ..
        } => matches!(judge(ends), Standing::ValidAt(_)).then_some(Ok(())),
        Reliance::Unknown(doubt) if values.is_empty() => Some(Err(doubt.clone())),
        _ => None,
    };
    Told {
        reliance,
        to_remember,
    }
}
