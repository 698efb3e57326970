//! Prepaid credit under a crowd, and under random acts: whatever happens, the account is the sum of what its mails claim.

use crate::approving::{decide, letter};
use crate::crash::Draws;
use crate::crediting::{add, adds_up, meter, prepaid, send, stands};
use crate::provider::{Provider, START, Wires, shared_pki};
use crate::road::pair;
use kepd::clock::ManualClock;
use kepd::domain::credit::CreditTerms;
use kepd::domain::job::Act;
use kepd::id::JobId;
use kepd::service::failure::{Failure, Kind};
use kepd::service::submission::Accepted;
use kepd::store::probe::NoProbe;
use kepd::store::tables::{jobs, mails};
use std::path::Path;
use std::sync::Arc;

const ALICI: &str = "alici@hs02.kep.test";
const TENANT: &str = "ornekas";

#[tokio::test]
async fn the_last_unit_is_spent_once_and_a_crowd_is_served_as_long_as_there_is_credit() {
    let pair = pair().await;
    let p = &pair.hs01;
    prepaid(p, 12).await;
    let mut crowd = tokio::task::JoinSet::new();
    for n in 0..16 {
        let p = p.clone();
        crowd.spawn(async move { send(&p, &format!("Duyuru {n}")).await });
    }
    let (mut sent, mut refused) = (0, 0);
    while let Some(done) = crowd.join_next().await {
        match done.unwrap() {
            Ok(Accepted::Sent { .. }) => sent += 1,
            Err(Failure::Refused(refusal)) if refusal.kind == Kind::NoCredit => refused += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((sent, refused), (12, 4));
    assert_eq!(stands(p), (0, 0));
    adds_up(p);
}

/// A provider in a folder, as often as it is opened.
fn open(dir: &Path) -> (Provider, Wires) {
    shared_pki("hs01.kep.test", dir);
    let (clock, wires) = (Arc::new(ManualClock::at(START)), Wires::default());
    let p = Provider::open_probed(
        "hs01.kep.test",
        &dir.join("hs01"),
        &clock,
        &wires,
        Arc::new(NoProbe),
    );
    (p, wires)
}

#[tokio::test]
async fn whatever_happens_the_account_is_the_sum_of_what_its_mails_claim() {
    let walked = walk(0x6b6f_6e74_6f72, false).await;
    assert!(walked.refused > 2 && walked.reopened > 2, "{walked:?}");
}

/// The same account, metered and not by turns.
#[tokio::test]
async fn it_is_that_sum_as_well_when_it_is_not_always_metered() {
    let walked = walk(0x6f6c_6d61_7a73, true).await;
    assert!(walked.switched > 5 && walked.reopened > 2, "{walked:?}");
}

#[derive(Debug, Default)]
struct Walked {
    refused: usize,
    reopened: usize,
    switched: usize,
}

/// Random acts of several users, with the store closed and opened between them: after each the account adds up.
async fn walk(seed: u64, is_switched: bool) -> Walked {
    let dir = tempfile::tempdir().unwrap();
    let (mut p, mut wires) = open(dir.path());
    p.add_ornekas().await;
    p.add_person("veli").await;
    prepaid(&p, 2).await;
    let mut draws = Draws::new(seed);
    let mut walked = Walked::default();
    let to = "veli@hs01.kep.test";
    for n in 0..90u64 {
        if is_switched && draws.below(5) == 0 {
            let terms = (walked.switched % 2 == 1).then(CreditTerms::default);
            meter(&p, terms).await;
            walked.switched += 1;
        }
        let open_jobs = jobs::open(&*p.db, p.tenant(TENANT)).unwrap();
        let all: Vec<JobId> = mails::all(&*p.db, p.tenant(TENANT))
            .unwrap()
            .iter()
            .filter_map(|m| m.row.job)
            .collect();
        let any = |draws: &mut Draws, of: &[JobId]| {
            (!of.is_empty()).then(|| of[draws.below(of.len() as u64) as usize])
        };
        let outcome = match draws.below(10) {
            0..3 => {
                let (login, subject) =
                    [("mudur@ornekas", "Duyuru"), ("ayse@ornekas", "Fiyat teklifi")][draws.below(2) as usize];
                // Sometimes one that was handed in before.
                let id = format!("r{}", draws.below(n + 1));
                let text = letter(subject, &id).replace(ALICI, to);
                p.submit(login, &[to], &text).await.map(drop)
            }
            3 => {
                // Not often enough for all.
                if draws.below(3) == 0 && walked.switched % 2 == 0 {
                    add(&p, 1).await;
                }
                Ok(())
            }
            4..8 => match any(&mut draws, &open_jobs) {
                Some(id) => {
                    let (login, act) = [
                        ("onay1", Act::Approve),
                        ("onay2", Act::Approve),
                        ("mudur", Act::Release),
                        ("onay1", Act::Reject),
                        ("onay1", Act::Return),
                        ("ayse", Act::Withdraw),
                    ][draws.below(6) as usize];
                    decide(&p, login, id, act).await.map(drop)
                }
                None => Ok(()),
            },
            8 => match any(&mut draws, &all) {
                Some(id) => decide(
                    &p,
                    ["onay1", "ayse", "mudur"][draws.below(3) as usize],
                    id,
                    Act::Undo,
                )
                .await
                .map(drop),
                None => Ok(()),
            },
            _ => {
                wires.cut("hs01.kep.test");
                drop(p);
                (p, wires) = open(dir.path());
                walked.reopened += 1;
                Ok(())
            }
        };
        match outcome {
            Ok(()) => {}
            Err(Failure::Refused(refusal)) => walked.refused += usize::from(refusal.kind == Kind::NoCredit),
            Err(other) => panic!("{other}"),
        }
        adds_up(&p);
        // Where it is not metered, what is undone claims whatever is there.
        assert!(
            is_switched || stands(&p).0 >= stands(&p).1 as i64,
            "more is claimed than there is"
        );
    }
    walked
}
