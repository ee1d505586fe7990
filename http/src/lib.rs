//! The HTTP server of agent and operator: short answers for probes and scrapes, bounded against slow or many clients.
//! Talks to the network.
//!
//! A connection carries one request. The client must send its head within [`HEADER_TIMEOUT`] and read the answer within
//! [`LIFETIME`]. With more than [`CONNECTIONS`] connections, a new one replaces the oldest, so that idle clients cannot
//! block the kubelet's probes.

use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

/// Limit of open connections. Kubelet, Prometheus and the operator need one each, for a short time.
pub const CONNECTIONS: usize = 32;
/// Time limit for the head of a request.
pub const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
/// Maximum lifetime of a connection.
pub const LIFETIME: Duration = Duration::from_secs(20);
/// Maximum size of a request's head.
const HEAD_BYTES: usize = 16 * 1024;
/// Pause after `accept` failed, most likely because there are no free file handles.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Listens at an address. `[::]` means every address of the machine, and only IPv4 if the kernel has no IPv6.
///
/// # Errors
/// If the address is not available.
pub async fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    match TcpListener::bind(address).await {
        Err(error) if address.is_ipv6() && address.ip().is_unspecified() && lacks_ipv6(&error) => {
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, address.port())).await
        }
        bound => bound,
    }
}

/// Returns whether the kernel has no IPv6: the address family (error 97) or the address does not exist.
fn lacks_ipv6(error: &io::Error) -> bool {
    error.raw_os_error() == Some(97) || error.kind() == io::ErrorKind::AddrNotAvailable
}

/// Serves until the future is dropped, which closes every connection.
pub async fn serve(listener: TcpListener, router: Router) {
    let mut connections = JoinSet::new();
    let mut oldest_first: VecDeque<AbortHandle> = VecDeque::with_capacity(CONNECTIONS);
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((socket, _)) => {
                    oldest_first.retain(|connection| !connection.is_finished());
                    if oldest_first.len() >= CONNECTIONS
                        && let Some(oldest) = oldest_first.pop_front()
                    {
                        oldest.abort();
                    }
                    oldest_first.push_back(connections.spawn(connection(socket, router.clone())));
                }
                Err(error) => {
                    tracing::warn!("failed to accept an HTTP connection: {error}");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(socket: TcpStream, router: Router) {
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .keep_alive(false)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(socket), TowerToHyperService::new(router));
    // A client may close its connection in any way.
    let _ = tokio::time::timeout(LIFETIME, served).await;
}
