//! One question to one agent: `GET /status`, with a short limit and a small body. Talks to the network.

use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use lanyard_protocol::handoff::status::AgentStatus;
use tokio::net::TcpStream;

/// For connecting and reading together.
const LIMIT: Duration = Duration::from_secs(3);
/// Far more than one device needs.
const MAX_BODY: usize = 256 * 1024;

/// Why an agent gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody listens there, or nobody may go there.
    #[error("cannot connect: {0}")]
    Connect(#[source] std::io::Error),
    /// What came was no HTTP.
    #[error("HTTP failed: {0}")]
    Http(#[source] hyper::Error),
    /// The body broke off or was too large.
    #[error("cannot read the answer: {0}")]
    Body(String),
    /// Another status than 200.
    #[error("the answer is {0}")]
    Status(StatusCode),
    /// No status document.
    #[error("the answer is no status: {0}")]
    Syntax(#[source] serde_json::Error),
    /// It took too long.
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
    serde_json::from_slice(&body).map_err(AskError::Syntax)
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
    async fn an_answer_is_read_and_everything_else_has_a_name() {
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
    async fn nobody_there() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        assert!(matches!(ask(address).await, Err(AskError::Connect(_))));
    }

    #[tokio::test(start_paused = true)]
    async fn somebody_who_says_nothing() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        assert!(matches!(ask(address).await, Err(AskError::TooSlow)));
        drop(listener);
    }
}
