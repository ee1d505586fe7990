//! A request to a running emulator, for the commands that ask one. Talks to the network.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::{Method, Request, Response, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::web::guard::CONTROL_HEADER;

/// Error of a request to an emulator.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Not an address.
    #[error("{server:?} is not an emulator's address: write it like http://127.0.0.1:8880")]
    Server {
        /// As it was given.
        server: String,
    },
    /// Not a path.
    #[error("{path:?} is not a path of the emulator: write it like /api/devices")]
    Path {
        /// As it was given.
        path: String,
    },
    /// The connection failed.
    #[error(
        "no emulator answers at {server}; start one with 'lanyard-emulator serve', or name its --web address with --server"
    )]
    Unreachable {
        /// Address of the emulator.
        server: String,
        /// Cause of the failure.
        source: std::io::Error,
    },
    /// The server is not an emulator.
    #[error(
        "the server at {server} is not an emulator ({detail}); name an emulator's --web address with --server"
    )]
    NotAnEmulator {
        /// Address of the server.
        server: String,
        /// Unexpected answer.
        detail: String,
    },
    /// The server does not answer in time.
    #[error(
        "{server} does not answer within {seconds} s; name an emulator's --web address with --server",
        seconds = ANSWER_TIMEOUT.as_secs()
    )]
    Silent {
        /// Address of the server.
        server: String,
    },
}

/// Time for an emulator to begin its answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Sends a request to the emulator at `server`, such as `http://127.0.0.1:8880`.
///
/// # Errors
/// [`ClientError`].
pub async fn request(
    server: &str,
    method: Method,
    path: &str,
    body: Bytes,
) -> Result<Response<Incoming>, ClientError> {
    let bad = || ClientError::Server { server: server.to_owned() };
    let server = server.trim_end_matches('/');
    let uri: Uri = server.parse().map_err(|_| bad())?;
    let authority = uri.authority().filter(|_| uri.scheme_str() == Some("http") && uri.path() == "/");
    let authority = authority.ok_or_else(bad)?;
    let address = match authority.port_u16() {
        Some(_) => authority.to_string(),
        None => format!("{authority}:80"),
    };
    let silent = |_| ClientError::Silent { server: server.to_owned() };
    let stream = timeout(ANSWER_TIMEOUT, TcpStream::connect(&address))
        .await
        .map_err(silent)?
        .map_err(|source| ClientError::Unreachable { server: server.to_owned(), source })?;
    let other = |error: hyper::Error| not_an_emulator(server, error.to_string());
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(other)?;
    // The task ends with the response; reading the response returns its errors.
    tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", authority.as_str())
        .header(CONTROL_HEADER, "yes")
        .body(Full::new(body))
        .map_err(|_| ClientError::Path { path: path.to_owned() })?;
    timeout(ANSWER_TIMEOUT, sender.send_request(request)).await.map_err(silent)?.map_err(other)
}

/// Returns the error for a server that gave an answer that no emulator gives.
#[must_use]
pub fn not_an_emulator(server: &str, detail: String) -> ClientError {
    ClientError::NotAnEmulator { server: server.trim_end_matches('/').to_owned(), detail }
}
