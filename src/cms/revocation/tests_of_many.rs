//! Very many values: which are looked at, and what checking them costs.

use super::*;

#[test]
fn of_very_many_values_those_that_tell_are_looked_at() {
    let house = house();
    // A list a day from April to August; the signer's key is lost in July, and it stays on the list until its end.
    let mut days = Vec::new();
    for month in ["04", "05", "06", "07", "08"] {
        for day in 1..=30 {
            let (from, to) = (format!("{month}-{day:02}"), format!("{month}-{day:02}T12:00"));
            let list = List::of(&house.middle, &from, &to);
            let is_lost = ["07", "08"].contains(&month);
            let list = match is_lost {
                true => list.revoking(&house.leaf, "07-01", KeyCompromise),
                false => list,
            };
            days.push(list.der());
        }
    }
    assert!(days.len() > VALUES_MAX);
    assert_eq!(house.judge("06-01", &days, &[]), Standing::ValidAt(at("06-01")));
    assert_eq!(
        house.judge("07-02", &days, &[]),
        revoked("Signer", "07-01", KeyCompromise)
    );
    let values = RevocationValues {
        crls: days.clone(),
        ..RevocationValues::default()
    };
    let ever = revocations(&house.path(), at("12-01"), &ValueSlices::of(&values));
    assert_eq!(ever.first().map(|r| r.at), Some(at("07-01")));
    // With grace the first after it is needed.
    assert_eq!(
        house.judge_with("06-01", &days, &[], DAY),
        Standing::ValidAt(at("06-01"))
    );
    let answers: Vec<Vec<u8>> = (1..=30)
        .flat_map(|day| ["05", "06"].map(|month| format!("{month}-{day:02}")))
        .map(|day| Reply::good(&house.leaf, &house.middle, &day, &format!("{day}T12:00")).der())
        .collect();
    assert!(answers.len() > VALUES_MAX);
    assert_eq!(
        house.judge("06-10", &[], &answers),
        Standing::ValidAt(at("06-10"))
    );
}

/// Anybody can append to a document; what he appends takes no room and cannot hide what is known.
#[test]
fn junk_neither_pushes_a_value_out_nor_is_checked_without_end() {
    let house = house();
    let stranger = Plan::authority("Middle").self_signed();
    let list = List::of(&house.middle, "05-30", "06-05");
    let junk = |n: usize| {
        let to = format!("06-{:02}T{:02}:00", 6 + n / 24, n % 24);
        List::of(&house.middle, "05-31", &to).signed_by(&stranger.key)
    };
    let mut values = RevocationValues {
        crls: (0..40).map(junk).collect(),
        ..RevocationValues::default()
    };
    values.crls.push(list.der());
    values.crls.push(house.quiet_root());
    let shelf = RevocationShelf::of(&values);
    let path = house.path();
    let judged = |shelf: &RevocationShelf, known: &RevocationShelf, t: &str| {
        let mut slices = ValueSlices::checked_by(shelf.checks().clone());
        known.about(&path, Origin::Caller, &mut slices);
        shelf.about(&path, Origin::Document, &mut slices);
        judge_slices(&path, at(t), &slices, NO_GRACE)
    };
    let nothing = RevocationShelf::default();
    assert_eq!(judged(&shelf, &nothing, "06-01"), Standing::ValidAt(at("06-01")));
    let made = shelf.checks().made(Origin::Document);
    assert!(made <= 42, "{made}");
    // Asked again, nothing is checked again; a "no" is remembered as well.
    for day in 1..=5 {
        let t = format!("06-{day:02}");
        assert_eq!(judged(&shelf, &nothing, &t), Standing::ValidAt(at(&t)));
    }
    assert_eq!(shelf.checks().made(Origin::Document), made);

    // More than a document is worth: what the judge knows counts all the same.
    let mut flood = RevocationValues {
        crls: (0..300).map(junk).collect(),
        ..RevocationValues::default()
    };
    let flooded = RevocationShelf::of(&flood);
    assert_eq!(
        doubt(judged(&flooded, &nothing, "06-01")),
        Doubt::NoValue("CN=Middle".to_owned())
    );
    assert_eq!(flooded.checks().made(Origin::Document), CHECKS_MAX);
    flood.crls.push(house.quiet_root());
    let flooded = RevocationShelf::of(&flood);
    assert_eq!(doubt(judged(&flooded, &nothing, "06-01")), Doubt::TooManyChecks);
    let lost = List::of(&house.middle, "05-30", "06-05").revoking(&house.leaf, "05-20", KeyCompromise);
    let known = RevocationShelf::of(&RevocationValues {
        crls: vec![lost.der()],
        ..RevocationValues::default()
    });
    assert_eq!(
        judged(&flooded, &known, "06-01"),
        revoked("Signer", "05-20", KeyCompromise)
    );
    // And when the judge's own are too many to be checked, nothing is known.
    let known = RevocationShelf::of(&flood);
    assert_eq!(doubt(judged(&nothing, &known, "06-01")), Doubt::TooManyChecks);
}

/// Certificates that came along as delegates cost a signature only if they might be.
#[test]
fn whoever_may_not_answer_costs_no_signature() {
    let house = house();
    let desk = Plan::responder("Desk").with(no_check()).by(&house.middle);
    let elsewhere = Plan::authority("Elsewhere").self_signed();
    let mut along: Vec<Certificate> = (0..20)
        .map(|_| Plan::leaf("Desk").by(&house.middle).certificate)
        .collect();
    along.extend((0..20).map(|_| Plan::responder("Desk").by(&elsewhere).certificate));
    along.push(desk.certificate.clone());
    let mut replies = Vec::new();
    for minute in 0..30 {
        let to = format!("06-02T00:{minute:02}");
        let mut reply = Reply::good(&house.leaf, &house.middle, "05-31", &to).by(&desk);
        reply.along.clear();
        replies.push(reply.der());
    }
    let values = RevocationValues {
        crls: vec![house.quiet_root()],
        ocsp: replies,
        certificates: along,
    };
    let slices = ValueSlices::of(&values);
    let judged = judge_slices(&house.path(), at("06-01"), &slices, NO_GRACE);
    assert_eq!(judged, Standing::ValidAt(at("06-01")));
    // The root's list, the desk once, and each answer once.
    assert_eq!(slices.checks.made(Origin::Caller), 32);
}
