//! The standing of paths, case by case, and with every octet of a value changed.

#[path = "revocation/tests_of_many.rs"]
mod many;

use super::*;
use crate::cms::certificate::EKU_OCSP_SIGNING;
use crate::cms::path;
use crate::cms::path::Purpose;
use crate::cms::testing::{
    List, Party, Plan, Reply, at, crl_at, distribution_point, key_usage, no_check, ocsp_at, purposes,
};
use crate::cms::{RevocationShelf, der};

const NO_GRACE: Duration = Duration::ZERO;
const DAY: Duration = Duration::from_secs(86_400);

/// Root, an authority below it, and a signer below that.
struct House {
    root: Party,
    middle: Party,
    leaf: Party,
}

fn house_with(leaf: Plan) -> House {
    let root = Plan::authority("Root").self_signed();
    let middle = Plan::authority("Middle").by(&root);
    let leaf = leaf.by(&middle);
    House { root, middle, leaf }
}

fn house() -> House {
    house_with(Plan::leaf("Signer"))
}

impl House {
    fn path(&self) -> Vec<Certificate> {
        [&self.leaf, &self.middle, &self.root]
            .map(|p| p.certificate.clone())
            .to_vec()
    }

    /// The root's list, of the whole year, in which nothing stands.
    fn quiet_root(&self) -> Vec<u8> {
        List::of(&self.root, "01-01", "12-31").der()
    }

    fn judge(&self, t: &str, crls: &[Vec<u8>], ocsp: &[Vec<u8>]) -> Standing {
        self.judge_with(t, crls, ocsp, NO_GRACE)
    }

    fn judge_with(&self, t: &str, crls: &[Vec<u8>], ocsp: &[Vec<u8>], grace: Duration) -> Standing {
        let values = RevocationValues {
            crls: [crls, &[self.quiet_root()]].concat(),
            ocsp: ocsp.to_vec(),
            certificates: Vec::new(),
        };
        judge(&self.path(), at(t), &values, grace)
    }
}

fn doubt(standing: Standing) -> Doubt {
    match standing {
        Standing::Unknown { why } => why,
        known => panic!("{known:?}"),
    }
}

fn revoked(subject: &str, since: &str, reason: RevocationReason) -> Standing {
    Standing::RevokedSince {
        subject: format!("CN={subject}"),
        at: at(since),
        reason,
    }
}

use RevocationReason::{CaCompromise, CertificateHold, KeyCompromise, Superseded};

#[test]
fn a_quiet_list_of_every_authority_makes_a_path_valid() {
    let house = house();
    let quiet = List::of(&house.middle, "05-30", "06-05").der();
    assert_eq!(
        house.judge("06-01", std::slice::from_ref(&quiet), &[]),
        Standing::ValidAt(at("06-01"))
    );
    // Nothing of the one, or of the other.
    assert_eq!(
        doubt(house.judge("06-01", &[], &[])),
        Doubt::NoValue("CN=Signer".to_owned())
    );
    let only_middle = RevocationValues {
        crls: vec![quiet],
        ..RevocationValues::default()
    };
    assert_eq!(
        doubt(judge(&house.path(), at("06-01"), &only_middle, NO_GRACE)),
        Doubt::NoValue("CN=Middle".to_owned())
    );
    // Of an anchor nobody is asked.
    let alone = [house.root.certificate.clone()];
    let nothing = RevocationValues::default();
    assert_eq!(
        judge(&alone, at("06-01"), &nothing, NO_GRACE),
        Standing::ValidAt(at("06-01"))
    );
}

#[test]
fn what_was_revoked_later_was_valid_before() {
    let house = house();
    let later = List::of(&house.middle, "07-01", "07-08").revoking(&house.leaf, "06-15", KeyCompromise);
    let later = [later.der()];
    assert_eq!(house.judge("06-01", &later, &[]), Standing::ValidAt(at("06-01")));
    assert_eq!(
        house.judge("06-15", &later, &[]),
        revoked("Signer", "06-15", KeyCompromise)
    );
    assert_eq!(
        house.judge("06-20", &later, &[]),
        revoked("Signer", "06-15", KeyCompromise)
    );
    // A compromise counts from the date of invalidity; another reason does not.
    let list = |reason| {
        let list = List::of(&house.middle, "07-01", "07-08");
        [list
            .revoking_invalid(&house.leaf, "06-15", reason, Some("05-20"))
            .der()]
    };
    assert_eq!(
        house.judge("06-01", &list(KeyCompromise), &[]),
        revoked("Signer", "05-20", KeyCompromise)
    );
    assert_eq!(
        house.judge("06-01", &list(Superseded), &[]),
        Standing::ValidAt(at("06-01"))
    );
    assert_eq!(
        house.judge("05-10", &list(KeyCompromise), &[]),
        Standing::ValidAt(at("05-10"))
    );
}

#[test]
fn a_value_must_be_of_the_time_or_later() {
    let house = house();
    let week = [List::of(&house.middle, "05-30", "06-05").der()];
    assert_eq!(house.judge("05-20", &week, &[]), Standing::ValidAt(at("05-20")));
    assert_eq!(house.judge("06-05", &week, &[]), Standing::ValidAt(at("06-05")));
    assert_eq!(
        doubt(house.judge("06-05T00:01", &week, &[])),
        Doubt::OtherTime {
            subject: "CN=Signer".to_owned(),
            from: at("05-30"),
            to: at("06-05"),
            at: at("06-05T00:01"),
        }
    );
    // With a day of grace, what was issued before T + 1 d is not the last word.
    let not_final = Doubt::NotFinal {
        subject: "CN=Signer".to_owned(),
        final_from: at("06-02"),
    };
    assert_eq!(doubt(house.judge_with("06-01", &week, &[], DAY)), not_final);
    let half = List::of(&house.middle, "06-01T12:00", "06-08").der();
    assert_eq!(
        doubt(house.judge_with("06-01", std::slice::from_ref(&half), &[], DAY)),
        not_final
    );
    let last = List::of(&house.middle, "06-02", "06-09").der();
    assert_eq!(
        house.judge_with("06-01", &[half, last], &[], DAY),
        Standing::ValidAt(at("06-01"))
    );
    // A revocation needs no grace.
    let known = List::of(&house.middle, "06-01", "06-09").revoking(&house.leaf, "05-31", Superseded);
    assert_eq!(
        house.judge_with("06-01", &[known.der()], &[], DAY),
        revoked("Signer", "05-31", Superseded)
    );
}

#[test]
fn hold_is_lifted_by_a_newer_value_and_nothing_else_is() {
    let house = house();
    let held = List::of(&house.middle, "06-01", "06-08")
        .revoking(&house.leaf, "05-31", CertificateHold)
        .der();
    let lifted = List::of(&house.middle, "06-10", "06-17").der();
    let hold = revoked("Signer", "05-31", CertificateHold);
    assert_eq!(house.judge("06-02", std::slice::from_ref(&held), &[]), hold);
    assert_eq!(
        house.judge("06-02", &[held.clone(), lifted.clone()], &[]),
        Standing::ValidAt(at("06-02"))
    );
    assert_eq!(
        house.judge("05-30", std::slice::from_ref(&held), &[]),
        Standing::ValidAt(at("05-30"))
    );
    // From hold to the end.
    let ended = List::of(&house.middle, "06-10", "06-17").revoking(&house.leaf, "06-09", KeyCompromise);
    assert_eq!(
        house.judge("06-12", &[held, ended.der()], &[]),
        revoked("Signer", "06-09", KeyCompromise)
    );
    // A revocation that a newer list does not have is not undone.
    let gone = List::of(&house.middle, "06-01", "06-08").revoking(&house.leaf, "05-31", Superseded);
    assert_eq!(
        house.judge("06-02", &[gone.der(), lifted], &[]),
        revoked("Signer", "05-31", Superseded)
    );
}

#[test]
fn a_hold_is_not_lifted_by_what_does_not_tell() {
    let house = house_with(Plan::leaf("Signer").between(at("01-01"), at("06-10")));
    // Before the hold a list holds the moment, too.
    let before = List::of(&house.middle, "05-30", "06-05").der();
    let held = List::of(&house.middle, "06-03", "06-08")
        .revoking(&house.leaf, "05-31", CertificateHold)
        .der();
    let hold = revoked("Signer", "05-31", CertificateHold);
    // The responder does not know it; the list of July need not name what ended in June.
    let unknown = Reply::good(&house.leaf, &house.middle, "06-04", "06-05").status(Status::Unknown);
    let lists = [before.clone(), held.clone()];
    assert_eq!(house.judge("06-02", &lists, &[unknown.der()]), hold);
    let july = List::of(&house.middle, "07-01", "07-08").der();
    assert_eq!(house.judge("06-02", &[before, held, july], &[]), hold);
}

#[test]
fn an_authority_that_is_revoked_takes_its_word_with_it() {
    let house = house();
    let root = List::of(&house.root, "06-20", "12-01")
        .revoking(&house.middle, "06-10", CaCompromise)
        .der();
    let before = List::of(&house.middle, "06-01", "06-08").der();
    let after = List::of(&house.middle, "06-12", "06-30").der();
    let judge_at = |t: &str, middle: &Vec<u8>| {
        let values = RevocationValues {
            crls: vec![root.clone(), middle.clone()],
            ..RevocationValues::default()
        };
        judge(&house.path(), at(t), &values, NO_GRACE)
    };
    assert_eq!(judge_at("06-01", &before), Standing::ValidAt(at("06-01")));
    assert_eq!(
        judge_at("06-11", &before),
        revoked("Middle", "06-10", CaCompromise)
    );
    assert!(matches!(
        doubt(judge_at("06-01", &after)),
        Doubt::IssuerEnded { .. }
    ));
}

#[test]
fn lists_of_others_are_not_believed() {
    let house = house();
    // The right name, another key.
    let stranger = Plan::authority("Middle").by(&Plan::authority("Root").self_signed());
    let list = List::of(&stranger, "05-30", "06-05").der();
    assert_eq!(
        doubt(house.judge("06-01", &[list], &[])),
        Doubt::Crl(CrlError::Signature("CN=Middle".to_owned()))
    );
    // The authority above is not the authority.
    let list = List::of(&house.root, "05-30", "06-05").der();
    assert_eq!(
        doubt(house.judge("06-01", &[list], &[])),
        Doubt::NoValue("CN=Signer".to_owned())
    );
    // keyCertSign alone does not sign lists.
    let root = Plan::authority("Root").self_signed();
    let ca = Plan::authority("Middle").extensions[0].clone();
    let middle = Plan::authority("Middle")
        .only(vec![ca, key_usage(0x04)])
        .by(&root);
    let leaf = Plan::leaf("Signer").by(&middle);
    let house = House { root, middle, leaf };
    let list = List::of(&house.middle, "05-30", "06-05").der();
    assert_eq!(
        doubt(house.judge("06-01", &[list], &[])),
        Doubt::Crl(CrlError::NoCrlSign("CN=Middle".to_owned()))
    );
}

#[test]
fn the_scope_of_a_list_is_honoured() {
    let house = house_with(Plan::leaf("Signer").with(crl_at("http://crl.test/1.crl")));
    let with_point = |octets: &[&[u8]]| {
        let value = der::sequence(octets);
        let point = extension::write(extension::ISSUING_DISTRIBUTION_POINT, true, &value);
        [List::of(&house.middle, "05-30", "06-05").with(point).der()]
    };
    let judged = |list: &[Vec<u8>]| house.judge("06-01", list, &[]);
    let valid = Standing::ValidAt(at("06-01"));
    assert_eq!(judged(&with_point(&[&[0x81, 1, 0xff]])), valid);
    let here = distribution_point("http://crl.test/1.crl");
    assert_eq!(judged(&with_point(&[&here])), valid);
    let there = distribution_point("http://crl.test/2.crl");
    for (octets, why) in [
        (&[0x82, 1, 0xff][..], "it speaks of authorities only"),
        (&there, "it is that of another distribution point"),
        (&[0x83, 2, 1, 0x40], "it is for some reasons only"),
        (
            &[0x84, 1, 0xff],
            "it lists certificates of other authorities (indirect)",
        ),
        (&[0x85, 1, 0xff], "it is of attribute certificates"),
    ] {
        let issuer = "CN=Middle".to_owned();
        assert_eq!(
            doubt(judged(&with_point(&[octets]))),
            Doubt::Crl(CrlError::Unused { issuer, why }),
        );
    }
}

fn answered(house: &House, reply: Reply<'_>) -> Standing {
    house.judge("06-01", &[], &[reply.der()])
}

#[test]
fn the_issuer_answers_for_its_certificates() {
    let house = house();
    let reply = || Reply::good(&house.leaf, &house.middle, "05-31", "06-02");
    assert_eq!(answered(&house, reply()), Standing::ValidAt(at("06-01")));
    let gone = |since: &str, invalid: Option<&str>| {
        reply().status(Status::Revoked {
            at: at(since),
            reason: KeyCompromise,
            invalid_since: invalid.map(at),
        })
    };
    assert_eq!(
        answered(&house, gone("05-30", None)),
        revoked("Signer", "05-30", KeyCompromise)
    );
    assert_eq!(
        answered(&house, gone("06-01T12:00", None)),
        Standing::ValidAt(at("06-01"))
    );
    assert_eq!(
        answered(&house, gone("06-01T12:00", Some("05-01"))),
        revoked("Signer", "05-01", KeyCompromise)
    );
    assert_eq!(
        doubt(answered(&house, reply().status(Status::Unknown))),
        Doubt::NotKnown("CN=Signer".to_owned())
    );
    // Unknown to the one, but the list knows.
    let list = List::of(&house.middle, "05-30", "06-05").der();
    assert_eq!(
        house.judge("06-01", &[list], &[reply().status(Status::Unknown).der()]),
        Standing::ValidAt(at("06-01"))
    );
    // Without nextUpdate it speaks of its own moment, and of what came before.
    let mut open = reply();
    open.to = None;
    let open = [open.der()];
    assert_eq!(house.judge("05-30", &[], &open), Standing::ValidAt(at("05-30")));
    assert!(matches!(
        doubt(house.judge("06-01", &[], &open)),
        Doubt::OtherTime { .. }
    ));
    // About somebody else.
    let other = Plan::leaf("Other").by(&house.middle);
    let about_other = Reply::good(&other, &house.middle, "05-31", "06-02");
    assert_eq!(
        doubt(answered(&house, about_other)),
        Doubt::NoValue("CN=Signer".to_owned())
    );
}

#[test]
fn delegates_answer_only_when_the_very_issuer_made_them() {
    let house = house();
    let reply = |responder: &Party| {
        Reply::good(&house.leaf, &house.middle, "05-31", "06-02")
            .by(responder)
            .der()
    };
    let judged = |responder: &Party| house.judge("06-01", &[], &[reply(responder)]);
    let good = Plan::responder("Desk").with(no_check()).by(&house.middle);
    assert_eq!(judged(&good), Standing::ValidAt(at("06-01")));

    let not_authorised = |responder: Party| {
        assert_eq!(
            doubt(judged(&responder)),
            Doubt::Ocsp(OcspError::NotAuthorised {
                responder: "CN=Desk".to_owned(),
                issuer: "CN=Middle".to_owned(),
            })
        );
    };
    // Made by the authority above, by a namesake, for nothing, or already over.
    not_authorised(Plan::responder("Desk").with(no_check()).by(&house.root));
    let namesake = Plan::authority("Middle").self_signed();
    not_authorised(Plan::responder("Desk").with(no_check()).by(&namesake));
    not_authorised(Plan::leaf("Desk").with(no_check()).by(&house.middle));
    let over = Plan::responder("Desk")
        .with(no_check())
        .between(at("01-01"), at("05-01"));
    not_authorised(over.by(&house.middle));
    let encipher = vec![key_usage(0x20), purposes(&[EKU_OCSP_SIGNING]), no_check()];
    not_authorised(Plan::leaf("Desk").only(encipher).by(&house.middle));
    // The signer cannot vouch for itself.
    let mut own = Reply::good(&house.leaf, &house.middle, "05-31", "06-02").by(&house.leaf);
    own.along.clear();
    assert_eq!(
        doubt(house.judge("06-01", &[], &[own.der()])),
        Doubt::Ocsp(OcspError::NoResponder)
    );
}

#[test]
fn a_delegate_is_itself_asked_about() {
    let house = house();
    let desk = Plan::responder("Desk").by(&house.middle);
    let reply = Reply::good(&house.leaf, &house.middle, "05-31", "06-02")
        .by(&desk)
        .der();
    let doubted = doubt(house.judge("06-01", &[], std::slice::from_ref(&reply)));
    assert!(matches!(doubted, Doubt::Responder { .. }), "{doubted:?}");
    // By the issuer's own answer it stands; by its own it does not.
    let about_desk = Reply::good(&desk, &house.middle, "05-31", "06-02");
    assert_eq!(
        house.judge("06-01", &[], &[reply.clone(), about_desk.der()]),
        Standing::ValidAt(at("06-01"))
    );
    let own_word = Reply::good(&desk, &house.middle, "05-31", "06-02")
        .by(&desk)
        .der();
    assert!(matches!(
        doubt(house.judge("06-01", &[], &[reply.clone(), own_word])),
        Doubt::Responder { .. }
    ));
    let list = List::of(&house.middle, "05-20", "05-30").revoking(&desk, "05-19", KeyCompromise);
    assert_eq!(
        doubt(house.judge("06-01", &[list.der()], &[reply])),
        Doubt::ResponderRevoked {
            responder: "CN=Desk".to_owned(),
            at: at("05-19")
        }
    );
}

#[test]
fn what_is_issued_after_the_end_need_not_remember() {
    let short = Plan::leaf("Signer").between(at("01-01"), at("06-10"));
    let house = house_with(short);
    let late = || List::of(&house.middle, "07-01", "07-08");
    assert_eq!(
        doubt(house.judge("06-01", &[late().der()], &[])),
        Doubt::Forgotten {
            subject: "CN=Signer".to_owned(),
            ended: at("06-10")
        }
    );
    let since = |t: &str| {
        extension::write(
            extension::EXPIRED_CERTS_ON_CRL,
            false,
            &der::generalized_time(at(t)),
        )
    };
    assert_eq!(
        house.judge("06-01", &[late().with(since("06-01")).der()], &[]),
        Standing::ValidAt(at("06-01"))
    );
    assert!(matches!(
        doubt(house.judge("06-01", &[late().with(since("06-20")).der()], &[])),
        Doubt::Forgotten { .. }
    ));
}

#[test]
fn of_some_nothing_is_ever_published() {
    let never = || extension::write(extension::NO_REV_AVAIL, false, &[der::NULL, 0]);
    let house = house_with(Plan::leaf("Signer").with(never()));
    assert_eq!(house.judge("06-01", &[], &[]), Standing::ValidAt(at("06-01")));
    let contradicted = Plan::leaf("Signer")
        .with(never())
        .with(ocsp_at("http://ocsp.test/"));
    let house = house_with(contradicted);
    assert_eq!(
        doubt(house.judge("06-01", &[], &[])),
        Doubt::NoValue("CN=Signer".to_owned())
    );
}

#[test]
fn no_changed_octet_makes_a_good_value() {
    let house = house();
    let desk = Plan::responder("Desk").with(no_check()).by(&house.middle);
    let list = List::of(&house.middle, "05-30", "06-05")
        .revoking(&desk, "05-31", Superseded)
        .der();
    let own = Reply::good(&house.leaf, &house.middle, "05-31", "06-02").der();
    let delegated = Reply::good(&house.leaf, &house.middle, "05-31", "06-02")
        .by(&desk)
        .der();
    let valid = Standing::ValidAt(at("06-01"));
    for (value, is_list) in [(list, true), (own, false), (delegated, false)] {
        let judged = |octets: Vec<u8>| match is_list {
            true => house.judge("06-01", &[octets], &[]),
            false => house.judge("06-01", &[], &[octets]),
        };
        assert_eq!(judged(value.clone()), valid);
        for i in 0..value.len() {
            for bit in [0x01, 0x80] {
                let mut changed = value.clone();
                changed[i] ^= bit;
                assert!(matches!(judged(changed), Standing::Unknown { .. }), "octet {i}");
            }
            if i % 7 == 0 {
                assert!(matches!(judged(value[..i].to_vec()), Standing::Unknown { .. }));
            }
        }
    }
}

#[test]
fn a_long_list_is_looked_up_in_place() {
    let house = house();
    let mut list = List::of(&house.middle, "05-30", "06-05");
    let entry = crate::cms::crl::Entry {
        revoked_at: at("05-01"),
        reason: Superseded,
        invalid_since: None,
    };
    // SEQUENCE, INTEGER, and then the number, of which the last four octets count.
    let mut one = entry.der(&[0x11, 0, 0, 0, 0]);
    for n in 0..100_000_u32 {
        one[5..9].copy_from_slice(&n.to_be_bytes());
        list.revoked.extend_from_slice(&one);
    }
    let list = list.revoking(&house.leaf, "05-20", KeyCompromise);
    let octets = list.der();
    let crl = crate::cms::crl::Crl::read(&octets).unwrap();
    assert_eq!(crl.count(), 100_001);
    assert_eq!(crl.find(&[0x11, 0, 1, 0, 0]).unwrap(), Some(entry));
    assert_eq!(crl.find(&[0x12]).unwrap(), None);
    assert_eq!(
        house.judge("06-01", &[octets], &[]),
        revoked("Signer", "05-20", KeyCompromise)
    );
}

#[test]
fn revocation_is_no_matter_of_the_path_itself() {
    let house = house();
    let pool = [house.middle.certificate.clone()];
    let anchors = [house.root.certificate.clone()];
    let path = path::validate(
        &house.leaf.certificate,
        &pool,
        &anchors,
        at("06-01"),
        Purpose::Signing,
    );
    assert_eq!(path.unwrap(), house.path());
}
