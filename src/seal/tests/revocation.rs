//! Collecting revocation values: what is asked, what is believed, what is remembered; and the judgement of the trust store.

use super::*;
use crate::cms::revocation::{RevocationReason, RevocationValues, Standing};
use crate::cms::testing::{List, Party, Plan, Reply, at, crl_at, no_check, ocsp_at};
use crate::cms::{PathError, Purpose};
use crate::seal::revocation::{
    Collected, Collector, FETCHES_MAX, FetchError, Fetching, RevocationTransport, Settings, Source,
};
use std::collections::HashMap;
use std::sync::Mutex;

pub(super) const CRL_URL: &str = "http://pki.test/middle.crl";
pub(super) const ROOT_URL: &str = "http://pki.test/root.crl";
pub(super) const OCSP_URL: &str = "http://ocsp.pki.test/";

/// Answers by URL, and what was asked.
#[derive(Default)]
pub(super) struct Shelf {
    answers: Mutex<HashMap<String, Vec<u8>>>,
    asked: Mutex<Vec<String>>,
}

impl Shelf {
    pub(super) fn put(&self, url: &str, octets: Vec<u8>) {
        self.answers.lock().unwrap().insert(url.to_owned(), octets);
    }

    pub(super) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }

    fn take(&self, url: &str) -> Fetching<'static> {
        self.asked.lock().unwrap().push(url.to_owned());
        let answer = self.answers.lock().unwrap().get(url).cloned();
        let answer = answer.ok_or_else(|| FetchError("it answered 404 Not Found".to_owned()));
        Box::pin(std::future::ready(answer))
    }
}

impl RevocationTransport for Shelf {
    fn fetch<'a>(&'a self, url: &'a str, _: usize) -> Fetching<'a> {
        self.take(url)
    }

    fn ask<'a>(&'a self, url: &'a str, _: Vec<u8>, _: usize) -> Fetching<'a> {
        self.take(url)
    }
}

pub(super) struct Scene {
    pub root: Party,
    pub middle: Party,
    pub leaf: Party,
    pub shelf: Arc<Shelf>,
    pub clock: Arc<ManualClock>,
    pub collector: Arc<Collector>,
}

pub(super) fn scene_with(settings: Settings) -> Scene {
    let root = Plan::authority("Root").self_signed();
    let middle = Plan::authority("Middle").with(crl_at(ROOT_URL)).by(&root);
    let leaf = Plan::leaf("Signer")
        .with(crl_at(CRL_URL))
        .with(ocsp_at(OCSP_URL))
        .by(&middle);
    let shelf = Arc::new(Shelf::default());
    let clock = Arc::new(ManualClock::at(at("06-01")));
    let collector = Collector::new(shelf.clone(), Arc::new(SystemNonces), clock.clone(), settings);
    let collector = Arc::new(collector);
    shelf.put(ROOT_URL, List::of(&root, "01-01", "12-31").der());
    Scene {
        root,
        middle,
        leaf,
        shelf,
        clock,
        collector,
    }
}

pub(super) fn scene() -> Scene {
    scene_with(Settings::default())
}

impl Scene {
    pub(super) fn trust(&self) -> TrustStore {
        let mut trust = TrustStore::new();
        trust.add_anchor(self.root.certificate.clone());
        trust.add_intermediate(self.middle.certificate.clone());
        trust
    }

    async fn collect(&self, t: &str, grace: Duration) -> Collected {
        let path = self
            .trust()
            .path(&self.leaf.certificate, &[], at(t), Purpose::Signing)
            .unwrap();
        self.collector.collect(&path, at(t), grace).await
    }

    fn judge(&self, t: &str, values: &RevocationValues) -> Standing {
        let judged = self.trust().judge(
            &self.leaf.certificate,
            &[],
            at(t),
            Purpose::Signing,
            values,
            Duration::ZERO,
        );
        judged.unwrap().standing
    }

    pub(super) fn good(&self, from: &str, to: &str) -> Vec<u8> {
        Reply::good(&self.leaf, &self.middle, from, to).der()
    }
}

pub(super) const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn ocsp_first_and_lists_where_it_does_not_answer() {
    let scene = scene();
    scene.shelf.put(OCSP_URL, scene.good("06-01", "06-02"));
    let collected = scene.collect("06-01", Duration::ZERO).await;
    assert_eq!(scene.shelf.asked(), [OCSP_URL, ROOT_URL]);
    assert_eq!(collected.failures, Vec::<String>::new());
    assert_eq!(
        scene.judge("06-01", &collected.values),
        Standing::ValidAt(at("06-01"))
    );

    let scene = self::scene();
    scene
        .shelf
        .put(CRL_URL, List::of(&scene.middle, "05-30", "06-05").der());
    let collected = scene.collect("06-01", Duration::ZERO).await;
    assert_eq!(scene.shelf.asked(), [OCSP_URL, CRL_URL, ROOT_URL]);
    assert_eq!(
        collected.failures,
        ["http://ocsp.pki.test/: it answered 404 Not Found"]
    );
    assert_eq!(
        scene.judge("06-01", &collected.values),
        Standing::ValidAt(at("06-01"))
    );
}

#[tokio::test]
async fn the_order_is_a_setting() {
    let order = |order: Vec<Source>, all| {
        let scene = scene_with(Settings {
            order,
            all,
            ..Settings::default()
        });
        scene.shelf.put(OCSP_URL, scene.good("06-01", "06-02"));
        scene
            .shelf
            .put(CRL_URL, List::of(&scene.middle, "05-30", "06-05").der());
        scene
    };
    let asked = async |scene: Scene| {
        scene.collect("06-01", Duration::ZERO).await;
        scene.shelf.asked()
    };
    let crl_first = order(vec![Source::Crl, Source::Ocsp], false);
    assert_eq!(asked(crl_first).await, [CRL_URL, ROOT_URL]);
    assert_eq!(
        asked(order(vec![Source::Ocsp], false)).await,
        [OCSP_URL],
        "Middle names no responder"
    );
    let both = order(vec![Source::Ocsp, Source::Crl], true);
    assert_eq!(asked(both).await, [OCSP_URL, CRL_URL, ROOT_URL]);
}

#[tokio::test]
async fn answers_are_remembered_while_they_run_and_silence_for_a_minute() {
    let scene = scene();
    scene
        .shelf
        .put(CRL_URL, List::of(&scene.middle, "05-30", "06-05").der());
    scene.collect("06-01", Duration::ZERO).await;
    assert_eq!(scene.shelf.asked().len(), 3);
    scene.collect("06-01", Duration::ZERO).await;
    assert_eq!(scene.shelf.asked(), Vec::<String>::new());
    scene.clock.advance(Duration::from_secs(61));
    scene.collect("06-01", Duration::ZERO).await;
    assert_eq!(scene.shelf.asked(), [OCSP_URL]);
    // A list that cannot be the last word yet is asked for again, though its time still runs.
    scene.clock.advance(HOUR);
    scene.collect("06-01", HOUR).await;
    assert_eq!(scene.shelf.asked(), [OCSP_URL, CRL_URL]);
    // And when its time is over.
    scene.clock.advance(HOUR * 24 * 5);
    scene.collect("06-05", Duration::ZERO).await;
    assert_eq!(scene.shelf.asked(), [OCSP_URL, CRL_URL]);
}

/// Without nextUpdate an answer speaks of its own moment only, so it serves nobody who signs after it.
#[tokio::test]
async fn a_fresh_answer_does_not_serve_for_what_is_signed_after_it() {
    let scene = scene();
    let put = |t: &str| {
        let mut reply = Reply::good(&scene.leaf, &scene.middle, t, t);
        reply.to = None;
        scene.shelf.put(OCSP_URL, reply.der());
    };
    put("06-01");
    scene.collect("06-01", Duration::ZERO).await;
    assert_eq!(scene.shelf.asked(), [OCSP_URL, ROOT_URL]);
    scene.clock.advance(Duration::from_secs(60 * 60));
    put("06-01T01:00");
    scene.collect("06-01T01:00", Duration::ZERO).await;
    scene.shelf.asked();
    // Half a minute later, about what was signed in between.
    scene.clock.advance(Duration::from_secs(30));
    let signed_at = at("06-01T01:00").plus(Duration::from_secs(20));
    let reply = Reply {
        from: signed_at.plus(Duration::from_secs(10)),
        to: None,
        ..Reply::good(&scene.leaf, &scene.middle, "06-01", "06-01")
    };
    scene.shelf.put(OCSP_URL, reply.der());
    let path = scene
        .trust()
        .path(&scene.leaf.certificate, &[], signed_at, Purpose::Signing)
        .unwrap();
    let collected = scene.collector.collect(&path, signed_at, Duration::ZERO).await;
    assert_eq!(scene.shelf.asked(), [OCSP_URL]);
    let standing = crate::cms::revocation::judge(&path, signed_at, &collected.values, Duration::ZERO);
    assert_eq!(standing, Standing::ValidAt(signed_at));
    // About what is older than the last look, and what cannot be final yet, nobody is asked again.
    scene.collector.collect(&path, signed_at, Duration::ZERO).await;
    assert_eq!(scene.shelf.asked(), Vec::<String>::new());
    scene.collector.collect(&path, signed_at, HOUR).await;
    assert_eq!(
        scene.shelf.asked(),
        [CRL_URL],
        "the other place, which was not asked yet"
    );
}

#[tokio::test]
async fn what_is_known_is_kept_when_the_place_falls_silent() {
    let scene = scene_with(Settings {
        order: vec![Source::Crl],
        ..Settings::default()
    });
    scene
        .shelf
        .put(CRL_URL, List::of(&scene.middle, "05-30", "06-05").der());
    scene.collect("06-01", HOUR).await;
    scene.shelf.asked();
    // A newer list would be wanted; there is none, and the one at hand is given again, and not asked for again at once.
    scene.shelf.answers.lock().unwrap().remove(CRL_URL);
    scene.clock.advance(HOUR);
    let collected = scene.collect("06-01", HOUR).await;
    assert_eq!(scene.shelf.asked(), [CRL_URL]);
    assert_eq!((collected.values.crls.len(), collected.failures.len()), (2, 1));
    let collected = scene.collect("06-01", HOUR).await;
    assert_eq!(scene.shelf.asked(), Vec::<String>::new());
    assert_eq!(collected.values.crls.len(), 2);
    // Collecting may be done by any task.
    fn any_task<T: Send>(future: T) -> T {
        future
    }
    any_task(scene.collector.collect(&[], at("06-01"), HOUR)).await;
}

#[tokio::test]
async fn what_is_not_signed_by_whom_it_should_be_is_not_kept() {
    let scene = scene();
    let stranger = Plan::authority("Middle").self_signed();
    scene
        .shelf
        .put(CRL_URL, List::of(&stranger, "05-30", "06-05").der());
    scene.shelf.put(OCSP_URL, scene.good("07-01", "07-02"));
    let collected = scene.collect("06-01", Duration::ZERO).await;
    assert_eq!(collected.values.crls.len(), 1, "the root's");
    assert!(collected.values.ocsp.is_empty());
    let [future, forged] = &collected.failures[..] else {
        panic!("{:?}", collected.failures)
    };
    assert!(future.contains("it is of 2026-07-01T00:00:00Z"), "{future}");
    assert!(
        forged.contains("the signature on the revocation list of 'CN=Middle' does not verify"),
        "{forged}"
    );
}

#[tokio::test]
async fn a_delegate_without_nocheck_is_asked_about_too() {
    let scene = scene();
    let desk_url = "http://pki.test/desk.crl";
    let desk = Plan::responder("Desk").with(crl_at(desk_url)).by(&scene.middle);
    let reply = Reply::good(&scene.leaf, &scene.middle, "06-01", "06-02").by(&desk);
    scene.shelf.put(OCSP_URL, reply.der());
    scene
        .shelf
        .put(desk_url, List::of(&scene.middle, "05-30", "06-05").der());
    let collected = scene.collect("06-01", Duration::ZERO).await;
    assert_eq!(scene.shelf.asked(), [OCSP_URL, CRL_URL, ROOT_URL, desk_url]);
    assert_eq!(
        scene.judge("06-01", &collected.values),
        Standing::ValidAt(at("06-01"))
    );
    // With nocheck nobody else is asked.
    let scene = self::scene();
    let desk = Plan::responder("Desk").with(no_check()).by(&scene.middle);
    let reply = Reply::good(&scene.leaf, &scene.middle, "06-01", "06-02").by(&desk);
    scene.shelf.put(OCSP_URL, reply.der());
    scene.collect("06-01", Duration::ZERO).await;
    assert_eq!(scene.shelf.asked(), [OCSP_URL, ROOT_URL]);
}

#[tokio::test]
async fn the_number_of_fetches_is_bounded() {
    let scene = scene();
    let point = |n: usize| format!("http://pki.test/{n}.crl");
    // Each certificate names eight places, and none answers.
    let mut path = vec![scene.root.clone()];
    for n in 0..6 {
        let mut plan = Plan::authority(&format!("A{n}"));
        plan.extensions
            .push(many_points((0..8).map(|p| point(8 * n + p))));
        path.push(plan.by(path.last().unwrap()));
    }
    let path: Vec<_> = path.iter().rev().map(|p| p.certificate.clone()).collect();
    let collected = scene.collector.collect(&path, at("06-01"), Duration::ZERO).await;
    assert_eq!(scene.shelf.asked().len(), FETCHES_MAX);
    assert_eq!(collected.failures.len(), 48);
}

fn many_points(urls: impl Iterator<Item = String>) -> Vec<u8> {
    use crate::cms::testing::distribution_point;
    use crate::cms::{der, extension};
    let points: Vec<Vec<u8>> = urls.map(|u| der::sequence(&[&distribution_point(&u)])).collect();
    let value = der::sequence(&points.iter().map(Vec::as_slice).collect::<Vec<_>>());
    extension::write(extension::CRL_DISTRIBUTION_POINTS, false, &value)
}

#[test]
fn of_two_paths_the_one_that_was_valid_counts() {
    let scene = scene();
    let other_root = Plan::authority("Other Root").self_signed();
    let crossed = Plan::authority("Middle").keyed(&scene.middle.key).by(&other_root);
    let mut trust = scene.trust();
    trust.add_anchor(other_root.certificate.clone());
    trust.add_intermediate(crossed.certificate.clone());
    let leaf_list = List::of(&scene.middle, "05-30", "06-05").der();
    let ended = List::of(&scene.root, "05-30", "06-05")
        .revoking(&scene.middle, "05-20", RevocationReason::CessationOfOperation)
        .der();
    let judge = |trust: &TrustStore, crls: Vec<Vec<u8>>| {
        let values = RevocationValues {
            crls,
            ..RevocationValues::default()
        };
        trust
            .judge(
                &scene.leaf.certificate,
                &[],
                at("06-01"),
                Purpose::Signing,
                &values,
                Duration::ZERO,
            )
            .unwrap()
    };
    let revoked = Standing::RevokedSince {
        subject: "CN=Middle".to_owned(),
        at: at("05-20"),
        reason: RevocationReason::CessationOfOperation,
    };
    let one = judge(&scene.trust(), vec![leaf_list.clone(), ended.clone()]);
    assert_eq!(one.standing, revoked);
    // The other way is not known to be closed, and then known to be open.
    let unknown = judge(&trust, vec![ended.clone()]);
    assert!(
        matches!(unknown.standing, Standing::Unknown { .. }),
        "{unknown:?}"
    );
    assert_eq!(unknown.path.last(), Some(&other_root.certificate));
    let other_quiet = List::of(&other_root, "05-30", "06-05").der();
    let valid = judge(&trust, vec![leaf_list, ended, other_quiet]);
    assert_eq!(valid.standing, Standing::ValidAt(at("06-01")));
    assert_eq!(valid.path.last(), Some(&other_root.certificate));
}

#[test]
fn without_a_path_there_is_no_standing() {
    let scene = scene();
    let mut trust = TrustStore::new();
    trust.add_anchor(scene.root.certificate.clone());
    let judged = trust.judge(
        &scene.leaf.certificate,
        &[],
        at("06-01"),
        Purpose::Signing,
        &RevocationValues::default(),
        Duration::ZERO,
    );
    assert_eq!(
        judged,
        Err(PathError::MissingIssuer {
            subject: "CN=Signer".to_owned(),
            issuer: "CN=Middle".to_owned()
        })
    );
    // A policy that is asked for must be stated.
    let mut trust = scene.trust();
    trust.add_policy(vec![0x60, 1]);
    assert!(
        trust
            .check(&scene.leaf.certificate, &[], at("06-01"), Purpose::Signing)
            .is_err()
    );
}
