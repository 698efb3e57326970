//! Revocation in the verifier: of the signer and of the time-stamp authority, before and after the moment that counts.

use super::*;
use crate::cms::Purpose;
use crate::cms::algorithm::sha256;
use crate::cms::testing::{List, Party, Plan, at, crl_at, key_usage};
use crate::cms::{RevocationReason, RevocationShelf, der, extension};
use crate::seal::reliance::{Basis, Proof, Reliance, Use};
use crate::seal::verifier::{Finding, TrustMoment, verify_entity};
use RevocationReason::{CertificateHold, CessationOfOperation, KeyCompromise, Superseded};

const SIGNED_AT: &str = "06-01";
const SEAL_URL: &str = "http://pki.test/seals.crl";
const STAMP_URL: &str = "http://pki.test/stamps.crl";

/// One critical purpose (RFC 3161 2.3).
fn stamping() -> Vec<u8> {
    let oid = crate::cms::certificate::EKU_TIME_STAMPING;
    let value = der::sequence(&[&der::tlv(der::OID, &[oid])]);
    extension::write(&[0x55, 0x1d, 37], true, &value)
}

fn key_of(party: &Party) -> SealKey {
    SealKey::from_pem(&party.key.serialize_pem()).unwrap()
}

/// Two authorities, one for seals, one for time-stamps, and who has a certificate of them.
struct Scene {
    seals: Party,
    stamps: Party,
    signer: Party,
    clockmaker: Party,
    trust: Arc<TrustStore>,
    sealer: Sealer,
}

fn scene_with(places: bool) -> Scene {
    let (seals, stamps) = (
        Plan::authority("Seals").self_signed(),
        Plan::authority("Stamps").self_signed(),
    );
    let (mut signer, mut clockmaker) = (Plan::leaf("Seal"), Plan::leaf("Clock"));
    clockmaker = clockmaker.only(vec![key_usage(0xc0), stamping()]);
    if places {
        signer = signer.with(crl_at(SEAL_URL));
        clockmaker = clockmaker.with(crl_at(STAMP_URL));
    }
    let (signer, clockmaker) = (signer.by(&seals), clockmaker.by(&stamps));
    let mut trust = TrustStore::new();
    trust.add_anchor(seals.certificate.clone());
    trust.add_anchor(stamps.certificate.clone());
    let trust = Arc::new(trust);
    let authority = DevAuthority::new(key_of(&clockmaker), clockmaker.certificate.clone()).unwrap();
    let transport = LocalTransport::new(authority, Arc::new(ManualClock::at(at(SIGNED_AT))), 1);
    let chain = vec![signer.certificate.clone()];
    let sealer = Sealer::new(key_of(&signer), chain, client(transport, &trust)).unwrap();
    Scene {
        seals,
        stamps,
        signer,
        clockmaker,
        trust,
        sealer,
    }
}

fn scene() -> Scene {
    scene_with(true)
}

fn shelf(lists: &[List<'_>]) -> RevocationShelf {
    let mut shelf = RevocationShelf::default();
    for list in lists {
        shelf.add_list(&list.der()).unwrap();
    }
    shelf
}

impl Scene {
    async fn evidence(&self) -> Vec<u8> {
        let sealed = self.sealer.seal_evidence(EVIDENCE.as_bytes(), at(SIGNED_AT));
        sealed.await.unwrap()
    }

    fn judge(&self, xml: &[u8], shelf: &RevocationShelf) -> EvidenceReport {
        verify_evidence(xml, Basis::known(&self.trust, shelf), no_schema)
    }

    fn quiet_seals(&self) -> List<'_> {
        List::of(&self.seals, "05-31", "06-30")
    }

    fn quiet_stamps(&self) -> List<'_> {
        List::of(&self.stamps, "05-31", "06-30")
    }
}

fn said(finding: &Finding) -> String {
    finding.to_string()
}

#[tokio::test]
async fn a_seal_is_valid_at_its_stamp_whatever_happened_later() {
    let scene = scene();
    let xml = scene.evidence().await;
    let report = scene.judge(&xml, &shelf(&[scene.quiet_seals(), scene.quiet_stamps()]));
    assert!(report.findings.all_ok(), "{:?}", report.findings);
    let valid = |report: &EvidenceReport| report.relied.clone().unwrap().reliance;
    let good = Reliance::Valid {
        at: at(SIGNED_AT),
        revoked_later: None,
    };
    assert_eq!(valid(&report), good);
    assert_eq!(report.stamps[0].reliance, good);

    // A month later the key is lost: what was stamped before holds, and the report tells.
    let later = List::of(&scene.seals, "07-02", "07-30").revoking(&scene.signer, "07-01", KeyCompromise);
    let report = scene.judge(&xml, &shelf(&[later, scene.quiet_stamps()]));
    assert!(report.findings.all_ok(), "{:?}", report.findings);
    let Reliance::Valid {
        revoked_later: Some(revoked),
        ..
    } = valid(&report)
    else {
        panic!("{report:?}")
    };
    let revoked = revoked.earliest().unwrap();
    assert_eq!((revoked.since, revoked.reason), (at("07-01"), KeyCompromise));
}

#[tokio::test]
async fn a_seal_that_was_revoked_before_its_stamp_is_not_trusted() {
    let scene = scene();
    let xml = scene.evidence().await;
    let judge = |seals: List<'_>| scene.judge(&xml, &shelf(&[seals, scene.quiet_stamps()]));
    let revoked = scene
        .quiet_seals()
        .revoking(&scene.signer, "05-30", CessationOfOperation);
    let report = judge(revoked);
    assert_eq!(
        said(&report.findings.trust),
        "failed: 'CN=Seal' is revoked since 2026-05-30T00:00:00Z (cessationOfOperation)"
    );
    assert!(report.findings.timestamp.is_ok() && report.findings.signature.is_ok());
    // At that very moment; and lost before, though told later.
    assert!(
        !judge(scene.quiet_seals().revoking(&scene.signer, SIGNED_AT, Superseded))
            .findings
            .all_ok()
    );
    let told_later = List::of(&scene.seals, "07-02", "07-30").revoking_invalid(
        &scene.signer,
        "07-01",
        KeyCompromise,
        Some("05-15"),
    );
    let report = judge(told_later);
    assert!(said(&report.findings.trust).contains("since 2026-05-15T00:00:00Z (keyCompromise)"));
    // On hold; and taken from hold.
    let held = scene
        .quiet_seals()
        .revoking(&scene.signer, "05-20", CertificateHold);
    let held_der = held.der();
    assert!(said(&judge(held).findings.trust).contains("(certificateHold)"));
    let mut all = shelf(&[List::of(&scene.seals, "06-10", "06-30"), scene.quiet_stamps()]);
    all.add_list(&held_der).unwrap();
    assert!(scene.judge(&xml, &all).findings.all_ok());
}

#[tokio::test]
async fn without_a_word_of_revocation_it_is_unknown_where_one_could_ask() {
    let scene = scene();
    let xml = scene.evidence().await;
    let report = verify_evidence(&xml, &scene.trust, no_schema);
    let why = |name: &str| format!("unknown: nothing is known of a revocation of '{name}'");
    assert_eq!(said(&report.findings.trust), why("CN=Seal"));
    assert_eq!(said(&report.findings.timestamp), why("CN=Clock"));
    assert_eq!(report.trust_moment, Some(TrustMoment::Stamped(at(SIGNED_AT))));
    // Who asks himself is told of whom.
    let report = verify_evidence(&xml, Basis::asked_elsewhere(&scene.trust), no_schema);
    assert!(report.findings.all_ok());
    assert_eq!(report.relied.unwrap().leaf, scene.signer.certificate);
    assert_eq!(report.stamps[0].leaf, scene.clockmaker.certificate);
    // A list of another time, and of another authority of that name.
    let stale = scene.judge(
        &xml,
        &shelf(&[List::of(&scene.seals, "05-01", "05-30"), scene.quiet_stamps()]),
    );
    assert!(said(&stale.findings.trust).starts_with("unknown: what is known of 'CN=Seal' is of 2026-05-01"));
    let stranger = Plan::authority("Seals").self_signed();
    let forged = List::of(&stranger, "05-31", "06-30").revoking(&scene.signer, "05-30", KeyCompromise);
    let forged = scene.judge(&xml, &shelf(&[forged, scene.quiet_stamps()]));
    assert!(said(&forged.findings.trust).starts_with("unknown: the signature on the revocation list"));

    // Authorities of one's own say nothing to anybody, and that is no doubt.
    let own = scene_with(false);
    let xml = own.evidence().await;
    let report = verify_evidence(&xml, &own.trust, no_schema);
    assert!(report.findings.all_ok(), "{:?}", report.findings);
    assert_eq!(report.relied.unwrap().reliance, Reliance::NobodyToAsk);
    assert_eq!(report.stamps[0].reliance, Reliance::NobodyToAsk);
    // But what is known counts all the same.
    let known = List::of(&own.seals, "06-02", "06-30").revoking(&own.signer, "05-30", KeyCompromise);
    assert!(!own.judge(&xml, &shelf(&[known])).findings.trust.is_ok());
}

#[tokio::test]
async fn a_stamp_of_a_revoked_authority_proves_no_time() {
    let scene = scene();
    let xml = scene.evidence().await;
    let judge = |stamps: List<'_>| scene.judge(&xml, &shelf(&[scene.quiet_seals(), stamps]));
    let before = judge(
        scene
            .quiet_stamps()
            .revoking(&scene.clockmaker, "05-30", Superseded),
    );
    assert_eq!(
        said(&before.findings.timestamp),
        "failed: 'CN=Clock' is revoked since 2026-05-30T00:00:00Z (superseded)"
    );
    assert_eq!(
        (before.stamp_time, before.trust_moment),
        (None, Some(TrustMoment::Claimed(at(SIGNED_AT))))
    );
    // Who merely stopped harms nothing; whose key was lost may have stamped this afterwards (RFC 3161 4).
    let later = |reason| {
        judge(List::of(&scene.stamps, "07-02", "07-30").revoking(&scene.clockmaker, "07-01", reason))
    };
    let stopped = later(CessationOfOperation);
    assert!(stopped.findings.all_ok(), "{:?}", stopped.findings);
    for reason in [KeyCompromise, RevocationReason::Unspecified] {
        let lost = later(reason);
        let why = format!(
            "unknown: 'CN=Clock' was revoked at 2026-07-01T00:00:00Z ({}), and nothing proves that the time-stamp is older",
            reason.word()
        );
        assert_eq!(said(&lost.findings.timestamp), why);
        assert_eq!(lost.stamps[0].doubted_from(), Some(at("07-01")));
    }
}

/// The clock's key is lost, and only then does the authority above it close.
#[tokio::test]
async fn an_authority_that_closed_does_not_hide_that_a_stamp_below_it_is_in_doubt() {
    let root = Plan::authority("Root").self_signed();
    let closed = Plan::authority("Stamps")
        .with(crl_at("http://pki.test/root.crl"))
        .by(&root);
    let clockmaker = Plan::leaf("Clock").only(vec![key_usage(0xc0), stamping()]);
    let clockmaker = clockmaker.with(crl_at(STAMP_URL)).by(&closed);
    let judge = |clock: (&str, RevocationReason), above: (&str, RevocationReason)| {
        let lists = [
            List::of(&closed, "07-02", "07-30").revoking(&clockmaker, clock.0, clock.1),
            List::of(&root, "08-02", "08-30").revoking(&closed, above.0, above.1),
        ];
        let known = shelf(&lists);
        let mut trust = TrustStore::new();
        trust.add_anchor(root.certificate.clone());
        trust.add_intermediate(closed.certificate.clone());
        let used = Use {
            leaf: &clockmaker.certificate,
            along: &[],
            at: at(SIGNED_AT),
            purpose: Purpose::TimeStamping,
            proof: Proof::OwnWord,
        };
        let relied = Basis::known(&trust, &known).rely(used, &RevocationShelf::default());
        let relied = relied.unwrap();
        (
            relied.distrust().map(|why| why.to_string()),
            relied.doubted_from(),
        )
    };
    let (why, from) = judge(("07-01", KeyCompromise), ("08-01", CessationOfOperation));
    assert!(
        why.unwrap()
            .starts_with("'CN=Clock' was revoked at 2026-07-01T00:00:00Z (keyCompromise)")
    );
    // What a record proves to be of between the two is not healed by it.
    assert_eq!(from, Some(at("07-01")));
    // Both lost: from the first on. Both merely stopped: no harm.
    let (_, from) = judge(
        ("07-01", KeyCompromise),
        ("08-01", RevocationReason::CaCompromise),
    );
    assert_eq!(from, Some(at("07-01")));
    assert_eq!(
        judge(("07-01", Superseded), ("08-01", CessationOfOperation)),
        (None, None)
    );
    // And the other way round: the clock stopped, and its authority's key was lost later.
    let (why, from) = judge(("07-01", Superseded), ("08-01", RevocationReason::CaCompromise));
    assert!(why.unwrap().starts_with("'CN=Stamps' was revoked at"));
    assert_eq!(from, Some(at("08-01")));
}

#[tokio::test]
async fn without_a_stamp_a_later_revocation_counts() {
    let scene = scene();
    let unstamped = scene
        .sealer
        .sign_entity(sha256(b"abc"), at(SIGNED_AT))
        .await
        .unwrap();
    let judge = |shelf: &RevocationShelf| {
        verify_entity(sha256(b"abc"), &unstamped, Basis::known(&scene.trust, shelf))
    };
    assert!(judge(&shelf(&[scene.quiet_seals()])).trust.is_ok());
    let later = List::of(&scene.seals, "07-02", "07-30").revoking(&scene.signer, "07-01", Superseded);
    let report = judge(&shelf(&[later]));
    assert_eq!(
        said(&report.trust),
        "unknown: 'CN=Seal' was revoked at 2026-07-01T00:00:00Z (superseded), and nothing proves that the signature is older"
    );
    let stamped = scene
        .sealer
        .seal_entity(sha256(b"abc"), at(SIGNED_AT))
        .await
        .unwrap();
    let later = List::of(&scene.seals, "07-02", "07-30").revoking(&scene.signer, "07-01", Superseded);
    let known = shelf(&[later, scene.quiet_stamps()]);
    let report = verify_entity(sha256(b"abc"), &stamped, Basis::known(&scene.trust, &known));
    assert!(report.trust.is_ok() && report.timestamp.is_ok(), "{report:?}");
}

/// The seals' authority is certified by two; one of them took its word back.
#[tokio::test]
async fn of_two_ways_to_an_anchor_the_open_one_counts() {
    let scene = scene();
    let xml = scene.evidence().await;
    let (old, new) = (
        Plan::authority("Old").self_signed(),
        Plan::authority("New").self_signed(),
    );
    let crossed = |root: &Party| {
        let plan = Plan::authority("Seals").keyed(&scene.seals.key);
        plan.with(crl_at("http://pki.test/root.crl")).by(root)
    };
    let (by_old, by_new) = (crossed(&old), crossed(&new));
    let mut trust = TrustStore::new();
    for anchor in [&old, &new, &scene.stamps] {
        trust.add_anchor(anchor.certificate.clone());
    }
    trust.add_intermediate(by_old.certificate.clone());
    let closed = || List::of(&old, "05-31", "06-30").revoking(&by_old, "05-15", KeyCompromise);
    let known = shelf(&[scene.quiet_seals(), scene.quiet_stamps(), closed()]);
    let report = verify_evidence(&xml, Basis::known(&trust, &known), no_schema);
    assert!(said(&report.findings.trust).starts_with("failed: 'CN=Seals' is revoked since 2026-05-15"));
    trust.add_intermediate(by_new.certificate.clone());
    let open = List::of(&new, "05-31", "06-30");
    let known = shelf(&[scene.quiet_seals(), scene.quiet_stamps(), closed(), open]);
    let report = verify_evidence(&xml, Basis::known(&trust, &known), no_schema);
    assert!(report.findings.all_ok(), "{:?}", report.findings);
}
