//! Who hears of what: the table of `concern`, case by case.

use super::*;
use crate::domain::org::Roll;
use crate::domain::selector::Place;

/// Whom the `n`th entry is told to: the number of each, and what is asked of him.
fn told_of(org: &Organisation, moved: &Moved, n: usize) -> String {
    let hearers = moved.job.hearers(org, &moved.entries[n], after(10));
    let letter = |call| match call {
        Call::Nothing => '-',
        Call::Withdraw => 'w',
        Call::Resume => 'r',
        Call::Release => 's',
        Call::Reassign => 'g',
        Call::Decide => 'd',
    };
    let all = hearers
        .iter()
        .map(|(user, call)| format!("{user}{}", letter(*call)));
    all.collect::<Vec<_>>().join(" ")
}

fn moved_by(org: &Organisation, job: &Job, who: u32, act: Act) -> Moved {
    let actor = &org.users[&UserId(who)];
    let moved = job.decide(org, &terms(), &wish(actor, act, after(1)));
    moved.unwrap_or_else(|e| panic!("{who} {act:?}: {e}"))
}

fn hears(org: &Organisation, job: &Job, who: u32, act: Act) -> String {
    told_of(org, &moved_by(org, job, who, act), 0)
}

fn noted(org: &Organisation, job: &Job, who: u32) -> String {
    let moved = job.note(org, &wish(&org.users[&UserId(who)], Act::Approve, after(1)));
    told_of(org, &moved.unwrap(), 0)
}

fn two() -> Vec<Step> {
    vec![Step::of(Who::Role(ROLE), 2), Step::of(Who::Role(OTHER), 2)]
}

fn started(org: &Organisation, steps: Vec<Step>) -> String {
    let mut job = begin(org, steps, Direction::Outgoing);
    job.entries = 0;
    let entry = job.entry(Happening::by_itself(Deed::Started, start_time()));
    let moved = Moved {
        job,
        entries: vec![entry],
    };
    told_of(org, &moved, 0)
}

#[test]
fn each_decision_is_told_to_those_concerned() {
    let org = house();
    let waiting = begin(&org, two(), Direction::Outgoing);
    let second = done(&org, &waiting, 3, Act::Approve);
    let ready = done(&org, &second, 7, Act::Approve);
    let returned = done(&org, &waiting, 3, Act::Return);
    let both = begin(
        &org,
        vec![step(&[part(Who::Role(ROLE), Need::Quorum(2))])],
        Direction::Outgoing,
    );
    let of_three = vec![step(&[part(Who::Role(ROLE), Need::Quorum(3))])];
    let one_of_three = done(&org, &begin(&org, of_three, Direction::Outgoing), 3, Act::Approve);
    let two_of_three = done(&org, &one_of_three, 4, Act::Approve);
    let incoming = begin(&org, one(), Direction::Incoming);
    let cases = [
        ("start", started(&org, two()), "2w 3d 4d 5d 6d"),
        ("a step begins", hears(&org, &waiting, 3, Act::Approve), "2w 7d"),
        ("the step goes on", hears(&org, &both, 3, Act::Approve), "2w"),
        (
            "it goes on again",
            hears(&org, &one_of_three, 4, Act::Approve),
            "2w",
        ),
        (
            "it is done at last",
            hears(&org, &two_of_three, 5, Act::Approve),
            "1s 2w 3- 4-",
        ),
        ("ready", hears(&org, &second, 7, Act::Approve), "1s 2w 3-"),
        ("rejected", hears(&org, &waiting, 3, Act::Reject), "2- 4- 5- 6-"),
        ("rejected later", hears(&org, &second, 7, Act::Reject), "2- 3-"),
        (
            "rejected at the end",
            hears(&org, &ready, 1, Act::Reject),
            "2- 3- 7-",
        ),
        ("given back", hears(&org, &waiting, 3, Act::Return), "2r 4- 5- 6-"),
        (
            "withdrawn",
            hears(&org, &waiting, 2, Act::Withdraw),
            "3- 4- 5- 6-",
        ),
        (
            "withdrawn when ready",
            hears(&org, &ready, 2, Act::Withdraw),
            "1- 3- 7-",
        ),
        (
            "withdrawn as a draft",
            hears(&org, &returned, 2, Act::Withdraw),
            "3-",
        ),
        (
            "cancelled",
            hears(&org, &waiting, 1, Act::Cancel),
            "2- 3- 4- 5- 6-",
        ),
        ("released", hears(&org, &ready, 1, Act::Release), "2- 3- 7-"),
        (
            "delegated",
            hears(&org, &waiting, 3, Act::Delegate(UserId(7))),
            "2w 7d",
        ),
        (
            "reassigned",
            hears(&org, &waiting, 1, Act::Reassign(Who::User(UserId(7)))),
            "2w 7d",
        ),
        ("undone", hears(&org, &second, 3, Act::Undo), "2w 4d 5d 6d"),
        ("undone when ready", hears(&org, &ready, 7, Act::Undo), "2w 3-"),
        (
            "approved, incoming",
            hears(&org, &incoming, 3, Act::Approve),
            "1-",
        ),
        ("a note of the author", noted(&org, &waiting, 2), "3d 4d 5d 6d"),
        (
            "a note of one who decides",
            noted(&org, &waiting, 3),
            "2w 4d 5d 6d",
        ),
        ("a note when ready", noted(&org, &ready, 2), "1s 3- 7-"),
    ];
    for (what, told, wanted) in cases {
        assert_eq!(told, wanted, "{what}");
    }
    let anew = Happening {
        actor: Some(AUTHOR),
        ..Happening::by_itself(Deed::HandedInAnew, after(2))
    };
    assert_eq!(told_of(&org, &returned.resubmitted(anew).unwrap(), 0), "3-");
}

/// Of a step that all have to approve, each approval is told to the author; the last one to all of them.
#[test]
fn approvals_of_a_large_step_are_not_told_to_all_who_gave_one_before() {
    const MEMBERS: u32 = 150;
    let mut org = house();
    org.users.retain(|id, _| *id == BOSS || *id == AUTHOR);
    for id in 100..100 + MEMBERS {
        let mut member = user(id, UserKind::Limited);
        member.roles.insert(ROLE);
        org.users.insert(member.id, member);
    }
    let mut job = begin(
        &org,
        vec![step(&[part(Who::Role(ROLE), Need::All)])],
        Direction::Outgoing,
    );
    let mut told = 0;
    for who in 100..100 + MEMBERS {
        let moved = moved_by(&org, &job, who, Act::Approve);
        let hearers = moved.job.hearers(&org, &moved.entries[0], after(10));
        if who < 99 + MEMBERS {
            assert_eq!(hearers.into_keys().collect::<Vec<_>>(), [AUTHOR]);
            told += 1;
        } else {
            // The author, the officer, and all the others.
            told += hearers.len() as u32;
        }
        job = moved.job;
    }
    assert_eq!(job.standing.state, JobState::Ready);
    assert_eq!(told, MEMBERS - 1 + 2 + MEMBERS - 1);
}

/// So many that to look at everybody for everybody would take minutes.
#[test]
fn a_role_of_twenty_thousand_is_worked_out_at_once() {
    const MEMBERS: u32 = 20_000;
    let mut org = house();
    for id in 100..100 + MEMBERS {
        let mut member = user(id, UserKind::Limited);
        member.roles.insert(ROLE);
        let deputy = Deputy {
            user: UserId(id + 1),
            from: start_time(),
            until: after(100),
        };
        member.deputies.extend((id % 3 == 0).then_some(deputy));
        org.users.insert(member.id, member);
    }
    let job = begin(&org, one(), Direction::Outgoing);
    let deciders = job.deciders(&org, after(10));
    assert_eq!(deciders.len(), MEMBERS as usize + 4);
    let roll = Roll::of_all(&org, after(10));
    let places = org.users.values().map(|u| Place::on(&roll, u));
    let seeing = places.filter(|p| p.capacities.len() == 2).count();
    assert_eq!(seeing, MEMBERS as usize / 3);
}

#[test]
fn a_step_that_is_ones_own_too_is_told_to_him_who_began_it() {
    let org = house();
    let steps = vec![Step::of(Who::Role(ROLE), 2), Step::of(Who::Role(ROLE), 2)];
    let job = begin(&org, steps, Direction::Outgoing);
    assert_eq!(hears(&org, &job, 3, Act::Approve), "2w 3d 4d 5d 6d");
    // The officer gave the last approval: to release it is his as well.
    let job = begin(&org, vec![Step::of(Who::User(BOSS), 2)], Direction::Outgoing);
    assert_eq!(hears(&org, &job, 1, Act::Approve), "1s 2w");
}

#[test]
fn what_the_clock_does_is_told_to_those_concerned() {
    let org = house();
    let escalation = Escalation {
        after_days: 1,
        to: Who::Role(OTHER),
    };
    let steps = vec![Step {
        remind_after_days: Some(1),
        escalation: Some(escalation),
        expire_after_days: Some(9),
        ..Step::of(Who::Role(ROLE), 2)
    }];
    let mut job = begin(&org, steps, Direction::Outgoing);
    let mut told = Vec::new();
    for day in [1, 2, 3, 9] {
        let moved = job.ring(&org, &terms(), start_time().plus(DAY * day)).unwrap();
        assert_eq!(moved.entries.len(), 1);
        told.push((moved.entries[0].happening.deed.word(), told_of(&org, &moved, 0)));
        job = moved.job;
    }
    let told: Vec<_> = told.iter().map(|(word, to)| (*word, to.as_str())).collect();
    assert_eq!(
        told,
        [
            ("remind", "3d 4d 5d 6d"),
            ("late", "1- 2w 3d 4d 5d 6d"),
            ("escalate", "1- 2w 3d 4d 5d 6d 7d"),
            ("expire", "1- 2- 3- 4- 5- 6- 7-"),
        ]
    );
}

#[test]
fn a_release_that_leaves_and_a_step_without_anybody_are_told() {
    let mut org = house();
    let mut held = terms();
    held.send_delay = Duration::from_secs(30);
    let ready = in_state(&org, "ready");
    let officer = &org.users[&BOSS];
    let leaving = ready
        .decide(&org, &held, &wish(officer, Act::Release, after(2)))
        .unwrap();
    assert_eq!(told_of(&org, &leaving, 0), "2- 3-");
    let left = leaving.job.ring(&org, &held, after(40)).unwrap();
    assert_eq!(told_of(&org, &left, 0), "1- 2- 3-");

    let waiting = begin(&org, one(), Direction::Outgoing);
    for user in org.users.values_mut() {
        user.roles.clear();
    }
    let stuck = waiting.review(&org, after(3)).unwrap();
    assert_eq!(told_of(&org, &stuck, 0), "1g 2w");
}

#[test]
fn who_is_gone_hears_nothing_and_a_deputy_hears_in_his_time() {
    let mut org = house();
    let deputy = Deputy {
        user: UserId(7),
        from: start_time(),
        until: after(20),
    };
    org.users.get_mut(&UserId(3)).unwrap().deputies.push(deputy);
    org.users.get_mut(&UserId(4)).unwrap().removed = true;
    assert_eq!(started(&org, one()), "2w 3d 5d 6d 7d");
    org.users.get_mut(&UserId(3)).unwrap().deputies[0].until = after(5);
    assert_eq!(started(&org, one()), "2w 3d 5d 6d");
}
