//! From a name to an encrypted line: DNS, TCP and TLS, each with its own failure. Talks to the network.

use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::mqtt::failure::{Failure, Peer};

/// Time for DNS.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(20);
/// Time for one address to accept; a lost packet is repeated after 1 s, 3 s and 7 s.
const ACCEPT_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for the TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(20);

/// An encrypted line to a server whose certificate is trusted.
pub(crate) type Line = TlsStream<TcpStream>;

/// Connects to a server over TCP and performs the TLS handshake.
pub(crate) async fn dial(peer: &Peer, tls: Arc<rustls::ClientConfig>) -> Result<Line, Failure> {
    let socket = connect(peer).await?;
    // Messages are written whole; waiting for more would only delay them.
    let _ = socket.set_nodelay(true);
    let name = ServerName::try_from(peer.at.host().to_owned())
        .map_err(|error| Failure::not_found(peer, &std::io::Error::other(error)))?;
    match timeout(HANDSHAKE_TIMEOUT, TlsConnector::from(tls).connect(name, socket)).await {
        Ok(Ok(line)) => Ok(line),
        Ok(Err(error)) => Err(Failure::of_handshake(peer, &error)),
        Err(_) => Err(Failure::of_handshake(peer, &std::io::Error::from(std::io::ErrorKind::TimedOut))),
    }
}

/// Tries the name's addresses one after the other.
async fn connect(peer: &Peer) -> Result<TcpStream, Failure> {
    let lookup = tokio::net::lookup_host((peer.at.host(), peer.at.port()));
    let addresses = match timeout(RESOLVE_TIMEOUT, lookup).await {
        Ok(Ok(addresses)) => addresses,
        Ok(Err(error)) => return Err(Failure::not_found(peer, &error)),
        Err(_) => return Err(Failure::not_found(peer, &std::io::Error::other("the DNS does not answer"))),
    };
    let mut failure = Failure::not_found(peer, &std::io::Error::other("it has no address"));
    for address in addresses {
        let error = match timeout(ACCEPT_TIMEOUT, TcpStream::connect(address)).await {
            Ok(Ok(socket)) => return Ok(socket),
            Ok(Err(error)) => error,
            Err(_) => std::io::Error::from(std::io::ErrorKind::TimedOut),
        };
        failure = Failure::unreachable(peer, &error);
    }
    Err(failure)
}
