//! Figures for Prometheus: `GET /metrics` on loopback (text format 0.0.4).

use crate::net::listener::{Closing, Listener, closed};
use crate::service::failure::Failure;
use crate::service::gauges::{GaugeKind, Gauges};
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, header};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;

/// A client that does not finish its request head in this time is dropped.
const HEAD_MAX: Duration = Duration::from_secs(10);

/// Serves until it is time to close.
pub async fn serve(listener: Listener, gauges: Arc<Gauges>, closing: Closing) {
    let every = closing.clone();
    listener
        .run(closing, move |stream, _| {
            serve_one(stream, gauges.clone(), every.clone())
        })
        .await;
}

async fn serve_one(stream: TcpStream, gauges: Arc<Gauges>, mut closing: Closing) {
    let service = service_fn(move |request| {
        let gauges = gauges.clone();
        async move { Ok::<_, Infallible>(answer(&request, gauges).await) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_MAX)
        .serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        served = connection => {
            if let Err(error) = served {
                tracing::debug!(%error, "metrics connection");
            }
        }
        () = closed(&mut closing) => {}
    }
}

async fn answer(request: &Request<Incoming>, gauges: Arc<Gauges>) -> Response<Full<Bytes>> {
    let figures = match (request.method(), request.uri().path()) {
        // Some are counted, which takes its time.
        (&Method::GET, "/metrics") => Some(
            tokio::task::spawn_blocking(move || gauges.read())
                .await
                .unwrap_or_else(|e| Err(Failure::Broken(format!("counting: {e}")))),
        ),
        _ => None,
    };
    let (status, text) = match figures {
        Some(Ok(figures)) => {
            let lines = figures.iter().map(|g| {
                let kind = match g.kind {
                    GaugeKind::Gauge => "gauge",
                    GaugeKind::Counter => "counter",
                };
                format!(
                    "# HELP {0} {1}\n# TYPE {0} {kind}\n{0} {2}\n",
                    g.name, g.help, g.value
                )
            });
            (StatusCode::OK, lines.collect())
        }
        Some(Err(failure)) => {
            tracing::error!(%failure, "metrics");
            (StatusCode::SERVICE_UNAVAILABLE, String::new())
        }
        None => (StatusCode::NOT_FOUND, "the figures are at /metrics\n".to_owned()),
    };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"),
    );
    response
}
