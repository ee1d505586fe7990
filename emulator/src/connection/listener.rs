//! Accepts connections, shakes hands over TLS and gives each a task. Talks to the network.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::connection::handshake;
use crate::connection::handshake::Peer;
use crate::connection::unauthenticated::{UnauthenticatedClient, UnauthenticatedClients};
use crate::state::EmulatorState;

/// Time for a TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(15);

/// Accepts until `stop`, then waits for all connections to end.
pub async fn run(
    listener: TcpListener,
    tls: TlsAcceptor,
    state: Arc<EmulatorState>,
    stop: CancellationToken,
) {
    let (connections, unauthenticated) = (TaskTracker::new(), UnauthenticatedClients::default());
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok((socket, peer)) => {
                let span = tracing::info_span!("connection", %peer, identity = tracing::field::Empty);
                let task =
                    connection(socket, tls.clone(), state.clone(), unauthenticated.enter(), stop.clone());
                connections.spawn(task.instrument(span));
            }
            Err(error) => {
                // Out of file handles, most likely: wait for some to come back.
                tracing::warn!(%error, "failed to accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    connections.close();
    connections.wait().await;
}

async fn connection(
    socket: tokio::net::TcpStream,
    tls: TlsAcceptor,
    state: Arc<EmulatorState>,
    client: UnauthenticatedClient,
    stop: CancellationToken,
) {
    // Answers are small and awaited; the socket is of no use without its option set, but works.
    let _ = socket.set_nodelay(true);
    let handshake = tokio::select! {
        handshake = tokio::time::timeout(HANDSHAKE, tls.accept(socket)) => handshake,
        () = client.displaced() => {
            tracing::info!("closed during its TLS handshake: a newer connection needed its place");
            return;
        }
        () = stop.cancelled() => return,
    };
    match handshake {
        Ok(Ok(stream)) => {
            let presented = stream.get_ref().1.peer_certificates().unwrap_or_default();
            let peer = Peer { certificates: presented.to_vec() };
            handshake::serve(stream, peer, state, client, stop).await;
        }
        Ok(Err(error)) => {
            state.totals.tls_failed();
            tracing::info!(%error, "TLS handshake failed; the client may not trust the emulator's CA");
        }
        Err(_) => {
            state.totals.tls_failed();
            tracing::info!(seconds = HANDSHAKE.as_secs(), "TLS handshake timed out");
        }
    }
}
