//! `lanyard-emulator events`: asks a running emulator and prints what it says. Talks to the network.

use std::io::Write;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use tokio::net::TcpStream;

use crate::arguments::{Events, Output};

/// Why nothing is shown.
#[derive(Debug, thiserror::Error)]
pub enum ShowError {
    /// Not an address.
    #[error("{server:?} is not an emulator's address: write it like http://127.0.0.1:8880")]
    Server {
        /// As it was given.
        server: String,
    },
    /// Nobody there.
    #[error(
        "no emulator answers at {server}; start one with 'lanyard-emulator serve', or name its --web address with --server"
    )]
    Unreachable {
        /// Where.
        server: String,
        /// Why.
        source: std::io::Error,
    },
    /// Somebody, but not one of us.
    #[error("what answers at {server} is no emulator: {detail}")]
    NotAnEmulator {
        /// Where.
        server: String,
        /// What it did.
        detail: String,
    },
    /// It went away.
    #[error("the emulator at {server} closed the connection: {detail}")]
    Lost {
        /// Where.
        server: String,
        /// How.
        detail: String,
    },
    /// Nobody reads.
    #[error("failed to write the output")]
    Output(#[source] std::io::Error),
}

/// Prints messages to `out` until there are no more.
///
/// # Errors
/// [`ShowError`].
pub async fn run(arguments: &Events, out: &mut impl Write) -> Result<(), ShowError> {
    let server = arguments.server.trim_end_matches('/');
    let bad = || ShowError::Server { server: arguments.server.clone() };
    let uri: Uri = server.parse().map_err(|_| bad())?;
    let authority = uri.authority().filter(|_| uri.scheme_str() == Some("http")).ok_or_else(bad)?;
    let address = match authority.port_u16() {
        Some(_) => authority.to_string(),
        None => format!("{authority}:80"),
    };
    let stream = TcpStream::connect(&address)
        .await
        .map_err(|source| ShowError::Unreachable { server: server.to_owned(), source })?;
    let other = |detail: String| ShowError::NotAnEmulator { server: server.to_owned(), detail };
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| other(error.to_string()))?;
    // It ends with the response, whose reader hears of its errors.
    tokio::spawn(connection);
    let request =
        Request::get(path(arguments)).header("host", authority.as_str()).body(Empty::<Bytes>::new());
    let response =
        sender.send_request(request.map_err(|_| bad())?).await.map_err(|error| other(error.to_string()))?;
    if response.status() != StatusCode::OK {
        return Err(other(format!("it answers {}", response.status())));
    }
    let mut body = response.into_body();
    let mut pending = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame
            .map_err(|error| ShowError::Lost { server: server.to_owned(), detail: error.to_string() })?;
        let Ok(data) = frame.into_data() else { continue };
        pending.extend_from_slice(&data);
        print(&mut pending, arguments.output, out)?;
    }
    Ok(())
}

fn path(arguments: &Events) -> String {
    let mut path = format!("/api/events?limit={}&follow={}", arguments.limit, arguments.follow);
    if let Some(device) = &arguments.device {
        path.push_str("&device=");
        path.extend(lanyard_protocol::hub::property_bag::encode(device));
    }
    path
}

/// Prints the whole lines of `pending` and takes them out of it.
fn print(pending: &mut Vec<u8>, output: Output, out: &mut impl Write) -> Result<(), ShowError> {
    let Some(end) = pending.iter().rposition(|&byte| byte == b'\n') else { return Ok(()) };
    let lines: Vec<u8> = pending.drain(..=end).collect();
    let printed = String::from_utf8_lossy(&lines).lines().try_for_each(|line| match output {
        Output::Json => writeln!(out, "{line}"),
        Output::Table => writeln!(out, "{}", row(line)),
    });
    match printed.and_then(|()| out.flush()) {
        // `| head` has seen enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => other.map_err(ShowError::Output),
    }
}

/// What a row of the table shows of a message.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'a> {
    enqueued_time: String,
    device_id: String,
    properties: Map<String, Value>,
    /// As it came: its members in their order, its numbers digit by digit.
    #[serde(borrow)]
    body: &'a RawValue,
}

/// Enqueued time, device, properties, body.
fn row(line: &str) -> String {
    let Ok(event) = serde_json::from_str::<Shown<'_>>(line) else { return line.to_owned() };
    let properties = event.properties.iter().map(|(key, value)| match value {
        Value::String(value) => format!("{key}={value}"),
        _ => key.clone(),
    });
    let properties = Some(properties.collect::<Vec<_>>().join("&")).filter(|text| !text.is_empty());
    let body = match serde_json::from_str::<String>(event.body.get()) {
        Ok(text) => text.replace(['\n', '\r'], " "),
        Err(_) => event.body.get().to_owned(),
    };
    let properties = properties.as_deref().unwrap_or("-");
    format!("{:<24}  {:<20}  {properties:<20}  {body}", event.enqueued_time, event.device_id)
}
