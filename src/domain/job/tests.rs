//! The table of moves, and what may not happen whatever people wish.

use super::*;
use crate::domain::org::{Deputy, Permission, Role, User, UserKind};
use crate::domain::rule::Escalation;
use crate::domain::samples::{organisation, rule, terms, user};
use crate::domain::schedule::DAY;
use crate::id::RoleId;
use proptest::prelude::*;
use std::collections::BTreeMap;

mod hearing;
mod signing;

const BOSS: UserId = UserId(1);
const AUTHOR: UserId = UserId(2);
const ROLE: RoleId = RoleId(1);
const OTHER: RoleId = RoleId(2);
const DIGEST: [u8; 32] = [7; 32];

fn start_time() -> UtcTime {
    UtcTime::from_unix_s(1_795_466_705)
}

/// Officer 1, author 2 (who may approve as well), users 3 to 6 with the role, user 7 with the other role.
fn house() -> Organisation {
    let mut org = organisation();
    for (id, name) in [(ROLE, "Onay Rolü"), (OTHER, "Onay Rolü2")] {
        let role = Role {
            id,
            name: name.into(),
            description: String::new(),
            permissions: BTreeSet::from([Permission::Approve, Permission::Compose]),
            removed: false,
        };
        org.roles.insert(id, role);
    }
    for id in 2..=7 {
        let mut user = user(id, UserKind::Limited);
        user.roles.insert(if id == 7 { OTHER } else { ROLE });
        org.users.insert(user.id, user);
    }
    org
}

fn part(who: Who, need: Need) -> Part {
    Part { who, need }
}

fn step(parts: &[Part]) -> Step {
    Step {
        parts: parts.to_vec(),
        ..Step::of(Who::Role(ROLE), 2)
    }
}

fn begin(org: &Organisation, steps: Vec<Step>, direction: Direction) -> Job {
    let mut rule = rule(steps);
    rule.direction = direction;
    begin_by(org, &rule, &terms())
}

fn begin_by(org: &Organisation, rule: &Rule, terms: &Terms) -> Job {
    let start = JobStart {
        id: JobId::from_octets([1; 16]),
        tenant: TenantId(1),
        mail: MailId::from_octets([1; 16]),
        item: ItemId(1),
        author: (rule.direction == Direction::Outgoing).then_some(AUTHOR),
        rule,
        original_sha256: DIGEST,
        subject: "Teklif".into(),
        thread: "<1@hs01.kep.test>".into(),
        follows: None,
        at: start_time(),
    };
    Job::start(start, org, terms).job
}

fn wish<'a>(actor: &'a User, act: Act, at: UtcTime) -> Wish<'a> {
    Wish {
        act,
        actor,
        actor_login: &actor.name,
        route: Route::Kepctl,
        note: "",
        original_sha256: DIGEST,
        at,
    }
}

fn after(seconds: u64) -> UtcTime {
    start_time().plus(Duration::from_secs(seconds))
}

fn decide_at(org: &Organisation, job: &Job, who: UserId, act: Act, at: UtcTime) -> Result<Job, JobRefusal> {
    let moved = job.decide(org, &terms(), &wish(&org.users[&who], act, at))?;
    Ok(moved.job)
}

fn decide(org: &Organisation, job: &Job, who: UserId, act: Act) -> Result<Job, JobRefusal> {
    decide_at(org, job, who, act, after(1))
}

fn done(org: &Organisation, job: &Job, who: u32, act: Act) -> Job {
    decide(org, job, UserId(who), act).unwrap_or_else(|e| panic!("{who} {act:?}: {e}"))
}

fn one() -> Vec<Step> {
    vec![Step::of(Who::Role(ROLE), 2)]
}

/// A job in each state.
fn in_state(org: &Organisation, word: &str) -> Job {
    let job = begin(org, one(), Direction::Outgoing);
    let ready = done(org, &job, 3, Act::Approve);
    let mut held = terms();
    held.send_delay = Duration::from_secs(30);
    let leaving = || {
        let officer = &org.users[&BOSS];
        ready
            .decide(org, &held, &wish(officer, Act::Release, after(2)))
            .unwrap()
            .job
    };
    let mut job = match word {
        "waiting" => job,
        "ready" => ready,
        "returned" => done(org, &job, 3, Act::Return),
        "leaving" => leaving(),
        "released" => done(org, &ready, 1, Act::Release),
        "rejected" => done(org, &job, 3, Act::Reject),
        "withdrawn" => done(org, &job, 2, Act::Withdraw),
        "cancelled" => done(org, &job, 1, Act::Cancel),
        "approved" => {
            let job = begin(org, one(), Direction::Incoming);
            done(org, &job, 3, Act::Approve)
        }
        "expired" | "resubmitted" => job,
        other => panic!("{other}"),
    };
    match word {
        "expired" => job.standing.state = JobState::Expired,
        "resubmitted" => job.standing.state = JobState::Resubmitted,
        _ => {}
    }
    assert_eq!(job.standing.state.word(), word);
    job
}

/// Each act by whoever is most entitled to it: where every state leads to. `-`: refused.
#[test]
fn every_move_is_as_drawn() {
    let table = "
        state       approve  reject   return   delegate reassign release  withdraw  cancel    undo
        waiting     ready    rejected returned waiting  waiting  -        withdrawn cancelled -
        returned    -        -        -        -        -        -        withdrawn cancelled waiting
        ready       -        rejected returned -        -        released withdrawn cancelled waiting
        leaving     -        -        -        -        -        -        -         -         ready
        released    -        -        -        -        -        -        -         -         -
        approved    -        -        -        -        -        -        -         -         waiting
        rejected    -        -        -        -        -        -        -         -         waiting
        withdrawn   -        -        -        -        -        -        -         -         waiting
        cancelled   -        -        -        -        -        -        -         -         waiting
        expired     -        -        -        -        -        -        -         -         -
        resubmitted -        -        -        -        -        -        -         -         -";
    let org = house();
    for line in table.lines().skip(2) {
        let mut cells = line.split_whitespace();
        let state = cells.next().unwrap();
        let job = in_state(&org, state);
        let officer = state == "ready";
        let undoer = job.undoable.as_ref().map_or(BOSS, |u| u.by);
        let acts = [
            (UserId(4), Act::Approve),
            (if officer { BOSS } else { UserId(4) }, Act::Reject),
            (if officer { BOSS } else { UserId(4) }, Act::Return),
            (UserId(4), Act::Delegate(UserId(7))),
            (BOSS, Act::Reassign(Who::Role(OTHER))),
            (BOSS, Act::Release),
            (AUTHOR, Act::Withdraw),
            (BOSS, Act::Cancel),
            (undoer, Act::Undo),
        ];
        for ((who, act), want) in acts.into_iter().zip(cells) {
            let got = decide_at(&org, &job, who, act, after(3));
            let got = got.map_or("-", |job| job.standing.state.word());
            assert_eq!(got, want, "{state}: {act:?} by {who}");
        }
    }
}

#[test]
fn who_is_not_entitled_is_refused() {
    let org = house();
    let job = begin(&org, one(), Direction::Outgoing);
    let refused = |job: &Job, who: u32, act| decide(&org, job, UserId(who), act).unwrap_err();
    let waits_for = || "Onay Rolü".to_owned();
    assert_eq!(refused(&job, 2, Act::Approve), JobRefusal::OwnMail);
    assert_eq!(
        refused(&job, 7, Act::Approve),
        JobRefusal::NotYourStep {
            waits_for: waits_for()
        }
    );
    // An officer who holds no part of the step does not approve it either.
    assert!(matches!(
        refused(&job, 1, Act::Approve),
        JobRefusal::NotYourStep { .. }
    ));
    assert_eq!(refused(&job, 3, Act::Withdraw), JobRefusal::NotAuthor);
    assert_eq!(refused(&job, 3, Act::Cancel), JobRefusal::NotJobManager);
    assert_eq!(
        refused(&job, 3, Act::Reassign(Who::User(UserId(4)))),
        JobRefusal::NotJobManager
    );
    let nobody = Act::Reassign(Who::User(AUTHOR));
    assert_eq!(refused(&job, 1, nobody), JobRefusal::NobodyAble("u2".into()));
    let ready = done(&org, &job, 3, Act::Approve);
    assert_eq!(refused(&ready, 3, Act::Release), JobRefusal::NotOfficer);
    assert_eq!(refused(&ready, 4, Act::Approve), JobRefusal::AlreadyApproved);
    let incoming = begin(&org, one(), Direction::Incoming);
    assert_eq!(refused(&incoming, 3, Act::Return), JobRefusal::Incoming);
    let other = Wish {
        original_sha256: [8; 32],
        ..wish(&org.users[&UserId(3)], Act::Approve, after(1))
    };
    assert_eq!(job.decide(&org, &terms(), &other), Err(JobRefusal::OtherOctets));
    let long = "n".repeat(NOTE_MAX_OCTETS + 1);
    let long = Wish {
        note: &long,
        ..wish(&org.users[&UserId(3)], Act::Approve, after(1))
    };
    assert_eq!(job.decide(&org, &terms(), &long), Err(JobRefusal::NoteTooLong));
}

#[test]
fn parts_side_by_side_are_all_needed() {
    let org = house();
    let both = step(&[
        part(Who::Role(ROLE), Need::Quorum(2)),
        part(Who::Role(OTHER), Need::One),
    ]);
    let job = begin(&org, vec![both], Direction::Outgoing);
    let job = done(&org, &job, 3, Act::Approve);
    let again = decide(&org, &job, UserId(3), Act::Approve).unwrap_err();
    let waits_for = "Onay Rolü, Onay Rolü2".to_owned();
    assert_eq!(again, JobRefusal::AlreadyDecided { waits_for });
    let job = done(&org, &job, 7, Act::Approve);
    assert_eq!(job.standing.state, JobState::Waiting(0));
    assert_eq!(job.facet(&org).open.len(), 1);
    let job = done(&org, &job, 4, Act::Approve);
    assert_eq!(job.standing.state, JobState::Ready);
}

#[test]
fn all_are_those_who_are_there_now() {
    let mut org = house();
    let all = step(&[part(Who::Role(ROLE), Need::All)]);
    let mut job = begin(&org, vec![all], Direction::Outgoing);
    for who in [3, 4, 5] {
        job = done(&org, &job, who, Act::Approve);
        assert_eq!(job.standing.state, JobState::Waiting(0));
    }
    // The last one leaves: nobody is left to ask, and that is not the same as approved.
    org.users.get_mut(&UserId(6)).unwrap().removed = true;
    let told = job.review(&org, after(5)).unwrap();
    assert_eq!(told.job.standing.state, JobState::Waiting(0));
    assert_eq!(told.entries[0].happening.deed, Deed::Stuck);
    assert_eq!(told.job.review(&org, after(6)), None);
    let job = done(&org, &told.job, 1, Act::Cancel);
    assert!(job.is_ended());
}

#[test]
fn a_deputy_decides_in_a_name_and_in_his_time() {
    let mut org = house();
    // 7 stands for 3 and for the author, for a day.
    for principal in [3, 2] {
        let deputy = Deputy {
            user: UserId(7),
            from: after(10),
            until: after(100),
        };
        org.users
            .get_mut(&UserId(principal))
            .unwrap()
            .deputies
            .push(deputy);
    }
    let job = begin(&org, one(), Direction::Outgoing);
    let at = |job: &Job, s| decide_at(&org, job, UserId(7), Act::Approve, after(s));
    assert!(at(&job, 9).is_err() && at(&job, 100).is_err());
    let wish = wish(&org.users[&UserId(7)], Act::Approve, after(10));
    let moved = job.decide(&org, &terms(), &wish).unwrap();
    assert_eq!(moved.job.standing.state, JobState::Ready);
    assert_eq!(moved.entries[0].happening.in_name_of.as_deref(), Some("u3@t"));
    // A deputy of the author alone decides nothing in his name.
    org.users.get_mut(&UserId(3)).unwrap().deputies.clear();
    assert!(decide_at(&org, &job, UserId(7), Act::Approve, after(10)).is_err());
    // The author decides in nobody's name either.
    let deputy = Deputy {
        user: AUTHOR,
        from: after(0),
        until: after(100),
    };
    org.users.get_mut(&UserId(3)).unwrap().deputies.push(deputy);
    let own = decide_at(&org, &job, AUTHOR, Act::Approve, after(10)).unwrap_err();
    assert_eq!(own, JobRefusal::OwnMail);
}

#[test]
fn one_person_counts_once_in_a_step() {
    let mut org = house();
    let deputy = Deputy {
        user: UserId(3),
        from: start_time(),
        until: after(100),
    };
    org.users.get_mut(&UserId(4)).unwrap().deputies.push(deputy);
    let two = step(&[part(Who::Role(ROLE), Need::Quorum(2))]);
    let job = begin(&org, vec![two], Direction::Outgoing);
    let job = done(&org, &job, 3, Act::Approve);
    // Not again for 4, whose deputy he is.
    assert!(decide(&org, &job, UserId(3), Act::Approve).is_err());
    assert_eq!(done(&org, &job, 4, Act::Approve).standing.state, JobState::Ready);
}

#[test]
fn a_delegation_holds_as_long_as_its_giver_could_decide() {
    let mut org = house();
    let job = begin(&org, one(), Direction::Outgoing);
    let to_author = decide(&org, &job, UserId(3), Act::Delegate(AUTHOR)).unwrap_err();
    assert_eq!(to_author, JobRefusal::NotAble("u2".into()));
    let job = done(&org, &job, 3, Act::Delegate(UserId(7)));
    assert!(job.deciders(&org, after(2)).contains(&UserId(7)));
    assert_eq!(done(&org, &job, 7, Act::Approve).standing.state, JobState::Ready);
    org.users.get_mut(&UserId(3)).unwrap().roles.clear();
    assert!(decide(&org, &job, UserId(7), Act::Approve).is_err());
}

#[test]
fn whom_a_step_was_handed_to_has_nothing_to_do_with_it_when_that_is_undone() {
    let org = house();
    let job = done(
        &org,
        &begin(&org, one(), Direction::Outgoing),
        3,
        Act::Delegate(UserId(7)),
    );
    let told = job.facet(&org).concerned.contains(&Who::User(UserId(7)));
    assert!(told, "he reads what he may decide");
    let job = done(&org, &job, 3, Act::Undo);
    let facet = job.facet(&org);
    assert!(!facet.participants.contains(&UserId(7)) && !facet.concerned.contains(&Who::User(UserId(7))));
}

#[test]
fn a_job_in_which_very_many_had_a_hand_can_still_be_decided_and_ended() {
    let org = house();
    let mut job = begin(&org, one(), Direction::Outgoing);
    job.participants = (1000..).map(UserId).take(PARTICIPANTS_MAX).collect();
    for (who, act) in [
        (1, Act::Cancel),
        (2, Act::Withdraw),
        (3, Act::Approve),
        (3, Act::Reject),
        (3, Act::Return),
    ] {
        assert!(decide(&org, &job, UserId(who), act).is_ok(), "{act:?}");
    }
    let given = |n| Given {
        part: 0,
        by: UserId(n),
        in_name_of: UserId(n),
        escalated: false,
    };
    job.standing.parts = vec![part(Who::Role(ROLE), Need::All)];
    job.standing.given = (1000..).map(given).take(APPROVALS_MAX).collect();
    assert_eq!(
        decide(&org, &job, UserId(3), Act::Approve),
        Err(JobRefusal::TooMany)
    );
    for (who, act) in [
        (1, Act::Cancel),
        (3, Act::Reject),
        (1, Act::Reassign(Who::User(UserId(4)))),
    ] {
        assert!(decide(&org, &job, UserId(who), act).is_ok(), "{act:?}");
    }
}

#[test]
fn an_author_does_not_choose_who_approves_his_mail() {
    let mut org = house();
    let manages = BTreeSet::from([Permission::Jobs, Permission::Approve]);
    org.roles.get_mut(&ROLE).unwrap().permissions = manages;
    let job = begin(&org, one(), Direction::Outgoing);
    let to = Act::Reassign(Who::User(UserId(7)));
    assert_eq!(decide(&org, &job, AUTHOR, to), Err(JobRefusal::OwnMail));
    let wish = wish(&org.users[&UserId(3)], to, after(1));
    let moved = job.decide(&org, &terms(), &wish).unwrap();
    assert_eq!(moved.entries[0].happening.to.as_deref(), Some("u7"));
}

#[test]
fn a_right_lost_in_mid_flight_counts_at_once() {
    let mut org = house();
    let job = begin(&org, one(), Direction::Outgoing);
    org.roles
        .get_mut(&ROLE)
        .unwrap()
        .permissions
        .remove(&Permission::Approve);
    assert!(decide(&org, &job, UserId(3), Act::Approve).is_err());
    let told = job.review(&org, after(1)).unwrap();
    assert!(told.job.standing.stuck);
    // An officer gives the step to others; they decide.
    let job = done(&org, &told.job, 1, Act::Reassign(Who::Role(OTHER)));
    assert!(!job.standing.stuck);
    assert_eq!(done(&org, &job, 7, Act::Approve).standing.state, JobState::Ready);
}

#[test]
fn own_mail_is_approved_only_where_the_rule_says_so() {
    let org = house();
    let mut lenient = rule(one());
    lenient.own_approval = true;
    let job = begin_by(&org, &lenient, &terms());
    assert_eq!(done(&org, &job, 2, Act::Approve).standing.state, JobState::Ready);
}

#[test]
fn the_clock_reminds_marks_late_escalates_and_expires() {
    let org = house();
    let mut slow = Step::of(Who::Role(ROLE), 2);
    slow.parts = vec![part(Who::Role(ROLE), Need::All)];
    slow.remind_after_days = Some(1);
    slow.escalation = Some(Escalation {
        after_days: 1,
        to: Who::Role(OTHER),
    });
    slow.expire_after_days = Some(5);
    let mut job = begin(&org, vec![slow], Direction::Outgoing);
    let day = |n| start_time().plus(DAY * n);
    let mut rung = Vec::new();
    while let Some(alarm) = job.next_alarm(&terms()) {
        let moved = job.ring(&org, &terms(), alarm.at).unwrap();
        for entry in &moved.entries {
            rung.push((entry.happening.deed.word(), alarm.at));
        }
        job = moved.job;
        if job.standing.escalated && !job.is_ended() {
            // Whom it was escalated to finishes the whole part.
            let freed = decide_at(&org, &job, UserId(7), Act::Approve, alarm.at).unwrap();
            assert_eq!(freed.standing.state, JobState::Ready);
            assert!(!freed.standing.late);
        }
        if job.standing.late {
            // Late, and still to be decided.
            assert!(decide_at(&org, &job, UserId(3), Act::Approve, alarm.at).is_ok());
        }
    }
    assert_eq!(
        rung,
        [
            ("remind", day(1)),
            ("late", day(2)),
            ("escalate", day(3)),
            ("expire", day(5))
        ]
    );
    assert_eq!(job.standing.state, JobState::Expired);
    assert_eq!(job.operating_time(day(9)), DAY * 5);
}

#[test]
fn the_total_time_makes_a_job_late_as_well() {
    let org = house();
    let mut quick = rule(vec![Step::of(Who::Role(ROLE), 3), Step::of(Who::Role(OTHER), 3)]);
    quick.total_limit_days = Some(4);
    let job = begin_by(&org, &quick, &terms());
    assert_eq!(job.total_due, start_time().plus(DAY * 4));
    let third_day = start_time().plus(DAY * 3);
    let job = decide_at(&org, &job, UserId(3), Act::Approve, third_day).unwrap();
    assert_eq!(job.due(&terms()), Some(job.total_due));
    let late = job.ring(&org, &terms(), job.total_due).unwrap().job;
    assert!(late.standing.late);
}

#[test]
fn a_decision_is_undone_by_its_maker_in_time_and_before_anything_followed() {
    let org = house();
    let two = vec![Step::of(Who::Role(ROLE), 1), Step::of(Who::Role(OTHER), 1)];
    let job = begin(&org, two, Direction::Outgoing);
    let approved = done(&org, &job, 3, Act::Approve);
    let undo = |job: &Job, who: u32, s| decide_at(&org, job, UserId(who), Act::Undo, after(s));
    assert_eq!(undo(&approved, 4, 2).unwrap_err(), JobRefusal::NothingToUndo);
    assert_eq!(undo(&approved, 3, 61).unwrap_err(), JobRefusal::NothingToUndo);
    let back = undo(&approved, 3, 60).unwrap();
    assert_eq!(back.standing, job.standing);
    assert_eq!(back.entries, approved.entries + 1);
    // Once only, and not when somebody went on from it.
    assert!(undo(&back, 3, 60).is_err());
    let further = done(&org, &approved, 7, Act::Approve);
    assert!(undo(&further, 3, 2).is_err());
    assert_eq!(undo(&further, 7, 2).unwrap().standing, approved.standing);
}

#[test]
fn a_release_held_back_leaves_by_the_clock_or_is_undone() {
    let org = house();
    let mut held = terms();
    held.send_delay = Duration::from_secs(30);
    let leaving = in_state(&org, "leaving");
    let alarm = leaving.next_alarm(&held).unwrap();
    assert_eq!(alarm.at, after(32));
    assert_eq!(leaving.ring(&org, &held, after(31)), None);
    let left = leaving.ring(&org, &held, after(32)).unwrap();
    assert_eq!(left.job.standing.state, JobState::Released);
    assert!(decide_at(&org, &leaving, BOSS, Act::Undo, after(32)).is_err());
    assert!(decide_at(&org, &left.job, BOSS, Act::Undo, after(31)).is_err());
}

#[test]
fn a_note_decides_nothing() {
    let org = house();
    let job = begin(&org, one(), Direction::Outgoing);
    let mut words = wish(&org.users[&UserId(5)], Act::Approve, after(1));
    words.note = "fiyat eski";
    let moved = job.note(&org, &words).unwrap();
    assert_eq!(moved.job.standing, job.standing);
    assert_eq!(moved.entries[0].happening.note, "fiyat eski");
    assert!(
        !moved.job.participants.contains(&UserId(5)),
        "words give no lasting sight"
    );
}

fn any_part() -> impl Strategy<Value = Part> {
    let who = prop_oneof![
        Just(Who::Role(ROLE)),
        Just(Who::Role(OTHER)),
        (2u32..8).prop_map(|n| Who::User(UserId(n))),
    ];
    let need = prop_oneof![Just(Need::One), Just(Need::All), (1u16..4).prop_map(Need::Quorum)];
    (who, need).prop_map(|(who, need)| part(who, need))
}

fn any_act() -> impl Strategy<Value = Act> {
    prop_oneof![
        8 => Just(Act::Approve),
        1 => Just(Act::Reject),
        1 => Just(Act::Return),
        2 => Just(Act::Release),
        1 => Just(Act::Cancel),
        1 => Just(Act::Withdraw),
        2 => Just(Act::Undo),
        2 => (1u32..8).prop_map(|n| Act::Delegate(UserId(n))),
        1 => (1u32..8).prop_map(|n| Act::Reassign(Who::User(UserId(n)))),
    ]
}

/// The approvals that count at the current step, read from the history alone.
fn approvals(history: &[Entry]) -> BTreeMap<UserId, String> {
    let mut stack: Vec<(Act, UserId, String)> = Vec::new();
    for entry in history {
        let (Deed::Decided(act), Some(actor)) = (&entry.happening.deed, entry.happening.actor) else {
            continue;
        };
        if *act == Act::Undo {
            stack.pop();
        } else {
            let role = entry.happening.role.clone().unwrap_or_default();
            stack.push((*act, actor, role));
        }
    }
    let given = stack.into_iter().filter(|(act, ..)| *act == Act::Approve);
    given.map(|(_, actor, role)| (actor, role)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever people wish in whatever order: a job is ready only with the approvals of enough different persons,
    /// none of them the author, and what has left stays gone.
    #[test]
    fn no_step_passes_without_its_approvals(
        parts in prop::collection::vec(any_part(), 1..4),
        wishes in prop::collection::vec((1u32..8, any_act()), 1..40),
        deputies in prop::collection::vec((2u32..8, 2u32..8), 0..3),
    ) {
        let mut org = house();
        for (principal, deputy) in deputies {
            let deputy = Deputy { user: UserId(deputy), from: start_time(), until: after(1000) };
            org.users.get_mut(&UserId(principal)).unwrap().deputies.push(deputy);
        }
        let mut job = begin(&org, vec![step(&parts)], Direction::Outgoing);
        let (mut history, mut reassigned) = (Vec::new(), false);
        for (n, (who, act)) in wishes.into_iter().enumerate() {
            let wish = wish(&org.users[&UserId(who)], act, after(n as u64));
            let Ok(moved) = job.decide(&org, &terms(), &wish) else { continue };
            prop_assert!(!matches!(job.standing.state, JobState::Released), "moved after it left");
            prop_assert!(!job.is_ended() || act == Act::Undo);
            reassigned |= matches!(act, Act::Reassign(_));
            prop_assert_eq!(moved.entries[0].n, job.entries);
            history.extend(moved.entries);
            job = moved.job;
            if act == Act::Approve {
                prop_assert_ne!(UserId(who), AUTHOR);
            }
            if job.standing.state == JobState::Ready {
                let given = approvals(&history);
                prop_assert!(!given.is_empty() && !given.contains_key(&AUTHOR));
                let needed: usize = parts.iter().map(|p| match p.need {
                    Need::One => 1,
                    Need::Quorum(n) => usize::from(n),
                    Need::All => org.members(p.who).iter().filter(|u| **u != AUTHOR).count().max(1),
                }).sum();
                prop_assert!(reassigned || given.len() >= needed, "{given:?} of {needed}");
            }
        }
    }
}
