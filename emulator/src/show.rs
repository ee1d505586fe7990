//! `lanyard-emulator events`: asks a running emulator and prints what it says. Talks to the network.

use std::io::{ErrorKind, Write};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use tokio::net::TcpStream;
use tokio::time::timeout;

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
    #[error(
        "what answers at {server} is no emulator ({detail}); name an emulator's --web address with --server"
    )]
    NotAnEmulator {
        /// Where.
        server: String,
        /// What it did.
        detail: String,
    },
    /// Somebody, who says nothing.
    #[error(
        "{server} does not answer within {seconds} s; name an emulator's --web address with --server",
        seconds = PATIENCE.as_secs()
    )]
    Silent {
        /// Where.
        server: String,
    },
    /// It went away.
    #[error(
        "the emulator at {server} closed the connection ({detail}); see whether it still runs, and ask again"
    )]
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

/// How long an emulator may take to begin its answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What to say when there was no message.
#[must_use]
pub fn nothing(arguments: &Events) -> String {
    match &arguments.device {
        _ if arguments.limit == 0 => {
            "--limit 0 shows none of the messages that arrived: add --follow to see those that come"
                .to_owned()
        }
        Some(device) => format!(
            "no message of {device:?} has arrived: look at its spelling (upper and lower case differ), or add --follow to wait for one"
        ),
        None => "no message has arrived yet: add --follow to wait for one".to_owned(),
    }
}

/// Prints messages to `out` until there are no more, and says how many.
///
/// # Errors
/// [`ShowError`].
pub async fn run(arguments: &Events, out: &mut impl Write) -> Result<usize, ShowError> {
    let server = arguments.server.trim_end_matches('/');
    let bad = || ShowError::Server { server: arguments.server.clone() };
    let uri: Uri = server.parse().map_err(|_| bad())?;
    let authority = uri.authority().filter(|_| uri.scheme_str() == Some("http") && uri.path() == "/");
    let authority = authority.ok_or_else(bad)?;
    let address = match authority.port_u16() {
        Some(_) => authority.to_string(),
        None => format!("{authority}:80"),
    };
    let silent = |_| ShowError::Silent { server: server.to_owned() };
    let stream = timeout(PATIENCE, TcpStream::connect(&address))
        .await
        .map_err(silent)?
        .map_err(|source| ShowError::Unreachable { server: server.to_owned(), source })?;
    let other = |detail: String| ShowError::NotAnEmulator { server: server.to_owned(), detail };
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| other(error.to_string()))?;
    // It ends with the response, whose reader hears of its errors.
    tokio::spawn(connection);
    let request =
        Request::get(path(arguments)).header("host", authority.as_str()).body(Empty::<Bytes>::new());
    let response = timeout(PATIENCE, sender.send_request(request.map_err(|_| bad())?)).await;
    let response = response.map_err(silent)?.map_err(|error| other(error.to_string()))?;
    if response.status() != StatusCode::OK {
        return Err(other(format!("it answers {}", response.status())));
    }
    let mut body = response.into_body();
    let (mut pending, mut shown) = (Vec::new(), 0);
    while let Some(frame) = body.frame().await {
        let frame = frame
            .map_err(|error| ShowError::Lost { server: server.to_owned(), detail: error.to_string() })?;
        let Ok(data) = frame.into_data() else { continue };
        pending.extend_from_slice(&data);
        match print(&mut pending, arguments.output, out) {
            Ok(printed) => shown += printed,
            // `| head` has seen enough.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => break,
            Err(error) => return Err(ShowError::Output(error)),
        }
    }
    Ok(shown)
}

fn path(arguments: &Events) -> String {
    let mut path = format!("/api/events?limit={}&follow={}", arguments.limit, arguments.follow);
    if let Some(device) = &arguments.device {
        path.push_str("&device=");
        path.extend(lanyard_protocol::hub::property_bag::encode(device));
    }
    path
}

/// Prints the whole lines of `pending`, takes them out of it, and says how many there were.
fn print(pending: &mut Vec<u8>, output: Output, out: &mut impl Write) -> std::io::Result<usize> {
    let Some(end) = pending.iter().rposition(|&byte| byte == b'\n') else { return Ok(0) };
    let lines: Vec<u8> = pending.drain(..=end).collect();
    let text = String::from_utf8_lossy(&lines);
    let mut printed = 0;
    for line in text.lines() {
        match output {
            Output::Json => writeln!(out, "{line}")?,
            Output::Table => writeln!(out, "{}", row(line))?,
        }
        printed += 1;
    }
    out.flush()?;
    Ok(printed)
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
