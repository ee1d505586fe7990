//! The agent's process: parse everything, build, run, drain.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use lanyard_agent::config::document::{self, DocumentError};
use lanyard_agent::device::board::Board;
use lanyard_agent::device::fleet::{Fleet, FleetError};
use lanyard_agent::http::{process, server};
use lanyard_agent::hub::trust::{Trust, TrustError};
use lanyard_agent::options::{LogFormat, Options};
use lanyard_protocol::handoff::config::AgentConfig;
use prometheus::Registry;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// How long the end may take: well below the 30 seconds that Kubernetes grants a pod.
const DRAIN_LIMIT: Duration = Duration::from_secs(8);

/// Why the agent cannot start or go on.
#[derive(Debug, thiserror::Error)]
enum AgentError {
    #[error(transparent)]
    Document(DocumentError),
    #[error("failed to read --trusted-ca {0}: {1}")]
    ReadTrustedCa(String, #[source] std::io::Error),
    #[error("--trusted-ca {0}: {1}")]
    TrustedCa(String, #[source] TrustError),
    #[error("failed to make the buffer folder {0}: {1}; name another with --buffer")]
    Buffer(String, #[source] std::io::Error),
    #[error("failed to listen on {0}: {1}; name another address with --http")]
    Listen(std::net::SocketAddr, #[source] std::io::Error),
    #[error("failed to serve HTTP: {0}")]
    Serve(#[source] std::io::Error),
    #[error("failed to hear signals: {0}")]
    Signal(#[source] std::io::Error),
    #[error("failed to set up metrics: {0}")]
    Metrics(#[source] prometheus::Error),
    #[error(transparent)]
    Fleet(FleetError),
    #[error("the HTTP server ended without being asked to; this is a defect of the agent")]
    ServerEnded,
}

// One thread carries hundreds of devices and keeps the idle process small.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let options = Options::parse();
    start_logging(&options);
    match run(options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(errors) => {
            for error in errors {
                tracing::error!("{error}");
            }
            ExitCode::FAILURE
        }
    }
}

fn start_logging(options: &Options) {
    // The file watch tells of every write beside the configuration: of the log too, were it there, without end.
    let filter = EnvFilter::new(format!("{},notify=info", options.log_level));
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match options.log_format {
        LogFormat::Text => subscriber.with_ansi(false).init(),
        LogFormat::Json => subscriber.json().flatten_event(true).init(),
    }
}

async fn run(options: Options) -> Result<(), Vec<AgentError>> {
    let Parts { config, trust, listener } = prepare(&options).await?;
    let (board, fleet) = build(&options, trust).map_err(|error| vec![AgentError::Metrics(error)])?;
    let http = listener.local_addr().unwrap_or(options.http);
    tracing::info!(version = env!("CARGO_PKG_VERSION"), devices = config.devices.len(), %http, "the agent starts");

    let (stop, stop_server) = (CancellationToken::new(), CancellationToken::new());
    let mut server = tokio::spawn(server::serve(listener, board, stop_server.clone()));
    let mut fleet = tokio::spawn(fleet.run(config, stop.clone(), DRAIN_LIMIT));
    let ended = tokio::select! {
        asked = asked_to_end() => asked.err(),
        ended = &mut fleet => Some(fleet_error(ended)),
        ended = &mut server => Some(server_error(ended)),
    };
    if let Some(error) = ended {
        return Err(vec![error]);
    }
    tracing::info!("the agent ends: it delivers what it has read");
    stop.cancel();
    let drained = fleet.await;
    stop_server.cancel();
    if !matches!(drained, Ok(Ok(()))) {
        return Err(vec![fleet_error(drained)]);
    }
    tracing::info!("the agent has ended");
    Ok(())
}

/// What the agent needs from outside.
struct Parts {
    config: AgentConfig,
    trust: Trust,
    listener: TcpListener,
}

/// Everything that can be wrong at the start is said at once.
async fn prepare(options: &Options) -> Result<Parts, Vec<AgentError>> {
    let mut errors = Vec::new();
    let config =
        document::load(&options.config).map_err(|error| errors.push(AgentError::Document(error))).ok();
    let trust = trust(options).map_err(|error| errors.push(error)).ok();
    let listener = TcpListener::bind(options.http).await;
    let listener = listener.map_err(|error| errors.push(AgentError::Listen(options.http, error))).ok();
    if let Err(error) = std::fs::create_dir_all(&options.buffer) {
        errors.push(AgentError::Buffer(options.buffer.display().to_string(), error));
    }
    match (config, trust, listener) {
        (Some(config), Some(trust), Some(listener)) if errors.is_empty() => {
            Ok(Parts { config, trust, listener })
        }
        _ => Err(errors),
    }
}

fn build(options: &Options, trust: Trust) -> prometheus::Result<(Arc<Board>, Fleet)> {
    let registry = Registry::new();
    process::register(&registry)?;
    let board = Arc::new(Board::new(registry)?);
    let fleet = Fleet::new(options, trust, Arc::clone(&board));
    Ok((board, fleet))
}

async fn asked_to_end() -> Result<(), AgentError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(AgentError::Signal)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(AgentError::Signal)?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

fn trust(options: &Options) -> Result<Trust, AgentError> {
    let Some(path) = &options.trusted_ca else {
        return Trust::new(None).map_err(|error| AgentError::TrustedCa(String::new(), error));
    };
    let name = path.display().to_string();
    let pem = std::fs::read(path).map_err(|error| AgentError::ReadTrustedCa(name.clone(), error))?;
    Trust::new(Some(&pem)).map_err(|error| AgentError::TrustedCa(name, error))
}

fn fleet_error(ended: Result<Result<(), FleetError>, tokio::task::JoinError>) -> AgentError {
    match ended {
        Ok(Err(error)) => AgentError::Fleet(error),
        Ok(Ok(())) | Err(_) => AgentError::Fleet(FleetError::Ended("*".to_owned())),
    }
}

fn server_error(ended: Result<std::io::Result<()>, tokio::task::JoinError>) -> AgentError {
    match ended {
        Ok(Err(error)) => AgentError::Serve(error),
        Ok(Ok(())) | Err(_) => AgentError::ServerEnded,
    }
}
