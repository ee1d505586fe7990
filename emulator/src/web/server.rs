//! Accepts the connections of the web side: not too many at once, and none that only waits. Talks to the network.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// Connections that are open at once; the next ones wait in the kernel's queue.
pub const CONNECTIONS: usize = 64;

/// Time for the head of a request, from the connection's begin or the request before.
const HEAD: Duration = Duration::from_secs(5);

/// Time for the body of a request and the head of its answer.
const REQUEST: Duration = Duration::from_secs(10);

/// Wait after a connection that could not be accepted: most likely, too many files are open.
const RETRY: Duration = Duration::from_millis(100);

/// Serves until `stop`, then lets the requests end that have begun.
pub async fn run(listener: TcpListener, router: Router, stop: CancellationToken) {
    let router = router.layer(axum::middleware::from_fn(in_time));
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let open = GracefulShutdown::new();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD);
    let accept = async || {
        let place = places.clone().acquire_owned().await;
        (place, listener.accept().await)
    };
    while let Some((place, accepted)) = stop.run_until_cancelled(accept()).await {
        match accepted {
            Ok((stream, _)) => {
                let service = TowerToHyperService::new(router.clone());
                let connection =
                    open.watch(http.serve_connection(TokioIo::<TcpStream>::new(stream), service));
                tokio::spawn(async move {
                    // A client that breaks off has its reasons.
                    let _ = connection.await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "failed to accept a connection to the HTTP server");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
    drop(listener);
    open.shutdown().await;
}

async fn in_time(request: Request, next: Next) -> Response {
    match tokio::time::timeout(REQUEST, next.run(request)).await {
        Ok(response) => response,
        Err(_) => (StatusCode::REQUEST_TIMEOUT, "the request took too long\n").into_response(),
    }
}
