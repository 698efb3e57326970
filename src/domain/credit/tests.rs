//! Prepaid credit: the tariff, the drawn tables read cell by cell, and mails that walk at random.

use super::*;
use crate::domain::mail::MailEvent;
use proptest::prelude::*;

fn moved(kind: MovementKind, units: u64) -> Movement {
    Movement { kind, units }
}

#[test]
fn a_mail_costs_each_started_unit_once_or_for_each_recipient() {
    let unit = 1000.try_into().unwrap();
    let once = Tariff {
        unit_bytes: unit,
        per_recipient: false,
    };
    let each = Tariff {
        per_recipient: true,
        ..once
    };
    for (octets, recipients, by_mail, by_recipient) in [
        (0, 0, 1, 1),
        (1, 1, 1, 1),
        (1000, 3, 1, 3),
        (1001, 3, 2, 6),
        (5000, 2, 5, 10),
        (u64::MAX, 100, UNITS_MAX, UNITS_MAX),
    ] {
        assert_eq!(once.cost(octets, recipients), by_mail, "{octets}");
        assert_eq!(
            each.cost(octets, recipients),
            by_recipient,
            "{octets} to {recipients}"
        );
    }
    assert_eq!(Tariff::default().cost(5 * 1024 * 1024, 7), 1);
    assert_eq!(Tariff::default().cost(5 * 1024 * 1024 + 1, 7), 2);
}

/// The drawn tables, read cell by cell.
#[test]
fn a_claim_follows_from_the_state_as_drawn() {
    let text = include_str!("../credit.rs");
    let row = |name: &str| -> Vec<String> {
        let line = text
            .lines()
            .find(|l| l.starts_with(&format!("//! {name}")))
            .unwrap();
        let rest = line.trim_start_matches(&format!("//! {name}"));
        rest.split_whitespace().map(str::to_owned).collect()
    };
    let claims: Vec<(String, String)> = row("state of the mail").into_iter().zip(row("claim  ")).collect();
    assert_eq!(claims.len(), MailState::ALL.len());
    let claim = |state: Option<MailState>| match state {
        Some(state) => {
            let found = claims.iter().find(|(name, _)| *name == format!("{state:?}"));
            found.unwrap().1.clone()
        }
        None => "nothing".to_owned(),
    };
    let columns = ["nothing", "reserved", "charged"];
    for before in MailState::ALL.into_iter().map(Some).chain([None]) {
        for after in MailState::ALL {
            let column = columns.iter().position(|c| *c == claim(Some(after))).unwrap();
            let cells = row(&format!("{}   ", claim(before)));
            let got = movement(before, after, 3).map_or("-".to_owned(), |m| format!("{:?}", m.kind));
            assert_eq!(got, cells[column], "{before:?} {after:?}");
            assert_eq!(movement(before, after, 0), None);
        }
    }
}

#[test]
fn nobody_claims_more_than_is_left() {
    let terms = CreditTerms {
        overdraft: 2,
        warn_below: 0,
    };
    let account = CreditAccount::default();
    let account = account
        .after(moved(MovementKind::Added, 3), Some(&terms))
        .unwrap();
    assert_eq!((account.left(&terms), account.free()), (5, 3));
    let held = account
        .after(moved(MovementKind::Reserved, 4), Some(&terms))
        .unwrap();
    assert_eq!((held.left(&terms), held.free(), held.balance), (1, -1, 3));
    for kind in [MovementKind::Reserved, MovementKind::Charged] {
        assert_eq!(
            held.after(moved(kind, 2), Some(&terms)),
            Err(CreditRefusal::NotEnough)
        );
        assert!(held.after(moved(kind, 2), None).is_ok(), "not metered");
    }
    // What was reserved is charged whatever became of the balance meanwhile.
    let corrected = held
        .after(moved(MovementKind::Corrected, 50), Some(&terms))
        .unwrap();
    assert_eq!((corrected.left(&terms), corrected.balance), (0, -47));
    let settled = corrected
        .after(moved(MovementKind::Settled, 4), Some(&terms))
        .unwrap();
    assert_eq!((settled.balance, settled.reserved, settled.spent), (-51, 0, 4));
    let back = held
        .after(moved(MovementKind::Released, 4), Some(&terms))
        .unwrap();
    assert_eq!((back.balance, back.reserved, back.left(&terms)), (3, 0, 5));
    let too_often = back.after(moved(MovementKind::Released, 1), Some(&terms));
    assert_eq!(too_often, Err(CreditRefusal::NotReserved));
    for kind in MovementKind::ALL {
        let huge = back.after(moved(kind, u64::MAX), None);
        assert_eq!(huge, Err(CreditRefusal::TooMuch), "{kind:?}");
    }
    let full = account.after(moved(MovementKind::Added, UNITS_MAX), None);
    assert_eq!(full, Err(CreditRefusal::TooMuch));
}

#[test]
fn low_credit_is_told_once_until_some_is_added() {
    let terms = CreditTerms {
        overdraft: 0,
        warn_below: 3,
    };
    let walk = |steps: &[(MovementKind, u64)]| {
        let mut account = CreditAccount::default();
        let mut told = Vec::new();
        for (n, (kind, units)) in steps.iter().enumerate() {
            let after = account.after(moved(*kind, *units), Some(&terms)).unwrap();
            if after.warned && !account.warned {
                told.push(n);
            }
            account = after;
        }
        told
    };
    use MovementKind::*;
    assert_eq!(walk(&[(Added, 1), (Charged, 1)]), [1]);
    let flapping = [
        (Added, 4),
        (Reserved, 1),
        (Reserved, 1),
        (Released, 1),
        (Reserved, 1),
        (Charged, 1),
    ];
    assert_eq!(walk(&flapping), [2]);
    let again = [
        (Added, 4),
        (Charged, 2),
        (Added, 0),
        (Charged, 1),
        (Added, 9),
        (Charged, 8),
    ];
    assert_eq!(
        walk(&again),
        [1, 5],
        "adding too little is no reason to tell it again"
    );
    let never = CreditTerms::default();
    let empty = CreditAccount::default()
        .after(moved(Added, 1), Some(&never))
        .unwrap();
    assert!(!empty.after(moved(Charged, 1), Some(&never)).unwrap().warned);
}

#[test]
fn a_bar_is_empty_after_an_addition_and_shows_what_is_left() {
    let terms = CreditTerms {
        overdraft: 2,
        warn_below: 0,
    };
    let mut account = CreditAccount::default();
    for (kind, units, bar) in [
        (MovementKind::Added, 10, (0, 12)),
        (MovementKind::Charged, 3, (3, 12)),
        (MovementKind::Reserved, 4, (7, 12)),
        (MovementKind::Settled, 4, (7, 12)),
        (MovementKind::Corrected, 4, (7, 8)),
        (MovementKind::Corrected, 4, (7, 7)),
        (MovementKind::Added, 20, (0, 17)),
    ] {
        account = account.after(moved(kind, units), Some(&terms)).unwrap();
        assert_eq!(account.gauge(&terms), bar, "{kind:?}");
        assert_eq!(bar.1 - bar.0, account.left(&terms));
    }
}

proptest! {
    /// Mails walk as their states allow; whatever happens, the account is the sum of what they claim.
    #[test]
    fn the_account_is_what_was_added_less_what_mails_claim(
        steps in proptest::collection::vec((0..6usize, 0..8usize, 0..5u64), 1..200),
        overdraft in 0..5u64,
    ) {
        let terms = CreditTerms { overdraft, warn_below: 2 };
        let mut account = CreditAccount::default();
        let mut mails: Vec<(Option<MailState>, u64)> = (0..8).map(|n| (None, n % 4)).collect();
        let mut added = 0i64;
        for (act, which, units) in steps {
            let (state, cost) = mails[which];
            let next = match (act, state) {
                (0, _) => {
                    let kind = if units == 4 { MovementKind::Corrected } else { MovementKind::Added };
                    account = account.after(moved(kind, units), Some(&terms)).unwrap();
                    added += if units == 4 { -4 } else { units as i64 };
                    None
                }
                (1, None) => Some(MailState::Held),
                (2, None) => Some(MailState::Accepted),
                (1, Some(s)) => s.after(MailEvent::Released),
                (2, Some(s)) => s.after(MailEvent::Dropped),
                (3, Some(s)) => s.after(MailEvent::Restored),
                (4, Some(s)) => s.after(MailEvent::Dispatched),
                (5, Some(s)) => s.after(MailEvent::Concluded),
                _ => None,
            };
            let Some(next) = next else { continue };
            let before = account;
            match movement(state, next, cost).map(|m| account.after(m, Some(&terms))) {
                None => mails[which].0 = Some(next),
                Some(Ok(after)) => {
                    account = after;
                    mails[which].0 = Some(next);
                }
                Some(Err(refusal)) => {
                    prop_assert_eq!(refusal, CreditRefusal::NotEnough);
                    prop_assert!(cost > before.left(&terms));
                }
            }
            let of = |claim| mails.iter().filter(|(s, _)| s.map_or(Claim::Nothing, Claim::of) == claim).map(|(_, c)| c).sum::<u64>();
            prop_assert_eq!(account.reserved, of(Claim::Reserved));
            prop_assert_eq!(account.balance, added - of(Claim::Charged) as i64);
        }
    }
}
