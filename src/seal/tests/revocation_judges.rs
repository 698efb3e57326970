//! The same certificates, lists and responses before openssl and before us: both must say the same. Where openssl differs, the
//! test says why.

use super::*;
use crate::cms::Certificate;
use crate::cms::ocsp::{IdDigest, Request, Response, Status};
use crate::cms::revocation::{RevocationReason, RevocationValues, Standing};
use crate::cms::testing::{List, Party, Plan, Reply, at, no_check};
use crate::cms::{Purpose, ocsp, path};
use std::path::Path;

/// The same moment as `at`, as openssl wants it.
fn unix(t: &str) -> String {
    at(t).unix_s().to_string()
}

fn pem(parties: &[&Party]) -> String {
    parties.iter().map(|p| p.certificate.pem()).collect()
}

/// What openssl and what we say of the leaf over `middle` at a moment, by these lists.
struct Court {
    folder: tempfile::TempDir,
    root: Party,
    middle: Vec<Party>,
    leaf: Party,
}

impl Court {
    fn new(root: &Party, middle: &[&Party], leaf: &Party) -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            root: root.clone(),
            middle: middle.iter().map(|p| (*p).clone()).collect(),
            leaf: leaf.clone(),
        }
    }

    fn openssl(&self, t: &str, crls: &[Vec<u8>], extra: &[&str]) -> (bool, String) {
        let folder = self.folder.path();
        let lists: String = crls.iter().map(|der| crl_pem(folder, der)).collect();
        for (name, text) in [
            ("root.pem", pem(&[&self.root])),
            ("middle.pem", pem(&self.middle.iter().collect::<Vec<_>>())),
            ("leaf.pem", pem(&[&self.leaf])),
            ("lists.pem", lists),
        ] {
            std::fs::write(folder.join(name), text).unwrap();
        }
        let mut command = Command::new("openssl");
        command.current_dir(folder).args(["verify", "-attime", &unix(t)]);
        command.args(["-CAfile", "root.pem", "-untrusted", "middle.pem"]);
        if !crls.is_empty() {
            command.args(["-crl_check_all", "-CRLfile", "lists.pem"]);
        }
        let out = command.args(extra).arg("leaf.pem").output().unwrap();
        let words = [out.stdout, out.stderr].concat();
        (out.status.success(), String::from_utf8_lossy(&words).into_owned())
    }

    fn ours(&self, t: &str, crls: &[Vec<u8>]) -> Option<Standing> {
        let pool: Vec<Certificate> = self.middle.iter().map(|p| p.certificate.clone()).collect();
        let anchors = [self.root.certificate.clone()];
        let path = path::validate(&self.leaf.certificate, &pool, &anchors, at(t), Purpose::Signing).ok()?;
        let values = RevocationValues {
            crls: crls.to_vec(),
            ..RevocationValues::default()
        };
        Some(crate::cms::revocation::judge(
            &path,
            at(t),
            &values,
            Duration::ZERO,
        ))
    }

    /// Both must agree whether the leaf stands.
    #[track_caller]
    fn agree(&self, what: &str, t: &str, crls: &[Vec<u8>], stands: bool, words: &str) {
        let (theirs, said) = self.openssl(t, crls, &[]);
        assert_eq!(theirs, stands, "{what}: openssl: {said}");
        assert!(said.contains(words), "{what}: {said}");
        let ours = self.ours(t, crls);
        let we = match &ours {
            // Without lists only the path was asked about.
            Some(_) if crls.is_empty() => true,
            Some(standing) => matches!(standing, Standing::ValidAt(_)),
            None => false,
        };
        assert_eq!(we, stands, "{what}: {ours:?}");
    }
}

fn crl_pem(folder: &Path, der: &[u8]) -> String {
    std::fs::write(folder.join("one.crl"), der).unwrap();
    let mut command = Command::new("openssl");
    command.current_dir(folder);
    run(command.args(["crl", "-inform", "DER", "-in", "one.crl"]))
}

#[test]
fn lists_before_openssl() {
    let root = Plan::authority("Root").self_signed();
    let middle = Plan::authority("Middle").by(&root);
    let leaf = Plan::leaf("Signer").by(&middle);
    let court = Court::new(&root, &[&middle], &leaf);
    let quiet_root = List::of(&root, "01-01", "12-31").der();
    let quiet = List::of(&middle, "05-30", "06-05").der();
    let with_root = |list: Vec<u8>| vec![quiet_root.clone(), list];
    court.agree("quiet", "06-01", &with_root(quiet.clone()), true, "OK");
    court.agree("stale", "06-10", &with_root(quiet), false, "CRL has expired");
    let revoked =
        List::of(&middle, "05-30", "06-05").revoking(&leaf, "05-29", RevocationReason::KeyCompromise);
    court.agree(
        "revoked",
        "06-01",
        &with_root(revoked.der()),
        false,
        "certificate revoked",
    );
    let held =
        List::of(&middle, "05-30", "06-05").revoking(&leaf, "05-29", RevocationReason::CertificateHold);
    court.agree(
        "held",
        "06-01",
        &with_root(held.der()),
        false,
        "certificate revoked",
    );
    let stranger = Plan::authority("Middle").self_signed();
    let forged = List::of(&stranger, "05-30", "06-05").der();
    court.agree(
        "forged",
        "06-01",
        &with_root(forged),
        false,
        "CRL signature failure",
    );
    court.agree(
        "none",
        "06-01",
        std::slice::from_ref(&quiet_root),
        false,
        "unable to get certificate CRL",
    );
    let of_middle =
        List::of(&root, "01-01", "12-31").revoking(&middle, "05-29", RevocationReason::CaCompromise);
    let quiet = List::of(&middle, "05-30", "06-05").der();
    court.agree(
        "authority",
        "06-01",
        &[of_middle.der(), quiet],
        false,
        "certificate revoked",
    );

    // Where we differ. openssl takes an entry whose date lies after the moment as a revocation all the same, and a list that
    // came after the moment as "not yet valid"; here both say that the certificate was good at that moment.
    let later = List::of(&middle, "05-30", "06-05").revoking(&leaf, "06-04", RevocationReason::Superseded);
    let later = with_root(later.der());
    let (theirs, said) = court.openssl("06-01", &later, &[]);
    assert!(!theirs && said.contains("certificate revoked"), "{said}");
    assert_eq!(court.ours("06-01", &later), Some(Standing::ValidAt(at("06-01"))));
    let next = with_root(List::of(&middle, "06-02", "06-09").der());
    let (theirs, said) = court.openssl("06-01", &next, &[]);
    assert!(!theirs && said.contains("CRL is not yet valid"), "{said}");
    assert_eq!(court.ours("06-01", &next), Some(Standing::ValidAt(at("06-01"))));
}

#[test]
fn constraints_and_policies_before_openssl() {
    use crate::cms::der::{self, context};
    use crate::cms::extension::{self, write};
    use crate::cms::testing::{alt_names, purposes};
    let root = Plan::authority("Root").self_signed();
    let base = der::sequence(&[&der::tlv(0x81, &[b"kep.test"])]);
    let names = |tag: u8| {
        let value = der::sequence(&[&der::tlv(context(tag), &[&base])]);
        write(extension::NAME_CONSTRAINTS, true, &value)
    };
    let judged = |what: &str, constraint: Vec<u8>, address: &[u8], stands: bool, words: &str| {
        let middle = Plan::authority("Middle").with(constraint).by(&root);
        let leaf = Plan::leaf("Signer")
            .with(alt_names(&[(0x81, address)]))
            .by(&middle);
        Court::new(&root, &[&middle], &leaf).agree(what, "06-01", &[], stands, words);
    };
    judged("permitted", names(0), b"a@kep.test", true, "OK");
    judged(
        "not permitted",
        names(0),
        b"a@b.test",
        false,
        "permitted subtree violation",
    );
    judged(
        "excluded",
        names(1),
        b"a@kep.test",
        false,
        "excluded subtree violation",
    );
    judged("not excluded", names(1), b"a@b.test", true, "OK");

    let oid = |o: &[u8]| der::tlv(der::OID, &[o]);
    let states = |o: &[u8]| {
        let value = der::sequence(&[&der::sequence(&[&oid(o)])]);
        write(extension::CERTIFICATE_POLICIES, false, &value)
    };
    let strict = write(
        extension::POLICY_CONSTRAINTS,
        true,
        &der::sequence(&[&[0x80, 1, 0]]),
    );
    let maps = write(
        extension::POLICY_MAPPINGS,
        true,
        &der::sequence(&[&der::sequence(&[&oid(&[0x60, 1]), &oid(&[0x60, 3])])]),
    );
    let judged = |what: &str, mapped: bool, leaf: &[u8], stands: bool| {
        let mut plan = Plan::authority("Middle")
            .with(states(&[0x60, 1]))
            .with(strict.clone());
        if mapped {
            plan = plan.with(maps.clone());
        }
        let middle = plan.by(&root);
        let leaf = Plan::leaf("Signer").with(states(leaf)).by(&middle);
        let court = Court::new(&root, &[&middle], &leaf);
        // openssl wants to be told that any policy will do; to us saying nothing means that.
        let any = ["-policy_check", "-policy", "2.5.29.32.0"];
        let (theirs, said) = court.openssl("06-01", &[], &any);
        assert_eq!(theirs, stands, "{what}: {said}");
        assert_eq!(court.ours("06-01", &[]).is_some(), stands, "{what}");
    };
    judged("stated", false, &[0x60, 1], true);
    judged("another", false, &[0x60, 2], false);
    judged("mapped", true, &[0x60, 3], true);
    judged("not mapped", true, &[0x60, 1], false);

    // Where we differ: openssl's verify does not hold the purposes of an authority against an e-mail signature unless it is
    // told a purpose; then it does.
    let ocsp_only = purposes(&[crate::cms::certificate::EKU_OCSP_SIGNING]);
    let middle = Plan::authority("Middle").with(ocsp_only).by(&root);
    let leaf = Plan::leaf("Signer").by(&middle);
    let court = Court::new(&root, &[&middle], &leaf);
    assert!(court.openssl("06-01", &[], &[]).0);
    assert!(!court.openssl("06-01", &[], &["-purpose", "smimesign"]).0);
    assert_eq!(court.ours("06-01", &[]), None);
}

#[test]
fn responses_before_openssl() {
    let root = Plan::authority("Root").self_signed();
    let middle = Plan::authority("Middle").by(&root);
    let leaf = Plan::leaf("Signer").by(&middle);
    let desk = Plan::responder("Desk").with(no_check()).by(&middle);
    let wrong_desk = Plan::leaf("Desk").by(&middle);
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, octets: &[u8]| std::fs::write(folder.path().join(name), octets).unwrap();
    write("root.pem", pem(&[&root]).as_bytes());
    write("middle.pem", pem(&[&middle]).as_bytes());
    write("leaf.pem", pem(&[&leaf]).as_bytes());
    let openssl = |response: &[u8]| {
        write("response.der", response);
        let mut command = Command::new("openssl");
        command
            .current_dir(folder.path())
            .args(["ocsp", "-respin", "response.der"]);
        command.args([
            "-issuer",
            "middle.pem",
            "-cert",
            "leaf.pem",
            "-CAfile",
            "root.pem",
        ]);
        // Its dates are not held against today's; the chain of the signer is, at the moment.
        command.args([
            "-verify_other",
            "middle.pem",
            "-attime",
            &unix("06-01"),
            "-no_nonce",
        ]);
        command.args(["-validity_period", "999999999"]);
        let out = command.output().unwrap();
        String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned()
    };
    let path = [&leaf, &middle, &root].map(|p| p.certificate.clone());
    let ours = |response: &[u8]| {
        let values = RevocationValues {
            crls: vec![List::of(&root, "01-01", "12-31").der()],
            ocsp: vec![response.to_vec()],
            certificates: Vec::new(),
        };
        crate::cms::revocation::judge(&path, at("06-01"), &values, Duration::ZERO)
    };
    let reply = || Reply::good(&leaf, &middle, "05-31", "06-02");
    let gone = Status::Revoked {
        at: at("05-30"),
        reason: RevocationReason::KeyCompromise,
        invalid_since: None,
    };
    for (what, response, verified, status) in [
        ("good", reply().der(), true, "leaf.pem: good"),
        ("by a delegate", reply().by(&desk).der(), true, "leaf.pem: good"),
        ("revoked", reply().status(gone).der(), true, "leaf.pem: revoked"),
        (
            "unknown",
            reply().status(Status::Unknown).der(),
            true,
            "leaf.pem: unknown",
        ),
        (
            "by a wrong delegate",
            reply().by(&wrong_desk).der(),
            false,
            "leaf.pem: good",
        ),
    ] {
        let said = openssl(&response);
        assert_eq!(said.contains("Response verify OK"), verified, "{what}: {said}");
        assert!(said.contains(status), "{what}: {said}");
        let standing = ours(&response);
        let agrees = match (verified, &standing) {
            (true, Standing::ValidAt(_)) => status.ends_with("good"),
            (true, Standing::RevokedSince { .. }) => {
                status.ends_with("revoked") && said.contains("keyCompromise")
            }
            (true, Standing::Unknown { .. }) => status.ends_with("unknown"),
            (false, standing) => matches!(standing, Standing::Unknown { .. }),
        };
        assert!(agrees, "{what}: {standing:?}");
    }
}

/// openssl as the responder: it reads our request, and we read its answer.
#[test]
fn openssl_answers_our_request() {
    let root = Plan::authority("Root").self_signed();
    let leaf = Plan::leaf("Signer").by(&root);
    let gone = Plan::leaf("Gone").by(&root);
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, octets: &[u8]| std::fs::write(folder.path().join(name), octets).unwrap();
    let hex = |p: &Party| {
        p.certificate
            .serial()
            .iter()
            .map(|o| format!("{o:02X}"))
            .collect::<String>()
    };
    let index = format!(
        "V\t261231000000Z\t\t{}\tunknown\t/CN=Signer\nR\t261231000000Z\t260530000000Z,keyCompromise\t{}\tunknown\t/CN=Gone\n",
        hex(&leaf),
        hex(&gone)
    );
    write("index.txt", index.as_bytes());
    write("root.pem", pem(&[&root]).as_bytes());
    write("root.key", root.key.serialize_pem().as_bytes());
    let nonce = [7u8; 16];
    for digest in [
        IdDigest::Sha1,
        IdDigest::Sha2(crate::cms::DigestAlgorithm::Sha256),
    ] {
        for (party, revoked) in [(&leaf, false), (&gone, true)] {
            let request = Request {
                certificate: &party.certificate,
                issuer: &root.certificate,
                digest,
                nonce: Some(&nonce),
            };
            write("request.der", &request.der());
            let mut command = Command::new("openssl");
            command
                .current_dir(folder.path())
                .args(["ocsp", "-index", "index.txt", "-CA", "root.pem"]);
            command.args([
                "-rsigner",
                "root.pem",
                "-rkey",
                "root.key",
                "-reqin",
                "request.der",
            ]);
            run(command.args(["-respout", "response.der", "-nmin", "5"]));
            let octets = std::fs::read(folder.path().join("response.der")).unwrap();
            let response = Response::read(&octets).unwrap();
            assert_eq!(response.check_nonce(&nonce), Ok(true));
            assert_eq!(response.check_nonce(&[8; 16]), Err(ocsp::OcspError::Nonce));
            assert_eq!(
                response.check_signed_for(&root.certificate, &[]),
                Ok(ocsp::Signer::Issuer)
            );
            let answer = response
                .answer_for(&party.certificate, &root.certificate)
                .unwrap();
            let wanted = match revoked {
                false => Status::Good,
                true => Status::Revoked {
                    at: at("05-30"),
                    reason: RevocationReason::KeyCompromise,
                    invalid_since: None,
                },
            };
            assert_eq!(answer.status, wanted);
        }
    }
}
