//! Time-stamping over HTTP (RFC 3161 3.4): a client for an authority, and a server for the embedded development one.
//!
//! The client believes the transport nothing but its shape: status, content type and size. What the token says is
//! checked by `seal::tsa`. Plain `http` only: tokens are signed, and authorities are reached over plain HTTP as a rule.

use super::listener::{Closing, Listener, closed};
use crate::clock::Clock;
use crate::seal::tsa::{DevAuthority, Exchange, Introduction, TimestampTransport, TransportError};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{self, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use zeroize::Zeroizing;

/// RFC 3161 3.4.
const QUERY_TYPE: &str = "application/timestamp-query";
const REPLY_TYPE: &str = "application/timestamp-reply";
/// Largest answer taken: a token with a long chain has 10 KiB.
pub const RESPONSE_MAX_OCTETS: usize = 64 * 1024;
/// Largest request answered: an imprint, a nonce, a policy.
pub const REQUEST_MAX_OCTETS: usize = 4 * 1024;
/// One stamp, connection included. Sealing waits meanwhile, and is tried again.
pub const EXCHANGE_MAX: Duration = Duration::from_secs(20);
/// Connections kept for the next stamp.
const IDLE_MAX: usize = 4;
/// How long the development authority waits for a request's head.
const HEAD_MAX: Duration = Duration::from_secs(30);

/// Name and password of a subscriber (HTTP Basic, RFC 7617).
pub struct BasicCredentials {
    pub user: String,
    pub password: Zeroizing<String>,
}

/// An authority at a URL.
pub struct HttpTimestamps {
    authority: String,
    host: String,
    port: u16,
    path: String,
    authorization: Option<HeaderValue>,
    introduction: Option<Arc<dyn Introduction>>,
    limit: Duration,
    idle: Mutex<Vec<SendRequest<Full<Bytes>>>>,
}

impl HttpTimestamps {
    /// `url` is `http://host[:port][/path]`.
    pub fn new(url: &str, credentials: Option<&BasicCredentials>) -> Result<Self, TransportError> {
        let wrong = || TransportError(format!("\"{url}\" is not http://HOST[:PORT][/PATH]"));
        let uri: Uri = url.parse().map_err(|_| wrong())?;
        let authority = uri
            .authority()
            .filter(|a| !a.as_str().contains('@'))
            .ok_or_else(wrong)?;
        if uri.scheme_str() != Some("http") {
            return Err(wrong());
        }
        let path = uri.path_and_query().map_or("/", |p| p.as_str());
        Ok(Self {
            host: authority.host().trim_matches(['[', ']']).to_owned(),
            port: authority.port_u16().unwrap_or(80),
            authority: authority.as_str().to_owned(),
            path: path.to_owned(),
            authorization: credentials.map(basic).transpose()?,
            introduction: None,
            limit: EXCHANGE_MAX,
            idle: Mutex::default(),
        })
    }

    /// With a header of its own beside each request.
    pub fn introduced_by(mut self, introduction: Arc<dyn Introduction>) -> Self {
        self.introduction = Some(introduction);
        self
    }

    /// Another limit than [`EXCHANGE_MAX`].
    pub fn with_limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    async fn ask(&self, request_der: Bytes) -> Result<Vec<u8>, TransportError> {
        let kept = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(mut connection) = kept
            && let Ok(response) = connection.send_request(self.request(request_der.clone())?).await
        {
            return self.answer(connection, response).await;
        }
        // None was kept, or it was closed meanwhile: asking twice for a stamp does no harm.
        let mut connection = self.connect().await?;
        let sent = connection.send_request(self.request(request_der)?).await;
        self.answer(connection, sent.map_err(unavailable)?).await
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, TransportError> {
        let stream = TcpStream::connect((self.host.as_str(), self.port))
            .await
            .map_err(unavailable)?;
        let _ = stream.set_nodelay(true);
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(unavailable)?;
        // Ends when the sender is dropped or the authority hangs up.
        tokio::spawn(connection);
        Ok(sender)
    }

    fn request(&self, request_der: Bytes) -> Result<Request<Full<Bytes>>, TransportError> {
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(&self.path)
            .header(header::HOST, &self.authority)
            .header(header::CONTENT_TYPE, QUERY_TYPE)
            .header(header::ACCEPT, REPLY_TYPE);
        if let Some(authorization) = &self.authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        if let Some(introduction) = &self.introduction {
            let (name, value) = introduction.header(&request_der)?;
            let mut value = HeaderValue::from_str(&value).map_err(unavailable)?;
            value.set_sensitive(true);
            request = request.header(name, value);
        }
        request.body(Full::new(request_der)).map_err(unavailable)
    }

    async fn answer(
        &self,
        connection: SendRequest<Full<Bytes>>,
        response: Response<Incoming>,
    ) -> Result<Vec<u8>, TransportError> {
        if response.status() != StatusCode::OK {
            return Err(TransportError(format!("it answered {}", response.status())));
        }
        if !has_type(response.headers(), REPLY_TYPE) {
            return Err(TransportError(format!("its answer is not {REPLY_TYPE}")));
        }
        let body = Limited::new(response.into_body(), RESPONSE_MAX_OCTETS)
            .collect()
            .await;
        let body = body
            .map_err(|e| TransportError(format!("reading its answer: {e}")))?
            .to_bytes();
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_MAX && !connection.is_closed() {
            idle.push(connection);
        }
        Ok(body.to_vec())
    }
}

impl TimestampTransport for HttpTimestamps {
    fn exchange<'a>(&'a self, request_der: Vec<u8>) -> Exchange<'a> {
        Box::pin(async move {
            let asked = timeout(self.limit, self.ask(Bytes::from(request_der)));
            asked
                .await
                .unwrap_or_else(|_| Err(TransportError("no answer in time".to_owned())))
        })
    }
}

fn unavailable(error: impl std::fmt::Display) -> TransportError {
    TransportError(error.to_string())
}

fn basic(credentials: &BasicCredentials) -> Result<HeaderValue, TransportError> {
    if credentials.user.contains(':') {
        return Err(TransportError(
            "a user name has no ':' in it (RFC 7617)".to_owned(),
        ));
    }
    let pair = Zeroizing::new(format!("{}:{}", credentials.user, credentials.password.as_str()));
    let text = Zeroizing::new(format!("Basic {}", crate::sasl::encode_base64(pair.as_bytes())));
    let mut value = HeaderValue::from_str(&text).map_err(unavailable)?;
    value.set_sensitive(true);
    Ok(value)
}

/// Whether the content type is this one, whatever parameters follow.
fn has_type(headers: &header::HeaderMap, wanted: &str) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok());
    let kind = value.and_then(|v| v.split(';').next()).unwrap_or_default();
    kind.trim().eq_ignore_ascii_case(wanted)
}

/// Serves the development authority until it is time to close. Serial numbers count up from the clock's milliseconds.
pub async fn serve(
    listener: Listener,
    authority: Arc<DevAuthority>,
    clock: Arc<dyn Clock>,
    closing: Closing,
) {
    let first = u64::try_from(clock.now().unix_ms()).unwrap_or_default();
    let desk = Arc::new(Desk {
        authority,
        clock,
        serial: AtomicU64::new(first),
    });
    let every = closing.clone();
    listener
        .run(closing, move |stream, _| {
            serve_one(stream, desk.clone(), every.clone())
        })
        .await;
}

/// The authority with its counter.
struct Desk {
    authority: Arc<DevAuthority>,
    clock: Arc<dyn Clock>,
    serial: AtomicU64,
}

async fn serve_one(stream: TcpStream, desk: Arc<Desk>, mut closing: Closing) {
    let service = service_fn(move |request| {
        let desk = desk.clone();
        async move { Ok::<_, Infallible>(desk.answer(request).await) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = closed(&mut closing) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "time-stamp connection");
    }
}

impl Desk {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let refusal = match (request.method(), has_type(request.headers(), QUERY_TYPE)) {
            (&Method::POST, true) => None,
            (&Method::POST, false) => Some(StatusCode::UNSUPPORTED_MEDIA_TYPE),
            _ => Some(StatusCode::METHOD_NOT_ALLOWED),
        };
        if let Some(status) = refusal {
            return bare(status);
        }
        let body = Limited::new(request.into_body(), REQUEST_MAX_OCTETS).collect();
        let Ok(Ok(body)) = timeout(HEAD_MAX, body).await else {
            return bare(StatusCode::PAYLOAD_TOO_LARGE);
        };
        let serial = self.serial.fetch_add(1, Ordering::Relaxed);
        let reply = self.authority.answer(&body.to_bytes(), self.clock.now(), serial);
        let mut response = Response::new(Full::new(Bytes::from(reply)));
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, HeaderValue::from_static(REPLY_TYPE));
        response
    }
}

fn bare(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::new()));
    *response.status_mut() = status;
    response
}
