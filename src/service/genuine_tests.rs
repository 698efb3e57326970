//! Attacks on the envelope: what is opened, what the signature covers, and who made it. Every signature here holds over
//! what it was made for; the question is whether that is what is read.

use crate::address::{Domain, KepAddress};
use crate::clock::{ManualClock, UtcTime};
use crate::cms::algorithm::sha256;
use crate::mime::{Scanner, Structure};
use crate::rem::open::{NotAnEnvelope, Opened, open};
use crate::seal::pki::{DevPki, KeyAlgorithm, Plan};
use crate::seal::tsa::{LocalTransport, SystemNonces};
use crate::seal::{DevAuthority, EntityReport, SealKey, Sealer, TimestampClient, TrustStore, verify_entity};
use base64::Engine as _;
use std::sync::Arc;
use std::time::Duration;

/// 2026-11-23T20:45:05Z
fn now() -> UtcTime {
    UtcTime::from_unix_s(1_795_466_705)
}

struct Provider {
    sealer: Sealer,
    trust: Arc<TrustStore>,
}

fn provider(domain: &str) -> Provider {
    let day = Duration::from_secs(86_400);
    let domain: Domain = domain.parse().unwrap();
    let seal_address: KepAddress = format!("kep@{}", domain.as_str()).parse().unwrap();
    let pki = DevPki::generate(&Plan {
        domain,
        seal_address,
        dns_names: Vec::new(),
        not_before: now().minus(day),
        not_after: now().plus(day),
        seal_key: KeyAlgorithm::P256,
    })
    .unwrap();
    let mut trust = TrustStore::new();
    trust.add_pem_text(&pki.ca.certificate_pem).unwrap();
    let trust = Arc::new(trust);
    let key = |pem: &str| SealKey::from_pem(pem).unwrap();
    let authority = DevAuthority::new(key(&pki.tsa.key_pem), pki.tsa.certificate().unwrap()).unwrap();
    let transport = LocalTransport::new(authority, Arc::new(ManualClock::at(now())), 1);
    let stamps = TimestampClient::new(Arc::new(transport), Arc::new(SystemNonces), trust.clone());
    let chain = vec![pki.seal.certificate().unwrap()];
    Provider {
        sealer: Sealer::new(key(&pki.seal.key_pem), chain, stamps).unwrap(),
        trust,
    }
}

const HEADER: &str = "From: kep@hs01.kep.test\r\nMIME-Version: 1.0\r\n\
    Content-Type: multipart/signed; micalg=sha-256; protocol=\"application/pkcs7-signature\"; boundary=out\r\n\r\n";
const ENTITY: &str = "Content-Type: multipart/mixed; boundary=in\r\n\r\n\
    --in\r\nContent-Type: application/xml; name=\"Evidence.xml\"\r\n\r\n<e/>\r\n\
    --in\r\nContent-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\ntext\r\n\r\n--in--\r\n";

fn signature_part(cms_der: &[u8]) -> String {
    format!(
        "Content-Type: application/pkcs7-signature; name=smime.p7s\r\nContent-Transfer-Encoding: base64\r\n\r\n{}\r\n",
        base64::engine::general_purpose::STANDARD.encode(cms_der)
    )
}

/// The parts of a genuine message.
struct Genuine {
    provider: Provider,
    cms: Vec<u8>,
}

async fn genuine() -> Genuine {
    let provider = provider("hs01.kep.test");
    let cms = provider
        .sealer
        .seal_entity(sha256(ENTITY.as_bytes()), now())
        .await
        .unwrap();
    Genuine { provider, cms }
}

impl Genuine {
    fn with_parts(&self, before: &str, parts: &[&str], after: &str) -> String {
        let parts: String = parts.iter().map(|p| format!("\r\n--out\r\n{p}")).collect();
        format!("{HEADER}{before}{parts}\r\n--out--\r\n{after}")
    }

    fn message(&self, entity: &str) -> String {
        self.with_parts("", &[entity, &signature_part(&self.cms)], "")
    }

    /// What is read from a message, and what is found on its signature.
    fn judge(&self, message: &str) -> Result<(String, Opened, EntityReport), NotAnEnvelope> {
        let mut scanner = Scanner::new();
        message
            .as_bytes()
            .chunks(61)
            .for_each(|chunk| scanner.push(chunk));
        let structure: Structure = scanner.finish();
        let header = structure.parts[0].header.of(message.as_bytes()).unwrap();
        let opened = open(&structure, header, |span| {
            span.of(message.as_bytes()).map(<[u8]>::to_vec)
        })?;
        let (Opened::Dispatch { sealed, .. } | Opened::Evidence { sealed, .. }) = &opened;
        let covered = sealed.signed_entity.of(message.as_bytes()).unwrap();
        let report = verify_entity(sha256(covered), &sealed.signature_der, &self.provider.trust);
        Ok((String::from_utf8(covered.to_vec()).unwrap(), opened, report))
    }

    fn signature(&self, message: &str) -> String {
        self.judge(message).unwrap().2.signature.to_string()
    }
}

#[tokio::test]
async fn the_genuine_message_and_what_may_stand_around_it() {
    let g = genuine().await;
    for (before, after) in [
        ("", ""),
        ("forged text before\r\n", ""),
        ("", "forged text behind\r\n"),
    ] {
        let message = g.with_parts(before, &[ENTITY, &signature_part(&g.cms)], after);
        let (covered, opened, report) = g.judge(&message).unwrap();
        assert!(
            report.signature.is_ok() && report.trust.is_ok() && report.timestamp.is_ok(),
            "{report:?}"
        );
        // Nothing of what stands around is read.
        assert_eq!(covered, ENTITY);
        let Opened::Dispatch { sealed, original } = opened else {
            panic!("no dispatch")
        };
        assert_eq!(sealed.evidence, [b"<e/>".to_vec()]);
        assert_eq!(
            original.of(message.as_bytes()).unwrap(),
            b"Subject: x\r\n\r\ntext\r\n"
        );
    }
}

#[tokio::test]
async fn what_is_signed_in_part_is_no_envelope() {
    use NotAnEnvelope as N;
    let g = genuine().await;
    let signature = signature_part(&g.cms);
    let forged = "Content-Type: text/plain\r\n\r\nforged\r\n";
    let inner = g.message(ENTITY);
    let (_, inner) = inner.split_once("MIME-Version: 1.0\r\n").unwrap();
    let mixed = |parts: &[&str]| {
        let parts: String = parts.iter().map(|p| format!("\r\n--mix\r\n{p}")).collect();
        format!("From: a@b\r\nContent-Type: multipart/mixed; boundary=mix\r\n\r\n{parts}\r\n--mix--\r\n")
    };
    for (name, message, wanted) in [
        (
            "a part before the signed one",
            g.with_parts("", &[forged, ENTITY, &signature], ""),
            N::NotTwoParts,
        ),
        (
            "a part between",
            g.with_parts("", &[ENTITY, forged, &signature], ""),
            N::NotTwoParts,
        ),
        (
            "a part behind the signature",
            g.with_parts("", &[ENTITY, &signature, forged], ""),
            N::NotTwoParts,
        ),
        (
            "two signatures",
            g.with_parts("", &[ENTITY, &signature, &signature], ""),
            N::NotTwoParts,
        ),
        (
            "the signature first",
            g.with_parts("", &[&signature, ENTITY], ""),
            N::NoSignature,
        ),
        (
            "the signature stripped",
            g.with_parts("", &[ENTITY], ""),
            N::NotTwoParts,
        ),
        (
            "the signature stripped, and the type too",
            format!("From: a@b\r\n{ENTITY}"),
            N::NotSigned,
        ),
        (
            "the signed message as a second part",
            mixed(&[forged, inner]),
            N::NotSigned,
        ),
        (
            "the signed message as a first part",
            mixed(&[inner, forged]),
            N::NotSigned,
        ),
        (
            "the signed message in a message",
            format!("From: a@b\r\nContent-Type: message/rfc822\r\n\r\n{inner}"),
            N::NotSigned,
        ),
        (
            "an empty signed part",
            g.with_parts("", &["\r\n", &signature], ""),
            N::NotMixed,
        ),
        (
            "a signed part of text",
            g.with_parts("", &[forged, &signature], ""),
            N::NotMixed,
        ),
        (
            "a mixed part without parts",
            g.with_parts(
                "",
                &["Content-Type: multipart/mixed; boundary=in\r\n\r\n", &signature],
                "",
            ),
            N::NoEvidence,
        ),
        (
            "signed twice over",
            g.with_parts("", &[inner, &signature], ""),
            N::NoEvidence,
        ),
        (
            "an opaque signature",
            HEADER.replace(
                "multipart/signed",
                "application/pkcs7-mime; smime-type=signed-data",
            ),
            N::NotSigned,
        ),
        (
            "the type said twice",
            format!(
                "Content-Type: multipart/mixed; boundary=out\r\n{}",
                g.message(ENTITY)
            ),
            N::NotSigned,
        ),
    ] {
        assert_eq!(g.judge(&message).err(), Some(wanted), "{name}");
    }
}

#[tokio::test]
async fn what_is_changed_in_the_signed_part_is_noticed() {
    const CHANGED: &str = "failed: the content is not what was signed";
    let g = genuine().await;
    for (name, entity) in [
        ("a letter of the original", ENTITY.replace("text", "tExt")),
        (
            "a header of the entity",
            ENTITY.replace("boundary=in", "boundary=\"in\""),
        ),
        ("a header of a part", ENTITY.replace("Evidence.xml", "Other.xml")),
        (
            "white space at a line's end",
            ENTITY.replace("text\r\n", "text \r\n"),
        ),
        ("a line end of the entity gone", ENTITY.trim_end().to_owned()),
        ("a line end more", format!("{ENTITY}\r\n")),
        (
            "text before the first inner part",
            ENTITY.replacen("--in", "forged\r\n--in", 1),
        ),
        ("text behind the last inner part", format!("{ENTITY}forged\r\n")),
        (
            "a second evidence",
            ENTITY.replacen(
                "--in\r\n",
                "--in\r\nContent-Type: application/xml\r\n\r\n<f/>\r\n--in\r\n",
                1,
            ),
        ),
    ] {
        assert_ne!(entity, ENTITY, "{name}");
        assert_eq!(g.signature(&g.message(&entity)), CHANGED, "{name}");
    }
    // The boundary inside begins with the one outside, and the other way round.
    for inner in ["out2", "ou"] {
        let entity = ENTITY
            .replace("boundary=in", &format!("boundary={inner}"))
            .replace("--in", &format!("--{inner}"));
        let (covered, _, report) = g.judge(&g.message(&entity)).unwrap();
        assert_eq!(
            (covered, report.signature.to_string().as_str()),
            (entity, CHANGED)
        );
    }
}

#[tokio::test]
async fn signatures_over_something_else_or_by_somebody_else() {
    const CHANGED: &str = "failed: the content is not what was signed";
    let mut g = genuine().await;
    let original = b"Subject: x\r\n\r\ntext\r\n";
    for content in [
        &original[..],
        b"",
        ENTITY.trim_end().as_bytes(),
        ENTITY.replace("\r\n", "\n").as_bytes(),
    ] {
        g.cms = g
            .provider
            .sealer
            .seal_entity(sha256(content), now())
            .await
            .unwrap();
        assert_eq!(g.signature(&g.message(ENTITY)), CHANGED);
    }
    g.cms = Vec::new();
    assert_eq!(
        g.signature(&g.message(ENTITY)),
        "failed: not the expected DER: ContentInfo"
    );

    // Somebody signs rightly what says it is from another: the signature holds, the report names who it was, and nobody
    // trusts him here. The line From is not asked.
    let other = provider("hs02.kep.test");
    g.cms = other
        .sealer
        .seal_entity(sha256(ENTITY.as_bytes()), now())
        .await
        .unwrap();
    let (_, _, report) = g.judge(&g.message(ENTITY)).unwrap();
    assert!(
        report.signature.is_ok() && !report.trust.is_ok() && !report.timestamp.is_ok(),
        "{report:?}"
    );
    let signer = report.signer.unwrap();
    assert_eq!(signer.rfc822_names, ["kep@hs02.kep.test"]);
    assert_eq!(signer.fingerprint, other.sealer.published()[0].fingerprint());
    // Whoever trusts both tells them apart by the certificate that is pinned.
    g.provider.trust = other.trust.clone();
    let (_, _, report) = g.judge(&g.message(ENTITY)).unwrap();
    assert!(report.trust.is_ok());
    let ours = g.provider.sealer.published()[0].fingerprint();
    assert_ne!(report.signer.unwrap().fingerprint, ours);
    let mut pinned = TrustStore::clone(&other.trust);
    pinned.add_pin(ours);
    let report = verify_entity(sha256(ENTITY.as_bytes()), &g.cms, &pinned);
    assert!(report.trust.to_string().contains("pinned"), "{}", report.trust);
}
