//! A bounded HTTP client for addresses that come from foreign certificates: revocation lists and OCSP.
//!
//! Whoever makes a certificate chooses where we go, so little is allowed: plain `http` only (what comes is signed, and asking
//! `https` would need revocation first, RFC 5280 8), no address of our own networks unless a setting lets them, the address that was examined is the one connected to, few ports, redirections to the same host only, all
//! of it in a bounded time and size. No cookies, no compression, no connection is kept.

mod hosts;

use crate::domain::network::Network;
use crate::seal::revocation::{FetchError, Fetching, RevocationTransport};
use bytes::Bytes;
use hosts::Hosts;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper::header;
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::net::{TcpStream, lookup_host};
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// How long a place may be silent: names, connections and redirections until an answer begins. Shorter than a login waits
/// (`seal::holder`), so that who hangs is left alone before anybody gave up, and the next place of the certificate is asked.
pub const ANSWER_MAX: Duration = Duration::from_secs(4);
/// One fetch, from its beginning to the last octet. The largest list comes at 1 MiB/s.
pub const FETCH_MAX: Duration = Duration::from_secs(20);
/// Fetches at the same time in the whole house; others wait. Before an answer begins each costs a socket.
const AT_ONCE_MAX: usize = 32;
/// Of those, how many go to one host: a slow one holds up nobody but itself.
const AT_ONE_HOST_MAX: usize = 2;
/// Long answers read at the same time: each may have the octets of the largest list.
const READ_AT_ONCE_MAX: usize = 8;
/// Up to here an answer is short: a response of OCSP.
const SHORT_OCTETS: usize = 256 * 1024;
/// Redirections followed, to the same host: some authorities have moved a path.
const REDIRECTIONS_MAX: usize = 2;
/// Addresses of a name that are tried.
const ADDRESSES_MAX: usize = 4;
/// Longest URL gone to.
const URL_MAX_OCTETS: usize = 1024;
/// Below it only 80 is gone to: nobody shall make us speak to a mail server or a database.
const FREE_PORTS_FROM: u16 = 1024;
/// Buffer for the head of an answer, which bounds it (hyper refuses a longer one).
const HEAD_MAX_OCTETS: usize = 16 * 1024;
/// RFC 6960 A.1.
const OCSP_REQUEST_TYPE: &str = "application/ocsp-request";
const OCSP_RESPONSE_TYPE: &str = "application/ocsp-response";

/// Networks that are not the public net (RFC 6890 and the registries of IANA). Of IPv6 only 2000::/3 is given out; in it,
/// what leads elsewhere (Teredo, 6to4) or nowhere (documentation) is not gone to either.
const NOT_PUBLIC: [&str; 18] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    // Multicast and what is reserved, broadcast included.
    "224.0.0.0/3",
    "2001::/23",
    "2001:db8::/32",
    "2002::/16",
    "3fff::/20",
];
const GIVEN_OUT_V6: &str = "2000::/3";

/// Whether an address is one of the public net.
fn is_public(address: IpAddr) -> bool {
    let lies_in = |network: &str| network.parse::<Network>().is_ok_and(|n| n.contains(address));
    (address.is_ipv4() || lies_in(GIVEN_OUT_V6)) && !NOT_PUBLIC.into_iter().any(lies_in)
}

/// A URL that may be gone to.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    /// As the Host header says it.
    authority: String,
    host: String,
    port: u16,
    path: String,
}

impl Place {
    fn read(url: &str) -> Result<Self, FetchError> {
        let wrong = |why: &str| FetchError(format!("not gone to: {why}"));
        if url.len() > URL_MAX_OCTETS {
            return Err(wrong("the URL is too long"));
        }
        let uri: Uri = url.parse().map_err(|_| wrong("it is not a URL"))?;
        if uri.scheme_str() != Some("http") {
            return Err(wrong("only http is"));
        }
        let authority = uri.authority().ok_or_else(|| wrong("it names no host"))?;
        if authority.as_str().contains('@') {
            return Err(wrong("it has a user name"));
        }
        let port = authority.port_u16().unwrap_or(80);
        if port != 80 && port < FREE_PORTS_FROM {
            return Err(wrong("of the ports below 1024 only 80 is"));
        }
        Ok(Self {
            authority: authority.as_str().to_owned(),
            host: authority.host().trim_matches(['[', ']']).to_owned(),
            port,
            path: uri.path_and_query().map_or("/", |p| p.as_str()).to_owned(),
        })
    }

    /// Where a redirection leads; only to the same host and port.
    fn follow(&self, location: &str) -> Result<Self, FetchError> {
        let next = match location.strip_prefix('/') {
            Some(rest) if !rest.starts_with('/') => {
                Self::read(&format!("http://{}{location}", self.authority))?
            }
            _ => Self::read(location)?,
        };
        if next.host.eq_ignore_ascii_case(&self.host) && next.port == self.port {
            Ok(next)
        } else {
            Err(FetchError(format!("it sends us to another host, {}", next.host)))
        }
    }
}

/// The client.
#[derive(Debug)]
pub struct Fetcher {
    allowed: Vec<Network>,
    answer_limit: Duration,
    limit: Duration,
    at_once: Semaphore,
    reading: Semaphore,
    hosts: Hosts,
}

/// One of the two things that are asked.
#[derive(Clone)]
struct Errand {
    method: Method,
    body: Bytes,
    max_octets: usize,
}

impl Fetcher {
    /// `allowed` are networks that are not public and may be gone to all the same.
    pub fn new(allowed: Vec<Network>) -> Self {
        Self {
            allowed,
            answer_limit: ANSWER_MAX,
            limit: FETCH_MAX,
            at_once: Semaphore::new(AT_ONCE_MAX),
            reading: Semaphore::new(READ_AT_ONCE_MAX),
            hosts: Hosts::default(),
        }
    }

    /// Another limit than [`ANSWER_MAX`] and [`FETCH_MAX`].
    pub fn with_limit(mut self, limit: Duration) -> Self {
        (self.answer_limit, self.limit) = (limit, limit);
        self
    }

    async fn run(&self, url: &str, errand: Errand) -> Result<Vec<u8>, FetchError> {
        let place = Place::read(url)?;
        // The host's turn first: who waits for a slow host takes no place from others.
        let turns = async {
            let host = self.hosts.turn(&place.host).await?;
            let house = self.at_once.acquire().await.map_err(failed)?;
            Ok::<_, FetchError>((host, house))
        };
        let _turns = timeout(self.limit, turns)
            .await
            .map_err(|_| FetchError::no_turn())??;
        let going = async {
            let answering = timeout(self.answer_limit, self.go(place, &errand));
            let response = answering.await.map_err(|_| FetchError::silent())??;
            let _room = match errand.max_octets {
                0..=SHORT_OCTETS => None,
                _ => Some(self.reading.acquire().await.map_err(failed)?),
            };
            body_of(response, errand.max_octets).await
        };
        let going = timeout(self.limit, going);
        going.await.unwrap_or_else(|_| Err(FetchError::silent()))
    }

    /// Goes where it is sent, until an answer begins.
    async fn go(
        &self,
        mut place: Place,
        errand: &Errand,
    ) -> Result<Response<hyper::body::Incoming>, FetchError> {
        for _ in 0..=REDIRECTIONS_MAX {
            let response = self.exchange(&place, errand).await?;
            let status = response.status();
            if status == StatusCode::OK {
                return Ok(response);
            }
            let location = response
                .headers()
                .get(header::LOCATION)
                .and_then(|l| l.to_str().ok());
            // A request with a body is not told a second time.
            match location {
                Some(location) if status.is_redirection() && errand.method == Method::GET => {
                    place = place.follow(location)?;
                }
                _ => return Err(FetchError(format!("it answered {status}"))),
            }
        }
        Err(FetchError("it sends us on and on".to_owned()))
    }

    async fn exchange(
        &self,
        place: &Place,
        errand: &Errand,
    ) -> Result<Response<hyper::body::Incoming>, FetchError> {
        let stream = self.connect(place).await?;
        let (mut sender, connection) = http1::Builder::new()
            .max_buf_size(HEAD_MAX_OCTETS)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(failed)?;
        // Ends when the answer has been read or dropped.
        tokio::spawn(connection);
        let mut request = Request::builder()
            .method(errand.method.clone())
            .uri(&place.path)
            .header(header::HOST, &place.authority)
            .header(header::CONNECTION, "close");
        if errand.method == Method::POST {
            request = request
                .header(header::CONTENT_TYPE, OCSP_REQUEST_TYPE)
                .header(header::ACCEPT, OCSP_RESPONSE_TYPE);
        }
        let request = request.body(Full::new(errand.body.clone())).map_err(failed)?;
        sender.send_request(request).await.map_err(failed)
    }

    /// Connects to an address that was examined: the name is not looked up a second time.
    async fn connect(&self, place: &Place) -> Result<TcpStream, FetchError> {
        let found = lookup_host((place.host.as_str(), place.port))
            .await
            .map_err(failed)?;
        let mut why = FetchError(format!("{} has no address", place.host));
        for address in found.take(ADDRESSES_MAX) {
            if !self.may_go_to(address) {
                why = FetchError(format!("not gone to: {} is not a public address", address.ip()));
                continue;
            }
            match TcpStream::connect(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => why = failed(error),
            }
        }
        Err(why)
    }

    fn may_go_to(&self, address: SocketAddr) -> bool {
        // ::ffff:10.0.0.1 is 10.0.0.1.
        let address = address.ip().to_canonical();
        is_public(address) || self.allowed.iter().any(|network| network.contains(address))
    }
}

impl RevocationTransport for Fetcher {
    fn fetch<'a>(&'a self, url: &'a str, max_octets: usize) -> Fetching<'a> {
        Box::pin(self.run(
            url,
            Errand {
                method: Method::GET,
                body: Bytes::new(),
                max_octets,
            },
        ))
    }

    fn ask<'a>(&'a self, url: &'a str, request_der: Vec<u8>, max_octets: usize) -> Fetching<'a> {
        Box::pin(self.run(
            url,
            Errand {
                method: Method::POST,
                body: Bytes::from(request_der),
                max_octets,
            },
        ))
    }
}

async fn body_of(
    response: Response<hyper::body::Incoming>,
    max_octets: usize,
) -> Result<Vec<u8>, FetchError> {
    if response.headers().contains_key(header::CONTENT_ENCODING) {
        return Err(FetchError(
            "its answer is packed, which was not asked for".to_owned(),
        ));
    }
    let body = Limited::new(response.into_body(), max_octets).collect().await;
    let body = body.map_err(|e| FetchError(format!("reading its answer: {e}")))?;
    Ok(body.to_bytes().to_vec())
}

fn failed(error: impl std::fmt::Display) -> FetchError {
    FetchError(error.to_string())
}

#[cfg(test)]
mod tests;
