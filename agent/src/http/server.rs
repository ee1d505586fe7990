//! The HTTP server. Talks to the network; answers only from what is known already.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use prometheus::{Encoder, TextEncoder};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::readiness::readiness;
use crate::status::page::StatusPage;

/// Serves until `stop`.
pub async fn serve(listener: TcpListener, page: Arc<StatusPage>, stop: CancellationToken) {
    let router = Router::new()
        .route("/metrics", get(metrics))
        .route("/livez", get(async || "alive\n"))
        .route("/readyz", get(ready))
        .route("/status", get(async |State(page): State<Arc<StatusPage>>| Json(page.status())))
        .with_state(page);
    tokio::select! {
        () = lanyard_http::serve(listener, router) => {}
        () = stop.cancelled() => {}
    }
}

async fn ready(State(page): State<Arc<StatusPage>>) -> impl IntoResponse {
    let (ready, body) = readiness(&page.status());
    (if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, body)
}

async fn metrics(State(page): State<Arc<StatusPage>>) -> impl IntoResponse {
    let encoder = TextEncoder::new();
    let mut text = Vec::new();
    match encoder.encode(&page.registry().gather(), &mut text) {
        Ok(()) => (StatusCode::OK, [(header::CONTENT_TYPE, encoder.format_type().to_owned())], text),
        Err(error) => {
            let text = format!("metrics cannot be written: {error}\n").into_bytes();
            (StatusCode::INTERNAL_SERVER_ERROR, [(header::CONTENT_TYPE, "text/plain".to_owned())], text)
        }
    }
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
        let page = Arc::new(StatusPage::new(prometheus::Registry::new()).unwrap());
        tokio::spawn(serve(listener, page, CancellationToken::new()));
        let mut held = Vec::new();
        for _ in 0..lanyard_http::CONNECTIONS * 2 {
            held.push(TcpStream::connect(address).await.unwrap());
        }
        let mut probe = TcpStream::connect(address).await.unwrap();
        probe.write_all(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        probe.read_to_string(&mut answer).await.unwrap();
        assert!(answer.ends_with("alive\n"), "{answer}");
        // The first one was closed for the probe, before its time.
        assert_eq!(held[0].read(&mut [0]).await.unwrap_or(0), 0);
    }
}
