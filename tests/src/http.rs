//! The least of an HTTP client: one request to a program of ours on loopback, without TLS.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// Such as 200.
    pub status: u16,
    /// All of it.
    pub body: String,
}

/// Sends `GET path`.
///
/// # Errors
/// The server does not answer.
pub fn get(address: SocketAddr, path: &str) -> std::io::Result<Response> {
    send("GET", address, path, "")
}

/// Sends `POST path` without a body.
///
/// # Errors
/// The server does not answer.
pub fn post(address: SocketAddr, path: &str) -> std::io::Result<Response> {
    send("POST", address, path, "")
}

/// Sends `method path` with a body.
///
/// # Errors
/// The server does not answer.
pub fn send(method: &str, address: SocketAddr, path: &str, body: &str) -> std::io::Result<Response> {
    let limit = Duration::from_secs(10);
    let mut stream = TcpStream::connect_timeout(&address, limit)?;
    stream.set_read_timeout(Some(limit))?;
    // HTTP/1.0: the answer is not chunked and ends with the connection.
    let length = body.len();
    // The emulator changes nothing for a request without its header.
    let head = format!("{method} {path} HTTP/1.0\r\nHost: {address}\r\nX-Lanyard-Control: yes");
    write!(stream, "{head}\r\nContent-Length: {length}\r\n\r\n{body}")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let malformed = || std::io::Error::new(std::io::ErrorKind::InvalidData, format!("not HTTP: {answer}"));
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(malformed)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(malformed)?;
    Ok(Response { status, body: body.to_owned() })
}
