//! Clients that are slow, silent or many, over real sockets.
// Tests measure real time.
#![allow(clippy::disallowed_methods)]
#![allow(clippy::unwrap_used, reason = "what goes wrong here is a test that fails")]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use lanyard_http::{CONNECTIONS, HEADER_TIMEOUT, LIFETIME, listen, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Starts a server with a short page, and with one that fills every buffer between it and its client.
async fn start() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let large = get(async || "x".repeat(64 << 20));
    let router = Router::new().route("/livez", get(async || "alive\n")).route("/large", large);
    tokio::spawn(serve(listener, router));
    address
}

async fn ask(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

/// Reads until the server ends the connection; gives what came, and after which time.
async fn until_closed(stream: &mut TcpStream, start: Instant) -> (Vec<u8>, Duration) {
    let mut came = Vec::new();
    // A reset is an end too.
    let _ = stream.read_to_end(&mut came).await;
    (came, start.elapsed())
}

#[tokio::test]
async fn request_is_answered_and_the_connection_closed() {
    let answer = ask(start().await).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("alive\n"), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
}

#[tokio::test]
async fn m10_silent_connection_ends_after_the_header_timeout() {
    let (address, start) = (start().await, Instant::now());
    let mut silent = TcpStream::connect(address).await.unwrap();
    let (_, took) = until_closed(&mut silent, start).await;
    assert!((HEADER_TIMEOUT..HEADER_TIMEOUT + Duration::from_secs(3)).contains(&took), "{took:?}");
}

#[tokio::test]
async fn m10_dripped_header_ends_after_the_header_timeout() {
    let (address, start) = (start().await, Instant::now());
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut reader, mut writer) = stream.into_split();
    let dripping = tokio::spawn(async move {
        for byte in b"GET /livez HTTP/1.1\r\nX-Slow: ".iter().chain(std::iter::repeat(&b'x')) {
            if writer.write_all(&[*byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    let mut came = Vec::new();
    let _ = reader.read_to_end(&mut came).await;
    let took = start.elapsed();
    dripping.abort();
    assert!(!String::from_utf8_lossy(&came).contains("200 OK"), "{came:?}");
    assert!((HEADER_TIMEOUT..HEADER_TIMEOUT + Duration::from_secs(3)).contains(&took), "{took:?}");
}

#[tokio::test]
async fn m10_client_that_does_not_read_is_closed_in_time() {
    let (address, start) = (start().await, Instant::now());
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    tokio::time::sleep(LIFETIME + Duration::from_secs(1)).await;
    let (came, took) = until_closed(&mut stream, start).await;
    assert!(came.len() < 64 << 20, "all of it came, {took:?}");
}

#[tokio::test]
async fn m10_silent_connections_do_not_keep_a_probe_out() {
    let address = start().await;
    let mut held = Vec::new();
    for _ in 0..CONNECTIONS * 4 {
        held.push(TcpStream::connect(address).await.unwrap());
    }
    let start = Instant::now();
    assert!(ask(address).await.ends_with("alive\n"));
    assert!(start.elapsed() < Duration::from_secs(1), "the probe waited {:?}", start.elapsed());
    // The oldest are closed already, before their time, and the newest are not.
    let (_, took) = until_closed(&mut held[0], start).await;
    assert!(took < Duration::from_secs(1), "the oldest connection lasted {took:?}");
    let newest = held.last_mut().unwrap();
    let open = tokio::time::timeout(Duration::from_millis(200), newest.read(&mut [0])).await;
    assert!(open.is_err(), "the newest connection ended early");
}

#[tokio::test]
async fn m10_oversized_header_is_refused() {
    let mut stream = TcpStream::connect(start().await).await.unwrap();
    let _ = stream.write_all(b"GET /livez HTTP/1.1\r\nX-Large: ").await;
    let _ = stream.write_all(&vec![b'x'; 1 << 20]).await;
    let (came, _) = until_closed(&mut stream, Instant::now()).await;
    let came = String::from_utf8_lossy(&came);
    assert!(came.is_empty() || came.contains("431"), "{came}");
}

#[tokio::test]
async fn all_addresses_are_served_over_both_families() {
    let listener = listen("[::]:0".parse().unwrap()).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(serve(listener, Router::new().route("/livez", get(async || "alive\n"))));
    assert!(ask(SocketAddr::from(([127, 0, 0, 1], port))).await.ends_with("alive\n"));
}
