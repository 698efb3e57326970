//! What the trust store remembers of signatures that held serves for those very octets and no others.

use super::*;
use crate::cms::testing::{List, Party, Plan, at, crl_at, key_usage};
use crate::cms::{Certificate, Purpose, der, extension};
use crate::seal::verifier::Finding;
use crate::xml::{Embedded, Level, ValueSet, embed_values};

const SIGNED_AT: &str = "06-01";

fn trusting(authority: &Party) -> TrustStore {
    let mut trust = TrustStore::new();
    trust.add_anchor(authority.certificate.clone());
    trust
}

fn key_of(party: &Party) -> SealKey {
    SealKey::from_pem(&party.key.serialize_pem()).unwrap()
}

#[test]
fn a_certificate_with_one_bit_changed_is_refused_after_the_good_one_was_remembered() {
    let authority = Plan::authority("Root").self_signed();
    let leaf = Plan::leaf("Seal").by(&authority).certificate;
    let trust = trusting(&authority);
    let is_trusted = |c: &Certificate| trust.check(c, &[], at(SIGNED_AT), Purpose::Signing).is_ok();
    assert!(is_trusted(&leaf));
    let mut still_read = 0;
    for place in 0..leaf.der().len() {
        let mut changed = leaf.der().to_vec();
        changed[place] ^= 1 << (place % 8);
        let Ok(changed) = Certificate::from_der(&changed) else {
            continue;
        };
        still_read += 1;
        // Asked twice: nor is it remembered as good afterwards.
        assert!(!is_trusted(&changed) && !is_trusted(&changed), "octet {place}");
    }
    assert!(still_read > 100, "{still_read}");
    assert!(is_trusted(&leaf));
    // The link is remembered, not the verdict: a year later the same certificate has ended.
    let later = UtcTime::parse_rfc3339("2027-06-01T00:00:00Z").unwrap();
    assert!(trust.check(&leaf, &[], later, Purpose::Signing).is_err());
    assert!(
        trust
            .check(&leaf, &[], at(SIGNED_AT), Purpose::TimeStamping)
            .is_err()
    );
}

#[test]
fn a_link_is_not_remembered_for_another_issuer_of_that_name() {
    let authority = Plan::authority("Root").self_signed();
    let leaf = Plan::leaf("Seal").by(&authority).certificate;
    let mut trust = trusting(&authority);
    let check = |trust: &TrustStore| trust.check(&leaf, &[], at(SIGNED_AT), Purpose::Signing);
    assert!(check(&trust).is_ok());
    // What was learnt goes with the store, whom it trusts does not.
    let mut other = TrustStore::new();
    other.add_anchor(Plan::authority("Root").self_signed().certificate);
    std::mem::swap(&mut trust, &mut other);
    assert!(check(&trust).is_err());
    assert!(check(&other).is_ok());
}

#[tokio::test]
async fn a_list_with_one_bit_changed_counts_for_nothing_after_the_good_one_was_remembered() {
    let authority = Plan::authority("Root").self_signed();
    let place = || crl_at("http://pki.test/root.crl");
    let signer = Plan::leaf("Seal").with(place()).by(&authority);
    let stamping = der::sequence(&[&der::tlv(der::OID, &[crate::cms::certificate::EKU_TIME_STAMPING])]);
    let stamping = extension::write(&[0x55, 0x1d, 37], true, &stamping);
    let clock = Plan::leaf("Clock").only(vec![key_usage(0xc0), stamping]);
    let clock = clock.with(place()).by(&authority);
    let trust = Arc::new(trusting(&authority));
    let stamps = DevAuthority::new(key_of(&clock), clock.certificate.clone()).unwrap();
    let stamps = LocalTransport::new(stamps, Arc::new(ManualClock::at(at(SIGNED_AT))), 1);
    let chain = vec![signer.certificate.clone()];
    let sealer = Sealer::new(key_of(&signer), chain, client(stamps, &trust)).unwrap();
    let issued = sealer.seal_evidence(EVIDENCE.as_bytes(), at(SIGNED_AT)).await;
    let issued = issued.unwrap();
    let judge = |list: &[u8]| {
        let signer = ValueSet {
            crls: vec![list.to_vec()],
            ..ValueSet::default()
        };
        let values = Embedded {
            signer,
            ..Embedded::default()
        };
        let lasting = embed_values(&issued, &values).unwrap();
        verify_evidence(&lasting, &trust, no_schema)
    };
    let good = List::of(&authority, "06-02", "06-30").der();
    let is_good = || {
        let report = judge(&good);
        report.findings.all_ok() && report.level == Some(Level::Lasting)
    };
    assert!(is_good());
    for place in (0..good.len()).step_by(3) {
        let mut changed = good.clone();
        changed[place] ^= 1 << (place % 8);
        let report = judge(&changed);
        let is_unknown = matches!(report.findings.trust, Finding::Unknown(_));
        assert!(is_unknown, "octet {place}: {:?}", report.findings);
    }
    assert!(is_good());
}
