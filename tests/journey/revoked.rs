//! Revocation at work: what a peer hands over is asked about over real sockets, and so is what users have verified.

use super::enquiring::attached;
use super::provider::{Provider, START, Wires, set_pki};
use super::revoking::{Desk, params, responder_at};
use super::road::message;
use super::telling::told_in;
use super::transfers::held;
use kepd::clock::{Clock, ManualClock};
use kepd::cms::crl::Entry;
use kepd::cms::{Certificate, RevocationReason};
use kepd::domain::evidence::{Event, EvidenceKind, Reason};
use kepd::net::fetch::Fetcher;
use kepd::rem::evidence_read;
use kepd::seal::pki::{Credential, DevPki};
use kepd::seal::revocation::{Collector, Settings};
use kepd::seal::revoking::RevocationOffice;
use kepd::seal::tsa::SystemNonces;
use kepd::seal::{Asker, SealKey};
use kepd::service::enquiry::{Enquiries, Turns};
use kepd::service::intake::{Intake, Scrutiny, WhenUnknown};
use kepd::service::submission::Accepted;
use kepd::store::tables::evidence;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CrlDistributionPoint, CustomExtension,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::net::TcpListener;

const HOUR: Duration = Duration::from_secs(3600);
const ALICI: &str = "alici@hs02.kep.test";

/// Certificates of a provider whose authority answers at `base`, and the authority's office.
pub(super) fn pki_at(base: &str) -> (DevPki, RevocationOffice) {
    let mut root = params("Kamu Kök");
    root.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    root.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let root = CertifiedIssuer::self_signed(root, KeyPair::generate().unwrap()).unwrap();
    let issue = |mut params: CertificateParams| {
        params.crl_distribution_points = vec![CrlDistributionPoint {
            uris: vec![format!("{base}/list.crl")],
        }];
        params
            .custom_extensions
            .push(responder_at(&format!("{base}/ocsp")));
        let key = KeyPair::generate().unwrap();
        let made = params.signed_by(&key, &root).unwrap();
        Credential {
            certificate_pem: made.pem(),
            key_pem: key.serialize_pem().into(),
        }
    };
    let mut seal = params("Mühür");
    seal.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    seal.extended_key_usages = vec![ExtendedKeyUsagePurpose::EmailProtection];
    let mut tsa = params("Zaman");
    tsa.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let only = [0x30, 0x0a, 0x06, 0x08, 0x2b, 6, 1, 5, 5, 7, 3, 8];
    let mut purpose = CustomExtension::from_oid_content(&[2, 5, 29, 37], only.to_vec());
    purpose.set_criticality(true);
    tsa.custom_extensions.push(purpose);
    let office_key = SealKey::from_pem(&root.key().serialize_pem()).unwrap();
    let office = RevocationOffice::new(office_key, Certificate::from_der(root.der()).unwrap()).unwrap();
    let pki = DevPki {
        tls: issue(params("tls")),
        seal: issue(seal),
        tsa: issue(tsa),
        ca: Credential {
            certificate_pem: root.pem(),
            key_pem: root.key().serialize_pem().into(),
        },
    };
    (pki, office)
}

/// A sender whose authority answers over HTTP, and hs02, which asks it.
struct Scene {
    desk: Arc<Desk>,
    clock: Arc<ManualClock>,
    wires: Wires,
    sender: Provider,
    hs02: Provider,
    seal: Certificate,
    tsa: Certificate,
    scrutiny: Arc<Scrutiny>,
    _dir: tempfile::TempDir,
}

async fn scene(domain: &str, when_unknown: WhenUnknown) -> Scene {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let (pki, office) = pki_at(&base);
    let (seal, tsa) = (pki.seal.certificate().unwrap(), pki.tsa.certificate().unwrap());
    set_pki(domain, pki);
    let clock = Arc::new(ManualClock::at(START));
    let desk = Desk::new(office, clock.clone());
    tokio::spawn(desk.clone().serve(listener));

    let dir = tempfile::tempdir().unwrap();
    let wires = Wires::default();
    let sender = Provider::open(domain, &dir.path().join("sender"), &clock, &wires);
    let mut hs02 = Provider::open("hs02.kep.test", &dir.path().join("hs02"), &clock, &wires);
    sender.knows("hs02.kep.test").await;
    hs02.knows(domain).await;
    sender.add_ornekas().await;
    hs02.add_person("alici").await;

    let fetcher = Fetcher::new(vec!["127.0.0.1".parse().unwrap()]);
    let time: Arc<dyn Clock> = clock.clone();
    let collector = Collector::new(
        Arc::new(fetcher),
        Arc::new(SystemNonces),
        time.clone(),
        Settings::default(),
    );
    let asker = Arc::new(Asker::new(Arc::new(collector), time.clone()));
    let scrutiny = Arc::new(Scrutiny::new(asker.clone(), time, when_unknown));
    let (intake, asked) = (hs02.intake.clone(), hs02.enquiries.clone());
    hs02.intake = Arc::new(Intake {
        db: intake.db.clone(),
        spool: intake.spool.clone(),
        clock: intake.clock.clone(),
        ids: intake.ids.clone(),
        organisations: intake.organisations.clone(),
        identity: intake.identity.clone(),
        items: intake.items.clone(),
        bells: intake.bells.clone(),
        scrutiny: Some(scrutiny.clone()),
    });
    hs02.enquiries = Arc::new(Enquiries {
        db: asked.db.clone(),
        spool: asked.spool.clone(),
        clock: asked.clock.clone(),
        ids: asked.ids.clone(),
        organisations: asked.organisations.clone(),
        identity: asked.identity.clone(),
        items: asked.items.clone(),
        bells: asked.bells.clone(),
        published: asked.published.clone(),
        turns: Turns::default(),
        asker: Some(asker),
    });
    wires.join(&hs02);
    Scene {
        desk,
        clock,
        wires,
        sender,
        hs02,
        seal,
        tsa,
        scrutiny,
        _dir: dir,
    }
}

impl Scene {
    /// Sends; gives the evidence of the sender's own that is there at once.
    async fn send(&self, subject: &str) -> Vec<Vec<u8>> {
        let text = message(subject, ALICI).replace("hs01.kep.test", self.sender.identity.domain.as_str());
        let sent = self
            .sender
            .submit("mudur@ornekas", &[ALICI], &text)
            .await
            .unwrap();
        let Accepted::Sent { mail } = sent else {
            panic!("{sent:?}")
        };
        self.work().await;
        let mut out = Vec::new();
        for row in evidence::of_mail(&*self.sender.db, self.sender.tenant("ornekas"), mail).unwrap() {
            if row.row.issuer == self.sender.identity.domain {
                out.push(self.sender.spool.load(&row.row.xml).await.unwrap());
            }
        }
        out
    }

    async fn work(&self) {
        while self.sender.work().await + self.hs02.work().await > 0 {}
    }

    fn revoke(&self, certificate: &Certificate, reason: RevocationReason) {
        let entry = Entry {
            revoked_at: self.clock.now(),
            reason,
            invalid_since: None,
        };
        self.desk.office.lock().unwrap().revoke(certificate, entry);
    }

    /// What alici has got.
    fn incoming(&self) -> usize {
        held(&self.hs02).incoming
    }

    /// Rejections that stand in alici's account: reasons and details.
    async fn rejections(&self) -> Vec<(Reason, String)> {
        let mut out = Vec::new();
        for row in evidence::of_tenant(&*self.hs02.db, self.hs02.tenant("alici")).unwrap() {
            let told = (row.row.kind, row.row.event);
            if told == (EvidenceKind::RelayREMMDAcceptanceRejection, Event::Rejection) {
                let xml = self.hs02.spool.load(&row.row.xml).await.unwrap();
                for given in evidence_read::read(&xml).unwrap().facts.reasons {
                    out.push((given.reason, given.details.unwrap_or_default()));
                }
            }
        }
        out
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_whose_seal_is_revoked_is_refused_and_what_it_sealed_before_is_taken() {
    let scene = scene("hs71.kep.test", WhenUnknown::Later).await;
    scene.send("Birinci").await;
    assert_eq!(scene.incoming(), 1);

    // Sealed now, on its way when the certificate is revoked.
    scene.wires.cut("hs02.kep.test");
    scene.send("Ikinci").await;
    assert_eq!(scene.incoming(), 1);
    scene.clock.advance(HOUR);
    scene.revoke(&scene.seal, RevocationReason::KeyCompromise);
    scene.clock.advance(HOUR);
    scene.wires.join(&scene.hs02);
    scene.work().await;
    assert_eq!(scene.incoming(), 2, "its time-stamp is older");

    // Sealed with the lost key.
    scene.send("Ucuncu").await;
    assert_eq!(scene.incoming(), 2);
    assert_eq!(scene.scrutiny.revoked(), 1);
    let rejections = scene.rejections().await;
    let [(Reason::PolicyViolation, details)] = &rejections[..] else {
        panic!("{rejections:?}")
    };
    assert!(
        details.starts_with("the seal is not valid: 'CN=Mühür' is revoked since 2026-11-")
            && details.ends_with("(keyCompromise)"),
        "{details}"
    );
    assert_eq!(scene.scrutiny.unknown(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn stamps_of_a_revoked_authority_are_refused_too() {
    let scene = scene("hs72.kep.test", WhenUnknown::Later).await;
    scene.revoke(&scene.tsa, RevocationReason::CessationOfOperation);
    scene.clock.advance(HOUR);
    scene.send("Damga").await;
    assert_eq!(scene.incoming(), 0);
    let rejections = scene.rejections().await;
    assert!(
        rejections[0].1.contains("'CN=Zaman' is revoked since"),
        "{rejections:?}"
    );
}

/// Such a stamp may have been made afterwards. That is no silence: what counts is the seal at its arrival, whatever is set.
#[tokio::test(flavor = "multi_thread")]
async fn a_stamp_whose_authority_lost_its_key_later_proves_no_time() {
    for (domain, when_unknown, seal_too) in [
        ("hs78.kep.test", WhenUnknown::Later, false),
        ("hs79.kep.test", WhenUnknown::Accept, true),
    ] {
        let scene = scene(domain, when_unknown).await;
        scene.wires.cut("hs02.kep.test");
        scene.send("Yolda").await;
        scene.clock.advance(HOUR);
        scene.revoke(&scene.tsa, RevocationReason::KeyCompromise);
        if seal_too {
            scene.revoke(&scene.seal, RevocationReason::CessationOfOperation);
        }
        scene.clock.advance(HOUR);
        scene.wires.join(&scene.hs02);
        scene.work().await;
        let rejections = scene.rejections().await;
        assert_eq!(scene.scrutiny.unknown(), 0, "somebody answered");
        if seal_too {
            assert_eq!((scene.incoming(), scene.scrutiny.revoked()), (0, 1));
            let [(Reason::PolicyViolation, details)] = &rejections[..] else {
                panic!("{rejections:?}")
            };
            assert!(
                details.starts_with("the seal is not valid: 'CN=Mühür' is revoked since"),
                "{details}"
            );
        } else {
            assert_eq!((scene.incoming(), rejections), (1, vec![]));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn when_nobody_answers_a_setting_says_what_becomes_of_it() {
    let accepting = scene("hs73.kep.test", WhenUnknown::Accept).await;
    accepting.desk.away.store(true, Ordering::Relaxed);
    accepting.send("Alinir").await;
    assert_eq!((accepting.incoming(), accepting.scrutiny.unknown()), (1, 1));

    let waiting = scene("hs74.kep.test", WhenUnknown::Later).await;
    waiting.desk.away.store(true, Ordering::Relaxed);
    waiting.send("Bekler").await;
    assert_eq!(waiting.incoming(), 0);
    assert!(waiting.scrutiny.unknown() >= 1);
    assert_eq!(waiting.rejections().await, [], "the peer comes again");
    waiting.desk.away.store(false, Ordering::Relaxed);
    waiting.clock.advance(HOUR);
    waiting.work().await;
    assert_eq!((waiting.incoming(), waiting.rejections().await.len()), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warm_memory_asks_nobody() {
    let scene = scene("hs75.kep.test", WhenUnknown::Later).await;
    scene.send("Bir").await;
    // The authority falls silent; what it said holds for the next minute.
    scene.desk.away.store(true, Ordering::Relaxed);
    scene.clock.advance(Duration::from_secs(30));
    scene.send("Iki").await;
    assert_eq!((scene.incoming(), scene.scrutiny.unknown()), (2, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answer_to_a_question_says_since_when_a_seal_is_revoked() {
    let scene = scene("hs76.kep.test", WhenUnknown::Accept).await;
    let before = scene.send("Once").await.remove(0);
    scene.clock.advance(HOUR);
    scene.revoke(&scene.seal, RevocationReason::KeyCompromise);
    scene.clock.advance(HOUR);
    let after = scene.send("Sonra").await.remove(0);
    let ask = async |id: &str, document: &[u8]| {
        let by = scene.hs02.principal("alici@alici");
        let mut question = scene.hs02.enquiries.begin(&by).unwrap();
        let text = attached(ALICI, "dogrula@hs02.kep.test", id, &[document]);
        question.write(text.as_bytes()).unwrap();
        assert_eq!(question.finish().await.unwrap(), Some(1));
        let mut heard = told_in(&scene.hs02, "alici", "alici").await;
        heard.pop().unwrap().text
    };
    let good = ask("q1", &before).await;
    for said in [
        "Sonuç: GEÇERLİ",
        "bunun zararı yok",
        "was revoked only later, at",
        "which does no harm",
        "(anahtar ele geçirilmiş)",
    ] {
        assert!(good.contains(said), "{said}: {good}");
    }
    let bad = ask("q2", &after).await;
    for said in [
        "Sonuç: GEÇERSİZ",
        "güven: geçersiz: 'CN=Mühür' sertifikası",
        "tarihinden beri iptal",
        "trust: failed: 'CN=Mühür' is revoked since",
    ] {
        assert!(bad.contains(said), "{said}: {bad}");
    }
    // And when nobody answers it is said that it is not known.
    scene.desk.away.store(true, Ordering::Relaxed);
    scene.clock.advance(HOUR * 3);
    let unknown = ask("q3", &before).await;
    assert!(unknown.contains("Sonuç: BELİRSİZ"), "{unknown}");
}
