//! Evidence that was changed, wrapped, or signed in a way the profile does not allow.

use super::*;
use crate::xml::XmlError;

async fn sealed(house: &House) -> String {
    String::from_utf8(
        house
            .sealer
            .seal_evidence(EVIDENCE.as_bytes(), now())
            .await
            .unwrap(),
    )
    .unwrap()
}

fn failure(xml: &str) -> XmlError {
    crate::seal::enveloped::verify(xml.as_bytes()).unwrap_err()
}

#[tokio::test]
async fn another_key_with_its_own_certificate_is_not_trusted() {
    let (ours, theirs) = (house(KeyAlgorithm::P256), house(KeyAlgorithm::P256));
    let forged = sealed(&theirs).await;
    let report = judge(&ours, forged.as_bytes());
    assert!(report.findings.signature.is_ok());
    assert!(!report.findings.trust.is_ok() && !report.findings.timestamp.is_ok());

    // The names of our certificate over their key: the digest in the signature finds it.
    use base64::Engine as _;
    let pem =
        |h: &House| base64::engine::general_purpose::STANDARD.encode(h.pki.seal.certificate().unwrap().der());
    let swapped = forged.replace(&pem(&theirs), &pem(&ours));
    assert_ne!(swapped, forged);
    assert!(matches!(failure(&swapped), XmlError::Profile(_)));
}

#[tokio::test]
async fn a_pin_narrows_trust_to_one_certificate() {
    let house = house(KeyAlgorithm::P256);
    let good = sealed(&house).await;
    let mut trust = TrustStore::clone(&house.trust);
    trust.add_pin(house.pki.seal.certificate().unwrap().fingerprint());
    assert!(
        verify_evidence(good.as_bytes(), &trust, no_schema)
            .findings
            .all_ok()
    );
    let mut trust = TrustStore::clone(&house.trust);
    trust.add_pin([7; 32]);
    assert!(
        !verify_evidence(good.as_bytes(), &trust, no_schema)
            .findings
            .trust
            .is_ok()
    );
}

#[tokio::test]
async fn the_time_stamp_and_its_time_are_asked_for() {
    let house = house(KeyAlgorithm::P256);
    let good = sealed(&house).await;
    let start = good.find("<xades:UnsignedProperties>").unwrap();
    let end = good.find("</xades:UnsignedProperties>").unwrap() + "</xades:UnsignedProperties>".len();
    let unstamped = format!("{}{}", &good[..start], &good[end..]);
    let report = judge(&house, unstamped.as_bytes());
    assert!(report.findings.signature.is_ok() && report.findings.trust.is_ok());
    assert!(!report.findings.timestamp.is_ok());
}
