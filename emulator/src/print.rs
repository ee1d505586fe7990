//! `lanyard-emulator events`: prints the messages of a running emulator. Talks to the network.

use std::io::{ErrorKind, Write};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::{Method, StatusCode};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::arguments::{Events, Output};
use crate::client::{self, ClientError};

/// Error of showing messages.
#[derive(Debug, thiserror::Error)]
pub enum ShowError {
    /// No answer.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The connection to the emulator ended.
    #[error(
        "the emulator at {server} closed the connection ({detail}); see whether it still runs, and ask again"
    )]
    Lost {
        /// Address of the emulator.
        server: String,
        /// Details of the end.
        detail: String,
    },
    /// The output was closed.
    #[error("failed to write the output")]
    Output(#[source] std::io::Error),
}

/// Returns the text for an empty result.
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

/// Prints messages to `out` until there are no more, and returns their number.
///
/// # Errors
/// [`ShowError`].
pub async fn run(arguments: &Events, out: &mut impl Write) -> Result<usize, ShowError> {
    let server = arguments.server.trim_end_matches('/');
    let response = client::request(server, Method::GET, &path(arguments), Bytes::new()).await?;
    if response.status() != StatusCode::OK {
        return Err(client::not_an_emulator(server, format!("it answers {}", response.status())).into());
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

/// Prints the whole lines of `pending`, takes them out of it, and returns their number.
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

/// Row of the table for a message.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Row<'a> {
    enqueued_time: String,
    device_id: String,
    properties: Map<String, Value>,
    /// As it came: its members in their order, its numbers digit by digit.
    #[serde(borrow)]
    body: &'a RawValue,
}

/// Returns the table row of a message: enqueued time, device, properties, body.
fn row(line: &str) -> String {
    let Ok(event) = serde_json::from_str::<Row<'_>>(line) else { return line.to_owned() };
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
