//! The life of the operator: arguments → log → client → pages → lease → work → release. Writes the cluster.

use std::process::ExitCode;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use clap::Parser;
use lanyard_operator::arguments::{Arguments, Command, LogFormat, Run};
use lanyard_operator::cluster::scope::Scope;
use lanyard_operator::credential::bounds::Endpoints;
use lanyard_operator::derive_key;
use lanyard_operator::device::plan::AgentImage;
use lanyard_operator::http::{Pages, Phase, serve};
use lanyard_operator::leader::{Election, LeaderError};
use lanyard_operator::metrics::Metrics;
use lanyard_operator::permit::Rules;
use lanyard_operator::work::{EndedEarly, Work};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Looks that are under way may finish for so long after a signal.
const DRAIN: Duration = Duration::from_secs(10);

/// Why the operator ended.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("--log-level: {0}")]
    LogLevel(#[source] tracing_subscriber::filter::ParseError),
    #[error("the TLS provider is already installed")]
    Tls,
    #[error("no cluster: {0}; run inside one, or set KUBECONFIG")]
    Kubeconfig(#[source] kube::config::InferConfigError),
    #[error("cannot make a client: {0}")]
    Client(#[source] kube::Error),
    #[error("cannot make metrics: {0}")]
    Metrics(#[source] prometheus::Error),
    #[error(
        "--http {address}: cannot listen ({source}): end the program that uses the port, or give another address"
    )]
    Listen { address: std::net::SocketAddr, source: std::io::Error },
    #[error("cannot hear signals: {0}")]
    Signal(#[source] std::io::Error),
    #[error("the pages broke: {0}")]
    Pages(#[source] std::io::Error),
    #[error("{0}; ending, so that two operators never work at once")]
    Leader(#[source] LeaderError),
    #[error("{0}")]
    Work(#[source] EndedEarly),
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let arguments = match Arguments::parse().command {
        Command::Run(arguments) => arguments,
        Command::DeriveKey(arguments) => {
            return derive_key::run(&arguments)
                .map_or_else(|error| without_log(&error), |()| ExitCode::SUCCESS);
        }
    };
    if let Err(failure) = start_log(&arguments) {
        return without_log(&failure);
    }
    match run(arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            tracing::error!("{failure}");
            ExitCode::FAILURE
        }
    }
}

/// Where there is no log.
fn without_log(error: &dyn std::error::Error) -> ExitCode {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "error: {error}");
    ExitCode::from(2)
}

fn start_log(arguments: &Run) -> Result<(), Failure> {
    // The controllers' spans would stand before every line; what they say, the lines say themselves.
    let filter = format!("kube_runtime::controller=error,{}", arguments.log_level);
    let filter = tracing_subscriber::EnvFilter::try_new(filter).map_err(Failure::LogLevel)?;
    let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let log =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours);
    match arguments.log_format {
        LogFormat::Text => log.init(),
        LogFormat::Json => {
            log.json().flatten_event(true).with_current_span(false).with_span_list(false).init();
        }
    }
    Ok(())
}

async fn run(arguments: Run) -> Result<(), Failure> {
    rustls::crypto::aws_lc_rs::default_provider().install_default().map_err(|_| Failure::Tls)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(Failure::Signal)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::Signal)?;
    let config = kube::Config::infer().await.map_err(Failure::Kubeconfig)?;
    let client = kube::Client::try_from(config).map_err(Failure::Client)?;
    let metrics = Metrics::new().map_err(Failure::Metrics)?;
    let (phase, phases) = watch::channel(Phase::Starting);
    let view = Arc::new(OnceLock::new());
    let pages =
        listen(&arguments, Pages { phase: phases, view: Arc::clone(&view), metrics: metrics.clone() })
            .await?;

    let identity = identity(&arguments);
    let mut election = Election::new(client.clone(), &arguments.lease_namespace, identity.clone());
    let end = CancellationToken::new();
    let ended = {
        let life = async {
            election
                .win(|holder| {
                    tracing::info!(holder, "standing by");
                    phase.send_replace(Phase::StandingBy(holder.to_owned()));
                })
                .await;
            tracing::info!(identity, "holding the lease");
            phase.send_replace(Phase::Leading);
            metrics.leads(true);
            let scope = Scope::new(arguments.namespaces.clone());
            let (image, rules) = (image(&arguments), Arc::new(rules(&arguments)));
            let work = Work { client, scope, image, rules, identity, metrics: metrics.clone(), view };
            tokio::select! {
                worked = work.run(end.clone()) => worked.map_err(Failure::Work),
                error = election.keep() => Err(Failure::Leader(error)),
            }
        };
        tokio::pin!(life);
        tokio::select! {
            ended = &mut life => ended,
            broken = pages => Err(Failure::Pages(broken.map_or_else(std::io::Error::other, |pages| pages.err().unwrap_or_else(|| std::io::Error::other("ended"))))),
            _ = terminate.recv() => drain(&mut life, &end, &phase).await,
            _ = interrupt.recv() => drain(&mut life, &end, &phase).await,
        }
    };
    metrics.leads(false);
    if !matches!(ended, Err(Failure::Leader(_))) {
        election.release().await;
    }
    tracing::info!("ended");
    ended
}

/// Lets the looks under way finish, with a deadline.
async fn drain(
    life: &mut (impl Future<Output = Result<(), Failure>> + Unpin),
    end: &CancellationToken,
    phase: &watch::Sender<Phase>,
) -> Result<(), Failure> {
    let leading = *phase.borrow() == Phase::Leading;
    phase.send_replace(Phase::Ending);
    end.cancel();
    if leading && tokio::time::timeout(DRAIN, life).await.is_err() {
        tracing::warn!("looks under way did not finish in time");
    }
    Ok(())
}

async fn listen(
    arguments: &Run,
    pages: Pages,
) -> Result<tokio::task::JoinHandle<std::io::Result<()>>, Failure> {
    let failed = |source| Failure::Listen { address: arguments.http, source };
    let listener = TcpListener::bind(arguments.http).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    tracing::info!(%address, "serving /metrics, /livez and /readyz");
    Ok(tokio::spawn(serve(listener, pages)))
}

/// Unique even where two operators run on one machine.
fn identity(arguments: &Run) -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = arguments.identity.clone().unwrap_or_else(|| host.trim().to_owned());
    format!("{name}_{:08x}", rand::random::<u32>())
}

fn rules(arguments: &Run) -> Rules {
    Rules {
        explicit_use: arguments.require_secret_use,
        endpoints: Endpoints::new(arguments.dps_endpoints.clone()),
    }
}

fn image(arguments: &Run) -> AgentImage {
    AgentImage {
        image: arguments.agent_image.clone(),
        pull_policy: arguments.agent_image_pull_policy,
        pull_secrets: arguments.agent_image_pull_secrets.clone(),
        scrape_annotations: arguments.agent_scrape_annotations,
    }
}
