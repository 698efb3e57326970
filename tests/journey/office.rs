//! A provider's authority with an office of revocation: seal and time-stamps name places to ask, and the office answers there,
//! in process or on a socket. It can be closed.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use kepd::clock::{Clock, UtcTime};
use kepd::cms::crl::Entry;
use kepd::cms::{Certificate, RevocationReason};
use kepd::seal::SealKey;
use kepd::seal::pki::{Credential, DevPki};
use kepd::seal::revocation::{FetchError, Fetching, RevocationTransport};
use kepd::seal::revoking::RevocationOffice;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CrlDistributionPoint, CustomExtension, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, SanType, SerialNumber,
};
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;

pub struct Office {
    office: Mutex<RevocationOffice>,
    clock: Arc<dyn Clock>,
    pub open: AtomicBool,
    /// How often it was asked.
    pub asked: AtomicUsize,
}

impl Office {
    pub fn revoke(&self, certificate: &Certificate, at: UtcTime) {
        let entry = Entry {
            revoked_at: at,
            reason: RevocationReason::KeyCompromise,
            invalid_since: None,
        };
        self.office.lock().unwrap().revoke(certificate, entry);
    }

    /// A list, or the answer to a request.
    fn say(&self, request: Option<&[u8]>) -> Option<Vec<u8>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        if !self.open.load(Ordering::Relaxed) {
            return None;
        }
        let (office, now) = (self.office.lock().unwrap(), self.clock.now());
        Some(match request {
            Some(request) => office.answer(request, now),
            None => office.list(now).unwrap(),
        })
    }

    /// Answers on a socket.
    pub async fn serve(self: Arc<Self>, listener: TcpListener) {
        while let Ok((stream, _)) = listener.accept().await {
            let office = self.clone();
            tokio::spawn(async move {
                let service = service_fn(move |request| {
                    let office = office.clone();
                    async move { Ok::<_, Infallible>(office.over_http(request).await) }
                });
                let connection = hyper::server::conn::http1::Builder::new();
                let _ = connection.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    }

    async fn over_http(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let is_list = request.method() == Method::GET;
        let body = request.into_body().collect().await.unwrap().to_bytes();
        match self.say((!is_list).then_some(&body)) {
            Some(octets) => Response::new(Full::new(octets.into())),
            None => Response::builder()
                .status(StatusCode::SERVICE_UNAVAILABLE)
                .body(Full::default())
                .unwrap(),
        }
    }
}

/// The same without a socket.
impl RevocationTransport for Office {
    fn fetch<'a>(&'a self, _: &'a str, _: usize) -> Fetching<'a> {
        let said = self.say(None).ok_or_else(|| FetchError("closed".into()));
        Box::pin(std::future::ready(said))
    }

    fn ask<'a>(&'a self, _: &'a str, request_der: Vec<u8>, _: usize) -> Fetching<'a> {
        let said = self
            .say(Some(&request_der))
            .ok_or_else(|| FetchError("closed".into()));
        Box::pin(std::future::ready(said))
    }
}

fn params(name: &str, serial: u64) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2046, 1, 1);
    params.serial_number = Some(SerialNumber::from(serial));
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params
}

/// authorityInfoAccess with one OCSP responder (RFC 5280 4.2.2.1).
fn responder_at(url: &str) -> CustomExtension {
    let uri = [&[0x86, u8::try_from(url.len()).unwrap()], url.as_bytes()].concat();
    let method = [6, 8, 0x2b, 6, 1, 5, 5, 7, 48, 1];
    let wrap = |octets: &[u8]| [&[0x30, u8::try_from(octets.len()).unwrap()], octets].concat();
    let list = wrap(&wrap(&[&method[..], &uri].concat()));
    CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 1], list)
}

/// Keys and certificates of a provider, whose seal and time-stamps name places below `base`, and the office for them.
pub fn authority(domain: &str, base: &str, clock: Arc<dyn Clock>) -> (DevPki, Arc<Office>) {
    let mut root = params(&format!("{domain} Root"), 0x4001);
    root.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    root.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let root = CertifiedIssuer::self_signed(root, KeyPair::generate().unwrap()).unwrap();
    let issue = |params: CertificateParams| {
        let key = KeyPair::generate().unwrap();
        Credential {
            certificate_pem: params.signed_by(&key, &root).unwrap().pem(),
            key_pem: key.serialize_pem().into(),
        }
    };
    let point = || {
        vec![CrlDistributionPoint {
            uris: vec![format!("{base}/list.crl")],
        }]
    };
    let mut tls = params(domain, 0x4002);
    for name in [domain, "localhost"] {
        tls.subject_alt_names
            .push(SanType::DnsName(name.try_into().unwrap()));
    }
    let mut seal = params("Seal", 0x4003);
    let address = format!("kep@{domain}");
    seal.subject_alt_names
        .push(SanType::Rfc822Name(address.as_str().try_into().unwrap()));
    seal.extended_key_usages = vec![ExtendedKeyUsagePurpose::EmailProtection];
    seal.crl_distribution_points = point();
    seal.custom_extensions.push(responder_at(&format!("{base}/ocsp")));
    let mut tsa = params("Time-Stamps", 0x4004);
    let only = [0x30, 0x0a, 0x06, 0x08, 0x2b, 6, 1, 5, 5, 7, 3, 8];
    let mut purpose = CustomExtension::from_oid_content(&[2, 5, 29, 37], only.to_vec());
    purpose.set_criticality(true);
    tsa.custom_extensions.push(purpose);
    tsa.crl_distribution_points = point();
    let key = SealKey::from_pem(&root.key().serialize_pem()).unwrap();
    let office = RevocationOffice::new(key, Certificate::from_der(root.der()).unwrap()).unwrap();
    let pki = DevPki {
        tls: issue(tls),
        seal: issue(seal),
        tsa: issue(tsa),
        ca: Credential {
            certificate_pem: root.pem(),
            key_pem: root.key().serialize_pem().into(),
        },
    };
    let office = Arc::new(Office {
        office: Mutex::new(office),
        clock,
        open: AtomicBool::new(true),
        asked: AtomicUsize::new(0),
    });
    (pki, office)
}
