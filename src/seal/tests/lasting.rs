//! Lasting forms: what is kept of what was collected, what every judge says of it, and what the form alone proves when all
//! places are gone.

use super::*;
use crate::cms::algorithm::sha256;
use crate::cms::revocation::{RevocationReason, RevocationValues};
use crate::cms::testing::{List, Party, Plan, Reply, at, crl_at, ocsp_at};
use crate::cms::{RevocationShelf, certificate, extension};
use crate::seal::enveloped::verify;
use crate::seal::lasting::{Certified, EMBEDDED_LIST_MAX_OCTETS, LastingError, Outcome, Proof, Stood, Wait};
use crate::seal::reliance::Basis;
use crate::xml::{Embedded, Level, ValueSet, embed_values, without_values};

const DAY: Duration = Duration::from_secs(86_400);

/// root - middle - signer and authority; all but the root name places.
struct Scene {
    root: Party,
    middle: Party,
    signer: Party,
    tsa: Party,
    trust: Arc<TrustStore>,
    sealer: Sealer,
}

fn stamping(plan: Plan) -> Plan {
    let purpose = crate::cms::der::tlv(crate::cms::der::OID, &[certificate::EKU_TIME_STAMPING]);
    let purpose = crate::cms::der::sequence(&[&purpose]);
    plan.with(extension::write(&[0x55, 0x1d, 37], true, &purpose))
}

fn key(party: &Party) -> SealKey {
    SealKey::from_pem(&party.key.serialize_pem()).unwrap()
}

/// `places`: whether the certificates name any.
fn scene(places: bool, sealed_at: UtcTime) -> Scene {
    scene_with(places, "http://pki.test/middle.crl", sealed_at)
}

fn scene_with(places: bool, of_stamps: &str, sealed_at: UtcTime) -> Scene {
    let named = |plan: Plan, extension: Vec<u8>| if places { plan.with(extension) } else { plan };
    let root = Plan::authority("Root").self_signed();
    let middle = named(Plan::authority("Middle"), crl_at("http://pki.test/root.crl")).by(&root);
    let signer = named(Plan::leaf("Signer"), ocsp_at("http://ocsp.pki.test/"));
    let signer = named(signer, crl_at("http://pki.test/middle.crl")).by(&middle);
    let tsa = named(stamping(Plan::leaf("Authority")), crl_at(of_stamps)).by(&middle);
    let mut trust = TrustStore::new();
    trust.add_anchor(root.certificate.clone());
    trust.add_intermediate(middle.certificate.clone());
    let trust = Arc::new(trust);
    let authority = DevAuthority::new(key(&tsa), tsa.certificate.clone()).unwrap();
    let transport = LocalTransport::new(authority, Arc::new(ManualClock::at(sealed_at)), 1);
    let sealer = Sealer::new(
        key(&signer),
        vec![signer.certificate.clone()],
        client(transport, &trust),
    )
    .unwrap();
    Scene {
        root,
        middle,
        signer,
        tsa,
        trust,
        sealer,
    }
}

impl Scene {
    async fn sealed(&self, t: &str) -> Vec<u8> {
        self.sealer
            .seal_evidence(EVIDENCE.as_bytes(), at(t))
            .await
            .unwrap()
    }

    /// What the authorities say on a day, of which some is not needed.
    fn said(&self, from: &str, to: &str) -> RevocationValues {
        RevocationValues {
            crls: vec![
                List::of(&self.middle, from, to).der(),
                List::of(&self.root, "01-02", "12-30").der(),
                List::of(&self.root, "01-01", "01-02").der(),
            ],
            ocsp: vec![Reply::good(&self.signer, &self.middle, from, to).der()],
            certificates: Vec::new(),
        }
    }

    fn judge(&self, octets: &[u8], values: Option<&RevocationValues>) -> Outcome {
        Certified::of_evidence(octets)
            .unwrap()
            .judge(&self.trust, values, DAY)
    }
}

#[track_caller]
fn proof(outcome: Outcome) -> Proof {
    match outcome {
        Outcome::Final(proof) => *proof,
        Outcome::NotYet(wait) => panic!("{wait:?}"),
    }
}

#[track_caller]
fn wait(outcome: Outcome) -> Wait {
    match outcome {
        Outcome::Final(proof) => panic!("{proof:?}"),
        Outcome::NotYet(wait) => wait,
    }
}

/// A store with the root and nothing else.
fn root_only(scene: &Scene) -> TrustStore {
    let mut trust = TrustStore::new();
    trust.add_anchor(scene.root.certificate.clone());
    trust
}

#[tokio::test]
async fn the_lasting_form_holds_before_every_judge_and_needs_nobody_any_more() {
    let scene = scene(true, at("06-01"));
    let issued = scene.sealed("06-01").await;
    let said = scene.said("06-03", "06-10");
    let proof = proof(scene.judge(&issued, Some(&said)));
    assert_eq!(proof.stood, Stood::Valid);
    let (lasting, beside) = proof.embed(&issued).unwrap();
    assert!(beside.is_empty());
    assert_eq!(without_values(&lasting).unwrap(), issued);

    // The fewest values: the response for the signer, one list for the authority, one for both authorities above.
    let (verified, _) = verify(&lasting).unwrap();
    let (signer, stamps) = (&verified.embedded.signer, &verified.embedded.stamps);
    assert_eq!(
        (signer.certificates.len(), signer.crls.len(), signer.ocsp.len()),
        (2, 1, 1)
    );
    assert_eq!(
        (stamps.certificates.len(), stamps.crls.len(), stamps.ocsp.len()),
        (0, 1, 0)
    );
    let level = |octets: &[u8]| verify(octets).unwrap().0.level();
    assert_eq!(
        (level(&issued), level(&lasting)),
        (Level::Stamped, Level::Lasting)
    );

    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("e.xml"), &lasting).unwrap();
    std::fs::write(path("root.pem"), scene.root.certificate.pem()).unwrap();
    std::fs::write(path("middle.pem"), scene.middle.certificate.pem()).unwrap();
    run(Command::new("xmllint")
        .args(["--nonet", "--noout", "--schema", SCHEMA])
        .arg(path("e.xml")));
    let words = run(Command::new("xmlsec1")
        .args(["--verify", "--enabled-key-data", "x509"])
        .args(["--verification-gmt-time", "2026-06-01 00:00:10"])
        .args(["--id-attr:Id", "SignedProperties", "--trusted-pem"])
        .arg(path("root.pem"))
        .arg("--untrusted-pem")
        .arg(path("middle.pem"))
        .arg(path("e.xml")));
    assert!(words.contains("SignedInfo References (ok/all): 2/2"), "{words}");
    let report = verify_evidence(&lasting, &scene.trust, no_schema);
    assert!(report.findings.all_ok(), "{report:?}");
    assert_eq!(report.level, Some(Level::Lasting));

    // Twenty years on: the form, the anchor, and nothing else.
    let alone = Certified::of_evidence(&lasting).unwrap();
    assert!(alone.is_lasting);
    let judged = alone.judge(&root_only(&scene), Some(alone.values()), DAY);
    assert_eq!(self::proof(judged).stood, Stood::Valid);
    // Without the values there is only doubt.
    let bare = Certified::of_evidence(&issued).unwrap();
    assert!(matches!(
        bare.judge(&scene.trust, Some(bare.values()), DAY),
        Outcome::NotYet(_)
    ));
}

#[tokio::test]
async fn documents_that_share_a_token_are_made_lasting_like_others() {
    let scene = scene(true, at("06-01"));
    let scene = Scene {
        sealer: scene.sealer.sharing(Duration::from_millis(200)),
        ..scene
    };
    let (one, other) = tokio::join!(scene.sealed("06-01"), scene.sealed("06-01"));
    let said = scene.said("06-03", "06-10");
    for issued in [one, other] {
        let (verified, _) = verify(&issued).unwrap();
        assert_eq!((verified.stamps.len(), verified.records.len()), (0, 1));
        let (lasting, _) = proof(scene.judge(&issued, Some(&said))).embed(&issued).unwrap();
        assert_eq!(without_values(&lasting).unwrap(), issued);
        let alone = Certified::of_evidence(&lasting).unwrap();
        let judged = alone.judge(&root_only(&scene), Some(alone.values()), DAY);
        assert_eq!(proof(judged).stood, Stood::Valid);
        let report = verify_evidence(&lasting, &scene.trust, no_schema);
        assert!(report.findings.all_ok(), "{report:?}");
        assert_eq!(report.level, Some(Level::Lasting));
    }
}

#[tokio::test]
async fn before_the_grace_is_over_nothing_is_final() {
    let scene = scene(true, at("06-01"));
    let issued = scene.sealed("06-01").await;
    let early = scene.said("06-01T12:00", "06-10");
    let open = wait(scene.judge(&issued, Some(&early)));
    assert_eq!(open.again_from, Some(at("06-02")));
    // The responder is away: nothing tells when it will be back.
    let silent = RevocationValues {
        crls: vec![List::of(&scene.root, "01-02", "12-30").der()],
        ..RevocationValues::default()
    };
    assert_eq!(wait(scene.judge(&issued, Some(&silent))).again_from, None);
    // What is on hold may be released.
    let held = RevocationValues {
        crls: vec![
            List::of(&scene.middle, "06-03", "06-10")
                .revoking(&scene.signer, "05-30", RevocationReason::CertificateHold)
                .der(),
            List::of(&scene.root, "01-02", "12-30").der(),
        ],
        ..RevocationValues::default()
    };
    let open = wait(scene.judge(&issued, Some(&held)));
    assert!(open.why.contains("'CN=Signer' is on hold"), "{open:?}");
}

#[tokio::test]
async fn a_revocation_counts_from_its_moment_and_its_proof_is_kept() {
    let scene = scene(true, at("06-01"));
    let issued = scene.sealed("06-01").await;
    let revoked = |since: &str| RevocationValues {
        crls: vec![
            List::of(&scene.middle, "06-03", "06-10")
                .revoking(&scene.signer, since, RevocationReason::KeyCompromise)
                .der(),
            List::of(&scene.root, "01-02", "12-30").der(),
        ],
        ..RevocationValues::default()
    };
    let later = proof(scene.judge(&issued, Some(&revoked("06-02"))));
    assert_eq!(later.stood, Stood::Valid);
    let before = proof(scene.judge(&issued, Some(&revoked("05-31"))));
    let Stood::Revoked(why) = &before.stood else {
        panic!("{before:?}")
    };
    assert_eq!(
        why,
        "'CN=Signer' is revoked since 2026-05-31T00:00:00Z (keyCompromise)"
    );
    // The signature itself is as it was, and the form proves the revocation by itself.
    let (lasting, _) = before.embed(&issued).unwrap();
    let alone = Certified::of_evidence(&lasting).unwrap();
    let judged = proof(alone.judge(&root_only(&scene), Some(alone.values()), DAY));
    assert_eq!(judged.stood, before.stood);
}

#[tokio::test]
async fn where_nobody_can_be_asked_certificates_alone_are_kept() {
    let scene = scene(false, at("06-01"));
    let issued = scene.sealed("06-01").await;
    let nothing = RevocationValues::default();
    for values in [None, Some(&nothing)] {
        let proof = proof(scene.judge(&issued, values));
        assert_eq!(proof.stood, Stood::NotAsked);
        let (lasting, _) = proof.embed(&issued).unwrap();
        let embedded = verify(&lasting).unwrap().0.embedded;
        assert_eq!(embedded.signer.certificates.len(), 2);
        assert!(embedded.signer.crls.is_empty() && embedded.signer.ocsp.is_empty());
        // The way to the anchor is in it.
        let alone = Certified::of_evidence(&lasting).unwrap();
        assert!(alone.paths(&root_only(&scene)).is_ok());
        // But it is certificates and nothing more, which anybody may put there.
        assert!(alone.is_embedded && !alone.is_lasting);
        let report = verify_evidence(&lasting, &scene.trust, no_schema);
        assert_eq!(report.level, Some(Level::Stamped));
        // What is lasting already is not made so again.
        assert!(matches!(proof.embed(&lasting), Err(LastingError::Xml(_))));
    }
    let unknown = wait(
        Certified::of_evidence(&issued)
            .unwrap()
            .judge(&TrustStore::new(), None, DAY),
    );
    assert_eq!(unknown.again_from, None);
}

/// A document is lasting when it can be judged by what stands in it, not when something stands there.
#[tokio::test]
async fn what_was_put_in_by_anybody_makes_no_document_lasting() {
    let scene = scene(true, at("06-01"));
    let issued = scene.sealed("06-01").await;
    let said = scene.said("06-03", "06-10");
    let level = |document: &[u8]| {
        let shelf = RevocationShelf::of(&said);
        let report = verify_evidence(document, Basis::known(&scene.trust, &shelf), no_schema);
        assert!(report.findings.all_ok(), "{report:?}");
        report.level
    };
    let with = |signer: ValueSet| {
        let stamps = ValueSet::default();
        embed_values(&issued, &Embedded { signer, stamps }).unwrap()
    };
    let stranger = Plan::authority("Middle").self_signed();
    let stranger_list = List::of(&stranger, "06-03", "06-10").der();
    for junk in [
        ValueSet {
            certificates: vec![stranger.certificate.der().to_vec()],
            ..ValueSet::default()
        },
        ValueSet {
            crls: vec![stranger_list],
            ..ValueSet::default()
        },
        // For the signer enough, for the time-stamp nothing.
        ValueSet {
            ocsp: said.ocsp.clone(),
            crls: vec![said.crls[1].clone()],
            ..ValueSet::default()
        },
    ] {
        assert_eq!(level(&with(junk)), Some(Level::Stamped));
    }
    let whole = ValueSet {
        ocsp: said.ocsp.clone(),
        crls: said.crls.clone(),
        ..ValueSet::default()
    };
    assert_eq!(level(&with(whole)), Some(Level::Lasting));
}

/// A place that nobody here can go to is a place: whoever relies on the seal and whoever makes it last think the same of it.
#[tokio::test]
async fn a_place_that_cannot_be_read_is_a_place_all_the_same() {
    let scene = scene_with(true, "nowhere to go", at("06-01"));
    assert!(crate::cms::locations::crl_urls(&scene.tsa.certificate).is_empty());
    let issued = scene.sealed("06-01").await;
    let mut said = scene.said("06-03", "06-10");
    said.crls.remove(0);
    let why = wait(scene.judge(&issued, Some(&said))).why;
    assert_eq!(why, "nothing is known of a revocation of 'CN=Authority'");
    let shelf = RevocationShelf::of(&said);
    let report = verify_evidence(&issued, Basis::known(&scene.trust, &shelf), no_schema);
    assert_eq!(report.findings.timestamp.to_string(), format!("unknown: {why}"));
}

#[tokio::test]
async fn a_large_list_lies_beside_the_document() {
    let scene = scene(true, at("06-01"));
    let issued = scene.sealed("06-01").await;
    let mut said = scene.said("06-03", "06-10");
    let others: Vec<Party> = (0..4)
        .map(|n| Plan::leaf(&format!("Other {n}")).by(&scene.middle))
        .collect();
    let mut list = List::of(&scene.middle, "06-03", "06-10");
    while list.revoked.len() < EMBEDDED_LIST_MAX_OCTETS {
        for other in &others {
            list = list.revoking(other, "05-01", RevocationReason::Superseded);
        }
    }
    said.crls[0] = list.der();
    let proof = proof(scene.judge(&issued, Some(&said)));
    let (lasting, beside) = proof.embed(&issued).unwrap();
    assert_eq!(beside.crls, [said.crls[0].clone()]);
    assert!(lasting.len() < issued.len() + EMBEDDED_LIST_MAX_OCTETS);
    // With what lies beside it the judgement is whole again.
    let alone = Certified::of_evidence(&lasting).unwrap();
    let mut values = alone.values().clone();
    assert!(matches!(
        alone.judge(&root_only(&scene), Some(&values), DAY),
        Outcome::NotYet(_)
    ));
    values.add_all(beside);
    let judged = alone.judge(&root_only(&scene), Some(&values), DAY);
    assert_eq!(self::proof(judged).stood, Stood::Valid);
}

#[tokio::test]
async fn documents_of_the_same_certificates_end_by_the_same_values() {
    let scene = scene(true, at("06-01"));
    let issued = scene.sealed("06-01").await;
    let said = scene.said("06-03", "06-10");
    let first = proof(scene.judge(&issued, Some(&said)));
    let other = Certified::of_evidence(&scene.sealed("06-01").await).unwrap();
    let like = other.judge_by(&first, &scene.trust, DAY).unwrap();
    assert_eq!(
        (like.stood.clone(), like.values()),
        (Stood::Valid, first.values())
    );
    assert_eq!(
        other.certificates_sha256(),
        Certified::of_evidence(&issued).unwrap().certificates_sha256()
    );
    // Not where they say nothing of it.
    assert!(other.judge_by(&first, &scene.trust, DAY * 30).is_none());
}

#[tokio::test]
async fn the_seal_of_a_dispatch_is_judged_by_values_beside_it() {
    let scene = scene(true, at("06-01"));
    let cms = scene
        .sealer
        .seal_entity(sha256(b"content"), at("06-01"))
        .await
        .unwrap();
    let seal = Certified::of_seal(&cms).unwrap();
    assert!(!seal.is_lasting);
    let proof = proof(seal.judge(&scene.trust, Some(&scene.said("06-03", "06-10")), DAY));
    assert_eq!(proof.stood, Stood::Valid);
    let certificates = proof.certificates();
    for party in [&scene.signer, &scene.tsa, &scene.middle, &scene.root] {
        assert!(certificates.contains(&party.certificate));
    }
    assert_eq!((proof.values().crls.len(), proof.values().ocsp.len()), (2, 1));
    let unstamped = scene
        .sealer
        .sign_entity(sha256(b"content"), at("06-01"))
        .await
        .unwrap();
    assert!(matches!(
        Certified::of_seal(&unstamped),
        Err(LastingError::NoStamp)
    ));

    // openssl takes the same values from their files.
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, octets: &[u8]| std::fs::write(folder.path().join(name), octets).unwrap();
    write("root.pem", scene.root.certificate.pem().as_bytes());
    write("leaf.pem", scene.signer.certificate.pem().as_bytes());
    let pem: String = certificates.iter().map(|c| c.pem()).collect();
    write("certificates.pem", pem.as_bytes());
    write("1.ors", &proof.values().ocsp[0]);
    let mut ocsp = Command::new("openssl");
    ocsp.current_dir(folder.path())
        .args(["ocsp", "-respin", "1.ors", "-CAfile", "root.pem"]);
    ocsp.args(["-issuer", "certificates.pem", "-verify_other", "certificates.pem"]);
    ocsp.args([
        "-attime",
        &at("06-04").unix_s().to_string(),
        "-no_nonce",
        "-resp_text",
        "-noverify",
    ]);
    assert!(run(&mut ocsp).contains("Cert Status: good"));
}

/// A SignedData with revocation values along (RFC 5652 10.2.1, RFC 5940): version 5 where one is an OCSP response.
fn with_values(cms: &[u8], values: &RevocationValues) -> Vec<u8> {
    use crate::cms::der::{self, Reader, context};
    let mut info = der::whole(cms, der::SEQUENCE, "ContentInfo").unwrap();
    let kind = info.any().unwrap().raw;
    let explicit = info.any().unwrap().value;
    let mut fields = Reader::new(Reader::new(explicit).any().unwrap().value);
    fields.any().unwrap();
    let parts: Vec<&[u8]> = (0..3).map(|_| fields.any().unwrap().raw).collect();
    let format = der::tlv(der::OID, &[&[0x2b, 6, 1, 5, 5, 7, 16, 2]]);
    let responses = values.ocsp.iter().map(|r| der::tlv(context(1), &[&format, r]));
    let all: Vec<Vec<u8>> = values.crls.iter().cloned().chain(responses).collect();
    let signers = fields.any().unwrap().raw;
    let signed_data = der::sequence(&[
        &[der::INTEGER, 1, 5],
        parts[0],
        parts[1],
        parts[2],
        &der::set_of(context(1), all),
        signers,
    ]);
    der::sequence(&[kind, &der::tlv(context(0), &[&signed_data])])
}

#[tokio::test]
async fn values_that_came_along_in_a_seal_and_in_its_token_are_read() {
    use crate::cms::tsp::Token;
    let scene = scene(true, at("06-01"));
    let content = b"Content-Type: text/plain\r\n\r\nMerhaba\r\n";
    let cms = scene
        .sealer
        .seal_entity(sha256(content), at("06-01"))
        .await
        .unwrap();
    let said = scene.said("06-03", "06-10");
    let lasting = with_values(&cms, &said);
    let seal = Certified::of_seal(&lasting).unwrap();
    assert!(seal.is_lasting);
    assert_eq!((seal.values().ocsp.len(), seal.values().crls.len()), (1, 3));
    let judged = seal.judge(&scene.trust, Some(seal.values()), DAY);
    assert_eq!(proof(judged).stood, Stood::Valid);
    let report = crate::seal::verify_entity(sha256(content), &lasting, &scene.trust);
    assert!(report.signature.is_ok() && report.trust.is_ok(), "{report:?}");

    let token = crate::cms::signed::verify_but_content(&cms)
        .unwrap()
        .stamp_token
        .unwrap();
    let token = Token::read(&with_values(&token, &said)).unwrap();
    assert_eq!((token.values.ocsp, token.values.crls.len()), (said.ocsp, 3));

    // openssl takes it as well.
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, octets: &[u8]| std::fs::write(folder.path().join(name), octets).unwrap();
    write("cms.der", &lasting);
    write("content", content);
    let authorities = scene.root.certificate.pem() + &scene.middle.certificate.pem();
    write("authorities.pem", authorities.as_bytes());
    let mut command = Command::new("openssl");
    command
        .current_dir(folder.path())
        .args(["cms", "-verify", "-binary", "-cades", "-inform", "DER"]);
    command.args([
        "-in",
        "cms.der",
        "-content",
        "content",
        "-CAfile",
        "authorities.pem",
    ]);
    let when = at("06-01").unix_s().to_string();
    command.args(["-purpose", "any", "-attime", &when, "-out", "out"]);
    run(&mut command);
}
