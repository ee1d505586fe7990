//! The agent's process: parse everything, build, run, drain.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use lanyard_agent::config::document::{Document, DocumentError};
use lanyard_agent::devices::all::{Devices, DevicesError};
use lanyard_agent::http::{process, server};
use lanyard_agent::mqtt::trust::{Trust, TrustError};
use lanyard_agent::options::{LogFormat, Options};
use lanyard_agent::status::page::StatusPage;
use lanyard_handoff::config::AgentConfig;
use prometheus::Registry;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::prelude::*;

/// Time for the shutdown: well below the 30 seconds that Kubernetes grants a pod.
const DRAIN_LIMIT: Duration = Duration::from_secs(8);

/// Error that ends the agent.
#[derive(Debug, thiserror::Error)]
enum AgentError {
    #[error(transparent)]
    Document(DocumentError),
    #[error("failed to read --trusted-ca {0}: {1}; name a readable file with certificates in PEM")]
    ReadTrustedCa(String, #[source] std::io::Error),
    #[error("--trusted-ca {0}: {1}")]
    TrustedCa(String, #[source] TrustError),
    #[error("failed to listen on {0}: {1}; stop what listens there, or name another address with --http")]
    Listen(std::net::SocketAddr, #[source] std::io::Error),
    #[error("failed to listen for signals: {0}")]
    Signal(#[source] std::io::Error),
    #[error("failed to set up metrics: {0}")]
    Metrics(#[source] prometheus::Error),
    #[error(transparent)]
    Devices(DevicesError),
    #[error("stopped by a second signal: events that are only in memory are lost")]
    Hurried,
    #[error("the HTTP server ended without being asked to; this is a defect of the agent")]
    ServerEnded,
}

impl AgentError {
    /// Returns the error as lines, one for each problem.
    fn lines(&self) -> Vec<String> {
        match self {
            Self::Document(error) => error.lines(),
            other => vec![other.to_string()],
        }
    }
}

// One thread carries hundreds of devices and keeps the idle process small.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let options = Options::parse();
    start_logging(&options);
    allow_files();
    match run(options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(errors) => {
            errors.iter().flat_map(AgentError::lines).for_each(|line| tracing::error!("{line}"));
            ExitCode::FAILURE
        }
    }
}

fn start_logging(options: &Options) {
    // The file watch logs every write in the folder of the configuration; a log file in it would grow without end.
    let filter = options.log_level.clone().with_target("notify", LevelFilter::INFO);
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = match options.log_format {
        LogFormat::Text => lines.with_ansi(false).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry().with(filter).with(lines).init();
}

/// Raises the limit of open files to the hard limit. A device takes four files: its connection, and lock, journal and
/// segment of its buffer. The usual soft limit of about a thousand is for programs that support no higher descriptors,
/// and may be raised without privileges.
fn allow_files() {
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        tracing::warn!(
            "failed to raise the limit of open files; several hundred devices may reach it: {error}"
        );
    }
}

async fn run(options: Options) -> Result<(), Vec<AgentError>> {
    let Parts { document, config, trust, listener } = prepare(&options).await?;
    let (page, fleet) = build(&options, document, trust).map_err(|error| vec![AgentError::Metrics(error)])?;
    let http = listener.local_addr().unwrap_or(options.http);
    tracing::info!(version = env!("CARGO_PKG_VERSION"), devices = config.devices.len(), %http, "the agent starts");

    let (stop, stop_server) = (CancellationToken::new(), CancellationToken::new());
    let mut server = tokio::spawn(server::serve(listener, page, stop_server.clone()));
    let mut fleet = tokio::spawn(fleet.run(config, stop.clone(), DRAIN_LIMIT));
    let ended = tokio::select! {
        asked = asked_to_end() => asked.err(),
        ended = &mut fleet => Some(fleet_error(ended)),
        _ = &mut server => Some(AgentError::ServerEnded),
    };
    if let Some(error) = ended {
        return Err(vec![error]);
    }
    tracing::info!("the agent ends: it delivers what it has read");
    stop.cancel();
    let drained = tokio::select! {
        drained = &mut fleet => drained,
        _ = asked_to_end() => return Err(vec![AgentError::Hurried]),
    };
    stop_server.cancel();
    if !matches!(drained, Ok(Ok(()))) {
        return Err(vec![fleet_error(drained)]);
    }
    tracing::info!("the agent has ended");
    Ok(())
}

/// External parts of the agent.
struct Parts {
    document: Document,
    config: AgentConfig,
    trust: Trust,
    listener: TcpListener,
}

/// Reports every problem of the start at once.
async fn prepare(options: &Options) -> Result<Parts, Vec<AgentError>> {
    let mut errors = Vec::new();
    let mut document = Document::default();
    let config = document.load(&options.config);
    let config = config.map_err(|error| errors.push(AgentError::Document(error))).ok().flatten();
    let trust = trust(options).map_err(|error| errors.push(error)).ok();
    let listener = lanyard_http::listen(options.http).await;
    let listener = listener.map_err(|error| errors.push(AgentError::Listen(options.http, error))).ok();
    match (config, trust, listener) {
        (Some(config), Some(trust), Some(listener)) if errors.is_empty() => {
            Ok(Parts { document, config, trust, listener })
        }
        _ => Err(errors),
    }
}

fn build(
    options: &Options,
    document: Document,
    trust: Trust,
) -> prometheus::Result<(Arc<StatusPage>, Devices)> {
    let registry = Registry::new();
    process::register(&registry)?;
    let page = Arc::new(StatusPage::new(registry)?);
    let fleet = Devices::new(options, document, trust, Arc::clone(&page));
    Ok((page, fleet))
}

async fn asked_to_end() -> Result<(), AgentError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(AgentError::Signal)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(AgentError::Signal)?;
    // A closed terminal would otherwise end the process without a shutdown.
    let mut hangup = signal(SignalKind::hangup()).map_err(AgentError::Signal)?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        _ = hangup.recv() => {}
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

fn fleet_error(ended: Result<Result<(), DevicesError>, tokio::task::JoinError>) -> AgentError {
    match ended {
        Ok(Err(error)) => AgentError::Devices(error),
        Ok(Ok(())) | Err(_) => AgentError::Devices(DevicesError::Ended("*".to_owned())),
    }
}
