//! Several authorities: who fails is put aside and comes back; who lies is put aside for longer; whose clock is wrong.

use super::*;
use crate::clock::Clock as _;
use crate::cms::der;
use crate::cms::tsp;
use crate::seal::tsa::{
    Authorities, Authority, Exchange, Figures, StampFailure, Stamps, Terms, TransportError,
};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

/// What an authority does when it is asked.
#[derive(Clone, Copy, PartialEq)]
enum Does {
    Answer,
    /// Its clock is so many milliseconds ahead.
    AheadMs(i64),
    Away,
    Refuse,
    /// Nothing, for ever.
    Silent,
    /// A token over something else.
    OtherData,
    /// A token that somebody changed.
    Changed,
}

struct Played {
    authority: DevAuthority,
    clock: Arc<ManualClock>,
    does: Mutex<Does>,
    asked: AtomicU32,
}

impl Played {
    fn does(&self, what: Does) {
        *self.does.lock().unwrap() = what;
    }

    fn asked(&self) -> u32 {
        self.asked.swap(0, Ordering::SeqCst)
    }
}

/// The same authority behind an Arc, for the test to turn.
struct Line(Arc<Played>);

impl TimestampTransport for Line {
    fn exchange<'a>(&'a self, request_der: Vec<u8>) -> Exchange<'a> {
        self.0.asked.fetch_add(1, Ordering::SeqCst);
        let does = *self.0.does.lock().unwrap();
        let now = self.0.clock.now();
        let at = match does {
            Does::AheadMs(ms) => UtcTime::from_unix_ms(now.unix_ms() + ms),
            _ => now,
        };
        let answer = match does {
            Does::Away => Err(TransportError("no route".to_owned())),
            Does::Refuse => Ok(tsp::refused(tsp::Failure::SystemFailure, "kontör yok")),
            Does::Silent => return Box::pin(std::future::pending()),
            Does::OtherData => {
                let other = tsp::request(&crate::cms::ContentDigest::Sha256([0; 32]), &[1; 16], None, true);
                Ok(self.0.authority.answer(&other, at, 1))
            }
            Does::Changed => {
                let mut answer = self.0.authority.answer(&request_der, at, 1);
                *answer.last_mut().unwrap() ^= 1;
                Ok(answer)
            }
            Does::Answer | Does::AheadMs(_) => Ok(self.0.authority.answer(&request_der, at, 1)),
        };
        Box::pin(std::future::ready(answer))
    }
}

struct Panel {
    clock: Arc<ManualClock>,
    played: Vec<Arc<Played>>,
    all: Arc<Authorities>,
}

fn panel(count: usize) -> Panel {
    // Not a whole second, so that the stamps tell their milliseconds.
    let clock = Arc::new(ManualClock::at(now().plus(Duration::from_millis(500))));
    let mut played = Vec::new();
    let mut authorities = Vec::new();
    for n in 0..count {
        let pki = pki(KeyAlgorithm::P256);
        let mut trust = TrustStore::new();
        trust.add_pem_text(&pki.ca.certificate_pem).unwrap();
        let one = Arc::new(Played {
            authority: authority(&pki),
            clock: clock.clone(),
            does: Mutex::new(Does::Answer),
            asked: AtomicU32::new(0),
        });
        authorities.push(Authority {
            name: format!("http://tsa{n}.test/"),
            client: client(Line(one.clone()), &Arc::new(trust)),
        });
        played.push(one);
    }
    let terms = Terms {
        drift_max: Duration::from_secs(5),
        per_second: 0,
    };
    Panel {
        all: Arc::new(Authorities::new(clock.clone(), authorities, terms)),
        clock,
        played,
    }
}

impl Panel {
    async fn stamp(&self) -> Result<(), StampFailure> {
        self.all.stamp([9; 32].into(), now()).await.map(|_| ())
    }

    fn asked(&self) -> Vec<u32> {
        self.played.iter().map(|p| p.asked()).collect()
    }

    fn figures(&self) -> Figures {
        self.all.figures()
    }

    fn wait(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

#[tokio::test]
async fn who_fails_is_put_aside_for_longer_each_time_and_comes_back_by_one_probe() {
    let panel = panel(2);
    panel.stamp().await.unwrap();
    assert_eq!(panel.asked(), [1, 0]);
    for (does, aside_s) in [(Does::Away, 5), (Does::Refuse, 10), (Does::Away, 20)] {
        panel.played[0].does(does);
        // The next is asked at once, and the first no more.
        panel.stamp().await.unwrap();
        assert_eq!(panel.asked(), [1, 1]);
        panel.wait(aside_s - 1);
        panel.stamp().await.unwrap();
        assert_eq!(panel.asked(), [0, 1]);
        assert_eq!(panel.figures().aside, 1);
        panel.wait(1);
    }
    // One request tries whether it is back; the others do not wait for that.
    panel.played[0].does(Does::Silent);
    let all = panel.all.clone();
    let probe = tokio::spawn(async move { all.stamp([8; 32].into(), now()).await });
    while panel.played[0].asked.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    panel.stamp().await.unwrap();
    assert_eq!(panel.asked(), [1, 1]);
    // Its silence is given ten seconds; then its request goes to the other as well.
    panel.wait(10);
    probe.await.unwrap().unwrap();
    assert_eq!(panel.asked(), [0, 1]);
    panel.wait(40);
    panel.played[0].does(Does::Answer);
    panel.stamp().await.unwrap();
    panel.stamp().await.unwrap();
    assert_eq!(panel.asked(), [2, 0]);
    let figures = panel.figures();
    assert_eq!((figures.aside, figures.failures, figures.wrong), (0, 4, 0));
    // Forgiven: a new failure costs the shortest time again.
    panel.played[0].does(Does::Away);
    panel.stamp().await.unwrap();
    panel.wait(5);
    panel.asked();
    panel.stamp().await.unwrap();
    assert_eq!(panel.asked(), [1, 1]);
}

#[tokio::test]
async fn when_all_are_away_the_reason_is_told_and_somebody_is_still_asked() {
    let panel = panel(2);
    panel.played[0].does(Does::Away);
    panel.played[1].does(Does::Refuse);
    let failure = panel.stamp().await.unwrap_err();
    assert!(
        failure.is_temporary() && failure.to_string().contains("no route"),
        "{failure}"
    );
    panel.asked();
    // All are aside: whoever would be back first is asked all the same.
    panel.played[0].does(Does::Answer);
    panel.stamp().await.unwrap();
    assert_eq!(panel.asked(), [1, 0]);
    // Both silent: half a minute for all, and the stamp waits for a better time.
    panel.played[0].does(Does::Silent);
    panel.played[1].does(Does::Silent);
    panel.wait(600);
    let all = panel.all.clone();
    let stamp = tokio::spawn(async move { all.stamp([8; 32].into(), now()).await });
    for played in &panel.played {
        while played.asked.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        panel.wait(10);
    }
    let failure = stamp.await.unwrap().unwrap_err();
    assert!(
        failure.is_temporary() && failure.to_string().contains("no answer in time"),
        "{failure}"
    );
}

#[tokio::test]
async fn a_wrong_token_is_no_weather() {
    for does in [Does::OtherData, Does::Changed] {
        let panel = panel(2);
        panel.played[0].does(does);
        panel.stamp().await.unwrap();
        assert_eq!(panel.asked(), [1, 1]);
        panel.wait(299);
        panel.stamp().await.unwrap();
        assert_eq!(panel.asked(), [0, 1]);
        let figures = panel.figures();
        assert_eq!((figures.wrong, figures.failures, figures.aside), (1, 0, 1));
        // Nobody else there: sealing is broken, not late.
        panel.played[1].does(Does::Changed);
        assert!(!panel.stamp().await.unwrap_err().is_temporary());
        // Unless another was merely away.
        panel.wait(4 * 3600);
        panel.played[1].does(Does::Away);
        assert!(panel.stamp().await.unwrap_err().is_temporary());
    }
}

#[tokio::test]
async fn a_clock_that_drifts_is_told_of_and_one_that_is_wrong_stops_sealing() {
    let panel = panel(1);
    for (ahead_ms, drift_ms) in [
        (900, 900),
        (-900, -900),
        (1600, 1600),
        (-5000, -5000),
        (5000, 5000),
    ] {
        panel.played[0].does(Does::AheadMs(ahead_ms));
        panel.stamp().await.unwrap();
        let figures = panel.figures();
        assert_eq!((figures.drift_ms, figures.stopped), (drift_ms, false));
    }
    for ahead_ms in [5100, -5100, 299_000, 400_000, -86_400_000] {
        panel.played[0].does(Does::AheadMs(ahead_ms));
        assert_eq!(
            panel.stamp().await,
            Err(StampFailure::Clock { drift_ms: ahead_ms })
        );
        assert_eq!((panel.figures().stopped, panel.figures().aside), (true, 0));
    }
    assert!(StampFailure::Clock { drift_ms: 1 }.is_temporary());
    // The administrator sets the clock.
    panel.played[0].does(Does::Answer);
    panel.stamp().await.unwrap();
    assert_eq!((panel.figures().stopped, panel.figures().drift_ms), (false, 0));
    // Whole seconds stand for all of theirs: half a second behind is none.
    panel.played[0].does(Does::AheadMs(-500));
    panel.stamp().await.unwrap();
    assert_eq!(panel.figures().drift_ms, 0);
}

#[tokio::test]
async fn of_several_clocks_the_median_is_believed() {
    let panel = panel(3);
    // One is wrong, the next agrees with us: the first one's clock is wrong, and it is put aside.
    panel.played[0].does(Does::AheadMs(60_000));
    panel.stamp().await.unwrap();
    assert_eq!(panel.asked(), [1, 1, 0]);
    let figures = panel.figures();
    assert_eq!(
        (figures.wrong, figures.aside, figures.stopped, figures.drift_ms),
        (1, 1, false, 0)
    );
    // Two say that we are wrong, and only one agrees with us: nothing is sealed.
    panel.wait(600);
    panel.played[1].does(Does::AheadMs(61_000));
    assert_eq!(panel.stamp().await, Err(StampFailure::Clock { drift_ms: 60_000 }));
    assert_eq!(panel.asked(), [1, 1, 1]);
    assert!(panel.figures().stopped);
    // The one that is wrong alone is away: what is left is not enough to go on.
    panel.played[1].does(Does::Away);
    panel.played[2].does(Does::Away);
    assert!(matches!(panel.stamp().await, Err(StampFailure::Clock { .. })));
}

#[tokio::test]
async fn the_round_trip_is_allowed_for() {
    /// Takes a while, by the clock.
    struct Slow(Line, Duration);
    impl TimestampTransport for Slow {
        fn exchange<'a>(&'a self, request_der: Vec<u8>) -> Exchange<'a> {
            self.0.0.clock.advance(self.1);
            let answer = self.0.exchange(request_der);
            self.0.0.clock.advance(self.1);
            answer
        }
    }
    let clock = Arc::new(ManualClock::at(now().plus(Duration::from_millis(500))));
    let pki = pki(KeyAlgorithm::P256);
    let mut trust = TrustStore::new();
    trust.add_pem_text(&pki.ca.certificate_pem).unwrap();
    let played = Arc::new(Played {
        authority: authority(&pki),
        clock: clock.clone(),
        does: Mutex::new(Does::Answer),
        asked: AtomicU32::new(0),
    });
    let line = Slow(Line(played.clone()), Duration::from_millis(2100));
    let one = Authority {
        name: "http://slow.test/".to_owned(),
        client: client(line, &Arc::new(trust)),
    };
    let terms = Terms {
        drift_max: Duration::from_secs(5),
        per_second: 0,
    };
    let all = Authorities::new(clock, vec![one], terms);
    all.stamp([1; 32].into(), now()).await.unwrap();
    assert_eq!(all.figures().drift_ms, 0);
    played.does(Does::AheadMs(3100));
    all.stamp([1; 32].into(), now()).await.unwrap();
    assert_eq!(all.figures().drift_ms, 1000);
}

/// An authority that never sends its certificate, and refuses who asks for it.
struct Taciturn(Played);

impl TimestampTransport for Taciturn {
    fn exchange<'a>(&'a self, request_der: Vec<u8>) -> Exchange<'a> {
        self.0.asked.fetch_add(1, Ordering::SeqCst);
        let answer = match tsp::read_request(&request_der).unwrap().wants_certificates {
            true => {
                let words =
                    der::sequence(&[&der::tlv(der::UTF8_STRING, &["sertifika istenemez".as_bytes()])]);
                der::sequence(&[&der::sequence(&[&der::unsigned(&[2]), &words])])
            }
            false => self.0.authority.answer(&request_der, now(), 1),
        };
        Box::pin(std::future::ready(Ok(answer)))
    }
}

#[tokio::test]
async fn a_token_without_its_certificate_gets_it_from_the_trust_and_every_judge_takes_it() {
    let pki = pki(KeyAlgorithm::P256);
    let taciturn = || {
        Taciturn(Played {
            authority: authority(&pki),
            clock: Arc::new(ManualClock::at(now())),
            does: Mutex::new(Does::Answer),
            asked: AtomicU32::new(0),
        })
    };
    let mut trust = TrustStore::new();
    trust.add_pem_text(&pki.ca.certificate_pem).unwrap();
    let refused = client(taciturn(), &Arc::new(trust.clone()))
        .stamp([9; 32].into(), now())
        .await;
    assert!(refused.unwrap_err().to_string().contains("sertifika istenemez"));

    // Another authority's certificate does not help.
    let mut other = trust.clone();
    other
        .add_pem_text(&super::pki(KeyAlgorithm::P256).tsa.certificate_pem)
        .unwrap();
    assert!(
        client(taciturn(), &Arc::new(other))
            .stamp([9; 32].into(), now())
            .await
            .is_err()
    );

    trust.add_pem_text(&pki.tsa.certificate_pem).unwrap();
    let knowing = client(taciturn(), &Arc::new(trust.clone()));
    let stamp = knowing.stamp([9; 32].into(), now()).await.unwrap();
    let token = tsp::Token::read(&stamp.token_der).unwrap();
    assert_eq!(token.certificates, [pki.tsa.certificate().unwrap()]);

    // A house sealed by it is believed by who knows only the anchor.
    let transport = taciturn();
    let key = SealKey::from_pem(&pki.seal.key_pem).unwrap();
    let stamps = client(transport, &Arc::new(trust));
    let sealer = Sealer::new(key, vec![pki.seal.certificate().unwrap()], stamps).unwrap();
    let mut anchor = TrustStore::new();
    anchor.add_pem_text(&pki.ca.certificate_pem).unwrap();
    let house = House {
        pki: pki.clone(),
        trust: Arc::new(anchor),
        sealer,
    };
    super::judges::evidence_is_accepted_from(&house).await;
    super::judges::entity_is_accepted_from(&house).await;
}
