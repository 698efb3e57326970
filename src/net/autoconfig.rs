//! The door at which mail clients ask for their settings, over HTTP or HTTPS: Thunderbird's `config-v1.1.xml` and Outlook's
//! Autodiscover. What is said is `autoconfig`'s business.
//!
//! Anybody may ask, so everything is bounded: one request on a connection, its head, its body and its time. It asks no
//! store and knows no accounts.

use super::listener::{Closing, Listener, closed};
use super::submission::Entry;
use super::tls::ServerTls;
use crate::autoconfig::{Asker, Settings, outlook, thunderbird};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Body;
use hyper::header::{self, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tracing::Instrument as _;

/// Connections at once: each is over in moments, and asks for one small document.
pub const CONNECTIONS_MAX: usize = 256;
/// A connection from its first octet to its last: three round trips over the slowest line, and no more.
pub const CONNECTION_MAX: Duration = Duration::from_secs(15);
/// Largest head of a request, in octets; it is the least hyper takes. A browser sends some 600.
const HEAD_MAX_OCTETS: usize = 8 * 1024;
/// Most fields in a head; a browser sends a dozen.
const HEADERS_MAX: usize = 48;
/// Of a body that is too large, octets heard before the door hangs up.
const HEARD_MAX_OCTETS: usize = 256 * 1024;
/// Longest query read, in octets: an address of the greatest length, every octet escaped.
const QUERY_MAX_OCTETS: usize = 1200;

/// `autoconfig.DOMAIN` and `.well-known` (Thunderbird: Autoconfiguration).
const CONFIG_PATHS: [&str; 2] = [
    "/mail/config-v1.1.xml",
    "/.well-known/autoconfig/mail/config-v1.1.xml",
];
/// MS-OXDISCO 3.1.5; clients write it with capitals too.
const AUTODISCOVER_PATH: &str = "/autodiscover/autodiscover.xml";
/// What an answer is. Autodiscover's clients insist on `text/xml`, Thunderbird takes both.
const XML_TYPE: &str = "text/xml; charset=utf-8";
const TEXT_TYPE: &str = "text/plain; charset=utf-8";

type Answer = Response<Full<Bytes>>;

pub struct AutoconfigDoor {
    settings: Settings,
    tls: Arc<ServerTls>,
    connection_max: Duration,
}

impl AutoconfigDoor {
    pub fn new(settings: Settings, tls: Arc<ServerTls>) -> Self {
        Self {
            settings,
            tls,
            connection_max: CONNECTION_MAX,
        }
    }

    /// Serves until it is time to close: over HTTPS, or over plain HTTP.
    pub async fn run(self: Arc<Self>, listener: Listener, entry: Entry, closing: Closing) {
        let every = closing.clone();
        listener
            .run(closing, move |stream, from| {
                let span = tracing::info_span!("session", door = "autoconfig", peer = %from);
                self.clone().serve(stream, entry, every.clone()).instrument(span)
            })
            .await;
    }

    async fn serve(self: Arc<Self>, stream: TcpStream, entry: Entry, mut closing: Closing) {
        let limit = self.connection_max;
        let served = async {
            match entry {
                Entry::StartTls => self.converse(stream, entry).await,
                Entry::Tls => match self.tls.accept(stream).await {
                    Ok(stream) => self.converse(stream, entry).await,
                    Err(error) => tracing::debug!(%error, "no TLS"),
                },
            }
        };
        tokio::select! {
            served = tokio::time::timeout(limit, served) => if served.is_err() {
                tracing::debug!("too slow");
            },
            () = closed(&mut closing) => {}
        }
    }

    /// One request and its answer.
    async fn converse<S>(self: &Arc<Self>, stream: S, entry: Entry)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let service = service_fn(|request| async move {
            let answer = self.answer(request, entry).await;
            Ok::<_, Infallible>(answer)
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.connection_max)
            .keep_alive(false)
            .max_buf_size(HEAD_MAX_OCTETS)
            .max_headers(HEADERS_MAX)
            .serve_connection(TokioIo::new(stream), service);
        if let Err(error) = connection.await {
            tracing::debug!(%error, "connection");
        }
    }

    async fn answer<B>(&self, request: Request<B>, entry: Entry) -> Answer
    where
        B: Body<Data = Bytes>,
    {
        let path = request.uri().path();
        let reading = matches!(*request.method(), Method::GET | Method::HEAD);
        if CONFIG_PATHS.contains(&path) {
            return match reading {
                true => self.config(request.uri().query()),
                false => not_allowed("GET, HEAD"),
            };
        }
        if !path.eq_ignore_ascii_case(AUTODISCOVER_PATH) {
            return said(
                StatusCode::NOT_FOUND,
                "settings of mail clients are at /mail/config-v1.1.xml\n",
            );
        }
        match *request.method() {
            Method::POST => self.discover(request.into_body()).await,
            // MS-OXDISCO 3.1.5.4: who asks over plain HTTP is led to HTTPS.
            _ if reading && entry == Entry::StartTls => self.lead_to_https(),
            _ => not_allowed("POST"),
        }
    }

    fn config(&self, query: Option<&str>) -> Answer {
        let asked = query.and_then(email_address);
        // The answer depends on the domain alone: another provider's addresses have their settings there.
        if asked.is_some_and(|asked| Asker::read(&asked, &self.settings.domain).is_none()) {
            return said(StatusCode::NOT_FOUND, "this is not an address of this provider\n");
        }
        document(thunderbird::client_config(&self.settings))
    }

    async fn discover<B>(&self, body: B) -> Answer
    where
        B: Body<Data = Bytes>,
    {
        let question = match question(body).await {
            Ok(question) => question,
            Err(status) => return said(status, "the question is too large, or broke off\n"),
        };
        match outlook::read(&question) {
            Ok(request) => document(outlook::answer(&self.settings, &request)),
            Err(why) => {
                tracing::debug!(%why, "a question that is not read");
                said(StatusCode::BAD_REQUEST, "this is not an Autodiscover question\n")
            }
        }
    }

    fn lead_to_https(&self) -> Answer {
        let Some(port) = self.settings.https else {
            return not_allowed("POST");
        };
        let host = self.settings.host.as_str();
        let place = match port {
            443 => format!("https://{host}{AUTODISCOVER_PATH}"),
            _ => format!("https://{host}:{port}{AUTODISCOVER_PATH}"),
        };
        let mut answer = said(StatusCode::FOUND, "");
        if let Ok(place) = HeaderValue::from_str(&place) {
            answer.headers_mut().insert(header::LOCATION, place);
        }
        answer
    }
}

/// The whole body. One that is too large is still heard, to a point: who is hung up on while he speaks does not hear why.
async fn question<B>(body: B) -> Result<Vec<u8>, StatusCode>
where
    B: Body<Data = Bytes>,
{
    let mut body = std::pin::pin!(body);
    let (mut kept, mut heard) = (Vec::new(), 0usize);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| StatusCode::BAD_REQUEST)?;
        let data = frame.into_data().unwrap_or_default();
        heard = heard.saturating_add(data.len());
        if heard > HEARD_MAX_OCTETS {
            break;
        }
        if heard <= outlook::REQUEST_MAX_OCTETS {
            kept.extend_from_slice(&data);
        }
    }
    match heard {
        0..=outlook::REQUEST_MAX_OCTETS => Ok(kept),
        _ => Err(StatusCode::PAYLOAD_TOO_LARGE),
    }
}

fn document(written: std::io::Result<Vec<u8>>) -> Answer {
    match written {
        Ok(octets) => answered(StatusCode::OK, XML_TYPE, octets.into()),
        Err(error) => {
            tracing::error!(%error, "the settings could not be written down");
            said(StatusCode::INTERNAL_SERVER_ERROR, "")
        }
    }
}

fn not_allowed(methods: &'static str) -> Answer {
    let mut answer = said(StatusCode::METHOD_NOT_ALLOWED, "");
    // RFC 9110 15.5.6.
    answer
        .headers_mut()
        .insert(header::ALLOW, HeaderValue::from_static(methods));
    answer
}

fn said(status: StatusCode, text: &'static str) -> Answer {
    answered(status, TEXT_TYPE, Bytes::from_static(text.as_bytes()))
}

fn answered(status: StatusCode, kind: &'static str, body: Bytes) -> Answer {
    let mut answer = Response::new(Full::new(body));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    answer
}

/// The first `emailaddress` of a query, unescaped; `None` when there is none. What cannot be read is an empty address,
/// which is nobody's.
fn email_address(query: &str) -> Option<String> {
    if query.len() > QUERY_MAX_OCTETS {
        return Some(String::new());
    }
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let value = pairs
        .into_iter()
        .find(|(name, _)| name.eq_ignore_ascii_case("emailaddress"))?
        .1;
    // A form of nothing: Thunderbird without an address yet.
    (!value.is_empty()).then(|| unescape(value).unwrap_or_default())
}

/// RFC 3986 2.1. A `+` stays: Thunderbird writes none for a space, and addresses may have one.
fn unescape(text: &str) -> Option<String> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        octets.push(match octet {
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            octet => octet,
        });
    }
    String::from_utf8(octets).ok()
}

#[cfg(test)]
mod tests;
