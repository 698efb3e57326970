//! Revocation over real sockets: an authority's office serves its list and answers OCSP, the collector asks through the
//! bounded client, and the trust store judges. The clock is turned by hand.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use kepd::clock::{Clock, ManualClock, UtcTime};
use kepd::cms::crl::Entry;
use kepd::cms::revocation::Doubt;
use kepd::cms::{Certificate, Purpose, RevocationReason, RevocationValues, Standing};
use kepd::net::fetch::Fetcher;
use kepd::seal::revocation::{Collected, Collector, Settings};
use kepd::seal::revoking::RevocationOffice;
use kepd::seal::tsa::SystemNonces;
use kepd::seal::{SealKey, TrustStore};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CrlDistributionPoint, CustomExtension, DnType,
    IsCa, KeyPair, KeyUsagePurpose,
};
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;

const HOUR: Duration = Duration::from_secs(3600);

/// 2026-11-23T20:45:05Z
fn now() -> UtcTime {
    UtcTime::from_unix_s(1_795_466_705)
}

/// The office behind its socket. It may be told not to answer OCSP, or nothing at all.
pub(super) struct Desk {
    pub office: Mutex<RevocationOffice>,
    pub answers_ocsp: Mutex<bool>,
    pub away: AtomicBool,
    pub clock: Arc<dyn Clock>,
}

impl Desk {
    pub fn new(office: RevocationOffice, clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self {
            office: Mutex::new(office),
            answers_ocsp: Mutex::new(true),
            away: AtomicBool::new(false),
            clock,
        })
    }

    pub async fn serve(self: Arc<Self>, listener: TcpListener) {
        while let Ok((stream, _)) = listener.accept().await {
            let desk = self.clone();
            tokio::spawn(async move {
                let service = service_fn(move |request| {
                    let desk = desk.clone();
                    async move { Ok::<_, Infallible>(desk.answer(request).await) }
                });
                let connection = hyper::server::conn::http1::Builder::new();
                let _ = connection.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let method = request.method().clone();
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let office = self.office.lock().unwrap();
        let octets = match method {
            _ if self.away.load(Ordering::Relaxed) => None,
            Method::GET => Some(office.list(self.clock.now()).unwrap()),
            _ if *self.answers_ocsp.lock().unwrap() => Some(office.answer(&body, self.clock.now())),
            _ => None,
        };
        match octets {
            Some(octets) => Response::new(Full::new(octets.into())),
            None => Response::builder()
                .status(StatusCode::SERVICE_UNAVAILABLE)
                .body(Full::default())
                .unwrap(),
        }
    }
}

struct Scene {
    desk: Arc<Desk>,
    clock: Arc<ManualClock>,
    leaf: Certificate,
    trust: TrustStore,
    collector: Collector,
}

pub(super) fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = rcgen::date_time_ymd(2026, 1, 1);
    params.not_after = rcgen::date_time_ymd(2030, 1, 1);
    params
}

/// authorityInfoAccess with one OCSP responder (RFC 5280 4.2.2.1).
pub(super) fn responder_at(url: &str) -> CustomExtension {
    let uri = [&[0x86, u8::try_from(url.len()).unwrap()], url.as_bytes()].concat();
    let method = [6, 8, 0x2b, 6, 1, 5, 5, 7, 48, 1];
    let wrap = |octets: &[u8]| [&[0x30, u8::try_from(octets.len()).unwrap()], octets].concat();
    let list = wrap(&wrap(&[&method[..], &uri].concat()));
    CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 1], list)
}

async fn scene(allowed: &[&str]) -> Scene {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let mut root = params("Root");
    root.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    root.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let root = CertifiedIssuer::self_signed(root, KeyPair::generate().unwrap()).unwrap();
    let mut leaf = params("Signer");
    leaf.crl_distribution_points = vec![CrlDistributionPoint {
        uris: vec![format!("{base}/list.crl")],
    }];
    leaf.custom_extensions = vec![responder_at(&format!("{base}/ocsp"))];
    let leaf = leaf.signed_by(&KeyPair::generate().unwrap(), &root).unwrap();

    let key = SealKey::from_pem(&root.key().serialize_pem()).unwrap();
    let root = Certificate::from_der(root.der()).unwrap();
    let clock = Arc::new(ManualClock::at(now()));
    let desk = Desk::new(RevocationOffice::new(key, root.clone()).unwrap(), clock.clone());
    tokio::spawn(desk.clone().serve(listener));
    let mut trust = TrustStore::new();
    trust.add_anchor(root);
    let fetcher = Fetcher::new(allowed.iter().map(|n| n.parse().unwrap()).collect());
    let collector = Collector::new(
        Arc::new(fetcher),
        Arc::new(SystemNonces),
        clock.clone(),
        Settings::default(),
    );
    Scene {
        desk,
        clock,
        leaf: Certificate::from_der(leaf.der()).unwrap(),
        trust,
        collector,
    }
}

impl Scene {
    async fn collect(&self, at: UtcTime, grace: Duration) -> Collected {
        let path = self.trust.path(&self.leaf, &[], at, Purpose::Signing).unwrap();
        self.collector.collect(&path, at, grace).await
    }

    fn judge(&self, at: UtcTime, values: &RevocationValues, grace: Duration) -> Standing {
        let judged = self
            .trust
            .judge(&self.leaf, &[], at, Purpose::Signing, values, grace);
        judged.unwrap().standing
    }

    fn revoke(&self, at: UtcTime, reason: RevocationReason) {
        let entry = Entry {
            revoked_at: at,
            reason,
            invalid_since: None,
        };
        self.desk.office.lock().unwrap().revoke(&self.leaf, entry);
    }
}

#[tokio::test]
async fn a_signature_outlives_the_revocation_of_its_certificate() {
    let scene = scene(&["127.0.0.1"]).await;
    let signed_at = now();
    // At once it is good so far, after the grace for good.
    let early = scene.collect(signed_at, HOUR).await;
    assert_eq!(
        (early.values.ocsp.len(), early.values.crls.len()),
        (1, 1),
        "{early:?}"
    );
    assert_eq!(
        scene.judge(signed_at, &early.values, HOUR),
        Standing::Unknown {
            why: Doubt::NotFinal {
                subject: "CN=Signer".to_owned(),
                final_from: signed_at.plus(HOUR)
            }
        }
    );
    scene.clock.advance(2 * HOUR);
    let late = scene.collect(signed_at, HOUR).await;
    assert_eq!(
        (late.values.ocsp.len(), late.values.crls.len()),
        (1, 0),
        "{late:?}"
    );
    assert_eq!(
        scene.judge(signed_at, &late.values, HOUR),
        Standing::ValidAt(signed_at)
    );

    // Revoked then: it harms what is signed later, not what was signed before.
    let revoked_at = scene.clock.now();
    scene.revoke(revoked_at, RevocationReason::KeyCompromise);
    scene.clock.advance(2 * HOUR);
    let after = scene.collect(scene.clock.now(), Duration::ZERO).await;
    assert_eq!(
        scene.judge(signed_at, &after.values, HOUR),
        Standing::ValidAt(signed_at)
    );
    let expected = Standing::RevokedSince {
        subject: "CN=Signer".to_owned(),
        at: revoked_at,
        reason: RevocationReason::KeyCompromise,
    };
    assert_eq!(scene.judge(scene.clock.now(), &after.values, HOUR), expected);
    // The same by the list, when the responder is away.
    *scene.desk.answers_ocsp.lock().unwrap() = false;
    scene.clock.advance(2 * HOUR);
    let by_list = scene.collect(scene.clock.now(), Duration::ZERO).await;
    assert_eq!((by_list.values.ocsp.len(), by_list.values.crls.len()), (0, 1));
    assert!(by_list.failures[0].contains("503"), "{:?}", by_list.failures);
    assert_eq!(scene.judge(scene.clock.now(), &by_list.values, HOUR), expected);
}

#[tokio::test]
async fn a_certificate_does_not_send_us_into_our_own_network() {
    let scene = scene(&[]).await;
    let collected = scene.collect(now(), Duration::ZERO).await;
    assert!(collected.values.is_empty());
    assert_eq!(collected.failures.len(), 2);
    for failure in &collected.failures {
        assert!(failure.contains("127.0.0.1 is not a public address"), "{failure}");
    }
}

#[tokio::test]
async fn what_was_on_hold_and_is_released_was_never_revoked() {
    let scene = scene(&["127.0.0.1"]).await;
    scene.revoke(now(), RevocationReason::CertificateHold);
    let held = scene.collect(now(), Duration::ZERO).await;
    assert!(matches!(
        scene.judge(now(), &held.values, Duration::ZERO),
        Standing::RevokedSince {
            reason: RevocationReason::CertificateHold,
            ..
        }
    ));
    scene.desk.office.lock().unwrap().release(&scene.leaf);
    scene.clock.advance(2 * HOUR);
    let mut all = scene.collect(now(), HOUR).await.values;
    all.add_all(held.values);
    assert_eq!(scene.judge(now(), &all, Duration::ZERO), Standing::ValidAt(now()));
}
