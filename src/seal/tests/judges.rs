//! What we make is put before openssl, xmlsec1 and xmllint; what openssl makes is put before us.

use super::forge::judges::{Says, openssl_pss, openssl_signed, openssl_ts};
use super::forge::world;
use super::*;
use crate::cms::algorithm::sha256;
use crate::cms::tsp::{self, Token};
use crate::cms::{ContentDigest, DigestAlgorithm, SignatureAlgorithm};
use crate::seal::key::{Manner, RsaPadding};
use crate::seal::verifier::{Finding, TrustMoment, verify_entity};
use std::path::Path;

const ATTIME: &str = "1795466710";

fn write_all(folder: &Path, files: &[(&str, &[u8])]) {
    for (name, octets) in files {
        std::fs::write(folder.join(name), octets).unwrap();
    }
}

async fn evidence_is_accepted(algorithm: KeyAlgorithm) {
    evidence_is_accepted_from(&house(algorithm)).await;
}

/// Evidence of a house before every judge.
pub(super) async fn evidence_is_accepted_from(house: &House) {
    let sealed = house
        .sealer
        .seal_evidence(EVIDENCE.as_bytes(), now())
        .await
        .unwrap();

    let folder = tempfile::tempdir().unwrap();
    write_all(
        folder.path(),
        &[
            ("e.xml", &sealed),
            ("ca.pem", house.pki.ca.certificate_pem.as_bytes()),
        ],
    );
    let at = |name: &str| folder.path().join(name);
    run(Command::new("xmllint")
        .args(["--nonet", "--noout", "--schema", SCHEMA])
        .arg(at("e.xml")));
    xmlsec1_accepts(folder.path(), &sealed);

    let report = verify_evidence(&sealed, &house.trust, |octets| {
        if octets == sealed {
            Ok(())
        } else {
            Err("other octets".to_owned())
        }
    });
    assert!(report.findings.all_ok(), "{report:?}");
    assert_eq!(report.root_name.as_deref(), Some("SubmissionAcceptanceRejection"));
    assert_eq!(report.stamp_time, Some(now()));
    assert_eq!(report.signing_time, Some(now()));
    let signer = report.signer.unwrap();
    assert_eq!(
        signer.subject,
        "CN=KEP hs01.kep.test Seal, O=KEP hs01.kep.test, C=TR"
    );
    assert_eq!(signer.rfc822_names, ["kep@hs01.kep.test"]);
    assert_eq!(
        signer.fingerprint,
        house.pki.seal.certificate().unwrap().fingerprint()
    );

    // The token on the signature, judged by openssl.
    let (verified, _) = crate::seal::enveloped::verify(&sealed).unwrap();
    let stamp = &verified.stamps[0];
    openssl_accepts_token(folder.path(), &stamp.token_der, &stamp.covered);
}

/// RSASSA-PSS it does not know (1.2): there openssl says what it would.
fn xmlsec1_accepts(folder: &Path, sealed: &[u8]) {
    if String::from_utf8_lossy(sealed).contains("-rsa-MGF1") {
        assert_eq!(openssl_pss(sealed), Says::Yes);
        let (verified, _) = crate::seal::enveloped::verify(sealed).unwrap();
        assert_eq!(
            crate::xml::judge::library_accepts(sealed, &verified.signer_der),
            Ok(())
        );
        return;
    }
    let words = run(Command::new("xmlsec1")
        .args([
            "--verify",
            "--enabled-key-data",
            "x509",
            "--verification-gmt-time",
            "2026-11-23 20:45:10",
        ])
        .args(["--id-attr:Id", "SignedProperties", "--trusted-pem"])
        .arg(folder.join("ca.pem"))
        .arg(folder.join("e.xml")));
    assert!(words.contains("SignedInfo References (ok/all): 2/2"), "{words}");
}

fn openssl_accepts_token(folder: &Path, token: &[u8], covered: &[u8]) {
    write_all(folder, &[("token.der", token), ("covered", covered)]);
    let words = run(Command::new("openssl")
        .current_dir(folder)
        .args([
            "ts",
            "-verify",
            "-token_in",
            "-in",
            "token.der",
            "-data",
            "covered",
            "-CAfile",
            "ca.pem",
        ])
        .args(["-attime", ATTIME]));
    assert!(words.contains("Verification: OK"), "{words}");
}

#[tokio::test]
async fn evidence_sealed_with_p256() {
    evidence_is_accepted(KeyAlgorithm::P256).await;
}

#[tokio::test]
async fn evidence_sealed_with_rsa() {
    evidence_is_accepted(KeyAlgorithm::Rsa3072).await;
}

async fn entity_is_accepted(algorithm: KeyAlgorithm) {
    entity_is_accepted_from(&house(algorithm)).await;
}

/// A sealed entity of a house before every judge.
pub(super) async fn entity_is_accepted_from(house: &House) {
    let content = b"Content-Type: text/plain\r\n\r\nMerhaba\r\n";
    let content_digest = ContentDigest::of(house.sealer.digest_algorithm(now()), content);
    let cms = house.sealer.seal_entity(content_digest, now()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    write_all(
        folder.path(),
        &[
            ("cms.der", &cms),
            ("content", content),
            ("ca.pem", house.pki.ca.certificate_pem.as_bytes()),
        ],
    );
    run(Command::new("openssl")
        .current_dir(folder.path())
        .args([
            "cms", "-verify", "-binary", "-cades", "-inform", "DER", "-in", "cms.der", "-content", "content",
        ])
        .args(["-CAfile", "ca.pem", "-attime", ATTIME, "-out", "out"]));

    let report = verify_entity(content_digest, &cms, &house.trust);
    let findings = [&report.signature, &report.trust, &report.timestamp];
    assert!(findings.into_iter().all(Finding::is_ok), "{report:?}");
    assert_eq!(report.trust_moment, Some(TrustMoment::Stamped(now())));
    assert_eq!(report.signer.unwrap().rfc822_names, ["kep@hs01.kep.test"]);

    let other = verify_entity(
        ContentDigest::of(content_digest.algorithm(), b"other"),
        &cms,
        &house.trust,
    );
    assert!(matches!(other.signature, Finding::Failed(_)));
    assert!(matches!(other.trust, Finding::Unknown(_)));

    let unstamped = house.sealer.sign_entity(content_digest, now()).await.unwrap();
    let report = verify_entity(content_digest, &unstamped, &house.trust);
    assert!(report.signature.is_ok() && report.trust.is_ok());
    assert!(matches!(report.timestamp, Finding::Unknown(_)));
    assert_eq!(report.trust_moment, Some(TrustMoment::Claimed(now())));
    let nobody = verify_entity(content_digest, &cms, &TrustStore::new());
    assert!(nobody.signature.is_ok());
    assert!(matches!(
        (nobody.trust, nobody.timestamp),
        (Finding::Failed(_), Finding::Failed(_))
    ));
}

#[tokio::test]
async fn an_entity_sealed_with_p256() {
    entity_is_accepted(KeyAlgorithm::P256).await;
}

#[tokio::test]
async fn an_entity_sealed_with_rsa() {
    entity_is_accepted(KeyAlgorithm::Rsa3072).await;
}

/// What a key can do beside what it does by itself.
fn manners() -> [(KeyAlgorithm, Manner); 4] {
    let rsa = |digest, rsa_padding| {
        let digest = Some(digest);
        (KeyAlgorithm::Rsa3072, Manner { digest, rsa_padding })
    };
    [
        (KeyAlgorithm::P384, Manner::default()),
        rsa(DigestAlgorithm::Sha512, RsaPadding::Pkcs1),
        rsa(DigestAlgorithm::Sha256, RsaPadding::Pss),
        rsa(DigestAlgorithm::Sha512, RsaPadding::Pss),
    ]
}

fn house_signing(algorithm: KeyAlgorithm, manner: Manner) -> House {
    let pki = pki(algorithm);
    let key = SealKey::from_pem(&pki.seal.key_pem).unwrap();
    let transport = LocalTransport::new(authority(&pki), Arc::new(ManualClock::at(now())), 1);
    house_with_key(pki, key.signing(manner).unwrap(), transport)
}

#[tokio::test]
async fn evidence_and_entities_sealed_in_every_other_manner() {
    for (algorithm, manner) in manners() {
        let house = house_signing(algorithm, manner);
        evidence_is_accepted_from(&house).await;
        entity_is_accepted_from(&house).await;
        // A digest of another length than the key signs with is not sealed, nor is anything else.
        let refused = house
            .sealer
            .seal_entity(ContentDigest::Sha384([1; 48]), now())
            .await;
        assert_eq!(refused.is_err(), algorithm != KeyAlgorithm::P384, "{manner:?}");
        // Nothing in it rests on a weaker digest than its signature.
        let sealed = house
            .sealer
            .seal_evidence(EVIDENCE.as_bytes(), now())
            .await
            .unwrap();
        let text = String::from_utf8(sealed).unwrap();
        let (_, signature) = text.split_once("<ds:SignedInfo").unwrap();
        let digest = house.sealer.digest_algorithm(now()).micalg().replace('-', "");
        assert_eq!(signature.matches("<ds:DigestMethod").count(), 3);
        assert_eq!(
            signature
                .matches(&format!("#{digest}\"></ds:DigestMethod>"))
                .count(),
            3,
            "{digest}"
        );
        let (verified, _) = crate::seal::enveloped::verify(text.as_bytes()).unwrap();
        let token = Token::read(&verified.stamps[0].token_der).unwrap();
        assert_eq!(token.imprint.algorithm(), house.sealer.digest_algorithm(now()));
    }
}

#[test]
fn tokens_of_authorities_with_other_keys_are_accepted_by_openssl_and_by_us() {
    let world = world();
    let pss = |digest| Manner {
        digest: Some(digest),
        rsa_padding: RsaPadding::Pss,
    };
    for (party, manner) in [
        (&world.rsa_tsa, pss(DigestAlgorithm::Sha256)),
        (&world.rsa_tsa, pss(DigestAlgorithm::Sha512)),
        (&world.p384_tsa, Manner::default()),
    ] {
        let key = party.seal_key(manner);
        let algorithm = key.algorithm();
        let authority = DevAuthority::new(key, party.certificate.clone()).unwrap();
        let request = tsp::request(&ContentDigest::Sha512([0; 64]), &[1; 16], None, true);
        let wrong = tsp::token_of_response(&authority.answer(&request, now(), 1)).unwrap();
        let imprint = ContentDigest::of(DigestAlgorithm::Sha512, b"covered");
        let request = tsp::request(&imprint, &[1; 16], None, true);
        let token = tsp::token_of_response(&authority.answer(&request, now(), 2)).unwrap();
        let read = Token::read(&token).unwrap();
        assert_eq!(read.algorithm, algorithm);
        read.check_imprint(b"covered").unwrap();
        let at = read.gen_time;
        let found = world
            .trust
            .check(&read.signer, &[], at, crate::cms::Purpose::TimeStamping);
        assert_eq!(found, Ok(()));
        // `openssl ts` does not know RSASSA-PSS; `openssl cms`, which does, does not look at the imprint.
        let known = match algorithm {
            SignatureAlgorithm::RsaPss(_) => Says::No,
            _ => Says::Yes,
        };
        assert_eq!(openssl_ts(world, b"covered", &token).0, known);
        assert_eq!(openssl_ts(world, b"covered", &wrong).0, Says::No);
        assert_eq!(openssl_signed(world, &token), Says::Yes);
        let mut broken = token.clone();
        *broken.last_mut().unwrap() ^= 1;
        assert_eq!(openssl_signed(world, &broken), Says::No);
    }
}

#[test]
fn openssl_asks_our_authority_and_accepts_its_answer() {
    let pki = pki(KeyAlgorithm::P256);
    let folder = tempfile::tempdir().unwrap();
    write_all(
        folder.path(),
        &[
            ("data", b"some data"),
            ("ca.pem", pki.ca.certificate_pem.as_bytes()),
        ],
    );
    run(Command::new("openssl").current_dir(folder.path()).args([
        "ts",
        "-query",
        "-data",
        "data",
        "-sha512",
        "-cert",
        "-out",
        "query.tsq",
    ]));
    let query = std::fs::read(folder.path().join("query.tsq")).unwrap();
    let answer = authority(&pki).answer(&query, now(), 7);
    write_all(folder.path(), &[("answer.tsr", &answer)]);
    let words = run(Command::new("openssl")
        .current_dir(folder.path())
        .args([
            "ts",
            "-verify",
            "-queryfile",
            "query.tsq",
            "-in",
            "answer.tsr",
            "-CAfile",
            "ca.pem",
        ])
        .args(["-attime", ATTIME]));
    assert!(words.contains("Verification: OK"), "{words}");

    let refusal = authority(&pki).answer(b"\x30\x03\x02\x01\x02", now(), 8);
    write_all(folder.path(), &[("refusal.tsr", &refusal)]);
    let words = run(Command::new("openssl").current_dir(folder.path()).args([
        "ts",
        "-reply",
        "-in",
        "refusal.tsr",
        "-text",
    ]));
    assert!(
        words.contains("Rejected") && words.contains("wrong format"),
        "{words}"
    );
    assert!(matches!(
        tsp::token_of_response(&refusal),
        Err(tsp::StampError::Refused { status: 2, .. })
    ));
}

#[test]
fn openssl_signs_and_we_verify() {
    for algorithm in [KeyAlgorithm::P256, KeyAlgorithm::Rsa3072] {
        let house = house(algorithm);
        let folder = tempfile::tempdir().unwrap();
        let pki = &house.pki;
        write_all(
            folder.path(),
            &[
                ("content", b"abc\r\n"),
                ("seal.pem", pki.seal.certificate_pem.as_bytes()),
                ("seal.key", pki.seal.key_pem.as_bytes()),
            ],
        );
        let sign = |extra: &[&str]| {
            run(Command::new("openssl")
                .current_dir(folder.path())
                .args([
                    "cms", "-sign", "-binary", "-md", "sha256", "-signer", "seal.pem", "-inkey", "seal.key",
                ])
                .args(["-in", "content", "-outform", "DER", "-out", "cms.der"])
                .args(extra));
            std::fs::read(folder.path().join("cms.der")).unwrap()
        };
        let report = verify_entity(sha256(b"abc\r\n"), &sign(&["-cades"]), &house.trust);
        assert!(report.signature.is_ok(), "{report:?}");
        // Without the signing certificate attribute, and with the content inside, it is not our profile.
        let report = verify_entity(sha256(b"abc\r\n"), &sign(&[]), &house.trust);
        assert!(matches!(report.signature, Finding::Failed(_)));
        let report = verify_entity(sha256(b"abc\r\n"), &sign(&["-cades", "-nodetach"]), &house.trust);
        assert!(matches!(report.signature, Finding::Failed(_)));
    }
}
