//! The life of the operator: arguments → log → client → pages → lease → work → release. Writes the cluster.

use std::process::ExitCode;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use clap::Parser;
use lanyard_operator::arguments::{Arguments, Check, Command, EmulatorCa, LogFormat, Openshift, Run};
use lanyard_operator::clock;
use lanyard_operator::controller::{Controller, EndedEarly};
use lanyard_operator::credential::bounds::Endpoints;
use lanyard_operator::device::plan::defaults::AgentDefaults;
use lanyard_operator::http::{Pages, Phase, serve};
use lanyard_operator::installations::Installations;
use lanyard_operator::kubernetes::scope::Scope;
use lanyard_operator::leader::{Election, LeaderError, LeaseSettings};
use lanyard_operator::metrics::Metrics;
use lanyard_operator::permit::Rules;
use lanyard_operator::random;
use lanyard_operator::{check, derive_key, emulator_ca};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::prelude::*;

/// Time that reconciliations in progress get after a signal.
const DRAIN: Duration = Duration::from_secs(10);

/// Error that ends the operator.
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
    #[error("failed to listen for signals: {0}")]
    Signal(#[source] std::io::Error),
    #[error("the HTTP server for /metrics, /livez and /readyz failed: {0}")]
    Pages(#[source] std::io::Error),
    #[error("{0}; ending, so that two operators never work at once")]
    Leader(#[source] LeaderError),
    #[error("{0}")]
    Controller(#[source] EndedEarly),
    #[error("{0}")]
    Arguments(String),
    #[error("cannot ask the API server which APIs it serves: {0}")]
    Discovery(#[source] kube::Error),
    #[error("{0}")]
    Check(#[source] check::CheckError),
    #[error("{0}")]
    EmulatorCa(#[source] emulator_ca::EmulatorCaError),
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let arguments = match Arguments::parse().command {
        Command::Run(arguments) => arguments,
        Command::DeriveKey(arguments) => {
            return derive_key::run(&arguments)
                .map_or_else(|error| without_log(&error), |()| ExitCode::SUCCESS);
        }
        Command::Check(arguments) => return ended(check(&arguments).await),
        Command::EmulatorCa(arguments) => {
            return ended(publish_ca(&arguments).await.map(|()| ExitCode::SUCCESS));
        }
    };
    if let Err(failure) = start_log(&arguments.log_level, arguments.log_format) {
        return without_log(&failure);
    }
    match Box::pin(run(*arguments)).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            tracing::error!("{failure}");
            ExitCode::FAILURE
        }
    }
}

fn ended(done: Result<ExitCode, Failure>) -> ExitCode {
    done.unwrap_or_else(|failure| without_log(&failure))
}

async fn check(arguments: &Check) -> Result<ExitCode, Failure> {
    use std::io::Write as _;
    let (text, complete) = check::check(&client().await?, arguments).await.map_err(Failure::Check)?;
    let _ = std::io::stdout().write_all(text.as_bytes());
    Ok(if complete { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn publish_ca(arguments: &EmulatorCa) -> Result<(), Failure> {
    start_log("info", LogFormat::Text)?;
    let now = clock::timestamp();
    emulator_ca::run(&client().await?, arguments, now).await.map_err(Failure::EmulatorCa)
}

async fn client() -> Result<kube::Client, Failure> {
    rustls::crypto::aws_lc_rs::default_provider().install_default().map_err(|_| Failure::Tls)?;
    let config = kube::Config::infer().await.map_err(Failure::Kubeconfig)?;
    kube::Client::try_from(config).map_err(Failure::Client)
}

/// Prints an error before the log is set up.
fn without_log(error: &dyn std::error::Error) -> ExitCode {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "error: {error}");
    ExitCode::from(2)
}

fn start_log(level: &str, format: LogFormat) -> Result<(), Failure> {
    // The controllers' spans would precede every line, and the lines contain the same facts.
    let filter = format!("kube_runtime::controller=error,{level}");
    let filter: Targets = filter.parse().map_err(Failure::LogLevel)?;
    let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(colours);
    let lines = match format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => {
            lines.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed()
        }
    };
    tracing_subscriber::registry().with(filter).with(lines).init();
    Ok(())
}

async fn run(arguments: Run) -> Result<(), Failure> {
    let lease = lease_settings(&arguments)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(Failure::Signal)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::Signal)?;
    let client = client().await?;
    let metrics = Metrics::new().map_err(Failure::Metrics)?;
    let (phase, phases) = watch::channel(Phase::Starting);
    let view = Arc::new(OnceLock::new());
    let identity = identity(&arguments);
    let (mut installations, yielded) =
        Installations::new(client.clone(), &lease.namespace, &lease.name, &identity);
    let shown =
        Pages { phase: phases, view: Arc::clone(&view), metrics: metrics.clone(), yielded: yielded.clone() };
    let pages = listen(&arguments, shown).await?;

    let mut election = Election::new(client.clone(), lease, identity.clone());
    let defaults = agent_defaults(&client, &arguments).await?;
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
            let rules = Arc::new(rules(&arguments));
            let work = Controller {
                client,
                scope,
                defaults,
                rules,
                identity,
                metrics: metrics.clone(),
                view,
                yielded,
            };
            // Installations that start at once see each other: both have their Lease before they look.
            let working = async {
                installations.first().await;
                tokio::select! {
                    worked = work.run(end.clone()) => worked,
                    () = installations.keep() => Ok(()),
                }
            };
            tokio::select! {
                worked = working => worked.map_err(Failure::Controller),
                error = election.keep() => Err(Failure::Leader(error)),
            }
        };
        tokio::pin!(life);
        tokio::select! {
            ended = &mut life => ended,
            broken = pages => Err(Failure::Pages(broken.err().map_or_else(|| std::io::Error::other("ended"), std::io::Error::other))),
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

/// Waits for the reconciliations in progress, with a deadline.
async fn drain(
    life: &mut (impl Future<Output = Result<(), Failure>> + Unpin),
    end: &CancellationToken,
    phase: &watch::Sender<Phase>,
) -> Result<(), Failure> {
    let leading = *phase.borrow() == Phase::Leading;
    phase.send_replace(Phase::Ending);
    end.cancel();
    if leading && tokio::time::timeout(DRAIN, life).await.is_err() {
        tracing::warn!("reconciliations did not finish in time");
    }
    Ok(())
}

async fn listen(arguments: &Run, pages: Pages) -> Result<tokio::task::JoinHandle<()>, Failure> {
    let failed = |source| Failure::Listen { address: arguments.http, source };
    let listener = lanyard_http::listen(arguments.http).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    tracing::info!(%address, "serving /metrics, /livez and /readyz");
    Ok(tokio::spawn(serve(listener, pages)))
}

/// Returns the name of this process as a holder of the Lease, unique even where two operators run on one machine.
fn identity(arguments: &Run) -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = arguments.identity.clone().unwrap_or_else(|| host.trim().to_owned());
    format!("{name}_{:08x}", random::random::<u32>())
}

fn rules(arguments: &Run) -> Rules {
    Rules {
        explicit_use: arguments.require_secret_use,
        endpoints: Endpoints::new(arguments.dps_endpoints.clone()),
    }
}

fn lease_settings(arguments: &Run) -> Result<LeaseSettings, Failure> {
    let settings = LeaseSettings {
        namespace: arguments.lease_namespace.clone(),
        name: arguments.lease_name.clone(),
        duration: arguments.lease_duration,
        renew_deadline: arguments.renew_deadline,
        retry_period: arguments.retry_period,
        scope: Scope::new(arguments.namespaces.clone()),
    };
    settings.check().map(|()| settings).map_err(Failure::Arguments)
}

async fn agent_defaults(client: &kube::Client, arguments: &Run) -> Result<AgentDefaults, Failure> {
    let openshift = match arguments.openshift {
        Openshift::True => true,
        Openshift::False => false,
        Openshift::Auto => {
            let served = client.list_api_groups().await.map_err(Failure::Discovery)?;
            served.groups.iter().any(|group| group.name == "security.openshift.io")
        }
    };
    if openshift {
        tracing::info!("OpenShift mode: agent pods set no user and no group");
    }
    Ok(AgentDefaults {
        pull_secrets: arguments.agent_image_pull_secrets.clone(),
        agent: arguments.agent_defaults.clone(),
        common_labels: arguments.common_labels.iter().cloned().collect(),
        name_user: !openshift,
        scrape_annotations: arguments.agent_scrape_annotations,
        ..AgentDefaults::new(arguments.agent_image.clone(), arguments.agent_image_pull_policy)
    })
}
