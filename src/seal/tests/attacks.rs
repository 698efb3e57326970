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
    crate::xml::verify(xml.as_bytes()).unwrap_err()
}

/// No change of one octet goes unnoticed. Two changes of every octet: one bit, and another character of the same kind
/// (which keeps names names and base64 base64). The one exception is a document with the same canonical form, that is,
/// one that says the same: a namespace declaration that repeats an outer one may be renamed, for nobody uses it.
#[tokio::test]
async fn every_changed_octet_is_noticed() {
    let house = house(KeyAlgorithm::P256);
    let good = sealed(&house).await.into_bytes();
    assert!(judge(&house, &good).findings.all_ok());
    let canonical = crate::xml::canonical_form(&good).unwrap();
    let (mut changed, mut harmless) = (good.clone(), 0);
    for i in 0..good.len() {
        let neighbour = match good[i] {
            b'z' | b'Z' | b'9' => good[i] - 1,
            c if c.is_ascii_alphanumeric() => c + 1,
            c => c ^ 0x20,
        };
        for octet in [good[i] ^ 1, neighbour] {
            changed[i] = octet;
            if !judge(&house, &changed).findings.all_ok() {
                continue;
            }
            harmless += 1;
            let says_the_same = crate::xml::canonical_form(&changed).is_ok_and(|c| c == canonical);
            let around = String::from_utf8_lossy(&good[i.saturating_sub(30)..(i + 10).min(good.len())]);
            assert!(
                says_the_same,
                "octet {i} {:?} -> {octet:?} near {around}",
                good[i]
            );
        }
        changed[i] = good[i];
    }
    // Prefixes of the declarations that repeat an outer one: five, of two to five letters, two changes each.
    assert!(harmless < 40, "{harmless}");
}

#[tokio::test]
async fn wrapping_and_doubling_are_refused() {
    let house = house(KeyAlgorithm::P256);
    let good = sealed(&house).await;
    let start = good.find("<ds:Signature ").unwrap();
    let end = good.find("</ds:Signature>").unwrap() + "</ds:Signature>".len();
    let signature = &good[start..end];
    let root_start = good.find("<rem:Sub").unwrap();

    // The signed document moved below another root.
    let wrapped = format!("<x xmlns=\"urn:y\">{}{}</x>", &good[root_start..], signature);
    assert!(matches!(failure(&wrapped), XmlError::Profile(_)));
    let wrapped = format!("<x xmlns=\"urn:y\">{}</x>", &good[root_start..]);
    assert!(matches!(failure(&wrapped), XmlError::Profile(_)));
    // The signature moved to the front; two signatures; something behind it.
    let event = good.find(" <rem:EventCode").unwrap();
    let moved = format!(
        "{}{signature}{}{}",
        &good[..event],
        &good[event..start],
        &good[end..]
    );
    assert!(matches!(failure(&moved), XmlError::Profile(_)));
    let doubled = format!("{}{signature}{}", &good[..end], &good[end..]);
    assert!(matches!(failure(&doubled), XmlError::Profile(_)));
    let trailing = format!("{}x{}", &good[..end], &good[end..]);
    assert!(matches!(failure(&trailing), XmlError::Profile(_)));
    // No signature at all.
    assert!(matches!(failure(EVIDENCE), XmlError::Profile(_)));
}

#[tokio::test]
async fn ids_that_meet_are_refused() {
    let house = house(KeyAlgorithm::P256);
    let good = sealed(&house).await;
    for twin in ["Id=\"_e1\"", "ID=\"_e1\"", "id=\"_E1\"", "xml:id=\"_e1\""] {
        let bad = good.replace("<rem:EventTime>", &format!("<rem:EventTime {twin}>"));
        assert_eq!(failure(&bad), XmlError::Profile("an Id stands twice"), "{twin}");
    }
}

#[tokio::test]
async fn foreign_transforms_references_and_algorithms_are_refused() {
    let house = house(KeyAlgorithm::P256);
    let good = sealed(&house).await;
    let exclusive = "<ds:Transform Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#\"></ds:Transform>";
    let enveloped =
        "<ds:Transform Algorithm=\"http://www.w3.org/2000/09/xmldsig#enveloped-signature\"></ds:Transform>";
    let xslt = "<ds:Transform Algorithm=\"http://www.w3.org/TR/1999/REC-xslt-19991116\"></ds:Transform>";
    let xpath = "<ds:Transform Algorithm=\"http://www.w3.org/TR/1999/REC-xpath-19991116\"><ds:XPath>self::x</ds:XPath></ds:Transform>";
    let inclusive = exclusive.replace(
        "></ds:Transform>",
        "><ec:InclusiveNamespaces xmlns:ec=\"http://www.w3.org/2001/10/xml-exc-c14n#\" PrefixList=\"rem\"/></ds:Transform>",
    );
    for (from, to) in [
        (exclusive, xslt),
        (exclusive, &inclusive),
        (enveloped, xpath),
        (enveloped, ""),
        (enveloped, &format!("{enveloped}{enveloped}")),
        ("URI=\"\"", "URI=\"http://example.org/\""),
        ("URI=\"\"", "URI=\"#_other\""),
        ("URI=\"#_p", "URI=\"#_q"),
        ("#SignedProperties\"", "#Other\""),
        ("xmldsig-more#ecdsa-sha256", "xmldsig-more#hmac-sha256"),
        ("xmlenc#sha256", "xmldsig#sha1"),
        ("Target=\"#_s", "Target=\"#_t"),
        ("<ds:Object>", "<ds:Object><ds:Manifest/></ds:Object><ds:Object>"),
        (
            "<ds:KeyInfo>",
            "<ds:KeyInfo><ds:RetrievalMethod URI=\"http://example.org/\"/>",
        ),
    ] {
        let bad = good.replace(from, to);
        assert_ne!(bad, good, "{from}");
        assert!(
            matches!(failure(&bad), XmlError::Profile(_)),
            "{from} -> {to}: {:?}",
            failure(&bad)
        );
    }
}

#[tokio::test]
async fn what_is_no_evidence_document_is_refused_before_parsing() {
    let house = house(KeyAlgorithm::P256);
    let good = sealed(&house).await;
    let doctype = good.replace("?>\n", "?>\n<!DOCTYPE x [<!ENTITY e \"f\">]>\n");
    let comment = good.replace("ev-1", "ev<!-- -->-1");
    for bad in [doctype, comment, " ".repeat(2 * crate::xml::DOCUMENT_MAX_OCTETS)] {
        assert!(matches!(failure(&bad), XmlError::Guard(_)));
    }
    let report = judge(&house, b"\xff\xfe");
    assert_eq!((report.findings.all_ok(), report.root_name), (false, None));
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
