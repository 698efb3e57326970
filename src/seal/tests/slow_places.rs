//! Places that let us wait: who else is held up by them, and what is remembered of them.

use super::asking::{WAIT, relied, valid};
use super::revocation::{CRL_URL, OCSP_URL, ROOT_URL, Scene, Shelf, scene};
use super::*;
use crate::clock::Clock as _;
use crate::cms::testing::{List, Plan, Reply, crl_at, ocsp_at};
use crate::seal::asking::Asker;
use crate::seal::reliance::{Basis, Reliance, Relied};
use crate::seal::revocation::{Collector, FetchError, Fetching, RevocationTransport, Settings};
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::task::{JoinHandle, yield_now};

/// How long the transport waits for an answer to begin.
const LIMIT: Duration = Duration::from_secs(4);

/// What becomes of a question.
#[derive(Clone, Copy)]
enum Place {
    Answers,
    /// Until the transport gives up.
    Hangs,
    /// The same, and then it answers all the same.
    IsSlow,
    /// The transport does not go there.
    TurnsAway,
}

struct Slow {
    shelf: Arc<Shelf>,
    clock: Arc<ManualClock>,
    kind: fn(&str) -> Place,
    ended: AtomicUsize,
}

impl RevocationTransport for Slow {
    fn fetch<'a>(&'a self, url: &'a str, max_octets: usize) -> Fetching<'a> {
        let answer = self.shelf.fetch(url, max_octets);
        Box::pin(async move {
            let kind = (self.kind)(url);
            if matches!(kind, Place::Hangs | Place::IsSlow) {
                self.clock.wait_until(self.clock.now().plus(LIMIT)).await;
            }
            let answer = answer.await;
            self.ended.fetch_add(1, Ordering::Relaxed);
            match kind {
                Place::Answers | Place::IsSlow => answer,
                Place::Hangs => Err(FetchError::silent()),
                Place::TurnsAway => Err(FetchError::no_turn()),
            }
        })
    }

    fn ask<'a>(&'a self, url: &'a str, _: Vec<u8>, max_octets: usize) -> Fetching<'a> {
        self.fetch(url, max_octets)
    }
}

/// A house that asks over such a transport.
struct Town {
    scene: Scene,
    slow: Arc<Slow>,
    asker: Asker,
}

fn town(kind: fn(&str) -> Place) -> Town {
    let scene = scene();
    let slow = Arc::new(Slow {
        shelf: scene.shelf.clone(),
        clock: scene.clock.clone(),
        kind,
        ended: AtomicUsize::new(0),
    });
    let (nonces, clock) = (Arc::new(SystemNonces), scene.clock.clone());
    let collector = Collector::new(slow.clone(), nonces, clock.clone(), Settings::default());
    let asker = Asker::new(Arc::new(collector), clock);
    scene
        .shelf
        .put(CRL_URL, List::of(&scene.middle, "05-31", "06-30").der());
    Town { scene, slow, asker }
}

impl Town {
    fn ask(&self, relied: &Relied, wait: Duration) -> JoinHandle<Reliance> {
        let (asker, trust, relied) = (self.asker.clone(), self.scene.trust(), relied.clone());
        tokio::spawn(async move { asker.reliance(&trust, &relied, wait).await })
    }

    /// Waits until a place is asked; it must be this one.
    async fn until_asked(&self, url: &str) {
        loop {
            let asked = self.scene.shelf.asked();
            if !asked.is_empty() {
                assert_eq!(asked, [url]);
                return;
            }
            yield_now().await;
        }
    }

    async fn until_ended(&self, count: usize) {
        while self.slow.ended.load(Ordering::Relaxed) < count {
            yield_now().await;
        }
    }

    fn asked(&self) -> Vec<String> {
        self.scene.shelf.asked()
    }
}

fn is_unknown(said: &Reliance) -> bool {
    matches!(said, Reliance::Unknown(why) if why.to_string().contains("nothing is known"))
}

/// Others of the same authority as the scene's leaf.
fn sibling(scene: &Scene, plan: Plan) -> Relied {
    Relied {
        leaf: plan.by(&scene.middle).certificate,
        ..relied(scene, "06-01")
    }
}

#[tokio::test]
async fn a_silent_place_is_left_alone_though_nobody_waited_for_its_end() {
    let town = town(|url| {
        if url == OCSP_URL {
            Place::Hangs
        } else {
            Place::Answers
        }
    });
    let leaf = relied(&town.scene, "06-01");
    let asking = town.ask(&leaf, LIMIT / 2);
    town.until_asked(OCSP_URL).await;
    town.scene.clock.advance(LIMIT / 2);
    assert!(is_unknown(&asking.await.unwrap()));
    // The fetch went on, and ends.
    town.scene.clock.advance(LIMIT / 2);
    town.until_ended(1).await;
    // That the time was over is not remembered; that the place is silent is, whoever is asked about there.
    assert_eq!(town.ask(&leaf, WAIT).await.unwrap(), valid("06-01"));
    assert_eq!(town.asked(), [CRL_URL, ROOT_URL]);
    let other = Plan::leaf("Other").with(ocsp_at(OCSP_URL)).with(crl_at(CRL_URL));
    let other = sibling(&town.scene, other);
    assert_eq!(town.ask(&other, WAIT).await.unwrap(), valid("06-01"));
    assert_eq!(town.asked(), Vec::<String>::new());
    // After a minute it is tried again.
    town.scene.clock.advance(Duration::from_secs(61));
    let asking = town.ask(&leaf, WAIT);
    town.until_asked(OCSP_URL).await;
    town.scene.clock.advance(LIMIT);
    assert_eq!(asking.await.unwrap(), valid("06-01"));
}

#[tokio::test]
async fn nobody_waits_longer_than_he_said_and_after_a_whole_look_the_next_one_not_at_all() {
    let town = town(|_| Place::Hangs);
    let leaf = relied(&town.scene, "06-01");
    let first = town.ask(&leaf, WAIT);
    town.until_asked(OCSP_URL).await;
    town.scene.clock.advance(LIMIT);
    town.until_asked(CRL_URL).await;
    town.scene.clock.advance(WAIT - LIMIT);
    assert!(is_unknown(&first.await.unwrap()));
    // The second waits for the fetch that the first began, and then asks on.
    let second = town.ask(&leaf, WAIT * 4);
    town.scene.clock.advance(LIMIT);
    town.until_asked(ROOT_URL).await;
    town.scene.clock.advance(LIMIT);
    let said = second.await.unwrap();
    assert!(is_unknown(&said));
    assert_eq!(town.ask(&leaf, WAIT).await.unwrap(), said);
    assert_eq!(town.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn a_place_is_asked_once_for_all_who_want_the_same() {
    let town = town(|url| {
        if url == CRL_URL {
            Place::IsSlow
        } else {
            Place::Answers
        }
    });
    let members = ["A", "B", "C"].map(|name| sibling(&town.scene, Plan::leaf(name).with(crl_at(CRL_URL))));
    let asking: Vec<_> = members.iter().map(|m| town.ask(m, WAIT)).collect();
    town.until_asked(CRL_URL).await;
    // All of them stand in line before it answers: they are as far as they come.
    for _ in 0..1000 {
        yield_now().await;
    }
    town.scene.clock.advance(LIMIT);
    for said in asking {
        assert_eq!(said.await.unwrap(), valid("06-01"));
    }
    let asked = town.asked();
    assert!(!asked.contains(&CRL_URL.to_owned()), "{asked:?}");
}

#[tokio::test]
async fn who_was_turned_away_may_come_back_at_once() {
    let town = town(|_| Place::TurnsAway);
    let leaf = relied(&town.scene, "06-01");
    for _ in 0..2 {
        assert!(is_unknown(&town.ask(&leaf, WAIT).await.unwrap()));
        assert_eq!(town.asked(), [OCSP_URL, CRL_URL, ROOT_URL]);
    }
}

#[tokio::test]
async fn in_a_gathering_a_slow_place_takes_no_time_from_others_and_what_is_learnt_is_remembered() {
    let town = town(|url| {
        if url.contains("slow") {
            Place::Hangs
        } else {
            Place::Answers
        }
    });
    let (scene, trust) = (&town.scene, town.scene.trust());
    let hanging = Plan::leaf("Hanging").with(crl_at("http://slow.test/a.crl"));
    let both = [sibling(scene, hanging), relied(scene, "06-01")];
    scene.shelf.put(OCSP_URL, scene.good("06-01", "06-02"));
    let gathering = {
        let (asker, trust, both) = (town.asker.clone(), trust.clone(), both.clone());
        tokio::spawn(async move { asker.gather(&trust, &both, WAIT / 2).await })
    };
    // The two meet the authority's own list, so three places are asked.
    let mut asked = Vec::new();
    while asked.len() < 3 {
        asked.extend(town.asked());
        yield_now().await;
    }
    // Values of the good one are judged on another thread.
    while town.asker.remembered_count() == 0 {
        yield_now().await;
    }
    town.scene.clock.advance(WAIT / 2);
    let shelf = gathering.await.unwrap();
    let judged = |relied: &Relied| {
        let used = super::super::reliance::Use {
            leaf: &relied.leaf,
            along: &[],
            at: relied.at,
            purpose: relied.purpose,
            proof: relied.proof,
        };
        let basis = Basis::known(&trust, &shelf);
        basis.rely(used, &Default::default()).unwrap().reliance
    };
    assert_eq!(judged(&both[1]), valid("06-01"));
    assert!(matches!(judged(&both[0]), Reliance::Unknown(_)));
    // The good one is good for a minute, and nobody need be asked.
    scene.shelf.put(
        OCSP_URL,
        Reply::good(&scene.leaf, &scene.middle, "01-01", "01-02").der(),
    );
    assert_eq!(town.ask(&both[1], WAIT).await.unwrap(), valid("06-01"));
    assert_eq!(town.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn who_has_no_time_left_is_told_what_lies_ready() {
    let town = town(|_| Place::Answers);
    let first = relied(&town.scene, "06-01");
    assert_eq!(town.ask(&first, Duration::ZERO).await.unwrap(), valid("06-01"));
}
