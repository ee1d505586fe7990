//! One question to one agent: `GET /status`, with a short limit and a small body. Talks to the network.

use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use lanyard_handoff::fingerprint::Fingerprint;
use lanyard_handoff::status::{AgentStatus, DeviceStatus};
use tokio::net::TcpStream;

/// For connecting and reading together.
const LIMIT: Duration = Duration::from_secs(3);
/// Far more than one device needs.
const MAX_BODY: usize = 256 * 1024;

/// Longest text of an answer that is kept.
const MAX_TEXT: usize = 1024;
/// Most entries of a list that are kept.
pub(crate) const MAX_ENTRIES: usize = 20;

/// Error of a request to an agent.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The agent does not listen, or the network blocks the connection.
    #[error("cannot connect: {0}")]
    Connect(#[source] std::io::Error),
    /// The answer is not HTTP.
    #[error("HTTP failed: {0}")]
    Http(#[source] hyper::Error),
    /// The body broke off or was too large.
    #[error("cannot read the answer: {0}")]
    Body(String),
    /// Another status than 200.
    #[error("the answer is {0}")]
    Status(StatusCode),
    /// No status document.
    #[error("the answer is not a status: {0}")]
    Syntax(#[source] serde_json::Error),
    /// The agent did not answer in time.
    #[error("no answer within {} seconds", LIMIT.as_secs())]
    TooSlow,
}

/// Reads the agent's status.
///
/// # Errors
/// [`AskError`]: why there is none.
pub async fn ask(address: SocketAddr) -> Result<AgentStatus, AskError> {
    tokio::time::timeout(LIMIT, read(address)).await.map_err(|_| AskError::TooSlow)?
}

async fn read(address: SocketAddr) -> Result<AgentStatus, AskError> {
    let stream = TcpStream::connect(address).await.map_err(AskError::Connect)?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(AskError::Http)?;
    let request = Request::get("/status").header("host", address.to_string()).header("connection", "close");
    let request = request.body(Empty::<Bytes>::new()).expect("constant parts and an address make a request");
    let exchange = async {
        let response = sender.send_request(request).await.map_err(AskError::Http)?;
        if response.status() != StatusCode::OK {
            return Err(AskError::Status(response.status()));
        }
        let body = Limited::new(response.into_body(), MAX_BODY).collect().await;
        Ok(body.map_err(|error| AskError::Body(error.to_string()))?.to_bytes())
    };
    tokio::pin!(connection);
    tokio::pin!(exchange);
    let body = tokio::select! {
        body = &mut exchange => body?,
        // The connection ends by itself after the answer; the answer may still have to be taken out.
        _ = &mut connection => exchange.await?,
    };
    serde_json::from_slice(&body).map(cut).map_err(AskError::Syntax)
}

/// Shortens everything that goes into conditions, events and the API server's memory.
fn cut(mut status: AgentStatus) -> AgentStatus {
    short(&mut status.agent_version);
    status.configuration_problem.iter_mut().for_each(short);
    status.devices.truncate(MAX_ENTRIES);
    for device in &mut status.devices {
        let DeviceStatus { name, device_id, uid, assigned_hub, connection, credential, problems } = device;
        [name, device_id, &mut connection.message].into_iter().for_each(short);
        uid.iter_mut().chain(assigned_hub).chain(&mut connection.unknown_reason).for_each(short);
        problems.truncate(MAX_ENTRIES);
        problems.iter_mut().for_each(short);
        if let Some(credential) = credential {
            credential.unreadable.iter_mut().for_each(short);
            credential.refused.iter_mut().for_each(|refused| short(&mut refused.message));
            // A longer one is none, and fits no credential.
            let fits = |fingerprint: &Fingerprint| fingerprint.as_str().len() <= MAX_TEXT;
            credential.accepted = credential.accepted.take().filter(fits);
            credential.refused = credential.refused.take().filter(|refused| fits(&refused.fingerprint));
        }
    }
    status
}

fn short(text: &mut String) {
    if text.len() > MAX_TEXT {
        text.truncate(text.floor_char_boundary(MAX_TEXT - '…'.len_utf8()));
        text.push('…');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::routing::get;
    use tokio::net::TcpListener;

    const GOOD: &str = r#"{"version":1,"agentVersion":"0.1.0","devices":[]}"#;

    async fn answered(status: u16, body: String) -> Result<AgentStatus, AskError> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let status = axum::http::StatusCode::from_u16(status).unwrap();
        let router = Router::new().route("/status", get(move || async move { (status, body) }));
        let server = tokio::spawn(async move { axum::serve(listener, router).await });
        let answer = ask(address).await;
        server.abort();
        answer
    }

    #[tokio::test]
    async fn answer_is_read_and_each_failure_has_an_error() {
        assert_eq!(answered(200, GOOD.to_owned()).await.unwrap().agent_version, "0.1.0");
        assert!(matches!(
            answered(503, GOOD.to_owned()).await,
            Err(AskError::Status(StatusCode::SERVICE_UNAVAILABLE))
        ));
        assert!(matches!(answered(200, "hello".to_owned()).await, Err(AskError::Syntax(_))));
        let large = format!("{GOOD}{}", " ".repeat(MAX_BODY));
        assert!(matches!(answered(200, large).await, Err(AskError::Body(_))));
    }

    #[tokio::test]
    async fn m7_texts_and_lists_of_an_answer_are_cut() {
        let long = "ä".repeat(4000);
        let problems = format!("[{}]", vec![format!("\"{long}\""); 50].join(","));
        let device = format!(
            r#"{{"name":"a","deviceId":"a","connection":{{"state":"Connected","since":"2026-01-02T03:04:05Z","reason":"Connected","message":"{long}"}},"credential":{{"accepted":"{long}","unreadable":"{long}"}}}}"#
        );
        let devices = vec![device; 3].join(",");
        let body = format!(r#"{{"version":1,"agentVersion":"0","devices":[{devices}]}}"#);
        let status = answered(200, body).await.unwrap();
        let device = &status.devices[2];
        assert!(device.connection.message.len() <= 1024 && device.connection.message.ends_with("ä…"));
        let credential = device.credential.as_ref().unwrap();
        assert!(credential.accepted.is_none() && credential.unreadable.as_ref().unwrap().len() <= 1024);
        let body = format!(
            r#"{{"version":1,"agentVersion":"0","devices":[{{"name":"a","deviceId":"a","connection":{{"state":"Connected","since":"2026-01-02T03:04:05Z","reason":"Connected"}},"problems":{problems}}}]}}"#
        );
        let status = answered(200, body.replace(&long, "p")).await.unwrap();
        assert_eq!(status.devices[0].problems.len(), 20);
    }

    #[tokio::test]
    async fn closed_port_is_reported_as_no_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        assert!(matches!(ask(address).await, Err(AskError::Connect(_))));
    }

    #[tokio::test(start_paused = true)]
    async fn silent_server_times_out() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        assert!(matches!(ask(address).await, Err(AskError::TooSlow)));
        drop(listener);
    }
}
