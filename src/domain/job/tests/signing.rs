//! Where mail leaves with an officer's signature: a job is released by that, and by nothing else.

use super::*;
use crate::domain::signature::SignatureDemand;

fn signed(org: &Organisation, job: &Job, who: UserId) -> Result<Job, JobRefusal> {
    let wish = Wish {
        route: Route::Mail,
        ..wish(&org.users[&who], Act::Release, after(3))
    };
    let moved = job.release_signed(org, &wish)?;
    assert_eq!(moved.entries[0].happening.deed, Deed::Decided(Act::Release));
    assert_eq!(moved.entries[0].happening.route, Some(Route::Mail));
    assert_eq!(moved.entries[0].original_sha256, DIGEST);
    Ok(moved.job)
}

#[test]
fn an_officer_releases_what_is_ready_and_nothing_else() {
    let (plain, mut org) = (house(), house());
    for demand in [SignatureDemand::None, SignatureDemand::Officer] {
        org.tenant.signature = demand;
        for state in [
            "waiting",
            "returned",
            "leaving",
            "released",
            "approved",
            "rejected",
            "withdrawn",
            "cancelled",
            "expired",
            "resubmitted",
        ] {
            let job = in_state(&plain, state);
            assert!(signed(&org, &job, BOSS).is_err(), "{state}");
        }
        let ready = in_state(&plain, "ready");
        assert_eq!(signed(&org, &ready, AUTHOR), Err(JobRefusal::NotOfficer));
        let other = Job {
            original_sha256: [0xEE; 32],
            ..ready.clone()
        };
        assert_eq!(signed(&org, &other, BOSS), Err(JobRefusal::OtherOctets));
        let released = signed(&org, &ready, BOSS).unwrap();
        assert_eq!(released.standing.state, JobState::Released);
        assert!(released.undoable.is_none() && released.ended_at == Some(after(3)));
        assert!(released.participants.contains(&BOSS));
    }
}

#[test]
fn an_unsigned_release_is_refused_there_and_all_else_is_as_ever() {
    let mut org = house();
    let ready = in_state(&org, "ready");
    org.tenant.signature = SignatureDemand::Officer;
    let refused = decide_at(&org, &ready, BOSS, Act::Release, after(3)).unwrap_err();
    assert_eq!(refused, JobRefusal::Unsigned(ready.id));
    assert!(refused.to_string().contains(&format!("X-KEP-Is: {}", ready.id)));
    // Who may not release at all is told that.
    let other = decide_at(&org, &ready, AUTHOR, Act::Release, after(3)).unwrap_err();
    assert_eq!(other, JobRefusal::NotOfficer);
    for (act, state) in [
        (Act::Reject, JobState::Rejected),
        (Act::Return, JobState::Returned),
    ] {
        let moved = decide_at(&org, &ready, BOSS, act, after(3)).unwrap();
        assert_eq!(moved.standing.state, state);
    }
    org.tenant.signature = SignatureDemand::Author;
    let released = decide_at(&org, &ready, BOSS, Act::Release, after(3)).unwrap();
    assert_eq!(released.standing.state, JobState::Released);
}
