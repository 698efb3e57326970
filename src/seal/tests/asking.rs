//! Asking while somebody waits: what is asked, what is remembered, and what happens when nobody answers.

use super::revocation::{CRL_URL, HOUR, OCSP_URL, ROOT_URL, Scene, scene};
use super::*;
use crate::cms::testing::{List, Plan, at, crl_at};
use crate::cms::{Purpose, RevocationReason, RevocationShelf};
use crate::seal::asking::Asker;
use crate::seal::holder::{CertificateJudge as _, PathJudge, WhenUnknown};
use crate::seal::reliance::{Basis, Proof, Reliance, Relied, Use};

pub(super) const WAIT: Duration = Duration::from_secs(5);

fn asker(scene: &Scene) -> Asker {
    Asker::new(scene.collector.clone(), scene.clock.clone())
}

pub(super) fn relied(scene: &Scene, t: &str) -> Relied {
    let used = Use {
        leaf: &scene.leaf.certificate,
        along: &[],
        at: at(t),
        purpose: Purpose::Signing,
        proof: Proof::Stamped,
    };
    let trust = scene.trust();
    Basis::asked_elsewhere(&trust)
        .rely(used, &Default::default())
        .unwrap()
}

pub(super) fn valid(t: &str) -> Reliance {
    Reliance::Valid {
        at: at(t),
        revoked_later: None,
    }
}

#[tokio::test]
async fn who_is_good_for_the_next_minute_is_not_asked_about_in_it() {
    let scene = scene();
    let asker = asker(&scene);
    let trust = scene.trust();
    scene.shelf.put(OCSP_URL, scene.good("06-01", "06-02"));
    let ask = async |t: &str| asker.reliance(&trust, &relied(&scene, t), WAIT).await;
    assert_eq!(ask("06-01").await, valid("06-01"));
    assert_eq!(scene.shelf.asked(), [OCSP_URL, ROOT_URL]);
    // At an earlier moment as well, and without a look at the values.
    scene.shelf.put(OCSP_URL, b"changed".to_vec());
    assert_eq!(ask("05-20").await, valid("05-20"));
    assert_eq!(scene.shelf.asked(), Vec::<String>::new());
    // After a minute, and with its time over, it is.
    scene.clock.advance(25 * HOUR);
    assert!(matches!(ask("06-02").await, Reliance::Unknown(_)));
    assert_eq!(scene.shelf.asked(), [OCSP_URL, CRL_URL]);
}

#[tokio::test]
async fn who_is_revoked_is_told_each_time_and_may_come_back_from_hold() {
    let scene = scene();
    let (asker, trust) = (asker(&scene), scene.trust());
    let held = List::of(&scene.middle, "05-31", "06-30").revoking(
        &scene.leaf,
        "05-30",
        RevocationReason::CertificateHold,
    );
    scene.shelf.put(CRL_URL, held.der());
    let ask = async |t: &str| asker.reliance(&trust, &relied(&scene, t), WAIT).await;
    for _ in 0..2 {
        let Reliance::Revoked(revoked) = ask("06-01").await else {
            panic!("not revoked")
        };
        assert_eq!(revoked.since, at("05-30"));
    }
    let before = ask("05-20").await;
    assert!(
        matches!(
            &before,
            Reliance::Valid {
                revoked_later: Some(_),
                ..
            }
        ),
        "{before:?}"
    );
    scene.clock.advance(HOUR);
    scene.shelf.put(OCSP_URL, scene.good("06-01", "06-02"));
    scene
        .shelf
        .put(CRL_URL, List::of(&scene.middle, "06-01", "06-30").der());
    let found = asker.reliance(&trust, &relied(&scene, "06-01"), WAIT).await;
    assert_eq!(found, valid("06-01"));
}

#[tokio::test]
async fn where_no_place_is_named_nobody_is_asked() {
    let scene = scene();
    let lone = Plan::leaf("Lone").by(&scene.root);
    let used = Use {
        leaf: &lone.certificate,
        along: &[],
        at: at("06-01"),
        purpose: Purpose::Signing,
        proof: Proof::Stamped,
    };
    let trust = scene.trust();
    let relied = Basis::from(&trust).rely(used, &Default::default()).unwrap();
    assert_eq!(relied.reliance, Reliance::NobodyToAsk);
    let asker = asker(&scene);
    assert_eq!(asker.reliance(&trust, &relied, WAIT).await, Reliance::NobodyToAsk);
    assert_eq!(scene.shelf.asked(), Vec::<String>::new());
}

/// The authority in the middle is certified by two; one of them took its word back.
#[tokio::test]
async fn of_two_ways_to_an_anchor_the_open_one_is_found() {
    let scene = scene();
    let other = Plan::authority("Other Root").self_signed();
    let plan = Plan::authority("Middle").keyed(&scene.middle.key);
    let crossed = plan.with(crl_at("http://pki.test/other.crl")).by(&other);
    let mut trust = scene.trust();
    trust.add_anchor(other.certificate.clone());
    trust.add_intermediate(crossed.certificate.clone());
    let quiet = List::of(&scene.middle, "05-31", "06-30");
    scene.shelf.put(CRL_URL, quiet.der());
    let reason = RevocationReason::CessationOfOperation;
    let closed = List::of(&scene.root, "05-31", "06-30").revoking(&scene.middle, "05-15", reason);
    scene.shelf.put(ROOT_URL, closed.der());
    let relied = relied(&scene, "06-01");
    let ask = async |trust: &TrustStore| asker(&scene).reliance(trust, &relied, WAIT).await;
    assert!(matches!(ask(&scene.trust()).await, Reliance::Revoked(_)));
    assert!(
        matches!(ask(&trust).await, Reliance::Unknown(_)),
        "the other way may be open"
    );
    scene.clock.advance(HOUR);
    let open = List::of(&other, "05-31", "06-30");
    scene.shelf.put("http://pki.test/other.crl", open.der());
    assert_eq!(ask(&trust).await, valid("06-01"));
}

#[tokio::test]
async fn what_is_gathered_serves_every_moment() {
    let scene = scene();
    let (asker, trust) = (asker(&scene), scene.trust());
    scene.shelf.put(OCSP_URL, scene.good("06-01", "06-02"));
    let both = [relied(&scene, "05-20"), relied(&scene, "06-01")];
    let shelf = asker.gather(&trust, &both, WAIT).await;
    assert_eq!(scene.shelf.asked(), [OCSP_URL, ROOT_URL]);
    for (one, t) in both.iter().zip(["05-20", "06-01"]) {
        let used = Use {
            leaf: &one.leaf,
            along: &[],
            at: at(t),
            purpose: Purpose::Signing,
            proof: Proof::Stamped,
        };
        let judged = |shelf: &RevocationShelf| {
            let basis = Basis::known(&trust, shelf);
            basis.rely(used, &Default::default()).unwrap().reliance
        };
        assert_eq!(judged(&shelf), valid(t));
        assert!(matches!(
            judged(&RevocationShelf::default()),
            Reliance::Unknown(_)
        ));
    }
}

#[tokio::test]
async fn a_revoked_card_lets_nobody_in_and_its_name_is_not_told() {
    let scene = scene();
    let judge = |when| PathJudge::new(scene.trust()).asking(Arc::new(asker(&scene)), when);
    let ask = async |judge: PathJudge| judge.judge(&scene.leaf.certificate, &[], at("06-01")).await;
    // Nobody tells: as the setting says.
    let refused = ask(judge(WhenUnknown::Refuse)).await.unwrap_err();
    assert!(refused.0.contains("cannot be learnt now"), "{refused}");
    assert_eq!(ask(judge(WhenUnknown::Accept)).await, Ok(()));
    assert_eq!(
        ask(PathJudge::new(scene.trust())).await,
        Ok(()),
        "nobody is asked"
    );

    scene.clock.advance(HOUR);
    scene.shelf.put(OCSP_URL, scene.good("06-01", "06-02"));
    assert_eq!(ask(judge(WhenUnknown::Refuse)).await, Ok(()));
    let lost = List::of(&scene.middle, "05-31", "06-30").revoking(
        &scene.leaf,
        "05-30",
        RevocationReason::KeyCompromise,
    );
    scene.clock.advance(25 * HOUR);
    scene.shelf.put(OCSP_URL, Vec::new());
    scene.shelf.put(CRL_URL, lost.der());
    for when in [WhenUnknown::Refuse, WhenUnknown::Accept] {
        assert_eq!(
            ask(judge(when)).await.unwrap_err().0,
            "the certificate lets nobody in"
        );
    }
}

#[test]
fn a_sentence_for_the_log_quotes_no_name() {
    use crate::cms::without_names;
    for (said, wanted) in [
        (
            "'CN=A, serialNumber=17291716060' is valid from 1 to 2",
            "'...' is valid from 1 to 2",
        ),
        (
            "no path from 'CN=a' b='17291716060' to a trust anchor",
            "no path from '...' to a trust anchor",
        ),
        (
            "the certificate of 'X', which issued 'Y', is missing",
            "the certificate of '...', is missing",
        ),
        ("no names, no marks'", "no names, no marks'"),
        ("nothing", "nothing"),
    ] {
        assert_eq!(without_names(said), wanted);
    }
}
