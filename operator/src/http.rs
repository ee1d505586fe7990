//! `/metrics`, `/livez` and `/readyz`. Talks to the network.

use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::metrics::Metrics;
use crate::overlap::YieldedNamespaces;
use crate::snapshot::View;

/// Phase of the process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// The Lease was requested.
    Starting,
    /// Another replica is the leader.
    StandingBy(String),
    /// Leader; the work starts after all objects are listed.
    Leading,
    /// Shutting down.
    Ending,
}

/// State for the HTTP handlers.
#[derive(Clone)]
pub struct Pages {
    /// Phase of the process.
    pub phase: watch::Receiver<Phase>,
    /// The mirrors, once there are any.
    pub view: Arc<OnceLock<Arc<View>>>,
    /// The counters.
    pub metrics: Metrics,
    /// Namespaces of older installations.
    pub yielded: watch::Receiver<YieldedNamespaces>,
}

/// Serves until the process ends.
pub async fn serve(listener: TcpListener, pages: Pages) {
    let router = Router::new()
        .route("/livez", get(|| async { "alive\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(pages);
    lanyard_http::serve(listener, router).await;
}

async fn ready(State(pages): State<Pages>) -> (StatusCode, String) {
    let phase = pages.phase.borrow().clone();
    match phase {
        Phase::Starting => {
            (StatusCode::SERVICE_UNAVAILABLE, "not ready: no replica has acquired the lease yet\n".to_owned())
        }
        Phase::Ending => (StatusCode::SERVICE_UNAVAILABLE, "ending\n".to_owned()),
        // A replica on standby is ready to take over.
        Phase::StandingBy(holder) => (StatusCode::OK, format!("standing by, {holder} works\n")),
        Phase::Leading if !pages.yielded.borrow().is_empty() => {
            (StatusCode::SERVICE_UNAVAILABLE, format!("{}\n", pages.yielded.borrow().words()))
        }
        Phase::Leading => match pages.view.get().map(|view| view.missing()) {
            Some(missing) if missing.is_empty() => (StatusCode::OK, "working\n".to_owned()),
            Some(missing) => (
                StatusCode::SERVICE_UNAVAILABLE,
                format!("not ready: still listing {}\n", missing.join(", ")),
            ),
            None => (StatusCode::SERVICE_UNAVAILABLE, "not ready: still listing objects\n".to_owned()),
        },
    }
}

async fn metrics(State(pages): State<Pages>) -> ([(&'static str, &'static str); 1], String) {
    let (devices, groups) =
        pages.view.get().map(|view| (view.devices.state(), view.groups.state())).unwrap_or_default();
    ([("content-type", "text/plain; version=0.0.4")], pages.metrics.text(&devices, &groups))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    #[tokio::test]
    async fn m10_silent_connections_do_not_keep_a_probe_out() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (_phase, phase) = watch::channel(Phase::StandingBy("other".to_owned()));
        let (_sender, yielded) = watch::channel(YieldedNamespaces::default());
        let pages = Pages { phase, view: Arc::default(), metrics: Metrics::new().unwrap(), yielded };
        tokio::spawn(serve(listener, pages));
        let mut held = Vec::new();
        for _ in 0..lanyard_http::CONNECTIONS * 2 {
            held.push(TcpStream::connect(address).await.unwrap());
        }
        let mut probe = TcpStream::connect(address).await.unwrap();
        probe.write_all(b"GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        probe.read_to_string(&mut answer).await.unwrap();
        assert!(answer.contains("200 OK") && answer.ends_with("standing by, other works\n"), "{answer}");
        // The first one was closed for the probe, before its time.
        assert_eq!(held[0].read(&mut [0]).await.unwrap_or(0), 0);
    }
}
