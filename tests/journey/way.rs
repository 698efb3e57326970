//! Mail on its way between two providers: repeated, refused for one of its recipients, unanswered, interrupted.

use crate::provider::{Provider, START, Wires};
use crate::road::{Pair, pair};
use crate::transfers::{ALICI, hand, held, sent, states};
use kepd::clock::{Clock, ManualClock};
use kepd::domain::evidence::{Event, EvidenceKind, Reason};
use kepd::domain::mail::RecipientState;
use kepd::domain::provider::Peer;
use kepd::domain::schedule::{RETRY_FIRST, RETRY_LONGEST};
use kepd::id::MailId;
use kepd::rem::evidence_read;
use kepd::service::octets::ContentReader;
use kepd::service::relay::{Carrier, Carrying, Fate, Outbound, Relay, queue_of};
use kepd::store::tables::work::{self, AwaitedRelay};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const ROAD: [(EvidenceKind, Event); 3] = [
    (EvidenceKind::SubmissionAcceptanceRejection, Event::Acceptance),
    (EvidenceKind::RelayREMMDAcceptanceRejection, Event::Acceptance),
    (EvidenceKind::DeliveryNonDeliveryToRecipient, Event::Delivery),
];

fn told(p: &Provider, tenant: &str, mail: MailId) -> Vec<(EvidenceKind, Event)> {
    p.archive
        .evidence_of(p.tenant(tenant), mail)
        .unwrap()
        .into_iter()
        .map(|row| (row.kind, row.event))
        .collect()
}

/// Carries as told, else straight to the other intake, recipient by recipient.
struct Told {
    to: Provider,
    from: Arc<ManualClock>,
    spool: Arc<kepd::store::spool::Spool>,
    script: Mutex<Vec<Turn>>,
    attempts: Mutex<Vec<i64>>,
}

#[derive(Clone, Copy, PartialEq)]
enum Turn {
    /// The peer cannot be reached.
    Away,
    /// The peer says 250 and forgets it.
    Lost,
    /// The peer takes it, and the connection ends before its 250.
    Unheard,
}

impl Carrier for Told {
    fn carry<'a>(&'a self, _: &'a Peer, message: &'a Outbound) -> Carrying<'a> {
        Box::pin(async move {
            self.attempts.lock().unwrap().push(self.from.now().unix_ms());
            let turn = self.script.lock().unwrap().pop();
            let all = |fate: Fate| vec![fate; message.recipients.len()];
            match turn {
                Some(Turn::Away) => return all(Fate::Later("away".into())),
                Some(Turn::Lost) => return all(Fate::Taken("250 lost".into())),
                _ => {}
            }
            let known: Vec<bool> = message
                .recipients
                .iter()
                .map(|r| self.to.intake.check_recipient(r).is_ok())
                .collect();
            let named = message.recipients.iter().zip(&known).filter(|(_, known)| **known);
            let named: Vec<&str> = named.map(|(r, _)| r.as_str()).collect();
            let octets = ContentReader::whole(&self.spool, &message.content)
                .collect()
                .await
                .unwrap();
            hand(&self.to, message.reverse_path.as_str(), &named, &octets)
                .await
                .unwrap();
            if turn == Some(Turn::Unheard) {
                return all(Fate::Later("connection lost".into()));
            }
            let fate = |known: &bool| match known {
                true => Fate::Taken("250".into()),
                false => Fate::UnknownRecipient("550 5.1.1".into()),
            };
            known.iter().map(fate).collect()
        })
    }
}

/// Lets hs01 carry by a script (the first turn first).
fn scripted(pair: &mut Pair, script: &[Turn]) -> Arc<Told> {
    let p = &pair.hs01;
    let told = Arc::new(Told {
        to: pair.hs02.clone(),
        from: pair.clock.clone(),
        spool: p.spool.clone(),
        script: Mutex::new(script.iter().rev().copied().collect()),
        attempts: Mutex::default(),
    });
    let old = &p.relay;
    pair.hs01.relay = Arc::new(Relay {
        db: old.db.clone(),
        clock: old.clock.clone(),
        ids: old.ids.clone(),
        organisations: old.organisations.clone(),
        identity: old.identity.clone(),
        carrier: told.clone(),
        bells: old.bells.clone(),
        busy: Default::default(),
    });
    told
}

/// Turns the clock to whatever hs01's queue waits for, until `until` or until nothing waits.
async fn run_queue(pair: &Pair, until: Duration) {
    let end = START.plus(until);
    loop {
        pair.work().await;
        let due = queue_of(&*pair.hs01.db, &"hs02.kep.test".parse().unwrap()).unwrap();
        let Some(next) = due.iter().map(|(at, _)| *at).min().filter(|at| *at <= end) else {
            break;
        };
        pair.clock.advance(pair.clock.now().until(next));
    }
}

#[tokio::test]
async fn a_dispatch_whose_250_was_not_heard_arrives_once() {
    let mut pair = pair().await;
    let told_to = scripted(&mut pair, &[Turn::Unheard, Turn::Unheard]);
    let mail = sent(&pair.hs01, &[ALICI], "Duyuru").await;
    // The peer's evidence overtakes our knowledge that it took the dispatch.
    run_queue(&pair, Duration::from_secs(3600)).await;
    assert_eq!(told_to.attempts.lock().unwrap().len(), 3);
    assert_eq!(told(&pair.hs01, "ornekas", mail), ROAD);
    assert_eq!(states(&pair.hs01, mail), [RecipientState::Consigned]);
    let there = held(&pair.hs02);
    assert_eq!((there.incoming, there.consignments, there.evidence), (1, 1, 2));
    // The relay evidence that came early is not awaited for ever, and its limit brings no failure.
    pair.clock.advance(Duration::from_secs(2 * 86_400));
    pair.work().await;
    assert!(work::all::<AwaitedRelay>(&*pair.hs01.db).unwrap().is_empty());
    assert!(
        !told(&pair.hs01, "ornekas", mail)
            .iter()
            .any(|(kind, _)| *kind == EvidenceKind::RelayREMMDFailure)
    );
}

#[tokio::test]
async fn each_recipient_has_a_fate_of_his_own() {
    let mut pair = pair().await;
    scripted(&mut pair, &[]);
    let mail = sent(&pair.hs01, &[ALICI, "kimse@hs02.kep.test"], "Duyuru").await;
    pair.work().await;
    let mut found = states(&pair.hs01, mail);
    found.sort_by_key(|s| format!("{s:?}"));
    assert_eq!(found, [RecipientState::Consigned, RecipientState::Failed]);
    let rows = pair
        .hs01
        .archive
        .evidence_of(pair.hs01.tenant("ornekas"), mail)
        .unwrap();
    let failures: Vec<_> = rows
        .iter()
        .filter(|r| r.kind == EvidenceKind::RelayREMMDFailure)
        .collect();
    assert_eq!(failures.len(), 1);
    assert_eq!(failures[0].recipient.as_deref(), Some("kimse@hs02.kep.test"));
    let xml = pair.hs01.spool.load(&failures[0].xml).await.unwrap();
    let facts = evidence_read::read(&xml).unwrap().facts;
    assert_eq!(facts.reasons[0].reason, Reason::UnknownRecipient);
    assert_eq!(facts.recipient().unwrap().address, "kimse@hs02.kep.test");
    for (kind, event) in ROAD {
        let of = |r: &&kepd::store::tables::evidence::EvidenceRow| (r.kind, r.event) == (kind, event);
        assert_eq!(rows.iter().filter(of).count(), 1, "{kind:?}");
    }
    assert_eq!(held(&pair.hs01).queued, 0);
}

#[tokio::test]
async fn attempts_grow_rarer_until_the_limit_and_then_it_is_told() {
    let mut pair = pair().await;
    let told_to = scripted(&mut pair, &[Turn::Away; 500]);
    let mail = sent(&pair.hs01, &[ALICI], "Duyuru").await;
    run_queue(&pair, Duration::from_secs(2 * 86_400)).await;
    let attempts = told_to.attempts.lock().unwrap().clone();
    let gaps: Vec<i64> = attempts.windows(2).map(|w| w[1] - w[0]).collect();
    let mut longest = RETRY_FIRST.as_millis() as i64;
    for (n, gap) in gaps[..gaps.len() - 1].iter().enumerate() {
        assert!(
            (longest * 3 / 4..=longest).contains(gap),
            "pause {n} is {gap} ms, not up to {longest}"
        );
        longest = (longest * 2).min(RETRY_LONGEST.as_millis() as i64);
    }
    assert_eq!(
        *attempts.last().unwrap(),
        attempts[0] + 86_400_000,
        "the last attempt is at the limit"
    );
    assert!((96..150).contains(&attempts.len()), "{}", attempts.len());
    assert_eq!(told(&pair.hs01, "ornekas", mail).len(), 2);
    assert_eq!(
        reason_of_failure(&pair.hs01, mail).await,
        (Reason::PeerUnreachable, RecipientState::Failed)
    );
}

async fn reason_of_failure(p: &Provider, mail: MailId) -> (Reason, RecipientState) {
    let rows = p.archive.evidence_of(p.tenant("ornekas"), mail).unwrap();
    let row = rows
        .iter()
        .find(|r| r.kind == EvidenceKind::RelayREMMDFailure)
        .unwrap();
    let facts = evidence_read::read(&p.spool.load(&row.xml).await.unwrap())
        .unwrap()
        .facts;
    (facts.reasons[0].reason, states(p, mail)[0])
}

#[tokio::test]
async fn a_peer_that_says_250_and_nothing_more_has_failed() {
    let mut pair = pair().await;
    scripted(&mut pair, &[Turn::Lost]);
    let mail = sent(&pair.hs01, &[ALICI], "Duyuru").await;
    pair.work().await;
    assert_eq!(states(&pair.hs01, mail), [RecipientState::Relayed]);
    pair.clock.advance(Duration::from_secs(86_399));
    pair.work().await;
    assert_eq!(told(&pair.hs01, "ornekas", mail).len(), 1);
    pair.clock.advance(Duration::from_secs(1));
    pair.work().await;
    let found = reason_of_failure(&pair.hs01, mail).await;
    assert_eq!(found, (Reason::NoDeliveryInfoFromPeer, RecipientState::Failed));
    let rows = pair
        .hs01
        .archive
        .evidence_of(pair.hs01.tenant("ornekas"), mail)
        .unwrap();
    let xml = pair.hs01.spool.load(&rows[1].xml).await.unwrap();
    assert!(String::from_utf8_lossy(&xml).contains("S_REMMD_ReceivedNoDeliveryInfoFromR_REMMD"));
    assert_eq!(held(&pair.hs01).queued, 0);
}

#[tokio::test]
async fn a_provider_started_anew_after_every_step_walks_the_same_road() {
    let Pair {
        hs01,
        hs02,
        wires,
        clock,
        dir,
    } = pair().await;
    let folder = dir.path().join("hs01");
    let mail = sent(&hs01, &[ALICI], "Duyuru").await;
    let mut hs01 = anew(hs01, &folder, &clock, &wires);
    let (mut restarts, mut still) = (0, 0);
    while still < 2 {
        let mut done = 0;
        for station in 0..6 {
            let steps = match station {
                0 => hs01.notary.run_due().await,
                1 => hs01.dispatch.run_due().await,
                2 => hs01.relay.run_due().await,
                3 => hs01.relay.run_awaited().await,
                4 => hs01.delivery.run_due().await,
                _ => hs01.delivery.run_awaited().await,
            };
            let steps = steps.unwrap();
            if steps > 0 {
                hs01 = anew(hs01, &folder, &clock, &wires);
                restarts += 1;
            }
            done += steps;
        }
        done += hs02.work().await;
        still = if done == 0 { still + 1 } else { 0 };
    }
    assert!(restarts >= 3, "{restarts}");
    assert_eq!(told(&hs01, "ornekas", mail), ROAD);
    assert_eq!(states(&hs01, mail), [RecipientState::Consigned]);
    let here = held(&hs01);
    assert_eq!((here.items, here.evidence, here.owed, here.queued), (4, 3, 0, 0));
    let there = held(&hs02);
    assert_eq!((there.incoming, there.consignments, there.evidence), (1, 1, 2));
}

/// Ends a provider and opens its folder again.
fn anew(old: Provider, folder: &std::path::Path, clock: &Arc<ManualClock>, wires: &Wires) -> Provider {
    drop(wires.cut("hs01.kep.test"));
    drop(old);
    Provider::open("hs01.kep.test", folder, clock, wires)
}
