//! Asking while somebody waits: how far certificates may be relied on, by what their authorities say now.
//!
//! The values are collected by `revocation`; here it is seen to that nobody waits long and that asking again costs nothing.
//! A path that is good by values that hold for the next minute is good for that minute, at any moment up to its end: what
//! was revoked at an earlier moment would be revoked at the later one, too. Where every place was asked and nothing came,
//! nobody is asked again for a minute; that the time was over before says nothing, and the fetches go on without us, so that
//! the next one finds what they brought. Who is revoked is not remembered: he may be released from hold, and is rare.
//!
//! No grace: it is for persons' signatures, whose last word is waited for elsewhere.

use super::reliance::{Reliance, Relied, reliance};
use super::revocation::{Collected, Collector};
use super::trust::TrustStore;
use crate::clock::{Clock, UtcTime};
use crate::cms::revocation::{self, Doubt, Standing, ValueSlices};
use crate::cms::{Certificate, RevocationShelf, without_names};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::{JoinSet, spawn_blocking};

/// For how long an answer serves others who ask the same.
const REMEMBERED: Duration = Duration::from_secs(60);
/// Most paths remembered: those of all providers and their authorities are some dozens.
const REMEMBERED_MAX: usize = 4096;
/// Most paths of one certificate that are asked about: who was signed crosswise has two or three.
const PATHS_MAX: usize = 3;
/// Questions at the same time. Others wait their turn, within the time they have.
const AT_ONCE_MAX: usize = 32;
/// Of those, how many one gathering puts side by side: a mail with many certificates leaves room for logins.
const GATHERED_AT_ONCE_MAX: usize = 4;
/// Everybody may wait so long, whatever is left of his time: an earlier certificate of the same mail may have used it up, and
/// what lies ready is had in less.
const WAIT_LEAST: Duration = Duration::from_secs(1);

/// Asks; one for the whole house, for the memory is in it, and is shared by its copies.
#[derive(Clone)]
pub struct Asker {
    collector: Arc<Collector>,
    clock: Arc<dyn Clock>,
    turns: Arc<Semaphore>,
    remembered: Arc<Mutex<HashMap<PathKey, Remembered>>>,
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
    /// The values it rests on.
    shelf: RevocationShelf,
}

impl Told {
    fn only(reliance: Reliance) -> Self {
        Self {
            reliance,
            to_remember: None,
            shelf: RevocationShelf::default(),
        }
    }
}

/// A path, and the latest moment at which it matters.
type PathAt = (Vec<Certificate>, UtcTime);

impl Asker {
    pub fn new(collector: Arc<Collector>, clock: Arc<dyn Clock>) -> Self {
        Self {
            collector,
            clock,
            turns: Arc::new(Semaphore::new(AT_ONCE_MAX)),
            remembered: Arc::default(),
        }
    }

    /// How far a certificate may be relied on at its moment. Of several paths the best counts. What is not answered within
    /// `wait` is not known.
    pub async fn reliance(&self, trust: &TrustStore, relied: &Relied, wait: Duration) -> Reliance {
        let unknown = || Reliance::Unknown(Doubt::NoValue(relied.leaf.subject()));
        let deadline = self.clock.now().plus(wait.max(WAIT_LEAST));
        let (store, sought) = (trust.clone(), relied.clone());
        // Hostile certificates can make the search long.
        let Ok(paths) = spawn_blocking(move || paths_of(&store, &sought)).await else {
            return unknown();
        };
        let mut best = None;
        for path in &paths {
            let answer = self.of_path(path, relied.at, deadline).await;
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

    /// Everything that is known now of the certificates that documents rely on, for a judgement by these values. They are
    /// asked about side by side, so that a slow place takes no time from others.
    pub async fn gather(&self, trust: &TrustStore, relied: &[Relied], wait: Duration) -> RevocationShelf {
        let deadline = self.clock.now().plus(wait.max(WAIT_LEAST));
        let (store, sought) = (trust.clone(), relied.to_vec());
        let questions = spawn_blocking(move || questions(&store, &sought)).await;
        let mut questions = questions.unwrap_or_default().into_iter();
        let (mut asking, mut shelves) = (JoinSet::new(), Vec::new());
        let ask = |asking: &mut JoinSet<RevocationShelf>, (path, at): PathAt| {
            let asker = self.clone();
            asking.spawn(async move { asker.values_of(&path, at, deadline).await });
        };
        for question in questions.by_ref().take(GATHERED_AT_ONCE_MAX) {
            ask(&mut asking, question);
        }
        while let Some(shelf) = asking.join_next().await {
            shelves.extend(shelf);
            if let Some(question) = questions.next() {
                ask(&mut asking, question);
            }
        }
        let all = spawn_blocking(move || {
            let mut all = RevocationShelf::default();
            for shelf in &shelves {
                all.add_all(shelf);
            }
            all
        });
        all.await.unwrap_or_default()
    }

    async fn values_of(&self, path: &[Certificate], at: UtcTime, deadline: UtcTime) -> RevocationShelf {
        match self.known(&key_of(path), at) {
            // There were none a moment ago.
            Some(Reliance::Unknown(_)) => RevocationShelf::default(),
            _ => self.ask(path, at, deadline).await.shelf,
        }
    }

    async fn of_path(&self, path: &[Certificate], at: UtcTime, deadline: UtcTime) -> Reliance {
        if !revocation::names_a_place(path) {
            return Reliance::NobodyToAsk;
        }
        match self.known(&key_of(path), at) {
            Some(known) => known,
            None => self.ask(path, at, deadline).await.reliance,
        }
    }

    /// Asks, and remembers what was said.
    async fn ask(&self, path: &[Certificate], at: UtcTime, deadline: UtcTime) -> Told {
        let key = key_of(path);
        let collected = self.collect(path, at, deadline).await;
        let ends = self.clock.now().plus(REMEMBERED);
        let Some(collected) = collected else {
            // Somebody else may have been answered meanwhile. If not, that is not remembered: nobody said anything yet.
            let unknown = || {
                Reliance::Unknown(Doubt::NoValue(
                    path.first().map(Certificate::subject).unwrap_or_default(),
                ))
            };
            return Told::only(self.known(&key, at).unwrap_or_else(unknown));
        };
        let path = path.to_vec();
        // A long list is megabytes to hash.
        let Ok(told) = spawn_blocking(move || tell(&path, at, ends, &collected)).await else {
            // The thread that judged is gone: nothing is known.
            return Told::only(Reliance::Unknown(Doubt::NoValue(String::new())));
        };
        if let Some(answer) = &told.to_remember {
            self.remember(key, ends, answer.clone());
        }
        told
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

    #[cfg(test)]
    pub(super) fn remembered_count(&self) -> usize {
        self.remembered().len()
    }

    fn remembered(&self) -> std::sync::MutexGuard<'_, HashMap<PathKey, Remembered>> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key_of(path: &[Certificate]) -> PathKey {
    path.iter().map(Certificate::fingerprint).collect()
}

fn paths_of(trust: &TrustStore, relied: &Relied) -> Vec<Vec<Certificate>> {
    let Relied {
        leaf,
        along,
        at,
        purpose,
        ..
    } = relied;
    trust
        .paths(leaf, along, *at, *purpose, PATHS_MAX)
        .unwrap_or_default()
}

/// The paths that somebody can be asked about. What is good at the latest moment is good at earlier ones: each is asked about
/// once.
fn questions(trust: &TrustStore, relied: &[Relied]) -> Vec<PathAt> {
    let mut questions: HashMap<PathKey, PathAt> = HashMap::new();
    for r in relied {
        for path in paths_of(trust, r) {
            if questions.len() < REMEMBERED_MAX && revocation::names_a_place(&path) {
                let latest = questions.entry(key_of(&path)).or_insert((path, r.at));
                latest.1 = latest.1.max(r.at);
            }
        }
    }
    questions.into_values().collect()
}

/// Judges at `at`, and whether it is good up to `ends`.
fn tell(path: &[Certificate], at: UtcTime, ends: UtcTime, collected: &Collected) -> Told {
    let values = &collected.values;
    let slices = ValueSlices::of(values);
    let judge = |at| revocation::judge_slices(path, at, &slices, Duration::ZERO);
    let reliance = reliance(path, judge(at), &slices);
    let to_remember = match &reliance {
        Reliance::Valid {
            revoked_later: None, ..
        } => matches!(judge(ends), Standing::ValidAt(_)).then_some(Ok(())),
        Reliance::Unknown(doubt) if values.is_empty() && !collected.turned_away => Some(Err(doubt.clone())),
        _ => None,
    };
    Told {
        reliance,
        to_remember,
        shelf: RevocationShelf::of(values),
    }
}
