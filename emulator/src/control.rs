//! `lanyard-emulator control`: one request to a running emulator's controls. Talks to the network.

use std::io::{Read, Write};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::StatusCode;

use crate::arguments::Control;
use crate::client::{self, ClientError};

/// Error of a control request.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// No answer.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// Refused.
    #[error("the emulator answers {status}: {message}", message = message.trim_end())]
    Refused {
        /// Its status.
        status: StatusCode,
        /// Its words.
        message: String,
    },
    /// The body to send.
    #[error("failed to read standard input")]
    Input(#[source] std::io::Error),
    /// The answer.
    #[error("failed to read the answer")]
    Answer(#[source] hyper::Error),
    /// Printing it.
    #[error("failed to write the output")]
    Output(#[source] std::io::Error),
}

/// Sends the request, with the body from `input` if it has one, and prints the answer to `out`.
///
/// # Errors
/// [`ControlError`].
pub async fn run(
    arguments: &Control,
    input: &mut impl Read,
    out: &mut impl Write,
) -> Result<(), ControlError> {
    let mut body = Vec::new();
    if arguments.body {
        input.read_to_end(&mut body).map_err(ControlError::Input)?;
    }
    let Control { server, method, path, .. } = arguments;
    let response = client::request(server, method.clone(), path, Bytes::from(body)).await?;
    let status = response.status();
    let answer = response.into_body().collect().await.map_err(ControlError::Answer)?.to_bytes();
    if !status.is_success() {
        let message = String::from_utf8_lossy(&answer).into_owned();
        return Err(ControlError::Refused { status, message });
    }
    out.write_all(&answer).map_err(ControlError::Output)
}
