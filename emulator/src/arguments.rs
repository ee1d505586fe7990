//! The command line. Pure.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use hyper::Method;
use lanyard_protocol::hub::host::HostPort;
use tracing_subscriber::filter::{LevelFilter, Targets};

/// Azure IoT Hub and DPS on your own machine.
#[derive(Debug, Parser)]
#[command(name = "lanyard-emulator", version)]
pub struct Arguments {
    /// Format of log lines.
    #[arg(long, global = true, value_enum, default_value = "text", env = "LANYARD_LOG_FORMAT")]
    pub log_format: LogFormat,
    /// Log filter, such as info or lanyard_emulator=debug.
    #[arg(long, global = true, default_value = "info", env = "RUST_LOG", value_parser = log_filter)]
    pub log_level: Targets,
    /// Command to run.
    #[command(subcommand)]
    pub command: Command,
}

/// Reads a log filter, and refuses a misspelt level: the parser would take it for the name of a module, and silence
/// everything.
fn log_filter(text: &str) -> Result<Targets, String> {
    let is_wrong = |part: &&str| !part.contains('=') && part.trim().parse::<LevelFilter>().is_err();
    match text.split(',').find(is_wrong) {
        Some(word) => Err(format!("{word:?} is not a level; use error, warn, info, debug or trace")),
        None => text.parse().map_err(|error| format!("{error}; use error, warn, info, debug or trace")),
    }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "use an IP address and a port, such as 127.0.0.1:8883".to_owned())
}

fn method(text: &str) -> Result<Method, String> {
    match text.to_ascii_uppercase().as_str() {
        "GET" => Ok(Method::GET),
        "PUT" => Ok(Method::PUT),
        "POST" => Ok(Method::POST),
        "DELETE" => Ok(Method::DELETE),
        _ => Err("use get, put, post or delete".to_owned()),
    }
}

fn host(text: &str) -> Result<String, String> {
    match HostPort::parse(text) {
        Ok(host) if host.host() == text => Ok(text.to_owned()),
        Ok(_) => Err("a certificate has names without a port: remove it".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// Format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// Command to run.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve hubs and DPS until SIGTERM or SIGINT.
    Serve(Serve),
    /// Show the messages that arrived at a running emulator.
    Events(Events),
    /// Send a request to the controls of a running emulator, such as `control get /api/devices`.
    Control(Control),
}

/// Serve hubs and DPS.
#[derive(Debug, clap::Args)]
pub struct Serve {
    /// Directory of the CA and the registrations; created if it does not exist.
    #[arg(long, value_name = "DIR")]
    pub data_dir: PathBuf,
    /// Hubs, devices and enrollments, in YAML or JSON with the field names of Azure's REST API.
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Address for devices. The SDKs connect to port 8883 only.
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:8883", value_parser = address)]
    pub mqtt: SocketAddr,
    /// Address for probes, metrics and controls. A client that reaches it can read all messages and change
    /// everything; web pages of other sites cannot. Requests must have an IP address, localhost or a name of the
    /// certificate in their Host header, and the header X-Lanyard-Control if they change something.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8880", value_parser = address)]
    pub web: SocketAddr,
    /// A directory with ca.crt and ca.key to use instead of the CA in the data directory.
    #[arg(long, value_name = "DIR")]
    pub ca_dir: Option<PathBuf>,
    /// One more name for the server's certificate; may be repeated.
    #[arg(long = "host", value_name = "NAME", value_parser = host)]
    pub hosts: Vec<String>,
}

/// Show messages.
#[derive(Debug, clap::Args)]
pub struct Events {
    /// The emulator's --web address.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8880")]
    pub server: String,
    /// Keep running, and show new messages as they arrive.
    #[arg(long, short)]
    pub follow: bool,
    /// Show only messages of this device.
    #[arg(long, value_name = "ID")]
    pub device: Option<String>,
    /// Maximum number of earlier messages to show.
    #[arg(long, value_name = "N", default_value_t = 100, allow_negative_numbers = true)]
    pub limit: usize,
    /// Output format.
    #[arg(long, short, value_enum, default_value = "table")]
    pub output: Output,
}

/// Send a request to the controls.
#[derive(Debug, clap::Args)]
pub struct Control {
    /// The emulator's --web address.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8880")]
    pub server: String,
    /// Send standard input as the request's body.
    #[arg(long)]
    pub body: bool,
    /// HTTP method.
    #[arg(value_parser = method)]
    pub method: Method,
    /// Path of the request, such as /api/enrollmentGroups/plant-a.
    pub path: String,
}

/// Format of shown messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// One line a message: time, device, properties, body.
    Table,
    /// One JSON object a line, with everything.
    Json,
}
