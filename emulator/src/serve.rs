//! The life of a serving emulator: read everything, bind, serve, drain. Touches disk and talks to the network.

use std::fs::{File, TryLockError};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::arguments::Serve;
use crate::clock::{Clock, SystemClock};
use crate::config::check::{self, ConfigError};
use crate::connection::listener;
use crate::journal::JournalError;
use crate::startup;
use crate::startup::Persistent;
use crate::state::EmulatorState;
use crate::tls::authority::{self, EmulatorCa, EmulatorCaError};
use crate::tls::server::{ServerCertificate, ServerTlsError, configuration};
use crate::web::routes::routes;
use crate::web::server;
use crate::web::state::Web;

/// File with the addresses, for programs that let the system choose a port.
pub const ADDRESSES_FILE: &str = "addresses.json";

/// Locked while an emulator runs.
const LOCK_FILE: &str = "lock";

/// Time for connections to end.
const DRAIN: Duration = Duration::from_secs(5);

/// Interval between checks of the certificate's expiry.
const RENEWAL_CHECK: Duration = Duration::from_secs(6 * 60 * 60);

/// Error that stops the emulator.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The data directory.
    #[error(
        "failed to make or enter the data directory {path}; make it readable and writable for the user who runs the \
            emulator, or name another with --data-dir",
        path = path.display()
    )]
    DataDir {
        /// Path of the directory.
        path: PathBuf,
        /// Cause of the failure.
        source: std::io::Error,
    },
    /// Two of them would take each other's registrations and addresses away.
    #[error(
        "another emulator uses the data directory {path}; stop it, or name another directory with --data-dir",
        path = path.display()
    )]
    DataDirInUse {
        /// Path of the file.
        path: PathBuf,
    },
    /// The CA.
    #[error(transparent)]
    EmulatorCa(#[from] EmulatorCaError),
    /// Error of the persistent state.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// TLS.
    #[error(transparent)]
    Tls(#[from] ServerTlsError),
    /// A port in use, most likely.
    #[error(
        "failed to listen on {address} for {what}; stop what listens there, or choose another address with {option}"
    )]
    Listen {
        /// Address of the listener.
        address: SocketAddr,
        /// For what.
        what: &'static str,
        /// The option that changes it.
        option: &'static str,
        /// Cause of the failure.
        source: std::io::Error,
    },
    /// The file with the addresses.
    #[error("failed to write {path}; make it writable, and see whether the disk is full", path = path.display())]
    Addresses {
        /// Path of the file.
        path: PathBuf,
        /// Cause of the failure.
        source: std::io::Error,
    },
    /// A task ended without a stop.
    #[error("{what} ended by itself")]
    Ended {
        /// Name of the part.
        what: &'static str,
    },
}

/// Everything read, made and bound, but not yet serving.
struct Bound {
    mqtt: TcpListener,
    web: TcpListener,
    tls: TlsAcceptor,
    certificate: Arc<ServerCertificate>,
    state: Arc<EmulatorState>,
    names: Vec<String>,
    lock: File,
}

/// Serves until `stop`.
///
/// # Errors
/// [`ServeError`] before it serves, or when a part of it ends early.
pub async fn run(arguments: Serve, stop: CancellationToken) -> Result<(), ServeError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let Bound { mqtt, web, tls, certificate, state, names, lock } =
        prepare(&arguments, clock.clone()).await?;
    let renewal = tokio::spawn(renew(certificate, clock, stop.clone()));
    let mut connections = tokio::spawn(listener::run(mqtt, tls, state.clone(), stop.clone()));
    let router = routes(Web { state, stop: stop.clone() }, names.into());
    let mut controls = tokio::spawn(server::run(web, router, stop.clone()));
    let ended = tokio::select! {
        // First: the others end because of it.
        biased;
        () = stop.cancelled() => Ok(()),
        _ = &mut connections => Err(ServeError::Ended { what: "the MQTT listener" }),
        _ = &mut controls => Err(ServeError::Ended { what: "the web server" }),
    };
    stop.cancel();
    tracing::info!("shutting down");
    if ended.is_ok()
        && tokio::time::timeout(DRAIN, async { tokio::join!(connections, controls) }).await.is_err()
    {
        tracing::warn!(seconds = DRAIN.as_secs(), "some connections did not end in time");
    }
    renewal.abort();
    // A stale file must not mislead readers until the next start.
    let _ = std::fs::remove_file(arguments.data_dir.join(ADDRESSES_FILE));
    drop(lock);
    ended
}

async fn prepare(arguments: &Serve, clock: Arc<dyn Clock>) -> Result<Bound, ServeError> {
    let mut config = check::load(&arguments.config)?;
    config.certificate_names.extend(arguments.hosts.iter().cloned());
    let dir = &arguments.data_dir;
    let lock = enter(dir)?;
    let certificate = Arc::new(certificate(arguments, &config.certificate_names, &*clock)?);
    let tls = TlsAcceptor::from(configuration(certificate.clone())?);
    let memory = Persistent::open(dir)?;
    let mqtt = bind(arguments.mqtt, "MQTT", "--mqtt").await?;
    let web = bind(arguments.web, "the web page and controls", "--web").await?;
    let (mqtt_address, web_address) = (local(&mqtt, arguments.mqtt), local(&web, arguments.web));
    let names = config.certificate_names.clone();
    let state = Arc::new(startup::build(config, mqtt_address.port(), clock, Some(memory)));
    write_addresses(dir, mqtt_address, web_address)?;
    tracing::info!(mqtt = %mqtt_address, web = %web_address, data_dir = %dir.display(), "serving");
    Ok(Bound { mqtt, web, tls, certificate, state, names, lock })
}

/// Makes the data directory, and keeps other emulators out of it as long as the file is open.
fn enter(dir: &Path) -> Result<File, ServeError> {
    let failed = |source| ServeError::DataDir { path: dir.to_owned(), source };
    std::fs::create_dir_all(dir).map_err(failed)?;
    let lock = File::create(dir.join(LOCK_FILE)).map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(ServeError::DataDirInUse { path: dir.to_owned() }),
        // Some file systems have no locks.
        Err(TryLockError::Error(error)) => {
            tracing::warn!(data_dir = %dir.display(), %error, "failed to lock the data directory: check that no other emulator uses it");
        }
    }
    // A killed process leaves the file behind; a program that waits for this process must not read it.
    let _ = std::fs::remove_file(dir.join(ADDRESSES_FILE));
    Ok(lock)
}

fn certificate(
    arguments: &Serve,
    names: &[String],
    clock: &dyn Clock,
) -> Result<ServerCertificate, ServeError> {
    let authority: EmulatorCa = match &arguments.ca_dir {
        Some(dir) => authority::load(dir)?,
        None => authority::load_or_make(&arguments.data_dir, names, clock.now())?,
    };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    Ok(ServerCertificate::new(authority, names, provider, clock.now())?)
}

async fn bind(
    address: SocketAddr,
    what: &'static str,
    option: &'static str,
) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address).await.map_err(|source| ServeError::Listen { address, what, option, source })
}

/// Returns the address of a listener, with the port that the system chose if `asked` has port 0.
fn local(listener: &TcpListener, asked: SocketAddr) -> SocketAddr {
    listener.local_addr().unwrap_or(asked)
}

fn write_addresses(dir: &Path, mqtt: SocketAddr, web: SocketAddr) -> Result<(), ServeError> {
    let path = dir.join(ADDRESSES_FILE);
    let part = path.with_extension("part");
    let content = serde_json::json!({"mqtt": mqtt, "web": web}).to_string();
    std::fs::write(&part, content)
        .and_then(|()| std::fs::rename(&part, &path))
        .map_err(|source| ServeError::Addresses { path, source })
}

async fn renew(certificate: Arc<ServerCertificate>, clock: Arc<dyn Clock>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(RENEWAL_CHECK) => {}
            () = stop.cancelled() => return,
        }
        match certificate.renew(clock.now()) {
            Ok(true) => tracing::info!(until = %certificate.until(), "renewed the server's certificate"),
            Ok(false) => {}
            Err(error) => {
                tracing::error!(%error, until = %certificate.until(), "failed to renew the server's certificate");
            }
        }
    }
}
